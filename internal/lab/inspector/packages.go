package inspector

import (
	"context"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// The names of the rules packages.
const (
	NameCVE          = "Common Vulnerabilities and Exposures"
	NameCIS          = "CIS Operating System Security Configuration Benchmarks"
	NameReachability = "Network Reachability"
	NamePractices    = "Security Best Practices"
)

// packageNames is the order of the ids in a region's row.
var packageNames = [4]string{NameCVE, NameCIS, NameReachability, NamePractices}

// A regionRow is AWS's account for Inspector in a region, and the ids of its rules packages; an empty one is not there.
type regionRow struct {
	account string
	ids     [4]string
}

// regionRows are the regions that have Inspector Classic.
// https://docs.aws.amazon.com/inspector/v1/userguide/inspector_rules-arns.html
var regionRows = map[string]regionRow{
	"us-east-2":      {"646659390643", [4]string{"0-JnA8Zp85", "0-m8r61nnh", "0-cE4kTR30", "0-AxKmMHPX"}},
	"us-east-1":      {"316112463485", [4]string{"0-gEjTy7T7", "0-rExsr2X8", "0-PmNV0Tcd", "0-R01qwB5Q"}},
	"us-west-1":      {"166987590008", [4]string{"0-TKgzoVOa", "0-xUY8iRqX", "0-TxmXimXF", "0-byoQRFYm"}},
	"us-west-2":      {"758058086616", [4]string{"0-9hgA516p", "0-H5hpSawc", "0-rD1z6dpl", "0-JJOtZiqQ"}},
	"ap-south-1":     {"162588757376", [4]string{"0-LqnJE9dO", "0-PSUlX14m", "0-YxKfjFu1", "0-fs0IZZBj"}},
	"ap-northeast-2": {"526946625049", [4]string{"0-PoGHMznc", "0-T9srhg1z", "0-s3OmLzhL", "0-2WRpmi4n"}},
	"ap-southeast-2": {"454640832652", [4]string{"0-D5TGAxiR", "0-Vkd2Vxjq", "0-FLcuV4Gz", "0-asL6HRgN"}},
	"ap-northeast-1": {"406045910587", [4]string{"0-gHP9oWNT", "0-7WNjqgGu", "0-YI95DVd7", "0-bBUQnxMq"}},
	"eu-central-1":   {"537503971621", [4]string{"0-wNqHa8M9", "0-nZrAVuv8", "0-6yunpJ91", "0-ZujVHEPB"}},
	"eu-west-1":      {"357557129151", [4]string{"0-ubA5XvBh", "0-sJBhCr0F", "0-SPzU33xe", "0-SnojL3Z6"}},
	"eu-west-2":      {"146838936955", [4]string{"0-kZGCqcE1", "0-IeCjwf1W", "0-AizSYyNq", "0-XApUiSaP"}},
	"eu-north-1":     {"453420244670", [4]string{"0-IgdgIewd", "0-Yn8jlX7f", "0-52Sn74uu", "0-HfBQSbSf"}},
	"us-gov-east-1":  {"206278770380", [4]string{"0-3IFKFuOb", "0-pTLCdIww", "", "0-vlgEGcVD"}},
	"us-gov-west-1":  {"850862329162", [4]string{"0-4oQgcI4G", "0-Ac4CFOuc", "", "0-rOTGqe5G"}},
}

// A RulesPackage is what a run looks for.
type RulesPackage struct {
	ARN  string
	Name string // NameCVE …
	n    uint64
}

func (p RulesPackage) order() uint64 { return p.n }
func (p RulesPackage) name() string  { return p.ARN }

// RulesPackages are those of a region: none where AWS had no Inspector Classic.
func RulesPackages(partition, region string) []RulesPackage {
	row, ok := regionRows[region]
	if !ok {
		return nil
	}
	at := cloud.Place{Partition: partition, Account: row.account, Region: region}
	var out []RulesPackage
	for i, id := range row.ids {
		if id != "" {
			out = append(out, RulesPackage{at.ARN("inspector", "rulespackage/"+id), packageNames[i], uint64(i)})
		}
	}
	return out
}

func packagesByARN(p cloud.Place) map[string]RulesPackage {
	out := make(map[string]RulesPackage)
	for _, x := range RulesPackages(p.Partition, p.Region) {
		out[x.ARN] = x
	}
	return out
}

// publisher is the root of the account that publishes to SNS in a region; empty where there is none.
func publisher(partition, region string) string {
	row, ok := regionRows[region]
	if !ok {
		return ""
	}
	return cloud.Place{Partition: partition, Account: row.account}.ARN("iam", "root")
}

type listRulesPackagesOutput struct {
	RulesPackageARNs []string `json:"rulesPackageArns"`
	NextToken        string   `json:"nextToken,omitempty"`
}

func (s *Service) listRulesPackages(_ context.Context, c *wire.Call, in *paging) (*listRulesPackagesOutput, error) {
	list, next, err := page("ListRulesPackages", *in, RulesPackages(c.Partition, c.Region), fullPage)
	if err != nil {
		return nil, err
	}
	return &listRulesPackagesOutput{arnsOf(list), next}, nil
}

type describeRulesPackagesInput struct {
	RulesPackageARNs []string `json:"rulesPackageArns"`
	Locale           string   `json:"locale"`
}

type shownPackage struct {
	ARN         string `json:"arn"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	Provider    string `json:"provider"`
	Description string `json:"description"`
}

type describeRulesPackagesOutput struct {
	RulesPackages []shownPackage        `json:"rulesPackages"`
	FailedItems   map[string]failedItem `json:"failedItems"`
}

var packageDescriptions = map[string]string{
	NameCVE:          "Checks whether the instances are exposed to vulnerabilities of the CVE list.",
	NameCIS:          "Checks the configuration of the instances against the benchmarks of the Center for Internet Security.",
	NameReachability: "Checks which ports of the instances can be reached from outside of their network.",
	NamePractices:    "Checks whether the instances are configured as is good practice.",
}

func (s *Service) describeRulesPackages(_ context.Context, c *wire.Call, in *describeRulesPackagesInput) (*describeRulesPackagesOutput, error) {
	if err := locale(in.Locale); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, failed, err := describe(s, c.Place, kindPackage, in.RulesPackageARNs, packagesByARN(c.Place))
	if err != nil {
		return nil, err
	}
	out := &describeRulesPackagesOutput{FailedItems: failed}
	for _, p := range found {
		out.RulesPackages = append(out.RulesPackages, shownPackage{p.ARN, p.Name, "1.1", "Amazon Web Services, Inc.", packageDescriptions[p.Name]})
	}
	return out, nil
}
