package events

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/lab/labtest"
)

func TestRatesFollowTheRegion(t *testing.T) {
	for region, want := range map[string]struct{ puts, invocations int }{
		"us-east-1": {10_000, 18_750}, "ap-northeast-1": {1_200, 2_250},
	} {
		if putRate(region) != want.puts || invocationRate(region) != want.invocations {
			t.Errorf("%s: %d puts and %d invocations a second, want %+v", region, putRate(region), invocationRate(region), want)
		}
	}
}

func TestThereAreThreeThousandConnectionsAndDestinations(t *testing.T) {
	c := labtest.NewCloud(t)
	s := New(c)
	client := eventbridge.NewFromConfig(labtest.Serve(t, c, s.Wire()).Config(labtest.Administrator, labtest.Region))
	connect := func(name string) (*eventbridge.CreateConnectionOutput, error) {
		return client.CreateConnection(t.Context(), &eventbridge.CreateConnectionInput{
			Name: &name, AuthorizationType: types.ConnectionAuthorizationTypeApiKey, AuthParameters: &types.CreateConnectionAuthRequestParameters{
				ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: aws.String("k"), ApiKeyValue: aws.String("v")},
			},
		})
	}
	direct := func(name, connection string) error {
		_, err := client.CreateApiDestination(t.Context(), &eventbridge.CreateApiDestinationInput{
			Name: &name, ConnectionArn: &connection, InvocationEndpoint: aws.String("https://example.com"), HttpMethod: types.ApiDestinationHttpMethodPost,
		})
		return err
	}
	here := s.at(c.Accounts.Place(labtest.Administrator, labtest.Region))
	for i := range 2999 { // as if they had been made one by one
		name := fmt.Sprint("n", i)
		here.connections[name], here.destinations[name] = &connection{name: name}, &destination{name: name}
	}
	last, err := connect("last")
	if err != nil {
		t.Fatal(err)
	}
	if err := direct("last", *last.ConnectionArn); err != nil {
		t.Fatal(err)
	}
	_, err = connect("more")
	for what, err := range map[string]error{"connection": err, "destination": direct("more", *last.ConnectionArn)} {
		if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "LimitExceededException" {
			t.Errorf("a %s beyond 3,000: %v", what, err)
		}
	}
}
