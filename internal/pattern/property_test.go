package pattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/catchment/internal/scan"
)

// Words, numbers and names are few, so that patterns and events meet.
var (
	someNames   = []string{"a", "b", "c", "a.b", "b.c", "$or"}
	someWords   = []string{"", "x", "xy", "foo", "FOO", "foobar", "barfoo", "foo.bar", "a*b", `a\b`, "straße", "STRASSE", "é", "É", "日本", "null", "1", "10.0.0.1", "010.0.0.01", "10.0.0.5", "10.0.0.256", "10.0.1.0", "2001:db8::1", "2001:DB8:0:0::1", "::1", "::ffff:a00:1", "32.1.13.184", "16.0.0.5", "aa", "ab", "1ab", "-ab"}
	someNumbers = []string{"0", "-0", "0.0", "1", "1.0", "1E0", "10e-1", "-1", "1.5", "3.14159", "100", "1e2", "4999999999", "9007199254740993", "9007199254740992", "0.1", "0.10000000000000001", "1e400", "-2.5", "1e-400", "123456789012345678", "10000005", "100000051.5", "10000005.00000000000000001"}
	someBlocks  = []string{"10.0.0.0/24", "10.0.0.5/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "10.0.0.0/31", "16.0.0.0/4"}
)

func word() *rapid.Generator[string] { return rapid.SampledFrom(someWords) }

func genLeaf() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 5).Draw(t, "leaf") {
		case 0:
			return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "literal")
		case 1, 2:
			return rapid.SampledFrom(someNumbers).Draw(t, "number")
		default:
			b, _ := json.Marshal(word().Draw(t, "word"))
			s := string(b)
			if rapid.Bool().Draw(t, "escaped") {
				s = strings.ReplaceAll(strings.ReplaceAll(s, "o", `\u006f`), "é", `\u00E9`)
			}
			return s
		}
	})
}

func genEvent(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		n := rapid.IntRange(0, 4).Draw(t, "members")
		var members []string
		seen := map[string]bool{}
		for range n {
			name := rapid.SampledFrom(someNames).Draw(t, "name")
			if seen[name] {
				continue
			}
			seen[name] = true
			members = append(members, fmt.Sprintf(`"%s": %s`, name, genValue(depth-1).Draw(t, "value")))
		}
		return "{" + strings.Join(members, ",") + "}"
	})
}

func genValue(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		switch {
		case depth <= 0 || kind < 2:
			return genLeaf().Draw(t, "leaf")
		case kind < 4:
			return genEvent(depth).Draw(t, "object")
		default:
			return "[" + strings.Join(rapid.SliceOfN(genValue(depth-1), 0, 4).Draw(t, "elements"), " ,") + "]"
		}
	})
}

func quoted(t *rapid.T) string {
	b, _ := json.Marshal(word().Draw(t, "word"))
	return string(b)
}

func genAlternative() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		number := func() string { return rapid.SampledFrom(someNumbers).Draw(t, "number") }
		list := func(one func() string) string {
			if rapid.Bool().Draw(t, "single") {
				return one()
			}
			out := one()
			for range rapid.IntRange(0, 2).Draw(t, "more") {
				out += "," + one()
			}
			return "[" + out + "]"
		}
		text := func() string { return quoted(t) }
		wild := func() string {
			return rapid.SampledFrom([]string{`"*"`, `"*bar"`, `"f*r"`, `"a*a"`, `"1a*"`, `"*o*"`, `"1*b"`, `"-*"`, `"a\\*b"`, `"x*y*"`, `"**"`, `"a\\b"`, `"10.*"`, `"日*"`}).Draw(t, "wildcard")
		}
		switch rapid.IntRange(0, 14).Draw(t, "alternative") {
		case 0, 1:
			return genLeaf().Draw(t, "leaf")
		case 2:
			return `{"prefix":` + text() + `}`
		case 3:
			return `{"suffix":` + text() + `}`
		case 4:
			return `{"equals-ignore-case":` + text() + `}`
		case 5:
			return `{"prefix":{"equals-ignore-case":` + text() + `}}`
		case 6:
			return `{"suffix":{"equals-ignore-case":` + text() + `}}`
		case 7:
			return `{"wildcard":` + wild() + `}`
		case 8:
			return `{"anything-but":` + list(text) + `}`
		case 9:
			return `{"anything-but":` + list(number) + `}`
		case 10:
			op := rapid.SampledFrom([]string{"prefix", "suffix", "equals-ignore-case", "wildcard"}).Draw(t, "nested")
			if op == "wildcard" {
				text = wild
			}
			return `{"anything-but":{"` + op + `":` + list(text) + `}}`
		case 11:
			if rapid.Bool().Draw(t, "range") {
				return `{"numeric":[">",` + number() + `,"<=",` + number() + `]}`
			}
			return `{"numeric":["` + rapid.SampledFrom([]string{"=", "<", "<=", ">", ">="}).Draw(t, "op") + `",` + number() + `]}`
		case 12:
			return `{"cidr":"` + rapid.SampledFrom(someBlocks).Draw(t, "cidr") + `"}`
		case 13:
			return `{"exists":false}`
		default:
			return `{"exists":true}`
		}
	})
}

