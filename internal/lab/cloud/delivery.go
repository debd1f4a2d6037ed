package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Delivery is what one service hands to another: an event to a queue, records to a function, an object to a bucket.
type Delivery struct {
	Source     string // ARN of what delivers: a rule, a topic, a delivery stream …; aws:SourceArn
	From       string // principal of the service that delivers: events.amazonaws.com
	Account    string // in which it does; aws:SourceAccount
	Role       string // ARN of the role that it acts in; empty: the target's own policy has to let the service in
	As         string // ARN of the root of an account of AWS's own that delivers in the service's place (Inspector Classic to SNS)
	ExternalID string // told when the role is assumed; sts:ExternalId
	Action     string // permission that it takes: sqs:SendMessage
	Target     string // ARN; for S3 of the object
	Body       []byte
	Attributes map[string]string // what the target takes beside the body: message attributes, content type …

	// Trusted is set where AWS asks for no permission: a service's own events on the account's default bus.
	Trusted bool
}

// A Receiver takes deliveries for the resources of one service.
type Receiver interface {
	// Resource tells about the target that an ARN names; an error that is ErrNoResource where there is none.
	Resource(arn string) (Resource, error)
	// Receive takes a delivery that is allowed, and answers what the service answers. An error that is no *DeliveryError
	// is a permanent failure. It keeps nothing of the Delivery but copies.
	Receive(ctx context.Context, d *Delivery) ([]byte, error)
}

// A Resource is what Deliver has to know about a target.
type Resource struct {
	Owner  string // account
	Policy []byte // its policy, JSON; nil: none
	Key    string // ARN of the KMS key that it is encrypted with; empty: none

	Context    map[string]string // condition keys of the service for the action: s3:x-amz-server-side-encryption …
	KeyContext map[string]string // condition keys for the use of Key beside kms:ViaService: kms:EncryptionContext:aws:s3:arn …

	ARN    string // its own, where the target was another name of it: a key's where an alias was asked for; empty: the target
	Region string // where it is, of a bucket: its ARN does not say; else empty
}

// ErrNoResource says that an ARN names nothing.
var ErrNoResource = errors.New("does not exist")

// Codes of a DeliveryError, as EventBridge writes them to its dead-letter queues.
const (
	CodeNoPermissions = "NO_PERMISSIONS"
	CodeNoResource    = "NO_RESOURCE"
	CodeThrottling    = "THROTTLING"
	CodeTimeout       = "TIMEOUT"
	CodeInternal      = "SDK_CLIENT_ERROR"
)

// A DeliveryError says why a delivery did not arrive.
type DeliveryError struct {
	Code  string
	Err   error
	Retry bool // another try may help
}

func (e *DeliveryError) Error() string { return e.Code + ": " + e.Err.Error() }
func (e *DeliveryError) Unwrap() error { return e.Err }

// Receivers are the services that take deliveries.
type Receivers struct {
	cloud *Cloud
	mu    sync.Mutex
	by    map[string]Receiver // guarded by mu; by the service in the ARN
}

// Register says who takes what is for the ARNs of a service.
func (r *Receivers) Register(service string, receiver Receiver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by[service] = receiver
}

// Resource tells about the resource that an ARN names; an error that is ErrNoResource where there is none, or no such service.
func (r *Receivers) Resource(arn string) (Resource, error) {
	parsed, err := ParseARN(arn)
	if err != nil {
		return Resource{}, fmt.Errorf("%w: %w", ErrNoResource, err)
	}
	receiver := r.find(parsed.Service)
	if receiver == nil {
		return Resource{}, fmt.Errorf("%s: %w", arn, ErrNoResource)
	}
	return receiver.Resource(arn)
}

func (r *Receivers) find(service string) Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[service]
}

// Deliver hands a delivery over and waits for the answer. Faults and permissions count. Its errors are *DeliveryErrors.
func (c *Cloud) Deliver(ctx context.Context, d *Delivery) ([]byte, error) {
	arn, err := ParseARN(d.Target)
	if err != nil {
		return nil, &DeliveryError{CodeNoResource, err, false}
	}
	t := c.Faults.At(c.occasion(d, arn))
	if t.Delay > 0 {
		return nil, &DeliveryError{CodeTimeout, fmt.Errorf("%s: no answer in time", d.Target), true}
	}
	return c.deliver(ctx, d, arn, t)
}

// DeliverLater hands a delivery over as a task, and then calls done, which may be nil, with what Deliver would have
// returned. A fault of kind delay makes it late.
func (c *Cloud) DeliverLater(d *Delivery, done func(ctx context.Context, answer []byte, err error)) {
	var t Trouble
	arn, err := ParseARN(d.Target)
	if err == nil {
		t = c.Faults.At(c.occasion(d, arn))
	}
	c.Clock.At(c.Clock.Now().Add(t.Delay), func(ctx context.Context) {
		var answer []byte
		if err == nil {
			answer, err = c.deliver(ctx, d, arn, t)
		} else {
			err = &DeliveryError{CodeNoResource, err, false}
		}
		if done != nil {
			done(ctx, answer, err)
		}
	})
}

