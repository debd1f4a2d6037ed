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

	"example.org/catchment/internal/lab/labtest"
)

// changeSet makes a change set, and describes it when it is done.
func (l *lab) changeSet(stack, name, body string, kind types.ChangeSetType) *cfn.DescribeChangeSetOutput {
	l.t.Helper()
	ok(l.cfn.CreateChangeSet(l.t.Context(), &cfn.CreateChangeSetInput{
		StackName: &stack, ChangeSetName: &name, TemplateBody: &body, ChangeSetType: kind, Capabilities: both,
	}))(l.t)
	labtest.Settle(l.t, l.cloud)
	return ok(l.cfn.DescribeChangeSet(l.t.Context(), &cfn.DescribeChangeSetInput{StackName: &stack, ChangeSetName: &name}))(l.t)
}

func shown(out *cfn.DescribeChangeSetOutput) []string {
	var all []string
	for _, c := range out.Changes {
		r := c.ResourceChange
		text := fmt.Sprintf("%s %s %s", r.Action, *r.LogicalResourceId, r.Replacement)
		for _, d := range r.Details {
			text += fmt.Sprintf(" %s:%s:%s", aws.ToString(d.Target.Name), d.Target.RequiresRecreation, d.Evaluation)
		}
		all = append(all, strings.TrimSpace(text))
	}
	return all
}

const changing = `
Resources:
  Named: {Type: AWS::SQS::Queue, Properties: {QueueName: NAME}}
  Plain: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: WAIT}}
  Follows: {Type: AWS::SNS::Topic, Properties: {DisplayName: !GetAtt Named.QueueName}}
  Moves: {Type: AWS::SNS::Topic, Properties: {TopicName: !Sub "${Named.QueueName}-topic"}}
  Goes: {Type: AWS::SNS::Topic}
`

func TestAChangeSetTellsWhatWouldBecomeOfEachResource(t *testing.T) {
	l := newLab(t)
	body := func(name, wait string) string {
		return strings.NewReplacer("NAME", name, "WAIT", wait).Replace(changing)
	}
	first := l.changeSet("set", "new", body("one", "30"), types.ChangeSetTypeCreate)
	if want := []string{"Add Follows", "Add Goes", "Add Moves", "Add Named", "Add Plain"}; !slices.Equal(shown(first), want) {
		t.Errorf("changes: %q", shown(first))
	}
	st := ok(l.cfn.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: aws.String("set")}))(t)
	if st.Stacks[0].StackStatus != types.StackStatusReviewInProgress || first.ExecutionStatus != types.ExecutionStatusAvailable {
		t.Errorf("the stack is %s, the change set %s", st.Stacks[0].StackStatus, first.ExecutionStatus)
	}
	ok(l.cfn.ExecuteChangeSet(t.Context(), &cfn.ExecuteChangeSetInput{ChangeSetName: first.ChangeSetId}))(t)
	l.at("set", "CREATE_COMPLETE")

	second := l.changeSet("set", "more", strings.Replace(body("two", "60"), "  Goes: {Type: AWS::SNS::Topic}", "  Comes: {Type: AWS::SNS::Topic}", 1), types.ChangeSetTypeUpdate)
	want := []string{
		"Add Comes",
		"Modify Follows False DisplayName:Never:Dynamic",
		"Remove Goes",
		"Modify Moves Conditional TopicName:Always:Dynamic",
		"Modify Named True QueueName:Always:Static",
		"Modify Plain False VisibilityTimeout:Never:Static",
	}
	if got := shown(second); !slices.Equal(got, want) {
		t.Errorf("changes:\n%s", strings.Join(got, "\n"))
	}
	list := ok(l.cfn.ListChangeSets(t.Context(), &cfn.ListChangeSetsInput{StackName: aws.String("set")}))(t)
	if len(list.Summaries) != 1 {
		t.Errorf("change sets: %+v", list.Summaries)
	}
	ok(l.cfn.ExecuteChangeSet(t.Context(), &cfn.ExecuteChangeSetInput{StackName: aws.String("set"), ChangeSetName: aws.String("more")}))(t)
	l.at("set", "UPDATE_COMPLETE")
	_, err := l.cfn.ExecuteChangeSet(t.Context(), &cfn.ExecuteChangeSetInput{ChangeSetName: second.ChangeSetId})
	refused(t, err, "InvalidChangeSetStatus", "")

	again := l.changeSet("set", "same", strings.Replace(body("two", "60"), "  Goes: {Type: AWS::SNS::Topic}", "  Comes: {Type: AWS::SNS::Topic}", 1), types.ChangeSetTypeUpdate)
	if again.Status != types.ChangeSetStatusFailed || *again.StatusReason != "The submitted information didn't contain changes. Submit different information to create a change set." {
		t.Errorf("a change set without changes is %s: %s", again.Status, aws.ToString(again.StatusReason))
	}
	bad := l.changeSet("set", "bad", strings.Replace(body("two", "60"), "WAIT", "1", 1)+"  X: {Type: AWS::SNS::Topic, Properties: {Colour: red}}\n", types.ChangeSetTypeUpdate)
	if bad.Status != types.ChangeSetStatusFailed || !strings.Contains(*bad.StatusReason, "extraneous key [Colour]") {
		t.Errorf("a change set with a wrong property is %s: %s", bad.Status, aws.ToString(bad.StatusReason))
	}
	ok(l.cfn.DeleteChangeSet(t.Context(), &cfn.DeleteChangeSetInput{StackName: aws.String("set"), ChangeSetName: aws.String("bad")}))(t)
	_, err = l.cfn.DescribeChangeSet(t.Context(), &cfn.DescribeChangeSetInput{StackName: aws.String("set"), ChangeSetName: aws.String("bad")})
	refused(t, err, "ChangeSetNotFound", "ChangeSet [bad] does not exist")
}

