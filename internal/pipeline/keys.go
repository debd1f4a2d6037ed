package pipeline

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/finding"
	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/scan"
)

// The queries that mean the finding's own account and region, whatever its format, with the fall-backs that
// finding.View documents. Any other query reads the record: the finding, or in record: event the event.
const (
	queryAccount = ".AwsAccountId"
	queryRegion  = ".Region"
)

// A key is where the value of a partition key comes from.
type key struct {
	account, region bool
	index           int // else: in the selector's values
}

// keys are the partition keys of a stream.
type keys struct {
	keys   []key // in the order of prefix.Keys
	record *prefix.Binding
	detail *prefix.Binding // for a native Inspector v2 event, whose detail is the finding
}

// compileKeys binds a stream's queries. order is that of the prefix.
func compileKeys(paths *scan.Paths, s Stream, order []string) (keys, error) {
	var out keys
	var others []string
	for _, name := range order {
		k := key{index: len(others)}
		switch strings.TrimSpace(s.PartitionKeys[name]) {
		case queryAccount:
			k.account = true
		case queryRegion:
			k.region = true
		default:
			others = append(others, name)
		}
		out.keys = append(out.keys, k)
	}
	if len(others) == 0 {
		return out, nil
	}
	compiled, err := prefix.CompileKeys(others, s.PartitionKeys)
	if err != nil {
		return out, err
	}
	if s.Record == RecordEvent {
		out.record = compiled.Bind(paths)
		out.detail = out.record
	} else {
		out.record = compiled.Bind(paths, "detail", "findings")
		out.detail = compiled.Bind(paths, "detail")
	}
	return out, nil
}

func keyNames(s Stream) []string { return slices.Sorted(maps.Keys(s.PartitionKeys)) }

// selectors are a router's, for the keys of one stream.
type selectors struct{ record, detail *prefix.Selector }

func (k *keys) selectors() selectors {
	var s selectors
	if k.record != nil {
		s.record, s.detail = k.record.NewSelector(), k.detail.NewSelector()
	}
	return s
}

// keyValues finds the values of a stream's partition keys for the finding that r.view shows.
func (r *Router) keyValues(stream int, el *element) (values [][]byte, code string, err error) {
	k := &r.p.streams[stream].keys
	var others [][]byte
	if k.record != nil {
		binding, selector := k.record, r.selectors[stream].record
		if r.event.native {
			binding, selector = k.detail, r.selectors[stream].detail
		}
		others, err = selector.Select(&r.doc, r.root(binding.Root(), el))
		if err != nil {
			if fault, ok := errors.AsType[*prefix.RecordError](err); ok {
				code = string(fault.Code)
			}
			return nil, code, err
		}
	}
	values = r.values[:0]
	for _, key := range k.keys {
		var value []byte
		switch {
		case key.account:
			value, err = r.view.Account()
		case key.region:
			value, err = r.view.Region(r.event.region)
		default:
			value = others[key.index]
		}
		if place, ok := errors.AsType[*finding.PlaceError](err); ok {
			return nil, place.Field + "-" + place.Reason, err
		}
		values = append(values, value)
	}
	r.values = values
	return values, "", nil
}

// root is the number of the hit that is the record: the finding, or the event, which is the first of all hits.
func (r *Router) root(path int, el *element) int {
	if r.p.paths.Name(path) == "" {
		return 0
	}
	return int(el.hit)
}
