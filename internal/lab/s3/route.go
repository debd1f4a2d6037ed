package s3

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// A level is what a request is about.
type level uint8

const (
	ofService level = iota
	ofBucket
	ofObject
)

// An operation is one that S3 can be asked for.
type operation struct {
	name string
	do   func(*Service, *request) error
}

// A rule says which requests an operation answers: those with a method, a name in the query and a header.
type rule struct {
	level         level
	method        string
	query, header string // empty: none is needed
	operation
}

// rules are tried in their order.
var rules = []rule{
	{ofService, "GET", "", "", operation{"ListBuckets", (*Service).listBuckets}},

	{ofBucket, "GET", "location", "", operation{"GetBucketLocation", (*Service).getBucketLocation}},
	{ofBucket, "GET", "versioning", "", operation{"GetBucketVersioning", (*Service).getBucketVersioning}},
	{ofBucket, "PUT", "versioning", "", operation{"PutBucketVersioning", (*Service).putBucketVersioning}},
	{ofBucket, "GET", "policyStatus", "", operation{"GetBucketPolicyStatus", (*Service).getBucketPolicyStatus}},
	{ofBucket, "GET", "policy", "", operation{"GetBucketPolicy", (*Service).getBucketPolicy}},
	{ofBucket, "PUT", "policy", "", operation{"PutBucketPolicy", (*Service).putBucketPolicy}},
	{ofBucket, "DELETE", "policy", "", operation{"DeleteBucketPolicy", (*Service).deleteBucketPolicy}},
	{ofBucket, "GET", "encryption", "", operation{"GetBucketEncryption", (*Service).getBucketEncryption}},
	{ofBucket, "PUT", "encryption", "", operation{"PutBucketEncryption", (*Service).putBucketEncryption}},
	{ofBucket, "DELETE", "encryption", "", operation{"DeleteBucketEncryption", (*Service).deleteBucketEncryption}},
	{ofBucket, "GET", "publicAccessBlock", "", operation{"GetPublicAccessBlock", (*Service).getPublicAccessBlock}},
	{ofBucket, "PUT", "publicAccessBlock", "", operation{"PutPublicAccessBlock", (*Service).putPublicAccessBlock}},
	{ofBucket, "DELETE", "publicAccessBlock", "", operation{"DeletePublicAccessBlock", (*Service).deletePublicAccessBlock}},
	{ofBucket, "GET", "ownershipControls", "", operation{"GetBucketOwnershipControls", (*Service).getOwnershipControls}},
	{ofBucket, "PUT", "ownershipControls", "", operation{"PutBucketOwnershipControls", (*Service).putOwnershipControls}},
	{ofBucket, "DELETE", "ownershipControls", "", operation{"DeleteBucketOwnershipControls", (*Service).deleteOwnershipControls}},
	{ofBucket, "GET", "tagging", "", operation{"GetBucketTagging", (*Service).getBucketTagging}},
	{ofBucket, "PUT", "tagging", "", operation{"PutBucketTagging", (*Service).putBucketTagging}},
	{ofBucket, "DELETE", "tagging", "", operation{"DeleteBucketTagging", (*Service).deleteBucketTagging}},
	{ofBucket, "GET", "lifecycle", "", operation{"GetBucketLifecycleConfiguration", (*Service).getLifecycle}},
	{ofBucket, "PUT", "lifecycle", "", operation{"PutBucketLifecycleConfiguration", (*Service).putLifecycle}},
	{ofBucket, "DELETE", "lifecycle", "", operation{"DeleteBucketLifecycle", (*Service).deleteLifecycle}},
	{ofBucket, "GET", "object-lock", "", operation{"GetObjectLockConfiguration", (*Service).getObjectLockConfiguration}},
	{ofBucket, "PUT", "object-lock", "", operation{"PutObjectLockConfiguration", (*Service).putObjectLockConfiguration}},
	{ofBucket, "GET", "acl", "", operation{"GetBucketAcl", (*Service).getBucketACL}},
	{ofBucket, "PUT", "acl", "", operation{"PutBucketAcl", (*Service).putBucketACL}},
	{ofBucket, "GET", "uploads", "", operation{"ListMultipartUploads", (*Service).listMultipartUploads}},
	{ofBucket, "GET", "versions", "", operation{"ListObjectVersions", (*Service).listObjectVersions}},
	{ofBucket, "GET", "list-type", "", operation{"ListObjectsV2", (*Service).listObjectsV2}},
	{ofBucket, "POST", "delete", "", operation{"DeleteObjects", (*Service).deleteObjects}},
	{ofBucket, "GET", "", "", operation{"ListObjects", (*Service).listObjects}},
	{ofBucket, "HEAD", "", "", operation{"HeadBucket", (*Service).headBucket}},
	{ofBucket, "PUT", "", "", operation{"CreateBucket", (*Service).createBucket}},
	{ofBucket, "DELETE", "", "", operation{"DeleteBucket", (*Service).deleteBucket}},

	{ofObject, "GET", "retention", "", operation{"GetObjectRetention", (*Service).getObjectRetention}},
	{ofObject, "PUT", "retention", "", operation{"PutObjectRetention", (*Service).putObjectRetention}},
	{ofObject, "GET", "legal-hold", "", operation{"GetObjectLegalHold", (*Service).getObjectLegalHold}},
	{ofObject, "PUT", "legal-hold", "", operation{"PutObjectLegalHold", (*Service).putObjectLegalHold}},
	{ofObject, "GET", "tagging", "", operation{"GetObjectTagging", (*Service).getObjectTagging}},
	{ofObject, "PUT", "tagging", "", operation{"PutObjectTagging", (*Service).putObjectTagging}},
	{ofObject, "DELETE", "tagging", "", operation{"DeleteObjectTagging", (*Service).deleteObjectTagging}},
	{ofObject, "GET", "attributes", "", operation{"GetObjectAttributes", (*Service).getObjectAttributes}},
	{ofObject, "GET", "acl", "", operation{"GetObjectAcl", (*Service).getObjectACL}},
	{ofObject, "PUT", "acl", "", operation{"PutObjectAcl", (*Service).putObjectACL}},
	{ofObject, "POST", "uploads", "", operation{"CreateMultipartUpload", (*Service).createMultipartUpload}},
	{ofObject, "PUT", "uploadId", "X-Amz-Copy-Source", operation{"UploadPartCopy", (*Service).uploadPart}},
	{ofObject, "PUT", "uploadId", "", operation{"UploadPart", (*Service).uploadPart}},
	{ofObject, "POST", "uploadId", "", operation{"CompleteMultipartUpload", (*Service).completeMultipartUpload}},
	{ofObject, "DELETE", "uploadId", "", operation{"AbortMultipartUpload", (*Service).abortMultipartUpload}},
	{ofObject, "GET", "uploadId", "", operation{"ListParts", (*Service).listParts}},
	{ofObject, "PUT", "", "X-Amz-Copy-Source", operation{"CopyObject", (*Service).copyObject}},
	{ofObject, "PUT", "", "", operation{"PutObject", (*Service).putObject}},
	{ofObject, "GET", "", "", operation{"GetObject", (*Service).getObject}},
	{ofObject, "HEAD", "", "", operation{"HeadObject", (*Service).headObject}},
	{ofObject, "DELETE", "", "", operation{"DeleteObject", (*Service).deleteObject}},
}

