package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
)

// maxSNSBody bounds a body that anyone may send, in bytes: SNS's messages have at most 256 KiB before JSON escapes them.
const maxSNSBody = 4 << 20

// Types of SNS's messages.
const (
	typeNotification = "Notification"
	typeSubscribed   = "SubscriptionConfirmation"
	typeUnsubscribed = "UnsubscribeConfirmation"
)

// A message is what SNS POSTs.
type message struct {
	Type             string  `json:"Type"`
	MessageID        string  `json:"MessageId"`
	TopicARN         string  `json:"TopicArn"`
	Subject          *string `json:"Subject"` // nil: absent or null
	Message          string  `json:"Message"`
	Timestamp        string  `json:"Timestamp"`
	SignatureVersion string  `json:"SignatureVersion"`
	Signature        string  `json:"Signature"`
	SigningCertURL   string  `json:"SigningCertURL"`
	SubscribeURL     string  `json:"SubscribeURL"`
	Token            string  `json:"Token"`
}

// sns takes what SNS sends to an HTTP subscription. A message is let in by its topic and its signature; an API key is
// needed only for raw delivery, which has no signature.
//
// SNS takes 4xx, but for 429, as a final no and 5xx as a reason to try again. So what is wrong with the message is 4xx,
// and what keeps this side from telling is 503.
func (x *exchange) sns() {
	h := x.r.Header
	if h.Get("X-Amz-Sns-Rawdelivery") == "true" {
		x.snsRaw()
		return
	}
	// Nothing is proven by a header, but what it rules out need not be read.
	if arn := h.Get("X-Amz-Sns-Topic-Arn"); arn != "" && !x.knownTopic(arn) {
		return
	}
	buf, err := x.readBody(limits{
		max: min(x.s.o.MaxBody, maxSNSBody), tooLarge: http.StatusRequestEntityTooLarge,
		budgets: []*budget{x.s.public, x.s.held},
	})
	defer x.s.freeBuffer(buf)
	if err != nil {
		x.refuseFor(err)
		return
	}
	var m message
	if err := json.Unmarshal(buf.b, &m); err != nil {
		// The error may quote the message, so it goes nowhere.
		x.refuse(http.StatusBadRequest, Refused{Reason: "sns-malformed"}, "expected a message of SNS as JSON")
		return
	}
	if header := h.Get("X-Amz-Sns-Message-Type"); header != "" && header != m.Type {
		x.refuse(http.StatusBadRequest, Refused{Reason: "sns-malformed"}, "the message's Type is not the one of its header")
		return
	}
	if !x.knownTopic(m.TopicARN) {
		return
	}
	t := x.s.topics[m.TopicARN]
	if err := x.s.signer.verify(x.r.Context(), t, &m, time.Now()); err != nil {
		x.refuseFor(err)
		return
	}
	switch m.Type {
	case typeNotification:
		x.handOver([]byte(m.Message))
	case typeSubscribed:
		x.confirm(t, &m)
	case typeUnsubscribed:
		x.subscription(Subscription{Topic: t.arn, Ended: true})
		x.answer(http.StatusOK, []byte("{}\n"))
	}
}

// snsRaw takes a raw message: its text, without SNS's envelope and signature.
func (x *exchange) snsRaw() {
	if x.s.keys == nil {
		x.refuse(http.StatusForbidden, Refused{Reason: "sns-raw"},
			"raw message delivery has no signature and needs an API key, and no keys are configured; turn it off, or configure keys")
		return
	}
	if !x.authorized() || !x.knownTopic(x.r.Header.Get("X-Amz-Sns-Topic-Arn")) {
		return
	}
	buf, err := x.readBody(limits{
		max: min(x.s.o.MaxBody, maxSNSBody), tooLarge: http.StatusRequestEntityTooLarge, budgets: []*budget{x.s.held},
	})
	defer x.s.freeBuffer(buf)
	if err != nil {
		x.refuseFor(err)
		return
	}
	x.handOver(buf.b)
}

// knownTopic answers the request where it does not come from a topic that is let in.
func (x *exchange) knownTopic(arn string) bool {
	if _, known := x.s.topics[arn]; known {
		return true
	}
	x.refuse(http.StatusForbidden, Refused{Reason: "sns-topic"}, "messages of this topic are not let in; its ARN is not in the configured topics")
	return false
}

func (x *exchange) subscription(sub Subscription) {
	if tell := x.s.o.Events.Subscription; tell != nil {
		tell(sub)
	}
}

// confirm tells SNS that the subscription is wanted. The message has been verified.
func (x *exchange) confirm(t topic, m *message) {
	if err := t.checkSubscribeURL(m); err != nil {
		x.refuse(http.StatusForbidden, Refused{Reason: "sns-subscribe-url", Err: err}, "expected a SubscribeURL of this topic's SNS endpoint")
		return
	}
	if err := x.s.signer.visit(x.r.Context(), m.SubscribeURL); err != nil {
		x.refuseFor(&refusal{
			status: http.StatusServiceUnavailable, reason: "sns-confirm", cause: err,
			expected: "the subscription could not be confirmed; try again",
		})
		return
	}
	x.subscription(Subscription{Topic: t.arn})
	x.answer(http.StatusOK, []byte("{}\n"))
}

// checkSubscribeURL accepts only the confirmation of this topic's subscription, at this topic's endpoint.
func (t topic) checkSubscribeURL(m *message) error {
	u, err := url.Parse(m.SubscribeURL)
	if err != nil {
		return errors.New("SubscribeURL is no URL")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("SubscribeURL has no valid query")
	}
	switch {
	case u.Scheme+"://"+u.Host != t.origin || u.User != nil || (u.Path != "" && u.Path != "/") || u.Fragment != "":
		return fmt.Errorf("SubscribeURL is not at %s/", t.origin)
	case len(q["Action"]) != 1 || q.Get("Action") != "ConfirmSubscription":
		return errors.New("SubscribeURL is not a ConfirmSubscription")
	case len(q["TopicArn"]) != 1 || q.Get("TopicArn") != t.arn:
		return errors.New("SubscribeURL is for another topic")
	case len(q["Token"]) != 1 || q.Get("Token") != m.Token:
		return errors.New("SubscribeURL has another token")
	}
	return nil
}

// visit GETs a URL that has been checked, and expects 200.
func (s *signers) visit(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	resp, err := s.get(ctx, address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxCertificate))
	return err
}
