package pattern

import (
	"bytes"

	"example.org/catchment/internal/scan"
)

// A node is one value of a pattern's text, with its place. Patterns are small, so they are read into a tree; events
// never are.
type node struct {
	kind       scan.Kind
	start, end int
	text       string // a string's content, or a number's own text
	members    []member
	elements   []node
}

type member struct {
	key   string
	start int // of the key
	value node
}

func (n *node) describe() string {
	switch n.kind {
	case scan.Object:
		if len(n.members) == 0 {
			return "an empty object"
		}
		return "an object"
	case scan.Null:
		return "null"
	case scan.False:
		return "false"
	case scan.True:
		return "true"
	case scan.Number:
		return "the number " + clip(n.text)
	case scan.String:
		return "the string " + clip(quote(n.text))
	case scan.Array:
		if len(n.elements) == 0 {
			return "an empty array"
		}
	}
	return "an array"
}

// tree builds nodes from a text that the scanner has found to be valid, which is why nothing is checked here.
type tree struct{ text []byte }

func (t tree) value(i int) (node, int) {
	n := node{start: i}
	switch t.text[i] {
	case '{':
		n.kind = scan.Object
		for i = skipSpace(t.text, i+1); t.text[i] != '}'; {
			m := member{start: i}
			m.key, i = t.string(i)
			i = skipSpace(t.text, skipSpace(t.text, i)+1)
			m.value, i = t.value(i)
			n.members = append(n.members, m)
			if i = skipSpace(t.text, i); t.text[i] == ',' {
				i = skipSpace(t.text, i+1)
			}
		}
		i++
	case '[':
		n.kind = scan.Array
		for i = skipSpace(t.text, i+1); t.text[i] != ']'; {
			var e node
			e, i = t.value(i)
			n.elements = append(n.elements, e)
			if i = skipSpace(t.text, i); t.text[i] == ',' {
				i = skipSpace(t.text, i+1)
			}
		}
		i++
	case '"':
		n.kind = scan.String
		n.text, i = t.string(i)
	case 't':
		n.kind, i = scan.True, i+len("true")
	case 'f':
		n.kind, i = scan.False, i+len("false")
	case 'n':
		n.kind, i = scan.Null, i+len("null")
	default:
		n.kind = scan.Number
		length := bytes.IndexFunc(t.text[i:], func(r rune) bool { return !isNumberRune(r) })
		if length < 0 {
			length = len(t.text) - i
		}
		n.text, i = string(t.text[i:i+length]), i+length
	}
	n.end = i
	return n, i
}

func (t tree) string(i int) (string, int) {
	end := i + 1
	for t.text[end] != '"' {
		if t.text[end] == '\\' {
			end++
		}
		end++
	}
	return string(scan.AppendUnescaped(nil, t.text[i+1:end])), end + 1
}

func isNumberRune(r rune) bool {
	return r >= '0' && r <= '9' || r == '-' || r == '+' || r == '.' || r == 'e' || r == 'E'
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func hasOr(n *node) bool {
	for i := range n.members {
		if n.members[i].key == or || hasOr(&n.members[i].value) {
			return true
		}
	}
	for i := range n.elements {
		if hasOr(&n.elements[i]) {
			return true
		}
	}
	return false
}
