package securityhub_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

func TestAnUpdateIsRefusedWhole(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	long := func(n int) *string { return aws.String(strings.Repeat("x", n)) }
	id := types.AwsSecurityFindingIdentifier{Id: aws.String("f"), ProductArn: aws.String(defaultProduct(admin, region))}
	for name, in := range map[string]sdk.BatchUpdateFindingsInput{
		"no findings":             {FindingIdentifiers: []types.AwsSecurityFindingIdentifier{}},
		"101 findings":            {FindingIdentifiers: make([]types.AwsSecurityFindingIdentifier, 101)},
		"a note of 513":           {Note: &types.NoteUpdate{Text: long(513), UpdatedBy: long(1)}},
		"a note by nobody":        {Note: &types.NoteUpdate{Text: long(1), UpdatedBy: long(0)}},
		"an unknown severity":     {Severity: &types.SeverityUpdate{Label: "BAD"}},
		"a severity of nothing":   {Severity: &types.SeverityUpdate{}},
		"a severity of -1":        {Severity: &types.SeverityUpdate{Normalized: aws.Int32(-1)}},
		"an unknown verification": {VerificationState: "MAYBE"},
		"a confidence of 101":     {Confidence: aws.Int32(101)},
		"a criticality of -1":     {Criticality: aws.Int32(-1)},
		"51 types":                {Types: make([]string, 51)},
		"51 fields":               {UserDefinedFields: pairs(51, 1)},
		"a field of 1,025":        {UserDefinedFields: pairs(1, 1025)},
		"an unknown workflow":     {Workflow: &types.WorkflowUpdate{Status: "DONE"}},
		"a workflow of nothing":   {Workflow: &types.WorkflowUpdate{}},
		"11 related findings":     {RelatedFindings: make([]types.RelatedFinding, 11)},
	} {
		t.Run(name, func(t *testing.T) {
			if in.FindingIdentifiers == nil {
				in.FindingIdentifiers = []types.AwsSecurityFindingIdentifier{id}
			}
			for i := range in.FindingIdentifiers {
				in.FindingIdentifiers[i] = id
			}
			for i := range in.RelatedFindings {
				in.RelatedFindings[i] = types.RelatedFinding{Id: long(1), ProductArn: long(1)}
			}
			_, err := l.client(admin, region).BatchUpdateFindings(t.Context(), &in)
			refused(t, err, "InvalidInputException", 400)
		})
	}
}

func TestAnUpdateChangesAllThatItMay(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	huge := func(f *types.AwsSecurityFinding) {
		f.Resources[0].Details = &types.ResourceDetails{Other: map[string]string{"x": strings.Repeat("x", 239<<10)}}
	}
	l.importAll(admin, region, own(admin, region, "f", labtest.Start), own(admin, region, "huge", labtest.Start, huge))
	l.events()
	arn := aws.String(defaultProduct(admin, region))
	id := func(s string) types.AwsSecurityFindingIdentifier {
		return types.AwsSecurityFindingIdentifier{Id: &s, ProductArn: arn}
	}
	out, err := l.client(admin, region).BatchUpdateFindings(t.Context(), &sdk.BatchUpdateFindingsInput{
		FindingIdentifiers: []types.AwsSecurityFindingIdentifier{id("f"), id("twice"), id("huge"), id("none"), id("twice")},
		Note:               &types.NoteUpdate{Text: aws.String("n"), UpdatedBy: aws.String("me")}, Severity: &types.SeverityUpdate{Label: "CRITICAL", Product: aws.Float64(9.5)},
		VerificationState: "BENIGN_POSITIVE", Confidence: aws.Int32(1), Criticality: aws.Int32(2), Types: []string{"Effects/Data Exposure"},
		UserDefinedFields: pairs(3, 1000), Workflow: &types.WorkflowUpdate{Status: "NOTIFIED"},
		RelatedFindings: []types.RelatedFinding{{Id: aws.String("g"), ProductArn: arn}},
	})
	must(t, err)
	var got []string
	for _, p := range out.ProcessedFindings {
		got = append(got, *p.Id)
	}
	for _, u := range out.UnprocessedFindings {
		got = append(got, *u.FindingIdentifier.Id+" "+*u.ErrorCode)
	}
	want := []string{"f", "twice DuplicatedFindingIdentifier", "huge FindingSizeExceeded", "none FindingNotFound", "twice DuplicatedFindingIdentifier"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(l.events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	f := l.read(admin, region, "f")
	is := []any{
		*f.Note.Text, *f.Note.UpdatedBy, *f.Note.UpdatedAt, string(f.Severity.Label), *f.Severity.Normalized, *f.Severity.Product, string(f.VerificationState),
		*f.Confidence, *f.Criticality, f.Types[0], len(f.UserDefinedFields), string(f.Workflow.Status), *f.RelatedFindings[0].Id, *f.UpdatedAt,
		string(f.FindingProviderFields.Severity.Label), f.FindingProviderFields.Confidence == nil,
	}
	should := []any{
		"n", "me", "2026-11-22T13:14:15.000Z", "CRITICAL", int32(90), 9.5, "BENIGN_POSITIVE",
		int32(1), int32(2), "Effects/Data Exposure", 3, "NOTIFIED", "g", "2026-11-22T13:14:15.000Z", "HIGH", true,
	}
	if diff := cmp.Diff(should, is); diff != "" {
		t.Error(diff)
	}
}

// raw calls an operation with a body that the SDK would not send.
func (l *lab) raw(t *testing.T, body string) (*sdk.BatchImportFindingsOutput, error) {
	t.Helper()
	return l.client(admin, region).BatchImportFindings(t.Context(), &sdk.BatchImportFindingsInput{Findings: []types.AwsSecurityFinding{own(admin, region, "f", labtest.Start)}},
		func(o *sdk.Options) {
			o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
				return stack.Build.Add(middleware.BuildMiddlewareFunc("body", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
					request, err := in.Request.(*smithyhttp.Request).SetStream(bytes.NewReader([]byte(body)))
					must(t, err)
					request.ContentLength = int64(len(body))
					in.Request = request
					return next.HandleBuild(ctx, in)
				}), middleware.Before)
			})
		})
}

