package securityhub_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

// TestEventsGoWhereAWSSendsThem walks through the places of a finding's events.
func TestEventsGoWhereAWSSendsThem(t *testing.T) {
	const home = "us-east-1"
	for name, test := range map[string]struct {
		mode    string
		regions []string
		from    string // region of the finding
		member  bool   // in the finding's region
		home    bool   // the member has Security Hub on in the home region
		want    []string
	}{
		"an account alone":                    {"", nil, region, false, false, []string{member + " " + region}},
		"a member":                            {"", nil, region, true, false, []string{member + " " + region, admin + " " + region}},
		"a member, all regions linked":        {"ALL_REGIONS", nil, region, true, false, []string{member + " " + region, admin + " " + region, admin + " " + home}},
		"a member that is in the home region": {"ALL_REGIONS", nil, region, true, true, []string{member + " " + region, admin + " " + region, member + " " + home, admin + " " + home}},
		"a finding of the home region":        {"ALL_REGIONS", nil, home, true, true, []string{member + " " + home, admin + " " + home}},
		"a region that is specified":          {"SPECIFIED_REGIONS", []string{region}, region, true, false, []string{member + " " + region, admin + " " + region, admin + " " + home}},
		"a region that is not specified":      {"SPECIFIED_REGIONS", []string{other}, region, true, false, []string{member + " " + region, admin + " " + region}},
		"a region that is excepted":           {"ALL_REGIONS_EXCEPT_SPECIFIED", []string{region}, region, true, false, []string{member + " " + region, admin + " " + region}},
		"a region that is not excepted":       {"ALL_REGIONS_EXCEPT_SPECIFIED", []string{other}, region, true, false, []string{member + " " + region, admin + " " + region, admin + " " + home}},
		"no regions linked":                   {"NO_REGIONS", nil, region, true, false, []string{member + " " + region, admin + " " + region}},
		"somebody else's aggregator":          {"ALL_REGIONS", nil, region, false, true, []string{member + " " + region}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.enable(region, admin, member)
			l.enable(home, admin)
			if test.home {
				l.enable(home, member)
			}
			if test.member {
				l.join(test.from, member)
			}
			if test.mode != "" {
				_, err := l.client(admin, home).CreateFindingAggregator(t.Context(), &sdk.CreateFindingAggregatorInput{RegionLinkingMode: &test.mode, Regions: test.regions})
				must(t, err)
			}
			l.importAll(member, test.from, own(member, test.from, "f", labtest.Start))
			arn := defaultProduct(member, test.from)
			update, err := l.client(member, test.from).BatchUpdateFindings(t.Context(), &sdk.BatchUpdateFindingsInput{
				FindingIdentifiers: []types.AwsSecurityFindingIdentifier{{Id: aws.String("f"), ProductArn: &arn}}, Workflow: &types.WorkflowUpdate{Status: "RESOLVED"},
			})
			must(t, err)
			if len(update.ProcessedFindings) != 1 {
				t.Fatal(update.UnprocessedFindings)
			}
			got := make(map[string]int)
			for _, e := range l.events() {
				got[e.Account+" "+e.Region]++
				_ = theFinding(t, e)
			}
			want := make(map[string]int)
			for _, p := range test.want {
				want[p] = 2
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events by bus (-want +got):\n%s", diff)
			}
			sees := func(account, at string) bool {
				ids, _ := l.pages(account, at, sdk.GetFindingsInput{}, nil)
				return len(ids) == 1
			}
			for _, p := range []cloud.Place{l.place(admin, region), l.place(admin, home)} {
				if want := want[p.Account+" "+p.Region] > 0; sees(p.Account, p.Region) != want {
					t.Errorf("the administrator sees it in %s: %v", p.Region, !want)
				}
			}
		})
	}
}

func TestUpdatesGoFromTheHomeRegionToTheLinkedOne(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	const home = "us-east-1"
	l.enable(region, admin, member)
	l.enable(home, admin)
	l.join(region, member)
	c := l.client(admin, home)
	_, err := c.CreateFindingAggregator(ctx, &sdk.CreateFindingAggregatorInput{RegionLinkingMode: aws.String("ALL_REGIONS")})
	must(t, err)
	l.importAll(member, region, own(member, region, "f", labtest.Start))
	arn := defaultProduct(member, region)
	id := []types.AwsSecurityFindingIdentifier{{Id: aws.String("f"), ProductArn: &arn}}
	out, err := c.BatchUpdateFindings(ctx, &sdk.BatchUpdateFindingsInput{FindingIdentifiers: id, Workflow: &types.WorkflowUpdate{Status: "SUPPRESSED"}})
	must(t, err)
	if len(out.ProcessedFindings) != 1 || l.read(member, region, "f").Workflow.Status != "SUPPRESSED" || *l.read(admin, home, "f").Region != region {
		t.Errorf("%+v", out)
	}
	out, err = l.client(member, region).BatchUpdateFindings(ctx, &sdk.BatchUpdateFindingsInput{FindingIdentifiers: []types.AwsSecurityFindingIdentifier{{Id: aws.String("g"), ProductArn: &arn}}})
	must(t, err)
	if *out.UnprocessedFindings[0].ErrorCode != "FindingNotFound" {
		t.Errorf("%+v", out.UnprocessedFindings)
	}
	var seen []string
	for f := range l.hub.Findings(l.place(admin, home)) {
		seen = append(seen, fmt.Sprint(f.Place.Region, " ", f.ID, " ", f.UpdatedAt.Sub(labtest.Start)))
	}
	if len(seen) != 1 || seen[0] != region+" f 0s" {
		t.Errorf("Findings gives %v", seen)
	}
}

