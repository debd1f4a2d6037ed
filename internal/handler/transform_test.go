package handler_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/catchment/internal/handler"
	"example.org/catchment/internal/pipeline"
)

type answered struct {
	RecordID string            `json:"recordId"`
	Result   string            `json:"result"`
	Data     []byte            `json:"data"`
	Metadata *answeredMetadata `json:"metadata"`
}

type answeredMetadata struct {
	PartitionKeys map[string]string `json:"partitionKeys"`
}

func (a answered) keys() map[string]string {
	if a.Metadata == nil {
		return nil
	}
	return a.Metadata.PartitionKeys
}

// firehose is an invocation by a delivery stream, with the records r0, r1 and so on.
func firehose(tb rapid.TB, deliveryStream string, records ...string) []byte {
	tb.Helper()
	type record struct {
		RecordID string `json:"recordId"`
		Arrival  int64  `json:"approximateArrivalTimestamp"`
		Data     string `json:"data"`
	}
	list := []record{}
	for i, r := range records {
		list = append(list, record{fmt.Sprintf("r%d", i), arrived.UnixMilli(), encode64(r)})
	}
	return marshal(tb, map[string]any{
		"invocationId": "i", "deliveryStreamArn": "arn:aws:firehose:us-east-1:111122223333:deliverystream/" + deliveryStream,
		"region": "us-east-1", "records": list,
	})
}

func transform(tb rapid.TB, o handler.Options, event []byte) []answered {
	tb.Helper()
	b, err := handler.New(o).Handle(context.Background(), event)
	if err != nil {
		tb.Fatal(err)
	}
	if len(b) > 6_000_000 {
		tb.Fatalf("the answer has %d bytes, over 6 MB", len(b))
	}
	var out struct {
		Records []answered `json:"records"`
	}
	if err := json.Unmarshal(b, &out); err != nil {
		tb.Fatalf("answer %.1000s: %v", b, err)
	}
	return out.Records
}

