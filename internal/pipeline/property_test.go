package pipeline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/scan"
	"example.org/catchment/internal/store"
)

// streamsOfAll are streams of each kind, with keys of each kind, that most events match.
func streamsOfAll() []pipeline.Stream {
	return []pipeline.Stream{
		pipeline.DefaultStream(),
		stream(func(s *pipeline.Stream) {
			everything(s)
			s.Name, s.Record, s.TimeZone = "events", pipeline.RecordEvent, "Asia/Kathmandu"
			s.PartitionKeys = map[string]string{"id": `.id // "none"`, "title": ".detail.findings[0].Title // .detail.title"}
			s.Prefix = "e/!{partitionKeyFromQuery:id}/!{partitionKeyFromQuery:title}/!{timestamp:HH}/!{firehose:random-string}/"
		}),
		stream(func(s *pipeline.Stream) {
			everything(s)
			s.Name, s.Timestamp = "jq", pipeline.TimestampEvent
			s.PartitionKeys = map[string]string{"title": `(.Title // .title) | ascii_downcase`, "account": ".AwsAccountId"}
			s.Prefix = "j/!{partitionKeyFromQuery:title}-!{partitionKeyFromQuery:account}/!{timestamp:yyyy}/"
		}),
	}
}

var pieces = []string{
	`"AwsAccountId":"111122223333"`, `"AwsAccountId":"../.."`, `"AwsAccountId":7`, `"Aws\u0041ccountId":"444455556666"`, `"Region":"eu-west-1"`, `"Region":null`,
	`"ProductFields":{"aws/securityhub/ProductName":"Inspector"}`, `"ProductFields":{"aws/securityhub/ProductName":["Inspector","x"]}`, `"ProductFields":[]`,
	`"Title":"t"`, `"Title":"a/b"`, `"Title":"\u0000"`, `"Title":{"a":1}`, `"title":"x y"`, `"Id":"f"`, `"ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/inspector"`,
	`"UpdatedAt":"2026-05-01T10:00:00Z"`, `"UpdatedAt":"?"`, `"findingArn":"arn:aws:inspector2:eu-west-1:111122223333:finding/1"`, `"awsAccountId":"111122223333"`,
	`"arn":"arn:aws:inspector:eu-west-1:111122223333:target/0-a/template/0-b/run/0-c/finding/0-d"`, `"class_uid":2002`, `"finding_info":{"uid":"u"}`,
	`"cloud":{"account":{"uid":"111122223333"},"region":"eu-west-1"}`, `"Resources":[{"Region":"us-east-1"},{}]`, `"x.y":"{}"`, `"Note": "a\nb"`,
}

func genFinding() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			return rapid.SampledFrom([]string{"null", "[]", "{}", "7", `"x"`, `[{"Id":"a"}]`}).Draw(t, "value")
		}
		between := rapid.SampledFrom([]string{",", ",\n  ", ", "}).Draw(t, "between")
		return "{" + strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(pieces), 0, 8, rapid.ID[string]).Draw(t, "members"), between) + "}"
	})
}

// genDocument makes events, pages and bare findings, some of them damaged.
func genDocument() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		findings := rapid.SliceOfN(genFinding(), 0, 4).Draw(t, "findings")
		list := "[" + strings.Join(findings, ",") + "]"
		var text string
		switch rapid.IntRange(0, 5).Draw(t, "shape") {
		case 0:
			text = genFinding().Draw(t, "bare")
		case 1:
			text = `{"` + rapid.SampledFrom([]string{"Findings", "findings"}).Draw(t, "page") + `":` + list + `}`
		case 2:
			text = `{"id":"n","source":"aws.inspector2","detail-type":"Inspector2 Finding","time":"2026-05-01T10:20:30Z","detail":` + genFinding().Draw(t, "native") + `}`
		default:
			text = event(list)
			if rapid.IntRange(0, 5).Draw(t, "one") == 0 {
				text = event(genFinding().Draw(t, "not in an array"))
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "damage") == 0 {
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			text = text[:at] + rapid.SampledFrom([]string{"", "}", "\x00", `"a":1,`, "\xff"}).Draw(t, "by") + text[min(len(text), at+1):]
		}
		return text
	})
}

