package cloudformation

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// How a StackSet gets into its accounts: by the organisation, or by roles that are there.
const (
	serviceManaged = "SERVICE_MANAGED"
	selfManaged    = "SELF_MANAGED"
)

// The principals that Organizations knows StackSets by, and the roles of self-managed ones.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-prereqs-self-managed.html
const (
	trusted     = "member.org.stacksets.cloudformation.amazonaws.com"
	adminRole   = "AWSCloudFormationStackSetAdministrationRole"
	executeRole = "AWSCloudFormationStackSetExecutionRole"
)

type autoDeployment struct {
	Enabled                      bool
	RetainStacksOnAccountRemoval bool
}

type managedExecution struct{ Active bool }

// A stackSet is stacks of one template in many accounts and regions.
type stackSet struct {
	id, name    string
	place       cloud.Place // of its administrator
	description string
	body        string
	parameters  []parameter
	given       *plan // for the template
	admin, role string
	model       string
	auto        autoDeployment
	managed     managedExecution
	units       []string // that it was deployed to
	instances   []*instance
	operations  []*setOperation
}

// An instance is a stack of a StackSet, that is or is to be there.
type instance struct {
	account, region string
	unit            string
	stackID         string
	status          string // CURRENT, OUTDATED, INOPERABLE
	detail          string
	reason          string
	overrides       []parameter
	operation       string
}

const (
	current    = "CURRENT"
	outdated   = "OUTDATED"
	inoperable = "INOPERABLE"

	succeeded   = "SUCCEEDED"
	failedState = "FAILED"
	runningText = "RUNNING"
	waitingText = "PENDING"
	cancelled   = "CANCELLED"
)

// maxOperations is how many operations of a StackSet are remembered: the newest.
const maxOperations = 200

func (s *Service) setOperations() map[string]wire.Operation {
	of := func(c *wire.Call) string { return c.ARN(prefix, "stackset/"+c.HTTP.Form.Get("StackSetName")+":*") }
	return map[string]wire.Operation{
		"CreateStackInstances":         {Resource: of, Do: wire.Do(s.createInstances)},
		"CreateStackSet":               {Resource: of, Do: wire.Do(s.createSet)},
		"DeleteStackInstances":         {Resource: of, Do: wire.Do(s.deleteInstances)},
		"DeleteStackSet":               {Resource: of, Do: wire.Do(s.deleteSet)},
		"DescribeStackInstance":        {Resource: of, Do: wire.Do(s.describeInstance)},
		"DescribeStackSet":             {Resource: of, Do: wire.Do(s.describeSet)},
		"DescribeStackSetOperation":    {Resource: of, Do: wire.Do(s.describeSetOperation)},
		"ListStackInstances":           {Resource: of, Do: wire.Do(s.listInstances)},
		"ListStackSetOperationResults": {Resource: of, Do: wire.Do(s.listResults)},
		"ListStackSetOperations":       {Resource: of, Do: wire.Do(s.listSetOperations)},
		"ListStackSets":                {Do: wire.Do(s.listSets)},
		"UpdateStackInstances":         {Resource: of, Do: wire.Do(s.updateInstances)},
		"UpdateStackSet":               {Resource: of, Do: wire.Do(s.updateSet)},
	}
}

type setInput struct {
	StackSetName          string
	Description           *string
	TemplateBody          string
	TemplateURL           string
	UsePreviousTemplate   bool
	Parameters            []parameter
	Capabilities          []string
	Tags                  []tag
	AdministrationRoleARN string
	ExecutionRoleName     string
	PermissionModel       string
	AutoDeployment        *autoDeployment
	ManagedExecution      *managedExecution
	CallAs                string
	targetInput
}

var setName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// setPlace is where a StackSet is kept: those of the organisation are its management account's, whoever asks.
func (s *Service) setPlace(ctx context.Context, c *wire.Call, callAs string) (cloud.Place, error) {
	switch callAs {
	case "", "SELF":
		return c.Place, nil
	case "DELEGATED_ADMIN":
	default:
		return c.Place, validation("CallAs %s: expected SELF or DELEGATED_ADMIN", callAs)
	}
	_, management := s.cloud.Accounts.Organization()
	out, err := s.askOrganization(ctx, "ListDelegatedAdministrators", "DelegatedAdministrators", map[string]any{"ServicePrincipal": trusted})
	if err != nil {
		return c.Place, err
	}
	for _, v := range out {
		if textOf(object(v)["Id"]) == c.Account {
			return s.cloud.Accounts.Place(management, c.Region), nil
		}
	}
	return c.Place, validation("You must be a delegated administrator to call this operation as one: account %s is not", c.Account)
}

