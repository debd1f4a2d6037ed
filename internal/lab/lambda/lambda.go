// Package lambda is the lab's AWS Lambda: it runs real binaries.
//
// A function is a zip with an executable named bootstrap at its root (runtimes provided.al2023 and provided.al2). For each
// execution environment the lab unpacks it into a temporary folder and starts it as a process of its own, with nothing of
// the lab's environment but PATH, and with the credentials of the function's role. The process asks the Lambda Runtime API
// for what to do, as on AWS. Whoever has an account's key can so run programs on this machine: the lab listens at
// loopback only.
//
// What differs from AWS: invocations that nobody waits for run one after the other, in the lab's loop of events, a
// function's log is kept in memory, and a binary has to be of this machine's architecture whatever the function says.
//
// https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html,
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
package lambda

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Bounds. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxPayload      = 6 << 20  // of a request or an answer that is waited for, bytes
	maxAsync        = 1 << 20  // of one that is not
	maxZip          = 50 << 20 // uploaded in a request
	maxUnzipped     = 250 << 20
	maxTimeout      = 900 // seconds
	maxEnvironments = 10  // of one function at once; AWS: 1,000 in an account
	maxPolicy       = 20 << 10
)

// A Service is Lambda for all accounts and regions.
type Service struct {
	cloud *cloud.Cloud

	// Code reads an object that a function's code lies in. nil: code comes in requests only.
	Code func(ctx context.Context, who cloud.Identity, bucket, key string) ([]byte, error)

	mu        sync.Mutex
	functions map[cloud.Place]map[string]*function // guarded by mu, like all below
	mappings  map[string]*mapping                  // by UUID
	closed    bool
	running   sync.WaitGroup // processes
}

// New makes the service, and lets it take deliveries.
func New(c *cloud.Cloud) *Service {
	s := &Service{cloud: c, functions: make(map[cloud.Place]map[string]*function), mappings: make(map[string]*mapping)}
	c.Receivers.Register("lambda", s)
	return s
}

// Close ends all processes and waits for them.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	var all []*environment
	for _, byName := range s.functions {
		for _, f := range byName {
			all = append(all, f.retire()...)
		}
	}
	s.mu.Unlock()
	for _, e := range all {
		e.stop()
	}
	s.running.Wait()
}

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	const functions = "/2015-03-31/functions"
	const mappings = "/2015-03-31/event-source-mappings"
	one := functions + "/{FunctionName}"
	return &wire.Service{
		Name: "lambda", Protocols: []wire.Protocol{wire.RESTJSON},
		Throttled: &wire.Error{
			Code: "TooManyRequestsException", Status: http.StatusTooManyRequests, Message: "Rate exceeded",
			Fields: map[string]any{"Reason": "CallerRateLimitExceeded"},
		},
		Operations: map[string]wire.Operation{
			"CreateFunction":              {Do: wire.Do(s.create), Method: http.MethodPost, Path: functions},
			"ListFunctions":               {Do: wire.Do(s.list), Method: http.MethodGet, Path: functions},
			"GetFunction":                 {Do: wire.Do(s.get), Method: http.MethodGet, Path: one, Resource: s.resource},
			"GetFunctionConfiguration":    {Do: wire.Do(s.configuration), Method: http.MethodGet, Path: one + "/configuration", Resource: s.resource},
			"UpdateFunctionCode":          {Do: wire.Do(s.updateCode), Method: http.MethodPut, Path: one + "/code", Resource: s.resource},
			"UpdateFunctionConfiguration": {Do: wire.Do(s.updateConfiguration), Method: http.MethodPut, Path: one + "/configuration", Resource: s.resource},
			"DeleteFunction":              {Do: wire.Do(s.remove), Method: http.MethodDelete, Path: one, Resource: s.resource},
			"Invoke":                      {Do: s.invoke, Method: http.MethodPost, Path: one + "/invocations", Self: true, Action: "lambda:InvokeFunction"},
			"AddPermission":               {Do: wire.Do(s.addPermission), Method: http.MethodPost, Path: one + "/policy", Resource: s.resource},
			"RemovePermission":            {Do: wire.Do(s.removePermission), Method: http.MethodDelete, Path: one + "/policy/{StatementId}", Resource: s.resource},
			"GetPolicy":                   {Do: wire.Do(s.getPolicy), Method: http.MethodGet, Path: one + "/policy", Resource: s.resource},
			"CreateEventSourceMapping":    {Do: wire.Do(s.createMapping), Method: http.MethodPost, Path: mappings},
			"ListEventSourceMappings":     {Do: wire.Do(s.listMappings), Method: http.MethodGet, Path: mappings},
			"GetEventSourceMapping":       {Do: wire.Do(s.getMapping), Method: http.MethodGet, Path: mappings + "/{UUID}"},
			"UpdateEventSourceMapping":    {Do: wire.Do(s.updateMapping), Method: http.MethodPut, Path: mappings + "/{UUID}"},
			"DeleteEventSourceMapping":    {Do: wire.Do(s.deleteMapping), Method: http.MethodDelete, Path: mappings + "/{UUID}"},
		},
	}
}

