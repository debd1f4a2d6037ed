package inspector2

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Publication is a finding that was handed to Security Hub.
type Publication struct {
	Place     cloud.Place
	ARN       string
	Status    string
	UpdatedAt time.Time
	ASFF      []byte // the finding in Security Hub's format, as it was handed over
	Answer    []byte // of Security Hub
	Err       error  // why it did not arrive; a *cloud.DeliveryError
}

func marshal(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }

// isoTimes write times as Security Hub's findings of Inspector have them: whole seconds where they are whole.
var isoTimes = json.WithMarshalers(json.MarshalToFunc(func(e *jsontext.Encoder, t wire.Epoch) error {
	return e.WriteToken(jsontext.String(iso(t.Time)))
}))

func iso(t time.Time) string {
	if t.Nanosecond() == 0 {
		return t.UTC().Format("2006-01-02T15:04:05Z")
	}
	return wire.ISO(t)
}

// How often a finding is handed to Security Hub that does not answer, and for how long at most between two tries.
const (
	maxTries = 30
	maxPause = time.Hour
)

// publish hands a finding to Security Hub. It may be called under mu.
func (s *Service) publish(p cloud.Place, f *Finding) error {
	body, err := f.asff(p)
	if err != nil {
		return err
	}
	request := make([]byte, 0, len(body)+len(`{"Findings":[]}`))
	request = append(append(append(request, `{"Findings":[`...), body...), `]}`...)
	d := &cloud.Delivery{
		Source: f.ARN, From: "inspector2.amazonaws.com", Account: p.Account, Action: "securityhub:BatchImportFindings",
		Target: p.ARN("securityhub", "product-subscription/aws/inspector"), Body: request, Trusted: true,
	}
	s.hand(d, Publication{Place: p, ARN: f.ARN, Status: f.Status, UpdatedAt: f.UpdatedAt.Time, ASFF: body}, 1)
	return nil
}

// hand tries a delivery again while that may help. Security Hub takes no older version for a newer one.
func (s *Service) hand(d *cloud.Delivery, pub Publication, try int) {
	s.cloud.DeliverLater(d, func(_ context.Context, answer []byte, err error) {
		failure, known := errors.AsType[*cloud.DeliveryError](err)
		if known && failure.Retry && try < maxTries {
			pause := min(time.Minute<<(try-1), maxPause)
			if try > 6 {
				pause = maxPause
			}
			s.cloud.Clock.After(pause, func(context.Context) { s.hand(d, pub, try+1) })
			return
		}
		pub.Answer, pub.Err = answer, err
		if s.Published != nil {
			s.Published(pub)
		}
	})
}

// object is a JSON object whose members are written in the order of their names.
type object = map[string]any

// asff is a finding in the AWS Security Finding Format.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html
func (f *Finding) asff(p cloud.Place) ([]byte, error) {
	product := cloud.ARN{Partition: p.Partition, Service: "securityhub", Region: p.Region, Resource: "product/aws/inspector"}.String()
	label := f.Severity
	if label == "UNTRIAGED" {
		label = "INFORMATIONAL"
	}
	classes := []string{"Software and Configuration Checks/Vulnerabilities/CVE"}
	if f.Type == NetworkFinding {
		classes = []string{"Software and Configuration Checks/AWS Security Best Practices/Network Reachability"}
	}
	recordState := "ACTIVE"
	if f.Status == Closed {
		recordState = "ARCHIVED"
	}
	out := object{
		"SchemaVersion": "2018-10-08", "Id": f.ARN, "ProductArn": product, "ProductName": "Inspector", "CompanyName": "Amazon",
		"Region": p.Region, "GeneratorId": "AWSInspector", "AwsAccountId": f.AccountID, "Types": classes,
		"FirstObservedAt": f.FirstObservedAt, "LastObservedAt": f.LastObservedAt, "CreatedAt": f.FirstObservedAt, "UpdatedAt": f.UpdatedAt,
		"Severity": object{"Label": label, "Normalized": normalized[label]},
		"Title":    cut(f.Title, 256, ""), "Description": cut(f.Description, 1024, "...Truncated"),
		"Remediation":   object{"Recommendation": f.asffRemediation()},
		"ProductFields": f.productFields(product), "Resources": f.asffResources(p),
		"WorkflowState": "NEW", "Workflow": object{"Status": "NEW"}, "RecordState": recordState,
		"FindingProviderFields": object{"Severity": object{"Label": label}, "Types": classes},
	}
	if f.Package != nil {
		out["Vulnerabilities"] = []object{f.vulnerability()}
	}
	if f.Network != nil {
		out["Network"] = object{
			"Protocol": f.Network.Protocol, "OpenPortRange": object{"Begin": f.Network.Ports.Begin, "End": f.Network.Ports.End},
		}
		var path []object
		for _, step := range f.Network.Path.Steps {
			path = append(path, object{"ComponentId": step.ID, "ComponentType": step.Type})
		}
		out["NetworkPath"] = path
	}
	b, err := json.Marshal(out, isoTimes, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("finding %s for Security Hub: %w", f.ARN, err)
	}
	return b, nil
}

