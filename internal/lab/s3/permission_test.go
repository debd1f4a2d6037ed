package s3_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/labtest"
)

// A rulebook allows all but what it denies, and notes what it was asked.
type rulebook struct {
	asked []string
	deny  string // a part of "action resource"
	keys  map[string]string
}

func (b *rulebook) Authorize(a cloud.Access) error {
	_, resource, _ := strings.Cut(a.Resource, "s3:::")
	line := a.Action + " " + resource
	if !strings.HasPrefix(a.Action, "s3:") {
		line = a.Action + " " + a.Resource
	}
	b.asked = append(b.asked, line)
	b.keys = a.Context
	if b.deny != "" && strings.Contains(line, b.deny) {
		return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource}
	}
	return nil
}

func (b *rulebook) Assume(who cloud.Identity, _, _ string, _ map[string]string) (cloud.Identity, error) {
	return who, nil
}

// TestEachRequestAsksForThePermissionThatS3Names by the Service Authorization Reference.
func TestEachRequestAsksForThePermissionThatS3Names(t *testing.T) {
	book := &rulebook{}
	l := newLab(t, func(c *cloud.Cloud) { c.Access = book })
	l.put(t, "a", "x")
	b, a, ctx := aws.String(bucket), aws.String("a"), t.Context()
	for want, ask := range map[string]func(){
		"s3:PutObject findings-lake/a|s3:PutObjectTagging findings-lake/a": func() {
			_, _ = l.client.PutObject(ctx, &awss3.PutObjectInput{Bucket: b, Key: a, Tagging: aws.String("k=v")})
		},
		"s3:GetObject findings-lake/a":                                func() { _, _ = l.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: b, Key: a}) },
		"s3:GetObjectVersion findings-lake/a":                         func() { l.get(t, "a", "null") },
		"s3:GetObject findings-lake/none|s3:ListBucket findings-lake": func() { l.get(t, "none", "") },
		"s3:DeleteObject findings-lake/b":                             func() { _, _ = l.remove(t, bucket, "b", "", false) },
		"s3:DeleteObjectVersion findings-lake/b|s3:BypassGovernanceRetention findings-lake/b": func() {
			_, _ = l.remove(t, bucket, "b", "null", true)
		},
		"s3:GetObject findings-lake/a|s3:PutObject findings-lake/c": func() {
			_, _ = l.client.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: b, Key: aws.String("c"), CopySource: aws.String(bucket + "/a"), TaggingDirective: "REPLACE"})
			book.asked[0], book.asked[1] = book.asked[1], book.asked[0]
		},
		"s3:ListBucket findings-lake":         func() { l.listAll(t, 10, awss3.ListObjectsV2Input{}) },
		"s3:ListBucketVersions findings-lake": func() { l.listVersions(t, 10, "", "") },
		"s3:ListBucketMultipartUploads findings-lake": func() {
			_, _ = l.client.ListMultipartUploads(ctx, &awss3.ListMultipartUploadsInput{Bucket: b})
		},
		"s3:AbortMultipartUpload findings-lake/a": func() {
			_, _ = l.client.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: b, Key: a, UploadId: a})
		},
		"s3:ListMultipartUploadParts findings-lake/a": func() { _, _ = l.client.ListParts(ctx, &awss3.ListPartsInput{Bucket: b, Key: a, UploadId: a}) },
		"s3:ListAllMyBuckets *":                       func() { _, _ = l.client.ListBuckets(ctx, &awss3.ListBucketsInput{}) },
		"s3:GetBucketLocation findings-lake": func() {
			_, _ = l.client.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: b})
		},
		"s3:CreateBucket other|s3:PutBucketVersioning other|s3:PutBucketObjectLockConfiguration other": func() { l.locked(t, "other", nil) },
		"s3:GetEncryptionConfiguration findings-lake": func() {
			_, _ = l.client.GetBucketEncryption(ctx, &awss3.GetBucketEncryptionInput{Bucket: b})
		},
		"s3:GetLifecycleConfiguration findings-lake": func() {
			_, _ = l.client.GetBucketLifecycleConfiguration(ctx, &awss3.GetBucketLifecycleConfigurationInput{Bucket: b})
		},
		"s3:PutBucketPublicAccessBlock findings-lake": func() {
			_, _ = l.client.DeletePublicAccessBlock(ctx, &awss3.DeletePublicAccessBlockInput{Bucket: b})
		},
		"s3:DeleteObject findings-lake/x|s3:DeleteObject findings-lake/y": func() {
			_, _ = l.client.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: b, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("x")}, {Key: aws.String("y")}}}})
		},
	} {
		book.asked = nil
		ask()
		if diff := cmp.Diff(strings.Split(want, "|"), book.asked); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestWithoutPermissionToListNothingIsNotFound(t *testing.T) {
	book := &rulebook{deny: "s3:ListBucket "}
	l := newLab(t, func(c *cloud.Cloud) { c.Access = book })
	l.put(t, "a", "x")
	if body, failure := l.get(t, "a", ""); body != "x" {
		t.Errorf("got %q, %s", body, failure)
	}
	if _, failure := l.get(t, "none", ""); failure != "AccessDenied" {
		t.Errorf("got %s, want AccessDenied", failure)
	}
	out, err := l.client.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("a")}}}})
	if err != nil || len(out.Deleted) != 1 {
		t.Errorf("got %+v, %v", out, err)
	}
	book.deny = "s3:DeleteObject findings-lake/b"
	out, err = l.client.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("b")}, {Key: aws.String("c")}}}})
	if err != nil || len(out.Deleted) != 1 || len(out.Errors) != 1 || *out.Errors[0].Code != "AccessDenied" {
		t.Errorf("one of two: got %+v, %v", out, err)
	}
}

