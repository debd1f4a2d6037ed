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
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	labsqs "example.org/catchment/internal/lab/sqs"
)

// A lab is SQS with a client of the administrator's.
type lab struct {
	*sqs.Client
	t      *testing.T
	cloud  *cloud.Cloud
	sqs    *labsqs.Service
	server *labtest.Server
}

func newLab(t *testing.T) *lab {
	t.Helper()
	c := labtest.NewCloud(t)
	s := labsqs.New(c)
	server := labtest.Serve(t, c, s.Wire())
	return &lab{sqs.NewFromConfig(server.Config(labtest.Administrator, labtest.Region)), t, c, s, server}
}

// queue makes a queue with attributes, given as name and value in turn.
func (l *lab) queue(name string, attributes ...string) *string {
	l.t.Helper()
	out, err := l.CreateQueue(l.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: pairs(attributes)})
	if err != nil {
		l.t.Fatal(err)
	}
	return out.QueueUrl
}

func pairs(list []string) map[string]string {
	out := make(map[string]string)
	for i := 0; i < len(list); i += 2 {
		out[list[i]] = list[i+1]
	}
	return out
}

func (l *lab) send(url *string, body string) {
	l.t.Helper()
	if _, err := l.SendMessage(l.t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) receive(url *string) []types.Message {
	l.t.Helper()
	out, err := l.ReceiveMessage(l.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return out.Messages
}

func (l *lab) delete(url *string, m types.Message) {
	l.t.Helper()
	if _, err := l.DeleteMessage(l.t.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) attributes(url *string) map[string]string {
	l.t.Helper()
	out, err := l.GetQueueAttributes(l.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		l.t.Fatal(err)
	}
	return out.Attributes
}

func bodies(messages []types.Message) string {
	var out []string
	for _, m := range messages {
		out = append(out, *m.Body)
	}
	return strings.Join(out, " ")
}

// code is the code of an API error; empty: there was none.
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestAQueueHasAllItsAttributes(t *testing.T) {
	l := newLab(t)
	dead := l.queue("dead")
	url := l.queue("findings", "VisibilityTimeout", "60", "RedrivePolicy",
		`{"deadLetterTargetArn":"arn:aws:sqs:ap-northeast-1:111111111111:dead","maxReceiveCount":"3"}`)
	if want := l.server.URL + "/111111111111/findings"; *url != want {
		t.Errorf("the queue is at %s, want %s", *url, want)
	}
	l.send(url, "a")
	l.send(url, "b")
	if _, err := l.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("c"), DelaySeconds: 5}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url}); err != nil {
		t.Fatal(err)
	}
	start := strconv.FormatInt(labtest.Start.Unix(), 10)
	want := map[string]string{
		"QueueArn": "arn:aws:sqs:ap-northeast-1:111111111111:findings", "VisibilityTimeout": "60", "DelaySeconds": "0",
		"MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0",
		"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "1", "ApproximateNumberOfMessagesDelayed": "1",
		"CreatedTimestamp": start, "LastModifiedTimestamp": start, "SqsManagedSseEnabled": "true",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:ap-northeast-1:111111111111:dead","maxReceiveCount":"3"}`,
	}
	if diff := cmp.Diff(want, l.attributes(url)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	sources, err := l.ListDeadLetterSourceQueues(t.Context(), &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead})
	if err != nil || len(sources.QueueUrls) != 1 || sources.QueueUrls[0] != *url {
		t.Errorf("sources %v, error %v", sources, err)
	}
	labtest.Advance(t, l.cloud, time.Hour)
	if _, err := l.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{
		"KmsMasterKeyId": "alias/mine", "Policy": policy(`"*"`, "sqs:*", ""), "RedrivePolicy": "",
	}}); err != nil {
		t.Fatal(err)
	}
	got := l.attributes(url)
	for name, value := range map[string]string{
		"KmsMasterKeyId": "alias/mine", "KmsDataKeyReusePeriodSeconds": "300", "SqsManagedSseEnabled": "false", "RedrivePolicy": "",
		"Policy": policy(`"*"`, "sqs:*", ""), "CreatedTimestamp": start, "LastModifiedTimestamp": strconv.FormatInt(labtest.Start.Add(time.Hour).Unix(), 10),
	} {
		if got[name] != value {
			t.Errorf("%s is %q after the change, want %q", name, got[name], value)
		}
	}
	if r, err := l.sqs.Resource(got["QueueArn"]); err != nil || r.Key != "arn:aws:kms:ap-northeast-1:111111111111:alias/mine" || r.Owner != labtest.Administrator {
		t.Errorf("resource %+v, error %v", r, err)
	}
}

