package collector

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/source"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/mem"
)

func patient(fsys disk.FS, s store.Store) Options {
	o := options(fsys, s)
	o.Stays = true
	return o
}

func mustAccept(tb testing.TB, c *Collector, lines ...string) source.Stay {
	tb.Helper()
	stay, err := c.Accept(tb.Context(), docs(lines...))
	if err != nil {
		tb.Fatal(err)
	}
	return stay
}

// over tells whether a stay has ended, and how.
func over(stay source.Stay) (bool, error) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := stay.Wait(ctx)
	return !errors.Is(err, context.Canceled), err
}

func wantOver(tb testing.TB, what string, stay source.Stay, want bool) {
	tb.Helper()
	if got, err := over(stay); got != want || got && err != nil {
		tb.Errorf("%s: the stay is over: %v (error %v), want %v", what, got, err, want)
	}
}

// running is a collector that runs until the test stops it.
func running(t *testing.T, c *Collector, grace time.Duration, sources ...source.Source) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Run(ctx, grace, sources...); err != nil {
			t.Error(err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// tidy checks that nothing is kept of stays that are over.
func tidy(t *testing.T, c *Collector) {
	t.Helper()
	if len(c.staying) != 0 || len(c.found) != 0 {
		t.Errorf("%d stays and %d digests are kept", len(c.staying), len(c.found))
	}
}

func TestAStayLastsUntilTheBucketHasIt(t *testing.T) {
	for name, tt := range map[string]struct {
		first []string // delivered before
		lines []string
		over  bool // at once
	}{
		"a record":                              {nil, []string{"a 1 x"}, false},
		"many of one document":                  {nil, []string{"many/3 1 x", "b 1 y"}, false},
		"an error record":                       {nil, []string{"broken x"}, false},
		"nothing":                               {nil, nil, true},
		"what is filtered":                      {nil, []string{"drop 1 x"}, true},
		"a record twice in the same call":       {nil, []string{"a 1 x", "a 1 x"}, false},
		"one that came before, and is pending":  {[]string{"a 1 x"}, []string{"a 1 x"}, false},
		"some that came before, and one new":    {[]string{"many/3 1 x"}, []string{"many/3 1 x", "c 1 y"}, false},
		"an error record that came before, too": {[]string{"broken x"}, []string{"broken x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := mustOpen(t, patient(new(disk.Mem), new(mem.Store)))
				stop := running(t, c, time.Hour)
				if tt.first != nil {
					mustDeliver(t, c, tt.first...)
				}
				stay := mustAccept(t, c, tt.lines...)
				time.Sleep(59 * time.Second)
				wantOver(t, "before a minute", stay, tt.over)
				time.Sleep(2 * time.Second)
				wantOver(t, "after a minute", stay, true)
				again := mustAccept(t, c, tt.lines...)
				wantOver(t, "again, when it is stored", again, true)
				tidy(t, c)
				stop()
				mustClose(t, c)
			})
		})
	}
}

func TestAcceptNeedsItsOption(t *testing.T) {
	c := mustOpen(t, options(new(disk.Mem), new(mem.Store)))
	if _, err := c.Accept(t.Context(), docs("a 1 x")); !errors.Is(err, errNoStays) {
		t.Errorf("error %v", err)
	}
	mustClose(t, c)
}

// What comes again after a restart is known from the journal, and is waited for: it is not in the bucket.
func TestAStayOfARecordOfAnEarlierRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, fsys := new(gated), new(disk.Mem)
		g.set(&store.TemporaryError{Err: errors.New("away")})
		o := patient(fsys, store.Retry(g, store.RetryPolicy{KeepTrying: true}))
		c := mustOpen(t, o)
		stop := running(t, c, time.Second)
		mustAccept(t, c, "a 1 sealed")
		time.Sleep(2 * time.Minute)
		mustAccept(t, c, "b 2 not sealed", "broken x")
		stop()
		_ = c.journal.Close() // killed
		o.FS = fsys.Kill()
		c = mustOpen(t, o)
		stays := map[string]source.Stay{}
		for _, line := range []string{"a 1 sealed", "b 2 not sealed", "broken x"} {
			stays[line] = mustAccept(t, c, line)
		}
		if got := c.Stats(); got.Duplicate != 3 {
			t.Errorf("%d duplicates", got.Duplicate)
		}
		stop = running(t, c, time.Hour)
		time.Sleep(time.Hour)
		for line, stay := range stays {
			wantOver(t, line+": while the bucket is away", stay, false)
		}
		g.set(nil)
		time.Sleep(2 * time.Minute)
		for line, stay := range stays {
			wantOver(t, line+": when it is back", stay, true)
		}
		tidy(t, c)
		stop()
		mustClose(t, c)
	})
}

