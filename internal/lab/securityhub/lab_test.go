package securityhub_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/securityhub"
)

const (
	admin  = labtest.Administrator
	member = labtest.Member
	region = labtest.Region
	other  = "eu-west-1"
)

// A lab is Security Hub with an event bus that remembers.
type lab struct {
	t      *testing.T
	cloud  *cloud.Cloud
	hub    *securityhub.Service
	server *labtest.Server
	bus    *bus
}

func newLab(t *testing.T, options ...func(*cloud.Options)) *lab {
	t.Helper()
	c := labtest.NewCloud(t, options...)
	hub := securityhub.New(c)
	b := &bus{}
	c.Receivers.Register("events", b)
	return &lab{t, c, hub, labtest.Serve(t, c, hub.Wire()), b}
}

func (l *lab) client(account, region string) *sdk.Client {
	return sdk.NewFromConfig(l.server.Config(account, region))
}

func (l *lab) place(account, region string) cloud.Place {
	return l.cloud.Accounts.Place(account, region)
}

// add makes n accounts with ids of 12 digits from 300000000000 on.
func (l *lab) add(n int) []string {
	l.t.Helper()
	var ids []string
	for i := range n {
		id := fmt.Sprintf("3%011d", i)
		if err := l.cloud.Accounts.Add(cloud.Account{ID: id}); err != nil {
			l.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// enable switches Security Hub on.
func (l *lab) enable(region string, accounts ...string) {
	l.t.Helper()
	for _, a := range accounts {
		_, err := l.client(a, region).EnableSecurityHub(l.t.Context(), &sdk.EnableSecurityHubInput{})
		must(l.t, err)
	}
}

// join makes an account the administrator's member by invitation.
func (l *lab) join(region, account string) {
	l.t.Helper()
	ctx, a, m := l.t.Context(), l.client(admin, region), l.client(account, region)
	created, err := a.CreateMembers(ctx, &sdk.CreateMembersInput{AccountDetails: []types.AccountDetails{{AccountId: &account}}})
	must(l.t, err)
	invited, err := a.InviteMembers(ctx, &sdk.InviteMembersInput{AccountIds: []string{account}})
	must(l.t, err)
	if n := len(created.UnprocessedAccounts) + len(invited.UnprocessedAccounts); n > 0 {
		l.t.Fatalf("%d unprocessed accounts", n)
	}
	list, err := m.ListInvitations(ctx, &sdk.ListInvitationsInput{})
	must(l.t, err)
	for _, i := range list.Invitations {
		if *i.AccountId == admin {
			_, err = m.AcceptAdministratorInvitation(ctx, &sdk.AcceptAdministratorInvitationInput{
				AdministratorId: aws.String(admin), InvitationId: i.InvitationId,
			})
			must(l.t, err)
		}
	}
}

// own is a finding of an account's default product.
func own(account, region, id string, updated time.Time, edits ...func(*types.AwsSecurityFinding)) types.AwsSecurityFinding {
	at := updated.UTC().Format("2006-01-02T15:04:05.000Z")
	f := types.AwsSecurityFinding{
		SchemaVersion: aws.String("2018-10-08"), Id: &id, AwsAccountId: &account, GeneratorId: aws.String("test"),
		ProductArn: aws.String(defaultProduct(account, region)),
		Title:      aws.String("title of " + id), Description: aws.String("text"), CreatedAt: &at, UpdatedAt: &at,
		Types:     []string{"Software and Configuration Checks/Vulnerabilities/CVE"},
		Severity:  &types.Severity{Label: types.SeverityLabelHigh},
		Resources: []types.Resource{{Type: aws.String("Other"), Id: aws.String("thing")}},
	}
	for _, edit := range edits {
		edit(&f)
	}
	return f
}

func defaultProduct(account, region string) string {
	return fmt.Sprintf("arn:aws:securityhub:%s:%s:product/%s/default", region, account, account)
}

func (l *lab) importAll(account, region string, findings ...types.AwsSecurityFinding) {
	l.t.Helper()
	out, err := l.client(account, region).BatchImportFindings(l.t.Context(), &sdk.BatchImportFindingsInput{Findings: findings})
	must(l.t, err)
	if *out.FailedCount != 0 || int(*out.SuccessCount) != len(findings) {
		l.t.Fatalf("imported %d of %d: %s %s", *out.SuccessCount, len(findings), *out.FailedFindings[0].ErrorCode, *out.FailedFindings[0].ErrorMessage)
	}
}

// publish delivers findings as one of AWS's services does, and gives what it was answered.
func (l *lab) publish(account, region, product, from string, findings ...any) string {
	l.t.Helper()
	body, err := json.Marshal(map[string]any{"Findings": findings})
	must(l.t, err)
	p := l.place(account, region)
	answer, err := l.cloud.Deliver(l.t.Context(), &cloud.Delivery{
		Source: p.ARN("inspector2", "finding"), From: from, Account: account, Action: "securityhub:BatchImportFindings",
		Target: p.ARN("securityhub", "product-subscription/"+product), Body: body, Trusted: true,
	})
	must(l.t, err)
	return string(answer)
}

func (l *lab) events() []cloud.Envelope {
	l.t.Helper()
	labtest.Settle(l.t, l.cloud)
	return l.bus.take()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks an error's code and status.
func refused(t *testing.T, err error, code string, status int) {
	t.Helper()
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	if api.ErrorCode() != code || response.HTTPStatusCode() != status {
		t.Errorf("got %s %d (%s), want %s %d", api.ErrorCode(), response.HTTPStatusCode(), api.ErrorMessage(), code, status)
	}
	if api.ErrorMessage() == "" {
		t.Errorf("%s has no message", code)
	}
}

// A bus is EventBridge's default buses, in all accounts and regions.
type bus struct {
	mu     sync.Mutex
	events []cloud.Envelope
}

func (b *bus) Resource(string) (cloud.Resource, error) { return cloud.Resource{}, nil }

func (b *bus) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	var e cloud.Envelope
	if err := json.Unmarshal(d.Body, &e); err != nil {
		return nil, err
	}
	arn, err := cloud.ParseARN(d.Target)
	if err != nil || arn.Account != e.Account || arn.Region != e.Region || arn.Resource != "event-bus/default" {
		return nil, fmt.Errorf("event of %s %s on %s", e.Account, e.Region, d.Target)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
	return nil, nil
}

func (b *bus) take() []cloud.Envelope {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.events
	b.events = nil
	return out
}

// theFinding is the one finding of an event.
func theFinding(t *testing.T, e cloud.Envelope) jsontext.Value {
	t.Helper()
	var detail struct {
		Findings []jsontext.Value `json:"findings"`
	}
	must(t, json.Unmarshal(e.Detail, &detail))
	if len(detail.Findings) != 1 {
		t.Fatalf("the event has %d findings, want 1", len(detail.Findings))
	}
	return detail.Findings[0]
}
