package s3_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

// listAll lists in pages of n by continuation tokens. Common prefixes have an asterisk.
func (l *lab) listAll(t *testing.T, n int32, in awss3.ListObjectsV2Input) []string {
	t.Helper()
	got := []string{}
	in.Bucket, in.MaxKeys = aws.String(bucket), &n
	pages := awss3.NewListObjectsV2Paginator(l.client, &in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var entries []string
		for _, o := range page.Contents {
			entries = append(entries, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			entries = append(entries, *p.Prefix+"*")
		}
		if len(entries) != int(*page.KeyCount) || len(entries) > int(n) {
			t.Errorf("a page of %d says %d, asked for %d", len(entries), *page.KeyCount, n)
		}
		slices.Sort(entries)
		got = append(got, entries...)
	}
	return got
}

func TestListingsByPrefixDelimiterAndStart(t *testing.T) {
	l := newLab(t)
	for _, key := range []string{"a", "a/1", "a/2", "a/b/3", "a0", "b/", "b/1", "c", "ü/1", "日本/1"} {
		l.put(t, key, key)
	}
	for name, tt := range map[string]struct {
		in   awss3.ListObjectsV2Input
		want []string
	}{
		"all":                            {awss3.ListObjectsV2Input{}, []string{"a", "a/1", "a/2", "a/b/3", "a0", "b/", "b/1", "c", "ü/1", "日本/1"}},
		"by folder":                      {awss3.ListObjectsV2Input{Delimiter: aws.String("/")}, []string{"a", "a/*", "a0", "b/*", "c", "ü/*", "日本/*"}},
		"in a folder":                    {awss3.ListObjectsV2Input{Prefix: aws.String("a/"), Delimiter: aws.String("/")}, []string{"a/1", "a/2", "a/b/*"}},
		"by a prefix":                    {awss3.ListObjectsV2Input{Prefix: aws.String("a")}, []string{"a", "a/1", "a/2", "a/b/3", "a0"}},
		"after a key":                    {awss3.ListObjectsV2Input{StartAfter: aws.String("a/2")}, []string{"a/b/3", "a0", "b/", "b/1", "c", "ü/1", "日本/1"}},
		"after what is no key":           {awss3.ListObjectsV2Input{StartAfter: aws.String("b0")}, []string{"c", "ü/1", "日本/1"}},
		"after a key in a folder":        {awss3.ListObjectsV2Input{StartAfter: aws.String("a/1"), Delimiter: aws.String("/")}, []string{"a0", "b/*", "c", "ü/*", "日本/*"}},
		"a folder's own object":          {awss3.ListObjectsV2Input{Prefix: aws.String("b/"), Delimiter: aws.String("/")}, []string{"b/", "b/1"}},
		"a delimiter of several":         {awss3.ListObjectsV2Input{Delimiter: aws.String("/b/")}, []string{"a", "a/1", "a/2", "a/b/*", "a0", "b/", "b/1", "c", "ü/1", "日本/1"}},
		"nothing":                        {awss3.ListObjectsV2Input{Prefix: aws.String("z")}, []string{}},
		"a prefix behind, a start ahead": {awss3.ListObjectsV2Input{Prefix: aws.String("b"), StartAfter: aws.String("a")}, []string{"b/", "b/1"}},
	} {
		for _, n := range []int32{1, 2, 3, 1000} {
			if diff := cmp.Diff(tt.want, l.listAll(t, n, tt.in)); diff != "" {
				t.Errorf("%s, pages of %d (-want +got):\n%s", name, n, diff)
			}
		}
	}
}

func TestListingsOfTheFirstVersionGoOnFromAMarker(t *testing.T) {
	l := newLab(t)
	for _, key := range []string{"a/1", "a/2", "b", "c/1"} {
		l.put(t, key, "x")
	}
	var got []string
	var marker *string
	for range 5 {
		page, err := l.client.ListObjects(t.Context(), &awss3.ListObjectsInput{Bucket: aws.String(bucket), MaxKeys: aws.Int32(1), Delimiter: aws.String("/"), Marker: marker})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			got = append(got, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			got = append(got, *p.Prefix)
		}
		if marker = page.NextMarker; !*page.IsTruncated {
			break
		}
	}
	if diff := cmp.Diff([]string{"a/", "b", "c/"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestListingsRefuseWhatS3Refuses(t *testing.T) {
	l := newLab(t)
	for name, in := range map[string]awss3.ListObjectsV2Input{
		"a negative page":        {MaxKeys: aws.Int32(-1)},
		"a token that is none":   {ContinuationToken: aws.String("!!")},
		"an encoding that isn't": {EncodingType: "rot13"},
	} {
		in.Bucket = aws.String(bucket)
		_, err := l.client.ListObjectsV2(t.Context(), &in)
		if got := code(t, err); got != "InvalidArgument" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	_, err := l.client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("no-such-bucket")})
	wants(t, err, "NoSuchBucket")
	l.put(t, "a", "x")
	out, err := l.client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), MaxKeys: aws.Int32(0), FetchOwner: aws.Bool(true)})
	if err != nil || *out.IsTruncated || len(out.Contents) != 0 {
		t.Errorf("a page of nothing: %+v, %v", out, err)
	}
	out, err = l.client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), FetchOwner: aws.Bool(true)})
	if err != nil || out.Contents[0].Owner == nil || len(*out.Contents[0].Owner.ID) != 64 {
		t.Errorf("with owner: %+v, %v", out, err)
	}
	for i := range 1001 {
		l.put(t, fmt.Sprintf("many/%04d", i), "")
	}
	out, err = l.client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), MaxKeys: aws.Int32(5000), Prefix: aws.String("many/")})
	if err != nil || len(out.Contents) != 1000 || *out.MaxKeys != 1000 || !*out.IsTruncated {
		t.Errorf("a page of 5,000: %d, %v", len(out.Contents), err)
	}
}

