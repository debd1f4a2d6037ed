package securityhub_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/securityhub"
)

func sample(t *testing.T, name string) map[string]any {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	must(t, err)
	var f map[string]any
	must(t, json.Unmarshal([]byte(strings.ReplaceAll(string(b), "arn:aws::", "arn:aws:")), &f))
	return f
}

func TestARealFindingComesOutAsAnEventWithNothingLost(t *testing.T) {
	for name, test := range map[string]struct{ product, from, company, productName string }{
		"asff-inspector-classic": {"aws/inspector", "inspector.amazonaws.com", "Amazon", "Inspector"},
		"asff-inspector-v2-ec2":  {"aws/inspector", "inspector2.amazonaws.com", "Amazon", "Inspector"},
		"asff-inspector-v2-ecr":  {"aws/inspector", "inspector2.amazonaws.com", "Amazon", "Inspector"},
		"asff-inspector-v2-ghsa": {"aws/inspector", "inspector2.amazonaws.com", "Amazon", "Inspector"},
		"asff-guardduty":         {"aws/guardduty", "guardduty.amazonaws.com", "Amazon", "GuardDuty"},
		"asff-config":            {"aws/config", "config.amazonaws.com", "AWS", "Config"},
	} {
		t.Run(name, func(t *testing.T) {
			l, want := newLab(t), sample(t, name)
			account, arn := want["AwsAccountId"].(string), want["ProductArn"].(string)
			parsed, err := cloud.ParseARN(arn)
			must(t, err)
			must(t, l.cloud.Accounts.Add(cloud.Account{ID: account}))
			l.enable(parsed.Region, account)
			if test.product == "aws/inspector" {
				if answer := l.publish(account, parsed.Region, test.product, test.from, want); answer != "" {
					t.Errorf("Inspector was taken before its integration was enabled: %s", answer)
				}
				_, err := l.client(account, parsed.Region).EnableImportFindingsForProduct(t.Context(), &sdk.EnableImportFindingsForProductInput{ProductArn: &arn})
				must(t, err)
			}
			if answer := l.publish(account, parsed.Region, test.product, test.from, want); answer != `{"FailedCount":0,"SuccessCount":1,"FailedFindings":[]}` {
				t.Fatal(answer)
			}
			events := l.events()
			if len(events) != 1 {
				t.Fatalf("got %d events, want 1", len(events))
			}
			e := events[0]
			id := want["Id"].(string)
			if e.DetailType != "Security Hub Findings - Imported" || e.Source != "aws.securityhub" || e.Account != account ||
				e.Region != parsed.Region || !cmp.Equal(e.Resources, []string{arn + "/" + id}) {
				t.Errorf("envelope: %+v", e)
			}
			var got map[string]any
			must(t, json.Unmarshal(theFinding(t, e), &got))
			fields := want["ProductFields"].(map[string]any)
			fields["aws/securityhub/FindingId"] = arn + "/" + id
			fields["aws/securityhub/ProductName"], want["ProductName"] = test.productName, test.productName
			fields["aws/securityhub/CompanyName"], want["CompanyName"] = test.company, test.company
			want["Region"], want["ProcessedAt"] = parsed.Region, "2026-11-22T13:14:15.000Z"
			want["WorkflowState"], want["RecordState"] = "NEW", "ACTIVE"
			want["Workflow"] = map[string]any{"Status": "NEW"}
			severity := want["Severity"].(map[string]any)
			theirs := map[string]any{"Label": severity["Label"]}
			if original, ok := severity["Original"]; ok {
				theirs["Original"] = original
			}
			provider := map[string]any{"Severity": theirs, "Types": want["Types"]}
			if confidence, ok := want["Confidence"]; ok {
				provider["Confidence"] = confidence
			}
			want["FindingProviderFields"] = provider
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the event's finding (-want +got):\n%s", diff)
			}
			for f := range l.hub.Findings(l.place(account, parsed.Region)) {
				if f.ID != id || f.ProductARN != arn || f.Place.Account != account || string(f.JSON) != string(theFinding(t, e)) {
					t.Errorf("Findings gives %+v", f)
				}
			}
		})
	}
}

