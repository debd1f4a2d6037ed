package org_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/population"
	"example.org/catchment/internal/org"
)

const role = "OrganizationAccountAccessRole"

// world is a lab that stands still, served to the SDK.
type world struct {
	*lab.Lab

	server *labtest.Server
}

func newWorld(t *testing.T, standalone bool, regions ...string) *world {
	t.Helper()
	l, err := lab.New(lab.Options{
		Options: cloud.Options{Seed: 1}, Standalone: standalone, // starts now: the SDK looks at the clock when a role expires
		Population: population.Options{Accounts: 3, Regions: regions},
	})
	if err != nil {
		t.Fatal(err)
	}
	var network net.ListenConfig
	listener, err := network.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, listener, false) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &world{l, labtest.At(t, l.Cloud, "http://"+listener.Addr().String())}
}

// management is the account that may get into all others.
func (w *world) management() string {
	_, id := w.Cloud.Accounts.Organization()
	return id
}

func (w *world) ids() []string { return w.Cloud.Accounts.IDs() }

func TestAllAccountsOfTheOrganizationAreReachedByTheirRole(t *testing.T) {
	w := newWorld(t, false, "us-east-1", "eu-west-1")
	o, err := org.Open(t.Context(), w.server.Config(w.management(), ""), org.Options{
		Administrator: w.Administrator(), Regions: []string{"us-east-1", "eu-west-1"}, Role: role,
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.Organization.Management != w.management() || o.Caller != w.management() || o.Partition != "aws" || !strings.HasPrefix(o.Organization.ID, "o-") {
		t.Errorf("got %+v", o)
	}
	reached, err := o.Reach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want []org.Reach
	for _, id := range w.ids() {
		for _, region := range []string{"us-east-1", "eu-west-1"} {
			want = append(want, org.Reach{Cell: org.Cell{Account: id, Region: region}, State: org.Ready})
		}
	}
	if diff := cmp.Diff(want, reached); diff != "" {
		t.Error(diff)
	}
	for _, r := range reached {
		who, err := sts.NewFromConfig(o.Config(r.Cell)).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil || aws.ToString(who.Account) != r.Account {
			t.Errorf("%v: %v, %v", r.Cell, who, err)
		}
	}
	assumed := 0
	calls, _ := w.Cloud.Calls.List()
	for _, call := range calls {
		if call.Operation == "AssumeRole" {
			assumed++
		}
	}
	if assumed != 2 {
		t.Errorf("roles were assumed %d times, want once for each of the 2 other accounts", assumed)
	}
}

func TestARegionThatIsNotEnabledIsReported(t *testing.T) {
	w := newWorld(t, false, "us-east-1")
	second := w.ids()[1]
	for _, id := range w.ids() {
		w.Cloud.Accounts.SetRegion(id, "af-south-1", id == second)
	}
	o, err := org.Open(t.Context(), w.server.Config(w.management(), ""), org.Options{Regions: []string{"us-east-1", "af-south-1"}, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	reached, err := o.Reach(t.Context())
	if err != nil || len(reached) != 6 {
		t.Fatalf("%v, %v", reached, err)
	}
	for _, r := range reached {
		want := org.Ready
		if r.Region == "af-south-1" && r.Account != second {
			want = org.NotEnabled
		}
		if r.State != want || (r.Reason == "") != (want == org.Ready) {
			t.Errorf("%+v, want %s", r, want)
		}
	}
}

func TestAccountsWithoutAnOrganizationAreNamed(t *testing.T) {
	w := newWorld(t, true, "us-east-1")
	ids := w.ids()
	base := w.server.Config(ids[0], "us-east-1")
	options := org.Options{Administrator: ids[0], Regions: []string{"us-east-1"}, Role: "catchment-deploy", ExternalID: "kept between us"}
	if _, err := org.Open(t.Context(), base, options); err == nil || !strings.Contains(err.Error(), "AWSOrganizationsNotInUseException") {
		t.Errorf("all accounts of no organization: %v", err)
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + ids[0] + `"},"Action":"sts:AssumeRole",` +
		`"Condition":{"StringEquals":{"sts:ExternalId":"kept-between-us"}}}]}`
	if _, err := iam.NewFromConfig(w.server.Config(ids[1], "us-east-1")).CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("catchment-deploy"), AssumeRolePolicyDocument: aws.String(trust),
	}); err != nil {
		t.Fatal(err)
	}
	options.Accounts, options.ExternalID = ids[1:], "kept-between-us"
	o, err := org.Open(t.Context(), base, options)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Accounts) != 3 {
		t.Errorf("the administrator is one of the accounts: %+v", o.Accounts)
	}
	reached, err := o.Reach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reached {
		want := org.Ready
		if r.Account == ids[2] { // it has no such role
			want = org.Denied
		}
		if r.State != want {
			t.Errorf("%+v, want %s", r, want)
		}
		if want == org.Denied && !strings.Contains(r.Reason, "AccessDenied") {
			t.Errorf("the reason is %q", r.Reason)
		}
	}
	options.ExternalID = "another"
	if o, err = org.Open(t.Context(), base, options); err != nil {
		t.Fatal(err)
	}
	if reached, err = o.Reach(t.Context()); err != nil || slices.IndexFunc(reached, func(r org.Reach) bool { return r.State == org.Denied && r.Account == ids[1] }) < 0 {
		t.Errorf("another external id: %v, %v", reached, err)
	}
}
