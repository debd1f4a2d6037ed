package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/journal"
	"example.org/catchment/internal/source"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/mem"
)

// gated is a store that is away for as long as it says.
type gated struct {
	mem.Store
	mu   sync.Mutex
	away error
}

func (g *gated) set(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away = err
}

func (g *gated) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	g.mu.Lock()
	err := g.away
	g.mu.Unlock()
	if err != nil {
		return err
	}
	return g.Store.Put(ctx, key, body)
}

func TestAnOutageDropsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(gated)
		g.set(&store.TemporaryError{Err: errors.New("away")})
		told := map[string]int{}
		retried := store.Retry(g, store.RetryPolicy{KeepTrying: true, Events: store.Events{
			Delayed:   func(error, int, time.Duration) { told["delayed"]++ },
			Recovered: func(time.Duration) { told["recovered"]++ },
		}})
		o := options(new(disk.Mem), retried)
		o.Journal.MaxBytes = 64 << 10
		o.RetryAfter = 7 * time.Second
		c := mustOpen(t, o)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.Run(ctx, time.Minute); err != nil {
				t.Error(err)
			}
		})
		want := map[string][]string{}
		for i := 0; ; i++ {
			line := fmt.Sprintf("p%d %04d %s", i%7, i, strings.Repeat("x", 100))
			err := c.Deliver(t.Context(), docs(line))
			var busy *source.Busy
			if errors.As(err, &busy) {
				if !errors.Is(err, source.ErrBusy) || !errors.Is(err, journal.ErrFull) || busy.RetryAfter != 7*time.Second {
					t.Errorf("refused with %v", err)
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			dir := fmt.Sprintf("p%d/", i%7)
			want[dir] = append(want[dir], line)
			time.Sleep(time.Second)
		}
		if got := c.Stats(); !got.Full || got.Stored != 0 || got.Received != got.Pending.Records {
			t.Errorf("when full: %+v", got)
		}
		time.Sleep(2 * time.Hour)
		g.set(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := c.Deliver(t.Context(), docs("p0 last")); err != nil {
			t.Errorf("after the outage: %v", err)
		}
		want["p0/"] = append(want["p0/"], "p0 last")
		stop()
		wg.Wait()
		balanced(t, c.Stats())
		mustClose(t, c)
		if diff := cmp.Diff(want, bucket(t, &g.Store)); diff != "" {
			t.Errorf("bucket (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]int{"delayed": 1, "recovered": 1}, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// picky is a store that does not take one prefix, but all others.
type picky struct {
	mem.Store
	mu      sync.Mutex
	refused string
}

func (p *picky) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	p.mu.Lock()
	refused := p.refused != "" && strings.HasPrefix(key, p.refused)
	p.mu.Unlock()
	if refused {
		return &store.RefusedError{Err: errors.New("access denied")}
	}
	return p.Store.Put(ctx, key, body)
}

// One key that the store does not take must not fill the journal while it takes all others.
func TestAStuckPartitionDoesNotFillTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, fsys := &picky{refused: "stuck/"}, new(disk.Mem)
		o := options(fsys, store.Retry(p, store.RetryPolicy{KeepTrying: true}))
		o.Journal.MaxBytes = 64 << 10
		o.Events.Existed = func(key string) { t.Errorf("other bytes were put under %s", key) }
		o.Events.Lost = func(l Lost) { t.Errorf("lost %+v", l) }
		want := map[string][]string{}
		number := 0
		for life := range 4 {
			if life == 3 {
				p.mu.Lock()
				p.refused = ""
				p.mu.Unlock()
			}
			c := mustOpen(t, o)
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := c.Run(ctx, time.Minute); err != nil {
					t.Error(err)
				}
			})
			for range 2000 {
				number++
				partition := fmt.Sprintf("p%d", number%5)
				if number < 20 {
					partition = "stuck"
				}
				line := fmt.Sprintf("%s %d %s", partition, number, strings.Repeat("x", 100))
				mustDeliver(t, c, line)
				want[partition+"/"] = append(want[partition+"/"], line)
				time.Sleep(time.Second)
			}
			stop()
			wg.Wait()
			balanced(t, c.Stats())
			if life%2 == 0 {
				mustClose(t, c)
			} else { // killed
				_ = c.journal.Close()
				o.FS = fsys.Kill()
				fsys, _ = o.FS.(*disk.Mem)
			}
		}
		for _, lines := range want {
			slices.Sort(lines)
		}
		if diff := cmp.Diff(want, bucket(t, &p.Store)); diff != "" {
			t.Errorf("bucket (-want +got):\n%s", diff)
		}
	})
}

