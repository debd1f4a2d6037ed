package inspector

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

type listFindingsInput struct {
	AssessmentRunARNs []string      `json:"assessmentRunArns"`
	Filter            findingFilter `json:"filter"`
	paging
}

// A findingFilter lets a finding through that matches each of its lists; of a list one value is enough.
type findingFilter struct {
	AgentIDs          []string    `json:"agentIds"`
	AutoScalingGroups []string    `json:"autoScalingGroups"`
	RuleNames         []string    `json:"ruleNames"`
	Severities        []string    `json:"severities"`
	RulesPackageARNs  []string    `json:"rulesPackageArns"`
	Attributes        []Attribute `json:"attributes"`
	UserAttributes    []Attribute `json:"userAttributes"`
	CreationTimeRange *timeRange  `json:"creationTimeRange"`
}

// The most of the lists of a findingFilter that differ from maxFilter, and how long a rule's name may be.
const (
	maxAgentIDs          = 99
	maxAutoScalingGroups = 20
	maxRuleName          = 1000
)

func (f *findingFilter) check() error {
	for _, list := range []struct {
		code, what string
		n, most    int
	}{
		{"AGENT_IDS", "agents", len(f.AgentIDs), maxAgentIDs},
		{"AUTO_SCALING_GROUPS", "auto scaling groups", len(f.AutoScalingGroups), maxAutoScalingGroups},
		{"RULE_NAMES", "rule names", len(f.RuleNames), maxFilter},
		{"SEVERITIES", "severities", len(f.Severities), maxFilter},
		{"RULES_PACKAGE_ARNS", "rules packages", len(f.RulesPackageARNs), maxFilter},
		{"ATTRIBUTES", "attributes", len(f.Attributes), maxFilter},
		{"USER_ATTRIBUTES", "user attributes", len(f.UserAttributes), maxFilter},
	} {
		if err := count("INVALID_NUMBER_OF_"+list.code, list.what, list.n, 0, list.most); err != nil {
			return err
		}
	}
	for _, id := range f.AgentIDs {
		if err := text("INVALID_AGENT_ID", "an agent's id", id, 1, maxKey); err != nil {
			return err
		}
	}
	for _, g := range f.AutoScalingGroups {
		if err := text("INVALID_AUTO_SCALING_GROUP", "an auto scaling group", g, 1, maxValue); err != nil {
			return err
		}
	}
	for _, name := range f.RuleNames {
		if err := text("INVALID_RULE_NAME", "a rule's name", name, 0, maxRuleName); err != nil {
			return err
		}
	}
	for _, severity := range f.Severities {
		if err := oneOf("INVALID_SEVERITY", "severity", severity, severities); err != nil {
			return err
		}
	}
	for _, a := range f.Attributes {
		if err := text("INVALID_ATTRIBUTE", "the key of an attribute", a.Key, 1, maxKey); err != nil {
			return err
		}
	}
	for _, a := range f.UserAttributes {
		if err := text("INVALID_USER_ATTRIBUTE", "the key of a user attribute", a.Key, 1, maxKey); err != nil {
			return err
		}
	}
	// The model has no code for this range.
	return f.CreationTimeRange.check("")
}

func (f *findingFilter) holds(x *stored) bool {
	return anyOf(f.AgentIDs, x.agent()) && anyOf(f.AutoScalingGroups, x.autoScalingGroup()) && anyOf(f.RuleNames, x.ID) &&
		anyOf(f.Severities, x.Severity) && anyOf(f.RulesPackageARNs, x.ServiceAttributes.RulesPackageARN) &&
		hasAttribute(f.Attributes, x.Attributes) && hasAttribute(f.UserAttributes, x.UserAttributes) &&
		f.CreationTimeRange.holds(x.CreatedAt.Time)
}

// hasAttribute tells whether one of the wanted attributes is there; one without value is there with any.
func hasAttribute(wanted, have []Attribute) bool {
	return len(wanted) == 0 || slices.ContainsFunc(have, func(a Attribute) bool {
		return slices.ContainsFunc(wanted, func(w Attribute) bool { return w.Key == a.Key && (w.Value == "" || w.Value == a.Value) })
	})
}

type listFindingsOutput struct {
	FindingARNs []string `json:"findingArns"`
	NextToken   string   `json:"nextToken,omitempty"`
}

// listFindings lists those of the runs, or without runs all of the region, in the order in which they were made.
func (s *Service) listFindings(_ context.Context, c *wire.Call, in *listFindingsInput) (*listFindingsOutput, error) {
	if err := count("INVALID_NUMBER_OF_ASSESSMENT_RUN_ARNS", "run ARNs", len(in.AssessmentRunARNs), 0, maxParents); err != nil {
		return nil, err
	}
	if err := in.Filter.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	runs := make(map[string]*run)
	for _, arn := range in.AssessmentRunARNs {
		r, err := find(c.Place, kindRun, arn, here.runs)
		if err != nil {
			return nil, err
		}
		runs[arn] = r
	}
	if len(runs) == 0 {
		runs = here.runs
	}
	all := make(map[string]*stored)
	for _, r := range runs {
		for _, arn := range r.findings {
			if x := here.findings[arn]; in.Filter.holds(x) {
				all[arn] = x
			}
		}
	}
	list, next, err := page(c.Operation, in.paging, byNumber(all), fullPage)
	if err != nil {
		return nil, err
	}
	return &listFindingsOutput{arnsOf(list), next}, nil
}

type describeFindingsInput struct {
	FindingARNs []string `json:"findingArns"`
	Locale      string   `json:"locale"`
}

// A shownFinding is a finding on the wire, where a whole severity has a fraction too: 6.0.
type shownFinding struct {
	Finding
	NumericSeverity score `json:"numericSeverity"`
}

