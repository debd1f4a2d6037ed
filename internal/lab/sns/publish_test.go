package sns_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

func TestAQueueGetsAnEnvelopeOrTheMessageItself(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	wrapped, raw := l.queue("wrapped"), l.queue("raw")
	sub := l.sub(topic, "sqs", queueARN("wrapped"))
	l.sub(topic, "sqs", queueARN("raw"), "RawMessageDelivery", "true")
	out := l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("{\"a\":\"<é>\"}"), Subject: aws.String("Finding"), MessageAttributes: map[string]types.MessageAttributeValue{
		"kind": text("x"), "n": {DataType: aws.String("Number"), StringValue: aws.String("5")}, "b": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1}},
		"list": {DataType: aws.String("String.Array"), StringValue: aws.String(`["a",1]`)},
	}})
	got := l.receive(wrapped)
	if len(got) != 1 || len(got[0].MessageAttributes) != 0 || got[0].Attributes["SenderId"] != "sns.amazonaws.com" {
		t.Fatalf("received %+v", got)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(*got[0].Body), &e); err != nil {
		t.Fatal(err)
	}
	base := "https://sns.ap-northeast-1.amazonaws.com/"
	if !strings.HasPrefix(e["SigningCertURL"].(string), base+"SimpleNotificationService-") || len(e["Signature"].(string)) != 344 {
		t.Errorf("signature %v at %v", e["Signature"], e["SigningCertURL"])
	}
	delete(e, "SigningCertURL")
	delete(e, "Signature")
	want := map[string]any{
		"Type": "Notification", "MessageId": *out.MessageId, "TopicArn": *topic, "Subject": "Finding", "Message": "{\"a\":\"<é>\"}",
		"Timestamp": "2026-11-22T13:14:15.000Z", "SignatureVersion": "1", "UnsubscribeURL": base + "?Action=Unsubscribe&SubscriptionArn=" + *sub,
		"MessageAttributes": map[string]any{
			"kind": map[string]any{"Type": "String", "Value": "x"}, "n": map[string]any{"Type": "Number", "Value": "5"},
			"b": map[string]any{"Type": "Binary", "Value": "AAE="}, "list": map[string]any{"Type": "String.Array", "Value": `["a",1]`},
		},
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
	got = l.receive(raw)
	if len(got) != 1 || *got[0].Body != "{\"a\":\"<é>\"}" || *got[0].MessageAttributes["kind"].StringValue != "x" || *got[0].MessageAttributes["n"].DataType != "Number" ||
		string(got[0].MessageAttributes["b"].BinaryValue) != "\x00\x01" || *got[0].MessageAttributes["list"].DataType != "String.Array" {
		t.Errorf("received raw %+v", got)
	}
	if state := l.state(); state.Published != 1 || state.Delivered != 2 || state.Failed != 0 {
		t.Errorf("state %+v", state)
	}
}

// A recorder is a service that keeps what is delivered to it.
type recorder struct {
	got []*cloud.Delivery
	err error
}

func (r *recorder) Resource(string) (cloud.Resource, error) {
	return cloud.Resource{Owner: labtest.Administrator}, nil
}

func (r *recorder) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	r.got = append(r.got, d)
	return nil, r.err
}

