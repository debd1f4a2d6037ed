package pipeline_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pipeline"
)

// An outcome is what a test compares of a pipeline.Outcome.
type outcome struct {
	Kind   string
	Stream int    `json:",omitempty"`
	Prefix string `json:",omitempty"`
	Code   string `json:",omitempty"`
	Line   string `json:",omitempty"`
	ID     string `json:",omitempty"`
}

var kinds = map[pipeline.OutcomeKind]string{pipeline.Stored: "stored", pipeline.Rejected: "rejected", pipeline.Filtered: "filtered"}

func compile(tb testing.TB, streams ...pipeline.Stream) *pipeline.Pipeline {
	tb.Helper()
	p, err := pipeline.Compile(streams)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// stream is the default one, changed.
func stream(change func(*pipeline.Stream)) pipeline.Stream {
	s := pipeline.DefaultStream()
	change(&s)
	return s
}

func everything(s *pipeline.Stream) { s.Pattern = []byte(`{"source":[{"exists":true}]}`) }

// route routes documents with one router and copies what comes of them.
func route(p *pipeline.Pipeline, in pipeline.Arrival, docs ...document.Document) []outcome {
	var got []outcome
	r := p.NewRouter()
	for _, d := range docs {
		r.Route(d, in, func(o *pipeline.Outcome) {
			got = append(got, outcome{kinds[o.Kind], o.Stream, o.Prefix, o.Code, string(o.Line), string(o.EventID)})
		})
	}
	return got
}

func routeText(p *pipeline.Pipeline, text string) []outcome {
	return route(p, pipeline.Arrival{}, document.Document{Bytes: []byte(text)})
}

// short leaves the lines of what was stored, and of the others that they are error records.
func short(got []outcome) []string {
	var lines []string
	for _, o := range got {
		switch o.Kind {
		case "stored":
			lines = append(lines, "stored "+o.Prefix+" "+o.Line)
		case "rejected":
			lines = append(lines, "rejected "+o.Code)
		default:
			lines = append(lines, o.Kind)
		}
	}
	return lines
}

func checkShort(t *testing.T, got []outcome, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, short(got)); diff != "" {
		t.Error(diff)
	}
}

// event puts findings into an event that the default pattern may match.
func event(findings string) string {
	return `{"id":"e-1","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub","account":"999900001111",` +
		`"time":"2026-05-01T10:20:30Z","region":"us-east-1","detail":{"findings":` + findings + `}}`
}

func aFinding(account, product, more string) string {
	return `{"Id":"f","AwsAccountId":"` + account + `","Region":"eu-west-1","ProductFields":{"aws/securityhub/ProductName":"` + product + `"}` + more + `}`
}

const (
	one   = "111122223333"
	two   = "444455556666"
	place = "AWSLogs/" + one + "/Inspector/eu-west-1/2026/05/01/10/"
	other = "AWSLogs/" + two + "/Inspector/eu-west-1/2026/05/01/10/"
)

// A record is what Firehose writes of a record that it could not process.
type errorRecord struct {
	AttemptsMade           int    `json:"attemptsMade"`
	ArrivalTimestamp       int64  `json:"arrivalTimestamp"`
	ErrorCode              string `json:"errorCode"`
	ErrorMessage           string `json:"errorMessage"`
	AttemptEndingTimestamp int64  `json:"attemptEndingTimestamp"`
	RawData                []byte `json:"rawData"`
}

func readError(tb rapid.TB, line string) errorRecord {
	tb.Helper()
	var e errorRecord
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		tb.Fatalf("error record %.200q: %v", line, err)
	}
	return e
}

