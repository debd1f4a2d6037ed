package inspector2_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/wire"
)

// An inbox is a receiver that keeps what it gets.
type inbox struct {
	got []cloud.Delivery
	err error
}

func (b *inbox) Resource(string) (cloud.Resource, error) { return cloud.Resource{}, nil }

func (b *inbox) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	b.got = append(b.got, *d)
	return nil, b.err
}

// bodies decodes what came, with the target before it.
func (b *inbox) bodies(t *testing.T) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, d := range b.got {
		var body map[string]any
		if err := json.Unmarshal(d.Body, &body); err != nil {
			t.Fatalf("%s: %v", d.Body, err)
		}
		out = append(out, body)
	}
	return out
}

// A stage is a service with fakes around it.
type stage struct {
	cloud   *cloud.Cloud
	service *inspector2.Service
	server  *labtest.Server
	bus     *inbox
	hub     *inbox
}

func newStage(t *testing.T, options ...func(*cloud.Options)) *stage {
	t.Helper()
	c := labtest.NewCloud(t, options...)
	c.Accounts.SetOrganization("o-exampleorgid", labtest.Administrator)
	s := &stage{cloud: c, service: inspector2.New(c), bus: &inbox{}, hub: &inbox{}}
	c.Receivers.Register("events", s.bus)
	c.Receivers.Register("securityhub", s.hub)
	s.server = labtest.Serve(t, c, s.service.Wire())
	return s
}

func (s *stage) client(account string) *sdk.Client {
	return sdk.NewFromConfig(s.server.Config(account, labtest.Region))
}

func (s *stage) place(account string) cloud.Place {
	return s.cloud.Accounts.Place(account, labtest.Region)
}

// activate enables everything in both accounts.
func (s *stage) activate(t *testing.T) {
	t.Helper()
	for _, id := range []string{labtest.Administrator, labtest.Member} {
		if err := s.service.Activate(s.place(id), inspector2.EC2, inspector2.ECR, inspector2.Lambda, inspector2.LambdaCode); err != nil {
			t.Fatal(err)
		}
	}
}

