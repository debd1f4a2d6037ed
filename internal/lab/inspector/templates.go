package inspector

import (
	"context"
	"slices"

	"example.org/catchment/internal/lab/wire"
)

// A template says how a target is assessed, and who is told.
type template struct {
	n             uint64
	arn           string
	label         string
	target        *target
	duration      int // seconds
	packages      []RulesPackage
	attributes    []Attribute // of all findings
	tags          []Attribute
	subscriptions []subscription
	made          wire.Epoch
	runs          int // that were started
	last          string
}

func (t *template) order() uint64 { return t.n }
func (t *template) name() string  { return t.arn }

// maxPackages is the most of rules packages in a template, and maxParents of ARNs that a list is asked for.
const (
	maxPackages = 50
	maxParents  = 50
	maxFilter   = 50
)

type createAssessmentTemplateInput struct {
	AssessmentTargetARN       string      `json:"assessmentTargetArn"`
	AssessmentTemplateName    string      `json:"assessmentTemplateName"`
	DurationInSeconds         int         `json:"durationInSeconds"`
	RulesPackageARNs          []string    `json:"rulesPackageArns"`
	UserAttributesForFindings []Attribute `json:"userAttributesForFindings"`
}

type createAssessmentTemplateOutput struct {
	AssessmentTemplateARN string `json:"assessmentTemplateArn"`
}

func (in *createAssessmentTemplateInput) check() error {
	if err := text("INVALID_ASSESSMENT_TEMPLATE_NAME", "assessmentTemplateName", in.AssessmentTemplateName, 1, maxName); err != nil {
		return err
	}
	if in.DurationInSeconds < minDuration || in.DurationInSeconds > maxDuration {
		return invalid("INVALID_ASSESSMENT_TEMPLATE_DURATION", "durationInSeconds %d: expected %d to %d", in.DurationInSeconds, minDuration, maxDuration)
	}
	if err := count("INVALID_NUMBER_OF_RULES_PACKAGE_ARNS", "rules packages", len(in.RulesPackageARNs), 0, maxPackages); err != nil {
		return err
	}
	return pairs("USER_ATTRIBUTE", in.UserAttributesForFindings, 0)
}

func (s *Service) createAssessmentTemplate(
	_ context.Context, c *wire.Call, in *createAssessmentTemplateInput,
) (*createAssessmentTemplateOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	aim, err := find(c.Place, kindTarget, in.AssessmentTargetARN, here.targets)
	if err != nil {
		return nil, err
	}
	t := &template{
		label: in.AssessmentTemplateName, target: aim, duration: in.DurationInSeconds, attributes: in.UserAttributesForFindings, made: s.now(),
	}
	known := packagesByARN(c.Place)
	for _, arn := range in.RulesPackageARNs {
		p, err := find(c.Place, kindPackage, arn, known)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(t.packages, p) {
			t.packages = append(t.packages, p)
		}
	}
	for _, other := range here.templates {
		if other.target == aim && other.label == t.label {
			return nil, invalid("ASSESSMENT_TEMPLATE_NAME_ALREADY_TAKEN", "the target has an assessment template with the name %q", t.label)
		}
	}
	if len(here.templates) >= maxTemplates {
		return nil, exceeded("ASSESSMENT_TEMPLATE_LIMIT_EXCEEDED", "the account has %d assessment templates in %s", maxTemplates, c.Region)
	}
	t.n, t.arn = s.number(), aim.arn+"/template/"+s.id()
	here.templates[t.arn] = t
	return &createAssessmentTemplateOutput{t.arn}, nil
}

type describeAssessmentTemplatesInput struct {
	AssessmentTemplateARNs []string `json:"assessmentTemplateArns"`
}

type shownTemplate struct {
	ARN                       string      `json:"arn"`
	Name                      string      `json:"name"`
	AssessmentTargetARN       string      `json:"assessmentTargetArn"`
	DurationInSeconds         int         `json:"durationInSeconds"`
	RulesPackageARNs          []string    `json:"rulesPackageArns"`
	UserAttributesForFindings []Attribute `json:"userAttributesForFindings"`
	LastAssessmentRunARN      string      `json:"lastAssessmentRunArn,omitempty"`
	AssessmentRunCount        int         `json:"assessmentRunCount"`
	CreatedAt                 wire.Epoch  `json:"createdAt"`
}

type describeAssessmentTemplatesOutput struct {
	AssessmentTemplates []shownTemplate       `json:"assessmentTemplates"`
	FailedItems         map[string]failedItem `json:"failedItems"`
}