// samples are all files of real payloads, ordered by name.
func samples(tb testing.TB) []string {
	tb.Helper()
	var files []string
	for _, dir := range []string{"testdata/samples", "../finding/testdata/samples"} {
		some, err := filepath.Glob(dir + "/*.json")
		if err != nil {
			tb.Fatal(err)
		}
		files = append(files, some...)
	}
	if len(files) < 30 {
		tb.Fatalf("%d samples", len(files))
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	return files
}

// TestSamples routes real events, pages and findings through the default stream. UPDATE=1 rewrites the golden file.
func TestSamples(t *testing.T) {
	files := samples(t)
	var got bytes.Buffer
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range []pipeline.RecordKind{pipeline.RecordFinding, pipeline.RecordEvent} {
			p := compile(t, stream(func(s *pipeline.Stream) { s.Record = record }), stream(func(s *pipeline.Stream) { everything(s); s.Record = record }))
			fmt.Fprintf(&got, "%s, %s\n", filepath.Base(file), map[pipeline.RecordKind]string{pipeline.RecordFinding: "findings", pipeline.RecordEvent: "events"}[record])
			r := p.NewRouter()
			document.Split(b, document.Options{Scan: r.Scan}, func(d document.Document) bool {
				r.Route(d, pipeline.Arrival{}, func(o *pipeline.Outcome) {
					fmt.Fprintf(&got, "  stream %d: %s", o.Stream, kinds[o.Kind])
					if o.Kind == pipeline.Filtered {
						got.WriteByte('\n')
						return
					}
					sum := sha256.Sum256(o.Line)
					fmt.Fprintf(&got, " %s %s %d bytes %s\n", o.Code, o.Prefix, len(o.Line), hex.EncodeToString(sum[:6]))
					if o.Kind == pipeline.Rejected {
						fmt.Fprintf(&got, "    %s\n", readError(t, string(o.Line)).ErrorMessage)
					} else if bytes.IndexByte(o.Line, '\n') >= 0 || !json.Valid(o.Line) {
						t.Errorf("%s: the line is not one line of JSON: %q", file, o.Line)
					}
				})
				return true
			})
		}
	}
	const golden = "testdata/samples.golden"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestFindingsOfAnEvent(t *testing.T) {
	a, b := aFinding(one, "Inspector", ""), aFinding(two, "Inspector", "")
	alien := aFinding(two, "GuardDuty", "")
	bad := aFinding("../../../etc", "Inspector", "")
	for name, tt := range map[string]struct {
		findings       string
		byFinding      []string
		byEvent        []string
		rejectedBytes  string // of the first that is rejected by finding; empty: the event's
		alsoEverything bool
	}{
		"each is placed by itself, the event by its first": {
			findings:  "[" + a + "," + b + "]",
			byFinding: []string{"stored " + place + " " + a, "stored " + other + " " + b},
			byEvent:   []string{"stored " + place},
		},
		"each is matched by itself; the event goes where the first that matches goes": {
			findings:  "[" + alien + "," + a + "]",
			byFinding: []string{"filtered", "stored " + place + " " + a},
			byEvent:   []string{"stored " + place},
		},
		"none matches": {
			findings:  "[" + alien + "," + alien + "]",
			byFinding: []string{"filtered", "filtered"},
			byEvent:   []string{"filtered"},
		},
		"one of them has no place: it alone is rejected, the event with all": {
			findings:      "[" + bad + "," + a + "]",
			byFinding:     []string{"rejected account-invalid", "stored " + place + " " + a},
			byEvent:       []string{"rejected account-invalid"},
			rejectedBytes: bad,
		},
		"things that are no findings are none that match": {
			findings:  `[null,7,"x",[` + b + `],` + a + `]`,
			byFinding: []string{"filtered", "filtered", "filtered", "rejected finding-type", "stored " + place + " " + a},
			byEvent:   []string{"stored " + place},

			rejectedBytes: "[" + b + "]",
		},
		"an object instead of an array is one finding": {
			findings:  a,
			byFinding: []string{"stored " + place + " " + a},
			byEvent:   []string{"stored " + place},
		},
		"null":         {findings: "null", byFinding: []string{"filtered"}, byEvent: []string{"filtered"}},
		"an empty one": {findings: "[]", byFinding: []string{"filtered"}, byEvent: []string{"filtered"}},
		"text":         {findings: `"Inspector"`, byFinding: []string{"filtered"}, byEvent: []string{"filtered"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := event(tt.findings)
			got := routeText(compile(t, pipeline.DefaultStream()), e)
			checkShort(t, got, tt.byFinding...)
			for _, o := range got {
				if o.Kind == "rejected" {
					want := tt.rejectedBytes
					if raw := string(readError(t, o.Line).RawData); raw != want {
						t.Errorf("rawData is %s, want %s", raw, want)
					}
				}
			}
			for i, want := range tt.byEvent {
				if strings.HasPrefix(want, "stored") {
					tt.byEvent[i] += " " + e
				}
			}
			checkShort(t, routeText(compile(t, stream(func(s *pipeline.Stream) { s.Record = pipeline.RecordEvent })), e), tt.byEvent...)
		})
	}
}

func TestAnEventWithoutAFindingThatMatches(t *testing.T) {
	for _, findings := range []string{"null", "[]", "{}", "7", "[[]]", "[null]"} {
		for _, record := range []pipeline.RecordKind{pipeline.RecordFinding, pipeline.RecordEvent} {
			got := routeText(compile(t, stream(func(s *pipeline.Stream) { everything(s); s.Record = record })), event(findings))
			if len(got) != 1 || got[0].Kind != "rejected" || string(readError(t, got[0].Line).RawData) != event(findings) {
				t.Errorf("findings %s, record %d: %v", findings, record, got)
			}
		}
	}
}

// A key that holds dots walks several steps in a pattern, as EventBridge has it, but it is no findings' place.
func TestKeysWithDots(t *testing.T) {
	f := aFinding(one, "Inspector", "")
	e := strings.Replace(event("["+f+"]"), `"detail":{"findings":`, `"detail":{},"x":{"y":`, 1)
	e = strings.Replace(e, `"x":{"y":[`+f+`]}`, `"detail.findings":[`+f+`]`, 1)
	checkShort(t, routeText(compile(t, pipeline.DefaultStream()), e), "rejected finding-missing")
	dotted := `{"Id":"f","AwsAccountId":"` + one + `","Region":"eu-west-1","ProductFields.aws/securityhub/ProductName":"Inspector"}`
	checkShort(t, routeText(compile(t, pipeline.DefaultStream()), event("["+dotted+"]")), "stored "+place+" "+dotted)
}

// A native event has no findings; its detail is one.
func TestNativeEvents(t *testing.T) {
	detail := `{"findingArn":"arn:aws:inspector2:eu-west-1:` + one + `:finding/1","awsAccountId":"` + one + `","title":"t","severity":"HIGH"}`
	e := `{"id":"n-1","source":"aws.inspector2","detail-type":"Inspector2 Finding","time":"2026-05-01T10:20:30Z","region":"eu-west-1","detail":` + detail + `}`
	native := func(s *pipeline.Stream) { s.Pattern = []byte(`{"source":["aws.inspector2"]}`) }
	checkShort(t, routeText(compile(t, stream(native)), e), "stored "+place+" "+detail)
	checkShort(t, routeText(compile(t, pipeline.DefaultStream()), e), "filtered")
	checkShort(t, routeText(compile(t, stream(func(s *pipeline.Stream) { native(s); s.Record = pipeline.RecordEvent })), e), "stored "+place+" "+e)
	checkShort(t, routeText(compile(t, stream(func(s *pipeline.Stream) {
		native(s)
		s.PartitionKeys = map[string]string{"severity": ".severity", "n": ".title | length"}
		s.Prefix = "x/!{partitionKeyFromQuery:severity}/!{partitionKeyFromQuery:n}/!{timestamp:yyyy}/"
	})), e), "stored x/HIGH/1/2026/ "+detail)
}

// What comes without an envelope is matched as if Security Hub had sent it, and stored as it came.
func TestBareFindings(t *testing.T) {
	asff := `{"Id":"f","ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/inspector","AwsAccountId":"` + one + `","Region":"eu-west-1",` +
		`"UpdatedAt":"2026-05-01T10:00:00Z","ProductFields":{"aws/securityhub/ProductName":"Inspector"}}`
	v2 := `{"findingArn":"arn:aws:inspector2:eu-west-1:` + one + `:finding/1","awsAccountId":"` + one + `","updatedAt":1777629600.5}`
	classic := `{"arn":"arn:aws:inspector:eu-west-1:` + one + `:target/0-a/template/0-b/run/0-c/finding/0-d","updatedAt":1777629600}`
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"ASFF":              {asff, []string{"stored " + place + " " + asff}},
		"Inspector v2":      {v2, []string{"stored " + place + " " + v2}},
		"Inspector Classic": {classic, []string{"stored " + place + " " + classic}},
		"a page":            {`{"Findings":[` + asff + "," + asff + `],"NextToken":"x"}`, []string{"stored " + place + " " + asff, "stored " + place + " " + asff}},
		"a page of others, with what is no finding": {
			`{"findings":[` + v2 + `,null,[1],{"a":1},` + classic + `]}`,
			[]string{"stored " + place + " " + v2, "rejected finding-type", "rejected finding-type", "rejected unrecognised", "stored " + place + " " + classic},
		},
		"another product's":         {strings.ReplaceAll(asff, `"Inspector"`, `"GuardDuty"`), []string{"filtered"}},
		"nothing known":             {`{"hello":"world"}`, []string{"rejected unrecognised"}},
		"an empty object":           {`{}`, []string{"rejected unrecognised"}},
		"a page that is no array":   {`{"Findings":{"a":1}}`, []string{"rejected unrecognised"}},
		"an event without a source": {`{"detail":{"findings":[` + asff + `]}}`, []string{"rejected unrecognised"}},
	} {
		t.Run(name, func(t *testing.T) {
			checkShort(t, routeText(compile(t, pipeline.DefaultStream()), tt.text), tt.want...)
		})
	}
	t.Run("record: event stores the envelope around the finding's own bytes", func(t *testing.T) {
		got := routeText(compile(t, stream(func(s *pipeline.Stream) { s.Record = pipeline.RecordEvent })), v2)
		if len(got) != 1 || got[0].Kind != "stored" || !strings.Contains(got[0].Line, `"detail":{"findings":[`+v2+`]}}`) || !json.Valid([]byte(got[0].Line)) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("an element of a page that is refused says where it starts", func(t *testing.T) {
		page := `{"Findings":[` + asff + `,{"a":1}]}`
		got := route(compile(t, pipeline.DefaultStream()), pipeline.Arrival{Origin: "in"}, document.Document{Bytes: []byte(page), Offset: 1000})
		e := readError(t, got[1].Line)
		if want := fmt.Sprintf("in: document at byte %d: ", 1000+strings.Index(page, `{"a":1}`)); !strings.HasPrefix(e.ErrorMessage, want) || string(e.RawData) != `{"a":1}` {
			t.Errorf("%+v, want %s", e, want)
		}
	})
}

func TestFieldsGivenTwice(t *testing.T) {
	good := aFinding(one, "Inspector", "")
	for name, text := range map[string]string{
		"the account":                     event("[" + aFinding(one, "Inspector", `,"AwsAccountId":"`+two+`"`) + "]"),
		"the account, escaped":            event("[" + aFinding(one, "Inspector", `,"Aws\u0041ccountId":"`+two+`"`) + "]"),
		"the region":                      event("[" + aFinding(one, "Inspector", `,"Region":"us-east-1"`) + "]"),
		"the product, deep inside":        event("[" + strings.Replace(good, `"Inspector"`, `"Inspector","aws\/securityhub/ProductName":"X"`, 1) + "]"),
		"the object around it":            event("[" + aFinding(one, "Inspector", `,"ProductFields":{}`) + "]"),
		"the findings":                    strings.Replace(event("["+good+"]"), `"detail":{`, `"detail":{"findings":[],`, 1),
		"the detail":                      strings.Replace(event("["+good+"]"), `"detail":`, `"detail":{},"detail":`, 1),
		"the source":                      strings.Replace(event("["+good+"]"), `"source":`, `"sourc\u0065":"x","source":`, 1),
		"the time":                        strings.Replace(event("["+good+"]"), `"time":`, `"time":"2020-01-01T00:00:00Z","time":`, 1),
		"in the second finding":           event("[" + good + "," + aFinding(one, "Inspector", `,"AwsAccountId":"`+two+`"`) + "]"),
		"in a bare finding":               `{"ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/inspector","Id":"a","AwsAccountId":"` + one + `","AwsAccountId":"` + two + `","ProductFields":{"aws/securityhub/ProductName":"Inspector"}}`,
		"a page's findings":               `{"Findings":[` + good + `],"Findings":[]}`,
		"in a finding of another product": event("[" + aFinding(one, "GuardDuty", `,"AwsAccountId":"`+two+`"`) + "]"),
	} {
		t.Run(name, func(t *testing.T) {
			got := routeText(compile(t, pipeline.DefaultStream()), text)
			checkShort(t, got, "rejected duplicate-field")
			if len(got) == 1 && string(readError(t, got[0].Line).RawData) != text {
				t.Error("rawData is not the document")
			}
		})
	}
	t.Run("a field that nobody reads may come twice", func(t *testing.T) {
		f := aFinding(one, "Inspector", `,"Note":1,"Note":2`)
		checkShort(t, routeText(compile(t, pipeline.DefaultStream()), event("["+f+"]")), "stored "+place+" "+f)
	})
}

// Nothing that somebody wrote into a finding gets into a key unless it can be one segment of it.
func TestHostileValuesOfPartitionKeys(t *testing.T) {
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	queries := map[string]string{"a plain path": ".Title", "jq": `.Title | select(. != 7)`, "an alternative": `.Nope // .Title`}
	for name, tt := range map[string]struct{ title, code string }{
		"a slash":                  {quote("a/b"), "key-slash"},
		"an escaped slash":         {`"a\/b"`, "key-slash"},
		"a slash as a number":      {`"a\u002fb"`, "key-slash"},
		"up":                       {quote(".."), "key-dots"},
		"here":                     {quote("."), "key-dots"},
		"up, by escapes":           {`"\u002e\u002e"`, "key-dots"},
		"a backslash":              {quote(`..\x`), "key-backslash"},
		"a newline":                {quote("a\nb"), "key-control"},
		"NUL":                      {`"a\u0000b"`, "key-control"},
		"delete":                   {`"a\u007fb"`, "key-control"},
		"a terminal's escape":      {`"\u001b[31m"`, "key-control"},
		"text turned around":       {`"a\u202eb"`, "key-invisible"},
		"half of a pair":           {`"a\ud800"`, "key-encoding"},
		"600 characters":           {quote(strings.Repeat("x", 600)), "key-length"},
		"600 wide characters":      {quote(strings.Repeat("€", 600)), "key-length"},
		"nothing":                  {`""`, "key-empty"},
		"null":                     {`null`, "key-null"},
		"blanks":                   {quote("   "), "key-space"},
		"an object":                {`{"a":1}`, "key-type"},
		"an array":                 {`["a"]`, "key-type"},
		"what the place's mark is": {`"\u0000"`, "key-control"},
	} {
		for kind, query := range queries {
			t.Run(name+", "+kind, func(t *testing.T) {
				f := aFinding(one, "Inspector", `,"Title":`+tt.title)
				s := stream(func(s *pipeline.Stream) {
					s.PartitionKeys = map[string]string{"title": query}
					s.Prefix = "t/!{partitionKeyFromQuery:title}/!{timestamp:yyyy}/"
				})
				got := routeText(compile(t, s), event("["+f+"]"))
				checkShort(t, got, "rejected "+tt.code)
				if len(got) == 1 && !strings.HasPrefix(got[0].Prefix, "errors/processing-failed/2026/05/01/10/") {
					t.Errorf("the error record lies under %q", got[0].Prefix)
				}
			})
		}
	}
	t.Run("a key of ProductFields", func(t *testing.T) {
		s := stream(func(s *pipeline.Stream) {
			s.PartitionKeys = map[string]string{"name": `.ProductFields["aws/securityhub/ProductName"]`}
			s.Prefix = "!{partitionKeyFromQuery:name}/"
			s.Pattern = []byte(`{"source":["aws.securityhub"]}`)
		})
		checkShort(t, routeText(compile(t, s), event("["+aFinding(one, "Inspector", "")+"]")), "stored Inspector/2026/05/01/10/ "+aFinding(one, "Inspector", ""))
		checkShort(t, routeText(compile(t, s), event("["+aFinding(one, "../Inspector", "")+"]")), "rejected key-slash")
	})
	t.Run("the account and the region", func(t *testing.T) {
		for _, f := range []string{aFinding("11112222333", "Inspector", ""), aFinding("１１１１２２２２３３３３", "Inspector", ""), aFinding(one+"/", "Inspector", "")} {
			checkShort(t, routeText(compile(t, pipeline.DefaultStream()), event("["+f+"]")), "rejected account-invalid")
		}
		f := strings.Replace(aFinding(one, "Inspector", ""), "eu-west-1", "eu-west-1/../..", 1)
		checkShort(t, routeText(compile(t, pipeline.DefaultStream()), event("["+f+"]")), "rejected region-invalid")
	})
}
