package push

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SNS's signature version 1, the default of a topic
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// maxAhead is how far a message's Timestamp may be in the future: clocks differ.
const maxAhead = 15 * time.Minute

// verify tells whether m was signed by SNS for topic t, and not long ago. The error is a *refusal.
func (s *signers) verify(ctx context.Context, t topic, m *message, now time.Time) error {
	at, err := time.Parse(time.RFC3339Nano, m.Timestamp)
	if err != nil {
		return forbidden("sns-malformed", "expected a Timestamp as SNS writes it", nil)
	}
	if age := now.Sub(at); !s.lab && (age > s.maxAge || age < -maxAhead) { // the clock of a lab is its own
		return forbidden("sns-stale", "the message's Timestamp is too far from now", nil)
	}
	signed, ok := m.canonical()
	if !ok {
		return forbidden("sns-malformed", "expected Type Notification, SubscriptionConfirmation or UnsubscribeConfirmation", nil)
	}
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil {
		return forbidden("sns-signature", "expected a Signature in base64", nil)
	}
	var hash crypto.Hash
	var digest []byte
	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(signed) //nolint:gosec // see the import
		hash, digest = crypto.SHA1, sum[:]
	case "2":
		sum := sha256.Sum256(signed)
		hash, digest = crypto.SHA256, sum[:]
	default:
		return forbidden("sns-signature", "expected SignatureVersion 1 or 2", nil)
	}
	if !t.ownsCertificate(m.SigningCertURL) {
		return forbidden("sns-certificate", "expected a SigningCertURL of this topic's SNS endpoint, "+t.origin, nil)
	}
	key, err := s.key(ctx, t, m.SigningCertURL, now)
	if err != nil {
		return err
	}
	if err := rsa.VerifyPKCS1v15(key, hash, digest, signature); err != nil {
		return forbidden("sns-signature", "the message's Signature is not that of SNS", nil)
	}
	return nil
}

// canonical is what SNS signs: name and value of these fields in byte order, each with a newline behind it. A Subject
// that the message has not is left out. ok is false for a type that SNS does not have.
func (m *message) canonical() (signed []byte, ok bool) {
	add := func(name, value string) {
		signed = append(append(append(append(signed, name...), '\n'), value...), '\n')
	}
	add("Message", m.Message)
	add("MessageId", m.MessageID)
	switch m.Type {
	case typeNotification:
		if m.Subject != nil {
			add("Subject", *m.Subject)
		}
	case typeSubscribed, typeUnsubscribed:
		add("SubscribeURL", m.SubscribeURL)
	default:
		return nil, false
	}
	add("Timestamp", m.Timestamp)
	if m.Type != typeNotification {
		add("Token", m.Token)
	}
	add("TopicArn", m.TopicARN)
	add("Type", m.Type)
	return signed, true
}

func forbidden(reason, expected string, cause error) *refusal {
	return &refusal{status: http.StatusForbidden, reason: reason, expected: expected, cause: cause}
}
