package inspector2

import "example.org/catchment/internal/lab/wire"

// A Time is a time in a finding. On the wire it is a number, in events and in Security Hub a text.
type Time = wire.Epoch

// Statuses of a finding.
const (
	Active     = "ACTIVE"
	Suppressed = "SUPPRESSED"
	Closed     = "CLOSED"
)

// Types of findings.
const (
	PackageFinding = "PACKAGE_VULNERABILITY"
	NetworkFinding = "NETWORK_REACHABILITY"
	CodeFinding    = "CODE_VULNERABILITY"
)

// Types of resources.
const (
	Instance   = "AWS_EC2_INSTANCE"
	Image      = "AWS_ECR_CONTAINER_IMAGE"
	Function   = "AWS_LAMBDA_FUNCTION"
	Repository = "CODE_REPOSITORY"
)

// A Finding is a finding as ListFindings answers it. What its pointers and slices lead to is shared by many findings and
// must not change once the finding was reported.
// https://docs.aws.amazon.com/inspector/v2/APIReference/API_Finding.html
type Finding struct {
	AccountID        string                `json:"awsAccountId"`
	Code             *CodeVulnerability    `json:"codeVulnerabilityDetails,omitzero"`
	Description      string                `json:"description"`
	EPSS             *EPSS                 `json:"epss,omitzero"`
	ExploitAvailable string                `json:"exploitAvailable,omitempty"` // YES, NO
	Exploitability   *Exploitability       `json:"exploitabilityDetails,omitzero"`
	ARN              string                `json:"findingArn"`
	FirstObservedAt  wire.Epoch            `json:"firstObservedAt"`
	FixAvailable     string                `json:"fixAvailable,omitempty"` // YES, NO, PARTIAL
	Score            float64               `json:"inspectorScore,omitzero"`
	ScoreDetails     *ScoreDetails         `json:"inspectorScoreDetails,omitzero"`
	LastObservedAt   wire.Epoch            `json:"lastObservedAt"`
	Network          *NetworkReachability  `json:"networkReachabilityDetails,omitzero"`
	Package          *PackageVulnerability `json:"packageVulnerabilityDetails,omitzero"`
	Remediation      *Remediation          `json:"remediation"`
	Resources        []Resource            `json:"resources"` // 1 to 10
	Severity         string                `json:"severity"`
	Status           string                `json:"status"`
	Title            string                `json:"title"`
	Type             string                `json:"type"`
	UpdatedAt        wire.Epoch            `json:"updatedAt"`
}

// An EPSS is how likely an exploit is, 0 to 1.
type EPSS struct {
	Score float64 `json:"score"`
}

// An Exploitability tells when an exploit was seen last.
type Exploitability struct {
	LastKnownExploitAt wire.Epoch `json:"lastKnownExploitAt,omitzero"`
}

// A Remediation is what to do.
type Remediation struct {
	Recommendation Recommendation `json:"recommendation"`
}

// A Recommendation is an advice. AWS spells Url with a capital letter here.
type Recommendation struct {
	Text string `json:"text,omitempty"`
	URL  string `json:"Url,omitempty"`
}

// ScoreDetails tell where the score comes from.
type ScoreDetails struct {
	Adjusted AdjustedCVSS `json:"adjustedCvss"`
}

// An AdjustedCVSS is Inspector's own view of a CVSS score.
type AdjustedCVSS struct {
	Adjustments []Adjustment `json:"adjustments"`
	CVSSSource  string       `json:"cvssSource"`
	Score       float64      `json:"score"`
	ScoreSource string       `json:"scoreSource"`
	Vector      string       `json:"scoringVector"`
	Version     string       `json:"version"`
}

// An Adjustment is one change to a score.
type Adjustment struct {
	Metric string `json:"metric"`
	Reason string `json:"reason"`
}

// A PackageVulnerability is what a package finding is about.
type PackageVulnerability struct {
	CVSS            []CVSS              `json:"cvss"`
	ReferenceURLs   []string            `json:"referenceUrls"`
	Related         []string            `json:"relatedVulnerabilities"`
	Source          string              `json:"source"`
	SourceURL       string              `json:"sourceUrl,omitempty"`
	VendorCreatedAt wire.Epoch          `json:"vendorCreatedAt,omitzero"`
	VendorSeverity  string              `json:"vendorSeverity,omitempty"`
	VendorUpdatedAt wire.Epoch          `json:"vendorUpdatedAt,omitzero"`
	ID              string              `json:"vulnerabilityId"`
	Packages        []VulnerablePackage `json:"vulnerablePackages"`
}

// A CVSS is a score that somebody gave.
type CVSS struct {
	BaseScore float64 `json:"baseScore"`
	Vector    string  `json:"scoringVector"`
	Source    string  `json:"source"`
	Version   string  `json:"version"`
}

// A VulnerablePackage is a package that has the vulnerability.
type VulnerablePackage struct {
	Arch           string `json:"arch,omitempty"`
	Epoch          int    `json:"epoch"`
	FilePath       string `json:"filePath,omitempty"`
	FixedInVersion string `json:"fixedInVersion,omitempty"`
	Name           string `json:"name"`
	PackageManager string `json:"packageManager,omitempty"`
	Release        string `json:"release,omitempty"`
	Remediation    string `json:"remediation,omitempty"`
	LambdaLayer    string `json:"sourceLambdaLayerArn,omitempty"`
	LayerHash      string `json:"sourceLayerHash,omitempty"`
	Version        string `json:"version"`
}

