package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An input is bytes that can be read as often as one likes.
type input struct {
	name string
	b    []byte
	err  error // of Open
}

func (i *input) Name() string { return i.name }

func (i *input) Open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(i.b)), i.err
}

func inputs(all ...*input) []Input {
	var out []Input
	for _, i := range all {
		out = append(out, i)
	}
	return out
}

func compile(tb rapid.TB, streams ...pipeline.Stream) *pipeline.Pipeline {
	tb.Helper()
	p, err := pipeline.Compile(streams)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// threeStreams are findings, the same once more elsewhere, and, under keys with a random part, events.
func threeStreams() []pipeline.Stream {
	again := pipeline.DefaultStream()
	again.Name, again.Prefix = "again", "again/"+again.Prefix
	events := pipeline.DefaultStream()
	events.Name, events.Record, events.Pattern = "events", pipeline.RecordEvent, []byte(`{"source":["aws.securityhub"]}`)
	events.Prefix, events.PartitionKeys = "events/!{timestamp:HH}/!{firehose:random-string}/", nil
	return []pipeline.Stream{pipeline.DefaultStream(), events, again}
}

// anEvent is one of some events: few accounts, regions and hours, so that partitions are shared.
func anEvent(n int) string {
	account := fmt.Sprintf("11112222333%d", n%3)
	if n%13 == 7 {
		account = "../" + account
	}
	product := "Inspector"
	if n%5 == 4 {
		product = "GuardDuty"
	}
	finding := fmt.Sprintf(`{"Id":"f-%d","AwsAccountId":%q,"Region":"eu-west-%d","Title":"} { \" é%s","ProductFields":{"aws/securityhub/ProductName":%q}}`,
		n, account, n%2, strings.Repeat("x", n*7%200), product)
	if n%11 == 3 {
		finding += "," + strings.Replace(finding, "f-", "g-", 1)
	}
	return fmt.Sprintf(`{"id":"e-%d","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub","time":"2026-05-01T1%d:20:30Z","region":"us-east-1","detail":{"findings":[%s]}}`,
		n, n%2, finding)
}

var broken = []string{`{"a":nope}`, `{"a":1`, `hello`, `}`, `[`, `]`, `"x"`, `{"a":"\q"}`, `{}`, "\x00", `{"Findings":[`, `{"a":[}`, `,`, "\xef\xbb\xbf", `{"a":"`, "\xff"}

// genPlain renders documents in one of the styles in which findings lie about.
func genPlain() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		damage := rapid.SampledFrom([]int{0, 0, 2, 6}).Draw(t, "damage")
		var docs []string
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 40), 0, 30).Draw(t, "events") {
			doc := anEvent(n)
			switch n % 9 {
			case 1:
				doc = fmt.Sprintf(`{"findingArn":"arn:aws:inspector2:eu-west-1:111122223330:finding/%d","awsAccountId":"111122223330","updatedAt":%d}`, n, 1777629600+n*1000)
			case 2:
				var b bytes.Buffer
				if err := json.Indent(&b, []byte(doc), "", "  "); err != nil {
					t.Fatal(err)
				}
				doc = b.String()
			}
			docs = append(docs, doc)
			if rapid.IntRange(0, 20).Draw(t, "broken") < damage {
				docs = append(docs, rapid.SampledFrom(broken).Draw(t, "what"))
			}
		}
		around := rapid.SampledFrom([][3]string{
			{"", "\n", "\n"},
			{"", "\n", ""},
			{"", "", ""},
			{"", "\r\n", "\r\n\r\n"},
			{"\xef\xbb\xbf", "\n\n  ", ""},
			{"[", ",", "]"},
			{"[\n  ", ",\n  ", "\n]\n"},
			{`{"Findings":[`, ",", `],"NextToken":"x"}`},
			{"{\n \"findings\" : [\n", " ,\n", "],\n \"failedItems\": {}\n}"},
			{"  ", "  ", "  "},
		}).Draw(t, "style")
		plain := []byte(around[0] + strings.Join(docs, around[1]) + around[2])
		if rapid.IntRange(0, 5).Draw(t, "cut") == 0 {
			plain = plain[:rapid.IntRange(0, len(plain)).Draw(t, "at")]
		}
		return plain
	})
}

