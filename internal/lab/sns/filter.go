package sns

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/wire"
)

// Scopes of filter policies.
const (
	scopeAttributes = "MessageAttributes"
	scopeBody       = "MessageBody"
)

// Limits of filter policies.
// https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html
const (
	maxFilterNames   = 5
	maxCombinations  = 150
	maxFilterBytes   = 256 << 10
	maxFilterNesting = 16
)

// A filter says which messages a subscription gets: those that have, at every path, a value that a condition takes.
type filter struct {
	body  bool // the paths go into the message, not its attributes
	rules []rule
}

// A rule is what a filter wants of one path.
type rule struct {
	path       []string
	conditions []condition
}

// A condition is one of those of which one has to hold.
type condition struct {
	kind   string
	want   any         // string, float64, bool, nil; bool of exists
	list   []condition // of anything-but: none of them may hold
	bounds []bound     // of numeric
}

type bound struct {
	op string
	n  float64
}

// Kinds of conditions.
const (
	kindExact       = "exact"
	kindPrefix      = "prefix"
	kindSuffix      = "suffix"
	kindIgnoreCase  = "equals-ignore-case"
	kindAnythingBut = "anything-but"
	kindExists      = "exists"
	kindNumeric     = "numeric"
)

func badFilter(format string, args ...any) *wire.Error {
	return invalid("FilterPolicy: "+format, args...)
}

// readFilter reads a filter policy.
func readFilter(text string, body bool) (*filter, *wire.Error) {
	var policy map[string]any
	if len(text) > maxFilterBytes {
		return nil, badFilter("Filter policy is longer than %d bytes", maxFilterBytes)
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil || policy == nil {
		return nil, badFilter("failed to parse JSON.")
	}
	f := &filter{body: body}
	if bad := f.read(policy, nil); bad != nil {
		return nil, bad
	}
	combinations := 1
	for _, r := range f.rules {
		combinations *= len(r.conditions)
		if combinations > maxCombinations {
			return nil, badFilter("Filter policy is too complex")
		}
	}
	if len(f.rules) > maxFilterNames {
		return nil, badFilter("Filter policy can not have more than %d keys", maxFilterNames)
	}
	return f, nil
}

func (f *filter) read(policy map[string]any, path []string) *wire.Error {
	if len(path) > maxFilterNesting {
		return badFilter("Filter policy is too deep")
	}
	for _, name := range slices.Sorted(maps.Keys(policy)) {
		at := append(slices.Clone(path), name)
		switch value := policy[name].(type) {
		case []any:
			if len(value) == 0 {
				return badFilter("Empty arrays are not allowed")
			}
			r := rule{path: at}
			for _, v := range value {
				c, bad := readCondition(v)
				if bad != nil {
					return bad
				}
				r.conditions = append(r.conditions, c)
			}
			f.rules = append(f.rules, r)
		case map[string]any:
			if !f.body {
				return badFilter("Filter policy scope MessageAttributes does not support nested filter policy")
			}
			if bad := f.read(value, at); bad != nil {
				return bad
			}
		default:
			return badFilter("%q must be an object or an array", name[:min(len(name), 100)])
		}
	}
	return nil
}

func readCondition(v any) (condition, *wire.Error) {
	object, ok := v.(map[string]any)
	if !ok {
		if _, list := v.([]any); list {
			return condition{}, badFilter("Match value must be String, number, true, false, or null")
		}
		return condition{kind: kindExact, want: v}, nil
	}
	if len(object) != 1 {
		return condition{}, badFilter("Only one key allowed in match expression")
	}
	for kind, arg := range object {
		c := condition{kind: kind, want: arg}
		text, isText := arg.(string)
		switch kind {
		case kindPrefix, kindSuffix, kindIgnoreCase:
			if !isText || text == "" {
				return c, badFilter("%s match pattern must be a string", kind)
			}
		case kindExists:
			if _, isBool := arg.(bool); !isBool {
				return c, badFilter("exists match pattern must be either true or false.")
			}
		case kindAnythingBut:
			return readAnythingBut(c, arg)
		case kindNumeric:
			return readNumeric(c, arg)
		default:
			return c, badFilter("Unrecognized match type %s", kind[:min(len(kind), 100)])
		}
		return c, nil
	}
	return condition{}, nil
}

func readAnythingBut(c condition, arg any) (condition, *wire.Error) {
	values, ok := arg.([]any)
	if !ok {
		values = []any{arg}
	}
	for _, v := range values {
		one, bad := readCondition(v)
		if bad != nil || one.kind != kindExact && one.kind != kindPrefix && one.kind != kindSuffix {
			return c, badFilter("Value of anything-but must be a string, a number, a list of them, or an object of prefix or suffix")
		}
		c.list = append(c.list, one)
	}
	if len(c.list) == 0 {
		return c, badFilter("Empty arrays are not allowed")
	}
	return c, nil
}

func readNumeric(c condition, arg any) (condition, *wire.Error) {
	list, ok := arg.([]any)
	if !ok || len(list) != 2 && len(list) != 4 {
		return c, badFilter("Value of numeric must be an array of an operator and a number, once or twice.")
	}
	for i := 0; i < len(list); i += 2 {
		op, isText := list[i].(string)
		n, isNumber := list[i+1].(float64)
		if !isText || !isNumber || !slices.Contains([]string{"=", "<", "<=", ">", ">="}, op) {
			return c, badFilter("Unrecognized numeric range operator")
		}
		c.bounds = append(c.bounds, bound{op, n})
	}
	return c, nil
}

// takes tells whether a message with these attributes is for the subscription.
func (f *filter) takes(message string, attributes map[string]attribute) bool {
	if f == nil {
		return true
	}
	var body any
	if f.body {
		var object map[string]any
		if json.Unmarshal([]byte(message), &object) != nil {
			return false
		}
		body = object
	}
	for _, r := range f.rules {
		var values []any
		if f.body {
			values = valuesAt(body, r.path, nil)
		} else if a, ok := attributes[r.path[0]]; ok {
			values = a.values()
		}
		if !slices.ContainsFunc(r.conditions, func(c condition) bool { return c.holds(values) }) {
			return false
		}
	}
	return true
}

// valuesAt collects what is at a path, in all elements of lists on the way.
func valuesAt(v any, path []string, out []any) []any {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			out = valuesAt(e, path, out)
		}
		return out
	case map[string]any:
		if next, ok := x[firstOf(path)]; ok && len(path) > 0 {
			return valuesAt(next, path[1:], out)
		}
		return out
	}
	if len(path) == 0 {
		return append(out, v)
	}
	return out
}

