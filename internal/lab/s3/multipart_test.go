package s3_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

const partSize = 5 << 20

// begin starts an upload of parts, and gives the parts as Complete wants them.
func (l *lab) begin(t *testing.T, key string, parts ...string) (*string, []types.CompletedPart) {
	t.Helper()
	created, err := l.client.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, Metadata: map[string]string{"k": "v"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var done []types.CompletedPart
	for i, body := range parts {
		n := aws.Int32(int32(i + 1))
		out, err := l.client.UploadPart(t.Context(), &awss3.UploadPartInput{
			Bucket: aws.String(bucket), Key: &key, UploadId: created.UploadId, PartNumber: n, Body: strings.NewReader(body),
		})
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, types.CompletedPart{PartNumber: n, ETag: out.ETag})
	}
	return created.UploadId, done
}

func (l *lab) complete(t *testing.T, key string, id *string, parts []types.CompletedPart, change func(in *awss3.CompleteMultipartUploadInput)) (*awss3.CompleteMultipartUploadOutput, error) {
	t.Helper()
	in := &awss3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if change != nil {
		change(in)
	}
	return l.client.CompleteMultipartUpload(t.Context(), in)
}

func TestPartsBecomeAnObject(t *testing.T) {
	l := newLab(t)
	large := strings.Repeat("x", partSize)
	id, parts := l.begin(t, "a", large, "end")
	out, err := l.complete(t, "a", id, parts, nil)
	if err != nil || !strings.HasSuffix(*out.ETag, `-2"`) || out.ChecksumType != types.ChecksumTypeFullObject || out.ChecksumCRC64NVME == nil {
		t.Fatalf("got %+v, %v", out, err)
	}
	if body, _ := l.get(t, "a", ""); body != large+"end" {
		t.Errorf("got %d bytes", len(body))
	}
	part, err := l.client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("a"), PartNumber: aws.Int32(2)})
	if err != nil || *part.ContentLength != 3 || *part.PartsCount != 2 || part.Metadata["k"] != "v" {
		t.Errorf("the second part: got %+v, %v", part, err)
	}
	_, err = l.complete(t, "a", id, parts, nil)
	wants(t, err, "NoSuchUpload")
}

func TestUploadsThatCannotBeCompleted(t *testing.T) {
	l := newLab(t)
	large := strings.Repeat("x", partSize)
	l.put(t, "taken", "x")
	for name, tt := range map[string]struct {
		key    string
		parts  []string
		change func(in *awss3.CompleteMultipartUploadInput)
		want   string
	}{
		"no parts":                 {parts: []string{"x"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.MultipartUpload = nil }, want: "MalformedXML"},
		"a small part first":       {parts: []string{large[1:], "x"}, want: "EntityTooSmall"},
		"a small part alone":       {parts: []string{"x"}},
		"in another order":         {parts: []string{large, "x"}, change: func(in *awss3.CompleteMultipartUploadInput) { p := in.MultipartUpload.Parts; p[0], p[1] = p[1], p[0] }, want: "InvalidPartOrder"},
		"a part twice":             {parts: []string{large, "x"}, change: func(in *awss3.CompleteMultipartUploadInput) { p := in.MultipartUpload.Parts; p[1] = p[0] }, want: "InvalidPartOrder"},
		"a part that is not there": {parts: []string{"x"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.MultipartUpload.Parts[0].PartNumber = aws.Int32(7) }, want: "InvalidPart"},
		"another ETag":             {parts: []string{"x"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.MultipartUpload.Parts[0].ETag = aws.String(`"abc"`) }, want: "InvalidPart"},
		"another upload":           {parts: []string{"x"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.UploadId = aws.String("x") }, want: "NoSuchUpload"},
		"another key":              {parts: []string{"x"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.Key = aws.String("other") }, want: "NoSuchUpload"},
		"another size":             {parts: []string{"x"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(2) }, want: "InvalidRequest"},
		"another checksum":         {parts: []string{"x"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = aws.String("AAAAAAAAAAA=") }, want: "BadDigest"},
		"a key that is taken":      {key: "taken", parts: []string{"x"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }, want: "PreconditionFailed"},
		"a key that is free":       {key: "free", parts: []string{"x"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }},
		"without the last":         {parts: []string{large, "x", "y"}, change: func(in *awss3.CompleteMultipartUploadInput) { in.MultipartUpload.Parts = in.MultipartUpload.Parts[:2] }},
	} {
		t.Run(name, func(t *testing.T) {
			key := tt.key
			if key == "" {
				key = "new"
			}
			id, parts := l.begin(t, key, tt.parts...)
			_, err := l.complete(t, key, id, parts, tt.change)
			wants(t, err, tt.want)
			if tt.want == "" {
				return
			}
			if _, err := l.client.ListParts(t.Context(), &awss3.ListPartsInput{Bucket: aws.String(bucket), Key: &key, UploadId: id}); err != nil {
				t.Errorf("the upload is gone: %v", err)
			}
		})
	}
}

