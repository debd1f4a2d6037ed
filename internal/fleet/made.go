package fleet

import (
	"fmt"
	"maps"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// made are the changes of making a stack that is not there yet, read from its template: nobody has to be asked, so a plan
// leaves nothing behind. Of CloudFormation's functions it knows those that the conditions of our templates use.
func made(text []byte, parameters map[string]string) ([]Change, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	if len(file.Docs) != 1 {
		return nil, fmt.Errorf("read the template: %d documents", len(file.Docs))
	}
	root := members(file.Docs[0].Body)
	known := make(map[string]string)
	for name, p := range root.of("Parameters") {
		if d := members(p)["Default"]; d != nil {
			known[name] = scalar(d)
		}
		if v, given := parameters[name]; given {
			known[name] = v
		}
	}
	conditions := root.of("Conditions")
	var out []Change
	for name, r := range root.of("Resources") {
		resource := members(r)
		if c := resource["Condition"]; c != nil {
			holds, err := condition(conditions[scalar(c)], known)
			if err != nil {
				return nil, fmt.Errorf("condition %s: %w", scalar(c), err)
			}
			if !holds {
				continue
			}
		}
		out = append(out, Change{Action: ActionCreate, Type: scalar(resource["Type"]), Resource: name})
	}
	slices.SortFunc(out, func(a, b Change) int {
		if a.Resource < b.Resource {
			return -1
		}
		return 1
	})
	return out, nil
}

// parameterNames are the parameters of a template, in order.
func parameterNames(text []byte) ([]string, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil || len(file.Docs) != 1 {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	return slices.Sorted(maps.Keys(members(file.Docs[0].Body).of("Parameters"))), nil
}

// object is a mapping of YAML.
type object map[string]ast.Node

func (o object) of(name string) object { return members(o[name]) }

func members(n ast.Node) object {
	out := make(object)
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			out[scalar(v.Key)] = v.Value
		}
	case *ast.MappingValueNode:
		out[scalar(n.Key)] = n.Value
	}
	return out
}

// scalar is a scalar as text.
func scalar(n ast.Node) string {
	switch n := n.(type) {
	case nil:
		return ""
	case *ast.StringNode:
		return n.Value
	case ast.ScalarNode:
		return fmt.Sprint(n.GetValue())
	case ast.MapKeyNode:
		return n.String()
	}
	return ""
}

// condition evaluates !Equals and !Not of texts and parameters.
func condition(n ast.Node, known map[string]string) (bool, error) {
	tag, ok := n.(*ast.TagNode)
	if !ok {
		return false, fmt.Errorf("expected a function")
	}
	args, _ := tag.Value.(*ast.SequenceNode)
	switch {
	case tag.Start.Value == "!Not" && args != nil && len(args.Values) == 1:
		holds, err := condition(args.Values[0], known)
		return !holds, err
	case tag.Start.Value == "!Equals" && args != nil && len(args.Values) == 2:
		return operand(args.Values[0], known) == operand(args.Values[1], known), nil
	}
	return false, fmt.Errorf("function %s is not known here", tag.Start.Value)
}

func operand(n ast.Node, known map[string]string) string {
	if tag, ok := n.(*ast.TagNode); ok && tag.Start.Value == "!Ref" {
		return known[scalar(tag.Value)]
	}
	return scalar(n)
}
