// Package inspector2 is the lab's Amazon Inspector (version 2): what it finds, whom it tells, and its API.
//
// Nothing is scanned. Findings come from Go (Report), as a population makes them up; from there on they live as in AWS:
// they are listed, suppressed, closed, reopened and deleted, they are events on the account's bus, and they go to
// Security Hub in its format.
//
// https://docs.aws.amazon.com/inspector/v2/APIReference/Welcome.html
package inspector2

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Limits that AWS names, and the two that can be set.
const (
	maxPage    = 25     // findings in an answer, whatever maxResults says
	maxMembers = 10_000 // of a delegated administrator
	maxFilters = 500    // of an account in a region
	maxAsked   = 100    // accounts in a call
	maxTags    = 50     // of a resource
)

// How long things are kept. https://docs.aws.amazon.com/inspector/latest/user/findings-managing.html
const (
	keepClosed = 30 * 24 * time.Hour
	keepGone   = 3 * 24 * time.Hour // where the resource no longer exists
	reopen     = 7 * 24 * time.Hour // seen again within this time a finding is the same one
	sweepEvery = time.Hour
)

// A Service is Amazon Inspector in all accounts and regions.
type Service struct {
	cloud *cloud.Cloud

	// PageSize is the most findings of an answer, 1 to 25; 0: 25. MaxMembers is the most members of a delegated
	// administrator; 0: 10,000. Activation is how long ENABLING and DISABLING take; 0: until the clock's next task.
	// They are set before the first request, as are the following.
	PageSize   int
	MaxMembers int
	Activation time.Duration

	// Published is told of what was handed to Security Hub, and Switched of types of resources that were enabled (on) or
	// disabled at a place. They may be nil, and are called without any lock.
	Published func(Publication)
	Switched  func(p cloud.Place, types []string, on bool)

	mu    sync.Mutex
	cells map[cloud.Place]*cell    // guarded by mu, like all below
	orgs  map[string]*organization // by region
}

// New makes the service, with Inspector enabled nowhere.
func New(c *cloud.Cloud) *Service {
	return &Service{cloud: c, cells: make(map[cloud.Place]*cell), orgs: make(map[string]*organization)}
}

// A cell is Inspector in an account and region.
type cell struct {
	place   cloud.Place
	status  map[string]string // of the types of resources; missing: DISABLED
	order   []*record         // by ARN
	newest  map[identity]*record
	swept   time.Time
	covered map[string]*coverage // by the resource's id
	filters map[string]*filter   // by ARN
	reports map[string]*report   // by id
}

// cell gives a place's, which it makes where it is missing. Requires that mu is held.
func (s *Service) cell(p cloud.Place) *cell {
	c := s.look(p)
	s.cells[p] = c
	return c
}

// look is cell for those who only look: what is missing is not kept, so that questions cost no memory. Requires mu.
func (s *Service) look(p cloud.Place) *cell {
	if c := s.cells[p]; c != nil {
		return c
	}
	return &cell{
		place: p, status: make(map[string]string), newest: make(map[identity]*record), covered: make(map[string]*coverage),
		filters: make(map[string]*filter), reports: make(map[string]*report),
	}
}

