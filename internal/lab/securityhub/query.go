package securityhub

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

type getFindingsInput struct {
	Filters      map[string]jsontext.Value
	SortCriteria []sortCriterion
	NextToken    string
	MaxResults   int
}

type sortCriterion struct{ Field, SortOrder string }

type getFindingsOutput struct {
	Findings  []jsontext.Value
	NextToken string `json:",omitempty"`
}

// A query is the findings that a GetFindings found, in order. Its further pages are cut from it: so a finding comes once
// though others are imported meanwhile, and what changes so that it does not match any more is left out, as is what comes
// new. A query has an end in any case.
type query struct{ records []*record }

// Bounds of GetFindings.
const (
	maxPage     = 100
	maxSort     = 10
	maxQueries  = 32        // that are kept; older ones are asked again, and go on at the same place
	maxRecorded = 4_000_000 // findings in them
)

// asks is what a token is bound to: the filters and the order, however they are written.
func (in *getFindingsInput) asks() []byte {
	for name, v := range in.Filters {
		_ = v.Canonicalize() // it was decoded before: it is JSON
		in.Filters[name] = v
	}
	b, err := json.Marshal([]any{in.Filters, in.SortCriteria}, json.Deterministic(true))
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

func (s *Service) getFindings(_ context.Context, c *wire.Call, in *getFindingsInput) (*getFindingsOutput, error) {
	if in.MaxResults < 0 || in.MaxResults > maxPage {
		return nil, invalidInput("Invalid parameter 'MaxResults'. data should be 1 to %d", maxPage)
	}
	now := s.cloud.Clock.Now()
	f, err := compile(in.Filters, now)
	if err != nil {
		return nil, err
	}
	order, err := compileSort(in.SortCriteria)
	if err != nil {
		return nil, err
	}
	asks := in.asks()

	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.subscribed(c.Place); err != nil {
		return nil, err
	}
	limit := cmp.Or(in.MaxResults, maxPage)
	if s.settings.PageLimit > 0 {
		limit = min(limit, s.settings.PageLimit)
	}
	var m mark
	if in.NextToken != "" {
		if m, err = s.open(c, asks, in.NextToken); err != nil {
			return nil, err
		}
	}
	q := s.queries[m.query]
	if q == nil {
		q = s.ask(c.Place, f, order, now)
		m.query = 0
	}
	out := &getFindingsOutput{Findings: []jsontext.Value{}}
	i := int(min(m.next, uint64(len(q.records)))) //nolint:gosec // it is at most the length of a list
	for ; i < len(q.records) && len(out.Findings) < limit; i++ {
		if v := s.shown(q.records[i], now); v != nil && f.match(q.records[i], v) {
			out.Findings = append(out.Findings, v.raw)
		}
	}
	if i < len(q.records) {
		if m.query == 0 {
			m.query = s.keep(q)
		}
		out.NextToken = s.seal(c, asks, mark{m.query, uint64(i)})
	} else {
		delete(s.queries, m.query)
	}
	return out, nil
}

// shown is the version of a finding that GetFindings shows; nil: none. Requires mu.
func (s *Service) shown(r *record, now time.Time) *version {
	if r.gone || !r.hub.on || now.Sub(r.current().since) > retention {
		return nil
	}
	return r.visible(now, s.cloud.Lag.Findings)
}

// ask finds what is seen from a place and matches. Only pointers are copied. Requires mu.
func (s *Service) ask(from cloud.Place, f *filter, order []sortBy, now time.Time) *query {
	q := &query{}
	for _, h := range s.seen(from) {
		for _, r := range h.order {
			if v := s.shown(r, now); v != nil && f.match(r, v) {
				q.records = append(q.records, r)
			}
		}
	}
	if len(order) == 0 {
		return q
	}
	sorted := make([]sortable, len(q.records))
	for i, r := range q.records {
		one, v := &sorted[i], s.shown(r, now)
		one.record, one.nth, one.first = r, i, order[0].key(r, v)
		for _, by := range order[1:] {
			one.rest = append(one.rest, by.key(r, v))
		}
	}
	slices.SortFunc(sorted, func(a, b sortable) int { return compareBy(order, &a, &b) })
	for i := range sorted {
		q.records[i] = sorted[i].record
	}
	return q
}

// keep remembers a query for its further pages, and forgets old ones. Requires mu.
func (s *Service) keep(q *query) uint64 {
	s.asked++
	s.queries[s.asked] = q
	for {
		oldest, recorded := s.asked, 0
		for n, other := range s.queries {
			oldest = min(oldest, n)
			recorded += len(other.records)
		}
		if oldest == s.asked || len(s.queries) <= maxQueries && recorded <= maxRecorded {
			return s.asked
		}
		delete(s.queries, oldest)
	}
}

// A sortBy is a field that findings are sorted by.
type sortBy struct {
	field
	descending bool
}

// A sortKey is a finding's value of a field; those without one come last in any order.
type sortKey struct {
	has  bool
	rank int64 // of a number or a date
	text string
}

// ranked is the key of a number: the bits of floats, with those of negative ones turned, are in the floats' order.
func ranked(n float64) sortKey {
	bits := int64(math.Float64bits(n)) //nolint:gosec // the sign is meant to be one
	if bits < 0 {
		bits ^= math.MaxInt64
	}
	return sortKey{has: true, rank: bits}
}

type sortable struct {
	record *record
	nth    int // of those that were found
	first  sortKey
	rest   []sortKey
}

// compileSort reads the order of a request. What is equal stays in the order of region, account and making.
func compileSort(in []sortCriterion) ([]sortBy, error) {
	if len(in) > maxSort {
		return nil, invalidInput("Invalid parameter 'SortCriteria'. data should NOT have more than %d items", maxSort)
	}
	var out []sortBy
	for _, c := range in {
		f, known := fields[c.Field]
		if !known || f.kind != kindString && f.kind != kindNumber && f.kind != kindDate {
			return nil, invalidInput("Invalid parameter 'SortCriteria'. Findings cannot be sorted by %.100q", c.Field)
		}
		if err := oneOf("SortCriteria", c.SortOrder, "asc", "desc"); err != nil {
			return nil, err
		}
		out = append(out, sortBy{f, c.SortOrder == "desc"})
	}
	return out, nil
}

// key is a finding's value, the first where it has several.
func (b *sortBy) key(r *record, v *version) sortKey {
	switch {
	case b.text != nil:
		return sortKey{has: true, text: b.text(r, v)}
	case b.number != nil:
		return ranked(b.number(v))
	case b.date != nil:
		return sortKey{has: true, rank: b.date(v).UnixNano()}
	}
	values := texts(v.raw, b.path)
	if len(values) == 0 {
		return sortKey{}
	}
	if b.kind == kindDate {
		return sortKey{has: true, rank: parseTime(values[0]).UnixNano()}
	}
	if b.kind == kindNumber {
		if n, err := strconv.ParseFloat(values[0], 64); err == nil {
			return ranked(n)
		}
		return sortKey{}
	}
	return sortKey{has: true, text: values[0]}
}

func compareBy(order []sortBy, a, b *sortable) int {
	for i := range order {
		x, y := &a.first, &b.first
		if i > 0 {
			x, y = &a.rest[i-1], &b.rest[i-1]
		}
		if x.has != y.has {
			if x.has {
				return -1
			}
			return 1
		}
		n := cmp.Compare(x.rank, y.rank)
		if n == 0 {
			n = strings.Compare(x.text, y.text)
		}
		if n != 0 && order[i].descending {
			return -n
		}
		if n != 0 {
			return n
		}
	}
	return cmp.Compare(a.nth, b.nth)
}

// eachText yields the strings of a finding but the names of its members.
func eachText(raw jsontext.Value, yield func(string)) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw))
	for {
		t, err := d.ReadToken()
		if err != nil {
			return
		}
		if t.Kind() != '"' {
			continue
		}
		if in, n := d.StackIndex(d.StackDepth()); in == '{' && n%2 == 1 {
			continue // a name
		}
		yield(t.String())
	}
}
