package wire

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // AWS's choice of 2006
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// This file is for links to S3 in the manner before Signature Version 4: AWS CLI v1 and boto3 make them where the region
// takes them, such as us-east-1 and ap-northeast-1. They name no region, and hold until a time which is not looked at:
// the lab's clock may be years ahead.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html

// readLink finds the signature of a link.
func readLink(q url.Values) (s signature, ok bool) {
	if q.Get("AWSAccessKeyId") == "" || q.Get("Signature") == "" || q.Get("Expires") == "" {
		return s, false
	}
	return signature{
		key: q.Get("AWSAccessKeyId"), value: q.Get("Signature"), when: q.Get("Expires"), token: q.Get("x-amz-security-token"),
		service: "s3", query: true, link: true,
	}, true
}

// subresources are the names in a query that a link's signature is also of.
var subresources = []string{
	"accelerate", "acl", "analytics", "cors", "delete", "inventory", "lifecycle", "location", "logging", "metrics", "notification",
	"object-lock", "partNumber", "policy", "replication", "requestPayment", "response-cache-control", "response-content-disposition",
	"response-content-encoding", "response-content-language", "response-content-type", "response-expires", "restore", "select",
	"select-type", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
}

// verifyLink tells whether a link was signed with a secret. The bucket is in the path, or in the host's name.
func (s *signature) verifyLink(r *http.Request, secret string) bool {
	q := r.URL.Query()
	of := func(name string) string {
		if v := r.Header.Get(name); v != "" {
			return v
		}
		return q.Get(strings.ToLower(name))
	}
	amz := make(map[string]string)
	for name, values := range r.Header {
		amz[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range q {
		amz[strings.ToLower(name)] = strings.Join(values, ",")
	}
	maps.DeleteFunc(amz, func(name, _ string) bool { return !strings.HasPrefix(name, "x-amz-") })
	before := r.Method + "\n" + of("Content-Md5") + "\n" + of("Content-Type") + "\n" + s.when + "\n"
	for _, name := range slices.Sorted(maps.Keys(amz)) {
		before += name + ":" + strings.TrimSpace(amz[name]) + "\n"
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	var sub []string
	for _, name := range subresources {
		if value := q.Get(name); value != "" {
			sub = append(sub, name+"="+value)
		} else if q.Has(name) {
			sub = append(sub, name)
		}
	}
	after := ""
	if len(sub) > 0 {
		after = "?" + strings.Join(sub, "&")
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	bucket, _, _ := strings.Cut(host, ".")
	for _, resource := range []string{path, "/" + bucket + path} {
		mac := hmac.New(sha1.New, []byte(secret))
		mac.Write([]byte(before + resource + after))
		if subtle.ConstantTimeCompare([]byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(s.value)) == 1 {
			return true
		}
	}
	return false
}
