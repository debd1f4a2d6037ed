package cloudformation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"example.org/catchment/internal/lab/labtest"
)

const queueTemplate = `
Parameters:
  Wait: {Type: Number, Default: 30, MinValue: 1, MaxValue: 43200}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: !Ref Wait
  Policy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Version: 2012-10-17
        Statement:
          - {Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: sqs:SendMessage, Resource: !GetAtt Queue.Arn}
Outputs:
  Arn: {Value: !GetAtt Queue.Arn, Export: {Name: !Sub "${AWS::StackName}-arn"}}
`

func TestAStackIsMadeChangedAndTakenAway(t *testing.T) {
	l := newLab(t)
	st := l.create("one", queueTemplate, "CREATE_COMPLETE")
	want := []string{
		"one CREATE_IN_PROGRESS: User Initiated",
		"Queue CREATE_IN_PROGRESS", "Queue CREATE_IN_PROGRESS: Resource creation Initiated", "Queue CREATE_COMPLETE",
		"Policy CREATE_IN_PROGRESS", "Policy CREATE_IN_PROGRESS: Resource creation Initiated", "Policy CREATE_COMPLETE",
		"one CREATE_COMPLETE",
	}
	if got := l.events("one"); !slices.Equal(got, want) {
		t.Errorf("events:\n%s", strings.Join(got, "\n"))
	}
	if len(st.Outputs) != 1 || aws.ToString(st.Outputs[0].ExportName) != "one-arn" || !strings.HasPrefix(*st.Outputs[0].OutputValue, "arn:aws:sqs:") {
		t.Errorf("outputs: %+v", st.Outputs)
	}
	queue := l.physical("one")["Queue"]
	client := sqs.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
	attributes := func() map[string]string {
		out := ok(client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: []sqstypes.QueueAttributeName{"All"}}))(t)
		return out.Attributes
	}
	if a := attributes(); a["VisibilityTimeout"] != "30" || !strings.Contains(a["Policy"], "events.amazonaws.com") {
		t.Errorf("the queue is %v", a)
	}
	l.update("one", strings.Replace(queueTemplate, "Default: 30", "Default: 90", 1), "UPDATE_COMPLETE")
	if a := attributes(); a["VisibilityTimeout"] != "90" {
		t.Errorf("after the update the queue is %v", a)
	}
	_, err := l.cfn.UpdateStack(t.Context(), &cfn.UpdateStackInput{StackName: aws.String("one"), UsePreviousTemplate: aws.Bool(true)})
	refused(t, err, "ValidationError", "No updates are to be performed.")
	ok(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("one")}))(t)
	labtest.Advance(t, l.cloud, 10*time.Second)
	_, err = l.cfn.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: aws.String("one")})
	refused(t, err, "ValidationError", "Stack with id one does not exist")
	gone := ok(l.cfn.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: st.StackId}))(t)
	if gone.Stacks[0].StackStatus != "DELETE_COMPLETE" {
		t.Errorf("by its id the deleted stack is %s", gone.Stacks[0].StackStatus)
	}
	if _, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &queue}); err == nil {
		t.Error("the queue is still there")
	}
}

func TestAReplacementComesBeforeTheOldGoes(t *testing.T) {
	l := newLab(t)
	body := func(name string) string {
		return `{"Resources":{"Queue":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"` + name + `"}},
			"Topic":{"Type":"AWS::SNS::Topic","Properties":{"DisplayName":{"Fn::GetAtt":["Queue","QueueName"]}}}}}`
	}
	l.create("two", body("first"), "CREATE_COMPLETE")
	l.update("two", body("second"), "UPDATE_COMPLETE")
	if got := l.physical("two")["Queue"]; !strings.HasSuffix(got, "/second") {
		t.Errorf("the queue is %s", got)
	}
	events := strings.Join(l.events("two"), "\n")
	for _, want := range []string{
		"Queue UPDATE_IN_PROGRESS: Requested update requires the creation of a new physical resource; hence creating one.",
		"Topic UPDATE_COMPLETE\ntwo UPDATE_COMPLETE_CLEANUP_IN_PROGRESS\nQueue DELETE_IN_PROGRESS\nQueue DELETE_COMPLETE\ntwo UPDATE_COMPLETE",
	} {
		if !strings.Contains(events, want) {
			t.Errorf("events:\n%s\nwant:\n%s", events, want)
		}
	}
}

