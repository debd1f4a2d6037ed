package organizations

import (
	"context"
	"maps"
	"slices"

	"example.org/catchment/internal/lab/wire"
)

type tagInput struct {
	ResourceID string `json:"ResourceId"`
	Tags       []tag
	TagKeys    []string
	NextToken  string
}

// tagged finds the tags of a root, a unit or an account. Requires s.mu.
func (s *Service) tagged(c *wire.Call, in *tagInput) (*map[string]string, error) {
	if err := form("ResourceId", in.ResourceID, targetForm); err != nil {
		return nil, err
	}
	o, err := s.enter(c, mayRead)
	if err != nil {
		return nil, err
	}
	if u := o.units[in.ResourceID]; u != nil {
		return &u.tags, nil
	}
	if m := o.members[in.ResourceID]; m != nil {
		return &m.tags, nil
	}
	return nil, notFound("TargetNotFoundException", "target")
}

func (s *Service) tagResource(_ context.Context, c *wire.Call, in *tagInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(c, in)
	if err != nil {
		return nil, err
	}
	more, err := withTags(*tags, in.Tags)
	if err != nil {
		return nil, err
	}
	*tags = more
	return nil, nil
}

func (s *Service) untagResource(_ context.Context, c *wire.Call, in *tagInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(c, in)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(*tags, key)
	}
	return nil, nil
}

type listTagsOutput struct {
	Tags      []tag
	NextToken string `json:",omitempty"`
}

func (s *Service) listTagsForResource(_ context.Context, c *wire.Call, in *tagInput) (*listTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(c, in)
	if err != nil {
		return nil, err
	}
	var all []tag
	for _, key := range slices.Sorted(maps.Keys(*tags)) {
		all = append(all, tag{key, (*tags)[key]})
	}
	list, next, err := page(s, c, paging{NextToken: in.NextToken}, all, func(t tag) string { return t.Key })
	if err != nil {
		return nil, err
	}
	return &listTagsOutput{list, next}, nil
}
