package s3_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/s3"
	"example.org/catchment/internal/store/storetest"
)

const bucket = "findings-lake"

// fakeServer is gofakes3 in this process, with an empty bucket. It differs from
// S3: no checksum but Content-MD5 is verified, no signature is, completing an
// upload in parts ignores If-None-Match, a completion with parts below 5 MiB is
// taken, and SSE headers are kept as if they were metadata.
func fakeServer(t *testing.T) *httptest.Server {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return server
}

// config is what the SDK would load for a server at endpoint.
func config(endpoint string) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("testtest", "testtest", ""),
		HTTPClient:   http.DefaultClient,
	}
}

func TestStoreOnGofakes3(t *testing.T) {
	for name, o := range map[string]s3.Options{
		"as it comes": {},
		"in parts":    {PartSize: 5 << 20},
		"below a prefix, vouched for, verified by Content-MD5": {Prefix: "some/where/", IfNoneMatch: s3.Always, Checksum: s3.MD5},
	} {
		o.Bucket = bucket
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				t.Helper()
				return s3.Open(config(fakeServer(t).URL), o)
			})
		})
	}
}
