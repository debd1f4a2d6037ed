//go:build unix

// Package dir is a store in a folder: an object is a file, written aside, synced, and linked to its name.
//
// Temporary files lie in .catchment-tmp below the folder, each process (more
// precisely each open Store) in a room of its own:
//
//	bucket/AWSLogs/123456789012/Inspector/eu-west-1/…   objects
//	bucket/.catchment-tmp/lock                          held while rooms come and go
//	bucket/.catchment-tmp/<room>/lock                   held while the room's owner lives
//	bucket/.catchment-tmp/<room>/<number>               an object being written
//
// The locks are flock(2)'s, which the kernel drops when a process dies, so Open
// can tell the rooms of the dead, which it removes, from those of the living.
package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"example.org/catchment/internal/store"
)

// aside is the folder of temporary files. Keys below it are refused.
const aside = ".catchment-tmp"

// A Store is a folder whose files are the objects. Nothing is written outside
// the folder: symbolic links below it are followed only where they stay inside.
// As files and folders share their names, a key is taken also when it is a
// folder of other keys, and the other way round: ErrExists.
type Store struct {
	name    string
	root    *os.Root
	room    *room
	folders folders
	sync    func(*os.File) error // File.Sync, or nothing in benchmarks
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Getter = (*Store)(nil)
	_ store.Lister = (*Store)(nil)
)

// Open makes the folder name with its parents where it does not exist, and
// removes what processes that died here left half done. Several processes may
// have one folder open at the same time.
func Open(name string) (*Store, error) {
	if err := makeRoot(name); err != nil {
		return nil, classify(fmt.Errorf("open bucket: %w", err))
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, classify(fmt.Errorf("open bucket: %w", err))
	}
	room, err := openRoom(root)
	if err != nil {
		return nil, classify(errors.Join(fmt.Errorf("open bucket %s: %w", name, err), root.Close()))
	}
	return &Store{name: name, root: root, room: room, sync: (*os.File).Sync}, nil
}

// Close removes the room for temporary files. It must not be called while a
// Put runs; a second call does nothing.
func (s *Store) Close() error {
	if s.room == nil {
		return nil
	}
	err := errors.Join(s.room.close(), s.root.Close())
	s.room = nil
	if err != nil {
		return fmt.Errorf("close bucket %s: %w", s.name, err)
	}
	return nil
}

// String names the bucket for messages.
func (s *Store) String() string { return s.name }

// check is CheckKey and what only folders refuse.
func check(key string) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	if first, _, _ := strings.Cut(key, "/"); strings.EqualFold(first, aside) {
		return &store.KeyError{Key: key, Reason: aside + " is for temporary files"}
	}
	for segment := range strings.SplitSeq(key, "/") {
		if len(segment) > 255 {
			return &store.KeyError{Key: key, Reason: fmt.Sprintf("has a segment of %d bytes, over 255", len(segment))}
		}
	}
	return nil
}

// Put is [store.Store.Put]. It waits for two syncs, the file's and its folder's
// (and one for each folder that it had to make). Filesystems commit those of
// concurrent Puts together: eight at once are several times as fast as one
// after the other, and no slower than syncfs(2) over a group (BenchmarkPut), so
// there is no way to put without waiting.
func (s *Store) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := check(key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if err := s.put(ctx, key, body); err != nil {
		return classify(fmt.Errorf("put %s: %w", key, err))
	}
	return nil
}

func (s *Store) put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// Told early, a repeated import writes nothing; the link below tells for certain.
	if _, err := s.root.Lstat(key); err == nil {
		return s.compare(ctx, key, body)
	}
	tmp, err := s.write(ctx, body)
	if err != nil {
		return err
	}
	err = s.link(ctx, tmp, key)
	if errors.Is(err, fs.ErrExist) {
		err = s.compare(ctx, key, body)
	}
	return errors.Join(err, s.remove(tmp))
}

