package iam

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/policy"
	"example.org/catchment/internal/lab/wire"
)

// A managed policy stands by itself and is attached to roles. The lab's have one version and do not change.
type managed struct {
	name, path, id, arn, description, document string
	created                                    time.Time
	tags                                       map[string]string
	parsed                                     *policy.Policy
}

// Limits of managed policies.
const (
	maxPolicies = 1500
	maxDocument = 6144 // bytes, without space
)

// onlyVersion is the version that each policy has.
const onlyVersion = "v1"

// awsPolicies are AWS's own that the lab knows, by path and name.
// https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
var awsPolicies = map[string]string{
	"AdministratorAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	"service-role/AWSLambdaBasicExecutionRole": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` +
		`"Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
	"service-role/AWSLambdaSQSQueueExecutionRole": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` +
		`"Action":["sqs:ReceiveMessage","sqs:DeleteMessage","sqs:GetQueueAttributes","logs:CreateLogGroup","logs:CreateLogStream",` +
		`"logs:PutLogEvents"],"Resource":"*"}]}`,
}

// awsARN is the ARN of one of AWS's own policies.
func (s *Service) awsARN(name string) string {
	return cloud.Place{Partition: s.cloud.Partition, Account: "aws"}.ARN("iam", "policy/"+name)
}

// findPolicy looks a managed policy up, the account's or AWS's; nil where there is none. Requires s.mu.
func (s *Service) findPolicy(d *directory, arn string) *managed {
	if m := d.policies[arn]; m != nil {
		return m
	}
	full, ok := strings.CutPrefix(arn, s.awsARN(""))
	document := awsPolicies[full]
	if !ok || document == "" {
		return nil
	}
	parsed, err := policy.Parse(policy.Identity, []byte(document))
	if err != nil {
		return nil
	}
	slash := strings.LastIndexByte(full, '/') + 1
	return &managed{
		name: full[slash:], path: "/" + full[:slash], arn: arn, document: document, parsed: parsed,
		id: "ANPA" + strings.ToUpper(strings.NewReplacer("/", "", "-", "").Replace(full)), created: time.Date(2015, 2, 6, 18, 39, 46, 0, time.UTC),
	}
}

type policyView struct {
	PolicyName                    string
	PolicyID                      string `json:"PolicyId"`
	ARN                           string `json:"Arn"`
	Path                          string
	DefaultVersionID              string `json:"DefaultVersionId"`
	AttachmentCount               int
	PermissionsBoundaryUsageCount int
	IsAttachable                  bool
	Description                   string `json:",omitempty"`
	CreateDate                    wire.Epoch
	UpdateDate                    wire.Epoch
	Tags                          []tag `json:",omitempty"`
}

// view is a policy as it is shown. Requires s.mu.
func (d *directory) view(m *managed) policyView {
	v := policyView{
		PolicyName: m.name, PolicyID: m.id, ARN: m.arn, Path: m.path, DefaultVersionID: onlyVersion, IsAttachable: true,
		Description: m.description, CreateDate: wire.Epoch{Time: m.created}, UpdateDate: wire.Epoch{Time: m.created}, Tags: tagList(m.tags),
	}
	for _, r := range d.roles {
		if slices.Contains(r.attached, m.arn) {
			v.AttachmentCount++
		}
	}
	return v
}

type createPolicyInput struct {
	PolicyName, Path, PolicyDocument, Description string
	Tags                                          []tag
}

type policyOutput struct{ Policy policyView }

func (s *Service) createPolicy(_ context.Context, c *wire.Call, in *createPolicyInput) (*policyOutput, error) {
	path := in.Path
	if path == "" {
		path = "/"
	}
	if err := checkAll(isName("policyName", in.PolicyName, maxPolicyName), isPath(path), isDescription(in.Description)); err != nil {
		return nil, err
	}
	parsed, err := policy.Parse(policy.Identity, []byte(in.PolicyDocument))
	if err != nil {
		return nil, malformed(err)
	}
	if withoutSpace(in.PolicyDocument) > maxDocument {
		return nil, limit("PolicySize", maxDocument)
	}
	m := &managed{
		name: in.PolicyName, path: path, arn: c.Global().ARN("iam", "policy"+path+in.PolicyName), description: in.Description,
		document: in.PolicyDocument, created: s.cloud.Clock.Now(), parsed: parsed, tags: make(map[string]string),
	}
	if err := addTags(m.tags, in.Tags); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.directory(c.Account)
	for _, other := range d.policies {
		if strings.EqualFold(other.name, m.name) {
			return nil, conflict("EntityAlreadyExists", "A policy called %s already exists. Duplicate names are not allowed.", m.name)
		}
	}
	if len(d.policies) >= maxPolicies {
		return nil, limit("PoliciesPerAccount", maxPolicies)
	}
	m.id = s.uniqueID("ANPA")
	d.policies[m.arn] = m
	return &policyOutput{d.view(m)}, nil
}

