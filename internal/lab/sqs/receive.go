package sqs

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Names of what SQS knows of a message.
const (
	nameSender        = "SenderId"
	nameSent          = "SentTimestamp"
	nameReceives      = "ApproximateReceiveCount"
	nameFirstReceived = "ApproximateFirstReceiveTimestamp"
	nameSequence      = "SequenceNumber"
	nameDedup         = "MessageDeduplicationId"
	nameGroup         = "MessageGroupId"
	nameTrace         = "AWSTraceHeader"
	nameDeadSource    = "DeadLetterQueueSourceArn"
)

type receiveMessageInput struct {
	QueueURL    string   `json:"QueueUrl"`
	Names       []string `json:"AttributeNames" query:"AttributeName,flat"`
	SystemNames []string `json:"MessageSystemAttributeNames" query:"MessageSystemAttributeName,flat"`
	UserNames   []string `json:"MessageAttributeNames" query:"MessageAttributeName,flat"`
	Max         *int     `json:"MaxNumberOfMessages"`
	Visibility  *int     `json:"VisibilityTimeout"`
	Wait        *int     `json:"WaitTimeSeconds"`
	AttemptID   string   `json:"ReceiveRequestAttemptId"`
}

// A received is a message as it is handed out.
type received struct {
	MessageID              string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string    `json:",omitempty" query:"Attribute,flat,key=Name,value=Value"`
	MD5OfMessageAttributes string               `json:",omitempty"`
	MessageAttributes      map[string]attribute `json:",omitempty" query:"MessageAttribute,flat,key=Name,value=Value"`
}

type receiveMessageOutput struct {
	Messages []received `json:",omitempty" query:"Message,flat"`
}

// maxReceived is the most messages of one receive.
const maxReceived = 10

