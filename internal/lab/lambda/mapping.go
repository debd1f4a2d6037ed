package lambda

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// How often an idle queue is asked, in lab time: at first, and at most after a while.
const (
	pollAtFirst = time.Second
	pollAtMost  = 20 * time.Second
)

// A mapping polls a queue for a function.
type mapping struct {
	UUID                           string
	FunctionArn                    string
	EventSourceArn                 string
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	FunctionResponseTypes          []string
	State                          string
	StateTransitionReason          string
	LastProcessingResult           string
	LastModified                   wire.Epoch

	at      cloud.Place
	queue   cloud.ARN
	enabled bool
	polling bool // a task to ask the queue is on its way
}

type mappingInput struct {
	FunctionName                   string
	EventSourceArn                 string
	BatchSize                      *int
	MaximumBatchingWindowInSeconds int
	FunctionResponseTypes          []string
	Enabled                        *bool
}

func (in *mappingInput) check() error {
	switch {
	case in.BatchSize != nil && (*in.BatchSize < 1 || *in.BatchSize > 10_000):
		return invalid("BatchSize %d: expected 1 to 10000", *in.BatchSize)
	case in.BatchSize != nil && *in.BatchSize > 10 && in.MaximumBatchingWindowInSeconds < 1:
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	case in.MaximumBatchingWindowInSeconds < 0 || in.MaximumBatchingWindowInSeconds > 300:
		return invalid("MaximumBatchingWindowInSeconds %d: expected 0 to 300", in.MaximumBatchingWindowInSeconds)
	}
	for _, t := range in.FunctionResponseTypes {
		if t != reportFailures {
			return invalid("FunctionResponseTypes %q: expected %s", t, reportFailures)
		}
	}
	return nil
}

const reportFailures = "ReportBatchItemFailures"

