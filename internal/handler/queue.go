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

// A QueueResult is what became of the messages of one invocation by SQS.
type QueueResult struct {
	Messages, Failed int   // Failed: how many stay in the queue
	Err              error // why; of several reasons that of the first message
	Counts
}

// queue stores the events of a batch of messages. A message arrived when it was sent, so that it belongs to the same
// place whenever it is handled.
func (h *Handler) queue(ctx context.Context, event []byte) ([]byte, error) {
	if h.o.Store == nil {
		return nil, fmt.Errorf("store messages of SQS: %w", ErrNoBucket)
	}
	var in queueEvent
	if err := json.Unmarshal(event, &in, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fmt.Errorf("read SQS's invocation: %w", err)
	}
	router := h.all.routers.Get().(*pipeline.Router) //nolint:forcetypeassert // see newLane
	defer h.all.routers.Put(router)
	b := h.newBundle()
	for i, m := range in.Records {
		arrival := pipeline.Arrival{Time: h.sent(m)}
		outcomes := 0
		take := func(doc document.Document) bool {
			router.Route(doc, arrival, func(o *pipeline.Outcome) {
				outcomes++
				b.add(i, o)
			})
			return true
		}
		document.Split(document.Notification([]byte(m.Body)), document.Options{Scan: router.Scan}, take)
		if outcomes == 0 { // nothing disappears
			take(document.Document{Bytes: []byte(m.Body), Err: document.ErrNotJSON})
		}
	}
	failed := b.put(ctx)
	result := QueueResult{Messages: len(in.Records), Failed: len(failed), Counts: b.counts}
	out := queueAnswer{Failures: []itemFailure{}}
	for i, m := range in.Records {
		if err := failed[i]; err != nil {
			out.Failures = append(out.Failures, itemFailure{m.MessageID})
			if result.Err == nil {
				result.Err = err
			}
		}
	}
	if h.o.Events.Queued != nil {
		h.o.Events.Queued(result)
	}
	if len(failed) > 0 && len(failed) == len(in.Records) {
		return nil, fmt.Errorf("none of %d messages could be stored: %w", len(in.Records), result.Err)
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
