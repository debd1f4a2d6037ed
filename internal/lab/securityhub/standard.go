package securityhub

import (
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A standard is a set of controls. The lab keeps which are enabled, and checks nothing.
type standard struct {
	path      string // end of its ARN, and of the subscription's
	name      string
	global    bool // its ARN has no region
	byDefault bool
}

// https://docs.aws.amazon.com/securityhub/latest/userguide/standards-reference.html
var standards = []standard{
	{"aws-foundational-security-best-practices/v/1.0.0", "AWS Foundational Security Best Practices v1.0.0", false, true},
	{"cis-aws-foundations-benchmark/v/1.2.0", "CIS AWS Foundations Benchmark v1.2.0", true, true},
	{"cis-aws-foundations-benchmark/v/1.4.0", "CIS AWS Foundations Benchmark v1.4.0", false, false},
	{"cis-aws-foundations-benchmark/v/3.0.0", "CIS AWS Foundations Benchmark v3.0.0", false, false},
	{"nist-800-53/v/5.0.0", "NIST Special Publication 800-53 Revision 5", false, false},
	{"pci-dss/v/3.2.1", "PCI DSS v3.2.1", false, false},
}

func (t standard) arn(p cloud.Place) string {
	if t.global {
		return cloud.Place{Partition: p.Partition}.ARN("securityhub", "ruleset/"+t.path)
	}
	return cloud.Place{Partition: p.Partition, Region: p.Region}.ARN("securityhub", "standards/"+t.path)
}

type standardOutput struct {
	StandardsARN     string `json:"StandardsArn"`
	Name             string
	EnabledByDefault bool
}

type standardList struct {
	Standards []standardOutput
	NextToken string `json:",omitempty"`
}

func (s *Service) describeStandards(c *wire.Call, _ *hub, _ *nothing) (*standardList, error) {
	page, next, err := pageOf(s, c, standards, 100)
	if err != nil {
		return nil, err
	}
	out := &standardList{NextToken: next}
	for _, t := range page {
		out.Standards = append(out.Standards, standardOutput{t.arn(c.Place), t.name, t.byDefault})
	}
	return out, nil
}

type standardSubscription struct {
	StandardsSubscriptionARN string `json:"StandardsSubscriptionArn"`
	StandardsARN             string `json:"StandardsArn"`
	StandardsInput           map[string]string
	StandardsStatus          string
}

type standardSubscriptions struct {
	StandardsSubscriptions []standardSubscription
	NextToken              string `json:",omitempty"`
}

func subscribedTo(p cloud.Place, t standard, status string) standardSubscription {
	return standardSubscription{p.ARN("securityhub", "subscription/"+t.path), t.arn(p), map[string]string{}, status}
}

// maxStandards is how many standards a request may name.
const maxStandards = 25

type getEnabledStandardsInput struct {
	StandardsSubscriptionARNs []string `json:"StandardsSubscriptionArns"`
	NextToken                 string
	MaxResults                int
}

func (s *Service) getEnabledStandards(c *wire.Call, h *hub, in *getEnabledStandardsInput) (*standardSubscriptions, error) {
	if len(in.StandardsSubscriptionARNs) > maxStandards {
		return nil, invalidInput("Invalid parameter 'StandardsSubscriptionArns'. data should NOT have more than %d items", maxStandards)
	}
	var all []standardSubscription
	for _, t := range standards {
		one := subscribedTo(c.Place, t, "READY")
		if h.standards[t.path] && (len(in.StandardsSubscriptionARNs) == 0 ||
			slices.Contains(in.StandardsSubscriptionARNs, one.StandardsSubscriptionARN)) {
			all = append(all, one)
		}
	}
	page, next, err := pageBy(s, c, all, 100, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &standardSubscriptions{page, next}, nil
}

type enableStandardsInput struct {
	StandardsSubscriptionRequests []struct {
		StandardsARN string `json:"StandardsArn"`
	}
}

func (s *Service) batchEnableStandards(c *wire.Call, h *hub, in *enableStandardsInput) (*standardSubscriptions, error) {
	if n := len(in.StandardsSubscriptionRequests); n < 1 || n > maxStandards {
		return nil, invalidInput("Invalid parameter 'StandardsSubscriptionRequests'. data should have 1 to %d items", maxStandards)
	}
	out := &standardSubscriptions{}
	chosen := make(map[string]bool)
	for _, r := range in.StandardsSubscriptionRequests {
		i := slices.IndexFunc(standards, func(t standard) bool { return t.arn(c.Place) == r.StandardsARN })
		if i < 0 {
			return nil, invalidInput("StandardsArn %q: no such standard in %s", r.StandardsARN, c.Region)
		}
		chosen[standards[i].path] = true
		out.StandardsSubscriptions = append(out.StandardsSubscriptions, subscribedTo(c.Place, standards[i], "PENDING"))
	}
	maps.Copy(h.standards, chosen)
	return out, nil
}

type disableStandardsInput struct {
	StandardsSubscriptionARNs []string `json:"StandardsSubscriptionArns"`
}

func (s *Service) batchDisableStandards(c *wire.Call, h *hub, in *disableStandardsInput) (*standardSubscriptions, error) {
	if n := len(in.StandardsSubscriptionARNs); n < 1 || n > maxStandards {
		return nil, invalidInput("Invalid parameter 'StandardsSubscriptionArns'. data should have 1 to %d items", maxStandards)
	}
	out := &standardSubscriptions{}
	for _, arn := range in.StandardsSubscriptionARNs {
		path, _ := strings.CutPrefix(arn, c.ARN("securityhub", "subscription/"))
		i := slices.IndexFunc(standards, func(t standard) bool { return t.path == path })
		if i < 0 || !h.standards[path] {
			return nil, invalidInput("StandardsSubscriptionArn %q: no such subscription in %s", arn, c.Region)
		}
		out.StandardsSubscriptions = append(out.StandardsSubscriptions, subscribedTo(c.Place, standards[i], "DELETING"))
	}
	for _, o := range out.StandardsSubscriptions {
		path, _ := strings.CutPrefix(o.StandardsSubscriptionARN, c.ARN("securityhub", "subscription/"))
		delete(h.standards, path)
	}
	return out, nil
}
