package inspector_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	"github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/catchment/internal/lab/labtest"
)

func TestTheCommandsOfTheArticleWork(t *testing.T) {
	l := newLab(t)
	arn := l.finished(t, l.template(t, "web", practices))
	// aws inspector list-findings --assessment-run-arns ARN
	list, err := l.ListFindings(t.Context(), &inspector.ListFindingsInput{AssessmentRunArns: []string{arn}})
	if err != nil {
		t.Fatal(err)
	}
	var seed struct {
		FindingARNs []string `json:"findingArns"`
	}
	if err := json.Unmarshal(sample(t, "seed-list-findings.json"), &seed); err != nil {
		t.Fatal(err)
	}
	digits := regexp.MustCompile(`xxxxxxxxxxxx|\d{12}|0-[0-9A-Za-z]{8}`)
	if got, want := digits.ReplaceAllString(list.FindingArns[0], "#"), digits.ReplaceAllString(seed.FindingARNs[0], "#"); got != want {
		t.Errorf("a finding's ARN has the form %s, in the article %s", got, want)
	}
	// aws inspector describe-findings --finding-arns ARN
	var got struct {
		Findings    []map[string]any `json:"findings"`
		FailedItems map[string]any   `json:"failedItems"`
	}
	for i := range list.FindingArns {
		if got.Findings == nil || got.Findings[0]["id"] != "Disable root login over SSH" {
			l.wire(t, "DescribeFindings", map[string]any{"findingArns": list.FindingArns[i : i+1]}, &got)
		}
	}
	var want struct {
		Findings []map[string]any `json:"findings"`
	}
	if err := json.Unmarshal(sample(t, "seed-describe-findings.json"), &want); err != nil {
		t.Fatal(err)
	}
	for k, v := range want.Findings[0] {
		x, ok := got.Findings[0][k]
		if !ok || fmt.Sprintf("%T", x) != fmt.Sprintf("%T", v) {
			t.Errorf("%s is %T, in the article %T", k, x, v)
		}
	}
	for _, k := range []string{"id", "severity", "numericSeverity", "service", "confidence", "userAttributes"} {
		if diff := cmp.Diff(want.Findings[0][k], got.Findings[0][k]); diff != "" {
			t.Errorf("%s (-article +got):\n%s", k, diff)
		}
	}
	if got.FailedItems == nil || len(got.FailedItems) != 0 {
		t.Errorf("failedItems is %v, want an empty object", got.FailedItems)
	}
}

// wire asks without the SDK's reading of the answer, for what is really on the wire.
func (l *lab) wire(t *testing.T, operation string, in, out any) {
	t.Helper()
	c := l.as(labtest.Administrator, labtest.Region).Options()
	body := new([]byte)
	c.HTTPClient = recorder{c.HTTPClient, body}
	client := inspector.New(c)
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	switch operation {
	case "DescribeFindings":
		var typed inspector.DescribeFindingsInput
		_ = json.Unmarshal(raw, &typed) // the names differ by case only
		_, err = client.DescribeFindings(t.Context(), &typed)
	case "DescribeAssessmentRuns":
		var typed inspector.DescribeAssessmentRunsInput
		_ = json.Unmarshal(raw, &typed)
		_, err = client.DescribeAssessmentRuns(t.Context(), &typed)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(*body, out); err != nil {
		t.Fatalf("%v: %s", err, *body)
	}
}

// A recorder keeps the body of the last answer.
type recorder struct {
	inspector.HTTPClient
	body *[]byte
}

func (r recorder) Do(req *http.Request) (*http.Response, error) {
	answer, err := r.HTTPClient.Do(req)
	if err != nil {
		return nil, err
	}
	*r.body, err = io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(strings.NewReader(string(*r.body)))
	return answer, err
}

func TestASeverityHasAFractionOnTheWire(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(7))
	all := l.findings(t, l.finished(t, l.template(t, "web", cve)))
	var got struct {
		Findings []struct {
			NumericSeverity json.RawMessage `json:"numericSeverity"`
		} `json:"findings"`
	}
	l.wire(t, "DescribeFindings", map[string]any{"findingArns": all[6:7]}, &got)
	if s := string(got.Findings[0].NumericSeverity); s != "6.0" {
		t.Errorf("numericSeverity is %s on the wire, want 6.0 as in the article", s)
	}
}

