package sqs

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/wire"
)

// maxActions is the most actions of one permission.
const maxActions = 7

type addPermissionInput struct {
	QueueURL string `json:"QueueUrl"`
	Label    string
	Accounts []string `json:"AWSAccountIds" query:"AWSAccountId,flat"`
	Actions  []string `query:"ActionName,flat"`
}

// A policyDocument is a queue's policy as far as permissions with labels are concerned.
type policyDocument struct {
	Version   string           `json:"Version"`
	ID        string           `json:"Id,omitempty"`
	Statement []jsontext.Value `json:"Statement"`
}

type statement struct {
	Sid       string              `json:"Sid"`
	Effect    string              `json:"Effect"`
	Principal map[string][]string `json:"Principal"`
	Action    []string            `json:"Action"`
	Resource  string              `json:"Resource"`
}

// readPolicy reads a policy, or makes an empty one.
func (q *queue) readPolicy() policyDocument {
	doc := policyDocument{Version: "2012-10-17", ID: q.arn + "/SQSDefaultPolicy"}
	if q.settings.policy == "" {
		return doc
	}
	var have policyDocument
	if json.Unmarshal([]byte(q.settings.policy), &have) == nil {
		return have
	}
	// A single statement that is no list.
	var one struct {
		Version   string         `json:"Version"`
		ID        string         `json:"Id"`
		Statement jsontext.Value `json:"Statement"`
	}
	if json.Unmarshal([]byte(q.settings.policy), &one) == nil {
		doc = policyDocument{one.Version, one.ID, []jsontext.Value{one.Statement}}
	}
	return doc
}

// writePolicy gives a queue a policy, or takes it away where nothing is in it. Requires mu.
func (s *Service) writePolicy(q *queue, doc policyDocument) error {
	text := ""
	if len(doc.Statement) > 0 {
		b, err := json.Marshal(doc)
		if err != nil {
			return fmt.Errorf("policy of %s: %w", q.arn, err)
		}
		text = string(b)
	}
	to := q.settings
	if bad := to.setPolicy(text); bad != nil {
		return bad
	}
	q.set(to, s.cloud.Clock.Now())
	return nil
}

// label is the Sid of a statement.
func label(v jsontext.Value) string {
	var s struct {
		Sid string `json:"Sid"`
	}
	if json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s.Sid
}

func (s *Service) addPermission(_ context.Context, c *wire.Call, in *addPermissionInput) (*nothing, error) {
	q, err := s.own(c, in.QueueURL, "AddPermission")
	if err != nil {
		return nil, err
	}
	if bad := s.checkPermission(in); bad != nil {
		return nil, bad
	}
	st := statement{Sid: in.Label, Effect: "Allow", Principal: map[string][]string{"AWS": {}}, Resource: q.arn}
	for _, account := range in.Accounts {
		st.Principal["AWS"] = append(st.Principal["AWS"], s.cloud.Accounts.Place(account, "").ARN("iam", "root"))
	}
	for _, action := range in.Actions {
		st.Action = append(st.Action, "SQS:"+action)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	doc := q.readPolicy()
	if slices.ContainsFunc(doc.Statement, func(v jsontext.Value) bool { return label(v) == in.Label }) {
		return nil, badValue(in.Label, "Label", "Already exists.")
	}
	raw, err := json.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("permission %s: %w", in.Label, err)
	}
	doc.Statement = append(doc.Statement, raw)
	return nil, s.writePolicy(q, doc)
}

// checkPermission tells what is wrong with a permission.
func (s *Service) checkPermission(in *addPermissionInput) *wire.Error {
	switch {
	case !batchID.MatchString(in.Label):
		return badValue(in.Label, "Label", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.")
	case len(in.Accounts) == 0:
		return missing("PrincipalId")
	case len(in.Actions) == 0:
		return missing("Actions")
	case len(in.Actions) > maxActions:
		return failure(overLimit, "%d Actions were found, maximum allowed is %d.", len(in.Actions), maxActions)
	}
	for _, account := range in.Accounts {
		if _, exists := s.cloud.Accounts.Find(account); !exists {
			return badValue(account, "PrincipalId", "Unable to verify.")
		}
	}
	for _, action := range in.Actions {
		switch action {
		case "*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl",
			"ListDeadLetterSourceQueues", "PurgeQueue":
		default:
			return badValue("SQS:"+action, "ActionName", "Only the queue owner is allowed to invoke this action.")
		}
	}
	return nil
}

type removePermissionInput struct {
	QueueURL string `json:"QueueUrl"`
	Label    string
}

func (s *Service) removePermission(_ context.Context, c *wire.Call, in *removePermissionInput) (*nothing, error) {
	q, err := s.own(c, in.QueueURL, "RemovePermission")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	doc := q.readPolicy()
	n := len(doc.Statement)
	doc.Statement = slices.DeleteFunc(doc.Statement, func(v jsontext.Value) bool { return label(v) == in.Label })
	if in.Label == "" || len(doc.Statement) == n {
		return nil, badValue(in.Label, "Label", "can't find label.")
	}
	return nil, s.writePolicy(q, doc)
}
