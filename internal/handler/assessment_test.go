package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/handler"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store/mem"
)

type ctx = context.Context

// inspector is Inspector Classic in one region, with one run.
type inspector struct {
	run      handler.Run
	findings map[string]string             // by ARN
	failed   map[string]*handler.ItemError // of findings
	page     int                           // of lists; 0: all

	runFails      []error // of the first calls, like the others
	listFails     []error
	describeFails []error
	flaky         int  // how often each finding fails first
	silent        bool // says nothing of every other finding
	mute          bool // says nothing of any
	loops         bool // the second page names itself, by way of the third

	asked map[string]int // calls, and findings by ARN
}

func (i *inspector) count(what string) int {
	if i.asked == nil {
		i.asked = make(map[string]int)
	}
	i.asked[what]++
	return i.asked[what]
}

func next(errs *[]error) error {
	if len(*errs) == 0 {
		return nil
	}
	err := (*errs)[0]
	*errs = (*errs)[1:]
	return err
}

func (i *inspector) Run(ctx, string) (handler.Run, error) {
	i.count("Run")
	return i.run, next(&i.runFails)
}

func (i *inspector) List(_ ctx, _, token string) (findings []string, more string, err error) {
	n := i.count("List")
	if err := next(&i.listFails); err != nil {
		return nil, "", err
	}
	if i.loops {
		return nil, fmt.Sprintf("page %d", n%3), nil
	}
	all := slices.Sorted(maps.Keys(i.findings))
	slices.Reverse(all) // in no order that would do
	for arn := range i.failed {
		all = append(all, arn)
	}
	if i.page == 0 {
		return all, "", nil
	}
	from := 0
	if token != "" {
		if _, err := fmt.Sscanf(token, "from %d", &from); err != nil {
			return nil, "", err
		}
	}
	if to := from + i.page; to < len(all) {
		return all[from:to], fmt.Sprintf("from %d", to), nil
	}
	return append(all[from:], all[0]), "", nil // one comes twice
}

func (i *inspector) Describe(_ ctx, findings []string) (map[string][]byte, map[string]*handler.ItemError, error) {
	n := i.count("Describe")
	if len(findings) < 1 || len(findings) > 10 {
		return nil, nil, fmt.Errorf("INVALID_NUMBER_OF_FINDING_ARNS: %d", len(findings))
	}
	if err := next(&i.describeFails); err != nil {
		return nil, nil, err
	}
	described, failed := make(map[string][]byte), make(map[string]*handler.ItemError)
	for k, arn := range findings {
		switch asked := i.count(arn); {
		case i.failed[arn] != nil:
			failed[arn] = i.failed[arn]
		case asked <= i.flaky:
			failed[arn] = &handler.ItemError{Code: "INTERNAL_ERROR", Retry: true}
		case i.mute, i.silent && (k+n)%2 == 0:
		default:
			described[arn] = []byte(i.findings[arn])
		}
	}
	return described, failed, nil
}

const run = "arn:aws:inspector:us-west-2:123456789012:target/0-0kFIPusq/template/0-4r1V2mAw/run/0-MKkpXXPE"

// classic is an inspector with n findings of a run that is complete.
func classic(n int) *inspector {
	i := &inspector{run: handler.Run{State: "COMPLETED", Completed: time.UnixMilli(1458680301400)}, findings: make(map[string]string)}
	for k := range n {
		arn := fmt.Sprintf("%s/finding/0-%04d", run, k)
		i.findings[arn] = `{"arn":"` + arn + `","title":"t","severity":"High","createdAt":1458680301.37,"updatedAt":1458680301.37}`
	}
	return i
}

// notice is an invocation by SNS as in the sample, of another run and with another event.
func notice(tb testing.TB, event, run string) string {
	tb.Helper()
	message := strings.ReplaceAll(sample(tb, "sns-message-inspector-classic-run-completed.json"), "ASSESSMENT_RUN_COMPLETED", event)
	i := strings.Index(message, `"run": "`) + len(`"run": "`)
	message = message[:i] + run + message[i+strings.IndexByte(message[i:], '"'):]
	return `{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","Sns":{"Type":"Notification","TopicArn":"arn:aws:sns:us-west-2:123456789012:t","Subject":null,"Message":` +
		string(marshal(tb, message)) + `}}]}`
}

// withInspector are options with a bucket and an Inspector, that do not wait; waits are added to waited.
func withInspector(tb testing.TB, api handler.Assessments, waited *time.Duration, streams ...pipeline.Stream) (handler.Options, *mem.Store) {
	tb.Helper()
	o, s := options(tb, streams...), new(mem.Store)
	o.Store = s
	o.Assessments = func(string) handler.Assessments { return api }
	o.Wait = func(c ctx, d time.Duration) error {
		if waited != nil {
			*waited += d
		}
		return c.Err()
	}
	return o, s
}

