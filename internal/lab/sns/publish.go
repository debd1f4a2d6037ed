package sns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// An attribute is a message attribute on the wire.
// https://docs.aws.amazon.com/sns/latest/api/API_MessageAttributeValue.html
type attribute struct {
	DataType    string
	StringValue string
	BinaryValue []byte
}

// Types of attributes. A label may follow after a dot.
const (
	kindString = "String"
	kindNumber = "Number"
	kindBinary = "Binary"
	kindArray  = "String.Array"
)

func (a attribute) kind() string {
	kind, _, _ := strings.Cut(a.DataType, ".")
	return kind
}

// A publication is a message on its way into a topic.
type publication struct {
	Message         string
	Subject         *string
	Structure       string               `json:"MessageStructure"`
	Attributes      map[string]attribute `json:"MessageAttributes" query:",key=Name,value=Value"`
	DeduplicationID string               `json:"MessageDeduplicationId"`
	GroupID         string               `json:"MessageGroupId"`
}

type publishInput struct {
	TopicARN    string `json:"TopicArn"`
	TargetARN   string `json:"TargetArn"`
	PhoneNumber string
	publication
}

type published struct {
	MessageID      string `json:"MessageId"`
	SequenceNumber string `json:",omitempty"`
}

func (s *Service) publish(_ context.Context, c *wire.Call, in *publishInput) (*published, error) {
	arn, parameter := in.TopicARN, "TopicArn"
	switch {
	case in.PhoneNumber != "":
		return nil, invalid("PhoneNumber Reason: the lab sends no text messages")
	case arn != "" && in.TargetARN != "":
		return nil, invalid("TopicArn or TargetArn Reason: only one of them can be given")
	case in.TargetARN != "":
		arn, parameter = in.TargetARN, "TargetArn"
	case arn == "":
		return nil, invalid("TopicArn or TargetArn Reason: no value for required parameter")
	}
	t, err := s.openToPublish(c, parameter, arn)
	if err != nil {
		return nil, err
	}
	if bad := in.check(); bad != nil {
		return nil, bad
	}
	out, bad := s.put(t, &in.publication)
	if bad != nil {
		return nil, bad
	}
	return out, nil
}

func (s *Service) openToPublish(c *wire.Call, parameter, arn string) (*topic, error) {
	t, err := s.open(c, parameter, arn, "Publish")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	key := t.attributes[nameKMSKey]
	s.mu.Unlock()
	// The key that AWS manages lets in whom SNS lets in, in its account.
	if key == "" || strings.HasSuffix(key, "alias/aws/sns") && c.Account == t.place.Account {
		return t, nil
	}
	err = s.cloud.PermitKey(c.Who, keyARN(t.place, key), "kms:GenerateDataKey")
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, cloud.ErrNoResource):
		return nil, failure(kmsNotFound, "%v", err)
	case strings.Contains(err.Error(), "KMS.DisabledException"):
		return nil, failure(kmsDisabled, "%v", err)
	case strings.Contains(err.Error(), "KMS.KMSInvalidStateException"):
		return nil, failure(kmsInvalidState, "%v", err)
	}
	return nil, failure(kmsAccessDenied, "%v", err)
}

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

// Limits of messages.
const (
	maxMessage = 256 << 10 // bytes with attributes
	maxSubject = 100       // characters
	maxBatch   = 10
)

