// Package account is the lab's AWS Account Management: which regions an account may use.
//
// https://docs.aws.amazon.com/accounts/latest/reference/API_Operations.html
package account

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Service is Account Management. It keeps nothing: which regions are enabled is the cloud's.
type Service struct{ cloud *cloud.Cloud }

// New makes the service.
func New(c *cloud.Cloud) *Service { return &Service{c} }

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	post := func(path string, do func(context.Context, *wire.Call) (any, error)) wire.Operation {
		return wire.Operation{Do: do, Method: http.MethodPost, Path: path}
	}
	return &wire.Service{
		Name: "account", Protocols: []wire.Protocol{wire.RESTJSON}, Global: true,
		Operations: map[string]wire.Operation{
			"ListRegions":        post("/listRegions", wire.Do(s.listRegions)),
			"GetRegionOptStatus": post("/getRegionOptStatus", wire.Do(s.getRegionOptStatus)),
			"EnableRegion":       post("/enableRegion", wire.Do(s.setRegion(true))),
			"DisableRegion":      post("/disableRegion", wire.Do(s.setRegion(false))),
		},
	}
}

// Inspect is the state, for people.
func (s *Service) Inspect() any {
	out := make(map[string][]string)
	for _, id := range s.cloud.Accounts.IDs() {
		if a, ok := s.cloud.Accounts.Find(id); ok && len(a.Regions) > 0 {
			out[id] = a.Regions
		}
	}
	return out
}

// How an account stands to a region.
const (
	statusDefault  = "ENABLED_BY_DEFAULT"
	statusEnabled  = "ENABLED"
	statusDisabled = "DISABLED"
)

type regionStatus struct {
	RegionName      string
	RegionOptStatus string
}

type listRegionsInput struct {
	AccountID               string `json:"AccountId"`
	MaxResults              int
	NextToken               string
	RegionOptStatusContains []string
}

type listRegionsOutput struct {
	Regions   []regionStatus
	NextToken string `json:",omitempty"`
}

// maxRegions is the most of a page.
const maxRegions = 50

func (s *Service) listRegions(_ context.Context, c *wire.Call, in *listRegionsInput) (*listRegionsOutput, error) {
	id, err := s.account(c, in.AccountID)
	if err != nil {
		return nil, err
	}
	if in.MaxResults < 0 || in.MaxResults > maxRegions {
		return nil, wire.Errorf("ValidationException", "MaxResults %d: expected 1 to %d", in.MaxResults, maxRegions)
	}
	start := 0
	if in.NextToken != "" {
		if start, err = strconv.Atoi(in.NextToken); err != nil || start < 0 {
			return nil, wire.Errorf("ValidationException", "NextToken is not one that was given")
		}
	}
	var all []regionStatus
	for _, r := range cloud.Regions {
		if r.Partition != s.cloud.Partition {
			continue
		}
		st := s.status(id, r)
		if len(in.RegionOptStatusContains) == 0 || slices.Contains(in.RegionOptStatusContains, st) {
			all = append(all, regionStatus{r.Name, st})
		}
	}
	slices.SortFunc(all, func(a, b regionStatus) int {
		if a.RegionName < b.RegionName {
			return -1
		}
		return 1
	})
	limit := in.MaxResults
	if limit == 0 {
		limit = maxRegions
	}
	start = min(start, len(all))
	end := min(start+limit, len(all))
	out := &listRegionsOutput{Regions: all[start:end]}
	if end < len(all) {
		out.NextToken = strconv.Itoa(end)
	}
	return out, nil
}

func (s *Service) status(id string, r cloud.Region) string {
	switch {
	case !r.OptIn:
		return statusDefault
	case s.cloud.Accounts.Enabled(id, r.Name):
		return statusEnabled
	}
	return statusDisabled
}

type regionInput struct {
	AccountID  string `json:"AccountId"`
	RegionName string
}

func (s *Service) getRegionOptStatus(_ context.Context, c *wire.Call, in *regionInput) (*regionStatus, error) {
	id, r, err := s.region(c, in)
	if err != nil {
		return nil, err
	}
	return &regionStatus{r.Name, s.status(id, r)}, nil
}

type nothing struct{}

// setRegion enables or disables at once, where AWS takes minutes to hours.
func (s *Service) setRegion(enabled bool) func(context.Context, *wire.Call, *regionInput) (*nothing, error) {
	return func(_ context.Context, c *wire.Call, in *regionInput) (*nothing, error) {
		id, r, err := s.region(c, in)
		if err != nil {
			return nil, err
		}
		if !r.OptIn {
			return nil, wire.Errorf("ValidationException", "region %s is enabled by default and cannot be changed", r.Name)
		}
		s.cloud.Accounts.SetRegion(id, r.Name, enabled)
		return nil, nil
	}
}

func (s *Service) region(c *wire.Call, in *regionInput) (string, cloud.Region, error) {
	id, err := s.account(c, in.AccountID)
	if err != nil {
		return "", cloud.Region{}, err
	}
	r, ok := cloud.FindRegion(in.RegionName)
	if !ok || r.Partition != s.cloud.Partition {
		return "", r, wire.Errorf("ValidationException", "RegionName %q: no such region", in.RegionName)
	}
	return id, r, nil
}

// account is whom a call is about: the caller, or, for the management account, one of its members.
func (s *Service) account(c *wire.Call, asked string) (string, error) {
	if asked == "" || asked == c.Account {
		return c.Account, nil
	}
	_, management := s.cloud.Accounts.Organization()
	if _, exists := s.cloud.Accounts.Find(asked); !exists || c.Account != management {
		return "", wire.StatusErrorf(http.StatusForbidden, "AccessDeniedException", "%s may not ask about account %q", c.Account, asked)
	}
	return asked, nil
}
