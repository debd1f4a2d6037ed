// Package population makes up an organisation in which things happen over time.
//
// There are accounts, hosts, container images and functions, what is wrong with them, and how that changes: findings open,
// are seen again, get worse, are fixed, come back, and vanish with their host. Other products report too, so that filters
// have something to filter. All of it follows from the seed and the options, moment by moment: what an account has in a
// region is thrown when its first moment comes and not before, so that 1,000 accounts in 20 regions cost little.
//
// Texts that an attacker could choose (tags, names of images) are hostile here.
//
// https://docs.aws.amazon.com/prescriptive-guidance/latest/security-reference-architecture/organizations.html
package population

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/inspector2"
)

// Options of a Population. Zero fields mean what withDefaults sets.
type Options struct {
	Seed     uint64
	Accounts int           // in all; at least 1, and 3 for a real organisation. 0: 3
	Regions  []string      // empty: ap-northeast-1, us-east-1. An opt-in region is enabled in a part of the accounts
	Span     time.Duration // of the lab's time from Start on; after it nothing happens. 0: 30 days

	// What a cell (an account in a region) has, unless it is one of the Empty share, which have nothing.
	Hosts     Spread // 0: 1 to 12
	Images    Spread // 0: 0 to 4
	Functions Spread // 0: 0 to 6
	Noise     Spread // findings of other products. 0: 1 to 8
	Empty     float64

	Rates Rates

	// Record keeps what was published, for Expected; at most MaxRecords (0: 2 million).
	Record     bool
	MaxRecords int
}

// Rates are how often what happens to a finding or a resource. Zero fields: see withDefaults.
type Rates struct {
	Settle time.Duration // until the first moment of the last cell. 1 hour
	Scan   time.Duration // between two looks at an open finding, on average. 1 day
	Fix    time.Duration // until a finding is fixed, on average. 10 days
	Life   time.Duration // of a host or image, on average. 40 days
	Change float64       // share of looks that have news. 0.25
	Reopen float64       // share of fixed findings that come back within 7 days. 0.15
	Late   float64       // share of findings that open in the course of the span and not at the first scan. 0.3
	Hide   bool          // the administrator suppresses one vulnerability for half of the span
}

func (o Options) withDefaults() Options {
	or := func(s *Spread, d Spread) {
		if *s == (Spread{}) {
			*s = d
		}
	}
	wait := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	number := func(f *float64, otherwise float64) {
		if *f == 0 {
			*f = otherwise
		}
	}
	if o.Accounts == 0 {
		o.Accounts = 3
	}
	if len(o.Regions) == 0 {
		o.Regions = []string{"ap-northeast-1", "us-east-1"}
	}
	if o.MaxRecords == 0 {
		o.MaxRecords = 2_000_000
	}
	or(&o.Hosts, Spread{1, 12})
	or(&o.Images, Spread{0, 4})
	or(&o.Functions, Spread{0, 6})
	or(&o.Noise, Spread{1, 8})
	wait(&o.Span, 30*24*time.Hour)
	wait(&o.Rates.Settle, time.Hour)
	wait(&o.Rates.Scan, 24*time.Hour)
	wait(&o.Rates.Fix, 10*24*time.Hour)
	wait(&o.Rates.Life, 40*24*time.Hour)
	number(&o.Rates.Change, 0.25)
	number(&o.Rates.Reopen, 0.15)
	number(&o.Rates.Late, 0.3)
	return o
}

// Limits of the options: what one process can hold and name.
const (
	maxAccounts = 10_000
	maxPerCell  = 10_000
)

// Validate tells what is wrong with the options.
func (o Options) Validate() error {
	if o.Accounts < 0 || o.Accounts > maxAccounts {
		return fmt.Errorf("accounts %d: expected 1 to %d", o.Accounts, maxAccounts)
	}
	for name, s := range map[string]Spread{"hosts": o.Hosts, "images": o.Images, "functions": o.Functions, "noise": o.Noise} {
		if s.Min < 0 || s.Max < s.Min || s.Max > maxPerCell {
			return fmt.Errorf("%s %d to %d: expected 0 to %d, the least first", name, s.Min, s.Max, maxPerCell)
		}
	}
	for i, r := range o.Regions {
		if _, ok := cloud.FindRegion(r); !ok {
			return fmt.Errorf("region %q: the lab knows no such region", r)
		}
		if slices.Contains(o.Regions[:i], r) {
			return fmt.Errorf("region %q: it is named twice", r)
		}
	}
	for name, x := range map[string]float64{"empty": o.Empty, "change": o.Rates.Change, "reopen": o.Rates.Reopen, "late": o.Rates.Late} {
		if x < 0 || x > 1 {
			return fmt.Errorf("%s %v: expected 0 to 1", name, x)
		}
	}
	for name, d := range map[string]time.Duration{
		"span": o.Span, "settle": o.Rates.Settle, "scan": o.Rates.Scan, "fix": o.Rates.Fix, "life": o.Rates.Life,
	} {
		if d < 0 {
			return fmt.Errorf("%s %v: expected a time that is not negative", name, d)
		}
	}
	return nil
}

// A Population is an organisation and what happens in it.
type Population struct {
	Options
	Org   Org
	cloud *cloud.Cloud
	from  time.Time
	until time.Time

	env map[string]string // of the accounts

	mu      sync.Mutex
	scanner *inspector2.Service // guarded by mu, like all below; nil before Start
	cells   map[cloud.Place]*cell
	burst   map[cloud.Place]int // findings that were made by Burst
	shared  *shared
	records []Published
	lost    int   // records beyond MaxRecords
	err     error // the first that nobody could be told of
}

