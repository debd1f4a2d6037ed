package securityhub_test

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

// moves are the steps in the life of a membership. Each tells whether it was done.
func (l *lab) moves() map[string]func(context.Context) (done bool, err error) {
	a, m := l.client(admin, region), l.client(member, region)
	ids := []string{member}
	admins := []string{admin}
	all := func(u []types.Result, err error) (bool, error) { return len(u) == 0 && err == nil, err }
	accept := func(ctx context.Context) (string, error) {
		list, err := m.ListInvitations(ctx, &sdk.ListInvitationsInput{})
		if err != nil || len(list.Invitations) == 0 {
			return "none", err
		}
		return *list.Invitations[0].InvitationId, nil
	}
	return map[string]func(context.Context) (bool, error){
		"create": func(ctx context.Context) (bool, error) {
			out, err := a.CreateMembers(ctx, &sdk.CreateMembersInput{AccountDetails: []types.AccountDetails{{AccountId: aws.String(member)}}})
			return all(out.UnprocessedAccounts, err)
		},
		"invite": func(ctx context.Context) (bool, error) {
			out, err := a.InviteMembers(ctx, &sdk.InviteMembersInput{AccountIds: ids})
			return all(out.UnprocessedAccounts, err)
		},
		"accept": func(ctx context.Context) (bool, error) {
			id, err := accept(ctx)
			if err == nil {
				_, err = m.AcceptAdministratorInvitation(ctx, &sdk.AcceptAdministratorInvitationInput{AdministratorId: aws.String(admin), InvitationId: &id})
			}
			return err == nil, nil
		},
		"accept the old way": func(ctx context.Context) (bool, error) {
			id, err := accept(ctx)
			if err == nil {
				_, err = m.AcceptInvitation(ctx, &sdk.AcceptInvitationInput{MasterId: aws.String(admin), InvitationId: &id}) //nolint:staticcheck // the old way works still
			}
			return err == nil, nil
		},
		"decline": func(ctx context.Context) (bool, error) {
			out, err := m.DeclineInvitations(ctx, &sdk.DeclineInvitationsInput{AccountIds: admins})
			return all(out.UnprocessedAccounts, err)
		},
		"delete the invitation": func(ctx context.Context) (bool, error) {
			out, err := m.DeleteInvitations(ctx, &sdk.DeleteInvitationsInput{AccountIds: admins})
			return all(out.UnprocessedAccounts, err)
		},
		"disassociate": func(ctx context.Context) (bool, error) {
			_, err := a.DisassociateMembers(ctx, &sdk.DisassociateMembersInput{AccountIds: ids})
			return err == nil, nil
		},
		"leave": func(ctx context.Context) (bool, error) {
			_, err := m.DisassociateFromAdministratorAccount(ctx, &sdk.DisassociateFromAdministratorAccountInput{})
			return err == nil, nil
		},
		"delete": func(ctx context.Context) (bool, error) {
			out, err := a.DeleteMembers(ctx, &sdk.DeleteMembersInput{AccountIds: ids})
			return all(out.UnprocessedAccounts, err)
		},
	}
}

