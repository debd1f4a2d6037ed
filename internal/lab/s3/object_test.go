package s3_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/catchment/internal/lab/labtest"
)

func TestAnObjectComesBackAsItWasPut(t *testing.T) {
	l := newLab(t)
	_, err := l.client.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("a/b"), Body: strings.NewReader("content"), ContentType: aws.String("application/json"),
		ContentEncoding: aws.String("gzip"), CacheControl: aws.String("no-store"), Metadata: map[string]string{"sha256": "abc", "other": "ü d"},
		Tagging: aws.String("team=security&cost+center=7"), StorageClass: types.StorageClassStandardIa,
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := l.client.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/b"), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(out.Body)
	if err := errors.Join(err, out.Body.Close()); err != nil || string(body) != "content" {
		t.Errorf("got %q, %v", body, err)
	}
	sum := md5.Sum([]byte("content"))
	for what, pair := range map[string][2]string{
		"content type": {*out.ContentType, "application/json"}, "encoding": {*out.ContentEncoding, "gzip"}, "cache": {*out.CacheControl, "no-store"},
		"metadata": {out.Metadata["sha256"] + out.Metadata["other"], "abcü d"}, "class": {string(out.StorageClass), "STANDARD_IA"},
		"ETag": {*out.ETag, `"` + hex.EncodeToString(sum[:]) + `"`}, "encryption": {string(out.ServerSideEncryption), "AES256"},
		"modified": {out.LastModified.String(), labtest.Start.String()}, "version": {aws.ToString(out.VersionId), ""},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", what, pair[0], pair[1])
		}
	}
	if aws.ToInt32(out.TagCount) != 2 || aws.ToString(out.ChecksumCRC64NVME) == "" || out.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("tags %d, checksum %v %v", aws.ToInt32(out.TagCount), aws.ToString(out.ChecksumCRC64NVME), out.ChecksumType)
	}
	tags, err := l.client.GetObjectTagging(t.Context(), &awss3.GetObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("a/b")})
	if err != nil || len(tags.TagSet) != 2 || *tags.TagSet[1].Key != "cost center" {
		t.Errorf("tags %+v, %v", tags, err)
	}
}

