package pattern

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strconv"

	"example.org/catchment/internal/scan"
)

// A Set does not try every pattern on every event. Each branch waits at one of its fields, its anchor: the values that
// the field may have lead to the branch, and it is tried only when an event has one of them. The anchor is the field
// whose values lead to the fewest branches, so a value that all patterns share (a source, say) leads nowhere. Branches
// whose every field may be absent have no anchor, and are always tried.

// An anchorPath leads from the values at one path to branches.
type anchorPath struct {
	used     bool
	present  []int32 // branches that any leaf leads to
	literals [scan.True + 1][]int32
	numbers  map[float64][]int32
	texts    map[string][]int32 // by a number's own text, and by a string's content
	ips      lengthIndex        // by digits
	prefixes lengthIndex
	suffixes lengthIndex
	folded   foldedIndex
}

// foldedIndex is the same for text that ignores case, by foldKey.
type foldedIndex struct {
	used     bool
	texts    map[string][]int32
	prefixes lengthIndex
	suffixes lengthIndex
}

// A lengthIndex finds the texts that a value starts (or ends) with, one look for each length there is.
type lengthIndex struct {
	lengths []int
	texts   map[string][]int32
}

type anchorKind uint8

const (
	anchorPresent anchorKind = iota
	anchorLiteral
	anchorNumber
	anchorText
	anchorIP
	anchorPrefix
	anchorSuffix
	anchorFold
	anchorFoldPrefix
	anchorFoldSuffix
)

// An anchorKey is one value that leads to a branch.
type anchorKey struct {
	slot   int32
	kind   anchorKind
	text   string
	number float64
}

// anchor chooses the anchors of all branches.
func (s *Set) anchor() {
	keys := make([][]anchorKey, len(s.fields))
	shared := map[anchorKey]int{}
	for i := range s.fields {
		keys[i] = s.fields[i].anchorKeys()
	}
	for i := range s.branches {
		for _, f := range s.branches[i].fields {
			for _, k := range keys[f] {
				shared[k]++
			}
		}
	}
	for i := range s.branches {
		best, least := int32(-1), math.MaxInt
		for _, f := range s.branches[i].fields {
			if s.fields[f].absent {
				continue
			}
			cost := 0
			for _, k := range keys[f] {
				cost += shared[k]
				if k.kind == anchorPresent {
					cost += len(s.branches)
				}
			}
			if cost < least {
				best, least = f, cost
			}
		}
		if best < 0 {
			s.always = append(s.always, int32(i))
			continue
		}
		for _, k := range keys[best] {
			s.anchors[k.slot].add(k, int32(i))
		}
	}
	for i := range s.anchors {
		s.anchors[i].finish()
	}
}

// anchorKeys returns values of which a leaf must have one, for the field to be found in it.
func (f *setField) anchorKeys() []anchorKey {
	var keys []anchorKey
	add := func(k anchorKey) {
		k.slot = f.slot
		keys = append(keys, k)
	}
	if f.present || len(f.not) > 0 || len(f.is.ranges) > 0 {
		return []anchorKey{{slot: f.slot}}
	}
	for kind, ok := range f.is.literals {
		if ok {
			add(anchorKey{kind: anchorLiteral, text: strconv.Itoa(kind), number: float64(kind)})
		}
	}
	for _, text := range slices.Concat(f.is.exact, f.is.texts, slices.Sorted(maps.Keys(f.is.exactSet))) {
		add(anchorKey{kind: anchorText, text: text})
	}
	for _, n := range f.is.numbers {
		add(anchorKey{kind: anchorNumber, number: n})
	}
	for _, r := range f.is.ips {
		if !bytes.Equal(r.low, r.high) {
			return []anchorKey{{slot: f.slot}}
		}
		add(anchorKey{kind: anchorIP, text: string(r.low)})
	}
	for i := range f.is.strings {
		k := f.is.strings[i].anchorKey()
		if k.kind == anchorPresent || k.text == "" && k.kind != anchorFold {
			return []anchorKey{{slot: f.slot}}
		}
		add(k)
	}
	return keys
}

func (t *stringTest) anchorKey() anchorKey {
	switch t.op {
	case opPrefix:
		return anchorKey{kind: anchorPrefix, text: string(t.text)}
	case opSuffix:
		return anchorKey{kind: anchorSuffix, text: string(t.text)}
	case opFold, opPrefixFold, opSuffixFold:
		key, ok := t.fold.key()
		if !ok {
			return anchorKey{}
		}
		return anchorKey{kind: anchorFold + anchorKind(t.op-opFold), text: key}
	case opWildcard:
	}
	parts := t.wild.parts
	switch first, last := parts[0], parts[len(parts)-1]; {
	case len(parts) == 1:
		return anchorKey{kind: anchorText, text: string(first)}
	case len(first) > 0:
		return anchorKey{kind: anchorPrefix, text: string(first)}
	default:
		return anchorKey{kind: anchorSuffix, text: string(last)}
	}
}

