package collector

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/document"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/journal"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/source"
)

// A claim is the records that one Deliver is writing: others that bring the same ones wait for it.
type claim struct {
	done   chan struct{}
	failed bool // they did not get to disk; read after done is closed
}

// An item is one record of a Deliver.
type item struct {
	start, end int // of its payload in intake.buf
	size       int // of its line, newline included
	stream     int
	rejection  bool
	prefix     string
	code       string
	instant    time.Time
	digest     duplicate.Digest
	fate       fate
}

type fate uint8

const (
	open       fate = iota
	claimed         // is being written by this Deliver
	waits           // is being written by another
	duplicated      // was taken before
	counted
)

// An intake is the memory of one Deliver.
type intake struct {
	router    Router
	buf       []byte
	items     []item
	filtered  int64
	arrival   time.Time
	payloads  [][]byte
	claimed   []int // items
	waits     []*claim
	document  []byte
	rejection uint64 // of the document, so far
	emit      func(*pipeline.Outcome)
	stay      *stay // of its records, where someone waits for them
}

const keepIntake = 4 << 20 // bytes: a larger buffer is not kept for the next Deliver

// Deliver is a source.Deliver.
func (c *Collector) Deliver(ctx context.Context, docs []document.Document) error {
	return c.deliver(ctx, docs, nil)
}

