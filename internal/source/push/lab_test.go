package push_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	labsns "example.org/catchment/internal/lab/sns"
	"example.org/catchment/internal/lab/wire"
	"example.org/catchment/internal/source/push"
)

// A labSNS is a lab's SNS at a loopback address, with its certificate, and an intake that is subscribed to a topic. What
// it is sent is kept.
type labSNS struct {
	url    string
	topic  string
	client *sns.Client
	settle func()
	intake func(*http.Request) *httptest.ResponseRecorder

	mu       sync.Mutex
	docs     []string       // guarded by mu, like all below
	refused  []push.Refused //
	sent     [][]byte
	statuses []int
}

// newLabSNS makes it. configured gives the endpoint that the intake is to know, of the lab's address.
func newLabSNS(t *testing.T, configured func(url string) string, options ...func(*cloud.Options)) *labSNS {
	t.Helper()
	c := labtest.NewCloud(t, options...) // its clock shows some other day, unless they say which
	service := labsns.New(c)
	calls, certificate := wire.NewServer(c, service.Wire()), service.CertificateHandler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".pem") {
			certificate.ServeHTTP(w, r)
			return
		}
		calls.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.SetURL(server.URL)
	l := &labSNS{
		url: server.URL, client: sns.NewFromConfig(labtest.Serve(t, c, service.Wire()).Config(labtest.Administrator, labtest.Region)),
		settle: func() { labtest.Settle(t, c) },
	}
	made, err := l.client.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("findings")})
	if err != nil {
		t.Fatal(err)
	}
	l.topic = *made.TopicArn
	source, err := push.New(push.Options{
		Topics: []string{l.topic}, SNS: push.SNS{Endpoint: configured(server.URL)},
		Events: push.Events{Refused: func(r push.Refused) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.refused = append(l.refused, r)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := source.Handler(func(_ context.Context, docs []document.Document) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, d := range docs {
			l.docs = append(l.docs, string(d.Bytes))
		}
		return nil
	})
	l.intake = func(r *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		r.Body = http.NoBody
		again := r.Clone(r.Context())
		again.Body = nopCloser{bytes.NewReader(body.Bytes())}
		answer := l.intake(again)
		l.mu.Lock()
		l.sent, l.statuses = append(l.sent, body.Bytes()), append(l.statuses, answer.Code)
		l.mu.Unlock()
		w.WriteHeader(answer.Code)
	}))
	t.Cleanup(front.Close)
	if _, err := l.client.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: aws.String(front.URL + push.PathSNS),
	}); err != nil {
		t.Fatal(err)
	}
	l.settle()
	return l
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

func TestAConfiguredLabIsBelieved(t *testing.T) {
	l := newLabSNS(t, func(url string) string { return url })
	if _, err := l.client.Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String(l.topic), Message: aws.String(`{"id":"1"}`)}); err != nil {
		t.Fatal(err)
	}
	l.settle()
	if !slices.Equal(l.statuses, []int{200, 200}) || !slices.Equal(l.docs, []string{`{"id":"1"}`}) {
		t.Fatalf("answered %v, delivered %q, refused %+v", l.statuses, l.docs, l.refused)
	}
	// Signatures and addresses are checked as ever.
	for name, tt := range map[string]struct {
		of     int // 0 is the confirmation, 1 the notification
		change func(m map[string]any)
		reason string
	}{
		"another message":           {1, func(m map[string]any) { m["Message"] = `{"id":"2"}` }, "sns-signature"},
		"another topic":             {1, func(m map[string]any) { m["TopicArn"] = l.topic + "2" }, "sns-topic"},
		"a certificate of AWS":      {1, func(m map[string]any) { m["SigningCertURL"] = awsCertificate }, "sns-certificate"},
		"a certificate at a port":   {1, func(m map[string]any) { m["SigningCertURL"] = "http://127.0.0.1:1" + certificatePath }, "sns-certificate"},
		"another way to confirm":    {0, func(m map[string]any) { m["SubscribeURL"] = "http://127.0.0.1:1/?Action=ConfirmSubscription" }, "sns-signature"},
		"no certificate at its end": {1, func(m map[string]any) { m["SigningCertURL"] = l.url + certificatePath }, "sns-unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			var m map[string]any
			if err := json.Unmarshal(l.sent[tt.of], &m); err != nil {
				t.Fatal(err)
			}
			tt.change(m)
			body, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			l.refused = nil
			l.intake(httptest.NewRequestWithContext(t.Context(), http.MethodPost, push.PathSNS, bytes.NewReader(body)))
			if len(l.refused) != 1 || l.refused[0].Reason != tt.reason {
				t.Errorf("refused %+v, want %s", l.refused, tt.reason)
			}
		})
	}
	if len(l.docs) != 1 {
		t.Errorf("delivered %q", l.docs)
	}
}

const (
	certificatePath = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
	awsCertificate  = "https://sns." + labtest.Region + ".amazonaws.com" + certificatePath
)

// Whoever has not said so is not talked into believing a lab, or another lab than the one that was named.
func TestALabIsNotBelievedByItself(t *testing.T) {
	for name, configured := range map[string]string{"nothing is configured": "", "another lab is configured": "http://127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			l := newLabSNS(t, func(string) string { return configured }, func(o *cloud.Options) { o.Start = time.Now() })
			if !slices.Equal(l.statuses, []int{403}) || len(l.refused) != 1 || l.refused[0].Reason != "sns-certificate" {
				t.Errorf("answered %v, refused %+v", l.statuses, l.refused)
			}
		})
	}
}

func TestALabHasToBeOnThisMachine(t *testing.T) {
	for name, endpoint := range map[string]string{
		"another machine":         "http://192.0.2.1:4599",
		"any address":             "http://0.0.0.0:4599",
		"a name":                  "http://localhost:4599",
		"a name that looks alike": "http://127.0.0.1.example.org:4599",
		"no port":                 "http://127.0.0.1",
		"TLS":                     "https://127.0.0.1:4599",
		"a path":                  "http://127.0.0.1:4599/",
		"a user":                  "http://user@127.0.0.1:4599",
		"a query":                 "http://127.0.0.1:4599?x",
		"a fragment":              "http://127.0.0.1:4599#x",
		"a zone":                  "http://[::1%25lo]:4599",
		"no URL":                  "127.0.0.1:4599",
	} {
		if _, err := push.New(push.Options{SNS: push.SNS{Endpoint: endpoint}}); err == nil {
			t.Errorf("%s: %s is accepted", name, endpoint)
		}
	}
	for _, endpoint := range []string{"http://127.0.0.1:4599", "http://[::1]:4599", "http://127.1.2.3:1"} {
		if _, err := push.New(push.Options{SNS: push.SNS{Endpoint: endpoint}}); err != nil {
			t.Error(err)
		}
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := push.New(push.Options{Listener: l, Insecure: true, SNS: push.SNS{Endpoint: "http://127.0.0.1:4599"}}); err == nil {
		t.Error("a listener that others reach is accepted")
	}
}
