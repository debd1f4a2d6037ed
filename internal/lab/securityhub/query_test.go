package securityhub_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/securityhub"
)

// fill imports n findings, in batches of 100; the id of each is its number.
func (l *lab) fill(account, region string, n int) {
	l.t.Helper()
	var batch []types.AwsSecurityFinding
	for i := range n {
		batch = append(batch, own(account, region, fmt.Sprintf("%05d", i), labtest.Start.Add(time.Duration(i*7919%n)*time.Second)))
		if len(batch) == 100 || i == n-1 {
			l.importAll(account, region, batch...)
			batch = nil
		}
	}
}

// pages reads all pages, and calls between after each.
func (l *lab) pages(account, region string, in sdk.GetFindingsInput, between func(page int)) (ids []string, pages int) {
	l.t.Helper()
	client := l.client(account, region)
	for {
		out, err := client.GetFindings(l.t.Context(), &in)
		must(l.t, err)
		for _, f := range out.Findings {
			ids = append(ids, *f.Region+"/"+*f.AwsAccountId+"/"+*f.Id)
		}
		pages++
		if out.NextToken == nil {
			return ids, pages
		}
		if pages > 1000 {
			l.t.Fatal("more than 1,000 pages")
		}
		if between != nil {
			between(pages)
		}
		in.NextToken = out.NextToken
	}
}

func TestPagingGivesEachFindingOnce(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin, member)
	l.join(region, member)
	l.fill(admin, region, 130)
	l.fill(member, region, 240)
	for name, test := range map[string]struct {
		sort  []types.SortCriterion
		size  int32
		limit int // of the lab
		pages int
	}{
		"without an order":                {nil, 100, 0, 4},
		"by time, ascending":              {[]types.SortCriterion{{Field: aws.String("UpdatedAt"), SortOrder: "asc"}}, 50, 0, 8},
		"by time, descending":             {[]types.SortCriterion{{Field: aws.String("UpdatedAt"), SortOrder: "desc"}}, 100, 0, 4},
		"by severity, all equal":          {[]types.SortCriterion{{Field: aws.String("SeverityNormalized"), SortOrder: "desc"}}, 99, 0, 4},
		"by title, then account":          {[]types.SortCriterion{{Field: aws.String("Title"), SortOrder: "asc"}, {Field: aws.String("AwsAccountId"), SortOrder: "desc"}}, 100, 0, 4},
		"in pages shorter than asked for": {nil, 100, 30, 13},
	} {
		t.Run(name, func(t *testing.T) {
			l.hub.Set(securityhub.Settings{PageLimit: test.limit})
			ids, pages := l.pages(admin, region, sdk.GetFindingsInput{SortCriteria: test.sort, MaxResults: &test.size}, nil)
			if got := len(slices.Compact(slices.Sorted(slices.Values(ids)))); got != 370 || len(ids) != 370 || pages != test.pages {
				t.Errorf("got %d findings, %d different, on %d pages; want 370 on %d", len(ids), got, pages, test.pages)
			}
		})
	}
	l.hub.Set(securityhub.Settings{})
	if ids, _ := l.pages(member, region, sdk.GetFindingsInput{}, nil); len(ids) != 240 {
		t.Errorf("the member sees %d findings, want its own 240", len(ids))
	}
}

