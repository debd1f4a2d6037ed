package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"example.org/catchment/internal/disk"
)

// Recovered tells what Open found. Damage that is still in a segment is told again at each Open until that segment is
// trimmed; what was torn is told once.
type Recovered struct {
	Segments int
	Records  int64 // readable payloads
	Bytes    int64 // of all segments
	Closed   bool  // the journal was closed; all of it is proven

	// Lost is damage: bytes that were on the disk once and are no frame now. Records in them were acknowledged.
	Lost []Gap
	// Torn is the unfinished end that a crash leaves, removed now. Nothing in it was acknowledged, unless the disk
	// damaged the very last group before the crash.
	Torn []Gap
}

// Open opens the journal in dir, which it makes if there is none, and repairs what a crash has left. A journal that
// another process has open gives a *disk.LockedError, one of a later format ErrVersion. Damage is no error, see Recovered,
// unless no file of the journal tells its id.
func Open(fsys disk.FS, dir string, o Options) (*Journal, *Recovered, error) {
	j := &Journal{fsys: fsys, dir: dir, o: o.withDefaults()}
	rec, err := j.open()
	if err != nil {
		for _, s := range j.segments {
			_ = s.close()
		}
		if j.lock != nil {
			_ = j.lock.Close()
		}
		return nil, nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	return j, rec, nil
}

func (j *Journal) open() (*Recovered, error) {
	if maker, ok := j.fsys.(disk.Maker); ok {
		if err := maker.MakeDir(j.dir); err != nil {
			return nil, err
		}
	}
	if locker, ok := j.fsys.(disk.Locker); ok {
		lock, err := locker.Lock(filepath.Join(j.dir, lockName))
		if err != nil {
			return nil, err
		}
		j.lock = lock
	}
	found, err := j.find()
	if err != nil {
		return nil, err
	}
	if err := j.identify(found); err != nil {
		return nil, err
	}
	if len(found) > 0 {
		// A process that was killed may have made names that it had no time to sync.
		if err := j.fsys.SyncDir(j.dir); err != nil {
			return nil, err
		}
	}
	r := recovery{j: j, rec: new(Recovered)}
	return r.rec, r.run(found)
}

// A candidate is a segment file before it was scanned.
type candidate struct {
	number uint32
	size   int64
	head   head
	err    error // errHead
}

// mine reports whether the head is whole and of this segment of this journal.
func (c candidate) mine(journal id) bool {
	return c.err == nil && c.head.segment == c.number && c.head.id == journal
}

// find lists the segments by number and removes what was being made at a crash.
func (j *Journal) find() ([]candidate, error) {
	entries, err := j.fsys.List(j.dir)
	if err != nil {
		return nil, err
	}
	var found []candidate
	for _, e := range entries {
		if strings.HasSuffix(e.Name, tmpSuffix) {
			if err := j.fsys.Remove(filepath.Join(j.dir, e.Name)); err != nil {
				return nil, err
			}
			continue
		}
		if number, ok := fileNumber(e.Name, spareSuffix); ok {
			j.spares = append(j.spares, spare{number: number, size: e.Size})
			continue
		}
		number, ok := fileNumber(e.Name, segmentSuffix)
		if !ok {
			continue
		}
		c := candidate{number: number, size: e.Size}
		c.head, c.err = j.readHead(e.Name)
		if c.err != nil && !errors.Is(c.err, errHead) {
			return nil, fmt.Errorf("%s: %w", e.Name, c.err)
		}
		found = append(found, c)
	}
	return found, nil
}

// readHead gives errHead also for a head that the disk does not read any more.
func (j *Journal) readHead(name string) (head, error) {
	f, err := j.fsys.Open(filepath.Join(j.dir, name), disk.ReadOnly)
	if err != nil {
		return head{}, err
	}
	b := make([]byte, headSize)
	err = readFull(f, b, 0)
	if err := f.Close(); err != nil {
		return head{}, err
	}
	if err != nil {
		return head{}, fmt.Errorf("%w: %w", errHead, err)
	}
	return parseHead(b)
}

var (
	errNoID    = errors.New("the journal's id can be read neither in " + idName + " nor in any segment; restore one of them or move the folder away")
	errForeign = errors.New(idName + " is of another journal than all segments")
)

// identify finds the id of the journal: in its own file, else in the heads of the segments, where most agree. It makes a
// new one only in an empty folder: another id would turn all frames that are there into garbage.
func (j *Journal) identify(found []candidate) error {
	votes := map[id]int{}
	var most id
	for _, c := range found {
		if c.err != nil || c.head.segment != c.number {
			continue
		}
		votes[c.head.id]++
		if votes[c.head.id] >= votes[most] {
			most = c.head.id
		}
	}
	h, err := j.readHead(idName)
	switch {
	case err == nil && h.segment == 0:
		j.id = h.id
		if len(votes) > 0 && votes[h.id] == 0 {
			return errForeign
		}
		return nil
	case err != nil && !errors.Is(err, errHead) && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", idName, err)
	case len(votes) > 0:
		j.id = most
	case len(found) > 0:
		return errNoID
	default:
		random := j.o.Random
		if random == nil {
			random = rand.Reader
		}
		if _, err := io.ReadFull(random, j.id[:]); err != nil {
			return fmt.Errorf("make an id: %w", err)
		}
	}
	f, err := j.createFile(idName, head{id: j.id}.bytes())
	if err != nil {
		return fmt.Errorf("create %s: %w", idName, err)
	}
	return f.Close()
}

// A recovery reads all segments and makes the last one ready for appends.
type recovery struct {
	j   *Journal
	rec *Recovered

	floor   uint32 // segments below were given up by the owner
	buf     []byte // of the windows
	records map[uint32]int64
	lost    map[uint32][]Gap
	newest  *newest // nil: the segment after the last one is missing, or there is none at all
}

// newest is what was found of the newest segment, before it is repaired.
type newest struct {
	segment *segment
	head    bool // is whole
	was     uint32
	size    int64
	window  *window
	tail    tail
}

// readable reports whether the disk could read all of it.
func (n *newest) readable() bool { return n.window.bad == nil }

func (r *recovery) run(found []candidate) error {
	r.lost, r.records = map[uint32][]Gap{}, map[uint32]int64{}
	for i, c := range found {
		var next *candidate
		if i+1 < len(found) {
			next = &found[i+1]
		}
		if err := r.segment(c, next); err != nil {
			return err
		}
	}
	if err := r.finishTrim(); err != nil {
		return err
	}
	if err := r.repair(); err != nil {
		return err
	}
	r.missing()
	if err := r.activate(); err != nil {
		return err
	}
	j := r.j
	for _, s := range j.segments {
		j.size += s.end.Load()
		r.rec.Records += r.records[s.number]
		r.rec.Lost = append(r.rec.Lost, r.lost[s.number]...)
	}
	r.rec.Segments, r.rec.Bytes = len(j.segments), j.size
	return nil
}

// segment reads one segment. next is the one after it, if any: it proves this one, and knows where it ends.
func (r *recovery) segment(c candidate, next *candidate) error {
	j := r.j
	s := &segment{number: c.number, name: segmentName(c.number), keys: j.id.keys(c.number)}
	mode := disk.ReadOnly
	if next == nil {
		mode = disk.ReadWrite
	}
	f, err := j.fsys.Open(filepath.Join(j.dir, s.name), mode)
	if err != nil {
		return err
	}
	s.file = f
	j.segments = append(j.segments, s)
	mine := c.mine(j.id)
	switch {
	case mine:
		r.floor = max(r.floor, c.head.oldest)
	case c.err != nil:
		r.lose(s, span{0, headSize}, c.err.Error())
	default:
		r.lose(s, span{0, headSize}, "head is of another journal or segment")
	}
	limit, known := c.size, false
	if next != nil && next.number == c.number+1 && next.mine(j.id) && next.head.previousEnd >= headSize {
		limit, known = int64(next.head.previousEnd), true
	}
	w := &window{f: f, size: c.size, buf: r.buf[:0]}
	sc := scanner{w: w, keys: s.keys}
	sc.tail.start = headSize
	end := int64(headSize)
	gaps := sc.scan(limit, func(f frame, payload []byte) {
		end = f.end()
		r.visit(s, f, payload)
	})
	r.buf = w.buf
	if w.bad != nil {
		r.lose(s, span{headSize, c.size}, w.bad.Error())
	}
	if next == nil && !sc.tail.sealed() {
		r.newest = &newest{segment: s, head: mine, was: c.head.was, size: c.size, window: w, tail: sc.tail}
		r.proven(s, gaps, sc.tail.start)
		return nil
	}
	if n := len(gaps); n > 0 && gaps[n-1].to == limit && !known {
		// Zeros written ahead are no loss; a file of another length was cut to its end, and zeros in it are.
		last, zero := w.zeros(gaps[n-1].from, limit)
		if zero && c.size%aheadUnit == 0 {
			gaps = gaps[:n-1]
		} else if !zero {
			gaps[n-1].to = last + 1
		}
	}
	r.proven(s, gaps, math.MaxInt64)
	s.end.Store(end)
	return s.suspend()
}

// visit takes in one valid frame.
func (r *recovery) visit(s *segment, f frame, payload []byte) {
	switch f.kind {
	case kindRecord:
		r.records[s.number]++
	case kindTrim:
		if len(payload) == 4 {
			r.floor = max(r.floor, le.Uint32(payload))
		}
	}
}

// proven reports the parts of gaps that were on the disk once: those before the start of the last group.
func (r *recovery) proven(s *segment, gaps []span, start int64) {
	for _, g := range gaps {
		if g.from < start {
			g.to = min(g.to, start)
			s.gaps = append(s.gaps, g)
			r.lose(s, g, "no valid frame")
		}
	}
}

func (r *recovery) lose(s *segment, g span, reason string) {
	gap := Gap{Segment: s.number, From: g.from, To: g.to, Reason: reason}
	r.lost[s.number] = append(r.lost[s.number], gap)
}

// finishTrim removes the segments that a Trim was about to remove.
func (r *recovery) finishTrim() error {
	j := r.j
	removed := false
	for len(j.segments) > 1 && j.segments[0].number < r.floor {
		s := j.segments[0]
		j.segments = j.segments[1:]
		if err := errors.Join(s.close(), j.fsys.Remove(filepath.Join(j.dir, s.name))); err != nil {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return j.fsys.SyncDir(j.dir)
}