// Wire is the service as it is on the wire. AWS does not publish its rates; the lab lets 10 calls a second through, and
// 20 after a pause.
func (s *Service) Wire() *wire.Service {
	post := func(path string, do func(context.Context, *wire.Call) (any, error)) wire.Operation {
		return wire.Operation{Do: do, Method: http.MethodPost, Path: path}
	}
	tags := func(method string, do func(context.Context, *wire.Call) (any, error)) wire.Operation {
		return wire.Operation{Do: do, Method: method, Path: "/tags/{resourceArn}"}
	}
	return &wire.Service{
		Name: "inspector2", Protocols: []wire.Protocol{wire.RESTJSON}, Rate: wire.Rate{PerSecond: 10, Burst: 20},
		Throttled: &wire.Error{
			Code: "ThrottlingException", Status: http.StatusTooManyRequests, Message: "Rate exceeded",
			Fields: map[string]any{"retryAfterSeconds": 1}, Header: map[string]string{"Retry-After": "1"},
		},
		Operations: map[string]wire.Operation{
			"Enable":                            post("/enable", wire.Do(s.enable)),
			"Disable":                           post("/disable", wire.Do(s.disable)),
			"BatchGetAccountStatus":             post("/status/batch/get", wire.Do(s.batchGetAccountStatus)),
			"EnableDelegatedAdminAccount":       post("/delegatedadminaccounts/enable", wire.Do(s.enableAdmin)),
			"DisableDelegatedAdminAccount":      post("/delegatedadminaccounts/disable", wire.Do(s.disableAdmin)),
			"GetDelegatedAdminAccount":          post("/delegatedadminaccounts/get", wire.Do(s.getAdmin)),
			"ListDelegatedAdminAccounts":        post("/delegatedadminaccounts/list", wire.Do(s.listAdmins)),
			"DescribeOrganizationConfiguration": post("/organizationconfiguration/describe", wire.Do(s.describeOrganization)),
			"UpdateOrganizationConfiguration":   post("/organizationconfiguration/update", wire.Do(s.updateOrganization)),
			"AssociateMember":                   post("/members/associate", wire.Do(s.associateMember)),
			"DisassociateMember":                post("/members/disassociate", wire.Do(s.disassociateMember)),
			"GetMember":                         post("/members/get", wire.Do(s.getMember)),
			"ListMembers":                       post("/members/list", wire.Do(s.listMembers)),
			"ListFindings":                      post("/findings/list", wire.Do(s.listFindings)),
			"BatchGetFindingDetails":            post("/findings/details/batch/get", wire.Do(s.batchGetFindingDetails)),
			"ListCoverage":                      post("/coverage/list", wire.Do(s.listCoverage)),
			"ListCoverageStatistics":            post("/coverage/statistics/list", wire.Do(s.listCoverageStatistics)),
			"CreateFilter":                      post("/filters/create", wire.Do(s.createFilter)),
			"UpdateFilter":                      post("/filters/update", wire.Do(s.updateFilter)),
			"DeleteFilter":                      post("/filters/delete", wire.Do(s.deleteFilter)),
			"ListFilters":                       post("/filters/list", wire.Do(s.listFilters)),
			"CreateFindingsReport":              post("/reporting/create", wire.Do(s.createReport)),
			"GetFindingsReportStatus":           post("/reporting/status/get", wire.Do(s.getReport)),
			"CancelFindingsReport":              post("/reporting/cancel", wire.Do(s.cancelReport)),
			"TagResource":                       tags(http.MethodPost, wire.Do(s.tagResource)),
			"UntagResource":                     tags(http.MethodDelete, wire.Do(s.untagResource)),
			"ListTagsForResource":               tags(http.MethodGet, wire.Do(s.listTags)),
		},
	}
}

// Findings gives the present findings of a place, by ARN, whatever Lag says. They are not to be changed.
func (s *Service) Findings(p cloud.Place) iter.Seq[*Finding] {
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	var all []*Finding
	if c := s.cells[p]; c != nil {
		for _, r := range c.order {
			if !r.expired(now) {
				all = append(all, r.current())
			}
		}
	}
	s.mu.Unlock()
	return slices.Values(all)
}

// maxInspected is how many places Inspect shows.
const maxInspected = 200

type inspectedCell struct {
	Account  string         `json:"account"`
	Region   string         `json:"region"`
	Status   resourceStatus `json:"status"`
	Findings map[string]int `json:"findings"` // by status
	Covered  int            `json:"covered"`
	Filters  int            `json:"filters"`
}

// Inspect is the state, for people: the first 200 places in the order of regions and accounts.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	admins := make(map[string]string)
	for region, o := range s.orgs {
		if o.admin != "" {
			admins[region] = o.admin
		}
	}
	places := slices.SortedFunc(maps.Keys(s.cells), func(a, b cloud.Place) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Account, b.Account))
	})
	cells := []inspectedCell{}
	for _, p := range places[:min(len(places), maxInspected)] {
		c := s.cells[p]
		counts := make(map[string]int)
		for _, r := range c.order {
			counts[r.current().Status]++
		}
		cells = append(cells, inspectedCell{p.Account, p.Region, c.resourceStatus(), counts, len(c.covered), len(c.filters)})
	}
	return map[string]any{"administrators": admins, "places": len(places), "cells": cells}
}
