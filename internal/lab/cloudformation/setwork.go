package cloudformation

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/wire"
)

type preferences struct {
	RegionConcurrencyType      string   `json:",omitempty"`
	RegionOrder                []string `json:",omitempty"`
	FailureToleranceCount      int      `json:",omitzero"`
	FailureTolerancePercentage int      `json:",omitzero"`
	MaxConcurrentCount         int      `json:",omitzero"`
	MaxConcurrentPercentage    int      `json:",omitzero"`
	ConcurrencyMode            string   `json:",omitempty"`
}

type deploymentTargets struct {
	Accounts              []string
	AccountsUrl           string   //nolint:staticcheck // AWS's name
	OrganizationalUnitIDs []string `json:"OrganizationalUnitIds"`
	AccountFilterType     string
}

// A targetInput says which instances an operation is about, and how it goes on.
type targetInput struct {
	Accounts             []string
	DeploymentTargets    *deploymentTargets
	Regions              []string
	ParameterOverrides   []parameter
	OperationPreferences preferences
	OperationID          string `json:"OperationId"`
	RetainStacks         bool
}

type instancesInput struct {
	StackSetName string
	CallAs       string
	targetInput
}

type operationIDOutput struct {
	ID string `json:"OperationId"`
}

// A target is an account, with the unit through which it was named.
type target struct{ account, unit string }

// unitOf gives the one of units that an account, as Organizations shows it, is in; empty: none.
func unitOf(account any, units []string) string {
	for _, path := range texted(object(account)["Paths"]) {
		for _, unit := range units {
			if slices.Contains(strings.Split(path, "/"), unit) {
				return unit
			}
		}
	}
	return ""
}

// targets are the accounts that a request names. Those of units never hold the management account.
func (s *Service) targets(ctx context.Context, set *stackSet, in *targetInput) ([]target, error) {
	named := in.Accounts
	if in.DeploymentTargets != nil {
		if set.model == selfManaged {
			named = append(slices.Clone(named), in.DeploymentTargets.Accounts...)
		}
	}
	var out []target
	if set.model == selfManaged {
		for _, account := range named {
			if _, there := s.cloud.Accounts.Find(account); !there {
				return nil, validation("Account %.40s does not exist", account)
			}
			out = append(out, target{account, ""})
		}
		if len(out) == 0 {
			return nil, validation("Accounts or DeploymentTargets must be specified")
		}
		return out, nil
	}
	if len(in.Accounts) > 0 || in.DeploymentTargets == nil || len(in.DeploymentTargets.OrganizationalUnitIDs) == 0 {
		return nil, validation("StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as target")
	}
	all, err := s.askOrganization(ctx, "ListAccounts", "Accounts", map[string]any{})
	if err != nil {
		return nil, err
	}
	t := in.DeploymentTargets
	for _, v := range all {
		id := textOf(object(v)["Id"])
		unit, listed := unitOf(v, t.OrganizationalUnitIDs), slices.Contains(t.Accounts, id)
		wanted := unit != ""
		switch t.AccountFilterType {
		case "", "NONE":
			wanted = wanted && len(t.Accounts) == 0 || wanted && listed
		case "INTERSECTION":
			wanted = wanted && listed
		case "DIFFERENCE":
			wanted = wanted && !listed
		case "UNION":
			wanted = wanted || listed
		default:
			return nil, validation("AccountFilterType %.40s: expected NONE, INTERSECTION, DIFFERENCE or UNION", t.AccountFilterType)
		}
		if wanted && id != set.place.Account && textOf(object(v)["Status"]) == "ACTIVE" {
			out = append(out, target{id, unit})
		}
	}
	return out, nil
}

// prepare finds the StackSet and the targets of a call about instances.
func (s *Service) prepare(ctx context.Context, c *wire.Call, in *instancesInput) (*stackSet, []target, error) {
	set, err := s.stackSet(ctx, c, in.StackSetName, in.CallAs)
	if err != nil {
		return nil, nil, err
	}
	if len(in.Regions) == 0 {
		return nil, nil, validation("Regions must be specified")
	}
	if err := s.idle(set, in.OperationID); err != nil {
		return nil, nil, err
	}
	all, err := s.targets(ctx, set, &in.targetInput)
	return set, all, err
}

func (set *stackSet) find(account, region string) *instance {
	for _, one := range set.instances {
		if one.account == account && one.region == region {
			return one
		}
	}
	return nil
}

