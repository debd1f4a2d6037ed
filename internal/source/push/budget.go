package push

import "sync/atomic"

// A budget bounds the bytes that all requests hold at once.
type budget struct {
	max  int64
	used atomic.Int64
}

func newBudget(most int64) *budget { return &budget{max: most} }

// take reserves n bytes, or none.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.max {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// A share is what one request has reserved. It is not safe for concurrent use.
type share struct {
	of    []*budget // taken from together
	bytes int64
}

// grow reserves up to n bytes in all.
func (s *share) grow(n int64) bool {
	more := n - s.bytes
	if more <= 0 {
		return true
	}
	for i, b := range s.of {
		if !b.take(more) {
			for _, taken := range s.of[:i] {
				taken.give(more)
			}
			return false
		}
	}
	s.bytes = n
	return true
}

func (s *share) release() {
	for _, b := range s.of {
		b.give(s.bytes)
	}
	s.bytes = 0
}
