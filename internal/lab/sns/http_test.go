package sns_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/source/push"
)

// An endpoint is an HTTP subscription's other end.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request // guarded by mu, like all below
	bodies [][]byte
	answer func(http.ResponseWriter, *http.Request)
}

func newEndpoint(t *testing.T, start func(http.Handler) *httptest.Server) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		e.mu.Lock()
		e.got, e.bodies = append(e.got, r), append(e.bodies, body)
		answer := e.answer
		e.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) set(answer func(http.ResponseWriter, *http.Request)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

// taken gives what came since it was asked the last time.
func (e *endpoint) taken() ([]*http.Request, [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	got, bodies := e.got, e.bodies
	e.got, e.bodies = nil, nil
	return got, bodies
}

// confirmed subscribes an endpoint, and confirms.
func (l *lab) confirmed(topic *string, e *endpoint, address string, attributes ...string) *string {
	l.t.Helper()
	protocol, _, _ := strings.Cut(address, ":")
	sub := l.sub(topic, protocol, address, attributes...)
	labtest.Settle(l.t, l.cloud)
	_, bodies := e.taken()
	var m struct{ Token string }
	if len(bodies) == 0 || json.Unmarshal(bodies[len(bodies)-1], &m) != nil || m.Token == "" {
		l.t.Fatalf("no confirmation was asked for: %q", bodies)
	}
	if _, err := l.ConfirmSubscription(l.t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: topic, Token: &m.Token}); err != nil {
		l.t.Fatal(err)
	}
	return sub
}

// roundTripper is a transport that is a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// toTheLab takes requests for AWS's endpoints to the lab.
func (l *lab) toTheLab(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, ".pem") {
		w := httptest.NewRecorder()
		l.sns.CertificateHandler().ServeHTTP(w, r)
		return w.Result(), nil
	}
	to, err := url.Parse(l.server.URL)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
	return http.DefaultTransport.RoundTrip(r)
}

// The project's own collector is the strictest reader of SNS's messages there is: it takes a message only if its
// certificate, its signature, its topic and its addresses are AWS's. Its clock is the real one.
func TestTheCollectorTakesTheLabsMessages(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		t.Run("signature version "+version, func(t *testing.T) {
			l := newLab(t, func(o *cloud.Options) { o.Start = time.Now() })
			topic := l.topic("findings", "SignatureVersion", version)
			cert, err := l.sns.Certificate()
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(cert)
			var told []push.Subscription
			collector, err := push.New(push.Options{
				Topics: []string{*topic}, SNS: push.SNS{Roots: roots, Client: &http.Client{Transport: roundTripper(l.toTheLab)}},
				Events: push.Events{Subscription: func(s push.Subscription) { told = append(told, s) }, Refused: func(r push.Refused) { t.Errorf("refused: %+v", r) }},
			})
			if err != nil {
				t.Fatal(err)
			}
			var documents []string
			handler := collector.Handler(func(_ context.Context, docs []document.Document) error {
				for _, d := range docs {
					documents = append(documents, string(d.Bytes))
				}
				return nil
			})
			e := newEndpoint(t, httptest.NewServer)
			e.set(handler.ServeHTTP)
			l.sub(topic, "http", e.URL+"/sns")
			labtest.Settle(t, l.cloud)
			if state := l.state(); !state.Subscriptions[0].Confirmed || len(told) != 1 {
				t.Fatalf("the collector confirmed nothing: %+v, told %+v", state, told)
			}
			l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String(`{"a":"<é>"}`)})
			l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String(`{"b":1}`), Subject: aws.String("with a subject")})
			if got := strings.Join(documents, " "); got != `{"a":"<é>"} {"b":1}` {
				t.Errorf("documents %s", got)
			}
			_, bodies := e.taken()
			var m struct{ UnsubscribeURL string }
			if err := json.Unmarshal(bodies[len(bodies)-1], &m); err != nil {
				t.Fatal(err)
			}
			_, query, _ := strings.Cut(m.UnsubscribeURL, "?")
			if status := l.visit(query); status != http.StatusOK {
				t.Errorf("%s: status %d", m.UnsubscribeURL, status)
			}
			labtest.Settle(t, l.cloud)
			if len(told) != 2 || !told[1].Ended || len(l.state().Subscriptions) != 0 {
				t.Errorf("after the end: told %+v, state %+v", told, l.state())
			}
		})
	}
}