// TestRouteIsPure: what is routed depends on the document alone, not on what the router read before, nor on who scanned.
func TestRouteIsPure(t *testing.T) {
	p := compile(t, streamsOfAll()...)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(genDocument(), 1, 6).Draw(t, "documents"), rapid.SampledFrom([]string{"\n", "", " "}).Draw(t, "between"))
		in := pipeline.Arrival{Origin: "in"}
		if rapid.Bool().Draw(t, "arrives") {
			in.Time = time.Date(2026, 7, 1, 2, 3, 4, 0, time.UTC)
		}
		warm := p.NewRouter()
		var fused, plain, cold []outcome
		document.Split([]byte(text), document.Options{Scan: warm.Scan, MaxDocument: 4096}, func(d document.Document) bool {
			warm.Route(d, in, func(o *pipeline.Outcome) {
				fused = append(fused, outcome{kinds[o.Kind], o.Stream, o.Prefix, o.Code, string(o.Line), string(o.EventID)})
			})
			return true
		})
		var docs []document.Document
		document.Split([]byte(text), document.Options{MaxDocument: 4096}, func(d document.Document) bool {
			docs = append(docs, d)
			cold = append(cold, route(p, in, d)...)
			return true
		})
		plain = route(p, in, docs...)
		if diff := cmp.Diff(cold, plain); diff != "" {
			t.Fatalf("a router that has read before answers otherwise: %s", diff)
		}
		if diff := cmp.Diff(cold, fused); diff != "" {
			t.Fatalf("scanning once answers otherwise than scanning twice: %s", diff)
		}
		// The same buffer with other bytes: what Scan saw there before does not count.
		if len(docs) > 1 && docs[0].Err == nil {
			r := p.NewRouter()
			buf := append(make([]byte, 0, len(text)), docs[0].Bytes...)
			if _, err := r.Scan(buf); err != nil {
				t.Fatal(err)
			}
			r.Route(document.Document{Bytes: []byte(`{"a":1}`)}, in, func(o *pipeline.Outcome) {
				if o.Code != "unrecognised" {
					t.Fatalf("what was scanned is taken for another document: %+v", o)
				}
			})
			buf = append(buf[:0], docs[1].Bytes...)
			var got []outcome
			r.Route(document.Document{Bytes: buf, Offset: docs[1].Offset, Err: docs[1].Err}, in, func(o *pipeline.Outcome) {
				got = append(got, outcome{kinds[o.Kind], o.Stream, o.Prefix, o.Code, string(o.Line), string(o.EventID)})
			})
			if diff := cmp.Diff(route(p, in, docs[1]), got); diff != "" {
				t.Fatalf("what was scanned before another document counts: %s", diff)
			}
		}
	})
}

// checkOutcomes holds what is true of whatever a document comes to.
func checkOutcomes(tb rapid.TB, p *pipeline.Pipeline, doc []byte, got []outcome) {
	streams := p.Streams()
	count := make([]int, len(streams))
	var whole, kept int
	for _, o := range got {
		count[o.Stream]++
		if o.Kind == "filtered" {
			continue
		}
		if strings.IndexByte(o.Line, '\n') >= 0 || !json.Valid([]byte(o.Line)) {
			tb.Fatalf("%q: the line is not one line of JSON: %q", doc, o.Line)
		}
		name := prefix.Finish(o.Prefix, [16]byte{1})
		if err := store.CheckKey(name + "x"); err != nil {
			tb.Fatalf("%q: prefix %q: %v", doc, o.Prefix, err)
		}
		if o.Kind == "stored" {
			kept++
			if o.Code != "" || strings.HasPrefix(o.Prefix, "errors/") {
				tb.Fatalf("%q: %+v", doc, o)
			}
			continue
		}
		e := readError(tb, o.Line)
		if e.ErrorCode != o.Code || !strings.HasPrefix(o.Prefix, "errors/processing-failed/") || len(o.Code) > 32 {
			tb.Fatalf("%q: %+v", doc, o)
		}
		if !bytes.Contains(doc, e.RawData) {
			tb.Fatalf("%q: rawData is no part of it: %q", doc, e.RawData)
		}
		if bytes.Equal(e.RawData, doc) {
			whole++
		}
	}
	if whole == len(got) && whole == 1 && got[0].Stream == 0 {
		return // a document that belongs to no stream
	}
	var elements struct{ Findings, findings []json.RawMessage }
	// Nothing comes of a page without findings. Brackets that close nothing may follow it: they carry nothing.
	page := json.NewDecoder(bytes.NewReader(doc))
	if len(got) == 0 && (page.Decode(&elements) != nil || len(elements.Findings) > 0 ||
		len(bytes.Trim(doc[page.InputOffset():], "]} \t\r\n")) > 0) {
		tb.Fatalf("%q: nothing came of it", doc)
	}
	for i, n := range count {
		if n == 0 && len(got) > 0 && i > 0 && got[0].Code == "" {
			tb.Fatalf("%q: nothing came of it in stream %d: %+v", doc, i, got)
		}
		if streams[i].Record == pipeline.RecordEvent && n > count[0] {
			tb.Fatalf("%q: %d events, %d findings", doc, n, count[0])
		}
	}
}

