package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A FieldError says what is wrong at one place of a spec.
type FieldError struct {
	File   string
	Line   int    // from 1
	Column int    // from 1, in characters
	Path   string // as in streams[0].buffering.size; empty for the file as a whole
	Value  string // as it stands in the file, shortened; empty when nothing does
	Want   string // what was expected, as in: a list of streams; may be empty
	Hint   string // what to do; may be empty
	Err    error  // the cause in the words of another package; may be nil
}

// Error gives all of it on one line: FILE:LINE:COLUMN: PATH: VALUE: CAUSE; want WANT (HINT).
func (e *FieldError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", e.File, e.Line, e.Column)
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	if e.Value != "" {
		b.WriteString(e.Value + ": ")
	}
	switch {
	case e.Err != nil && e.Want != "":
		fmt.Fprintf(&b, "%v; want %s", e.Err, e.Want)
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	default:
		b.WriteString("want " + e.Want)
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Unwrap returns the cause, nil when there is none.
func (e *FieldError) Unwrap() error { return e.Err }

// Errors are all faults of one spec in the order of the file. There is at least one.
type Errors []*FieldError

// Error gives one fault a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, fault := range e {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults, for errors.As.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, fault := range e {
		all[i] = fault
	}
	return all
}

// sorted puts faults into the order of the file. Faults of one place keep their order.
func sorted(faults []*FieldError) Errors {
	slices.SortStableFunc(faults, func(a, b *FieldError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return faults
}

// Field returns the path of a field of the object at path. A name that is not a plain word is quoted.
func Field(path, name string) string {
	switch {
	case !isWord(name):
		return path + "[" + strconv.Quote(name) + "]"
	case path == "":
		return name
	default:
		return path + "." + name
	}
}

// Item returns the path of item i, from 0, of the list at path.
func Item(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}

func isWord(s string) bool {
	for _, r := range s {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return s != ""
}

// shown is text for an error message: on one line, quoted, at most 60 characters.
func shown(text string) string {
	const most = 60
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return strconv.Quote(text)
}
