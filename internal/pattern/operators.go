package pattern

import (
	"math"
	"slices"
	"strings"

	"example.org/catchment/internal/scan"
)

const operatorNames = "prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr or exists"

// expression reads an operator, {"name": argument}, into the alternatives of f.
func (c *compiler) expression(f *field, n *node, where string) error {
	m, err := c.only(n, where, operatorNames)
	if err != nil {
		return err
	}
	at := join(where, m.key)
	arg := &m.value
	var want string
	switch m.key {
	case "exactly":
		if err = c.mustBe(arg, scan.String, "a string", at); err == nil {
			f.is.exact = append(f.is.exact, arg.text)
			want = quote(arg.text)
		}
	case "prefix", "suffix", "equals-ignore-case", "wildcard":
		want, err = c.stringOperator(&f.is, m.key, arg, at)
	case "anything-but":
		var not values
		want, err = c.anythingBut(&not, arg, at)
		f.not = append(f.not, not)
	case "numeric":
		want, err = c.numeric(&f.is, arg, at)
	case "cidr":
		var r ipRange
		if err = c.mustBe(arg, scan.String, "a string", at); err == nil {
			if r, err = parseCIDR(arg.text); err != nil {
				err = c.fail(arg.start, at, "%v", err)
			}
		}
		f.is.ips = append(f.is.ips, r)
		want = quote(arg.text)
	case "exists":
		if arg.kind != scan.True && arg.kind != scan.False {
			return c.fail(arg.start, at, "expected true or false, found %s", arg.describe())
		}
		f.present = f.present || arg.kind == scan.True
		f.absent = f.absent || arg.kind == scan.False
		want = arg.describe()
	default:
		return c.fail(m.start, where, "unknown operator %s: expected %s", clip(quote(m.key)), operatorNames)
	}
	f.wants = append(f.wants, "{"+quote(m.key)+":"+want+"}")
	return err
}

// only returns the one member that an operator's object may have.
func (c *compiler) only(n *node, where, expected string) (*member, error) {
	if len(n.members) == 0 {
		return nil, c.fail(n.start, where, "an empty object is not allowed: expected %s", expected)
	}
	if len(n.members) > 1 {
		m := &n.members[1]
		return nil, c.fail(m.start, join(where, m.key), "expected only one key beside %s", quote(n.members[0].key))
	}
	return &n.members[0], nil
}

func (c *compiler) mustBe(n *node, kind scan.Kind, what, where string) error {
	if n.kind != kind {
		return c.fail(n.start, where, "expected %s, found %s", what, n.describe())
	}
	return nil
}

// stringOperator reads prefix, suffix, equals-ignore-case or wildcard, and returns its argument as JSON.
func (c *compiler) stringOperator(v *values, name string, arg *node, where string) (string, error) {
	if arg.kind == scan.Object && (name == "prefix" || name == "suffix") {
		const fold = "equals-ignore-case"
		m, err := c.only(arg, where, fold)
		if err != nil {
			return "", err
		}
		if m.key != fold {
			return "", c.fail(m.start, where, "expected %s, found %s", fold, clip(quote(m.key)))
		}
		if err := c.mustBe(&m.value, scan.String, "a string", join(where, m.key)); err != nil {
			return "", err
		}
		op := opPrefixFold
		if name == "suffix" {
			op = opSuffixFold
		}
		v.strings = append(v.strings, stringTest{op: op, fold: compileFolded(op, m.value.text, c.stars)})
		return "{" + quote(fold) + ":" + quote(m.value.text) + "}", nil
	}
	if err := c.mustBe(arg, scan.String, "a string", where); err != nil {
		return "", err
	}
	t := stringTest{text: []byte(arg.text)}
	switch name {
	case "prefix":
		t.op = opPrefix
	case "suffix":
		t.op = opSuffix
	case "equals-ignore-case":
		t.op, t.fold = opFold, compileFolded(opFold, arg.text, c.stars)
	default:
		w, err := compileWildcard(arg.text)
		if err != nil {
			return "", c.fail(arg.start, where, "%v", err)
		}
		t.op, t.wild = opWildcard, w
		if len(w.parts) > 1 {
			c.stars = append(c.stars, string(w.parts[0]))
		}
	}
	v.strings = append(v.strings, t)
	return quote(arg.text), nil
}

