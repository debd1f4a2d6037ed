package s3

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"example.org/catchment/internal/lab/cloud"
)

// unsigned puts bodies into chunks without signatures.
func unsigned(trailer string, chunks ...string) string {
	var b strings.Builder
	for _, c := range chunks {
		if c != "" {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
		}
	}
	return b.String() + "0\r\n" + trailer + "\r\n"
}

func TestChunksAreTakenApart(t *testing.T) {
	large := strings.Repeat("x", leastChunk)
	for name, tt := range map[string]struct{ raw, body, sum, failure string }{
		"nothing":                         {raw: "0\r\n\r\n"},
		"a chunk":                         {raw: unsigned("", "content"), body: "content"},
		"several":                         {raw: unsigned("", large, large, "end"), body: large + large + "end"},
		"a small one in the middle":       {raw: unsigned("", large, "small", large), failure: "InvalidChunkSizeError"},
		"with a trailer":                  {raw: unsigned("x-amz-checksum-crc32:AAAAAA==\r\n", "c"), body: "c", sum: "AAAAAA=="},
		"with a trailer that ends in LF":  {raw: unsigned("X-Amz-Checksum-Crc32: AAAAAA==\n", "c"), body: "c", sum: "AAAAAA=="},
		"a trailer that is none":          {raw: unsigned("hello\r\n", "c"), failure: "MalformedTrailerError"},
		"a trailer of many lines":         {raw: unsigned(strings.Repeat("a:b\r\n", 50), "c"), failure: "MalformedTrailerError"},
		"cut off in the data":             {raw: "ff\r\nabc", failure: "IncompleteBody"},
		"cut off after the data":          {raw: "3\r\nabc", failure: "IncompleteBody"},
		"cut off before the last chunk":   {raw: "3\r\nabc\r\n", failure: "IncompleteBody"},
		"longer than it says":             {raw: "3\r\nabcd\r\n0\r\n\r\n", failure: "IncompleteBody"},
		"no size":                         {raw: "x\r\nabc\r\n", failure: "InvalidRequest"},
		"a negative size":                 {raw: "-3\r\nabc\r\n", failure: "InvalidRequest"},
		"a size without end":              {raw: strings.Repeat("0", 5000) + "\r\n", failure: "IncompleteBody"},
		"a size beyond what there can be": {raw: "ffffffffffffffffff\r\nabc", failure: "InvalidRequest"},
		"empty":                           {raw: "", failure: "IncompleteBody"},
	} {
		t.Run(name, func(t *testing.T) {
			body, trailer, err := readChunks([]byte(tt.raw), false, nil)
			if (err != nil) != (tt.failure != "") || err != nil && !strings.HasPrefix(err.Error(), tt.failure) {
				t.Fatalf("got %v, want %q", err, tt.failure)
			}
			if err == nil && (string(body) != tt.body || trailer["x-amz-checksum-crc32"] != tt.sum) {
				t.Errorf("got %d bytes, %q", len(body), trailer)
			}
		})
	}
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte(unsigned("a:b\r\n", "content")), false)
	f.Add([]byte("3;chunk-signature=ab\r\nabc\r\n0;chunk-signature=cd\r\n\r\n"), true)
	f.Add([]byte("fffffffff\r\n"), false)
	f.Fuzz(func(t *testing.T, raw []byte, signed bool) {
		body, trailer, err := readChunks(raw, signed, func(string, ...string) string { return "ab" })
		if err != nil {
			return
		}
		if len(body) > len(raw) || len(trailer) > mostLines {
			t.Errorf("%d bytes of %d, %d lines", len(body), len(raw), len(trailer))
		}
		if signed {
			return
		}
		again, _, err := readChunks([]byte(unsigned("", string(body))), false, nil)
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("put into one chunk again: %v", err)
		}
	})
}

