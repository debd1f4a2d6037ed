package lambda

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A statement is one of a function's policy, as AddPermission makes it.
type statement struct {
	Sid       string
	Effect    string
	Principal map[string]string
	Action    string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

type permissionInput struct {
	StatementID                                                 string `json:"StatementId"`
	Action, Principal, SourceArn, SourceAccount, PrincipalOrgID string
}

type permissionOutput struct{ Statement string }

func (s *Service) addPermission(_ context.Context, c *wire.Call, in *permissionInput) (*permissionOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.lookup(c)
	if err != nil {
		return nil, err
	}
	switch {
	case !functionName.MatchString(in.StatementID):
		return nil, wire.Errorf("ValidationException", "StatementId %q: expected letters, digits, - and _, at most 64", in.StatementID)
	case !strings.HasPrefix(in.Action, "lambda:"):
		return nil, wire.Errorf("ValidationException", "Action %q: expected lambda:…", in.Action)
	case in.Principal == "":
		return nil, wire.Errorf("ValidationException", "Principal: expected a service, an account or an ARN")
	case slices.ContainsFunc(f.policy, func(st statement) bool { return st.Sid == in.StatementID }):
		return nil, wire.StatusErrorf(http.StatusConflict, "ResourceConflictException",
			"The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", in.StatementID)
	}
	st := statement{Sid: in.StatementID, Effect: "Allow", Action: in.Action, Resource: f.arn(), Principal: principalOf(f.at, in.Principal)}
	condition := func(operator, key, value string) {
		if value == "" {
			return
		}
		if st.Condition == nil {
			st.Condition = make(map[string]map[string]string)
		}
		if st.Condition[operator] == nil {
			st.Condition[operator] = make(map[string]string)
		}
		st.Condition[operator][key] = value
	}
	condition("ArnLike", "AWS:SourceArn", in.SourceArn)
	condition("StringEquals", "AWS:SourceAccount", in.SourceAccount)
	condition("StringEquals", "aws:PrincipalOrgID", in.PrincipalOrgID)
	text, err := json.Marshal(st, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	f.policy = append(f.policy, st)
	if len(f.policyDocument()) > maxPolicy {
		f.policy = f.policy[:len(f.policy)-1]
		return nil, wire.Errorf("PolicyLengthExceededException", "The final policy size is bigger than the limit (%d).", maxPolicy)
	}
	c.Status = http.StatusCreated
	return &permissionOutput{string(text)}, nil
}

// principalOf writes a principal as a policy does.
func principalOf(at cloud.Place, p string) map[string]string {
	switch {
	case cloud.IsAccountID(p):
		return map[string]string{"AWS": cloud.Place{Partition: at.Partition, Account: p}.ARN("iam", "root")}
	case strings.HasPrefix(p, "arn:"), p == "*":
		return map[string]string{"AWS": p}
	}
	return map[string]string{"Service": p}
}

// policyDocument is the function's policy; nil where it has none. Requires that mu is held.
func (f *function) policyDocument() []byte {
	if len(f.policy) == 0 {
		return nil
	}
	b, err := json.Marshal(struct {
		Version   string
		ID        string `json:"Id"`
		Statement []statement
	}{"2012-10-17", "default", f.policy}, json.Deterministic(true))
	if err != nil {
		return nil // a statement holds texts only, which were decoded from JSON
	}
	return b
}

type policyOutput struct {
	Policy     string
	RevisionID string `json:"RevisionId"`
}

func (s *Service) getPolicy(_ context.Context, c *wire.Call, _ *nameInput) (*policyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.lookup(c)
	if err != nil {
		return nil, err
	}
	if len(f.policy) == 0 {
		return nil, wire.StatusErrorf(http.StatusNotFound, "ResourceNotFoundException", "The resource you requested does not exist.")
	}
	return &policyOutput{string(f.policyDocument()), f.revision}, nil
}

func (s *Service) removePermission(_ context.Context, c *wire.Call, _ *nameInput) (*nameInput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.lookup(c)
	if err != nil {
		return nil, err
	}
	id := c.Path["StatementId"]
	i := slices.IndexFunc(f.policy, func(st statement) bool { return st.Sid == id })
	if i < 0 {
		return nil, wire.StatusErrorf(http.StatusNotFound, "ResourceNotFoundException", "Statement %s is not found in resource policy.", id)
	}
	f.policy = slices.Delete(f.policy, i, i+1)
	c.Status = http.StatusNoContent
	return nil, nil
}
