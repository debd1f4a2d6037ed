package encode

import "hash/crc32"

// A CRC-32 is a polynomial over GF(2) modulo the CRC's own; bit 31 is the coefficient of x^0. Appending n bytes to a
// text multiplies its polynomial by x^(8n), so the CRC of two texts together follows from the CRC of each.

const one = 1 << 31 // x^0

// powers holds x^(2^i).
var powers = func() (p [32]uint32) {
	p[0] = one >> 1 // x^1
	for i := 1; i < len(p); i++ {
		p[i] = multiply(p[i-1], p[i-1])
	}
	return p
}()

// multiply returns a*b modulo the CRC's polynomial.
func multiply(a, b uint32) uint32 {
	var product uint32
	for bit := uint32(one); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ crc32.IEEE
		} else {
			b >>= 1
		}
	}
	return product
}

// combineCRC returns the CRC of a text followed by another: first and second are their CRCs, size is the second's
// length in bytes.
func combineCRC(first, second uint32, size int64) uint32 {
	if first == 0 { // of an empty text, or as if it were
		return second
	}
	shift := uint32(one)
	// x^(8n) is the product of x^(2^(i+3)) over the bits i of n. The polynomial is primitive of degree 32: x^(2^32) is
	// x again, and powers holds them all.
	for i := 3; size > 0; i, size = i+1, size>>1 {
		if size&1 != 0 {
			shift = multiply(powers[i%len(powers)], shift)
		}
	}
	return multiply(shift, first) ^ second
}