// The sample is a real event of 2018, see its source in testdata/SOURCES.md.
func TestAFunctionGetsTheEventThatLambdaDocuments(t *testing.T) {
	l := newLab(t)
	functions := &recorder{}
	l.cloud.Receivers.Register("lambda", functions)
	topic := l.topic("alert-pea1")
	sub := l.sub(topic, "lambda", "arn:aws:lambda:ap-northeast-1:111111111111:function:f")
	sample, err := os.ReadFile("testdata/sns-inspector-classic-run-started.json")
	if err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	if err := json.Unmarshal(sample, &want); err != nil {
		t.Fatal(err)
	}
	record := func(event map[string]any) map[string]any { return event["Records"].([]any)[0].(map[string]any) }
	message := record(want)["Sns"].(map[string]any)["Message"].(string)
	out := l.publish(&sns.PublishInput{TopicArn: topic, Message: &message})
	if len(functions.got) != 1 {
		t.Fatalf("%d events", len(functions.got))
	}
	d := functions.got[0]
	if d.Action != "lambda:InvokeFunction" || d.From != "sns.amazonaws.com" || d.Source != *topic || d.Attributes["invocation-type"] != "Event" {
		t.Errorf("delivered %+v", d)
	}
	if err := json.Unmarshal(d.Body, &got); err != nil {
		t.Fatal(err)
	}
	record(want)["EventSubscriptionArn"] = *sub
	for name, value := range map[string]any{"MessageId": *out.MessageId, "TopicArn": *topic, "Timestamp": "2026-11-22T13:14:15.000Z"} {
		record(want)["Sns"].(map[string]any)[name] = value
	}
	for _, name := range []string{"Signature", "SigningCertUrl", "UnsubscribeUrl"} { // their names count, not their values
		for _, event := range []map[string]any{want, got} {
			if s, ok := record(event)["Sns"].(map[string]any)[name].(string); !ok || s == "" {
				t.Errorf("%s is missing", name)
			}
			record(event)["Sns"].(map[string]any)[name] = ""
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestEachProtocolGetsItsText(t *testing.T) {
	l := newLab(t)
	functions := &recorder{}
	l.cloud.Receivers.Register("lambda", functions)
	topic := l.topic("a")
	url := l.queue("q")
	l.sub(topic, "sqs", queueARN("q"), "RawMessageDelivery", "true")
	l.sub(topic, "lambda", "arn:aws:lambda:ap-northeast-1:111111111111:function:f")
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String(`{"default":"all","lambda":"f's","email":"mail","n":1}`), MessageStructure: aws.String("json")})
	if got := l.receive(url); len(got) != 1 || *got[0].Body != "all" {
		t.Errorf("queue: %+v", got)
	}
	if len(functions.got) != 1 || !strings.Contains(string(functions.got[0].Body), `"Message":"f's"`) {
		t.Errorf("function: %+v", functions.got)
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	one := func(name string, v types.MessageAttributeValue) map[string]types.MessageAttributeValue {
		return map[string]types.MessageAttributeValue{name: v}
	}
	of := func(kind, value string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: &kind, StringValue: &value}
	}
	l := newLab(t)
	topic := l.topic("a")
	for name, tt := range map[string]struct {
		in   sns.PublishInput
		code string
	}{
		"the longest":                  {sns.PublishInput{Message: aws.String(strings.Repeat("x", 256<<10))}, ""},
		"one byte more":                {sns.PublishInput{Message: aws.String(strings.Repeat("x", 256<<10+1))}, "InvalidParameter"},
		"too long with its attributes": {sns.PublishInput{Message: aws.String(strings.Repeat("x", 256<<10)), MessageAttributes: one("a", text("b"))}, "InvalidParameter"},
		"empty":                        {sns.PublishInput{Message: aws.String("")}, "InvalidParameter"},
		"by TargetArn":                 {sns.PublishInput{TopicArn: aws.String(""), TargetArn: topic}, ""},
		"no topic":                     {sns.PublishInput{TopicArn: aws.String("")}, "InvalidParameter"},
		"two targets":                  {sns.PublishInput{TargetArn: topic}, "InvalidParameter"},
		"a phone":                      {sns.PublishInput{PhoneNumber: aws.String("+15555550100")}, "InvalidParameter"},
		"a topic that is not":          {sns.PublishInput{TopicArn: aws.String(arn("none"))}, "NotFound"},
		"no ARN":                       {sns.PublishInput{TopicArn: aws.String("a")}, "InvalidParameter"},
		"a subject of 100":             {sns.PublishInput{Subject: aws.String(strings.Repeat("s", 100))}, ""},
		"a subject of 101":             {sns.PublishInput{Subject: aws.String(strings.Repeat("s", 101))}, "InvalidParameter"},
		"an empty subject":             {sns.PublishInput{Subject: aws.String("")}, "InvalidParameter"},
		"a subject of two lines":       {sns.PublishInput{Subject: aws.String("a\nb")}, "InvalidParameter"},
		"a structure that is not":      {sns.PublishInput{MessageStructure: aws.String("xml")}, "InvalidParameter"},
		"structure, no JSON":           {sns.PublishInput{MessageStructure: aws.String("json")}, "InvalidParameter"},
		"structure, no default":        {sns.PublishInput{MessageStructure: aws.String("json"), Message: aws.String(`{"sqs":"x"}`)}, "InvalidParameter"},
		"an attribute of AWS's":        {sns.PublishInput{MessageAttributes: one("Amazon.x", text("x"))}, "ParameterValueInvalid"},
		"an attribute without value":   {sns.PublishInput{MessageAttributes: one("x", text(""))}, "ParameterValueInvalid"},
		"an attribute without type":    {sns.PublishInput{MessageAttributes: one("x", of("", "x"))}, "ParameterValueInvalid"},
		"a type that is not":           {sns.PublishInput{MessageAttributes: one("x", of("Date", "x"))}, "ParameterValueInvalid"},
		"a number that is none":        {sns.PublishInput{MessageAttributes: one("x", of("Number", "x"))}, "ParameterValueInvalid"},
		"an array that is none":        {sns.PublishInput{MessageAttributes: one("x", of("String.Array", "x"))}, "ParameterValueInvalid"},
		"an array of arrays":           {sns.PublishInput{MessageAttributes: one("x", of("String.Array", "[[]]"))}, "ParameterValueInvalid"},
		"a deduplication id":           {sns.PublishInput{MessageDeduplicationId: aws.String("x")}, "InvalidParameter"},
	} {
		if tt.in.TopicArn == nil {
			tt.in.TopicArn = topic
		}
		if *tt.in.TopicArn == "" {
			tt.in.TopicArn = nil
		}
		if tt.in.Message == nil {
			tt.in.Message = aws.String("x")
		}
		if _, err := l.Publish(t.Context(), &tt.in); code(err) != tt.code {
			t.Errorf("%s: error %v, want %q", name, err, tt.code)
		}
	}
}

func TestBatches(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	url := l.queue("q")
	l.sub(topic, "sqs", queueARN("q"), "RawMessageDelivery", "true")
	entry := func(id, message string) types.PublishBatchRequestEntry {
		return types.PublishBatchRequestEntry{Id: &id, Message: &message}
	}
	out, err := l.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: topic, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{
		entry("1", "a"), entry("2", ""), entry("3", "c"),
	}})
	if err != nil || len(out.Successful) != 2 || *out.Successful[1].Id != "3" || len(out.Failed) != 1 || *out.Failed[0].Code != "InvalidParameter" || !out.Failed[0].SenderFault {
		t.Fatalf("out %+v, error %v", out, err)
	}
	labtest.Settle(t, l.cloud)
	if got := l.receive(url); len(got) != 2 || *got[0].Body != "a" || *got[1].Body != "c" {
		t.Errorf("received %+v", got)
	}
	var eleven []types.PublishBatchRequestEntry
	for i := range 11 {
		eleven = append(eleven, entry(fmt.Sprint(i), "x"))
	}
	half := strings.Repeat("x", 128<<10)
	for name, tt := range map[string]struct {
		entries []types.PublishBatchRequestEntry
		code    string
	}{
		"256 KiB":           {[]types.PublishBatchRequestEntry{entry("1", half), entry("2", half)}, ""},
		"more than 256 KiB": {[]types.PublishBatchRequestEntry{entry("1", half), entry("2", half+"x")}, "BatchRequestTooLong"},
		"none":              {[]types.PublishBatchRequestEntry{}, "EmptyBatchRequest"},
		"eleven":            {eleven, "TooManyEntriesInBatchRequest"},
		"an id twice":       {[]types.PublishBatchRequestEntry{entry("1", "x"), entry("1", "x")}, "BatchEntryIdsNotDistinct"},
		"an id with a dot":  {[]types.PublishBatchRequestEntry{entry("1.2", "x")}, "InvalidBatchEntryId"},
	} {
		if _, err := l.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: topic, PublishBatchRequestEntries: tt.entries}); code(err) != tt.code {
			t.Errorf("%s: error %v, want %q", name, err, tt.code)
		}
	}
}

