package cloudformation

import (
	"maps"
	"regexp"
	"slices"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/cloudformation/template"
	"example.org/catchment/internal/lab/wire"
)

// The states of stacks and resources are these words with IN_PROGRESS, COMPLETE or FAILED after them.
const (
	reviewInProgress = "REVIEW_IN_PROGRESS"
	inProgress       = "_IN_PROGRESS"
	complete         = "_COMPLETE"
	failed           = "_FAILED"
	skipped          = "_SKIPPED"

	wordCreate   = "CREATE"
	wordUpdate   = "UPDATE"
	wordDelete   = "DELETE"
	wordRollback = "ROLLBACK"
	wordUndo     = "UPDATE_ROLLBACK"
	wordCleanup  = "_COMPLETE_CLEANUP_IN_PROGRESS"
)

type tag struct{ Key, Value string }

type output struct {
	OutputKey   string
	OutputValue string
	Description string `json:",omitempty"`
	ExportName  string `json:",omitempty"`
}

// A plan is what a stack is, or is to become.
type plan struct {
	body         string
	template     *template.Template
	arguments    map[string]string
	tags         []tag
	capabilities []string
	role         string
	topics       []string // NotificationARNs
	takes        bool     // ImportExistingResources
}

// A stack is one stack. Its plan, resources and outputs are changed by tasks of the clock only, under the service's mutex.
type stack struct {
	place   cloud.Place
	id      string
	name    string
	plan    *plan
	created time.Time
	updated time.Time
	deleted time.Time
	status  string
	reason  string

	resources map[string]*resource // by logical id
	outputs   []output
	imports   []string // names of exports that it uses
	events    []event  // oldest first
	sets      map[string]*changeSet
	setOrder  []*changeSet

	disableRollback bool
	onFailure       string
	timeout         int // minutes; 0: none
	protected       bool
	policy          string
	busy            bool
	cancelled       bool
	undone          *undoing // of an update whose rollback failed
	setID           string   // of the StackSet that it belongs to

	drift        string // IN_SYNC, DRIFTED, NOT_CHECKED
	driftChecked time.Time
}

// A resource is one of a stack that was, is or will be there.
type resource struct {
	logical  string
	kind     string
	physical string
	status   string
	reason   string
	changed  time.Time

	properties map[string]any // evaluated
	attributes map[string]any // that Fn::GetAtt gives
	needs      []string       // logical ids
	retain     bool           // DeletionPolicy
	keep       bool           // UpdateReplacePolicy

	drift       string
	driftTime   time.Time
	actual      map[string]any // when drift was last looked for
	differences []difference
}

// An event is one of a stack's.
type event struct {
	StackID              string `json:"StackId"`
	EventID              string `json:"EventId"`
	StackName            string
	LogicalResourceID    string `json:"LogicalResourceId"`
	PhysicalResourceID   string `json:"PhysicalResourceId"`
	ResourceType         string
	Timestamp            wire.Epoch
	ResourceStatus       string
	ResourceStatusReason string `json:",omitempty"`
	ResourceProperties   string `json:",omitempty"`
	ClientRequestToken   string `json:",omitempty"`
}

// maxEvents is how many events of a stack are remembered: the newest.
const maxEvents = 5000

const stackType = "AWS::CloudFormation::Stack"

func (s *Service) addEvent(st *stack, e event) {
	e.StackID, e.StackName, e.EventID = st.id, st.name, s.cloud.UUID("stack event")
	e.Timestamp = wire.Epoch{Time: s.cloud.Clock.Now()}
	if len(st.events) >= maxEvents {
		st.events = slices.Delete(st.events, 0, maxEvents/10)
	}
	st.events = append(st.events, e)
}

// become gives a stack another status. Requires mu.
func (s *Service) become(st *stack, status, reason string) {
	st.status, st.reason = status, reason
	s.addEvent(st, event{
		LogicalResourceID: st.name, PhysicalResourceID: st.id, ResourceType: stackType, ResourceStatus: status, ResourceStatusReason: reason,
	})
}

// note gives a resource another status. Requires mu.
func (s *Service) note(st *stack, r *resource, status, reason string) {
	r.status, r.reason, r.changed = status, reason, s.cloud.Clock.Now()
	s.addEvent(st, event{
		LogicalResourceID: r.logical, PhysicalResourceID: r.physical, ResourceType: r.kind, ResourceStatus: status, ResourceStatusReason: reason,
		ResourceProperties: jsonText(r.properties),
	})
}

