package handler

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pipeline"
)

// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
type queueEvent struct {
	Records []queueMessage
}

type queueMessage struct {
	MessageID  string            `json:"messageId"`
	Body       string            `json:"body"`
	Attributes map[string]string `json:"attributes"`
}

// The answer that leaves failed messages in the queue; the mapping must have ReportBatchItemFailures.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
type queueAnswer struct {
	Failures []itemFailure `json:"batchItemFailures"`
}

type itemFailure struct {
	ItemIdentifier string `json:"itemIdentifier"`
}

// queue stores the events of a batch of messages. A message arrived when it was sent, so that it belongs to the same
// place whenever it is handled.
func (h *Handler) queue(ctx context.Context, event []byte) ([]byte, error) {
	var in queueEvent
	if err := json.Unmarshal(event, &in, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fmt.Errorf("read SQS's invocation: %w", err)
	}
	out := queueAnswer{Failures: []itemFailure{}}
	b := h.newBundle()
	for i, m := range in.Records {
		arrival := pipeline.Arrival{Time: h.sent(m)}
		take := func(doc document.Document) bool {
			h.router.Route(doc, arrival, func(o *pipeline.Outcome) { b.add(i, o) })
			return true
		}
		before := b.total()
		document.Split(document.Notification([]byte(m.Body)), document.Options{Scan: h.router.Scan}, take)
		if b.total() == before { // nothing disappears
			take(document.Document{Bytes: []byte(m.Body), Err: document.ErrNotJSON})
		}
	}
	failed := b.put(ctx)
	for i, m := range in.Records {
		if failed[i] != nil {
			out.Failures = append(out.Failures, itemFailure{m.MessageID})
		}
	}
	if len(failed) == len(in.Records) && len(failed) > 0 {
		return nil, fmt.Errorf("none of %d messages could be stored: %w", len(in.Records), failed[0])
	}
	return answer(out)
}

func (h *Handler) sent(m queueMessage) time.Time {
	ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return h.o.Now().UTC()
	}
	return time.UnixMilli(ms).UTC()
}
