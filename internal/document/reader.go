package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxNesting is how many times a stream may be compressed over.
	maxNesting = 4

	// maxWindow bounds the memory that a zstd stream may ask for, in bytes: what the zstd tool accepts by default.
	maxWindow = 128 << 20

	// maxEmptyReads is how often a reader may return nothing in a row.
	maxEmptyReads = 100
)

// Open returns the plain bytes of r: gzip and zstd are recognised by content, not by name. It reads the first bytes of r.
// Several gzip members or zstd frames in a row are one stream. An error names the compression that it is of.
func Open(r io.Reader) (io.Reader, error) {
	r = &steady{r: r}
	for range maxNesting + 1 {
		head := make([]byte, 4)
		n, err := io.ReadFull(r, head)
		if err != nil && !errors.Is(err, io.EOF) && !short(err) {
			return nil, err
		}
		head = head[:n]
		r = io.MultiReader(bytes.NewReader(head), r)
		switch {
		case isGzip(head):
			z, err := gzip.NewReader(r)
			if err != nil {
				return nil, &streamError{"gzip", noEOF(err)}
			}
			r = &stream{z, "gzip"}
		case isZstd(head):
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
			if err != nil {
				return nil, &streamError{"zstd", noEOF(err)}
			}
			r = &stream{z.IOReadCloser(), "zstd"}
		default:
			return r, nil
		}
	}
	return nil, fmt.Errorf("compressed more than %d times over", maxNesting)
}

// short tells whether err says that there were fewer bytes than asked for, and not that a stream is cut off.
func short(err error) bool {
	var cut *streamError
	return errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &cut)
}

func isGzip(head []byte) bool { return bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}) }

// isZstd recognises a frame, and a skippable one, with which parallel compressors begin (RFC 8878, section 3.1).
func isZstd(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) || len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18})
}

// A steady reader gives up on one that returns nothing again and again.
type steady struct {
	r     io.Reader
	empty int // reads in a row
}

func (s *steady) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n > 0 || len(p) == 0 {
		s.empty = 0
	} else if s.empty++; s.empty > maxEmptyReads && err == nil {
		err = io.ErrNoProgress
	}
	return n, err
}

// A stream is compressed; its errors say how.
type stream struct {
	r      io.Reader
	format string
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		err = &streamError{s.format, err}
	}
	return n, err
}

type streamError struct {
	format string
	err    error
}

func (e *streamError) Error() string { return e.format + ": " + e.err.Error() }
func (e *streamError) Unwrap() error { return e.err }

// noEOF makes a header that ends early an error: io.EOF would look like the end of an empty stream.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
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
