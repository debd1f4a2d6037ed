package sqs

import (
	"context"
	"maps"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Limits of tags.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

func checkTags(tags map[string]string) *wire.Error {
	if len(tags) > maxTags {
		return failure(invalidParameterValue, "Too many tags added for queue: expected at most %d.", maxTags)
	}
	for key, value := range tags {
		if key == "" || len(key) > maxTagKey || len(value) > maxTagValue || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return failure(invalidParameterValue, "Tag keys must be between 1 and %d characters in length and not begin with aws:, "+
				"values at most %d characters.", maxTagKey, maxTagValue)
		}
	}
	return nil
}

// accessTo asks for something in the caller's own account.
func accessTo(c *wire.Call, action, arn string) cloud.Access {
	return cloud.Access{Who: c.Who, Action: serviceName + ":" + action, Resource: arn, Context: c.Conditions()}
}

type tagQueueInput struct {
	QueueURL string            `json:"QueueUrl"`
	Tags     map[string]string `query:"Tag,flat,key=Key,value=Value"`
}

func (s *Service) tagQueue(_ context.Context, c *wire.Call, in *tagQueueInput) (*nothing, error) {
	q, err := s.own(c, in.QueueURL, "TagQueue")
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, missing("Tags")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tags := maps.Clone(q.tags)
	maps.Copy(tags, in.Tags)
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	q.tags = tags
	return nil, nil
}

type untagQueueInput struct {
	QueueURL string   `json:"QueueUrl"`
	TagKeys  []string `query:"TagKey,flat"`
}

func (s *Service) untagQueue(_ context.Context, c *wire.Call, in *untagQueueInput) (*nothing, error) {
	q, err := s.own(c, in.QueueURL, "UntagQueue")
	if err != nil {
		return nil, err
	}
	if len(in.TagKeys) == 0 {
		return nil, missing("TagKeys")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range in.TagKeys {
		delete(q.tags, key)
	}
	return nil, nil
}

type listQueueTagsOutput struct {
	Tags map[string]string `json:",omitempty" query:"Tag,flat,key=Key,value=Value"`
}

func (s *Service) listQueueTags(_ context.Context, c *wire.Call, in *queueInput) (*listQueueTagsOutput, error) {
	q, err := s.own(c, in.QueueURL, "ListQueueTags")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &listQueueTagsOutput{maps.Clone(q.tags)}, nil
}
