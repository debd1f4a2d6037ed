package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloudformation/template"
	"example.org/catchment/internal/lab/wire"
)

type templateInput struct {
	StackName     string
	ChangeSetName string
	TemplateBody  string
	TemplateURL   string
	TemplateStage string
}

type templateOutput struct {
	TemplateBody    string
	StagesAvailable []string
}

func (s *Service) getTemplate(_ context.Context, c *wire.Call, in *templateInput) (*templateOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.ChangeSetName != "" {
		_, set, err := s.findSet(c.Place, &changeSetInput{StackName: in.StackName, ChangeSetName: in.ChangeSetName})
		if err != nil {
			return nil, err
		}
		return &templateOutput{set.plan.body, []string{"Original", "Processed"}}, nil
	}
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	return &templateOutput{st.plan.body, []string{"Original", "Processed"}}, nil
}

type constraints struct {
	AllowedValues []string `json:",omitempty"`
}

type declaredParameter struct {
	ParameterKey         string
	DefaultValue         *string `json:",omitempty"`
	ParameterType        string  `json:",omitempty"`
	NoEcho               bool
	Description          string       `json:",omitempty"`
	ParameterConstraints *constraints `json:",omitempty"`
}

type summaryOutput struct {
	Description        string `json:",omitempty"`
	Parameters         []declaredParameter
	Capabilities       []string `json:",omitempty"`
	CapabilitiesReason string   `json:",omitempty"`
	ResourceTypes      []string
	Version            string `json:",omitempty"`
	Metadata           string `json:",omitempty"`
}

func (s *Service) summary(ctx context.Context, c *wire.Call, in *templateInput) (*summaryOutput, error) {
	body := ""
	var err error
	if in.StackName != "" {
		s.mu.Lock()
		st, failed := s.find(c.Place, in.StackName)
		if failed == nil {
			body = st.plan.body
		}
		s.mu.Unlock()
		err = failed
	} else {
		body, err = s.body(ctx, c, in.TemplateBody, in.TemplateURL)
	}
	if err != nil {
		return nil, err
	}
	t, err := parse(body)
	if err != nil {
		return nil, err
	}
	out := &summaryOutput{Description: t.Description, Version: t.Version, Metadata: jsonText(t.Metadata)}
	if needed := neededCapability(t); needed != "" {
		out.Capabilities = []string{needed}
		out.CapabilitiesReason = "The following resource(s) require capabilities: " + iamTypes(t)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		p := t.Parameters[name]
		declared := declaredParameter{name, p.Default, p.Type, p.NoEcho, p.Description, nil}
		if len(p.AllowedValues) > 0 {
			declared.ParameterConstraints = &constraints{p.AllowedValues}
		}
		out.Parameters = append(out.Parameters, declared)
	}
	for _, r := range t.Resources {
		out.ResourceTypes = append(out.ResourceTypes, r.Type)
	}
	slices.Sort(out.ResourceTypes)
	out.ResourceTypes = slices.Compact(out.ResourceTypes)
	return out, nil
}

func (s *Service) templateSummary(ctx context.Context, c *wire.Call, in *templateInput) (*summaryOutput, error) {
	return s.summary(ctx, c, in)
}

type validatedOutput struct {
	Parameters         []declaredParameter
	Description        string   `json:",omitempty"`
	Capabilities       []string `json:",omitempty"`
	CapabilitiesReason string   `json:",omitempty"`
}

func (s *Service) validateTemplate(ctx context.Context, c *wire.Call, in *templateInput) (*validatedOutput, error) {
	in.StackName = ""
	found, err := s.summary(ctx, c, in)
	if err != nil {
		return nil, err
	}
	out := &validatedOutput{found.Parameters, found.Description, found.Capabilities, found.CapabilitiesReason}
	for i := range out.Parameters {
		out.Parameters[i].ParameterType, out.Parameters[i].ParameterConstraints = "", nil
	}
	return out, nil
}

type export struct {
	ExportingStackID string `json:"ExportingStackId"`
	Name             string
	Value            string
}

type listExportsInput struct {
	ExportName string
	NextToken  string
}

type listExportsOutput struct {
	Exports   []export
	NextToken string `json:",omitempty"`
}

func (s *Service) listExports(_ context.Context, c *wire.Call, in *listExportsInput) (*listExportsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]export)
	for _, st := range s.at(c.Place).order {
		for _, o := range st.outputs {
			if o.ExportName != "" && st.deleted.IsZero() {
				all[o.ExportName] = export{st.id, o.ExportName, o.OutputValue}
			}
		}
	}
	var sorted []export
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[name])
	}
	some, next, err := page(sorted, in.NextToken, pageSize)
	return &listExportsOutput{some, next}, err
}

type listImportsOutput struct {
	Imports   []string
	NextToken string `json:",omitempty"`
}

func (s *Service) listImports(_ context.Context, c *wire.Call, in *listExportsInput) (*listImportsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, st := range s.at(c.Place).order {
		if st.deleted.IsZero() && slices.Contains(st.imports, in.ExportName) {
			all = append(all, st.name)
		}
	}
	if len(all) == 0 {
		return nil, validation("Export '%s' is not imported by any stack.", in.ExportName)
	}
	some, next, err := page(all, in.NextToken, pageSize)
	return &listImportsOutput{some, next}, err
}

// iamTypes lists the types of a template's IAM resources, as AWS does.
func iamTypes(t *template.Template) string {
	var out []string
	for _, r := range t.Resources {
		if strings.HasPrefix(r.Type, "AWS::IAM::") {
			out = append(out, r.Type)
		}
	}
	slices.Sort(out)
	return "[" + strings.Join(slices.Compact(out), ", ") + "]"
}
