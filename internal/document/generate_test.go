package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// texts are contents of strings that make a splitter's life hard: braces, brackets, quotes, what looks like the place
// between two documents, letters beyond ASCII.
var texts = []string{
	`plain`, ``, `}{`, `{\"version\":\"0\"}`, `]}{[`, `\\`, `\\\"`, `\u0022}{\u0022`, `a,b:{`, `é€😀`, `}}}}`, `\n{`, `x{`, `,{`, `\ud800`, `:1}`, `{`,
}

// randomObject writes a valid object in compact form.
func randomObject(r *rand.Rand, depth int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range r.IntN(4) + 1 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%s%d":%s`, []string{"version", "k", "é", `q\"`}[r.IntN(4)], i, randomValue(r, depth))
	}
	b.WriteByte('}')
	return b.String()
}

func randomValue(r *rand.Rand, depth int) string {
	kinds := 8
	if depth <= 0 {
		kinds = 5
	}
	switch r.IntN(kinds) {
	case 0:
		return []string{"null", "true", "false", "[]", "{}"}[r.IntN(5)]
	case 1:
		return []string{"0", "-1.5e+3", "1234567890", "0.1"}[r.IntN(4)]
	case 5:
		return randomObject(r, depth-1)
	case 6, 7:
		var elements []string
		for range r.IntN(3) + 1 {
			elements = append(elements, randomObject(r, depth-1))
		}
		return "[" + strings.Join(elements, ",") + "]"
	}
	return `"` + texts[r.IntN(len(texts))] + texts[r.IntN(len(texts))] + `"`
}

// A style puts documents into a stream. It returns the stream, and the documents as they stand in it.
type style struct {
	perLine bool // no two documents on a line
	pretty  bool
	render  func(r *rand.Rand, docs []string) (stream string, as []string)
}

var styles = map[string]style{
	"a document a line":     {true, false, func(_ *rand.Rand, d []string) (string, []string) { return strings.Join(d, "\n") + "\n", d }},
	"no newline at the end": {true, false, func(_ *rand.Rand, d []string) (string, []string) { return strings.Join(d, "\n"), d }},
	"CRLF":                  {true, false, func(_ *rand.Rand, d []string) (string, []string) { return strings.Join(d, "\r\n") + "\r\n", d }},
	"blank lines and a mark": {true, false, func(_ *rand.Rand, d []string) (string, []string) {
		return "\xef\xbb\xbf" + strings.Join(d, "\n \t\n\r\n"), d
	}},
	"run together":   {false, false, func(_ *rand.Rand, d []string) (string, []string) { return strings.Join(d, ""), d }},
	"spaces between": {false, false, func(_ *rand.Rand, d []string) (string, []string) { return strings.Join(d, "  \t"), d }},
	"a few on each line": {false, false, func(r *rand.Rand, d []string) (string, []string) {
		var b strings.Builder
		for _, x := range d {
			b.WriteString(x)
			if r.IntN(3) == 0 {
				b.WriteByte('\n')
			}
		}
		return b.String(), d
	}},
	"pretty-printed":                     {true, true, pretty("", "  ", "\n")},
	"pretty-printed with tabs":           {true, true, pretty("", "\t", "\n")},
	"pretty-printed, run together":       {false, true, pretty("", "    ", "")},
	"pretty-printed and indented":        {true, true, pretty("    ", " ", "\n\n")},
	"without indentation, many lines":    {true, true, pretty("", "", "\n")},
	"an array":                           {false, false, around("[", ",", "]")},
	"an array, an element a line":        {true, false, around("[\n", ",\n", "\n]\n")},
	"an array in an array":               {false, false, around("[[", "],[", "]]")},
	"a pretty-printed array":             {true, true, prettyIn("", "[\n%s\n]\n")},
	"a page":                             {false, false, around(`{"Findings":[`, ",", `],"NextToken":"x}{"}`)},
	"a page of findings":                 {false, false, around(`{"findings":[`, ", ", `],"failedItems":{"a":[{"b":1}]},"n":1}`)},
	"a page with members before":         {false, false, around(`{"$metadata":{"a":1},"failedItems":{}, "NextToken" : null,"Findings" : [ `, ",", "]}\n")},
	"a pretty-printed page":              {true, true, prettyIn("    ", "{\n  \"Findings\": [\n%s\n  ],\n  \"NextToken\": \"x\"\n}\n")},
	"a page for each, run together":      {false, false, around(`{"Findings":[`, `]}{"findings":[`, `]}`)},
	"arrays, pages and lines in a row":   {false, false, around(`[`, "]\n[", "]\n{\"Findings\":[],\"x\":[1]}[]")},
	"an empty page before, one behind":   {false, false, around("{\"Findings\":[]}\n", "\n", "{\"findings\":[ ] , \"x\":{}}")},
	"lines, each with a comma behind it": {true, false, around("[", ",\n", "\n,]")},
}

func around(before, between, after string) func(*rand.Rand, []string) (string, []string) {
	return func(_ *rand.Rand, d []string) (string, []string) { return before + strings.Join(d, between) + after, d }
}

func indented(doc, prefix, indent string) string {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(doc), prefix, indent); err != nil {
		panic(err)
	}
	return b.String()
}

func pretty(prefix, indent, between string) func(*rand.Rand, []string) (string, []string) {
	return func(_ *rand.Rand, docs []string) (string, []string) {
		var as []string
		for _, d := range docs {
			as = append(as, indented(d, prefix, indent))
		}
		return prefix + strings.Join(as, between+prefix), as
	}
}

func prettyIn(prefix, format string) func(*rand.Rand, []string) (string, []string) {
	return func(r *rand.Rand, docs []string) (string, []string) {
		if prefix == "" {
			prefix = "  "
		}
		_, as := pretty(prefix, "  ", "")(r, docs)
		return fmt.Sprintf(format, prefix+strings.Join(as, ",\n"+prefix)), as
	}
}

func randomDocs(r *rand.Rand) []string {
	var docs []string
	for range r.IntN(6) + 1 {
		docs = append(docs, randomObject(r, 3))
	}
	return docs
}

// splitAll copies what Split yields.
func splitAll(in []byte, o Options) []Document {
	var docs []Document
	Split(in, o, func(d Document) bool {
		d.Bytes = bytes.Clone(d.Bytes)
		docs = append(docs, d)
		return true
	})
	return docs
}
