// Package collector moves what sources deliver into the bucket, exactly once, over crashes.
//
// # The way of a record
//
//	Deliver    route, leave out what was taken before ──▶ one append to the journal ──▶ the source may acknowledge
//	                                                           │ positions
//	                                                           ▼
//	dispatch   what is due is sealed: its key and the positions of its records go into the journal
//	put        read the lines, encode, put; again and again, under the same key with the same bytes, until it is there
//	commit     that it is stored goes into the journal; segments with nothing pending are deleted
//
// What becomes of a record depends on the journal alone. Before the seal a crash leaves a pending record, which is
// batched again; after it the sealed batch, which is put again under its key: a store takes the same bytes again
// without a change. That an object is stored needs no fsync of its own: were it forgotten, the object is put again.
//
// # Once
//
// A record that was taken within the window of duplicates is not taken again. Records that are being written by one
// Deliver while another brings them again are waited for: the second returns once they are on disk, and takes them
// itself if they did not get there.
//
// An object's key holds a digest of its records, of their place in the journal, and of a secret of the journal. So an
// object that is there with other bytes was put from the same sealed batch: by another version of the compressor, or
// before a part of the journal was damaged. It counts as stored (Events.Existed).
//
// # What is lost
//
// A record whose frame is damaged is reported with its position (Events.Lost, Stats.Lost) and left out of its object,
// whose key stays as it was. A damaged sealed or stored payload loses nothing, but its records may be put twice.
// Nothing else is ever dropped: not in an outage of the store, not on a full disk, not at the end of the grace.
//
// # Order
//
// Locks: mu is the only one; it is never held over I/O. Goroutines, all started by Run and waited for by it: one per
// source, dispatch, Options.Puts workers, commit. They stop in the direction of the data: sources, dispatch, workers,
// commit. Until Run is called nothing is put, but Deliver works.
//
// doc/format/journal-payloads.md draws what is written into the journal.
package collector

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/document"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/journal"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store"
)

// A Router tells what becomes of a document; *pipeline.Router is one. It is used by one goroutine at a time.
type Router interface {
	Route(doc document.Document, in pipeline.Arrival, emit func(*pipeline.Outcome))
}

// A Stream is how the objects of a stream are made.
type Stream struct {
	Name        string
	Version     int
	Limits      batch.Limits
	Compression encode.Kind
	Level       int            // 0: the compression's default
	Location    *time.Location // of the time in object names; nil: UTC
}

// Options of a Collector. Zero fields mean what their comments say.
type Options struct {
	NewRouter func() Router
	Streams   []Stream // in the order of Outcome.Stream
	Origin    string   // pipeline.Arrival.Origin

	FS         disk.FS
	Dir        string // of the journal
	Journal    journal.Options
	Duplicates duplicate.Options

	// Store is put to until it takes an object, so it had better wait between attempts: see store.Retry.
	Store store.Store
	Puts  int // at once; 0: 4

	// Stays says that a source.Patient will be run: records that are pending, those of an earlier run included, are tracked
	// until they are in the bucket. It costs some 170 bytes a pending record.
	Stays bool

	// Patience is how long one put may keep others waiting before it goes to the back of the queue; 0: a minute.
	Patience   time.Duration
	RetryAfter time.Duration // told to sources while the journal is full; 0: the source chooses

	Events Events
	Random io.Reader        // nil: crypto/rand
	Now    func() time.Time // nil: time.Now
}

const windowDir = "seen" // the window of duplicates, in the journal's folder

