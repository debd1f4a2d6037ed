package push

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// keepBuffer is the largest buffer that is kept for the next request, in bytes.
const keepBuffer = 8 << 20

// A buffer holds a body while its documents are handed over.
type buffer struct {
	b     []byte
	share share
}

func (s *Source) freeBuffer(buf *buffer) {
	buf.share.release()
	if cap(buf.b) <= keepBuffer {
		buf.b = buf.b[:0]
		s.bufs.Put(buf)
	}
}

// limits of one endpoint's bodies.
type limits struct {
	max      int64 // bytes, before and after decompression
	tooLarge int   // the status that says so
	budgets  []*budget
}

func (l limits) refuse(what string) *refusal {
	return &refusal{status: l.tooLarge, reason: "body-too-large", expected: fmt.Sprintf("expected a body of at most %d bytes%s", l.max, what)}
}

var errNoRoom = &refusal{
	status: http.StatusServiceUnavailable, reason: "busy-bodies",
	expected: "the bodies of other requests fill the memory set aside for them; try again",
}

// readBody reads the whole body, decompressed. The caller gives the buffer back with freeBuffer, also after an error.
func (x *exchange) readBody(l limits) (*buffer, error) {
	buf := x.s.bufs.Get().(*buffer)
	buf.share.of = l.budgets
	compressed, err := gzipped(x.r)
	if err != nil {
		x.w.Header().Set("Accept-Encoding", "gzip")
		return buf, err
	}
	length := x.r.ContentLength
	switch {
	case length > l.max:
		return buf, l.refuse("")
	case length == 0:
		return buf, errEmptyBody
	case length > 0 && !buf.share.grow(length):
		return buf, errNoRoom
	}
	in := &wire{x: x, left: l.max, next: firstCheck}
	if compressed {
		err = x.gunzip(buf, in, l)
	} else {
		err = buf.fill(in, l, max(length, 0))
	}
	if err == nil && in.over {
		err = errTooLarge
	}
	if err != nil {
		return buf, in.explain(err, l)
	}
	if !compressed && bytes.HasPrefix(buf.b, gzipMagic) {
		// Senders forget the header. JSON never starts so.
		plain := x.s.bufs.Get().(*buffer)
		plain.share.of = l.budgets
		err = x.gunzip(plain, bytes.NewReader(buf.b), l)
		x.s.freeBuffer(buf)
		if err != nil {
			return plain, in.explain(err, l)
		}
		return plain, nil
	}
	return buf, nil
}

var gzipMagic = []byte{0x1f, 0x8b, 8}

// gzipped tells how the body is encoded.
func gzipped(r *http.Request) (bool, error) {
	values := r.Header["Content-Encoding"]
	if len(values) == 0 {
		return false, nil
	}
	coding := strings.TrimSpace(strings.Join(values, ","))
	switch {
	case coding == "" || strings.EqualFold(coding, "identity"):
		return false, nil
	case strings.EqualFold(coding, "gzip") || strings.EqualFold(coding, "x-gzip"):
		return true, nil
	}
	return false, &refusal{
		status: http.StatusUnsupportedMediaType, reason: "encoding",
		expected: "expected Content-Encoding gzip or none",
	}
}

var (
	errEmptyBody = &refusal{status: http.StatusBadRequest, reason: "body-empty", expected: "expected JSON, found an empty body"}
	errTooLarge  = errors.New("more bytes than the limit")
)

// A gzipError is a body that is no gzip.
type gzipError struct{ err error }

func (e *gzipError) Error() string { return "gzip: " + e.err.Error() }

func (e *gzipError) Unwrap() error { return e.err }

// gunzip decompresses into buf, at most l.max bytes.
func (x *exchange) gunzip(buf *buffer, in io.Reader, l limits) error {
	z, _ := x.s.gzips.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	defer x.s.gzips.Put(z)
	if err := z.Reset(in); err != nil {
		return &gzipError{err}
	}
	// What is expected of findings is ten times their compressed size.
	err := buf.fill(z, l, min(10*max(x.r.ContentLength, 0), l.max, keepBuffer/2))
	if err != nil && !errors.Is(err, errTooLarge) && !errors.Is(err, errNoRoom) {
		return &gzipError{err}
	}
	return err
}

// fill reads all of in, and reserves what it takes before it takes it. Length is what in is believed to have.
func (buf *buffer) fill(in io.Reader, l limits, length int64) error {
	const least = 4 << 10
	buf.b = buf.b[:0]
	if !buf.share.grow(length) {
		length = 0
	}
	if int64(cap(buf.b)) <= length { // room for one more, to see the end
		buf.b = make([]byte, 0, max(length+1, least))
	}
	for {
		if len(buf.b) == cap(buf.b) {
			// One byte more than the limit, so that a body of exactly the limit sees its end.
			size := min(max(2*int64(cap(buf.b)), least), l.max+1)
			if !buf.share.grow(min(size, l.max)) {
				return errNoRoom
			}
			grown := make([]byte, len(buf.b), size)
			copy(grown, buf.b)
			buf.b = grown
		}
		n, err := in.Read(buf.b[len(buf.b):cap(buf.b)])
		buf.b = buf.b[:len(buf.b)+n]
		switch {
		case int64(len(buf.b)) > l.max:
			return errTooLarge
		case !buf.share.grow(int64(len(buf.b))):
			return errNoRoom
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// firstCheck is after how many bytes the pace of a body is looked at again.
const firstCheck = 64 << 10

// wire is a body as it comes: it moves the connection's deadline on as bytes arrive, and stops at the limit.
type wire struct {
	x    *exchange
	left int64 // that may still be read
	next int64 // when to move the deadline on
	over bool
}

func (in *wire) Read(p []byte) (int, error) {
	if in.left < 0 {
		in.over = true
		return 0, errTooLarge
	}
	if int64(len(p)) > in.left+1 {
		p = p[:in.left+1]
	}
	n, err := in.x.r.Body.Read(p)
	in.x.wire += int64(n)
	in.left -= int64(n)
	if in.left < 0 {
		in.over = true
		return n, errTooLarge
	}
	if in.x.wire >= in.next && err == nil {
		in.next = in.x.wire + firstCheck
		t := in.x.s.o.Timeouts
		earned := time.Duration(float64(in.x.wire) / float64(t.BodyRate) * float64(time.Second))
		in.x.deadline(in.x.started.Add(t.Body + earned))
	}
	return n, err
}

// explain makes a refusal of an error while reading.
func (in *wire) explain(err error, l limits) error {
	var gz *gzipError
	switch {
	case in.over:
		return l.refuse("")
	case errors.Is(err, errTooLarge):
		return l.refuse(" after decompression")
	case errors.Is(err, errNoRoom):
		return errNoRoom
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{
			status: http.StatusRequestTimeout, reason: "body-slow",
			expected: fmt.Sprintf("the body came too slowly: expected it within %v and %d bytes a second",
				in.x.s.o.Timeouts.Body, in.x.s.o.Timeouts.BodyRate),
		}
	case in.x.r.ContentLength >= 0 && in.x.wire < in.x.r.ContentLength && !errors.As(err, &gz):
		return &refusal{
			status: http.StatusBadRequest, reason: "body-incomplete", cause: err,
			expected: "the body ended before its Content-Length",
		}
	case errors.As(err, &gz):
		return &refusal{
			status: http.StatusBadRequest, reason: "body-undecodable", cause: err,
			expected: "expected a gzip body, found something else or only a part of one",
		}
	}
	return &refusal{status: http.StatusBadRequest, reason: "body-incomplete", cause: err, expected: "the body could not be read to its end"}
}