func TestAddressesOfBuckets(t *testing.T) {
	for name, tt := range map[string]struct{ host, path, bucket, key string }{
		"path":                      {"127.0.0.1:4599", "/lake/a/b", "lake", "a/b"},
		"path, IPv6":                {"[::1]:4599", "/lake/a", "lake", "a"},
		"path, bucket alone":        {"localhost:4599", "/lake", "lake", ""},
		"path, bucket with slash":   {"localhost:4599", "/lake/", "lake", ""},
		"path, a key with a slash":  {"localhost:4599", "/lake//a", "lake", "/a"},
		"no bucket":                 {"localhost:4599", "/", "", ""},
		"no bucket, S3's host":      {"s3.eu-west-1.amazonaws.com", "/", "", ""},
		"path, S3's host":           {"s3.localhost:4599", "/lake/a", "lake", "a"},
		"virtual":                   {"lake.localhost:4599", "/a/b", "lake", "a/b"},
		"virtual, dots":             {"my.lake.localhost", "/a", "my.lake", "a"},
		"virtual, AWS":              {"lake.s3.eu-west-1.amazonaws.com", "/a", "lake", "a"},
		"virtual, AWS of old":       {"lake.s3-eu-west-1.amazonaws.com", "/a", "lake", "a"},
		"virtual, AWS, dualstack":   {"lake.s3.dualstack.eu-west-1.amazonaws.com", "/", "lake", ""},
		"virtual, s3 in the bucket": {"a.s3.b.s3.amazonaws.com", "/a", "a.s3.b", "a"},
		"virtual, S3 of the lab":    {"lake.s3.localhost:4599", "/a", "lake", "a"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+tt.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		if b, key := address(r); b != tt.bucket || key != tt.key {
			t.Errorf("%s: got %q %q", name, b, key)
		}
	}
}

func TestPoliciesThatLetEverybodyIn(t *testing.T) {
	for name, tt := range map[string]struct {
		statement string
		public    bool
	}{
		"everybody":                {`{"Effect":"Allow","Principal":"*"}`, true},
		"everybody of AWS":         {`{"Effect":"Allow","Principal":{"AWS":["arn:x","*"]}}`, true},
		"all but one":              {`{"Effect":"Allow","NotPrincipal":{"AWS":"arn:x"}}`, true},
		"nobody":                   {`{"Effect":"Deny","Principal":"*"}`, false},
		"an account":               {`{"Effect":"Allow","Principal":{"AWS":"111111111111"}}`, false},
		"a service":                {`{"Effect":"Allow","Principal":{"Service":"firehose.amazonaws.com"}}`, false},
		"an organisation":          {`{"Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-abc"}}}`, false},
		"any organisation":         {`{"Effect":"Allow","Principal":"*","Condition":{"StringLike":{"aws:PrincipalOrgID":"o-*"}}}`, true},
		"all but an organisation":  {`{"Effect":"Allow","Principal":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-abc"}}}`, true},
		"ARNs of an account":       {`{"Effect":"Allow","Principal":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:x:iam::111111111111:role/*"}}}`, false},
		"ARNs of any account":      {`{"Effect":"Allow","Principal":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:x:iam::*:role/a"}}}`, true},
		"an address":               {`{"Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}`, false},
		"any address":              {`{"Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}}`, true},
		"something that all could": {`{"Effect":"Allow","Principal":"*","Condition":{"Bool":{"aws:SecureTransport":true}}}`, true},
	} {
		for _, form := range []string{`{"Statement":%s}`, `{"Version":"2012-10-17","Id":"x","Statement":[%s]}`} {
			if got := isPublic(fmt.Appendf(nil, form, tt.statement)); got != tt.public {
				t.Errorf("%s: public: %v", name, got)
			}
		}
	}
}

func TestTheLabsMemoryHasAnEnd(t *testing.T) {
	c := cloud.New(cloud.Options{})
	s := New(c)
	if err := s.CreateBucket(c.Accounts.Place("111111111111", "us-east-1"), "lake"); err != nil {
		t.Fatal(err)
	}
	b := s.buckets["lake"]
	put := func(n int) error {
		v := &version{encryption: encryption{algorithm: sseS3}}
		s.fill(v, make([]byte, n), checksum{})
		return s.commit(b, "k", v, condition{})
	}
	s.stored = maxStored - overhead - 11
	if err := put(11); err == nil || !strings.HasPrefix(err.Error(), "InsufficientStorage") {
		t.Errorf("one byte too many: got %v", err)
	}
	if err := put(10); err != nil {
		t.Errorf("up to the end: %v", err)
	}
	if _, err := s.erase(b, "k", "", false, condition{}); err != nil || s.stored != maxStored-overhead-11 {
		t.Errorf("deleted: %d bytes too many, %v", s.stored-(maxStored-overhead-11), err)
	}
}
