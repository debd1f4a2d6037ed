package sns

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

// postTimeout is how long SNS waits for an endpoint, in real time.
const postTimeout = 15 * time.Second

// maxAnswer is how much of an endpoint's answer is read, so that its connection can be used again.
const maxAnswer = 64 << 10

// errNotLoopback keeps the lab to the machine that it runs on.
var errNotLoopback = errors.New("the lab only posts to this machine's loopback addresses")

// newClient makes the client for endpoints. It follows no redirects, as SNS does not, and reaches only loopback addresses.
func newClient(roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{Timeout: postTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			return errNotLoopback
		}
		return nil
	}}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				// Other names are not even looked up: that would tell them to the network.
				host, _, err := net.SplitHostPort(address)
				if err != nil || net.ParseIP(host) == nil && host != "localhost" {
					return nil, errNotLoopback
				}
				return dialer.DialContext(ctx, network, address)
			},
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConns: 16, IdleConnTimeout: time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// tryHTTP tries to POST to an endpoint. Faults of hops count: the service is http or https, the action Post.
func (s *Service) tryHTTP(ctx context.Context, d *delivery, p parcel) {
	sub := d.sub
	t := s.cloud.Faults.At(cloud.Occasion{
		Service: sub.protocol, Action: "Post", From: principal, Target: sub.endpoint, Place: sub.topic.place,
	})
	do := func(ctx context.Context) {
		var err error
		retry := true
		switch {
		case t.Drop:
		case t.Down, t.Throttle:
			err = errors.New("the endpoint does not answer (a fault of the lab)")
		case t.Deny:
			err, retry = errors.New("the endpoint answered 403 (a fault of the lab)"), false
		default:
			sent := p
			if t.Corrupt {
				sent.body = p.body[:len(p.body)/2]
			}
			retry, err = s.post(ctx, d, sent)
			if err == nil && t.Duplicate {
				retry, err = s.post(ctx, d, sent)
			}
		}
		s.settle(d, p, err, retry)
	}
	if t.Delay > 0 {
		s.cloud.Clock.After(t.Delay, do)
		return
	}
	do(ctx)
}

// post POSTs once, and where the endpoint asks for the name and password that are in its URL, once more with them. retry
// tells whether it may go better later: 4xx, but for 429, is a final no.
func (s *Service) post(ctx context.Context, d *delivery, p parcel) (retry bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	u, err := url.Parse(d.sub.endpoint)
	if err != nil {
		return false, errors.New("the endpoint is no URL")
	}
	user := u.User
	u.User = nil
	status, asked, err := s.request(ctx, d, p, u, nil)
	if err == nil && status == http.StatusUnauthorized && asked && user != nil {
		status, _, err = s.request(ctx, d, p, u, user)
	}
	switch {
	case errors.Is(err, errNotLoopback):
		return false, errNotLoopback
	case err != nil:
		return true, err
	case status >= 200 && status < 300:
		return false, nil
	}
	final := status >= 400 && status < 500 && status != http.StatusTooManyRequests
	return !final, fmt.Errorf("the endpoint answered %d", status)
}

// request POSTs. asked tells whether the answer asks for a name and password.
func (s *Service) request(ctx context.Context, d *delivery, p parcel, u *url.URL, user *url.Userinfo) (status int, asked bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(p.body))
	if err != nil {
		return 0, false, errors.New("the endpoint is no URL")
	}
	r.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	r.Header.Set("User-Agent", "Amazon Simple Notification Service Agent")
	r.Header.Set("X-Amz-Sns-Message-Type", d.kind)
	r.Header.Set("X-Amz-Sns-Message-Id", d.id)
	r.Header.Set("X-Amz-Sns-Topic-Arn", d.sub.topic.arn)
	if d.kind != typeSubscribe {
		r.Header.Set("X-Amz-Sns-Subscription-Arn", d.sub.arn)
	}
	if p.raw {
		r.Header.Set("X-Amz-Sns-Rawdelivery", "true")
	}
	if user != nil {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	resp, err := client.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may hold a password
		}
		return 0, false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return 0, false, fmt.Errorf("read the endpoint's answer: %w", err)
	}
	return resp.StatusCode, strings.HasPrefix(strings.ToLower(resp.Header.Get("WWW-Authenticate")), "basic"), nil
}
