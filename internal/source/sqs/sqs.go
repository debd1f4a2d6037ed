// Package sqs takes events from a queue of SQS.
//
// Any number of workers may share a queue: SQS gives a message to one of them, and to another when the first has not
// deleted it in time. A message is deleted when its documents are durable, which is one of two things:
//
//	journal   they are in this worker's journal. Killing a worker loses nothing as long as its disk is there when it
//	          starts again. A message that it had journaled and not yet deleted comes to another worker as well: what one
//	          worker has is recognised as duplicate by that worker only.
//	stored    they are in the bucket. Killing a worker loses nothing even if its disk is lost with it. What it had stored,
//	          or has in a journal that is kept, and had not yet deleted comes to another worker, and is stored twice.
//
// While documents wait, the message is kept invisible to others, for longer each time, and up to the 12 hours that SQS
// allows; then it comes again, here or elsewhere. What SQS refuses for one message of a batch is no matter of the others.
//
// A message holds an event as EventBridge sends it, one inside SNS's envelope, or any run of documents that package
// document reads; one that holds none is delivered as broken, and deleted like all others.
//
// Bounds: Options.Bytes of messages that are not on disk yet, Options.InFlight batches that are not deleted yet, of which
// only the receipts are held once they are on disk. Nothing is received that there is no room for.
//
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
package sqs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

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
	// Check tells, without taking anything, whether messages may be deleted and held. An error that is ErrNoQueue will not
	// get better by itself.
	Check(ctx context.Context) error
	// Receive waits for messages, up to about 20 s, and gives at most 10; none is no error. They are invisible to others
	// for visible time. An error that is ErrNoQueue will not get better by itself.
	Receive(ctx context.Context, visibility time.Duration) ([]Message, error)
	// Delete takes at most 10 messages off the queue. It gives what became of each: nil, also where it was deleted before;
	// an error that is ErrGone; or one of a fault that may pass.
	Delete(ctx context.Context, messages []Message) []error
	// Extend keeps at most 10 messages invisible for so long from now on; zero makes them visible. It gives what became of
	// each, as Delete does.
	Extend(ctx context.Context, messages []Message, visibility time.Duration) []error
}

// ErrNoQueue says that a queue cannot be worked with, and that this will not get better by itself.
var ErrNoQueue = errors.New("the queue is not there, or not for us")

// ErrGone says that a receipt does not count any more: the message is another worker's, or comes again.
var ErrGone = errors.New("the message is no longer held")

// Options of a Source. Zero fields mean what their comments say.
type Options struct {
	Queue      Queue
	Stored     bool          // acknowledge when the documents are in the bucket; else when they are in the journal
	Receivers  int           // that wait for messages; 0: 4
	InFlight   int           // batches of up to 10 messages that are not deleted yet; 0: 32, or 2,000 with Stored
	Bytes      int64         // of messages that are not on disk yet; 0: 64 MiB
	Visibility time.Duration // of messages that have just come; at least a second; 0: a minute
	Grace      time.Duration // how long what has begun may go on when the source is to stop; 0: 10 s. An eighth comes on top
	MaxBackoff time.Duration // between attempts while the queue does not answer; 0: 30 s
	Document   document.Options
	Events     Events
}

// Events are called, where not nil, as the source works. They must not block.
type Events struct {
	Delayed   func(doing string, err error)           // a fault of the queue begins; what was to be done is tried again
	Recovered func(doing string, after time.Duration) // it is over
	Returned  func(messages int, err error)           // messages were not deleted: they come again, here or elsewhere
}

// Stats are an account of one moment: Received = Deleted + Returned + Held.
type Stats struct {
	Received int64 // messages
	Deleted  int64
	Returned int64 // left to come again
	Held     int64 // invisible to others until they are deleted or returned

	Outage time.Time // since when the queue does not do what it is asked; zero: it does
	Err    error     // why
}

// Bounds of SQS, and how they are kept.
const (
	maxBatch   = 10      // messages in one call
	maxMessage = 1 << 20 // bytes
	longest    = 15 * time.Minute
	// A message can be held for 12 hours from its reception on; the clocks may differ.
	total = 12*time.Hour - time.Minute

	attempts = 3 // of a Deliver that fails for another reason than back-pressure
)

// A Source takes events from a queue.
type Source struct {
	o       Options
	reserve int64 // bytes that a batch may turn out to have
	batches *semaphore.Weighted
	bytes   *semaphore.Weighted

	mu       sync.Mutex
	stats    Stats // guarded by mu, like all below
	outages  map[string]outage
	answered bool                    // the queue has been received from
	waiting  int                     // receivers for which there is no room
	stays    map[*flight]source.Stay // what waits to be in the bucket
}

type outage struct {
	since time.Time
	err   error
}

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
		or(&o.InFlight, 2000)
	}
	or(&o.InFlight, 32)
	if o.Bytes <= 0 {
		o.Bytes = 64 << 20
	}
	wait(&o.Visibility, time.Minute)
	wait(&o.Grace, 10*time.Second)
	wait(&o.MaxBackoff, 30*time.Second)
	return &Source{
		o: o, reserve: min(maxBatch*maxMessage, o.Bytes),
		batches: semaphore.NewWeighted(int64(o.InFlight)), bytes: semaphore.NewWeighted(o.Bytes),
		outages: make(map[string]outage), stays: make(map[*flight]source.Stay),
	}
}

