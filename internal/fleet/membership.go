package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	hubtypes "github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"example.org/catchment/internal/org"
)

// regionState is what there was in a region before a walk made anything.
type regionState struct {
	members   map[string]string // status by account, as the administrator sees it
	delegated bool              // the administrator is the organization's
	delegate  bool              // it is not, and the caller can make it so
	err       error
}

const statusEnabled = "Enabled" // of a membership

// look finds out about a region's memberships.
func (w *walk) look(ctx context.Context, region string) {
	s := &regionState{}
	c := w.administrator(region)
	if w.ready(c) {
		if s.members, s.err = w.members(ctx, c); s.err == nil {
			s.delegated, s.delegate, s.err = w.delegation(ctx, c)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.regions[region] = s
}

func (w *walk) state(region string) *regionState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.regions[region]
}

// mark says by a new stack's tags what is made for it by API calls.
func (w *walk) mark(c org.Cell, marks map[string]string) {
	s := w.state(c.Region)
	switch {
	case s == nil:
	case c == w.administrator(c.Region):
		if s.delegate {
			marks[tagDelegation] = madeHere
		}
	case s.members[c.Account] != statusEnabled:
		marks[tagMembership] = madeHere
	}
}

// members are all members of an administrator, with their status. Where Security Hub is off there are none.
func (f *Fleet) members(ctx context.Context, c org.Cell) (map[string]string, error) {
	out := make(map[string]string)
	pages := securityhub.NewListMembersPaginator(securityhub.NewFromConfig(f.config(c)), &securityhub.ListMembersInput{OnlyAssociated: aws.Bool(false)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if isOff(err) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the members of %s: %w", c.Account, err)
		}
		for _, m := range page.Members {
			out[aws.ToString(m.AccountId)] = aws.ToString(m.MemberStatus)
		}
	}
	return out, nil
}

// delegation tells whether the administrator is the organization's, and whether it can be made so: by the management
// account only, and where that has enabled the region.
func (w *walk) delegation(ctx context.Context, c org.Cell) (is, can bool, err error) {
	admin, _ := w.org.Find(c.Account)
	if w.org.Organization.ID == "" {
		return false, false, nil
	}
	management := org.Cell{Account: w.org.Organization.Management, Region: c.Region}
	apart := slices.ContainsFunc(w.result.Apart, func(r org.Reach) bool { return r.Cell == management })
	if apart || w.org.Caller != management.Account {
		_, err := securityhub.NewFromConfig(w.config(c)).DescribeOrganizationConfiguration(ctx, &securityhub.DescribeOrganizationConfigurationInput{})
		return err == nil, false, nil // else it is not, or Security Hub is off
	}
	client := securityhub.NewFromConfig(w.config(management))
	out, err := client.ListOrganizationAdminAccounts(ctx, &securityhub.ListOrganizationAdminAccountsInput{})
	if err != nil {
		return false, false, fmt.Errorf("ask for the organization's administrator of Security Hub: %w", err)
	}
	if len(out.AdminAccounts) == 0 {
		return false, admin.InOrg, nil
	}
	if id := aws.ToString(out.AdminAccounts[0].AccountId); id != c.Account { // there is one
		return false, false, fmt.Errorf("the organization's administrator of Security Hub is account %s, not %s", id, c.Account)
	}
	return true, false, nil
}

// membership makes the region's accounts members of the administrator: those of the organization at once, others by
// invitation.
func (w *walk) membership(ctx context.Context, region string) {
	admin := w.administrator(region)
	s := w.state(region)
	if s == nil || !w.ready(admin) {
		return
	}
	hold := s.err
	if hold == nil && w.result.lost(admin, PartMember) {
		hold = errors.New("the administrator's Security Hub is not on")
	}
	if hold == nil && s.delegate {
		hold = w.do(admin, PartDelegation, func() Outcome { return w.makeAdministrator(ctx, admin) }).err()
	}
	var wanted []org.Cell
	for _, c := range w.cells {
		if c.Region == region && c != admin {
			wanted = append(wanted, c)
		}
	}
	if len(wanted) == 0 {
		return
	}
	now := s.members
	if hold == nil && !w.dry {
		now, hold = w.members(ctx, admin)
	}
	join := &joining{walk: w, admin: admin, state: s, client: securityhub.NewFromConfig(w.config(admin)), reasons: make(map[string]string)}
	var missing []string
	for _, c := range wanted {
		if now[c.Account] != statusEnabled && !w.result.lost(c, PartMember) {
			missing = append(missing, c.Account)
		}
	}
	if hold == nil && !w.dry && len(missing) > 0 {
		now = join.all(ctx, missing, now)
	}
	for _, c := range wanted {
		w.do(c, PartMembership, func() Outcome {
			return w.joined(c, hold, s.members[c.Account], now[c.Account], join.reasons[c.Account])
		})
	}
}

// joined is what came of a membership that was and is in some states.
func (w *walk) joined(c org.Cell, hold error, before, now, reason string) Outcome {
	out := Outcome{}
	switch {
	case before == statusEnabled && now == statusEnabled:
		out.State = Unchanged
		return out
	case hold != nil:
		return out.failed(hold)
	case w.result.lost(c, PartMember):
		out.State, out.Reason = Skipped, "Security Hub is not on"
		return out
	}
	out.Changes = []Change{{Action: ActionCreate, Type: "SecurityHub::Member", Resource: c.Account}}
	switch {
	case w.dry:
		out.State = Needed
	case now == statusEnabled:
		out.State = Done
	default:
		out.State, out.Reason = Failed, reason
		if reason == "" {
			out.Reason = fmt.Sprintf("the membership is %q, not Enabled", now)
		}
	}
	return out
}

// makeAdministrator makes the administrator the organization's, as the management account. Where the spec asks for all
// accounts, those that will join become members by themselves.
func (w *walk) makeAdministrator(ctx context.Context, admin org.Cell) Outcome {
	out := Outcome{Changes: []Change{{Action: ActionCreate, Type: "SecurityHub::OrganizationAdmin", Resource: admin.Account}}}
	if w.dry {
		out.State = Needed
		return out
	}
	management := securityhub.NewFromConfig(w.config(org.Cell{Account: w.org.Caller, Region: admin.Region}))
	if _, err := management.EnableOrganizationAdminAccount(ctx, &securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: &admin.Account}); err != nil {
		return out.failed(err)
	}
	out.State = Done
	if w.org.Options.Accounts != nil {
		return out
	}
	client := securityhub.NewFromConfig(w.config(admin))
	set, err := client.DescribeOrganizationConfiguration(ctx, &securityhub.DescribeOrganizationConfigurationInput{})
	if err != nil {
		return out.failed(err)
	}
	central := set.OrganizationConfiguration != nil && set.OrganizationConfiguration.ConfigurationType == hubtypes.OrganizationConfigurationConfigurationTypeCentral
	if aws.ToBool(set.AutoEnable) || central {
		return out
	}
	_, err = client.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{
		AutoEnable: aws.Bool(true), AutoEnableStandards: hubtypes.AutoEnableStandardsNone,
	})
	if err != nil {
		return out.failed(err)
	}
	return out
}

