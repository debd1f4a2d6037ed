package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/handler"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store/mem"
)

// queueOf is an invocation by SQS with the messages m0, m1 and so on.
func queueOf(tb rapid.TB, bodies ...string) []byte {
	tb.Helper()
	numbers := make([]int, len(bodies))
	for i := range numbers {
		numbers[i] = i
	}
	return queueOfThese(tb, bodies, numbers)
}

// sentAt is when a message was sent.
func sentAt(i int) time.Time { return arrived.Add(time.Duration(i) * time.Second) }

// queueOfThese is queueOf of some of the messages, in another order.
func queueOfThese(tb rapid.TB, bodies []string, numbers []int) []byte {
	tb.Helper()
	list := []any{}
	for _, i := range numbers {
		list = append(list, map[string]any{
			"messageId": fmt.Sprintf("m%d", i), "receiptHandle": "r", "body": bodies[i], "eventSource": "aws:sqs", "awsRegion": "us-east-1",
			"eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:findings", "messageAttributes": map[string]any{},
			"attributes": map[string]string{"SentTimestamp": strconv.FormatInt(sentAt(i).UnixMilli(), 10), "ApproximateReceiveCount": "1"},
		})
	}
	return marshal(tb, map[string]any{"Records": list})
}

// failures are the messages that an answer leaves in the queue.
func failures(tb rapid.TB, answer []byte) (ids []string) {
	tb.Helper()
	var out struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(answer, &out); err != nil || out.BatchItemFailures == nil {
		tb.Fatalf("answer %q: %v", answer, err)
	}
	for _, f := range out.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

const hour = "2026/11/22/13/"

func TestWhatBecomesOfAMessage(t *testing.T) {
	good := finding(one, "us-east-1", "")
	place := "AWSLogs/" + one + "/Inspector/us-east-1/" + hour
	envelope := func(kind, message string) string {
		return string(marshal(t, map[string]string{"Type": kind, "MessageId": "x", "TopicArn": "arn:aws:sns:us-east-1:111122223333:t", "Message": message}))
	}
	for name, tt := range map[string]struct {
		body   string
		lines  map[string][]string // by prefix; error records by their errorCode
		counts handler.Counts
	}{
		"an event as EventBridge sends it": {imported(good), map[string][]string{place: {good}}, handler.Counts{Stored: 1, Objects: 1}},
		"an event in SNS's envelope":       {envelope("Notification", imported(good)), map[string][]string{place: {good}}, handler.Counts{Stored: 1, Objects: 1}},
		"two findings of two places": {
			imported(good, finding(two, "eu-west-1", "")),
			map[string][]string{place: {good}, "AWSLogs/" + two + "/Inspector/eu-west-1/" + hour: {finding(two, "eu-west-1", "")}},
			handler.Counts{Stored: 2, Objects: 2},
		},
		"the same event twice in one message": {imported(good) + "\n" + imported(good), map[string][]string{place: {good}}, handler.Counts{Stored: 1, Duplicate: 1, Objects: 1}},
		"an event that the pattern leaves out": {
			`{"source":"aws.ec2","detail-type":"x","detail":{}}`, map[string][]string{}, handler.Counts{Filtered: 1},
		},
		"a text":                  {"Hello World", map[string][]string{"errors/": {"invalid-json"}}, handler.Counts{Rejected: 1, Objects: 1}},
		"nothing":                 {"", map[string][]string{"errors/": {"invalid-json"}}, handler.Counts{Rejected: 1, Objects: 1}},
		"a page without findings": {`{"Findings":[]}`, map[string][]string{"errors/": {"invalid-json"}}, handler.Counts{Rejected: 1, Objects: 1}},
		"SNS's own message that it will send": {
			envelope("SubscriptionConfirmation", "You have chosen to subscribe"), map[string][]string{"errors/": {"unrecognised"}}, handler.Counts{Rejected: 1, Objects: 1},
		},
		"a good event and a broken one": {
			imported(good) + "\n" + imported(finding("x", "us-east-1", "")),
			map[string][]string{place: {good}, "errors/": {"account-invalid"}},
			handler.Counts{Stored: 1, Rejected: 1, Objects: 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := new(mem.Store)
			o := options(t)
			o.Store = s
			var told handler.QueueResult
			o.Events.Queued = func(r handler.QueueResult) { told = r }
			answer, err := handler.New(o).Handle(t.Context(), queueOf(t, tt.body))
			if err != nil || len(failures(t, answer)) > 0 {
				t.Fatalf("got %s, error %v", answer, err)
			}
			got := make(map[string][]string)
			for key, lines := range stored(t, s) {
				if strings.HasPrefix(key, "errors/processing-failed/"+hour+"inspector-1-2026-11-22-13-14-15-") {
					for _, line := range lines {
						got["errors/"] = append(got["errors/"], readError(t, line).ErrorCode)
					}
					continue
				}
				prefix, _, ok := strings.Cut(key, "inspector-1-2026-11-22-13-14-15-")
				if !ok || !strings.HasSuffix(key, ".json.gz") {
					t.Errorf("key %s is not of Firehose's form", key)
				}
				got[prefix] = lines
			}
			if diff := cmp.Diff(tt.lines, got); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.counts, told.Counts); diff != "" || told.Messages != 1 || told.Failed != 0 || told.Err != nil {
				t.Errorf("told %+v (-want +got):\n%s", told, diff)
			}
		})
	}
}

