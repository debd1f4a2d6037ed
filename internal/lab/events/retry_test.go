package events_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/events"
	"example.org/catchment/internal/lab/labtest"
)

// failing makes deliveries to a queue fail, and notes when they were tried.
func (w *world) failing(name string, err func(try int) error) *[]time.Duration {
	var tries []time.Duration
	w.sink.fail = func(d *cloud.Delivery) error {
		if d.Target != queue(name) {
			return nil
		}
		tries = append(tries, w.cloud.Clock.Now().Sub(labtest.Start))
		return err(len(tries))
	}
	return &tries
}

func withDLQ(id, to string, attempts, age int32) types.Target {
	x := target(id, queue(to))
	x.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String(queue("dlq"))}
	x.RetryPolicy = &types.RetryPolicy{}
	if attempts >= 0 {
		x.RetryPolicy.MaximumRetryAttempts = &attempts
	}
	if age >= 0 {
		x.RetryPolicy.MaximumEventAgeInSeconds = &age
	}
	return x
}

func TestATargetIsTriedAgainWithGrowingPausesUntilItTakesTheEvent(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["example.app"]}`, target("1", queue("q")))
	tries := w.failing("q", func(try int) error {
		if try <= 6 {
			return retryable(cloud.CodeThrottling)
		}
		return nil
	})
	w.put(`{"n":1}`)
	labtest.Advance(t, w.cloud, 10*time.Minute)
	if len(*tries) != 7 {
		t.Fatalf("got %d tries, want 7: %v", len(*tries), *tries)
	}
	for i := 1; i < len(*tries); i++ {
		pause, middle := (*tries)[i]-(*tries)[i-1], time.Second<<(i-1)
		if pause < middle/2 || pause > middle*3/2 {
			t.Errorf("pause %d is %v, want %v and its half more or less at most", i, pause, middle)
		}
	}
	if got := w.sink.take("q"); len(got) != 1 {
		t.Errorf("got %d events", len(got))
	}
	if diff := cmp.Diff(events.Metrics{MatchedEvents: 1, Invocations: 1, Retries: 6}, w.metrics("r")); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutAPolicyAnEventIsGivenUpAfter185RetriesOrADay(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["example.app"]}`, withDLQ("1", "q", -1, -1))
	tries := w.failing("q", func(int) error { return retryable(cloud.CodeTimeout) })
	w.put(`{"n":1}`)
	labtest.Advance(t, w.cloud, 20*time.Hour)
	if got := w.sink.take("dlq"); len(got) != 0 {
		t.Errorf("given up after 20 hours with %d tries", len(*tries))
	}
	labtest.Advance(t, w.cloud, 4*time.Hour)
	got := w.sink.take("dlq")
	if len(got) != 1 || len(*tries) < 150 || len(*tries) > 186 {
		t.Fatalf("got %d dead letters after %d tries", len(got), len(*tries))
	}
	want := map[string]string{
		"RULE_ARN": arn("events", "rule/r"), "TARGET_ARN": queue("q"), "ERROR_CODE": "TIMEOUT", "ERROR_MESSAGE": "not now",
		"RETRY_ATTEMPTS": strconv.Itoa(len(*tries) - 1), "EXHAUSTED_RETRY_CONDITION": got[0].Attributes["EXHAUSTED_RETRY_CONDITION"],
	}
	if diff := cmp.Diff(want, got[0].Attributes); diff != "" {
		t.Error(diff)
	}
	if m := w.metrics("r"); m.FailedInvocations != 1 || m.DeadLetters != 1 || m.Retries != int64(len(*tries)-1) {
		t.Errorf("got %+v", m)
	}
	if n, _ := w.cloud.Clock.Pending(); n != 0 {
		t.Errorf("%d tasks wait", n)
	}
}

func TestARetryPolicyEndsRetriesByNumberOrByAge(t *testing.T) {
	for sentence, test := range map[string]struct {
		attempts, age int32
		condition     string
		tries         int           // at most; 0: not checked
		at            time.Duration // of the dead letter; 0: not checked
	}{
		"no retry":       {0, -1, "MaximumRetryAttempts", 1, 0},
		"three retries":  {3, -1, "MaximumRetryAttempts", 4, 0},
		"a minute":       {-1, 60, "MaximumEventAgeInSeconds", 0, time.Minute},
		"both, by count": {2, 3600, "MaximumRetryAttempts", 3, 0},
		"both, by age":   {100, 600, "MaximumEventAgeInSeconds", 0, 10 * time.Minute},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t)
			w.rule("r", `{"source":["example.app"]}`, withDLQ("1", "q", test.attempts, test.age))
			tries := w.failing("q", func(int) error { return retryable(cloud.CodeThrottling) })
			w.put(`{"n":1}`)
			if test.at > 0 {
				labtest.Advance(t, w.cloud, test.at-time.Nanosecond)
				if got := w.sink.take("dlq"); len(got) != 0 {
					t.Error("given up too early")
				}
				labtest.Advance(t, w.cloud, time.Nanosecond)
			} else {
				labtest.Advance(t, w.cloud, time.Hour)
			}
			got := w.sink.take("dlq")
			if len(got) != 1 || got[0].Attributes["EXHAUSTED_RETRY_CONDITION"] != test.condition {
				t.Fatalf("got %+v", got)
			}
			if test.tries > 0 && len(*tries) != test.tries {
				t.Errorf("got %d tries, want %d", len(*tries), test.tries)
			}
		})
	}
}

