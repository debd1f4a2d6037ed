package events_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/events"
	"example.org/catchment/internal/lab/labtest"
)

func TestAnEventThatIsPutArrivesInItsEnvelope(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["example.app"]}`, target("1", queue("q")))
	full := entry("{ \"a\" : 1.50, \"b\":\"\\u00e9\\ud800\" }")
	full.Time, full.Resources = aws.Time(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)), []string{"res"}
	out, err := w.client().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{full, entry(`{"n":2}`)}})
	if err != nil {
		t.Fatal(err)
	}
	if out.FailedEntryCount != 0 || len(out.Entries) != 2 {
		t.Fatalf("got %+v", out)
	}
	if got := w.sink.take("q"); len(got) != 0 {
		t.Errorf("%d events arrived before the clock got to them", len(got))
	}
	labtest.Settle(t, w.cloud)
	head := func(id, at, resources string) string {
		return `{"version":"0","id":"` + id + `","detail-type":"Example","source":"example.app","account":"111111111111","time":"` + at +
			`","region":"ap-northeast-1","resources":` + resources + `,"detail":`
	}
	want := []string{
		head(*out.Entries[0].EventId, "2026-01-02T03:04:05Z", `["res"]`) + `{"a":1.50,"b":"\u00e9\ud800"}}`,
		head(*out.Entries[1].EventId, "2026-11-22T13:14:15Z", `[]`) + `{"n":2}}`,
	}
	got := w.sink.bodies("q")
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEachEntryFailsByItself(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":[{"prefix":""}]}`, target("1", queue("q")))
	for sentence, test := range map[string]struct {
		change        func(*types.PutEventsRequestEntry)
		code, message string
	}{
		"no source":         {func(e *types.PutEventsRequestEntry) { e.Source = nil }, "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."},
		"no detail type":    {func(e *types.PutEventsRequestEntry) { e.DetailType = nil }, "InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument."},
		"no detail":         {func(e *types.PutEventsRequestEntry) { e.Detail = nil }, "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."},
		"a source of AWS":   {func(e *types.PutEventsRequestEntry) { e.Source = aws.String("aws.securityhub") }, "NotAuthorizedForSourceException", "Not authorized for the source."},
		"a detail in words": {func(e *types.PutEventsRequestEntry) { e.Detail = aws.String("hello") }, "MalformedDetail", "Detail is malformed."},
		"an array":          {func(e *types.PutEventsRequestEntry) { e.Detail = aws.String("[]") }, "MalformedDetail", "Detail is malformed."},
		"a string":          {func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`"{}"`) }, "MalformedDetail", "Detail is malformed."},
		"half an object":    {func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`{"a":`) }, "MalformedDetail", "Detail is malformed."},
		"two objects":       {func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`{} {}`) }, "MalformedDetail", "Detail is malformed."},
		"a bus of elsewhere": {func(e *types.PutEventsRequestEntry) {
			e.EventBusName = aws.String(strings.Replace(arn("events", "event-bus/default"), labtest.Region, "us-east-1", 1))
		}, "InvalidArgument", "Parameter EventBusName is not valid."},
		"an ARN of no bus":    {func(e *types.PutEventsRequestEntry) { e.EventBusName = aws.String(arn("events", "event-bus/a/b:c")) }, "ValidationException", ""},
		"a bus that is not":   {func(e *types.PutEventsRequestEntry) { e.EventBusName = aws.String("gone") }, "", ""},
		"nothing wrong at it": {func(*types.PutEventsRequestEntry) {}, "", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			bad := entry(`{}`)
			test.change(&bad)
			out, err := w.client().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{bad, entry(`{"good":true}`)}})
			if test.code == "ValidationException" {
				wantError(t, err, test.code, test.message)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := aws.ToString(out.Entries[0].ErrorCode); got != test.code || !strings.HasPrefix(aws.ToString(out.Entries[0].ErrorMessage), test.message) {
				t.Errorf("got %s: %s", got, aws.ToString(out.Entries[0].ErrorMessage))
			}
			if failed := out.FailedEntryCount; (failed == 0) != (test.code == "") || out.Entries[1].EventId == nil || (out.Entries[0].EventId == nil) != (test.code != "") {
				t.Errorf("got %d failed, %+v", failed, out.Entries)
			}
			labtest.Settle(t, w.cloud)
			if got := strings.Join(w.sink.bodies("q"), ""); !strings.Contains(got, `{"good":true}`) {
				t.Errorf("the good entry did not arrive: %s", got)
			}
		})
	}
}