func TestABrokenMessageIsKeptWhole(t *testing.T) {
	s := new(mem.Store)
	o := options(t)
	o.Store = s
	if _, err := handler.New(o).Handle(t.Context(), queueOf(t, "no JSON, \x01 and ü")); err != nil {
		t.Fatal(err)
	}
	for _, lines := range stored(t, s) {
		if e := readError(t, lines[0]); string(e.RawData) != "no JSON, \x01 and ü" {
			t.Errorf("raw data %q", e.RawData)
		}
	}
}

func TestAMessageWithoutASentTimeArrivesNow(t *testing.T) {
	s := new(mem.Store)
	o := options(t)
	o.Store = s
	event := strings.ReplaceAll(string(queueOf(t, imported(finding(one, "us-east-1", "")))), `"SentTimestamp"`, `"X"`)
	if _, err := handler.New(o).Handle(t.Context(), []byte(event)); err != nil {
		t.Fatal(err)
	}
	for key := range stored(t, s) {
		if !strings.Contains(key, hour) {
			t.Errorf("key %s is not of the hour of now", key)
		}
	}
}

var errDown = errors.New("the bucket does not answer")

func TestNothingThatCanBeStoredIsAnErrorOfTheInvocation(t *testing.T) {
	o := options(t)
	o.Store = &mem.Store{Before: func(context.Context, string) error { return errDown }}
	var told handler.QueueResult
	o.Events.Queued = func(r handler.QueueResult) { told = r }
	event := queueOf(t, imported(finding(one, "us-east-1", "")), imported(finding(one, "us-east-1", "")))
	if got, err := handler.New(o).Handle(t.Context(), event); !errors.Is(err, errDown) {
		t.Errorf("got %s, error %v; want %v", got, err, errDown)
	}
	if told.Failed != 2 || !errors.Is(told.Err, errDown) {
		t.Errorf("told %+v, want 2 that failed for %v", told, errDown)
	}
}

// genBody makes bodies of messages: events with findings of few places, some of them broken or of other products.
func genBody() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		one := func(label string) string {
			f := finding(rapid.SampledFrom([]string{one, two, "777788889999", "bad"}).Draw(t, "account"), rapid.SampledFrom([]string{"us-east-1", "eu-west-1", "?"}).Draw(t, "region"),
				fmt.Sprintf(`,"Title":"%s %d"`, label, rapid.IntRange(0, 9).Draw(t, "title")))
			return strings.Replace(f, `"Inspector"`, rapid.SampledFrom([]string{`"Inspector"`, `"Inspector"`, `"GuardDuty"`}).Draw(t, "product"), 1)
		}
		var docs []string
		for range rapid.IntRange(0, 3).Draw(t, "documents") {
			var findings []string
			for range rapid.IntRange(0, 3).Draw(t, "findings") {
				findings = append(findings, one("f"))
			}
			text := imported(findings...)
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				text = `{"Findings":[` + strings.Join(findings, ",") + `]}`
			case 1:
				text = one("bare")
			case 2:
				text = text[:rapid.IntRange(0, len(text)).Draw(t, "cut")]
			case 3:
				text = rapid.SampledFrom([]string{"null", "[]", "hello", "\x00", `{"a":1}`, `[[{}]]`}).Draw(t, "other")
			}
			docs = append(docs, text)
		}
		return strings.Join(docs, rapid.SampledFrom([]string{"", "\n", " "}).Draw(t, "between"))
	})
}

// twoStreams are one of findings with a part of them, and one of whole events.
func twoStreams() []pipeline.Stream {
	return []pipeline.Stream{pipeline.DefaultStream(), everything("events", func(s *pipeline.Stream) { s.Record = pipeline.RecordEvent })}
}

