package securityhub

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A relation is what an administrator and a member are to each other, in one region.
type relation struct {
	admin   string
	member  string
	email   string
	status  string
	byOrg   bool   // the organisation's administrator made it: without an invitation
	id      string // of the invitation
	invited time.Time
	updated time.Time
}

// The statuses of a relation, as AWS writes them.
const (
	statusCreated  = "Created"  // added, not invited
	statusInvited  = "Invited"  // not accepted yet
	statusEnabled  = "Enabled"  // the administrator sees the member's findings
	statusRemoved  = "Removed"  // disassociated by the administrator
	statusResigned = "Resigned" // the member left, or declined
	statusDeleted  = "Deleted"  // the administrator deleted it; only an invitation still shows it
)

// Bounds of memberships, by administrator and region.
const (
	maxMembers     = 11_000
	maxInvitations = 1_000 // outstanding
	maxDetails     = 50    // of a CreateMembers
	maxMemberPage  = 50
	maxAccountIDs  = 1_000 // of a request; AWS names no figure
)

// change gives the relation another status. Requires mu.
func (s *Service) change(r *relation, status string) {
	r.status, r.updated = status, s.cloud.Clock.Now()
}

// associate makes a member's findings visible to the administrator. Requires mu.
func (s *Service) associate(member *hub, r *relation) {
	s.change(r, statusEnabled)
	member.admin = r
}

// part ends an association, if it is one. Requires mu.
func (s *Service) part(region string, r *relation, status string) {
	member := s.place(s.cloud.Accounts.Place(r.member, region))
	if member.admin == r {
		member.admin = nil
	}
	s.change(r, status)
}

type unprocessed struct {
	AccountID        string `json:"AccountId"`
	ProcessingResult string
}

type unprocessedAccounts struct{ UnprocessedAccounts []unprocessed }

func (u *unprocessedAccounts) add(account, why string) {
	u.UnprocessedAccounts = append(u.UnprocessedAccounts, unprocessed{account, why})
}

type createMembersInput struct {
	AccountDetails []struct {
		AccountID string `json:"AccountId"`
		Email     string
	}
}

func (s *Service) createMembers(c *wire.Call, h *hub, in *createMembersInput) (*unprocessedAccounts, error) {
	if n := len(in.AccountDetails); n < 1 || n > maxDetails {
		return nil, invalidInput("Invalid parameter 'AccountDetails'. data should have 1 to %d items", maxDetails)
	}
	if h.admin != nil {
		return nil, invalidAccess("Account %s is a member of %s and cannot have members", c.Account, h.admin.admin)
	}
	fresh := make(map[string]bool)
	for _, d := range in.AccountDetails {
		if h.members[d.AccountID] == nil {
			fresh[d.AccountID] = true
		}
	}
	if len(h.members)+len(fresh) > maxMembers {
		return nil, limitExceeded("An administrator has at most %d members in a region", maxMembers)
	}
	out := &unprocessedAccounts{}
	for _, d := range in.AccountDetails {
		if why := s.createMember(h, d.AccountID, d.Email); why != "" {
			out.add(d.AccountID, why)
		}
	}
	return out, nil
}

// createMember adds a member, and tells why where it cannot. Accounts of the organisation whose administrator this hub
// is are members at once: https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_CreateMembers.html
func (s *Service) createMember(h *hub, account, email string) (why string) {
	known, exists := s.cloud.Accounts.Find(account)
	switch {
	case !cloud.IsAccountID(account):
		return "The account id is not valid"
	case account == h.place.Account:
		return "An account cannot be its own member"
	case !exists:
		return "The account does not exist"
	}
	r := h.members[account]
	if r != nil && (r.status == statusEnabled || r.status == statusInvited) {
		return "The account is already a member"
	}
	if o := s.organizers[h.place.Region]; o != nil && o.account == h.place.Account {
		return s.enroll(h, known)
	}
	if r == nil {
		r = &relation{admin: h.place.Account, member: account}
		h.members[account] = r
	}
	r.email = cmp.Or(email, known.Email)
	s.change(r, statusCreated)
	return ""
}

// enroll makes an account of the organisation a member. Security Hub is switched on where it is not, but for the
// management account. Requires mu.
func (s *Service) enroll(h *hub, account cloud.Account) (why string) {
	p := cloud.Place{Partition: h.place.Partition, Account: account.ID, Region: h.place.Region}
	_, management := s.cloud.Accounts.Organization()
	member := s.place(p)
	switch {
	case member.admin != nil:
		return "The account is a member of another administrator"
	case !member.on && account.ID == management:
		return "The management account has to enable Security Hub itself"
	case !s.cloud.Accounts.Enabled(account.ID, p.Region):
		return "The account has not enabled the Region"
	}
	for _, m := range member.members {
		if m.status == statusEnabled {
			return "The account is an administrator itself"
		}
	}
	if !member.on {
		o := s.organizers[p.Region]
		s.switchOn(p, o == nil || o.standards != noStandards)
	}
	r := h.members[account.ID]
	if r == nil {
		r = &relation{admin: h.place.Account, member: account.ID}
		h.members[account.ID] = r
	}
	r.email, r.byOrg = account.Email, true
	s.associate(member, r)
	return ""
}

