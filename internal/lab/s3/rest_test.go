package s3_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/catchment/internal/lab/labtest"
	labs3 "example.org/catchment/internal/lab/s3"
)

func TestTagsOfObjectsAreChanged(t *testing.T) {
	l := newLab(t)
	l.put(t, "a", "x")
	b, a := aws.String(bucket), aws.String("a")
	put := func(tags ...types.Tag) error {
		_, err := l.client.PutObjectTagging(t.Context(), &awss3.PutObjectTaggingInput{Bucket: b, Key: a, Tagging: &types.Tagging{TagSet: tags}})
		return err
	}
	one := func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }
	for name, tt := range map[string]struct {
		tags []types.Tag
		want string
	}{
		"128 letters":   {[]types.Tag{one(strings.Repeat("k", 128), strings.Repeat("v", 256))}, ""},
		"a long key":    {[]types.Tag{one(strings.Repeat("k", 129), "")}, "InvalidTag"},
		"a long value":  {[]types.Tag{one("k", strings.Repeat("v", 257))}, "InvalidTag"},
		"no key":        {[]types.Tag{one("", "v")}, "InvalidTag"},
		"11 of them":    {[]types.Tag{one("1", ""), one("2", ""), one("3", ""), one("4", ""), one("5", ""), one("6", ""), one("7", ""), one("8", ""), one("9", ""), one("0", ""), one("a", "")}, "BadRequest"},
		"one, at least": {[]types.Tag{one("k", "v")}, ""},
	} {
		if got := code(t, put(tt.tags...)); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
	_, err := l.client.DeleteObjectTagging(t.Context(), &awss3.DeleteObjectTaggingInput{Bucket: b, Key: a})
	wants(t, err, "")
	out, err := l.client.GetObjectTagging(t.Context(), &awss3.GetObjectTaggingInput{Bucket: b, Key: a})
	if err != nil || len(out.TagSet) != 0 {
		t.Errorf("got %+v, %v", out, err)
	}
	_, err = l.client.GetObjectTagging(t.Context(), &awss3.GetObjectTaggingInput{Bucket: b, Key: aws.String("none")})
	wants(t, err, "NoSuchKey")
	tags := make([]types.Tag, 51)
	for i := range tags {
		tags[i] = one(strings.Repeat("k", i+1), "")
	}
	_, err = l.client.PutBucketTagging(t.Context(), &awss3.PutBucketTaggingInput{Bucket: b, Tagging: &types.Tagging{TagSet: tags}})
	wants(t, err, "BadRequest")
	_, err = l.client.PutBucketTagging(t.Context(), &awss3.PutBucketTaggingInput{Bucket: b, Tagging: &types.Tagging{TagSet: tags[1:]}})
	wants(t, err, "")
	_, err = l.client.DeleteBucketTagging(t.Context(), &awss3.DeleteBucketTaggingInput{Bucket: b})
	wants(t, err, "")
}

func TestACLsAreThoseOfAnOwnerWhoMayDoEverything(t *testing.T) {
	l := newLab(t)
	l.put(t, "a", "x")
	b, a := aws.String(bucket), aws.String("a")
	acl, err := l.client.GetObjectAcl(t.Context(), &awss3.GetObjectAclInput{Bucket: b, Key: a})
	if err != nil || acl.Grants[0].Permission != types.PermissionFullControl {
		t.Errorf("got %+v, %v", acl, err)
	}
	object := func(canned types.ObjectCannedACL) error {
		_, err := l.client.PutObjectAcl(t.Context(), &awss3.PutObjectAclInput{Bucket: b, Key: a, ACL: canned})
		return err
	}
	whole := func(canned types.BucketCannedACL) error {
		_, err := l.client.PutBucketAcl(t.Context(), &awss3.PutBucketAclInput{Bucket: b, ACL: canned})
		return err
	}
	wants(t, object(types.ObjectCannedACLBucketOwnerFullControl), "")
	wants(t, object(types.ObjectCannedACLPublicRead), "AccessControlListNotSupported")
	wants(t, whole(types.BucketCannedACLPrivate), "AccessControlListNotSupported")
	_, err = l.client.PutBucketOwnershipControls(t.Context(), &awss3.PutBucketOwnershipControlsInput{Bucket: b, OwnershipControls: &types.OwnershipControls{
		Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipObjectWriter}},
	}})
	wants(t, err, "")
	wants(t, whole(types.BucketCannedACLPrivate), "")
	wants(t, object(types.ObjectCannedACLPublicRead), "NotImplemented")
}

