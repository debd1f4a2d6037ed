package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"example.org/catchment/internal/lab/cloud"
)

// The credentials and signatures are those of AWS's own examples: the signature version 4 test suite, the user guide of
// IAM, and the guide of S3.
func TestTheExamplesOfAWSAreVerified(t *testing.T) {
	suite := cloud.Credential{SecretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	guide := cloud.Credential{SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	header := func(service, signed, value string) http.Header {
		return http.Header{
			"X-Amz-Date": {"20150830T123600Z"},
			"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/" + service + "/aws4_request, SignedHeaders=" +
				signed + ", Signature=" + value},
		}
	}
	listUsers := header("iam", "content-type;host;x-amz-date", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
	listUsers.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	for name, test := range map[string]struct {
		method, host, uri string
		header            http.Header
		credential        cloud.Credential
	}{
		"get-vanilla": {
			"GET", "example.amazonaws.com", "/",
			header("service", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"), suite,
		},
		"post-vanilla": {
			"POST", "example.amazonaws.com", "/",
			header("service", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"), suite,
		},
		"get-vanilla-query-order-key-case": {
			"GET", "example.amazonaws.com", "/?Param2=value2&Param1=value1",
			header("service", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"), suite,
		},
		"IAM's ListUsers": {"GET", "iam.amazonaws.com", "/?Action=ListUsers&Version=2010-05-08", listUsers, suite},
		"S3's presigned GET": {
			"GET", "examplebucket.s3.amazonaws.com",
			"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
				"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
				"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", nil, guide,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), test.method, "http://"+test.host+test.uri, nil)
			r.RequestURI = test.uri
			for k, v := range test.header {
				r.Header[k] = v
			}
			s, ok := readSignature(r)
			if !ok || !s.verify(r, nil, test.credential) {
				t.Errorf("not verified: %+v", s)
			}
			if s.verify(r, nil, cloud.Credential{SecretKey: "another"}) {
				t.Error("verified with another secret")
			}
		})
	}
}

// signed is a request as the SDK signs it, arrived at a server.
func signed(t *testing.T, method, target, service, body string, presign bool) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:4599", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if r.URL, err = url.Parse("http://127.0.0.1:4599" + target); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	payload := hex.EncodeToString(sum[:])
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	k := aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "token/+="}
	when := time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)
	uri := r.URL.RequestURI()
	if presign {
		payload = "UNSIGNED-PAYLOAD"
		link, _, err := signer.PresignHTTP(t.Context(), k, r, payload, service, "eu-west-1", when)
		if err != nil {
			t.Fatal(err)
		}
		uri = strings.TrimPrefix(link, "http://127.0.0.1:4599")
	} else if err := signer.SignHTTP(t.Context(), k, r, payload, service, "eu-west-1", when); err != nil {
		t.Fatal(err)
	}
	got := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:4599"+uri, strings.NewReader(body))
	got.RequestURI = uri
	got.Header = r.Header.Clone()
	return got
}

func TestWhatTheSDKSignsIsVerifiedAndNothingElse(t *testing.T) {
	right := cloud.Credential{SecretKey: "secret", Token: "token/+="}
	for name, test := range map[string]struct{ method, target, service, body string }{
		"a body of JSON":           {"POST", "/", "securityhub", `{"a":1}`},
		"no body":                  {"GET", "/", "sts", ""},
		"a query in any order":     {"GET", "/?b=2&a=1&a=0&empty", "events", ""},
		"a query with odd letters": {"GET", "/?prefix=a%2Fb%20c%2B%3D%26&x=%C3%A9", "s3", ""},
		"a path of Hive's kind":    {"PUT", "/bucket/a%3Db/c%20d", "s3", "x"},
		"odd letters in a key":     {"GET", "/bucket/a%2Bb%26%40%3A%24%27%28%29%2A~%C3%A9", "s3", ""},
		"slashes twice":            {"GET", "/bucket//a//b", "s3", ""},
		"an ARN in a path":         {"GET", "/findingAggregator/get/arn%3Aaws%3Asecurityhub%3A%3A1%3Aa%2Fb", "securityhub", ""},
	} {
		for how, presign := range map[string]bool{"in headers": false, "presigned": true} {
			t.Run(name+" "+how, func(t *testing.T) {
				read := func() (*http.Request, []byte, signature) {
					r := signed(t, test.method, test.target, test.service, test.body, presign)
					s, ok := readSignature(r)
					if !ok || s.key != "ASIAEXAMPLE" || s.region != "eu-west-1" || s.service != test.service {
						t.Fatalf("read %+v from %s", s, r.RequestURI)
					}
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Fatal(err)
					}
					return r, body, s
				}
				r, body, s := read()
				if !s.verify(r, body, right) {
					t.Fatalf("not verified: %s %s", r.Method, r.RequestURI)
				}
				for what, c := range map[string]cloud.Credential{
					"another secret": {SecretKey: "Secret", Token: "token/+="}, "no token": {SecretKey: "secret"}, "another token": {SecretKey: "secret", Token: "t"},
				} {
					if s.verify(r, body, c) {
						t.Errorf("verified with %s", what)
					}
				}
				if !presign && s.verify(r, append(bytes.Clone(body), 'x'), right) {
					t.Error("verified with another body")
				}
				r, body, s = read()
				r.Method = "DELETE"
				if s.verify(r, body, right) {
					t.Error("verified with another method")
				}
				r, body, s = read()
				r.RequestURI = "/x" + r.RequestURI
				if s.verify(r, body, right) {
					t.Error("verified with another path")
				}
				r, body, s = read()
				r.URL.RawQuery += "&more=1"
				if s.verify(r, body, right) {
					t.Error("verified with another query")
				}
				r, body, s = read()
				r.Host = "other.example.com"
				if s.verify(r, body, right) {
					t.Error("verified with another host")
				}
			})
		}
	}
}

// S3 takes a path as clients like to send it, and verifies it as it has to be signed.
func TestALetterOfAnS3KeyIsSignedEscapedWhetherItIsSentSo(t *testing.T) {
	r := signed(t, http.MethodPut, "/bucket/dt%3D2026/a%2Bb", "s3", "x", false)
	r.RequestURI = "/bucket/dt=2026/a+b"
	s, ok := readSignature(r)
	if !ok || !s.verify(r, []byte("x"), cloud.Credential{SecretKey: "secret", Token: "token/+="}) {
		t.Error("not verified")
	}
}

func TestWhatIsNoSignatureIsNone(t *testing.T) {
	for name, value := range map[string]string{
		"nothing":                    "",
		"another way":                "Basic YTpi",
		"an algorithm alone":         "AWS4-HMAC-SHA256 ",
		"a credential that is short": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service, SignedHeaders=host, Signature=00",
		"another end":                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws5_request, SignedHeaders=host, Signature=00",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Authorization", value)
		if s, ok := readSignature(r); ok {
			t.Errorf("%s: read %+v", name, s)
		}
	}
}