// Records that are moved within the journal, because their key is refused while it fills up, have not been stored; and
// they are known over a restart.
func TestAStayOutlivesAMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, fsys := &picky{refused: "stuck/"}, new(disk.Mem)
		o := patient(fsys, store.Retry(p, store.RetryPolicy{KeepTrying: true}))
		o.Journal.MaxBytes = 64 << 10
		c := mustOpen(t, o)
		stop := running(t, c, time.Second)
		stay := mustAccept(t, c, "stuck 1 x", "stuck 2 y")
		fill := func() {
			for n := range 2000 {
				mustDeliver(t, c, fmt.Sprintf("p%d %d %s", n%5, n, strings.Repeat("x", 100)))
				time.Sleep(time.Second)
			}
		}
		first, _ := c.journal.Segments()
		fill()
		if oldest, _ := c.journal.Segments(); oldest == first {
			t.Fatal("nothing was moved: this test proves nothing")
		}
		wantOver(t, "moved", stay, false)
		again := mustAccept(t, c, "stuck 1 x")
		wantOver(t, "again, moved", again, false)
		stop()
		_ = c.journal.Close() // killed
		o.FS = fsys.Kill()
		c = mustOpen(t, o)
		stop = running(t, c, time.Hour)
		again = mustAccept(t, c, "stuck 2 y")
		time.Sleep(time.Minute)
		wantOver(t, "after a restart", again, false)
		p.mu.Lock()
		p.refused = ""
		p.mu.Unlock()
		time.Sleep(5 * time.Minute)
		wantOver(t, "stored", again, true)
		stop()
		tidy(t, c)
		mustClose(t, c)
		if diff := cmp.Diff([]string{"stuck 1 x", "stuck 2 y"}, bucket(t, &p.Store)["stuck/"]); diff != "" {
			t.Errorf("bucket (-want +got):\n%s", diff)
		}
	})
}

// A record that the disk has damaged is told to be lost, alone of its object, and is taken when it comes again.
func TestWhatIsLostIsTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fsys := new(mem.Store), new(disk.Mem)
		o := patient(fsys, s)
		c := mustOpen(t, o)
		stays := []source.Stay{mustAccept(t, c, "a 1 good"), mustAccept(t, c, "a 2 damaged"), mustAccept(t, c, "a 3 good")}
		damage(t, fsys, "a 2 damaged")
		stop := running(t, c, time.Hour)
		time.Sleep(2 * time.Minute)
		wantOver(t, "the first", stays[0], true)
		wantOver(t, "the last", stays[2], true)
		if done, err := over(stays[1]); !done || !errors.Is(err, ErrLost) {
			t.Errorf("the damaged one: over %v, error %v", done, err)
		}
		again := mustAccept(t, c, "a 2 damaged")
		time.Sleep(2 * time.Minute)
		wantOver(t, "again", again, true)
		stop()
		got := c.Stats()
		balanced(t, got)
		tidy(t, c)
		mustClose(t, c)
		if got.Lost != 1 || got.Stored != 3 || got.Duplicate != 0 {
			t.Errorf("%+v", got)
		}
		if diff := cmp.Diff([]string{"a 1 good", "a 2 damaged", "a 3 good"}, bucket(t, s)["a/"]); diff != "" {
			t.Errorf("bucket (-want +got):\n%s", diff)
		}
	})
}