func TestTheLifeOfAMembership(t *testing.T) {
	for name, test := range map[string]struct {
		moves  []string // those that are refused with a ! before
		status string   // as the administrator sees it; empty: not listed
	}{
		"added":                                 {[]string{"create"}, "Created"},
		"added twice":                           {[]string{"create", "create"}, "Created"},
		"invited before it was added":           {[]string{"!invite"}, ""},
		"invited":                               {[]string{"create", "invite"}, "Invited"},
		"invited twice":                         {[]string{"create", "invite", "invite"}, "Invited"},
		"added while invited":                   {[]string{"create", "invite", "!create"}, "Invited"},
		"accepted":                              {[]string{"create", "invite", "accept"}, "Enabled"},
		"accepted the old way":                  {[]string{"create", "invite", "accept the old way"}, "Enabled"},
		"accepted before it was invited":        {[]string{"create", "!accept"}, "Created"},
		"added while enabled":                   {[]string{"create", "invite", "accept", "!create", "!invite"}, "Enabled"},
		"declined":                              {[]string{"create", "invite", "decline"}, "Resigned"},
		"accepted after it was declined":        {[]string{"create", "invite", "decline", "!accept"}, "Resigned"},
		"invitation deleted":                    {[]string{"create", "invite", "delete the invitation", "!accept"}, "Resigned"},
		"declined once accepted":                {[]string{"create", "invite", "accept", "!decline", "!delete the invitation"}, "Enabled"},
		"disassociated by the administrator":    {[]string{"create", "invite", "accept", "disassociate"}, "Removed"},
		"invited again":                         {[]string{"create", "invite", "accept", "disassociate", "invite", "accept"}, "Enabled"},
		"left":                                  {[]string{"create", "invite", "accept", "leave"}, "Resigned"},
		"left twice":                            {[]string{"create", "invite", "accept", "leave", "!leave"}, "Resigned"},
		"deleted while enabled":                 {[]string{"create", "invite", "accept", "!delete"}, "Enabled"},
		"deleted":                               {[]string{"create", "invite", "accept", "disassociate", "delete"}, ""},
		"deleted while invited":                 {[]string{"create", "invite", "delete", "!accept"}, ""},
		"disassociated though never there":      {[]string{"!disassociate", "!delete", "!leave", "!decline", "!delete the invitation"}, ""},
		"added, invited and accepted once more": {[]string{"create", "invite", "accept", "leave", "delete", "create", "invite", "accept"}, "Enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.enable(region, admin, member)
			moves := l.moves()
			for _, move := range test.moves {
				want := move[0] != '!'
				if !want {
					move = move[1:]
				}
				done, err := moves[move](t.Context())
				must(t, err)
				if done != want {
					t.Fatalf("%s: done %v", move, done)
				}
			}
			l.membership(t, test.status)
		})
	}
}

// membership checks a membership from both sides.
func (l *lab) membership(t *testing.T, status string) {
	t.Helper()
	ctx, a, m := t.Context(), l.client(admin, region), l.client(member, region)
	list, err := a.ListMembers(ctx, &sdk.ListMembersInput{OnlyAssociated: aws.Bool(false)})
	must(t, err)
	got, err := a.GetMembers(ctx, &sdk.GetMembersInput{AccountIds: []string{member}})
	must(t, err)
	associated, err := a.ListMembers(ctx, &sdk.ListMembersInput{})
	must(t, err)
	administrator, err := m.GetAdministratorAccount(ctx, &sdk.GetAdministratorAccountInput{})
	must(t, err)
	master, err := m.GetMasterAccount(ctx, &sdk.GetMasterAccountInput{}) //nolint:staticcheck // the old way works still
	must(t, err)
	enabled := status == "Enabled"
	if (len(associated.Members) == 1) != enabled || (administrator.Administrator != nil) != enabled || (master.Master != nil) != enabled {
		t.Errorf("associated %d, administrator %v, master %v", len(associated.Members), administrator.Administrator, master.Master)
	}
	if enabled && (*administrator.Administrator.AccountId != admin || *administrator.Administrator.MemberStatus != "Enabled" ||
		*administrator.Administrator.InvitationId == "" || !administrator.Administrator.InvitedAt.Equal(labtest.Start)) {
		t.Errorf("%+v", administrator.Administrator)
	}
	if status == "" {
		if len(list.Members) != 0 || len(got.UnprocessedAccounts) != 1 {
			t.Errorf("listed: %+v", list.Members)
		}
		return
	}
	masterID := got.Members[0].MasterId //nolint:staticcheck // old clients read it
	if len(list.Members) != 1 || len(got.Members) != 1 || *list.Members[0].MemberStatus != status || *got.Members[0].AdministratorId != admin ||
		*masterID != admin || *got.Members[0].Email != "aws+"+member+"@example.com" || got.Members[0].UpdatedAt == nil {
		t.Errorf("got %+v, want %s", list.Members, status)
	}
}

