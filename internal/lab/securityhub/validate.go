package securityhub

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
)

const schemaVersion = "2018-10-08"

// Bounds of a finding. https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html
const (
	maxFinding     = 240 << 10 // bytes
	maxBatch       = 100       // findings
	maxBatchSize   = 6 << 20   // bytes of a request
	maxTypes       = 50
	maxResources   = 32
	maxRelated     = 10
	maxFields      = 50 // pairs of ProductFields and UserDefinedFields
	maxFieldKey    = 128
	maxProduct     = 2048 // characters of a value of ProductFields
	maxUserDefined = 1024
	maxNote        = 512
)

// readFinding decodes a finding, and tells in the service's words what is wrong with it.
func readFinding(raw jsontext.Value) (*finding, string) {
	f := new(finding)
	err := json.Unmarshal(raw, f)
	if err == nil {
		return f, f.check()
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return f, fmt.Sprintf("data%s should be %v", dotted(semantic.JSONPointer), semantic.GoType)
	}
	return f, "data is no valid JSON"
}

// dotted writes a pointer as the service does: .Resources[0].Tags.x.
func dotted(p jsontext.Pointer) string {
	var b strings.Builder
	for part := range p.Tokens() {
		if _, err := strconv.Atoi(part); err == nil {
			b.WriteString("[" + part + "]")
		} else {
			b.WriteString("." + part)
		}
	}
	return b.String()
}

// check tells what is wrong with a finding; empty: nothing. It looks at what others rely on, and lets details of
// resources be: real providers bend them.
func (f *finding) check() string {
	for _, check := range []func() string{f.checkTexts, f.checkTimes, f.checkSeverity, f.checkLists, f.checkStates, f.checkFields} {
		if wrong := check(); wrong != "" {
			return wrong
		}
	}
	return ""
}

func (f *finding) checkTexts() string {
	for _, t := range []struct {
		name, value string
		most        int
	}{
		{"SchemaVersion", f.SchemaVersion, 20},
		{"Id", f.ID, 512},
		{"ProductArn", f.ProductARN, 2048},
		{"GeneratorId", f.GeneratorID, 512},
		{"AwsAccountId", f.AwsAccountID, 12},
		{"Title", f.Title, 256},
		{"Description", f.Description, 1024},
	} {
		if strings.TrimSpace(t.value) == "" {
			return "data should have required property '" + t.name + "'"
		}
		if wrong := tooLong(t.name, t.value, t.most); wrong != "" {
			return wrong
		}
	}
	switch {
	case f.SchemaVersion != schemaVersion:
		return "data.SchemaVersion should be equal to one of the allowed values: " + schemaVersion
	case !cloud.IsAccountID(f.AwsAccountID):
		return "data.AwsAccountId should match pattern [0-9]{12}"
	case f.Remediation == nil || f.Remediation.Recommendation == nil:
		return ""
	}
	if t := f.Remediation.Recommendation.Text; t != nil {
		if *t == "" {
			return "data.Remediation.Recommendation.Text should NOT be shorter than 1 characters"
		}
		return tooLong("Remediation.Recommendation.Text", *t, 512)
	}
	return ""
}

func tooLong(name, value string, most int) string {
	if len(value) > most && utf8.RuneCountInString(value) > most {
		return fmt.Sprintf("data.%s should NOT be longer than %d characters", name, most)
	}
	return ""
}

func (f *finding) checkTimes() string {
	for _, t := range []struct {
		name  string
		value *string
	}{
		{"CreatedAt", &f.CreatedAt},
		{"UpdatedAt", &f.UpdatedAt},
		{"FirstObservedAt", f.FirstObservedAt},
		{"LastObservedAt", f.LastObservedAt},
		{"ProcessedAt", f.ProcessedAt},
	} {
		switch {
		case t.value == nil:
		case *t.value == "":
			return "data should have required property '" + t.name + "'"
		case parseTime(*t.value).IsZero():
			return "data." + t.name + " should match format date-time"
		}
	}
	return ""
}

func (f *finding) checkSeverity() string {
	provider := f.FindingProviderFields
	if f.Severity == nil && (provider == nil || provider.Severity == nil) {
		return "data should have required property 'FindingProviderFields', data should have required property 'Severity'"
	}
	if f.Types == nil && (provider == nil || provider.Types == nil) {
		return "data should have required property 'FindingProviderFields', data should have required property 'Types'"
	}
	if wrong := f.Severity.check("Severity"); wrong != "" {
		return wrong
	}
	if provider != nil {
		return provider.Severity.check("FindingProviderFields.Severity")
	}
	return ""
}

func (v *severity) check(name string) string {
	if v == nil {
		return ""
	}
	if v.Label == "" && v.Normalized == nil {
		return "data." + name + " should have required property 'Label'"
	}
	known := v.Label == ""
	for _, l := range labels {
		known = known || v.Label == l.name
	}
	if !known {
		return "data." + name + ".Label should be equal to one of the allowed values"
	}
	return wholeRatio(name+".Normalized", v.Normalized)
}