func (in *receiveMessageInput) check() *wire.Error {
	if in.Max != nil && (*in.Max < 1 || *in.Max > maxReceived) {
		return badValue(*in.Max, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
	}
	if in.Visibility != nil && (*in.Visibility < 0 || *in.Visibility > maxVisibility) {
		return badValue(*in.Visibility, "VisibilityTimeout", "Must be >= 0 and <= 43200, if provided.")
	}
	if in.Wait != nil && (*in.Wait < 0 || *in.Wait > maxWait) {
		return badValue(*in.Wait, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")
	}
	for _, name := range slices.Concat(in.Names, in.SystemNames) {
		switch name {
		case nameSender, nameSent, nameReceives, nameFirstReceived, nameSequence, nameDedup, nameGroup, nameTrace, nameDeadSource:
		default:
			if !known(name) {
				return unknownAttribute(name)
			}
		}
	}
	return nil
}

// receiveMessage waits in real time where it is to wait: for a message to come, for one to be visible again, or for the
// client to go.
func (s *Service) receiveMessage(ctx context.Context, c *wire.Call, in *receiveMessageInput) (*receiveMessageOutput, error) {
	q, err := s.open(c, in.QueueURL, "ReceiveMessage")
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := s.permitKey(c, q, "kms:Decrypt"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	wait := q.settings.wait
	s.mu.Unlock()
	if in.Wait != nil {
		wait = *in.Wait
	}
	timer := time.NewTimer(time.Duration(wait) * time.Second)
	defer timer.Stop()
	for {
		out, wake, bad := s.receive(q, in, wait > 0)
		if bad != nil {
			return nil, bad
		}
		if len(out) > 0 || wait == 0 {
			return &receiveMessageOutput{out}, nil
		}
		select {
		case <-wake:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		return &receiveMessageOutput{}, nil
	}
}

// receive hands messages out. Where there are none, wake is closed when there may be.
func (s *Service) receive(q *queue, in *receiveMessageInput, waits bool) (out []received, wake <-chan struct{}, bad *wire.Error) {
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.gone {
		return nil, nil, noQueue()
	}
	q.settle(now)
	n, hide := 1, q.settings.visibility
	if in.Max != nil {
		n = *in.Max
	}
	if in.Visibility != nil {
		hide = *in.Visibility
	}
	if q.inFlight >= maxInFlight && !q.settings.fifo && !waits {
		return nil, nil, failure(overLimit, "The maximum number of in flight messages (%d) for the queue was reached.", maxInFlight)
	}
	n = min(n, maxInFlight-q.inFlight)
	bury := func(m *message) bool { return s.bury(q, m, now) }
	again := func(*message) bool { return s.again(q) }
	for _, m := range q.take(now, n, time.Duration(hide)*time.Second, bury, again) {
		out = append(out, s.handOut(q, m, in))
	}
	if len(out) == 0 && waits {
		s.ringAtNext(q, now)
	}
	return out, q.wake, nil
}

// ringAtNext makes a task that wakes those who wait for a queue, when its next message is visible. Requires mu.
func (s *Service) ringAtNext(q *queue, now time.Time) {
	next := q.nextVisible()
	if next.IsZero() || q.ringAt.After(now) && !q.ringAt.After(next) {
		return
	}
	q.ringAt = next
	s.cloud.Clock.At(next, func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		q.ring()
	})
}

// bury moves a message to the queue's dead-letter queue, and tells whether there is one. Requires mu.
func (s *Service) bury(q *queue, m *message, now time.Time) bool {
	target := s.byARN(q.settings.deadLetter)
	if target == nil {
		return false
	}
	q.redriven++
	s.moveMessage(q, target, m, now)
	m.source = q.arn
	return true
}

// moveMessage moves a message to another queue, where it is visible at once. In a FIFO queue it is as if it was sent now;
// in a standard one it keeps its age. Requires mu.
func (s *Service) moveMessage(from, to *queue, m *message, now time.Time) {
	from.remove(m)
	m.here, m.visible = 0, now
	if to.settings.fifo {
		m.sent, m.sequence = now, sequenceOf(to.next+1)
	}
	to.put(m, now)
	to.sent++
}

// again tells whether a message is handed out once more than it should be: a fault says so, or the share of SetDuplicates.
// Requires mu.
func (s *Service) again(q *queue) bool {
	if s.cloud.Faults.Again(cloud.Occasion{
		Service: "sqs", Action: "ReceiveMessage", From: "sqs.amazonaws.com", Target: q.arn, Place: q.place,
	}) {
		return true
	}
	if s.duplicates == 0 {
		return false
	}
	b := s.cloud.Chance("sqs duplicate")
	return float64(binary.BigEndian.Uint64(b[:])>>11)/(1<<53) < s.duplicates
}

// handOut is a message as the caller wants to see it. Requires mu.
func (s *Service) handOut(q *queue, m *message, in *receiveMessageInput) received {
	out := received{MessageID: m.id, ReceiptHandle: s.handleOf(q, m), MD5OfBody: m.md5, Body: m.body}
	out.Attributes = m.shown()
	if names := slices.Concat(in.Names, in.SystemNames); !slices.Contains(names, nameAll) {
		maps.DeleteFunc(out.Attributes, func(name, _ string) bool { return !slices.Contains(names, name) })
	}
	out.MessageAttributes = make(map[string]attribute)
	for name, a := range m.attributes {
		if slices.ContainsFunc(in.UserNames, func(want string) bool { return wants(want, name) }) {
			out.MessageAttributes[name] = a
		}
	}
	out.MD5OfMessageAttributes = md5OfAttributes(out.MessageAttributes)
	return out
}

// wants tells whether a name that was asked for, which may end in .*, is that of an attribute.
func wants(want, name string) bool {
	if want == nameAll || want == ".*" || want == name {
		return true
	}
	prefix, ok := strings.CutSuffix(want, ".*")
	return ok && strings.HasPrefix(name, prefix)
}

// shown is what SQS knows of a message.
func (m *message) shown() map[string]string {
	out := map[string]string{
		nameSender: m.sender, nameSent: strconv.FormatInt(m.sent.UnixMilli(), 10), nameReceives: strconv.Itoa(m.receives),
		nameFirstReceived: strconv.FormatInt(m.first.UnixMilli(), 10),
	}
	for name, value := range map[string]string{
		nameSequence: m.sequence, nameDedup: m.dedup, nameGroup: m.group, nameDeadSource: m.source, nameTrace: m.system[nameTrace].StringValue,
	} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}
