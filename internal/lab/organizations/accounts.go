package organizations

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// The states of an account.
const (
	stateActive         = "ACTIVE"
	statePendingClosure = "PENDING_CLOSURE"
	stateSuspended      = "SUSPENDED"
)

// AWS's limits, and how long the lab takes for what AWS takes minutes for.
const (
	maxAccounts    = 10_000
	maxRequests    = 2 * maxAccounts // the lab's own
	maxCreating    = 5               // at once; asked for with cloud.Options.Quotas only
	createTime     = 30 * time.Second
	closeTime      = 60 * time.Second
	closeWindow    = 30 * 24 * time.Hour
	leastClosed    = 250 // in that window, or a fifth of all, at most mostClosed
	mostClosed     = 1000
	maxAccountName = 50
	maxEmail       = 64
	minEmail       = 6
)

type shownAccount struct {
	ID              string `json:"Id"`
	ARN             string `json:"Arn"`
	Email           string
	Name            string
	Status          string
	State           string
	Paths           []string `json:",omitempty"`
	JoinedMethod    string
	JoinedTimestamp wire.Epoch
}

func (s *Service) showAccount(o *organization, m *member) shownAccount {
	a, _ := s.cloud.Accounts.Find(m.id)
	return shownAccount{
		m.id, o.arn(s.cloud, "account/"+o.id+"/"+m.id), a.Email, a.Name, m.state, m.state, []string{o.path(m.parent) + m.id + "/"}, m.method, m.at,
	}
}

type listAccountsOutput struct {
	Accounts  []shownAccount
	NextToken string `json:",omitempty"`
}

func (s *Service) listAccounts(_ context.Context, c *wire.Call, in *paging) (*listAccountsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, mayRead)
	if err != nil {
		return nil, err
	}
	return s.accountsPage(c, o, *in, o.list(nil))
}

func (s *Service) listAccountsForParent(_ context.Context, c *wire.Call, in *parentInput) (*listAccountsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, parent, err := s.parent(c, in)
	if err != nil {
		return nil, err
	}
	return s.accountsPage(c, o, in.paging, o.list(parent))
}

func (s *Service) accountsPage(c *wire.Call, o *organization, in paging, all []*member) (*listAccountsOutput, error) {
	list, next, err := page(s, c, in, all, (*member).key)
	if err != nil {
		return nil, err
	}
	out := &listAccountsOutput{NextToken: next}
	for _, m := range list {
		out.Accounts = append(out.Accounts, s.showAccount(o, m))
	}
	return out, nil
}

type accountInput struct {
	AccountID string `json:"AccountId"`
}

type accountOutput struct{ Account shownAccount }

// account finds a member. Requires s.mu.
func (s *Service) account(c *wire.Call, id string, need right) (*organization, *member, error) {
	if err := form("AccountId", id, accountForm); err != nil {
		return nil, nil, err
	}
	o, err := s.enter(c, need)
	if err != nil {
		return nil, nil, err
	}
	m := o.members[id]
	if m == nil {
		return nil, nil, errNoAccount()
	}
	return o, m, nil
}

func (s *Service) describeAccount(_ context.Context, c *wire.Call, in *accountInput) (*accountOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, m, err := s.account(c, in.AccountID, mayRead)
	if err != nil {
		return nil, err
	}
	return &accountOutput{s.showAccount(o, m)}, nil
}

type moveAccountInput struct {
	AccountID           string `json:"AccountId"`
	SourceParentID      string `json:"SourceParentId"`
	DestinationParentID string `json:"DestinationParentId"`
}

func (s *Service) moveAccount(_ context.Context, c *wire.Call, in *moveAccountInput) (*nothing, error) {
	if err := form("SourceParentId", in.SourceParentID, parentForm); err != nil {
		return nil, err
	}
	if err := form("DestinationParentId", in.DestinationParentID, parentForm); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, m, err := s.account(c, in.AccountID, management)
	if err != nil {
		return nil, err
	}
	from, to := o.units[in.SourceParentID], o.units[in.DestinationParentID]
	switch {
	case from == nil:
		return nil, notFound("SourceParentNotFoundException", "source parent")
	case to == nil:
		return nil, notFound("DestinationParentNotFoundException", "destination parent")
	case m.parent == to:
		return nil, fault("DuplicateAccountException", "", "The account is already in the destination parent.")
	case m.parent != from:
		return nil, errNoAccount()
	}
	m.parent = to
	return nil, nil
}

