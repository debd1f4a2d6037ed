package inspector2

import (
	"context"
	"maps"
	"slices"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// An organization is how Inspector is set for the organisation in a region.
type organization struct {
	admin   string // account; empty: none
	token   string // client token with which it was named
	auto    autoEnable
	members map[string]*member // by account, those that were once associated
}

type autoEnable struct {
	EC2            bool `json:"ec2"`
	ECR            bool `json:"ecr"`
	Lambda         bool `json:"lambda"`
	LambdaCode     bool `json:"lambdaCode"`
	CodeRepository bool `json:"codeRepository"`
}

func (a autoEnable) types() []string {
	var out []string
	for i, on := range []bool{a.EC2, a.ECR, a.Lambda, a.LambdaCode, a.CodeRepository} {
		if on {
			out = append(out, types[i])
		}
	}
	return out
}

type member struct {
	AccountID               string     `json:"accountId"`
	RelationshipStatus      string     `json:"relationshipStatus"`
	DelegatedAdminAccountID string     `json:"delegatedAdminAccountId"`
	UpdatedAt               wire.Epoch `json:"updatedAt"`
}

func (o *organization) associated(id string) bool {
	m := o.members[id]
	return m != nil && m.RelationshipStatus == enabled
}

func (o *organization) count() int {
	n := 0
	for _, m := range o.members {
		if m.RelationshipStatus == enabled {
			n++
		}
	}
	return n
}

// organization requires that mu is held.
func (s *Service) organization(region string) *organization {
	o := s.orgs[region]
	if o == nil {
		o = &organization{members: make(map[string]*member)}
		s.orgs[region] = o
	}
	return o
}

// full tells whether no further account can be associated.
func (s *Service) full(o *organization) bool {
	return len(o.members) >= s.mostMembers() && o.count() >= s.mostMembers()
}

func (s *Service) mostMembers() int {
	if s.MaxMembers > 0 {
		return s.MaxMembers
	}
	return maxMembers
}

// Delegate makes an account the delegated administrator of a region, as the management account would. The one before
// is replaced.
func (s *Service) Delegate(region, account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.organization(region)
	if o.admin != account {
		*o = organization{admin: account, members: make(map[string]*member)}
	}
}

// Join makes an account a member wherever there is a delegated administrator, as it happens to an account that is new in
// the organisation; the types of resources that are enabled automatically are. It is silent where a limit is reached,
// but for an event Inspector2 AutoEnable.
func (s *Service) Join(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, region := range slices.Sorted(maps.Keys(s.orgs)) {
		o := s.orgs[region]
		if o.admin == "" || o.admin == account || !s.cloud.Accounts.Enabled(account, region) {
			continue
		}
		if s.full(o) && !o.associated(account) {
			s.emitLimit(s.cloud.Accounts.Place(o.admin, region))
			continue
		}
		s.associate(region, o, account)
	}
}

// associate requires that mu is held.
func (s *Service) associate(region string, o *organization, account string) {
	if o.associated(account) {
		return
	}
	o.members[account] = &member{account, enabled, o.admin, wire.Epoch{Time: s.now()}}
	if kinds := o.auto.types(); len(kinds) > 0 {
		s.begin(s.cell(s.cloud.Accounts.Place(account, region)), kinds, true)
	}
}

// now is the lab's time in the precision of Inspector's times.
func (s *Service) now() time.Time { return s.cloud.Clock.Now().UTC().Truncate(time.Millisecond) }

type adminInput struct {
	AccountID   string `json:"delegatedAdminAccountId"`
	ClientToken string `json:"clientToken"`
}

type adminOutput struct {
	AccountID string `json:"delegatedAdminAccountId"`
}

type nothing struct{}

// management is nil where the caller is the organisation's management account.
func (s *Service) management(c *wire.Call) error {
	id, management := s.cloud.Accounts.Organization()
	switch {
	case id == "":
		return denied("account %s is in no organization", c.Account)
	case management != c.Account:
		return denied("account %s is not the management account of the organization", c.Account)
	}
	return nil
}

// administered gives the region's organisation where the caller is its delegated administrator. Requires mu.
func (s *Service) administered(c *wire.Call) (*organization, error) {
	o := s.orgs[c.Region]
	if o == nil || o.admin != c.Account {
		return nil, denied("account %s is not the delegated administrator of Inspector in %s", c.Account, c.Region)
	}
	return o, nil
}

func (s *Service) enableAdmin(_ context.Context, c *wire.Call, in *adminInput) (*adminOutput, error) {
	if err := checkAccount("delegatedAdminAccountId", in.AccountID); err != nil {
		return nil, err
	}
	if err := checkLength("clientToken", in.ClientToken, 0, 64); err != nil {
		return nil, err
	}
	if err := s.management(c); err != nil {
		return nil, err
	}
	if _, exists := s.cloud.Accounts.Find(in.AccountID); !exists {
		return nil, notFound("account %s is not in the organization", in.AccountID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.organization(c.Region)
	if o.admin != "" && (o.admin != in.AccountID || o.token == "" || o.token != in.ClientToken) {
		return nil, conflict(o.admin, "DelegatedAdminAccount", "account %s is the delegated administrator already", o.admin)
	}
	o.admin, o.token = in.AccountID, in.ClientToken
	return &adminOutput{in.AccountID}, nil
}

func (s *Service) disableAdmin(_ context.Context, c *wire.Call, in *adminInput) (*adminOutput, error) {
	if err := checkAccount("delegatedAdminAccountId", in.AccountID); err != nil {
		return nil, err
	}
	if err := s.management(c); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.orgs[c.Region]; o == nil || o.admin != in.AccountID {
		return nil, notFound("account %s is not the delegated administrator", in.AccountID)
	}
	delete(s.orgs, c.Region)
	return &adminOutput{in.AccountID}, nil
}

type delegatedAdmin struct {
	AccountID          string `json:"accountId"`
	RelationshipStatus string `json:"relationshipStatus"`
}

type getAdminOutput struct {
	DelegatedAdmin delegatedAdmin `json:"delegatedAdmin"`
}

func (s *Service) getAdmin(_ context.Context, c *wire.Call, _ *nothing) (*getAdminOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orgs[c.Region]
	if o == nil || o.admin == "" {
		return nil, notFound("the organization has no delegated administrator in %s", c.Region)
	}
	return &getAdminOutput{delegatedAdmin{o.admin, enabled}}, nil
}

type pageInput struct {
	MaxResults     *int   `json:"maxResults"`
	NextToken      string `json:"nextToken"`
	OnlyAssociated *bool  `json:"onlyAssociated"`
}

type listedAdmin struct {
	AccountID string `json:"accountId"`
	Status    string `json:"status"`
}

type listAdminsOutput struct {
	Accounts  []listedAdmin `json:"delegatedAdminAccounts"`
	NextToken string        `json:"nextToken,omitempty"`
}

func (s *Service) listAdmins(_ context.Context, c *wire.Call, in *pageInput) (*listAdminsOutput, error) {
	if err := s.management(c); err != nil {
		return nil, err
	}
	if _, err := limit(in.MaxResults, 5); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := new(listAdminsOutput)
	if o := s.orgs[c.Region]; o != nil && o.admin != "" {
		out.Accounts = append(out.Accounts, listedAdmin{o.admin, enabled})
	}
	return out, nil
}

type organizationOutput struct {
	AutoEnable             autoEnable `json:"autoEnable"`
	MaxAccountLimitReached bool       `json:"maxAccountLimitReached"`
}

func (s *Service) describeOrganization(_ context.Context, c *wire.Call, _ *nothing) (*organizationOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.administered(c)
	if err != nil {
		return nil, err
	}
	return &organizationOutput{o.auto, s.full(o)}, nil
}

type updateOrganizationInput struct {
	AutoEnable *autoEnable `json:"autoEnable"`
}

type updateOrganizationOutput struct {
	AutoEnable autoEnable `json:"autoEnable"`
}

func (s *Service) updateOrganization(_ context.Context, c *wire.Call, in *updateOrganizationInput) (*updateOrganizationOutput, error) {
	if in.AutoEnable == nil {
		return nil, invalid("autoEnable", "is missing")
	}
	if in.AutoEnable.LambdaCode && !in.AutoEnable.Lambda {
		return nil, invalid("autoEnable", "lambdaCode needs lambda")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.administered(c)
	if err != nil {
		return nil, err
	}
	o.auto = *in.AutoEnable
	return &updateOrganizationOutput{o.auto}, nil
}

type memberInput struct {
	AccountID string `json:"accountId"`
}

func (s *Service) associateMember(_ context.Context, c *wire.Call, in *memberInput) (*memberInput, error) {
	if err := checkAccount("accountId", in.AccountID); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.administered(c)
	if err != nil {
		return nil, err
	}
	if _, exists := s.cloud.Accounts.Find(in.AccountID); !exists || in.AccountID == c.Account {
		return nil, invalid("accountId", "%s is no other account of the organization", in.AccountID)
	}
	if s.full(o) && !o.associated(in.AccountID) {
		return nil, overQuota(in.AccountID, "the delegated administrator has %d members, the most it can", s.mostMembers())
	}
	s.associate(c.Region, o, in.AccountID)
	return in, nil
}

func (s *Service) disassociateMember(_ context.Context, c *wire.Call, in *memberInput) (*memberInput, error) {
	if err := checkAccount("accountId", in.AccountID); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.administered(c)
	if err != nil {
		return nil, err
	}
	if !o.associated(in.AccountID) {
		return nil, invalid("accountId", "%s is no member", in.AccountID)
	}
	m := o.members[in.AccountID]
	m.RelationshipStatus, m.UpdatedAt = "REMOVED", wire.Epoch{Time: s.now()}
	return in, nil
}

type getMemberOutput struct {
	Member member `json:"member"`
}

func (s *Service) getMember(_ context.Context, c *wire.Call, in *memberInput) (*getMemberOutput, error) {
	if err := checkAccount("accountId", in.AccountID); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.administered(c)
	if err != nil {
		return nil, err
	}
	m := o.members[in.AccountID]
	if m == nil {
		return nil, notFound("%s is no member", in.AccountID)
	}
	return &getMemberOutput{*m}, nil
}

type listMembersOutput struct {
	Members   []member `json:"members"`
	NextToken string   `json:"nextToken,omitempty"`
}

// listMembers lists those that are associated, and with onlyAssociated false those that once were too.
func (s *Service) listMembers(_ context.Context, c *wire.Call, in *pageInput) (*listMembersOutput, error) {
	most, err := limit(in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	all := in.OnlyAssociated != nil && !*in.OnlyAssociated
	query := "members"
	if all {
		query = "all members"
	}
	after, err := readToken(in.NextToken, query, c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.administered(c)
	if err != nil {
		return nil, err
	}
	out := new(listMembersOutput)
	for _, id := range slices.Sorted(maps.Keys(o.members)) {
		if id <= after.Key || !all && !o.associated(id) {
			continue
		}
		if len(out.Members) == most {
			out.NextToken = token{Key: out.Members[most-1].AccountID}.write(query, c)
			break
		}
		out.Members = append(out.Members, *o.members[id])
	}
	return out, nil
}

// sees lists the places whose findings an account may read in a region: its own, and its members' as the delegated
// administrator, by account. Requires mu.
func (s *Service) sees(p cloud.Place) []cloud.Place {
	out := []string{p.Account}
	if o := s.orgs[p.Region]; o != nil && o.admin == p.Account {
		for id := range o.members {
			if o.associated(id) && id != p.Account {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	places := make([]cloud.Place, len(out))
	for i, id := range out {
		places[i] = cloud.Place{Partition: p.Partition, Account: id, Region: p.Region}
	}
	return places
}
