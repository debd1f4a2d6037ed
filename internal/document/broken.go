package document

import "bytes"

const (
	// maxGarbage bounds how many lines of text that is no JSON are given up in one piece, in bytes.
	maxGarbage = 64 << 10

	// reach is how much of a long line is looked through for the end of a broken document before the line's end is
	// awaited, in bytes. It is Firehose's own limit for a record.
	reach = 1 << 20

	// prettyLines is how many lines are looked at to see that a document is pretty-printed: one may be damaged.
	prettyLines = 3

	// worth is how many bytes may be looked at for each byte that is taken, in the long run; maxWasted is how many more
	// before looking ahead stops. They keep a hostile input from costing more than its length.
	worth     = 8
	maxWasted = 32 << 20
)

// waste notes how much was looked at to take so much, and tells whether it is getting too much. A stream of good
// documents makes up for it again.
func (s *Splitter) waste(looked, took int) { s.wasted = max(0, s.wasted+looked-worth*took) }

// brokenEnd tells where a broken document that starts at i ends; more says that b ends too early to tell. fault is how
// far from i its scan came. See the package comment for the rules.
func (s *Splitter) brokenEnd(b []byte, i, fault int, last bool) (end int, more bool) {
	switch b[i] {
	case '{', '[':
		end, looked, more := s.objectEnd(b, i, fault, last)
		if !more {
			s.waste(fault+looked, end-i)
		}
		return end, more
	case '}', ']', ',', ':':
		return s.strayEnd(b, i, last)
	default:
		return s.garbageEnd(b, i, last)
	}
}

// window is how much of b is looked at to tell where something that starts at i ends; all says that it will not be more.
func (s *Splitter) window(b []byte, i int, last bool) (limit int, all bool) {
	return min(len(b), i+s.o.MaxDocument), last || len(b) > i+s.o.MaxDocument
}

// strayEnd is the end of a run of punctuation that belongs to nothing. Inside an array its commas and its bracket do.
func (s *Splitter) strayEnd(b []byte, i int, last bool) (end int, more bool) {
	run := []byte("}:],")
	if len(s.open) > 0 {
		run = run[:2]
	}
	limit, all := s.window(b, i, last)
	for end = i + 1; end < limit && bytes.IndexByte(run, b[end]) >= 0; end++ {
	}
	return end, end == limit && !all
}

// objectEnd is brokenEnd for what starts with a bracket. looked is how many bytes it took to tell.
func (s *Splitter) objectEnd(b []byte, i, fault int, last bool) (end, looked int, more bool) {
	limit, all := s.window(b, i, last)
	line, lineEnds := limit, false
	if nl := bytes.IndexByte(b[i:limit], '\n'); nl >= 0 {
		line, lineEnds = i+nl, true
	}
	known := lineEnds || all
	if s.wasted > maxWasted {
		return s.wearyEnd(b, i, fault, last)
	}
	near := min(line, i+reach)
	balanced := balancedEnd(b[i:near])
	if balanced > 0 {
		plausible, more := s.endsDocument(b[:limit], i+balanced, b[i] == '{', all)
		if more {
			return 0, 0, true
		}
		if plausible {
			return i + balanced, balanced, false
		}
	}
	if near < i+reach && !known {
		return 0, 0, true
	}
	if line < i+reach && lineEnds {
		if pretty, flat, more := s.isPretty(b, i, line, limit); more && !all {
			return 0, 0, true
		} else if pretty {
			end, found := s.prettyEnd(b, i, line+1, limit, rest{prettyRest, flat, s.indent, b[i] + 2, '{'}, 1, all)
			if !found && !all {
				return 0, 0, true
			}
			if !found && limit < len(b) {
				end = s.leavePretty(b, i, limit, flat)
			}
			return end, limit - i, false
		}
	}
	if at, looked := s.resync(b, i+1, near, b[i] == '['); at > 0 {
		return at, near - i + looked, false
	}
	if !known {
		return 0, 0, true
	}
	if near < line {
		if at, looked := s.resync(b, near, line, b[i] == '['); at > 0 {
			return at, line - i + looked, false
		}
	}
	if balanced > 0 && b[i] == '{' {
		return i + balanced, line - i, false
	}
	if !lineEnds && limit < len(b) {
		s.rest = rest{mode: lineRest}
	}
	return trimBlank(b, i, line), line - i, false
}

