package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A node says what may stand at one place of the file, and where in a Spec it goes. The decoder and the JSON Schema
// are two readings of the same nodes, so that an editor and catchment agree.
type node interface {
	// decode stores v, or reports what is wrong with it and leaves the default.
	decode(r *reader, v *value, path string)
	// schema returns the JSON Schema. Called on nodes that are bound to the defaults.
	schema() schema
}

// A field is a part of an object.
type field struct {
	name     string
	doc      string // one sentence for people
	required bool
	node     func() node // called when the field is there
}

// An object has named fields and no others.
type object struct {
	want   string
	fields []field
	one    bool // exactly one of the fields must be there
}

func (o object) decode(r *reader, v *value, path string) {
	if !r.is(v, objectKind, path, o.want, "") {
		return
	}
	seen, meant := make(map[string]bool, len(v.members)), make(map[string]bool)
	for _, m := range v.members {
		i := slices.IndexFunc(o.fields, func(f field) bool { return f.name == m.name })
		if i < 0 {
			hint := didYouMean(m.name, o.names())
			r.fault(m.line, m.column, Field(path, m.name), "", o.known(), hint)
			meant[hint] = true
			continue
		}
		seen[m.name] = true
		o.fields[i].node().decode(r, m.value, Field(path, m.name))
	}
	for _, f := range o.fields {
		if f.required && !seen[f.name] && !meant[meaning(f.name)] {
			r.missing(v, Field(path, f.name), strings.TrimSuffix(f.doc, "."))
		}
	}
	if o.one && len(v.members) != 1 {
		r.fault(v.line, v.column, path, "", "exactly one of "+strings.Join(o.names(), ", "), "")
	}
}

func (o object) names() []string {
	names := make([]string, len(o.fields))
	for i, f := range o.fields {
		names[i] = f.name
	}
	return names
}

func (o object) known() string {
	if len(o.fields) == 1 {
		return "no field but " + o.fields[0].name
	}
	return "one of the fields " + strings.Join(o.names(), ", ")
}

// A list holds any number of items, within bounds.
type list struct {
	want        string
	least, most int
	unique      bool        // of scalars
	reset       func()      // drops the default
	item        func() node // makes room for one more
}

func (l list) decode(r *reader, v *value, path string) {
	if !r.is(v, listKind, path, l.want, l.hint(v)) {
		return
	}
	if len(v.items) < l.least {
		r.fault(v.line, v.column, path, "[]", l.want, "an empty list makes no sense here")
		return
	}
	if len(v.items) > l.most {
		r.fault(v.line, v.column, path, fmt.Sprintf("%d items", len(v.items)), l.want,
			fmt.Sprintf("at most %d", l.most))
		return
	}
	l.reset()
	seen := make(map[string]int, len(v.items))
	for i, item := range v.items {
		if l.unique && item.kind == textKind {
			if first, twice := seen[item.text]; twice {
				r.fault(item.line, item.column, Item(path, i), item.printed(), "each item once",
					fmt.Sprintf("it is item [%d] already", first))
			} else {
				seen[item.text] = i
			}
		}
		l.item().decode(r, item, Item(path, i))
	}
}

func (l list) hint(v *value) string {
	if v.env == "" && (v.kind == textKind || v.kind == numberKind) {
		return "write [" + quote(v.text) + "]"
	}
	return ""
}

// A text is a string of a grammar.
type text struct {
	grammar
	def string       // shown in editors; empty: none
	set func(string) // stores what is of the grammar
}

func (t text) decode(r *reader, v *value, path string) {
	hint := ""
	switch {
	case v.kind == numberKind && t.matches(v.text), v.kind == boolKind:
		hint = "quote it: " + quote(v.text)
	case v.kind == numberKind && t.hint != nil:
		hint = t.hint(v.text)
	}
	if !r.is(v, textKind, path, t.want, hint) {
		return
	}
	if !t.matches(v.text) {
		if t.hint != nil {
			hint = t.hint(v.text)
		}
		r.fault(v.line, v.column, path, v.printed(), t.want, hint)
		return
	}
	t.set(v.text)
}

// An integer is a whole number within bounds.
type integer struct {
	least, most int
	to          *int
	def         int
}

