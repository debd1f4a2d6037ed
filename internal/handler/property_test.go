package handler_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/catchment/internal/handler"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store/mem"
)

// expected is what the contract makes of a record by what pipeline.Route says of it.
func expected(p *pipeline.Pipeline, stream int, data string) (result, lines string, keys map[string]string) {
	all := outcomes(p, data, arrived)
	n := 0
	for _, o := range all {
		if o.Kind == pipeline.Rejected {
			return "ProcessingFailed", "", nil
		}
		if o.Kind == pipeline.Filtered {
			continue
		}
		own := make(map[string]string)
		for i, name := range p.KeyNames(stream) {
			own[name] = string(o.Values[i])
		}
		if n > 0 && !maps.Equal(own, keys) {
			return "ProcessingFailed", "", nil
		}
		n++
		keys = own
		lines += string(o.Line) + "\n"
	}
	switch {
	case len(all) == 0:
		return "ProcessingFailed", "", nil
	case n == 0:
		return "Dropped", "", nil
	}
	return "Ok", lines, keys
}

// TestATransformationSaysWhatRouteSays: lines and keys are those of the same stream, in order.
func TestATransformationSaysWhatRouteSays(t *testing.T) {
	streams := append(twoStreams(), everything("titles", func(s *pipeline.Stream) {
		s.PartitionKeys = map[string]string{"title": `(.Title // "none") | ascii_downcase`, "account": ".AwsAccountId"}
		s.Prefix = "!{partitionKeyFromQuery:title}/!{partitionKeyFromQuery:account}/!{timestamp:yyyy}/"
	}))
	o := options(t, streams...)
	h := handler.New(o)
	seen := make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(streams)-1).Draw(t, "stream")
		alone := compile(t, streams[i])
		records := rapid.SliceOfN(genBody(), 0, 20).Draw(t, "records")
		var want []answered
		for n, data := range records {
			result, lines, keys := expected(alone, 0, data)
			a := answered{RecordID: fmt.Sprintf("r%d", n), Result: result}
			if result == "Ok" {
				a.Data, a.Metadata = []byte(lines), &answeredMetadata{keys}
			}
			seen[result]++
			want = append(want, a)
		}
		b, err := h.Handle(t.Context(), firehose(t, streams[i].Name, records...))
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Records []answered }
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Records, cmp.Transformer("nil", emptyIsNil)); diff != "" {
			t.Fatalf("answer (-want +got):\n%s", diff)
		}
	})
	for _, result := range []string{"Ok", "Dropped", "ProcessingFailed"} {
		if seen[result] == 0 {
			t.Errorf("no record was %s: this proves nothing", result)
		}
	}
}

func emptyIsNil(list []answered) []answered { return append([]answered(nil), list...) }

// TestHandlersDoNotDisturbEachOther: Lambda may give one process several invocations at once.
func TestHandlersDoNotDisturbEachOther(t *testing.T) {
	o := options(t)
	o.Store = new(mem.Store)
	h := handler.New(o)
	done := make(chan string)
	for i := range 8 {
		go func() {
			f := finding(fmt.Sprintf("%012d", i), "us-east-1", "")
			for range 50 {
				b, err := h.Handle(t.Context(), firehose(t, "x", imported(f)))
				if err != nil || !strings.Contains(string(b), fmt.Sprintf(`"account":"%012d"`, i)) {
					done <- fmt.Sprintf("%s, %v", b, err)
					return
				}
				if b, err := h.Handle(t.Context(), queueOf(t, imported(f))); err != nil || string(b) != `{"batchItemFailures":[]}` {
					done <- fmt.Sprintf("%s, %v", b, err)
					return
				}
			}
			done <- ""
		}()
	}
	for range 8 {
		if wrong := <-done; wrong != "" {
			t.Error(wrong)
		}
	}
}

// FuzzHandle: whatever comes, there is no panic, and where the invocation has records or messages each is answered once.
func FuzzHandle(f *testing.F) {
	samples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(samples) < 10 {
		f.Fatalf("found %d samples: %v", len(samples), err)
	}
	for _, name := range samples {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(firehose(f, "inspector", string(b), imported(string(b)), "", string(b[:len(b)/2])))
		f.Add(queueOf(f, string(b), imported(string(b)), ""))
		f.Add(marshal(f, map[string]any{"Records": []any{map[string]any{"EventSource": "aws:sns", "Sns": map[string]any{"Message": string(b)}}}}))
	}
	o := options(f, twoStreams()...)
	o.Stream = "inspector"
	f.Fuzz(func(t *testing.T, event []byte) {
		o := o
		s := new(mem.Store)
		o.Store = s
		api := &inspector{run: handler.Run{State: "COMPLETED", Completed: arrived}, findings: map[string]string{"arn:x": `{"arn":"x"}`}}
		o.Assessments = func(string) handler.Assessments { return api }
		o.Wait = func(c ctx, _ time.Duration) error { return c.Err() }
		b, err := handler.New(o).Handle(t.Context(), event)
		if err != nil {
			return
		}
		checkAnswer(t, event, b)
	})
}

// checkAnswer holds what is true of every answer.
func checkAnswer(t *testing.T, event, b []byte) {
	t.Helper()
	var in struct {
		Records []struct {
			RecordID  string `json:"recordId"`
			MessageID string `json:"messageId"`
		}
	}
	if err := json.Unmarshal(event, &in); err != nil {
		return // the standard library is less lenient than Handle
	}
	var out struct {
		Records  []answered `json:"records"`
		Failures []any      `json:"batchItemFailures"`
	}
	switch {
	case !json.Valid(b):
		t.Fatalf("the answer is no JSON: %q", b)
	case b[0] == '[':
		return
	case json.Unmarshal(b, &out) != nil:
		t.Fatalf("answer %q", b)
	case len(out.Failures) > 0:
		t.Fatalf("messages stay though everything could be put: %s", b)
	}
	for _, a := range out.Records {
		if !slices.Contains([]string{"Ok", "Dropped", "ProcessingFailed"}, a.Result) || (a.Result == "Ok") != (len(a.Data) > 0) || a.Metadata != nil && a.Result != "Ok" {
			t.Fatalf("answer %+v", a)
		}
	}
}
