package s3_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/s3"
	"example.org/catchment/internal/store/storetest"
)

// TestStoreOnVersitygw runs the contract against a server that is not ours.
// versitygw 1.8.0 differs from S3: it ignores SSE headers, keeps objects as files,
// so that a key cannot be a folder of other keys too, hangs up in the middle of a
// body that it refuses, and does not show a bucket's retention on its objects.
func TestStoreOnVersitygw(t *testing.T) {
	g := storetest.Versitygw(t)
	cfg := config(g.Endpoint)
	cfg.Credentials = credentials.NewStaticCredentialsProvider(g.AccessKey, g.SecretKey, "")
	admin := awss3.NewFromConfig(cfg, func(o *awss3.Options) { o.UsePathStyle = true })
	var number atomic.Int32
	create := func(t *testing.T, lock bool) string {
		t.Helper()
		name := fmt.Sprintf("findings-%d", number.Add(1))
		if _, err := admin.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: &lock}); err != nil {
			t.Fatal(err)
		}
		return name
	}

	for name, o := range map[string]s3.Options{
		"as it comes": {},
		"verified by Content-MD5, asked for SSE-KMS, in parts": {Checksum: s3.MD5, SSE: "aws:kms", KMSKeyID: "alias/x", PartSize: 5 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				t.Helper()
				own := o // the suite's tests run side by side
				own.Bucket = create(t, false)
				return s3.Open(cfg, own)
			})
		})
	}

	t.Run("each checksum is taken, whole and in parts", func(t *testing.T) {
		body := strings.NewReader(strings.Repeat("0123456789abcde\n", 11<<16))
		for _, sum := range s3.Checksums() {
			o := s3.Options{Bucket: create(t, false), Checksum: sum, IfNoneMatch: s3.Always}
			if err := s3.Open(cfg, o).Put(t.Context(), "whole", body); err != nil {
				t.Errorf("%s: %v", sum, err)
			}
			o.PartSize = 5 << 20
			if err := s3.Open(cfg, o).Put(t.Context(), "parts", body); err != nil {
				t.Errorf("%s, in parts: %v", sum, err)
			}
		}
	})

	t.Run("Object Lock, with retention", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			t.Helper()
			name := create(t, true)
			retain(t, admin, name)
			return s3.Open(cfg, s3.Options{Bucket: name, PartSize: 5 << 20, IfNoneMatch: s3.Always})
		})
	})

	t.Run("a locked object cannot be deleted", func(t *testing.T) {
		name := create(t, true)
		retain(t, admin, name)
		s := s3.Open(cfg, s3.Options{Bucket: name})
		if err := s.Put(t.Context(), "a/b", strings.NewReader("evidence")); err != nil {
			t.Fatal(err)
		}
		head, err := admin.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: &name, Key: aws.String("a/b")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = admin.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &name, Key: aws.String("a/b"), VersionId: head.VersionId})
		var refused smithy.APIError
		if !errors.As(err, &refused) || refused.ErrorCode() != "AccessDenied" {
			t.Errorf("delete of a locked version: got %v, want AccessDenied", err)
		}
	})

	t.Run("wrong credentials and a missing bucket are refused, with a hint", func(t *testing.T) {
		wrong := cfg
		wrong.Credentials = credentials.NewStaticCredentialsProvider(g.AccessKey, "wrongwrongwrong", "")
		for name, s := range map[string]*s3.Store{
			"credentials are not valid": s3.Open(wrong, s3.Options{Bucket: create(t, false)}),
			"does not exist":            s3.Open(cfg, s3.Options{Bucket: "no-such-bucket"}),
		} {
			err := s.Put(t.Context(), "a/b", strings.NewReader("x"))
			var refused *store.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Hint, name) {
				t.Errorf("got %v, want a *RefusedError whose hint says %q", err, name)
			}
		}
	})
}

func retain(t *testing.T, admin *awss3.Client, bucket string) {
	t.Helper()
	_, err := admin.PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{
		Bucket: &bucket,
		ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{
				Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(1),
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}
