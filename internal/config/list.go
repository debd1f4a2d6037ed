package config

// An Entry is one field of an object in a list: see ReadList.
type Entry struct {
	Name string
	Text string // of the value, without quotes

	fault FieldError // its place
}

// Wrong says that something else was expected of the value.
func (e *Entry) Wrong(want string) *FieldError {
	fault := e.fault
	fault.Want = want
	return &fault
}

// ReadList reads a file that is no spec: a list of objects whose fields are texts, numbers or truths, in YAML or JSON.
// what is what the list is of, for errors. It is as strict as Load; the error is of type Errors.
func ReadList(name, what string, data []byte) ([][]Entry, error) {
	r := &reader{file: name, what: "a list of " + what, lookup: func(string) (string, bool) { return "", false }}
	r.reset()
	root := r.read(data)
	var out [][]Entry
	switch {
	case root == nil || root.bad:
	case root.kind != listKind:
		r.fault(root.line, root.column, "", "", r.what, "")
	default:
		for i, item := range root.items {
			if entries, ok := r.entries(item, Item("", i)); ok {
				out = append(out, entries)
			}
		}
	}
	if len(r.faults) > 0 {
		return nil, sorted(r.faults)
	}
	return out, nil
}

// entries takes the fields out of an object.
func (r *reader) entries(v *value, path string) (out []Entry, ok bool) {
	if v.bad {
		return nil, false
	}
	if v.kind != objectKind {
		r.fault(v.line, v.column, path, v.printed(), "an object with named fields", "")
		return nil, false
	}
	if len(v.members) == 0 {
		r.fault(v.line, v.column, path, "", "an object with named fields, but it has none", "")
		return nil, false
	}
	for _, m := range v.members {
		field := Field(path, m.name)
		switch m.value.kind {
		case boolKind, numberKind, textKind:
			at := FieldError{File: r.file, Line: m.value.line, Column: m.value.column, Path: field, Value: m.value.printed()}
			out = append(out, Entry{m.name, m.value.text, at})
		case nullKind, listKind, objectKind:
			if !m.value.bad {
				r.fault(m.value.line, m.value.column, field, "", "a text or a number", "")
			}
		}
	}
	return out, true
}

// Sorted are faults that callers found, in the order of the file.
func Sorted(faults []*FieldError) Errors { return sorted(faults) }