func (c *Cloud) occasion(d *Delivery, arn ARN) Occasion {
	_, action, _ := strings.Cut(d.Action, ":")
	o := Occasion{Service: arn.Service, Action: action, From: d.From, Target: d.Target, Place: arn.Place()}
	if arn.Region == "" && c.Faults.any() { // a bucket's: it is in a region all the same
		if receiver := c.Receivers.find(arn.Service); receiver != nil {
			if r, err := resourceFor(receiver, d); err == nil {
				o.Place.Account, o.Place.Region = r.Owner, r.Region
			}
		}
	}
	return o
}

func (c *Cloud) deliver(ctx context.Context, d *Delivery, arn ARN, t Trouble) ([]byte, error) {
	switch {
	case t.Drop:
		return nil, nil
	case t.Down:
		return nil, &DeliveryError{CodeInternal, fmt.Errorf("%s in %s does not answer", arn.Service, arn.Region), true}
	case t.Throttle:
		return nil, &DeliveryError{CodeThrottling, fmt.Errorf("%s: rate exceeded", d.Target), true}
	case t.Deny:
		return nil, &DeliveryError{CodeNoPermissions, &DeniedError{d.From, d.Action, d.Target, " (a fault of the lab)"}, false}
	}
	receiver := c.Receivers.find(arn.Service)
	if receiver == nil {
		return nil, &DeliveryError{CodeNoResource, fmt.Errorf("%s: the lab has no service %q", d.Target, arn.Service), false}
	}
	if !d.Trusted {
		if err := c.permit(d, receiver); err != nil {
			return nil, err
		}
	}
	if t.Corrupt {
		half := *d
		half.Body = d.Body[:len(d.Body)/2]
		d = &half
	}
	answer, err := receiver.Receive(ctx, d)
	if err == nil && t.Duplicate {
		answer, err = receiver.Receive(ctx, d)
	}
	if _, known := errors.AsType[*DeliveryError](err); err != nil && !known {
		code := CodeInternal
		if errors.Is(err, ErrNoResource) {
			code = CodeNoResource
		}
		err = &DeliveryError{code, err, false}
	}
	return answer, err
}

// permit asks whether the target exists, and lets the delivery in.
func (c *Cloud) permit(d *Delivery, receiver Receiver) error {
	resource, err := resourceFor(receiver, d)
	if err != nil {
		return &DeliveryError{CodeNoResource, fmt.Errorf("%s: %w", d.Target, err), false}
	}
	conditions := map[string]string{"aws:SourceArn": d.Source, "aws:SourceAccount": d.Account}
	if d.ExternalID != "" {
		conditions["sts:ExternalId"] = d.ExternalID
	}
	who := Identity{Kind: Service, ARN: d.From, Account: d.Account}
	if d.As != "" {
		arn, err := ParseARN(d.As)
		if err != nil {
			return &DeliveryError{CodeNoPermissions, err, false}
		}
		who = Identity{Kind: User, ARN: d.As, Account: arn.Account}
	}
	if d.Role != "" && c.Access != nil {
		if who, err = c.Access.Assume(who, d.Role, "lab", conditions); err != nil {
			return &DeliveryError{CodeNoPermissions, err, false}
		}
	}
	err = c.Authorize(Access{
		Who: who, Action: d.Action, Resource: d.Target, Owner: resource.Owner, Policy: resource.Policy,
		Context: join(conditions, resource.Context),
	})
	if err == nil && resource.Key != "" {
		err = c.permitKeyVia(who, d.Target, resource, conditions)
	}
	if err != nil {
		return &DeliveryError{CodeNoPermissions, err, false}
	}
	return nil
}

// permitKeyVia asks whether somebody may use the key of a target through the target's service. Queues and topics read
// their key again, as they may have cached what it made.
func (c *Cloud) permitKeyVia(who Identity, target string, resource Resource, conditions map[string]string) error {
	key, err := ParseARN(resource.Key)
	if err != nil {
		return err
	}
	to, err := ParseARN(target)
	if err != nil {
		return err
	}
	via := map[string]string{"kms:ViaService": to.Service + "." + key.Region + "." + DNSSuffix(key.Partition)}
	conditions = join(join(conditions, via), resource.KeyContext)
	err = c.permitKey(who, resource.Key, "kms:GenerateDataKey", conditions)
	if err == nil && (to.Service == "sqs" || to.Service == "sns") {
		err = c.permitKey(who, resource.Key, "kms:Decrypt", conditions)
	}
	return err
}

