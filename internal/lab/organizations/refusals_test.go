package organizations_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	laborgs "example.org/catchment/internal/lab/organizations"
)

const hub = "securityhub.amazonaws.com"

func TestDelegatedAdministrators(t *testing.T) {
	l := newLab(t)
	l.delegate(t)
	member := l.as(labtest.Member)
	out, err := member.ListDelegatedAdministrators(t.Context(), &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: aws.String(hub)})
	if err != nil || len(out.DelegatedAdministrators) != 1 || *out.DelegatedAdministrators[0].Id != labtest.Member ||
		!out.DelegatedAdministrators[0].DelegationEnabledDate.Equal(labtest.Start) || out.DelegatedAdministrators[0].Status != "ACTIVE" {
		t.Errorf("got %+v, %v", out, err)
	}
	if out, err = member.ListDelegatedAdministrators(t.Context(), nil); err != nil || len(out.DelegatedAdministrators) != 1 {
		t.Errorf("of all services: %+v, %v", out, err)
	}
	if out, err = member.ListDelegatedAdministrators(t.Context(), &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: aws.String("config.amazonaws.com")}); err != nil || len(out.DelegatedAdministrators) != 0 {
		t.Errorf("of another service: %+v, %v", out, err)
	}
	services, err := member.ListDelegatedServicesForAccount(t.Context(), &organizations.ListDelegatedServicesForAccountInput{AccountId: aws.String(labtest.Member)})
	if err != nil || len(services.DelegatedServices) != 1 || *services.DelegatedServices[0].ServicePrincipal != hub {
		t.Errorf("got %+v, %v", services, err)
	}
	access, err := member.ListAWSServiceAccessForOrganization(t.Context(), nil)
	if err != nil || len(access.EnabledServicePrincipals) != 1 || *access.EnabledServicePrincipals[0].ServicePrincipal != hub {
		t.Errorf("got %+v, %v", access, err)
	}
	l.fill(t, 8)
	register := func(account, service string) error {
		return after(l.RegisterDelegatedAdministrator(t.Context(), &organizations.RegisterDelegatedAdministratorInput{AccountId: &account, ServicePrincipal: &service}))
	}
	other := func(i int) string { return fmt.Sprintf("4%011d", i) }
	const stacks = "member.org.stacksets.cloudformation.amazonaws.com"
	check(t, map[string]refusal{
		"the same again":               {func(context.Context) error { return register(labtest.Member, hub) }, "AccountAlreadyRegisteredException"},
		"a second for a service":       {func(context.Context) error { return register(other(0), hub) }, "ConstraintViolationException/DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE"},
		"the management account":       {func(context.Context) error { return register(labtest.Administrator, hub) }, "ConstraintViolationException/CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR"},
		"a service without access":     {func(context.Context) error { return register(other(0), stacks) }, "ConstraintViolationException/SERVICE_ACCESS_NOT_ENABLED"},
		"an account that is not there": {func(context.Context) error { return register(outsider, hub) }, "AccountNotFoundException"},
		"a service that there is not":  {func(context.Context) error { return register(other(0), "hub.example.com") }, "InvalidInputException/UNRECOGNIZED_SERVICE_PRINCIPAL"},
		"an account that has none": {func(ctx context.Context) error {
			return after(l.ListDelegatedServicesForAccount(ctx, &organizations.ListDelegatedServicesForAccountInput{AccountId: aws.String(other(0))}))
		}, "AccountNotRegisteredException"},
		"one that is none to be deregistered": {func(ctx context.Context) error {
			return after(l.DeregisterDelegatedAdministrator(ctx, &organizations.DeregisterDelegatedAdministratorInput{AccountId: aws.String(other(0)), ServicePrincipal: aws.String(hub)}))
		}, "AccountNotRegisteredException"},
	})
	if _, err := l.EnableAWSServiceAccess(t.Context(), &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(stacks)}); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := register(other(i), stacks); err != nil {
			t.Fatal(err)
		}
	}
	if got := errorOf(register(other(5), stacks)); got != "ConstraintViolationException/MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED" {
		t.Errorf("a sixth: %s", got)
	}
	if _, err := l.DeregisterDelegatedAdministrator(t.Context(), &organizations.DeregisterDelegatedAdministratorInput{AccountId: aws.String(other(0)), ServicePrincipal: aws.String(stacks)}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.as(other(0)).ListAccounts(t.Context(), nil); errorOf(err) != "AccessDeniedException" {
		t.Errorf("an administrator that is none any longer lists accounts: %v", err)
	}
	if _, err := l.DisableAWSServiceAccess(t.Context(), &organizations.DisableAWSServiceAccessInput{ServicePrincipal: aws.String(hub)}); err != nil {
		t.Fatal(err)
	}
	if _, err := member.ListAccounts(t.Context(), nil); errorOf(err) != "AccessDeniedException" {
		t.Errorf("the administrator of a service without access lists accounts: %v", err)
	}
}

