package sqs

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"example.org/catchment/internal/document"
	labsqs "example.org/catchment/internal/lab/sqs"

	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/source"
	"example.org/catchment/internal/source/sourcetest"
)

// A sender sends to a queue, and knows from watching both ends what became of a message: it was deleted, or the first
// attempt to deliver it has failed.
type sender struct {
	source.Source
	Queue
	put func(ctx context.Context, body string) (id string, err error)

	mu      sync.Mutex
	changed chan struct{}   // closed, and replaced, with each deletion and failure
	deleted map[string]bool // ids
	failed  map[string]int  // documents
}

func (s *sender) note(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *sender) Delete(ctx context.Context, messages []Message) []error {
	answers := s.Queue.Delete(ctx, messages)
	s.note(func() {
		for i, m := range messages {
			s.deleted[m.ID] = answers[i] == nil
		}
	})
	return answers
}

func (s *sender) watch(deliver source.Deliver) source.Deliver {
	return func(ctx context.Context, docs []document.Document) error {
		err := deliver(ctx, docs)
		if err != nil {
			s.note(func() {
				for _, d := range docs {
					s.failed[string(d.Bytes)]++
				}
			})
		}
		return err
	}
}

// Run watches what is delivered. Where the source waits for the bucket, nothing takes any time to get there.
func (s *sender) Run(ctx context.Context, deliver source.Deliver) error {
	watched := s.watch(deliver)
	p, ok := s.Source.(source.Patient)
	if !ok || !p.AfterStored() {
		return s.Source.Run(ctx, watched)
	}
	return p.RunStored(ctx, func(ctx context.Context, docs []document.Document) (source.Stay, error) {
		if err := watched(ctx, docs); err != nil {
			return nil, err
		}
		stay := newStay()
		close(stay.done)
		return stay, nil
	})
}

func (s *sender) send(ctx context.Context, docs [][]byte) (bool, error) {
	s.mu.Lock()
	failed := s.failed[string(docs[0])]
	s.mu.Unlock()
	id, err := s.put(ctx, string(bytes.Join(docs, []byte("\n"))))
	if err != nil {
		return false, err
	}
	for {
		s.mu.Lock()
		deleted, fails, changed := s.deleted[id], s.failed[string(docs[0])] > failed, s.changed
		s.mu.Unlock()
		if deleted || fails {
			return deleted, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func newHarness(q Queue, stored bool, put func(ctx context.Context, body string) (string, error)) sourcetest.Harness {
	s := &sender{Queue: q, put: put, changed: make(chan struct{}), deleted: map[string]bool{}, failed: map[string]int{}}
	s.Source = New(Options{Queue: s, Stored: stored})
	return sourcetest.Harness{Source: s, Send: s.send}
}

func TestKeepsTheContract(t *testing.T) {
	for name, stored := range map[string]bool{"acknowledged in the journal": false, "acknowledged in the bucket": true} {
		t.Run(name, func(t *testing.T) {
			sourcetest.Run(t, func(*testing.T) sourcetest.Harness {
				q := new(fakeQueue)
				return newHarness(q, stored, func(_ context.Context, body string) (string, error) { return q.send(body), nil })
			})
		})
		t.Run(name+", by HTTP", func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
				t.Helper()
				cfg, client, url := labQueue(t, nil)
				return newHarness(Open(cfg, url), stored, func(ctx context.Context, body string) (string, error) {
					out, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(url), MessageBody: aws.String(body)})
					if err != nil {
						return "", err
					}
					return *out.MessageId, nil
				})
			})
		})
	}
}

// labQueue makes a queue in a lab.
func labQueue(t *testing.T, attributes map[string]string) (aws.Config, *sqs.Client, string) {
	t.Helper()
	c := labtest.NewCloud(t)
	cfg := labtest.Serve(t, c, labsqs.New(c).Wire()).Config(labtest.Administrator, labtest.Region)
	client := sqs.NewFromConfig(cfg)
	name := "q"
	if attributes["FifoQueue"] != "" {
		name = "q.fifo"
	}
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return cfg, client, *made.QueueUrl
}
