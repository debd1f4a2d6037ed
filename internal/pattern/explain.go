package pattern

import (
	"slices"
	"unicode/utf8"

	"example.org/catchment/internal/scan"
)

// An Outcome is what became of one field of a pattern.
type Outcome string

// The outcomes. All but Found keep the pattern from matching.
const (
	Found     Outcome = "found"
	Missing   Outcome = "missing"   // the event has no leaf at that path
	Different Outcome = "different" // it has leaves there, but none that is wanted
	Elsewhere Outcome = "elsewhere" // a wanted one, but in another array element than the fields before it
	Present   Outcome = "present"   // a leaf that must not exist
)

// A FieldResult says what a pattern wanted of one field, and what the event has.
type FieldResult struct {
	Path    string   `json:"path"` // with dots
	Want    string   `json:"want"` // a JSON array, as in the pattern
	Outcome Outcome  `json:"outcome"`
	Have    []string `json:"have,omitempty"`  // some of the event's values as JSON, shortened, all control characters escaped
	More    int      `json:"more,omitempty"`  // how many more it has
	Holds   string   `json:"holds,omitempty"` // what it has instead of values
}

// maxHave is how many values of an event a FieldResult shows.
const maxHave = 5

// Explain tells for each way in which pattern i can match (there are several with $or) what became of its fields. It
// allocates: it is for people, not for the stream.
func (m *Matcher) Explain(i int) [][]FieldResult {
	p := &m.set.patterns[i]
	var out [][]FieldResult
	for b := p.first; b < p.last; b++ {
		out = append(out, m.explain(&m.set.branches[b]))
	}
	return out
}

func (m *Matcher) explain(b *setBranch) []FieldResult {
	results := make([]FieldResult, len(b.fields))
	// agreed are the fields that go together. One that does not is left out, and the rest are looked at without it.
	agreed := setBranch{absent: true}
	for i, f := range b.fields {
		field, r := &m.set.fields[f], &results[i]
		*r = FieldResult{Path: field.name, Want: field.canonical, Outcome: Found}
		m.have(f, r)
		if len(m.find(f)) == 0 && !field.absent {
			if r.Outcome = Different; len(m.present(f)) == 0 {
				r.Outcome = Missing
			}
			continue
		}
		with := setBranch{fields: append(slices.Clip(agreed.fields), f), guides: append(slices.Clip(agreed.guides), -1), absent: true}
		if m.matchBranch(&with) {
			agreed = with
			continue
		}
		if r.Outcome = Elsewhere; len(m.find(f)) == 0 {
			r.Outcome = Present
		}
	}
	return results
}

// have fills in what the event has at the path of field f.
func (m *Matcher) have(f int32, r *FieldResult) {
	path := m.set.fields[f].path
	containers := map[scan.Kind]bool{}
	for i := range m.doc.Hits {
		h := &m.doc.Hits[i]
		if h.Path != path || !m.inWindow(h) {
			continue
		}
		if m.positions[i] == notLeaf {
			containers[h.Kind] = true
			continue
		}
		if len(r.Have) == maxHave {
			r.More++
			continue
		}
		r.Have = append(r.Have, m.show(h))
	}
	switch {
	case len(r.Have) > 0:
	case containers[scan.Object]:
		r.Holds = "an object, which is no value"
	case containers[scan.Array]:
		r.Holds = "an empty array"
	}
}

func (m *Matcher) inWindow(h *scan.Hit) bool {
	w := &m.window
	return h.Start < w.ArrayStart || h.Start >= w.ArrayEnd || h.Start >= w.Start && h.Start < w.End
}

// show renders a leaf for people. What it holds may have been written by an attacker, for their terminal.
func (m *Matcher) show(h *scan.Hit) string {
	if h.Kind != scan.String {
		return clip(string(m.doc.Raw(*h)))
	}
	text := m.doc.Text(*h, nil)
	return quote(clip(string(text[:min(len(text), utf8.UTFMax*(maxShown+1))])))
}
