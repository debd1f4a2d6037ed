package inspector

import (
	"context"
	"slices"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A run is one assessment of a target by a template. It keeps what the template was when it began.
type run struct {
	n                         uint64
	arn                       string
	label                     string
	place                     cloud.Place
	template                  *template
	duration                  int
	packages                  []RulesPackage
	attributes                []Attribute
	agents                    []string
	state                     string
	made, started, done, last wire.Epoch // last: when the state changed
	collected                 bool
	changes                   []stateChange
	notifications             []notification
	findings                  []string // ARNs
	pending                   []Finding
	step                      uint64 // grows when the run is stopped: what was planned before is void
	reports                   map[string]time.Time
}

func (r *run) order() uint64 { return r.n }
func (r *run) name() string  { return r.arn }

type stateChange struct {
	StateChangedAt wire.Epoch `json:"stateChangedAt"`
	State          string     `json:"state"`
}

type startAssessmentRunInput struct {
	AssessmentTemplateARN string `json:"assessmentTemplateArn"`
	AssessmentRunName     string `json:"assessmentRunName"`
}

type startAssessmentRunOutput struct {
	AssessmentRunARN string `json:"assessmentRunArn"`
}

func (s *Service) startAssessmentRun(_ context.Context, c *wire.Call, in *startAssessmentRunInput) (*startAssessmentRunOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	t, err := find(c.Place, kindTemplate, in.AssessmentTemplateARN, here.templates)
	if err != nil {
		return nil, err
	}
	if len(t.packages) == 0 {
		return nil, invalid("INVALID_NUMBER_OF_RULES_PACKAGE_ARNS", "the assessment template %s has no rules package", t.arn)
	}
	r := &run{
		label: in.AssessmentRunName, place: c.Place, template: t, duration: t.duration, packages: t.packages, attributes: t.attributes,
		made: s.now(), reports: make(map[string]time.Time),
	}
	if r.label == "" {
		r.label = "Run - " + t.label + " - " + r.made.UTC().Format(time.RFC3339)
	}
	// The model has no codes for the names of runs.
	if err := text("", "assessmentRunName", in.AssessmentRunName, 0, maxName); err != nil {
		return nil, err
	}
	r.label = clip(r.label, maxName)
	for _, other := range here.runs {
		if other.template == t && in.AssessmentRunName != "" && other.label == r.label {
			return nil, invalid("", "the assessment template has a run with the name %q", r.label)
		}
	}
	if len(here.runs) >= maxRuns {
		return nil, exceeded("ASSESSMENT_RUN_LIMIT_EXCEEDED", "the account has %d assessment runs in %s", maxRuns, c.Region)
	}
	r.arn = t.arn + "/run/" + s.id()
	if err := s.recruit(here, r); err != nil {
		return nil, err
	}
	r.n = s.number()
	here.runs[r.arn] = r
	t.runs++
	t.last = r.arn
	s.begin(r)
	return &startAssessmentRunOutput{r.arn}, nil
}

type busyAgent struct {
	AgentID          string `json:"agentId"`
	AssessmentRunARN string `json:"assessmentRunArn"`
}

// recruit finds the instances of a run, where the assessor knows them, and refuses a run that takes too many, or some that
// another run has. Requires s.mu.
func (s *Service) recruit(here *place, r *run) error {
	fleet, ok := s.assessor.(Fleet)
	if !ok {
		return nil
	}
	r.agents = fleet.Agents(r.place, r.told())
	var busy []busyAgent
	running := len(r.agents)
	for _, other := range byNumber(here.runs) {
		if other.ended() {
			continue
		}
		running += len(other.agents)
		for _, id := range r.agents {
			if slices.Contains(other.agents, id) {
				busy = append(busy, busyAgent{id, other.arn})
			}
		}
	}
	if len(busy) > 0 {
		e := exception("AgentsAlreadyRunningAssessmentException", "", "%d of the instances take part in another assessment run", len(busy))
		e.Fields["agents"], e.Fields["agentsTruncated"] = busy[:min(len(busy), maxDescribed)], len(busy) > maxDescribed
		return e
	}
	if running > maxRunningAgents {
		return exceeded("ASSESSMENT_RUN_LIMIT_EXCEEDED", "%d instances in running assessments: the limit is %d", running, maxRunningAgents)
	}
	return nil
}

// told is what an Assessor is told of a run.
func (r *run) told() Run {
	out := Run{
		ARN: r.arn, Name: r.label, TargetARN: r.template.target.arn, TargetName: r.template.target.label, TemplateARN: r.template.arn,
		TemplateName: r.template.label, RulesPackages: slices.Clone(r.packages), UserAttributes: slices.Clone(r.attributes),
		Duration: time.Duration(r.duration) * time.Second, StartedAt: r.started.Time,
	}
	if g := r.template.target.group; g != nil {
		out.Tags = slices.Clone(g.tags)
	}
	return out
}

type runInput struct {
	AssessmentRunARN string `json:"assessmentRunArn"`
	StopAction       string `json:"stopAction"`
}

// What StopAssessmentRun can do.
const (
	stopEvaluate = "START_EVALUATION"
	stopSkip     = "SKIP_EVALUATION"
)

// stopAssessmentRun ends the collection of data. A run that no longer collects is left as it is.
func (s *Service) stopAssessmentRun(_ context.Context, c *wire.Call, in *runInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := find(c.Place, kindRun, in.AssessmentRunARN, s.at(c.Place).runs)
	if err != nil {
		return nil, err
	}
	switch in.StopAction {
	case "", stopEvaluate:
		if r.collecting() {
			r.step++
			s.enter(r, stateStopPending)
		}
	case stopSkip:
		if !r.ended() {
			r.step++
			r.pending = nil
			s.enter(r, stateCanceled)
		}
	default:
		return nil, invalid("", "stopAction %q: expected %s or %s", clip(in.StopAction, maxKey), stopEvaluate, stopSkip)
	}
	return nil, nil
}

func (s *Service) deleteAssessmentRun(_ context.Context, c *wire.Call, in *runInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	r, err := find(c.Place, kindRun, in.AssessmentRunARN, here.runs)
	if err != nil {
		return nil, err
	}
	if !r.ended() {
		return nil, inProgress([]string{r.arn})
	}
	here.dropRun(r)
	return nil, nil
}

type listAssessmentRunsInput struct {
	AssessmentTemplateARNs []string  `json:"assessmentTemplateArns"`
	Filter                 runFilter `json:"filter"`
	paging
}

type runFilter struct {
	NamePattern          string         `json:"namePattern"`
	States               []string       `json:"states"`
	DurationRange        *durationRange `json:"durationRange"`
	RulesPackageARNs     []string       `json:"rulesPackageArns"`
	StartTimeRange       *timeRange     `json:"startTimeRange"`
	CompletionTimeRange  *timeRange     `json:"completionTimeRange"`
	StateChangeTimeRange *timeRange     `json:"stateChangeTimeRange"`
}

func (f *runFilter) check() error {
	// The model has no code for the pattern of a run's name.
	if err := text("", "namePattern", f.NamePattern, 0, maxName); err != nil {
		return err
	}
	if err := count("INVALID_NUMBER_OF_ASSESSMENT_RUN_STATES", "states", len(f.States), 0, maxFilter); err != nil {
		return err
	}
	for _, state := range f.States {
		if err := oneOf("INVALID_ASSESSMENT_RUN_STATE", "state", state, states); err != nil {
			return err
		}
	}
	if err := count("INVALID_NUMBER_OF_RULES_PACKAGE_ARNS", "rules packages", len(f.RulesPackageARNs), 0, maxFilter); err != nil {
		return err
	}
	if err := f.DurationRange.check("INVALID_ASSESSMENT_RUN_DURATION_RANGE"); err != nil {
		return err
	}
	if err := f.StartTimeRange.check("INVALID_ASSESSMENT_RUN_START_TIME_RANGE"); err != nil {
		return err
	}
	if err := f.CompletionTimeRange.check("INVALID_ASSESSMENT_RUN_COMPLETION_TIME_RANGE"); err != nil {
		return err
	}
	return f.StateChangeTimeRange.check("INVALID_ASSESSMENT_RUN_STATE_CHANGE_TIME_RANGE")
}

func (f *runFilter) holds(r *run) bool {
	return like(f.NamePattern, r.label) && anyOf(f.States, r.state) && f.DurationRange.holds(r.duration) &&
		hasPackage(f.RulesPackageARNs, r.packages) && f.StartTimeRange.holds(r.started.Time) &&
		f.CompletionTimeRange.holds(r.done.Time) && f.StateChangeTimeRange.holds(r.last.Time)
}

type listAssessmentRunsOutput struct {
	AssessmentRunARNs []string `json:"assessmentRunArns"`
	NextToken         string   `json:"nextToken,omitempty"`
}

func (s *Service) listAssessmentRuns(_ context.Context, c *wire.Call, in *listAssessmentRunsInput) (*listAssessmentRunsOutput, error) {
	if err := count("INVALID_NUMBER_OF_ASSESSMENT_TEMPLATE_ARNS", "template ARNs", len(in.AssessmentTemplateARNs), 0, maxParents); err != nil {
		return nil, err
	}
	if err := in.Filter.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	for _, arn := range in.AssessmentTemplateARNs {
		if _, err := find(c.Place, kindTemplate, arn, here.templates); err != nil {
			return nil, err
		}
	}
	var all []*run
	for _, r := range byNumber(here.runs) {
		if anyOf(in.AssessmentTemplateARNs, r.template.arn) && in.Filter.holds(r) {
			all = append(all, r)
		}
	}
	list, next, err := page(c.Operation, in.paging, all, fullPage)
	if err != nil {
		return nil, err
	}
	return &listAssessmentRunsOutput{arnsOf(list), next}, nil
}

type describeAssessmentRunsInput struct {
	AssessmentRunARNs []string `json:"assessmentRunArns"`
}

type shownAssessmentRun struct {
	ARN                       string         `json:"arn"`
	Name                      string         `json:"name"`
	AssessmentTemplateARN     string         `json:"assessmentTemplateArn"`
	State                     string         `json:"state"`
	DurationInSeconds         int            `json:"durationInSeconds"`
	RulesPackageARNs          []string       `json:"rulesPackageArns"`
	UserAttributesForFindings []Attribute    `json:"userAttributesForFindings"`
	CreatedAt                 wire.Epoch     `json:"createdAt"`
	StartedAt                 wire.Epoch     `json:"startedAt,omitzero"`
	CompletedAt               wire.Epoch     `json:"completedAt,omitzero"`
	StateChangedAt            wire.Epoch     `json:"stateChangedAt"`
	DataCollected             bool           `json:"dataCollected"`
	StateChanges              []stateChange  `json:"stateChanges"`
	Notifications             []notification `json:"notifications"`
	FindingCounts             map[string]int `json:"findingCounts"`
}

type describeAssessmentRunsOutput struct {
	AssessmentRuns []shownAssessmentRun  `json:"assessmentRuns"`
	FailedItems    map[string]failedItem `json:"failedItems"`
}

func (s *Service) describeAssessmentRuns(_ context.Context, c *wire.Call, in *describeAssessmentRunsInput) (*describeAssessmentRunsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	found, failed, err := describe(s, c.Place, kindRun, in.AssessmentRunARNs, here.runs)
	if err != nil {
		return nil, err
	}
	out := &describeAssessmentRunsOutput{FailedItems: failed}
	for _, r := range found {
		counts := make(map[string]int)
		for _, severity := range severities {
			counts[severity] = 0
		}
		for _, arn := range r.findings {
			counts[here.findings[arn].Severity]++
		}
		out.AssessmentRuns = append(out.AssessmentRuns, shownAssessmentRun{
			r.arn, r.label, r.template.arn, r.state, r.duration, arnsOf(r.packages), r.attributes, r.made, r.started, r.done, r.last,
			r.collected, slices.Clone(r.changes), slices.Clone(r.notifications), counts,
		})
	}
	return out, nil
}
