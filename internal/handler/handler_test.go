package handler_test

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/handler"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sample(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// imported is the event by which Security Hub tells of findings.
func imported(findings ...string) string {
	return `{"version":"0","id":"e1","source":"aws.securityhub","detail-type":"Security Hub Findings - Imported","account":"999999999999",` +
		`"time":"2026-05-01T10:20:30Z","region":"us-west-2","resources":[],"detail":{"findings":[` + strings.Join(findings, ",") + `]}}`
}

// finding is a small one of Inspector.
func finding(account, region, more string) string {
	return `{"Id":"f","ProductArn":"arn:aws:securityhub:us-east-1::product/aws/inspector","AwsAccountId":"` + account + `","Region":"` + region +
		`","ProductFields":{"aws/securityhub/ProductName":"Inspector"}` + more + `}`
}

const (
	one = "111122223333"
	two = "444455556666"
)

// everything is a stream that all events match, with a name.
func everything(name string, change ...func(*pipeline.Stream)) pipeline.Stream {
	s := pipeline.DefaultStream()
	s.Name, s.Pattern, s.Prefix = name, []byte(`{"source":[{"exists":true}]}`), name+"/"+s.Prefix
	for _, c := range change {
		c(&s)
	}
	return s
}

func compile(tb rapid.TB, streams ...pipeline.Stream) *pipeline.Pipeline {
	tb.Helper()
	if len(streams) == 0 {
		streams = []pipeline.Stream{pipeline.DefaultStream()}
	}
	p, err := pipeline.Compile(streams)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// options are those of a handler with a pipeline of streams, or of the default one, that compresses with gzip.
func options(tb rapid.TB, streams ...pipeline.Stream) handler.Options {
	tb.Helper()
	o := handler.Options{Pipeline: compile(tb, streams...), Newline: true}
	for range o.Pipeline.Streams() {
		o.Streams = append(o.Streams, handler.Stream{Compression: encode.Gzip})
	}
	o.Now = func() time.Time { return arrived }
	return o
}

var arrived = time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)

// outcomes is what pipeline.Route says of some text that arrived.
func outcomes(p *pipeline.Pipeline, text string, at time.Time) (out []pipeline.Outcome) {
	r := p.NewRouter()
	document.Split([]byte(text), document.Options{}, func(doc document.Document) bool {
		r.Route(doc, pipeline.Arrival{Time: at}, func(o *pipeline.Outcome) {
			kept := *o
			kept.Line, kept.Values = slices.Clone(o.Line), nil
			for _, v := range o.Values {
				kept.Values = append(kept.Values, slices.Clone(v))
			}
			out = append(out, kept)
		})
		return true
	})
	return out
}

// stored reads the lines of all objects, by key.
func stored(tb rapid.TB, s *mem.Store) map[string][]string {
	tb.Helper()
	out := make(map[string][]string)
	for o, err := range s.List(context.Background(), "") {
		if err != nil {
			tb.Fatal(err)
		}
		body, err := s.Get(context.Background(), o.Key)
		if err != nil {
			tb.Fatal(err)
		}
		z, err := gzip.NewReader(body)
		if err != nil {
			tb.Fatalf("%s: %v", o.Key, err)
		}
		b, err := io.ReadAll(z)
		if err != nil {
			tb.Fatalf("%s: %v", o.Key, err)
		}
		out[o.Key] = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
	return out
}

// errorRecord is a line of an error object.
type errorRecord struct {
	ErrorCode    string `json:"errorCode"`
	ErrorMessage string `json:"errorMessage"`
	RawData      []byte `json:"rawData"`
}

func readError(tb testing.TB, line string) (e errorRecord) {
	tb.Helper()
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		tb.Fatalf("error record %q: %v", line, err)
	}
	return e
}

func encode64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func marshal(tb rapid.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestWhatIsNoneOfItsTriggersIsAnError(t *testing.T) {
	started := sample(t, "sns-inspector-classic-run-started.json")
	hub := imported(sample(t, "asff-inspector-classic.json"))
	if !strings.Contains(hub, "/run/0-") {
		t.Fatal("the sample does not name a run: it proves nothing")
	}
	for name, tt := range map[string]struct {
		event string
		want  error
	}{
		"no event at all":                          {``, handler.ErrUnknown},
		"no JSON":                                  {`{"records":`, io.ErrUnexpectedEOF},
		"an object that says nothing":              {`{}`, handler.ErrUnknown},
		"a list":                                   {`[1,2]`, handler.ErrUnknown},
		"a schedule":                               {`{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}`, handler.ErrUnknown},
		"a notice of SNS that names no run":        {`{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"hello"}}]}`, handler.ErrUnknown},
		"a queue with no messages":                 {`{"Records":[]}`, handler.ErrUnknown},
		"findings of Security Hub":                 {hub, handler.ErrFindings},
		"findings of Security Hub, relayed by SNS": {`{"Records":[{"Sns":{"Message":` + string(marshal(t, hub)) + `}}]}`, handler.ErrFindings},
		"messages of a queue where there is no bucket": {
			`{"Records":[{"eventSource":"aws:sqs","messageId":"m","body":"{}"}]}`, handler.ErrNoBucket,
		},
		"an assessment run where there is no bucket": {started, handler.ErrNoBucket},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := handler.New(options(t)).Handle(t.Context(), []byte(tt.event))
			if !errors.Is(err, tt.want) {
				t.Errorf("got %s, error %v; want %v", got, err, tt.want)
			}
		})
	}
	o := options(t)
	o.Store = new(mem.Store)
	if _, err := handler.New(o).Handle(t.Context(), []byte(started)); err == nil || !strings.Contains(err.Error(), "no access to Inspector") {
		t.Errorf("an assessment run without Inspector: %v", err)
	}
}

// TestTheAnswerComesBeforeTheInvocationEnds: Lambda kills a function at its deadline, and then nobody knows what was put.
func TestTheAnswerComesBeforeTheInvocationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		o.Store = &mem.Store{Before: func(ctx context.Context, key string) error {
			if strings.Contains(key, two) { // a server that says nothing
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		got, err := handler.New(o).Handle(ctx, queueOf(t, imported(finding(one, "us-east-1", "")), imported(finding(two, "us-east-1", ""))))
		if took := time.Since(start); took != 27*time.Second {
			t.Errorf("it took %v of 30 s, want 27 s", took)
		}
		if diff := cmp.Diff([]string{"m1"}, failures(t, got)); diff != "" || err != nil {
			t.Errorf("error %v, failed messages (-want +got):\n%s", err, diff)
		}
	})
}
