// Package labtest serves parts of the lab to tests over loopback, for the official SDK to talk to.
package labtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Two accounts that every test's cloud has, and a region.
const (
	Administrator = "111111111111"
	Member        = "222222222222"
	Region        = "ap-northeast-1"
)

// Start is when the clocks of tests start. They stand still until they are moved.
var Start = time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)

// NewCloud makes a cloud with the two accounts.
func NewCloud(tb testing.TB, options ...func(*cloud.Options)) *cloud.Cloud {
	tb.Helper()
	o := cloud.Options{Seed: 1, Start: Start}
	for _, f := range options {
		f(&o)
	}
	c := cloud.New(o)
	for _, id := range []string{Administrator, Member} {
		if err := c.Accounts.Add(cloud.Account{ID: id}); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

// A Server is services at an address.
type Server struct {
	URL    string
	cloud  *cloud.Cloud
	client wholeBodies
}

// wholeBodies sends requests whose bodies are in memory. The SDK's own bodies are closed when the answer comes, and where
// that is sooner than the transport looks for their end, the transport takes it for a fault and cuts the answer off: one
// of a thousand answers over loopback.
type wholeBodies struct{ *http.Transport }

// Do is aws.HTTPClient.
func (w wholeBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, fmt.Errorf("read the request: %w", err)
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	return w.RoundTrip(r)
}

// Serve serves services until the test ends.
func Serve(tb testing.TB, c *cloud.Cloud, services ...*wire.Service) *Server {
	tb.Helper()
	server := httptest.NewServer(wire.NewServer(c, services...))
	tb.Cleanup(server.Close)
	return At(tb, c, server.URL)
}

// At is services that are served at an address already: a whole lab.
func At(tb testing.TB, c *cloud.Cloud, url string) *Server {
	tb.Helper()
	client := wholeBodies{&http.Transport{}}
	tb.Cleanup(client.CloseIdleConnections)
	return &Server{url, c, client}
}

// Config is what the SDK needs to call as an account's administrator in a region. It tries once.
func (s *Server) Config(account, region string) aws.Config {
	return s.As(s.cloud.Accounts.Credential(account), region)
}

// As is Config for other credentials.
func (s *Server) As(c cloud.Credential, region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(s.URL), HTTPClient: s.client,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretKey, c.Token),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// Settle lets happen what is to happen now.
func Settle(tb testing.TB, c *cloud.Cloud) {
	tb.Helper()
	Advance(tb, c, 0)
}

// Advance moves the clock.
func Advance(tb testing.TB, c *cloud.Cloud, d time.Duration) {
	tb.Helper()
	if err := c.Clock.Advance(tb.Context(), d); err != nil {
		tb.Fatal(err)
	}
}
