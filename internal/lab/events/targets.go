package events

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Quotas of targets.
const (
	maxTargets = 5 // of a rule
	maxBatch   = 100
)

// The bounds of a retry policy, which are the defaults too.
const (
	maxAttempts = 185
	minAge      = 60
	maxAge      = 86_400 // seconds
)

// A target is where a rule sends events, as PutTargets takes it. It does not change once it is a rule's.
type target struct {
	ID               string `json:"Id"`
	Arn              string
	RoleArn          string            `json:",omitzero"`
	Input            *string           `json:",omitzero"`
	InputPath        *string           `json:",omitzero"`
	InputTransformer *inputTransformer `json:",omitzero"`
	SqsParameters    *sqsParameters    `json:",omitzero"`
	HTTPParameters   *httpParameters   `json:"HttpParameters,omitzero"`
	DeadLetterConfig *deadLetterConfig `json:",omitzero"`
	RetryPolicy      *retryPolicy      `json:",omitzero"`

	arn  cloud.ARN
	body bodyForm
}

type inputTransformer struct {
	InputPathsMap map[string]string `json:",omitzero"`
	InputTemplate string
}

type sqsParameters struct {
	MessageGroupID string `json:"MessageGroupId,omitzero"`
}

type httpParameters struct {
	PathParameterValues   []string          `json:",omitzero"`
	HeaderParameters      map[string]string `json:",omitzero"`
	QueryStringParameters map[string]string `json:",omitzero"`
}

type retryPolicy struct {
	MaximumRetryAttempts     *int `json:",omitzero"`
	MaximumEventAgeInSeconds *int `json:",omitzero"`
}

// attempts is how often an event is tried again.
func (t *target) attempts() int {
	if t.RetryPolicy != nil && t.RetryPolicy.MaximumRetryAttempts != nil {
		return *t.RetryPolicy.MaximumRetryAttempts
	}
	return maxAttempts
}

// age is for how long an event is tried again.
func (t *target) age() time.Duration {
	seconds := maxAge
	if t.RetryPolicy != nil && t.RetryPolicy.MaximumEventAgeInSeconds != nil {
		seconds = *t.RetryPolicy.MaximumEventAgeInSeconds
	}
	return time.Duration(seconds) * time.Second
}

type putTargetsInput struct {
	Rule         string
	EventBusName string
	Targets      []*target
}

type failedEntry struct {
	TargetID     string `json:"TargetId"`
	ErrorCode    string
	ErrorMessage string
}

type failedEntriesOutput struct {
	FailedEntryCount int
	FailedEntries    []failedEntry
}

func (in *putTargetsInput) check() error {
	var c checks
	c.required(in.Rule, "rule", 64, nameForm)
	c.text(in.EventBusName, "eventBusName", 1600, busARNForm)
	c.count(len(in.Targets), "targets", 1, maxBatch)
	for i, t := range in.Targets {
		if t == nil {
			return wire.Errorf("SerializationException", "targets.%d is null", i+1)
		}
		t.checkShape(&c, fmt.Sprintf("targets.%d.member.", i+1))
	}
	return c.err()
}

// putTargets adds targets, or replaces those of the same Id. A target that is refused by itself does not keep the others out.
func (s *Service) putTargets(_ context.Context, c *wire.Call, in *putTargetsInput) (*failedEntriesOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	for _, t := range in.Targets {
		if err := s.mayPass(c, t.RoleArn); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, r, err := s.findRule(c.Place, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Targets {
		if err := t.prepare(c.Place); err != nil {
			return nil, err
		}
	}
	all := slices.Clone(r.targets)
	out := &failedEntriesOutput{}
	for _, t := range in.Targets {
		if code, reason := s.refuse(c.Place, b, t); code != "" {
			out.FailedEntries = append(out.FailedEntries, failedEntry{t.ID, code, reason})
			continue
		}
		if i := slices.IndexFunc(all, func(have *target) bool { return have.ID == t.ID }); i >= 0 {
			all[i] = t
		} else {
			all = append(all, t)
		}
	}
	if len(all) > maxTargets {
		return nil, tooMany()
	}
	slices.SortFunc(all, func(a, b *target) int { return cmp.Compare(a.ID, b.ID) })
	out.FailedEntryCount = len(out.FailedEntries)
	r.targets = all
	s.publish(b, r.name)
	return out, nil
}

// mayPass asks whether the caller may pass a role on to EventBridge; empty: there is none.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
func (s *Service) mayPass(c *wire.Call, role string) error {
	if role == "" {
		return nil
	}
	return s.cloud.Authorize(cloud.Access{
		Who: c.Who, Action: "iam:PassRole", Resource: role, Context: map[string]string{"iam:PassedToService": principal},
	})
}

type removeTargetsInput struct {
	Rule         string
	EventBusName string
	IDs          []string `json:"Ids"`
	Force        bool     // for rules that AWS's services manage
}

func (s *Service) removeTargets(_ context.Context, c *wire.Call, in *removeTargetsInput) (*failedEntriesOutput, error) {
	var check checks
	check.required(in.Rule, "rule", 64, nameForm)
	check.text(in.EventBusName, "eventBusName", 1600, busARNForm)
	check.count(len(in.IDs), "ids", 1, maxBatch)
	for i, id := range in.IDs {
		check.required(id, fmt.Sprintf("ids.%d.member", i+1), 64, nameForm)
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, r, err := s.findRule(c.Place, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	out := &failedEntriesOutput{}
	for _, id := range in.IDs {
		if !slices.ContainsFunc(r.targets, func(t *target) bool { return t.ID == id }) {
			out.FailedEntries = append(out.FailedEntries, failedEntry{
				id, "ResourceNotFoundException", "Rule " + r.name + " does not have a target " + id + ".",
			})
		}
	}
	out.FailedEntryCount = len(out.FailedEntries)
	r.targets = slices.DeleteFunc(slices.Clone(r.targets), func(t *target) bool { return slices.Contains(in.IDs, t.ID) })
	s.publish(b, r.name)
	return out, nil
}

type listTargetsInput struct {
	Rule         string
	EventBusName string
	NextToken    string
	Limit        *int
}

type listTargetsOutput struct {
	Targets   []*target
	NextToken string `json:",omitzero"`
}

func (s *Service) listTargetsByRule(_ context.Context, c *wire.Call, in *listTargetsInput) (*listTargetsOutput, error) {
	var check checks
	check.required(in.Rule, "rule", 64, nameForm)
	check.text(in.EventBusName, "eventBusName", 1600, busARNForm)
	if err := check.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.findRule(c.Place, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	some, next, err := page(r.targets, func(t *target) string { return t.ID }, in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listTargetsOutput{some, next}, nil
}

type listRuleNamesInput struct {
	TargetArn    string
	EventBusName string
	NextToken    string
	Limit        *int
}

type listRuleNamesOutput struct {
	RuleNames []string
	NextToken string `json:",omitzero"`
}

func (s *Service) listRuleNamesByTarget(_ context.Context, c *wire.Call, in *listRuleNamesInput) (*listRuleNamesOutput, error) {
	var check checks
	check.required(in.TargetArn, "targetArn", 1600, nil)
	check.text(in.EventBusName, "eventBusName", 1600, busARNForm)
	if err := check.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBus(c.Place, in.EventBusName)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, r := range b.sortedRules("") {
		if slices.ContainsFunc(r.targets, func(t *target) bool { return t.Arn == in.TargetArn }) {
			all = append(all, r.name)
		}
	}
	some, next, err := page(all, func(name string) string { return name }, in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listRuleNamesOutput{some, next}, nil
}
