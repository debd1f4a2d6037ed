package events

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"strconv"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

// Permissions that targets take.
const (
	actionPutEvents = "events:PutEvents"
	actionInvoke    = "events:InvokeApiDestination"
)

// An invocation is an event on its way to a target.
type invocation struct {
	rule    *liveRule
	target  *target
	body    []byte
	first   time.Time // when the event came
	retries int
}

// Why an invocation is given up though another try might help, as dead letters say it.
const (
	exhaustedAttempts = "MaximumRetryAttempts"
	exhaustedAge      = "MaximumEventAgeInSeconds"
)

// Attributes that a target gets beside the body.
const (
	attributeGroup      = "MessageGroupId"
	attributeInvocation = "invocation-type"
	attributePath       = "path." // of an API destination: with the number of the star that it fills
	attributeHeader     = "header."
	attributeQuery      = "query."
)

// invocationRate is the quota of invocations a second, by region. What is beyond it is late, not lost.
func invocationRate(region string) int {
	switch region {
	case "us-east-1":
		return 18_750
	default:
		return 2_250
	}
}

// send tries to deliver. Requires s.mu.
func (s *Service) send(v *invocation) {
	now := s.now()
	when := now
	if s.cloud.Quotas {
		when = s.at(v.rule.bus.at).invocations.next(now, invocationRate(v.rule.bus.at.Region))
	}
	if v.target.action() == actionInvoke {
		if d := s.destination(v.target.arn); d != nil {
			when = d.pace.next(when, d.rate)
		}
	}
	d := v.delivery()
	done := func(_ context.Context, _ []byte, err error) { s.done(v, err) }
	if !when.After(now) {
		s.cloud.DeliverLater(d, done)
		return
	}
	s.cloud.Clock.At(when, func(context.Context) { s.cloud.DeliverLater(d, done) })
}

func (v *invocation) delivery() *cloud.Delivery {
	t := v.target
	d := &cloud.Delivery{
		Source: v.rule.arn, From: principal, Account: v.rule.bus.at.Account, Role: t.RoleArn,
		Action: t.action(), Target: t.Arn, Body: v.body,
	}
	switch {
	case t.SqsParameters != nil && t.SqsParameters.MessageGroupID != "":
		d.Attributes = map[string]string{attributeGroup: t.SqsParameters.MessageGroupID}
	case t.arn.Service == "lambda":
		d.Attributes = map[string]string{attributeInvocation: "Event"}
	case t.HTTPParameters != nil && d.Action == actionInvoke:
		d.Attributes = make(map[string]string)
		for i, value := range t.HTTPParameters.PathParameterValues {
			d.Attributes[attributePath+strconv.Itoa(i)] = value
		}
		for key, value := range t.HTTPParameters.HeaderParameters {
			d.Attributes[attributeHeader+key] = value
		}
		for key, value := range t.HTTPParameters.QueryStringParameters {
			d.Attributes[attributeQuery+key] = value
		}
	}
	return d
}

// done takes what became of a try.
func (s *Service) done(v *invocation, err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	failure := asDeliveryError(err)
	if !failure.Retry {
		s.giveUp(v, failure, "")
		return
	}
	if v.retries >= v.target.attempts() {
		s.giveUp(v, failure, exhaustedAttempts)
		return
	}
	delay := s.backoff(v.retries)
	if told, ok := errors.AsType[*httpError](err); ok {
		delay = max(delay, told.after)
	}
	next, deadline := s.now().Add(delay), v.first.Add(v.target.age())
	if next.After(deadline) {
		s.later(deadline, func() { s.giveUp(v, failure, exhaustedAge) })
		return
	}
	s.later(next, func() {
		v.retries++
		v.rule.metrics.Retries++
		s.send(v)
	})
}

// later does something at a time, under s.mu.
func (s *Service) later(when time.Time, do func()) {
	s.cloud.Clock.At(when, func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		do()
	})
}

// The pauses between tries: they double up to the longest, so that the 185 tries fill the 24 hours, and each is drawn
// from between half of it and all of it and a half. AWS does not say how long its own are.
const (
	firstPause   = time.Second
	longestPause = 8 * time.Minute
)

// backoff is how long to wait after so many retries.
func (s *Service) backoff(retries int) time.Duration {
	pause := longestPause
	if retries < 9 {
		pause = min(longestPause, firstPause<<retries)
	}
	b := s.cloud.Chance("events back-off")
	share := float64(binary.BigEndian.Uint64(b[:])>>11) / (1 << 53)
	return time.Duration(float64(pause) * (0.5 + share))
}

func asDeliveryError(err error) *cloud.DeliveryError {
	if e, ok := errors.AsType[*cloud.DeliveryError](err); ok {
		return e
	}
	return &cloud.DeliveryError{Code: cloud.CodeInternal, Err: err}
}

// giveUp ends an invocation that did not succeed: it goes to the dead-letter queue, or is lost. condition is empty where
// no further try would help. Requires s.mu.
func (s *Service) giveUp(v *invocation, failure *cloud.DeliveryError, condition string) {
	v.rule.metrics.FailedInvocations++
	if v.target.DeadLetterConfig == nil || v.target.DeadLetterConfig.Arn == "" {
		return
	}
	attributes := map[string]string{
		"RULE_ARN": v.rule.arn, "TARGET_ARN": v.target.Arn, "ERROR_CODE": failure.Code, "ERROR_MESSAGE": clip(failure.Err.Error()),
		"RETRY_ATTEMPTS": strconv.Itoa(v.retries),
	}
	if condition != "" {
		attributes["EXHAUSTED_RETRY_CONDITION"] = condition
	}
	s.deadLetter(v, attributes, 0)
}

// maxDeadLetterRetries is how often a dead letter is tried again.
const maxDeadLetterRetries = 5

// deadLetter puts an event on the dead-letter queue, whose policy has to let events.amazonaws.com in. Requires s.mu.
func (s *Service) deadLetter(v *invocation, attributes map[string]string, retries int) {
	d := &cloud.Delivery{
		Source: v.rule.arn, From: principal, Account: v.rule.bus.at.Account, Action: "sqs:SendMessage",
		Target: v.target.DeadLetterConfig.Arn, Body: v.body, Attributes: maps.Clone(attributes),
	}
	s.cloud.DeliverLater(d, func(_ context.Context, _ []byte, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case err == nil:
			v.rule.metrics.DeadLetters++
		case asDeliveryError(err).Retry && retries < maxDeadLetterRetries:
			s.later(s.now().Add(s.backoff(retries)), func() { s.deadLetter(v, attributes, retries+1) })
		default:
			v.rule.metrics.LostDeadLetters++
		}
	})
}
