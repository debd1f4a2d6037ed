package sqs_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

// The SDK compares the body with its checksum.
func TestAMessageComesAsItWasSent(t *testing.T) {
	l := newLab(t)
	url := l.queue("a")
	attributes := map[string]types.MessageAttributeValue{
		"name":  text("válue"),
		"count": {DataType: aws.String("Number.int"), StringValue: aws.String("-12.5e3")},
		"blob":  {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 255}},
	}
	sent, err := l.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: url, MessageBody: aws.String("hello \U0001f600\n"), MessageAttributes: attributes,
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1-5759e988-bd862e3fe1be46a994272793")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, l.cloud, 1500*time.Millisecond)
	got := l.receive(url)
	if len(got) != 1 || *got[0].Body != "hello \U0001f600\n" || *got[0].MessageId != *sent.MessageId {
		t.Fatalf("received %+v", got)
	}
	m := got[0]
	if *m.MD5OfMessageAttributes != *sent.MD5OfMessageAttributes || sent.MD5OfMessageSystemAttributes == nil {
		t.Errorf("checksums of attributes: sent %s, received %s", *sent.MD5OfMessageAttributes, *m.MD5OfMessageAttributes)
	}
	for name, a := range attributes {
		if b := m.MessageAttributes[name]; *a.DataType != *b.DataType || aws.ToString(a.StringValue) != aws.ToString(b.StringValue) || string(a.BinaryValue) != string(b.BinaryValue) {
			t.Errorf("attribute %s is %+v", name, b)
		}
	}
	at := strconv.FormatInt(labtest.Start.UnixMilli(), 10)
	want := map[string]string{
		"SenderId": "AIDALABS111111111111", "SentTimestamp": at, "ApproximateReceiveCount": "1",
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(labtest.Start.UnixMilli()+1500, 10),
		"AWSTraceHeader":                   "Root=1-5759e988-bd862e3fe1be46a994272793",
	}
	if diff := cmp.Diff(want, m.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestOnlyAttributesThatAreAskedForAreSent(t *testing.T) {
	for name, tt := range map[string]struct {
		ask, system []string
		want        string
		known       int
	}{
		"none":       {nil, nil, "", 0},
		"one":        {[]string{"a.x"}, []string{"SentTimestamp"}, "a.x", 1},
		"a prefix":   {[]string{"a.*"}, []string{"SenderId", "MessageGroupId"}, "a.x a.y", 1},
		"all":        {[]string{"All"}, []string{"All"}, "a.x a.y b", 4},
		"all, too":   {[]string{".*"}, nil, "a.x a.y b", 0},
		"not theirs": {[]string{"c"}, nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			url := l.queue("a")
			if _, err := l.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{
				"a.x": text("1"), "a.y": text("2"), "b": text("3"),
			}}); err != nil {
				t.Fatal(err)
			}
			var system []types.MessageSystemAttributeName
			for _, s := range tt.system {
				system = append(system, types.MessageSystemAttributeName(s))
			}
			out, err := l.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: tt.ask, MessageSystemAttributeNames: system})
			if err != nil || len(out.Messages) != 1 {
				t.Fatalf("received %+v, error %v", out, err)
			}
			var got []string
			for _, n := range []string{"a.x", "a.y", "b"} {
				if _, ok := out.Messages[0].MessageAttributes[n]; ok {
					got = append(got, n)
				}
			}
			if strings.Join(got, " ") != tt.want || len(out.Messages[0].Attributes) != tt.known {
				t.Errorf("got %v and %v", got, out.Messages[0].Attributes)
			}
			if (out.Messages[0].MD5OfMessageAttributes != nil) != (tt.want != "") {
				t.Error("the checksum is not of the attributes that came")
			}
		})
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	many := make(map[string]types.MessageAttributeValue)
	for i := range 11 {
		many[fmt.Sprintf("a%d", i)] = text("x")
	}
	one := func(name string, v types.MessageAttributeValue) map[string]types.MessageAttributeValue {
		return map[string]types.MessageAttributeValue{name: v}
	}
	for name, tt := range map[string]struct {
		in   sqs.SendMessageInput
		code string
	}{
		"the longest":                    {sqs.SendMessageInput{MessageBody: aws.String(strings.Repeat("x", 1<<20))}, ""},
		"one byte more":                  {sqs.SendMessageInput{MessageBody: aws.String(strings.Repeat("x", 1<<20+1))}, "InvalidParameterValue"},
		"too long with its attributes":   {sqs.SendMessageInput{MessageBody: aws.String(strings.Repeat("x", 1<<20)), MessageAttributes: one("a", text("b"))}, "InvalidParameterValue"},
		"empty":                          {sqs.SendMessageInput{MessageBody: aws.String("")}, "MissingParameter"},
		"a character that XML has not":   {sqs.SendMessageInput{MessageBody: aws.String("a\x00")}, "InvalidMessageContents"},
		"a noncharacter":                 {sqs.SendMessageInput{MessageBody: aws.String("\uffff")}, "InvalidMessageContents"},
		"the longest delay":              {sqs.SendMessageInput{DelaySeconds: 900}, ""},
		"a longer delay":                 {sqs.SendMessageInput{DelaySeconds: 901}, "InvalidParameterValue"},
		"a negative delay":               {sqs.SendMessageInput{DelaySeconds: -1}, "InvalidParameterValue"},
		"a group (fair queues)":          {sqs.SendMessageInput{MessageGroupId: aws.String("tenant")}, ""},
		"a group with a space":           {sqs.SendMessageInput{MessageGroupId: aws.String("a b")}, "InvalidParameterValue"},
		"a deduplication id":             {sqs.SendMessageInput{MessageDeduplicationId: aws.String("x")}, "InvalidParameterValue"},
		"11 attributes":                  {sqs.SendMessageInput{MessageAttributes: many}, "InvalidParameterValue"},
		"an attribute of AWS's":          {sqs.SendMessageInput{MessageAttributes: one("AWS.x", text("x"))}, "InvalidParameterValue"},
		"a name with two dots":           {sqs.SendMessageInput{MessageAttributes: one("a..b", text("x"))}, "InvalidParameterValue"},
		"a name of 257":                  {sqs.SendMessageInput{MessageAttributes: one(strings.Repeat("a", 257), text("x"))}, "InvalidParameterValue"},
		"an empty value":                 {sqs.SendMessageInput{MessageAttributes: one("a", text(""))}, "InvalidParameterValue"},
		"a value with a NUL":             {sqs.SendMessageInput{MessageAttributes: one("a", text("\x00"))}, "InvalidMessageContents"},
		"a type that is not":             {sqs.SendMessageInput{MessageAttributes: one("a", types.MessageAttributeValue{DataType: aws.String("Date"), StringValue: aws.String("x")})}, "InvalidParameterValue"},
		"an empty type":                  {sqs.SendMessageInput{MessageAttributes: one("a", types.MessageAttributeValue{DataType: aws.String(""), StringValue: aws.String("x")})}, "InvalidParameterValue"},
		"a number that is none":          {sqs.SendMessageInput{MessageAttributes: one("a", types.MessageAttributeValue{DataType: aws.String("Number"), StringValue: aws.String("x")})}, "InvalidParameterValue"},
		"a number that is too large":     {sqs.SendMessageInput{MessageAttributes: one("a", types.MessageAttributeValue{DataType: aws.String("Number"), StringValue: aws.String("1e200")})}, "InvalidParameterValue"},
		"binary without bytes":           {sqs.SendMessageInput{MessageAttributes: one("a", types.MessageAttributeValue{DataType: aws.String("Binary")})}, "InvalidParameterValue"},
		"a system attribute that is not": {sqs.SendMessageInput{MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"x": {DataType: aws.String("String"), StringValue: aws.String("x")}}}, "InvalidParameterValue"},
		"no queue":                       {sqs.SendMessageInput{QueueUrl: aws.String("http://127.0.0.1/111111111111/none")}, "AWS.SimpleQueueService.NonExistentQueue"},
		"no URL of a queue":              {sqs.SendMessageInput{QueueUrl: aws.String("http://127.0.0.1/x")}, "InvalidAddress"},
		"an empty URL":                   {sqs.SendMessageInput{QueueUrl: aws.String("")}, "MissingParameter"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			url := l.queue("a")
			if tt.in.QueueUrl == nil {
				tt.in.QueueUrl = url
			}
			if tt.in.MessageBody == nil {
				tt.in.MessageBody = aws.String("x")
			}
			if _, err := l.SendMessage(t.Context(), &tt.in); code(err) != tt.code {
				t.Errorf("error %v, want code %q", err, tt.code)
			}
		})
	}
}

