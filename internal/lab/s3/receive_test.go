package s3_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

const firehose = "firehose.amazonaws.com"

func (l *lab) deliver(t *testing.T, key, body string, attributes map[string]string) ([]byte, error) {
	t.Helper()
	return l.cloud.Deliver(t.Context(), &cloud.Delivery{
		Source: l.cloud.Accounts.Place(labtest.Member, labtest.Region).ARN("firehose", "deliverystream/s"), From: firehose, Account: labtest.Member,
		Action: "s3:PutObject", Target: l.cloud.Accounts.Place("", "").ARN("s3", bucket+"/"+key), Body: []byte(body), Attributes: attributes,
	})
}

func failure(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	d, ok := errors.AsType[*cloud.DeliveryError](err)
	if !ok {
		t.Fatalf("%v is no *cloud.DeliveryError", err)
	}
	return d.Code
}

func TestDeliveriesBecomeObjects(t *testing.T) {
	l := newLab(t)
	answer, err := l.deliver(t, "2026/a b", "records", map[string]string{"content-type": "application/json", "content-encoding": "gzip", "if-none-match": "*"})
	if err != nil || !strings.Contains(string(answer), "ETag") {
		t.Fatalf("got %s, %v", answer, err)
	}
	head, err := l.client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("2026/a b")})
	if err != nil || *head.ContentType != "application/json" || *head.ContentEncoding != "gzip" || *head.ContentLength != 7 {
		t.Errorf("got %+v, %v", head, err)
	}
	_, err = l.deliver(t, "2026/a b", "other", map[string]string{"if-none-match": "*"})
	if got := failure(t, err); got != "PreconditionFailed" {
		t.Errorf("a key that is taken: got %q", got)
	}
	_, err = l.deliver(t, strings.Repeat("k", 1025), "x", nil)
	if got := failure(t, err); got != "KeyTooLongError" {
		t.Errorf("a long key: got %q", got)
	}
	got, err := l.cloud.Deliver(t.Context(), &cloud.Delivery{Action: "s3:GetObject", Target: l.cloud.Accounts.Place("", "").ARN("s3", bucket+"/2026/a b")})
	if err != nil || string(got) != "records" {
		t.Errorf("read back: got %q, %v", got, err)
	}
	if _, err := l.client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("2026/a b")}); err != nil {
		t.Fatal(err)
	}
	_, err = l.client.DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: aws.String(bucket)})
	wants(t, err, "")
	_, err = l.deliver(t, "a", "x", nil)
	if got := failure(t, err); got != cloud.CodeNoResource {
		t.Errorf("no bucket: got %q", got)
	}
}

// TestDeliveriesAreLetInByTheBucketsPolicy has the policy that GuardDuty's guide asks for.
func TestDeliveriesAreLetInByTheBucketsPolicy(t *testing.T) {
	l := withIAM(t)
	_, err := l.deliver(t, "a", "x", nil)
	if got := failure(t, err); got != cloud.CodeNoPermissions {
		t.Errorf("without a policy: got %q", got)
	}
	arn := l.cloud.Accounts.Place("", "").ARN("s3", bucket+"/*")
	text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"Service":%q},"Action":"s3:PutObject","Resource":%q,"Condition":{"StringEquals":{"aws:SourceAccount":%q}}},
		{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":%q,"Condition":{"Bool":{"aws:SecureTransport":"false"}}},
		{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":%q,"Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption":"AES256"}}}]}`,
		firehose, arn, labtest.Member, arn, arn)
	wants(t, l.setPolicy(t, text), "")
	_, err = l.deliver(t, "a", "x", nil)
	if got := failure(t, err); got != cloud.CodeNoPermissions {
		t.Errorf("without the encryption that is wanted: got %q", got)
	}
	_, err = l.deliver(t, "a", "x", map[string]string{"sse": "AES256"})
	if got := failure(t, err); got != "" {
		t.Errorf("with it: got %v", err)
	}
}

// A keyring is a KMS with one key, and an alias of it, that one action is denied for.
type keyring struct{ key, alias, policy string }

func (k *keyring) Resource(arn string) (cloud.Resource, error) {
	if arn != k.key && arn != k.alias {
		return cloud.Resource{}, cloud.ErrNoResource
	}
	return cloud.Resource{Owner: labtest.Administrator, ARN: k.key, Policy: []byte(k.policy)}, nil
}

func (k *keyring) Receive(context.Context, *cloud.Delivery) ([]byte, error) { return nil, nil }

