package cloud

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The partitions of AWS.
const (
	PartitionAWS   = "aws"
	PartitionChina = "aws-cn"
	PartitionGov   = "aws-us-gov"
	PartitionEUSC  = "aws-eusc"
)

// A Place is an account in a region: where a call is made, or where a resource is.
type Place struct {
	Partition string `json:"-"`
	Account   string `json:"account"` // 12 digits; empty in ARNs of S3
	Region    string `json:"region"`  // empty for global services
}

// ARN names a resource of a service that is in this place.
func (p Place) ARN(service, resource string) string {
	return ARN{p.Partition, service, p.Region, p.Account, resource}.String()
}

// Global is the place without its region, for services whose ARNs have none: IAM, Organizations.
func (p Place) Global() Place { p.Region = ""; return p }

// An ARN is an Amazon Resource Name, taken apart.
type ARN struct {
	Partition string
	Service   string
	Region    string
	Account   string
	Resource  string // all the rest, colons included
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Place is where the resource is.
func (a ARN) Place() Place { return Place{a.Partition, a.Account, a.Region} }

// ParseARN takes an ARN apart.
func ParseARN(s string) (ARN, error) {
	part := strings.SplitN(s, ":", 6)
	if len(part) != 6 || part[0] != "arn" || part[1] == "" || part[2] == "" || part[5] == "" {
		return ARN{}, fmt.Errorf("%q is no ARN: expected arn:partition:service:region:account:resource", s)
	}
	return ARN{part[1], part[2], part[3], part[4], part[5]}, nil
}

// DNSSuffix is what a partition's host names end in.
func DNSSuffix(partition string) string {
	switch partition {
	case PartitionChina:
		return "amazonaws.com.cn"
	case PartitionEUSC:
		return "amazonaws.eu"
	}
	return "amazonaws.com"
}

// A Region is one of AWS's regions.
type Region struct {
	Name      string
	Partition string
	OptIn     bool // has to be enabled by each account
}

// Regions lists AWS's regions as of November 2026, as far as the lab knows them.
// https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
var Regions = slices.Concat(
	regions(PartitionAWS, false, "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-south-1", "ap-northeast-1", "ap-northeast-2",
		"ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3",
		"eu-north-1", "sa-east-1"),
	regions(PartitionAWS, true, "af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
		"ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1",
		"me-south-1", "mx-central-1"),
	regions(PartitionChina, false, "cn-north-1", "cn-northwest-1"),
	regions(PartitionGov, false, "us-gov-east-1", "us-gov-west-1"),
	regions(PartitionEUSC, false, "eusc-de-east-1"),
)

func regions(partition string, optIn bool, names ...string) []Region {
	var out []Region
	for _, n := range names {
		out = append(out, Region{n, partition, optIn})
	}
	return out
}

// FindRegion looks a region up by its name.
func FindRegion(name string) (Region, bool) {
	i := slices.IndexFunc(Regions, func(r Region) bool { return r.Name == name })
	if i < 0 {
		return Region{}, false
	}
	return Regions[i], true
}

// HomeRegion is where a partition's global services (IAM, Organizations) are.
func HomeRegion(partition string) string {
	switch partition {
	case PartitionChina:
		return "cn-north-1"
	case PartitionGov:
		return "us-gov-west-1"
	case PartitionEUSC:
		return "eusc-de-east-1"
	}
	return "us-east-1"
}

var accountID = regexp.MustCompile(`^\d{12}$`)

// IsAccountID tells whether s has the form of an account's id.
func IsAccountID(s string) bool { return accountID.MatchString(s) }
