package store_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/mem"
	"example.org/catchment/internal/store/storetest"
)

var (
	errSlowDown = &store.TemporaryError{Err: errors.New("SlowDown")}
	errDenied   = &store.RefusedError{Err: errors.New("AccessDenied"), Hint: "needs s3:PutObject"}
	errKey      = &store.KeyError{Key: "k", Reason: "too odd"}
	errUnknown  = errors.New("something new")
)

// failing gives a store whose first Puts end with errs, one each.
func failing(errs ...error) *mem.Store {
	var mu sync.Mutex
	return &mem.Store{Before: func(context.Context, string) error {
		mu.Lock()
		defer mu.Unlock()
		if len(errs) == 0 {
			return nil
		}
		err := errs[0]
		errs = errs[1:]
		return err
	}}
}

// diary notes what Events tell.
type diary struct{ lines []string }

func (d *diary) events() store.Events {
	return store.Events{
		Delayed: func(err error, attempt int, _ time.Duration) {
			d.lines = append(d.lines, fmt.Sprintf("delayed after %d: %v", attempt, err))
		},
		Recovered: func(time.Duration) { d.lines = append(d.lines, "recovered") },
	}
}

func TestRetryIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return store.Retry(new(mem.Store), store.RetryPolicy{}) })
}

func TestRetry(t *testing.T) {
	for name, tt := range map[string]struct {
		errs       []error
		policy     store.RetryPolicy
		want       error // nil: the object arrives
		least, max time.Duration
		told       []string
	}{
		"no trouble, no word": {},
		"waits double, half of each at random": {
			errs:   []error{errSlowDown, errSlowDown, errSlowDown},
			policy: store.RetryPolicy{Initial: time.Second},
			least:  3500 * time.Millisecond, max: 10500 * time.Millisecond,
			told: []string{"delayed after 1: put k: SlowDown", "recovered"},
		},
		"waits grow no further than Max": {
			errs:   []error{errSlowDown, errSlowDown, errSlowDown, errSlowDown, errSlowDown},
			policy: store.RetryPolicy{Initial: time.Second, Max: time.Second},
			least:  2500 * time.Millisecond, max: 7500 * time.Millisecond,
			told: []string{"delayed after 1: put k: SlowDown", "recovered"},
		},
		"a refusal ends it": {
			errs: []error{errDenied},
			want: errDenied,
		},
		"a refusal is tried each Max by who keeps trying": {
			errs:   []error{errDenied, errDenied},
			policy: store.RetryPolicy{KeepTrying: true, Max: 10 * time.Second},
			least:  10 * time.Second, max: 30 * time.Second,
			told: []string{"delayed after 1: put k: AccessDenied (needs s3:PutObject)", "recovered"},
		},
		"an unknown error ends it": {
			errs: []error{errUnknown},
			want: errUnknown,
		},
		"an unknown error is tried each Max by who keeps trying": {
			errs:   []error{errUnknown},
			policy: store.RetryPolicy{KeepTrying: true, Max: 10 * time.Second},
			least:  5 * time.Second, max: 15 * time.Second,
			told: []string{"delayed after 1: put k: something new", "recovered"},
		},
		"a refusal within an outage is told too": {
			errs:   []error{errSlowDown, errDenied, errDenied, errSlowDown},
			policy: store.RetryPolicy{KeepTrying: true},
			least:  time.Second, max: 4 * time.Minute,
			told: []string{"delayed after 1: put k: SlowDown", "delayed after 2: put k: AccessDenied (needs s3:PutObject)", "recovered"},
		},
		"other bytes end it, however much one keeps trying": {
			errs:   []error{fmt.Errorf("put: %w", store.ErrExists)},
			policy: store.RetryPolicy{KeepTrying: true},
			want:   store.ErrExists,
		},
		"a refused key ends it": {
			errs:   []error{errKey},
			policy: store.RetryPolicy{KeepTrying: true},
			want:   errKey,
		},
		"GiveUp ends it with the last error": {
			errs:   []error{errSlowDown, errSlowDown, errSlowDown, errSlowDown, errSlowDown, errSlowDown, errSlowDown, errSlowDown},
			policy: store.RetryPolicy{Initial: time.Second, GiveUp: 10 * time.Second, KeepTrying: true},
			want:   errSlowDown,
			max:    10 * time.Second,
			told:   []string{"delayed after 1: put k: SlowDown"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d diary
				tt.policy.Events = d.events()
				below := failing(tt.errs...)
				start := time.Now()
				err := store.Retry(below, tt.policy).Put(t.Context(), "k", strings.NewReader("content"))
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if took := time.Since(start); took < tt.least || took > tt.max {
					t.Errorf("took %v, want between %v and %v", took, tt.least, tt.max)
				}
				if diff := cmp.Diff(tt.told, d.lines); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
				if _, err := below.Get(t.Context(), "k"); (err == nil) != (tt.want == nil) {
					t.Errorf("the object: %v", err)
				}
			})
		})
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		always := &mem.Store{Before: func(context.Context, string) error { return errSlowDown }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		err := store.Retry(always, store.RetryPolicy{}).Put(ctx, "k", strings.NewReader("x"))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errSlowDown) {
			t.Errorf("got %v, want both the ctx's end and the last error", err)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("took %v, want an hour: it ends while it waits", took)
		}
	})
}

func TestOneOutageIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		away := func(context.Context, string) error {
			if time.Since(start) < 10*time.Minute {
				return errSlowDown
			}
			return nil
		}
		var d diary
		below := &mem.Store{Before: away}
		s := store.Retry(below, store.RetryPolicy{Events: d.events()})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if err := s.Put(t.Context(), fmt.Sprintf("k/%d", i), strings.NewReader("x")); err != nil {
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		if diff := cmp.Diff([]string{"delayed after 1: put k/", "recovered"}, cut(d.lines, len("delayed after 1: put k/"))); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		n := 0
		for range below.List(t.Context(), "") {
			n++
		}
		if n != 50 {
			t.Errorf("%d objects, want 50", n)
		}
	})
}

func cut(lines []string, n int) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l[:min(n, len(l))]
	}
	return out
}

func TestThrottlingOfSomeIsOneOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu sync.Mutex
			n  int
			d  diary
		)
		s := store.Retry(&mem.Store{Before: func(context.Context, string) error {
			mu.Lock()
			defer mu.Unlock()
			if n++; n%2 == 1 {
				return errSlowDown
			}
			return nil
		}}, store.RetryPolicy{Events: d.events()})
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if err := s.Put(t.Context(), fmt.Sprintf("k/%d", i), strings.NewReader("x")); err != nil {
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		if len(d.lines) != 2 {
			t.Errorf("told %q, want one outage", d.lines)
		}
	})
}

func TestAStallIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		stalls := 2
		below := &mem.Store{Before: func(ctx context.Context, _ string) error {
			if stalls--; stalls >= 0 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		start := time.Now()
		body := strings.NewReader(strings.Repeat("x", 10*64<<10)) // worth 10 s more
		err := store.Retry(below, store.RetryPolicy{Attempt: time.Minute, Initial: time.Nanosecond, Max: time.Nanosecond, Events: d.events()}).Put(t.Context(), "k", body)
		if err != nil {
			t.Fatalf("put: %v", err)
		}
		if took := time.Since(start).Round(time.Second); took != 140*time.Second {
			t.Errorf("took %v, want twice a minute and ten seconds", took)
		}
		if want := []string{"delayed after 1: put k: no answer in time (1m10s)", "recovered"}; len(d.lines) != 2 || !strings.HasPrefix(d.lines[0], want[0]) {
			t.Errorf("told %q, want %q", d.lines, want)
		}
	})
}

func TestALostAnswerIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 1
		below := &mem.Store{After: func(context.Context, string) error {
			if lost--; lost >= 0 {
				return errSlowDown
			}
			return nil
		}}
		if err := store.Retry(below, store.RetryPolicy{}).Put(t.Context(), "k", strings.NewReader("x")); err != nil {
			t.Errorf("put: %v", err)
		}
	})
}

func TestCheckKey(t *testing.T) {
	for name, key := range storetest.BadKeys() {
		if store.CheckKey(key) == nil {
			t.Errorf("%s (%.40q) is taken", name, key)
		}
	}
	if err := store.CheckKey(strings.Repeat("a", store.MaxKey)); err != nil {
		t.Errorf("a key of 1,024 bytes: %v", err)
	}
}

func FuzzCheckKey(f *testing.F) {
	f.Add("AWSLogs/123456789012/Inspector/eu-west-1/2026/11/22/07/a-1-2026-11-22-07-00-00-x.json.gz")
	f.Add("a/../b")
	f.Add("a//b")
	f.Fuzz(func(t *testing.T, key string) {
		if store.CheckKey(key) != nil {
			return
		}
		// Whatever passes stays below the folder that it is joined to, and is its own name.
		if p := "/root/" + key; p != path.Clean(p) {
			t.Errorf("%q becomes %q", p, path.Clean(p))
		}
	})
}
