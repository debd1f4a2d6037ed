package s3

import (
	"crypto/md5" //nolint:gosec // ETags are made of it
	"encoding/hex"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
)

// A completedPart is what the client says of a part.
type completedPart struct {
	PartNumber        int
	ETag              string
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
	ChecksumSHA512    string
	ChecksumMD5       string
}

// sum is the checksum of an algorithm that the client states.
func (c *completedPart) sum(a *algorithm) string {
	return map[string]string{
		"CRC32": c.ChecksumCRC32, "CRC32C": c.ChecksumCRC32C, "CRC64NVME": c.ChecksumCRC64NVME, "SHA1": c.ChecksumSHA1,
		"SHA256": c.ChecksumSHA256, "SHA512": c.ChecksumSHA512, "MD5": c.ChecksumMD5,
	}[a.name]
}

// completeMultipartUpload makes the object. An upload that cannot be completed stays as it is.
func (s *Service) completeMultipartUpload(r *request) error {
	b, err := r.open("PutObject")
	if err != nil {
		return err
	}
	c, err := r.condition()
	if err != nil {
		return err
	}
	var in struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Part    []completedPart
	}
	if err := r.document(&in); err != nil {
		return err
	}
	if len(in.Part) == 0 || len(in.Part) > maxParts {
		return malformedXML()
	}
	s.mu.Lock()
	u, err := r.upload(b)
	var parts []*part
	if err == nil {
		parts, err = u.choose(in.Part)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.permitKey(r.Who, b, r.key, u.version.encryption, "kms:Decrypt"); err != nil {
		return err
	}
	v, err := s.assemble(r, u, parts)
	if err != nil {
		return err
	}
	if err := s.finish(r, b, v, c); err != nil {
		return err
	}
	h := r.w.Header()
	v.encryption.tell(h)
	if v.id != "" {
		h.Set("X-Amz-Version-Id", v.id)
	}
	p := newPage("CompleteMultipartUploadResult")
	p.text("Location", "http://"+r.HTTP.Host+r.HTTP.URL.EscapedPath())
	p.text("Bucket", b.name)
	p.text("Key", r.key)
	p.text("ETag", `"`+v.etag+`"`)
	p.checksum(v.sum)
	p.text("ChecksumType", v.sum.kind())
	r.answer(p, "CompleteMultipartUploadResult")
	return nil
}

// choose finds the parts that the client names. Requires the service's mutex.
func (u *upload) choose(named []completedPart) ([]*part, error) {
	var out []*part
	for i, n := range named {
		if i > 0 && n.PartNumber <= named[i-1].PartNumber {
			return nil, badRequest("InvalidPartOrder", "The list of parts was not in ascending order. The parts list must be specified in order by part number.")
		}
	}
	for i, n := range named {
		invalid := badRequest("InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, "+
			"or the specified entity tag may not match the part's entity tag.")
		invalid.Fields = map[string]any{"UploadId": u.id, "PartNumber": strconv.Itoa(n.PartNumber), "ETag": n.ETag}
		p := u.parts[n.PartNumber]
		if p == nil || unquote(n.ETag) != p.etag {
			return nil, invalid
		}
		if a := u.algorithm; a != nil {
			switch said := n.sum(a); {
			case said == "" && u.composite:
				return nil, badRequest("InvalidRequest", "The upload was created using a %s checksum. The complete request must include the checksum "+
					"for each part. It was missing for part %d in the request.", strings.ToLower(a.name), n.PartNumber)
			case said != "" && said != p.sum.value:
				return nil, invalid
			}
		}
		if p.size < leastPart && i < len(named)-1 {
			small := badRequest("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
			small.Fields = map[string]any{
				"ProposedSize": strconv.Itoa(p.size), "MinSizeAllowed": strconv.Itoa(leastPart), "PartNumber": strconv.Itoa(n.PartNumber), "ETag": p.etag,
			}
			return nil, small
		}
		out = append(out, p)
	}
	return out, nil
}

// assemble makes the version of the parts, and compares it with what the request says of the object.
func (s *Service) assemble(r *request, u *upload, parts []*part) (*version, error) {
	v := *u.version
	digests := md5.New() //nolint:gosec // as above
	var bodies [][]byte
	var sums []checksum
	for _, p := range parts {
		bodies, sums = append(bodies, p.body), append(sums, p.sum)
		plain, err := hex.DecodeString(p.etag)
		if err != nil {
			return nil, err
		}
		digests.Write(plain)
		one := *p
		one.body = nil
		v.parts = append(v.parts, one)
	}
	v.body = slices.Concat(bodies...)
	v.etag = hex.EncodeToString(digests.Sum(nil)) + "-" + strconv.Itoa(len(parts))
	a := u.algorithm
	if a == nil {
		a = standard()
	}
	if u.composite {
		v.sum = a.compose(sums)
	} else {
		v.sum = a.of(v.body)
	}
	if said := r.header(a.header()); said != "" && said != v.sum.value && said+"-"+strconv.Itoa(len(parts)) != v.sum.value {
		return nil, badDigest(a)
	}
	if kind := strings.ToUpper(r.header("X-Amz-Checksum-Type")); kind != "" && kind != v.sum.kind() {
		return nil, badRequest("InvalidRequest", "The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", v.sum.kind())
	}
	if size := r.header("X-Amz-Mp-Object-Size"); size != "" && size != strconv.Itoa(len(v.body)) {
		return nil, badRequest("InvalidRequest", "The provided 'x-amz-mp-object-size' header value %s does not match what was computed: %d", size, len(v.body))
	}
	return &v, nil
}

// finish puts the version in the place of its upload, which must still be there.
func (s *Service) finish(r *request, b *bucket, v *version, c condition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := r.upload(b)
	if err != nil {
		return err
	}
	s.drop(u) // the object takes its place
	if err := s.put(b, r.key, v, c); err != nil {
		s.retake(u)
		return err
	}
	delete(b.uploads, u.id)
	return nil
}
