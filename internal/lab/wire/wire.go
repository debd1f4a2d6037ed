// Package wire speaks AWS's protocols over HTTP on behalf of the lab's services.
//
// A request's Authorization header tells the service, the region and, by its access key, the account: one address serves
// all accounts and regions. What a service has to bring is a Service: its name on the wire and its operations, each a
// function from a Call to an answer. Reading, signatures, faults, rates, permissions and error shapes are done here.
//
// # Structs for JSON and Query
//
// The structs of an operation serve the JSON protocols and Query alike. A field's name is that of its json tag or else of
// Go. Where Query has another one, or another form, a tag says so:
//
//	Entries []entry           `query:"SendMessageBatchRequestEntry,flat"`
//	Values  map[string]string `json:"Attributes" query:"Attribute,flat,key=Name,value=Value"`
//	Tags    map[string]string `query:",key=Name,value=Value"`
//	Items   []string          `query:",item=Item"`
//	Hidden  string            `query:"-"`
//
// A list is Name.member.N in a form and <Name><member>…</member></Name> in XML, where item= gives another word for
// "member"; flat makes it Name.N, and <Name>…</Name> once for each. A map is Name.entry.N.key with Name.entry.N.value, and
// <Name><entry><key>…</key><value>…</value></entry></Name>; flat leaves the entry out, and makes Name the element of each
// pair. omitempty and omitzero of the json tag count for XML too. An embedded struct's fields are the outer one's.
//
// Texts, booleans, integers, floats, time.Time and Epoch (ISO 8601), []byte (Base64), jsontext.Value (as its text),
// structs, lists, maps from texts, and pointers to all of them may be fields.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html, https://smithy.io/2.0/aws/protocols/
package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
)

// A Call is one request to one operation.
type Call struct {
	cloud.Place // the caller's account and the region that is asked

	Service   string // signing name
	Operation string
	Who       cloud.Identity
	Cloud     *cloud.Cloud
	Body      []byte
	HTTP      *http.Request
	Path      map[string]string // labels of a REST path, unescaped
	RequestID string
	Protocol  Protocol // that the request came in
	Status    int      // of an answer that is no error; 0: 200

	header http.Header // of the answer
}

// Header are headers that the answer is to have beside those of the protocol.
func (c *Call) Header() http.Header {
	if c.header == nil {
		c.header = make(http.Header)
	}
	return c.header
}

// Authorize asks whether the caller may do something with a resource that has an owner and a policy of its own. It
// returns nil or an AccessDenied error in the service's shape. Services whose resources have policies use it, and mark
// the operation as Self.
func (c *Call) Authorize(action, resource, owner string, policy []byte) error {
	err := c.Cloud.Authorize(cloud.Access{Who: c.Who, Action: action, Resource: resource, Owner: owner, Policy: policy, Context: c.Conditions()})
	if err != nil {
		return denied(err)
	}
	return nil
}

// Conditions are the condition keys that follow from the request: aws:RequestedRegion, and aws:SourceIp where it came
// over HTTP. The map is the caller's.
func (c *Call) Conditions() map[string]string {
	out := map[string]string{"aws:RequestedRegion": c.Region}
	if ip, _, err := net.SplitHostPort(c.HTTP.RemoteAddr); err == nil {
		out["aws:SourceIp"] = ip
	}
	return out
}

// An Operation is what a service can be asked for.
type Operation struct {
	// Do answers a call with what marshals to the body; nil is an empty answer. Its errors are *Errors; any other is an
	// internal error.
	Do func(ctx context.Context, c *Call) (any, error)

	// Resource gives the ARN that the caller needs permission for; nil: "*". Action is the permission, where it is not
	// prefix:Operation. Self says that Do asks for itself. Open says that nobody needs to sign it.
	Resource func(c *Call) string
	Action   string
	Self     bool
	Open     bool

	// Rate is AWS's quota for an account in a region; zero: that of the Service.
	Rate Rate

	// Method and Path bind the operation in REST-JSON: "/findingAggregator/get/{Arn+}". A label that ends in + takes slashes.
	Method, Path string
}

