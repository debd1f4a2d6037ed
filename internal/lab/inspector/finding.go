package inspector

import (
	"slices"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Finding is what a run found on one instance, in the shape of DescribeFindings. There is no account and no region in
// it: both follow from the ARN. https://docs.aws.amazon.com/inspector/v1/APIReference/API_Finding.html
type Finding struct {
	ARN                   string            `json:"arn"`
	SchemaVersion         int               `json:"schemaVersion"`
	Service               string            `json:"service"`
	ServiceAttributes     ServiceAttributes `json:"serviceAttributes"`
	AssetType             string            `json:"assetType,omitempty"` // ec2-instance
	AssetAttributes       *AssetAttributes  `json:"assetAttributes,omitzero"`
	ID                    string            `json:"id,omitempty"`    // of the rule: CVE-2018-5750
	Title                 string            `json:"title,omitempty"` // like the next two up to 20,000 characters
	Description           string            `json:"description,omitempty"`
	Recommendation        string            `json:"recommendation,omitempty"`
	Severity              string            `json:"severity"`        // SeverityLow …
	NumericSeverity       float64           `json:"numericSeverity"` // 0 to 10
	Confidence            int               `json:"confidence"`      // 0 to 10
	IndicatorOfCompromise bool              `json:"indicatorOfCompromise"`
	Attributes            []Attribute       `json:"attributes"`     // up to 50
	UserAttributes        []Attribute       `json:"userAttributes"` // up to 10
	CreatedAt             wire.Epoch        `json:"createdAt"`
	UpdatedAt             wire.Epoch        `json:"updatedAt"`
}

// The severities of findings.
const (
	SeverityLow           = "Low"
	SeverityMedium        = "Medium"
	SeverityHigh          = "High"
	SeverityInformational = "Informational"
	SeverityUndefined     = "Undefined"
)

var severities = []string{SeverityLow, SeverityMedium, SeverityHigh, SeverityInformational, SeverityUndefined}

// ServiceAttributes say which run found it, with what.
type ServiceAttributes struct {
	SchemaVersion    int    `json:"schemaVersion"`
	AssessmentRunARN string `json:"assessmentRunArn,omitempty"`
	RulesPackageARN  string `json:"rulesPackageArn,omitempty"`
}

// AssetAttributes are the instance.
type AssetAttributes struct {
	SchemaVersion     int                `json:"schemaVersion"`
	AgentID           string             `json:"agentId,omitempty"` // i-0f00…
	AutoScalingGroup  string             `json:"autoScalingGroup,omitempty"`
	AMIID             string             `json:"amiId,omitempty"`
	Hostname          string             `json:"hostname,omitempty"`
	IPv4Addresses     []string           `json:"ipv4Addresses"` // up to 50
	Tags              []Attribute        `json:"tags,omitempty"`
	NetworkInterfaces []NetworkInterface `json:"networkInterfaces,omitempty"`
}

// A NetworkInterface is one of an instance's.
type NetworkInterface struct {
	NetworkInterfaceID string           `json:"networkInterfaceId,omitempty"`
	SubnetID           string           `json:"subnetId,omitempty"`
	VPCID              string           `json:"vpcId,omitempty"`
	PrivateDNSName     string           `json:"privateDnsName,omitempty"`
	PrivateIPAddress   string           `json:"privateIpAddress,omitempty"`
	PrivateIPAddresses []PrivateAddress `json:"privateIpAddresses,omitempty"`
	PublicDNSName      string           `json:"publicDnsName,omitempty"`
	PublicIP           string           `json:"publicIp,omitempty"`
	IPv6Addresses      []string         `json:"ipv6Addresses,omitempty"`
	SecurityGroups     []SecurityGroup  `json:"securityGroups,omitempty"`
}

// A PrivateAddress is one of an interface's.
type PrivateAddress struct {
	PrivateDNSName   string `json:"privateDnsName,omitempty"`
	PrivateIPAddress string `json:"privateIpAddress,omitempty"`
}

// A SecurityGroup is what an interface is in.
type SecurityGroup struct {
	GroupName string `json:"groupName,omitempty"`
	GroupID   string `json:"groupId,omitempty"`
}

// A Run is what an Assessor is told.
type Run struct {
	ARN, Name             string
	TargetARN, TargetName string
	TemplateName          string
	Tags                  []Attribute // that choose the instances; nil: all of the account in the region
	RulesPackages         []RulesPackage
	Duration              time.Duration // of the collection of data
	StartedAt             time.Time     // of that too
	UserAttributes        []Attribute
	TemplateARN           string
}

// An Assessor finds what is wrong. The lab's population is one.
type Assessor interface {
	// Assess gives a run's findings. Their ServiceAttributes.RulesPackageARN says which package of the run found each (one
	// of no package of the run is passed over); ARN, times, user attributes and the rest of the service's attributes are
	// filled in by the service. It is asked once for a run, as a task of the clock. What it gives is not changed later.
	Assess(place cloud.Place, run Run) []Finding
}

// A Fleet is an Assessor that knows which instances a run would take. An instance takes part in one run at a time, and an
// account has at most 500 in runs: with a Fleet, StartAssessmentRun refuses what is more.
type Fleet interface {
	Agents(place cloud.Place, run Run) []string
}

// What the lab takes of an Assessor.
const (
	maxFindings   = 20_000 // of a run
	maxText       = 20_000
	maxAttributes = 50
)

// A stored finding belongs to a run.
type stored struct {
	n uint64
	Finding
	hub string // id in Security Hub
}

func (f *stored) order() uint64 { return f.n }
func (f *stored) name() string  { return f.ARN }

func (f *stored) agent() string {
	if f.AssetAttributes == nil {
		return ""
	}
	return f.AssetAttributes.AgentID
}

func (f *stored) autoScalingGroup() string {
	if f.AssetAttributes == nil {
		return ""
	}
	return f.AssetAttributes.AutoScalingGroup
}

// bound keeps a finding within what the shapes of the API hold.
func (f *Finding) bound() {
	f.ID, f.Title = clip(f.ID, maxKey), clip(f.Title, maxText)
	f.Description, f.Recommendation = clip(f.Description, maxText), clip(f.Recommendation, maxText)
	f.Attributes = slices.Clone(f.Attributes[:min(len(f.Attributes), maxAttributes)])
	for i, a := range f.Attributes {
		f.Attributes[i] = Attribute{clip(a.Key, maxKey), clip(a.Value, maxValue)}
	}
	f.NumericSeverity = min(max(f.NumericSeverity, 0), 10)
	f.Confidence = min(max(f.Confidence, 0), 10)
	if oneOf("", "", f.Severity, severities) != nil {
		f.Severity = SeverityUndefined
	}
}
