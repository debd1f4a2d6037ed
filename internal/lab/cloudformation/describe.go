package cloudformation

import (
	"context"
	"slices"
	"strconv"

	"example.org/catchment/internal/lab/wire"
)

// page gives one page of a list, and the token of the next; empty where it is the last.
func page[T any](all []T, token string, size int) ([]T, string, error) {
	start := 0
	if token != "" {
		var err error
		if start, err = strconv.Atoi(token); err != nil || start < 0 {
			return nil, "", validation("Invalid NextToken")
		}
	}
	start = min(start, len(all))
	end := min(start+size, len(all))
	if end == len(all) {
		return all[start:], "", nil
	}
	return all[start:end], strconv.Itoa(end), nil
}

// pageSize is how many of anything a page has.
const pageSize = 100

type driftInformation struct {
	StackDriftStatus   string
	LastCheckTimestamp wire.Epoch `json:",omitzero"`
}

type shownStack struct {
	StackID                     string `json:"StackId"`
	StackName                   string
	ChangeSetID                 string `json:"ChangeSetId,omitempty"`
	Description                 string `json:",omitempty"`
	Parameters                  []parameter
	CreationTime                wire.Epoch
	DeletionTime                wire.Epoch `json:",omitzero"`
	LastUpdatedTime             wire.Epoch `json:",omitzero"`
	RollbackConfiguration       nothing
	StackStatus                 string
	StackStatusReason           string `json:",omitempty"`
	DisableRollback             bool
	NotificationARNs            []string
	TimeoutInMinutes            int `json:",omitzero"`
	Capabilities                []string
	Outputs                     []output
	RoleARN                     string `json:",omitempty"`
	Tags                        []tag
	EnableTerminationProtection bool
	DriftInformation            driftInformation
}

// show requires mu.
func (st *stack) show() shownStack {
	p := st.plan
	return shownStack{
		StackID: st.id, StackName: st.name, Description: p.template.Description, Parameters: p.shown(), CreationTime: wire.Epoch{Time: st.created},
		DeletionTime: wire.Epoch{Time: st.deleted}, LastUpdatedTime: wire.Epoch{Time: st.updated}, StackStatus: st.status,
		StackStatusReason: st.reason, DisableRollback: st.disableRollback, NotificationARNs: p.topics, TimeoutInMinutes: st.timeout,
		Capabilities: p.capabilities, Outputs: st.outputs, RoleARN: p.role, Tags: p.tags, EnableTerminationProtection: st.protected,
		DriftInformation: driftInformation{st.drift, wire.Epoch{Time: st.driftChecked}},
	}
}

type describeStacksInput struct {
	StackName string
	NextToken string
}

type describeStacksOutput struct {
	Stacks    []shownStack
	NextToken string `json:",omitempty"`
}

func (s *Service) describeStacks(_ context.Context, c *wire.Call, in *describeStacksInput) (*describeStacksOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.StackName != "" {
		st, err := s.find(c.Place, in.StackName)
		if err != nil {
			return nil, err
		}
		return &describeStacksOutput{Stacks: []shownStack{st.show()}}, nil
	}
	var all []*stack
	for _, st := range slices.Backward(s.at(c.Place).order) {
		if st.deleted.IsZero() {
			all = append(all, st)
		}
	}
	some, next, err := page(all, in.NextToken, pageSize)
	out := &describeStacksOutput{NextToken: next}
	for _, st := range some {
		out.Stacks = append(out.Stacks, st.show())
	}
	return out, err
}

type stackSummary struct {
	StackID             string `json:"StackId"`
	StackName           string
	TemplateDescription string `json:",omitempty"`
	CreationTime        wire.Epoch
	LastUpdatedTime     wire.Epoch `json:",omitzero"`
	DeletionTime        wire.Epoch `json:",omitzero"`
	StackStatus         string
	StackStatusReason   string `json:",omitempty"`
	DriftInformation    driftInformation
}

type listStacksInput struct {
	StackStatusFilter []string
	NextToken         string
}

type listStacksOutput struct {
	StackSummaries []stackSummary
	NextToken      string `json:",omitempty"`
}

func (s *Service) listStacks(_ context.Context, c *wire.Call, in *listStacksInput) (*listStacksOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []stackSummary
	for _, st := range slices.Backward(s.at(c.Place).order) {
		if len(in.StackStatusFilter) > 0 && !slices.Contains(in.StackStatusFilter, st.status) {
			continue
		}
		all = append(all, stackSummary{
			st.id, st.name, st.plan.template.Description,
			wire.Epoch{Time: st.created},
			wire.Epoch{Time: st.updated},
			wire.Epoch{Time: st.deleted},
			st.status, st.reason,
			driftInformation{st.drift, wire.Epoch{Time: st.driftChecked}},
		})
	}
	some, next, err := page(all, in.NextToken, pageSize)
	return &listStacksOutput{some, next}, err
}