func TestSwitchingDynamicPartitioningMakesANewStream(t *testing.T) {
	l := newLab(t)
	body := func(on, prefix string) string {
		return `
Resources:
  Bucket: {Type: AWS::S3::Bucket}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: 2012-10-17, Statement: [{Effect: Allow, Principal: {Service: firehose.amazonaws.com}, Action: sts:AssumeRole}]}
  Stream:
    Type: AWS::KinesisFirehose::DeliveryStream
    Properties:
      ExtendedS3DestinationConfiguration:
        BucketARN: !GetAtt Bucket.Arn
        RoleARN: !GetAtt Role.Arn
        Prefix: "` + prefix + `"
        ErrorOutputPrefix: errors/
        BufferingHints: {SizeInMBs: 64, IntervalInSeconds: 60}
        DynamicPartitioningConfiguration: {Enabled: ` + on + `}
        ProcessingConfiguration:
          Enabled: true
          Processors:
            - Type: MetadataExtraction
              Parameters: [{ParameterName: MetadataExtractionQuery, ParameterValue: "{a: .a}"}, {ParameterName: JsonParsingEngine, ParameterValue: JQ-1.6}]
`
	}
	l.create("stream", body("true", "x/!{partitionKeyFromQuery:a}/"), "CREATE_COMPLETE")
	before := l.physical("stream")["Stream"]
	l.update("stream", body("true", "y/!{partitionKeyFromQuery:a}/"), "UPDATE_COMPLETE")
	if after := l.physical("stream")["Stream"]; after != before {
		t.Errorf("another prefix made another stream: %s, %s", before, after)
	}
	set := l.changeSet("stream", "off", strings.Replace(body("false", "z/"), "Enabled: true\n          Processors", "Enabled: false\n          Processors", 1), types.ChangeSetTypeUpdate)
	if set.Changes[0].ResourceChange.Replacement != types.ReplacementTrue {
		t.Errorf("changes: %q", shown(set))
	}
}

func TestAnUpdateCanBeCancelled(t *testing.T) {
	l := newLab(t)
	body := func(wait string) string {
		return "Resources:\n  A: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: " + wait + "}}\n" +
			"  B: {Type: AWS::SQS::Queue, DependsOn: A, Properties: {VisibilityTimeout: " + wait + "}}\n"
	}
	l.create("stop", body("1"), "CREATE_COMPLETE")
	_, err := l.cfn.CancelUpdateStack(t.Context(), &cfn.CancelUpdateStackInput{StackName: aws.String("stop")})
	refused(t, err, "ValidationError", "CancelUpdateStack cannot be called from current stack status")
	ok(l.cfn.UpdateStack(t.Context(), &cfn.UpdateStackInput{StackName: aws.String("stop"), TemplateBody: aws.String(body("2"))}))(t)
	labtest.Advance(t, l.cloud, 500*time.Millisecond)
	ok(l.cfn.CancelUpdateStack(t.Context(), &cfn.CancelUpdateStackInput{StackName: aws.String("stop")}))(t)
	l.at("stop", "UPDATE_ROLLBACK_COMPLETE")
	if !l.hasEvent("stop", "stop UPDATE_ROLLBACK_IN_PROGRESS: User Initiated") {
		t.Errorf("events:\n%s", strings.Join(l.events("stop"), "\n"))
	}
}
