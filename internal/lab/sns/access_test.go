package sns_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sns"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/labtest"
)

// A page of 2023 says that policies of topics cannot have conditions for EventBridge; later ones show them. Conditions count.
func TestAServiceNeedsTheTopicsPolicy(t *testing.T) {
	const rule = "arn:aws:events:ap-northeast-1:111111111111:rule/findings"
	l := newLab(t)
	l.cloud.Access = iam.New(l.cloud)
	allow := func(principal, condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"sns:Publish","Resource":"` + arn("findings") + `"` + condition + `}]}`
	}
	byRule := `,"Condition":{"ArnEquals":{"aws:SourceArn":"` + rule + `"}}`
	for name, test := range map[string]struct {
		policy string
		d      cloud.Delivery
		in     bool
	}{
		"EventBridge, without a condition": {allow(`{"Service":"events.amazonaws.com"}`, ""), cloud.Delivery{From: "events.amazonaws.com", Source: rule}, true},
		"EventBridge, for the rule":        {allow(`{"Service":"events.amazonaws.com"}`, byRule), cloud.Delivery{From: "events.amazonaws.com", Source: rule}, true},
		"EventBridge, for another rule":    {allow(`{"Service":"events.amazonaws.com"}`, byRule), cloud.Delivery{From: "events.amazonaws.com", Source: rule + "2"}, false},
		"another service":                  {allow(`{"Service":"events.amazonaws.com"}`, ""), cloud.Delivery{From: "inspector.amazonaws.com", Source: rule}, false},
		"Inspector Classic's account": {
			allow(`{"AWS":"arn:aws:iam::406045910587:root"}`, ""),
			cloud.Delivery{From: "inspector.amazonaws.com", As: "arn:aws:iam::406045910587:root"},
			true,
		},
		"Inspector Classic's account of another region": {
			allow(`{"AWS":"arn:aws:iam::406045910587:root"}`, ""),
			cloud.Delivery{From: "inspector.amazonaws.com", As: "arn:aws:iam::316112463485:root"},
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l.topic("findings", "Policy", test.policy)
			d := test.d
			d.Account, d.Action, d.Target, d.Body = labtest.Administrator, "sns:Publish", arn("findings"), []byte("x")
			_, err := l.cloud.Deliver(t.Context(), &d)
			if refused, ok := errors.AsType[*cloud.DeliveryError](err); (err == nil) != test.in || err != nil && (!ok || refused.Code != cloud.CodeNoPermissions) {
				t.Errorf("got %v", err)
			}
			l.forget("findings")
		})
	}
}

// forget deletes a topic.
func (l *lab) forget(name string) {
	l.t.Helper()
	topic := arn(name)
	if _, err := l.DeleteTopic(l.t.Context(), &sns.DeleteTopicInput{TopicArn: &topic}); err != nil {
		l.t.Fatal(err)
	}
}