func TestAnImportIsTakenByFindingsThatAreRight(t *testing.T) {
	at := labtest.Start
	long := func(n int) *string { return aws.String(strings.Repeat("x", n)) }
	for name, test := range map[string]struct {
		edit func(*types.AwsSecurityFinding)
		code string // empty: it is taken
	}{
		"as it is":                   {func(*types.AwsSecurityFinding) {}, ""},
		"a title of 256 characters":  {func(f *types.AwsSecurityFinding) { f.Title = long(256) }, ""},
		"a title of 257 characters":  {func(f *types.AwsSecurityFinding) { f.Title = long(257) }, "InvalidInput"},
		"a description of 1,024":     {func(f *types.AwsSecurityFinding) { f.Description = long(1024) }, ""},
		"a description of 1,025":     {func(f *types.AwsSecurityFinding) { f.Description = long(1025) }, "InvalidInput"},
		"an id of 512 characters":    {func(f *types.AwsSecurityFinding) { f.Id = long(512) }, ""},
		"an id of 513 characters":    {func(f *types.AwsSecurityFinding) { f.Id = long(513) }, "InvalidInput"},
		"a generator of 513":         {func(f *types.AwsSecurityFinding) { f.GeneratorId = long(513) }, "InvalidInput"},
		"another schema":             {func(f *types.AwsSecurityFinding) { f.SchemaVersion = aws.String("2020-01-01") }, "InvalidInput"},
		"no severity":                {func(f *types.AwsSecurityFinding) { f.Severity = nil }, "InvalidInput"},
		"a severity without a label": {func(f *types.AwsSecurityFinding) { f.Severity = &types.Severity{Original: long(1)} }, "InvalidInput"},
		"a severity with a number":   {func(f *types.AwsSecurityFinding) { f.Severity = &types.Severity{Normalized: aws.Int32(69)} }, ""},
		"a severity of 101":          {func(f *types.AwsSecurityFinding) { f.Severity = &types.Severity{Normalized: aws.Int32(101)} }, "InvalidInput"},
		"a severity that is unknown": {func(f *types.AwsSecurityFinding) { f.Severity = &types.Severity{Label: "BAD"} }, "InvalidInput"},
		"no types":                   {func(f *types.AwsSecurityFinding) { f.Types = nil }, "InvalidInput"},
		"51 types":                   {func(f *types.AwsSecurityFinding) { f.Types = make([]string, 51) }, "InvalidInput"},
		"the provider's own fields only": {func(f *types.AwsSecurityFinding) {
			f.Severity, f.Types = nil, nil
			f.FindingProviderFields = &types.FindingProviderFields{
				Severity: &types.FindingProviderSeverity{Label: "LOW"}, Types: []string{"Effects"},
			}
		}, ""},
		"no resources": {func(f *types.AwsSecurityFinding) { f.Resources = []types.Resource{} }, "InvalidInput"},
		"33 resources": {func(f *types.AwsSecurityFinding) {
			for range 32 {
				f.Resources = append(f.Resources, f.Resources[0])
			}
		}, "InvalidInput"},
		"a time with an offset":        {func(f *types.AwsSecurityFinding) { f.UpdatedAt = aws.String("2026-01-04T15:25:10.123456789-1759") }, ""},
		"a time without a zone":        {func(f *types.AwsSecurityFinding) { f.CreatedAt = aws.String("2026-01-04T15:25:10") }, "InvalidInput"},
		"a time that is none":          {func(f *types.AwsSecurityFinding) { f.FirstObservedAt = aws.String("yesterday") }, "InvalidInput"},
		"an offset beyond 18 hours":    {func(f *types.AwsSecurityFinding) { f.UpdatedAt = aws.String("2026-01-04T15:25:10+18:01") }, "InvalidInput"},
		"a confidence of 101":          {func(f *types.AwsSecurityFinding) { f.Confidence = aws.Int32(101) }, "InvalidInput"},
		"a record state of its own":    {func(f *types.AwsSecurityFinding) { f.RecordState = "GONE" }, "InvalidInput"},
		"a workflow of its own":        {func(f *types.AwsSecurityFinding) { f.Workflow = &types.Workflow{Status: "DONE"} }, "InvalidInput"},
		"a compliance of its own":      {func(f *types.AwsSecurityFinding) { f.Compliance = &types.Compliance{Status: "FINE"} }, "InvalidInput"},
		"50 product fields":            {func(f *types.AwsSecurityFinding) { f.ProductFields = pairs(50, 10) }, ""},
		"51 product fields":            {func(f *types.AwsSecurityFinding) { f.ProductFields = pairs(51, 10) }, "InvalidInput"},
		"a product field of 2,049":     {func(f *types.AwsSecurityFinding) { f.ProductFields = pairs(1, 2049) }, "InvalidInput"},
		"a field of the user's, 1,025": {func(f *types.AwsSecurityFinding) { f.UserDefinedFields = pairs(1, 1025) }, "InvalidInput"},
		"11 related findings": {func(f *types.AwsSecurityFinding) {
			f.RelatedFindings = make([]types.RelatedFinding, 11)
			for i := range f.RelatedFindings {
				f.RelatedFindings[i] = types.RelatedFinding{Id: long(1), ProductArn: long(1)}
			}
		}, "InvalidInput"},
		"a recommendation of 513": {func(f *types.AwsSecurityFinding) {
			f.Remediation = &types.Remediation{Recommendation: &types.Recommendation{Text: long(513)}}
		}, "InvalidInput"},
		"240 KB and more": {func(f *types.AwsSecurityFinding) {
			f.Resources[0].Details = &types.ResourceDetails{Other: map[string]string{"x": strings.Repeat("x", 240<<10)}}
		}, "FindingSizeExceeded"},
		"almost 240 KB": {func(f *types.AwsSecurityFinding) {
			f.Resources[0].Details = &types.ResourceDetails{Other: map[string]string{"x": strings.Repeat("x", 239<<10)}}
		}, ""},
		"a partner's product that is not enabled": {func(f *types.AwsSecurityFinding) {
			f.ProductArn = aws.String("arn:aws:securityhub:" + region + "::product/prowler/prowler")
		}, "InvalidAccess"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.enable(region, admin)
			out, err := l.client(admin, region).BatchImportFindings(t.Context(), &sdk.BatchImportFindingsInput{
				Findings: []types.AwsSecurityFinding{own(admin, region, "good", at), own(admin, region, "id", at, test.edit)},
			})
			must(t, err)
			got := ""
			if len(out.FailedFindings) > 0 {
				got = *out.FailedFindings[0].ErrorCode
			}
			if got != test.code || int(*out.SuccessCount+*out.FailedCount) != 2 || int(*out.FailedCount) != len(out.FailedFindings) {
				t.Errorf("got %q, %d taken, %d not; want %q", got, *out.SuccessCount, *out.FailedCount, test.code)
			}
		})
	}
}

