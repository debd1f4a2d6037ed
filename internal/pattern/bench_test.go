package pattern

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"example.org/catchment/internal/scan"
)

const defaultPattern = `{"source":["aws.securityhub"],"detail-type":["Security Hub Findings - Imported"],
	"detail":{"findings":{"ProductFields":{"aws/securityhub/ProductName":["Inspector"]}}}}`

func realEvents(tb testing.TB) [][]byte {
	tb.Helper()
	b, err := os.ReadFile("testdata/events-5k.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(b), []byte("\n"))
}

func mustCompile(tb testing.TB, text string) *Pattern {
	tb.Helper()
	p, err := Compile([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// BenchmarkDefaultPattern is the default pattern on real events of 5 KB: the scan alone, the match alone (the event
// being scanned already), and both.
func BenchmarkDefaultPattern(b *testing.B) {
	events := realEvents(b)
	size := 0
	for _, e := range events {
		size += len(e)
	}
	paths := scan.NewPaths()
	set := NewSet(paths, mustCompile(b, defaultPattern))
	docs := make([]scan.Document, len(events))
	for i := range docs {
		if _, err := docs[i].Scan(events[i], paths); err != nil {
			b.Fatal(err)
		}
	}
	m := set.NewMatcher()
	for _, step := range []struct {
		name        string
		scan, match bool
	}{{"scan", true, false}, {"match", false, true}, {"scan+match", true, true}} {
		b.Run(step.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				matches := 0
				for i := range events {
					if step.scan {
						if _, err := docs[i].Scan(events[i], paths); err != nil {
							b.Fatal(err)
						}
					}
					if step.match {
						if m.Load(&docs[i]); m.Match(0) {
							matches++
						}
					}
				}
				if step.match && matches != 1 {
					b.Fatalf("%d matches, want 1", matches)
				}
			}
		})
	}
}

// BenchmarkSet has many patterns that share no field value but the source, on one event of which the first pattern
// wants the account. The event is scanned already.
func BenchmarkSet(b *testing.B) {
	event := realEvents(b)[0]
	for _, n := range []int{1, 10, 100, 1000, 10000} {
		for kind, format := range map[string]string{
			"exact":  `{"source":["aws.securityhub"],"detail":{"findings":{"AwsAccountId":["%012d"]}}}`,
			"prefix": `{"source":["aws.securityhub"],"detail":{"findings":{"Id":[{"prefix":"arn:aws:inspector2:%d"}]}}}`,
			"fold":   `{"source":["aws.securityhub"],"detail":{"findings":{"Title":[{"suffix":{"equals-ignore-case":"%d - X"}}]}}}`,
		} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				patterns := []*Pattern{mustCompile(b, `{"source":["aws.securityhub"],"detail":{"findings":{"AwsAccountId":["123456789012"]}}}`)}
				for i := range n - 1 {
					patterns = append(patterns, mustCompile(b, fmt.Sprintf(format, i)))
				}
				paths := scan.NewPaths()
				set := NewSet(paths, patterns...)
				var doc scan.Document
				if _, err := doc.Scan(event, paths); err != nil {
					b.Fatal(err)
				}
				m := set.NewMatcher()
				var out []int
				b.ReportAllocs()
				for b.Loop() {
					m.Load(&doc)
					if out = m.MatchAll(out[:0]); len(out) != 1 {
						b.Fatalf("got %v, want the first", out)
					}
				}
			})
		}
	}
}

// BenchmarkCompileSet is what a set costs to build.
func BenchmarkCompileSet(b *testing.B) {
	for b.Loop() {
		var patterns []*Pattern
		for i := range 1000 {
			patterns = append(patterns, mustCompile(b, fmt.Sprintf(`{"source":["aws.securityhub"],"detail":{"findings":{"AwsAccountId":["%012d"]}}}`, i)))
		}
		NewSet(scan.NewPaths(), patterns...)
	}
}

// BenchmarkLargeArrays is an event of many resources on patterns that tie two fields of a resource to each other and
// find no resource that has both: the time must be in proportion to the resources.
func BenchmarkLargeArrays(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			doc, m := largeArrays(b, n, tiedPatterns...)
			for b.Loop() {
				m.Load(doc)
				if got := m.MatchAll(nil); len(got) > 0 {
					b.Fatalf("matched %v", got)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
		})
	}
}

var tiedPatterns = []string{
	`{"detail":{"a":{"x":["1"],"y":["2"]}}}`,
	`{"detail":{"a":{"x":["1"],"y":["2"]},"b":{"x":["1"]}}}`,
	`{"detail":{"a":{"x":["1"]},"b":{"x":["1"],"z":[{"exists":false}]},"c":{"y":[{"exists":false}]}}}`,
	`{"detail":{"a":{"x":["1"]},"b":{"x":["1"]},"e":{"p":["1"],"q":["1"]}}}`,
}

// largeArrays has two arrays of n objects, in which x is "1" in every other and y is "2" in the rest.
func largeArrays(tb testing.TB, n int, texts ...string) (*scan.Document, *Matcher) {
	tb.Helper()
	var b bytes.Buffer
	b.WriteString(`{"detail":{`)
	for _, name := range []string{"a", "b", "e"} {
		fmt.Fprintf(&b, `%q:[`, name)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			switch {
			case name == "e" && i%2 == 0:
				b.WriteString(`{"p":"1"}`)
			case name == "e":
				b.WriteString(`{"q":"1"}`)
			case i%2 == 0:
				b.WriteString(`{"x":"1","y":"1","z":[{}, 1]}`)
			default:
				b.WriteString(`{"x":"2","y":"2","z":0}`)
			}
		}
		b.WriteString(`],`)
	}
	b.WriteString(`"c":{"y":1}}}`)
	var patterns []*Pattern
	for _, text := range texts {
		patterns = append(patterns, mustCompile(tb, text))
	}
	paths := scan.NewPaths()
	set := NewSet(paths, patterns...)
	doc := &scan.Document{}
	if _, err := doc.Scan(b.Bytes(), paths); err != nil {
		tb.Fatal(err)
	}
	return doc, set.NewMatcher()
}
