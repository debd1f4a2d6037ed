package s3_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/catchment/internal/lab/labtest"
)

func (l *lab) remove(t *testing.T, name, key, version string, bypass bool) (*awss3.DeleteObjectOutput, error) {
	t.Helper()
	in := &awss3.DeleteObjectInput{Bucket: &name, Key: &key}
	if version != "" {
		in.VersionId = &version
	}
	if bypass {
		in.BypassGovernanceRetention = aws.Bool(true)
	}
	return l.client.DeleteObject(t.Context(), in)
}

func TestDeletedObjectsComeBackWithTheirMarkerGone(t *testing.T) {
	l := newLab(t)
	l.put(t, "a", "old")
	l.enableVersions(t)
	l.put(t, "a", "new")
	marker, err := l.remove(t, bucket, "a", "", false)
	if err != nil || !aws.ToBool(marker.DeleteMarker) {
		t.Fatalf("got %+v, %v", marker, err)
	}
	if _, failure := l.get(t, "a", ""); failure != "NoSuchKey" {
		t.Errorf("deleted: got %q", failure)
	}
	if got := l.listAll(t, 10, awss3.ListObjectsV2Input{}); len(got) != 0 {
		t.Errorf("deleted, but listed: %q", got)
	}
	if _, failure := l.get(t, "a", *marker.VersionId); failure != "MethodNotAllowed" {
		t.Errorf("the marker itself: got %q", failure)
	}
	if body, _ := l.get(t, "a", "null"); body != "old" {
		t.Errorf("the version of before: got %q", body)
	}
	if _, failure := l.get(t, "a", strings.Repeat("x", 32)); failure != "NoSuchVersion" {
		t.Errorf("no such version: got %q", failure)
	}
	if _, failure := l.get(t, "a", "x"); failure != "InvalidArgument" {
		t.Errorf("an id that is none: got %q", failure)
	}
	out, err := l.remove(t, bucket, "a", *marker.VersionId, false)
	if err != nil || !aws.ToBool(out.DeleteMarker) {
		t.Errorf("got %+v, %v", out, err)
	}
	if body, _ := l.get(t, "a", ""); body != "new" {
		t.Errorf("without its marker: got %q", body)
	}
}

func TestSuspendedVersionsReplaceTheNullVersion(t *testing.T) {
	l := newLab(t)
	l.enableVersions(t)
	kept := l.put(t, "a", "kept")
	_, err := l.client.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended},
	})
	wants(t, err, "")
	for _, body := range []string{"1", "2"} {
		if id := l.put(t, "a", body).VersionId; aws.ToString(id) != "null" {
			t.Errorf("got version %v, want null", id)
		}
	}
	if got := l.listVersions(t, 10, "", ""); len(got) != 2 {
		t.Errorf("got %q, want two", got)
	}
	out, err := l.remove(t, bucket, "a", "", false)
	if err != nil || aws.ToString(out.VersionId) != "null" || !aws.ToBool(out.DeleteMarker) {
		t.Errorf("got %+v, %v", out, err)
	}
	if body, _ := l.get(t, "a", *kept.VersionId); body != "kept" {
		t.Errorf("got %q", body)
	}
}

func TestManyObjectsAreDeletedAtOnce(t *testing.T) {
	l := newLab(t)
	for _, key := range []string{"a", "b", "&<c>"} {
		l.put(t, key, "x")
	}
	ids := []types.ObjectIdentifier{{Key: aws.String("a")}, {Key: aws.String("&<c>")}, {Key: aws.String("none")}, {Key: aws.String("b"), VersionId: aws.String("x")}}
	out, err := l.client.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: ids}})
	if err != nil || len(out.Deleted) != 3 || *out.Deleted[1].Key != "&<c>" || len(out.Errors) != 1 || *out.Errors[0].Code != "InvalidArgument" {
		t.Errorf("got %+v, %v", out, err)
	}
	out, err = l.client.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: ids[:1], Quiet: aws.Bool(true)}})
	if err != nil || len(out.Deleted) != 0 {
		t.Errorf("quietly: got %+v, %v", out, err)
	}
	many := make([]types.ObjectIdentifier, 1001)
	for i := range many {
		many[i].Key = aws.String("x")
	}
	_, err = l.client.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: many}})
	wants(t, err, "MalformedXML")
}

// locked makes a bucket with Object Lock.
func (l *lab) locked(t *testing.T, name string, d *types.DefaultRetention) {
	t.Helper()
	_, err := l.client.CreateBucket(t.Context(), &awss3.CreateBucketInput{
		Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: labtest.Region},
	})
	wants(t, err, "")
	if d != nil {
		wants(t, l.setDefault(t, name, d), "")
	}
}

