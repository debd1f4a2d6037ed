package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/cloudformation/template"
)

// A worker does what a call asked for: it makes a stack what a plan says, as somebody.
type worker struct {
	*Service
	stack *stack
	plan  *plan
	who   cloud.Identity
}

// principal is the name under which CloudFormation acts in a stack's role.
const principal = "cloudformation.amazonaws.com"

// identity is who works on a stack: the caller, or CloudFormation in the stack's role.
func (s *Service) identity(caller cloud.Identity, account, role string) (cloud.Identity, error) {
	if role == "" {
		return caller, nil
	}
	if s.cloud.Access == nil {
		return cloud.Identity{Kind: cloud.User, Account: account, ARN: role, ID: caller.ID}, nil
	}
	pass := cloud.Access{Who: caller, Action: "iam:PassRole", Resource: role, Context: map[string]string{"iam:PassedToService": principal}}
	if err := s.cloud.Authorize(pass); err != nil {
		return cloud.Identity{}, err
	}
	service := cloud.Identity{Kind: cloud.Service, ARN: principal, Account: account}
	who, err := s.cloud.Access.Assume(service, role, "AWSCloudFormation", nil)
	if err != nil {
		return cloud.Identity{}, validation("Role %s is invalid or cannot be assumed", role)
	}
	return who, nil
}

// job is the work on a resource of the stack.
func (w *worker) job(r *resource) *job {
	return &job{
		service: w.Service, who: w.who, place: w.stack.place, stack: w.stack, tags: w.plan.tags, logical: r.logical, kind: r.kind,
		physical: r.physical, props: r.properties, attrs: r.attributes, takes: w.plan.takes && r.retain,
	}
}

// wanted evaluates a resource of the plan: what it is to be, on the ground of what the others are now.
func (w *worker) wanted(sc *template.Scope, logical string) (*resource, *kind, error) {
	written := w.plan.template.Resources[logical]
	r := &resource{
		logical: logical, kind: written.Type, needs: written.Needs(), attributes: map[string]any{}, drift: notChecked,
		retain: strings.HasPrefix(written.DeletionPolicy, "Retain"), keep: strings.HasPrefix(written.UpdateReplacePolicy, "Retain"),
	}
	props, err := sc.Evaluate(written.Properties)
	if err != nil {
		return r, nil, err
	}
	r.properties = coerceAll(object(props))
	k := kinds[written.Type]
	if k == nil {
		return r, nil, validation("Template format error: Unrecognized resource types: [%s]", written.Type)
	}
	return r, k, k.schema.check(logical, r.properties)
}

// included are the resources of the plan whose conditions are true.
func (w *worker) included(sc *template.Scope) ([]string, error) {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(w.plan.template.Resources)) {
		yes, err := sc.Condition(w.plan.template.Resources[name].Condition)
		if err != nil {
			return nil, err
		}
		if yes {
			out = append(out, name)
		}
	}
	return out, nil
}

// make is an item that makes a resource.
func (w *worker) make(sc *template.Scope, logical string) *item {
	r := &resource{logical: logical, kind: w.plan.template.Resources[logical].Type}
	it := &item{name: logical, resource: r, needs: w.plan.template.Resources[logical].Needs()}
	var j *job
	var k *kind
	it.start = func(ctx context.Context) (bool, error) {
		var err error
		var next *resource
		next, k, err = w.wanted(sc, logical)
		w.mu.Lock()
		w.stack.resources[logical] = r
		*r = *next
		w.note(w.stack, r, wordCreate+inProgress, "")
		w.mu.Unlock()
		if err != nil {
			return false, err
		}
		j = w.job(r)
		return false, w.creation(ctx, it, k, j, r)
	}
	it.check = func(ctx context.Context) (bool, error) { return ready(ctx, k, j) }
	it.end = func() { w.note(w.stack, r, wordCreate+complete, "") }
	it.fail = func(reason string) { w.note(w.stack, r, wordCreate+failed, reason) }
	return it
}

// creation makes what a resource is to be, and takes its id over.
func (w *worker) creation(ctx context.Context, it *item, k *kind, j *job, r *resource) error {
	err := k.create(ctx, j)
	w.mu.Lock()
	defer w.mu.Unlock()
	r.physical, r.attributes = j.physical, j.attrs
	if err != nil {
		return err
	}
	if k.lag {
		it.waiting = w.cloud.Lag.Policies
		it.ready = it.ready.Add(it.waiting)
	}
	word, _, _ := strings.Cut(r.status, "_")
	w.note(w.stack, r, word+inProgress, "Resource creation Initiated")
	return nil
}

