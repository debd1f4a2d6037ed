package cloudformation

import (
	"context"
	"net/http"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

func storageKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::S3::Bucket": {
			schema: properties("BucketName!", "BucketEncryption", "LifecycleConfiguration", "ObjectLockEnabled!", "ObjectLockConfiguration",
				"OwnershipControls", "PublicAccessBlockConfiguration", "VersioningConfiguration", "Tags"),
			create: createBucket, update: configureBucket, remove: removeBucket, read: readBucket,
		},
		"AWS::S3::BucketPolicy": {
			schema: properties("Bucket*!", "PolicyDocument*"),
			create: putBucketPolicy, update: putBucketPolicy,
			remove: func(ctx context.Context, j *job) error {
				_, err := j.s3(ctx, http.MethodDelete, j.text("Bucket"), "policy", nil, "")
				return err
			},
			read: readBucketPolicy,
		},
	}
}

const maxBucketName = 63

func createBucket(ctx context.Context, j *job) error {
	name := j.text("BucketName")
	if name == "" {
		name = strings.ToLower(j.name("BucketName", maxBucketName))
	}
	_, err := j.s3(ctx, http.MethodHead, name, "", nil, "")
	there := err == nil
	if there && (!j.takes || j.text("BucketName") == "") {
		return &handlerError{"s3", wire.StatusErrorf(http.StatusConflict, "AlreadyExists", "%s already exists", name)}
	}
	header, body := map[string]string{}, ""
	if lock, _ := j.props["ObjectLockEnabled"].(bool); lock {
		header["X-Amz-Bucket-Object-Lock-Enabled"] = "true"
	}
	if j.place.Region != "us-east-1" {
		body = writeXML("CreateBucketConfiguration", map[string]any{"LocationConstraint": j.place.Region})
	}
	if !there {
		if _, err := j.s3(ctx, http.MethodPut, name, "", header, body); err != nil {
			return err
		}
	}
	suffix := cloud.DNSSuffix(j.place.Partition)
	j.physical = name
	j.attrs = map[string]any{
		"Arn":        cloud.Place{Partition: j.place.Partition}.ARN("s3", name),
		"DomainName": name + ".s3." + suffix, "RegionalDomainName": name + ".s3." + j.place.Region + "." + suffix,
		"DualStackDomainName": name + ".s3.dualstack." + j.place.Region + "." + suffix,
		"WebsiteURL":          "http://" + name + ".s3-website-" + j.place.Region + "." + suffix,
	}
	return configureBucket(ctx, j)
}

// A bucketPart is a property of a bucket that is a configuration of its own in S3's API.
type bucketPart struct {
	property, query string
	document        func(v any) string
	without         string // what is put when the property goes away; empty: DELETE
}

var bucketParts = []bucketPart{
	{"VersioningConfiguration", "versioning", func(v any) string { return writeXML("VersioningConfiguration", v) }, "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"},
	{"BucketEncryption", "encryption", encryptionXML, ""},
	{"PublicAccessBlockConfiguration", "publicAccessBlock", func(v any) string { return writeXML("PublicAccessBlockConfiguration", v) }, ""},
	{"OwnershipControls", "ownershipControls", func(v any) string {
		return writeXML("OwnershipControls", map[string]any{"Rule": object(v)["Rules"]})
	}, ""},
	{"LifecycleConfiguration", "lifecycle", lifecycleXML, ""},
	{"ObjectLockConfiguration", "object-lock", func(v any) string { return writeXML("ObjectLockConfiguration", v) }, "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"},
}

func configureBucket(ctx context.Context, j *job) error {
	for _, part := range bucketParts {
		v, there := j.props[part.property]
		var err error
		switch {
		case j.before != nil && !j.changed(part.property), !there && j.before == nil:
		case there:
			_, err = j.s3(ctx, http.MethodPut, j.physical, part.query, nil, part.document(v))
		case part.without != "":
			_, err = j.s3(ctx, http.MethodPut, j.physical, part.query, nil, part.without)
		default:
			_, err = j.s3(ctx, http.MethodDelete, j.physical, part.query, nil, "")
		}
		if err != nil {
			return err
		}
	}
	tags := j.allTags()
	if len(tags) == 0 {
		return nil
	}
	_, err := j.s3(ctx, http.MethodPut, j.physical, "tagging", nil, writeXML("Tagging", map[string]any{"TagSet": map[string]any{"Tag": tags}}))
	return err
}

