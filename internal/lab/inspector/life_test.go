package inspector_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/inspector"
	"github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	labinspector "example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/labtest"
)

func statesOf(run types.AssessmentRun) []string {
	var out []string
	for _, c := range run.StateChanges {
		out = append(out, string(c.State))
	}
	return out
}

func TestARunGoesThroughTheDocumentedStatesOnTheClock(t *testing.T) {
	l := newLab(t)
	template := l.template(t, "web", cve, cis, reachability, practices)
	arn := l.start(t, template)
	if got := l.run(t, arn); got.State != types.AssessmentRunStateCreated || got.StartedAt != nil || *got.DataCollected {
		t.Errorf("a run that was just made is %s, started at %v", got.State, got.StartedAt)
	}
	labtest.Advance(t, l.cloud, time.Second)
	if got := l.run(t, arn); got.State != types.AssessmentRunStateCollectingData || got.StartedAt == nil {
		t.Errorf("after a second the run is %s, want COLLECTING_DATA", got.State)
	}
	if got := l.findings(t, arn); len(got) != 0 {
		t.Errorf("%d findings before anything was seen", len(got))
	}
	labtest.Advance(t, l.cloud, 31*time.Minute)
	early := l.findings(t, arn)
	if len(early) == 0 {
		t.Error("no finding of Network Reachability halfway through the collection")
	}
	labtest.Advance(t, l.cloud, 2*time.Hour)
	got := l.run(t, arn)
	want := []string{
		"CREATED", "START_DATA_COLLECTION_PENDING", "START_DATA_COLLECTION_IN_PROGRESS", "COLLECTING_DATA", "STOP_DATA_COLLECTION_PENDING",
		"DATA_COLLECTED", "START_EVALUATING_RULES_PENDING", "EVALUATING_RULES", "COMPLETED",
	}
	if diff := cmp.Diff(want, statesOf(got)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if !*got.DataCollected || got.CompletedAt == nil || !got.CompletedAt.Equal(*got.StateChangedAt) || *got.DurationInSeconds != 3600 {
		t.Errorf("the completed run is %+v", got)
	}
	if d := got.StateChanges[4].StateChangedAt.Sub(*got.StartedAt); d != time.Hour {
		t.Errorf("data was collected for %v, want durationInSeconds", d)
	}
	all := l.findings(t, arn)
	if !slices.Equal(all[:len(early)], early) || len(all) <= len(early) {
		t.Errorf("%d findings, of them %d early ones: want these first, and more", len(all), len(early))
	}
	sum := int32(0)
	for _, severity := range []string{"Low", "Medium", "High", "Informational", "Undefined"} {
		n, ok := got.FindingCounts[severity]
		if !ok {
			t.Errorf("findingCounts lacks %s", severity)
		}
		sum += n
	}
	if int(sum) != len(all) {
		t.Errorf("findingCounts add up to %d, ListFindings gives %d", sum, len(all))
	}
}

func TestAStoppedRun(t *testing.T) {
	for name, test := range map[string]struct {
		action   types.StopAction
		last     string
		findings bool
	}{
		"evaluates what it has by default":          {"", "COMPLETED", true},
		"evaluates what it has with that action":    {types.StopActionStartEvaluation, "COMPLETED", true},
		"is canceled without findings when skipped": {types.StopActionSkipEvaluation, "CANCELED", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			arn := l.start(t, l.template(t, "web", cve))
			labtest.Advance(t, l.cloud, time.Minute)
			for range 2 { // the second changes nothing
				if _, err := l.StopAssessmentRun(t.Context(), &inspector.StopAssessmentRunInput{AssessmentRunArn: &arn, StopAction: test.action}); err != nil {
					t.Fatal(err)
				}
			}
			labtest.Advance(t, l.cloud, 5*time.Minute)
			got := l.run(t, arn)
			if string(got.State) != test.last || (len(l.findings(t, arn)) > 0) != test.findings {
				t.Errorf("the run is %s with %d findings: %v", got.State, len(l.findings(t, arn)), statesOf(got))
			}
			labtest.Advance(t, l.cloud, 2*time.Hour)
			if again := l.run(t, arn); len(again.StateChanges) != len(got.StateChanges) {
				t.Errorf("the run went on after it had ended: %v", statesOf(again))
			}
		})
	}
}

func TestFaultsEndARunAnotherWay(t *testing.T) {
	for name, test := range map[string]struct {
		kind     cloud.FaultKind
		state    types.AssessmentRunState
		findings int
	}{
		"down fails it":    {cloud.FaultDown, types.AssessmentRunStateFailed, 0},
		"drop is an error": {cloud.FaultDrop, types.AssessmentRunStateError, 0},
		"corrupt loses half of what is to be told": {cloud.FaultCorrupt, types.AssessmentRunStateCompletedWithErrors, 5},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.service.SetAssessor(stub(10))
			if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: test.kind, Service: "inspector", Action: "EvaluateRules"}); err != nil {
				t.Fatal(err)
			}
			arn := l.finished(t, l.template(t, "web", cve))
			if got := l.run(t, arn); got.State != test.state || len(l.findings(t, arn)) != test.findings {
				t.Errorf("the run is %s with %d findings, want %s with %d", got.State, len(l.findings(t, arn)), test.state, test.findings)
			}
		})
	}
}

