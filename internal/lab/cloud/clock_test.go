package cloud_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/catchment/internal/lab/cloud"
)

var start = time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)

// A diary takes note of what happened when.
type diary struct {
	clock *cloud.Clock
	mu    sync.Mutex
	lines []string // guarded by mu
}

func newDiary() *diary {
	return &diary{clock: cloud.New(cloud.Options{Start: start}).Clock}
}

// note makes a task that writes a word with the seconds since the start.
func (d *diary) note(word string, then ...func()) func(context.Context) {
	return func(context.Context) {
		d.mu.Lock()
		d.lines = append(d.lines, d.clock.Now().Sub(start).String()+" "+word)
		d.mu.Unlock()
		for _, f := range then {
			f()
		}
	}
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *diary) wants(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, d.read()); diff != "" {
		t.Errorf("what happened (-want +got):\n%s", diff)
	}
}

func TestTasksHappenInTheOrderOfTheirTimesAndThenOfTheirMaking(t *testing.T) {
	d := newDiary()
	d.clock.After(2*time.Second, d.note("c"))
	d.clock.After(time.Second, d.note("b"))
	d.clock.After(2*time.Second, d.note("d"))
	d.clock.Go(d.note("a"))
	d.clock.After(3*time.Second, d.note("e"))
	d.clock.After(3*time.Second+1, d.note("later"))
	if n, next := d.clock.Pending(); n != 6 || !next.Equal(start) {
		t.Errorf("%d tasks wait, the first at %v; want 6 at %v", n, next, start)
	}
	if err := d.clock.Advance(t.Context(), 3*time.Second); err != nil {
		t.Fatal(err)
	}
	d.wants(t, "0s a", "1s b", "2s c", "2s d", "3s e")
	if n, next := d.clock.Pending(); n != 1 || !next.Equal(start.Add(3*time.Second+1)) {
		t.Errorf("%d tasks wait, the first at %v", n, next)
	}
}

func TestTasksThatTasksMakeHappenOnTheSameWay(t *testing.T) {
	d := newDiary()
	d.clock.After(time.Second, d.note("first", func() {
		d.clock.After(time.Second, d.note("a second later", func() { d.clock.After(time.Hour, d.note("too late")) }))
		d.clock.Go(d.note("at once"))
		d.clock.At(start.Add(-time.Hour), d.note("in the past, which is now"))
	}))
	d.clock.After(time.Second, d.note("made before those"))
	if err := d.clock.Advance(t.Context(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	d.wants(t, "1s first", "1s made before those", "1s at once", "1s in the past, which is now", "2s a second later")
	if got := d.clock.Now(); !got.Equal(start.Add(10 * time.Second)) {
		t.Errorf("the clock shows %v after 10 s", got)
	}
}

func TestSettleRunsWhatIsToHappenNowAndDoesNotMoveTheClock(t *testing.T) {
	d := newDiary()
	d.clock.Go(d.note("a", func() { d.clock.Go(d.note("b")) }))
	d.clock.After(1, d.note("a nanosecond later"))
	for range 2 {
		if err := d.clock.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d.wants(t, "0s a", "0s b")
	if err := d.clock.Advance(t.Context(), -time.Hour); err != nil || !d.clock.Now().Equal(start) {
		t.Errorf("the clock went back to %v, error %v", d.clock.Now(), err)
	}
}

func TestAnAdvanceThatIsCancelledStopsWhereItGotTo(t *testing.T) {
	d := newDiary()
	ctx, cancel := context.WithCancel(t.Context())
	d.clock.After(time.Minute, d.note("a", cancel))
	d.clock.After(2*time.Minute, d.note("b"))
	if err := d.clock.Advance(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	d.wants(t, "1m0s a")
	if got := d.clock.Now(); !got.Equal(start.Add(time.Minute)) {
		t.Errorf("the clock shows %v, want the time of the last task", got)
	}
	if err := d.clock.Advance(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	d.wants(t, "1m0s a", "2m0s b")
}

func TestTwoWhoAdvanceDoSoOneAfterTheOther(t *testing.T) {
	d := newDiary()
	running := make(chan struct{})
	d.clock.Go(func(context.Context) { close(running) })
	for i := range 100 {
		d.clock.After(time.Duration(i)*time.Second, d.note("task"))
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := d.clock.Advance(t.Context(), time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	<-running
	both.Wait()
	if got := d.clock.Now(); !got.Equal(start.Add(2 * time.Minute)) {
		t.Errorf("two minutes are %v", got.Sub(start))
	}
	if got := len(d.read()); got != 100 {
		t.Errorf("%d tasks ran, want 100", got)
	}
}

// TestAnyTasksHappenInOrderWhateverTheSteps is the property behind the others.
func TestAnyTasksHappenInOrderWhateverTheSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cloud.New(cloud.Options{Start: start}).Clock
		type event struct {
			at   time.Duration
			made int
		}
		var happened []event
		made := 0
		var plan func(depth int, after time.Duration)
		plan = func(depth int, after time.Duration) {
			mine := event{c.Now().Sub(start) + after, made}
			made++
			follow := rapid.IntRange(-3, 3).Draw(t, "follow")
			c.After(after, func(context.Context) {
				if got := c.Now().Sub(start); got != mine.at {
					t.Fatalf("a task of %v ran at %v", mine.at, got)
				}
				happened = append(happened, mine)
				if depth > 0 && follow >= 0 {
					plan(depth-1, time.Duration(follow)*time.Second)
				}
			})
		}
		for _, s := range rapid.SliceOfN(rapid.IntRange(0, 20), 0, 20).Draw(t, "tasks") {
			plan(2, time.Duration(s)*time.Second)
		}
		total := time.Duration(0)
		for _, s := range rapid.SliceOf(rapid.IntRange(0, 10)).Draw(t, "steps") {
			total += time.Duration(s) * time.Second
			if err := c.Advance(context.Background(), time.Duration(s)*time.Second); err != nil {
				t.Fatal(err)
			}
			if n, next := c.Pending(); n > 0 && !next.After(c.Now()) {
				t.Fatalf("a task of %v waits at %v", next, c.Now())
			}
		}
		if got := c.Now().Sub(start); got != total {
			t.Fatalf("the clock moved by %v, want %v", got, total)
		}
		if !slices.IsSortedFunc(happened, func(a, b event) int {
			if a.at != b.at {
				return int(a.at - b.at)
			}
			return a.made - b.made
		}) {
			t.Fatalf("out of order: %v", happened)
		}
	})
}

// live runs the clock with the real time, which in the bubble of synctest is a fake one.
func live(t *testing.T, d *diary) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.clock.Run(ctx)
	}()
	synctest.Wait()
	return func() {
		cancel()
		<-ended
	}
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestALiveClockGoesWithTheRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		d.clock.After(3*time.Second, d.note("planned before"))
		stop := live(t, d)
		defer stop()
		d.clock.After(time.Second, d.note("planned meanwhile"))
		pass(2 * time.Second)
		d.wants(t, "1s planned meanwhile")
		if got := d.clock.Now().Sub(start); got != 2*time.Second {
			t.Errorf("after 2 s the clock shows %v", got)
		}
		pass(time.Second)
		d.wants(t, "1s planned meanwhile", "3s planned before")
		d.clock.Go(d.note("now"))
		synctest.Wait()
		d.wants(t, "1s planned meanwhile", "3s planned before", "3s now")
	})
}

