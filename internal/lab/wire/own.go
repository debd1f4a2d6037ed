package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
)

// This file is for services in the Own protocol, which read and answer requests themselves: S3.

// AuthorizeWith is Authorize with the condition keys that follow from the request.
func (c *Call) AuthorizeWith(action, resource, owner string, policy []byte, conditions map[string]string) error {
	err := c.Cloud.Authorize(cloud.Access{
		Who: c.Who, Action: action, Resource: resource, Owner: owner, Policy: policy, Context: conditions,
	})
	if err != nil {
		return denied(err)
	}
	return nil
}

// FailOwn answers a request in the Own protocol with an error, in S3's shape. Members of the error's Fields that are
// strings become elements. An error without a code is an answer without a body: 304.
func (c *Call) FailOwn(w http.ResponseWriter, err error) {
	e := *asError(nil, err)
	switch {
	case e.Code == "AccessDeniedException":
		e.Code = "AccessDenied"
	case e.Code == "InternalFailure":
		e.Code = "InternalError"
	case e.Status == 0:
		e.Status = http.StatusBadRequest
	}
	for k, v := range e.Header {
		w.Header().Set(k, v)
	}
	if e.Code == "" {
		w.WriteHeader(e.Status)
		return
	}
	w.Header().Set("X-Lab-Error", e.Code)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(e.Status)
	_, _ = w.Write(s3ErrorXML(c, &e)) // the client is gone
}

// A Seal goes on with the signature of a request, for the chunks of its body: each is signed with regard to the one
// before, the first to the request itself.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
type Seal struct {
	key         []byte
	when, scope string
	last        string
}

// Seal starts after the request's own signature; ok is false where it has none in its headers.
func (c *Call) Seal() (seal *Seal, ok bool) {
	sign, signed := readSignature(c.HTTP)
	if !signed || sign.query {
		return nil, false
	}
	credential, known := c.Cloud.Accounts.FindKey(sign.key)
	if !known {
		return nil, false
	}
	part := []string{sign.date, sign.region, sign.service, "aws4_request"}
	key := []byte("AWS4" + credential.SecretKey)
	for _, p := range part {
		key = sum256(key, p)
	}
	return &Seal{key: key, when: sign.when, scope: strings.Join(part, "/"), last: sign.value}, true
}

// Next gives the signature of what follows: kind is AWS4-HMAC-SHA256-PAYLOAD with the hashes of an empty text and of the
// chunk, or AWS4-HMAC-SHA256-TRAILER with that of the trailer.
func (s *Seal) Next(kind string, hashes ...string) string {
	text := strings.Join(append([]string{kind, s.when, s.scope, s.last}, hashes...), "\n")
	s.last = hex.EncodeToString(sum256(s.key, text))
	return s.last
}

func sum256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// s3Fields writes the elements of an error that only some have.
func s3Fields(b *bytes.Buffer, e *Error) {
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		if value, ok := e.Fields[name].(string); ok {
			b.WriteString("<" + name + ">")
			escapeXML(b, value)
			b.WriteString("</" + name + ">")
		}
	}
}
