package organizations

import (
	"context"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/wire"
)

// single are the services that have one delegated administrator; others have up to maxDelegated.
var single = []string{
	"access-analyzer.amazonaws.com", "detective.amazonaws.com", "guardduty.amazonaws.com", "inspector2.amazonaws.com", "macie.amazonaws.com",
	"securityhub.amazonaws.com", "securitylake.amazonaws.com",
}

const (
	maxDelegated = 5
	maxPrincipal = 128
)

type delegationInput struct {
	AccountID        string `json:"AccountId"`
	ServicePrincipal string
}

// principal checks the name of a service.
func principal(name string) error {
	if err := length("ServicePrincipal", name, 1, maxPrincipal); err != nil {
		return err
	}
	if err := form("ServicePrincipal", name, serviceForm); err != nil {
		return err
	}
	if !strings.HasSuffix(name, ".amazonaws.com") {
		return invalid("UNRECOGNIZED_SERVICE_PRINCIPAL", "You specified an unrecognized service principal.")
	}
	return nil
}

func (s *Service) registerDelegatedAdministrator(_ context.Context, c *wire.Call, in *delegationInput) (*nothing, error) {
	if err := principal(in.ServicePrincipal); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, m, err := s.account(c, in.AccountID, management)
	if err != nil {
		return nil, err
	}
	if err := o.allFeatures(); err != nil {
		return nil, err
	}
	_, enabled := o.services[in.ServicePrincipal]
	_, registered := o.delegated[m.id][in.ServicePrincipal]
	others := 0
	for _, services := range o.delegated {
		if _, ok := services[in.ServicePrincipal]; ok {
			others++
		}
	}
	switch {
	case m.id == o.management:
		return nil, constraint("CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR", "You can't register the management account as a delegated administrator.")
	case m.state != stateActive:
		return nil, constraint("CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR", "You can't register a suspended account as a delegated administrator.")
	case registered:
		return nil, fault("AccountAlreadyRegisteredException", "", "The account is already a delegated administrator for %s.", in.ServicePrincipal)
	case !enabled:
		return nil, constraint("SERVICE_ACCESS_NOT_ENABLED", "You must enable service access for %s first.", in.ServicePrincipal)
	case others > 0 && slices.Contains(single, in.ServicePrincipal):
		return nil, constraint("DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE", "%s has a delegated administrator.", in.ServicePrincipal)
	case others >= maxDelegated:
		return nil, constraint("MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED", "%s has %d delegated administrators.", in.ServicePrincipal, others)
	}
	if o.delegated[m.id] == nil {
		o.delegated[m.id] = make(map[string]wire.Epoch)
	}
	o.delegated[m.id][in.ServicePrincipal] = s.now()
	return nil, nil
}

func errNotRegistered() *wire.Error {
	return fault("AccountNotRegisteredException", "", "The account is not a delegated administrator for the service.")
}

func (s *Service) deregisterDelegatedAdministrator(_ context.Context, c *wire.Call, in *delegationInput) (*nothing, error) {
	if err := principal(in.ServicePrincipal); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, m, err := s.account(c, in.AccountID, management)
	if err != nil {
		return nil, err
	}
	services := o.delegated[m.id]
	if _, ok := services[in.ServicePrincipal]; !ok {
		return nil, errNotRegistered()
	}
	if delete(services, in.ServicePrincipal); len(services) == 0 {
		delete(o.delegated, m.id)
	}
	return nil, nil
}

type listDelegatedInput struct {
	ServicePrincipal string
	paging
}

type delegatedAccount struct {
	shownAccount
	DelegationEnabledDate wire.Epoch
	key                   string
}

type listDelegatedOutput struct {
	DelegatedAdministrators []delegatedAccount
	NextToken               string `json:",omitempty"`
}