func TestBodiesThatNoSDKSends(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin)
	good := func() map[string]any {
		return map[string]any{
			"SchemaVersion": "2018-10-08", "Id": "f", "AwsAccountId": admin, "ProductArn": defaultProduct(admin, region), "GeneratorId": "g",
			"Title": "t", "Description": "d", "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z", "Severity": map[string]any{"Label": "LOW"},
			"Types": []string{}, "Resources": []any{map[string]any{"Type": "Other", "Id": "x"}},
		}
	}
	body := func(f any) string {
		b, err := json.Marshal(map[string]any{"Findings": []any{f}})
		must(t, err)
		return string(b)
	}
	for _, name := range []string{
		"SchemaVersion", "Id", "ProductArn", "GeneratorId", "AwsAccountId", "Title", "Description", "CreatedAt", "UpdatedAt", "Resources", "Severity", "Types",
	} {
		t.Run("without "+name, func(t *testing.T) {
			f := good()
			delete(f, name)
			out, err := l.raw(t, body(f))
			must(t, err)
			if *out.FailedCount != 1 || *out.FailedFindings[0].ErrorCode != "InvalidInput" || !strings.Contains(*out.FailedFindings[0].ErrorMessage, name) {
				t.Errorf("%+v", out)
			}
		})
	}
	t.Run("a title that is a number", func(t *testing.T) {
		f := good()
		f["Title"] = 5
		out, err := l.raw(t, body(f))
		must(t, err)
		if *out.FailedCount != 1 || !strings.Contains(*out.FailedFindings[0].ErrorMessage, "data.Title should be string") {
			t.Errorf("%+v", *out.FailedFindings[0].ErrorMessage)
		}
	})
	t.Run("a finding that is a number", func(t *testing.T) {
		out, err := l.raw(t, body(5))
		must(t, err)
		if *out.FailedCount != 1 {
			t.Errorf("%+v", out)
		}
	})
	t.Run("text that is not UTF-8", func(t *testing.T) {
		out, err := l.raw(t, strings.Replace(body(good()), `"t"`, "\"\xff\"", 1))
		must(t, err)
		if *out.FailedCount != 1 {
			t.Errorf("%+v", out)
		}
	})
	t.Run("members that ASFF does not know, and a number of many digits", func(t *testing.T) {
		f := good()
		f["Extra"] = map[string]any{"a": []any{1, nil}}
		out, err := l.raw(t, strings.Replace(body(f), `"t"`, `"t", "Large": 123456789012345678901234567890`, 1))
		must(t, err)
		if *out.SuccessCount != 1 {
			t.Fatalf("%+v", out.FailedFindings)
		}
		for f := range l.hub.Findings(cloud.Place{}) {
			if !strings.Contains(string(f.JSON), `"Extra":{"a":[1,null]}`) || !strings.Contains(string(f.JSON), `"Large":123456789012345678901234567890`) {
				t.Errorf("%s", f.JSON)
			}
		}
	})
	t.Run("no JSON", func(t *testing.T) {
		_, err := l.raw(t, `{"Findings":`)
		refused(t, err, "SerializationException", 400)
	})
	t.Run("a filter that does not exist", func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.server.URL+"/findings", strings.NewReader(`{}`))
		must(t, err)
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("without a signature: %d", response.StatusCode)
		}
		_, err = l.cloud.API.Call(t.Context(), l.cloud.Accounts.Credential(admin).Who, l.place(admin, region), "securityhub", "GetFindings", []byte(`{"Filters":{"Colour":[{"Value":"red"}]}}`))
		if err == nil || !strings.Contains(err.Error(), "InvalidInputException") {
			t.Errorf("got %v", err)
		}
	})
}