// TestKeysOfAnyCharactersAreListed: what XML cannot have is asked for with encoding-type=url, which boto3 always does.
func TestKeysOfAnyCharactersAreListed(t *testing.T) {
	l := newLab(t)
	keys := []string{"\x01\x1f", "\n\r\t", " a  b ", "&<>\"'", "+%2B", "//", "\u0085\u2028", "\U0001F600", "\ufffe", "~"}
	slices.Sort(keys)
	for _, key := range keys {
		l.put(t, key, key)
		if body, failure := l.get(t, key, ""); body != key {
			t.Errorf("%q: got %q, %s", key, body, failure)
		}
	}
	var got []string
	out, err := l.client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), EncodingType: types.EncodingTypeUrl})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out.Contents {
		key, err := url.QueryUnescape(*o.Key)
		if err != nil {
			t.Error(err)
		}
		got = append(got, key)
	}
	if diff := cmp.Diff(keys, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// listVersions lists key:version pairs in pages of n; delete markers have a hyphen, the latest an asterisk.
func (l *lab) listVersions(t *testing.T, n int32, prefix, delimiter string) []string {
	t.Helper()
	got := []string{}
	in := &awss3.ListObjectVersionsInput{Bucket: aws.String(bucket), MaxKeys: &n, Prefix: &prefix}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	for {
		page, err := l.client.ListObjectVersions(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Versions)+len(page.DeleteMarkers)+len(page.CommonPrefixes) > int(n) {
			t.Errorf("a page is longer than %d", n)
		}
		for _, v := range page.Versions {
			got = append(got, fmt.Sprintf("%s:%s:%d%s", *v.Key, *v.VersionId, *v.Size, strings.Repeat("*", map[bool]int{true: 1}[*v.IsLatest])))
		}
		for _, m := range page.DeleteMarkers {
			got = append(got, fmt.Sprintf("%s:%s-%s", *m.Key, *m.VersionId, strings.Repeat("*", map[bool]int{true: 1}[*m.IsLatest])))
		}
		for _, p := range page.CommonPrefixes {
			got = append(got, *p.Prefix)
		}
		if !*page.IsTruncated {
			return got
		}
		in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
	}
}

func TestVersionsAreListedFromTheNewestOn(t *testing.T) {
	l := newLab(t)
	l.put(t, "a", "")
	l.enableVersions(t)
	second := l.put(t, "a", "1")
	third := l.put(t, "a", "22")
	gone, err := l.client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("b")})
	wants(t, err, "")
	folder := l.put(t, "c/1", "x")
	want := []string{"a:" + *third.VersionId + ":2*", "a:" + *second.VersionId + ":1", "a:null:0", "b:" + *gone.VersionId + "-*", "c/1:" + *folder.VersionId + ":1*"}
	for _, n := range []int32{1, 2, 3, 4, 5, 1000} {
		got := l.listVersions(t, n, "", "")
		if n == 1 { // in larger pages the SDK sorts versions and markers apart
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", n, diff)
		}
		if got := l.listVersions(t, n, "", "/"); len(got) != 5 || !slices.Contains(got, "c/") {
			t.Errorf("pages of %d by folder: %q", n, got)
		}
	}
	_, err = l.client.ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{Bucket: aws.String(bucket), VersionIdMarker: aws.String("null")})
	wants(t, err, "InvalidArgument")
	if diff := cmp.Diff([]string{"c/1:" + *folder.VersionId + ":1*"}, l.listVersions(t, 10, "c", "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
