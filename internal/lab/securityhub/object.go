package securityhub

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An object is a JSON object with its members in the order in which they came. Findings are kept as they were sent: also
// what the lab does not know is passed on.
type object []member

type member struct {
	name  string
	value jsontext.Value
}

// parseObject takes an object apart, one level deep.
func parseObject(v jsontext.Value) (object, error) {
	d := jsontext.NewDecoder(bytes.NewReader(v))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, fmt.Errorf("%.20s is no object", v)
	}
	var o object
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, fmt.Errorf("object: %w", err)
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("object: member %.50q: %w", text, err)
		}
		o = append(o, member{text, value.Clone()})
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	return o, nil
}

// get gives a member's value; nil: it is not there, or null.
func (o object) get(name string) jsontext.Value {
	for _, m := range o {
		if m.name == name && m.value.Kind() != 'n' {
			return m.value
		}
	}
	return nil
}

// set replaces a member's value, or adds it at the end. A nil value takes the member away.
func (o *object) set(name string, value jsontext.Value) {
	for i, m := range *o {
		if m.name == name {
			if value == nil {
				*o = append((*o)[:i], (*o)[i+1:]...)
			} else {
				(*o)[i].value = value
			}
			return
		}
	}
	if value != nil {
		*o = append(*o, member{name, value})
	}
}

// child gives a member that is an object; nil where it is none.
func (o object) child(name string) object {
	c, err := parseObject(o.get(name))
	if err != nil {
		return nil
	}
	return c
}

// encode writes the object without white space.
func (o object) encode() jsontext.Value {
	size := 2
	for _, m := range o {
		size += len(m.name) + len(m.value) + 4
	}
	b := append(make([]byte, 0, size), '{')
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(quoteTo(b, m.name), ':')
		b = append(b, m.value...)
	}
	return append(b, '}')
}

func quoteTo(b []byte, s string) []byte {
	out, _ := jsontext.AppendQuote(b, s) // text that is not UTF-8 is written with replacement characters
	return out
}

// text is a string as a JSON value; nil for an empty one.
func text(s string) jsontext.Value {
	if s == "" {
		return nil
	}
	return quoteTo(nil, s)
}

func number(n int) jsontext.Value { return strconv.AppendInt(nil, int64(n), 10) }

// encoded is a value of this package's own types as JSON. They always marshal: their texts came out of valid JSON.
func encoded(v any) jsontext.Value {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return jsontext.Value("null")
	}
	return b
}

// unquoted is the text of a JSON string; empty for any other value.
func unquoted(v jsontext.Value) string {
	if v.Kind() != '"' {
		return ""
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(b)
}
