package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/s3"
	"example.org/catchment/internal/store/storetest"
)

// A peculiar server answers some requests itself and notes all.
type peculiar struct {
	healthy http.Handler
	answer  func(w http.ResponseWriter, r *http.Request) bool // true: answered
	mu      sync.Mutex
	seen    []string // guarded by mu
}

func (p *peculiar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line := r.Method
	for _, name := range []string{"If-None-Match", "Content-Md5", "X-Amz-Checksum-Crc32"} {
		if r.Header.Get(name) != "" {
			line += " " + name
		}
	}
	for _, name := range []string{"uploads", "partNumber", "uploadId"} {
		if r.URL.Query().Has(name) {
			line += " " + name
			break
		}
	}
	p.mu.Lock()
	p.seen = append(p.seen, line)
	p.mu.Unlock()
	// A server that answers before it has read the body and hangs up may reset the connection: then nobody reads the
	// answer. That is tested elsewhere; here it would be chance.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if p.answer == nil || !p.answer(w, r) {
		p.healthy.ServeHTTP(w, r)
	}
}

// requests gives what was asked since the last call.
func (p *peculiar) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

func refuse(w http.ResponseWriter, status int, code, message string) bool {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	return true
}

func start(t *testing.T, answer func(http.ResponseWriter, *http.Request) bool) (*peculiar, string) {
	t.Helper()
	p := &peculiar{healthy: fakeServer(t).Config.Handler, answer: answer}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, server.URL
}

// Servers that lack something of S3, each of a kind that exists.
var lacking = map[string]func(http.ResponseWriter, *http.Request) bool{
	"If-None-Match is not implemented": func(w http.ResponseWriter, r *http.Request) bool {
		return r.Header.Get("If-None-Match") != "" &&
			refuse(w, http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented")
	},
	"If-None-Match is an invalid argument": func(w http.ResponseWriter, r *http.Request) bool {
		return r.Header.Get("If-None-Match") != "" && refuse(w, http.StatusBadRequest, "InvalidArgument", "If-None-Match")
	},
	"If-None-Match is ignored": func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("If-None-Match")
		return false
	},
	"Content-MD5 is required": func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPut && r.Header.Get("Content-Md5") == "" &&
			refuse(w, http.StatusBadRequest, "InvalidRequest", "Content-MD5 HTTP header is required for Put Object requests with Object Lock parameters")
	},
	"newer checksums are not implemented, nor is If-None-Match": func(w http.ResponseWriter, r *http.Request) bool {
		return (r.Header.Get("X-Amz-Checksum-Crc32") != "" || r.Header.Get("If-None-Match") != "") &&
			refuse(w, http.StatusNotImplemented, "NotImplemented", "not here")
	},
}

