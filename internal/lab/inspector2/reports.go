package inspector2

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// States and error codes of a report.
const (
	reportRunning   = "IN_PROGRESS"
	reportSucceeded = "SUCCEEDED"
	reportFailed    = "FAILED"
	reportCancelled = "CANCELLED"

	errPermissions = "INVALID_PERMISSIONS"
	errNoFindings  = "NO_FINDINGS_FOUND"
	errNoBucket    = "BUCKET_NOT_FOUND"
	errElsewhere   = "INCOMPATIBLE_BUCKET_REGION"
	errBadKey      = "MALFORMED_KMS_KEY"
	errOther       = "INTERNAL_ERROR"
)

// maxReports is how many finished reports of an account in a region can be asked about: the newest.
const maxReports = 100

type destination struct {
	BucketName string `json:"bucketName"`
	KeyPrefix  string `json:"keyPrefix,omitempty"`
	KMSKeyARN  string `json:"kmsKeyArn"`
}

// A report is all findings of a query, written to a bucket.
type report struct {
	ID           string         `json:"reportId"`
	Status       string         `json:"status"`
	ErrorCode    string         `json:"errorCode,omitempty"`
	ErrorMessage string         `json:"errorMessage,omitempty"`
	Destination  destination    `json:"destination"`
	Criteria     jsontext.Value `json:"filterCriteria"`

	format  string
	matches predicate[*Finding]
	number  int // in the order of making
}

type createReportInput struct {
	FilterCriteria jsontext.Value `json:"filterCriteria"`
	ReportFormat   string         `json:"reportFormat"`
	S3Destination  *destination   `json:"s3Destination"`
}

type reportIDs struct {
	ReportID string `json:"reportId"`
}

func (s *Service) createReport(_ context.Context, c *wire.Call, in *createReportInput) (*reportIDs, error) {
	if err := oneOf("reportFormat", in.ReportFormat, "CSV", "JSON"); err != nil {
		return nil, err
	}
	switch {
	case in.S3Destination == nil:
		return nil, invalid("s3Destination", "is missing")
	case in.S3Destination.BucketName == "":
		return nil, invalid("s3Destination.bucketName", "is missing")
	case in.S3Destination.KMSKeyARN == "":
		return nil, invalid("s3Destination.kmsKeyArn", "is missing: a report is encrypted with a key of the customer")
	}
	matches, criteria, err := findingFields.compile(in.FilterCriteria)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cl := s.cell(c.Place)
	number := 0
	oldest := ""
	for id, r := range cl.reports {
		if r.Status == reportRunning {
			return nil, wire.Errorf("ValidationException", "report %s is in progress, and only one can be", id)
		}
		number = max(number, r.number)
		if oldest == "" || r.number < cl.reports[oldest].number {
			oldest = id
		}
	}
	if len(cl.reports) >= maxReports {
		delete(cl.reports, oldest)
	}
	r := &report{
		ID: s.cloud.UUID("inspector2 report"), Status: reportRunning, Destination: *in.S3Destination, Criteria: criteria,
		format: in.ReportFormat, matches: matches, number: number + 1,
	}
	cl.reports[r.ID] = r
	s.cloud.Clock.Go(func(ctx context.Context) { s.runReport(ctx, c.Place, r.ID) })
	return &reportIDs{r.ID}, nil
}

func (s *Service) getReport(_ context.Context, c *wire.Call, in *reportIDs) (*report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cl := s.look(c.Place)
	if in.ReportID == "" { // the newest
		for id, r := range cl.reports {
			if in.ReportID == "" || r.number > cl.reports[in.ReportID].number {
				in.ReportID = id
			}
		}
	}
	r := cl.reports[in.ReportID]
	if r == nil {
		return nil, notFound("report %q does not exist", in.ReportID)
	}
	out := *r
	return &out, nil
}

func (s *Service) cancelReport(_ context.Context, c *wire.Call, in *reportIDs) (*reportIDs, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.look(c.Place).reports[in.ReportID]
	switch {
	case r == nil:
		return nil, notFound("report %q does not exist", in.ReportID)
	case r.Status != reportRunning:
		return nil, invalid("reportId", "the report is %s", r.Status)
	}
	r.Status = reportCancelled
	return in, nil
}

