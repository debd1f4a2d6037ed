// Package sqs is the lab's Amazon SQS: standard and FIFO queues.
//
// A message's delay, its visibility timeout and its retention go by the lab's clock; only a receive that waits (long
// polling) waits in real time, for its client does. Messages are looked after when somebody looks: nothing happens in a
// queue between two calls that a caller could not see as having happened then.
//
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html
package sqs

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Service is SQS in all accounts and regions of a cloud.
type Service struct {
	cloud *cloud.Cloud
	key   [32]byte // that receipt handles are made with

	mu         sync.Mutex
	queues     map[queueKey]*queue    // guarded by mu, like all below
	deleted    map[queueKey]time.Time // when queues were deleted, until their names are free again
	made       uint64                 // how many queues were made
	moves      []*move                // newest last
	duplicates float64
}

// A queueKey names a queue.
type queueKey struct {
	place cloud.Place
	name  string
}

// New makes the service, and makes it take what is delivered to queues.
func New(c *cloud.Cloud) *Service {
	s := &Service{cloud: c, queues: make(map[queueKey]*queue), deleted: make(map[queueKey]time.Time)}
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], c.Seed)
	s.key = sha256.Sum256(append(seed[:], "sqs receipt handle"...))
	c.Receivers.Register(serviceName, s)
	return s
}

// serviceName is the signing name, and the service's in ARNs.
const serviceName = "sqs"

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	self := func(do wire.Operation) wire.Operation { do.Self = true; return do }
	return &wire.Service{
		Name: serviceName, Protocols: []wire.Protocol{wire.JSON10, wire.Query}, Target: "AmazonSQS",
		Shapes: "com.amazonaws.sqs", Version: "2012-11-05", Namespace: "http://queue.amazonaws.com/doc/2012-11-05/",
		Throttled: failure(requestThrottled, "Rate exceeded"), Denied: denied,
		Operations: map[string]wire.Operation{
			"AddPermission":                self(wire.Operation{Do: wire.Do(s.addPermission)}),
			"CancelMessageMoveTask":        self(wire.Operation{Do: wire.Do(s.cancelMessageMoveTask)}),
			"ChangeMessageVisibility":      self(wire.Operation{Do: wire.Do(s.changeMessageVisibility)}),
			"ChangeMessageVisibilityBatch": self(wire.Operation{Do: wire.Do(s.changeMessageVisibilityBatch)}),
			"CreateQueue":                  self(wire.Operation{Do: wire.Do(s.createQueue)}),
			"DeleteMessage":                self(wire.Operation{Do: wire.Do(s.deleteMessage)}),
			"DeleteMessageBatch":           self(wire.Operation{Do: wire.Do(s.deleteMessageBatch)}),
			"DeleteQueue":                  self(wire.Operation{Do: wire.Do(s.deleteQueue)}),
			"GetQueueAttributes":           self(wire.Operation{Do: wire.Do(s.getQueueAttributes)}),
			"GetQueueUrl":                  self(wire.Operation{Do: wire.Do(s.getQueueURL)}),
			"ListDeadLetterSourceQueues":   self(wire.Operation{Do: wire.Do(s.listDeadLetterSourceQueues)}),
			"ListMessageMoveTasks":         self(wire.Operation{Do: wire.Do(s.listMessageMoveTasks)}),
			"ListQueueTags":                self(wire.Operation{Do: wire.Do(s.listQueueTags)}),
			"ListQueues":                   self(wire.Operation{Do: wire.Do(s.listQueues)}),
			"PurgeQueue":                   self(wire.Operation{Do: wire.Do(s.purgeQueue)}),
			"ReceiveMessage":               self(wire.Operation{Do: wire.Do(s.receiveMessage)}),
			"RemovePermission":             self(wire.Operation{Do: wire.Do(s.removePermission)}),
			"SendMessage":                  self(wire.Operation{Do: wire.Do(s.sendMessage)}),
			"SendMessageBatch":             self(wire.Operation{Do: wire.Do(s.sendMessageBatch)}),
			"SetQueueAttributes":           self(wire.Operation{Do: wire.Do(s.setQueueAttributes)}),
			"StartMessageMoveTask":         self(wire.Operation{Do: wire.Do(s.startMessageMoveTask)}),
			"TagQueue":                     self(wire.Operation{Do: wire.Do(s.tagQueue)}),
			"UntagQueue":                   self(wire.Operation{Do: wire.Do(s.untagQueue)}),
		},
	}
}

// SetDuplicates says which share of the messages that standard queues hand out are handed out once more, though they are
// in flight or deleted: "at least once" taken at its word. 0 at first.
func (s *Service) SetDuplicates(share float64) error {
	if !(share >= 0 && share <= 1) {
		return errors.New("duplicates: expected a share of 0 to 1")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.duplicates = share
	return nil
}

// QueueState is a queue as Inspect shows it.
type QueueState struct {
	cloud.Place
	Name     string `json:"name"`
	Visible  int    `json:"visible"`
	InFlight int    `json:"inFlight"`
	Delayed  int    `json:"delayed"`

	Sent     uint64 `json:"sent"`     // since it was made, like all below
	Received uint64 `json:"received"` // handed out
	Deleted  uint64 `json:"deleted"`
	Expired  uint64 `json:"expired"`
	Redriven uint64 `json:"redriven"` // moved to its dead-letter queue
}

// maxInspected is how many queues Inspect shows.
const maxInspected = 1000

// Inspect is the state, for people: a []QueueState, by account, region and name.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cloud.Clock.Now()
	out := []QueueState{}
	for _, q := range s.sorted() {
		if len(out) == maxInspected {
			break
		}
		q.settle(now)
		out = append(out, QueueState{
			Place: q.place, Name: q.name, Visible: q.ready.Len(), InFlight: q.inFlight, Delayed: q.hidden.Len() - q.inFlight,
			Sent: q.sent, Received: q.received, Deleted: q.removed, Expired: q.expired, Redriven: q.redriven,
		})
	}
	return out
}

