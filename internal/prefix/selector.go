package prefix

import "example.org/catchment/internal/scan"

// A Binding is a set of keys made ready for scanned documents. It does not change and may be used
// by many goroutines, each with its own Selector.
type Binding struct {
	keys *Keys
	root int
	ids  [][][][]int // path number by query, output, alternative and step
}

// Bind adds what the queries need to paths. base is where the record stands in the document, from
// the outside in; arrays on the way are not written, as for scan.Paths. It is empty if the
// document is the record. Bind all keys before the first scan.
func (k *Keys) Bind(paths *scan.Paths, base ...string) *Binding {
	b := &Binding{keys: k, root: paths.Add(base...)}
	for _, q := range k.queries {
		var outputs [][][]int
		for _, out := range q.outputs {
			var alternatives [][]int
			for _, alt := range out.alternatives {
				at, id, ids := base[:len(base):len(base)], b.root, []int(nil)
				for _, s := range alt.steps {
					if s.index < 0 {
						at = append(at, s.key)
						id = paths.Add(at...)
					}
					ids = append(ids, id)
				}
				alternatives = append(alternatives, ids)
			}
			outputs = append(outputs, alternatives)
		}
		b.ids = append(b.ids, outputs)
	}
	return b
}

// Root gives the path number of the record itself: its hits are what Select takes.
func (b *Binding) Root() int { return b.root }

// A Selector finds the values of partition keys, for one goroutine.
type Selector struct {
	binding *Binding
	values  [][]byte
	text    []byte
}

// NewSelector gives a selector for one goroutine.
func (b *Binding) NewSelector() *Selector {
	return &Selector{binding: b, values: make([][]byte, len(b.keys.names))}
}

// Select gives the values of all keys, in their order, for the record that is hit number root of
// d. Numbers, true and false are taken by their JSON text. The values are not checked any further
// (Append does that) and are valid until the next call. An error is a *RecordError.
//
// A document that gives a wanted field twice is the caller's to refuse (scan.Document.Duplicate).
// Queries for the interpreter refuse any field given twice.
func (s *Selector) Select(d *scan.Document, root int) ([][]byte, error) {
	s.text = s.text[:0]
	var decoded any
	var isDecoded bool
	for n, q := range s.binding.keys.queries {
		if !q.Interpreted() {
			for o, out := range q.outputs {
				key := q.places[o]
				if key < 0 {
					continue
				}
				value, code := s.plain(d, root, out.alternatives, s.binding.ids[n][o])
				if code != "" {
					return nil, &RecordError{Code: code, Key: s.binding.keys.names[key]}
				}
				s.values[key] = value
			}
			continue
		}
		if !isDecoded {
			var err error
			if decoded, err = decode(d.Raw(d.Hits[root])); err != nil {
				return nil, &RecordError{Code: CodeKeyQuery, Key: s.name(q), Err: err}
			}
			isDecoded = true
		}
		if err := s.interpret(q, decoded); err != nil {
			return nil, err
		}
	}
	return s.values, nil
}

// name is the key that an error of the whole query is told under.
func (s *Selector) name(q keyQuery) string {
	if q.names != nil {
		return ""
	}
	return s.binding.keys.names[q.places[0]]
}

// plain evaluates one output of a plain query.
func (s *Selector) plain(d *scan.Document, root int, alternatives []alternative, ids [][]int) ([]byte, Code) {
	for i := range alternatives {
		alt := &alternatives[i]
		last := i == len(alternatives)-1
		if alt.steps == nil {
			start := len(s.text)
			s.text = append(s.text, alt.text...)
			return s.text[start:], ""
		}
		at, code := find(d, root, alt.steps, ids[i])
		switch {
		case code != "":
			return nil, code
		case at < 0 || d.Hits[at].Kind == scan.Null:
			continue
		}
		hit := d.Hits[at]
		switch kind := hit.Kind; {
		case kind == scan.False && !last:
			continue
		case kind == scan.Object || kind == scan.Array:
			return nil, CodeKeyType
		case kind == scan.String && hit.Escaped:
			start := len(s.text)
			s.text = d.Text(hit, s.text)
			return s.text[start:], ""
		case kind == scan.String:
			return d.Text(hit, nil), ""
		}
		return d.Raw(hit), ""
	}
	return nil, CodeKeyNull
}

// find follows a path from the record; -1 is null or missing. A step into a value that has no
// such inside is an error, as it is in jq: the record is not what the query was written for.
func find(d *scan.Document, root int, steps []step, ids []int) (int, Code) {
	at := root
	for i := range steps {
		from := d.Hits[at]
		var next int
		switch {
		case from.Kind == scan.Null:
			return -1, ""
		case steps[i].index < 0 && from.Kind == scan.Object:
			next = member(d, at, ids[i])
		case steps[i].index >= 0 && from.Kind == scan.Array:
			next = element(d, at, ids[i], steps[i].index)
		default:
			return -1, CodeKeyQuery
		}
		if next < 0 {
			return -1, ""
		}
		at = next
	}
	return at, ""
}

// member gives the hit for a member of the object that is hit number at. A key that holds a dot
// is another key to jq.
func member(d *scan.Document, at int, id int) int {
	from := d.Hits[at]
	for i := at + 1; i < len(d.Hits) && d.Hits[i].Start < from.End; i++ {
		if h := &d.Hits[i]; int(h.Path) == id && h.Pos == from.Pos && h.Dotted == from.Dotted {
			return i
		}
	}
	return -1
}

// element gives the hit for an element of the array that is hit number at.
func element(d *scan.Document, at int, id int, index int) int {
	from := d.Hits[at]
	for i := at + 1; i < len(d.Hits) && d.Hits[i].Start < from.End; i++ {
		h := &d.Hits[i]
		if int(h.Path) != id {
			continue
		}
		if n, parent, ok := d.Element(h.Pos); ok && parent == from.Pos && n == index {
			return i
		}
	}
	return -1
}
