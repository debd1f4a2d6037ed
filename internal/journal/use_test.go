package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/disk"
)

func TestConcurrentAppendsReadsAndTrims(t *testing.T) {
	mem := new(disk.Mem)
	syncs := 0
	fsys := disk.NewFailing(mem, func(o disk.Operation) disk.Verdict {
		if o.Kind == "sync" {
			syncs++
		}
		return disk.Verdict{}
	})
	j, _ := open(t, fsys, Options{SegmentBytes: 5000})
	const callers, calls = 8, 60
	var mu sync.Mutex
	acked := map[Position]string{}
	var trimmed uint32
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range calls {
				texts := []string{fmt.Sprint("caller ", c, " call ", i, " a"), fmt.Sprint("caller ", c, " call ", i, strings.Repeat(" b", i))}
				pos, err := j.Append(t.Context(), [][]byte{[]byte(texts[0]), []byte(texts[1])})
				if err != nil {
					t.Error(err)
					return
				}
				for k, p := range pos {
					b, err := j.ReadAt(p, nil)
					if !errors.Is(err, ErrTrimmed) && string(b) != texts[k] {
						t.Errorf("read %v: %q, %v", p, b, err)
					}
				}
				mu.Lock()
				acked[pos[0]], acked[pos[1]] = texts[0], texts[1]
				if oldest, active := j.Segments(); c == 0 && i%20 == 19 && active > oldest+1 {
					trimmed = active - 1
					if err := j.Trim(trimmed); err != nil {
						t.Error(err)
					}
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	size := j.Size()
	j, rec := open(t, mem.Crash(0), Options{})
	if len(rec.Lost)+len(rec.Torn) != 0 || rec.Bytes != size {
		t.Errorf("recovered %+v, want %d bytes and no loss", rec, size)
	}
	got := map[Position]string{}
	for _, r := range replay(t, j) {
		got[r.Position] = r.Payload
	}
	for p := range acked {
		if p.Segment < trimmed {
			delete(acked, p)
		}
	}
	if diff := cmp.Diff(acked, got); diff != "" {
		t.Error(diff)
	}
	if trimmed == 0 {
		t.Error("nothing was trimmed")
	}
	t.Logf("%d calls, %d syncs", callers*calls, syncs)
}

// gate is a judge that stops at a sync until it is let go.
func gate() (judge func(disk.Operation) disk.Verdict, reached, pass chan struct{}) {
	reached, pass = make(chan struct{}), make(chan struct{})
	return func(o disk.Operation) disk.Verdict {
		if o.Kind == "sync" {
			reached <- struct{}{}
			<-pass
		}
		return disk.Verdict{}
	}, reached, pass
}

func TestCancelledCallLeavesTheQueueOrIsWritten(t *testing.T) {
	mem := new(disk.Mem)
	fsys := disk.NewFailing(mem, func(disk.Operation) disk.Verdict { return disk.Verdict{} })
	j, _ := open(t, fsys, Options{})
	judge, reached, pass := gate()
	fsys.Judge(judge)
	results := map[string]chan error{}
	start := func(ctx context.Context, text string) {
		c := make(chan error, 1)
		results[text] = c
		queued := func() int {
			j.mu.Lock()
			defer j.mu.Unlock()
			return len(j.queue)
		}
		before := queued()
		go func() {
			_, err := j.Append(ctx, [][]byte{[]byte(text)})
			c <- err
		}()
		if text == "leader" {
			<-reached
			return
		}
		for queued() == before { // ends as soon as the goroutine has run
		}
	}
	leading, stopLeading := context.WithCancel(t.Context())
	waiting, stopWaiting := context.WithCancel(t.Context())
	start(leading, "leader")
	start(waiting, "cancelled")
	start(t.Context(), "follower")
	stopLeading()
	stopWaiting()
	if err := <-results["cancelled"]; !errors.Is(err, context.Canceled) {
		t.Errorf("waiting call: %v", err)
	}
	pass <- struct{}{}
	if err := <-results["leader"]; err != nil {
		t.Errorf("call that was being written: %v", err)
	}
	<-reached
	pass <- struct{}{}
	if err := <-results["follower"]; err != nil {
		t.Errorf("call behind the cancelled one: %v", err)
	}
	fsys.Judge(func(disk.Operation) disk.Verdict { return disk.Verdict{} })
	var got []string
	for _, r := range replay(t, j) {
		got = append(got, r.Payload)
	}
	if !slices.Equal(got, []string{"leader", "follower"}) {
		t.Errorf("got %q", got)
	}
	if j.queued != 0 {
		t.Errorf("%d bytes still count as queued", j.queued)
	}
}

func TestBoundOnTheSize(t *testing.T) {
	j, _ := open(t, new(disk.Mem), Options{MaxBytes: 1000, SegmentBytes: 400})
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		_, err = j.Append(t.Context(), [][]byte{make([]byte, 40)})
	}
	if !errors.Is(err, ErrFull) || j.Size() > 1000 {
		t.Fatalf("after %d appends: %v, size %d", n, err, j.Size())
	}
	full := j.Size()
	if _, err := j.Append(t.Context(), [][]byte{make([]byte, 2000)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than ever fits: %v", err)
	}
	if _, err := j.AppendReserved(t.Context(), [][]byte{[]byte("the way out")}); err != nil {
		t.Errorf("reserved: %v", err)
	}
	if err := j.Roll(); err != nil {
		t.Fatal(err)
	}
	_, active := j.Segments()
	if err := j.Trim(active + 100); err != nil {
		t.Fatal(err)
	}
	if j.Size() >= full {
		t.Errorf("size %d after trimming, %d before", j.Size(), full)
	}
	if oldest, last := j.Segments(); oldest != active || last != active {
		t.Errorf("segments %d to %d, want %d alone", oldest, last, active)
	}
	if _, err := j.Append(t.Context(), [][]byte{make([]byte, 40)}); err != nil {
		t.Errorf("there is room: %v", err)
	}
}

func TestLimitsOfACall(t *testing.T) {
	j, _ := open(t, new(disk.Mem), Options{MaxPayload: 100, SegmentBytes: 1000})
	if _, err := j.Append(t.Context(), [][]byte{make([]byte, 101)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("payload over the limit: %v", err)
	}
	if pos, err := j.Append(t.Context(), nil); err != nil || pos != nil {
		t.Errorf("no payload: %v, %v", pos, err)
	}
	var many [][]byte
	for i := range 50 {
		many = append(many, fmt.Appendf(nil, "%0100d", i))
	}
	pos, err := j.Append(t.Context(), many)
	if err != nil || pos[0].Segment != pos[49].Segment {
		t.Errorf("a call larger than a segment stays in one: %v, %v", pos, err)
	}
	empty := appendAll(t, j, "")[0]
	if b, err := j.ReadAt(empty, nil); err != nil || len(b) != 0 {
		t.Errorf("empty payload: %q, %v", b, err)
	}
}

func TestReadAtRefusesOtherPlaces(t *testing.T) {
	j, _ := open(t, new(disk.Mem), Options{})
	p := appendAll(t, j, "only one")[0]
	var corruption *CorruptionError
	for _, offset := range []uint32{0, 8, p.Offset + 4, p.Offset + 8, p.Offset + 1<<20, 1<<32 - 8} {
		if b, err := j.ReadAt(Position{p.Segment, offset}, nil); !errors.As(err, &corruption) {
			t.Errorf("offset %d: %q, %v", offset, b, err)
		}
	}
	if _, err := j.ReadAt(Position{p.Segment + 1, p.Offset}, nil); !errors.Is(err, ErrTrimmed) {
		t.Errorf("other segment: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.ReadAt(p, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := j.Append(t.Context(), [][]byte{nil}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestDamageWhileOpenIsNeverRead(t *testing.T) {
	mem := new(disk.Mem)
	j, _ := open(t, mem, Options{})
	pos := appendAll(t, j, "one", "two", "three")
	f, err := mem.Open(filepath.Join("j", segmentName(1)), disk.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'T'}, int64(pos[1].Offset)+frameHead); err != nil {
		t.Fatal(err)
	}
	var corruption *CorruptionError
	if b, err := j.ReadAt(pos[1], nil); !errors.As(err, &corruption) || corruption.Offset != int64(pos[1].Offset) {
		t.Errorf("read: %q, %v", b, err)
	}
	n := 0
	err = j.Replay(func(Position, []byte) error { n++; return nil })
	if !errors.As(err, &corruption) || n != 1 {
		t.Errorf("replay: %d records, %v", n, err)
	}
}

func TestManySegmentsKeepFewFilesOpen(t *testing.T) {
	j, _ := open(t, new(disk.Mem), Options{SegmentBytes: 100})
	var all []Position
	for i := range 3 * maxOpened {
		all = append(all, appendAll(t, j, fmt.Sprint(i))...)
	}
	for i, p := range all {
		if b, err := j.ReadAt(p, nil); err != nil || string(b) != fmt.Sprint(i) {
			t.Fatalf("read %v: %q, %v", p, b, err)
		}
	}
	open := 0
	for _, s := range j.segments {
		if s.file != nil {
			open++
		}
	}
	if open > maxOpened+1 {
		t.Errorf("%d files open", open)
	}
}

func TestReplayMayUseTheJournal(t *testing.T) {
	j, _ := open(t, new(disk.Mem), Options{SegmentBytes: 300})
	for i := range 40 {
		appendAll(t, j, fmt.Sprint(i))
	}
	n := 0
	if err := j.Replay(func(p Position, _ []byte) error {
		n++
		if _, err := j.Append(t.Context(), [][]byte{[]byte("more")}); err != nil {
			return err
		}
		return j.Trim(p.Segment)
	}); err != nil {
		t.Fatal(err)
	}
	if n != 40 {
		t.Errorf("%d records, want the 40 that were there", n)
	}
}

func TestNoOtherIDForOldFrames(t *testing.T) {
	for name, damage := range map[string]struct {
		change func(t *testing.T, mem *disk.Mem)
		want   error
	}{
		"neither head can be read": {func(t *testing.T, mem *disk.Mem) {
			t.Helper()
			edit(t, mem, idName, func(b []byte) []byte { b[20]++; return b })
			edit(t, mem, segmentName(1), func(b []byte) []byte { b[20]++; return b })
		}, errNoID},
		"file of another journal": {func(t *testing.T, mem *disk.Mem) {
			t.Helper()
			edit(t, mem, idName, func([]byte) []byte { return head{id: id{1}}.bytes() })
		}, errForeign},
	} {
		t.Run(name, func(t *testing.T) {
			l := makeLog(t, true, 0, 3, short)
			damage.change(t, l.mem)
			before := contents(t, l.mem, segmentName(1))
			if _, _, err := Open(l.mem, "j", Options{}); !errors.Is(err, damage.want) {
				t.Errorf("got %v", err)
			}
			if !slices.Equal(before, contents(t, l.mem, segmentName(1))) {
				t.Error("the segment was changed")
			}
		})
	}
}

func TestLaterVersionIsLeftAlone(t *testing.T) {
	l := makeLog(t, true, 0, 3, short)
	edit(t, l.mem, segmentName(1), func(b []byte) []byte {
		h, err := parseHead(b)
		if err != nil {
			t.Fatal(err)
		}
		return append(h.bytesOf(version+1), b[headSize:]...)
	})
	if _, _, err := Open(l.mem, "j", Options{}); !errors.Is(err, ErrVersion) {
		t.Errorf("got %v", err)
	}
}

// The golden files of version 1 hold a call of one payload, one of two, a roll, an empty payload and a close. Every
// later version must read them. UPDATE=1 writes them anew.
func TestGolden(t *testing.T) {
	dir := filepath.Join("testdata", "v1")
	want := []record{{Position{1, 64}, "first"}, {Position{1, 96}, "second"}, {Position{1, 128}, "third, longer"}, {Position{2, 64}, ""}}
	if os.Getenv("UPDATE") != "" {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		j, _, err := Open(disk.Real{}, dir, testOptions())
		if err != nil {
			t.Fatal(err)
		}
		appendAll(t, j, "first")
		appendAll(t, j, "second", "third, longer")
		if err := j.Roll(); err != nil {
			t.Fatal(err)
		}
		appendAll(t, j, "")
		if err := errors.Join(j.Close(), os.Remove(filepath.Join(dir, lockName))); err != nil {
			t.Fatal(err)
		}
	}
	mine := filepath.Join(t.TempDir(), "j")
	if err := os.CopyFS(mine, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	j, rec, err := Open(disk.Real{}, mine, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := replay(t, j); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Recovered{Segments: 2, Records: 4, Bytes: rec.Bytes, Closed: true}, rec); diff != "" {
		t.Error(diff)
	}
	// The same calls give the same bytes.
	mem := new(disk.Mem)
	j, _ = open(t, mem, Options{})
	appendAll(t, j, "first")
	appendAll(t, j, "second", "third, longer")
	if err := j.Roll(); err != nil {
		t.Fatal(err)
	}
	appendAll(t, j, "")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{idName, segmentName(1), segmentName(2)} {
		golden, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(golden, contents(t, mem, name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