func (s *Service) createMapping(_ context.Context, c *wire.Call, in *mappingInput) (*mapping, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	queue, err := cloud.ParseARN(in.EventSourceArn)
	if err != nil || queue.Service != "sqs" {
		return nil, invalid("Unrecognized event source: %s. The lab polls queues of SQS", in.EventSourceArn)
	}
	s.mu.Lock()
	f, err := s.find(c.Place, in.FunctionName)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if _, err := s.ask(context.Background(), f, queue, "GetQueueAttributes", map[string]any{}); err != nil {
		return nil, invalid("The function execution role does not have permissions to call ReceiveMessage on SQS, or the queue is not there: %v", err)
	}
	m := &mapping{
		UUID: s.cloud.UUID("mapping"), FunctionArn: f.arn(), EventSourceArn: in.EventSourceArn, BatchSize: 10,
		MaximumBatchingWindowInSeconds: in.MaximumBatchingWindowInSeconds, FunctionResponseTypes: in.FunctionResponseTypes,
		State: "Enabled", StateTransitionReason: "USER_INITIATED", LastModified: wire.Epoch{Time: s.cloud.Clock.Now()},
		at: c.Place, queue: queue, enabled: in.Enabled == nil || *in.Enabled,
	}
	if in.BatchSize != nil {
		m.BatchSize = *in.BatchSize
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range maps.Values(s.mappings) {
		if other.FunctionArn == m.FunctionArn && other.EventSourceArn == m.EventSourceArn {
			return nil, wire.StatusErrorf(http.StatusConflict, "ResourceConflictException",
				"An event source mapping with SQS arn (\" %s \") and function (\" %s \") already exists. Please update or delete the existing mapping with UUID %s",
				m.EventSourceArn, f.name, other.UUID)
		}
	}
	s.mappings[m.UUID] = m
	c.Status = http.StatusAccepted
	return s.settle(m), nil
}

// settle starts or stops polling as the mapping says, and gives a copy for an answer. Requires that mu is held.
func (s *Service) settle(m *mapping) *mapping {
	m.State = "Disabled"
	if m.enabled {
		m.State = "Enabled"
		if !m.polling {
			m.polling = true
			s.cloud.Clock.Go(func(ctx context.Context) { s.poll(ctx, m, pollAtFirst) })
		}
	}
	out := *m
	return &out
}

// ask calls SQS with the permissions of a function's role.
func (s *Service) ask(ctx context.Context, f *function, queue cloud.ARN, operation string, body map[string]any) ([]byte, error) {
	s.mu.Lock()
	role := f.settings.Role
	s.mu.Unlock()
	who := cloud.Identity{Kind: cloud.User, Account: f.at.Account, ARN: role}
	if s.cloud.Access != nil {
		var err error
		service := cloud.Identity{Kind: cloud.Service, ARN: principal, Account: f.at.Account}
		if who, err = s.cloud.Access.Assume(service, role, f.name, nil); err != nil {
			return nil, err
		}
	}
	body["QueueUrl"] = s.cloud.URL() + "/" + queue.Account + "/" + queue.Resource
	b, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	return s.cloud.API.Call(ctx, who, cloud.Place{Partition: queue.Partition, Account: f.at.Account, Region: queue.Region}, "sqs", operation, b)
}

// A message is what SQS gives out.
type message struct {
	MessageID                      string `json:"MessageId"`
	ReceiptHandle, Body, MD5OfBody string
	Attributes                     map[string]string
	MessageAttributes              map[string]messageAttribute
}

type messageAttribute struct{ StringValue, DataType string }

// poll asks a queue once, hands what it has to the function, and comes again.
func (s *Service) poll(ctx context.Context, m *mapping, wait time.Duration) {
	s.mu.Lock()
	f, err := s.find(m.at, m.FunctionArn)
	if s.closed || !m.enabled || s.mappings[m.UUID] != m || err != nil {
		m.polling = false
		s.mu.Unlock()
		return
	}
	size := m.BatchSize
	s.mu.Unlock()
	result, found := s.batch(ctx, f, m, size)
	s.mu.Lock()
	m.LastProcessingResult = result
	s.mu.Unlock()
	next := wait
	if found {
		wait, next = pollAtFirst, 0
	}
	s.cloud.Clock.After(next, func(ctx context.Context) { s.poll(ctx, m, min(2*wait, pollAtMost)) })
}

// batch takes what there is, up to a batch, and gives it to the function.
func (s *Service) batch(ctx context.Context, f *function, m *mapping, size int) (result string, found bool) {
	var batch []message
	for len(batch) < size {
		answer, err := s.ask(ctx, f, m.queue, "ReceiveMessage", map[string]any{
			"MaxNumberOfMessages": min(size-len(batch), 10), "MessageSystemAttributeNames": []string{"All"},
			"MessageAttributeNames": []string{"All"},
		})
		if err != nil {
			return "PROBLEM: " + err.Error(), len(batch) > 0
		}
		var page struct{ Messages []message }
		if err := json.Unmarshal(answer, &page); err != nil {
			return "PROBLEM: " + err.Error(), false
		}
		if len(page.Messages) == 0 {
			break
		}
		batch = append(batch, page.Messages...)
	}
	if len(batch) == 0 {
		return "No records processed", false
	}
	payload, err := sqsEvent(m, batch)
	if err != nil {
		return "PROBLEM: " + err.Error(), true
	}
	out, err := s.run(ctx, f, payload)
	switch {
	case err != nil:
		return "PROBLEM: " + err.Error(), false
	case out.failure != "":
		return "PROBLEM: Function call failed", true
	}
	kept, whole := refused(m, out.payload, batch)
	if whole {
		return "PROBLEM: the function's answer names messages that were not in the batch", true
	}
	for _, msg := range batch {
		if !slices.Contains(kept, msg.MessageID) {
			if _, err := s.ask(ctx, f, m.queue, "DeleteMessage", map[string]any{"ReceiptHandle": msg.ReceiptHandle}); err != nil {
				result = "PROBLEM: " + err.Error()
			}
		}
	}
	return cmp.Or(result, "OK"), true
}

// refused reads which messages of a batch the function could not handle; whole: all of them.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func refused(m *mapping, answer []byte, batch []message) (kept []string, whole bool) {
	if !slices.Contains(m.FunctionResponseTypes, reportFailures) {
		return nil, false
	}
	var said struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if len(answer) > 0 && json.Unmarshal(answer, &said) != nil {
		return nil, true
	}
	for _, item := range said.BatchItemFailures {
		known := slices.ContainsFunc(batch, func(msg message) bool { return msg.MessageID == item.ItemIdentifier })
		if !known {
			return nil, true
		}
		kept = append(kept, item.ItemIdentifier)
	}
	return kept, false
}