func results(tb testing.TB, o handler.Options, event string) []handler.AssessmentResult {
	tb.Helper()
	b, err := handler.New(o).Handle(tb.Context(), []byte(event))
	if err != nil {
		tb.Fatal(err)
	}
	var out []handler.AssessmentResult
	if err := json.Unmarshal(b, &out); err != nil {
		tb.Fatalf("answer %s: %v", b, err)
	}
	return out
}

const (
	classicPrefix = "AWSLogs/123456789012/Inspector/us-west-2/2016/03/22/20/inspector-1-2016-03-22-20-58-21-"
	classicErrors = "errors/processing-failed/2016/03/22/20/inspector-1-2016-03-22-20-58-21-"
)

func TestTheFindingsOfARunAreStored(t *testing.T) {
	denied := run + "/finding/0-denied"
	all := func(n int) handler.AssessmentResult {
		return handler.AssessmentResult{Run: run, State: "COMPLETED", Listed: n, Counts: handler.Counts{Stored: n, Objects: 1}}
	}
	for name, tt := range map[string]struct {
		api      *inspector
		change   func(*inspector)
		want     handler.AssessmentResult
		describe int // calls
		waited   time.Duration
	}{
		"one":                                     {api: classic(1), want: all(1), describe: 1},
		"none":                                    {api: classic(0), want: handler.AssessmentResult{Run: run, State: "COMPLETED"}},
		"as many as a call describes, and one":    {api: classic(11), want: all(11), describe: 2},
		"pages of a hundred, one finding twice":   {api: classic(250), change: func(i *inspector) { i.page = 100 }, want: all(250), describe: 25},
		"findings that are there the third time":  {api: classic(20), change: func(i *inspector) { i.flaky = 2 }, want: all(20), describe: 6, waited: 2 * 600 * time.Millisecond},
		"findings of which nothing is said first": {api: classic(4), change: func(i *inspector) { i.silent = true }, want: all(4), describe: 3, waited: 600 * time.Millisecond},
		"a run that is itself there the third time": {
			api: classic(1), change: func(i *inspector) {
				i.runFails = []error{&handler.ItemError{Code: "INTERNAL_ERROR", Retry: true}, &handler.ItemError{Code: "LIMIT_EXCEEDED", Retry: true}}
			},
			want: all(1), describe: 1, waited: 600 * time.Millisecond,
		},
		"a run with errors": {
			api: classic(3), change: func(i *inspector) { i.run.State = "COMPLETED_WITH_ERRORS" }, describe: 1,
			want: handler.AssessmentResult{Run: run, State: "COMPLETED_WITH_ERRORS", Listed: 3, Counts: handler.Counts{Stored: 3, Objects: 1}},
		},
		"one that Inspector denies": {
			api: classic(3), change: func(i *inspector) { i.failed = map[string]*handler.ItemError{denied: {Code: "ACCESS_DENIED"}} }, describe: 1,
			want: handler.AssessmentResult{Run: run, State: "COMPLETED", Listed: 4, Counts: handler.Counts{Stored: 3, Rejected: 1, Objects: 2}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.change != nil {
				tt.change(tt.api)
			}
			var waited time.Duration
			o, s := withInspector(t, tt.api, &waited)
			var told []handler.AssessmentResult
			o.Events.Assessed = func(r handler.AssessmentResult) { told = append(told, r) }
			got := results(t, o, notice(t, "ASSESSMENT_RUN_COMPLETED", run))
			if diff := cmp.Diff([]handler.AssessmentResult{tt.want}, got); diff != "" || !cmp.Equal(got, told) {
				t.Errorf("told %+v; result (-want +got):\n%s", told, diff)
			}
			if tt.api.asked["Describe"] != tt.describe || waited != tt.waited {
				t.Errorf("described %d times, waited %v; want %d, %v", tt.api.asked["Describe"], waited, tt.describe, tt.waited)
			}
			want := slices.Sorted(maps.Values(tt.api.findings))
			for key, lines := range stored(t, s) {
				switch {
				case strings.HasPrefix(key, classicPrefix):
					if diff := cmp.Diff(want, slices.Sorted(slices.Values(lines))); diff != "" {
						t.Errorf("lines (-want +got):\n%s", diff)
					}
				case strings.HasPrefix(key, classicErrors):
					if e := readError(t, lines[0]); e.ErrorCode != "describe-failed" || !strings.HasSuffix(e.ErrorMessage, "ACCESS_DENIED") || string(e.RawData) != denied {
						t.Errorf("error record %+v", e)
					}
				default:
					t.Errorf("key %s", key)
				}
			}
			first := stored(t, s)
			tt.api.flaky = 0
			results(t, o, notice(t, "ASSESSMENT_RUN_COMPLETED", run))
			if diff := cmp.Diff(first, stored(t, s)); diff != "" {
				t.Errorf("the same notice again adds something:\n%s", diff)
			}
		})
	}
}

