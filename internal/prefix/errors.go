package prefix

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Code names a kind of fault. The set is closed, so that a code may label a metric.
type Code string

// Faults of an expression or of a query: found when they are compiled.
const (
	CodeExpressionLength Code = "expression-length"    // over 1,024 characters
	CodeSyntax           Code = "syntax"               // "!{" that is no expression
	CodeNamespace        Code = "namespace"            // unknown namespace or value
	CodePattern          Code = "timestamp-pattern"    // not a DateTimeFormatter pattern
	CodeLiteral          Code = "literal"              // text that can be part of no object key
	CodeSegment          Code = "segment"              // empty, "." or ".." between slashes
	CodeErrorType        Code = "error-output-type"    // missing from an error prefix, or in another one
	CodeKeyName          Code = "partition-key-name"   // not a name
	CodeKeyUndefined     Code = "partition-key-undef"  // used, not defined
	CodeKeyUnused        Code = "partition-key-unused" // defined, not used
	CodeKeyInErrorPrefix Code = "partition-key-error"  // in an error prefix
	CodeTimeZone         Code = "time-zone"
	CodeQuery            Code = "query" // jq that does not parse, or that is not allowed
)

// Faults of one record: found when a prefix is evaluated.
const (
	CodeKeyNull      Code = "key-null"      // null or missing
	CodeKeyEmpty     Code = "key-empty"     // the empty string
	CodeKeyType      Code = "key-type"      // an object or an array
	CodeKeySlash     Code = "key-slash"     // holds "/"
	CodeKeyBackslash Code = "key-backslash" // holds "\"
	CodeKeyDots      Code = "key-dots"      // is "." or ".."
	CodeKeyControl   Code = "key-control"   // holds a control character or a line separator
	CodeKeyInvisible Code = "key-invisible" // holds a character that is not seen, or turns the text around
	CodeKeySpace     Code = "key-space"     // starts or ends with white space
	CodeKeyEncoding  Code = "key-encoding"  // not UTF-8, U+FFFD or a noncharacter
	CodeKeyLength    Code = "key-length"    // over MaxValue bytes
	CodeKeyQuery     Code = "key-query"     // jq gave an error
	CodeKeySteps     Code = "key-steps"     // jq was stopped
	CodeKeyOutputs   Code = "key-outputs"   // jq gave more than one value
	CodePrefixLength Code = "prefix-length" // over MaxEvaluated characters, or a segment over MaxSegment bytes
)

// A SyntaxError says what is wrong with an expression, where, and what would be right.
type SyntaxError struct {
	Code     Code
	Offset   int    // bytes from the start of the expression
	Column   int    // characters from the start of the expression, from 1
	Problem  string // what stands there
	Expected string // what could stand there; may be empty
	Hint     string // a next step; may be empty
}

// Error gives all parts on one line.
func (e *SyntaxError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "column %d: %s", e.Column, e.Problem)
	if e.Expected != "" {
		b.WriteString("; expected " + e.Expected)
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// at fills in the place: offset counts bytes of expr.
func (e *SyntaxError) at(expr string, offset int) *SyntaxError {
	e.Offset = min(offset, len(expr))
	e.Column = utf8.RuneCountInString(expr[:e.Offset]) + 1
	return e
}

// A RecordError says why a record has no place. It never holds the value itself,
// which is the text of a finding.
type RecordError struct {
	Code Code
	Key  string // the partition key; empty where the whole prefix is at fault
	Err  error  // what jq said, which may quote the record; nil otherwise
}

// Error names the key and the reason, and leaves Err out.
func (e *RecordError) Error() string {
	text := e.Code.sentence()
	switch {
	case e.Key != "":
		return "partition key " + e.Key + " " + text
	case e.Code != CodePrefixLength:
		return "the record's partition keys: " + text
	}
	return text
}

// Unwrap gives what jq said.
func (e *RecordError) Unwrap() error { return e.Err }

func (c Code) sentence() string {
	if text, ok := sentences[c]; ok {
		return text
	}
	return string(c)
}

var sentences = map[Code]string{
	CodeKeyNull:      "is null or missing",
	CodeKeyEmpty:     "is empty",
	CodeKeyType:      "is an object or an array",
	CodeKeySlash:     "holds a slash",
	CodeKeyBackslash: "holds a backslash",
	CodeKeyDots:      `is "." or ".."`,
	CodeKeyControl:   "holds a control character",
	CodeKeyInvisible: "holds an invisible character",
	CodeKeySpace:     "starts or ends with white space",
	CodeKeyEncoding:  "is not clean UTF-8",
	CodeKeyLength:    fmt.Sprintf("is longer than %d bytes", MaxValue),
	CodeKeyQuery:     "has no value: its query fails on this record",
	CodeKeySteps:     fmt.Sprintf("was given up after %d steps of its query", MaxSteps),
	CodeKeyOutputs:   "has more than one value",
	CodePrefixLength: fmt.Sprintf("prefix is longer than %d characters, or a part of it than %d bytes", MaxEvaluated, MaxSegment),
}