func TestABatchFailsByEntry(t *testing.T) {
	l := newLab(t)
	url := l.queue("a", "MaximumMessageSize", "1024")
	entry := func(id, body string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	out, err := l.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
		entry("1", "x"), entry("2", strings.Repeat("x", 1025)), entry("3", "y"), entry("4", "\x00"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Successful) != 2 || *out.Successful[1].Id != "3" || *out.Successful[1].MD5OfMessageBody != "415290769594460e2e485922904f345d" {
		t.Errorf("successful %+v", out.Successful)
	}
	if len(out.Failed) != 2 || *out.Failed[0].Id != "2" || *out.Failed[0].Code != "InvalidParameterValue" || !out.Failed[0].SenderFault || *out.Failed[1].Code != "InvalidMessageContents" {
		t.Errorf("failed %+v", out.Failed)
	}
	got := l.receive(url)
	if bodies(got) != "x y" {
		t.Errorf("received %q", bodies(got))
	}
	deleted, err := l.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got[0].ReceiptHandle}, {Id: aws.String("b"), ReceiptHandle: aws.String("AQEBxxx")},
	}})
	if err != nil || len(deleted.Successful) != 1 || len(deleted.Failed) != 1 || *deleted.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("deleted %+v, error %v", deleted, err)
	}
	changed, err := l.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got[1].ReceiptHandle, VisibilityTimeout: 0}, {Id: aws.String("b"), ReceiptHandle: got[0].ReceiptHandle, VisibilityTimeout: 1},
	}})
	if err != nil || len(changed.Successful) != 1 || len(changed.Failed) != 1 || *changed.Failed[0].Code != "InvalidParameterValue" {
		t.Errorf("changed %+v, error %v", changed, err)
	}
	if got := l.receive(url); bodies(got) != "y" {
		t.Errorf("received %q after making y visible", bodies(got))
	}
}

