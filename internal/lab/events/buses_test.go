package events_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"example.org/catchment/internal/lab/labtest"
)

func TestABusIsMadeDescribedListedAndDeleted(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	made, err := c.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{
		Name: aws.String("orders"), Description: aws.String("all orders"), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
		DeadLetterConfig: &types.DeadLetterConfig{Arn: aws.String(queue("bus-dlq"))}, LogConfig: &types.LogConfig{Level: types.LevelInfo},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := arn("events", "event-bus/orders"); *made.EventBusArn != want {
		t.Errorf("got ARN %s, want %s", *made.EventBusArn, want)
	}
	for _, name := range []string{"orders", *made.EventBusArn} {
		shown, err := c.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{Name: &name})
		if err != nil {
			t.Fatal(err)
		}
		if *shown.Name != "orders" || *shown.Description != "all orders" || shown.Policy != nil || !shown.CreationTime.Equal(labtest.Start) {
			t.Errorf("%s: got %+v", name, shown)
		}
	}
	updated, err := c.UpdateEventBus(t.Context(), &eventbridge.UpdateEventBusInput{Name: aws.String("orders")})
	if err != nil || updated.Description != nil {
		t.Errorf("update: got description %v, %v; what is omitted is reset", updated, err)
	}
	list := func(prefix string) string {
		var names []string
		pages := &eventbridge.ListEventBusesInput{Limit: aws.Int32(1)}
		if prefix != "" {
			pages.NamePrefix = &prefix
		}
		for {
			out, err := c.ListEventBuses(t.Context(), pages)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range out.EventBuses {
				names = append(names, *b.Name)
			}
			if pages.NextToken = out.NextToken; out.NextToken == nil {
				return strings.Join(names, " ")
			}
		}
	}
	if got := list(""); got != "default orders" {
		t.Errorf("got buses %q", got)
	}
	if got := list("ord"); got != "orders" {
		t.Errorf("got buses with prefix %q", got)
	}
	for range 2 { // twice: AWS is content where there is none
		if _, err := c.DeleteEventBus(t.Context(), &eventbridge.DeleteEventBusInput{Name: aws.String("orders")}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{Name: aws.String("orders")})
	wantError(t, err, "ResourceNotFoundException", "Event bus orders does not exist.")
}

func TestWhatABusCannotBe(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	create := func(name string) error {
		_, err := c.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: &name})
		return err
	}
	if err := create("taken"); err != nil {
		t.Fatal(err)
	}
	for sentence, test := range map[string]struct{ name, code, part string }{
		"a name with a space":      {"a b", "ValidationException", "regular expression pattern"},
		"a name of 257 characters": {strings.Repeat("a", 257), "ValidationException", "less than or equal to 256"},
		"a name with a slash":      {"a/b", "ValidationException", "must not contain '/'"},
		"the default bus":          {"default", "ResourceAlreadyExistsException", "already exists"},
		"a bus that there is":      {"taken", "ResourceAlreadyExistsException", "Event bus taken already exists."},
	} {
		t.Run(sentence, func(t *testing.T) { wantError(t, create(test.name), test.code, test.part) })
	}
	_, err := c.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("partner"), EventSourceName: aws.String("aws.partner/a/b")})
	wantError(t, err, "ResourceNotFoundException", "Event source")
	_, err = c.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("long"), Description: aws.String(strings.Repeat("a", 513))})
	wantError(t, err, "ValidationException", "less than or equal to 512")
	_, err = c.DeleteEventBus(t.Context(), &eventbridge.DeleteEventBusInput{Name: aws.String("default")})
	wantError(t, err, "ValidationException", "Cannot delete event bus default.")
	w.ruleBy(c, "taken", "r", `{"source":["a"]}`)
	_, err = c.DeleteEventBus(t.Context(), &eventbridge.DeleteEventBusInput{Name: aws.String("taken")})
	wantError(t, err, "ValidationException", "since it has rules")
	for i := 2; i <= 100; i++ {
		if err := create(fmt.Sprintf("bus-%d", i)); err != nil {
			t.Fatalf("bus %d: %v", i, err)
		}
	}
	wantError(t, create("one-too-many"), "LimitExceededException", "exceeds the maximum")
	_, err = c.ListEventBuses(t.Context(), &eventbridge.ListEventBusesInput{Limit: aws.Int32(101)})
	wantError(t, err, "ValidationException", "less than or equal to 100")
	_, err = c.ListEventBuses(t.Context(), &eventbridge.ListEventBusesInput{NextToken: aws.String("!")})
	wantError(t, err, "ValidationException", "NextToken")
}

// policy is what DescribeEventBus shows.
func (w *world) policy() string {
	w.Helper()
	out, err := w.client().DescribeEventBus(w.Context(), &eventbridge.DescribeEventBusInput{})
	if err != nil {
		w.Fatal(err)
	}
	if out.Policy == nil {
		return ""
	}
	if !json.Valid([]byte(*out.Policy)) {
		w.Errorf("policy %s is no JSON", *out.Policy)
	}
	return *out.Policy
}

