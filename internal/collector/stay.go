package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/document"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/source"
)

// A visit is a pending record with those who wait for its end.
type visit struct {
	digest  duplicate.Digest
	waiting []*stay
}

// A stay is that of the documents of one Accept.
type stay struct {
	c       *Collector
	pending int           // records; guarded by c.mu
	lost    int           // of them; guarded by c.mu
	done    chan struct{} // closed when none is pending
	over    <-chan struct{}
}

// ErrLost says that records were damaged in the journal before they were stored: they are to be sent again. They are
// taken then, as if they had not been here.
var ErrLost = errors.New("damaged in the journal before it was stored")

var (
	errNoStays = errors.New("collector: Options.Stays is not set")
	errOver    = errors.New("the collector has ended")
)

// Accept is a source.Accept. It needs Options.Stays, and nothing is stored before Run.
func (c *Collector) Accept(ctx context.Context, docs []document.Document) (source.Stay, error) {
	return c.accept(ctx, docs, nil)
}

// acceptUntil is Accept whose stays end, with an error, when ctx is done.
func (c *Collector) acceptUntil(ctx context.Context) source.Accept {
	return func(own context.Context, docs []document.Document) (source.Stay, error) {
		return c.accept(own, docs, ctx.Done())
	}
}

func (c *Collector) accept(ctx context.Context, docs []document.Document, over <-chan struct{}) (source.Stay, error) {
	if c.staying == nil {
		return nil, errNoStays
	}
	s := &stay{c: c, pending: 1, done: make(chan struct{}), over: over} // one for this call: others may end while it goes on
	err := c.deliver(ctx, docs, s)
	c.mu.Lock()
	defer c.mu.Unlock()
	s.leave(false)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Wait is source.Stay.
func (s *stay) Wait(ctx context.Context) error {
	select {
	case <-s.done:
	default:
		select {
		case <-s.done:
		case <-s.over:
			return errOver
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.lost > 0 {
		return fmt.Errorf("%d records: %w", s.lost, ErrLost)
	}
	return nil
}

// Hurry is source.Stay.
func (s *stay) Hurry() {
	s.c.mu.Lock()
	s.c.hurried = s.c.o.Now()
	s.c.mu.Unlock()
	s.c.nudge()
}

// leave notes that one of its records is not pending any more. It requires c.mu.
func (s *stay) leave(lost bool) {
	if lost {
		s.lost++
	}
	if s.pending--; s.pending == 0 {
		close(s.done)
	}
}

// track notes that a record has come to the journal; s waits for it, where not nil. It requires c.mu.
func (c *Collector) track(s *stay, digest duplicate.Digest, at batch.Position) {
	if c.staying == nil {
		return
	}
	v := visit{digest: digest}
	if s != nil {
		s.pending++
		v.waiting = []*stay{s}
	}
	c.staying[at], c.found[digest] = v, at
}

// join makes s wait for a record that came before, where that is still pending. It requires c.mu.
func (c *Collector) join(s *stay, digest duplicate.Digest) {
	at, pending := c.found[digest]
	if s == nil || !pending {
		return
	}
	s.pending++
	v := c.staying[at]
	v.waiting = append(v.waiting, s)
	c.staying[at] = v
}

// moved notes that a record lies elsewhere in the journal. It requires c.mu.
func (c *Collector) moved(from, to batch.Position) {
	v, pending := c.staying[from]
	if !pending {
		return
	}
	delete(c.staying, from)
	c.staying[to] = v
	if c.found[v.digest] == from {
		c.found[v.digest] = to
	}
}

// left ends the stay of a record: it is in the bucket, or lost. Of one that is lost nothing is remembered, so that it is
// taken when it is sent again. It requires c.mu.
func (c *Collector) left(at batch.Position, lost bool) {
	v, pending := c.staying[at]
	if !pending {
		return
	}
	delete(c.staying, at)
	if c.found[v.digest] == at {
		delete(c.found, v.digest)
		if lost {
			c.window.Forget(v.digest)
		}
	}
	for _, s := range v.waiting {
		s.leave(lost)
	}
}

// hurriedBatch takes a batch with records of before Hurry; without one, nothing is hurried any more. It requires c.mu.
func (c *Collector) hurriedBatch() (batch.Batch, bool) {
	if c.hurried.IsZero() {
		return batch.Batch{}, false
	}
	if oldest, some := c.batcher.Oldest(); some && !oldest.After(c.hurried) {
		return c.batcher.Any()
	}
	c.hurried = time.Time{}
	return batch.Batch{}, false
}