func TestARunIsShownAsInTheSDKsExample(t *testing.T) {
	l := newLab(t)
	arn := l.finished(t, l.template(t, "web", practices))
	var got, want struct {
		Runs []map[string]any `json:"assessmentRuns"`
	}
	l.wire(t, "DescribeAssessmentRuns", map[string]any{"assessmentRunArns": []string{arn}}, &got)
	var example struct {
		Output json.RawMessage `json:"output"`
	}
	if err := json.Unmarshal(sample(t, "inspector-classic-describe-assessment-runs.json"), &example); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(example.Output, &want); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(want.Runs[0])
	b, _ := json.Marshal(got.Runs[0])
	if diff := cmp.Diff(keysOf(t, a), keysOf(t, b)); diff != "" {
		t.Errorf("members (-example +got):\n%s", diff)
	}
	// The example shows times as text; on the wire they are seconds with a fraction.
	if at, ok := got.Runs[0]["startedAt"].(float64); !ok || at < 1.7e9 || at == float64(int64(at)) {
		t.Errorf("startedAt is %v, want seconds since 1970 with milliseconds", got.Runs[0]["startedAt"])
	}
}

func TestPagesOfFindings(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(250))
	arn := l.finished(t, l.template(t, "web", cve))
	for name, test := range map[string]struct {
		ask  *int32
		want []int
	}{
		"have ten without maxResults":                          {nil, slices.Repeat([]int{10}, 25)},
		"have as many as asked":                                {aws.Int32(99), []int{99, 99, 52}},
		"end without a token where the last is full":           {aws.Int32(50), []int{50, 50, 50, 50, 50}},
		"have at most a hundred though five hundred are taken": {aws.Int32(500), []int{100, 100, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			var sizes []int
			seen := make(map[string]bool)
			for token := (*string)(nil); ; {
				out, err := l.ListFindings(t.Context(), &inspector.ListFindingsInput{AssessmentRunArns: []string{arn}, MaxResults: test.ask, NextToken: token})
				if err != nil {
					t.Fatal(err)
				}
				sizes = append(sizes, len(out.FindingArns))
				for _, f := range out.FindingArns {
					seen[f] = true
				}
				if token = out.NextToken; token == nil {
					break
				}
			}
			if !slices.Equal(sizes, test.want) || len(seen) != 250 {
				t.Errorf("pages of %v with %d findings, want %v with 250", sizes, len(seen), test.want)
			}
		})
	}
}

func TestATokenHoldsWhereRunsGoAway(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(6))
	template := l.template(t, "web", cve)
	first, second := l.finished(t, template), l.finished(t, template)
	want := l.findings(t, second)
	page, err := l.ListFindings(t.Context(), &inspector.ListFindingsInput{MaxResults: aws.Int32(8)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.DeleteAssessmentRun(t.Context(), &inspector.DeleteAssessmentRunInput{AssessmentRunArn: &first}); err != nil {
		t.Fatal(err)
	}
	rest, err := l.ListFindings(t.Context(), &inspector.ListFindingsInput{MaxResults: aws.Int32(8), NextToken: page.NextToken})
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Concat(page.FindingArns[6:], rest.FindingArns); !slices.Equal(got, want) || rest.NextToken != nil {
		t.Errorf("got %d of the second run's findings, want each once", len(got))
	}
}

func TestFiltersOfFindings(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(20))
	before := l.cloud.Clock.Now()
	arn := l.finished(t, l.template(t, "web", cve, practices))
	all := l.findings(t, arn)
	add := &inspector.AddAttributesToFindingsInput{FindingArns: all[:3], Attributes: []types.Attribute{{Key: aws.String("owner"), Value: aws.String("me")}}}
	if _, err := l.AddAttributesToFindings(t.Context(), add); err != nil {
		t.Fatal(err)
	}
	attribute := func(k, v string) []types.Attribute { return []types.Attribute{{Key: &k, Value: &v}} }
	for name, test := range map[string]struct {
		filter types.FindingFilter
		want   int
	}{
		"none lets all through":                   {types.FindingFilter{}, 20},
		"an instance":                             {types.FindingFilter{AgentIds: []string{"i-0"}}, 7},
		"two instances: either":                   {types.FindingFilter{AgentIds: []string{"i-0", "i-1"}}, 14},
		"an instance that is not there":           {types.FindingFilter{AgentIds: []string{"i-9"}}, 0},
		"an auto scaling group":                   {types.FindingFilter{AutoScalingGroups: []string{"group-1"}}, 10},
		"a rule":                                  {types.FindingFilter{RuleNames: []string{"rule-6"}}, 2},
		"two severities":                          {types.FindingFilter{Severities: []types.Severity{"High", "Low"}}, 8},
		"a rules package":                         {types.FindingFilter{RulesPackageArns: []string{practices}}, 10},
		"an attribute":                            {types.FindingFilter{Attributes: attribute("INSTANCE_ID", "i-2")}, 6},
		"an attribute with another value":         {types.FindingFilter{Attributes: attribute("INSTANCE_ID", "i-9")}, 0},
		"an attribute with any value":             {types.FindingFilter{Attributes: []types.Attribute{{Key: aws.String("INSTANCE_ID")}}}, 20},
		"a user attribute":                        {types.FindingFilter{UserAttributes: attribute("owner", "me")}, 3},
		"two filters: both":                       {types.FindingFilter{AgentIds: []string{"i-0"}, AutoScalingGroups: []string{"group-0"}}, 4},
		"a time from before":                      {types.FindingFilter{CreationTimeRange: &types.TimestampRange{BeginDate: &before}}, 20},
		"a time that ends before":                 {types.FindingFilter{CreationTimeRange: &types.TimestampRange{EndDate: &before}}, 0},
		"a time of the first half of the reports": {types.FindingFilter{CreationTimeRange: &types.TimestampRange{EndDate: aws.Time(before.Add(3660500 * time.Millisecond))}}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := l.ListFindings(t.Context(), &inspector.ListFindingsInput{Filter: &test.filter, MaxResults: aws.Int32(100)})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.FindingArns) != test.want {
				t.Errorf("%d findings, want %d", len(out.FindingArns), test.want)
			}
		})
	}
}

