package sns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/policy"
	"example.org/catchment/internal/lab/wire"
)

// A topic is a topic with its subscriptions. Everything in it is guarded by the Service's mu, but what never changes:
// place, name, arn and fifo.
type topic struct {
	place cloud.Place
	name  string
	arn   string
	fifo  bool

	attributes    map[string]string // that were set
	formerPolicy  string            // until others see the present one
	policyChanged time.Time
	tags          map[string]string
	subscriptions []*subscription // in the order of their making
	deleted       int             // subscriptions
	recent        map[string]sentBefore

	published, delivered, failed, filtered uint64
}

// A sentBefore is a message that was published to a FIFO topic.
type sentBefore struct {
	id, sequence string
	at           time.Time
}

// Names of attributes of topics.
const (
	namePolicy       = "Policy"
	nameDisplay      = "DisplayName"
	nameSignature    = "SignatureVersion"
	nameKMSKey       = "KmsMasterKeyId"
	nameDelivery     = "DeliveryPolicy"
	nameTracing      = "TracingConfig"
	nameFIFO         = "FifoTopic"
	nameContentDedup = "ContentBasedDeduplication"
	nameThroughput   = "FifoThroughputScope"
)

// maxPolicy is the longest policy, in bytes.
const maxPolicy = 30 << 10

// check tells what is wrong with an attribute's value.
func checkTopicAttribute(name, value string) *wire.Error {
	ok := true
	switch name {
	case namePolicy:
		if len(value) > maxPolicy || policy.Validate([]byte(value)) != nil {
			return invalid("Policy Error: null")
		}
	case nameDisplay:
		ok = len(value) <= 100
	case nameSignature:
		ok = value == "1" || value == "2"
	case nameDelivery:
		_, err := readDeliveryPolicy(value, true)
		ok = err == nil
	case nameTracing:
		ok = value == "PassThrough" || value == "Active"
	case nameContentDedup:
		ok = value == "true" || value == "false"
	case nameThroughput:
		ok = value == "Topic" || value == "MessageGroup"
	case nameKMSKey:
	default:
		// Logging of deliveries has a role and a rate for each protocol. It is kept, and nothing is logged.
		ok = strings.HasSuffix(name, "FeedbackRoleArn") || strings.HasSuffix(name, "SuccessFeedbackSampleRate")
		if !ok {
			return invalid("AttributeName")
		}
	}
	if !ok {
		return invalid("Attributes Reason: Invalid value for %s", name)
	}
	return nil
}

// policyAt is the policy that holds at a time, where a change takes lag until it does.
func (t *topic) policyAt(now time.Time, lag time.Duration) []byte {
	if now.Before(t.policyChanged.Add(lag)) {
		return []byte(t.formerPolicy)
	}
	return []byte(t.policy())
}

// policy is the policy that was set, or the one that a topic has at first: it lets its owner's account in.
func (t *topic) policy() string {
	if p := t.attributes[namePolicy]; p != "" {
		return p
	}
	doc := policyDocument{Version: "2008-10-17", ID: "__default_policy_ID"}
	raw, err := json.Marshal(map[string]any{
		"Sid": "__default_statement_ID", "Effect": "Allow", "Principal": map[string]string{"AWS": "*"},
		"Action": []string{
			"SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission", "SNS:DeleteTopic",
			"SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish",
		},
		"Resource": t.arn, "Condition": map[string]any{"StringEquals": map[string]string{"AWS:SourceOwner": t.place.Account}},
	}, json.Deterministic(true))
	if err == nil {
		doc.Statement = append(doc.Statement, raw)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return "" // texts always marshal
	}
	return string(text)
}

// set gives the topic an attribute; empty takes it away. Requires mu.
func (t *topic) set(name, value string, now time.Time) {
	if name == namePolicy && value != t.attributes[namePolicy] {
		t.formerPolicy, t.policyChanged = t.policy(), now
	}
	if value == "" {
		delete(t.attributes, name)
		return
	}
	t.attributes[name] = value
}

type nothing struct{}

type tag struct {
	Key   string
	Value string
}

type createTopicInput struct {
	Name       string
	Attributes map[string]string
	Tags       []tag
}