type policyInput struct {
	PolicyARN string `json:"PolicyArn"`
	VersionID string `json:"VersionId"`
}

// policy looks a managed policy up. Requires s.mu.
func (s *Service) policy(c *wire.Call, arn string) (*managed, *directory, error) {
	if err := isARN(arn); err != nil {
		return nil, nil, err
	}
	d := s.directory(c.Account)
	m := s.findPolicy(d, arn)
	if m == nil {
		return nil, d, noEntity("Policy %s was not found.", arn)
	}
	return m, d, nil
}

func (s *Service) getPolicy(_ context.Context, c *wire.Call, in *policyInput) (*policyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, d, err := s.policy(c, in.PolicyARN)
	if err != nil {
		return nil, err
	}
	return &policyOutput{d.view(m)}, nil
}

type versionView struct {
	Document         string
	VersionID        string `json:"VersionId"`
	IsDefaultVersion bool
	CreateDate       wire.Epoch
}

type versionOutput struct{ PolicyVersion versionView }

func (s *Service) getPolicyVersion(_ context.Context, c *wire.Call, in *policyInput) (*versionOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, _, err := s.policy(c, in.PolicyARN)
	if err != nil {
		return nil, err
	}
	if in.VersionID != onlyVersion {
		return nil, noEntity("Policy %s version %s does not exist or is not attachable.", in.PolicyARN, in.VersionID)
	}
	return &versionOutput{versionView{escape(m.document), onlyVersion, true, wire.Epoch{Time: m.created}}}, nil
}

func (s *Service) deletePolicy(_ context.Context, c *wire.Call, in *policyInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, d, err := s.policy(c, in.PolicyARN)
	switch {
	case err != nil:
		return nil, err
	case d.policies[m.arn] == nil:
		return nil, wire.StatusErrorf(http.StatusForbidden, "AccessDenied", "Policy %s is AWS's own and cannot be deleted", m.arn)
	case d.view(m).AttachmentCount > 0:
		return nil, conflict("DeleteConflict", "Cannot delete a policy attached to entities.")
	}
	delete(d.policies, m.arn)
	return nil, nil
}

type listPoliciesInput struct {
	listInput
	Scope        string
	OnlyAttached bool
}

type listPoliciesOutput struct {
	Policies    []policyView
	IsTruncated bool
	Marker      string `json:",omitempty"`
}

func (s *Service) listPolicies(_ context.Context, c *wire.Call, in *listPoliciesInput) (*listPoliciesOutput, error) {
	switch in.Scope {
	case "", "All", "AWS", "Local":
	default:
		return nil, validation("scope", in.Scope, "Member must satisfy enum value set: [All, AWS, Local]")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.directory(c.Account)
	var all []policyView
	add := func(m *managed) {
		v := d.view(m)
		v.Tags = nil
		if strings.HasPrefix(m.path, in.PathPrefix) && (!in.OnlyAttached || v.AttachmentCount > 0) {
			all = append(all, v)
		}
	}
	if in.Scope != "Local" {
		for _, name := range slices.Sorted(maps.Keys(awsPolicies)) {
			add(s.findPolicy(d, s.awsARN(name)))
		}
	}
	if in.Scope != "AWS" {
		for _, arn := range slices.Sorted(maps.Keys(d.policies)) {
			add(d.policies[arn])
		}
	}
	page, marker, err := page(all, &in.listInput)
	if err != nil {
		return nil, err
	}
	return &listPoliciesOutput{page, marker != "", marker}, nil
}
