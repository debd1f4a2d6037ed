package scan

import (
	"math/rand/v2"
	"testing"
)

// TestStops walks random bytes from every offset: the masks, the eight bytes at a time and the inlined look must agree
// with a look at each byte.
func TestStops(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		b := make([]byte, r.IntN(3*ahead))
		for i := range b {
			b[i] = "abcdefgh ~!"[r.IntN(11)]
			if r.IntN(60) == 0 {
				b[i] = "\"\\\x00\x1f\x80\xff\n\""[r.IntN(8)]
			}
		}
		want := make([]int, len(b)+1)
		want[len(b)] = len(b)
		for i := len(b) - 1; i >= 0; i-- {
			want[i] = i
			if c := b[i]; c != '"' && c != '\\' && c >= 0x20 && c < 0x80 {
				want[i] = want[i+1]
			}
		}
		var s stops
		for i := range b {
			if got := nextOfFew(b, i); got != want[i] {
				t.Fatalf("round %d: nextOfFew at %d of %q: got %d, want %d", round, i, b, got, want[i])
			}
			if got := s.next(b, i); got != want[i] {
				t.Fatalf("round %d: next at %d of %q: got %d, want %d", round, i, b, got, want[i])
			}
			if got := s.quick(b, i); got >= 0 && (got != want[i]+1 || b[want[i]] != '"') {
				t.Fatalf("round %d: quick at %d of %q: got %d, want %d", round, i, b, got, want[i]+1)
			}
		}
		if whole := len(b) / block; whole > 0 {
			var one, other [window]uint64
			n := min(whole, window) * block
			findStops(&one, b[:n])
			findStopsOfAny(&other, b[:n])
			if one != other {
				t.Fatalf("round %d: masks of %q: got %x, want %x", round, b[:n], one, other)
			}
		}
	}
}
