package events

import (
	"context"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// maxTags is how many tags a resource has at most.
const maxTags = 50

type tag struct{ Key, Value string }

// newTags adds tags to those that there were.
func newTags(old map[string]string, more []tag) (map[string]string, error) {
	out := make(map[string]string)
	maps.Copy(out, old)
	var c checks
	for _, t := range more {
		c.required(t.Key, "tags.key", 128, nil)
		c.text(t.Value, "tags.value", 256, nil)
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, invalid("Tag keys must not start with aws:.")
		}
		out[t.Key] = t.Value
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	if len(out) > maxTags {
		return nil, invalid("A resource takes at most %d tags.", maxTags)
	}
	return out, nil
}

// tagged finds the tags of a rule or a bus by its ARN.
func (s *Service) tagged(p cloud.Place, arn string) (*map[string]string, error) {
	missing := wire.Errorf("ResourceNotFoundException", "Resource %s does not exist.", clip(arn))
	a, err := cloud.ParseARN(arn)
	if err != nil || a.Service != "events" {
		return nil, invalid("Parameter ResourceARN is not valid. Reason: Provided Arn is not in correct format.")
	}
	if a.Place() != p {
		return nil, missing
	}
	kind, name, _ := strings.Cut(a.Resource, "/")
	switch kind {
	case "event-bus":
		if b := s.bus(p, name); b != nil {
			return &b.tags, nil
		}
	case "rule":
		onBus := defaultBus
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			onBus, name = name[:i], name[i+1:]
		}
		if b := s.bus(p, onBus); b != nil && b.rules[name] != nil {
			return &b.rules[name].tags, nil
		}
	}
	return nil, missing
}

type tagInput struct {
	ResourceARN string
	Tags        []tag
	TagKeys     []string
}

func (s *Service) tagResource(_ context.Context, c *wire.Call, in *tagInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(c.Place, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	all, err := newTags(*tags, in.Tags)
	if err != nil {
		return nil, err
	}
	*tags = all
	return nil, nil
}

func (s *Service) untagResource(_ context.Context, c *wire.Call, in *tagInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(c.Place, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(*tags, key)
	}
	return nil, nil
}

type listTagsOutput struct{ Tags []tag }

func (s *Service) listTags(_ context.Context, c *wire.Call, in *tagInput) (*listTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(c.Place, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &listTagsOutput{}
	for _, key := range slices.Sorted(maps.Keys(*tags)) {
		out.Tags = append(out.Tags, tag{key, (*tags)[key]})
	}
	return out, nil
}
