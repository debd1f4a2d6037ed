package importer

import (
	"fmt"
	"os"
	"sync"

	"example.org/catchment/internal/encode"
)

// sizes are the capacities of the buffers that lines wait in. Each is four times the one before: a buffer is half full
// on the average and a byte is copied 1.3 times.
var sizes = [...]int{8 << 10, 32 << 10, 128 << 10, segmentSize + 64<<10}

// A bufferPool keeps buffers for their next use, so that memory stays at its peak use and not at twice that.
type bufferPool struct {
	mu   sync.Mutex
	free [len(sizes)][][]byte // guarded by mu
}

// grow returns a buffer of at least need bytes with b's content, and takes b.
func (p *bufferPool) grow(b []byte, need int) []byte {
	for i, size := range sizes {
		if size < need {
			continue
		}
		p.mu.Lock()
		var grown []byte
		if n := len(p.free[i]); n > 0 {
			grown = p.free[i][n-1]
			p.free[i] = p.free[i][:n-1]
		}
		p.mu.Unlock()
		if grown == nil {
			grown = make([]byte, 0, size)
		}
		grown = append(grown[:0], b...)
		p.put(b)
		return grown
	}
	return append(make([]byte, 0, need), b...) // one long line: not worth keeping
}

// put takes a buffer back.
func (p *bufferPool) put(b []byte) {
	for i, size := range sizes {
		if cap(b) == size {
			p.mu.Lock()
			p.free[i] = append(p.free[i], b[:0])
			p.mu.Unlock()
			return
		}
	}
}

// A spill keeps compressed segments: in memory up to a bound, others in a temporary file that has no name, so that it
// goes when the process does.
type spill struct {
	dir   string
	limit int

	mu       sync.Mutex
	file     *os.File // guarded by mu, as are all below
	size     int64
	memory   int
	segments int64
}

func newSpill(dir string, limit int) *spill { return &spill{dir: dir, limit: limit} }

// keep copies a segment for its piece. Which segments are in memory makes no difference to any object.
func (s *spill) keep(p *piece, segment encode.Segment) error {
	p.length, p.segment = len(segment.Compressed), segment
	p.segment.Compressed = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory+p.length <= s.limit {
		s.memory += p.length
		p.segment.Compressed = append(make([]byte, 0, p.length), segment.Compressed...)
		return nil
	}
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "catchment-import-*")
		if err != nil {
			return fmt.Errorf("make the temporary file for what waits: %w", err)
		}
		if err := os.Remove(file.Name()); err != nil {
			return fmt.Errorf("unlink the temporary file for what waits: %w", err)
		}
		s.file = file
	}
	p.spilled = s.size
	if _, err := s.file.WriteAt(segment.Compressed, s.size); err != nil {
		return fmt.Errorf("write %d bytes to the temporary file for what waits: %w", p.length, err)
	}
	s.size += int64(p.length)
	s.segments++
	return nil
}

// read returns a piece's segment, from wherever it is.
func (s *spill) read(p *piece) (encode.Segment, error) {
	segment := p.segment
	if segment.Compressed != nil || p.length == 0 {
		return segment, nil
	}
	segment.Compressed = make([]byte, p.length)
	if _, err := s.file.ReadAt(segment.Compressed, p.spilled); err != nil {
		return segment, fmt.Errorf("read %d bytes of the temporary file for what waits: %w", p.length, err)
	}
	return segment, nil
}

// release forgets a piece that was put.
func (s *spill) release(p *piece) {
	if p.segment.Compressed == nil {
		return
	}
	s.mu.Lock()
	s.memory -= p.length
	s.mu.Unlock()
	p.segment.Compressed = nil
}

func (s *spill) count() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segments
}

func (s *spill) close() {
	if s.file != nil {
		_ = s.file.Close() // it has no name and no reader
	}
}