// While it is pending, a record that comes again is a duplicate, however long ago it came first: a queue brings it again
// every 12 hours.
func TestWhatIsPendingIsRememberedBeyondTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(gated)
		g.set(&store.TemporaryError{Err: errors.New("away")})
		c := mustOpen(t, patient(new(disk.Mem), store.Retry(g, store.RetryPolicy{KeepTrying: true})))
		stop := running(t, c, time.Hour)
		mustAccept(t, c, "a 1 x")
		time.Sleep(12 * time.Hour) // the window is an hour
		stay := mustAccept(t, c, "a 1 x")
		wantOver(t, "while the bucket is away", stay, false)
		g.set(nil)
		time.Sleep(time.Minute)
		wantOver(t, "when it is back", stay, true)
		stop()
		mustClose(t, c)
		if diff := cmp.Diff([]string{"a 1 x"}, bucket(t, &g.Store)["a/"]); diff != "" {
			t.Errorf("bucket (-want +got):\n%s", diff)
		}
	})
}

// damage flips a bit of a record on disk.
func damage(t *testing.T, fsys *disk.Mem, line string) {
	t.Helper()
	entries, err := fsys.List("j")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := "j/" + e.Name
		f, err := fsys.Open(name, disk.ReadWrite)
		if err != nil {
			continue
		}
		b := make([]byte, e.Size)
		_, _ = f.ReadAt(b, 0)
		if at := strings.Index(string(b), line); at >= 0 {
			if _, err := f.WriteAt([]byte{b[at] ^ 1}, int64(at)); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
			return
		}
		_ = f.Close()
	}
	t.Fatalf("%q is in no file", line)
}

func TestHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := patient(new(disk.Mem), new(mem.Store))
		o.Streams[0].Limits = batch.Limits{Bytes: 1 << 20, Age: time.Hour}
		c := mustOpen(t, o)
		stop := running(t, c, time.Hour)
		var stays []source.Stay
		for i := range 1000 { // more than are sealed at a time
			stays = append(stays, mustAccept(t, c, fmt.Sprintf("p%d 1 x", i)))
		}
		time.Sleep(time.Second)
		wantOver(t, "before", stays[0], false)
		stays[7].Hurry()
		synctest.Wait()
		for _, stay := range stays {
			wantOver(t, "hurried", stay, true)
		}
		time.Sleep(time.Second)
		later := mustAccept(t, c, "p1 2 y")
		time.Sleep(time.Minute)
		wantOver(t, "what comes later", later, false)
		stop()
		wantOver(t, "at the end", later, true)
		mustClose(t, c)
	})
}

// waiter hands a line over and waits for the bucket when it is to stop, and tells what came of it.
func waiter(told chan<- error) handing {
	return func(ctx context.Context, accept source.Accept) {
		work := context.WithoutCancel(ctx)
		stay, err := accept(work, docs("a 1 x"))
		if err == nil {
			<-ctx.Done()
			stay.Hurry()
			err = stay.Wait(work)
		}
		told <- err
	}
}

func TestStayingWhenTheCollectorEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		away error
		took time.Duration
		want error
	}{
		"what is hurried is stored within the grace": {nil, 0, nil},
		"what is not stored in the grace is not":     {&store.TemporaryError{Err: errors.New("away")}, 20 * time.Second, errOver},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := new(gated)
				g.set(tt.away)
				c := mustOpen(t, patient(new(disk.Mem), store.Retry(g, store.RetryPolicy{KeepTrying: true})))
				told := make(chan error, 1)
				stop := running(t, c, 20*time.Second, waiter(told))
				synctest.Wait()
				began := time.Now()
				stop()
				if took := time.Since(began); took != tt.took {
					t.Errorf("stopping took %v, want %v", took, tt.took)
				}
				if err := <-told; !errors.Is(err, tt.want) {
					t.Errorf("it was told %v, want %v", err, tt.want)
				}
				mustClose(t, c)
			})
		})
	}
}

// A collector that cannot go on does not keep a source waiting.
func TestStayingWhenTheDiskFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		fsys := disk.NewFailing(new(disk.Mem), func(o disk.Operation) disk.Verdict {
			if broken.Load() && o.Kind == "write" {
				return disk.Verdict{Err: errors.New("input/output error")}
			}
			return disk.Verdict{}
		})
		c := mustOpen(t, patient(fsys, new(mem.Store)))
		told, ended := make(chan error, 1), make(chan error)
		go func() { ended <- c.Run(t.Context(), time.Hour, waiter(told)) }()
		synctest.Wait()
		broken.Store(true)
		began := time.Now()
		if err := <-ended; err == nil || time.Since(began) > time.Minute {
			t.Errorf("it ended with %v after %v", err, time.Since(began))
		}
		if err := <-told; !errors.Is(err, errOver) {
			t.Errorf("the source was told %v", err)
		}
		_ = c.Close() // told before
	})
}

