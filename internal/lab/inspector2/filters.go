package inspector2

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// What a filter does with the findings that match: nothing, it is only kept for people; or hide them.
const (
	actionNone     = "NONE"
	actionSuppress = "SUPPRESS"
)

// A filter is one that an account keeps.
type filter struct {
	Action      string            `json:"action"`
	ARN         string            `json:"arn"`
	CreatedAt   wire.Epoch        `json:"createdAt"`
	Criteria    jsontext.Value    `json:"criteria"`
	Description string            `json:"description,omitempty"`
	Name        string            `json:"name"`
	OwnerID     string            `json:"ownerId"`
	Reason      string            `json:"reason,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	UpdatedAt   wire.Epoch        `json:"updatedAt"`

	matches predicate[*Finding]
}

type filterInput struct {
	Action         *string           `json:"action"`
	ARN            string            `json:"filterArn"`
	Description    *string           `json:"description"`
	FilterCriteria jsontext.Value    `json:"filterCriteria"`
	Name           *string           `json:"name"`
	Reason         *string           `json:"reason"`
	Tags           map[string]string `json:"tags"`
}

type filterOutput struct {
	ARN string `json:"arn"`
}

// apply checks the members that are there, and sets them in the filter.
func (in *filterInput) apply(f *filter) error {
	set := func(name string, value *string, most int, to *string) error {
		if value == nil {
			return nil
		}
		*to = *value
		return checkLength(name, *value, 1, most)
	}
	if err := set("name", in.Name, 128, &f.Name); err != nil {
		return err
	}
	if err := set("description", in.Description, 512, &f.Description); err != nil {
		return err
	}
	if err := set("reason", in.Reason, 512, &f.Reason); err != nil {
		return err
	}
	if in.Action != nil {
		if err := oneOf("action", *in.Action, actionNone, actionSuppress); err != nil {
			return err
		}
		f.Action = *in.Action
	}
	if len(in.FilterCriteria) > 0 {
		matches, criteria, err := findingFields.compile(in.FilterCriteria)
		if err != nil {
			return err
		}
		f.matches, f.Criteria = matches, criteria
	}
	return nil
}

// maySuppress is nil unless the caller is a member: its delegated administrator decides what is suppressed. Requires mu.
func (s *Service) maySuppress(p cloud.Place, action string) error {
	if o := s.orgs[p.Region]; action == actionSuppress && o != nil && o.admin != p.Account && o.associated(p.Account) {
		return denied("account %s is a member: the delegated administrator %s has the suppression rules", p.Account, o.admin)
	}
	return nil
}

func (s *Service) createFilter(_ context.Context, c *wire.Call, in *filterInput) (*filterOutput, error) {
	switch {
	case in.Name == nil:
		return nil, invalid("name", "is missing")
	case in.Action == nil:
		return nil, invalid("action", "is missing")
	case len(in.FilterCriteria) == 0:
		return nil, invalid("filterCriteria", "is missing")
	}
	f := &filter{OwnerID: c.Account, Tags: in.Tags}
	if err := in.apply(f); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.maySuppress(c.Place, f.Action); err != nil {
		return nil, err
	}
	if err := s.addFilter(c.Place, f); err != nil {
		return nil, err
	}
	return &filterOutput{f.ARN}, s.suppress(c.Place)
}

// addFilter names a filter and keeps it. Requires mu.
func (s *Service) addFilter(p cloud.Place, f *filter) error {
	cl := s.cell(p)
	if len(cl.filters) >= maxFilters {
		return overQuota(f.Name, "the account has %d filters, the most it can", maxFilters)
	}
	for _, other := range cl.filters {
		if other.Name == f.Name {
			return wire.StatusErrorf(http.StatusBadRequest, "BadRequestException", "a filter with the name %q exists", f.Name)
		}
	}
	f.ARN = p.ARN("inspector2", "owner/"+p.Account+"/filter/"+s.cloud.Hex("inspector2 filter", 16))
	f.CreatedAt = wire.Epoch{Time: s.now()}
	f.UpdatedAt = f.CreatedAt
	cl.filters[f.ARN] = f
	return nil
}

// Suppress makes a suppression rule of an account, as CreateFilter with the action SUPPRESS: criteria is its filterCriteria.
// It gives the rule's ARN.
func (s *Service) Suppress(p cloud.Place, name string, criteria []byte) (string, error) {
	matches, canonical, err := findingFields.compile(criteria)
	if err != nil {
		return "", fmt.Errorf("suppression rule %q: %w", name, err)
	}
	f := &filter{Action: actionSuppress, Name: name, OwnerID: p.Account, Criteria: canonical, matches: matches}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.addFilter(p, f); err != nil {
		return "", fmt.Errorf("suppression rule %q: %w", name, err)
	}
	return f.ARN, s.suppress(p)
}

// Unsuppress takes a filter of an account away, if it is there: what it hid is active again.
func (s *Service) Unsuppress(p cloud.Place, arn string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.look(p).filters, arn)
	return s.suppress(p)
}

func (s *Service) updateFilter(_ context.Context, c *wire.Call, in *filterInput) (*filterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.look(c.Place).filters[in.ARN]
	if f == nil {
		return nil, notFound("filter %s does not exist", in.ARN)
	}
	next := *f
	if err := in.apply(&next); err != nil {
		return nil, err
	}
	if err := s.maySuppress(c.Place, next.Action); err != nil {
		return nil, err
	}
	next.UpdatedAt = wire.Epoch{Time: s.now()}
	*f = next
	return &filterOutput{f.ARN}, s.suppress(c.Place)
}

func (s *Service) deleteFilter(_ context.Context, c *wire.Call, in *filterOutput) (*filterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cl := s.look(c.Place)
	if cl.filters[in.ARN] == nil {
		return nil, notFound("filter %s does not exist", in.ARN)
	}
	delete(cl.filters, in.ARN)
	return in, s.suppress(c.Place)
}

type listFiltersInput struct {
	ARNs       []string `json:"arns"`
	Action     string   `json:"action"`
	MaxResults *int     `json:"maxResults"`
	NextToken  string   `json:"nextToken"`
}

type listFiltersOutput struct {
	Filters   []filter `json:"filters"`
	NextToken string   `json:"nextToken,omitempty"`
}

func (s *Service) listFilters(_ context.Context, c *wire.Call, in *listFiltersInput) (*listFiltersOutput, error) {
	most, err := limit(in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	if in.Action != "" {
		if err := oneOf("action", in.Action, actionNone, actionSuppress); err != nil {
			return nil, err
		}
	}
	query := "filters " + in.Action + strings.Join(in.ARNs, " ")
	after, err := readToken(in.NextToken, query, c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cl := s.look(c.Place)
	out := new(listFiltersOutput)
	for _, arn := range slices.Sorted(maps.Keys(cl.filters)) {
		f := cl.filters[arn]
		if arn <= after.Key || in.Action != "" && f.Action != in.Action || len(in.ARNs) > 0 && !slices.Contains(in.ARNs, arn) {
			continue
		}
		if len(out.Filters) == most {
			out.NextToken = token{Key: out.Filters[most-1].ARN}.write(query, c)
			break
		}
		out.Filters = append(out.Filters, *f)
	}
	return out, nil
}

// suppressed tells whether a finding at a place is hidden by a filter of the account or of its delegated administrator.
// Requires mu.
func (s *Service) suppressed(p cloud.Place, f *Finding) bool {
	seen := *f
	seen.Status = Active // a filter on ACTIVE findings goes on hiding what it hid
	hides := func(p cloud.Place) bool {
		c := s.cells[p]
		if c == nil {
			return false
		}
		for _, x := range c.filters {
			if x.Action == actionSuppress && x.matches(&seen) {
				return true
			}
		}
		return false
	}
	if hides(p) {
		return true
	}
	o := s.orgs[p.Region]
	return o != nil && o.admin != "" && o.admin != p.Account && o.associated(p.Account) &&
		hides(cloud.Place{Partition: p.Partition, Account: o.admin, Region: p.Region})
}

// suppress brings the findings that an account's filters are about up to date after a change. What is hidden now is told
// to nobody; what is no longer is active again, and told. Requires mu.
func (s *Service) suppress(p cloud.Place) error {
	now := s.now()
	for _, place := range s.sees(p) {
		c := s.cells[place]
		if c == nil {
			continue
		}
		for _, r := range c.order {
			f := r.current()
			if f.Status == Closed || r.expired(now) {
				continue
			}
			status := Active
			if s.suppressed(place, f) {
				status = Suppressed
			}
			if status == f.Status {
				continue
			}
			next := *f
			s.complete(c, r, &next)
			next.Status, next.LastObservedAt = status, f.LastObservedAt
			if err := s.replace(c, r, &next); err != nil {
				return err
			}
		}
	}
	return nil
}
