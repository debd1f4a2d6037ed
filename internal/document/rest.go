package document

import "bytes"

// A rest is what is still to be given up of something that was longer than the limit.
type rest struct {
	mode   restMode
	flat   bool // pretty: without indentation
	indent int  // pretty: of the line that opened it
	closer byte // pretty: the bracket that closes it
	before byte // pretty: the last byte of what has been given up that is no white space
}

type restMode byte

const (
	noRest     restMode = iota
	lineRest            // to the end of the line, or to another document on it
	prettyRest          // to the line that closes it
)

// tooLong gives up the first piece of a document that does not end within the limit.
func (s *Splitter) tooLong(b []byte, i int) step {
	limit := i + s.o.MaxDocument
	end := limit
	nl := bytes.IndexByte(b[i:limit], '\n')
	if nl < 0 || s.wasted > maxWasted {
		s.rest = rest{mode: lineRest}
	} else if pretty, flat, _ := s.isPretty(b, i, i+nl, limit); pretty {
		end = s.leavePretty(b, i, limit, flat)
	} else {
		end = i + nl
	}
	s.waste(s.o.MaxDocument, end-i)
	return step{end: end, doc: true, err: errLongerThan(s.o.MaxDocument)}
}

// leavePretty gives up the whole lines of b[i:limit] and notes that the rest follows.
func (s *Splitter) leavePretty(b []byte, i, limit int, flat bool) (end int) {
	s.rest = rest{mode: prettyRest, flat: flat, indent: s.indent, closer: b[i] + 2}
	return s.leaveLines(b, i, limit)
}

func (s *Splitter) leaveLines(b []byte, i, limit int) (end int) {
	if end = bytes.LastIndexByte(b[i:limit], '\n') + i; end <= i {
		end = limit
	}
	if end = trimBlank(b, i, end); end == i { // a line of nothing but white space
		end = limit
	}
	s.rest.before = b[end-1]
	return end
}

// giveUpRest gives up a piece of the rest.
func (s *Splitter) giveUpRest(b []byte, i int, last bool) step {
	var end int
	var found, more bool
	if s.rest.mode == lineRest {
		end, found, more = s.lineRestEnd(b, i, last)
	} else {
		end, found, more = s.prettyRestEnd(b, i, last)
	}
	if more {
		return step{more: true}
	}
	s.written = true
	if found {
		if s.rest.mode == prettyRest {
			s.indent = s.rest.indent
		}
		s.rest = rest{}
	}
	if end == i {
		return step{end: i}
	}
	return step{end: end, doc: true, err: ErrTooLongRest}
}

// lineRestEnd is the end of a piece of the rest of a line. found is the end of all of it.
func (s *Splitter) lineRestEnd(b []byte, i int, last bool) (end int, found, more bool) {
	limit, all := s.window(b, i, last)
	nl := bytes.IndexByte(b[i:limit], '\n')
	switch {
	case nl >= 0:
		end, found = i+nl, true
	case !all:
		return 0, false, true
	default:
		end, found = limit, limit == len(b)
	}
	at, looked := s.resync(b, i, end, true)
	s.waste(looked, end-i)
	if at > 0 {
		return at, true, false
	}
	return end, found, false
}

// prettyRestEnd is the same for a pretty-printed document. b[i] is no white space.
func (s *Splitter) prettyRestEnd(b []byte, i int, last bool) (end int, found, more bool) {
	limit, all := s.window(b, i, last)
	r := s.rest
	line := i
	if !s.written && !r.flat && s.indent <= r.indent {
		switch c := b[i]; {
		case c == '{' || c == '[' || (c == '}' || c == ']') && c != r.closer && len(s.open) > 0 && (s.indent < r.indent || s.indent == 0):
			return i, true, false
		case c == r.closer:
			ends, more := s.endsDocument(b[:limit], i+1, true, all)
			if more || ends {
				return i + 1, ends, more
			}
		}
	}
	if s.written || !r.flat {
		line = limit
		if nl := bytes.IndexByte(b[i:limit], '\n'); nl >= 0 {
			line = i + nl + 1
		}
	}
	if end, found = s.prettyEnd(b, i, line, limit, r, 1<<30, all); found {
		return end, true, false
	}
	if !all {
		return 0, false, true
	}
	if limit == len(b) {
		return end, true, false
	}
	return s.leaveLines(b, i, limit), false, false
}
