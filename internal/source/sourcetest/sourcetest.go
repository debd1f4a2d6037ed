// Package sourcetest tells whether a source keeps the contract of source.Source.
package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
)

// A Harness is a source under test with a sender that speaks its protocol.
type Harness struct {
	Source source.Source

	// Send hands documents over as a sender does, all in one request or message, and tells whether the source has
	// acknowledged them. It returns an error only where the source could not be reached at all. It waits for the source to
	// run, and does not try again. Many may be called at once.
	Send func(ctx context.Context, docs [][]byte) (acknowledged bool, err error)
}

// Run tells of every sentence of the contract whether it holds. fresh is called for each test, and may use Cleanup.
func Run(t *testing.T, fresh func(*testing.T) Harness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Harness){
		"documents arrive whole, in order, and are acknowledged":   arrive,
		"nothing is acknowledged before Deliver has returned":      acknowledgedAfter,
		"nothing is acknowledged when Deliver fails":               failing(errors.New("no space left on device")),
		"nothing is acknowledged when Deliver is cancelled":        failing(context.Canceled),
		"nothing is acknowledged when Deliver runs out of time":    failing(fmt.Errorf("append: %w", context.DeadlineExceeded)),
		"nothing is acknowledged under back-pressure, later it is": busy,
		"a broken document is delivered as broken":                 broken,
		"many senders at once":                                     concurrent,
		"Run waits for Deliver when it is stopped":                 stopped,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

// running is a source that runs, and how to stop it.
type running struct {
	Harness
	stop   context.CancelFunc
	result chan error
}

func start(t *testing.T, h Harness, deliver source.Deliver) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{Harness: h, stop: stop, result: make(chan error, 1)}
	over := new(atomic.Bool)
	go func() {
		err := h.Source.Run(ctx, func(ctx context.Context, docs []document.Document) error {
			if over.Load() {
				t.Error("Deliver was called after Run had returned")
			}
			return deliver(ctx, docs)
		})
		over.Store(true)
		r.result <- err
	}()
	t.Cleanup(func() {
		stop()
		if err, open := <-r.result; open && err != nil {
			t.Errorf("Run: %v, want nil once its context is done", err)
		}
	})
	return r
}

// wait ends the source and returns what Run returned.
func (r *running) wait() error {
	r.stop()
	err := <-r.result
	close(r.result)
	return err
}

func send(t *testing.T, r *running, docs ...[]byte) bool {
	t.Helper()
	acknowledged, err := r.Send(t.Context(), docs)
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return acknowledged
}

func event(n int) []byte { return fmt.Appendf(nil, `{"id":"%d","detail":{"text":"}{ \" ]["}}`, n) }

func arrive(t *testing.T, h Harness) {
	t.Helper()
	var got [][]byte
	r := start(t, h, func(_ context.Context, docs []document.Document) error {
		for _, doc := range docs {
			if doc.Err != nil {
				t.Errorf("document %s: %v", doc.Bytes, doc.Err)
			}
			got = append(got, bytes.Clone(doc.Bytes))
		}
		return nil
	})
	want := [][]byte{event(1), event(2), event(3)}
	if !send(t, r, want...) {
		t.Error("not acknowledged")
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

func acknowledgedAfter(t *testing.T, h Harness) {
	t.Helper()
	inside, leave := make(chan struct{}), make(chan struct{})
	r := start(t, h, func(context.Context, []document.Document) error {
		close(inside)
		<-leave
		return nil
	})
	var returned atomic.Bool
	done := make(chan bool, 1)
	go func() {
		acknowledged, err := r.Send(t.Context(), [][]byte{event(1)})
		if acknowledged && !returned.Load() {
			t.Error("acknowledged while Deliver was still running")
		}
		done <- acknowledged && err == nil
	}()
	<-inside
	select {
	case <-done:
		t.Error("answered while Deliver was still running")
	default:
	}
	returned.Store(true)
	close(leave)
	if !<-done {
		t.Error("not acknowledged after Deliver had returned nil")
	}
}

func failing(err error) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		t.Helper()
		var calls atomic.Int32
		r := start(t, h, func(context.Context, []document.Document) error { calls.Add(1); return err })
		if send(t, r, event(1), event(2)) {
			t.Error("acknowledged though Deliver failed")
		}
		if calls.Load() == 0 {
			t.Error("Deliver was not called")
		}
	}
}

func busy(t *testing.T, h Harness) {
	t.Helper()
	var calls atomic.Int32
	r := start(t, h, func(context.Context, []document.Document) error {
		if calls.Add(1) == 1 {
			return fmt.Errorf("deliver: %w", &source.Busy{})
		}
		return nil
	})
	if send(t, r, event(1)) {
		t.Error("acknowledged under back-pressure")
	}
	if !send(t, r, event(1)) {
		t.Error("not acknowledged once there was room")
	}
}

func broken(t *testing.T, h Harness) {
	t.Helper()
	var good, bad atomic.Int32
	r := start(t, h, func(_ context.Context, docs []document.Document) error {
		for _, doc := range docs {
			if doc.Err != nil {
				bad.Add(1)
			} else {
				good.Add(1)
			}
		}
		return nil
	})
	if !send(t, r, event(1), []byte(`{"id":"2","detail":{]}`), event(3)) {
		t.Error("not acknowledged: a broken document is to be delivered, not refused")
	}
	if good.Load() != 2 || bad.Load() != 1 {
		t.Errorf("delivered %d good and %d broken documents, want 2 and 1", good.Load(), bad.Load())
	}
}

func concurrent(t *testing.T, h Harness) {
	t.Helper()
	const senders, each = 8, 25
	var mu sync.Mutex
	stored := make(map[string]int)
	calls := 0
	r := start(t, h, func(_ context.Context, docs []document.Document) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls%5 == 0 {
			return errors.New("every fifth fails")
		}
		for _, doc := range docs {
			stored[string(doc.Bytes)]++
		}
		return nil
	})
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for n := range each {
				doc := event(sender*each + n)
				acknowledged, err := r.Send(t.Context(), [][]byte{doc})
				if err != nil {
					t.Errorf("send: %v", err)
					return
				}
				mu.Lock()
				if acknowledged && stored[string(doc)] == 0 {
					t.Errorf("%s was acknowledged and not stored", doc)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func stopped(t *testing.T, h Harness) {
	t.Helper()
	inside, leave := make(chan struct{}), make(chan struct{})
	var delivered atomic.Bool
	r := start(t, h, func(context.Context, []document.Document) error {
		close(inside)
		<-leave
		delivered.Store(true)
		return nil
	})
	sent := make(chan bool, 1)
	go func() {
		acknowledged, err := r.Send(t.Context(), [][]byte{event(1)})
		sent <- acknowledged && err == nil
	}()
	<-inside
	r.stop()
	close(leave)
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v, want nil once its context is done", err)
	}
	if !delivered.Load() {
		t.Error("Run returned while Deliver was running")
	}
	if !<-sent {
		t.Error("what had begun before the stop was not acknowledged")
	}
}