func TestARunThatIsNotCompleteWaitsForAnotherNotice(t *testing.T) {
	for _, state := range []string{"CREATED", "COLLECTING_DATA", "EVALUATING_RULES", "FAILED", "CANCELED"} {
		api := classic(3)
		api.run.State = state
		o, s := withInspector(t, api, nil)
		got := results(t, o, notice(t, "ASSESSMENT_RUN_STATE_CHANGED", run))
		want := []handler.AssessmentResult{{Run: run, State: state, Note: "the run is not complete: nothing was done"}}
		if diff := cmp.Diff(want, got); diff != "" || len(stored(t, s)) > 0 || api.asked["List"] > 0 {
			t.Errorf("%s: %d objects (-want +got):\n%s", state, len(stored(t, s)), diff)
		}
	}
	api := classic(3)
	api.run.State = "EVALUATING_RULES"
	o, _ := withInspector(t, api, nil)
	if got, err := handler.New(o).Handle(t.Context(), []byte(notice(t, "ASSESSMENT_RUN_COMPLETED", run))); err == nil || !strings.Contains(err.Error(), "EVALUATING_RULES") {
		t.Errorf("a run that is complete by its last notice and not yet by Inspector: %s, error %v; want one, to be invoked again", got, err)
	}
}

var errThrottled = errors.New("ThrottlingException: Rate exceeded")

func TestWhatInspectorDoesNotGiveIsAnErrorOfTheInvocation(t *testing.T) {
	missing := &handler.ItemError{Code: "ITEM_DOES_NOT_EXIST"}
	busy := &handler.ItemError{Code: "LIMIT_EXCEEDED", Retry: true}
	for name, tt := range map[string]struct {
		change func(*inspector)
		want   string
	}{
		"a run that does not exist":              {func(i *inspector) { i.runFails = []error{missing} }, "ITEM_DOES_NOT_EXIST"},
		"a run that is never described":          {func(i *inspector) { i.runFails = slices.Repeat([]error{busy}, 10) }, "after 10 attempts: Inspector cannot describe it: LIMIT_EXCEEDED"},
		"a run, throttled":                       {func(i *inspector) { i.runFails = []error{errThrottled} }, "describe it: " + errThrottled.Error()},
		"a list, throttled":                      {func(i *inspector) { i.listFails = []error{errThrottled} }, "list its findings: " + errThrottled.Error()},
		"a list that never ends":                 {func(i *inspector) { i.loops = true }, "again and again"},
		"findings, throttled":                    {func(i *inspector) { i.describeFails = []error{nil, errThrottled} }, "describe its findings: " + errThrottled.Error()},
		"findings that are never described":      {func(i *inspector) { i.flaky = 10 }, "after 10 attempts: finding " + run + "/finding/0-0009: Inspector cannot describe it: INTERNAL_ERROR"},
		"findings of which nothing is ever said": {func(i *inspector) { i.mute = true }, "after 10 attempts: finding " + run + "/finding/0-0009: neither described nor failed"},
	} {
		t.Run(name, func(t *testing.T) {
			api := classic(20)
			tt.change(api)
			o, _ := withInspector(t, api, nil)
			got, err := handler.New(o).Handle(t.Context(), []byte(notice(t, "ASSESSMENT_RUN_COMPLETED", run)))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "assessment run "+run) {
				t.Errorf("got %s, error %v; want %q, with the run", got, err, tt.want)
			}
		})
	}
}

func TestWaitingEndsWithTheInvocation(t *testing.T) {
	api := classic(1)
	api.flaky = 100
	o, _ := withInspector(t, api, nil)
	c, cancel := context.WithCancel(t.Context())
	o.Wait = func(c ctx, _ time.Duration) error { cancel(); return c.Err() }
	if _, err := handler.New(o).Handle(c, []byte(notice(t, "ASSESSMENT_RUN_COMPLETED", run))); !errors.Is(err, context.Canceled) || api.asked["Describe"] != 1 {
		t.Errorf("described %d times, error %v; want %v after the first", api.asked["Describe"], err, context.Canceled)
	}
	o.Wait = nil // real time
	c, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := handler.New(o).Handle(c, []byte(notice(t, "ASSESSMENT_RUN_COMPLETED", run))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v; want %v", err, context.DeadlineExceeded)
	}
}
