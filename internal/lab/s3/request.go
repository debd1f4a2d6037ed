package s3

import (
	"crypto/md5" //nolint:gosec // S3 knows no other digest in Content-MD5
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.org/catchment/internal/lab/wire"
)

// maxKey is the most bytes of a key.
const maxKey = 1024

// A request is one call on its way through the service.
type request struct {
	*wire.Call
	service    *Service
	w          http.ResponseWriter
	operation  operation
	bucketName string
	key        string // empty: the request is about the bucket
	query      url.Values
}

func newRequest(s *Service, c *wire.Call, w http.ResponseWriter) *request {
	r := &request{Call: c, service: s, w: w, operation: pick(c.HTTP), query: c.HTTP.URL.Query()}
	r.bucketName, r.key = address(c.HTTP)
	return r
}

// check refuses what no operation takes.
func (r *request) check() error {
	switch {
	case !utf8.ValidString(r.key) || !utf8.ValidString(r.bucketName):
		return badRequest("InvalidURI", "Couldn't parse the specified URI.")
	case len(r.key) > maxKey:
		e := badRequest("KeyTooLongError", "Your key is too long")
		e.Fields = map[string]any{"MaxSizeAllowed": strconv.Itoa(maxKey), "Size": strconv.Itoa(len(r.key))}
		return e
	case r.header("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "":
		return notImplemented("x-amz-server-side-encryption-customer-algorithm")
	}
	return nil
}

func (r *request) header(name string) string { return r.HTTP.Header.Get(name) }

// anonymous tells whether nobody signed.
func (r *request) anonymous() bool { return r.Who.ARN == "" }

// open finds the request's bucket and asks for permission for actions with it, or with the request's key in it.
func (r *request) open(actions ...string) (*bucket, error) {
	return r.openFor(r.bucketName, r.key, nil, actions...)
}

// openBucket is open for the bucket as such. conditions are further condition keys.
func (r *request) openBucket(conditions map[string]string, actions ...string) (*bucket, error) {
	return r.openFor(r.bucketName, "", conditions, actions...)
}

func (r *request) openFor(bucketName, key string, conditions map[string]string, actions ...string) (*bucket, error) {
	r.service.mu.Lock()
	b := r.service.buckets[bucketName]
	r.service.mu.Unlock()
	if b == nil {
		return nil, noSuchBucket(bucketName)
	}
	expected := r.header("X-Amz-Expected-Bucket-Owner")
	if bucketName != r.bucketName {
		expected = r.header("X-Amz-Source-Expected-Bucket-Owner")
	}
	if expected != "" && expected != b.owner {
		return nil, accessDenied("Access Denied")
	}
	for _, action := range actions {
		if err := r.permit(b, action, key, conditions); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// permit asks for one permission with a key of a bucket, or the bucket itself where key is empty.
func (r *request) permit(b *bucket, action, key string, conditions map[string]string) error {
	r.service.mu.Lock()
	policy, closed := b.policy, b.block != nil && b.block.RestrictPublicBuckets
	r.service.mu.Unlock()
	if closed && r.Who.Account != b.owner && isPublic(policy) {
		return accessDenied("Access Denied")
	}
	if r.anonymous() && (r.Cloud.Access == nil || policy == nil) {
		return accessDenied("Access Denied") // a lab without permissions has owners nevertheless
	}
	all := r.conditions(b)
	maps.Copy(all, conditions)
	err := r.AuthorizeWith("s3:"+action, r.service.objectARN(b.name, key), b.owner, policy, all)
	if err != nil && r.anonymous() {
		return accessDenied("Access Denied")
	}
	return err
}

// conditionHeaders are the headers that are condition keys, s3: before their names.
var conditionHeaders = []string{
	"x-amz-acl", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-copy-source",
	"x-amz-metadata-directive", "x-amz-storage-class", "x-amz-content-sha256", "if-match", "if-none-match",
	"x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-full-control", "x-amz-grant-read-acp", "x-amz-grant-write-acp",
}

// conditions are the condition keys that follow from the request.
//
// aws:SecureTransport is true though the lab speaks plain HTTP: what is HTTPS in AWS would else be refused by every
// bucket policy that is as it should be. A client that sends X-Forwarded-Proto: http gets the other.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys
func (r *request) conditions(b *bucket) map[string]string {
	out := map[string]string{
		"aws:SecureTransport": strconv.FormatBool(r.header("X-Forwarded-Proto") != "http"),
		"aws:ResourceAccount": b.owner, "s3:ResourceAccount": b.owner,
	}
	if host, _, err := net.SplitHostPort(r.HTTP.RemoteAddr); err == nil {
		out["aws:SourceIp"] = host
	}
	if agent := r.header("User-Agent"); agent != "" {
		out["aws:UserAgent"] = agent
	}
	if !r.anonymous() {
		out["s3:signatureversion"] = "AWS4-HMAC-SHA256"
		out["s3:authType"] = "REST-HEADER"
		if r.query.Has("X-Amz-Signature") {
			out["s3:authType"] = "REST-QUERY-STRING"
		}
	}
	for _, name := range conditionHeaders {
		if value := r.header(name); value != "" {
			out["s3:"+name] = value
		}
	}
	for name, key := range map[string]string{
		"X-Amz-Object-Lock-Mode": "s3:object-lock-mode", "X-Amz-Object-Lock-Legal-Hold": "s3:object-lock-legal-hold",
		"X-Amz-Object-Lock-Retain-Until-Date": "s3:object-lock-retain-until-date",
	} {
		if value := r.header(name); value != "" {
			out[key] = value
		}
	}
	if id := r.query.Get("versionId"); id != "" {
		out["s3:VersionId"] = id
	}
	return out
}

// versioned gives the name of a permission, which is another one where a version is named: GetObject, GetObjectVersion.
func (r *request) versioned(action, ofVersion string) string {
	if r.query.Has("versionId") {
		return ofVersion
	}
	return action
}

// maxDocument is the most bytes of a configuration or a list in XML.
const maxDocument = 2 << 20

// document reads a body of XML, whose root element is that of into's XMLName. Content-MD5 is compared.
func (r *request) document(into any) error {
	body, _, err := r.payload()
	if err != nil {
		return err
	}
	if len(body) > maxDocument || xml.Unmarshal(body, into) != nil {
		return malformedXML()
	}
	return nil
}

// checkMD5 compares Content-MD5, if it is there.
func (r *request) checkMD5(body []byte) error {
	value := r.header("Content-Md5")
	if value == "" {
		return nil
	}
	want, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(want) != md5.Size {
		return badRequest("InvalidDigest", "The Content-MD5 you specified was invalid.")
	}
	if got := md5.Sum(body); got != [md5.Size]byte(want) { //nolint:gosec // as above
		e := badRequest("BadDigest", "The Content-MD5 you specified did not match what we received.")
		e.Fields = map[string]any{"ExpectedDigest": value, "CalculatedDigest": base64.StdEncoding.EncodeToString(got[:])}
		return e
	}
	return nil
}

// number reads a number in the query.
func (r *request) number(name string, otherwise, most int) (int, error) {
	value := r.query.Get(name)
	if value == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < 0 {
		return 0, invalidArgument(name, value, "Argument %s must be an integer between 0 and 2147483647", name)
	}
	return min(int(n), most), nil
}

// encoder gives what encoding-type makes of keys in answers.
func (r *request) encoder() (func(string) string, error) {
	switch value := r.query.Get("encoding-type"); value {
	case "":
		return func(s string) string { return s }, nil
	case "url":
		return func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }, nil
	default:
		return nil, invalidArgument("encoding-type", value, "Invalid Encoding Method specified in Request")
	}
}

// goodKey tells whether an object may have a key.
func goodKey(key string) bool { return key != "" && len(key) <= maxKey && utf8.ValidString(key) }
