package s3

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// A Client is the part of the SDK's *s3.Client that a Store needs.
type Client interface {
	Objects
	Uploads
}

// Objects are the requests about whole objects.
type Objects interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// Uploads are the requests about objects in parts.
type Uploads interface {
	CreateMultipartUpload(context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *s3.UploadPartInput, ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
}

var _ Client = (*s3.Client)(nil)

// Open is a store over a client of its own, made from cfg: credentials, region
// and endpoint (AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3 included) are the
// SDK's matter. It sends nothing; a wrong bucket shows at the first put.
func Open(cfg aws.Config, o Options) *Store {
	client, isAWS := newClient(cfg, o)
	s := New(client, o)
	s.trusted = isAWS
	return s
}

func newClient(cfg aws.Config, o Options) (client *s3.Client, isAWS bool) {
	isAWS = true
	client = s3.NewFromConfig(cfg, func(so *s3.Options) {
		if so.BaseEndpoint != nil {
			isAWS = ofAWS(*so.BaseEndpoint)
		}
		if so.Region == "" && !isAWS {
			so.Region = "us-east-1" // signatures need one; such servers rarely care
		}
		so.UsePathStyle = o.PathStyle == Always || o.PathStyle == Auto && !isAWS
		// The checksum is our own header. What the SDK would add on its own is a
		// trailer, which many servers store as part of the object.
		so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		so.DisableLogOutputChecksumValidationSkipped = true
		// Outages are for store.Retry; this is for the odd lost packet.
		so.Retryer = retry.NewStandard(func(ro *retry.StandardOptions) {
			ro.MaxAttempts = 2
			ro.MaxBackoff = 200 * time.Millisecond
		})
		if b, ok := so.HTTPClient.(*awshttp.BuildableClient); ok {
			so.HTTPClient = b.WithTransportOptions(patience)
		}
	})
	return client, isAWS
}

// patience bounds the wait for an answer once a request is sent, so that a
// server that hangs is an outage, and keeps a connection for each of many
// concurrent puts.
func patience(t *http.Transport) {
	t.ResponseHeaderTimeout = 90 * time.Second
	t.MaxIdleConnsPerHost = 64
}

func ofAWS(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := strings.TrimSuffix(u.Hostname(), ".cn")
	for _, domain := range []string{".amazonaws.com", ".amazonaws.eu", ".api.aws", ".c2s.ic.gov", ".sc2s.sgov.gov"} {
		if strings.HasSuffix(host, domain) {
			return true
		}
	}
	return false
}
