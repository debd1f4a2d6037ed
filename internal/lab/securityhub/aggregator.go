package securityhub

import (
	"slices"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// An aggregator brings the findings of an account, and of its members, from linked regions into a home region.
type aggregator struct {
	arn     string
	home    string
	mode    string
	regions []string
}

// How regions are linked.
const (
	linkAll       = "ALL_REGIONS"
	linkAllExcept = "ALL_REGIONS_EXCEPT_SPECIFIED"
	linkSpecified = "SPECIFIED_REGIONS"
	linkNone      = "NO_REGIONS"
)

// maxLinked is how many regions an aggregator may name.
const maxLinked = 50

// links tells whether findings of a region come to the home region.
func (a *aggregator) links(region string) bool {
	switch {
	case region == a.home:
		return false
	case a.mode == linkAll:
		return true
	case a.mode == linkAllExcept:
		return !slices.Contains(a.regions, region)
	case a.mode == linkSpecified:
		return slices.Contains(a.regions, region)
	}
	return false
}

// owner is the account whose aggregator counts for a place: the administrator's, for a member. Requires mu.
func (s *Service) owner(p cloud.Place) string {
	if h := s.hubs[p]; h != nil && h.admin != nil {
		return h.admin.admin
	}
	return p.Account
}

type aggregatorInput struct {
	FindingAggregatorARN string `json:"FindingAggregatorArn"`
	RegionLinkingMode    string
	Regions              []string
}

type aggregatorOutput struct {
	FindingAggregatorARN     string `json:"FindingAggregatorArn"`
	FindingAggregationRegion string
	RegionLinkingMode        string
	Regions                  []string `json:",omitempty"`
}

func (a *aggregator) output() *aggregatorOutput {
	return &aggregatorOutput{a.arn, a.home, a.mode, a.regions}
}

// check tells what is wrong with the regions of a request. https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_CreateFindingAggregator.html
func (in *aggregatorInput) check(partition, home string) error {
	if in.RegionLinkingMode == "" {
		return invalidInput("Invalid parameter 'RegionLinkingMode'. data should have required property 'RegionLinkingMode'")
	}
	if err := oneOf("RegionLinkingMode", in.RegionLinkingMode, linkAll, linkAllExcept, linkSpecified, linkNone); err != nil {
		return err
	}
	lists := in.RegionLinkingMode == linkAllExcept || in.RegionLinkingMode == linkSpecified
	switch n := len(in.Regions); {
	case lists && (n < 1 || n > maxLinked):
		return invalidInput("Invalid parameter 'Regions'. data should have 1 to %d items with %s", maxLinked, in.RegionLinkingMode)
	case !lists && n > 0:
		return invalidInput("Invalid parameter 'Regions'. No Regions can be named with %s", in.RegionLinkingMode)
	}
	for i, name := range in.Regions {
		r, known := cloud.FindRegion(name)
		if !known || r.Partition != partition || name == home || slices.Contains(in.Regions[:i], name) {
			return invalidInput("Invalid parameter 'Regions'. %q is no Region that can be linked to %s, or is there twice", name, home)
		}
	}
	return nil
}

func (s *Service) createFindingAggregator(c *wire.Call, h *hub, in *aggregatorInput) (*aggregatorOutput, error) {
	if h.admin != nil {
		return nil, accessDenied("Account %s is a member: its administrator %s aggregates", c.Account, h.admin.admin)
	}
	if r, _ := cloud.FindRegion(c.Region); r.OptIn {
		return nil, invalidInput("Region %s is an opt-in Region and cannot be the home Region", c.Region)
	}
	if err := in.check(c.Partition, c.Region); err != nil {
		return nil, err
	}
	if a := s.aggregators[c.Account]; a != nil {
		return nil, limitExceeded("Account %s has a finding aggregator already: %s", c.Account, a.arn)
	}
	a := &aggregator{
		c.ARN("securityhub", "finding-aggregator/"+s.cloud.UUID("securityhub aggregator")), c.Region,
		in.RegionLinkingMode, slices.Clone(in.Regions),
	}
	s.aggregators[c.Account] = a
	return a.output(), nil
}

// aggregatorAt finds the aggregator that an ARN names and the caller may see: its own, or its administrator's.
func (s *Service) aggregatorAt(c *wire.Call, arn string) (*aggregator, error) {
	if parsed, err := cloud.ParseARN(arn); err != nil || parsed.Service != "securityhub" {
		return nil, invalidInput("FindingAggregatorArn %q is not the ARN of a finding aggregator", arn)
	}
	if a := s.aggregators[s.owner(c.Place)]; a != nil && a.arn == arn {
		return a, nil
	}
	return nil, notFound("Finding aggregator %s is not found", arn)
}

// ownAggregator is aggregatorAt for changes: they are the owner's, and made in the home region.
func (s *Service) ownAggregator(c *wire.Call, arn string) (*aggregator, error) {
	a, err := s.aggregatorAt(c, arn)
	switch {
	case err != nil:
		return nil, err
	case s.aggregators[c.Account] != a:
		return nil, accessDenied("Finding aggregator %s is the administrator's", arn)
	case a.home != c.Region:
		return nil, invalidInput("Finding aggregator %s can be changed in its home Region %s only", arn, a.home)
	}
	return a, nil
}

func (s *Service) updateFindingAggregator(c *wire.Call, _ *hub, in *aggregatorInput) (*aggregatorOutput, error) {
	a, err := s.ownAggregator(c, in.FindingAggregatorARN)
	if err != nil {
		return nil, err
	}
	if err := in.check(c.Partition, a.home); err != nil {
		return nil, err
	}
	a.mode, a.regions = in.RegionLinkingMode, slices.Clone(in.Regions)
	return a.output(), nil
}

func (s *Service) getFindingAggregator(c *wire.Call, _ *hub, _ *nothing) (*aggregatorOutput, error) {
	a, err := s.aggregatorAt(c, c.Path["FindingAggregatorArn"])
	if err != nil {
		return nil, err
	}
	return a.output(), nil
}

type aggregatorARN struct {
	FindingAggregatorARN string `json:"FindingAggregatorArn"`
}

type aggregatorList struct {
	FindingAggregators []aggregatorARN
	NextToken          string `json:",omitempty"`
}

func (s *Service) listFindingAggregators(c *wire.Call, _ *hub, _ *nothing) (*aggregatorList, error) {
	var all []aggregatorARN
	if a := s.aggregators[s.owner(c.Place)]; a != nil {
		all = append(all, aggregatorARN{a.arn})
	}
	page, next, err := pageOf(s, c, all, 100)
	if err != nil {
		return nil, err
	}
	return &aggregatorList{page, next}, nil
}

func (s *Service) deleteFindingAggregator(c *wire.Call, _ *hub, _ *nothing) (*nothing, error) {
	if _, err := s.ownAggregator(c, c.Path["FindingAggregatorArn"]); err != nil {
		return nil, err
	}
	delete(s.aggregators, c.Account)
	return &nothing{}, nil
}
