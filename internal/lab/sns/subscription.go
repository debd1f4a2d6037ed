package sns

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A subscription is one endpoint of a topic. Everything in it is guarded by the Service's mu, but what never changes: arn,
// topic, owner, protocol and endpoint.
type subscription struct {
	arn      string
	topic    *topic
	owner    string // account that subscribed
	protocol string
	endpoint string

	confirmed     bool
	authenticated bool // it was confirmed by the endpoint's own account
	authUnsub     bool // only its owner may end it
	token         string
	attributes    map[string]string // that were set
	filter        *filter           // nil: everything
	deadLetter    string            // ARN of a queue
	schedule      schedule
	gone          bool

	delivered, failed uint64
	lastError         string
}

// Protocols of endpoints.
const (
	protocolSQS       = "sqs"
	protocolLambda    = "lambda"
	protocolHTTP      = "http"
	protocolHTTPS     = "https"
	protocolEmail     = "email"
	protocolEmailJSON = "email-json"
)

// Names of attributes of subscriptions.
const (
	nameRaw         = "RawMessageDelivery"
	nameFilter      = "FilterPolicy"
	nameFilterScope = "FilterPolicyScope"
	nameRedrive     = "RedrivePolicy"
)

// Limits of subscriptions.
const (
	tokenLife   = 48 * time.Hour // until a subscription that nobody confirms is gone
	maxFilters  = 200            // of a topic
	maxPending  = 5000           // of an account
	maxEndpoint = 2048
)

func (sub *subscription) isHTTP() bool {
	return sub.protocol == protocolHTTP || sub.protocol == protocolHTTPS
}

// shownEndpoint is the endpoint without a password that is in it.
func (sub *subscription) shownEndpoint() string {
	if !sub.isHTTP() {
		return sub.endpoint
	}
	u, err := url.Parse(sub.endpoint)
	if err != nil || u.User == nil {
		return sub.endpoint
	}
	if _, has := u.User.Password(); has {
		return strings.Replace(sub.endpoint, u.User.String()+"@", url.User(u.User.Username()).String()+":****@", 1)
	}
	return sub.endpoint
}