func TestItemsThatCannotBeDescribed(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(3))
	arn := l.finished(t, l.template(t, "web", cve))
	all := l.findings(t, arn)
	missing := arn + "/finding/0-AAAAAAAA"
	foreign := strings.ReplaceAll(all[0], labtest.Administrator, labtest.Member)
	out, err := l.DescribeFindings(t.Context(), &inspector.DescribeFindingsInput{
		FindingArns: []string{all[0], all[1], all[1], missing, foreign, arn, "finding", strings.Repeat("x", 400)}, Locale: types.LocaleEnUs,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Findings) != 1 || *out.Findings[0].Arn != all[0] {
		t.Errorf("%d findings, want the one that was asked for once", len(out.Findings))
	}
	want := map[string]types.FailedItemErrorCode{
		all[1]: "DUPLICATE_ARN", missing: "ITEM_DOES_NOT_EXIST", foreign: "ACCESS_DENIED", arn: "INVALID_ARN", "finding": "INVALID_ARN",
		strings.Repeat("x", 400): "INVALID_ARN",
	}
	got := make(map[string]types.FailedItemErrorCode)
	for k, v := range out.FailedItems {
		got[k] = v.FailureCode
		if *v.Retryable {
			t.Errorf("%s may be retried", v.FailureCode)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failedItems (-want +got):\n%s", diff)
	}
}

func TestFindingsAreDescribedInNoCertainOrder(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(10))
	all := l.findings(t, l.finished(t, l.template(t, "web", cve)))
	moved := false
	for range 3 {
		out, err := l.DescribeFindings(t.Context(), &inspector.DescribeFindingsInput{FindingArns: all})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range out.Findings {
			got = append(got, *f.Arn)
		}
		moved = moved || !slices.Equal(got, all)
		slices.Sort(got)
		if diff := cmp.Diff(slices.Sorted(slices.Values(all)), got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
	}
	if !moved {
		t.Error("findings come in the order that they were asked for in")
	}
}

func TestFlakyItemsMayBeTriedAgainUntilAllAreThere(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(10))
	all := l.findings(t, l.finished(t, l.template(t, "web", cve)))
	for _, share := range []float64{-1, 1.5} {
		if err := l.service.SetFlakyItems(share); err == nil {
			t.Errorf("a share of %v was taken", share)
		}
	}
	if err := l.service.SetFlakyItems(0.5); err != nil {
		t.Fatal(err)
	}
	codes := make(map[types.FailedItemErrorCode]int)
	left := all
	for tries := 0; len(left) > 0; tries++ {
		if tries == 100 {
			t.Fatalf("%d findings never came", len(left))
		}
		out, err := l.DescribeFindings(t.Context(), &inspector.DescribeFindingsInput{FindingArns: left})
		if err != nil {
			t.Fatal(err)
		}
		left = nil
		for arn, failed := range out.FailedItems {
			if !*failed.Retryable {
				t.Errorf("%s may not be tried again", failed.FailureCode)
			}
			codes[failed.FailureCode]++
			left = append(left, arn)
		}
	}
	if codes["INTERNAL_ERROR"] == 0 || codes["LIMIT_EXCEEDED"] == 0 || len(codes) != 2 {
		t.Errorf("codes %v, want some of each of the two", codes)
	}
}