// TestWhateverFailsStaysInTheQueue: a message is reported exactly if an object that holds a line of it could not be put;
// all lines of all other messages are in the bucket.
func TestWhateverFailsStaysInTheQueue(t *testing.T) {
	base := options(t, twoStreams()...)
	partial := 0
	rapid.Check(t, func(t *rapid.T) {
		bodies := rapid.SliceOfN(genBody(), 1, 12).Draw(t, "bodies")
		var prefixes []string
		lines := make([]map[string][]string, len(bodies)) // of messages, by prefix
		for i, body := range bodies {
			lines[i] = make(map[string][]string)
			all := outcomes(base.Pipeline, body, sentAt(i))
			if len(all) == 0 {
				all = []pipeline.Outcome{{Prefix: "errors/processing-failed/" + hour}} // whatever it says
			}
			for _, o := range all {
				if o.Kind == pipeline.Filtered {
					continue
				}
				lines[i][o.Prefix] = append(lines[i][o.Prefix], string(o.Line))
				if !slices.Contains(prefixes, o.Prefix) {
					prefixes = append(prefixes, o.Prefix)
				}
			}
		}
		var down []string
		if len(prefixes) > 0 {
			down = rapid.SliceOfNDistinct(rapid.SampledFrom(prefixes), 0, len(prefixes), rapid.ID[string]).Draw(t, "down")
		}
		s := &mem.Store{Before: func(_ context.Context, key string) error {
			if slices.ContainsFunc(down, func(p string) bool { return strings.HasPrefix(key, p) }) {
				return errDown
			}
			return nil
		}}
		o := base
		o.Store = s
		answer, err := handler.New(o).Handle(t.Context(), queueOf(t, bodies...))
		var want []string
		for i := range bodies {
			if slices.ContainsFunc(slices.Collect(maps.Keys(lines[i])), func(p string) bool { return slices.Contains(down, p) }) {
				want = append(want, fmt.Sprintf("m%d", i))
			}
		}
		if len(want) == len(bodies) {
			if !errors.Is(err, errDown) {
				t.Fatalf("no message could be stored, and the error is %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(want) > 0 {
			partial++
		}
		if diff := cmp.Diff(want, failures(t, answer)); diff != "" {
			t.Fatalf("messages that stay (-want +got):\n%s", diff)
		}
		have := make(map[string]bool)
		for key, all := range stored(t, s) {
			for _, line := range all {
				have[key[:strings.LastIndexByte(key, '/')+1]+line] = true
			}
		}
		for i := range bodies {
			for prefix, all := range lines[i] {
				for _, line := range all {
					if line != "" && !have[prefix+line] && !slices.Contains(want, fmt.Sprintf("m%d", i)) {
						t.Fatalf("message %d is done, and its line is not in the bucket: %s", i, line)
					}
				}
			}
		}
	})
	if partial == 0 {
		t.Error("no batch failed in part: this proves nothing")
	}
}

// TestABatchThatComesAgainAddsNothing, in whatever order: the store in memory refuses other bytes under a key.
func TestABatchThatComesAgainAddsNothing(t *testing.T) {
	base := options(t, twoStreams()...)
	rapid.Check(t, func(t *rapid.T) {
		bodies := rapid.SliceOfN(genBody(), 1, 8).Draw(t, "bodies")
		order := make([]int, len(bodies))
		for i := range order {
			order[i] = i
		}
		s := new(mem.Store)
		o := base
		o.Store = s
		h := handler.New(o)
		var first map[string][]string
		for range 2 {
			if answer, err := h.Handle(t.Context(), queueOfThese(t, bodies, order)); err != nil || len(failures(t, answer)) > 0 {
				t.Fatalf("got %s, error %v", answer, err)
			}
			if first == nil {
				first = stored(t, s)
			}
			order = rapid.Permutation(order).Draw(t, "order")
		}
		if diff := cmp.Diff(first, stored(t, s)); diff != "" {
			t.Fatalf("the second time added something:\n%s", diff)
		}
	})
}

func TestAnObjectIsNamedInTheTimeZoneOfItsStream(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	s := new(mem.Store)
	o := options(t, everything("a", func(s *pipeline.Stream) { s.TimeZone, s.Version = "Asia/Tokyo", 7 }))
	o.Store, o.Streams = s, []handler.Stream{{Compression: encode.Zstd, Level: 3, Location: tokyo}}
	if _, err := handler.New(o).Handle(t.Context(), queueOf(t, imported(finding(one, "us-east-1", "")))); err != nil {
		t.Fatal(err)
	}
	for object, err := range s.List(t.Context(), "") {
		const prefix = "a/AWSLogs/" + one + "/Inspector/us-east-1/2026/11/22/22/a-7-2026-11-22-22-14-15-"
		if err != nil || !strings.HasPrefix(object.Key, prefix) || !strings.HasSuffix(object.Key, ".json.zst") {
			t.Errorf("key %s, %v; want %s….json.zst", object.Key, err, prefix)
		}
	}
}
