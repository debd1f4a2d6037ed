package lambda

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

var (
	errBusy   = errors.New("Rate Exceeded.") //nolint:staticcheck // AWS's words
	errClosed = errors.New("the lab is closed")
)

// failed is the outcome of an invocation that Lambda itself ended.
func failed(kind, format string, args ...any) outcome {
	b, err := json.Marshal(map[string]string{"errorMessage": fmt.Sprintf(format, args...), "errorType": kind}, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		b = []byte(`{}`)
	}
	return outcome{payload: b, failure: "Unhandled"}
}

func tooLarge(have, most int) *wire.Error {
	return &wire.Error{
		Code: "RequestTooLargeException", Status: http.StatusRequestEntityTooLarge, Fields: map[string]any{"Type": "User"},
		Message: fmt.Sprintf("%d byte payload is too large for the Invoke API (limit %d bytes)", have, most),
	}
}

// invoke is the operation Invoke.
func (s *Service) invoke(ctx context.Context, c *wire.Call) (any, error) {
	s.mu.Lock()
	f, err := s.lookup(c)
	var policy []byte
	if err == nil {
		policy = f.policyDocument()
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := c.Authorize("lambda:InvokeFunction", f.arn(), f.at.Account, policy); err != nil {
		return nil, err
	}
	payload := c.Body
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if !jsontext.Value(payload).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return nil, &wire.Error{Code: "InvalidRequestContentException", Message: "Could not parse request body into json", Fields: map[string]any{"Type": "User"}}
	}
	switch kind := c.HTTP.Header.Get("X-Amz-Invocation-Type"); kind {
	case "DryRun":
		c.Status = http.StatusNoContent
		return nil, nil
	case "Event":
		if len(payload) > maxAsync {
			return nil, tooLarge(len(payload), maxAsync)
		}
		s.later(f, slices.Clone(payload), 0)
		c.Status = http.StatusAccepted
		return nil, nil
	case "", "RequestResponse":
	default:
		return nil, invalid("InvocationType %q: expected RequestResponse, Event or DryRun", kind)
	}
	if len(payload) > maxPayload {
		return nil, tooLarge(len(payload), maxPayload)
	}
	out, err := s.run(ctx, f, payload)
	if errors.Is(err, errBusy) {
		return nil, &wire.Error{
			Code: "TooManyRequestsException", Status: http.StatusTooManyRequests, Message: errBusy.Error(),
			Fields: map[string]any{"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User"},
		}
	}
	if err != nil {
		return nil, err
	}
	c.Header().Set("X-Amz-Executed-Version", latest)
	if out.failure != "" {
		c.Header().Set("X-Amz-Function-Error", out.failure)
	}
	if c.HTTP.Header.Get("X-Amz-Log-Type") == "Tail" {
		c.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(f.log.tail()))
	}
	if len(out.payload) == 0 {
		return wire.Raw("null"), nil
	}
	if !jsontext.Value(out.payload).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		c.Header().Set("X-Amz-Function-Error", "Unhandled")
		return wire.Raw(failed("Runtime.MarshalError", "the function's answer is no JSON").payload), nil
	}
	return wire.Raw(out.payload), nil
}

// run invokes a function and waits for its answer. Its errors are errBusy, errClosed and those of starting a process;
// what the function itself does wrong is in the outcome.
func (s *Service) run(ctx context.Context, f *function, payload []byte) (outcome, error) {
	if len(payload) > maxPayload {
		return outcome{}, tooLarge(len(payload), maxPayload)
	}
	e, fresh, timeout, err := s.take(f)
	if err != nil {
		return outcome{}, err
	}
	began := time.Now()
	in := &invocation{id: s.cloud.UUID("invocation"), payload: payload, done: make(chan outcome, 1)}
	if e == nil { // the process could not be started
		s.finish(f, nil, true, -1)
		return failed("Runtime.InvalidEntrypoint", "%v", fresh), nil
	}
	started := time.Duration(-1)
	if errors.Is(fresh, errFresh) {
		select {
		case <-e.asked:
			started = time.Since(began)
		case <-e.gone:
		case <-time.After(initTime): // do says what is wrong
		}
	}
	out, healthy := e.do(ctx, in, timeout)
	if !healthy {
		e.stop()
		s.finish(f, nil, true, started)
		return out, nil
	}
	s.finish(f, e, out.failure != "", started)
	return out, nil
}

