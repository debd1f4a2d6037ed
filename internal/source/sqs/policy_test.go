package sqs

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/labtest"
	labsqs "example.org/catchment/internal/lab/sqs"
	"example.org/catchment/internal/lab/sts"
)

// documented is a policy of doc/sqs.md, for the queue q and the rule r.
func documented(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../doc/sqs.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)<!-- policy: " + name + " -->\n```json\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatalf("doc/sqs.md has no policy %s", name)
	}
	return strings.NewReplacer("REGION", labtest.Region, "ACCOUNT", labtest.Administrator, "QUEUE", "q", "RULE", "r").Replace(string(found[1]))
}

// without is a policy with one action less, and the actions that it has.
func without(t *testing.T, policy, action string) (string, []string) {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range p["Statement"].([]any) {
		statement := s.(map[string]any)
		actions, _ := statement["Action"].([]any)
		for _, a := range actions {
			all = append(all, a.(string))
		}
		if len(actions) > 0 {
			statement["Action"] = slices.DeleteFunc(actions, func(a any) bool { return a == action })
		}
	}
	out, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), all
}

// A policy lab has the queue q, and judges who may what.
type policyLab struct {
	*testing.T
	cloud  *cloud.Cloud
	server *labtest.Server
	url    string
}

func newPolicyLab(t *testing.T) *policyLab {
	t.Helper()
	c := labtest.NewCloud(t)
	users := iam.New(c)
	c.Access = users
	l := &policyLab{T: t, cloud: c, server: labtest.Serve(t, c, labsqs.New(c).Wire(), users.Wire(), sts.New(c).Wire())}
	made, err := l.queues().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	l.url = *made.QueueUrl
	return l
}

func (l *policyLab) queues() *sqs.Client {
	return sqs.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
}

// worker is the queue for a role with a policy.
func (l *policyLab) worker(policy string) Queue {
	l.Helper()
	admin := l.server.Config(labtest.Administrator, labtest.Region)
	users := awsiam.NewFromConfig(admin)
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + labtest.Administrator + `"},"Action":"sts:AssumeRole"}]}`
	role, err := users.CreateRole(l.Context(), &awsiam.CreateRoleInput{RoleName: aws.String("worker"), AssumeRolePolicyDocument: aws.String(trust)})
	if err != nil {
		l.Fatal(err)
	}
	_, err = users.PutRolePolicy(l.Context(), &awsiam.PutRolePolicyInput{
		RoleName: aws.String("worker"), PolicyName: aws.String("worker"), PolicyDocument: aws.String(policy),
	})
	if err != nil {
		l.Fatal(err)
	}
	out, err := awssts.NewFromConfig(admin).AssumeRole(l.Context(), &awssts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: aws.String("worker")})
	if err != nil {
		l.Fatal(err)
	}
	k := out.Credentials
	return Open(l.server.As(cloud.Credential{AccessKeyID: *k.AccessKeyId, SecretKey: *k.SecretAccessKey, Token: *k.SessionToken}, labtest.Region), l.url)
}

// work does all that a source does with a queue, and gives the first error.
func (l *policyLab) work(q Queue) error {
	l.Helper()
	if _, err := l.queues().SendMessage(l.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(l.url), MessageBody: aws.String("{}")}); err != nil {
		l.Fatal(err)
	}
	if err := q.Check(l.Context()); err != nil {
		return err
	}
	messages, err := q.Receive(l.Context(), time.Minute)
	if err != nil {
		return err
	}
	if len(messages) != 1 {
		l.Fatalf("received %v", messages)
	}
	return errors.Join(q.Extend(l.Context(), messages, time.Minute)[0], q.Delete(l.Context(), messages)[0])
}

func TestTheDocumentedPolicyOfAWorkerIsEnoughAndNotTooMuch(t *testing.T) {
	policy := documented(t, "worker")
	l := newPolicyLab(t)
	if err := l.work(l.worker(policy)); err != nil {
		t.Errorf("with the policy: %v", err)
	}
	_, actions := without(t, policy, "")
	if len(actions) != 3 {
		t.Errorf("the policy has the actions %q", actions)
	}
	for _, action := range actions {
		l := newPolicyLab(t)
		less, _ := without(t, policy, action)
		if err := l.work(l.worker(less)); !errors.Is(err, ErrNoQueue) {
			t.Errorf("without %s: error %v", action, err)
		}
	}
}

func TestTheDocumentedPolicyOfAQueueLetsItsRuleIn(t *testing.T) {
	l := newPolicyLab(t)
	_, err := l.queues().SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: aws.String(l.url), Attributes: map[string]string{"Policy": documented(t, "queue")},
	})
	if err != nil {
		t.Fatal(err)
	}
	place := l.cloud.Accounts.Place(labtest.Administrator, labtest.Region)
	for rule, lets := range map[string]bool{"rule/r": true, "rule/r2": false} {
		_, err := l.cloud.Deliver(t.Context(), &cloud.Delivery{
			Source: place.ARN("events", rule), From: "events.amazonaws.com", Account: labtest.Administrator, Action: "sqs:SendMessage",
			Target: place.ARN("sqs", "q"), Body: []byte(`{"id":"1"}`),
		})
		if (err == nil) != lets {
			t.Errorf("%s: error %v", rule, err)
		}
	}
	got, err := Open(l.server.Config(labtest.Administrator, labtest.Region), l.url).Receive(t.Context(), time.Minute)
	if err != nil || len(got) != 1 || !bytes.Equal(got[0].Body, []byte(`{"id":"1"}`)) {
		t.Errorf("received %v, error %v", got, err)
	}
}