func TestMembershipsAreByRegion(t *testing.T) {
	l := newLab(t)
	l.enable(region, admin, member)
	l.enable(other, admin, member)
	l.join(region, member)
	out, err := l.client(admin, other).ListMembers(t.Context(), &sdk.ListMembersInput{OnlyAssociated: aws.Bool(false)})
	must(t, err)
	if len(out.Members) != 0 {
		t.Errorf("%+v in another region", out.Members)
	}
	count, err := l.client(member, other).GetInvitationsCount(t.Context(), &sdk.GetInvitationsCountInput{})
	must(t, err)
	if *count.InvitationsCount != 0 {
		t.Errorf("%d invitations in another region", *count.InvitationsCount)
	}
}

func TestBoundsOfMembers(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	ids := l.add(1001)
	l.enable(region, admin, member)
	a := l.client(admin, region)
	create := func(ids ...string) (*sdk.CreateMembersOutput, error) {
		details := []types.AccountDetails{}
		for _, id := range ids {
			details = append(details, types.AccountDetails{AccountId: &id})
		}
		return a.CreateMembers(ctx, &sdk.CreateMembersInput{AccountDetails: details})
	}
	_, err := create()
	refused(t, err, "InvalidInputException", 400)
	_, err = create(ids[:51]...)
	refused(t, err, "InvalidInputException", 400)
	out, err := create("12", admin, "999999999999", member)
	must(t, err)
	if len(out.UnprocessedAccounts) != 3 {
		t.Errorf("%+v", out.UnprocessedAccounts)
	}
	for part := range slices.Chunk(ids, 50) {
		_, err := create(part...)
		must(t, err)
	}
	for _, n := range []int{0, 1001} {
		_, err = a.InviteMembers(ctx, &sdk.InviteMembersInput{AccountIds: ids[:n]})
		refused(t, err, "InvalidInputException", 400)
	}
	_, err = a.InviteMembers(ctx, &sdk.InviteMembersInput{AccountIds: ids[:1000]})
	must(t, err)
	_, err = a.InviteMembers(ctx, &sdk.InviteMembersInput{AccountIds: ids[1000:]})
	refused(t, err, "LimitExceededException", 429)

	_, err = a.ListMembers(ctx, &sdk.ListMembersInput{MaxResults: aws.Int32(51)})
	refused(t, err, "InvalidInputException", 400)
	seen := make(map[string]bool)
	pages := sdk.NewListMembersPaginator(a, &sdk.ListMembersInput{OnlyAssociated: aws.Bool(false)})
	n := 0
	for ; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(ctx)
		must(t, err)
		for _, m := range page.Members {
			seen[*m.AccountId] = true
		}
	}
	if len(seen) != 1002 || n != 21 {
		t.Errorf("%d members on %d pages, want 1002 on 21", len(seen), n)
	}
	_, err = a.DisassociateMembers(ctx, &sdk.DisassociateMembersInput{AccountIds: []string{"999999999999"}})
	refused(t, err, "ResourceNotFoundException", 404)
}

func TestAnAdministratorIsNoMember(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	third := l.add(1)[0]
	l.enable(region, admin, member, third)
	l.join(region, member)
	_, err := l.client(member, region).CreateMembers(ctx, &sdk.CreateMembersInput{AccountDetails: []types.AccountDetails{{AccountId: &third}}})
	refused(t, err, "InvalidAccessException", 401)
	c := l.client(third, region)
	for _, id := range []string{admin, member} {
		_, err = c.CreateMembers(ctx, &sdk.CreateMembersInput{AccountDetails: []types.AccountDetails{{AccountId: &id}}})
		must(t, err)
		_, err = c.InviteMembers(ctx, &sdk.InviteMembersInput{AccountIds: []string{id}})
		must(t, err)
		m := l.client(id, region)
		list, err := m.ListInvitations(ctx, &sdk.ListInvitationsInput{})
		must(t, err)
		if len(list.Invitations) != 1 || *list.Invitations[0].AccountId != third {
			t.Fatalf("%+v", list.Invitations)
		}
		_, err = m.AcceptAdministratorInvitation(ctx, &sdk.AcceptAdministratorInvitationInput{AdministratorId: &third, InvitationId: list.Invitations[0].InvitationId})
		refused(t, err, "InvalidInputException", 400)
	}
	_, err = l.client(member, region).DisableSecurityHub(ctx, &sdk.DisableSecurityHubInput{})
	refused(t, err, "InvalidAccessException", 401)
	_, err = l.client(admin, region).DisableSecurityHub(ctx, &sdk.DisableSecurityHubInput{})
	refused(t, err, "InvalidAccessException", 401)
	_, err = l.client(third, region).DisableSecurityHub(ctx, &sdk.DisableSecurityHubInput{})
	must(t, err)
}

