package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"go.uber.org/goleak"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "0123456789abcdef-first"

// seen is a receiver that keeps what it was given.
type seen struct {
	mu     sync.Mutex
	docs   []string
	broken []string
	calls  int
	err    error
}

func (s *seen) deliver(_ context.Context, docs []document.Document) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.err != nil {
		return s.err
	}
	for _, doc := range docs {
		if doc.Err != nil {
			s.broken = append(s.broken, string(doc.Bytes))
		} else {
			s.docs = append(s.docs, string(doc.Bytes))
		}
	}
	return nil
}

func newSource(tb testing.TB, o Options) *Source {
	tb.Helper()
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.signer.close)
	return s
}

func keysFile(tb testing.TB, lines ...string) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "keys")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

func testdata(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func zip(tb testing.TB, b []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(b); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// header makes a header of "Name: value" lines.
func header(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// post sends body to the handler and checks what holds for every answer.
func post(tb testing.TB, h http.Handler, path string, hdr http.Header, body []byte) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, path, bytes.NewReader(body))
	if hdr != nil {
		r.Header = hdr
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got, want := w.Header().Get("Content-Length"), fmt.Sprint(w.Body.Len()); got != want {
		tb.Errorf("%s: Content-Length %q, want %q", path, got, want)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		tb.Errorf("%s: Content-Type %q", path, got)
	}
	if !json.Valid(w.Body.Bytes()) {
		tb.Errorf("%s: answer is no JSON: %q", path, w.Body)
	}
	return w
}

func TestEventsAreTakenApart(t *testing.T) {
	event := testdata(t, "event-securityhub-imported.json")
	var line bytes.Buffer
	if err := json.Compact(&line, event); err != nil {
		t.Fatal(err)
	}
	one := line.String()
	for name, tt := range map[string]struct {
		body   []byte
		header []string
		docs   int
		broken int
	}{
		"one event, pretty-printed, as in the documentation": {body: event, docs: 1},
		"one event, as EventBridge sends it":                 {body: []byte(one), docs: 1},
		"lines":                                              {body: []byte(one + "\n" + one + "\r\n\n" + one + "\n"), docs: 3},
		"run together":                                       {body: []byte(one + one), docs: 2},
		"an array":                                           {body: []byte("[" + one + " ,\n" + one + "]"), docs: 2},
		"an empty array":                                     {body: []byte("[]")},
		"gzip":                                               {body: zip(t, []byte(one+one)), header: []string{"Content-Encoding: gzip"}, docs: 2},
		"gzip by its other name, in capitals":                {body: zip(t, []byte(one)), header: []string{"Content-Encoding: X-GZIP"}, docs: 1},
		"two gzip members":                                   {body: append(zip(t, []byte(one)), zip(t, []byte(one))...), header: []string{"Content-Encoding: gzip"}, docs: 2},
		"gzip without a header that says so":                 {body: zip(t, []byte(one)), docs: 1},
		"identity":                                           {body: []byte(one), header: []string{"Content-Encoding: identity"}, docs: 1},
		"a broken one between two good ones":                 {body: []byte(one + "\n{\"a\":]}\n" + one), docs: 2, broken: 1},
		"no JSON at all":                                     {body: []byte("hello"), broken: 1},
		"more documents than are handed over once":           {body: bytes.Repeat([]byte("{}\n"), batchSize+1), docs: batchSize + 1},
	} {
		t.Run(name, func(t *testing.T) {
			var got seen
			s := newSource(t, Options{})
			w := post(t, s.Handler(got.deliver), PathEvents, header(tt.header...), tt.body)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if len(got.docs) != tt.docs || len(got.broken) != tt.broken {
				t.Errorf("delivered %d documents and %d broken ones, want %d and %d", len(got.docs), len(got.broken), tt.docs, tt.broken)
			}
			want := fmt.Sprintf("{\"received\":%d,\"rejected\":%d}\n", tt.docs+tt.broken, tt.broken)
			if w.Body.String() != want {
				t.Errorf("answer %s, want %s", w.Body, want)
			}
			for _, doc := range got.docs {
				if tt.docs <= 3 && doc != one && doc != strings.TrimSpace(string(event)) {
					t.Errorf("delivered %.80q", doc)
				}
			}
			if used := s.held.used.Load(); used != 0 {
				t.Errorf("%d bytes are still counted as held", used)
			}
		})
	}
}

// A zip bomb: 1 MB that unpacks to 1 GB would be refused after MaxBody bytes; here the same with smaller numbers.
func bomb(tb testing.TB) []byte {
	tb.Helper()
	return zip(tb, make([]byte, 1<<20))
}

func TestEventsAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		body   []byte
		header []string
		status int
		reason string
		says   string
	}{
		"an empty body":                  {nil, nil, 400, "body-empty", "expected JSON"},
		"white space":                    {[]byte(" \n\t\r\n"), nil, 400, "body-empty", "expected JSON"},
		"gzip of nothing":                {zip(t, nil), []string{"Content-Encoding: gzip"}, 400, "body-empty", "expected JSON"},
		"no gzip":                        {[]byte("{}"), []string{"Content-Encoding: gzip"}, 400, "body-undecodable", "expected a gzip body"},
		"half a gzip":                    {zip(t, []byte("{}"))[:15], []string{"Content-Encoding: gzip"}, 400, "body-undecodable", "expected a gzip body"},
		"something behind a gzip":        {append(zip(t, []byte("{}")), "{}"...), []string{"Content-Encoding: gzip"}, 400, "body-undecodable", "expected a gzip body"},
		"an encoding that is not known":  {[]byte("{}"), []string{"Content-Encoding: br"}, 415, "encoding", "gzip"},
		"two encodings":                  {[]byte("{}"), []string{"Content-Encoding: gzip, gzip"}, 415, "encoding", "gzip"},
		"two encodings in two headers":   {[]byte("{}"), []string{"Content-Encoding: gzip", "Content-Encoding: gzip"}, 415, "encoding", "gzip"},
		"a body that is one byte longer": {bytes.Repeat([]byte(" "), 4097), nil, 413, "body-too-large", "at most 4096 bytes"},
		"a zip bomb":                     {bomb(t), []string{"Content-Encoding: gzip"}, 413, "body-too-large", "4096 bytes after decompression"},
		"a zip bomb that says nothing":   {bomb(t), nil, 413, "body-too-large", "4096 bytes after decompression"},
	} {
		t.Run(name, func(t *testing.T) {
			var got seen
			var refused []string
			s := newSource(t, Options{MaxBody: 4096, Events: Events{Refused: func(r Refused) { refused = append(refused, r.Reason) }}})
			w := post(t, s.Handler(got.deliver), PathEvents, header(tt.header...), tt.body)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("answer %d %s, want %d with %q", w.Code, w.Body, tt.status, tt.says)
			}
			if got.calls != 0 {
				t.Error("something was delivered")
			}
			if diff := cmp.Diff([]string{tt.reason}, refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			if used := s.held.used.Load(); used != 0 {
				t.Errorf("%d bytes are still counted as held", used)
			}
		})
	}
}