// wearyEnd is the end where too much has been looked at in vain: that of the line that the scan came to.
func (s *Splitter) wearyEnd(b []byte, i, fault int, last bool) (end, looked int, more bool) {
	limit, all := s.window(b, i, last)
	from := min(i+fault, limit)
	nl := bytes.IndexByte(b[from:limit], '\n')
	switch {
	case nl >= 0:
		end = from + nl
	case !all:
		return 0, 0, true
	case limit < len(b):
		end = limit
		s.rest = rest{mode: lineRest}
	default:
		end = limit
	}
	return trimBlank(b, i, end), end - i, false
}

// endsDocument tells whether a document may end at i; run tells whether another may follow right there.
func (s *Splitter) endsDocument(b []byte, i int, run, all bool) (ends, more bool) {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	switch {
	case i >= len(b):
		return true, !all
	case b[i] == '\n' || run && b[i] == '{':
		return true, false
	case len(s.open) > 0:
		return b[i] == ',' || b[i] == ']', false
	}
	return false, false
}

// isPretty tells from the first line of a document, which ends at line, and the start of the next whether it is
// pretty-printed; flat: without indentation.
func (s *Splitter) isPretty(b []byte, i, line, limit int) (pretty, flat, more bool) {
	if !opens(b[i:line]) {
		return false, false, false
	}
	for range prettyLines {
		next, more := skipBlank(b[:limit], line)
		if more {
			return false, false, true
		}
		if indentOf(b, next) > s.indent {
			return true, false, false
		}
		if c := b[next]; bytes.IndexByte([]byte(`"}]-0123456789`), c) >= 0 {
			return true, c != '}' && c != ']', false
		} else if c == '{' || c == '[' {
			break
		}
		nl := bytes.IndexByte(b[next:limit], '\n')
		if nl < 0 {
			return false, false, true
		}
		line = next + nl
	}
	return false, false, false
}

// opens tells from a line whether what it starts goes on in the next one.
func opens(line []byte) bool {
	line = bytes.TrimRight(line, " \t\r")
	return len(line) > 0 && bytes.IndexByte([]byte("{[,:"), line[len(line)-1]) >= 0
}

// indentOf is the width of the white space before at on its line, which must start in b.
func indentOf(b []byte, at int) int {
	n := 0
	for k := at - 1; k >= 0 && b[k] != '\n'; k-- {
		if b[k] == ' ' || b[k] == '\t' {
			n++
		}
	}
	return n
}

// prettyEnd looks for the end of a pretty-printed broken document from the start of a line on; found is false where
// b[:limit] does not tell, and then end is limit without the white space there.
// depth is how many brackets are open there.
func (s *Splitter) prettyEnd(b []byte, i, line, limit int, r rest, depth int, all bool) (end int, found bool) {
	if r.flat {
		return flatEnd(b, i, line, limit, r.before, depth)
	}
	for line < limit {
		at := line
		for at < limit && (b[at] == ' ' || b[at] == '\t') {
			at++
		}
		if at >= limit {
			break
		}
		if at-line <= r.indent {
			switch c := b[at]; c {
			case '}', ']':
				if c != r.closer && len(s.open) > 0 && (at-line < r.indent || at == line) { // the array's own
					return trimBlank(b, i, line), true
				}
				if ends, more := s.endsDocument(b[:limit], at+1, true, all); c == r.closer && ends {
					return at + 1, !more
				}
			case '{', '[':
				return trimBlank(b, i, line), true
			}
		}
		nl := bytes.IndexByte(b[at:limit], '\n')
		if nl < 0 {
			break
		}
		line = at + nl + 1
	}
	return trimBlank(b, i, limit), false
}

// flatEnd is prettyEnd for a document without indentation: it ends where its brackets are balanced, strings reckoned
// line by line, or before a brace on a line of its own that follows a closed one without a comma.
func flatEnd(b []byte, i, line, limit int, before byte, depth int) (end int, found bool) {
	for line < limit {
		nl := bytes.IndexByte(b[line:limit], '\n')
		if nl < 0 {
			break
		}
		text := bytes.TrimSpace(b[line : line+nl])
		if len(text) > 0 {
			if before == '}' && text[0] == '{' {
				return trimBlank(b, i, line), true
			}
			inString := false
			for k := 0; k < len(text); k++ {
				switch c := text[k]; {
				case inString && c == '\\':
					k++
				case c == '"':
					inString = !inString
				case inString:
				case c == '{' || c == '[':
					depth++
				case c == '}' || c == ']':
					if depth--; depth == 0 {
						return line + bytes.Index(b[line:limit], text) + k + 1, true
					}
				}
			}
			before = text[len(text)-1]
		}
		line += nl + 1
	}
	return trimBlank(b, i, limit), false
}

