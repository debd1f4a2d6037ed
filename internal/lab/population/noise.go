package population

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
)

// A source is another product that reports to Security Hub.
type source struct {
	product   string // as findings name it
	company   string
	path      string // of its subscription
	principal string
	make      func(p *Population, place cloud.Place, m moment, d *dice) object
	mean      time.Duration // between two reports of a finding
}

type object = map[string]any

// sources report what filters on Inspector have to keep out.
var sources = []source{
	{"GuardDuty", "Amazon", "aws/guardduty", "guardduty.amazonaws.com", (*Population).guardDuty, 6 * time.Hour},
	{"Config", "AWS", "aws/config", "config.amazonaws.com", (*Population).config, 36 * time.Hour},
	{"Security Hub", "AWS", "aws/securityhub", "securityhub.amazonaws.com", (*Population).control, 18 * time.Hour},
}

// noise hands a finding of another product to Security Hub. Requires mu.
func (p *Population) noise(c *cell, m moment) error {
	s := &sources[int(m.slot)%len(sources)]
	f := s.make(p, c.place, m, p.throw("noise", c.place.Account, c.place.Region, m.slot))
	product := cloud.ARN{Partition: c.place.Partition, Service: "securityhub", Region: c.place.Region, Resource: "product/" + s.path}.String()
	now := iso(p.cloud.Clock.Now())
	f["SchemaVersion"], f["ProductArn"], f["AwsAccountId"], f["Region"] = "2018-10-08", product, c.place.Account, c.place.Region
	f["ProductName"], f["CompanyName"], f["UpdatedAt"] = s.product, s.company, now
	f["WorkflowState"], f["Workflow"], f["RecordState"] = "NEW", object{"Status": "NEW"}, "ACTIVE"
	fields := f["ProductFields"].(object)
	fields["aws/securityhub/FindingId"] = product + "/" + f["Id"].(string)
	fields["aws/securityhub/ProductName"], fields["aws/securityhub/CompanyName"] = s.product, s.company
	body, err := json.Marshal(f, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("finding of %s: %w", s.product, err)
	}
	request := append(append([]byte(`{"Findings":[`), body...), `]}`...)
	p.cloud.DeliverLater(&cloud.Delivery{
		Source: c.place.ARN("securityhub", "product-subscription/"+s.path), From: s.principal, Account: c.place.Account, Action: "securityhub:BatchImportFindings",
		Target: c.place.ARN("securityhub", "product-subscription/"+s.path), Body: request, Trusted: true,
	}, func(_ context.Context, answer []byte, err error) { p.record(c.place, s.product, body, answer, err) })
	m.step++
	p.push(c, m, time.Minute+p.throw("again", c.place.Account, c.place.Region, m.slot, m.step).wait(s.mean))
	return nil
}

// iso is a time as these products write it.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// created is when a finding of noise began: some days before the population did.
func (p *Population) created(d *dice) string { return iso(p.from.Add(-d.wait(5 * 24 * time.Hour))) }

func (p *Population) guardDuty(place cloud.Place, m moment, d *dice) object {
	detector := place.ARN("guardduty", "detector/"+p.throw("detector", place.Account, place.Region).hex(32))
	id, instance := d.hex(32), "i-0"+d.hex(16)
	address := fmt.Sprintf("198.51.100.%d", 1+d.below(254))
	kinds := []struct {
		kind, label string
		severity    float64
		normalized  int
	}{
		{"TTPs/Initial Access/UnauthorizedAccess:EC2-SSHBruteForce", "MEDIUM", 5, 40},
		{"TTPs/Discovery/Recon:EC2-PortProbeUnprotectedPort", "LOW", 2, 1},
		{"Effects/Resource Consumption/CryptoCurrency:EC2-BitcoinTool.B!DNS", "HIGH", 8, 70},
	}
	k := pick(d, kinds)
	created := p.created(d)
	return object{
		"Id": detector + "/finding/" + id, "GeneratorId": detector, "Types": []string{k.kind}, "FirstObservedAt": created, "CreatedAt": created,
		"LastObservedAt": iso(p.cloud.Clock.Now()),
		"Severity":       object{"Product": k.severity, "Label": k.label, "Normalized": k.normalized},
		"Title":          address + " talks to the instance " + instance + " in a way that is not usual.",
		"Description":    "The address " + address + " was seen " + strconv.Itoa(int(m.step)+1) + " times.",
		"SourceUrl": fmt.Sprintf("https://%s.console.%s/guardduty/home?region=%s#/findings?macros=current&fId=%s", place.Region,
			"aws.amazon.com", place.Region, id),
		"ProductFields": object{
			"aws/guardduty/service/serviceName": "guardduty", "aws/guardduty/service/archived": "false",
			"aws/guardduty/service/count":                                                      strconv.Itoa(int(m.step) + 1),
			"aws/guardduty/service/action/actionType":                                          "NETWORK_CONNECTION",
			"aws/guardduty/service/action/networkConnectionAction/remoteIpDetails/ipAddressV4": address,
		},
		"Resources": []object{{
			"Type": "AwsEc2Instance", "Id": place.ARN("ec2", "instance/"+instance), "Partition": place.Partition, "Region": place.Region,
			"Tags": object{"Name": pick(d, hostile)},
		}},
		"FindingProviderFields": object{"Severity": object{"Label": k.label}, "Types": []string{k.kind}},
	}
}