func TestWhatFailsIsRolledBack(t *testing.T) {
	l := newLab(t)
	st := l.create("bad", `
Resources:
  Good: {Type: AWS::SQS::Queue}
  Bad:
    Type: AWS::SQS::Queue
    DependsOn: Good
    Properties: {VisibilityTimeout: 99999999}
`, "ROLLBACK_COMPLETE")
	if !l.hasEvent("bad", "The following resource(s) failed to create: [Bad]. Rollback requested by user.") || !l.hasEvent("bad", "Good DELETE_COMPLETE") {
		t.Errorf("reason %v, events:\n%s", aws.ToString(st.StackStatusReason), strings.Join(l.events("bad"), "\n"))
	}
	_, err := l.cfn.UpdateStack(t.Context(), &cfn.UpdateStackInput{StackName: aws.String("bad"), TemplateBody: aws.String(queueTemplate)})
	refused(t, err, "ValidationError", "Stack:"+*st.StackId+" is in ROLLBACK_COMPLETE state and can not be updated.")

	l.create("kept", queueTemplate, "CREATE_COMPLETE")
	before := l.physical("kept")
	l.update("kept", strings.Replace(queueTemplate, "Outputs:", "  Topic: {Type: AWS::SNS::Topic, DependsOn: Policy, Properties: {Colour: red}}\nOutputs:", 1)+"", "UPDATE_ROLLBACK_COMPLETE")
	if !l.hasEvent("kept", "Properties validation failed for resource Topic with message:\n[#: extraneous key [Colour] is not permitted]") {
		t.Errorf("events:\n%s", strings.Join(l.events("kept"), "\n"))
	}
	after := l.physical("kept")
	if len(after) != len(before) || after["Queue"] != before["Queue"] {
		t.Errorf("before: %v\nafter:  %v", before, after)
	}
}

func TestAnUpdateThatFailsIsUndone(t *testing.T) {
	l := newLab(t)
	body := func(wait, name, broken string) string {
		return `
Resources:
  A: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: ` + wait + `}}
  B: {Type: AWS::SQS::Queue, DependsOn: A, Properties: {QueueName: ` + name + `}}
  C: {Type: AWS::SQS::Queue, DependsOn: B, Properties: {VisibilityTimeout: ` + broken + `}}
`
	}
	l.create("undo", body("30", "b-one", "30"), "CREATE_COMPLETE")
	before := l.physical("undo")
	l.update("undo", body("60", "b-two", "99999999"), "UPDATE_ROLLBACK_COMPLETE")
	if after := l.physical("undo"); after["A"] != before["A"] || after["B"] != before["B"] || after["C"] != before["C"] {
		t.Errorf("before: %v\nafter:  %v", before, after)
	}
	client := sqs.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
	out := ok(client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: aws.String(before["A"]), AttributeNames: []sqstypes.QueueAttributeName{"All"}}))(t)
	if out.Attributes["VisibilityTimeout"] != "30" {
		t.Errorf("A was not set back: %v", out.Attributes)
	}
	queues := ok(client.ListQueues(t.Context(), &sqs.ListQueuesInput{}))(t)
	if len(queues.QueueUrls) != 3 {
		t.Errorf("the queues are %v", queues.QueueUrls)
	}
	l.update("undo", body("60", "b-three", "60"), "UPDATE_COMPLETE")
}

func (l *lab) hasEvent(stack, part string) bool {
	l.t.Helper()
	return slices.ContainsFunc(l.events(stack), func(e string) bool { return strings.Contains(e, part) })
}
