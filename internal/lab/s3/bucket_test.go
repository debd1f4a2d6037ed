package s3_test

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/labtest"
	labs3 "example.org/catchment/internal/lab/s3"
)

func (l *lab) create(t *testing.T, client *awss3.Client, name, constraint string) error {
	t.Helper()
	in := &awss3.CreateBucketInput{Bucket: &name}
	if constraint != "" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(constraint)}
	}
	_, err := client.CreateBucket(t.Context(), in)
	return err
}

func TestBucketNamesKeepToTheRules(t *testing.T) {
	l := newLab(t)
	for why, name := range map[string]string{
		"two letters": "ab", "64 letters": strings.Repeat("a", 64), "upper case": "Findings", "an underscore": "a_b_c", "a dot at the end": "abc.",
		"a hyphen at the start": "-abc", "two dots": "a..bc", "an address": "192.168.5.4", "xn--": "xn--abc", "sthree-": "sthree-abc",
		"an alias": "abc-s3alias", "an access point": "abc--ol-s3", "a directory bucket": "abc--x-s3", "a table": "abc--table-s3",
	} {
		if err := l.CreateBucket(l.cloud.Accounts.Place(labtest.Member, labtest.Region), name); err == nil || !strings.Contains(err.Error(), "InvalidBucketName") {
			t.Errorf("%s (%s): got %v, want InvalidBucketName", why, name, err)
		}
	}
	wants(t, l.create(t, l.client, "Upper", labtest.Region), "InvalidBucketName")
	for _, name := range []string{"abc", strings.Repeat("a", 63), "my.bucket-1", "1a2"} {
		wants(t, l.create(t, l.client, name, labtest.Region), "")
	}
}

func TestBucketsAreMadeWhereTheRequestSays(t *testing.T) {
	for name, tt := range map[string]struct{ endpoint, constraint, location, failure string }{
		"a region's own endpoint wants to be told":   {"eu-west-1", "", "", "IllegalLocationConstraintException"},
		"a region's own endpoint makes its own":      {"eu-west-1", "eu-west-1", "eu-west-1", ""},
		"a region's own endpoint makes no others":    {"eu-west-1", "eu-central-1", "", "IllegalLocationConstraintException"},
		"us-east-1 is what is not said":              {"us-east-1", "", "", ""},
		"us-east-1 may not be said":                  {"us-east-1", "us-east-1", "", "InvalidLocationConstraint"},
		"us-east-1 makes them in all regions":        {"us-east-1", "eu-central-1", "eu-central-1", ""},
		"no such region":                             {"us-east-1", "eu-west-9", "", "InvalidLocationConstraint"},
		"a region that the account has not switched": {"us-east-1", "af-south-1", "", "InvalidLocationConstraint"},
		"EU is Ireland":                              {"us-east-1", "EU", "eu-west-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			client := l.in(labtest.Administrator, tt.endpoint)
			wants(t, l.create(t, client, "some-bucket", tt.constraint), tt.failure)
			if tt.failure != "" {
				return
			}
			out, err := client.GetBucketLocation(t.Context(), &awss3.GetBucketLocationInput{Bucket: aws.String("some-bucket")})
			if err != nil || string(out.LocationConstraint) != tt.location {
				t.Errorf("location: got %+v, %v, want %q", out, err, tt.location)
			}
		})
	}
}

func TestBucketNamesAreOneSpaceOverAllAccounts(t *testing.T) {
	l := newLab(t)
	wants(t, l.create(t, l.client, bucket, labtest.Region), "BucketAlreadyOwnedByYou")
	wants(t, l.create(t, l.as(labtest.Member), bucket, labtest.Region), "BucketAlreadyExists")
	east := l.in(labtest.Administrator, "us-east-1")
	wants(t, l.create(t, east, "in-the-east", ""), "")
	wants(t, l.create(t, east, "in-the-east", ""), "") // there alone it is no error
	wants(t, l.create(t, l.in(labtest.Member, "us-east-1"), "in-the-east", ""), "BucketAlreadyExists")
	if err := l.CreateBucket(l.cloud.Accounts.Place(labtest.Member, labtest.Region), bucket); err == nil {
		t.Error("a second bucket of the same name could be made in Go")
	}
}

func TestHeadBucketTellsTheRegion(t *testing.T) {
	l := newLab(t)
	out, err := l.client.HeadBucket(t.Context(), &awss3.HeadBucketInput{Bucket: aws.String(bucket)})
	if err != nil || aws.ToString(out.BucketRegion) != labtest.Region {
		t.Errorf("got %+v, %v", out, err)
	}
	_, err = l.client.HeadBucket(t.Context(), &awss3.HeadBucketInput{Bucket: aws.String("no-such-bucket")})
	wants(t, err, "NotFound")
	_, err = l.client.HeadBucket(t.Context(), &awss3.HeadBucketInput{Bucket: aws.String(bucket), ExpectedBucketOwner: aws.String(labtest.Member)})
	wants(t, err, "Forbidden")
}