func FuzzRoute(f *testing.F) {
	for _, name := range samples(f) {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
	}
	for i := range 20 {
		f.Add([]byte(genDocument().Example(i)), i%2 == 0)
	}
	p := compile(f, streamsOfAll()...)
	f.Fuzz(func(t *testing.T, doc []byte, arrives bool) {
		var in pipeline.Arrival
		if arrives {
			in = pipeline.Arrival{Time: time.Unix(1e9, 0), Origin: string(doc[:min(len(doc), 2000)])}
		}
		checkOutcomes(t, p, doc, route(p, in, document.Document{Bytes: doc}))
	})
}

func TestWhateverComes(t *testing.T) {
	p := compile(t, streamsOfAll()...)
	rapid.Check(t, func(t *rapid.T) {
		doc := genDocument().Draw(t, "document")
		checkOutcomes(t, p, []byte(doc), routeText(p, doc))
	})
}

// fiveKB is an event of 5 KB with one finding.
func fiveKB(product string) []byte {
	filler := `,"Resources":[{"Type":"AwsEc2Instance","Id":"arn:aws:ec2:eu-west-1:111122223333:instance/i-0","Region":"eu-west-1","Details":{"AwsEc2Instance":{"VpcId":"vpc-0","LaunchedAt":"2026-01-01T00:00:00Z","IpV4Addresses":["10.0.0.1","10.0.0.2"]}}}],"Title":"CVE-2026-0001 - openssl","Vulnerabilities":[`
	for i := 0; len(filler) < 4400; i++ {
		if i > 0 {
			filler += ","
		}
		filler += fmt.Sprintf(`{"Id":"CVE-2026-%04d","Cvss":[{"BaseScore":7.5,"Version":"3.1"}],"VulnerablePackages":[{"Name":"openssl","Version":"3.0.%d"}],"ReferenceUrls":["https://example.org/%d"]}`, i, i, i)
	}
	return []byte(event("[" + aFinding(one, product, filler+"]") + "]"))
}

// Once a router is warm, an event that is stored costs no allocation, nor does one that is filtered.
func TestRouteDoesNotAllocate(t *testing.T) {
	for name, doc := range map[string][]byte{"stored": fiveKB("Inspector"), "filtered": fiveKB("GuardDuty")} {
		r := compile(t, pipeline.DefaultStream()).NewRouter()
		emit := func(*pipeline.Outcome) {}
		if n := testing.AllocsPerRun(200, func() {
			if _, err := r.Scan(doc); err != nil {
				t.Fatal(err)
			}
			r.Route(document.Document{Bytes: doc}, pipeline.Arrival{}, emit)
		}); n > 0 {
			t.Errorf("%s: %v allocations a document", name, n)
		}
	}
}

// BenchmarkRoute is what an event costs when it is scanned and routed; compare it with BenchmarkScan.
func BenchmarkRoute(b *testing.B) {
	for _, product := range []string{"Inspector", "GuardDuty"} {
		b.Run(product, func(b *testing.B) {
			doc := fiveKB(product)
			r := compile(b, pipeline.DefaultStream()).NewRouter()
			emit := func(*pipeline.Outcome) {}
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				r.Route(document.Document{Bytes: doc}, pipeline.Arrival{}, emit)
			}
		})
	}
}

// BenchmarkManyFindings is what a finding costs among few and among many: the same.
func BenchmarkManyFindings(b *testing.B) {
	for _, n := range []int{10, 1000, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := aFinding(one, "Inspector", "")
			doc := []byte(event("[" + strings.Repeat(f+",", n-1) + f + "]"))
			r := compile(b, pipeline.DefaultStream()).NewRouter()
			emit := func(*pipeline.Outcome) {}
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				r.Route(document.Document{Bytes: doc}, pipeline.Arrival{}, emit)
			}
		})
	}
}

// BenchmarkScan is the limit for BenchmarkRoute: the same bytes validated, nothing captured, and with what Route wants.
func BenchmarkScan(b *testing.B) {
	doc := fiveKB("Inspector")
	b.Run("nothing", func(b *testing.B) {
		var d scan.Document
		paths := scan.NewPaths()
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			if _, err := d.Scan(doc, paths); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("what Route wants", func(b *testing.B) {
		r := compile(b, pipeline.DefaultStream()).NewRouter()
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			if _, err := r.Scan(doc); err != nil {
				b.Fatal(err)
			}
		}
	})
}