func TestPutsThatS3Refuses(t *testing.T) {
	l := newLab(t)
	md5Of := func(s string) *string {
		sum := md5.Sum([]byte(s))
		return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	}
	for name, tt := range map[string]struct {
		change func(in *awss3.PutObjectInput)
		want   string
	}{
		"another bucket that is none": {func(in *awss3.PutObjectInput) { in.Bucket = aws.String("no-such-bucket") }, "NoSuchBucket"},
		"a key of 1,025 bytes":        {func(in *awss3.PutObjectInput) { in.Key = aws.String(strings.Repeat("k", 1025)) }, "KeyTooLongError"},
		"a key of 1,024 bytes":        {func(in *awss3.PutObjectInput) { in.Key = aws.String(strings.Repeat("ü", 512)) }, ""},
		"a key that is not UTF-8":     {func(in *awss3.PutObjectInput) { in.Key = aws.String("a\xff") }, "InvalidURI"},
		"another body's MD5":          {func(in *awss3.PutObjectInput) { in.ContentMD5 = md5Of("y") }, "BadDigest"},
		"an MD5 that is none":         {func(in *awss3.PutObjectInput) { in.ContentMD5 = aws.String("eA==") }, "InvalidDigest"},
		"the right MD5":               {func(in *awss3.PutObjectInput) { in.ContentMD5 = md5Of("x") }, ""},
		"another body's CRC32":        {func(in *awss3.PutObjectInput) { in.ChecksumCRC32 = aws.String("AAAAAA==") }, "BadDigest"},
		"a CRC32 that is none":        {func(in *awss3.PutObjectInput) { in.ChecksumCRC32 = aws.String("AAAA") }, "InvalidRequest"},
		"the right SHA-1":             {func(in *awss3.PutObjectInput) { in.ChecksumSHA1 = aws.String("EfatjsUqKYSrqjkUKPl8Nf7D/Kw=") }, "BadDigest"},
		"2 KiB of metadata": {func(in *awss3.PutObjectInput) {
			in.Metadata = map[string]string{"k": strings.Repeat("v", 2047)}
		}, ""},
		"more metadata": {func(in *awss3.PutObjectInput) {
			in.Metadata = map[string]string{"k": strings.Repeat("v", 2048)}
		}, "MetadataTooLarge"},
		"11 tags":                      {func(in *awss3.PutObjectInput) { in.Tagging = aws.String("a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=") }, "BadRequest"},
		"a tag twice":                  {func(in *awss3.PutObjectInput) { in.Tagging = aws.String("a=1&a=2") }, "InvalidTag"},
		"a tag of AWS":                 {func(in *awss3.PutObjectInput) { in.Tagging = aws.String("aws:x=1") }, "InvalidTag"},
		"a storage class that is none": {func(in *awss3.PutObjectInput) { in.StorageClass = "COLD" }, "InvalidStorageClass"},
		"an ACL for everybody":         {func(in *awss3.PutObjectInput) { in.ACL = types.ObjectCannedACLPublicRead }, "AccessControlListNotSupported"},
		"the ACL that log services send": {func(in *awss3.PutObjectInput) {
			in.ACL = types.ObjectCannedACLBucketOwnerFullControl
		}, ""},
		"an encryption that is none": {func(in *awss3.PutObjectInput) { in.ServerSideEncryption = "rot13" }, "InvalidEncryptionAlgorithmError"},
		"a key without KMS": {func(in *awss3.PutObjectInput) {
			in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAes256, aws.String("k")
		}, "InvalidArgument"},
		"a customer's key": {func(in *awss3.PutObjectInput) {
			in.SSECustomerAlgorithm, in.SSECustomerKey = aws.String("AES256"), aws.String(strings.Repeat("k", 32))
		}, "NotImplemented"},
		"retention without Object Lock": {func(in *awss3.PutObjectInput) {
			in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeGovernance, aws.Time(labtest.Start.Add(time.Hour))
		}, "InvalidRequest"},
		"If-None-Match of an ETag":     {func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String(`"abc"`) }, "NotImplemented"},
		"a bucket of somebody else":    {func(in *awss3.PutObjectInput) { in.ExpectedBucketOwner = aws.String(labtest.Member) }, "AccessDenied"},
		"an ETag of what is not there": {func(in *awss3.PutObjectInput) { in.IfMatch = aws.String(`"abc"`) }, "NoSuchKey"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(strings.ReplaceAll(name, " ", "-")), Body: strings.NewReader("x")}
			tt.change(in)
			_, err := l.client.PutObject(t.Context(), in, func(o *awss3.Options) {
				o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			})
			wants(t, err, tt.want)
		})
	}
}

func TestConditionalWrites(t *testing.T) {
	l := newLab(t)
	put := func(none, match *string) (*awss3.PutObjectOutput, error) {
		return l.client.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("a"), Body: strings.NewReader("x"), IfNoneMatch: none, IfMatch: match,
		})
	}
	out, err := put(aws.String("*"), nil)
	wants(t, err, "")
	_, err = put(aws.String("*"), nil)
	wants(t, err, "PreconditionFailed")
	_, err = put(nil, out.ETag)
	wants(t, err, "")
	_, err = put(nil, aws.String(`"d41d8cd98f00b204e9800998ecf8427e"`))
	wants(t, err, "PreconditionFailed")
	remove := func(match string) error {
		_, err := l.client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("a"), IfMatch: &match})
		return err
	}
	wants(t, remove(`"other"`), "PreconditionFailed")
	wants(t, remove(*out.ETag), "")
	_, err = put(aws.String("*"), nil)
	wants(t, err, "")
}

// A reply is what came of a request.
type reply struct {
	status int
	length int64
	ranged string // Content-Range
	body   string
}

// ask sends a signed GET or HEAD with headers by way of a presigned link.
func (l *lab) ask(t *testing.T, method, key string, header map[string]string) reply {
	t.Helper()
	link, err := awss3.NewPresignClient(l.client).PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if method == http.MethodHead {
		link, err = awss3.NewPresignClient(l.client).PresignHeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, link.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.ContentLength, response.Header.Get("Content-Range"), string(body)}
}

