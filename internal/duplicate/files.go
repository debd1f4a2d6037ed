package duplicate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/disk"
)

// Part of the format on disk: these must not change.
const (
	seedMagic  = "catchsed"
	seenMagic  = "catchdup"
	version    = 1
	seedName   = "SEED"
	seenSuffix = ".seen"
	tmpSuffix  = ".tmp"
	seedSize   = 24
	headSize   = 24
	entrySize  = 20
	perFile    = 1 << 16 // digests
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Files keep a window on disk.
type Files struct {
	fsys disk.FS
	dir  string
}

// A DamagedError says that a file of the window is left out: records that it knew will be taken again.
type DamagedError struct {
	File   string
	Reason string
}

func (e *DamagedError) Error() string { return fmt.Sprintf("%s: %s", e.File, e.Reason) }

// Open reads the window that is kept in dir, which exists, or makes a new one; random gives its seed and must be
// unpredictable. Of what is damaged it returns a *DamagedError each, and goes on without.
func Open(fsys disk.FS, dir string, o Options, random io.Reader) (*Files, *Window, Hasher, []error, error) {
	f := &Files{fsys: fsys, dir: dir}
	h, damaged, err := f.seed(random)
	if err != nil {
		return nil, nil, Hasher{}, nil, err
	}
	var damage []error
	if damaged != nil {
		damage = append(damage, damaged)
	}
	entries, err := fsys.List(dir)
	if err != nil {
		return nil, nil, Hasher{}, nil, fmt.Errorf("list %s: %w", dir, err)
	}
	w := NewWindow(o)
	whole, end := true, uint64(0)
	for _, e := range entries { // by name, which is by number
		if strings.HasSuffix(e.Name, tmpSuffix) {
			if err := fsys.Remove(filepath.Join(dir, e.Name)); err != nil {
				return nil, nil, Hasher{}, nil, fmt.Errorf("remove what a crash left: %w", err)
			}
			continue
		}
		first, ok := seenNumber(e.Name)
		if !ok {
			continue
		}
		count, err := f.load(w, e.Name, first)
		var bad *DamagedError
		switch {
		case errors.As(err, &bad):
			damage = append(damage, err)
		case err != nil:
			return nil, nil, Hasher{}, nil, err
		}
		w.seen[first], w.open, end = first+count, first, first+perFile
		if count == perFile {
			w.open = end
		}
		whole = whole && err == nil && w.next == first+count
	}
	if !whole {
		w = w.renumbered(end)
	} else {
		w.filed = w.next
	}
	return f, w, h, damage, nil
}

// renumbered gives the digests new numbers from first, all in files yet to be written; those they are in are stale.
func (w *Window) renumbered(first uint64) *Window {
	r := NewWindow(w.o)
	r.next, r.live, r.filed, r.open = first, first, first, first
	for n := w.live; n < w.next; n++ {
		d, seconds := w.at(w.place(n))
		r.Add(d, time.Unix(int64(seconds), 0))
	}
	for old := range w.seen {
		r.seen[old] = 0
	}
	return r
}

// seed reads the seed; without a good one it makes a new one, and what was remembered by the old one is worthless.
func (f *Files) seed(random io.Reader) (Hasher, error, error) {
	var damaged error
	name := filepath.Join(f.dir, seedName)
	b, err := f.read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return Hasher{}, nil, fmt.Errorf("read %s: %w", name, err)
	case len(b) == seedSize && string(b[:8]) == seedMagic && sumIsGood(b):
		if v := binary.LittleEndian.Uint32(b[8:]); v != version {
			return Hasher{}, nil, fmt.Errorf("%s: version %d of the format, not %d", name, v, version)
		}
		return Hasher{binary.LittleEndian.Uint64(b[12:])}, nil, nil
	default:
		damaged = &DamagedError{name, "is damaged: a new seed was made, nothing taken before is recognised"}
	}
	b = make([]byte, 0, seedSize)
	b = append(b, seedMagic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = b[:20]
	if _, err := io.ReadFull(random, b[12:20]); err != nil {
		return Hasher{}, nil, fmt.Errorf("make a seed: %w", err)
	}
	h := Hasher{binary.LittleEndian.Uint64(b[12:])}
	return h, damaged, f.write(seedName, appendSum(b))
}

func appendSum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func sumIsGood(b []byte) bool {
	n := len(b) - 4
	return n >= 0 && crc32.Checksum(b[:n], castagnoli) == binary.LittleEndian.Uint32(b[n:])
}

func seenFile(first uint64) string { return fmt.Sprintf("%016x%s", first, seenSuffix) }

func seenNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, seenSuffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 63)
	return n, err == nil && seenFile(n) == name
}