// wholeRatio tells whether a number is whole, and 0 to 100.
func wholeRatio(name string, n *float64) string {
	if n != nil && (*n < 0 || *n > 100 || *n != float64(int(*n))) {
		return "data." + name + " should be an integer of 0 to 100"
	}
	return ""
}

func (f *finding) checkLists() string {
	lists := []struct {
		name        string
		types       []string
		related     []relatedFinding
		conf, critc *float64
	}{{"", f.Types, f.RelatedFindings, f.Confidence, f.Criticality}}
	if p := f.FindingProviderFields; p != nil {
		lists = append(lists, struct {
			name        string
			types       []string
			related     []relatedFinding
			conf, critc *float64
		}{"FindingProviderFields.", p.Types, p.RelatedFindings, p.Confidence, p.Criticality})
	}
	for _, l := range lists {
		switch {
		case len(l.types) > maxTypes:
			return fmt.Sprintf("data.%sTypes should NOT have more than %d items", l.name, maxTypes)
		case len(l.related) > maxRelated:
			return fmt.Sprintf("data.%sRelatedFindings should NOT have more than %d items", l.name, maxRelated)
		}
		if wrong := wholeRatio(l.name+"Confidence", l.conf) + wholeRatio(l.name+"Criticality", l.critc); wrong != "" {
			return wrong
		}
	}
	switch {
	case f.Resources == nil:
		return "data should have required property 'Resources'"
	case len(f.Resources) < 1:
		return "data.Resources should NOT have fewer than 1 items"
	case len(f.Resources) > maxResources:
		return fmt.Sprintf("data.Resources should NOT have more than %d items", maxResources)
	}
	for i, r := range f.Resources {
		if r.Type == "" || r.ID == "" {
			return fmt.Sprintf("data.Resources[%d] should have required properties 'Type' and 'Id'", i)
		}
	}
	return ""
}

func (f *finding) checkStates() string {
	workflow, compliance := "", ""
	if f.Workflow != nil {
		workflow = f.Workflow.Status
	}
	if f.Compliance != nil {
		compliance = f.Compliance.Status
		if len(f.Compliance.RelatedRequirements) > 32 {
			return "data.Compliance.RelatedRequirements should NOT have more than 32 items"
		}
	}
	for _, e := range []struct {
		name, value string
		allowed     []string
	}{
		{"RecordState", f.RecordState, []string{"ACTIVE", "ARCHIVED"}},
		{"Workflow.Status", workflow, workflows},
		{"VerificationState", f.VerificationState, verifications},
		{"WorkflowState", f.WorkflowState, []string{"NEW", "ASSIGNED", "IN_PROGRESS", "DEFERRED", "RESOLVED"}},
		{"Compliance.Status", compliance, []string{"PASSED", "WARNING", "FAILED", "NOT_AVAILABLE"}},
	} {
		if oneOf(e.name, e.value, e.allowed...) != nil {
			return "data." + e.name + " should be equal to one of the allowed values"
		}
	}
	return ""
}

var (
	workflows     = []string{"NEW", "NOTIFIED", "RESOLVED", "SUPPRESSED"}
	verifications = []string{"UNKNOWN", "TRUE_POSITIVE", "FALSE_POSITIVE", "BENIGN_POSITIVE"}
)

func (f *finding) checkFields() string {
	if wrong := checkPairs("ProductFields", f.ProductFields, maxProduct); wrong != "" {
		return wrong
	}
	if wrong := checkPairs("UserDefinedFields", f.UserDefinedFields, maxUserDefined); wrong != "" {
		return wrong
	}
	if f.Note != nil {
		switch {
		case f.Note.Text == "" || f.Note.UpdatedBy == "":
			return "data.Note should have required properties 'Text' and 'UpdatedBy'"
		case utf8.RuneCountInString(f.Note.Text) > maxNote:
			return fmt.Sprintf("data.Note.Text should NOT be longer than %d characters", maxNote)
		}
	}
	return ""
}

// hubFields starts the keys of ProductFields that Security Hub writes: they do not count.
const hubFields = "aws/securityhub/"

func checkPairs(name string, pairs map[string]string, most int) string {
	n := 0
	for k, v := range pairs {
		if !strings.HasPrefix(k, hubFields) {
			n++
		}
		if k == "" || utf8.RuneCountInString(k) > maxFieldKey || utf8.RuneCountInString(v) > most {
			return fmt.Sprintf("data.%s should have keys of 1 to %d characters with values of at most %d", name, maxFieldKey, most)
		}
	}
	if n > maxFields {
		return fmt.Sprintf("data.%s should NOT have more than %d properties", name, maxFields)
	}
	return ""
}
