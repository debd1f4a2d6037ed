package cloud

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// A Clock is the lab's time, and the list of what is to happen. It stands still, and is moved by Advance; Run makes it
// go with the real time besides.
type Clock struct {
	running chan struct{} // holds one while tasks run: one after the other

	mu     sync.Mutex
	now    time.Time // guarded by mu, like all below: what it showed at anchor
	anchor time.Time // real time when now was right; zero: the clock stands
	live   bool      // Run is running
	tasks  tasks
	made   uint64
	wake   chan struct{}
}

func newClock(start time.Time) *Clock {
	return &Clock{now: start, running: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

// A task is something that happens at a time.
type task struct {
	at   time.Time
	made uint64
	do   func(context.Context)
}

type tasks []task

func (t tasks) Len() int { return len(t) }
func (t tasks) Less(i, j int) bool {
	return t[i].at.Before(t[j].at) || t[i].at.Equal(t[j].at) && t[i].made < t[j].made
}
func (t tasks) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *tasks) Push(x any)   { *t = append(*t, x.(task)) }
func (t *tasks) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = task{}
	*t = (*t)[:last]
	return x
}

// Now is the lab's time, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at()
}

// at requires that mu is held.
func (c *Clock) at() time.Time {
	if c.anchor.IsZero() {
		return c.now
	}
	return c.now.Add(time.Since(c.anchor))
}

// Go makes do happen now, after all that is to happen before.
func (c *Clock) Go(do func(context.Context)) { c.At(time.Time{}, do) }

// At makes do happen at a time, or now if that has passed. Tasks run one at a time, so do must not wait for another
// task; it may wait for a request from outside.
func (c *Clock) At(when time.Time, do func(context.Context)) {
	c.mu.Lock()
	if now := c.at(); when.Before(now) {
		when = now
	}
	c.made++
	heap.Push(&c.tasks, task{when, c.made, do})
	c.mu.Unlock()
	c.ring()
}

// After is At for a time from now.
func (c *Clock) After(d time.Duration, do func(context.Context)) { c.At(c.Now().Add(d), do) }

func (c *Clock) ring() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Settle runs what is to happen up to now, and what comes of it now.
func (c *Clock) Settle(ctx context.Context) error { return c.Advance(ctx, 0) }

// Advance moves the time on by d. What is to happen on the way happens at its time; when Advance returns it has, unless
// ctx ended it early: then the clock stands where it got to. Who advances while another does waits for it.
func (c *Clock) Advance(ctx context.Context, d time.Duration) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end()
	c.mu.Lock()
	c.now, c.anchor = c.at(), time.Time{}
	until := c.now.Add(max(d, 0))
	c.mu.Unlock()
	err := c.runUntil(ctx, until)
	c.mu.Lock()
	if err == nil && until.After(c.now) {
		c.now = until
	}
	if c.live {
		c.anchor = time.Now()
	}
	c.mu.Unlock()
	return err
}

// begin waits until nobody else runs tasks.
func (c *Clock) begin(ctx context.Context) error {
	select {
	case c.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Clock) end() { <-c.running }

// runUntil runs the tasks up to a time, setting the clock to each one's. Requires that running is held and the clock stands.
func (c *Clock) runUntil(ctx context.Context, until time.Time) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.mu.Lock()
		if len(c.tasks) == 0 || c.tasks[0].at.After(until) {
			c.mu.Unlock()
			return nil
		}
		t := heap.Pop(&c.tasks).(task)
		if t.at.After(c.now) {
			c.now = t.at
		}
		c.mu.Unlock()
		t.do(ctx)
	}
}

// Run makes the clock go with the real time until ctx is done.
func (c *Clock) Run(ctx context.Context) {
	if c.begin(ctx) != nil {
		return
	}
	c.mu.Lock()
	c.live, c.anchor = true, time.Now()
	c.mu.Unlock()
	c.end()
	defer func() {
		c.running <- struct{}{}
		c.mu.Lock()
		c.now, c.anchor, c.live = c.at(), time.Time{}, false
		c.mu.Unlock()
		c.end()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if c.runDue(ctx) {
			continue
		}
		timer.Reset(c.untilNext())
		select {
		case <-ctx.Done():
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// runDue runs one task that is due, and tells whether there was one. The clock goes on meanwhile.
func (c *Clock) runDue(ctx context.Context) bool {
	if c.begin(ctx) != nil {
		return false
	}
	defer c.end()
	c.mu.Lock()
	if len(c.tasks) == 0 || c.tasks[0].at.After(c.at()) {
		c.mu.Unlock()
		return false
	}
	t := heap.Pop(&c.tasks).(task)
	c.mu.Unlock()
	t.do(ctx)
	return true
}

func (c *Clock) untilNext() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.tasks) == 0 {
		return time.Hour
	}
	return max(c.tasks[0].at.Sub(c.at()), 0)
}

// Pending is how many tasks wait, and when the first of them is due.
func (c *Clock) Pending() (n int, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.tasks) > 0 {
		next = c.tasks[0].at
	}
	return len(c.tasks), next
}