// runReport writes a report and says how it went, unless it was cancelled.
func (s *Service) runReport(ctx context.Context, p cloud.Place, id string) {
	s.mu.Lock()
	r := s.cell(p).reports[id]
	if r == nil || r.Status != reportRunning {
		s.mu.Unlock()
		return
	}
	found := s.inOrder(p, r.matches, token{}, 0)
	job := *r
	s.mu.Unlock()
	code, message := s.writeReport(ctx, p, &job, found)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Status == reportRunning {
		r.Status, r.ErrorCode, r.ErrorMessage = reportSucceeded, code, message
		if code != "" {
			r.Status = reportFailed
		}
	}
}

// writeReport puts a report into its bucket, which has to be in the report's region. It gives the error's code and message,
// or nothing.
func (s *Service) writeReport(ctx context.Context, p cloud.Place, r *report, found []*Finding) (code, message string) {
	key, err := cloud.ParseARN(r.Destination.KMSKeyARN)
	if err != nil || key.Service != "kms" || !strings.HasPrefix(key.Resource, "key/") || key.Region != p.Region {
		return errBadKey, fmt.Sprintf("%q is no ARN of a KMS key in %s", r.Destination.KMSKeyARN, p.Region)
	}
	if len(found) == 0 {
		return errNoFindings, "no finding matches the filter criteria"
	}
	bucket := cloud.ARN{Partition: p.Partition, Service: "s3", Resource: r.Destination.BucketName}.String()
	if found, err := s.cloud.Receivers.Resource(bucket); err == nil && found.Region != "" && found.Region != p.Region {
		return errElsewhere, fmt.Sprintf("bucket %s is in %s, the report in %s", r.Destination.BucketName, found.Region, p.Region)
	}
	body, contentType, extension := []byte(nil), "application/json", "json"
	if r.format == "CSV" {
		body, err = reportCSV(found)
		contentType, extension = "text/csv", "csv"
	} else {
		body, err = marshal(map[string]any{"findings": found})
	}
	if err != nil {
		return errOther, err.Error()
	}
	name := strings.TrimPrefix(r.Destination.KeyPrefix+"/"+r.ID+"."+extension, "/")
	principal := "inspector2.amazonaws.com"
	if region, ok := cloud.FindRegion(p.Region); ok && region.OptIn {
		principal = "inspector2." + p.Region + ".amazonaws.com"
	}
	source := p.ARN("inspector2", "report/"+r.ID)
	_, err = s.cloud.Deliver(ctx, &cloud.Delivery{
		Source: source, From: principal, Account: p.Account, Action: "s3:PutObject",
		Target: bucket + "/" + name, Body: body,
		Attributes: map[string]string{"content-type": contentType, "sse": "aws:kms", "sse-kms-key-id": r.Destination.KMSKeyARN},
	})
	if err == nil {
		return "", ""
	}
	if failure, known := errors.AsType[*cloud.DeliveryError](err); known {
		switch failure.Code {
		case cloud.CodeNoResource:
			return errNoBucket, err.Error()
		case cloud.CodeNoPermissions:
			return errPermissions, err.Error()
		}
	}
	return errOther, err.Error()
}

// reportCSV has a line of names, and one for each finding.
func reportCSV(found []*Finding) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{
		"AWS Account Id", "Severity", "Fix Available", "Finding Type", "Title", "Description", "Finding ARN", "First Seen", "Last Seen",
		"Last Updated", "Resource ID", "Resource Type", "Region", "Vulnerability Id", "Inspector Score", "Status",
	}}
	for _, f := range found {
		vulnerability := ""
		if f.Package != nil {
			vulnerability = f.Package.ID
		}
		r := f.Resources[0]
		rows = append(rows, []string{
			f.AccountID, f.Severity, f.FixAvailable, f.Type, f.Title, f.Description, f.ARN, iso(f.FirstObservedAt.Time), iso(f.LastObservedAt.Time),
			iso(f.UpdatedAt.Time), r.ID, r.Type, r.Region, vulnerability, fmt.Sprint(f.Score), f.Status,
		})
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("report as CSV: %w", err)
	}
	return b.Bytes(), nil
}
