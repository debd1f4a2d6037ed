package template

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxValue is the longest value of a parameter, in bytes.
const maxValue = 4096

// A Parameter is one of a template.
type Parameter struct {
	Type           string
	Default        *string
	NoEcho         bool
	Description    string
	Constraint     string // ConstraintDescription
	AllowedValues  []string
	AllowedPattern string

	pattern              *regexp.Regexp
	minLength, maxLength *float64
	minValue, maxValue   *float64
}

var parameterTypes = regexp.MustCompile(`^(String|Number|List<Number>|CommaDelimitedList|AWS::EC2::[A-Za-z:]+|List<AWS::EC2::[A-Za-z:]+>|AWS::Route53::HostedZone::Id)$`)

var parameterMembers = []string{
	"AllowedPattern", "AllowedValues", "ConstraintDescription", "Default", "Description", "MaxLength", "MaxValue", "MinLength", "MinValue", "NoEcho", "Type",
}

func (t *Template) readParameters(root map[string]any) error {
	all, err := section(root, "Parameters", maxParameters, "Parameter")
	if err != nil {
		return err
	}
	t.Parameters = make(map[string]*Parameter, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p, err := readParameter(name, all[name])
		if err != nil {
			return err
		}
		t.Parameters[name] = p
	}
	return nil
}

func readParameter(name string, object map[string]any) (*Parameter, error) {
	for _, member := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(parameterMembers, member) {
			return nil, errorf("Invalid template parameter property '%s'", member)
		}
	}
	p := &Parameter{}
	p.Type, _ = object["Type"].(string)
	switch {
	case p.Type == "":
		return nil, errorf("Template format error: [/Parameters/%s] Every Parameters object must contain a Type member.", name)
	case !parameterTypes.MatchString(p.Type):
		return nil, errorf("Template format error: Unrecognized parameter type: %s", p.Type)
	}
	if v, there := object["Default"]; there {
		text, ok := plain(v)
		if !ok {
			return nil, errorf("Template format error: Every Default member must be a string.")
		}
		p.Default = &text
	}
	echo, _ := plain(object["NoEcho"])
	p.NoEcho = echo == "true"
	p.Description, _ = object["Description"].(string)
	p.Constraint, _ = object["ConstraintDescription"].(string)
	if v, ok := object["AllowedValues"].([]any); ok {
		for _, element := range v {
			text, _ := plain(element)
			p.AllowedValues = append(p.AllowedValues, text)
		}
	}
	if p.AllowedPattern, _ = object["AllowedPattern"].(string); p.AllowedPattern != "" {
		var err error
		if p.pattern, err = regexp.Compile(`^(?:` + p.AllowedPattern + `)$`); err != nil {
			return nil, errorf("Template format error: Parameter '%s' AllowedPattern is not a valid regular expression.", name)
		}
	}
	for member, to := range map[string]**float64{"MinLength": &p.minLength, "MaxLength": &p.maxLength, "MinValue": &p.minValue, "MaxValue": &p.maxValue} {
		if v, there := object[member]; there {
			text, _ := plain(v)
			f, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, errorf("Template format error: Every %s member must be a number.", member)
			}
			*to = &f
		}
	}
	return p, nil
}

func (p *Parameter) list() bool {
	return p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<")
}

// Value is what Ref gives for a parameter's value: a text, or a list of texts.
func (p *Parameter) Value(text string) any {
	if !p.list() {
		return text
	}
	out := []any{}
	if text == "" {
		return out
	}
	for part := range strings.SplitSeq(text, ",") {
		out = append(out, strings.TrimSpace(part))
	}
	return out
}

// Arguments holds what was given for the parameters against the template, and completes it by the defaults.
func (t *Template) Arguments(given map[string]string) (map[string]string, error) {
	var strange, missing []string
	for name := range given {
		if t.Parameters[name] == nil {
			strange = append(strange, name)
		}
	}
	if len(strange) > 0 {
		slices.Sort(strange)
		return nil, errorf("Parameters: [%s] do not exist in the template", strings.Join(strange, ", "))
	}
	out := make(map[string]string, len(t.Parameters))
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		p := t.Parameters[name]
		value, there := given[name]
		switch {
		case there:
		case p.Default != nil:
			value = *p.Default
		default:
			missing = append(missing, name)
			continue
		}
		if err := p.check(name, value); err != nil {
			return nil, err
		}
		out[name] = value
	}
	if len(missing) > 0 {
		return nil, errorf("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	return out, nil
}

func (p *Parameter) check(name, value string) error {
	fail := func(format string, args ...any) error {
		if p.Constraint != "" {
			return errorf("Parameter '%s' failed to satisfy constraint: %s", name, p.Constraint)
		}
		return errorf("Parameter '%s' "+format, append([]any{name}, args...)...)
	}
	if len(value) > maxValue {
		return errorf("Parameter '%s' must be no longer than %d bytes", name, maxValue)
	}
	values := []string{value}
	if p.list() {
		values = nil
		list, _ := p.Value(value).([]any)
		for _, v := range list {
			text, _ := v.(string)
			values = append(values, text)
		}
	}
	for _, v := range values {
		if strings.Contains(p.Type, "Number") {
			f, err := strconv.ParseFloat(v, 64)
			switch {
			case err != nil:
				return errorf("Parameter '%s' must be a number.", name)
			case p.minValue != nil && f < *p.minValue:
				return fail("must be a number not less than %v", *p.minValue)
			case p.maxValue != nil && f > *p.maxValue:
				return fail("must be a number not greater than %v", *p.maxValue)
			}
		}
		switch {
		case len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, v):
			return fail("must be one of AllowedValues")
		case p.pattern != nil && !p.pattern.MatchString(v):
			return fail("must match pattern %s", p.AllowedPattern)
		}
	}
	switch {
	case p.minLength != nil && float64(len(value)) < *p.minLength:
		return fail("must contain at least %v characters", *p.minLength)
	case p.maxLength != nil && float64(len(value)) > *p.maxLength:
		return fail("must contain at most %v characters", *p.maxLength)
	}
	return nil
}
