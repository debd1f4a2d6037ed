package organizations_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go/middleware"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	laborgs "example.org/catchment/internal/lab/organizations"
)

// A lab is an organization of the administrator's account, as the management account, with a client of it.
type lab struct {
	*organizations.Client
	cloud   *cloud.Cloud
	service *laborgs.Service
	server  *labtest.Server
	id      string
	root    string
}

func newLab(t *testing.T, options ...func(*cloud.Options)) *lab {
	t.Helper()
	c := labtest.NewCloud(t, options...)
	l := &lab{cloud: c, service: laborgs.New(c)}
	l.server = labtest.Serve(t, c, l.service.Wire())
	l.Client = l.as(labtest.Administrator)
	id, err := l.service.Create(labtest.Administrator)
	if err != nil {
		t.Fatal(err)
	}
	l.id, l.root = id, l.service.Root()
	if err := l.service.Place(labtest.Member, l.root); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) as(account string) *organizations.Client {
	return organizations.NewFromConfig(l.server.Config(account, "eu-west-1")) // any region reaches it
}

// outsider is an account that is not in the organization.
const outsider = "333333333333"

// fill makes accounts of the cloud members.
func (l *lab) fill(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("4%011d", i)
		if err := l.cloud.Accounts.Add(cloud.Account{ID: id}); err != nil {
			t.Fatal(err)
		}
		if err := l.service.Place(id, l.root); err != nil {
			t.Fatal(err)
		}
	}
}

// ou makes a unit.
func (l *lab) ou(t *testing.T, parent, name string) string {
	t.Helper()
	out, err := l.CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{ParentId: &parent, Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	return *out.OrganizationalUnit.Id
}

// delegate makes the member a delegated administrator of Security Hub.
func (l *lab) delegate(t *testing.T) {
	t.Helper()
	hub := aws.String("securityhub.amazonaws.com")
	if _, err := l.EnableAWSServiceAccess(t.Context(), &organizations.EnableAWSServiceAccessInput{ServicePrincipal: hub}); err != nil {
		t.Fatal(err)
	}
	in := &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(labtest.Member), ServicePrincipal: hub}
	if _, err := l.RegisterDelegatedAdministrator(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// errorOf gives an error's code, with its reason behind a slash.
func errorOf(err error) string {
	var api interface{ ErrorCode() string }
	if !errors.As(err, &api) {
		return fmt.Sprint(err)
	}
	var invalid *types.InvalidInputException
	var constraint *types.ConstraintViolationException
	switch {
	case errors.As(err, &invalid):
		return api.ErrorCode() + "/" + string(invalid.Reason)
	case errors.As(err, &constraint):
		return api.ErrorCode() + "/" + string(constraint.Reason)
	}
	return api.ErrorCode()
}

// A refusal is a call and the error that it has to give.
type refusal struct {
	call func(ctx context.Context) error
	want string
}

func check(t *testing.T, refusals map[string]refusal) {
	t.Helper()
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			if got := errorOf(test.call(t.Context())); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func after[T any](_ T, err error) error { return err }

// unchecked lets calls through that the SDK itself would not send.
func unchecked(o *organizations.Options) {
	o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
		_, _ = s.Initialize.Remove("OperationInputValidation") // not all operations have one
		return nil
	})
}

func TestTheOrganizationIsDescribedToItsMembers(t *testing.T) {
	l := newLab(t)
	for _, account := range []string{labtest.Administrator, labtest.Member} {
		out, err := l.as(account).DescribeOrganization(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		o := out.Organization
		if *o.Id != l.id || *o.Arn != "arn:aws:organizations::111111111111:organization/"+l.id || o.FeatureSet != "ALL" || *o.MasterAccountId != labtest.Administrator ||
			*o.MasterAccountArn != "arn:aws:organizations::111111111111:account/"+l.id+"/111111111111" || *o.MasterAccountEmail == "" {
			t.Errorf("got %+v", o)
		}
	}
	if id, management := l.cloud.Accounts.Organization(); id != l.id || management != labtest.Administrator {
		t.Errorf("the cloud knows of organization %s of %s", id, management)
	}
}

func TestAccountsAreListedByTwenty(t *testing.T) {
	l := newLab(t)
	l.fill(t, 43)
	for name, test := range map[string]struct {
		size  *int32
		empty float64
		want  int // pages
	}{
		"without MaxResults":          {nil, 0, 3},
		"by seven":                    {aws.Int32(7), 0, 7},
		"with empty pages in between": {nil, 0.9, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if err := l.service.SetEmptyPages(test.empty); err != nil {
				t.Fatal(err)
			}
			var ids []string
			pages, empty := 0, 0
			for list := organizations.NewListAccountsPaginator(l, &organizations.ListAccountsInput{MaxResults: test.size}); list.HasMorePages(); pages++ {
				page, err := list.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Accounts) == 0 {
					empty++
				}
				for _, a := range page.Accounts {
					ids = append(ids, *a.Id)
				}
			}
			if len(ids) != 45 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 45 {
				t.Errorf("%d accounts in %d pages, want each of 45 once", len(ids), pages)
			}
			if test.want != 0 && pages != test.want || (empty > 0) != (test.empty > 0) {
				t.Errorf("%d pages, of them %d empty", pages, empty)
			}
		})
	}
	for _, share := range []float64{-1, 1} {
		if err := l.service.SetEmptyPages(share); err == nil {
			t.Errorf("a share of %v was taken", share)
		}
	}
}

