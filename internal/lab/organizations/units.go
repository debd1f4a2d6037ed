package organizations

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// AWS's limits. https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
const (
	maxUnits    = 2000
	maxDepth    = 5 // of units below the root
	maxUnitName = 128
)

// arn names something of the organization; such ARNs are the management account's and of no region.
func (o *organization) arn(c *cloud.Cloud, resource string) string {
	return c.Accounts.Place(o.management, "").ARN("organizations", resource)
}

// path is where a unit is: o-…/r-…/ou-…/, with a slash at its end.
func (o *organization) path(u *unit) string {
	if u == nil {
		return o.id + "/"
	}
	return o.path(u.parent) + u.id + "/"
}

func (u *unit) depth() int {
	if u.parent == nil {
		return 0
	}
	return u.parent.depth() + 1
}

// below are the units under a unit, in the order of their making.
func (o *organization) below(parent *unit) []*unit {
	var out []*unit
	for _, u := range o.units {
		if u.parent == parent && u.parent != nil {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b *unit) int { return cmp.Compare(a.made, b.made) })
	return out
}

// list are the accounts of a unit, or all with nil, in the order in which they joined.
func (o *organization) list(parent *unit) []*member {
	if parent == nil {
		return o.order
	}
	var out []*member
	for _, m := range o.order {
		if m.parent == parent {
			out = append(out, m)
		}
	}
	return out
}

func (u *unit) key() string   { return fmt.Sprintf("%08d", u.made) }
func (m *member) key() string { return fmt.Sprintf("%08d", m.n) }

type policyType struct{ Type, Status string }

type shownOrganization struct {
	ID                   string `json:"Id"`
	ARN                  string `json:"Arn"`
	FeatureSet           string
	MasterAccountARN     string `json:"MasterAccountArn"`
	MasterAccountID      string `json:"MasterAccountId"`
	MasterAccountEmail   string
	AvailablePolicyTypes []policyType
}

type organizationOutput struct{ Organization shownOrganization }

func (o *organization) policies() []policyType {
	if o.features == featuresAll {
		return []policyType{{"SERVICE_CONTROL_POLICY", "ENABLED"}}
	}
	return nil
}

func (s *Service) show(o *organization) *organizationOutput {
	a, _ := s.cloud.Accounts.Find(o.management)
	return &organizationOutput{shownOrganization{
		o.id, o.arn(s.cloud, "organization/"+o.id), o.features, o.arn(s.cloud, "account/"+o.id+"/"+o.management), o.management, a.Email, o.policies(),
	}}
}

type nothing struct{}

func (s *Service) describeOrganization(_ context.Context, c *wire.Call, _ *nothing) (*organizationOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, anyMember)
	if err != nil {
		return nil, err
	}
	return s.show(o), nil
}

type createOrganizationInput struct{ FeatureSet string }

func (s *Service) createOrganization(_ context.Context, c *wire.Call, in *createOrganizationInput) (*organizationOutput, error) {
	switch in.FeatureSet {
	case "":
		in.FeatureSet = featuresAll
	case featuresAll, featuresBilling:
	default:
		return nil, invalid("INVALID_ENUM", "FeatureSet: expected %s or %s.", featuresAll, featuresBilling)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.create(c.Account, in.FeatureSet); err != nil {
		return nil, err
	}
	return s.show(s.org), nil
}

type shownRoot struct {
	ID          string `json:"Id"`
	ARN         string `json:"Arn"`
	Name        string
	PolicyTypes []policyType
}

type listRootsOutput struct {
	Roots     []shownRoot
	NextToken string `json:",omitempty"`
}

func (s *Service) listRoots(_ context.Context, c *wire.Call, in *paging) (*listRootsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, mayRead)
	if err != nil {
		return nil, err
	}
	root := shownRoot{o.root.id, o.arn(s.cloud, "root/"+o.id+"/"+o.root.id), o.root.name, o.policies()}
	list, next, err := page(s, c, *in, []shownRoot{root}, func(r shownRoot) string { return r.ID })
	if err != nil {
		return nil, err
	}
	return &listRootsOutput{list, next}, nil
}

