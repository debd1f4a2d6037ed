package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/mem"
)

// many is an input of events in many partitions.
func many(events int) *input {
	var b strings.Builder
	for n := range events {
		account := fmt.Sprintf("%012d", n%97)
		b.WriteString(strings.Replace(anEvent(n*5), "11112222333", account[:11], 1) + "\n")
	}
	return &input{name: "in/many", b: []byte(b.String())}
}

func options(tb testing.TB) Options {
	tb.Helper()
	return Options{
		Pipeline: compile(tb, pipeline.DefaultStream()), Window: 10_000, TempDir: tb.TempDir(),
		Outputs: []Output{{Compression: encode.Gzip, MaxBytes: 2000}},
	}
}

// checkPart holds that what is in the bucket is part of what belongs there.
func checkPart(t *testing.T, s *mem.Store, whole map[string]string) {
	t.Helper()
	for key, b := range objects(t, s) {
		if whole[key] != b {
			t.Errorf("%s is not what belongs there", key)
		}
	}
}

// A store that fails for good ends the import; what is in the bucket is right, and the next import adds the rest.
func TestAStoreThatFails(t *testing.T) {
	in := many(400)
	whole := new(mem.Store)
	imported(t, whole, []*input{in}, options(t))
	want := objects(t, whole)
	for _, after := range []int32{0, 1, 5, 50} {
		t.Run(fmt.Sprintf("after %d objects", after), func(t *testing.T) {
			defer goleak.VerifyNone(t)
			full := errors.New("disk quota exceeded")
			var puts atomic.Int32
			s := &mem.Store{Before: func(context.Context, string) error {
				if puts.Add(1) > after {
					return full
				}
				return nil
			}}
			o := options(t)
			o.Store, o.chunk = s, 3000
			_, err := Run(t.Context(), inputs(in), o)
			if !errors.Is(err, full) || strings.Count(err.Error(), "put ") != 1 {
				t.Fatalf("got %v", err)
			}
			checkPart(t, s, want)
			s.Before = nil
			imported(t, s, []*input{in}, o)
			if diff := cmp.Diff(want, objects(t, s)); diff != "" {
				t.Errorf("the next import: %s", diff)
			}
		})
	}
}

// A store that is away now and then takes every object in the end; answers that get lost make nothing twice.
func TestAStoreThatIsAway(t *testing.T) {
	in := many(300)
	whole := new(mem.Store)
	imported(t, whole, []*input{in}, options(t))
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		away := func(context.Context, string) error {
			if n.Add(1)%3 == 0 {
				return &store.TemporaryError{Err: errors.New("SlowDown")}
			}
			return nil
		}
		s := &mem.Store{Before: away, After: away}
		o := options(t)
		o.Store, o.Existing = store.Retry(s, store.RetryPolicy{}), s
		if _, err := Run(t.Context(), inputs(in), o); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(objects(t, whole), objects(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

// A silent input gives its bytes and then nothing, until it is closed.
type silent struct {
	io.Reader
	closed chan struct{}
}

func (s *silent) Name() string                                { return "-" }
func (s *silent) Open(context.Context) (io.ReadCloser, error) { return s, nil }

func (s *silent) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	<-s.closed
	return 0, os.ErrClosed
}

func (s *silent) Close() error {
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

func TestInterrupted(t *testing.T) {
	events := many(300).b
	for name, wait := range map[string]time.Duration{"before it begins": 0, "while it waits for input": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				s := new(mem.Store)
				o := options(t)
				o.Store, o.chunk = s, 2000
				if wait == 0 {
					cancel()
				} else {
					time.AfterFunc(wait, cancel)
				}
				c, err := Run(ctx, []Input{&silent{bytes.NewReader(events), make(chan struct{})}, many(10)}, o)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				if stored := len(objects(t, s)); wait > 0 && (stored == 0 || c.Received == 0) || c.RejectedTotal() > 0 && len(c.Rejected) != 1 {
					t.Errorf("%d objects, %+v", stored, c)
				}
			})
		})
	}
	t.Run("while an object is put", func(t *testing.T) {
		defer goleak.VerifyNone(t)
		ctx, cancel := context.WithCancel(t.Context())
		s := &mem.Store{Before: func(ctx context.Context, _ string) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}}
		o := options(t)
		o.Store = s
		if _, err := Run(ctx, inputs(many(300)), o); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if n := len(objects(t, s)); n > 0 {
			t.Errorf("%d objects", n)
		}
	})
}

// Inputs that cannot be read to their end are told, one by one; the others are imported.
func TestUnreadableInputs(t *testing.T) {
	good := many(50)
	half := &input{name: "half.gz", b: compressed([]byte(strings.Repeat(anEvent(1)+"\n", 1)+anEvent(5)), "gzip")}
	half.b = half.b[:len(half.b)-9]
	all := []*input{
		{name: "locked\n", err: errors.New("permission denied")},
		half,
		{name: "bad.gz", b: []byte("\x1f\x8b\x08 no gzip")},
		{name: "bad.zst", b: []byte("\x28\xb5\x2f\xfd no zstd")},
		{name: "nested", b: compressed(compressed(compressed(compressed(compressed(nil, "gzip"), "gzip"), "gzip"), "gzip"), "gzip")},
		{name: "empty"},
		good,
	}
	s := new(mem.Store)
	o := options(t)
	o.Store = s
	c, err := Run(t.Context(), inputs(all...), o)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{`read "locked\n": permission denied`, "read half.gz: ", "read bad.gz: gzip: ", "read bad.zst: ", "read nested: compressed more than 4 times over"} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of %q, want %q", i, lines, want)
		}
	}
	if c.Rejected["incomplete"] < 5 || c.Received != c.Stored+c.Kept+c.Filtered+c.Duplicate {
		t.Errorf("%+v", c)
	}
	var kept []string
	for prefix, l := range linesOf(t, objects(t, s)) {
		if strings.HasPrefix(prefix, "errors/") {
			kept = append(kept, l...)
		}
	}
	if text := strings.Join(kept, "\n"); !strings.Contains(text, `bad.gz: document at byte 0: the input breaks off here`) || strings.Contains(text, "permission") {
		t.Errorf("error records: %s", text)
	}
}

