package push

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	testTopic = "arn:aws:sns:us-east-1:111111111111:findings"
	testHost  = "sns.us-east-1.amazonaws.com"
	certPath  = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
)

// Real messages, signed by SNS in 2022, and the real certificate.
func TestSignaturesOfSNS(t *testing.T) {
	block, _ := pem.Decode(testdata(t, "sns-certificate.pem"))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2022, 7, 28, 22, 0, 0, 0, time.UTC)
	for name, file := range map[string]string{"SHA-1": "sns-notification-v1.json", "SHA-256": "sns-notification-v2.json"} {
		t.Run(name, func(t *testing.T) {
			var m message
			if err := json.Unmarshal(testdata(t, file), &m); err != nil {
				t.Fatal(err)
			}
			topic, err := parseTopic(m.TopicARN)
			if err != nil {
				t.Fatal(err)
			}
			s := newSigners(SNS{MaxAge: time.Hour})
			s.store(m.SigningCertURL, signer{key: cert.PublicKey.(*rsa.PublicKey), until: now.Add(time.Hour)}, now)
			if err := s.verify(t.Context(), topic, &m, now); err != nil {
				t.Errorf("a message of SNS: %v", err)
			}
			if err := s.verify(t.Context(), topic, &m, now.Add(time.Hour)); err == nil {
				t.Error("a message of an hour ago was let in")
			}
			if err := s.verify(t.Context(), topic, &m, now.Add(-time.Hour)); err == nil {
				t.Error("a message of the future was let in")
			}
			for field, change := range map[string]func(*message){
				"Message":          func(m *message) { m.Message += "!" },
				"MessageId":        func(m *message) { m.MessageID = "792cda85" },
				"Subject":          func(m *message) { m.Subject = new(string) },
				"Timestamp":        func(m *message) { m.Timestamp = "2022-07-28T21:23:58.318Z" },
				"TopicArn":         func(m *message) { m.TopicARN = testTopic },
				"Type":             func(m *message) { m.Type = typeSubscribed },
				"SignatureVersion": func(m *message) { m.SignatureVersion = map[string]string{"1": "2", "2": "1"}[m.SignatureVersion] },
				"Signature":        func(m *message) { m.Signature = "" },
			} {
				changed := m
				change(&changed)
				if err := s.verify(t.Context(), topic, &changed, now); err == nil {
					t.Errorf("a message with another %s was let in", field)
				}
			}
		})
	}
	t.Run("the certificate is issued to SNS, and by whom it names", func(t *testing.T) {
		topic, _ := parseTopic("arn:aws:sns:us-east-2:295079676684:x")
		s := newSigners(SNS{Roots: x509.NewCertPool(), Client: &http.Client{Transport: failing{}}})
		err := s.check(t.Context(), topic, cert, x509.NewCertPool(), now)
		if !errors.Is(err, errOffline) {
			t.Errorf("error %v, want one of fetching the issuer", err)
		}
		if got := issuerURL(cert); got != "http://crt.sca1b.amazontrust.com/sca1b.crt" {
			t.Errorf("issuer at %q", got)
		}
	})
}

var errOffline = errors.New("offline")

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errOffline }

func TestSNSNotifications(t *testing.T) {
	classic := string(testdata(t, "sns-message-inspector-classic-run-completed.json"))
	event := string(testdata(t, "event-securityhub-imported.json"))
	subject := "Inspector"
	for name, tt := range map[string]struct {
		change func(*message)
		docs   []string
		broken []string
	}{
		"an EventBridge event":               {func(m *message) { m.Message = event }, []string{strings.TrimSpace(event)}, nil},
		"a notification of Classic":          {func(m *message) { m.Message = classic }, []string{strings.TrimSpace(classic)}, nil},
		"with a subject":                     {func(m *message) { m.Subject = &subject }, []string{"{}"}, nil},
		"signature version 1":                {func(m *message) { m.SignatureVersion = "1" }, []string{"{}"}, nil},
		"several documents":                  {func(m *message) { m.Message = "{}\n[{},{}]" }, []string{"{}", "{}", "{}"}, nil},
		"characters that JSON must escape":   {func(m *message) { m.Message = "{\"a\":\"\\u00e9é\U0001f600<>&\"}\n" }, []string{"{\"a\":\"\\u00e9é\U0001f600<>&\"}"}, nil},
		"no JSON: kept, and counted, broken": {func(m *message) { m.Message = "Hello world" }, nil, []string{"Hello world"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeSNS(t)
			f.serve("https://"+testHost+certPath, asPEM(signerCert(t, f.root, nil)))
			s := newSource(t, Options{Topics: []string{testTopic}, SNS: f.options(), KeysFile: keysFile(t, testKey)})
			m := notification("{}")
			tt.change(m)
			var got seen
			for range 2 {
				w := post(t, s.Handler(got.deliver), PathSNS, snsHeader(m), sign(t, m, signingKey()))
				if w.Code != http.StatusOK {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
			}
			if diff := cmp.Diff(append(tt.docs, tt.docs...), got.docs); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append(tt.broken, tt.broken...), got.broken); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
			if n := len(f.requests()); n != 1 {
				t.Errorf("the certificate was fetched %d times", n)
			}
			if s.held.used.Load() != 0 || s.public.used.Load() != 0 {
				t.Error("bytes are still counted as held")
			}
		})
	}
}

func TestSNSIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*message) // before it is signed
		forge  func(*message) // after
		status int
		reason string
		fetch  bool // the certificate may be asked for
	}{
		"another topic":               {change: func(m *message) { m.TopicARN += "2" }, status: 403, reason: "sns-topic"},
		"no topic":                    {change: func(m *message) { m.TopicARN = "" }, status: 403, reason: "sns-topic"},
		"a changed message":           {forge: func(m *message) { m.Message = "{} " }, status: 403, reason: "sns-signature", fetch: true},
		"no signature":                {forge: func(m *message) { m.Signature = "" }, status: 403, reason: "sns-signature", fetch: true},
		"a signature that is no text": {forge: func(m *message) { m.Signature = "%" }, status: 403, reason: "sns-signature"},
		"signature version 3":         {change: func(m *message) { m.SignatureVersion = "3" }, status: 403, reason: "sns-signature"},
		"a type that is not known":    {change: func(m *message) { m.Type = "Publication" }, status: 403, reason: "sns-malformed"},
		"a message of yesterday":      {change: func(m *message) { m.Timestamp = "2026-01-01T00:00:00.000Z" }, status: 403, reason: "sns-stale"},
		"no time":                     {change: func(m *message) { m.Timestamp = "" }, status: 403, reason: "sns-malformed"},
		"a certificate of someone":    {change: func(m *message) { m.SigningCertURL = "https://example.org" + certPath }, status: 403, reason: "sns-certificate"},
		"http":                        {change: func(m *message) { m.SigningCertURL = "http://" + testHost + certPath }, status: 403, reason: "sns-certificate"},
		"a bucket named sns":          {change: func(m *message) { m.SigningCertURL = "https://sns.s3-us-west-2.amazonaws.com" + certPath }, status: 403, reason: "sns-certificate"},
		"another region's endpoint":   {change: func(m *message) { m.SigningCertURL = "https://sns.eu-west-1.amazonaws.com" + certPath }, status: 403, reason: "sns-certificate"},
		"a longer host":               {change: func(m *message) { m.SigningCertURL = "https://" + testHost + ".example.org" + certPath }, status: 403, reason: "sns-certificate"},
		"a user before another host":  {change: func(m *message) { m.SigningCertURL = "https://" + testHost + "@example.org" + certPath }, status: 403, reason: "sns-certificate"},
		"a port":                      {change: func(m *message) { m.SigningCertURL = "https://" + testHost + ":444" + certPath }, status: 403, reason: "sns-certificate"},
		"a query":                     {change: func(m *message) { m.SigningCertURL = "https://" + testHost + certPath + "?x=.pem" }, status: 403, reason: "sns-certificate"},
		"another file":                {change: func(m *message) { m.SigningCertURL = "https://" + testHost + "/../x.pem" }, status: 403, reason: "sns-certificate"},
		"a newline":                   {change: func(m *message) { m.SigningCertURL += "\n" }, status: 403, reason: "sns-certificate"},
		"a certificate that is not":   {change: func(m *message) { m.SigningCertURL = strings.Replace(m.SigningCertURL, "0123", "9999", 1) }, status: 503, reason: "sns-unreachable", fetch: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeSNS(t)
			f.serve("https://"+testHost+certPath, asPEM(signerCert(t, f.root, nil)))
			var refused []Refused
			s := newSource(t, Options{Topics: []string{testTopic}, SNS: f.options(), Events: Events{
				Refused: func(r Refused) { refused = append(refused, r) },
			}})
			m := notification("{}")
			if tt.change != nil {
				tt.change(m)
			}
			body := sign(t, m, signingKey())
			if tt.forge != nil {
				tt.forge(m)
				body = asJSON(t, m)
			}
			var got seen
			w := post(t, s.Handler(got.deliver), PathSNS, header(), body)
			if w.Code != tt.status || len(refused) != 1 || refused[0].Reason != tt.reason {
				t.Errorf("status %d, refused %+v, want %d and %s", w.Code, refused, tt.status, tt.reason)
			}
			if got.calls != 0 {
				t.Error("something was delivered")
			}
			if asked := f.requests(); len(asked) > 0 && !tt.fetch {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

func TestSNSBodyIsRefused(t *testing.T) {
	var got seen
	s := newSource(t, Options{Topics: []string{testTopic}, MaxBody: 4096})
	topicLine := "X-Amz-Sns-Topic-Arn: " + testTopic
	for name, tt := range map[string]struct {
		header http.Header
		body   string
		status int
	}{
		"another topic in the header, the body is not read": {header("X-Amz-Sns-Topic-Arn: " + testTopic + "2"), strings.Repeat("x", 5000), 403},
		"no JSON":                              {header(topicLine), "hello", 400},
		"an array":                             {header(topicLine), "[]", 400},
		"fields of other types":                {header(topicLine), `{"Type":{"a":1}}`, 400},
		"a field twice":                        {header(topicLine), `{"TopicArn":"x","TopicArn":"` + testTopic + `"}`, 400},
		"another type in the header":           {header("X-Amz-Sns-Message-Type: Notification"), `{"Type":"SubscriptionConfirmation"}`, 400},
		"nothing":                              {header(topicLine), "", 400},
		"too much":                             {header(topicLine), strings.Repeat(" ", 4097), 413},
		"fields in small letters are no SNS's": {header(), `{"topicarn":"` + testTopic + `"}`, 403},
	} {
		t.Run(name, func(t *testing.T) {
			if w := post(t, s.Handler(got.deliver), PathSNS, tt.header, []byte(tt.body)); w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
		})
	}
	if got.calls != 0 {
		t.Error("something was delivered")
	}
}

func TestCertificates(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	const atAmazon = "http://crt.r2m01.amazontrust.com/r2m01.cer"
	for name, tt := range map[string]struct {
		content func(*fakeSNS) []byte
		status  int
		asks    int
	}{
		"of a root":                   {func(f *fakeSNS) []byte { return asPEM(signerCert(f.tb, f.root, nil)) }, 200, 1},
		"with its issuer in the file": {func(f *fakeSNS) []byte { return asPEM(signerCert(f.tb, f.middle, nil), f.middle.cert) }, 200, 1},
		"with the address of its issuer": {func(f *fakeSNS) []byte {
			f.serve(atAmazon, f.middle.cert.Raw)
			return asPEM(signerCert(f.tb, f.middle, func(c *x509.Certificate) { c.IssuingCertificateURL = []string{atAmazon} }))
		}, 200, 2},
		"of a region": {func(f *fakeSNS) []byte {
			return asPEM(signerCert(f.tb, f.root, func(c *x509.Certificate) { c.DNSNames = []string{"sns-signing.us-east-1.amazonaws.com"} }))
		}, 200, 1},
		"with its name as it was done once": {func(f *fakeSNS) []byte {
			return asPEM(signerCert(f.tb, f.root, func(c *x509.Certificate) {
				c.DNSNames, c.Subject = nil, pkix.Name{CommonName: "sns.amazonaws.com"}
			}))
		}, 200, 1},
		"of an authority of one's own": {func(f *fakeSNS) []byte {
			return asPEM(signerCert(f.tb, newAuthority(f.tb, "root", nil), nil))
		}, 403, 1},
		"of nobody": {func(f *fakeSNS) []byte { return asPEM(signerCert(f.tb, nil, nil)) }, 403, 1},
		"with an issuer that no root vouches for": {func(f *fakeSNS) []byte {
			own := newAuthority(f.tb, "own", nil)
			return asPEM(signerCert(f.tb, own, nil), own.cert)
		}, 403, 1},
		"with the address of its issuer elsewhere": {func(f *fakeSNS) []byte {
			f.serve("http://169.254.169.254/x.cer", f.middle.cert.Raw)
			return asPEM(signerCert(f.tb, f.middle, func(c *x509.Certificate) {
				c.IssuingCertificateURL = []string{"http://169.254.169.254/x.cer", "http://crt.r2m01.amazontrust.com.example.org/x.cer"}
			}))
		}, 403, 1},
		"whose issuer does not answer": {func(f *fakeSNS) []byte {
			return asPEM(signerCert(f.tb, f.middle, func(c *x509.Certificate) { c.IssuingCertificateURL = []string{atAmazon} }))
		}, 503, 2},
		"issued to someone else": {func(f *fakeSNS) []byte {
			return asPEM(signerCert(f.tb, f.root, func(c *x509.Certificate) { c.DNSNames = []string{"example.amazonaws.com"} }))
		}, 403, 1},
		"for all of AWS": {func(f *fakeSNS) []byte {
			return asPEM(signerCert(f.tb, f.root, func(c *x509.Certificate) { c.DNSNames = []string{"*.amazonaws.com"} }))
		}, 403, 1},
		"expired": {func(f *fakeSNS) []byte {
			return asPEM(signerCert(f.tb, f.root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))
		}, 403, 1},
		"not valid yet": {func(f *fakeSNS) []byte {
			return asPEM(signerCert(f.tb, f.root, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }))
		}, 403, 1},
		"with a short key": {func(f *fakeSNS) []byte {
			return asPEM(issue(f.tb, f.root, short, func(c *x509.Certificate) { c.DNSNames = []string{"sns.amazonaws.com"} }))
		}, 403, 1},
		"with a key of another kind": {func(f *fakeSNS) []byte {
			return asPEM(issue(f.tb, f.root, f.middle.key, func(c *x509.Certificate) { c.DNSNames = []string{"sns.amazonaws.com"} }))
		}, 403, 1},
		"that is none":   {func(*fakeSNS) []byte { return []byte("<Error/>") }, 403, 1},
		"without an end": {func(*fakeSNS) []byte { return make([]byte, maxCertificate+1) }, 403, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeSNS(t)
			f.serve("https://"+testHost+certPath, tt.content(f))
			s := newSource(t, Options{Topics: []string{testTopic}, SNS: f.options()})
			m := notification("{}")
			body := sign(t, m, signingKey())
			var got seen
			// The second is answered from memory, also where the certificate is not good.
			for range 2 {
				w := post(t, s.Handler(got.deliver), PathSNS, snsHeader(m), body)
				if w.Code != tt.status {
					t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
				}
				if (w.Header().Get("Retry-After") != "") != (tt.status == 503) {
					t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
				}
			}
			if asked := f.requests(); len(asked) != tt.asks {
				t.Errorf("asked for %q, want %d", asked, tt.asks)
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	f := newFakeSNS(t)
	f.serve("https://"+testHost+"/elsewhere", asPEM(signerCert(t, f.root, nil)))
	f.answers["https://"+testHost+certPath] = func(w http.ResponseWriter) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	}
	s := newSource(t, Options{Topics: []string{testTopic}, SNS: f.options()})
	var got seen
	if w := post(t, s.Handler(got.deliver), PathSNS, header(), sign(t, notification("{}"), signingKey())); w.Code != 503 {
		t.Errorf("status %d, want 503", w.Code)
	}
	if n := len(f.requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestSubscriptions(t *testing.T) {
	const another = "arn:aws:sns:us-east-1:222222222222:findings"
	for name, tt := range map[string]struct {
		change func(*message)
		fails  bool
		status int
		told   []Subscription
	}{
		"confirmed":             {func(*message) {}, false, 200, []Subscription{{Topic: testTopic}}},
		"confirmed, escaped":    {func(m *message) { m.SubscribeURL = strings.ReplaceAll(m.SubscribeURL, ":"+"sns", "%3Asns") }, false, 200, []Subscription{{Topic: testTopic}}},
		"ended":                 {func(m *message) { m.Type = typeUnsubscribed }, false, 200, []Subscription{{Topic: testTopic, Ended: true}}},
		"SNS does not answer":   {func(*message) {}, true, 503, nil},
		"another topic":         {func(m *message) { m.TopicARN = another }, false, 403, nil},
		"another topic, within": {func(m *message) { m.SubscribeURL = strings.Replace(m.SubscribeURL, testTopic, another, 1) }, false, 403, nil},
		"two topics":            {func(m *message) { m.SubscribeURL += "&TopicArn=" + another }, false, 403, nil},
		"another token":         {func(m *message) { m.Token += "0" }, false, 403, nil},
		"another action": {func(m *message) {
			m.SubscribeURL = strings.Replace(m.SubscribeURL, "ConfirmSubscription", "DeleteTopic", 1)
		}, false, 403, nil},
		"another host": {func(m *message) {
			m.SubscribeURL = strings.Replace(m.SubscribeURL, testHost, "sns.us-east-1.amazonaws.com.example.org", 1)
		}, false, 403, nil},
		"this machine": {func(m *message) { m.SubscribeURL = strings.Replace(m.SubscribeURL, testHost, "127.0.0.1", 1) }, false, 403, nil},
		"a port":       {func(m *message) { m.SubscribeURL = strings.Replace(m.SubscribeURL, testHost, testHost+":444", 1) }, false, 403, nil},
		"a user":       {func(m *message) { m.SubscribeURL = strings.Replace(m.SubscribeURL, testHost, "x@"+testHost, 1) }, false, 403, nil},
		"http":         {func(m *message) { m.SubscribeURL = strings.Replace(m.SubscribeURL, "https", "http", 1) }, false, 403, nil},
		"no URL":       {func(m *message) { m.SubscribeURL = "%zz" }, false, 403, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeSNS(t)
			f.serve("https://"+testHost+certPath, asPEM(signerCert(t, f.root, nil)))
			m := confirmation()
			tt.change(m)
			if !tt.fails {
				f.serve(m.SubscribeURL, []byte("<ConfirmSubscriptionResponse/>"))
			}
			var told []Subscription
			s := newSource(t, Options{Topics: []string{testTopic}, SNS: f.options(), Events: Events{
				Subscription: func(sub Subscription) { told = append(told, sub) },
			}})
			var got seen
			w := post(t, s.Handler(got.deliver), PathSNS, snsHeader(m), sign(t, m, signingKey()))
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if diff := cmp.Diff(tt.told, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			visited := 0
			for _, address := range f.requests() {
				if strings.Contains(address, "Action") {
					visited++
				}
			}
			if want := len(tt.told); tt.fails && visited != 1 || !tt.fails && m.Type == typeSubscribed && visited != want || m.Type == typeUnsubscribed && visited != 0 {
				t.Errorf("visited %d addresses", visited)
			}
			if got.calls != 0 {
				t.Error("a confirmation was delivered as a document")
			}
		})
	}
}

// A token confirms a subscription: it belongs in no log.
func TestConfirmationErrorsHoldNoToken(t *testing.T) {
	m := confirmation()
	s := newSigners(SNS{Client: &http.Client{Transport: failing{}}})
	err := s.visit(t.Context(), m.SubscribeURL)
	if !errors.Is(err, errOffline) || strings.Contains(err.Error(), m.Token) {
		t.Errorf("error %v", err)
	}
	if _, is := errors.AsType[*url.Error](err); is {
		t.Error("the error holds the URL")
	}
}

func TestRawDelivery(t *testing.T) {
	raw := []string{"X-Amz-Sns-Rawdelivery: true", "X-Amz-Sns-Topic-Arn: " + testTopic}
	for name, tt := range map[string]struct {
		keys   bool
		header []string
		status int
	}{
		"with the password of its URL":    {true, append(raw, basic("sns", testKey)), 200},
		"before it has been asked for it": {true, raw, 401},
		"with a wrong one":                {true, append(raw, basic("sns", "x")), 403},
		"no keys are configured":          {false, raw, 403},
		"another topic":                   {true, []string{raw[0], raw[1] + "2", basic("sns", testKey)}, 403},
		"no topic":                        {true, []string{raw[0], basic("sns", testKey)}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Topics: []string{testTopic}}
			if tt.keys {
				o.KeysFile = keysFile(t, testKey)
			}
			var got seen
			w := post(t, newSource(t, o).Handler(got.deliver), PathSNS, header(tt.header...), []byte(`{"a":1}`))
			if w.Code != tt.status || len(got.docs) != map[int]int{200: 1}[tt.status] {
				t.Errorf("status %d, %d documents, want %d", w.Code, len(got.docs), tt.status)
			}
		})
	}
}
