//go:build unix

package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"example.org/catchment/internal/store"
)

// Get is [store.Getter.Get].
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if check(key) != nil {
		return nil, fmt.Errorf("get %s: %w", key, store.ErrNotFound)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	f, err := s.openObject(key)
	if errors.Is(err, fs.ErrNotExist) || isTaken(err) {
		return nil, fmt.Errorf("get %s: %w", key, store.ErrNotFound)
	}
	if err != nil {
		return nil, classify(fmt.Errorf("get %s: %w", key, err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("get %s: %w", key, err), f.Close())
	}
	return &object{reader{ctx, f}, f}, nil
}

// openObject opens what is under the key, and does not wait for a writer where
// that is a pipe.
func (s *Store) openObject(key string) (*os.File, error) {
	return s.root.OpenFile(key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

type object struct {
	reader
	io.Closer
}

func isTaken(err error) bool {
	var e *exists
	return err != nil && errors.As(classify(err), &e)
}

// List is [store.Lister.List]. Temporary files, symbolic links and files whose
// names could not be keys are not objects, and not listed.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		l := lister{store: s, ctx: ctx, prefix: prefix, yield: yield}
		l.folder(startOf(prefix))
	}
}

// startOf gives the deepest folder that holds everything under prefix, so that
// the listing of one day does not walk through all others.
func startOf(prefix string) string {
	folder, _, _ := strings.Cut(prefix, "\x00") // no key has one
	if i := strings.LastIndexByte(folder, '/'); i >= 0 && store.CheckKey(folder[:i]) == nil {
		return folder[:i]
	}
	return "."
}

type lister struct {
	store  *Store
	ctx    context.Context
	prefix string
	yield  func(store.Object, error) bool
}

// folder lists one folder and, at their places, those below it; false: stop.
func (l *lister) folder(name string) bool {
	if err := context.Cause(l.ctx); err != nil {
		return l.fail(err)
	}
	entries, err := fs.ReadDir(l.store.root.FS(), name)
	if errors.Is(err, fs.ErrNotExist) || isTaken(err) {
		return true // nothing there, or not any more
	}
	if err != nil {
		return l.fail(err)
	}
	// A folder stands where its name with a slash does: "a-", "a/1", "a0".
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(sortKey(a), sortKey(b)) })
	for _, e := range entries {
		key := path.Join(name, e.Name())
		switch {
		case check(key) != nil:
		case e.IsDir():
			if below := key + "/"; strings.HasPrefix(below, l.prefix) || strings.HasPrefix(l.prefix, below) {
				if !l.folder(key) {
					return false
				}
			}
		case e.Type().IsRegular() && strings.HasPrefix(key, l.prefix):
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return l.fail(err)
			}
			if !l.yield(store.Object{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil) {
				return false
			}
		}
	}
	return true
}

func (l *lister) fail(err error) bool {
	l.yield(store.Object{}, classify(fmt.Errorf("list %s: %w", l.prefix, err)))
	return false
}

func sortKey(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}
