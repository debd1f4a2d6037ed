package pattern

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A folded is text that ignores case: for each character its lower and its upper case. They may differ in length.
type folded struct {
	ascii []byte // in lower case, when all of the text is ASCII; else chars
	chars []foldedChar
}

type foldedChar struct{ lower, upper []byte }

func compileFolded(s string) folded {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < 0x80
	}
	if ascii {
		return folded{ascii: []byte(strings.ToLower(s))}
	}
	var f folded
	for _, r := range s {
		if r > 0xffff {
			// The reference folds UTF-16 units, and half of a surrogate pair becomes a question mark.
			f.chars = append(f.chars, foldedChar{[]byte("??"), []byte("??")})
			continue
		}
		f.chars = append(f.chars, foldedChar{[]byte(lower(r)), []byte(upper(r))})
	}
	return f
}

func lower(r rune) string {
	if s := longLower[r]; s != "" {
		return s
	}
	return string(unicode.ToLower(r))
}

func upper(r rune) string {
	if s := longUpper[r]; s != "" {
		return s
	}
	return string(unicode.ToUpper(r))
}

// prefix tells whether s starts with the text, and how many bytes of s that is.
func (f *folded) prefix(s []byte) (int, bool) {
	if f.chars == nil {
		return len(f.ascii), len(s) >= len(f.ascii) && equalASCII(f.ascii, s[:len(f.ascii)])
	}
	n := 0
	for i := range f.chars {
		switch c := &f.chars[i]; {
		case bytes.HasPrefix(s[n:], c.lower):
			n += len(c.lower)
		case bytes.HasPrefix(s[n:], c.upper):
			n += len(c.upper)
		default:
			return 0, false
		}
	}
	return n, true
}

func (f *folded) suffix(s []byte) bool {
	if f.chars == nil {
		return len(s) >= len(f.ascii) && equalASCII(f.ascii, s[len(s)-len(f.ascii):])
	}
	for i := len(f.chars) - 1; i >= 0; i-- {
		switch c := &f.chars[i]; {
		case bytes.HasSuffix(s, c.lower):
			s = s[:len(s)-len(c.lower)]
		case bytes.HasSuffix(s, c.upper):
			s = s[:len(s)-len(c.upper)]
		default:
			return false
		}
	}
	return true
}

// equalASCII compares text in lower case with as many bytes of any case.
func equalASCII(lowered, s []byte) bool {
	for i, c := range s {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lowered[i] {
			return false
		}
	}
	return true
}

// key returns a text that is the foldKey of all that f equals. There is none if a character's lower and upper case
// differ in theirs.
func (f *folded) key() (string, bool) {
	if f.chars == nil {
		return string(f.ascii), true
	}
	var key []byte
	for i := range f.chars {
		k := appendFoldKey(nil, f.chars[i].lower)
		if !bytes.Equal(k, appendFoldKey(nil, f.chars[i].upper)) {
			return "", false
		}
		key = append(key, k...)
	}
	return string(key), true
}

// appendFoldKey appends s with each character in the lower case of its upper case.
func appendFoldKey(dst, s []byte) []byte {
	for len(s) > 0 {
		if c := s[0]; c < utf8.RuneSelf {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst, s = append(dst, c), s[1:]
			continue
		}
		r, size := utf8.DecodeRune(s)
		s = s[size:]
		if short := unicode.ToLower(r); longLower[r] == "" {
			// Down, up and down again: ẞ, ß and SS all end at ss.
			r = short
		}
		up := longUpper[r]
		if up == "" {
			r = unicode.ToUpper(r)
			if down := longLower[r]; down != "" {
				dst = append(dst, down...)
			} else {
				dst = utf8.AppendRune(dst, unicode.ToLower(r))
			}
			continue
		}
		for _, u := range up {
			dst = utf8.AppendRune(dst, unicode.ToLower(u))
		}
	}
	return dst
}
