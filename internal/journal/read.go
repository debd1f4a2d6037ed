package journal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"example.org/catchment/internal/disk"
)

const (
	readGuess = 8 << 10 // bytes read at first: most payloads are shorter
	maxOpened = 64      // files open for reading
)

// ReadAt gives the payload at p, in buf if it fits with its head, else in memory of its own. It may run beside all other
// methods. A position in a segment that was trimmed gives ErrTrimmed, one at which there is no whole frame any more a
// *CorruptionError.
func (j *Journal) ReadAt(p Position, buf []byte) ([]byte, error) {
	s, file, err := j.acquire(p.Segment)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	defer s.mu.RUnlock()
	off, end := int64(p.Offset), s.end.Load()
	if off < headSize || off%alignment != 0 || off+frameHead > end {
		return nil, &CorruptionError{Segment: p.Segment, Offset: off, Reason: "no frame can be there"}
	}
	if cap(buf) < readGuess {
		buf = make([]byte, readGuess)
	}
	buf = buf[:min(int64(cap(buf)), end-off)]
	n, err := file.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	buf = buf[:n] // the padding of a last frame may be cut off
	f, ok := parseFrame(buf, off, s.keys)
	if !ok || f.kind != kindRecord {
		return nil, &CorruptionError{Segment: p.Segment, Offset: off, Reason: "no valid frame"}
	}
	size := frameHead + int(f.length)
	if have := len(buf); have < size {
		if off+int64(size) > end {
			return nil, &CorruptionError{Segment: p.Segment, Offset: off, Reason: "frame is longer than the segment"}
		}
		buf = slices.Grow(buf, size-have)[:size]
		if err := readFull(file, buf[have:], off+int64(have)); err != nil {
			return nil, fmt.Errorf("read %s: %w", p, err)
		}
	}
	if !f.whole(buf, s.keys) {
		return nil, &CorruptionError{Segment: p.Segment, Offset: off, Reason: "checksum of the payload differs"}
	}
	return buf[frameHead:size:size], nil
}

// acquire gives segment n with its file, read-locked.
func (j *Journal) acquire(n uint32) (*segment, disk.File, error) {
	j.mu.Lock()
	closed := j.closed
	i, ok := slices.BinarySearchFunc(j.segments, n, func(s *segment, n uint32) int {
		return int(int64(s.number) - int64(n))
	})
	if closed || !ok {
		j.mu.Unlock()
		if closed {
			return nil, nil, ErrClosed
		}
		return nil, nil, ErrTrimmed
	}
	s := j.segments[i]
	j.mu.Unlock()
	for {
		s.mu.RLock()
		if s.file != nil {
			return s, s.file, nil
		}
		s.mu.RUnlock()
		if err := j.resume(s); err != nil {
			return nil, nil, err
		}
	}
}

// resume opens the file of s again.
func (j *Journal) resume(s *segment) error {
	s.mu.Lock()
	if s.gone || s.file != nil {
		gone := s.gone
		s.mu.Unlock()
		if gone {
			return ErrTrimmed
		}
		return nil
	}
	f, err := j.fsys.Open(filepath.Join(j.dir, s.name), disk.ReadOnly)
	s.file = f
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return j.keepOpen(s)
}

// keepOpen counts s among the open files, and closes the one that was opened longest ago if there are too many.
func (j *Journal) keepOpen(s *segment) error {
	var old *segment
	j.mu.Lock()
	j.opened = append(j.opened, s)
	if len(j.opened) > maxOpened {
		old = j.opened[0]
		j.opened = slices.Delete(j.opened, 0, 1)
	}
	j.mu.Unlock()
	if old != nil {
		return old.suspend()
	}
	return nil
}

// Replay calls fn with every record that was there when it was called, in the order of appending, and stops at its first
// error. The payload is valid until fn returns. It passes over the damage that Open has told of; other damage gives a
// *CorruptionError: it came while the journal was open, and what follows it was not looked at.
func (j *Journal) Replay(fn func(Position, []byte) error) error {
	j.mu.Lock()
	segments := slices.Clone(j.segments)
	j.mu.Unlock()
	ends := make([]int64, len(segments))
	for i, s := range segments {
		ends[i] = s.end.Load()
	}
	var buf []byte
	for i, s := range segments {
		var err error
		if buf, err = j.replay(s, ends[i], buf, fn); err != nil && !errors.Is(err, ErrTrimmed) {
			return err
		}
	}
	return nil
}

// replay gives the memory of its reads for the next segment.
func (j *Journal) replay(s *segment, end int64, buf []byte, fn func(Position, []byte) error) ([]byte, error) {
	w := &window{f: reader{j, s.number}, size: end, buf: buf[:0]}
	sc := scanner{w: w, keys: s.keys}
	gaps := s.gaps
	for off := int64(headSize); off < end; {
		if len(gaps) > 0 && gaps[0].from == off {
			off, gaps = gaps[0].to, gaps[1:]
			continue
		}
		f, payload, ok := sc.frame(off, end)
		switch {
		case w.bad != nil:
			return w.buf, fmt.Errorf("replay %s: %w", s.name, w.bad)
		case !ok:
			return w.buf, &CorruptionError{Segment: s.number, Offset: off, Reason: "no valid frame"}
		}
		if f.kind == kindRecord {
			if err := fn(Position{Segment: s.number, Offset: f.offset}, payload); err != nil {
				return w.buf, err
			}
		}
		off = f.end()
	}
	return w.buf, nil
}

// A reader holds its segment open for one read at a time, so that the segment can be trimmed between two.
type reader struct {
	j      *Journal
	number uint32
}

func (r reader) ReadAt(b []byte, off int64) (int, error) {
	s, file, err := r.j.acquire(r.number)
	if err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	return file.ReadAt(b, off)
}