func TestTheOrganisationsAdministrator(t *testing.T) {
	const management = "999999999999"
	l, ctx := newLab(t), t.Context()
	ids := l.add(3)
	must(t, l.cloud.Accounts.Add(cloud.Account{ID: management}))
	boss := l.client(management, region)
	designate := func(c *sdk.Client, account string) error {
		_, err := c.EnableOrganizationAdminAccount(ctx, &sdk.EnableOrganizationAdminAccountInput{AdminAccountId: &account})
		return err
	}
	refused(t, designate(boss, admin), "InvalidInputException", 400) // no organisation
	l.cloud.Accounts.SetOrganization("o-exampleorgid", management)
	refused(t, designate(l.client(admin, region), admin), "AccessDeniedException", 403)
	refused(t, designate(boss, "888888888888"), "InvalidInputException", 400)
	must(t, designate(boss, admin))
	must(t, designate(boss, admin))
	refused(t, designate(boss, member), "InvalidInputException", 400)
	refused(t, designate(l.client(management, other), member), "InvalidInputException", 400)
	must(t, designate(l.client(management, "us-east-1"), management))
	_, err := boss.EnableOrganizationAdminAccount(ctx, &sdk.EnableOrganizationAdminAccountInput{AdminAccountId: aws.String(admin), Feature: "SecurityHubV2"})
	refused(t, err, "InvalidInputException", 400)
	list, err := boss.ListOrganizationAdminAccounts(ctx, &sdk.ListOrganizationAdminAccountsInput{})
	must(t, err)
	if len(list.AdminAccounts) != 1 || *list.AdminAccounts[0].AccountId != admin || list.AdminAccounts[0].Status != "ENABLED" {
		t.Errorf("%+v", list.AdminAccounts)
	}
	_, err = boss.ListOrganizationAdminAccounts(ctx, &sdk.ListOrganizationAdminAccountsInput{MaxResults: aws.Int32(11)})
	refused(t, err, "InvalidInputException", 400)

	l.enable(region, admin, ids[0])
	a := l.client(admin, region)
	var details []types.AccountDetails
	for _, id := range []string{ids[0], ids[1], management} {
		details = append(details, types.AccountDetails{AccountId: &id})
	}
	out, err := a.CreateMembers(ctx, &sdk.CreateMembersInput{AccountDetails: details})
	must(t, err)
	if len(out.UnprocessedAccounts) != 1 || *out.UnprocessedAccounts[0].AccountId != management {
		t.Errorf("%+v, want the management account alone: it has not enabled Security Hub", out.UnprocessedAccounts)
	}
	statuses := func() map[string]string {
		out, err := a.ListMembers(ctx, &sdk.ListMembersInput{OnlyAssociated: aws.Bool(false)})
		must(t, err)
		got := make(map[string]string)
		for _, m := range out.Members {
			got[*m.AccountId] = *m.MemberStatus
		}
		return got
	}
	if diff := cmp.Diff(map[string]string{ids[0]: "Enabled", ids[1]: "Enabled"}, statuses()); diff != "" {
		t.Error(diff)
	}
	hub, err := l.client(ids[1], region).DescribeHub(ctx, &sdk.DescribeHubInput{}) // it was switched on
	must(t, err)
	if *hub.HubArn == "" {
		t.Error("no hub")
	}
	_, err = l.client(ids[0], region).DisassociateFromAdministratorAccount(ctx, &sdk.DisassociateFromAdministratorAccountInput{})
	refused(t, err, "InvalidAccessException", 401)
	deleted, err := a.DeleteMembers(ctx, &sdk.DeleteMembersInput{AccountIds: ids[:1]})
	must(t, err)
	invited, err := a.InviteMembers(ctx, &sdk.InviteMembersInput{AccountIds: ids[:1]})
	must(t, err)
	if len(deleted.UnprocessedAccounts) != 1 || len(invited.UnprocessedAccounts) != 1 {
		t.Error("an account of the organisation was deleted or invited")
	}
	_, err = a.DisassociateMembers(ctx, &sdk.DisassociateMembersInput{AccountIds: ids[:1]})
	must(t, err)
	if got := statuses()[ids[0]]; got != "Removed" {
		t.Error(got)
	}
	_, err = a.DisableSecurityHub(ctx, &sdk.DisableSecurityHubInput{})
	refused(t, err, "InvalidAccessException", 401)
	_, err = boss.DisableOrganizationAdminAccount(ctx, &sdk.DisableOrganizationAdminAccountInput{AdminAccountId: aws.String(member)})
	refused(t, err, "InvalidInputException", 400)
	_, err = boss.DisableOrganizationAdminAccount(ctx, &sdk.DisableOrganizationAdminAccountInput{AdminAccountId: aws.String(admin)})
	must(t, err)
	if got := statuses(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	alone, err := l.client(ids[1], region).GetAdministratorAccount(ctx, &sdk.GetAdministratorAccountInput{})
	must(t, err)
	if alone.Administrator != nil {
		t.Errorf("%+v", alone.Administrator)
	}
}

func TestAccountsThatJoinAreEnabled(t *testing.T) {
	const management = "999999999999"
	l, ctx := newLab(t), t.Context()
	must(t, l.cloud.Accounts.Add(cloud.Account{ID: management}))
	l.cloud.Accounts.SetOrganization("o-exampleorgid", management)
	l.enable(region, admin, member)
	a := l.client(admin, region)
	configure := func(auto bool, standards types.AutoEnableStandards, kind types.OrganizationConfigurationConfigurationType) error {
		in := &sdk.UpdateOrganizationConfigurationInput{AutoEnable: &auto, AutoEnableStandards: standards}
		if kind != "" {
			in.OrganizationConfiguration = &types.OrganizationConfiguration{ConfigurationType: kind}
		}
		_, err := a.UpdateOrganizationConfiguration(ctx, in)
		return err
	}
	refused(t, configure(true, "", ""), "InvalidAccessException", 401)
	_, err := l.client(management, region).EnableOrganizationAdminAccount(ctx, &sdk.EnableOrganizationAdminAccountInput{AdminAccountId: aws.String(admin)})
	must(t, err)
	refused(t, configure(true, "SOME", ""), "InvalidInputException", 400)
	refused(t, configure(true, "", "CENTRAL"), "InvalidInputException", 400)
	refused(t, configure(false, "NONE", "CENTRAL"), "InvalidInputException", 400) // without an aggregator
	must(t, configure(true, "NONE", ""))
	got, err := a.DescribeOrganizationConfiguration(ctx, &sdk.DescribeOrganizationConfigurationInput{})
	must(t, err)
	if !*got.AutoEnable || got.AutoEnableStandards != "NONE" || got.OrganizationConfiguration.ConfigurationType != "LOCAL" || *got.MemberAccountLimitReached {
		t.Errorf("%+v", got)
	}
	id := l.add(1)[0]
	l.cloud.Accounts.Joined(id)
	labtest.Settle(t, l.cloud)
	members, err := a.ListMembers(ctx, &sdk.ListMembersInput{})
	must(t, err)
	standards, err := l.client(id, region).GetEnabledStandards(ctx, &sdk.GetEnabledStandardsInput{})
	must(t, err)
	if len(members.Members) != 1 || *members.Members[0].AccountId != id || len(standards.StandardsSubscriptions) != 0 {
		t.Errorf("%d members, %d standards; want the new account, with none", len(members.Members), len(standards.StandardsSubscriptions))
	}
	_, err = a.CreateFindingAggregator(ctx, &sdk.CreateFindingAggregatorInput{RegionLinkingMode: aws.String("ALL_REGIONS")})
	must(t, err)
	must(t, configure(false, "NONE", "CENTRAL"))
}