func TestMakingAQueue(t *testing.T) {
	for name, tt := range map[string]struct {
		queue      string
		attributes []string
		code       string
	}{
		"an ordinary one":                          {"a_B-9", nil, ""},
		"a FIFO queue":                             {"a.fifo", []string{"FifoQueue", "true", "ContentBasedDeduplication", "true"}, ""},
		"high throughput":                          {"b.fifo", []string{"FifoQueue", "true", "DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perMessageGroupId"}, ""},
		"a name of 80":                             {strings.Repeat("a", 80), nil, ""},
		"again with the same":                      {"there", []string{"DelaySeconds", "7"}, ""},
		"again without attributes":                 {"there", nil, ""},
		"again with others":                        {"there", []string{"DelaySeconds", "8"}, "QueueAlreadyExists"},
		"a name of 81":                             {strings.Repeat("a", 81), nil, "InvalidParameterValue"},
		"a dot":                                    {"a.b", nil, "InvalidParameterValue"},
		"FIFO without .fifo":                       {"a", []string{"FifoQueue", "true"}, "InvalidParameterValue"},
		".fifo without FIFO":                       {"c.fifo", nil, "InvalidParameterValue"},
		"FifoQueue false":                          {"a", []string{"FifoQueue", "false"}, "InvalidAttributeName"},
		"deduplication of a standard queue":        {"a", []string{"ContentBasedDeduplication", "true"}, "InvalidAttributeName"},
		"a limit per group without its scope":      {"c.fifo", []string{"FifoQueue", "true", "FifoThroughputLimit", "perMessageGroupId"}, "InvalidAttributeValue"},
		"an attribute that is not":                 {"a", []string{"Colour", "red"}, "InvalidAttributeName"},
		"an attribute that is read":                {"a", []string{"QueueArn", "x"}, "InvalidAttributeName"},
		"a delay of more than 15 minutes":          {"a", []string{"DelaySeconds", "901"}, "InvalidAttributeValue"},
		"messages of less than 1 KiB":              {"a", []string{"MaximumMessageSize", "1023"}, "InvalidAttributeValue"},
		"messages of more than 1 MiB":              {"a", []string{"MaximumMessageSize", "1048577"}, "InvalidAttributeValue"},
		"retention of less than a minute":          {"a", []string{"MessageRetentionPeriod", "59"}, "InvalidAttributeValue"},
		"retention of more than 14 days":           {"a", []string{"MessageRetentionPeriod", "1209601"}, "InvalidAttributeValue"},
		"a wait of more than 20 seconds":           {"a", []string{"ReceiveMessageWaitTimeSeconds", "21"}, "InvalidAttributeValue"},
		"a visibility of more than 12 hours":       {"a", []string{"VisibilityTimeout", "43201"}, "InvalidAttributeValue"},
		"a data key for less than a minute":        {"a", []string{"KmsDataKeyReusePeriodSeconds", "59"}, "InvalidAttributeValue"},
		"a number that is none":                    {"a", []string{"VisibilityTimeout", "x"}, "InvalidAttributeValue"},
		"a policy that is no JSON":                 {"a", []string{"Policy", "x"}, "InvalidAttributeValue"},
		"a policy without a principal":             {"a", []string{"Policy", `{"Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`}, "InvalidAttributeValue"},
		"a policy of more than 8 KiB":              {"a", []string{"Policy", policy(`"*"`, "sqs:"+strings.Repeat("x", 8192), "")}, "InvalidAttributeValue"},
		"two kinds of encryption":                  {"a", []string{"KmsMasterKeyId", "alias/x", "SqsManagedSseEnabled", "true"}, "InvalidAttributeValue"},
		"a dead-letter queue that is not there":    {"a", []string{"RedrivePolicy", redrive("none", 1)}, "InvalidParameterValue"},
		"one elsewhere":                            {"a", []string{"RedrivePolicy", strings.Replace(redrive("there", 1), "ap-northeast-1", "us-east-1", 1)}, "InvalidParameterValue"},
		"one that lets nobody":                     {"a", []string{"RedrivePolicy", redrive("closed", 1)}, "InvalidParameterValue"},
		"one that lets this queue":                 {"friend", []string{"RedrivePolicy", redrive("friendly", 1)}, ""},
		"one that lets another":                    {"a", []string{"RedrivePolicy", redrive("friendly", 1)}, "InvalidParameterValue"},
		"one of another type":                      {"c.fifo", []string{"FifoQueue", "true", "RedrivePolicy", redrive("there", 1)}, "InvalidParameterValue"},
		"a count of 0":                             {"a", []string{"RedrivePolicy", redrive("there", 0)}, "InvalidParameterValue"},
		"a count of 1001":                          {"a", []string{"RedrivePolicy", redrive("there", 1001)}, "InvalidParameterValue"},
		"a redrive policy without a count":         {"a", []string{"RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:ap-northeast-1:111111111111:there"}`}, "InvalidParameterValue"},
		"a redrive policy that is no JSON":         {"a", []string{"RedrivePolicy", "x"}, "InvalidParameterValue"},
		"a redrive allow policy without its queue": {"a", []string{"RedriveAllowPolicy", `{"redrivePermission":"byQueue"}`}, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.queue("there", "DelaySeconds", "7")
			l.queue("closed", "RedriveAllowPolicy", `{"redrivePermission":"denyAll"}`)
			l.queue("friendly", "RedriveAllowPolicy", `{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:ap-northeast-1:111111111111:friend"]}`)
			_, err := l.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &tt.queue, Attributes: pairs(tt.attributes)})
			if code(err) != tt.code {
				t.Errorf("error %v, want code %q", err, tt.code)
			}
		})
	}
}