func TestALiveClockCanBeMovedBesides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		stop := live(t, d)
		defer stop()
		d.clock.After(time.Hour, d.note("in an hour", func() { d.clock.After(time.Hour, d.note("in another")) }))
		pass(time.Minute)
		if err := d.clock.Advance(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		d.wants(t, "1h0m0s in an hour")
		if got := d.clock.Now().Sub(start); got != time.Hour+time.Minute {
			t.Errorf("the clock shows %v", got)
		}
		pass(59 * time.Minute) // and it still goes
		d.wants(t, "1h0m0s in an hour", "2h0m0s in another")
	})
}

func TestALiveClockThatIsStoppedStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		stop := live(t, d)
		pass(time.Second)
		stop()
		d.clock.Go(d.note("after the end"))
		pass(time.Hour)
		d.wants(t)
		if got := d.clock.Now().Sub(start); got != time.Second {
			t.Errorf("the clock shows %v, want that of its end", got)
		}
		if err := d.clock.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.wants(t, "1s after the end")
	})
}

func TestALiveClockRunsTasksOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		stop := live(t, d)
		defer stop()
		busy := 0
		slow := func(context.Context) {
			if busy++; busy != 1 {
				t.Errorf("%d tasks run at once", busy)
			}
			<-time.After(time.Second)
			busy--
		}
		for range 3 {
			d.clock.Go(slow)
		}
		go func() {
			if err := d.clock.Advance(t.Context(), time.Minute); err != nil {
				t.Error(err)
			}
		}()
		pass(time.Minute)
		if n, _ := d.clock.Pending(); n != 0 || busy != 0 {
			t.Errorf("%d tasks wait, %d run", n, busy)
		}
	})
}

func TestAnAdvanceThatRunsWhenTheClockGoesLiveKeepsItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		begun := make(chan struct{})
		d.clock.After(time.Minute, func(context.Context) {
			close(begun)
			<-time.After(5 * time.Second) // of real time, such as a function's
		})
		d.clock.After(2*time.Minute, d.note("on time"))
		moved := make(chan error, 1)
		go func() { moved <- d.clock.Advance(t.Context(), time.Hour) }()
		<-begun
		stop := live(t, d)
		defer stop()
		if err := <-moved; err != nil {
			t.Fatal(err)
		}
		d.wants(t, "2m0s on time")
		if got := d.clock.Now().Sub(start); got != time.Hour {
			t.Errorf("the clock shows %v after an hour", got)
		}
	})
}
