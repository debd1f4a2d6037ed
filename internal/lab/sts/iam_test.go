package sts_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.org/catchment/internal/lab/cloud"
	labiam "example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/labtest"
	labsts "example.org/catchment/internal/lab/sts"
)

func TestARoleOfAnotherAccountIsAssumedAndIsAllThatItsPolicySays(t *testing.T) {
	c := labtest.NewCloud(t)
	s := labiam.New(c)
	c.Access = s
	server := labtest.Serve(t, c, s.Wire(), labsts.New(c).Wire())
	ctx := t.Context()
	member := iam.NewFromConfig(server.Config(labtest.Member, "us-east-1"))
	_, err := member.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("reader"), Path: aws.String("/lab/"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},` +
			`"Action":["sts:AssumeRole"],"Condition":{"StringEquals":{"sts:ExternalId":"secret"}}}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := member.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
		RoleName: aws.String("reader"), PolicyName: aws.String("list"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:List*","iam:Get*"],"Resource":"*"}]}`),
	}); err != nil {
		t.Fatal(err)
	}
	client := sts.NewFromConfig(server.Config(labtest.Administrator, labtest.Region))
	_, err = client.AssumeRole(ctx, input(func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("guess") }))
	if code(err) != "AccessDenied" || !strings.Contains(err.Error(), "because no role trust policy allows the sts:AssumeRole action") {
		t.Errorf("with another id: %v", err)
	}
	_, err = client.AssumeRole(ctx, input(func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("alice") }))
	if code(err) != "AccessDenied" || !strings.Contains(err.Error(), "sts:SetSourceIdentity") {
		t.Errorf("with a source identity that the role does not take: %v", err)
	}
	narrow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}]}`
	for name, test := range map[string]struct {
		policy    *string
		list, get string
	}{
		"the role's own policy":   {nil, "", ""},
		"narrowed by a session's": {&narrow, "", "AccessDenied"},
	} {
		out, err := client.AssumeRole(ctx, input(func(in *sts.AssumeRoleInput) { in.Policy = test.policy }))
		if err != nil {
			t.Fatal(err)
		}
		k := out.Credentials
		session := iam.NewFromConfig(server.As(cloud.Credential{AccessKeyID: *k.AccessKeyId, SecretKey: *k.SecretAccessKey, Token: *k.SessionToken}, "eu-west-1"))
		if _, err := session.ListRoles(ctx, &iam.ListRolesInput{}); code(err) != test.list {
			t.Errorf("%s: ListRoles: %v", name, err)
		}
		if _, err := session.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("reader")}); code(err) != test.get {
			t.Errorf("%s: GetRole: %v", name, err)
		}
		if _, err := session.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("reader")}); code(err) != "AccessDenied" {
			t.Errorf("%s: DeleteRole: %v", name, err)
		}
		if _, err := session.GetUser(ctx, &iam.GetUserInput{}); code(err) == "" {
			t.Errorf("%s: a session is a user", name)
		}
	}
}
