package journal

import (
	"errors"
	"fmt"
	"io"
)

const (
	windowSize = 1 << 20 // bytes read at a time
	pageSize   = 4096    // bytes given up at a time where the disk cannot read
)

// A window reads a file from its start to its end in large pieces.
type window struct {
	f    io.ReaderAt
	size int64 // of the file
	buf  []byte
	base int64 // offset of buf[0]

	// bad is set once a part of the file could not be read. Such a part reads as zeros: never as a frame.
	bad error
}

// at gives n bytes at off, or fewer at the end of the file. They are valid until the next call.
func (w *window) at(off int64, n int) []byte {
	if off >= w.size {
		return nil
	}
	end := min(off+int64(n), w.size)
	if off < w.base || end > w.base+int64(len(w.buf)) {
		w.fill(off, int(min(max(end-off, windowSize), w.size-off)))
	}
	return w.buf[min(off-w.base, int64(len(w.buf))):min(end-w.base, int64(len(w.buf)))]
}

func (w *window) fill(off int64, n int) {
	if cap(w.buf) < n {
		w.buf = make([]byte, n)
	}
	w.base = off
	read, err := w.f.ReadAt(w.buf[:n], off)
	if err == nil || err == io.EOF {
		w.buf = w.buf[:read] // shorter if the file has become so
		return
	}
	w.buf = w.buf[:n]
	for from := 0; from < n; from += pageSize {
		page := w.buf[from:min(from+pageSize, n)]
		if err := readFull(w.f, page, off+int64(from)); err != nil {
			clear(page)
			w.bad = errors.Join(w.bad, fmt.Errorf("read at %d: %w", off+int64(from), err))
		}
	}
}

// readFull is ReadAt without io.EOF after a full read.
func readFull(f io.ReaderAt, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// zeros reports whether all of [from, to) is zero, and else where the last other byte is.
func (w *window) zeros(from, to int64) (last int64, all bool) {
	last, all = from, true
	for off := from; off < to; {
		b := w.at(off, int(min(windowSize, to-off)))
		if len(b) == 0 {
			break
		}
		for i := len(b) - 1; i >= 0; i-- {
			if b[i] != 0 {
				last, all = off+int64(i), false
				break
			}
		}
		off += int64(len(b))
	}
	return last, all
}
