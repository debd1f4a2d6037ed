package sqs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMessagesAreDeletedWhenTheyAreDurable(t *testing.T) {
	for name, tt := range map[string]struct{ body, docs string }{
		"an event":                {`{"id":"1"}`, `{"id":"1"}`},
		"several":                 {"{\"id\":\"1\"}\n[{\"id\":\"2\"}]", `{"id":"1"} {"id":"2"}`},
		"one in SNS's envelope":   {`{"Type":"Notification","TopicArn":"t","Message":"{\"id\":\"1\"}"}`, `{"id":"1"}`},
		"a broken one":            {`{"id":`, `broken:{"id":`},
		"text that is no JSON":    {`hello`, `broken:hello`},
		"nothing but white space": {" \n", "broken: \n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Options{})
				b.queue.send(tt.body)
				b.start()
				synctest.Wait()
				b.want("delivered", b.delivered(), tt.docs)
				b.want("left", b.queue.left(), "")
				b.want("stats", b.source.Stats(), Stats{Received: 1, Deleted: 1})
				b.end()
				b.want("told", b.seen(), []string(nil))
			})
		})
	}
}

func TestABatchIsKeptForAsLongAsItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Stored: true})
		stay := newStay()
		b.set(func(context.Context, []document.Document) (source.Stay, error) { return stay, nil })
		b.queue.send(pages(10)...)
		b.start()
		for range 11 * 60 * 4 {
			time.Sleep(15 * time.Second)
			synctest.Wait()
			if n := b.queue.visible(); n > 0 {
				t.Fatalf("%d messages are visible", n)
			}
		}
		if calls := b.queue.count("extend"); calls > 120 {
			t.Errorf("they were held by %d calls", calls)
		}
		close(stay.done)
		synctest.Wait()
		b.want("left", b.queue.left(), "")
		b.want("stats", b.source.Stats(), Stats{Received: 10, Deleted: 10})
		b.end()
	})
}

// SQS holds a message for 12 hours at most. It comes again then, and is waited for anew.
func TestAfterTwelveHoursAMessageComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Stored: true})
		var stays []*fakeStay
		b.set(func(context.Context, []document.Document) (source.Stay, error) {
			stays = append(stays, newStay())
			return stays[len(stays)-1], nil
		})
		b.queue.send("{}")
		b.start()
		time.Sleep(12*time.Hour - 2*time.Minute)
		synctest.Wait()
		b.want("stats", b.source.Stats(), Stats{Received: 1, Held: 1})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		b.want("stats", b.source.Stats(), Stats{Received: 2, Returned: 1, Held: 1})
		close(stays[1].done)
		synctest.Wait()
		b.want("left", b.queue.left(), "")
		b.end()
		b.want("told", b.seen(), []string{"1 returned: held for 12 hours, the most that SQS allows"})
	})
}

func TestBackPressureHoldsMessagesWithoutTheirComingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{InFlight: 2, Receivers: 1})
		b.set(func(context.Context, []document.Document) (source.Stay, error) {
			return nil, fmt.Errorf("deliver: %w", &source.Busy{RetryAfter: 7 * time.Second})
		})
		b.queue.send(pages(35)...)
		b.start()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		b.want("stats", b.source.Stats(), Stats{Received: 20, Held: 20})
		if n := b.queue.visible(); n != 15 {
			t.Errorf("%d messages are left to others", n)
		}
		b.set(nil)
		time.Sleep(7 * time.Second)
		synctest.Wait()
		b.want("left", b.queue.left(), "")
		b.want("stats", b.source.Stats(), Stats{Received: 35, Deleted: 35})
		for _, m := range b.queue.messages {
			b.want("receives of "+m.id, m.receives, 1)
		}
		b.end()
	})
}

func TestWhatCannotBeDeliveredComesAgainAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		b.set(func(context.Context, []document.Document) (source.Stay, error) { return nil, errors.New("no space") })
		b.queue.send("{}", "{}")
		b.start()
		time.Sleep(10 * time.Second)
		b.mu.Lock()
		attempts := b.attempts
		b.mu.Unlock()
		if attempts < 9 || attempts > 15 { // three times, after one and two seconds, and again
			t.Errorf("tried %d times in ten seconds", attempts)
		}
		b.set(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		b.want("left", b.queue.left(), "")
		b.end()
		if told := b.seen(); len(told) == 0 || told[0] != "2 returned: no space" {
			t.Errorf("told %q", told)
		}
	})
}

func TestWhatIsLostIsTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Stored: true})
		first := true
		b.set(func(context.Context, []document.Document) (source.Stay, error) {
			stay := newStay()
			if first {
				stay.err = errors.New("damaged")
			}
			first = false
			close(stay.done)
			return stay, nil
		})
		b.queue.send("{}")
		b.start()
		synctest.Wait()
		b.want("stats", b.source.Stats(), Stats{Received: 2, Deleted: 1, Returned: 1})
		b.end()
	})
}

