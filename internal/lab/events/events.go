// Package events is the lab's EventBridge: buses, rules that match events, and what goes to the rules' targets.
//
// Patterns are matched by this project's own internal/pattern. Deliveries, their retries and dead letters are tasks of the
// lab's clock. An event goes from bus to bus once, and is not routed on by the bus that it came to. An API destination's
// endpoint is called by real HTTP while the lab's time waits, at most 5 s of real time; beside https the lab takes http
// for loopback addresses. cron() schedules are accepted and never fire.
//
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/Welcome.html
package events

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// principal is who delivers for rules.
const principal = "events.amazonaws.com"

// Options of the service. Zero fields mean what their comments say.
type Options struct {
	// MaxRequest bounds the entries of a PutEvents request, in bytes as EventBridge counts them; 0: 1 MiB. It was 256 KiB
	// until January 2026.
	MaxRequest int
	// Client calls the endpoints of API destinations; nil: one that follows no redirects. Its timeout is not used.
	Client *http.Client
}

// A Service is EventBridge in all accounts and regions.
type Service struct {
	cloud *cloud.Cloud
	o     Options

	mu     sync.Mutex
	places map[cloud.Place]*place // guarded by mu, with all that is below
	chains int                    // how many schedules were started
}

// New makes the service, and takes deliveries for the ARNs of event buses and API destinations.
func New(c *cloud.Cloud, options ...func(*Options)) *Service {
	s := &Service{cloud: c, o: Options{MaxRequest: 1 << 20}, places: make(map[cloud.Place]*place)}
	for _, f := range options {
		f(&s.o)
	}
	if s.o.Client == nil {
		s.o.Client = newClient()
	}
	c.Receivers.Register("events", s)
	return s
}

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	operations := make(map[string]wire.Operation)
	add := func(resource func(*wire.Call) string, all map[string]func(context.Context, *wire.Call) (any, error)) {
		for name, do := range all {
			operations[name] = wire.Operation{Do: do, Resource: resource}
		}
	}
	add(s.resourceOfBus, map[string]func(context.Context, *wire.Call) (any, error){
		"CreateEventBus": wire.Do(s.createEventBus), "UpdateEventBus": wire.Do(s.updateEventBus),
		"DeleteEventBus": wire.Do(s.deleteEventBus), "DescribeEventBus": wire.Do(s.describeEventBus),
		"PutPermission": wire.Do(s.putPermission), "RemovePermission": wire.Do(s.removePermission),
	})
	add(s.resourceOfRule, map[string]func(context.Context, *wire.Call) (any, error){
		"PutRule": wire.Do(s.putRule), "DescribeRule": wire.Do(s.describeRule), "DeleteRule": wire.Do(s.deleteRule),
		"EnableRule": wire.Do(s.setState(stateEnabled)), "DisableRule": wire.Do(s.setState(stateDisabled)),
		"PutTargets": wire.Do(s.putTargets), "RemoveTargets": wire.Do(s.removeTargets), "ListTargetsByRule": wire.Do(s.listTargetsByRule),
	})
	add(s.resourceOfTags, map[string]func(context.Context, *wire.Call) (any, error){
		"TagResource": wire.Do(s.tagResource), "UntagResource": wire.Do(s.untagResource), "ListTagsForResource": wire.Do(s.listTags),
	})
	add(nil, map[string]func(context.Context, *wire.Call) (any, error){
		"ListEventBuses": wire.Do(s.listEventBuses), "ListRules": wire.Do(s.listRules),
		"ListRuleNamesByTarget": wire.Do(s.listRuleNamesByTarget), "TestEventPattern": wire.Do(s.testEventPattern),
		"CreateConnection": wire.Do(s.createConnection), "DescribeConnection": wire.Do(s.describeConnection),
		"UpdateConnection": wire.Do(s.updateConnection), "ListConnections": wire.Do(s.listConnections),
		"DeleteConnection":     wire.Do(s.deleteConnection),
		"CreateApiDestination": wire.Do(s.createDestination), "DescribeApiDestination": wire.Do(s.describeDestination),
		"UpdateApiDestination": wire.Do(s.updateDestination), "ListApiDestinations": wire.Do(s.listDestinations),
		"DeleteApiDestination": wire.Do(s.deleteDestination),
	})
	operations["PutEvents"] = wire.Operation{Do: wire.Do(s.putEvents), Self: true}
	for name, op := range operations {
		if name != "PutEvents" { // which has a quota by region
			op.Rate = wire.Rate{PerSecond: 50, Burst: 50}
			operations[name] = op
		}
	}
	return &wire.Service{Name: "events", Protocols: []wire.Protocol{wire.JSON11}, Target: "AWSEvents", Operations: operations}
}

