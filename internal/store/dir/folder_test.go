package dir_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/dir"
)

// files lists all that is below name, folders with a slash.
func files(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == name {
			return err
		}
		rel, err := filepath.Rel(name, p)
		if d.IsDir() {
			rel += "/"
		}
		found = append(found, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestABucketAtRestHoldsNothingButObjects(t *testing.T) {
	name := t.TempDir()
	for range 2 {
		s, err := dir.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), "a/b", strings.NewReader("x")); err != nil {
			t.Error(err)
		}
		if err := s.Put(t.Context(), "a/b", strings.NewReader("other")); !errors.Is(err, store.ErrExists) {
			t.Errorf("got %v, want ErrExists", err)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"a/", "a/b"}, files(t, name)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestPutsThatFail: each leaves the bucket, and all outside it, as it was.
func TestPutsThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(bucket, outside string) error
		key     string
		want    func(error) bool
	}{
		"a folder stands at the key": {
			prepare: func(bucket, _ string) error { return mkdir(bucket + "/a/b") },
			key:     "a/b", want: isExists,
		},
		"a file stands where a folder must be": {
			prepare: func(bucket, _ string) error { return write(bucket + "/a") },
			key:     "a/b/c", want: isExists,
		},
		"a link out of the bucket as a folder": {
			prepare: func(bucket, outside string) error { return os.Symlink(outside, bucket+"/a") },
			key:     "a/b", want: isRefused,
		},
		"a relative link out of the bucket as a folder": {
			prepare: func(bucket, _ string) error { return os.Symlink("../outside", bucket+"/a") },
			key:     "a/b", want: isRefused,
		},
		"a link out of the bucket further up": {
			prepare: func(bucket, outside string) error {
				return errors.Join(mkdir(bucket+"/a"), os.Symlink(outside, bucket+"/a/b"))
			},
			key: "a/b/c/d", want: isRefused,
		},
		"a link out of the bucket at the key, to a file": {
			prepare: func(bucket, outside string) error {
				return errors.Join(write(outside+"/f"), os.Symlink(outside+"/f", bucket+"/a"))
			},
			key: "a", want: isRefused,
		},
		"a link out of the bucket at the key, to nothing": {
			prepare: func(bucket, outside string) error { return os.Symlink(outside+"/new", bucket+"/a") },
			key:     "a", want: isRefused,
		},
		"a link to nothing at the key": {
			prepare: func(bucket, _ string) error { return os.Symlink("nowhere", bucket+"/a") },
			key:     "a", want: isExists,
		},
		"links in a circle": {
			prepare: func(bucket, _ string) error {
				return errors.Join(os.Symlink("b", bucket+"/a"), os.Symlink("a", bucket+"/b"))
			},
			key: "a/x", want: isRefused,
		},
		"a pipe at the key": {
			prepare: func(bucket, _ string) error { return syscall.Mkfifo(bucket+"/a", 0o600) },
			key:     "a", want: isExists,
		},
		"a folder that may not be written": {
			prepare: func(bucket, _ string) error {
				return errors.Join(mkdir(bucket+"/a"), os.Chmod(bucket+"/a", 0o555))
			},
			key: "a/b", want: isRefused,
		},
		"a segment over 255 bytes": {
			prepare: func(string, string) error { return nil },
			key:     "a/" + strings.Repeat("ü", 128), want: isKey,
		},
		"the folder of temporary files": {
			prepare: func(string, string) error { return nil },
			key:     ".catchment-tmp/x", want: isKey,
		},
		"the folder of temporary files, where case does not count": {
			prepare: func(string, string) error { return nil },
			key:     ".Catchment-TMP/x", want: isKey,
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			bucket, outside := home+"/bucket", home+"/outside"
			if strings.Contains(name, "may not be written") && os.Getuid() == 0 {
				t.Skip("permissions do not bind root")
			}
			s := open(t, bucket)
			if err := errors.Join(mkdir(outside), tt.prepare(bucket, outside)); err != nil {
				t.Fatal(err)
			}
			before := files(t, home)
			if err := s.Put(t.Context(), tt.key, strings.NewReader("x")); !tt.want(err) {
				t.Errorf("got %T: %v", err, err)
			}
			if diff := cmp.Diff(before, files(t, home)); diff != "" {
				t.Errorf("files changed (-before +after):\n%s", diff)
			}
			for o, err := range s.List(t.Context(), "") {
				if o.Key != "a" || err != nil {
					t.Errorf("listed %q, %v", o.Key, err)
				}
			}
		})
	}
}

