package securityhub

import (
	"bytes"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A kind is the kind of filter that a field takes.
type kind uint8

const (
	kindString kind = iota + 1
	kindNumber
	kindDate
	kindMap
	kindIP
	kindBool
	kindKeyword
)

// A field is what GetFindings can filter by, and sort by.
type field struct {
	kind kind
	path []string // in the finding; arrays on the way count with each element
	// What the service has at hand without reading the finding; at most one is not nil.
	text   func(*record, *version) string
	number func(*version) float64
	date   func(*version) time.Time
}

// fields are the members of AwsSecurityFindingFilters.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFindingFilters.html
var fields = makeFields()

func makeFields() map[string]field {
	out := make(map[string]field)
	for k, text := range fieldPaths {
		for name := range strings.FieldsSeq(text) {
			name, path, ok := strings.Cut(name, "=")
			if !ok {
				path = name
			}
			out[name] = field{kind: k, path: strings.Split(path, ".")}
		}
	}
	hot := func(name string, text func(*record, *version) string) {
		f := out[name]
		f.text = text
		out[name] = f
	}
	hot("Id", func(r *record, _ *version) string { return r.key.id })
	hot("ProductArn", func(r *record, _ *version) string { return r.key.product })
	hot("AwsAccountId", func(r *record, _ *version) string { return r.hub.place.Account })
	hot("Region", func(r *record, _ *version) string { return r.hub.place.Region })
	hot("ProductName", func(_ *record, v *version) string { return v.product })
	hot("CompanyName", func(_ *record, v *version) string { return v.company })
	hot("SeverityLabel", func(_ *record, v *version) string { return v.label })
	hot("RecordState", func(_ *record, v *version) string { return v.state })
	hot("WorkflowStatus", func(_ *record, v *version) string { return v.workflow })
	out["SeverityNormalized"] = field{kind: kindNumber, path: []string{"Severity", "Normalized"}, number: func(v *version) float64 { return v.normalized }}
	out["UpdatedAt"] = field{kind: kindDate, path: []string{"UpdatedAt"}, date: func(v *version) time.Time { return v.updated }}
	return out
}

// fieldPaths lists the fields of each kind: their names as filters, and where they are if that is not the same.
var fieldPaths = map[kind]string{
	kindString: `
		ProductArn AwsAccountId AwsAccountName Id GeneratorId Region Type=Types Title Description SourceUrl ProductName CompanyName
		SeverityLabel=Severity.Label RecommendationText=Remediation.Recommendation.Text
		MalwareName=Malware.Name MalwareType=Malware.Type MalwarePath=Malware.Path MalwareState=Malware.State
		NetworkDirection=Network.Direction NetworkProtocol=Network.Protocol NetworkSourceDomain=Network.SourceDomain
		NetworkSourceMac=Network.SourceMac NetworkDestinationDomain=Network.DestinationDomain
		ProcessName=Process.Name ProcessPath=Process.Path
		ThreatIntelIndicatorType=ThreatIntelIndicators.Type ThreatIntelIndicatorValue=ThreatIntelIndicators.Value
		ThreatIntelIndicatorCategory=ThreatIntelIndicators.Category ThreatIntelIndicatorSource=ThreatIntelIndicators.Source
		ThreatIntelIndicatorSourceUrl=ThreatIntelIndicators.SourceUrl
		ResourceType=Resources.Type ResourceId=Resources.Id ResourcePartition=Resources.Partition ResourceRegion=Resources.Region
		ResourceApplicationName=Resources.ApplicationName ResourceApplicationArn=Resources.ApplicationArn
		ResourceAwsEc2InstanceType=Resources.Details.AwsEc2Instance.Type
		ResourceAwsEc2InstanceImageId=Resources.Details.AwsEc2Instance.ImageId
		ResourceAwsEc2InstanceKeyName=Resources.Details.AwsEc2Instance.KeyName
		ResourceAwsEc2InstanceIamInstanceProfileArn=Resources.Details.AwsEc2Instance.IamInstanceProfileArn
		ResourceAwsEc2InstanceVpcId=Resources.Details.AwsEc2Instance.VpcId
		ResourceAwsEc2InstanceSubnetId=Resources.Details.AwsEc2Instance.SubnetId
		ResourceAwsS3BucketOwnerId=Resources.Details.AwsS3Bucket.OwnerId
		ResourceAwsS3BucketOwnerName=Resources.Details.AwsS3Bucket.OwnerName
		ResourceAwsIamAccessKeyUserName=Resources.Details.AwsIamAccessKey.UserName
		ResourceAwsIamAccessKeyPrincipalName=Resources.Details.AwsIamAccessKey.PrincipalName
		ResourceAwsIamAccessKeyStatus=Resources.Details.AwsIamAccessKey.Status
		ResourceAwsIamUserUserName=Resources.Details.AwsIamUser.UserName
		ResourceContainerName=Resources.Details.Container.Name ResourceContainerImageId=Resources.Details.Container.ImageId
		ResourceContainerImageName=Resources.Details.Container.ImageName
		ComplianceStatus=Compliance.Status ComplianceSecurityControlId=Compliance.SecurityControlId
		ComplianceAssociatedStandardsId=Compliance.AssociatedStandards.StandardsId
		ComplianceSecurityControlParametersName=Compliance.SecurityControlParameters.Name
		ComplianceSecurityControlParametersValue=Compliance.SecurityControlParameters.Value
		VerificationState WorkflowState WorkflowStatus=Workflow.Status RecordState
		RelatedFindingsProductArn=RelatedFindings.ProductArn RelatedFindingsId=RelatedFindings.Id
		NoteText=Note.Text NoteUpdatedBy=Note.UpdatedBy
		FindingProviderFieldsRelatedFindingsId=FindingProviderFields.RelatedFindings.Id
		FindingProviderFieldsRelatedFindingsProductArn=FindingProviderFields.RelatedFindings.ProductArn
		FindingProviderFieldsSeverityLabel=FindingProviderFields.Severity.Label
		FindingProviderFieldsSeverityOriginal=FindingProviderFields.Severity.Original
		FindingProviderFieldsTypes=FindingProviderFields.Types
		VulnerabilitiesExploitAvailable=Vulnerabilities.ExploitAvailable VulnerabilitiesFixAvailable=Vulnerabilities.FixAvailable`,
	kindNumber: `
		SeverityProduct=Severity.Product SeverityNormalized=Severity.Normalized Confidence Criticality
		NetworkSourcePort=Network.SourcePort NetworkDestinationPort=Network.DestinationPort
		ProcessPid=Process.Pid ProcessParentPid=Process.ParentPid
		FindingProviderFieldsConfidence=FindingProviderFields.Confidence
		FindingProviderFieldsCriticality=FindingProviderFields.Criticality`,
	kindDate: `
		FirstObservedAt LastObservedAt CreatedAt UpdatedAt NoteUpdatedAt=Note.UpdatedAt
		ProcessLaunchedAt=Process.LaunchedAt ProcessTerminatedAt=Process.TerminatedAt
		ThreatIntelIndicatorLastObservedAt=ThreatIntelIndicators.LastObservedAt
		ResourceAwsEc2InstanceLaunchedAt=Resources.Details.AwsEc2Instance.LaunchedAt
		ResourceAwsIamAccessKeyCreatedAt=Resources.Details.AwsIamAccessKey.CreatedAt
		ResourceContainerLaunchedAt=Resources.Details.Container.LaunchedAt`,
	kindMap: `ProductFields UserDefinedFields ResourceTags=Resources.Tags ResourceDetailsOther=Resources.Details.Other`,
	kindIP: `
		NetworkSourceIpV4=Network.SourceIpV4 NetworkSourceIpV6=Network.SourceIpV6
		NetworkDestinationIpV4=Network.DestinationIpV4 NetworkDestinationIpV6=Network.DestinationIpV6
		ResourceAwsEc2InstanceIpV4Addresses=Resources.Details.AwsEc2Instance.IpV4Addresses
		ResourceAwsEc2InstanceIpV6Addresses=Resources.Details.AwsEc2Instance.IpV6Addresses`,
	kindBool:    `Sample`,
	kindKeyword: `Keyword=`,
}

// walk yields the values at a path of a finding, each element of arrays on the way and at its end.
func walk(raw jsontext.Value, path []string, yield func(jsontext.Value)) {
	walkOn(jsontext.NewDecoder(bytes.NewBuffer(raw)), path, yield)
}

// walkOn reads one value, and tells whether that went well. Findings in the store are valid JSON: it always does.
func walkOn(d *jsontext.Decoder, path []string, yield func(jsontext.Value)) bool {
	opens := d.PeekKind()
	switch {
	case opens == '[':
		if _, err := d.ReadToken(); err != nil {
			return false
		}
		for d.PeekKind() != ']' {
			if !walkOn(d, path, yield) {
				return false
			}
		}
	case opens == '{' && len(path) > 0:
		if _, err := d.ReadToken(); err != nil {
			return false
		}
		for d.PeekKind() == '"' {
			name, err := d.ReadToken()
			if err != nil {
				return false
			}
			if name.String() != path[0] {
				if d.SkipValue() != nil {
					return false
				}
			} else if !walkOn(d, path[1:], yield) {
				return false
			}
		}
	case len(path) > 0:
		return d.SkipValue() == nil
	default:
		v, err := d.ReadValue()
		if err == nil {
			yield(v)
		}
		return err == nil
	}
	_, err := d.ReadToken()
	return err == nil
}

// texts are the strings at a path, numbers and booleans as they are written.
func texts(raw jsontext.Value, path []string) []string {
	var out []string
	walk(raw, path, func(v jsontext.Value) {
		if v.Kind() == '"' {
			out = append(out, unquoted(v))
		} else if v.Kind() != '{' && v.Kind() != 'n' {
			out = append(out, string(v))
		}
	})
	return out
}
