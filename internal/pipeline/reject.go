package pipeline

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/scan"
)

// codeOf is the reason for a document that is broken.
func codeOf(err error) string {
	switch {
	case errors.Is(err, document.ErrTooLong):
		return "too-long"
	case errors.Is(err, document.ErrNotObject):
		return "not-an-object"
	case errors.Is(err, scan.ErrIncomplete), errors.Is(err, document.ErrIncomplete):
		return "incomplete"
	}
	return "invalid-json"
}

// reject emits an error record in the shape that Firehose writes (Data Firehose developer guide, "Data delivery
// failure handling"), so that one reader serves both. raw is kept whole, base64.
func (r *Router) reject(stream int, code, message string, raw []byte) {
	when := r.arrival.Time
	if when.IsZero() {
		when = time.Unix(0, 0).UTC()
		if r.event.timed {
			when = r.event.when
		}
	}
	var err error
	r.at, err = r.failed[stream].AppendBytes(r.at[:0], when, nil)
	if err != nil {
		panic(fmt.Sprintf("pipeline: an error prefix without keys: %v", err)) // checked at compile
	}
	if r.arrival.Origin != "" {
		message = fmt.Sprintf("%s: document at byte %d: %s", r.arrival.Origin, r.event.document.Offset, message)
	}
	ms := when.UnixMilli()
	b := append(r.line[:0], `{"attemptsMade":1,"arrivalTimestamp":`...)
	b = strconv.AppendInt(b, ms, 10)
	b = append(b, `,"errorCode":"`+code+`","errorMessage":`...)
	if quoted, err := jsontext.AppendQuote(b, message); err == nil {
		b = quoted
	} else { // not UTF-8: a file's name can be anything
		b, _ = jsontext.AppendQuote(b, strconv.QuoteToASCII(message))
	}
	b = append(b, `,"attemptEndingTimestamp":`...)
	b = strconv.AppendInt(b, ms, 10)
	b = append(b, `,"rawData":"`...)
	b = base64.StdEncoding.AppendEncode(b, raw)
	r.line = append(b, `"}`...)
	r.outcome = Outcome{Kind: Rejected, Stream: stream, Prefix: r.intern(r.at), Line: r.line, Time: when, Code: code, EventID: r.event.id}
	r.emit(&r.outcome)
}