func TestOrderIsAsAskedFor(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	l.fill(admin, region, 250)
	in := sdk.GetFindingsInput{SortCriteria: []types.SortCriterion{{Field: aws.String("UpdatedAt"), SortOrder: "desc"}}, MaxResults: aws.Int32(100)}
	last := ""
	client := l.client(admin, region)
	for {
		out, err := client.GetFindings(t.Context(), &in)
		must(t, err)
		for _, f := range out.Findings {
			if last != "" && *f.UpdatedAt > last {
				t.Fatalf("%s comes after %s", *f.UpdatedAt, last)
			}
			last = *f.UpdatedAt
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
}

func TestPagingEndsWhileFindingsAreImported(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	l.fill(admin, region, 300)
	at := labtest.Start
	in := sdk.GetFindingsInput{SortCriteria: []types.SortCriterion{{Field: aws.String("UpdatedAt"), SortOrder: "asc"}}, MaxResults: aws.Int32(20)}
	ids, pages := l.pages(admin, region, in, func(page int) {
		var more []types.AwsSecurityFinding
		for i := range 40 { // new ones, and old ones that move behind the end
			at = at.Add(time.Hour)
			more = append(more, own(admin, region, fmt.Sprintf("new-%d-%d", page, i), at), own(admin, region, fmt.Sprintf("%05d", i), at))
		}
		l.importAll(admin, region, more...)
	})
	if len(ids) != 300 || pages != 15 {
		t.Errorf("got %d findings on %d pages, want the 300 that were there on 15", len(ids), pages)
	}
}

func TestATokenIsForOneRequestAndCaller(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin, member)
	l.enable(other, admin)
	l.fill(admin, region, 3)
	ask := func(edit func(*sdk.GetFindingsInput)) *sdk.GetFindingsInput {
		in := &sdk.GetFindingsInput{MaxResults: aws.Int32(1), Filters: &types.AwsSecurityFindingFilters{
			ProductName: []types.StringFilter{{Value: aws.String("Default"), Comparison: "EQUALS"}},
		}}
		edit(in)
		return in
	}
	first, err := l.client(admin, region).GetFindings(t.Context(), ask(func(*sdk.GetFindingsInput) {}))
	must(t, err)
	token := first.NextToken
	for name, test := range map[string]struct {
		account, region string
		edit            func(*sdk.GetFindingsInput)
	}{
		"another filter":  {admin, region, func(in *sdk.GetFindingsInput) { in.Filters = nil }},
		"another order":   {admin, region, func(in *sdk.GetFindingsInput) { in.SortCriteria = []types.SortCriterion{{Field: aws.String("Id")}} }},
		"another account": {member, region, func(*sdk.GetFindingsInput) {}},
		"another region":  {admin, other, func(*sdk.GetFindingsInput) {}},
		"a changed token": {admin, region, func(in *sdk.GetFindingsInput) { in.NextToken = aws.String("B" + (*token)[1:]) }},
		"no token at all": {admin, region, func(in *sdk.GetFindingsInput) { in.NextToken = aws.String("x y") }},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.client(test.account, test.region).GetFindings(t.Context(), ask(func(in *sdk.GetFindingsInput) {
				in.NextToken = token
				test.edit(in)
			}))
			refused(t, err, "InvalidInputException", 400)
		})
	}
	for range 40 { // more queries than are kept
		_, err := l.client(admin, region).GetFindings(t.Context(), ask(func(*sdk.GetFindingsInput) {}))
		must(t, err)
	}
	again, err := l.client(admin, region).GetFindings(t.Context(), ask(func(in *sdk.GetFindingsInput) { in.NextToken, in.MaxResults = token, nil }))
	must(t, err)
	if len(again.Findings) != 2 || *again.Findings[0].Id != "00001" {
		t.Errorf("an old token gives %d findings, want the two that are left", len(again.Findings))
	}
}

func TestFiltersAreRefused(t *testing.T) {
	str := func(comparisons ...types.StringFilterComparison) []types.StringFilter {
		var out []types.StringFilter
		for _, c := range comparisons {
			out = append(out, types.StringFilter{Value: aws.String("x"), Comparison: c})
		}
		return out
	}
	one := str("EQUALS")
	for name, in := range map[string]sdk.GetFindingsInput{
		"EQUALS with NOT_EQUALS":        {Filters: &types.AwsSecurityFindingFilters{Title: str("EQUALS", "NOT_EQUALS")}},
		"EQUALS with PREFIX_NOT_EQUALS": {Filters: &types.AwsSecurityFindingFilters{Title: str("EQUALS", "PREFIX_NOT_EQUALS")}},
		"CONTAINS":                      {Filters: &types.AwsSecurityFindingFilters{Title: str("CONTAINS")}},
		"CONTAINS with EQUALS":          {Filters: &types.AwsSecurityFindingFilters{Title: str("CONTAINS", "EQUALS")}},
		"NOT_CONTAINS":                  {Filters: &types.AwsSecurityFindingFilters{Title: str("NOT_CONTAINS")}},
		"CONTAINS_WORD":                 {Filters: &types.AwsSecurityFindingFilters{Title: str("CONTAINS_WORD")}},
		"an unknown comparison":         {Filters: &types.AwsSecurityFindingFilters{Title: str("LIKE")}},
		"no value":                      {Filters: &types.AwsSecurityFindingFilters{Title: []types.StringFilter{{Comparison: "EQUALS"}}}},
		"21 values":                     {Filters: &types.AwsSecurityFindingFilters{Title: slices.Repeat(one, 21)}},
		"11 attributes": {Filters: &types.AwsSecurityFindingFilters{
			Title: one, Id: one, Type: one, Region: one, ProductArn: one, ProductName: one, CompanyName: one, AwsAccountId: one,
			GeneratorId: one, RecordState: one, SeverityLabel: one,
		}},
		"map EQUALS with NOT_EQUALS": {Filters: &types.AwsSecurityFindingFilters{ProductFields: []types.MapFilter{
			{Key: aws.String("a"), Value: aws.String("b"), Comparison: "EQUALS"}, {Key: aws.String("c"), Value: aws.String("d"), Comparison: "NOT_EQUALS"},
		}}},
		"map CONTAINS":                 {Filters: &types.AwsSecurityFindingFilters{ProductFields: []types.MapFilter{{Key: aws.String("a"), Value: aws.String("b"), Comparison: "CONTAINS"}}}},
		"map without a key":            {Filters: &types.AwsSecurityFindingFilters{ProductFields: []types.MapFilter{{Value: aws.String("b"), Comparison: "EQUALS"}}}},
		"an empty date":                {Filters: &types.AwsSecurityFindingFilters{UpdatedAt: []types.DateFilter{{}}}},
		"a date that is none":          {Filters: &types.AwsSecurityFindingFilters{UpdatedAt: []types.DateFilter{{Start: aws.String("today")}}}},
		"a range of weeks":             {Filters: &types.AwsSecurityFindingFilters{UpdatedAt: []types.DateFilter{{DateRange: &types.DateRange{Value: aws.Int32(1), Unit: "WEEKS"}}}}},
		"an empty number":              {Filters: &types.AwsSecurityFindingFilters{Confidence: []types.NumberFilter{{}}}},
		"no range of addresses":        {Filters: &types.AwsSecurityFindingFilters{NetworkSourceIpV4: []types.IpFilter{{Cidr: aws.String("10.0.0.0/33")}}}},
		"an empty keyword":             {Filters: &types.AwsSecurityFindingFilters{Keyword: []types.KeywordFilter{{Value: aws.String(" ")}}}}, //nolint:staticcheck // it works still
		"101 results":                  {MaxResults: aws.Int32(101)},
		"an order by nothing there is": {SortCriteria: []types.SortCriterion{{Field: aws.String("Colour")}}},
		"an order by a map":            {SortCriteria: []types.SortCriterion{{Field: aws.String("ProductFields")}}},
		"an order of its own":          {SortCriteria: []types.SortCriterion{{Field: aws.String("Id"), SortOrder: "up"}}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.enable(region, admin)
			_, err := l.client(admin, region).GetFindings(t.Context(), &in)
			refused(t, err, "InvalidInputException", 400)
		})
	}
}

