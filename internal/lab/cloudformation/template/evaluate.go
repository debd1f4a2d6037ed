package template

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Unknown stands for what is known only when a change set has been executed.
const Unknown = "{{changeSet:KNOWN_AFTER_APPLY}}"

// IsUnknown tells whether a value is, or holds, something that is not known yet.
func IsUnknown(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, Unknown)
	case []any:
		return slices.ContainsFunc(v, IsUnknown)
	case map[string]any:
		for _, member := range v {
			if IsUnknown(member) {
				return true
			}
		}
	}
	return false
}

// A Scope is what the functions of a template are evaluated against.
type Scope struct {
	Template  *Template
	Arguments map[string]string // of the parameters, complete
	Pseudo    map[string]any    // of the pseudo parameters

	// Ref gives what Ref stands for of a resource that is there. Attribute is Fn::GetAtt. Import is Fn::ImportValue. Zones
	// are the availability zones of a region.
	Ref       func(resource string) (any, error)
	Attribute func(resource, attribute string) (any, error)
	Import    func(name string) (string, error)
	Zones     func(region string) []string

	conditions map[string]bool
}

// nothing is what AWS::NoValue stands for: it goes away with the member or element that holds it.
type nothing struct{}

// Condition tells whether a condition of the template is true; the empty one is.
func (s *Scope) Condition(name string) (bool, error) {
	if name == "" {
		return true, nil
	}
	if value, done := s.conditions[name]; done {
		return value, nil
	}
	value, err := s.truth(s.Template.Conditions[name])
	if err != nil {
		return false, err
	}
	if s.conditions == nil {
		s.conditions = make(map[string]bool)
	}
	s.conditions[name] = value
	return value, nil
}

// Evaluate gives a value with all functions in it replaced by what they stand for; nil where that is AWS::NoValue.
func (s *Scope) Evaluate(v any) (any, error) {
	out, err := s.evaluate(v)
	if _, none := out.(nothing); none {
		return nil, err
	}
	return out, err
}

func (s *Scope) evaluate(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		out := make([]any, 0, len(v))
		for _, element := range v {
			e, err := s.evaluate(element)
			if err != nil {
				return nil, err
			}
			if _, none := e.(nothing); !none {
				out = append(out, e)
			}
		}
		return out, nil
	case map[string]any:
		if name, argument, ok := call(v); ok && name != "Condition" {
			return s.apply(name, argument)
		}
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			e, err := s.evaluate(v[key])
			if err != nil {
				return nil, err
			}
			if _, none := e.(nothing); !none {
				out[key] = e
			}
		}
		return out, nil
	}
	return v, nil
}

// text evaluates to a single value, as text.
func (s *Scope) text(v any, function string) (string, error) {
	e, err := s.evaluate(v)
	if err != nil {
		return "", err
	}
	text, ok := plain(e)
	if !ok {
		return "", errorf("Template error: %s takes a string here", function)
	}
	return text, nil
}

func (s *Scope) apply(name string, argument any) (any, error) {
	list, _ := argument.([]any)
	switch name {
	case "Ref":
		text, _ := argument.(string)
		return s.ref(text)
	case "Fn::GetAtt":
		return s.attribute(list)
	case "Fn::Sub":
		return s.substitute(argument)
	case "Fn::Join":
		return s.join(list)
	case "Fn::Select":
		return s.choose(list)
	case "Fn::Split":
		return s.split(list)
	case "Fn::FindInMap":
		return s.find(list)
	case "Fn::If":
		condition, _ := list[0].(string)
		yes, err := s.Condition(condition)
		if err != nil {
			return nil, err
		}
		if yes {
			return s.evaluate(list[1])
		}
		return s.evaluate(list[2])
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		return s.truth(map[string]any{name: argument})
	case "Fn::ImportValue":
		export, err := s.text(argument, name)
		if err != nil {
			return nil, err
		}
		return s.Import(export)
	case "Fn::Base64":
		text, err := s.text(argument, name)
		if err != nil {
			return nil, err
		}
		return base64.StdEncoding.EncodeToString([]byte(text)), nil
	case "Fn::GetAZs":
		region, err := s.text(argument, name)
		if err != nil {
			return nil, err
		}
		if region == "" {
			region, _ = s.Pseudo[Region].(string)
		}
		out := []any{}
		for _, zone := range s.Zones(region) {
			out = append(out, zone)
		}
		return out, nil
	}
	return nil, errorf("Template error: the lab's CloudFormation has no function %s", name)
}

func (s *Scope) ref(name string) (any, error) {
	if name == NoValue {
		return nothing{}, nil
	}
	if v, ok := s.Pseudo[name]; ok {
		return v, nil
	}
	if p := s.Template.Parameters[name]; p != nil {
		return p.Value(s.Arguments[name]), nil
	}
	return s.Ref(name)
}

