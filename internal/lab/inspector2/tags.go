package inspector2

import (
	"context"
	"maps"
	"strings"

	"example.org/catchment/internal/lab/wire"
)

// checkTags bounds tags that a request brings.
func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return wire.Errorf("BadRequestException", "%d tags: expected at most %d", len(tags), maxTags)
	}
	for k, v := range tags {
		if err := checkLength("tags", k, 1, 128); err != nil {
			return err
		}
		if err := checkLength("tags", v, 0, 256); err != nil {
			return err
		}
		if strings.HasPrefix(k, "aws:") {
			return invalid("tags", "key %q: aws: is reserved", k)
		}
	}
	return nil
}

type tagInput struct {
	Tags map[string]string `json:"tags"`
}

// tagged gives the filter that a call's path names: the only resources that have tags here. Requires mu.
func (s *Service) tagged(c *wire.Call) (*filter, error) {
	arn := c.Path["resourceArn"]
	f := s.look(c.Place).filters[arn]
	if f == nil {
		return nil, notFound("resource %s does not exist", arn)
	}
	return f, nil
}

func (s *Service) tagResource(_ context.Context, c *wire.Call, in *tagInput) (*nothing, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.tagged(c)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(f.Tags)
	if next == nil {
		next = make(map[string]string)
	}
	maps.Copy(next, in.Tags)
	if err := checkTags(next); err != nil {
		return nil, err
	}
	f.Tags = next
	return nil, nil
}

func (s *Service) untagResource(_ context.Context, c *wire.Call, _ *nothing) (*nothing, error) {
	keys := c.HTTP.URL.Query()["tagKeys"]
	if len(keys) > maxTags {
		return nil, invalid("tagKeys", "%d keys: expected at most %d", len(keys), maxTags)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.tagged(c)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(f.Tags)
	for _, k := range keys {
		delete(next, k)
	}
	f.Tags = next
	return nil, nil
}

func (s *Service) listTags(_ context.Context, c *wire.Call, _ *nothing) (*tagInput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.tagged(c)
	if err != nil {
		return nil, err
	}
	return &tagInput{f.Tags}, nil
}
