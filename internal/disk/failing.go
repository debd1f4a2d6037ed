package disk

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// An Operation is one call that a Failing file system is about to pass on.
type Operation struct {
	N    int    // 1 for the first
	Kind string // open, rename, remove, list, syncdir, mkdir, lock, read, write, sync, truncate, close
	Name string // the file or folder
	Size int    // bytes to write or read; 0 for others
}

func (o Operation) String() string { return fmt.Sprintf("%d: %s %s %d", o.N, o.Kind, o.Name, o.Size) }

// A Verdict is what becomes of an Operation. The zero Verdict lets it pass.
type Verdict struct {
	Err  error // what the caller gets; nil: the operation is done
	Done int   // with Err: bytes of a write that are written nevertheless
}

// Failing passes every call on to another file system, unless the judge says otherwise.
type Failing struct {
	fsys FS

	mu    sync.Mutex
	n     int
	judge func(Operation) Verdict // called with mu held
}

var (
	_ FS     = (*Failing)(nil)
	_ Maker  = (*Failing)(nil)
	_ Locker = (*Failing)(nil)
)

// NewFailing puts judge before every operation of fsys. Judge is never called twice at a time.
func NewFailing(fsys FS, judge func(Operation) Verdict) *Failing {
	return &Failing{fsys: fsys, judge: judge}
}

// FailNth fails the n-th operation and no other.
func FailNth(n int, err error) func(Operation) Verdict {
	return func(o Operation) Verdict {
		if o.N == n {
			return Verdict{Err: err}
		}
		return Verdict{}
	}
}

// ErrStopped is what every operation gives after StopAt has stopped the process.
var ErrStopped = errors.New("stopped")

// StopAt fails the n-th operation and all after it, as if the process had died there. If the n-th is a write, its first
// torn bytes are written.
func StopAt(n, torn int) func(Operation) Verdict {
	return func(o Operation) Verdict {
		switch {
		case o.N < n:
			return Verdict{}
		case o.N == n:
			return Verdict{Err: ErrStopped, Done: torn}
		}
		return Verdict{Err: ErrStopped}
	}
}

// FullAfter lets bytes be written to the disk, then gives ENOSPC, writing what still fits.
func FullAfter(bytes int) func(Operation) Verdict {
	left := bytes
	return func(o Operation) Verdict {
		if o.Kind != "write" {
			return Verdict{}
		}
		if o.Size > left {
			done := left
			left = 0
			return Verdict{Err: syscall.ENOSPC, Done: done}
		}
		left -= o.Size
		return Verdict{}
	}
}

// Judge replaces the judge; the count of operations goes on.
func (f *Failing) Judge(judge func(Operation) Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.judge = judge
}

// Count gives the number of operations so far.
func (f *Failing) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *Failing) ask(kind, name string, size int) Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	v := f.judge(Operation{N: f.n, Kind: kind, Name: name, Size: size})
	if v.Err != nil {
		v.Err = fmt.Errorf("%s %s: %w", kind, name, v.Err)
		v.Done = min(v.Done, size)
	}
	return v
}

// Open opens a file whose operations are judged as well.
func (f *Failing) Open(name string, mode Mode) (File, error) {
	if v := f.ask("open", name, 0); v.Err != nil {
		return nil, v.Err
	}
	file, err := f.fsys.Open(name, mode)
	if err != nil {
		return nil, err
	}
	return &failingFile{File: file, fsys: f, name: name}, nil
}

// Rename renames.
func (f *Failing) Rename(oldname, newname string) error {
	if v := f.ask("rename", newname, 0); v.Err != nil {
		return v.Err
	}
	return f.fsys.Rename(oldname, newname)
}

// Remove removes.
func (f *Failing) Remove(name string) error {
	if v := f.ask("remove", name, 0); v.Err != nil {
		return v.Err
	}
	return f.fsys.Remove(name)
}

// List lists.
func (f *Failing) List(dir string) ([]Entry, error) {
	if v := f.ask("list", dir, 0); v.Err != nil {
		return nil, v.Err
	}
	return f.fsys.List(dir)
}

// SyncDir flushes a folder.
func (f *Failing) SyncDir(dir string) error {
	if v := f.ask("syncdir", dir, 0); v.Err != nil {
		return v.Err
	}
	return f.fsys.SyncDir(dir)
}

// MakeDir makes a folder if the file system below can.
func (f *Failing) MakeDir(dir string) error {
	maker, ok := f.fsys.(Maker)
	if !ok {
		return nil
	}
	if v := f.ask("mkdir", dir, 0); v.Err != nil {
		return v.Err
	}
	return maker.MakeDir(dir)
}

// Lock locks if the file system below can. Letting go is never judged: the death of a process does it.
func (f *Failing) Lock(name string) (io.Closer, error) {
	locker, ok := f.fsys.(Locker)
	if !ok {
		return io.NopCloser(nil), nil
	}
	if v := f.ask("lock", name, 0); v.Err != nil {
		return nil, v.Err
	}
	return locker.Lock(name)
}

type failingFile struct {
	File
	fsys *Failing
	name string
}

func (f *failingFile) ReadAt(p []byte, off int64) (int, error) {
	if v := f.fsys.ask("read", f.name, len(p)); v.Err != nil {
		return 0, v.Err
	}
	return f.File.ReadAt(p, off)
}

func (f *failingFile) WriteAt(p []byte, off int64) (int, error) {
	v := f.fsys.ask("write", f.name, len(p))
	if v.Err == nil {
		return f.File.WriteAt(p, off)
	}
	if v.Done > 0 {
		n, err := f.File.WriteAt(p[:v.Done], off)
		return n, errors.Join(v.Err, err)
	}
	return 0, v.Err
}

// Sync, when it fails, loses what was written but not yet synced if the file below can do that: Linux marks the pages
// clean although they never reached the disk, so the next Sync succeeds and proves nothing.
func (f *failingFile) Sync() error {
	if v := f.fsys.ask("sync", f.name, 0); v.Err != nil {
		if file, ok := f.File.(interface{ forget() }); ok {
			file.forget()
		}
		return v.Err
	}
	return f.File.Sync()
}

func (f *failingFile) Truncate(size int64) error {
	if v := f.fsys.ask("truncate", f.name, 0); v.Err != nil {
		return v.Err
	}
	return f.File.Truncate(size)
}

func (f *failingFile) Close() error {
	v := f.fsys.ask("close", f.name, 0)
	return errors.Join(v.Err, f.File.Close())
}
