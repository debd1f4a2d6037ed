// Package sns is the lab's Amazon SNS: topics that hand messages to queues, functions and HTTP endpoints.
//
// Messages are really signed, in AWS's way, with a key that is made when the first message is. That is the one thing in
// the lab that does not follow from the seed. The certificate is served by CertificateHandler, at the path that the
// messages name.
//
// Deliveries are tasks of the lab's clock, as are their retries. A POST to an HTTP endpoint is real, and the task waits
// for its answer; only endpoints on this machine's loopback addresses are reached.
//
// https://docs.aws.amazon.com/sns/latest/api/API_Operations.html
package sns

import (
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"sync"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Service is SNS in all accounts and regions of a cloud.
type Service struct {
	cloud  *cloud.Cloud
	signer signer

	mu            sync.Mutex
	client        *http.Client             // guarded by mu, like all below
	address       func(cloud.Place) string // of SNS; nil: the lab's
	topics        map[string]*topic        // by ARN
	subscriptions map[string]*subscription // by ARN
	tokens        map[string]*subscription // that a token confirms
}

// New makes the service, and makes it take what is delivered to topics.
func New(c *cloud.Cloud) *Service {
	s := &Service{
		cloud: c, client: newClient(nil), topics: make(map[string]*topic), subscriptions: make(map[string]*subscription),
		tokens: make(map[string]*subscription),
	}
	c.Receivers.Register(serviceName, s)
	return s
}

// serviceName is the signing name, and the service's in ARNs.
const serviceName = "sns"

// principal is who delivers.
const principal = "sns.amazonaws.com"

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	self := func(op wire.Operation) wire.Operation { op.Self = true; return op }
	open := func(op wire.Operation) wire.Operation { op.Self, op.Open = true, true; return op }
	return &wire.Service{
		Name: serviceName, Protocols: []wire.Protocol{wire.Query}, Version: "2010-03-31", Namespace: "http://sns.amazonaws.com/doc/2010-03-31/",
		Throttled: failure(throttled, "Rate exceeded"),
		Denied:    func(err error) *wire.Error { return failure(authorizationError, "%v", err) },
		Operations: map[string]wire.Operation{
			"AddPermission":             self(wire.Operation{Do: wire.Do(s.addPermission)}),
			"ConfirmSubscription":       open(wire.Operation{Do: wire.Do(s.confirmSubscription)}),
			"CreateTopic":               self(wire.Operation{Do: wire.Do(s.createTopic)}),
			"DeleteTopic":               self(wire.Operation{Do: wire.Do(s.deleteTopic)}),
			"GetSubscriptionAttributes": self(wire.Operation{Do: wire.Do(s.getSubscriptionAttributes)}),
			"GetTopicAttributes":        self(wire.Operation{Do: wire.Do(s.getTopicAttributes)}),
			"ListSubscriptions":         self(wire.Operation{Do: wire.Do(s.listSubscriptions)}),
			"ListSubscriptionsByTopic":  self(wire.Operation{Do: wire.Do(s.listSubscriptionsByTopic)}),
			"ListTagsForResource":       self(wire.Operation{Do: wire.Do(s.listTagsForResource)}),
			"ListTopics":                self(wire.Operation{Do: wire.Do(s.listTopics)}),
			"Publish":                   self(wire.Operation{Do: wire.Do(s.publish)}),
			"PublishBatch":              self(wire.Operation{Do: wire.Do(s.publishBatch)}),
			"RemovePermission":          self(wire.Operation{Do: wire.Do(s.removePermission)}),
			"SetSubscriptionAttributes": self(wire.Operation{Do: wire.Do(s.setSubscriptionAttributes)}),
			"SetTopicAttributes":        self(wire.Operation{Do: wire.Do(s.setTopicAttributes)}),
			"Subscribe":                 self(wire.Operation{Do: wire.Do(s.subscribe)}),
			"TagResource":               self(wire.Operation{Do: wire.Do(s.tagResource)}),
			"Unsubscribe":               open(wire.Operation{Do: wire.Do(s.unsubscribe)}),
			"UntagResource":             self(wire.Operation{Do: wire.Do(s.untagResource)}),
		},
	}
}

// SetAddress says where SNS is in a place, without a slash at the end: the links and certificates of messages are there.
// nil: where the lab is served or, before it is, where AWS's own is.
func (s *Service) SetAddress(address func(cloud.Place) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address = address
}

