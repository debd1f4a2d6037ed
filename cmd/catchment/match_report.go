package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"example.org/catchment/internal/pattern"
)

// maxAlternatives is how many ways to match are explained; those that come closest come first.
const maxAlternatives = 3

// maxWant is how many characters of what a field wants are shown.
const maxWant = 160

// printAnswer prints the answer for one event, and for one that does not match why.
func printAnswer(out io.Writer, place string, a matchAnswer) error {
	var b strings.Builder
	b.WriteString(place)
	switch {
	case a.Error != "":
		b.WriteString("invalid: " + a.Error + "\n")
	case a.Match:
		b.WriteString("match\n")
	default:
		b.WriteString("no match\n")
		explain(&b, a.Alternatives)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// printLine prints v as JSON on one line.
func printLine(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false) // < and > are operators of the language
	return e.Encode(v)
}

func explain(b *strings.Builder, alternatives [][]pattern.FieldResult) {
	order := make([]int, len(alternatives))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Compare(failures(alternatives[x]), failures(alternatives[y]))
	})
	for n, i := range order {
		if n == maxAlternatives {
			fmt.Fprintf(b, "  and %d more alternatives\n", len(order)-n)
			break
		}
		indent := "  "
		if len(alternatives) > 1 {
			fmt.Fprintf(b, "  alternative %d:\n", i+1)
			indent = "    "
		}
		for _, f := range alternatives[i] {
			fmt.Fprintf(b, "%s%s\n", indent, fieldLine(f))
		}
	}
}

func failures(fields []pattern.FieldResult) int {
	n := 0
	for _, f := range fields {
		if f.Outcome != pattern.Found {
			n++
		}
	}
	return n
}

// fieldLine says what became of one field. All that comes from the event or the pattern is escaped.
func fieldLine(f pattern.FieldResult) string {
	have := strings.Join(f.Have, ", ")
	if f.More > 0 {
		have += fmt.Sprintf(" and %d more", f.More)
	}
	path := f.Path
	if path == "" || strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) {
		path = strconv.Quote(path)
	}
	want := []rune(f.Want)
	if len(want) > maxWant {
		want = append(want[:maxWant], '…')
	}
	switch f.Outcome {
	case pattern.Found:
		if have == "" {
			have = "absent, as wanted"
		}
		return fmt.Sprintf("+ %s: %s", path, have)
	case pattern.Missing:
		holds := "missing"
		if f.Holds != "" {
			holds = "it is " + f.Holds
		}
		return fmt.Sprintf("- %s: %s; wanted %s", path, holds, string(want))
	case pattern.Elsewhere:
		return fmt.Sprintf("- %s: only in another array element than the fields above: %s; wanted %s", path, have, string(want))
	case pattern.Present:
		return fmt.Sprintf("- %s: it is there: %s; wanted %s", path, have, string(want))
	case pattern.Different:
	}
	return fmt.Sprintf("- %s: %s; wanted %s", path, have, string(want))
}
