package collector

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/document"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/journal"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/source"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// words routes documents of the form "PARTITION ID TEXT": to the partition as a prefix, under the event id. A partition
// "drop" is filtered, "many/N" makes N records, a document with an error is rejected.
type words struct{}

func (w *words) Route(doc document.Document, in pipeline.Arrival, emit func(*pipeline.Outcome)) {
	if doc.Err != nil {
		emit(&pipeline.Outcome{
			Kind: pipeline.Rejected, Prefix: "errors/", Code: "invalid-json", Time: in.Time,
			Line: fmt.Appendf(nil, "error at %d: %s", in.Time.UnixMilli(), doc.Bytes),
		})
		return
	}
	partition, rest, _ := bytes.Cut(doc.Bytes, []byte(" "))
	id, _, _ := bytes.Cut(rest, []byte(" "))
	o := pipeline.Outcome{Kind: pipeline.Stored, Prefix: string(partition) + "/", Line: doc.Bytes, EventID: id, Time: in.Time}
	if string(partition) == "drop" {
		o.Kind = pipeline.Filtered
	}
	n := 1
	if _, err := fmt.Sscanf(string(partition), "many/%d", &n); err == nil {
		for i := range n {
			o.Line = fmt.Appendf(nil, "%s #%d", doc.Bytes, i)
			emit(&o)
		}
		return
	}
	emit(&o)
}

func options(fsys disk.FS, s store.Store) Options {
	return Options{
		NewRouter: func() Router { return new(words) },
		Streams: []Stream{{
			Name: "words", Version: 1, Limits: batch.Limits{Bytes: 1000, Age: time.Minute}, Compression: encode.Gzip,
		}},
		FS: fsys, Dir: "j", Journal: journal.Options{SegmentBytes: 4096, MaxBytes: 1 << 20},
		Duplicates: duplicate.Options{Count: 10_000, Age: time.Hour},
		Store:      s, Puts: 2,
	}
}

func docs(lines ...string) []document.Document {
	var d []document.Document
	for _, line := range lines {
		doc := document.Document{Bytes: []byte(line)}
		if strings.HasPrefix(line, "broken") {
			doc.Err = errors.New("broken")
		}
		d = append(d, doc)
	}
	return d
}

