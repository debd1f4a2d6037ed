package cloudformation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

const roleTemplate = `
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      NAME
      AssumeRolePolicyDocument: {Version: 2012-10-17, Statement: [{Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: sts:AssumeRole}]}
`

func TestWhatCannotBeCreatedIsRefused(t *testing.T) {
	l := newLab(t)
	plain := strings.Replace(roleTemplate, "NAME", "Path: /", 1)
	named := strings.Replace(roleTemplate, "NAME", "RoleName: one", 1)
	iam := []types.Capability{types.CapabilityCapabilityIam}
	l.create("there", queueTemplate, "CREATE_COMPLETE")
	for name, c := range map[string]struct {
		in            cfn.CreateStackInput
		code, message string
	}{
		"a name with a score":         {cfn.CreateStackInput{StackName: aws.String("a_b"), TemplateBody: &plain}, "ValidationError", ""},
		"a name that is taken":        {cfn.CreateStackInput{StackName: aws.String("there"), TemplateBody: aws.String(queueTemplate)}, "AlreadyExistsException", "Stack [there] already exists"},
		"no template":                 {cfn.CreateStackInput{StackName: aws.String("x")}, "ValidationError", "Either Template URL or Template Body must be specified."},
		"a long body":                 {cfn.CreateStackInput{StackName: aws.String("x"), TemplateBody: aws.String(queueTemplate + strings.Repeat("#", 51_200))}, "ValidationError", "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200"},
		"no such object":              {cfn.CreateStackInput{StackName: aws.String("x"), TemplateURL: aws.String("https://nobody.s3.amazonaws.com/t.yaml")}, "ValidationError", "S3 error: The specified key does not exist.\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"},
		"a type that is not there":    {cfn.CreateStackInput{StackName: aws.String("x"), TemplateBody: aws.String("Resources: {A: {Type: AWS::EC2::Instance}}")}, "ValidationError", "Template format error: Unrecognized resource types: [AWS::EC2::Instance]"},
		"a role unasked":              {cfn.CreateStackInput{StackName: aws.String("x"), TemplateBody: &plain}, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]"},
		"a role of a name unasked":    {cfn.CreateStackInput{StackName: aws.String("x"), TemplateBody: &named, Capabilities: iam}, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]"},
		"a parameter too many":        {cfn.CreateStackInput{StackName: aws.String("x"), TemplateBody: aws.String(queueTemplate), Parameters: []types.Parameter{{ParameterKey: aws.String("P"), ParameterValue: aws.String("")}}}, "ValidationError", "Parameters: [P] do not exist in the template"},
		"a previous value of nothing": {cfn.CreateStackInput{StackName: aws.String("x"), TemplateBody: aws.String(queueTemplate), Parameters: []types.Parameter{{ParameterKey: aws.String("Wait"), UsePreviousValue: aws.Bool(true)}}}, "ValidationError", "Invalid input for parameter key Wait. Cannot specify usePreviousValue as true for a parameter key not in the previous template"},
		"two ways to fail":            {cfn.CreateStackInput{StackName: aws.String("x"), TemplateBody: aws.String(queueTemplate), OnFailure: types.OnFailureDelete, DisableRollback: aws.Bool(true)}, "ValidationError", "You can specify either OnFailure or DisableRollback, but not both."},
		"a tag of AWS's":              {cfn.CreateStackInput{StackName: aws.String("x"), TemplateBody: aws.String(queueTemplate), Tags: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("")}}}, "ValidationError", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.cfn.CreateStack(t.Context(), &c.in)
			refused(t, err, c.code, c.message)
		})
	}
	_, err := l.cfn.CreateChangeSet(t.Context(), &cfn.CreateChangeSetInput{
		StackName: aws.String("nobody"), ChangeSetName: aws.String("c"), TemplateBody: aws.String(queueTemplate), ChangeSetType: types.ChangeSetTypeUpdate,
	})
	refused(t, err, "ValidationError", "Stack [nobody] does not exist")
}

func TestExportsHoldWhoImportsThem(t *testing.T) {
	l := newLab(t)
	l.create("one", queueTemplate, "CREATE_COMPLETE")
	l.create("two", "Resources: {T: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Select [5, !Split [':', !ImportValue one-arn]]}}}", "CREATE_COMPLETE")
	list := ok(l.cfn.ListImports(t.Context(), &cfn.ListImportsInput{ExportName: aws.String("one-arn")}))(t)
	if len(list.Imports) != 1 || list.Imports[0] != "two" {
		t.Errorf("imports: %v", list.Imports)
	}
	exports := ok(l.cfn.ListExports(t.Context(), &cfn.ListExportsInput{}))(t)
	if len(exports.Exports) != 1 || *exports.Exports[0].Name != "one-arn" {
		t.Errorf("exports: %v", exports.Exports)
	}
	_, err := l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("one")})
	refused(t, err, "ValidationError", "Export one-arn cannot be deleted as it is in use by two")
	l.create("three", strings.Replace(queueTemplate, `!Sub "${AWS::StackName}-arn"`, "one-arn", 1), "ROLLBACK_COMPLETE")
	if !l.hasEvent("three", "Export with name one-arn is already exported by stack one.") {
		t.Errorf("events:\n%s", strings.Join(l.events("three"), "\n"))
	}
	l.create("four", "Resources: {T: {Type: AWS::SNS::Topic, Properties: {DisplayName: !ImportValue nobody}}}", "ROLLBACK_COMPLETE")
	if !l.hasEvent("four", "T CREATE_FAILED: No export named nobody found.") {
		t.Errorf("events:\n%s", strings.Join(l.events("four"), "\n"))
	}
}

