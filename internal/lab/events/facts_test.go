package events_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

// These tests hold single facts of AWS's documents that no other test of the package needs. doc/aws-behaviour.md lists all.

func TestTheControlPlaneTakesFiftyCallsASecond(t *testing.T) {
	w := newWorld(t, func(o *cloud.Options) { o.Quotas = true })
	for range 50 {
		if _, err := w.client().ListRules(t.Context(), &eventbridge.ListRulesInput{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.client().ListRules(t.Context(), &eventbridge.ListRulesInput{})
	wantError(t, err, "ThrottlingException", "Rate exceeded")
}

func TestARuleOfABusHasTheBusInItsARN(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	bus, err := c.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("own")})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"own", *bus.EventBusArn} { // by name and by ARN
		out, err := c.PutRule(t.Context(), &eventbridge.PutRuleInput{
			Name: aws.String("r"), EventBusName: &name, EventPattern: aws.String(`{"source":["a"]}`), State: types.RuleStateEnabledWithAllCloudtrailManagementEvents,
		})
		if err != nil || *out.RuleArn != arn("events", "rule/own/r") {
			t.Errorf("%s: got %v, %v", name, out, err)
		}
	}
	if got := w.describe("own", "r").State; got != types.RuleStateEnabledWithAllCloudtrailManagementEvents {
		t.Errorf("got state %s", got)
	}
}

func TestADeadLetterQueueMayBeInAnotherAccountThatLetsTheRuleIn(t *testing.T) {
	w, _, _ := central(t)
	for name, arrives := range map[string]bool{"allowed": true, "other": false} {
		dead := target("1", queue("queue-nobody"))
		dead.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String(strings.Replace(queue("queue-allowed"), labtest.Administrator, labtest.Member, 1))}
		w.sink.resource = func(a string) (cloud.Resource, error) {
			parsed, err := cloud.ParseARN(a)
			return cloud.Resource{Owner: parsed.Account, Policy: []byte(fmt.Sprintf(
				`{"Statement":[{"Action":"sqs:SendMessage","Principal":{"Service":"events.amazonaws.com"},"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`,
				arn("events", "rule/allowed")))}, err
		}
		if arrives {
			dead.Arn = aws.String(queue("queue-gone"))
		}
		w.sink.fail = func(d *cloud.Delivery) error {
			if strings.HasSuffix(d.Target, "queue-gone") {
				return cloud.ErrNoResource
			}
			return nil
		}
		w.rule(name, everything, dead)
		w.from(here(), []byte(small))
		got := w.sink.take("queue-allowed")
		if (len(got) == 1) != arrives {
			t.Errorf("%s: got %d dead letters", name, len(got))
		}
		if _, err := w.client().DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: &name}); err != nil {
			t.Fatal(err)
		}
	}
}

// passing lets one role be passed on, to EventBridge.
type passing struct{ role string }

func (p passing) Authorize(a cloud.Access) error {
	if a.Action == "iam:PassRole" && (a.Resource != p.role || a.Context["iam:PassedToService"] != "events.amazonaws.com") {
		return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource}
	}
	return nil
}

func (passing) Assume(who cloud.Identity, _, _ string, _ map[string]string) (cloud.Identity, error) {
	return who, nil
}

func TestARoleHasToBePassedToEventBridge(t *testing.T) {
	c := labtest.NewCloud(t)
	c.Access = passing{*role(labtest.Administrator, "may")}
	w := newWorldIn(t, c)
	w.rule("r", everything)
	for name, code := range map[string]string{"may": "", "other": "AccessDeniedException"} {
		stream := target("1", arn("firehose", "deliverystream/s"))
		stream.RoleArn = role(labtest.Administrator, name)
		_, err := w.putTargets(stream)
		_, other := w.client().PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(everything), RoleArn: stream.RoleArn})
		for what, err := range map[string]error{"PutTargets": err, "PutRule": other} {
			if code == "" && err != nil {
				t.Errorf("%s with a role that may be passed: %v", what, err)
			} else if code != "" {
				wantError(t, err, code, "iam:PassRole")
			}
		}
	}
}

func TestTheRoleOfATargetHasToAllowTheInvocation(t *testing.T) {
	for action, want := range map[string]int{"events:InvokeApiDestination": 1, "events:PutEvents": 0} {
		c := labtest.NewCloud(t)
		g := &guard{roles: map[string][]string{*role(labtest.Administrator, "call"): {action}}}
		c.Access = g
		w := newWorldIn(t, c)
		e := serve(t, c, nil)
		w.rule("r", everything, toAPI(w.destination(e.URL, types.ConnectionAuthorizationTypeApiKey, apiKey("k", "v"), nil)))
		w.from(here(), []byte(small))
		if m := w.metrics("r"); len(e.got) != want || m.FailedInvocations != int64(1-want) {
			t.Errorf("a role that may %s: %d requests, %+v", action, len(e.got), m)
		}
	}
}