func TestAFilterKeepsMessagesAway(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	byAttribute, byBody := l.queue("attribute"), l.queue("body")
	l.sub(topic, "sqs", queueARN("attribute"), "FilterPolicy", `{"kind":["x",{"prefix":"y"}]}`, "RawMessageDelivery", "true")
	sub := l.sub(topic, "sqs", queueARN("body"), "FilterPolicyScope", "MessageBody", "FilterPolicy", `{"detail":{"severity":[{"numeric":[">=",7]}]}}`, "RawMessageDelivery", "true")
	for _, m := range []struct{ kind, body string }{{"x", `{"detail":{"severity":3}}`}, {"yy", `no JSON`}, {"z", `{"detail":{"severity":7}}`}} {
		l.publish(&sns.PublishInput{TopicArn: topic, Message: &m.body, MessageAttributes: map[string]types.MessageAttributeValue{"kind": text(m.kind)}})
	}
	if got := l.receive(byAttribute); len(got) != 2 || *got[0].Body != `{"detail":{"severity":3}}` || *got[1].Body != "no JSON" {
		t.Errorf("by attribute: %+v", got)
	}
	if got := l.receive(byBody); len(got) != 1 || *got[0].Body != `{"detail":{"severity":7}}` {
		t.Errorf("by body: %+v", got)
	}
	if state := l.state(); state.FilteredOut != 3 || state.Delivered != 3 {
		t.Errorf("state %+v", state)
	}
	if _, err := l.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: sub, AttributeName: aws.String("FilterPolicy"), AttributeValue: aws.String("")}); err != nil {
		t.Fatal(err)
	}
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
	if got := l.receive(byBody); len(got) != 1 {
		t.Errorf("without a filter: %+v", got)
	}
}

