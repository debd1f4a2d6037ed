package prefix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/itchyny/gojq"

	"example.org/catchment/internal/scan"
)

// A Binding is a set of keys made ready for scanned documents. It does not change and may be used
// by many goroutines, each with its own Selector.
type Binding struct {
	keys *Keys
	root int32
	ids  [][][][]int32 // path number by query, output, alternative and step
}

// Bind adds what the queries need to paths. base is where the record stands in the document, from
// the outside in; arrays on the way are not written, as for scan.Paths. It is empty if the
// document is the record. Bind all keys before the first scan.
func (k *Keys) Bind(paths *scan.Paths, base ...string) *Binding {
	b := &Binding{keys: k, root: int32(paths.Add(base...))}
	for _, q := range k.queries {
		var outputs [][][]int32
		for _, out := range q.outputs {
			var alternatives [][]int32
			for _, alt := range out.alternatives {
				at, id, ids := base[:len(base):len(base)], b.root, []int32(nil)
				for _, s := range alt.steps {
					if s.index < 0 {
						at = append(at, s.key)
						id = int32(paths.Add(at...))
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
func (b *Binding) Root() int { return int(b.root) }

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
func (s *Selector) plain(d *scan.Document, root int, alternatives []alternative, ids [][]int32) ([]byte, Code) {
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
		switch hit.Kind {
		case scan.False:
			if !last {
				continue
			}
		case scan.Object, scan.Array:
			return nil, CodeKeyType
		case scan.String:
			if !hit.Escaped {
				return d.Text(hit, nil), ""
			}
			start := len(s.text)
			s.text = d.Text(hit, s.text)
			return s.text[start:], ""
		}
		return d.Raw(hit), ""
	}
	return nil, CodeKeyNull
}

// find follows a path from the record; -1 is null or missing. A step into a value that has no
// such inside is an error, as it is in jq: the record is not what the query was written for.
func find(d *scan.Document, root int, steps []step, ids []int32) (int, Code) {
	at := root
	for i := range steps {
		from := d.Hits[at]
		next := -1
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
func member(d *scan.Document, at int, id int32) int {
	from := d.Hits[at]
	for i := at + 1; i < len(d.Hits) && d.Hits[i].Start < from.End; i++ {
		if h := &d.Hits[i]; h.Path == id && h.Pos == from.Pos && h.Dotted == from.Dotted {
			return i
		}
	}
	return -1
}

// element gives the hit for an element of the array that is hit number at.
func element(d *scan.Document, at int, id int32, index int) int {
	from := d.Hits[at]
	for i := at + 1; i < len(d.Hits) && d.Hits[i].Start < from.End; i++ {
		h := &d.Hits[i]
		if h.Path != id {
			continue
		}
		if n, parent, ok := d.Element(h.Pos); ok && parent == from.Pos && n == index {
			return i
		}
	}
	return -1
}

// interpret runs a query on a decoded record and keeps its values.
func (s *Selector) interpret(q keyQuery, record any) error {
	out, code, err := q.run(record)
	if code != "" {
		return &RecordError{Code: code, Key: s.name(q), Err: err}
	}
	if q.names == nil {
		return s.keep(q.places[0], out)
	}
	members, ok := out.(map[string]any)
	if !ok {
		return &RecordError{Code: CodeKeyQuery}
	}
	for i, name := range q.names {
		if q.places[i] < 0 {
			continue
		}
		if err := s.keep(q.places[i], members[name]); err != nil {
			return err
		}
	}
	return nil
}

// keep stores one output of the interpreter as the value of a key.
func (s *Selector) keep(key int, v any) error {
	start := len(s.text)
	code := Code("")
	switch v := v.(type) {
	case nil:
		code = CodeKeyNull
	case string:
		s.text = append(s.text, v...)
	case map[string]any, []any:
		code = CodeKeyType
	default: // bool, int, float64, *big.Int, json.Number
		text, err := gojq.Marshal(v)
		if err != nil || string(text) == "null" { // not a number
			code = CodeKeyNull
		}
		s.text = append(s.text, text...)
	}
	if code != "" {
		return &RecordError{Code: code, Key: s.binding.keys.names[key]}
	}
	s.values[key] = s.text[start:]
	return nil
}

var errSteps = errors.New("out of steps")

// stepContext ends after a number of steps: the interpreter asks Done at each.
type stepContext struct {
	context.Context
	left int
	over chan struct{}
}

func (c *stepContext) Done() <-chan struct{} {
	if c.left--; c.left == 0 {
		close(c.over)
	}
	return c.over
}

func (c *stepContext) Err() error {
	if c.left <= 0 {
		return errSteps
	}
	return nil
}

// run gives the one output of a query for the interpreter. err says more; it may hold parts of
// the record.
func (q *Query) run(record any) (out any, code Code, err error) {
	defer func() {
		// The interpreter meets whatever a finding holds. A fault of it costs that one record.
		if fault := recover(); fault != nil {
			out, code, err = nil, CodeKeyQuery, fmt.Errorf("jq interpreter: %v", fault)
		}
	}()
	steps := &stepContext{Context: context.Background(), left: MaxSteps, over: make(chan struct{})}
	outputs := q.code.RunWithContext(steps, record)
	for n := 0; ; n++ {
		v, ok := outputs.Next()
		if !ok {
			return out, "", nil
		}
		if err, isErr := v.(error); isErr {
			if errors.Is(err, errSteps) {
				return nil, CodeKeySteps, err
			}
			return nil, CodeKeyQuery, err
		}
		if n > 0 {
			return nil, CodeKeyOutputs, nil
		}
		out = v
	}
}

var errTwice = errors.New("a field is given twice")

// decode reads a record for the interpreter: numbers keep their text, and no object may give a
// field twice, since a query might ask for any.
func decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= scan.MaxDepth {
		return nil, errors.New("nested too deep")
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	object := make(map[string]any)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("decode record: %w", err)
		}
		name, _ := key.(string) // the decoder gives nothing else here
		if _, twice := object[name]; twice {
			return nil, errTwice
		}
		if object[name], err = decodeValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return object, err
}