func TestKeysAreAskedFor(t *testing.T) {
	l := withIAM(t)
	place := l.cloud.Accounts.Place(labtest.Administrator, labtest.Region)
	ring := &keyring{key: place.ARN("kms", "key/1"), alias: place.ARN("kms", "alias/lake")}
	l.cloud.Receivers.Register("kms", ring)
	allow := func(action, condition string) {
		ring.policy = fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":%q,"Resource":"*","Condition":{%s}}]}`, action, condition)
	}
	put := func(key string) (*awss3.PutObjectOutput, error) {
		return l.client.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("logs/a"), Body: strings.NewReader("x"), ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: &key,
		})
	}
	allow("kms:*", `"StringEquals":{"kms:ViaService":"s3.ap-northeast-1.amazonaws.com"}`)
	for _, key := range []string{ring.key, "1", "alias/lake", ring.alias} {
		out, err := put(key)
		if err != nil || *out.SSEKMSKeyId != ring.key {
			t.Errorf("%s: got %+v, %v", key, out, err)
		}
	}
	_, err := put("2")
	wants(t, err, "KMS.NotFoundException")
	_, err = put(l.cloud.Accounts.Place(labtest.Administrator, "eu-west-1").ARN("kms", "key/1"))
	wants(t, err, "KMS.NotFoundException")
	allow("kms:GenerateDataKey", `"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::findings-lake/logs/*"}`)
	_, err = put("1")
	wants(t, err, "")
	if _, code := l.get(t, "logs/a", ""); code != "AccessDenied" {
		t.Errorf("without kms:Decrypt: got %q", code)
	}
	allow("kms:*", `"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::findings-lake"}`)
	_, err = put("1")
	wants(t, err, "AccessDenied") // without a bucket key the context is the object
	bucketKey := true
	_, err = l.client.PutBucketEncryption(t.Context(), &awss3.PutBucketEncryptionInput{
		Bucket: aws.String(bucket), ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: &ring.key},
			BucketKeyEnabled:                   &bucketKey,
		}}},
	})
	wants(t, err, "")
	l.put(t, "logs/b", "x")
	wants(t, l.setPolicy(t, l.statement(`"Effect":"Allow","Principal":{"Service":"`+firehose+`"},"Action":"s3:PutObject"`)), "")
	if _, err := l.deliver(t, "logs/c", "x", nil); err != nil {
		t.Errorf("a delivery with the default: %v", err)
	}
	allow("kms:Decrypt", `"StringLike":{"kms:ViaService":"*"}`)
	_, err = l.deliver(t, "logs/d", "x", nil)
	if got := failure(t, err); got != cloud.CodeNoPermissions {
		t.Errorf("a delivery without kms:GenerateDataKey: got %q", got)
	}
	if _, err := l.deliver(t, "logs/d", "x", map[string]string{"sse": "AES256"}); err != nil {
		t.Errorf("a delivery that wants no key: %v", err)
	}
	_, err = l.deliver(t, "logs/e", "x", map[string]string{"sse": "aws:kms"})
	if got := failure(t, err); got != cloud.CodeNoPermissions {
		t.Errorf("a delivery with AWS's own key, which the ring has not: got %q", got)
	}
}

func TestDeliveriesHonourObjectLock(t *testing.T) {
	l := newLab(t)
	l.enableVersions(t)
	retain(t, l.client, bucket)
	if _, err := l.deliver(t, "a", "x", nil); err != nil {
		t.Fatal(err)
	}
	head, err := l.client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("a")})
	if err != nil || head.ObjectLockMode != types.ObjectLockModeCompliance {
		t.Fatalf("got %+v, %v", head, err)
	}
	_, err = l.remove(t, bucket, "a", *head.VersionId, false)
	wants(t, err, "AccessDenied")
}

func TestFaultsMeetS3sOperationsByTheirNames(t *testing.T) {
	l := newLab(t)
	for kind, want := range map[cloud.FaultKind]string{cloud.FaultThrottle: "SlowDown", cloud.FaultDown: "ServiceUnavailable", cloud.FaultDeny: "AccessDenied"} {
		id, err := l.cloud.Faults.Add(cloud.Fault{Kind: kind, Service: "s3", Action: "CreateMultipartUpload"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.client.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("a")})
		wants(t, err, want)
		l.put(t, "a", "x")
		l.cloud.Faults.Remove(id)
	}
	calls, _ := l.cloud.Calls.List()
	if last := calls[len(calls)-1]; last.Operation != "PutObject" || last.Status != 200 {
		t.Errorf("got %+v", last)
	}
	_, _ = l.get(t, "none", "")
	calls, _ = l.cloud.Calls.List()
	if last := calls[len(calls)-1]; last.Operation != "GetObject" || last.Status != 404 || last.Error != "NoSuchKey" {
		t.Errorf("got %+v", last)
	}
}
