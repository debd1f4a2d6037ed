package securityhub

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A finding is what the service has to know of an ASFF finding. The finding itself stays JSON.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html
type finding struct {
	SchemaVersion   string
	ID              string `json:"Id"`
	ProductARN      string `json:"ProductArn"`
	ProductName     string
	CompanyName     string
	GeneratorID     string `json:"GeneratorId"`
	AwsAccountID    string `json:"AwsAccountId"`
	Title           string
	Description     string
	CreatedAt       string
	UpdatedAt       string
	FirstObservedAt *string
	LastObservedAt  *string
	ProcessedAt     *string
	SourceURL       *string `json:"SourceUrl"`

	Severity              *severity
	Types                 []string
	Confidence            *float64
	Criticality           *float64
	RelatedFindings       []relatedFinding
	FindingProviderFields *providerFields

	Resources         []resource
	ProductFields     map[string]string
	UserDefinedFields map[string]string
	RecordState       string
	VerificationState string
	Workflow          *struct{ Status string }
	WorkflowState     string
	Note              *note
	Compliance        *struct {
		Status              string
		RelatedRequirements []string
	}
	Remediation *struct {
		Recommendation *struct {
			Text *string
			URL  *string `json:"Url"`
		}
	}
}

type severity struct {
	Label      string   `json:",omitempty"`
	Normalized *float64 `json:",omitempty"`
	Product    *float64 `json:",omitempty"`
	Original   string   `json:",omitempty"`
}

type relatedFinding struct {
	ProductARN string `json:"ProductArn"`
	ID         string `json:"Id"`
}

type providerFields struct {
	Severity        *severity
	Types           []string
	Confidence      *float64
	Criticality     *float64
	RelatedFindings []relatedFinding
}

type resource struct {
	Type string
	ID   string `json:"Id"`
	Tags map[string]string
}

type note struct {
	Text      string
	UpdatedBy string
	UpdatedAt string `json:",omitempty"`
}

// A findingKey is what makes a finding in an account and region the same one.
type findingKey struct{ product, id string }

// A version is a finding as it was from one moment on. It is not changed.
type version struct {
	raw   jsontext.Value
	since time.Time // lab time

	updated    time.Time // UpdatedAt
	normalized float64   // severity, 0 to 100
	label      string
	state      string // RecordState
	workflow   string // status
	product    string // ProductName
	company    string
}

// A record is one finding with what is remembered of it.
type record struct {
	key      findingKey
	hub      *hub
	versions []*version // the last is the present one; those before are still shown to those who see changes late
	owned    owned      // what a customer has set: providers do not change it any more
	created  time.Time  // lab time
	changes  []change   // the newest, oldest first
	gone     bool       // it is in no hub any more
}

// owned says which of the fields that both a provider and a customer may set are the customer's.
type owned struct{ confidence, criticality, related, severity, types bool }

func (r *record) current() *version { return r.versions[len(r.versions)-1] }

// visible is the version that those see who see changes late; nil: none yet.
func (r *record) visible(now time.Time, lag time.Duration) *version {
	for i := len(r.versions) - 1; i >= 0; i-- {
		if lag == 0 || !r.versions[i].since.Add(lag).After(now) {
			return r.versions[i]
		}
	}
	return nil
}

// newVersion reads what the service has to know of a finding that is complete.
func newVersion(raw jsontext.Value, now time.Time) (*version, error) {
	var f finding
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	v := &version{
		raw: raw, since: now, updated: parseTime(f.UpdatedAt), state: f.RecordState, product: f.ProductName, company: f.CompanyName,
	}
	if f.Severity != nil {
		v.label = f.Severity.Label
		if f.Severity.Normalized != nil {
			v.normalized = *f.Severity.Normalized
		}
	}
	if f.Workflow != nil {
		v.workflow = f.Workflow.Status
	}
	return v, nil
}

// labels are the labels of a severity, with the numbers that they stand for.
var labels = []struct {
	name        string
	normalized  float64 // what a finding without a number gets
	least, most float64 // numbers that get this label
}{
	{"INFORMATIONAL", 0, 0, 0},
	{"LOW", 1, 1, 39},
	{"MEDIUM", 40, 40, 69},
	{"HIGH", 70, 70, 89},
	{"CRITICAL", 90, 90, 100},
}

// complete fills the label or the number in, whichever is missing. The label counts where both are there and disagree.
func (v *severity) complete() {
	for _, l := range labels {
		switch {
		case v.Label == "" && v.Normalized != nil && *v.Normalized <= l.most:
			v.Label = l.name
			return
		case v.Label == l.name && (v.Normalized == nil || *v.Normalized < l.least || *v.Normalized > l.most):
			n := l.normalized
			v.Normalized = &n
			return
		}
	}
}

// timeLayouts are the forms of timestamps that ASFF allows; a fraction may follow the seconds in each.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/Welcome.html#timestamps
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07"}

// parseTime reads a timestamp; zero: it is none.
func parseTime(s string) time.Time {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			if _, offset := t.Zone(); offset > 18*3600 || offset < -18*3600 {
				return time.Time{}
			}
			return t.UTC()
		}
	}
	return time.Time{}
}
