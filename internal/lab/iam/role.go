package iam

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/policy"
	"example.org/catchment/internal/lab/wire"
)

// A role is one role. Its maps and lists are guarded by the service's mutex.
type role struct {
	account, path, name, id, arn string
	description                  string
	created                      time.Time
	maxSession                   int32 // seconds
	trust                        string
	inline                       map[string]string // by name
	attached                     []string          // ARNs, in their order
	tags                         map[string]string
	service                      string // that it is linked to; empty: none

	grants cloud.Lagged[*grants]
}

// grants is what a role's policies say, parsed.
type grants struct {
	trust    *policy.Policy
	policies []*policy.Policy
}

// Limits of roles. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const (
	maxRoles       = 1000
	maxTrust       = 2048   // bytes, without space
	maxInline      = 10_240 // bytes of all inline policies together, without space
	maxAttached    = 10
	maxTags        = 50
	defaultSession = 3600
	maxSession     = 43_200
)

// grantsOf parses all policies of a role. Requires s.mu.
func (s *Service) grantsOf(r *role, d *directory) (*grants, error) {
	trust, err := policy.Parse(policy.Trust, []byte(r.trust))
	if err != nil {
		return nil, err
	}
	g := &grants{trust: trust}
	for _, name := range slices.Sorted(maps.Keys(r.inline)) {
		p, err := policy.Parse(policy.Identity, []byte(r.inline[name]))
		if err != nil {
			return nil, err
		}
		g.policies = append(g.policies, p)
	}
	for _, arn := range r.attached {
		if m := s.findPolicy(d, arn); m != nil {
			g.policies = append(g.policies, m.parsed)
		}
	}
	return g, nil
}

// changed makes what the role's policies say now hold, after the lag. Requires s.mu; the policies were parsed before.
func (s *Service) changed(r *role, d *directory) error {
	g, err := s.grantsOf(r, d)
	if err != nil {
		return malformed(err)
	}
	r.grants.Set(s.cloud.Clock.Now(), s.cloud.Lag.Policies, g)
	return nil
}

type roleView struct {
	Path                     string
	RoleName                 string
	RoleID                   string `json:"RoleId"`
	ARN                      string `json:"Arn"`
	CreateDate               wire.Epoch
	AssumeRolePolicyDocument string
	Description              string `json:",omitempty"`
	MaxSessionDuration       int32
	Tags                     []tag `json:",omitempty"`
}

func (r *role) view(withTags bool) roleView {
	v := roleView{
		Path: r.path, RoleName: r.name, RoleID: r.id, ARN: r.arn, CreateDate: wire.Epoch{Time: r.created},
		AssumeRolePolicyDocument: escape(r.trust), Description: r.description, MaxSessionDuration: r.maxSession,
	}
	if withTags {
		v.Tags = tagList(r.tags)
	}
	return v
}

type roleOutput struct{ Role roleView }

type createRoleInput struct {
	Path                     string
	RoleName                 string
	AssumeRolePolicyDocument string
	Description              string
	MaxSessionDuration       *int32
	PermissionsBoundary      string
	Tags                     []tag
}