func pairs(n, size int) map[string]string {
	out := make(map[string]string)
	for i := range n {
		out[fmt.Sprintf("key%d", i)] = strings.Repeat("v", size)
	}
	return out
}

func TestAnImportIsRefusedWhole(t *testing.T) {
	at := labtest.Start
	many := func(n int, edits ...func(*types.AwsSecurityFinding)) []types.AwsSecurityFinding {
		out := []types.AwsSecurityFinding{}
		for i := range n {
			out = append(out, own(admin, region, fmt.Sprint("f", i), at, edits...))
		}
		return out
	}
	product := func(arn string) func(*types.AwsSecurityFinding) {
		return func(f *types.AwsSecurityFinding) { f.ProductArn = &arn }
	}
	heavy := func(f *types.AwsSecurityFinding) {
		f.Resources[0].Details = &types.ResourceDetails{Other: map[string]string{"x": strings.Repeat("x", 100<<10)}}
	}
	for name, test := range map[string]struct {
		findings []types.AwsSecurityFinding
		code     string
		status   int
	}{
		"with no findings":       {many(0), "InvalidInputException", 400},
		"with 101 findings":      {many(101), "InvalidInputException", 400},
		"with more than 6 MB":    {many(62, heavy), "InvalidInputException", 400},
		"for another account":    {[]types.AwsSecurityFinding{own(member, region, "f", at, product(defaultProduct(admin, region)))}, "AccessDeniedException", 403},
		"for Inspector":          {many(1, product("arn:aws:securityhub:"+region+"::product/aws/inspector")), "AccessDeniedException", 403},
		"for an unknown product": {many(1, product("arn:aws:securityhub:"+region+"::product/some/thing")), "AccessDeniedException", 403},
		"for a product of another region": {
			many(1, product("arn:aws:securityhub:us-east-1::product/prowler/prowler")), "InvalidInputException", 400,
		},
		"for a product that is no ARN": {many(1, product("inspector")), "InvalidInputException", 400},
		"for another account's product": {
			many(1, product("arn:aws:securityhub:"+region+"::product/"+member+"/default")), "InvalidInputException", 400,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.enable(region, admin)
			_, err := l.client(admin, region).BatchImportFindings(t.Context(), &sdk.BatchImportFindingsInput{Findings: test.findings})
			refused(t, err, test.code, test.status)
			if n := len(l.events()); n > 0 {
				t.Errorf("%d events", n)
			}
		})
	}
}

