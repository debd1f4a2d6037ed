package cloudformation

import (
	"context"

	"example.org/catchment/internal/lab/wire"
)

type changeSetOutput struct {
	ChangeSetName         string
	ChangeSetID           string `json:"ChangeSetId"`
	StackID               string `json:"StackId"`
	StackName             string
	Description           string `json:",omitempty"`
	Parameters            []parameter
	CreationTime          wire.Epoch
	ExecutionStatus       string
	Status                string
	StatusReason          string `json:",omitempty"`
	NotificationARNs      []string
	RollbackConfiguration nothing
	Capabilities          []string
	Tags                  []tag
	Changes               []change
	NextToken             string `json:",omitempty"`
	IncludeNestedStacks   bool
	OnStackFailure        string `json:",omitempty"`
}

func (s *Service) describeChangeSet(_ context.Context, c *wire.Call, in *changeSetInput) (*changeSetOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, set, err := s.findSet(c.Place, in)
	if err != nil {
		return nil, err
	}
	some, next, err := page(set.changes, in.NextToken, pageSize)
	if err != nil {
		return nil, err
	}
	return &changeSetOutput{
		set.name, set.id, st.id, st.name, set.description, set.plan.shown(),
		wire.Epoch{Time: set.created},
		set.execution, set.status, set.reason,
		set.plan.topics,
		nothing{},
		set.plan.capabilities, set.plan.tags, some, next, false, set.onFailure,
	}, nil
}

type changeSetSummary struct {
	StackID             string `json:"StackId"`
	StackName           string
	ChangeSetID         string `json:"ChangeSetId"`
	ChangeSetName       string
	ExecutionStatus     string
	Status              string
	StatusReason        string `json:",omitempty"`
	CreationTime        wire.Epoch
	Description         string `json:",omitempty"`
	IncludeNestedStacks bool
}

type listChangeSetsOutput struct {
	Summaries []changeSetSummary
	NextToken string `json:",omitempty"`
}

func (s *Service) listChangeSets(_ context.Context, c *wire.Call, in *describeStacksInput) (*listChangeSetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	var all []changeSetSummary
	for _, set := range st.setOrder {
		if st.sets[set.name] == set {
			all = append(all, changeSetSummary{
				st.id, st.name, set.id, set.name, set.execution, set.status, set.reason, wire.Epoch{Time: set.created}, set.description, false,
			})
		}
	}
	some, next, err := page(all, in.NextToken, pageSize)
	return &listChangeSetsOutput{some, next}, err
}
