package s3

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"example.org/catchment/internal/lab/wire"
)

// read runs f under the mutex, on a bucket that the caller may do action with.
func (s *Service) read(r *request, action string, f func(b *bucket) error) error {
	b, err := r.openBucket(nil, action)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.gone {
		return noSuchBucket(b.name)
	}
	return f(b)
}

// change is read, answered with nothing.
func (s *Service) change(r *request, action string, status int, f func(b *bucket) error) error {
	if err := s.read(r, action, f); err != nil {
		return err
	}
	return r.answerNothing(status)
}

// show is read, answered with a page that f writes.
func (s *Service) show(r *request, action, root string, f func(b *bucket, p *page) error) error {
	p := newPage(root)
	if err := s.read(r, action, func(b *bucket) error { return f(b, p) }); err != nil {
		return err
	}
	r.answer(p, root)
	return nil
}

func (s *Service) getBucketVersioning(r *request) error {
	return s.show(r, "GetBucketVersioning", "VersioningConfiguration", func(b *bucket, p *page) error {
		p.some("Status", b.versioning)
		return nil
	})
}

func (s *Service) putBucketVersioning(r *request) error {
	var in struct {
		XMLName   xml.Name `xml:"VersioningConfiguration"`
		Status    string
		MFADelete string `xml:"MfaDelete"`
	}
	if err := r.document(&in); err != nil {
		return err
	}
	return s.change(r, "PutBucketVersioning", http.StatusOK, func(b *bucket) error {
		switch {
		case in.MFADelete == enabled:
			return notImplemented("MfaDelete")
		case in.Status != enabled && in.Status != suspended:
			return wire.StatusErrorf(http.StatusBadRequest, "IllegalVersioningConfigurationException",
				"The Versioning element must be specified")
		case in.Status == suspended && b.lock:
			return wire.StatusErrorf(http.StatusConflict, "InvalidBucketState",
				"An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		b.versioning = in.Status
		return nil
	})
}

// A publicAccessBlock says what a bucket's policy may not give to everybody.
type publicAccessBlock struct {
	XMLName               xml.Name `xml:"PublicAccessBlockConfiguration"`
	BlockPublicAcls       bool
	IgnorePublicAcls      bool
	BlockPublicPolicy     bool
	RestrictPublicBuckets bool
}

func (s *Service) getPublicAccessBlock(r *request) error {
	return s.show(r, "GetBucketPublicAccessBlock", "PublicAccessBlockConfiguration", func(b *bucket, p *page) error {
		if b.block == nil {
			return notFound("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
		}
		p.truth("BlockPublicAcls", b.block.BlockPublicAcls)
		p.truth("IgnorePublicAcls", b.block.IgnorePublicAcls)
		p.truth("BlockPublicPolicy", b.block.BlockPublicPolicy)
		p.truth("RestrictPublicBuckets", b.block.RestrictPublicBuckets)
		return nil
	})
}

func (s *Service) putPublicAccessBlock(r *request) error {
	in := &publicAccessBlock{}
	if err := r.document(in); err != nil {
		return err
	}
	return s.change(r, "PutBucketPublicAccessBlock", http.StatusOK, func(b *bucket) error { b.block = in; return nil })
}

func (s *Service) deletePublicAccessBlock(r *request) error {
	return s.change(r, "PutBucketPublicAccessBlock", http.StatusNoContent, func(b *bucket) error { b.block = nil; return nil })
}

// Who owns the objects that other accounts put. With ownerEnforced, which is the default, ACLs are off.
const (
	ownerEnforced  = "BucketOwnerEnforced"
	ownerPreferred = "BucketOwnerPreferred"
	objectWriter   = "ObjectWriter"
)

var ownerships = []string{ownerEnforced, ownerPreferred, objectWriter}

func (s *Service) getOwnershipControls(r *request) error {
	return s.show(r, "GetBucketOwnershipControls", "OwnershipControls", func(b *bucket, p *page) error {
		if b.ownership == "" {
			return notFound("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
		}
		p.open("Rule")
		p.text("ObjectOwnership", b.ownership)
		p.close("Rule")
		return nil
	})
}

func (s *Service) putOwnershipControls(r *request) error {
	var in struct {
		XMLName xml.Name `xml:"OwnershipControls"`
		Rule    []struct{ ObjectOwnership string }
	}
	if err := r.document(&in); err != nil {
		return err
	}
	if len(in.Rule) != 1 || !slices.Contains(ownerships, in.Rule[0].ObjectOwnership) {
		return malformedXML()
	}
	return s.change(r, "PutBucketOwnershipControls", http.StatusOK, func(b *bucket) error {
		b.ownership = in.Rule[0].ObjectOwnership
		return nil
	})
}

func (s *Service) deleteOwnershipControls(r *request) error {
	return s.change(r, "PutBucketOwnershipControls", http.StatusNoContent, func(b *bucket) error { b.ownership = ""; return nil })
}

// checkACL refuses the ACLs that a put asks for and that the lab, or a bucket without ACLs, does not have.
func (r *request) checkACL(b *bucket) error {
	r.service.mu.Lock()
	off := b.ownership == ownerEnforced
	r.service.mu.Unlock()
	granted := slices.ContainsFunc(conditionHeaders, func(h string) bool {
		return strings.HasPrefix(h, "x-amz-grant-") && r.header(h) != ""
	})
	acl := r.header("X-Amz-Acl")
	switch {
	case acl == "bucket-owner-full-control" && !granted, acl == "" && !granted, acl == "private" && !granted && !off:
		return nil
	case off:
		return badRequest("AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	return notImplemented("x-amz-acl")
}

// writeACL writes that the owner may do everything: the lab has no other ACL.
func (b *bucket) writeACL(p *page) {
	p.owner(b.owner)
	p.open("AccessControlList")
	p.open("Grant")
	p.b.WriteString(`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">`)
	p.text("ID", canonicalID(b.owner))
	p.close("Grantee")
	p.text("Permission", "FULL_CONTROL")
	p.close("Grant")
	p.close("AccessControlList")
}

func (s *Service) getBucketACL(r *request) error {
	return s.show(r, "GetBucketAcl", "AccessControlPolicy", func(b *bucket, p *page) error { b.writeACL(p); return nil })
}

func (s *Service) putBucketACL(r *request) error {
	b, err := r.openBucket(nil, "PutBucketAcl")
	if err != nil {
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

// Limits of tags. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
const (
	maxBucketTags = 50
	maxObjectTags = 10
	maxTagKey     = 128
	maxTagValue   = 256
)

type tag struct{ Key, Value string }

func checkTags(tags []tag, most int) error {
	if len(tags) > most {
		if most == maxObjectTags {
			return badRequest("BadRequest", "Object tags cannot be greater than %d", most)
		}
		return badRequest("BadRequest", "Bucket tag count cannot be greater than %d", most)
	}
	seen := make(map[string]bool)
	for _, t := range tags {
		var e *wire.Error
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagKey:
			e = badRequest("InvalidTag", "The TagKey you have provided is invalid")
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			e = badRequest("InvalidTag", "The TagValue you have provided is invalid")
		case strings.HasPrefix(t.Key, "aws:"):
			e = badRequest("InvalidTag", "System tags cannot be added/updated by requester")
		case seen[t.Key]:
			e = badRequest("InvalidTag", "Cannot provide multiple Tags with the same key")
		default:
			seen[t.Key] = true
			continue
		}
		e.Fields = map[string]any{"TagKey": t.Key}
		return e
	}
	return nil
}

type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	TagSet  *struct{ Tag []tag }
}

// readTags reads the tags of a body.
func (r *request) readTags(most int) ([]tag, error) {
	var in tagging
	if err := r.document(&in); err != nil {
		return nil, err
	}
	if in.TagSet == nil {
		return nil, malformedXML()
	}
	return in.TagSet.Tag, checkTags(in.TagSet.Tag, most)
}

// headerTags reads the tags of x-amz-tagging, which are written like a query.
func (r *request) headerTags() ([]tag, error) {
	var out []tag
	value := r.header("X-Amz-Tagging")
	if value == "" {
		return nil, nil
	}
	for pair := range strings.SplitSeq(value, "&") {
		k, v, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(k)
		plain, err2 := url.QueryUnescape(v)
		if err != nil || err2 != nil {
			return nil, invalidArgument("x-amz-tagging", value, "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
		}
		out = append(out, tag{key, plain})
	}
	return out, checkTags(out, maxObjectTags)
}

func (p *page) tags(tags []tag) {
	p.open("TagSet")
	for _, t := range tags {
		p.open("Tag")
		p.text("Key", t.Key)
		p.text("Value", t.Value)
		p.close("Tag")
	}
	p.close("TagSet")
}

func (s *Service) getBucketTagging(r *request) error {
	return s.show(r, "GetBucketTagging", "Tagging", func(b *bucket, p *page) error {
		if len(b.tags) == 0 {
			return notFound("NoSuchTagSet", "The TagSet does not exist")
		}
		p.tags(b.tags)
		return nil
	})
}

func (s *Service) putBucketTagging(r *request) error {
	tags, err := r.readTags(maxBucketTags)
	if err != nil {
		return err
	}
	return s.change(r, "PutBucketTagging", http.StatusNoContent, func(b *bucket) error { b.tags = tags; return nil })
}

func (s *Service) deleteBucketTagging(r *request) error {
	return s.change(r, "PutBucketTagging", http.StatusNoContent, func(b *bucket) error { b.tags = nil; return nil })
}