// Resource tells about a bus or an API destination. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html
func (s *Service) Resource(arn string) (cloud.Resource, error) {
	a, err := cloud.ParseARN(arn)
	if err != nil {
		return cloud.Resource{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, ok := strings.CutPrefix(a.Resource, "event-bus/"); ok {
		if name == defaultBus {
			if _, exists := s.cloud.Accounts.Find(a.Account); !exists || !s.cloud.Accounts.Enabled(a.Account, a.Region) {
				return cloud.Resource{}, cloud.ErrNoResource
			}
			if p := s.places[a.Place()]; p == nil || p.buses[name] == nil {
				return cloud.Resource{Owner: a.Account}, nil
			}
		}
		if b := s.bus(a.Place(), name); b != nil {
			return cloud.Resource{Owner: a.Account, Policy: b.visiblePolicy}, nil
		}
	} else if s.destination(a) != nil {
		return cloud.Resource{Owner: a.Account}, nil
	}
	return cloud.Resource{}, cloud.ErrNoResource
}

// Receive takes an event for a bus: an envelope as JSON, which is passed on byte by byte. For an API destination it takes
// the body of the request.
func (s *Service) Receive(ctx context.Context, d *cloud.Delivery) ([]byte, error) {
	a, err := cloud.ParseARN(d.Target)
	if err != nil {
		return nil, err
	}
	name, isBus := strings.CutPrefix(a.Resource, "event-bus/")
	if !isBus {
		return nil, s.invoke(ctx, a, d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.places[a.Place()]
	if p == nil || p.buses[name] == nil {
		if name == defaultBus {
			return nil, nil // nobody has a rule there
		}
		return nil, cloud.ErrNoResource
	}
	return nil, s.take(p.buses[name], d.Body, d.From == principal && !d.Trusted)
}

// Metrics are what CloudWatch counts for a rule.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
type Metrics struct {
	MatchedEvents     int64 `json:"matchedEvents"`     // or times that its schedule came round
	Invocations       int64 `json:"invocations"`       // of targets, each counted once however often it is tried
	Retries           int64 `json:"retries"`           // further tries
	FailedInvocations int64 `json:"failedInvocations"` // that were given up
	DeadLetters       int64 `json:"deadLetters"`       // of these: that reached a dead-letter queue
	LostDeadLetters   int64 `json:"lostDeadLetters"`   // that a dead-letter queue did not take
	NotForwarded      int64 `json:"notForwarded"`      // events that came from a bus and were not sent to a further one
}

// Metrics gives the numbers of all rules that exist, by the rule's ARN.
func (s *Service) Metrics() map[string]Metrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]Metrics)
	for _, p := range s.places {
		for _, b := range p.buses {
			for _, r := range b.rules {
				out[r.arn] = *r.metrics
			}
		}
	}
	return out
}

// maxInspected is how many rules Inspect shows.
const maxInspected = 1000

// RuleState is what Inspect shows of a rule.
type RuleState struct {
	ARN      string   `json:"arn"`
	State    string   `json:"state"`
	Pattern  string   `json:"pattern,omitempty"`
	Schedule string   `json:"schedule,omitempty"`
	Targets  []string `json:"targets"` // ARNs
	Metrics  Metrics  `json:"metrics"`
}

// Inspect is the state, for people: the rules in the order of their ARNs, and how many more there are.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]*rule)
	for _, p := range s.places {
		for _, b := range p.buses {
			for _, r := range b.rules {
				all[r.arn] = r
			}
		}
	}
	out := struct {
		Rules []RuleState `json:"rules"`
		More  int         `json:"more"`
	}{Rules: []RuleState{}, More: max(0, len(all)-maxInspected)}
	for _, arn := range slices.Sorted(maps.Keys(all))[:len(all)-out.More] {
		r := all[arn]
		shown := RuleState{arn, r.state, r.eventPattern, r.schedule, []string{}, *r.metrics}
		for _, t := range r.targets {
			shown.Targets = append(shown.Targets, t.Arn)
		}
		out.Rules = append(out.Rules, shown)
	}
	return out
}

// nothing is an answer without members.
type nothing struct{}

func (s *Service) now() time.Time { return s.cloud.Clock.Now() }
