package pattern

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A folded is text that ignores case.
//
// The reference has a flaw that its answers show, so it is here too: where an alternative of the same field before this
// one is a wildcard, and the text up to the wildcard's first star has no case and starts this text as well, the first
// character behind it stands for any text that is not empty, if it has case and is not the last of the operator's text.
// [{"wildcard": "*bar"}, {"prefix": {"equals-ignore-case": "ar"}}] matches "foo.r". The two share a state of the
// reference's automaton, and the test of whether they may looks only at characters without case.
type folded struct {
	text foldedText
	gap  bool       // after text comes at least one byte of any kind, and then
	rest foldedText // for a suffix, read from the end: first what it ends with, then what stands before
}

// A foldedText holds for each character its lower and its upper case. They may differ in length.
type foldedText struct {
	ascii []byte // in lower case, when all of the text is ASCII; else chars
	chars []foldedChar
}

type foldedChar struct{ lower, upper []byte }

// compileFolded compiles the text of one of the three operators that ignore case. stars are what the wildcards before
// it have before their first star.
func compileFolded(op stringOp, s string, stars []string) folded {
	runes := []rune(s)
	if op == opSuffixFold {
		slices.Reverse(runes)
	}
	f := folded{text: foldText(s)}
	last := len(runes) - 1
	if op == opFold {
		last = len(runes) // the closing quote counts as one more character
	}
	for _, star := range stars {
		head := []rune(star)
		at := len(head)
		if at >= last || !slices.Equal(head, runes[:at]) || slices.ContainsFunc(head, hasCase) || !hasCase(runes[at]) {
			continue
		}
		text, rest := runes[:at], runes[at+1:]
		if op == opSuffixFold {
			slices.Reverse(text)
			slices.Reverse(rest)
		}
		return folded{text: foldText(string(text)), gap: true, rest: foldText(string(rest))}
	}
	return f
}

func foldText(s string) foldedText {
	if !slices.ContainsFunc([]byte(s), func(c byte) bool { return c >= utf8.RuneSelf }) {
		return foldedText{ascii: []byte(strings.ToLower(s))}
	}
	var f foldedText
	for _, r := range s {
		f.chars = append(f.chars, foldedChar{[]byte(lower(r)), []byte(upper(r))})
	}
	return f
}

// outsidePlane is what is left of a character beyond 16 bits: the reference folds UTF-16 units one by one, and half of
// a surrogate pair becomes a question mark.
const outsidePlane = "??"

func lower(r rune) string {
	if r > 0xffff {
		return outsidePlane
	}
	if s := longLower[r]; s != "" {
		return s
	}
	return string(unicode.ToLower(r))
}

func upper(r rune) string {
	if r > 0xffff {
		return outsidePlane
	}
	if s := longUpper[r]; s != "" {
		return s
	}
	return string(unicode.ToUpper(r))
}

func hasCase(r rune) bool { return lower(r) != upper(r) }

func (f *folded) match(op stringOp, s []byte) bool {
	if op == opSuffixFold {
		n, ok := f.text.suffix(s)
		if !f.gap {
			return ok
		}
		for end := len(s) - n - 1; ok && end >= 0; end-- {
			if _, found := f.rest.suffix(s[:end]); found {
				return true
			}
		}
		return false
	}
	n, ok := f.text.prefix(s)
	switch {
	case !ok:
		return false
	case !f.gap:
		return op == opPrefixFold || n == len(s)
	case op == opFold:
		k, found := f.rest.suffix(s[n:])
		return found && k < len(s)-n
	}
	for start := n + 1; start <= len(s); start++ {
		if _, found := f.rest.prefix(s[start:]); found {
			return true
		}
	}
	return false
}

// prefix tells whether s starts with the text, and how many bytes of s that is.
func (f *foldedText) prefix(s []byte) (int, bool) {
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

// suffix is the same for the end of s.
func (f *foldedText) suffix(s []byte) (int, bool) {
	if f.chars == nil {
		return len(f.ascii), len(s) >= len(f.ascii) && equalASCII(f.ascii, s[len(s)-len(f.ascii):])
	}
	end := len(s)
	for i := len(f.chars) - 1; i >= 0; i-- {
		switch c := &f.chars[i]; {
		case bytes.HasSuffix(s[:end], c.lower):
			end -= len(c.lower)
		case bytes.HasSuffix(s[:end], c.upper):
			end -= len(c.upper)
		default:
			return 0, false
		}
	}
	return len(s) - end, true
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
	if f.gap {
		return "", false
	}
	if f.text.chars == nil {
		return string(f.text.ascii), true
	}
	var key []byte
	for i := range f.text.chars {
		k := appendFoldKey(nil, f.text.chars[i].lower)
		if !bytes.Equal(k, appendFoldKey(nil, f.text.chars[i].upper)) {
			return "", false
		}
		key = append(key, k...)
	}
	return string(key), true
}

// appendFoldKey appends s with each character down, up and down again: ẞ, ß and SS all end at ss.
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
		if longLower[r] == "" {
			r = unicode.ToLower(r)
		}
		if up := longUpper[r]; up != "" {
			for _, u := range up {
				dst = utf8.AppendRune(dst, unicode.ToLower(u))
			}
			continue
		}
		r = unicode.ToUpper(r)
		if down := longLower[r]; down != "" {
			dst = append(dst, down...)
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
	}
	return dst
}