func firstOf(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return path[0]
}

// values are what an attribute holds, as a filter sees it.
func (a attribute) values() []any {
	switch a.DataType {
	case kindNumber:
		n, err := strconv.ParseFloat(a.StringValue, 64)
		if err != nil {
			return nil
		}
		return []any{n}
	case kindArray:
		var list []any
		if json.Unmarshal([]byte(a.StringValue), &list) != nil {
			return nil
		}
		return list
	case kindBinary:
		return []any{base64.StdEncoding.EncodeToString(a.BinaryValue)}
	}
	return []any{a.StringValue}
}

// holds tells whether one of the values is as the condition wants it.
func (c condition) holds(values []any) bool {
	switch c.kind {
	case kindExists:
		return (len(values) > 0) == (c.want == true)
	case kindAnythingBut:
		return slices.ContainsFunc(values, func(v any) bool {
			return !slices.ContainsFunc(c.list, func(o condition) bool { return o.matches(v) })
		})
	}
	return slices.ContainsFunc(values, c.matches)
}

func (c condition) matches(v any) bool {
	text, isText := v.(string)
	want, _ := c.want.(string)
	switch c.kind {
	case kindExact:
		return v == c.want
	case kindPrefix:
		return isText && strings.HasPrefix(text, want)
	case kindSuffix:
		return isText && strings.HasSuffix(text, want)
	case kindIgnoreCase:
		return isText && strings.EqualFold(text, want)
	case kindNumeric:
		n, isNumber := v.(float64)
		return isNumber && !slices.ContainsFunc(c.bounds, func(b bound) bool { return !b.holds(n) })
	}
	return false
}

func (b bound) holds(n float64) bool {
	switch b.op {
	case "<":
		return n < b.n
	case "<=":
		return n <= b.n
	case ">":
		return n > b.n
	case ">=":
		return n >= b.n
	}
	return n == b.n
}
