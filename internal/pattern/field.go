package pattern

import (
	"bytes"
	"slices"
	"strings"

	"example.org/catchment/internal/scan"
)

// A field is the alternatives for the leaves at one path.
type field struct {
	name    string // the path, with dots
	steps   []string
	is      values   // a leaf is one of these
	not     []values // or is none of these
	present bool     // or is there
	absent  bool     // or there is no leaf

	wants     []string // the alternatives as JSON, in order, each once
	canonical string   // all of them, as a JSON array
}

// values are what a leaf may be. The zero values match nothing.
type values struct {
	literals [scan.True + 1]bool // by kind: null, false, true
	exact    []string
	exactSet map[string]bool // instead of exact when there are many
	numbers  []float64
	texts    []string // numbers without a value: they equal their own text
	byValue  bool     // numbers that have a value are compared by nothing else
	ranges   []numberRange
	ips      []ipRange
	strings  []stringTest
}

// manyExact is how many exact strings are compared one by one; beyond it a map is faster.
const manyExact = 6

type numberRange struct {
	low, high         float64
	openLow, openHigh bool // the bound itself is outside
}

// A leaf is one value of an event, as far as it has been looked at.
type leaf struct {
	kind       scan.Kind
	text       []byte // a string's content, or a number's own text
	number     float64
	comparable bool   // number is its value
	digits     []byte // of a string that is an IP address
	ip         [32]byte
}

func (l *leaf) read(kind scan.Kind, text []byte) {
	l.kind, l.text, l.comparable, l.digits = kind, text, false, l.ip[:0]
	if kind == scan.Number {
		l.number, l.comparable = parseNumber(text)
	}
	if kind == scan.String {
		if a := parseIP(text); a.size > 0 {
			l.digits = a.digits(l.digits)
		}
	}
}

func (f *field) matches(l *leaf) bool {
	if f.present || f.is.match(l) {
		return true
	}
	for i := range f.not {
		if !f.not[i].match(l) {
			return true
		}
	}
	return false
}

func (v *values) match(l *leaf) bool {
	switch l.kind {
	case scan.Null, scan.False, scan.True:
		return v.literals[l.kind]
	case scan.Number:
		return v.matchNumber(l)
	case scan.String:
		return v.matchString(l)
	case scan.Object, scan.Array: // no leaves
	}
	return false
}

func (v *values) matchNumber(l *leaf) bool {
	if !l.comparable || !v.byValue {
		for i := range v.ips {
			if v.ips[i].contains(l.text) {
				return true
			}
		}
	}
	if !l.comparable {
		return slices.Contains(v.texts, string(l.text))
	}
	for _, n := range v.numbers {
		if l.number == n {
			return true
		}
	}
	for i := range v.ranges {
		r := &v.ranges[i]
		if (l.number > r.low || l.number == r.low && !r.openLow) && (l.number < r.high || l.number == r.high && !r.openHigh) {
			return true
		}
	}
	return false
}

func (v *values) matchString(l *leaf) bool {
	if v.exactSet[string(l.text)] {
		return true
	}
	for _, s := range v.exact {
		if string(l.text) == s {
			return true
		}
	}
	for i := range v.strings {
		if v.strings[i].match(l.text) {
			return true
		}
	}
	if len(l.digits) == 0 {
		return false
	}
	for i := range v.ips {
		if v.ips[i].contains(l.digits) {
			return true
		}
	}
	return false
}

// A stringTest is one operator on strings.
type stringTest struct {
	op   stringOp
	text []byte
	fold folded
	wild wildcard
}

type stringOp uint8

const (
	opPrefix stringOp = iota
	opSuffix
	opFold
	opPrefixFold
	opSuffixFold
	opWildcard
)

func (t *stringTest) match(s []byte) bool {
	switch t.op {
	case opPrefix:
		return bytes.HasPrefix(s, t.text)
	case opSuffix:
		return bytes.HasSuffix(s, t.text)
	case opWildcard:
		return t.wild.match(s)
	case opFold, opPrefixFold, opSuffixFold:
	}
	return t.fold.match(t.op, s)
}

// literal adds a plain value.
func (f *field) literal(n *node) {
	switch n.kind {
	case scan.String:
		f.wants = append(f.wants, quote(n.text))
		if ip := parseIP([]byte(n.text)); ip.size > 0 {
			f.is.ips = append(f.is.ips, newIPRange(ip, ip))
			return
		}
		f.is.exact = append(f.is.exact, n.text)
	case scan.Number:
		f.wants = append(f.wants, n.text)
		if v, ok := parseNumber([]byte(n.text)); ok {
			f.is.numbers = append(f.is.numbers, v)
		} else {
			f.is.texts = append(f.is.texts, n.text)
		}
	case scan.Null, scan.False, scan.True:
		f.wants = append(f.wants, n.describe())
		f.is.literals[n.kind] = true
	case scan.Object, scan.Array: // no plain values
	}
}

// finish is called once all alternatives are in.
func (f *field) finish() {
	wants, seen := f.wants, map[string]bool{}
	f.wants = nil
	for _, w := range wants {
		if !seen[w] {
			seen[w] = true
			f.wants = append(f.wants, w)
		}
	}
	f.canonical = "[" + strings.Join(f.wants, ",") + "]"
	f.is.finish()
	f.is.byValue = len(f.is.numbers) > 0 || len(f.is.ranges) > 0
	for i := range f.not {
		f.not[i].finish()
		f.is.byValue = f.is.byValue || len(f.not[i].numbers) > 0
	}
}

func (v *values) finish() {
	if len(v.exact) <= manyExact {
		return
	}
	v.exactSet = make(map[string]bool, len(v.exact))
	for _, s := range v.exact {
		v.exactSet[s] = true
	}
	v.exact = nil
}
