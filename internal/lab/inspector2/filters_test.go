package inspector2_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/labtest"
)

func titled(prefix string) *types.FilterCriteria {
	return &types.FilterCriteria{
		Title:         []types.StringFilter{{Comparison: "PREFIX", Value: aws.String(prefix)}},
		FindingStatus: []types.StringFilter{{Comparison: "EQUALS", Value: aws.String("ACTIVE")}},
	}
}

func TestASuppressionRuleHidesFindings(t *testing.T) {
	s := newStage(t)
	admin := s.delegate(t)
	s.activate(t)
	ctx := t.Context()
	s.report(t, labtest.Member, packageFinding("i-1", "CVE-1"))
	s.report(t, labtest.Member, packageFinding("i-1", "CVE-2"))
	labtest.Settle(t, s.cloud)
	_, err := s.client(labtest.Member).CreateFilter(ctx, &sdk.CreateFilterInput{Name: aws.String("mine"), Action: "SUPPRESS", FilterCriteria: titled("CVE-1")})
	wantError(t, err, "AccessDeniedException")
	labtest.Advance(t, s.cloud, time.Hour)
	made, err := admin.CreateFilter(ctx, &sdk.CreateFilterInput{Name: aws.String("accepted"), Action: "SUPPRESS", FilterCriteria: titled("CVE-1"), Reason: aws.String("no risk")})
	if err != nil || !strings.HasPrefix(*made.Arn, "arn:aws:inspector2:ap-northeast-1:111111111111:owner/111111111111/filter/") {
		t.Fatal(made, err)
	}
	if diff := cmp.Diff([]string{"CVE-1 - kernel SUPPRESSED", "CVE-2 - kernel ACTIVE"}, s.states(labtest.Member)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	s.report(t, labtest.Member, packageFinding("i-1", "CVE-1"))
	s.report(t, labtest.Member, packageFinding("i-1", "CVE-10"))
	s.report(t, labtest.Member, closed(packageFinding("i-1", "CVE-10"))) // nobody had heard of it
	labtest.Settle(t, s.cloud)
	if len(s.bus.got) != 2 || len(s.hub.got) != 2 {
		t.Errorf("%d events, %d findings in Security Hub, want the 2 from before the rule", len(s.bus.got), len(s.hub.got))
	}
	if diff := cmp.Diff([]string{"CVE-1 - kernel SUPPRESSED", "CVE-10 - kernel CLOSED", "CVE-2 - kernel ACTIVE"}, s.states(labtest.Member)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if _, err := admin.UpdateFilter(ctx, &sdk.UpdateFilterInput{FilterArn: made.Arn, FilterCriteria: titled("CVE-2")}); err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, s.cloud)
	if diff := cmp.Diff([]string{"CVE-1 - kernel ACTIVE", "CVE-10 - kernel CLOSED", "CVE-2 - kernel SUPPRESSED"}, s.states(labtest.Member)); diff != "" {
		t.Errorf("findings after the rule changed (-want +got):\n%s", diff)
	}
	if len(s.hub.got) != 3 {
		t.Errorf("%d findings in Security Hub, want that which is active again too", len(s.hub.got))
	}
	if _, err := admin.DeleteFilter(ctx, &sdk.DeleteFilterInput{Arn: made.Arn}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"CVE-1 - kernel ACTIVE", "CVE-10 - kernel CLOSED", "CVE-2 - kernel ACTIVE"}, s.states(labtest.Member)); diff != "" {
		t.Errorf("findings without the rule (-want +got):\n%s", diff)
	}
}

func TestFiltersAreListedAndTagged(t *testing.T) {
	s := newStage(t)
	client := s.client(labtest.Member)
	ctx := t.Context()
	var arns []string
	for i := range 500 {
		out, err := client.CreateFilter(ctx, &sdk.CreateFilterInput{Name: aws.String(fmt.Sprint("n", i)), Action: "NONE", FilterCriteria: titled("x"), Description: aws.String("d")})
		if err != nil {
			t.Fatal(err)
		}
		arns = append(arns, *out.Arn)
	}
	_, err := client.CreateFilter(ctx, &sdk.CreateFilterInput{Name: aws.String("one more"), Action: "NONE", FilterCriteria: titled("x")})
	if quota, ok := errors.AsType[*types.ServiceQuotaExceededException](err); !ok || quota.ResourceId == nil {
		t.Errorf("the 501st filter: %v", err)
	}
	if _, err := client.DeleteFilter(ctx, &sdk.DeleteFilterInput{Arn: &arns[0]}); err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateFilter(ctx, &sdk.CreateFilterInput{Name: aws.String("n7"), Action: "NONE", FilterCriteria: titled("x")})
	wantError(t, err, "BadRequestException")
	pages, n := sdk.NewListFiltersPaginator(client, &sdk.ListFiltersInput{Action: "NONE"}), 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Filters)
	}
	if n != 499 {
		t.Errorf("%d filters", n)
	}
	in := &sdk.TagResourceInput{ResourceArn: &arns[7], Tags: map[string]string{"Team": "青", "Name": `q"}{`}}
	if _, err := client.TagResource(ctx, in); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: &arns[7], TagKeys: []string{"Team", "None"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := client.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: &arns[7]})
	if err != nil || len(tags.Tags) != 1 || tags.Tags["Name"] != `q"}{` {
		t.Errorf("tags %v, %v", tags, err)
	}
	in.Tags = make(map[string]string)
	for i := range 50 {
		in.Tags[fmt.Sprint(i)] = ""
	}
	_, err = client.TagResource(ctx, in)
	wantError(t, err, "BadRequestException") // 51 with the one that is there
	one, err := client.ListFilters(ctx, &sdk.ListFiltersInput{Arns: []string{arns[7]}})
	if err != nil || len(one.Filters) != 1 || *one.Filters[0].Name != "n7" || *one.Filters[0].OwnerId != labtest.Member ||
		*one.Filters[0].Criteria.Title[0].Value != "x" || !one.Filters[0].CreatedAt.Equal(labtest.Start) {
		t.Errorf("filter %+v, %v", one, err)
	}
}
