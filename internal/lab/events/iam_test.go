package events_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"example.org/catchment/internal/lab/cloud"
	labiam "example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/labtest"
)

// TestTheLabsIAMLetsEventsIntoTheCentralBusOfAnOrganisation judges with the lab's IAM what the other tests judge with a guard.
func TestTheLabsIAMLetsEventsIntoTheCentralBusOfAnOrganisation(t *testing.T) {
	c := labtest.NewCloud(t)
	access := labiam.New(c)
	c.Access = access
	c.Accounts.SetOrganization("o-exampleorg1", labtest.Administrator)
	w := newWorldIn(t, c)
	bus := arn("events", "event-bus/central")
	client := iam.NewFromConfig(labtest.Serve(t, c, access.Wire()).Config(labtest.Member, "us-east-1"))
	if _, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName:                 aws.String("forward"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String("forward"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":%q}]}`, bus)),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client().CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("central")}); err != nil {
		t.Fatal(err)
	}
	allow := fmt.Sprintf(`{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":%q,`+
		`"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, queue("q"), arn("events", "rule/central/collect"))
	w.sink.resource = func(string) (cloud.Resource, error) {
		return cloud.Resource{Owner: labtest.Administrator, Policy: []byte(allow)}, nil
	}
	w.ruleBy(w.in(labtest.Member, labtest.Region), "", "forward", everything, toBus("1", bus, labtest.Member))
	w.ruleBy(w.client(), "central", "collect", everything, target("1", queue("q")))
	member := cloud.Place{Partition: "aws", Account: labtest.Member, Region: labtest.Region}
	event := []byte(strings.ReplaceAll(small, labtest.Administrator, labtest.Member))
	for _, step := range []struct {
		org  string
		want int
	}{{"o-anotherorg1", 0}, {"o-exampleorg1", 1}} {
		w.permit(eventbridge.PutPermissionInput{Principal: aws.String("*"), Condition: &types.Condition{
			Type: aws.String("StringEquals"), Key: aws.String("aws:PrincipalOrgID"), Value: &step.org,
		}})
		w.from(member, event)
		if got := w.sink.bodies("q"); len(got) != step.want {
			t.Errorf("%s is let in: got %d events, want %d", step.org, len(got), step.want)
		}
	}
}
