package events_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/events"
	"example.org/catchment/internal/lab/labtest"
)

// A world is EventBridge in a cloud whose other services are one sink.
type world struct {
	*testing.T
	cloud  *cloud.Cloud
	events *events.Service
	server *labtest.Server
	sink   *sink
}

func newWorld(t *testing.T, options ...func(*cloud.Options)) *world {
	t.Helper()
	c := labtest.NewCloud(t, options...)
	return newWorldIn(t, c)
}

func newWorldIn(t *testing.T, c *cloud.Cloud, options ...func(*events.Options)) *world {
	t.Helper()
	w := &world{T: t, cloud: c, events: events.New(c, options...), sink: &sink{}}
	w.server = labtest.Serve(t, c, w.events.Wire())
	for _, service := range []string{"sqs", "sns", "lambda", "firehose"} {
		c.Receivers.Register(service, w.sink)
	}
	return w
}

// client calls as the administrator account in its region.
func (w *world) client() *eventbridge.Client { return w.in(labtest.Administrator, labtest.Region) }

func (w *world) in(account, region string) *eventbridge.Client {
	return eventbridge.NewFromConfig(w.server.Config(account, region))
}

func arn(service, resource string) string {
	return cloud.Place{Partition: "aws", Account: labtest.Administrator, Region: labtest.Region}.ARN(service, resource)
}

func role(account, name string) *string {
	return aws.String(cloud.Place{Partition: "aws", Account: account}.ARN("iam", "role/"+name))
}

func queue(name string) string { return arn("sqs", name) }

// rule puts a rule with targets on the default bus.
func (w *world) rule(name, pattern string, targets ...types.Target) {
	w.Helper()
	w.ruleBy(w.client(), "", name, pattern, targets...)
}

func (w *world) ruleBy(client *eventbridge.Client, bus, name, pattern string, targets ...types.Target) {
	w.Helper()
	in := &eventbridge.PutRuleInput{Name: &name, EventPattern: &pattern}
	put := &eventbridge.PutTargetsInput{Rule: &name, Targets: targets}
	if bus != "" {
		in.EventBusName, put.EventBusName = &bus, &bus
	}
	if _, err := client.PutRule(w.Context(), in); err != nil {
		w.Fatal(err)
	}
	if len(targets) == 0 {
		return
	}
	out, err := client.PutTargets(w.Context(), put)
	if err != nil {
		w.Fatal(err)
	}
	if out.FailedEntryCount != 0 {
		w.Fatalf("targets of %s: %s", name, *out.FailedEntries[0].ErrorMessage)
	}
}

func target(id, arn string) types.Target { return types.Target{Id: &id, Arn: &arn} }

// put puts an event of our own on the default bus, and lets happen what is to happen.
func (w *world) put(detail string) string {
	w.Helper()
	out, err := w.client().PutEvents(w.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry(detail)}})
	if err != nil {
		w.Fatal(err)
	}
	if out.FailedEntryCount != 0 {
		w.Fatalf("PutEvents: %s", *out.Entries[0].ErrorMessage)
	}
	labtest.Settle(w, w.cloud)
	return *out.Entries[0].EventId
}

func entry(detail string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{Source: aws.String("example.app"), DetailType: aws.String("Example"), Detail: &detail}
}

// from delivers an event as a service does, on the default bus of a place.
func (w *world) from(p cloud.Place, body []byte) {
	w.Helper()
	w.cloud.DeliverLater(&cloud.Delivery{
		From: "securityhub.amazonaws.com", Source: p.ARN("securityhub", "event"), Account: p.Account, Action: "events:PutEvents",
		Target: p.ARN("events", "event-bus/default"), Body: body, Trusted: true,
	}, func(_ context.Context, _ []byte, err error) {
		if err != nil {
			w.Error(err)
		}
	})
	labtest.Settle(w, w.cloud)
}

func (w *world) metrics(rule string) events.Metrics {
	w.Helper()
	m, ok := w.events.Metrics()[arn("events", "rule/"+rule)]
	if !ok {
		w.Fatalf("no metrics of rule %s", rule)
	}
	return m
}

// A sink takes all deliveries, and remembers them.
type sink struct {
	mu       sync.Mutex
	got      []cloud.Delivery
	fail     func(d *cloud.Delivery) error // asked before a delivery is taken
	resource func(arn string) (cloud.Resource, error)
}

func (s *sink) Resource(arn string) (cloud.Resource, error) {
	if s.resource != nil {
		return s.resource(arn)
	}
	a, err := cloud.ParseARN(arn)
	return cloud.Resource{Owner: a.Account}, err
}

func (s *sink) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(d); err != nil {
			return nil, err
		}
	}
	kept := *d
	kept.Body = slices.Clone(d.Body)
	s.got = append(s.got, kept)
	return nil, nil
}

// take gives what arrived at targets whose ARN ends in a name since it was last asked.
func (s *sink) take(name string) []cloud.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out, rest []cloud.Delivery
	for _, d := range s.got {
		if strings.HasSuffix(d.Target, name) {
			out = append(out, d)
		} else {
			rest = append(rest, d)
		}
	}
	s.got = rest
	return out
}

func (s *sink) bodies(name string) []string {
	var out []string
	for _, d := range s.take(name) {
		out = append(out, string(d.Body))
	}
	return out
}

var errBroken = errors.New("broken for good")

func retryable(code string) error {
	return &cloud.DeliveryError{Code: code, Err: fmt.Errorf("not now"), Retry: true}
}

// wantError checks the code and a part of the message of what the SDK returned.
func wantError(t *testing.T, err error, code, part string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), part) {
		t.Errorf("got %s: %s\nwant %s with %q", api.ErrorCode(), api.ErrorMessage(), code, part)
	}
}