func (s *Service) describeAssessmentTemplates(
	_ context.Context, c *wire.Call, in *describeAssessmentTemplatesInput,
) (*describeAssessmentTemplatesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, failed, err := describe(s, c.Place, kindTemplate, in.AssessmentTemplateARNs, s.at(c.Place).templates)
	if err != nil {
		return nil, err
	}
	out := &describeAssessmentTemplatesOutput{FailedItems: failed}
	for _, t := range found {
		out.AssessmentTemplates = append(out.AssessmentTemplates, shownTemplate{
			t.arn, t.label, t.target.arn, t.duration, arnsOf(t.packages), t.attributes, t.last, t.runs, t.made,
		})
	}
	return out, nil
}

type listAssessmentTemplatesInput struct {
	AssessmentTargetARNs []string `json:"assessmentTargetArns"`
	Filter               struct {
		NamePattern      string         `json:"namePattern"`
		DurationRange    *durationRange `json:"durationRange"`
		RulesPackageARNs []string       `json:"rulesPackageArns"`
	} `json:"filter"`
	paging
}

type listAssessmentTemplatesOutput struct {
	AssessmentTemplateARNs []string `json:"assessmentTemplateArns"`
	NextToken              string   `json:"nextToken,omitempty"`
}

func (in *listAssessmentTemplatesInput) check() error {
	if err := count("INVALID_NUMBER_OF_ASSESSMENT_TARGET_ARNS", "target ARNs", len(in.AssessmentTargetARNs), 0, maxParents); err != nil {
		return err
	}
	if err := text("INVALID_ASSESSMENT_TEMPLATE_NAME_PATTERN", "namePattern", in.Filter.NamePattern, 0, maxName); err != nil {
		return err
	}
	if err := count("INVALID_NUMBER_OF_RULES_PACKAGE_ARNS", "rules packages", len(in.Filter.RulesPackageARNs), 0, maxFilter); err != nil {
		return err
	}
	return in.Filter.DurationRange.check("INVALID_ASSESSMENT_TEMPLATE_DURATION_RANGE")
}

func (s *Service) listAssessmentTemplates(
	_ context.Context, c *wire.Call, in *listAssessmentTemplatesInput,
) (*listAssessmentTemplatesOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	for _, arn := range in.AssessmentTargetARNs {
		if _, err := find(c.Place, kindTarget, arn, here.targets); err != nil {
			return nil, err
		}
	}
	var all []*template
	for _, t := range byNumber(here.templates) {
		if anyOf(in.AssessmentTargetARNs, t.target.arn) && like(in.Filter.NamePattern, t.label) && in.Filter.DurationRange.holds(t.duration) &&
			hasPackage(in.Filter.RulesPackageARNs, t.packages) {
			all = append(all, t)
		}
	}
	list, next, err := page(c.Operation, in.paging, all, fullPage)
	if err != nil {
		return nil, err
	}
	return &listAssessmentTemplatesOutput{arnsOf(list), next}, nil
}

func hasPackage(filter []string, have []RulesPackage) bool {
	return len(filter) == 0 || slices.ContainsFunc(have, func(p RulesPackage) bool { return slices.Contains(filter, p.ARN) })
}

type deleteAssessmentTemplateInput struct {
	AssessmentTemplateARN string `json:"assessmentTemplateArn"`
}

// deleteAssessmentTemplate takes the template's runs and findings away with it.
func (s *Service) deleteAssessmentTemplate(_ context.Context, c *wire.Call, in *deleteAssessmentTemplateInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	t, err := find(c.Place, kindTemplate, in.AssessmentTemplateARN, here.templates)
	if err != nil {
		return nil, err
	}
	if err := here.busy(func(r *run) bool { return r.template == t }); err != nil {
		return nil, err
	}
	here.dropTemplate(t)
	return nil, nil
}

type listTagsForResourceInput struct {
	ResourceARN string `json:"resourceArn"`
}

type listTagsForResourceOutput struct {
	Tags []Attribute `json:"tags"`
}

// listTagsForResource is for templates: nothing else has tags.
func (s *Service) listTagsForResource(_ context.Context, c *wire.Call, in *listTagsForResourceInput) (*listTagsForResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.resource(c, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &listTagsForResourceOutput{t.tags}, nil
}

type setTagsForResourceInput struct {
	ResourceARN string      `json:"resourceArn"`
	Tags        []Attribute `json:"tags"`
}

// setTagsForResource replaces all tags of a template; none takes them away.
func (s *Service) setTagsForResource(_ context.Context, c *wire.Call, in *setTagsForResourceInput) (*nothing, error) {
	if err := pairs("TAG", in.Tags, 0); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.resource(c, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	t.tags = in.Tags
	return nil, nil
}

// resource finds the template that a resourceArn names. Requires s.mu.
func (s *Service) resource(c *wire.Call, arn string) (*template, error) {
	if kindTemplate.check(c.Place, arn) == failInvalid {
		return nil, invalid("INVALID_RESOURCE_ARN", "%q is not the ARN of an assessment template", clip(arn, maxARN))
	}
	return find(c.Place, kindTemplate, arn, s.at(c.Place).templates)
}