var stackName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

func checkStackName(name string) error {
	if !stackName.MatchString(name) {
		return validation("1 validation error detected: Value '%.200s' at 'stackName' failed to satisfy constraint: Member must satisfy "+
			"regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	return nil
}

// find looks a stack up by its name, or its id, by which deleted ones are found too. Requires mu.
func (s *Service) find(p cloud.Place, name string) (*stack, error) {
	c := s.at(p)
	if st := c.stacks[name]; st != nil {
		return st, nil
	}
	if st := c.byID[name]; st != nil {
		return st, nil
	}
	if name == "" {
		return nil, validation("1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member must not be null")
	}
	return nil, validation("Stack with id %s does not exist", name)
}

// newStack takes a new stack in. Requires mu.
func (s *Service) newStack(p cloud.Place, name string) (*stack, error) {
	c := s.at(p)
	if len(c.stacks) >= maxStacks {
		return nil, wire.Errorf("LimitExceededException", "Limit for stack has been exceeded")
	}
	st := &stack{
		place: p, name: name, created: s.cloud.Clock.Now(), resources: make(map[string]*resource), sets: make(map[string]*changeSet),
		drift: notChecked, plan: &plan{template: &template.Template{}},
	}
	st.id = p.ARN(prefix, "stack/"+name+"/"+s.cloud.UUID("stack"))
	c.stacks[name], c.byID[st.id] = st, st
	c.order = append(c.order, st)
	return st, nil
}

// bury makes a stack one that was deleted. Requires mu.
func (s *Service) bury(st *stack) {
	st.deleted = s.cloud.Clock.Now()
	c := s.at(st.place)
	if c.stacks[st.name] == st {
		delete(c.stacks, st.name)
	}
	gone := len(c.order) - len(c.stacks)
	if gone <= maxDeleted {
		return
	}
	i := slices.IndexFunc(c.order, func(st *stack) bool { return !st.deleted.IsZero() })
	delete(c.byID, c.order[i].id)
	c.order = slices.Delete(c.order, i, i+1)
}

func (st *stack) sorted() []*resource {
	var out []*resource
	for _, name := range slices.Sorted(maps.Keys(st.resources)) {
		out = append(out, st.resources[name])
	}
	return out
}

// scope is what a plan's template is evaluated against: the stack's resources as they are now.
func (s *Service) scope(st *stack, p *plan) *template.Scope {
	topics := []any{}
	for _, topic := range p.topics {
		topics = append(topics, topic)
	}
	sc := &template.Scope{
		Template: p.template, Arguments: p.arguments,
		Pseudo: map[string]any{
			template.AccountID: st.place.Account, template.Region: st.place.Region, template.Partition: st.place.Partition,
			template.StackID: st.id, template.StackName: st.name, template.URLSuffix: cloud.DNSSuffix(st.place.Partition),
			template.NotificationARNs: topics,
		},
		Import: func(name string) (string, error) { return s.exported(st, name) },
		Zones: func(region string) []string {
			return []string{region + "a", region + "b", region + "c"}
		},
	}
	sc.Ref = func(name string) (any, error) {
		r := st.resources[name]
		if r == nil || r.physical == "" {
			return nil, validation("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", name)
		}
		return r.ref(), nil
	}
	sc.Attribute = func(name, attribute string) (any, error) {
		r := st.resources[name]
		if r == nil || r.physical == "" {
			return nil, validation("Template error: instance of Fn::GetAtt references undefined resource %s", name)
		}
		return r.attribute(attribute)
	}
	return sc
}

// ref is what Ref stands for.
func (r *resource) ref() any {
	if v, ok := r.attributes[refAttribute]; ok {
		return v
	}
	return r.physical
}

// refAttribute keeps, among the attributes, what Ref gives where that is not the physical id.
const refAttribute = "\x00ref"

func (r *resource) attribute(name string) (any, error) {
	if v, ok := r.attributes[name]; ok && name != refAttribute {
		return v, nil
	}
	return nil, validation("Template error: resource %s does not support attribute type %s in Fn::GetAtt", r.logical, name)
}

// exported is Fn::ImportValue. It takes mu.
func (s *Service) exported(by *stack, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.at(by.place).order {
		for _, o := range st.outputs {
			if o.ExportName == name && st.deleted.IsZero() && st != by {
				return o.OutputValue, nil
			}
		}
	}
	return "", validation("No export named %s found.", name)
}
