package sqs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"example.org/catchment/internal/lab/wire"
)

// A sending is a message on its way into a queue.
type sending struct {
	MessageBody     string
	DelaySeconds    *int
	Attributes      map[string]attribute `json:"MessageAttributes" query:"MessageAttribute,flat,key=Name,value=Value"`
	System          map[string]attribute `json:"MessageSystemAttributes" query:"MessageSystemAttribute,flat,key=Name,value=Value"`
	DeduplicationID string               `json:"MessageDeduplicationId"`
	GroupID         string               `json:"MessageGroupId"`
}

// A receipt is what is answered to a sending.
type receipt struct {
	MessageID                    string `json:"MessageId"`
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
	SequenceNumber               string `json:",omitempty"`
}

type sendMessageInput struct {
	QueueURL string `json:"QueueUrl"`
	sending
}

func (s *Service) sendMessage(_ context.Context, c *wire.Call, in *sendMessageInput) (*receipt, error) {
	q, err := s.openToSend(c, in.QueueURL)
	if err != nil {
		return nil, err
	}
	out, bad := s.send(q, &in.sending, c.Who.ID)
	if bad != nil {
		return nil, bad
	}
	return out, nil
}

func (s *Service) openToSend(c *wire.Call, url string) (*queue, error) {
	q, err := s.open(c, url, "SendMessage")
	if err != nil {
		return nil, err
	}
	return q, s.permitKey(c, q, "kms:GenerateDataKey")
}

// send puts a message into a queue.
func (s *Service) send(q *queue, in *sending, sender string) (*receipt, *wire.Error) {
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.gone {
		return nil, noQueue()
	}
	q.settle(now)
	if err := checkSending(&q.settings, in); err != nil {
		return nil, err
	}
	out := &receipt{
		MD5OfMessageBody: md5OfBody(in.MessageBody), MD5OfMessageAttributes: md5OfAttributes(in.Attributes),
		MD5OfMessageSystemAttributes: md5OfAttributes(in.System),
	}
	m := &message{
		body: in.MessageBody, md5: out.MD5OfMessageBody, sender: sender, attributes: in.Attributes, system: in.System,
		group: in.GroupID, dedup: in.DeduplicationID, sent: now,
	}
	delay := q.settings.delay
	if in.DelaySeconds != nil {
		delay = *in.DelaySeconds
	}
	m.visible = now.Add(time.Duration(delay) * time.Second)
	if q.settings.fifo {
		key := m.deduplicate(&q.settings)
		if before, known := q.recent.find(key, now); known {
			out.MessageID, out.SequenceNumber = before.id, before.sequence
			return out, nil
		}
		m.id = s.cloud.UUID("sqs message")
		m.sequence = sequenceOf(q.next + 1)
		q.recent.add(sentBefore{key, m.id, m.sequence, now})
	} else {
		m.id = s.cloud.UUID("sqs message")
	}
	q.put(m, now)
	q.sent++
	out.MessageID, out.SequenceNumber = m.id, m.sequence
	return out, nil
}

// sequenceOf makes the number of a message in a FIFO queue: 20 digits that grow, not by one.
func sequenceOf(n uint64) string { return fmt.Sprintf("%020d", 18_800_000_000_000_000_000>>1+n<<8) }

// deduplicate gives the message a deduplication id, if it has none, and tells what counts as the same message.
func (m *message) deduplicate(t *settings) string {
	if m.dedup == "" {
		sum := sha256.Sum256([]byte(m.body))
		m.dedup = hex.EncodeToString(sum[:])
	}
	if t.dedupScope == scopeMessageGroup {
		return m.group + "\n" + m.dedup
	}
	return m.dedup
}

var groupID = regexp.MustCompile("^[A-Za-z0-9!\"#$%&'()*+,./:;<=>?@\\[\\\\\\]^_`{|}~-]{1,128}$")

