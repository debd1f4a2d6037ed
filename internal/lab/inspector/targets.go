package inspector

import (
	"context"

	"example.org/catchment/internal/lab/wire"
)

// A group is a resource group: tags that choose instances.
type group struct {
	n    uint64
	arn  string
	tags []Attribute
	made wire.Epoch
}

func (g *group) order() uint64 { return g.n }

// A target is what is assessed: the instances of a group, or all.
type target struct {
	n             uint64
	arn           string
	label         string
	group         *group // nil: all instances
	made, changed wire.Epoch
}

func (t *target) order() uint64 { return t.n }
func (t *target) name() string  { return t.arn }

func (s *Service) now() wire.Epoch { return wire.Epoch{Time: s.cloud.Clock.Now()} }

const maxPairs = 10

type createResourceGroupInput struct {
	ResourceGroupTags []Attribute `json:"resourceGroupTags"`
}

type createResourceGroupOutput struct {
	ResourceGroupARN string `json:"resourceGroupArn"`
}

func (s *Service) createResourceGroup(_ context.Context, c *wire.Call, in *createResourceGroupInput) (*createResourceGroupOutput, error) {
	if err := pairs("RESOURCE_GROUP_TAG", in.ResourceGroupTags, 1); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	if len(here.groups) >= maxGroups {
		return nil, exceeded("RESOURCE_GROUP_LIMIT_EXCEEDED", "the account has %d resource groups in %s", maxGroups, c.Region)
	}
	g := &group{n: s.number(), arn: c.ARN("inspector", "resourcegroup/"+s.id()), tags: in.ResourceGroupTags, made: s.now()}
	here.groups[g.arn] = g
	return &createResourceGroupOutput{g.arn}, nil
}

type describeResourceGroupsInput struct {
	ResourceGroupARNs []string `json:"resourceGroupArns"`
}

type shownGroup struct {
	ARN       string      `json:"arn"`
	Tags      []Attribute `json:"tags"`
	CreatedAt wire.Epoch  `json:"createdAt"`
}

type describeResourceGroupsOutput struct {
	ResourceGroups []shownGroup          `json:"resourceGroups"`
	FailedItems    map[string]failedItem `json:"failedItems"`
}

func (s *Service) describeResourceGroups(_ context.Context, c *wire.Call, in *describeResourceGroupsInput) (*describeResourceGroupsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, failed, err := describe(s, c.Place, kindGroup, in.ResourceGroupARNs, s.at(c.Place).groups)
	if err != nil {
		return nil, err
	}
	out := &describeResourceGroupsOutput{FailedItems: failed}
	for _, g := range found {
		out.ResourceGroups = append(out.ResourceGroups, shownGroup{g.arn, g.tags, g.made})
	}
	return out, nil
}

// maxName is how long a name may be.
const maxName = 140

type createAssessmentTargetInput struct {
	AssessmentTargetName string `json:"assessmentTargetName"`
	ResourceGroupARN     string `json:"resourceGroupArn"`
}

type createAssessmentTargetOutput struct {
	AssessmentTargetARN string `json:"assessmentTargetArn"`
}

func (s *Service) createAssessmentTarget(_ context.Context, c *wire.Call, in *createAssessmentTargetInput) (*createAssessmentTargetOutput, error) {
	if err := text("INVALID_ASSESSMENT_TARGET_NAME", "assessmentTargetName", in.AssessmentTargetName, 1, maxName); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	t := &target{label: in.AssessmentTargetName}
	if in.ResourceGroupARN != "" {
		g, err := find(c.Place, kindGroup, in.ResourceGroupARN, here.groups)
		if err != nil {
			return nil, err
		}
		t.group = g
	}
	for _, other := range here.targets {
		if other.label == t.label {
			return nil, invalid("ASSESSMENT_TARGET_NAME_ALREADY_TAKEN", "there is an assessment target with the name %q", t.label)
		}
	}
	if len(here.targets) >= maxTargets {
		return nil, exceeded("ASSESSMENT_TARGET_LIMIT_EXCEEDED", "the account has %d assessment targets in %s", maxTargets, c.Region)
	}
	t.n, t.arn, t.made = s.number(), c.ARN("inspector", "target/"+s.id()), s.now()
	t.changed = t.made
	here.targets[t.arn] = t
	return &createAssessmentTargetOutput{t.arn}, nil
}

