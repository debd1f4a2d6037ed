package template

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// AWS's limits. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const (
	maxResources   = 500
	maxParameters  = 200
	maxOutputs     = 200
	maxMappings    = 200
	maxDescription = 1024
)

// A Template is one that was read and checked.
type Template struct {
	Version     string // 2010-09-09, or empty
	Description string
	Metadata    any
	Parameters  map[string]*Parameter
	Mappings    map[string]map[string]map[string]any
	Conditions  map[string]any
	Resources   map[string]*Resource
	Outputs     map[string]*Output
}

// A Resource is one of a template, as it was written.
type Resource struct {
	Type                string
	Properties          map[string]any
	DependsOn           []string
	Condition           string
	DeletionPolicy      string // Delete, Retain, RetainExceptOnCreate; empty: Delete
	UpdateReplacePolicy string
	Metadata            any

	needs []string // other resources that it refers to or depends on, sorted
}

// Needs are the resources that have to be there before this one, sorted.
func (r *Resource) Needs() []string { return r.needs }

// An Output is one of a template, as it was written.
type Output struct {
	Value       any
	Description string
	Export      any // the name; nil: none
	Condition   string
}

var sections = []string{
	"AWSTemplateFormatVersion", "Conditions", "Description", "Mappings", "Metadata", "Outputs", "Parameters", "Resources", "Rules", "Transform",
}

// Parse reads a template and checks it, but for the types and properties of its resources. Its errors are *Errors.
func Parse(body string) (*Template, error) {
	v, err := read(body)
	if err != nil {
		return nil, err
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, errorf("Template format error: unsupported structure.")
	}
	var strange []string
	for name := range root {
		if !slices.Contains(sections, name) {
			strange = append(strange, name)
		}
	}
	if len(strange) > 0 {
		slices.Sort(strange)
		return nil, errorf("Invalid template property or properties [%s]", strings.Join(strange, ", "))
	}
	for _, name := range []string{"Rules", "Transform"} {
		if root[name] != nil {
			return nil, errorf("Template format error: the lab's CloudFormation has no %s", name)
		}
	}
	t := &Template{Metadata: root["Metadata"]}
	for _, step := range []func(map[string]any) error{t.readHead, t.readParameters, t.readMappings, t.readConditions, t.readResources, t.readOutputs} {
		if err := step(root); err != nil {
			return nil, err
		}
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Template) readHead(root map[string]any) error {
	if v, there := root["AWSTemplateFormatVersion"]; there {
		t.Version, _ = v.(string)
		if t.Version != "2010-09-09" {
			return errorf("Template format error: unsupported value for AWSTemplateFormatVersion.")
		}
	}
	if v, there := root["Description"]; there {
		text, ok := v.(string)
		if !ok {
			return errorf("Template format error: every Description member must be a string.")
		}
		if len(text) > maxDescription {
			return errorf("Template format error: Description length must be less than or equal to %d.", maxDescription)
		}
		t.Description = text
	}
	return nil
}

// section gives the objects of a section by their names.
func section(root map[string]any, name string, most int, kind string) (map[string]map[string]any, error) {
	v, there := root[name]
	if !there || v == nil {
		return nil, nil
	}
	all, ok := v.(map[string]any)
	if !ok {
		return nil, errorf("Template format error: %s must be a map.", name)
	}
	if len(all) > most {
		return nil, errorf("Template format error: Number of %s, %d, is greater than maximum allowed, %d", strings.ToLower(name), len(all), most)
	}
	out := make(map[string]map[string]any, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		object, ok := all[key].(map[string]any)
		if !ok {
			return nil, errorf("Template format error: [/%s/%s] Any %s member must be an object.", name, key, name)
		}
		if !alphanumeric.MatchString(key) {
			return nil, errorf("Template format error: %s name %s is non alphanumeric.", kind, key)
		}
		out[key] = object
	}
	return out, nil
}

var alphanumeric = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)

