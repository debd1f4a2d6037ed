package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"testing"

	"example.org/catchment/internal/store"
)

// TestDiskFaults fails each sync of a Put in turn: the error is worth another
// try, there is nothing or the whole object, no temporary file is left, and the
// same Put works afterwards.
func TestDiskFaults(t *testing.T) {
	for _, number := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT} {
		for n := 1; ; n++ {
			s, err := Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			syncs := 0
			s.sync = func(f *os.File) error {
				if syncs++; syncs == n {
					return &fs.PathError{Op: "sync", Path: f.Name(), Err: number}
				}
				return f.Sync()
			}
			err = s.Put(t.Context(), "a/b/c", strings.NewReader("content"))
			failed := syncs >= n
			var temporary *store.TemporaryError
			if failed != (err != nil) || failed && !errors.As(err, &temporary) {
				t.Errorf("sync %d fails with %v: got %v, want a *TemporaryError", n, number, err)
			}
			if info, err := s.root.Stat("a/b/c"); err == nil && info.Size() != int64(len("content")) {
				t.Errorf("sync %d fails with %v: half an object of %d bytes", n, number, info.Size())
			}
			if left, err := fs.ReadDir(s.root.FS(), s.room.name); err != nil || len(left) != 1 {
				t.Errorf("sync %d fails with %v: left %v, %v, want the lock alone", n, number, left, err)
			}
			s.sync = (*os.File).Sync
			if err := s.Put(t.Context(), "a/b/c", strings.NewReader("content")); err != nil {
				t.Errorf("the Put after sync %d failed: %v", n, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if !failed {
				if n != 5 { // the file, its folder, and the parents of a and b
					t.Errorf("a Put syncs %d times, want 4", n-1)
				}
				break
			}
		}
	}
}

func TestClassify(t *testing.T) {
	for number, want := range map[syscall.Errno]error{
		syscall.ENOSPC:       &store.TemporaryError{},
		syscall.EMFILE:       &store.TemporaryError{},
		syscall.EACCES:       &store.RefusedError{},
		syscall.EROFS:        &store.RefusedError{},
		syscall.ENAMETOOLONG: &store.RefusedError{},
		syscall.ENOTDIR:      &exists{},
	} {
		err := classify(fmt.Errorf("put k: %w", &fs.PathError{Op: "open", Path: "k", Err: number}))
		if got, want := fmt.Sprintf("%T", err), fmt.Sprintf("%T", want); got != want {
			t.Errorf("%v: got %s, want %s", number, got, want)
		}
		if !errors.Is(err, number) {
			t.Errorf("%v is lost from %v", number, err)
		}
	}
}

// TestRenameWithoutLinks is what filesystems without hard links do.
func TestRenameWithoutLinks(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for i, want := range []error{nil, fs.ErrExist} {
		tmp, err := s.write(t.Context(), strings.NewReader(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.renameLocked(tmp, "k"); !errors.Is(err, want) {
			t.Errorf("rename %d: got %v, want %v", i, err, want)
		}
	}
	if b, err := s.root.ReadFile("k"); err != nil || string(b) != "0" {
		t.Errorf("k holds %q, %v", b, err)
	}
}

func TestKnownFoldersAreBounded(t *testing.T) {
	var f folders
	for i := range maxFolders + 10 {
		f.add(path.Join("a", fmt.Sprint(i)))
	}
	if n := len(f.known); n > maxFolders {
		t.Errorf("%d folders are remembered, over %d", n, maxFolders)
	}
}

// TestContextEndsWhileSyncing: the last moment to leave nothing behind is
// before the object gets its name.
func TestContextEndsWhileSyncing(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	s.sync = func(f *os.File) error {
		cancel()
		return f.Sync()
	}
	if err := s.Put(ctx, "a/b", strings.NewReader("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := s.root.Stat("a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of the key: got %v, want that there is none", err)
	}
}