// load adds the digests of one file.
func (f *Files) load(w *Window, file string, first uint64) (uint64, error) {
	name := filepath.Join(f.dir, file)
	b, err := f.read(name)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) < headSize+4 || string(b[:8]) != seenMagic || !sumIsGood(b) {
		return 0, &DamagedError{name, "is damaged"}
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return 0, fmt.Errorf("%s: version %d of the format, not %d", name, v, version)
	}
	count := uint64(binary.LittleEndian.Uint32(b[12:]))
	if binary.LittleEndian.Uint64(b[16:]) != first || uint64(len(b)) != headSize+4+count*entrySize {
		return 0, &DamagedError{name, "does not hold what its name says"}
	}
	if w.next == w.live { // the oldest file
		w.next, w.live = first, first
	}
	for e := b[headSize : len(b)-4]; len(e) > 0; e = e[entrySize:] {
		w.Add(Digest(e), time.Unix(int64(binary.LittleEndian.Uint32(e[16:])), 0))
	}
	return count, nil
}

// A Snapshot is what Files.Write brings to disk.
type Snapshot struct {
	to    uint64
	files []snapshotFile
	stale []uint64 // files of which nothing is held any more
}

type snapshotFile struct {
	first, count uint64
	bytes        []byte
}

// Snapshot copies what is not in files yet. It takes time and memory by what was added since the last.
func (w *Window) Snapshot() Snapshot {
	s := Snapshot{to: w.next}
	for first, end := range w.seen {
		if end <= w.live && first != w.open {
			s.stale = append(s.stale, first)
		}
	}
	if w.filed == w.next || w.o.Count == 0 {
		return s
	}
	first := w.open
	if first < w.live {
		first = max(w.live, w.filed) // the file that was open, as it is, is full
	}
	for first < w.next {
		count := min(w.next-first, perFile)
		b := make([]byte, 0, headSize+4+count*entrySize)
		b = append(b, seenMagic...)
		b = binary.LittleEndian.AppendUint32(b, version)
		b = binary.LittleEndian.AppendUint32(b, uint32(count)) //nolint:gosec // at most perFile
		b = binary.LittleEndian.AppendUint64(b, first)
		for n := first; n < first+count; n++ {
			d, seconds := w.at(w.place(n))
			b = binary.LittleEndian.AppendUint32(append(b, d[:]...), seconds)
		}
		s.files = append(s.files, snapshotFile{first, count, appendSum(b)})
		first += count
	}
	return s
}

// Write makes a snapshot durable. The window need not be locked meanwhile, but only one snapshot may be on its way.
func (f *Files) Write(s Snapshot) error {
	for _, file := range s.files {
		if err := f.write(seenFile(file.first), file.bytes); err != nil {
			return err
		}
	}
	for _, first := range s.stale {
		name := filepath.Join(f.dir, seenFile(first))
		if err := f.fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	return nil
}

// Written tells the window that a snapshot is durable.
func (w *Window) Written(s Snapshot) {
	w.filed = s.to
	for _, file := range s.files {
		w.seen[file.first] = file.first + file.count
		w.open = file.first
		if file.count == perFile {
			w.open = file.first + file.count
		}
	}
	for _, first := range s.stale {
		delete(w.seen, first)
	}
}

func (f *Files) read(name string) ([]byte, error) {
	file, err := f.fsys.Open(name, disk.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	// One byte more than the largest file: a longer one is damaged, whatever its length.
	return io.ReadAll(io.NewSectionReader(file, 0, headSize+perFile*entrySize+4+1))
}

// write replaces a file whole.
func (f *Files) write(name string, b []byte) error {
	name = filepath.Join(f.dir, name)
	tmp := name + tmpSuffix
	file, err := f.fsys.Open(tmp, disk.Create)
	if err != nil {
		return fmt.Errorf("create %s: %w", tmp, err)
	}
	_, err = file.WriteAt(b, 0)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = f.fsys.Rename(tmp, name)
	}
	if err == nil {
		err = f.fsys.SyncDir(f.dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
