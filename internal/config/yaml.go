package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. They keep the YAML parser, whose work grows with the square of depth, fields and documents, and
// aliases, whose expansion grows exponentially, within seconds.
const (
	maxFile      = 1 << 20 // bytes
	maxDepth     = 64      // lists and objects within each other
	maxFields    = 10_000  // as written
	maxDocuments = 100
	maxNodes     = 100_000 // values after expansion of aliases
)

type kind uint8

const (
	nullKind kind = iota
	boolKind
	numberKind
	textKind
	listKind
	objectKind
)

// A value is what stands at one place of the file.
type value struct {
	kind         kind
	text         string // of a scalar: its content; of a number: as JSON writes it
	env          string // the variable that text is from, if any
	line, column int
	items        []*value
	members      []member
	bad          bool // reported already
}

// A member is a field of an object: its first occurrence only.
type member struct {
	name         string
	line, column int
	value        *value
}

// A reader makes values from YAML and keeps the faults that it meets.
type reader struct {
	file    string
	what    string // is in the file
	hint    string // for who has an empty one
	lookup  func(string) (string, bool)
	faults  []*FieldError
	anchors map[string]ast.Node
	open    map[string]bool // anchors that are being expanded
	nodes   int
}

func (r *reader) reset() {
	r.anchors, r.open = map[string]ast.Node{}, map[string]bool{}
}

// read returns the value of the whole file; nil when the file is no YAML or holds nothing, which is reported.
func (r *reader) read(data []byte) *value {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if len(data) > maxFile {
		r.fault(1, 1, "", "", fmt.Sprintf("a file of at most %d bytes", maxFile), "")
		return nil
	}
	if !r.plausible(data) {
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if t, want := excess(tokens); t != nil {
		r.fault(t.Position.Line, t.Position.Column, "", "", want, "")
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if doc.Body.Type() == ast.DirectiveType {
			r.at(doc.Body, "", "%", "no YAML directive", "leave the line out: catchment reads YAML 1.2")
			continue
		}
		bodies = append(bodies, doc.Body)
	}
	if len(bodies) == 0 {
		if len(r.faults) == 0 {
			r.fault(1, 1, "", "", r.what+", but the file is empty", r.hint)
		}
		return nil
	}
	for _, more := range bodies[1:] {
		r.at(more, "", "", "one YAML document in the file", `this is another one, after "---"`)
	}
	return r.value(bodies[0], "", 0)
}

// plausible reports what is wrong with the bytes, or the lines, before any parser sees them.
func (r *reader) plausible(data []byte) bool {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		if !utf8.Valid(line) {
			good := bytes.ToValidUTF8(line, []byte("\uFFFD"))
			i := bytes.IndexRune(good, utf8.RuneError)
			r.fault(number, utf8.RuneCount(good[:i])+1, "", "", "UTF-8", "this line holds other bytes")
			continue
		}
		if i := bytes.IndexFunc(line, isControl); i >= 0 {
			c, _ := utf8.DecodeRune(line[i:])
			r.fault(number, utf8.RuneCount(line[:i])+1, "", "", "text without control characters",
				fmt.Sprintf("write %U as an escape in double quotes", c))
			continue
		}
		rest := bytes.TrimLeft(line, " \t")
		indent := line[:len(line)-len(rest)]
		if i := bytes.IndexByte(indent, '\t'); i >= 0 && len(rest) > 0 {
			r.fault(number, i+1, "", "", "spaces before the first word of a line", "YAML knows no tab there")
		}
	}
	return len(r.faults) == 0
}

func isControl(c rune) bool {
	return c < ' ' && c != '\t' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfeff
}

