package document

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// damages are what may happen to one document. Each gets it as it stands in the stream, and never returns it whole.
var damages = map[string]func(r *rand.Rand, doc string) string{
	"cut off": func(r *rand.Rand, d string) string { return d[:1+r.IntN(len(d)-1)] },
	"a byte changed, no bracket, quote or newline": func(r *rand.Rand, d string) string {
		at, _ := find(r, d, func(c byte) bool { return strings.IndexByte("{}[]\"\\\n", c) < 0 })
		return d[:at] + string("x07,: \x01\xff"[r.IntN(8)]) + d[at+1:]
	},
	"a control character put in": func(r *rand.Rand, d string) string {
		at := 1 + r.IntN(len(d)-1)
		return d[:at] + string(rune("\x00\x01\x1f\x0c"[r.IntN(4)])) + d[at:]
	},
	"a bracket taken out": func(r *rand.Rand, d string) string {
		at, _ := find(r, d, func(c byte) bool { return strings.IndexByte("{}[]", c) >= 0 })
		return d[:at] + d[at+1:]
	},
	"a closing bracket put in": func(r *rand.Rand, d string) string {
		at := 1 + r.IntN(len(d)-1)
		return d[:at] + string("}]"[r.IntN(2)]) + d[at:]
	},
	"an opening bracket put in": func(r *rand.Rand, d string) string {
		at := 1 + r.IntN(len(d)-1)
		return d[:at] + string("{["[r.IntN(2)]) + d[at:]
	},
	"a quote taken out": func(r *rand.Rand, d string) string {
		at, _ := find(r, d, func(c byte) bool { return c == '"' })
		return d[:at] + d[at+1:]
	},
	"a newline put in": func(r *rand.Rand, d string) string {
		at := 1 + r.IntN(len(d)-1)
		return d[:at] + "\n" + d[at:]
	},
	"the first byte lost": func(_ *rand.Rand, d string) string { return d[1:] },
}

func find(r *rand.Rand, d string, is func(byte) bool) (int, bool) {
	for range 1000 {
		if at := r.IntN(len(d)); is(d[at]) {
			return at, true
		}
	}
	return len(d) / 2, false
}

// neighboursKept damages one of some documents and counts how many of the others come back, and which objects come
// back that are none of them.
func neighboursKept(s style, damage func(*rand.Rand, string) string, seed uint64) (kept, others int, foreign []string, in string) {
	r := rand.New(rand.NewPCG(seed, 5))
	var docs []string
	for range 5 {
		docs = append(docs, randomObject(r, 3))
	}
	_, as := s.render(r, docs)
	const bad = 2
	stream, _ := s.render(rand.New(rand.NewPCG(seed, 6)), docs)
	at := 0
	for _, d := range as[:bad] {
		at += strings.Index(stream[at:], d) + len(d)
	}
	at += strings.Index(stream[at:], as[bad])
	broken := damage(r, as[bad])
	for json.Valid([]byte(broken)) {
		broken = damage(r, as[bad])
	}
	in = stream[:at] + broken + stream[at+len(as[bad]):]
	want := map[string]int{}
	for i, d := range as {
		if i != bad {
			want[d]++
		}
	}
	for _, d := range splitAll([]byte(in), Options{}) {
		switch {
		case d.Err != nil:
		case want[string(d.Bytes)] > 0:
			want[string(d.Bytes)]--
			kept++
		case string(d.Bytes) == as[bad], strings.HasPrefix(broken, string(d.Bytes)): // whole again, or a whole one at its start
		default:
			foreign = append(foreign, string(d.Bytes))
		}
	}
	return kept, len(as) - 1, foreign, in
}

// kept says for which damages all neighbours come back, in every style of a kind; noParts: and no part of the damaged
// document is taken for a document. Where a document is run together with others, cutting it off or flipping a quote can make
// the next one look like a part of it; in a compact array nothing but balanced brackets tells elements apart.
var kept = map[string]struct{ lines, run, array, pretty, noParts bool }{
	"cut off": {lines: true, pretty: true, noParts: true},
	"a byte changed, no bracket, quote or newline": {lines: true, run: true, array: true, pretty: true, noParts: true},
	"a control character put in":                   {lines: true, run: true, pretty: true, noParts: true},
	"a bracket taken out":                          {lines: true, run: true, pretty: true, noParts: true},
	"a closing bracket put in":                     {lines: true, run: true, pretty: true},
	"an opening bracket put in":                    {lines: true, run: true},
	"a quote taken out":                            {lines: true, pretty: true},
	"a newline put in":                             {lines: true},
	"the first byte lost":                          {lines: true, run: true, pretty: true, noParts: true},
}

var kinds = map[string]func(name string) bool{
	"lines": func(n string) bool {
		return n == "a document a line" || n == "no newline at the end" || n == "CRLF" || n == "blank lines and a mark"
	},
	"run": func(n string) bool { return n == "run together" || n == "spaces between" },
	"array": func(n string) bool {
		return n == "an array" || n == "an array in an array" || n == "a page" || n == "a page of findings"
	},
	"pretty": func(n string) bool {
		return n == "pretty-printed" || n == "pretty-printed with tabs" || n == "pretty-printed and indented"
	},
}

func TestNeighbours(t *testing.T) {
	for name, style := range styles {
		for how, damage := range damages {
			lost, foreign, n := 0, 0, 0
			var example string
			for seed := range uint64(40) {
				k, others, f, in := neighboursKept(style, damage, seed)
				n, lost, foreign = n+others, lost+others-k, foreign+len(f)
				if (k < others || len(f) > 0) && (example == "" || len(in) < len(example)) {
					example = in
				}
			}
			if lost+foreign == 0 {
				continue
			}
			t.Logf("%-36s %-46s lost %3d of %d, parts taken for documents %d", name, how, lost, n, foreign)
			if testing.Verbose() {
				t.Logf("%q", example)
			}
			want := kept[how]
			for kind, promised := range map[string]bool{"lines": want.lines, "run": want.run, "array": want.array, "pretty": want.pretty} {
				if promised && kinds[kind](name) && (lost > 0 || foreign > 0 && want.noParts) {
					t.Errorf("%s, %s: %d of %d neighbours lost, %d parts taken for documents: %q", name, how, lost, n, foreign, example)
				}
			}
		}
	}
}
