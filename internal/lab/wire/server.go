package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
)

// maxBody is how much of a request is read: S3's largest single put is more, but a laptop's memory is less.
const maxBody = 256 << 20

// maxName is how much is kept of the name of an operation: none is as long.
const maxName = 128

// A Server answers for all services at one address.
type Server struct {
	cloud    *cloud.Cloud
	services map[string]*Service // by signing name
	routes   map[string][]route
	rates    rates
}

// NewServer makes a server for services.
func NewServer(c *cloud.Cloud, services ...*Service) *Server {
	s := &Server{cloud: c, services: make(map[string]*Service), routes: make(map[string][]route), rates: rates{buckets: make(map[bucketKey]*bucket)}}
	for _, service := range services {
		s.services[service.Name] = service
		s.routes[service.Name] = compileRoutes(service)
	}
	c.API, c.Requests = s, s
	return s
}

var _ cloud.API = (*Server)(nil)

// Call is cloud.API: an operation without HTTP and signature, with faults, rates and permissions. The body's members serve
// as labels of the path, as the query and as the form too, whatever protocol the service speaks.
func (s *Server) Call(ctx context.Context, who cloud.Identity, at cloud.Place, service, operation string, body []byte) ([]byte, error) {
	to := s.services[service]
	if to == nil {
		return nil, Errorf("UnknownOperationException", "the lab has no service %q", service)
	}
	op, ok := to.Operations[operation]
	if !ok {
		return nil, Errorf("UnknownOperationException", "the lab's %s has no operation %q", service, operation)
	}
	c := &Call{
		Place: at, Service: service, Operation: operation, Who: who, Cloud: s.cloud, Body: body, RequestID: s.cloud.UUID("request"),
		Protocol: JSON11, HTTP: (&http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/"}, Header: http.Header{}}).WithContext(ctx),
	}
	if to.Global {
		c.Region = cloud.HomeRegion(s.cloud.Partition)
	}
	c.spread(to, op)
	if fault := s.permit(to, c, op); fault != nil {
		s.remember(c, fault.Status, fault.Code, fault.Message)
		return nil, fault
	}
	out, err := op.Do(ctx, c)
	if err != nil {
		fault := asError(to, err)
		s.remember(c, fault.Status, fault.Code, fault.Message)
		return nil, fault
	}
	s.remember(c, http.StatusOK, "", "")
	return encodeJSON(out, "{}")
}

// readAll reads a body whose length is said to be n, or -1. What is said costs no more than 32 MiB.
func readAll(from io.Reader, n int64) ([]byte, error) {
	body := bytes.NewBuffer(make([]byte, 0, min(max(n, 0), 32<<20)+bytes.MinRead))
	_, err := body.ReadFrom(from)
	return body.Bytes(), err
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &Call{Cloud: s.cloud, HTTP: r, RequestID: s.cloud.UUID("request")}
	w.Header().Set("X-Amzn-Requestid", c.RequestID)
	w.Header().Set("X-Amz-Request-Id", c.RequestID)
	body, err := readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	if err != nil {
		s.fail(w, c, nil, StatusErrorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the body is longer than %d bytes", maxBody))
		return
	}
	c.Body = body
	sign, signed := readSignature(r)
	if signed {
		c.Service, c.Region = sign.service, sign.region
		if sign.link {
			c.Region = cloud.HomeRegion(s.cloud.Partition)
		}
	} else {
		c.Service = s.guess(r)
	}
	c.Partition = s.cloud.Partition
	service := s.services[c.Service]
	if service == nil {
		s.unknownService(w, c, signed)
		return
	}
	op, known := s.choose(service, c)
	c.Operation = c.Operation[:min(len(c.Operation), maxName)] // it may come from the body
	if fault := s.admit(service, c, op, sign, signed); fault != nil {
		s.fail(w, c, service, fault)
		return
	}
	if service.Own != nil && c.Protocol == Own {
		s.serveOwn(r.Context(), w, c, service)
		return
	}
	if !known {
		s.fail(w, c, service, unknownOperation(service, c))
		return
	}
	out, err := op.Do(r.Context(), c)
	if err != nil {
		s.fail(w, c, service, asError(service, err))
		return
	}
	s.answer(w, c, service, out)
}

// guess finds the service of a request that is not signed: STS's AssumeRoleWith… and SNS's links have to work.
func (s *Server) guess(r *http.Request) string {
	if target, _, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		for name, service := range s.services {
			if service.Target == target {
				return name
			}
		}
	}
	action := r.URL.Query().Get("Action")
	if action == "" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return ""
	}
	for name, service := range s.services {
		if op, ok := service.Operations[action]; ok && op.Open && slices.Contains(service.Protocols, Query) {
			return name
		}
	}
	return "s3" // a page, or an object that everybody may read
}