func (s *Store) remove(tmp string) error {
	if err := s.root.Remove(tmp); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// write copies body to a new temporary file and syncs it.
func (s *Store) write(ctx context.Context, body io.ReadSeeker) (string, error) {
	name := s.room.next()
	return name, s.writeTo(ctx, s.root, name, body, s.sync)
}

// writeTo copies body to a new file in a folder, and syncs it with synced. With an error the file is gone.
func (s *Store) writeTo(ctx context.Context, folder *os.Root, name string, body io.ReadSeeker, synced func(*os.File) error) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewind body: %w", err)
	}
	f, err := folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	_, err = io.CopyBuffer(onlyWriter{f}, &reader{ctx, body}, *buf)
	if err == nil {
		err = synced(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, folder.Remove(name))
	}
	return nil
}

// link gives the file tmp the name key, which it must not take from another,
// and makes the name durable.
func (s *Store) link(ctx context.Context, tmp, key string) error {
	folder := path.Dir(key)
	for try := 0; ; try++ {
		if err := s.makeFolder(folder); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err // the last moment at which nothing has happened
		}
		err := s.rename(tmp, key)
		if errors.Is(err, fs.ErrNotExist) && try < 3 {
			s.folders.forget() // somebody removed an empty folder under our hands
			continue
		}
		if err != nil {
			return err
		}
		return s.syncFolder(folder)
	}
}

// rename makes key a name of the file tmp; tmp may remain as another. It is an
// fs.ErrExist when key is there, in one step and over all processes, except on
// filesystems without hard links: there only over this program's.
func (s *Store) rename(tmp, key string) error {
	if err := s.root.Link(tmp, key); !noLinks(err) {
		return err
	}
	return s.renameLocked(tmp, key)
}

func (s *Store) renameLocked(tmp, key string) error {
	unlock, err := lock(s.root, path.Join(aside, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.root.Lstat(key); err == nil {
		return fs.ErrExist
	}
	return s.root.Rename(tmp, key)
}

// compare answers for a key that is taken: nil when it holds the bytes of body,
// and then they are durable, too: whoever wrote them may have died before.
func (s *Store) compare(ctx context.Context, key string, body io.ReadSeeker) error {
	size, err := store.Size(body)
	if err != nil {
		return err
	}
	f, err := s.openObject(key)
	if errors.Is(err, fs.ErrNotExist) {
		return &exists{fmt.Errorf("a symbolic link to nowhere, or just removed: %w", err)}
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		return store.ErrExists
	}
	same, err := equal(&reader{ctx, body}, &reader{ctx, f})
	if err != nil {
		return err
	}
	if !same {
		return store.ErrExists
	}
	if err := s.sync(f); err != nil {
		return err
	}
	if err := s.makeFolder(path.Dir(key)); err != nil {
		return err
	}
	return s.syncFolder(path.Dir(key))
}

// equal reads both to their ends, or to the first difference.
func equal(a, b io.Reader) (bool, error) {
	x, y := buffers.Get().(*[]byte), buffers.Get().(*[]byte)
	defer buffers.Put(x)
	defer buffers.Put(y)
	for {
		n, errA := io.ReadFull(a, *x)
		m, errB := io.ReadFull(b, *y)
		if !bytes.Equal((*x)[:n], (*y)[:m]) {
			return false, nil
		}
		endA, endB := ended(errA), ended(errB)
		if err := errors.Join(errA, errB); !endA && !endB && err != nil {
			return false, err
		}
		if endA || endB {
			return endA && endB, nil
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

var buffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// onlyWriter hides File.ReadFrom, which would bring a buffer of its own.
type onlyWriter struct{ io.Writer }

// reader ends with ctx.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// makeRoot makes the bucket's own folder and its parents durable.
func makeRoot(name string) error {
	name, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	if info, err := os.Stat(name); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "open", Path: name, Err: errNotFolder}
		}
		return nil
	}
	parent := filepath.Dir(name)
	if parent != name {
		if err := makeRoot(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(name, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(parent) //nolint:gosec // the folder that the user names
	if err != nil {
		return err
	}
	return errors.Join(ignoreUnsupported(f.Sync()), f.Close())
}
