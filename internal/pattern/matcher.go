package pattern

import (
	"slices"
	"sort"

	"example.org/catchment/internal/scan"
)

// A Window restricts matching to one element of an array, as if the array had no other: what lies in
// [ArrayStart, ArrayEnd) of the document but outside of [Start, End) is not there. The zero Window restricts nothing.
type Window struct{ ArrayStart, ArrayEnd, Start, End int32 }

// A Matcher matches the patterns of a Set, one document after the other. It is not safe for concurrent use. Once warm
// it does not allocate.
type Matcher struct {
	set    *Set
	doc    *scan.Document
	window Window

	// positions holds for each hit the array element that ties it to other fields, and notLeaf for a hit that is none.
	positions []int32
	next      []int32 // for each hit: the next of its list, -1 for none
	outside   []list  // by slot: the hits outside of the window's array
	inside    []list  // by slot: the hits in the window
	arrays    []list  // by slot: the end of the outermost array at that path

	documents, windows uint64 // count up; what carries another number is stale
	arrayRun           uint64
	states             []fieldState // by field of the set
	leaves             []leafState  // by slot
	chosen             []int32
	tried              int // positions that the search looked at, for tests of its cost
	branch             *setBranch
	leaf               leaf
	text               []byte
	fold               []byte
	seen               []uint64 // by branch: the query that was led to it
	matched            []uint64 // by pattern: the query that it matched
	query              uint64
	ledOutside, led    []int32 // branches that the hits outside of the array, and in the window, lead to
	outsideLed         uint64
}

const notLeaf = -1

// A list is the first hit of a list, when run is the current one.
type list struct {
	run   uint64
	first int32
}

// fieldState holds the positions at which a field's alternatives were found, in order, each once.
type fieldState struct {
	outsideRun, run uint64
	outside, found  []int32
}

// leafState is the same for all leaves of a path.
type leafState struct {
	outsideRun, run uint64
	outside, found  []int32
}

// NewMatcher returns a matcher for the patterns of s.
func (s *Set) NewMatcher() *Matcher {
	n := len(s.anchors)
	return &Matcher{
		set:     s,
		outside: make([]list, n),
		inside:  make([]list, n),
		arrays:  make([]list, n),
		states:  make([]fieldState, len(s.fields)),
		leaves:  make([]leafState, n),
		seen:    make([]uint64, len(s.branches)),
		matched: make([]uint64, len(s.patterns)),
	}
}

// Load takes the next document, which must have been scanned with the paths that the set is bound to. The matcher reads
// it until the next Load; all of it counts until Focus is called.
func (m *Matcher) Load(doc *scan.Document) {
	m.doc, m.window = doc, Window{}
	m.arrayRun++
	m.positions = m.positions[:0]
	for i := range doc.Hits {
		h := &doc.Hits[i]
		at := int32(notLeaf)
		if slot := m.slot(h); slot >= 0 {
			at = m.position(h, slot)
		}
		m.positions = append(m.positions, at)
	}
	m.next = slices.Grow(m.next[:0], len(doc.Hits))[:len(doc.Hits)]
	m.index()
}

func (m *Matcher) slot(h *scan.Hit) int32 {
	if int(h.Path) < len(m.set.paths) {
		return m.set.paths[h.Path]
	}
	return -1
}

// position returns the element that a hit belongs to. A leaf that stands directly in an array belongs to what the array
// belongs to: only objects and arrays make their array a choice of one element.
func (m *Matcher) position(h *scan.Hit, slot int32) int32 {
	outer := &m.arrays[slot]
	inArray := outer.run == m.arrayRun && h.Start < outer.first
	if h.Kind == scan.Array && !inArray {
		*outer = list{m.arrayRun, h.End}
	}
	if h.Kind == scan.Array || h.Kind == scan.Object {
		return notLeaf
	}
	if inArray {
		_, parent, _ := m.doc.Element(h.Pos)
		return parent
	}
	return h.Pos
}

// Focus restricts matching to a window of the loaded document. Going from element to element of one array costs only
// what is in the element.
func (m *Matcher) Focus(w Window) {
	same := w.ArrayStart == m.window.ArrayStart && w.ArrayEnd == m.window.ArrayEnd
	m.window = w
	if !same {
		m.index()
		return
	}
	m.windows++
	m.link(m.inside, m.windows, m.hit(w.Start), m.hit(w.End))
}

