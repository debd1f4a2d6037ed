package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Real is the file system of the machine.
type Real struct{}

var (
	_ FS     = Real{}
	_ Maker  = Real{}
	_ Locker = Real{}
)

// Open opens a file. New files are for the owner alone: what the journal holds is confidential.
func (Real) Open(name string, mode Mode) (File, error) {
	flag := os.O_RDONLY
	switch mode {
	case ReadOnly:
	case ReadWrite:
		flag = os.O_RDWR
	case Create:
		flag = os.O_RDWR | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(name, flag, 0o600) //nolint:gosec // the caller names the file, that is what a file system is for
	if err != nil {
		return nil, err
	}
	return realFile{f}, nil
}

// Rename renames a file.
func (Real) Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// Remove removes a file.
func (Real) Remove(name string) error { return os.Remove(name) }

// List gives the regular files of dir.
func (Real) List(dir string) ([]Entry, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, e := range found {
		if !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{Name: e.Name(), Size: info.Size()})
	}
	return entries, nil
}

// SyncDir flushes the folder itself.
func (Real) SyncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // as in Open
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// MakeDir makes dir, and flushes each parent that got a new name.
func (r Real) MakeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s: %w", dir, unix.ENOTDIR)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := r.MakeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return r.SyncDir(parent)
}

// Lock locks with flock: the kernel lets go of it when the process ends, kill -9 included. The file stays; removing it
// would let a third process lock a new file of the same name while the second still waits on the old one.
func (Real) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // as in Open
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		held := errors.Is(err, unix.EWOULDBLOCK)
		holder, _ := io.ReadAll(io.LimitReader(f, 256))
		_ = f.Close()
		if held {
			return nil, &LockedError{Name: name, Holder: printable(holder)}
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	text := fmt.Sprintf("process %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(text), 0)
	}
	if err != nil && !NoSpace(err) { // on a full disk the lock holds all the same, only nobody can read by whom
		_ = f.Close()
		return nil, fmt.Errorf("write lock %s: %w", name, err)
	}
	return &realLock{f}, nil
}

// printable keeps what the lock file of somebody else can put into an error message harmless.
func printable(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, string(b)))
}

type realLock struct{ f *os.File }

// Close lets go of the lock and leaves an empty file.
func (l *realLock) Close() error {
	return errors.Join(l.f.Truncate(0), l.f.Close())
}

type realFile struct{ *os.File }

// Sync flushes the file: bytes and length, not its times where the system knows the difference.
func (f realFile) Sync() error { return syncData(f.File) }
