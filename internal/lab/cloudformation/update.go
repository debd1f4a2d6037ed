package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloudformation/template"
)

// An undoing is what an update has changed so far: what it takes to undo it.
type undoing struct {
	plan    *plan
	before  map[string]*resource // as they were, by logical id
	touched map[string]bool      // resources that were changed, or that the change of failed
	doomed  []*resource          // replaced or no longer wanted: to be removed when all went well
	made    []*resource          // to be removed when it did not
	outputs []output
	skip    []string                  // not to be undone
	reached map[string]map[string]any // properties that touched resources got to
}

// startUpdate makes a stack what the plan says. The stack is busy already.
func (w *worker) startUpdate() {
	st := w.stack
	u := &undoing{
		plan: st.plan, before: make(map[string]*resource), touched: make(map[string]bool), outputs: st.outputs, reached: make(map[string]map[string]any),
	}
	for name, r := range st.resources {
		was := *r
		u.before[name] = &was
	}
	sc := w.scope(st, w.plan)
	names, err := w.included(sc)
	if err != nil {
		w.cloud.Clock.Go(func(context.Context) { w.updateFailed(u, w.reasonOf(err)) })
		return
	}
	ph := &phase{stack: st, halt: true, cancel: "Resource update cancelled"}
	for _, name := range names {
		it := w.change(sc, u, name)
		ph.items = append(ph.items, it)
	}
	limitNeeds(ph.items)
	ph.done = func(context.Context) { w.updated(sc, u, names) }
	ph.failing = func(_ context.Context, failures []string) {
		reason := "The following resource(s) failed to update: [" + strings.Join(failures, ", ") + "]. "
		w.mu.Lock()
		if w.stack.cancelled && len(failures) == 0 {
			reason = "User Initiated"
		}
		w.mu.Unlock()
		w.updateFailed(u, reason)
	}
	w.run(ph)
}

// change is an item that makes a resource, changes it, replaces it, or leaves it.
func (w *worker) change(sc *template.Scope, u *undoing, logical string) *item {
	st := w.stack
	old := st.resources[logical]
	if old == nil || old.physical == "" {
		it := w.make(sc, logical)
		start := it.start
		it.start = func(ctx context.Context) (bool, error) {
			idle, err := start(ctx)
			u.made = append(u.made, it.resource)
			return idle, err
		}
		return it
	}
	it := &item{name: logical, resource: old, needs: w.plan.template.Resources[logical].Needs()}
	current := old
	var j *job
	var k *kind
	it.start = func(ctx context.Context) (bool, error) {
		next, known, err := w.wanted(sc, logical)
		k = known
		if err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.note(st, old, wordUpdate+inProgress, "")
			return false, err
		}
		what := compare(old, next, k)
		w.mu.Lock()
		old.needs, old.retain, old.keep = next.needs, next.retain, next.keep
		if len(what.names) == 0 && !what.replace && (!w.tagsChanged() || !k.tagged()) {
			w.mu.Unlock()
			return true, nil
		}
		u.touched[logical] = true
		if what.replace {
			current = next
			st.resources[logical], it.resource = next, next
			next.physical = old.physical
			w.note(st, next, wordUpdate+inProgress, "Requested update requires the creation of a new physical resource; hence creating one.")
			next.physical = ""
			w.mu.Unlock()
			u.made, u.doomed = append(u.made, next), append(u.doomed, old)
			j = w.job(next)
			return false, w.creation(ctx, it, k, j, next)
		}
		next.physical, next.attributes = old.physical, maps.Clone(old.attributes)
		before := old.properties
		old.properties = next.properties
		w.note(st, old, wordUpdate+inProgress, "")
		w.mu.Unlock()
		return false, w.apply(ctx, k, old, before)
	}
	it.check = func(ctx context.Context) (bool, error) {
		if j == nil {
			j = w.job(current)
		}
		return ready(ctx, k, j)
	}
	it.end = func() { w.note(st, current, wordUpdate+complete, "") }
	it.fail = func(reason string) { w.note(st, current, wordUpdate+failed, reason) }
	return it
}

func (w *worker) tagsChanged() bool { return !slices.Equal(w.plan.tags, w.stack.plan.tags) }

// apply changes a resource from what it was to what it is to be.
func (w *worker) apply(ctx context.Context, k *kind, r *resource, before map[string]any) error {
	if k.update == nil {
		return nil // only what the lab does not keep has changed
	}
	j := w.job(r)
	j.before, j.attrs = before, maps.Clone(r.attributes)
	err := k.update(ctx, j)
	w.mu.Lock()
	defer w.mu.Unlock()
	r.attributes = j.attrs
	return err
}

