package pattern

import (
	"sort"
)

// The fields of a branch must be found in consistent elements: no two of them in different elements of one array. The
// search goes through the fields in order and takes each position of a field that is consistent with those before it.
//
// Events come from outside, so the search must not explode with the number of elements. Positions are in the order of
// the document, which makes all elements of an array one run of them; what is below a wrong element is jumped over
// (skip). A field that finds nothing says which fields before it are to blame, and the search goes back to the last of
// those (blame): trying other positions of the rest would only repeat the failure.

// A blame is a set of fields of a branch by index. The last bit stands for all from there on.
type blame uint64

func blameField(i int) blame { return 1 << min(i, 63) }

// choose completes the choice from field i of the branch on. If it fails, the blame is on fields before i.
func (m *Matcher) choose(i int) (bool, blame) {
	if i == len(m.branch.fields) {
		return true, 0
	}
	var blamed blame
	f := m.branch.fields[i]
	found := m.find(f)
	for at := 0; at < len(found); {
		m.tried++
		p := found[at]
		if other := m.conflict(i, p); other >= 0 {
			blamed |= blameField(other)
			at = m.skip(found, at, m.chosen[other])
			continue
		}
		at++
		m.chosen[i] = p
		ok, back := m.choose(i + 1)
		if ok {
			return true, 0
		}
		if back&blameField(i) == 0 {
			return false, back
		}
		if i < 63 {
			back &^= blameField(i)
		}
		blamed |= back
	}
	if !m.set.fields[f].absent {
		return false, blamed
	}
	if witness := m.witness(i); witness >= 0 {
		return false, blamed | m.blameFor(i, witness)
	}
	m.chosen[i] = 0
	ok, back := m.choose(i + 1)
	return ok, blamed | back
}

// conflict returns the field before i whose position rules p out, -1 for none. It asks the nearest one first.
func (m *Matcher) conflict(i int, p int32) int {
	if p == 0 {
		return -1
	}
	if g := m.branch.guides[i]; g >= 0 && !m.doc.Consistent(m.chosen[g], p) {
		return int(g)
	}
	for k := range i {
		if !m.doc.Consistent(m.chosen[k], p) {
			return k
		}
	}
	return -1
}

// skip returns the index behind all positions from at on that q rules out for the same reason as that at at.
func (m *Matcher) skip(positions []int32, at int, q int32) int {
	wrong, right := m.diverge(positions[at], q)
	rest := positions[at:]
	if wrong < right {
		// Up to the right element everything is in its array.
		return at + sort.Search(len(rest), func(i int) bool { return rest[i] >= right })
	}
	return at + sort.Search(len(rest), func(i int) bool {
		e, r := m.diverge(rest[i], q)
		return r != right || m.doc.Consistent(e, r)
	})
}

// diverge returns the outermost elements above p and q, or p and q themselves, that differ but stand in the same
// element. If one of p and q is above the other, it returns them.
func (m *Matcher) diverge(p, q int32) (int32, int32) {
	dp, dq := m.depth(p), m.depth(q)
	a, b := p, q
	for ; dp > dq; dp-- {
		_, a, _ = m.doc.Element(a)
	}
	for ; dq > dp; dq-- {
		_, b, _ = m.doc.Element(b)
	}
	if a == b {
		return p, q
	}
	for {
		_, pa, _ := m.doc.Element(a)
		_, pb, _ := m.doc.Element(b)
		if pa == pb {
			return a, b
		}
		a, b = pa, pb
	}
}

func (m *Matcher) depth(p int32) int {
	n := 0
	for p != 0 {
		_, p, _ = m.doc.Element(p)
		n++
	}
	return n
}

// witness returns a leaf of field i that is consistent with the fields before it, -1 if the field is absent there.
func (m *Matcher) witness(i int) int32 {
	leaves := m.present(m.branch.fields[i])
	for at := 0; at < len(leaves); {
		m.tried++
		other := m.conflict(i, leaves[at])
		if other < 0 {
			return leaves[at]
		}
		at = m.skip(leaves, at, m.chosen[other])
	}
	return -1
}

// blameFor blames the fields before i that could be found where the witness is not consistent with them.
func (m *Matcher) blameFor(i int, witness int32) blame {
	var blamed blame
	for k := range i {
		found := m.find(m.branch.fields[k])
		if m.set.fields[m.branch.fields[k]].absent {
			blamed |= blameField(k)
			continue
		}
		first, last := m.outermost(found[0]), m.outermost(found[len(found)-1])
		if !m.sameArray(first, last) || m.sameArray(first, m.outermost(witness)) {
			blamed |= blameField(k)
		}
	}
	return blamed
}

func (m *Matcher) outermost(p int32) int32 {
	for {
		_, parent, ok := m.doc.Element(p)
		if !ok || parent == 0 {
			return p
		}
		p = parent
	}
}

// sameArray is for two outermost elements, or 0 for none.
func (m *Matcher) sameArray(p, q int32) bool { return p == q || !m.doc.Consistent(p, q) }
