package push

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how often files are looked at, at most.
const checkEvery = time.Second

// maxFile bounds what is read of a configured file, in bytes.
const maxFile = 1 << 20

// reloading is a value read from files, read again when one of them changes. While they are broken, the value
// stays what it was. It is safe for concurrent use.
type reloading[T any] struct {
	files []string
	parse func(contents [][]byte) (T, error)
	tell  func(file string, err error)

	value atomic.Pointer[T]
	next  atomic.Int64 // when to look again, Unix nanoseconds
	mu    sync.Mutex
	seen  []stamp // of what was read last, in the order of files; guarded by mu
}

// A stamp tells one content of a file from another.
type stamp struct {
	info os.FileInfo // nil: there was no such file
}

func (a stamp) same(b stamp) bool {
	if a.info == nil || b.info == nil {
		return a.info == b.info
	}
	return os.SameFile(a.info, b.info) && a.info.Size() == b.info.Size() && a.info.ModTime().Equal(b.info.ModTime())
}

// load reads the files for the first time.
func (r *reloading[T]) load() error {
	r.seen = r.stamps()
	r.next.Store(time.Now().Add(checkEvery).UnixNano())
	return r.read()
}

// get returns the value. It looks at the files when it last did so long enough ago.
func (r *reloading[T]) get() *T {
	now := time.Now()
	if next := r.next.Load(); now.UnixNano() >= next && r.next.CompareAndSwap(next, now.Add(checkEvery).UnixNano()) {
		r.check()
	}
	return r.value.Load()
}

func (r *reloading[T]) check() {
	r.mu.Lock()
	defer r.mu.Unlock()
	// The stamps are taken before the files are read: what is written in between is seen the next time.
	stamps := r.stamps()
	if slices.EqualFunc(stamps, r.seen, stamp.same) {
		return
	}
	r.seen = stamps
	r.tell(r.files[0], r.read())
}

func (r *reloading[T]) stamps() []stamp {
	stamps := make([]stamp, len(r.files))
	for i, file := range r.files {
		if info, err := os.Stat(file); err == nil {
			stamps[i].info = info
		}
	}
	return stamps
}

func (r *reloading[T]) read() error {
	contents := make([][]byte, len(r.files))
	for i, file := range r.files {
		var err error
		if contents[i], err = readFile(file); err != nil {
			return err
		}
	}
	value, err := r.parse(contents)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.files[0], err)
	}
	r.value.Store(&value)
	return nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // the file that the configuration names
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("read %s: longer than %d bytes", name, maxFile)
	}
	return content, nil
}
