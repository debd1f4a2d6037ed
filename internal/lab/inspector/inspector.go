// Package inspector is the lab's Amazon Inspector Classic: assessment targets, templates, runs with their findings.
//
// AWS ended the service on 2026-05-20; its API lives on here, for what is written against it: a run tells its ARN by SNS
// or EventBridge, ListFindings and DescribeFindings give what it found. Findings also go to Security Hub.
//
// Different from AWS: the notifications of SNS are certain, those of EventBridge are not. No source confirms a detail-type
// for a run's change of state. The lab sends "Inspector Assessment Run State Change" with the run's ARN in resources and
// in the detail; who consumes them has to look for the ARN, not for the detail-type. Nothing expires by itself.
//
// https://docs.aws.amazon.com/inspector/v1/APIReference/Welcome.html
package inspector

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// AWS's limits for an account in a region, https://docs.aws.amazon.com/inspector/v1/userguide/inspector_limits.html. Those of
// resource groups and of subscriptions are the lab's own: AWS has such limits and does not tell them.
const (
	maxTargets       = 50
	maxTemplates     = 500
	maxRuns          = 50_000
	maxRunningAgents = 500
	maxGroups        = 500
	maxSubscriptions = 50
)

// principal is whom Inspector delivers as.
const principal = "inspector.amazonaws.com"

// A Service is Inspector Classic.
type Service struct {
	cloud *cloud.Cloud

	mu       sync.Mutex
	places   map[cloud.Place]*place // guarded by mu, like all below
	assessor Assessor
	flaky    float64
	made     uint64 // how many things were made: each has its number, by which lists are ordered
}

// A place is what an account has in a region.
type place struct {
	groups    map[string]*group // by ARN, like the others
	targets   map[string]*target
	templates map[string]*template
	runs      map[string]*run
	findings  map[string]*stored
	firstSeen map[string]wire.Epoch // of issues, by their id in Security Hub
}

// New makes the service, with an assessor that invents hosts and what is wrong with them.
func New(c *cloud.Cloud) *Service {
	return &Service{cloud: c, places: make(map[cloud.Place]*place), assessor: invention{c.Seed}}
}

// SetAssessor says who finds what is wrong, for runs that start their evaluation from now on.
func (s *Service) SetAssessor(a Assessor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assessor = a
}

// SetFlakyItems makes DescribeFindings and DescribeAssessmentRuns fail for a share of the items, 0 to 1, with
// INTERNAL_ERROR or LIMIT_EXCEEDED, to be tried again.
func (s *Service) SetFlakyItems(share float64) error {
	if share < 0 || share > 1 {
		return fmt.Errorf("share of flaky items %v: expected 0 to 1", share)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flaky = share
	return nil
}

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	return &wire.Service{
		Name: "inspector", Protocols: []wire.Protocol{wire.JSON11}, Target: "InspectorService",
		Operations: map[string]wire.Operation{
			"AddAttributesToFindings":      {Do: wire.Do(s.addAttributesToFindings)},
			"CreateAssessmentTarget":       {Do: wire.Do(s.createAssessmentTarget)},
			"CreateAssessmentTemplate":     {Do: wire.Do(s.createAssessmentTemplate)},
			"CreateResourceGroup":          {Do: wire.Do(s.createResourceGroup)},
			"DeleteAssessmentRun":          {Do: wire.Do(s.deleteAssessmentRun)},
			"DeleteAssessmentTarget":       {Do: wire.Do(s.deleteAssessmentTarget)},
			"DeleteAssessmentTemplate":     {Do: wire.Do(s.deleteAssessmentTemplate)},
			"DescribeAssessmentRuns":       {Do: wire.Do(s.describeAssessmentRuns)},
			"DescribeAssessmentTargets":    {Do: wire.Do(s.describeAssessmentTargets)},
			"DescribeAssessmentTemplates":  {Do: wire.Do(s.describeAssessmentTemplates)},
			"DescribeFindings":             {Do: wire.Do(s.describeFindings)},
			"DescribeResourceGroups":       {Do: wire.Do(s.describeResourceGroups)},
			"DescribeRulesPackages":        {Do: wire.Do(s.describeRulesPackages)},
			"GetAssessmentReport":          {Do: wire.Do(s.getAssessmentReport)},
			"ListAssessmentRuns":           {Do: wire.Do(s.listAssessmentRuns)},
			"ListAssessmentTargets":        {Do: wire.Do(s.listAssessmentTargets)},
			"ListAssessmentTemplates":      {Do: wire.Do(s.listAssessmentTemplates)},
			"ListEventSubscriptions":       {Do: wire.Do(s.listEventSubscriptions)},
			"ListFindings":                 {Do: wire.Do(s.listFindings)},
			"ListRulesPackages":            {Do: wire.Do(s.listRulesPackages)},
			"ListTagsForResource":          {Do: wire.Do(s.listTagsForResource)},
			"RemoveAttributesFromFindings": {Do: wire.Do(s.removeAttributesFromFindings)},
			"SetTagsForResource":           {Do: wire.Do(s.setTagsForResource)},
			"StartAssessmentRun":           {Do: wire.Do(s.startAssessmentRun)},
			"StopAssessmentRun":            {Do: wire.Do(s.stopAssessmentRun)},
			"SubscribeToEvent":             {Do: wire.Do(s.subscribeToEvent)},
			"UnsubscribeFromEvent":         {Do: wire.Do(s.unsubscribeFromEvent)},
		},
	}
}

