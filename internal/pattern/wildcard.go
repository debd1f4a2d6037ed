package pattern

import (
	"bytes"
	"fmt"
)

// A wildcard is literal text between stars. A star stands for any characters, none included.
type wildcard struct{ parts [][]byte } // n stars: n+1 parts, of which the first and the last may be empty

func compileWildcard(s string) (wildcard, error) {
	var w wildcard
	part := []byte{}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '*':
			if i+1 < len(s) && s[i+1] == '*' {
				return w, fmt.Errorf("two stars in a row, at byte %d of the string: expected one", i)
			}
			w.parts = append(w.parts, part)
			part = []byte{}
		case '\\':
			if i+1 == len(s) || s[i+1] != '*' && s[i+1] != '\\' {
				return w, fmt.Errorf(`unknown escape, at byte %d of the string: expected \* or \\ (in JSON each backslash is written twice)`, i)
			}
			i++
			part = append(part, s[i])
		default:
			part = append(part, c)
		}
	}
	w.parts = append(w.parts, part)
	return w, nil
}

func (w *wildcard) match(s []byte) bool {
	first, last := w.parts[0], w.parts[len(w.parts)-1]
	if len(w.parts) == 1 {
		return bytes.Equal(s, first)
	}
	if len(s) < len(first)+len(last) || !bytes.HasPrefix(s, first) || !bytes.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	// The first place where a part fits leaves most to the parts behind it.
	for _, part := range w.parts[1 : len(w.parts)-1] {
		i := bytes.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}
