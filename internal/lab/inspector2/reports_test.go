package inspector2_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

// A bucket takes everything, unless it is missing.
type bucket struct {
	inbox
	missing bool
}

func (b *bucket) Resource(arn string) (cloud.Resource, error) {
	if b.missing {
		return cloud.Resource{}, fmt.Errorf("%s: %w", arn, cloud.ErrNoResource)
	}
	return cloud.Resource{Owner: labtest.Member}, nil
}

// ResourceFor is what S3 does: each put chooses its key.
func (b *bucket) ResourceFor(d *cloud.Delivery) (cloud.Resource, error) {
	r, err := b.Resource(d.Target)
	r.Key = d.Attributes["sse-kms-key-id"]
	return r, err
}

func (b *bucket) Receive(ctx context.Context, d *cloud.Delivery) ([]byte, error) {
	return b.inbox.Receive(ctx, d)
}

// deny is an IAM that says no to some action.
type deny string

func (d deny) Authorize(a cloud.Access) error {
	if a.Action == string(d) {
		return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource}
	}
	return nil
}

func (d deny) Assume(cloud.Identity, string, string, map[string]string) (cloud.Identity, error) {
	return cloud.Identity{}, errors.New("no roles here")
}

const reportKey = "arn:aws:kms:ap-northeast-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func TestAReportGoesToABucket(t *testing.T) {
	for name, c := range map[string]struct {
		format   types.ReportFormat
		key      string
		findings int
		missing  bool
		denied   string
		status   types.ExternalReportStatus
		code     types.ReportingErrorCode
	}{
		"JSON":                         {"JSON", reportKey, 30, false, "", "SUCCEEDED", ""},
		"CSV":                          {"CSV", reportKey, 30, false, "", "SUCCEEDED", ""},
		"no finding":                   {"JSON", reportKey, 0, false, "", "FAILED", "NO_FINDINGS_FOUND"},
		"no bucket":                    {"JSON", reportKey, 1, true, "", "FAILED", "BUCKET_NOT_FOUND"},
		"a key that is none":           {"JSON", "alias/key", 1, false, "", "FAILED", "MALFORMED_KMS_KEY"},
		"a key of another region":      {"JSON", strings.Replace(reportKey, "ap-northeast-1", "us-east-1", 1), 1, false, "", "FAILED", "MALFORMED_KMS_KEY"},
		"a bucket that lets nobody in": {"JSON", reportKey, 1, false, "s3:PutObject", "FAILED", "INVALID_PERMISSIONS"},
		"a key that lets nobody in":    {"JSON", reportKey, 1, false, "kms:GenerateDataKey", "FAILED", "INVALID_PERMISSIONS"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.activate(t)
			b := &bucket{missing: c.missing}
			s.cloud.Receivers.Register("s3", b)
			s.cloud.Receivers.Register("kms", &inbox{})
			s.cloud.Access = deny(c.denied)
			for i := range c.findings {
				s.report(t, labtest.Member, packageFinding(fmt.Sprintf("i-%d", i), "CVE-1"))
			}
			client := s.client(labtest.Member)
			in := &sdk.CreateFindingsReportInput{ReportFormat: c.format, S3Destination: &types.Destination{
				BucketName: aws.String("reports"), KeyPrefix: aws.String("a/b"), KmsKeyArn: aws.String(c.key),
			}}
			out, err := client.CreateFindingsReport(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.CreateFindingsReport(t.Context(), in)
			wantError(t, err, "ValidationException") // one at a time
			labtest.Settle(t, s.cloud)
			st, err := client.GetFindingsReportStatus(t.Context(), &sdk.GetFindingsReportStatusInput{})
			if err != nil || *st.ReportId != *out.ReportId || st.Status != c.status || st.ErrorCode != c.code || *st.Destination.BucketName != "reports" {
				t.Fatalf("status %+v, %v", st, err)
			}
			if c.status != "SUCCEEDED" {
				return
			}
			d := b.got[0]
			if want := "arn:aws:s3:::reports/a/b/" + *out.ReportId + "." + strings.ToLower(string(c.format)); d.Target != want || d.From != "inspector2.amazonaws.com" ||
				d.Source != "arn:aws:inspector2:ap-northeast-1:222222222222:report/"+*out.ReportId {
				t.Errorf("delivery %+v, want target %s", d, want)
			}
			if n := rows(t, c.format, d.Body); n != 30 {
				t.Errorf("%d findings in %s", n, d.Body)
			}
		})
	}
}

