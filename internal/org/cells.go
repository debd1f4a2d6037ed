package org

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	accounttypes "github.com/aws/aws-sdk-go-v2/service/account/types"
	"golang.org/x/sync/errgroup"
)

// A State is whether one can work in a cell.
type State string

// The states of cells.
const (
	Ready      State = "ready"
	NotEnabled State = "not enabled" // the account has not opted in to the region
	Denied     State = "denied"      // the role cannot be assumed
	Inactive   State = "inactive"    // Organizations says that the account is suspended or being closed
)

// A Reach is a cell with whether one can work in it.
type Reach struct {
	Cell

	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // AWS's, for people; empty where the cell is ready
}

// A RegionLister tells which regions an account has: the client of Account Management.
type RegionLister interface {
	ListRegions(context.Context, *account.ListRegionsInput, ...func(*account.Options)) (*account.ListRegionsOutput, error)
}

// asked is how many accounts are asked at the same time.
const asked = 8

// Reach tells of each cell, accounts in order, the regions as in the options, whether one can work in it. Its error is
// that ctx has ended: all else is told of the cells that it concerns.
func (o *Org) Reach(ctx context.Context) ([]Reach, error) {
	out := make([][]Reach, len(o.Accounts))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(asked)
	for i, a := range o.Accounts {
		group.Go(func() error {
			out[i] = o.reach(gctx, a)
			return gctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(out...), nil
}

func (o *Org) reach(ctx context.Context, a Account) []Reach {
	var out []Reach
	all := func(s State, reason string) []Reach {
		for _, region := range o.Regions {
			out = append(out, Reach{Cell{a.ID, region}, s, reason})
		}
		return out
	}
	if a.Inactive {
		return all(Inactive, "Organizations says that the account is not active")
	}
	cfg := o.Config(Cell{a.ID, o.Regions[0]})
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return all(Denied, "assume "+o.RoleARN(a.ID)+": "+Reason(err))
	}
	enabled, err := o.regions(ctx, account.NewFromConfig(cfg))
	if err != nil {
		return all(Ready, "") // who may not list regions may still work in them
	}
	for _, region := range o.Regions {
		r := Reach{Cell{a.ID, region}, Ready, ""}
		if status, known := enabled[region]; known && !status {
			r.State, r.Reason = NotEnabled, "the account has not enabled the region"
		}
		out = append(out, r)
	}
	return out
}

// maxPages bounds what is asked for: AWS has fewer than 50 regions, which is one page.
const maxPages = 20

// regions tells of the regions of an account whether they are enabled.
func (o *Org) regions(ctx context.Context, client RegionLister) (map[string]bool, error) {
	out := make(map[string]bool)
	for next, pages := (*string)(nil), 0; pages < maxPages; pages++ {
		page, err := client.ListRegions(ctx, &account.ListRegionsInput{NextToken: next})
		if err != nil {
			return nil, err
		}
		for _, r := range page.Regions {
			out[aws.ToString(r.RegionName)] = r.RegionOptStatus == accounttypes.RegionOptStatusEnabled ||
				r.RegionOptStatus == accounttypes.RegionOptStatusEnabledByDefault
		}
		if next = page.NextToken; next == nil {
			break
		}
	}
	return out, nil
}
