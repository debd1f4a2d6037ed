package sqs_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"example.org/catchment/internal/lab/labtest"
)

func (l *lab) sendFIFO(url *string, body, group, dedup string) *sqs.SendMessageOutput {
	l.t.Helper()
	in := &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body, MessageGroupId: &group}
	if dedup != "" {
		in.MessageDeduplicationId = &dedup
	}
	out, err := l.SendMessage(l.t.Context(), in)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

func TestFIFOKeepsTheOrderOfAGroup(t *testing.T) {
	l := newLab(t)
	url := l.queue("a.fifo", "FifoQueue", "true")
	for _, b := range []string{"a1", "a2", "b1", "a3"} {
		l.sendFIFO(url, b, b[:1], b)
	}
	out, err := l.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 2})
	if err != nil || bodies(out.Messages) != "a1 a2" {
		t.Fatalf("received %q, error %v", bodies(out.Messages), err)
	}
	if got := l.receive(url); bodies(got) != "b1" {
		t.Fatalf("received %q while a1 and a2 are in flight, want b1", bodies(got))
	}
	l.delete(url, out.Messages[0])
	if got := l.receive(url); len(got) != 0 {
		t.Fatalf("received %q while a2 is in flight", bodies(got))
	}
	if err := l.visibility(url, out.Messages[1], 0); err != nil {
		t.Fatal(err)
	}
	if got := l.receive(url); bodies(got) != "a2 a3" || got[0].Attributes["SequenceNumber"] >= got[1].Attributes["SequenceNumber"] || len(got[0].Attributes["SequenceNumber"]) != 20 {
		t.Fatalf("received %+v", got)
	}
	_, err = l.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: out.Messages[1].ReceiptHandle})
	if code(err) != "InvalidParameterValue" {
		t.Errorf("an old handle: error %v", err)
	}
}

func TestFIFOKnowsAMessageForFiveMinutes(t *testing.T) {
	for name, tt := range map[string]struct {
		attributes []string
		send       [][3]string // body, group, deduplication id
		want       string
	}{
		"by its id":      {nil, [][3]string{{"x", "g", "1"}, {"y", "g", "1"}, {"y", "g", "2"}}, "x y"},
		"in any group":   {nil, [][3]string{{"x", "g", "1"}, {"y", "h", "1"}}, "x"},
		"by its content": {[]string{"ContentBasedDeduplication", "true"}, [][3]string{{"x", "g", ""}, {"x", "g", ""}, {"x", "g", "1"}}, "x x"},
		"in its group": {
			[]string{"DeduplicationScope", "messageGroup"},
			[][3]string{{"x", "g", "1"}, {"y", "h", "1"}, {"z", "g", "1"}},
			"x y",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			url := l.queue("a.fifo", append([]string{"FifoQueue", "true"}, tt.attributes...)...)
			ids := make(map[string]bool)
			for _, m := range tt.send {
				ids[*l.sendFIFO(url, m[0], m[1], m[2]).MessageId] = true
			}
			got := l.receive(url)
			if bodies(got) != tt.want || len(ids) != len(got) {
				t.Fatalf("received %q with %d ids, want %q", bodies(got), len(ids), tt.want)
			}
			for _, m := range got {
				l.delete(url, m)
			}
			m := tt.send[0]
			labtest.Advance(t, l.cloud, 5*time.Minute-1)
			l.sendFIFO(url, m[0], m[1], m[2])
			if got := l.receive(url); len(got) != 0 {
				t.Errorf("received %q again before five minutes", bodies(got))
			}
			labtest.Advance(t, l.cloud, 1)
			l.sendFIFO(url, m[0], m[1], m[2])
			if got := l.receive(url); bodies(got) != m[0] {
				t.Errorf("received %q after five minutes", bodies(got))
			}
		})
	}
}

func TestFIFORefuses(t *testing.T) {
	l := newLab(t)
	url := l.queue("a.fifo", "FifoQueue", "true")
	for name, tt := range map[string]struct {
		in   sqs.SendMessageInput
		code string
	}{
		"no group":             {sqs.SendMessageInput{MessageDeduplicationId: aws.String("x")}, "MissingParameter"},
		"no deduplication id":  {sqs.SendMessageInput{MessageGroupId: aws.String("g")}, "InvalidParameterValue"},
		"a delay of a message": {sqs.SendMessageInput{MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("x"), DelaySeconds: 1}, "InvalidParameterValue"},
		"an id with a space":   {sqs.SendMessageInput{MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("x y")}, "InvalidParameterValue"},
	} {
		tt.in.QueueUrl, tt.in.MessageBody = url, aws.String("x")
		if _, err := l.SendMessage(t.Context(), &tt.in); code(err) != tt.code {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestADeadLetterMakesRoomForTheNextOfItsGroup(t *testing.T) {
	l := newLab(t)
	dead := l.queue("dead.fifo", "FifoQueue", "true")
	url := l.queue("a.fifo", "FifoQueue", "true", "VisibilityTimeout", "0", "RedrivePolicy", redrive("dead.fifo", 1))
	l.sendFIFO(url, "a1", "g", "1")
	l.sendFIFO(url, "a2", "g", "2")
	one, err := l.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url})
	if err != nil || bodies(one.Messages) != "a1" {
		t.Fatalf("received %q, error %v", bodies(one.Messages), err)
	}
	if got := l.receive(url); bodies(got) != "a2" {
		t.Errorf("received %q, want a2", bodies(got))
	}
	if got := l.receive(dead); bodies(got) != "a1" {
		t.Errorf("dead letters %q, want a1", bodies(got))
	}
}
