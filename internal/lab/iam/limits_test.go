package iam_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// long is a policy of n letters that are no space.
func long(n int, trust bool) string {
	base := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:%s"],"Resource":"*"}]}`
	if trust {
		base = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["sts:%s"]}]}`
	}
	return "  " + fmt.Sprintf(base, strings.Repeat("x", n-len(base)+2))
}

func TestWhatAWSRefusesIsRefused(t *testing.T) {
	_, _, client := newIAM(t)
	ctx := t.Context()
	mustRole(t, client, "taken", trustEvents)
	role := func(change func(*iam.CreateRoleInput)) error {
		in := &iam.CreateRoleInput{RoleName: aws.String("new"), AssumeRolePolicyDocument: aws.String(trustEvents)}
		change(in)
		_, err := client.CreateRole(ctx, in)
		return err
	}
	put := func(name, document string) error {
		_, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("taken"), PolicyName: &name, PolicyDocument: &document})
		return err
	}
	attach := func(role, policy string) error {
		_, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &role, PolicyArn: &policy})
		return err
	}
	many := make([]types.Tag, 51)
	for i := range many {
		many[i] = types.Tag{Key: aws.String(fmt.Sprint(i)), Value: aws.String("")}
	}
	for name, test := range map[string]struct {
		err  error
		code string
		text string
	}{
		"a role of a name that is taken": {role(func(in *iam.CreateRoleInput) { in.RoleName = aws.String("Taken") }), "EntityAlreadyExists", "Role with name Taken already exists."},
		"a name with a slash":            {role(func(in *iam.CreateRoleInput) { in.RoleName = aws.String("a/b") }), "ValidationError", "'roleName'"},
		"a name of 65 letters":           {role(func(in *iam.CreateRoleInput) { in.RoleName = aws.String(strings.Repeat("a", 65)) }), "ValidationError", "64"},
		"a path without its end":         {role(func(in *iam.CreateRoleInput) { in.Path = aws.String("/lab") }), "ValidationError", "'path'"},
		"the path of linked roles":       {role(func(in *iam.CreateRoleInput) { in.Path = aws.String("/aws-service-role/x/") }), "InvalidInput", "service-linked"},
		"sessions that are too short":    {role(func(in *iam.CreateRoleInput) { in.MaxSessionDuration = aws.Int32(3599) }), "ValidationError", "3600"},
		"sessions that are too long":     {role(func(in *iam.CreateRoleInput) { in.MaxSessionDuration = aws.Int32(43201) }), "ValidationError", "43200"},
		"a description that is too long": {role(func(in *iam.CreateRoleInput) { in.Description = aws.String(strings.Repeat("a", 1001)) }), "ValidationError", "1000"},
		"a boundary":                     {role(func(in *iam.CreateRoleInput) { in.PermissionsBoundary = aws.String("arn:aws:iam::aws:policy/X") }), "InvalidInput", "boundaries"},
		"51 tags":                        {role(func(in *iam.CreateRoleInput) { in.Tags = many }), "LimitExceeded", "50"},
		"a tag of AWS's": {role(func(in *iam.CreateRoleInput) {
			in.Tags = []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("")}}
		}), "InvalidInput", "aws:"},
		"trust that is no JSON":          {role(func(in *iam.CreateRoleInput) { in.AssumeRolePolicyDocument = aws.String("{") }), "MalformedPolicyDocument", "Syntax errors"},
		"trust with a resource":          {role(func(in *iam.CreateRoleInput) { in.AssumeRolePolicyDocument = aws.String(mayPut) }), "MalformedPolicyDocument", "prohibited field Resource"},
		"trust that is too long":         {role(func(in *iam.CreateRoleInput) { in.AssumeRolePolicyDocument = aws.String(long(2049, true)) }), "LimitExceeded", "ACLSizePerRole: 2048"},
		"an inline policy with trust":    {put("a", trustEvents), "MalformedPolicyDocument", "must contain resources"},
		"inline policies of full length": {put("a", long(10240, false)), "", ""},
		"and one more":                   {put("b", mayPut), "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role taken"},
		"the same again":                 {put("a", mayPut), "", ""},
		"an inline policy without name":  {put("a b", mayPut), "ValidationError", "'policyName'"},
		"a role that is not there":       {attach("nobody", "arn:aws:iam::aws:policy/AdministratorAccess"), "NoSuchEntity", "The role with name nobody cannot be found."},
		"a policy that is not there":     {attach("taken", "arn:aws:iam::111111111111:policy/none"), "NoSuchEntity", "does not exist or is not attachable"},
		"a policy that is no policy":     {attach("taken", "arn:aws:sqs:us-east-1:111111111111:queue"), "InvalidInput", "is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			if code(test.err) != test.code || test.err != nil && !strings.Contains(test.err.Error(), test.text) {
				t.Errorf("got %v, want %s with %q", test.err, test.code, test.text)
			}
		})
	}
	policy := func(name, document string) error {
		_, err := client.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: &name, PolicyDocument: &document})
		return err
	}
	if err := policy("long", long(6145, false)); code(err) != "LimitExceeded" || !strings.Contains(err.Error(), "PolicySize: 6144") {
		t.Errorf("a managed policy that is too long: %v", err)
	}
	for i := range 11 {
		if err := policy(fmt.Sprint("p", i), mayPut); err != nil {
			t.Fatal(err)
		}
		err := attach("taken", fmt.Sprint("arn:aws:iam::111111111111:policy/p", i))
		if i < 10 && err != nil || i == 10 && (code(err) != "LimitExceeded" || !strings.Contains(err.Error(), "PoliciesPerRole: 10")) {
			t.Errorf("policy %d: %v", i, err)
		}
	}
	if err := policy("P1", mayPut); code(err) != "EntityAlreadyExists" {
		t.Errorf("a name that is taken: %v", err)
	}
	if _, err := client.ListRoles(ctx, &iam.ListRolesInput{MaxItems: aws.Int32(1001)}); code(err) != "ValidationError" {
		t.Errorf("a page that is too long: %v", err)
	}
	if _, err := client.ListRoles(ctx, &iam.ListRolesInput{Marker: aws.String("x")}); code(err) != "ValidationError" {
		t.Errorf("a marker that was not given: %v", err)
	}
	if _, err := client.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: aws.String("taken"), PolicyArn: aws.String("arn:aws:iam::aws:policy/x")}); code(err) != "NoSuchEntity" {
		t.Errorf("a policy that is not attached: %v", err)
	}
	if _, err := client.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")}); code(err) != "AccessDenied" {
		t.Errorf("AWS's own policy: %v", err)
	}
}
