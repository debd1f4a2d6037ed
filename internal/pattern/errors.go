package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.org/catchment/internal/scan"
)

// A SyntaxError says where a pattern is wrong, and why.
type SyntaxError struct {
	Path   string // JSON path, such as $.detail.state[0].prefix
	Offset int    // in bytes, from 0
	Line   int    // from 1
	Column int    // in characters, from 1
	Reason string // what is wrong and what was expected
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d, at %s: %s", e.Line, e.Column, e.Path, e.Reason)
}

func newSyntaxError(text []byte, offset int, path, reason string) *SyntaxError {
	before := text[:min(offset, len(text))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return &SyntaxError{Path: path, Offset: offset, Line: line, Column: column, Reason: reason}
}

// notJSON turns what the scanner says into a SyntaxError. Its path is only the root: the text has no structure yet.
func notJSON(text []byte, read int, err error) *SyntaxError {
	if syntax, ok := errors.AsType[*scan.SyntaxError](err); ok {
		return newSyntaxError(text, syntax.Offset, "$", "not valid JSON: "+syntax.Reason)
	}
	return newSyntaxError(text, max(read, 0), "$", "not valid JSON: "+err.Error())
}

// join appends a member's name to a JSON path.
func join(path, key string) string {
	plain := key != ""
	for i := range len(key) {
		c := key[i]
		if c != '_' && c != '-' && c != '$' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			plain = false
		}
	}
	if plain {
		return path + "." + key
	}
	return path + "[" + quote(key) + "]"
}

func element(path string, index int) string { return path + "[" + strconv.Itoa(index) + "]" }

// quote renders a string as JSON, all in printable ASCII but for letters that are not ASCII.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= 0x10000 && !strconv.IsPrint(r):
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case !strconv.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