func mustOpen(tb testing.TB, o Options) *Collector {
	tb.Helper()
	c, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func mustClose(tb testing.TB, c *Collector) {
	tb.Helper()
	if err := c.Close(); err != nil {
		tb.Error(err)
	}
}

func mustDeliver(tb testing.TB, c *Collector, lines ...string) {
	tb.Helper()
	if err := c.Deliver(tb.Context(), docs(lines...)); err != nil {
		tb.Fatal(err)
	}
}

// drain runs the collector until everything is stored.
func drain(tb testing.TB, c *Collector) {
	tb.Helper()
	ctx, stop := context.WithCancel(tb.Context())
	stop()
	if err := c.Run(ctx, time.Hour); err != nil {
		tb.Fatal(err)
	}
}

// failer is what a testing.TB and a *rapid.T have in common.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// bucket returns the lines of all objects by prefix, sorted.
func bucket(tb failer, s *mem.Store) map[string][]string {
	tb.Helper()
	lines := map[string][]string{}
	for o, err := range s.List(context.Background(), "") {
		if err != nil {
			tb.Fatalf("bucket: %v", err)
		}
		r, err := s.Get(context.Background(), o.Key)
		if err != nil {
			tb.Fatalf("bucket: %v", err)
		}
		var plain io.Reader = r
		switch {
		case strings.HasSuffix(o.Key, ".gz"):
			plain, err = gzip.NewReader(r)
		case strings.HasSuffix(o.Key, ".zst"):
			plain, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		}
		if err != nil {
			tb.Fatalf("%s: %v", o.Key, err)
		}
		dir := o.Key[:strings.LastIndex(o.Key, "/")+1]
		scanner := bufio.NewScanner(plain)
		for scanner.Scan() {
			lines[dir] = append(lines[dir], scanner.Text())
		}
		if err := scanner.Err(); err != nil {
			tb.Fatalf("%s: %v", o.Key, err)
		}
	}
	for _, l := range lines {
		slices.Sort(l)
	}
	return lines
}

// balanced checks the account.
func balanced(tb failer, s Stats) {
	tb.Helper()
	if in, out := s.Received+s.Recovered, s.Stored+s.RejectedTotal()+s.Filtered+s.Duplicate+s.Lost+s.Pending.Records; in != out {
		tb.Errorf("received and recovered %d, accounted for %d: %+v", in, out, s)
	}
}

func TestWhatIsDeliveredIsStored(t *testing.T) {
	s := new(mem.Store)
	c := mustOpen(t, options(new(disk.Mem), s))
	mustDeliver(t, c, "a 1 x", "b 2 y", "drop 3 z", "broken thing")
	mustDeliver(t, c, "a 4 w", "a 1 x", "a 1 other content", "many/3 5 m", "many/3 5 m", "broken thing")
	got := c.Stats()
	balanced(t, got)
	if got.Pending.Records != 7 || got.Pending.Partitions != 4 || got.Rejections.Pending != 1 {
		t.Errorf("pending: %+v, %+v", got.Pending, got.Rejections)
	}
	drain(t, c)
	got = c.Stats()
	balanced(t, got)
	mustClose(t, c)
	want := map[string][]string{
		"a/": {"a 1 other content", "a 1 x", "a 4 w"}, "b/": {"b 2 y"}, "many/3/": {"many/3 5 m #0", "many/3 5 m #1", "many/3 5 m #2"},
	}
	lines := bucket(t, s)
	if len(lines["errors/"]) != 1 || !strings.HasSuffix(lines["errors/"][0], "broken thing") {
		t.Errorf("error records: %q", lines["errors/"])
	}
	delete(lines, "errors/")
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("bucket (-want +got):\n%s", diff)
	}
	wantStats := Stats{
		Received: 14, Stored: 7, Rejected: map[string]int64{"invalid-json": 1}, Filtered: 1, Duplicate: 5,
		Rejections: Rejections{Stored: 1}, Objects: 4, JournalMax: 1 << 20, Window: 8,
	}
	got.JournalBytes = 0
	if diff := cmp.Diff(wantStats, got); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func TestObjectNames(t *testing.T) {
	s := new(mem.Store)
	o := options(new(disk.Mem), s)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	o.Now = func() time.Time { return at }
	o.Streams[0].Location = time.FixedZone("", 9*3600)
	c := mustOpen(t, o)
	mustDeliver(t, c, "a\x00b 1 x")
	at = at.Add(time.Second)
	mustDeliver(t, c, "a\x00b 2 x")
	drain(t, c)
	mustClose(t, c)
	for object := range s.List(t.Context(), "") {
		random, name, _ := strings.Cut(strings.TrimPrefix(object.Key, "a"), "b/")
		if len(random) != 11 || !strings.HasPrefix(name, "words-1-2026-01-02-12-04-05-") || !strings.HasSuffix(name, ".json.gz") {
			t.Errorf("the object is named %s", object.Key)
		}
	}
}

func TestBatchesComeOfAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(mem.Store)
		c := mustOpen(t, options(new(disk.Mem), s))
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.Run(ctx, time.Minute); err != nil {
				t.Error(err)
			}
		})
		mustDeliver(t, c, "a 1 x")
		time.Sleep(59 * time.Second)
		mustDeliver(t, c, "a 2 y", "b 3 z")
		synctest.Wait()
		if got := c.Stats(); got.Stored != 0 || got.Pending.Records != 3 || !got.Pending.Oldest.Equal(time.Now().Add(-59*time.Second)) {
			t.Errorf("before a minute: %+v", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := c.Stats(); got.Stored != 2 || got.Objects != 1 {
			t.Errorf("after a minute: %+v", got)
		}
		mustDeliver(t, c, "b 4 "+strings.Repeat("long", 300)) // full
		synctest.Wait()
		if got := c.Stats(); got.Stored != 4 || got.Objects != 2 || !got.Pending.Oldest.IsZero() {
			t.Errorf("after a full batch: %+v", got)
		}
		stop()
		wg.Wait()
		mustClose(t, c)
	})
}

func TestDuplicatesAreKnownAfterARestart(t *testing.T) {
	s, fsys := new(mem.Store), new(disk.Mem)
	var all []string
	for round := range 4 {
		c := mustOpen(t, options(fsys, s))
		for i := range 50 {
			all = append(all, fmt.Sprintf("p%d %d-%d %s", i%3, round, i, strings.Repeat("x", 300)))
		}
		for _, line := range all {
			mustDeliver(t, c, line)
		}
		got := c.Stats()
		if got.Duplicate != int64(50*round) {
			t.Errorf("round %d: %d duplicates", round, got.Duplicate)
		}
		drain(t, c)
		if oldest, active := c.journal.Segments(); round == 3 && oldest+1 < active {
			t.Errorf("segments %d to %d are kept with nothing pending", oldest, active)
		}
		mustClose(t, c)
	}
	var got []string
	for _, lines := range bucket(t, s) {
		got = append(got, lines...)
	}
	slices.Sort(got)
	slices.Sort(all)
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("bucket (-want +got):\n%s", diff)
	}
}

// slow is a file system whose fsync waits to be let through.
type slow struct {
	disk.FS
	let chan error
}

func (s *slow) Open(name string, mode disk.Mode) (disk.File, error) {
	f, err := s.FS.Open(name, mode)
	return &slowFile{f, s}, err
}

type slowFile struct {
	disk.File
	s *slow
}

