package population

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"
	"time"
)

// A dice is chance that follows from words: the same words give the same throws, in any order of asking and in any run.
type dice struct{ state uint64 }

// throw makes a dice of the seed and words.
func (p *Population) throw(words ...any) *dice {
	h := fnv.New64a()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], p.Seed)
	_, _ = h.Write(b[:]) // a hash takes everything
	for _, w := range words {
		_, _ = fmt.Fprint(h, w, "\x00")
	}
	return &dice{h.Sum64()}
}

// next is the generator SplitMix64. https://prng.di.unimi.it/splitmix64.c
func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// share is a number from 0 to below 1.
func (d *dice) share() float64 { return float64(d.next()>>11) / (1 << 53) }

// below is a number from 0 to below n; 0 where n is not positive.
func (d *dice) below(n int) int {
	if n <= 0 {
		return 0
	}
	return int(d.share() * float64(n))
}

// chance is true for a share of the throws.
func (d *dice) chance(share float64) bool { return d.share() < share }

// wait is a time as the gaps between things that happen by themselves are: mean on average, at most 8 times that.
func (d *dice) wait(mean time.Duration) time.Duration {
	x := -math.Log(1 - d.share())
	return time.Duration(min(x, 8) * float64(mean)).Truncate(time.Millisecond)
}

// hex gives n hexadecimal digits.
func (d *dice) hex(n int) string {
	var b []byte
	for len(b) < (n+1)/2 {
		b = binary.BigEndian.AppendUint64(b, d.next())
	}
	return hex.EncodeToString(b)[:n]
}

func pick[T any](d *dice, from []T) T { return from[d.below(len(from))] }

// A Spread is how many of something a cell has. Most have few: the distribution leans to Min.
type Spread struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

func (s Spread) of(d *dice) int {
	u := d.share()
	return s.Min + int(u*u*u*float64(s.Max-s.Min+1))
}