// closeAccount suspends an account after a while.
func (s *Service) closeAccount(_ context.Context, c *wire.Call, in *accountInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, m, err := s.account(c, in.AccountID, management)
	if err != nil {
		return nil, err
	}
	if err := o.allFeatures(); err != nil {
		return nil, err
	}
	switch {
	case m.id == o.management:
		return nil, constraint("CANNOT_CLOSE_MANAGEMENT_ACCOUNT", "You can't close the management account of the organization.")
	case m.state == stateSuspended:
		return nil, fault("AccountAlreadyClosedException", "", "You attempted to close an account that is already closed.")
	case m.state == statePendingClosure:
		return nil, fault("ConflictException", "", "The account is being closed.")
	}
	recent := 0
	for _, at := range o.closed {
		if s.cloud.Within(at.Time, closeWindow) {
			recent++
		}
	}
	if recent >= min(max(leastClosed, len(o.members)/5), mostClosed) {
		return nil, constraint("CLOSE_ACCOUNT_QUOTA_EXCEEDED", "You have closed %d accounts in the past 30 days.", recent)
	}
	o.closed = append(o.closed, s.now())
	m.state = statePendingClosure
	s.cloud.Clock.After(closeTime, func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		m.state = stateSuspended
	})
	return nil, nil
}

// A request is one for a new account.
type request struct {
	id, name, email, state, account, reason, role string
	asked, done                                   wire.Epoch
	tags                                          map[string]string
}

// The states of requests, and why they fail.
const (
	stateInProgress = "IN_PROGRESS"
	stateSucceeded  = "SUCCEEDED"
	stateFailed     = "FAILED"
	reasonEmail     = "EMAIL_ALREADY_EXISTS"
)

type shownRequest struct {
	ID                 string `json:"Id"`
	AccountName        string
	State              string
	RequestedTimestamp wire.Epoch
	CompletedTimestamp wire.Epoch `json:",omitzero"`
	AccountID          string     `json:"AccountId,omitempty"`
	FailureReason      string     `json:",omitempty"`
}

type requestOutput struct{ CreateAccountStatus shownRequest }

func (r *request) show() *requestOutput {
	return &requestOutput{shownRequest{r.id, r.name, r.state, r.asked, r.done, r.account, r.reason}}
}

type createAccountInput struct {
	Email                  string
	AccountName            string
	RoleName               string
	IamUserAccessToBilling string
	Tags                   []tag
}

func (in *createAccountInput) check() error {
	if err := length("Email", in.Email, minEmail, maxEmail); err != nil {
		return err
	}
	if !emailForm.MatchString(in.Email) {
		return invalid("INVALID_PATTERN", "You provided a value for Email that is no address.")
	}
	if err := length("AccountName", in.AccountName, 1, maxAccountName); err != nil {
		return err
	}
	if !nameForm.MatchString(in.AccountName) {
		return invalid("INVALID_PATTERN", "You provided a value for AccountName with characters that are not printable ASCII.")
	}
	if in.RoleName != "" && !roleForm.MatchString(in.RoleName) {
		return invalid("INVALID_ROLE_NAME", "You provided a role name that isn't valid.")
	}
	switch in.IamUserAccessToBilling {
	case "", "ALLOW", "DENY":
		return nil
	}
	return invalid("INVALID_ENUM", "IamUserAccessToBilling: expected ALLOW or DENY.")
}

// accessRole is the role that the management account has in accounts that it made.
const accessRole = "OrganizationAccountAccessRole"

