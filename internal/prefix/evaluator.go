package prefix

import (
	"bytes"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

const (
	minUnix = math.MinInt64
	maxUnix = math.MaxInt64
)

// randomLength is the length of a random string in the finished prefix.
const randomLength = 11

// An Evaluator evaluates one expression for one goroutine. It keeps the text between the keys for
// as long as the instant stays within the same hour (or what the expression shows), so that a
// record costs a few copies.
type Evaluator struct {
	expr        *Expression
	from, until int64 // the window of text, in seconds; nothing is kept if they are equal

	text  []byte // all but the keys, in order
	parts []part // where the keys go
	extra int    // characters that random strings will add
}

// A part is text up to end, and then the value of a key.
type part struct {
	end int
	key int // -1: none
}

// NewEvaluator gives an evaluator for one goroutine.
func (e *Expression) NewEvaluator() *Evaluator { return &Evaluator{expr: e} }

// Append is Expression.Append, and remembers the time's text from call to call.
func (v *Evaluator) Append(dst []byte, at time.Time, keys []string) ([]byte, error) {
	return appendPrefix(v, dst, at, keys)
}

// AppendBytes is Append for values that are bytes.
func (v *Evaluator) AppendBytes(dst []byte, at time.Time, keys [][]byte) ([]byte, error) {
	return appendPrefix(v, dst, at, keys)
}

func appendPrefix[T string | []byte](v *Evaluator, dst []byte, at time.Time, keys []T) ([]byte, error) {
	e := v.expr
	if len(keys) != len(e.keys) {
		panic(fmt.Sprintf("prefix: %d values for %d partition keys", len(keys), len(e.keys)))
	}
	if e.failed {
		panic("prefix: error prefix without its error type")
	}
	if unix := at.Unix(); unix < v.from || unix >= v.until {
		v.format(at)
	}
	for i := range keys {
		if code := CheckValue(keys[i]); code != "" {
			return dst, &RecordError{Code: code, Key: e.keys[i]}
		}
	}
	start, from := len(dst), 0
	for _, p := range v.parts {
		dst = append(dst, v.text[from:p.end]...)
		from = p.end
		if p.key >= 0 {
			dst = append(dst, keys[p.key]...)
		}
	}
	if !v.fits(dst[start:]) {
		return dst[:start], &RecordError{Code: CodePrefixLength}
	}
	return dst, nil
}

// fits applies the bounds to an evaluated prefix.
func (v *Evaluator) fits(out []byte) bool {
	if n := len(out) + v.extra; n > MaxEvaluated && utf8.RuneCount(out)+v.extra > MaxEvaluated {
		return false
	}
	if len(out)+v.extra <= MaxTail {
		return true
	}
	for {
		segment, rest, more := bytes.Cut(out, []byte{'/'})
		length := len(segment) + (randomLength-1)*bytes.Count(segment, []byte{0})
		if !more {
			return length <= MaxTail
		}
		if length > MaxSegment {
			return false
		}
		out = rest
	}
}

// format fills text and parts for the window around at.
func (v *Evaluator) format(at time.Time) {
	e := v.expr
	local := at.In(e.zone)
	v.from, v.until = e.window(local)
	c := calendarAt(local)
	v.text, v.parts, v.extra = v.text[:0], v.parts[:0], 0
	for i := range e.tokens {
		switch t := &e.tokens[i]; t.kind {
		case tokenLiteral:
			v.text = append(v.text, t.text...)
		case tokenField:
			v.text = t.field.append(v.text, &c)
		case tokenRandom:
			v.text = append(v.text, 0)
			v.extra += randomLength - 1
		case tokenKey:
			v.parts = append(v.parts, part{end: len(v.text), key: t.key})
		case tokenErrorType: // replaced by Failed
		}
	}
	v.parts = append(v.parts, part{end: len(v.text), key: -1})
}

// window gives the seconds around t, which is in the expression's zone, within which its fields
// print the same. It ends where the zone changes its offset: an hour that is put forward at half
// past is two windows.
func (e *Expression) window(t time.Time) (from, until int64) {
	from, until = minUnix, maxUnix
	if e.constant() {
		return from, until
	}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		from = start.Unix()
	}
	if !end.IsZero() {
		until = end.Unix()
	}
	var unit int64
	switch e.grain {
	case grainNone:
		return from, until
	case grainDay:
		unit = 86400
	case grainHour:
		unit = 3600
	case grainMinute:
		unit = 60
	case grainSecond:
		unit = 1
	case grainInstant:
		return t.Unix(), t.Unix()
	}
	_, offset := t.Zone()
	since := (t.Unix() + int64(offset)) % unit
	if since < 0 {
		since += unit
	}
	return max(from, t.Unix()-since), min(until, t.Unix()-since+unit)
}

// constant tells whether the expression has no field.
func (e *Expression) constant() bool {
	for i := range e.tokens {
		if e.tokens[i].kind == tokenField {
			return false
		}
	}
	return true
}