func encryptionXML(v any) string {
	var rules []any
	for _, rule := range listOf(object(v)["ServerSideEncryptionConfiguration"]) {
		one := map[string]any{}
		for key, member := range object(rule) {
			if key == "ServerSideEncryptionByDefault" {
				key = "ApplyServerSideEncryptionByDefault"
			}
			one[key] = member
		}
		rules = append(rules, one)
	}
	return writeXML("ServerSideEncryptionConfiguration", map[string]any{"Rule": rules})
}

// lifecycleXML writes rules as S3's API has them: CloudFormation names some of their members otherwise.
func lifecycleXML(v any) string {
	var rules []any
	for _, written := range listOf(object(v)["Rules"]) {
		rule, expiration, filter := map[string]any{"Status": "Enabled"}, map[string]any{}, map[string]any{}
		for key, member := range object(written) {
			switch key {
			case "Id":
				rule["ID"] = member
			case "ExpirationInDays":
				expiration["Days"] = member
			case "ExpiredObjectDeleteMarker":
				expiration[key] = member
			case "NoncurrentVersionExpirationInDays":
				rule["NoncurrentVersionExpiration"] = map[string]any{"NoncurrentDays": member}
			case "Prefix":
				filter["Prefix"] = member
			case "TagFilters":
				filter["Tag"] = member
			case "Transition", "Transitions":
				rule["Transition"] = transitions(member)
			default:
				rule[key] = member
			}
		}
		if len(expiration) > 0 {
			rule["Expiration"] = expiration
		}
		switch {
		case filter["Tag"] != nil && (filter["Prefix"] != nil || len(listOf(filter["Tag"])) > 1):
			rule["Filter"] = map[string]any{"And": filter}
		case filter["Tag"] != nil:
			rule["Filter"] = filter
		default:
			rule["Filter"] = map[string]any{"Prefix": textOf(filter["Prefix"])}
		}
		rules = append(rules, rule)
	}
	return writeXML("LifecycleConfiguration", map[string]any{"Rule": rules})
}

func transitions(v any) []any {
	var out []any
	for _, written := range listOf(v) {
		one := map[string]any{}
		for key, member := range object(written) {
			if key == "TransitionInDays" {
				key = "Days"
			}
			one[key] = member
		}
		out = append(out, one)
	}
	return out
}

func removeBucket(ctx context.Context, j *job) error {
	_, err := j.s3(ctx, http.MethodDelete, j.physical, "", nil, "")
	return err
}

func readBucket(ctx context.Context, j *job) (map[string]any, error) {
	out := make(map[string]any)
	versioning, err := j.s3(ctx, http.MethodGet, j.physical, "versioning", nil, "")
	if err != nil {
		return nil, err
	}
	out["VersioningConfiguration"] = versioning
	out["PublicAccessBlockConfiguration"], err = j.s3(ctx, http.MethodGet, j.physical, "publicAccessBlock", nil, "")
	if err != nil && !isGone(err) {
		return nil, err
	}
	encryption, err := j.s3(ctx, http.MethodGet, j.physical, "encryption", nil, "")
	if err != nil && !isGone(err) {
		return nil, err
	}
	var rules []any
	for _, rule := range listOf(encryption["Rule"]) {
		rules = append(rules, map[string]any{
			"ServerSideEncryptionByDefault": object(rule)["ApplyServerSideEncryptionByDefault"], "BucketKeyEnabled": object(rule)["BucketKeyEnabled"],
		})
	}
	out["BucketEncryption"] = map[string]any{"ServerSideEncryptionConfiguration": rules}
	return out, nil
}

func putBucketPolicy(ctx context.Context, j *job) error {
	bucket := j.text("Bucket")
	if _, err := j.s3(ctx, http.MethodPut, bucket, "policy", nil, document(j.props["PolicyDocument"])); err != nil {
		return err
	}
	j.physical = bucket
	return nil
}

func readBucketPolicy(ctx context.Context, j *job) (map[string]any, error) {
	r, err := j.s3Text(ctx, j.physical, "policy")
	if err != nil {
		return nil, err
	}
	return map[string]any{"PolicyDocument": parsed(r)}, nil
}