func (s *Scope) attribute(list []any) (any, error) {
	resource, _ := list[0].(string)
	attribute, err := s.text(list[1], "Fn::GetAtt")
	if err != nil {
		return nil, err
	}
	return s.Attribute(resource, attribute)
}

func (s *Scope) substitute(argument any) (any, error) {
	text, _ := argument.(string)
	own := map[string]any{}
	if list, ok := argument.([]any); ok {
		text, _ = list[0].(string)
		own, _ = list[1].(map[string]any)
	}
	var failed error
	out := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		name := strings.TrimSpace(match[2 : len(match)-1])
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			return "${" + literal + "}"
		}
		var v any
		var err error
		if value, there := own[name]; there {
			v, err = s.evaluate(value)
		} else if resource, attribute, ok := strings.Cut(name, "."); ok {
			v, err = s.Attribute(resource, attribute)
		} else {
			v, err = s.ref(name)
		}
		replacement, single := plain(v)
		if err == nil && !single {
			err = errorf("Template error: variable %s in Fn::Sub expression does not resolve to a string", name)
		}
		if err != nil && failed == nil {
			failed = err
		}
		return replacement
	})
	return out, failed
}

// texts evaluates to a list of single values.
func (s *Scope) texts(v any, function string) ([]any, error) {
	e, err := s.evaluate(v)
	if err != nil {
		return nil, err
	}
	if list, ok := e.([]any); ok {
		return list, nil
	}
	if IsUnknown(e) {
		return []any{Unknown}, nil
	}
	return nil, errorf("Template error: %s takes a list here", function)
}

func (s *Scope) join(list []any) (any, error) {
	delimiter, _ := list[0].(string)
	elements, err := s.texts(list[1], "Fn::Join")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i, element := range elements {
		text, ok := plain(element)
		if !ok {
			return nil, errorf("%s", joinShape)
		}
		if i > 0 {
			b.WriteString(delimiter)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

func (s *Scope) choose(list []any) (any, error) {
	text, err := s.text(list[0], "Fn::Select")
	if err != nil {
		return nil, err
	}
	elements, err := s.texts(list[1], "Fn::Select")
	if err != nil {
		return nil, err
	}
	if IsUnknown(elements) {
		return Unknown, nil
	}
	i, err := strconv.Atoi(text)
	if err != nil || i < 0 || i >= len(elements) {
		return nil, errorf("Template error: Fn::Select cannot select nonexistent value at index %s", text)
	}
	return elements[i], nil
}

func (s *Scope) split(list []any) (any, error) {
	delimiter, err := s.text(list[0], "Fn::Split")
	if err != nil {
		return nil, err
	}
	text, err := s.text(list[1], "Fn::Split")
	if err != nil {
		return nil, err
	}
	if IsUnknown(text) {
		return []any{Unknown}, nil
	}
	out := []any{}
	for part := range strings.SplitSeq(text, delimiter) {
		out = append(out, part)
	}
	return out, nil
}

func (s *Scope) find(list []any) (any, error) {
	var key [3]string
	for i := range key {
		var err error
		if key[i], err = s.text(list[i], "Fn::FindInMap"); err != nil {
			return nil, err
		}
	}
	v, there := s.Template.Mappings[key[0]][key[1]][key[2]]
	if !there {
		return nil, errorf("Template error: Unable to get mapping for %s::%s::%s", key[0], key[1], key[2])
	}
	return v, nil
}

// truth evaluates a condition.
func (s *Scope) truth(v any) (bool, error) {
	object, _ := v.(map[string]any)
	name, argument, ok := call(object)
	if !ok {
		return false, errorf("Template format error: Conditions can only be boolean operations on parameters and other conditions")
	}
	list, _ := argument.([]any)
	switch name {
	case "Condition":
		other, _ := argument.(string)
		return s.Condition(other)
	case "Fn::Not":
		value, err := s.truth(list[0])
		return !value, err
	case "Fn::Equals":
		return s.equal(list)
	case "Fn::And", "Fn::Or":
		out := name == "Fn::And"
		for _, element := range list {
			value, err := s.truth(element)
			if err != nil {
				return false, err
			}
			if name == "Fn::And" {
				out = out && value
			} else {
				out = out || value
			}
		}
		return out, nil
	}
	return false, errorf("Template format error: Conditions can only be boolean operations on parameters and other conditions")
}

func (s *Scope) equal(list []any) (bool, error) {
	var side [2]any
	for i := range side {
		v, err := s.evaluate(list[i])
		if err != nil {
			return false, err
		}
		side[i] = v
	}
	return Equal(side[0], side[1]), nil
}
