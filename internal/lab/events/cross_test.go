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

const everything = `{"source":[{"prefix":""}]}`

// central is a world with a bus in the administrator account that the member's rules send to.
func central(t *testing.T) (*world, *guard, string) {
	t.Helper()
	g := &guard{roles: map[string][]string{*role(labtest.Member, "forward"): {"events:PutEvents"}}, members: map[string]string{labtest.Member: "o-one"}}
	c := labtest.NewCloud(t)
	c.Access = g
	w := newWorldIn(t, c)
	w.sink.resource = func(arn string) (cloud.Resource, error) {
		a, err := cloud.ParseARN(arn)
		return cloud.Resource{Owner: a.Account, Policy: []byte(fmt.Sprintf(
			`{"Statement":[{"Action":"sqs:SendMessage","Principal":{"Service":"events.amazonaws.com"},"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`,
			cloud.Place{Partition: "aws", Account: a.Account, Region: a.Region}.ARN("events", strings.Replace(a.Resource, "queue-", "rule/", 1))))}, err
	}
	if _, err := w.client().CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("central")}); err != nil {
		t.Fatal(err)
	}
	return w, g, arn("events", "event-bus/central")
}

func toBus(id, bus, account string) types.Target {
	x := target(id, bus)
	x.RoleArn = role(account, "forward")
	return x
}

func (w *world) permit(in eventbridge.PutPermissionInput) {
	w.Helper()
	in.Action, in.StatementId, in.EventBusName = aws.String("events:PutEvents"), aws.String("s"), aws.String("central")
	if _, err := w.client().PutPermission(w.Context(), &in); err != nil {
		w.Fatal(err)
	}
}

func TestAnEventCrossesAccountsAndRegionsAsItIsWhereBothSidesAllowIt(t *testing.T) {
	byOrg := func(org string) *eventbridge.PutPermissionInput {
		return &eventbridge.PutPermissionInput{Principal: aws.String("*"), Condition: &types.Condition{
			Type: aws.String("StringEquals"), Key: aws.String("aws:PrincipalOrgID"), Value: &org,
		}}
	}
	for sentence, test := range map[string]struct {
		permission *eventbridge.PutPermissionInput
		actions    []string
		noRole     bool
		arrives    bool
	}{
		"the account is let in":            {&eventbridge.PutPermissionInput{Principal: aws.String(labtest.Member)}, []string{"events:PutEvents"}, false, true},
		"another account is let in":        {&eventbridge.PutPermissionInput{Principal: aws.String("333333333333")}, []string{"events:PutEvents"}, false, false},
		"its organisation is let in":       {byOrg("o-one"), []string{"events:PutEvents"}, false, true},
		"another organisation is let in":   {byOrg("o-two"), []string{"events:PutEvents"}, false, false},
		"nobody is let in":                 {nil, []string{"events:PutEvents"}, false, false},
		"the role may do something else":   {byOrg("o-one"), []string{"sqs:SendMessage"}, false, false},
		"the role does not exist":          {byOrg("o-one"), nil, true, false},
		"everybody may put events on it":   {&eventbridge.PutPermissionInput{Principal: aws.String("*")}, []string{"events:PutEvents"}, false, true},
		"the role may do this among other": {byOrg("o-one"), []string{"sqs:SendMessage", "events:PutEvents"}, false, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			w, g, bus := central(t)
			g.roles[*role(labtest.Member, "forward")] = test.actions
			if test.noRole {
				clear(g.roles)
			}
			if test.permission != nil {
				w.permit(*test.permission)
			}
			member := cloud.Place{Partition: "aws", Account: labtest.Member, Region: "us-east-1"}
			w.ruleBy(w.in(member.Account, member.Region), "", "forward", everything, toBus("1", bus, labtest.Member))
			w.ruleBy(w.client(), "central", "collect", `{"account":["222222222222"],"region":["us-east-1"]}`, target("1", queue("queue-central/collect")))
			event := strings.NewReplacer(labtest.Administrator, labtest.Member, labtest.Region, "us-east-1").Replace(small)
			w.from(member, []byte(event))
			got := w.sink.bodies("collect")
			if test.arrives && (len(got) != 1 || got[0] != event) {
				t.Errorf("got %q, want the event with its account, region and id as they were", got)
			}
			if !test.arrives && len(got) != 0 {
				t.Errorf("got %q, want nothing", got)
			}
			failed := w.events.Metrics()[member.ARN("events", "rule/forward")].FailedInvocations
			if (failed == 0) != test.arrives {
				t.Errorf("got %d failed invocations", failed)
			}
		})
	}
}

