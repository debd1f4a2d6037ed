// Package template reads CloudFormation's templates, in YAML or JSON.
//
// Parse reads and checks one, with the messages that AWS gives. A Scope evaluates its intrinsic functions against
// parameters, pseudo parameters and what resources have become. The package knows no resource type: which properties a
// type has is not its business.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-reference.html
package template

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a template, beside AWS's own.
const (
	MaxBody  = 1 << 20 // bytes, by TemplateURL
	maxDepth = 64
	maxNodes = 200_000
)

// An Error is what is wrong with a template, in AWS's words.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// read makes JSON's values of a body: texts, float64, bool, nil, []any and map[string]any. Short forms of functions become
// long ones.
func read(body string) (any, error) {
	if len(body) > MaxBody {
		return nil, errorf("Template may not exceed %d bytes in size.", MaxBody)
	}
	if strings.HasPrefix(strings.TrimSpace(body), "{") {
		var v any
		err := json.Unmarshal([]byte(body), &v)
		if err == nil {
			return v, nil
		}
		if v, err := readYAML(body); err == nil {
			return v, nil // a flow mapping
		}
		if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			before := body[:min(int(syntax.ByteOffset), len(body))]
			line := strings.Count(before, "\n") + 1
			return nil, errorf("Template format error: JSON not well-formed. (line %d, column %d)", line, len(before)-strings.LastIndexByte(before, '\n'))
		}
		return nil, errorf("Template format error: JSON not well-formed.")
	}
	return readYAML(body)
}

func notWellFormed(line, column int) error {
	return errorf("Template format error: YAML not well-formed. (line %d, column %d)", line, column)
}

func readYAML(body string) (any, error) {
	tokens := lexer.Tokenize(quoteColons(body))
	depth := 0
	for _, t := range tokens {
		switch t.Type { //nolint:exhaustive // the parser sees the others
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.AnchorType, token.AliasType:
			return nil, errorf("Template error: YAML aliases are not allowed in CloudFormation templates")
		}
		if depth > maxDepth || t.Position != nil && t.Position.IndentNum > maxDepth {
			return nil, errorf("Template format error: a template has at most %d levels", maxDepth)
		}
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil && syntax.GetToken().Position != nil {
			p := syntax.GetToken().Position
			return nil, notWellFormed(p.Line, p.Column)
		}
		return nil, notWellFormed(1, 1)
	}
	r := reader{}
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.DirectiveType {
			return r.value(doc.Body, 0)
		}
	}
	return nil, errorf("Template format error: unsupported structure.")
}

// A reader makes values of YAML's nodes.
type reader struct{ nodes int }

func (r *reader) value(n ast.Node, depth int) (any, error) {
	if r.nodes++; depth > 2*maxDepth || r.nodes > maxNodes {
		return nil, errorf("Template format error: a template has at most %d values, %d levels deep", maxNodes, maxDepth)
	}
	switch n := n.(type) {
	case *ast.NullNode:
		return nil, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode:
		return number(n.Token.Value), nil
	case *ast.FloatNode:
		return number(n.Token.Value), nil
	case *ast.TagNode:
		return r.tagged(n, depth)
	case *ast.SequenceNode:
		list := make([]any, 0, len(n.Values))
		for _, element := range n.Values {
			v, err := r.value(element, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case *ast.MappingNode:
		return r.mapping(n.Values, depth)
	case *ast.MappingValueNode:
		return r.mapping([]*ast.MappingValueNode{n}, depth)
	}
	t := n.GetToken()
	if t != nil && t.Position != nil {
		return nil, notWellFormed(t.Position.Line, t.Position.Column)
	}
	return nil, notWellFormed(1, 1)
}

// number is a number as JSON has it. One with zeros before it, such as an account's id, is a text.
func number(text string) any {
	digits := strings.TrimLeft(text, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
		return text
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil {
		return text
	}
	return f
}

func (r *reader) mapping(members []*ast.MappingValueNode, depth int) (any, error) {
	out := make(map[string]any, len(members))
	for _, m := range members {
		key, err := r.value(m.Key, depth+1)
		if err != nil {
			return nil, err
		}
		name, ok := plain(key)
		if !ok {
			p := m.Key.GetToken().Position
			return nil, notWellFormed(p.Line, p.Column)
		}
		if out[name], err = r.value(m.Value, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tagged reads !Ref, !GetAtt and their kin.
func (r *reader) tagged(n *ast.TagNode, depth int) (any, error) {
	v, err := r.value(n.Value, depth+1)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(n.Start.Value, "!")
	switch name {
	case "Ref", "Condition":
		return map[string]any{name: v}, nil
	case "!str":
		if text, ok := plain(v); ok {
			return text, nil
		}
		return v, nil
	case "GetAtt":
		if text, ok := v.(string); ok {
			resource, attribute, _ := strings.Cut(text, ".")
			v = []any{resource, attribute}
		}
	}
	if !known("Fn::" + name) {
		return nil, errorf("Template format error: YAML not well-formed. Unknown tag !%s", name)
	}
	return map[string]any{"Fn::" + name: v}, nil
}

// plain is a single value as text.
func plain(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}