var functionName = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)

// resource is the ARN that a call's permission is for.
func (s *Service) resource(c *wire.Call) string {
	at, name, err := parseName(c.Place, c.Path["FunctionName"])
	if err != nil {
		return "*"
	}
	return at.ARN("lambda", "function:"+name)
}

// parseName reads a function's name in any of its forms: NAME, ACCOUNT:function:NAME, an ARN; with or without :$LATEST.
func parseName(at cloud.Place, s string) (cloud.Place, string, error) {
	name := s
	if arn, err := cloud.ParseARN(s); err == nil && arn.Service == "lambda" {
		at, name = arn.Place(), arn.Resource
	} else if account, rest, ok := strings.Cut(s, ":function:"); ok && cloud.IsAccountID(account) {
		at.Account, name = account, rest
	}
	name = strings.TrimPrefix(name, "function:")
	name, qualifier, qualified := strings.Cut(name, ":")
	switch {
	case !functionName.MatchString(name):
		return at, "", wire.Errorf("ValidationException", "FunctionName %q: expected a name, ACCOUNT:function:NAME or an ARN", s)
	case qualified && qualifier != latest:
		return at, "", notFound(at, name+":"+qualifier)
	}
	return at, name, nil
}

const latest = "$LATEST"

func notFound(at cloud.Place, name string) *wire.Error {
	return &wire.Error{
		Code: "ResourceNotFoundException", Status: http.StatusNotFound,
		Message: "Function not found: " + at.ARN("lambda", "function:"+name), Fields: map[string]any{"Type": "User"},
	}
}

func invalid(format string, args ...any) *wire.Error {
	e := wire.Errorf("InvalidParameterValueException", format, args...)
	e.Fields = map[string]any{"Type": "User"}
	return e
}

// find looks a function up. Requires that mu is held.
func (s *Service) find(at cloud.Place, name string) (*function, error) {
	at, name, err := parseName(at, name)
	if err != nil {
		return nil, err
	}
	f := s.functions[at][name]
	if f == nil {
		return nil, notFound(at, name)
	}
	return f, nil
}

// Resource is cloud.Receiver: what a hop has to know about a function.
func (s *Service) Resource(arn string) (cloud.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(cloud.Place{}, arn)
	if err != nil {
		return cloud.Resource{}, errors.Join(cloud.ErrNoResource, err)
	}
	return cloud.Resource{Owner: f.at.Account, Policy: f.policyDocument()}, nil
}

// Receive is cloud.Receiver: it invokes a function. With the attribute invocation-type Event nobody waits for it.
func (s *Service) Receive(ctx context.Context, d *cloud.Delivery) ([]byte, error) {
	s.mu.Lock()
	f, err := s.find(cloud.Place{}, d.Target)
	s.mu.Unlock()
	if err != nil {
		return nil, errors.Join(cloud.ErrNoResource, err)
	}
	if d.Attributes["invocation-type"] == "Event" {
		if len(d.Body) > maxAsync {
			return nil, tooLarge(len(d.Body), maxAsync)
		}
		s.later(f, slices.Clone(d.Body), 0)
		return nil, nil
	}
	out, err := s.run(ctx, f, d.Body)
	switch {
	case errors.Is(err, errBusy):
		return nil, &cloud.DeliveryError{Code: cloud.CodeThrottling, Err: err, Retry: true}
	case err != nil:
		return nil, err
	case out.failure != "":
		return nil, &cloud.DeliveryError{Code: "FUNCTION_ERROR", Err: errors.New(out.failure + ": " + string(clip(out.payload, 1000))), Retry: true}
	}
	return out.payload, nil
}

func clip(b []byte, n int) []byte { return b[:min(len(b), n)] }

// A FunctionState is what Inspect tells of a function.
type FunctionState struct {
	ARN          string   `json:"arn"`
	Invocations  int      `json:"invocations"`
	Errors       int      `json:"errors"`
	Throttles    int      `json:"throttles"`
	DeadLetters  int      `json:"deadLetters"`
	Dropped      int      `json:"dropped"`      // asynchronous ones that failed to the end with no dead-letter queue
	InitMillis   float64  `json:"initMillis"`   // from the start of the process to its first question, the last time
	Environments int      `json:"environments"` // processes that exist
	Log          []string `json:"log"`          // its last lines
}

// Inspect is the state, for people: the functions by ARN.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []FunctionState{}
	for _, byName := range s.functions {
		for f := range maps.Values(byName) {
			st := f.state
			st.ARN, st.Environments, st.Log = f.arn(), f.environments, f.log.lines()
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b FunctionState) int { return cmp.Compare(a.ARN, b.ARN) })
	return out
}
