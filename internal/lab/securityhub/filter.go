package securityhub

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of filters. https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_GetFindings.html
const (
	maxAttributes = 10
	maxValues     = 20 // of an attribute
)

// A filter tells whether a finding is asked for.
type filter struct {
	quick []predicate // that need not read the finding: they go first
	slow  []predicate
}

type predicate func(*record, *version) bool

func (f *filter) match(r *record, v *version) bool {
	for _, p := range f.quick {
		if !p(r, v) {
			return false
		}
	}
	for _, p := range f.slow {
		if !p(r, v) {
			return false
		}
	}
	return true
}

// compile reads the filters of a request. All attributes have to match.
func compile(in map[string]jsontext.Value, now time.Time) (*filter, error) {
	out := &filter{}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(in)) {
		f, known := fields[name]
		if !known {
			return nil, invalidInput("Invalid parameter 'Filters'. data should NOT have additional property '%.100s'", name)
		}
		p, err := f.compile(name, in[name], now)
		if err != nil {
			return nil, err
		}
		if p == nil {
			continue
		}
		if n++; n > maxAttributes {
			return nil, invalidInput("Invalid parameter 'Filters'. data should NOT have more than %d attributes", maxAttributes)
		}
		if f.text != nil || f.number != nil || f.date != nil {
			out.quick = append(out.quick, p)
		} else {
			out.slow = append(out.slow, p)
		}
	}
	return out, nil
}

// compile reads the filters of one attribute; nil: there are none.
func (f *field) compile(name string, raw jsontext.Value, now time.Time) (predicate, error) {
	switch f.kind {
	case kindString:
		return compileOne(name, raw, f.compileStrings)
	case kindNumber:
		return compileOne(name, raw, f.compileNumbers)
	case kindDate:
		return compileOne(name, raw, func(name string, in []dateFilter) (predicate, error) { return f.compileDates(name, in, now) })
	case kindMap:
		return compileOne(name, raw, f.compileMaps)
	case kindIP:
		return compileOne(name, raw, f.compileIPs)
	case kindBool:
		return compileOne(name, raw, f.compileBools)
	case kindKeyword:
		return compileOne(name, raw, compileKeywords)
	}
	return nil, invalidInput("Invalid parameter 'Filters'. %s cannot be filtered by", name)
}

func compileOne[T any](name string, raw jsontext.Value, do func(string, []T) (predicate, error)) (predicate, error) {
	var in []T
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, invalidInput("Invalid parameter 'Filters'. data.%s is not a list of its kind of filters", name)
	}
	switch {
	case len(in) == 0:
		return nil, nil
	case len(in) > maxValues:
		return nil, invalidInput("Invalid parameter 'Filters'. data.%s should NOT have more than %d items", name, maxValues)
	}
	return do(name, in)
}

// Comparisons of strings. AWS has CONTAINS and NOT_CONTAINS for automation rules and CONTAINS_WORD for its newer APIs: here
// they are refused.
const (
	equals       = "EQUALS"
	prefix       = "PREFIX"
	notEquals    = "NOT_EQUALS"
	prefixNot    = "PREFIX_NOT_EQUALS"
	badContained = "CONTAINS filters cannot be used with GetFindings"
)

// A choice is what the filters of one attribute ask of its values: one of the positive ones matches, if there are any, and
// none of the negative ones does.
type choice struct{ positive, negative []func(string) bool }

func (c *choice) add(comparison, value string) bool {
	is := func(s string) bool { return s == value }
	starts := func(s string) bool { return strings.HasPrefix(s, value) }
	switch comparison {
	case equals, "":
		c.positive = append(c.positive, is)
	case prefix:
		c.positive = append(c.positive, starts)
	case notEquals:
		c.negative = append(c.negative, is)
	case prefixNot:
		c.negative = append(c.negative, starts)
	default:
		return false
	}
	return true
}

func (c *choice) match(values ...string) bool {
	for _, not := range c.negative {
		if slices.ContainsFunc(values, not) {
			return false
		}
	}
	for _, is := range c.positive {
		if slices.ContainsFunc(values, is) {
			return true
		}
	}
	return len(c.positive) == 0
}

type stringFilter struct{ Value, Comparison string }

func (f *field) compileStrings(name string, in []stringFilter) (predicate, error) {
	var c choice
	used := make(map[string]bool)
	for _, one := range in {
		if strings.TrimSpace(one.Value) == "" {
			return nil, invalidInput("Invalid parameter 'Filters'. data.%s should have required property 'Value'", name)
		}
		if !c.add(one.Comparison, one.Value) {
			return nil, badComparison(name, one.Comparison)
		}
		used[one.Comparison] = true
	}
	if (used[equals] || used[""]) && (used[notEquals] || used[prefixNot]) {
		return nil, invalidInput("Invalid parameter 'Filters'. data.%s: EQUALS cannot be used together with NOT_EQUALS or PREFIX_NOT_EQUALS", name)
	}
	if f.text != nil {
		return func(r *record, v *version) bool { return c.match(f.text(r, v)) }, nil
	}
	return func(_ *record, v *version) bool { return c.match(texts(v.raw, f.path)...) }, nil
}

func badComparison(name, comparison string) error {
	if strings.Contains(comparison, "CONTAINS") {
		return invalidInput("Invalid parameter 'Filters'. data.%s.Comparison: %s", name, badContained)
	}
	return invalidInput("Invalid parameter 'Filters'. data.%s.Comparison should be equal to one of the allowed values", name)
}

type mapFilter struct{ Key, Value, Comparison string }

