package wire

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A route is a method and a path of REST-JSON.
type route struct {
	name, method string
	segments     []string // literals, {Label} and, last or not, {Label+}
}

func compileRoutes(s *Service) []route {
	var out []route
	for name, op := range s.Operations {
		if op.Path != "" {
			out = append(out, route{name, op.Method, pathSegments(op.Path)})
		}
	}
	// Literals go before labels, and longer paths before shorter ones.
	slices.SortFunc(out, func(a, b route) int {
		if n := strings.Count(strings.Join(a.segments, "/"), "{") - strings.Count(strings.Join(b.segments, "/"), "{"); n != 0 {
			return n
		}
		if n := len(b.segments) - len(a.segments); n != 0 {
			return n
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}

func pathSegments(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// labels are the names of the path's labels.
func (rt *route) labels() []string {
	var out []string
	for _, segment := range rt.segments {
		if label, ok := strings.CutPrefix(segment, "{"); ok {
			out = append(out, strings.TrimSuffix(strings.TrimSuffix(label, "}"), "+"))
		}
	}
	return out
}

// match tells whether a request is for this route, and gives the labels.
func (rt *route) match(r *http.Request) (map[string]string, bool) {
	if r.Method != rt.method {
		return nil, false
	}
	have := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	labels := make(map[string]string)
	for i, want := range rt.segments {
		if i >= len(have) {
			return nil, false
		}
		label, isLabel := strings.CutPrefix(want, "{")
		if !isLabel {
			if want != have[i] {
				return nil, false
			}
			continue
		}
		label = strings.TrimSuffix(label, "}")
		value := have[i]
		greedy, isGreedy := strings.CutSuffix(label, "+")
		if isGreedy {
			label = greedy
			end := len(have) - (len(rt.segments) - i - 1)
			if end <= i {
				return nil, false
			}
			value = strings.Join(have[i:end], "/")
			have = slices.Concat(have[:i], []string{value}, have[end:])
		}
		plain, err := url.PathUnescape(value)
		if err != nil || plain == "" {
			return nil, false
		}
		labels[label] = plain
	}
	return labels, len(have) == len(rt.segments)
}
