package events

import (
	"context"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// maxDestinationRate is the most invocations a second of an API destination, and what it has where it is not told.
const maxDestinationRate = 300

// A destination is an API destination: an HTTP endpoint that events are sent to.
type destination struct {
	name, arn         string
	description       string
	connection        string // ARN
	endpoint          string
	method            string
	rate              int // invocations a second
	created, modified time.Time
	pace              pace
}

// destination finds an API destination by its ARN; nil: there is none. Requires s.mu.
func (s *Service) destination(a cloud.ARN) *destination {
	rest, ok := strings.CutPrefix(a.Resource, "api-destination/")
	here := s.places[a.Place()]
	if !ok || here == nil {
		return nil
	}
	name, _, _ := strings.Cut(rest, "/")
	if d := here.destinations[name]; d != nil && d.arn == a.String() {
		return d
	}
	return nil
}

type destinationInput struct {
	Name                         string
	Description                  string
	ConnectionArn                string
	InvocationEndpoint           string
	HTTPMethod                   string `json:"HttpMethod"`
	InvocationRateLimitPerSecond *int
}

type destinationOutput struct {
	APIDestinationArn            string `json:"ApiDestinationArn"`
	Name                         string `json:",omitzero"`
	Description                  string `json:",omitzero"`
	APIDestinationState          string `json:"ApiDestinationState"`
	ConnectionArn                string `json:",omitzero"`
	InvocationEndpoint           string `json:",omitzero"`
	HTTPMethod                   string `json:"HttpMethod,omitzero"`
	InvocationRateLimitPerSecond int    `json:",omitzero"`
	CreationTime                 wire.Epoch
	LastModifiedTime             wire.Epoch
}

func (in *destinationInput) check() error {
	var c checks
	c.required(in.Name, "name", 64, nameForm)
	c.text(in.Description, "description", 512, nil)
	c.text(in.ConnectionArn, "connectionArn", 1600, nil)
	c.text(in.InvocationEndpoint, "invocationEndpoint", 2048, nil)
	c.oneOf(in.HTTPMethod, "httpMethod", "POST", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
	c.number(in.InvocationRateLimitPerSecond, "invocationRateLimitPerSecond", 1, 1<<31-1)
	if err := c.err(); err != nil {
		return err
	}
	if in.InvocationEndpoint != "" && !isEndpoint(in.InvocationEndpoint) {
		return invalid("Parameter InvocationEndpoint is not valid. Reason: it must be an https URL (in the lab also an http URL of a loopback address).")
	}
	if in.InvocationRateLimitPerSecond != nil && *in.InvocationRateLimitPerSecond > maxDestinationRate {
		return tooMany()
	}
	return nil
}

// isEndpoint tells whether the lab calls a URL: https, or, which AWS does not, http on the machine itself.
func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || strings.Contains(u.Host, "*") || u.User != nil || u.Fragment != "" {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	address, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && address.IsLoopback())
}

// connectionOf finds the connection of an ARN. Requires s.mu.
func (here *place) connectionOf(arn string) (*connection, error) {
	_, rest, _ := strings.Cut(arn, ":connection/")
	name, _, _ := strings.Cut(rest, "/")
	if con := here.connections[name]; con != nil && con.arn == arn {
		return con, nil
	}
	return nil, wire.Errorf("ResourceNotFoundException", "Connection '%s' does not exist.", clip(arn))
}

func (s *Service) createDestination(_ context.Context, c *wire.Call, in *destinationInput) (*destinationOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	var need checks
	need.required(in.ConnectionArn, "connectionArn", 1600, nil)
	need.required(in.InvocationEndpoint, "invocationEndpoint", 2048, nil)
	need.required(in.HTTPMethod, "httpMethod", 16, nil)
	if err := need.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	if here.destinations[in.Name] != nil {
		return nil, wire.Errorf("ResourceAlreadyExistsException", "An api-destination '%s' already exists.", in.Name)
	}
	if _, err := here.connectionOf(in.ConnectionArn); err != nil {
		return nil, err
	}
	if len(here.destinations) >= maxConnections {
		return nil, tooMany()
	}
	d := &destination{
		name: in.Name, arn: c.ARN("events", "api-destination/"+in.Name+"/"+s.cloud.UUID("api destination")), description: in.Description,
		connection: in.ConnectionArn, endpoint: in.InvocationEndpoint, method: in.HTTPMethod, rate: maxDestinationRate,
		created: s.now(), modified: s.now(),
	}
	if in.InvocationRateLimitPerSecond != nil {
		d.rate = *in.InvocationRateLimitPerSecond
	}
	here.destinations[in.Name] = d
	return here.brief(d), nil
}

func (here *place) brief(d *destination) *destinationOutput {
	state := "ACTIVE"
	if _, err := here.connectionOf(d.connection); err != nil {
		state = "INACTIVE"
	}
	return &destinationOutput{
		APIDestinationArn: d.arn, APIDestinationState: state,
		CreationTime: wire.Epoch{Time: d.created}, LastModifiedTime: wire.Epoch{Time: d.modified},
	}
}

func (here *place) shown(d *destination) *destinationOutput {
	out := here.brief(d)
	out.Name, out.ConnectionArn, out.InvocationEndpoint = d.name, d.connection, d.endpoint
	out.HTTPMethod, out.InvocationRateLimitPerSecond = d.method, d.rate
	return out
}

func (here *place) findDestination(name string) (*destination, error) {
	if d := here.destinations[name]; d != nil {
		return d, nil
	}
	return nil, wire.Errorf("ResourceNotFoundException", "An api-destination '%s' does not exist.", clip(name))
}

func (s *Service) describeDestination(_ context.Context, c *wire.Call, in *destinationInput) (*destinationOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	d, err := here.findDestination(in.Name)
	if err != nil {
		return nil, err
	}
	out := here.shown(d)
	out.Description = d.description
	return out, nil
}

// updateDestination keeps what is omitted.
func (s *Service) updateDestination(_ context.Context, c *wire.Call, in *destinationInput) (*destinationOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	d, err := here.findDestination(in.Name)
	if err != nil {
		return nil, err
	}
	if in.ConnectionArn != "" {
		if _, err := here.connectionOf(in.ConnectionArn); err != nil {
			return nil, err
		}
		d.connection = in.ConnectionArn
	}
	for _, change := range []struct {
		to   *string
		from string
	}{{&d.description, in.Description}, {&d.endpoint, in.InvocationEndpoint}, {&d.method, in.HTTPMethod}} {
		if change.from != "" {
			*change.to = change.from
		}
	}
	if in.InvocationRateLimitPerSecond != nil {
		d.rate = *in.InvocationRateLimitPerSecond
	}
	d.modified = s.now()
	return here.brief(d), nil
}

type listDestinationsOutput struct {
	APIDestinations []*destinationOutput `json:"ApiDestinations"`
	NextToken       string               `json:",omitzero"`
}

func (s *Service) listDestinations(_ context.Context, c *wire.Call, in *listInput) (*listDestinationsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	var all []*destinationOutput
	for _, name := range slices.Sorted(maps.Keys(here.destinations)) {
		d := here.destinations[name]
		if strings.HasPrefix(name, in.NamePrefix) && (in.ConnectionArn == "" || d.connection == in.ConnectionArn) {
			all = append(all, here.shown(d))
		}
	}
	some, next, err := page(all, func(o *destinationOutput) string { return o.Name }, in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listDestinationsOutput{some, next}, nil
}

func (s *Service) deleteDestination(_ context.Context, c *wire.Call, in *destinationInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	if _, err := here.findDestination(in.Name); err != nil {
		return nil, err
	}
	delete(here.destinations, in.Name)
	return nil, nil
}
