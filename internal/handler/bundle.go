package handler

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
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

// maxBundle is how many bytes of lines wait before they are put, so that a run of any size fits into a small function.
const maxBundle = 32 << 20

// A bundle is the records of one invocation by partition: each becomes one object.
type bundle struct {
	h     *Handler
	parts map[partitionKey]*part
	order []*part // of their first records
	seen  map[[sha256.Size]byte]struct{}
	size  int

	objects, stored, rejected, filtered, duplicate int
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
	sources []int // the numbers of the documents that its lines came from
}

func (h *Handler) newBundle() *bundle {
	return &bundle{h: h, parts: make(map[partitionKey]*part), seen: make(map[[sha256.Size]byte]struct{})}
}

// total is how many records were added.
func (b *bundle) total() int { return b.stored + b.rejected + b.filtered + b.duplicate }

// add takes what became of a record of the document with a number. A line that was there already, for the same event and
// place, is a duplicate.
func (b *bundle) add(source int, o *pipeline.Outcome) {
	if o.Kind == pipeline.Filtered {
		b.filtered++
		return
	}
	key := partitionKey{o.Stream, o.Prefix}
	same := batch.NewID([]byte(fmt.Sprint(o.Stream)), []byte(o.Prefix), o.EventID, o.Line)
	sum := sha256.Sum256(append(same[:], o.Line...))
	if _, twice := b.seen[sum]; twice {
		b.duplicate++
		return
	}
	b.seen[sum] = struct{}{}
	if o.Kind == pipeline.Rejected {
		b.rejected++
	} else {
		b.stored++
	}
	p := b.parts[key]
	if p == nil {
		p = &part{partitionKey: key, oldest: o.Time}
		b.parts[key] = p
		b.order = append(b.order, p)
	}
	p.lines = append(p.lines, bytes.Clone(o.Line))
	b.size += len(o.Line)
	if o.Time.Before(p.oldest) {
		p.oldest = o.Time
	}
	if !slices.Contains(p.sources, source) {
		p.sources = append(p.sources, source)
	}
}

// put puts the objects, and gives the errors of those that could not be put by the numbers of the documents in them.
func (b *bundle) put(ctx context.Context) map[int]error {
	failed := make(map[int]error)
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(puts)
	for _, p := range b.order {
		group.Go(func() error {
			err := b.putPart(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				b.objects++
				return nil
			}
			for _, source := range p.sources {
				failed[source] = err
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in failed
	b.parts, b.order, b.size = make(map[partitionKey]*part), nil, 0
	return failed
}

// putPart puts one object. Its key follows from its lines, in their order: the lines are sorted first, since messages
// come in any.
func (b *bundle) putPart(ctx context.Context, p *part) error {
	slices.SortFunc(p.lines, bytes.Compare)
	spec, how := b.h.o.Pipeline.Streams()[p.stream], b.h.o.Streams[p.stream]
	id := batch.NewID(append([][]byte{[]byte(p.prefix)}, p.lines...)...)
	compressor, err := encode.NewCompressor(how.Compression, how.Level)
	if err != nil {
		return err
	}
	builder := encode.NewBuilder(compressor)
	for _, line := range p.lines {
		builder.Add(line)
	}
	at := p.oldest.UTC()
	if how.Location != nil {
		at = at.In(how.Location)
	}
	key := prefix.Finish(p.prefix, id) + batch.Name(spec.Name, spec.Version, at, id, how.Compression.Extension())
	if err := b.h.o.Store.Put(ctx, key, builder.Object()); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}