// delegate makes the second account a member of the first.
func (s *stage) delegate(t *testing.T) *sdk.Client {
	t.Helper()
	client := s.client(labtest.Administrator)
	if _, err := client.EnableDelegatedAdminAccount(t.Context(), &sdk.EnableDelegatedAdminAccountInput{DelegatedAdminAccountId: aws.String(labtest.Administrator)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AssociateMember(t.Context(), &sdk.AssociateMemberInput{AccountId: aws.String(labtest.Member)}); err != nil {
		t.Fatal(err)
	}
	return client
}

// wantError checks the code of an error; "" is none.
func wantError(t *testing.T, err error, code string) {
	t.Helper()
	got := ""
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		got = e.ErrorCode()
	} else if err != nil {
		got = err.Error()
	}
	if got != code {
		t.Errorf("error %q (%v), want %q", got, err, code)
	}
}

// packageFinding is a finding of a package on an instance.
func packageFinding(instance, vulnerability string) *inspector2.Finding {
	return &inspector2.Finding{
		Type: inspector2.PackageFinding, Title: vulnerability + " - kernel", Description: "A flaw.", Severity: "HIGH", Status: inspector2.Active,
		EPSS: &inspector2.EPSS{Score: 0.25}, ExploitAvailable: "NO", FixAvailable: "YES", Score: 7.5,
		ScoreDetails: &inspector2.ScoreDetails{Adjusted: inspector2.AdjustedCVSS{
			CVSSSource: "NVD", Score: 7.5, ScoreSource: "NVD", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Version: "3.1",
		}},
		Package: &inspector2.PackageVulnerability{
			ID: vulnerability, Source: "NVD", VendorSeverity: "HIGH",
			Packages: []inspector2.VulnerablePackage{{Name: "kernel", Version: "4.14.301", Arch: "X86_64", PackageManager: "OS", Epoch: 1}},
		},
		Remediation: &inspector2.Remediation{Recommendation: inspector2.Recommendation{Text: "None Provided"}},
		Resources: []inspector2.Resource{{
			ID: instance, Type: inspector2.Instance, Partition: "aws", Region: labtest.Region, Tags: map[string]string{"Name": "web"},
			Details: inspector2.Details{Instance: &inspector2.InstanceDetails{
				ImageID: "ami-11111111111111111", VPCID: "vpc-1", SubnetID: "subnet-1", Platform: "AMAZON_LINUX_2",
				LaunchedAt: wire.Epoch{Time: labtest.Start.Add(-time.Hour)},
			}},
		}},
	}
}

func (s *stage) report(t *testing.T, account string, f *inspector2.Finding) string {
	t.Helper()
	arn, err := s.service.Report(s.place(account), f)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

func TestAnAccountEnablesAndDisablesTypesOfResources(t *testing.T) {
	s := newStage(t)
	client := s.client(labtest.Member)
	status := func() (types.Status, types.Status) {
		out, err := client.BatchGetAccountStatus(t.Context(), &sdk.BatchGetAccountStatusInput{})
		if err != nil || len(out.Accounts) != 1 {
			t.Fatal(out, err)
		}
		return out.Accounts[0].State.Status, out.Accounts[0].ResourceState.Ec2.Status
	}
	if all, ec2 := status(); all != "DISABLED" || ec2 != "DISABLED" {
		t.Errorf("at first %s, EC2 %s", all, ec2)
	}
	out, err := client.Enable(t.Context(), &sdk.EnableInput{ResourceTypes: []types.ResourceScanType{"EC2", "LAMBDA", "LAMBDA_CODE"}})
	if err != nil || len(out.Accounts) != 1 || out.Accounts[0].Status != "ENABLING" || out.Accounts[0].ResourceStatus.Ecr != "DISABLED" {
		t.Fatalf("enable: %+v, %v", out, err)
	}
	labtest.Settle(t, s.cloud)
	if all, ec2 := status(); all != "ENABLED" || ec2 != "ENABLED" {
		t.Errorf("after enabling %s, EC2 %s", all, ec2)
	}
	out, err = client.Enable(t.Context(), &sdk.EnableInput{ResourceTypes: []types.ResourceScanType{"EC2"}})
	if err != nil || len(out.FailedAccounts) != 1 || out.FailedAccounts[0].ErrorCode != "ALREADY_ENABLED" {
		t.Errorf("enable again: %+v, %v", out, err)
	}
	off, err := client.Disable(t.Context(), &sdk.DisableInput{ResourceTypes: []types.ResourceScanType{"LAMBDA"}})
	if err != nil || len(off.FailedAccounts) != 1 || off.FailedAccounts[0].ErrorCode != "RESOURCE_SCAN_NOT_DISABLED" {
		t.Errorf("disable LAMBDA below LAMBDA_CODE: %+v, %v", off, err)
	}
	s.report(t, labtest.Member, packageFinding("i-1", "CVE-1"))
	if _, err := client.Disable(t.Context(), &sdk.DisableInput{}); err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, s.cloud)
	if all, _ := status(); all != "DISABLED" {
		t.Errorf("after disabling %s", all)
	}
	if n := len(slices.Collect(s.service.Findings(s.place(labtest.Member)))); n != 0 {
		t.Errorf("%d findings are left", n)
	}
	if _, err := s.service.Report(s.place(labtest.Member), packageFinding("i-1", "CVE-1")); !errors.Is(err, inspector2.ErrNotEnabled) {
		t.Errorf("report: %v, want ErrNotEnabled", err)
	}
}

func TestRequestsOutsideOfTheLimitsAreRefused(t *testing.T) {
	s := newStage(t)
	client := s.delegate(t)
	ctx := t.Context()
	many := func(n int) []string { return slices.Repeat([]string{"333333333333"}, n) }
	long := func(n int) *string { return aws.String(strings.Repeat("x", n)) }
	texts := func(n int) *types.FilterCriteria {
		return &types.FilterCriteria{Title: slices.Repeat([]types.StringFilter{{Comparison: "EQUALS", Value: aws.String("x")}}, n)}
	}
	one := texts(1)
	for name, c := range map[string]struct {
		call func() error
		want string
	}{
		"101 accounts to enable": {func() error {
			_, err := client.Enable(ctx, &sdk.EnableInput{AccountIds: many(101), ResourceTypes: []types.ResourceScanType{"EC2"}})
			return err
		}, "ValidationException"},
		"no type to enable": {func() error {
			_, err := client.Enable(ctx, &sdk.EnableInput{ResourceTypes: []types.ResourceScanType{}})
			return err
		}, "ValidationException"},
		"an unknown type": {func() error {
			_, err := client.Enable(ctx, &sdk.EnableInput{ResourceTypes: []types.ResourceScanType{"TOASTER"}})
			return err
		}, "ValidationException"},
		"code of functions without functions": {func() error {
			_, err := client.Enable(ctx, &sdk.EnableInput{ResourceTypes: []types.ResourceScanType{"LAMBDA_CODE"}})
			return err
		}, "ValidationException"},
		"101 accounts to ask about": {func() error {
			_, err := client.BatchGetAccountStatus(ctx, &sdk.BatchGetAccountStatusInput{AccountIds: many(101)})
			return err
		}, "ValidationException"},
		"an account that is no number": {func() error {
			_, err := client.BatchGetAccountStatus(ctx, &sdk.BatchGetAccountStatusInput{AccountIds: []string{"12345678901x"}})
			return err
		}, "ValidationException"},
		"a page of 0 findings": {func() error {
			_, err := client.ListFindings(ctx, &sdk.ListFindingsInput{MaxResults: aws.Int32(0)})
			return err
		}, "ValidationException"},
		"a page of 101 findings": {func() error {
			_, err := client.ListFindings(ctx, &sdk.ListFindingsInput{MaxResults: aws.Int32(101)})
			return err
		}, "ValidationException"},
		"11 values of a filter": {func() error {
			_, err := client.ListFindings(ctx, &sdk.ListFindingsInput{FilterCriteria: texts(11)})
			return err
		}, "ValidationException"},
		"no value of a filter": {func() error {
			_, err := client.ListFindings(ctx, &sdk.ListFindingsInput{FilterCriteria: &types.FilterCriteria{Title: []types.StringFilter{}}})
			return err
		}, "ValidationException"},
		"a value of 1,025 characters": {func() error {
			_, err := client.ListFindings(ctx, &sdk.ListFindingsInput{FilterCriteria: &types.FilterCriteria{Title: []types.StringFilter{{Comparison: "EQUALS", Value: long(1025)}}}})
			return err
		}, "ValidationException"},
		"an unknown comparison": {func() error {
			_, err := client.ListFindings(ctx, &sdk.ListFindingsInput{FilterCriteria: &types.FilterCriteria{Title: []types.StringFilter{{Comparison: "CONTAINS", Value: long(1)}}}})
			return err
		}, "ValidationException"},
		"a port above 65535": {func() error {
			_, err := client.ListFindings(ctx, &sdk.ListFindingsInput{FilterCriteria: &types.FilterCriteria{PortRange: []types.PortRangeFilter{{EndInclusive: aws.Int32(65536)}}}})
			return err
		}, "ValidationException"},
		"sorting by updatedAt": {func() error {
			_, err := client.ListFindings(ctx, &sdk.ListFindingsInput{SortCriteria: &types.SortCriteria{Field: "UPDATED_AT", SortOrder: "ASC"}})
			return err
		}, "ValidationException"},
		"a token that was not given": {func() error {
			_, err := client.ListFindings(ctx, &sdk.ListFindingsInput{NextToken: aws.String("AAAA")})
			return err
		}, "ValidationException"},
		"details of no finding": {func() error {
			_, err := client.BatchGetFindingDetails(ctx, &sdk.BatchGetFindingDetailsInput{FindingArns: []string{}})
			return err
		}, "ValidationException"},
		"details of 11 findings": {func() error {
			_, err := client.BatchGetFindingDetails(ctx, &sdk.BatchGetFindingDetailsInput{FindingArns: many(11)})
			return err
		}, "ValidationException"},
		"a page of 51 members": {func() error {
			_, err := client.ListMembers(ctx, &sdk.ListMembersInput{MaxResults: aws.Int32(51)})
			return err
		}, "ValidationException"},
		"a page of 6 administrators": {func() error {
			_, err := client.ListDelegatedAdminAccounts(ctx, &sdk.ListDelegatedAdminAccountsInput{MaxResults: aws.Int32(6)})
			return err
		}, "ValidationException"},
		"a page of 201 resources": {func() error {
			_, err := client.ListCoverage(ctx, &sdk.ListCoverageInput{MaxResults: aws.Int32(201)})
			return err
		}, "ValidationException"},
		"a page of 101 filters": {func() error {
			_, err := client.ListFilters(ctx, &sdk.ListFiltersInput{MaxResults: aws.Int32(101)})
			return err
		}, "ValidationException"},
		"a filter's name of 129 characters": {func() error {
			_, err := client.CreateFilter(ctx, &sdk.CreateFilterInput{Name: long(129), Action: "NONE", FilterCriteria: one})
			return err
		}, "ValidationException"},
		"a filter's reason of 513 characters": {func() error {
			_, err := client.CreateFilter(ctx, &sdk.CreateFilterInput{Name: long(1), Reason: long(513), Action: "NONE", FilterCriteria: one})
			return err
		}, "ValidationException"},
		"a filter's unknown action": {func() error {
			_, err := client.CreateFilter(ctx, &sdk.CreateFilterInput{Name: long(1), Action: "DELETE", FilterCriteria: one})
			return err
		}, "ValidationException"},
		"a tag that AWS keeps for itself": {func() error {
			_, err := client.CreateFilter(ctx, &sdk.CreateFilterInput{Name: long(1), Action: "NONE", FilterCriteria: one, Tags: map[string]string{"aws:x": ""}})
			return err
		}, "ValidationException"},
		"a filter that does not exist": {func() error {
			_, err := client.DeleteFilter(ctx, &sdk.DeleteFilterInput{Arn: aws.String("arn:aws:inspector2:x")})
			return err
		}, "ResourceNotFoundException"},
		"tags of what does not exist": {func() error {
			_, err := client.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: aws.String("arn:aws:inspector2:x"), Tags: map[string]string{"a": "b"}})
			return err
		}, "ResourceNotFoundException"},
		"a report without a key": {func() error {
			_, err := client.CreateFindingsReport(ctx, &sdk.CreateFindingsReportInput{
				ReportFormat: "JSON", S3Destination: &types.Destination{BucketName: aws.String("b"), KmsKeyArn: aws.String("")},
			})
			return err
		}, "ValidationException"},
		"a report that does not exist": {func() error {
			_, err := client.GetFindingsReportStatus(ctx, &sdk.GetFindingsReportStatusInput{ReportId: aws.String("x")})
			return err
		}, "ResourceNotFoundException"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.call(), c.want) })
	}
}

func TestCallsBeyondTheRateAreThrottled(t *testing.T) {
	s := newStage(t, func(o *cloud.Options) { o.Quotas = true })
	client := s.client(labtest.Member)
	for range 20 {
		if _, err := client.ListFindings(t.Context(), &sdk.ListFindingsInput{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := client.ListFindings(t.Context(), &sdk.ListFindingsInput{})
	throttled, ok := errors.AsType[*types.ThrottlingException](err)
	if !ok || throttled.RetryAfterSeconds == nil || *throttled.RetryAfterSeconds != 1 {
		t.Errorf("the 21st call at once: %v, %+v; want ThrottlingException with 1 second to wait", err, throttled)
	}
	labtest.Advance(t, s.cloud, time.Second)
	if _, err := client.ListFindings(t.Context(), &sdk.ListFindingsInput{}); err != nil {
		t.Errorf("a second later: %v", err)
	}
}
