package pattern

import (
	"bytes"
	"math"
	"strconv"
)

// exactDigits is how many significant digits a decimal may have and surely be the shortest spelling of its double.
const exactDigits = 15

// parseNumber returns the value of a JSON number. ok is false for a number that has none to compare by: one that is
// not the shortest decimal that reads as its double, or is beyond the range of doubles.
func parseNumber(text []byte) (value float64, ok bool) {
	var digits [20]byte
	d := digits[:0]
	var exponent, seen int // seen: digits since the first that is not 0
	i, point := 0, false
	if text[i] == '-' {
		i++
	}
	for ; i < len(text) && text[i] != 'e' && text[i] != 'E'; i++ {
		c := text[i]
		if c == '.' {
			point = true
			continue
		}
		if seen == 0 && c == '0' {
			if point {
				exponent--
			}
			continue
		}
		seen++
		if !point {
			exponent++
		}
		if c == '0' {
			continue
		}
		// Zeros are written late, so that those at the end do not count as digits.
		if seen > cap(d) {
			return 0, false
		}
		for len(d) < seen-1 {
			d = append(d, '0')
		}
		d = append(d, c)
	}
	if len(d) == 0 {
		return 0, true
	}
	if i < len(text) {
		e, err := strconv.Atoi(string(text[i+1:]))
		if err != nil || e > 1000 || e < -1000 {
			// Beyond any double, unless a mantissa of a thousand digits makes up for it. That has no value here.
			return 0, false
		}
		exponent += e
	}
	value, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(value, 0) {
		return 0, false
	}
	if len(d) <= exactDigits && exponent > -300 && exponent < 300 {
		return value, true
	}
	return value, sameDecimal(value, d, exponent)
}

// sameDecimal tells whether the shortest spelling of value is 0.d times ten to the exponent.
func sameDecimal(value float64, d []byte, exponent int) bool {
	var buf [32]byte
	shortest := strconv.AppendFloat(buf[:0], math.Abs(value), 'e', -1, 64) // d.ddde±dd
	mantissa, e, _ := bytes.Cut(shortest, []byte{'e'})
	n, err := strconv.Atoi(string(e))
	if err != nil || n+1 != exponent {
		return false
	}
	return mantissa[0] == d[0] && string(bytes.TrimPrefix(mantissa[1:], []byte{'.'})) == string(d[1:])
}