func TestWhatIsPosted(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	e := newEndpoint(t, httptest.NewServer)
	sub := l.sub(topic, "http", e.URL+"/x?y=z")
	labtest.Settle(t, l.cloud)
	got, bodies := e.taken()
	if len(got) != 1 || got[0].Header.Get("X-Amz-Sns-Message-Type") != "SubscriptionConfirmation" || got[0].RequestURI != "/x?y=z" ||
		got[0].Header.Get("Content-Type") != "text/plain; charset=UTF-8" || got[0].Header.Get("X-Amz-Sns-Topic-Arn") != *topic {
		t.Fatalf("asked with %+v", got)
	}
	var m struct{ Type, Token, SubscribeURL string }
	if err := json.Unmarshal(bodies[0], &m); err != nil || m.Type != "SubscriptionConfirmation" ||
		m.SubscribeURL != "https://sns.ap-northeast-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn="+*topic+"&Token="+m.Token {
		t.Fatalf("asked with %s, error %v", bodies[0], err)
	}
	confirm := func(token string) error {
		_, err := l.ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: topic, Token: &token, AuthenticateOnUnsubscribe: aws.String("true")})
		return err
	}
	if err := confirm("x"); code(err) != "InvalidParameter" {
		t.Errorf("a token that is none: error %v", err)
	}
	if err := confirm(m.Token); err != nil {
		t.Fatal(err)
	}
	if status := l.visit("Action=Unsubscribe&SubscriptionArn=" + *sub); status != http.StatusForbidden {
		t.Errorf("unsubscribing by link, though authentication was asked for: status %d", status)
	}
	out := l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
	got, _ = e.taken()
	if len(got) != 1 || got[0].Header.Get("X-Amz-Sns-Message-Id") != *out.MessageId || got[0].Header.Get("X-Amz-Sns-Subscription-Arn") != *sub ||
		got[0].Header.Get("X-Amz-Sns-Message-Type") != "Notification" || got[0].Header.Get("User-Agent") != "Amazon Simple Notification Service Agent" {
		t.Errorf("posted with %+v", got)
	}
	if _, err := l.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: sub, AttributeName: aws.String("RawMessageDelivery"), AttributeValue: aws.String("true")}); err != nil {
		t.Fatal(err)
	}
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
	got, bodies = e.taken()
	if len(got) != 1 || string(bodies[0]) != "hello" || got[0].Header.Get("X-Amz-Sns-Rawdelivery") != "true" {
		t.Errorf("posted raw %q with %+v", bodies, got)
	}
}

func TestAnEndpointMayAskForThePassword(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	e := newEndpoint(t, httptest.NewTLSServer)
	roots := x509.NewCertPool()
	roots.AddCert(e.Certificate())
	l.sns.SetRoots(roots)
	e.set(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "sécret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	l.confirmed(topic, e, strings.Replace(e.URL, "https://", "https://me:s%C3%A9cret@", 1))
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
	got, _ := e.taken()
	if state := l.state(); len(got) != 2 || got[0].Header.Get("Authorization") != "" || state.Delivered != 1 {
		t.Errorf("%d requests, state %+v; want one without the password and one with it", len(got), state)
	}
}

func TestTriesAndDeadLetters(t *testing.T) {
	const twice = `{"healthyRetryPolicy":{"minDelayTarget":10,"maxDelayTarget":20,"numRetries":2,"numNoDelayRetries":1}}`
	for name, tt := range map[string]struct {
		status   int
		policy   string
		advance  time.Duration
		posts    int
		letters  int
		lasting  bool // it is still tried
		recovers bool // after one try
	}{
		"it goes well":                         {200, "", 0, 1, 0, false, false},
		"4xx is final":                         {404, "", 24 * time.Hour, 1, 1, false, false},
		"three tries at once":                  {500, "", 0, 4, 0, true, false},
		"two more after 10 s each":             {503, "", 20 * time.Second, 6, 0, true, false},
		"50 tries in all":                      {500, "", 24 * time.Hour, 51, 1, false, false},
		"429 is tried again":                   {429, twice, time.Hour, 3, 1, false, false},
		"a redirect is not followed":           {302, twice, time.Hour, 3, 1, false, false},
		"as the subscription's policy says":    {500, twice, 14 * time.Second, 2, 0, true, false},
		"that backs off halfway, and then all": {500, twice, 15 * time.Second, 3, 1, false, false},
		"it goes well the second time":         {500, "", time.Hour, 2, 0, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			topic := l.topic("a")
			e := newEndpoint(t, httptest.NewServer)
			dead := l.queue("dead")
			attributes := []string{"RedrivePolicy", `{"deadLetterTargetArn":"` + queueARN("dead") + `"}`}
			if tt.policy != "" {
				attributes = append(attributes, "DeliveryPolicy", tt.policy)
			}
			l.confirmed(topic, e, e.URL, attributes...)
			first := true
			e.set(func(w http.ResponseWriter, _ *http.Request) {
				if !tt.recovers || first {
					w.WriteHeader(tt.status)
				}
				first = false
			})
			l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
			labtest.Advance(t, l.cloud, tt.advance)
			got, _ := e.taken()
			if letters := l.receive(dead); len(got) != tt.posts || len(letters) != tt.letters || tt.letters > 0 && !strings.Contains(*letters[0].Body, `"Message": "x"`) {
				t.Errorf("%d posts, dead letters %+v; want %d and %d", len(got), letters, tt.posts, tt.letters)
			}
			state := l.state()
			delivered := uint64(1)
			if tt.lasting || tt.letters > 0 {
				delivered = 0
			}
			if state.Failed != uint64(tt.letters) || state.Delivered != delivered {
				t.Errorf("state %+v", state)
			}
		})
	}
}

