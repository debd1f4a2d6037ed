package inspector2_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/inspector2/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/labtest"
)

func TestOnlyTheManagementAccountNamesTheAdministrator(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	management, other := s.client(labtest.Administrator), s.client(labtest.Member)
	_, err := other.EnableDelegatedAdminAccount(ctx, &sdk.EnableDelegatedAdminAccountInput{DelegatedAdminAccountId: aws.String(labtest.Member)})
	wantError(t, err, "AccessDeniedException")
	_, err = management.GetDelegatedAdminAccount(ctx, &sdk.GetDelegatedAdminAccountInput{})
	wantError(t, err, "ResourceNotFoundException")
	_, err = management.EnableDelegatedAdminAccount(ctx, &sdk.EnableDelegatedAdminAccountInput{DelegatedAdminAccountId: aws.String("999999999999")})
	wantError(t, err, "ResourceNotFoundException")
	in := &sdk.EnableDelegatedAdminAccountInput{DelegatedAdminAccountId: aws.String(labtest.Member), ClientToken: aws.String("once")}
	for range 2 { // the token makes it the same request
		_, err = management.EnableDelegatedAdminAccount(ctx, in)
		wantError(t, err, "")
	}
	_, err = management.EnableDelegatedAdminAccount(ctx, &sdk.EnableDelegatedAdminAccountInput{DelegatedAdminAccountId: aws.String(labtest.Administrator)})
	conflict, ok := errors.AsType[*types.ConflictException](err)
	if !ok || *conflict.ResourceId != labtest.Member {
		t.Errorf("another administrator: %v", err)
	}
	got, err := other.GetDelegatedAdminAccount(ctx, &sdk.GetDelegatedAdminAccountInput{})
	if err != nil || *got.DelegatedAdmin.AccountId != labtest.Member || got.DelegatedAdmin.RelationshipStatus != "ENABLED" {
		t.Errorf("get: %+v, %v", got, err)
	}
	list, err := management.ListDelegatedAdminAccounts(ctx, &sdk.ListDelegatedAdminAccountsInput{})
	if err != nil || len(list.DelegatedAdminAccounts) != 1 || list.DelegatedAdminAccounts[0].Status != "ENABLED" {
		t.Errorf("list: %+v, %v", list, err)
	}
	_, err = other.ListDelegatedAdminAccounts(ctx, &sdk.ListDelegatedAdminAccountsInput{})
	wantError(t, err, "AccessDeniedException")
	elsewhere := sdk.NewFromConfig(s.server.Config(labtest.Administrator, "us-east-1"))
	_, err = elsewhere.GetDelegatedAdminAccount(ctx, &sdk.GetDelegatedAdminAccountInput{})
	wantError(t, err, "ResourceNotFoundException") // each region has its own
	_, err = management.DisableDelegatedAdminAccount(ctx, &sdk.DisableDelegatedAdminAccountInput{DelegatedAdminAccountId: aws.String(labtest.Administrator)})
	wantError(t, err, "ResourceNotFoundException")
	_, err = management.DisableDelegatedAdminAccount(ctx, &sdk.DisableDelegatedAdminAccountInput{DelegatedAdminAccountId: aws.String(labtest.Member)})
	wantError(t, err, "")
	_, err = other.GetDelegatedAdminAccount(ctx, &sdk.GetDelegatedAdminAccountInput{})
	wantError(t, err, "ResourceNotFoundException")
}

