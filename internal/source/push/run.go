package push

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"example.org/catchment/internal/source"
)

// maxHeader bounds a request's header, in bytes. Firehose's common attributes may have 50 × (256 + 1,024) characters,
// its access key 4,096.
const maxHeader = 128 << 10

// Run serves Options.Listener until ctx is done. Requests that have begun by then get Timeouts.Shutdown to end; then
// the context of their Deliver is done too, and their connections are closed. See source.Source.
func (s *Source) Run(ctx context.Context, deliver source.Deliver) error {
	if s.o.Listener == nil {
		return errors.New("no listener to serve")
	}
	defer s.signer.close()
	requests, cancel := detach(ctx)
	defer cancel()
	srv := s.server(requests, deliver)
	served := make(chan error, 1)
	go func() {
		listener := limitConnections(s.o.Listener, s.o.MaxConnections)
		if s.certs != nil {
			served <- srv.ServeTLS(listener, "", "")
		} else {
			served <- srv.Serve(listener)
		}
	}()
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve %s: %w", s.o.Listener.Addr(), err)
	case <-ctx.Done():
		grace, stop := context.WithTimeout(requests, s.o.Timeouts.Shutdown)
		_ = srv.Shutdown(grace) // what it could not wait for is closed below
		stop()
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = fmt.Errorf("serve %s: %w", s.o.Listener.Addr(), ended)
		}
	}
	// A Deliver that is still running must end before its receiver is told that no more will come.
	inside := s.gate.close()
	cancel()
	_ = srv.Close()
	<-inside
	return err
}

func (s *Source) server(ctx context.Context, deliver source.Deliver) *http.Server {
	t := s.o.Timeouts
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // what AWS speaks; each body's pace is then that of its connection
	srv := &http.Server{
		Handler:           s.Handler(deliver),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: t.Header,
		IdleTimeout:       t.Idle,
		MaxHeaderBytes:    maxHeader,
		Protocols:         protocols,
		ErrorLog:          log.New(serverLog{s.o.Events.Server}, "", 0),
		// The handler sets both deadlines as it goes. This one is for answers that the server writes itself.
		WriteTimeout: 10 * time.Minute,
	}
	if s.certs != nil {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certs.get}
	}
	return srv
}

// serverLog hands on what net/http would log.
type serverLog struct{ tell func(line string) }

func (l serverLog) Write(line []byte) (int, error) {
	if l.tell != nil {
		l.tell(string(bytes.TrimSpace(line)))
	}
	return len(line), nil
}

// certificates are a certificate and its key as their files are now.
type certificates struct{ files reloading[tls.Certificate] }

func newCertificates(certFile, keyFile string, tell func(string, error)) (*certificates, error) {
	c := &certificates{reloading[tls.Certificate]{
		files: []string{certFile, keyFile},
		parse: func(contents [][]byte) (tls.Certificate, error) { return tls.X509KeyPair(contents[0], contents[1]) },
		tell:  tell,
	}}
	return c, c.files.load()
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.files.get(), nil }

// A limitedListener accepts a connection only while fewer than its slots are open.
type limitedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func limitConnections(l net.Listener, n int) net.Listener {
	return &limitedListener{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: conn, free: func() { <-l.slots }}, nil
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	once sync.Once
	free func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.free)
	return err
}
