package push

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	fetchTimeout   = 5 * time.Second  // for a certificate or a confirmation; SNS waits 15 s for its answer
	maxCertificate = 64 << 10         // bytes of an answer
	keyLifetime    = 24 * time.Hour   // until a certificate is fetched and verified again
	failLifetime   = 10 * time.Second // until a certificate that was not good is fetched again
	maxSigners     = 256              // certificates known at once
	maxIssuers     = 3                // certificates between SNS's and a root
	maxFetches     = 8                // at once
	minModulus     = 2048             // bits
)

// signers are the certificates that SNS signs with. It is safe for concurrent use.
type signers struct {
	client *http.Client
	roots  *x509.CertPool
	maxAge time.Duration
	lab    bool // SNS.Endpoint is set
	flight singleflight.Group
	// What is fetched is named by messages that nothing is known of yet, so few are fetched at once.
	fetching chan struct{}

	mu    sync.Mutex
	known map[string]signer // by URL; guarded by mu
}

type signer struct {
	key   *rsa.PublicKey
	err   error // instead of key
	until time.Time
}

func newSigners(o SNS) *signers {
	client := http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: fetchTimeout, MaxIdleConns: 4, IdleConnTimeout: time.Minute,
	}}
	if o.Client != nil {
		client = *o.Client
	}
	// A redirect would leave the host that was checked.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &signers{client: &client, roots: o.Roots, maxAge: o.MaxAge, lab: o.Endpoint != "", fetching: make(chan struct{}, maxFetches), known: make(map[string]signer)}
}

// close ends idle connections.
func (s *signers) close() { s.client.CloseIdleConnections() }

// key returns the key of the certificate at address, which t owns. The error is a *refusal: 403 for a certificate that
// is not SNS's, 503 where it could not be fetched.
func (s *signers) key(ctx context.Context, t topic, address string, now time.Time) (*rsa.PublicKey, error) {
	if k, ok := s.lookup(address, now); ok {
		return k.key, k.err
	}
	// One fetch serves all who wait for it, so it does not end with the request that happened to be first.
	v, err, _ := s.flight.Do(address, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		select {
		case s.fetching <- struct{}{}:
			defer func() { <-s.fetching }()
		case <-ctx.Done():
			return nil, unreachable(ctx.Err())
		}
		k := s.fetch(ctx, t, address, now)
		s.store(address, k, now)
		return k, nil
	})
	if err != nil {
		return nil, err
	}
	k := v.(signer)
	return k.key, k.err
}

func (s *signers) lookup(address string, now time.Time) (signer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[address]
	return k, ok && now.Before(k.until)
}

func (s *signers) store(address string, k signer, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxSigners {
		maps.DeleteFunc(s.known, func(_ string, k signer) bool { return k.err != nil || !now.Before(k.until) })
	}
	if len(s.known) >= maxSigners {
		clear(s.known)
	}
	s.known[address] = k
}

func (s *signers) fetch(ctx context.Context, t topic, address string, now time.Time) signer {
	leaf, intermediates, err := s.download(ctx, address)
	if err == nil {
		err = s.check(ctx, t, leaf, intermediates, now)
	}
	if err != nil {
		var no *refusal
		if !errors.As(err, &no) {
			err = unreachable(err)
		}
		return signer{err: err, until: now.Add(failLifetime)}
	}
	until := now.Add(keyLifetime)
	if leaf.NotAfter.Before(until) {
		until = leaf.NotAfter
	}
	return signer{key: leaf.PublicKey.(*rsa.PublicKey), until: until}
}

// download returns the certificate at address, and what was sent with it.
func (s *signers) download(ctx context.Context, address string) (leaf *x509.Certificate, more *x509.CertPool, err error) {
	resp, err := s.get(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	content, err := readAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	more = x509.NewCertPool()
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, nil, badCertificate(errors.New("no certificate at SigningCertURL"))
		}
		if leaf == nil {
			leaf = cert
		} else {
			more.AddCert(cert)
		}
	}
	if leaf == nil {
		return nil, nil, badCertificate(errors.New("no certificate at SigningCertURL"))
	}
	// The file holds the leaf alone; the connection that it came over often has the same issuer.
	if resp.TLS != nil {
		for _, cert := range resp.TLS.PeerCertificates[min(1, len(resp.TLS.PeerCertificates)):] {
			more.AddCert(cert)
		}
	}
	return leaf, more, nil
}

// check tells whether the certificate was issued to SNS, by someone that the roots vouch for.
func (s *signers) check(ctx context.Context, t topic, leaf *x509.Certificate, more *x509.CertPool, now time.Time) error {
	names := leaf.DNSNames
	if len(names) == 0 {
		names = []string{leaf.Subject.CommonName}
	}
	if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(t.signer, name) }) {
		return badCertificate(errors.New("the certificate is not issued to SNS"))
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() < minModulus {
		return badCertificate(fmt.Errorf("the certificate has no RSA key of at least %d bits", minModulus))
	}
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return badCertificate(errors.New("the certificate is not valid at this time"))
	}
	if s.lab { // it vouches for itself, by where it is
		return nil
	}
	last := leaf
	for i := 0; ; i++ {
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots: s.roots, Intermediates: more, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return nil
		}
		var unknown x509.UnknownAuthorityError
		address := issuerURL(last)
		if !errors.As(err, &unknown) || address == "" || i == maxIssuers {
			return badCertificate(err)
		}
		if last, err = s.issuer(ctx, address); err != nil {
			return err
		}
		more.AddCert(last)
	}
}

// issuerForm is where the authorities that issue SNS's certificates keep their own. It is no secret channel: what comes
// from there counts only if a root vouches for it.
var issuerForm = regexp.MustCompile(
	`^http://(crt\.[a-z0-9]{1,32}\.amazontrust\.com|cacerts\.digicert\.com)/[A-Za-z0-9._-]{1,128}\.(cer|crt)$`)

func issuerURL(cert *x509.Certificate) string {
	for _, address := range cert.IssuingCertificateURL {
		if issuerForm.MatchString(address) {
			return address
		}
	}
	return ""
}

func (s *signers) issuer(ctx context.Context, address string) (*x509.Certificate, error) {
	resp, err := s.get(ctx, address)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	content, err := readAll(resp.Body)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(content)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", address, err)
	}
	return cert, nil
}

// get expects an answer of 200. The caller closes its body.
func (s *signers) get(ctx context.Context, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s answered %d", req.URL.Host, resp.StatusCode)
	}
	return resp, nil
}

// withoutURL takes the URL out of a client's error: it may hold a subscription's token.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func readAll(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxCertificate+1))
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	if len(content) > maxCertificate {
		return nil, badCertificate(fmt.Errorf("an answer of more than %d bytes", maxCertificate))
	}
	return content, nil
}

func unreachable(cause error) *refusal {
	return &refusal{
		status: http.StatusServiceUnavailable, reason: "sns-unreachable", cause: cause,
		expected: "SNS's certificate could not be fetched; try again",
	}
}

func badCertificate(cause error) *refusal {
	return forbidden("sns-certificate", "the certificate at SigningCertURL is not one of SNS", cause)
}