func compressed(plain []byte, with string) []byte {
	var b bytes.Buffer
	switch with {
	case "gzip":
		w := gzip.NewWriter(&b)
		_, _ = w.Write(plain)
		_ = w.Close()
	case "zstd":
		w, _ := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		_, _ = w.Write(plain)
		_ = w.Close()
	default:
		return plain
	}
	return b.Bytes()
}

func genInputs() *rapid.Generator[[]*input] {
	return rapid.Custom(func(t *rapid.T) []*input {
		var all []*input
		for n := range rapid.IntRange(1, 4).Draw(t, "inputs") {
			with := rapid.SampledFrom([]string{"", "", "gzip", "zstd"}).Draw(t, "compression")
			i := &input{name: fmt.Sprintf("in/%d", n), b: compressed(genPlain().Draw(t, "plain"), with)}
			if with != "" && rapid.IntRange(0, 4).Draw(t, "broken off") == 0 {
				i.b = i.b[:rapid.IntRange(0, len(i.b)).Draw(t, "at")]
			}
			if rapid.IntRange(0, 15).Draw(t, "locked") == 0 {
				i.err = errors.New("permission denied")
			}
			all = append(all, i)
			if rapid.IntRange(0, 5).Draw(t, "again") == 0 {
				all = append(all, i)
			}
		}
		return all
	})
}

// A result is what an import comes to, told without objects.
type result struct {
	Lines      map[string][]string // by finished or evaluated prefix
	Received   int64
	Filtered   int64
	Duplicate  int64
	Rejected   map[string]int64
	Unreadable int
}

// reference does it one after the other, with all in memory.
func reference(tb rapid.TB, p *pipeline.Pipeline, all []*input, maxDocument int) result {
	want := result{Lines: make(map[string][]string), Rejected: make(map[string]int64)}
	type line struct {
		stream int
		text   string
	}
	seen := make(map[line]bool)
	r := p.NewRouter()
	for _, i := range all {
		take := func(d document.Document) bool {
			r.Route(d, pipeline.Arrival{Origin: i.name}, func(o *pipeline.Outcome) {
				want.Received++
				at := line{o.Stream, string(o.Line)}
				switch {
				case o.Kind == pipeline.Filtered:
					want.Filtered++
					return
				case seen[at]:
					want.Duplicate++
					return
				case o.Kind == pipeline.Rejected:
					want.Rejected[o.Code]++
				}
				seen[at] = true
				want.Lines[o.Prefix] = append(want.Lines[o.Prefix], at.text)
			})
			return true
		}
		var plain []byte
		err := i.err
		if err == nil {
			var from io.Reader
			if from, err = document.Open(bytes.NewReader(i.b)); err == nil {
				plain, err = io.ReadAll(from)
			}
		}
		document.Split(plain, document.Options{MaxDocument: maxDocument}, take)
		if err != nil {
			want.Unreadable++
			take(document.Document{Offset: int64(len(plain)), Err: brokenOffError{}})
		}
	}
	return want
}

// objects are a bucket's, by key.
func objects(tb rapid.TB, s *mem.Store) map[string]string {
	tb.Helper()
	all := make(map[string]string)
	for o, err := range s.List(context.Background(), "") {
		if err != nil {
			tb.Fatal(err)
		}
		r, err := s.Get(context.Background(), o.Key)
		if err != nil {
			tb.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			tb.Fatal(err)
		}
		all[o.Key] = string(b)
	}
	return all
}

// linesOf are the lines of objects by prefix, sorted. A random string in a prefix is a dot again.
func linesOf(tb rapid.TB, objects map[string]string) map[string][]string {
	tb.Helper()
	lines := make(map[string][]string)
	for key, b := range objects {
		r, err := document.Open(strings.NewReader(b))
		if err != nil {
			tb.Fatalf("%s: %v", key, err)
		}
		plain, err := io.ReadAll(r)
		if err != nil || !bytes.HasSuffix(plain, []byte("\n")) {
			tb.Fatalf("%s: %v: %q", key, err, plain)
		}
		at := key[:strings.LastIndexByte(key, '/')+1]
		if rest, found := strings.CutPrefix(at, "events/"); found {
			at = "events/" + rest[:2] + "/\x00/"
		}
		lines[at] = append(lines[at], strings.Split(strings.TrimSuffix(string(plain), "\n"), "\n")...)
	}
	return sorted(lines)
}