func (t *Template) readMappings(root map[string]any) error {
	all, err := section(root, "Mappings", maxMappings, "Mapping")
	if err != nil {
		return err
	}
	t.Mappings = make(map[string]map[string]map[string]any)
	for name, first := range all {
		t.Mappings[name] = make(map[string]map[string]any)
		for key, v := range first {
			second, ok := v.(map[string]any)
			if !ok {
				return errorf("Template format error: Every Mappings attribute must be a map of maps: %s", name)
			}
			t.Mappings[name][key] = second
		}
	}
	return nil
}

func (t *Template) readConditions(root map[string]any) error {
	all, err := section(root, "Conditions", maxResources, "Condition")
	if err != nil {
		return err
	}
	t.Conditions = make(map[string]any, len(all))
	for name, object := range all {
		t.Conditions[name] = object
	}
	return nil
}

var resourceMembers = []string{
	"Condition", "CreationPolicy", "DeletionPolicy", "DependsOn", "Metadata", "Properties", "Type", "UpdatePolicy", "UpdateReplacePolicy",
}

func (t *Template) readResources(root map[string]any) error {
	all, err := section(root, "Resources", maxResources, "Resource")
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errorf("Template format error: At least one Resources member must be defined.")
	}
	t.Resources = make(map[string]*Resource, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r, err := readResource(name, all[name])
		if err != nil {
			return err
		}
		t.Resources[name] = r
	}
	return nil
}

func readResource(name string, object map[string]any) (*Resource, error) {
	for _, member := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(resourceMembers, member) {
			return nil, errorf("Invalid template resource property '%s'", member)
		}
	}
	r := &Resource{Metadata: object["Metadata"], Properties: map[string]any{}}
	var ok bool
	if r.Type, ok = object["Type"].(string); !ok || r.Type == "" {
		return nil, errorf("Template format error: [/Resources/%s] Every Resources object must contain a Type member.", name)
	}
	if v := object["Properties"]; v != nil {
		if r.Properties, ok = v.(map[string]any); !ok {
			return nil, errorf("Template format error: [/Resources/%s/Properties] Any Properties member must be an object.", name)
		}
	}
	for member, to := range map[string]*string{
		"Condition": &r.Condition, "DeletionPolicy": &r.DeletionPolicy, "UpdateReplacePolicy": &r.UpdateReplacePolicy,
	} {
		if v := object[member]; v != nil {
			if *to, ok = v.(string); !ok {
				return nil, errorf("Template format error: Every %s member must be a string.", member)
			}
		}
	}
	for member, value := range map[string]string{"DeletionPolicy": r.DeletionPolicy, "UpdateReplacePolicy": r.UpdateReplacePolicy} {
		switch value {
		case "", "Delete", "Retain", "RetainExceptOnCreate":
		default:
			return nil, errorf("Template format error: Unrecognized %s %s for resource %s", member, value, name)
		}
	}
	switch v := object["DependsOn"].(type) {
	case nil:
	case string:
		r.DependsOn = []string{v}
	case []any:
		for _, element := range v {
			text, ok := element.(string)
			if !ok {
				return nil, errorf("Template format error: DependsOn must be a string or list of strings.")
			}
			r.DependsOn = append(r.DependsOn, text)
		}
	default:
		return nil, errorf("Template format error: DependsOn must be a string or list of strings.")
	}
	return r, nil
}

func (t *Template) readOutputs(root map[string]any) error {
	all, err := section(root, "Outputs", maxOutputs, "Output")
	if err != nil {
		return err
	}
	t.Outputs = make(map[string]*Output, len(all))
	for name, object := range all {
		o := &Output{Value: object["Value"]}
		if o.Value == nil {
			return errorf("Template format error: [/Outputs/%s] Every Outputs member must contain a Value object", name)
		}
		o.Description, _ = object["Description"].(string)
		o.Condition, _ = object["Condition"].(string)
		if export, ok := object["Export"].(map[string]any); ok && export["Name"] != nil {
			o.Export = export["Name"]
		} else if object["Export"] != nil {
			return errorf("Template format error: Output %s is malformed. The Name field of every Export member must be specified.", name)
		}
		t.Outputs[name] = o
	}
	return nil
}
