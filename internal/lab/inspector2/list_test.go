package inspector2_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/inspector2/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/labtest"
)

func list(t *testing.T, client *sdk.Client, in *sdk.ListFindingsInput) []types.Finding {
	t.Helper()
	var out []types.Finding
	pages := sdk.NewListFindingsPaginator(client, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Findings) > 25 {
			t.Errorf("a page of %d findings", len(page.Findings))
		}
		out = append(out, page.Findings...)
	}
	return out
}

func TestPagesHave25FindingsWhateverIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		knob  int
		asked int32
		want  []int
	}{
		"100 are asked for":       {0, 100, []int{25, 25, 10}},
		"nothing is asked for":    {0, 0, []int{25, 25, 10}},
		"20 are asked for":        {0, 20, []int{20, 20, 20}},
		"the lab's pages are 7":   {7, 100, []int{7, 7, 7, 7, 7, 7, 7, 7, 4}},
		"the lab's pages are 100": {100, 100, []int{25, 25, 10}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.service.PageSize = c.knob
			s.activate(t)
			for i := range 60 {
				s.report(t, labtest.Member, packageFinding(fmt.Sprintf("i-%d", i), "CVE-1"))
			}
			in := &sdk.ListFindingsInput{}
			if c.asked > 0 {
				in.MaxResults = aws.Int32(c.asked)
			}
			var got []int
			seen := make(map[string]bool)
			pages := sdk.NewListFindingsPaginator(s.client(labtest.Member), in)
			for pages.HasMorePages() {
				page, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, len(page.Findings))
				for _, f := range page.Findings {
					seen[*f.FindingArn] = true
				}
			}
			if !slices.Equal(got, c.want) || len(seen) != 60 {
				t.Errorf("pages of %v with %d findings, want %v with 60", got, len(seen), c.want)
			}
		})
	}
}

func TestATokenIsGoodForItsQueryAlone(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	for i := range 3 {
		s.report(t, labtest.Member, packageFinding(fmt.Sprintf("i-%d", i), "CVE-1"))
	}
	client := s.client(labtest.Member)
	first, err := client.ListFindings(t.Context(), &sdk.ListFindingsInput{MaxResults: aws.Int32(1)})
	if err != nil || first.NextToken == nil {
		t.Fatal(err)
	}
	filtered := &sdk.ListFindingsInput{NextToken: first.NextToken, FilterCriteria: &types.FilterCriteria{
		Severity: []types.StringFilter{{Comparison: "EQUALS", Value: aws.String("HIGH")}},
	}}
	_, err = client.ListFindings(t.Context(), filtered)
	wantError(t, err, "ValidationException")
	_, err = s.client(labtest.Administrator).ListFindings(t.Context(), &sdk.ListFindingsInput{NextToken: first.NextToken})
	wantError(t, err, "ValidationException")
	rest, err := client.ListFindings(t.Context(), &sdk.ListFindingsInput{NextToken: first.NextToken, MaxResults: aws.Int32(100)})
	if err != nil || len(rest.Findings) != 2 {
		t.Errorf("the rest with another size: %v, %v", rest, err)
	}
}

func TestTheAdministratorSeesMembersFindings(t *testing.T) {
	s := newStage(t)
	client := s.delegate(t)
	s.activate(t)
	own := s.report(t, labtest.Administrator, packageFinding("i-1", "CVE-1"))
	members := s.report(t, labtest.Member, packageFinding("i-1", "CVE-1"))
	arns := func(c *sdk.Client) (out []string) {
		for _, f := range list(t, c, &sdk.ListFindingsInput{MaxResults: aws.Int32(1)}) {
			out = append(out, *f.FindingArn)
		}
		return out
	}
	if got := arns(client); !slices.Equal(got, []string{own, members}) {
		t.Errorf("the administrator sees %v", got)
	}
	if got := arns(s.client(labtest.Member)); !slices.Equal(got, []string{members}) {
		t.Errorf("the member sees %v", got)
	}
	details, err := s.client(labtest.Member).BatchGetFindingDetails(t.Context(), &sdk.BatchGetFindingDetailsInput{
		FindingArns: []string{members, own, members[:len(members)-1] + "g", "x"},
	})
	if err != nil || len(details.FindingDetails) != 1 || *details.FindingDetails[0].EpssScore != 0.25 {
		t.Fatalf("details %+v, %v", details, err)
	}
	var codes []types.FindingDetailsErrorCode
	for _, e := range details.Errors {
		codes = append(codes, e.ErrorCode)
	}
	if want := []types.FindingDetailsErrorCode{"ACCESS_DENIED", "FINDING_DETAILS_NOT_FOUND", "INVALID_INPUT"}; !slices.Equal(codes, want) {
		t.Errorf("errors %v, want %v", codes, want)
	}
}