func genPattern(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var members []string
		for range rapid.IntRange(1, 3).Draw(t, "members") {
			switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
			case depth > 0 && kind == 0:
				alternatives := rapid.SliceOfN(genPattern(depth-1), 2, 3).Draw(t, "or")
				members = append(members, `"$or":[`+strings.Join(alternatives, ",")+`]`)
			case depth > 0 && kind < 4:
				members = append(members, `"`+rapid.SampledFrom(someNames[:5]).Draw(t, "name")+`":`+genPattern(depth-1).Draw(t, "below"))
			default:
				values := rapid.SliceOfN(genAlternative(), 1, 3).Draw(t, "values")
				members = append(members, `"`+rapid.SampledFrom(someNames[:5]).Draw(t, "name")+`":[`+strings.Join(values, ",")+`]`)
			}
		}
		return "{" + strings.Join(members, ",\n") + "}"
	})
}

// matching agrees with a slow matcher that was written for this, alone and in a set with others.
func matchingProperty(t *rapid.T) {
	texts := rapid.SliceOfN(genPattern(2), 1, 5).Draw(t, "patterns")
	var valid []string
	var patterns []*Pattern
	for _, text := range texts {
		if p, err := Compile([]byte(text)); err == nil {
			valid, patterns = append(valid, text), append(patterns, p)
		}
	}
	paths := scan.NewPaths()
	paths.Add("unrelated")
	set := NewSet(paths, patterns...)
	m := set.NewMatcher()
	var doc scan.Document
	for range 3 {
		event := genEvent(3).Draw(t, "event")
		if _, err := doc.Scan([]byte(event), paths); err != nil {
			t.Fatalf("scan %s: %v", event, err)
		}
		m.Load(&doc)
		all := map[int]bool{}
		for _, i := range m.MatchAll(nil) {
			all[i] = true
		}
		for i, text := range valid {
			want := refMatch([]byte(text), []byte(event))
			if got := m.Match(i); got != want {
				t.Fatalf("got %v, want %v\npattern: %s\nevent: %s", got, want, text, event)
			}
			if all[i] != want {
				t.Fatalf("in the set: got %v, want %v\npattern: %s\nevent: %s", all[i], want, text, event)
			}
			explained := false
			for _, fields := range m.Explain(i) {
				found := true
				for _, f := range fields {
					found = found && f.Outcome == Found
				}
				explained = explained || found
			}
			if explained != want {
				t.Fatalf("explanation says %v, want %v: %+v\npattern: %s\nevent: %s", explained, want, m.Explain(i), text, event)
			}
		}
	}
}

func TestMatchingAgreesWithReference(t *testing.T) { rapid.Check(t, matchingProperty) }

func FuzzMatching(f *testing.F) { f.Fuzz(rapid.MakeFuzz(matchingProperty)) }