type accountIDs struct {
	AccountIDs []string `json:"AccountIds"`
}

func (a *accountIDs) check() error {
	if n := len(a.AccountIDs); n < 1 || n > maxAccountIDs {
		return invalidInput("Invalid parameter 'AccountIds'. data should have 1 to %d items", maxAccountIDs)
	}
	return nil
}

func (s *Service) inviteMembers(c *wire.Call, h *hub, in *accountIDs) (*unprocessedAccounts, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if h.admin != nil {
		return nil, invalidAccess("Account %s is a member of %s and cannot have members", c.Account, h.admin.admin)
	}
	outstanding := make(map[string]bool)
	for account, r := range h.members {
		if r.status == statusInvited {
			outstanding[account] = true
		}
	}
	for _, account := range in.AccountIDs {
		if r := h.members[account]; r != nil && !r.byOrg && r.status != statusEnabled {
			outstanding[account] = true
		}
	}
	if len(outstanding) > maxInvitations {
		return nil, limitExceeded("An administrator has at most %d outstanding invitations in a region", maxInvitations)
	}
	out := &unprocessedAccounts{}
	for _, account := range in.AccountIDs {
		r := h.members[account]
		switch {
		case r == nil:
			out.add(account, "The account has to be added with CreateMembers first")
		case r.byOrg:
			out.add(account, "Accounts of the organization receive no invitations")
		case r.status == statusEnabled:
			out.add(account, "The account is already a member")
		case r.status == statusInvited: // the invitation stands
		default:
			r.id, r.invited = s.cloud.Hex("securityhub invitation", 32), s.cloud.Clock.Now()
			s.change(r, statusInvited)
			s.place(s.cloud.Accounts.Place(account, c.Region)).invitations[c.Account] = r
		}
	}
	return out, nil
}

type memberOutput struct {
	AccountID       string `json:"AccountId"`
	Email           string `json:",omitempty"`
	MasterID        string `json:"MasterId"`
	AdministratorID string `json:"AdministratorId"`
	MemberStatus    string
	InvitedAt       string `json:",omitempty"`
	UpdatedAt       string
}

func (r *relation) output() memberOutput {
	return memberOutput{r.member, r.email, r.admin, r.admin, r.status, stamp(r.invited), stamp(r.updated)}
}

type membersOutput struct {
	Members             []memberOutput
	UnprocessedAccounts []unprocessed
}

func (s *Service) getMembers(_ *wire.Call, h *hub, in *accountIDs) (*membersOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	out := &membersOutput{}
	for _, account := range in.AccountIDs {
		if r := h.members[account]; r != nil {
			out.Members = append(out.Members, r.output())
		} else {
			out.UnprocessedAccounts = append(out.UnprocessedAccounts, unprocessed{account, "The account is not a member"})
		}
	}
	return out, nil
}

type memberList struct {
	Members   []memberOutput
	NextToken string `json:",omitempty"`
}

func (s *Service) listMembers(c *wire.Call, h *hub, _ *nothing) (*memberList, error) {
	associated := true
	if text := c.HTTP.URL.Query().Get("OnlyAssociated"); text != "" {
		var err error
		if associated, err = strconv.ParseBool(text); err != nil {
			return nil, invalidInput("Invalid parameter 'OnlyAssociated'. data should be boolean")
		}
	}
	var all []memberOutput
	for _, account := range slices.Sorted(maps.Keys(h.members)) {
		if r := h.members[account]; r.status == statusEnabled || !associated {
			all = append(all, r.output())
		}
	}
	page, next, err := pageOf(s, c, all, maxMemberPage)
	if err != nil {
		return nil, err
	}
	return &memberList{page, next}, nil
}

func (s *Service) disassociateMembers(c *wire.Call, h *hub, in *accountIDs) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	for _, account := range in.AccountIDs {
		if h.members[account] == nil {
			return nil, notFound("Account %s is not a member of %s", account, c.Account)
		}
	}
	for _, account := range in.AccountIDs {
		s.part(c.Region, h.members[account], statusRemoved)
	}
	return &nothing{}, nil
}

// deleteMembers takes members off the list. An invitation that is out stays with the member, as Deleted.
func (s *Service) deleteMembers(c *wire.Call, h *hub, in *accountIDs) (*unprocessedAccounts, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	out := &unprocessedAccounts{}
	for _, account := range in.AccountIDs {
		r := h.members[account]
		switch {
		case r == nil:
			out.add(account, "The account is not a member")
		case r.byOrg:
			out.add(account, "Accounts of the organization cannot be deleted")
		case r.status == statusEnabled:
			out.add(account, "The account has to be disassociated first")
		default:
			s.part(c.Region, r, statusDeleted)
			delete(h.members, account)
		}
	}
	return out, nil
}