type topicARN struct {
	ARN string `json:"TopicArn"`
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

func (s *Service) createTopic(_ context.Context, c *wire.Call, in *createTopicInput) (*topicARN, error) {
	fifo := in.Attributes[nameFIFO] == "true"
	base, dotted := strings.CutSuffix(in.Name, ".fifo")
	if fifo != dotted || !topicName.MatchString(base) || len(in.Name) > 256 {
		return nil, invalid("Topic Name")
	}
	attributes := maps.Clone(in.Attributes)
	delete(attributes, nameFIFO)
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := checkTopicAttribute(name, attributes[name]); err != nil && attributes[name] != "" {
			return nil, err
		}
	}
	if !fifo && (attributes[nameContentDedup] == "true" || attributes[nameThroughput] != "") {
		return nil, invalid("Attributes Reason: only a FIFO topic deduplicates")
	}
	tags, bad := addTags(nil, in.Tags)
	if bad != nil {
		return nil, bad
	}
	arn := c.ARN(serviceName, in.Name)
	if err := s.authorize(c, "CreateTopic", arn, c.Account, nil); err != nil {
		return nil, err
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.topics[arn]; old != nil {
		for name, value := range attributes {
			if old.attributes[name] != value {
				return nil, invalid("Attributes Reason: Topic already exists with different attributes")
			}
		}
		if len(tags) > 0 && !maps.Equal(tags, old.tags) {
			return nil, invalid("Tags Reason: Topic already exists with different tags")
		}
		return &topicARN{arn}, nil
	}
	t := &topic{
		place: c.Place, name: in.Name, arn: arn, fifo: fifo, attributes: make(map[string]string), tags: tags, recent: make(map[string]sentBefore),
	}
	for name, value := range attributes {
		t.set(name, value, now)
	}
	t.policyChanged = time.Time{} // a new topic's holds at once
	s.topics[arn] = t
	return &topicARN{arn}, nil
}

// deleteTopic deletes a topic with its subscriptions. One that is not there is no error.
func (s *Service) deleteTopic(_ context.Context, c *wire.Call, in *topicARN) (*nothing, error) {
	t, err := s.open(c, "TopicArn", in.ARN, "DeleteTopic")
	if e, ok := errors.AsType[*wire.Error](err); ok && e.Code == notFound {
		return nil, s.authorize(c, "DeleteTopic", in.ARN, c.Account, nil)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range slices.Clone(t.subscriptions) {
		s.drop(sub)
	}
	delete(s.topics, t.arn)
	return nil, nil
}

// maxListed is how many topics or subscriptions are on a page.
const maxListed = 100

// page cuts a page out of a list, after a token.
func page[T any](all []T, token string) (out []T, next string, bad *wire.Error) {
	start := 0
	if token != "" {
		n, err := strconv.Atoi(token)
		if err != nil || n < 0 {
			return nil, "", invalid("NextToken")
		}
		start = min(n, len(all))
	}
	end := min(start+maxListed, len(all))
	if end < len(all) {
		next = strconv.Itoa(end)
	}
	return all[start:end], next, nil
}

type tokenInput struct {
	NextToken string
}

type listTopicsOutput struct {
	Topics    []topicARN
	NextToken string `json:",omitempty"`
}

func (s *Service) listTopics(_ context.Context, c *wire.Call, in *tokenInput) (*listTopicsOutput, error) {
	if err := s.authorize(c, "ListTopics", c.ARN(serviceName, "*"), c.Account, nil); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []topicARN
	for _, t := range s.sorted() {
		if t.place == c.Place {
			all = append(all, topicARN{t.arn})
		}
	}
	topics, next, bad := page(all, in.NextToken)
	if bad != nil {
		return nil, bad
	}
	return &listTopicsOutput{topics, next}, nil
}

type attributesOutput struct {
	Attributes map[string]string
}

func (s *Service) getTopicAttributes(_ context.Context, c *wire.Call, in *topicARN) (*attributesOutput, error) {
	t, err := s.open(c, "TopicArn", in.ARN, "GetTopicAttributes")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	confirmed := 0
	for _, sub := range t.subscriptions {
		if sub.confirmed {
			confirmed++
		}
	}
	out := map[string]string{
		"TopicArn": t.arn, "Owner": t.place.Account, nameDisplay: "", namePolicy: t.policy(), "SubscriptionsConfirmed": strconv.Itoa(confirmed),
		"SubscriptionsPending": strconv.Itoa(len(t.subscriptions) - confirmed), "SubscriptionsDeleted": strconv.Itoa(t.deleted),
		"EffectiveDeliveryPolicy": effectiveDelivery,
	}
	if t.fifo {
		out[nameFIFO], out[nameContentDedup] = "true", "false"
	}
	maps.Copy(out, t.attributes)
	return &attributesOutput{out}, nil
}

type setTopicInput struct {
	TopicARN string `json:"TopicArn"`
	Name     string `json:"AttributeName"`
	Value    string `json:"AttributeValue"`
}

func (s *Service) setTopicAttributes(_ context.Context, c *wire.Call, in *setTopicInput) (*nothing, error) {
	t, err := s.open(c, "TopicArn", in.TopicARN, "SetTopicAttributes")
	if err != nil {
		return nil, err
	}
	if err := checkTopicAttribute(in.Name, in.Value); err != nil && (in.Value != "" || strings.HasSuffix(err.Message, "AttributeName")) {
		return nil, err
	}
	if !t.fifo && (in.Name == nameContentDedup || in.Name == nameThroughput) {
		return nil, invalid("AttributeName")
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t.set(in.Name, in.Value, now)
	return nil, nil
}

// A policyDocument is a topic's policy as far as permissions with labels are concerned.
type policyDocument struct {
	Version   string           `json:"Version"`
	ID        string           `json:"Id,omitempty"`
	Statement []jsontext.Value `json:"Statement"`
}

// readPolicy reads the policy that the topic has. Requires mu.
func (t *topic) readPolicy() policyDocument {
	var doc policyDocument
	if json.Unmarshal([]byte(t.policy()), &doc) == nil {
		return doc
	}
	// A single statement that is no list.
	var one struct {
		Version   string         `json:"Version"`
		ID        string         `json:"Id"`
		Statement jsontext.Value `json:"Statement"`
	}
	if json.Unmarshal([]byte(t.policy()), &one) == nil {
		doc = policyDocument{one.Version, one.ID, []jsontext.Value{one.Statement}}
	}
	return doc
}

// writePolicy gives the topic a policy; where nothing is in it, the one that it had at first. Requires mu.
func (t *topic) writePolicy(doc policyDocument, now time.Time) error {
	if len(doc.Statement) == 0 {
		t.set(namePolicy, "", now)
		return nil
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("policy of %s: %w", t.arn, err)
	}
	if len(text) > maxPolicy {
		return invalid("Policy Error: the policy would be longer than %d bytes", maxPolicy)
	}
	t.set(namePolicy, string(text), now)
	return nil
}
