package firehose

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of an endpoint's answer. https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html
const (
	maxAnswer       = 1 << 20
	maxErrorMessage = 8192
)

// requestBody is a batch as it is posted.
func (b *batch) requestBody(id string, ms int64) []byte {
	out := make([]byte, 0, envelope+b.coded)
	out = append(out, `{"requestId":"`+id+`","timestamp":`...)
	out = strconv.AppendInt(out, ms, 10)
	out = append(out, `,"records":[`...)
	for i := range b.records {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"data":"`...)
		out = base64.StdEncoding.AppendEncode(out, b.records[i].data)
		out = append(out, `"}`...)
	}
	return append(out, `]}`...)
}

// post sends a batch to the endpoint. Its id is the same over its tries.
func (s *Service) post(ctx context.Context, b *batch) {
	if b.key == "" {
		b.key = s.cloud.UUID("firehose request")
	}
	to := b.plan.endpoint
	body := b.requestBody(b.key, s.cloud.Clock.Now().UnixMilli())
	if to.gzip {
		var err error
		if body, err = s.gzip(body); err != nil {
			s.posted(b, &failure{"InternalError", err.Error()}, true)
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.settings.ResponseTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url, bytes.NewReader(body))
	if err != nil {
		s.posted(b, &failure{"HttpEndpoint.ConnectionFailed", err.Error()}, true)
		return
	}
	request.Header = to.header.Clone()
	request.Header.Set(headerRequest, b.key)
	request.Header.Set(headerSource, b.stream.arn)
	response, err := s.client.Do(request)
	if err != nil {
		s.posted(b, connectionFailure(err), true)
		return
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		s.posted(b, connectionFailure(err), true)
	case len(answer) > maxAnswer:
		s.posted(b, &failure{"HttpEndpoint.ResponseTooLarge", fmt.Sprintf("The response is longer than %d bytes.", maxAnswer)}, true)
	case response.StatusCode != http.StatusOK:
		again := response.StatusCode != http.StatusRequestEntityTooLarge
		s.posted(b, &failure{
			"HttpEndpoint.DestinationException",
			fmt.Sprintf("Received the following response from the endpoint destination. %d %.1000q", response.StatusCode, answer),
		}, again)
	default:
		if err := checkAnswer(response, answer, b.key); err != nil {
			s.posted(b, &failure{"HttpEndpoint.InvalidResponseFromDestination", err.Error()}, true)
			return
		}
		s.posted(b, nil, false)
	}
}

// connectionFailure names why no answer came.
func connectionFailure(err error) *failure {
	code := "HttpEndpoint.ConnectionFailed"
	var timeout net.Error
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		code = "HttpEndpoint.RequestTimeout"
	case errors.As(err, &record), errors.As(err, &certificate):
		code = "HttpEndpoint.SSLHandshakeFailure"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		code = "HttpEndpoint.ConnectionReset"
	}
	return &failure{code, err.Error()}
}

// checkAnswer holds an answer of status 200 against the protocol.
func checkAnswer(response *http.Response, body []byte, id string) error {
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch {
	case err != nil || kind != "application/json":
		return fmt.Errorf("Content-Type %.100q: expected application/json", response.Header.Get("Content-Type"))
	case response.Header.Get("Content-Encoding") != "":
		return fmt.Errorf("Content-Encoding %.100q: expected none", response.Header.Get("Content-Encoding"))
	case response.ContentLength < 0:
		return errors.New("Content-Length is missing")
	}
	var read struct {
		RequestID    *string        `json:"requestId"`
		Timestamp    jsontext.Value `json:"timestamp"`
		ErrorMessage *string        `json:"errorMessage"`
	}
	if err := json.Unmarshal(body, &read, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("the body is not as it should be: %w", err)
	}
	switch {
	case read.RequestID == nil || *read.RequestID != id:
		return errors.New("requestId is not that of the request")
	case read.Timestamp.Kind() != '0':
		return errors.New("timestamp is not a number")
	case len(text(read.ErrorMessage)) > maxErrorMessage:
		return fmt.Errorf("errorMessage is longer than %d", maxErrorMessage)
	}
	return nil
}

// posted takes up that the endpoint took a batch, or that it did not.
func (s *Service) posted(b *batch, broken *failure, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := b.stream
	if b.done {
		return
	}
	if broken == nil {
		s.finish(b)
		st.counts.Posted.add(len(b.records), b.size)
		return
	}
	wait := s.backOff(b.attempts)
	if again && s.cloud.Clock.Now().Add(wait).Sub(b.first) <= b.plan.retry {
		st.counts.Failures[broken.code]++
		s.schedule(b, wait)
		return
	}
	s.finish(b)
	s.reject(st, b.plan, endpointFailed, broken.code, broken.message, b.records, b.attempts)
}
