package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/source"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/mem"
)

// flaky is a store that fails at random, before it has put an object or after.
type flaky struct {
	mem.Store
	mu       sync.Mutex
	random   *rand.Rand
	failures int // of 100
}

func (f *flaky) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	f.mu.Lock()
	before, after := f.random.IntN(100) < f.failures, f.random.IntN(100) < f.failures
	f.mu.Unlock()
	if before {
		return &store.TemporaryError{Err: errors.New("away")}
	}
	if err := f.Store.Put(ctx, key, body); err != nil {
		return err
	}
	if after {
		return &store.TemporaryError{Err: errors.New("the answer was lost")}
	}
	return nil
}

func newFlaky(seed uint64, failures int) *flaky {
	return &flaky{random: rand.New(rand.NewPCG(seed, 0)), failures: failures}
}

// A trial is a bucket, a disk, and what was acknowledged over any number of runs.
type trial struct {
	t       failer
	store   *flaky
	disk    *disk.Mem
	options func(disk.FS) Options
	now     time.Time
	what    string
	wasFull bool // the disk was full in some life

	mu   sync.Mutex
	sent map[string]bool // lines, true: acknowledged
}

func newTrial(t failer, seed uint64, failures int) *trial {
	tr := &trial{t: t, store: newFlaky(seed, failures), disk: new(disk.Mem), sent: map[string]bool{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	tr.options = func(fsys disk.FS) Options {
		o := options(fsys, store.Retry(tr.store, store.RetryPolicy{Initial: 1, Max: 1, KeepTrying: true}))
		o.Streams[0].Limits = batch.Limits{Bytes: 300, Age: 10 * time.Second}
		o.Journal.SegmentBytes = 1024
		o.Now = func() time.Time {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			return tr.now
		}
		o.Events.Existed = func(key string) { t.Errorf("%s: other bytes were put under %s", tr.what, key) }
		o.Events.Lost = func(l Lost) { t.Errorf("%s: lost %+v", tr.what, l) }
		o.Events.Damaged = func(err error) {
			// On a full disk segments are deleted before it is written down that they were given up.
			if !tr.wasFull || !strings.Contains(err.Error(), "missing") {
				t.Errorf("%s: damaged: %v", tr.what, err)
			}
		}
		return o
	}
	return tr
}

// deliver hands over lines, and notes whether they were acknowledged.
func (tr *trial) deliver(c *Collector, lines ...string) error {
	tr.mu.Lock()
	tr.now = tr.now.Add(time.Second)
	for _, line := range lines {
		tr.sent[line] = tr.sent[line] || false
	}
	tr.mu.Unlock()
	if err := c.Deliver(context.Background(), docs(lines...)); err != nil {
		return err
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, line := range lines {
		tr.sent[line] = true
	}
	return nil
}

// run is one life of the collector on fsys. It returns an error when it died, and leaves no goroutine behind.
func (tr *trial) run(fsys disk.FS, work func(*Collector) error) error {
	c, err := Open(tr.options(fsys))
	if err != nil {
		return err
	}
	c.retry = time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx, time.Hour) }()
	worked := work(c)
	stop()
	err = errors.Join(worked, <-ran)
	balanced(tr.t, c.Stats())
	return errors.Join(err, c.Close())
}

// finish resends what was never acknowledged, drains, and compares the bucket with what was sent.
func (tr *trial) finish(resend bool) {
	tr.t.Helper()
	if resend {
		tr.check("before resending")
	}
	err := tr.run(tr.disk, func(c *Collector) error {
		for line, acknowledged := range tr.sent {
			if !acknowledged && resend {
				err := tr.deliver(c, line)
				for ; errors.Is(err, source.ErrBusy); err = tr.deliver(c, line) {
					runtime.Gosched() // the collector makes room
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		tr.t.Fatalf("%s: the last run: %v", tr.what, err)
	}
	tr.check("at the end")
}

// check looks for lines that nobody sent, that are there twice, or, unless something is still pending, that are missing.
func (tr *trial) check(when string) {
	tr.t.Helper()
	got := map[string]int{}
	for _, lines := range bucket(tr.t, &tr.store.Store) {
		for _, line := range lines {
			got[line]++
		}
	}
	for line, n := range got {
		if _, ok := tr.sent[line]; !ok || n > 1 {
			tr.t.Errorf("%s, %s: %q is in the bucket %d times; sent: %v", tr.what, when, line, n, ok)
		}
	}
	if when != "at the end" {
		return
	}
	for line, acknowledged := range tr.sent {
		if acknowledged && got[line] == 0 {
			tr.t.Errorf("%s, %s: %q was acknowledged and is not in the bucket", tr.what, when, line)
		}
	}
}

// life is enough work for records, seals and stored payloads, for full batches and for segments to be trimmed.
func life(tr *trial, c *Collector, round int) error {
	for i := range 12 {
		lines := []string{
			fmt.Sprintf("p%d %d-%d some text that takes room in the journal and in the object", i%3, round, i),
			fmt.Sprintf("q %d-%d more text that takes room", round, i),
			fmt.Sprintf("p%d %d-%d some text that takes room in the journal and in the object", (i+2)%3, round, max(0, i-1)),
		}
		if err := tr.deliver(c, lines...); err != nil {
			return err
		}
	}
	return nil
}

// The disk stops, torn, at every single operation; then again in the life after that.
func TestCrashAtEveryOperation(t *testing.T) {
	for _, kill := range []bool{true, false} {
		for n := 1; ; n++ {
			tr := newTrial(t, uint64(n), 20)
			survived := false
			for round, at := range []int{n, n*7%61 + 1, 0} {
				tr.what = fmt.Sprintf("killed %v, operation %d, round %d", kill, n, round)
				var fsys disk.FS = tr.disk
				if at > 0 {
					fsys = disk.NewFailing(tr.disk, disk.StopAt(at, n%97))
				}
				err := tr.run(fsys, func(c *Collector) error { return life(tr, c, round) })
				if round == 0 && err == nil {
					survived = true
				}
				if err != nil && !errors.Is(err, disk.ErrStopped) {
					t.Fatalf("%s: %v", tr.what, err)
				}
				if kill {
					tr.disk = tr.disk.Kill()
				} else {
					tr.disk = tr.disk.Crash(uint64(n + round))
				}
			}
			tr.finish(true)
			if t.Failed() || survived {
				t.Logf("%d operations", n)
				break
			}
		}
	}
}

// Random lines, limits, duplicates, failures of store and disk, crashes: the bucket holds what was acknowledged.
func TestBucketIsWhatWasAcknowledged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := newTrial(t, rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 60).Draw(t, "failures"))
		base := tr.options
		limits := batch.Limits{
			Bytes: int64(rapid.IntRange(1, 2000).Draw(t, "bytes")), Age: time.Duration(rapid.IntRange(1, 20).Draw(t, "age")) * time.Second,
		}
		kind := rapid.SampledFrom([]encode.Kind{encode.Gzip, encode.Zstd, encode.None}).Draw(t, "kind")
		segment, puts := int64(rapid.IntRange(200, 5000).Draw(t, "segment")), rapid.IntRange(1, 4).Draw(t, "puts")
		bound := int64(rapid.IntRange(8000, 100_000).Draw(t, "bound"))
		tr.options = func(fsys disk.FS) Options {
			o := base(fsys)
			o.Streams[0].Limits, o.Streams[0].Compression = limits, kind
			o.Journal.SegmentBytes, o.Journal.MaxBytes, o.Puts = segment, bound, puts
			return o
		}
		for life := range rapid.IntRange(1, 5).Draw(t, "lives") {
			tr.what = fmt.Sprintf("life %d", life)
			stop, full := rapid.IntRange(0, 200).Draw(t, "stop"), rapid.IntRange(0, 100).Draw(t, "full")
			torn := rapid.IntRange(0, 3000).Draw(t, "torn")
			stopAt := disk.StopAt(stop, torn)
			fullness := rand.New(rand.NewPCG(uint64(stop), uint64(full)))
			fsys := disk.NewFailing(tr.disk, func(o disk.Operation) disk.Verdict {
				if v := stopAt(o); stop > 0 && v.Err != nil {
					return v
				}
				if full > 2 && o.Kind == "write" && fullness.IntN(full) == 0 {
					return disk.Verdict{Err: noSpace(), Done: o.Size / 2}
				}
				return disk.Verdict{}
			})
			tr.wasFull = tr.wasFull || full > 2
			senders := rapid.IntRange(1, 3).Draw(t, "senders")
			var batches [][][]string
			for s := range senders {
				batches = append(batches, nil)
				for b := range rapid.IntRange(0, 15).Draw(t, "batches") {
					var lines []string
					for l := range rapid.IntRange(1, 8).Draw(t, "lines") {
						lines = append(lines, fmt.Sprintf("p%d %d-%d-%d-%d %s", rapid.IntRange(0, 4).Draw(t, "p"), life, s, b,
							l, string(make([]byte, rapid.IntRange(0, 300).Draw(t, "size")))))
					}
					if b > 0 && rapid.Bool().Draw(t, "again") {
						lines = append(lines, batches[s][b-1]...)
					}
					batches[s] = append(batches[s], lines)
				}
			}
			err := tr.run(fsys, func(c *Collector) error {
				var wg sync.WaitGroup
				for _, own := range batches {
					wg.Go(func() {
						for _, lines := range own {
							_ = tr.deliver(c, lines...) // an error: not acknowledged
						}
					})
				}
				wg.Wait()
				return nil
			})
			if err != nil && !errors.Is(err, disk.ErrStopped) && !disk.NoSpace(err) {
				t.Fatalf("%s: %v", tr.what, err)
			}
			if rapid.Bool().Draw(t, "power cut") {
				tr.disk = tr.disk.Crash(rapid.Uint64Range(0, 100).Draw(t, "crash"))
			} else {
				tr.disk = tr.disk.Kill()
			}
		}
		tr.what = "after all lives"
		tr.finish(rapid.Bool().Draw(t, "resend"))
	})
}