// AfterStored is source.Patient.
func (s *Source) AfterStored() bool { return s.o.Stored }

// Check tells whether the queue can be worked with, as far as that is known without taking anything. What it does not
// know, Run finds out: it ends with an error that is ErrNoQueue when the first messages cannot be received for good.
func (s *Source) Check(ctx context.Context) error { return s.o.Queue.Check(ctx) }

// Stats returns the account of this moment.
func (s *Source) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	for _, o := range s.outages {
		if out.Outage.IsZero() || o.since.Before(out.Outage) {
			out.Outage, out.Err = o.since, o.err
		}
	}
	return out
}

// Run is source.Source. It ends with an error when the queue is not there at the start; later it waits for it.
func (s *Source) Run(ctx context.Context, deliver source.Deliver) error {
	return s.run(ctx, func(ctx context.Context, docs []document.Document) (source.Stay, error) {
		return nil, deliver(ctx, docs)
	})
}

// RunStored is source.Patient. It ends with an error when the queue is not there at the start; later it waits for it.
func (s *Source) RunStored(ctx context.Context, accept source.Accept) error {
	return s.run(ctx, accept)
}

func (s *Source) run(ctx context.Context, accept source.Accept) error {
	receivers, rctx := errgroup.WithContext(ctx)
	// What has begun goes on for a while when there is nothing more to receive.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(rctx, func() {
		s.hurry()
		t := time.AfterFunc(s.o.Grace, stop)
		context.AfterFunc(work, func() { t.Stop() })
	})()
	var flights sync.WaitGroup
	for range s.o.Receivers {
		receivers.Go(func() error {
			return s.receive(rctx, func(batch []Message, size int64) {
				f := s.begin(work, batch, size)
				flights.Go(func() { f.fly(rctx, accept) })
			})
		})
	}
	err := receivers.Wait()
	flights.Wait()
	return err
}

// receive hands over what comes until ctx is done.
func (s *Source) receive(ctx context.Context, take func(batch []Message, size int64)) error {
	const doing = "receive messages"
	backoff := time.Second
	for ctx.Err() == nil && s.room(ctx) {
		began := time.Now()
		batch, err := s.o.Queue.Receive(ctx, s.o.Visibility)
		size := int64(0)
		for _, m := range batch {
			size += int64(len(m.Body))
		}
		size = min(size, s.reserve)
		s.bytes.Release(s.reserve - size)
		if len(batch) > 0 {
			take(batch, size) // also when ctx is done: they are given back
		} else {
			s.batches.Release(1)
		}
		pause := time.Duration(0)
		switch {
		case ctx.Err() != nil: // whatever came of it
			continue
		case err == nil:
			s.works(doing, began)
			backoff = time.Second
			if len(batch) == 0 { // it did not wait, as it does when too much is held by all workers together
				pause = max(0, time.Second-time.Since(began))
			}
		case errors.Is(err, ErrNoQueue) && s.never():
			return fmt.Errorf("%s: %w", doing, err)
		default:
			s.fails(doing, err)
			pause, backoff = backoff, min(2*backoff, s.o.MaxBackoff)
		}
		if !sleep(ctx, pause) {
			return nil
		}
	}
	return nil
}

// room waits until a batch can be held. It returns false when ctx is done.
func (s *Source) room(ctx context.Context) bool {
	if s.batches.TryAcquire(1) {
		return s.roomFor(ctx)
	}
	s.mu.Lock()
	s.waiting++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.waiting--
		s.mu.Unlock()
	}()
	s.hurry()
	return s.batches.Acquire(ctx, 1) == nil && s.roomFor(ctx)
}

func (s *Source) roomFor(ctx context.Context) bool {
	if s.bytes.Acquire(ctx, s.reserve) != nil {
		s.batches.Release(1)
		return false
	}
	return true
}

// hurry has what waits to be in the bucket stored: all of it, since one of them does so for all.
func (s *Source) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stay := range s.stays {
		stay.Hurry()
		return
	}
}

// never tells whether the queue has not been received from at all.
func (s *Source) never() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.answered
}

// works and fails note whether the queue does what it is asked. What was asked before an outage began says nothing of
// its end.
func (s *Source) works(doing string, asked time.Time) {
	s.mu.Lock()
	s.answered = true
	o, was := s.outages[doing]
	if was = was && asked.After(o.since); was {
		delete(s.outages, doing)
	}
	s.mu.Unlock()
	if was && s.o.Events.Recovered != nil {
		s.o.Events.Recovered(doing, time.Since(o.since))
	}
}

func (s *Source) fails(doing string, err error) {
	s.mu.Lock()
	o, was := s.outages[doing]
	if !was {
		o.since = time.Now()
	}
	o.err = err
	s.outages[doing] = o
	s.mu.Unlock()
	if !was && s.o.Events.Delayed != nil {
		s.o.Events.Delayed(doing, err)
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
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