type describeAssessmentTargetsInput struct {
	AssessmentTargetARNs []string `json:"assessmentTargetArns"`
}

type shownTarget struct {
	ARN              string     `json:"arn"`
	Name             string     `json:"name"`
	ResourceGroupARN string     `json:"resourceGroupArn,omitempty"`
	CreatedAt        wire.Epoch `json:"createdAt"`
	UpdatedAt        wire.Epoch `json:"updatedAt"`
}

type describeAssessmentTargetsOutput struct {
	AssessmentTargets []shownTarget         `json:"assessmentTargets"`
	FailedItems       map[string]failedItem `json:"failedItems"`
}

func (s *Service) describeAssessmentTargets(_ context.Context, c *wire.Call, in *describeAssessmentTargetsInput) (*describeAssessmentTargetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, failed, err := describe(s, c.Place, kindTarget, in.AssessmentTargetARNs, s.at(c.Place).targets)
	if err != nil {
		return nil, err
	}
	out := &describeAssessmentTargetsOutput{FailedItems: failed}
	for _, t := range found {
		shown := shownTarget{ARN: t.arn, Name: t.label, CreatedAt: t.made, UpdatedAt: t.changed}
		if t.group != nil {
			shown.ResourceGroupARN = t.group.arn
		}
		out.AssessmentTargets = append(out.AssessmentTargets, shown)
	}
	return out, nil
}

type listAssessmentTargetsInput struct {
	Filter struct {
		NamePattern string `json:"assessmentTargetNamePattern"`
	} `json:"filter"`
	paging
}

type listAssessmentTargetsOutput struct {
	AssessmentTargetARNs []string `json:"assessmentTargetArns"`
	NextToken            string   `json:"nextToken,omitempty"`
}

func (s *Service) listAssessmentTargets(_ context.Context, c *wire.Call, in *listAssessmentTargetsInput) (*listAssessmentTargetsOutput, error) {
	if err := text("INVALID_ASSESSMENT_TARGET_NAME_PATTERN", "assessmentTargetNamePattern", in.Filter.NamePattern, 0, maxName); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*target
	for _, t := range byNumber(s.at(c.Place).targets) {
		if like(in.Filter.NamePattern, t.label) {
			all = append(all, t)
		}
	}
	list, next, err := page(c.Operation, in.paging, all, fullPage)
	if err != nil {
		return nil, err
	}
	return &listAssessmentTargetsOutput{arnsOf(list), next}, nil
}

type deleteAssessmentTargetInput struct {
	AssessmentTargetARN string `json:"assessmentTargetArn"`
}

// nothing is an empty answer.
type nothing struct{}

// deleteAssessmentTarget takes the target's templates, runs and findings away with it.
func (s *Service) deleteAssessmentTarget(_ context.Context, c *wire.Call, in *deleteAssessmentTargetInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	t, err := find(c.Place, kindTarget, in.AssessmentTargetARN, here.targets)
	if err != nil {
		return nil, err
	}
	if err := here.busy(func(r *run) bool { return r.template.target == t }); err != nil {
		return nil, err
	}
	for _, x := range byNumber(here.templates) {
		if x.target == t {
			here.dropTemplate(x)
		}
	}
	delete(here.targets, t.arn)
	return nil, nil
}

// busy tells, as an error, which of the chosen runs are in progress.
func (p *place) busy(chosen func(*run) bool) error {
	var arns []string
	for _, r := range byNumber(p.runs) {
		if chosen(r) && !r.ended() {
			arns = append(arns, r.arn)
		}
	}
	if len(arns) > 0 {
		return inProgress(arns)
	}
	return nil
}

func (p *place) dropTemplate(t *template) {
	for _, r := range p.runs {
		if r.template == t {
			p.dropRun(r)
		}
	}
	delete(p.templates, t.arn)
}

func (p *place) dropRun(r *run) {
	for _, arn := range r.findings {
		delete(p.findings, arn)
	}
	delete(p.runs, r.arn)
}
