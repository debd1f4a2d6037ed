package cloudformation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	iamsdk "github.com/aws/aws-sdk-go-v2/service/iam"
	orgsdk "github.com/aws/aws-sdk-go-v2/service/organizations"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

const (
	third      = "333333333333"
	otherPlace = "us-east-1"
)

// organize makes an organisation with two members in a unit, and gives the unit's id.
func (l *lab) organize() string {
	l.t.Helper()
	if err := l.cloud.Accounts.Add(cloud.Account{ID: third}); err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.orgs.Create(labtest.Administrator); err != nil {
		l.t.Fatal(err)
	}
	unit, err := l.orgs.AddOU(l.orgs.Root(), "workloads")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, id := range []string{labtest.Member, third} {
		if err := l.orgs.Place(id, unit); err != nil {
			l.t.Fatal(err)
		}
	}
	return unit
}

func (l *lab) trust() {
	l.t.Helper()
	client := orgsdk.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
	ok(client.EnableAWSServiceAccess(l.t.Context(), &orgsdk.EnableAWSServiceAccessInput{
		ServicePrincipal: aws.String("member.org.stacksets.cloudformation.amazonaws.com"),
	}))(l.t)
}

// instances are those of a StackSet: account, region and status.
func (l *lab) instances(name string) []string {
	l.t.Helper()
	out := ok(l.cfn.ListStackInstances(l.t.Context(), &cfn.ListStackInstancesInput{StackSetName: &name}))(l.t)
	var all []string
	for _, s := range out.Summaries {
		all = append(all, fmt.Sprintf("%s %s %s %s", *s.Account, *s.Region, s.Status, s.StackInstanceStatus.DetailedStatus))
	}
	slices.Sort(all)
	return all
}

func (l *lab) operation(set string, id *string) types.StackSetOperation {
	l.t.Helper()
	for range 100 {
		out := ok(l.cfn.DescribeStackSetOperation(l.t.Context(), &cfn.DescribeStackSetOperationInput{StackSetName: &set, OperationId: id}))(l.t)
		if out.StackSetOperation.Status != types.StackSetOperationStatusRunning {
			return *out.StackSetOperation
		}
		labtest.Advance(l.t, l.cloud, time.Second)
	}
	l.t.Fatal("the operation does not end")
	return types.StackSetOperation{}
}

const setTemplate = `
Parameters:
  Wait: {Type: String, Default: "30"}
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: !Ref Wait}}
`

func TestAServiceManagedStackSetGoesToAUnitButNotToTheManagementAccount(t *testing.T) {
	l := newLab(t)
	unit := l.organize()
	create := &cfn.CreateStackSetInput{
		StackSetName: aws.String("members"), TemplateBody: aws.String(setTemplate), PermissionModel: types.PermissionModelsServiceManaged,
		AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(true), RetainStacksOnAccountRemoval: aws.Bool(false)},
	}
	_, err := l.cfn.CreateStackSet(t.Context(), create)
	refused(t, err, "ValidationError", "You must enable organizations access to operate a service managed stack set")
	l.trust()
	ok(l.cfn.CreateStackSet(t.Context(), create))(t)
	_, err = l.cfn.CreateStackSet(t.Context(), create)
	refused(t, err, "NameAlreadyExistsException", "")
	_, err = l.cfn.CreateStackInstances(t.Context(), &cfn.CreateStackInstancesInput{
		StackSetName: create.StackSetName, Accounts: []string{third}, Regions: []string{labtest.Region},
	})
	refused(t, err, "ValidationError", "StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as target")

	// The root holds the management account: it gets no stack.
	started := ok(l.cfn.CreateStackInstances(t.Context(), &cfn.CreateStackInstancesInput{
		StackSetName: create.StackSetName, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{l.orgs.Root()}},
		Regions: []string{labtest.Region, otherPlace},
	}))(t)
	_, err = l.cfn.UpdateStackSet(t.Context(), &cfn.UpdateStackSetInput{StackSetName: create.StackSetName, UsePreviousTemplate: aws.Bool(true)})
	refused(t, err, "OperationInProgressException", "")
	if o := l.operation("members", started.OperationId); o.Status != types.StackSetOperationStatusSucceeded {
		t.Fatalf("the operation is %s", o.Status)
	}
	want := []string{}
	for _, account := range []string{labtest.Member, third} {
		want = append(want, account+" "+labtest.Region+" CURRENT SUCCEEDED", account+" "+otherPlace+" CURRENT SUCCEEDED")
	}
	if got := l.instances("members"); !slices.Equal(got, want) {
		t.Errorf("instances: %q, want %q", got, want)
	}
	member := cfn.NewFromConfig(l.server.Config(labtest.Member, otherPlace))
	stacks := ok(member.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{}))(t)
	if len(stacks.Stacks) != 1 || !strings.HasPrefix(*stacks.Stacks[0].StackName, "StackSet-members-") {
		t.Errorf("the member's stacks are %+v", stacks.Stacks)
	}
	_, err = l.cfn.DeleteStackSet(t.Context(), &cfn.DeleteStackSetInput{StackSetName: create.StackSetName})
	refused(t, err, "StackSetNotEmptyException", "")

	// One that joins is served, too.
	const fourth = "444444444444"
	if err := l.cloud.Accounts.Add(cloud.Account{ID: fourth}); err != nil {
		t.Fatal(err)
	}
	if err := l.orgs.Place(fourth, unit); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, l.cloud, 10*time.Second)
	if got := l.instances("members"); len(got) != 6 {
		t.Errorf("instances: %q", got)
	}
	ended := ok(l.cfn.DeleteStackInstances(t.Context(), &cfn.DeleteStackInstancesInput{
		StackSetName: create.StackSetName, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{unit}},
		Regions: []string{labtest.Region, otherPlace}, RetainStacks: aws.Bool(false),
	}))(t)
	if o := l.operation("members", ended.OperationId); o.Status != types.StackSetOperationStatusSucceeded {
		t.Fatalf("the operation is %s", o.Status)
	}
	ok(l.cfn.DeleteStackSet(t.Context(), &cfn.DeleteStackSetInput{StackSetName: create.StackSetName}))(t)
	_, err = l.cfn.DescribeStackSet(t.Context(), &cfn.DescribeStackSetInput{StackSetName: create.StackSetName})
	refused(t, err, "StackSetNotFoundException", "StackSet members not found")
}

