package cloudformation_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"example.org/catchment/internal/lab/labtest"
)

// changes makes a change set and waits for it.
func (l *lab) changes(t *testing.T, in *cfn.CreateChangeSetInput) *cfn.DescribeChangeSetOutput {
	t.Helper()
	in.ChangeSetName = aws.String("set")
	made := ok(l.cfn.CreateChangeSet(t.Context(), in))(t)
	labtest.Advance(t, l.cloud, time.Second)
	return ok(l.cfn.DescribeChangeSet(t.Context(), &cfn.DescribeChangeSetInput{ChangeSetName: made.Id}))(t)
}

func TestAChangeSetCanTakeBackWhatWasChangedBehindTheStack(t *testing.T) {
	for name, tt := range map[string]struct {
		harm   func(*sqs.Client, string) error
		action types.ChangeAction
	}{
		"changed": {func(c *sqs.Client, queue string) error {
			_, err := c.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &queue, Attributes: map[string]string{"VisibilityTimeout": "7"}})
			return err
		}, types.ChangeActionModify},
		"deleted": {func(c *sqs.Client, queue string) error {
			_, err := c.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &queue})
			return err
		}, types.ChangeActionAdd},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.create("one", queueTemplate, "CREATE_COMPLETE")
			client := sqs.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
			if err := tt.harm(client, l.physical("one")["Queue"]); err != nil {
				t.Fatal(err)
			}
			in := &cfn.CreateChangeSetInput{StackName: aws.String("one"), TemplateBody: aws.String(queueTemplate)}
			if set := l.changes(t, in); len(set.Changes) != 0 {
				t.Errorf("a change set of the common kind sees %+v", set.Changes)
			}
			ok(l.cfn.DeleteChangeSet(t.Context(), &cfn.DeleteChangeSetInput{StackName: aws.String("one"), ChangeSetName: aws.String("set")}))(t)
			in.DeploymentMode = types.DeploymentModeRevertDrift
			set := l.changes(t, in)
			found := false
			for _, c := range set.Changes {
				found = found || aws.ToString(c.ResourceChange.LogicalResourceId) == "Queue" && c.ResourceChange.Action == tt.action
			}
			if !found {
				t.Fatalf("got %+v", set.Changes)
			}
			ok(l.cfn.ExecuteChangeSet(t.Context(), &cfn.ExecuteChangeSetInput{ChangeSetName: set.ChangeSetId}))(t)
			if st := l.wait("one"); st.StackStatus != "UPDATE_COMPLETE" {
				t.Fatalf("the stack is %s: %s", st.StackStatus, aws.ToString(st.StackStatusReason))
			}
			queue := l.physical("one")["Queue"]
			got := ok(client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: []sqstypes.QueueAttributeName{"All"}}))(t)
			if got.Attributes["VisibilityTimeout"] != "30" || got.Attributes["Policy"] == "" {
				t.Errorf("the queue is %v", got.Attributes)
			}
		})
	}
	l := newLab(t)
	_, err := l.cfn.CreateChangeSet(t.Context(), &cfn.CreateChangeSetInput{
		StackName: aws.String("new"), ChangeSetName: aws.String("set"), ChangeSetType: types.ChangeSetTypeCreate, TemplateBody: aws.String(queueTemplate),
		DeploymentMode: types.DeploymentModeRevertDrift,
	})
	refused(t, err, "ValidationError", "DeploymentMode REVERT_DRIFT: expected REVERT_DRIFT, with ChangeSetType UPDATE")
}

func TestABucketThatIsThereCanBecomeTheStacks(t *testing.T) {
	const retained = `
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    Properties: {BucketName: kept, VersioningConfiguration: {Status: Enabled}}
`
	l := newLab(t)
	l.create("one", retained, "CREATE_COMPLETE")
	ok(l.cfn.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("one")}))(t)
	labtest.Advance(t, l.cloud, 10*time.Second)
	client := s3.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
	ok(client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("kept")}))(t)
	l.create("two", retained, "ROLLBACK_COMPLETE")
	set := l.changes(t, &cfn.CreateChangeSetInput{
		StackName: aws.String("three"), ChangeSetType: types.ChangeSetTypeCreate, TemplateBody: aws.String(retained), ImportExistingResources: aws.Bool(true),
	})
	ok(l.cfn.ExecuteChangeSet(t.Context(), &cfn.ExecuteChangeSetInput{ChangeSetName: set.ChangeSetId}))(t)
	if st := l.wait("three"); st.StackStatus != "CREATE_COMPLETE" || l.physical("three")["Bucket"] != "kept" {
		t.Errorf("the stack is %s: %v", st.StackStatus, l.physical("three"))
	}
}
