package s3

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"example.org/catchment/internal/lab/wire"
)

func (s *Service) getObject(r *request) error  { return s.serveObject(r, true) }
func (s *Service) headObject(r *request) error { return s.serveObject(r, false) }

// serveObject answers GET and HEAD, whose headers are the same.
func (s *Service) serveObject(r *request, withBody bool) error {
	b, err := r.open(r.versioned("GetObject", "GetObjectVersion"))
	if err != nil {
		return err
	}
	v, versioned, err := s.lookup(r, b, r.key, r.query.Get("versionId"))
	if err != nil {
		return err
	}
	unchanged, err := r.checkRead(&v, "")
	if err != nil {
		return err
	}
	h := r.w.Header()
	h.Set("ETag", `"`+v.etag+`"`)
	h.Set("Last-Modified", httpDate(v.modified))
	if versioned {
		h.Set("X-Amz-Version-Id", v.id)
	}
	if unchanged {
		return r.answerNothing(http.StatusNotModified)
	}
	if withBody && slices.Contains(archived, v.class) {
		return wire.StatusErrorf(http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class")
	}
	if err := s.permitKey(r.Who, b, r.key, v.encryption, "kms:Decrypt"); err != nil {
		return err
	}
	start, end, status, err := r.stretch(&v)
	if err != nil {
		return err
	}
	s.describe(r, b, &v)
	if err := r.override(); err != nil {
		return err
	}
	if r.header("X-Amz-Checksum-Mode") != "" && status == http.StatusOK {
		v.sum.tell(h)
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.Itoa(end-start))
	r.w.WriteHeader(status)
	if withBody {
		_, _ = r.w.Write(v.body[start:end]) // the client is gone
	}
	return nil
}

// stretch is what Range or partNumber asks for of the body.
func (r *request) stretch(v *version) (start, end, status int, err error) {
	size := len(v.body)
	if value := r.query.Get("partNumber"); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxParts {
			return 0, 0, 0, badPartNumber(value)
		}
		if len(v.parts) > 0 {
			r.w.Header().Set("X-Amz-Mp-Parts-Count", strconv.Itoa(len(v.parts)))
		}
		if n > max(len(v.parts), 1) {
			return 0, 0, 0, wire.StatusErrorf(http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber", "The requested partnumber is not satisfiable")
		}
		if len(v.parts) == 0 {
			return 0, size, http.StatusPartialContent, nil
		}
		for _, p := range v.parts[:n-1] {
			start += p.size
		}
		end = start + v.parts[n-1].size
		r.contentRange(start, end, size)
		return start, end, http.StatusPartialContent, nil
	}
	start, end, ok, err := byteRange(r.header("Range"), size)
	if err != nil {
		return 0, 0, 0, err
	}
	if !ok {
		return 0, size, http.StatusOK, nil
	}
	r.contentRange(start, end, size)
	return start, end, http.StatusPartialContent, nil
}

func (r *request) contentRange(start, end, size int) {
	r.w.Header().Set("Content-Range", "bytes "+strconv.Itoa(start)+"-"+strconv.Itoa(end-1)+"/"+strconv.Itoa(size))
}

// describe writes what is known of a version into the headers.
func (s *Service) describe(r *request, b *bucket, v *version) {
	h := r.w.Header()
	for name, value := range v.headers {
		if strings.HasPrefix(name, metaPrefix) {
			h[name] = []string{value} // in lower case on the wire: boto3 shows the names as they come
			continue
		}
		h.Set(name, value)
	}
	v.encryption.tell(h)
	if v.class != "STANDARD" {
		h.Set("X-Amz-Storage-Class", v.class)
	}
	if len(v.tags) > 0 {
		h.Set("X-Amz-Tagging-Count", strconv.Itoa(len(v.tags)))
	}
	if v.retention.mode != "" && r.permit(b, "GetObjectRetention", r.key, nil) == nil {
		h.Set("X-Amz-Object-Lock-Mode", v.retention.mode)
		h.Set("X-Amz-Object-Lock-Retain-Until-Date", wire.ISO(v.retention.until))
	}
	if v.hold != "" && r.permit(b, "GetObjectLegalHold", r.key, nil) == nil {
		h.Set("X-Amz-Object-Lock-Legal-Hold", v.hold)
	}
}

// override sets the headers that a signed request asks to be answered with.
func (r *request) override() error {
	for _, name := range []string{"Content-Type", "Content-Language", "Expires", "Cache-Control", "Content-Disposition", "Content-Encoding"} {
		value := r.query.Get("response-" + strings.ToLower(name))
		if value == "" {
			continue
		}
		if r.anonymous() {
			return badRequest("InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.")
		}
		r.w.Header().Set(name, value)
	}
	return nil
}

// getObjectAttributes answers those that are asked for.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
func (s *Service) getObjectAttributes(r *request) error {
	b, err := r.open(r.versioned("GetObject", "GetObjectVersion"), r.versioned("GetObjectAttributes", "GetObjectVersionAttributes"))
	if err != nil {
		return err
	}
	v, versioned, err := s.lookup(r, b, r.key, r.query.Get("versionId"))
	if err != nil {
		return err
	}
	if err := s.permitKey(r.Who, b, r.key, v.encryption, "kms:Decrypt"); err != nil {
		return err
	}
	var asked []string
	for _, value := range r.HTTP.Header.Values("X-Amz-Object-Attributes") {
		for name := range strings.SplitSeq(value, ",") {
			asked = append(asked, strings.TrimSpace(name))
		}
	}
	if len(asked) == 0 {
		return invalidArgument("x-amz-object-attributes", "", "Invalid attribute name specified.")
	}
	p := newPage("GetObjectAttributesResponse")
	for _, name := range []string{"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"} {
		if slices.Contains(asked, name) {
			v.attribute(p, name)
		}
	}
	h := r.w.Header()
	h.Set("Last-Modified", httpDate(v.modified))
	if versioned {
		h.Set("X-Amz-Version-Id", v.id)
	}
	r.answer(p, "GetObjectAttributesResponse")
	return nil
}

func (v *version) attribute(p *page, name string) {
	switch name {
	case "ETag":
		p.text(name, v.etag)
	case "StorageClass":
		p.text(name, v.class)
	case "ObjectSize":
		p.number(name, len(v.body))
	case "Checksum":
		p.open(name)
		p.checksum(v.sum)
		p.text("ChecksumType", v.sum.kind())
		p.close(name)
	case "ObjectParts":
		if len(v.parts) > 0 {
			p.open(name)
			p.number("PartsCount", len(v.parts))
			p.close(name)
		}
	}
}

// changeVersion runs f under the mutex on the version that a request names, which is no delete marker.
func (s *Service) changeVersion(r *request, b *bucket, f func(v *version) error) error {
	found, versioned, err := s.lookup(r, b, r.key, r.query.Get("versionId"))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := b.object(r.key).find(found.id)
	if v == nil {
		return noSuchKey(r.key)
	}
	if versioned {
		r.w.Header().Set("X-Amz-Version-Id", v.id)
	}
	return f(v)
}

func (s *Service) getObjectTagging(r *request) error {
	b, err := r.open(r.versioned("GetObjectTagging", "GetObjectVersionTagging"))
	if err != nil {
		return err
	}
	p := newPage("Tagging")
	if err := s.changeVersion(r, b, func(v *version) error { p.tags(v.tags); return nil }); err != nil {
		return err
	}
	r.answer(p, "Tagging")
	return nil
}

func (s *Service) putObjectTagging(r *request) error {
	b, err := r.open(r.versioned("PutObjectTagging", "PutObjectVersionTagging"))
	if err != nil {
		return err
	}
	tags, err := r.readTags(maxObjectTags)
	if err != nil {
		return err
	}
	if err := s.changeVersion(r, b, func(v *version) error { v.tags = tags; return nil }); err != nil {
		return err
	}
	return r.answerNothing(http.StatusOK)
}

func (s *Service) deleteObjectTagging(r *request) error {
	b, err := r.open(r.versioned("DeleteObjectTagging", "DeleteObjectVersionTagging"))
	if err != nil {
		return err
	}
	if err := s.changeVersion(r, b, func(v *version) error { v.tags = nil; return nil }); err != nil {
		return err
	}
	return r.answerNothing(http.StatusNoContent)
}

func (s *Service) getObjectACL(r *request) error {
	b, err := r.open(r.versioned("GetObjectAcl", "GetObjectVersionAcl"))
	if err != nil {
		return err
	}
	if _, _, err := s.lookup(r, b, r.key, r.query.Get("versionId")); err != nil {
		return err
	}
	p := newPage("AccessControlPolicy")
	b.writeACL(p)
	r.answer(p, "AccessControlPolicy")
	return nil
}

func (s *Service) putObjectACL(r *request) error {
	b, err := r.open(r.versioned("PutObjectAcl", "PutObjectVersionAcl"))
	if err != nil {
		return err
	}
	if _, _, err := s.lookup(r, b, r.key, r.query.Get("versionId")); err != nil {
		return err
	}
	if err := r.checkACL(b); err != nil {
		return err
	}
	if len(r.Body) > 0 {
		return badRequest("AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	return r.answerNothing(http.StatusOK)
}
