package handler

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/prefix"
)

// puts is how many objects are put at once.
const puts = 8

// maxPending is how many bytes of lines wait before they are put, so that a run of any size fits into a small function.
const maxPending = 32 << 20

// Counts are of records, and of the objects that were put.
type Counts struct {
	Stored    int `json:"stored"`   // lines of findings or events
	Rejected  int `json:"rejected"` // error records
	Filtered  int `json:"filtered"`
	Duplicate int `json:"duplicate"` // of lines of the same invocation
	Objects   int `json:"objects"`
}

// A bundle is the records of one invocation by partition: each becomes one object.
type bundle struct {
	h      *Handler
	parts  map[partitionKey]*part
	order  []*part // of their first records
	seen   map[batch.ID]struct{}
	size   int
	counts Counts // stored and rejected count before the put
}

type partitionKey struct {
	stream int
	prefix string
}

// A part is one partition.
type part struct {
	partitionKey

	lines   [][]byte
	oldest  time.Time
	sources []int // the numbers of the documents that its lines came from, in order
}

// from notes where a line came from, and when. One that comes twice counts twice, since either may come first.
func (p *part) from(source int, at time.Time) {
	if at.Before(p.oldest) {
		p.oldest = at
	}
	if n := len(p.sources); n == 0 || p.sources[n-1] != source {
		p.sources = append(p.sources, source)
	}
}

func (h *Handler) newBundle() *bundle {
	return &bundle{h: h, parts: make(map[partitionKey]*part), seen: make(map[batch.ID]struct{})}
}

// add takes what became of a record of the source with a number; the numbers come in order. A line that was there
// already, for the same event and place, is a duplicate.
func (b *bundle) add(source int, o *pipeline.Outcome) {
	if o.Kind == pipeline.Filtered {
		b.counts.Filtered++
		return
	}
	key := partitionKey{o.Stream, o.Prefix}
	p := b.parts[key]
	id := batch.NewID(strconv.AppendInt(nil, int64(o.Stream), 10), []byte(o.Prefix), o.EventID, o.Line)
	if _, twice := b.seen[id]; twice {
		b.counts.Duplicate++
		if p != nil { // else it is in the bucket
			p.from(source, o.Time)
		}
		return
	}
	b.seen[id] = struct{}{}
	if o.Kind == pipeline.Rejected {
		b.counts.Rejected++
	} else {
		b.counts.Stored++
	}
	if p == nil {
		p = &part{partitionKey: key, oldest: o.Time}
		b.parts[key] = p
		b.order = append(b.order, p)
	}
	p.lines = append(p.lines, bytes.Clone(o.Line))
	b.size += len(o.Line)
	p.from(source, o.Time)
}

// put puts the objects, and gives the errors of those that could not be put by the numbers of the sources of their lines.
func (b *bundle) put(ctx context.Context) map[int]error {
	errs := make([]error, len(b.order))
	var group errgroup.Group
	group.SetLimit(puts)
	for i, p := range b.order {
		group.Go(func() error {
			errs[i] = b.h.putPart(ctx, p)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	failed := make(map[int]error)
	for i, p := range b.order {
		if errs[i] == nil {
			b.counts.Objects++
			continue
		}
		for _, source := range p.sources {
			failed[source] = errs[i] // of several reasons one
		}
	}
	b.parts, b.order, b.size = make(map[partitionKey]*part), nil, 0
	return failed
}

// putPart puts one object. Its key follows from its lines, in their order: the lines are sorted first, since messages
// come in any.
func (h *Handler) putPart(ctx context.Context, p *part) error {
	slices.SortFunc(p.lines, bytes.Compare)
	spec, how := h.o.Pipeline.Streams()[p.stream], h.o.Streams[p.stream]
	id := batch.NewID(append([][]byte{[]byte(p.prefix)}, p.lines...)...)
	at := p.oldest.UTC()
	if how.Location != nil {
		at = at.In(how.Location)
	}
	key := prefix.Finish(p.prefix, id) + batch.Name(spec.Name, spec.Version, at, id, how.Compression.Extension())
	compressor, err := compressorOf(&h.compressors[p.stream], how)
	if err != nil {
		return fmt.Errorf("compress %s: %w", key, err)
	}
	builder := encode.NewBuilder(compressor)
	for _, line := range p.lines {
		builder.Add(line)
	}
	object := builder.Object()
	h.compressors[p.stream].Put(compressor)
	return h.o.Store.Put(ctx, key, object) // its error names the key
}

func compressorOf(pool *sync.Pool, how Stream) (*encode.Compressor, error) {
	if c, ok := pool.Get().(*encode.Compressor); ok {
		return c, nil
	}
	return encode.NewCompressor(how.Compression, how.Level)
}
