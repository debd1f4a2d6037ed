package scan

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080

	block  = 64 // bytes that one mask tells of
	window = 16 // masks that are made at a time
	ahead  = window * block
)

// stops finds the next byte that is not plain text of a string: a quote, a backslash, a control character, or part of
// a character that is not ASCII. It looks at 64 bytes at a time, ahead of the reader, who comes by in one direction
// only.
type stops struct {
	start int // of the window, in bytes
	size  int // of the window, in bytes; 0: there is none
	masks [window]uint64
}

func (s *stops) reset() { s.start, s.size = 0, 0 }

// next returns the offset of the first stop at i or behind it, len(b) for none.
func (s *stops) next(b []byte, i int) int {
	for {
		at := uint(i - s.start)
		if at < uint(s.size) {
			if m := s.masks[at/block%window] >> (at % block); m != 0 {
				return i + bits.TrailingZeros64(m)
			}
			i += int(block - at%block)
			continue
		}
		whole := min(len(b)-i, ahead) / block
		if whole <= 0 {
			return nextOfFew(b, i)
		}
		s.start, s.size = i, whole*block
		findStops(&s.masks, b[i:i+whole*block])
	}
}

// quick returns the offset behind the quote that closes the string whose content starts at i, where that takes one
// look; else -1. It is inlined.
func (s *stops) quick(b []byte, i int) int {
	at := uint(i - s.start)
	if at < uint(s.size) {
		if m := s.masks[at/block%window] >> (at % block); m != 0 {
			if k := i + bits.TrailingZeros64(m); b[k] == '"' {
				return k + 1
			}
		}
	}
	return -1
}

// nextOfFew is next, eight bytes at a time.
func nextOfFew(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if m := stopsOf(binary.LittleEndian.Uint64(b[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < 0x20 || c >= 0x80 {
			return i
		}
	}
	return i
}

// stopsOf marks the high bit of the stops among eight bytes. A borrow may mark a byte above a true stop, never one
// below: the lowest mark is always true.
func stopsOf(w uint64) uint64 {
	quote, slash := w^(ones*'"'), w^(ones*'\\')
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w | w) & highs
}

// findStopsOfAny makes the masks on any machine. b is whole blocks, at most a window of them.
func findStopsOfAny(masks *[window]uint64, b []byte) {
	for k := 0; k*block < len(b); k++ {
		var mask uint64
		for i, c := range b[k*block : k*block+block] {
			if c == '"' || c == '\\' || c < 0x20 || c >= 0x80 {
				mask |= 1 << i
			}
		}
		masks[k] = mask
	}
}