// listDelegatedAdministrators gives those of a service, or of any. They have no Paths.
func (s *Service) listDelegatedAdministrators(_ context.Context, c *wire.Call, in *listDelegatedInput) (*listDelegatedOutput, error) {
	if in.ServicePrincipal != "" {
		if err := principal(in.ServicePrincipal); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, mayRead)
	if err != nil {
		return nil, err
	}
	var all []delegatedAccount
	for _, m := range o.list(nil) {
		since, ok := o.delegated[m.id][in.ServicePrincipal]
		if in.ServicePrincipal == "" {
			for _, at := range o.delegated[m.id] {
				if !ok || at.Before(since.Time) {
					since, ok = at, true
				}
			}
		}
		if ok {
			shown := s.showAccount(o, m)
			shown.Paths = nil
			all = append(all, delegatedAccount{shown, since, m.key()})
		}
	}
	list, next, err := page(s, c, in.paging, all, func(a delegatedAccount) string { return a.key })
	if err != nil {
		return nil, err
	}
	return &listDelegatedOutput{list, next}, nil
}

type listServicesInput struct {
	AccountID string `json:"AccountId"`
	paging
}

type delegatedService struct {
	ServicePrincipal      string
	DelegationEnabledDate wire.Epoch
}

type listServicesOutput struct {
	DelegatedServices []delegatedService
	NextToken         string `json:",omitempty"`
}

func (s *Service) listDelegatedServices(_ context.Context, c *wire.Call, in *listServicesInput) (*listServicesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, m, err := s.account(c, in.AccountID, mayRead)
	if err != nil {
		return nil, err
	}
	services := o.delegated[m.id]
	if len(services) == 0 {
		return nil, errNotRegistered()
	}
	var all []delegatedService
	for _, name := range slices.Sorted(maps.Keys(services)) {
		all = append(all, delegatedService{name, services[name]})
	}
	list, next, err := page(s, c, in.paging, all, func(d delegatedService) string { return d.ServicePrincipal })
	if err != nil {
		return nil, err
	}
	return &listServicesOutput{list, next}, nil
}

type serviceInput struct{ ServicePrincipal string }

// enableAWSServiceAccess lets a service work in the organization. The same service again changes nothing.
func (s *Service) enableAWSServiceAccess(_ context.Context, c *wire.Call, in *serviceInput) (*nothing, error) {
	return s.setAccess(c, in.ServicePrincipal, func(o *organization) {
		if _, on := o.services[in.ServicePrincipal]; !on {
			o.services[in.ServicePrincipal] = s.now()
		}
	})
}

// disableAWSServiceAccess takes that away, with the service's delegated administrators.
func (s *Service) disableAWSServiceAccess(_ context.Context, c *wire.Call, in *serviceInput) (*nothing, error) {
	return s.setAccess(c, in.ServicePrincipal, func(o *organization) {
		delete(o.services, in.ServicePrincipal)
		for account, services := range o.delegated {
			if delete(services, in.ServicePrincipal); len(services) == 0 {
				delete(o.delegated, account)
			}
		}
	})
}

func (s *Service) setAccess(c *wire.Call, name string, set func(*organization)) (*nothing, error) {
	if err := principal(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, management)
	if err != nil {
		return nil, err
	}
	if err := o.allFeatures(); err != nil {
		return nil, err
	}
	set(o)
	return nil, nil
}

type enabledService struct {
	ServicePrincipal string
	DateEnabled      wire.Epoch
}

type listAccessOutput struct {
	EnabledServicePrincipals []enabledService
	NextToken                string `json:",omitempty"`
}

func (s *Service) listAWSServiceAccess(_ context.Context, c *wire.Call, in *paging) (*listAccessOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.enter(c, mayRead)
	if err != nil {
		return nil, err
	}
	var all []enabledService
	for _, name := range slices.Sorted(maps.Keys(o.services)) {
		all = append(all, enabledService{name, o.services[name]})
	}
	list, next, err := page(s, c, *in, all, func(e enabledService) string { return e.ServicePrincipal })
	if err != nil {
		return nil, err
	}
	return &listAccessOutput{list, next}, nil
}
