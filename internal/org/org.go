// Package org knows the accounts and regions that a spec is about.
//
// It finds them and gets into each of them: a cell is one account in one region. Which accounts there are is said by the
// spec, or asked of Organizations; into an account other than the caller's own it gets by a role, assumed once for all
// regions and renewed when it expires.
//
//	caller ──sts──▶ role in account A ──▶ A × region 1, A × region 2 …
//	                role in account B ──▶ B × region 1 …
//
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html
package org

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// A Cell is an account in a region.
type Cell struct {
	Account string `json:"account"` // 12 digits
	Region  string `json:"region"`
}

func (c Cell) String() string { return c.Account + "/" + c.Region }

// Compare orders by account, then region.
func (c Cell) Compare(other Cell) int {
	if n := strings.Compare(c.Account, other.Account); n != 0 {
		return n
	}
	return strings.Compare(c.Region, other.Region)
}

// A Directory tells of the organization: the client of Organizations.
type Directory interface {
	DescribeOrganization(context.Context, *organizations.DescribeOrganizationInput, ...func(*organizations.Options)) (*organizations.DescribeOrganizationOutput, error)
	ListAccounts(context.Context, *organizations.ListAccountsInput, ...func(*organizations.Options)) (*organizations.ListAccountsOutput, error)
}

// An Identifier tells who the caller is, and gives roles to it: the client of STS.
type Identifier interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
	AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error)
}

// Options say which accounts and regions there are. What the spec's section organization says.
type Options struct {
	Administrator string   // account that administers Security Hub; one of the accounts, whether named or not
	Accounts      []string // nil: all active ones of the organization
	Regions       []string // at least one
	Role          string   // name, with its path, of the role that is assumed in each account but the caller's
	ExternalID    string   // that the role's trust policy asks for; empty: none
}

// An Account is one of those that the spec is about.
type Account struct {
	ID       string
	Name     string // empty where Organizations does not tell
	Email    string
	InOrg    bool // Organizations lists it
	Inactive bool // Organizations says that it is suspended or being closed; such ones are listed where the spec names them
}

// An Organization is what Organizations tells of itself; zero where there is none, or the caller may not ask.
type Organization struct {
	ID         string
	Management string // account
}

// An Org is the accounts and regions of a spec, as somebody gets into them.
type Org struct {
	Options

	Caller       string // account of who asks
	Partition    string
	Organization Organization
	Accounts     []Account // by id

	base     aws.Config
	identity Identifier

	mu    sync.Mutex
	roles map[string]aws.CredentialsProvider // guarded by mu: by account
}

// sessionTime is the longest that every role allows, also one that is assumed from another; then it is assumed again.
const sessionTime = time.Hour

// sessionName is what CloudTrail shows of who assumed a role.
const sessionName = "catchment"

// Open asks who the caller is and which accounts there are. base needs credentials; where it names no region, the
// first of the options is used.
func Open(ctx context.Context, base aws.Config, o Options) (*Org, error) {
	if len(o.Regions) == 0 {
		return nil, errors.New("regions: expected at least one")
	}
	if base.Region == "" {
		base.Region = o.Regions[0]
	}
	return open(ctx, base, o, sts.NewFromConfig(base), organizations.NewFromConfig(base))
}

func open(ctx context.Context, base aws.Config, o Options, identity Identifier, directory Directory) (*Org, error) {
	who, err := identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, &askError{"ask STS who the caller is", err}
	}
	part := strings.Split(aws.ToString(who.Arn), ":")
	if len(part) < 2 || part[1] == "" {
		return nil, fmt.Errorf("ask STS who the caller is: %q is no ARN", aws.ToString(who.Arn))
	}
	out := &Org{
		Options: o, Caller: aws.ToString(who.Account), Partition: part[1], base: base, identity: identity,
		roles: make(map[string]aws.CredentialsProvider),
	}
	if err := out.find(ctx, directory); err != nil {
		return nil, err
	}
	return out, nil
}

// find lists the accounts. Where the spec names them, Organizations is asked for what else it knows, and need not answer.
func (o *Org) find(ctx context.Context, directory Directory) error {
	all := o.Options.Accounts == nil
	described, err := directory.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	switch {
	case err == nil && described.Organization != nil:
		o.Organization = Organization{aws.ToString(described.Organization.Id), aws.ToString(described.Organization.MasterAccountId)}
	case ctx.Err() != nil:
		return ctx.Err()
	case all:
		return &askError{"ask Organizations for all accounts", err}
	}
	known := make(map[string]Account)
	for page := (*string)(nil); o.Organization.ID != ""; {
		listed, err := directory.ListAccounts(ctx, &organizations.ListAccountsInput{NextToken: page})
		if err != nil {
			if !all && ctx.Err() == nil {
				break // only the management account and delegated ones may list
			}
			return &askError{"list the accounts of organization " + o.Organization.ID, err}
		}
		for _, a := range listed.Accounts {
			id := aws.ToString(a.Id)
			known[id] = Account{id, aws.ToString(a.Name), aws.ToString(a.Email), true, a.Status != orgtypes.AccountStatusActive}
		}
		if page = listed.NextToken; page == nil {
			break
		}
	}
	wanted := slices.Clone(o.Options.Accounts)
	if all {
		for id, a := range known {
			if !a.Inactive {
				wanted = append(wanted, id)
			}
		}
	}
	if o.Administrator != "" {
		wanted = append(wanted, o.Administrator)
	}
	slices.Sort(wanted)
	for _, id := range slices.Compact(wanted) {
		a := known[id]
		a.ID = id
		o.Accounts = append(o.Accounts, a)
	}
	return nil
}

// Find gives an account of the spec.
func (o *Org) Find(id string) (Account, bool) {
	i, found := slices.BinarySearchFunc(o.Accounts, id, func(a Account, id string) int { return strings.Compare(a.ID, id) })
	if !found {
		return Account{}, false
	}
	return o.Accounts[i], true
}

// Config is what clients need to work in a cell: as the caller in its own account, else in the role. It asks nobody: that
// the role cannot be assumed is told by the first call.
func (o *Org) Config(c Cell) aws.Config {
	out := o.base.Copy()
	out.Region = c.Region
	if c.Account != o.Caller {
		out.Credentials = o.credentials(c.Account)
	}
	return out
}

// RoleARN is the role that is assumed in an account.
func (o *Org) RoleARN(account string) string {
	return "arn:" + o.Partition + ":iam::" + account + ":role/" + o.Role
}

func (o *Org) credentials(account string) aws.CredentialsProvider {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.roles[account]
	if p == nil {
		p = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(o.identity, o.RoleARN(account), func(a *stscreds.AssumeRoleOptions) {
			a.RoleSessionName, a.Duration = sessionName, sessionTime
			if o.ExternalID != "" {
				a.ExternalID = aws.String(o.ExternalID)
			}
		}))
		o.roles[account] = p
	}
	return p
}

// An askError is an answer of AWS that is an error, told in few words.
type askError struct {
	what string
	err  error
}

func (e *askError) Error() string { return e.what + ": " + Reason(e.err) }
func (e *askError) Unwrap() error { return e.err }

// Reason is an error of AWS in few words: its code and message, without the SDK's layers around it.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if api.ErrorMessage() == "" {
			return api.ErrorCode()
		}
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}
