package inspector_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	"github.com/aws/aws-sdk-go-v2/service/inspector/types"

	"example.org/catchment/internal/lab/cloud"
	labinspector "example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/labtest"
)

// A lab is an Inspector with a client, and what it delivered to others.
type lab struct {
	*inspector.Client
	cloud   *cloud.Cloud
	service *labinspector.Service
	server  *labtest.Server
	sns     *receiver
	events  *receiver
	hub     *receiver
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{cloud: labtest.NewCloud(t), sns: &receiver{}, events: &receiver{}, hub: &receiver{}}
	l.cloud.Receivers.Register("sns", l.sns)
	l.cloud.Receivers.Register("events", l.events)
	l.cloud.Receivers.Register("securityhub", l.hub)
	l.service = labinspector.New(l.cloud)
	l.server = labtest.Serve(t, l.cloud, l.service.Wire())
	l.Client = l.as(labtest.Administrator, labtest.Region)
	return l
}

func (l *lab) as(account, region string) *inspector.Client {
	return inspector.NewFromConfig(l.server.Config(account, region))
}

// A receiver keeps what it is given.
type receiver struct {
	mu      sync.Mutex
	got     []cloud.Delivery // guarded by mu, like the others
	missing bool
	policy  []byte
	fails   error
}

func (r *receiver) Resource(arn string) (cloud.Resource, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.missing {
		return cloud.Resource{}, cloud.ErrNoResource
	}
	parsed, err := cloud.ParseARN(arn)
	return cloud.Resource{Owner: parsed.Account, Policy: r.policy}, err
}

func (r *receiver) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails != nil {
		return nil, r.fails
	}
	r.got = append(r.got, *d)
	return nil, nil
}

func (r *receiver) set(f func(*receiver)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
}

func (r *receiver) all() []cloud.Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

const topic = "arn:aws:sns:ap-northeast-1:111111111111:findings"

// packageARN is the ARN of a rules package of Tokyo.
func packageARN(id string) string {
	return "arn:aws:inspector:ap-northeast-1:406045910587:rulespackage/" + id
}

// The rules packages of Tokyo.
var (
	cve          = packageARN("0-gHP9oWNT")
	cis          = packageARN("0-7WNjqgGu")
	reachability = packageARN("0-YI95DVd7")
	practices    = packageARN("0-bBUQnxMq")
)

// target makes an assessment target with a name.
func (l *lab) target(t *testing.T, name string) string {
	t.Helper()
	out, err := l.CreateAssessmentTarget(t.Context(), &inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	return *out.AssessmentTargetArn
}

// template makes a target and a template of the same name, with a run of an hour.
func (l *lab) template(t *testing.T, name string, packages ...string) string {
	t.Helper()
	out, err := l.CreateAssessmentTemplate(t.Context(), &inspector.CreateAssessmentTemplateInput{
		AssessmentTargetArn: aws.String(l.target(t, name)), AssessmentTemplateName: aws.String(name), DurationInSeconds: aws.Int32(3600), RulesPackageArns: append([]string{}, packages...),
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.AssessmentTemplateArn
}

func (l *lab) start(t *testing.T, template string) string {
	t.Helper()
	out, err := l.StartAssessmentRun(t.Context(), &inspector.StartAssessmentRunInput{AssessmentTemplateArn: aws.String(template)})
	if err != nil {
		t.Fatal(err)
	}
	return *out.AssessmentRunArn
}

// finished runs a template to its end.
func (l *lab) finished(t *testing.T, template string) string {
	t.Helper()
	arn := l.start(t, template)
	labtest.Advance(t, l.cloud, 2*time.Hour)
	return arn
}

func (l *lab) run(t *testing.T, arn string) types.AssessmentRun {
	t.Helper()
	out, err := l.DescribeAssessmentRuns(t.Context(), &inspector.DescribeAssessmentRunsInput{AssessmentRunArns: []string{arn}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.AssessmentRuns) != 1 {
		t.Fatalf("%s is not described: %v", arn, out.FailedItems)
	}
	return out.AssessmentRuns[0]
}

// findings lists all findings of a run, by pages of ten.
func (l *lab) findings(t *testing.T, runs ...string) []string {
	t.Helper()
	var all []string
	pages := inspector.NewListFindingsPaginator(l, &inspector.ListFindingsInput{AssessmentRunArns: runs})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.FindingArns...)
	}
	return all
}

// A stub is an assessor that finds n things in the packages of a run, one after the other.
type stub int

func (n stub) Assess(_ cloud.Place, run labinspector.Run) []labinspector.Finding {
	var out []labinspector.Finding
	for i := range int(n) {
		severity := []string{"High", "Medium", "Low", "Informational", "Undefined"}[i%5]
		out = append(out, labinspector.Finding{
			ServiceAttributes: labinspector.ServiceAttributes{RulesPackageARN: run.RulesPackages[i%len(run.RulesPackages)].ARN},
			AssetType:         "ec2-instance", ID: fmt.Sprintf("rule-%d", i%7), Title: fmt.Sprintf("finding %d", i), Severity: severity,
			NumericSeverity: float64(i % 11), Confidence: 10,
			AssetAttributes: &labinspector.AssetAttributes{
				SchemaVersion: 1, AgentID: fmt.Sprintf("i-%d", i%3), AutoScalingGroup: fmt.Sprintf("group-%d", i%2), IPv4Addresses: []string{},
			},
			Attributes: []labinspector.Attribute{{Key: "INSTANCE_ID", Value: fmt.Sprintf("i-%d", i%3)}},
		})
	}
	return out
}

// errorOf gives an error's code on the wire, with its own errorCode behind a slash.
func errorOf(t *testing.T, err error) string {
	t.Helper()
	var api interface{ ErrorCode() string }
	if !errors.As(err, &api) {
		return fmt.Sprint(err)
	}
	detail := ""
	var invalid *types.InvalidInputException
	var missing *types.NoSuchEntityException
	var denied *types.AccessDeniedException
	var limit *types.LimitExceededException
	switch {
	case errors.As(err, &invalid):
		detail = string(invalid.ErrorCode_)
		if invalid.CanRetry == nil || *invalid.CanRetry {
			t.Errorf("canRetry of %v is not false", err)
		}
	case errors.As(err, &missing):
		detail = string(missing.ErrorCode_)
	case errors.As(err, &denied):
		detail = string(denied.ErrorCode_)
	case errors.As(err, &limit):
		detail = string(limit.ErrorCode_)
	}
	return strings.TrimSuffix(api.ErrorCode()+"/"+detail, "/")
}
