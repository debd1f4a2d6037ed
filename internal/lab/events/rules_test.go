package events_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

func (w *world) describe(bus, name string) *eventbridge.DescribeRuleOutput {
	w.Helper()
	in := &eventbridge.DescribeRuleInput{Name: &name}
	if bus != "" {
		in.EventBusName = &bus
	}
	out, err := w.client().DescribeRule(w.Context(), in)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func TestPutRuleResetsWhatIsOmittedButKeepsTargetsAndTags(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	first, err := c.PutRule(t.Context(), &eventbridge.PutRuleInput{
		Name: aws.String("r"), EventPattern: aws.String(`{"source":["a"]}`), State: types.RuleStateDisabled, Description: aws.String("d"),
		RoleArn: role(labtest.Administrator, "r"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := arn("events", "rule/r"); *first.RuleArn != want {
		t.Errorf("got ARN %s, want %s", *first.RuleArn, want)
	}
	got := w.describe("", "r")
	if *got.Description != "d" || got.State != types.RuleStateDisabled || *got.RoleArn != *role(labtest.Administrator, "r") || *got.CreatedBy != labtest.Administrator {
		t.Errorf("got %+v", got)
	}
	w.rule("r", `{"source":["b"]}`, target("1", queue("q")))
	w.rule("r", `{"source":["c"]}`)
	got = w.describe("", "r")
	if got.Description != nil || got.State != types.RuleStateEnabled || got.RoleArn != nil || *got.EventPattern != `{"source":["c"]}` || *got.EventBusName != "default" {
		t.Errorf("got %+v; want what was omitted to be reset", got)
	}
	targets, err := c.ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: aws.String("r")})
	if err != nil || len(targets.Targets) != 1 {
		t.Errorf("got %v, %v; want the target that it had", targets, err)
	}
	tags, err := c.ListTagsForResource(t.Context(), &eventbridge.ListTagsForResourceInput{ResourceARN: first.RuleArn})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "v" {
		t.Errorf("got %v, %v; want the tag that it had", tags, err)
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	if _, err := c.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("other")}); err != nil {
		t.Fatal(err)
	}
	long := func(n int) *string {
		return aws.String(`{"source":["` + strings.Repeat("a", n-len(`{"source":[""]}`)) + `"]}`)
	}
	for sentence, test := range map[string]struct {
		in         eventbridge.PutRuleInput
		code, part string
	}{
		"neither pattern nor schedule": {eventbridge.PutRuleInput{}, "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."},
		"a name with a slash":          {eventbridge.PutRuleInput{Name: aws.String("a/b"), EventPattern: long(50)}, "ValidationException", "'name'"},
		"a name of 65 characters":      {eventbridge.PutRuleInput{Name: aws.String(strings.Repeat("a", 65)), EventPattern: long(50)}, "ValidationException", "less than or equal to 64"},
		"a description of 513":         {eventbridge.PutRuleInput{Description: aws.String(strings.Repeat("a", 513)), EventPattern: long(50)}, "ValidationException", "'description'"},
		"a pattern over the API's length": {
			eventbridge.PutRuleInput{EventPattern: long(4097)}, "ValidationException", "less than or equal to 4096",
		},
		"a pattern over the quota": {eventbridge.PutRuleInput{EventPattern: long(2049)}, "LimitExceededException", "maximum"},
		"a bare value":             {eventbridge.PutRuleInput{EventPattern: aws.String(`{"source":"a"}`)}, "InvalidEventPatternException", "Event pattern is not valid. Reason: expected an array"},
		"a pattern that is no JSON": {
			eventbridge.PutRuleInput{EventPattern: aws.String(`{`)}, "InvalidEventPatternException", "not valid JSON",
		},
		"too many combinations": {
			eventbridge.PutRuleInput{EventPattern: aws.String(`{"detail":{` + strings.TrimSuffix(strings.Repeat(`"x":{"$or":[{"a":[1]},{"b":[1]}]},`, 11), ",") + `}}`)},
			"InvalidEventPatternException", "1000 combinations",
		},
		"an unknown state":            {eventbridge.PutRuleInput{State: "ON", EventPattern: long(50)}, "ValidationException", "enum value set"},
		"a bus that does not exist":   {eventbridge.PutRuleInput{EventBusName: aws.String("gone"), EventPattern: long(50)}, "ResourceNotFoundException", "Event bus gone does not exist."},
		"a bus of another account":    {eventbridge.PutRuleInput{EventBusName: aws.String(strings.ReplaceAll(arn("events", "event-bus/default"), labtest.Administrator, labtest.Member)), EventPattern: long(50)}, "ResourceNotFoundException", "does not exist"},
		"a schedule on another bus":   {eventbridge.PutRuleInput{EventBusName: aws.String("other"), ScheduleExpression: aws.String("rate(1 minute)")}, "ValidationException", "ScheduleExpression is supported only on the default event bus."},
		"a schedule in words":         {eventbridge.PutRuleInput{ScheduleExpression: aws.String("daily")}, "ValidationException", "Parameter ScheduleExpression is not valid."},
		"one minutes":                 {eventbridge.PutRuleInput{ScheduleExpression: aws.String("rate(1 minutes)")}, "ValidationException", "Parameter ScheduleExpression is not valid."},
		"two minute":                  {eventbridge.PutRuleInput{ScheduleExpression: aws.String("rate(2 minute)")}, "ValidationException", "Parameter ScheduleExpression is not valid."},
		"no minutes":                  {eventbridge.PutRuleInput{ScheduleExpression: aws.String("rate(0 minutes)")}, "ValidationException", "Parameter ScheduleExpression is not valid."},
		"seconds":                     {eventbridge.PutRuleInput{ScheduleExpression: aws.String("rate(10 seconds)")}, "ValidationException", "Parameter ScheduleExpression is not valid."},
		"a cron of five fields":       {eventbridge.PutRuleInput{ScheduleExpression: aws.String("cron(0 12 * * ?)")}, "ValidationException", "Parameter ScheduleExpression is not valid."},
		"a cron with both days given": {eventbridge.PutRuleInput{ScheduleExpression: aws.String("cron(0 12 1 * MON *)")}, "ValidationException", "Parameter ScheduleExpression is not valid."},
		"a cron with letters":         {eventbridge.PutRuleInput{ScheduleExpression: aws.String("cron(x 12 ? * MON *)")}, "ValidationException", "Parameter ScheduleExpression is not valid."},
		"a schedule of 257":           {eventbridge.PutRuleInput{ScheduleExpression: aws.String(strings.Repeat("x", 257))}, "ValidationException", "'scheduleExpression'"},
		"a tag of AWS": {
			eventbridge.PutRuleInput{EventPattern: long(50), Tags: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("")}}}, "ValidationException", "aws:",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			in := test.in
			if in.Name == nil {
				in.Name = aws.String("r")
			}
			_, err := c.PutRule(t.Context(), &in)
			wantError(t, err, test.code, test.part)
		})
	}
	for _, schedule := range []string{"cron(0 12 * * ? *)", "cron(0/15 8-17 ? * MON-FRI *)", "rate(5 minutes)", "rate(1 day)"} {
		if _, err := c.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("s"), ScheduleExpression: &schedule}); err != nil {
			t.Errorf("%s: %v", schedule, err)
		}
	}
	if _, err := c.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("longest"), EventPattern: long(2048)}); err != nil {
		t.Error(err)
	}
}

