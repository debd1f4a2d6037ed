package securityhub

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
)

// retention is how long a finding stays after its last update.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub_limits.html
const retention = 90 * 24 * time.Hour

// sweepEvery is how often a hub is looked through for findings that are too old. Until then they are only not shown.
const sweepEvery = 24 * time.Hour

// put keeps a finding of a hub in its new state. The record is nil for a new finding. Requires mu.
func (s *Service) put(h *hub, key findingKey, r *record, v *version) *record {
	s.sweep(h, v.since)
	if r == nil {
		r = &record{key: key, hub: h, created: v.since}
		h.findings[key] = r
		h.order = append(h.order, r)
		s.byKey[key] = append(s.byKey[key], r)
	}
	// Of the versions before, those that are still shown to somebody stay.
	keep := r.versions
	for len(keep) > 1 && !keep[1].since.Add(s.cloud.Lag.Findings).After(v.since) {
		keep = keep[1:]
	}
	if s.cloud.Lag.Findings == 0 {
		keep = nil
	}
	r.versions = append(slices.Clone(keep), v)
	return r
}

// sweep deletes findings that are too old. Requires mu.
func (s *Service) sweep(h *hub, now time.Time) {
	if h.swept.IsZero() {
		h.swept = now
	}
	if now.Sub(h.swept) < sweepEvery {
		return
	}
	h.swept = now
	kept := h.order[:0]
	for _, r := range h.order {
		if now.Sub(r.current().since) <= retention {
			kept = append(kept, r)
			continue
		}
		delete(h.findings, r.key)
		s.unindex(r)
	}
	clear(h.order[len(kept):])
	h.order = kept
}

// unindex takes a finding out of what is in all hubs. Requires mu.
func (s *Service) unindex(r *record) {
	r.gone = true
	rest := slices.DeleteFunc(s.byKey[r.key], func(other *record) bool { return other == r })
	if len(rest) == 0 {
		delete(s.byKey, r.key)
	} else {
		s.byKey[r.key] = rest
	}
}

// live finds a hub's finding that is not too old. Requires mu.
func (s *Service) live(h *hub, key findingKey) *record {
	s.sweep(h, s.cloud.Clock.Now())
	r := h.findings[key]
	if r == nil || !s.cloud.Within(r.current().since, retention) {
		return nil
	}
	return r
}

// find finds a finding that is seen from a place: its own, a member's, or a linked region's. Requires mu.
func (s *Service) find(from cloud.Place, key findingKey) *record {
	var found *record
	for _, r := range s.byKey[key] {
		if s.sees(from, r.hub.place) && s.cloud.Within(r.current().since, retention) &&
			(found == nil || comparePlaces(r.hub.place, found.hub.place) < 0) {
			found = r
		}
	}
	return found
}

// sees tells whether findings of a place are seen from another. Requires mu.
func (s *Service) sees(from, at cloud.Place) bool {
	h := s.hubs[at]
	if h == nil || !h.on || at.Account != from.Account && (h.admin == nil || h.admin.admin != from.Account) {
		return false
	}
	return at.Region == from.Region || slices.Contains(s.linked(from), at.Region)
}

// linked are the regions whose findings come to a place because it is in the home region of an aggregator. Requires mu.
func (s *Service) linked(p cloud.Place) []string {
	owner := s.owner(p)
	a := s.aggregators[owner]
	if a == nil || a.home != p.Region || !s.on(p) {
		return nil
	}
	var regions []string
	for _, r := range cloud.Regions {
		if r.Partition == p.Partition && a.links(r.Name) && s.on(cloud.Place{Partition: p.Partition, Account: owner, Region: r.Name}) {
			regions = append(regions, r.Name)
		}
	}
	slices.Sort(regions)
	return regions
}

