package sqs

import (
	"context"
	"time"

	"example.org/catchment/internal/lab/wire"
)

type deleteMessageInput struct {
	QueueURL      string `json:"QueueUrl"`
	ReceiptHandle string
}

func (s *Service) deleteMessage(_ context.Context, c *wire.Call, in *deleteMessageInput) (*nothing, error) {
	q, err := s.open(c, in.QueueURL, "DeleteMessage")
	if err != nil {
		return nil, err
	}
	if bad := s.delete(q, in.ReceiptHandle); bad != nil {
		return nil, bad
	}
	return nil, nil
}

// delete deletes by a receipt handle. A message that is gone is no error. In a standard queue an old handle of a message
// that was handed out again is none either, but deletes nothing; in a FIFO queue a handle ends with its timeout.
func (s *Service) delete(q *queue, text string) *wire.Error {
	h, bad := s.openHandle(q, text)
	if bad != nil {
		return bad
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.gone {
		return noQueue()
	}
	q.settle(now)
	m := q.messages[h.message]
	switch {
	case m == nil:
		return nil
	case q.settings.fifo && (m.receives != h.receive || m.state != stateInFlight):
		return badValue(text, "ReceiptHandle", "The receipt handle has expired.")
	case m.receives != h.receive:
		return nil
	}
	q.remove(m)
	q.removed++
	if q.settings.fifo {
		q.ring() // the next of the group may go
	}
	return nil
}

type deleteEntry struct {
	ID            string `json:"Id"`
	ReceiptHandle string
}

type deleteMessageBatchInput struct {
	QueueURL string        `json:"QueueUrl"`
	Entries  []deleteEntry `query:"DeleteMessageBatchRequestEntry,flat"`
}

type idEntry struct {
	ID string `json:"Id"`
}

type deleteMessageBatchOutput struct {
	Successful []idEntry     `query:"DeleteMessageBatchResultEntry,flat"`
	Failed     []failedEntry `query:"BatchResultErrorEntry,flat"`
}

func (s *Service) deleteMessageBatch(_ context.Context, c *wire.Call, in *deleteMessageBatchInput) (*deleteMessageBatchOutput, error) {
	q, err := s.open(c, in.QueueURL, "DeleteMessage")
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range in.Entries {
		ids = append(ids, e.ID)
	}
	if err := checkBatch("DeleteMessageBatchRequestEntry", ids); err != nil {
		return nil, err
	}
	out := &deleteMessageBatchOutput{}
	for _, e := range in.Entries {
		if bad := s.delete(q, e.ReceiptHandle); bad != nil {
			out.Failed = append(out.Failed, failed(e.ID, bad))
		} else {
			out.Successful = append(out.Successful, idEntry{e.ID})
		}
	}
	return out, nil
}

type changeVisibilityInput struct {
	QueueURL string `json:"QueueUrl"`
	visibilityChange
}

type visibilityChange struct {
	ReceiptHandle     string
	VisibilityTimeout *int
}

func (s *Service) changeMessageVisibility(_ context.Context, c *wire.Call, in *changeVisibilityInput) (*nothing, error) {
	q, err := s.open(c, in.QueueURL, "ChangeMessageVisibility")
	if err != nil {
		return nil, err
	}
	if bad := s.changeVisibility(q, in.visibilityChange); bad != nil {
		return nil, bad
	}
	return nil, nil
}

func (s *Service) changeVisibility(q *queue, in visibilityChange) *wire.Error {
	if in.VisibilityTimeout == nil {
		return missing("VisibilityTimeout")
	}
	if *in.VisibilityTimeout < 0 || *in.VisibilityTimeout > maxVisibility {
		return badValue(*in.VisibilityTimeout, "VisibilityTimeout", "VisibilityTimeout must be an integer between 0 and 43200.")
	}
	h, bad := s.openHandle(q, in.ReceiptHandle)
	if bad != nil {
		return bad
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.gone {
		return noQueue()
	}
	q.settle(now)
	m := q.messages[h.message]
	visible := now.Add(time.Duration(*in.VisibilityTimeout) * time.Second)
	switch {
	case m == nil:
		return badValue(in.ReceiptHandle, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
	case m.state != stateInFlight || m.receives != h.receive:
		return failure(messageNotInflight, "The message referred to isn't in flight.")
	case visible.Sub(m.taken) > maxVisibility*time.Second:
		return badValue(*in.VisibilityTimeout, "VisibilityTimeout", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
	}
	q.change(m, visible)
	return nil
}

type changeEntry struct {
	ID string `json:"Id"`
	visibilityChange
}

type changeVisibilityBatchInput struct {
	QueueURL string        `json:"QueueUrl"`
	Entries  []changeEntry `query:"ChangeMessageVisibilityBatchRequestEntry,flat"`
}

type changeVisibilityBatchOutput struct {
	Successful []idEntry     `query:"ChangeMessageVisibilityBatchResultEntry,flat"`
	Failed     []failedEntry `query:"BatchResultErrorEntry,flat"`
}

func (s *Service) changeMessageVisibilityBatch(_ context.Context, c *wire.Call, in *changeVisibilityBatchInput) (*changeVisibilityBatchOutput, error) {
	q, err := s.open(c, in.QueueURL, "ChangeMessageVisibility")
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range in.Entries {
		ids = append(ids, e.ID)
	}
	if err := checkBatch("ChangeMessageVisibilityBatchRequestEntry", ids); err != nil {
		return nil, err
	}
	out := &changeVisibilityBatchOutput{}
	for _, e := range in.Entries {
		if bad := s.changeVisibility(q, e.visibilityChange); bad != nil {
			out.Failed = append(out.Failed, failed(e.ID, bad))
		} else {
			out.Successful = append(out.Successful, idEntry{e.ID})
		}
	}
	return out, nil
}