func TestOperationsOnRulesThatDoNotExist(t *testing.T) {
	w := newWorld(t)
	c, name := w.client(), aws.String("gone")
	missing := func(err error) {
		t.Helper()
		wantError(t, err, "ResourceNotFoundException", "Rule gone does not exist on EventBus default.")
	}
	_, err := c.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: name})
	missing(err)
	_, err = c.EnableRule(t.Context(), &eventbridge.EnableRuleInput{Name: name})
	missing(err)
	_, err = c.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: name})
	missing(err)
	_, err = c.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: name, Targets: []types.Target{target("1", queue("q"))}})
	missing(err)
	_, err = c.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: name, Ids: []string{"1"}})
	missing(err)
	_, err = c.ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: name})
	missing(err)
	if _, err := c.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: name}); err != nil {
		t.Errorf("DeleteRule: %v; AWS is content", err)
	}
	_, err = c.ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: aws.String("gone")})
	wantError(t, err, "ResourceNotFoundException", "Event bus gone does not exist.")
}

func TestARuleWithTargetsIsNotDeleted(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["a"]}`, target("1", queue("q")))
	c := w.client()
	for _, force := range []bool{false, true} { // Force is for rules that services manage
		_, err := c.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: aws.String("r"), Force: force})
		wantError(t, err, "ValidationException", "Rule can't be deleted since it has targets.")
	}
	if _, err := c.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String("r"), Ids: []string{"1"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: aws.String("r")}); err != nil {
		t.Fatal(err)
	}
	_, err := c.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("r")})
	wantError(t, err, "ResourceNotFoundException", "does not exist")
}

func TestQuotasOfRules(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	w.cloud.Accounts.SetRegion(labtest.Administrator, "af-south-1", true)
	put := func(c *eventbridge.Client, name, pattern string) error {
		_, err := c.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &name, EventPattern: &pattern})
		return err
	}
	for i := range 30 {
		if err := put(c, fmt.Sprintf("w-%d", i), `{"source":[{"wildcard":"a*"}]}`); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, put(c, "w-30", `{"source":[{"anything-but":{"wildcard":["a*","b*"]}}]}`), "LimitExceededException", "maximum")
	if err := put(c, "w-0", `{"source":[{"wildcard":"b*"}]}`); err != nil {
		t.Errorf("replace a rule with a wildcard: %v", err)
	}
	if err := put(c, "no-wildcard", `{"wildcard":["{\"wildcard\":\"a\"}"],"detail":{"wildcard":["x"]}}`); err != nil {
		t.Errorf("a field that is named wildcard: %v", err)
	}
	for i := range 300 - 31 {
		if err := put(c, fmt.Sprintf("r-%d", i), `{"source":["a"]}`); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, put(c, "one-too-many", `{"source":["a"]}`), "LimitExceededException", "maximum")
	africa := w.in(labtest.Administrator, "af-south-1")
	for i := range 100 {
		if err := put(africa, fmt.Sprintf("r-%d", i), `{"source":["a"]}`); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, put(africa, "one-too-many", `{"source":["a"]}`), "LimitExceededException", "maximum")
}

func TestRulesAreListedByPrefixAndPage(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("r-%d", i)
		w.rule(name, `{"source":["a"]}`, target("1", queue(fmt.Sprint("q", i%2))))
		want = append(want, name)
	}
	w.rule("other", `{"source":["a"]}`)
	var got []string
	in := &eventbridge.ListRulesInput{NamePrefix: aws.String("r-"), Limit: aws.Int32(3)}
	for pages := 1; ; pages++ {
		out, err := w.client().ListRules(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Rules {
			got = append(got, *r.Name)
		}
		if in.NextToken = out.NextToken; out.NextToken == nil {
			if pages != 3 {
				t.Errorf("got %d pages", pages)
			}
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	names, err := w.client().ListRuleNamesByTarget(t.Context(), &eventbridge.ListRuleNamesByTargetInput{TargetArn: aws.String(queue("q1"))})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"r-1", "r-3", "r-5"}, names.RuleNames); diff != "" {
		t.Error(diff)
	}
}

func TestADisabledRuleDoesNotMatch(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["example.app"]}`, target("1", queue("q")))
	c, name := w.client(), aws.String("r")
	w.put(`{"n":1}`)
	if _, err := c.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: name}); err != nil {
		t.Fatal(err)
	}
	w.put(`{"n":2}`)
	if got := w.describe("", "r").State; got != types.RuleStateDisabled {
		t.Errorf("got state %s", got)
	}
	if _, err := c.EnableRule(t.Context(), &eventbridge.EnableRuleInput{Name: name}); err != nil {
		t.Fatal(err)
	}
	w.put(`{"n":3}`)
	if got := w.sink.bodies("q"); len(got) != 2 || !strings.Contains(got[0], `{"n":1}`) || !strings.Contains(got[1], `{"n":3}`) {
		t.Errorf("got %v", got)
	}
	if m := w.metrics("r"); m.MatchedEvents != 2 || m.Invocations != 2 || m.FailedInvocations != 0 {
		t.Errorf("got %+v", m)
	}
}