func (n integer) decode(r *reader, v *value, path string) {
	want := fmt.Sprintf("a whole number from %d to %d", n.least, n.most)
	isNumber := v.kind == numberKind || v.kind == textKind && v.env != "" && jsonNumbers.MatchString(v.text)
	if v.bad {
		return
	}
	hint := ""
	if !isNumber {
		if v.kind == textKind && jsonNumbers.MatchString(v.text) {
			hint = "without quotes"
		}
		r.fault(v.line, v.column, path, v.printed(), want, hint)
		return
	}
	number, ok := whole(v.text)
	if !ok || number < n.least || number > n.most {
		r.fault(v.line, v.column, path, v.printed(), want, hint)
		return
	}
	*n.to = number
}

// whole reads a number of JSON that has no fraction, as 2e6 has none. It counts digits, since a float64 would round.
func whole(text string) (int, bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	before, after, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(before+after, "0")
	if digits == "" {
		return 0, true
	}
	zeros := -len(after) // to add; below zero: to take away
	if exponent != "" {
		e, err := strconv.Atoi(exponent)
		if err != nil {
			return 0, false
		}
		zeros += e
	}
	significant := strings.TrimRight(digits, "0")
	zeros += len(digits) - len(significant)
	const most = 18 // digits of an int
	if zeros < 0 || zeros > most || len(significant)+zeros > most {
		return 0, false
	}
	n, err := strconv.Atoi(significant + strings.Repeat("0", zeros))
	if negative {
		n = -n
	}
	return n, err == nil
}

// A dictionary is an object whose field names the user chooses.
type dictionary struct {
	want  string
	names grammar
	most  int
	put   func(name string) node
	reset func()
}

func (d dictionary) decode(r *reader, v *value, path string) {
	if !r.is(v, objectKind, path, d.want, "") {
		return
	}
	if len(v.members) > d.most {
		r.fault(v.line, v.column, path, fmt.Sprintf("%d fields", len(v.members)), d.want,
			fmt.Sprintf("at most %d", d.most))
		return
	}
	d.reset()
	for _, m := range v.members {
		if !d.names.matches(m.name) {
			r.fault(m.line, m.column, Field(path, m.name), shown(m.name), d.names.want, "")
			continue
		}
		d.put(m.name).decode(r, m.value, Field(path, m.name))
	}
}

// An either is one thing when it is a text, else another.
type either struct {
	asText node
	other  node
}

func (e either) decode(r *reader, v *value, path string) {
	if v.kind == textKind {
		e.asText.decode(r, v, path)
		return
	}
	e.other.decode(r, v, path)
}

// A document is an object of any shape, kept as JSON in the order of the file.
type document struct {
	want string
	to   *[]byte
}

func (d document) decode(r *reader, v *value, path string) {
	if !r.is(v, objectKind, path, d.want, "") {
		return
	}
	*d.to = v.appendJSON(nil)
}

// appendJSON appends v as JSON. What is bad has been reported, so that the JSON is never used; it is null there.
func (v *value) appendJSON(b []byte) []byte {
	switch {
	case v.bad, v.kind == nullKind:
		return append(b, "null"...)
	case v.kind == textKind:
		return appendString(b, v.text)
	case v.kind == listKind:
		b = append(b, '[')
		for i, item := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case v.kind == objectKind:
		b = append(b, '{')
		for i, m := range v.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.name), ':')
			b = m.value.appendJSON(b)
		}
		return append(b, '}')
	default:
		return append(b, v.text...)
	}
}

func appendString(b []byte, s string) []byte {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string into memory: neither can fail
	return append(b, strings.TrimSuffix(out.String(), "\n")...)
}

var errMissing = errors.New("required, but missing")

func (r *reader) missing(around *value, path, doc string) {
	r.faults = append(r.faults, &FieldError{
		File: r.file, Line: around.line, Column: around.column, Path: path, Hint: doc, Err: errMissing,
	})
}

// is reports a value of another kind, but not one that was reported already.
func (r *reader) is(v *value, k kind, path, want, hint string) bool {
	if v.bad {
		return false
	}
	if v.kind == k {
		return true
	}
	if v.kind == nullKind && hint == "" {
		hint = "write a value, or leave the field out"
	}
	r.fault(v.line, v.column, path, v.printed(), want, hint)
	return false
}
