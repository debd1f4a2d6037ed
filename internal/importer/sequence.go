package importer

import (
	"context"
	"errors"
	"maps"
	"time"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/duplicate"
)

// maxMisses is how many wrong guesses in a row end the guessing for an input: it has its documents over many lines.
const maxMisses = 3

// A sequence takes what was made of the chunks in their order: from here on everything follows from the order of the
// records. It is one goroutine.
type sequence struct {
	o      Options
	out    *output
	worker *worker // for what has to be routed again
	window *duplicate.Window
	counts Counts
	errs   []error

	input *open
	carry []byte             // of the input: what no document has been made of yet
	state *document.Splitter // as it stands behind carry
}

func newSequence(o Options, out *output) *sequence {
	return &sequence{
		o: o, out: out, worker: newWorker(o), counts: Counts{Rejected: make(map[string]int64)},
		window: duplicate.NewWindow(duplicate.Options{Count: o.Window}),
	}
}

func (s *sequence) run(ctx context.Context, ordered <-chan *chunk) error {
	for c := range ordered {
		select {
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.take(c); err != nil {
			return err
		}
		if c.buffer != nil {
			chunkBuffers.Put(c.buffer)
		}
		s.counts.InputBytes += c.read - s.countedOf(c)
		s.o.Progress(s.total())
	}
	if err := ctx.Err(); err != nil {
		return err // the chunks ended early
	}
	return s.out.closeAll()
}

// countedOf keeps what has been counted of a chunk's input.
func (s *sequence) countedOf(c *chunk) int64 {
	before := c.input.reported
	c.input.reported = c.read
	return before
}

// take records what a chunk came to: what its worker made of it, if the guess that it starts with a document was
// right, else what is made of it now.
func (s *sequence) take(c *chunk) error {
	if c.input != s.input {
		s.input, s.carry, s.state = c.input, s.carry[:0], nil
	}
	clean := len(s.carry) == 0 && (s.state == nil || s.state.AtTop())
	routed := c.routed
	switch {
	case clean && routed != nil:
		c.input.misses = 0
	default:
		if c.input.misses++; c.input.misses > maxMisses {
			c.input.guess.Store(false)
		}
		if routed != nil {
			routedPool.Put(routed)
		}
		routed = s.again(c)
	}
	if err := s.add(routed); err != nil {
		return err
	}
	for routed.full {
		before := routed
		routed = s.behind(before.splitter, before.rest, before.offset, c)
		routedPool.Put(before)
		if err := s.add(routed); err != nil {
			return err
		}
	}
	s.carry = append(s.carry[:0], routed.rest...)
	s.state = routed.splitter
	if c.last && c.err != nil {
		if err := s.unfinished(c); err != nil {
			return err
		}
	}
	routedPool.Put(routed)
	return nil
}

// again routes a chunk behind what was left of the one before.
func (s *sequence) again(c *chunk) *routed {
	b, offset := c.bytes, c.offset
	if len(s.carry) > 0 {
		offset -= int64(len(s.carry))
		b = append(append(make([]byte, 0, len(s.carry)+len(b)), s.carry...), b...)
	}
	return s.behind(s.state, b, offset, c)
}

// behind routes b, which starts at offset of the chunk's input, from where a splitter stands; nil: at the start.
func (s *sequence) behind(state *document.Splitter, b []byte, offset int64, c *chunk) *routed {
	s.worker.out = routedPool.Get().(*routed) //nolint:forcetypeassert // only this type is put there
	s.worker.out.reset()
	s.worker.out.splitter = document.NewSplitter(s.worker.options)
	if state != nil {
		s.worker.out.splitter.Continue(state)
	}
	s.worker.route(b, offset, c.last, c.input.name)
	return s.worker.out
}

// unfinished notes an input that ended before its end, as a rejected document without bytes.
func (s *sequence) unfinished(c *chunk) error {
	s.errs = append(s.errs, &UnreadableError{Input: c.input.name, Err: c.err})
	s.worker.out = routedPool.Get().(*routed) //nolint:forcetypeassert // only this type is put there
	s.worker.out.reset()
	s.worker.rejectInput(c)
	err := s.add(s.worker.out)
	routedPool.Put(s.worker.out)
	return err
}

// add counts records, drops duplicates, and hands the others to their partitions.
func (s *sequence) add(r *routed) error {
	s.counts.Received += int64(len(r.records)) + r.filtered
	s.counts.Filtered += r.filtered
	for i := range r.records {
		rec := &r.records[i]
		digest := duplicate.Digest(rec.seen.Bytes())
		if s.window.Seen(digest, time.Time{}) {
			s.counts.Duplicate++
			continue
		}
		s.window.Add(digest, time.Time{})
		if rec.code != "" {
			s.counts.Rejected[rec.code]++
		} else {
			s.counts.Accepted++
		}
		if err := s.out.add(rec); err != nil {
			return err
		}
	}
	return nil
}

// total are the counts so far.
func (s *sequence) total() Counts {
	c := s.counts
	c.Rejected = maps.Clone(c.Rejected)
	s.out.count(&c)
	return c
}

func (s *sequence) unreadable() error { return errors.Join(s.errs...) }
