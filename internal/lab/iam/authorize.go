package iam

import (
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/policy"
)

// assume is the action of acting in a role; who sets or passes on a source identity needs setSource too.
const (
	assume    = "sts:AssumeRole"
	setSource = "sts:SetSourceIdentity"
)

// Authorize decides as IAM does: a deny wins. Within an account it takes the identity's or the resource's policy, across
// accounts both. A service needs the resource's. A key's policy has to let in whoever it is, if only by naming the account.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func (s *Service) Authorize(a cloud.Access) error {
	var resource *policy.Policy
	if a.Policy != nil {
		var err error
		if resource, err = policy.Parse(policy.Resource, a.Policy); err != nil {
			return deny(a, " because the resource's policy is malformed: "+err.Error())
		}
	}
	kind := resourceBased
	kind.must = strings.HasPrefix(a.Action, "kms:") && a.Policy != nil
	return s.decide(a, resource, kind)
}

// Assume gives the identity of a session. Its errors are *cloud.DeniedErrors.
func (s *Service) Assume(who cloud.Identity, role, session string, conditions map[string]string) (cloud.Identity, error) {
	a := cloud.Access{Who: who, Action: assume, Resource: role, Context: conditions}
	r, g := s.find(role)
	if r == nil {
		return cloud.Identity{}, deny(a, "")
	}
	a.Owner = r.account
	if err := s.decide(a, g.trust, roleTrust); err != nil {
		return cloud.Identity{}, err
	}
	if conditions["sts:SourceIdentity"] != "" {
		a.Action = setSource
		if err := s.decide(a, g.trust, roleTrust); err != nil {
			return cloud.Identity{}, err
		}
	}
	return cloud.Identity{
		Kind: cloud.Session, Account: r.account, Role: r.arn, ID: r.id + ":" + session, SourceIdentity: conditions["sts:SourceIdentity"],
		ARN: s.cloud.Accounts.Place(r.account, "").ARN("sts", "assumed-role/"+r.name+"/"+session),
	}, nil
}

// MaxSession is how long a session of a role may last; 0 where there is no such role.
func (s *Service) MaxSession(role string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byARN(role); r != nil {
		return time.Duration(r.maxSession) * time.Second
	}
	return 0
}

// byARN looks a role up. Requires s.mu.
func (s *Service) byARN(text string) *role {
	arn, err := cloud.ParseARN(text)
	if err != nil || arn.Service != "iam" || !strings.HasPrefix(arn.Resource, "role/") {
		return nil
	}
	if _, exists := s.cloud.Accounts.Find(arn.Account); !exists {
		return nil
	}
	name := arn.Resource[strings.LastIndexByte(arn.Resource, '/')+1:]
	r := s.directory(arn.Account).roles[strings.ToLower(name)]
	if r == nil || r.arn != text {
		return nil
	}
	return r
}

// find gives a role with what its policies say to others now. Nothing of both changes afterwards.
func (s *Service) find(arn string) (*role, *grants) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byARN(arn)
	if r == nil {
		return nil, nil
	}
	g := r.grants.Seen(s.cloud.Clock.Now(), s.cloud.Lag.Policies)
	if g == nil {
		g = &grants{}
	}
	return &role{account: r.account, name: r.name, id: r.id, arn: r.arn}, g
}

// A basis is the policy of what is asked for: a resource's or a role's trust.
type basis struct {
	name, none string // in the words of errors
	must       bool   // without its consent nobody gets in, not even the owner
}

var (
	resourceBased = basis{name: "a resource-based policy", none: "no resource-based policy"}
	roleTrust     = basis{name: "the role trust policy", none: "no role trust policy", must: true}
)

// decide puts together what the policies say.
func (s *Service) decide(a cloud.Access, resource *policy.Policy, kind basis) error {
	r := s.request(a)
	there := resource.Evaluate(r)
	here := s.identityPolicies(a.Who, r)
	allows := " allows the " + a.Action + " action"
	switch {
	case there.Denied:
		return deny(a, " with an explicit deny in "+kind.name)
	case here.denied != "":
		return deny(a, " with an explicit deny in "+here.denied)
	case a.Who.Kind == cloud.Service && there.Granted == policy.NoGrant:
		return deny(a, " because "+kind.none+allows)
	case a.Who.Kind == cloud.Service:
		return nil
	}
	abroad := a.Who.Account == "" || a.Who.Account != a.Owner
	named := there.Granted >= policy.ToRole
	switch {
	case there.Granted == policy.NoGrant && (abroad || kind.must):
		return deny(a, " because "+kind.none+allows)
	case !here.allowed && (abroad || !named):
		return deny(a, " because no identity-based policy"+allows)
	case !here.session && (abroad || there.Granted < policy.ToPrincipal):
		return deny(a, " because no session policy"+allows)
	}
	return nil
}

