// Package duplicate remembers which records were taken lately, so that one that is delivered again is recognised.
//
// A record is remembered by a digest of 16 bytes over its stream, its event id and its own bytes: an event that comes
// again under the same id with other content is another record, and is not lost. The digest is keyed by a seed that is
// random and never leaves the disk, so that nobody can make a finding that looks like one that was taken.
//
// The window holds the last Options.Count digests, and none for longer than Options.Age. It costs 28 bytes each: 56 MB
// for two million, taken as they come.
//
// # Files
//
// The window outlives the process in a folder, which the owner brings up to date with Checkpoint:
//
//	SEED                    the seed
//	0000000000010000.seen   65,536 digests or fewer; the name is the number of the first, in hexadecimal
//
// All numbers are little endian. This is version 1; doc/format/duplicates.md tells the same with an example.
//
//	SEED    +----------------+-------------+----------+---------+
//	        | magic catchsed | version (4) | seed (8) | crc (4) |
//	        +----------------+-------------+----------+---------+
//	.seen   +----------------+-------------+-----------+-----------+------------------------------+-- .. --+---------+
//	        | magic catchdup | version (4) | count (4) | first (8) | digest (16), seconds (4)     |        | crc (4) |
//	        +----------------+-------------+-----------+-----------+------------------------------+-- .. --+---------+
//
// crc is CRC-32C of all before it; seconds is Unix time, when the record was taken. A file is replaced whole, by a
// rename. A file that is damaged is left out and reported: its records would be taken again, none is lost.
package duplicate

import (
	"encoding/binary"
	"time"

	"github.com/zeebo/xxh3"
)

// Options bound a Window.
type Options struct {
	Count int           // digests; 0: nothing is remembered
	Age   time.Duration // 0: no bound
}

// A Digest stands for one record.
type Digest [16]byte

// A Hasher makes digests.
type Hasher struct{ seed uint64 }

// Digest returns the digest of a record. scope tells apart what is accepted for different ends: the name of a stream.
func (h Hasher) Digest(scope string, eventID, record []byte) Digest {
	seed := xxh3.HashSeed(eventID, xxh3.HashStringSeed(scope, h.seed))
	return Digest(xxh3.Hash128Seed(record, seed).Bytes())
}

const (
	blockSize  = 1 << 12 // digests that the ring takes memory for at a time
	leastSlots = 1 << 10 // of the index
)

// A Window is the set of digests. It is not safe for concurrent use.
type Window struct {
	o    Options
	next uint64 // number of the next digest; numbers go on over restarts
	live uint64 // the oldest number that is still held

	// The digest of number n is at n % Count of the ring, which is a list of blocks.
	blocks []*block
	// index is a hash table with linear probing: a slot holds the place in the ring plus one, 0 is empty. A place is in
	// at most one slot; when a digest was added again, only its later place is.
	index []uint32
	mask  uint32

	filed uint64 // all before it are in files
	open  uint64 // the first number of the file that is not full
	seen  map[uint64]uint64
}

type block struct {
	digests [blockSize]Digest
	seconds [blockSize]uint32
}

// NewWindow returns an empty window that has no files.
func NewWindow(o Options) *Window {
	o.Count = min(max(o.Count, 0), 1<<30)
	w := &Window{o: o, seen: make(map[uint64]uint64)}
	if o.Count == 0 {
		return w
	}
	w.index, w.mask = make([]uint32, leastSlots), leastSlots-1
	w.blocks = make([]*block, (o.Count+blockSize-1)/blockSize)
	return w
}

// Len returns how many digests are held; some may be past their age.
func (w *Window) Len() int { return int(w.next - w.live) } //nolint:gosec // at most Count

// Seen reports whether d was added less than Age before now.
func (w *Window) Seen(d Digest, now time.Time) bool {
	if w.o.Count == 0 {
		return false
	}
	slot, found := w.find(d)
	return found && !w.old(w.index[slot]-1, now)
}

// Add remembers d from now on, also if it was seen before. The oldest digests make room, by age and by count.
func (w *Window) Add(d Digest, now time.Time) {
	if w.o.Count == 0 {
		return
	}
	for w.live < w.next && (w.Len() == w.o.Count || w.old(w.place(w.live), now)) {
		w.drop()
	}
	if 2*(w.Len()+1) > len(w.index) {
		w.grow()
	}
	place := w.place(w.next)
	slot, _ := w.find(d)
	w.index[slot] = place + 1
	b := w.blocks[place/blockSize]
	if b == nil {
		b = new(block)
		w.blocks[place/blockSize] = b
	}
	b.digests[place%blockSize] = d
	b.seconds[place%blockSize] = uint32(max(0, now.Unix())) //nolint:gosec // good until 2106
	w.next++
}

// grow doubles the index: half of it stays empty. It starts small, as most windows stay.
func (w *Window) grow() {
	slots := uint32(2 * len(w.index)) //nolint:gosec // at most 2^31
	w.index, w.mask = make([]uint32, slots), slots-1
	for number := w.live; number < w.next; number++ { // of a digest that was added again, the later place stays
		place := w.place(number)
		d, _ := w.at(place)
		slot, _ := w.find(d)
		w.index[slot] = place + 1
	}
}

func (w *Window) place(number uint64) uint32 {
	return uint32(number % uint64(w.o.Count)) //nolint:gosec // Count is positive and at most 2^30
}

func (w *Window) at(place uint32) (Digest, uint32) {
	b := w.blocks[place/blockSize]
	return b.digests[place%blockSize], b.seconds[place%blockSize]
}

func (w *Window) old(place uint32, now time.Time) bool {
	_, seconds := w.at(place)
	return w.o.Age > 0 && now.Sub(time.Unix(int64(seconds), 0)) >= w.o.Age
}

func (w *Window) home(d Digest) uint32 {
	return binary.LittleEndian.Uint32(d[:]) & w.mask
}

// find returns the slot of d, or the empty slot where it would be.
func (w *Window) find(d Digest) (slot uint32, found bool) {
	for slot = w.home(d); w.index[slot] != 0; slot = (slot + 1) & w.mask {
		if other, _ := w.at(w.index[slot] - 1); other == d {
			return slot, true
		}
	}
	return slot, false
}

// Forget makes d one that was never added, until its file is read again after a restart: what it stood for was lost, and
// is to be taken when it comes again. Its place stays taken.
func (w *Window) Forget(d Digest) {
	if w.o.Count == 0 {
		return
	}
	slot, found := w.find(d)
	if !found {
		return
	}
	place := w.index[slot] - 1
	w.clear(slot)
	w.blocks[place/blockSize].digests[place%blockSize] = Digest{}
}

// drop forgets the oldest digest.
func (w *Window) drop() {
	place := w.place(w.live)
	w.live++
	d, _ := w.at(place)
	slot, found := w.find(d)
	if !found || w.index[slot] != place+1 {
		return // it was added again later, or forgotten
	}
	w.clear(slot)
}

// clear empties a slot of the index.
func (w *Window) clear(slot uint32) {
	// Whoever was pushed over this slot moves back, so that no search stops at the hole before it.
	for next := (slot + 1) & w.mask; w.index[next] != 0; next = (next + 1) & w.mask {
		other, _ := w.at(w.index[next] - 1)
		if home := w.home(other); (next-home)&w.mask >= (next-slot)&w.mask {
			w.index[slot] = w.index[next]
			slot = next
		}
	}
	w.index[slot] = 0
}
