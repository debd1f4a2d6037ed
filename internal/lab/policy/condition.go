package policy

import (
	"encoding/base64"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A condition is one key under one operator.
type condition struct {
	key      string
	values   []string
	operator operator
	ifExists bool
	forAll   bool // ForAllValues:
	forAny   bool // ForAnyValue:
	null     bool // the operator Null
}

// An operator compares a value of the request with one of the policy's.
type operator struct {
	is  func(have string, want glob) bool
	not bool // none of the policy's values may fit
}

// operators are those of the language but Null.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func findOperator(name string) (operator, bool) {
	compare := func(ok func(int) bool) func(int, bool) bool {
		return func(c int, known bool) bool { return known && ok(c) }
	}
	equal := compare(func(c int) bool { return c == 0 })
	orders := map[string]func(int, bool) bool{
		"Equals": equal, "NotEquals": equal,
		"LessThan": compare(func(c int) bool { return c < 0 }), "LessThanEquals": compare(func(c int) bool { return c <= 0 }),
		"GreaterThan": compare(func(c int) bool { return c > 0 }), "GreaterThanEquals": compare(func(c int) bool { return c >= 0 }),
	}
	for prefix, order := range map[string]func(a, b string) (int, bool){"Numeric": compareNumbers, "Date": compareDates} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && orders[rest] != nil {
			is := orders[rest]
			return operator{func(have string, want glob) bool { return is(order(have, want.literal())) }, rest == "NotEquals"}, true
		}
	}
	switch name {
	case "StringEquals", "StringNotEquals":
		return operator{func(have string, want glob) bool { return have == want.literal() }, name != "StringEquals"}, true
	case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase":
		return operator{func(have string, want glob) bool { return strings.EqualFold(have, want.literal()) }, name != "StringEqualsIgnoreCase"}, true
	case "StringLike", "StringNotLike":
		return operator{func(have string, want glob) bool { return want.match([]rune(have)) }, name != "StringLike"}, true
	case "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike":
		return operator{func(have string, want glob) bool { return want.matchARN(have) }, strings.HasPrefix(name, "ArnNot")}, true
	case "Bool":
		return operator{func(have string, want glob) bool { return strings.EqualFold(have, want.literal()) }, false}, true
	case "BinaryEquals":
		return operator{func(have string, want glob) bool { return sameBytes(have, want.literal()) }, false}, true
	case "IpAddress", "NotIpAddress":
		return operator{func(have string, want glob) bool { return inNetwork(have, want.literal()) }, name != "IpAddress"}, true
	}
	return operator{}, false
}

func compareNumbers(a, b string) (int, bool) {
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	if err != nil || err2 != nil || x != x || y != y {
		return 0, false
	}
	switch {
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, true
}

func compareDates(a, b string) (int, bool) {
	x, ok := parseDate(a)
	y, ok2 := parseDate(b)
	return x.Compare(y), ok && ok2
}

// parseDate reads the forms of ISO 8601 that W3C's note has, or seconds since 1970.
func parseDate(s string) (time.Time, bool) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly, "2006-01", "2006"} {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(n, 0), err == nil
}

func sameBytes(a, b string) bool {
	x, err := base64.StdEncoding.DecodeString(a)
	y, err2 := base64.StdEncoding.DecodeString(b)
	return err == nil && err2 == nil && string(x) == string(y)
}

func inNetwork(ip, network string) bool {
	have, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	if one, err := netip.ParseAddr(network); err == nil {
		return one == have.Unmap()
	}
	prefix, err := netip.ParsePrefix(network)
	return err == nil && prefix.Contains(have.Unmap())
}

func readConditions(raw map[string]map[string]scalars) ([]condition, error) {
	var out []condition
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		var c condition
		rest := name
		rest, c.forAll = strings.CutPrefix(rest, "ForAllValues:")
		if !c.forAll {
			rest, c.forAny = strings.CutPrefix(rest, "ForAnyValue:")
		}
		rest, c.ifExists = strings.CutSuffix(rest, "IfExists")
		c.null = rest == "Null" && !c.ifExists
		var ok bool
		if c.operator, ok = findOperator(rest); !ok && !c.null {
			return nil, wrong("Syntax errors in policy: Condition has no operator %q.", name)
		}
		for _, key := range slices.Sorted(maps.Keys(raw[name])) {
			c.key, c.values = key, raw[name][key]
			if !strings.Contains(key, ":") {
				return nil, wrong("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc., not %q", key)
			}
			if len(c.values) == 0 {
				return nil, wrong("Syntax errors in policy: Condition %s of %s has no values.", name, key)
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// holds tells whether a request fulfils the condition.
func (c *condition) holds(r *Request, variables bool) bool {
	have := r.values(c.key)
	switch {
	case c.null:
		return slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, strconv.FormatBool(len(have) == 0)) })
	case len(have) == 0:
		// What is not there fulfils "all values", what may lack, and what must not be something.
		return c.forAll || c.ifExists || c.operator.not && !c.forAny
	}
	fits := func(value string) bool {
		for _, want := range c.values {
			if g, ok := compile(want, variables, r.variable); ok && c.operator.is(value, g) {
				return !c.operator.not
			}
		}
		return c.operator.not
	}
	if c.forAll || c.operator.not && !c.forAny {
		return !slices.ContainsFunc(have, func(v string) bool { return !fits(v) })
	}
	return slices.ContainsFunc(have, fits)
}