// An opinion is what the policies of who asks say.
type opinion struct {
	denied  string // by which policy; empty: none
	allowed bool
	session bool // by the session's policy, or it has none
}

// identityPolicies asks an identity's own policies. An account's administrator may do everything; so may who is not
// known, whom only resources let in.
func (s *Service) identityPolicies(who cloud.Identity, r *policy.Request) opinion {
	if who.Kind != cloud.Session {
		return opinion{allowed: true, session: true}
	}
	out := opinion{session: who.Policy == nil}
	found, g := s.find(who.Role)
	if found != nil && (who.ID == "" || strings.HasPrefix(who.ID, found.id+":")) {
		for _, p := range g.policies {
			v := p.Evaluate(r)
			out.allowed = out.allowed || v.Granted != policy.NoGrant
			if v.Denied {
				out.denied = "an identity-based policy"
			}
		}
	}
	if who.Policy != nil {
		p, err := policy.Parse(policy.Identity, who.Policy)
		if err != nil {
			return out // it was checked when the session was made; what cannot be read allows nothing
		}
		v := p.Evaluate(r)
		out.session = v.Granted != policy.NoGrant
		if v.Denied {
			out.denied = "a session policy"
		}
	}
	return out
}

// request makes the request that policies are asked about, with AWS's global condition keys.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func (s *Service) request(a cloud.Access) *policy.Request {
	r := &policy.Request{Action: a.Action, Resource: a.Resource}
	now := s.cloud.Clock.Now()
	// The lab speaks plain HTTP on the loopback. It says it is TLS, for policies that ask for it to be taken as they are.
	r.Set("aws:SecureTransport", "true")
	r.Set("aws:CurrentTime", now.UTC().Format(time.RFC3339))
	r.Set("aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	orgID, _ := s.cloud.Accounts.Organization()
	inOrg := func(account string) bool {
		_, known := s.cloud.Accounts.Find(account)
		return known && orgID != ""
	}
	if a.Owner != "" {
		r.Set("aws:ResourceAccount", a.Owner)
		if inOrg(a.Owner) {
			r.Set("aws:ResourceOrgID", orgID)
		}
	}
	if arn, err := cloud.ParseARN(a.Resource); err == nil && arn.Region != "" {
		r.Set("aws:RequestedRegion", arn.Region)
	}
	service := a.Who.Kind == cloud.Service
	for key, value := range a.Context {
		ofAssuming := a.Action == assume || a.Action == setSource
		if (service || !ofServices[key]) && (ofAssuming || key != "sts:ExternalId") {
			r.Set(key, value)
		}
	}
	r.Set("aws:PrincipalIsAWSService", strconv.FormatBool(service))
	if service {
		r.Who = policy.Principal{Service: a.Who.ARN}
		r.Set("aws:PrincipalServiceName", a.Who.ARN)
		r.Set("aws:PrincipalType", "Service")
		if source := a.Context["aws:SourceAccount"]; inOrg(source) {
			r.Set("aws:SourceOrgID", orgID)
		}
		return r
	}
	setPrincipal(r, a.Who)
	if inOrg(a.Who.Account) {
		r.Set("aws:PrincipalOrgID", orgID)
	}
	return r
}

// ofServices are the keys that only a service's own requests have. A hop passes them for its role's session too.
var ofServices = map[string]bool{"aws:SourceArn": true, "aws:SourceAccount": true}

func setPrincipal(r *policy.Request, who cloud.Identity) {
	r.Who = policy.Principal{ARN: who.ARN, Role: who.Role, Account: who.Account}
	if who.Account == "" {
		r.Who = policy.Principal{}
		r.Set("aws:PrincipalType", "Anonymous")
		return
	}
	r.Set("aws:PrincipalAccount", who.Account)
	r.Set("kms:CallerAccount", who.Account)
	r.Set("aws:userid", who.ID)
	if who.SourceIdentity != "" {
		r.Set("aws:SourceIdentity", who.SourceIdentity)
	}
	if who.Kind == cloud.Session {
		r.Set("aws:PrincipalArn", who.Role)
		r.Set("aws:PrincipalType", "AssumedRole")
		return
	}
	r.Set("aws:PrincipalArn", who.ARN)
	r.Set("aws:PrincipalType", "User")
	r.Set("aws:username", administrator)
}

func deny(a cloud.Access, reason string) error {
	who := a.Who.ARN
	if who == "" {
		who = "anonymous"
	}
	return &cloud.DeniedError{Who: who, Action: a.Action, Resource: a.Resource, Reason: reason}
}