func TestWhoMayCallWhat(t *testing.T) {
	l := newLab(t)
	if err := l.cloud.Accounts.Add(cloud.Account{ID: outsider}); err != nil {
		t.Fatal(err)
	}
	root, member := &l.root, aws.String(labtest.Member)
	calls := map[string]func(context.Context, *organizations.Client) error{
		"ListAccounts": func(ctx context.Context, c *organizations.Client) error { return after(c.ListAccounts(ctx, nil)) },
		"DescribeAccount": func(ctx context.Context, c *organizations.Client) error {
			return after(c.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: member}))
		},
		"ListRoots": func(ctx context.Context, c *organizations.Client) error { return after(c.ListRoots(ctx, nil)) },
		"ListChildren": func(ctx context.Context, c *organizations.Client) error {
			return after(c.ListChildren(ctx, &organizations.ListChildrenInput{ParentId: root, ChildType: "ACCOUNT"}))
		},
		"TagResource": func(ctx context.Context, c *organizations.Client) error {
			return after(c.TagResource(ctx, &organizations.TagResourceInput{ResourceId: root, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}))
		},
	}
	writes := map[string]func(context.Context, *organizations.Client) error{
		"CreateOrganizationalUnit": func(ctx context.Context, c *organizations.Client) error {
			return after(c.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{ParentId: root, Name: aws.String("x")}))
		},
		"CreateAccount": func(ctx context.Context, c *organizations.Client) error {
			return after(c.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: aws.String("x"), Email: aws.String("x@example.com")}))
		},
		"EnableAWSServiceAccess": func(ctx context.Context, c *organizations.Client) error {
			return after(c.EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(hub)}))
		},
		"CloseAccount": func(ctx context.Context, c *organizations.Client) error {
			return after(c.CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: member}))
		},
	}
	for name, call := range calls {
		if got := errorOf(call(t.Context(), l.as(labtest.Member))); got != "AccessDeniedException" {
			t.Errorf("%s by a member: %s", name, got)
		}
		if got := errorOf(call(t.Context(), l.as(outsider))); got != "AWSOrganizationsNotInUseException" {
			t.Errorf("%s from outside: %s", name, got)
		}
	}
	l.delegate(t)
	for name, call := range calls {
		if err := call(t.Context(), l.as(labtest.Member)); err != nil {
			t.Errorf("%s by a delegated administrator: %v", name, err)
		}
	}
	for name, call := range writes {
		if got := errorOf(call(t.Context(), l.as(labtest.Member))); got != "AccessDeniedException" {
			t.Errorf("%s by a delegated administrator: %s", name, got)
		}
		if err := call(t.Context(), l.Client); err != nil {
			t.Errorf("%s by the management account: %v", name, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	l := newLab(t)
	parent := l.root
	for i := range 5 {
		parent = l.ou(t, parent, fmt.Sprint("level ", i))
	}
	nowhere := aws.String("ou-" + l.root[2:] + "-00000000")
	unit := func(parent, name string) func(context.Context) error {
		return func(ctx context.Context) error {
			return after(l.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{ParentId: &parent, Name: &name}))
		}
	}
	accounts := func(in *organizations.ListAccountsInput) func(context.Context) error {
		return func(ctx context.Context) error { return after(l.ListAccounts(ctx, in)) }
	}
	move := func(account string, from, to *string) func(context.Context) error {
		return func(ctx context.Context) error {
			return after(l.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: &account, SourceParentId: from, DestinationParentId: to}))
		}
	}
	create := func(name, email, role, billing string) func(context.Context) error {
		return func(ctx context.Context) error {
			return after(l.CreateAccount(ctx, &organizations.CreateAccountInput{
				AccountName: &name, Email: &email, RoleName: aws.String(role), IamUserAccessToBilling: types.IAMUserAccessToBilling(billing),
			}))
		}
	}
	tag := func(resource string, pairs ...string) func(context.Context) error {
		in := &organizations.TagResourceInput{ResourceId: &resource}
		for i := 0; i < len(pairs); i += 2 {
			in.Tags = append(in.Tags, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		return func(ctx context.Context) error { return after(l.TagResource(ctx, in)) }
	}
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprint(i), "")
	}
	const in, constraint = "InvalidInputException/", "ConstraintViolationException/"
	check(t, map[string]refusal{
		"more than twenty accounts": {accounts(&organizations.ListAccountsInput{MaxResults: aws.Int32(21)}), in + "MAX_VALUE_EXCEEDED"},
		"no account at all":         {accounts(&organizations.ListAccountsInput{MaxResults: aws.Int32(0)}), in + "MIN_VALUE_EXCEEDED"},
		"a token that nobody gave":  {accounts(&organizations.ListAccountsInput{NextToken: aws.String("next")}), in + "INVALID_NEXT_TOKEN"},
		"an account that is no number": {func(ctx context.Context) error {
			return after(l.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: aws.String("x")}))
		}, in + "INVALID_PATTERN"},
		"an account without a number": {func(ctx context.Context) error {
			return after(l.DescribeAccount(ctx, &organizations.DescribeAccountInput{}, unchecked))
		}, in + "INPUT_REQUIRED"},
		"an account that is not there": {func(ctx context.Context) error {
			return after(l.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: aws.String(outsider)}))
		}, "AccountNotFoundException"},
		"a sixth level":                   {unit(parent, "x"), constraint + "OU_DEPTH_LIMIT_EXCEEDED"},
		"a name twice in one parent":      {unit(l.root, "level 0"), "DuplicateOrganizationalUnitException"},
		"a unit without a name":           {unit(l.root, ""), in + "INPUT_REQUIRED"},
		"a unit with too long a name":     {unit(l.root, strings.Repeat("n", 129)), in + "MAX_LENGTH_EXCEEDED"},
		"a unit in a parent that is none": {unit("x", "x"), in + "INVALID_PATTERN"},
		"a unit in a parent that is gone": {unit(*nowhere, "x"), "ParentNotFoundException"},
		"a unit that is not there": {func(ctx context.Context) error {
			return after(l.DescribeOrganizationalUnit(ctx, &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: nowhere}))
		}, "OrganizationalUnitNotFoundException"},
		"accounts of what is not there": {func(ctx context.Context) error {
			return after(l.ListAccountsForParent(ctx, &organizations.ListAccountsForParentInput{ParentId: nowhere}))
		}, "ParentNotFoundException"},
		"children of another type": {func(ctx context.Context) error {
			return after(l.ListChildren(ctx, &organizations.ListChildrenInput{ParentId: &l.root, ChildType: "OU"}))
		}, in + "INVALID_ENUM"},
		"parents of what is not there": {func(ctx context.Context) error {
			return after(l.ListParents(ctx, &organizations.ListParentsInput{ChildId: aws.String(outsider)}))
		}, "ChildNotFoundException"},
		"a move from what is not there":       {move(labtest.Member, nowhere, &l.root), "SourceParentNotFoundException"},
		"a move to what is not there":         {move(labtest.Member, &l.root, nowhere), "DestinationParentNotFoundException"},
		"a move to where it is":               {move(labtest.Member, &l.root, &l.root), "DuplicateAccountException"},
		"a move from where it is not":         {move(labtest.Member, &parent, aws.String(l.ou(t, l.root, "other"))), "AccountNotFoundException"},
		"a move of what is not there":         {move(outsider, &l.root, &parent), "AccountNotFoundException"},
		"an account with a bad address":       {create("x", "nobody", "", ""), in + "INVALID_PATTERN"},
		"an account with a short address":     {create("x", "a@b.c", "", ""), in + "MIN_LENGTH_EXCEEDED"},
		"an account with too long a name":     {create(strings.Repeat("n", 51), "x@example.com", "", ""), in + "MAX_LENGTH_EXCEEDED"},
		"an account with a name not of ASCII": {create("ウェブ", "x@example.com", "", ""), in + "INVALID_PATTERN"},
		"an account with a bad role":          {create("x", "x@example.com", "a role", ""), in + "INVALID_ROLE_NAME"},
		"an account with other billing":       {create("x", "x@example.com", "", "MAYBE"), in + "INVALID_ENUM"},
		"a request that is not there": {func(ctx context.Context) error {
			return after(l.DescribeCreateAccountStatus(ctx, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: aws.String("car-00000000")}))
		}, "CreateAccountStatusNotFoundException"},
		"a request that is none": {func(ctx context.Context) error {
			return after(l.DescribeCreateAccountStatus(ctx, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: aws.String("x")}))
		}, in + "INVALID_PATTERN"},
		"the closing of the management account": {func(ctx context.Context) error {
			return after(l.CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: aws.String(labtest.Administrator)}))
		}, constraint + "CANNOT_CLOSE_MANAGEMENT_ACCOUNT"},
		"a service with too long a name": {func(ctx context.Context) error {
			return after(l.EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(strings.Repeat("s", 129))}))
		}, in + "MAX_LENGTH_EXCEEDED"},
		"a service with a space": {func(ctx context.Context) error {
			return after(l.DisableAWSServiceAccess(ctx, &organizations.DisableAWSServiceAccessInput{ServicePrincipal: aws.String("a b")}))
		}, in + "INVALID_PATTERN"},
		"a second organization": {func(ctx context.Context) error { return after(l.CreateOrganization(ctx, nil)) }, "AlreadyInOrganizationException"},
		"an organization of other features": {func(ctx context.Context) error {
			return after(l.CreateOrganization(ctx, &organizations.CreateOrganizationInput{FeatureSet: "SOME"}))
		}, in + "INVALID_ENUM"},
		"a tag of what is not there":  {tag(outsider, "k", "v"), "TargetNotFoundException"},
		"a tag of what is none":       {tag("x", "k", "v"), in + "INVALID_PATTERN"},
		"a tag twice":                 {tag(l.root, "k", "v", "k", "w"), in + "DUPLICATE_TAG_KEY"},
		"a tag of AWS":                {tag(l.root, "aws:k", "v"), in + "INVALID_SYSTEM_TAGS_PARAMETER"},
		"a tag with a bad letter":     {tag(l.root, "k", "<"), in + "INVALID_PATTERN"},
		"a tag with too long a key":   {tag(l.root, strings.Repeat("k", 129), "v"), in + "MAX_LENGTH_EXCEEDED"},
		"a tag with too long a value": {tag(l.root, "k", strings.Repeat("v", 257)), in + "MAX_LENGTH_EXCEEDED"},
		"51 tags":                     {tag(l.root, many...), constraint + "MAX_TAG_LIMIT_EXCEEDED"},
	})
}