// anythingBut reads what a leaf must not be, and returns it as JSON.
func (c *compiler) anythingBut(v *values, arg *node, where string) (string, error) {
	if arg.kind != scan.Object {
		return c.list(arg, where, func(e *node, at string) (string, error) { return c.notValue(v, arg, e, at) })
	}
	const names = "prefix, suffix, equals-ignore-case or wildcard"
	m, err := c.only(arg, where, names)
	if err != nil {
		return "", err
	}
	at := join(where, m.key)
	switch m.key {
	case "prefix", "suffix", "equals-ignore-case", "wildcard":
	default:
		return "", c.fail(m.start, where, "expected %s inside anything-but, found %s", names, clip(quote(m.key)))
	}
	want, err := c.list(&m.value, at, func(e *node, at string) (string, error) {
		if err := c.mustBe(e, scan.String, "a string", at); err != nil {
			return "", err
		}
		if e.text == "" && (m.key == "prefix" || m.key == "suffix") {
			return "", c.fail(e.start, at, "an empty %s is not allowed here: it would leave no string", m.key)
		}
		return c.stringOperator(v, m.key, e, at)
	})
	return "{" + quote(m.key) + ":" + want + "}", err
}

// notValue reads one string or number of an anything-but. A list holds only strings or only numbers.
func (c *compiler) notValue(v *values, list, e *node, where string) (string, error) {
	if e.kind != scan.String && e.kind != scan.Number {
		return "", c.fail(e.start, where, "expected a string or a number, found %s", e.describe())
	}
	if list.kind == scan.Array && e.kind != list.elements[0].kind {
		return "", c.fail(e.start, where, "strings and numbers are mixed: expected only one kind in an anything-but")
	}
	if e.kind == scan.String {
		v.exact = append(v.exact, e.text)
		return quote(e.text), nil
	}
	n, err := c.number(e, where)
	v.numbers = append(v.numbers, n)
	return e.text, err
}

// list reads one value or an array of them, and returns it as JSON with the values in order.
func (c *compiler) list(n *node, where string, read func(e *node, at string) (string, error)) (string, error) {
	if n.kind != scan.Array {
		return read(n, where)
	}
	if len(n.elements) == 0 {
		return "", c.fail(n.start, where, "an empty array is not allowed: expected at least one value")
	}
	var wants []string
	for i := range n.elements {
		want, err := read(&n.elements[i], element(where, i))
		if err != nil {
			return "", err
		}
		wants = append(wants, want)
	}
	slices.Sort(wants)
	return "[" + strings.Join(slices.Compact(wants), ",") + "]", nil
}

// number reads a number that must have a value to compare by.
func (c *compiler) number(n *node, where string) (float64, error) {
	if err := c.mustBe(n, scan.Number, "a number", where); err != nil {
		return 0, err
	}
	v, ok := parseNumber([]byte(n.text))
	if !ok {
		return 0, c.fail(n.start, where,
			"%s has more digits, or is larger, than an IEEE 754 double keeps: expected a number that one holds exactly as written", clip(n.text))
	}
	return v, nil
}

// numeric reads ["=", n], or one bound, or a lower and then an upper bound, and returns it as JSON.
func (c *compiler) numeric(v *values, arg *node, where string) (string, error) {
	if err := c.mustBe(arg, scan.Array, `an array such as [">", 0, "<=", 5]`, where); err != nil {
		return "", err
	}
	e := arg.elements
	if len(e) != 2 && len(e) != 4 {
		return "", c.fail(arg.start, where, `expected an operator and a number, or two of each, such as [">", 0, "<=", 5]; found %d values`, len(e))
	}
	r := numberRange{low: -math.MaxFloat64, high: math.MaxFloat64}
	var equal bool
	for i := 0; i < len(e); i += 2 {
		op, at := &e[i], element(where, i)
		if err := c.mustBe(op, scan.String, "one of = < <= > >=", at); err != nil {
			return "", err
		}
		n, err := c.number(&e[i+1], element(where, i+1))
		if err != nil {
			return "", err
		}
		single := len(e) == 2
		switch {
		case op.text == "=" && single:
			equal, r.low = true, n
		case (op.text == ">" || op.text == ">=") && i == 0:
			r.low, r.openLow = n, op.text == ">"
		case (op.text == "<" || op.text == "<=") && (single || i == 2):
			r.high, r.openHigh = n, op.text == "<"
		case i == 2:
			return "", c.fail(op.start, at, "expected < or <= for the upper bound, found %s", clip(quote(op.text)))
		case !single:
			return "", c.fail(op.start, at, "expected > or >= for the lower bound, which comes first; found %s", clip(quote(op.text)))
		default:
			return "", c.fail(op.start, at, "expected one of = < <= > >=, found %s", clip(quote(op.text)))
		}
	}
	switch {
	case equal:
		v.numbers = append(v.numbers, r.low)
	case len(e) == 4 && r.low >= r.high:
		return "", c.fail(e[3].start, element(where, 3), "expected an upper bound above the lower one, %s; found %s", clip(e[1].text), clip(e[3].text))
	default:
		v.ranges = append(v.ranges, r)
	}
	var wants []string
	for i := range e {
		if e[i].kind == scan.String {
			wants = append(wants, quote(e[i].text))
		} else {
			wants = append(wants, e[i].text)
		}
	}
	return "[" + strings.Join(wants, ",") + "]", nil
}
