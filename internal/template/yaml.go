package template

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// A node is an object whose members keep their order.
type node []member

type member struct {
	name  string
	value any // string, int, bool, []any, node, or an intrinsic function
}

// object makes a node of names and values in turn. A nil value leaves its member out.
func object(pairs ...any) node {
	var out node
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != nil {
			out = append(out, member{pairs[i].(string), pairs[i+1]}) //nolint:forcetypeassert // a mistake of this package
		}
	}
	return out
}

func list(values ...any) []any {
	var out []any
	for _, v := range values {
		if v != nil {
			out = append(out, v)
		}
	}
	return out
}

// An intrinsic is a function of CloudFormation in its short form.
type intrinsic struct {
	tag   string // !Sub
	value any    // string or []any
}

func ref(name string) any           { return intrinsic{"!Ref", name} }
func sub(text string) any           { return intrinsic{"!Sub", text} }
func attribute(of, name string) any { return intrinsic{"!GetAtt", of + "." + name} }

func choice(condition string, yes, no any) any {
	return intrinsic{"!If", []any{condition, yes, no}}
}

func equals(a, b any) any { return intrinsic{"!Equals", []any{a, b}} }
func not(a any) any       { return intrinsic{"!Not", []any{a}} }

// novalue leaves a property out.
func novalue() any { return ref("AWS::NoValue") }

// A raw is a number or null as it stands in JSON.
type raw string

// render writes YAML 1.1 as CloudFormation reads it.
func render(t node) []byte {
	var b bytes.Buffer
	writeNode(&b, t, 0, false)
	return b.Bytes()
}

func indent(b *bytes.Buffer, depth int) { b.WriteString(strings.Repeat("  ", depth)) }

// writeNode writes members; where first is set, the first one goes on on the line of the list's dash.
func writeNode(b *bytes.Buffer, n node, depth int, first bool) {
	for i, m := range n {
		if i > 0 || !first {
			indent(b, depth)
		}
		b.WriteString(quote(m.name) + ":")
		writeValue(b, m.value, depth+1)
		if depth == 0 && i < len(n)-1 || depth == 1 && i < len(n)-1 && isNode(m.value) {
			b.WriteByte('\n')
		}
	}
}

func isNode(v any) bool {
	n, ok := v.(node)
	return ok && len(n) > 0
}

// writeValue writes what stands behind a colon.
func writeValue(b *bytes.Buffer, v any, depth int) {
	switch v := v.(type) {
	case node:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteByte('\n')
		writeNode(b, v, depth, false)
	case []any:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteByte('\n')
		writeList(b, v, depth)
	case intrinsic:
		b.WriteString(" " + v.tag)
		writeValue(b, v.value, depth)
	default:
		b.WriteString(" " + scalar(v) + "\n")
	}
}

func writeList(b *bytes.Buffer, values []any, depth int) {
	for _, v := range values {
		indent(b, depth)
		b.WriteByte('-')
		if n, ok := v.(node); ok && len(n) > 0 {
			b.WriteByte(' ')
			writeNode(b, n, depth+1, true)
			continue
		}
		writeValue(b, v, depth+1)
	}
}

func scalar(v any) string {
	switch v := v.(type) {
	case raw:
		return string(v)
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case string:
		return quote(v)
	}
	panic("template: a value that YAML has no form for here") // a mistake of this package
}

// plain is text that YAML reads as itself without quotes: no number, no word of YAML 1.1, nothing that starts a structure.
var plain = regexp.MustCompile(`^[A-Za-z_/$][A-Za-z0-9 _./:${}+*=()-]*$`)

var yamlWords = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null|~)$`)

// quote writes a text as one scalar.
func quote(s string) string {
	if plain.MatchString(s) && !yamlWords.MatchString(s) && !strings.Contains(s, ": ") && !strings.HasSuffix(s, ":") && !strings.HasSuffix(s, " ") &&
		!strings.Contains(s, " #") {
		return s
	}
	if !strings.ContainsAny(s, "\n\t\\") && isPrintable(s) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return strconv.Quote(s) // YAML's double quotes know Go's escapes of what is printable there
}

func isPrintable(s string) bool {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}
