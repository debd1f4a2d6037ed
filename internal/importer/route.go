package importer

import (
	"context"
	"sync"
	"time"
	"unsafe"

	"github.com/zeebo/xxh3"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pipeline"
)

// routed is what a chunk, or a piece of several, came to.
type routed struct {
	records  []record
	arena    []byte // lines that are not in the chunk as they stand
	filtered int64
	rest     []byte             // what no document has been made of: it goes on in the next chunk
	splitter *document.Splitter // as it stands behind rest
	full     bool               // rest, which starts at offset, has not been looked at yet: there are many records already
	offset   int64
}

// Bounds of what a chunk comes to before it is handed on: an error record is a hundred times as long as the brackets
// that are refused with it.
const (
	burst      = 16 << 10 // records
	burstBytes = 4 << 20  // of lines that are not in the chunk
)

// A record is a line on its way to its partition.
type record struct {
	prefix string
	line   []byte
	code   string // of a rejected one; else empty
	time   time.Time
	seen   xxh3.Uint128 // by which duplicates are recognised; seeded
	name   xxh3.Uint128 // by which objects are named; the same in every process
	stream int32
}

var routedPool = sync.Pool{New: func() any { return new(routed) }}

// A worker routes chunks.
type worker struct {
	o       Options
	router  *pipeline.Router
	out     *routed
	chunk   []byte // the bytes that are being routed: lines within them need not be copied
	emit    func(*pipeline.Outcome)
	options document.Options
}

func newWorker(o Options) *worker {
	w := &worker{o: o, router: o.Pipeline.NewRouter()}
	w.options = document.Options{MaxDocument: o.MaxDocument, Scan: w.router.Scan}
	w.emit = w.take
	return w
}

func routeChunks(ctx context.Context, o Options, chunks <-chan *chunk) error {
	w := newWorker(o)
	for c := range chunks {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.input.guess.Load() || c.offset == 0 {
			w.out = routedPool.Get().(*routed) //nolint:forcetypeassert // only this type is put there
			w.out.reset()
			w.out.splitter = document.NewSplitter(w.options)
			w.route(c.bytes, c.offset, c.last, c.input.name)
			c.routed = w.out
		}
		close(c.done)
	}
	return nil
}

func (r *routed) reset() {
	clear(r.records)
	r.records, r.arena, r.filtered, r.rest, r.splitter, r.full = r.records[:0], r.arena[:0], 0, nil, nil, false
}

// route makes records of b, which starts at offset of its input, with the splitter of w.out.
func (w *worker) route(b []byte, offset int64, last bool, name string) {
	w.chunk = b
	in := pipeline.Arrival{Origin: name}
	for at := 0; ; {
		if len(w.out.records) >= w.o.burst || len(w.out.arena) >= burstBytes {
			w.out.rest, w.out.offset, w.out.full = b[at:], offset+int64(at), true
			return
		}
		doc, used, found := w.out.splitter.Next(b[at:], last)
		at += used
		if !found {
			w.out.rest = b[at:]
			return
		}
		doc.Offset += offset + int64(at-used)
		w.router.Route(doc, in, w.emit)
	}
}

func (w *worker) take(o *pipeline.Outcome) {
	if o.Kind == pipeline.Filtered {
		w.out.filtered++
		return
	}
	r := record{prefix: o.Prefix, line: o.Line, code: o.Code, time: o.Time, stream: int32(o.Stream)} //nolint:gosec // a spec's streams
	if !within(r.line, w.chunk) {
		start := len(w.out.arena)
		w.out.arena = append(w.out.arena, r.line...)
		r.line = w.out.arena[start:len(w.out.arena):len(w.out.arena)]
	}
	r.name = xxh3.Hash128(r.line)
	r.seen = xxh3.Hash128Seed(r.line, w.o.Seed+uint64(o.Stream)) //nolint:gosec // a spec's streams
	w.out.records = append(w.out.records, r)
}

// within tells whether line lies in b. The arena may move when it grows; lines that were put there before stay in its
// old memory, which they keep.
func within(line, b []byte) bool {
	if len(line) == 0 || len(b) == 0 {
		return false
	}
	p, start := uintptr(unsafe.Pointer(&line[0])), uintptr(unsafe.Pointer(&b[0])) //nolint:gosec // compared, never followed
	return p >= start && p < start+uintptr(len(b))
}

// brokenOffError is why an input ends before its end, as an error record tells it: the same words each time, so that the
// import that is repeated adds nothing. What the system or the network said goes to the user.
type brokenOffError struct{}

func (brokenOffError) Error() string {
	return "the input breaks off here; what follows could not be read"
}

func (brokenOffError) Is(target error) bool { return target == document.ErrIncomplete }

// rejectInput notes that the rest of an input could not be read.
func (w *worker) rejectInput(c *chunk) {
	w.chunk = nil
	doc := document.Document{Offset: c.offset + int64(len(c.bytes)), Err: brokenOffError{}}
	w.router.Route(doc, pipeline.Arrival{Origin: c.input.name}, w.emit)
}
