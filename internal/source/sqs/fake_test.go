package sqs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A fakeQueue is a queue in memory, with the clock of the test.
type fakeQueue struct {
	mu       sync.Mutex
	changed  chan struct{} // closed, and replaced, when something may be visible
	made     int
	messages []*fakeMessage // in the order in which they were sent
	holds    []time.Duration
	calls    map[string]int
	// fault is asked before each call, where not nil; message is empty for a call as a whole.
	fault func(call, message string) error
}

type fakeMessage struct {
	id       string
	body     string
	receives int
	first    time.Time // of this reception
	visible  time.Time
}

func (f *fakeQueue) ring() {
	if f.changed != nil {
		close(f.changed)
	}
	f.changed = make(chan struct{})
}

// send puts messages into the queue and returns the id of the last.
func (f *fakeQueue) send(bodies ...string) (id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range bodies {
		f.made++
		id = fmt.Sprintf("m%d", f.made)
		f.messages = append(f.messages, &fakeMessage{id: id, body: b})
	}
	f.ring()
	return id
}

// left are the bodies of what is in the queue.
func (f *fakeQueue) left() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, m := range f.messages {
		out = append(out, m.body)
	}
	return strings.Join(out, " ")
}

// visible is how many messages could be received now.
func (f *fakeQueue) visible() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.messages {
		if !m.visible.After(time.Now()) {
			n++
		}
	}
	return n
}

func (f *fakeQueue) setFault(fault func(call, message string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// failing requires mu.
func (f *fakeQueue) failing(call, message string) error {
	if message == "" {
		if f.calls == nil {
			f.calls = map[string]int{}
		}
		f.calls[call]++
	}
	if f.fault == nil {
		return nil
	}
	return f.fault(call, message)
}

func (f *fakeQueue) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

func (f *fakeQueue) Check(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failing("check", "")
}

func (f *fakeQueue) Receive(ctx context.Context, visibility time.Duration) ([]Message, error) {
	end := time.Now().Add(20 * time.Second)
	for first := true; ; first = false {
		f.mu.Lock()
		if first {
			if err := f.failing("receive", ""); err != nil {
				f.mu.Unlock()
				return nil, err
			}
		}
		var out []Message
		now, next := time.Now(), end
		for _, m := range f.messages {
			switch {
			case m.visible.After(now):
				if m.visible.Before(next) {
					next = m.visible
				}
			case len(out) < maxBatch:
				m.receives++
				m.first, m.visible = now, now.Add(visibility)
				out = append(out, Message{m.id, fmt.Sprintf("%s/%d", m.id, m.receives), []byte(m.body)})
			}
		}
		if f.changed == nil {
			f.ring()
		}
		changed := f.changed
		f.mu.Unlock()
		if len(out) > 0 || !now.Before(end) {
			return out, nil
		}
		timer := time.NewTimer(next.Sub(now))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		timer.Stop()
	}
}

func (f *fakeQueue) each(ctx context.Context, call string, messages []Message, do func(m *fakeMessage) error) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]error, len(messages))
	whole := errors.Join(ctx.Err(), f.failing(call, ""))
	for i, asked := range messages {
		if out[i] = whole; whole != nil {
			continue
		}
		if out[i] = f.failing(call, asked.ID); out[i] != nil {
			continue
		}
		out[i] = ErrGone
		for _, m := range f.messages {
			if fmt.Sprintf("%s/%d", m.id, m.receives) == asked.Receipt {
				out[i] = do(m)
			}
		}
	}
	f.ring()
	return out
}

func (f *fakeQueue) Delete(ctx context.Context, messages []Message) []error {
	return f.each(ctx, "delete", messages, func(m *fakeMessage) error {
		for i, other := range f.messages {
			if other == m {
				f.messages = append(f.messages[:i:i], f.messages[i+1:]...)
			}
		}
		return nil
	})
}

func (f *fakeQueue) Extend(ctx context.Context, messages []Message, visibility time.Duration) []error {
	return f.each(ctx, "extend", messages, func(m *fakeMessage) error {
		now := time.Now()
		switch {
		case !m.visible.After(now):
			return ErrGone
		case now.Add(visibility).Sub(m.first) > 12*time.Hour:
			return errors.New("total visibility timeout is beyond the limit")
		}
		f.holds = append(f.holds, visibility)
		m.visible = now.Add(visibility)
		return nil
	})
}
