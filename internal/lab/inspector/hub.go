package inspector

import (
	"crypto/sha1" //nolint:gosec // names an issue, and protects nothing
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Limits of Security Hub. https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html
const (
	hubBatch         = 100
	hubTitle         = 256
	hubDescription   = 1024
	hubText          = 512
	hubProductFields = 50
	hubFieldKey      = 128
	hubFieldValue    = 2048
)

// issue is the id in Security Hub of what a finding is about: the same for the same issue in the next run, which then
// brings the finding up to date.
func issue(p cloud.Place, f *stored) string {
	sum := sha1.Sum([]byte(strings.Join([]string{ //nolint:gosec // as above
		p.Region, p.Account, f.ServiceAttributes.RulesPackageARN, f.ID, f.agent(), f.Title,
	}, "\x00")))
	return "inspector/" + p.Region + "/" + p.Account + "/" + hex.EncodeToString(sum[:])
}

// An asff is a finding as Security Hub takes it.
type asff struct {
	SchemaVersion   string
	ID              string `json:"Id"`
	ProductARN      string `json:"ProductArn"`
	GeneratorID     string `json:"GeneratorId"`
	AwsAccountID    string `json:"AwsAccountId"`
	Types           []string
	CreatedAt       string
	UpdatedAt       string
	Severity        asffSeverity
	Confidence      int
	Title           string
	Description     string
	Remediation     *asffRemediation `json:",omitzero"`
	ProductFields   map[string]string
	Resources       []asffResource
	Vulnerabilities []asffVulnerability `json:",omitempty"`
	WorkflowState   string
	Workflow        asffWorkflow
	RecordState     string
}

type asffSeverity struct {
	Label      string
	Normalized int
	Original   string
}

type asffRemediation struct {
	Recommendation struct{ Text string }
}

type asffResource struct {
	Type      string
	ID        string `json:"Id"`
	Partition string
	Region    string
	Tags      map[string]string `json:",omitempty"`
	Details   asffDetails       `json:",omitzero"`
}

type asffDetails struct {
	Instance asffInstance `json:"AwsEc2Instance,omitzero"`
}

type asffInstance struct {
	ImageID       string   `json:"ImageId,omitempty"`
	IPv4Addresses []string `json:"IpV4Addresses,omitempty"`
	VPCID         string   `json:"VpcId,omitempty"`
	SubnetID      string   `json:"SubnetId,omitempty"`
}

type asffVulnerability struct {
	ID string `json:"Id"`
}

type asffWorkflow struct{ Status string }

// integrate hands findings to the account's Security Hub, which takes them if it is on and subscribes to Inspector.
// Requires s.mu.
func (s *Service) integrate(here *place, r *run, made []*stored) {
	for batch := range slices.Chunk(made, hubBatch) {
		var request struct{ Findings []asff }
		for _, f := range batch {
			request.Findings = append(request.Findings, translate(here, r, f))
		}
		body, err := json.Marshal(&request, json.Deterministic(true))
		if err != nil {
			continue // texts always marshal
		}
		s.cloud.DeliverLater(&cloud.Delivery{
			Source: r.arn, From: principal, Account: r.place.Account, Action: "securityhub:BatchImportFindings",
			Target: r.place.ARN("securityhub", "product-subscription/aws/inspector"), Body: body, Trusted: true,
		}, nil)
	}
}

// labels are Security Hub's words for the severities, with their normalized values.
var labels = map[string]asffSeverity{
	SeverityInformational: {Label: "INFORMATIONAL"},
	SeverityUndefined:     {Label: "INFORMATIONAL"},
	SeverityLow:           {Label: "LOW", Normalized: 1},
	SeverityMedium:        {Label: "MEDIUM", Normalized: 40},
	SeverityHigh:          {Label: "HIGH", Normalized: 70},
}

func translate(here *place, r *run, f *stored) asff {
	name := r.packageName(f.ServiceAttributes.RulesPackageARN)
	severity := labels[f.Severity]
	severity.Original = strconv.FormatFloat(f.NumericSeverity, 'f', 1, 64)
	out := asff{
		SchemaVersion: "2018-10-08", ID: f.hub, ProductARN: productARN(r.place), GeneratorID: f.ServiceAttributes.RulesPackageARN,
		AwsAccountID: r.place.Account, Types: []string{findingType(name, f.ID)}, CreatedAt: wire.ISO(here.firstSeen[f.hub].Time),
		UpdatedAt: wire.ISO(f.UpdatedAt.Time), Severity: severity, Confidence: f.Confidence, Title: clip(f.Title, hubTitle),
		Description: clip(f.Description, hubDescription), ProductFields: productFields(r, f, name),
		Resources: []asffResource{instance(r.place, f)}, WorkflowState: "NEW", Workflow: asffWorkflow{"NEW"}, RecordState: "ACTIVE",
	}
	if f.Recommendation != "" {
		out.Remediation = &asffRemediation{}
		out.Remediation.Recommendation.Text = clip(f.Recommendation, hubText)
	}
	if name == NameCVE {
		out.Vulnerabilities = []asffVulnerability{{f.ID}}
	}
	return out
}

func productARN(p cloud.Place) string {
	p.Account = ""
	return p.ARN("securityhub", "product/aws/inspector")
}

// findingType is the type of a finding by its rules package and rule.
func findingType(name, rule string) string {
	const checks = "Software and Configuration Checks/"
	switch name {
	case NameCVE:
		return checks + "Vulnerabilities/CVE"
	case NameCIS:
		return checks + "Industry and Regulatory Standards/CIS Host Hardening Benchmarks"
	case NameReachability:
		return checks + "AWS Security Best Practices/Network Reachability - " + strings.ReplaceAll(rule, "/", " ")
	}
	return checks + "AWS Security Best Practices"
}

func productFields(r *run, f *stored, name string) map[string]string {
	out := map[string]string{
		"aws/inspector/id":                     f.ID,
		"aws/inspector/arn":                    f.ARN,
		"aws/inspector/RulesPackageName":       name,
		"aws/inspector/AssessmentTargetName":   r.template.target.label,
		"aws/inspector/AssessmentTemplateName": r.template.label,
		"serviceAttributes/schemaVersion":      strconv.Itoa(f.ServiceAttributes.SchemaVersion),
		"serviceAttributes/assessmentRunArn":   f.ServiceAttributes.AssessmentRunARN,
		"serviceAttributes/rulesPackageArn":    f.ServiceAttributes.RulesPackageARN,
		"aws/securityhub/FindingId":            productARN(r.place) + "/" + f.hub,
		"aws/securityhub/ProductName":          "Inspector",
		"aws/securityhub/CompanyName":          "Amazon",
	}
	for _, a := range f.Attributes {
		if len(out) < hubProductFields {
			out[clip("attributes/"+a.Key, hubFieldKey)] = clip(a.Value, hubFieldValue)
		}
	}
	return out
}

func instance(p cloud.Place, f *stored) asffResource {
	out := asffResource{Type: "AwsEc2Instance", ID: p.ARN("ec2", "instance/"+f.agent()), Partition: p.Partition, Region: p.Region}
	if f.AssetAttributes == nil || f.agent() == "" {
		// What is about no instance, such as that nothing was found, is about the account.
		out.Type, out.ID = "AwsAccount", "AWS::::Account:"+p.Account
		return out
	}
	if len(f.AssetAttributes.Tags) > 0 {
		out.Tags = make(map[string]string)
		for _, t := range f.AssetAttributes.Tags {
			out.Tags[t.Key] = t.Value
		}
	}
	out.Details.Instance = asffInstance{ImageID: f.AssetAttributes.AMIID, IPv4Addresses: f.AssetAttributes.IPv4Addresses}
	if interfaces := f.AssetAttributes.NetworkInterfaces; len(interfaces) > 0 {
		out.Details.Instance.VPCID, out.Details.Instance.SubnetID = interfaces[0].VPCID, interfaces[0].SubnetID
	}
	return out
}
