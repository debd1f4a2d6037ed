package sqs_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"example.org/catchment/internal/lab/labtest"
	labsqs "example.org/catchment/internal/lab/sqs"
)

func (l *lab) visibility(url *string, m types.Message, seconds int32) error {
	l.t.Helper()
	_, err := l.ChangeMessageVisibility(l.t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
	return err
}

func TestAMessageIsHiddenUntilItsTimeoutEnds(t *testing.T) {
	l := newLab(t)
	url := l.queue("a", "VisibilityTimeout", "10")
	l.send(url, "x")
	first := l.receive(url)
	labtest.Advance(t, l.cloud, 10*time.Second-1)
	if got := l.receive(url); bodies(first) != "x" || len(got) != 0 {
		t.Fatalf("received %q, and then %q", bodies(first), bodies(got))
	}
	labtest.Advance(t, l.cloud, 1)
	second := l.receive(url)
	if bodies(second) != "x" || second[0].Attributes["ApproximateReceiveCount"] != "2" || *first[0].ReceiptHandle == *second[0].ReceiptHandle {
		t.Fatalf("received %+v", second)
	}
	l.delete(url, first[0]) // an old handle: no error, and nothing deleted
	if err := l.visibility(url, second[0], 0); err != nil {
		t.Fatal(err)
	}
	third := l.receive(url)
	if bodies(third) != "x" {
		t.Fatal("the message is gone, though only an old handle was deleted")
	}
	labtest.Advance(t, l.cloud, time.Minute)
	l.delete(url, third[0]) // its newest handle, though its timeout has ended
	l.delete(url, third[0])
	if got := l.receive(url); len(got) != 0 {
		t.Errorf("received %q after it was deleted", bodies(got))
	}
}

func TestChangingVisibility(t *testing.T) {
	l := newLab(t)
	url, other := l.queue("a"), l.queue("b")
	l.send(url, "x")
	m := l.receive(url)[0]
	if err := l.visibility(url, m, 43200); err != nil {
		t.Error(err)
	}
	labtest.Advance(t, l.cloud, time.Hour)
	if err := l.visibility(url, m, 43200); code(err) != "InvalidParameterValue" {
		t.Errorf("13 hours in all: error %v", err)
	}
	if err := l.visibility(url, m, 43201); code(err) != "InvalidParameterValue" {
		t.Errorf("more than 12 hours: error %v", err)
	}
	if err := l.visibility(other, m, 1); !is[*types.ReceiptHandleIsInvalid](err) {
		t.Errorf("another queue's handle: error %v", err)
	}
	if err := l.visibility(url, types.Message{ReceiptHandle: aws.String("x")}, 1); !is[*types.ReceiptHandleIsInvalid](err) {
		t.Errorf("a handle that is none: error %v", err)
	}
	if err := l.visibility(url, types.Message{ReceiptHandle: aws.String("")}, 1); code(err) != "MissingParameter" {
		t.Errorf("no handle: error %v", err)
	}
	if err := l.visibility(url, m, 0); err != nil {
		t.Error(err)
	}
	if err := l.visibility(url, m, 5); !is[*types.MessageNotInflight](err) || code(err) != "AWS.SimpleQueueService.MessageNotInflight" {
		t.Errorf("a message that is visible: error %v", err)
	}
	l.delete(url, m)
	if err := l.visibility(url, m, 5); code(err) != "InvalidParameterValue" {
		t.Errorf("a message that is deleted: error %v", err)
	}
}

func TestDelaysAndRetention(t *testing.T) {
	l := newLab(t)
	url := l.queue("a", "DelaySeconds", "20", "MessageRetentionPeriod", "60")
	l.send(url, "queue's")
	if _, err := l.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("own"), DelaySeconds: 10}); err != nil {
		t.Fatal(err)
	}
	if got := l.receive(url); len(got) != 0 {
		t.Errorf("received %q at once", bodies(got))
	}
	labtest.Advance(t, l.cloud, 10*time.Second)
	if got := l.receive(url); bodies(got) != "own" {
		t.Errorf("received %q after 10 s", bodies(got))
	}
	labtest.Advance(t, l.cloud, 10*time.Second)
	if got := l.receive(url); bodies(got) != "queue's" {
		t.Errorf("received %q after 20 s", bodies(got))
	}
	labtest.Advance(t, l.cloud, 40*time.Second)
	if got := l.receive(url); len(got) != 0 {
		t.Errorf("received %q after its retention", bodies(got))
	}
	states := l.sqs.Inspect().([]labsqs.QueueState)
	if len(states) != 1 || states[0].Expired != 2 || states[0].Sent != 2 || states[0].Received != 2 || states[0].Visible+states[0].InFlight+states[0].Delayed != 0 {
		t.Errorf("state %+v", states)
	}
}