// normalized are Security Hub's numbers of the labels.
var normalized = map[string]int{"INFORMATIONAL": 0, "LOW": 1, "MEDIUM": 40, "HIGH": 70, "CRITICAL": 90}

// cut bounds a text to n characters; one that is cut ends in end.
func cut(s string, n int, end string) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-len([]rune(end))]) + end
}

func (f *Finding) asffRemediation() object {
	out := object{"Text": cut(f.Remediation.Recommendation.Text, 512, "")}
	if url := f.Remediation.Recommendation.URL; url != "" {
		out["Url"] = url
	}
	return out
}

func (f *Finding) productFields(product string) map[string]string {
	out := map[string]string{
		"aws/inspector/ProductVersion": "2", "aws/inspector/FindingStatus": f.Status,
		"aws/securityhub/FindingId": product + "/" + f.ARN, "aws/securityhub/ProductName": "Inspector", "aws/securityhub/CompanyName": "Amazon",
	}
	if f.Score != 0 {
		text := strconv.FormatFloat(f.Score, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		out["aws/inspector/inspectorScore"] = text
	}
	const details = "aws/inspector/resources/1/resourceDetails/"
	if d := f.Resources[0].Details.Instance; d != nil {
		out["aws/inspector/instanceId"] = f.Resources[0].ID
		out[details+"awsEc2InstanceDetails/platform"] = d.Platform
	}
	if d := f.Resources[0].Details.Image; d != nil {
		out[details+"awsEcrContainerImageDetails/platform"] = d.Platform
	}
	if f.Package != nil {
		var hashes []string
		for _, pkg := range f.Package.Packages {
			if pkg.LayerHash != "" {
				hashes = append(hashes, pkg.LayerHash)
			}
		}
		if len(hashes) > 0 {
			out["aws/inspector/packageVulnerabilityDetails/vulnerablePackages/sourceLayerHashes"] = cut(strings.Join(hashes, ","), 2048, "")
		}
	}
	return out
}

// asffResources names instances by ARN, as Security Hub does.
func (f *Finding) asffResources(p cloud.Place) []object {
	var out []object
	for i := range f.Resources {
		r := &f.Resources[i]
		one := object{"Type": r.Type, "Id": r.ID, "Partition": p.Partition, "Region": p.Region}
		switch {
		case r.Details.Instance != nil:
			tags := r.Tags
			if tags == nil {
				tags = map[string]string{}
			}
			one["Type"], one["Id"], one["Tags"] = "AwsEc2Instance", p.ARN("ec2", "instance/"+r.ID), tags
			one["Details"] = object{"AwsEc2Instance": r.Details.Instance.asff()}
		case r.Details.Image != nil:
			one["Type"], one["Details"] = "AwsEcrContainerImage", object{"AwsEcrContainerImage": r.Details.Image.asff()}
		case r.Details.Function != nil:
			one["Type"], one["Details"] = "AwsLambdaFunction", object{"AwsLambdaFunction": r.Details.Function.asff()}
			if len(r.Tags) > 0 {
				one["Tags"] = r.Tags
			}
		}
		out = append(out, one)
	}
	return out
}
