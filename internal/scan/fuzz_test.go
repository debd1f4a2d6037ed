package scan

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// fuzzPaths are paths that short inputs reach: nested, shared, the inner node of another, with many siblings.
func fuzzPaths() *Paths {
	p := NewPaths()
	p.Add("a")
	p.Add("a", "b")
	p.Add("a", "b", "c")
	p.Add("b")
	p.Add("d", "e")
	p.Add("aa")
	for _, key := range []string{"f", "g", "h", "i", "j", "k", "l", "m", "n"} { // more than are looked through one by one
		p.Add("w", key)
	}
	return p
}

var fuzzSeeds = []string{
	`{"a":1}`, ` {"a":{"b":[{"c":"x"},{"c":"\u0079"}]}} rest`, `{"a":[[1,2],[{"b":3}]],"a":4}`, `{"a.b":1,"a":{"b.c":2}}`,
	`{"\u0061":{"b":"\ud83d\ude00\ud800"}}`, `[{"a":1},{"b":[]}]`, `12`, `-`, `-0.5e+7`, `0123`, `1.`, `"abc`, `"\x"`, `tru`, `truth`,
	"\"\x01\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xe2\x82", `{"a":`, `{"a"`, `{,}`, `[1,]`, `{"a":1,}`, `{"w":{"f":1,"n":2,"f":3}}`,
	`{"d":{"e":{}}}`, `{"d.e":null,"aa":false}`, "\xef\xbb\xbf{}", "{\"a\":\"12345678901234567\\\"\"}", `{"a":"` + "\u00e9\u20ac\U0001F600" + `"}`, ``, ` `,
}

// FuzzScan holds Scan against jsontext: the same verdict, the same length, and for wanted paths the same values.
func FuzzScan(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add([]byte(seed))
	}
	paths := fuzzPaths()
	var d Document
	f.Fuzz(func(t *testing.T, in []byte) { checkAgainstOracle(t, &d, paths, in) })
}

func checkAgainstOracle(t *testing.T, d *Document, paths *Paths, in []byte) {
	t.Helper()
	n, err := d.Scan(in, paths)
	value, consumed, depth, oracleErr := oracle(in)
	var syntax *SyntaxError
	switch {
	case err != nil && !errors.Is(err, ErrIncomplete) && !errors.As(err, &syntax):
		t.Fatalf("%.200q: %v is neither a *SyntaxError nor ErrIncomplete", in, err)
	case syntax != nil && (syntax.Offset < 0 || syntax.Offset >= len(in)):
		t.Fatalf("%.200q: the error's offset %d is outside", in, syntax.Offset)
	case oracleErr == nil && depth > MaxDepth:
		if syntax == nil {
			t.Fatalf("%.200q nests %d deep: got %v", in, depth, err)
		}
		return
	case syntax != nil && oracleErr == nil && zeroThenDigit(value, in[consumed:]):
		return // 012 is a wrong number here, and 0 followed by 12 to a reader of tokens
	case (err == nil) != (oracleErr == nil):
		t.Fatalf("%.200q: got %v, jsontext says %v", in, err, oracleErr)
	case syntax != nil && strings.HasPrefix(syntax.Reason, "more than"):
		return // jsontext reads on to another fault
	case err != nil:
		if utf8.Valid(in) && errors.Is(err, ErrIncomplete) != isEnd(oracleErr) {
			t.Fatalf("%.200q: got %v, jsontext says %v", in, err, oracleErr)
		}
		return
	case n != consumed:
		t.Fatalf("%.200q: took %d bytes, jsontext %d", in, n, consumed)
	}
	want, twice := walk(value, paths)
	got := asSeen(d)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%.200q: hits (-jsontext +scan):\n%s", in, diff)
	}
	if name, _ := d.Duplicate(); name != twice {
		t.Fatalf("%.200q: duplicate %.200q, want %.200q", in, name, twice)
	}
	for i, a := range d.Hits {
		for k, b := range d.Hits {
			if c := d.Consistent(a.Pos, b.Pos); c != consistent(got[i].Chain, got[k].Chain) {
				t.Fatalf("%.200q: Consistent(%s, %s) = %v", in, got[i].Chain, got[k].Chain, c)
			}
		}
		if a.Kind == String {
			checkText(t, d, a)
		}
	}
}

func zeroThenDigit(value, rest []byte) bool {
	return (string(value) == "0" || string(value) == "-0") && len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9'
}

func checkText(t *testing.T, d *Document, h Hit) {
	t.Helper()
	want, err := jsontext.AppendUnquote(nil, d.Raw(h)) // an error for lone surrogates, which become U+FFFD
	if want == nil && err != nil {
		t.Fatalf("%.200q: %v", d.Raw(h), err)
	}
	if got := d.Text(h, []byte("x")); h.Escaped && !bytes.Equal(got, append([]byte("x"), want...)) || !h.Escaped && !bytes.Equal(got, want) {
		t.Fatalf("%s: text %.200q, want %.200q", d.Raw(h), got, want)
	}
}

// FuzzUnescape holds AppendUnescaped against jsontext for any well-formed string.
func FuzzUnescape(f *testing.F) {
	for _, seed := range []string{`plain`, `\ud83d\ude00`, `\ud83d\u0041`, `\ude00\ud83d`, `\ud83dx`, `\ud83d\n`, `\ud83d\ud83d\ude00`, `\u0000\/\"\\\b\f\n\r\t`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		quoted := append(append([]byte{'"'}, content...), '"')
		if end, _, err := new(stops).skipString(quoted, 1); err != nil || end != len(quoted) {
			return
		}
		want, _ := jsontext.AppendUnquote(nil, quoted)
		if got := AppendUnescaped(nil, content); !bytes.Equal(got, want) {
			t.Fatalf("%.200q: got %.200q, want %.200q", content, got, want)
		}
	})
}

// FuzzPrefix cuts what is valid at every byte: a proper prefix of an object is incomplete, never wrong.
func FuzzPrefix(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add([]byte(seed))
	}
	paths := fuzzPaths()
	var d Document
	f.Fuzz(func(t *testing.T, in []byte) {
		n, err := d.Scan(in, paths)
		if err != nil || n > 4096 {
			return
		}
		whole := in[:n]
		if c := whole[len(whole)-1]; c != '}' && c != ']' && c != '"' {
			return // a number or a literal
		}
		for cut := range whole {
			if _, err := d.Scan(whole[:cut], paths); !errors.Is(err, ErrIncomplete) {
				t.Fatalf("%.200q cut to %.200q: got %v, want ErrIncomplete", whole, whole[:cut], err)
			}
		}
	})
}
