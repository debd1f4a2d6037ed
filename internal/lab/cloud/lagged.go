package cloud

import "time"

// A Lagged is a value that others see only some time after it changed, as IAM's policies are. Its zero value is the zero
// value of T for everybody. It is not safe for concurrent use.
type Lagged[T any] struct {
	versions []laggedVersion[T] // in the order of their times
}

type laggedVersion[T any] struct {
	at    time.Time
	value T
}

// Set changes the value at a time that is not before that of the last change. What nobody sees any more is forgotten.
func (l *Lagged[T]) Set(now time.Time, lag time.Duration, value T) {
	for len(l.versions) > 1 && !l.versions[1].at.Add(lag).After(now) {
		l.versions = l.versions[1:]
	}
	l.versions = append(l.versions, laggedVersion[T]{now, value})
}

// Last is the value as who set it sees it.
func (l *Lagged[T]) Last() T {
	if len(l.versions) == 0 {
		var none T
		return none
	}
	return l.versions[len(l.versions)-1].value
}

// Seen is the value as others see it at a time.
func (l *Lagged[T]) Seen(now time.Time, lag time.Duration) T {
	for i := len(l.versions) - 1; i >= 0; i-- {
		if !l.versions[i].at.Add(lag).After(now) {
			return l.versions[i].value
		}
	}
	var none T
	return none
}