const failing = `
Resources:
  Good: {Type: AWS::SQS::Queue}
  Bad: {Type: AWS::SQS::Queue, DependsOn: Good, Properties: {VisibilityTimeout: 99999999}}
`

func TestOnFailureSaysWhatBecomesOfTheRest(t *testing.T) {
	l := newLab(t)
	in := &cfn.CreateStackInput{StackName: aws.String("stays"), TemplateBody: aws.String(failing), OnFailure: types.OnFailureDoNothing}
	ok(l.cfn.CreateStack(t.Context(), in))(t)
	l.at("stays", "CREATE_FAILED")
	if l.physical("stays")["Good"] == "" {
		t.Error("the good queue is gone")
	}
	gone := ok(l.cfn.CreateStack(t.Context(), &cfn.CreateStackInput{StackName: aws.String("goes"), TemplateBody: aws.String(failing), OnFailure: types.OnFailureDelete}))(t)
	labtest.Advance(t, l.cloud, 20*time.Second)
	out := ok(l.cfn.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: gone.StackId}))(t)
	if out.Stacks[0].StackStatus != types.StackStatusDeleteComplete {
		t.Errorf("the stack is %s", out.Stacks[0].StackStatus)
	}
}

func TestWhatIsToBeRetainedIs(t *testing.T) {
	l := newLab(t)
	st := l.create("keep", "Resources:\n  A: {Type: AWS::SQS::Queue, DeletionPolicy: Retain}\n  B: {Type: AWS::S3::Bucket}\n", "CREATE_COMPLETE")
	l.bucketObject(l.physical("keep")["B"])
	ok(l.cfn.UpdateTerminationProtection(t.Context(), &cfn.UpdateTerminationProtectionInput{StackName: aws.String("keep"), EnableTerminationProtection: aws.Bool(true)}))(t)
	_, err := l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("keep")})
	refused(t, err, "ValidationError", "Stack [keep] cannot be deleted while TerminationProtection is enabled")
	ok(l.cfn.UpdateTerminationProtection(t.Context(), &cfn.UpdateTerminationProtectionInput{StackName: aws.String("keep"), EnableTerminationProtection: aws.Bool(false)}))(t)
	_, err = l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("keep"), RetainResources: []string{"B"}})
	refused(t, err, "ValidationError", "")
	ok(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("keep")}))(t)
	failed := l.at("keep", "DELETE_FAILED")
	if *failed.StackStatusReason != "The following resource(s) failed to delete: [B]. " || !l.hasEvent("keep", "A DELETE_SKIPPED") {
		t.Errorf("%s\n%s", *failed.StackStatusReason, strings.Join(l.events("keep"), "\n"))
	}
	ok(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("keep"), RetainResources: []string{"B"}}))(t)
	labtest.Advance(t, l.cloud, 10*time.Second)
	out := ok(l.cfn.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: st.StackId}))(t)
	if out.Stacks[0].StackStatus != types.StackStatusDeleteComplete {
		t.Errorf("the stack is %s", out.Stacks[0].StackStatus)
	}
}

func TestPermissionsCount(t *testing.T) {
	l := newLab(t)
	role := l.role(labtest.Administrator, "deploy", `{"Service":"cloudformation.amazonaws.com"}`, `{"Effect":"Allow","Action":"sqs:*","Resource":"*"}`)
	two := "Resources:\n  Q: {Type: AWS::SQS::Queue}\n  T: {Type: AWS::SNS::Topic, DependsOn: Q}\n"
	in := &cfn.CreateStackInput{StackName: aws.String("narrow"), TemplateBody: &two, RoleARN: &role}
	ok(l.cfn.CreateStack(t.Context(), in))(t)
	l.at("narrow", "ROLLBACK_COMPLETE")
	if !l.hasEvent("narrow", "is not authorized to perform: SNS:CreateTopic") && !l.hasEvent("narrow", "is not authorized to perform: sns:CreateTopic") {
		t.Errorf("events:\n%s", strings.Join(l.events("narrow"), "\n"))
	}
	caller := l.role(labtest.Administrator, "caller", `{"Service":"ec2.amazonaws.com"}`, `{"Effect":"Allow","Action":["cloudformation:*"],"Resource":"*"}`)
	key := l.cloud.Accounts.Issue(cloud.Identity{
		Kind: cloud.Session, Account: labtest.Administrator, Role: caller, ARN: "arn:aws:sts::111111111111:assumed-role/caller/x",
	})
	asCaller := cfn.NewFromConfig(l.server.As(key, labtest.Region))
	in.StackName = aws.String("other")
	_, err := asCaller.CreateStack(t.Context(), in)
	refused(t, err, "AccessDenied", "")
	in.RoleARN = nil
	ok(asCaller.CreateStack(t.Context(), in))(t)
	l.at("other", "ROLLBACK_COMPLETE")
	if !l.hasEvent("other", "HandlerErrorCode: AccessDenied") {
		t.Errorf("events:\n%s", strings.Join(l.events("other"), "\n"))
	}
	in.RoleARN, in.StackName = aws.String("arn:aws:iam::111111111111:role/nobody"), aws.String("third")
	_, err = l.cfn.CreateStack(t.Context(), in)
	refused(t, err, "ValidationError", "Role arn:aws:iam::111111111111:role/nobody is invalid or cannot be assumed")
}
