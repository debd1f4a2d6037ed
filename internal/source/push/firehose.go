package push

import (
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/scan"
)

// Headers of Firehose's HTTP endpoint protocol, in Go's canonical form.
const (
	headerRequestID = "X-Amz-Firehose-Request-Id"
	headerProtocol  = "X-Amz-Firehose-Protocol-Version"
)

// maxRequestID bounds the request id, which is sent back. Firehose's are UUIDs.
const maxRequestID = 256

var (
	errRecordEmpty  = errors.New("the Firehose record is empty")
	errRecordBase64 = errors.New("the data of the Firehose record is no base64")
)

// firehose takes what Firehose's HTTP endpoint destination sends, protocol version 1.0. Its common attributes are
// bounded together with the other headers, and not used.
//
// No answer is ever 413: Firehose takes that for a final no and drops the records, past its backup bucket. After any
// other answer it tries again, and in the end puts them there. So a body over the bound is answered with 400.
func (x *exchange) firehose() {
	if !x.authorized() {
		return
	}
	if no := x.firehoseHeaders(); no != nil {
		x.refuseFor(no)
		return
	}
	budgets := []*budget{x.s.held}
	buf, err := x.readBody(limits{max: x.s.o.MaxBody, tooLarge: http.StatusBadRequest, budgets: budgets})
	defer x.s.freeBuffer(buf)
	if err != nil {
		x.refuseFor(err)
		return
	}
	records := x.s.fire.Get().(*firehoseRecords)
	defer x.s.fire.Put(records)
	if err := records.parse(buf.b); err != nil {
		x.refuseFor(malformed("expected Firehose's request body: " + err.Error()))
		return
	}
	if string(records.requestID) != x.r.Header.Get(headerRequestID) {
		x.refuseFor(malformed("the requestId of the body is not the one of the header " + headerRequestID))
		return
	}
	plain := x.s.bufs.Get().(*buffer)
	plain.share.of = budgets
	defer x.s.freeBuffer(plain)
	if err := x.handOverRecords(buf.b, records, plain); err != nil {
		x.refuseFor(err)
		return
	}
	x.answer(http.StatusOK, appendFirehoseAnswer(nil, string(records.requestID), time.Now(), ""))
}

func malformed(expected string) *refusal {
	return &refusal{status: http.StatusBadRequest, reason: "firehose-malformed", expected: expected}
}

func (x *exchange) firehoseHeaders() error {
	h := x.r.Header
	if v := h[headerProtocol]; len(v) != 1 || v[0] != "1.0" {
		return malformed("expected the header " + headerProtocol + ": 1.0")
	}
	if v := h[headerRequestID]; len(v) != 1 || !validRequestID(v[0]) {
		return malformed(fmt.Sprintf("expected the header %s: 1 to %d printable characters", headerRequestID, maxRequestID))
	}
	if t, _, err := mime.ParseMediaType(h.Get("Content-Type")); err != nil || t != "application/json" {
		return malformed("expected Content-Type: application/json")
	}
	return nil
}

func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// handOverRecords decodes the records into plain and delivers their documents. A record may hold several documents;
// one without any, or that is no base64, is a broken document.
func (x *exchange) handOverRecords(body []byte, records *firehoseRecords, plain *buffer) error {
	size := 0
	for _, r := range records.data {
		size += base64.StdEncoding.DecodedLen(int(r.end - r.start))
	}
	if !plain.share.grow(int64(size)) {
		return errNoRoom
	}
	if cap(plain.b) < size {
		plain.b = make([]byte, 0, size)
	}
	b := x.newBatch()
	defer x.release(b)
	at := plain.b[:0]
	for _, r := range records.data {
		raw := body[r.start:r.end]
		text := raw
		if r.escaped {
			text = scan.AppendUnescaped(nil, raw)
		}
		n, err := base64.StdEncoding.Decode(at[len(at):len(at)+base64.StdEncoding.DecodedLen(len(text))], text)
		content := at[len(at) : len(at)+n : len(at)+n]
		switch {
		case err != nil:
			err = b.add(x, document.Document{Bytes: raw, Err: errRecordBase64})
		case isBlank(content):
			err = b.add(x, document.Document{Bytes: content, Err: errRecordEmpty})
			at = at[:len(at)+n]
		default:
			err = b.split(x, content)
			at = at[:len(at)+n]
		}
		if err != nil {
			return err
		}
	}
	return b.end(x)
}

// appendFirehoseAnswer appends an answer as Firehose wants it: nothing in it but what its schema has. An id that
// could not be one of Firehose's is not sent back.
func appendFirehoseAnswer(dst []byte, requestID string, now time.Time, errorMessage string) []byte {
	if !validRequestID(requestID) {
		requestID = ""
	}
	dst = appendString(append(dst, `{"requestId":`...), requestID)
	dst = appendMillis(append(dst, `,"timestamp":`...), now)
	if errorMessage != "" {
		dst = appendString(append(dst, `,"errorMessage":`...), errorMessage)
	}
	return append(dst, '}')
}