// excess returns the token with which the file goes beyond what the parser is trusted with, and the bound. Blocks nest
// by indentation, which costs the writer a line each and is left to value; what counts here are brackets, and what can
// nest on one line.
func excess(tokens token.Tokens) (*token.Token, string) {
	brackets, onLine, last := 0, 0, 0
	fields, documents := 0, 0
	for _, t := range tokens {
		if t.Position.Line != last {
			onLine, last = 0, t.Position.Line
		}
		switch t.Type { //nolint:exhaustive // only what nests or repeats
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			onLine++
		case token.MappingValueType:
			fields++
		case token.DocumentHeaderType, token.DocumentEndType:
			documents++
		}
		switch {
		case brackets > maxDepth || onLine > maxDepth:
			return t, fmt.Sprintf("at most %d lists and objects within each other", maxDepth)
		case fields > maxFields:
			return t, fmt.Sprintf("at most %d fields", maxFields)
		case documents > maxDocuments:
			return t, "one YAML document in the file"
		}
	}
	return nil, ""
}

// syntax reports the parser's error. It stops at the first.
func (r *reader) syntax(err error) {
	line, column, message := 1, 1, err.Error()
	if e, ok := errors.AsType[yaml.Error](err); ok {
		message = e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			line, column = max(t.Position.Line, 1), max(t.Position.Column, 1)
		}
	}
	hint := "quote values that hold any of : # { } [ ] , & * ! | > ' \" % @ `"
	r.faults = append(r.faults, &FieldError{
		File: r.file, Line: line, Column: column, Want: "YAML", Hint: hint, Err: errors.New(message),
	})
}

func (r *reader) fault(line, column int, path, val, want, hint string) {
	r.faults = append(r.faults, &FieldError{
		File: r.file, Line: max(line, 1), Column: max(column, 1), Path: path, Value: val, Want: want, Hint: hint,
	})
}

func (r *reader) at(n ast.Node, path, val, want, hint string) {
	line, column := position(n)
	r.fault(line, column, path, val, want, hint)
}

// position is where a reader would point: at the first key of an object in block style, not at its colon.
func position(n ast.Node) (line, column int) {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return position(n.Values[0])
		}
	case *ast.MappingValueNode:
		return position(n.Key)
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return t.Position.Line, t.Position.Column
}

// value converts a node. It never returns nil: what cannot be converted is reported, and bad.
func (r *reader) value(n ast.Node, path string, depth int) *value {
	v := &value{bad: true, line: 1, column: 1}
	if n == nil {
		v.kind, v.bad = nullKind, false
		return v
	}
	v.line, v.column = position(n)
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		if r.nodes <= maxNodes+1 {
			r.fault(v.line, v.column, path, "", "a smaller file",
				fmt.Sprintf("at most %d values, aliases included, and %d within each other", maxNodes, maxDepth))
		}
		r.nodes = max(r.nodes, maxNodes+1) // said once
		return v
	}
	switch n := n.(type) {
	case *ast.AnchorNode:
		r.anchors[name(n.Name)] = n.Value
		return r.value(n.Value, path, depth)
	case *ast.AliasNode:
		return r.alias(n, v, path, depth)
	case *ast.TagNode:
		r.fault(v.line, v.column, path, n.Start.Value, "a value without a tag", "quotes make a text of anything")
	case *ast.MappingNode:
		r.object(v, n.Values, path, depth)
	case *ast.MappingValueNode:
		r.object(v, []*ast.MappingValueNode{n}, path, depth)
	case *ast.SequenceNode:
		v.kind, v.bad = listKind, false
		for i, item := range n.Values {
			v.items = append(v.items, r.value(item, Item(path, i), depth+1))
		}
	case *ast.LiteralNode:
		v.kind, v.bad, v.text = textKind, false, n.Value.Value
		r.expand(v, path)
	case ast.ScalarNode:
		r.scalar(v, n, path)
	default:
		r.fault(v.line, v.column, path, "", "a value", "this kind of YAML is not understood here")
	}
	return v
}

func (r *reader) alias(n *ast.AliasNode, v *value, path string, depth int) *value {
	anchor := name(n.Value)
	target, known := r.anchors[anchor]
	switch {
	case !known:
		r.fault(v.line, v.column, path, "*"+anchor, "an anchor that stands before it", "&"+anchor+" is nowhere above")
	case r.open[anchor]:
		r.fault(v.line, v.column, path, "*"+anchor, "an alias of something else", "it stands inside &"+anchor)
	default:
		r.open[anchor] = true
		v = r.value(target, path, depth+1)
		delete(r.open, anchor)
	}
	return v
}

