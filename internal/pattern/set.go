package pattern

import (
	"example.org/catchment/internal/scan"
)

// A Set is patterns that are matched together on the paths of one scan. It does not change, so goroutines may share
// it; each needs a Matcher of its own.
type Set struct {
	patterns []setPattern
	branches []setBranch
	fields   []setField
	paths    []int32 // by number of the scanned path: its index in anchors, -1 for a path of no pattern
	anchors  []anchorPath
	always   []int32 // branches that no value leads to
}

type setPattern struct {
	source      *Pattern
	first, last int32 // its branches
}

type setBranch struct {
	pattern int32
	fields  []int32
	guides  []int32 // for each field: the field before it that is nearest to it in the event, -1 for none
	absent  bool    // some field may be absent
}

type setField struct {
	*field
	path int32 // the number in scan.Paths
	slot int32 // the index in Set.anchors
}

// NewSet binds patterns to the paths that a scan captures, and adds theirs to them. Patterns are known by their index
// from here on. Fields that several patterns have alike are evaluated once.
func NewSet(paths *scan.Paths, patterns ...*Pattern) *Set {
	s := &Set{}
	slots := map[int32]int32{}
	known := map[string]int32{} // by name and alternatives
	for i, p := range patterns {
		index := map[*field]int32{}
		for _, f := range p.fields {
			key := quote(f.name) + f.canonical
			at, ok := known[key]
			if !ok {
				path := index32(paths.Add(f.steps...))
				slot, ok := slots[path]
				if !ok {
					slot = index32(len(slots))
					slots[path] = slot
				}
				at = index32(len(s.fields))
				known[key] = at
				s.fields = append(s.fields, setField{field: f, path: path, slot: slot})
			}
			index[f] = at
		}
		first := index32(len(s.branches))
		for _, b := range p.branches {
			sb := setBranch{pattern: int32(i)}
			for _, f := range b.fields {
				sb.fields = append(sb.fields, index[f])
				sb.absent = sb.absent || f.absent
			}
			sb.guides = guides(b.fields)
			s.branches = append(s.branches, sb)
		}
		s.patterns = append(s.patterns, setPattern{source: p, first: first, last: index32(len(s.branches))})
	}
	highest := int32(-1)
	for path := range slots {
		highest = max(highest, path)
	}
	s.paths = make([]int32, highest+1)
	for i := range s.paths {
		s.paths[i] = -1
	}
	for path, slot := range slots {
		s.paths[path] = slot
	}
	s.anchors = make([]anchorPath, len(slots))
	s.anchor()
	return s
}

// index32 is for what comes from the text of patterns, of which there are fewer than two billion bytes.
func index32(n int) int32 { return int32(n) } //nolint:gosec // see above

// Len returns how many patterns there are.
func (s *Set) Len() int { return len(s.patterns) }

// Pattern returns a pattern by its index.
func (s *Set) Pattern(i int) *Pattern { return s.patterns[i].source }

func guides(fields []*field) []int32 {
	out := make([]int32, len(fields))
	for i, f := range fields {
		out[i] = -1
		most := 0
		for k, g := range fields[:i] {
			if n := commonSteps(f.steps, g.steps); n > most {
				out[i], most = int32(k), n
			}
		}
	}
	return out
}

func commonSteps(a, b []string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