func TestBatchesThatAreRefused(t *testing.T) {
	entries := func(n int, size int) (out []types.SendMessageBatchRequestEntry) {
		for i := range n {
			out = append(out, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(strings.Repeat("x", size))})
		}
		return out
	}
	id := func(ids ...string) (out []types.SendMessageBatchRequestEntry) {
		for _, s := range ids {
			out = append(out, types.SendMessageBatchRequestEntry{Id: &s, MessageBody: aws.String("x")})
		}
		return out
	}
	l := newLab(t)
	url := l.queue("a")
	for name, tt := range map[string]struct {
		entries []types.SendMessageBatchRequestEntry
		code    string
		check   func(error) bool
	}{
		"ten":                 {entries(10, 1<<20/10), "", nil},
		"none":                {[]types.SendMessageBatchRequestEntry{}, "EmptyBatchRequest", is[*types.EmptyBatchRequest]},
		"eleven":              {entries(11, 1), "TooManyEntriesInBatchRequest", is[*types.TooManyEntriesInBatchRequest]},
		"more than 1 MiB":     {entries(2, 1<<19+1), "BatchRequestTooLong", is[*types.BatchRequestTooLong]},
		"an id twice":         {id("a", "b", "a"), "BatchEntryIdsNotDistinct", is[*types.BatchEntryIdsNotDistinct]},
		"an id with a dot":    {id("a.b"), "InvalidBatchEntryId", is[*types.InvalidBatchEntryId]},
		"an id of 81 letters": {id(strings.Repeat("a", 81)), "InvalidBatchEntryId", is[*types.InvalidBatchEntryId]},
	} {
		_, err := l.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: tt.entries})
		want := tt.code
		if want != "" {
			want = "AWS.SimpleQueueService." + want
		}
		if code(err) != want || tt.check != nil && !tt.check(err) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestWhatDeliversToAQueueNeedsNoClient(t *testing.T) {
	l := newLab(t)
	url, fifo := l.queue("a"), l.queue("f.fifo", "FifoQueue", "true", "ContentBasedDeduplication", "true")
	deliver := func(queue, body string, attributes map[string]string) error {
		_, err := l.cloud.Deliver(t.Context(), &cloud.Delivery{
			Source: "arn:aws:events:ap-northeast-1:111111111111:rule/r", From: "events.amazonaws.com", Account: labtest.Administrator,
			Action: "sqs:SendMessage", Target: "arn:aws:sqs:ap-northeast-1:111111111111:" + queue, Body: []byte(body), Attributes: attributes,
		})
		return err
	}
	if err := deliver("a", "{}", map[string]string{"ERROR_CODE": "NO_RESOURCE", "n:Number": "5", "b:Binary": "AAE="}); err != nil {
		t.Fatal(err)
	}
	got := l.receive(url)
	if bodies(got) != "{}" || *got[0].MessageAttributes["ERROR_CODE"].StringValue != "NO_RESOURCE" || *got[0].MessageAttributes["n"].DataType != "Number" ||
		string(got[0].MessageAttributes["b"].BinaryValue) != "\x00\x01" || got[0].Attributes["SenderId"] != "events.amazonaws.com" {
		t.Errorf("received %+v", got)
	}
	if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDuplicate, Service: "sqs"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(deliver("a", "twice", nil), deliver("f.fifo", "once", map[string]string{"MessageGroupId": "g"})); err != nil {
		t.Fatal(err)
	}
	if got := bodies(l.receive(url)); got != "twice twice" {
		t.Errorf("received %q", got)
	}
	if got := l.receive(fifo); bodies(got) != "once" || got[0].Attributes["MessageGroupId"] != "g" {
		t.Errorf("received %+v", got)
	}
	for name, tt := range map[string]struct {
		err  error
		code string
	}{
		"no queue":               {deliver("none", "x", nil), cloud.CodeNoResource},
		"a FIFO queue, no group": {deliver("f.fifo", "x", nil), cloud.CodeInternal},
		"no Base64":              {deliver("a", "x", map[string]string{"b:Binary": "%"}), cloud.CodeInternal},
		"nothing":                {deliver("a", "", nil), cloud.CodeInternal},
	} {
		if e, ok := errors.AsType[*cloud.DeliveryError](tt.err); !ok || e.Code != tt.code || e.Retry {
			t.Errorf("%s: error %v", name, tt.err)
		}
	}
}
