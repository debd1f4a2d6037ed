package push

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
)

// An exchange is one request and its answer.
type exchange struct {
	s        *Source
	w        http.ResponseWriter
	r        *http.Request
	deliver  source.Deliver
	started  time.Time
	endpoint string
	key      string // name of the key it came with
	wire     int64  // bytes of the body that were read
	answered int    // documents handed over when it is answered
}

// deadline is when the connection is given up if the body has not come by then. It does not hold for Deliver: net/http
// takes it away at the body's end.
func (x *exchange) deadline(at time.Time) {
	// A server without deadlines, as in some tests, is not ours; ours has them.
	_ = http.NewResponseController(x.w).SetReadDeadline(at)
}

var (
	jsonType = []string{"application/json"}
	closing  = []string{"close"}
)

// answer writes a whole answer: Content-Length and no Content-Encoding, which is what Firehose insists on.
func (x *exchange) answer(status int, body []byte) {
	h := x.w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if status >= 400 && status != http.StatusServiceUnavailable || len(x.r.TransferEncoding) > 0 {
		// The rest of the body is not worth reading. And where lengths can be told in two ways, what stands behind the
		// body is never taken for the next request, whatever something in between made of it.
		h["Connection"] = closing
	}
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(x.s.o.Timeouts.Answer))
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // the sender is gone: it will send again
	if tell := x.s.o.Events.Request; tell != nil {
		tell(Request{
			Endpoint: x.endpoint, Key: x.key, Status: status, Documents: x.answered, Bytes: x.wire,
			Duration: time.Since(x.started),
		})
	}
}

// refuse answers with what was expected.
func (x *exchange) refuse(status int, why Refused, expected string) {
	why.Endpoint = x.endpoint
	if tell := x.s.o.Events.Refused; tell != nil {
		tell(why)
	}
	if x.endpoint == "firehose" {
		x.answer(status, appendFirehoseAnswer(nil, x.r.Header.Get(headerRequestID), time.Now(), expected))
		return
	}
	body := append([]byte(nil), `{"error":`...)
	x.answer(status, append(appendString(body, expected), "}\n"...))
}

// A refusal is an error that knows its answer. Its text is for the sender.
type refusal struct {
	status   int
	reason   string
	expected string
	cause    error // may be nil
}

func (r *refusal) Error() string { return r.reason + ": " + r.expected }

func (r *refusal) Unwrap() error { return r.cause }

// refuseFor answers an error: a refusal, or what Deliver returned.
func (x *exchange) refuseFor(err error) {
	var no *refusal
	if errors.As(err, &no) {
		if no.status == http.StatusServiceUnavailable {
			x.retryAfter(x.s.o.RetryAfter)
		}
		x.refuse(no.status, Refused{Reason: no.reason, Err: no.cause}, no.expected)
		return
	}
	var busy *source.Busy
	switch {
	case errors.As(err, &busy) && busy.RetryAfter > 0:
		x.retryAfter(busy.RetryAfter)
	default:
		x.retryAfter(x.s.o.RetryAfter)
	}
	switch {
	case errors.Is(err, source.ErrBusy):
		x.refuse(http.StatusServiceUnavailable, Refused{Reason: "busy", Err: err}, "too much is waiting to be stored; try again")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		x.refuse(http.StatusServiceUnavailable, Refused{Reason: "cancelled", Err: err}, "not stored; try again")
	default:
		x.refuse(http.StatusInternalServerError, Refused{Reason: "not-stored", Err: err}, "not stored; try again")
	}
}

// retryAfter tells when to try again, in whole seconds: 1 to 3,600. It is never negative: EventBridge takes that as
// not to try again at all.
func (x *exchange) retryAfter(d time.Duration) {
	seconds := int64((min(d, time.Hour) + time.Second - 1) / time.Second)
	x.w.Header().Set("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
}

// authorized checks the API key, and answers the request where it is not right.
func (x *exchange) authorized() bool {
	if x.s.keys == nil {
		return true
	}
	name, v := x.s.keys.check(x.r)
	switch v {
	case keyRight:
		x.key = name
		return true
	case keyMissing:
		// Some senders, SNS among them, send the password of their URL only after they have been asked for it.
		x.w.Header().Set("WWW-Authenticate", `Basic realm="catchment", charset="UTF-8"`)
		x.refuse(http.StatusUnauthorized, Refused{Reason: "key-missing"},
			"expected an API key: X-Api-Key, X-Amz-Firehose-Access-Key, or Authorization with Bearer or Basic")
	case keyAmbiguous:
		x.refuse(http.StatusBadRequest, Refused{Reason: "key-ambiguous"}, "expected one API key, found several in one header")
	case keyWrong:
		x.refuse(http.StatusForbidden, Refused{Reason: "key-wrong"}, "the API key is not known")
	}
	return false
}

// batchSize is how many documents are handed over at once. It bounds what a body of very many tiny ones costs: a
// document takes more memory than the two bytes that may stand for it.
const batchSize = 4096

// A batch hands over documents. It is used again.
type batch struct {
	splitter *document.Splitter
	docs     []document.Document
	received int
	rejected int // broken ones among them
}

func newBatch(o document.Options) *batch { return &batch{splitter: document.NewSplitter(o)} }

func (x *exchange) newBatch() *batch { return x.s.batch.Get().(*batch) }

func (x *exchange) release(b *batch) {
	clear(b.docs)
	b.docs, b.received, b.rejected = b.docs[:0], 0, 0
	x.s.batch.Put(b)
}

// split adds the documents of content, which stays as it is until end has returned.
func (b *batch) split(x *exchange, content []byte) error {
	b.splitter.Reset()
	for at := 0; ; {
		doc, used, found := b.splitter.Next(content[at:], true)
		if !found {
			return nil
		}
		doc.Offset += int64(at)
		at += used
		if err := b.add(x, doc); err != nil {
			return err
		}
	}
}

func (b *batch) add(x *exchange, doc document.Document) error {
	b.docs = append(b.docs, doc)
	b.received++
	if doc.Err != nil {
		b.rejected++
	}
	if len(b.docs) < batchSize {
		return nil
	}
	return b.flush(x)
}

// end hands over what is left. Only after it has returned nil all that was added is on disk.
func (b *batch) end(x *exchange) error {
	if err := b.flush(x); err != nil {
		return err
	}
	x.answered = b.received
	return nil
}

func (b *batch) flush(x *exchange) error {
	if len(b.docs) == 0 {
		return nil
	}
	err := x.deliver(x.r.Context(), b.docs)
	clear(b.docs)
	b.docs = b.docs[:0]
	return err
}

// appendString appends s as a JSON string. s is text of this package, or text that was checked to be printable ASCII.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c > 0x7e:
			dst = append(dst, '?')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
