package securityhub

import (
	"maps"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A hub is Security Hub in one account and region. It stays when Security Hub is switched off: AWS keeps its findings and
// settings for 90 days.
type hub struct {
	place cloud.Place
	on    bool
	off   time.Time // since when it is not on, once it was
	since time.Time // SubscribedAt

	autoControls bool
	generator    string               // ControlFindingGenerator
	products     map[string]bool      // subscriptions, by the product's path: aws/inspector
	standards    map[string]bool      // that are enabled, by the end of their ARN
	actions      map[string]*action   // custom actions, by id
	members      map[string]*relation // of an administrator, by account
	invitations  map[string]*relation // to be a member, by administrator
	admin        *relation            // that this place is a member in; nil: none
	findings     map[findingKey]*record
	order        []*record // the findings in the order of their making
	swept        time.Time // when old findings were last looked for
}

// How findings of controls are made.
const (
	perStandard = "STANDARD_CONTROL"
	perControl  = "SECURITY_CONTROL"
)

// place gives the hub of a place, on or off. Requires mu.
func (s *Service) place(p cloud.Place) *hub {
	h := s.hubs[p]
	if h == nil {
		h = &hub{
			place: p, products: make(map[string]bool), standards: make(map[string]bool), actions: make(map[string]*action),
			members: make(map[string]*relation), invitations: make(map[string]*relation), findings: make(map[findingKey]*record),
		}
		s.hubs[p] = h
		i, _ := slices.BinarySearchFunc(s.places, p, comparePlaces)
		s.places = slices.Insert(s.places, i, p)
	}
	return h
}

// comparePlaces orders by region, then account.
func comparePlaces(a, b cloud.Place) int {
	if n := strings.Compare(a.Region, b.Region); n != 0 {
		return n
	}
	return strings.Compare(a.Account, b.Account)
}

// on tells whether Security Hub is on in a place. Requires mu.
func (s *Service) on(p cloud.Place) bool {
	h := s.hubs[p]
	return h != nil && h.on
}

// switchOn enables Security Hub in a place where it is not. Requires mu.
func (s *Service) switchOn(p cloud.Place, defaultStandards bool) *hub {
	h := s.place(p)
	now := s.cloud.Clock.Now()
	if !h.off.IsZero() && now.Sub(h.off) > retention {
		s.forget(h)
	}
	h.on, h.since, h.off = true, now, time.Time{}
	h.autoControls, h.generator = true, perControl
	automatic := s.settings.AutoProducts
	if automatic == nil {
		automatic = automaticProducts
	}
	for _, path := range automatic {
		h.products[path] = true
	}
	if defaultStandards {
		for _, standard := range standards {
			if standard.byDefault {
				h.standards[standard.path] = true
			}
		}
	}
	return h
}

// forget drops what AWS deletes 90 days after Security Hub was disabled. Requires mu.
func (s *Service) forget(h *hub) {
	for _, r := range h.order {
		s.unindex(r)
	}
	clear(h.findings)
	h.order = nil
	clear(h.products)
	clear(h.actions)
	delete(s.tagged, hubARN(h.place))
}

type enableSecurityHubInput struct {
	Tags                    map[string]tag
	EnableDefaultStandards  *bool
	ControlFindingGenerator string
}

func (s *Service) enableSecurityHub(c *wire.Call, in *enableSecurityHubInput) (*nothing, error) {
	if s.on(c.Place) {
		return nil, conflict("Account is already subscribed to Security Hub")
	}
	if err := oneOf("ControlFindingGenerator", in.ControlFindingGenerator, perStandard, perControl); err != nil {
		return nil, err
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	h := s.switchOn(c.Place, in.EnableDefaultStandards == nil || *in.EnableDefaultStandards)
	if in.ControlFindingGenerator != "" {
		h.generator = in.ControlFindingGenerator
	}
	if len(in.Tags) > 0 {
		s.tagged[hubARN(c.Place)] = maps.Clone(in.Tags)
	}
	return &nothing{}, nil
}

type describeHubOutput struct {
	HubARN                  string `json:"HubArn"`
	SubscribedAt            string
	AutoEnableControls      bool
	ControlFindingGenerator string
}

func (s *Service) describeHub(c *wire.Call, h *hub, _ *nothing) (*describeHubOutput, error) {
	arn := hubARN(c.Place)
	if asked := c.HTTP.URL.Query().Get("HubArn"); asked != "" && asked != arn {
		parsed, err := cloud.ParseARN(asked)
		if err != nil || parsed.Service != "securityhub" {
			return nil, invalidInput("HubArn %q is not the ARN of a hub", asked)
		}
		return nil, notFound("Hub %s is not found", asked)
	}
	return &describeHubOutput{arn, stamp(h.since), h.autoControls, h.generator}, nil
}

// disableSecurityHub refuses as AWS does: https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-disable.html
func (s *Service) disableSecurityHub(c *wire.Call, h *hub, _ *nothing) (*nothing, error) {
	if o := s.organizers[c.Region]; o != nil && o.account == c.Account {
		return nil, invalidAccess("Account %s is the Security Hub administrator of the organization", c.Account)
	}
	if h.admin != nil {
		return nil, invalidAccess("Account %s is a member of %s: it has to be disassociated first", c.Account, h.admin.admin)
	}
	for _, m := range h.members {
		if m.status == statusEnabled {
			return nil, invalidAccess("Account %s has member accounts: they have to be disassociated first", c.Account)
		}
	}
	for account := range h.members {
		delete(s.place(cloud.Place{Partition: c.Partition, Account: account, Region: c.Region}).invitations, c.Account)
	}
	clear(h.members)
	clear(h.standards)
	h.on, h.off = false, s.cloud.Clock.Now()
	return &nothing{}, nil
}

type updateConfigurationInput struct {
	AutoEnableControls      *bool
	ControlFindingGenerator string
}

func (s *Service) updateSecurityHubConfiguration(_ *wire.Call, h *hub, in *updateConfigurationInput) (*nothing, error) {
	if err := oneOf("ControlFindingGenerator", in.ControlFindingGenerator, perStandard, perControl); err != nil {
		return nil, err
	}
	if in.AutoEnableControls != nil {
		h.autoControls = *in.AutoEnableControls
	}
	if in.ControlFindingGenerator != "" {
		h.generator = in.ControlFindingGenerator
	}
	return &nothing{}, nil
}

// Bounds of tags.
const (
	maxTags     = 50
	maxTagKey   = 128 // characters
	maxTagValue = 256
)

// checkTags tells whether tags may be added to those that are there.
func checkTags(have, more map[string]tag) error {
	n := len(have)
	for k, v := range more {
		if k == "" || strings.HasPrefix(k, "aws:") || len([]rune(k)) > maxTagKey || len([]rune(v)) > maxTagValue {
			return invalidInput("Invalid parameter 'Tags'. The key has to be 1 to %d characters without aws:, the value at most %d", maxTagKey, maxTagValue)
		}
		if _, there := have[k]; !there {
			n++
		}
	}
	if n > maxTags {
		return invalidInput("Invalid parameter 'Tags'. A resource has at most %d tags", maxTags)
	}
	return nil
}

type tagsBody struct{ Tags map[string]tag }

// taggable is the ARN of a call about tags: only hubs have some here.
func taggable(c *wire.Call) (string, error) {
	arn := c.Path["ResourceArn"]
	if arn != hubARN(c.Place) {
		return "", notFound("Resource %q is not found", arn)
	}
	return arn, nil
}

func (s *Service) tagResource(c *wire.Call, _ *hub, in *tagsBody) (*nothing, error) {
	arn, err := taggable(c)
	if err != nil {
		return nil, err
	}
	if err := checkTags(s.tagged[arn], in.Tags); err != nil {
		return nil, err
	}
	if s.tagged[arn] == nil {
		s.tagged[arn] = make(map[string]tag)
	}
	maps.Copy(s.tagged[arn], in.Tags)
	return &nothing{}, nil
}

func (s *Service) untagResource(c *wire.Call, _ *hub, _ *nothing) (*nothing, error) {
	arn, err := taggable(c)
	if err != nil {
		return nil, err
	}
	for _, k := range c.HTTP.URL.Query()["tagKeys"] {
		delete(s.tagged[arn], k)
	}
	return &nothing{}, nil
}

func (s *Service) listTagsForResource(c *wire.Call, _ *hub, _ *nothing) (*tagsBody, error) {
	arn, err := taggable(c)
	if err != nil {
		return nil, err
	}
	return &tagsBody{maps.Clone(s.tagged[arn])}, nil
}
