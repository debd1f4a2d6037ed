package push

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var serial atomic.Int64

func issue(tb testing.TB, by *authority, key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		BasicConstraintsValid: true,
	}
	change(template)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

func newAuthority(tb testing.TB, name string, by *authority) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	cert := issue(tb, by, key, func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage = pkix.Name{CommonName: name}, true, x509.KeyUsageCertSign
	})
	return &authority{cert, key}
}

// One RSA key for all tests: making one takes long.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func signerCert(tb testing.TB, by *authority, change func(*x509.Certificate)) *x509.Certificate {
	tb.Helper()
	return issue(tb, by, signingKey(), func(c *x509.Certificate) {
		c.DNSNames = []string{"sns.amazonaws.com"}
		if change != nil {
			change(c)
		}
	})
}

// fakeSNS is SNS's endpoint, at every host there is, with TLS and without.
type fakeSNS struct {
	tb           testing.TB
	root, middle *authority
	client       *http.Client

	mu      sync.Mutex
	answers map[string]func(http.ResponseWriter) // by URL; guarded by mu
	asked   []string                             // guarded by mu
}

func newFakeSNS(tb testing.TB) *fakeSNS {
	tb.Helper()
	f := &fakeSNS{tb: tb, answers: make(map[string]func(http.ResponseWriter))}
	f.root = newAuthority(tb, "root", nil)
	f.middle = newAuthority(tb, "middle", f.root)
	tlsKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tlsCert := issue(tb, f.root, tlsKey, func(c *x509.Certificate) { c.DNSNames = []string{testHost} })
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		f.mu.Lock()
		address := scheme + r.Host + r.URL.RequestURI()
		f.asked = append(f.asked, address)
		answer := f.answers[address]
		f.mu.Unlock()
		if answer == nil {
			http.NotFound(w, r)
			return
		}
		answer(w)
	})
	secure := httptest.NewUnstartedServer(handler)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{tlsCert.Raw}, PrivateKey: tlsKey}}}
	secure.StartTLS()
	tb.Cleanup(secure.Close)
	plain := httptest.NewServer(handler)
	tb.Cleanup(plain.Close)
	pool := x509.NewCertPool()
	pool.AddCert(f.root.cert)
	f.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			to := plain
			if strings.HasSuffix(addr, ":443") {
				to = secure
			}
			return new(net.Dialer).DialContext(ctx, network, to.Listener.Addr().String())
		},
	}}
	return f
}

func (f *fakeSNS) options() SNS {
	pool := x509.NewCertPool()
	pool.AddCert(f.root.cert)
	return SNS{Client: f.client, Roots: pool}
}

func (f *fakeSNS) serve(address string, content []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[address] = func(w http.ResponseWriter) { _, _ = w.Write(content) }
}

func (f *fakeSNS) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

func asPEM(certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

func notification(text string) *message {
	return &message{
		Type: typeNotification, MessageID: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", TopicARN: testTopic, Message: text,
		Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), SignatureVersion: "2",
		SigningCertURL: "https://" + testHost + certPath,
	}
}

func confirmation() *message {
	m := notification("You have chosen to subscribe to the topic. To confirm, visit the SubscribeURL included in this message.")
	m.Type, m.Token = typeSubscribed, "2336412f37fb687f5d51e6e241d09c805a5a57b30d712f794cc5f6a988666d92"
	m.SubscribeURL = "https://" + testHost + "/?Action=ConfirmSubscription&TopicArn=" + testTopic + "&Token=" + m.Token
	return m
}

// sign signs m as it is, and returns it as SNS would send it.
func sign(tb testing.TB, m *message, key *rsa.PrivateKey) []byte {
	tb.Helper()
	if signed, ok := m.canonical(); ok {
		hash, sum := crypto.SHA256, sha256.Sum256(signed)
		digest := sum[:]
		if m.SignatureVersion == "1" {
			sum := sha1.Sum(signed)
			hash, digest = crypto.SHA1, sum[:]
		}
		signature, err := rsa.SignPKCS1v15(nil, key, hash, digest)
		if err != nil {
			tb.Fatal(err)
		}
		m.Signature = base64.StdEncoding.EncodeToString(signature)
	}
	return asJSON(tb, m)
}

func asJSON(tb testing.TB, m *message) []byte {
	tb.Helper()
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func snsHeader(m *message) http.Header {
	return header("X-Amz-Sns-Message-Type: "+m.Type, "X-Amz-Sns-Topic-Arn: "+m.TopicARN, "Content-Type: text/plain; charset=UTF-8")
}