func (s *Service) createRole(_ context.Context, c *wire.Call, in *createRoleInput) (*roleOutput, error) {
	r := &role{
		account: c.Account, path: in.Path, name: in.RoleName, description: in.Description, maxSession: defaultSession,
		trust: in.AssumeRolePolicyDocument, tags: make(map[string]string),
	}
	if r.path == "" {
		r.path = "/"
	}
	if in.MaxSessionDuration != nil {
		r.maxSession = *in.MaxSessionDuration
	}
	if in.PermissionsBoundary != "" {
		return nil, wire.Errorf("InvalidInput", "the lab's IAM has no permissions boundaries")
	}
	if err := checkAll(isName("roleName", r.name, maxRoleName), isPath(r.path), isDescription(r.description), isSession(r.maxSession)); err != nil {
		return nil, err
	}
	if err := checkTrust(r.trust); err != nil {
		return nil, err
	}
	if err := addTags(r.tags, in.Tags); err != nil {
		return nil, err
	}
	if strings.HasPrefix(r.path, linkedPath) {
		return nil, wire.Errorf("InvalidInput", "Path %s is for service-linked roles", r.path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addRole(c, r)
}

// addRole takes a new role in. Requires s.mu.
func (s *Service) addRole(c *wire.Call, r *role) (*roleOutput, error) {
	d := s.directory(c.Account)
	key := strings.ToLower(r.name)
	if d.roles[key] != nil {
		return nil, wire.StatusErrorf(http.StatusConflict, "EntityAlreadyExists", "Role with name %s already exists.", r.name)
	}
	if len(d.roles) >= maxRoles {
		return nil, limit("RolesPerAccount", maxRoles)
	}
	r.id, r.created = s.uniqueID("AROA"), s.cloud.Clock.Now()
	r.arn = c.Global().ARN("iam", "role"+r.path+r.name)
	if err := s.changed(r, d); err != nil {
		return nil, err
	}
	d.roles[key] = r
	return &roleOutput{r.view(true)}, nil
}

func checkTrust(document string) error {
	if _, err := policy.Parse(policy.Trust, []byte(document)); err != nil {
		return malformed(err)
	}
	if withoutSpace(document) > maxTrust {
		return limit("ACLSizePerRole", maxTrust)
	}
	return nil
}

type roleInput struct{ RoleName string }

// role looks a role up. Requires s.mu.
func (s *Service) role(c *wire.Call, name string) (*role, *directory, error) {
	d := s.directory(c.Account)
	r := d.roles[strings.ToLower(name)]
	if r == nil {
		return nil, d, noEntity("The role with name %s cannot be found.", name)
	}
	return r, d, nil
}

// own is role for a change, which roles that are linked to a service do not take. Requires s.mu.
func (s *Service) own(c *wire.Call, name string) (*role, *directory, error) {
	r, d, err := s.role(c, name)
	if err == nil && r.service != "" {
		err = wire.Errorf("UnmodifiableEntity", "Cannot perform the operation on the protected role '%s' - "+
			"this role is only modifiable by AWS", r.name)
	}
	return r, d, err
}

func (s *Service) getRole(_ context.Context, c *wire.Call, in *roleInput) (*roleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _, err := s.role(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	return &roleOutput{r.view(true)}, nil
}

func (s *Service) deleteRole(_ context.Context, c *wire.Call, in *roleInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, d, err := s.own(c, in.RoleName)
	switch {
	case err != nil:
		return nil, err
	case len(r.attached) > 0:
		return nil, wire.StatusErrorf(http.StatusConflict, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
	case len(r.inline) > 0:
		return nil, wire.StatusErrorf(http.StatusConflict, "DeleteConflict", "Cannot delete entity, must delete policies first.")
	}
	delete(d.roles, strings.ToLower(r.name))
	return nil, nil
}

type listInput struct {
	RoleName   string
	PathPrefix string
	Marker     string
	MaxItems   *int
}

type listRolesOutput struct {
	Roles       []roleView
	IsTruncated bool
	Marker      string `json:",omitempty"`
}

func (s *Service) listRoles(_ context.Context, c *wire.Call, in *listInput) (*listRolesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []roleView
	for _, r := range s.directory(c.Account).sorted() {
		if strings.HasPrefix(r.path, in.PathPrefix) {
			all = append(all, r.view(false))
		}
	}
	page, marker, err := page(all, in)
	if err != nil {
		return nil, err
	}
	return &listRolesOutput{page, marker != "", marker}, nil
}

type updateRoleInput struct {
	RoleName           string
	Description        *string
	MaxSessionDuration *int32
}

func (s *Service) updateRole(_ context.Context, c *wire.Call, in *updateRoleInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _, err := s.own(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	if in.MaxSessionDuration != nil {
		if err := isSession(*in.MaxSessionDuration); err != nil {
			return nil, err
		}
		r.maxSession = *in.MaxSessionDuration
	}
	if in.Description != nil {
		if err := isDescription(*in.Description); err != nil {
			return nil, err
		}
		r.description = *in.Description
	}
	return &nothing{}, nil
}

type trustInput struct{ RoleName, PolicyDocument string }

func (s *Service) updateAssumeRolePolicy(_ context.Context, c *wire.Call, in *trustInput) (*nothing, error) {
	if err := checkTrust(in.PolicyDocument); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, d, err := s.own(c, in.RoleName)
	if err != nil {
		return nil, err
	}
	r.trust = in.PolicyDocument
	return nil, s.changed(r, d)
}

// linkedPath starts the path of roles that are linked to a service.
const linkedPath = "/aws-service-role/"

// linkedNames are the names of service-linked roles that do not follow from the service's own.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
var linkedNames = map[string]string{
	"agentless.inspector2": "AmazonInspector2Agentless", "inspector": "AmazonInspector", "inspector2": "AmazonInspector2",
	"guardduty": "AmazonGuardDuty", "securityhub": "SecurityHub", "securitylake": "SecurityLake", "config": "Config",
}

type linkedInput struct {
	AWSServiceName, Description, CustomSuffix string
}

func (s *Service) createServiceLinkedRole(_ context.Context, c *wire.Call, in *linkedInput) (*roleOutput, error) {
	short, ok := strings.CutSuffix(in.AWSServiceName, ".amazonaws.com")
	if err := isName("aWSServiceName", in.AWSServiceName, maxPolicyName); err != nil {
		return nil, err
	}
	if !ok || short == "" {
		return nil, wire.Errorf("InvalidInput", "Service name %s is not a valid service name", in.AWSServiceName)
	}
	name := linkedNames[short]
	if name == "" {
		for part := range strings.SplitSeq(short, ".") {
			if part != "" {
				name += strings.ToUpper(part[:1]) + part[1:]
			}
		}
	}
	name = "AWSServiceRoleFor" + name
	if in.CustomSuffix != "" {
		name += "_" + in.CustomSuffix
	}
	if err := checkAll(isName("roleName", name, maxRoleName), isDescription(in.Description)); err != nil {
		return nil, err
	}
	r := &role{
		account: c.Account, path: linkedPath + in.AWSServiceName + "/", name: name, description: in.Description, service: in.AWSServiceName,
		maxSession: defaultSession, tags: make(map[string]string),
		trust: fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":"sts:AssumeRole"}]}`,
			in.AWSServiceName),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out, err := s.addRole(c, r)
	if err != nil && s.directory(c.Account).roles[strings.ToLower(name)] != nil {
		return nil, wire.Errorf("InvalidInput", "Service role name %s has been taken in this account, please try a different suffix.", name)
	}
	return out, err
}
