package document

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxNesting is how many times a stream may be compressed over.
const maxNesting = 4

// Open returns the plain bytes of r: gzip and zstd are recognised by content, not by name. It reads the first bytes of r.
func Open(r io.Reader) (io.Reader, error) {
	for range maxNesting {
		head := make([]byte, 4)
		n, err := io.ReadFull(r, head)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		head = head[:n]
		r = io.MultiReader(bytes.NewReader(head), r)
		switch {
		case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
			z, err := gzip.NewReader(r)
			if err != nil {
				return nil, fmt.Errorf("gzip: %w", err)
			}
			r = z
		case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
			if err != nil {
				return nil, fmt.Errorf("zstd: %w", err)
			}
			r = z.IOReadCloser()
		default:
			return r, nil
		}
	}
	return nil, fmt.Errorf("compressed more than %d times over", maxNesting)
}

// A Reader reads documents from a stream. It holds one document, and at most twice its size, in memory.
type Reader struct {
	raw    io.Reader
	plain  io.Reader
	s      *Splitter
	buf    []byte
	start  int   // of what has not been used in buf
	offset int64 // of buf[start] in the stream
	last   bool
	err    error
}

// NewReader reads r, which may be compressed.
func NewReader(r io.Reader, o Options) *Reader {
	return &Reader{raw: r, s: NewSplitter(o)}
}

// Next returns the next document, io.EOF after the last one, or the error that keeps the stream from being read
// further; what came before it has been returned.
func (r *Reader) Next() (Document, error) {
	if r.plain == nil && r.err == nil {
		r.plain, r.err = Open(r.raw)
		r.last = r.err != nil
	}
	for {
		doc, used, found := r.s.Next(r.buf[r.start:], r.last)
		doc.Offset += r.offset
		r.start += used
		r.offset += int64(used)
		if found {
			return doc, nil
		}
		if r.last {
			if r.err == nil {
				return Document{}, io.EOF
			}
			return Document{}, r.err
		}
		r.fill()
	}
}

// fill reads more of the stream behind what has not been used.
func (r *Reader) fill() {
	const least = 256 << 10
	if r.start > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.start:])]
		r.start = 0
	}
	if cap(r.buf)-len(r.buf) < least {
		grown := make([]byte, len(r.buf), max(2*cap(r.buf), 4*least))
		copy(grown, r.buf)
		r.buf = grown
	}
	// At least as much again as there is: a long document is not scanned from its start for each few bytes.
	for want := min(2*len(r.buf)+1, cap(r.buf)); len(r.buf) < want && !r.last; {
		n, err := r.plain.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if err != nil {
			r.last = true
			if err != io.EOF {
				r.err = err
			}
		}
	}
}
