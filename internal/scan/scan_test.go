package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHits(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want []string // path raw kind position flags
	}{
		"objects": {
			`{"source":"x","detail":{"findings":{"Id":1}}}`,
			[]string{`source "x" 5 `, `detail.findings {"Id":1} 6 `, `detail.findings.Id 1 4 `},
		},
		"arrays are transparent, and hits themselves": {
			`{"detail":{"findings":[{"Id":"a"},{"Id":["b",null]}]}}`,
			[]string{
				`detail.findings [{"Id":"a"},{"Id":["b",null]}] 7 `, `detail.findings {"Id":"a"} 6 0`, `detail.findings.Id "a" 5 0`,
				`detail.findings {"Id":["b",null]} 6 1`, `detail.findings.Id ["b",null] 7 1`, `detail.findings.Id "b" 5 1/0`, `detail.findings.Id null 1 1/1`,
			},
		},
		"keys written with escapes are the same keys": {
			`{"s\u006furce":"\u0078","det\u0061il":{"find\u0069ngs":{"\u0049d":true}}}`,
			[]string{`source "\u0078" 5  escaped`, `detail.findings {"\u0049d":true} 6 `, `detail.findings.Id true 3 `},
		},
		"keys in another case are other keys": {`{"Source":1,"detail":{"Findings":[1],"findings":false}}`, []string{`detail.findings false 2 `}},
		"a key with dots walks several steps and is marked": {
			`{"detail.findings":{"Id":1},"detail":{"findings.Id":2},"detail.findings.Id":3,"detail.":4,".":5,"detail.x":6}`,
			[]string{`detail.findings {"Id":1} 6  dotted`, `detail.findings.Id 1 4  dotted`, `detail.findings.Id 2 4  dotted`, `detail.findings.Id 3 4  dotted`},
		},
		"a wanted path through something that is no object": {`{"detail":"findings","source":[]}`, []string{`source [] 7 `}},
		"an empty object and white space everywhere":        {" { \"source\" : { } ,\n\t\"x\" : [ ] }\r", []string{`source { } 6 `}},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPaths()
			p.Add("source")
			p.Add("detail", "findings", "Id")
			p.Add("detail.findings")
			var d Document
			if _, err := d.Scan([]byte(tt.in), p); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range d.Hits {
				var at []string
				for pos := h.Pos; pos != 0; {
					index, parent, _ := d.Element(pos)
					at = slices.Insert(at, 0, fmt.Sprint(index))
					pos = parent
				}
				line := fmt.Sprintf("%s %s %d %s", p.Name(int(h.Path)), d.Raw(h), h.Kind, strings.Join(at, "/"))
				if h.Dotted {
					line += " dotted"
				}
				if h.Escaped {
					line += " escaped"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("hits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPathsAreNumberedOnce(t *testing.T) {
	p := NewPaths()
	a, b := p.Add("a"), p.Add("a", "b")
	for i := range 20 { // past the number of children that are looked through
		p.Add("a", fmt.Sprint("child", i))
	}
	if p.Add("a") != a || p.Add("a.b") != b || p.Add("a", "child3") == b || p.Len() != 22 {
		t.Errorf("a %d, a.b %d, of %d", p.Add("a"), p.Add("a.b"), p.Len())
	}
	if got := p.Name(b); got != "a.b" {
		t.Errorf("name %q, want a.b", got)
	}
	document := NewPaths()
	whole := document.Add()
	var d Document
	if _, err := d.Scan([]byte(` {"x":1} `), document); err != nil || len(d.Hits) != 1 || d.Hits[0].Path != int32(whole) || string(d.Raw(d.Hits[0])) != `{"x":1}` {
		t.Errorf("the document itself: %v, %v", d.Hits, err)
	}
}

// hostile are the inputs that other readers were tried with: what is wrong with each, and what Scan says of it.
var hostile = map[string]struct {
	in   string
	want string // empty: accepted; "incomplete"; or the reason's beginning
	at   int    // the error's offset, or how much is taken
}{
	"a good document":                 {`{"a":"b"}`, "", 9},
	"truncated in a string":           {`{"AwsAccountId":"1111`, "incomplete", 0},
	"truncated before the last brace": {`{"a":{"b":1}`, "incomplete", 0},
	"trailing text is not taken":      {`{"a":1} trailing`, "", 7},
	"two values: the first is taken":  {`{"a":1}{"b":2}`, "", 7},
	"bad UTF-8":                       {"{\"a\":\"\xff\xfe\"}", "invalid UTF-8", 6},
	"bad UTF-8 in a name":             {"{\"\xc3\x28\":1}", "invalid UTF-8", 2},
	"a surrogate as UTF-8":            {"{\"a\":\"\xed\xa0\x80\"}", "invalid UTF-8", 6},
	"an overlong form":                {"{\"a\":\"\xc0\xaf\"}", "invalid UTF-8", 6},
	"UTF-8 cut by the closing quote":  {"{\"a\":\"\xe2\x82\"}", "invalid UTF-8", 6},
	"a control character":             {"{\"a\":\"x\x01y\"}", "raw control character", 7},
	"a raw newline in a string":       {"{\"a\":\"x\ny\"}", "raw control character", 7},
	"a raw tab in a string":           {"{\"a\":\"12345678\t\"}", "raw control character", 14},
	"DEL is no control character":     {"{\"a\":\"\x7f\"}", "", 9},
	"an unknown escape":               {`{"a":"\x41"}`, "unknown escape", 6},
	"an escape with too few digits":   {`{"a":"\u12G4"}`, "expected four hexadecimal digits", 10},
	"a lone surrogate is accepted":    {`{"a":"\ud800"}`, "", 14},
	"a leading zero":                  {`{"a":007}`, "a number does not start with 0", 6},
	"a plus sign":                     {`{"a":+1}`, "expected a value", 5},
	"a point without digits":          {`{"a":1.}`, "expected a digit after the decimal point", 7},
	"a number that starts with .":     {`{"a":.5}`, "expected a value", 5},
	"an exponent without digits":      {`{"a":1e+}`, "expected a digit in the exponent", 8},
	"a minus alone":                   {`{"a":-}`, "expected a value", 5},
	"a hexadecimal number":            {`{"a":0x1F}`, "expected ',' or '}'", 6},
	"a number that no float64 holds":  {`{"a":1e999}`, "", 11},
	"NaN":                             {`{"a":NaN}`, "expected a value", 5},
	"a literal in the wrong case":     {`{"a":True}`, "expected a value", 5},
	"a literal that goes on":          {`{"a":nullx}`, "expected ',' or '}'", 9},
	"single quotes":                   {`{'a':1}`, "expected a member name", 1},
	"no quotes":                       {`{a:1}`, "expected a member name", 1},
	"a missing colon":                 {`{"a" 1}`, "expected ':'", 5},
	"a missing comma":                 {`{"a":1 "b":2}`, "expected ',' or '}'", 7},
	"a comma too many":                {`{"a":1,}`, "expected a member name", 7},
	"a comma too many in an array":    {`{"a":[1,]}`, "expected a value", 8},
	"a comma alone":                   {`{"a":[,]}`, "expected a value", 6},
	"a comment":                       {`{"a":1/*x*/}`, "expected ',' or '}'", 6},
	"brackets crossed":                {`{"a":[1}]`, "expected ',' or ']'", 7},
	"a bracket too many":              {`{"a":1}]`, "", 7},
	"a byte order mark":               {"\xef\xbb\xbf{}", "expected a value", 0},
	"a NUL":                           {"{\"a\":\x001}", "expected a value", 5},
	"a NUL in a string":               {"{\"a\":\"\x00\"}", "raw control character", 6},
	"a form feed as white space":      {"{\f}", "expected a member name", 1},
	"a no-break space":                {"{\"a\":\u00a01}", "expected a value", 5},
	"nothing":                         {"", "incomplete", 0},
	"nothing but white space":         {" \t\r\n", "incomplete", 0},
	"512 levels":                      {strings.Repeat("[", 512) + strings.Repeat("]", 512), "", 1024},
	"513 levels":                      {strings.Repeat("[", 513) + strings.Repeat("]", 513), "more than 512", 512},
	"513 levels of both kinds":        {strings.Repeat(`{"a":[`, 257), "more than 512", 256 * 6},
	"a million open brackets":         {strings.Repeat("[", 1000000), "more than 512", 512},
	"513 levels below a wanted path":  {`{"want":` + strings.Repeat(`[{"x":`, 300), "more than 512", 8 + 255*6 + 1},
}

func TestHostile(t *testing.T) {
	wanted, skipped := NewPaths(), NewPaths()
	wanted.Add("a")
	wanted.Add("want", "x")
	for name, tt := range hostile {
		t.Run(name, func(t *testing.T) {
			for where, paths := range map[string]*Paths{"captured": wanted, "skipped": skipped} {
				var d Document
				n, err := d.Scan([]byte(tt.in), paths)
				var syntax *SyntaxError
				switch {
				case tt.want == "incomplete":
					if !errors.Is(err, ErrIncomplete) {
						t.Errorf("%s: got %v, want ErrIncomplete", where, err)
					}
				case tt.want == "":
					if err != nil || n != tt.at {
						t.Errorf("%s: got %d, %v, want %d", where, n, err, tt.at)
					}
				case !errors.As(err, &syntax) || !strings.HasPrefix(syntax.Reason, tt.want) || syntax.Offset != tt.at:
					t.Errorf("%s: got %v, want %q at %d", where, err, tt.want, tt.at)
				}
			}
		})
	}
}

func TestOracleOnHostile(t *testing.T) {
	paths := fuzzPaths()
	var d Document
	for name, tt := range hostile {
		t.Run(name, func(t *testing.T) { checkAgainstOracle(t, &d, paths, []byte(tt.in)) })
	}
}

func TestDuplicate(t *testing.T) {
	many := NewPaths()
	var members []string
	for i := range 200 {
		many.Add("w", fmt.Sprintf("m%03d", i))
		members = append(members, fmt.Sprintf(`"m%03d":%d`, i, i))
	}
	p := NewPaths()
	p.Add("detail", "findings", "AwsAccountId")
	p.Add("detail", "findings", "Severity", "Label")
	for name, tt := range map[string]struct {
		in    string
		paths *Paths
		want  string
	}{
		"none":                                {`{"detail":{"findings":[{"AwsAccountId":1},{"AwsAccountId":2}]}}`, p, ""},
		"a wanted field":                      {`{"detail":{"findings":[{"AwsAccountId":1,"x":0,"AwsAccountId":1}]}}`, p, "detail.findings.AwsAccountId"},
		"the second written with an escape":   {`{"detail":{"findings":[{"AwsAccountId":1,"\u0041wsAccountId":2}]}}`, p, "detail.findings.AwsAccountId"},
		"in the second element":               {`{"detail":{"findings":[{},{"AwsAccountId":1,"AwsAccountId":2}]}}`, p, "detail.findings.AwsAccountId"},
		"an inner node":                       {`{"detail":{"findings":[]},"source":1,"det\u0061il":{}}`, p, "detail"},
		"an inner node below an array":        {`{"detail":{"findings":[{"Severity":{},"Severity":null}]}}`, p, "detail.findings.Severity"},
		"an unwanted field":                   {`{"x":1,"x":2,"detail":{"y":1,"y":2}}`, p, ""},
		"the same name at another level":      {`{"detail":{"detail":1,"findings":{"findings":1}}}`, p, ""},
		"a dotted key beside the plain one":   {`{"detail.findings":1,"detail":{"findings":2}}`, p, ""},
		"the first of two is named":           {`{"detail":{"findings":1,"findings":2},"detail":1}`, p, "detail.findings"},
		"all of 200":                          {`{"w":{` + strings.Join(members, ",") + `}}`, many, ""},
		"one of 200, beyond the first word":   {`{"w":{` + strings.Join(members, ",") + `,"m130":1}}`, many, "w.m130"},
		"one of 200, in the last word":        {`{"w":[{"m199":1},{"m199":1,"m000":2,"m199":3}]}`, many, "w.m199"},
		"200 members after a sibling's":       {`{"w":[{"m001":1},{"m001":1},{"m001":{"m001":1}}]}`, many, ""},
		"a broken document, before the fault": {`{"detail":1,"detail":2,x`, p, "detail"},
	} {
		t.Run(name, func(t *testing.T) {
			var d Document
			_, _ = d.Scan([]byte(tt.in), tt.paths)
			got, twice := d.Duplicate()
			if got != tt.want || twice != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, twice, tt.want)
			}
		})
	}
}

// TestReuse scans documents of all sorts with one Document: nothing of an earlier one, broken ones included, stays.
func TestReuse(t *testing.T) {
	paths := fuzzPaths()
	var reused Document
	for _, in := range fuzzSeeds {
		var fresh Document
		n1, err1 := fresh.Scan([]byte(in), paths)
		n2, err2 := reused.Scan([]byte(in), paths)
		if n1 != n2 || fmt.Sprint(err1) != fmt.Sprint(err2) || !cmp.Equal(asSeen(&fresh), asSeen(&reused)) {
			t.Errorf("%q: fresh %d %v %v, reused %d %v %v", in, n1, err1, fresh.Hits, n2, err2, reused.Hits)
		}
		name1, _ := fresh.Duplicate()
		if name2, _ := reused.Duplicate(); name1 != name2 {
			t.Errorf("%q: duplicate %q fresh, %q reused", in, name1, name2)
		}
	}
}

func TestNoAllocationWhenWarm(t *testing.T) {
	paths := fuzzPaths()
	in := []byte(`{"a":[{"b":{"c":"\u0041\ud83d\ude00"}},{"\u0062":[1,2,3]}],"w":{"f":1,"n":{},"z":[[{"y":"é"}]]},"a.b":true}`)
	var d Document
	var text []byte
	scanAll := func() {
		if _, err := d.Scan(in, paths); err != nil {
			t.Fatal(err)
		}
		for _, h := range d.Hits {
			if h.Kind == String {
				text = d.Text(h, text[:0])
			}
			d.Consistent(h.Pos, d.Hits[0].Pos)
		}
		if _, twice := d.Duplicate(); twice {
			t.Fatal("duplicate")
		}
	}
	scanAll()
	if n := testing.AllocsPerRun(100, scanAll); n != 0 {
		t.Errorf("%v allocations a document, want none", n)
	}
}

// TestIndented moves every byte of a document to every place of the eight-byte words that strings are read by.
func TestIndented(t *testing.T) {
	paths := NewPaths()
	at := paths.Add("k")
	for pad := range 17 {
		for _, special := range []string{`\"`, "é", "\\u0041", "\U0001F600", ""} {
			content := strings.Repeat("x", pad) + special + strings.Repeat("y", 20-pad)
			in := []byte(strings.Repeat(" ", pad%9) + `{"pad":"` + content + `","k":"` + content + `"}`)
			var d Document
			if n, err := d.Scan(in, paths); err != nil || n != len(in) {
				t.Fatalf("%s: %d, %v", in, n, err)
			}
			var want string
			if err := json.Unmarshal([]byte(`"`+content+`"`), &want); err != nil {
				t.Fatal(err)
			}
			if h := d.Hits[0]; h.Path != int32(at) || string(d.Text(h, nil)) != want {
				t.Errorf("%s: got %q, want %q", in, d.Text(h, nil), want)
			}
			broken := bytes.Replace(in, []byte("y"), []byte{0x1f}, 1)
			if _, err := d.Scan(broken, paths); err == nil || errors.Is(err, ErrIncomplete) {
				t.Errorf("%q: got %v, want a syntax error", broken, err)
			}
		}
	}
}
