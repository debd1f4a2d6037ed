package push

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
	"example.org/catchment/internal/source/sourcetest"
)

// pipes is a listener in memory.
type pipes struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes {
	return &pipes{addr: &net.UnixAddr{Name: "pipe"}, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return p.addr }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// client speaks HTTP to p.
func (p *pipes) client(tb testing.TB) *http.Client {
	tb.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) }}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// serve runs a source on pipes and returns how to stop it.
func serve(t *testing.T, o Options, deliver source.Deliver) (*pipes, func() error) {
	t.Helper()
	p := newPipes()
	o.Listener = p
	s := newSource(t, o)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx, deliver) }()
	var once sync.Once
	var err error
	end := func() error {
		once.Do(func() { stop(); err = <-result })
		return err
	}
	t.Cleanup(func() { _ = end() })
	return p, end
}

func TestConformance(t *testing.T) {
	fake := newFakeSNS(t)
	fake.serve("https://"+testHost+certPath, asPEM(signerCert(t, fake.root, nil)))
	for endpoint, request := range map[string]func([][]byte) (http.Header, []byte){
		"events": func(docs [][]byte) (http.Header, []byte) { return nil, bytes.Join(docs, []byte("\n")) },
		"firehose": func(docs [][]byte) (http.Header, []byte) {
			records := make([]string, len(docs))
			for i, doc := range docs {
				records[i] = string(doc)
			}
			return firehoseHeader("i"), firehoseBody("i", records...)
		},
		"sns": func(docs [][]byte) (http.Header, []byte) {
			m := notification(string(bytes.Join(docs, nil)))
			return snsHeader(m), sign(t, m, signingKey())
		},
	} {
		t.Run(endpoint, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
				t.Helper()
				p := newPipes()
				client := p.client(t)
				return sourcetest.Harness{
					Source: newSource(t, Options{Listener: p, Topics: []string{testTopic}, SNS: fake.options()}),
					Send: func(ctx context.Context, docs [][]byte) (bool, error) {
						h, body := request(docs)
						return sent(ctx, client, "http://catchment/"+endpoint, h, body)
					},
				}
			})
		})
	}
}

// sent POSTs body and tells whether it was acknowledged. What was not must be tried again.
func sent(ctx context.Context, client *http.Client, address string, h http.Header, body []byte) (bool, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	if h != nil {
		r.Header = h
	}
	resp, err := client.Do(r)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK && resp.StatusCode < 500 {
		err = fmt.Errorf("status %d: a sender would not try again: %s", resp.StatusCode, answer)
	}
	return resp.StatusCode == http.StatusOK, err
}

// talk writes raw bytes to a connection and returns all that comes back until the server closes it.
func talk(t *testing.T, p *pipes, write func(net.Conn)) (answer string, after time.Duration) {
	t.Helper()
	conn, err := p.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { write(conn) })
	b, _ := io.ReadAll(conn)
	after = time.Since(start)
	_ = conn.Close()
	wg.Wait()
	return string(b), after
}

const eventsHead = "POST /events HTTP/1.1\r\nHost: catchment\r\n"

func TestSlowSendersAreCutOff(t *testing.T) {
	timeouts := Timeouts{Header: 10 * time.Second, Body: 10 * time.Second, BodyRate: 64 << 10, Idle: 90 * time.Second}
	for name, tt := range map[string]struct {
		write  func(net.Conn)
		status string
		after  time.Duration // at most
	}{
		"nothing at all": {func(net.Conn) {}, "", 11 * time.Second},
		"a header that never ends, byte by byte": {func(c net.Conn) {
			trickle(c, eventsHead+"X-A: "+strings.Repeat("a", 1000), 1, time.Second)
		}, "", 11 * time.Second},
		"a body that never comes": {func(c net.Conn) { _, _ = io.WriteString(c, eventsHead+"Content-Length: 100\r\n\r\n") }, "408", 11 * time.Second},
		"a body byte by byte": {func(c net.Conn) {
			trickle(c, eventsHead+"Content-Length: 100\r\n\r\n", 1000, 0)
			trickle(c, strings.Repeat(" ", 100), 1, time.Second)
		}, "408", 11 * time.Second},
		"a chunked body byte by byte": {func(c net.Conn) {
			trickle(c, eventsHead+"Transfer-Encoding: chunked\r\n\r\n", 1000, 0)
			trickle(c, strings.Repeat("1\r\n \r\n", 100), 6, time.Second)
		}, "408", 11 * time.Second},
		"a large body below the pace": {func(c net.Conn) {
			trickle(c, eventsHead+"Content-Length: 10485760\r\n\r\n", 1000, 0)
			trickle(c, strings.Repeat(" ", 10<<20), 32<<10, time.Second)
		}, "408", 25 * time.Second},
		"a body of a path that there is not, byte by byte": {func(c net.Conn) {
			trickle(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", 1000, 0)
			trickle(c, strings.Repeat(" ", 100), 1, time.Second)
		}, "404", 11 * time.Second},
		"a connection that is not used again": {func(c net.Conn) {
			_, _ = io.WriteString(c, eventsHead+"Content-Length: 2\r\n\r\n{}")
		}, "200", 91 * time.Second},
		"a body that takes its time, but keeps the pace": {func(c net.Conn) {
			trickle(c, eventsHead+"Connection: close\r\nContent-Length: 8388608\r\n\r\n", 1000, 0)
			trickle(c, "{}"+strings.Repeat(" ", 8<<20-2), 100<<10, time.Second)
		}, "200", 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got seen
				p, _ := serve(t, Options{Timeouts: timeouts}, got.deliver)
				answer, after := talk(t, p, tt.write)
				if tt.status == "" && answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 4") ||
					tt.status != "" && !strings.HasPrefix(answer, "HTTP/1.1 "+tt.status) {
					t.Errorf("answer %.100q, want %q", answer, tt.status)
				}
				if after > tt.after {
					t.Errorf("cut off after %v, want %v at most", after, tt.after)
				}
				if (got.calls > 0) != (tt.status == "200") {
					t.Errorf("delivered %d times", got.calls)
				}
			})
		})
	}
}