func ready(ctx context.Context, k *kind, j *job) (bool, error) {
	if k == nil || k.stable == nil {
		return true, nil
	}
	return k.stable(ctx, j)
}

// removal is an item that removes a resource. word is that of its events' statuses.
func (w *worker) removal(r *resource) *item {
	it := &item{name: r.logical, resource: r}
	k := kinds[r.kind]
	j := w.job(r)
	it.start = func(ctx context.Context) (bool, error) {
		if r.physical == "" {
			w.mu.Lock()
			w.note(w.stack, r, wordDelete+complete, "")
			w.mu.Unlock()
			return true, nil
		}
		w.mu.Lock()
		if r.retain {
			w.note(w.stack, r, wordDelete+skipped, "")
			w.mu.Unlock()
			return true, nil
		}
		w.note(w.stack, r, wordDelete+inProgress, "")
		w.mu.Unlock()
		if err := k.remove(ctx, j); err != nil && !isGone(err) {
			return false, err
		}
		return false, nil
	}
	it.check = func(ctx context.Context) (bool, error) {
		if k.gone == nil {
			return true, nil
		}
		return k.gone(ctx, j)
	}
	it.end = func() { w.note(w.stack, r, wordDelete+complete, "") }
	it.fail = func(reason string) { w.note(w.stack, r, wordDelete+failed, reason) }
	return it
}

// removals are items for resources, each after those that need it.
func (w *worker) removals(all []*resource) []*item {
	var out []*item
	for _, r := range all {
		it := w.removal(r)
		for _, other := range all {
			if other != r && slices.Contains(other.needs, r.logical) && other.logical != r.logical {
				it.needs = append(it.needs, other.logical)
			}
		}
		out = append(out, it)
	}
	return out
}

// finishOutputs evaluates the outputs.
func (w *worker) finishOutputs(sc *template.Scope) ([]output, error) {
	var out []output
	for _, name := range slices.Sorted(maps.Keys(w.plan.template.Outputs)) {
		o := w.plan.template.Outputs[name]
		yes, err := sc.Condition(o.Condition)
		if err != nil {
			return nil, err
		}
		if !yes {
			continue
		}
		value, err := sc.Evaluate(o.Value)
		if err != nil {
			return nil, err
		}
		text, single := value.(string)
		if !single {
			if text = textOf(value); text == "" {
				return nil, validation("Template format error: The Value field of every Outputs member must evaluate to a String.")
			}
		}
		one := output{OutputKey: name, OutputValue: text, Description: o.Description}
		if o.Export != nil {
			export, err := sc.Evaluate(o.Export)
			if err != nil {
				return nil, err
			}
			one.ExportName = textOf(export)
		}
		out = append(out, one)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return out, w.checkExports(out)
}

// checkExports refuses exports that others have, and the end of those that others import. Requires mu.
func (w *worker) checkExports(next []output) error {
	for _, other := range w.at(w.stack.place).order {
		if other == w.stack || !other.deleted.IsZero() {
			continue
		}
		for _, o := range other.outputs {
			if o.ExportName != "" && slices.ContainsFunc(next, func(n output) bool { return n.ExportName == o.ExportName }) {
				return validation("Export with name %s is already exported by stack %s.", o.ExportName, other.name)
			}
		}
		for _, o := range w.stack.outputs {
			if o.ExportName == "" || !slices.Contains(other.imports, o.ExportName) {
				continue
			}
			i := slices.IndexFunc(next, func(n output) bool { return n.ExportName == o.ExportName })
			switch {
			case i < 0:
				return validation("Export %s cannot be deleted as it is in use by %s", o.ExportName, other.name)
			case next[i].OutputValue != o.OutputValue:
				return validation("Export %s cannot be updated as it is in use by %s", o.ExportName, other.name)
			}
		}
	}
	return nil
}

// importsOf are the names of exports that a plan uses.
func importsOf(sc *template.Scope) []string {
	var all []any
	for _, name := range slices.Sorted(maps.Keys(sc.Template.Resources)) {
		all = append(all, sc.Template.Resources[name].Properties)
	}
	for _, name := range slices.Sorted(maps.Keys(sc.Template.Outputs)) {
		all = append(all, sc.Template.Outputs[name].Value)
	}
	var out []string
	for _, v := range template.Find(all).Imports {
		if name, err := sc.Evaluate(v); err == nil {
			out = append(out, textOf(name))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