// index sorts the hits by path.
func (m *Matcher) index() {
	m.documents++
	m.windows++
	if m.window.ArrayEnd == 0 {
		m.link(m.outside, m.documents, 0, len(m.positions))
		return
	}
	m.link(m.outside, m.documents, 0, m.hit(m.window.ArrayStart))
	m.link(m.outside, m.documents, m.hit(m.window.ArrayEnd), len(m.positions))
	m.link(m.inside, m.windows, m.hit(m.window.Start), m.hit(m.window.End))
}

// hit returns the first hit that starts at offset or behind it.
func (m *Matcher) hit(offset int32) int {
	hits := m.doc.Hits
	return sort.Search(len(hits), func(i int) bool { return hits[i].Start >= offset })
}

func (m *Matcher) link(lists []list, run uint64, from, to int) {
	for i := from; i < to; i++ {
		if m.positions[i] == notLeaf {
			continue
		}
		l := &lists[m.set.paths[m.doc.Hits[i].Path]]
		if l.run != run {
			*l = list{run, -1}
		}
		m.next[i], l.first = l.first, int32(i) //nolint:gosec // offsets in documents are 32 bits, and hits are fewer
	}
}

// Match tells whether pattern i of the set matches the loaded document.
func (m *Matcher) Match(i int) bool {
	p := &m.set.patterns[i]
	for b := p.first; b < p.last; b++ {
		if m.matchBranch(&m.set.branches[b]) {
			return true
		}
	}
	return false
}

func (m *Matcher) matchBranch(b *setBranch) bool {
	tied := b.absent
	for _, f := range b.fields {
		found := m.find(f)
		if len(found) == 0 && !m.set.fields[f].absent {
			return false
		}
		tied = tied || found[0] != 0
	}
	if !tied {
		return true // each field was found where no array has a say
	}
	m.branch = b
	m.chosen = slices.Grow(m.chosen[:0], len(b.fields))[:len(b.fields)]
	ok, _ := m.choose(0)
	return ok
}

// find returns the positions at which the alternatives of a field are found.
func (m *Matcher) find(f int32) []int32 {
	st, field := &m.states[f], &m.set.fields[f]
	if st.run == m.windows {
		return st.found
	}
	st.run = m.windows
	if st.outsideRun != m.documents {
		st.outsideRun = m.documents
		st.outside = m.collect(st.outside[:0], field, m.outside[field.slot], m.documents)
	}
	st.found = append(st.found[:0], st.outside...)
	st.found = sortPositions(m.collect(st.found, field, m.inside[field.slot], m.windows))
	return st.found
}

func (m *Matcher) collect(dst []int32, f *setField, l list, run uint64) []int32 {
	if l.run != run {
		return dst
	}
	for i := l.first; i >= 0; i = m.next[i] {
		at := m.positions[i]
		if n := len(dst); n > 0 && dst[n-1] == at {
			continue // one is enough
		}
		if f.present {
			dst = append(dst, at)
			continue
		}
		m.read(&m.doc.Hits[i])
		if f.matches(&m.leaf) {
			dst = append(dst, at)
		}
	}
	return dst
}

// read makes a hit the current leaf.
func (m *Matcher) read(h *scan.Hit) {
	switch {
	case h.Kind != scan.String:
		m.leaf.read(h.Kind, m.doc.Raw(*h))
	case h.Escaped:
		m.text = m.doc.Text(*h, m.text[:0])
		m.leaf.read(h.Kind, m.text)
	default:
		m.leaf.read(h.Kind, m.doc.Text(*h, nil))
	}
}

// present returns the positions of all leaves at the path of a field.
func (m *Matcher) present(f int32) []int32 {
	slot := m.set.fields[f].slot
	st := &m.leaves[slot]
	if st.run == m.windows {
		return st.found
	}
	st.run = m.windows
	if st.outsideRun != m.documents {
		st.outsideRun = m.documents
		st.outside = m.all(st.outside[:0], m.outside[slot], m.documents)
	}
	st.found = append(st.found[:0], st.outside...)
	st.found = sortPositions(m.all(st.found, m.inside[slot], m.windows))
	return st.found
}

func (m *Matcher) all(dst []int32, l list, run uint64) []int32 {
	if l.run != run {
		return dst
	}
	for i := l.first; i >= 0; i = m.next[i] {
		if n := len(dst); n == 0 || dst[n-1] != m.positions[i] {
			dst = append(dst, m.positions[i])
		}
	}
	return dst
}

func sortPositions(p []int32) []int32 {
	if len(p) < 2 {
		return p
	}
	slices.Sort(p)
	return slices.Compact(p)
}
