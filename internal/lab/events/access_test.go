package events_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

// A recorder remembers what was asked last, and refuses all.
type recorder struct{ last cloud.Access }

func (r *recorder) Authorize(a cloud.Access) error {
	r.last = a
	return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource}
}

func (r *recorder) Assume(who cloud.Identity, _, _ string, _ map[string]string) (cloud.Identity, error) {
	return who, nil
}

func TestOperationsTakePermissionForTheResourceThatTheyName(t *testing.T) {
	c := labtest.NewCloud(t)
	r := &recorder{}
	c.Access = r
	client := newWorldIn(t, c).client()
	name, bus := aws.String("r"), aws.String("b")
	rule, busARN, onBus := arn("events", "rule/r"), arn("events", "event-bus/b"), arn("events", "rule/b/r")
	e := entry(`{}`)
	e.EventBusName = bus
	for sentence, test := range map[string]struct {
		call             func() error
		action, resource string
	}{
		"PutRule on the default bus": {func() error {
			_, err := client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: name})
			return err
		}, "events:PutRule", rule},
		"DescribeRule on another bus": {func() error {
			_, err := client.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: name, EventBusName: bus})
			return err
		}, "events:DescribeRule", onBus},
		"PutTargets on a bus by its ARN": {func() error {
			_, err := client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: name, EventBusName: &busARN, Targets: []types.Target{target("1", queue("q"))}})
			return err
		}, "events:PutTargets", onBus},
		"CreateEventBus": {func() error {
			_, err := client.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: bus})
			return err
		}, "events:CreateEventBus", busARN},
		"PutPermission": {func() error {
			_, err := client.PutPermission(t.Context(), &eventbridge.PutPermissionInput{EventBusName: bus})
			return err
		}, "events:PutPermission", busARN},
		"DescribeEventBus of the default bus": {func() error {
			_, err := client.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{})
			return err
		}, "events:DescribeEventBus", arn("events", "event-bus/default")},
		"TagResource": {func() error {
			_, err := client.TagResource(t.Context(), &eventbridge.TagResourceInput{ResourceARN: &rule, Tags: []types.Tag{}})
			return err
		}, "events:TagResource", rule},
		"ListRules": {func() error {
			_, err := client.ListRules(t.Context(), &eventbridge.ListRulesInput{})
			return err
		}, "events:ListRules", "*"},
		"PutEvents": {func() error {
			_, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}})
			return err
		}, "events:PutEvents", busARN},
	} {
		t.Run(sentence, func(t *testing.T) {
			wantError(t, test.call(), "AccessDeniedException", test.action+" on resource: "+test.resource)
			if r.last.Action != test.action || r.last.Resource != test.resource || r.last.Owner != labtest.Administrator {
				t.Errorf("asked for %+v", r.last)
			}
		})
	}
}
