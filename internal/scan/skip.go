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

// skip reads a value that nobody wants. It keeps no stack but a bit a level.
func (s *stops) skip(b []byte, i, depth int) (int, error) {
	var objects [MaxDepth/64 + 1]uint64 // bit set: the container at that depth is an object
	base := depth
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
		word, bit := &objects[depth>>6], uint64(1)<<(depth&63)
		if i = skipSpace(b, i+1); i >= len(b) {
			return i, ErrIncomplete
		}
		depth++
		if c == '[' {
			*word &^= bit
			if b[i] != ']' {
				goto value
			}
		} else {
			*word |= bit
			if b[i] != '}' {
				goto member
			}
		}
		depth--
		i++
	case 't':
		i, err = skipLiteral(b, i, "true")
	case 'f':
		i, err = skipLiteral(b, i, "false")
	case 'n':
		i, err = skipLiteral(b, i, "null")
	default:
		i, err = skipNumber(b, i)
	}
	if err != nil {
		return i, err
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
	if objects[(depth-1)>>6]>>((depth-1)&63)&1 == 0 {
		switch b[i] {
		case ',':
			i = skipSpace(b, i+1)
			goto value
		case ']':
			depth--
			i++
			goto after
		}
		return i, &SyntaxError{i, "expected ',' or ']' after an element, found " + show(b[i])}
	}
	switch b[i] {
	case ',':
		if i++; i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
		}
	case '}':
		depth--
		i++
		goto after
	default:
		return i, &SyntaxError{i, "expected ',' or '}' after a member, found " + show(b[i])}
	}
member:
	if i >= len(b) {
		return i, ErrIncomplete
	}
	if b[i] != '"' {
		return i, &SyntaxError{i, "expected a member name in double quotes, found " + show(b[i])}
	}
	if end := s.quick(b, i+1); end >= 0 {
		i = end
	} else if i, _, err = s.skipString(b, i+1); err != nil {
		return i, err
	}
	if i < len(b) && b[i] == ':' {
		i++
	} else if i = skipSpace(b, i); i >= len(b) {
		return i, ErrIncomplete
	} else if b[i] != ':' {
		return i, &SyntaxError{i, "expected ':' after a member name, found " + show(b[i])}
	} else {
		i++
	}
	if i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	goto value
}