type describeEventsOutput struct {
	StackEvents []event
	NextToken   string `json:",omitempty"`
}

// describeEvents gives the newest first.
func (s *Service) describeEvents(_ context.Context, c *wire.Call, in *describeStacksInput) (*describeEventsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(st.events)
	slices.Reverse(all)
	some, next, err := page(all, in.NextToken, pageSize)
	return &describeEventsOutput{some, next}, err
}

type resourceDrift struct {
	StackResourceDriftStatus string
	LastCheckTimestamp       wire.Epoch `json:",omitzero"`
}

type shownResource struct {
	StackName            string `json:",omitempty"`
	StackID              string `json:"StackId,omitempty"`
	LogicalResourceID    string `json:"LogicalResourceId"`
	PhysicalResourceID   string `json:"PhysicalResourceId,omitempty"`
	ResourceType         string
	Timestamp            wire.Epoch `json:",omitzero"`
	LastUpdatedTimestamp wire.Epoch `json:",omitzero"`
	ResourceStatus       string
	ResourceStatusReason string `json:",omitempty"`
	Metadata             string `json:",omitempty"`
	DriftInformation     resourceDrift
}

func (r *resource) show() shownResource {
	return shownResource{
		LogicalResourceID: r.logical, PhysicalResourceID: r.physical, ResourceType: r.kind, ResourceStatus: r.status,
		ResourceStatusReason: r.reason, DriftInformation: resourceDrift{r.drift, wire.Epoch{Time: r.driftTime}},
	}
}

type resourcesInput struct {
	StackName          string
	LogicalResourceID  string `json:"LogicalResourceId"`
	PhysicalResourceID string `json:"PhysicalResourceId"`
	NextToken          string
}

type resourcesOutput struct{ StackResources []shownResource }

func (s *Service) describeResources(_ context.Context, c *wire.Call, in *resourcesInput) (*resourcesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.findByResource(c, in)
	if err != nil {
		return nil, err
	}
	out := &resourcesOutput{}
	for _, r := range st.sorted() {
		if in.LogicalResourceID != "" && in.LogicalResourceID != r.logical {
			continue
		}
		v := r.show()
		v.StackID, v.StackName, v.Timestamp = st.id, st.name, wire.Epoch{Time: r.changed}
		if len(out.StackResources) < pageSize {
			out.StackResources = append(out.StackResources, v)
		}
	}
	return out, nil
}

// findByResource finds a stack by its name, or by the physical id of a resource. Requires mu.
func (s *Service) findByResource(c *wire.Call, in *resourcesInput) (*stack, error) {
	if in.StackName != "" || in.PhysicalResourceID == "" {
		return s.find(c.Place, in.StackName)
	}
	for _, st := range s.at(c.Place).order {
		for _, r := range st.resources {
			if r.physical == in.PhysicalResourceID && st.deleted.IsZero() {
				return st, nil
			}
		}
	}
	return nil, validation("Stack for %s does not exist", in.PhysicalResourceID)
}

type listResourcesOutput struct {
	StackResourceSummaries []shownResource
	NextToken              string `json:",omitempty"`
}

func (s *Service) listResources(_ context.Context, c *wire.Call, in *resourcesInput) (*listResourcesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	var all []shownResource
	for _, r := range st.sorted() {
		v := r.show()
		v.LastUpdatedTimestamp = wire.Epoch{Time: r.changed}
		all = append(all, v)
	}
	some, next, err := page(all, in.NextToken, pageSize)
	return &listResourcesOutput{some, next}, err
}

type resourceOutput struct{ StackResourceDetail shownResource }

func (s *Service) describeResource(_ context.Context, c *wire.Call, in *resourcesInput) (*resourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	r := st.resources[in.LogicalResourceID]
	if r == nil {
		return nil, validation("Resource %s does not exist for stack %s", in.LogicalResourceID, st.name)
	}
	v := r.show()
	v.StackID, v.StackName, v.LastUpdatedTimestamp = st.id, st.name, wire.Epoch{Time: r.changed}
	if written := st.plan.template.Resources[r.logical]; written != nil {
		v.Metadata = jsonText(written.Metadata)
	}
	return &resourceOutput{v}, nil
}