func TestPartsThatS3Refuses(t *testing.T) {
	l := newLab(t)
	id, _ := l.begin(t, "a")
	for name, tt := range map[string]struct {
		number int32
		change func(in *awss3.UploadPartInput)
		want   string
	}{
		"number 0":       {number: 0, want: "InvalidArgument"},
		"number 1":       {number: 1},
		"number 10,000":  {number: 10000},
		"number 10,001":  {number: 10001, want: "InvalidArgument"},
		"another upload": {number: 1, change: func(in *awss3.UploadPartInput) { in.UploadId = aws.String("x") }, want: "NoSuchUpload"},
		"another digest": {number: 1, change: func(in *awss3.UploadPartInput) { in.ChecksumCRC32 = aws.String("AAAAAA==") }, want: "BadDigest"},
	} {
		in := &awss3.UploadPartInput{Bucket: aws.String(bucket), Key: aws.String("a"), UploadId: id, PartNumber: &tt.number, Body: strings.NewReader("x")}
		if tt.change != nil {
			tt.change(in)
		}
		_, err := l.client.UploadPart(t.Context(), in)
		if got := code(t, err); got != tt.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, tt.want)
		}
	}
}

func TestChecksumsOfUploads(t *testing.T) {
	l := newLab(t)
	large := strings.Repeat("x", partSize)
	for name, tt := range map[string]struct {
		algorithm types.ChecksumAlgorithm
		kind      types.ChecksumType
		composite bool
		failure   string
	}{
		"CRC32":                {types.ChecksumAlgorithmCrc32, "", true, ""},
		"CRC32, whole":         {types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject, false, ""},
		"SHA-256":              {types.ChecksumAlgorithmSha256, "", true, ""},
		"SHA-256, whole":       {types.ChecksumAlgorithmSha256, types.ChecksumTypeFullObject, false, "InvalidRequest"},
		"CRC64NVME":            {types.ChecksumAlgorithmCrc64nvme, "", false, ""},
		"CRC64NVME, composite": {types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeComposite, true, "InvalidRequest"},
		"XXHASH64":             {types.ChecksumAlgorithmXxhash64, "", false, "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			created, err := l.client.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
				Bucket: aws.String(bucket), Key: aws.String("a"), ChecksumAlgorithm: tt.algorithm, ChecksumType: tt.kind,
			})
			wants(t, err, tt.failure)
			if tt.failure != "" {
				return
			}
			var parts []types.CompletedPart
			for i, body := range []string{large, "end"} {
				n := aws.Int32(int32(i + 1))
				out, err := l.client.UploadPart(t.Context(), &awss3.UploadPartInput{
					Bucket: aws.String(bucket), Key: aws.String("a"), UploadId: created.UploadId, PartNumber: n, Body: strings.NewReader(body), ChecksumAlgorithm: tt.algorithm,
				})
				if err != nil {
					t.Fatal(err)
				}
				parts = append(parts, types.CompletedPart{
					PartNumber: n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumSHA256: out.ChecksumSHA256, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
				})
			}
			if tt.composite {
				bare := []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: parts[0].ETag}}
				_, err := l.complete(t, "a", created.UploadId, bare, nil)
				wants(t, err, "InvalidRequest")
			}
			out, err := l.complete(t, "a", created.UploadId, parts, nil)
			if err != nil {
				t.Fatal(err)
			}
			sum := aws.ToString(out.ChecksumCRC32) + aws.ToString(out.ChecksumSHA256) + aws.ToString(out.ChecksumCRC64NVME)
			if strings.HasSuffix(sum, "-2") != tt.composite || sum == "" {
				t.Errorf("got %q", sum)
			}
			if body, failure := l.get(t, "a", ""); body != large+"end" {
				t.Errorf("got %d bytes, %s", len(body), failure)
			}
		})
	}
}

