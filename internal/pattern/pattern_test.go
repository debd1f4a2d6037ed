package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/scan"
)

func TestErrorsTellThePlace(t *testing.T) {
	for name, tt := range map[string]struct {
		pattern string
		want    string
	}{
		"no JSON":                  {"{\n  \"a\": [x]\n}", `line 2, column 9, at $: not valid JSON: expected a value, found 'x'`},
		"cut short":                {`{"a":["b"`, `line 1, column 10, at $: not valid JSON: the document ends inside a value`},
		"nothing":                  {``, `line 1, column 1, at $: not valid JSON: the document ends inside a value`},
		"two patterns":             {`{"a":["b"]} {`, `line 1, column 13, at $: expected nothing after the pattern's closing brace`},
		"not an object":            {`["a"]`, `line 1, column 1, at $: expected an object, found an array`},
		"empty object":             {`{"a":{}}`, `line 1, column 6, at $.a: an empty object is not allowed: expected at least one field`},
		"empty array":              {`{"a":{"b":[]}}`, `line 1, column 11, at $.a.b: an empty array is not allowed: expected at least one value`},
		"bare scalar":              {"{\"détail\":\n {\"state\": \"x\"}}", `line 2, column 12, at $["détail"].state: expected an array of values or an object, found the string "x": values stand in brackets`},
		"array in an array":        {`{"a":[["b"]]}`, `line 1, column 7, at $.a[0]: expected a string, number, true, false, null or an object, found an array`},
		"unknown operator":         {`{"a":["x",{"prefx":"b"}]}`, `line 1, column 12, at $.a[1]: unknown operator "prefx": expected prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr or exists`},
		"two operators":            {`{"a":[{"prefix":"b","suffix":"c"}]}`, `line 1, column 21, at $.a[0].suffix: expected only one key beside "prefix"`},
		"no operator":              {`{"a":[{}]}`, `line 1, column 7, at $.a[0]: an empty object is not allowed: expected prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr or exists`},
		"prefix of a number":       {`{"a":[{"prefix":3}]}`, `line 1, column 17, at $.a[0].prefix: expected a string, found the number 3`},
		"prefix of an operator":    {`{"a":[{"prefix":{"wildcard":"*"}}]}`, `line 1, column 18, at $.a[0].prefix: expected equals-ignore-case, found "wildcard"`},
		"two stars":                {`{"a":[{"wildcard":"x**"}]}`, `line 1, column 19, at $.a[0].wildcard: two stars in a row, at byte 1 of the string: expected one`},
		"bad escape":               {`{"a":[{"wildcard":"a\\x"}]}`, `line 1, column 19, at $.a[0].wildcard: unknown escape, at byte 1 of the string: expected \* or \\ (in JSON each backslash is written twice)`},
		"mixed anything-but":       {`{"a":[{"anything-but":["x",1]}]}`, `line 1, column 28, at $.a[0]["anything-but"][1]: strings`},
		"anything-but null":        {`{"a":[{"anything-but":null}]}`, `line 1, column 23, at $.a[0].anything-but: expected a string or a number, found null`},
		"anything-but exists":      {`{"a":[{"anything-but":{"exists":true}}]}`, `line 1, column 24, at $.a[0].anything-but: expected prefix, suffix, equals-ignore-case or wildcard inside anything-but, found "exists"`},
		"anything-but empty":       {`{"a":[{"anything-but":{"prefix":["x",""]}}]}`, `line 1, column 38, at $.a[0].anything-but.prefix[1]: an empty prefix is not allowed here: it would leave no string`},
		"empty range":              {`{"a":[{"numeric":[">",5,"<=",5]}]}`, `line 1, column 30, at $.a[0].numeric[3]: expected an upper bound above the lower one, 5; found 5`},
		"upper bound first":        {`{"a":[{"numeric":["<",5,">",1]}]}`, `line 1, column 19, at $.a[0].numeric[0]: expected > or >= for the lower bound, which comes first; found "<"`},
		"number as a string":       {`{"a":[{"numeric":["=","1"]}]}`, `line 1, column 23, at $.a[0].numeric[1]: expected a number, found the string "1"`},
		"no bound":                 {`{"a":[{"numeric":[]}]}`, `line 1, column 18, at $.a[0].numeric: expected an operator and a number, or two of each, such as [">", 0, "<=", 5]; found 0 values`},
		"inexact number":           {`{"a":[{"numeric":["=",9007199254740993]}]}`, `line 1, column 23, at $.a[0].numeric[1]: 9007199254740993 has more digits, or is larger, than an IEEE 754 double keeps: expected a number that one holds exactly as written`},
		"mask too long":            {`{"a":[{"cidr":"10.0.0.0/32"}]}`, `line 1, column 15, at $.a[0].cidr: expected a mask from 0 to 31, found "32"`},
		"no address":               {`{"a":[{"cidr":"ten/8"}]}`, `line 1, column 15, at $.a[0].cidr: "ten" is no IPv4 or IPv6 address`},
		"no mask":                  {`{"a":[{"cidr":"10.0.0.0"}]}`, `line 1, column 15, at $.a[0].cidr: expected an address and a mask, such as 10.0.0.0/24`},
		"exists of a string":       {`{"a":[{"exists":"true"}]}`, `line 1, column 17, at $.a[0].exists: expected true or false, found the string "true"`},
		"one alternative":          {`{"$or":[{"a":["b"]}]}`, `line 1, column 8, at $.$or: expected at least two objects, found 1`},
		"reserved word inside $or": {`{"$or":[{"a":["b"]},{"x":{"cidr":["b"]}}]}`, `line 1, column 27, at $.$or[1].x.cidr: "cidr" is a reserved word: expected a field, which has another name inside $or`},
		"too many combinations":    {`{` + strings.TrimSuffix(strings.Repeat(`"$or":[{"a":["1"]},{"b":["1"]}],`, 10), ",") + `}`, `the alternatives multiply to more than 1000 combinations`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile([]byte(tt.pattern))
			if err == nil {
				t.Fatal("compiled, want an error")
			}
			wantPlace(t, []byte(tt.pattern), err)
			if got := err.Error(); !strings.Contains(got, strings.ReplaceAll(tt.want, `["anything-but"]`, `.anything-but`)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestErrorsAreShort(t *testing.T) {
	_, err := Compile([]byte(`{"a":"` + strings.Repeat("long ", 1000) + `"}`))
	if err == nil || len(err.Error()) > 500 {
		t.Errorf("got %v, want a short error", err)
	}
}

// What the language says where the random cases seldom go.
func TestLanguage(t *testing.T) {
	for name, tt := range map[string]struct {
		pattern, event string
		want           any
	}{
		"$or is a field when its value cannot be alternatives": {`{"$or":["x"]}`, `{"$or":"x"}`, true},
		"so it is as an object":                                {`{"$or":{"a":["x"]}}`, `{"$or":{"a":"x"}}`, true},
		"so it is with operators":                              {`{"$or":[{"prefix":"x"},{"suffix":"y"}]}`, `{"$or":"zy"}`, true},
		"$or below a field":                                    {`{"a":{"$or":[{"b":["1"]},{"c":["2"]}]}}`, `{"a":{"c":"2"}}`, true},
		"a later field replaces one in $or":                    {`{"$or":[{"a":["1"]},{"b":["2"]}],"a":["3"]}`, `{"a":"3"}`, true},
		"a field in $or replaces an earlier one":               {`{"a":["3"],"$or":[{"a":["1"]},{"b":["2"]}]}`, `{"a":"1"}`, true},
		"the last of two fields wins":                          {`{"a":["1"],"a":["2"]}`, `{"a":"2"}`, true},
		"an element has both":                                  {`{"a":{"x":["1"],"y":["2"]}}`, `{"a":[{"x":"1","y":"0"},{"x":"1","y":"2"}]}`, true},
		"no element has both":                                  {`{"a":{"x":["1"],"y":["2"]}}`, `{"a":[{"x":"1","y":"0"},{"x":"0","y":"2"}]}`, false},
		"absent in the element that has the other":             {`{"a":{"x":["1"],"y":[{"exists":false}]}}`, `{"a":[{"x":"1"},{"x":"0","y":"2"}]}`, true},
		"absence is asked before later fields choose":          {`{"a":{"m":["1"],"b":[{"exists":false}]}}`, `{"a":[{"m":"1"},{"b":"2"}]}`, false},
		"plain elements are tied to no element":                {`{"a":["x"],"a.b":["y"]}`, `{"a":["x",{"b":"y"}]}`, true},
		"nested arrays are":                                    {`{"a":{"x":["1"],"y":["2"]}}`, `{"a":[[{"x":"1"},{"y":"2"}]]}`, false},
		"null is no string":                                    {`{"a":["null"]}`, `{"a":null}`, false},
		"an absent field is not null":                          {`{"a":[null]}`, `{}`, false},
		"a string is no number":                                {`{"a":[{"numeric":["=",1]}]}`, `{"a":"1"}`, false},
		"numbers by value":                                     {`{"a":[300]}`, `{"a":3.0e2}`, true},
		"an inexact number by its text":                        {`{"a":[9007199254740993]}`, `{"a":9007199254740993}`, true},
		"but not by its double":                                {`{"a":[9007199254740993]}`, `{"a":9007199254740992}`, false},
		"an account id as a number":                            {`{"a":[123456789012]}`, `{"a":123456789012.0}`, true},
		"an escaped value":                                     {`{"a":["\u0061/b"]}`, `{"\u0061":"a\/\u0062"}`, true},
		"an address in another spelling":                       {`{"a":["2001:db8::1"]}`, `{"a":"2001:0DB8:0:0:0:0:0:1"}`, true},
		"an address mapped to IPv6":                            {`{"a":["10.0.0.1"]}`, `{"a":"::ffff:a00:1"}`, true},
		"a block starts at its own address":                    {`{"a":[{"cidr":"10.0.0.5/24"}]}`, `{"a":"10.0.0.4"}`, false},
		"sharp s is two letters in upper case":                 {`{"a":[{"equals-ignore-case":"straße"}]}`, `{"a":"STRASSE"}`, true},
		"but not in lower case":                                {`{"a":[{"equals-ignore-case":"straße"}]}`, `{"a":"strasse"}`, false},
		"and two letters are no sharp s":                       {`{"a":[{"equals-ignore-case":"STRASSE"}]}`, `{"a":"straße"}`, false},
		"beyond 16 bits case has no meaning":                   {`{"a":[{"equals-ignore-case":"😀"}]}`, `{"a":"😀"}`, false},
		"an escaped star":                                      {`{"a":[{"wildcard":"a\\*b*"}]}`, `{"a":"a*bc"}`, true},
		"exactly":                                              {`{"a":[{"exactly":"10.0.0.1"}]}`, `{"a":"10.0.0.01"}`, false},
		"the ends of a wildcard do not overlap":                {`{"a":[{"wildcard":"ab*ba"}]}`, `{"a":"aba"}`, false},
		"a wildcard tears open what ignores case behind it":    {`{"a":[{"wildcard":"*bar"},{"prefix":{"equals-ignore-case":"ar"}}]}`, `{"a":"foo.R"}`, true},
		"but not what stands before it":                        {`{"a":[{"prefix":{"equals-ignore-case":"ar"}},{"wildcard":"*bar"}]}`, `{"a":"foo.R"}`, false},
		"nor at a character without case":                      {`{"a":[{"wildcard":"*zz"},{"prefix":{"equals-ignore-case":"1ab"}}]}`, `{"a":"xab"}`, false},
		"an address has digits that a number can have":         {`{"a":["16.0.0.5"]}`, `{"a":10000005}`, true},
		"a field inside and outside of an array":               {`{"p.a":[1],"p.b":[{"exists":false}]}`, `{"p.a":1,"p":[{"b":2},{"a":1}]}`, true},
		"an object is no leaf":                                 {`{"a":[{"exists":true}]}`, `{"a":{"b":1}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := answer(t, []byte(tt.pattern), []byte(tt.event)); got != tt.want {
				t.Errorf("got %v, want %v\npattern: %s\nevent: %s", got, tt.want, tt.pattern, tt.event)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	const pattern = `{"source":["aws.securityhub"],"detail":{"findings":{
		"Severity":{"Label":["HIGH"]},"Title":[{"prefix":"CVE"}],"Note":[{"exists":false}]},"kind":[1],"other":["x"],"list":["x"]}}`
	for name, tt := range map[string]struct {
		event string
		want  []FieldResult
	}{
		"all is well": {
			`{"source":"aws.securityhub","detail":{"kind":1,"other":"x","list":"x","findings":[{"Severity":{"Label":"HIGH"},"Title":"CVE-1"}]}}`, nil,
		},
		"each in its way": {
			`{"source":"aws.inspector\u001b[2J","detail":{"kind":"1","other":{},"list":[],"findings":[{"Severity":{"Label":"HIGH"},"Title":"x"},{"Title":"CVE-2","Note":"n"}]}}`,
			[]FieldResult{
				{Path: "detail.findings.Note", Want: `[{"exists":false}]`, Outcome: Present, Have: []string{`"n"`}},
				{Path: "detail.findings.Title", Want: `[{"prefix":"CVE"}]`, Outcome: Elsewhere, Have: []string{`"x"`, `"CVE-2"`}},
				{Path: "detail.kind", Want: `[1]`, Outcome: Different, Have: []string{`"1"`}},
				{Path: "detail.list", Want: `["x"]`, Outcome: Missing, Holds: "an empty array"},
				{Path: "detail.other", Want: `["x"]`, Outcome: Missing, Holds: "an object, which is no value"},
				{Path: "source", Want: `["aws.securityhub"]`, Outcome: Different, Have: []string{`"aws.inspector\u001b[2J"`}},
			},
		},
		"present, and long": {
			`{"source":"` + strings.Repeat("é", 100) + `","detail":{"kind":1,"other":"x","list":[1,2,3,4,5,6,"y"],"findings":[{"Severity":{"Label":"HIGH"},"Title":"CVE","Note":null}]}}`,
			[]FieldResult{
				{Path: "detail.findings.Note", Want: `[{"exists":false}]`, Outcome: Present, Have: []string{`null`}},
				{Path: "detail.list", Want: `["x"]`, Outcome: Different, Have: []string{"1", "2", "3", "4", "5"}, More: 2},
				{Path: "source", Want: `["aws.securityhub"]`, Outcome: Different, Have: []string{`"` + strings.Repeat("é", 80) + `…"`}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			paths := scan.NewPaths()
			m := NewSet(paths, mustCompile(t, pattern)).NewMatcher()
			var doc scan.Document
			if _, err := doc.Scan([]byte(tt.event), paths); err != nil {
				t.Fatal(err)
			}
			m.Load(&doc)
			var failed []FieldResult
			for _, f := range m.Explain(0)[0] {
				if f.Outcome != Found {
					failed = append(failed, f)
				}
			}
			if diff := cmp.Diff(tt.want, failed); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWarmMatcherDoesNotAllocate(t *testing.T) {
	texts := []string{
		defaultPattern,
		`{"detail":{"findings":{"AwsAccountId":[{"anything-but":"x"}],"Severity":{"Normalized":[{"numeric":[">",-1.5,"<=",1e3]}]},"Title":[{"suffix":{"equals-ignore-case":"É"}}],"Resources":{"Type":[{"wildcard":"*x*"}],"Id":[{"cidr":"10.0.0.0/8"},{"exists":true}]}}}}`,
		`{"$or":[{"detail":{"findings":{"Resources":{"Id":["x",{"exists":false}]}}}},{"a":[{"exists":false}]}]}`,
	}
	var patterns []*Pattern
	for _, text := range texts {
		patterns = append(patterns, mustCompile(t, text))
	}
	paths := scan.NewPaths()
	set := NewSet(paths, patterns...)
	m := set.NewMatcher()
	var doc scan.Document
	var out []int
	events := append(realEvents(t), []byte(`{"detail":{"findings":[{"Title":"\u00e9 \"é","Severity":{"Normalized":0.30000000000000004}}]}}`))
	if n := testing.AllocsPerRun(100, func() {
		for _, e := range events {
			if _, err := doc.Scan(e, paths); err != nil {
				t.Fatal(err)
			}
			m.Load(&doc)
			out = m.MatchAll(out[:0])
			m.Focus(Window{10, 1000, 20, 500})
			out = m.MatchAll(out[:0])
			for i := range set.Len() {
				m.Match(i)
			}
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// The search for consistent elements must not look at each element once for each other one, whatever the pattern.
func TestSearchIsLinearInElements(t *testing.T) {
	const n = 10000
	for i, text := range tiedPatterns {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			doc, m := largeArrays(t, n, text)
			m.Load(doc)
			if m.Match(0) {
				t.Fatalf("%s matches", text)
			}
			if m.tried > 10*n {
				t.Errorf("tried %d positions in arrays of %d elements\npattern: %s", m.tried, n, text)
			}
		})
	}
}

func TestFoldKeyIsTheSameForAllThatFolds(t *testing.T) {
	unkeyed := 0
	for r := rune(0); r <= 0xffff; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		f := compileFolded(opFold, string(r), nil)
		key, ok := f.key()
		if !ok {
			unkeyed++
			continue
		}
		for _, s := range []string{lower(r), upper(r)} {
			if got := string(appendFoldKey(nil, []byte(s))); got != key {
				t.Errorf("%U %s: key %q, want %q", r, s, got, key)
			}
		}
	}
	if unkeyed > 5 {
		t.Errorf("%d characters have no key", unkeyed)
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]any{
		"0": 0.0, "-0": 0.0, "0e5": 0.0, "6": 6.0, "6.0": 6.0, "6E0": 6.0, "600e-2": 6.0, "0.06E+2": 6.0, "-1.5": -1.5,
		"0.1": 0.1, "0.10000000000000001": nil, "0.30000000000000004": 0.30000000000000004, "9007199254740992": 9007199254740992.0,
		"9007199254740993": nil, "1e308": 1e308, "1e309": nil, "-1e309": nil, "5e-324": 5e-324, "1e-324": nil, "1e-400": nil,
		"1" + strings.Repeat("0", 30): 1e30, "0." + strings.Repeat("0", 30) + "1": 1e-31, "123456789012": 123456789012.0,
		"1.7976931348623157e308": 1.7976931348623157e308, "123456789012345678": nil, "1" + strings.Repeat("0", 22) + "1": nil,
	} {
		got, ok := parseNumber([]byte(text))
		if want == nil && ok || want != nil && (!ok || got != want) {
			t.Errorf("%s: got %v, %v, want %v", text, got, ok, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1": "0A000001", "010.0.0.01": "0A000001", "10.0.0.256": "", "10.0.0": "", "10.0.0.1.": "", "10..0.1": "", "1.2.3.4.5": "",
		"0000000010.0.0.1": "", "::": strings.Repeat("0", 32), "::1": strings.Repeat("0", 31) + "1", "1::": "0001" + strings.Repeat("0", 28),
		"1:2:3:4:5:6:7:8": "00010002000300040005000600070008", "1:2:3:4:5:6:7": "", "1:2:3:4:5:6:7:8:9": "", "1::2::3": "", ":::": "", ":1": "", "1:": "",
		"1:2:3:4:5:6:7::": "00010002000300040005000600070000", "::ffff:a00:1": "0A000001", "::ffff:10.0.0.1": "", "12345::": "", "ab:cd": "", ":": "", "": "", "fe80::1%eth0": "",
	} {
		a := parseIP([]byte(text))
		if got := string(a.digits(nil)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// More fields than a blame has bits.
func TestManyFields(t *testing.T) {
	var fields, right, wrong []string
	for i := range 80 {
		fields = append(fields, fmt.Sprintf(`"f%02d":[1]`, i))
		right = append(right, fmt.Sprintf(`"f%02d":1`, i))
		wrong = append(wrong, fmt.Sprintf(`"f%02d":%d`, i, 1-i/79))
	}
	pattern := `{"a":{` + strings.Join(fields, ",") + `}}`
	object := func(members []string) string { return "{" + strings.Join(members, ",") + "}" }
	last := `{"f79":1}`
	for event, want := range map[string]bool{
		`{"a":[` + object(wrong) + `,` + last + `,` + object(right) + `]}`: true,
		`{"a":[` + object(wrong) + `,` + last + `,` + object(wrong) + `]}`: false,
	} {
		if got := answer(t, []byte(pattern), []byte(event)); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestPatternsAreNotChangedByMatching(t *testing.T) {
	p := mustCompile(t, defaultPattern)
	before := p.String()
	one, two := NewSet(scan.NewPaths(), p), NewSet(scan.NewPaths(), mustCompile(t, `{"z":["1"]}`), p)
	if one.Pattern(0) != two.Pattern(1) || p.String() != before {
		t.Error("a pattern in two sets changed")
	}
	if _, err := Compile([]byte(before)); err != nil {
		t.Error(err)
	}
}

func TestSyntaxErrorIsFound(t *testing.T) {
	_, err := Compile([]byte("{\n\"a\":[{\"prefix\":1}]}"))
	e, ok := errors.AsType[*SyntaxError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	want := &SyntaxError{Path: "$.a[0].prefix", Offset: 17, Line: 2, Column: 16, Reason: "expected a string, found the number 1"}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !bytes.HasPrefix([]byte("{\n\"a\":[{\"prefix\":1}]}")[e.Offset:], []byte("1")) {
		t.Error("the offset is not that of the value")
	}
}
