package s3_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/s3"
	"example.org/catchment/internal/store/storetest"
)

// TestTheProjectsStoreKeepsItsContractHere: the lab stands in for S3, so what runs against other servers runs here.
func TestTheProjectsStoreKeepsItsContractHere(t *testing.T) {
	l := newLab(t)
	cfg := l.server.Config(labtest.Administrator, labtest.Region)
	var number atomic.Int32
	create := func(t *testing.T, lock bool) string {
		t.Helper()
		name := fmt.Sprintf("findings-%d", number.Add(1))
		_, err := l.client.CreateBucket(t.Context(), &awss3.CreateBucketInput{
			Bucket: &name, ObjectLockEnabledForBucket: &lock,
			CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: labtest.Region},
		})
		if err != nil {
			t.Fatal(err)
		}
		if lock {
			retain(t, l.client, name)
		}
		return name
	}
	for name, tt := range map[string]struct {
		s3.Options
		lock bool
	}{
		"as it comes": {},
		"below a prefix, of an account, in parts, verified by Content-MD5, asked for SSE": {Options: s3.Options{
			Prefix: "some/where/", ExpectedBucketOwner: labtest.Administrator, Checksum: s3.MD5, SSE: "aws:kms", KMSKeyID: "alias/x", PartSize: 5 << 20,
		}},
		"Object Lock, with retention, in parts, vouched for": {Options: s3.Options{PartSize: 5 << 20, IfNoneMatch: s3.Always}, lock: true},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				t.Helper()
				own := tt.Options // the suite's tests run side by side
				own.Bucket = create(t, tt.lock)
				return s3.Open(cfg, own)
			})
		})
	}
	t.Run("each checksum is taken, whole and in parts", func(t *testing.T) {
		body := strings.NewReader(strings.Repeat("0123456789abcde\n", 6<<16))
		for _, sum := range s3.Checksums() {
			o := s3.Options{Bucket: create(t, false), Checksum: sum, IfNoneMatch: s3.Always}
			for part, key := range map[int64]string{0: "whole", 5 << 20: "parts"} {
				if o.PartSize = part; s3.Open(cfg, o).Put(t.Context(), key, body) != nil {
					t.Errorf("%s, %s: %v", sum, key, s3.Open(cfg, o).Put(t.Context(), key, body))
				}
			}
		}
	})
}

func retain(t *testing.T, admin *awss3.Client, name string) {
	t.Helper()
	_, err := admin.PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{
		Bucket: &name,
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
