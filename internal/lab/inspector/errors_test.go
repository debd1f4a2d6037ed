package inspector_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	"github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/aws/smithy-go/middleware"

	"example.org/catchment/internal/lab/labtest"
)

// unchecked lets calls through that the SDK itself would not send.
func unchecked(o *inspector.Options) {
	o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
		_, _ = s.Initialize.Remove("OperationInputValidation") // not all operations have one
		return nil
	})
}

// A refusal is a call and the error that it has to give.
type refusal struct {
	call func(ctx context.Context) error
	want string
}

func check(t *testing.T, refusals map[string]refusal) {
	t.Helper()
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			err := test.call(t.Context())
			if err == nil {
				t.Fatal("the call succeeds")
			}
			if got := errorOf(t, err); got != test.want {
				t.Errorf("got %s, want %s (%v)", got, test.want, err)
			}
		})
	}
}

// after drops a call's answer.
func after[T any](_ T, err error) error { return err }

func many(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", s, i)
	}
	return out
}

func attributes(n int) []types.Attribute {
	var out []types.Attribute
	for _, k := range many("k", n) {
		out = append(out, types.Attribute{Key: aws.String(k), Value: aws.String("v")})
	}
	return out
}

const (
	nowhere = "arn:aws:inspector:ap-northeast-1:111111111111:target/0-AAAAAAAA"
	foreign = "arn:aws:inspector:ap-northeast-1:222222222222:target/0-AAAAAAAA"
	stale   = "/template/0-AAAAAAAA"
	gone    = "/template/0-AAAAAAAA/run/0-AAAAAAAA"
)

