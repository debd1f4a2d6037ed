package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"example.org/catchment/internal/disk"
)

const (
	kindRoll = 255 // a call for the next segment; never on disk

	// Overwriting costs about half of what growing the file does, because fsync then has no metadata to write. That is
	// why files of trimmed segments are used again. Where there is none, small groups gain by zeros written ahead; large
	// ones are bound by bytes, and would write twice as many.
	aheadBytes = 1 << 20
	aheadGroup = 128 << 10
	// aheadUnit tells zeros written ahead from zeros that should not be there: a file with the former is a multiple of
	// it, a file that was closed is not. Part of the format on disk.
	aheadUnit = 64 << 10

	keepBuffer = 8 << 20 // a larger buffer is not kept after its group
	maxGather  = 32      // times that who writes lets others run before
)

// A call is one call to Append, or another change of the journal that has to wait its turn.
type call struct {
	kind      uint8
	payloads  [][]byte
	positions []Position
	bytes     int64 // of its frames
	err       error
	wake      chan struct{} // holds 1: done, or made the leader

	// guarded by Journal.mu
	taken bool // is being written: too late to leave
	leads bool // was woken to write
	done  bool
}

// Append writes payloads and returns where they are once they are on the disk; calls that come at the same time share
// one write and one fsync. The payloads must not change before it returns.
//
// A call is all or nothing, also over a crash. ErrFull, ErrTooLarge and an error for which disk.NoSpace is true mean
// that nothing was written; the journal goes on working, the latter two once there is room or for smaller calls. After
// any other write error or a failed fsync it is unknown whether the call will be there at the next Open; the error is
// ErrPoisoned, and so is that of all later calls.
//
// A call whose ctx ends while it waits its turn leaves, nothing is written and the error is ctx's. A call that is being
// written already does not look at ctx any more and returns what became of it.
func (j *Journal) Append(ctx context.Context, payloads [][]byte) ([]Position, error) {
	return j.append(ctx, payloads, j.o.MaxBytes)
}

// AppendReserved is Append without the bound of Options.MaxBytes. It is for the small records with which the owner gets
// things out of the journal: were they refused, a full journal could never be emptied.
func (j *Journal) AppendReserved(ctx context.Context, payloads [][]byte) ([]Position, error) {
	return j.append(ctx, payloads, 0)
}

func (j *Journal) append(ctx context.Context, payloads [][]byte, bound int64) ([]Position, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(payloads) == 0 {
		return nil, nil
	}
	c := &call{kind: kindRecord, payloads: payloads, wake: make(chan struct{}, 1)}
	for _, p := range payloads {
		if len(p) > j.o.MaxPayload {
			return nil, fmt.Errorf("append %d bytes: %w: more than %d", len(p), ErrTooLarge, j.o.MaxPayload)
		}
		c.bytes += frameSize(len(p))
	}
	if c.bytes > maxCall || (bound > 0 && c.bytes > bound-headSize) {
		return nil, fmt.Errorf("append %d payloads, %d bytes: %w", len(payloads), c.bytes, ErrTooLarge)
	}
	c.positions = make([]Position, len(payloads))
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil, fmt.Errorf("append: %w", ErrClosed)
	}
	if bound > 0 && j.size+j.queued+c.bytes > bound {
		size := j.size
		j.mu.Unlock()
		return nil, fmt.Errorf("append %d bytes to %d of %d: %w", c.bytes, size, bound, ErrFull)
	}
	if err := j.run(ctx, c); err != nil {
		return nil, err
	}
	return c.positions, nil
}

// Roll ends the active segment and starts the next, so that it can be trimmed. Without a record in it nothing happens.
func (j *Journal) Roll() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return fmt.Errorf("roll: %w", ErrClosed)
	}
	return j.run(context.Background(), &call{kind: kindRoll, wake: make(chan struct{}, 1)})
}

// run waits until c was written, by itself or by another. It requires j.mu and gives it back.
func (j *Journal) run(ctx context.Context, c *call) error {
	j.queue = append(j.queue, c)
	j.queued += c.bytes
	if !j.leading {
		j.leading = true
		j.mu.Unlock()
		j.lead()
		return c.err
	}
	j.mu.Unlock()
	select {
	case <-c.wake:
	case <-ctx.Done():
		if j.leave(c) {
			return ctx.Err()
		}
		<-c.wake
	}
	if !c.done {
		j.lead()
	}
	return c.err
}

