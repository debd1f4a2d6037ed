package securityhub

import (
	"fmt"
	"unicode/utf8"

	"example.org/catchment/internal/lab/wire"
)

type findingIdentifier struct {
	ID         string `json:"Id"`
	ProductARN string `json:"ProductArn"`
}

type updateInput struct {
	FindingIdentifiers []findingIdentifier
	Note               *note
	Severity           *severity
	VerificationState  string
	Confidence         *float64
	Criticality        *float64
	Types              []string
	UserDefinedFields  map[string]string
	Workflow           *struct{ Status string }
	RelatedFindings    []relatedFinding
}

type unprocessedFinding struct {
	FindingIdentifier findingIdentifier
	ErrorCode         string
	ErrorMessage      string
}

type updateOutput struct {
	ProcessedFindings   []findingIdentifier
	UnprocessedFindings []unprocessedFinding
}

// check tells what is wrong with the request, whatever the findings are.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html
func (in *updateInput) check() error {
	if n := len(in.FindingIdentifiers); n < 1 || n > maxBatch {
		return invalidInput("Invalid parameter 'FindingIdentifiers'. data should have 1 to %d items", maxBatch)
	}
	for i, id := range in.FindingIdentifiers {
		if id.ID == "" || id.ProductARN == "" {
			return invalidInput("Invalid parameter 'FindingIdentifiers'. data[%d] should have required properties 'Id' and 'ProductArn'", i)
		}
	}
	if in.Note != nil {
		said, by := utf8.RuneCountInString(in.Note.Text), utf8.RuneCountInString(in.Note.UpdatedBy)
		if said < 1 || said > maxNote || by < 1 || by > maxNote {
			return invalidInput("Invalid parameter 'Note'. Text and UpdatedBy should have 1 to %d characters", maxNote)
		}
	}
	// What a finding may say of itself, a customer may say of it.
	said := finding{
		Severity: in.Severity, Types: in.Types, Confidence: in.Confidence, Criticality: in.Criticality, RelatedFindings: in.RelatedFindings,
		UserDefinedFields: in.UserDefinedFields, VerificationState: in.VerificationState, Workflow: in.Workflow,
		Resources: []resource{{Type: "Other", ID: "any"}},
	}
	for _, wrong := range []string{in.Severity.check("Severity"), said.checkLists(), said.checkStates(), said.checkFields()} {
		if wrong != "" {
			return invalidInput("Invalid parameter. %s", wrong)
		}
	}
	for _, r := range in.RelatedFindings {
		if r.ID == "" || r.ProductARN == "" {
			return invalidInput("Invalid parameter 'RelatedFindings'. data should have required properties 'Id' and 'ProductArn'")
		}
	}
	if in.Workflow != nil && in.Workflow.Status == "" {
		return invalidInput("Invalid parameter 'Workflow'. data should have required property 'Status'")
	}
	return nil
}

func (s *Service) batchUpdateFindings(c *wire.Call, _ *hub, in *updateInput) (*updateOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	times := make(map[findingIdentifier]int)
	for _, id := range in.FindingIdentifiers {
		times[id]++
	}
	out := &updateOutput{ProcessedFindings: []findingIdentifier{}, UnprocessedFindings: []unprocessedFinding{}}
	for _, id := range in.FindingIdentifiers {
		code, message := "DuplicatedFindingIdentifier", "The finding is there twice"
		if times[id] == 1 {
			code, message = s.update(c, id, in)
		}
		if code != "" {
			out.UnprocessedFindings = append(out.UnprocessedFindings, unprocessedFinding{id, code, message})
		} else {
			out.ProcessedFindings = append(out.ProcessedFindings, id)
		}
	}
	return out, nil
}

// update changes one finding. UpdatedAt stays: it is the provider's. Requires mu.
func (s *Service) update(c *wire.Call, id findingIdentifier, in *updateInput) (code, message string) {
	r := s.find(c.Place, findingKey{id.ProductARN, id.ID})
	if r == nil {
		return "FindingNotFound", "The finding does not exist, or is not the caller's"
	}
	before, err := parseObject(r.current().raw)
	if err != nil {
		return "InternalFailure", err.Error()
	}
	now := s.cloud.Clock.Now()
	o, _ := parseObject(r.current().raw) // it was just read
	own := r.owned
	in.apply(&o, &own, stamp(now))
	raw := o.encode()
	if len(raw) > maxFinding {
		return "FindingSizeExceeded", fmt.Sprintf("The finding would be larger than %d KB", maxFinding>>10)
	}
	v, err := newVersion(raw, now)
	if err != nil {
		return "InvalidInput", err.Error()
	}
	r.owned = own
	s.put(r.hub, r.key, r, v)
	r.remember(now, change{kind: byUpdate, who: c.Who.ARN, updates: differences(before, o)})
	if err := s.announce(r); err != nil {
		return "InternalFailure", err.Error()
	}
	return "", ""
}

// apply writes the customer's fields into a finding, and takes note of those that a provider does not change any more.
func (in *updateInput) apply(o *object, own *owned, now string) {
	if in.Note != nil {
		o.set("Note", encoded(note{in.Note.Text, in.Note.UpdatedBy, now}))
	}
	if in.Severity != nil {
		v := *in.Severity
		if v.Label != "" {
			v.Normalized = nil // the label counts
		}
		v.complete()
		s := o.child("Severity")
		s.set("Label", text(v.Label))
		s.set("Normalized", number(int(*v.Normalized)))
		if v.Product != nil {
			s.set("Product", encoded(*v.Product))
		}
		o.set("Severity", s.encode())
		own.severity = true
	}
	if in.VerificationState != "" {
		o.set("VerificationState", text(in.VerificationState))
	}
	if in.Workflow != nil {
		w := o.child("Workflow")
		w.set("Status", text(in.Workflow.Status))
		o.set("Workflow", w.encode())
	}
	if in.UserDefinedFields != nil {
		o.set("UserDefinedFields", encoded(in.UserDefinedFields))
	}
	for _, f := range []struct {
		name  string
		given bool
		value any
		owned *bool
	}{
		{"Types", in.Types != nil, in.Types, &own.types},
		{"RelatedFindings", in.RelatedFindings != nil, in.RelatedFindings, &own.related},
		{"Confidence", in.Confidence != nil, in.Confidence, &own.confidence},
		{"Criticality", in.Criticality != nil, in.Criticality, &own.criticality},
	} {
		if f.given {
			o.set(f.name, encoded(f.value))
			*f.owned = true
		}
	}
}