// A NetworkReachability is what a network finding is about.
type NetworkReachability struct {
	Path     NetworkPath `json:"networkPath"`
	Ports    PortRange   `json:"openPortRange"`
	Protocol string      `json:"protocol"` // TCP, UDP
}

// A NetworkPath leads from outside to the resource.
type NetworkPath struct {
	Steps []Step `json:"steps"` // 1 to 30
}

// A Step is one component of a path.
type Step struct {
	ID   string `json:"componentId"`
	Type string `json:"componentType"` // AWS::EC2::InternetGateway
}

// A PortRange is ports from Begin to End.
type PortRange struct {
	Begin int `json:"begin"`
	End   int `json:"end"`
}

// A CodeVulnerability is what a code finding is about.
type CodeVulnerability struct {
	CWEs          []string `json:"cwes"`
	DetectorID    string   `json:"detectorId"`
	DetectorName  string   `json:"detectorName"`
	DetectorTags  []string `json:"detectorTags,omitempty"`
	File          CodeFile `json:"filePath"`
	ReferenceURLs []string `json:"referenceUrls,omitempty"`
	RuleID        string   `json:"ruleId,omitempty"`
}

// A CodeFile is where in the code.
type CodeFile struct {
	EndLine   int    `json:"endLine"`
	Name      string `json:"fileName"`
	Path      string `json:"filePath"`
	StartLine int    `json:"startLine"`
}

// A Resource is what has the finding.
type Resource struct {
	Details           Details           `json:"details"`
	ID                string            `json:"id"` // i-…, or an ARN
	Partition         string            `json:"partition,omitempty"`
	Provider          string            `json:"provider,omitempty"` // in events alone
	ProviderAccountID string            `json:"providerAccountId,omitempty"`
	Region            string            `json:"region,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	Type              string            `json:"type"`
}

// Details are what is known of a resource: one of the first three; the others are their twins in events.
type Details struct {
	Instance *InstanceDetails `json:"awsEc2Instance,omitzero"`
	Image    *ImageDetails    `json:"awsEcrContainerImage,omitzero"`
	Function *FunctionDetails `json:"awsLambdaFunction,omitzero"`

	VM         *machineTwin    `json:"vm,omitzero"`
	Serverless *serverlessTwin `json:"serverlessFunction,omitzero"`
}

// InstanceDetails are those of an EC2 instance.
type InstanceDetails struct {
	ProfileARN string     `json:"iamInstanceProfileArn,omitempty"`
	ImageID    string     `json:"imageId,omitempty"`
	IPv4       []string   `json:"ipV4Addresses"`
	IPv6       []string   `json:"ipV6Addresses"`
	KeyName    string     `json:"keyName,omitempty"`
	LaunchedAt wire.Epoch `json:"launchedAt,omitzero"`
	Platform   string     `json:"platform,omitempty"` // AMAZON_LINUX_2
	SubnetID   string     `json:"subnetId,omitempty"`
	Type       string     `json:"type,omitempty"`
	VPCID      string     `json:"vpcId,omitempty"`
}

// ImageDetails are those of a container image.
type ImageDetails struct {
	Architecture string     `json:"architecture,omitempty"`
	Author       string     `json:"author,omitempty"`
	Hash         string     `json:"imageHash"`
	Tags         []string   `json:"imageTags"`
	InUseCount   int        `json:"inUseCount,omitzero"`
	LastInUseAt  wire.Epoch `json:"lastInUseAt,omitzero"`
	Platform     string     `json:"platform,omitempty"`
	PushedAt     wire.Epoch `json:"pushedAt,omitzero"`
	Registry     string     `json:"registry"`
	Repository   string     `json:"repositoryName"`
}

// FunctionDetails are those of a Lambda function.
type FunctionDetails struct {
	Architectures  []string   `json:"architectures,omitempty"`
	CodeSHA256     string     `json:"codeSha256"`
	RoleARN        string     `json:"executionRoleArn"`
	Name           string     `json:"functionName"`
	LastModifiedAt wire.Epoch `json:"lastModifiedAt,omitzero"`
	Layers         []string   `json:"layers,omitempty"`
	PackageType    string     `json:"packageType,omitempty"` // ZIP, IMAGE
	Runtime        string     `json:"runtime"`               // PYTHON_3_11
	Version        string     `json:"version"`
	VPC            *VPCConfig `json:"vpcConfig,omitzero"`
}

// A VPCConfig is the network of a function.
type VPCConfig struct {
	SecurityGroupIDs []string `json:"securityGroupIds"`
	SubnetIDs        []string `json:"subnetIds"`
	VPCID            string   `json:"vpcId"`
}

// kind is the type of resources whose scan finds a finding.
func (f *Finding) kind() string {
	switch {
	case f.Type == CodeFinding && f.Resources[0].Type == Function:
		return LambdaCode
	case f.Resources[0].Type == Image:
		return ECR
	case f.Resources[0].Type == Function:
		return Lambda
	case f.Resources[0].Type == Repository:
		return CodeRepository
	}
	return EC2
}
