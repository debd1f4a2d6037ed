package cloudformation

import (
	"context"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/wire"
)

type nothing struct{}

type stackIDOutput struct {
	StackID string `json:"StackId"`
}

type createStackInput struct {
	planInput
	OnFailure                   string
	TimeoutInMinutes            int
	EnableTerminationProtection bool
	StackPolicyBody             string
}

func (s *Service) createStack(ctx context.Context, c *wire.Call, in *createStackInput) (*stackIDOutput, error) {
	if err := checkStackName(in.StackName); err != nil {
		return nil, err
	}
	switch in.OnFailure {
	case "", onFailureDelete, onFailureNothing, onFailureRollback:
	default:
		return nil, validation("1 validation error detected: Value '%s' at 'onFailure' failed to satisfy constraint: "+
			"Member must satisfy enum value set: [DELETE, DO_NOTHING, ROLLBACK]", in.OnFailure)
	}
	if in.OnFailure != "" && in.DisableRollback != nil {
		return nil, validation("You can specify either OnFailure or DisableRollback, but not both.")
	}
	p, err := s.newPlan(ctx, c, &in.planInput, nil)
	if err != nil {
		return nil, err
	}
	w, err := s.worker(c, nil, p)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at(c.Place).stacks[in.StackName] != nil {
		return nil, wire.Errorf("AlreadyExistsException", "Stack [%s] already exists", in.StackName)
	}
	st, err := s.newStack(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	w.stack = st
	st.plan, st.busy = p, true
	st.onFailure, st.timeout, st.protected, st.policy = in.OnFailure, in.TimeoutInMinutes, in.EnableTerminationProtection, in.StackPolicyBody
	st.disableRollback = in.DisableRollback != nil && *in.DisableRollback
	s.become(st, wordCreate+inProgress, "User Initiated")
	s.cloud.Clock.Go(func(context.Context) { w.startCreate() })
	return &stackIDOutput{st.id}, nil
}

// updatable are the states in which a stack can be updated.
var updatable = []string{
	wordCreate + complete, wordUpdate + complete, wordUndo + complete, wordUpdate + failed, "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE",
}

func (st *stack) checkUpdatable() error {
	if st.busy || !slices.Contains(updatable, st.status) && (st.status != wordCreate+failed || !st.disableRollback) {
		return validation("Stack:%s is in %s state and can not be updated.", st.id, st.status)
	}
	return nil
}

type updateStackInput struct {
	planInput
	StackPolicyBody string
}

func (s *Service) updateStack(ctx context.Context, c *wire.Call, in *updateStackInput) (*stackIDOutput, error) {
	s.mu.Lock()
	st, err := s.find(c.Place, in.StackName)
	if err == nil {
		err = st.checkUpdatable()
	}
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	st.busy = true // nobody else begins meanwhile
	s.mu.Unlock()
	w, err := s.prepareUpdate(ctx, c, st, &in.planInput)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		st.busy = false
		return nil, err
	}
	st.disableRollback = in.DisableRollback != nil && *in.DisableRollback
	if in.StackPolicyBody != "" {
		st.policy = in.StackPolicyBody
	}
	s.beginUpdate(w)
	return &stackIDOutput{st.id}, nil
}

// prepareUpdate reads what a stack is to become, and refuses what changes nothing. The stack is busy.
func (s *Service) prepareUpdate(ctx context.Context, c *wire.Call, st *stack, in *planInput) (*worker, error) {
	p, err := s.newPlan(ctx, c, in, st.plan)
	if err != nil {
		return nil, err
	}
	// What is wrong with a resource's properties fails the update later, as it does the making of a stack.
	if found, err := s.changes(st, p); err == nil && len(found) == 0 && st.sameBut(p) {
		return nil, validation("No updates are to be performed.")
	}
	return s.worker(c, st, p)
}

// sameBut tells whether a plan asks for nothing new beside its resources: outputs, tags, role.
func (st *stack) sameBut(p *plan) bool {
	if !slices.Equal(st.plan.tags, p.tags) || st.plan.role != p.role || len(st.plan.template.Outputs) != len(p.template.Outputs) {
		return false
	}
	for name, o := range p.template.Outputs {
		was := st.plan.template.Outputs[name]
		if was == nil || !same(was.Value, o.Value) || !same(was.Export, o.Export) || was.Description != o.Description {
			return false
		}
	}
	return true
}

