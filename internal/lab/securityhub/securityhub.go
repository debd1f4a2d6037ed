// Package securityhub is the lab's Security Hub CSPM: findings in ASFF, from providers to the accounts that look at them.
//
// It keeps a hub for each account and region, the memberships between them, the organisation's administrators and the
// finding aggregators, and emits an event for each finding that is imported or changed. What it answers follows
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/Welcome.html and the service's model.
//
// # Different from AWS
//
// Everything happens at once: standards are ready when they are enabled, members are associated when they are created.
// Controls are never checked and insights are not there. A finding keeps members that ASFF does not know.
//
// EnableSecurityHub subscribes an account to the integrations of AWS's services by itself, but not to Inspector's: the
// article's way has the reader check that one. See Settings.AutoProducts.
package securityhub

import (
	"context"
	"net/http"
	"sync"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Settings of the service. The zero Settings are AWS.
type Settings struct {
	// PageLimit makes the pages of GetFindings shorter than what is asked for, as AWS may; 0: it does not.
	PageLimit int
	// AutoProducts are the products that EnableSecurityHub subscribes an account to, as aws/guardduty; nil: all of AWS's
	// but aws/inspector.
	AutoProducts []string
	// Partners are accounts that AWS has listed as finding providers: they may import findings of other accounts.
	Partners []string
}

// A Service is Security Hub in all accounts and regions.
type Service struct {
	cloud *cloud.Cloud

	mu          sync.Mutex
	settings    Settings                  // guarded by mu, like all below
	hubs        map[cloud.Place]*hub      // also those that were switched off, and places that were only invited
	places      []cloud.Place             // of hubs, in order
	byKey       map[findingKey][]*record  // in all hubs
	aggregators map[string]*aggregator    // by account
	organizers  map[string]*organizer     // the organisation's administrators, by region
	queries     map[uint64]*query         // of GetFindings that are being paged through, by number
	asked       uint64                    // how many queries there were
	secret      []byte                    // tokens are signed with it
	tagged      map[string]map[string]tag // tags of the hubs, by ARN
}

type tag = string

// New makes the service. It takes deliveries for the ARNs of product subscriptions.
func New(c *cloud.Cloud) *Service {
	secret := c.Chance("securityhub token")
	s := &Service{
		cloud: c, hubs: make(map[cloud.Place]*hub), byKey: make(map[findingKey][]*record), aggregators: make(map[string]*aggregator),
		organizers: make(map[string]*organizer), queries: make(map[uint64]*query), secret: secret[:], tagged: make(map[string]map[string]tag),
	}
	c.Receivers.Register("securityhub", s)
	c.Accounts.Watch(s.joined)
	return s
}

// Set changes the settings.
func (s *Service) Set(settings Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = settings
}

// The rates of the operations. https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub_limits.html
var (
	rateOthers    = wire.Rate{PerSecond: 10, Burst: 30}
	rateFindings  = wire.Rate{PerSecond: 3, Burst: 6}
	rateStandards = wire.Rate{PerSecond: 1, Burst: 1}
)

type do = func(context.Context, *wire.Call) (any, error)

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	operations := make(map[string]wire.Operation)
	add := func(name, method, path string, do do) {
		operations[name] = wire.Operation{Do: do, Method: method, Path: path, Resource: hubResource}
	}
	s.addFindings(add)
	s.addHub(add)
	s.addMembers(add)
	s.addOrganization(add)

	get := operations["GetFindings"]
	get.Rate = rateFindings
	operations["GetFindings"] = get
	enable := operations["BatchEnableStandards"]
	enable.Rate = rateStandards
	operations["BatchEnableStandards"] = enable
	batchImport := operations["BatchImportFindings"]
	batchImport.Self = true // it asks for each product
	operations["BatchImportFindings"] = batchImport
	for _, name := range []string{"GetFindingAggregator", "DeleteFindingAggregator"} {
		op := operations[name]
		op.Resource = func(c *wire.Call) string { return c.Path["FindingAggregatorArn"] }
		operations[name] = op
	}
	return &wire.Service{Name: "securityhub", Protocols: []wire.Protocol{wire.RESTJSON}, Operations: operations, Rate: rateOthers}
}

type adder func(name, method, path string, do do)