// checkEndpoint tells what is wrong with an endpoint, and whose it is, where that is known.
func checkEndpoint(t *topic, protocol, endpoint string) (owner string, bad *wire.Error) {
	if len(endpoint) > maxEndpoint {
		return "", invalid("Endpoint")
	}
	switch protocol {
	case protocolSQS, protocolLambda:
		arn, err := cloud.ParseARN(endpoint)
		if err != nil || arn.Service != protocol || arn.Account == "" || arn.Region == "" {
			return "", invalid("%s endpoint ARN", strings.ToUpper(protocol))
		}
		if fifo := strings.HasSuffix(arn.Resource, ".fifo"); fifo && !t.fifo && protocol == protocolSQS {
			return "", invalid("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
		}
		if t.fifo && protocol != protocolSQS {
			return "", invalid("Invalid parameter: Endpoint Reason: Please use FIFO SQS queue")
		}
		return arn.Account, nil
	case protocolHTTP, protocolHTTPS:
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != protocol || u.Host == "" {
			return "", invalid("Endpoint must match the specified protocol")
		}
	case protocolEmail, protocolEmailJSON:
		if name, domain, ok := strings.Cut(endpoint, "@"); !ok || name == "" || domain == "" {
			return "", invalid("Email address")
		}
	default:
		return "", invalid("Protocol Reason: the lab knows sqs, lambda, http, https, email and email-json")
	}
	if t.fifo {
		return "", invalid("Invalid parameter: Protocol Reason: FIFO topics deliver to queues only")
	}
	return "", nil
}

// set gives the subscription an attribute; empty takes it away. Requires mu, or that nobody has it yet.
func (sub *subscription) set(name, value string) *wire.Error {
	switch name {
	case nameRaw:
		if value != "true" && value != "false" {
			return invalid("Attributes Reason: RawMessageDelivery: Invalid value [%s]. Must be true or false.", value[:min(len(value), 100)])
		}
		if sub.protocol != protocolSQS && !sub.isHTTP() {
			return invalid("Attributes Reason: RawMessageDelivery: Delivery protocol [%s] does not support raw message delivery.", sub.protocol)
		}
	case nameFilter, nameFilterScope:
		return sub.setFilter(name, value)
	case nameRedrive:
		target := ""
		if value != "" {
			var redrive struct {
				Target string `json:"deadLetterTargetArn"`
			}
			err := json.Unmarshal([]byte(value), &redrive)
			arn, bad := cloud.ParseARN(redrive.Target)
			if err != nil || bad != nil || arn.Service != protocolSQS {
				return invalid("RedrivePolicy: deadLetterTargetArn is an invalid arn")
			}
			if arn.Region != sub.topic.place.Region {
				return invalid("RedrivePolicy: must be a queue in the same region")
			}
			target = redrive.Target
		}
		sub.deadLetter = target
	case nameDelivery:
		to, err := readDeliveryPolicy(value, false)
		if err != nil {
			return invalid("DeliveryPolicy: %v", err)
		}
		sub.schedule = to
	default:
		return invalid("AttributeName")
	}
	if value == "" {
		delete(sub.attributes, name)
	} else {
		sub.attributes[name] = value
	}
	return nil
}

func (sub *subscription) setFilter(name, value string) *wire.Error {
	attributes := maps.Clone(sub.attributes)
	attributes[name] = value
	scope := attributes[nameFilterScope]
	if scope != "" && scope != scopeAttributes && scope != scopeBody {
		return invalid("FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", scope[:min(len(scope), 100)])
	}
	var to *filter
	if text := attributes[nameFilter]; text != "" {
		var bad *wire.Error
		if to, bad = readFilter(text, scope == scopeBody); bad != nil {
			return bad
		}
	}
	maps.DeleteFunc(attributes, func(_, v string) bool { return v == "" })
	sub.attributes, sub.filter = attributes, to
	return nil
}

type subscribeInput struct {
	TopicARN   string `json:"TopicArn"`
	Protocol   string
	Endpoint   string
	Attributes map[string]string
	ReturnARN  bool `json:"ReturnSubscriptionArn"`
}

type subscriptionARN struct {
	ARN string `json:"SubscriptionArn"`
}

const shownPending = "pending confirmation"

func (s *Service) subscribe(_ context.Context, c *wire.Call, in *subscribeInput) (*subscriptionARN, error) {
	t, err := s.open(c, "TopicArn", in.TopicARN, "Subscribe")
	if err != nil {
		return nil, err
	}
	owner, bad := checkEndpoint(t, in.Protocol, in.Endpoint)
	if bad != nil {
		return nil, bad
	}
	sub := &subscription{
		topic: t, owner: c.Account, protocol: in.Protocol, endpoint: in.Endpoint, attributes: make(map[string]string), schedule: scheduleOf(in.Protocol),
	}
	// The scope goes before the policy that it is for.
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(in.Attributes))) {
		if bad := sub.set(name, in.Attributes[name]); bad != nil {
			return nil, bad
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(t.subscriptions, func(o *subscription) bool { return o.protocol == in.Protocol && o.endpoint == in.Endpoint }); i >= 0 {
		old := t.subscriptions[i]
		if len(in.Attributes) > 0 && !maps.Equal(old.attributes, sub.attributes) {
			return nil, invalid("Attributes Reason: Subscription already exists with different attributes")
		}
		sub = old
	} else if bad := s.add(sub, c.Account == owner); bad != nil {
		return nil, bad
	}
	if !sub.confirmed {
		s.ask(sub, typeSubscribe)
		if !in.ReturnARN {
			return &subscriptionARN{shownPending}, nil
		}
	}
	return &subscriptionARN{sub.arn}, nil
}

// add makes a subscription one of its topic. Requires mu.
func (s *Service) add(sub *subscription, confirmed bool) *wire.Error {
	t := sub.topic
	if s.topics[t.arn] != t {
		return failure(notFound, "Topic does not exist")
	}
	if bad := t.roomForFilter(sub); bad != nil {
		return bad
	}
	pending := 0
	for _, o := range s.tokens {
		if o.owner == sub.owner && !o.gone {
			pending++
		}
	}
	if !confirmed && pending >= maxPending {
		return failure(subscriptionsTooMany, "At most %d subscriptions of an account may be pending.", maxPending)
	}
	sub.arn = t.arn + ":" + s.cloud.UUID("sns subscription")
	sub.confirmed, sub.authenticated = confirmed, confirmed
	t.subscriptions = append(t.subscriptions, sub)
	s.subscriptions[sub.arn] = sub
	return nil
}

// roomForFilter tells whether a topic takes one more subscription with a filter. Requires mu.
func (t *topic) roomForFilter(sub *subscription) *wire.Error {
	filters := 0
	for _, o := range t.subscriptions {
		if o != sub && o.filter != nil {
			filters++
		}
	}
	if sub.filter != nil && filters >= maxFilters {
		return failure(filterLimitExceeded, "A topic has at most %d subscriptions with filter policies.", maxFilters)
	}
	return nil
}

// drop ends a subscription. Requires mu.
func (s *Service) drop(sub *subscription) {
	if sub.gone {
		return
	}
	sub.gone = true
	delete(s.subscriptions, sub.arn)
	delete(s.tokens, sub.token)
	sub.topic.subscriptions = slices.DeleteFunc(sub.topic.subscriptions, func(o *subscription) bool { return o == sub })
	sub.topic.deleted++
}

// ask sends the endpoint a token, which confirms the subscription, or makes it anew. Requires mu.
func (s *Service) ask(sub *subscription, kind string) {
	if sub.protocol == protocolEmail || sub.protocol == protocolEmailJSON {
		return // the lab sends no mail, so nobody confirms
	}
	if sub.token == "" {
		sub.token = s.cloud.Hex("sns token", 64) + s.cloud.Hex("sns token", 64)
		s.tokens[sub.token] = sub
		token := sub.token
		s.cloud.Clock.After(tokenLife, func(context.Context) {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.tokens, token)
			if !sub.confirmed {
				s.drop(sub)
			}
		})
	}
	t := sub.topic
	address := s.addressAt(t.place)
	e := &envelope{
		Type: kind, MessageID: s.cloud.UUID("sns message"), Token: sub.token, TopicARN: t.arn, Timestamp: wire.ISO(s.cloud.Clock.Now()),
		SignatureVersion: t.signatureVersion(), SigningCertURL: address,
		SubscribeURL: address + "/?Action=ConfirmSubscription&TopicArn=" + t.arn + "&Token=" + sub.token,
	}
	if kind == typeSubscribe {
		e.Message = "You have chosen to subscribe to the topic " + t.arn + ".\nTo confirm the subscription, visit the SubscribeURL included in this message."
	} else {
		e.Message = "You have chosen to deactivate subscription " + sub.arn + ".\nTo cancel this operation and restore the subscription, " +
			"visit the SubscribeURL included in this message."
	}
	s.send(&delivery{sub: sub, kind: kind, id: e.MessageID, envelope: e})
}