func TestRangesAndConditionsOfReads(t *testing.T) {
	l := newLab(t)
	l.put(t, "a", "0123456789")
	l.put(t, "empty", "")
	tag := `"` + "781e5e245d69b566979b86e28d23f2c7" + `"`
	before, after := labtest.Start.Add(-time.Hour).Format(http.TimeFormat), labtest.Start.Add(time.Hour).Format(http.TimeFormat)
	for name, tt := range map[string]struct {
		header       map[string]string
		key          string
		status       int
		body, ranged string
	}{
		"the whole":            {nil, "a", 200, "0123456789", ""},
		"the first":            {map[string]string{"Range": "bytes=0-0"}, "a", 206, "0", "bytes 0-0/10"},
		"from the third on":    {map[string]string{"Range": "bytes=2-"}, "a", 206, "23456789", "bytes 2-9/10"},
		"the last three":       {map[string]string{"Range": "bytes=-3"}, "a", 206, "789", "bytes 7-9/10"},
		"more than there is":   {map[string]string{"Range": "bytes=5-99999999999999999999999"}, "a", 206, "56789", "bytes 5-9/10"},
		"the last 100":         {map[string]string{"Range": "bytes=-100"}, "a", 206, "0123456789", "bytes 0-9/10"},
		"behind the end":       {map[string]string{"Range": "bytes=10-"}, "a", 416, "", "bytes */10"},
		"nothing at the end":   {map[string]string{"Range": "bytes=-0"}, "a", 416, "", "bytes */10"},
		"of an empty object":   {map[string]string{"Range": "bytes=0-"}, "empty", 416, "", "bytes */0"},
		"two ranges":           {map[string]string{"Range": "bytes=0-1,3-4"}, "a", 200, "0123456789", ""},
		"no range":             {map[string]string{"Range": "bytes=x-"}, "a", 200, "0123456789", ""},
		"backwards":            {map[string]string{"Range": "bytes=5-2"}, "a", 200, "0123456789", ""},
		"another unit":         {map[string]string{"Range": "lines=1-2"}, "a", 200, "0123456789", ""},
		"the ETag matches":     {map[string]string{"If-Match": tag}, "a", 200, "0123456789", ""},
		"the ETag does not":    {map[string]string{"If-Match": `"x"`}, "a", 412, "", ""},
		"known":                {map[string]string{"If-None-Match": `"x", ` + tag}, "a", 304, "", ""},
		"unknown":              {map[string]string{"If-None-Match": `"x"`}, "a", 200, "0123456789", ""},
		"not modified":         {map[string]string{"If-Modified-Since": after}, "a", 304, "", ""},
		"modified":             {map[string]string{"If-Modified-Since": before}, "a", 200, "0123456789", ""},
		"modified, but wanted": {map[string]string{"If-Unmodified-Since": before}, "a", 412, "", ""},
		"match goes before unmodified": {
			map[string]string{"If-Match": tag, "If-Unmodified-Since": before}, "a", 200, "0123456789", "",
		},
		"none-match goes before modified": {
			map[string]string{"If-None-Match": `"x"`, "If-Modified-Since": after}, "a", 200, "0123456789", "",
		},
		"no such key": {nil, "b", 404, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := l.ask(t, http.MethodGet, tt.key, tt.header)
			if got.status != tt.status || tt.status < 300 && got.body != tt.body || got.ranged != tt.ranged {
				t.Errorf("got %+v, want %d %q %q", got, tt.status, tt.body, tt.ranged)
			}
			head := l.ask(t, http.MethodHead, tt.key, tt.header)
			if head.status != tt.status || tt.status < 300 && head.length != int64(len(tt.body)) {
				t.Errorf("HEAD: got %+v", head)
			}
		})
	}
}

