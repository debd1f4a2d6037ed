package events_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/catchment/internal/lab/labtest"
)

func (w *world) putTargets(targets ...types.Target) (*eventbridge.PutTargetsOutput, error) {
	w.Helper()
	return w.client().PutTargets(w.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: targets})
}

func TestTargetsComeBackAsTheyWerePut(t *testing.T) {
	w := newWorld(t)
	r := role(labtest.Administrator, "r")
	want := []types.Target{
		{Id: aws.String("bus"), Arn: aws.String(arn("events", "event-bus/other")), RoleArn: r},
		{
			Id: aws.String("fifo"), Arn: aws.String(queue("q.fifo")), SqsParameters: &types.SqsParameters{MessageGroupId: aws.String("g")},
			DeadLetterConfig: &types.DeadLetterConfig{Arn: aws.String(queue("dlq"))},
			RetryPolicy:      &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(0), MaximumEventAgeInSeconds: aws.Int32(60)},
		},
		{Id: aws.String("firehose"), Arn: aws.String(arn("firehose", "deliverystream/s")), RoleArn: r, InputPath: aws.String("$.detail.findings[0]")},
		{Id: aws.String("lambda"), Arn: aws.String(arn("lambda", "function:f")), Input: aws.String(`{"a":1}`)},
		{Id: aws.String("topic"), Arn: aws.String(arn("sns", "t")), InputTransformer: &types.InputTransformer{
			InputTemplate: aws.String(`"<a>"`), InputPathsMap: map[string]string{"a": "$.detail.a"},
		}},
	}
	w.rule("r", `{"source":["a"]}`, want...)
	out, err := w.client().ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: aws.String("r")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.Targets, cmpopts.IgnoreUnexported(types.Target{}, types.SqsParameters{}, types.DeadLetterConfig{}, types.RetryPolicy{}, types.InputTransformer{})); diff != "" {
		t.Error(diff)
	}
	page, err := w.client().ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: aws.String("r"), Limit: aws.Int32(4)})
	if err != nil || len(page.Targets) != 4 || page.NextToken == nil {
		t.Errorf("got %d targets, %v", len(page.Targets), err)
	}
	removed, err := w.client().RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String("r"), Ids: []string{"bus", "gone"}})
	if err != nil || removed.FailedEntryCount != 1 || *removed.FailedEntries[0].TargetId != "gone" || *removed.FailedEntries[0].ErrorCode != "ResourceNotFoundException" {
		t.Errorf("got %+v, %v", removed, err)
	}
}

func TestARuleHasFiveTargetsAtMost(t *testing.T) {
	w := newWorld(t)
	var five []types.Target
	for i := range 5 {
		five = append(five, target(fmt.Sprint(i), queue("q")))
	}
	w.rule("r", `{"source":["a"]}`, five...)
	if _, err := w.putTargets(target("4", queue("other"))); err != nil {
		t.Errorf("replace the fifth: %v", err)
	}
	_, err := w.putTargets(target("5", queue("q")))
	wantError(t, err, "LimitExceededException", "The requested resource exceeds the maximum number allowed.")
	var many []types.Target
	for i := range 101 {
		many = append(many, target(fmt.Sprint(i), queue("q")))
	}
	_, err = w.putTargets(many...)
	wantError(t, err, "ValidationException", "less than or equal to 100")
	_, err = w.putTargets([]types.Target{}...)
	wantError(t, err, "ValidationException", "greater than or equal to 1")
}