func (t *topic) signatureVersion() string {
	if v := t.attributes[nameSignature]; v != "" {
		return v
	}
	return "1"
}

type confirmInput struct {
	TopicARN                  string `json:"TopicArn"`
	Token                     string
	AuthenticateOnUnsubscribe string
}

// confirmSubscription needs no signature: the token is the proof. A subscription that is confirmed already stays so.
func (s *Service) confirmSubscription(_ context.Context, c *wire.Call, in *confirmInput) (*subscriptionARN, error) {
	signed := c.Who.ARN != ""
	if signed {
		if _, err := s.open(c, "TopicArn", in.TopicARN, "ConfirmSubscription"); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, bad := s.find(c, "TopicArn", in.TopicARN)
	if bad != nil {
		return nil, bad
	}
	sub := s.tokens[in.Token]
	if in.Token == "" || sub == nil || sub.topic != t {
		return nil, invalid("Token")
	}
	if sub.gone { // it was ended by somebody who did not sign
		sub.gone = false
		t.subscriptions = append(t.subscriptions, sub)
		s.subscriptions[sub.arn] = sub
		t.deleted--
	}
	if !sub.confirmed {
		sub.confirmed, sub.authenticated = true, signed
		sub.authUnsub = signed && in.AuthenticateOnUnsubscribe == "true"
	}
	return &subscriptionARN{sub.arn}, nil
}

// unsubscribe needs no signature, unless the subscription was confirmed so that it does. A subscription that is not
// there is no error.
func (s *Service) unsubscribe(_ context.Context, c *wire.Call, in *subscriptionARN) (*nothing, error) {
	arn, err := cloud.ParseARN(in.ARN)
	if err != nil || arn.Service != serviceName {
		return nil, invalid("SubscriptionArn Reason: An ARN must have at least 6 elements")
	}
	signed := c.Who.ARN != ""
	s.mu.Lock()
	sub := s.subscriptions[in.ARN]
	s.mu.Unlock()
	if sub == nil {
		return nil, nil
	}
	if signed {
		if err := s.authorizeOwner(c, sub, "Unsubscribe"); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !signed && sub.authUnsub:
		return nil, failure(authorizationError, "Not authorized to unsubscribe: the subscription was confirmed with AuthenticateOnUnsubscribe.")
	case !sub.confirmed:
		return nil, invalid("Subscription Reason: a subscription that is pending cannot be ended")
	}
	s.drop(sub)
	if !signed {
		sub.token = ""
		s.ask(sub, typeUnsubscribe)
	}
	return nil, nil
}

// authorizeOwner lets in who subscribed, and whose the topic is.
func (s *Service) authorizeOwner(c *wire.Call, sub *subscription, action string) error {
	owner := sub.topic.place.Account
	if c.Account == sub.owner {
		owner = c.Account
	}
	if c.Account != owner {
		return failure(authorizationError, "User: %s is not authorized to perform: SNS:%s on resource: %s", c.Who.ARN, action, sub.arn)
	}
	return s.authorize(c, action, sub.topic.arn, owner, nil)
}