func TestAnEventGoesFromBusToBusOnce(t *testing.T) {
	w, g, bus := central(t)
	g.roles[*role(labtest.Administrator, "forward")] = []string{"events:PutEvents"}
	w.permit(eventbridge.PutPermissionInput{Principal: aws.String("*")})
	third := cloud.Place{Partition: "aws", Account: labtest.Administrator, Region: "eu-west-1"}
	w.ruleBy(w.in(labtest.Member, labtest.Region), "", "forward", everything, toBus("1", bus, labtest.Member))
	w.ruleBy(w.client(), "central", "onward", everything,
		toBus("1", third.ARN("events", "event-bus/default"), labtest.Administrator), toBus("2", arn("events", "event-bus/default"), labtest.Administrator),
		target("3", queue("queue-central/onward")))
	w.ruleBy(w.in(third.Account, third.Region), "", "end", everything, target("1", third.ARN("sqs", "queue-end")))
	w.rule("near", everything, target("1", queue("queue-near")))

	member := cloud.Place{Partition: "aws", Account: labtest.Member, Region: labtest.Region}
	w.from(member, []byte(strings.ReplaceAll(small, labtest.Administrator, labtest.Member)))
	if got := w.sink.take("onward"); len(got) != 1 {
		t.Errorf("got %d events on the central bus", len(got))
	}
	if got := len(w.sink.take("queue-end")) + len(w.sink.take("queue-near")); got != 0 {
		t.Errorf("%d events went on to a third bus", got)
	}
	if got := w.events.Metrics()[arn("events", "rule/central/onward")].NotForwarded; got != 2 {
		t.Errorf("got %d not forwarded, want 2", got)
	}
	// An event that starts on the central bus may go on from there.
	e := entry(`{}`)
	e.EventBusName = aws.String("central")
	if _, err := w.client().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}}); err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, w.cloud)
	if end, near := len(w.sink.take("queue-end")), len(w.sink.take("queue-near")); end != 1 || near != 1 {
		t.Errorf("got %d and %d events, want one on each further bus", end, near)
	}
}

func TestBusesThatSendToEachOtherDoNotLoop(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client().CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("central")}); err != nil {
		t.Fatal(err)
	}
	w.rule("to", everything, toBus("1", arn("events", "event-bus/central"), labtest.Administrator))
	w.ruleBy(w.client(), "central", "back", everything, toBus("1", arn("events", "event-bus/default"), labtest.Administrator))
	w.put(`{}`)
	if m := w.metrics("to"); m.MatchedEvents != 1 || m.FailedInvocations != 0 {
		t.Errorf("got %+v", m)
	}
}

func TestPutEventsOnAnotherAccountsBusNeedsItsPolicy(t *testing.T) {
	w, _, bus := central(t)
	w.ruleBy(w.client(), "central", "collect", everything, target("1", queue("queue-central/collect")))
	put := func(bus string) error {
		e := entry(`{}`)
		e.EventBusName = &bus
		_, err := w.in(labtest.Member, labtest.Region).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}})
		labtest.Settle(t, w.cloud)
		return err
	}
	wantError(t, put(bus), "AccessDeniedException", "events:PutEvents on resource: "+bus)
	wantError(t, put(arn("events", "event-bus/gone")), "AccessDeniedException", "events:PutEvents")
	w.permit(eventbridge.PutPermissionInput{Principal: aws.String(labtest.Member)})
	if err := put(bus); err != nil {
		t.Fatal(err)
	}
	if got := w.sink.bodies("collect"); len(got) != 1 || !strings.Contains(got[0], `"account":"222222222222"`) {
		t.Errorf("got %v, want the caller's account in the event", got)
	}
}

func TestABusPolicyHoldsAfterItsLag(t *testing.T) {
	c := labtest.NewCloud(t, func(o *cloud.Options) { o.Lag.Policies = 5e9 })
	w := newWorldIn(t, c)
	if _, err := w.client().PutPermission(t.Context(), &eventbridge.PutPermissionInput{
		Action: aws.String("events:PutEvents"), Principal: aws.String("*"), StatementId: aws.String("s"),
	}); err != nil {
		t.Fatal(err)
	}
	seen := func() string {
		r, err := w.events.Resource(arn("events", "event-bus/default"))
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Policy)
	}
	if got := seen(); got != "" {
		t.Errorf("got policy %s at once", got)
	}
	labtest.Advance(t, c, 5e9)
	if got := seen(); !strings.Contains(got, `"Sid":"s"`) {
		t.Errorf("got policy %q after its lag", got)
	}
}

func TestAQueueWhoseDeadLetterPolicyNamesAnotherRuleGetsNothing(t *testing.T) {
	w, _, _ := central(t)
	dead := target("1", queue("queue-nobody"))
	dead.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String(queue("queue-allowed"))}
	w.rule("allowed", everything, dead)
	w.rule("other", everything, dead)
	w.from(here(), []byte(small))
	got := w.sink.take("queue-allowed")
	if len(got) != 1 || got[0].Attributes["ERROR_CODE"] != "NO_PERMISSIONS" || got[0].Attributes["RULE_ARN"] != arn("events", "rule/allowed") {
		t.Errorf("got %+v", got)
	}
	if a, b := w.metrics("allowed"), w.metrics("other"); a.DeadLetters != 1 || b.LostDeadLetters != 1 {
		t.Errorf("got %+v and %+v", a, b)
	}
}

func TestResourcesOfBuses(t *testing.T) {
	w, _, bus := central(t)
	for name, exists := range map[string]bool{
		bus: true, arn("events", "event-bus/default"): true, arn("events", "event-bus/gone"): false, arn("events", "rule/r"): false, "x": false,
		strings.Replace(bus, labtest.Administrator, labtest.Member, 1):                                                  false,
		cloud.Place{Partition: "aws", Account: labtest.Member, Region: "us-east-1"}.ARN("events", "event-bus/default"):  true,
		cloud.Place{Partition: "aws", Account: "999999999999", Region: "us-east-1"}.ARN("events", "event-bus/default"):  false,
		cloud.Place{Partition: "aws", Account: labtest.Member, Region: "af-south-1"}.ARN("events", "event-bus/default"): false,
	} {
		if _, err := w.events.Resource(name); (err == nil) != exists {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
