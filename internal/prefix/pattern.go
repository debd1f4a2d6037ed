package prefix

import (
	"fmt"
	"strings"
	"time"
)

// A field is one run of a pattern letter. Its form says what it prints; width is the number
// of letters where that matters.
type field struct {
	letter byte
	width  int
}

// grain is the smallest unit of local time that a field shows.
type grain uint8

const (
	grainNone grain = iota // depends on the zone's offset alone
	grainDay
	grainHour
	grainMinute
	grainSecond
	grainInstant // changes all the time: not worth remembering
)

// letters holds DateTimeFormatter's letters: the largest count and the grain.
var letters = [128]struct {
	most  int
	grain grain
}{
	'G': {5, grainDay}, 'u': {19, grainDay}, 'y': {19, grainDay}, 'Y': {19, grainDay},
	'D': {3, grainDay}, 'd': {2, grainDay}, 'M': {5, grainDay}, 'L': {5, grainDay},
	'Q': {5, grainDay}, 'q': {5, grainDay}, 'w': {2, grainDay}, 'W': {1, grainDay},
	'E': {5, grainDay}, 'e': {5, grainDay}, 'c': {5, grainDay}, 'F': {1, grainDay}, 'g': {19, grainDay},
	'a': {1, grainHour}, 'h': {2, grainHour}, 'K': {2, grainHour}, 'k': {2, grainHour}, 'H': {2, grainHour},
	'm': {2, grainMinute}, 's': {2, grainSecond},
	'S': {9, grainInstant}, 'A': {19, grainInstant}, 'n': {19, grainInstant}, 'N': {19, grainInstant},
	'V': {2, grainNone}, 'z': {4, grainNone}, 'O': {4, grainNone},
	'X': {5, grainNone}, 'x': {5, grainNone}, 'Z': {5, grainNone},
}

// left out, though Java knows them, with the reason as a hint.
var unsupported = map[byte]string{
	'p': "padding writes spaces into the key; repeat the letter for leading zeros: HH",
	'B': "Java 16 and later only; use a for AM and PM",
	'v': "zone names differ between versions of Java; use VV or XXX",
}

// parsePattern reads a DateTimeFormatter pattern as Java's ofPattern(…, Locale.US) does.
// base is the pattern's offset in expr.
func (p *parser) parsePattern(pattern string, base int) *SyntaxError {
	depth := 0
	for i := 0; i < len(pattern); {
		c := pattern[i]
		start := i
		switch {
		case isLetter(c):
			for i < len(pattern) && pattern[i] == c {
				i++
			}
			if err := p.addField(c, i-start, base+start); err != nil {
				return err
			}
			continue
		case c == '\'':
			text, n := quoted(pattern[i:])
			if n == 0 {
				return p.fault(CodePattern, base+i, "quoted text without its end", "a closing '", "a quote itself is written ''")
			}
			i += n
			if err := p.addLiteral(text, base+start); err != nil {
				return err
			}
			continue
		case c == '[':
			depth++ // an optional part is printed when its values exist; an instant has them all
		case c == ']':
			if depth == 0 {
				return p.fault(CodePattern, base+i, `"]" without "[" before it`, "", "write ']' in quotes for the character")
			}
			depth--
		case c == '{' || c == '}' || c == '#':
			return p.fault(CodePattern, base+i, "reserved character "+quote(string(c))+" in a timestamp pattern",
				"", "write it in quotes: '"+string(c)+"'")
		default:
			for i < len(pattern) && !isLetter(pattern[i]) && strings.IndexByte("'[]{}#", pattern[i]) < 0 {
				i++
			}
			if err := p.addLiteral(pattern[start:i], base+start); err != nil {
				return err
			}
			continue
		}
		i++
	}
	return nil
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// quoted reads a text in single quotes at the start of s and gives it with the number of bytes
// read, or 0 if its end is missing. Two quotes stand for one; ” alone too.
func quoted(s string) (string, int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		if i == 1 {
			return "'", 2
		}
		return b.String(), i + 1
	}
	return "", 0
}

func (p *parser) addField(c byte, count, offset int) *SyntaxError {
	run := strings.Repeat(string(c), min(count, 24))
	known := letters[c]
	if known.most == 0 {
		hint := unsupported[c]
		if hint == "" {
			hint = "text stands in quotes: '" + run + "'"
		}
		return p.fault(CodePattern, offset, "unknown timestamp letter "+quote(string(c)),
			"a letter of Java's DateTimeFormatter", hint)
	}
	if expected := countFault(c, count, known.most); expected != "" {
		return p.fault(CodePattern, offset, fmt.Sprintf("%d letters %s", count, quote(run)), expected, "")
	}
	switch c {
	case 'V': // the zone's name is the same at every instant; it holds slashes, so it is checked as text
		return p.addLiteral(p.zoneName(), offset)
	case 'z':
		if p.zone != time.UTC && p.zone.String() != "UTC" {
			return p.fault(CodePattern, offset, "name of a zone other than UTC", "VV, XXX or Z",
				"the names of zones differ between versions of Java")
		}
		if count == 4 {
			return p.addLiteral("Coordinated Universal Time", offset)
		}
		return p.addLiteral("UTC", offset)
	}
	p.expr.grain = max(p.expr.grain, known.grain)
	p.add(token{kind: tokenField, field: field{letter: c, width: count}, offset: offset})
	return nil
}

// countFault tells which counts of the letter Java takes, or "" if count is one of them.
func countFault(c byte, count, most int) string {
	switch {
	case c == 'V' && count != 2:
		return "VV"
	case c == 'O' && count != 1 && count != 4:
		return "O or OOOO"
	case c == 'c' && count == 2:
		return "c, ccc, cccc or ccccc"
	case count > most:
		return fmt.Sprintf("at most %d", most)
	}
	return ""
}

func (p *parser) zoneName() string {
	if p.zone == time.UTC {
		return "UTC"
	}
	return p.zone.String()
}
