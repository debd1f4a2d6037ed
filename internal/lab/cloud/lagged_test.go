package cloud

import (
	"testing"
	"time"
)

func TestAChangeIsSeenAfterTheLag(t *testing.T) {
	start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	const lag = 10 * time.Second
	var l Lagged[int]
	if l.Last() != 0 || l.Seen(start, lag) != 0 {
		t.Error("nothing was set, but something is seen")
	}
	l.Set(at(0), lag, 1)
	l.Set(at(5), lag, 2)
	for second, want := range map[int]int{0: 0, 9: 0, 10: 1, 14: 1, 15: 2, 99: 2} {
		if got := l.Seen(at(second), lag); got != want {
			t.Errorf("at second %d: got %d, want %d", second, got, want)
		}
	}
	if l.Last() != 2 || l.Seen(at(5), 0) != 2 {
		t.Error("who set it, or a cloud without lag, does not see it")
	}
	for i := range 100 {
		l.Set(at(100+i*20), lag, i)
	}
	if len(l.versions) > 2 {
		t.Errorf("%d versions are kept, of which nobody sees more than 2", len(l.versions))
	}
}