func (s *Service) createInstances(ctx context.Context, c *wire.Call, in *instancesInput) (*operationIDOutput, error) {
	set, all, err := s.prepare(ctx, c, in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var work []*instance
	for _, region := range in.Regions {
		for _, t := range all {
			one := set.find(t.account, region)
			if one == nil {
				one = &instance{account: t.account, region: region, unit: t.unit, status: outdated, detail: waitingText}
				set.instances = append(set.instances, one)
			}
			one.overrides = in.ParameterOverrides
			work = append(work, one)
		}
	}
	if in.DeploymentTargets != nil {
		for _, unit := range in.DeploymentTargets.OrganizationalUnitIDs {
			if !slices.Contains(set.units, unit) {
				set.units = append(set.units, unit)
			}
		}
	}
	return s.startOperation(set, wordCreate, work, &in.targetInput), nil
}

// some are the instances that a call is about and that are there. Requires mu.
func (set *stackSet) some(all []target, regions []string) []*instance {
	var out []*instance
	for _, region := range regions {
		for _, t := range all {
			if one := set.find(t.account, region); one != nil {
				out = append(out, one)
			}
		}
	}
	return out
}

func (s *Service) updateInstances(ctx context.Context, c *wire.Call, in *instancesInput) (*operationIDOutput, error) {
	set, all, err := s.prepare(ctx, c, in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	work := set.some(all, in.Regions)
	for _, one := range work {
		one.overrides, one.status = in.ParameterOverrides, outdated
	}
	return s.startOperation(set, wordUpdate, work, &in.targetInput), nil
}

func (s *Service) deleteInstances(ctx context.Context, c *wire.Call, in *instancesInput) (*operationIDOutput, error) {
	set, all, err := s.prepare(ctx, c, in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startOperation(set, wordDelete, set.some(all, in.Regions), &in.targetInput), nil
}

// startOperation requires mu.
func (s *Service) startOperation(set *stackSet, action string, work []*instance, in *targetInput) *operationIDOutput {
	o := &setOperation{
		id: cmp.Or(in.OperationID, s.cloud.UUID("stack set operation")), action: action, status: runningText, created: s.cloud.Clock.Now(),
		preferences: in.OperationPreferences, retain: in.RetainStacks,
	}
	for _, region := range append(slices.Clone(in.OperationPreferences.RegionOrder), in.Regions...) {
		if !slices.Contains(o.regionOrder, region) {
			o.regionOrder = append(o.regionOrder, region)
		}
	}
	for _, one := range work {
		one.operation, one.detail = o.id, waitingText
		if !slices.Contains(o.regionOrder, one.region) {
			o.regionOrder = append(o.regionOrder, one.region)
		}
		o.results = append(o.results, &result{instance: one, status: waitingText})
	}
	if len(set.operations) >= maxOperations {
		set.operations = slices.Delete(set.operations, 0, 1)
	}
	set.operations = append(set.operations, o)
	s.cloud.Clock.Go(func(context.Context) { s.advance(set, o) })
	return &operationIDOutput{o.id}
}

// advance ends what has come to rest, and begins what may begin.
func (s *Service) advance(set *stackSet, o *setOperation) {
	s.mu.Lock()
	for _, r := range o.results {
		if r.status == runningText && (r.stack == nil || !r.stack.busy) {
			s.conclude(set, o, r)
		}
	}
	var next []*result
	active, waiting := count(o.results, runningText), false
	for _, region := range o.regionOrder {
		in := o.inRegion(region)
		running, failures := count(in, runningText), count(in, failedState)
		if failures > o.tolerance(len(in)) {
			o.cancelWaiting()
			break
		}
		room := o.concurrency(len(in)) - running
		for _, r := range in {
			if r.status == waitingText && room > 0 {
				r.status, r.instance.detail = runningText, runningText
				next = append(next, r)
				room--
			}
		}
		if count(in, waitingText)+count(in, runningText) > 0 && o.preferences.RegionConcurrencyType != "PARALLEL" {
			waiting = true
			break // one region after the other
		}
	}
	done := active == 0 && len(next) == 0 && !waiting
	if done {
		s.endOperation(o)
	}
	s.mu.Unlock()
	if done {
		return
	}
	for _, r := range next {
		s.launch(set, o, r)
	}
	s.cloud.Clock.After(step, func(context.Context) { s.advance(set, o) })
}

func (o *setOperation) inRegion(region string) []*result {
	var out []*result
	for _, r := range o.results {
		if r.instance.region == region {
			out = append(out, r)
		}
	}
	return out
}

func count(all []*result, status string) int {
	n := 0
	for _, r := range all {
		if r.status == status {
			n++
		}
	}
	return n
}

// tolerance is how many failures in a region of n accounts are put up with.
func (o *setOperation) tolerance(n int) int {
	return max(o.preferences.FailureToleranceCount, n*o.preferences.FailureTolerancePercentage/100)
}

// concurrency is in how many of n accounts is worked at once: one, if nothing is said.
func (o *setOperation) concurrency(n int) int {
	return max(1, o.preferences.MaxConcurrentCount, n*o.preferences.MaxConcurrentPercentage/100)
}

func (o *setOperation) cancelWaiting() {
	for _, r := range o.results {
		if r.status == waitingText {
			r.status, r.instance.detail = cancelled, cancelled
			r.reason = "Cancelled since failure tolerance has exceeded"
			r.instance.reason = r.reason
		}
	}
}

func (s *Service) endOperation(o *setOperation) {
	o.status, o.ended = succeeded, s.cloud.Clock.Now()
	for _, region := range o.regionOrder {
		in := o.inRegion(region)
		if count(in, failedState) > o.tolerance(len(in)) {
			o.status = failedState
		}
	}
}

// launch begins the work on one instance.
func (s *Service) launch(set *stackSet, o *setOperation, r *result) {
	st, err := s.work(set, o, r.instance)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.stack = st
	if err != nil {
		r.status, r.reason = failedState, s.reasonOf(err)
		r.instance.detail, r.instance.reason = failedState, r.reason
	}
}

// work makes, changes or deletes the stack of an instance. nil: there is none to wait for.
func (s *Service) work(set *stackSet, o *setOperation, one *instance) (*stack, error) {
	at := s.cloud.Accounts.Place(one.account, one.region)
	if !s.cloud.Accounts.Enabled(one.account, one.region) {
		return nil, validation("The region %s is not enabled in account %s", one.region, one.account)
	}
	s.mu.Lock()
	st := s.at(at).byID[one.stackID]
	s.mu.Unlock()
	if st != nil && !st.deleted.IsZero() {
		st = nil
	}
	if o.action == wordDelete && (st == nil || o.retain) {
		return nil, nil
	}
	who, err := s.executor(set, one.account)
	if err != nil {
		return nil, err
	}
	p, err := s.planFor(set, one)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &worker{Service: s, stack: st, plan: p, who: who}
	switch {
	case st != nil && st.busy:
		return nil, validation("Stack:%s is in %s state and can not be updated.", st.id, st.status)
	case o.action == wordDelete:
		w.plan = st.plan
		st.busy = true
		s.become(st, wordDelete+inProgress, "User Initiated")
		s.cloud.Clock.Go(func(context.Context) {
			s.mu.Lock()
			defer s.mu.Unlock()
			w.startRemoval(nil, wordDelete)
		})
	case st == nil || st.checkUpdatable() != nil:
		if st != nil { // it was rolled back: a new one comes in its place
			s.bury(st)
		}
		if st, err = s.newStack(at, "StackSet-"+set.name+"-"+s.cloud.UUID("instance")); err != nil {
			return nil, err
		}
		w.stack, one.stackID = st, st.id
		st.plan, st.busy, st.setID = p, true, set.id
		s.become(st, wordCreate+inProgress, "User Initiated")
		s.cloud.Clock.Go(func(context.Context) { w.startCreate() })
	default:
		s.beginUpdate(w)
	}
	return st, nil
}

// conclude takes over what became of an instance. Requires mu.
func (s *Service) conclude(set *stackSet, o *setOperation, r *result) {
	one := r.instance
	r.status, one.detail, one.reason = succeeded, succeeded, ""
	switch {
	case o.action == wordDelete && (r.stack == nil || !r.stack.deleted.IsZero()):
		set.instances = slices.DeleteFunc(set.instances, func(other *instance) bool { return other == one })
		return
	case o.action == wordDelete:
		one.status = inoperable
	case slices.Contains([]string{wordCreate + complete, wordUpdate + complete}, r.stack.status):
		one.status = current
		return
	}
	r.status, one.detail = failedState, failedState
	r.reason = "ResourceLogicalId:" + firstFailure(r.stack)
	one.reason = r.reason
}

// firstFailure tells which resource of a stack failed first last time, and why.
func firstFailure(st *stack) string {
	found := event{LogicalResourceID: st.name, ResourceType: stackType, ResourceStatusReason: st.reason}
	for _, e := range slices.Backward(st.events) {
		if e.ResourceType == stackType && (e.ResourceStatusReason == "User Initiated") {
			break
		}
		if strings.HasSuffix(e.ResourceStatus, failed) && e.ResourceType != stackType && !strings.HasSuffix(e.ResourceStatusReason, "cancelled") {
			found = e
		}
	}
	return found.LogicalResourceID + ", ResourceType:" + found.ResourceType + ", ResourceStatusReason:" + found.ResourceStatusReason
}

func errNoOperation(id string) error {
	return wire.StatusErrorf(http.StatusNotFound, "OperationNotFoundException", "Operation with id %.128s does not exist", id)
}
