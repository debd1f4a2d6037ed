// Package iam is the lab's Identity and Access Management: roles with their policies.
//
// The Service is the cloud's Authorizer too: it decides by the policies who may do what, and who may act in a role. An
// account has one user, its administrator, who may do everything in it that no resource's policy denies. Groups, further
// users, permissions boundaries and the organisation's service control policies are not there.
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
package iam

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Service is IAM of all accounts.
type Service struct {
	cloud *cloud.Cloud

	mu       sync.Mutex
	accounts map[string]*directory // guarded by mu; by account id
}

// A directory is what IAM keeps of one account.
type directory struct {
	roles    map[string]*role    // by name in lower case: names differ by more than case
	policies map[string]*managed // the customer's own, by ARN
	seeded   bool                // the organisation's role was made
}

// New makes the service. It becomes the cloud's Authorizer where the lab sets it as Cloud.Access.
func New(c *cloud.Cloud) *Service {
	return &Service{cloud: c, accounts: make(map[string]*directory)}
}

var _ cloud.Authorizer = (*Service)(nil)

type nothing struct{}

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	on := func(resource func(*wire.Call) string, do func(context.Context, *wire.Call) (any, error)) wire.Operation {
		return wire.Operation{Do: do, Resource: resource}
	}
	return &wire.Service{
		Name: "iam", Protocols: []wire.Protocol{wire.Query}, Version: "2010-05-08", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
		Global: true, Operations: map[string]wire.Operation{
			"CreateRole":               on(s.newRoleARN, wire.Do(s.createRole)),
			"GetRole":                  on(s.roleARN, wire.Do(s.getRole)),
			"DeleteRole":               on(s.roleARN, wire.Do(s.deleteRole)),
			"ListRoles":                on(nil, wire.Do(s.listRoles)),
			"UpdateRole":               on(s.roleARN, wire.Do(s.updateRole)),
			"UpdateAssumeRolePolicy":   on(s.roleARN, wire.Do(s.updateAssumeRolePolicy)),
			"PutRolePolicy":            on(s.roleARN, wire.Do(s.putRolePolicy)),
			"GetRolePolicy":            on(s.roleARN, wire.Do(s.getRolePolicy)),
			"DeleteRolePolicy":         on(s.roleARN, wire.Do(s.deleteRolePolicy)),
			"ListRolePolicies":         on(s.roleARN, wire.Do(s.listRolePolicies)),
			"AttachRolePolicy":         on(s.roleARN, wire.Do(s.attachRolePolicy)),
			"DetachRolePolicy":         on(s.roleARN, wire.Do(s.detachRolePolicy)),
			"ListAttachedRolePolicies": on(s.roleARN, wire.Do(s.listAttachedRolePolicies)),
			"TagRole":                  on(s.roleARN, wire.Do(s.tagRole)),
			"UntagRole":                on(s.roleARN, wire.Do(s.untagRole)),
			"ListRoleTags":             on(s.roleARN, wire.Do(s.listRoleTags)),
			"CreateServiceLinkedRole":  on(nil, wire.Do(s.createServiceLinkedRole)),
			"CreatePolicy":             on(newPolicyARN, wire.Do(s.createPolicy)),
			"GetPolicy":                on(policyARN, wire.Do(s.getPolicy)),
			"GetPolicyVersion":         on(policyARN, wire.Do(s.getPolicyVersion)),
			"DeletePolicy":             on(policyARN, wire.Do(s.deletePolicy)),
			"ListPolicies":             on(nil, wire.Do(s.listPolicies)),
			"GetUser":                  on(userARN, wire.Do(s.getUser)),
			"ListUsers":                on(nil, wire.Do(s.listUsers)),
		},
	}
}

// maxInspected is how many roles of an account Inspect shows.
const maxInspected = 200

// Inspect is the state, for people: the roles of each account with whom they trust and what they may.
func (s *Service) Inspect() any {
	type roleView struct {
		Name     string            `json:"name"`
		Trust    string            `json:"trust"`
		Inline   map[string]string `json:"inline,omitempty"`
		Attached []string          `json:"attached,omitempty"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string][]roleView)
	for _, id := range s.cloud.Accounts.IDs() {
		for _, r := range s.directory(id).sorted() {
			if len(out[id]) == maxInspected {
				break
			}
			out[id] = append(out[id], roleView{r.path + r.name, r.trust, maps.Clone(r.inline), slices.Clone(r.attached)})
		}
	}
	return out
}

// directory gives an account's, and makes it. Requires s.mu.
func (s *Service) directory(account string) *directory {
	d := s.accounts[account]
	if d == nil {
		d = &directory{roles: make(map[string]*role), policies: make(map[string]*managed)}
		s.accounts[account] = d
	}
	if !d.seeded {
		s.seed(account, d)
	}
	return d
}

// organizationRole is the role by which an organisation's management account gets into the accounts that it made.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html
const organizationRole = "OrganizationAccountAccessRole"

// seed makes the organisation's role, once there is an organisation. Requires s.mu.
func (s *Service) seed(account string, d *directory) {
	_, management := s.cloud.Accounts.Organization()
	if _, exists := s.cloud.Accounts.Find(account); management == "" || management == account || !exists {
		return
	}
	d.seeded = true
	root := s.cloud.Accounts.Place(management, "").ARN("iam", "root")
	r := &role{
		path: "/", name: organizationRole, account: account, created: s.cloud.Start, maxSession: defaultSession,
		trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + root + `"},"Action":"sts:AssumeRole"}]}`,
	}
	r.id = "AROALABSO" + account
	r.arn = s.cloud.Accounts.Place(account, "").ARN("iam", "role/"+organizationRole)
	r.attached = []string{s.awsARN("AdministratorAccess")}
	d.roles[strings.ToLower(r.name)] = r
	// It is as old as the account, so it holds at once.
	if g, err := s.grantsOf(r, d); err == nil {
		r.grants.Set(s.cloud.Start.Add(-s.cloud.Lag.Policies), s.cloud.Lag.Policies, g)
	}
}

// idLetters is how many letters follow the prefix of a unique id.
const idLetters = 17

// uniqueID makes an id such as AROA…, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
func (s *Service) uniqueID(prefix string) string {
	return prefix + strings.ToUpper(s.cloud.Letters("iam "+prefix, idLetters))
}

func (d *directory) sorted() []*role {
	var out []*role
	for _, key := range slices.Sorted(maps.Keys(d.roles)) {
		out = append(out, d.roles[key])
	}
	return out
}