func (p *publication) size() int {
	n := len(p.Message)
	for name, a := range p.Attributes {
		n += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	return n
}

// check tells what is wrong with a message.
func (p *publication) check() *wire.Error {
	switch {
	case p.Message == "":
		return invalid("Empty message")
	case p.size() > maxMessage:
		return invalid("Message too long")
	case !utf8.ValidString(p.Message):
		return invalid("Message must be UTF-8")
	case p.Structure != "" && p.Structure != "json":
		return invalid("Message Structure")
	case p.Subject != nil && !validSubject(*p.Subject):
		return invalid("Subject")
	}
	if p.Structure == "json" {
		if _, bad := p.byProtocol(); bad != nil {
			return bad
		}
	}
	return checkAttributes(p.Attributes)
}

// validSubject tells whether SNS takes a subject: it is a line of mail.
func validSubject(s string) bool {
	return s != "" && utf8.RuneCountInString(s) <= maxSubject && utf8.ValidString(s) && s[0] != ' ' &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// byProtocol are the texts for the protocols, of a message that has several.
func (p *publication) byProtocol() (map[string]string, *wire.Error) {
	var all map[string]any
	if json.Unmarshal([]byte(p.Message), &all) != nil || all == nil {
		return nil, invalid("Message Structure - JSON message body failed to parse")
	}
	out := make(map[string]string)
	for protocol, v := range all {
		if text, ok := v.(string); ok {
			out[protocol] = text
		}
	}
	if _, ok := out["default"]; !ok {
		return nil, invalid("Message Structure - No default entry in JSON message body")
	}
	return out, nil
}

var attributeName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

func checkAttributes(attributes map[string]attribute) *wire.Error {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		shown := name[:min(len(name), 300)]
		lower := strings.ToLower(name)
		if !attributeName.MatchString(name) || len(name) > 256 || strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
			return failure(parameterInvalid, "Invalid message attribute name '%s'", shown)
		}
		a := attributes[name]
		kind := a.kind()
		switch {
		case a.DataType == "":
			return failure(parameterInvalid, "The message attribute '%s' must contain non-empty message attribute type.", shown)
		case len(a.DataType) > 256 || kind != kindString && kind != kindNumber && kind != kindBinary:
			return failure(parameterInvalid, "The message attribute '%s' has an invalid message attribute type, the set of supported type "+
				"prefixes is Binary, Number, and String.", shown)
		case kind == kindBinary && len(a.BinaryValue) == 0, kind != kindBinary && a.StringValue == "":
			return failure(parameterInvalid, "The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.",
				shown, a.DataType)
		case kind == kindNumber && !isNumber(a.StringValue):
			return failure(parameterInvalid, "Could not cast message attribute '%s' value to number.", shown)
		case a.DataType == kindArray && !isArray(a.StringValue):
			return failure(parameterInvalid, "Message attribute '%s' is no JSON array of strings, numbers, true, false and null.", shown)
		}
	}
	return nil
}