func (a *anchorPath) add(k anchorKey, branch int32) {
	a.used = true
	a.folded.used = a.folded.used || k.kind >= anchorFold
	switch k.kind {
	case anchorPresent:
		a.present = append(a.present, branch)
	case anchorLiteral:
		l := &a.literals[int(k.number)]
		*l = append(*l, branch)
	case anchorNumber:
		lead(&a.numbers, k.number, branch)
	case anchorText:
		lead(&a.texts, k.text, branch)
	case anchorIP:
		lead(&a.ips.texts, k.text, branch)
	case anchorPrefix:
		lead(&a.prefixes.texts, k.text, branch)
	case anchorSuffix:
		lead(&a.suffixes.texts, k.text, branch)
	case anchorFold:
		lead(&a.folded.texts, k.text, branch)
	case anchorFoldPrefix:
		lead(&a.folded.prefixes.texts, k.text, branch)
	case anchorFoldSuffix:
		lead(&a.folded.suffixes.texts, k.text, branch)
	}
}

func lead[K comparable](to *map[K][]int32, key K, branch int32) {
	if *to == nil {
		*to = map[K][]int32{}
	}
	(*to)[key] = append((*to)[key], branch)
}

func (a *anchorPath) finish() {
	for _, l := range []*lengthIndex{&a.ips, &a.prefixes, &a.suffixes, &a.folded.prefixes, &a.folded.suffixes} {
		lengths := map[int]bool{}
		for text := range l.texts {
			lengths[len(text)] = true
		}
		l.lengths = slices.Sorted(maps.Keys(lengths))
	}
}

// MatchAll appends the indexes of all patterns that match the loaded document, in order.
func (m *Matcher) MatchAll(dst []int) []int {
	start := len(dst)
	if m.outsideLed != m.documents {
		m.outsideLed = m.documents
		m.query++
		m.ledOutside = m.ledOutside[:0]
		if m.window.ArrayEnd == 0 {
			m.ledOutside = m.lead(m.ledOutside, 0, len(m.positions))
		} else {
			m.ledOutside = m.lead(m.ledOutside, 0, m.hit(m.window.ArrayStart))
			m.ledOutside = m.lead(m.ledOutside, m.hit(m.window.ArrayEnd), len(m.positions))
		}
	}
	m.query++
	m.led = m.led[:0]
	if m.window.ArrayEnd > 0 {
		m.led = m.lead(m.led, m.hit(m.window.Start), m.hit(m.window.End))
	}
	for _, branches := range [...][]int32{m.set.always, m.ledOutside, m.led} {
		for _, b := range branches {
			if p := m.set.branches[b].pattern; m.matched[p] != m.query && m.matchBranch(&m.set.branches[b]) {
				m.matched[p] = m.query
				dst = append(dst, int(p))
			}
		}
	}
	slices.Sort(dst[start:])
	return dst
}

// lead appends the branches that the values of some hits lead to, each once.
func (m *Matcher) lead(dst []int32, from, to int) []int32 {
	for i := from; i < to; i++ {
		if m.positions[i] == notLeaf {
			continue
		}
		h := &m.doc.Hits[i]
		a := &m.set.anchors[m.set.paths[h.Path]]
		if !a.used {
			continue
		}
		dst = m.unseen(dst, a.present)
		m.read(h)
		switch l := &m.leaf; l.kind {
		case scan.Null, scan.False, scan.True:
			dst = m.unseen(dst, a.literals[l.kind])
		case scan.Number:
			dst = m.leadPrefix(dst, &a.ips, l.text)
			if l.comparable {
				dst = m.unseen(dst, a.numbers[l.number])
			} else {
				dst = m.unseen(dst, a.texts[string(l.text)])
			}
		case scan.String:
			dst = m.leadString(dst, a, l)
		case scan.Object, scan.Array: // no leaves
		}
	}
	return dst
}

func (m *Matcher) leadString(dst []int32, a *anchorPath, l *leaf) []int32 {
	dst = m.unseen(dst, a.texts[string(l.text)])
	dst = m.leadPrefix(dst, &a.prefixes, l.text)
	dst = m.leadSuffix(dst, &a.suffixes, l.text)
	dst = m.leadPrefix(dst, &a.ips, l.digits)
	if a.folded.used {
		m.fold = appendFoldKey(m.fold[:0], l.text)
		dst = m.unseen(dst, a.folded.texts[string(m.fold)])
		dst = m.leadPrefix(dst, &a.folded.prefixes, m.fold)
		dst = m.leadSuffix(dst, &a.folded.suffixes, m.fold)
	}
	return dst
}

func (m *Matcher) leadPrefix(dst []int32, x *lengthIndex, s []byte) []int32 {
	for _, n := range x.lengths {
		if n > len(s) {
			break
		}
		dst = m.unseen(dst, x.texts[string(s[:n])])
	}
	return dst
}

func (m *Matcher) leadSuffix(dst []int32, x *lengthIndex, s []byte) []int32 {
	for _, n := range x.lengths {
		if n > len(s) {
			break
		}
		dst = m.unseen(dst, x.texts[string(s[len(s)-n:])])
	}
	return dst
}

func (m *Matcher) unseen(dst, branches []int32) []int32 {
	for _, b := range branches {
		if m.seen[b] != m.query {
			m.seen[b] = m.query
			dst = append(dst, b)
		}
	}
	return dst
}
