package pipeline_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pipeline"
)

func TestErrorRecords(t *testing.T) {
	p := compile(t, pipeline.DefaultStream())
	arrival := time.Date(2026, 11, 2, 23, 30, 0, 500e6, time.UTC)
	for name, tt := range map[string]struct {
		doc    document.Document
		origin string
		code   string
	}{
		"text":                         {document.Document{Bytes: []byte("not JSON\x00\xff\x1b[31m"), Err: document.ErrNotJSON}, "in.json", "invalid-json"},
		"cut off":                      {document.Document{Bytes: []byte(`{"a":`)}, "in.json", "incomplete"},
		"the rest of what is too long": {document.Document{Bytes: []byte("x"), Err: document.ErrTooLongRest}, "in", "too-long"},
		"no object":                    {document.Document{Bytes: []byte(`[1,2]`), Err: document.ErrNotObject}, "in.json", "not-an-object"},
		"too long":                     {document.Document{Bytes: bytes.Repeat([]byte("x"), 1<<20), Err: fmt.Errorf("%w of 5 bytes", document.ErrTooLong)}, "", "too-long"},
		"a name of a megabyte":         {document.Document{Bytes: []byte("x")}, strings.Repeat("é", 1<<19), "invalid-json"},
		"a megabyte that is no name":   {document.Document{Bytes: []byte("x")}, strings.Repeat("\x1b\n\xff\u2028", 1<<18), "invalid-json"},
		"an error of a megabyte":       {document.Document{Err: fmt.Errorf("%s", strings.Repeat("\u202e\r", 1<<19))}, "in", "invalid-json"},
		"a value of a megabyte":        {document.Document{Bytes: []byte(event("[" + aFinding(strings.Repeat("\\u001b\\n", 1<<17), "Inspector", "") + "]"))}, "in", "account-invalid"},
		"nothing at all":               {document.Document{Err: document.ErrOpenAtEnd}, "in", "incomplete"},
	} {
		t.Run(name, func(t *testing.T) {
			got := route(p, pipeline.Arrival{Time: arrival, Origin: tt.origin}, tt.doc)
			if len(got) != 1 || got[0].Kind != "rejected" || got[0].Prefix != "errors/processing-failed/2026/11/02/23/" {
				t.Fatalf("got %+v", got)
			}
			e := readError(t, got[0].Line)
			if !bytes.Equal(e.RawData, tt.doc.Bytes) {
				t.Errorf("rawData is %.100q", e.RawData)
			}
			if e.ErrorCode != tt.code || e.ErrorCode != got[0].Code {
				t.Errorf("code %s and %s, want %s", e.ErrorCode, got[0].Code, tt.code)
			}
			if strings.ContainsFunc(e.ErrorMessage, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' || r == '\u2028' || r == '\ufffd' }) {
				t.Errorf("the message holds what is not printable: %q", e.ErrorMessage)
			}
			if fixed := len(got[0].Line) - base64.StdEncoding.EncodedLen(len(tt.doc.Bytes)); fixed > 16<<10 {
				t.Errorf("%d bytes around the data", fixed)
			}
			if e.ArrivalTimestamp != arrival.UnixMilli() || e.AttemptEndingTimestamp != arrival.UnixMilli() || e.AttemptsMade != 1 {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	arrival := time.Date(2026, 12, 31, 23, 45, 0, 0, time.UTC)
	asIs := event("[" + aFinding(one, "Inspector", `,"UpdatedAt":"2025-03-04T05:06:07.000-05:00"`) + "]")
	without := strings.Replace(asIs, `"time":"2026-05-01T10:20:30Z",`, "", 1)
	unknown := strings.Replace(asIs, `2026-05-01T10:20:30Z`, "Beltane", 1)
	nothing := strings.Replace(unknown, "2025-03-04T05:06:07.000-05:00", "yesterday", 1)
	for name, tt := range map[string]struct {
		text      string
		arrival   time.Time
		timestamp pipeline.TimestampKind
		zone      string
		want      string
	}{
		"arrival":                          {asIs, arrival, pipeline.TimestampArrival, "", "2026/12/31/23"},
		"arrival, in Tokyo":                {asIs, arrival, pipeline.TimestampArrival, "Asia/Tokyo", "2027/01/01/08"},
		"the event's":                      {asIs, arrival, pipeline.TimestampEvent, "", "2026/05/01/10"},
		"the event's, in Kathmandu":        {asIs, arrival, pipeline.TimestampEvent, "Asia/Kathmandu", "2026/05/01/16"},
		"an import has no arrival":         {asIs, time.Time{}, pipeline.TimestampArrival, "", "2026/05/01/10"},
		"an event without: the finding's":  {without, time.Time{}, pipeline.TimestampArrival, "", "2025/03/04/10"},
		"not understood: the finding's":    {unknown, arrival, pipeline.TimestampEvent, "", "2025/03/04/10"},
		"none understood: not lost":        {nothing, arrival, pipeline.TimestampEvent, "", "1970/01/01/00"},
		"none understood, in New York":     {nothing, arrival, pipeline.TimestampEvent, "America/New_York", "1969/12/31/19"},
		"none understood, but an arrival":  {nothing, arrival, pipeline.TimestampArrival, "", "2026/12/31/23"},
		"the hour that summer time leaves": {strings.Replace(asIs, "2026-05-01T10", "2026-10-25T00", 1), arrival, pipeline.TimestampEvent, "Europe/Berlin", "2026/10/25/02"},
	} {
		t.Run(name, func(t *testing.T) {
			p := compile(t, stream(func(s *pipeline.Stream) { s.Timestamp, s.TimeZone = tt.timestamp, tt.zone }))
			got := route(p, pipeline.Arrival{Time: tt.arrival}, document.Document{Bytes: []byte(tt.text)})
			if want := "AWSLogs/" + one + "/Inspector/eu-west-1/" + tt.want + "/"; len(got) != 1 || got[0].Prefix != want {
				t.Errorf("got %v, want %s", got, want)
			}
		})
	}
}

func TestSeveralStreams(t *testing.T) {
	named := func(name, pattern, prefix string, record pipeline.RecordKind) pipeline.Stream {
		return stream(func(s *pipeline.Stream) {
			s.Name, s.Pattern, s.Record, s.Prefix = name, []byte(pattern), record, prefix+"/!{timestamp:yyyy}/"
			s.PartitionKeys = nil
		})
	}
	p := compile(t,
		named("all", `{"source":["aws.securityhub"]}`, "all", pipeline.RecordEvent),
		pipeline.DefaultStream(),
		named("duty", `{"detail":{"findings":{"ProductFields":{"aws/securityhub/ProductName":["GuardDuty"]}}}}`, "duty", pipeline.RecordFinding),
	)
	a, b := aFinding(one, "Inspector", ""), aFinding(two, "GuardDuty", "")
	e := event("[" + a + "," + b + "]")
	got := routeText(p, e)
	checkShort(t, got, "stored all/2026/ "+e, "stored "+place+" "+a, "filtered", "filtered", "stored duty/2026/ "+b)
	var streams []int
	for _, o := range got {
		streams = append(streams, o.Stream)
		if o.ID != "e-1" {
			t.Errorf("event id %q", o.ID)
		}
	}
	if diff := cmp.Diff([]int{0, 1, 1, 2, 2}, streams); diff != "" {
		t.Error(diff)
	}
	// A document that is broken belongs to none: it is kept once.
	checkShort(t, routeText(p, `{"a":`), "rejected incomplete")
}

// Raw newlines go; numbers and strings stay as they are written.
func TestPrettyPrintedIsCompacted(t *testing.T) {
	f := "{\n  \"Id\" : \"a \\n b\",\r\n\t\"AwsAccountId\": \"" + one + "\", \"Region\": \"eu-west-1\",\n \"n\": [ 1.50, 1E400, -0.0 ],\n" +
		"\"ProductFields\": { \"aws/securityhub/ProductName\": \"Inspector\" },\n \"s\": \"é\\u00e9 \u2028 } { \\\" \"\n}"
	compact := `{"Id":"a \n b","AwsAccountId":"` + one + `","Region":"eu-west-1","n":[1.50,1E400,-0.0],` +
		`"ProductFields":{"aws/securityhub/ProductName":"Inspector"},"s":"é\u00e9 ` + "\u2028" + ` } { \" "}`
	spaced := strings.ReplaceAll(strings.ReplaceAll(f, "\n", " "), "\r", " ")
	p := compile(t, pipeline.DefaultStream())
	checkShort(t, routeText(p, event("["+f+"]")), "stored "+place+" "+compact)
	checkShort(t, routeText(p, event("["+spaced+"]")), "stored "+place+" "+spaced)
	pretty := "{\n" + strings.TrimPrefix(event("["+spaced+"]"), "{")
	checkShort(t, routeText(p, pretty), "stored "+place+" "+spaced)
	events := compile(t, stream(func(s *pipeline.Stream) { s.Record = pipeline.RecordEvent }))
	checkShort(t, routeText(events, event("["+f+"]")), "stored "+place+" "+event("["+compact+"]"))
	bare := strings.Replace(f, "{", "{\n\"ProductArn\":\"arn:aws:securityhub:eu-west-1::product/aws/inspector\",\"UpdatedAt\":\"2026-05-01T10:00:00Z\",", 1)
	for _, p := range []*pipeline.Pipeline{p, events} {
		got := routeText(p, bare)
		if len(got) != 1 || got[0].Kind != "stored" || strings.Contains(got[0].Line, "\n") || !json.Valid([]byte(got[0].Line)) {
			t.Errorf("a bare finding: %+v", got)
		}
	}
}

func TestCompileSaysWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*pipeline.Stream)
		want   string
	}{
		"the name":               {func(s *pipeline.Stream) { s.Name = "a/b" }, `stream a/b: name: "a/b"`},
		"the version":            {func(s *pipeline.Stream) { s.Version = 0 }, "stream inspector: version: 0"},
		"the pattern":            {func(s *pipeline.Stream) { s.Pattern = []byte(`{"a":1}`) }, "stream inspector: pattern: "},
		"the prefix":             {func(s *pipeline.Stream) { s.Prefix = "a//!{timestamp:yyyy}" }, "stream inspector: prefix: "},
		"a key":                  {func(s *pipeline.Stream) { s.PartitionKeys["region"] = ".[" }, "stream inspector: partition_keys: "},
		"a key that is not used": {func(s *pipeline.Stream) { s.PartitionKeys["x"] = ".Id" }, "stream inspector: prefix: "},
		"the error prefix":       {func(s *pipeline.Stream) { s.ErrorPrefix = "e/!{timestamp:yyyy}/" }, "stream inspector: error_prefix: "},
		"the time zone":          {func(s *pipeline.Stream) { s.TimeZone = "Mars/Olympus" }, "stream inspector: prefix: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pipeline.Compile([]pipeline.Stream{stream(tt.change)})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := pipeline.Compile(nil); err == nil {
		t.Error("no stream is taken")
	}
}
