package prefix

import (
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// An output is one value of a plain query: the first of its alternatives that is neither null nor
// false, or else the last.
type output struct {
	name         string // of an object's member
	alternatives []alternative
}

// An alternative is a path, or a text if steps is nil.
type alternative struct {
	steps []step
	text  string
}

// A step goes from a value to one inside it.
type step struct {
	key   string
	index int // of an array, if not negative
}

// plainOutputs gives the outputs of a query that needs no interpreter, and whether it is one.
func plainOutputs(q *gojq.Query) ([]output, bool) {
	base := []step{}
	for q.Term == nil && q.Op == gojq.OpPipe && bare(q) && constructed(q) != nil {
		left, ok := plainPath(base, q.Left)
		if !ok {
			return nil, false
		}
		base, q = left, q.Right
	}
	if q.Term != nil && q.Term.Type == gojq.TermTypeQuery && len(q.Term.SuffixList) == 0 && bare(q) {
		if len(base) > 0 {
			return nil, false
		}
		return plainOutputs(q.Term.Query)
	}
	object := constructed(q)
	if object == nil {
		alternatives, ok := plainAlternatives(base, q)
		return []output{{alternatives: alternatives}}, ok
	}
	if q.Term == nil || q.Term.Object != object || !bare(q) {
		return nil, false
	}
	var outputs []output
	for _, kv := range object.KeyVals {
		name, _ := constantName(kv)
		out := output{name: name}
		if kv.Val == nil {
			if strings.Contains(name, ".") || strings.HasPrefix(kv.Key, "$") {
				return nil, false
			}
			out.alternatives = []alternative{{steps: extend(base, step{key: name, index: -1})}}
		} else {
			var ok bool
			if out.alternatives, ok = plainAlternatives(base, kv.Val); !ok {
				return nil, false
			}
		}
		outputs = append(outputs, out)
	}
	return outputs, true
}

// bare tells whether q defines nothing: no functions, no variables, no modules.
func bare(q *gojq.Query) bool {
	return q.Meta == nil && len(q.Imports) == 0 && len(q.FuncDefs) == 0 && len(q.Patterns) == 0
}

// plainAlternatives takes a // b // "c" apart. An error in an alternative is the answer, as in jq
// 1.6, so it does not matter how they are grouped.
func plainAlternatives(base []step, q *gojq.Query) ([]alternative, bool) {
	switch {
	case !bare(q):
		return nil, false
	case q.Term == nil && q.Op == gojq.OpAlt:
		left, ok := plainAlternatives(base, q.Left)
		if !ok {
			return nil, false
		}
		right, ok := plainAlternatives(base, q.Right)
		return append(left, right...), ok
	case q.Term != nil && len(q.Term.SuffixList) == 0 && q.Term.Type == gojq.TermTypeQuery:
		return plainAlternatives(base, q.Term.Query)
	case q.Term != nil && len(q.Term.SuffixList) == 0 && q.Term.Type == gojq.TermTypeString:
		// Below a base the text alone would hide that the base cannot be reached.
		return []alternative{{text: q.Term.Str.Str}}, q.Term.Str.Queries == nil && len(base) == 0
	}
	steps, ok := plainPath(base, q)
	return []alternative{{steps: steps}}, ok
}

// plainPath gives base and then the steps of q, if q is a path of keys and indices.
func plainPath(base []step, q *gojq.Query) ([]step, bool) {
	switch {
	case !bare(q):
		return nil, false
	case q.Term == nil:
		if q.Op != gojq.OpPipe {
			return nil, false
		}
		left, ok := plainPath(base, q.Left)
		if !ok {
			return nil, false
		}
		return plainPath(left, q.Right)
	}
	steps, ok := base, true
	switch t := q.Term; {
	case t.Type == gojq.TermTypeIdentity:
	case t.Query != nil:
		steps, ok = plainPath(base, t.Query)
	case t.Index != nil:
		steps, ok = plainStep(base, t.Index)
	default:
		return nil, false
	}
	for _, s := range q.Term.SuffixList {
		if !ok || s.Iter || s.Optional || s.Index == nil {
			return nil, false
		}
		steps, ok = plainStep(steps, s.Index)
	}
	return steps, ok
}

func plainStep(base []step, index *gojq.Index) ([]step, bool) {
	key := index.Name
	switch {
	case index.Str != nil:
		if index.Str.Queries != nil {
			return nil, false
		}
		key = index.Str.Str
	case index.Start != nil:
		t := index.Start.Term
		if index.IsSlice || index.End != nil || t == nil || len(t.SuffixList) > 0 || !bare(index.Start) {
			return nil, false
		}
		switch {
		case t.Type == gojq.TermTypeNumber:
			n, err := strconv.Atoi(t.Number)
			if err != nil { // a fraction; what is negative is no number in the tree, but an operator
				return nil, false
			}
			return extend(base, step{index: n}), true
		case t.Type == gojq.TermTypeString && t.Str.Queries == nil:
			key = t.Str.Str
		default:
			return nil, false
		}
	}
	// The scanner's paths cannot tell a key that holds a dot from two keys.
	if strings.Contains(key, ".") {
		return nil, false
	}
	return extend(base, step{key: key, index: -1}), true
}

// extend never writes into base's array, which several paths may share.
func extend(base []step, s step) []step {
	return append(base[:len(base):len(base)], s)
}
