package importer

import (
	"fmt"
	"math/bits"
	"os"
	"sync"

	"example.org/catchment/internal/encode"
)

// The blocks that lines wait in. Each is as large as all before it together, up to the largest: on the average a
// quarter of them is empty, and no byte is copied twice.
const (
	leastBlock = 512
	mostBlock  = 64 << 10
	blockSizes = 8 // from leastBlock to mostBlock, doubling
)

// lines are bytes that wait to be compressed.
type lines struct {
	blocks [][]byte
	size   int // bytes in them
	room   int // bytes that they take
}

// appendLine adds a line and its newline, in blocks from the pool. It returns how much more memory is taken.
func (l *lines) appendLine(pool *blockPool, line []byte) int {
	before := l.room
	l.append(pool, line)
	l.append(pool, newline)
	return l.room - before
}

var newline = []byte{'\n'}

func (l *lines) append(pool *blockPool, b []byte) {
	l.size += len(b)
	for len(b) > 0 {
		last := len(l.blocks) - 1
		if last < 0 || len(l.blocks[last]) == cap(l.blocks[last]) {
			block := pool.get(l.room)
			l.room += cap(block)
			l.blocks = append(l.blocks, block)
			last++
		}
		block := l.blocks[last]
		n := min(len(b), cap(block)-len(block))
		l.blocks[last] = append(block, b[:n]...)
		b = b[n:]
	}
}

// A blockPool keeps blocks for their next use, so that memory stays at its peak use and not at twice that.
type blockPool struct {
	mu    sync.Mutex
	free  [blockSizes][][]byte // guarded by mu, as are all below; by size
	slabs [][]byte
	rest  []byte // of the last slab: what no block has been made of
}

const slabSize = 4 << 20

// get returns an empty block of size bytes, within the bounds.
func (p *blockPool) get(size int) []byte {
	class, size := 0, min(max(size, leastBlock), mostBlock)
	for leastBlock<<class < size {
		class++
	}
	size = leastBlock << class
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free[class]); n > 0 {
		block := p.free[class][n-1]
		p.free[class] = p.free[class][:n-1]
		return block
	}
	if len(p.rest) < size { // what is left of a slab is smaller than a block; it stays unused
		slab := newSlab(slabSize)
		if slab == nil {
			return make([]byte, 0, size)
		}
		p.slabs, p.rest = append(p.slabs, slab), slab
	}
	block := p.rest[:0:size]
	p.rest = p.rest[size:]
	return block
}

// close gives the memory back. No block is in use any more.
func (p *blockPool) close() {
	for _, slab := range p.slabs {
		freeSlab(slab)
	}
	p.slabs, p.rest, p.free = nil, nil, [blockSizes][][]byte{}
}

// put takes blocks back.
func (p *blockPool) put(blocks [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, block := range blocks {
		class := bits.Len(uint(cap(block)/leastBlock)) - 1
		p.free[class] = append(p.free[class], block[:0])
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