func TestTagsAreAddedAndTakenAway(t *testing.T) {
	l := newLab(t)
	member := aws.String(labtest.Member)
	in := &organizations.TagResourceInput{ResourceId: member}
	for i := range 25 {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(fmt.Sprintf("k%02d", i)), Value: aws.String("v")})
	}
	if _, err := l.TagResource(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if _, err := l.UntagResource(t.Context(), &organizations.UntagResourceInput{ResourceId: member, TagKeys: []string{"k00", "none"}}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for pages := organizations.NewListTagsForResourcePaginator(l, &organizations.ListTagsForResourceInput{ResourceId: member}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Tags)
	}
	if n != 24 {
		t.Errorf("%d tags, want 24", n)
	}
}

func TestTwoHundredFiftyAccountsCanBeClosedInThirtyDays(t *testing.T) {
	l := newLab(t)
	l.fill(t, 252)
	closing := func(i int) error {
		return after(l.CloseAccount(t.Context(), &organizations.CloseAccountInput{AccountId: aws.String(fmt.Sprintf("4%011d", i))}))
	}
	for i := range 250 {
		if err := closing(i); err != nil {
			t.Fatal(err)
		}
	}
	if got := errorOf(closing(250)); got != "ConstraintViolationException/CLOSE_ACCOUNT_QUOTA_EXCEEDED" {
		t.Errorf("the 251st: %s", got)
	}
	labtest.Advance(t, l.cloud, 31*24*time.Hour)
	if err := closing(250); err != nil {
		t.Errorf("after 31 days: %v", err)
	}
}

