package events

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
	"example.org/catchment/internal/pattern"
)

// The states of a rule.
const (
	stateEnabled  = "ENABLED"
	stateDisabled = "DISABLED"
	stateAll      = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
)

// Quotas. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
const (
	maxPatternAPI   = 4096
	maxPattern      = 2048
	maxRules        = 300
	maxRulesNewer   = 100 // in the regions of fewRules
	maxWildcardRule = 30
)

var fewRules = []string{"af-south-1", "eu-south-1"}

type putRuleInput struct {
	Name               string
	ScheduleExpression string
	EventPattern       string
	State              string
	Description        string
	RoleArn            string
	Tags               []tag
	EventBusName       string
}

type ruleOutput struct {
	Name               string
	Arn                string
	EventPattern       string `json:",omitzero"`
	ScheduleExpression string `json:",omitzero"`
	State              string
	Description        string `json:",omitzero"`
	RoleArn            string `json:",omitzero"`
	EventBusName       string
	CreatedBy          string `json:",omitzero"` // DescribeRule only
}

type putRuleOutput struct{ RuleArn string }

func (in *putRuleInput) check() error {
	var c checks
	c.required(in.Name, "name", 64, nameForm)
	c.text(in.ScheduleExpression, "scheduleExpression", 256, nil)
	c.text(in.EventPattern, "eventPattern", maxPatternAPI, nil)
	c.oneOf(in.State, "state", stateEnabled, stateDisabled, stateAll)
	c.text(in.Description, "description", 512, nil)
	c.text(in.RoleArn, "roleArn", 1600, nil)
	c.text(in.EventBusName, "eventBusName", 1600, busARNForm)
	return c.err()
}

// wildcardOperator finds a wildcard in a pattern's canonical form, where quotes inside of strings are escaped.
var wildcardOperator = regexp.MustCompile(`\{"wildcard":"|\{"anything-but":\{"wildcard":`)

// compile reads a pattern that is to be a rule's, or is to be tried.
func compile(text string) (*pattern.Pattern, error) {
	p, err := pattern.Compile([]byte(text))
	if err == nil {
		return p, nil
	}
	if syntax, ok := errors.AsType[*pattern.SyntaxError](err); ok {
		return nil, wire.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: %s\n at [Source: %s; line: %d, column: %d]",
			syntax.Reason, syntax.Path, syntax.Line, syntax.Column)
	}
	return nil, wire.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
}