// The disk is lost with each life: what was told to be stored is in the bucket, and only what was not told so may be
// there twice.
func TestStoredMeansStoredWhateverBecomesOfTheDisk(t *testing.T) {
	for seed := range uint64(20) {
		s := newFlaky(seed, 20)
		random := rand.New(rand.NewPCG(seed, 1))
		sent, told := map[string]int{}, map[string]bool{}
		for life := range 6 {
			var fsys disk.FS = disk.NewFailing(new(disk.Mem), disk.StopAt(1+random.IntN(120), random.IntN(50)))
			if life == 5 {
				fsys = new(disk.Mem)
			}
			o := patient(fsys, store.Retry(s, store.RetryPolicy{Initial: 1, Max: 1, KeepTrying: true}))
			o.Streams[0].Limits = batch.Limits{Bytes: 300, Age: time.Millisecond}
			o.Journal.SegmentBytes = 1024
			c, err := Open(o)
			if err != nil {
				continue
			}
			ctx, stop := context.WithCancel(t.Context())
			err = c.Run(ctx, time.Hour, handing(func(ctx context.Context, accept source.Accept) {
				defer stop()
				for n := range 30 {
					line := fmt.Sprintf("p%d %d some text that takes room", n%3, n)
					if told[line] {
						continue
					}
					sent[line]++
					if stay, err := accept(ctx, docs(line)); err == nil && stay.Wait(ctx) == nil {
						told[line] = true
					}
				}
			}))
			stop()
			if err != nil && !errors.Is(err, disk.ErrStopped) && !errors.Is(err, context.Canceled) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			_ = c.Close() // the disk is lost
			got := map[string]int{}
			for _, lines := range bucket(t, &s.Store) {
				for _, line := range lines {
					got[line]++
				}
			}
			for line := range told {
				if got[line] == 0 {
					t.Errorf("seed %d: %q was told to be stored, and is not", seed, line)
				}
			}
			for line, n := range got {
				if n > sent[line] {
					t.Errorf("seed %d: %q is in the bucket %d times, sent %d times", seed, line, n, sent[line])
				}
			}
		}
		if len(told) != 30 {
			t.Errorf("seed %d: %d of 30 were stored in the end", seed, len(told))
		}
	}
}

// handing is a source that does something, and waits for the bucket.
type handing func(ctx context.Context, accept source.Accept)

func (h handing) AfterStored() bool { return true }

func (h handing) Run(context.Context, source.Deliver) error { return errors.New("it is not run so") }

func (h handing) RunStored(ctx context.Context, accept source.Accept) error {
	h(ctx, accept)
	return nil
}

// Many bring the same records at the same time, to both ends: every one of them is told when they are stored.
func TestManyWaitForTheSameRecords(t *testing.T) {
	s := new(mem.Store)
	o := patient(new(disk.Mem), s)
	o.Streams[0].Limits = batch.Limits{Bytes: 500, Age: time.Millisecond}
	c := mustOpen(t, o)
	stop := running(t, c, time.Hour)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 30 {
				line := fmt.Sprintf("p%d %d text", n%7, n)
				if g%4 == 0 {
					if err := c.Deliver(t.Context(), docs(line)); err != nil {
						t.Error(err)
					}
					continue
				}
				stay, err := c.Accept(t.Context(), docs(line, fmt.Sprintf("q%d %d", g, n)))
				if err != nil || stay.Wait(t.Context()) != nil {
					t.Errorf("error %v", err)
					return
				}
				if !slices.Contains(bucket(t, s)[fmt.Sprintf("p%d/", n%7)], line) {
					t.Errorf("%s is not in the bucket", line)
				}
			}
		})
	}
	wg.Wait()
	stop()
	tidy(t, c)
	balanced(t, c.Stats())
	mustClose(t, c)
}
