//go:build unix

package dir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"sync/atomic"
	"syscall"
)

// A room is this Store's folder for temporary files.
type room struct {
	root   *os.Root
	name   string
	lock   *os.File
	number atomic.Uint64
}

func (r *room) next() string {
	return path.Join(r.name, strconv.FormatUint(r.number.Add(1), 10))
}

// openRoom makes a room and removes those whose owners are dead. Both happen
// under the lock of all rooms: a new room is never seen before it is locked.
func openRoom(root *os.Root) (*room, error) {
	unlock, err := lock(root, path.Join(aside, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := sweep(root); err != nil {
		return nil, err
	}
	r := &room{root: root, name: path.Join(aside, rand.Text())}
	if err := root.Mkdir(r.name, 0o750); err != nil {
		return nil, err
	}
	r.lock, err = root.OpenFile(path.Join(r.name, "lock"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	if err := flock(r.lock, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", r.name, err), r.lock.Close())
	}
	return r, nil
}

// sweep removes the rooms that nobody holds.
func sweep(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), aside)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		name := path.Join(aside, e.Name())
		f, err := root.OpenFile(path.Join(name, "lock"), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			err = root.RemoveAll(name) // its maker died between making and locking
			if err != nil {
				return err
			}
			continue
		}
		if errors.Is(err, fs.ErrPermission) {
			continue // another user's, who will sweep it
		}
		if err != nil {
			return err
		}
		err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			err = root.RemoveAll(name)
		} else if errors.Is(err, syscall.EWOULDBLOCK) {
			err = nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// close removes the room, and the folder of rooms when it was the last, so that
// a bucket at rest holds nothing but objects.
func (r *room) close() error {
	unlock, err := lock(r.root, path.Join(aside, "lock"))
	if err != nil {
		return errors.Join(err, r.lock.Close())
	}
	defer unlock()
	err = errors.Join(r.root.RemoveAll(r.name), r.lock.Close())
	if entries, readErr := fs.ReadDir(r.root.FS(), aside); readErr == nil && len(entries) == 1 {
		err = errors.Join(err, r.root.RemoveAll(aside))
	}
	return err
}

// lock takes the lock file name, making it and its folder as needed, and waits
// while another process has it. The file may have been removed by its last
// holder while we waited: then it is not the lock any more.
func lock(root *os.Root, name string) (unlock func(), err error) {
	for {
		if err := root.Mkdir(path.Dir(name), 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the folder went between the two steps
		}
		if err != nil {
			return nil, err
		}
		if err := flock(f, syscall.LOCK_EX); err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
		held, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if now, err := root.Stat(name); err == nil && os.SameFile(held, now) {
			return func() { _ = f.Close() }, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
