package template

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The pseudo parameters.
const (
	AccountID        = "AWS::AccountId"
	NotificationARNs = "AWS::NotificationARNs"
	NoValue          = "AWS::NoValue"
	Partition        = "AWS::Partition"
	Region           = "AWS::Region"
	StackID          = "AWS::StackId"
	StackName        = "AWS::StackName"
	URLSuffix        = "AWS::URLSuffix"
)

var pseudo = []string{AccountID, NotificationARNs, NoValue, Partition, Region, StackID, StackName, URLSuffix}

// References are what a value refers to.
type References struct {
	Names      []string    // by Ref and Fn::Sub: parameters, pseudo parameters or resources
	Attributes [][2]string // by Fn::GetAtt and Fn::Sub: resource and attribute
	Conditions []string
	Mappings   []string
	Imports    []any // names, as they were written
}

// Find finds what a value refers to. A name may be there more than once.
func Find(v any) *References {
	r := &References{}
	r.walk(v)
	return r
}

func (r *References) walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			r.walk(element)
		}
	case map[string]any:
		if name, argument, ok := call(v); ok {
			r.function(name, argument)
			return
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			r.walk(v[key])
		}
	}
}

func (r *References) function(name string, argument any) {
	list, _ := argument.([]any)
	switch name {
	case "Ref":
		if text, ok := argument.(string); ok {
			r.Names = append(r.Names, text)
		}
		return
	case "Condition":
		if text, ok := argument.(string); ok {
			r.Conditions = append(r.Conditions, text)
		}
		return
	case "Fn::GetAtt":
		if len(list) == 2 {
			if resource, ok := list[0].(string); ok {
				attribute, _ := list[1].(string)
				r.Attributes = append(r.Attributes, [2]string{resource, attribute})
			}
			r.walk(list[1])
		}
		return
	case "Fn::Sub":
		r.substitution(argument)
		return
	case "Fn::If":
		if len(list) > 0 {
			if text, ok := list[0].(string); ok {
				r.Conditions = append(r.Conditions, text)
			}
		}
	case "Fn::FindInMap":
		if len(list) > 0 {
			if text, ok := list[0].(string); ok {
				r.Mappings = append(r.Mappings, text)
			}
		}
	case "Fn::ImportValue":
		r.Imports = append(r.Imports, argument)
	}
	r.walk(argument)
}

// placeholder is ${Name} in Fn::Sub; ${!Name} stands for ${Name} itself.
var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

func (r *References) substitution(argument any) {
	text, own := "", map[string]any{}
	switch v := argument.(type) {
	case string:
		text = v
	case []any:
		if len(v) == 2 {
			text, _ = v[0].(string)
			own, _ = v[1].(map[string]any)
			r.walk(v[1])
		}
	}
	for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
		name := strings.TrimSpace(match[1])
		if _, there := own[name]; there || strings.HasPrefix(name, "!") {
			continue
		}
		if resource, attribute, ok := strings.Cut(name, "."); ok {
			r.Attributes = append(r.Attributes, [2]string{resource, attribute})
		} else {
			r.Names = append(r.Names, name)
		}
	}
}

// check finds references to what is not there, and rings.
func (t *Template) check() error {
	for _, name := range slices.Sorted(maps.Keys(t.Conditions)) {
		found := Find(t.Conditions[name])
		if len(found.Attributes) > 0 {
			return errorf("Template error: resource attributes cannot be used in the Conditions block of the template")
		}
		if err := t.resolvable(found, "Conditions", false); err != nil {
			return err
		}
		if err := shape(t.Conditions[name], true); err != nil {
			return err
		}
	}
	if err := t.conditionRing(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(t.Resources)) {
		r := t.Resources[name]
		if err := t.checkResource(name, r); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Outputs)) {
		o := t.Outputs[name]
		found := Find([]any{o.Value, o.Export})
		if o.Condition != "" {
			found.Conditions = append(found.Conditions, o.Condition)
		}
		if err := t.resolvable(found, "Outputs", true); err != nil {
			return err
		}
		if err := shape([]any{o.Value, o.Export}, false); err != nil {
			return err
		}
	}
	return t.ring()
}

func (t *Template) checkResource(name string, r *Resource) error {
	if err := shape(r.Properties, false); err != nil {
		return err
	}
	found := Find([]any{r.Properties, r.Metadata})
	needs := make(map[string]bool)
	if r.Condition != "" {
		found.Conditions = append(found.Conditions, r.Condition)
	}
	found.Names = append(found.Names, r.DependsOn...)
	if err := t.resolvable(found, "Resources", true); err != nil {
		return err
	}
	for _, other := range found.Names {
		if t.Resources[other] != nil {
			needs[other] = true
		}
	}
	for _, attribute := range found.Attributes {
		needs[attribute[0]] = true
	}
	if needs[name] {
		return errorf("Circular dependency between resources: [%s]", name)
	}
	r.needs = slices.Sorted(maps.Keys(needs))
	return nil
}

// resolvable tells what in references names nothing.
func (t *Template) resolvable(found *References, block string, resources bool) error {
	var missing []string
	for _, name := range found.Names {
		if t.Parameters[name] == nil && !slices.Contains(pseudo, name) && (!resources || t.Resources[name] == nil) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return errorf("Template format error: Unresolved resource dependencies [%s] in the %s block of the template",
			strings.Join(slices.Compact(missing), ", "), block)
	}
	for _, attribute := range found.Attributes {
		if t.Resources[attribute[0]] == nil {
			return errorf("Template error: instance of Fn::GetAtt references undefined resource %s", attribute[0])
		}
	}
	for _, name := range found.Conditions {
		if t.Conditions[name] == nil {
			return errorf("Template format error: Unresolved condition dependency %s in the %s block of the template", name, block)
		}
	}
	for _, name := range found.Mappings {
		if t.Mappings[name] == nil {
			return errorf("Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", name)
		}
	}
	return nil
}

func (t *Template) conditionRing() error {
	graph := make(map[string][]string)
	for name, v := range t.Conditions {
		graph[name] = Find(v).Conditions
	}
	if ring := rest(graph); len(ring) > 0 {
		return errorf("Template format error: Circular dependency between conditions: [%s]", strings.Join(ring, ", "))
	}
	return nil
}

func (t *Template) ring() error {
	graph := make(map[string][]string)
	for name, r := range t.Resources {
		graph[name] = r.needs
	}
	if ring := rest(graph); len(ring) > 0 {
		return errorf("Circular dependency between resources: [%s]", strings.Join(ring, ", "))
	}
	return nil
}

// rest gives what remains of a graph when, again and again, what needs nothing and what nobody needs is taken away.
func rest(graph map[string][]string) []string {
	left := maps.Clone(graph)
	for {
		needed := make(map[string]bool)
		for _, needs := range left {
			for _, n := range needs {
				needed[n] = true
			}
		}
		before := len(left)
		maps.DeleteFunc(left, func(name string, needs []string) bool {
			return !needed[name] || !slices.ContainsFunc(needs, func(n string) bool { _, there := left[n]; return there })
		})
		if len(left) == before {
			return slices.Sorted(maps.Keys(left))
		}
	}
}