func TestRefusalsOfLists(t *testing.T) {
	l := newLab(t)
	runs := func(in *inspector.ListAssessmentRunsInput) func(context.Context) error {
		return func(ctx context.Context) error { return after(l.ListAssessmentRuns(ctx, in, unchecked)) }
	}
	filter := func(f types.AssessmentRunFilter) func(context.Context) error {
		return runs(&inspector.ListAssessmentRunsInput{Filter: &f})
	}
	findings := func(in *inspector.ListFindingsInput) func(context.Context) error {
		return func(ctx context.Context) error { return after(l.ListFindings(ctx, in, unchecked)) }
	}
	of := func(f types.FindingFilter) func(context.Context) error {
		return findings(&inspector.ListFindingsInput{Filter: &f})
	}
	late, early := aws.Time(labtest.Start), aws.Time(labtest.Start.AddDate(-1, 0, 0))
	ends := &types.TimestampRange{BeginDate: late, EndDate: early}
	token := &inspector.ListFindingsInput{NextToken: aws.String("1")}
	const in = "InvalidInputException/"
	check(t, map[string]refusal{
		"no results at all":              {findings(&inspector.ListFindingsInput{MaxResults: aws.Int32(0)}), in + "INVALID_MAX_RESULTS"},
		"more than 500 results":          {findings(&inspector.ListFindingsInput{MaxResults: aws.Int32(501)}), in + "INVALID_MAX_RESULTS"},
		"a token that nobody gave":       {findings(token), in + "INVALID_PAGINATION_TOKEN"},
		"more than 50 runs":              {findings(&inspector.ListFindingsInput{AssessmentRunArns: many(nowhere, 51)}), in + "INVALID_NUMBER_OF_ASSESSMENT_RUN_ARNS"},
		"a run that is none":             {findings(&inspector.ListFindingsInput{AssessmentRunArns: []string{nowhere}}), in + "INVALID_ASSESSMENT_RUN_ARN"},
		"a run that is not there":        {findings(&inspector.ListFindingsInput{AssessmentRunArns: []string{nowhere + gone}}), "NoSuchEntityException/ASSESSMENT_RUN_DOES_NOT_EXIST"},
		"a run of another account":       {findings(&inspector.ListFindingsInput{AssessmentRunArns: []string{foreign + gone}}), "AccessDeniedException/ACCESS_DENIED_TO_ASSESSMENT_RUN"},
		"more than 99 instances":         {of(types.FindingFilter{AgentIds: many("i", 100)}), in + "INVALID_NUMBER_OF_AGENT_IDS"},
		"an instance without a name":     {of(types.FindingFilter{AgentIds: []string{""}}), in + "INVALID_AGENT_ID"},
		"more than 20 groups":            {of(types.FindingFilter{AutoScalingGroups: many("g", 21)}), in + "INVALID_NUMBER_OF_AUTO_SCALING_GROUPS"},
		"a group without a name":         {of(types.FindingFilter{AutoScalingGroups: []string{""}}), in + "INVALID_AUTO_SCALING_GROUP"},
		"more than 50 rules":             {of(types.FindingFilter{RuleNames: many("r", 51)}), in + "INVALID_NUMBER_OF_RULE_NAMES"},
		"a rule with too long a name":    {of(types.FindingFilter{RuleNames: []string{strings.Repeat("r", 1001)}}), in + "INVALID_RULE_NAME"},
		"a severity that there is not":   {of(types.FindingFilter{Severities: []types.Severity{"HIGH"}}), in + "INVALID_SEVERITY"},
		"more than 50 severities":        {of(types.FindingFilter{Severities: make([]types.Severity, 51)}), in + "INVALID_NUMBER_OF_SEVERITIES"},
		"more than 50 packages":          {of(types.FindingFilter{RulesPackageArns: many("p", 51)}), in + "INVALID_NUMBER_OF_RULES_PACKAGE_ARNS"},
		"more than 50 attributes":        {of(types.FindingFilter{Attributes: attributes(51)}), in + "INVALID_NUMBER_OF_ATTRIBUTES"},
		"an attribute without a key":     {of(types.FindingFilter{Attributes: []types.Attribute{{Key: aws.String("")}}}), in + "INVALID_ATTRIBUTE"},
		"more than 50 user attributes":   {of(types.FindingFilter{UserAttributes: attributes(51)}), in + "INVALID_NUMBER_OF_USER_ATTRIBUTES"},
		"a user attribute without a key": {of(types.FindingFilter{UserAttributes: []types.Attribute{{Key: aws.String("")}}}), in + "INVALID_USER_ATTRIBUTE"},
		"a creation that ends too early": {of(types.FindingFilter{CreationTimeRange: ends}), "InvalidInputException"},

		"more than 50 templates":           {runs(&inspector.ListAssessmentRunsInput{AssessmentTemplateArns: many(nowhere, 51)}), in + "INVALID_NUMBER_OF_ASSESSMENT_TEMPLATE_ARNS"},
		"a template that is none":          {runs(&inspector.ListAssessmentRunsInput{AssessmentTemplateArns: []string{"x"}}), in + "INVALID_ASSESSMENT_TEMPLATE_ARN"},
		"a template that is not there":     {runs(&inspector.ListAssessmentRunsInput{AssessmentTemplateArns: []string{nowhere + stale}}), "NoSuchEntityException/ASSESSMENT_TEMPLATE_DOES_NOT_EXIST"},
		"a template of another account":    {runs(&inspector.ListAssessmentRunsInput{AssessmentTemplateArns: []string{foreign + stale}}), "AccessDeniedException/ACCESS_DENIED_TO_ASSESSMENT_TEMPLATE"},
		"a token of another list":          {runs(&inspector.ListAssessmentRunsInput{NextToken: aws.String("1-0000000000000000")}), in + "INVALID_PAGINATION_TOKEN"},
		"a pattern that is too long":       {filter(types.AssessmentRunFilter{NamePattern: aws.String(strings.Repeat("x", 141))}), "InvalidInputException"},
		"a state that there is not":        {filter(types.AssessmentRunFilter{States: []types.AssessmentRunState{"DONE"}}), in + "INVALID_ASSESSMENT_RUN_STATE"},
		"more than 50 states":              {filter(types.AssessmentRunFilter{States: make([]types.AssessmentRunState, 51)}), in + "INVALID_NUMBER_OF_ASSESSMENT_RUN_STATES"},
		"more than 50 packages of runs":    {filter(types.AssessmentRunFilter{RulesPackageArns: many("p", 51)}), in + "INVALID_NUMBER_OF_RULES_PACKAGE_ARNS"},
		"a run shorter than 180 seconds":   {filter(types.AssessmentRunFilter{DurationRange: &types.DurationRange{MinSeconds: aws.Int32(179)}}), in + "INVALID_ASSESSMENT_RUN_DURATION_RANGE"},
		"a run longer than a day":          {filter(types.AssessmentRunFilter{DurationRange: &types.DurationRange{MaxSeconds: aws.Int32(86401)}}), in + "INVALID_ASSESSMENT_RUN_DURATION_RANGE"},
		"a duration that ends early":       {filter(types.AssessmentRunFilter{DurationRange: &types.DurationRange{MinSeconds: aws.Int32(300), MaxSeconds: aws.Int32(200)}}), in + "INVALID_ASSESSMENT_RUN_DURATION_RANGE"},
		"a start that ends too early":      {filter(types.AssessmentRunFilter{StartTimeRange: ends}), in + "INVALID_ASSESSMENT_RUN_START_TIME_RANGE"},
		"a completion that ends too early": {filter(types.AssessmentRunFilter{CompletionTimeRange: ends}), in + "INVALID_ASSESSMENT_RUN_COMPLETION_TIME_RANGE"},
		"a change that ends too early":     {filter(types.AssessmentRunFilter{StateChangeTimeRange: ends}), in + "INVALID_ASSESSMENT_RUN_STATE_CHANGE_TIME_RANGE"},
	})
}

