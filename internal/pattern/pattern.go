// Package pattern compiles EventBridge event patterns and matches them on events that were read in place.
//
// The language and its answers are those of AWS's open-source matcher, aws/event-ruler, which EventBridge is built on;
// testdata holds its answers to 2,000 cases. What follows from it and surprises:
//
//   - A field of a pattern is its path with dots: {"a.b": […]} and {"a": {"b": […]}} are one field, and the last
//     mention of a field wins. In an event too, a key that holds a dot is several steps.
//   - Leaves are strings, numbers, true, false and null. Objects, arrays and what is empty are none, so a field that
//     holds {} or [] does not exist.
//   - An array of leaves matches if any of them does, {"anything-but": …} included. Fields below one array of objects
//     must be found in one and the same element. Leaves that stand directly in an array are not tied to an element.
//   - Fields are looked at in the order of their paths. {"exists": false} holds if no leaf of the field is consistent
//     with the elements that the fields before it were found in.
//   - Numbers are equal by value (6, 6.0, 6E0), but only numbers that are the shortest spelling of an IEEE 754 double
//     have a value; any other (9007199254740993) equals nothing but its own text, and operators refuse it.
//   - A string that is an IP address equals every spelling of the address. A CIDR block starts at the address that is
//     written, not at its network: 10.0.0.5/24 begins with 10.0.0.5.
//   - Ignoring case goes character by character: each is compared with its upper and lower case, so ß equals SS.
package pattern

import (
	"strings"

	"example.org/catchment/internal/scan"
)

// MaxBranches is how many combinations of $or alternatives a pattern may expand to; EventBridge refuses more.
const MaxBranches = 1000

// A Pattern is a compiled event pattern. It does not change, so goroutines may share it.
type Pattern struct {
	branches []branch // the pattern matches if any of them does
	fields   []*field // those of all branches, each once
}

// A branch is one way to match: all of its fields.
type branch struct {
	fields []*field // by name
}

// Compile reads a pattern. Its error is a *SyntaxError.
func Compile(text []byte) (*Pattern, error) {
	var doc scan.Document
	n, err := doc.Scan(text, scan.NewPaths())
	if err != nil {
		return nil, notJSON(text, n, err)
	}
	if rest := skipSpace(text, n); rest < len(text) {
		return nil, newSyntaxError(text, rest, "$", "expected nothing after the pattern's closing brace")
	}
	t := tree{text: text}
	root, _ := t.value(skipSpace(text, 0))
	if root.kind != scan.Object {
		return nil, newSyntaxError(text, root.start, "$", "expected an object, found "+root.describe())
	}
	c := compiler{text: text}
	err = c.object(&root, "$", nil, false)
	if err != nil && hasOr(&root) {
		// What does not work as alternatives may still be a field of that name. If it is neither, the first error is
		// the one that helps.
		plain := compiler{text: text, plainOr: true}
		if plain.object(&root, "$", nil, false) == nil {
			c, err = plain, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return c.pattern(), nil
}

// String renders the pattern as JSON, in one canonical form: field paths with dots, in order. It compiles to a pattern
// that gives the same answers.
func (p *Pattern) String() string {
	if len(p.branches) == 1 {
		return p.branches[0].render(func(*field) bool { return true })
	}
	// A reserved word may not be a field's name inside $or. Such fields were written outside of it, so that all
	// branches share them.
	var b strings.Builder
	b.WriteByte('{')
	for _, f := range p.branches[0].fields {
		if reserved[f.name] {
			b.WriteString(quote(f.name) + ":" + f.canonical + ",")
		}
	}
	b.WriteString(`"$or":[`)
	for i := range p.branches {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(p.branches[i].render(func(f *field) bool { return !reserved[f.name] }))
	}
	b.WriteString("]}")
	return b.String()
}

func (b *branch) render(want func(*field) bool) string {
	var parts []string
	for _, f := range b.fields {
		if want(f) {
			parts = append(parts, quote(f.name)+":"+f.canonical)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}