func TestFiveAccountsAreMadeAtATimeWithQuotas(t *testing.T) {
	l := newLab(t, func(o *cloud.Options) { o.Quotas = true })
	create := func(i int) error {
		return after(l.CreateAccount(t.Context(), &organizations.CreateAccountInput{AccountName: aws.String("x"), Email: aws.String(fmt.Sprintf("x%d@example.com", i))}))
	}
	for i := range 6 {
		if err := create(i); (err != nil) != (i == 5) || err != nil && errorOf(err) != "TooManyRequestsException" {
			t.Errorf("account %d: %v", i, err)
		}
	}
	labtest.Advance(t, l.cloud, time.Minute)
	if err := create(6); err != nil {
		t.Error(err)
	}
}

func TestThrottlingHasTheServicesOwnCode(t *testing.T) {
	l := newLab(t)
	if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultThrottle, Service: "organizations"}); err != nil {
		t.Fatal(err)
	}
	if got := errorOf(after(l.ListAccounts(t.Context(), nil))); got != "TooManyRequestsException" {
		t.Errorf("got %s", got)
	}
}

func TestAnOrganizationOnlyForBillingAdministersNothing(t *testing.T) {
	c := labtest.NewCloud(t)
	service := laborgs.New(c)
	client := organizations.NewFromConfig(labtest.Serve(t, c, service.Wire()).Config(labtest.Administrator, "us-east-1"))
	if _, err := client.DescribeOrganization(t.Context(), nil); errorOf(err) != "AWSOrganizationsNotInUseException" {
		t.Errorf("before there is one: %v", err)
	}
	out, err := client.CreateOrganization(t.Context(), &organizations.CreateOrganizationInput{FeatureSet: "CONSOLIDATED_BILLING"})
	if err != nil || out.Organization.FeatureSet != "CONSOLIDATED_BILLING" || len(out.Organization.AvailablePolicyTypes) != 0 {
		t.Fatalf("got %+v, %v", out, err)
	}
	for name, err := range map[string]error{
		"access":     after(client.EnableAWSServiceAccess(t.Context(), &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(hub)})),
		"delegation": after(client.RegisterDelegatedAdministrator(t.Context(), &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(labtest.Administrator), ServicePrincipal: aws.String(hub)})),
		"closing":    after(client.CloseAccount(t.Context(), &organizations.CloseAccountInput{AccountId: aws.String(labtest.Administrator)})),
	} {
		if got := errorOf(err); got != "ConstraintViolationException/ORGANIZATION_NOT_IN_ALL_FEATURES_MODE" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestSettingUpFromGoRefusesWhatIsNotThere(t *testing.T) {
	c := labtest.NewCloud(t)
	s := laborgs.New(c)
	if _, err := s.AddOU("r-0000", "x"); err == nil || s.Root() != "" {
		t.Error("a unit without an organization")
	}
	if err := s.Place(labtest.Member, "r-0000"); err == nil {
		t.Error("an account in no organization")
	}
	if _, err := s.Create(outsider); err == nil {
		t.Error("an organization of an account that is not there")
	}
	if _, err := s.Create(labtest.Administrator); err != nil {
		t.Fatal(err)
	}
	ou, err := s.AddOU(s.Root(), "Workloads")
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range [][2]string{{outsider, ou}, {labtest.Member, "ou-none-00000000"}} {
		if err := s.Place(place[0], place[1]); err == nil {
			t.Errorf("%s was placed in %s", place[0], place[1])
		}
	}
	for _, parent := range []string{ou, s.Root(), ou} {
		if err := s.Place(labtest.Member, parent); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Create(labtest.Member); err == nil {
		t.Error("a second organization")
	}
	if got := fmt.Sprintf("%+v", s.Inspect()); !strings.Contains(got, ou+"/"+labtest.Member+" ACTIVE") {
		t.Errorf("people are shown %s", got)
	}
}
