// Package sqs takes events from a queue of SQS.
//
// Any number of workers may share a queue: SQS gives a message to one of them, and to another when the first has not
// deleted it in time. A message is deleted when its documents are durable, which is one of two things:
//
//	ack: journal   they are in this worker's journal. Killing a worker loses nothing as long as its disk is there when it
//	               starts again. A message that it had journaled and not yet deleted comes to another worker as well:
//	               what one worker has is recognised as duplicate by that worker only.
//	ack: stored    they are in the bucket. Killing a worker loses nothing even if its disk is lost with it. What it had
//	               stored and not yet deleted comes to another worker, and is stored twice.
//
// While documents wait, the message is kept invisible to others. A message holds an event as EventBridge sends it, one
// inside SNS's envelope, or any run of documents that package document reads; one that holds none is delivered as broken.
//
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
package sqs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
)

// A Message is one message of a queue. Receipt stands for this reception of it.
type Message struct {
	ID      string
	Receipt string
	Body    []byte
}

// A Queue is what is needed of SQS. It is safe for concurrent use.
type Queue interface {
	// Receive waits for messages, up to about 20 s, and gives at most 10; none is no error. They are invisible to others
	// for visible time. An error that is ErrNoQueue will not get better by itself.
	Receive(ctx context.Context, visibility time.Duration) ([]Message, error)
	// Delete takes messages off the queue. Doing it again, or for one that has come to another worker since, is no error.
	Delete(ctx context.Context, messages []Message) error
	// Extend keeps messages invisible for so long from now on; zero makes them visible.
	Extend(ctx context.Context, messages []Message, visibility time.Duration) error
}

// ErrNoQueue says that a queue is not there, or not for us.
var ErrNoQueue = errors.New("the queue cannot be read")

// Options of a Source. Zero fields mean what their comments say.
type Options struct {
	Queue      Queue
	Stored     bool          // acknowledge when the documents are in the bucket; else when they are in the journal
	Receivers  int           // that wait for messages; 0: 4
	InFlight   int           // batches of up to 10 messages that wait to become durable; 0: 16, or 1,000 with Stored
	Visibility time.Duration // 0: a minute
	Grace      time.Duration // how long what has begun may go on when the source is to stop; 0: 10 s
	MaxBackoff time.Duration // between attempts while the queue does not answer; 0: 30 s
	Document   document.Options
	Events     Events
}

// Events are called, where not nil, as the source works. They must not block.
type Events struct {
	Delayed   func(err error, retryIn time.Duration) // the queue does not answer
	Recovered func(after time.Duration)              // it does again
	Returned  func(messages int, err error)          // messages were left to come again
}

// A Source takes events from a queue.
type Source struct{ o Options }

var _ source.Patient = (*Source)(nil)

// New makes a source.
func New(o Options) *Source {
	or := func(n *int, otherwise int) {
		if *n <= 0 {
			*n = otherwise
		}
	}
	wait := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	or(&o.Receivers, 4)
	if o.Stored {
		or(&o.InFlight, 1000)
	}
	or(&o.InFlight, 16)
	wait(&o.Visibility, time.Minute)
	wait(&o.Grace, 10*time.Second)
	wait(&o.MaxBackoff, 30*time.Second)
	return &Source{o}
}

// AfterStored is source.Patient.
func (s *Source) AfterStored() bool { return s.o.Stored }

// Run is source.Source. It ends with an error when the queue is not there.
func (s *Source) Run(ctx context.Context, deliver source.Deliver) error {
	// What has begun goes on for a while when ctx is done.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() {
		t := time.AfterFunc(s.o.Grace, stop)
		context.AfterFunc(work, func() { t.Stop() })
	})()
	batches := make(chan []Message)
	receivers, rctx := errgroup.WithContext(ctx)
	for range s.o.Receivers {
		receivers.Go(func() error { return s.receive(rctx, batches) })
	}
	var end error
	go func() {
		end = receivers.Wait()
		close(batches)
	}()
	var handlers errgroup.Group
	handlers.SetLimit(s.o.InFlight)
	for batch := range batches {
		handlers.Go(func() error {
			s.handle(ctx, work, batch, deliver)
			return nil
		})
	}
	_ = handlers.Wait() // they have no errors: what is wrong with a message makes it come again
	return end
}

// receive takes messages until ctx is done.
func (s *Source) receive(ctx context.Context, to chan<- []Message) error {
	var since time.Time
	backoff := time.Second
	for ctx.Err() == nil {
		batch, err := s.o.Queue.Receive(ctx, s.o.Visibility)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrNoQueue):
			return fmt.Errorf("take messages: %w", err)
		case err != nil:
			if since.IsZero() {
				since = time.Now()
			}
			if s.o.Events.Delayed != nil {
				s.o.Events.Delayed(err, backoff)
			}
			if !sleep(ctx, backoff) {
				return nil
			}
			backoff = min(2*backoff, s.o.MaxBackoff)
			continue
		case !since.IsZero():
			if s.o.Events.Recovered != nil {
				s.o.Events.Recovered(time.Since(since))
			}
			since, backoff = time.Time{}, time.Second
		}
		if len(batch) == 0 {
			continue
		}
		select {
		case to <- batch:
		case <-ctx.Done(): // they come again
			return nil
		}
	}
	return nil
}

// handle makes a batch durable and deletes it. It tries again under back-pressure, until the source is to stop.
func (s *Source) handle(ctx, work context.Context, batch []Message, deliver source.Deliver) {
	docs := s.split(batch)
	held, let := context.WithCancel(work)
	var holding errgroup.Group
	holding.Go(func() error { s.hold(held, batch); return nil })
	err := deliver(work, docs)
	for err != nil && errors.Is(err, source.ErrBusy) && ctx.Err() == nil {
		wait := 5 * time.Second
		if busy, ok := errors.AsType[*source.Busy](err); ok && busy.RetryAfter > 0 {
			wait = busy.RetryAfter
		}
		if !sleep(ctx, wait) {
			break
		}
		err = deliver(work, docs)
	}
	let()
	_ = holding.Wait() // nothing extends a message after it was deleted
	if err == nil {
		err = s.o.Queue.Delete(work, batch)
	} else {
		// Others need not wait until the messages become visible by themselves.
		_ = s.o.Queue.Extend(work, batch, 0) // they do so anyway
	}
	if err != nil && s.o.Events.Returned != nil {
		s.o.Events.Returned(len(batch), err)
	}
}

// hold keeps messages invisible until ctx is done.
func (s *Source) hold(ctx context.Context, batch []Message) {
	for sleep(ctx, s.o.Visibility/2) {
		_ = s.o.Queue.Extend(ctx, batch, s.o.Visibility) // the next time; and if never, another worker has them too
	}
}

// split takes the documents out of messages.
func (s *Source) split(batch []Message) []document.Document {
	var docs []document.Document
	for _, m := range batch {
		before := len(docs)
		document.Split(document.Notification(m.Body), s.o.Document, func(doc document.Document) bool {
			docs = append(docs, doc)
			return true
		})
		if len(docs) == before {
			docs = append(docs, document.Document{Bytes: m.Body, Err: document.ErrNotJSON})
		}
	}
	return docs
}

// sleep waits, or returns false when ctx is done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
