package s3

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// A source is what x-amz-copy-source names: bucket/key, with a slash before or not, escaped, maybe with ?versionId=id.
type source struct {
	bucket *bucket
	key    string
	id     string // told to the client; empty: the bucket has no versions
	version
}

// source finds it, and asks for the permissions to read it.
func (r *request) source() (*source, error) {
	value := r.header("X-Amz-Copy-Source")
	path, id, _ := strings.Cut(value, "?versionId=")
	plain, err := url.PathUnescape(path)
	bucketName, key, ok := strings.Cut(strings.TrimPrefix(plain, "/"), "/")
	if err != nil || !ok || bucketName == "" || key == "" {
		return nil, invalidArgument("x-amz-copy-source", value, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	action := "GetObject"
	if id != "" {
		action = "GetObjectVersion"
	}
	b, err := r.openFor(bucketName, key, nil, action)
	if err != nil {
		return nil, err
	}
	v, versioned, err := r.service.lookup(r, b, key, id)
	if err != nil {
		return nil, err
	}
	if len(v.tags) > 0 && r.operation.name == "CopyObject" && !strings.EqualFold(r.header("X-Amz-Tagging-Directive"), "REPLACE") {
		if err := r.permit(b, action+"Tagging", key, nil); err != nil {
			return nil, err
		}
	}
	unchanged, err := r.checkRead(&v, "X-Amz-Copy-Source-")
	if err != nil {
		return nil, err
	}
	if unchanged {
		return nil, preconditionFailed("x-amz-copy-source-If-None-Match")
	}
	if err := r.service.permitKey(r.Who, b, key, v.encryption, "kms:Decrypt"); err != nil {
		return nil, err
	}
	src := &source{bucket: b, key: key, version: v}
	if versioned {
		src.id = v.id
	}
	return src, nil
}

// directive reads COPY, which is the default, or REPLACE.
func (r *request) directive(name string) (replace bool, err error) {
	switch value := r.header(name); strings.ToUpper(value) {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, invalidArgument(name, value, "Unknown metadata directive.")
	}
}

func (s *Service) copyObject(r *request) error {
	b, err := r.open("PutObject")
	if err != nil {
		return err
	}
	c, err := r.condition()
	if err != nil {
		return err
	}
	src, err := r.source()
	if err != nil {
		return err
	}
	newHeaders, err := r.directive("X-Amz-Metadata-Directive")
	if err != nil {
		return err
	}
	newTags, err := r.directive("X-Amz-Tagging-Directive")
	if err != nil {
		return err
	}
	if src.bucket == b && src.key == r.key && !newHeaders && !strings.Contains(r.header("X-Amz-Copy-Source"), "?versionId=") &&
		r.header("X-Amz-Storage-Class") == "" && r.header("X-Amz-Server-Side-Encryption") == "" {
		return badRequest("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without "+
			"changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	v, err := r.newVersion(b)
	if err != nil {
		return err
	}
	if !newHeaders {
		v.headers = maps.Clone(src.headers)
		delete(v.headers, "x-amz-website-redirect-location") // is never copied
	}
	if !newTags {
		v.tags = src.tags
	}
	sum := src.sum
	if asked := r.header("X-Amz-Checksum-Algorithm"); asked != "" {
		a := findAlgorithm(asked)
		if a == nil {
			return invalidChecksumAlgorithm()
		}
		sum = a.of(src.body)
	} else if sum.composite {
		sum = sum.of(src.body) // the copy is no object in parts
	}
	s.fill(v, src.body, sum)
	if err := s.commit(b, r.key, v, c); err != nil {
		return err
	}
	r.tellPut(v)
	h := r.w.Header()
	h.Del("ETag")
	if src.id != "" {
		h.Set("X-Amz-Copy-Source-Version-Id", src.id)
	}
	p := newPage("CopyObjectResult")
	p.text("ETag", `"`+v.etag+`"`)
	p.moment("LastModified", v.modified)
	p.checksum(v.sum)
	p.text("ChecksumType", v.sum.kind())
	r.answerStatus(http.StatusOK, p, "CopyObjectResult")
	return nil
}
