package pattern

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"testing"

	"example.org/catchment/internal/scan"
)

type conformanceCase struct {
	Rule  json.RawMessage
	Event json.RawMessage
	Want  any
}

// The cases are random patterns and events; the answers are those of aws/event-ruler, commit 337e8d9 (addRule and
// rulesForJSONEvent, one rule a machine). "invalid": it refused the rule.
func conformanceCases(tb testing.TB) []conformanceCase {
	tb.Helper()
	f, err := os.Open("testdata/event-patterns.jsonl.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var cases []conformanceCase
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c conformanceCase
		if err := json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &c); err != nil {
			tb.Fatal(err)
		}
		cases = append(cases, c)
	}
	if lines.Err() != nil {
		tb.Fatal(lines.Err())
	}
	return cases
}

func TestConformance(t *testing.T) {
	cases := conformanceCases(t)
	if len(cases) != 2000 {
		t.Fatalf("got %d cases, want 2000", len(cases))
	}
	for i, c := range cases {
		if got := answer(t, c.Rule, c.Event); got != c.Want {
			t.Errorf("line %d: got %v, want %v\npattern: %s\nevent: %s", i+1, got, c.Want, c.Rule, c.Event)
		}
	}
}

// answer returns whether pattern matches event, or "invalid".
func answer(tb testing.TB, pattern, event []byte) any {
	tb.Helper()
	p, err := Compile(pattern)
	if err != nil {
		return "invalid"
	}
	paths := scan.NewPaths()
	s := NewSet(paths, p)
	var doc scan.Document
	if _, err := doc.Scan(event, paths); err != nil {
		tb.Fatalf("scan %s: %v", event, err)
	}
	m := s.NewMatcher()
	m.Load(&doc)
	got := m.Match(0)
	if all := m.MatchAll(nil); (len(all) == 1) != got {
		tb.Errorf("Match says %v, MatchAll %v\npattern: %s\nevent: %s", got, all, pattern, event)
	}
	return got
}