func TestAChangedRuleMatchesAfterTheLag(t *testing.T) {
	w := newWorld(t, func(o *cloud.Options) { o.Lag.Rules = time.Minute })
	w.rule("r", `{"source":["example.app"]}`, target("1", queue("q")))
	w.put(`{"n":1}`)
	labtest.Advance(t, w.cloud, time.Minute)
	w.put(`{"n":2}`)
	w.rule("r", `{"source":["another.app"]}`)
	w.put(`{"n":3}`)
	labtest.Advance(t, w.cloud, time.Minute)
	w.put(`{"n":4}`)
	if got := strings.Join(w.sink.bodies("q"), ""); strings.Contains(got, `"n":1`) || !strings.Contains(got, `"n":2`) || !strings.Contains(got, `"n":3`) || strings.Contains(got, `"n":4`) {
		t.Errorf("got %s", got)
	}
}

func TestARuleWithARateFiresUntilItIsChanged(t *testing.T) {
	w := newWorld(t)
	c, name := w.client(), aws.String("tick")
	if _, err := c.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: name, ScheduleExpression: aws.String("rate(5 minutes)")}); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, w.cloud, time.Minute) // targets do not start the rate anew
	if _, err := c.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: name, Targets: []types.Target{target("1", queue("q"))}}); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, w.cloud, 4*time.Minute)
	got := w.sink.take("q")
	if len(got) != 1 {
		t.Fatalf("got %d events after 5 minutes, want 1", len(got))
	}
	want := `"detail-type":"Scheduled Event","source":"aws.events","account":"111111111111","time":"2026-11-22T13:19:15Z","region":"ap-northeast-1",` +
		`"resources":["arn:aws:events:ap-northeast-1:111111111111:rule/tick"],"detail":{}}`
	if !strings.HasSuffix(string(got[0].Body), want) {
		t.Errorf("got  %s\nwant %s", got[0].Body, want)
	}
	labtest.Advance(t, w.cloud, time.Hour)
	if got := w.sink.take("q"); len(got) != 12 {
		t.Errorf("got %d events in an hour, want 12", len(got))
	}
	if _, err := c.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: name}); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, w.cloud, time.Hour)
	if got := w.sink.take("q"); len(got) != 0 {
		t.Errorf("got %d events of a disabled rule", len(got))
	}
	if n, _ := w.cloud.Clock.Pending(); n != 0 {
		t.Errorf("%d tasks wait for a disabled rule", n)
	}
}