func TestWhatTheGraceLeavesIsStoredNextTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, fsys := new(gated), new(disk.Mem)
		g.set(errors.New("away"))
		o := options(fsys, store.Retry(g, store.RetryPolicy{KeepTrying: true}))
		c := mustOpen(t, o)
		ctx, stop := context.WithCancel(t.Context())
		mustDeliver(t, c, "a 1 x", "b 2 y", "broken z")
		stop()
		started := time.Now()
		if err := c.Run(ctx, 25*time.Second); err != nil {
			t.Error(err)
		}
		if took := time.Since(started); took != 25*time.Second {
			t.Errorf("stopping took %v", took)
		}
		balanced(t, c.Stats())
		mustClose(t, c)
		g.set(nil)
		// The spec has changed meanwhile: what is pending goes where it was to go.
		o.Streams[0].Name = "renamed"
		c = mustOpen(t, o)
		if got := c.Stats(); got.Recovered != 2 || got.Pending.Records != 2 || got.Rejections.Pending != 1 {
			t.Errorf("recovered: %+v", got)
		}
		mustDeliver(t, c, "a 3 z")
		drain(t, c)
		balanced(t, c.Stats())
		mustClose(t, c)
		got := bucket(t, &g.Store)
		if len(got["errors/"]) != 1 {
			t.Errorf("error records: %q", got["errors/"])
		}
		delete(got, "errors/")
		if diff := cmp.Diff(map[string][]string{"a/": {"a 1 x", "a 3 z"}, "b/": {"b 2 y"}}, got); diff != "" {
			t.Errorf("bucket (-want +got):\n%s", diff)
		}
	})
}

func TestWhatIsStoredIsNotPutAgain(t *testing.T) {
	s, fsys := new(mem.Store), new(disk.Mem)
	c := mustOpen(t, options(fsys, s))
	mustDeliver(t, c, "a 1 x", "b 2 y")
	drain(t, c)
	// It is killed before Close. What it has stored is known from the journal.
	o := options(fsys.Kill(), s)
	o.Events.Putting = func(key string, _ time.Duration, _ error) { t.Errorf("%s was put again", key) }
	c = mustOpen(t, o)
	if got := c.Stats(); got.Recovered != 0 || got.Pending.Records != 0 {
		t.Errorf("recovered: %+v", got)
	}
	drain(t, c)
	mustClose(t, c)
}

// A journal that was full, and whose contents were all stored before a crash, has nothing pending that would empty it.
func TestAFullJournalWithNothingPendingIsEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fsys := new(mem.Store), new(disk.Mem)
		o := options(fsys, s)
		o.Journal = journal.Options{SegmentBytes: 1 << 20, MaxBytes: 8 << 10}
		c := mustOpen(t, o)
		for i := 0; ; i++ {
			if err := c.Deliver(t.Context(), docs(fmt.Sprintf("a %d x", i))); errors.Is(err, source.ErrBusy) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		c.stats.Full = false // so that the drain leaves the segment as it is
		drain(t, c)
		o.FS = fsys.Kill()
		c = mustOpen(t, o)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.Run(ctx, time.Minute); err != nil {
				t.Error(err)
			}
		})
		if err := c.Deliver(t.Context(), docs("b 1 x")); !errors.Is(err, source.ErrBusy) {
			t.Errorf("the journal is not full: %v", err)
		}
		synctest.Wait()
		mustDeliver(t, c, "b 1 x")
		stop()
		wg.Wait()
		mustClose(t, c)
	})
}

func TestRefusedKeysAreDiverted(t *testing.T) {
	s := new(mem.Store)
	o := options(new(disk.Mem), s)
	diverted := ""
	o.Events.Diverted = func(key, to string, _ error) { diverted = key + " to " + to }
	c := mustOpen(t, o)
	mustDeliver(t, c, "../a 1 x")
	drain(t, c)
	mustClose(t, c)
	if got := slices.Collect(maps.Keys(bucket(t, s))); len(got) != 1 || got[0] != "errors/refused-key/" {
		t.Errorf("prefixes in the bucket: %q", got)
	}
	if !strings.HasPrefix(diverted, "../a/words-1-") {
		t.Errorf("diverted %q", diverted)
	}
}
