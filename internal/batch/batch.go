// Package batch groups journal positions by partition.
//
// Bytes stay on disk: a pending record costs its position (8 bytes) and a pending partition a few hundred bytes, so
// that a million records in a hundred thousand partitions are some 40 MB. Nothing here walks all partitions: a record
// is added, and the next batch found, in time that does not grow with their number but for the logarithm of a heap.
//
// A batch is due when its lines reach the stream's size, when its oldest record has waited for the stream's age (a
// record that comes later does not prolong it), or when the caller asks for everything. A batch that is full is closed:
// records that follow open a new one, so that no object outgrows its limit however long the store is away.
package batch

import "time"

// A Position says where the journal holds a record; a later record has a larger one.
type Position uint64

// Limits say when a batch of a stream is due: at whichever comes first.
type Limits struct {
	Bytes int64         // of lines, newlines included, before compression; 0: no limit
	Age   time.Duration // since the arrival of the oldest record
	Count int           // of records; 0: no limit
}

// A Sum is a digest of a set of records, whatever their order: the sum of theirs.
type Sum [2]uint64

// Add returns the sum of both sets.
func (s Sum) Add(t Sum) Sum { return Sum{s[0] + t[0], s[1] + t[1]} }

// Sub returns the sum of s without t.
func (s Sum) Sub(t Sum) Sum { return Sum{s[0] - t[0], s[1] - t[1]} }

// A Record is what the batcher needs to know of a record.
type Record struct {
	Stream   int    // index into the limits
	Prefix   string // evaluated; with the stream it is the partition
	Position Position
	Size     int       // of its line in the object, newline included
	Arrival  time.Time // its age counts from here
	Instant  time.Time // the prefix was evaluated at this instant
	Digest   Sum
}

// A Batch is a set of records that become one object.
type Batch struct {
	Stream    int
	Prefix    string
	Positions []Position // in the order in which they were added
	Bytes     int64      // of lines
	Arrival   time.Time  // of the oldest record
	Instant   time.Time  // the oldest of the records' instants
	Sum       Sum        // of the records' digests
}

// partition is an open batch. Times are Unix milliseconds: there are many of these.
type partition struct {
	prefix    string
	positions []Position
	bytes     int64
	arrival   int64
	instant   int64
	sum       Sum
	stream    int32
	heap      int32 // its index in the stream's heap
}

func (p *partition) batch() Batch {
	return Batch{
		Stream: int(p.stream), Prefix: p.prefix, Positions: p.positions, Bytes: p.bytes,
		Arrival: time.UnixMilli(p.arrival).UTC(), Instant: time.UnixMilli(p.instant).UTC(), Sum: p.sum,
	}
}

type key struct {
	prefix string
	stream int32
}

// A Batcher holds the pending records. It is not safe for concurrent use.
type Batcher struct {
	limits     []Limits
	partitions map[key]*partition
	ages       []ages  // by stream: its open batches, the oldest first
	closed     []Batch // full ones, in the order in which they filled up
	held       bool
	records    int
	bytes      int64
}

// New returns a Batcher for streams with these limits.
func New(limits []Limits) *Batcher {
	return &Batcher{
		limits:     append([]Limits(nil), limits...),
		partitions: make(map[key]*partition),
		ages:       make([]ages, len(limits)),
	}
}

// Limit sets the limits of a stream, which may be a new one.
func (b *Batcher) Limit(stream int, l Limits) {
	for len(b.limits) <= stream {
		b.limits = append(b.limits, Limits{})
		b.ages = append(b.ages, nil)
	}
	b.limits[stream] = l
}

// Add takes a record. It panics if the stream is not one of the limits'.
func (b *Batcher) Add(r Record) {
	k := key{r.Prefix, int32(r.Stream)} //nolint:gosec // an index into the limits
	p := b.partitions[k]
	arrival, instant := r.Arrival.UnixMilli(), r.Instant.UnixMilli()
	if p == nil {
		p = &partition{prefix: r.Prefix, stream: k.stream, arrival: arrival, instant: instant}
		b.partitions[k] = p
		b.ages[r.Stream].push(p)
	}
	p.positions = append(p.positions, r.Position)
	p.bytes += int64(r.Size)
	p.sum = p.sum.Add(r.Digest)
	p.instant = min(p.instant, instant)
	if arrival < p.arrival {
		p.arrival = arrival
		b.ages[r.Stream].older(p)
	}
	b.records++
	b.bytes += int64(r.Size)
	if !b.held {
		b.closeFull(p)
	}
}

func (b *Batcher) closeFull(p *partition) {
	l := b.limits[p.stream]
	if l.Bytes > 0 && p.bytes >= l.Bytes || l.Count > 0 && len(p.positions) >= l.Count {
		b.remove(p)
		b.closed = append(b.closed, p.batch())
	}
}

func (b *Batcher) remove(p *partition) {
	delete(b.partitions, key{p.prefix, p.stream})
	b.ages[p.stream].remove(p)
}

