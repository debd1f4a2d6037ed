// Package prefix turns Firehose prefix expressions into the prefix of one record's object key.
//
// An expression is text with parts of the form !{namespace:value}:
//
//	!{timestamp:<pattern>}           an instant, by a pattern of Java's DateTimeFormatter
//	!{firehose:random-string}        11 characters, new at each place and for each object
//	!{firehose:error-output-type}    the kind of fault; error prefixes only
//	!{partitionKeyFromQuery:<key>}   a value that a jq query found in the record
//	!{partitionKeyFromLambda:<key>}  a value that a transformation gave to the record
//
// Where Firehose's documentation leaves it open, this is what holds here:
//
//   - Texts are those of Java's locale en_US. Weeks start on Sunday and the first week is the
//     one that holds 1 January, so 2019-12-29 (a Sunday) has the year YYYY=2020. That is what
//     Firehose was seen to do; ISO weeks would start the next day.
//   - A prefix without a timestamp gets yyyy/MM/dd/HH/ as it stands: no slash is put between.
//   - A prefix has at most 512 characters, and none of its segments more than 255 bytes (100
//     after the last slash, since the object's name follows), so that a folder can hold it.
package prefix

import (
	"time"
	"unicode/utf8"
)

// Bounds. MaxExpression and MaxEvaluated are Firehose's and count characters; MaxSegment and
// MaxTail are those of file systems and count bytes.
const (
	MaxExpression = 1024
	MaxEvaluated  = 512
	MaxSegment    = 255
	MaxTail       = 100
)

// DefaultTimestamp is appended to a prefix that has no timestamp expression.
const DefaultTimestamp = "!{timestamp:yyyy/MM/dd/HH/}"

// LambdaKey stands in Keys before the name of a key from Lambda, so that it cannot be taken for
// a key from a query.
const LambdaKey = "lambda:"

// Options say what an expression may hold. Keys and LambdaKeys are the defined partition keys;
// all of them must be used. They are not looked at for an error prefix.
type Options struct {
	Error      bool   // an error prefix: has an error type, no partition keys, no default timestamp
	TimeZone   string // IANA name; empty: UTC
	Keys       []string
	LambdaKeys []string
}

// An Expression is a compiled prefix. It does not change and may be used by many goroutines.
type Expression struct {
	tokens []token
	keys   []string
	zone   *time.Location
	grain  grain
	failed bool // its error type is still open
}

// Compile reads an expression. An error is a *SyntaxError; for a fault that has no place in expr
// (time zone, unused key) its Offset is 0 or the end of expr.
func Compile(expr string, o Options) (*Expression, error) {
	e, err := compile(expr, o)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func compile(expr string, o Options) (*Expression, *SyntaxError) {
	zone, fault := loadZone(o.TimeZone)
	if fault != nil {
		return nil, fault
	}
	p := &parser{text: expr, options: o, zone: zone, expr: &Expression{zone: zone}}
	if n := utf8.RuneCountInString(expr); n > MaxExpression {
		return nil, p.fault(CodeExpressionLength, 0, "expression of more than 1024 characters", "at most 1024", "")
	}
	if err := p.parse(0); err != nil {
		return nil, err
	}
	if o.Error && p.expressions > 0 && p.errorTypes == 0 {
		return nil, p.fault(CodeErrorType, len(expr), "error prefix without its error type",
			"!{firehose:error-output-type}", "an error prefix that has expressions needs this one")
	}
	if !o.Error {
		if err := p.checkUsed(); err != nil {
			return nil, err
		}
		if p.timestamps == 0 {
			p.text += DefaultTimestamp
			if err := p.parse(len(expr)); err != nil {
				return nil, err
			}
		}
	}
	if err := p.checkSegments(); err != nil {
		return nil, err
	}
	p.expr.failed = p.errorTypes > 0
	return p.expr, nil
}

func (p *parser) checkUsed() *SyntaxError {
	used := make(map[string]bool)
	for _, k := range p.expr.keys {
		used[k] = true
	}
	unused := func(name, expression string) *SyntaxError {
		return p.fault(CodeKeyUnused, len(p.text), "partition key "+quote(name)+" is not used",
			expression, "Firehose wants each key in the prefix; take it out of partition_keys otherwise")
	}
	for _, k := range p.options.Keys {
		if !used[k] {
			return unused(k, "!{partitionKeyFromQuery:"+k+"}")
		}
	}
	for _, k := range p.options.LambdaKeys {
		if !used[LambdaKey+k] {
			return unused(k, "!{partitionKeyFromLambda:"+k+"}")
		}
	}
	return nil
}

// Keys gives the partition keys in the order in which Append wants their values: that of their
// first use. The result is the expression's own.
func (e *Expression) Keys() []string { return e.keys }

// Failed gives the error prefix for one kind of fault, such as "processing-failed". An error
// prefix must be given its kind before it can be evaluated; any other stays as it is.
func (e *Expression) Failed(kind string) (*Expression, error) {
	if code := CheckValue(kind); code != "" {
		return nil, &RecordError{Code: code, Key: "error-output-type"}
	}
	out := *e
	out.failed = false
	out.tokens = make([]token, len(e.tokens))
	for i, t := range e.tokens {
		if t.kind == tokenErrorType {
			t = token{kind: tokenLiteral, text: kind, offset: t.offset}
		}
		out.tokens[i] = t
	}
	return &out, nil
}

// Append adds the prefix at the instant at, for the values of Keys, to dst. Each random string is
// one 0x00 byte, which Finish fills. If a value can be no part of a key, or the prefix becomes too
// long, the error is a *RecordError and dst comes back as it was.
//
// It formats the time anew on each call; an Evaluator remembers it.
func (e *Expression) Append(dst []byte, at time.Time, keys []string) ([]byte, error) {
	v := Evaluator{expr: e}
	return v.Append(dst, at, keys)
}

// Window gives the instants around at, from inclusive and until exclusive, for which the prefix
// is the same if the keys are. Both are zero if it is the same at all times. A prefix that shows
// fractions of a second has an empty window.
func (e *Expression) Window(at time.Time) (from, until time.Time) {
	start, end := e.window(at.In(e.zone))
	if start != minUnix {
		from = time.Unix(start, 0)
	}
	if end != maxUnix {
		until = time.Unix(end, 0)
	}
	return from, until
}
