package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"example.org/catchment/internal/disk"
)

// Options of Open. The zero value of each field means its default.
type Options struct {
	SegmentBytes int64     // a segment is followed by the next before it grows over this; a larger call gets one for itself; 64 MiB
	MaxPayload   int       // bytes of one payload; 64 MiB
	MaxBytes     int64     // bytes of all segments, see ErrFull; no bound
	GroupBytes   int       // a group takes no further call over this; 4 MiB
	Random       io.Reader // of the id of a new journal; crypto/rand. It must be unpredictable to who sends payloads
}

const (
	maxCall    = 1 << 30 // bytes of the frames of one call: offsets have 32 bits
	maxSegment = 2 << 30
)

func (o Options) withDefaults() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 64 << 20
	}
	o.SegmentBytes = min(o.SegmentBytes, maxSegment)
	if o.MaxPayload <= 0 {
		o.MaxPayload = 64 << 20
	}
	o.MaxPayload = min(o.MaxPayload, maxCall-frameHead-alignment)
	if o.GroupBytes <= 0 {
		o.GroupBytes = 4 << 20
	}
	return o
}

// A Position is where a payload is. It is valid, over restarts, until its segment is trimmed.
type Position struct {
	Segment uint32
	Offset  uint32
}

func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Segment, p.Offset) }

// What callers of a Journal branch on.
var (
	// ErrFull says that the journal has reached Options.MaxBytes; nothing was written. Trimming makes room.
	ErrFull = errors.New("journal is full")
	// ErrTooLarge says that a payload or a call can never be appended.
	ErrTooLarge = errors.New("too large for the journal")
	// ErrClosed says that Close was called.
	ErrClosed = errors.New("journal is closed")
	// ErrPoisoned says that an earlier write or fsync failed in a way that leaves unknown what is on the disk. Only
	// opening the journal again helps.
	ErrPoisoned = errors.New("journal must be opened again")
	// ErrTrimmed says that a position is in no segment of the journal.
	ErrTrimmed = errors.New("no such segment")
)

// A CorruptionError says where a frame that should be there is not.
type CorruptionError struct {
	Segment uint32
	Offset  int64
	Reason  string
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("journal segment %d at %d: %s", e.Segment, e.Offset, e.Reason)
}

// A Journal is a log in a folder. All methods may be called concurrently. It has no goroutine of its own: one of the
// callers of Append writes for all who wait.
type Journal struct {
	fsys disk.FS
	dir  string
	id   id
	o    Options
	lock io.Closer

	mu       sync.Mutex // guards what follows; never held over I/O
	queue    []*call
	leading  bool // a caller is writing, or was woken to
	segments []*segment
	size     int64 // of all segments
	queued   int64 // bytes in queue and in the group being written
	poison   error
	opened   []*segment // whose files were opened for reading, oldest first
	spares   []spare
	closed   bool

	// The caller that leads owns these.
	active   *segment
	closedAt int64 // active.end right after a close frame: no other is needed
	buf      []byte
	group    []*call
}

// A segment is one file of the journal.
type segment struct {
	number uint32
	name   string
	keys   keys
	gaps   []span // of which Open has told

	end atomic.Int64 // frames before it are on the disk

	// The caller that leads owns these, while the segment is active.
	filled int64 // the file has bytes from end to here that only need overwriting
	reused bool  // they are of another segment, not zeros

	mu   sync.RWMutex // guards file: read-held while reading
	file disk.File    // nil until needed, and once gone
	gone bool         // trimmed, or the journal closed
}

// Size gives the bytes of all segments.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// Segments gives the lowest segment there is, and the one being written.
func (j *Journal) Segments() (oldest, active uint32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[0].number, j.segments[len(j.segments)-1].number
}

// Close waits for the appends under way, marks the end and lets go of the files and the lock. Appends that come later
// get ErrClosed. A second Close does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	err := j.run(context.Background(), &call{kind: kindClose, wake: make(chan struct{}, 1)})
	if errors.Is(err, ErrPoisoned) {
		err = nil // whoever appended was told
	}
	j.mu.Lock()
	segments := j.segments
	j.mu.Unlock()
	for _, s := range segments {
		err = errors.Join(err, s.close())
	}
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("close journal %s: %w", j.dir, err)
	}
	return nil
}

// close ends the reading of s for good. It waits for reads under way.
func (s *segment) close() error {
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	return s.suspend()
}

// suspend closes the file until it is needed again. It waits for reads under way.
func (s *segment) suspend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}