// createAccount answers at once; the account joins the root after a while.
func (s *Service) createAccount(_ context.Context, c *wire.Call, in *createAccountInput) (*requestOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	tags, err := withTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, management)
	if err != nil {
		return nil, err
	}
	if len(o.members)+o.creating >= maxAccounts {
		return nil, constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED", "The organization has %d accounts.", maxAccounts)
	}
	if len(o.requests) >= maxRequests {
		return nil, constraint("ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED", "The lab keeps %d requests for accounts.", maxRequests)
	}
	if s.cloud.Quotas && o.creating >= maxCreating {
		return nil, fault("TooManyRequestsException", "", "%d accounts are being created.", o.creating)
	}
	r := &request{
		id: "car-" + s.cloud.Hex("organizations request", 32), name: in.AccountName, email: in.Email, state: stateInProgress, asked: s.now(),
		role: in.RoleName, tags: tags,
	}
	if r.role == "" {
		r.role = accessRole
	}
	o.requests[r.id] = r
	o.creating++
	s.cloud.Clock.After(createTime, func(context.Context) { s.finish(o, r) })
	return r.show(), nil
}

// finish makes the account of a request.
func (s *Service) finish(o *organization, r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.creating--
	r.done, r.state = s.now(), stateFailed
	for _, id := range s.cloud.Accounts.IDs() {
		if a, _ := s.cloud.Accounts.Find(id); strings.EqualFold(a.Email, r.email) {
			r.reason = reasonEmail
			return
		}
	}
	id := s.freshID()
	if err := s.cloud.Accounts.Add(cloud.Account{ID: id, Name: r.name, Email: r.email}); err != nil {
		r.reason = "INTERNAL_FAILURE"
		return
	}
	r.account, r.state = id, stateSucceeded
	s.join(id, methodCreated, o.root).tags = r.tags
	s.cloud.Clock.Go(func(ctx context.Context) { s.grant(ctx, o.management, id, r.role) })
}

// freshID gives an account's number that none has.
func (s *Service) freshID() string {
	for {
		b := s.cloud.Chance("account")
		id := fmt.Sprintf("%012d", binary.BigEndian.Uint64(b[:])%900_000_000_000+100_000_000_000)
		if _, taken := s.cloud.Accounts.Find(id); !taken {
			return id
		}
	}
}

// grant makes the role by which the management account gets into an account that it made. Where the lab has no IAM, or one
// that does not want it, there is no role.
func (s *Service) grant(ctx context.Context, from, account, role string) {
	if s.cloud.API == nil {
		return
	}
	place := s.cloud.Accounts.Place(account, cloud.HomeRegion(s.cloud.Partition))
	who := s.cloud.Accounts.Credential(account).Who
	root := s.cloud.Accounts.Place(from, "").ARN("iam", "root")
	for _, call := range []struct {
		operation string
		in        map[string]string
	}{
		{"CreateRole", map[string]string{"RoleName": role, "AssumeRolePolicyDocument": policy(`"Principal":{"AWS":"` + root + `"},"Action":"sts:AssumeRole"`)}},
		{"PutRolePolicy", map[string]string{"RoleName": role, "PolicyName": "AdministratorAccess", "PolicyDocument": policy(`"Action":"*","Resource":"*"`)}},
	} {
		body, err := json.Marshal(call.in, json.Deterministic(true))
		if err != nil {
			return // texts always marshal
		}
		if _, err := s.cloud.API.Call(ctx, who, place, "iam", call.operation, body); err != nil {
			return
		}
	}
}

func policy(statement string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + statement + `}]}`
}

type describeRequestInput struct {
	ID string `json:"CreateAccountRequestId"`
}

func (s *Service) describeCreateAccountStatus(_ context.Context, c *wire.Call, in *describeRequestInput) (*requestOutput, error) {
	if err := form("CreateAccountRequestId", in.ID, requestForm); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, mayRead)
	if err != nil {
		return nil, err
	}
	r := o.requests[in.ID]
	if r == nil {
		return nil, notFound("CreateAccountStatusNotFoundException", "create account request")
	}
	return r.show(), nil
}
