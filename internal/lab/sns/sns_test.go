package sns_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/labtest"
	labsns "example.org/catchment/internal/lab/sns"
	labsqs "example.org/catchment/internal/lab/sqs"
)

// A lab is SNS and SQS with clients of the administrator's.
type lab struct {
	*sns.Client
	queues *sqs.Client
	t      *testing.T
	cloud  *cloud.Cloud
	sns    *labsns.Service
	server *labtest.Server
}

func newLab(t *testing.T, options ...func(*cloud.Options)) *lab {
	t.Helper()
	c := labtest.NewCloud(t, options...)
	s := labsns.New(c)
	server := labtest.Serve(t, c, s.Wire(), labsqs.New(c).Wire())
	config := server.Config(labtest.Administrator, labtest.Region)
	return &lab{sns.NewFromConfig(config), sqs.NewFromConfig(config), t, c, s, server}
}

// arn is that of a topic of the administrator's; queueARN that of a queue.
func arn(name string) string { return "arn:aws:sns:ap-northeast-1:111111111111:" + name }

func queueARN(name string) string { return "arn:aws:sqs:ap-northeast-1:111111111111:" + name }

func pairs(list []string) map[string]string {
	out := make(map[string]string)
	for i := 0; i < len(list); i += 2 {
		out[list[i]] = list[i+1]
	}
	return out
}

// topic makes a topic with attributes, given as name and value in turn.
func (l *lab) topic(name string, attributes ...string) *string {
	l.t.Helper()
	out, err := l.CreateTopic(l.t.Context(), &sns.CreateTopicInput{Name: &name, Attributes: pairs(attributes)})
	if err != nil {
		l.t.Fatal(err)
	}
	return out.TopicArn
}

// queue makes a queue and gives its URL.
func (l *lab) queue(name string, attributes ...string) *string {
	l.t.Helper()
	out, err := l.queues.CreateQueue(l.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: pairs(attributes)})
	if err != nil {
		l.t.Fatal(err)
	}
	return out.QueueUrl
}