func TestReceivesThatAreRefused(t *testing.T) {
	l := newLab(t)
	url := l.queue("a")
	for name, in := range map[string]*sqs.ReceiveMessageInput{
		"eleven messages":         {MaxNumberOfMessages: 11},
		"a negative number":       {MaxNumberOfMessages: -1},
		"a wait of 21 seconds":    {WaitTimeSeconds: 21},
		"a timeout of 12 hours 1": {VisibilityTimeout: 43201},
	} {
		in.QueueUrl = url
		if _, err := l.ReceiveMessage(t.Context(), in); code(err) != "InvalidParameterValue" {
			t.Errorf("%s: error %v", name, err)
		}
	}
	_, err := l.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"Colour"}})
	if code(err) != "InvalidAttributeName" {
		t.Errorf("an attribute that is not: error %v", err)
	}
	if _, err := l.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"Colour"}}); !is[*types.InvalidAttributeName](err) {
		t.Errorf("an attribute of a queue that is not: error %v", err)
	}
	if _, err := l.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"FifoQueue": "true"}}); !is[*types.InvalidAttributeValue](err) {
		t.Errorf("making it FIFO: error %v", err)
	}
	if _, err := l.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{}}); code(err) != "MissingParameter" {
		t.Errorf("setting nothing: error %v", err)
	}
}

func TestAReceiveThatWaits(t *testing.T) {
	for name, then := range map[string]func(*lab, *string){
		"wakes when a message comes":          func(l *lab, url *string) { l.send(url, "x") },
		"wakes when the clock makes one seen": func(l *lab, _ *string) { labtest.Advance(l.t, l.cloud, 30*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			url := l.queue("a", "ReceiveMessageWaitTimeSeconds", "20")
			if name == "wakes when the clock makes one seen" {
				l.send(url, "x")
				l.receive(url)
			}
			done := make(chan string)
			go func() {
				out, err := l.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url})
				if err != nil {
					done <- err.Error()
					return
				}
				done <- bodies(out.Messages)
			}()
			select {
			case got := <-done:
				t.Fatalf("received %q at once", got)
			case <-time.After(50 * time.Millisecond):
			}
			then(l, url)
			select {
			case got := <-done:
				if got != "x" {
					t.Errorf("received %q", got)
				}
			case <-time.After(10 * time.Second):
				t.Error("it still waits")
			}
		})
	}
	t.Run("ends with its time, and with its client", func(t *testing.T) {
		l := newLab(t)
		url := l.queue("a")
		start := time.Now()
		out, err := l.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 1})
		if took := time.Since(start); err != nil || len(out.Messages) != 0 || took < time.Second || took > 5*time.Second {
			t.Errorf("received %+v after %v, error %v", out, took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := l.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20}); err == nil {
			t.Error("no error of the client")
		}
	})
	t.Run("ends when the queue is deleted", func(t *testing.T) {
		l := newLab(t)
		url := l.queue("a")
		done := make(chan error)
		go func() {
			_, err := l.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
			done <- err
		}()
		time.AfterFunc(50*time.Millisecond, func() {
			_, _ = l.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: url})
		})
		if err := <-done; !is[*types.QueueDoesNotExist](err) {
			t.Errorf("error %v", err)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	l := newLab(t)
	dead := l.queue("dead")
	url := l.queue("a", "VisibilityTimeout", "1", "RedrivePolicy", redrive("dead", 2))
	if _, err := l.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"k": text("v")}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := l.receive(url); bodies(got) != "x" {
			t.Fatalf("received %q", bodies(got))
		}
		labtest.Advance(t, l.cloud, time.Second)
	}
	if got := l.receive(url); len(got) != 0 {
		t.Errorf("received %q a third time", bodies(got))
	}
	got := l.receive(dead)
	if bodies(got) != "x" || got[0].Attributes["DeadLetterQueueSourceArn"] != "arn:aws:sqs:ap-northeast-1:111111111111:a" || *got[0].MessageAttributes["k"].StringValue != "v" {
		t.Fatalf("dead letters %+v", got)
	}

	t.Run("go back where they came from", func(t *testing.T) {
		if err := l.visibility(dead, got[0], 0); err != nil {
			t.Fatal(err)
		}
		source := aws.String("arn:aws:sqs:ap-northeast-1:111111111111:dead")
		if _, err := l.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: source}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: source}); !is[*types.UnsupportedOperation](err) {
			t.Errorf("a second task: error %v", err)
		}
		labtest.Settle(t, l.cloud)
		if got := l.receive(url); bodies(got) != "x" {
			t.Errorf("received %q", bodies(got))
		}
		tasks, err := l.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: source})
		if err != nil || len(tasks.Results) != 1 || *tasks.Results[0].Status != "COMPLETED" || tasks.Results[0].ApproximateNumberOfMessagesMoved != 1 {
			t.Errorf("tasks %+v, error %v", tasks, err)
		}
	})
}

