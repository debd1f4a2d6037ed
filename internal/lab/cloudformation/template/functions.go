package template

import (
	"maps"
	"slices"
	"strings"
)

// The functions that the lab knows. Ref and Condition are among them.
var functions = []string{
	"Condition", "Fn::And", "Fn::Base64", "Fn::Equals", "Fn::FindInMap", "Fn::GetAZs", "Fn::GetAtt", "Fn::If", "Fn::ImportValue", "Fn::Join",
	"Fn::Not", "Fn::Or", "Fn::Select", "Fn::Split", "Fn::Sub", "Ref",
}

func known(name string) bool { return slices.Contains(functions, name) }

// call takes an object apart that is a function: it has one member, which is the function's name.
func call(v map[string]any) (name string, argument any, ok bool) {
	if len(v) != 1 {
		return "", nil, false
	}
	for name, argument = range v {
		if name == "Ref" || strings.HasPrefix(name, "Fn::") {
			return name, argument, true
		}
		if _, text := argument.(string); name == "Condition" && text {
			return name, argument, true
		}
	}
	return "", nil, false
}

// AWS's words for functions that have another shape.
const (
	joinShape = "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined " +
		"or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
	subShape = "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, " +
		"and an optional second argument to specify a mapping of values to replace in the string"
	attributeShape = "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"
	refShape       = "Template error: every Ref object must have a single String value."
	ifShape        = "Template error: Fn::If requires a list argument with three elements"
)

// shape checks the arguments of the functions in a value, so that evaluating them cannot go wrong by their number.
func shape(v any, condition bool) error {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			if err := shape(element, condition); err != nil {
				return err
			}
		}
	case map[string]any:
		if name, argument, ok := call(v); ok && (name != "Condition" || condition) {
			if err := functionShape(name, argument); err != nil {
				return err
			}
			return shape(argument, condition || slices.Contains([]string{"Fn::And", "Fn::Or", "Fn::Not"}, name))
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if strings.HasPrefix(key, "Fn::") && len(v) > 1 {
				return errorf("Template format error: [%s] an object with a function has no other member", key)
			}
			if err := shape(v[key], condition); err != nil {
				return err
			}
		}
	}
	return nil
}

func functionShape(name string, argument any) error {
	list, isList := argument.([]any)
	text, isText := argument.(string)
	counted := func(least, most int) error {
		if !isList || len(list) < least || len(list) > most {
			return errorf("Template error: every %s object requires a list of %d to %d parameters", name, least, most)
		}
		return nil
	}
	switch name {
	case "Ref", "Condition":
		if !isText || text == "" {
			return errorf("%s", refShape)
		}
	case "Fn::GetAtt":
		if !isList || len(list) != 2 || list[0] == "" || list[1] == "" {
			return errorf("%s", attributeShape)
		}
	case "Fn::Sub":
		if isText {
			return nil
		}
		if !isList || len(list) != 2 {
			return errorf("%s", subShape)
		}
		_, first := list[0].(string)
		_, second := list[1].(map[string]any)
		if !first || !second {
			return errorf("%s", subShape)
		}
	case "Fn::Join":
		if !isList || len(list) != 2 {
			return errorf("%s", joinShape)
		}
		if _, ok := list[0].(string); !ok {
			return errorf("%s", joinShape)
		}
	case "Fn::If":
		if !isList || len(list) != 3 {
			return errorf("%s", ifShape)
		}
	case "Fn::Select", "Fn::Split", "Fn::Equals":
		return counted(2, 2)
	case "Fn::FindInMap":
		return counted(3, 3)
	case "Fn::And", "Fn::Or":
		return counted(2, 10)
	case "Fn::Not":
		return counted(1, 1)
	case "Fn::Base64", "Fn::ImportValue", "Fn::GetAZs":
	default:
		return errorf("Template error: the lab's CloudFormation has no function %s", name)
	}
	return nil
}

// Equal tells whether two values are the same, where a number or a boolean is as good as its text.
func Equal(a, b any) bool {
	if x, ok := plain(a); ok {
		y, ok := plain(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, Equal)
	}
	return a == nil && b == nil
}