func TestAFIFOTopicKeepsOrderAndKnowsAMessage(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a.fifo", "FifoTopic", "true", "ContentBasedDeduplication", "true")
	url := l.queue("q.fifo", "FifoQueue", "true")
	l.sub(topic, "sqs", queueARN("q.fifo"), "RawMessageDelivery", "true")
	var sequence []string
	for _, m := range []string{"1", "2", "1", "3"} {
		out := l.publish(&sns.PublishInput{TopicArn: topic, Message: &m, MessageGroupId: aws.String("g")})
		sequence = append(sequence, *out.SequenceNumber)
	}
	if sequence[2] != sequence[0] || sequence[0] >= sequence[1] || sequence[1] >= sequence[3] {
		t.Errorf("sequence numbers %v", sequence)
	}
	got := l.receive(url)
	if len(got) != 3 || *got[0].Body+*got[1].Body+*got[2].Body != "123" || got[0].Attributes["MessageGroupId"] != "g" {
		t.Errorf("received %+v", got)
	}
	labtest.Advance(t, l.cloud, 5*time.Minute)
	if out := l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("1"), MessageGroupId: aws.String("g")}); *out.SequenceNumber <= sequence[3] {
		t.Errorf("after five minutes: %+v", out)
	}
	if _, err := l.Publish(t.Context(), &sns.PublishInput{TopicArn: topic, Message: aws.String("x")}); code(err) != "InvalidParameter" {
		t.Errorf("no group: error %v", err)
	}
}

func TestWhatDeliversToATopicPublishes(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	url := l.queue("q")
	l.sub(topic, "sqs", queueARN("q"))
	deliver := func(target, body string, attributes map[string]string) error {
		_, err := l.cloud.Deliver(t.Context(), &cloud.Delivery{
			Source: "arn:aws:inspector:ap-northeast-1:111111111111:target/0-a/template/0-b", From: "inspector.amazonaws.com", Account: labtest.Administrator,
			Action: "sns:Publish", Target: target, Body: []byte(body), Attributes: attributes,
		})
		return err
	}
	if err := deliver(*topic, `{"event":"ASSESSMENT_RUN_COMPLETED"}`, map[string]string{"Subject": "Inspector", "k": "v", "n:Number": "1", "b:Binary": "AA=="}); err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, l.cloud)
	got := l.receive(url)
	if len(got) != 1 {
		t.Fatalf("received %+v", got)
	}
	for _, part := range []string{`"Subject": "Inspector"`, `"Message": "{\"event\":\"ASSESSMENT_RUN_COMPLETED\"}"`, `"Type": "Number"`, `"Value": "AA=="`} {
		if !strings.Contains(*got[0].Body, part) {
			t.Errorf("%s is not in %s", part, *got[0].Body)
		}
	}
	for name, tt := range map[string]struct {
		err  error
		code string
	}{
		"no topic":  {deliver(arn("none"), "x", nil), cloud.CodeNoResource},
		"nothing":   {deliver(*topic, "", nil), cloud.CodeInternal},
		"no Base64": {deliver(*topic, "x", map[string]string{"b:Binary": "%"}), cloud.CodeInternal},
	} {
		if e, ok := errors.AsType[*cloud.DeliveryError](tt.err); !ok || e.Code != tt.code {
			t.Errorf("%s: error %v", name, tt.err)
		}
	}
}