func name(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

func (r *reader) object(v *value, values []*ast.MappingValueNode, path string, depth int) {
	v.kind, v.bad = objectKind, false
	lines := make(map[string]int, len(values))
	for _, m := range values {
		if !r.spaced(m, path) {
			continue
		}
		key, ok := r.key(m.Key, path)
		if !ok {
			continue
		}
		line, column := position(m.Key)
		field := Field(path, key)
		if first, twice := lines[key]; twice {
			r.fault(line, column, field, "", "each field once", fmt.Sprintf("it stands in line %d already", first))
			continue
		}
		lines[key] = line
		val := r.value(m.Value, field, depth+1)
		if m.Value == nil || m.Value.GetToken() != nil && m.Value.GetToken().Type == token.ImplicitNullType {
			val.line, val.column = line, column
		}
		v.members = append(v.members, member{name: key, line: line, column: column, value: val})
	}
}

// spaced refuses {name:x} and [12:30]: the parser makes fields of them, but other readers of YAML texts.
func (r *reader) spaced(m *ast.MappingValueNode, path string) bool {
	colon := m.Start
	if colon == nil || colon.Next == nil || colon.Type != token.MappingValueType || quoted(m.Key.GetToken()) {
		return true
	}
	next := colon.Next.Position
	if next.Line != colon.Position.Line || next.Column != colon.Position.Column+1 || colon.Next.Type == token.ImplicitNullType {
		return true
	}
	r.at(m.Key, path, shown(name(m.Key)+":"+colon.Next.Value), "a space after the colon of a field",
		"or quotes around all of it, if it is one text")
	return false
}

// untabbed refuses a tab within a text that is not quoted: the parser would leave it out.
func (r *reader) untabbed(t *token.Token, path string) bool {
	if !strings.Contains(strings.Trim(t.Origin, " \t\r\n"), "\t") {
		return true
	}
	r.fault(t.Position.Line, t.Position.Column, path, shown(t.Value), "no tab within a text", "quote it, or use spaces")
	return false
}

// key returns the name of a field: a text, or a number that is written as JSON would.
func (r *reader) key(n ast.Node, path string) (string, bool) {
	switch n := n.(type) {
	case *ast.MergeKeyNode:
		r.at(n, path, "<<", "fields written out", "merging objects is not supported; an alias for a whole value is")
		return "", false
	case *ast.StringNode:
		if quoted(n.Token) {
			return n.Value, true
		}
		if !r.untabbed(n.Token, path) {
			return "", false
		}
		if resolve(n.Value) == plainText {
			return n.Value, true
		}
	}
	text := name(n)
	r.at(n, path, shown(text), "the name of a field", "quote it if it is one: "+quote(text))
	return "", false
}

func quoted(t *token.Token) bool {
	return t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType
}

func (r *reader) scalar(v *value, n ast.ScalarNode, path string) {
	t := n.GetToken()
	if !quoted(t) && !r.untabbed(t, path) {
		return
	}
	v.bad = false
	if s, ok := n.(*ast.StringNode); ok && (quoted(t) || strings.ContainsAny(s.Value, " \n")) {
		v.kind, v.text = textKind, s.Value
		r.expand(v, path)
		return
	}
	v.text = t.Value
	switch resolve(v.text) {
	case plainNull:
		v.kind = nullKind
	case plainBool:
		v.kind, v.text = boolKind, strings.ToLower(v.text)
	case plainNumber:
		v.kind = numberKind
	case plainText:
		v.kind = textKind
		r.expand(v, path)
	case plainDoubtful:
		v.bad = true
		r.fault(v.line, v.column, path, v.text, "a value that every YAML reader understands alike",
			"quote it if it is a text: "+quote(v.text))
	}
}