func TestTagsOfRulesAndBuses(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	if _, err := c.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("bus")}); err != nil {
		t.Fatal(err)
	}
	w.ruleBy(c, "bus", "r", `{"source":["a"]}`)
	for _, resource := range []string{arn("events", "event-bus/bus"), arn("events", "rule/bus/r")} {
		if _, err := c.TagResource(t.Context(), &eventbridge.TagResourceInput{ResourceARN: &resource, Tags: []types.Tag{
			{Key: aws.String("b"), Value: aws.String("2")}, {Key: aws.String("a"), Value: aws.String("1")},
		}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.UntagResource(t.Context(), &eventbridge.UntagResourceInput{ResourceARN: &resource, TagKeys: []string{"b", "c"}}); err != nil {
			t.Fatal(err)
		}
		out, err := c.ListTagsForResource(t.Context(), &eventbridge.ListTagsForResourceInput{ResourceARN: &resource})
		if err != nil || len(out.Tags) != 1 || *out.Tags[0].Key != "a" {
			t.Errorf("%s: got %v, %v", resource, out, err)
		}
		var many []types.Tag
		for i := range 51 {
			many = append(many, types.Tag{Key: aws.String(fmt.Sprint(i)), Value: aws.String("")})
		}
		_, err = c.TagResource(t.Context(), &eventbridge.TagResourceInput{ResourceARN: &resource, Tags: many})
		wantError(t, err, "ValidationException", "50 tags")
	}
	_, err := c.ListTagsForResource(t.Context(), &eventbridge.ListTagsForResourceInput{ResourceARN: aws.String(arn("events", "rule/none"))})
	wantError(t, err, "ResourceNotFoundException", "does not exist")
	_, err = c.ListTagsForResource(t.Context(), &eventbridge.ListTagsForResourceInput{ResourceARN: aws.String("x")})
	wantError(t, err, "ValidationException", "not in correct format")
}
