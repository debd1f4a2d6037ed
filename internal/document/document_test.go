package document

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/scan"
)

// show writes documents as text, the broken ones with their reason.
func show(docs []Document) []string {
	var lines []string
	for _, d := range docs {
		line := fmt.Sprintf("%d %s", d.Offset, d.Bytes)
		if d.Err != nil {
			line += " | " + d.Err.Error()
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSplit(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":                     {"", nil},
		"white space":                 {" \r\n\t\xef\xbb\xbf\n", nil},
		"run together, braces inside": {`{"a":1}{"b":"}{"}` + "\n" + `{"c":3}`, []string{`0 {"a":1}`, `7 {"b":"}{"}`, `18 {"c":3}`}},
		"an empty object":             {`{}{}`, []string{`0 {}`, `2 {}`}},
		"an empty array":              {`[]`, nil},
		"other values": {"null\n42\n\"text\"\ntrue\n-\n", []string{
			"0 null | expected a JSON object, found another kind of value", "5 42 | expected a JSON object, found another kind of value",
			`8 "text" | expected a JSON object, found another kind of value`, "15 true | expected a JSON object, found another kind of value",
			"20 - | at byte 0: expected a value, found '-'",
		}},
		"other values in an array": {`[1,{"a":1},"x"]`, []string{
			"1 1 | expected a JSON object, found another kind of value", `3 {"a":1}`, `11 "x" | expected a JSON object, found another kind of value`,
		}},
		"text": {"hello\nworld\n {\"a\":1} trailing\n{\"b\":1}", []string{
			"0 hello\nworld | at byte 0: expected a value, found 'h'", `13 {"a":1}`, "21 trailing | at byte 0: expected a value, found 't'; did you mean true?", `30 {"b":1}`,
		}},
		"log lines": {"[INFO] started {x}\n[INFO] {\"a\":1}\n{\"b\":1}", []string{
			"0 [INFO] started {x} | at byte 1: expected a value, found 'I'", "19 [INFO] {\"a\":1} | at byte 1: expected a value, found 'I'", `34 {"b":1}`,
		}},
		"words that begin as values": {"true story\n12 monkeys\n{\"a\":1}", []string{
			"0 true story\n12 monkeys | expected a JSON object, found text that is no JSON", `22 {"a":1}`,
		}},
		"brackets too many": {"{\"a\":1}]}\n{\"b\":2}\n", []string{`0 {"a":1}`, "7 ]} | at byte 0: expected a value, found ']'", `10 {"b":2}`}},
		"a brace too many in an array": {`[{"a":1}},{"b":2}}]` + "\n" + `{"c":3}`, []string{
			`1 {"a":1}`, "8 } | at byte 0: expected a value, found '}'", `10 {"b":2}`, "17 } | at byte 0: expected a value, found '}'", `20 {"c":3}`,
		}},
		"an array that never ends": {`[{"a":1},{"b"`, []string{
			`1 {"a":1}`, `9 {"b" | the input ends inside the document`, "13  | the input ends inside an array or a page; what should follow is missing",
		}},
		"a page that never ends": {`{"Findings":[{"a":1}],"NextToken"`, []string{`13 {"a":1}`, `22 "NextToken" | expected a JSON object, found another kind of value`}},
		"a page's members that are no JSON": {"{\"Findings\":[{\"a\":1}],\"x\":bad}\n{\"b\":1}", []string{
			`13 {"a":1}`, "22 \"x\":bad} | expected a JSON object, found text that is no JSON", `31 {"b":1}`,
		}},
		"an event with findings is no page":        {`{"version":"0","detail":{"findings":[{"a":1}]}}`, []string{`0 {"version":"0","detail":{"findings":[{"a":1}]}}`}},
		"findings that are no list are no page":    {`{"findings":{"a":1}}{"Findings":null}`, []string{`0 {"findings":{"a":1}}`, `20 {"Findings":null}`}},
		"a leading member alone makes no page":     {`{"NextToken":"x","a":[{"b":1}]}`, []string{`0 {"NextToken":"x","a":[{"b":1}]}`}},
		"a page with two lists":                    {`{"Findings":[{"a":1}],"findings":[{"b":2}]}`, []string{`13 {"a":1}`, `34 {"b":2}`}},
		"arrays too deep to be taken apart":        {strings.Repeat("[", 17) + `{"a":1}` + strings.Repeat("]", 17), []string{`16 [{"a":1}] | expected a JSON object, found another kind of value`}},
		"a document cut off, then one on its line": {`{"a":{"b":"cut{"version":"0"}{"c":1}`, []string{`0 {"a":{"b":"cut | at byte 16: expected ',' or '}' after a member, found 'v'`, `14 {"version":"0"}`, `29 {"c":1}`}},
		"an object behind a bracket too many is none of its own": {`{"a":[{"b":1},]{"c":2},{"d":3}],"e":1}` + "\n" + `{"f":1}`, []string{
			`0 {"a":[{"b":1},]{"c":2},{"d":3}],"e":1} | at byte 14: expected a value, found ']'`, `39 {"f":1}`,
		}},
		"the first brace is missing": {`{"a":1}"b":2}{"c":3}`, []string{`0 {"a":1}`, `7 "b":2} | expected a JSON object, found text that is no JSON`, `13 {"c":3}`}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, show(splitAll([]byte(tt.in), Options{}))); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStyles renders valid objects in every style: they come back byte for byte, in order, at their offsets.
func TestStyles(t *testing.T) {
	for name, style := range styles {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(120) {
				r := rand.New(rand.NewPCG(seed, 1))
				in, want := style.render(r, randomDocs(r))
				got := splitAll([]byte(in), Options{})
				if len(got) != len(want) {
					t.Fatalf("seed %d: %d documents of %d\n%s\n%q", seed, len(got), len(want), in, show(got))
				}
				at := 0
				for i, d := range got {
					offset := at + strings.Index(in[at:], want[i])
					if d.Err != nil || string(d.Bytes) != want[i] || d.Offset != int64(offset) && in[d.Offset:int(d.Offset)+len(d.Bytes)] != want[i] {
						t.Fatalf("seed %d: document %d at %d is %q, %v; want %q\n%s", seed, i, d.Offset, d.Bytes, d.Err, want[i], in)
					}
					at = int(d.Offset) + len(d.Bytes)
				}
				checkSpans(t, []byte(in), got)
			}
		})
	}
}

// checkSpans holds that nothing disappears: what is in no document and in nothing given up is white space, or the
// punctuation of arrays and pages.
func checkSpans(t *testing.T, in []byte, docs []Document) {
	t.Helper()
	at := 0
	for _, d := range docs {
		if int(d.Offset) < at || !bytes.Equal(in[d.Offset:int(d.Offset)+len(d.Bytes)], d.Bytes) {
			t.Fatalf("%.300q: %q is not what stands at %d, or overlaps", in, d.Bytes, d.Offset)
		}
		checkGap(t, in, at, int(d.Offset))
		at = int(d.Offset) + len(d.Bytes)
	}
	checkGap(t, in, at, len(in))
}

func checkGap(t *testing.T, in []byte, from, to int) {
	t.Helper()
	check := newCheck()
	for i := from; i < to; {
		switch c := in[i]; {
		case bytes.IndexByte([]byte(" \t\r\n,[]}"), c) >= 0:
			i++
		case bytes.HasPrefix(in[i:], byteOrderMark):
			i += 3
		case c == '{' && bytes.Contains(bytes.ToLower(in[i:to]), []byte(`"findings"`)):
			i++
		case c == '"':
			end, err := member(in, i, check)
			if err == nil && end <= to {
				i = end
			} else if end, _ = pageKey(in, i); end > 0 {
				i = end
			} else {
				t.Fatalf("%.300q: %q disappeared at %d", in, in[i:to], i)
			}
		default:
			t.Fatalf("%.300q: %q disappeared at %d", in, in[i:to], i)
		}
	}
}

// feed gives in to a Splitter in pieces.
func feed(in []byte, o Options, cut func() int) []Document {
	s := NewSplitter(o)
	var docs []Document
	start, end := 0, 0
	for {
		last := end >= len(in)
		// A buffer that ends where the piece does: nothing behind it can be seen.
		b := append(make([]byte, 0, end-start), in[start:end]...)
		doc, used, found := s.Next(b, last)
		if found {
			doc.Offset += int64(start)
			doc.Bytes = bytes.Clone(doc.Bytes)
			docs = append(docs, doc)
		}
		start += used
		if found {
			continue
		}
		if last {
			return docs
		}
		end = min(len(in), end+cut())
	}
}

func checkStreaming(t *testing.T, in []byte, o Options, cut func() int) {
	t.Helper()
	whole := splitAll(in, o)
	if diff := cmp.Diff(show(whole), show(feed(in, o, cut))); diff != "" {
		t.Fatalf("%q with a limit of %d (-whole +in pieces):\n%s", in, o.MaxDocument, diff)
	}
}

// TestStreaming damages streams of every style and reads them in pieces: the cuts change nothing.
func TestStreaming(t *testing.T) {
	for name, style := range styles {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(80) {
				r := rand.New(rand.NewPCG(seed, 2))
				text, _ := style.render(r, randomDocs(r))
				in := []byte(text)
				for range r.IntN(3) {
					in = damaged(r, in)
				}
				limit := []int{0, 40, 90, 200}[r.IntN(4)]
				checkStreaming(t, in, Options{MaxDocument: limit}, func() int { return 1 + r.IntN(20) })
				checkSpans(t, in, splitAll(in, Options{MaxDocument: limit}))
			}
		})
	}
}

