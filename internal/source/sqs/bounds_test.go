package sqs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
)

func TestStopping(t *testing.T) {
	for name, tt := range map[string]struct {
		o       Options
		stay    func() *fakeStay
		deliver error
		left    string
		took    time.Duration
		visible int
	}{
		"what waits is stored at once":                {Options{Stored: true}, func() *fakeStay { s := newStay(); s.hurries = true; return s }, nil, "", 0, 0},
		"what is not stored within the grace is back": {Options{Stored: true, Grace: 20 * time.Second}, newStay, nil, "{}", 20 * time.Second, 1},
		"back-pressure is not waited for":             {Options{}, nil, &source.Busy{RetryAfter: time.Hour}, "{}", 0, 1},
		"what fails is back":                          {Options{}, nil, errors.New("no space"), "{}", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, tt.o)
				b.set(func(context.Context, []document.Document) (source.Stay, error) {
					if tt.stay == nil {
						return nil, tt.deliver
					}
					return tt.stay(), nil
				})
				b.queue.send("{}")
				b.start()
				synctest.Wait()
				began := time.Now()
				b.end()
				b.want("stopping took", time.Since(began), tt.took)
				b.want("left", b.queue.left(), tt.left)
				b.want("visible", b.queue.visible(), tt.visible)
			})
		})
	}
}

// The documents get into the bucket after the source was told to stop: their stay begins when all others were hurried.
func TestWhatIsDeliveredWhileStoppingIsHurriedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Stored: true})
		stay := newStay()
		stay.hurries = true
		b.set(func(context.Context, []document.Document) (source.Stay, error) {
			time.Sleep(5 * time.Second)
			return stay, nil
		})
		b.queue.send("{}")
		b.start()
		synctest.Wait()
		b.end()
		b.want("stats", b.source.Stats(), Stats{Received: 1, Deleted: 1})
	})
}

// What SQS hands out at the very moment of the stop is not kept from others.
func TestWhatComesWhileStoppingIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		q := &lateQueue{fakeQueue: new(fakeQueue), stop: stop}
		q.send("{}")
		s := New(Options{Queue: q, Receivers: 1})
		err := s.Run(ctx, func(context.Context, []document.Document) error {
			t.Error("delivered")
			return nil
		})
		if got := s.Stats(); err != nil || got != (Stats{Received: 1, Returned: 1}) || q.visible() != 1 {
			t.Errorf("error %v, %+v, %d visible", err, got, q.visible())
		}
	})
}

type lateQueue struct {
	*fakeQueue
	stop context.CancelFunc
}

func (q *lateQueue) Receive(ctx context.Context, visibility time.Duration) ([]Message, error) {
	defer q.stop()
	return q.fakeQueue.Receive(ctx, visibility)
}

// At the end of the grace a queue that does not answer is not waited for.
func TestStoppingWithoutTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Grace: 8 * time.Second})
		b.queue.setFault(func(call, _ string) error {
			if call != "receive" {
				return errors.New("away")
			}
			return nil
		})
		b.queue.send("{}")
		b.start()
		synctest.Wait()
		began := time.Now()
		b.end()
		b.want("stopping took", time.Since(began), 8*time.Second)
		b.want("stats", b.source.Stats().Returned, int64(1))
	})
}

// A source that waits for the bucket holds a bounded number of batches; when it has no room it does not wait for the
// streams' age.
func TestASourceWithoutRoomHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Stored: true, InFlight: 3, Receivers: 2})
		var mu sync.Mutex
		most := int64(0)
		b.set(func(context.Context, []document.Document) (source.Stay, error) {
			held := b.source.Stats().Held
			mu.Lock()
			most = max(most, held)
			mu.Unlock()
			stay := newStay()
			stay.hurries = true
			return stay, nil
		})
		b.queue.send(pages(1000)...)
		began := time.Now()
		b.start()
		for b.queue.left() != "" && time.Since(began) < time.Minute {
			time.Sleep(time.Second)
		}
		b.want("left", len(strings.Fields(b.queue.left())) <= 30, true)
		if most > 30 {
			t.Errorf("%d messages were held at once", most)
		}
		b.end()
	})
}

// Nothing is received that there is no memory for, and bodies count only until they are on disk.
func TestBytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 12 * maxMessage // one batch of the largest messages, and nearly another
		b := newBench(t, Options{Stored: true, Bytes: limit, Receivers: 8})
		stay, let := newStay(), make(chan struct{})
		b.set(func(context.Context, []document.Document) (source.Stay, error) {
			<-let
			return stay, nil
		})
		large := `{"x":"` + strings.Repeat("x", maxMessage-8) + `"}`
		for range 60 {
			b.queue.send(large)
		}
		b.start()
		synctest.Wait()
		if got := b.source.Stats().Held; got != 10 {
			t.Errorf("%d messages of 1 MiB are held in %d bytes", got, limit)
		}
		close(let)
		synctest.Wait()
		b.want("held once they are on disk", b.source.Stats().Held, int64(60))
		close(stay.done)
		synctest.Wait()
		b.want("left", b.queue.left(), "")
		b.end()
	})
}

func TestWorkersShareAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := new(fakeQueue)
		q.send(pages(500)...)
		var mu sync.Mutex
		seen, by := map[string]int{}, make([]int, 3)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range by {
			s := New(Options{Queue: q, InFlight: 4})
			wg.Go(func() {
				err := s.Run(ctx, func(_ context.Context, docs []document.Document) error {
					time.Sleep(10 * time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					for _, d := range docs {
						seen[string(d.Bytes)]++
						by[i]++
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Minute)
		stop()
		wg.Wait()
		for body, n := range seen {
			if n != 1 {
				t.Errorf("%s was delivered %d times", body, n)
			}
		}
		if len(seen) != 500 || slices.Min(by) == 0 {
			t.Errorf("%d of 500 were delivered, by the workers %v", len(seen), by)
		}
	})
}