func rows(t *testing.T, format types.ReportFormat, body []byte) int {
	t.Helper()
	if format == "CSV" {
		all, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return len(all) - 1
	}
	var report struct {
		Findings []any `json:"findings"`
	}
	if err := json.Unmarshal(body, &report); err != nil {
		t.Fatal(err)
	}
	return len(report.Findings)
}

func TestAReportIsCancelled(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	client := s.client(labtest.Member)
	out, err := client.CreateFindingsReport(t.Context(), &sdk.CreateFindingsReportInput{
		ReportFormat: "JSON", S3Destination: &types.Destination{BucketName: aws.String("b"), KmsKeyArn: aws.String(reportKey)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CancelFindingsReport(t.Context(), &sdk.CancelFindingsReportInput{ReportId: out.ReportId}); err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, s.cloud)
	st, err := client.GetFindingsReportStatus(t.Context(), &sdk.GetFindingsReportStatusInput{ReportId: out.ReportId})
	if err != nil || st.Status != "CANCELLED" {
		t.Errorf("status %+v, %v", st, err)
	}
	_, err = client.CancelFindingsReport(t.Context(), &sdk.CancelFindingsReportInput{ReportId: out.ReportId})
	wantError(t, err, "ValidationException")
}

func TestABucketOfAnotherRegionTakesNoReport(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	s.cloud.Receivers.Register("s3", elsewhereBucket{})
	s.report(t, labtest.Member, packageFinding("i-1", "CVE-1"))
	client := s.client(labtest.Member)
	if _, err := client.CreateFindingsReport(t.Context(), &sdk.CreateFindingsReportInput{
		ReportFormat: "JSON", S3Destination: &types.Destination{BucketName: aws.String("b"), KmsKeyArn: aws.String(reportKey)},
	}); err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, s.cloud)
	st, err := client.GetFindingsReportStatus(t.Context(), &sdk.GetFindingsReportStatusInput{})
	if err != nil || st.Status != "FAILED" || st.ErrorCode != "INCOMPATIBLE_BUCKET_REGION" {
		t.Errorf("status %+v, %v", st, err)
	}
}

// elsewhereBucket is a bucket of us-east-1.
type elsewhereBucket struct{ *inbox }

func (elsewhereBucket) Resource(string) (cloud.Resource, error) {
	return cloud.Resource{Owner: labtest.Member, Region: "us-east-1"}, nil
}

func TestAReportOfARegionThatHasToBeEnabledComesFromThere(t *testing.T) {
	const region = "af-south-1"
	s, p := elsewhere(t, "2026-11-22T13:14:15Z", "333333333333", region)
	s.cloud.Accounts.SetRegion(p.Account, region, true)
	b := &bucket{}
	s.cloud.Receivers.Register("s3", b)
	if _, err := s.service.Report(p, packageFinding("i-1", "CVE-1")); err != nil {
		t.Fatal(err)
	}
	client := sdk.NewFromConfig(s.server.Config(p.Account, region))
	if _, err := client.CreateFindingsReport(t.Context(), &sdk.CreateFindingsReportInput{ReportFormat: "JSON", S3Destination: &types.Destination{
		BucketName: aws.String("b"), KmsKeyArn: aws.String("arn:aws:kms:" + region + ":333333333333:key/1"),
	}}); err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, s.cloud)
	if len(b.got) != 1 || b.got[0].From != "inspector2."+region+".amazonaws.com" || b.got[0].Source != "arn:aws:inspector2:"+region+":333333333333:report/"+reportOf(b.got[0].Target) {
		t.Errorf("got %+v", b.got)
	}
}

// reportOf is the report's id in an object's key.
func reportOf(target string) string {
	id, _, _ := strings.Cut(target[strings.LastIndex(target, "/")+1:], ".")
	return id
}

func TestTheAdministratorsReportHasItsMembersFindings(t *testing.T) {
	s := newStage(t)
	client := s.delegate(t)
	s.activate(t)
	b := &bucket{}
	s.cloud.Receivers.Register("s3", b)
	s.report(t, labtest.Administrator, packageFinding("i-1", "CVE-1"))
	s.report(t, labtest.Member, packageFinding("i-2", "CVE-1"))
	if _, err := client.CreateFindingsReport(t.Context(), &sdk.CreateFindingsReportInput{ReportFormat: "JSON", S3Destination: &types.Destination{
		BucketName: aws.String("b"), KmsKeyArn: aws.String(strings.ReplaceAll(reportKey, labtest.Member, labtest.Administrator)),
	}}); err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, s.cloud)
	if len(b.got) != 1 || rows(t, "JSON", b.got[0].Body) != 2 {
		t.Errorf("got %+v", b.got)
	}
}
