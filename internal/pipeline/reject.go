package pipeline

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/scan"
)

// codeOf is the reason for a document that is broken.
func codeOf(err error) string {
	if refused, ok := errors.AsType[*document.RefusedError](err); ok {
		return refused.Code
	}
	switch {
	case errors.Is(err, document.ErrTooLong), errors.Is(err, document.ErrTooLongRest):
		return "too-long"
	case errors.Is(err, document.ErrNotObject):
		return "not-an-object"
	case errors.Is(err, scan.ErrIncomplete), errors.Is(err, document.ErrIncomplete), errors.Is(err, document.ErrOpenAtEnd):
		return "incomplete"
	}
	return "invalid-json"
}

// Bounds of an error record's message, in bytes before what is not printable is escaped.
const (
	maxMessage = 1024
	maxOrigin  = 512
)

// printable is a text for people and logs, whatever somebody put into it: clipped, and quoted where it holds what is
// not seen or is not UTF-8, so that it holds no control character.
func printable(text string, most int) string {
	if len(text) > most {
		end := most
		for end > most-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	if strings.IndexFunc(text, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) < 0 {
		return text
	}
	return strconv.QuoteToASCII(text)
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
	message = printable(message, maxMessage)
	if r.arrival.Origin != "" {
		message = fmt.Sprintf("%s: document at byte %d: %s", printable(r.arrival.Origin, maxOrigin), r.event.document.Offset, message)
	}
	record := document.ErrorRecord{Attempts: 1, Arrival: when, Code: code, Message: message, Ended: when, Raw: raw}
	r.line = record.Append(r.line[:0])
	r.outcome = Outcome{Kind: Rejected, Stream: stream, Prefix: r.intern(r.at), Line: r.line, Time: when, Code: code, EventID: r.event.id}
	r.emit(&r.outcome)
}