func (b *Batcher) take(t Batch) Batch {
	b.records -= len(t.Positions)
	b.bytes -= t.Bytes
	return t
}

// HasFull reports whether a batch is full.
func (b *Batcher) HasFull() bool { return len(b.closed) > 0 }

// Each calls fn with the stream and the position of every pending record.
func (b *Batcher) Each(fn func(stream int, at Position)) {
	for i := range b.closed {
		for _, at := range b.closed[i].Positions {
			fn(b.closed[i].Stream, at)
		}
	}
	for _, p := range b.partitions {
		for _, at := range p.positions {
			fn(int(p.stream), at)
		}
	}
}

// Full returns the next batch that is full, which is no longer pending then.
func (b *Batcher) Full() (Batch, bool) {
	if len(b.closed) == 0 {
		return Batch{}, false
	}
	t := b.closed[0]
	b.closed[0] = Batch{}
	if b.closed = b.closed[1:]; len(b.closed) == 0 {
		b.closed = nil
	}
	return b.take(t), true
}

// Due returns the next batch that is due at now, which is no longer pending then: those that are full first, then
// those of age, the one that has waited longest beyond its stream's age first.
func (b *Batcher) Due(now time.Time) (Batch, bool) {
	if t, ok := b.Full(); ok {
		return t, true
	}
	p, at := b.next()
	if p == nil || now.UnixMilli() < at {
		return Batch{}, false
	}
	b.remove(p)
	return b.take(p.batch()), true
}

// Any returns the next batch whether it is due or not, the most urgent first.
func (b *Batcher) Any() (Batch, bool) {
	if t, ok := b.Full(); ok {
		return t, true
	}
	p, _ := b.next()
	if p == nil {
		return Batch{}, false
	}
	b.remove(p)
	return b.take(p.batch()), true
}

// Next returns when the next open batch will be due by its age; false when none is open. A batch that is full is due
// already and is not considered.
func (b *Batcher) Next() (time.Time, bool) {
	p, at := b.next()
	return time.UnixMilli(at).UTC(), p != nil
}

func (b *Batcher) next() (first *partition, at int64) {
	for stream, a := range b.ages {
		if len(a) == 0 {
			continue
		}
		if due := a[0].arrival + b.limits[stream].Age.Milliseconds(); first == nil || due < at {
			first, at = a[0], due
		}
	}
	return first, at
}

// Oldest returns the arrival of the oldest pending record; false when nothing is pending.
func (b *Batcher) Oldest() (time.Time, bool) {
	var oldest time.Time
	found := false
	for _, a := range b.ages {
		if len(a) > 0 {
			if t := time.UnixMilli(a[0].arrival).UTC(); !found || t.Before(oldest) {
				oldest, found = t, true
			}
		}
	}
	if len(b.closed) > 0 { // they filled up in this order: the first is the oldest, or nearly
		if t := b.closed[0].Arrival; !found || t.Before(oldest) {
			oldest, found = t, true
		}
	}
	return oldest, found
}

// Records returns how many records are pending.
func (b *Batcher) Records() int { return b.records }

// Bytes returns the size of the pending records' lines.
func (b *Batcher) Bytes() int64 { return b.bytes }

// Partitions returns how many partitions have pending records; one that filled up and was opened again counts for each.
func (b *Batcher) Partitions() int { return len(b.partitions) + len(b.closed) }

// Hold keeps batches open that are full, for as long as records may still be removed: until Release.
func (b *Batcher) Hold() { b.held = true }

// Release ends Hold. A batch that outgrew its limits in the meantime is closed as it is.
func (b *Batcher) Release() {
	b.held = false
	for _, a := range b.ages {
		for _, p := range append([]*partition(nil), a...) {
			b.closeFull(p)
		}
	}
}

// Remove takes records of an open batch back: those at the positions, which ascend, as do those that were added to it.
// bytes and sum are theirs; the times of the batch stay as they are until it is empty. It returns how many were found.
func (b *Batcher) Remove(stream int, prefix string, positions []Position, bytes int64, sum Sum) int {
	p := b.partitions[key{prefix, int32(stream)}] //nolint:gosec // an index into the limits
	if p == nil {
		return 0
	}
	kept, asked := p.positions[:0], int64(len(positions))
	for _, at := range p.positions {
		for len(positions) > 0 && positions[0] < at {
			positions = positions[1:]
		}
		if len(positions) > 0 && positions[0] == at {
			positions = positions[1:]
			continue
		}
		kept = append(kept, at)
	}
	found := len(p.positions) - len(kept)
	if found == 0 {
		return 0
	}
	bytes = bytes * int64(found) / asked // some of them may be damaged, and unknown here
	p.positions = kept
	p.bytes -= bytes
	p.sum = p.sum.Sub(sum)
	b.records -= found
	b.bytes -= bytes
	if len(kept) == 0 {
		b.bytes -= p.bytes // nothing is left: whatever the caller said, neither are bytes
		b.remove(p)
	}
	return found
}