// at gives what an account has in a region, for the first time made. Requires s.mu.
func (s *Service) at(p cloud.Place) *place {
	here := s.places[p]
	if here == nil {
		here = &place{
			groups: make(map[string]*group), targets: make(map[string]*target), templates: make(map[string]*template),
			runs: make(map[string]*run), findings: make(map[string]*stored), firstSeen: make(map[string]wire.Epoch),
		}
		s.places[p] = here
	}
	return here
}

// number is that of a thing that is made now. Requires s.mu.
func (s *Service) number() uint64 { s.made++; return s.made }

// id gives the next id: 0-gHP9oWNT.
func (s *Service) id() string { return "0-" + s.cloud.Letters("inspector", 8) }

// maxShown is how many runs of a place people are shown: the newest.
const maxShown = 50

type shownRun struct {
	ARN, State string
	Findings   int
}

type shownPlace struct {
	Account, Region                    string
	Targets, Templates, Runs, Findings int
	Subscriptions                      []string   `json:",omitempty"`
	NewestRuns                         []shownRun `json:",omitempty"`
	NotificationsThatFailed            int        `json:",omitzero"`
}

// Inspect is the state, for people: places by account and region, with their newest runs.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []shownPlace{}
	for p, here := range s.places {
		shown := shownPlace{
			Account: p.Account, Region: p.Region, Targets: len(here.targets), Templates: len(here.templates),
			Runs: len(here.runs), Findings: len(here.findings),
		}
		for _, t := range byNumber(here.templates) {
			for _, sub := range t.subscriptions {
				shown.Subscriptions = append(shown.Subscriptions, sub.event+" "+sub.topic)
			}
		}
		runs := byNumber(here.runs)
		for _, r := range runs[max(0, len(runs)-maxShown):] {
			shown.NewestRuns = append(shown.NewestRuns, shownRun{r.arn, r.state, len(r.findings)})
			for _, n := range r.notifications {
				if n.Error {
					shown.NotificationsThatFailed++
				}
			}
		}
		shown.Subscriptions = shown.Subscriptions[:min(len(shown.Subscriptions), maxShown)]
		out = append(out, shown)
	}
	slices.SortFunc(out, func(a, b shownPlace) int { return strings.Compare(a.Account+a.Region, b.Account+b.Region) })
	return out
}