func (l *lab) sub(topic *string, protocol, endpoint string, attributes ...string) *string {
	l.t.Helper()
	out, err := l.Subscribe(l.t.Context(), &sns.SubscribeInput{
		TopicArn: topic, Protocol: &protocol, Endpoint: &endpoint, Attributes: pairs(attributes), ReturnSubscriptionArn: true,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return out.SubscriptionArn
}

func (l *lab) publish(in *sns.PublishInput) *sns.PublishOutput {
	l.t.Helper()
	out, err := l.Publish(l.t.Context(), in)
	if err != nil {
		l.t.Fatal(err)
	}
	labtest.Settle(l.t, l.cloud)
	return out
}

func (l *lab) receive(url *string) []sqstypes.Message {
	l.t.Helper()
	out, err := l.queues.ReceiveMessage(l.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return out.Messages
}

// state is the only topic's.
func (l *lab) state() labsns.TopicState {
	l.t.Helper()
	all := l.sns.Inspect().([]labsns.TopicState)
	if len(all) != 1 {
		l.t.Fatalf("%d topics", len(all))
	}
	return all[0]
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

func TestATopicHasAllItsAttributes(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a", "DisplayName", "Findings")
	if *topic != arn("a") {
		t.Errorf("the topic is %s", *topic)
	}
	l.sub(topic, "sqs", queueARN("q"))
	l.sub(topic, "email", "a@example.com")
	set := func(name, value string) error {
		_, err := l.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: topic, AttributeName: &name, AttributeValue: &value})
		return err
	}
	if err := errors.Join(set("SignatureVersion", "2"), set("KmsMasterKeyId", "alias/mine"), set("DisplayName", "")); err != nil {
		t.Fatal(err)
	}
	out, err := l.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: topic})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.Attributes["Policy"], `"AWS:SourceOwner":"111111111111"`) {
		t.Errorf("policy %s", out.Attributes["Policy"])
	}
	delete(out.Attributes, "Policy")
	delete(out.Attributes, "EffectiveDeliveryPolicy")
	want := map[string]string{
		"TopicArn": arn("a"), "Owner": labtest.Administrator, "DisplayName": "", "SubscriptionsConfirmed": "1", "SubscriptionsPending": "1",
		"SubscriptionsDeleted": "0", "SignatureVersion": "2", "KmsMasterKeyId": "alias/mine",
	}
	if diff := cmp.Diff(want, out.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if r, err := l.sns.Resource(arn("a")); err != nil || r.Owner != labtest.Administrator || r.Key != "arn:aws:kms:ap-northeast-1:111111111111:alias/mine" || r.Policy == nil {
		t.Errorf("resource %+v, error %v", r, err)
	}
	for name, err := range map[string]error{
		"signature version 3":      set("SignatureVersion", "3"),
		"a policy that is no JSON": set("Policy", "x"),
		"an attribute that is not": set("Colour", "red"),
		"one taken away":           set("Colour", ""),
		"deduplication":            set("ContentBasedDeduplication", "true"),
		"a long name":              set("DisplayName", strings.Repeat("x", 101)),
		"a delivery policy":        set("DeliveryPolicy", `{"http":{"defaultHealthyRetryPolicy":{"numRetries":101}}}`),
	} {
		if code(err) != "InvalidParameter" {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestMakingATopic(t *testing.T) {
	for name, tt := range map[string]struct {
		topic      string
		attributes []string
		code       string
	}{
		"an ordinary one":          {"a_B-9", nil, ""},
		"a FIFO topic":             {"a.fifo", []string{"FifoTopic", "true", "ContentBasedDeduplication", "true"}, ""},
		"again with the same":      {"there", []string{"DisplayName", "x"}, ""},
		"again with none":          {"there", nil, ""},
		"again with others":        {"there", []string{"DisplayName", "y"}, "InvalidParameter"},
		"a name of 256":            {strings.Repeat("a", 256), nil, ""},
		"a name of 257":            {strings.Repeat("a", 257), nil, "InvalidParameter"},
		"a dot":                    {"a.b", nil, "InvalidParameter"},
		"no name":                  {"", nil, "InvalidParameter"},
		"FIFO without .fifo":       {"a", []string{"FifoTopic", "true"}, "InvalidParameter"},
		".fifo without FIFO":       {"a.fifo", nil, "InvalidParameter"},
		"deduplication, not FIFO":  {"a", []string{"ContentBasedDeduplication", "true"}, "InvalidParameter"},
		"an attribute that is not": {"a", []string{"Colour", "red"}, "InvalidParameter"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.topic("there", "DisplayName", "x")
			_, err := l.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &tt.topic, Attributes: pairs(tt.attributes)})
			if code(err) != tt.code {
				t.Errorf("error %v, want %q", err, tt.code)
			}
		})
	}
}

func TestListingAndDeletingTopics(t *testing.T) {
	l := newLab(t)
	for i := range 101 {
		l.topic(fmt.Sprintf("t%03d", i))
	}
	n := 0
	pages := sns.NewListTopicsPaginator(l, &sns.ListTopicsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range page.Topics {
			if want := arn(fmt.Sprintf("t%03d", n)); *topic.TopicArn != want {
				t.Fatalf("topic %s, want %s", *topic.TopicArn, want)
			}
			n++
		}
	}
	if n != 101 {
		t.Errorf("listed %d topics", n)
	}
	if _, err := l.ListTopics(t.Context(), &sns.ListTopicsInput{NextToken: aws.String("x")}); code(err) != "InvalidParameter" {
		t.Errorf("a token that was not given: error %v", err)
	}
	for range 2 { // a topic that is gone is no error
		if _, err := l.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: aws.String(arn("t000"))}); err != nil {
			t.Error(err)
		}
	}
	_, err := l.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String(arn("t000"))})
	if e, ok := errors.AsType[*types.NotFoundException](err); !ok || e.ErrorMessage() != "Topic does not exist" {
		t.Errorf("error %v, want NotFound", err)
	}
	_, err = l.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String("arn:aws:sns:us-east-1:111111111111:t001")})
	if code(err) != "InvalidParameter" {
		t.Errorf("another region's: error %v", err)
	}
}

