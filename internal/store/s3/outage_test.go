package s3_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/s3"
)

// A fault stands in front of a healthy server for as long as it is on.
type fault func(healthy http.Handler, w http.ResponseWriter, r *http.Request)

func hangUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, not a polite end
	}
	_ = conn.Close()
}

func slowDown(code string, status int) fault {
	return func(_ http.Handler, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>Please reduce your request rate.</Message></Error>", code)
	}
}

var faults = map[string]fault{
	"the server resets connections": func(_ http.Handler, w http.ResponseWriter, _ *http.Request) { hangUp(w) },
	"503 SlowDown":                  slowDown("SlowDown", http.StatusServiceUnavailable),
	"500 InternalError":             slowDown("InternalError", http.StatusInternalServerError),
	"429":                           slowDown("TooManyRequests", http.StatusTooManyRequests),
	"400 RequestTimeout":            slowDown("RequestTimeout", http.StatusBadRequest),
	"a proxy's page, 502": func(_ http.Handler, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><body>Bad Gateway</body></html>")
	},
	"bodies are cut off": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		hangUp(w)
	},
	"answers get lost": func(healthy http.Handler, w http.ResponseWriter, r *http.Request) {
		healthy.ServeHTTP(httptest.NewRecorder(), r)
		hangUp(w)
	},
	"requests hang": func(_ http.Handler, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the end of the connection is seen only then
		<-r.Context().Done()
	},
	"what finishes an object fails": func(healthy http.Handler, w http.ResponseWriter, r *http.Request) {
		upload := r.URL.Query().Has("uploadId")
		if r.Method == http.MethodPost && upload || r.Method == http.MethodPut && !upload {
			slowDown("InternalError", http.StatusInternalServerError)(healthy, w, r)
			return
		}
		healthy.ServeHTTP(w, r)
	},
}

// An outage is a fault that ends after some requests. It counts them.
type outage struct {
	healthy http.Handler
	fault   fault
	mu      sync.Mutex
	left    int // guarded by mu: requests that still meet the fault
	met     int // guarded by mu
}

func (o *outage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	bad := o.left > 0
	o.left--
	if bad {
		o.met++
	}
	o.mu.Unlock()
	if bad {
		o.fault(o.healthy, w, r)
		return
	}
	o.healthy.ServeHTTP(w, r)
}

// told counts what Events tell.
type told struct {
	mu                 sync.Mutex
	delayed, recovered int // guarded by mu
	first              error
}

func (d *told) policy() store.RetryPolicy {
	return store.RetryPolicy{
		Initial: time.Millisecond, Max: 20 * time.Millisecond, Attempt: 2 * time.Second,
		Events: store.Events{
			Delayed: func(err error, _ int, _ time.Duration) {
				d.mu.Lock()
				defer d.mu.Unlock()
				if d.delayed++; d.first == nil {
					d.first = err
				}
			},
			Recovered: func(time.Duration) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.recovered++
			},
		},
	}
}

// TestOutages: nothing is dropped, the outage is told once, and work goes on.
func TestOutages(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, o := range map[string]s3.Options{
				"whole":    {Bucket: bucket},
				"in parts": {Bucket: bucket, PartSize: 5 << 20},
			} {
				proxy := &outage{healthy: fakeServer(t).Config.Handler, fault: f, left: 60}
				server := httptest.NewServer(proxy)
				defer server.Close()
				var d told
				policy := d.policy()
				if name == "requests hang" {
					policy.Attempt = 50 * time.Millisecond
				}
				below := s3.Open(config(server.URL), o)
				s := store.Retry(below, policy)
				if name == "requests hang" && o.PartSize > 0 {
					continue // a large body is given minutes
				}
				n, size := 20, 1000
				if o.PartSize > 0 {
					n, size = 3, 6<<20
				}
				var wg sync.WaitGroup
				for i := range n {
					wg.Go(func() {
						key := fmt.Sprintf("k/%02d", i)
						if err := s.Put(t.Context(), key, strings.NewReader(strings.Repeat(key, size/4))); err != nil {
							t.Errorf("%s: %v", what, err)
						}
					})
				}
				wg.Wait()
				proxy.mu.Lock()
				proxy.left = 0 // some Puts came through without a look at the fault
				met := proxy.met
				proxy.mu.Unlock()
				listed := 0
				for object, err := range below.List(t.Context(), "k/") {
					if err != nil {
						t.Fatal(err)
					}
					if listed++; object.Size != int64(size/4*4) {
						t.Errorf("%s: %s has %d bytes, want %d", what, object.Key, object.Size, size)
					}
				}
				if listed != n {
					t.Errorf("%s: %d objects, want %d", what, listed, n)
				}
				if met == 0 {
					t.Errorf("%s: no request met the fault", what)
				}
				if d.delayed != d.recovered || d.delayed > 1 || d.delayed == 0 && name != "answers get lost" {
					t.Errorf("%s: told %d times of trouble (%v), %d of recovery, want once", what, d.delayed, d.first, d.recovered)
				}
			}
		})
	}
}

// TestServerAway: a closed port, opened again later.
func TestServerAway(t *testing.T) {
	healthy := fakeServer(t).Config.Handler
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var d told
	policy := d.policy()
	note := policy.Events.Delayed
	began := make(chan struct{})
	policy.Events.Delayed = func(err error, n int, in time.Duration) { note(err, n, in); close(began) }
	s := store.Retry(s3.Open(config("http://"+address), s3.Options{Bucket: bucket}), policy)

	done := make(chan error)
	go func() { done <- s.Put(t.Context(), "a/b", strings.NewReader("patience")) }()
	<-began
	l, err = listen.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Skipf("the port was taken by somebody else in between: %v", err)
	}
	server := &http.Server{Handler: healthy, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	if err := <-done; err != nil {
		t.Errorf("put: %v", err)
	}
	if d.delayed != 1 || d.recovered != 1 {
		t.Errorf("told %d times of trouble, %d of recovery, want once", d.delayed, d.recovered)
	}
}

func TestACutDownloadIsTemporary(t *testing.T) {
	healthy := fakeServer(t)
	whole := s3.Open(config(healthy.URL), s3.Options{Bucket: bucket})
	if err := whole.Put(t.Context(), "a", strings.NewReader(strings.Repeat("x", 1<<20))); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		healthy.Config.Handler.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		_, _ = w.Write(answer.Body.Bytes()[:1000])
		hangUp(w)
	}))
	defer server.Close()
	body, err := s3.Open(config(server.URL), s3.Options{Bucket: bucket}).Get(t.Context(), "a")
	if err == nil {
		_, err = io.ReadAll(body)
		_ = body.Close()
	}
	var temporary *store.TemporaryError
	if !errors.As(err, &temporary) {
		t.Errorf("got %v, want a *TemporaryError", err)
	}
}
