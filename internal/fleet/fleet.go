// Package fleet deploys the templates over accounts and regions.
//
// What is to be done is found out by asking AWS, each time: there is no state but AWS's own. So plan and deploy are one
// walk, which in a plan only looks, and a deploy that was interrupted goes on where it was.
//
//	bucket ──▶ members: every account × region ──▶ membership: every region ──▶ regions: the administrator's account
//	(once)     Security Hub on, Inspector on       invited, or of the            rule, Firehose, alarms
//	                                               organization                  (with its function's code before)
//
// What was made by API calls rather than by a stack is remembered by tags of the stack beside it, so that destroy takes
// away what was made and nothing else.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html
package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"

	"example.org/catchment/internal/org"
	"example.org/catchment/internal/template"
)

// A Part is a kind of thing that is deployed in a cell.
type Part string

// The parts, in the order in which they are deployed.
const (
	PartBucket     Part = "bucket"     // stack in the bucket's account and region
	PartMember     Part = "member"     // stack in each cell
	PartInspector  Part = "inspector"  // Inspector v2 in each cell, by its API
	PartDelegation Part = "delegation" // the organization's administrator of Security Hub, by its API
	PartMembership Part = "membership" // in each cell but the administrator's, by Security Hub's API
	PartAggregator Part = "aggregator" // stack in the home region, with topology aggregated
	PartCode       Part = "code"       // bucket with the function's zip, by S3's API
	PartRegion     Part = "region"     // stack in the administrator's account
)

// Parts are all parts in their order.
var Parts = []Part{PartBucket, PartMember, PartInspector, PartDelegation, PartMembership, PartAggregator, PartCode, PartRegion}

// Topologies.
const (
	PerRegion  = "per-region" // a pipeline in each region
	Aggregated = "aggregated" // a finding aggregator, and a pipeline in the first region
)

// Options are what a fleet is made from.
type Options struct {
	Name     string // of the stacks: NAME, NAME-member, NAME-region, NAME-aggregator; empty: catchment
	Template template.Options
	Topology string // empty: PerRegion

	BucketName    string
	BucketAccount string // empty: the administrator
	Encryption    string // AES256 or aws:kms; empty: AES256

	// Parameters are further ones of stacks, by part and name. What nobody names keeps its value, or the template's.
	Parameters map[Part]map[string]string
	// FunctionZip is the function's code where the template asks for one; nil: what was uploaded before.
	FunctionZip []byte
	// Inspector is what Inspector v2 scans where it is not on; nil: EC2, ECR and LAMBDA.
	Inspector []string

	Parallel    int  // cells at the same time; 0: 8
	AllowStream bool // a delivery stream may be replaced or deleted: what it buffers is lost
	AllowBucket bool // a bucket may be replaced or deleted

	Sleep  func(context.Context, time.Duration) error // between questions to AWS; nil: the real time
	Report func(Event)                                // is told of what happens, one after the other; nil: nobody
}

// An Event is something that happens to a cell, for people and for logs.
type Event struct {
	Cell org.Cell
	Part Part
	What string // "started", or the outcome's state
	Done *Outcome
}

// A Fleet is an organization with what is to be deployed in it.
type Fleet struct {
	Options

	org    *org.Org
	report sync.Mutex
}

const defaultParallel = 8