func (p *Population) config(place cloud.Place, m moment, d *dice) object {
	name := pick(d, []string{"s3-bucket-level-public-access-prohibited", "encrypted-volumes", "root-account-mfa-enabled", "restricted-ssh"}) + "-" + d.hex(6)
	rule := place.ARN("config", "config-rule/config-rule-"+d.hex(6))
	compliance, status := "NON_COMPLIANT", "FAILED"
	if m.step%3 == 2 {
		compliance, status = "COMPLIANT", "PASSED"
	}
	const kind = "Software and Configuration Checks"
	return object{
		"Id": rule + "/finding/" + d.hex(40), "GeneratorId": rule, "Types": []string{kind}, "CreatedAt": p.created(d),
		"Severity": object{"Label": "MEDIUM", "Normalized": 40}, "Title": name, "Description": "A resource changed its compliance with the rule " + name + ".",
		"ProductFields": object{
			"aws/config/ConfigRuleArn": rule, "aws/config/ConfigRuleName": name, "aws/config/ConfigComplianceType": compliance,
		},
		"Resources": []object{{
			"Type": "AwsS3Bucket", "Id": cloud.ARN{Partition: place.Partition, Service: "s3", Resource: "bucket-" + d.hex(12)}.String(),
			"Partition": place.Partition, "Region": place.Region,
		}},
		"Compliance":            object{"Status": status},
		"FindingProviderFields": object{"Severity": object{"Label": "MEDIUM"}, "Types": []string{kind}},
	}
}

func (p *Population) control(place cloud.Place, m moment, d *dice) object {
	const standard, kind = "aws-foundational-security-best-practices/v/1.0.0", "Software and Configuration Checks/Industry and Regulatory Standards/AWS-Foundational-Security-Best-Practices"
	id := pick(d, []string{"IAM.5", "S3.8", "EC2.19", "Lambda.2", "KMS.4", "ECR.1"})
	status := pick(p.throw("control", place.Account, place.Region, m.slot, m.step), []string{"FAILED", "FAILED", "PASSED"})
	created := p.created(d)
	return object{
		"Id":          place.ARN("securityhub", "subscription/"+standard+"/"+id+"/finding/"+d.hex(8)+"-"+d.hex(4)+"-4"+d.hex(3)+"-a"+d.hex(3)+"-"+d.hex(12)),
		"GeneratorId": standard + "/" + id, "Types": []string{kind}, "FirstObservedAt": created, "CreatedAt": created,
		"LastObservedAt": iso(p.cloud.Clock.Now()), "Severity": object{"Label": "MEDIUM", "Normalized": 40, "Original": "MEDIUM"},
		"Title": id + " should hold", "Description": "The control " + id + " looks at the configuration of the account.",
		"Remediation": object{"Recommendation": object{"Text": "See the documentation of the control.", "Url": "https://docs.aws.amazon.com/console/securityhub/" + id + "/remediation"}},
		"ProductFields": object{
			"StandardsArn": cloud.ARN{Partition: place.Partition, Service: "securityhub", Resource: "standards/" + standard}.String(),
			"ControlId":    id, "StandardsControlArn": place.ARN("securityhub", "control/"+standard+"/"+id), "aws/securityhub/SeverityLabel": "MEDIUM",
		},
		"Resources": []object{{
			"Type": "AwsAccount", "Id": "AWS::::Account:" + place.Account, "Partition": place.Partition, "Region": place.Region,
		}},
		"Compliance":            object{"Status": status},
		"FindingProviderFields": object{"Severity": object{"Label": "MEDIUM", "Original": "MEDIUM"}, "Types": []string{kind}},
	}
}
