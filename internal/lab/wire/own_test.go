package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

// TestASealGoesOnAsInAWSsExample has the figures of
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func TestASealGoesOnAsInAWSsExample(t *testing.T) {
	key := []byte("AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	for _, part := range []string{"20130524", "us-east-1", "s3", "aws4_request"} {
		key = sum256(key, part)
	}
	s := &Seal{
		key: key, when: "20130524T000000Z", scope: "20130524/us-east-1/s3/aws4_request",
		last: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
	}
	hashOf := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	for _, chunk := range []struct{ body, want string }{
		{strings.Repeat("a", 65536), "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"},
		{strings.Repeat("a", 1024), "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"},
		{"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
	} {
		if got := s.Next("AWS4-HMAC-SHA256-PAYLOAD", hashOf(""), hashOf(chunk.body)); got != chunk.want {
			t.Errorf("chunk of %d: got %s", len(chunk.body), got)
		}
	}
}