// choose finds the operation that a request asks for, and sets what follows from it in c.
func (s *Server) choose(service *Service, c *Call) (Operation, bool) {
	r := c.HTTP
	speaks := func(p Protocol) bool { return slices.Contains(service.Protocols, p) }
	if target, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok && (speaks(JSON10) || speaks(JSON11)) {
		c.Protocol = JSON11
		if !speaks(JSON11) || speaks(JSON10) && strings.Contains(r.Header.Get("Content-Type"), "1.0") {
			c.Protocol = JSON10
		}
		c.Operation = name
		op, known := service.Operations[name]
		return op, known && target == service.Target
	}
	if speaks(Query) {
		c.Protocol = Query
		form := r.URL.Query()
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			if posted, err := url.ParseQuery(string(c.Body)); err == nil {
				for k, v := range posted {
					form[k] = v
				}
			}
		}
		r.Form = form
		c.Operation = form.Get("Action")
		op, known := service.Operations[c.Operation]
		return op, known
	}
	if speaks(RESTJSON) {
		c.Protocol = RESTJSON
		for _, rt := range s.routes[service.Name] {
			if path, ok := rt.match(r); ok {
				c.Operation, c.Path = rt.name, path
				return service.Operations[rt.name], true
			}
		}
		return Operation{}, false
	}
	c.Protocol = Own
	if service.Pick != nil {
		c.Operation = service.Pick(r)
	}
	return Operation{Self: true}, true
}

// admit checks who asks, and whether the call goes wrong: everything that comes before the operation itself.
func (s *Server) admit(service *Service, c *Call, op Operation, sign signature, signed bool) *Error {
	anonymous := !signed && (op.Open || c.Protocol == Own)
	if !signed && !anonymous {
		return StatusErrorf(http.StatusForbidden, "MissingAuthenticationToken", "Missing Authentication Token")
	}
	if signed {
		if err := s.identify(c, service, sign); err != nil {
			return err
		}
	}
	if anonymous {
		op.Self = true
	}
	return s.permit(service, c, op)
}

// permit lets an identified call through faults, rates and permissions.
func (s *Server) permit(service *Service, c *Call, op Operation) *Error {
	t := s.cloud.Faults.At(cloud.Occasion{Service: service.Name, Action: c.Operation, Place: c.Place})
	switch {
	case t.Down:
		return StatusErrorf(http.StatusServiceUnavailable, "ServiceUnavailable", "%s in %s is not available", service.Name, c.Region)
	case t.Throttle:
		return throttled(service, c)
	case t.Deny:
		return service.refuse(&cloud.DeniedError{Who: c.Who.ARN, Action: s.action(service, c, op), Resource: "*", Reason: " (a fault of the lab)"})
	}
	rate := op.Rate
	if rate.PerSecond == 0 {
		rate = service.Rate
	}
	name := c.Operation
	if op.Do == nil {
		name = "" // of no known operation: strangers' names must not fill the memory
	}
	if s.cloud.Quotas && !s.rates.take(bucketKey{c.Place, service.Name, name}, rate, s.cloud.Clock.Now()) {
		return throttled(service, c)
	}
	if op.Do == nil || op.Self {
		return nil
	}
	resource := "*"
	if op.Resource != nil {
		resource = op.Resource(c)
	}
	if err := s.cloud.Authorize(cloud.Access{Who: c.Who, Action: s.action(service, c, op), Resource: resource, Context: c.Conditions()}); err != nil {
		return service.refuse(err)
	}
	return nil
}

func (s *Server) action(service *Service, c *Call, op Operation) string {
	if op.Action != "" {
		return op.Action
	}
	prefix := service.Prefix
	if prefix == "" {
		prefix = service.Name
	}
	return prefix + ":" + c.Operation
}

