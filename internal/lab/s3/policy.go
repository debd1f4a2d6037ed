package s3

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/policy"
	"example.org/catchment/internal/lab/wire"
)

// maxPolicy is the most bytes of a bucket policy.
const maxPolicy = 20 << 10

// A statement is what S3 itself wants to know of one of a policy's. What it permits is for the lab's IAM to say.
type statement struct {
	Effect       string
	Principal    jsontext.Value
	NotPrincipal jsontext.Value
	Action       oneOrMore
	NotAction    oneOrMore
	Resource     oneOrMore
	NotResource  oneOrMore
	Condition    map[string]map[string]oneOrMore
}

// A oneOrMore is a text or a list of texts.
type oneOrMore []string

// UnmarshalJSON reads either form; numbers and truths stand for their text.
func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	*o = make(oneOrMore, 0, len(list))
	for _, x := range list {
		text, ok := x.(string)
		if !ok {
			raw, err := json.Marshal(x)
			if err != nil {
				return err
			}
			text = string(raw)
		}
		*o = append(*o, text)
	}
	return nil
}

// statements reads a policy; one statement may stand without a list.
func statements(text []byte) ([]statement, error) {
	var doc struct {
		Version   string
		ID        string         `json:"Id"`
		Statement jsontext.Value // a statement or a list of them
	}
	if err := json.Unmarshal(text, &doc, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if doc.Statement.Kind() == '{' {
		doc.Statement = jsontext.Value("[" + string(doc.Statement) + "]")
	}
	var out []statement
	err := json.Unmarshal(doc.Statement, &out)
	return out, err
}

func malformedPolicy(format string, args ...any) *wire.Error {
	return badRequest("MalformedPolicy", format, args...)
}

// checkPolicy refuses what S3 refuses in the policy of a bucket.
func (s *Service) checkPolicy(bucketName string, text []byte) error {
	if len(text) > maxPolicy {
		return badRequest("PolicyTooLarge", "Policy exceeds the maximum allowed document size.")
	}
	if len(text) == 0 || text[0] != '{' || !jsontext.Value(text).IsValid() {
		return malformedPolicy("Policies must be valid JSON and the first byte must be '{'")
	}
	all, err := statements(text)
	if err != nil {
		return malformedPolicy("This policy contains invalid Json")
	}
	if len(all) == 0 {
		return malformedPolicy("Missing required field Statement")
	}
	arn := s.objectARN(bucketName, "")
	for _, st := range all {
		actions, resources := append(st.Action, st.NotAction...), append(st.Resource, st.NotResource...)
		switch {
		case st.Effect == "":
			return malformedPolicy("Missing required field Effect")
		case st.Effect != "Allow" && st.Effect != "Deny":
			return malformedPolicy("Invalid effect: %s", st.Effect)
		case len(st.Principal) == 0 && len(st.NotPrincipal) == 0:
			return malformedPolicy("Missing required field Principal")
		case len(actions) == 0:
			return malformedPolicy("Missing required field Action")
		case len(resources) == 0:
			return malformedPolicy("Missing required field Resource")
		}
		for _, action := range actions {
			if action != "*" && !strings.HasPrefix(strings.ToLower(action), "s3:") {
				return malformedPolicy("Policy has invalid action")
			}
		}
		for _, resource := range resources {
			if resource != arn && !strings.HasPrefix(resource, arn+"/") && resource != arn+"*" && resource != "*" {
				return malformedPolicy("Policy has invalid resource")
			}
		}
	}
	if _, err := policy.Parse(policy.Resource, text); err != nil {
		return malformedPolicy("%v", err)
	}
	return nil
}

// fixing are the condition keys that keep a statement for everybody from being public, where their values have no
// wildcards. https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
var fixing = map[string]bool{
	"aws:sourceip": true, "aws:sourcearn": true, "aws:sourcevpc": true, "aws:sourcevpce": true, "aws:sourceaccount": true,
	"aws:sourceowner": true, "aws:userid": true, "aws:principalorgid": true, "aws:principalorgpaths": true,
	"aws:principalaccount": true, "aws:principalarn": true, "aws:sourceorgid": true, "aws:sourceorgpaths": true,
	"s3:dataaccesspointarn": true, "s3:dataaccesspointaccount": true, "s3:x-amz-server-side-encryption-aws-kms-key-id": true,
}

// isPublic tells whether a policy lets everybody in.
func isPublic(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	all, err := statements(text)
	if err != nil {
		return false
	}
	for _, st := range all {
		if st.Effect == "Allow" && st.everybody() && !st.fixed() {
			return true
		}
	}
	return false
}

func (st *statement) everybody() bool {
	if len(st.NotPrincipal) > 0 {
		return true
	}
	var names oneOrMore
	if st.Principal.Kind() == '{' {
		var byKind map[string]oneOrMore
		if json.Unmarshal(st.Principal, &byKind) != nil {
			return false
		}
		names = append(byKind["AWS"], byKind["CanonicalUser"]...)
	} else if json.Unmarshal(st.Principal, &names) != nil {
		return false
	}
	for _, name := range names {
		if name == "*" {
			return true
		}
	}
	return false
}

func (st *statement) fixed() bool {
	for operator, keys := range st.Condition {
		base, _, _ := strings.Cut(strings.TrimPrefix(operator, "ForAnyValue:"), "IfExists")
		switch base {
		case "StringEquals", "StringLike", "ArnEquals", "ArnLike", "StringEqualsIgnoreCase", "IpAddress":
		default:
			continue
		}
		for key, values := range keys {
			if fixing[strings.ToLower(key)] && allFixed(values) {
				return true
			}
		}
	}
	return false
}

func allFixed(values []string) bool {
	for _, v := range values {
		account := v
		if part := strings.SplitN(v, ":", 6); len(part) == 6 && part[0] == "arn" {
			account = part[4] // an ARN is fixed by its account
			if account == "" {
				account = part[5]
			}
		}
		if strings.ContainsAny(account, "*?$") || strings.HasSuffix(v, "/0") {
			return false
		}
	}
	return len(values) > 0
}

func (s *Service) getBucketPolicy(r *request) error {
	var text []byte
	err := s.read(r, "GetBucketPolicy", func(b *bucket) error {
		if text = b.policy; text == nil {
			e := notFound("NoSuchBucketPolicy", "The bucket policy does not exist")
			e.Fields = map[string]any{"BucketName": b.name}
			return e
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.w.Header().Set("Content-Type", "application/json")
	_, _ = r.w.Write(text) // the client is gone
	return nil
}

func (s *Service) putBucketPolicy(r *request) error {
	text, _, err := r.payload()
	if err != nil {
		return err
	}
	if err := s.checkPolicy(r.bucketName, text); err != nil {
		if _, missing := r.openBucket(nil, "PutBucketPolicy"); missing != nil {
			return missing
		}
		return err
	}
	return s.change(r, "PutBucketPolicy", http.StatusNoContent, func(b *bucket) error {
		if b.block != nil && b.block.BlockPublicPolicy && isPublic(text) {
			return accessDenied("User: %s is not authorized to perform: s3:PutBucketPolicy on resource: %q because public policies "+
				"are prevented by the BlockPublicPolicy setting in S3 Block Public Access", r.Who.ARN, s.objectARN(b.name, ""))
		}
		b.policy = append([]byte(nil), text...)
		return nil
	})
}

func (s *Service) deleteBucketPolicy(r *request) error {
	return s.change(r, "DeleteBucketPolicy", http.StatusNoContent, func(b *bucket) error { b.policy = nil; return nil })
}

func (s *Service) getBucketPolicyStatus(r *request) error {
	return s.show(r, "GetBucketPolicyStatus", "PolicyStatus", func(b *bucket, p *page) error {
		if b.policy == nil {
			return notFound("NoSuchBucketPolicy", "The bucket policy does not exist")
		}
		p.truth("IsPublic", isPublic(b.policy))
		return nil
	})
}