// A body of unknown length (chunked) is bounded while it is read, not by what it says.
func TestBodyOfUnknownLengthIsBounded(t *testing.T) {
	var got seen
	s := newSource(t, Options{MaxBody: 4096})
	for size, want := range map[int]int{4096: 200, 4097: 413, 1 << 20: 413} {
		body := &counting{Reader: strings.NewReader("{}" + strings.Repeat(" ", size-2))}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, PathEvents, body)
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
		w := httptest.NewRecorder()
		s.Handler(got.deliver).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%d bytes: status %d, want %d: %s", size, w.Code, want, w.Body)
		}
		if body.n > 4097 {
			t.Errorf("%d bytes were read of a body of at most 4096", body.n)
		}
		if w.Header().Get("Connection") != "close" {
			t.Error("what stands behind a chunked body may be taken for a request")
		}
	}
}

type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestAnswerToAFailedDeliver(t *testing.T) {
	secret := errors.New(`write "arn:aws:inspector2:secret": no space left`)
	for name, tt := range map[string]struct {
		err    error
		status int
		retry  string
		reason string
	}{
		"busy":                              {fmt.Errorf("x: %w", source.ErrBusy), 503, "7", "busy"},
		"busy, and it knows how long":       {&source.Busy{RetryAfter: 1500 * time.Millisecond}, 503, "2", "busy"},
		"busy for no time at all":           {&source.Busy{}, 503, "7", "busy"},
		"busy for a negative time":          {&source.Busy{RetryAfter: -time.Minute}, 503, "7", "busy"},
		"busy for days":                     {&source.Busy{RetryAfter: 48 * time.Hour}, 503, "3600", "busy"},
		"the sender has gone":               {context.Canceled, 503, "7", "cancelled"},
		"something that the sender may not": {secret, 500, "7", "not-stored"},
	} {
		t.Run(name, func(t *testing.T) {
			for path, call := range callers(t) {
				var refused []Refused
				got := seen{err: tt.err}
				s := newSource(t, Options{RetryAfter: 6500 * time.Millisecond, Events: Events{Refused: func(r Refused) { refused = append(refused, r) }}})
				w := call(s.Handler(got.deliver))
				if w.Code != tt.status || w.Header().Get("Retry-After") != tt.retry {
					t.Errorf("%s: status %d, Retry-After %q, want %d and %s", path, w.Code, w.Header().Get("Retry-After"), tt.status, tt.retry)
				}
				if strings.Contains(w.Body.String(), "secret") {
					t.Errorf("%s: the answer tells %s", path, w.Body)
				}
				if len(refused) != 1 || refused[0].Reason != tt.reason || !errors.Is(refused[0].Err, tt.err) {
					t.Errorf("%s: refused %+v, want %s", path, refused, tt.reason)
				}
			}
		})
	}
}

