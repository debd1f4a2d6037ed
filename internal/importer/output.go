package importer

import (
	"context"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/prefix"
)

// segmentSize is the most that one segment of an object holds, in bytes of lines. A longer one would compress hardly
// better.
const segmentSize = 256 << 10

// A partition is an object in the making.
type partition struct {
	prefix   string
	stream   int32
	lines    lines    // that wait to be compressed
	pieces   []*piece // that were handed to the compressors
	waiting  atomic.Int32
	ready    chan struct{} // closed when waiting is 0: the partition and all its pieces are closed
	plain    int64         // bytes of lines, compressed ones included
	records  int64         //
	stored   int64         // of them, those that are no error records
	oldest   time.Time     // of the records' instants
	name     xxh3.Uint128
	touched  int64 // number of the last record, to find the longest untouched
	rejected bool
}

// A piece is a segment of an object: on its way through a compressor, then in memory or in the temporary file.
type piece struct {
	segment encode.Segment
	spilled int64 // offset in the temporary file, if segment.Compressed is nil
	length  int
}

type partitionKey struct {
	prefix string
	stream int32
}

// An output turns records into objects in the store. add and closeAll are the sequence's; compressing and putting are
// other goroutines'. What is cut where is decided in add alone, from the records and their order.
type output struct {
	o          Options
	ctx        context.Context
	group      *errgroup.Group
	partitions map[partitionKey]*partition
	pending    int // bytes that the lines' buffers take
	number     int64
	blocks     blockPool
	spill      *spill
	jobs       chan job // to the compressors
	puts       chan *partition
	groups     chan []*partition   // to be put together
	back       *semaphore.Weighted // bytes of the temporary file that are in memory to be put

	objects, bytes, stored, kept atomic.Int64
}

type job struct {
	stream int32
	blocks [][]byte
	piece  *piece
	of     *partition
}

// done is called when a piece is compressed, and when the partition is closed.
func (p *partition) done() {
	if p.waiting.Add(-1) == 0 {
		close(p.ready)
	}
}

func newOutput(ctx context.Context, group *errgroup.Group, o Options) (*output, error) {
	out := &output{
		o: o, ctx: ctx, group: group, partitions: make(map[partitionKey]*partition),
		spill: newSpill(o.TempDir, o.MemoryBytes),
		jobs:  make(chan job, 2*o.Workers), puts: make(chan *partition, o.Puts), groups: make(chan []*partition),
		back: semaphore.NewWeighted(int64(o.MemoryBytes / backShare)),
	}
	for _, output := range o.Outputs { // what is wrong with a level shows here
		if _, err := encode.NewCompressor(output.Compression, output.Level); err != nil {
			return nil, err
		}
	}
	for range o.Workers {
		group.Go(out.compress)
	}
	group.Go(out.gather)
	for range o.Puts {
		group.Go(out.putGroups)
	}
	return out, nil
}

// finish tells the other goroutines that nothing more comes. It is called once, when the sequence has ended.
func (out *output) finish() {
	close(out.jobs)
	close(out.puts)
}

// add appends a record to its partition.
func (out *output) add(r *record) error {
	key := partitionKey{r.prefix, r.stream}
	p := out.partitions[key]
	if p == nil {
		if len(out.partitions) >= out.o.Partitions {
			if err := out.closeUntouched(); err != nil {
				return err
			}
		}
		p = &partition{prefix: r.prefix, stream: r.stream, oldest: r.time, rejected: r.code != "", ready: make(chan struct{})}
		p.waiting.Store(1) // for the partition itself
		out.partitions[key] = p
	}
	out.pending += p.lines.appendLine(&out.blocks, r.line)
	p.plain += int64(len(r.line)) + 1
	p.records++
	if r.code == "" {
		p.stored++
	}
	if r.time.Before(p.oldest) {
		p.oldest = r.time
	}
	p.name = chain(p.name, r.name)
	out.number++
	p.touched = out.number
	switch {
	case p.plain >= out.o.Outputs[p.stream].MaxBytes:
		delete(out.partitions, key)
		return out.close(p)
	case p.lines.size >= segmentSize:
		return out.cut(p)
	case out.pending > out.o.PendingBytes:
		return out.cutLong()
	}
	return nil
}

// chain makes the name of records in their order out of that of all but the last.
func chain(name, next xxh3.Uint128) xxh3.Uint128 {
	var b [32]byte
	binary.LittleEndian.PutUint64(b[0:], name.Hi)
	binary.LittleEndian.PutUint64(b[8:], name.Lo)
	binary.LittleEndian.PutUint64(b[16:], next.Hi)
	binary.LittleEndian.PutUint64(b[24:], next.Lo)
	return xxh3.Hash128(b[:])
}