// withIAM is a lab whose policies count.
func withIAM(t *testing.T) *lab {
	t.Helper()
	return newLab(t, func(c *cloud.Cloud) { c.Access = iam.New(c) })
}

// TestBucketPoliciesDecideByTheRequest has the denies that best practice puts into the policy of a log bucket.
func TestBucketPoliciesDecideByTheRequest(t *testing.T) {
	for name, tt := range map[string]struct {
		condition string
		change    func(in *awss3.PutObjectInput)
		want      string
	}{
		"encryption is wanted, none is asked for": {`"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}`, nil, "AccessDenied"},
		"encryption is wanted and asked for": {`"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}`, func(in *awss3.PutObjectInput) {
			in.ServerSideEncryption = types.ServerSideEncryptionAwsKms
		}, ""},
		"another encryption is asked for": {`"StringNotEqualsIfExists":{"s3:x-amz-server-side-encryption":"aws:kms"}`, func(in *awss3.PutObjectInput) {
			in.ServerSideEncryption = types.ServerSideEncryptionAes256
		}, "AccessDenied"},
		"another key": {`"StringNotEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"arn:x"}`, func(in *awss3.PutObjectInput) {
			in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, aws.String("arn:y")
		}, "AccessDenied"},
		"an ACL is wanted": {`"StringNotEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}`, nil, "AccessDenied"},
		"an ACL is wanted and sent": {`"StringNotEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}`, func(in *awss3.PutObjectInput) {
			in.ACL = types.ObjectCannedACLBucketOwnerFullControl
		}, ""},
		"TLS is wanted":                          {`"Bool":{"aws:SecureTransport":"false"}`, nil, ""},
		"replacing is not":                       {`"Null":{"s3:if-none-match":"true"}`, nil, "AccessDenied"},
		"replacing is not, and is not asked for": {`"Null":{"s3:if-none-match":"true"}`, func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := withIAM(t)
			wants(t, l.setPolicy(t, l.statement(`"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Condition":{`+tt.condition+`}`)), "")
			in := &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("a"), Body: strings.NewReader("x")}
			if tt.change != nil {
				tt.change(in)
			}
			_, err := l.client.PutObject(t.Context(), in)
			wants(t, err, tt.want)
		})
	}
}

func TestOtherAccountsNeedTheBucketsPolicy(t *testing.T) {
	l := withIAM(t)
	other := l.as(labtest.Member)
	put := func() error {
		_, err := other.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("a"), Body: strings.NewReader("x")})
		return err
	}
	wants(t, put(), "AccessDenied")
	wants(t, l.setPolicy(t, l.statement(`"Effect":"Allow","Principal":{"AWS":"`+labtest.Member+`"},"Action":"s3:PutObject"`)), "")
	wants(t, put(), "")
	_, err := other.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("ours/")})
	wants(t, err, "AccessDenied")
	wants(t, l.setPolicy(t, l.statement(`"Effect":"Allow","Principal":{"AWS":"`+labtest.Member+`"},"Action":"s3:ListBucket","Condition":{"StringLike":{"s3:prefix":"ours/*"}}`)), "")
	_, err = other.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("ours/")})
	wants(t, err, "")
	_, err = other.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("theirs/")})
	wants(t, err, "AccessDenied")
}

// unsigned sends a request that nobody signed.
func (l *lab) unsigned(t *testing.T, path string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.server.URL+"/"+bucket+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestNobodyInParticularReadsWhatAPolicyOpens(t *testing.T) {
	l := withIAM(t)
	l.put(t, "open/a", "x")
	l.put(t, "a", "x")
	if status, body := l.unsigned(t, "/open/a"); status != 403 || !strings.Contains(body, "<Code>AccessDenied</Code>") {
		t.Errorf("without a policy: got %d %s", status, body)
	}
	block := func(restrict bool) {
		_, err := l.client.PutPublicAccessBlock(t.Context(), &awss3.PutPublicAccessBlockInput{Bucket: aws.String(bucket), PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
			RestrictPublicBuckets: &restrict,
		}})
		wants(t, err, "")
	}
	block(false)
	text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":%q}}`,
		l.cloud.Accounts.Place("", "").ARN("s3", bucket+"/open/*"))
	wants(t, l.setPolicy(t, text), "")
	for path, want := range map[string]int{"/open/a": 200, "/a": 403, "": 403, "/?list-type=2": 403, "/open/a?tagging": 403} {
		if status, body := l.unsigned(t, path); status != want {
			t.Errorf("%s: got %d %s, want %d", path, status, body, want)
		}
	}
	block(true)
	if status, _ := l.unsigned(t, "/open/a"); status != 403 {
		t.Errorf("with RestrictPublicBuckets: got %d", status)
	}
	without := newLab(t)
	without.put(t, "a", "x")
	if status, _ := without.unsigned(t, "/a"); status != 403 {
		t.Errorf("in a lab without IAM: got %d", status)
	}
}

func TestSecureTransportIsWhatAProxySays(t *testing.T) {
	book := &rulebook{}
	l := newLab(t, func(c *cloud.Cloud) { c.Access = book })
	_, err := l.client.PutPublicAccessBlock(t.Context(), &awss3.PutPublicAccessBlockInput{Bucket: aws.String(bucket), PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{}})
	wants(t, err, "")
	wants(t, l.setPolicy(t, l.statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject"`)), "")
	for header, want := range map[string]string{"http": "false", "https": "true", "": "true"} {
		l.unsigned(t, "/a", "X-Forwarded-Proto", header)
		if got := book.keys["aws:SecureTransport"]; got != want {
			t.Errorf("%q: got %q", header, got)
		}
	}
}