func TestTenAttributesOfTwentyValuesAreTaken(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	x := slices.Repeat([]types.StringFilter{{Value: aws.String("x"), Comparison: "EQUALS"}}, 20)
	_, err := l.client(admin, region).GetFindings(t.Context(), &sdk.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{
		Title: x, Id: x, Type: x, Region: x, ProductArn: x, ProductName: x, CompanyName: x, AwsAccountId: x, GeneratorId: x, RecordState: x,
	}})
	must(t, err)
}

func TestAChangeIsSeenLater(t *testing.T) {
	l := newLab(t, func(o *cloud.Options) { o.Lag.Findings = time.Minute })
	l.enable(region, admin)
	title := func() string {
		out, err := l.client(admin, region).GetFindings(t.Context(), &sdk.GetFindingsInput{})
		must(t, err)
		var titles []string
		for _, f := range out.Findings {
			titles = append(titles, *f.Title)
		}
		return strings.Join(titles, " ")
	}
	put := func(text string, at time.Time) {
		l.importAll(admin, region, own(admin, region, "f", at, func(f *types.AwsSecurityFinding) { f.Title = &text }))
	}
	put("one", labtest.Start)
	if got := title(); got != "" {
		t.Errorf("seen at once: %s", got)
	}
	labtest.Advance(t, l.cloud, 40*time.Second)
	put("two", labtest.Start.Add(time.Second))
	labtest.Advance(t, l.cloud, 20*time.Second)
	if got := title(); got != "one" {
		t.Errorf("after a minute %q is seen", got)
	}
	labtest.Advance(t, l.cloud, 40*time.Second)
	if got := title(); got != "two" {
		t.Errorf("a minute after the second import %q is seen", got)
	}
}

func TestFindingsAreGoneAfterNinetyDays(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	l.importAll(admin, region, own(admin, region, "old", labtest.Start), own(admin, region, "kept", labtest.Start))
	labtest.Advance(t, l.cloud, 89*24*time.Hour)
	l.importAll(admin, region, own(admin, region, "kept", labtest.Start.Add(time.Second)))
	labtest.Advance(t, l.cloud, 24*time.Hour)
	if ids, _ := l.pages(admin, region, sdk.GetFindingsInput{}, nil); len(ids) != 2 {
		t.Errorf("%v after 90 days", ids)
	}
	labtest.Advance(t, l.cloud, time.Second)
	if ids, _ := l.pages(admin, region, sdk.GetFindingsInput{}, nil); len(ids) != 1 || !strings.HasSuffix(ids[0], "kept") {
		t.Errorf("%v after more than 90 days", ids)
	}
	l.events()
	l.importAll(admin, region, own(admin, region, "old", labtest.Start)) // new again, though it is not newer
	if n := len(l.events()); n != 1 {
		t.Errorf("%d events", n)
	}
}
