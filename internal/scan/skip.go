package scan

import "unicode/utf8"

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString reads a string from behind its opening quote to behind its closing one.
func (s *stops) skipString(b []byte, i int) (end int, escaped bool, err error) {
	for {
		if i = s.next(b, i); i >= len(b) {
			return len(b), escaped, ErrIncomplete
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped, nil
		case c == '\\':
			escaped = true
			if i, err = skipEscape(b, i); err != nil {
				return i, escaped, err
			}
		case c < 0x20:
			return i, escaped, &SyntaxError{i, "raw control character " + show(c) + " in a string; it must be escaped"}
		default:
			if i, err = skipRune(b, i); err != nil {
				return i, escaped, err
			}
		}
	}
}

// skipRune reads one character that is not ASCII.
func skipRune(b []byte, i int) (int, error) {
	r, size := utf8.DecodeRune(b[i:])
	if r == utf8.RuneError && size <= 1 {
		if !utf8.FullRune(b[i:]) {
			return len(b), ErrIncomplete
		}
		return i, &SyntaxError{i, "invalid UTF-8: " + show(b[i])}
	}
	return i + size, nil
}

func skipEscape(b []byte, i int) (int, error) {
	if i+1 >= len(b) {
		return len(b), ErrIncomplete
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, nil
	case 'u':
		for k := i + 2; k < i+6; k++ {
			if k >= len(b) {
				return len(b), ErrIncomplete
			}
			if hexDigit(b[k]) < 0 {
				return k, &SyntaxError{k, `expected four hexadecimal digits after \u, found ` + show(b[k])}
			}
		}
		return i + 6, nil
	}
	return i, &SyntaxError{i, "unknown escape: backslash and " + show(b[i+1])}
}

func skipLiteral(b []byte, i int, word string) (int, error) {
	for k := range len(word) {
		if i+k >= len(b) {
			return len(b), ErrIncomplete
		}
		if b[i+k] != word[k] {
			return i, &SyntaxError{i, "expected a value, found " + show(b[i]) + "; did you mean " + word + "?"}
		}
	}
	return i + len(word), nil
}

func skipNumber(b []byte, i int) (int, error) {
	start := i
	if b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b):
		return i, ErrIncomplete
	case b[i] == '0':
		i++
	case b[i] >= '1' && b[i] <= '9':
		i = skipDigits(b, i)
	default:
		return start, &SyntaxError{start, "expected a value, found " + show(b[start])}
	}
	if i < len(b) && b[i] == '.' {
		k := skipDigits(b, i+1)
		if k == i+1 {
			return noDigit(b, k, "a digit after the decimal point")
		}
		i = k
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		k := i + 1
		if k < len(b) && (b[k] == '+' || b[k] == '-') {
			k++
		}
		i = skipDigits(b, k)
		if i == k {
			return noDigit(b, k, "a digit in the exponent")
		}
	}
	if i < len(b) && b[i] >= '0' && b[i] <= '9' {
		return i, &SyntaxError{i, "a number does not start with 0 and go on"}
	}
	return i, nil
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}

func noDigit(b []byte, i int, want string) (int, error) {
	if i >= len(b) {
		return i, ErrIncomplete
	}
	return i, &SyntaxError{i, "expected " + want + ", found " + show(b[i])}
}

// skipScalar reads a number or a literal.
func skipScalar(b []byte, i int) (int, error) {
	switch b[i] {
	case 't':
		return skipLiteral(b, i, "true")
	case 'f':
		return skipLiteral(b, i, "false")
	case 'n':
		return skipLiteral(b, i, "null")
	}
	return skipNumber(b, i)
}

// skipName reads a member's name and the colon. end is behind the name's closing quote, value is where the value starts,
// or where the error is.
func (s *stops) skipName(b []byte, i int) (end, value int, escaped bool, err error) {
	if i >= len(b) {
		return 0, i, false, ErrIncomplete
	}
	if b[i] != '"' {
		return 0, i, false, &SyntaxError{i, "expected a member name in double quotes, found " + show(b[i])}
	}
	if end = s.quick(b, i+1); end < 0 {
		if end, escaped, err = s.skipString(b, i+1); err != nil {
			return 0, end, false, err
		}
	}
	i = end
	if i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if i >= len(b) {
		return 0, i, false, ErrIncomplete
	}
	if b[i] != ':' {
		return 0, i, false, &SyntaxError{i, "expected ':' after a member name, found " + show(b[i])}
	}
	if i++; i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	return end, i, escaped, nil
}

// skip reads a value that nobody wants. It keeps no stack but a bit a level.
func (s *stops) skip(b []byte, i, depth int) (int, error) {
	var objects [MaxDepth/64 + 1]uint64 // bit set: the container at that depth is an object
	base := depth
	var object bool // the innermost container is one
	var err error
value:
	if i >= len(b) {
		return i, ErrIncomplete
	}
	switch c := b[i]; c {
	case '"':
		if end := s.quick(b, i+1); end >= 0 {
			i = end
		} else if i, _, err = s.skipString(b, i+1); err != nil {
			return i, err
		}
	case '{', '[':
		if depth >= MaxDepth {
			return i, tooDeep(i)
		}
		if i = skipSpace(b, i+1); i >= len(b) {
			return i, ErrIncomplete
		}
		word, bit := &objects[depth>>6], uint64(1)<<(depth&63)
		depth++
		*word &^= bit
		switch {
		case b[i] == c+2: // '{'+2 is '}', '['+2 is ']': empty
			depth--
			i++
		case c == '[':
			goto value
		default:
			*word |= bit
			goto member
		}
	default:
		if i, err = skipScalar(b, i); err != nil {
			return i, err
		}
	}
after:
	if depth == base {
		return i, nil
	}
	if i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if i >= len(b) {
		return i, ErrIncomplete
	}
	object = objects[(depth-1)>>6]>>((depth-1)&63)&1 == 1
	switch c := b[i]; {
	case c == ',':
		if i++; i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		if !object {
			goto value
		}
	case object && c == '}', !object && c == ']':
		depth--
		i++
		goto after
	default:
		return i, notAfter(b, i, object)
	}
member:
	if _, i, _, err = s.skipName(b, i); err != nil {
		return i, err
	}
	goto value
}

// notAfter is the error of what stands at i, behind a member or an element.
func notAfter(b []byte, i int, object bool) error {
	if object {
		return &SyntaxError{i, "expected ',' or '}' after a member, found " + show(b[i])}
	}
	return &SyntaxError{i, "expected ',' or ']' after an element, found " + show(b[i])}
}