func TestPermissionsAreStatementsOfTheBusPolicy(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	put := func(in eventbridge.PutPermissionInput) {
		t.Helper()
		if _, err := c.PutPermission(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
	}
	action := aws.String("events:PutEvents")
	put(eventbridge.PutPermissionInput{Action: action, Principal: aws.String(labtest.Member), StatementId: aws.String("member")})
	put(eventbridge.PutPermissionInput{Action: action, Principal: aws.String("*"), StatementId: aws.String("org"), Condition: &types.Condition{
		Type: aws.String("StringEquals"), Key: aws.String("aws:PrincipalOrgID"), Value: aws.String("o-exampleorg"),
	}})
	bus := arn("events", "event-bus/default")
	member := `{"Sid":"member","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"events:PutEvents","Resource":"` + bus + `"}`
	org := `{"Sid":"org","Effect":"Allow","Principal":"*","Action":"events:PutEvents","Resource":"` + bus +
		`","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorg"}}}`
	if got, want := w.policy(), `{"Version":"2012-10-17","Statement":[`+member+`,`+org+`]}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	put(eventbridge.PutPermissionInput{Action: action, Principal: aws.String("*"), StatementId: aws.String("member")})
	if got := w.policy(); strings.Count(got, `"Sid":"member"`) != 1 || strings.Contains(got, "root") {
		t.Errorf("a statement of the same id was not replaced: %s", got)
	}
	if _, err := c.RemovePermission(t.Context(), &eventbridge.RemovePermissionInput{StatementId: aws.String("member")}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.policy(), `{"Version":"2012-10-17","Statement":[`+org+`]}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	put(eventbridge.PutPermissionInput{Policy: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"events:*","Resource":"*"}}`)})
	if got := w.policy(); !strings.Contains(got, `"events:*"`) || strings.Contains(got, "org") {
		t.Errorf("a whole policy did not replace the old one: %s", got)
	}
	if _, err := c.RemovePermission(t.Context(), &eventbridge.RemovePermissionInput{RemoveAllPermissions: true}); err != nil {
		t.Fatal(err)
	}
	if got := w.policy(); got != "" {
		t.Errorf("got policy %s, want none", got)
	}
}

func TestPermissionsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	valid := func(change func(*eventbridge.PutPermissionInput)) eventbridge.PutPermissionInput {
		in := eventbridge.PutPermissionInput{
			Action: aws.String("events:PutEvents"), Principal: aws.String("*"), StatementId: aws.String("s"),
		}
		change(&in)
		return in
	}
	policy := func(text string) func(*eventbridge.PutPermissionInput) {
		return func(in *eventbridge.PutPermissionInput) { *in = eventbridge.PutPermissionInput{Policy: &text} }
	}
	for sentence, test := range map[string]struct {
		change     func(*eventbridge.PutPermissionInput)
		code, part string
	}{
		"another action": {
			func(in *eventbridge.PutPermissionInput) { in.Action = aws.String("events:PutRule") },
			"ValidationException", "Provided value in parameter 'action' is not supported.",
		},
		"a principal that is no account": {
			func(in *eventbridge.PutPermissionInput) { in.Principal = aws.String("me") }, "ValidationException", "'principal'",
		},
		"a statement id with a space": {
			func(in *eventbridge.PutPermissionInput) { in.StatementId = aws.String("a b") }, "ValidationException", "'statementId'",
		},
		"no statement id": {
			func(in *eventbridge.PutPermissionInput) { in.StatementId = nil }, "ValidationException", "must be specified",
		},
		"a bus that does not exist": {
			func(in *eventbridge.PutPermissionInput) { in.EventBusName = aws.String("gone") }, "ResourceNotFoundException", "Event bus gone does not exist.",
		},
		"a condition for one account": {
			func(in *eventbridge.PutPermissionInput) {
				in.Principal = aws.String(labtest.Member)
				in.Condition = &types.Condition{Type: aws.String("StringEquals"), Key: aws.String("aws:PrincipalOrgID"), Value: aws.String("o-1")}
			}, "ValidationException", "Condition",
		},
		"a condition on something else": {
			func(in *eventbridge.PutPermissionInput) {
				in.Condition = &types.Condition{Type: aws.String("StringEquals"), Key: aws.String("aws:SourceIp"), Value: aws.String("o-1")}
			}, "ValidationException", "aws:PrincipalOrgID",
		},
		"a policy beside a statement": {
			func(in *eventbridge.PutPermissionInput) { in.Policy = aws.String("{}") }, "ValidationException", "together",
		},
		"a policy that is no JSON":        {policy(`{`), "ValidationException", "Policy"},
		"a policy without a statement":    {policy(`{"Version":"2012-10-17","Statement":[]}`), "ValidationException", "Statement"},
		"a statement without a principal": {policy(`{"Statement":[{"Effect":"Allow","Action":"*"}]}`), "ValidationException", "Principal"},
		"a policy of more than 10,240 characters": {
			policy(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"` + strings.Repeat("a", 10_240) + `"}]}`),
			"PolicyLengthExceededException", "10240",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			in := valid(test.change)
			_, err := c.PutPermission(t.Context(), &in)
			wantError(t, err, test.code, test.part)
		})
	}
	_, err := c.RemovePermission(t.Context(), &eventbridge.RemovePermissionInput{StatementId: aws.String("s")})
	wantError(t, err, "ResourceNotFoundException", "Statement with the provided id does not exist.")
	_, err = c.RemovePermission(t.Context(), &eventbridge.RemovePermissionInput{})
	wantError(t, err, "ValidationException", "StatementId")
}