func sorted(lines map[string][]string) map[string][]string {
	for _, l := range lines {
		slices.Sort(l)
	}
	return lines
}

// together puts several objects with one call. Some of them do not work so.
type together struct{ *mem.Store }

func (s together) PutAll(ctx context.Context, objects []store.Keyed) []error {
	errs := make([]error, len(objects))
	for i, o := range objects {
		if errs[i] = s.Put(ctx, o.Key, o.Body); o.Key[len(o.Key)-10]%3 == 0 {
			errs[i] = &store.TemporaryError{Err: errors.New("the answer got lost")}
		}
	}
	return errs
}

// imported runs an import into s and checks its account.
func imported(tb rapid.TB, s *mem.Store, all []*input, o Options) (Counts, int) {
	tb.Helper()
	o.Store, o.Existing = s, s
	if o.Group != nil {
		o.Group = together{s}
	}
	c, err := Run(context.Background(), inputs(all...), o)
	unreadable := 0
	if err != nil {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				if _, ok := errors.AsType[*UnreadableError](e); !ok {
					tb.Fatal(e)
				}
				unreadable++
			}
		} else {
			tb.Fatal(err)
		}
	}
	if c.Received != c.Stored+c.Kept+c.Filtered+c.Duplicate || c.Kept != c.RejectedTotal() || c.Stored != c.Accepted {
		tb.Fatalf("the account does not balance: %+v", c)
	}
	return c, unreadable
}

// TestImportsAreEqual is the property of the package: the objects depend on the inputs and on what says how objects are
// made, and on nothing else; their lines are those of a slow import that does one thing after the other.
func TestImportsAreEqual(t *testing.T) {
	dir := t.TempDir()
	p := compile(t, threeStreams()...)
	rapid.Check(t, func(t *rapid.T) {
		all := genInputs().Draw(t, "all")
		kind := rapid.SampledFrom([]encode.Kind{encode.Gzip, encode.Zstd, encode.None}).Draw(t, "kind")
		o := Options{
			Pipeline: p, Window: 10_000, TempDir: dir, Workers: 1, Puts: 1,
			MaxDocument:  rapid.SampledFrom([]int{0, 0, 400, 60}).Draw(t, "longest document"),
			PendingBytes: rapid.SampledFrom([]int{0, 1, 20_000, 100_000}).Draw(t, "pending"),
			Partitions:   rapid.SampledFrom([]int{0, 1, 2, 5}).Draw(t, "partitions"),
			Seed:         rapid.Uint64().Draw(t, "seed"),
		}
		for range 3 {
			o.Outputs = append(o.Outputs, Output{Compression: kind, MaxBytes: rapid.SampledFrom([]int64{1, 600, 5000, 1 << 20}).Draw(t, "object")})
		}
		first := new(mem.Store)
		counts, unreadable := imported(t, first, all, o)
		want := objects(t, first)

		ref := reference(t, p, all, o.MaxDocument)
		if diff := cmp.Diff(sorted(ref.Lines), linesOf(t, want)); diff != "" {
			t.Fatalf("the bucket is not what a slow import makes: %s", diff)
		}
		got := result{ref.Lines, counts.Received, counts.Filtered, counts.Duplicate, counts.Rejected, unreadable}
		if diff := cmp.Diff(ref, got); diff != "" {
			t.Fatalf("the account is another: %s", diff)
		}

		for range 3 {
			v := o
			v.Workers = rapid.IntRange(1, 8).Draw(t, "workers")
			v.Puts = rapid.IntRange(1, 20).Draw(t, "puts")
			v.MemoryBytes = rapid.SampledFrom([]int{0, 1, 1000}).Draw(t, "memory")
			v.chunk = rapid.SampledFrom([]int{0, 1, 7, 100, 1000, 3000}).Draw(t, "chunk")
			v.burst = rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "burst")
			v.Seed++
			if rapid.Bool().Draw(t, "together") {
				v.Group = together{}
			}
			other := new(mem.Store)
			again, _ := imported(t, other, all, v)
			if diff := cmp.Diff(want, objects(t, other)); diff != "" {
				t.Fatalf("workers %d, puts %d, together %v, memory %d, chunks of %d make other objects: %s", v.Workers, v.Puts, v.Group, v.MemoryBytes, v.chunk, diff)
			}
			again.Segments = counts.Segments
			if diff := cmp.Diff(counts, again); diff != "" {
				t.Fatalf("workers %d, chunks of %d: another account: %s", v.Workers, v.chunk, diff)
			}
			imported(t, first, all, v)
			if diff := cmp.Diff(want, objects(t, first)); diff != "" {
				t.Fatalf("the second run adds something: %s", diff)
			}
		}

		v := o
		v.PendingBytes, v.Partitions = 0, 0
		other := new(mem.Store)
		imported(t, other, all, v)
		if diff := cmp.Diff(linesOf(t, want), linesOf(t, objects(t, other))); diff != "" {
			t.Fatalf("where objects are cut makes other lines: %s", diff)
		}
	})
}

