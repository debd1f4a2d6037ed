package iam_test

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/lab/cloud"
	labiam "example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/labtest"
)

const (
	trustEvents = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	mayPut      = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["firehose:PutRecord","firehose:PutRecordBatch"],"Resource":"*"}]}`
)

// newIAM serves IAM, which also decides.
func newIAM(t *testing.T, options ...func(*cloud.Options)) (*cloud.Cloud, *labiam.Service, *iam.Client) {
	t.Helper()
	c := labtest.NewCloud(t, options...)
	s := labiam.New(c)
	c.Access = s
	return c, s, iam.NewFromConfig(labtest.Serve(t, c, s.Wire()).Config(labtest.Administrator, labtest.Region))
}

func mustRole(t *testing.T, client *iam.Client, name, trust string) string {
	t.Helper()
	out, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Role.Arn
}

func mustPut(t *testing.T, client *iam.Client, name, document string) {
	t.Helper()
	_, err := client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("inline"), PolicyDocument: &document})
	if err != nil {
		t.Fatal(err)
	}
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func TestARoleLivesFromCreateToDelete(t *testing.T) {
	_, _, client := newIAM(t)
	ctx := t.Context()
	made, err := client.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("writer"), Path: aws.String("/lab/"), AssumeRolePolicyDocument: aws.String(trustEvents),
		Description: aws.String("puts records"), MaxSessionDuration: aws.Int32(7200),
		Tags: []types.Tag{{Key: aws.String("owner"), Value: aws.String("a&b")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := made.Role
	if *r.Arn != "arn:aws:iam::111111111111:role/lab/writer" || !strings.HasPrefix(*r.RoleId, "AROA") || !r.CreateDate.Equal(labtest.Start) ||
		*r.MaxSessionDuration != 7200 || len(r.Tags) != 1 || *r.Tags[0].Value != "a&b" {
		t.Errorf("got %+v", r)
	}
	got, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("WRITER")})
	if err != nil {
		t.Fatal(err)
	}
	if document, err := url.QueryUnescape(*got.Role.AssumeRolePolicyDocument); err != nil || document != trustEvents {
		t.Errorf("the trust policy is %q (%v)", document, err)
	}
	mustPut(t, client, "writer", mayPut)
	inline, err := client.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: aws.String("writer"), PolicyName: aws.String("inline")})
	if err != nil {
		t.Fatal(err)
	}
	if document, err := url.QueryUnescape(*inline.PolicyDocument); err != nil || document != mayPut {
		t.Errorf("the inline policy is %q (%v)", document, err)
	}
	basic := aws.String("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
	for range 2 { // attaching twice is attaching once
		if _, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("writer"), PolicyArn: basic}); err != nil {
			t.Fatal(err)
		}
	}
	attached, err := client.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: aws.String("writer")})
	if err != nil {
		t.Fatal(err)
	}
	if len(attached.AttachedPolicies) != 1 || *attached.AttachedPolicies[0].PolicyName != "AWSLambdaBasicExecutionRole" {
		t.Errorf("attached: %+v", attached.AttachedPolicies)
	}
	remove := func() error {
		_, err := client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("writer")})
		return err
	}
	if err := remove(); code(err) != "DeleteConflict" || !strings.Contains(err.Error(), "must detach all policies first") {
		t.Errorf("with an attached policy: %v", err)
	}
	if _, err := client.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: aws.String("writer"), PolicyArn: basic}); err != nil {
		t.Fatal(err)
	}
	if err := remove(); code(err) != "DeleteConflict" || !strings.Contains(err.Error(), "must delete policies first") {
		t.Errorf("with an inline policy: %v", err)
	}
	if _, err := client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("writer"), PolicyName: aws.String("inline")}); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if err := remove(); code(err) != "NoSuchEntity" {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestRolesArePagedTaggedAndUpdated(t *testing.T) {
	_, s, client := newIAM(t)
	ctx := t.Context()
	for i := range 7 {
		mustRole(t, client, "role"+strconv.Itoa(i), trustEvents)
	}
	var names []string
	pages := iam.NewListRolesPaginator(client, &iam.ListRolesInput{MaxItems: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Roles {
			names = append(names, *r.RoleName)
		}
	}
	if strings.Join(names, " ") != "role0 role1 role2 role3 role4 role5 role6" {
		t.Errorf("got %v", names)
	}
	name := aws.String("role0")
	if _, err := client.TagRole(ctx, &iam.TagRoleInput{RoleName: name, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UntagRole(ctx, &iam.UntagRoleInput{RoleName: name, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := client.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: name})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "b" {
		t.Errorf("got %+v, %v", tags, err)
	}
	if _, err := client.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: name, Description: aws.String("new"), MaxSessionDuration: aws.Int32(43200)}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: name})
	if err != nil || *got.Role.Description != "new" || *got.Role.MaxSessionDuration != 43200 {
		t.Errorf("got %+v, %v", got, err)
	}
	mustPut(t, client, "role0", mayPut)
	policies, err := client.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: name})
	if err != nil || len(policies.PolicyNames) != 1 || policies.PolicyNames[0] != "inline" {
		t.Errorf("got %+v, %v", policies, err)
	}
	if s.Inspect() == nil {
		t.Error("nothing to see")
	}
}

func TestManagedPoliciesOfTheAccountAndOfAWS(t *testing.T) {
	_, _, client := newIAM(t)
	ctx := t.Context()
	mustRole(t, client, "writer", trustEvents)
	made, err := client.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("put"), Path: aws.String("/lab/"), PolicyDocument: aws.String(mayPut)})
	if err != nil {
		t.Fatal(err)
	}
	arn := made.Policy.Arn
	if *arn != "arn:aws:iam::111111111111:policy/lab/put" || *made.Policy.DefaultVersionId != "v1" {
		t.Errorf("got %+v", made.Policy)
	}
	if _, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("writer"), PolicyArn: arn}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn})
	if err != nil || *got.Policy.AttachmentCount != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	version, err := client.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")})
	if err != nil {
		t.Fatal(err)
	}
	if document, _ := url.QueryUnescape(*version.PolicyVersion.Document); document != mayPut || !version.PolicyVersion.IsDefaultVersion {
		t.Errorf("got %+v", version.PolicyVersion)
	}
	if _, err := client.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn}); code(err) != "DeleteConflict" {
		t.Errorf("an attached policy was deleted: %v", err)
	}
	for scope, want := range map[types.PolicyScopeType]int{types.PolicyScopeTypeAll: 4, types.PolicyScopeTypeAws: 3, types.PolicyScopeTypeLocal: 1} {
		list, err := client.ListPolicies(ctx, &iam.ListPoliciesInput{Scope: scope})
		if err != nil || len(list.Policies) != want {
			t.Errorf("%s: %d policies (%v), want %d", scope, len(list.Policies), err, want)
		}
	}
	list, err := client.ListPolicies(ctx, &iam.ListPoliciesInput{OnlyAttached: true})
	if err != nil || len(list.Policies) != 1 {
		t.Errorf("attached: %+v, %v", list, err)
	}
	if _, err := client.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: aws.String("writer"), PolicyArn: arn}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn}); code(err) != "NoSuchEntity" {
		t.Errorf("it is still there: %v", err)
	}
}

func TestServiceLinkedRolesAreMadeOnceAndNotChanged(t *testing.T) {
	_, _, client := newIAM(t)
	ctx := t.Context()
	in := &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String("securityhub.amazonaws.com")}
	made, err := client.CreateServiceLinkedRole(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:iam::111111111111:role/aws-service-role/securityhub.amazonaws.com/AWSServiceRoleForSecurityHub"; *made.Role.Arn != want {
		t.Errorf("got %s, want %s", *made.Role.Arn, want)
	}
	if _, err := client.CreateServiceLinkedRole(ctx, in); code(err) != "InvalidInput" || !strings.Contains(err.Error(), "has been taken in this account") {
		t.Errorf("made twice: %v", err)
	}
	if _, err := client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: made.Role.RoleName}); code(err) != "UnmodifiableEntity" {
		t.Errorf("deleted: %v", err)
	}
	if _, err := client.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String("nobody")}); code(err) != "InvalidInput" {
		t.Errorf("for no service: %v", err)
	}
}

func TestTheOneUserIsTheAdministrator(t *testing.T) {
	_, _, client := newIAM(t)
	got, err := client.GetUser(t.Context(), &iam.GetUserInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *got.User.UserName != "administrator" || *got.User.Arn != "arn:aws:iam::111111111111:user/administrator" {
		t.Errorf("got %+v", got.User)
	}
	users, err := client.ListUsers(t.Context(), &iam.ListUsersInput{})
	if err != nil || len(users.Users) != 1 {
		t.Errorf("got %+v, %v", users, err)
	}
	if _, err := client.GetUser(t.Context(), &iam.GetUserInput{UserName: aws.String("somebody")}); code(err) != "NoSuchEntity" {
		t.Errorf("got %v", err)
	}
}

func TestAMemberAccountHasTheOrganizationsRole(t *testing.T) {
	c, s, client := newIAM(t)
	member := iam.NewFromConfig(labtest.Serve(t, c, s.Wire()).Config(labtest.Member, labtest.Region))
	name := &iam.GetRoleInput{RoleName: aws.String("OrganizationAccountAccessRole")}
	if _, err := member.GetRole(t.Context(), name); code(err) != "NoSuchEntity" {
		t.Errorf("without an organisation: %v", err)
	}
	c.Accounts.SetOrganization("o-exampleorgid", labtest.Administrator)
	if _, err := client.GetRole(t.Context(), name); code(err) != "NoSuchEntity" {
		t.Errorf("the management account has it: %v", err)
	}
	got, err := member.GetRole(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if document, _ := url.QueryUnescape(*got.Role.AssumeRolePolicyDocument); !strings.Contains(document, "arn:aws:iam::111111111111:root") {
		t.Errorf("it trusts %s", document)
	}
	// It may everything, also where changes take their time.
	who, err := s.Assume(c.Accounts.Credential(labtest.Administrator).Who, *got.Role.Arn, "lab", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Authorize(cloud.Access{Who: who, Action: "securityhub:EnableSecurityHub", Resource: "*", Owner: labtest.Member}); err != nil {
		t.Error(err)
	}
}