func TestLimitsOfARequestToPutEvents(t *testing.T) {
	w := newWorld(t)
	put := func(entries ...types.PutEventsRequestEntry) error {
		_, err := w.client().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries})
		return err
	}
	var eleven []types.PutEventsRequestEntry
	for range 11 {
		eleven = append(eleven, entry(`{}`))
	}
	wantError(t, put(eleven...), "ValidationException", "at 'entries' failed to satisfy constraint: Member must have length less than or equal to 10")
	wantError(t, put([]types.PutEventsRequestEntry{}...), "ValidationException", "greater than or equal to 1")
	if err := put(eleven[:10]...); err != nil {
		t.Error(err)
	}
	// Source 11, DetailType 7, Time 14, a resource of 5, and the quotes and braces of the detail.
	sized := func(n int, timed bool) types.PutEventsRequestEntry {
		e := entry(`{"a":"` + strings.Repeat("x", n-8-11-7-5-14) + `"}`)
		e.Resources = []string{"12345"}
		if timed {
			e.Time = aws.Time(labtest.Start)
		}
		return e
	}
	if err := put(sized(1<<20, true)); err != nil {
		t.Errorf("exactly 1 MiB: %v", err)
	}
	wantError(t, put(sized(1<<20+1, true)), "ValidationException", "Total size of the entries in the request is over the limit.")
	if err := put(sized(1<<20+14, false)); err != nil {
		t.Errorf("exactly 1 MiB without a time: %v", err)
	}
	wantError(t, put(sized(1<<19, true), sized(1<<19+1, true)), "ValidationException", "over the limit")
	small := newWorldIn(t, labtest.NewCloud(t), func(o *events.Options) { o.MaxRequest = 256 << 10 })
	_, err := small.client().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{sized(256<<10+1, true)}})
	wantError(t, err, "ValidationException", "over the limit")
}

func TestTestEventPattern(t *testing.T) {
	w := newWorld(t)
	event := `{"id":"1","account":"111111111111","source":"a","time":"2026-11-22T13:14:15Z","region":"us-east-1","resources":[],"detail-type":"t","detail":{"n":1}}`
	try := func(pattern, event string) (bool, error) {
		out, err := w.client().TestEventPattern(t.Context(), &eventbridge.TestEventPatternInput{EventPattern: &pattern, Event: &event})
		if err != nil {
			return false, err
		}
		return out.Result, nil
	}
	for pattern, want := range map[string]bool{`{"detail":{"n":[1]}}`: true, `{"detail":{"n":[2]}}`: false, `{"source":["b"]}`: false} {
		if got, err := try(pattern, event); err != nil || got != want {
			t.Errorf("%s: got %v, %v", pattern, got, err)
		}
	}
	for _, field := range []string{"id", "account", "source", "time", "region", "resources", "detail-type"} {
		var all map[string]any
		if err := json.Unmarshal([]byte(event), &all); err != nil {
			t.Fatal(err)
		}
		delete(all, field)
		without, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		_, err = try(`{"source":["a"]}`, string(without))
		wantError(t, err, "ValidationException", "it has no field "+field)
	}
	_, err := try(`{"source":["a"]}`, `[]`)
	wantError(t, err, "ValidationException", "no JSON object")
	_, err = try(`{"source":[]}`, event)
	wantError(t, err, "InvalidEventPatternException", "an empty array is not allowed")
	_, err = try(`{"source":[{"prefiks":"a"}]}`, event)
	wantError(t, err, "InvalidEventPatternException", "line: 1, column: ")
	_, err = try(`{"source":["`+strings.Repeat("a", 4096)+`"]}`, event)
	wantError(t, err, "ValidationException", "less than or equal to 4096")
}

func TestQuotasOfRatesRefusePutEventsAndDelayInvocations(t *testing.T) {
	w := newWorld(t, func(o *cloud.Options) { o.Quotas = true })
	w.rule("r", `{"source":["example.app"]}`, target("1", queue("q")), target("2", queue("q")))
	put := func() error {
		var ten []types.PutEventsRequestEntry
		for i := range 10 {
			ten = append(ten, entry(fmt.Sprintf(`{"n":%d}`, i)))
		}
		_, err := w.client().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: ten})
		return err
	}
	for range 1200 {
		if err := put(); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, put(), "ThrottlingException", "Rate exceeded")
	labtest.Settle(t, w.cloud)
	if got := len(w.sink.take("q")); got != 2250 {
		t.Errorf("got %d invocations in the first second, want 2250", got)
	}
	labtest.Advance(t, w.cloud, 20*time.Second)
	if got := len(w.sink.take("q")); got != 24_000-2250 {
		t.Errorf("got %d invocations later, want all that were late", got)
	}
	if err := put(); err != nil {
		t.Errorf("in another second: %v", err)
	}
}