// identify finds out who signed, and whether the region is theirs to use.
func (s *Server) identify(c *Call, service *Service, sign signature) *Error {
	credential, ok := s.cloud.Accounts.FindKey(sign.key)
	invalid := StatusErrorf(http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid.")
	if service.Name == "s3" {
		invalid = StatusErrorf(http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	} else if c.Protocol == Query {
		invalid.Code = "InvalidClientTokenId"
	}
	if ok && sign.token != credential.Token && sign.token != "" && service.Name == "s3" {
		return Errorf("InvalidToken", "The provided token is malformed or otherwise invalid.")
	}
	if !ok || sign.token != credential.Token {
		return invalid
	}
	if !sign.verify(c.HTTP, c.Body, credential) {
		code := "InvalidSignatureException"
		if service.Name == "s3" || c.Protocol == Query {
			code = "SignatureDoesNotMatch"
		}
		return StatusErrorf(http.StatusForbidden, code, "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	if !credential.Expires.IsZero() && !s.cloud.Clock.Now().Before(credential.Expires) {
		return expired(service, c)
	}
	c.Who, c.Account = credential.Who, credential.Who.Account
	if service.Global {
		c.Region = cloud.HomeRegion(s.cloud.Partition)
	} else if !s.cloud.Accounts.Enabled(c.Account, c.Region) {
		return invalid // what AWS answers in a region that the account has not enabled
	}
	return nil
}

func expired(service *Service, c *Call) *Error {
	switch {
	case service.Name == "s3":
		return Errorf("ExpiredToken", "The provided token has expired.")
	case c.Protocol == Query:
		return StatusErrorf(http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
	}
	return StatusErrorf(http.StatusForbidden, "ExpiredTokenException", "The security token included in the request is expired")
}

func throttled(service *Service, c *Call) *Error {
	if service.Throttled != nil {
		e := *service.Throttled
		return &e
	}
	status := http.StatusBadRequest
	if c.Protocol == RESTJSON {
		status = http.StatusTooManyRequests
	}
	code := "ThrottlingException"
	if c.Protocol == Query {
		code = "Throttling"
	}
	return StatusErrorf(status, code, "Rate exceeded")
}

func unknownOperation(service *Service, c *Call) *Error {
	switch c.Protocol {
	case RESTJSON:
		return StatusErrorf(http.StatusForbidden, "MissingAuthenticationToken", "the lab's %s has no operation at %.20s %.200s", service.Name, c.HTTP.Method, c.HTTP.URL.Path)
	case Query:
		return Errorf("InvalidAction", "The action %s is not valid for this endpoint.", c.Operation)
	case JSON10, JSON11, Own:
		fallthrough
	default:
		return Errorf("UnknownOperationException", "the lab's %s has no operation %q", service.Name, c.Operation)
	}
}

func (s *Server) unknownService(w http.ResponseWriter, c *Call, signed bool) {
	c.Protocol = JSON11
	if !signed {
		s.fail(w, c, nil, StatusErrorf(http.StatusForbidden, "MissingAuthenticationToken", "Missing Authentication Token"))
		return
	}
	s.fail(w, c, nil, Errorf("UnknownOperationException", "the lab has no service %.100q", c.Service))
}

// asError turns what an operation returned into an answer.
func asError(service *Service, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if d, ok := errors.AsType[*cloud.DeniedError](err); ok {
		return service.refuse(d)
	}
	return StatusErrorf(http.StatusInternalServerError, "InternalFailure", "%v", err)
}

func (s *Server) serveOwn(ctx context.Context, w http.ResponseWriter, c *Call, service *Service) {
	watch := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	service.Own(ctx, c, watch)
	s.remember(c, watch.status, watch.Header().Get("X-Lab-Error"), "")
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (s *Server) remember(c *Call, status int, code, message string) {
	s.cloud.Calls.Add(cloud.CallRecord{
		Time: s.cloud.Clock.Now(), Account: c.Account, Region: c.Region, Service: c.Service, Operation: c.Operation,
		Who: c.Who.ARN, Status: status, Error: code, Message: message,
	})
}