func redrive(queue string, n int) string {
	return fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:ap-northeast-1:111111111111:%s","maxReceiveCount":%d}`, queue, n)
}

func TestADeletedQueueIsGoneAndItsNameNotFreeForAMinute(t *testing.T) {
	l := newLab(t)
	url := l.queue("a")
	if _, err := l.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: url}); err != nil {
		t.Fatal(err)
	}
	_, err := l.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x")})
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); !ok || code(err) != "AWS.SimpleQueueService.NonExistentQueue" {
		t.Errorf("sending: error %v, want QueueDoesNotExist", err)
	}
	_, err = l.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("a")})
	if _, ok := errors.AsType[*types.QueueDeletedRecently](err); !ok {
		t.Errorf("making it again: error %v, want QueueDeletedRecently", err)
	}
	labtest.Advance(t, l.cloud, time.Minute)
	l.queue("a")
}

func TestPurge(t *testing.T) {
	l := newLab(t)
	url := l.queue("a")
	l.send(url, "x")
	l.receive(url)
	l.send(url, "y")
	if _, err := l.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url}); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, l.cloud, 59*time.Second)
	if got := l.receive(url); len(got) != 0 {
		t.Errorf("received %q from a purged queue", bodies(got))
	}
	_, err := l.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url})
	if _, ok := errors.AsType[*types.PurgeQueueInProgress](err); !ok {
		t.Errorf("error %v, want PurgeQueueInProgress", err)
	}
	labtest.Advance(t, l.cloud, time.Second)
	if _, err := l.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url}); err != nil {
		t.Error(err)
	}
}

func TestListingQueues(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"b3", "a", "b1", "b2"} {
		l.queue(name)
	}
	elsewhere := sqs.NewFromConfig(l.server.Config(labtest.Administrator, "us-east-1"))
	if _, err := elsewhere.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("b0")}); err != nil {
		t.Fatal(err)
	}
	var got []string
	pages := sqs.NewListQueuesPaginator(l, &sqs.ListQueuesInput{QueueNamePrefix: aws.String("b"), MaxResults: aws.Int32(2)})
	n := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page.QueueUrls...)
		n++
	}
	base := l.server.URL + "/111111111111/"
	if diff := cmp.Diff([]string{base + "b1", base + "b2", base + "b3"}, got); diff != "" || n != 2 {
		t.Errorf("%d pages, queues (-want +got):\n%s", n, diff)
	}
	for name, in := range map[string]*sqs.ListQueuesInput{
		"no page":                   {MaxResults: aws.Int32(0)},
		"more than 1000":            {MaxResults: aws.Int32(1001)},
		"a token without its limit": {NextToken: aws.String("YQ==")},
		"a token of somebody else":  {NextToken: aws.String("%"), MaxResults: aws.Int32(1)},
	} {
		if _, err := l.ListQueues(t.Context(), in); code(err) != "InvalidParameterValue" {
			t.Errorf("%s: error %v", name, err)
		}
	}
	url, err := l.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("a")})
	if err != nil || *url.QueueUrl != base+"a" {
		t.Errorf("queue a is at %v, error %v", url, err)
	}
	_, err = l.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("b0")})
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); !ok {
		t.Errorf("error %v, want QueueDoesNotExist", err)
	}
}

func TestTags(t *testing.T) {
	l := newLab(t)
	out, err := l.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("a"), Tags: map[string]string{"x": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: out.QueueUrl, Tags: map[string]string{"y": "2", "z": ""}}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.UntagQueue(t.Context(), &sqs.UntagQueueInput{QueueUrl: out.QueueUrl, TagKeys: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := l.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: out.QueueUrl})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"y": "2", "z": ""}, tags.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	many := make(map[string]string)
	for i := range 49 {
		many[strconv.Itoa(i)] = ""
	}
	for name, tags := range map[string]map[string]string{"51 tags": many, "AWS's": {"aws:x": ""}, "a long key": {strings.Repeat("k", 129): ""}, "a long value": {"k": strings.Repeat("v", 257)}} {
		if _, err := l.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: out.QueueUrl, Tags: tags}); code(err) != "InvalidParameterValue" {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
