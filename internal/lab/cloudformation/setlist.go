package cloudformation

import (
	"context"
	"net/http"
	"slices"

	"example.org/catchment/internal/lab/wire"
)

type shownSet struct {
	StackSetName          string
	StackSetID            string `json:"StackSetId"`
	StackSetARN           string
	Description           string `json:",omitempty"`
	Status                string
	TemplateBody          string
	Parameters            []parameter
	Capabilities          []string
	Tags                  []tag
	AdministrationRoleARN string          `json:",omitempty"`
	ExecutionRoleName     string          `json:",omitempty"`
	AutoDeployment        *autoDeployment `json:",omitempty"`
	PermissionModel       string
	OrganizationalUnitIDs []string `json:"OrganizationalUnitIds"`
	ManagedExecution      managedExecution
	Regions               []string
}

type setOutput struct{ StackSet shownSet }

func (s *Service) describeSet(ctx context.Context, c *wire.Call, in *setInput) (*setOutput, error) {
	set, err := s.stackSet(ctx, c, in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := shownSet{
		StackSetName: set.name, StackSetID: set.id, StackSetARN: set.place.ARN(prefix, "stackset/"+set.id), Description: set.description, Status: "ACTIVE",
		TemplateBody: set.body, Parameters: set.parameters, Capabilities: set.given.capabilities, Tags: set.given.tags,
		AdministrationRoleARN: set.admin, ExecutionRoleName: set.role, PermissionModel: set.model, OrganizationalUnitIDs: set.units,
		ManagedExecution: set.managed, Regions: set.regions(),
	}
	if set.model == serviceManaged {
		auto := set.auto
		out.AutoDeployment = &auto
	}
	return &setOutput{out}, nil
}

type setSummary struct {
	StackSetName     string
	StackSetID       string `json:"StackSetId"`
	Description      string `json:",omitempty"`
	Status           string
	PermissionModel  string
	DriftStatus      string
	ManagedExecution managedExecution
}

type setListInput struct {
	StackSetName         string
	OperationID          string `json:"OperationId"`
	CallAs               string
	NextToken            string
	Status               string
	StackInstanceAccount string
	StackInstanceRegion  string
}

type setListOutput struct {
	Summaries []setSummary
	NextToken string `json:",omitempty"`
}

func (s *Service) listSets(ctx context.Context, c *wire.Call, in *setListInput) (*setListOutput, error) {
	at, err := s.setPlace(ctx, c, in.CallAs)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []setSummary
	for _, name := range slices.Sorted(keys(s.at(at).sets)) {
		set := s.at(at).sets[name]
		if in.Status == "" || in.Status == "ACTIVE" {
			all = append(all, setSummary{set.name, set.id, set.description, "ACTIVE", set.model, notChecked, set.managed})
		}
	}
	some, next, err := page(all, in.NextToken, pageSize)
	return &setListOutput{some, next}, err
}

type detailedStatus struct{ DetailedStatus string }

type shownInstance struct {
	StackSetID           string `json:"StackSetId"`
	Region               string
	Account              string
	StackID              string      `json:"StackId,omitempty"`
	ParameterOverrides   []parameter `json:",omitempty"`
	Status               string
	StatusReason         string `json:",omitempty"`
	StackInstanceStatus  detailedStatus
	OrganizationalUnitID string `json:"OrganizationalUnitId,omitempty"`
	DriftStatus          string
	LastOperationID      string `json:"LastOperationId,omitempty"`
}

func (one *instance) show(set *stackSet) shownInstance {
	return shownInstance{
		set.id, one.region, one.account, one.stackID, nil, one.status, one.reason, detailedStatus{one.detail}, one.unit, notChecked, one.operation,
	}
}

type instancesOutput struct {
	Summaries []shownInstance
	NextToken string `json:",omitempty"`
}

func (s *Service) listInstances(ctx context.Context, c *wire.Call, in *setListInput) (*instancesOutput, error) {
	set, err := s.stackSet(ctx, c, in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []shownInstance
	for _, one := range set.instances {
		if (in.StackInstanceAccount == "" || in.StackInstanceAccount == one.account) && (in.StackInstanceRegion == "" || in.StackInstanceRegion == one.region) {
			all = append(all, one.show(set))
		}
	}
	some, next, err := page(all, in.NextToken, pageSize)
	return &instancesOutput{some, next}, err
}

type instanceOutput struct{ StackInstance shownInstance }

func (s *Service) describeInstance(ctx context.Context, c *wire.Call, in *setListInput) (*instanceOutput, error) {
	set, err := s.stackSet(ctx, c, in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := set.find(in.StackInstanceAccount, in.StackInstanceRegion)
	if one == nil {
		return nil, wire.StatusErrorf(http.StatusNotFound, "StackInstanceNotFoundException", "Stack instance with account %.20s and region %.40s does not exist in stack set %s",
			in.StackInstanceAccount, in.StackInstanceRegion, set.name)
	}
	out := one.show(set)
	out.ParameterOverrides = one.overrides
	return &instanceOutput{out}, nil
}

type failedDetails struct{ FailedStackInstancesCount int }

type shownOperation struct {
	OperationID          string `json:"OperationId"`
	StackSetID           string `json:"StackSetId,omitempty"`
	Action               string
	Status               string
	OperationPreferences preferences
	RetainStacks         *bool `json:",omitempty"`
	CreationTimestamp    wire.Epoch
	EndTimestamp         wire.Epoch `json:",omitzero"`
	StatusReason         string     `json:",omitempty"`
	StatusDetails        failedDetails
}

func (o *setOperation) show() shownOperation {
	out := shownOperation{
		OperationID: o.id, Action: o.action, Status: o.status, OperationPreferences: o.preferences, CreationTimestamp: wire.Epoch{Time: o.created},
		EndTimestamp: wire.Epoch{Time: o.ended}, StatusReason: o.reason, StatusDetails: failedDetails{count(o.results, failedState)},
	}
	if o.action == wordDelete {
		out.RetainStacks = &o.retain
	}
	return out
}

type setOperationOutput struct{ StackSetOperation shownOperation }

// findOperation requires mu.
func (set *stackSet) findOperation(id string) (*setOperation, error) {
	for _, o := range set.operations {
		if o.id == id {
			return o, nil
		}
	}
	return nil, errNoOperation(id)
}

func (s *Service) describeSetOperation(ctx context.Context, c *wire.Call, in *setListInput) (*setOperationOutput, error) {
	set, err := s.stackSet(ctx, c, in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := set.findOperation(in.OperationID)
	if err != nil {
		return nil, err
	}
	out := o.show()
	out.StackSetID = set.id
	return &setOperationOutput{out}, nil
}

type operationsOutput struct {
	Summaries []shownOperation
	NextToken string `json:",omitempty"`
}

func (s *Service) listSetOperations(ctx context.Context, c *wire.Call, in *setListInput) (*operationsOutput, error) {
	set, err := s.stackSet(ctx, c, in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []shownOperation
	for _, o := range slices.Backward(set.operations) {
		all = append(all, o.show())
	}
	some, next, err := page(all, in.NextToken, pageSize)
	return &operationsOutput{some, next}, err
}

type shownResult struct {
	Account              string
	Region               string
	Status               string
	StatusReason         string `json:",omitempty"`
	OrganizationalUnitID string `json:"OrganizationalUnitId,omitempty"`
}

type resultsOutput struct {
	Summaries []shownResult
	NextToken string `json:",omitempty"`
}

func (s *Service) listResults(ctx context.Context, c *wire.Call, in *setListInput) (*resultsOutput, error) {
	set, err := s.stackSet(ctx, c, in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := set.findOperation(in.OperationID)
	if err != nil {
		return nil, err
	}
	var all []shownResult
	for _, r := range o.results {
		all = append(all, shownResult{r.instance.account, r.instance.region, r.status, r.reason, r.instance.unit})
	}
	some, next, err := page(all, in.NextToken, pageSize)
	return &resultsOutput{some, next}, err
}