func isExists(err error) bool  { return errors.Is(err, store.ErrExists) }
func isRefused(err error) bool { var e *store.RefusedError; return errors.As(err, &e) }
func isKey(err error) bool     { var e *store.KeyError; return errors.As(err, &e) }

func mkdir(name string) error { return os.MkdirAll(name, 0o750) }

func write(name string) error { return os.WriteFile(name, []byte("foreign"), 0o600) }

func TestOpenRefuses(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := write(file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + "/below"} {
		if s, err := dir.Open(name); err == nil {
			t.Errorf("%s is a bucket: %v", name, s.Close())
		}
	}
}

// TestAFolderRemovedUnderOurHands: tidy people remove empty folders.
func TestAFolderRemovedUnderOurHands(t *testing.T) {
	name := t.TempDir()
	s := open(t, name)
	for i := range 3 {
		if err := s.Put(t.Context(), fmt.Sprintf("a/b/%d", i), strings.NewReader("x")); err != nil {
			t.Fatalf("put: %v", err)
		}
		if err := os.RemoveAll(name + "/a"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeadProcess kills a process in the middle of a put: nothing stands under
// the key, and the next Open removes what it left, but not what a living one has.
func TestDeadProcess(t *testing.T) {
	if name := os.Getenv("CATCHMENT_TEST_BUCKET"); name != "" {
		putForEver(t, name)
		return
	}
	name := t.TempDir()
	victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDeadProcess$", "-test.v")
	victim.Env = append(os.Environ(), "CATCHMENT_TEST_BUCKET="+name)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), halfway) {
			break
		}
	}

	living := open(t, name) // while the other lives
	started, release := make(chan struct{}), make(chan struct{})
	put := make(chan error)
	go func() {
		put <- living.Put(t.Context(), "living", &slow{strings.NewReader("living"), started, release})
	}()
	<-started
	if n := len(temporaries(t, name)); n != 2 {
		t.Errorf("%d temporary files while two processes put, want 2: %q", n, files(t, name))
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait() // killed: an error

	open(t, name) // this one sweeps
	if n := len(temporaries(t, name)); n != 1 {
		t.Errorf("%d temporary files after the death of one, want 1: %q", n, files(t, name))
	}
	close(release)
	if err := <-put; err != nil {
		t.Errorf("put of the living: %v", err)
	}
	var keys []string
	for o, err := range living.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	if diff := cmp.Diff([]string{"living"}, keys); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func temporaries(t *testing.T, name string) []string {
	t.Helper()
	return slices.DeleteFunc(files(t, name), func(f string) bool {
		return !strings.HasPrefix(f, ".catchment-tmp/") || strings.HasSuffix(f, "/") || strings.HasSuffix(f, "lock")
	})
}

const halfway = "half of the object is written"

func putForEver(t *testing.T, name string) {
	t.Helper()
	s := open(t, name)
	started := make(chan struct{})
	go func() {
		<-started
		_, _ = io.WriteString(os.Stdout, halfway+"\n")
	}()
	_ = s.Put(t.Context(), "dead", &slow{strings.NewReader(strings.Repeat("x", 1<<20)), started, nil})
}

// slow says when its second half is asked for, and waits there.
type slow struct {
	*strings.Reader
	started chan<- struct{}
	release <-chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	if s.started != nil && s.Len() <= int(s.Size()+1)/2 {
		close(s.started)
		s.started = nil
		<-s.release
	}
	half := max(1, int(s.Size())/2)
	return s.Reader.Read(p[:min(len(p), half)])
}

func TestManyStoresOfOneFolder(t *testing.T) {
	name := t.TempDir()
	var stores []*dir.Store
	for range 5 {
		stores = append(stores, open(t, name))
	}
	for i := range 20 {
		key := fmt.Sprintf("k/%d", i/2)
		if err := stores[i%5].Put(t.Context(), key, strings.NewReader(key)); err != nil {
			t.Errorf("put: %v", err)
		}
	}
}
