package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// sector is what a disk writes whole or not at all; a longer write may tear between any two.
const sector = 512

// Mem is a file system in memory that remembers what would survive a crash. Its zero value is empty.
type Mem struct {
	mu      sync.Mutex
	names   map[string]*inode // as a running process sees them
	durable map[string]*inode // as the last SyncDir of their folders left them
	changes []change          // of names since, in order
	locks   map[string]bool
}

// A change is a name that was set or, with a nil node, removed; a rename is two in one.
type change struct {
	name string
	node *inode
	gone string // with a rename: the old name
}

// An inode is the contents of a file.
type inode struct {
	mu     sync.Mutex
	bytes  []byte  // as a running process sees them
	synced []byte  // as the last Sync left them
	since  []write // since then, in order
}

// A write is one change of contents: bytes at an offset, or with nil bytes a new length.
type write struct {
	off   int64
	bytes []byte
}

var (
	_ FS     = (*Mem)(nil)
	_ Maker  = (*Mem)(nil)
	_ Locker = (*Mem)(nil)
)

// Open opens or creates a file.
func (m *Mem) Open(name string, mode Mode) (File, error) {
	name = filepath.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	node, ok := m.names[name]
	switch {
	case mode != Create && !ok:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case mode == Create && ok:
		node.truncate(0)
	case mode == Create:
		node = new(inode)
		m.change(change{name: name, node: node})
	}
	return &memFile{node: node, name: name, readOnly: mode == ReadOnly}, nil
}

// change requires m.mu.
func (m *Mem) change(c change) {
	if m.names == nil {
		m.names, m.durable, m.locks = map[string]*inode{}, map[string]*inode{}, map[string]bool{}
	}
	c.apply(m.names)
	m.changes = append(m.changes, c)
}

func (c change) apply(names map[string]*inode) {
	if c.gone != "" {
		delete(names, c.gone)
	}
	if c.node == nil {
		delete(names, c.name)
		return
	}
	names[c.name] = c.node
}

// Rename renames.
func (m *Mem) Rename(oldname, newname string) error {
	oldname, newname = filepath.Clean(oldname), filepath.Clean(newname)
	m.mu.Lock()
	defer m.mu.Unlock()
	node, ok := m.names[oldname]
	if !ok {
		return &fs.PathError{Op: "rename", Path: oldname, Err: fs.ErrNotExist}
	}
	m.change(change{name: newname, node: node, gone: oldname})
	return nil
}

