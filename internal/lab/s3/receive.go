package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// The attributes of a delivery: those of a put that are not the body.
const (
	attrContentType     = "content-type"
	attrContentEncoding = "content-encoding"
	attrIfNoneMatch     = "if-none-match" // *
	attrSSE             = "sse"
	attrKey             = "sse-kms-key-id"
)

var (
	_ cloud.Receiver  = (*Service)(nil)
	_ cloud.Selective = (*Service)(nil)
)

// parse takes the ARN of a bucket or an object apart.
func (s *Service) parse(arn string) (b *bucket, key string, err error) {
	a, err := cloud.ParseARN(arn)
	if err != nil || a.Service != "s3" || a.Partition != s.cloud.Partition {
		return nil, "", fmt.Errorf("%s: %w", arn, cloud.ErrNoResource)
	}
	name, key, _ := strings.Cut(a.Resource, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	if b = s.buckets[name]; b == nil {
		return nil, "", fmt.Errorf("bucket %s: %w", name, cloud.ErrNoResource)
	}
	return b, key, nil
}

// Resource tells about the bucket of an ARN, which may be that of an object that does not exist.
func (s *Service) Resource(arn string) (cloud.Resource, error) {
	return s.ResourceFor(&cloud.Delivery{Target: arn})
}

// ResourceFor is Resource for a put that may ask for an encryption of its own.
func (s *Service) ResourceFor(d *cloud.Delivery) (cloud.Resource, error) {
	b, key, err := s.parse(d.Target)
	if err != nil {
		return cloud.Resource{}, err
	}
	e := s.asked(b, d)
	s.mu.Lock()
	defer s.mu.Unlock()
	out := cloud.Resource{Owner: b.owner, Policy: b.policy, Region: b.region, Context: map[string]string{
		"aws:SecureTransport": "true", "aws:ResourceAccount": b.owner, "s3:ResourceAccount": b.owner,
	}}
	if sse := d.Attributes[attrSSE]; sse != "" {
		out.Context["s3:x-amz-server-side-encryption"] = sse
	}
	if id := d.Attributes[attrKey]; id != "" {
		out.Context["s3:x-amz-server-side-encryption-aws-kms-key-id"] = id
	}
	if arn := s.keyARN(e, b.owner, b.region); arn != "" {
		out.Key, out.KeyContext = arn, s.keyContext(b, key, e)
	}
	return out, nil
}

// asked is the encryption of a delivery: what it asks for, or the bucket's default.
func (s *Service) asked(b *bucket, d *cloud.Delivery) encryption {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := b.encryption
	if sse := d.Attributes[attrSSE]; sse != "" {
		e = encryption{algorithm: sse, key: d.Attributes[attrKey], bucketKey: b.encryption.bucketKey && sse == sseKMS}
	}
	return e
}

// A receipt is what a put that was delivered is answered with.
type receipt struct {
	ETag      string
	VersionID string `json:"VersionId,omitempty"`
}

// Receive puts the body under the key, or gives the object where the action is s3:GetObject. Its errors are
// *cloud.DeliveryErrors with the code that S3 has, such as PreconditionFailed.
func (s *Service) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	b, key, err := s.parse(d.Target)
	if err != nil {
		return nil, err
	}
	if !goodKey(key) {
		return nil, &cloud.DeliveryError{Code: "KeyTooLongError", Err: fmt.Errorf("%s: no key of an object", d.Target)}
	}
	switch d.Action {
	case "s3:PutObject":
	case "s3:GetObject":
		s.mu.Lock()
		v := b.object(key).current()
		s.mu.Unlock()
		if v == nil {
			return nil, &cloud.DeliveryError{Code: cloud.CodeNoResource, Err: noSuchKey(key)}
		}
		return append([]byte(nil), v.body...), nil
	default:
		return nil, fmt.Errorf("s3: no deliveries of %s", d.Action)
	}
	v := &version{headers: map[string]string{attrContentType: defaultType}, class: "STANDARD", encryption: s.resolve(s.asked(b, d), b)}
	for _, name := range []string{attrContentType, attrContentEncoding} {
		if value := d.Attributes[name]; value != "" {
			v.headers[name] = value
		}
	}
	s.fill(v, append([]byte(nil), d.Body...), checksum{})
	if err := s.commit(b, key, v, condition{absent: d.Attributes[attrIfNoneMatch] == "*"}); err != nil {
		code := cloud.CodeInternal
		if e, ok := errors.AsType[*wire.Error](err); ok {
			code = e.Code
		}
		return nil, &cloud.DeliveryError{Code: code, Err: err}
	}
	return json.Marshal(receipt{`"` + v.etag + `"`, v.id})
}
