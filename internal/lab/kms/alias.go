package kms

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Limits of aliases.
const (
	maxAlias   = 256 // letters
	maxAliases = 50  // of a key
)

var aliasForm = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]+$`)

type aliasInput struct {
	AliasName   string
	TargetKeyID string `json:"TargetKeyId"`
}

func (in *aliasInput) check() error {
	switch {
	case !aliasForm.MatchString(in.AliasName) || len(in.AliasName) > maxAlias:
		return validation("AliasName %.100s: expected alias/ with letters, digits, /, _ or -, at most %d", in.AliasName, maxAlias)
	case strings.HasPrefix(in.AliasName, awsAlias):
		return wire.Errorf("NotAuthorizedException", "Aliases that begin with alias/aws/ are AWS's own")
	}
	return nil
}

// permitAlias asks whether the caller may do something with an alias; the key's policy is asked besides.
func (s *Service) permitAlias(c *wire.Call, action, name string) error {
	return s.cloud.Authorize(cloud.Access{Who: c.Who, Action: "kms:" + action, Resource: c.ARN("kms", name), Context: c.Conditions()})
}

func (s *Service) createAlias(_ context.Context, c *wire.Call, in *aliasInput) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(in.TargetKeyID, "alias/") {
		return nil, validation("TargetKeyId: Aliases must refer to keys. Not aliases")
	}
	if err := s.permitAlias(c, "CreateAlias", in.AliasName); err != nil {
		return nil, err
	}
	k, err := s.permitted(c, in.TargetKeyID, "CreateAlias", nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.at(c.Place)
	switch {
	case st.aliases[in.AliasName] != nil:
		return nil, wire.Errorf("AlreadyExistsException", "An alias with the name %s already exists", c.ARN("kms", in.AliasName))
	case k.place != c.Place:
		return nil, wire.Errorf("NotFoundException", "Key '%s' does not exist", k.arn)
	case len(st.namesOf(k.id)) >= maxAliases:
		return nil, wire.Errorf("LimitExceededException", "the key has %d aliases", maxAliases)
	}
	if err := k.isNot(statePending); err != nil {
		return nil, err
	}
	now := s.cloud.Clock.Now()
	st.aliases[in.AliasName] = &alias{in.AliasName, k.id, now, now}
	return nil, nil
}

func (s *Service) deleteAlias(_ context.Context, c *wire.Call, in *aliasInput) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := s.permitAlias(c, "DeleteAlias", in.AliasName); err != nil {
		return nil, err
	}
	if _, err := s.permitted(c, in.AliasName, "DeleteAlias", nil); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.at(c.Place).aliases, in.AliasName)
	return nil, nil
}

type aliasEntry struct {
	AliasName       string
	AliasARN        string `json:"AliasArn"`
	TargetKeyID     string `json:"TargetKeyId"`
	CreationDate    wire.Epoch
	LastUpdatedDate wire.Epoch
}

type listAliasesOutput struct {
	Aliases    []aliasEntry
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

func (s *Service) listAliases(_ context.Context, c *wire.Call, in *listInput) (*listAliasesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := ""
	if in.KeyID != "" {
		k, err := s.lookup(c, in.KeyID)
		if err != nil {
			return nil, err
		}
		of = k.id
	}
	st := s.at(c.Place)
	var all []aliasEntry
	for _, name := range slices.Sorted(maps.Keys(st.aliases)) {
		a := st.aliases[name]
		if of == "" || a.target == of {
			all = append(all, aliasEntry{name, c.ARN("kms", name), a.target, wire.Epoch{Time: a.created}, wire.Epoch{Time: a.changed}})
		}
	}
	all, next, err := page(all, in)
	if err != nil {
		return nil, err
	}
	return &listAliasesOutput{all, next, next != ""}, nil
}
