package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.org/catchment/internal/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write makes files with their own names as content; a name that ends in a slash is a folder.
func write(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(full, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(full, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

// read gives each input's name below root and its content, or that it cannot be opened.
func read(t *testing.T, root string, found []*Input) []string {
	t.Helper()
	var got []string
	for _, input := range found {
		name := strings.TrimPrefix(strings.TrimPrefix(input.Name(), root), "/")
		r, err := input.Open(t.Context())
		if err != nil {
			got = append(got, name+": unreadable")
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if input.Size() != int64(len(b)) {
			t.Errorf("%s: size %d, %d bytes", name, input.Size(), len(b))
		}
		got = append(got, name+": "+string(b))
	}
	return got
}

func find(t *testing.T, path, except string) []*Input {
	t.Helper()
	found, err := Find(path, except)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFolders(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(t *testing.T, root string)
		want []string
	}{
		"by name, folder by folder": {
			func(t *testing.T, root string) {
				t.Helper()
				write(t, root, "b", "a/2", "a/10", "a/1/x", "c/", "B")
			},
			[]string{"B: B", "a/1/x: a/1/x", "a/10: a/10", "a/2: a/2", "b: b"},
		},
		"hidden ones are left out": {
			func(t *testing.T, root string) {
				t.Helper()
				write(t, root, ".git/x", ".a", "a/.b", "a/.c/d", "a/e")
			},
			[]string{"a/e: a/e"},
		},
		"links to files are read, links to folders are not followed, however they lead": {
			func(t *testing.T, root string) {
				t.Helper()
				write(t, root, "a/f")
				link(t, "a/f", filepath.Join(root, "g"))
				link(t, "..", filepath.Join(root, "a/up"))
				link(t, "a", filepath.Join(root, "z"))
			},
			[]string{"a/f: a/f", "g: a/f"},
		},
		"a link to nowhere, and one to itself, are told and the others go on": {
			func(t *testing.T, root string) {
				t.Helper()
				write(t, root, "a", "z")
				link(t, "nowhere", filepath.Join(root, "b"))
				link(t, "c", filepath.Join(root, "c"))
			},
			[]string{"a: a", "b: unreadable", "c: unreadable", "z: z"},
		},
		"names of odd bytes": {
			func(t *testing.T, root string) {
				t.Helper()
				write(t, root, "new\nline", "\xff\xfe", "  ", "-", "s3:\\x", "a*b", "\x1b[31m")
			},
			[]string{"\x1b[31m: \x1b[31m", "  :   ", "-: -", "a*b: a*b", "new\nline: new\nline", "s3:\\x: s3:\\x", "\xff\xfe: \xff\xfe"},
		},
		"a pipe is no file": {
			func(t *testing.T, root string) {
				t.Helper()
				write(t, root, "a")
				if err := syscall.Mkfifo(filepath.Join(root, "b"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"a: a"},
		},
		"nothing": {func(*testing.T, string) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			tt.make(t, root)
			if diff := cmp.Diff(tt.want, read(t, root, find(t, root, ""))); diff != "" {
				t.Error(diff)
			}
			// The same through a link to the folder.
			at := filepath.Join(t.TempDir(), "link")
			link(t, root, at)
			if diff := cmp.Diff(tt.want, read(t, at, find(t, at, ""))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsNotReadableIsToldAndTheOthersGoOn(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	root := t.TempDir()
	write(t, root, "a", "b/c", "d", "e")
	for _, name := range []string{"b", "d"} {
		if err := os.Chmod(filepath.Join(root, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(root, "b"), 0o700) })
	if diff := cmp.Diff([]string{"a: a", "b: unreadable", "d: unreadable", "e: e"}, read(t, root, find(t, root, ""))); diff != "" {
		t.Error(diff)
	}
}

// An import does not read what it writes.
func TestOutputInsideOfInput(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a", "out/AWSLogs/x", "outer/y")
	want := []string{"a: a", "outer/y: outer/y"}
	for _, except := range []string{filepath.Join(root, "out"), filepath.Join(root, "outer/../out/")} {
		if diff := cmp.Diff(want, read(t, root, find(t, root, except))); diff != "" {
			t.Errorf("%s: %s", except, diff)
		}
	}
	other := filepath.Join(t.TempDir(), "link")
	link(t, filepath.Join(root, "out"), other)
	if diff := cmp.Diff(want, read(t, root, find(t, root, other))); diff != "" {
		t.Errorf("by another name: %s", diff)
	}
	if found := find(t, root, root); len(found) != 0 {
		t.Errorf("the output itself is read: %d files", len(found))
	}
	if found := find(t, root, filepath.Join(root, "not there yet")); len(found) != 3 {
		t.Errorf("%d files", len(found))
	}
}

func TestOneFile(t *testing.T) {
	root := t.TempDir()
	write(t, root, ".hidden")
	if diff := cmp.Diff([]string{".hidden: .hidden"}, read(t, root, find(t, filepath.Join(root, ".hidden"), ""))); diff != "" {
		t.Error(diff)
	}
	if _, err := Find(filepath.Join(root, "missing"), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestPipes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	found := find(t, name, "")
	if len(found) != 1 || found[0].Size() != -1 {
		t.Fatalf("found %v", found)
	}
	written := make(chan error)
	go func() {
		w, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err == nil {
			_, err = w.WriteString("through")
			err = errors.Join(err, w.Close())
		}
		written <- err
	}()
	r, err := found[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, <-written, r.Close()); err != nil || string(b) != "through" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestStdin(t *testing.T) {
	text := strings.Repeat("0123456789", 100_000)
	r, err := Stdin(strings.NewReader(text)).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != text {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	broken := errors.New("broken")
	if r, err = Stdin(io.MultiReader(strings.NewReader("x"), failing{broken})).Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); !errors.Is(err, broken) || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Closing ends a Read for which nothing comes.
func TestSilentStdinCanBeClosed(t *testing.T) {
	silent, writer := io.Pipe()
	r, err := Stdin(silent).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stop := context.AfterFunc(ctx, func() { _ = r.Close() })
	defer stop()
	cancel()
	if _, err := io.ReadAll(r); err == nil {
		t.Error("the end of a silent input came without an error")
	}
	if err := writer.Close(); err != nil { // the goroutine that waits ends with it
		t.Fatal(err)
	}
}

func TestObjects(t *testing.T) {
	bucket := new(mem.Store)
	for _, key := range []string{"in/b", "in/a", "in/c/d", "other", "inner"} {
		if err := bucket.Put(t.Context(), key, strings.NewReader(key)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := Objects(t.Context(), bucket, "s3://lake/", "in/")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"in/a: in/a", "in/b: in/b", "in/c/d: in/c/d"}, read(t, "s3://lake", found)); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	cancel()
	if _, err := Objects(ctx, bucket, "s3://lake/", "in/"); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "list s3://lake/: ") {
		t.Errorf("a list that fails: %v", err)
	}
}