// leave takes c out of the queue, unless it is being written.
func (j *Journal) leave(c *call) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.taken {
		return false
	}
	i := slices.Index(j.queue, c)
	j.queue = slices.Delete(j.queue, i, i+1)
	j.queued -= c.bytes
	if c.leads {
		j.next()
	}
	return true
}

// next wakes who is to write next. It requires j.mu and that the caller leads.
func (j *Journal) next() {
	if len(j.queue) == 0 {
		j.leading = false
		return
	}
	j.queue[0].leads = true
	j.queue[0].wake <- struct{}{}
}

// lead writes one group, which starts with the caller's own call: the first in the queue always leads.
func (j *Journal) lead() {
	j.gather()
	own := j.take()
	err := j.write(j.group)
	j.mu.Lock()
	for _, c := range j.group {
		c.err = err
		c.done = true
		j.queued -= c.bytes
		if c != own {
			c.wake <- struct{}{}
		}
	}
	clear(j.group)
	j.next()
	j.mu.Unlock()
}

// gather lets callers that the last group has just woken join this one, as long as more of them come. Without it they
// miss it, wait for it, and every second group is small. A caller alone only yields once.
func (j *Journal) gather() {
	before := 1
	for range maxGather {
		runtime.Gosched()
		j.mu.Lock()
		now := len(j.queue)
		j.mu.Unlock()
		if now <= before {
			return
		}
		before = now
	}
}

// take moves a group from the queue to j.group and gives its first call.
func (j *Journal) take() *call {
	j.mu.Lock()
	defer j.mu.Unlock()
	own := j.queue[0]
	own.taken = true
	n, bytes := 1, own.bytes
	room := j.o.SegmentBytes - j.active.end.Load()
	if bytes > room {
		room = j.o.SegmentBytes - headSize // the group will start the next segment
	}
	room = min(room, int64(j.o.GroupBytes))
	for n < len(j.queue) && own.frames() && j.queue[n].frames() && bytes+j.queue[n].bytes <= room {
		bytes += j.queue[n].bytes
		j.queue[n].taken = true
		n++
	}
	j.group = append(j.group[:0], j.queue[:n]...)
	j.queue = slices.Delete(j.queue, 0, n)
	return own
}

// frames reports whether c is written as frames among those of other calls.
func (c *call) frames() bool { return c.kind == kindRecord || c.kind == kindTrim }

// write does what the group asks for. Who leads calls it.
func (j *Journal) write(group []*call) error {
	j.mu.Lock()
	err := j.poison
	j.mu.Unlock()
	if err != nil {
		return err
	}
	switch group[0].kind {
	case kindClose:
		err := j.writeClose()
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.poison == nil {
			j.poison = ErrClosed // whoever is still in the queue comes too late
		}
		return err
	case kindRoll:
		if j.active.end.Load() == headSize {
			return nil
		}
		return j.roll()
	}
	bytes := int64(0)
	for _, c := range group {
		bytes += c.bytes
	}
	if end := j.active.end.Load(); end > headSize && end+bytes > j.o.SegmentBytes {
		if err := j.roll(); err != nil {
			return err
		}
	}
	return j.flush(j.encode(group, bytes), bytes)
}

// encode puts the frames of group, bytes long, into the buffer, for the end of the active segment.
func (j *Journal) encode(group []*call, bytes int64) []byte {
	start, at := j.active.end.Load(), int64(0)
	blank := int64(0)
	if j.active.reused { // so that recovery sees the end, and not the rest of an older frame
		blank = max(0, min(blankSize, j.active.filled-start-bytes))
	}
	if int64(cap(j.buf)) < bytes+blank {
		j.buf = make([]byte, bytes+blank)
	}
	b := j.buf[:bytes+blank]
	clear(b[bytes:])
	for g, c := range group {
		for i, p := range c.payloads {
			f := frame{length: uint32(len(p)), kind: c.kind, offset: uint32(start + at), back: uint32(at)} //nolint:gosec // below maxSegment
			if i == 0 {
				f.flags |= flagFirst
			}
			if i == len(c.payloads)-1 {
				f.flags |= flagLast
				if g == len(group)-1 {
					f.flags |= flagGroupEnd
				}
			}
			if c.positions != nil {
				c.positions[i] = Position{Segment: j.active.number, Offset: f.offset}
			}
			f.put(b[at:], j.active.keys, p)
			at += f.size()
		}
	}
	if cap(j.buf) > keepBuffer {
		j.buf = nil
	}
	return b
}

