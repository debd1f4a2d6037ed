package sns

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SNS's signature version 1, the default of a topic
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A signer holds the key that messages are signed with. It is made when it is first needed.
type signer struct {
	once sync.Once
	key  *rsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
	path string
	err  error
}

// keyBits is the size of SNS's own keys.
const keyBits = 2048

func (g *signer) ready() error {
	g.once.Do(func() {
		if g.key, g.err = rsa.GenerateKey(rand.Reader, keyBits); g.err != nil {
			g.err = fmt.Errorf("make SNS's key: %w", g.err)
			return
		}
		// It is valid whatever the lab's clock shows, and whatever that of who verifies.
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: principal, Organization: []string{"catchment lab"}},
			DNSNames: []string{principal}, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
			NotBefore: time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, g.key.Public(), g.key)
		if err == nil {
			g.cert, err = x509.ParseCertificate(der)
		}
		if err != nil {
			g.err = fmt.Errorf("make SNS's certificate: %w", err)
			return
		}
		g.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		sum := sha256.Sum256(der)
		g.path = "/SimpleNotificationService-" + hex.EncodeToString(sum[:16]) + ".pem"
	})
	return g.err
}

// Certificate is that of the key which messages are signed with. It is issued by itself, to sns.amazonaws.com.
func (s *Service) Certificate() (*x509.Certificate, error) {
	if err := s.signer.ready(); err != nil {
		return nil, err
	}
	return s.signer.cert, nil
}

// CertificateHandler serves the certificate as a PEM file, at the path that messages name:
// /SimpleNotificationService-<32 hexadecimal digits>.pem. At any other path it answers 404.
func (s *Service) CertificateHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.signer.ready() != nil || r.URL.Path != s.signer.path {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(s.signer.pem) // the client is gone
	})
}

// Types of messages.
const (
	typeNotification = "Notification"
	typeSubscribe    = "SubscriptionConfirmation"
	typeUnsubscribe  = "UnsubscribeConfirmation"
)

// An envelope is a message as it is sent to queues and HTTP endpoints.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
type envelope struct {
	Type             string                   `json:"Type"`
	MessageID        string                   `json:"MessageId"`
	SequenceNumber   string                   `json:"SequenceNumber,omitempty"`
	Token            string                   `json:"Token,omitempty"`
	TopicARN         string                   `json:"TopicArn"`
	Subject          string                   `json:"Subject,omitempty"`
	Message          string                   `json:"Message"`
	SubscribeURL     string                   `json:"SubscribeURL,omitempty"`
	Timestamp        string                   `json:"Timestamp"`
	SignatureVersion string                   `json:"SignatureVersion"`
	Signature        string                   `json:"Signature"`
	SigningCertURL   string                   `json:"SigningCertURL"`
	UnsubscribeURL   string                   `json:"UnsubscribeURL,omitempty"`
	Attributes       map[string]sentAttribute `json:"MessageAttributes,omitempty"`
}

// A sentAttribute is a message attribute in an envelope.
type sentAttribute struct {
	Type  string `json:"Type"`
	Value string `json:"Value"`
}

// canonical is what is signed: name and value of these members in byte order, each with a newline behind it.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
func (e *envelope) canonical() []byte {
	var out []byte
	add := func(name, value string) { out = append(out, name+"\n"+value+"\n"...) }
	add("Message", e.Message)
	add("MessageId", e.MessageID)
	if e.Type == typeNotification {
		if e.Subject != "" {
			add("Subject", e.Subject)
		}
	} else {
		add("SubscribeURL", e.SubscribeURL)
	}
	add("Timestamp", e.Timestamp)
	if e.Type != typeNotification {
		add("Token", e.Token)
	}
	add("TopicArn", e.TopicARN)
	add("Type", e.Type)
	return out
}

// sign puts the signature of its version on the envelope. Its SigningCertURL is the address of SNS until then.
func (g *signer) sign(e *envelope) error {
	if err := g.ready(); err != nil {
		return err
	}
	e.SigningCertURL += g.path
	text := e.canonical()
	hash, sum := crypto.SHA1, sha1.Sum(text) //nolint:gosec // see the import
	digest := sum[:]
	if e.SignatureVersion == "2" {
		strong := sha256.Sum256(text)
		hash, digest = crypto.SHA256, strong[:]
	}
	signature, err := rsa.SignPKCS1v15(nil, g.key, hash, digest)
	if err != nil {
		return fmt.Errorf("sign a message of %s: %w", e.TopicARN, err)
	}
	e.Signature = base64.StdEncoding.EncodeToString(signature)
	return nil
}

// body is the envelope as it is sent.
func (e *envelope) body() ([]byte, error) {
	b, err := json.Marshal(e, json.Deterministic(true), jsontext.WithIndent("  "), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("encode a message of %s: %w", e.TopicARN, err)
	}
	return b, nil
}