// A Rate is how many calls a second are let through, and how many at once after a pause.
type Rate struct{ PerSecond, Burst float64 }

// A Protocol is one of AWS's.
type Protocol uint8

// The protocols.
const (
	JSON10   Protocol = iota + 1 // X-Amz-Target and a JSON body, application/x-amz-json-1.0
	JSON11                       // the same, 1.1
	RESTJSON                     // method and path, JSON body
	Query                        // form in, XML out
	Own                          // the service reads the request itself
)

// A Service is one of AWS's services as it is on the wire.
type Service struct {
	Name      string     // signing name: securityhub, events, firehose …
	Prefix    string     // of permissions; empty: Name
	Protocols []Protocol // that it speaks
	Target    string     // before the dot in X-Amz-Target, for JSON10 and JSON11
	Version   string     // of the API, for Query
	Namespace string     // of the XML, for Query
	Shapes    string     // before the # in __type of a JSON error: com.amazonaws.sqs; empty: neither is there
	Global    bool       // one for the whole partition; any region in the signature reaches it

	Operations map[string]Operation
	Rate       Rate // of operations that have none of their own; zero: not limited

	// Throttled is the error beyond a rate; nil: ThrottlingException, 400 (REST-JSON 429).
	Throttled *Error

	// Denied makes the error of a permission that is missing; nil: AccessDeniedException, 403.
	Denied func(err error) *Error

	// Own answers requests in the Own protocol, after the signature was checked. Faults, permissions and rates are its own.
	Own func(ctx context.Context, c *Call, w http.ResponseWriter)
	// Pick gives the operation's name of a request in the Own protocol, for faults and the log. Names are all that there
	// are, for lists.
	Pick  func(r *http.Request) string
	Names []string
}

// An Error is an answer that is an error of the service.
type Error struct {
	Code    string // ResourceNotFoundException
	Status  int    // 0: 400
	Message string
	Fields  map[string]any // further members of the error's shape
	Header  map[string]string
	// QueryCode is the code in the Query protocol and in x-amzn-query-error, where it differs (SQS).
	QueryCode string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes an error of status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// StatusErrorf makes an error of another status.
func StatusErrorf(status int, code, format string, args ...any) *Error {
	return &Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

// refuse makes the answer of a permission that is missing, in the service's way.
func (s *Service) refuse(err error) *Error {
	if s != nil && s.Denied != nil {
		return s.Denied(err)
	}
	return denied(err)
}

// denied makes the answer of a permission that is missing.
func denied(err error) *Error {
	return &Error{Code: "AccessDeniedException", Status: http.StatusForbidden, Message: err.Error()}
}

// Do makes an Operation's function from one that takes the decoded request: In is a struct, decoded from the JSON body,
// or from the form in the Query protocol. Names count by case and unknown members are passed over, as AWS does.
func Do[In, Out any](do func(ctx context.Context, c *Call, in *In) (*Out, error)) func(context.Context, *Call) (any, error) {
	return func(ctx context.Context, c *Call) (any, error) {
		in := new(In)
		if err := c.Decode(in); err != nil {
			return nil, err
		}
		out, err := do(ctx, c, in)
		if err != nil {
			return nil, err
		}
		if out == nil {
			return nil, nil
		}
		return out, nil
	}
}

// Decode reads the request into a struct.
func (c *Call) Decode(in any) error {
	if c.Protocol == Query {
		return decodeForm(c, in)
	}
	if len(c.Body) == 0 {
		return nil
	}
	err := json.Unmarshal(c.Body, in, jsontext.AllowInvalidUTF8(true))
	if err == nil {
		return nil
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return Errorf("SerializationException", "%s: expected %v", semantic.JSONPointer, semantic.GoType)
	}
	return Errorf("SerializationException", "the request is no JSON: %v", err)
}
