package events

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
	"example.org/catchment/internal/pattern"
	"example.org/catchment/internal/scan"
)

// maxEntries is how many events a request to PutEvents may hold.
const maxEntries = 10

// eventTime is the form of an envelope's time.
const eventTime = "2006-01-02T15:04:05Z"

type putEventsInput struct {
	Entries    []putEventsEntry
	EndpointID string `json:"EndpointId"`
}

type putEventsEntry struct {
	Time         wire.Epoch
	Source       string
	Resources    []string
	DetailType   string
	Detail       string
	EventBusName string
	TraceHeader  string
}

type putEventsResult struct {
	EventID      string `json:"EventId,omitzero"`
	ErrorCode    string `json:",omitzero"`
	ErrorMessage string `json:",omitzero"`
}

type putEventsOutput struct {
	FailedEntryCount int
	Entries          []putEventsResult
}

// size is what EventBridge counts of an entry.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
func (e *putEventsEntry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if !e.Time.IsZero() {
		n += 14
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

func (in *putEventsInput) check(most int) error {
	var c checks
	c.count(len(in.Entries), "entries", 1, maxEntries)
	total := 0
	for i := range in.Entries {
		e := &in.Entries[i]
		total += e.size()
		c.text(e.EventBusName, "entries.member.eventBusName", 1600, busARNForm)
		c.text(e.TraceHeader, "entries.member.traceHeader", 500, nil)
		for _, r := range e.Resources {
			c.text(r, "entries.member.resources.member", 2048, nil)
		}
	}
	if err := c.err(); err != nil {
		return err
	}
	if total > most {
		return invalid("Total size of the entries in the request is over the limit.")
	}
	if in.EndpointID != "" {
		return invalid("Endpoint %s does not exist: the lab has no global endpoints.", clip(in.EndpointID))
	}
	return nil
}

// refuse tells what is wrong with an entry; an empty code: nothing.
func (e *putEventsEntry) refuse() (code, message string) {
	for _, member := range [][2]string{{"Source", e.Source}, {"DetailType", e.DetailType}, {"Detail", e.Detail}} {
		if member[1] == "" {
			return "InvalidArgument", "Parameter " + member[0] + " is not valid. Reason: " + member[0] + " is a required argument."
		}
	}
	if strings.HasPrefix(e.Source, "aws.") {
		return "NotAuthorizedForSourceException", "Not authorized for the source."
	}
	if !isObject([]byte(e.Detail)) {
		return "MalformedDetail", "Detail is malformed."
	}
	return "", ""
}

// isObject tells whether text is one JSON object.
func isObject(text []byte) bool {
	var doc scan.Document
	paths := scan.NewPaths()
	paths.Add()
	n, err := doc.Scan(text, paths)
	return err == nil && len(doc.Hits) > 0 && doc.Hits[0].Kind == scan.Object && strings.TrimSpace(string(text[n:])) == ""
}

// target finds the bus of an entry. A bus that does not exist is none of the caller's business: AWS takes the event, and it
// is gone.
func (e *putEventsEntry) target(c *wire.Call) (at cloud.Place, name string, ok bool) {
	if e.EventBusName == "" {
		return c.Place, defaultBus, true
	}
	if name, ok := busName(c.Place, e.EventBusName); ok {
		return c.Place, name, true
	}
	a, err := cloud.ParseARN(e.EventBusName)
	name, isBus := strings.CutPrefix(a.Resource, "event-bus/")
	return a.Place(), name, err == nil && isBus && a.Region == c.Region && a.Partition == c.Partition
}

// putRate is the quota of requests a second, by region.
func putRate(region string) int {
	switch region {
	case "us-east-1":
		return 10_000
	default:
		return 1_200
	}
}

// toBus is an event that a request is to put on a bus.
type toBus struct {
	at   cloud.Place
	name string
	body []byte
}

func (s *Service) putEvents(_ context.Context, c *wire.Call, in *putEventsInput) (*putEventsOutput, error) {
	if err := in.check(s.o.MaxRequest); err != nil {
		return nil, err
	}
	if err := s.admit(c, in); err != nil {
		return nil, err
	}
	out := &putEventsOutput{}
	var accepted []toBus
	for i := range in.Entries {
		e := &in.Entries[i]
		at, name, ok := e.target(c)
		code, message := e.refuse()
		if code == "" && !ok {
			code, message = "InvalidArgument", "Parameter EventBusName is not valid. Reason: it must be a bus of region "+c.Region+"."
		}
		if code == "" {
			id := s.cloud.UUID("event")
			body, err := e.envelope(c.Place, id, s.now())
			if err == nil {
				out.Entries = append(out.Entries, putEventsResult{EventID: id})
				accepted = append(accepted, toBus{at, name, body})
				continue
			}
			code, message = "InvalidArgument", "An argument is no valid text."
		}
		out.FailedEntryCount++
		out.Entries = append(out.Entries, putEventsResult{ErrorCode: code, ErrorMessage: message})
	}
	s.cloud.Clock.Go(func(context.Context) { s.takeAll(accepted) })
	return out, nil
}

// takeAll puts events on their buses.
func (s *Service) takeAll(accepted []toBus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range accepted {
		if here := s.places[e.at]; here != nil && here.buses[e.name] != nil {
			_ = s.take(here.buses[e.name], e.body, false) // the envelope is our own: it can be read
		}
	}
}

// admit asks whether the caller may put events on the buses of a request, and, with Quotas, whether it is not too often.
func (s *Service) admit(c *wire.Call, in *putEventsInput) error {
	asked := make(map[string]bool)
	for i := range in.Entries {
		at, name, ok := in.Entries[i].target(c)
		arn := at.ARN("events", "event-bus/"+name)
		if !ok || asked[arn] {
			continue
		}
		asked[arn] = true
		resource, err := s.Resource(arn)
		if err != nil && at != c.Place {
			return wire.StatusErrorf(http.StatusForbidden, "AccessDeniedException",
				"User: %s is not authorized to perform: events:PutEvents on resource: %s because no resource-based policy allows the events:PutEvents action",
				c.Who.ARN, clip(arn))
		}
		if err := c.Authorize(actionPutEvents, arn, at.Account, resource.Policy); err != nil {
			return err
		}
	}
	if !s.cloud.Quotas {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at(c.Place).puts.take(s.now(), putRate(c.Region)) {
		return wire.Errorf("ThrottlingException", "Rate exceeded")
	}
	return nil
}

// envelope is the event as targets get it. Its account is the caller's, whatever bus it goes to.
func (e *putEventsEntry) envelope(p cloud.Place, id string, now time.Time) ([]byte, error) {
	if !e.Time.IsZero() {
		now = e.Time.Time
	}
	resources := e.Resources
	if resources == nil {
		resources = []string{}
	}
	return marshalEnvelope(&cloud.Envelope{
		Version: "0", ID: id, DetailType: e.DetailType, Source: e.Source, Account: p.Account,
		Time: now.UTC().Format(eventTime), Region: p.Region, Resources: resources, Detail: scan.AppendCompact(nil, []byte(e.Detail)),
	})
}

// marshalEnvelope writes an envelope; the texts and numbers in its detail stay as they are.
func marshalEnvelope(e *cloud.Envelope) ([]byte, error) {
	return json.Marshal(e, jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

type testEventPatternInput struct{ EventPattern, Event string }

type testEventPatternOutput struct{ Result bool }

// mandatory are the fields that an event must have to be tried.
var mandatory = []string{"id", "account", "source", "time", "region", "resources", "detail-type"}

func (s *Service) testEventPattern(_ context.Context, _ *wire.Call, in *testEventPatternInput) (*testEventPatternOutput, error) {
	var c checks
	c.required(in.EventPattern, "eventPattern", maxPatternAPI, nil)
	c.required(in.Event, "event", s.o.MaxRequest, nil)
	if err := c.err(); err != nil {
		return nil, err
	}
	p, err := compile(in.EventPattern)
	if err != nil {
		return nil, err
	}
	if !isObject([]byte(in.Event)) {
		return nil, invalid("Parameter Event is not valid. Reason: it is no JSON object.")
	}
	have := make(map[string]bool)
	members([]byte(in.Event), func(key string, _ int, _ []byte) bool {
		have[key] = true
		return true
	})
	for _, field := range mandatory {
		if !have[field] {
			return nil, invalid("Parameter Event is not valid. Reason: it has no field %s.", field)
		}
	}
	paths := scan.NewPaths()
	set := pattern.NewSet(paths, p)
	var doc scan.Document
	if _, err := doc.Scan([]byte(in.Event), paths); err != nil {
		return nil, invalid("Parameter Event is not valid. Reason: %v.", err)
	}
	m := set.NewMatcher()
	m.Load(&doc)
	return &testEventPatternOutput{m.Match(0)}, nil
}