func (s *Service) addFindings(add adder) {
	add("GetFindings", http.MethodPost, "/findings", wire.Do(s.getFindings))
	add("BatchImportFindings", http.MethodPost, "/findings/import", wire.Do(s.batchImportFindings))
	add("BatchUpdateFindings", http.MethodPatch, "/findings/batchupdate", inHub(s, s.batchUpdateFindings))
	add("GetFindingHistory", http.MethodPost, "/findingHistory/get", inHub(s, s.getFindingHistory))
	add("CreateFindingAggregator", http.MethodPost, "/findingAggregator/create", inHub(s, s.createFindingAggregator))
	add("UpdateFindingAggregator", http.MethodPatch, "/findingAggregator/update", inHub(s, s.updateFindingAggregator))
	add("GetFindingAggregator", http.MethodGet, "/findingAggregator/get/{FindingAggregatorArn+}", inHub(s, s.getFindingAggregator))
	add("ListFindingAggregators", http.MethodGet, "/findingAggregator/list", inHub(s, s.listFindingAggregators))
	add("DeleteFindingAggregator", http.MethodDelete, "/findingAggregator/delete/{FindingAggregatorArn+}", inHub(s, s.deleteFindingAggregator))
	add("CreateActionTarget", http.MethodPost, "/actionTargets", inHub(s, s.createActionTarget))
	add("DescribeActionTargets", http.MethodPost, "/actionTargets/get", inHub(s, s.describeActionTargets))
	add("UpdateActionTarget", http.MethodPatch, "/actionTargets/{ActionTargetArn+}", inHub(s, s.updateActionTarget))
	add("DeleteActionTarget", http.MethodDelete, "/actionTargets/{ActionTargetArn+}", inHub(s, s.deleteActionTarget))
}

func (s *Service) addHub(add adder) {
	add("EnableSecurityHub", http.MethodPost, "/accounts", anywhere(s, s.enableSecurityHub))
	add("DescribeHub", http.MethodGet, "/accounts", inHub(s, s.describeHub))
	add("DisableSecurityHub", http.MethodDelete, "/accounts", inHub(s, s.disableSecurityHub))
	add("UpdateSecurityHubConfiguration", http.MethodPatch, "/accounts", inHub(s, s.updateSecurityHubConfiguration))
	add("EnableImportFindingsForProduct", http.MethodPost, "/productSubscriptions", inHub(s, s.enableImportFindingsForProduct))
	add("ListEnabledProductsForImport", http.MethodGet, "/productSubscriptions", inHub(s, s.listEnabledProductsForImport))
	add("DisableImportFindingsForProduct", http.MethodDelete, "/productSubscriptions/{ProductSubscriptionArn+}",
		inHub(s, s.disableImportFindingsForProduct))
	add("DescribeProducts", http.MethodGet, "/products", inHub(s, s.describeProducts))
	add("DescribeStandards", http.MethodGet, "/standards", inHub(s, s.describeStandards))
	add("GetEnabledStandards", http.MethodPost, "/standards/get", inHub(s, s.getEnabledStandards))
	add("BatchEnableStandards", http.MethodPost, "/standards/register", inHub(s, s.batchEnableStandards))
	add("BatchDisableStandards", http.MethodPost, "/standards/deregister", inHub(s, s.batchDisableStandards))
	add("TagResource", http.MethodPost, "/tags/{ResourceArn+}", inHub(s, s.tagResource))
	add("UntagResource", http.MethodDelete, "/tags/{ResourceArn+}", inHub(s, s.untagResource))
	add("ListTagsForResource", http.MethodGet, "/tags/{ResourceArn+}", inHub(s, s.listTagsForResource))
}

