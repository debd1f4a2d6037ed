package events

import (
	"bytes"
	"context"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// maxPolicy is the quota of a bus policy, in characters.
const maxPolicy = 10_240

// policyVersion is the version of the policy language.
const policyVersion = "2012-10-17"

// A busPolicy says who may put events on a bus.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html
type busPolicy struct{ statements []statement }

type statement struct {
	sid string
	raw jsontext.Value
}

// text is the policy as JSON; nil: it says nothing.
func (p *busPolicy) text() []byte {
	if len(p.statements) == 0 {
		return nil
	}
	out := []byte(`{"Version":"` + policyVersion + `","Statement":[`)
	for i, st := range p.statements {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, st.raw...)
	}
	return append(out, "]}"...)
}

func (p *busPolicy) index(sid string) int {
	return slices.IndexFunc(p.statements, func(st statement) bool { return st.sid == sid })
}

// parsePolicy takes a whole policy.
func parsePolicy(text string) (busPolicy, error) {
	var doc struct {
		Version   string
		Statement []jsontext.Value
	}
	var p busPolicy
	refuse := func(reason string) (busPolicy, error) {
		return p, invalid("Parameter Policy is not valid. Reason: %s.", reason)
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		var single struct {
			Version   string
			Statement jsontext.Value
		}
		if json.Unmarshal([]byte(text), &single) != nil || single.Statement.Kind() != jsontext.KindBeginObject {
			return refuse("it is no JSON policy document")
		}
		doc.Version, doc.Statement = single.Version, []jsontext.Value{single.Statement}
	}
	if len(doc.Statement) == 0 {
		return refuse("it has no Statement")
	}
	for _, raw := range doc.Statement {
		var st struct {
			Sid       string
			Effect    string
			Principal jsontext.Value
			Action    jsontext.Value
		}
		if err := json.Unmarshal(raw, &st); err != nil || st.Effect != "Allow" && st.Effect != "Deny" || st.Principal == nil || st.Action == nil {
			return refuse("each statement takes an Effect, a Principal and an Action")
		}
		raw = bytes.Clone(raw)
		if err := raw.Compact(); err != nil {
			return refuse("it is no JSON policy document")
		}
		p.statements = append(p.statements, statement{st.Sid, raw})
	}
	return p, nil
}

type condition struct{ Type, Key, Value string }

type putPermissionInput struct {
	EventBusName string
	Action       string
	Principal    string
	StatementID  string `json:"StatementId"`
	Condition    *condition
	Policy       string
}

var (
	principalForm = form(`(\d{12}|\*)`)
	sidForm       = form(`[a-zA-Z0-9-_]+`)
	actionForm    = form(`events:[a-zA-Z]+`)
)

func (in *putPermissionInput) check() error {
	var c checks
	c.text(in.EventBusName, "eventBusName", 256, nameForm)
	c.text(in.Action, "action", 64, actionForm)
	c.text(in.Principal, "principal", 12, principalForm)
	c.text(in.StatementID, "statementId", 64, sidForm)
	if err := c.err(); err != nil {
		return err
	}
	switch {
	case in.Policy != "" && (in.Action != "" || in.Principal != "" || in.StatementID != "" || in.Condition != nil):
		return invalid("Policy cannot be used together with Action, Principal, StatementId and Condition.")
	case in.Policy != "":
	case in.Action == "" || in.Principal == "" || in.StatementID == "":
		return invalid("Parameters Action, Principal and StatementId, or Policy, must be specified.")
	case in.Action != "events:PutEvents":
		return invalid("Provided value in parameter 'action' is not supported.")
	case in.Condition == nil:
	case in.Principal != "*":
		return invalid("Condition can be used with Principal * only.")
	case in.Condition.Type != "StringEquals" || in.Condition.Key != "aws:PrincipalOrgID" || in.Condition.Value == "":
		return invalid("Condition takes the Type StringEquals and the Key aws:PrincipalOrgID.")
	}
	return nil
}

// statement is the statement that the short form of PutPermission stands for.
func (in *putPermissionInput) statement(b *bus) (statement, error) {
	type conditions map[string]map[string]string
	out := struct {
		Sid       string
		Effect    string
		Principal any
		Action    string
		Resource  string
		Condition conditions `json:",omitzero"`
	}{Sid: in.StatementID, Effect: "Allow", Principal: "*", Action: in.Action, Resource: b.arn}
	if in.Principal != "*" {
		out.Principal = map[string]string{"AWS": cloud.Place{Partition: b.at.Partition, Account: in.Principal}.ARN("iam", "root")}
	}
	if in.Condition != nil {
		out.Condition = conditions{in.Condition.Type: {in.Condition.Key: in.Condition.Value}}
	}
	raw, err := json.Marshal(out)
	return statement{in.StatementID, raw}, err
}

func (s *Service) putPermission(_ context.Context, c *wire.Call, in *putPermissionInput) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBus(c.Place, in.EventBusName)
	if err != nil {
		return nil, err
	}
	p := busPolicy{slices.Clone(b.policy.statements)}
	if in.Policy != "" {
		p, err = parsePolicy(in.Policy)
	} else {
		var st statement
		st, err = in.statement(b)
		if i := p.index(st.sid); i >= 0 {
			p.statements[i] = st
		} else {
			p.statements = append(p.statements, st)
		}
	}
	if err != nil {
		return nil, err
	}
	if len(p.text()) > maxPolicy {
		return nil, wire.Errorf("PolicyLengthExceededException", "The event bus policy is longer than %d characters.", maxPolicy)
	}
	s.setPolicy(b, p)
	return nil, nil
}

// setPolicy changes a policy; deliveries see it after the lag of policies.
func (s *Service) setPolicy(b *bus, p busPolicy) {
	b.policy, b.modified = p, s.now()
	text := p.text()
	s.lag(s.cloud.Lag.Policies, func() { b.visiblePolicy = text })
}

type removePermissionInput struct {
	StatementID          string `json:"StatementId"`
	RemoveAllPermissions bool
	EventBusName         string
}

func (s *Service) removePermission(_ context.Context, c *wire.Call, in *removePermissionInput) (*nothing, error) {
	var check checks
	check.text(in.EventBusName, "eventBusName", 256, nameForm)
	check.text(in.StatementID, "statementId", 64, sidForm)
	if err := check.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBus(c.Place, in.EventBusName)
	if err != nil {
		return nil, err
	}
	if in.RemoveAllPermissions {
		s.setPolicy(b, busPolicy{})
		return nil, nil
	}
	if in.StatementID == "" {
		return nil, invalid("Parameter StatementId must be specified.")
	}
	i := b.policy.index(in.StatementID)
	if i < 0 {
		return nil, wire.Errorf("ResourceNotFoundException", "Statement with the provided id does not exist.")
	}
	s.setPolicy(b, busPolicy{slices.Delete(slices.Clone(b.policy.statements), i, i+1)})
	return nil, nil
}