// One message of a batch is lost to another worker while the journal is full; one cannot be deleted for a while.
func TestMessagesOfABatchHaveTheirOwnFates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Receivers: 1})
		b.set(func(context.Context, []document.Document) (source.Stay, error) {
			return nil, &source.Busy{RetryAfter: 10 * time.Second}
		})
		b.queue.setFault(func(call, message string) error {
			switch {
			case call == "extend" && message == "m2":
				return ErrGone
			case call == "delete" && message == "m3":
				return errors.New("internal error")
			}
			return nil
		})
		b.queue.send(pages(4)...)
		b.start()
		time.Sleep(45 * time.Second)
		b.want("stats", b.source.Stats(), Stats{Received: 4, Held: 3, Returned: 1})
		b.set(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		b.want("delivered", b.delivered(), `{"n":0} {"n":2} {"n":3}`)
		got := b.source.Stats()
		if got.Outage.IsZero() || got.Err == nil {
			t.Error("the stats do not tell that a message cannot be deleted")
		}
		got.Outage, got.Err = time.Time{}, nil
		b.want("stats", got, Stats{Received: 4, Held: 1, Returned: 1, Deleted: 2})
		b.queue.setFault(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		b.want("left", b.queue.left(), "") // what was lost came again when its time was over
		b.want("stats", b.source.Stats(), Stats{Received: 5, Returned: 1, Deleted: 4})
		b.end()
		told := b.seen()
		slices.Sort(told)
		for i, want := range []string{"1 returned: the message is no longer held", "delete messages fails: internal error", "delete messages works after "} {
			if i >= len(told) || !strings.HasPrefix(told[i], want) {
				t.Errorf("told %q, want %q at %d", told, want, i)
			}
		}
	})
}

// Whoever takes a whole batch away from here is not raced with.
func TestABatchThatIsGoneIsNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Receivers: 1})
		b.set(func(context.Context, []document.Document) (source.Stay, error) {
			return nil, &source.Busy{RetryAfter: time.Hour}
		})
		b.queue.setFault(func(call, _ string) error {
			if call == "extend" {
				return ErrGone
			}
			return nil
		})
		b.queue.send("{}")
		b.start()
		time.Sleep(40 * time.Second)
		synctest.Wait()
		b.want("stats", b.source.Stats(), Stats{Received: 1, Returned: 1})
		b.end()
	})
}

func TestTheQueueHasToBeThereAtTheStart(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		ends bool
	}{
		"missing":     {fmt.Errorf("receive: %w", ErrNoQueue), true},
		"unreachable": {errors.New("connection refused"), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Options{MaxBackoff: 10 * time.Second})
				b.queue.setFault(func(string, string) error { return tt.err })
				if err := b.source.Check(t.Context()); !errors.Is(err, tt.err) {
					t.Errorf("check gives %v", err)
				}
				b.start()
				if tt.ends {
					if err := <-b.ended; !errors.Is(err, ErrNoQueue) {
						t.Errorf("it ended with %v", err)
					}
					b.stop()
					return
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if s := b.source.Stats(); time.Since(s.Outage) != time.Hour || !errors.Is(s.Err, tt.err) {
					t.Errorf("%+v", s)
				}
				if n := b.queue.count("receive"); n > 4*(5+360) {
					t.Errorf("asked %d times in an hour", n)
				}
				b.queue.setFault(nil)
				b.queue.send("{}")
				time.Sleep(10 * time.Second)
				synctest.Wait()
				b.want("left", b.queue.left(), "")
				b.end()
				b.want("told", b.seen()[0], "receive messages fails: connection refused")
			})
		})
	}
}

func TestAQueueThatGoesAwayLaterIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		b.queue.send("{}")
		b.start()
		time.Sleep(time.Minute)
		b.queue.setFault(func(string, string) error { return ErrNoQueue })
		time.Sleep(24 * time.Hour)
		b.queue.setFault(nil)
		b.queue.send("{}")
		time.Sleep(time.Minute)
		synctest.Wait()
		b.want("left", b.queue.left(), "")
		b.end()
		if told := b.seen(); len(told) != 2 || !strings.HasPrefix(told[1], "receive messages works after 24h0m") {
			t.Errorf("told %q", told)
		}
	})
}

// SQS answers a long poll at once where too many messages are held: asking again at once would be a busy loop.
func TestAnEmptyAnswerThatDidNotWaitIsNotRepeatedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &emptyQueue{fakeQueue: new(fakeQueue)}
		s := New(Options{Queue: q, Receivers: 1})
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := s.Run(ctx, func(context.Context, []document.Document) error { return nil }); err != nil {
			t.Error(err)
		}
		if q.asked > 61 {
			t.Errorf("asked %d times in a minute", q.asked)
		}
	})
}

type emptyQueue struct {
	*fakeQueue
	asked int
}

func (q *emptyQueue) Receive(context.Context, time.Duration) ([]Message, error) {
	q.asked++
	return nil, nil
}
