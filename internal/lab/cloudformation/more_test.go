package cloudformation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	orgsdk "github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

func TestARollbackThatFailsCanGoOn(t *testing.T) {
	l := newLab(t)
	body := func(wait string) string {
		return "Resources:\n  A: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: " + wait + "}}\n" +
			"  B: {Type: AWS::SQS::Queue, DependsOn: A, Properties: {VisibilityTimeout: " + wait + "}}\n"
	}
	l.create("back", body("1"), "CREATE_COMPLETE")
	ok(l.cfn.UpdateStack(t.Context(), &cfn.UpdateStackInput{StackName: aws.String("back"), TemplateBody: aws.String(body("2"))}))(t)
	labtest.Advance(t, l.cloud, 500*time.Millisecond)
	fault := ok(l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDeny, Service: "sqs", Action: "SetQueueAttributes"}))(t)
	l.at("back", "UPDATE_ROLLBACK_FAILED")
	_, err := l.cfn.UpdateStack(t.Context(), &cfn.UpdateStackInput{StackName: aws.String("back"), TemplateBody: aws.String(body("3"))})
	refused(t, err, "ValidationError", "")
	l.cloud.Faults.Remove(fault)
	ok(l.cfn.ContinueUpdateRollback(t.Context(), &cfn.ContinueUpdateRollbackInput{StackName: aws.String("back")}))(t)
	l.at("back", "UPDATE_ROLLBACK_COMPLETE")
	client := sqs.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
	out := ok(client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(l.physical("back")["A"]), AttributeNames: []sqstypes.QueueAttributeName{"All"},
	}))(t)
	if out.Attributes["VisibilityTimeout"] != "1" {
		t.Errorf("A is %v", out.Attributes)
	}
}

func TestDeletingAStackThatIsBeingMadeEndsIt(t *testing.T) {
	l := newLab(t)
	st := ok(l.cfn.CreateStack(t.Context(), &cfn.CreateStackInput{StackName: aws.String("short"), TemplateBody: aws.String(queueTemplate)}))(t)
	labtest.Settle(t, l.cloud)
	ok(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("short")}))(t)
	labtest.Advance(t, l.cloud, 20*time.Second)
	out := ok(l.cfn.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: st.StackId}))(t)
	if out.Stacks[0].StackStatus != types.StackStatusDeleteComplete {
		t.Errorf("the stack is %s", out.Stacks[0].StackStatus)
	}
}

func TestRolesHoldBeforeTheyAreUsed(t *testing.T) {
	l := newLab(t)
	l.cloud.Lag.Policies = 8 * time.Second
	l.create("lagging", `
Resources:
  Bucket: {Type: AWS::S3::Bucket}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: 2012-10-17, Statement: [{Effect: Allow, Principal: {Service: firehose.amazonaws.com}, Action: sts:AssumeRole}]}
  Stream:
    Type: AWS::KinesisFirehose::DeliveryStream
    Properties:
      ExtendedS3DestinationConfiguration: {BucketARN: !GetAtt Bucket.Arn, RoleARN: !GetAtt Role.Arn}
`, "CREATE_COMPLETE")
}