// Many alternatives for one value: where operators meet each other.
func operatorsProperty(t *rapid.T) {
	alternatives := func() string {
		return strings.Join(rapid.SliceOfN(genAlternative(), 1, 4).Draw(t, "values"), ",")
	}
	text := `{"a":[` + alternatives() + `],"b":[` + alternatives() + `,{"exists":false}]}`
	p, err := Compile([]byte(text))
	if err != nil {
		t.Skip()
	}
	// One more field alike, so that anchors are chosen among several.
	paths := scan.NewPaths()
	m := NewSet(paths, p, p).NewMatcher()
	var doc scan.Document
	for range 4 {
		event := `{"a":` + genLeaf().Draw(t, "a") + `}`
		if rapid.Bool().Draw(t, "both") {
			event = `{"a":` + genLeaf().Draw(t, "a") + `,"b":` + genLeaf().Draw(t, "b") + `}`
		}
		if _, err := doc.Scan([]byte(event), paths); err != nil {
			t.Fatal(err)
		}
		m.Load(&doc)
		want := refMatch([]byte(text), []byte(event))
		if got, all := m.Match(0), m.MatchAll(nil); got != want || (len(all) == 2) != want {
			t.Fatalf("got %v and %v, want %v\npattern: %s\nevent: %s", got, all, want, text, event)
		}
	}
}

func TestOperatorsAgreeWithReference(t *testing.T) { rapid.Check(t, operatorsProperty) }

// Few values and many elements: where fields have to find consistent ones.
func elementsProperty(t *rapid.T) {
	var names []string
	for _, name := range []string{"p.a", "p.b", "p.c", "p.r.a", "p.r.b", "p.s.a", "q.a", "q.b", "q.z"} {
		if rapid.Bool().Draw(t, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Skip()
	}
	var fields []string
	for _, name := range names {
		fields = append(fields, `"`+name+`":[`+rapid.SampledFrom([]string{`1`, `1`, `1,2`, `{"exists":false}`, `1,{"exists":false}`}).Draw(t, "want")+`]`)
	}
	text := "{" + strings.Join(fields, ",") + "}"
	object := func(members ...string) string { return "{" + strings.Join(members, ",") + "}" }
	array := func(most int, one func() string) string {
		var all []string
		for range rapid.IntRange(0, most).Draw(t, "elements") {
			all = append(all, one())
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	leaves := func(names ...string) []string {
		var all []string
		for _, name := range names {
			if v := rapid.IntRange(0, 3).Draw(t, name); v > 0 {
				all = append(all, fmt.Sprintf("%q:%d", name, v%3))
			}
		}
		return all
	}
	inner := func() string { return object(leaves("a", "b")...) }
	outer := func() string {
		return object(append(leaves("a", "b", "c"), `"r":`+array(3, inner), `"s":`+array(2, inner))...)
	}
	nested := func() string {
		if rapid.IntRange(0, 4).Draw(t, "nest") == 0 {
			return array(2, outer)
		}
		return outer()
	}
	event := object(`"p":`+array(4, nested), `"q":`+array(4, func() string { return object(leaves("a", "b", "z")...) }))
	if rapid.IntRange(0, 3).Draw(t, "dotted") == 0 {
		event = event[:len(event)-1] + `,"q.b":1,"p.r":` + array(2, inner) + `}`
	}
	p, err := Compile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	paths := scan.NewPaths()
	m := NewSet(paths, p).NewMatcher()
	var doc scan.Document
	if _, err := doc.Scan([]byte(event), paths); err != nil {
		t.Fatal(err)
	}
	m.Load(&doc)
	if got, want := m.Match(0), refMatch([]byte(text), []byte(event)); got != want {
		t.Fatalf("got %v, want %v\npattern: %s\nevent: %s", got, want, text, event)
	}
}

func TestElementsAgreeWithReference(t *testing.T) { rapid.Check(t, elementsProperty) }

func FuzzElements(f *testing.F) { f.Fuzz(rapid.MakeFuzz(elementsProperty)) }

// The reference itself is held against the same answers, where it takes the pattern.
func TestReferenceConformance(t *testing.T) {
	for i, c := range conformanceCases(t) {
		if c.Want == "invalid" {
			continue
		}
		if got := refMatch(c.Rule, c.Event); got != c.Want {
			t.Errorf("line %d: got %v, want %v\npattern: %s\nevent: %s", i+1, got, c.Want, c.Rule, c.Event)
		}
	}
}

// A window shows what is left when all other elements of the array are taken out.
func TestWindowAgreesWithSmallerEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := `{"detail":{"findings":` + genPattern(1).Draw(t, "inside") + `},"a":` + genPattern(0).Draw(t, "outside") + `}`
		p, err := Compile([]byte(text))
		if err != nil {
			t.Skip()
		}
		elements := rapid.SliceOfN(genEvent(2), 1, 4).Draw(t, "findings")
		around := genValue(2).Draw(t, "around")
		event := func(elements ...string) string {
			return `{"a":` + around + `,"detail":{"findings":[` + strings.Join(elements, ",") + `]},"b":` + around + `}`
		}
		paths := scan.NewPaths()
		set := NewSet(paths, p)
		findings := int32(paths.Add("detail", "findings"))
		m := set.NewMatcher()
		var doc scan.Document
		whole := event(elements...)
		if _, err := doc.Scan([]byte(whole), paths); err != nil {
			t.Fatal(err)
		}
		m.Load(&doc)
		var array scan.Hit
		at := 0
		for _, h := range doc.Hits {
			if h.Path == findings && h.Kind == scan.Array && array.End == 0 {
				array = h
			}
			if h.Path != findings || h.Kind != scan.Object || h.Dotted {
				continue
			}
			m.Focus(Window{array.Start, array.End, h.Start, h.End})
			want := refMatch([]byte(text), []byte(event(elements[at])))
			if got := m.Match(0); got != want {
				t.Fatalf("element %d: got %v, want %v\npattern: %s\nevent: %s", at, got, want, text, whole)
			}
			if got := len(m.MatchAll(nil)) == 1; got != want {
				t.Fatalf("element %d in the set: got %v, want %v\npattern: %s\nevent: %s", at, got, want, text, whole)
			}
			at++
		}
		if at != len(elements) {
			t.Fatalf("saw %d of %d elements", at, len(elements))
		}
		m.Focus(Window{})
		if got, want := m.Match(0), refMatch([]byte(text), []byte(whole)); got != want {
			t.Fatalf("whole: got %v, want %v\npattern: %s\nevent: %s", got, want, text, whole)
		}
	})
}