var errFresh = errors.New("a new process")

// take finds an environment that is idle, or starts one. why is errFresh for a new one; where e is nil, why is what kept
// the process from starting.
func (s *Service) take(f *function) (e *environment, why error, timeout time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, 0, errClosed
	}
	f.state.Invocations++
	timeout = time.Duration(f.settings.Timeout) * time.Second
	for len(f.idle) > 0 {
		e = f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		select {
		case <-e.gone:
			f.environments--
		default:
			return e, nil, timeout, nil
		}
	}
	if f.environments >= maxEnvironments {
		f.state.Throttles++
		return nil, nil, 0, errBusy
	}
	f.environments++
	if e, err = s.start(f, f.code, f.settings, f.generation); err != nil {
		return nil, err, timeout, nil
	}
	return e, errFresh, timeout, nil
}

// finish gives an environment back, or counts one less where e is nil.
func (s *Service) finish(f *function, e *environment, wrong bool, started time.Duration) {
	s.mu.Lock()
	if wrong {
		f.state.Errors++
	}
	if started >= 0 {
		f.state.InitMillis = float64(started.Microseconds()) / 1000
	}
	keep := e != nil && e.generation == f.generation && !s.closed
	if keep {
		f.idle = append(f.idle, e)
	} else {
		f.environments--
	}
	s.mu.Unlock()
	if e != nil && !keep {
		e.stop()
	}
}

// retryAfter is when a failed invocation that nobody waits for is tried again.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
var retryAfter = []time.Duration{time.Minute, 2 * time.Minute}

// later invokes a function as a task, and again when it fails; then the event goes to the dead-letter queue.
func (s *Service) later(f *function, payload []byte, tried int) {
	wait := time.Duration(0)
	if tried > 0 {
		wait = retryAfter[tried-1]
	}
	s.cloud.Clock.After(wait, func(ctx context.Context) {
		out, err := s.run(ctx, f, payload)
		switch {
		case errors.Is(err, errClosed) || err == nil && out.failure == "":
		case errors.Is(err, errBusy):
			s.cloud.Clock.After(time.Second, func(context.Context) { s.later(f, payload, tried) })
		case tried < len(retryAfter):
			s.later(f, payload, tried+1)
		default:
			s.dead(f, payload, out, err)
		}
	})
}

// dead hands an event that could not be handled to the function's dead-letter queue or topic.
func (s *Service) dead(f *function, payload []byte, out outcome, err error) {
	message := string(clip(out.payload, 1024))
	if err != nil {
		message = err.Error()
	}
	s.mu.Lock()
	to, role := "", f.settings.Role
	if f.settings.DeadLetterConfig != nil {
		to = f.settings.DeadLetterConfig.TargetArn
	}
	if to == "" {
		f.state.Dropped++
	} else {
		f.state.DeadLetters++
	}
	s.mu.Unlock()
	arn, wrong := cloud.ParseARN(to)
	if wrong != nil {
		return
	}
	action := "sqs:SendMessage"
	if arn.Service == "sns" {
		action = "sns:Publish"
	}
	s.cloud.DeliverLater(&cloud.Delivery{
		Source: f.arn(), From: principal, Account: f.at.Account, Role: role, Action: action, Target: to, Body: payload,
		Attributes: map[string]string{"RequestID": s.cloud.UUID("request"), "ErrorCode": "200", "ErrorMessage": message},
	}, nil)
}
