package wire

import (
	"sync"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

// rates are the token buckets of the operations, by account and region.
type rates struct {
	mu      sync.Mutex
	buckets map[bucketKey]*bucket // guarded by mu
}

type bucketKey struct {
	place              cloud.Place
	service, operation string
}

type bucket struct {
	tokens float64
	last   time.Time
}

// take tells whether one more call is let through at a time.
func (r *rates) take(k bucketKey, rate Rate, now time.Time) bool {
	if rate.PerSecond == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[k]
	if b == nil {
		b = &bucket{tokens: rate.Burst, last: now}
		r.buckets[k] = b
	}
	if passed := now.Sub(b.last); passed > 0 {
		b.tokens = min(rate.Burst, b.tokens+passed.Seconds()*rate.PerSecond)
		b.last = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