// seen are the hubs whose findings are seen from a place, by region and account. Requires mu.
func (s *Service) seen(from cloud.Place) []*hub {
	regions := append(s.linked(from), from.Region)
	slices.Sort(regions)
	var hubs []*hub
	for _, region := range regions {
		own := s.hubs[cloud.Place{Partition: from.Partition, Account: from.Account, Region: region}]
		if own == nil || !own.on {
			continue
		}
		accounts := []string{from.Account}
		for account, r := range own.members {
			if r.status == statusEnabled {
				accounts = append(accounts, account)
			}
		}
		slices.Sort(accounts)
		for _, account := range accounts {
			h := s.hubs[cloud.Place{Partition: from.Partition, Account: account, Region: region}]
			if h != nil && h.on {
				hubs = append(hubs, h)
			}
		}
	}
	return hubs
}

// A FindingKey names a finding in an account and region.
type FindingKey struct{ ProductARN, ID string }

// A Finding is a finding as it is now.
type Finding struct {
	FindingKey
	Place     cloud.Place // its account and region
	UpdatedAt time.Time
	JSON      jsontext.Value // ASFF; not to be changed
}

// Findings gives the findings that GetFindings would give somebody in a place once nothing is late: those of the account
// itself, of its members, and of linked regions. A zero account: all findings there are. They come by region, account and
// the order of their making. Nothing is locked meanwhile.
func (s *Service) Findings(p cloud.Place) iter.Seq[Finding] {
	s.mu.Lock()
	var hubs []*hub
	if p.Account == "" {
		for _, at := range s.places {
			hubs = append(hubs, s.hubs[at])
		}
	} else {
		hubs = s.seen(p)
	}
	var all []Finding
	for _, h := range hubs {
		for _, r := range h.order {
			if v := r.current(); s.cloud.Within(v.since, retention) {
				all = append(all, Finding{FindingKey{r.key.product, r.key.id}, h.place, v.updated, v.raw})
			}
		}
	}
	s.mu.Unlock()
	return slices.Values(all)
}

// A hubState is a hub for people.
type hubState struct {
	cloud.Place
	On            bool           `json:"on"`
	Administrator string         `json:"administrator,omitempty"`
	Products      []string       `json:"products"`
	Members       map[string]int `json:"members"`  // by status
	Findings      map[string]int `json:"findings"` // by product and record state
}

type aggregatorState struct {
	Account string   `json:"account"`
	Home    string   `json:"home"`
	Mode    string   `json:"mode"`
	Regions []string `json:"regions"`
}

type state struct {
	Hubs        []hubState        `json:"hubs"`
	More        int               `json:"more"` // hubs that are not shown
	Aggregators []aggregatorState `json:"aggregators"`
	// Administrators are the organisation's, by region.
	Administrators map[string]string `json:"administrators"`
	Findings       int               `json:"findings"` // in all hubs
}

// maxShown is how many hubs, and how many kinds of findings of each, Inspect shows.
const maxShown = 2_000

// Inspect is the state, for people: the first 2,000 hubs by region and account.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := state{Administrators: make(map[string]string)}
	for i, p := range s.places {
		h := s.hubs[p]
		out.Findings += len(h.order)
		if i >= maxShown {
			out.More++
			continue
		}
		one := hubState{p, h.on, "", slices.Sorted(maps.Keys(h.products)), make(map[string]int), make(map[string]int)}
		if h.admin != nil {
			one.Administrator = h.admin.admin
		}
		for _, r := range h.members {
			one.Members[r.status]++
		}
		for _, r := range h.order {
			v := r.current()
			kind := v.product + " " + v.state
			if _, known := one.Findings[kind]; !known && len(one.Findings) >= maxShown {
				kind = "others"
			}
			one.Findings[kind]++
		}
		out.Hubs = append(out.Hubs, one)
	}
	for account, a := range s.aggregators {
		out.Aggregators = append(out.Aggregators, aggregatorState{account, a.home, a.mode, a.regions})
	}
	slices.SortFunc(out.Aggregators, func(a, b aggregatorState) int { return cmp.Compare(a.Account, b.Account) })
	for region, o := range s.organizers {
		out.Administrators[region] = o.account
	}
	return out
}