// resync looks in b[from:to] for an object that cannot stand inside another one: behind a document that is cut off, or
// out of balance. Behind it the line ends, or another object starts. afterBrace wants it right behind another's end. It returns 0 where there is none.
func (s *Splitter) resync(b []byte, from, to int, afterBrace bool) (at, looked int) {
	for k := from; k < to && s.wasted+looked <= maxWasted; k++ {
		brace := bytes.IndexByte(b[k:to], '{')
		if brace < 0 {
			break
		}
		k += brace
		if !startsObject(b[k:to]) {
			continue
		}
		before := k - 1
		for before >= from-1 && before >= 0 && (b[before] == ' ' || b[before] == '\t' || b[before] == '\r') {
			before--
		}
		if before < 0 || before < from-1 || bytes.IndexByte([]byte(",:["), b[before]) >= 0 || afterBrace && b[before] != '}' {
			continue
		}
		n, err := s.check(b[k:min(to, k+s.o.MaxDocument)])
		looked += n
		if err == nil && endsRun(b[k+n:to]) {
			return k, looked
		}
	}
	return 0, looked
}

// endsRun tells whether b, the rest of a line, goes on as documents that are run together do.
func endsRun(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r")
	return len(b) == 0 || b[0] == '{'
}

// startsObject tells whether b starts with a brace and a name. A name that begins with punctuation is what a brace in
// a string looks like: "…{","….
func startsObject(b []byte) bool {
	k := 1
	for k < len(b) && (b[k] == ' ' || b[k] == '\t') {
		k++
	}
	return k+1 < len(b) && b[k] == '"' && bytes.IndexByte([]byte(`,:{}[]" \`), b[k+1]) < 0
}

// garbageEnd is the end of text that is no JSON: whole lines, up to one that starts a document. A brace or bracket
// that is indented deeper and follows a line that opens something is inside what was broken at its start.
func (s *Splitter) garbageEnd(b []byte, i int, last bool) (end int, more bool) {
	limit, all := s.window(b, i, last)
	looked := 0
	defer func() {
		if !more {
			s.waste(looked, end-i)
		}
	}()
	for line := i; ; {
		nl := bytes.IndexByte(b[line:limit], '\n')
		if nl < 0 && !all {
			return 0, true
		}
		eol := limit
		if nl >= 0 {
			eol = line + nl
		}
		at, cost := s.resync(b, line, eol, true)
		looked += cost
		if at > 0 {
			return trimBlank(b, i, at), false
		}
		if nl < 0 {
			if limit < len(b) {
				s.rest = rest{mode: lineRest}
			}
			return trimBlank(b, i, limit), false
		}
		next, beyond := skipBlank(b[:limit], eol)
		if beyond {
			return trimBlank(b, i, eol), !all
		}
		indent := indentOf(b, next)
		inside := indent > s.indent && opens(b[line:eol])
		switch c := b[next]; {
		case (c == '{' || c == '[') && !inside,
			c == ']' && len(s.open) > 0 && (indent < s.indent || indent == 0),
			eol+1-i >= maxGarbage && indent <= s.indent:
			return trimBlank(b, i, eol), false
		}
		line = eol + 1
	}
}

func trimBlank(b []byte, from, to int) int {
	for to > from && (b[to-1] == ' ' || b[to-1] == '\n' || b[to-1] == '\t' || b[to-1] == '\r') {
		to--
	}
	return to
}

// balancedEnd returns where the brackets that b starts with are closed again, strings left alone; 0 where they are
// not, or not in pairs.
func balancedEnd(b []byte) int {
	const most = 1 << 16
	var stack []byte
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if len(stack) >= most {
				return 0
			}
			stack = append(stack, c+2) // '{'+2 is '}', '['+2 is ']'
		case '}', ']':
			if len(stack) == 0 || stack[len(stack)-1] != c {
				return 0
			}
			if stack = stack[:len(stack)-1]; len(stack) == 0 {
				return i + 1
			}
		}
	}
	return 0
}