func TestLockHeadersOfPuts(t *testing.T) {
	l := newLab(t)
	l.locked(t, "evidence", nil)
	later, before := aws.Time(labtest.Start.Add(time.Hour)), aws.Time(labtest.Start)
	for name, tt := range map[string]struct {
		mode  types.ObjectLockMode
		until *time.Time
		hold  types.ObjectLockLegalHoldStatus
		want  string
	}{
		"both":                   {types.ObjectLockModeCompliance, later, "", ""},
		"a mode alone":           {types.ObjectLockModeCompliance, nil, "", "InvalidArgument"},
		"a time alone":           {"", later, "", "InvalidArgument"},
		"no such mode":           {"FOREVER", later, "", "InvalidArgument"},
		"a time that is now":     {types.ObjectLockModeCompliance, before, "", "InvalidArgument"},
		"a hold":                 {"", nil, types.ObjectLockLegalHoldStatusOn, ""},
		"a hold of another kind": {"", nil, "MAYBE", "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := l.client.PutObject(t.Context(), &awss3.PutObjectInput{
				Bucket: aws.String("evidence"), Key: &name, Body: strings.NewReader("x"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
				ObjectLockMode: tt.mode, ObjectLockRetainUntilDate: tt.until, ObjectLockLegalHoldStatus: tt.hold,
			})
			wants(t, err, tt.want)
			if tt.want != "" {
				return
			}
			_, err = l.remove(t, "evidence", name, *out.VersionId, true)
			wants(t, err, "AccessDenied")
		})
	}
	created, err := l.client.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: aws.String("evidence"), Key: aws.String("parts"), ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: later,
	})
	wants(t, err, "")
	_, err = l.client.UploadPart(t.Context(), &awss3.UploadPartInput{
		Bucket: aws.String("evidence"), Key: aws.String("parts"), UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
	}, func(o *awss3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
	wants(t, err, "InvalidRequest")
	for _, o := range l.Inspect().([]labs3.Overview) {
		if o.Name == "evidence" && (o.ObjectLock != "Enabled" || o.Uploads != 1) {
			t.Errorf("got %+v", o)
		}
	}
	wants(t, l.setDefault(t, "evidence", &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(36500)}), "")
	if o := l.Inspect().([]labs3.Overview)[0]; o.ObjectLock != "COMPLIANCE 36500 days" {
		t.Errorf("got %q", o.ObjectLock)
	}
}

func TestLifecycleFiltersByTagAndSize(t *testing.T) {
	l := newLab(t)
	put := func(key, body, tags string) {
		_, err := l.client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(body), Tagging: &tags})
		wants(t, err, "")
	}
	put("tagged", "x", "keep=no")
	put("tagged-else", "x", "keep=yes")
	put("large", "0123456789", "")
	put("dated/a", "x", "")
	filter := func(f types.LifecycleRuleFilter, e types.LifecycleExpiration) types.LifecycleRule {
		return types.LifecycleRule{Status: "Enabled", Filter: &f, Expiration: &e}
	}
	date := labtest.Start.Truncate(24*time.Hour).AddDate(0, 0, 3)
	wants(t, l.setRules(t,
		filter(types.LifecycleRuleFilter{Tag: &types.Tag{Key: aws.String("keep"), Value: aws.String("no")}}, types.LifecycleExpiration{Days: aws.Int32(1)}),
		filter(types.LifecycleRuleFilter{ObjectSizeGreaterThan: aws.Int64(5)}, types.LifecycleExpiration{Days: aws.Int32(1)}),
		filter(types.LifecycleRuleFilter{Prefix: aws.String("dated/")}, types.LifecycleExpiration{Date: &date}),
	), "")
	labtest.Advance(t, l.cloud, 40*time.Hour)
	if got := l.listAll(t, 10, awss3.ListObjectsV2Input{}); strings.Join(got, " ") != "dated/a tagged-else" {
		t.Errorf("got %q", got)
	}
	labtest.Advance(t, l.cloud, 24*time.Hour)
	if got := l.listAll(t, 10, awss3.ListObjectsV2Input{}); strings.Join(got, " ") != "tagged-else" {
		t.Errorf("got %q", got)
	}
	_, err := l.client.DeleteBucketLifecycle(t.Context(), &awss3.DeleteBucketLifecycleInput{Bucket: aws.String(bucket)})
	wants(t, err, "")
	labtest.Advance(t, l.cloud, 24*time.Hour)
	if n, _ := l.cloud.Clock.Pending(); n != 0 {
		t.Errorf("%d rounds are to come though there are no rules", n)
	}
}

func TestReadsAnswerWithTheHeadersThatTheyAskFor(t *testing.T) {
	l := newLab(t)
	l.put(t, "a", "x")
	out, err := l.client.GetObject(t.Context(), &awss3.GetObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("a"), ResponseContentType: aws.String("text/csv"), ResponseContentDisposition: aws.String("attachment"),
	})
	if err != nil || *out.ContentType != "text/csv" || *out.ContentDisposition != "attachment" {
		t.Fatalf("got %+v, %v", out, err)
	}
	if err := out.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestMethodsThatThereAreNot(t *testing.T) {
	l := newLab(t)
	for method, want := range map[string]int{http.MethodPatch: 405, http.MethodPost: 501} {
		r, err := http.NewRequestWithContext(t.Context(), method, l.server.URL+"/"+bucket+"/a", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Errorf("%s: got %d, %v, want %d", method, response.StatusCode, err, want)
		}
	}
}

// TestTheSameSeedGivesTheSame ids of versions and uploads.
func TestTheSameSeedGivesTheSame(t *testing.T) {
	var got [2]string
	for i := range got {
		l := newLab(t)
		l.enableVersions(t)
		id, _ := l.begin(t, "b")
		got[i] = *l.put(t, "a", "x").VersionId + *id
	}
	if got[0] != got[1] {
		t.Errorf("got %q", got)
	}
}
