package inspector2

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/wire"
)

// fields tells what the filters of a kind of things look at, by the member of filterCriteria.
type fields[T any] struct {
	comparisons []string // of its texts
	text        map[string]func(T) []string
	dates       map[string]func(T) []time.Time
	numbers     map[string]func(T) []float64
	tags        map[string]func(T) []map[string]string
	other       map[string]func(jsontext.Value) (predicate[T], error) // of one filter of the list
}

type predicate[T any] func(T) bool

const maxFilterValues = 10 // of one field

type stringFilter struct {
	Comparison string `json:"comparison"`
	Value      string `json:"value"`
}

type dateFilter struct {
	Start wire.Epoch `json:"startInclusive"`
	End   wire.Epoch `json:"endInclusive"`
}

type numberFilter struct {
	Lower *float64 `json:"lowerInclusive"`
	Upper *float64 `json:"upperInclusive"`
}

type mapFilter struct {
	Comparison string  `json:"comparison"`
	Key        string  `json:"key"`
	Value      *string `json:"value"`
}

// compile makes one predicate of filterCriteria: the values of a field are alternatives, and all fields must match. It
// gives the criteria with their members in order too, for answers and tokens. Members that it does not know are left out.
func (fs fields[T]) compile(raw jsontext.Value) (predicate[T], jsontext.Value, error) {
	canonical := jsontext.Value("{}")
	criteria := make(map[string][]jsontext.Value)
	if len(raw) > 0 && raw.Kind() != 'n' {
		if err := json.Unmarshal(raw, &criteria); err != nil {
			return nil, nil, invalid("filterCriteria", "expected an object of lists")
		}
	}
	var all []predicate[T]
	known := make(map[string][]jsontext.Value)
	for name, values := range criteria {
		p, err := fs.field(name, values)
		if err != nil {
			return nil, nil, err
		}
		if p == nil {
			continue
		}
		if len(values) < 1 || len(values) > maxFilterValues {
			return nil, nil, invalid("filterCriteria."+name, "%d filters: expected 1 to %d", len(values), maxFilterValues)
		}
		known[name] = values
		all = append(all, p)
	}
	if len(known) > 0 {
		b, err := marshal(known)
		if err != nil {
			return nil, nil, invalid("filterCriteria", "%v", err)
		}
		canonical = b
	}
	return func(x T) bool {
		return !slices.ContainsFunc(all, func(p predicate[T]) bool { return !p(x) })
	}, canonical, nil
}

// field compiles the filters of one field; nil where there is no such field.
func (fs fields[T]) field(name string, values []jsontext.Value) (predicate[T], error) {
	at := "filterCriteria." + name
	if of := fs.text[name]; of != nil {
		filters, err := decodeAll[stringFilter](at, values)
		if err != nil {
			return nil, err
		}
		for _, f := range filters {
			if err := checkText(at, f, fs.comparisons); err != nil {
				return nil, err
			}
		}
		return func(x T) bool { return matchText(filters, of(x)) }, nil
	}
	if of := fs.dates[name]; of != nil {
		filters, err := decodeAll[dateFilter](at, values)
		return func(x T) bool { return anyPair(filters, of(x), dateFilter.match) }, err
	}
	if of := fs.numbers[name]; of != nil {
		filters, err := decodeAll[numberFilter](at, values)
		return func(x T) bool { return anyPair(filters, of(x), numberFilter.match) }, err
	}
	if of := fs.tags[name]; of != nil {
		filters, err := decodeAll[mapFilter](at, values)
		for _, f := range filters {
			if f.Comparison != "EQUALS" {
				return nil, invalid(at, "comparison %q: expected EQUALS", f.Comparison)
			}
			if err := checkLength(at+".key", f.Key, 1, 128); err != nil {
				return nil, err
			}
		}
		return func(x T) bool { return anyPair(filters, of(x), mapFilter.match) }, err
	}
	if of := fs.other[name]; of != nil {
		var each []predicate[T]
		for _, v := range values {
			p, err := of(v)
			if err != nil {
				return nil, err
			}
			each = append(each, p)
		}
		return func(x T) bool { return slices.ContainsFunc(each, func(p predicate[T]) bool { return p(x) }) }, nil
	}
	return nil, nil
}

func decodeAll[F any](at string, values []jsontext.Value) ([]F, error) {
	var out []F
	for _, v := range values {
		var f F
		if err := json.Unmarshal(v, &f); err != nil {
			return nil, invalid(at, "the filter has members of other types")
		}
		out = append(out, f)
	}
	return out, nil
}

func checkText(at string, f stringFilter, comparisons []string) error {
	if !slices.Contains(comparisons, f.Comparison) {
		return invalid(at, "comparison %q: expected one of %s", f.Comparison, strings.Join(comparisons, ", "))
	}
	return checkLength(at+".value", f.Value, 1, 1024)
}

// matchText tells whether one of the values is wanted and none is unwanted.
func matchText(filters []stringFilter, values []string) bool {
	wanted, found := false, false
	for _, f := range filters {
		if f.Comparison == "NOT_EQUALS" {
			if slices.Contains(values, f.Value) {
				return false
			}
			continue
		}
		wanted = true
		found = found || slices.ContainsFunc(values, func(v string) bool {
			return v == f.Value || f.Comparison == "PREFIX" && strings.HasPrefix(v, f.Value)
		})
	}
	return found || !wanted
}

func anyPair[F, V any](filters []F, values []V, match func(F, V) bool) bool {
	return slices.ContainsFunc(filters, func(f F) bool {
		return slices.ContainsFunc(values, func(v V) bool { return match(f, v) })
	})
}

func (f dateFilter) match(t time.Time) bool {
	return (f.Start.IsZero() || !t.Before(f.Start.Time)) && (f.End.IsZero() || !t.After(f.End.Time))
}

func (f numberFilter) match(v float64) bool {
	return (f.Lower == nil || v >= *f.Lower) && (f.Upper == nil || v <= *f.Upper)
}

func (f mapFilter) match(tags map[string]string) bool {
	v, ok := tags[f.Key]
	return ok && (f.Value == nil || *f.Value == v)
}