// names are those of all operations.
func names() []string {
	var out []string
	for _, r := range rules {
		out = append(out, r.name)
	}
	return out
}

// missing are the names in a query that ask for something that the lab does not have. They must not fall through to the
// operations without a name: GET /bucket?cors is no listing.
var missing = []string{
	"abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering", "inventory",
	"legal-hold", "lifecycle", "location", "logging", "metadataConfiguration", "metadataInventoryTable", "metadataJournalTable",
	"metadataTable", "metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock",
	"renameObject", "replication", "requestPayment", "restore", "retention", "select", "session", "tagging", "torrent", "uploads",
	"versioning", "website",
}

// pick finds the operation of a request.
func pick(r *http.Request) operation {
	bucketName, key := address(r)
	query := r.URL.Query()
	at := ofObject
	switch {
	case bucketName == "":
		at = ofService
	case key == "":
		at = ofBucket
	}
	for _, name := range missing {
		if query.Has(name) {
			return subresource(at, r, query, name)
		}
	}
	for _, a := range rules {
		if a.matches(at, r, query) {
			return a.operation
		}
	}
	return operation{"", refuseMethod}
}

func (a *rule) matches(at level, r *http.Request, query url.Values) bool {
	return a.level == at && a.method == r.Method && (a.query == "" || query.Has(a.query)) && (a.header == "" || r.Header.Get(a.header) != "")
}

func subresource(at level, r *http.Request, query url.Values, name string) operation {
	for _, a := range rules {
		if a.query != "" && a.matches(at, r, query) {
			return a.operation
		}
	}
	return operation{r.Method + " " + name, refuseSubresource}
}

func refuseMethod(_ *Service, r *request) error {
	if r.HTTP.Method == http.MethodPost {
		return notImplemented("POST") // a browser's form
	}
	return methodNotAllowed(r.HTTP.Method)
}

func refuseSubresource(_ *Service, r *request) error { return notImplemented(r.operation.name) }

// hostOfS3 takes the bucket out of a host's name: bucket.s3.eu-west-1.amazonaws.com, bucket.s3.localhost.
var hostOfS3 = regexp.MustCompile(`^(.+)\.s3(?:[.-][a-z0-9.-]+)?$`)

// shortestName is the least length of a bucket's name, so that s3.localhost is no bucket's host.
const shortestName = 3

// address finds bucket and key: /bucket/key, or /key at the bucket's own host, which is bucket.localhost or has s3 as a
// label. Neither is checked.
func address(r *http.Request) (bucketName, key string) {
	host := strings.ToLower(r.Host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	if m := hostOfS3.FindStringSubmatch(host); m != nil {
		return m[1], path
	}
	if name, ok := strings.CutSuffix(host, ".localhost"); ok && len(name) >= shortestName {
		return name, path
	}
	bucketName, key, _ = strings.Cut(path, "/")
	return bucketName, key
}
