package population_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/inspector"
	"github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/population"
)

// run starts a run of Classic on all hosts of an account in a region, and gives its findings when it is done.
func run(t *testing.T, w *world, client *sdk.Client, place cloud.Place) []types.Finding {
	t.Helper()
	ctx := t.Context()
	target, err := client.CreateAssessmentTarget(ctx, &sdk.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("all")})
	if err != nil {
		t.Fatal(err)
	}
	var packages []string
	for _, p := range inspector.RulesPackages(place.Partition, place.Region) {
		packages = append(packages, p.ARN)
	}
	template, err := client.CreateAssessmentTemplate(ctx, &sdk.CreateAssessmentTemplateInput{
		AssessmentTargetArn: target.AssessmentTargetArn, AssessmentTemplateName: aws.String("all"), DurationInSeconds: aws.Int32(3600), RulesPackageArns: packages,
	})
	if err != nil {
		t.Fatal(err)
	}
	started, err := client.StartAssessmentRun(ctx, &sdk.StartAssessmentRunInput{AssessmentTemplateArn: template.AssessmentTemplateArn})
	if err != nil {
		t.Fatal(err)
	}
	w.step(t, 3*time.Hour)
	var out []types.Finding
	pages := sdk.NewListFindingsPaginator(client, &sdk.ListFindingsInput{AssessmentRunArns: []string{*started.AssessmentRunArn}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for arns := range slices.Chunk(page.FindingArns, 10) {
			d, err := client.DescribeFindings(ctx, &sdk.DescribeFindingsInput{FindingArns: arns})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, d.Findings...)
		}
	}
	return out
}

func TestRunsOfClassicFindWhatIsWrongWithTheHosts(t *testing.T) {
	describe := func() string {
		w := newWorld(t, population.Options{Seed: 3, Hosts: population.Spread{Min: 8, Max: 8}})
		classic := inspector.New(w.cloud)
		if err := w.SeedInspector(w.scanner); err != nil {
			t.Fatal(err)
		}
		if err := w.Start(w.scanner, classic); err != nil {
			t.Fatal(err)
		}
		w.step(t, 5*day)
		place := w.cloud.Accounts.Place(w.Org.Administrator, "ap-northeast-1")
		open := make(map[string]bool)
		for f := range w.scanner.Findings(place) {
			if f.Status == "ACTIVE" && f.Package != nil {
				open[f.Package.ID+" "+f.Resources[0].ID] = true
			}
		}
		client := sdk.NewFromConfig(labtest.Serve(t, w.cloud, classic.Wire()).Config(place.Account, place.Region))
		findings := run(t, w, client, place)
		severities, same := make(map[types.Severity]int), 0
		for _, f := range findings {
			severities[f.Severity]++
			if open[*f.Id+" "+*f.AssetAttributes.AgentId] {
				same++
			}
		}
		if len(findings) < 20 || severities["High"] == 0 || severities["Medium"] == 0 || same < 10 {
			t.Errorf("%d findings, severities %v, %d that Inspector 2 has too", len(findings), severities, same)
		}
		var titles []string
		for _, f := range findings {
			titles = append(titles, fmt.Sprint(*f.Title, f.NumericSeverity))
		}
		slices.Sort(titles)
		return strings.Join(titles, "\n")
	}
	if diff := cmp.Diff(describe(), describe()); diff != "" {
		t.Errorf("two runs of the same seed differ:\n%s", diff)
	}
}