// callers send two documents to each endpoint that needs no signature.
func callers(t *testing.T) map[string]func(http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	return map[string]func(http.Handler) *httptest.ResponseRecorder{
		PathEvents: func(h http.Handler) *httptest.ResponseRecorder { return post(t, h, PathEvents, nil, []byte(`{} {}`)) },
		PathFirehose: func(h http.Handler) *httptest.ResponseRecorder {
			return post(t, h, PathFirehose, firehoseHeader("id"), firehoseBody("id", "{}", "{}"))
		},
	}
}

func TestBodiesHeldAtOnceAreBounded(t *testing.T) {
	s := newSource(t, Options{MaxBody: 1000, RetryAfter: 3 * time.Second})
	inside, leave := make(chan struct{}), make(chan struct{})
	h := s.Handler(func(context.Context, []document.Document) error {
		inside <- struct{}{}
		<-leave
		return nil
	})
	body := []byte("{}" + strings.Repeat(" ", 898))
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if w := post(t, h, PathEvents, nil, body); w.Code != http.StatusOK {
				t.Errorf("status %d", w.Code)
			}
		})
		<-inside
	}
	unread := &counting{Reader: bytes.NewReader(body)}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, PathEvents, unread)
	r.ContentLength = int64(len(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "3" {
		t.Errorf("status %d, Retry-After %q, want 503 and 3", w.Code, w.Header().Get("Retry-After"))
	}
	if unread.n != 0 {
		t.Errorf("%d bytes were read of a body that there was no room for", unread.n)
	}
	close(leave)
	wg.Wait()
	if used := s.held.used.Load(); used != 0 {
		t.Errorf("%d bytes are still counted as held", used)
	}
}

func TestPathsAndMethods(t *testing.T) {
	var got seen
	h := newSource(t, Options{Topics: []string{testTopic}}).Handler(got.deliver)
	for name, tt := range map[string]struct {
		method, path string
		status       int
		allow        string
	}{
		"reading":                        {"GET", "/events", 405, "POST"},
		"head":                           {"HEAD", "/sns", 405, "POST"},
		"put, which looks like a post":   {"PUT", "/firehose", 405, "POST"},
		"options":                        {"OPTIONS", "/events", 405, "POST"},
		"trace":                          {"TRACE", "/events", 405, "POST"},
		"a method nobody has heard of":   {"CATCH", "/events", 405, "POST"},
		"the root":                       {"POST", "/", 404, ""},
		"a path with a slash too many":   {"POST", "/events/", 404, ""},
		"two slashes":                    {"POST", "//events", 404, ""},
		"capitals":                       {"POST", "/Events", 404, ""},
		"a path that leaves and returns": {"POST", "/x/../events", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), tt.method, "http://catchment"+tt.path, strings.NewReader("{}"))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status || w.Header().Get("Allow") != tt.allow {
				t.Errorf("status %d, Allow %q, want %d and %q", w.Code, w.Header().Get("Allow"), tt.status, tt.allow)
			}
		})
	}
	if got.calls != 0 {
		t.Error("something was delivered")
	}
}

func TestRequestsAreTold(t *testing.T) {
	var told []Request
	s := newSource(t, Options{
		KeysFile: keysFile(t, "bus:"+testKey),
		Events:   Events{Request: func(r Request) { told = append(told, r) }},
	})
	var got seen
	post(t, s.Handler(got.deliver), PathEvents, header("X-Api-Key: "+testKey), []byte(`{}{}{"`))
	post(t, s.Handler(got.deliver), PathEvents, header(), []byte(`{}`))
	want := []Request{
		{Endpoint: "events", Key: "bus", Status: 200, Documents: 3, Bytes: 6},
		{Endpoint: "events", Status: 401},
	}
	for i := range told {
		if told[i].Duration <= 0 {
			t.Errorf("duration %v", told[i].Duration)
		}
		told[i].Duration = 0
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
