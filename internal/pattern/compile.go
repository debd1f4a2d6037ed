package pattern

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/scan"
)

const or = "$or"

// reserved holds the names that may not be fields anywhere inside $or, used by the language or kept for its future.
var reserved = map[string]bool{
	"exactly": true, "equals-ignore-case": true, "prefix": true, "suffix": true, "anything-but": true, "exists": true,
	"wildcard": true, "numeric": true, "cidr": true, "=": true, "<": true, "<=": true, ">": true, ">=": true,
	"regex": true, "not-wildcard": true, "not-equals-ignore-case": true, "date-after": true,
	"date-on-or-after": true, "date-before": true, "date-on-or-before": true, "in-date-range": true,
	"ip-address-in-range": true, "ip-address-not-in-range": true,
}

// A compiler expands a pattern into branches as it reads it. The order counts: a field replaces what the branches had
// at its path so far.
type compiler struct {
	text     []byte
	plainOr  bool // $or is a field like any other
	branches []map[string]*field
	stars    []string // of the field being read: what its wildcards so far have before their first star
}

func (c *compiler) fail(at int, path, format string, args ...any) error {
	return newSyntaxError(c.text, at, path, fmt.Sprintf(format, args...))
}

// object reads the fields of n into the branches. steps are the names above it; where is the same as a JSON path.
func (c *compiler) object(n *node, where string, steps []string, inOr bool) error {
	if len(n.members) == 0 {
		return c.fail(n.start, where, "an empty object is not allowed: expected at least one field")
	}
	for i := range n.members {
		m := &n.members[i]
		at := join(where, m.key)
		if m.key == or && !c.plainOr {
			if err := c.alternatives(&m.value, at, steps); err != nil {
				return err
			}
			continue
		}
		if inOr && reserved[m.key] {
			return c.fail(m.start, at, "%s is a reserved word: expected a field, which has another name inside %s", quote(m.key), or)
		}
		below := append(slices.Clip(steps), m.key)
		var err error
		switch m.value.kind {
		case scan.Object:
			err = c.object(&m.value, at, below, inOr)
		case scan.Array:
			err = c.values(&m.value, at, below)
		case scan.Null, scan.False, scan.True, scan.Number, scan.String:
			err = c.fail(m.value.start, at,
				"expected an array of values or an object, found %s: values stand in brackets", m.value.describe())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// alternatives reads the array of a $or: each alternative starts from the branches so far.
func (c *compiler) alternatives(n *node, where string, steps []string) error {
	if n.kind != scan.Array {
		return c.fail(n.start, where, "expected an array of objects, found %s", n.describe())
	}
	before := c.branches
	var after []map[string]*field
	for i := range n.elements {
		e := &n.elements[i]
		at := element(where, i)
		if e.kind != scan.Object {
			return c.fail(e.start, at, "expected an object, found %s", e.describe())
		}
		c.branches = nil
		for _, b := range before {
			c.branches = append(c.branches, maps.Clone(b))
		}
		if len(c.branches) == 0 {
			c.branches = []map[string]*field{{}}
		}
		if err := c.object(e, at, steps, true); err != nil {
			return err
		}
		if after = append(after, c.branches...); len(after) > MaxBranches {
			return c.fail(e.start, at, "the alternatives multiply to more than %d combinations", MaxBranches)
		}
	}
	if len(n.elements) < 2 {
		return c.fail(n.start, where, "expected at least two objects, found %d", len(n.elements))
	}
	c.branches = after
	return nil
}

// values reads the array of values that a field may have.
func (c *compiler) values(n *node, where string, steps []string) error {
	if len(n.elements) == 0 {
		return c.fail(n.start, where, "an empty array is not allowed: expected at least one value")
	}
	f := &field{name: strings.Join(steps, "."), steps: steps}
	c.stars = nil
	for i := range n.elements {
		e := &n.elements[i]
		at := element(where, i)
		var err error
		switch e.kind {
		case scan.Object:
			err = c.expression(f, e, at)
		case scan.Array:
			err = c.fail(e.start, at, "expected a string, number, true, false, null or an object, found an array")
		case scan.Null, scan.False, scan.True, scan.Number, scan.String:
			f.literal(e)
		}
		if err != nil {
			return err
		}
	}
	f.finish()
	if len(c.branches) == 0 {
		c.branches = []map[string]*field{{}}
	}
	for _, b := range c.branches {
		b[f.name] = f
	}
	return nil
}

func (c *compiler) pattern() *Pattern {
	p := &Pattern{}
	seen := map[*field]bool{}
	for _, fields := range c.branches {
		var b branch
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			f := fields[name]
			b.fields = append(b.fields, f)
			if !seen[f] {
				seen[f] = true
				p.fields = append(p.fields, f)
			}
		}
		p.branches = append(p.branches, b)
	}
	return p
}
