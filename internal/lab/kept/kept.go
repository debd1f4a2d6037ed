// Package kept is what the lab keeps of services without doing what they do: CloudWatch's alarms, CloudWatch Logs, Glue's
// catalogue, Athena's workgroups.
//
// What is put there can be asked for again, changed and deleted, with the services' errors: so templates with such
// resources can be deployed, looked after and taken away. No alarm goes off by itself, no log is written, no query runs.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Operations.html,
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_Operations.html,
// https://docs.aws.amazon.com/glue/latest/webapi/API_Operations.html,
// https://docs.aws.amazon.com/athena/latest/APIReference/API_Operations.html
package kept

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Service is one of the services, of all accounts and regions.
type Service struct {
	cloud *cloud.Cloud
	wire  *wire.Service
	show  func() any // what Inspect gives; nil: the records

	mu    sync.Mutex
	cells map[cloud.Place]map[string]record // guarded by mu; by kind and name
}

// A record is what is kept under a name: an object as the API shows it.
type record map[string]any

// maxRecords is how many records are kept in a place: about what AWS's quotas allow of the largest kind.
const maxRecords = 10_000

func newService(c *cloud.Cloud, w *wire.Service) *Service {
	return &Service{cloud: c, wire: w, cells: make(map[cloud.Place]map[string]record)}
}

// All are the services.
func All(c *cloud.Cloud) []*Service {
	return []*Service{NewAlarms(c), NewLogs(c), NewGlue(c), NewAthena(c)}
}

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service { return s.wire }

// maxInspected is how many records Inspect shows.
const maxInspected = 1000

// Inspect is the state, for people: the records by account and region.
func (s *Service) Inspect() any {
	if s.show != nil {
		return s.show()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]map[string]record)
	n := 0
	for p, cell := range s.cells {
		shown := make(map[string]record)
		for _, key := range slices.Sorted(maps.Keys(cell)) {
			if n++; n <= maxInspected {
				shown[strings.ReplaceAll(key, separator, " ")] = maps.Clone(cell[key])
			}
		}
		out[p.Account+" "+p.Region] = shown
	}
	return out
}

// separator stands between the parts of a record's key: its kind and its names.
const separator = "\x00"

func keyOf(parts ...string) string { return strings.Join(parts, separator) }

// get looks a record up. The key's parts are its kind and names.
func (s *Service) get(p cloud.Place, key string) (record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.cells[p][key]
	return maps.Clone(r), ok
}

// put keeps a record; full is the error where there are too many.
func (s *Service) put(p cloud.Place, key string, r record, full *wire.Error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cells[p] == nil {
		s.cells[p] = make(map[string]record)
	}
	if _, there := s.cells[p][key]; !there && len(s.cells[p]) >= maxRecords {
		return full
	}
	s.cells[p][key] = r
	return nil
}

// drop deletes a record, and all whose keys start with its key and a separator. It tells whether there was one.
func (s *Service) drop(p cloud.Place, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.cells[p][key]
	maps.DeleteFunc(s.cells[p], func(k string, _ record) bool { return k == key || strings.HasPrefix(k, key+separator) })
	return there
}

// list gives the records whose keys start with a prefix and have no further separator, by key.
func (s *Service) list(p cloud.Place, prefix string) []record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []record
	for _, key := range slices.Sorted(maps.Keys(s.cells[p])) {
		if rest, ok := strings.CutPrefix(key, prefix); ok && !strings.Contains(rest, separator) {
			out = append(out, maps.Clone(s.cells[p][key]))
		}
	}
	return out
}

// page gives one page of a list, and the token of the next; nil where it is the last.
func page(all []record, token string, size, otherwise int) ([]record, any) {
	if size <= 0 || size > otherwise {
		size = otherwise
	}
	start, err := strconv.Atoi(token)
	if err != nil || start < 0 {
		start = 0
	}
	start = min(start, len(all))
	end := min(start+size, len(all))
	some := slices.Clone(all[start:end])
	if some == nil {
		some = []record{}
	}
	if end == len(all) {
		return some, nil
	}
	return some, strconv.Itoa(end)
}

// answer is what an operation gives; members that are nil are left out.
type answer map[string]any

// do makes an operation of a function from the request's object.
func do(f func(c *wire.Call, in record) (answer, error)) wire.Operation {
	return wire.Operation{Do: func(_ context.Context, c *wire.Call) (any, error) {
		in := record{}
		if err := c.Decode(&in); err != nil {
			return nil, err
		}
		out, err := f(c, in)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
		if out == nil {
			return answer{}, nil
		}
		return out, nil
	}}
}

func (r record) text(name string) string {
	text, _ := r[name].(string)
	return text
}

func (r record) number(name string) int {
	f, _ := r[name].(float64)
	return int(f)
}

func (r record) object(name string) record {
	m, _ := r[name].(map[string]any)
	return m
}

// without takes members out of an object.
func (r record) without(names ...string) record {
	out := maps.Clone(r)
	for _, name := range names {
		delete(out, name)
	}
	return out
}
