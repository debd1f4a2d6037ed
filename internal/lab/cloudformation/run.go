package cloudformation

import (
	"context"
	"strings"

	"example.org/catchment/internal/lab/cloudformation/template"
)

// What OnFailure can be.
const (
	onFailureDelete   = "DELETE"
	onFailureNothing  = "DO_NOTHING"
	onFailureRollback = "ROLLBACK"
)

// startCreate makes a stack's resources. The stack is busy already, and has the plan.
func (w *worker) startCreate() {
	sc := w.scope(w.stack, w.plan)
	names, err := w.included(sc)
	if err != nil {
		w.cloud.Clock.Go(func(context.Context) { w.createFailed(w.reasonOf(err)) })
		return
	}
	ph := &phase{stack: w.stack, halt: true, cancel: "Resource creation cancelled"}
	for _, name := range names {
		ph.items = append(ph.items, w.make(sc, name))
	}
	limitNeeds(ph.items)
	ph.done = func(context.Context) { w.created(sc) }
	ph.failing = func(_ context.Context, failures []string) {
		w.createFailed("The following resource(s) failed to create: [" + strings.Join(failures, ", ") + "].")
	}
	w.run(ph)
}

// limitNeeds takes away needs that are no items: resources that a condition leaves out.
func limitNeeds(items []*item) {
	there := make(map[string]bool)
	for _, it := range items {
		there[it.name] = true
	}
	for _, it := range items {
		var needs []string
		for _, n := range it.needs {
			if there[n] {
				needs = append(needs, n)
			}
		}
		it.needs = needs
	}
}

func (w *worker) created(sc *template.Scope) {
	outputs, err := w.finishOutputs(sc)
	if err != nil {
		w.createFailed(w.reasonOf(err))
		return
	}
	imports := importsOf(sc)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stack.outputs, w.stack.imports = outputs, imports
	w.become(w.stack, wordCreate+complete, "")
	w.stack.busy, w.stack.cancelled = false, false
}

func (w *worker) createFailed(reason string) {
	st := w.stack
	w.mu.Lock()
	defer w.mu.Unlock()
	deleting := st.cancelled
	st.cancelled = false
	switch {
	case deleting:
		w.become(st, wordDelete+inProgress, "User Initiated")
		w.startRemoval(nil, wordDelete)
	case st.disableRollback || st.onFailure == onFailureNothing:
		w.become(st, wordCreate+failed, reason+" ")
		st.busy = false
	case st.onFailure == onFailureDelete:
		w.become(st, wordDelete+inProgress, reason+" Delete requested by user.")
		w.startRemoval(nil, wordDelete)
	default:
		w.become(st, wordRollback+inProgress, reason+" Rollback requested by user.")
		for _, r := range st.resources {
			if w.plan.template.Resources[r.logical] != nil && w.plan.template.Resources[r.logical].DeletionPolicy == "RetainExceptOnCreate" {
				r.retain = false
			}
		}
		w.startRemoval(nil, wordRollback)
	}
}

// startRemoval removes all of a stack's resources but some that are to be retained. word is that of the stack's statuses.
// Requires mu.
func (w *worker) startRemoval(retained []string, word string) {
	st := w.stack
	var all []*resource
	for _, r := range st.sorted() {
		if strings.HasPrefix(r.status, wordDelete+complete) || r.status == wordDelete+skipped {
			continue
		}
		for _, name := range retained {
			if name == r.logical {
				r.retain = true
			}
		}
		all = append(all, r)
	}
	ph := &phase{stack: st, items: w.removals(all)}
	ph.done = func(context.Context) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.become(st, word+complete, "")
		st.busy = false
		st.outputs, st.imports = nil, nil
		if word == wordDelete {
			w.bury(st)
		}
	}
	ph.failing = func(_ context.Context, names []string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.become(st, word+failed, "The following resource(s) failed to delete: ["+strings.Join(names, ", ")+"]. ")
		st.busy = false
	}
	w.run(ph)
}