func TestTags(t *testing.T) {
	l := newLab(t)
	topic, err := l.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("a"), Tags: []types.Tag{{Key: aws.String("x"), Value: aws.String("1")}}})
	if err != nil {
		t.Fatal(err)
	}
	add := func(arn *string, tags ...types.Tag) error {
		_, err := l.TagResource(t.Context(), &sns.TagResourceInput{ResourceArn: arn, Tags: tags})
		return err
	}
	if err := add(topic.TopicArn, types.Tag{Key: aws.String("y"), Value: aws.String("")}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.UntagResource(t.Context(), &sns.UntagResourceInput{ResourceArn: topic.TopicArn, TagKeys: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	out, err := l.ListTagsForResource(t.Context(), &sns.ListTagsForResourceInput{ResourceArn: topic.TopicArn})
	if err != nil || len(out.Tags) != 1 || *out.Tags[0].Key != "y" {
		t.Errorf("tags %+v, error %v", out, err)
	}
	var many []types.Tag
	for i := range 51 {
		many = append(many, types.Tag{Key: aws.String(strconv.Itoa(i)), Value: aws.String("")})
	}
	if err := add(topic.TopicArn, many...); code(err) != "TagLimitExceeded" {
		t.Errorf("51 tags: error %v", err)
	}
	if err := add(topic.TopicArn, types.Tag{Key: aws.String("aws:x"), Value: aws.String("")}); code(err) != "InvalidParameter" {
		t.Errorf("a tag of AWS's: error %v", err)
	}
	if err := add(aws.String(arn("none")), many[0]); code(err) != "ResourceNotFound" {
		t.Errorf("no topic: error %v", err)
	}
}

func TestPermissionsWithLabels(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	add := func(label, account, action string) error {
		_, err := l.AddPermission(t.Context(), &sns.AddPermissionInput{TopicArn: topic, Label: &label, AWSAccountId: []string{account}, ActionName: []string{action}})
		return err
	}
	policy := func() string {
		out, err := l.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: topic})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes["Policy"]
	}
	if err := add("one", labtest.Member, "Publish"); err != nil {
		t.Fatal(err)
	}
	const want = `{"Sid":"one","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::222222222222:root"]},"Action":["SNS:Publish"],` +
		`"Resource":"arn:aws:sns:ap-northeast-1:111111111111:a"}`
	if got := policy(); !strings.Contains(got, want) || !strings.Contains(got, "__default_statement_ID") {
		t.Errorf("policy %s", got)
	}
	for name, err := range map[string]error{
		"the label again":        add("one", labtest.Member, "Publish"),
		"an account that is not": add("two", "333333333333", "Publish"),
		"an action that is not":  add("two", labtest.Member, "Fly"),
		"no label":               add("", labtest.Member, "Publish"),
	} {
		if code(err) != "InvalidParameter" {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for range 2 {
		if _, err := l.RemovePermission(t.Context(), &sns.RemovePermissionInput{TopicArn: topic, Label: aws.String("one")}); err != nil {
			t.Error(err)
		}
	}
	if got := policy(); strings.Contains(got, `"one"`) {
		t.Errorf("policy %s after it was removed", got)
	}
}

func TestOtherAccountsMayWhatThePolicySays(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	l.cloud.Access = iam.New(l.cloud)
	member := sns.NewFromConfig(l.server.Config(labtest.Member, labtest.Region))
	publish := func() error {
		_, err := member.Publish(t.Context(), &sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
		return err
	}
	err := publish()
	if _, ok := errors.AsType[*types.AuthorizationErrorException](err); !ok {
		t.Errorf("error %v, want AuthorizationError", err)
	}
	if _, err := l.AddPermission(t.Context(), &sns.AddPermissionInput{TopicArn: topic, Label: aws.String("l"), AWSAccountId: []string{labtest.Member}, ActionName: []string{"Publish"}}); err != nil {
		t.Fatal(err)
	}
	if err := publish(); err != nil {
		t.Error(err)
	}
	// The owner's account is let in by the policy that a topic has at first, and by its own permissions.
	if _, err := l.Publish(t.Context(), &sns.PublishInput{TopicArn: topic, Message: aws.String("x")}); err != nil {
		t.Error(err)
	}
}

func TestAQueuesPolicyCounts(t *testing.T) {
	l := newLab(t)
	l.cloud.Access = iam.New(l.cloud)
	topic := l.topic("a")
	closed := l.queue("closed")
	open := l.queue("open", "Policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage",`+
		`"Resource":"`+queueARN("open")+`","Condition":{"ArnEquals":{"aws:SourceArn":"`+*topic+`"}}}]}`)
	l.sub(topic, "sqs", queueARN("closed"))
	l.sub(topic, "sqs", queueARN("open"))
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
	if got, none := l.receive(open), l.receive(closed); len(got) != 1 || len(none) != 0 {
		t.Errorf("received %+v and %+v", got, none)
	}
	if state := l.state(); state.Delivered != 1 || state.Failed != 1 || !strings.Contains(state.Subscriptions[0].LastError, "NO_PERMISSIONS") {
		t.Errorf("state %+v", state)
	}
}

// What a link in a message does: a GET that nobody signed.
func (l *lab) visit(query string) (status int) {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, l.server.URL+"/?"+query, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestAQueueOfAnotherAccountIsAskedFirst(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	l.cloud.SetURL(l.server.URL)
	queues := sqs.NewFromConfig(l.server.Config(labtest.Member, labtest.Region))
	made, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "arn:aws:sqs:ap-northeast-1:222222222222:q"
	out, err := l.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("sqs"), Endpoint: &endpoint})
	if err != nil || *out.SubscriptionArn != "pending confirmation" {
		t.Fatalf("subscribed %+v, error %v", out, err)
	}
	labtest.Settle(t, l.cloud)
	l.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("too early")})
	got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10})
	if err != nil || len(got.Messages) != 1 {
		t.Fatalf("received %+v, error %v", got, err)
	}
	_, link, _ := strings.Cut(*got.Messages[0].Body, `"SubscribeURL": "`+l.server.URL+"/?")
	link, _, _ = strings.Cut(link, `"`)
	if status := l.visit("Action=ConfirmSubscription&TopicArn=" + *topic + "&Token=x"); status != http.StatusBadRequest {
		t.Errorf("a token that is none: status %d", status)
	}
	for range 2 {
		if status := l.visit(link); status != http.StatusOK {
			t.Errorf("%s: status %d", link, status)
		}
	}
	if state := l.state(); !state.Subscriptions[0].Confirmed {
		t.Error("the subscription is not confirmed")
	}
}

func TestAnEndIsConfirmedOrNot(t *testing.T) {
	l := newLab(t)
	topic := l.topic("a")
	mine, unconfirmed := l.sub(topic, "sqs", queueARN("q")), l.sub(topic, "email", "a@example.com")
	member := sns.NewFromConfig(l.server.Config(labtest.Member, labtest.Region))
	_, err := member.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: mine})
	if code(err) != "AuthorizationError" {
		t.Errorf("somebody else: error %v", err)
	}
	if _, err := l.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: unconfirmed}); code(err) != "InvalidParameter" {
		t.Errorf("one that is pending: error %v", err)
	}
	if _, err := l.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: aws.String("x")}); code(err) != "InvalidParameter" {
		t.Errorf("no ARN: error %v", err)
	}
	for range 2 {
		if _, err := l.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: mine}); err != nil {
			t.Error(err)
		}
	}
	labtest.Advance(t, l.cloud, 48*time.Hour)
	if state := l.state(); len(state.Subscriptions) != 1 {
		t.Errorf("state %+v: mail is never confirmed, and its token was not made", state)
	}
}
