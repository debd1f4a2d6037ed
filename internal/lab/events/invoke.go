package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

// requestTimeout is how long an endpoint may take to answer, in real time.
const requestTimeout = 5 * time.Second

// maxResponse is how much of an answer is read: none of it counts.
const maxResponse = 64 << 10

func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: requestTimeout}).DialContext,
			DisableCompression: true, DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// An httpError is an answer that is none of success.
type httpError struct {
	status int
	after  time.Duration // that Retry-After asks for
}

func (e *httpError) Error() string {
	return fmt.Sprintf("the endpoint answered %d %s", e.status, http.StatusText(e.status))
}

// invoke sends a request to an API destination's endpoint.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html
func (s *Service) invoke(ctx context.Context, a cloud.ARN, d *cloud.Delivery) error {
	s.mu.Lock()
	to := s.destination(a)
	if to == nil {
		s.mu.Unlock()
		return cloud.ErrNoResource
	}
	con, err := s.places[a.Place()].connectionOf(to.connection)
	if err != nil {
		s.mu.Unlock()
		return fmt.Errorf("%w: %w", cloud.ErrNoResource, err)
	}
	endpoint, method, auth, parameters := to.endpoint, to.method, con.auth, con.parameters
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := newRequest(ctx, method, endpoint, d)
	if err != nil {
		return err
	}
	parameters.authorize(auth, request)
	response, err := s.o.Client.Do(request)
	if err != nil {
		code := cloud.CodeInternal
		if errors.Is(err, context.DeadlineExceeded) {
			code = cloud.CodeTimeout
		}
		if unwrapped, ok := errors.AsType[*url.Error](err); ok {
			err = unwrapped.Err // without the URL, whose query may hold a secret
		}
		return &cloud.DeliveryError{Code: code, Err: err, Retry: true}
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, maxResponse)
	return s.judge(response)
}

// judge tells what an answer means for the event: 429 and 5xx are tried again, unless Retry-After is negative.
func (s *Service) judge(response *http.Response) error {
	status := response.StatusCode
	if status >= 200 && status < 300 {
		return nil
	}
	failure := &httpError{status: status}
	again := status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
	if text := response.Header.Get("Retry-After"); text != "" && again {
		if seconds, err := strconv.Atoi(text); err == nil {
			failure.after = time.Duration(min(seconds, maxAge+1)) * time.Second
			again = seconds >= 0
		} else if when, err := http.ParseTime(text); err == nil {
			failure.after = max(0, when.Sub(s.now()))
		}
	}
	return &cloud.DeliveryError{Code: cloud.CodeInternal, Err: failure, Retry: again}
}

// newRequest makes the request without its authorization. The headers are those that EventBridge always sends; a target may
// set Content-Type and User-Agent anew.
func newRequest(ctx context.Context, method, endpoint string, d *cloud.Delivery) (*http.Request, error) {
	for i := 0; strings.Contains(endpoint, "*"); i++ {
		value, ok := d.Attributes[attributePath+strconv.Itoa(i)]
		if !ok {
			return nil, fmt.Errorf("the endpoint's path has more stars than the target has path parameter values")
		}
		endpoint = strings.Replace(endpoint, "*", strings.ReplaceAll(url.PathEscape(value), "*", "%2A"), 1)
	}
	request, err := http.NewRequestWithContext(ctx, method, endpoint, bytes.NewReader(d.Body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	request.Close = true // Connection: close
	h := request.Header
	h.Set("User-Agent", "Amazon/EventBridge/ApiDestinations")
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Range", "bytes=0-1048575")
	h.Set("Accept-Encoding", "gzip,deflate")
	query := request.URL.Query()
	for _, key := range slices.Sorted(maps.Keys(d.Attributes)) {
		value := d.Attributes[key]
		if name, ok := strings.CutPrefix(key, attributeHeader); ok {
			setHeader(h, name, value)
		}
		if name, ok := strings.CutPrefix(key, attributeQuery); ok {
			query.Set(name, value)
		}
	}
	request.URL.RawQuery = query.Encode()
	return request, nil
}

// fixedHeaders are EventBridge's alone.
var fixedHeaders = []string{"Host", "Content-Length", "Connection", "Accept-Encoding", "Range", "Transfer-Encoding"}

func setHeader(h http.Header, name, value string) {
	if !slices.Contains(fixedHeaders, http.CanonicalHeaderKey(name)) {
		h.Set(name, value)
	}
}

// authorize adds what a connection says.
func (p *authParameters) authorize(auth string, request *http.Request) {
	if more := p.InvocationHTTPParameters; more != nil {
		for _, header := range more.HeaderParameters {
			setHeader(request.Header, header.Key, header.Value)
		}
		query := request.URL.Query()
		for _, q := range more.QueryStringParameters {
			query.Set(q.Key, q.Value)
		}
		request.URL.RawQuery = query.Encode()
	}
	if auth == authBasic {
		request.SetBasicAuth(p.BasicAuthParameters.Username, p.BasicAuthParameters.Password)
	} else {
		request.Header.Set(p.APIKeyAuthParameters.APIKeyName, p.APIKeyAuthParameters.APIKeyValue)
	}
}