// SetRoots says which certificates of HTTPS endpoints are taken. nil: those that the system takes.
func (s *Service) SetRoots(roots *x509.CertPool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = newClient(roots)
}

// addressAt is where SNS is in a place. Requires mu.
func (s *Service) addressAt(p cloud.Place) string {
	if s.address != nil {
		return s.address(p)
	}
	if url := s.cloud.URL(); url != "" {
		return url
	}
	return "https://sns." + p.Region + "." + cloud.DNSSuffix(p.Partition)
}

// A TopicState is a topic as Inspect shows it.
type TopicState struct {
	cloud.Place
	Name          string              `json:"name"`
	Published     uint64              `json:"published"`   // messages
	Delivered     uint64              `json:"delivered"`   // notifications: one for each subscription
	Failed        uint64              `json:"failed"`      // given up
	FilteredOut   uint64              `json:"filteredOut"` // by filter policies
	Subscriptions []SubscriptionState `json:"subscriptions"`
}

// A SubscriptionState is a subscription as Inspect shows it.
type SubscriptionState struct {
	ARN       string `json:"arn"`
	Protocol  string `json:"protocol"`
	Endpoint  string `json:"endpoint"`
	Confirmed bool   `json:"confirmed"`
	Delivered uint64 `json:"delivered"`
	Failed    uint64 `json:"failed"`
	LastError string `json:"lastError,omitempty"` // of the last try that failed
}

// How much Inspect shows.
const (
	maxInspected     = 1000
	maxInspectedSubs = 100 // of a topic
)

// Inspect is the state, for people: a []TopicState, by account, region and name.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []TopicState{}
	for _, t := range s.sorted() {
		if len(out) == maxInspected {
			break
		}
		state := TopicState{
			Place: t.place, Name: t.name, Published: t.published, Delivered: t.delivered, Failed: t.failed, FilteredOut: t.filtered,
			Subscriptions: []SubscriptionState{},
		}
		for _, sub := range t.subscriptions[:min(len(t.subscriptions), maxInspectedSubs)] {
			state.Subscriptions = append(state.Subscriptions, SubscriptionState{
				ARN: sub.arn, Protocol: sub.protocol, Endpoint: sub.shownEndpoint(), Confirmed: sub.confirmed, Delivered: sub.delivered,
				Failed: sub.failed, LastError: sub.lastError,
			})
		}
		out = append(out, state)
	}
	return out
}

// sorted gives all topics in order. Requires mu.
func (s *Service) sorted() []*topic {
	out := make([]*topic, 0, len(s.topics))
	for _, t := range s.topics {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *topic) int {
		if n := strings.Compare(a.place.Account, b.place.Account); n != 0 {
			return n
		}
		if n := strings.Compare(a.place.Region, b.place.Region); n != 0 {
			return n
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}

// find finds a topic that a call names. Requires mu.
func (s *Service) find(c *wire.Call, parameter, arn string) (*topic, *wire.Error) {
	if arn == "" {
		return nil, invalid("%s Reason: no value for required parameter", parameter)
	}
	parsed, err := cloud.ParseARN(arn)
	switch {
	case err != nil || parsed.Service != serviceName:
		return nil, invalid("%s Reason: An ARN must have at least 6 elements, and be one of SNS", parameter)
	case c.Region != "" && parsed.Region != c.Region:
		return nil, invalid("%s", parameter)
	}
	t := s.topics[arn]
	if t == nil {
		return nil, failure(notFound, "Topic does not exist")
	}
	return t, nil
}

// open finds a topic, and asks whether the caller may do something with it. Permission can be given by the topic's policy.
func (s *Service) open(c *wire.Call, parameter, arn, action string) (*topic, error) {
	s.mu.Lock()
	t, bad := s.find(c, parameter, arn)
	if bad != nil {
		s.mu.Unlock()
		return nil, bad
	}
	allowed := t.policyAt(s.cloud.Clock.Now(), s.cloud.Lag.Policies)
	s.mu.Unlock()
	return t, s.authorize(c, action, t.arn, t.place.Account, allowed)
}

func (s *Service) authorize(c *wire.Call, action, resource, owner string, allowed []byte) error {
	conditions := c.Conditions()
	conditions["aws:SourceOwner"] = c.Account // what the policy that a topic has at first asks for
	err := s.cloud.Authorize(cloud.Access{
		Who: c.Who, Action: serviceName + ":" + action, Resource: resource, Owner: owner, Policy: allowed, Context: conditions,
	})
	if err != nil {
		return failure(authorizationError, "%v", err)
	}
	return nil
}
