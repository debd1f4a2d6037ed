package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"example.org/catchment/internal/lab/cloud"
)

// A signature is what a request says of who signed it.
type signature struct {
	key     string // access key id
	date    string // 20261124
	region  string
	service string
	headers []string // that are signed
	value   string   // hexadecimal
	query   bool     // presigned: it stands in the query
	when    string   // 20261124T131652Z
	token   string
	link    bool // to S3, of before Signature Version 4: see sigv2.go
}

const algorithm = "AWS4-HMAC-SHA256"

// readSignature finds the signature of a request; ok is false where there is none.
func readSignature(r *http.Request) (s signature, ok bool) {
	if rest, found := strings.CutPrefix(r.Header.Get("Authorization"), algorithm+" "); found {
		part := make(map[string]string)
		for _, p := range strings.Split(rest, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			part[name] = value
		}
		s = signature{value: part["Signature"], when: r.Header.Get("X-Amz-Date"), token: r.Header.Get("X-Amz-Security-Token")}
		s.headers = strings.Split(part["SignedHeaders"], ";")
		return s, s.scope(part["Credential"])
	}
	q := r.URL.Query()
	if q.Get("X-Amz-Algorithm") != algorithm {
		return readLink(q)
	}
	s = signature{value: q.Get("X-Amz-Signature"), when: q.Get("X-Amz-Date"), token: q.Get("X-Amz-Security-Token"), query: true}
	s.headers = strings.Split(q.Get("X-Amz-SignedHeaders"), ";")
	return s, s.scope(q.Get("X-Amz-Credential"))
}

func (s *signature) scope(credential string) bool {
	part := strings.Split(credential, "/")
	if len(part) != 5 || part[4] != "aws4_request" {
		return false
	}
	s.key, s.date, s.region, s.service = part[0], part[1], part[2], part[3]
	return true
}

// verify tells whether the signature is that of the credential. The date is not compared with a clock: the lab's may be
// years ahead. Chunks of a streaming upload are taken as they come.
func (s *signature) verify(r *http.Request, body []byte, c cloud.Credential) bool {
	if s.token != c.Token {
		return false
	}
	if s.link {
		return s.verifyLink(r, c.SecretKey)
	}
	payload := r.Header.Get("X-Amz-Content-Sha256")
	sum := sha256.Sum256(body)
	switch {
	case payload == "" && s.query:
		payload = "UNSIGNED-PAYLOAD"
	case payload == "":
		payload = hex.EncodeToString(sum[:])
	case len(payload) == 64 && payload != hex.EncodeToString(sum[:]):
		return false
	}
	canonical := strings.Join([]string{
		r.Method, canonicalPath(r, s.service), canonicalQuery(r.URL.RawQuery, s.query), s.canonicalHeaders(r),
		strings.Join(s.headers, ";"), payload,
	}, "\n")
	hashed := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, s.when, scope, hex.EncodeToString(hashed[:])}, "\n")
	key := []byte("AWS4" + c.SecretKey)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(key)), []byte(s.value)) == 1
}

func (s *signature) canonicalHeaders(r *http.Request) string {
	var b strings.Builder
	for _, name := range s.headers {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			if len(values) == 0 {
				values = []string{strconv.FormatInt(r.ContentLength, 10)}
			}
		}
		b.WriteString(name + ":")
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.Join(strings.Fields(v), " "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// canonicalPath is the path as it was sent, escaped once more but for S3.
func canonicalPath(r *http.Request, service string) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if path == "" || path[0] != '/' {
		path = r.URL.EscapedPath()
	}
	if path == "" {
		return "/"
	}
	if service == "s3" {
		if plain, err := url.PathUnescape(path); err == nil {
			return escape(plain, true)
		}
		return path
	}
	return escape(path, true)
}

func canonicalQuery(raw string, presigned bool) string {
	var pairs []string
	for _, p := range strings.Split(raw, "&") {
		if p == "" {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		name, _ = url.QueryUnescape(name)
		value, _ = url.QueryUnescape(value)
		if presigned && name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, escape(name, false)+"="+escape(value, false))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape is SigV4's UriEncode.
func escape(s string, keepSlash bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~', c == '/' && keepSlash:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}
