package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/wire"
)

// A phase is a part of the work on a stack: making, changing or removing resources, each after what it needs.
type phase struct {
	stack *stack
	items []*item

	// halt says that the first failure ends the phase: what is under way is cancelled, in these words.
	halt   bool
	cancel string

	done    func(ctx context.Context)
	failing func(ctx context.Context, names []string)
}

// An item is the work on one resource.
type item struct {
	resource *resource
	needs    []string // names of items

	// start does the work; idle says that there was none. check tells whether the resource is ready; nil: it is.
	start func(ctx context.Context) (idle bool, err error)
	check func(ctx context.Context) (bool, error)
	// end and fail tell of the outcome, under mu.
	end  func()
	fail func(reason string)

	name    string
	state   itemState
	ready   time.Time
	began   time.Time
	waiting time.Duration // beside step: until policies hold
}

type itemState uint8

const (
	pending itemState = iota
	running
	finished
	broken
)

// maxWait is how long a resource may take until it is ready.
const maxWait = time.Hour

// run begins a phase, as a task.
func (s *Service) run(ph *phase) {
	slices.SortStableFunc(ph.items, func(a, b *item) int { return strings.Compare(a.name, b.name) })
	s.cloud.Clock.Go(func(ctx context.Context) { s.tick(ctx, ph) })
}

// tick ends what is ready, begins what can be begun, and comes again.
func (s *Service) tick(ctx context.Context, ph *phase) {
	for _, it := range ph.items {
		if it.state == running {
			s.finish(ctx, ph, it)
		}
	}
	s.mu.Lock()
	cancelled := ph.stack.cancelled
	s.mu.Unlock()
	if names := ph.failed(); ph.halt && (len(names) > 0 || cancelled) {
		s.stop(ctx, ph, names)
		return
	}
	for begun := true; begun; {
		begun = false
		for _, it := range ph.items {
			if it.state != pending || !ph.can(it) {
				continue
			}
			begun = true
			s.begin(ctx, ph, it)
			if ph.halt && it.state == broken {
				s.stop(ctx, ph, ph.failed())
				return
			}
		}
	}
	if slices.ContainsFunc(ph.items, func(it *item) bool { return it.state == running }) {
		s.cloud.Clock.After(step, func(ctx context.Context) { s.tick(ctx, ph) })
		return
	}
	if names := ph.failed(); len(names) > 0 {
		ph.failing(ctx, names)
		return
	}
	ph.done(ctx)
}

// can tells whether all that an item needs is finished.
func (ph *phase) can(it *item) bool {
	for _, other := range ph.items {
		if other.state != finished && slices.Contains(it.needs, other.name) {
			return false
		}
	}
	return true
}

func (ph *phase) failed() []string {
	var out []string
	for _, it := range ph.items {
		if it.state == broken {
			out = append(out, it.resource.logical)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *Service) begin(ctx context.Context, ph *phase, it *item) {
	now := s.cloud.Clock.Now()
	it.began, it.ready = now, now.Add(step+it.waiting)
	idle, err := it.start(ctx)
	switch {
	case err != nil:
		s.breakDown(ph, it, err)
	case idle:
		it.state = finished
	default:
		it.state = running
	}
}

func (s *Service) breakDown(_ *phase, it *item, err error) {
	it.state = broken
	reason := s.reasonOf(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	it.fail(reason)
}

func (s *Service) finish(ctx context.Context, ph *phase, it *item) {
	now := s.cloud.Clock.Now()
	if now.Before(it.ready) {
		return
	}
	if it.check != nil {
		ready, err := it.check(ctx)
		if err == nil && !ready && now.Sub(it.began) > maxWait {
			err = errors.New("Resource did not stabilize.") //nolint:staticcheck // AWS's words
		}
		if err != nil {
			s.breakDown(ph, it, err)
			return
		}
		if !ready {
			return
		}
	}
	it.state = finished
	s.mu.Lock()
	defer s.mu.Unlock()
	it.end()
}

// stop cancels what is under way.
func (s *Service) stop(ctx context.Context, ph *phase, names []string) {
	s.mu.Lock()
	for _, it := range ph.items {
		if it.state == running {
			it.state = broken
			it.fail(ph.cancel)
		}
	}
	s.mu.Unlock()
	ph.failing(ctx, names)
}

// reasonOf is why the work on a resource failed, in AWS's words.
func (s *Service) reasonOf(err error) string {
	e, ok := errors.AsType[*handlerError](err)
	if !ok {
		if w, ok := errors.AsType[*wire.Error](err); ok {
			return w.Message
		}
		return err.Error()
	}
	return fmt.Sprintf("Resource handler returned message: \"%s\" (RequestToken: %s, HandlerErrorCode: %s)", e.Error(), s.cloud.UUID("handler"), e.code())
}