func TestATemplateIsShownAndSummed(t *testing.T) {
	l := newLab(t)
	l.create("shown", queueTemplate, "CREATE_COMPLETE")
	got := ok(l.cfn.GetTemplate(t.Context(), &cfn.GetTemplateInput{StackName: aws.String("shown")}))(t)
	if *got.TemplateBody != queueTemplate {
		t.Errorf("the template is %s", *got.TemplateBody)
	}
	body := strings.Replace(roleTemplate, "NAME", "RoleName: one", 1)
	sum := ok(l.cfn.GetTemplateSummary(t.Context(), &cfn.GetTemplateSummaryInput{TemplateBody: &body}))(t)
	if len(sum.Capabilities) != 1 || sum.Capabilities[0] != types.CapabilityCapabilityNamedIam || len(sum.ResourceTypes) != 1 ||
		*sum.CapabilitiesReason != "The following resource(s) require capabilities: [AWS::IAM::Role]" {
		t.Errorf("the summary is %+v", sum)
	}
	valid := ok(l.cfn.ValidateTemplate(t.Context(), &cfn.ValidateTemplateInput{TemplateBody: aws.String(queueTemplate)}))(t)
	if len(valid.Parameters) != 1 || *valid.Parameters[0].DefaultValue != "30" {
		t.Errorf("the parameters are %+v", valid.Parameters)
	}
	_, err := l.cfn.ValidateTemplate(t.Context(), &cfn.ValidateTemplateInput{TemplateBody: aws.String("A: [")})
	refused(t, err, "ValidationError", "")
	ok(l.cfn.SetStackPolicy(t.Context(), &cfn.SetStackPolicyInput{StackName: aws.String("shown"), StackPolicyBody: aws.String("{}")}))(t)
	policy := ok(l.cfn.GetStackPolicy(t.Context(), &cfn.GetStackPolicyInput{StackName: aws.String("shown")}))(t)
	if aws.ToString(policy.StackPolicyBody) != "{}" {
		t.Errorf("the policy is %v", policy.StackPolicyBody)
	}
	one := ok(l.cfn.DescribeStackResource(t.Context(), &cfn.DescribeStackResourceInput{StackName: aws.String("shown"), LogicalResourceId: aws.String("Queue")}))(t)
	by := ok(l.cfn.DescribeStackResources(t.Context(), &cfn.DescribeStackResourcesInput{PhysicalResourceId: one.StackResourceDetail.PhysicalResourceId}))(t)
	list := ok(l.cfn.ListStackResources(t.Context(), &cfn.ListStackResourcesInput{StackName: aws.String("shown")}))(t)
	if len(by.StackResources) != 2 || len(list.StackResourceSummaries) != 2 {
		t.Errorf("resources: %+v, %+v", by.StackResources, list.StackResourceSummaries)
	}
	stacks := ok(l.cfn.ListStacks(t.Context(), &cfn.ListStacksInput{StackStatusFilter: []types.StackStatus{types.StackStatusCreateComplete}}))(t)
	if len(stacks.StackSummaries) != 1 {
		t.Errorf("stacks: %+v", stacks.StackSummaries)
	}
}

func TestADelegatedAdministratorHasTheOrganisationsStackSets(t *testing.T) {
	l := newLab(t)
	unit := l.organize()
	l.trust()
	member := cfn.NewFromConfig(l.server.Config(labtest.Member, labtest.Region))
	in := &cfn.CreateStackSetInput{
		StackSetName: aws.String("theirs"), TemplateBody: aws.String(setTemplate), PermissionModel: types.PermissionModelsServiceManaged,
		CallAs: types.CallAsDelegatedAdmin, AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(false)},
	}
	_, err := member.CreateStackSet(t.Context(), in)
	refused(t, err, "ValidationError", "")
	orgs := orgsdk.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
	ok(orgs.RegisterDelegatedAdministrator(t.Context(), &orgsdk.RegisterDelegatedAdministratorInput{
		AccountId: aws.String(labtest.Member), ServicePrincipal: aws.String("member.org.stacksets.cloudformation.amazonaws.com"),
	}))(t)
	ok(member.CreateStackSet(t.Context(), in))(t)
	started := ok(member.CreateStackInstances(t.Context(), &cfn.CreateStackInstancesInput{
		StackSetName: in.StackSetName, CallAs: types.CallAsDelegatedAdmin, Regions: []string{labtest.Region, "me-south-1"},
		DeploymentTargets:    &types.DeploymentTargets{OrganizationalUnitIds: []string{unit}, Accounts: []string{third}, AccountFilterType: types.AccountFilterTypeDifference},
		OperationPreferences: &types.StackSetOperationPreferences{RegionConcurrencyType: types.RegionConcurrencyTypeParallel, FailureToleranceCount: aws.Int32(1)},
	}))(t)
	if o := l.operation("theirs", started.OperationId); o.Status != types.StackSetOperationStatusSucceeded || *o.StatusDetails.FailedStackInstancesCount != 1 {
		t.Errorf("the operation is %s", o.Status)
	}
	got := l.instances("theirs")
	if len(got) != 2 || got[0] != labtest.Member+" "+labtest.Region+" CURRENT SUCCEEDED" || got[1] != labtest.Member+" me-south-1 OUTDATED FAILED" {
		t.Errorf("instances: %q", got)
	}
}

func TestWhatIsThrottledIsTriedAgain(t *testing.T) {
	l := newLab(t)
	ok(l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultThrottle, Service: "sqs", Action: "CreateQueue", Times: 2}))(t)
	l.create("slow", queueTemplate, "CREATE_COMPLETE")
}