func TestListBucketsShowsTheCallersInPages(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"alpha", "beta", "beta-2", "gamma"} {
		wants(t, l.create(t, l.as(labtest.Member), name, labtest.Region), "")
	}
	var got []string
	pages := awss3.NewListBucketsPaginator(l.as(labtest.Member), &awss3.ListBucketsInput{MaxBuckets: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page.Buckets {
			got = append(got, *b.Name)
			if !b.CreationDate.Equal(labtest.Start) || *b.BucketRegion != labtest.Region {
				t.Errorf("%s: created %v in %s", *b.Name, b.CreationDate, *b.BucketRegion)
			}
		}
	}
	if diff := cmp.Diff([]string{"alpha", "beta", "beta-2", "gamma"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out, err := l.as(labtest.Member).ListBuckets(t.Context(), &awss3.ListBucketsInput{Prefix: aws.String("beta")})
	if err != nil || len(out.Buckets) != 2 {
		t.Errorf("beta…: got %+v, %v", out, err)
	}
	_, err = l.client.ListBuckets(t.Context(), &awss3.ListBucketsInput{ContinuationToken: aws.String("!")})
	wants(t, err, "InvalidArgument")
}

func TestOnlyEmptyBucketsAreDeleted(t *testing.T) {
	l := newLab(t)
	l.enableVersions(t)
	remove := func() error {
		_, err := l.client.DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: aws.String(bucket)})
		return err
	}
	version := l.put(t, "a", "x").VersionId
	wants(t, remove(), "BucketNotEmpty")
	out, err := l.client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("a")})
	wants(t, err, "")
	wants(t, remove(), "BucketNotEmpty")
	for _, id := range []*string{version, out.VersionId} {
		_, err := l.client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("a"), VersionId: id})
		wants(t, err, "")
	}
	wants(t, remove(), "")
	wants(t, remove(), "NoSuchBucket")
}

// TestBucketsHaveHostsOfTheirOwn: virtual-host style, at the names that lead to the lab.
func TestBucketsHaveHostsOfTheirOwn(t *testing.T) {
	l := newLab(t)
	where := strings.TrimPrefix(l.server.URL, "http://")
	dial := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", where)
	}}}
	for _, endpoint := range []string{"http://localhost:4599", "http://s3.localhost:4599", "http://s3.ap-northeast-1.amazonaws.com", "http://s3.example.test"} {
		cfg := l.server.Config(labtest.Administrator, labtest.Region)
		cfg.BaseEndpoint, cfg.HTTPClient = &endpoint, dial
		client := awss3.NewFromConfig(cfg)
		key := "some/key of " + endpoint
		if _, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("x")}); err != nil {
			t.Errorf("%s: %v", endpoint, err)
		}
		if body, failure := l.get(t, key, ""); body != "x" {
			t.Errorf("%s: path-style has %q, %s", endpoint, body, failure)
		}
		if _, err := client.ListBuckets(t.Context(), &awss3.ListBucketsInput{}); err != nil {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestWhatTheLabHasNotIsNotImplemented(t *testing.T) {
	l := newLab(t)
	_, err := l.client.GetBucketCors(t.Context(), &awss3.GetBucketCorsInput{Bucket: aws.String(bucket)})
	wants(t, err, "NotImplemented")
	_, err = l.client.GetBucketWebsite(t.Context(), &awss3.GetBucketWebsiteInput{Bucket: aws.String(bucket)})
	wants(t, err, "NotImplemented")
	_, err = l.client.RestoreObject(t.Context(), &awss3.RestoreObjectInput{Bucket: aws.String(bucket), Key: aws.String("a")})
	wants(t, err, "NotImplemented")
}

func TestInspectShowsBucketsWithTheirContent(t *testing.T) {
	l := newLab(t)
	l.enableVersions(t)
	l.put(t, "a", "1")
	l.put(t, "a", "22")
	l.put(t, "b", "333")
	all, ok := l.Inspect().([]labs3.Overview)
	want := []labs3.Overview{{
		Name: bucket, Account: labtest.Administrator, Region: labtest.Region, Objects: 2, Versions: 3, Bytes: 6,
		Versioning: "Enabled", Encryption: "AES256",
	}}
	if diff := cmp.Diff(want, all); !ok || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var keys []string
	for key, body := range l.Objects(bucket, "") {
		keys = append(keys, key+"="+string(body))
	}
	if !slices.Equal(keys, []string{"a=22", "b=333"}) {
		t.Errorf("objects %q", keys)
	}
	for range l.Objects("no-such-bucket", "") {
		t.Error("a bucket that is none has objects")
	}
}