func TestUserAttributesOfFindings(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(1))
	target := l.target(t, "web")
	template, err := l.CreateAssessmentTemplate(t.Context(), &inspector.CreateAssessmentTemplateInput{
		AssessmentTargetArn: &target, AssessmentTemplateName: aws.String("x"), DurationInSeconds: aws.Int32(180), RulesPackageArns: []string{cve},
		UserAttributesForFindings: []types.Attribute{{Key: aws.String("stage"), Value: aws.String("prod")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := l.findings(t, l.finished(t, *template.AssessmentTemplateArn))
	show := func() map[string]string {
		out, err := l.DescribeFindings(t.Context(), &inspector.DescribeFindingsInput{FindingArns: all})
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]string)
		for _, a := range out.Findings[0].UserAttributes {
			got[*a.Key] = aws.ToString(a.Value)
		}
		return got
	}
	add := func(pairs ...string) map[string]types.FailedItemDetails {
		in := &inspector.AddAttributesToFindingsInput{FindingArns: all, Attributes: []types.Attribute{}}
		for i := 0; i < len(pairs); i += 2 {
			in.Attributes = append(in.Attributes, types.Attribute{Key: &pairs[i], Value: &pairs[i+1]})
		}
		out, err := l.AddAttributesToFindings(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out.FailedItems
	}
	if failed := add("stage", "test", "owner", "me"); len(failed) != 0 {
		t.Error(failed)
	}
	if diff := cmp.Diff(map[string]string{"stage": "test", "owner": "me"}, show()); diff != "" {
		t.Errorf("after adding (-want +got):\n%s", diff)
	}
	if failed := add("1", "", "2", "", "3", "", "4", "", "5", "", "6", "", "7", "", "8", "", "9", ""); failed[all[0]].FailureCode != "LIMIT_EXCEEDED" {
		t.Errorf("an eleventh attribute: %v", failed)
	}
	if _, err := l.RemoveAttributesFromFindings(t.Context(), &inspector.RemoveAttributesFromFindingsInput{
		FindingArns: all, AttributeKeys: []string{"stage", "not there"},
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"owner": "me"}, show()); diff != "" {
		t.Errorf("after removing (-want +got):\n%s", diff)
	}
}

func TestAnAccountSeesOnlyItsOwnInOneRegion(t *testing.T) {
	l := newLab(t)
	l.finished(t, l.template(t, "web", cve))
	for name, client := range map[string]*inspector.Client{
		"another account": l.as(labtest.Member, labtest.Region),
		"another region":  l.as(labtest.Administrator, "us-east-1"),
	} {
		out, err := client.ListFindings(t.Context(), &inspector.ListFindingsInput{})
		if err != nil || len(out.FindingArns) != 0 || out.FindingArns == nil {
			t.Errorf("%s sees %d findings, %v", name, len(out.FindingArns), err)
		}
	}
}

func TestPagingGivesEachFindingOnceWhateverThePages(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(57))
	arn := l.finished(t, l.template(t, "web", cve))
	want := l.findings(t, arn)
	rapid.Check(t, func(rt *rapid.T) {
		var got []string
		for token := (*string)(nil); ; {
			size := rapid.Int32Range(1, 500).Draw(rt, "maxResults")
			out, err := l.ListFindings(t.Context(), &inspector.ListFindingsInput{MaxResults: &size, NextToken: token})
			if err != nil {
				rt.Fatal(err)
			}
			got = append(got, out.FindingArns...)
			if token = out.NextToken; token == nil {
				break
			}
		}
		if !slices.Equal(got, want) {
			rt.Errorf("got %d findings, want %d", len(got), len(want))
		}
	})
}
