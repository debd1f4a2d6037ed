package cloudformation

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/cloudformation/template"
	"example.org/catchment/internal/lab/wire"
)

// A changeSet is what would become of a stack.
type changeSet struct {
	id, name, description string
	kind                  string // CREATE or UPDATE
	created               time.Time
	status, reason        string
	execution             string
	plan                  *plan
	changes               []change
	onFailure             string
	live                  map[string]liveState // with REVERT_DRIFT: what differs from the template
}

// The states of a change set's execution.
const (
	unavailable      = "UNAVAILABLE"
	available        = "AVAILABLE"
	executeComplete  = "EXECUTE" + complete
	executeObsolete  = "OBSOLETE"
	noChangesMessage = "The submitted information didn't contain changes. Submit different information to create a change set."
)

type change struct {
	Type           string
	ResourceChange resourceChange
}

type resourceChange struct {
	Action             string
	LogicalResourceID  string `json:"LogicalResourceId"`
	PhysicalResourceID string `json:"PhysicalResourceId,omitempty"`
	ResourceType       string
	Replacement        string `json:",omitempty"`
	Scope              []string
	Details            []changeDetail
	PolicyAction       string `json:",omitempty"`
}

type changeDetail struct {
	Target       changeTarget
	Evaluation   string
	ChangeSource string
	CausingEntry string `json:"CausingEntity,omitempty"`
}

type changeTarget struct {
	Attribute          string
	Name               string `json:",omitempty"`
	RequiresRecreation string
	BeforeValue        string `json:",omitempty"`
	AfterValue         string `json:",omitempty"`
}

// preview evaluates a plan's template before anything is done: what is new or will be replaced is not known yet.
func (s *Service) preview(st *stack, p *plan) (*template.Scope, map[string]bool) {
	sc := s.scope(st, p)
	fresh := make(map[string]bool) // resources whose ids are not known
	for name, r := range p.template.Resources {
		if old := st.resources[name]; old == nil || old.physical == "" || old.kind != r.Type {
			fresh[name] = true
		}
	}
	ref, attribute := sc.Ref, sc.Attribute
	sc.Ref = func(name string) (any, error) {
		if fresh[name] {
			return template.Unknown, nil
		}
		return ref(name)
	}
	sc.Attribute = func(name, a string) (any, error) {
		if fresh[name] {
			return template.Unknown, nil
		}
		return attribute(name, a)
	}
	return sc, fresh
}

// changes are those that a plan would make to a stack, in the order of logical ids.
func (s *Service) changes(st *stack, p *plan) ([]change, error) {
	sc, fresh := s.preview(st, p)
	w := &worker{Service: s, stack: st, plan: p}
	names, err := w.included(sc)
	if err != nil {
		return nil, validation("%s", s.reasonOf(err))
	}
	found := make(map[string]resourceChange)
	for _, name := range s.inOrder(p, names) {
		c, err := w.preview(sc, name)
		if err != nil {
			return nil, validation("%s", s.reasonOf(err))
		}
		if c.Replacement == "True" {
			fresh[name] = true
		}
		if c.Action != "" {
			found[name] = c
		}
	}
	for name, old := range st.resources {
		if old.physical != "" && !slices.Contains(names, name) {
			c := resourceChange{Action: "Remove", LogicalResourceID: name, PhysicalResourceID: old.physical, ResourceType: old.kind, PolicyAction: "Delete"}
			if old.retain {
				c.PolicyAction = "Retain"
			}
			found[name] = c
		}
	}
	var out []change
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, change{"Resource", found[name]})
	}
	return out, nil
}