// A Collector is the engine of catchment run.
type Collector struct {
	o       Options
	journal *journal.Journal
	files   *duplicate.Files
	hasher  duplicate.Hasher
	streams map[streamKey]int // name and version to index
	kick    chan struct{}     // holds 1: dispatch has to look
	intakes sync.Pool         // of *intake
	filing  sync.Mutex        // held over files.Write: one snapshot at a time
	retry   time.Duration     // after the disk was full

	mu       sync.Mutex
	batcher  *batch.Batcher    // guarded by mu, like all below
	window   *duplicate.Window //
	stats    Stats             // its counters
	claims   map[duplicate.Digest]*claim
	appends  map[*claim]uint32 // the segment that was active when an append began
	segments map[uint32]int    // how many records of a segment are not stored
	sealing  map[*seal]struct{}
	queue    []*seal // sealed, waiting for a worker
	wake     time.Time
	draining bool
	hurried  time.Time                           // what arrived until then is due; zero: nothing is hurried
	staying  map[batch.Position]visit            // with Options.Stays: what is pending
	found    map[duplicate.Digest]batch.Position // in staying
}

type streamKey struct {
	name    string
	version int
}

// unknown is for records of a stream that the spec no longer has: they are delivered all the same.
var unknown = Stream{Limits: batch.Limits{Bytes: 64 << 20, Age: 5 * time.Minute}, Compression: encode.Gzip}

// maxCount bounds the records of an object, so that a sealed payload stays far below what the journal takes.
const maxCount = 1 << 20

// Open opens the journal and finds out what an earlier run has left to do. A journal that another process has gives a
// *disk.LockedError.
func Open(o Options) (*Collector, error) {
	if o.Puts <= 0 {
		o.Puts = 4
	}
	if o.Patience <= 0 {
		o.Patience = time.Minute
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Journal.Random = o.Random
	o.Streams = append([]Stream(nil), o.Streams...)
	c := &Collector{
		o: o, retry: time.Second, kick: make(chan struct{}, 1), streams: make(map[streamKey]int),
		claims: make(map[duplicate.Digest]*claim), appends: make(map[*claim]uint32),
		segments: make(map[uint32]int), sealing: make(map[*seal]struct{}),
	}
	if o.Stays {
		c.staying, c.found = make(map[batch.Position]visit), make(map[duplicate.Digest]batch.Position)
	}
	c.stats.Rejected = make(map[string]int64)
	for i, s := range o.Streams {
		c.streams[streamKey{s.Name, s.Version}] = i
	}
	c.intakes.New = func() any { return &intake{router: o.NewRouter()} }

	j, recovered, err := journal.Open(o.FS, o.Dir, o.Journal)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	c.journal = j
	err = c.recover(recovered)
	if err == nil {
		err = c.trim() // a crash may have come before it
	}
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return c, nil
}

// openWindow reads the window of duplicates.
func (c *Collector) openWindow() error {
	dir := filepath.Join(c.o.Dir, windowDir)
	if m, ok := c.o.FS.(disk.Maker); ok {
		if err := m.MakeDir(dir); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	files, window, hasher, damage, err := duplicate.Open(c.o.FS, dir, c.o.Duplicates, c.o.Random)
	if err != nil {
		return fmt.Errorf("open the window of duplicates: %w", err)
	}
	for _, err := range damage {
		c.damaged(err)
	}
	c.files, c.window, c.hasher = files, window, hasher
	return nil
}

// Close lets go of the journal, after Run and all Delivers have ended. When nothing is pending the journal is left
// empty, so that the next start is a quick one.
func (c *Collector) Close() error {
	c.mu.Lock()
	idle := len(c.segments) == 0
	c.mu.Unlock()
	var err error
	if idle {
		err = c.journal.Roll()
	}
	if err == nil {
		err = c.trim()
	}
	if errors.Is(err, journal.ErrPoisoned) || errors.Is(err, journal.ErrClosed) {
		err = nil // was told before
	}
	if err = errors.Join(err, c.journal.Close()); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

func (c *Collector) stream(i int) *Stream { return &c.o.Streams[i] }

func (c *Collector) damaged(err error) {
	if c.o.Events.Damaged != nil {
		c.o.Events.Damaged(err)
	}
}

func (c *Collector) delayed(stage string, err error) {
	if c.o.Events.Delayed != nil {
		c.o.Events.Delayed(stage, err)
	}
}

// nudge makes dispatch look again.
func (c *Collector) nudge() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// sleep waits, or returns false when ctx is done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
