package importer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"example.org/catchment/internal/document"
)

// chunkSize is how much of an input is routed at a time, in bytes: enough that handing it over costs nothing, small
// enough to stay in the processor's cache while it is read, routed and copied.
const chunkSize = 512 << 10

// An open is an input while it is read.
type open struct {
	name     string
	guess    atomic.Bool // whether chunks of it are routed before it is known that a document begins with them
	misses   int         // guesses that were wrong, one after another; the sequence's
	counted  *countingReader
	reported int64 // of the bytes read; the sequence's
}

// A chunk is a piece of an input, and what was made of it.
type chunk struct {
	input  *open
	buffer *[]byte // Bytes is in it; goes back to the pool when the sequence is done with the chunk
	bytes  []byte
	offset int64 // of bytes[0] in the uncompressed input
	last   bool  // nothing of the input follows
	err    error // with last: why the input ended before its end
	read   int64 // bytes read of the input so far, as it lies there

	done   chan struct{} // closed when a worker is done with it
	routed *routed
}

var chunkBuffers = sync.Pool{New: func() any { return new([]byte) }}

// readChunks cuts the inputs into chunks, each after a line where there are lines.
func readChunks(ctx context.Context, size int, inputs []Input, chunks, ordered chan<- *chunk) error {
	for _, input := range inputs {
		c := &chunker{ctx: ctx, size: size, input: &open{name: input.Name()}, chunks: chunks, ordered: ordered}
		c.input.guess.Store(true)
		if err := c.read(input); err != nil {
			return err
		}
	}
	return nil
}

type chunker struct {
	ctx     context.Context
	size    int // of a chunk, in bytes
	input   *open
	chunks  chan<- *chunk
	ordered chan<- *chunk
	offset  int64
}

func (c *chunker) read(input Input) error {
	file, err := input.Open(c.ctx)
	if err != nil {
		return c.send(nil, nil, true, err)
	}
	defer file.Close()
	// A pipe may be silent for ever: closing it ends a Read that waits.
	defer context.AfterFunc(c.ctx, func() { _ = file.Close() })()
	c.input.counted = &countingReader{r: file}
	plain, err := document.Open(c.input.counted)
	if err != nil {
		return c.send(nil, nil, true, err)
	}
	var rest []byte // the start of a line, behind the last chunk
	for {
		buffer := chunkBuffers.Get().(*[]byte) //nolint:forcetypeassert // only this type is put there
		b := append((*buffer)[:0], rest...)
		if cap(b) < len(rest)+c.size {
			b = append(make([]byte, 0, len(rest)+c.size+c.size/8), rest...)
		}
		b, err = fill(plain, b, len(rest)+c.size)
		*buffer = b
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return c.send(buffer, b, true, err)
		}
		cut := cutPoint(b)
		rest = append(rest[:0], b[cut:]...)
		if err := c.send(buffer, b[:cut], false, nil); err != nil {
			return err
		}
	}
}

// fill reads until b holds n bytes. Its error is io.EOF at the end, and also then b may have grown.
func fill(r io.Reader, b []byte, n int) ([]byte, error) {
	for len(b) < n {
		k, err := r.Read(b[len(b):n])
		b = b[:len(b)+k]
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// cutPoint is where a document ends, most likely: behind the last line; else between two documents that are run
// together; else at the end.
func cutPoint(b []byte) int {
	if nl := bytes.LastIndexByte(b, '\n'); nl >= 0 {
		return nl + 1
	}
	for end := len(b); ; {
		k := bytes.LastIndex(b[:end], []byte(`}{"`))
		if k < 0 {
			return len(b)
		}
		if k+3 < len(b) && bytes.IndexByte([]byte(`,:}]" `), b[k+3]) < 0 {
			return k + 1
		}
		end = k + 2
	}
}

// send hands a chunk to the sequence and to the workers. The sequence's channel is the one that fills up.
func (c *chunker) send(buffer *[]byte, b []byte, last bool, err error) error {
	if c.ctx.Err() != nil {
		return c.ctx.Err() // what reading a closed file said is no news of the file
	}
	ch := &chunk{input: c.input, buffer: buffer, bytes: b, offset: c.offset, last: last, err: err, done: make(chan struct{})}
	if c.input.counted != nil {
		ch.read = c.input.counted.n
	}
	c.offset += int64(len(b))
	for _, to := range []chan<- *chunk{c.ordered, c.chunks} {
		select {
		case to <- ch:
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
	return nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
