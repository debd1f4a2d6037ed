package journal

import "fmt"

// A Gap is a part of a segment that holds no readable frame.
type Gap struct {
	Segment  uint32
	From, To int64 // bytes of the segment; To is 0 if its length is not known
	Reason   string
}

func (g Gap) String() string {
	return fmt.Sprintf("segment %d, bytes %d to %d: %s", g.Segment, g.From, g.To, g.Reason)
}

// A scanner finds the frames of one segment.
type scanner struct {
	w    *window
	keys keys
	tail tail
}

// A tail is what was found of the last group so far.
type tail struct {
	start  int64
	frames []frame
}

func (t *tail) add(f frame) {
	if f.group() > t.start {
		t.start, t.frames = f.group(), t.frames[:0]
	}
	if f.group() == t.start {
		t.frames = append(t.frames, f)
	}
}

// A span is a range of bytes in a segment.
type span struct{ from, to int64 }

// scan visits every valid frame before limit in order and gives what is between them.
func (s *scanner) scan(limit int64, visit func(frame, []byte)) []span {
	var gaps []span
	for off := int64(headSize); off < limit; {
		f, payload, ok := s.frame(off, limit)
		if ok {
			s.tail.add(f)
			visit(f, payload)
			off = f.end()
			continue
		}
		next := s.resync(off, limit)
		gaps = append(gaps, span{off, next})
		off = next
	}
	return gaps
}

// frame reads the frame at off; its payload is valid until the next read.
func (s *scanner) frame(off, limit int64) (frame, []byte, bool) {
	f, ok := parseFrame(s.w.at(off, frameHead), off, s.keys)
	if !ok {
		return frame{}, nil, false
	}
	if f.kind == kindVoid {
		return f, nil, f.end() <= limit && f.whole(s.w.at(off, frameHead), s.keys)
	}
	if off+frameHead+int64(f.length) > limit {
		return f, nil, false
	}
	b := s.w.at(off, frameHead+int(f.length))
	if !f.whole(b, s.keys) {
		return f, nil, false
	}
	return f, b[frameHead:], true
}

// resync gives the offset of the first valid frame behind the bad one at off, or limit. Payloads may hold anything that
// somebody thinks could pass for a frame; see the package comment for why it does not.
func (s *scanner) resync(off, limit int64) int64 {
	next := off + alignment
	if f, ok := parseFrame(s.w.at(off, frameHead), off, s.keys); ok && f.kind != kindVoid && f.end() < limit {
		next = f.end() // the head is whole and only the payload is damaged: the next frame follows it
	}
	for ; next < limit; next += alignment {
		if _, _, ok := s.frame(next, limit); ok {
			return next
		}
	}
	return limit
}

// accept decides which calls of the last group are kept: those that are whole. It gives the end of the last of them and
// the spans before it that are given up.
func (t *tail) accept() (end int64, dropped []span) {
	end = t.start
	expected, call := t.start, int64(-1)
	for _, f := range t.frames {
		if int64(f.offset) != expected {
			call = -1
		}
		expected = f.end()
		if f.flags&flagFirst != 0 || f.kind == kindVoid {
			call = int64(f.offset)
		}
		if call >= 0 && (f.flags&flagLast != 0 || f.kind == kindVoid) {
			if call > end {
				dropped = append(dropped, span{end, call})
			}
			end, call = f.end(), -1
		}
	}
	return end, dropped
}

// finished reports whether the frame that ends the group is there.
func (t *tail) finished() bool {
	return len(t.frames) == 0 || t.frames[len(t.frames)-1].flags&flagGroupEnd != 0
}

// closed reports whether the group is the mark that Close leaves.
func (t *tail) closed() bool {
	return len(t.frames) == 1 && t.frames[0].kind == kindClose
}

// sealed reports whether the group is the mark that a next segment was made.
func (t *tail) sealed() bool {
	return len(t.frames) == 1 && t.frames[0].kind == kindSeal
}
