package s3

import (
	"cmp"
	"crypto/md5" //nolint:gosec // ETags are made of it
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An object is a key with its versions, the newest first; it has at least one.
type object struct {
	key      string
	versions []*version
}

// A version never changes but in its tags, retention and hold, which the service's mutex guards.
type version struct {
	id         string // nullVersion: put while versioning was off
	marker     bool   // a delete marker: nothing else is set but modified
	body       []byte
	etag       string // without quotes
	modified   time.Time
	headers    map[string]string // content-type …, x-amz-meta-…, in lower case
	class      string
	encryption encryption
	sum        checksum
	parts      []part // their bodies are not kept
	tags       []tag
	retention  retention
	hold       string // ON, OFF; empty: never set
}

const nullVersion = "null"

// current is the version that a key stands for; nil where it is deleted.
func (o *object) current() *version {
	if o == nil || o.versions[0].marker {
		return nil
	}
	return o.versions[0]
}

func (o *object) find(id string) *version {
	if o == nil {
		return nil
	}
	i := slices.IndexFunc(o.versions, func(v *version) bool { return v.id == id })
	if i < 0 {
		return nil
	}
	return o.versions[i]
}

// keptHeaders go with an object and come back with it.
var keptHeaders = []string{
	"content-type", "content-encoding", "content-disposition", "content-language", "cache-control", "expires",
	"x-amz-website-redirect-location",
}

// classes are the storage classes that can be asked for; archived ones cannot be read back.
var (
	classes  = []string{"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"}
	archived = []string{"GLACIER", "DEEP_ARCHIVE"}
)

const (
	metaPrefix  = "x-amz-meta-"
	maxMetadata = 2 << 10 // bytes of names and values

	defaultType = "binary/octet-stream"
)

// metadata reads the headers that are kept.
func (r *request) metadata() (map[string]string, error) {
	out := make(map[string]string)
	size := 0
	for name, values := range r.HTTP.Header {
		lower := strings.ToLower(name)
		switch {
		case strings.HasPrefix(lower, metaPrefix):
			out[lower] = strings.Join(values, ",")
			size += len(lower) - len(metaPrefix) + len(out[lower])
		case slices.Contains(keptHeaders, lower):
			out[lower] = values[0]
		}
	}
	if size > maxMetadata {
		e := badRequest("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
		e.Fields = map[string]any{"MaxSizeAllowed": "2048"}
		return nil, e
	}
	if codings, ok := out["content-encoding"]; ok {
		var kept []string
		for c := range strings.SplitSeq(codings, ",") {
			if c = strings.TrimSpace(c); c != "aws-chunked" && c != "" {
				kept = append(kept, c)
			}
		}
		if out["content-encoding"] = strings.Join(kept, ","); len(kept) == 0 {
			delete(out, "content-encoding")
		}
	}
	if out["content-type"] == "" {
		out["content-type"] = defaultType
	}
	return out, nil
}

// newVersion makes a version from the headers of a put, and asks for the permissions that they take.
func (r *request) newVersion(b *bucket) (*version, error) {
	if err := r.checkACL(b); err != nil {
		return nil, err
	}
	headers, err := r.metadata()
	if err != nil {
		return nil, err
	}
	v := &version{headers: headers, class: cmp.Or(r.header("X-Amz-Storage-Class"), "STANDARD")}
	if !slices.Contains(classes, v.class) {
		return nil, badRequest("InvalidStorageClass", "The storage class you specified is not valid")
	}
	if v.tags, err = r.headerTags(); err != nil {
		return nil, err
	}
	if v.encryption, err = r.encryption(b); err != nil {
		return nil, err
	}
	if v.retention, v.hold, err = r.lockHeaders(b); err != nil {
		return nil, err
	}
	for _, also := range []struct {
		action string
		asked  bool
	}{
		{"PutObjectTagging", len(v.tags) > 0},
		{"PutObjectRetention", v.retention.mode != ""},
		{"PutObjectLegalHold", v.hold != ""},
		{"PutObjectAcl", r.header("X-Amz-Acl") != ""},
	} {
		if !also.asked {
			continue
		}
		if err := r.permit(b, also.action, r.key, nil); err != nil {
			return nil, err
		}
	}
	return v, r.service.permitKey(r.Who, b, r.key, v.encryption, "kms:GenerateDataKey")
}

func (s *Service) putObject(r *request) error {
	b, err := r.open("PutObject")
	if err != nil {
		return err
	}
	c, err := r.condition()
	if err != nil {
		return err
	}
	body, sum, err := r.payload()
	if err != nil {
		return err
	}
	v, err := r.newVersion(b)
	if err != nil {
		return err
	}
	if err := r.checkDigestForLock(b, v, sum, "Put Object"); err != nil {
		return err
	}
	s.fill(v, body, sum)
	if err := s.commit(b, r.key, v, c); err != nil {
		return err
	}
	r.tellPut(v)
	return r.answerNothing(http.StatusOK)
}

// fill gives a version its body, which nobody changes afterwards, with ETag and checksum.
func (s *Service) fill(v *version, body []byte, sum checksum) {
	if sum.algorithm == nil {
		sum = standard().of(body)
	}
	v.body, v.sum = body, sum
	digest := md5.Sum(body) //nolint:gosec // as above
	v.etag = hex.EncodeToString(digest[:])
	if v.encryption.kms() {
		v.etag = s.cloud.Hex("s3 etag", 32) // then it is no MD5
	}
}

// tellPut writes what a put answers in its headers.
func (r *request) tellPut(v *version) {
	h := r.w.Header()
	h.Set("ETag", `"`+v.etag+`"`)
	v.encryption.tell(h)
	v.sum.tell(h)
	if v.id != "" {
		h.Set("X-Amz-Version-Id", v.id)
	}
}

// weight is what a version takes of maxStored.
func (v *version) weight(key string) int64 { return int64(len(v.body)+len(key)) + overhead }

// commit makes a version the newest of its key, if the condition holds. Afterwards v.id is what is to be told: empty in
// buckets that never had versions.
func (s *Service) commit(b *bucket, key string, v *version, c condition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(b, key, v, c)
}

// put is commit. Requires that mu is held.
func (s *Service) put(b *bucket, key string, v *version, c condition) error {
	if b.gone {
		return noSuchBucket(b.name)
	}
	if err := c.holds(key, b.object(key).current()); err != nil {
		return err
	}
	if s.stored+v.weight(key) > maxStored {
		return full()
	}
	now := s.cloud.Clock.Now()
	v.modified = now.Truncate(time.Second)
	if b.retention != nil && v.retention.mode == "" {
		v.retention = b.retention.from(now)
	}
	told := *v
	s.push(b, key, &told)
	v.id = told.id
	if b.versioning == "" {
		v.id = ""
	}
	return nil
}

// push makes a version the newest of its key, and takes away the one that it replaces. Requires that mu is held.
func (s *Service) push(b *bucket, key string, v *version) {
	v.id = nullVersion
	if b.versioning == enabled {
		v.id = s.cloud.Letters("s3 version", 32)
	}
	s.stored += v.weight(key)
	i := b.find(key)
	if i == len(b.objects) || b.objects[i].key != key {
		b.objects = slices.Insert(b.objects, i, &object{key: key})
	}
	o := b.objects[i]
	if v.id == nullVersion {
		o.versions = slices.DeleteFunc(o.versions, func(old *version) bool {
			if old.id == nullVersion {
				s.stored -= old.weight(key)
			}
			return old.id == nullVersion
		})
	}
	o.versions = slices.Insert(o.versions, 0, v)
}

// remove takes a version away, and the object with its last one. Requires that mu is held.
func (s *Service) remove(b *bucket, o *object, v *version) {
	s.stored -= v.weight(o.key)
	o.versions = slices.DeleteFunc(o.versions, func(other *version) bool { return other == v })
	if len(o.versions) == 0 {
		i := b.find(o.key)
		b.objects = slices.Delete(b.objects, i, i+1)
	}
}

// lookup finds the version that a request names, or the current one. versioned tells whether its id is to be told.
// What is missing is shown as such only to those who may list. Delete markers are errors, told by headers too.
func (s *Service) lookup(r *request, b *bucket, key, id string) (v version, versioned bool, err error) {
	s.mu.Lock()
	found, o := (*version)(nil), b.object(key)
	switch {
	case o == nil:
	case id == "":
		found = o.versions[0]
	default:
		found = o.find(id)
	}
	if found != nil {
		v = *found
	}
	versioned = b.versioning != "" || id != ""
	s.mu.Unlock()
	switch {
	case found != nil && !v.marker:
		return v, versioned, nil
	case found != nil && id != "":
		e := methodNotAllowed(r.HTTP.Method)
		e.Header = map[string]string{"X-Amz-Delete-Marker": "true", "X-Amz-Version-Id": v.id, "Allow": "DELETE", "Last-Modified": httpDate(v.modified)}
		return v, versioned, e
	}
	if id != "" && !goodVersion(id) {
		return v, versioned, invalidArgument("versionId", id, "Invalid version id specified")
	}
	if denied := r.permit(b, "ListBucket", "", nil); denied != nil {
		return v, versioned, denied
	}
	switch {
	case id != "":
		return v, versioned, noSuchVersion(key, id)
	case found != nil:
		e := noSuchKey(key)
		e.Header = map[string]string{"X-Amz-Delete-Marker": "true", "X-Amz-Version-Id": v.id}
		return v, versioned, e
	}
	return v, versioned, noSuchKey(key)
}

// goodVersion tells whether an id has the form of one.
func goodVersion(id string) bool {
	return id == nullVersion || len(id) == 32 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == ""
}

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