// New checks the options.
func New(o *org.Org, options Options) (*Fleet, error) {
	f := &Fleet{Options: options, org: o}
	if f.Name == "" {
		f.Name = "catchment"
	}
	if f.Topology == "" {
		f.Topology = PerRegion
	}
	if f.BucketAccount == "" {
		f.BucketAccount = o.Administrator
	}
	if f.Encryption == "" {
		f.Encryption = "AES256"
	}
	if f.Inspector == nil {
		f.Inspector = []string{"EC2", "ECR", "LAMBDA"}
	}
	if f.Parallel <= 0 {
		f.Parallel = defaultParallel
	}
	if f.Sleep == nil {
		f.Sleep = sleep
	}
	f.Template.Mode = template.ModeFirehose
	f.Template.Regions = o.Regions
	if f.Template.Accounts == nil {
		for _, a := range o.Accounts {
			f.Template.Accounts = append(f.Template.Accounts, a.ID)
		}
	}
	switch {
	case o.Administrator == "":
		return nil, errors.New("administrator: expected an account")
	case f.BucketName == "":
		return nil, errors.New("bucket: expected a name")
	case f.Topology != PerRegion && f.Topology != Aggregated:
		return nil, fmt.Errorf("topology %q: expected per-region or aggregated", f.Topology)
	case f.Encryption != "AES256" && f.Encryption != "aws:kms":
		return nil, fmt.Errorf("encryption %q: expected AES256 or aws:kms", f.Encryption)
	}
	for _, write := range []func(template.Options) ([]byte, error){template.Bucket, template.Member, template.Region} {
		if _, err := write(f.Template); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// tell reports, one event at a time.
func (f *Fleet) tell(e Event) {
	if f.Report == nil {
		return
	}
	f.report.Lock()
	defer f.report.Unlock()
	f.Report(e)
}

// Home is the region of the bucket, and of the pipeline of topology aggregated.
func (f *Fleet) Home() string { return f.org.Regions[0] }

// bucketCell is where the bucket is.
func (f *Fleet) bucketCell() org.Cell { return org.Cell{Account: f.BucketAccount, Region: f.Home()} }

// administrator is the administrator's cell in a region.
func (f *Fleet) administrator(region string) org.Cell {
	return org.Cell{Account: f.org.Administrator, Region: region}
}

// pipelines are the regions that have a pipeline.
func (f *Fleet) pipelines() []string {
	if f.Topology == Aggregated {
		return []string{f.Home()}
	}
	return f.org.Regions
}

// stackName is the name of a part's stack.
func (f *Fleet) stackName(p Part) string {
	if p == PartBucket {
		return f.Name // the database and the workgroup are called like it
	}
	return f.Name + "-" + string(p)
}

// parameters are a stack's, with those that were asked for.
func (f *Fleet) parameters(p Part, own map[string]string) map[string]string {
	out := maps.Clone(own)
	if out == nil {
		out = make(map[string]string)
	}
	maps.Copy(out, f.Parameters[p])
	return out
}

// each does something for many at the same time, up to the bound. When ctx ends, nothing new is begun; what runs gets a
// context that goes on, so that no stack is left in the middle.
func each[T any](ctx context.Context, f *Fleet, of []T, do func(context.Context, T)) {
	var group errgroup.Group
	group.SetLimit(f.Parallel)
	running := context.WithoutCancel(ctx)
	for _, one := range of {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if ctx.Err() == nil {
				do(running, one)
			}
			return nil
		})
	}
	_ = group.Wait() // do returns no error
}

// config is what clients need to work in a cell.
func (f *Fleet) config(c org.Cell) aws.Config { return f.org.Config(c) }

// A Result is what came of a plan, a deploy or a destroy: one outcome for each part of each cell.
type Result struct {
	Outcomes []Outcome   `json:"cells"`
	Apart    []org.Reach `json:"unreached,omitempty"` // cells in which one cannot work

	mu sync.Mutex
}

func (r *Result) add(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Outcomes = append(r.Outcomes, o)
}

// sort puts the outcomes in the order of parts, accounts and regions.
func (r *Result) sort() {
	slices.SortStableFunc(r.Outcomes, func(a, b Outcome) int {
		if n := slices.Index(Parts, a.Part) - slices.Index(Parts, b.Part); n != 0 {
			return n
		}
		return a.Compare(b.Cell)
	})
}

// Count counts the outcomes in some states.
func (r *Result) Count(states ...State) int {
	n := 0
	for _, o := range r.Outcomes {
		if slices.Contains(states, o.State) {
			n++
		}
	}
	return n
}

// Failed counts what failed: outcomes, and cells that should have been reached.
func (r *Result) Failed() int {
	n := r.Count(Failed, Refused)
	for _, a := range r.Apart {
		if a.State == org.Denied {
			n++
		}
	}
	return n
}

// lost tells whether a part of a cell failed.
func (r *Result) lost(c org.Cell, p Part) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.Outcomes, func(o Outcome) bool {
		return o.Cell == c && o.Part == p && (o.State == Failed || o.State == Refused)
	})
}
