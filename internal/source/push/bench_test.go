package push

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.org/catchment/internal/document"
)

func discard(context.Context, []document.Document) error { return nil }

// answerless is a ResponseWriter that costs next to nothing.
type answerless struct {
	header http.Header
	status int
}

func (a *answerless) Header() http.Header              { return a.header }
func (a *answerless) Write(b []byte) (int, error)      { return len(b), nil }
func (a *answerless) WriteHeader(status int)           { a.status = status }
func (a *answerless) SetReadDeadline(time.Time) error  { return nil }
func (a *answerless) SetWriteDeadline(time.Time) error { return nil }

// event5K is a real event in compact JSON, grown to 5 KB as findings have it.
func event5K(b *testing.B) []byte {
	b.Helper()
	var line bytes.Buffer
	if err := json.Compact(&line, testdata(b, "event-securityhub-imported.json")); err != nil {
		b.Fatal(err)
	}
	event := line.Bytes()
	pad := `"filler":"` + strings.Repeat("Lorem ipsum dolor sit amet. ", 200)[:max(0, 5000-len(event)-13)] + `",`
	return append([]byte("{"+pad), event[1:]...)
}

func benchmark(b *testing.B, path string, h http.Header, body []byte) {
	b.Helper()
	s := newSource(b, Options{KeysFile: keysFile(b, "a:"+testKey+"a", "b:"+testKey)})
	h.Set("X-Api-Key", testKey)
	handler := s.Handler(discard)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	content := bytes.NewReader(body)
	w := &answerless{header: make(http.Header)}
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://catchment"+path, io.NopCloser(content))
	if err != nil {
		b.Fatal(err)
	}
	r.Header, r.ContentLength = h, int64(len(body))
	for b.Loop() {
		content.Reset(body)
		handler.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			b.Fatalf("status %d", w.status)
		}
	}
}

func BenchmarkEvents(b *testing.B) {
	event := event5K(b)
	batch := bytes.Repeat(append(event, '\n'), 1000)
	b.Run("one", func(b *testing.B) { benchmark(b, PathEvents, header(), event) })
	b.Run("lines1000", func(b *testing.B) { benchmark(b, PathEvents, header(), batch) })
	b.Run("gzip1000", func(b *testing.B) { benchmark(b, PathEvents, header("Content-Encoding: gzip"), zip(b, batch)) })
}

func BenchmarkFirehose(b *testing.B) {
	records := make([]string, 1000)
	for i := range records {
		records[i] = string(event5K(b)) + "\n"
	}
	b.Run("one", func(b *testing.B) { benchmark(b, PathFirehose, firehoseHeader("i"), firehoseBody("i", records[0])) })
	b.Run("records1000", func(b *testing.B) { benchmark(b, PathFirehose, firehoseHeader("i"), firehoseBody("i", records...)) })
}

// BenchmarkSplit is the limit: the same bytes through the splitter alone.
func BenchmarkSplit(b *testing.B) {
	event := event5K(b)
	for name, body := range map[string][]byte{"one": event, "lines1000": bytes.Repeat(append(event, '\n'), 1000)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			s := document.NewSplitter(document.Options{})
			for b.Loop() {
				s.Reset()
				for at := 0; ; {
					_, used, found := s.Next(body[at:], true)
					if !found {
						break
					}
					at += used
				}
			}
		})
	}
}

func BenchmarkSNS(b *testing.B) {
	f := newFakeSNS(b)
	f.serve("https://"+testHost+certPath, asPEM(signerCert(b, f.root, nil)))
	s := newSource(b, Options{Topics: []string{testTopic}, SNS: f.options()})
	m := notification(string(event5K(b)))
	body := sign(b, m, signingKey())
	handler := s.Handler(discard)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://catchment/sns", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		w := &answerless{header: make(http.Header)}
		handler.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			b.Fatalf("status %d", w.status)
		}
	}
}

// BenchmarkServer is one event a request over loopback, from as many connections as there are processors, times eight.
func BenchmarkServer(b *testing.B) {
	listener, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := newSource(b, Options{Listener: listener})
	ctx, stop := context.WithCancel(b.Context())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx, discard) }()
	event := event5K(b)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	client := &http.Client{Transport: transport}
	b.SetBytes(int64(len(event)))
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			resp, err := client.Post("http://"+listener.Addr().String()+PathEvents, "application/json", bytes.NewReader(event)) //nolint:noctx // a benchmark
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
	transport.CloseIdleConnections()
	stop()
	if err := <-result; err != nil {
		b.Error(err)
	}
}
