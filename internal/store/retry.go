package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// A RetryPolicy says how long to wait between the attempts of one Put, and
// which errors end it.
type RetryPolicy struct {
	Initial time.Duration // before the second attempt, doubled each time, ± half at random; zero: 500 ms
	Max     time.Duration // where doubling stops (the random half comes on top); zero: 30 s
	// Attempt bounds one attempt, and grows by a second for each 64 KiB of the
	// body: a server that holds the connection and says nothing counts as an
	// outage. Zero: a minute. Negative: no bound.
	Attempt time.Duration
	// GiveUp ends a Put with its last error when the next attempt would start
	// later than this after the first. Zero: only ctx ends it.
	GiveUp time.Duration
	// KeepTrying is for programs that run for ever and must not drop anything:
	// a *RefusedError, and any error of unknown kind, is tried again each Max.
	// Without it both end the Put at once, which is right for a command that
	// somebody waits for.
	KeepTrying bool
	Events     Events
}

// Events are called, where not nil, as an outage comes and goes. They are
// called one at a time and must not block.
type Events struct {
	// Delayed begins an outage: the attempt (counted from 1) of some Put ended
	// with err and comes again after retryIn. Further failures, of any Put,
	// are part of the same outage and silent, except that the first
	// *RefusedError in it is told too: it needs a person.
	Delayed func(err error, attempt int, retryIn time.Duration)
	// Recovered ends it: a Put worked and none waits for another try any
	// more. after is counted from the first failure.
	Recovered func(after time.Duration)
}

// Retry returns a store that repeats the Puts of s. ErrExists and *KeyError
// end a Put at once, *TemporaryError never does; for the rest see
// [RetryPolicy]. When ctx ends, the error is both ctx's and that of the last
// attempt. Only Put is repeated: ask s itself to Get and List.
func Retry(s Store, policy RetryPolicy) Store {
	if policy.Initial <= 0 {
		policy.Initial = 500 * time.Millisecond
	}
	if policy.Max <= 0 {
		policy.Max = 30 * time.Second
	}
	if policy.Attempt == 0 {
		policy.Attempt = time.Minute
	}
	policy.Initial = min(policy.Initial, policy.Max)
	return &retrying{store: s, policy: policy, outage: outage{events: policy.Events}}
}

type retrying struct {
	store  Store
	policy RetryPolicy
	outage outage
}

func (r *retrying) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	wait := backoff.ExponentialBackOff{
		InitialInterval:     r.policy.Initial,
		MaxInterval:         r.policy.Max,
		Multiplier:          2,
		RandomizationFactor: 0.5,
	}
	wait.Reset()
	limit, err := r.limit(body)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	start := time.Now()
	waiting := false
	for attempt := 1; ; attempt++ {
		err := r.attempt(ctx, limit, key, body)
		if err == nil {
			r.outage.worked(waiting)
			return nil
		}
		again := r.policy.again(err)
		if again == never || ctx.Err() != nil {
			r.outage.left(waiting)
			if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
				return fmt.Errorf("%w: %w", err, cause)
			}
			return err
		}
		if again == atMax {
			wait.InitialInterval = wait.MaxInterval
			wait.Reset()
		}
		next := wait.NextBackOff()
		if g := r.policy.GiveUp; g > 0 && time.Since(start)+next > g {
			r.outage.left(waiting)
			return fmt.Errorf("%w (given up after %d attempts)", err, attempt)
		}
		r.outage.failed(waiting, err, attempt, next)
		waiting = true
		if !sleep(ctx, next) {
			r.outage.left(waiting)
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// limit gives the longest time of one attempt; zero for none.
func (r *retrying) limit(body io.Seeker) (time.Duration, error) {
	if r.policy.Attempt < 0 {
		return 0, nil
	}
	size, err := Size(body)
	if err != nil {
		return 0, err
	}
	return r.policy.Attempt + time.Duration(size/(64<<10))*time.Second, nil
}

var errSlow = errors.New("no answer in time")

// attempt puts once. An attempt that ran into its own limit is temporary,
// whatever the store made of its ctx.
func (r *retrying) attempt(ctx context.Context, limit time.Duration, key string, body io.ReadSeeker) error {
	if limit <= 0 {
		return r.store.Put(ctx, key, body)
	}
	bounded, cancel := context.WithTimeoutCause(ctx, limit, errSlow)
	defer cancel()
	err := r.store.Put(bounded, key, body)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(bounded), errSlow) && !final(err) {
		return &TemporaryError{fmt.Errorf("put %s: %w (%v): %w", key, errSlow, limit, err)}
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

type again int

const (
	never again = iota
	soon
	atMax
)

func (p *RetryPolicy) again(err error) again {
	var temporary *TemporaryError
	switch {
	case final(err):
		return never
	case errors.As(err, &temporary):
		return soon
	case p.KeepTrying:
		return atMax
	}
	return never
}

// final says that no repetition can change err.
func final(err error) bool {
	var key *KeyError
	return errors.Is(err, ErrExists) || errors.As(err, &key)
}

// An outage is one stretch of time in which Puts fail, over all Puts of one
// store. It lasts until a Put has worked and no other waits: a server that
// throttles every second request is one outage, not hundreds.
type outage struct {
	events Events

	mu      sync.Mutex
	since   time.Time // guarded by mu, like all below; zero: no outage
	refused bool      // a *RefusedError of this outage was told
	waiting int       // Puts between two attempts
}

// failed notes a failure that will be tried again. waiting says whether this
// Put had failed before.
func (o *outage) failed(waiting bool, err error, attempt int, next time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !waiting {
		o.waiting++
	}
	var refused *RefusedError
	isRefused := errors.As(err, &refused)
	if !o.since.IsZero() && (o.refused || !isRefused) {
		return
	}
	if o.since.IsZero() {
		o.since = time.Now()
	}
	o.refused = isRefused
	if o.events.Delayed != nil {
		o.events.Delayed(err, attempt, next)
	}
}

func (o *outage) worked(waiting bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if waiting {
		o.waiting--
	}
	if o.since.IsZero() || o.waiting > 0 {
		return
	}
	after := time.Since(o.since)
	o.since, o.refused = time.Time{}, false
	if o.events.Recovered != nil {
		o.events.Recovered(after)
	}
}

// left notes a Put that ended without success: that tells nothing about the
// store, so an outage goes on.
func (o *outage) left(waiting bool) {
	if !waiting {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting--
}