// trickle writes s in pieces, with a pause behind each, until the other side is gone.
func trickle(c net.Conn, s string, piece int, pause time.Duration) {
	for s != "" {
		n := min(piece, len(s))
		if _, err := io.WriteString(c, s[:n]); err != nil {
			return
		}
		s = s[n:]
		<-time.After(pause)
	}
}

// A Deliver that takes long is not taken for a slow sender.
func TestDeliverMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := serve(t, Options{}, func(ctx context.Context, _ []document.Document) error {
			select {
			case <-time.After(2 * time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		answer, _ := talk(t, p, func(c net.Conn) {
			_, _ = io.WriteString(c, eventsHead+"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
		})
		if !strings.HasPrefix(answer, "HTTP/1.1 200") {
			t.Errorf("answer %.100q", answer)
		}
	})
}

func TestHostileRequests(t *testing.T) {
	smuggled := eventsHead + "Content-Length: 14\r\n\r\n{\"smuggled\":1}"
	for name, tt := range map[string]struct {
		raw    string
		status string
		docs   int
	}{
		"two lengths": {eventsHead + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + smuggled, "400", 0},
		"a length and chunks: chunks count, and the connection ends": {
			eventsHead + "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + smuggled, "200", 1,
		},
		"chunks, twice over":                         {eventsHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "501", 0},
		"chunks under another name":                  {eventsHead + "Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + smuggled, "501", 0},
		"a negative length":                          {eventsHead + "Content-Length: -1\r\n\r\n{}", "400", 0},
		"a length with a sign":                       {eventsHead + "Content-Length: +2\r\n\r\n{}", "400", 0},
		"a space before the colon":                   {eventsHead + "Content-Length : 2\r\n\r\n{}", "400", 0},
		"a folded header":                            {eventsHead + "X-A: b\r\n Content-Length: 2\r\nConnection: close\r\n\r\n", "400", 0},
		"a null in a header":                         {eventsHead + "X-A: \x00\r\nContent-Length: 2\r\n\r\n{}", "400", 0},
		"no host":                                    {"POST /events HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "400", 0},
		"HTTP/1.0":                                   {"POST /events HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", "200", 1},
		"HTTP/1.0, that knows no chunks":             {"POST /events HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}", "200", 1},
		"HTTP/2 without having agreed":               {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "4", 0},
		"huge headers":                               {eventsHead + "X-A: " + strings.Repeat("a", maxHeader+8192) + "\r\n\r\n", "431", 0},
		"very many headers":                          {eventsHead + strings.Repeat("X: y\r\n", maxHeader/4) + "\r\n", "431", 0},
		"a long path":                                {"POST /" + strings.Repeat("a", maxHeader+8192) + " HTTP/1.1\r\nHost: x\r\n\r\n", "4", 0},
		"a body that says it is larger than allowed": {eventsHead + "Content-Length: 99999999999\r\n\r\n{}", "413", 0},
		"the same, asking first":                     {eventsHead + "Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n", "413", 0},
		"a body of half its length":                  {eventsHead + "Content-Length: 4\r\n\r\n{}", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got seen
				p, end := serve(t, Options{}, got.deliver)
				answer, _ := talk(t, p, func(c net.Conn) {
					_, _ = io.WriteString(c, tt.raw)
					if tt.status == "" {
						_ = c.Close()
					}
				})
				if err := end(); err != nil {
					t.Error(err)
				}
				if tt.status != "" && !strings.HasPrefix(strings.TrimPrefix(answer, "HTTP/1.0"), "HTTP/1.1 "+tt.status) && !strings.HasPrefix(answer, "HTTP/1.0 "+tt.status) {
					t.Errorf("answer %.120q, want %s", answer, tt.status)
				}
				if len(got.docs)+len(got.broken) != tt.docs {
					t.Errorf("delivered %q and %q, want %d", got.docs, got.broken, tt.docs)
				}
			})
		})
	}
}

func TestRunEndsWithoutDeliverRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside := make(chan struct{})
		var left bool
		p, end := serve(t, Options{Timeouts: Timeouts{Shutdown: 3 * time.Second}}, func(ctx context.Context, _ []document.Document) error {
			close(inside)
			<-ctx.Done() // for as long as it may
			left = true
			return ctx.Err()
		})
		answer := make(chan string, 1)
		go func() {
			a, _ := talk(t, p, func(c net.Conn) { _, _ = io.WriteString(c, eventsHead+"Content-Length: 2\r\n\r\n{}") })
			answer <- a
		}()
		<-inside
		start := time.Now()
		if err := end(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if !left {
			t.Error("Run returned while Deliver was running")
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("took %v, want the 3 s that it had", took)
		}
		if a := <-answer; strings.Contains(a, "200 OK") {
			t.Errorf("answer %q to what was not stored", a)
		}
		if _, err := p.dial(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener is open: %v", err)
		}
	})
}

func TestRunTellsThatTheListenerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		_ = p.Close()
		s := newSource(t, Options{Listener: p})
		var got seen
		if err := s.Run(t.Context(), got.deliver); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run: %v", err)
		}
		if err := newSource(t, Options{}).Run(t.Context(), got.deliver); err == nil {
			t.Error("ran without a listener")
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got seen
		p, _ := serve(t, Options{MaxConnections: 2}, got.deliver)
		var conns []net.Conn
		for range 2 {
			c, err := p.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third connection: %v, want it to wait", err)
		}
		_ = conns[0].Close()
		c, err := p.dial(t.Context())
		if err != nil {
			t.Errorf("a connection after one was closed: %v", err)
		}
		_ = c.Close()
		_ = conns[1].Close()
	})
}

func TestOneConnectionServesManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got seen
		p, _ := serve(t, Options{}, got.deliver)
		conn, err := p.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		for i := range 3 {
			if _, err := fmt.Fprintf(conn, "%sContent-Length: 7\r\n\r\n{\"a\":%d}", eventsHead, i); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("request %d: %v, %v", i, resp, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			<-time.After(30 * time.Second) // longer than a body may take, shorter than Idle
		}
		if len(got.docs) != 3 {
			t.Errorf("delivered %q", got.docs)
		}
	})
}

// writePair writes a new certificate for catchment.example and its key.
func writePair(t *testing.T, by *authority, dir string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := issue(t, by, key, func(c *x509.Certificate) { c.DNSNames = []string{"catchment.example"} })
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"cert": asPEM(cert), "key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert
}

func TestTLSWithACertificateThatChanges(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		root := newAuthority(t, "root", nil)
		pool := x509.NewCertPool()
		pool.AddCert(root.cert)
		want := writePair(t, root, dir)
		var reloads []error
		var got seen
		p, _ := serve(t, Options{
			CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"),
			Events: Events{Reloaded: func(r Reloaded) { reloads = append(reloads, r.Err) }},
		}, got.deliver)
		check := func() {
			t.Helper()
			conn, err := p.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "catchment.example", NextProtos: []string{"h2", "http/1.1"}})
			if err := c.HandshakeContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			state := c.ConnectionState()
			if !state.PeerCertificates[0].Equal(want) {
				t.Error("the server shows another certificate")
			}
			if state.NegotiatedProtocol != "http/1.1" {
				t.Errorf("agreed on %q", state.NegotiatedProtocol)
			}
			if _, err := io.WriteString(c, eventsHead+"Connection: close\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
				t.Fatal(err)
			}
			if b, _ := io.ReadAll(c); !strings.HasPrefix(string(b), "HTTP/1.1 200") {
				t.Errorf("answer %q", b)
			}
		}
		check()
		want = writePair(t, root, dir)
		<-time.After(checkEvery)
		check()
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte("half a file"), 0o600); err != nil {
			t.Fatal(err)
		}
		<-time.After(checkEvery)
		check()
		if len(reloads) != 2 || reloads[0] != nil || reloads[1] == nil {
			t.Errorf("reloads %v, want a good one and a bad one", reloads)
		}
		c, err := p.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		old := tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "catchment.example", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
		if err := old.HandshakeContext(t.Context()); err == nil {
			t.Error("TLS 1.1 was accepted")
		}
		_ = c.Close()
	})
}