// beginUpdate requires mu.
func (s *Service) beginUpdate(w *worker) {
	st := w.stack
	st.busy, st.cancelled = true, false
	s.become(st, wordUpdate+inProgress, "User Initiated")
	s.cloud.Clock.Go(func(context.Context) { w.startUpdate() })
}

type deleteStackInput struct {
	StackName       string
	RetainResources []string
	RoleARN         string
	DeletionMode    string
}

func (s *Service) deleteStack(_ context.Context, c *wire.Call, in *deleteStackInput) (*nothing, error) {
	s.mu.Lock()
	st, err := s.find(c.Place, in.StackName)
	s.mu.Unlock()
	if in.StackName == "" {
		return nil, err
	}
	if err != nil {
		return nil, nil // AWS is content where there is no such stack
	}
	p := *st.plan
	if in.RoleARN != "" {
		p.role = in.RoleARN
	}
	w, err := s.worker(c, st, &p)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !st.deleted.IsZero(), st.status == wordDelete+inProgress:
		return nil, nil
	case st.protected:
		return nil, validation("Stack [%s] cannot be deleted while TerminationProtection is enabled", st.name)
	case st.status == wordCreate+inProgress:
		st.cancelled = true
		return nil, nil
	case st.busy:
		return nil, validation("Stack [%s] cannot be deleted while in status %s", st.id, st.status)
	case len(in.RetainResources) > 0 && st.status != wordDelete+failed:
		return nil, validation("Invalid operation on stack [%s]. When you delete a stack, specify which resources to retain only when the stack is in the DELETE_FAILED state.", st.id)
	}
	for _, name := range in.RetainResources {
		if st.resources[name] == nil {
			return nil, validation("Resource %s does not exist in the stack", name)
		}
	}
	if by := s.importer(st); by != "" {
		return nil, validation("Export %s", by)
	}
	st.busy = true
	s.become(st, wordDelete+inProgress, "User Initiated")
	s.cloud.Clock.Go(func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.startRemoval(in.RetainResources, wordDelete)
	})
	return nil, nil
}

// importer says that an export of a stack is in use; empty: none is. Requires mu.
func (s *Service) importer(st *stack) string {
	for _, o := range st.outputs {
		for _, other := range s.at(st.place).order {
			if other != st && other.deleted.IsZero() && o.ExportName != "" && slices.Contains(other.imports, o.ExportName) {
				return o.ExportName + " cannot be deleted as it is in use by " + other.name
			}
		}
	}
	return ""
}

type stackNameInput struct {
	StackName       string
	ResourcesToSkip []string
}

func (s *Service) cancelUpdate(_ context.Context, c *wire.Call, in *stackNameInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	if st.status != wordUpdate+inProgress {
		return nil, validation("CancelUpdateStack cannot be called from current stack status")
	}
	st.cancelled = true
	return nil, nil
}

func (s *Service) continueRollback(_ context.Context, c *wire.Call, in *stackNameInput) (*nothing, error) {
	s.mu.Lock()
	st, err := s.find(c.Place, in.StackName)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	w, err := s.worker(c, st, st.plan)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.status != wordUndo+failed || st.undone == nil {
		return nil, validation("Stack:%s is in %s state and can not continue rollback.", st.id, st.status)
	}
	st.undone.skip = in.ResourcesToSkip
	st.busy = true
	s.become(st, wordUndo+inProgress, "User Initiated")
	w.undo(st.undone)
	return nil, nil
}

type policyInput struct {
	StackName       string
	StackPolicyBody string
	StackPolicyURL  string
}

type policyOutput struct {
	StackPolicyBody string `json:",omitempty"`
}

// setPolicy keeps a stack's policy. The lab does not go by it.
func (s *Service) setPolicy(_ context.Context, c *wire.Call, in *policyInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(strings.TrimSpace(in.StackPolicyBody), "{") {
		return nil, validation("Error validating stack policy: Invalid stack policy")
	}
	st.policy = in.StackPolicyBody
	return nil, nil
}

func (s *Service) getPolicy(_ context.Context, c *wire.Call, in *policyInput) (*policyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	return &policyOutput{st.policy}, nil
}

type protectionInput struct {
	StackName                   string
	EnableTerminationProtection bool
}

func (s *Service) updateProtection(_ context.Context, c *wire.Call, in *protectionInput) (*stackIDOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	st.protected = in.EnableTerminationProtection
	return &stackIDOutput{st.id}, nil
}