func TestSubscriptionsThatAreRefused(t *testing.T) {
	function := "arn:aws:lambda:ap-northeast-1:111111111111:function:f"
	for name, tt := range map[string]struct {
		topic, protocol, endpoint string
		attributes                []string
		code                      string
	}{
		"a queue":                     {"a", "sqs", queueARN("q"), nil, ""},
		"a function":                  {"a", "lambda", function, nil, ""},
		"mail":                        {"a", "email-json", "a@example.com", nil, ""},
		"the same again":              {"a", "sqs", queueARN("there"), []string{"RawMessageDelivery", "true"}, ""},
		"the same, otherwise":         {"a", "sqs", queueARN("there"), []string{"RawMessageDelivery", "false"}, "InvalidParameter"},
		"a topic that is not":         {"none", "sqs", queueARN("q"), nil, "NotFound"},
		"a text message":              {"a", "sms", "+15555550100", nil, "InvalidParameter"},
		"mail to nobody":              {"a", "email", "example.com", nil, "InvalidParameter"},
		"a queue without ARN":         {"a", "sqs", "q", nil, "InvalidParameter"},
		"a queue that is a function":  {"a", "sqs", function, nil, "InvalidParameter"},
		"a FIFO queue":                {"a", "sqs", queueARN("q.fifo"), nil, "InvalidParameter"},
		"a function of a FIFO topic":  {"a.fifo", "lambda", function, nil, "InvalidParameter"},
		"mail of a FIFO topic":        {"a.fifo", "email", "a@example.com", nil, "InvalidParameter"},
		"http that is https":          {"a", "http", "https://127.0.0.1/", nil, "InvalidParameter"},
		"no URL":                      {"a", "https", "https://", nil, "InvalidParameter"},
		"an endpoint of 2 KiB":        {"a", "http", "http://127.0.0.1/" + strings.Repeat("x", 2048), nil, "InvalidParameter"},
		"raw mail":                    {"a", "email", "a@example.com", []string{"RawMessageDelivery", "true"}, "InvalidParameter"},
		"raw perhaps":                 {"a", "sqs", queueARN("q"), []string{"RawMessageDelivery", "maybe"}, "InvalidParameter"},
		"a filter that is no JSON":    {"a", "sqs", queueARN("q"), []string{"FilterPolicy", "x"}, "InvalidParameter"},
		"a scope that is not":         {"a", "sqs", queueARN("q"), []string{"FilterPolicyScope", "Subject"}, "InvalidParameter"},
		"a dead-letter topic":         {"a", "sqs", queueARN("q"), []string{"RedrivePolicy", `{"deadLetterTargetArn":"` + arn("a") + `"}`}, "InvalidParameter"},
		"dead letters elsewhere":      {"a", "sqs", queueARN("q"), []string{"RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111111111111:q"}`}, "InvalidParameter"},
		"a delivery policy of 0 s":    {"a", "http", "http://127.0.0.1/", []string{"DeliveryPolicy", `{"healthyRetryPolicy":{"minDelayTarget":0}}`}, "InvalidParameter"},
		"an attribute that is not":    {"a", "sqs", queueARN("q"), []string{"Colour", "red"}, "InvalidParameter"},
		"a filter of six":             {"a", "sqs", queueARN("q"), []string{"FilterPolicy", `{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}`}, "InvalidParameter"},
		"a filter that goes too deep": {"a", "sqs", queueARN("q"), []string{"FilterPolicy", `{"a":{"b":[1]}}`}, "InvalidParameter"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			topic := l.topic("a")
			l.topic("a.fifo", "FifoTopic", "true")
			l.sub(topic, "sqs", queueARN("there"), "RawMessageDelivery", "true")
			_, err := l.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: aws.String(arn(tt.topic)), Protocol: &tt.protocol, Endpoint: &tt.endpoint, Attributes: pairs(tt.attributes)})
			if code(err) != tt.code {
				t.Errorf("error %v, want %q", err, tt.code)
			}
		})
	}
}

func TestSubscriptionsAreListed(t *testing.T) {
	l := newLab(t)
	topic, other := l.topic("a"), l.topic("b")
	sub := l.sub(topic, "sqs", queueARN("q"), "FilterPolicy", `{"a":["b"]}`)
	l.sub(topic, "https", "https://me:secret@127.0.0.1:1/sns")
	l.sub(other, "sqs", queueARN("q"))
	all, err := l.ListSubscriptions(t.Context(), &sns.ListSubscriptionsInput{})
	if err != nil || len(all.Subscriptions) != 3 {
		t.Errorf("subscriptions %+v, error %v", all, err)
	}
	of, err := l.ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: topic})
	if err != nil || len(of.Subscriptions) != 2 {
		t.Fatalf("subscriptions %+v, error %v", of, err)
	}
	i := slices.IndexFunc(of.Subscriptions, func(s types.Subscription) bool { return *s.Protocol == "https" })
	if s := of.Subscriptions[i]; *s.SubscriptionArn != "PendingConfirmation" || *s.Endpoint != "https://me:****@127.0.0.1:1/sns" || *s.Owner != labtest.Administrator {
		t.Errorf("the pending one is %+v", s)
	}
	got, err := l.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: sub})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"SubscriptionArn": *sub, "TopicArn": *topic, "Owner": labtest.Administrator, "Protocol": "sqs", "Endpoint": queueARN("q"),
		"PendingConfirmation": "false", "ConfirmationWasAuthenticated": "true", "RawMessageDelivery": "false", "FilterPolicy": `{"a":["b"]}`,
		"FilterPolicyScope": "MessageAttributes", "SubscriptionPrincipal": "arn:aws:iam::111111111111:root",
	}
	if diff := cmp.Diff(want, got.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	for name, id := range map[string]string{"NotFound": *sub + "0", "InvalidParameter": "x"} {
		if _, err := l.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: &id}); code(err) != name {
			t.Errorf("error %v, want %s", err, name)
		}
	}
	labtest.Advance(t, l.cloud, 48*time.Hour)
	of, err = l.ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: topic})
	if err != nil || len(of.Subscriptions) != 1 {
		t.Errorf("after two days: %+v, error %v; want the pending one gone", of, err)
	}
}

func TestATopicHasAtMost200Filters(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	for i := range 200 {
		l.sub(topic, "sqs", queueARN(fmt.Sprint("q", i)), "FilterPolicy", `{"a":["b"]}`)
	}
	in := &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("sqs"), Endpoint: aws.String(queueARN("more")), Attributes: map[string]string{"FilterPolicy": `{"a":["b"]}`}}
	if _, err := l.Subscribe(t.Context(), in); code(err) != "FilterPolicyLimitExceeded" {
		t.Errorf("error %v", err)
	}
}

func TestAKeyHasToBeThereToPublish(t *testing.T) {
	l := newLab(t)
	l.cloud.Receivers.Register("kms", keys{"arn:aws:kms:ap-northeast-1:111111111111:key/k"})
	topic := l.topic("a")
	for key, want := range map[string]string{"k": "", "alias/aws/sns": "", "alias/none": "KMSNotFound", "off": "KMSDisabled"} {
		if _, err := l.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: topic, AttributeName: aws.String("KmsMasterKeyId"), AttributeValue: &key}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Publish(t.Context(), &sns.PublishInput{TopicArn: topic, Message: aws.String("x")}); code(err) != want {
			t.Errorf("%s: error %v, want %q", key, err, want)
		}
	}
}

// keys is a KMS that has one key, and another that is disabled.
type keys struct{ arn string }

func (k keys) Resource(arn string) (cloud.Resource, error) {
	switch {
	case arn == k.arn:
		return cloud.Resource{Owner: labtest.Administrator}, nil
	case strings.HasSuffix(arn, ":key/off"):
		return cloud.Resource{}, errors.New("KMS.DisabledException: off is disabled")
	}
	return cloud.Resource{}, cloud.ErrNoResource
}

func (keys) Receive(context.Context, *cloud.Delivery) ([]byte, error) { return nil, nil }
