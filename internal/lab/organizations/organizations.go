// Package organizations is the lab's AWS Organizations: one organization with its accounts in a tree of units.
//
// The cloud's accounts are there without it; an organization is made by Create or CreateOrganization, and accounts come
// into it by Place or CreateAccount. Who watches cloud.Accounts hears of each that joins.
//
// Different from AWS: there is one organization in a lab, without policies, invitations and leaving. Accounts still have
// the Status that AWS gave until 2026-09-09 beside the State that came after. A suspended account's keys go on working.
//
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_Operations.html
package organizations

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Service is Organizations.
type Service struct {
	cloud *cloud.Cloud

	mu    sync.Mutex
	org   *organization // guarded by mu, like all below; nil: there is none
	empty float64       // share of pages that are empty
}

// An organization is a tree of units with accounts.
type organization struct {
	id, management, features string
	root                     *unit
	units                    map[string]*unit   // by id, with the root
	members                  map[string]*member // by account, with the management account
	order                    []*member          // the same, in the order in which they joined
	requests                 map[string]*request
	services                 map[string]wire.Epoch            // that have access, by principal
	delegated                map[string]map[string]wire.Epoch // by account, then principal
	closed                   []wire.Epoch                     // when accounts were closed
	creating                 int
	joined                   int // how many accounts ever did
}

// A unit is an organizational unit, or the root.
type unit struct {
	id, name string
	parent   *unit // nil: this is the root
	made     int
	tags     map[string]string
}

// A member is an account of the organization.
type member struct {
	id, method, state string
	parent            *unit
	at                wire.Epoch
	n                 int
	tags              map[string]string
}

// The feature sets.
const (
	featuresAll     = "ALL"
	featuresBilling = "CONSOLIDATED_BILLING"
)

// How an account came into the organization.
const (
	methodInvited = "INVITED"
	methodCreated = "CREATED"
)

// New makes the service, without an organization.
func New(c *cloud.Cloud) *Service { return &Service{cloud: c} }

// SetEmptyPages makes a share of the pages of lists, 0 to below 1, empty, though more follow: AWS does that at times.
func (s *Service) SetEmptyPages(share float64) error {
	if share < 0 || share >= 1 {
		return fmt.Errorf("share of empty pages %v: expected 0 to below 1", share)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.empty = share
	return nil
}

// Create makes the organization, with all features, and gives its id. Its management account is one of the cloud.
func (s *Service) Create(management string) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.create(management, featuresAll); err != nil {
		return "", fmt.Errorf("create an organization of account %s: %w", management, err)
	}
	return s.org.id, nil
}

// Root is the id of the organization's root; empty where there is no organization.
func (s *Service) Root() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.org == nil {
		return ""
	}
	return s.org.root.id
}

// AddOU makes a unit under the root or under a unit, and gives its id.
func (s *Service) AddOU(parent, name string) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := s.addUnit(parent, name)
	if err != nil {
		return "", fmt.Errorf("add unit %q to %s: %w", name, parent, err)
	}
	return u.id, nil
}

// Place puts an account of the cloud into the root or a unit, wherever it was before. One that was not in the organization
// joins it, as if it had been invited.
func (s *Service) Place(account, parent string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.org == nil {
		return fmt.Errorf("place account %s: %w", account, errNotInUse())
	}
	u := s.org.units[parent]
	if u == nil {
		return fmt.Errorf("place account %s: %w", account, notFound("ParentNotFoundException", "parent"))
	}
	if m := s.org.members[account]; m != nil {
		m.parent = u
		return nil
	}
	if _, ok := s.cloud.Accounts.Find(account); !ok {
		return fmt.Errorf("place account %s: %w", account, errNoAccount())
	}
	s.join(account, methodInvited, u)
	return nil
}

// create requires s.mu.
func (s *Service) create(management, features string) error {
	if s.org != nil {
		if s.org.members[management] != nil {
			return fault("AlreadyInOrganizationException", "", "The provided account is already a member of an organization.")
		}
		return fault("ServiceException", "", "the lab has an organization already, and holds one")
	}
	if _, ok := s.cloud.Accounts.Find(management); !ok {
		return errNoAccount()
	}
	root := &unit{id: "r-" + s.small(4), name: "Root", tags: make(map[string]string)}
	s.org = &organization{
		id: "o-" + s.small(10), management: management, features: features, root: root, units: map[string]*unit{root.id: root},
		members: make(map[string]*member), requests: make(map[string]*request), services: make(map[string]wire.Epoch),
		delegated: make(map[string]map[string]wire.Epoch),
	}
	s.cloud.Accounts.SetOrganization(s.org.id, management)
	s.join(management, methodInvited, root)
	return nil
}