// damaged changes, removes or inserts a byte, or cuts a piece out.
func damaged(r *rand.Rand, in []byte) []byte {
	if len(in) == 0 {
		return in
	}
	at := r.IntN(len(in))
	out := bytes.Clone(in[:at])
	some := []byte("{}[]\",:\n\\x \x00\xff0")
	switch r.IntN(4) {
	case 0:
		return append(append(out, some[r.IntN(len(some))]), in[at+1:]...)
	case 1:
		return append(out, in[at+1:]...)
	case 2:
		return append(append(out, some[r.IntN(len(some))]), in[at:]...)
	default:
		return append(out, in[min(len(in), at+r.IntN(30)):]...)
	}
}

func FuzzSplitter(f *testing.F) {
	for name, style := range styles {
		r := rand.New(rand.NewPCG(uint64(len(name)), 3))
		in, _ := style.render(r, randomDocs(r))
		f.Add([]byte(in), uint16(0), uint64(1))
		f.Add(damaged(r, []byte(in)), uint16(60), uint64(2))
	}
	f.Fuzz(func(t *testing.T, in []byte, limit uint16, seed uint64) {
		if len(in) > 4096 {
			return
		}
		o := Options{MaxDocument: int(limit)}
		r := rand.New(rand.NewPCG(seed, 4))
		checkStreaming(t, in, o, func() int { return 1 + r.IntN(9) })
		docs := splitAll(in, o)
		checkSpans(t, in, docs)
		for _, d := range docs {
			var scanned scan.Document
			n, err := scanned.Scan(d.Bytes, scan.NewPaths())
			if d.Err == nil && (err != nil || n != len(d.Bytes) || d.Bytes[0] != '{') {
				t.Fatalf("%q: %q is given as a document: %v", in, d.Bytes, err)
			}
			if len(d.Bytes) > o.withDefaults().MaxDocument {
				t.Fatalf("%q: a piece of %d bytes, the limit is %d", in, len(d.Bytes), limit)
			}
			if d.Err == nil || len(d.Bytes) > 0 {
				continue
			}
			if !errors.Is(d.Err, ErrOpenAtEnd) {
				t.Fatalf("%q: nothing was given up: %v", in, d.Err)
			}
		}
	})
}

// TestHostileFile reads the file that the corpus generator writes, where HOSTILE names its folder.
func TestHostileFile(t *testing.T) {
	dir := os.Getenv("HOSTILE")
	if dir == "" {
		t.Skip("HOSTILE is unset")
	}
	in, err := os.ReadFile(filepath.Join(dir, "hostile.bin"))
	if err != nil {
		t.Fatal(err)
	}
	docs := splitAll(in, Options{})
	checkSpans(t, in, docs)
	canaries := 0
	for _, d := range docs {
		if d.Err == nil && bytes.Contains(d.Bytes, []byte(`"id":"CANARY-`)) {
			canaries++
		}
		if d.Err != nil && bytes.Contains(d.Bytes, []byte("CANARY-")) {
			t.Errorf("%d: a good document is lost in %.80q: %v", d.Offset, d.Bytes, d.Err)
		}
	}
	if want := bytes.Count(in, []byte(`"id":"CANARY-`)); canaries != want {
		t.Errorf("%d of %d good documents", canaries, want)
	}
}
