package sns

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
)

// A delivery is a message on its way to one subscription.
type delivery struct {
	sub        *subscription
	kind       string // type of message
	id         string
	envelope   *envelope // may be shared by deliveries of the same message; it is signed by the first one's task
	attributes map[string]attribute
	group      string
	dedup      string
	tries      int // that went wrong
}

// send makes a delivery a task. It may be called under mu.
func (s *Service) send(d *delivery) {
	s.cloud.Clock.Go(func(ctx context.Context) { s.try(ctx, d) })
}

// A parcel is what is handed over: a body with attributes beside it.
type parcel struct {
	body       []byte
	attributes map[string]string
	raw        bool
}

// try tries to deliver. It runs as a task.
func (s *Service) try(ctx context.Context, d *delivery) {
	s.mu.Lock()
	sub := d.sub
	wanted := !sub.gone || d.kind == typeUnsubscribe
	raw := sub.attributes[nameRaw] == "true" && d.kind == typeNotification
	address := s.addressAt(sub.topic.place)
	s.mu.Unlock()
	if !wanted {
		return
	}
	p, err := s.pack(d, raw, address)
	if err != nil {
		s.settle(d, p, err, false)
		return
	}
	if sub.isHTTP() {
		s.tryHTTP(ctx, d, p)
		return
	}
	out := s.hop(d, sub.endpoint, p)
	if sub.protocol == protocolLambda {
		out.Action, out.Attributes = "lambda:InvokeFunction", map[string]string{"invocation-type": "Event"}
	}
	s.cloud.DeliverLater(out, func(_ context.Context, _ []byte, err error) {
		e, _ := errors.AsType[*cloud.DeliveryError](err)
		s.settle(d, p, err, e != nil && e.Retry)
	})
}

// hop is a delivery to a queue.
func (s *Service) hop(d *delivery, target string, p parcel) *cloud.Delivery {
	attributes := maps.Clone(p.attributes)
	if attributes == nil {
		attributes = make(map[string]string)
	}
	if d.group != "" {
		attributes["MessageGroupId"] = d.group
	}
	if d.dedup != "" && strings.HasSuffix(target, ".fifo") {
		attributes["MessageDeduplicationId"] = d.dedup
	}
	return &cloud.Delivery{
		Source: d.sub.topic.arn, From: principal, Account: d.sub.topic.place.Account, Action: "sqs:SendMessage", Target: target, Body: p.body,
		Attributes: attributes,
	}
}

// pack makes what is handed over to the subscription.
func (s *Service) pack(d *delivery, raw bool, address string) (parcel, error) {
	if raw {
		return parcel{[]byte(d.envelope.Message), rawAttributes(d.attributes), true}, nil
	}
	if d.envelope.Signature == "" {
		if err := s.signer.sign(d.envelope); err != nil {
			return parcel{}, err
		}
	}
	e := *d.envelope
	if d.kind == typeNotification {
		e.UnsubscribeURL = address + "/?Action=Unsubscribe&SubscriptionArn=" + d.sub.arn
	}
	if d.sub.protocol == protocolLambda {
		body, err := lambdaEvent(&e, d.sub.arn)
		return parcel{body: body}, err
	}
	body, err := e.body()
	return parcel{body: body}, err
}

// rawAttributes are attributes beside a raw message. SQS in the lab reads a type that is not String out of the name.
func rawAttributes(attributes map[string]attribute) map[string]string {
	out := make(map[string]string)
	for name, a := range attributes {
		switch {
		case a.DataType == kindString:
			out[name] = a.StringValue
		case a.kind() == kindBinary:
			out[name+":"+a.DataType] = base64.StdEncoding.EncodeToString(a.BinaryValue)
		default:
			out[name+":"+a.DataType] = a.StringValue
		}
	}
	return out
}

func sentAttributes(attributes map[string]attribute) map[string]sentAttribute {
	out := make(map[string]sentAttribute)
	for name, a := range attributes {
		value := a.StringValue
		if a.kind() == kindBinary {
			value = base64.StdEncoding.EncodeToString(a.BinaryValue)
		}
		out[name] = sentAttribute{a.DataType, value}
	}
	return out
}

// lambdaEvent is a message as functions get it; two of its names differ from those of an envelope.
// https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
func lambdaEvent(e *envelope, subscription string) ([]byte, error) {
	type record struct {
		Type             string                   `json:"Type"`
		MessageID        string                   `json:"MessageId"`
		TopicARN         string                   `json:"TopicArn"`
		Subject          *string                  `json:"Subject"`
		Message          string                   `json:"Message"`
		Timestamp        string                   `json:"Timestamp"`
		SignatureVersion string                   `json:"SignatureVersion"`
		Signature        string                   `json:"Signature"`
		SigningCertURL   string                   `json:"SigningCertUrl"`
		UnsubscribeURL   string                   `json:"UnsubscribeUrl"`
		Attributes       map[string]sentAttribute `json:"MessageAttributes"`
	}
	type entry struct {
		Source       string `json:"EventSource"`
		Version      string `json:"EventVersion"`
		Subscription string `json:"EventSubscriptionArn"`
		SNS          record `json:"Sns"`
	}
	r := record{
		e.Type, e.MessageID, e.TopicARN, nil, e.Message, e.Timestamp, e.SignatureVersion, e.Signature, e.SigningCertURL, e.UnsubscribeURL, e.Attributes,
	}
	if e.Subject != "" {
		r.Subject = &e.Subject
	}
	event := map[string][]entry{"Records": {{"aws:sns", "1.0", subscription, r}}}
	b, err := json.Marshal(event, json.Deterministic(true), json.FormatNilMapAsNull(false))
	if err != nil {
		return nil, fmt.Errorf("encode a message of %s: %w", e.TopicARN, err)
	}
	return b, nil
}

// plan is when the subscription's deliveries are tried again. Requires mu.
func (sub *subscription) plan() schedule {
	text := sub.topic.attributes[nameDelivery]
	if text == "" || sub.attributes[nameDelivery] != "" || !sub.isHTTP() {
		return sub.schedule
	}
	of, err := readDeliveryPolicy(text, true)
	if err != nil {
		return sub.schedule // it was read when it was set
	}
	return of
}

// settle counts what came of a try: it went well, is tried again later, or is given up and goes to the subscription's
// dead-letter queue, where it has one.
func (s *Service) settle(d *delivery, p parcel, err error, retry bool) {
	s.mu.Lock()
	sub := d.sub
	if err == nil {
		if d.kind == typeNotification {
			sub.delivered++
			sub.topic.delivered++
		}
		s.mu.Unlock()
		return
	}
	text := err.Error()
	sub.lastError = text[:min(len(text), maxError)]
	delay, more := sub.plan().delay(d.tries)
	d.tries++
	if retry && more {
		s.mu.Unlock()
		s.cloud.Clock.After(delay, func(ctx context.Context) { s.try(ctx, d) })
		return
	}
	if d.kind == typeNotification {
		sub.failed++
		sub.topic.failed++
	}
	target := sub.deadLetter
	s.mu.Unlock()
	if target == "" || d.kind != typeNotification {
		return
	}
	out := s.hop(d, target, p)
	s.cloud.DeliverLater(out, func(_ context.Context, _ []byte, err error) {
		if err == nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		text := "dead letter: " + err.Error()
		sub.lastError = text[:min(len(text), maxError)]
	})
}

// maxError is how much of an error is kept, in bytes.
const maxError = 500