// permitKey asks whether somebody may use a key.
func (c *Cloud) permitKey(who Identity, key, action string, conditions map[string]string) error {
	keys := c.Receivers.find("kms")
	if keys == nil {
		return nil
	}
	resource, err := keys.Resource(key)
	if err != nil {
		return fmt.Errorf("key %s: %w", key, err)
	}
	if resource.ARN != "" {
		key = resource.ARN
	}
	return c.Authorize(Access{Who: who, Action: action, Resource: key, Owner: resource.Owner, Policy: resource.Policy, Context: conditions})
}

// PermitKey asks whether somebody may do something with a KMS key: nil, a *DeniedError, or an error that is ErrNoResource.
func (c *Cloud) PermitKey(who Identity, key, action string) error {
	return c.permitKey(who, key, action, nil)
}

// An Event is what a service puts on the account's default bus.
type Event struct {
	Source     string // aws.securityhub
	DetailType string
	Resources  []string
	Bare       bool // the envelope has no list of resources, not even an empty one, as some of Inspector's
	Detail     any  // marshals to a JSON object; a jsontext.Value is one already, without space between its tokens
}

// An Envelope is an event on a bus. https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
type Envelope struct {
	Version    string         `json:"version"`
	ID         string         `json:"id"`
	DetailType string         `json:"detail-type"`
	Source     string         `json:"source"`
	Account    string         `json:"account"`
	Time       string         `json:"time"`
	Region     string         `json:"region"`
	Resources  []string       `json:"resources,omitzero"` // nil: there is no list
	Detail     jsontext.Value `json:"detail"`
}

// encode writes an envelope. Its detail, which is most of it, is not read once more.
func (e Envelope) encode() ([]byte, error) {
	detail := e.Detail
	e.Detail = jsontext.Value("0")
	b, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	b = slices.Grow(b[:len(b)-len(`0}`)], len(detail)+1)
	return append(append(b, detail...), '}'), nil
}

// eventTime is the form of an envelope's time: whole seconds.
const eventTime = "2006-01-02T15:04:05Z"

// Envelop puts a detail, which is a JSON object, into an envelope of this place and moment.
func (c *Cloud) Envelop(p Place, source, detailType string, resources []string, detail []byte) Envelope {
	if resources == nil {
		resources = []string{}
	}
	return Envelope{
		Version: "0", ID: c.UUID("event"), DetailType: detailType, Source: source, Account: p.Account,
		Time: c.Clock.Now().UTC().Format(eventTime), Region: p.Region, Resources: resources, Detail: detail,
	}
}

// A service's event that a bus does not take is tried again for a day, with pauses that double: Security Hub's, for one,
// are delivered at least once. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-list.html
const (
	emitFor        = 24 * time.Hour
	firstEmitPause = time.Second
	mostEmitPause  = 5 * time.Minute
)

// Emit puts an event of a service on the default bus of a place, as a task. It gives the event's id.
func (c *Cloud) Emit(p Place, e Event) (id string, err error) {
	detail, ready := e.Detail.(jsontext.Value)
	if !ready {
		var err error
		if detail, err = json.Marshal(e.Detail); err != nil {
			return "", fmt.Errorf("event %s: %w", e.DetailType, err)
		}
	}
	envelope := c.Envelop(p, e.Source, e.DetailType, e.Resources, detail)
	if e.Bare {
		envelope.Resources = nil
	}
	body, err := envelope.encode()
	if err != nil {
		return "", fmt.Errorf("event %s: %w", e.DetailType, err)
	}
	service, _ := strings.CutPrefix(e.Source, "aws.")
	c.emit(&Delivery{
		Source: p.ARN(service, "event"), From: service + ".amazonaws.com", Account: p.Account, Action: "events:PutEvents",
		Target: p.ARN("events", "event-bus/default"), Body: body, Trusted: true,
	}, c.Clock.Now().Add(emitFor), firstEmitPause)
	return envelope.ID, nil
}

// emit delivers an event, again and again until a time.
func (c *Cloud) emit(d *Delivery, until time.Time, pause time.Duration) {
	c.DeliverLater(d, func(_ context.Context, _ []byte, err error) {
		failure, ok := errors.AsType[*DeliveryError](err)
		if !ok || !failure.Retry || c.Clock.Now().Add(pause).After(until) {
			return
		}
		c.Clock.After(pause, func(context.Context) { c.emit(d, until, min(2*pause, mostEmitPause)) })
	})
}

// Within tells whether a time is at most d before now, for retention.
func (c *Cloud) Within(t time.Time, d time.Duration) bool { return c.Clock.Now().Sub(t) <= d }