func (l *lab) setDefault(t *testing.T, name string, d *types.DefaultRetention) error {
	t.Helper()
	_, err := l.client.PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{
		Bucket: &name, ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &types.ObjectLockRule{DefaultRetention: d},
		},
	})
	return err
}

func TestLockedVersionsStay(t *testing.T) {
	const (
		governance = types.ObjectLockRetentionModeGovernance
		compliance = types.ObjectLockRetentionModeCompliance
	)
	for name, tt := range map[string]struct {
		mode   types.ObjectLockRetentionMode
		hold   bool
		bypass bool
		after  time.Duration
		want   string
	}{
		"governance":                    {mode: governance, want: "AccessDenied"},
		"governance, bypassed":          {mode: governance, bypass: true},
		"governance, until the last":    {mode: governance, after: 24*time.Hour - 1, want: "AccessDenied"},
		"governance, over":              {mode: governance, after: 24 * time.Hour},
		"compliance":                    {mode: compliance, want: "AccessDenied"},
		"compliance cannot be bypassed": {mode: compliance, bypass: true, want: "AccessDenied"},
		"compliance, over":              {mode: compliance, after: 24 * time.Hour},
		"a hold is not bypassed":        {mode: governance, hold: true, bypass: true, want: "AccessDenied"},
		"a hold lasts":                  {mode: governance, hold: true, after: 48 * time.Hour, want: "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.locked(t, "evidence", &types.DefaultRetention{Mode: tt.mode, Days: aws.Int32(1)})
			in := &awss3.PutObjectInput{Bucket: aws.String("evidence"), Key: aws.String("a"), Body: strings.NewReader("x"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32}
			if tt.hold {
				in.ObjectLockLegalHoldStatus = types.ObjectLockLegalHoldStatusOn
			}
			out, err := l.client.PutObject(t.Context(), in)
			wants(t, err, "")
			labtest.Advance(t, l.cloud, tt.after)
			_, err = l.remove(t, "evidence", "a", "", false)
			wants(t, err, "") // a delete marker hides it
			_, err = l.remove(t, "evidence", "a", *out.VersionId, tt.bypass)
			wants(t, err, tt.want)
		})
	}
}

func TestRetentionIsMadeLongerButNotShorter(t *testing.T) {
	day := func(n int) *time.Time { return aws.Time(labtest.Start.AddDate(0, 0, n)) }
	type step struct {
		mode   types.ObjectLockRetentionMode
		until  *time.Time
		bypass bool
		want   string
	}
	const (
		g = types.ObjectLockRetentionModeGovernance
		c = types.ObjectLockRetentionModeCompliance
	)
	for name, steps := range map[string][]step{
		"longer":                      {{g, day(2), false, ""}, {g, day(3), false, ""}},
		"shorter":                     {{g, day(3), false, ""}, {g, day(2), false, "AccessDenied"}, {g, day(2), true, ""}},
		"stricter":                    {{g, day(3), false, ""}, {c, day(3), false, ""}, {g, day(4), true, "AccessDenied"}},
		"compliance is final":         {{c, day(3), false, ""}, {c, day(2), true, "AccessDenied"}, {c, day(4), false, ""}},
		"none":                        {{g, day(3), false, ""}, {"", nil, false, "AccessDenied"}, {"", nil, true, ""}},
		"in the past":                 {{g, day(-1), false, "InvalidArgument"}},
		"a mode without its time":     {{g, nil, false, "MalformedXML"}},
		"a mode that there is not":    {{"FOREVER", day(1), false, "MalformedXML"}},
		"compliance cannot be undone": {{c, day(3), false, ""}, {"", nil, true, "AccessDenied"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.locked(t, "evidence", nil)
			_, err := l.client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("evidence"), Key: aws.String("a"), Body: strings.NewReader("x")})
			wants(t, err, "")
			_, err = l.client.GetObjectRetention(t.Context(), &awss3.GetObjectRetentionInput{Bucket: aws.String("evidence"), Key: aws.String("a")})
			wants(t, err, "NoSuchObjectLockConfiguration")
			for i, s := range steps {
				_, err := l.client.PutObjectRetention(t.Context(), &awss3.PutObjectRetentionInput{
					Bucket: aws.String("evidence"), Key: aws.String("a"), BypassGovernanceRetention: &s.bypass,
					Retention: &types.ObjectLockRetention{Mode: s.mode, RetainUntilDate: s.until},
				})
				if got := code(t, err); got != s.want {
					t.Errorf("step %d: got %q (%v), want %q", i, got, err, s.want)
				}
				if s.want != "" || s.until == nil {
					continue
				}
				out, err := l.client.GetObjectRetention(t.Context(), &awss3.GetObjectRetentionInput{Bucket: aws.String("evidence"), Key: aws.String("a")})
				if err != nil || out.Retention.Mode != s.mode || !out.Retention.RetainUntilDate.Equal(*s.until) {
					t.Errorf("step %d: got %+v, %v", i, out, err)
				}
			}
		})
	}
}

