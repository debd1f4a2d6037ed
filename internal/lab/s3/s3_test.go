package s3_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	labs3 "example.org/catchment/internal/lab/s3"
)

// A lab is S3 alone, with a bucket.
type lab struct {
	*labs3.Service
	cloud  *cloud.Cloud
	server *labtest.Server
	client *awss3.Client // of the administrator
}

const bucket = "findings-lake"

func newLab(t *testing.T, options ...func(*cloud.Cloud)) *lab {
	t.Helper()
	c := labtest.NewCloud(t)
	for _, f := range options {
		f(c)
	}
	s := labs3.New(c)
	l := &lab{Service: s, cloud: c, server: labtest.Serve(t, c, s.Wire())}
	l.client = l.as(labtest.Administrator)
	if err := s.CreateBucket(c.Accounts.Place(labtest.Administrator, labtest.Region), bucket); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) as(account string) *awss3.Client { return l.in(account, labtest.Region) }

func (l *lab) in(account, region string) *awss3.Client {
	return awss3.NewFromConfig(l.server.Config(account, region), func(o *awss3.Options) { o.UsePathStyle = true })
}

// code is the error's; empty for nil.
func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		t.Fatalf("%v is no answer of the service", err)
	}
	return api.ErrorCode()
}

func wants(t *testing.T, err error, want string) {
	t.Helper()
	if got := code(t, err); got != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

func (l *lab) put(t *testing.T, key, body string) *awss3.PutObjectOutput {
	t.Helper()
	out, err := l.client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return out
}

// get reads an object; the second value is the error's code.
func (l *lab) get(t *testing.T, key, version string) (body, failure string) {
	t.Helper()
	in := &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: &key, ChecksumMode: types.ChecksumModeEnabled}
	if version != "" {
		in.VersionId = &version
	}
	out, err := l.client.GetObject(t.Context(), in)
	if err != nil {
		return "", code(t, err)
	}
	b, err := io.ReadAll(out.Body)
	if err := errors.Join(err, out.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b), ""
}

func (l *lab) enableVersions(t *testing.T) {
	t.Helper()
	_, err := l.client.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
}
