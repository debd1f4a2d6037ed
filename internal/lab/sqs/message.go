package sqs

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // what SQS's clients check their messages by
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"example.org/catchment/internal/lab/wire"
)

// A message is one message in one queue.
type message struct {
	number uint64 // in its queue, in the order of sending
	id     string
	body   string
	md5    string
	sender string
	source string // ARN of the queue that it was a dead letter of
	ghost  bool   // it was handed out before, and is once more

	attributes, system map[string]attribute
	group, dedup       string
	sequence           string // FIFO

	sent     time.Time
	first    time.Time // received
	taken    time.Time // received the last time
	visible  time.Time
	receives int // in all queues it was in
	here     int // in this queue
	state    messageState
	at       [slots]int
}

// An attribute is a message attribute on the wire.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_MessageAttributeValue.html
type attribute struct {
	StringValue string `json:",omitempty"`
	BinaryValue []byte `json:",omitempty"`
	DataType    string
}

// Kinds of attributes; a label may follow after a dot.
const (
	kindString = "String"
	kindNumber = "Number"
	kindBinary = "Binary"
)

func (a attribute) kind() string {
	kind, _, _ := strings.Cut(a.DataType, ".")
	return kind
}

func (a attribute) size() int { return len(a.DataType) + len(a.StringValue) + len(a.BinaryValue) }

// sizeOf is what counts of a message: its body and its attributes with names and types.
func sizeOf(body string, attributes map[string]attribute) int {
	n := len(body)
	for name, a := range attributes {
		n += len(name) + a.size()
	}
	return n
}

// md5OfBody is the checksum that clients compare a body with.
func md5OfBody(body string) string {
	sum := md5.Sum([]byte(body)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes is the checksum that clients compare attributes with; empty where there are none. Each is its name,
// type, kind of transport and value, with their lengths before them, in the order of the names.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
func md5OfAttributes(attributes map[string]attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	hash := md5.New() //nolint:gosec // see the import
	add := func(b []byte) {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(b))) //nolint:gosec // a message is at most 1 MiB
		hash.Write(length[:])
		hash.Write(b)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		add([]byte(name))
		add([]byte(a.DataType))
		if a.kind() == kindBinary {
			hash.Write([]byte{2})
			add(a.BinaryValue)
		} else {
			hash.Write([]byte{1})
			add([]byte(a.StringValue))
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// validText tells whether SQS takes all characters of a text.
func validText(s string) bool {
	for _, r := range s {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000 && r <= 0x10ffff:
		default:
			return false
		}
	}
	return utf8.ValidString(s)
}

func badContents() *wire.Error {
	return failure(invalidContents, "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | "+
		"#xE000 to #xFFFD | #x10000 to #x10FFFF")
}

// Limits of message attributes.
const (
	maxAttributes    = 10
	maxAttributeName = 256
	maxDataType      = 256
)

var attributeName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// checkAttributes tells what is wrong with the attributes of a message.
func checkAttributes(attributes map[string]attribute) *wire.Error {
	if len(attributes) > maxAttributes {
		return failure(invalidParameterValue, "Number of message attributes [%d] exceeds the allowed maximum [%d].", len(attributes), maxAttributes)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		shown := name[:min(len(name), 300)]
		lower := strings.ToLower(name)
		if !attributeName.MatchString(name) || len(name) > maxAttributeName || strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
			return failure(invalidParameterValue, "The message attribute name '%s' is invalid. Attribute name can contain A-Z, a-z, 0-9, "+
				"underscore (_), hyphen (-), and period (.) characters; it is at most %d long and does not begin with AWS. or Amazon.", shown, maxAttributeName)
		}
		a := attributes[name]
		switch {
		case a.DataType == "":
			return failure(invalidParameterValue, "The message attribute '%s' must contain a non-empty message attribute type.", shown)
		case len(a.DataType) > maxDataType || !slices.Contains([]string{kindString, kindNumber, kindBinary}, a.kind()):
			return failure(invalidParameterValue, "The message attribute '%s' has an invalid message attribute type, the set of supported type "+
				"prefixes is Binary, Number, and String.", shown)
		case a.kind() == kindBinary && len(a.BinaryValue) == 0, a.kind() != kindBinary && a.StringValue == "":
			return failure(invalidParameterValue, "The message attribute '%s' must contain a non-empty value of type '%s'.", shown, a.kind())
		case a.kind() == kindNumber && !isNumber(a.StringValue):
			return failure(invalidParameterValue, "Can't cast the value of message (user) attribute '%s' to a number.", shown)
		case !validText(a.StringValue):
			return badContents()
		}
	}
	return nil
}

var number = regexp.MustCompile(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$`)

// isNumber tells whether a text is a number of at most 38 digits, between 10^-128 and 10^126.
func isNumber(s string) bool {
	if len(s) > 200 || !number.MatchString(s) {
		return false
	}
	f, ok := new(big.Float).SetString(s)
	if !ok {
		return false
	}
	if f.Sign() == 0 {
		return true
	}
	exponent := f.MantExp(nil)
	return exponent > -426 && exponent < 420
}

// handleOf makes the receipt handle of a message that was just handed out.
func (s *Service) handleOf(q *queue, m *message) string {
	b := make([]byte, 0, 52)
	b = binary.BigEndian.AppendUint64(b, q.number)
	b = binary.BigEndian.AppendUint64(b, m.number)
	b = binary.BigEndian.AppendUint32(b, uint32(m.receives)) //nolint:gosec // nobody receives a message four billion times
	return handlePrefix + base64.StdEncoding.EncodeToString(s.seal(b))
}

// handlePrefix begins all of SQS's receipt handles.
const handlePrefix = "AQEB"

// seal puts a code behind b that only this service can make.
func (s *Service) seal(b []byte) []byte {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write(b)
	return mac.Sum(b)
}

// A handle is a receipt handle, opened.
type handle struct {
	message uint64
	receive int // which one of the message
}

// openHandle reads a receipt handle; it has to be one of the queue.
func (s *Service) openHandle(q *queue, text string) (handle, *wire.Error) {
	if text == "" {
		return handle{}, missing("ReceiptHandle")
	}
	invalid := failure(receiptHandleInvalid, "The input receipt handle %q is not a valid receipt handle.", text[:min(len(text), 300)])
	rest, ok := strings.CutPrefix(text, handlePrefix)
	b, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil || len(b) != 52 || !hmac.Equal(b, s.seal(slices.Clone(b[:20]))) || binary.BigEndian.Uint64(b) != q.number {
		return handle{}, invalid
	}
	return handle{binary.BigEndian.Uint64(b[8:]), int(binary.BigEndian.Uint32(b[16:]))}, nil
}