// small gives the next n small letters and digits.
func (s *Service) small(n int) string { return strings.ToLower(s.cloud.Letters("organizations", n)) }

// join takes an account in, and tells. Requires s.mu.
func (s *Service) join(account, method string, parent *unit) *member {
	s.org.joined++
	m := &member{
		id: account, method: method, state: stateActive, parent: parent, at: s.now(), n: s.org.joined, tags: make(map[string]string),
	}
	s.org.members[account] = m
	s.org.order = append(s.org.order, m)
	s.cloud.Accounts.Joined(account)
	return m
}

func (s *Service) now() wire.Epoch { return wire.Epoch{Time: s.cloud.Clock.Now()} }

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	return &wire.Service{
		Name: "organizations", Protocols: []wire.Protocol{wire.JSON11}, Target: "AWSOrganizationsV20161128", Global: true,
		Throttled: fault("TooManyRequestsException", "", "AWS Organizations can't complete your request because the request limit was exceeded."),
		Operations: map[string]wire.Operation{
			"CloseAccount":                        {Do: wire.Do(s.closeAccount)},
			"CreateAccount":                       {Do: wire.Do(s.createAccount)},
			"CreateOrganization":                  {Do: wire.Do(s.createOrganization)},
			"CreateOrganizationalUnit":            {Do: wire.Do(s.createOrganizationalUnit)},
			"DeregisterDelegatedAdministrator":    {Do: wire.Do(s.deregisterDelegatedAdministrator)},
			"DescribeAccount":                     {Do: wire.Do(s.describeAccount)},
			"DescribeCreateAccountStatus":         {Do: wire.Do(s.describeCreateAccountStatus)},
			"DescribeOrganization":                {Do: wire.Do(s.describeOrganization)},
			"DescribeOrganizationalUnit":          {Do: wire.Do(s.describeOrganizationalUnit)},
			"DisableAWSServiceAccess":             {Do: wire.Do(s.disableAWSServiceAccess)},
			"EnableAWSServiceAccess":              {Do: wire.Do(s.enableAWSServiceAccess)},
			"ListAWSServiceAccessForOrganization": {Do: wire.Do(s.listAWSServiceAccess)},
			"ListAccounts":                        {Do: wire.Do(s.listAccounts)},
			"ListAccountsForParent":               {Do: wire.Do(s.listAccountsForParent)},
			"ListChildren":                        {Do: wire.Do(s.listChildren)},
			"ListDelegatedAdministrators":         {Do: wire.Do(s.listDelegatedAdministrators)},
			"ListDelegatedServicesForAccount":     {Do: wire.Do(s.listDelegatedServices)},
			"ListOrganizationalUnitsForParent":    {Do: wire.Do(s.listUnits)},
			"ListParents":                         {Do: wire.Do(s.listParents)},
			"ListRoots":                           {Do: wire.Do(s.listRoots)},
			"ListTagsForResource":                 {Do: wire.Do(s.listTagsForResource)},
			"MoveAccount":                         {Do: wire.Do(s.moveAccount)},
			"RegisterDelegatedAdministrator":      {Do: wire.Do(s.registerDelegatedAdministrator)},
			"TagResource":                         {Do: wire.Do(s.tagResource)},
			"UntagResource":                       {Do: wire.Do(s.untagResource)},
		},
	}
}

type shownState struct {
	ID         string              `json:"id"`
	Management string              `json:"management"`
	Accounts   []string            `json:"accounts"`  // path, state and name, at most maxShown
	Delegated  map[string][]string `json:"delegated"` // services by account
	Services   []string            `json:"services"`
}

const maxShown = 1000

// Inspect is the state, for people.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.org == nil {
		return shownState{}
	}
	out := shownState{ID: s.org.id, Management: s.org.management, Services: slices.Sorted(maps.Keys(s.org.services)), Delegated: make(map[string][]string)}
	for _, m := range s.org.list(nil) {
		if len(out.Accounts) < maxShown {
			account, _ := s.cloud.Accounts.Find(m.id)
			out.Accounts = append(out.Accounts, s.org.path(m.parent)+m.id+" "+m.state+" "+account.Name)
		}
	}
	for account, services := range s.org.delegated {
		out.Delegated[account] = slices.Sorted(maps.Keys(services))
	}
	return out
}