func TestMovingMessages(t *testing.T) {
	l := newLab(t)
	dead, to := l.queue("dead"), l.queue("to")
	l.queue("a", "RedrivePolicy", redrive("dead", 2))
	for range 5 {
		l.send(dead, "x")
	}
	arn := func(name string) *string { return aws.String("arn:aws:sqs:ap-northeast-1:111111111111:" + name) }
	start := func(in sqs.StartMessageMoveTaskInput) error {
		_, err := l.StartMessageMoveTask(t.Context(), &in)
		return err
	}
	for name, tt := range map[string]struct {
		in   sqs.StartMessageMoveTaskInput
		code string
	}{
		"no source":            {sqs.StartMessageMoveTaskInput{SourceArn: arn("none")}, "ResourceNotFoundException"},
		"no destination":       {sqs.StartMessageMoveTaskInput{SourceArn: arn("dead"), DestinationArn: arn("none")}, "ResourceNotFoundException"},
		"to itself":            {sqs.StartMessageMoveTaskInput{SourceArn: arn("dead"), DestinationArn: arn("dead")}, "InvalidParameterValue"},
		"nobody's dead letter": {sqs.StartMessageMoveTaskInput{SourceArn: arn("to")}, "InvalidParameterValue"},
		"a rate of 501":        {sqs.StartMessageMoveTaskInput{SourceArn: arn("dead"), MaxNumberOfMessagesPerSecond: aws.Int32(501)}, "InvalidParameterValue"},
	} {
		if err := start(tt.in); code(err) != tt.code {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := start(sqs.StartMessageMoveTaskInput{SourceArn: arn("dead"), DestinationArn: arn("to"), MaxNumberOfMessagesPerSecond: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, l.cloud, time.Second)
	if got := l.receive(to); bodies(got) != "x x x x" {
		t.Errorf("moved %q in the first second", bodies(got))
	}
	tasks, err := l.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: arn("dead"), MaxResults: aws.Int32(10)})
	if err != nil || len(tasks.Results) != 1 || *tasks.Results[0].Status != "RUNNING" {
		t.Fatalf("tasks %+v, error %v", tasks, err)
	}
	out, err := l.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: tasks.Results[0].TaskHandle})
	if err != nil || out.ApproximateNumberOfMessagesMoved != 4 {
		t.Errorf("cancelled %+v, error %v", out, err)
	}
	labtest.Advance(t, l.cloud, time.Minute)
	if got := l.attributes(dead)["ApproximateNumberOfMessages"]; got != "1" {
		t.Errorf("%s messages are left, want 1", got)
	}
	if _, err := l.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: tasks.Results[0].TaskHandle}); !is[*types.UnsupportedOperation](err) {
		t.Errorf("cancelling again: error %v", err)
	}
	if _, err := l.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: aws.String("x")}); !is[*types.ResourceNotFoundException](err) {
		t.Errorf("cancelling nothing: error %v", err)
	}
	// None of these was a dead letter, so it is not known where to.
	if err := start(sqs.StartMessageMoveTaskInput{SourceArn: arn("dead")}); err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, l.cloud)
	tasks, err = l.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: arn("dead")})
	if err != nil || *tasks.Results[0].Status != "FAILED" || *tasks.Results[0].FailureReason == "" {
		t.Errorf("tasks %+v, error %v", tasks, err)
	}
}