func TestAnAccountHasStatusAndStateAndItsPath(t *testing.T) {
	l := newLab(t)
	security := l.ou(t, l.root, "Security")
	move := &organizations.MoveAccountInput{AccountId: aws.String(labtest.Member), SourceParentId: &l.root, DestinationParentId: &security}
	if _, err := l.MoveAccount(t.Context(), move); err != nil {
		t.Fatal(err)
	}
	out, err := l.DescribeAccount(t.Context(), &organizations.DescribeAccountInput{AccountId: aws.String(labtest.Member)})
	if err != nil {
		t.Fatal(err)
	}
	a := out.Account
	want := types.Account{
		Id: aws.String(labtest.Member), Arn: aws.String("arn:aws:organizations::111111111111:account/" + l.id + "/222222222222"),
		Name: aws.String("account-222222222222"), Email: aws.String("aws+222222222222@example.com"), Status: "ACTIVE", State: "ACTIVE",
		Paths: []string{l.id + "/" + l.root + "/" + security + "/222222222222/"}, JoinedMethod: "INVITED", JoinedTimestamp: &labtest.Start,
	}
	if got, want := show(*a), show(want); got != want {
		t.Errorf("the account is %s, want %s", got, want)
	}
}

func show(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestTheTreeIsWalkedFromTheRoot(t *testing.T) {
	l := newLab(t)
	roots, err := l.ListRoots(t.Context(), nil)
	if err != nil || len(roots.Roots) != 1 || *roots.Roots[0].Id != l.root || *roots.Roots[0].Name != "Root" || len(roots.Roots[0].PolicyTypes) != 1 {
		t.Fatalf("got %+v, %v", roots, err)
	}
	prod := l.ou(t, l.root, "Prod")
	web := l.ou(t, prod, "Web")
	var many []string
	for i := range 22 {
		many = append(many, l.ou(t, web, fmt.Sprint(i)))
	}
	if err := l.service.Place(labtest.Member, web); err != nil {
		t.Fatal(err)
	}
	units := func(parent string) []string {
		var out []string
		for pages := organizations.NewListOrganizationalUnitsForParentPaginator(l, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &parent}); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.OrganizationalUnits {
				out = append(out, *u.Id)
			}
		}
		return out
	}
	children := func(parent, kind string) []string {
		var out []string
		in := &organizations.ListChildrenInput{ParentId: &parent, ChildType: types.ChildType(kind)}
		for pages := organizations.NewListChildrenPaginator(l, in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range page.Children {
				out = append(out, *x.Id)
			}
		}
		return out
	}
	accounts := func(parent string) []string {
		out, err := l.ListAccountsForParent(t.Context(), &organizations.ListAccountsForParentInput{ParentId: &parent})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, a := range out.Accounts {
			ids = append(ids, *a.Id)
		}
		return ids
	}
	for name, test := range map[string]struct{ got, want []string }{
		"units of the root":       {units(l.root), []string{prod}},
		"units of a unit":         {units(web), many},
		"children that are units": {children(web, "ORGANIZATIONAL_UNIT"), slices.Sorted(slices.Values(many))},
		"children of the root":    {children(l.root, "ACCOUNT"), []string{labtest.Administrator}},
		"children of a unit":      {children(web, "ACCOUNT"), []string{labtest.Member}},
		"accounts of the root":    {accounts(l.root), []string{labtest.Administrator}},
		"accounts of a unit":      {accounts(web), []string{labtest.Member}},
		"accounts of another":     {accounts(prod), nil},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("%s are %v, want %v", name, test.got, test.want)
		}
	}
	unit, err := l.DescribeOrganizationalUnit(t.Context(), &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: &web})
	if err != nil || *unit.OrganizationalUnit.Path != l.id+"/"+l.root+"/"+prod+"/"+web+"/" || *unit.OrganizationalUnit.Arn != "arn:aws:organizations::111111111111:ou/"+l.id+"/"+web {
		t.Errorf("got %+v, %v", unit, err)
	}
	for child, want := range map[string]string{web: prod + " ORGANIZATIONAL_UNIT", prod: l.root + " ROOT", labtest.Member: web + " ORGANIZATIONAL_UNIT", labtest.Administrator: l.root + " ROOT"} {
		out, err := l.ListParents(t.Context(), &organizations.ListParentsInput{ChildId: &child})
		if err != nil || *out.Parents[0].Id+" "+string(out.Parents[0].Type) != want {
			t.Errorf("the parents of %s are %+v, %v; want %s", child, out, err, want)
		}
	}
}