func TestAPartnerImportsForOthers(t *testing.T) {
	l := newLab(t)
	l.hub.Set(securityhub.Settings{Partners: []string{admin}, AutoProducts: []string{"prowler/prowler"}})
	l.enable(region, member)
	arn := "arn:aws:securityhub:" + region + "::product/prowler/prowler"
	partner := func(f *types.AwsSecurityFinding) { f.ProductArn = &arn }
	out, err := l.client(admin, region).BatchImportFindings(t.Context(), &sdk.BatchImportFindingsInput{Findings: []types.AwsSecurityFinding{
		own(member, region, "a", labtest.Start, partner), own(admin, region, "b", labtest.Start, partner),
	}})
	must(t, err)
	if *out.SuccessCount != 1 || *out.FailedFindings[0].Id != "b" || *out.FailedFindings[0].ErrorCode != "InvalidAccess" {
		t.Errorf("got %d taken, %+v; want a taken, and b refused where Security Hub is off", *out.SuccessCount, out.FailedFindings)
	}
}

// read gives an account's finding as GetFindings does.
func (l *lab) read(account, region, id string) types.AwsSecurityFinding {
	l.t.Helper()
	out, err := l.client(account, region).GetFindings(l.t.Context(), &sdk.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{
		Id: []types.StringFilter{{Value: &id, Comparison: types.StringFilterComparisonEquals}},
	}})
	must(l.t, err)
	if len(out.Findings) != 1 {
		l.t.Fatalf("%d findings %s", len(out.Findings), id)
	}
	return out.Findings[0]
}

