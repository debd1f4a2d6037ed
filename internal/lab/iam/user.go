package iam

import (
	"context"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// administrator is the name of the one user that each account has.
const administrator = "administrator"

type userView struct {
	Path       string
	UserName   string
	UserID     string `json:"UserId"`
	ARN        string `json:"Arn"`
	CreateDate wire.Epoch
}

type getUserInput struct{ UserName string }

type getUserOutput struct{ User userView }

// user is an account's administrator, who is as old as the lab.
func (s *Service) user(account string) userView {
	who := s.cloud.Accounts.Credential(account).Who
	return userView{"/", administrator, who.ID, who.ARN, wire.Epoch{Time: s.cloud.Start}}
}

func (s *Service) getUser(_ context.Context, c *wire.Call, in *getUserInput) (*getUserOutput, error) {
	switch {
	case in.UserName == "" && c.Who.Kind != cloud.User:
		return nil, wire.Errorf("ValidationError", "Must specify userName when calling with non-User credentials")
	case in.UserName != "" && in.UserName != administrator:
		return nil, noEntity("The user with name %s cannot be found.", in.UserName)
	}
	return &getUserOutput{s.user(c.Account)}, nil
}

type listUsersOutput struct {
	Users       []userView
	IsTruncated bool
}

func (s *Service) listUsers(_ context.Context, c *wire.Call, in *listInput) (*listUsersOutput, error) {
	out := &listUsersOutput{}
	if strings.HasPrefix("/", in.PathPrefix) {
		out.Users = []userView{s.user(c.Account)}
	}
	return out, nil
}
