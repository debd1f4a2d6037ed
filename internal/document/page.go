package document

import (
	"errors"

	"example.org/catchment/internal/scan"
)

// leading are members that stand before the findings of a page, as SDKs print pages and as jq -S sorts them.
var leading = [...]string{`"NextToken"`, `"nextToken"`, `"failedItems"`, `"$metadata"`, `"ResponseMetadata"`, `"ResultMetadata"`}

// containerStart recognises what holds documents: an array, or a page. It returns the offset behind the bracket of
// its elements; 0 where there is none.
func (s *Splitter) containerStart(b []byte, i int, last bool) (end int, kind container, more bool) {
	limit, all := s.window(b, i, last)
	b = b[:limit]
	if b[i] == '[' {
		is, more := s.isArray(b, i, all)
		if !is {
			return 0, 0, more
		}
		return i + 1, inArray, false
	}
	k, more := skipBlank(b, i+1)
	for !more {
		if end, more = pageKey(b, k); end > 0 || more {
			break
		}
		if k, more = s.leadingMember(b, k); k == 0 {
			break
		}
	}
	if more && !all {
		return 0, 0, true
	}
	return end, inPage, false
}

// isArray tells an array from a text that starts with a bracket, as log lines do.
func (s *Splitter) isArray(b []byte, i int, all bool) (is, more bool) {
	k, more := skipBlank(b, i+1)
	if more {
		return all, !all
	}
	if c := b[k]; c == '{' || c == '[' || c == ']' || c == ',' {
		return true, false
	}
	n, err := s.check(b[k:])
	if err != nil {
		return false, errors.Is(err, scan.ErrIncomplete) && !all
	}
	if k, more = skipBlank(b, k+n); more {
		return all, !all
	}
	return b[k] == ',' || b[k] == ']', false
}

// leadingMember goes over one of the leading members and the comma behind it; it returns 0 where there is none.
func (s *Splitter) leadingMember(b []byte, k int) (end int, more bool) {
	if b[k] != '"' {
		return 0, false
	}
	for _, key := range leading {
		n := min(len(key), len(b)-k)
		if string(b[k:k+n]) != key[:n] {
			continue
		}
		if n < len(key) {
			return 0, true
		}
		end, err := member(b, k, s.check)
		if errors.Is(err, scan.ErrIncomplete) {
			return 0, true
		}
		if err != nil {
			return 0, false
		}
		if end, more = skipBlank(b, end); more || b[end] != ',' {
			return 0, more
		}
		end, more = skipBlank(b, end+1)
		return end, more
	}
	return 0, false
}

// pageKey recognises "Findings": [ and returns the offset behind the bracket; more says that b ends too early to tell.
func pageKey(b []byte, k int) (end int, more bool) {
	const upper, lower = `"Findings"`, `"findings"`
	n := min(len(upper), len(b)-k)
	if string(b[k:k+n]) != upper[:n] && string(b[k:k+n]) != lower[:n] {
		return 0, false
	}
	if n < len(upper) {
		return 0, true
	}
	if k, more = skipBlank(b, k+n); more || b[k] != ':' {
		return 0, more
	}
	if k, more = skipBlank(b, k+1); more || b[k] != '[' {
		return 0, more
	}
	return k + 1, false
}

// members goes over what stands behind a page's array. Another array of findings there is a page again.
func (s *Splitter) members(b []byte, i int, last bool) step {
	switch b[i] {
	case ',':
		return step{end: i + 1}
	case '}':
		s.open = s.open[:len(s.open)-1]
		return step{end: i + 1}
	case '"':
		limit, all := s.window(b, i, last)
		end, more := pageKey(b[:limit], i)
		if end > 0 {
			s.open[len(s.open)-1] = inPage
			return step{end: end}
		}
		if more && !all {
			return step{more: true}
		}
		end, err := member(b[:limit], i, s.check)
		if err == nil {
			return step{end: end}
		}
		if errors.Is(err, scan.ErrIncomplete) && !all {
			return step{more: true}
		}
	}
	s.open = s.open[:len(s.open)-1] // no page after all: go on as if it had ended
	return step{end: i}
}

// member reads "key": value and returns the offset behind it.
func member(b []byte, i int, check func([]byte) (int, error)) (int, error) {
	n, err := check(b[i:])
	if err != nil {
		return 0, err
	}
	i, more := skipBlank(b, i+n)
	if more {
		return 0, scan.ErrIncomplete
	}
	if b[i] != ':' {
		return 0, ErrNotJSON
	}
	if i, more = skipBlank(b, i+1); more {
		return 0, scan.ErrIncomplete
	}
	n, err = check(b[i:])
	if err == nil && i+n == len(b) { // a number may go on
		err = scan.ErrIncomplete
	}
	return i + n, err
}