// err is the outcome of a failure as an error; nil for any other.
func (o Outcome) err() error {
	if o.State == Failed {
		return errors.New(o.Reason)
	}
	return nil
}

// joining is the work on the memberships of one region.
type joining struct {
	*walk

	admin   org.Cell
	state   *regionState
	client  *securityhub.Client
	reasons map[string]string // why an account did not become a member
}

// Bounds of requests. https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_CreateMembers.html
const (
	maxDetails  = 50
	looks       = 6 // at a membership, until it is Enabled
	betweenLook = 2 * time.Second
)

// all makes accounts members, and gives the status of all memberships then.
func (j *joining) all(ctx context.Context, accounts []string, before map[string]string) map[string]string {
	for some := range slices.Chunk(accounts, maxDetails) {
		in := &securityhub.CreateMembersInput{}
		for _, id := range some {
			d := hubtypes.AccountDetails{AccountId: aws.String(id)}
			if a, _ := j.org.Find(id); a.Email != "" {
				d.Email = aws.String(a.Email)
			}
			in.AccountDetails = append(in.AccountDetails, d)
		}
		out, err := j.client.CreateMembers(ctx, in)
		if err != nil {
			j.because(some, org.Reason(err))
			continue
		}
		j.unprocessed(out.UnprocessedAccounts)
	}
	now, err := j.members(ctx, j.admin)
	if err != nil {
		j.because(accounts, org.Reason(err))
		return before
	}
	var invite []string
	for _, id := range accounts {
		if status := now[id]; status != "" && status != statusEnabled {
			invite = append(invite, id)
		}
	}
	j.invite(ctx, invite)
	for range looks {
		if now, err = j.members(ctx, j.admin); err != nil {
			j.because(accounts, org.Reason(err))
			return before
		}
		settled := !slices.ContainsFunc(accounts, func(id string) bool { return now[id] != statusEnabled && j.reasons[id] == "" })
		if settled || j.Sleep(ctx, betweenLook) != nil {
			break
		}
	}
	return now
}

func (j *joining) because(accounts []string, reason string) {
	for _, id := range accounts {
		j.reasons[id] = reason
	}
}

func (j *joining) unprocessed(all []hubtypes.Result) {
	for _, u := range all {
		j.reasons[aws.ToString(u.AccountId)] = aws.ToString(u.ProcessingResult)
	}
}

// invite invites accounts, and accepts in each of them.
func (j *joining) invite(ctx context.Context, accounts []string) {
	for some := range slices.Chunk(accounts, maxDetails) {
		out, err := j.client.InviteMembers(ctx, &securityhub.InviteMembersInput{AccountIds: some})
		if err != nil {
			j.because(some, org.Reason(err))
			continue
		}
		maps.DeleteFunc(j.reasons, func(id, _ string) bool { return slices.Contains(some, id) }) // of CreateMembers: it was one already
		j.unprocessed(out.UnprocessedAccounts)
		for _, id := range some {
			if j.reasons[id] != "" {
				continue
			}
			if err := j.accept(ctx, org.Cell{Account: id, Region: j.admin.Region}); err != nil {
				j.reasons[id] = "accept the invitation: " + org.Reason(err)
			}
		}
	}
}

// accept accepts the administrator's invitation in a member's account.
func (j *joining) accept(ctx context.Context, c org.Cell) error {
	client := securityhub.NewFromConfig(j.config(c))
	for range looks {
		pages := securityhub.NewListInvitationsPaginator(client, &securityhub.ListInvitationsInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, i := range page.Invitations {
				if aws.ToString(i.AccountId) == j.admin.Account && aws.ToString(i.MemberStatus) != "Deleted" {
					_, err := client.AcceptAdministratorInvitation(ctx, &securityhub.AcceptAdministratorInvitationInput{
						AdministratorId: i.AccountId, InvitationId: i.InvitationId,
					})
					return err
				}
			}
		}
		if err := j.Sleep(ctx, betweenLook); err != nil {
			return err
		}
	}
	return errors.New("there is no invitation of account " + j.admin.Account)
}
