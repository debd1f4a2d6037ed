package securityhub

import (
	"cmp"
	"maps"
	"slices"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// An organizer is the organisation's administrator in one region, with what it has set for the organisation there.
type organizer struct {
	account   string
	auto      bool   // accounts that join become members
	standards string // that they get
	central   bool   // configuration type
}

// What AutoEnableStandards and the types of configuration can be.
const (
	noStandards      = "NONE"
	defaultStandards = "DEFAULT"
	configCentral    = "CENTRAL"
	configLocal      = "LOCAL"
)

const (
	featureHub   = "SecurityHub"
	featureHubV2 = "SecurityHubV2"
)

type organizationAdmin struct {
	AdminAccountID string `json:"AdminAccountId"`
	Feature        string
}

// manages tells whether the caller is the organisation's management account and asks for a feature that the lab has.
func (s *Service) manages(c *wire.Call, feature string) error {
	id, management := s.cloud.Accounts.Organization()
	switch {
	case id == "":
		return invalidInput("Account %s is not in an organization", c.Account)
	case c.Account != management:
		return accessDenied("Account %s is not the management account of the organization", c.Account)
	case feature == featureHubV2:
		return invalidInput("Invalid parameter 'Feature'. The lab has Security Hub CSPM only")
	}
	return oneOf("Feature", feature, featureHub)
}

func (s *Service) enableOrganizationAdminAccount(c *wire.Call, in *organizationAdmin) (*organizationAdmin, error) {
	if err := s.manages(c, in.Feature); err != nil {
		return nil, err
	}
	if _, exists := s.cloud.Accounts.Find(in.AdminAccountID); !exists {
		return nil, invalidInput("Account %q is not in the organization", in.AdminAccountID)
	}
	if o := s.organizers[c.Region]; o != nil && o.account != in.AdminAccountID {
		return nil, invalidInput("Account %s is the administrator already: it has to be disabled first", o.account)
	}
	// One delegated administrator for all regions; beside it only the management account may be one.
	for _, region := range slices.Sorted(maps.Keys(s.organizers)) {
		other := s.organizers[region].account
		if other != in.AdminAccountID && other != c.Account && in.AdminAccountID != c.Account {
			return nil, invalidInput("Account %s is the administrator in %s: it has to be the same in each Region", other, region)
		}
	}
	if h := s.hubs[s.cloud.Accounts.Place(in.AdminAccountID, c.Region)]; h != nil && h.admin != nil {
		return nil, invalidInput("Account %s is a member of %s", in.AdminAccountID, h.admin.admin)
	}
	if s.organizers[c.Region] == nil {
		s.organizers[c.Region] = &organizer{account: in.AdminAccountID, standards: defaultStandards}
	}
	return &organizationAdmin{in.AdminAccountID, cmp.Or(in.Feature, featureHub)}, nil
}

// disableOrganizationAdminAccount leaves the members' hubs on: they stand alone.
func (s *Service) disableOrganizationAdminAccount(c *wire.Call, in *organizationAdmin) (*nothing, error) {
	if err := s.manages(c, in.Feature); err != nil {
		return nil, err
	}
	o := s.organizers[c.Region]
	if o == nil || o.account != in.AdminAccountID {
		return nil, invalidInput("Account %q is not the administrator in %s", in.AdminAccountID, c.Region)
	}
	delete(s.organizers, c.Region)
	h := s.place(s.cloud.Accounts.Place(o.account, c.Region))
	for account, r := range h.members {
		if r.byOrg {
			s.part(c.Region, r, statusRemoved)
			delete(h.members, account)
		}
	}
	return &nothing{}, nil
}

type adminAccount struct {
	AccountID string `json:"AccountId"`
	Status    string
}

type adminList struct {
	AdminAccounts []adminAccount
	NextToken     string `json:",omitempty"`
	Feature       string
}

// maxAdmins is the most of a page of ListOrganizationAdminAccounts.
const maxAdmins = 10

func (s *Service) listOrganizationAdminAccounts(c *wire.Call, _ *nothing) (*adminList, error) {
	feature := c.HTTP.URL.Query().Get("Feature")
	if err := s.manages(c, feature); err != nil {
		return nil, err
	}
	var all []adminAccount
	if o := s.organizers[c.Region]; o != nil {
		all = append(all, adminAccount{o.account, "ENABLED"})
	}
	page, next, err := pageOf(s, c, all, maxAdmins)
	if err != nil {
		return nil, err
	}
	return &adminList{page, next, cmp.Or(feature, featureHub)}, nil
}

type configurationType struct {
	ConfigurationType string
	Status            string
}

type organizationConfiguration struct {
	AutoEnable                bool
	MemberAccountLimitReached bool
	AutoEnableStandards       string
	OrganizationConfiguration configurationType
}

// organizes gives what the caller may set for the organisation in its region.
func (s *Service) organizes(c *wire.Call) (*organizer, error) {
	o := s.organizers[c.Region]
	if o == nil || o.account != c.Account {
		return nil, invalidAccess("Account %s is not an administrator for this organization", c.Account)
	}
	return o, nil
}

func (s *Service) describeOrganizationConfiguration(c *wire.Call, h *hub, _ *nothing) (*organizationConfiguration, error) {
	o, err := s.organizes(c)
	if err != nil {
		return nil, err
	}
	kind := configLocal
	if o.central {
		kind = configCentral
	}
	return &organizationConfiguration{o.auto, len(h.members) >= maxMembers, o.standards, configurationType{kind, "ENABLED"}}, nil
}

type updateOrganizationInput struct {
	AutoEnable                *bool
	AutoEnableStandards       string
	OrganizationConfiguration struct{ ConfigurationType string }
}

func (s *Service) updateOrganizationConfiguration(c *wire.Call, _ *hub, in *updateOrganizationInput) (*nothing, error) {
	o, err := s.organizes(c)
	if err != nil {
		return nil, err
	}
	if in.AutoEnable == nil {
		return nil, invalidInput("Invalid parameter 'AutoEnable'. data should have required property 'AutoEnable'")
	}
	if err := oneOf("AutoEnableStandards", in.AutoEnableStandards, noStandards, defaultStandards); err != nil {
		return nil, err
	}
	kind := in.OrganizationConfiguration.ConfigurationType
	if err := oneOf("ConfigurationType", kind, configCentral, configLocal); err != nil {
		return nil, err
	}
	changed := *o
	changed.auto = *in.AutoEnable
	changed.standards = cmp.Or(in.AutoEnableStandards, o.standards)
	if kind != "" {
		changed.central = kind == configCentral
	}
	if changed.central {
		if changed.auto || changed.standards != noStandards {
			return nil, invalidInput("With central configuration AutoEnable has to be false and AutoEnableStandards NONE")
		}
		if a := s.aggregators[c.Account]; a == nil || a.home != c.Region {
			return nil, invalidInput("Central configuration needs a finding aggregator whose home Region is %s", c.Region)
		}
	}
	*o = changed
	return &nothing{}, nil
}

// joined makes an account that has joined the organisation a member, in each region whose administrator has asked for it.
func (s *Service) joined(account string) {
	known, exists := s.cloud.Accounts.Find(account)
	if !exists {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, region := range slices.Sorted(maps.Keys(s.organizers)) {
		o := s.organizers[region]
		p := cloud.Place{Partition: s.cloud.Partition, Account: o.account, Region: region}
		h := s.hubs[p]
		if o.auto && h != nil && h.on && o.account != account && len(h.members) < maxMembers {
			_ = s.enroll(h, known) // an account that another has already stays as it is
		}
	}
}