func TestTheTopicsPolicySaysHowOftenItIsTried(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a", "DeliveryPolicy", `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":1,"numMaxDelayRetries":1}}}`)
	e := newEndpoint(t, httptest.NewServer)
	l.confirmed(topic, e, e.URL)
	e.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
	labtest.Advance(t, l.cloud, time.Hour)
	if got, _ := e.taken(); len(got) != 2 {
		t.Errorf("%d posts", len(got))
	}
}

func TestOnlyThisMachineIsReached(t *testing.T) {
	for _, address := range []string{"http://192.0.2.1/", "http://example.com/", "https://[2001:db8::1]/", "http://0.0.0.0:1/"} {
		l := newLab(t)
		topic := l.topic("a")
		l.sub(topic, strings.Split(address, ":")[0], address)
		labtest.Settle(t, l.cloud)
		if sub := l.state().Subscriptions[0]; sub.Confirmed || sub.LastError != "the lab only posts to this machine's loopback addresses" {
			t.Errorf("%s: %+v", address, sub)
		}
		if n, _ := l.cloud.Clock.Pending(); n != 1 { // that ends it after two days
			t.Errorf("%s is tried again", address)
		}
	}
}

func TestFaultsOfAnEndpoint(t *testing.T) {
	for name, tt := range map[string]struct {
		fault   cloud.Fault
		at      time.Duration
		posts   int
		failed  uint64
		letters string
	}{
		"it arrives twice":        {cloud.Fault{Kind: cloud.FaultDuplicate}, 0, 2, 0, ""},
		"it is lost":              {cloud.Fault{Kind: cloud.FaultDrop}, 0, 0, 0, ""},
		"it is late":              {cloud.Fault{Kind: cloud.FaultDelay, Delay: time.Minute}, time.Minute, 1, 0, ""},
		"half of it arrives":      {cloud.Fault{Kind: cloud.FaultCorrupt}, 0, 1, 0, ""},
		"it is refused":           {cloud.Fault{Kind: cloud.FaultDeny}, 0, 0, 1, ""},
		"it comes after one try":  {cloud.Fault{Kind: cloud.FaultDown, Times: 1}, 0, 1, 0, ""},
		"it is throttled forever": {cloud.Fault{Kind: cloud.FaultThrottle}, 24 * time.Hour, 0, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			topic := l.topic("a")
			e := newEndpoint(t, httptest.NewServer)
			l.confirmed(topic, e, e.URL)
			tt.fault.Service, tt.fault.From = "http", "sns.amazonaws.com"
			if _, err := l.cloud.Faults.Add(tt.fault); err != nil {
				t.Fatal(err)
			}
			l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
			labtest.Advance(t, l.cloud, tt.at)
			if got, _ := e.taken(); len(got) != tt.posts || l.state().Failed != tt.failed {
				t.Errorf("%d posts, state %+v", len(got), l.state())
			}
		})
	}
}

func TestAQueueThatIsNotThereIsGivenUpAtOnce(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	dead := l.queue("dead")
	l.sub(topic, "sqs", queueARN("none"), "RedrivePolicy", `{"deadLetterTargetArn":"`+queueARN("dead")+`"}`, "RawMessageDelivery", "true")
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
	if got := l.receive(dead); len(got) != 1 || *got[0].Body != "x" {
		t.Errorf("dead letters %+v", got)
	}
	if state := l.state(); state.Failed != 1 || !strings.Contains(state.Subscriptions[0].LastError, "NO_RESOURCE") {
		t.Errorf("state %+v", state)
	}
}

func TestAQueueThatDoesNotAnswerIsTriedAgain(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	queue := l.queue("q")
	l.sub(topic, "sqs", queueARN("q"))
	if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDown, Service: "sqs", From: "sns.amazonaws.com", Times: 4}); err != nil {
		t.Fatal(err)
	}
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
	if got := l.receive(queue); len(got) != 0 {
		t.Errorf("received %+v", got)
	}
	labtest.Advance(t, l.cloud, time.Second)
	if got := l.receive(queue); len(got) != 1 {
		t.Errorf("received %+v after a second", got)
	}
}

func TestACertificateIsAtItsPathOnly(t *testing.T) {
	l := newLab(t)
	cert, err := l.sns.Certificate()
	if err != nil || cert.Subject.CommonName != "sns.amazonaws.com" {
		t.Fatalf("certificate %+v, error %v", cert, err)
	}
	w := httptest.NewRecorder()
	l.sns.CertificateHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/SimpleNotificationService-0.pem", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("another path: status %d", w.Code)
	}
	l.sns.SetAddress(func(p cloud.Place) string { return "http://127.0.0.1:1/" + p.Region })
	topic, queue := l.topic("a"), l.queue("q")
	l.sub(topic, "sqs", queueARN("q"))
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
	if got := l.receive(queue); len(got) != 1 || !strings.Contains(*got[0].Body, `"SigningCertURL": "http://127.0.0.1:1/ap-northeast-1/SimpleNotificationService-`) {
		t.Errorf("received %+v", got)
	}
}
