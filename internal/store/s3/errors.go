package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"example.org/catchment/internal/store"
)

// code is the server's name for the error, or that which the SDK makes from the
// status of an answer without a body; empty when no server answered.
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// status is that of the answer; zero when there was none.
func status(err error) int {
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.Response != nil {
		return answer.HTTPStatusCode()
	}
	return 0
}

func isNotFound(err error) bool { return status(err) == http.StatusNotFound }

func isForbidden(err error) bool { return status(err) == http.StatusForbidden }

// isPrecondition says that If-None-Match refused.
func isPrecondition(err error) bool {
	return status(err) == http.StatusPreconditionFailed || code(err) == "PreconditionFailed"
}

// conflicts says that the key is taken, or being taken by another put, or that
// this one has finished before: a completion whose answer was lost finds no
// upload any more.
func conflicts(err error) bool {
	return isPrecondition(err) || status(err) == http.StatusConflict || code(err) == "NoSuchUpload"
}

// unsupported says that the server does not know a header that we sent.
func unsupported(err error) bool {
	switch status(err) {
	case http.StatusNotImplemented:
		return true
	case http.StatusBadRequest:
		switch code(err) {
		case "InvalidArgument", "InvalidRequest", "NotImplemented", "MissingContentMD5", "InvalidDigest", "BadRequest",
			"UnsupportedArgument", "InvalidHeader", "MissingSecurityHeader":
			return true
		}
	}
	return false
}

type action string

// What is asked of the server, by the permission that it takes.
const (
	actionPut  action = "s3:PutObject"
	actionGet  action = "s3:GetObject"
	actionList action = "s3:ListBucket"
)

// classify sorts what the server and the network say into the kinds that
// callers know. It takes the whole error and keeps its text.
func (s *Store) classify(a action, err error) error {
	_, temporary := errors.AsType[*store.TemporaryError](err)
	switch {
	case temporary, errors.Is(err, store.ErrExists), errors.Is(err, context.Canceled):
		return err
	case code(err) == "KeyTooLongError":
		return &store.KeyError{Key: s.options.Prefix, Reason: err.Error()}
	}
	if hint := s.hint(a, err); hint != "" {
		return &store.RefusedError{Err: err, Hint: hint}
	}
	if isTemporary(err) {
		return &store.TemporaryError{Err: err}
	}
	return err
}

// hint is the next step for a person; empty where there is nothing to be done.
func (s *Store) hint(a action, err error) string {
	b := "bucket " + s.options.Bucket
	c := code(err)
	switch c {
	case "NoSuchBucket", "InvalidBucketName":
		return b + " does not exist in this account and region, or at this endpoint"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity", "NotSignedUp":
		return b + ": the credentials are not valid there"
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return b + ": the credentials have expired"
	case "RequestTimeTooSkewed":
		return b + ": this machine's clock is wrong"
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return b + " is in another region" + region(err)
	case "InvalidObjectState":
		return b + ": the object is archived and must be restored before it can be read"
	}
	if strings.HasPrefix(c, "KMS") || strings.Contains(err.Error(), "kms:") {
		return fmt.Sprintf("%s: the KMS key must exist, be enabled, and allow kms:GenerateDataKey and kms:Decrypt", b)
	}
	switch status(err) {
	case http.StatusMovedPermanently:
		return b + " is in another region" + region(err)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed:
		if a == actionPut {
			return fmt.Sprintf("%s: needs %s, and %s to recognise what it holds", b, actionPut, actionGet)
		}
		return fmt.Sprintf("%s: needs %s", b, a)
	case http.StatusNotFound:
		return b + " does not exist, or the endpoint is not an S3 server"
	}
	if isTLS(err) {
		return b + ": the endpoint's certificate is not trusted here"
	}
	if status(err) == 0 && (strings.Contains(err.Error(), "get credentials") || strings.Contains(err.Error(), "get identity")) {
		return b + ": there are no credentials"
	}
	return ""
}

func region(err error) string {
	answer, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || answer.Response == nil {
		return ""
	}
	if r := answer.Response.Header.Get("X-Amz-Bucket-Region"); r != "" {
		return ": " + r
	}
	return ""
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host)
}

// isTemporary: the server is overloaded, restarting or out of reach, or bytes
// got lost on the way.
func isTemporary(err error) bool {
	switch code(err) {
	case "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestLimitExceeded",
		"TooManyRequestsException", "BandwidthLimitExceeded", "RequestTimeout", "RequestTimeoutException", "OperationAborted",
		"IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InternalError",
		"ServiceUnavailable", "Busy":
		return true
	}
	if n := status(err); n != 0 {
		return n >= 500 && n != http.StatusNotImplemented || n == http.StatusTooManyRequests || n == http.StatusRequestTimeout
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || requestFailed(err)
}

// requestFailed says that the SDK sent the request and got no answer.
func requestFailed(err error) bool {
	_, ok := errors.AsType[*smithyhttp.RequestSendError](err)
	return ok
}