// sorted gives all queues in order. Requires mu.
func (s *Service) sorted() []*queue {
	out := make([]*queue, 0, len(s.queues))
	for _, q := range s.queues {
		out = append(out, q)
	}
	slices.SortFunc(out, func(a, b *queue) int {
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

// byARN finds a queue. Requires mu.
func (s *Service) byARN(name string) *queue {
	arn, err := cloud.ParseARN(name)
	if err != nil || arn.Service != serviceName {
		return nil
	}
	return s.queues[queueKey{arn.Place(), arn.Resource}]
}

// urlOf is a queue's address as the caller reaches the lab: AWS's SDKs send to it.
func urlOf(c *wire.Call, q *queue) string {
	if c.HTTP.Host == "" { // a service of the lab asks
		return c.Cloud.URL() + "/" + q.place.Account + "/" + q.name
	}
	scheme := "http://"
	if c.HTTP.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.HTTP.Host + "/" + q.place.Account + "/" + q.name
}

// locate finds the queue that a call is about: at QueueUrl or, where a form has none, at the path that it was sent to.
func (s *Service) locate(c *wire.Call, url string) (*queue, error) {
	if url == "" && c.Protocol == wire.Query {
		url = c.HTTP.URL.Path
	}
	if url == "" || url == "/" {
		return nil, missing("QueueUrl")
	}
	part := strings.Split(strings.TrimSuffix(url, "/"), "/")
	if len(part) < 2 || !cloud.IsAccountID(part[len(part)-2]) {
		return nil, failure(invalidAddress, "The address %s is not valid for this endpoint.", strconv.Quote(url[:min(len(url), 300)]))
	}
	place := c.Place
	place.Account = part[len(part)-2]
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[queueKey{place, part[len(part)-1]}]
	if q == nil {
		return nil, noQueue()
	}
	return q, nil
}

// open finds a queue, and asks whether the caller may do something with it. Permission can be given by the queue's policy.
func (s *Service) open(c *wire.Call, url, action string) (*queue, error) {
	q, err := s.locate(c, url)
	if err != nil {
		return nil, err
	}
	return q, s.authorize(c, q, action)
}

// own is open for what only the account of a queue may do.
func (s *Service) own(c *wire.Call, url, action string) (*queue, error) {
	q, err := s.locate(c, url)
	if err != nil {
		return nil, err
	}
	if q.place.Account != c.Account {
		return nil, denied(&cloud.DeniedError{
			Who: c.Who.ARN, Action: "sqs:" + action, Resource: q.arn,
			Reason: " because no resource-based policy can allow this action to another account",
		})
	}
	return q, s.authorize(c, q, action)
}

func (s *Service) authorize(c *wire.Call, q *queue, action string) error {
	s.mu.Lock()
	allowed := q.policyAt(s.cloud.Clock.Now(), s.cloud.Lag.Policies)
	s.mu.Unlock()
	err := s.cloud.Authorize(cloud.Access{
		Who: c.Who, Action: "sqs:" + action, Resource: q.arn, Owner: q.place.Account, Policy: allowed, Context: c.Conditions(),
	})
	if err != nil {
		return denied(err)
	}
	return nil
}

// permitKey asks whether the caller may use the key that a queue is encrypted with.
func (s *Service) permitKey(c *wire.Call, q *queue, action string) error {
	s.mu.Lock()
	key := q.settings.kmsKey
	s.mu.Unlock()
	// The key that AWS manages lets in whom SQS lets in, in its account.
	if key == "" || strings.HasSuffix(key, managedKey) && c.Account == q.place.Account {
		return nil
	}
	err := s.cloud.PermitKey(c.Who, keyARN(q.place, key), action)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cloud.ErrNoResource):
		return failure(kmsNotFound, "%v", err)
	case strings.Contains(err.Error(), "KMS.DisabledException"):
		return failure(kmsDisabled, "%v", err)
	case strings.Contains(err.Error(), "KMS.KMSInvalidStateException"):
		return failure(kmsInvalidState, "%v", err)
	}
	return failure(kmsAccessDenied, "%v", err)
}

// managedKey is the alias of SQS's own key.
const managedKey = "alias/aws/sqs"

// keyARN is a key's name as an ARN: it may be an id, an alias or an ARN.
func keyARN(p cloud.Place, key string) string {
	switch {
	case strings.HasPrefix(key, "arn:"):
		return key
	case strings.HasPrefix(key, "alias/"):
		return p.ARN("kms", key)
	}
	return p.ARN("kms", "key/"+key)
}