// compileMaps has EQUALS and NOT_EQUALS only. Each filter has a key of its own: the positive ones are joined by OR, the
// negative ones by AND, whatever their keys.
func (f *field) compileMaps(name string, in []mapFilter) (predicate, error) {
	positive, negative := false, false
	for _, one := range in {
		if strings.TrimSpace(one.Key) == "" || strings.TrimSpace(one.Value) == "" {
			return nil, invalidInput("Invalid parameter 'Filters'. data.%s should have required properties 'Key' and 'Value'", name)
		}
		switch one.Comparison {
		case equals, "":
			positive = true
		case notEquals:
			negative = true
		default:
			return nil, badComparison(name, one.Comparison)
		}
	}
	if positive && negative {
		return nil, invalidInput("Invalid parameter 'Filters'. data.%s: EQUALS cannot be used together with NOT_EQUALS", name)
	}
	return func(_ *record, v *version) bool {
		for _, one := range in {
			if slices.Contains(texts(v.raw, append(slices.Clone(f.path), one.Key)), one.Value) {
				return positive
			}
		}
		return negative
	}, nil
}

type numberFilter struct{ Gte, Lte, Eq, Gt, Lt *float64 }

func (n *numberFilter) match(x float64) bool {
	return (n.Gte == nil || x >= *n.Gte) && (n.Lte == nil || x <= *n.Lte) && (n.Eq == nil || x == *n.Eq) &&
		(n.Gt == nil || x > *n.Gt) && (n.Lt == nil || x < *n.Lt)
}

func (f *field) compileNumbers(name string, in []numberFilter) (predicate, error) {
	for _, one := range in {
		if one == (numberFilter{}) {
			return nil, invalidInput("Invalid parameter 'Filters'. data.%s should have a number to compare with", name)
		}
	}
	match := func(x float64) bool { return slices.ContainsFunc(in, func(n numberFilter) bool { return n.match(x) }) }
	if f.number != nil {
		return func(_ *record, v *version) bool { return match(f.number(v)) }, nil
	}
	return func(_ *record, v *version) bool {
		return slices.ContainsFunc(texts(v.raw, f.path), func(s string) bool {
			x, err := strconv.ParseFloat(s, 64)
			return err == nil && match(x)
		})
	}, nil
}

type dateFilter struct {
	Start, End string
	DateRange  *struct {
		Value            int
		Unit, Comparison string
	}
}

// A span is from a time to a time, both within; zero: open.
type span struct{ from, to time.Time }

func (s span) has(t time.Time) bool {
	return !t.IsZero() && !t.Before(s.from) && (s.to.IsZero() || !t.After(s.to))
}

// span reads a filter; ok is false where it is not right.
func (d *dateFilter) span(now time.Time) (out span, ok bool) {
	if r := d.DateRange; r != nil {
		if d.Start != "" || d.End != "" || r.Unit != "DAYS" || r.Value < 0 || r.Value > 36_500 {
			return out, false
		}
		at := now.AddDate(0, 0, -r.Value)
		switch r.Comparison {
		case "WITHIN", "":
			return span{from: at}, true
		case "OLDER_THAN":
			return span{to: at.Add(-1)}, true
		}
		return out, false
	}
	out = span{parseTime(d.Start), parseTime(d.End)}
	return out, (d.Start != "" || d.End != "") && (d.Start == "") == out.from.IsZero() && (d.End == "") == out.to.IsZero()
}

func (f *field) compileDates(name string, in []dateFilter, now time.Time) (predicate, error) {
	var spans []span
	for _, one := range in {
		s, ok := one.span(now)
		if !ok {
			return nil, invalidInput("Invalid parameter 'Filters'. data.%s should have Start or End as date-time, or a DateRange of DAYS", name)
		}
		spans = append(spans, s)
	}
	match := func(t time.Time) bool { return slices.ContainsFunc(spans, func(s span) bool { return s.has(t) }) }
	if f.date != nil {
		return func(_ *record, v *version) bool { return match(f.date(v)) }, nil
	}
	return func(_ *record, v *version) bool {
		return slices.ContainsFunc(texts(v.raw, f.path), func(s string) bool { return match(parseTime(s)) })
	}, nil
}

type ipFilter struct {
	CIDR string `json:"Cidr"`
}

func (f *field) compileIPs(name string, in []ipFilter) (predicate, error) {
	var nets []netip.Prefix
	for _, one := range in {
		net, err := netip.ParsePrefix(one.CIDR)
		if err != nil {
			address, alone := netip.ParseAddr(one.CIDR)
			if alone != nil {
				return nil, invalidInput("Invalid parameter 'Filters'. data.%s.Cidr is no range of addresses", name)
			}
			net = netip.PrefixFrom(address, address.BitLen())
		}
		nets = append(nets, net)
	}
	return func(_ *record, v *version) bool {
		return slices.ContainsFunc(texts(v.raw, f.path), func(s string) bool {
			address, err := netip.ParseAddr(s)
			return err == nil && slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(address) })
		})
	}, nil
}

type boolFilter struct{ Value bool }

func (f *field) compileBools(_ string, in []boolFilter) (predicate, error) {
	return func(_ *record, v *version) bool {
		return slices.ContainsFunc(texts(v.raw, f.path), func(s string) bool {
			return slices.Contains(in, boolFilter{s == "true"})
		})
	}, nil
}

type keywordFilter struct{ Value string }

// compileKeywords looks for words in all texts of a finding, in whatever case.
func compileKeywords(name string, in []keywordFilter) (predicate, error) {
	var words []string
	for _, one := range in {
		if strings.TrimSpace(one.Value) == "" {
			return nil, invalidInput("Invalid parameter 'Filters'. data.%s should have required property 'Value'", name)
		}
		words = append(words, strings.ToLower(one.Value))
	}
	return func(_ *record, v *version) bool {
		found := false
		eachText(v.raw, func(s string) {
			s = strings.ToLower(s)
			found = found || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
		})
		return found
	}, nil
}