func TestPresignedLinksPutAndGetForOthers(t *testing.T) {
	l := newLab(t)
	link, err := awss3.NewPresignClient(l.client).PresignPutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("a b/ü+%&?")})
	if err != nil {
		t.Fatal(err)
	}
	send := func(url string) int {
		r, err := http.NewRequestWithContext(t.Context(), link.Method, url, strings.NewReader("by link"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
	if got := send(link.URL); got != 200 {
		t.Errorf("put: got %d", got)
	}
	if got := send(strings.Replace(link.URL, "a%20b", "c%20d", 1)); got != 403 {
		t.Errorf("put at another key: got %d, want 403", got)
	}
	if got := l.ask(t, http.MethodGet, "a b/ü+%&?", nil); got.status != 200 {
		t.Errorf("get: got %d", got.status)
	}
}

func TestCopiesKeepOrReplaceWhatBelongsToTheObject(t *testing.T) {
	l := newLab(t)
	_, err := l.client.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("a b/ü"), Body: strings.NewReader("content"), Metadata: map[string]string{"k": "old"}, Tagging: aws.String("t=1"),
	})
	wants(t, err, "")
	source := bucket + "/a%20b/%C3%BC"
	copied := func(change func(in *awss3.CopyObjectInput)) (*awss3.HeadObjectOutput, error) {
		in := &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy"), CopySource: &source}
		change(in)
		if _, err := l.client.CopyObject(t.Context(), in); err != nil {
			return nil, err
		}
		return l.client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key})
	}
	head, err := copied(func(*awss3.CopyObjectInput) {})
	if err != nil || head.Metadata["k"] != "old" || aws.ToInt32(head.TagCount) != 1 {
		t.Errorf("as it is: %+v, %v", head, err)
	}
	head, err = copied(func(in *awss3.CopyObjectInput) {
		in.MetadataDirective, in.Metadata = types.MetadataDirectiveReplace, map[string]string{"k": "new"}
		in.TaggingDirective = types.TaggingDirectiveReplace
	})
	if err != nil || head.Metadata["k"] != "new" || aws.ToInt32(head.TagCount) != 0 {
		t.Errorf("replaced: %+v, %v", head, err)
	}
	for name, tt := range map[string]struct {
		change func(in *awss3.CopyObjectInput)
		want   string
	}{
		"onto itself, unchanged": {func(in *awss3.CopyObjectInput) { in.Key = aws.String("a b/ü") }, "InvalidRequest"},
		"onto itself, encrypted": {func(in *awss3.CopyObjectInput) {
			in.Key, in.ServerSideEncryption = aws.String("a b/ü"), types.ServerSideEncryptionAes256
		}, ""},
		"of nothing":             {func(in *awss3.CopyObjectInput) { in.CopySource = aws.String(bucket + "/b") }, "NoSuchKey"},
		"of a bucket":            {func(in *awss3.CopyObjectInput) { in.CopySource = aws.String(bucket) }, "InvalidArgument"},
		"of another's bucket":    {func(in *awss3.CopyObjectInput) { in.CopySource = aws.String("no-such-bucket/b") }, "NoSuchBucket"},
		"with another ETag":      {func(in *awss3.CopyObjectInput) { in.CopySourceIfMatch = aws.String(`"x"`) }, "PreconditionFailed"},
		"with the ETag to avoid": {func(in *awss3.CopyObjectInput) { in.CopySourceIfNoneMatch = aws.String("*") }, "PreconditionFailed"},
	} {
		if _, err := copied(tt.change); code(t, err) != tt.want {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestArchivedObjectsCannotBeRead(t *testing.T) {
	l := newLab(t)
	_, err := l.client.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("a"), Body: strings.NewReader("x"), StorageClass: types.StorageClassDeepArchive,
	})
	wants(t, err, "")
	if _, failure := l.get(t, "a", ""); failure != "InvalidObjectState" {
		t.Errorf("got %q", failure)
	}
}

func TestAttributesOfObjects(t *testing.T) {
	l := newLab(t)
	l.put(t, "a", "content")
	out, err := l.client.GetObjectAttributes(t.Context(), &awss3.GetObjectAttributesInput{
		Bucket: aws.String(bucket), Key: aws.String("a"),
		ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag, types.ObjectAttributesChecksum, types.ObjectAttributesObjectSize},
	})
	if err != nil || *out.ObjectSize != 7 || out.Checksum.ChecksumCRC64NVME == nil || out.StorageClass != "" {
		t.Errorf("got %+v, %v", out, err)
	}
}