// The lines of a partition keep the order of the inputs.
func TestOrderIsKept(t *testing.T) {
	var in strings.Builder
	var want []string
	for n := range 3000 {
		f := fmt.Sprintf(`{"Id":"f-%d","AwsAccountId":"111122223333","Region":"eu-west-1","UpdatedAt":"2026-05-01T10:00:00Z","ProductFields":{"aws/securityhub/ProductName":"Inspector"}}`, n)
		want = append(want, f)
		in.WriteString(f + "\n")
	}
	s := new(mem.Store)
	imported(t, s, []*input{{name: "in", b: []byte(in.String())}}, Options{
		Pipeline: compile(t, pipeline.DefaultStream()), Window: 5000, Workers: 4, chunk: 1000, Outputs: []Output{{Compression: encode.Gzip, MaxBytes: 1 << 30}},
	})
	all := objects(t, s)
	if len(all) != 1 {
		t.Fatalf("%d objects", len(all))
	}
	for key, b := range all {
		r, err := document.Open(strings.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(r)
		if err != nil || string(plain) != strings.Join(want, "\n")+"\n" {
			t.Errorf("%s: the lines are out of order: %v", key, err)
		}
	}
}

// An object is named by what it holds, and by nothing else.
func TestNames(t *testing.T) {
	s := new(mem.Store)
	imported(t, s, []*input{{name: "in", b: []byte(anEvent(0) + anEvent(4) + strings.Replace(strings.Replace(anEvent(0), "f-0", "f-1", 1), "10:20:30", "10:19:29", 1) + "x")}}, Options{
		Pipeline: compile(t, threeStreams()...), Window: 10, Outputs: []Output{{Compression: encode.Gzip, MaxBytes: 1}, {Compression: encode.None, MaxBytes: 1}, {Compression: encode.Zstd, MaxBytes: 1 << 20}},
	})
	keys := slices.Sorted(maps.Keys(objects(t, s)))
	if diff := cmp.Diff(wantNames, keys); diff != "" {
		t.Error("names are part of the format of the bucket: an import that is repeated after an upgrade would add its objects again", diff)
	}
	for _, key := range keys {
		if strings.Contains(key, "\x00") || prefix.Finish(key, [16]byte{}) != key {
			t.Errorf("%q", key)
		}
	}
}

var wantNames = []string{
	"AWSLogs/111122223330/Inspector/eu-west-0/2026/05/01/10/inspector-1-2026-05-01-10-19-29-07137770-4f25-8a89-b4b8-bb4fb1c1e60f.json.gz",
	"AWSLogs/111122223330/Inspector/eu-west-0/2026/05/01/10/inspector-1-2026-05-01-10-20-30-fccbcd0b-6d55-8e02-91dc-2f05b2a410c5.json.gz",
	"again/AWSLogs/111122223330/Inspector/eu-west-0/2026/05/01/10/again-1-2026-05-01-10-19-29-aeb1c949-841d-8266-b2e1-5d179c15c1a6.json.zst",
	"errors/processing-failed/1970/01/01/00/inspector-1-1970-01-01-00-00-00-5cc5f850-79c5-8a6c-a630-80f1019ca36b.json.gz",
	"events/10/aee7ioee86w/events-1-2026-05-01-10-20-30-27146823-7b41-8a6a-bcb2-0a12e8b81ba3.json",
	"events/10/rpxbxzzxcdn/events-1-2026-05-01-10-19-29-cb516b2d-48d4-8b59-81fa-a9d0b4e53033.json",
	"events/10/s2n0pv8oi82/events-1-2026-05-01-10-20-30-d302e0e2-4d1c-8a84-9882-9c4e0007310a.json",
}
