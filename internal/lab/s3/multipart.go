package s3

import (
	"crypto/md5" //nolint:gosec // ETags are made of it
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/wire"
)

// Limits of uploads in parts. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	maxParts  = 10_000
	leastPart = 5 << 20 // bytes of all parts but the last
)

// A part is one of an upload or, without its body, of an object.
type part struct {
	number   int
	size     int
	etag     string
	sum      checksum
	body     []byte
	modified time.Time
}

// An upload is an object in parts that is not complete. It is guarded by the service's mutex.
type upload struct {
	id, key   string
	by        string // ARN of who began it
	started   time.Time
	version   *version   // what was asked for at the beginning
	algorithm *algorithm // that the parts have to come with; nil: any
	composite bool       // how the object's checksum is made
	parts     map[int]*part
}

// drop gives the space of an upload back. Requires that mu is held.
func (s *Service) drop(u *upload) {
	s.stored -= overhead
	for _, p := range u.parts {
		s.stored -= int64(p.size) + overhead
	}
}

// retake undoes drop. Requires that mu is held.
func (s *Service) retake(u *upload) {
	s.stored += overhead
	for _, p := range u.parts {
		s.stored += int64(p.size) + overhead
	}
}

// upload finds the request's. Requires that mu is held.
func (r *request) upload(b *bucket) (*upload, error) {
	id := r.query.Get("uploadId")
	u := b.uploads[id]
	if u == nil || u.key != r.key {
		return nil, noSuchUpload(id)
	}
	return u, nil
}