func TestTargetsThatMakeTheWholeRequestFail(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["a"]}`)
	for sentence, test := range map[string]struct {
		change func(*types.Target)
		part   string
	}{
		"an id with other characters": {func(x *types.Target) { x.Id = aws.String("!@") }, "'targets.1.member.id' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+"},
		"an id of 65 characters":      {func(x *types.Target) { x.Id = aws.String(strings.Repeat("a", 65)) }, "less than or equal to 64"},
		"an ARN of 1,601 characters":  {func(x *types.Target) { x.Arn = aws.String(queue(strings.Repeat("a", 1601))) }, "less than or equal to 1600"},
		"an ARN that is none":         {func(x *types.Target) { x.Arn = aws.String("q") }, "Provided Arn is not in correct format."},
		"a role that is none":         {func(x *types.Target) { x.RoleArn = aws.String(queue("q")) }, "Provided Arn is not in correct format."},
		"Firehose without a role":     {func(x *types.Target) { x.Arn = aws.String(arn("firehose", "deliverystream/s")) }, "RoleArn is required for target arn:aws:firehose"},
		"Kinesis without a role":      {func(x *types.Target) { x.Arn = aws.String(arn("kinesis", "stream/s")) }, "RoleArn is required for target"},
		"a bus without a role":        {func(x *types.Target) { x.Arn = aws.String(arn("events", "event-bus/b")) }, "RoleArn is required for target"},
		"another account's queue": {func(x *types.Target) {
			x.Arn = aws.String(strings.Replace(queue("q"), labtest.Administrator, labtest.Member, 1))
		}, "RoleArn is required for target"},
		"two inputs":                   {func(x *types.Target) { x.Input, x.InputPath = aws.String("{}"), aws.String("$") }, "Only one of Input, InputPath, or InputTransformer must be provided for target 1."},
		"an input of 8,193 characters": {func(x *types.Target) { x.Input = aws.String(`"` + strings.Repeat("a", 8191) + `"`) }, "less than or equal to 8192"},
		"an input that is no JSON":     {func(x *types.Target) { x.Input = aws.String("hello") }, "JSON syntax error in input for target 1"},
		"an input path of 257":         {func(x *types.Target) { x.InputPath = aws.String("$." + strings.Repeat("a", 255)) }, "less than or equal to 256"},
		"an input path without a $":    {func(x *types.Target) { x.InputPath = aws.String("detail") }, "Invalid InputPath for target 1"},
		"an input path with two dots":  {func(x *types.Target) { x.InputPath = aws.String("$..a") }, "Invalid InputPath for target 1"},
		"an input path with an open [": {func(x *types.Target) { x.InputPath = aws.String("$.a[1") }, "Invalid InputPath for target 1"},
		"a template of 8,193":          {transform(strings.Repeat("1", 8193), nil), "less than or equal to 8192"},
		"a template that is no JSON":   {transform(`<a> is it`, map[string]string{"a": "$.a"}), "Invalid InputTemplate for target 1"},
		"a variable as a key":          {transform(`{<a>:1}`, map[string]string{"a": "$.a"}), "Invalid InputTemplate for target 1"},
		"an unknown variable":          {transform(`"<b>"`, map[string]string{"a": "$.a"}), "InputTemplate for target 1 contains invalid placeholder b."},
		"a variable with AWS's name":   {transform(`"<AWSx>"`, map[string]string{"AWSx": "$.a"}), "cannot start with AWS"},
		"a variable with a dot":        {transform(`"<a.b>"`, map[string]string{"a.b": "$.a"}), "inputPathsMap"},
		"a broken path of a variable":  {transform(`"<a>"`, map[string]string{"a": "a"}), "Invalid InputPath for target 1"},
		"101 variables":                {transform(`"x"`, manyPaths(101)), "less than or equal to 100"},
		"a FIFO dead-letter queue":     {func(x *types.Target) { x.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String(queue("d.fifo"))} }, "FIFO"},
		"a dead-letter topic":          {func(x *types.Target) { x.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String(arn("sns", "t"))} }, "Provided Arn is not in correct format."},
		"a dead-letter queue elsewhere": {func(x *types.Target) {
			x.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String(strings.Replace(queue("d"), labtest.Region, "us-east-1", 1))}
		}, "must be in region ap-northeast-1"},
		"186 retries":                  {func(x *types.Target) { x.RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(186)} }, "less than or equal to 185"},
		"-1 retries":                   {func(x *types.Target) { x.RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(-1)} }, "greater than or equal to 0"},
		"an age of 59 s":               {func(x *types.Target) { x.RetryPolicy = &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(59)} }, "greater than or equal to 60"},
		"an age over a day":            {func(x *types.Target) { x.RetryPolicy = &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(86_401)} }, "less than or equal to 86400"},
		"a group for a standard queue": {func(x *types.Target) { x.SqsParameters = &types.SqsParameters{MessageGroupId: aws.String("g")} }, "FIFO"},
		"a group of 101 characters": {func(x *types.Target) {
			x.SqsParameters = &types.SqsParameters{MessageGroupId: aws.String(strings.Repeat("g", 101))}
		}, "less than or equal to 100"},
		"an empty path parameter": {func(x *types.Target) { x.HttpParameters = &types.HttpParameters{PathParameterValues: []string{" "}} }, "pathParameterValues"},
		"a header with a space": {func(x *types.Target) {
			x.HttpParameters = &types.HttpParameters{HeaderParameters: map[string]string{"a b": "c"}}
		}, "headerParameters"},
	} {
		t.Run(sentence, func(t *testing.T) {
			x := target("1", queue("q"))
			test.change(&x)
			_, err := w.putTargets(x)
			wantError(t, err, "ValidationException", test.part)
		})
	}
}

func transform(template string, paths map[string]string) func(*types.Target) {
	return func(x *types.Target) {
		x.InputTransformer = &types.InputTransformer{InputTemplate: &template, InputPathsMap: paths}
	}
}

func manyPaths(n int) map[string]string {
	out := make(map[string]string)
	for i := range n {
		out[fmt.Sprint("v", i)] = "$.a"
	}
	return out
}

func TestOneTargetThatIsRefusedDoesNotKeepTheOthersOut(t *testing.T) {
	w := newWorld(t)
	r := role(labtest.Administrator, "r")
	for sentence, test := range map[string]struct {
		target     types.Target
		code, part string
	}{
		"a service that the lab has no targets of": {types.Target{Arn: aws.String(arn("kinesis", "stream/s")), RoleArn: r}, "ValidationException", "no targets like"},
		"a queue of another region":                {types.Target{Arn: aws.String(strings.Replace(queue("q"), labtest.Region, "us-east-1", 1))}, "ValidationException", "only event buses may be in another"},
		"the rule's own bus":                       {types.Target{Arn: aws.String(arn("events", "event-bus/default")), RoleArn: r}, "ValidationException", "the rule itself"},
		"a bus with an input":                      {types.Target{Arn: aws.String(arn("events", "event-bus/b")), RoleArn: r, Input: aws.String("{}")}, "ValidationException", "as they are"},
		"an API destination that does not exist":   {types.Target{Arn: aws.String(arn("events", "api-destination/a/b")), RoleArn: r}, "ResourceNotFoundException", "does not exist"},
		"another partition":                        {types.Target{Arn: aws.String(strings.Replace(arn("events", "event-bus/b"), "arn:aws:", "arn:aws-cn:", 1)), RoleArn: r}, "ValidationException", "partition"},
	} {
		t.Run(sentence, func(t *testing.T) {
			w.rule("r", `{"source":["a"]}`)
			test.target.Id = aws.String("bad")
			out, err := w.putTargets(test.target, target("good", queue("q")))
			if err != nil {
				t.Fatal(err)
			}
			if out.FailedEntryCount != 1 || *out.FailedEntries[0].TargetId != "bad" || *out.FailedEntries[0].ErrorCode != test.code || !strings.Contains(*out.FailedEntries[0].ErrorMessage, test.part) {
				t.Errorf("got %+v", out.FailedEntries)
			}
			list, err := w.client().ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: aws.String("r")})
			if err != nil || len(list.Targets) != 1 || *list.Targets[0].Id != "good" {
				t.Errorf("got %+v, %v", list, err)
			}
		})
	}
}