func TestARunInProgressCannotBeDeletedNorWhatItBelongsTo(t *testing.T) {
	l := newLab(t)
	template := l.template(t, "web", cve)
	target, _, _ := strings.Cut(template, "/template/")
	arn := l.start(t, template)
	deletions := []func() error{
		func() error {
			_, err := l.DeleteAssessmentRun(t.Context(), &inspector.DeleteAssessmentRunInput{AssessmentRunArn: &arn})
			return err
		},
		func() error {
			_, err := l.DeleteAssessmentTemplate(t.Context(), &inspector.DeleteAssessmentTemplateInput{AssessmentTemplateArn: &template})
			return err
		},
		func() error {
			_, err := l.DeleteAssessmentTarget(t.Context(), &inspector.DeleteAssessmentTargetInput{AssessmentTargetArn: &target})
			return err
		},
	}
	for _, del := range deletions {
		var busy *types.AssessmentRunInProgressException
		if err := del(); !errors.As(err, &busy) || !slices.Equal(busy.AssessmentRunArns, []string{arn}) || *busy.AssessmentRunArnsTruncated {
			t.Errorf("got %v, want AssessmentRunInProgressException with the run", err)
		}
	}
	labtest.Advance(t, l.cloud, 2*time.Hour)
	second := l.finished(t, template)
	for i, del := range deletions {
		if err := del(); err != nil {
			t.Errorf("deletion %d: %v", i, err)
		}
	}
	if got := l.findings(t); len(got) != 0 {
		t.Errorf("%d findings outlive their runs", len(got))
	}
	_, err := l.ListFindings(t.Context(), &inspector.ListFindingsInput{AssessmentRunArns: []string{second}})
	if got := errorOf(t, err); got != "NoSuchEntityException/ASSESSMENT_RUN_DOES_NOT_EXIST" {
		t.Errorf("got %s", got)
	}
}

func TestAnInstanceTakesPartInOneRunAtATime(t *testing.T) {
	l := newLab(t)
	template := l.template(t, "web", cve)
	first := l.start(t, template)
	var busy *types.AgentsAlreadyRunningAssessmentException
	_, err := l.StartAssessmentRun(t.Context(), &inspector.StartAssessmentRunInput{AssessmentTemplateArn: &template})
	if !errors.As(err, &busy) || len(busy.Agents) != 3 || *busy.Agents[0].AssessmentRunArn != first || *busy.AgentsTruncated {
		t.Fatalf("got %v, want AgentsAlreadyRunningAssessmentException with three agents", err)
	}
	labtest.Advance(t, l.cloud, 2*time.Hour)
	l.start(t, template)
}

func TestTheReportOfARunTakesAWhile(t *testing.T) {
	l := newLab(t)
	arn := l.start(t, l.template(t, "web", cve))
	ask := func() (*inspector.GetAssessmentReportOutput, error) {
		return l.GetAssessmentReport(t.Context(), &inspector.GetAssessmentReportInput{
			AssessmentRunArn: &arn, ReportFileFormat: types.ReportFileFormatPdf, ReportType: types.ReportTypeFull,
		})
	}
	if _, err := ask(); errorOf(t, err) != "AssessmentRunInProgressException" {
		t.Errorf("got %v while the run goes on", err)
	}
	labtest.Advance(t, l.cloud, 2*time.Hour)
	for _, want := range []types.ReportStatus{types.ReportStatusWorkInProgress, types.ReportStatusCompleted} {
		got, err := ask()
		if err != nil || got.Status != want || (got.Url != nil) != (want == types.ReportStatusCompleted) {
			t.Errorf("got %+v, %v; want %s", got, err, want)
		}
		labtest.Advance(t, l.cloud, time.Minute)
	}
	_, err := l.GetAssessmentReport(t.Context(), &inspector.GetAssessmentReportInput{AssessmentRunArn: &arn, ReportFileFormat: "DOC", ReportType: "FULL"})
	if got := errorOf(t, err); got != "InvalidInputException" {
		t.Errorf("got %s for a format that there is not", got)
	}
}

func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	told := func() string {
		l := newLab(t)
		l.finished(t, l.template(t, "web", cve, practices))
		var b strings.Builder
		for _, d := range l.hub.all() {
			b.Write(d.Body)
		}
		return b.String()
	}
	if a, b := told(), told(); a != b || a == "" {
		t.Error("two labs of one seed differ")
	}
}

func TestWhatAnAssessorGivesIsKeptWithinTheShapes(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(wild{})
	arn := l.finished(t, l.template(t, "web", cve))
	out, err := l.DescribeFindings(t.Context(), &inspector.DescribeFindingsInput{FindingArns: l.findings(t, arn)})
	if err != nil || len(out.Findings) != 1 {
		t.Fatalf("got %v, %v: want the one finding of the run's package", out, err)
	}
	f := out.Findings[0]
	if f.Attributes[0].Value == nil || len(*f.Attributes[0].Value) != 256 {
		t.Errorf("an attribute's value is not cut to 256: %v", f.Attributes[0])
	}
	if len(*f.Title) > 20000 || len(f.Attributes) != 50 || f.Severity != types.SeverityUndefined || f.NumericSeverity != 10 || f.Confidence != 0 {
		t.Errorf("got %d bytes of title, %d attributes, %s, %v", len(*f.Title), len(f.Attributes), f.Severity, f.NumericSeverity)
	}
}

type wild struct{}

func (wild) Assess(cloud.Place, labinspector.Run) []labinspector.Finding {
	return []labinspector.Finding{
		{
			ServiceAttributes: labinspector.ServiceAttributes{RulesPackageARN: cve}, Title: strings.Repeat("語", 10000), Severity: "Dreadful",
			NumericSeverity: 99, Confidence: -1, Attributes: slices.Repeat([]labinspector.Attribute{{Key: "k", Value: strings.Repeat("v", 9999)}}, 99),
		},
		{ServiceAttributes: labinspector.ServiceAttributes{RulesPackageARN: practices}, Title: "of no package of the run"},
	}
}