func TestASelfManagedStackSetNeedsTheTwoRoles(t *testing.T) {
	l := newLab(t)
	name := aws.String("self")
	ok(l.cfn.CreateStackSet(t.Context(), &cfn.CreateStackSetInput{StackSetName: name, TemplateBody: aws.String(setTemplate)}))(t)
	instances := &cfn.CreateStackInstancesInput{StackSetName: name, Accounts: []string{labtest.Member}, Regions: []string{labtest.Region}}
	first := ok(l.cfn.CreateStackInstances(t.Context(), instances))(t)
	if o := l.operation("self", first.OperationId); o.Status != types.StackSetOperationStatusFailed {
		t.Fatalf("the operation is %s", o.Status)
	}
	results := ok(l.cfn.ListStackSetOperationResults(t.Context(), &cfn.ListStackSetOperationResultsInput{StackSetName: name, OperationId: first.OperationId}))(t)
	want := "Account 222222222222 should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role 'AWSCloudFormationStackSetAdministrationRole'."
	if got := aws.ToString(results.Summaries[0].StatusReason); got != want {
		t.Errorf("got reason %q", got)
	}
	admin := l.role(labtest.Administrator, "AWSCloudFormationStackSetAdministrationRole", `{"Service":"cloudformation.amazonaws.com"}`, `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`)
	l.role(labtest.Member, "AWSCloudFormationStackSetExecutionRole", `{"AWS":"`+admin+`"}`, `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	_, err := l.cfn.CreateStackInstances(t.Context(), instances)
	refused(t, err, "OperationIdAlreadyExistsException", "")
	instances.OperationId = nil
	second := ok(l.cfn.CreateStackInstances(t.Context(), instances))(t)
	if o := l.operation("self", second.OperationId); o.Status != types.StackSetOperationStatusSucceeded {
		t.Fatalf("the operation is %s", o.Status)
	}
	update := ok(l.cfn.UpdateStackSet(t.Context(), &cfn.UpdateStackSetInput{
		StackSetName: name, UsePreviousTemplate: aws.Bool(true), Parameters: []types.Parameter{{ParameterKey: aws.String("Wait"), ParameterValue: aws.String("999999999")}},
	}))(t)
	if o := l.operation("self", update.OperationId); o.Status != types.StackSetOperationStatusFailed {
		t.Fatalf("the operation is %s", o.Status)
	}
	if got := l.instances("self"); got[0] != "222222222222 ap-northeast-1 OUTDATED FAILED" {
		t.Errorf("instances: %q", got)
	}
	all := ok(l.cfn.ListStackSetOperations(t.Context(), &cfn.ListStackSetOperationsInput{StackSetName: name}))(t)
	if len(all.Summaries) != 3 || all.Summaries[0].Action != types.StackSetOperationActionUpdate {
		t.Errorf("operations: %+v", all.Summaries)
	}
}

// role makes a role and gives its ARN.
func (l *lab) role(account, name, trusts, statement string) string {
	l.t.Helper()
	client := iamsdk.NewFromConfig(l.server.Config(account, labtest.Region))
	out := ok(client.CreateRole(l.t.Context(), &iamsdk.CreateRoleInput{
		RoleName:                 &name,
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + trusts + `,"Action":"sts:AssumeRole"}]}`),
	}))(l.t)
	ok(client.PutRolePolicy(l.t.Context(), &iamsdk.PutRolePolicyInput{
		RoleName: &name, PolicyName: aws.String("all"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[` + statement + `]}`),
	}))(l.t)
	return *out.Role.Arn
}

func TestAStackSetIsAResource(t *testing.T) {
	l := newLab(t)
	unit := l.organize()
	l.trust()
	l.create("outer", `
Resources:
  Set:
    Type: AWS::CloudFormation::StackSet
    Properties:
      StackSetName: inner
      PermissionModel: SERVICE_MANAGED
      AutoDeployment: {Enabled: false}
      StackInstancesGroup:
        - Regions: [`+labtest.Region+`]
          DeploymentTargets: {OrganizationalUnitIds: [`+unit+`]}
      TemplateBody: |
        Resources:
          Queue: {Type: AWS::SQS::Queue}
Outputs:
  Id: {Value: !GetAtt Set.StackSetId}
`, "CREATE_COMPLETE")
	if got := l.instances("inner"); len(got) != 2 {
		t.Errorf("instances: %q", got)
	}
	ok(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("outer")}))(t)
	labtest.Advance(t, l.cloud, 30*time.Second)
	_, err := l.cfn.DescribeStackSet(t.Context(), &cfn.DescribeStackSetInput{StackSetName: aws.String("inner")})
	refused(t, err, "StackSetNotFoundException", "")
}