// askOrganization gives all pages of a list of Organizations, as the management account.
func (s *Service) askOrganization(ctx context.Context, operation, member string, in map[string]any) ([]any, error) {
	_, management := s.cloud.Accounts.Organization()
	if management == "" {
		return nil, validation("You must enable organizations access to operate a service managed stack set")
	}
	j := &job{service: s, who: s.cloud.Accounts.Credential(management).Who, place: s.cloud.Accounts.Place(management, cloud.HomeRegion(s.cloud.Partition))}
	var all []any
	for {
		out, err := j.call(ctx, "organizations", operation, in)
		if err != nil {
			return nil, validation("%v", err)
		}
		all = append(all, listOf(out[member])...)
		if textOf(out["NextToken"]) == "" {
			return all, nil
		}
		in["NextToken"] = out["NextToken"]
	}
}

// checkModel asks whether the caller may have StackSets of a permission model.
func (s *Service) checkModel(ctx context.Context, at cloud.Place, model string) error {
	switch model {
	case selfManaged:
		return nil
	case serviceManaged:
	default:
		return validation("PermissionModel %.40q: expected SERVICE_MANAGED or SELF_MANAGED", model)
	}
	if _, management := s.cloud.Accounts.Organization(); management != at.Account {
		return validation("You must be the management account or delegated admin account of an organization before operating a SERVICE_MANAGED stack set")
	}
	services, err := s.askOrganization(ctx, "ListAWSServiceAccessForOrganization", "EnabledServicePrincipals", map[string]any{})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(services, func(v any) bool { return textOf(object(v)["ServicePrincipal"]) == trusted }) {
		return validation("You must enable organizations access to operate a service managed stack set")
	}
	return nil
}

type setIDOutput struct {
	ID string `json:"StackSetId"`
}

