package handler_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/handler"
	"example.org/catchment/internal/store/mem"
)

// runIn is the ARN of a run somewhere.
func runIn(partition, region, account, id string) string {
	return "arn:" + partition + ":inspector:" + region + ":" + account + ":target/0-a/template/0-b/run/0-" + id
}

func TestARunIsFoundWhereverAnEventNamesIt(t *testing.T) {
	other := runIn("aws-us-gov", "us-gov-west-1", two, "x")
	var many []string
	for i := range 17 {
		many = append(many, runIn("aws", "us-east-1", one, fmt.Sprint(i)))
	}
	list := func(runs ...string) string { return string(marshal(t, runs)) }
	for name, tt := range map[string]struct {
		event string
		want  []string // runs; nil: an error
	}{
		"the sample of SNS": {
			sample(t, "sns-inspector-classic-run-started.json"),
			[]string{"arn:aws:inspector:us-east-1:012345678901:target/0-oMBW7xzC/template/0-h3pdIpMY/run/0-44oJJkCM"},
		},
		"a message that is itself the event, as a queue or a test would send it": {
			sample(t, "sns-message-inspector-classic-run-completed.json"),
			[]string{"arn:aws:inspector:us-east-1:012345678901:target/0-oMBW7xzC/template/0-h3pdIpMY/run/0-52kTrMB2"},
		},
		"a notice of a finding": {notice(t, "FINDING_REPORTED", run+`", "finding": "`+run+"/finding/0-x"), []string{run}},
		"an event, in its resources and its detail": {
			`{"source":"aws.inspector","detail-type":"Inspector Assessment Run State Change","resources":["` + run + `"],"detail":{"assessmentRunArn":"` + run + `"}}`,
			[]string{run},
		},
		"a call that CloudTrail tells of": {
			`{"source":"aws.inspector","detail-type":"AWS API Call via CloudTrail","detail":{"responseElements":{"assessmentRunArn":"` + run + `"}}}`, []string{run},
		},
		"a text, by a rule's InputPath": {`"` + run + `"`, []string{run}},
		"slashes with backslashes":      {`{"run":"` + strings.ReplaceAll(run, "/", `\\\/`) + `"}`, []string{run}},
		"several runs, one twice":       {list(run, other, run), []string{run, other}},
		"sixteen runs":                  {list(many[:16]...), many[:16]},
		"seventeen runs":                {list(many...), nil},
		"a template, and no run":        {`"` + run[:strings.Index(run, "/run/")] + `"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var regions []string
			o := options(t)
			o.Store = new(mem.Store)
			o.Assessments = func(region string) handler.Assessments {
				regions = append(regions, region)
				return &inspector{run: handler.Run{State: "COLLECTING_DATA"}}
			}
			b, err := handler.New(o).Handle(t.Context(), []byte(strings.ReplaceAll(tt.event, "ASSESSMENT_RUN_COMPLETED", "OTHER")))
			if tt.want == nil {
				if err == nil {
					t.Errorf("got %s, want an error", b)
				}
				return
			}
			var got []handler.AssessmentResult
			if err != nil || json.Unmarshal(b, &got) != nil {
				t.Fatalf("got %s, error %v", b, err)
			}
			var runs []string
			for _, r := range got {
				runs = append(runs, r.Run)
			}
			if diff := cmp.Diff(tt.want, runs); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
			for i, region := range regions {
				if !strings.Contains(tt.want[i], ":"+region+":") {
					t.Errorf("run %s is asked for in %s", tt.want[i], region)
				}
			}
		})
	}
}

func TestOneRunDoesNotStopAnother(t *testing.T) {
	bad, good := runIn("aws", "eu-west-1", one, "bad"), run
	apis := map[string]*inspector{"eu-west-1": {runFails: []error{&handler.ItemError{Code: "ACCESS_DENIED"}}}, "us-west-2": classic(3)}
	o, s := withInspector(t, nil, nil)
	o.Assessments = func(region string) handler.Assessments { return apis[region] }
	b, err := handler.New(o).Handle(t.Context(), marshal(t, []string{bad, good}))
	if err == nil || !strings.Contains(err.Error(), bad) || strings.Contains(err.Error(), good) {
		t.Errorf("got %s, error %v; want one of %s alone", b, err, bad)
	}
	if len(stored(t, s)) != 1 {
		t.Errorf("%d objects, want that of the other run", len(stored(t, s)))
	}
}

// TestFindingsOfTheSamples: each in the place of its own ARN, with its bytes.
func TestFindingsOfTheSamples(t *testing.T) {
	findingsOf := func(name string) []json.RawMessage {
		var page struct {
			Findings []json.RawMessage
			Output   struct{ Findings []json.RawMessage }
		}
		if err := json.Unmarshal([]byte(sample(t, name)), &page); err != nil {
			t.Fatal(err)
		}
		return append(page.Findings, page.Output.Findings...)
	}
	for name, want := range map[string]string{
		"inspector-classic-describe-findings.json": classicPrefix,
		"seed-describe-findings.json":              classicErrors, // its account is masked
	} {
		api := classic(0)
		for _, f := range findingsOf(name) {
			var named struct{ ARN string }
			if err := json.Unmarshal(f, &named); err != nil {
				t.Fatal(err)
			}
			api.findings[named.ARN] = string(f)
		}
		o, s := withInspector(t, api, nil)
		results(t, o, notice(t, "ASSESSMENT_RUN_COMPLETED", run))
		objects := stored(t, s)
		if len(objects) != 1 {
			t.Errorf("%s: objects %v, want one", name, slices.Collect(maps.Keys(objects)))
		}
		for key, lines := range objects {
			if !strings.HasPrefix(key, want) {
				t.Errorf("%s: key %s, want %s…", name, key, want)
			}
			if want == classicErrors {
				if e := readError(t, lines[0]); e.ErrorCode != "account-invalid" || string(e.RawData) != slices.Collect(maps.Values(api.findings))[0] {
					t.Errorf("%s: error record %+v", name, e)
				}
			}
		}
	}
}

// TestALargeRunIsPutInPieces, the same each time: whatever order Inspector answers in.
func TestALargeRunIsPutInPieces(t *testing.T) {
	api := classic(0)
	for i := range 700 {
		arn := fmt.Sprintf("%s/finding/0-%04d", run, i)
		api.findings[arn] = fmt.Sprintf(`{"arn":"%s","title":"%s"}`, arn, strings.Repeat(string(rune('a'+i%26)), 1000))
	}
	o, s := withInspector(t, api, nil)
	var told handler.AssessmentResult
	o.Events.Assessed = func(r handler.AssessmentResult) { told = r }
	again := func() {
		if _, err := handler.New(o).Piecewise(320<<10).Handle(t.Context(), []byte(notice(t, "ASSESSMENT_RUN_COMPLETED", run))); err != nil {
			t.Fatal(err)
		}
	}
	again()
	if told.Stored != 700 || told.Objects != 3 {
		t.Errorf("result %+v, want 700 findings in 3 objects", told)
	}
	first := slices.Sorted(maps.Keys(stored(t, s)))
	api.page = 37
	again()
	if diff := cmp.Diff(first, slices.Sorted(maps.Keys(stored(t, s)))); diff != "" {
		t.Errorf("with pages of %d the objects differ:\n%s", api.page, diff)
	}
}

func TestABucketThatIsAwayIsAnErrorOfTheInvocation(t *testing.T) {
	o, s := withInspector(t, classic(30), nil)
	s.Before = func(ctx, string) error { return errDown }
	if got, err := handler.New(o).Handle(t.Context(), []byte(notice(t, "ASSESSMENT_RUN_COMPLETED", run))); err == nil || !strings.Contains(err.Error(), errDown.Error()) {
		t.Errorf("got %s, error %v; want %v", got, err, errDown)
	}
}
