package inspector2

import (
	"context"
	"slices"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// The types of resources that can be scanned.
const (
	EC2            = "EC2"
	ECR            = "ECR"
	Lambda         = "LAMBDA"
	LambdaCode     = "LAMBDA_CODE"
	CodeRepository = "CODE_REPOSITORY"
)

// types are the types of resources in the order in which answers name them.
var types = []string{EC2, ECR, Lambda, LambdaCode, CodeRepository}

// States of Inspector for an account or a type of resources.
const (
	enabling  = "ENABLING"
	enabled   = "ENABLED"
	disabling = "DISABLING"
	disabled  = "DISABLED"
)

type resourceStatus struct {
	EC2            string `json:"ec2"`
	ECR            string `json:"ecr"`
	Lambda         string `json:"lambda"`
	LambdaCode     string `json:"lambdaCode"`
	CodeRepository string `json:"codeRepository"`
}

type account struct {
	AccountID      string         `json:"accountId"`
	Status         string         `json:"status"`
	ResourceStatus resourceStatus `json:"resourceStatus"`
}

type failedAccount struct {
	AccountID      string          `json:"accountId"`
	Status         string          `json:"status,omitempty"`
	ResourceStatus *resourceStatus `json:"resourceStatus,omitzero"`
	ErrorCode      string          `json:"errorCode"`
	ErrorMessage   string          `json:"errorMessage"`
}

type switchInput struct {
	AccountIDs    []string `json:"accountIds"`
	ResourceTypes []string `json:"resourceTypes"`
	ClientToken   string   `json:"clientToken"`
}

type switchOutput struct {
	Accounts       []account       `json:"accounts"`
	FailedAccounts []failedAccount `json:"failedAccounts"`
}

// statusOf requires that the service's mu is held, like all methods of a cell.
func (c *cell) statusOf(kind string) string {
	if st, ok := c.status[kind]; ok {
		return st
	}
	return disabled
}

func (c *cell) resourceStatus() resourceStatus {
	return resourceStatus{c.statusOf(EC2), c.statusOf(ECR), c.statusOf(Lambda), c.statusOf(LambdaCode), c.statusOf(CodeRepository)}
}

// overall is the state of the account: the most that any type is.
func (c *cell) overall() string {
	for _, st := range []string{enabled, enabling, disabling} {
		for _, kind := range types {
			if c.statusOf(kind) == st {
				return st
			}
		}
	}
	return disabled
}

func (c *cell) account() account { return account{c.place.Account, c.overall(), c.resourceStatus()} }

func (c *cell) failed(code, message string) failedAccount {
	st := c.resourceStatus()
	return failedAccount{c.place.Account, c.overall(), &st, code, message}
}

func checkTypes(kinds []string, least int) error {
	if len(kinds) < least || len(kinds) > len(types) {
		return invalid("resourceTypes", "%d types: expected %d to %d", len(kinds), least, len(types))
	}
	for _, kind := range kinds {
		if err := oneOf("resourceTypes", kind, types...); err != nil {
			return err
		}
	}
	return nil
}

// mayManage tells whether an account may switch Inspector for another one. Requires mu.
func (s *Service) mayManage(p cloud.Place, other string) bool {
	o := s.orgs[p.Region]
	associated := func(id string) bool { return o != nil && o.admin != "" && o.associated(id) }
	if other == p.Account {
		return !associated(other) || o.admin == other
	}
	return o != nil && o.admin == p.Account && associated(other)
}

func (s *Service) enable(_ context.Context, c *wire.Call, in *switchInput) (*switchOutput, error) {
	if err := checkAccounts(in.AccountIDs); err != nil {
		return nil, err
	}
	if err := checkTypes(in.ResourceTypes, 1); err != nil {
		return nil, err
	}
	if err := checkLength("clientToken", in.ClientToken, 0, 64); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := new(switchOutput)
	for _, id := range s.asked(c, in.AccountIDs) {
		cl := s.look(s.cloud.Accounts.Place(id, c.Region))
		have := func(kind string) bool { return cl.statusOf(kind) == enabled || cl.statusOf(kind) == enabling }
		switch {
		case !s.mayManage(c.Place, id):
			out.FailedAccounts = append(out.FailedAccounts, cl.failed("ACCESS_DENIED", c.Account+" may not manage Inspector for "+id))
		case slices.Contains(in.ResourceTypes, LambdaCode) && !slices.Contains(in.ResourceTypes, Lambda) && !have(Lambda):
			return nil, invalid("resourceTypes", "LAMBDA_CODE: expected LAMBDA to be enabled, or asked for with it")
		case !slices.ContainsFunc(in.ResourceTypes, func(kind string) bool { return !have(kind) }):
			code := "ALREADY_ENABLED"
			if slices.ContainsFunc(in.ResourceTypes, func(kind string) bool { return cl.statusOf(kind) == enabling }) {
				code = "ENABLE_IN_PROGRESS"
			}
			out.FailedAccounts = append(out.FailedAccounts, cl.failed(code, "Inspector is enabled for these types of resources"))
		default:
			cl = s.cell(cl.place)
			s.begin(cl, in.ResourceTypes, true)
			out.Accounts = append(out.Accounts, cl.account())
		}
	}
	return out, nil
}

// asked is whom a call is about: the caller where it names nobody.
func (s *Service) asked(c *wire.Call, ids []string) []string {
	if len(ids) == 0 {
		return []string{c.Account}
	}
	return slices.Compact(slices.Sorted(slices.Values(ids)))
}

// begin starts to switch types of resources on or off. Requires mu.
func (s *Service) begin(c *cell, kinds []string, on bool) {
	var changed []string
	for _, kind := range kinds {
		st := c.statusOf(kind)
		switch {
		case on && st != enabled:
			c.status[kind] = enabling
		case !on && st != disabled:
			c.status[kind] = disabling
		default:
			continue
		}
		changed = append(changed, kind)
	}
	if len(changed) > 0 {
		s.cloud.Clock.After(s.Activation, func(context.Context) { s.finish(c.place, changed, on) })
	}
}

// finish ends what begin began, unless it was begun otherwise meanwhile.
func (s *Service) finish(p cloud.Place, kinds []string, on bool) {
	var done []string
	s.mu.Lock()
	c := s.cell(p)
	for _, kind := range kinds {
		switch {
		case on && c.statusOf(kind) == enabling:
			c.status[kind] = enabled
		case !on && c.statusOf(kind) == disabling:
			delete(c.status, kind)
			c.forget(kind)
		default:
			continue
		}
		done = append(done, kind)
	}
	s.mu.Unlock()
	if s.Switched != nil && len(done) > 0 {
		s.Switched(p, done, on)
	}
}

// Activate enables types of resources at a place, at once; those that are enabled stay so.
func (s *Service) Activate(p cloud.Place, kinds ...string) error {
	if err := checkTypes(kinds, 1); err != nil {
		return err
	}
	var begun []string
	s.mu.Lock()
	c := s.cell(p)
	for _, kind := range kinds {
		if c.statusOf(kind) != enabled {
			c.status[kind] = enabling
			begun = append(begun, kind)
		}
	}
	s.mu.Unlock()
	s.finish(p, begun, true)
	return nil
}

// Enabled tells whether a type of resources is scanned at a place.
func (s *Service) Enabled(p cloud.Place, kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cells[p]
	return c != nil && c.statusOf(kind) == enabled
}

func (s *Service) disable(_ context.Context, c *wire.Call, in *switchInput) (*switchOutput, error) {
	if err := checkAccounts(in.AccountIDs); err != nil {
		return nil, err
	}
	if err := checkTypes(in.ResourceTypes, 0); err != nil {
		return nil, err
	}
	kinds := in.ResourceTypes
	if len(kinds) == 0 {
		kinds = types
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := new(switchOutput)
	for _, id := range s.asked(c, in.AccountIDs) {
		cl := s.look(s.cloud.Accounts.Place(id, c.Region))
		o := s.orgs[c.Region]
		switch {
		case !s.mayManage(c.Place, id):
			out.FailedAccounts = append(out.FailedAccounts, cl.failed("ACCESS_DENIED", c.Account+" may not manage Inspector for "+id))
		case o != nil && o.admin == id && o.count() > 0:
			out.FailedAccounts = append(out.FailedAccounts, cl.failed("DISASSOCIATE_ALL_MEMBERS", id+" is the delegated administrator of members"))
		case slices.Contains(kinds, Lambda) && !slices.Contains(kinds, LambdaCode) && cl.statusOf(LambdaCode) == enabled:
			out.FailedAccounts = append(out.FailedAccounts, cl.failed("RESOURCE_SCAN_NOT_DISABLED", "LAMBDA_CODE is enabled, and needs LAMBDA"))
		default:
			s.begin(cl, kinds, false)
			out.Accounts = append(out.Accounts, cl.account())
		}
	}
	return out, nil
}

// A state has its error members even where nothing is wrong: the API's model requires them.
type state struct {
	Status       string `json:"status"`
	ErrorCode    string `json:"errorCode"`
	ErrorMessage string `json:"errorMessage"`
}

type resourceState struct {
	EC2            state `json:"ec2"`
	ECR            state `json:"ecr"`
	Lambda         state `json:"lambda"`
	LambdaCode     state `json:"lambdaCode"`
	CodeRepository state `json:"codeRepository"`
}

type accountState struct {
	AccountID     string        `json:"accountId"`
	State         state         `json:"state"`
	ResourceState resourceState `json:"resourceState"`
}

type accountStatusOutput struct {
	Accounts       []accountState  `json:"accounts"`
	FailedAccounts []failedAccount `json:"failedAccounts"`
}

func (s *Service) batchGetAccountStatus(_ context.Context, c *wire.Call, in *switchInput) (*accountStatusOutput, error) {
	if err := checkAccounts(in.AccountIDs); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := new(accountStatusOutput)
	for _, id := range s.asked(c, in.AccountIDs) {
		cl := s.look(s.cloud.Accounts.Place(id, c.Region))
		if id != c.Account && !s.mayManage(c.Place, id) {
			out.FailedAccounts = append(out.FailedAccounts, failedAccount{AccountID: id, ErrorCode: "ACCESS_DENIED", ErrorMessage: c.Account + " may not ask about " + id})
			continue
		}
		of := func(kind string) state { return state{Status: cl.statusOf(kind)} }
		out.Accounts = append(out.Accounts, accountState{
			id, state{Status: cl.overall()}, resourceState{of(EC2), of(ECR), of(Lambda), of(LambdaCode), of(CodeRepository)},
		})
	}
	return out, nil
}
