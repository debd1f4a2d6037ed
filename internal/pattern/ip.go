package pattern

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// An address is an IP address; size is 4 or 16, and 0 for none.
type address struct {
	size int
	b    [16]byte
}

// digits appends the address in hexadecimal.
func (a *address) digits(dst []byte) []byte {
	const hexDigits = "0123456789ABCDEF"
	for _, c := range a.b[:a.size] {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

// An ipRange is the addresses from low to high, in hexadecimal digits of one length.
type ipRange struct{ low, high []byte }

func newIPRange(low, high address) ipRange {
	return ipRange{low.digits(nil), high.digits(nil)}
}

// contains compares digit by digit, and is content once the digits so far decide: whatever follows does not count. That
// is how the reference compares, and it takes the digits of an IPv6 address, or of a plain number, as well as those of
// an IPv4 address. So 0.0.0.0/0 contains nearly everything that starts with a digit.
func (r *ipRange) contains(digits []byte) bool {
	i := 0
	for i < len(r.low)-1 && r.low[i] == r.high[i] {
		if i >= len(digits) || digits[i] != r.low[i] {
			return false
		}
		i++
	}
	if i >= len(digits) || !isDigit(digits[i]) || digits[i] < r.low[i] || digits[i] > r.high[i] {
		return false
	}
	aboveLow, belowHigh := digits[i] > r.low[i], digits[i] < r.high[i]
	for last := len(r.low) - 1; i < last && (!aboveLow || !belowHigh); {
		i++
		if i >= len(digits) || !isDigit(digits[i]) || !aboveLow && digits[i] < r.low[i] || !belowHigh && digits[i] > r.high[i] {
			return false
		}
		aboveLow, belowHigh = aboveLow || digits[i] > r.low[i], belowHigh || digits[i] < r.high[i]
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }

// parseIP reads an address as text, the way Java's InetAddress does: leading zeros are decimal, and an IPv4 address
// mapped to IPv6 is the IPv4 address.
func parseIP(s []byte) address {
	if len(s) < 2 || len(s) > 64 {
		return address{}
	}
	colon := false
	for _, c := range s {
		switch {
		case c == ':':
			colon = true
		case c != '.' && hexValue(c) < 0:
			return address{}
		}
	}
	if colon {
		return parseIPv6(s)
	}
	return parseIPv4(s)
}

// maxIPv4 is the length of 255.255.255.255. Java takes no more.
const maxIPv4 = 15

func parseIPv4(s []byte) (a address) {
	if len(s) > maxIPv4 {
		return address{}
	}
	part, value, digits := 0, 0, 0
	for i := 0; ; i++ {
		if i == len(s) || s[i] == '.' {
			if digits == 0 || value > 255 || part > 3 {
				return address{}
			}
			a.b[part] = byte(value)
			part, value, digits = part+1, 0, 0
			if i == len(s) {
				break
			}
			continue
		}
		if s[i] < '0' || s[i] > '9' {
			return address{}
		}
		value, digits = value*10+int(s[i]-'0'), digits+1
		if value > 255 {
			return address{}
		}
	}
	if part == 4 {
		a.size = 4
	}
	return a
}

func parseIPv6(s []byte) (a address) {
	n, gap := 0, -1 // bytes so far; where :: stands
	for i := 0; i < len(s); {
		if s[i] == ':' {
			switch {
			case i+1 < len(s) && s[i+1] == ':' && gap < 0:
				gap, i = n, i+2
				continue
			case i == 0 || i+1 == len(s) || s[i-1] == ':':
				return address{}
			}
			i++
			continue
		}
		value := 0
		for ; i < len(s) && s[i] != ':'; i++ {
			if value = value<<4 | hexValue(s[i]); value > 0xffff || value < 0 {
				return address{} // more than 16 bits, or a dot
			}
		}
		if n == len(a.b) {
			return address{}
		}
		a.b[n], a.b[n+1] = byte(value>>8), byte(value)
		n += 2
	}
	switch {
	case gap < 0 && n < len(a.b), gap >= 0 && n == len(a.b):
		return address{}
	case gap >= 0:
		tail := n - gap
		copy(a.b[len(a.b)-tail:], a.b[gap:n])
		clear(a.b[gap : len(a.b)-tail])
	}
	if mapped := [12]byte{10: 0xff, 11: 0xff}; bytes.HasPrefix(a.b[:], mapped[:]) {
		v4 := address{size: 4}
		copy(v4.b[:], a.b[12:])
		return v4
	}
	a.size = len(a.b)
	return a
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// parseCIDR reads a block. It starts at the address as written, and a mask of all bits is refused: the reference does
// both.
func parseCIDR(s string) (ipRange, error) {
	text, mask, ok := strings.Cut(strings.TrimRight(s, "/"), "/")
	if !ok || strings.Contains(mask, "/") {
		return ipRange{}, errors.New("expected an address and a mask, such as 10.0.0.0/24")
	}
	ip := parseIP([]byte(text))
	if ip.size == 0 {
		return ipRange{}, errors.New(clip(quote(text)) + " is no IPv4 or IPv6 address")
	}
	bits, err := strconv.Atoi(mask)
	if err != nil || bits < 0 || bits >= ip.size*8 {
		return ipRange{}, errors.New("expected a mask from 0 to " + strconv.Itoa(ip.size*8-1) + ", found " + clip(quote(mask)))
	}
	high := ip
	for i := bits; i < ip.size*8; i++ {
		high.b[i/8] |= 0x80 >> (i % 8)
	}
	return newIPRange(ip, high), nil
}