func TestPartsAreCopiedFromObjects(t *testing.T) {
	l := newLab(t)
	large := strings.Repeat("0123456789abcdef", partSize/16)
	l.put(t, "source", large)
	id, _ := l.begin(t, "a")
	var parts []types.CompletedPart
	for i, section := range []*string{nil, aws.String("bytes=10-15")} {
		n := aws.Int32(int32(i + 1))
		out, err := l.client.UploadPartCopy(t.Context(), &awss3.UploadPartCopyInput{
			Bucket: aws.String(bucket), Key: aws.String("a"), UploadId: id, PartNumber: n, CopySource: aws.String(bucket + "/source"), CopySourceRange: section,
		})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: out.CopyPartResult.ETag})
	}
	_, err := l.client.UploadPartCopy(t.Context(), &awss3.UploadPartCopyInput{
		Bucket: aws.String(bucket), Key: aws.String("a"), UploadId: id, PartNumber: aws.Int32(3), CopySource: aws.String(bucket + "/source"), CopySourceRange: aws.String("bytes=99999999-"),
	})
	wants(t, err, "InvalidArgument")
	_, err = l.complete(t, "a", id, parts, nil)
	wants(t, err, "")
	if body, _ := l.get(t, "a", ""); body != large+"abcdef" {
		t.Errorf("got %d bytes", len(body))
	}
}

func TestUploadsAndTheirPartsAreListedInPages(t *testing.T) {
	l := newLab(t)
	first, _ := l.begin(t, "a/1", "x", "y", "z")
	second, _ := l.begin(t, "a/1")
	third, _ := l.begin(t, "b")
	var numbers []int32
	parts := awss3.NewListPartsPaginator(l.client, &awss3.ListPartsInput{Bucket: aws.String(bucket), Key: aws.String("a/1"), UploadId: first, MaxParts: aws.Int32(2)})
	for parts.HasMorePages() {
		page, err := parts.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Parts {
			numbers = append(numbers, *p.PartNumber)
		}
	}
	if diff := cmp.Diff([]int32{1, 2, 3}, numbers); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	seen := make(map[string]bool)
	in := &awss3.ListMultipartUploadsInput{Bucket: aws.String(bucket), MaxUploads: aws.Int32(1)}
	for range 4 {
		page, err := l.client.ListMultipartUploads(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Uploads {
			seen[*u.UploadId] = true
		}
		if in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker; !*page.IsTruncated {
			break
		}
	}
	if len(seen) != 3 || !seen[*second] || !seen[*third] {
		t.Errorf("got %v", seen)
	}
	folders, err := l.client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: aws.String(bucket), Delimiter: aws.String("/")})
	if err != nil || len(folders.CommonPrefixes) != 1 || len(folders.Uploads) != 1 {
		t.Errorf("by folder: got %+v, %v", folders, err)
	}
	abort := func() error {
		_, err := l.client.AbortMultipartUpload(t.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("b"), UploadId: third})
		return err
	}
	wants(t, abort(), "")
	wants(t, abort(), "NoSuchUpload")
}
