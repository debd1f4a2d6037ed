package cloudformation_test

import (
	"archive/zip"
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	inspectorsdk "github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	s3sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/catchment/internal/lab/labtest"
)

// bucket makes a bucket, with one object in it.
func (l *lab) bucket(name, key string, body []byte) {
	l.t.Helper()
	client := s3sdk.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region), func(o *s3sdk.Options) { o.UsePathStyle = true })
	ok(client.CreateBucket(l.t.Context(), &s3sdk.CreateBucketInput{
		Bucket: &name, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: labtest.Region},
	}))(l.t)
	ok(client.PutObject(l.t.Context(), &s3sdk.PutObjectInput{Bucket: &name, Key: &key, Body: bytes.NewReader(body)}))(l.t)
}

func code(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f := ok(z.Create("bootstrap"))(t)
	ok(f.Write([]byte("#!/bin/sh\n")))(t)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEveryTypeIsMadeForRealAndGoesAgain(t *testing.T) {
	l := newLab(t)
	l.organize()
	l.bucket("code", "code.zip", code(t))
	body := ok(os.ReadFile("testdata/region.yaml"))(t)
	l.bucket("templates", "region.yaml", body)
	inspector := inspectorsdk.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
	ok(inspector.Enable(t.Context(), &inspectorsdk.EnableInput{ResourceTypes: []inspectortypes.ResourceScanType{inspectortypes.ResourceScanTypeEc2}}))(t)
	in := &cfn.CreateStackInput{
		StackName: aws.String("region"), TemplateURL: aws.String(l.server.URL + "/templates/region.yaml"), Capabilities: both,
		Parameters: []types.Parameter{{ParameterKey: aws.String("CodeBucket"), ParameterValue: aws.String("code")}},
		Tags:       []types.Tag{{Key: aws.String("owner"), Value: aws.String("us")}},
	}
	ok(l.cfn.CreateStack(t.Context(), in))(t)
	st := l.at("region", "CREATE_COMPLETE")
	outputs := make(map[string]string)
	for _, o := range st.Outputs {
		outputs[*o.OutputKey] = *o.OutputValue
	}
	for key, want := range map[string]string{
		"Bucket": "findings-111111111111-ap-northeast-1", "Zone": "ap-northeast-1a", "Last": "aws", "Encoded": "cGxhaW4=", "Literal": "${Literal} findings",
	} {
		if outputs[key] != want {
			t.Errorf("output %s is %q, want %q", key, outputs[key], want)
		}
	}
	for _, p := range st.Parameters {
		if *p.ParameterKey == "Secret" && *p.ParameterValue != "****" {
			t.Errorf("the secret is shown: %s", *p.ParameterValue)
		}
	}
	if drifts := l.detect("region"); len(drifts) > 0 {
		t.Errorf("a new stack has drifted: %s", strings.Join(drifts, "\n"))
	}
	l.meddle()
	want := []string{"Alarm DELETED", "BucketPolicy DELETED", "Rule MODIFIED /State ENABLED DISABLED"}
	if drifts := l.detect("region"); !slices.Equal(drifts, want) {
		t.Errorf("drifts:\n%s", strings.Join(drifts, "\n"))
	}
	ok(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("region")}))(t)
	labtest.Advance(t, l.cloud, 5*time.Minute)
	gone := ok(l.cfn.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: st.StackId}))(t)
	if gone.Stacks[0].StackStatus != types.StackStatusDeleteComplete {
		t.Errorf("%s: %s\n%s", gone.Stacks[0].StackStatus, aws.ToString(gone.Stacks[0].StackStatusReason), strings.Join(l.events(*st.StackId), "\n"))
	}
}

// detect looks for drift, and gives what has: the logical id, how, and each difference.
func (l *lab) detect(stack string) []string {
	l.t.Helper()
	started := ok(l.cfn.DetectStackDrift(l.t.Context(), &cfn.DetectStackDriftInput{StackName: &stack}))(l.t)
	status := &cfn.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: started.StackDriftDetectionId}
	if d := ok(l.cfn.DescribeStackDriftDetectionStatus(l.t.Context(), status))(l.t); d.DetectionStatus != types.StackDriftDetectionStatusDetectionInProgress {
		l.t.Errorf("at once it is %s", d.DetectionStatus)
	}
	labtest.Advance(l.t, l.cloud, 5*time.Second)
	d := ok(l.cfn.DescribeStackDriftDetectionStatus(l.t.Context(), status))(l.t)
	if d.DetectionStatus != types.StackDriftDetectionStatusDetectionComplete {
		l.t.Fatalf("it is %s", d.DetectionStatus)
	}
	out := ok(l.cfn.DescribeStackResourceDrifts(l.t.Context(), &cfn.DescribeStackResourceDriftsInput{
		StackName: &stack, StackResourceDriftStatusFilters: []types.StackResourceDriftStatus{types.StackResourceDriftStatusModified, types.StackResourceDriftStatusDeleted},
	}))(l.t)
	if want := len(out.StackResourceDrifts); int(*d.DriftedStackResourceCount) != want {
		l.t.Errorf("%d resources have drifted, %d are shown", *d.DriftedStackResourceCount, want)
	}
	var all []string
	for _, r := range out.StackResourceDrifts {
		text := *r.LogicalResourceId + " " + string(r.StackResourceDriftStatus)
		for _, p := range r.PropertyDifferences {
			text += " " + *p.PropertyPath + " " + *p.ExpectedValue + " " + *p.ActualValue
		}
		all = append(all, text)
	}
	return all
}

// meddle changes resources behind the stack's back.
func (l *lab) meddle() {
	l.t.Helper()
	config := l.server.Config(labtest.Administrator, labtest.Region)
	ok(eventbridge.NewFromConfig(config).DisableRule(l.t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("findings")}))(l.t)
	buckets := s3sdk.NewFromConfig(config, func(o *s3sdk.Options) { o.UsePathStyle = true })
	ok(buckets.DeleteBucketPolicy(l.t.Context(), &s3sdk.DeleteBucketPolicyInput{Bucket: aws.String("findings-111111111111-ap-northeast-1")}))(l.t)
	at := l.cloud.Accounts.Place(labtest.Administrator, labtest.Region)
	alarm := l.physical("region")["Alarm"]
	ok(l.cloud.API.Call(l.t.Context(), l.cloud.Accounts.Credential(labtest.Administrator).Who, at, "monitoring", "DeleteAlarms",
		[]byte(`{"AlarmNames":["`+alarm+`"]}`)))(l.t)
}

func (l *lab) bucketObject(bucket string) {
	l.t.Helper()
	client := s3sdk.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region), func(o *s3sdk.Options) { o.UsePathStyle = true })
	ok(client.PutObject(l.t.Context(), &s3sdk.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: strings.NewReader("v")}))(l.t)
}