// newRule reads what PutRule was given: all of a rule but what it has from before.
func newRule(in *putRuleInput, onDefault bool) (*rule, error) {
	r := &rule{
		name: in.Name, eventPattern: in.EventPattern, schedule: in.ScheduleExpression, state: in.State, description: in.Description, role: in.RoleArn,
	}
	if r.state == "" {
		r.state = stateEnabled
	}
	if in.EventPattern == "" && in.ScheduleExpression == "" {
		return nil, invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	var err error
	if in.EventPattern != "" {
		if r.pattern, err = compile(in.EventPattern); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(in.EventPattern) > maxPattern {
			return nil, tooMany()
		}
		r.wildcard = wildcardOperator.MatchString(r.pattern.String())
	}
	if in.ScheduleExpression != "" {
		if !onDefault {
			return nil, invalid("ScheduleExpression is supported only on the default event bus.")
		}
		if r.every, err = parseSchedule(in.ScheduleExpression); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// putRule makes a rule or replaces one: what is omitted is reset, but for targets and tags.
func (s *Service) putRule(_ context.Context, c *wire.Call, in *putRuleInput) (*putRuleOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := s.mayPass(c, in.RoleArn); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBus(c.Place, in.EventBusName)
	if err != nil {
		return nil, err
	}
	r, err := newRule(in, b.name == defaultBus)
	if err != nil {
		return nil, err
	}
	old := b.rules[in.Name]
	if err := b.room(r, old); err != nil {
		return nil, err
	}
	r.arn = b.ruleARN(r.name)
	if old != nil {
		r.targets, r.tags, r.metrics = old.targets, old.tags, old.metrics
	} else {
		r.metrics = &Metrics{}
		if r.tags, err = newTags(nil, in.Tags); err != nil {
			return nil, err
		}
	}
	s.chains++
	r.chain = s.chains
	b.rules[r.name] = r
	s.publish(b, r.name)
	return &putRuleOutput{r.arn}, nil
}

// room asks whether the quotas let a rule in, in the place of an old one where that is not nil.
func (b *bus) room(r, old *rule) error {
	most := maxRules
	if slices.Contains(fewRules, b.at.Region) {
		most = maxRulesNewer
	}
	if old == nil && len(b.rules) >= most {
		return tooMany()
	}
	if !r.wildcard || old != nil && old.wildcard {
		return nil
	}
	n := 0
	for _, other := range b.rules {
		if other.wildcard {
			n++
		}
	}
	if n >= maxWildcardRule {
		return tooMany()
	}
	return nil
}

type ruleNameInput struct {
	Name         string
	EventBusName string
	Force        bool // for rules that AWS's services manage; not looked at for others
}

func (in *ruleNameInput) check() error {
	var c checks
	c.required(in.Name, "name", 64, nameForm)
	c.text(in.EventBusName, "eventBusName", 1600, busARNForm)
	return c.err()
}

func (r *rule) shown(b *bus) ruleOutput {
	return ruleOutput{
		Name: r.name, Arn: r.arn, EventPattern: r.eventPattern, ScheduleExpression: r.schedule, State: r.state,
		Description: r.description, RoleArn: r.role, EventBusName: b.name,
	}
}

func (s *Service) describeRule(_ context.Context, c *wire.Call, in *ruleNameInput) (*ruleOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, r, err := s.findRule(c.Place, in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	out := r.shown(b)
	out.CreatedBy = c.Account
	return &out, nil
}

type listRulesOutput struct {
	Rules     []ruleOutput
	NextToken string `json:",omitzero"`
}

func (s *Service) listRules(_ context.Context, c *wire.Call, in *listInput) (*listRulesOutput, error) {
	var check checks
	check.text(in.NamePrefix, "namePrefix", 64, nameForm)
	check.text(in.EventBusName, "eventBusName", 1600, busARNForm)
	if err := check.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBus(c.Place, in.EventBusName)
	if err != nil {
		return nil, err
	}
	some, next, err := page(b.sortedRules(in.NamePrefix), func(r *rule) string { return r.name }, in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listRulesOutput{NextToken: next}
	for _, r := range some {
		out.Rules = append(out.Rules, r.shown(b))
	}
	return out, nil
}

// deleteRule is content where there is no such rule, as AWS is.
func (s *Service) deleteRule(_ context.Context, c *wire.Call, in *ruleNameInput) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBus(c.Place, in.EventBusName)
	if err != nil {
		return nil, err
	}
	r := b.rules[in.Name]
	if r == nil {
		return nil, nil
	}
	if len(r.targets) > 0 {
		return nil, invalid("Rule can't be deleted since it has targets.")
	}
	delete(b.rules, in.Name)
	s.publish(b, in.Name)
	return nil, nil
}

// setState enables or disables.
func (s *Service) setState(state string) func(context.Context, *wire.Call, *ruleNameInput) (*nothing, error) {
	return func(_ context.Context, c *wire.Call, in *ruleNameInput) (*nothing, error) {
		if err := in.check(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		b, r, err := s.findRule(c.Place, in.EventBusName, in.Name)
		if err != nil {
			return nil, err
		}
		if r.state == state {
			return nil, nil
		}
		s.chains++
		r.state, r.chain = state, s.chains
		s.publish(b, r.name)
		return nil, nil
	}
}

// named are the members of requests that name what they are about.
type named struct {
	Name         string
	Rule         string
	EventBusName string
	ResourceARN  string
}

func readNamed(c *wire.Call) named {
	var in named
	_ = c.Decode(&in) // what does not decode is refused by the operation itself
	return in
}

func (s *Service) resourceOfBus(c *wire.Call) string {
	in := readNamed(c)
	name, _ := busName(c.Place, in.Name+in.EventBusName)
	if name == "" {
		name = defaultBus
	}
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return c.ARN("events", "event-bus/"+name)
}

func (s *Service) resourceOfRule(c *wire.Call) string {
	in := readNamed(c)
	name, ok := busName(c.Place, in.EventBusName)
	at := c.Place
	if a, err := cloud.ParseARN(in.EventBusName); !ok && err == nil {
		at = a.Place()
		_, name, _ = strings.Cut(a.Resource, "/")
	}
	if name == "" {
		name = defaultBus
	}
	return (&bus{at: at, name: name}).ruleARN(in.Name + in.Rule)
}

func (s *Service) resourceOfTags(c *wire.Call) string {
	if in := readNamed(c); in.ResourceARN != "" {
		return in.ResourceARN
	}
	return "*"
}
