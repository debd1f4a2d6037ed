package journal

import (
	"errors"
	"fmt"
	"slices"
)

// repair removes from the newest segment what was never acknowledged, for good: were it left, a later Open could take it
// for frames that lost their neighbours.
func (r *recovery) repair() error {
	n := r.newest
	if n == nil {
		return nil
	}
	s := n.segment
	end, dropped := n.tail.accept()
	s.end.Store(end)
	for _, f := range n.tail.frames {
		at := int64(f.offset)
		given := at >= end || slices.ContainsFunc(dropped, func(d span) bool { return d.from <= at && at < d.to })
		if given && f.kind == kindRecord {
			r.records[s.number]--
		}
	}
	for _, d := range dropped {
		r.tear(s, d, "not written whole")
	}
	last, zero := n.window.zeros(end, n.size)
	if n.size%aheadUnit == 0 && n.was != 0 {
		// The file was used before, and what is behind the blank is of that time.
		if _, blank := n.window.zeros(end, min(end+blankSize, n.size)); blank {
			zero = true
		} else {
			older := scanner{w: n.window, keys: r.j.id.keys(n.was)}
			last = older.resync(end, n.size) - 1
		}
	}
	ahead := zero && n.size > end && n.size%aheadUnit == 0
	switch {
	case !zero:
		r.tear(s, span{end, last + 1}, "not written whole")
	case n.size > end && !ahead:
		r.tear(s, span{end, n.size}, "zeros where frames were written")
	case !n.tail.finished():
		r.tear(s, span{end, end}, "the end of the last group is missing")
	}
	r.rec.Closed = n.tail.closed() && len(r.rec.Torn) == 0
	if !n.readable() { // nothing is cut: another try may read more
		s.gaps = append(s.gaps, dropped...)
		return nil
	}
	if err := n.settle(end, dropped, !ahead && n.size != end); err != nil {
		return fmt.Errorf("repair %s: %w", s.name, err)
	}
	s.filled = end
	if ahead {
		s.filled, s.reused = n.size, n.was != 0
	}
	if n.tail.closed() {
		r.j.closedAt = end
	}
	return nil
}

func (r *recovery) tear(s *segment, g span, reason string) {
	r.rec.Torn = append(r.rec.Torn, Gap{Segment: s.number, From: g.from, To: g.to, Reason: reason})
}

// settle makes the last group durable as it was accepted. Its bytes are written again: after a failed fsync they may be
// in the memory of the system only, without its knowing that they are not on the disk. Void frames cover what was
// dropped in between.
func (n *newest) settle(end int64, dropped []span, cut bool) error {
	file, start := n.segment.file, n.tail.start
	if start == end && !cut {
		return nil
	}
	for off := start; off < end; {
		b := n.window.at(off, int(min(windowSize, end-off)))
		if len(b) == 0 {
			break // the file ends within the padding of the last frame
		}
		if _, err := file.WriteAt(b, off); err != nil {
			return err
		}
		off += int64(len(b))
	}
	for _, d := range dropped {
		b := make([]byte, frameHead)
		f := frame{
			length: uint32(d.to - d.from - frameHead), kind: kindVoid, //nolint:gosec // below 4 GiB
			offset: uint32(d.from), back: uint32(d.from - start), //nolint:gosec // below 4 GiB
		}
		f.putHead(b, n.segment.keys)
		if _, err := file.WriteAt(b, d.from); err != nil {
			return err
		}
	}
	if cut {
		if err := file.Truncate(end); err != nil {
			return err
		}
	}
	return file.Sync()
}

// missing reports the segments that are not there although the owner did not give them up.
func (r *recovery) missing() {
	j := r.j
	expected := r.floor
	for i, s := range j.segments {
		if i == 0 && expected == 0 {
			expected = s.number
		}
		if s.number > expected {
			reason := "segment is missing"
			if s.number > expected+1 {
				reason = fmt.Sprintf("segments %d to %d are missing", expected, s.number-1)
			}
			r.lost[s.number] = slices.Insert(r.lost[s.number], 0, Gap{Segment: expected, Reason: reason})
		}
		expected = s.number + 1
	}
	if n := len(j.segments); n > 0 && r.newest == nil {
		last := j.segments[n-1].number
		r.lost[last] = append(r.lost[last], Gap{Segment: last + 1, Reason: "segment is missing"})
	}
}

var errNumbers = errors.New("no segment numbers left")

// activate chooses where appends go: on in the newest segment, or into a new one if that is not sound.
func (r *recovery) activate() error {
	j := r.j
	if n := r.newest; n != nil && n.head && n.readable() {
		j.active = n.segment
		return nil
	}
	h := head{segment: 1, id: j.id}
	if n := len(j.segments); n > 0 {
		last := j.segments[n-1]
		if last.number >= 1<<32-2 {
			return errNumbers
		}
		h.segment = last.number + 2 // the number between is lost
		if n := r.newest; n != nil {
			h.segment = last.number + 1
			if n.readable() { // else it may hold more than could be read
				h.previousEnd = uint32(last.end.Load()) //nolint:gosec // below 4 GiB
			}
		}
		h.oldest = j.segments[0].number
	}
	s, err := j.create(h)
	if err != nil {
		return err
	}
	j.segments = append(j.segments, s)
	j.active, j.closedAt = s, 0
	return nil
}