// cut hands the waiting lines of a partition to the compressors.
func (out *output) cut(p *partition) error {
	if p.lines.size == 0 {
		return nil
	}
	j := job{stream: p.stream, blocks: p.lines.blocks, piece: new(piece), of: p}
	p.waiting.Add(1)
	out.pending -= p.lines.room
	p.lines = lines{}
	p.pieces = append(p.pieces, j.piece)
	select {
	case out.jobs <- j:
		return nil
	case <-out.ctx.Done():
		return out.ctx.Err()
	}
}

// cutLong makes room for a quarter of what may wait: it cuts the partitions with the most lines. The longer a segment,
// the faster and the better it compresses; and to look through all partitions is not needed again soon, however many
// there are.
func (out *output) cutLong() error {
	var room [bits.UintSize + 1]int // bytes taken by partitions of a size, by its bits
	for _, p := range out.partitions {
		room[bits.Len(uint(p.lines.size))] += p.lines.room
	}
	least, freed := bits.UintSize, 0
	for freed < out.o.PendingBytes/4 && least > 0 {
		freed += room[least]
		least--
	}
	for _, p := range out.partitions { // their order makes no difference to any of them
		if bits.Len(uint(p.lines.size)) > least {
			if err := out.cut(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// closeUntouched closes the half of the partitions to which nothing was added for the longest.
func (out *output) closeUntouched() error {
	touched := make([]int64, 0, len(out.partitions))
	for _, p := range out.partitions {
		touched = append(touched, p.touched)
	}
	slices.Sort(touched)
	limit := touched[len(touched)/2]
	return out.closeWhere(func(p *partition) bool { return p.touched <= limit })
}

func (out *output) closeAll() error {
	return out.closeWhere(func(*partition) bool { return true })
}

// closeWhere closes partitions in the order of their prefixes, so that folders are filled one after another.
func (out *output) closeWhere(chosen func(*partition) bool) error {
	var all []*partition
	for key, p := range out.partitions {
		if chosen(p) {
			all = append(all, p)
			delete(out.partitions, key)
		}
	}
	slices.SortFunc(all, func(a, b *partition) int {
		if c := strings.Compare(a.prefix, b.prefix); c != 0 {
			return c
		}
		return int(a.stream) - int(b.stream)
	})
	for _, p := range all {
		if err := out.close(p); err != nil {
			return err
		}
	}
	return nil
}

// close ends a partition's object and hands it over to be put.
func (out *output) close(p *partition) error {
	if err := out.cut(p); err != nil {
		return err
	}
	p.done()
	select {
	case out.puts <- p:
		return nil
	case <-out.ctx.Done():
		return out.ctx.Err()
	}
}

func (out *output) compress() error {
	compressors := make([]*encode.Compressor, len(out.o.Outputs))
	var scratch []byte
	for j := range out.jobs {
		c := compressors[j.stream]
		if c == nil {
			o := out.o.Outputs[j.stream]
			var err error
			if c, err = encode.NewCompressor(o.Compression, o.Level); err != nil {
				return err
			}
			compressors[j.stream] = c
		}
		s := c.Segment(scratch[:0], j.blocks...)
		scratch = s.Compressed[:0]
		out.blocks.put(j.blocks)
		if err := out.spill.keep(j.piece, s); err != nil {
			return err
		}
		j.of.done()
	}
	return nil
}

// key names an object by what it holds.
func (out *output) key(p *partition, kind encode.Kind) string {
	s := out.o.Pipeline.Streams()[p.stream]
	name := p.name.Bytes()
	var size [16]byte
	binary.LittleEndian.PutUint64(size[:8], uint64(p.plain))   //nolint:gosec // a length
	binary.LittleEndian.PutUint64(size[8:], uint64(p.records)) //nolint:gosec // a count
	id := batch.NewID([]byte("import"), []byte(s.Name), []byte(p.prefix), name[:], size[:])
	at := p.oldest.In(out.o.Location(int(p.stream)))
	return prefix.Finish(p.prefix, id) + batch.Name(s.Name, s.Version, at, id, kind.Extension())
}

// count adds what became of the objects.
func (out *output) count(c *Counts) {
	c.Objects, c.Bytes, c.Stored, c.Kept = out.objects.Load(), out.bytes.Load(), out.stored.Load(), out.kept.Load()
	c.Segments = out.spill.count()
}
