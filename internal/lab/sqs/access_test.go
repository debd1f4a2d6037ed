package sqs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/iam"
	labkms "example.org/catchment/internal/lab/kms"
	"example.org/catchment/internal/lab/labtest"
	labsqs "example.org/catchment/internal/lab/sqs"
)

// A queue policy that lets a principal do something.
func policy(principal, action, condition string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"` + action + `",` +
		`"Resource":"arn:aws:sqs:ap-northeast-1:111111111111:*"` + condition + `}]}`
}

func TestOtherAccountsMayWhatThePolicySays(t *testing.T) {
	l := newLab(t)
	l.cloud.Access = iam.New(l.cloud)
	closed, open := l.queue("closed"), l.queue("open", "Policy", policy(`{"AWS":"222222222222"}`, "sqs:*", ""))
	member := sqs.NewFromConfig(l.server.Config(labtest.Member, labtest.Region))
	send := func(url *string) error {
		_, err := member.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x")})
		return err
	}
	if err := send(closed); code(err) != "AccessDenied" {
		t.Errorf("a queue without policy: error %v", err)
	}
	if err := send(open); err != nil {
		t.Error(err)
	}
	found, err := member.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("open"), QueueOwnerAWSAccountId: aws.String(labtest.Administrator)})
	if err != nil || *found.QueueUrl != *open {
		t.Errorf("found %v, error %v", found, err)
	}
	if _, err := member.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: open}); code(err) != "AccessDenied" {
		t.Errorf("deleting it, which no policy can allow: error %v", err)
	}
	if got := l.receive(open); bodies(got) != "x" || got[0].Attributes["SenderId"] != "AIDALABS222222222222" {
		t.Errorf("received %+v", got)
	}
}

func TestAServiceNeedsThePolicy(t *testing.T) {
	rule := "arn:aws:events:ap-northeast-1:111111111111:rule/r"
	for name, tt := range map[string]struct {
		policy string
		code   string
	}{
		"no policy":        {"", cloud.CodeNoPermissions},
		"this rule":        {policy(`{"Service":"events.amazonaws.com"}`, "sqs:SendMessage", `,"Condition":{"ArnEquals":{"aws:SourceArn":"`+rule+`"}}`), ""},
		"another rule":     {policy(`{"Service":"events.amazonaws.com"}`, "sqs:SendMessage", `,"Condition":{"ArnEquals":{"aws:SourceArn":"`+rule+`2"}}`), cloud.CodeNoPermissions},
		"another service":  {policy(`{"Service":"sns.amazonaws.com"}`, "sqs:SendMessage", ""), cloud.CodeNoPermissions},
		"another action":   {policy(`{"Service":"events.amazonaws.com"}`, "sqs:ReceiveMessage", ""), cloud.CodeNoPermissions},
		"the rule's owner": {policy(`"*"`, "SQS:SendMessage", `,"Condition":{"StringEquals":{"aws:SourceAccount":"111111111111"}}`), ""},
	} {
		l := newLab(t)
		l.cloud.Access = iam.New(l.cloud)
		l.queue("q", "Policy", tt.policy)
		_, err := l.cloud.Deliver(t.Context(), &cloud.Delivery{
			Source: rule, From: "events.amazonaws.com", Account: labtest.Administrator, Action: "sqs:SendMessage",
			Target: "arn:aws:sqs:ap-northeast-1:111111111111:q", Body: []byte("x"),
		})
		if got := deliveryCode(err); got != tt.code {
			t.Errorf("%s: error %v, want %q", name, err, tt.code)
		}
	}
}

func deliveryCode(err error) string {
	if err == nil {
		return ""
	}
	head, _, _ := strings.Cut(err.Error(), ":")
	return head
}

func TestAPolicyTakesTimeToHold(t *testing.T) {
	c := labtest.NewCloud(t, func(o *cloud.Options) { o.Lag.Policies = time.Minute })
	s := labsqs.New(c)
	client := sqs.NewFromConfig(labtest.Serve(t, c, s.Wire()).Config(labtest.Administrator, labtest.Region))
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, c, time.Hour)
	if _, err := client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: made.QueueUrl, Attributes: map[string]string{"Policy": policy(`"*"`, "sqs:*", "")}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{false, true} {
		r, err := s.Resource("arn:aws:sqs:ap-northeast-1:111111111111:q")
		if err != nil || (r.Policy != nil) != want {
			t.Errorf("policy %s, error %v", r.Policy, err)
		}
		labtest.Advance(t, c, time.Minute)
	}
}

func TestAKeyHasToBeThereAndLetIn(t *testing.T) {
	l := newLab(t)
	keys := labkms.New(l.cloud)
	l.cloud.Access = iam.New(l.cloud)
	client := kms.NewFromConfig(labtest.Serve(t, l.cloud, keys.Wire()).Config(labtest.Administrator, labtest.Region))
	key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	shut, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	off, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: off.KeyMetadata.KeyId}); err != nil {
		t.Fatal(err)
	}
	closed := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":["kms:PutKeyPolicy"],"Resource":"*"}]}`
	if _, err := client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: shut.KeyMetadata.KeyId, Policy: &closed, BypassPolicyLockoutSafetyCheck: true}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ key, code string }{
		"a key":                {*key.KeyMetadata.Arn, ""},
		"its id":               {*key.KeyMetadata.KeyId, ""},
		"AWS's own":            {"alias/aws/sqs", ""},
		"one that is not":      {"alias/none", "KMS.NotFoundException"},
		"one that is disabled": {*off.KeyMetadata.KeyId, "KMS.DisabledException"},
		"one that lets nobody": {*shut.KeyMetadata.KeyId, "KMS.AccessDeniedException"},
	} {
		url := l.queue("q")
		if _, err := l.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"KmsMasterKeyId": tt.key}}); err != nil {
			t.Fatal(err)
		}
		_, err := l.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x")})
		if code(err) != tt.code {
			t.Errorf("%s: sending: error %v, want %q", name, err, tt.code)
		}
		if _, err := l.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url}); code(err) != tt.code {
			t.Errorf("%s: receiving: error %v, want %q", name, err, tt.code)
		}
	}
}
