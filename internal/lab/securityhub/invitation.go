package securityhub

import (
	"maps"
	"slices"

	"example.org/catchment/internal/lab/wire"
)

// invitation is an administrator as a member sees it.
type invitation struct {
	AccountID    string `json:"AccountId"` // the administrator's
	InvitationID string `json:"InvitationId,omitempty"`
	InvitedAt    string `json:",omitempty"`
	MemberStatus string
}

func (r *relation) invitation() *invitation {
	return &invitation{r.admin, r.id, stamp(r.invited), r.status}
}

type invitationList struct {
	Invitations []*invitation
	NextToken   string `json:",omitempty"`
}

// listInvitations lists those that were not accepted.
func (s *Service) listInvitations(c *wire.Call, h *hub, _ *nothing) (*invitationList, error) {
	var all []*invitation
	for _, admin := range slices.Sorted(maps.Keys(h.invitations)) {
		if r := h.invitations[admin]; h.admin != r {
			all = append(all, r.invitation())
		}
	}
	page, next, err := pageOf(s, c, all, maxMemberPage)
	if err != nil {
		return nil, err
	}
	return &invitationList{page, next}, nil
}

type invitationsCount struct{ InvitationsCount int }

func (s *Service) getInvitationsCount(_ *wire.Call, h *hub, _ *nothing) (*invitationsCount, error) {
	out := &invitationsCount{}
	for _, r := range h.invitations {
		if r.status == statusInvited {
			out.InvitationsCount++
		}
	}
	return out, nil
}

type acceptInput struct {
	AdministratorID string `json:"AdministratorId"`
	InvitationID    string `json:"InvitationId"`
}

func (s *Service) acceptAdministratorInvitation(c *wire.Call, h *hub, in *acceptInput) (*nothing, error) {
	if in.AdministratorID == "" || in.InvitationID == "" {
		return nil, invalidInput("AdministratorId and InvitationId are required")
	}
	r := h.invitations[in.AdministratorID]
	if r == nil || r.id != in.InvitationID {
		return nil, notFound("Invitation %s of account %s is not found", in.InvitationID, in.AdministratorID)
	}
	switch {
	case r.status == statusEnabled:
		return &nothing{}, nil // a second time
	case r.status != statusInvited:
		return nil, invalidInput("Invitation %s is %s", in.InvitationID, r.status)
	case h.admin != nil:
		return nil, invalidInput("Account %s is a member of %s already", c.Account, h.admin.admin)
	case !s.on(s.cloud.Accounts.Place(r.admin, c.Region)):
		return nil, invalidInput("Account %s is not subscribed to AWS Security Hub", r.admin)
	}
	for _, m := range h.members {
		if m.status == statusEnabled {
			return nil, invalidInput("Account %s is an administrator and cannot be a member", c.Account)
		}
	}
	s.associate(h, r)
	return &nothing{}, nil
}

type acceptMasterInput struct {
	MasterID     string `json:"MasterId"`
	InvitationID string `json:"InvitationId"`
}

func (s *Service) acceptInvitation(c *wire.Call, h *hub, in *acceptMasterInput) (*nothing, error) {
	return s.acceptAdministratorInvitation(c, h, &acceptInput{in.MasterID, in.InvitationID})
}

func (s *Service) declineInvitations(_ *wire.Call, h *hub, in *accountIDs) (*unprocessedAccounts, error) {
	return eachInvitation(h, in, func(r *relation) { s.change(r, statusResigned) })
}

func (s *Service) deleteInvitations(_ *wire.Call, h *hub, in *accountIDs) (*unprocessedAccounts, error) {
	return eachInvitation(h, in, func(r *relation) {
		if r.status == statusInvited {
			s.change(r, statusResigned)
		}
		delete(h.invitations, r.admin)
	})
}

// eachInvitation does something with the invitations of some administrators that were not accepted.
func eachInvitation(h *hub, in *accountIDs, do func(*relation)) (*unprocessedAccounts, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	out := &unprocessedAccounts{}
	for _, admin := range in.AccountIDs {
		switch r := h.invitations[admin]; {
		case r == nil:
			out.add(admin, "The account has sent no invitation")
		case h.admin == r:
			out.add(admin, "The invitation was accepted")
		default:
			do(r)
		}
	}
	return out, nil
}

type administratorOutput struct {
	Administrator *invitation `json:",omitempty"`
}

func (s *Service) getAdministratorAccount(_ *wire.Call, h *hub, _ *nothing) (*administratorOutput, error) {
	if h.admin == nil {
		return &administratorOutput{}, nil
	}
	return &administratorOutput{h.admin.invitation()}, nil
}

type masterOutput struct {
	Master *invitation `json:",omitempty"`
}

func (s *Service) getMasterAccount(_ *wire.Call, h *hub, _ *nothing) (*masterOutput, error) {
	if h.admin == nil {
		return &masterOutput{}, nil
	}
	return &masterOutput{h.admin.invitation()}, nil
}

func (s *Service) disassociateFromAdministrator(c *wire.Call, h *hub, _ *nothing) (*nothing, error) {
	switch {
	case h.admin == nil:
		return nil, notFound("Account %s has no administrator", c.Account)
	case h.admin.byOrg:
		return nil, invalidAccess("Account %s belongs to the organization: only its administrator can disassociate it", c.Account)
	}
	s.part(c.Region, h.admin, statusResigned)
	return &nothing{}, nil
}
