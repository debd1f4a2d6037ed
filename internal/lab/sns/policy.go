package sns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/wire"
)

type addPermissionInput struct {
	TopicARN string   `json:"TopicArn"`
	Label    string   `json:"Label"`
	Accounts []string `json:"AWSAccountId"`
	Actions  []string `json:"ActionName"`
}

type statement struct {
	Sid       string              `json:"Sid"`
	Effect    string              `json:"Effect"`
	Principal map[string][]string `json:"Principal"`
	Action    []string            `json:"Action"`
	Resource  string              `json:"Resource"`
}

func label(v jsontext.Value) string {
	var s struct {
		Sid string `json:"Sid"`
	}
	if json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s.Sid
}

// actions are those that a topic's policy can allow.
var actions = []string{
	"AddPermission", "DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic", "Publish", "RemovePermission", "SetTopicAttributes",
	"Subscribe",
}

func (s *Service) addPermission(_ context.Context, c *wire.Call, in *addPermissionInput) (*nothing, error) {
	t, err := s.open(c, "TopicArn", in.TopicARN, "AddPermission")
	if err != nil {
		return nil, err
	}
	switch {
	case in.Label == "":
		return nil, invalid("Label")
	case len(in.Accounts) == 0:
		return nil, invalid("AWSAccountId")
	case len(in.Actions) == 0:
		return nil, invalid("ActionName")
	}
	st := statement{Sid: in.Label, Effect: "Allow", Principal: map[string][]string{"AWS": {}}, Resource: t.arn}
	for _, account := range in.Accounts {
		if _, exists := s.cloud.Accounts.Find(account); !exists {
			return nil, invalid("AWSAccountId")
		}
		st.Principal["AWS"] = append(st.Principal["AWS"], s.cloud.Accounts.Place(account, "").ARN("iam", "root"))
	}
	for _, action := range in.Actions {
		if !slices.Contains(actions, action) {
			return nil, invalid("Policy statement action out of service scope!")
		}
		st.Action = append(st.Action, "SNS:"+action)
	}
	raw, err := json.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("permission %s: %w", in.Label, err)
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	doc := t.readPolicy()
	if slices.ContainsFunc(doc.Statement, func(v jsontext.Value) bool { return label(v) == in.Label }) {
		return nil, invalid("Statement already exists")
	}
	doc.Statement = append(doc.Statement, raw)
	return nil, t.writePolicy(doc, now)
}

type removePermissionInput struct {
	TopicARN string `json:"TopicArn"`
	Label    string
}

// removePermission takes a statement out of the policy. A label that is not there is no error.
func (s *Service) removePermission(_ context.Context, c *wire.Call, in *removePermissionInput) (*nothing, error) {
	t, err := s.open(c, "TopicArn", in.TopicARN, "RemovePermission")
	if err != nil {
		return nil, err
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	doc := t.readPolicy()
	n := len(doc.Statement)
	doc.Statement = slices.DeleteFunc(doc.Statement, func(v jsontext.Value) bool { return label(v) == in.Label })
	if len(doc.Statement) == n {
		return nil, nil
	}
	return nil, t.writePolicy(doc, now)
}

// Limits of tags.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// addTags gives tags with others added.
func addTags(have map[string]string, more []tag) (map[string]string, *wire.Error) {
	out := maps.Clone(have)
	if out == nil {
		out = make(map[string]string)
	}
	for _, t := range more {
		if t.Key == "" || len(t.Key) > maxTagKey || len(t.Value) > maxTagValue || strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, invalid("Tags Reason: a key has 1 to %d characters and does not begin with aws:, a value at most %d", maxTagKey, maxTagValue)
		}
		out[t.Key] = t.Value
	}
	if len(out) > maxTags {
		return nil, failure(tagLimitExceeded, "Could not complete request: tag quota of per resource exceeded")
	}
	return out, nil
}

type tagResourceInput struct {
	ResourceARN string `json:"ResourceArn"`
	Tags        []tag
}

// tagged finds what is to be tagged.
func (s *Service) tagged(c *wire.Call, arn, action string) (*topic, error) {
	t, err := s.open(c, "ResourceArn", arn, action)
	if e, ok := errors.AsType[*wire.Error](err); ok && e.Code == notFound {
		return nil, failure(resourceNotFound, "Resource does not exist")
	}
	return t, err
}

func (s *Service) tagResource(_ context.Context, c *wire.Call, in *tagResourceInput) (*nothing, error) {
	t, err := s.tagged(c, in.ResourceARN, "TagResource")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, bad := addTags(t.tags, in.Tags)
	if bad != nil {
		return nil, bad
	}
	t.tags = tags
	return nil, nil
}

type untagResourceInput struct {
	ResourceARN string `json:"ResourceArn"`
	TagKeys     []string
}

func (s *Service) untagResource(_ context.Context, c *wire.Call, in *untagResourceInput) (*nothing, error) {
	t, err := s.tagged(c, in.ResourceARN, "UntagResource")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range in.TagKeys {
		delete(t.tags, key)
	}
	return nil, nil
}

type resourceARN struct {
	ARN string `json:"ResourceArn"`
}

type tagsOutput struct {
	Tags []tag
}

func (s *Service) listTagsForResource(_ context.Context, c *wire.Call, in *resourceARN) (*tagsOutput, error) {
	t, err := s.tagged(c, in.ARN, "ListTagsForResource")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &tagsOutput{}
	for _, key := range slices.Sorted(maps.Keys(t.tags)) {
		out.Tags = append(out.Tags, tag{key, t.tags[key]})
	}
	return out, nil
}