func TestTheTemporaryFolder(t *testing.T) {
	in := many(300)
	whole := new(mem.Store)
	imported(t, whole, []*input{in}, options(t))
	t.Run("what waits goes there, and nothing is left", func(t *testing.T) {
		s := new(mem.Store)
		o := options(t)
		o.MemoryBytes = 1
		c, _ := imported(t, s, []*input{in}, o)
		if diff := cmp.Diff(objects(t, whole), objects(t, s)); diff != "" {
			t.Error(diff)
		}
		if left, err := os.ReadDir(o.TempDir); err != nil || len(left) > 0 || c.Segments == 0 {
			t.Errorf("%d segments were there; left: %v, %v", c.Segments, left, err)
		}
	})
	t.Run("it is not there", func(t *testing.T) {
		s := new(mem.Store)
		o := options(t)
		o.Store, o.MemoryBytes, o.TempDir = s, 1, filepath.Join(t.TempDir(), "gone")
		_, err := Run(t.Context(), inputs(in), o)
		if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "make the temporary file for what waits: ") {
			t.Errorf("got %v", err)
		}
		checkPart(t, s, objects(t, whole))
	})
	t.Run("it is full", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
		if err != nil {
			t.Skip("no /dev/full here")
		}
		sp := newSpill(t.TempDir(), 0)
		sp.file = full
		defer sp.close()
		err = sp.keep(&piece{}, encode.Segment{Compressed: []byte("x")})
		if err == nil || !strings.HasPrefix(err.Error(), "write 1 bytes to the temporary file for what waits: ") {
			t.Errorf("got %v", err)
		}
	})
}

// A name that is taken is as good as stored if it holds the same lines, however they are compressed.
func TestTakenNames(t *testing.T) {
	in := []*input{many(40)}
	s := new(mem.Store)
	o := options(t)
	imported(t, s, in, o)
	before := objects(t, s)
	o.Outputs[0].Level = 9
	imported(t, s, in, o)
	if diff := cmp.Diff(before, objects(t, s)); diff != "" {
		t.Error(diff)
	}
	other := new(mem.Store)
	imported(t, other, in, o)
	if cmp.Equal(before, objects(t, other)) {
		t.Error("both levels give the same bytes: this proves nothing")
	}

	o.Store = s
	if _, err := Run(t.Context(), inputs(in...), o); !errors.Is(err, store.ErrExists) {
		t.Errorf("without a look at what is there: %v", err)
	}
	for name, body := range map[string]string{
		"other lines": string(compressed([]byte("{}\n"), "gzip")), "not even gzip": "{}\n", "broken gzip": "\x1f\x8b\x08\x00", "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			s := new(mem.Store)
			for key := range before {
				if err := s.Put(t.Context(), key, strings.NewReader(body)); err != nil {
					t.Fatal(err)
				}
				break
			}
			o := o
			o.Store, o.Existing = s, s
			if _, err := Run(t.Context(), inputs(in...), o); !errors.Is(err, store.ErrExists) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("a bucket that cannot be read", func(t *testing.T) {
		o := o
		o.Store, o.Existing = s, unreadable{}
		if _, err := Run(t.Context(), inputs(in...), o); !errors.Is(err, store.ErrExists) || !strings.Contains(err.Error(), "compare its lines: denied") {
			t.Errorf("got %v", err)
		}
	})
}

type unreadable struct{}

func (unreadable) Get(context.Context, string) (io.ReadCloser, error) {
	return nil, errors.New("denied")
}

func TestALevelThatIsNone(t *testing.T) {
	o := options(t)
	o.Store, o.Outputs = new(mem.Store), []Output{{Compression: encode.Gzip, Level: 77}}
	if _, err := Run(t.Context(), inputs(many(1)), o); err == nil {
		t.Error("level 77 is taken")
	}
}

// Progress is told from one goroutine, and ends with what was read.
func TestProgress(t *testing.T) {
	in := many(200)
	o := options(t)
	o.Store, o.chunk = new(mem.Store), 1000
	var last Counts
	calls := 0
	o.Progress = func(c Counts) {
		if calls++; c.InputBytes < last.InputBytes || c.Received < last.Received {
			t.Errorf("from %+v to %+v", last, c)
		}
		last = c
	}
	if _, err := Run(t.Context(), inputs(in, in), o); err != nil {
		t.Fatal(err)
	}
	if want := int64(2 * len(in.b)); last.InputBytes != want || calls < 10 {
		t.Errorf("%d calls, the last with %d bytes of %d", calls, last.InputBytes, want)
	}
}