type score float64

func (s score) MarshalJSON() ([]byte, error) {
	b := strconv.AppendFloat(nil, float64(s), 'f', -1, 64)
	if !bytes.Contains(b, []byte(".")) {
		b = append(b, ".0"...)
	}
	return b, nil
}

type describeFindingsOutput struct {
	Findings    []shownFinding        `json:"findings"`
	FailedItems map[string]failedItem `json:"failedItems"`
}

func (s *Service) describeFindings(_ context.Context, c *wire.Call, in *describeFindingsInput) (*describeFindingsOutput, error) {
	if err := locale(in.Locale); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, failed, err := describe(s, c.Place, kindFinding, in.FindingARNs, s.at(c.Place).findings)
	if err != nil {
		return nil, err
	}
	out := &describeFindingsOutput{FailedItems: failed}
	for _, f := range found {
		out.Findings = append(out.Findings, shownFinding{f.Finding, score(f.NumericSeverity)})
	}
	return out, nil
}

type addAttributesInput struct {
	FindingARNs []string    `json:"findingArns"`
	Attributes  []Attribute `json:"attributes"`
}

type failedItemsOutput struct {
	FailedItems map[string]failedItem `json:"failedItems"`
}

// addAttributesToFindings sets user attributes; one that is there is replaced. A finding with more than ten fails with
// LIMIT_EXCEEDED and stays as it is.
func (s *Service) addAttributesToFindings(_ context.Context, c *wire.Call, in *addAttributesInput) (*failedItemsOutput, error) {
	if err := pairs("USER_ATTRIBUTE", in.Attributes, 0); err != nil {
		return nil, err
	}
	return s.changeAttributes(c, in.FindingARNs, func(have []Attribute) []Attribute {
		for _, a := range in.Attributes {
			have = append(without(have, a.Key), a)
		}
		return have
	})
}

type removeAttributesInput struct {
	FindingARNs   []string `json:"findingArns"`
	AttributeKeys []string `json:"attributeKeys"`
}

// removeAttributesFromFindings takes user attributes away; those that are not there are passed over.
func (s *Service) removeAttributesFromFindings(_ context.Context, c *wire.Call, in *removeAttributesInput) (*failedItemsOutput, error) {
	if err := count("INVALID_NUMBER_OF_USER_ATTRIBUTES", "keys", len(in.AttributeKeys), 0, maxPairs); err != nil {
		return nil, err
	}
	for _, key := range in.AttributeKeys {
		if err := text("INVALID_USER_ATTRIBUTE_KEY", "a key", key, 1, maxKey); err != nil {
			return nil, err
		}
	}
	return s.changeAttributes(c, in.FindingARNs, func(have []Attribute) []Attribute {
		for _, key := range in.AttributeKeys {
			have = without(have, key)
		}
		return have
	})
}

// without gives a copy of attributes that lacks a key.
func without(have []Attribute, key string) []Attribute {
	return slices.DeleteFunc(slices.Clone(have), func(a Attribute) bool { return a.Key == key })
}

func (s *Service) changeAttributes(c *wire.Call, arns []string, change func([]Attribute) []Attribute) (*failedItemsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, failed, err := describe(s, c.Place, kindFinding, arns, s.at(c.Place).findings)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		attributes := change(f.UserAttributes)
		if len(attributes) > maxPairs {
			failed[f.ARN] = failedItem{failLimit, false}
			continue
		}
		f.UserAttributes, f.UpdatedAt = attributes, s.now()
	}
	return &failedItemsOutput{failed}, nil
}

type getAssessmentReportInput struct {
	AssessmentRunARN string `json:"assessmentRunArn"`
	ReportFileFormat string `json:"reportFileFormat"`
	ReportType       string `json:"reportType"`
}

type getAssessmentReportOutput struct {
	Status string `json:"status"`
	URL    string `json:"url,omitempty"`
}

// reportTime is how long a report takes to be written.
const reportTime = 20 * time.Second

// getAssessmentReport is asked again until the report is there. The address has AWS's form; the lab serves nothing there.
func (s *Service) getAssessmentReport(_ context.Context, c *wire.Call, in *getAssessmentReportInput) (*getAssessmentReportOutput, error) {
	// The model has no codes for these two.
	if err := oneOf("", "reportFileFormat", in.ReportFileFormat, []string{"HTML", "PDF"}); err != nil {
		return nil, err
	}
	if err := oneOf("", "reportType", in.ReportType, []string{"FINDING", "FULL"}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := find(c.Place, kindRun, in.AssessmentRunARN, s.at(c.Place).runs)
	if err != nil {
		return nil, err
	}
	switch r.state {
	case stateCompleted, stateCompletedWithE:
	case stateFailed, stateError, stateCanceled:
		return &getAssessmentReportOutput{Status: "FAILED"}, nil
	default:
		return nil, inProgress([]string{r.arn})
	}
	key := in.ReportFileFormat + "/" + in.ReportType
	asked, ok := r.reports[key]
	if !ok {
		asked = s.cloud.Clock.Now()
		r.reports[key] = asked
	}
	if s.cloud.Clock.Now().Sub(asked) < reportTime {
		return &getAssessmentReportOutput{Status: "WORK_IN_PROGRESS"}, nil
	}
	_, id, _ := strings.Cut(r.arn, "/run/")
	return &getAssessmentReportOutput{"COMPLETED", fmt.Sprintf("https://inspector-reports-%s.s3.%s.%s/%s/%s-%s.%s", c.Region, c.Region,
		cloud.DNSSuffix(c.Partition), c.Account, id, strings.ToLower(in.ReportType), strings.ToLower(in.ReportFileFormat))}, nil
}