func TestTimesOnTheWireAreNumbers(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	labtest.Advance(t, s.cloud, 123*time.Millisecond)
	s.report(t, labtest.Member, packageFinding("i-1", "CVE-1"))
	var body string
	client := s.client(labtest.Member)
	in := &sdk.ListFindingsInput{}
	out, err := client.ListFindings(t.Context(), in, func(o *sdk.Options) {
		o.HTTPClient = spy{func(b string) { body = b }}
	})
	if err != nil || len(out.Findings) != 1 || !out.Findings[0].UpdatedAt.Equal(labtest.Start.Add(123*time.Millisecond)) {
		t.Fatal(out, err)
	}
	if want := fmt.Sprintf(`"updatedAt":%d.123`, labtest.Start.Unix()); !strings.Contains(body, want) {
		t.Errorf("body %s has no %s", body, want)
	}
}

func TestFiltersChooseFindings(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	kernel := packageFinding("i-1", "CVE-2021-1")
	other := packageFinding("i-2", "CVE-2022-2")
	other.Severity, other.FixAvailable, other.Score, other.EPSS = "LOW", "NO", 3.1, nil
	other.Resources[0].Tags = map[string]string{"Name": "db", "Team": "データ"}
	port := packageFinding("i-3", "")
	port.Type, port.Title, port.Package, port.ScoreDetails, port.Score = inspector2.NetworkFinding, "Port 22 is reachable from an Internet Gateway - TCP", nil, nil, 0
	port.Network = &inspector2.NetworkReachability{
		Protocol: "TCP", Ports: inspector2.PortRange{Begin: 22, End: 22},
		Path: inspector2.NetworkPath{Steps: []inspector2.Step{{ID: "igw-1", Type: "AWS::EC2::InternetGateway"}}},
	}
	names := map[string]string{}
	names[s.report(t, labtest.Member, kernel)] = "kernel"
	labtest.Advance(t, s.cloud, time.Hour)
	names[s.report(t, labtest.Member, other)] = "other"
	names[s.report(t, labtest.Member, port)] = "port"
	is := func(v string) []types.StringFilter {
		return []types.StringFilter{{Comparison: "EQUALS", Value: aws.String(v)}}
	}
	not := func(v string) []types.StringFilter {
		return []types.StringFilter{{Comparison: "NOT_EQUALS", Value: aws.String(v)}}
	}
	pre := func(v string) []types.StringFilter {
		return []types.StringFilter{{Comparison: "PREFIX", Value: aws.String(v)}}
	}
	for name, c := range map[string]struct {
		criteria types.FilterCriteria
		want     string
	}{
		"nothing":                       {types.FilterCriteria{}, "kernel other port"},
		"severity":                      {types.FilterCriteria{Severity: is("HIGH")}, "kernel port"},
		"two severities":                {types.FilterCriteria{Severity: append(is("HIGH"), is("LOW")...)}, "kernel other port"},
		"not a severity":                {types.FilterCriteria{Severity: not("HIGH")}, "other"},
		"severity and type":             {types.FilterCriteria{Severity: is("HIGH"), FindingType: is("NETWORK_REACHABILITY")}, "port"},
		"title by prefix":               {types.FilterCriteria{Title: pre("CVE-2022")}, "other"},
		"prefix but not one":            {types.FilterCriteria{Title: append(pre("CVE"), not("CVE-2022-2 - kernel")...)}, "kernel"},
		"vulnerability":                 {types.FilterCriteria{VulnerabilityId: is("CVE-2021-1")}, "kernel"},
		"a fix":                         {types.FilterCriteria{FixAvailable: is("YES")}, "kernel port"},
		"status":                        {types.FilterCriteria{FindingStatus: is("CLOSED")}, ""},
		"resource":                      {types.FilterCriteria{ResourceId: is("i-3")}, "port"},
		"another account":               {types.FilterCriteria{AwsAccountId: is(labtest.Administrator)}, ""},
		"tag with its value":            {types.FilterCriteria{ResourceTags: []types.MapFilter{{Comparison: "EQUALS", Key: aws.String("Team"), Value: aws.String("データ")}}}, "other"},
		"tag with any value":            {types.FilterCriteria{ResourceTags: []types.MapFilter{{Comparison: "EQUALS", Key: aws.String("Name")}}}, "kernel other port"},
		"updated later":                 {types.FilterCriteria{UpdatedAt: []types.DateFilter{{StartInclusive: aws.Time(labtest.Start.Add(time.Hour))}}}, "other port"},
		"updated until, to the second":  {types.FilterCriteria{UpdatedAt: []types.DateFilter{{EndInclusive: aws.Time(labtest.Start)}}}, "kernel"},
		"score":                         {types.FilterCriteria{InspectorScore: []types.NumberFilter{{LowerInclusive: aws.Float64(7.5)}}}, "kernel"},
		"EPSS":                          {types.FilterCriteria{EpssScore: []types.NumberFilter{{UpperInclusive: aws.Float64(0.25)}}}, "kernel port"},
		"ports":                         {types.FilterCriteria{PortRange: []types.PortRangeFilter{{BeginInclusive: aws.Int32(20), EndInclusive: aws.Int32(23)}}}, "port"},
		"other ports":                   {types.FilterCriteria{PortRange: []types.PortRangeFilter{{BeginInclusive: aws.Int32(23)}}}, ""},
		"protocol":                      {types.FilterCriteria{NetworkProtocol: is("TCP")}, "port"},
		"component":                     {types.FilterCriteria{ComponentType: pre("AWS::EC2")}, "port"},
		"package by name and version":   {types.FilterCriteria{VulnerablePackages: []types.PackageFilter{{Name: &is("kernel")[0], Version: &pre("4.14")[0], Epoch: &types.NumberFilter{LowerInclusive: aws.Float64(1)}}}}, "kernel other"},
		"package of another version":    {types.FilterCriteria{VulnerablePackages: []types.PackageFilter{{Name: &is("kernel")[0], Version: &is("5")[0]}}}, ""},
		"image of the instance":         {types.FilterCriteria{Ec2InstanceImageId: is("ami-11111111111111111")}, "kernel other port"},
		"repository, which none is in":  {types.FilterCriteria{EcrImageRepositoryName: is("x")}, ""},
		"not a repository: all are not": {types.FilterCriteria{EcrImageRepositoryName: not("x")}, "kernel other port"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range list(t, s.client(labtest.Member), &sdk.ListFindingsInput{FilterCriteria: &c.criteria}) {
				got = append(got, names[*f.FindingArn])
			}
			slices.Sort(got)
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

func TestFindingsAreSortedOverPages(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	for i, severity := range []string{"LOW", "CRITICAL", "UNTRIAGED", "HIGH", "MEDIUM", "INFORMATIONAL", "HIGH"} {
		f := packageFinding(fmt.Sprintf("i-%d", i), fmt.Sprintf("CVE-%d", i))
		f.Severity, f.Score = severity, float64(10-i)
		s.report(t, labtest.Member, f)
	}
	for name, c := range map[string]struct {
		field types.SortField
		order types.SortOrder
		want  string
	}{
		"severity down":    {"SEVERITY", "DESC", "CRITICAL HIGH HIGH MEDIUM LOW INFORMATIONAL UNTRIAGED"},
		"severity up":      {"SEVERITY", "ASC", "UNTRIAGED INFORMATIONAL LOW MEDIUM HIGH HIGH CRITICAL"},
		"score up":         {"INSPECTOR_SCORE", "ASC", "HIGH INFORMATIONAL MEDIUM HIGH UNTRIAGED CRITICAL LOW"},
		"vulnerability up": {"VULNERABILITY_ID", "ASC", "LOW CRITICAL UNTRIAGED HIGH MEDIUM INFORMATIONAL HIGH"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			in := &sdk.ListFindingsInput{MaxResults: aws.Int32(2), SortCriteria: &types.SortCriteria{Field: c.field, SortOrder: c.order}}
			for _, f := range list(t, s.client(labtest.Member), in) {
				got = append(got, string(f.Severity))
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
	for _, field := range types.SortField("").Values() {
		in := &sdk.ListFindingsInput{SortCriteria: &types.SortCriteria{Field: field, SortOrder: "DESC"}}
		if n := len(list(t, s.client(labtest.Member), in)); n != 7 {
			t.Errorf("sorted by %s: %d findings", field, n)
		}
	}
}

func TestChangesShowAfterTheLag(t *testing.T) {
	s := newStage(t, func(o *cloud.Options) { o.Lag.Findings = time.Minute })
	s.activate(t)
	f := packageFinding("i-1", "CVE-1")
	s.report(t, labtest.Member, f)
	severity := func() string {
		found := list(t, s.client(labtest.Member), &sdk.ListFindingsInput{})
		if len(found) == 0 {
			return ""
		}
		return string(found[0].Severity)
	}
	if got := severity(); got != "" {
		t.Errorf("at once: %q", got)
	}
	labtest.Advance(t, s.cloud, time.Minute)
	changed := *f
	changed.Severity = "LOW"
	s.report(t, labtest.Member, &changed)
	if got := severity(); got != "HIGH" {
		t.Errorf("a minute later, just changed: %q", got)
	}
	labtest.Advance(t, s.cloud, time.Minute)
	if got := severity(); got != "LOW" {
		t.Errorf("a minute after the change: %q", got)
	}
}

// A spy tells the body of an answer.
type spy struct{ see func(string) }

func (s spy) Do(r *http.Request) (*http.Response, error) {
	res, err := (&http.Transport{}).RoundTrip(r)
	if err == nil {
		res.Body, err = seen(res.Body, s.see)
	}
	return res, err
}