// A contrast is what differs between a resource and what it is to be.
type contrast struct {
	names   []string // of properties
	replace bool
}

func compare(old, next *resource, k *kind) contrast {
	var c contrast
	if old.kind != next.kind {
		return contrast{replace: true}
	}
	all := maps.Clone(old.properties)
	maps.Copy(all, next.properties)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if same(old.properties[name], next.properties[name]) {
			continue
		}
		c.names = append(c.names, name)
		if k.schema[name].replaces || k.update == nil {
			c.replace = true
		}
	}
	c.replace = c.replace || len(c.names) > 0 && k.replace != nil && k.replace(old.properties, next.properties)
	return c
}

func (w *worker) updated(sc *template.Scope, u *undoing, names []string) {
	outputs, err := w.finishOutputs(sc)
	if err != nil {
		w.updateFailed(u, w.reasonOf(err))
		return
	}
	imports := importsOf(sc)
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.stack
	for _, r := range st.sorted() {
		if !slices.Contains(names, r.logical) {
			u.doomed = append(u.doomed, r)
			delete(st.resources, r.logical)
		}
	}
	st.plan, st.outputs, st.imports, st.updated = w.plan, outputs, imports, w.cloud.Clock.Now()
	st.cancelled = false
	w.become(st, wordUpdate+wordCleanup, "")
	w.cleanup(u.doomed, wordUpdate, true)
}

// cleanup removes what an update, or its undoing, has left. Failures there do not make it fail. Requires mu.
func (w *worker) cleanup(doomed []*resource, word string, replaced bool) {
	st := w.stack
	for _, r := range doomed {
		if _, stays := st.resources[r.logical]; stays && replaced {
			r.retain = r.keep // what was replaced goes by UpdateReplacePolicy
		}
	}
	ph := &phase{stack: st, items: w.removals(doomed)}
	end := func(context.Context) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.become(st, word+complete, "")
		st.busy = false
	}
	ph.done = end
	ph.failing = func(ctx context.Context, _ []string) { end(ctx) }
	w.run(ph)
}

func (w *worker) updateFailed(u *undoing, reason string) {
	st := w.stack
	w.mu.Lock()
	defer w.mu.Unlock()
	st.cancelled = false
	if st.disableRollback {
		w.become(st, wordUpdate+failed, reason)
		st.busy = false
		return
	}
	w.become(st, wordUndo+inProgress, reason)
	w.undo(u)
}

// undo makes the resources what they were. Requires mu.
func (w *worker) undo(u *undoing) {
	st := w.stack
	back := &worker{Service: w.Service, stack: st, plan: u.plan, who: w.who}
	ph := &phase{stack: st}
	for _, name := range slices.Sorted(maps.Keys(u.touched)) {
		if slices.Contains(u.skip, name) {
			continue
		}
		ph.items = append(ph.items, back.restore(u, name))
	}
	limitNeeds(ph.items)
	ph.done = func(context.Context) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, r := range u.made {
			if st.resources[r.logical] == r {
				delete(st.resources, r.logical)
			}
			r.retain = false
		}
		st.outputs, st.undone = u.outputs, nil
		w.become(st, wordUndo+wordCleanup, "")
		back.cleanup(u.made, wordUndo, false)
	}
	ph.failing = func(_ context.Context, names []string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		st.undone = u
		w.become(st, wordUndo+failed, "The following resource(s) failed to update: ["+strings.Join(names, ", ")+"]. ")
		st.busy = false
	}
	w.run(ph)
}

// restore is an item that makes a resource what it was.
func (w *worker) restore(u *undoing, name string) *item {
	st := w.stack
	was := u.before[name]
	it := &item{name: name, resource: was, needs: was.needs}
	replaced := slices.ContainsFunc(u.doomed, func(r *resource) bool { return r.logical == name })
	it.start = func(ctx context.Context) (bool, error) {
		if u.reached[name] == nil { // else the rollback is tried again
			u.reached[name] = st.resources[name].properties
		}
		w.mu.Lock()
		r := *was
		st.resources[name] = &r
		it.resource = &r
		w.note(st, &r, wordUpdate+inProgress, "")
		w.mu.Unlock()
		if replaced {
			return false, nil
		}
		return false, w.apply(ctx, kinds[r.kind], &r, u.reached[name])
	}
	it.end = func() { w.note(st, it.resource, wordUpdate+complete, "") }
	it.fail = func(reason string) { w.note(st, it.resource, wordUpdate+failed, reason) }
	return it
}