func TestAFindingAggregator(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.enable(region, admin, member)
	l.enable(other, admin, member)
	l.join(region, member)
	must(t, l.cloud.Accounts.Add(cloud.Account{ID: admin, Regions: []string{"af-south-1"}}))
	l.enable("af-south-1", admin)
	c := l.client(admin, region)
	create := func(c *sdk.Client, mode string, regions ...string) (*sdk.CreateFindingAggregatorOutput, error) {
		return c.CreateFindingAggregator(ctx, &sdk.CreateFindingAggregatorInput{RegionLinkingMode: &mode, Regions: regions})
	}
	for name, test := range map[string]struct {
		mode    string
		regions []string
	}{
		"an unknown mode":                 {"SOME_REGIONS", nil},
		"regions with NO_REGIONS":         {"NO_REGIONS", []string{other}},
		"regions with ALL_REGIONS":        {"ALL_REGIONS", []string{other}},
		"no regions where some are meant": {"SPECIFIED_REGIONS", nil},
		"no regions where some are not":   {"ALL_REGIONS_EXCEPT_SPECIFIED", nil},
		"51 regions":                      {"SPECIFIED_REGIONS", make([]string, 51)},
		"an unknown region":               {"SPECIFIED_REGIONS", []string{"eu-nowhere-1"}},
		"a region of another partition":   {"SPECIFIED_REGIONS", []string{"cn-north-1"}},
		"the home region itself":          {"SPECIFIED_REGIONS", []string{region}},
		"a region twice":                  {"SPECIFIED_REGIONS", []string{other, other}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := create(c, test.mode, test.regions...)
			refused(t, err, "InvalidInputException", 400)
		})
	}
	_, err := create(l.client(admin, "af-south-1"), "ALL_REGIONS")
	refused(t, err, "InvalidInputException", 400)
	_, err = create(l.client(member, region), "ALL_REGIONS")
	refused(t, err, "AccessDeniedException", 403)
	made, err := create(c, "SPECIFIED_REGIONS", other)
	must(t, err)
	_, err = create(c, "ALL_REGIONS")
	refused(t, err, "LimitExceededException", 429)
	if *made.FindingAggregationRegion != region || *made.RegionLinkingMode != "SPECIFIED_REGIONS" || !cmp.Equal(made.Regions, []string{other}) {
		t.Errorf("%+v", made)
	}
	arn := made.FindingAggregatorArn
	for who, c := range map[string]*sdk.Client{"administrator": c, "in a linked region": l.client(admin, other), "member": l.client(member, region)} {
		list, err := c.ListFindingAggregators(ctx, &sdk.ListFindingAggregatorsInput{})
		must(t, err)
		got, err := c.GetFindingAggregator(ctx, &sdk.GetFindingAggregatorInput{FindingAggregatorArn: arn})
		must(t, err)
		if len(list.FindingAggregators) != 1 || *list.FindingAggregators[0].FindingAggregatorArn != *arn || *got.FindingAggregatorArn != *arn {
			t.Errorf("%s: %+v %+v", who, list, got)
		}
	}
	update := func(c *sdk.Client, arn string) error {
		_, err := c.UpdateFindingAggregator(ctx, &sdk.UpdateFindingAggregatorInput{FindingAggregatorArn: &arn, RegionLinkingMode: aws.String("ALL_REGIONS")})
		return err
	}
	refused(t, update(l.client(admin, other), *arn), "InvalidInputException", 400)
	refused(t, update(l.client(member, region), *arn), "AccessDeniedException", 403)
	refused(t, update(c, *arn+"x"), "ResourceNotFoundException", 404)
	refused(t, update(c, "x"), "InvalidInputException", 400)
	must(t, update(c, *arn))
	remove := func(c *sdk.Client) error {
		_, err := c.DeleteFindingAggregator(ctx, &sdk.DeleteFindingAggregatorInput{FindingAggregatorArn: arn})
		return err
	}
	refused(t, remove(l.client(admin, other)), "InvalidInputException", 400)
	must(t, remove(c))
	refused(t, remove(c), "ResourceNotFoundException", 404)
}