func TestStoreOnServersThatLackSomething(t *testing.T) {
	for name, answer := range lacking {
		t.Run(name, func(t *testing.T) {
			_, url := start(t, answer)
			s := s3.Open(config(url), s3.Options{Bucket: bucket, PartSize: 5 << 20})
			large := strings.Repeat("0123456789abcde\n", 6<<16)
			for key, body := range map[string]string{"whole": "content", "parts": large, "empty": ""} {
				for range 2 {
					if err := s.Put(t.Context(), key, strings.NewReader(body)); err != nil {
						t.Errorf("put: %v", err)
					}
				}
				if err := s.Put(t.Context(), key, strings.NewReader(body+"!")); !errors.Is(err, store.ErrExists) {
					t.Errorf("other bytes: got %v, want ErrExists", err)
				}
				r, err := s.Get(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil || string(got) != body {
					t.Errorf("%s: got %d bytes, %v, want %d", key, len(got), err, len(body))
				}
			}
		})
	}
}

func TestStoreWithoutConditions(t *testing.T) {
	p, url := start(t, nil)
	s := s3.Open(config(url), s3.Options{Bucket: bucket, IfNoneMatch: s3.Never})
	for _, body := range []string{"x", "x"} {
		if err := s.Put(t.Context(), "a", strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Put(t.Context(), "a", strings.NewReader("y")); !errors.Is(err, store.ErrExists) {
		t.Errorf("other bytes: got %v, want ErrExists", err)
	}
	want := []string{"HEAD", "PUT X-Amz-Checksum-Crc32", "HEAD", "HEAD"}
	if diff := cmp.Diff(want, p.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestRequests: what a put costs, and that what was learnt is remembered.
func TestRequests(t *testing.T) {
	large := strings.Repeat("0123456789abcde\n", 6<<16)
	for name, tt := range map[string]struct {
		answer  func(http.ResponseWriter, *http.Request) bool
		options s3.Options
		body    string
		first   []string // for a new object
		next    []string // for another
		again   []string // for the same bytes
	}{
		"a server that is vouched for": {
			options: s3.Options{IfNoneMatch: s3.Always},
			first:   []string{"PUT If-None-Match X-Amz-Checksum-Crc32"},
			next:    []string{"PUT If-None-Match X-Amz-Checksum-Crc32"},
			again:   []string{"PUT If-None-Match X-Amz-Checksum-Crc32", "HEAD"},
		},
		"any server": {
			first: []string{"HEAD", "PUT If-None-Match X-Amz-Checksum-Crc32"},
			next:  []string{"HEAD", "PUT If-None-Match X-Amz-Checksum-Crc32"},
			again: []string{"HEAD"},
		},
		"a server without If-None-Match": {
			answer: lacking["If-None-Match is not implemented"],
			first:  []string{"HEAD", "PUT If-None-Match X-Amz-Checksum-Crc32", "PUT If-None-Match Content-Md5", "PUT X-Amz-Checksum-Crc32"},
			next:   []string{"HEAD", "PUT X-Amz-Checksum-Crc32"},
			again:  []string{"HEAD"},
		},
		"a server that wants Content-MD5": {
			answer: lacking["Content-MD5 is required"],
			first:  []string{"HEAD", "PUT If-None-Match X-Amz-Checksum-Crc32", "PUT If-None-Match Content-Md5"},
			next:   []string{"HEAD", "PUT If-None-Match Content-Md5"},
			again:  []string{"HEAD"},
		},
		"in parts": {
			options: s3.Options{PartSize: 5 << 20, IfNoneMatch: s3.Always},
			body:    large,
			first:   []string{"POST uploads", "PUT X-Amz-Checksum-Crc32 partNumber", "PUT X-Amz-Checksum-Crc32 partNumber", "POST If-None-Match uploadId"},
			next:    []string{"POST uploads", "PUT X-Amz-Checksum-Crc32 partNumber", "PUT X-Amz-Checksum-Crc32 partNumber", "POST If-None-Match uploadId"},
			again:   []string{"POST uploads", "PUT X-Amz-Checksum-Crc32 partNumber", "PUT X-Amz-Checksum-Crc32 partNumber", "POST If-None-Match uploadId"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, url := start(t, tt.answer)
			tt.options.Bucket = bucket
			s := s3.Open(config(url), tt.options)
			for i, step := range []struct {
				key  string
				want []string
			}{{"a", tt.first}, {"b", tt.next}, {"b", tt.again}} {
				if err := s.Put(t.Context(), step.key, strings.NewReader(tt.body)); err != nil {
					t.Errorf("put %d: %v", i, err)
				}
				if diff := cmp.Diff(step.want, p.requests()); diff != "" {
					t.Errorf("put %d: requests (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestAFailedUploadIsAborted(t *testing.T) {
	p, url := start(t, func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Query().Get("partNumber") == "2" && refuse(w, http.StatusForbidden, "AccessDenied", "no")
	})
	s := s3.Open(config(url), s3.Options{Bucket: bucket, PartSize: 5 << 20, IfNoneMatch: s3.Always})
	err := s.Put(t.Context(), "a", strings.NewReader(strings.Repeat("0123456789abcde\n", 6<<16)))
	var refused *store.RefusedError
	if !errors.As(err, &refused) {
		t.Errorf("got %v, want a *RefusedError", err)
	}
	if got := p.requests(); got[len(got)-1] != "DELETE uploadId" {
		t.Errorf("requests %q, want an abort at the end", got)
	}
}

// TestForeignObjects: what others put is compared by its bytes.
func TestForeignObjects(t *testing.T) {
	p, url := start(t, func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("X-Amz-Meta-Catchment-Sha256")
		return false
	})
	s := s3.Open(config(url), s3.Options{Bucket: bucket})
	for body, want := range map[string]error{"same": nil, "else": store.ErrExists, "longer": store.ErrExists} {
		if err := s.Put(t.Context(), "a-"+body, strings.NewReader("same")); err != nil {
			t.Fatal(err)
		}
		p.requests()
		if err := s.Put(t.Context(), "a-"+body, strings.NewReader(body)); !errors.Is(err, want) {
			t.Errorf("%q over %q: got %v, want %v", body, "same", err, want)
		}
		if got := slices.Contains(p.requests(), "GET"); got != (body != "longer") {
			t.Errorf("%q over %q: downloaded: %v", body, "same", got)
		}
	}
}

// TestErrors: the answers of S3, as the documentation of its error codes has
// them, and what becomes of them.
func TestErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		status        int
		code, message string
		temporary     bool
		hint          string // of a *RefusedError
	}{
		"throttled":          {status: 503, code: "SlowDown", temporary: true},
		"restarting":         {status: 503, code: "ServiceUnavailable", temporary: true},
		"broken":             {status: 500, code: "InternalError", temporary: true},
		"too slow":           {status: 400, code: "RequestTimeout", temporary: true},
		"damaged on the way": {status: 400, code: "BadDigest", temporary: true},
		"racing":             {status: 409, code: "ConditionalRequestConflict", temporary: true},
		"no bucket":          {status: 404, code: "NoSuchBucket", hint: "bucket findings-lake does not exist"},
		"not permitted":      {status: 403, code: "AccessDenied", hint: "bucket findings-lake: needs s3:PutObject"},
		"no such key id":     {status: 403, code: "InvalidAccessKeyId", hint: "credentials are not valid"},
		"wrong secret":       {status: 403, code: "SignatureDoesNotMatch", hint: "credentials are not valid"},
		"expired":            {status: 400, code: "ExpiredToken", hint: "credentials have expired"},
		"clock":              {status: 403, code: "RequestTimeTooSkewed", hint: "clock is wrong"},
		"another region":     {status: 301, code: "PermanentRedirect", hint: "is in another region: eu-central-1"},
		"KMS key disabled":   {status: 400, code: "KMS.DisabledException", hint: "allow kms:GenerateDataKey"},
		"KMS key not permitted": {
			status: 403, code: "AccessDenied", hint: "allow kms:GenerateDataKey",
			message: "User: x is not authorized to perform: kms:GenerateDataKey on resource: y",
		},
		"too large": {status: 400, code: "EntityTooLarge"},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := start(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodHead {
					return false
				}
				w.Header().Set("X-Amz-Bucket-Region", "eu-central-1")
				return refuse(w, tt.status, tt.code, tt.message)
			})
			err := s3.Open(config(url), s3.Options{Bucket: bucket}).Put(t.Context(), "a/b", strings.NewReader("x"))
			var (
				temporary *store.TemporaryError
				refused   *store.RefusedError
			)
			if got := errors.As(err, &temporary); got != tt.temporary {
				t.Errorf("%v: temporary: %v, want %v", err, got, tt.temporary)
			}
			if got := errors.As(err, &refused); got != (tt.hint != "") {
				t.Errorf("%v: refused: %v", err, got)
			}
			if refused != nil && !strings.Contains(refused.Hint, tt.hint) {
				t.Errorf("hint %q, want %q in it", refused.Hint, tt.hint)
			}
			if !strings.Contains(fmt.Sprint(err), tt.code) && tt.code != "ConditionalRequestConflict" || !strings.HasPrefix(fmt.Sprint(err), "put a/b: ") {
				t.Errorf("%q does not tell the operation, the key and the server's word", err)
			}
		})
	}
}

func TestPutWithoutPermissionToRead(t *testing.T) {
	_, url := start(t, func(w http.ResponseWriter, r *http.Request) bool {
		return (r.Method == http.MethodHead || r.Method == http.MethodGet) && refuse(w, http.StatusForbidden, "AccessDenied", "")
	})
	s := s3.Open(config(url), s3.Options{Bucket: bucket})
	if err := s.Put(t.Context(), "a", strings.NewReader("x")); err != nil {
		t.Errorf("a new object: %v", err)
	}
	err := s.Put(t.Context(), "a", strings.NewReader("x"))
	var refused *store.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(refused.Hint, "s3:GetObject") {
		t.Errorf("a key that is taken: got %v, want a hint at s3:GetObject", err)
	}
	never := s3.Open(config(url), s3.Options{Bucket: bucket, IfNoneMatch: s3.Never})
	if err := never.Put(t.Context(), "b", strings.NewReader("x")); !errors.As(err, &refused) {
		t.Errorf("without conditions nor permission to look: got %v, want a *RefusedError", err)
	}
}

// TestKeysWithDotsNeverLeaveThePrefix guards the part of a bucket that is ours.
func TestKeysWithDotsNeverLeaveThePrefix(t *testing.T) {
	p, url := start(t, nil)
	for _, prefix := range []string{"ours/", "ours"} {
		s := s3.Open(config(url), s3.Options{Bucket: bucket, Prefix: prefix})
		for name, key := range storetest.BadKeys() {
			if err := s.Put(t.Context(), key, strings.NewReader("x")); err == nil {
				t.Errorf("below %q: %s is taken", prefix, name)
			}
		}
	}
	if got := p.requests(); len(got) > 0 {
		t.Errorf("requests %q, want none", got)
	}
}

// TestAPutWithoutAnswerLooks: servers hang up in the middle of a body that they
// refuse, and networks lose answers. Either is settled by what is there.
func TestAPutWithoutAnswerLooks(t *testing.T) {
	var healthy http.Handler
	p, url := start(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		healthy.ServeHTTP(httptest.NewRecorder(), r)
		hangUp(w)
		return true
	})
	healthy = p.healthy
	s := s3.Open(config(url), s3.Options{Bucket: bucket, IfNoneMatch: s3.Always})
	for range 2 {
		if err := s.Put(t.Context(), "a", strings.NewReader("x")); err != nil {
			t.Errorf("put: %v", err)
		}
	}
	if err := s.Put(t.Context(), "a", strings.NewReader("y")); !errors.Is(err, store.ErrExists) {
		t.Errorf("other bytes: got %v, want ErrExists", err)
	}
}