type shownUnit struct {
	ID   string `json:"Id"`
	ARN  string `json:"Arn"`
	Name string
	Path string
}

func (s *Service) showUnit(o *organization, u *unit) shownUnit {
	return shownUnit{u.id, o.arn(s.cloud, "ou/"+o.id+"/"+u.id), u.name, o.path(u)}
}

type unitOutput struct{ OrganizationalUnit shownUnit }

type createUnitInput struct {
	ParentID string `json:"ParentId"`
	Name     string
	Tags     []tag
}

func (s *Service) createOrganizationalUnit(_ context.Context, c *wire.Call, in *createUnitInput) (*unitOutput, error) {
	if err := form("ParentId", in.ParentID, parentForm); err != nil {
		return nil, err
	}
	if err := length("Name", in.Name, 1, maxUnitName); err != nil {
		return nil, err
	}
	tags, err := withTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.enter(c, management); err != nil {
		return nil, err
	}
	u, err := s.addUnit(in.ParentID, in.Name)
	if err != nil {
		return nil, err
	}
	u.tags = tags
	return &unitOutput{s.showUnit(s.org, u)}, nil
}

// addUnit requires s.mu.
func (s *Service) addUnit(parentID, name string) (*unit, error) {
	if s.org == nil {
		return nil, errNotInUse()
	}
	parent := s.org.units[parentID]
	if parent == nil {
		return nil, notFound("ParentNotFoundException", "parent")
	}
	for _, u := range s.org.units {
		if u.parent == parent && u.name == name {
			return nil, fault("DuplicateOrganizationalUnitException", "", "An OU with the same name already exists.")
		}
	}
	if parent.depth() >= maxDepth {
		return nil, constraint("OU_DEPTH_LIMIT_EXCEEDED", "An OU can be at most %d levels below the root.", maxDepth)
	}
	if len(s.org.units)-1 >= maxUnits {
		return nil, constraint("OU_NUMBER_LIMIT_EXCEEDED", "The organization has %d OUs.", maxUnits)
	}
	u := &unit{
		id: "ou-" + s.org.root.id[2:] + "-" + s.small(8), name: name, parent: parent, made: len(s.org.units), tags: make(map[string]string),
	}
	s.org.units[u.id] = u
	return u, nil
}

type describeUnitInput struct {
	ID string `json:"OrganizationalUnitId"`
}

func (s *Service) describeOrganizationalUnit(_ context.Context, c *wire.Call, in *describeUnitInput) (*unitOutput, error) {
	if err := form("OrganizationalUnitId", in.ID, unitForm); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, mayRead)
	if err != nil {
		return nil, err
	}
	u := o.units[in.ID]
	if u == nil {
		return nil, notFound("OrganizationalUnitNotFoundException", "organizational unit")
	}
	return &unitOutput{s.showUnit(o, u)}, nil
}

type parentInput struct {
	ParentID  string `json:"ParentId"`
	ChildType string
	paging
}

// parent finds the unit that a list is about. Requires s.mu.
func (s *Service) parent(c *wire.Call, in *parentInput) (*organization, *unit, error) {
	if err := form("ParentId", in.ParentID, parentForm); err != nil {
		return nil, nil, err
	}
	o, err := s.enter(c, mayRead)
	if err != nil {
		return nil, nil, err
	}
	u := o.units[in.ParentID]
	if u == nil {
		return nil, nil, notFound("ParentNotFoundException", "parent")
	}
	return o, u, nil
}

type listUnitsOutput struct {
	OrganizationalUnits []shownUnit
	NextToken           string `json:",omitempty"`
}

func (s *Service) listUnits(_ context.Context, c *wire.Call, in *parentInput) (*listUnitsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, parent, err := s.parent(c, in)
	if err != nil {
		return nil, err
	}
	list, next, err := page(s, c, in.paging, o.below(parent), (*unit).key)
	if err != nil {
		return nil, err
	}
	out := &listUnitsOutput{NextToken: next}
	for _, u := range list {
		out.OrganizationalUnits = append(out.OrganizationalUnits, s.showUnit(o, u))
	}
	return out, nil
}

