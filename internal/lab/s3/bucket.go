package s3

import (
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// enabled and suspended are states of versioning; enabled is also that of rules, and of Object Lock.
const (
	enabled   = "Enabled"
	suspended = "Suspended"
	disabled  = "Disabled"
)

// A bucket is guarded by the service's mutex; name, owner, region and created never change.
type bucket struct {
	name, owner, region string
	created             time.Time

	gone       bool   // was deleted
	versioning string // empty: never enabled
	policy     []byte // replaced, never changed in place
	encryption encryption
	block      *publicAccessBlock
	ownership  string // empty: no controls
	tags       []tag
	lifecycle  *lifecycle
	lock       bool // Object Lock
	retention  *defaultRetention
	objects    []*object // by key
	uploads    map[string]*upload
}

// find gives the place of a key, or where it would be.
func (b *bucket) find(key string) int {
	i, _ := slices.BinarySearchFunc(b.objects, key, func(o *object, k string) int { return cmp.Compare(o.key, k) })
	return i
}

// object gives the object of a key; nil where there is none.
func (b *bucket) object(key string) *object {
	if i := b.find(key); i < len(b.objects) && b.objects[i].key == key {
		return b.objects[i]
	}
	return nil
}

var (
	goodName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	badStart = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	badEnd   = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

// checkBucketName keeps to the rules of general purpose buckets.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func checkBucketName(name string) error {
	bad := !goodName.MatchString(name) || strings.Contains(name, "..") || net.ParseIP(name) != nil ||
		slices.ContainsFunc(badStart, func(s string) bool { return strings.HasPrefix(name, s) }) ||
		slices.ContainsFunc(badEnd, func(s string) bool { return strings.HasSuffix(name, s) })
	if bad {
		e := badRequest("InvalidBucketName", "The specified bucket is not valid.")
		e.Fields = map[string]any{"BucketName": name}
		return e
	}
	return nil
}

type createBucketConfiguration struct {
	XMLName            xml.Name `xml:"CreateBucketConfiguration"`
	LocationConstraint string
	Tags               struct{ Tag []tag }
}

func (s *Service) createBucket(r *request) error {
	if r.anonymous() {
		return accessDenied("Access Denied")
	}
	if err := checkBucketName(r.bucketName); err != nil {
		return err
	}
	var in createBucketConfiguration
	if len(r.Body) > 0 {
		if err := r.document(&in); err != nil {
			return err
		}
	}
	region, err := r.location(in.LocationConstraint)
	if err != nil {
		return err
	}
	lock := strings.EqualFold(r.header("X-Amz-Bucket-Object-Lock-Enabled"), "true")
	actions := []string{"CreateBucket"}
	if lock {
		actions = append(actions, "PutBucketVersioning", "PutBucketObjectLockConfiguration")
	}
	if len(in.Tags.Tag) > 0 {
		actions = append(actions, "TagResource")
	}
	for _, action := range actions {
		if err := r.AuthorizeWith("s3:"+action, s.objectARN(r.bucketName, ""), r.Account, nil, map[string]string{
			"s3:locationconstraint": region, "s3:LocationConstraint": region, "aws:SecureTransport": "true",
		}); err != nil {
			return err
		}
	}
	if err := checkTags(in.Tags.Tag, maxBucketTags); err != nil {
		return err
	}
	ownership := cmp.Or(r.header("X-Amz-Object-Ownership"), ownerEnforced)
	if !slices.Contains(ownerships, ownership) {
		return invalidArgument("x-amz-object-ownership", ownership, "Invalid x-amz-object-ownership header: %s", ownership)
	}
	switch acl := r.header("X-Amz-Acl"); acl {
	case "", "private":
	case "public-read", "public-read-write", "authenticated-read":
		return badRequest("InvalidBucketAclWithBlockPublicAccessError", "Bucket cannot have public ACLs set with BlockPublicAccess enabled")
	default:
		return badRequest("InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	place := r.Place
	place.Region = region
	if b := s.buckets[r.bucketName]; b != nil && b.owner == r.Account && b.region == "us-east-1" && region == b.region {
		r.w.Header().Set("Location", "/"+r.bucketName) // what AWS has always answered there
		return r.answerNothing(http.StatusOK)
	}
	if err := s.addBucket(place, r.bucketName, lock); err != nil {
		return err
	}
	b := s.buckets[r.bucketName]
	b.tags, b.ownership = in.Tags.Tag, ownership
	r.w.Header().Set("Location", "/"+r.bucketName)
	r.w.Header().Set("X-Amz-Bucket-Arn", s.objectARN(r.bucketName, ""))
	return r.answerNothing(http.StatusOK)
}

// location is the region of a new bucket. The endpoint of us-east-1 makes buckets in all regions; that of another region
// only its own, and wants to be told so.
func (r *request) location(constraint string) (string, error) {
	if constraint == "EU" {
		constraint = "eu-west-1"
	}
	switch {
	case constraint == "" && r.Region == "us-east-1":
		return r.Region, nil
	case constraint == "":
		return "", badRequest("IllegalLocationConstraintException",
			"The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.")
	case constraint == "us-east-1" || !r.Cloud.Accounts.Enabled(r.Account, constraint):
		e := badRequest("InvalidLocationConstraint", "The specified location-constraint is not valid")
		e.Fields = map[string]any{"LocationConstraint": constraint}
		return "", e
	case constraint != r.Region && r.Region != "us-east-1":
		return "", badRequest("IllegalLocationConstraintException",
			"The %s location constraint is incompatible for the region specific endpoint this request was sent to.", constraint)
	}
	return constraint, nil
}

// maxBuckets is the default quota of an account.
const maxBuckets = 10_000

// addBucket requires that mu is held.
func (s *Service) addBucket(place cloud.Place, name string, lock bool) error {
	if b := s.buckets[name]; b != nil {
		e := wire.StatusErrorf(http.StatusConflict, "BucketAlreadyExists", "The requested bucket name is not available. "+
			"The bucket namespace is shared by all users of the system. Please select a different name and try again.")
		if b.owner == place.Account {
			e = wire.StatusErrorf(http.StatusConflict, "BucketAlreadyOwnedByYou",
				"Your previous request to create the named bucket succeeded and you already own it.")
		}
		e.Fields = map[string]any{"BucketName": name}
		return e
	}
	own := 0
	for _, b := range s.buckets {
		if b.owner == place.Account {
			own++
		}
	}
	if own >= maxBuckets {
		return badRequest("TooManyBuckets", "You have attempted to create more buckets than allowed")
	}
	b := &bucket{
		name: name, owner: place.Account, region: place.Region, created: s.cloud.Clock.Now().Truncate(time.Second),
		encryption: encryption{algorithm: sseS3}, ownership: ownerEnforced, lock: lock, uploads: make(map[string]*upload),
		block: &publicAccessBlock{BlockPublicAcls: true, IgnorePublicAcls: true, BlockPublicPolicy: true, RestrictPublicBuckets: true},
	}
	if lock {
		b.versioning = enabled
	}
	s.buckets[name] = b
	return nil
}

func (s *Service) headBucket(r *request) error {
	b, err := r.openBucket(nil, "ListBucket")
	if err != nil {
		return err
	}
	r.w.Header().Set("X-Amz-Bucket-Region", b.region)
	r.w.Header().Set("X-Amz-Bucket-Arn", s.objectARN(b.name, ""))
	r.w.Header().Set("X-Amz-Access-Point-Alias", "false")
	return r.answerNothing(http.StatusOK)
}

func (s *Service) getBucketLocation(r *request) error {
	b, err := r.openBucket(nil, "GetBucketLocation")
	if err != nil {
		return err
	}
	region := b.region
	if region == "us-east-1" {
		region = ""
	}
	p := newPage("LocationConstraint")
	escape(&p.b, region)
	r.answer(p, "LocationConstraint")
	return nil
}

func (s *Service) deleteBucket(r *request) error {
	b, err := r.openBucket(nil, "DeleteBucket")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(b.objects) > 0 {
		message := "The bucket you tried to delete is not empty"
		if b.versioning != "" {
			message += ". You must delete all versions in the bucket."
		}
		e := wire.StatusErrorf(http.StatusConflict, "BucketNotEmpty", "%s", message)
		e.Fields = map[string]any{"BucketName": b.name}
		return e
	}
	for _, u := range b.uploads {
		s.drop(u)
	}
	b.gone = true
	if s.buckets[b.name] == b {
		delete(s.buckets, b.name)
	}
	return r.answerNothing(http.StatusNoContent)
}

// listBuckets lists the caller's. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
func (s *Service) listBuckets(r *request) error {
	if r.anonymous() {
		return accessDenied("Access Denied")
	}
	if err := r.AuthorizeWith("s3:ListAllMyBuckets", s.objectARN("*", ""), r.Account, nil, map[string]string{"aws:SecureTransport": "true"}); err != nil {
		return err
	}
	limit, err := r.number("max-buckets", maxBuckets, maxBuckets)
	if err != nil {
		return err
	}
	if r.query.Has("max-buckets") && limit == 0 {
		return invalidArgument("max-buckets", "0", "Argument max-buckets must be an integer between 1 and %d", maxBuckets)
	}
	after, err := readToken(r.query.Get("continuation-token"))
	if err != nil {
		return err
	}
	prefix, region := r.query.Get("prefix"), r.query.Get("bucket-region")
	p := newPage("ListAllMyBucketsResult")
	p.owner(r.Account)
	p.open("Buckets")
	s.mu.Lock()
	n, last, more := 0, "", false
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		b := s.buckets[name]
		if b.owner != r.Account || name <= after || !strings.HasPrefix(name, prefix) || region != "" && region != b.region {
			continue
		}
		if more = n == limit; more {
			break
		}
		n, last = n+1, name
		p.open("Bucket")
		p.text("Name", name)
		p.moment("CreationDate", b.created)
		p.text("BucketRegion", b.region)
		p.text("BucketArn", s.objectARN(name, ""))
		p.close("Bucket")
	}
	s.mu.Unlock()
	p.close("Buckets")
	p.some("Prefix", prefix)
	if more {
		p.text("ContinuationToken", makeToken(last))
	}
	r.answer(p, "ListAllMyBucketsResult")
	return nil
}

// A token for the next page is what the page ended with, in a form that nobody takes for a key.
func makeToken(last string) string { return base64.RawURLEncoding.EncodeToString([]byte("1" + last)) }

func readToken(token string) (last string, err error) {
	if token == "" {
		return "", nil
	}
	plain, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(plain) == 0 || plain[0] != '1' {
		return "", invalidArgument("continuation-token", token, "The continuation token provided is incorrect")
	}
	return string(plain[1:]), nil
}
