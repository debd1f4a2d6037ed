package prefix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/itchyny/gojq"

	"example.org/catchment/internal/scan"
)

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

var errTwice = errors.New("an object gives a field twice")

// A decoder turns one JSON value into what the interpreter works on. Numbers keep their text. A
// field given twice is an error wherever it stands, since a query might ask for any.
//
// The value has been scanned: what is not checked here was checked there, depth included.
type decoder struct {
	b []byte
	i int
}

func decode(scanned []byte) (any, error) {
	d := decoder{b: scanned}
	d.space()
	return d.value()
}

func (d *decoder) space() {
	for d.i < len(d.b) && (d.b[d.i] == ' ' || d.b[d.i] == '\n' || d.b[d.i] == '\t' || d.b[d.i] == '\r') {
		d.i++
	}
}

// more steps over what stands between two elements, and tells whether there is another one
// before the end.
func (d *decoder) more(end byte) bool {
	d.space()
	if d.b[d.i] == ',' {
		d.i++
		d.space()
	}
	if d.b[d.i] == end {
		d.i++
		return false
	}
	return true
}

func (d *decoder) value() (any, error) {
	switch d.b[d.i] {
	case '{':
		return d.object()
	case '[':
		d.i++
		list := []any{}
		for d.more(']') {
			v, err := d.value()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case '"':
		return d.text(), nil
	case 't':
		d.i += len("true")
		return true, nil
	case 'f':
		d.i += len("false")
		return false, nil
	case 'n':
		d.i += len("null")
		return nil, nil
	}
	start := d.i
	for d.i < len(d.b) && isNumber(d.b[d.i]) {
		d.i++
	}
	return json.Number(d.b[start:d.i]), nil
}

func isNumber(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func (d *decoder) object() (any, error) {
	d.i++
	object := make(map[string]any)
	for d.more('}') {
		key := d.text()
		if _, twice := object[key]; twice {
			return nil, errTwice
		}
		d.space()
		d.i++ // the colon
		d.space()
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		object[key] = v
	}
	return object, nil
}

func (d *decoder) text() string {
	d.i++
	start, escaped := d.i, false
	for d.b[d.i] != '"' {
		if d.b[d.i] == '\\' {
			escaped = true
			d.i++
		}
		d.i++
	}
	raw := d.b[start:d.i]
	d.i++
	if escaped {
		return string(scan.AppendUnescaped(nil, raw))
	}
	return string(raw)
}
