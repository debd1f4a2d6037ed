package document

import "bytes"

var byteOrderMark = []byte("\xef\xbb\xbf")

// skipBlank goes over white space and byte order marks.
func skipBlank(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case ' ', '\t', '\n', '\r':
			i++
		case 0xef:
			if !bytes.HasPrefix(b[i:], byteOrderMark) {
				return i
			}
			i += len(byteOrderMark)
		default:
			return i
		}
	}
	return i
}

// endsClean tells whether a scalar that ends at i ends as a line does, so that it was no word of a text.
func endsClean(b []byte, i int) bool {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i >= len(b) || bytes.IndexByte([]byte("\n,]{["), b[i]) >= 0
}

// pageStart recognises {"Findings": [ and {"findings": [ and returns the offset behind the bracket; more says that b
// ends too early to tell.
func pageStart(b []byte, i int) (end int, more bool) {
	k := skipBlank(b, i+1)
	if k >= len(b) {
		return 0, true
	}
	return pageKey(b, k)
}

func pageKey(b []byte, k int) (end int, more bool) {
	const upper, lower = `"Findings"`, `"findings"`
	n := min(len(upper), len(b)-k)
	if string(b[k:k+n]) != upper[:n] && string(b[k:k+n]) != lower[:n] {
		return 0, false
	}
	if n < len(upper) {
		return 0, true
	}
	if k = skipBlank(b, k+n); k < len(b) && b[k] == ':' {
		k = skipBlank(b, k+1)
	} else if k < len(b) {
		return 0, false
	}
	if k >= len(b) {
		return 0, true
	}
	if b[k] != '[' {
		return 0, false
	}
	return k + 1, false
}

// brokenEnd tells where a broken document that starts at i ends; more says that b ends too early to tell. See the
// package comment for the rules.
func brokenEnd(b []byte, i int, last bool) (end int, more bool) {
	switch b[i] {
	case '{', '[':
	case '}', ']', ',', ':':
		for end = i; end < len(b) && bytes.IndexByte([]byte("}],:"), b[end]) >= 0; end++ {
		}
		return end, false
	default:
		return garbageEnd(b, i, last)
	}
	limit, more := regionEnd(b, i, last)
	if more {
		return 0, true
	}
	if end, ok := balancedEnd(b[i:limit]); ok {
		return i + end, false
	}
	return trimBlank(b, i, limit), false
}

// regionEnd is how far a broken document may reach at most.
func regionEnd(b []byte, i int, last bool) (end int, more bool) {
	nl := bytes.IndexByte(b[i:], '\n')
	if nl < 0 {
		return len(b), !last
	}
	first := i + nl
	if !looksPretty(b[i:first]) {
		return first, false
	}
	next := skipBlank(b, first)
	if next >= len(b) {
		return len(b), !last
	}
	if b[next] == '{' || b[next] == '[' {
		return first, false
	}
	indent := indentOf(b, i)
	for line := first + 1; ; {
		at := line
		for at < len(b) && (b[at] == ' ' || b[at] == '\t') {
			at++
		}
		if at >= len(b) {
			return len(b), !last
		}
		eol := bytes.IndexByte(b[at:], '\n')
		if b[at] != '\n' && b[at] != '\r' && at-line <= indent {
			if b[at] == '}' || b[at] == ']' {
				return at + 1, false
			}
			if line != first+1 {
				return line, false
			}
		}
		if eol < 0 {
			return len(b), !last
		}
		line = at + eol + 1
	}
}

// looksPretty tells from its first line whether a document goes on in the next one.
func looksPretty(line []byte) bool {
	line = bytes.TrimRight(line, " \t\r")
	return len(line) > 0 && bytes.IndexByte([]byte("{[,:"), line[len(line)-1]) >= 0
}

// indentOf is the width of the white space that starts the line of i.
func indentOf(b []byte, i int) int {
	line := bytes.LastIndexByte(b[:i], '\n') + 1
	at := line
	for at < i && (b[at] == ' ' || b[at] == '\t') {
		at++
	}
	return at - line
}

// garbageEnd is the end of text that is no JSON: whole lines, up to one that starts with { or [.
func garbageEnd(b []byte, i int, last bool) (end int, more bool) {
	for line := i; ; {
		nl := bytes.IndexByte(b[line:], '\n')
		if nl < 0 {
			if !last && len(b)-i < maxGarbage {
				return 0, true
			}
			return trimBlank(b, i, len(b)), false
		}
		line += nl + 1
		next := skipBlank(b, line)
		if next >= len(b) && !last {
			if len(b)-i < maxGarbage {
				return 0, true
			}
		}
		if next >= len(b) || b[next] == '{' || b[next] == '[' || line-i >= maxGarbage {
			return trimBlank(b, i, line), false
		}
	}
}

func trimBlank(b []byte, from, to int) int {
	for to > from && (b[to-1] == ' ' || b[to-1] == '\n' || b[to-1] == '\t' || b[to-1] == '\r') {
		to--
	}
	return to
}

// balancedEnd returns where the brackets that b starts with are closed again, strings left alone; ok is false where
// they are not, or not in pairs, or a string holds a raw newline.
func balancedEnd(b []byte) (end int, ok bool) {
	var stack []byte
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\n' {
					return 0, false
				}
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if len(stack) >= 1<<16 {
				return 0, false
			}
			stack = append(stack, c+2) // '{'+2 is '}', '['+2 is ']'
		case '}', ']':
			if len(stack) == 0 || stack[len(stack)-1] != c {
				return 0, false
			}
			if stack = stack[:len(stack)-1]; len(stack) == 0 {
				return i + 1, true
			}
		}
	}
	return 0, false
}
