package prefix_test

import (
	"os"
	"testing"
	"time"

	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/scan"
)

// BenchmarkAppend evaluates the default prefix with an evaluator that remembers the hour.
func BenchmarkAppend(b *testing.B) {
	v := mustCompile(b, defaultPrefix, prefix.Options{Keys: defaultKeys}).NewEvaluator()
	keys := [][]byte{[]byte("111111111111"), []byte("ap-northeast-1")}
	at := instant(b, "2026-11-23T01:02:03Z")
	var dst []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var err error
		if dst, err = v.AppendBytes(dst[:0], at.Add(time.Duration(i&1023)*time.Second), keys); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendAnotherHour changes the hour with each record, as an import sorted otherwise does.
func BenchmarkAppendAnotherHour(b *testing.B) {
	for _, zone := range []string{"UTC", "America/New_York"} {
		b.Run(zone, func(b *testing.B) {
			v := mustCompile(b, defaultPrefix, prefix.Options{Keys: defaultKeys, TimeZone: zone}).NewEvaluator()
			keys := [][]byte{[]byte("111111111111"), []byte("ap-northeast-1")}
			at := instant(b, "2026-11-23T01:02:03Z")
			var dst []byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var err error
				if dst, err = v.AppendBytes(dst[:0], at.Add(time.Duration(i&1023)*time.Hour), keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSelect finds account and region in an event: by captured paths, where the scan is
// needed anyway, and by the interpreter, which decodes the record first.
func BenchmarkSelect(b *testing.B) {
	doc, err := os.ReadFile("testdata/event-securityhub-imported.json")
	if err != nil {
		b.Fatal(err)
	}
	for name, queries := range map[string]map[string]string{
		"plain":       {"account": ".AwsAccountId", "region": ".Region // .Resources[0].Region"},
		"interpreted": {"account": ".AwsAccountId | tostring", "region": "(.Region // .Resources[0].Region) | tostring"},
	} {
		keys, err := prefix.CompileKeys(defaultKeys, queries)
		if err != nil {
			b.Fatal(err)
		}
		paths := scan.NewPaths()
		binding := keys.Bind(paths, "detail", "findings")
		var d scan.Document
		if _, err := d.Scan(doc, paths); err != nil {
			b.Fatal(err)
		}
		root := -1
		for i, h := range d.Hits {
			if int(h.Path) == binding.Root() && h.Kind == scan.Object {
				root = i
			}
		}
		s := binding.NewSelector()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Select(&d, root); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
