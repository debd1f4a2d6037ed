package securityhub

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// An action is a custom action: what a user can send findings to the event bus with.
type action struct {
	id, name, description string
}

// Bounds of custom actions.
const (
	maxActions       = 50
	maxActionName    = 20 // characters
	maxActionText    = 500
	maxActedFindings = 20 // findings of one use
)

var actionID = regexp.MustCompile(`^[0-9A-Za-z]{1,20}$`)

func actionARN(p cloud.Place, id string) string { return p.ARN("securityhub", "action/custom/"+id) }

type actionTarget struct {
	ActionTargetARN string `json:"ActionTargetArn"`
	Name            string
	Description     string
}

type actionInput struct {
	Name        string
	Description string
	ID          string `json:"Id"`
}

type actionARNOutput struct {
	ActionTargetARN string `json:"ActionTargetArn"`
}

func checkAction(name, description string) error {
	if n := len([]rune(name)); n < 1 || n > maxActionName {
		return invalidInput("Invalid parameter 'Name'. data should have 1 to %d characters", maxActionName)
	}
	if n := len([]rune(description)); n < 1 || n > maxActionText {
		return invalidInput("Invalid parameter 'Description'. data should have 1 to %d characters", maxActionText)
	}
	return nil
}

func (s *Service) createActionTarget(c *wire.Call, h *hub, in *actionInput) (*actionARNOutput, error) {
	if err := checkAction(in.Name, in.Description); err != nil {
		return nil, err
	}
	if !actionID.MatchString(in.ID) {
		return nil, invalidInput("Invalid parameter 'Id'. data should be 1 to 20 letters and digits")
	}
	if h.actions[in.ID] != nil {
		return nil, conflict("Action target %s already exists", actionARN(c.Place, in.ID))
	}
	if len(h.actions) >= maxActions {
		return nil, limitExceeded("An account has at most %d custom actions in a region", maxActions)
	}
	h.actions[in.ID] = &action{in.ID, in.Name, in.Description}
	return &actionARNOutput{actionARN(c.Place, in.ID)}, nil
}

type describeActionsInput struct {
	ActionTargetARNs []string `json:"ActionTargetArns"`
	NextToken        string
	MaxResults       int
}

type actionList struct {
	ActionTargets []actionTarget
	NextToken     string `json:",omitempty"`
}

func (s *Service) describeActionTargets(c *wire.Call, h *hub, in *describeActionsInput) (*actionList, error) {
	for _, arn := range in.ActionTargetARNs {
		if _, err := findAction(c.Place, h, arn); err != nil {
			return nil, err
		}
	}
	var all []actionTarget
	for _, id := range slices.Sorted(maps.Keys(h.actions)) {
		arn, a := actionARN(c.Place, id), h.actions[id]
		if len(in.ActionTargetARNs) == 0 || slices.Contains(in.ActionTargetARNs, arn) {
			all = append(all, actionTarget{arn, a.name, a.description})
		}
	}
	page, next, err := pageBy(s, c, all, 100, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &actionList{page, next}, nil
}

func findAction(p cloud.Place, h *hub, arn string) (*action, error) {
	id, ok := strings.CutPrefix(arn, actionARN(p, ""))
	if !ok {
		return nil, invalidInput("ActionTargetArn %q is not the ARN of a custom action in %s", arn, p.Region)
	}
	a := h.actions[id]
	if a == nil {
		return nil, notFound("Action target %s is not found", arn)
	}
	return a, nil
}

func (s *Service) updateActionTarget(c *wire.Call, h *hub, in *actionInput) (*nothing, error) {
	a, err := findAction(c.Place, h, c.Path["ActionTargetArn"])
	if err != nil {
		return nil, err
	}
	changed := *a
	if in.Name != "" {
		changed.name = in.Name
	}
	if in.Description != "" {
		changed.description = in.Description
	}
	if err := checkAction(changed.name, changed.description); err != nil {
		return nil, err
	}
	*a = changed
	return &nothing{}, nil
}

func (s *Service) deleteActionTarget(c *wire.Call, h *hub, _ *nothing) (*actionARNOutput, error) {
	a, err := findAction(c.Place, h, c.Path["ActionTargetArn"])
	if err != nil {
		return nil, err
	}
	delete(h.actions, a.id)
	return &actionARNOutput{actionARN(c.Place, a.id)}, nil
}

type actionDetail struct {
	ActionName        string           `json:"actionName"`
	ActionDescription string           `json:"actionDescription"`
	Findings          []jsontext.Value `json:"findings"`
}

// SendToAction does what a user does in AWS's console: it sends findings, by ProductArn and Id, to a custom action of an
// account and region. Each makes one event on the bus there. AWS has no API for it. At most 20 findings.
func (s *Service) SendToAction(p cloud.Place, id string, findings ...FindingKey) error {
	if len(findings) > maxActedFindings {
		return fmt.Errorf("custom action %s: %d findings, over %d", id, len(findings), maxActedFindings)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.subscribed(p)
	if err != nil {
		return fmt.Errorf("custom action %s: %w", id, err)
	}
	a := h.actions[id]
	if a == nil {
		return fmt.Errorf("custom action %s: not found in %s %s", id, p.Account, p.Region)
	}
	for _, key := range findings {
		r := s.find(p, findingKey{key.ProductARN, key.ID})
		if r == nil {
			return fmt.Errorf("custom action %s: finding %s not found", id, key.ID)
		}
		if _, err := s.cloud.Emit(p, cloud.Event{
			Source: source, DetailType: "Security Hub Findings - Custom Action", Resources: []string{actionARN(p, id)},
			Detail: actionDetail{a.name, a.description, []jsontext.Value{r.current().raw}},
		}); err != nil {
			return fmt.Errorf("custom action %s: finding %s: %w", id, key.ID, err)
		}
	}
	return nil
}