func (f *slowFile) Sync() error {
	if f.s.let != nil {
		if err := <-f.s.let; err != nil {
			return err
		}
	}
	return f.File.Sync()
}

// Two senders bring the same record at the same time. The second may be told that it is there only when it is.
func TestAConcurrentDuplicateWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := &slow{FS: new(disk.Mem)}
		s := new(mem.Store)
		c := mustOpen(t, options(fsys, s))
		fsys.let = make(chan error)
		var done sync.WaitGroup
		var mu sync.Mutex
		returned := 0
		for range 2 {
			done.Go(func() {
				if err := c.Deliver(t.Context(), docs("a 1 x")); err != nil {
					t.Error(err)
				}
				mu.Lock()
				returned++
				mu.Unlock()
			})
		}
		synctest.Wait()
		mu.Lock()
		if returned != 0 {
			t.Errorf("%d returned before the record is on disk", returned)
		}
		mu.Unlock()
		fsys.let <- nil
		done.Wait()
		close(fsys.let)
		if got := c.Stats(); got.Received != 2 || got.Duplicate != 1 || got.Pending.Records != 1 {
			t.Errorf("%+v", got)
		}
		mustClose(t, c)
	})
}

// A write that fails for lack of room must leave the records to the second sender.
func TestAConcurrentDuplicateTakesOverWhenTheFirstFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := false
		memory := &slow{FS: new(disk.Mem)}
		fsys := disk.NewFailing(memory, func(o disk.Operation) disk.Verdict {
			if full && o.Kind == "write" {
				full = false
				return disk.Verdict{Err: noSpace()}
			}
			return disk.Verdict{}
		})
		c := mustOpen(t, options(fsys, new(mem.Store)))
		memory.let = make(chan error)
		var first sync.WaitGroup
		first.Go(func() { mustDeliver(t, c, "a 0 blocks the writer") })
		synctest.Wait()
		full = true // for the write after that one
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- c.Deliver(t.Context(), docs("a 1 x")) }()
		}
		synctest.Wait()
		go func() {
			for memory.let != nil {
				select {
				case memory.let <- nil:
				case <-t.Context().Done():
					return
				}
			}
		}()
		var errs []error
		for range 2 {
			errs = append(errs, <-results)
		}
		first.Wait()
		busy := 0
		for _, err := range errs {
			if errors.Is(err, source.ErrBusy) {
				busy++
			} else if err != nil {
				t.Error(err)
			}
		}
		if got := c.Stats(); busy != 1 || got.Received != 2 || got.Duplicate != 0 || got.Pending.Records != 2 {
			t.Errorf("%d refused; %+v", busy, got)
		}
		mustClose(t, c)
	})
}

func noSpace() error { return disk.FullAfter(0)(disk.Operation{Kind: "write", Size: 1}).Err }

func TestTheAccountBalancesAtAnyMoment(t *testing.T) {
	s := new(mem.Store)
	o := options(new(disk.Mem), s)
	o.Streams[0].Limits = batch.Limits{Bytes: 300, Age: time.Millisecond}
	c := mustOpen(t, o)
	ctx, stop := context.WithCancel(t.Context())
	var run, load sync.WaitGroup
	run.Go(func() {
		if err := c.Run(ctx, time.Minute); err != nil {
			t.Error(err)
		}
	})
	for g := range 4 {
		load.Go(func() {
			for i := range 150 {
				err := c.Deliver(t.Context(), docs(fmt.Sprintf("p%d %d x", i%5, i), fmt.Sprintf("many/3 %d %d", i, g), "drop it",
					fmt.Sprintf("broken %d", i/2)))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	watched := make(chan struct{})
	run.Go(func() {
		for {
			select {
			case <-watched:
				return
			default:
				balanced(t, c.Stats())
			}
		}
	})
	load.Wait()
	close(watched)
	stop()
	run.Wait()
	got := c.Stats()
	balanced(t, got)
	want := Stats{
		Received: 4 * 150 * 6, Stored: 150 + 4*150*3, Filtered: 600, Duplicate: 450 + 525,
		Rejected: map[string]int64{"invalid-json": 75}, Rejections: Rejections{Stored: 75},
	}
	got = Stats{
		Received: got.Received, Stored: got.Stored, Filtered: got.Filtered, Duplicate: got.Duplicate,
		Rejected: got.Rejected, Rejections: got.Rejections,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	mustClose(t, c)
}

func TestASecondCollectorIsToldWhoHasTheJournal(t *testing.T) {
	fsys := new(disk.Mem)
	c := mustOpen(t, options(fsys, new(mem.Store)))
	_, err := Open(options(fsys, new(mem.Store)))
	var locked *disk.LockedError
	if !errors.As(err, &locked) {
		t.Errorf("got %v", err)
	}
	mustClose(t, c)
}