func TestDuplicates(t *testing.T) {
	l := newLab(t)
	if err := l.sqs.SetDuplicates(1.5); err == nil {
		t.Error("a share of 1.5 was taken")
	}
	if err := l.sqs.SetDuplicates(1); err != nil {
		t.Fatal(err)
	}
	url := l.queue("a")
	l.send(url, "x")
	first := l.receive(url)
	l.delete(url, first[0])
	again := l.receive(url)
	if bodies(again) != "x" || *again[0].MessageId != *first[0].MessageId {
		t.Fatalf("received %+v after it was deleted, want it again", again)
	}
	l.delete(url, again[0])
	if got := l.receive(url); len(got) != 0 {
		t.Errorf("received %q a third time", bodies(got))
	}
}

func TestPermissionsWithLabels(t *testing.T) {
	l := newLab(t)
	url := l.queue("a")
	add := func(label string, accounts, actions []string) error {
		_, err := l.AddPermission(t.Context(), &sqs.AddPermissionInput{QueueUrl: url, Label: &label, AWSAccountIds: accounts, Actions: actions})
		return err
	}
	member := []string{labtest.Member}
	if err := add("one", member, []string{"SendMessage", "GetQueueUrl"}); err != nil {
		t.Fatal(err)
	}
	want := `{"Version":"2012-10-17","Id":"arn:aws:sqs:ap-northeast-1:111111111111:a/SQSDefaultPolicy","Statement":[{"Sid":"one","Effect":"Allow",` +
		`"Principal":{"AWS":["arn:aws:iam::222222222222:root"]},"Action":["SQS:SendMessage","SQS:GetQueueUrl"],"Resource":"arn:aws:sqs:ap-northeast-1:111111111111:a"}]}`
	if got := l.attributes(url)["Policy"]; got != want {
		t.Errorf("policy %s", got)
	}
	for name, tt := range map[string]struct {
		err  error
		code string
	}{
		"the label again":        {add("one", member, []string{"SendMessage"}), "InvalidParameterValue"},
		"a label with a dot":     {add("a.b", member, []string{"SendMessage"}), "InvalidParameterValue"},
		"an account that is not": {add("two", []string{"333333333333"}, []string{"SendMessage"}), "InvalidParameterValue"},
		"an owner's action":      {add("two", member, []string{"DeleteQueue"}), "InvalidParameterValue"},
		"nobody":                 {add("two", []string{}, []string{"SendMessage"}), "MissingParameter"},
		"nothing":                {add("two", member, []string{}), "MissingParameter"},
		"eight actions":          {add("two", member, []string{"*", "*", "*", "*", "*", "*", "*", "*"}), "OverLimit"},
	} {
		if code(tt.err) != tt.code {
			t.Errorf("%s: error %v", name, tt.err)
		}
	}
	remove := func(label string) error {
		_, err := l.RemovePermission(t.Context(), &sqs.RemovePermissionInput{QueueUrl: url, Label: &label})
		return err
	}
	if err := remove("two"); code(err) != "InvalidParameterValue" {
		t.Errorf("a label that is not: error %v", err)
	}
	if err := remove("one"); err != nil || l.attributes(url)["Policy"] != "" {
		t.Errorf("error %v, policy %q", err, l.attributes(url)["Policy"])
	}
}