// deliver gets docs into the journal. Where to is not nil it notes there which records are pending then.
func (c *Collector) deliver(ctx context.Context, docs []document.Document, to *stay) error {
	in, _ := c.intakes.Get().(*intake)
	defer func() {
		in.stay = nil
		if cap(in.buf) <= keepIntake {
			c.intakes.Put(in)
		}
	}()
	in.stay = to
	in.route(c, docs)
	for {
		own := c.admit(in)
		if own == nil {
			c.settle(in, nil, nil)
		} else if err := c.write(ctx, in, own); err != nil {
			return err
		}
		if len(in.waits) == 0 {
			return nil
		}
		for _, other := range in.waits {
			select {
			case <-other.done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// route makes items and payloads of docs. It takes no lock: this is where the time goes.
func (in *intake) route(c *Collector, docs []document.Document) {
	in.buf, in.items, in.filtered, in.arrival = in.buf[:0], in.items[:0], 0, c.o.Now()
	if in.emit == nil {
		in.emit = func(o *pipeline.Outcome) { in.take(c, o) }
	}
	arrival := pipeline.Arrival{Time: in.arrival, Origin: c.o.Origin}
	for _, doc := range docs {
		in.document, in.rejection = doc.Bytes, 0
		in.router.Route(doc, arrival, in.emit)
	}
	in.document = nil
}

func (in *intake) take(c *Collector, o *pipeline.Outcome) {
	if o.Kind == pipeline.Filtered {
		in.filtered++
		return
	}
	s := c.stream(o.Stream)
	i := item{
		start: len(in.buf), size: len(o.Line) + 1, stream: o.Stream, rejection: o.Kind == pipeline.Rejected,
		prefix: o.Prefix, code: o.Code, instant: o.Time,
	}
	if i.rejection {
		// An error record holds the time of arrival: the document itself, and which of its rejections it is, is what
		// comes again when it is delivered again.
		i.digest = c.hasher.Digest(s.Name+"\x00"+o.Code, binary.LittleEndian.AppendUint64(nil, in.rejection), in.document)
		in.rejection++
	} else {
		i.digest = c.hasher.Digest(s.Name, o.EventID, o.Line)
	}
	r := record{
		rejection: i.rejection, arrival: in.arrival.UnixMilli(), instant: o.Time.UnixMilli(), digest: i.digest,
		stream: s.Name, version: s.Version, prefix: o.Prefix,
	}
	in.buf = append(r.appendHead(in.buf), o.Line...)
	i.end = len(in.buf)
	in.items = append(in.items, i)
}

// admit decides what becomes of the items that are open. It returns the claim on those that are to be written, nil if
// there are none.
func (c *Collector) admit(in *intake) *claim {
	in.claimed, in.waits = in.claimed[:0], in.waits[:0]
	own := &claim{done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range in.items {
		i := &in.items[n]
		if i.fate != open && i.fate != waits {
			continue
		}
		if c.o.Duplicates.Count > 0 {
			if _, pending := c.found[i.digest]; pending || c.window.Seen(i.digest, in.arrival) {
				i.fate = duplicated
				continue
			}
			switch other := c.claims[i.digest]; other {
			case nil:
				c.claims[i.digest] = own
			case own:
				i.fate = duplicated
				continue
			default:
				i.fate = waits
				in.waits = append(in.waits, other)
				continue
			}
		}
		i.fate = claimed
		in.claimed = append(in.claimed, n)
	}
	if len(in.claimed) == 0 {
		return nil
	}
	_, active := c.journal.Segments()
	c.appends[own] = active // nothing from here on is trimmed until it is accounted for
	return own
}

// write appends the claimed items and settles them.
func (c *Collector) write(ctx context.Context, in *intake, own *claim) error {
	in.payloads = in.payloads[:0]
	for _, n := range in.claimed {
		in.payloads = append(in.payloads, in.buf[in.items[n].start:in.items[n].end])
	}
	positions, err := c.journal.Append(ctx, in.payloads)
	if err == nil {
		c.settle(in, own, positions)
		close(own.done)
		return nil
	}
	full := errors.Is(err, journal.ErrFull) || disk.NoSpace(err)
	c.mu.Lock()
	for _, n := range in.claimed {
		delete(c.claims, in.items[n].digest)
	}
	delete(c.appends, own)
	c.stats.Full = full
	c.mu.Unlock()
	own.failed = true
	close(own.done)
	if full {
		c.nudge()
		return &source.Busy{RetryAfter: c.o.RetryAfter, Err: err}
	}
	return fmt.Errorf("append to the journal: %w", err)
}

// settle accounts for what is decided, in one step.
func (c *Collector) settle(in *intake, own *claim, positions []journal.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Received += in.filtered
	c.stats.Filtered += in.filtered
	in.filtered = 0
	for n := range in.items {
		if i := &in.items[n]; i.fate == duplicated {
			i.fate = counted
			c.stats.Received++
			c.stats.Duplicate++
			c.join(in.stay, i.digest)
		}
	}
	if own == nil {
		return
	}
	delete(c.appends, own)
	c.stats.Full = false
	for n, at := range in.claimed {
		i := &in.items[at]
		i.fate = counted
		delete(c.claims, i.digest)
		c.window.Add(i.digest, in.arrival)
		c.stats.Received++
		if i.rejection {
			c.stats.Rejected[i.code]++
		}
		c.track(in.stay, i.digest, positionOf(positions[n]))
		c.pend(i.rejection, positions[n], batch.Record{
			Stream: i.stream, Prefix: i.prefix, Size: i.size, Arrival: in.arrival, Instant: i.instant,
			Digest: sumOf(i.digest),
		})
	}
	if next, ok := c.batcher.Next(); c.batcher.HasFull() || ok && (c.wake.IsZero() || next.Before(c.wake)) {
		c.nudge()
	}
}

// pend adds a record that is on disk to what is pending. It requires c.mu.
func (c *Collector) pend(rejection bool, at journal.Position, r batch.Record) {
	r.Position = positionOf(at)
	r.Stream *= 2
	if rejection {
		r.Stream++ // error records are batched apart, whatever their prefix
		c.stats.Rejections.Pending++
	} else {
		c.stats.Pending.Records++
	}
	c.segments[at.Segment]++
	c.batcher.Add(r)
}

func sumOf(d duplicate.Digest) batch.Sum {
	return batch.Sum{binary.LittleEndian.Uint64(d[:8]), binary.LittleEndian.Uint64(d[8:])}
}