// checkSending tells what a queue does not take.
func checkSending(t *settings, in *sending) *wire.Error {
	switch size := sizeOf(in.MessageBody, in.Attributes); {
	case in.MessageBody == "":
		return missing("MessageBody")
	case size > t.maxSize:
		return failure(invalidParameterValue, "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", t.maxSize)
	case !validText(in.MessageBody):
		return badContents()
	case in.DelaySeconds != nil && (*in.DelaySeconds < 0 || *in.DelaySeconds > maxDelay):
		return badValue(*in.DelaySeconds, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
	case in.GroupID != "" && !groupID.MatchString(in.GroupID):
		return badValue(in.GroupID, "MessageGroupId", "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	case in.DeduplicationID != "" && !groupID.MatchString(in.DeduplicationID):
		return badValue(in.DeduplicationID, "MessageDeduplicationId",
			"MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	const wrongType = "The request include parameter that is not valid for this queue type."
	switch {
	case t.fifo && in.GroupID == "":
		return missing("MessageGroupId")
	case t.fifo && in.DeduplicationID == "" && !t.contentDedup:
		return failure(invalidParameterValue, "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case t.fifo && in.DelaySeconds != nil && *in.DelaySeconds != 0:
		return badValue(*in.DelaySeconds, "DelaySeconds", wrongType)
	case !t.fifo && in.DeduplicationID != "":
		return badValue(in.DeduplicationID, "MessageDeduplicationId", wrongType)
	}
	if err := checkAttributes(in.Attributes); err != nil {
		return err
	}
	for name, a := range in.System {
		if name != nameTrace || a.DataType != kindString || a.StringValue == "" || !validText(a.StringValue) {
			return failure(invalidParameterValue, "Message system attribute name '%s' is invalid: only AWSTraceHeader of type String can be sent.",
				name[:min(len(name), 200)])
		}
	}
	return nil
}

type sendEntry struct {
	ID string `json:"Id"`
	sending
}

type sendMessageBatchInput struct {
	QueueURL string      `json:"QueueUrl"`
	Entries  []sendEntry `query:"SendMessageBatchRequestEntry,flat"`
}

type sentEntry struct {
	ID string `json:"Id"`
	receipt
}

// A failedEntry is an entry of a batch that went wrong.
type failedEntry struct {
	ID          string `json:"Id"`
	SenderFault bool
	Code        string
	Message     string
}

func failed(id string, e *wire.Error) failedEntry {
	return failedEntry{id, true, e.QueryCode, e.Message}
}

type sendMessageBatchOutput struct {
	Successful []sentEntry   `query:"SendMessageBatchResultEntry,flat"`
	Failed     []failedEntry `query:"BatchResultErrorEntry,flat"`
}

// Limits of a batch.
const (
	maxBatch     = 10
	maxBatchSize = 1 << 20
)

var batchID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkBatch tells what is wrong with a batch as a whole.
func checkBatch(kind string, ids []string) *wire.Error {
	switch {
	case len(ids) == 0:
		return failure(emptyBatch, "There should be at least one %s in the request.", kind)
	case len(ids) > maxBatch:
		return failure(tooManyEntries, "Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(ids))
	}
	seen := make(map[string]bool)
	for _, id := range ids {
		if !batchID.MatchString(id) {
			return failure(invalidBatchEntryID, "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "+
				"It can be at most 80 letters long.")
		}
		if seen[id] {
			return failure(batchIDsNotDistinct, "Id %s repeated.", id)
		}
		seen[id] = true
	}
	return nil
}

func (s *Service) sendMessageBatch(_ context.Context, c *wire.Call, in *sendMessageBatchInput) (*sendMessageBatchOutput, error) {
	q, err := s.openToSend(c, in.QueueURL)
	if err != nil {
		return nil, err
	}
	var ids []string
	size := 0
	for _, e := range in.Entries {
		ids = append(ids, e.ID)
		size += sizeOf(e.MessageBody, e.Attributes)
	}
	if err := checkBatch("SendMessageBatchRequestEntry", ids); err != nil {
		return nil, err
	}
	if size > maxBatchSize {
		return nil, failure(batchTooLong, "Batch requests cannot be longer than "+strconv.Itoa(maxBatchSize)+" bytes. You have sent %d bytes.", size)
	}
	out := &sendMessageBatchOutput{}
	for _, e := range in.Entries {
		one, bad := s.send(q, &e.sending, c.Who.ID)
		switch {
		case bad != nil && bad.Code == queueDoesNotExist:
			return nil, bad
		case bad != nil:
			out.Failed = append(out.Failed, failed(e.ID, bad))
		default:
			out.Successful = append(out.Successful, sentEntry{e.ID, *one})
		}
	}
	return out, nil
}
