//go:build unix

package dir

import (
	"errors"
	"io/fs"
	"path"
	"sync"
)

// folders remembers which folders are known to exist durably, so that the
// usual Put makes none. It forgets all at a bound: a daemon meets new hours for
// ever.
type folders struct {
	mu    sync.Mutex
	known map[string]struct{} // guarded by mu
}

const maxFolders = 1 << 16

func (f *folders) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.known[name]
	return ok
}

func (f *folders) add(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil || len(f.known) >= maxFolders {
		f.known = map[string]struct{}{}
	}
	f.known[name] = struct{}{}
}

// addAll is add for a folder and those above it.
func (f *folders) addAll(name string) {
	for ; name != "." && !f.has(name); name = path.Dir(name) {
		f.add(name)
	}
}

func (f *folders) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = nil
}

// makeFolder makes the folder and its parents durably. A folder that was there
// is synced as well the first time: its maker may have died before that.
func (s *Store) makeFolder(name string) error {
	if name == "." || s.folders.has(name) {
		return nil
	}
	parent := path.Dir(name)
	if err := s.makeFolder(parent); err != nil {
		return err
	}
	if err := s.root.Mkdir(name, 0o750); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err := s.root.Stat(name)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: name, Err: errNotFolder}
		}
	}
	if err := s.syncFolder(parent); err != nil {
		return err
	}
	s.folders.add(name)
	return nil
}

// syncFolder makes the names in a folder durable.
func (s *Store) syncFolder(name string) error {
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(ignoreUnsupported(s.sync(f)), f.Close())
}