func (s *Service) addMembers(add adder) {
	add("CreateMembers", http.MethodPost, "/members", inHub(s, s.createMembers))
	add("InviteMembers", http.MethodPost, "/members/invite", inHub(s, s.inviteMembers))
	add("GetMembers", http.MethodPost, "/members/get", inHub(s, s.getMembers))
	add("ListMembers", http.MethodGet, "/members", inHub(s, s.listMembers))
	add("DisassociateMembers", http.MethodPost, "/members/disassociate", inHub(s, s.disassociateMembers))
	add("DeleteMembers", http.MethodPost, "/members/delete", inHub(s, s.deleteMembers))
	add("ListInvitations", http.MethodGet, "/invitations", inHub(s, s.listInvitations))
	add("GetInvitationsCount", http.MethodGet, "/invitations/count", inHub(s, s.getInvitationsCount))
	add("DeclineInvitations", http.MethodPost, "/invitations/decline", inHub(s, s.declineInvitations))
	add("DeleteInvitations", http.MethodPost, "/invitations/delete", inHub(s, s.deleteInvitations))
	add("AcceptAdministratorInvitation", http.MethodPost, "/administrator", inHub(s, s.acceptAdministratorInvitation))
	add("AcceptInvitation", http.MethodPost, "/master", inHub(s, s.acceptInvitation))
	add("GetAdministratorAccount", http.MethodGet, "/administrator", inHub(s, s.getAdministratorAccount))
	add("GetMasterAccount", http.MethodGet, "/master", inHub(s, s.getMasterAccount))
	add("DisassociateFromAdministratorAccount", http.MethodPost, "/administrator/disassociate", inHub(s, s.disassociateFromAdministrator))
	add("DisassociateFromMasterAccount", http.MethodPost, "/master/disassociate", inHub(s, s.disassociateFromAdministrator))
}

func (s *Service) addOrganization(add adder) {
	add("EnableOrganizationAdminAccount", http.MethodPost, "/organization/admin/enable", anywhere(s, s.enableOrganizationAdminAccount))
	add("DisableOrganizationAdminAccount", http.MethodPost, "/organization/admin/disable", anywhere(s, s.disableOrganizationAdminAccount))
	add("ListOrganizationAdminAccounts", http.MethodGet, "/organization/admin", anywhere(s, s.listOrganizationAdminAccounts))
	add("DescribeOrganizationConfiguration", http.MethodGet, "/organization/configuration", inHub(s, s.describeOrganizationConfiguration))
	add("UpdateOrganizationConfiguration", http.MethodPost, "/organization/configuration", inHub(s, s.updateOrganizationConfiguration))
}

type nothing struct{}

// anywhere makes an operation that Security Hub need not be on for. It runs under the mutex.
func anywhere[In, Out any](s *Service, do func(c *wire.Call, in *In) (*Out, error)) do {
	return wire.Do(func(_ context.Context, c *wire.Call, in *In) (*Out, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return do(c, in)
	})
}

// inHub makes an operation on the caller's hub. It runs under the mutex.
func inHub[In, Out any](s *Service, do func(c *wire.Call, h *hub, in *In) (*Out, error)) do {
	return anywhere(s, func(c *wire.Call, in *In) (*Out, error) {
		h, err := s.subscribed(c.Place)
		if err != nil {
			return nil, err
		}
		return do(c, h, in)
	})
}

// subscribed is the hub of a place, where Security Hub is on. Requires mu.
func (s *Service) subscribed(p cloud.Place) (*hub, error) {
	if h := s.hubs[p]; h != nil && h.on {
		return h, nil
	}
	return nil, invalidAccess("Account %s is not subscribed to AWS Security Hub", p.Account)
}

// hubARN is the ARN of an account's hub in a region.
func hubARN(p cloud.Place) string { return p.ARN("securityhub", "hub/default") }

func hubResource(c *wire.Call) string { return hubARN(c.Place) }

// The errors of the service. https://docs.aws.amazon.com/securityhub/1.0/APIReference/CommonErrors.html

func invalidInput(format string, args ...any) *wire.Error {
	return wire.Errorf("InvalidInputException", format, args...)
}

func invalidAccess(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusUnauthorized, "InvalidAccessException", format, args...)
}

func accessDenied(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusForbidden, "AccessDeniedException", format, args...)
}

func notFound(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusNotFound, "ResourceNotFoundException", format, args...)
}

func conflict(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusConflict, "ResourceConflictException", format, args...)
}

func limitExceeded(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusTooManyRequests, "LimitExceededException", format, args...)
}

// oneOf tells what is wrong with a value that has to be one of a few; an empty one is left out.
func oneOf(name, value string, allowed ...string) error {
	if value == "" {
		return nil
	}
	for _, a := range allowed {
		if a == value {
			return nil
		}
	}
	return invalidInput("Invalid parameter '%s'. data should be equal to one of the allowed values: %v", name, allowed)
}

// stamp is a time as the service writes it: in milliseconds. A zero time is empty.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return wire.ISO(t)
}