func (s *Service) createSet(ctx context.Context, c *wire.Call, in *setInput) (*setIDOutput, error) {
	if !setName.MatchString(in.StackSetName) {
		return nil, validation("1 validation error detected: Value '%.200s' at 'stackSetName' failed to satisfy constraint: Member must satisfy "+
			"regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", in.StackSetName)
	}
	at, err := s.setPlace(ctx, c, in.CallAs)
	if err != nil {
		return nil, err
	}
	set := &stackSet{name: in.StackSetName, place: at, model: cmp.Or(in.PermissionModel, selfManaged)}
	if err := s.checkModel(ctx, at, set.model); err != nil {
		return nil, err
	}
	if err := s.fill(ctx, c, set, in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at(at).sets[set.name] != nil {
		return nil, wire.StatusErrorf(http.StatusConflict, "NameAlreadyExistsException", "StackSet %s already exists", set.name)
	}
	if len(s.at(at).sets) >= maxStacks {
		return nil, wire.Errorf("LimitExceededException", "Limit for stack sets has been exceeded")
	}
	set.id = set.name + ":" + s.cloud.UUID("stack set")
	s.at(at).sets[set.name] = set
	return &setIDOutput{set.id}, nil
}

// fill takes over what a request says of a StackSet.
func (s *Service) fill(ctx context.Context, c *wire.Call, set *stackSet, in *setInput) error {
	p, err := s.newPlan(ctx, c, &planInput{
		TemplateBody: in.TemplateBody, TemplateURL: in.TemplateURL, UsePreviousTemplate: in.UsePreviousTemplate, Parameters: in.Parameters,
		Capabilities: in.Capabilities, Tags: in.Tags,
	}, set.given)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	set.given, set.body, set.parameters = p, p.body, p.shown()
	if in.Description != nil {
		set.description = *in.Description
	}
	set.admin = cmp.Or(in.AdministrationRoleARN, set.admin)
	set.role = cmp.Or(in.ExecutionRoleName, set.role)
	if in.AutoDeployment != nil {
		set.auto = *in.AutoDeployment
	}
	if in.ManagedExecution != nil {
		set.managed = *in.ManagedExecution
	}
	return nil
}

// findSetByName finds a StackSet by its name or id. Requires mu.
func (s *Service) findStackSet(at cloud.Place, name string) (*stackSet, error) {
	short, _, _ := strings.Cut(name, ":")
	set := s.at(at).sets[short]
	if set == nil || short != name && set.id != name {
		return nil, wire.StatusErrorf(http.StatusNotFound, "StackSetNotFoundException", "StackSet %.200s not found", name)
	}
	return set, nil
}

// stackSet is findStackSet for a call.
func (s *Service) stackSet(ctx context.Context, c *wire.Call, name, callAs string) (*stackSet, error) {
	at, err := s.setPlace(ctx, c, callAs)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.findStackSet(at, name)
}

func (s *Service) updateSet(ctx context.Context, c *wire.Call, in *setInput) (*operationIDOutput, error) {
	set, err := s.stackSet(ctx, c, in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	if in.PermissionModel != "" && in.PermissionModel != set.model {
		return nil, validation("The permission model of a stack set cannot be changed")
	}
	if err := s.idle(set, in.OperationID); err != nil {
		return nil, err
	}
	if err := s.fill(ctx, c, set, in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range set.instances {
		one.status = outdated
	}
	return s.startOperation(set, wordUpdate, slices.Clone(set.instances), &in.targetInput), nil
}

func (s *Service) deleteSet(ctx context.Context, c *wire.Call, in *setInput) (*nothing, error) {
	set, err := s.stackSet(ctx, c, in.StackSetName, in.CallAs)
	if e, ok := err.(*wire.Error); ok && e.Code == "StackSetNotFoundException" { //nolint:errorlint // findStackSet wraps nothing
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.idle(set, in.OperationID); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(set.instances) > 0 {
		return nil, wire.StatusErrorf(http.StatusConflict, "StackSetNotEmptyException", "StackSet is not empty")
	}
	delete(s.at(set.place).sets, set.name)
	return nil, nil
}

// idle refuses while an operation is under way, but for managed execution, and an id that an operation has already.
func (s *Service) idle(set *stackSet, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := set.findOperation(id); err == nil {
		return wire.StatusErrorf(http.StatusConflict, "OperationIdAlreadyExistsException", "Operation with id %s already exists", id)
	}
	busy := slices.ContainsFunc(set.operations, func(o *setOperation) bool { return o.status == runningText })
	if busy && !set.managed.Active {
		return wire.StatusErrorf(http.StatusConflict, "OperationInProgressException",
			"Another Operation on StackSet %s is in progress", set.id)
	}
	return nil
}

// planFor is what the stack of an instance is to be.
func (s *Service) planFor(set *stackSet, one *instance) (*plan, error) {
	p := *set.given
	given := make(map[string]string)
	for name, value := range p.arguments {
		given[name] = value
	}
	for _, o := range one.overrides {
		if o.ParameterValue != nil {
			given[o.ParameterKey] = *o.ParameterValue
		}
	}
	var err error
	if p.arguments, err = p.template.Arguments(given); err != nil {
		return nil, validation("%s", err)
	}
	p.topics = nil
	return &p, nil
}

// executor is who makes the stacks of a StackSet in an account.
func (s *Service) executor(set *stackSet, account string) (cloud.Identity, error) {
	if set.model == serviceManaged {
		name := "stacksets-exec-" + strings.ReplaceAll(set.id[len(set.name)+1:], "-", "")
		return cloud.Identity{
			Kind: cloud.User, Account: account, ID: "AROALABSTACKSETS:" + set.name,
			ARN: s.cloud.Accounts.Place(account, "").ARN("sts", "assumed-role/"+name+"/"+set.name),
		}, nil
	}
	admin := cmp.Or(set.admin, s.cloud.Accounts.Place(set.place.Account, "").ARN("iam", "role/"+adminRole))
	role := cmp.Or(set.role, executeRole)
	if s.cloud.Access == nil {
		return cloud.Identity{Kind: cloud.User, Account: account, ARN: s.cloud.Accounts.Place(account, "").ARN("iam", "role/"+role)}, nil
	}
	service := cloud.Identity{Kind: cloud.Service, ARN: principal, Account: set.place.Account}
	first, err := s.cloud.Access.Assume(service, admin, "StackSet", nil)
	if err == nil {
		first, err = s.cloud.Access.Assume(first, s.cloud.Accounts.Place(account, "").ARN("iam", "role/"+role), "StackSet", nil)
	}
	if err != nil {
		return first, validation("Account %s should have '%s' role with trust relationship to Role '%s'.", account, role, lastPart(admin))
	}
	return first, nil
}

// joined makes stacks for an account that joins the organisation, where a StackSet is deployed automatically.
func (s *Service) joined(account string) {
	if !s.deploysByItself() {
		return
	}
	ctx := context.Background()
	all, err := s.askOrganization(ctx, "ListAccounts", "Accounts", map[string]any{})
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places() {
		for _, name := range slices.Sorted(keys(s.cells[p].sets)) {
			set := s.cells[p].sets[name]
			if set.model != serviceManaged || !set.auto.Enabled || account == set.place.Account {
				continue
			}
			unit := ""
			for _, v := range all {
				if textOf(object(v)["Id"]) == account {
					unit = unitOf(v, set.units)
				}
			}
			if unit == "" {
				continue
			}
			var fresh []*instance
			for _, region := range set.regions() {
				if set.find(account, region) != nil {
					continue
				}
				fresh = append(fresh, &instance{account: account, region: region, unit: unit, status: outdated, detail: waitingText})
			}
			set.instances = append(set.instances, fresh...)
			if len(fresh) > 0 {
				s.startOperation(set, wordCreate, fresh, &targetInput{})
			}
		}
	}
}

// deploysByItself tells whether there is a StackSet that may be deployed automatically.
func (s *Service) deploysByItself() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.cells {
		for _, set := range c.sets {
			if set.model == serviceManaged && set.auto.Enabled {
				return true
			}
		}
	}
	return false
}

func (set *stackSet) regions() []string {
	var out []string
	for _, one := range set.instances {
		if !slices.Contains(out, one.region) {
			out = append(out, one.region)
		}
	}
	slices.Sort(out)
	return out
}

// A setOperation is work on instances of a StackSet.
type setOperation struct {
	id, action, status, reason string
	created, ended             time.Time
	results                    []*result
	preferences                preferences
	retain                     bool
	regionOrder                []string
}

// A result is what came of an operation for one instance.
type result struct {
	instance *instance
	status   string
	reason   string
	stack    *stack // that is worked on
}
