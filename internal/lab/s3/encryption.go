package s3

import (
	"cmp"
	"encoding/xml"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"example.org/catchment/internal/lab/cloud"
)

// How objects are encrypted.
const (
	sseS3     = "AES256"
	sseKMS    = "aws:kms"
	sseDouble = "aws:kms:dsse"
)

// An encryption is that of an object, or the default of a bucket.
type encryption struct {
	algorithm string
	key       string // as it was given: an ARN, an id, an alias; empty: AWS's own key
	bucketKey bool
}

func (e encryption) kms() bool { return e.algorithm == sseKMS || e.algorithm == sseDouble }

// managedKey is the alias of AWS's own key for S3 in the bucket's account: what aws:kms means without a key.
const managedKey = "alias/aws/s3"

// keyARN is the ARN of the key that a given name means in an account.
func (s *Service) keyARN(e encryption, account, region string) string {
	if !e.kms() {
		return ""
	}
	at := cloud.Place{Partition: s.cloud.Partition, Account: account, Region: region}
	switch {
	case e.key == "":
		return at.ARN("kms", managedKey)
	case strings.HasPrefix(e.key, "arn:"):
		return e.key
	case strings.HasPrefix(e.key, "alias/"):
		return at.ARN("kms", e.key)
	}
	return at.ARN("kms", "key/"+e.key)
}

// keyContext are the condition keys that KMS sees. With a bucket key the context is the bucket.
func (s *Service) keyContext(b *bucket, key string, e encryption) map[string]string {
	if e.bucketKey {
		key = ""
	}
	return map[string]string{
		"kms:ViaService":                   "s3." + b.region + "." + cloud.DNSSuffix(s.cloud.Partition),
		"kms:EncryptionContext:aws:s3:arn": s.objectARN(b.name, key),
		"kms:EncryptionContextKeys":        "aws:s3:arn",
		"kms:EncryptionAlgorithm":          "SYMMETRIC_DEFAULT",
	}
}

// kmsFailure is the code that KMS gives with a key that cannot be used, such as KMS.DisabledException.
var kmsFailure = regexp.MustCompile(`KMS\.\w+`)

// permitKey asks KMS on behalf of whoever puts (kms:GenerateDataKey) or gets (kms:Decrypt).
func (s *Service) permitKey(who cloud.Identity, b *bucket, key string, e encryption, action string) error {
	if !e.kms() {
		return nil
	}
	arn := s.keyARN(e, b.owner, b.region)
	parsed, err := cloud.ParseARN(arn)
	if err != nil || parsed.Service != "kms" || parsed.Region != b.region {
		return badRequest("KMS.NotFoundException", "Invalid arn %s", arn)
	}
	err = s.cloud.PermitKeyWith(who, arn, action, s.keyContext(b, key, e))
	denied, isDenied := errors.AsType[*cloud.DeniedError](err)
	switch {
	case err == nil:
		return nil
	case isDenied:
		return accessDenied("%s", denied.Error())
	case errors.Is(err, cloud.ErrNoResource):
		return badRequest("KMS.NotFoundException", "Key '%s' does not exist", arn)
	}
	return badRequest(cmp.Or(kmsFailure.FindString(err.Error()), "KMS.DisabledException"), "%v", err)
}

// encryption is what the request asks for, or else the bucket's default.
func (r *request) encryption(b *bucket) (encryption, error) {
	e := encryption{algorithm: r.header("X-Amz-Server-Side-Encryption"), key: r.header("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")}
	switch e.algorithm {
	case "":
		if e.key != "" {
			return e, invalidArgument("x-amz-server-side-encryption", "null",
				"Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
		}
		r.service.mu.Lock()
		e = b.encryption
		r.service.mu.Unlock()
	case sseS3:
		if e.key != "" {
			return e, invalidArgument("x-amz-server-side-encryption", e.algorithm,
				"Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
		}
	case sseKMS, sseDouble:
		r.service.mu.Lock()
		e.bucketKey = b.encryption.bucketKey
		r.service.mu.Unlock()
	default:
		return e, badRequest("InvalidEncryptionAlgorithmError", "The encryption request that you specified is not valid. The valid value is AES256.")
	}
	if value := r.header("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"); value != "" {
		e.bucketKey = strings.EqualFold(value, "true")
	}
	e.bucketKey = e.bucketKey && e.algorithm == sseKMS
	return r.service.resolve(e, b), nil
}

// resolve gives an encryption by the ARN of its key, which an alias leads to.
func (s *Service) resolve(e encryption, b *bucket) encryption {
	if !e.kms() {
		return e
	}
	e.key = s.keyARN(e, b.owner, b.region)
	if found, err := s.cloud.Receivers.Resource(e.key); err == nil && found.ARN != "" {
		e.key = found.ARN
	}
	return e
}

// tell writes the encryption into the headers of an answer.
func (e encryption) tell(h http.Header) {
	h.Set("X-Amz-Server-Side-Encryption", e.algorithm)
	if e.kms() {
		h.Set("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", e.key)
	}
	if e.bucketKey {
		h.Set("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", strconv.FormatBool(true))
	}
}

// getBucketEncryption always has an answer: since 2023 every bucket has a default.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
func (s *Service) getBucketEncryption(r *request) error {
	return s.show(r, "GetEncryptionConfiguration", "ServerSideEncryptionConfiguration", func(b *bucket, p *page) error {
		p.open("Rule")
		p.open("ApplyServerSideEncryptionByDefault")
		p.text("SSEAlgorithm", b.encryption.algorithm)
		p.some("KMSMasterKeyID", b.encryption.key)
		p.close("ApplyServerSideEncryptionByDefault")
		p.truth("BucketKeyEnabled", b.encryption.bucketKey)
		p.close("Rule")
		return nil
	})
}

func (s *Service) putBucketEncryption(r *request) error {
	var in struct {
		XMLName xml.Name `xml:"ServerSideEncryptionConfiguration"`
		Rule    []struct {
			ApplyServerSideEncryptionByDefault *struct{ SSEAlgorithm, KMSMasterKeyID string }
			BucketKeyEnabled                   bool
		}
	}
	if err := r.document(&in); err != nil {
		return err
	}
	if len(in.Rule) != 1 || in.Rule[0].ApplyServerSideEncryptionByDefault == nil {
		return malformedXML()
	}
	given := in.Rule[0].ApplyServerSideEncryptionByDefault
	e := encryption{given.SSEAlgorithm, given.KMSMasterKeyID, in.Rule[0].BucketKeyEnabled}
	switch {
	case !e.kms() && e.algorithm != sseS3:
		return malformedXML()
	case !e.kms() && e.key != "":
		return invalidArgument("SSEAlgorithm", e.algorithm, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
	case strings.HasPrefix(e.key, "arn:"):
		if arn, err := cloud.ParseARN(e.key); err != nil || arn.Service != "kms" {
			return invalidArgument("KMSMasterKeyID", e.key, "Invalid KMS key ARN")
		}
	}
	return s.change(r, "PutEncryptionConfiguration", http.StatusOK, func(b *bucket) error { b.encryption = e; return nil })
}

// deleteBucketEncryption goes back to S3's own keys.
func (s *Service) deleteBucketEncryption(r *request) error {
	return s.change(r, "PutEncryptionConfiguration", http.StatusNoContent, func(b *bucket) error {
		b.encryption = encryption{algorithm: sseS3}
		return nil
	})
}