// Remove removes.
func (m *Mem) Remove(name string) error {
	name = filepath.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.names[name]; !ok {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	m.change(change{name: name})
	return nil
}

// List lists. A folder that holds no file is empty; Mem has no folders of their own.
func (m *Mem) List(dir string) ([]Entry, error) {
	dir = filepath.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	var entries []Entry
	for name, node := range m.names {
		if filepath.Dir(name) == dir {
			entries = append(entries, Entry{Name: filepath.Base(name), Size: int64(len(node.contents()))})
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// SyncDir makes the names in dir survive a crash.
func (m *Mem) SyncDir(dir string) error {
	dir = filepath.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes = slices.DeleteFunc(m.changes, func(c change) bool {
		if filepath.Dir(c.name) != dir {
			return false
		}
		c.apply(m.durable)
		return true
	})
	return nil
}

// MakeDir does nothing: Mem has no folders of their own.
func (m *Mem) MakeDir(string) error { return nil }

// Lock locks.
func (m *Mem) Lock(name string) (io.Closer, error) {
	name = filepath.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, &LockedError{Name: name, Holder: "this process"}
	}
	if m.locks == nil {
		m.names, m.durable, m.locks = map[string]*inode{}, map[string]*inode{}, map[string]bool{}
	}
	m.locks[name] = true
	return memLock{m, name}, nil
}

type memLock struct {
	m    *Mem
	name string
}

func (l memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.name)
	return nil
}

// Kill gives what another process finds after this one was killed: everything written, but no lock.
func (m *Mem) Kill() *Mem {
	return m.clone(func(node *inode) *inode {
		return &inode{bytes: slices.Clone(node.bytes), synced: slices.Clone(node.synced), since: slices.Clone(node.since)}
	}, func(names, durable map[string]*inode) []change {
		changes := slices.Clone(m.changes)
		for name := range names {
			delete(names, name)
		}
		for name, node := range durable {
			names[name] = node
		}
		return changes
	})
}

// Crash gives one of the states in which a power cut can leave the disk: what was synced is there; of the rest any
// part, torn at any byte or by sectors in any order; lengths with or without their bytes; of the names not covered by a
// SyncDir the first few. The same seed gives the same choice; seed 0 loses all that may be lost, seed 1 nothing.
func (m *Mem) Crash(seed uint64) *Mem {
	rng := rand.New(rand.NewPCG(seed, 0xca7c)) //nolint:gosec // a reproducible choice
	c := m.clone(func(node *inode) *inode {
		b := node.crash(seed, rng)
		return &inode{bytes: b, synced: slices.Clone(b)}
	}, func(names, _ map[string]*inode) []change {
		keep := rng.IntN(len(m.changes) + 1)
		switch seed {
		case 0:
			keep = 0
		case 1:
			keep = len(m.changes)
		}
		return m.changes[:keep]
	})
	c.durable, c.changes = maps.Clone(c.names), nil // what is found after a power cut is on the disk
	return c
}

// clone copies the tree: each inode once, in a fixed order, so that a seed always means the same.
func (m *Mem) clone(node func(*inode) *inode, changes func(names, durable map[string]*inode) []change) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &Mem{names: map[string]*inode{}, durable: map[string]*inode{}, locks: map[string]bool{}}
	copies := map[*inode]*inode{}
	get := func(old *inode) *inode {
		if old == nil {
			return nil
		}
		if copies[old] == nil {
			old.mu.Lock()
			copies[old] = node(old)
			old.mu.Unlock()
		}
		return copies[old]
	}
	for _, name := range slices.Sorted(maps.Keys(m.durable)) {
		c.durable[name] = get(m.durable[name])
		c.names[name] = c.durable[name]
	}
	for _, ch := range changes(c.names, c.durable) {
		ch.node = get(ch.node)
		ch.apply(c.names)
		c.changes = append(c.changes, ch)
	}
	return c
}

// crash requires n.mu.
func (n *inode) crash(seed uint64, rng *rand.Rand) []byte {
	b := slices.Clone(n.synced)
	how := rng.IntN(4)
	switch {
	case seed == 0 || (seed > 1 && how == 0):
		return b
	case seed == 1 || how == 1:
		return slices.Clone(n.bytes)
	case how == 2: // in order, up to some byte
		total := 0
		for _, w := range n.since {
			total += len(w.bytes) + 1
		}
		left := rng.IntN(total + 1)
		for _, w := range n.since {
			if left == 0 {
				break
			}
			if w.bytes == nil {
				b = w.apply(b)
				left--
				continue
			}
			k := min(len(w.bytes), left)
			b = write{off: w.off, bytes: w.bytes[:k]}.apply(b)
			left -= min(len(w.bytes)+1, left)
		}
		return b
	}
	for _, w := range n.since { // any sector may have been late
		if w.bytes == nil {
			if rng.IntN(2) == 0 {
				b = w.apply(b)
			}
			continue
		}
		if end := w.off + int64(len(w.bytes)); rng.IntN(2) == 0 && end > int64(len(b)) {
			b = resize(b, end) // the length came, the bytes not yet
		}
		for from := int64(0); from < int64(len(w.bytes)); {
			to := min(int64(len(w.bytes)), (w.off+from)/sector*sector+sector-w.off)
			if rng.IntN(3) > 0 {
				b = write{off: w.off + from, bytes: w.bytes[from:to]}.apply(b)
			}
			from = to
		}
	}
	return b
}

func (w write) apply(b []byte) []byte {
	if w.bytes == nil {
		return resize(b, w.off)
	}
	if end := w.off + int64(len(w.bytes)); end > int64(len(b)) {
		b = resize(b, end)
	}
	copy(b[w.off:], w.bytes)
	return b
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size] // what was behind the end must not come back
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

func (n *inode) contents() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bytes
}

func (n *inode) truncate(size int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := write{off: size}
	n.bytes = w.apply(n.bytes)
	n.since = append(n.since, w)
}

type memFile struct {
	node     *inode
	name     string
	readOnly bool
	closed   bool // a second Close is a mistake of the caller's
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	if off < 0 {
		return 0, fmt.Errorf("read %s: %w", f.name, fs.ErrInvalid)
	}
	if off >= int64(len(f.node.bytes)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.bytes[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if f.readOnly {
		return 0, fmt.Errorf("write %s: %w", f.name, fs.ErrPermission)
	}
	if len(p) == 0 {
		return 0, nil
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	w := write{off: off, bytes: slices.Clone(p)}
	f.node.bytes = w.apply(f.node.bytes)
	f.node.since = append(f.node.since, w)
	return len(p), nil
}

func (f *memFile) Sync() error {
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	for _, w := range f.node.since {
		f.node.synced = w.apply(f.node.synced)
	}
	f.node.since = nil
	return nil
}

// forget makes what was not synced stay readable but never reach the disk.
func (f *memFile) forget() {
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	f.node.since = nil
}

func (f *memFile) Truncate(size int64) error {
	if f.readOnly {
		return fmt.Errorf("truncate %s: %w", f.name, fs.ErrPermission)
	}
	f.node.truncate(size)
	return nil
}

var errClosedTwice = errors.New("file closed twice")

func (f *memFile) Close() error {
	if f.closed {
		return errClosedTwice
	}
	f.closed = true
	return nil
}