func TestRefusalsOfDescriptions(t *testing.T) {
	l := newLab(t)
	const in = "InvalidInputException/"
	check(t, map[string]refusal{
		"no finding": {func(ctx context.Context) error {
			return after(l.DescribeFindings(ctx, &inspector.DescribeFindingsInput{FindingArns: []string{}}))
		}, in + "INVALID_NUMBER_OF_FINDING_ARNS"},
		"eleven findings": {func(ctx context.Context) error {
			return after(l.DescribeFindings(ctx, &inspector.DescribeFindingsInput{FindingArns: many(nowhere, 11)}))
		}, in + "INVALID_NUMBER_OF_FINDING_ARNS"},
		"another language": {func(ctx context.Context) error {
			return after(l.DescribeFindings(ctx, &inspector.DescribeFindingsInput{FindingArns: []string{nowhere}, Locale: "JA_JP"}))
		}, in + "INVALID_LOCALE"},
		"packages in another language": {func(ctx context.Context) error {
			return after(l.DescribeRulesPackages(ctx, &inspector.DescribeRulesPackagesInput{RulesPackageArns: []string{cve}, Locale: "JA_JP"}))
		}, in + "INVALID_LOCALE"},
		"eleven runs": {func(ctx context.Context) error {
			return after(l.DescribeAssessmentRuns(ctx, &inspector.DescribeAssessmentRunsInput{AssessmentRunArns: many(nowhere, 11)}))
		}, in + "INVALID_NUMBER_OF_ASSESSMENT_RUN_ARNS"},
		"eleven targets": {func(ctx context.Context) error {
			return after(l.DescribeAssessmentTargets(ctx, &inspector.DescribeAssessmentTargetsInput{AssessmentTargetArns: many(nowhere, 11)}))
		}, in + "INVALID_NUMBER_OF_ASSESSMENT_TARGET_ARNS"},
		"eleven templates": {func(ctx context.Context) error {
			return after(l.DescribeAssessmentTemplates(ctx, &inspector.DescribeAssessmentTemplatesInput{AssessmentTemplateArns: many(nowhere, 11)}))
		}, in + "INVALID_NUMBER_OF_ASSESSMENT_TEMPLATE_ARNS"},
		"eleven packages": {func(ctx context.Context) error {
			return after(l.DescribeRulesPackages(ctx, &inspector.DescribeRulesPackagesInput{RulesPackageArns: many(nowhere, 11)}))
		}, in + "INVALID_NUMBER_OF_RULES_PACKAGE_ARNS"},
		"eleven resource groups": {func(ctx context.Context) error {
			return after(l.DescribeResourceGroups(ctx, &inspector.DescribeResourceGroupsInput{ResourceGroupArns: many(nowhere, 11)}))
		}, in + "INVALID_NUMBER_OF_RESOURCE_GROUP_ARNS"},
		"eleven attributes": {func(ctx context.Context) error {
			return after(l.AddAttributesToFindings(ctx, &inspector.AddAttributesToFindingsInput{FindingArns: []string{nowhere}, Attributes: attributes(11)}))
		}, in + "INVALID_NUMBER_OF_USER_ATTRIBUTES"},
		"an attribute with too long a value": {func(ctx context.Context) error {
			return after(l.AddAttributesToFindings(ctx, &inspector.AddAttributesToFindingsInput{
				FindingArns: []string{nowhere}, Attributes: []types.Attribute{{Key: aws.String("k"), Value: aws.String(strings.Repeat("v", 257))}},
			}))
		}, in + "INVALID_USER_ATTRIBUTE_VALUE"},
		"attributes for eleven findings": {func(ctx context.Context) error {
			return after(l.AddAttributesToFindings(ctx, &inspector.AddAttributesToFindingsInput{FindingArns: many(nowhere, 11), Attributes: attributes(1)}))
		}, in + "INVALID_NUMBER_OF_FINDING_ARNS"},
		"eleven keys": {func(ctx context.Context) error {
			return after(l.RemoveAttributesFromFindings(ctx, &inspector.RemoveAttributesFromFindingsInput{FindingArns: []string{nowhere}, AttributeKeys: many("k", 11)}))
		}, in + "INVALID_NUMBER_OF_USER_ATTRIBUTES"},
		"a key without a letter": {func(ctx context.Context) error {
			return after(l.RemoveAttributesFromFindings(ctx, &inspector.RemoveAttributesFromFindingsInput{FindingArns: []string{nowhere}, AttributeKeys: []string{""}}))
		}, in + "INVALID_USER_ATTRIBUTE_KEY"},
		"the report of a run that is not there": {func(ctx context.Context) error {
			return after(l.GetAssessmentReport(ctx, &inspector.GetAssessmentReportInput{AssessmentRunArn: aws.String(nowhere + gone), ReportFileFormat: "PDF", ReportType: "FULL"}))
		}, "NoSuchEntityException/ASSESSMENT_RUN_DOES_NOT_EXIST"},
	})
}