// flush writes b, a group of so many bytes with or without a blank behind, at the end of the active segment and makes it
// durable.
func (j *Journal) flush(b []byte, bytes int64) error {
	s := j.active
	end := s.end.Load()
	n, err := s.file.WriteAt(b, end)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return j.undo(err)
	}
	end += bytes
	if end > s.filled {
		j.ahead(end, bytes)
	}
	return j.settle(end)
}

// finish writes b, the group of one frame that ends the active segment, and cuts the file behind it. The frame counts
// if the segment stays the active one.
func (j *Journal) finish(b []byte, counts bool) error {
	s := j.active
	end := s.end.Load()
	if _, err := s.file.WriteAt(b, end); err != nil {
		return j.undo(err)
	}
	after := end + int64(len(b))
	if err := s.file.Truncate(after); err != nil {
		return j.poisoned(err)
	}
	s.filled = after
	if counts {
		end = after
	}
	return j.settle(end)
}

// settle makes the active segment durable up to end.
func (j *Journal) settle(end int64) error {
	s := j.active
	if err := s.file.Sync(); err != nil {
		return j.poisoned(err)
	}
	j.mu.Lock()
	j.size += end - s.end.Load()
	j.mu.Unlock()
	s.end.Store(end)
	return nil
}

// ahead writes zeros behind the end, if groups are small enough to gain by it. An error does not matter: the zeros are
// neither needed nor acknowledged.
func (j *Journal) ahead(end, group int64) {
	j.active.filled = end
	to := min(end+aheadBytes, j.o.SegmentBytes) / aheadUnit * aheadUnit
	if group > aheadGroup || to <= end {
		return
	}
	if _, err := j.active.file.WriteAt(zeros[:to-end], end); err == nil {
		j.active.filled = to
	}
}

var zeros [aheadBytes]byte

// undo takes back what a write that failed left behind. When it returns a plain error, none of it will be found by a
// later Open, and the journal works on.
func (j *Journal) undo(cause error) error {
	if !disk.NoSpace(cause) && !errors.Is(cause, io.ErrShortWrite) {
		return j.poisoned(cause)
	}
	end := j.active.end.Load()
	err := j.active.file.Truncate(end)
	if err == nil {
		err = j.active.file.Sync()
	}
	if err != nil {
		return j.poisoned(errors.Join(cause, err))
	}
	j.active.filled = end
	return fmt.Errorf("append to %s: %w", j.active.name, cause)
}

// poisoned ends all writing.
func (j *Journal) poisoned(cause error) error {
	err := fmt.Errorf("%w: write in %s: %w", ErrPoisoned, j.dir, cause)
	if disk.NoSpace(cause) { // must not pass for the error after which the journal works on
		err = fmt.Errorf("%w: write in %s: %v", ErrPoisoned, j.dir, cause) //nolint:errorlint // see above
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.poison = err
	return err
}

// single gives a group of one frame without payload, for the end of the active segment.
func (j *Journal) single(kind uint8, payload []byte) []byte {
	b := make([]byte, frameSize(len(payload)))
	f := frame{
		length: uint32(len(payload)), kind: kind, flags: flagFirst | flagLast | flagGroupEnd, //nolint:gosec // a few bytes
		offset: uint32(j.active.end.Load()), //nolint:gosec // below 4 GiB
	}
	f.put(b, j.active.keys, payload)
	return b
}

// writeClose marks the end, unless it is marked already.
func (j *Journal) writeClose() error {
	end := j.active.end.Load()
	if end == j.closedAt {
		return nil
	}
	var payload []byte
	if (end+frameHead)%aheadUnit == 0 {
		payload = make([]byte, alignment) // see aheadUnit
	}
	return j.finish(j.single(kindClose, payload), true)
}

// roll makes the next segment and only then seals the active one: a sealed segment without a next one has lost it.
func (j *Journal) roll() error {
	old := j.active
	j.mu.Lock()
	oldest := j.segments[0].number
	j.mu.Unlock()
	next, err := j.create(head{
		segment: old.number + 1, id: j.id, oldest: oldest,
		previousEnd: uint32(old.end.Load()), //nolint:gosec // below 4 GiB
	})
	if err != nil {
		return err
	}
	err = j.finish(j.single(kindSeal, nil), false)
	if err != nil && !disk.NoSpace(err) {
		return errors.Join(err, next.close()) // poisoned; at the next Open the segment is there, and empty
	}
	j.mu.Lock()
	j.segments = append(slices.Clip(j.segments), next)
	j.size += headSize
	j.mu.Unlock()
	j.active = next
	return j.keepOpen(old)
}