// The types of parents and children.
const (
	typeAccount = "ACCOUNT"
	typeUnit    = "ORGANIZATIONAL_UNIT"
	typeRoot    = "ROOT"
)

type relative struct {
	ID   string `json:"Id"`
	Type string
}

type listChildrenOutput struct {
	Children  []relative
	NextToken string `json:",omitempty"`
}

func (s *Service) listChildren(_ context.Context, c *wire.Call, in *parentInput) (*listChildrenOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, parent, err := s.parent(c, in)
	if err != nil {
		return nil, err
	}
	var all []relative
	switch in.ChildType {
	case typeAccount:
		for _, m := range o.list(parent) {
			all = append(all, relative{m.id, typeAccount})
		}
	case typeUnit:
		for _, u := range o.below(parent) {
			all = append(all, relative{u.id, typeUnit})
		}
	default:
		return nil, invalid("INVALID_ENUM", "ChildType: expected %s or %s.", typeAccount, typeUnit)
	}
	slices.SortFunc(all, func(a, b relative) int { return cmp.Compare(a.ID, b.ID) })
	list, next, err := page(s, c, in.paging, all, func(r relative) string { return r.ID })
	if err != nil {
		return nil, err
	}
	return &listChildrenOutput{list, next}, nil
}

type listParentsInput struct {
	ChildID string `json:"ChildId"`
	paging
}

type listParentsOutput struct {
	Parents   []relative
	NextToken string `json:",omitempty"`
}

// listParents gives the one parent that a child has.
func (s *Service) listParents(_ context.Context, c *wire.Call, in *listParentsInput) (*listParentsOutput, error) {
	if err := form("ChildId", in.ChildID, childForm); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, mayRead)
	if err != nil {
		return nil, err
	}
	var parent *unit
	if u := o.units[in.ChildID]; u != nil {
		parent = u.parent
	} else if m := o.members[in.ChildID]; m != nil {
		parent = m.parent
	}
	if parent == nil {
		return nil, notFound("ChildNotFoundException", "child")
	}
	kind := typeUnit
	if parent == o.root {
		kind = typeRoot
	}
	list, next, err := page(s, c, in.paging, []relative{{parent.id, kind}}, func(r relative) string { return r.ID })
	if err != nil {
		return nil, err
	}
	return &listParentsOutput{list, next}, nil
}

// A tag is of a root, a unit or an account.
type tag struct{ Key, Value string }

const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// withTags gives a copy of tags with more of them.
func withTags(have map[string]string, more []tag) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = make(map[string]string)
	}
	seen := make(map[string]bool)
	for _, t := range more {
		if err := length("Key", t.Key, 1, maxTagKey); err != nil {
			return nil, err
		}
		switch {
		case len([]rune(t.Value)) > maxTagValue:
			return nil, invalid("MAX_LENGTH_EXCEEDED", "the value of tag %q has more than %d characters.", t.Key, maxTagValue)
		case !tagForm.MatchString(t.Key) || !tagForm.MatchString(t.Value):
			return nil, invalid("INVALID_PATTERN", "tag %q has characters that a tag may not have.", t.Key)
		case isSystem(t.Key):
			return nil, invalid("INVALID_SYSTEM_TAGS_PARAMETER", "tag %q: keys that begin with aws: are AWS's.", t.Key)
		case seen[t.Key]:
			return nil, invalid("DUPLICATE_TAG_KEY", "tag %q is given twice.", t.Key)
		}
		seen[t.Key] = true
		out[t.Key] = t.Value
	}
	if len(out) > maxTags {
		return nil, constraint("MAX_TAG_LIMIT_EXCEEDED", "a resource can have at most %d tags.", maxTags)
	}
	return out, nil
}

func isSystem(key string) bool { return len(key) >= 4 && (key[:4] == "aws:" || key[:4] == "AWS:") }
