package events_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

func TestConnectionsAndDestinationsAreKept(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	api := w.destination("https://example.com/in", types.ConnectionAuthorizationTypeApiKey, apiKey("k", "very-secret"), aws.Int32(7))
	con, err := c.DescribeConnection(t.Context(), &eventbridge.DescribeConnectionInput{Name: aws.String("con")})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(*con.ConnectionArn, arn("events", "connection/con/")) || con.ConnectionState != types.ConnectionStateAuthorized ||
		!strings.HasPrefix(*con.SecretArn, arn("secretsmanager", "secret:events!connection/con/")) || *con.AuthParameters.ApiKeyAuthParameters.ApiKeyName != "k" {
		t.Errorf("got %+v", con)
	}
	d, err := c.DescribeApiDestination(t.Context(), &eventbridge.DescribeApiDestinationInput{Name: aws.String("api")})
	if err != nil || *d.ApiDestinationArn != api || *d.InvocationEndpoint != "https://example.com/in" || *d.InvocationRateLimitPerSecond != 7 || d.ApiDestinationState != types.ApiDestinationStateActive {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := c.UpdateApiDestination(t.Context(), &eventbridge.UpdateApiDestinationInput{
		Name: aws.String("api"), HttpMethod: types.ApiDestinationHttpMethodPut, ConnectionArn: con.ConnectionArn, InvocationRateLimitPerSecond: aws.Int32(9),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateConnection(t.Context(), &eventbridge.UpdateConnectionInput{
		Name: aws.String("con"), Description: aws.String("d"), AuthorizationType: types.ConnectionAuthorizationTypeBasic,
		AuthParameters: &types.UpdateConnectionAuthRequestParameters{
			BasicAuthParameters: &types.UpdateConnectionBasicAuthRequestParameters{Username: aws.String("me"), Password: aws.String("p")},
			InvocationHttpParameters: &types.ConnectionHttpParameters{HeaderParameters: []types.ConnectionHeaderParameter{
				{Key: aws.String("open"), Value: aws.String("1")}, {Key: aws.String("closed"), Value: aws.String("2"), IsValueSecret: true},
			}},
		},
	}); err != nil {
		t.Fatal(err)
	}
	con, err = c.DescribeConnection(t.Context(), &eventbridge.DescribeConnectionInput{Name: aws.String("con")})
	if err != nil || *con.Description != "d" || *con.AuthParameters.BasicAuthParameters.Username != "me" {
		t.Errorf("got %+v, %v", con, err)
	}
	if more := con.AuthParameters.InvocationHttpParameters.HeaderParameters; *more[0].Value != "1" || more[1].Value != nil {
		t.Errorf("got %+v, want the secret value left out", more)
	}
	cons, err := c.ListConnections(t.Context(), &eventbridge.ListConnectionsInput{NamePrefix: aws.String("c"), ConnectionState: types.ConnectionStateAuthorized})
	if err != nil || len(cons.Connections) != 1 || cons.Connections[0].AuthorizationType != types.ConnectionAuthorizationTypeBasic {
		t.Errorf("got %+v, %v", cons, err)
	}
	list, err := c.ListApiDestinations(t.Context(), &eventbridge.ListApiDestinationsInput{ConnectionArn: con.ConnectionArn})
	if err != nil || len(list.ApiDestinations) != 1 || list.ApiDestinations[0].HttpMethod != types.ApiDestinationHttpMethodPut || *list.ApiDestinations[0].InvocationRateLimitPerSecond != 9 {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestConnectionsAndDestinationsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	w.destination("https://example.com", types.ConnectionAuthorizationTypeApiKey, apiKey("k", "v"), nil)
	con, err := c.DescribeConnection(t.Context(), &eventbridge.DescribeConnectionInput{Name: aws.String("con")})
	if err != nil {
		t.Fatal(err)
	}
	for sentence, test := range map[string]struct {
		in         eventbridge.CreateConnectionInput
		code, part string
	}{
		"a name that there is":    {eventbridge.CreateConnectionInput{Name: aws.String("con")}, "ResourceAlreadyExistsException", "Connection con already exists."},
		"a long name with spaces": {eventbridge.CreateConnectionInput{Name: aws.String(strings.Repeat("a b", 30))}, "ValidationException", "2 validation errors detected"},
		"an unknown kind":         {eventbridge.CreateConnectionInput{AuthorizationType: "INVALID"}, "ValidationException", "[BASIC, OAUTH_CLIENT_CREDENTIALS, API_KEY]"},
		"parameters of another":   {eventbridge.CreateConnectionInput{AuthorizationType: types.ConnectionAuthorizationTypeBasic}, "ValidationException", "nothing for AuthorizationType BASIC"},
		"a key with a new line":   {eventbridge.CreateConnectionInput{AuthParameters: apiKey("k", "top\nsecret")}, "ValidationException", "'***'"},
		"a key's name of spaces":  {eventbridge.CreateConnectionInput{AuthParameters: apiKey("a b", "v")}, "ValidationException", "apiKeyName"},
		"OAuth":                   {eventbridge.CreateConnectionInput{AuthorizationType: types.ConnectionAuthorizationTypeOauthClientCredentials}, "ValidationException", "BASIC and API_KEY"},
		"body parameters": {eventbridge.CreateConnectionInput{AuthParameters: &types.CreateConnectionAuthRequestParameters{
			ApiKeyAuthParameters:     apiKey("k", "v").ApiKeyAuthParameters,
			InvocationHttpParameters: &types.ConnectionHttpParameters{BodyParameters: []types.ConnectionBodyParameter{{Key: aws.String("a")}}},
		}}, "ValidationException", "BodyParameters"},
	} {
		t.Run(sentence, func(t *testing.T) {
			in := test.in
			if in.Name == nil {
				in.Name = aws.String("new")
			}
			if in.AuthorizationType == "" {
				in.AuthorizationType = types.ConnectionAuthorizationTypeApiKey
			}
			if in.AuthParameters == nil {
				in.AuthParameters = apiKey("k", "v")
			}
			_, err := c.CreateConnection(t.Context(), &in)
			wantError(t, err, test.code, test.part)
		})
	}
	for sentence, test := range map[string]struct {
		change     func(*eventbridge.CreateApiDestinationInput)
		code, part string
	}{
		"a name that there is": {func(in *eventbridge.CreateApiDestinationInput) { in.Name = aws.String("api") }, "ResourceAlreadyExistsException", "already exists"},
		"plain http": {func(in *eventbridge.CreateApiDestinationInput) {
			in.InvocationEndpoint = aws.String("http://example.com")
		}, "ValidationException", "https"},
		"a star in the host": {func(in *eventbridge.CreateApiDestinationInput) {
			in.InvocationEndpoint = aws.String("https://*.example.com")
		}, "ValidationException", "https"},
		"a password in the URL": {func(in *eventbridge.CreateApiDestinationInput) {
			in.InvocationEndpoint = aws.String("https://a:b@example.com")
		}, "ValidationException", "https"},
		"no URL": {func(in *eventbridge.CreateApiDestinationInput) { in.InvocationEndpoint = aws.String("example") }, "ValidationException", "https"},
		"a URL of 2,049": {func(in *eventbridge.CreateApiDestinationInput) {
			in.InvocationEndpoint = aws.String("https://e/" + strings.Repeat("a", 2039))
		}, "ValidationException", "less than or equal to 2048"},
		"TRACE":                    {func(in *eventbridge.CreateApiDestinationInput) { in.HttpMethod = "TRACE" }, "ValidationException", "enum value set"},
		"CONNECT":                  {func(in *eventbridge.CreateApiDestinationInput) { in.HttpMethod = "CONNECT" }, "ValidationException", "enum value set"},
		"no invocation a second":   {func(in *eventbridge.CreateApiDestinationInput) { in.InvocationRateLimitPerSecond = aws.Int32(0) }, "ValidationException", "greater than or equal to 1"},
		"301 invocations a second": {func(in *eventbridge.CreateApiDestinationInput) { in.InvocationRateLimitPerSecond = aws.Int32(301) }, "LimitExceededException", "maximum"},
		"a connection that is not": {func(in *eventbridge.CreateApiDestinationInput) {
			in.ConnectionArn = aws.String(*con.ConnectionArn + "x")
		}, "ResourceNotFoundException", "Connection"},
		"nothing wrong, on a local URL": {func(in *eventbridge.CreateApiDestinationInput) {
			in.Name, in.InvocationEndpoint = aws.String("local"), aws.String("http://[::1]:8080/*")
		}, "", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			in := &eventbridge.CreateApiDestinationInput{
				Name: aws.String("new"), ConnectionArn: con.ConnectionArn, InvocationEndpoint: aws.String("https://example.com/"), HttpMethod: types.ApiDestinationHttpMethodPost,
			}
			test.change(in)
			_, err := c.CreateApiDestination(t.Context(), in)
			if test.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, test.code, test.part)
		})
	}
	gone := aws.String("gone")
	_, err = c.DescribeConnection(t.Context(), &eventbridge.DescribeConnectionInput{Name: gone})
	wantError(t, err, "ResourceNotFoundException", "Connection 'gone' does not exist.")
	_, err = c.DeleteConnection(t.Context(), &eventbridge.DeleteConnectionInput{Name: gone})
	wantError(t, err, "ResourceNotFoundException", "does not exist")
	_, err = c.DescribeApiDestination(t.Context(), &eventbridge.DescribeApiDestinationInput{Name: gone})
	wantError(t, err, "ResourceNotFoundException", "does not exist")
	_, err = c.DeleteApiDestination(t.Context(), &eventbridge.DeleteApiDestinationInput{Name: gone})
	wantError(t, err, "ResourceNotFoundException", "does not exist")
}