// New makes a population of a cloud. Nothing happens before Start.
func New(c *cloud.Cloud, o Options) (*Population, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("population: %w", err)
	}
	o = o.withDefaults()
	for _, name := range o.Regions {
		if r, _ := cloud.FindRegion(name); r.Partition != c.Partition {
			return nil, fmt.Errorf("population: region %s is not in the partition %s", name, c.Partition)
		}
	}
	p := &Population{
		Options: o, Org: Organization(o), cloud: c, shared: newShared(), cells: make(map[cloud.Place]*cell),
		burst: make(map[cloud.Place]int), env: make(map[string]string, o.Accounts),
	}
	p.from = c.Clock.Now().UTC().Truncate(time.Millisecond)
	p.until = p.from.Add(o.Span)
	for _, m := range p.Org.Accounts {
		p.env[m.ID] = m.Env
	}
	return p, nil
}

// optedIn is the share of the accounts in which an opt-in region is enabled.
const optedIn = 0.5

// SeedAccounts adds the accounts to the cloud. An opt-in region is enabled in half of them, and in the three that the
// organisation is run from. Which organisation they are in is for the service Organizations to say.
func (p *Population) SeedAccounts() error {
	for _, m := range p.Org.Accounts {
		if err := p.cloud.Accounts.Add(cloud.Account{ID: m.ID, Name: m.Name, Email: m.Email, Regions: p.optIns(m.ID)}); err != nil {
			return fmt.Errorf("population: %w", err)
		}
	}
	return nil
}

func (p *Population) optIns(id string) []string {
	var out []string
	for _, name := range p.Regions {
		r, _ := cloud.FindRegion(name)
		central := id == p.Org.Management || id == p.Org.Administrator || id == p.Org.LogArchive
		if r.OptIn && (central || p.throw("opt-in", id, name).chance(optedIn)) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// SeedInspector makes the account security-tooling the delegated administrator of all regions, all others its members, and
// enables Inspector in all cells; in a few of them for instances alone.
func (p *Population) SeedInspector(s *inspector2.Service) error {
	for _, region := range p.Regions {
		s.Delegate(region, p.Org.Administrator)
	}
	for _, m := range p.Org.Accounts {
		s.Join(m.ID)
	}
	for place := range p.Cells() {
		kinds := []string{inspector2.EC2, inspector2.ECR, inspector2.Lambda, inspector2.LambdaCode}
		if p.throw("partly", place.Account, place.Region).chance(0.05) {
			kinds = kinds[:1]
		}
		if err := s.Activate(place, kinds...); err != nil {
			return fmt.Errorf("population: %w", err)
		}
	}
	return nil
}

// Cells are the accounts and regions that may have something, by region and then in the order of the accounts. Opt-in
// regions count where they are enabled.
func (p *Population) Cells() iter.Seq[cloud.Place] {
	return func(yield func(cloud.Place) bool) {
		for _, region := range p.Regions {
			for _, m := range p.Org.Accounts {
				if p.cloud.Accounts.Enabled(m.ID, region) && !yield(p.cloud.Accounts.Place(m.ID, region)) {
					return
				}
			}
		}
	}
}

// ErrStarted says that a population was started already.
var ErrStarted = errors.New("the population is started already")

// Start lets life begin: from now on, moving the clock makes it happen. Findings go to scanner, and classic, where not
// nil, asks the population what its runs find. It takes over scanner's Published and Switched, and what was set there
// is still called.
func (p *Population) Start(scanner *inspector2.Service, classic *inspector.Service) error {
	p.mu.Lock()
	if p.scanner != nil {
		p.mu.Unlock()
		return ErrStarted
	}
	p.scanner = scanner
	p.mu.Unlock()
	published, switched := scanner.Published, scanner.Switched
	scanner.Published = func(pub inspector2.Publication) {
		p.recordInspector(pub)
		if published != nil {
			published(pub)
		}
	}
	scanner.Switched = func(place cloud.Place, kinds []string, on bool) {
		if on {
			p.rescan(place)
		}
		if switched != nil {
			switched(place, kinds, on)
		}
	}
	if classic != nil {
		classic.SetAssessor(assessor{p})
	}
	for place := range p.Cells() {
		first := p.from.Add(time.Duration(p.throw("settle", place.Account, place.Region).share() * float64(p.Rates.Settle)))
		if p.isEmpty(place) || first.After(p.until) {
			continue
		}
		p.cloud.Clock.At(first.Truncate(time.Millisecond), func(context.Context) { p.live(place) })
	}
	if p.Rates.Hide {
		p.hide()
	}
	return nil
}

func (p *Population) isEmpty(place cloud.Place) bool {
	return p.throw("empty", place.Account, place.Region).chance(p.Empty)
}

// Step moves the clock: what happens in that time has happened when it returns.
func (p *Population) Step(ctx context.Context, d time.Duration) error {
	if err := p.cloud.Clock.Advance(ctx, d); err != nil {
		return fmt.Errorf("population: %w", err)
	}
	return p.Err()
}

// Err is the first error of what happened by itself; nil is none.
func (p *Population) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// fail keeps the first error.
func (p *Population) fail(err error) {
	if err == nil || errors.Is(err, inspector2.ErrNotEnabled) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = fmt.Errorf("population: %w", err)
	}
}