func TestTheAdministratorHasMembersAndManagesThem(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	_, err := s.client(labtest.Administrator).AssociateMember(ctx, &sdk.AssociateMemberInput{AccountId: aws.String(labtest.Member)})
	wantError(t, err, "AccessDeniedException") // not the administrator yet
	s.service.Delegate(labtest.Region, labtest.Administrator)
	client := s.client(labtest.Administrator)
	auto, err := client.UpdateOrganizationConfiguration(ctx, &sdk.UpdateOrganizationConfigurationInput{
		AutoEnable: &types.AutoEnable{Ec2: aws.Bool(true), Ecr: aws.Bool(true)},
	})
	if err != nil || !*auto.AutoEnable.Ec2 || *auto.AutoEnable.Lambda {
		t.Errorf("update: %+v, %v", auto, err)
	}
	_, err = client.AssociateMember(ctx, &sdk.AssociateMemberInput{AccountId: aws.String("999999999999")})
	wantError(t, err, "ValidationException")
	_, err = client.AssociateMember(ctx, &sdk.AssociateMemberInput{AccountId: aws.String(labtest.Member)})
	wantError(t, err, "")
	labtest.Settle(t, s.cloud)
	status, err := client.BatchGetAccountStatus(ctx, &sdk.BatchGetAccountStatusInput{AccountIds: []string{labtest.Member, "333333333333"}})
	if err != nil || len(status.Accounts) != 1 || status.Accounts[0].ResourceState.Ec2.Status != "ENABLED" || status.Accounts[0].ResourceState.Lambda.Status != "DISABLED" ||
		len(status.FailedAccounts) != 1 || status.FailedAccounts[0].ErrorCode != "ACCESS_DENIED" {
		t.Errorf("status of the member, which is enabled automatically: %+v, %v", status, err)
	}
	self, err := s.client(labtest.Member).Disable(ctx, &sdk.DisableInput{})
	if err != nil || len(self.FailedAccounts) != 1 || self.FailedAccounts[0].ErrorCode != "ACCESS_DENIED" {
		t.Errorf("a member disables itself: %+v, %v", self, err)
	}
	all, err := client.Disable(ctx, &sdk.DisableInput{})
	if err != nil || len(all.FailedAccounts) != 1 || all.FailedAccounts[0].ErrorCode != "DISASSOCIATE_ALL_MEMBERS" {
		t.Errorf("the administrator of members disables itself: %+v, %v", all, err)
	}
	member, err := client.GetMember(ctx, &sdk.GetMemberInput{AccountId: aws.String(labtest.Member)})
	if err != nil || member.Member.RelationshipStatus != "ENABLED" || *member.Member.DelegatedAdminAccountId != labtest.Administrator || !member.Member.UpdatedAt.Equal(labtest.Start) {
		t.Errorf("get: %+v, %v", member, err)
	}
	_, err = client.GetMember(ctx, &sdk.GetMemberInput{AccountId: aws.String("333333333333")})
	wantError(t, err, "ResourceNotFoundException")
	_, err = client.DisassociateMember(ctx, &sdk.DisassociateMemberInput{AccountId: aws.String(labtest.Member)})
	wantError(t, err, "")
	_, err = client.DisassociateMember(ctx, &sdk.DisassociateMemberInput{AccountId: aws.String(labtest.Member)})
	wantError(t, err, "ValidationException")
	now, err := client.ListMembers(ctx, &sdk.ListMembersInput{})
	once, err2 := client.ListMembers(ctx, &sdk.ListMembersInput{OnlyAssociated: aws.Bool(false)})
	if err != nil || err2 != nil || len(now.Members) != 0 || len(once.Members) != 1 || once.Members[0].RelationshipStatus != "REMOVED" {
		t.Errorf("members: %+v, %v; with former ones: %+v, %v", now, err, once, err2)
	}
}

func TestMembersComeInPagesUpToALimit(t *testing.T) {
	s := newStage(t)
	s.service.MaxMembers = 7
	s.service.Delegate(labtest.Region, labtest.Administrator)
	client := s.client(labtest.Administrator)
	for i := range 8 {
		id := string(rune('0'+i)) + "44444444444"
		if err := s.cloud.Accounts.Add(cloud.Account{ID: id}); err != nil {
			t.Fatal(err)
		}
		_, err := client.AssociateMember(t.Context(), &sdk.AssociateMemberInput{AccountId: aws.String(id)})
		if i < 7 {
			wantError(t, err, "")
		} else if quota, ok := errors.AsType[*types.ServiceQuotaExceededException](err); !ok || *quota.ResourceId != id {
			t.Errorf("the 8th member of 7: %v", err)
		}
	}
	var got []string
	pages := sdk.NewListMembersPaginator(client, &sdk.ListMembersInput{MaxResults: aws.Int32(3)})
	for n := 0; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		if err != nil || len(page.Members) > 3 {
			t.Fatal(len(page.Members), err)
		}
		for _, m := range page.Members {
			got = append(got, *m.AccountId)
		}
	}
	if len(got) != 7 || got[0] != "044444444444" || got[6] != "644444444444" {
		t.Errorf("members %v", got)
	}
	config, err := client.DescribeOrganizationConfiguration(t.Context(), &sdk.DescribeOrganizationConfigurationInput{})
	if err != nil || !*config.MaxAccountLimitReached {
		t.Errorf("%+v, %v", config, err)
	}
	s.service.Join("744444444444") // as a new account of the organisation: it does not fit
	labtest.Settle(t, s.cloud)
	events := s.bus.bodies(t)
	if len(events) != 1 || events[0]["detail-type"] != "Inspector2 AutoEnable" {
		t.Fatalf("events %v", events)
	}
	if resources, is := events[0]["resources"]; is {
		t.Errorf("the event has resources %v; that one has none", resources)
	}
}

func TestANewAccountJoins(t *testing.T) {
	s := newStage(t)
	s.service.Delegate(labtest.Region, labtest.Administrator)
	if _, err := s.client(labtest.Administrator).UpdateOrganizationConfiguration(t.Context(), &sdk.UpdateOrganizationConfigurationInput{
		AutoEnable: &types.AutoEnable{Ec2: aws.Bool(true), Ecr: aws.Bool(false)},
	}); err != nil {
		t.Fatal(err)
	}
	var switched []string
	s.service.Switched = func(p cloud.Place, kinds []string, on bool) {
		if on {
			switched = append(append(switched, p.Account), kinds...)
		}
	}
	s.service.Join(labtest.Member)
	s.service.Join(labtest.Member)
	labtest.Settle(t, s.cloud)
	if !s.service.Enabled(s.place(labtest.Member), inspector2.EC2) || len(switched) != 2 {
		t.Errorf("EC2 is not enabled in the new account, switched %v", switched)
	}
}
