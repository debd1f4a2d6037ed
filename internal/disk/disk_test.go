package disk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// holdLock names the lock file that a second process of this test holds until it is killed.
const holdLock = "CATCHMENT_TEST_HOLD_LOCK"

func TestMain(m *testing.M) {
	if name := os.Getenv(holdLock); name != "" {
		lock, err := (Real{}).Lock(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(os.Stdout, "held")
		_, _ = io.Copy(io.Discard, os.Stdin) // until killed
		runtime.KeepAlive(lock)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func put(t *testing.T, f File, off int64, text string) {
	t.Helper()
	if n, err := f.WriteAt([]byte(text), off); n != len(text) || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
}

func read(t *testing.T, fsys FS, name string) string {
	t.Helper()
	entries, err := fsys.List(filepath.Dir(name))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == filepath.Base(name) })
	if i < 0 {
		return "no such file"
	}
	f, err := fsys.Open(name, ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, entries[i].Size)
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		t.Fatal(err)
	}
	return string(b)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFileSystemDoesTheSame(t *testing.T) {
	for name, fsys := range map[string]FS{
		"real":    Real{},
		"memory":  new(Mem),
		"failing": NewFailing(new(Mem), func(Operation) Verdict { return Verdict{} }),
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			maker, locker := fsys.(Maker), fsys.(Locker)
			must(t, maker.MakeDir(dir), maker.MakeDir(dir))
			one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
			if _, err := fsys.Open(one, ReadWrite); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("open a missing file: %v", err)
			}
			if err := fsys.Remove(one); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("remove a missing file: %v", err)
			}
			if err := fsys.Rename(one, two); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("rename a missing file: %v", err)
			}
			f, err := fsys.Open(one, Create)
			must(t, err)
			put(t, f, 4, "abc")
			must(t, f.Sync(), f.Truncate(6), f.Truncate(8), fsys.SyncDir(dir))
			if got := read(t, fsys, one); got != "\x00\x00\x00\x00ab\x00\x00" {
				t.Errorf("got %q", got)
			}
			must(t, f.Close(), fsys.Rename(one, two))
			if got := read(t, fsys, two); len(got) != 8 {
				t.Errorf("after renaming: %q", got)
			}
			f, err = fsys.Open(two, ReadOnly)
			must(t, err)
			if _, err := f.WriteAt([]byte("x"), 0); err == nil {
				t.Error("wrote to a file that was opened for reading")
			}
			must(t, f.Close())
			f, err = fsys.Open(two, Create)
			must(t, err, f.Close())
			entries, err := fsys.List(dir)
			must(t, err)
			if diff := cmp.Diff([]Entry{{Name: "two"}}, entries); diff != "" {
				t.Error(diff)
			}
			must(t, fsys.Remove(two))
			lock, err := locker.Lock(one)
			must(t, err)
			var held *LockedError
			if _, err := locker.Lock(one); !errors.As(err, &held) || held.Holder == "" {
				t.Errorf("second lock: %v", err)
			}
			must(t, lock.Close())
			lock, err = locker.Lock(one)
			must(t, err, lock.Close())
		})
	}
}

func TestLockOfAKilledProcessIsFree(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), holdLock+"="+name)
	out, err := other.StdoutPipe()
	must(t, err)
	_, err = other.StdinPipe() // stays open
	must(t, err, other.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, err = Real{}.Lock(name)
	var held *LockedError
	if !errors.As(err, &held) {
		t.Fatalf("second lock: %v", err)
	}
	host, err := os.Hostname()
	must(t, err)
	for _, want := range []string{fmt.Sprint("process ", other.Process.Pid), host, " since 20"} {
		if !strings.Contains(held.Error(), want) {
			t.Errorf("%q does not say %q", held, want)
		}
	}
	must(t, other.Process.Kill())
	_ = other.Wait() // killed
	lock, err := Real{}.Lock(name)
	must(t, err, lock.Close())
}

func TestCrashLosesOnlyWhatWasNotSynced(t *testing.T) {
	m := new(Mem)
	f, err := m.Open("d/old", Create)
	must(t, err)
	put(t, f, 0, strings.Repeat("s", 2000))
	must(t, f.Sync(), m.SyncDir("d"))
	put(t, f, 1000, strings.Repeat("n", 2000))
	_, err = m.Open("d/new", Create)
	must(t, err, m.Rename("d/old", "d/renamed"))
	if got := read(t, m.Crash(0), "d/old"); got != strings.Repeat("s", 2000) {
		t.Errorf("seed 0 keeps more than was synced: %q", got)
	}
	if got := read(t, m.Crash(1), "d/renamed"); got != strings.Repeat("s", 1000)+strings.Repeat("n", 2000) {
		t.Errorf("seed 1 loses something: %q", got)
	}
	if got := read(t, m.Kill(), "d/renamed"); len(got) != 3000 {
		t.Errorf("a killed process loses something: %q", got)
	}
	seen := map[string]bool{}
	names := map[string]bool{}
	for seed := range uint64(300) {
		c := m.Crash(seed)
		got := read(t, c, "d/old") + read(t, c, "d/renamed")
		names[got[:2]] = true
		got = strings.ReplaceAll(got, "no such file", "")
		seen[got] = true
		if !strings.HasPrefix(got, strings.Repeat("s", 1000)) || strings.Trim(got, "sn\x00") != "" {
			t.Fatalf("seed %d: %q", seed, got)
		}
	}
	kinds := map[string]bool{}
	for s := range seen {
		tail := s[1000:]
		kinds["nothing"] = kinds["nothing"] || s == strings.Repeat("s", 2000)
		kinds["all"] = kinds["all"] || tail == strings.Repeat("n", 2000)
		kinds["later sectors first"] = kinds["later sectors first"] || strings.Contains(tail, "\x00n") || strings.Contains(tail, "sn")
		kinds["length without bytes"] = kinds["length without bytes"] || strings.HasSuffix(s, "\x00")
		kinds["torn within a sector"] = kinds["torn within a sector"] || (len(s)%sector != 0 && len(s) > 2000 && len(s) < 3000)
	}
	for kind, met := range kinds {
		if !met {
			t.Errorf("never met: %s", kind)
		}
	}
	if len(names) != 2 {
		t.Error("a rename that was not synced always or never survives")
	}
}

func TestFailingDisk(t *testing.T) {
	m := new(Mem)
	fsys := NewFailing(m, FullAfter(5))
	f, err := fsys.Open("d/f", Create)
	must(t, err)
	put(t, f, 0, "abc")
	if n, err := f.WriteAt([]byte("defg"), 3); n != 2 || !NoSpace(err) {
		t.Errorf("write over the end: %d, %v", n, err)
	}
	if got := read(t, m, "d/f"); got != "abcde" {
		t.Errorf("got %q", got)
	}
	fsys.Judge(FailNth(fsys.Count()+1, syscall.EIO))
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: %v", err)
	}
	must(t, f.Sync(), fsys.SyncDir("d"))
	if got := read(t, m.Crash(0), "d/f"); got != "" && got != "no such file" {
		t.Errorf("a sync after a failed one made %q durable", got)
	}
	fsys.Judge(StopAt(fsys.Count()+1, 1))
	if n, err := f.WriteAt([]byte("xyz"), 0); n != 1 || !errors.Is(err, ErrStopped) {
		t.Errorf("write at the stop: %d, %v", n, err)
	}
	if _, err := fsys.List("d"); !errors.Is(err, ErrStopped) {
		t.Errorf("after the stop: %v", err)
	}
}