func TestWhatNoRetryHelpsGoesToTheDeadLetterQueueAtOnce(t *testing.T) {
	missing := cloud.ErrNoResource
	for sentence, test := range map[string]struct {
		fail          error
		code, message string
	}{
		"the target is gone":     {missing, "NO_RESOURCE", "does not exist"},
		"the target refuses it":  {errBroken, "SDK_CLIENT_ERROR", "broken for good"},
		"nobody lets it in":      {&cloud.DeliveryError{Code: cloud.CodeNoPermissions, Err: errors.New("no policy allows")}, "NO_PERMISSIONS", "no policy allows"},
		"the target is too full": {retryable(cloud.CodeThrottling), "", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t)
			dead := withDLQ("1", "q", -1, -1)
			dead.Input = aws.String(`{"short":true}`)
			w.rule("r", `{"source":["example.app"]}`, dead)
			w.failing("q", func(int) error { return test.fail })
			w.put(`{"n":1}`)
			got := w.sink.take("dlq")
			if test.code == "" {
				if len(got) != 0 {
					t.Errorf("got %+v; want a retry first", got)
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("got %d dead letters", len(got))
			}
			d := got[0]
			want := map[string]string{
				"RULE_ARN": arn("events", "rule/r"), "TARGET_ARN": queue("q"), "ERROR_CODE": test.code, "ERROR_MESSAGE": test.message, "RETRY_ATTEMPTS": "0",
			}
			if diff := cmp.Diff(want, d.Attributes); diff != "" {
				t.Error(diff)
			}
			if string(d.Body) != `{"short":true}` || d.Action != "sqs:SendMessage" || d.Role != "" || d.Source != arn("events", "rule/r") {
				t.Errorf("got %+v; want the event as it would have been sent", d)
			}
		})
	}
}

func TestDeadLettersAreLostWithoutAQueueOrWhereItRefusesThem(t *testing.T) {
	w := newWorld(t)
	w.rule("none", `{"source":["example.app"]}`, target("1", queue("q")))
	w.rule("refused", `{"source":["example.app"]}`, withDLQ("1", "q", -1, -1))
	w.sink.fail = func(*cloud.Delivery) error { return errBroken }
	w.put(`{}`)
	if diff := cmp.Diff(events.Metrics{MatchedEvents: 1, Invocations: 1, FailedInvocations: 1}, w.metrics("none")); diff != "" {
		t.Error(diff)
	}
	want := events.Metrics{MatchedEvents: 1, Invocations: 1, FailedInvocations: 1, LostDeadLetters: 1}
	if diff := cmp.Diff(want, w.metrics("refused")); diff != "" {
		t.Error(diff)
	}
	busy := 0
	w.sink.fail = func(d *cloud.Delivery) error {
		if d.Target == queue("dlq") {
			if busy++; busy <= 2 {
				return retryable(cloud.CodeThrottling)
			}
			return nil
		}
		return errBroken
	}
	w.put(`{}`)
	labtest.Advance(t, w.cloud, time.Minute)
	if m := w.metrics("refused"); m.DeadLetters != 1 || m.LostDeadLetters != 1 {
		t.Errorf("got %+v; want a queue that was busy to get its dead letter", m)
	}
}

func TestThePausesAreTheSameForTheSameSeed(t *testing.T) {
	run := func(seed uint64) []time.Duration {
		w := newWorld(t, func(o *cloud.Options) { o.Seed = seed })
		w.rule("r", `{"source":["example.app"]}`, target("1", queue("q")))
		tries := w.failing("q", func(int) error { return retryable(cloud.CodeThrottling) })
		w.put(`{}`)
		labtest.Advance(t, w.cloud, time.Hour)
		return *tries
	}
	first := run(1)
	if diff := cmp.Diff(first, run(1)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(first, run(2)) {
		t.Error("another seed gave the same pauses")
	}
}