func TestANewAccountJoinsAfterAWhile(t *testing.T) {
	l := newLab(t)
	var joined []string
	l.cloud.Accounts.Watch(func(id string) { joined = append(joined, id) })
	var calls api
	l.cloud.API = &calls
	out, err := l.CreateAccount(t.Context(), &organizations.CreateAccountInput{
		AccountName: aws.String("web"), Email: aws.String("web@example.com"), Tags: []types.Tag{{Key: aws.String("stage"), Value: aws.String("prod")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	status := func() *types.CreateAccountStatus {
		got, err := l.DescribeCreateAccountStatus(t.Context(), &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: out.CreateAccountStatus.Id})
		if err != nil {
			t.Fatal(err)
		}
		return got.CreateAccountStatus
	}
	if got := status(); got.State != "IN_PROGRESS" || got.AccountId != nil || got.CompletedTimestamp != nil {
		t.Errorf("at first the request is %+v", got)
	}
	labtest.Advance(t, l.cloud, time.Minute)
	got := status()
	if got.State != "SUCCEEDED" || got.CompletedTimestamp == nil || *got.AccountName != "web" {
		t.Fatalf("after a minute the request is %+v", got)
	}
	id := *got.AccountId
	if !slices.Equal(joined, []string{id}) {
		t.Errorf("watchers were told of %v, want %s", joined, id)
	}
	a, err := l.DescribeAccount(t.Context(), &organizations.DescribeAccountInput{AccountId: &id})
	if err != nil || *a.Account.Name != "web" || *a.Account.Email != "web@example.com" || a.Account.JoinedMethod != "CREATED" {
		t.Errorf("got %+v, %v", a, err)
	}
	tags, err := l.ListTagsForResource(t.Context(), &organizations.ListTagsForResourceInput{ResourceId: &id})
	if err != nil || len(tags.Tags) != 1 {
		t.Errorf("its tags are %+v, %v", tags, err)
	}
	if _, err := l.as(id).DescribeOrganization(t.Context(), nil); err != nil {
		t.Errorf("the new account's key does not work: %v", err)
	}
	if len(calls) != 2 || !strings.Contains(calls[0], "iam CreateRole "+id) || !strings.Contains(calls[0], "OrganizationAccountAccessRole") ||
		!strings.Contains(calls[0], "arn:aws:iam::111111111111:root") {
		t.Errorf("IAM was asked for %q, want the role of the management account", calls)
	}
}

// An api remembers calls.
type api []string

func (a *api) Call(_ context.Context, who cloud.Identity, at cloud.Place, service, operation string, body []byte) ([]byte, error) {
	if who.Account != at.Account {
		return nil, errors.New("not its own")
	}
	*a = append(*a, service+" "+operation+" "+at.Account+" "+string(body))
	return nil, nil
}

func TestAnEmailAddressMakesOneAccount(t *testing.T) {
	l := newLab(t)
	var ids []*string
	for range 2 {
		out, err := l.CreateAccount(t.Context(), &organizations.CreateAccountInput{AccountName: aws.String("web"), Email: aws.String("web@example.com")})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, out.CreateAccountStatus.Id)
	}
	labtest.Advance(t, l.cloud, time.Minute)
	for i, want := range []string{"SUCCEEDED ", "FAILED EMAIL_ALREADY_EXISTS"} {
		out, err := l.DescribeCreateAccountStatus(t.Context(), &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: ids[i]})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(out.CreateAccountStatus.State) + " " + string(out.CreateAccountStatus.FailureReason); got != want {
			t.Errorf("request %d: %s, want %s", i, got, want)
		}
	}
}

func TestAClosedAccountIsSuspendedAfterAWhile(t *testing.T) {
	l := newLab(t)
	closing := func() error {
		return after(l.CloseAccount(t.Context(), &organizations.CloseAccountInput{AccountId: aws.String(labtest.Member)}))
	}
	state := func() string {
		out, err := l.DescribeAccount(t.Context(), &organizations.DescribeAccountInput{AccountId: aws.String(labtest.Member)})
		if err != nil {
			t.Fatal(err)
		}
		return string(out.Account.Status) + " " + string(out.Account.State)
	}
	if err := closing(); err != nil || state() != "PENDING_CLOSURE PENDING_CLOSURE" {
		t.Errorf("got %v, state %s", err, state())
	}
	if got := errorOf(closing()); got != "ConflictException" {
		t.Errorf("closing it again meanwhile: %s", got)
	}
	labtest.Advance(t, l.cloud, 2*time.Minute)
	if state() != "SUSPENDED SUSPENDED" {
		t.Errorf("after two minutes it is %s", state())
	}
	if got := errorOf(closing()); got != "AccountAlreadyClosedException" {
		t.Errorf("closing it again: %s", got)
	}
	if _, err := l.EnableAWSServiceAccess(t.Context(), &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String("securityhub.amazonaws.com")}); err != nil {
		t.Fatal(err)
	}
	err := after(l.RegisterDelegatedAdministrator(t.Context(), &organizations.RegisterDelegatedAdministratorInput{
		AccountId: aws.String(labtest.Member), ServicePrincipal: aws.String("securityhub.amazonaws.com"),
	}))
	if got := errorOf(err); got != "ConstraintViolationException/CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR" {
		t.Errorf("registering it: %s", got)
	}
}