// sqsEvent is what a function gets. https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
func sqsEvent(m *mapping, batch []message) ([]byte, error) {
	type attribute struct {
		StringValue string `json:"stringValue"`
		DataType    string `json:"dataType"`
	}
	type record struct {
		MessageID         string               `json:"messageId"`
		ReceiptHandle     string               `json:"receiptHandle"`
		Body              string               `json:"body"`
		Attributes        map[string]string    `json:"attributes"`
		MessageAttributes map[string]attribute `json:"messageAttributes"`
		MD5OfBody         string               `json:"md5OfBody"`
		EventSource       string               `json:"eventSource"`
		EventSourceARN    string               `json:"eventSourceARN"`
		AWSRegion         string               `json:"awsRegion"`
	}
	var event struct{ Records []record }
	for _, msg := range batch {
		r := record{
			MessageID: msg.MessageID, ReceiptHandle: msg.ReceiptHandle, Body: msg.Body, Attributes: msg.Attributes, MD5OfBody: msg.MD5OfBody,
			MessageAttributes: make(map[string]attribute), EventSource: "aws:sqs", EventSourceARN: m.EventSourceArn, AWSRegion: m.queue.Region,
		}
		for name, a := range msg.MessageAttributes {
			r.MessageAttributes[name] = attribute(a)
		}
		event.Records = append(event.Records, r)
	}
	return json.Marshal(event, json.Deterministic(true))
}

func (s *Service) findMapping(c *wire.Call) (*mapping, error) {
	m := s.mappings[c.Path["UUID"]]
	if m == nil || m.at != c.Place {
		return nil, wire.StatusErrorf(http.StatusNotFound, "ResourceNotFoundException", "The resource you requested does not exist.")
	}
	return m, nil
}

func (s *Service) getMapping(_ context.Context, c *wire.Call, _ *nameInput) (*mapping, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.findMapping(c)
	if err != nil {
		return nil, err
	}
	out := *m
	return &out, nil
}

type mappingsOutput struct{ EventSourceMappings []*mapping }

func (s *Service) listMappings(_ context.Context, c *wire.Call, _ *nameInput) (*mappingsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &mappingsOutput{}
	source := c.HTTP.URL.Query().Get("EventSourceArn")
	for m := range maps.Values(s.mappings) {
		if m.at == c.Place && (source == "" || source == m.EventSourceArn) {
			one := *m
			out.EventSourceMappings = append(out.EventSourceMappings, &one)
		}
	}
	slices.SortFunc(out.EventSourceMappings, func(a, b *mapping) int { return cmp.Compare(a.UUID, b.UUID) })
	return out, nil
}

func (s *Service) updateMapping(_ context.Context, c *wire.Call, in *mappingInput) (*mapping, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.findMapping(c)
	if err != nil {
		return nil, err
	}
	if in.BatchSize != nil {
		m.BatchSize = *in.BatchSize
	}
	if in.Enabled != nil {
		m.enabled = *in.Enabled
	}
	if in.FunctionResponseTypes != nil {
		m.FunctionResponseTypes = in.FunctionResponseTypes
	}
	m.LastModified = wire.Epoch{Time: s.cloud.Clock.Now()}
	c.Status = http.StatusAccepted
	return s.settle(m), nil
}

func (s *Service) deleteMapping(_ context.Context, c *wire.Call, _ *nameInput) (*mapping, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.findMapping(c)
	if err != nil {
		return nil, err
	}
	delete(s.mappings, m.UUID)
	out := *m
	out.State = "Deleting"
	c.Status = http.StatusAccepted
	return &out, nil
}