func TestDeliveriesThatAreNotTaken(t *testing.T) {
	l := newLab(t)
	p := l.place(admin, region)
	f := sample(t, "asff-inspector-v2-ec2")
	f["AwsAccountId"], f["ProductArn"] = admin, "arn:aws:securityhub:"+region+"::product/aws/inspector"
	if got := l.publish(admin, region, "aws/inspector", "inspector2.amazonaws.com", f); got != "" {
		t.Errorf("where Security Hub is off: %s", got)
	}
	l.enable(region, admin)
	if got := l.publish(admin, region, "aws/inspector", "inspector2.amazonaws.com", f); got != "" {
		t.Errorf("where the product is not enabled: %s", got)
	}
	_, err := l.client(admin, region).EnableImportFindingsForProduct(t.Context(), &sdk.EnableImportFindingsForProductInput{ProductArn: aws.String(f["ProductArn"].(string))})
	must(t, err)
	foreign, otherProduct := sample(t, "asff-inspector-v2-ec2"), sample(t, "asff-inspector-v2-ec2")
	foreign["AwsAccountId"], foreign["ProductArn"] = member, f["ProductArn"]
	otherProduct["AwsAccountId"], otherProduct["ProductArn"] = admin, "arn:aws:securityhub:"+region+"::product/aws/guardduty"
	got := l.publish(admin, region, "aws/inspector", "inspector2.amazonaws.com", foreign, f, otherProduct)
	if !strings.HasPrefix(got, `{"FailedCount":2,"SuccessCount":1,`) {
		t.Error(got)
	}
	control := sample(t, "asff-inspector-v2-ec2")
	control["AwsAccountId"], control["ProductArn"] = admin, "arn:aws:securityhub:"+region+"::product/aws/securityhub"
	got = l.publish(admin, region, "aws/securityhub", "securityhub.amazonaws.com", control)
	if !strings.HasPrefix(got, `{"FailedCount":0,"SuccessCount":1,`) {
		t.Errorf("Security Hub's own findings: %s", got)
	}
	for name, d := range map[string]cloud.Delivery{
		"that is not trusted":      {Body: []byte(`{"Findings":[]}`)},
		"that is no JSON":          {Body: []byte(`{`), Trusted: true},
		"with 101 findings":        {Body: []byte(`{"Findings":[` + strings.Repeat(`{},`, 100) + `{}]}`), Trusted: true},
		"of more than 6 MB":        {Body: make([]byte, 6<<20+1), Trusted: true},
		"of a product that is off": {Body: []byte(`{"Findings":[]}`), Target: p.ARN("securityhub", "product-subscription/prowler/prowler")},
	} {
		if d.Target == "" {
			d.Target = p.ARN("securityhub", "product-subscription/aws/inspector")
		}
		d.From, d.Account, d.Action = "inspector2.amazonaws.com", admin, "securityhub:BatchImportFindings"
		if _, err := l.cloud.Deliver(t.Context(), &d); err == nil {
			t.Errorf("a delivery %s is taken", name)
		}
	}
	state := fmt.Sprintf("%+v", l.hub.Inspect())
	if !strings.Contains(state, "Inspector ACTIVE:1") || !strings.Contains(state, "aws/inspector") {
		t.Error(state)
	}
}

// denying refuses one action on one resource.
type denying struct{ action, resource string }

func (d denying) Authorize(a cloud.Access) error {
	if a.Action == d.action && a.Resource == d.resource {
		return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource}
	}
	return nil
}

func (denying) Assume(who cloud.Identity, _, _ string, _ map[string]string) (cloud.Identity, error) {
	return who, nil
}

func TestPermissionsAreAskedOnTheHubAndTheProduct(t *testing.T) {
	hub := "arn:aws:securityhub:" + region + ":" + admin + ":hub/default"
	for name, test := range map[string]struct {
		denied denying
		call   string
	}{
		"findings are read":     {denying{"securityhub:GetFindings", hub}, "GetFindings"},
		"members are listed":    {denying{"securityhub:ListMembers", hub}, "ListMembers"},
		"findings are imported": {denying{"securityhub:BatchImportFindings", defaultProduct(admin, region)}, "BatchImportFindings"},
		"an aggregator is read": {denying{"securityhub:GetFindingAggregator", "arn:aws:securityhub:" + region + ":" + admin + ":finding-aggregator/x"}, "GetFindingAggregator"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.enable(region, admin)
			l.cloud.Access = test.denied
			refused(t, everything(l.client(admin, region))[test.call](t.Context()), "AccessDeniedException", 403)
		})
	}
}
