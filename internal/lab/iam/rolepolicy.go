package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/policy"
	"example.org/catchment/internal/lab/wire"
)

type rolePolicyInput struct {
	RoleName, PolicyName, PolicyDocument string
}

func (s *Service) putRolePolicy(_ context.Context, c *wire.Call, in *rolePolicyInput) (*nothing, error) {
	if err := isName("policyName", in.PolicyName, maxPolicyName); err != nil {
		return nil, err
	}
	if _, err := policy.Parse(policy.Identity, []byte(in.PolicyDocument)); err != nil {
		return nil, malformed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, d, err := s.own(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	size := withoutSpace(in.PolicyDocument)
	for name, document := range r.inline {
		if name != in.PolicyName {
			size += withoutSpace(document)
		}
	}
	if size > maxInline {
		return nil, conflict("LimitExceeded", "Maximum policy size of %d bytes exceeded for role %s", maxInline, r.name)
	}
	if r.inline == nil {
		r.inline = make(map[string]string)
	}
	r.inline[in.PolicyName] = in.PolicyDocument
	return nil, s.changed(r, d)
}

func (s *Service) getRolePolicy(_ context.Context, c *wire.Call, in *rolePolicyInput) (*rolePolicyInput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _, err := s.role(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	document, ok := r.inline[in.PolicyName]
	if !ok {
		return nil, noEntity("The role policy with name %s cannot be found.", in.PolicyName)
	}
	return &rolePolicyInput{r.name, in.PolicyName, escape(document)}, nil
}

func (s *Service) deleteRolePolicy(_ context.Context, c *wire.Call, in *rolePolicyInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, d, err := s.own(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	if _, ok := r.inline[in.PolicyName]; !ok {
		return nil, noEntity("The role policy with name %s cannot be found.", in.PolicyName)
	}
	delete(r.inline, in.PolicyName)
	return nil, s.changed(r, d)
}

type listRolePoliciesOutput struct {
	PolicyNames []string
	IsTruncated bool
	Marker      string `json:",omitempty"`
}

func (s *Service) listRolePolicies(_ context.Context, c *wire.Call, in *listInput) (*listRolePoliciesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _, err := s.role(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	page, marker, err := page(slices.Sorted(maps.Keys(r.inline)), in)
	if err != nil {
		return nil, err
	}
	return &listRolePoliciesOutput{page, marker != "", marker}, nil
}

type attachInput struct {
	RoleName  string
	PolicyARN string `json:"PolicyArn"`
}

func (s *Service) attachRolePolicy(_ context.Context, c *wire.Call, in *attachInput) (*nothing, error) {
	if err := isARN(in.PolicyARN); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, d, err := s.own(c, in.RoleName)
	switch {
	case err != nil:
		return nil, err
	case s.findPolicy(d, in.PolicyARN) == nil:
		return nil, noEntity("Policy %s does not exist or is not attachable.", in.PolicyARN)
	case slices.Contains(r.attached, in.PolicyARN):
		return nil, nil
	case len(r.attached) >= maxAttached:
		return nil, limit("PoliciesPerRole", maxAttached)
	}
	r.attached = append(r.attached, in.PolicyARN)
	slices.Sort(r.attached)
	return nil, s.changed(r, d)
}

func (s *Service) detachRolePolicy(_ context.Context, c *wire.Call, in *attachInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, d, err := s.own(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	i := slices.Index(r.attached, in.PolicyARN)
	if i < 0 {
		return nil, noEntity("Policy %s was not found.", in.PolicyARN)
	}
	r.attached = slices.Delete(r.attached, i, i+1)
	return nil, s.changed(r, d)
}

type attachedPolicy struct {
	PolicyName string
	PolicyARN  string `json:"PolicyArn"`
}

type listAttachedOutput struct {
	AttachedPolicies []attachedPolicy
	IsTruncated      bool
	Marker           string `json:",omitempty"`
}

func (s *Service) listAttachedRolePolicies(_ context.Context, c *wire.Call, in *listInput) (*listAttachedOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, d, err := s.role(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	var all []attachedPolicy
	for _, arn := range r.attached {
		if m := s.findPolicy(d, arn); m != nil && strings.HasPrefix(m.path, in.PathPrefix) {
			all = append(all, attachedPolicy{m.name, arn})
		}
	}
	page, marker, err := page(all, in)
	if err != nil {
		return nil, err
	}
	return &listAttachedOutput{page, marker != "", marker}, nil
}

type tagInput struct {
	RoleName string
	Tags     []tag
	TagKeys  []string
}

func (s *Service) tagRole(_ context.Context, c *wire.Call, in *tagInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _, err := s.role(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(r.tags)
	if all == nil {
		all = make(map[string]string)
	}
	if err := addTags(all, in.Tags); err != nil {
		return nil, err
	}
	r.tags = all
	return nil, nil
}

func (s *Service) untagRole(_ context.Context, c *wire.Call, in *tagInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _, err := s.role(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(r.tags, key)
	}
	return nil, nil
}

type listTagsOutput struct {
	Tags        []tag
	IsTruncated bool
	Marker      string `json:",omitempty"`
}

func (s *Service) listRoleTags(_ context.Context, c *wire.Call, in *listInput) (*listTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _, err := s.role(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	page, marker, err := page(tagList(r.tags), in)
	if err != nil {
		return nil, err
	}
	return &listTagsOutput{page, marker != "", marker}, nil
}
