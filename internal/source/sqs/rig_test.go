package sqs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
)

// A bench runs a source over a fake queue, in a bubble of its own time.
type bench struct {
	*testing.T
	queue  *fakeQueue
	source *Source
	stop   context.CancelFunc
	ended  chan error

	mu       sync.Mutex
	told     []string
	docs     []string
	deliver  func(ctx context.Context, docs []document.Document) (source.Stay, error)
	attempts int
}

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	b := &bench{T: t, queue: new(fakeQueue), ended: make(chan error, 1)}
	o.Queue = b.queue
	tell := func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told = append(b.told, fmt.Sprintf(format, args...))
	}
	o.Events = Events{
		Delayed:   func(doing string, err error) { tell("%s fails: %v", doing, err) },
		Recovered: func(doing string, after time.Duration) { tell("%s works after %v", doing, after) },
		Returned:  func(n int, err error) { tell("%d returned: %v", n, err) },
	}
	b.source = New(o)
	return b
}

// start runs the source. What is delivered is noted, and goes to deliver where that is set.
func (b *bench) start() {
	ctx, stop := context.WithCancel(b.Context())
	b.stop = stop
	accept := func(ctx context.Context, docs []document.Document) (source.Stay, error) {
		b.mu.Lock()
		b.attempts++
		deliver := b.deliver
		b.mu.Unlock()
		if deliver != nil {
			if stay, err := deliver(ctx, docs); stay != nil || err != nil {
				return stay, err
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, d := range docs {
			text := string(d.Bytes)
			if d.Err != nil {
				text = "broken:" + text
			}
			b.docs = append(b.docs, text)
		}
		return nil, nil
	}
	go func() {
		if b.source.AfterStored() {
			b.ended <- b.source.RunStored(ctx, accept)
		} else {
			b.ended <- b.source.Run(ctx, func(ctx context.Context, docs []document.Document) error {
				_, err := accept(ctx, docs)
				return err
			})
		}
	}()
}

// end stops the source, and checks that everything is accounted for.
func (b *bench) end() {
	b.Helper()
	b.stop()
	if err := <-b.ended; err != nil {
		b.Errorf("it ended with %v", err)
	}
	b.balanced()
	if s := b.source.Stats(); s.Held != 0 {
		b.Errorf("at the end %d messages are held", s.Held)
	}
	if !b.source.batches.TryAcquire(int64(b.source.o.InFlight)) || !b.source.bytes.TryAcquire(b.source.o.Bytes) {
		b.Error("room is still taken")
	}
}

func (b *bench) balanced() {
	b.Helper()
	if s := b.source.Stats(); s.Received != s.Deleted+s.Returned+s.Held {
		b.Errorf("the account is %+v", s)
	}
}

func (b *bench) want(what string, got, want any) {
	b.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (b *bench) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told)
}

func (b *bench) delivered() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.docs)
	return strings.Join(b.docs, " ")
}

func (b *bench) set(deliver func(ctx context.Context, docs []document.Document) (source.Stay, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deliver = deliver
}

// A fakeStay ends when it is told to, or when it is hurried.
type fakeStay struct {
	mu      sync.Mutex
	done    chan struct{}
	err     error
	hurries bool // it ends when it is hurried
	hurried int
}

func newStay() *fakeStay { return &fakeStay{done: make(chan struct{})} }

func (s *fakeStay) Wait(ctx context.Context) error {
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *fakeStay) Hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hurried++; s.hurried == 1 && s.hurries {
		close(s.done)
	}
}

// pages makes n messages.
func pages(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(`{"n":%d}`, i))
	}
	return out
}