var number = regexp.MustCompile(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$`)

func isNumber(s string) bool {
	_, ok := new(big.Float).SetString(s)
	return ok && len(s) <= 200 && number.MatchString(s)
}

func isArray(s string) bool {
	var list []any
	if json.Unmarshal([]byte(s), &list) != nil || list == nil {
		return false
	}
	return !slices.ContainsFunc(list, func(v any) bool {
		switch v.(type) {
		case []any, map[string]any:
			return true
		}
		return false
	})
}

// dedupInterval is how long SNS knows a deduplication id.
const dedupInterval = 5 * time.Minute

// put makes a message one of a topic: it is on its way to all subscriptions that want it.
func (s *Service) put(t *topic, p *publication) (*published, *wire.Error) {
	texts := map[string]string{}
	if p.Structure == "json" {
		var bad *wire.Error
		if texts, bad = p.byProtocol(); bad != nil {
			return nil, bad
		}
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[t.arn] != t {
		return nil, failure(notFound, "Topic does not exist")
	}
	out := &published{MessageID: s.cloud.UUID("sns message")}
	dedup, before, bad := t.deduplicate(p, out.MessageID, now)
	if bad != nil || before != nil {
		return before, bad
	}
	if t.fifo {
		out.SequenceNumber = fmt.Sprintf("%020d", 10_000_000_000_000_000_000+t.published)
	}
	t.published++
	same := make(map[string]*envelope) // by text: what is signed is the same
	for _, sub := range t.subscriptions {
		if !sub.confirmed {
			continue
		}
		if !sub.filter.takes(p.Message, p.Attributes) {
			t.filtered++
			continue
		}
		text := p.Message
		if p.Structure == "json" {
			text = texts["default"]
			if own, ok := texts[sub.protocol]; ok {
				text = own
			}
		}
		e := same[text]
		if e == nil {
			e = &envelope{
				Type: typeNotification, MessageID: out.MessageID, SequenceNumber: out.SequenceNumber, TopicARN: t.arn, Message: text,
				Timestamp: wire.ISO(now), SignatureVersion: t.signatureVersion(), SigningCertURL: s.addressAt(t.place), Attributes: sentAttributes(p.Attributes),
			}
			if p.Subject != nil {
				e.Subject = *p.Subject
			}
			same[text] = e
		}
		s.send(&delivery{sub: sub, kind: typeNotification, id: out.MessageID, envelope: e, attributes: p.Attributes, group: p.GroupID, dedup: dedup})
	}
	return out, nil
}

// deduplicate finds what a FIFO topic got a short while ago, and remembers what it gets. Requires mu.
func (t *topic) deduplicate(p *publication, id string, now time.Time) (dedup string, before *published, bad *wire.Error) {
	if !t.fifo {
		if p.DeduplicationID != "" {
			return "", nil, invalid("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")
		}
		return "", nil, nil
	}
	dedup = p.DeduplicationID
	switch {
	case p.GroupID == "":
		return "", nil, invalid("The MessageGroupId parameter is required for FIFO topics")
	case dedup == "" && t.attributes[nameContentDedup] != "true":
		return "", nil, invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case dedup == "":
		sum := sha256.Sum256([]byte(p.Message))
		dedup = hex.EncodeToString(sum[:])
	}
	key := dedup
	if t.attributes[nameThroughput] == "MessageGroup" {
		key = p.GroupID + "\n" + dedup
	}
	maps.DeleteFunc(t.recent, func(_ string, b sentBefore) bool { return now.Sub(b.at) >= dedupInterval })
	if b, known := t.recent[key]; known {
		return "", &published{b.id, b.sequence}, nil
	}
	t.recent[key] = sentBefore{id, fmt.Sprintf("%020d", 10_000_000_000_000_000_000+t.published), now}
	return dedup, nil, nil
}

type publishEntry struct {
	ID string `json:"Id"`
	publication
}

type publishBatchInput struct {
	TopicARN string         `json:"TopicArn"`
	Entries  []publishEntry `json:"PublishBatchRequestEntries"`
}

type publishedEntry struct {
	ID string `json:"Id"`
	published
}

type failedEntry struct {
	ID          string `json:"Id"`
	Code        string
	Message     string
	SenderFault bool
}

type publishBatchOutput struct {
	Successful []publishedEntry
	Failed     []failedEntry
}

var batchID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func checkBatch(entries []publishEntry) *wire.Error {
	switch {
	case len(entries) == 0:
		return failure(emptyBatch, "The batch request doesn't contain any entries.")
	case len(entries) > maxBatch:
		return failure(tooManyEntries, "The batch request contains more entries than permissible.")
	}
	seen := make(map[string]bool)
	size := 0
	for _, e := range entries {
		if !batchID.MatchString(e.ID) {
			return failure(invalidBatchEntryID, "The Id of a batch entry in a batch request doesn't abide by the specification.")
		}
		if seen[e.ID] {
			return failure(batchIDsNotDistinct, "Two or more batch entries in the request have the same Id.")
		}
		seen[e.ID] = true
		size += e.size()
	}
	if size > maxMessage {
		return failure(batchTooLong, "The length of all the messages put together is more than the limit.")
	}
	return nil
}

func (s *Service) publishBatch(_ context.Context, c *wire.Call, in *publishBatchInput) (*publishBatchOutput, error) {
	t, err := s.openToPublish(c, "TopicArn", in.TopicARN)
	if err != nil {
		return nil, err
	}
	if bad := checkBatch(in.Entries); bad != nil {
		return nil, bad
	}
	out := &publishBatchOutput{}
	for _, e := range in.Entries {
		bad := e.check()
		var one *published
		if bad == nil {
			one, bad = s.put(t, &e.publication)
		}
		if bad != nil {
			out.Failed = append(out.Failed, failedEntry{e.ID, bad.Code, bad.Message, true})
			continue
		}
		out.Successful = append(out.Successful, publishedEntry{e.ID, *one})
	}
	return out, nil
}