func TestBucketsWithRetentionWantADigest(t *testing.T) {
	l := newLab(t)
	l.locked(t, "evidence", &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Years: aws.Int32(1)})
	l.locked(t, "unlocked", nil)
	for name, tt := range map[string]struct {
		change func(in *awss3.PutObjectInput)
		want   string
	}{
		"with nothing":           {func(*awss3.PutObjectInput) {}, "InvalidRequest"},
		"with a checksum":        {func(in *awss3.PutObjectInput) { in.ChecksumCRC32 = aws.String(crcOf("x")) }, ""},
		"with an MD5":            {func(in *awss3.PutObjectInput) { in.ContentMD5 = aws.String("nd2fudWQaTGXHYNRCPGLPA==") }, "BadDigest"},
		"without retention":      {func(in *awss3.PutObjectInput) { in.Bucket = aws.String("unlocked") }, ""},
		"with a hold of its own": {func(in *awss3.PutObjectInput) { in.Bucket, in.ObjectLockLegalHoldStatus = aws.String("unlocked"), "ON" }, "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &awss3.PutObjectInput{Bucket: aws.String("evidence"), Key: aws.String("a"), Body: strings.NewReader("x")}
			tt.change(in)
			_, err := l.client.PutObject(t.Context(), in, func(o *awss3.Options) {
				o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			})
			wants(t, err, tt.want)
		})
	}
	head, err := l.client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String("evidence"), Key: aws.String("a")})
	if err != nil || head.ObjectLockMode != types.ObjectLockModeGovernance || !head.ObjectLockRetainUntilDate.Equal(labtest.Start.AddDate(1, 0, 0)) {
		t.Errorf("got %+v, %v", head, err)
	}
}

func TestObjectLockOfBuckets(t *testing.T) {
	l := newLab(t)
	get := func(name string) (*awss3.GetObjectLockConfigurationOutput, error) {
		return l.client.GetObjectLockConfiguration(t.Context(), &awss3.GetObjectLockConfigurationInput{Bucket: &name})
	}
	_, err := get(bucket)
	wants(t, err, "ObjectLockConfigurationNotFoundError")
	year := &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Years: aws.Int32(7)}
	wants(t, l.setDefault(t, bucket, year), "InvalidBucketState")
	l.enableVersions(t)
	wants(t, l.setDefault(t, bucket, year), "")
	out, err := get(bucket)
	if err != nil || *out.ObjectLockConfiguration.Rule.DefaultRetention.Years != 7 {
		t.Errorf("got %+v, %v", out, err)
	}
	for name, d := range map[string]*types.DefaultRetention{
		"both":         {Mode: "GOVERNANCE", Days: aws.Int32(1), Years: aws.Int32(1)},
		"neither":      {Mode: "GOVERNANCE"},
		"no such mode": {Mode: "X", Days: aws.Int32(1)},
	} {
		if got := code(t, l.setDefault(t, bucket, d)); got != "MalformedXML" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for name, days := range map[string]int32{"none": 0, "too many": 36501} {
		if got := code(t, l.setDefault(t, bucket, &types.DefaultRetention{Mode: "GOVERNANCE", Days: &days})); got != "InvalidArgument" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	_, err = l.client.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended},
	})
	wants(t, err, "InvalidBucketState")
}

func TestLegalHolds(t *testing.T) {
	l := newLab(t)
	l.locked(t, "evidence", nil)
	l.put(t, "a", "x")
	out, err := l.client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("evidence"), Key: aws.String("a"), Body: strings.NewReader("x")})
	wants(t, err, "")
	hold := func(name string, status types.ObjectLockLegalHoldStatus) error {
		_, err := l.client.PutObjectLegalHold(t.Context(), &awss3.PutObjectLegalHoldInput{
			Bucket: &name, Key: aws.String("a"), LegalHold: &types.ObjectLockLegalHold{Status: status},
		})
		return err
	}
	_, err = l.client.GetObjectLegalHold(t.Context(), &awss3.GetObjectLegalHoldInput{Bucket: aws.String("evidence"), Key: aws.String("a")})
	wants(t, err, "NoSuchObjectLockConfiguration")
	wants(t, hold(bucket, "ON"), "InvalidRequest")
	wants(t, hold("evidence", "MAYBE"), "MalformedXML")
	wants(t, hold("evidence", "ON"), "")
	_, err = l.remove(t, "evidence", "a", *out.VersionId, true)
	wants(t, err, "AccessDenied")
	wants(t, hold("evidence", "OFF"), "")
	_, err = l.remove(t, "evidence", "a", *out.VersionId, false)
	wants(t, err, "")
}
