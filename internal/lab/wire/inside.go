package wire

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
)

// This file is for calls from inside the lab: one service asks another as somebody, as AWS does over its public API.

var _ cloud.Requester = (*Server)(nil)

// Request is cloud.Requester: a request to a service in the Own protocol, without a signature, with faults, rates and
// permissions. The body of the answer is in memory and need not be closed.
func (s *Server) Request(ctx context.Context, who cloud.Identity, at cloud.Place, service string, r *http.Request) (*http.Response, error) {
	to := s.services[service]
	if to == nil || to.Own == nil {
		return nil, Errorf("UnknownOperationException", "the lab has no service %q that takes requests", service)
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = readAll(io.LimitReader(r.Body, maxBody), r.ContentLength); err != nil {
			return nil, Errorf("IncompleteBody", "read the body: %v", err)
		}
	}
	c := &Call{
		Place: at, Service: service, Who: who, Cloud: s.cloud, Body: body, HTTP: r.WithContext(ctx), RequestID: s.cloud.UUID("request"),
		Protocol: Own,
	}
	if to.Pick != nil {
		c.Operation = to.Pick(c.HTTP)
	}
	if fault := s.permit(to, c, Operation{Self: true}); fault != nil {
		s.remember(c, fault.Status, fault.Code, fault.Message)
		return nil, fault
	}
	w := &recorder{header: make(http.Header)}
	s.serveOwn(ctx, w, c, to)
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return &http.Response{
		StatusCode: w.status, Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// A recorder keeps an answer in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// spread puts the members of a call's body where its operation looks for them: in REST-JSON, members that the path names
// are its labels, and the single values and lists of texts are in the query; in the Query protocol single values are in
// the form. The body stays as it is: operations pass over members that they do not know.
func (c *Call) spread(to *Service, op Operation) {
	var members map[string]any
	if len(c.Body) == 0 || json.Unmarshal(c.Body, &members) != nil {
		return // the operation itself says what is wrong with it
	}
	values := make(url.Values)
	for name, member := range members {
		if text, single := plainText(member); single {
			values.Set(name, text)
			continue
		}
		list, _ := member.([]any)
		for _, element := range list {
			if text, single := plainText(element); single {
				values.Add(name, text)
			}
		}
	}
	c.HTTP.Form = values
	rt := route{segments: pathSegments(op.Path)}
	if op.Path == "" || to.Own != nil {
		return
	}
	c.HTTP.Method = op.Method
	c.HTTP.URL.RawQuery = values.Encode()
	c.Path = make(map[string]string)
	for _, label := range rt.labels() {
		if values.Has(label) {
			c.Path[label] = values.Get(label)
		}
	}
}

func plainText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}