func TestAProviderUpdatesWhatIsItsOwn(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	at := labtest.Start
	l.importAll(admin, region, own(admin, region, "f", at))
	arn := defaultProduct(admin, region)
	update, err := l.client(admin, region).BatchUpdateFindings(t.Context(), &sdk.BatchUpdateFindingsInput{
		FindingIdentifiers: []types.AwsSecurityFindingIdentifier{{Id: aws.String("f"), ProductArn: &arn}},
		Note:               &types.NoteUpdate{Text: aws.String("seen"), UpdatedBy: aws.String("me")},
		Severity:           &types.SeverityUpdate{Label: "LOW"},
		Workflow:           &types.WorkflowUpdate{Status: "NOTIFIED"}, VerificationState: "TRUE_POSITIVE",
		UserDefinedFields: map[string]string{"team": "red"}, Confidence: aws.Int32(7),
	})
	must(t, err)
	if len(update.ProcessedFindings) != 1 || len(l.events()) != 2 {
		t.Fatal("the import and the update make one event each")
	}

	older := own(admin, region, "f", at, func(f *types.AwsSecurityFinding) { f.Title = aws.String("older") })
	l.importAll(admin, region, older)
	if n := len(l.events()); n != 0 {
		t.Errorf("%d events for a finding that is not newer", n)
	}
	l.importAll(admin, region, own(admin, region, "f", at.Add(time.Millisecond), func(f *types.AwsSecurityFinding) {
		f.Title, f.Severity, f.Confidence, f.Criticality = aws.String("newer"), &types.Severity{Label: "CRITICAL"}, aws.Int32(50), aws.Int32(60)
		f.Workflow, f.VerificationState = &types.Workflow{Status: "RESOLVED"}, "UNKNOWN"
		f.UserDefinedFields = map[string]string{"team": "blue"}
		f.Note = &types.Note{Text: aws.String("other"), UpdatedBy: aws.String("them"), UpdatedAt: f.UpdatedAt}
		f.RecordState = types.RecordStateArchived
	}))
	if n := len(l.events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	f := l.read(admin, region, "f")
	got := []any{
		*f.Title, string(f.Severity.Label), *f.Severity.Normalized, *f.Confidence, *f.Criticality, string(f.Workflow.Status),
		string(f.VerificationState), f.UserDefinedFields["team"], *f.Note.Text, string(f.RecordState),
		string(f.FindingProviderFields.Severity.Label), *f.FindingProviderFields.Confidence,
	}
	want := []any{
		"newer", "LOW", int32(1), int32(7), int32(60), "NOTIFIED", "TRUE_POSITIVE", "red", "seen", "ARCHIVED", "CRITICAL", int32(50),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	history, err := l.client(admin, region).GetFindingHistory(t.Context(), &sdk.GetFindingHistoryInput{
		FindingIdentifier: &types.AwsSecurityFindingIdentifier{Id: aws.String("f"), ProductArn: &arn},
	})
	must(t, err)
	if len(history.Records) != 3 || !*history.Records[2].FindingCreated || history.Records[1].UpdateSource.Type != types.FindingHistoryUpdateSourceTypeBatchUpdateFindings {
		t.Errorf("history: %+v", history.Records)
	}
}

func TestSeveritiesGetTheirLabelAndNumber(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	for name, test := range map[string]struct {
		give   types.Severity
		label  types.SeverityLabel
		number int32
	}{
		"0":             {types.Severity{Normalized: aws.Int32(0)}, "INFORMATIONAL", 0},
		"1":             {types.Severity{Normalized: aws.Int32(1)}, "LOW", 1},
		"39":            {types.Severity{Normalized: aws.Int32(39)}, "LOW", 39},
		"40":            {types.Severity{Normalized: aws.Int32(40)}, "MEDIUM", 40},
		"69":            {types.Severity{Normalized: aws.Int32(69)}, "MEDIUM", 69},
		"70":            {types.Severity{Normalized: aws.Int32(70)}, "HIGH", 70},
		"89":            {types.Severity{Normalized: aws.Int32(89)}, "HIGH", 89},
		"90":            {types.Severity{Normalized: aws.Int32(90)}, "CRITICAL", 90},
		"100":           {types.Severity{Normalized: aws.Int32(100)}, "CRITICAL", 100},
		"informational": {types.Severity{Label: "INFORMATIONAL"}, "INFORMATIONAL", 0},
		"low":           {types.Severity{Label: "LOW"}, "LOW", 1},
		"medium":        {types.Severity{Label: "MEDIUM"}, "MEDIUM", 40},
		"high":          {types.Severity{Label: "HIGH"}, "HIGH", 70},
		"critical":      {types.Severity{Label: "CRITICAL"}, "CRITICAL", 90},
		"both":          {types.Severity{Label: "CRITICAL", Normalized: aws.Int32(95)}, "CRITICAL", 95},
		"at odds":       {types.Severity{Label: "LOW", Normalized: aws.Int32(95)}, "LOW", 1},
	} {
		t.Run(name, func(t *testing.T) {
			l.importAll(admin, region, own(admin, region, name, labtest.Start, func(f *types.AwsSecurityFinding) { f.Severity = &test.give }))
			f := l.read(admin, region, name)
			if f.Severity.Label != test.label || *f.Severity.Normalized != test.number || f.FindingProviderFields.Severity.Label != test.label {
				t.Errorf("got %s %d, the provider's %s", f.Severity.Label, *f.Severity.Normalized, f.FindingProviderFields.Severity.Label)
			}
		})
	}
}

// AWS says that it took what it passes over; the lab tells its own services the truth.
func TestAVersionThatIsOlderThanTheOneThereIsPassedOver(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	f := sample(t, "asff-inspector-v2-ec2")
	f["AwsAccountId"], f["ProductArn"] = admin, "arn:aws:securityhub:"+region+"::product/aws/inspector"
	_, err := l.client(admin, region).EnableImportFindingsForProduct(t.Context(), &sdk.EnableImportFindingsForProductInput{ProductArn: aws.String(f["ProductArn"].(string))})
	must(t, err)
	for _, step := range []struct{ updated, want string }{
		{"2026-11-22T13:00:00.500Z", `{"FailedCount":0,"SuccessCount":1,"FailedFindings":[]}`},
		{"2026-11-22T13:00:00.500Z", `{"FailedCount":0,"SuccessCount":1,"FailedFindings":[]}`},
		{"2026-11-22T13:00:00Z", `{"FailedCount":0,"SuccessCount":1,"FailedFindings":[],"Older":1}`},
	} {
		f["UpdatedAt"] = step.updated
		if got := l.publish(admin, region, "aws/inspector", "inspector2.amazonaws.com", f); got != step.want {
			t.Errorf("%s: got %s, want %s", step.updated, got, step.want)
		}
	}
	labtest.Settle(t, l.cloud)
	if n := len(l.bus.take()); n != 1 {
		t.Errorf("%d events, want that of the first version", n)
	}
}
