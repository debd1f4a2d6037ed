package events_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

func TestEachKindOfTargetIsDeliveredToInItsWay(t *testing.T) {
	w := newWorld(t)
	r := role(labtest.Administrator, "deliver")
	fifo := target("fifo", queue("q.fifo"))
	fifo.SqsParameters = &types.SqsParameters{MessageGroupId: aws.String("group")}
	stream := target("stream", arn("firehose", "deliverystream/s"))
	stream.RoleArn = r
	w.rule("r", `{"source":["example.app"]}`, target("queue", queue("q")), fifo, target("topic", arn("sns", "t")), target("function", arn("lambda", "function:f")), stream)
	w.put(`{"n":1}`)
	for end, want := range map[string]cloud.Delivery{
		":q":      {Action: "sqs:SendMessage"},
		"q.fifo":  {Action: "sqs:SendMessage", Attributes: map[string]string{"MessageGroupId": "group"}},
		":t":      {Action: "sns:Publish"},
		":f":      {Action: "lambda:InvokeFunction", Attributes: map[string]string{"invocation-type": "Event"}},
		"ream/s":  {Action: "firehose:PutRecord", Role: *r},
		"nothing": {},
	} {
		got := w.sink.take(end)
		if want.Action == "" {
			continue
		}
		if len(got) != 1 {
			t.Errorf("%s: got %d deliveries", end, len(got))
			continue
		}
		d := got[0]
		if d.From != "events.amazonaws.com" || d.Source != arn("events", "rule/r") || d.Account != labtest.Administrator || d.Action != want.Action ||
			d.Role != want.Role || d.Trusted || len(d.Attributes) != len(want.Attributes) {
			t.Errorf("%s: got %+v", end, d)
		}
		for key, value := range want.Attributes {
			if d.Attributes[key] != value {
				t.Errorf("%s: got %v", end, d.Attributes)
			}
		}
		if !bytes.HasSuffix(d.Body, []byte(`"detail":{"n":1}}`)) {
			t.Errorf("%s: got %s; want the event without a newline at the end", end, d.Body)
		}
	}
	if m := w.metrics("r"); m.MatchedEvents != 1 || m.Invocations != 5 || m.FailedInvocations != 0 {
		t.Errorf("got %+v", m)
	}
}

