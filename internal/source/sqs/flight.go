package sqs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.org/catchment/internal/source"
)

// A flight is a batch between its reception and its deletion. Its messages are kept invisible to others by a timer.
type flight struct {
	s     *Source
	since time.Time
	work  context.Context //nolint:containedctx // what a batch does once the source is to stop, no caller is there for
	ctx   context.Context //nolint:containedctx // likewise; done when no message is ours any more, or work is
	drop  context.CancelCauseFunc
	timer *time.Timer

	mu       sync.Mutex // held while the queue is asked about the messages too: one question at a time
	messages []Message  // guarded by mu: those that are ours and not deleted
	size     int64      // guarded by mu: bytes of the bodies; 0: they were let go
	over     bool       // guarded by mu
}

var (
	errTooLong  = errors.New("held for 12 hours, the most that SQS allows")
	errStopping = errors.New("the source is to stop")
)

const (
	doingDelete = "delete messages"
	doingHold   = "hold messages"
)

// begin takes over a batch for which there is room.
func (s *Source) begin(work context.Context, batch []Message, size int64) *flight {
	f := &flight{s: s, since: time.Now(), work: work, messages: batch, size: size}
	f.ctx, f.drop = context.WithCancelCause(work)
	s.mu.Lock()
	s.stats.Received += int64(len(batch))
	s.stats.Held += int64(len(batch))
	s.mu.Unlock()
	f.mu.Lock() // the timer may fire at once
	defer f.mu.Unlock()
	f.timer = time.AfterFunc(s.o.Visibility/2, f.hold)
	return f
}

// fly makes the batch durable and deletes it.
func (f *flight) fly(stop context.Context, accept source.Accept) {
	err := f.take(stop, accept)
	if err == nil {
		err = f.delete()
	}
	f.land(err)
}

// take makes the batch durable. It tries again under back-pressure until the source is to stop: the messages would only
// come again, and count as received once more for the queue's redrive policy.
func (f *flight) take(stop context.Context, accept source.Accept) error {
	if stop.Err() != nil {
		return errStopping
	}
	var stay source.Stay
	for attempt := 1; ; attempt++ {
		var err error
		if stay, err = accept(f.ctx, f.s.split(f.current())); err == nil {
			break
		}
		busy := errors.Is(err, source.ErrBusy)
		switch {
		case f.ctx.Err() != nil:
			return context.Cause(f.ctx)
		case stop.Err() != nil, !busy && attempt == attempts:
			return err
		}
		wait := min(time.Second<<min(attempt-1, 10), f.s.o.MaxBackoff)
		if b, ok := errors.AsType[*source.Busy](err); ok && b.RetryAfter > 0 {
			wait = b.RetryAfter
		}
		if !f.sleep(stop, wait) {
			return err
		}
	}
	f.unload()
	if stay == nil {
		return nil
	}
	s := f.s
	s.mu.Lock()
	s.stays[f] = stay
	full := s.waiting > 0
	s.mu.Unlock()
	if full || stop.Err() != nil {
		stay.Hurry()
	}
	err := stay.Wait(f.ctx)
	s.mu.Lock()
	delete(s.stays, f)
	s.mu.Unlock()
	if err != nil && f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	return err
}

// sleep waits, or returns false when the source is to stop, or when no message is ours any more.
func (f *flight) sleep(stop context.Context, d time.Duration) bool {
	either, cancel := context.WithCancel(stop)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	return sleep(either, d)
}

// current are the messages that are ours.
func (f *flight) current() []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Message(nil), f.messages...)
}

// unload lets go of the bodies: the receipts are what is needed from here on.
func (f *flight) unload() {
	f.mu.Lock()
	size := f.size
	f.size = 0
	for i := range f.messages {
		f.messages[i].Body = nil
	}
	f.mu.Unlock()
	f.s.bytes.Release(size)
}

// hold is called by the timer: it keeps the messages invisible, the longer the longer they have been here.
func (f *flight) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || len(f.messages) == 0 {
		return
	}
	age := time.Since(f.since)
	hold := min(max(age, f.s.o.Visibility), longest, total-age)
	if hold < time.Second {
		f.drop(errTooLong)
		return
	}
	asked := time.Now()
	failed := f.sort(f.s.o.Queue.Extend(f.ctx, f.messages, hold), false)
	switch {
	case len(f.messages) == 0:
		f.drop(ErrGone)
	case f.ctx.Err() != nil:
	case failed != nil:
		f.s.fails(doingHold, failed)
		f.timer.Reset(hold / 8)
	default:
		f.s.works(doingHold, asked)
		f.timer.Reset(hold / 2)
	}
}

// delete takes the messages off the queue, again and again: their documents are durable.
func (f *flight) delete() error {
	for wait := time.Second; ; wait = min(2*wait, f.s.o.MaxBackoff) {
		f.mu.Lock()
		if len(f.messages) == 0 {
			f.mu.Unlock()
			return nil
		}
		asked := time.Now()
		failed := f.sort(f.s.o.Queue.Delete(f.ctx, f.messages), true)
		left := len(f.messages)
		f.mu.Unlock()
		switch {
		case failed == nil:
			f.s.works(doingDelete, asked)
		case f.ctx.Err() == nil:
			f.s.fails(doingDelete, failed)
		}
		if left > 0 && !sleep(f.ctx, wait) {
			return failed
		}
	}
}

// sort takes the messages that the queue has answered for off the batch: those that are gone, and those that were
// deleted where that was asked for. It returns one of the other errors. It requires mu.
func (f *flight) sort(answers []error, deletes bool) error {
	var failed, gone error
	kept := make([]Message, 0, len(f.messages))
	deleted, lost := 0, 0
	for i, m := range f.messages {
		switch err := answers[i]; {
		case errors.Is(err, ErrGone):
			lost, gone = lost+1, err
		case err == nil && deletes:
			deleted++
		default:
			kept = append(kept, m)
			if err != nil {
				failed = err
			}
		}
	}
	f.messages = kept
	f.account(deleted, lost, gone)
	return failed
}

func (f *flight) account(deleted, returned int, why error) {
	s := f.s
	s.mu.Lock()
	s.stats.Deleted += int64(deleted)
	s.stats.Returned += int64(returned)
	s.stats.Held -= int64(deleted + returned)
	s.mu.Unlock()
	if returned > 0 && s.o.Events.Returned != nil {
		s.o.Events.Returned(returned, why)
	}
}

// land ends the batch. What is left of it others need not wait for.
func (f *flight) land(err error) {
	f.drop(err) // ends a question to the queue that is under way
	f.mu.Lock()
	f.over = true
	f.timer.Stop()
	left := f.messages
	f.messages = nil
	f.mu.Unlock()
	f.unload()
	if len(left) > 0 {
		if !errors.Is(err, errTooLong) {
			last, cancel := context.WithTimeout(context.WithoutCancel(f.work), max(f.s.o.Grace/8, time.Millisecond))
			f.s.o.Queue.Extend(last, left, 0) // and if not, they become visible by themselves
			cancel()
		}
		if errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%w: %w", errStopping, err)
		}
		f.account(0, len(left), err)
	}
	f.s.batches.Release(1)
}