func TestWhatBecomesOfARecord(t *testing.T) {
	keysOfOne := map[string]string{"account": one, "region": "us-east-1"}
	good := finding(one, "us-east-1", "")
	pretty := "{\n  \"Id\": \"f\",\n  \"ProductArn\": \"arn:aws:securityhub:us-east-1::product/aws/inspector\",\n  \"AwsAccountId\": \"" + one + "\",\n" +
		"  \"ProductFields\": {\"aws/securityhub/ProductName\": \"Inspector\"}}"
	flat := `{"Id":"f","ProductArn":"arn:aws:securityhub:us-east-1::product/aws/inspector","AwsAccountId":"` + one + `",` +
		`"ProductFields":{"aws/securityhub/ProductName":"Inspector"}}`
	for name, tt := range map[string]struct {
		data   string
		result string // empty: ProcessingFailed
		lines  string
		keys   map[string]string
		reason string
	}{
		"a finding that the pattern matches comes without its event, by its own account and region": {
			data: imported(good), result: "Ok", lines: good + "\n", keys: keysOfOne,
		},
		"a finding without an event too": {data: good, result: "Ok", lines: good + "\n", keys: keysOfOne},
		"a finding over several lines becomes one; a region that it has not is its product's": {
			data: imported(pretty), result: "Ok", lines: flat + "\n", keys: keysOfOne,
		},
		"two findings of one place are two lines": {
			data: imported(good, finding(one, "us-east-1", `,"Title":"b"`)), result: "Ok",
			lines: good + "\n" + finding(one, "us-east-1", `,"Title":"b"`) + "\n", keys: keysOfOne,
		},
		"two events run together are two lines": {data: imported(good) + imported(good), result: "Ok", lines: good + "\n" + good + "\n", keys: keysOfOne},
		"a page of findings is its lines":       {data: `{"Findings":[` + good + `,` + good + `],"NextToken":"x"}`, result: "Ok", lines: good + "\n" + good + "\n", keys: keysOfOne},
		"of two findings the one is taken that matches": {
			data: imported(strings.ReplaceAll(good, `"Inspector"`, `"GuardDuty"`), good), result: "Ok", lines: good + "\n", keys: keysOfOne,
		},
		"a finding of another product is dropped":             {data: imported(strings.ReplaceAll(good, `"Inspector"`, `"GuardDuty"`)), result: "Dropped"},
		"an event of another kind is dropped":                 {data: `{"source":"aws.ec2","detail-type":"x","detail":{}}`, result: "Dropped"},
		"findings of two accounts have no place in common":    {data: imported(good, finding(two, "us-east-1", "")), reason: "several-places"},
		"findings of two regions neither":                     {data: imported(good, finding(one, "us-east-2", "")), reason: "several-places"},
		"a text that is no JSON fails":                        {data: "Hello World", reason: "invalid-json"},
		"an event that was cut off fails":                     {data: imported(good)[:200], reason: "incomplete"},
		"a value that is no object fails":                     {data: `[1,2]`, reason: "not-an-object"},
		"an object that is neither event nor finding fails":   {data: `{"hello":"world"}`, reason: "unrecognised"},
		"a field given twice fails":                           {data: imported(finding(one, "us-east-1", `,"AwsAccountId":"`+two+`"`)), reason: "duplicate-field"},
		"an account that is none fails":                       {data: imported(finding("../../etc", "us-east-1", "")), reason: "account-invalid"},
		"a region that is none fails":                         {data: imported(finding(one, `us\"east/1`, "")), reason: "region-invalid"},
		"a finding that matches and has no account fails":     {data: imported(strings.Replace(good, `"AwsAccountId":"`+one+`",`, "", 1)), reason: "account-missing"},
		"one broken finding among good ones fails the record": {data: imported(good, finding("x", "us-east-1", "")), reason: "account-invalid"},
		"a broken document behind a good one fails it too":    {data: imported(good) + "\n{", reason: "incomplete"},
		"nothing fails":                 {data: "", reason: "empty"},
		"white space fails":             {data: " \n\t", reason: "empty"},
		"a page without findings fails": {data: `{"Findings":[]}`, reason: "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			var told handler.TransformResult
			o := options(t)
			o.Events.Transformed = func(r handler.TransformResult) { told = r }
			got := transform(t, o, firehose(t, "inspector", tt.data))
			want := answered{RecordID: "r0", Result: tt.result, Data: []byte(tt.lines)}
			result := handler.TransformResult{Records: 1, Failed: map[string]int{}}
			switch tt.result {
			case "Ok":
				want.Metadata, result.OK = &answeredMetadata{tt.keys}, 1
			case "Dropped":
				want.Data, result.Dropped = nil, 1
			default:
				want.Result, want.Data, result.Failed[tt.reason] = "ProcessingFailed", nil, 1
			}
			if diff := cmp.Diff([]answered{want}, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(result, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSampleOfAWSIsAnswered(t *testing.T) {
	got := transform(t, options(t), []byte(sample(t, "firehose-lambda-transform-event.json")))
	want := []answered{{RecordID: "record1", Result: "ProcessingFailed"}, {RecordID: "record2", Result: "ProcessingFailed"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("its records are the text Hello World (-want +got):\n%s", diff)
	}
	var shape struct{ Records []map[string]any }
	if err := json.Unmarshal([]byte(sample(t, "firehose-lambda-transform-response-shape.json")), &shape); err != nil {
		t.Fatal(err)
	}
	for _, r := range shape.Records {
		if slices.ContainsFunc(got, func(a answered) bool { return a.Result == r["result"] }) {
			t.Errorf("result %s is none that Firehose takes", r["result"])
		}
	}
	if got := transform(t, options(t), firehose(t, "inspector")); len(got) != 0 {
		t.Errorf("no records are answered with %v", got)
	}
}

func TestFindingsOfEachKindGetTheirOwnPlace(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"asff-inspector-v2-ec2.json":  {"account": "111111111111", "region": "us-east-1"},
		"asff-inspector-v2-ecr.json":  {"account": "123456789012", "region": "eu-central-1"},
		"asff-inspector-v2-ghsa.json": {"account": "012345678912", "region": "eu-central-1"},
		"asff-inspector-classic.json": {"account": "111122223333", "region": "us-east-1"},
		"asff-guardduty.json":         nil,
	} {
		if got := transform(t, options(t), firehose(t, "x", imported(sample(t, name))))[0]; !cmp.Equal(want, got.keys()) || (got.Result == "Ok") != (want != nil) {
			t.Errorf("%s: %s with keys %v, want %v", name, got.Result, got.keys(), want)
		}
	}
}

// TestAnotherSpecAnotherRecord: what is one delivery stream's is told by its name, by the spec, or not at all.
func TestAnotherSpecAnotherRecord(t *testing.T) {
	title := func(s *pipeline.Stream) {
		s.PartitionKeys, s.Prefix = map[string]string{"title": ".Title"}, "t/!{partitionKeyFromQuery:title}/!{timestamp:yyyy}/"
	}
	whole := func(s *pipeline.Stream) { s.Record = pipeline.RecordEvent }
	keyless := func(s *pipeline.Stream) { s.PartitionKeys, s.Prefix = nil, "all/!{timestamp:yyyy}/" }
	quoted := finding(one, "us-east-1", `,"Title":"a \"b\" <c> ü\u003c"`)
	for name, tt := range map[string]struct {
		streams []pipeline.Stream
		change  func(*handler.Options)
		from    string
		data    string
		want    answered
	}{
		"a whole event keeps its bytes": {
			streams: []pipeline.Stream{everything("a", whole)}, data: imported(quoted),
			want: answered{Result: "Ok", Data: []byte(imported(quoted) + "\n"), Metadata: &answeredMetadata{map[string]string{"account": one, "region": "us-east-1"}}},
		},
		"without newline where Firehose adds its own": {
			streams: []pipeline.Stream{everything("a", keyless)}, change: func(o *handler.Options) { o.Newline = false }, data: imported(quoted, quoted),
			want: answered{Result: "Ok", Data: []byte(quoted + "\n" + quoted)},
		},
		"a key with quotes is a text like any other": {
			streams: []pipeline.Stream{everything("a", title)}, data: imported(quoted),
			want: answered{Result: "Ok", Data: []byte(quoted + "\n"), Metadata: &answeredMetadata{map[string]string{"title": "a \"b\" <c> ü<"}}},
		},
		"a key with a slash is refused": {
			streams: []pipeline.Stream{everything("a", title)}, data: imported(finding(one, "us-east-1", `,"Title":"../x"`)), want: answered{Result: "ProcessingFailed"},
		},
		"a key that is too long for S3 is refused": {
			streams: []pipeline.Stream{everything("a", title)}, data: imported(finding(one, "us-east-1", `,"Title":"`+strings.Repeat("x", 1025)+`"`)),
			want: answered{Result: "ProcessingFailed"},
		},
		"the stream of the delivery stream's name": {
			streams: []pipeline.Stream{pipeline.DefaultStream(), everything("b", keyless)}, from: "b", data: imported(`{"Id":"x"}`),
			want: answered{Result: "Ok", Data: []byte("{\"Id\":\"x\"}\n")},
		},
		"the stream that the options name": {
			streams: []pipeline.Stream{pipeline.DefaultStream(), everything("b", keyless)}, from: "inspector", change: func(o *handler.Options) { o.Stream = "b" },
			data: imported(`{"Id":"x"}`), want: answered{Result: "Ok", Data: []byte("{\"Id\":\"x\"}\n")},
		},
		"what no stream can read is not dropped by the second": {
			streams: []pipeline.Stream{pipeline.DefaultStream(), everything("b", keyless)}, from: "b", data: `{"hello":"world"}`, want: answered{Result: "ProcessingFailed"},
		},
		"an element of a page that is no finding is not dropped by the second": {
			streams: []pipeline.Stream{pipeline.DefaultStream(), everything("b", keyless)}, from: "b", data: `{"Findings":[` + quoted + `,7]}`,
			want: answered{Result: "ProcessingFailed"},
		},
		"what only the first refuses is the second's": {
			streams: []pipeline.Stream{everything("a"), everything("b", keyless)}, from: "b", data: imported(`{"Id":"x"}`),
			want: answered{Result: "Ok", Data: []byte("{\"Id\":\"x\"}\n")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, tt.streams...)
			if tt.change != nil {
				tt.change(&o)
			}
			tt.want.RecordID = "r0"
			if diff := cmp.Diff([]answered{tt.want}, transform(t, o, firehose(t, tt.from, tt.data))); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	o := options(t, pipeline.DefaultStream(), everything("b"))
	if got, err := handler.New(o).Handle(t.Context(), firehose(t, "neither", "{}")); err == nil || !strings.Contains(err.Error(), `"neither"`) {
		t.Errorf("records of a delivery stream that the spec does not know: %s, error %v; want one that names it", got, err)
	}
}

func TestEachRecordIsAnsweredOnceAndInOrder(t *testing.T) {
	kinds := []string{imported(finding(one, "us-east-1", "")), imported(strings.ReplaceAll(finding(one, "us-east-1", ""), `"Inspector"`, `"x"`)), "", "no JSON", "{", `{"Findings":[]}`}
	results := []string{"Ok", "Dropped", "ProcessingFailed", "ProcessingFailed", "ProcessingFailed", "ProcessingFailed"}
	var records []string
	for i := range 10_000 {
		records = append(records, kinds[i%len(kinds)])
	}
	event := firehose(t, "x", records...)
	// Every thousandth is no base64, and has an id that was there before.
	var in map[string]any
	if err := json.Unmarshal(event, &in); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(records); i += 1000 {
		r := in["records"].([]any)[i].(map[string]any)
		r["data"], r["recordId"] = "!", "r1\"\\\u0001"
	}
	got := transform(t, options(t), marshal(t, in))
	if len(got) != len(records) {
		t.Fatalf("%d answers to %d records", len(got), len(records))
	}
	for i, a := range got {
		id, result := fmt.Sprintf("r%d", i), results[i%len(kinds)]
		if i%1000 == 0 {
			id, result = "r1\"\\\u0001", "ProcessingFailed"
		}
		if a.RecordID != id || a.Result != result {
			t.Fatalf("answer %d is %s %q, want %s %q", i, a.Result, a.RecordID, result, id)
		}
	}
}

// A weighed invocation has records whose transformation makes about as many bytes as an answer may have.
type weighed struct{ records []string }

// weigh makes a record with a title, which is its partition key, of about size bytes.
func weigh(title string, size int) string {
	f := finding(one, "us-east-1", `,"Title":"`+title+`","Note":"`)
	return imported(f[:len(f)-1] + strings.Repeat("y", max(0, size-len(f))) + `"}`)
}

// check handles the invocation with a bound, and tells how many records failed for it and how large the answer was.
func (w weighed) check(tb rapid.TB, h *handler.Handler, most int) (failed, size int) {
	b, err := h.Handle(context.Background(), firehose(tb, "a", w.records...))
	if err != nil {
		tb.Fatal(err)
	}
	if len(b) > most {
		tb.Fatalf("the answer has %d bytes, over %d", len(b), most)
	}
	var out struct{ Records []answered }
	if err := json.Unmarshal(b, &out); err != nil || len(out.Records) != len(w.records) {
		tb.Fatalf("%d answers to %d records, error %v", len(out.Records), len(w.records), err)
	}
	for i, a := range out.Records {
		if a.RecordID != fmt.Sprintf("r%d", i) {
			tb.Fatalf("answer %d is to %s", i, a.RecordID)
		}
		if a.Result == "Ok" {
			continue
		}
		failed++
		finding := outcomes(compile(tb, titled), w.records[i], arrived)[0].Line
		own := base64.StdEncoding.EncodedLen(len(finding)+1) + len(`,"data":"","metadata":{"partitionKeys":{"title":""}}`) + 120
		if a.Result != "ProcessingFailed" || len(b)+own < most {
			tb.Fatalf("record %d of %d bytes is %s, and there was room for it: the answer has %d bytes", i, len(w.records[i]), a.Result, len(b))
		}
	}
	return failed, len(b)
}

var titled = everything("a", func(s *pipeline.Stream) {
	s.PartitionKeys, s.Prefix = map[string]string{"title": ".Title"}, "t/!{partitionKeyFromQuery:title}/!{timestamp:yyyy}/"
})

// TestTheAnswerStaysBelowItsBound: whatever the sizes and keys, and no record fails that had room.
func TestTheAnswerStaysBelowItsBound(t *testing.T) {
	const most = 60_000
	h := handler.New(options(t, titled)).Bound(most)
	failed, full := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		// Base64 makes 4 bytes of 3.
		var w weighed
		for left := rapid.IntRange(38_000, 46_000).Draw(t, "bytes"); left > 0; {
			size := min(left, rapid.OneOf(rapid.IntRange(200, 1000), rapid.IntRange(3000, 10_000)).Draw(t, "size"))
			title := rapid.SampledFrom([]string{`\"`, `\u003c`, `é`, `x`}).Draw(t, "title")
			w.records = append(w.records, weigh(strings.Repeat(title, rapid.IntRange(1, 60).Draw(t, "times")), size))
			left -= size
		}
		n, size := w.check(t, h, most)
		failed += n
		if size > most-1000 {
			full++
		}
	})
	if failed == 0 || full == 0 {
		t.Errorf("%d records failed for their size, %d answers were nearly full: this proves nothing", failed, full)
	}
}

func TestTheAnswerIsSmallerThanLambdaTakes(t *testing.T) {
	if handler.MaxAnswer > 6_000_000 {
		t.Fatalf("answers of %d bytes are over 6 MB", handler.MaxAnswer)
	}
	h := handler.New(options(t, titled))
	for name, tt := range map[string]struct {
		sizes  []int
		failed int
	}{
		"records that fit":         {sizes: slices.Repeat([]int{1_000_000}, 4)},
		"one record too many":      {sizes: slices.Repeat([]int{1_000_000}, 5), failed: 1},
		"small ones behind it fit": {sizes: append(slices.Repeat([]int{1_000_000}, 5), slices.Repeat([]int{300}, 100)...), failed: 1},
		"thousands of small ones":  {sizes: slices.Repeat([]int{450}, 6000)},
	} {
		t.Run(name, func(t *testing.T) {
			var w weighed
			for _, size := range tt.sizes {
				w.records = append(w.records, weigh("x", size))
			}
			if failed, size := w.check(t, h, 6_000_000); failed != tt.failed {
				t.Errorf("%d records failed in an answer of %d bytes, want %d", failed, size, tt.failed)
			}
		})
	}
	if got, err := handler.New(options(t, titled)).Bound(100).Handle(t.Context(), firehose(t, "a", "x", "y")); err == nil {
		t.Errorf("an answer that cannot be bounded is %s", got)
	}
}