// inOrder puts names of resources so that each comes after those that it needs.
func (s *Service) inOrder(p *plan, names []string) []string {
	var out []string
	for len(out) < len(names) {
		for _, name := range names {
			ready := !slices.ContainsFunc(p.template.Resources[name].Needs(), func(n string) bool {
				return slices.Contains(names, n) && !slices.Contains(out, n)
			})
			if ready && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// preview tells what would become of a resource. The action is empty where nothing would.
func (w *worker) preview(sc *template.Scope, name string) (resourceChange, error) {
	next, k, err := w.wanted(sc, name)
	if err != nil {
		return resourceChange{}, err
	}
	old := w.stack.resources[name]
	if old == nil || old.physical == "" {
		return resourceChange{Action: "Add", LogicalResourceID: name, ResourceType: next.kind}, nil
	}
	out := resourceChange{LogicalResourceID: name, PhysicalResourceID: old.physical, ResourceType: next.kind, Replacement: "False"}
	if old.kind != next.kind {
		out.Action, out.Replacement = "Modify", "True"
		return out, nil
	}
	what := compare(old, next, k)
	for _, property := range what.names {
		d := changeDetail{Target: changeTarget{Attribute: "Properties", Name: property, RequiresRecreation: "Never"}, Evaluation: "Static", ChangeSource: "DirectModification"}
		d.Target.BeforeValue, d.Target.AfterValue = shownValue(old.properties[property]), shownValue(next.properties[property])
		unknown := template.IsUnknown(next.properties[property])
		if unknown {
			d.Evaluation, d.ChangeSource = "Dynamic", "ResourceReference"
		}
		if k.schema[property].replaces || k.update == nil {
			d.Target.RequiresRecreation = "Always"
			switch {
			case !unknown:
				out.Replacement = "True"
			case out.Replacement == "False":
				out.Replacement = "Conditional"
			}
		}
		out.Details = append(out.Details, d)
	}
	if k.replace != nil && k.replace(old.properties, next.properties) {
		out.Replacement = "True"
	}
	if len(what.names) > 0 {
		out.Action, out.Scope = "Modify", []string{"Properties"}
	} else if w.tagsChanged() && k.tagged() {
		out.Action, out.Scope = "Modify", []string{"Tags"}
		out.Details = []changeDetail{{changeTarget{Attribute: "Tags", RequiresRecreation: "Never"}, "Static", "DirectModification", ""}}
	}
	if out.Replacement == "True" {
		out.PolicyAction = "ReplaceAndDelete"
		if next.keep {
			out.PolicyAction = "ReplaceAndRetain"
		}
	}
	return out, nil
}

func shownValue(v any) string {
	if text := textOf(v); text != "" {
		return text
	}
	return jsonText(v)
}

type createChangeSetInput struct {
	planInput
	ChangeSetName  string
	ChangeSetType  string
	Description    string
	OnStackFailure string
	DeploymentMode string

	ImportExistingResources bool
}

type changeSetID struct {
	ID      string `json:"Id"`
	StackID string `json:"StackId"`
}

var changeSetName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

func (s *Service) createChangeSet(ctx context.Context, c *wire.Call, in *createChangeSetInput) (*changeSetID, error) {
	if !changeSetName.MatchString(in.ChangeSetName) {
		return nil, validation("1 validation error detected: Value '%.200s' at 'changeSetName' failed to satisfy constraint: Member must satisfy "+
			"regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", in.ChangeSetName)
	}
	kind := in.ChangeSetType
	switch kind {
	case "":
		kind = wordUpdate
	case wordCreate, wordUpdate:
	default:
		return nil, validation("ChangeSetType %s: the lab's CloudFormation has CREATE and UPDATE", kind)
	}
	if in.DeploymentMode != "" && (in.DeploymentMode != revertDrift || kind != wordUpdate) {
		return nil, validation("DeploymentMode %s: expected %s, with ChangeSetType %s", in.DeploymentMode, revertDrift, wordUpdate)
	}
	s.mu.Lock()
	st, err := s.find(c.Place, in.StackName)
	there := err == nil && st.deleted.IsZero()
	switch {
	case kind == wordUpdate && !there:
		err = validation("Stack [%s] does not exist", in.StackName)
	case kind == wordUpdate && st.status == reviewInProgress:
		err = validation("Stack:%s is in %s state and can not be updated.", st.id, st.status)
	case kind == wordUpdate:
		err = st.checkUpdatable()
	case there && st.status != reviewInProgress:
		err = validation("Stack [%s] already exists and cannot be created again with the changeSet [%s].", in.StackName, in.ChangeSetName)
	default:
		err = checkStackName(in.StackName)
		if there {
			err = nil
		}
	}
	if err == nil && there && st.sets[in.ChangeSetName] != nil {
		err = wire.Errorf("AlreadyExistsException", "ChangeSet %s already exists", in.ChangeSetName)
	}
	var before *plan
	if err == nil && kind == wordUpdate {
		before = st.plan
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	p, err := s.newPlan(ctx, c, &in.planInput, before)
	if err != nil {
		return nil, err
	}
	p.takes = in.ImportExistingResources
	who, err := s.identity(c.Who, c.Account, p.role)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !there {
		if st, err = s.newStack(c.Place, in.StackName); err != nil {
			return nil, err
		}
		s.become(st, reviewInProgress, "User Initiated")
	}
	return s.addChangeSet(&worker{Service: s, stack: st, plan: p, who: who}, in, kind), nil
}

// addChangeSet requires mu.
func (s *Service) addChangeSet(w *worker, in *createChangeSetInput, kind string) *changeSetID {
	st, p := w.stack, w.plan
	set := &changeSet{
		name: in.ChangeSetName, description: in.Description, kind: kind, created: s.cloud.Clock.Now(), status: "CREATE_PENDING",
		execution: unavailable, plan: p, onFailure: in.OnStackFailure,
	}
	set.id = st.place.ARN(prefix, "changeSet/"+set.name+"/"+s.cloud.UUID("change set"))
	st.sets[set.name] = set
	st.setOrder = append(st.setOrder, set)
	s.cloud.Clock.Go(func(ctx context.Context) {
		base := st
		if in.DeploymentMode == revertDrift {
			set.live = w.live(ctx)
			base = st.as(set.live)
		}
		found, err := s.changes(base, p)
		s.mu.Lock()
		defer s.mu.Unlock()
		set.changes = found
		switch {
		case err != nil:
			set.status, set.reason = failedState, s.reasonOf(err)
		case len(found) == 0 && kind == wordUpdate && st.sameBut(p):
			set.status, set.reason = failedState, noChangesMessage
		default:
			set.status, set.execution = wordCreate+complete, available
		}
	})
	return &changeSetID{set.id, st.id}
}

type changeSetInput struct {
	StackName       string
	ChangeSetName   string
	NextToken       string
	DisableRollback *bool
}

// findSet looks a change set up by its name and stack, or by its id. Requires mu.
func (s *Service) findSet(p cloud.Place, in *changeSetInput) (*stack, *changeSet, error) {
	missing := wire.StatusErrorf(http.StatusNotFound, "ChangeSetNotFound", "ChangeSet [%s] does not exist", in.ChangeSetName)
	if strings.HasPrefix(in.ChangeSetName, "arn:") {
		for _, st := range s.at(p).order {
			for _, set := range st.setOrder {
				if set.id == in.ChangeSetName {
					return st, set, nil
				}
			}
		}
		return nil, nil, missing
	}
	if in.StackName == "" {
		return nil, nil, validation("StackName must be specified if ChangeSetName is not specified as an ARN.")
	}
	st, err := s.find(p, in.StackName)
	if err != nil {
		return nil, nil, err
	}
	if set := st.sets[in.ChangeSetName]; set != nil {
		return st, set, nil
	}
	return nil, nil, missing
}

func (s *Service) executeChangeSet(_ context.Context, c *wire.Call, in *changeSetInput) (*nothing, error) {
	s.mu.Lock()
	st, set, err := s.findSet(c.Place, in)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	w, err := s.worker(c, st, set.plan)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if set.execution != available {
		return nil, wire.Errorf("InvalidChangeSetStatus", "ChangeSet [%s] cannot be executed in its current status of [%s]", set.id, set.status)
	}
	if st.busy || set.kind == wordUpdate && st.checkUpdatable() != nil {
		return nil, validation("Stack:%s is in %s state and can not be updated.", st.id, st.status)
	}
	for _, other := range st.sets {
		other.execution = executeObsolete
	}
	set.execution = executeComplete
	st.sets = make(map[string]*changeSet) // AWS deletes those of the stack
	st.disableRollback = in.DisableRollback != nil && *in.DisableRollback || set.onFailure == onFailureNothing
	if set.kind == wordUpdate {
		st.resources = st.as(set.live).resources
		s.beginUpdate(w)
		return nil, nil
	}
	st.plan, st.busy, st.created, st.onFailure = set.plan, true, s.cloud.Clock.Now(), set.onFailure
	s.become(st, wordCreate+inProgress, "User Initiated")
	s.cloud.Clock.Go(func(context.Context) { w.startCreate() })
	return nil, nil
}

func (s *Service) deleteChangeSet(_ context.Context, c *wire.Call, in *changeSetInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, set, err := s.findSet(c.Place, in)
	if e, ok := err.(*wire.Error); ok && e.Code == "ChangeSetNotFound" { //nolint:errorlint // findSet wraps nothing
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	delete(st.sets, set.name)
	st.setOrder = slices.DeleteFunc(st.setOrder, func(other *changeSet) bool { return other == set })
	return nil, nil
}