// FuzzCompile: no text makes the compiler panic, an error carries its place, and what a pattern renders to compiles to
// the same answers and renders to itself.
func FuzzCompile(f *testing.F) {
	for _, c := range conformanceCases(f)[:50] {
		f.Add([]byte(c.Rule), []byte(c.Event))
	}
	f.Add([]byte(`{"$or":["x"],"a":["b"]}`), []byte(`{"$or":"x","a":"b"}`))
	f.Fuzz(func(t *testing.T, text, event []byte) {
		p, err := Compile(text)
		if err != nil {
			wantPlace(t, text, err)
			return
		}
		canonical := p.String()
		again, err := Compile([]byte(canonical))
		if err != nil {
			t.Fatalf("%s renders to %s: %v", text, canonical, err)
		}
		if diff := cmp.Diff(canonical, again.String()); diff != "" {
			t.Fatalf("rendering changes what was rendered: %s", diff)
		}
		paths := scan.NewPaths()
		set := NewSet(paths, p, again)
		var doc scan.Document
		if _, err := doc.Scan(event, paths); err != nil {
			return
		}
		m := set.NewMatcher()
		m.Load(&doc)
		if a, b := m.Match(0), m.Match(1); a != b {
			t.Fatalf("%s says %v, rendered as %s it says %v\nevent: %s", text, a, canonical, b, event)
		}
	})
}

func TestCanonicalAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := genPattern(2).Draw(t, "pattern")
		p, err := Compile([]byte(text))
		if err != nil {
			t.Skip()
		}
		again, err := Compile([]byte(p.String()))
		if err != nil {
			t.Fatalf("%s renders to %s: %v", text, p, err)
		}
		paths := scan.NewPaths()
		set := NewSet(paths, p, again)
		var doc scan.Document
		if _, err := doc.Scan([]byte(genEvent(3).Draw(t, "event")), paths); err != nil {
			t.Fatal(err)
		}
		m := set.NewMatcher()
		m.Load(&doc)
		if a, b := m.Match(0), m.Match(1); a != b {
			t.Fatalf("%s says %v, rendered as %s it says %v\nevent: %s", text, a, p, b, doc.Bytes)
		}
	})
}

func wantPlace(t *testing.T, text []byte, err error) {
	t.Helper()
	e, ok := errors.AsType[*SyntaxError](err)
	switch {
	case !ok:
		t.Fatalf("%s: %v is no SyntaxError", text, err)
	case e.Offset < 0 || e.Offset > len(text), e.Line < 1 || e.Column < 1, !strings.HasPrefix(e.Path, "$"), e.Reason == "":
		t.Fatalf("%s: no place in %+v", text, e)
	}
}