func invalidChecksumAlgorithm() error {
	return badRequest("InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
}

// checksumOfUpload reads which checksums an upload is to have.
func (r *request) checksumOfUpload() (a *algorithm, composite bool, err error) {
	name, kind := r.header("X-Amz-Checksum-Algorithm"), strings.ToUpper(r.header("X-Amz-Checksum-Type"))
	if name == "" {
		if kind != "" {
			return nil, false, badRequest("InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return nil, false, nil
	}
	if a = findAlgorithm(name); a == nil {
		return nil, false, invalidChecksumAlgorithm()
	}
	composite = a.composite
	switch kind {
	case "":
	case "COMPOSITE", "FULL_OBJECT":
		composite = kind == "COMPOSITE"
	default:
		return nil, false, badRequest("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
	}
	if composite && !a.composite || !composite && !a.full {
		return nil, false, badRequest("InvalidRequest", "The %s checksum type cannot be used with the %s checksum algorithm.", kind, strings.ToLower(a.name))
	}
	return a, composite, nil
}

func (s *Service) createMultipartUpload(r *request) error {
	b, err := r.open("PutObject")
	if err != nil {
		return err
	}
	a, composite, err := r.checksumOfUpload()
	if err != nil {
		return err
	}
	v, err := r.newVersion(b)
	if err != nil {
		return err
	}
	u := &upload{
		id: s.cloud.Letters("s3 upload", 32), key: r.key, by: r.Who.ARN, version: v, algorithm: a, composite: composite,
		started: s.cloud.Clock.Now().Truncate(time.Second), parts: make(map[int]*part),
	}
	if err := s.addUpload(b, u); err != nil {
		return err
	}
	h := r.w.Header()
	v.encryption.tell(h)
	if a != nil {
		h.Set("X-Amz-Checksum-Algorithm", a.name)
		h.Set("X-Amz-Checksum-Type", checksum{composite: composite}.kind())
	}
	p := newPage("InitiateMultipartUploadResult")
	p.text("Bucket", b.name)
	p.text("Key", r.key)
	p.text("UploadId", u.id)
	r.answer(p, "InitiateMultipartUploadResult")
	return nil
}

// addUpload counts an upload without parts too, so that their number has an end.
func (s *Service) addUpload(b *bucket, u *upload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.gone {
		return noSuchBucket(b.name)
	}
	if s.stored+overhead > maxStored {
		return full()
	}
	s.stored += overhead
	b.uploads[u.id] = u
	return nil
}

func badPartNumber(value string) error {
	return invalidArgument("partNumber", value, "Part number must be an integer between 1 and %d, inclusive", maxParts)
}

// uploadPart takes a part, from the body or from another object.
func (s *Service) uploadPart(r *request) error {
	b, err := r.open("PutObject")
	if err != nil {
		return err
	}
	value := r.query.Get("partNumber")
	number, err := strconv.Atoi(value)
	if err != nil || number < 1 || number > maxParts {
		return badPartNumber(value)
	}
	s.mu.Lock()
	u, err := r.upload(b)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.permitKey(r.Who, b, r.key, u.version.encryption, "kms:Decrypt"); err != nil {
		return err
	}
	body, sum, src, err := r.part(b, u)
	if err != nil {
		return err
	}
	digest := md5.Sum(body) //nolint:gosec // as above
	one := &part{number: number, size: len(body), etag: hex.EncodeToString(digest[:]), sum: sum, body: body, modified: s.cloud.Clock.Now().Truncate(time.Second)}
	if u.version.encryption.kms() {
		one.etag = s.cloud.Hex("s3 etag", 32)
	}
	if err := s.keep(r, b, one); err != nil {
		return err
	}
	h := r.w.Header()
	u.version.encryption.tell(h)
	if src == nil {
		h.Set("ETag", `"`+one.etag+`"`)
		if sum.algorithm != nil {
			h.Set(sum.header(), sum.value)
		}
		return r.answerNothing(http.StatusOK)
	}
	if src.id != "" {
		h.Set("X-Amz-Copy-Source-Version-Id", src.id)
	}
	p := newPage("CopyPartResult")
	p.moment("LastModified", one.modified)
	p.text("ETag", `"`+one.etag+`"`)
	p.checksum(sum)
	r.answer(p, "CopyPartResult")
	return nil
}

// part is the content of a part, with the checksum that the upload wants, and where it was copied from.
func (r *request) part(b *bucket, u *upload) (body []byte, sum checksum, src *source, err error) {
	if r.operation.name == "UploadPartCopy" {
		if src, err = r.source(); err != nil {
			return nil, sum, nil, err
		}
		body = src.body
		if value := r.header("X-Amz-Copy-Source-Range"); value != "" {
			start, end, ok, err := byteRange(value, len(body))
			if err != nil || !ok {
				return nil, sum, nil, invalidArgument("x-amz-copy-source-range", value,
					"The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
			}
			body = body[start:end]
		}
		if u.algorithm != nil {
			sum = u.algorithm.of(body)
		}
		return body, sum, src, nil
	}
	if body, sum, err = r.payload(); err != nil {
		return nil, sum, nil, err
	}
	if err := r.checkDigestForLock(b, u.version, sum, "Put Part"); err != nil {
		return nil, sum, nil, err
	}
	if u.algorithm != nil && sum.algorithm != u.algorithm {
		got := "null"
		if sum.algorithm != nil {
			got = strings.ToLower(sum.name)
		}
		return nil, sum, nil, badRequest("InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
			strings.ToLower(u.algorithm.name), got)
	}
	return body, sum, nil, nil
}

// keep puts a part into its upload. A second part of the same number replaces the first.
func (s *Service) keep(r *request, b *bucket, one *part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := r.upload(b)
	if err != nil {
		return err
	}
	if s.stored+int64(one.size) > maxStored {
		return full()
	}
	s.stored += int64(one.size) + overhead
	if old := u.parts[one.number]; old != nil {
		s.stored -= int64(old.size) + overhead
	}
	u.parts[one.number] = one
	return nil
}

func full() error {
	return wire.StatusErrorf(http.StatusInsufficientStorage, "InsufficientStorage", "the lab keeps at most %d bytes in all buckets", int64(maxStored))
}

func (s *Service) abortMultipartUpload(r *request) error {
	b, err := r.open("AbortMultipartUpload")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := r.upload(b)
	if err != nil {
		return err
	}
	s.drop(u)
	delete(b.uploads, u.id)
	return r.answerNothing(http.StatusNoContent)
}

func (s *Service) listParts(r *request) error {
	b, err := r.open("ListMultipartUploadParts")
	if err != nil {
		return err
	}
	limit, err := r.number("max-parts", maxPage, maxPage)
	if err != nil {
		return err
	}
	after, err := r.number("part-number-marker", 0, maxParts)
	if err != nil {
		return err
	}
	s.mu.Lock()
	u, err := r.upload(b)
	var parts []*part
	if err == nil {
		for _, one := range u.parts {
			if one.number > after {
				parts = append(parts, one)
			}
		}
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	slices.SortFunc(parts, func(a, b *part) int { return a.number - b.number })
	more := len(parts) > limit
	parts = parts[:min(limit, len(parts))]
	p := newPage("ListPartsResult")
	p.text("Bucket", b.name)
	p.text("Key", r.key)
	p.text("UploadId", u.id)
	p.owner(b.owner)
	p.text("StorageClass", u.version.class)
	p.number("PartNumberMarker", after)
	if more && len(parts) > 0 {
		p.number("NextPartNumberMarker", parts[len(parts)-1].number)
	}
	p.number("MaxParts", limit)
	p.truth("IsTruncated", more)
	if u.algorithm != nil {
		p.text("ChecksumAlgorithm", u.algorithm.name)
		p.text("ChecksumType", checksum{composite: u.composite}.kind())
	}
	for _, one := range parts {
		p.open("Part")
		p.number("PartNumber", one.number)
		p.moment("LastModified", one.modified)
		p.text("ETag", `"`+one.etag+`"`)
		p.number("Size", one.size)
		p.checksum(one.sum)
		p.close("Part")
	}
	r.answer(p, "ListPartsResult")
	return nil
}

// listMultipartUploads lists by key and, within a key, from the oldest on.
func (s *Service) listMultipartUploads(r *request) error {
	l, err := r.list("ListBucketMultipartUploads", "max-uploads")
	if err != nil {
		return err
	}
	l.after = r.query.Get("key-marker")
	marker := r.query.Get("upload-id-marker")
	s.mu.Lock()
	uploads := l.bucket.sortedUploads()
	s.mu.Unlock()
	body := &page{}
	var groups []string
	var lastKey, lastID string
	n, more := 0, false
	passed := marker == ""
	for _, u := range uploads {
		g := ""
		if strings.HasPrefix(u.key, l.prefix) {
			g = l.group(u.key)
		}
		if u.key == l.after && marker != "" {
			if !passed {
				passed = u.id == marker
				continue
			}
		} else if !strings.HasPrefix(u.key, l.prefix) || u.key <= l.after || g != "" && (g <= l.after || slices.Contains(groups, g)) {
			continue
		}
		if more = n == l.limit; more {
			break
		}
		n++
		if g != "" {
			groups, lastKey, lastID = append(groups, g), g, ""
			continue
		}
		lastKey, lastID = u.key, u.id
		l.upload(body, u)
	}
	more = more && l.limit > 0
	p := newPage("ListMultipartUploadsResult")
	p.text("Bucket", l.bucket.name)
	p.text("KeyMarker", l.encode(l.after))
	p.text("UploadIdMarker", marker)
	if more {
		p.text("NextKeyMarker", l.encode(lastKey))
		p.text("NextUploadIdMarker", lastID)
	}
	p.text("Prefix", l.encode(l.prefix))
	p.some("Delimiter", l.encode(l.delimiter))
	p.some("EncodingType", r.query.Get("encoding-type"))
	p.number("MaxUploads", l.limit)
	p.truth("IsTruncated", more)
	p.b.Write(body.b.Bytes())
	p.prefixes(groups, l.encode)
	r.answer(p, "ListMultipartUploadsResult")
	return nil
}

func (l *listing) upload(p *page, u *upload) {
	p.open("Upload")
	p.text("Key", l.encode(u.key))
	p.text("UploadId", u.id)
	p.owner(l.bucket.owner)
	p.text("StorageClass", u.version.class)
	p.moment("Initiated", u.started)
	if u.algorithm != nil {
		p.text("ChecksumAlgorithm", u.algorithm.name)
		p.text("ChecksumType", checksum{composite: u.composite}.kind())
	}
	p.close("Upload")
}

func (b *bucket) sortedUploads() []*upload {
	out := make([]*upload, 0, len(b.uploads))
	for _, u := range b.uploads {
		out = append(out, u)
	}
	slices.SortFunc(out, func(x, y *upload) int {
		if n := strings.Compare(x.key, y.key); n != 0 {
			return n
		}
		if n := x.started.Compare(y.started); n != 0 {
			return n
		}
		return strings.Compare(x.id, y.id)
	})
	return out
}
