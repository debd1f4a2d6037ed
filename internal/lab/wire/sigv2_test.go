package wire

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// secretOfTheGuide is that of the examples in
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationExamples
// The link is one of boto3, which internal/lab/clients lets make others.
const secretOfTheGuide = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

func TestALinkOfBeforeSignatureVersion4IsVerified(t *testing.T) {
	const query = "?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=mi%2Bpm7K7iCx46UlaDc8X8pxyzFc%3D&Expires=1141889120"
	for name, test := range map[string]struct {
		method, url, secret string
		header              http.Header
		want                bool
	}{
		"the guide's example":     {"GET", "http://awsexamplebucket1.s3.amazonaws.com/photos/puppy.jpg" + query, secretOfTheGuide, nil, true},
		"the bucket in the path":  {"GET", "http://127.0.0.1:4599/awsexamplebucket1/photos/puppy.jpg" + query, secretOfTheGuide, nil, true},
		"another key":             {"GET", "http://127.0.0.1:4599/awsexamplebucket1/photos/kitten.jpg" + query, secretOfTheGuide, nil, false},
		"another method":          {"PUT", "http://127.0.0.1:4599/awsexamplebucket1/photos/puppy.jpg" + query, secretOfTheGuide, nil, false},
		"another secret":          {"GET", "http://127.0.0.1:4599/awsexamplebucket1/photos/puppy.jpg" + query, "other", nil, false},
		"another subresource":     {"GET", "http://127.0.0.1:4599/awsexamplebucket1/photos/puppy.jpg" + query + "&acl", secretOfTheGuide, nil, false},
		"a name that counts not":  {"GET", "http://127.0.0.1:4599/awsexamplebucket1/photos/puppy.jpg" + query + "&x=y", secretOfTheGuide, nil, true},
		"a header that is signed": {"GET", "http://127.0.0.1:4599/awsexamplebucket1/photos/puppy.jpg" + query, secretOfTheGuide, http.Header{"X-Amz-Acl": {"private"}}, false},
		"a content type":          {"GET", "http://127.0.0.1:4599/awsexamplebucket1/photos/puppy.jpg" + query, secretOfTheGuide, http.Header{"Content-Type": {"x"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), test.method, test.url, nil)
			r.RequestURI = r.URL.RequestURI() // a server has no more than that
			for k, v := range test.header {
				r.Header[k] = v
			}
			s, ok := readSignature(r)
			if !ok || !s.link || s.key != "AKIAIOSFODNN7EXAMPLE" || s.service != "s3" {
				t.Fatalf("read %+v, %v", s, ok)
			}
			if got := s.verifyLink(r, test.secret); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
	for _, part := range []string{"?AWSAccessKeyId=a&Signature=b", "?AWSAccessKeyId=a&Expires=1", "?Signature=a&Expires=1"} {
		if _, ok := readSignature(httptest.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1/b/k"+part, nil)); ok {
			t.Errorf("%s is taken for a signature", part)
		}
	}
}