// imported is an event of Security Hub with one finding.
func imported(t *testing.T, file string) []byte {
	t.Helper()
	c := labtest.NewCloud(t)
	detail := slices.Concat([]byte(`{"findings":[`), sample(t, file), []byte(`]}`))
	envelope := c.Envelop(here(), "aws.securityhub", "Security Hub Findings - Imported", nil, detail)
	b, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// article is the article's pattern.
const article = `{"source": ["aws.securityhub"], "detail-type": ["Security Hub Findings - Imported"],
 "detail": {"findings": {"ProductFields": {"aws/securityhub/ProductName": ["Inspector"]}}}}`

func TestTheArticlesRuleLetsInspectorThroughAndNothingElse(t *testing.T) {
	w := newWorld(t)
	stream := target("firehose", arn("firehose", "deliverystream/inspector"))
	stream.RoleArn = role(labtest.Administrator, "deliver")
	w.rule("inspector", article, stream)
	for file, want := range map[string]int{
		"asff-inspector-v2-ec2.json": 1, "asff-inspector-classic.json": 1, "asff-guardduty.json": 0,
	} {
		event := imported(t, file)
		w.from(here(), event)
		got := w.sink.take("inspector")
		if len(got) != want {
			t.Errorf("%s: got %d, want %d", file, len(got), want)
		}
		if want == 1 && !bytes.Equal(got[0].Body, event) {
			t.Errorf("%s: the event was changed on its way", file)
		}
	}
	w.from(here(), sample(t, "event-securityhub-imported.json"))
	w.from(here(), sample(t, "event-inspector2-finding-ec2-package-2024.json"))
	if got := w.sink.take("inspector"); len(got) != 0 {
		t.Errorf("got %d events of other products", len(got))
	}
}

func TestRulesSeeTheEventsOfTheirAccountAndRegionOnly(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":[{"prefix":""}]}`, target("1", queue("q")))
	for _, p := range []cloud.Place{
		{Partition: "aws", Account: labtest.Member, Region: labtest.Region},
		{Partition: "aws", Account: labtest.Administrator, Region: "us-east-1"},
	} {
		w.from(p, []byte(small))
	}
	if got := w.sink.take("q"); len(got) != 0 {
		t.Errorf("got %d events of other places", len(got))
	}
	w.from(here(), []byte(small))
	if got := w.sink.take("q"); len(got) != 1 {
		t.Errorf("got %d events of its own", len(got))
	}
}

func TestWhatServicesEmitArrives(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["aws.inspector2"],"detail":{"n":[1]}}`, target("1", queue("q")))
	id, err := w.cloud.Emit(here(), cloud.Event{Source: "aws.inspector2", DetailType: "Inspector2 Finding", Detail: map[string]int{"n": 1}})
	if err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, w.cloud)
	if got := w.sink.bodies("q"); len(got) != 1 || !strings.Contains(got[0], id) {
		t.Errorf("got %v, want event %s", got, id)
	}
}

func TestAFaultOnTheHopDoublesOrLosesAnEvent(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["example.app"]}`, target("1", queue("q")))
	for kind, want := range map[cloud.FaultKind]int{cloud.FaultDuplicate: 2, cloud.FaultDrop: 0} {
		id, err := w.cloud.Faults.Add(cloud.Fault{Kind: kind, From: "events.amazonaws.com"})
		if err != nil {
			t.Fatal(err)
		}
		w.put(`{}`)
		if got := w.sink.take("q"); len(got) != want {
			t.Errorf("%s: got %d events, want %d", kind, len(got), want)
		}
		w.cloud.Faults.Remove(id)
	}
}

func TestAnEventThatIsNoJSONIsRefused(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["a"]}`, target("1", queue("q")))
	for _, body := range []string{small[:100], "[]", small + small, ""} {
		_, err := w.cloud.Deliver(t.Context(), &cloud.Delivery{
			From: "x.amazonaws.com", Account: labtest.Administrator, Action: "events:PutEvents", Target: arn("events", "event-bus/default"), Body: []byte(body), Trusted: true,
		})
		if err == nil || !strings.Contains(err.Error(), "read the event") {
			t.Errorf("%.20q: got %v", body, err)
		}
	}
	if _, err := w.events.Receive(context.Background(), &cloud.Delivery{Target: arn("events", "event-bus/gone"), Body: []byte(small)}); err == nil {
		t.Error("a bus that does not exist took an event")
	}
}

func TestInspectShowsRulesWithTheirNumbers(t *testing.T) {
	w := newWorld(t)
	w.rule("b", `{"source":["example.app"]}`, target("1", queue("q")))
	w.rule("a", `{"source":["other"]}`)
	w.put(`{}`)
	b, err := json.Marshal(w.events.Inspect())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"rules":[{"arn":"arn:aws:events:ap-northeast-1:111111111111:rule/a","state":"ENABLED","pattern":"{\"source\":[\"other\"]}","targets":[],` +
		`"metrics":{"matchedEvents":0,"invocations":0,"retries":0,"failedInvocations":0,"deadLetters":0,"lostDeadLetters":0,"notForwarded":0}},` +
		`{"arn":"arn:aws:events:ap-northeast-1:111111111111:rule/b","state":"ENABLED","pattern":"{\"source\":[\"example.app\"]}",` +
		`"targets":["arn:aws:sqs:ap-northeast-1:111111111111:q"],` +
		`"metrics":{"matchedEvents":1,"invocations":1,"retries":0,"failedInvocations":0,"deadLetters":0,"lostDeadLetters":0,"notForwarded":0}}],"more":0}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}
