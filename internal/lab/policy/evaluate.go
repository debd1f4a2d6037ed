package policy

import "strings"

// A Request is what is decided about.
type Request struct {
	Who      Principal
	Action   string // sqs:SendMessage
	Resource string // ARN, or "*" where the action has none
	// Context holds the condition keys, in lower case, with their values. Most have one.
	Context map[string][]string
}

// Set sets a condition key to one value.
func (r *Request) Set(key, value string) {
	if r.Context == nil {
		r.Context = make(map[string][]string)
	}
	r.Context[strings.ToLower(key)] = []string{value}
}

func (r *Request) values(key string) []string { return r.Context[strings.ToLower(key)] }

// variable is what ${key} stands for; one of several values is none.
func (r *Request) variable(key string) (string, bool) {
	v := r.values(key)
	if len(v) != 1 {
		return "", false
	}
	return v[0], true
}

// A Verdict is what one policy says of a request.
type Verdict struct {
	Denied  bool  // a statement denies it, whatever else is allowed
	Granted Grant // the nearest of the statements that allow it
}

// Evaluate tells what the policy says. A nil policy says nothing.
func (p *Policy) Evaluate(r *Request) Verdict {
	var v Verdict
	if p == nil {
		return v
	}
	for i := range p.statements {
		st := &p.statements[i]
		g := st.applies(r)
		switch {
		case g == NoGrant:
		case st.deny:
			v.Denied = true
		default:
			v.Granted = max(v.Granted, g)
		}
	}
	return v
}

// applies tells whether a statement is about a request, and by which name of who asks.
func (st *statement) applies(r *Request) Grant {
	g := st.principals.match(r.Who)
	if g == NoGrant || !st.hasAction(r.Action) || !st.hasResource(r) {
		return NoGrant
	}
	for i := range st.conditions {
		if !st.conditions[i].holds(r, st.variables) {
			return NoGrant
		}
	}
	return g
}

func (st *statement) hasAction(action string) bool {
	for _, a := range st.actions.values {
		if matchAction(a, action) {
			return !st.actions.not
		}
	}
	return st.actions.not
}

func (st *statement) hasResource(r *Request) bool {
	if st.resources.values == nil {
		return true // of a trust policy
	}
	text := []rune(r.Resource)
	for _, pattern := range st.resources.values {
		g, ok := compile(pattern, st.variables, r.variable)
		if ok && (g.match(text) || st.principals != nil && isName(pattern, r.Resource)) {
			return !st.resources.not
		}
	}
	return st.resources.not
}

// isName tells whether a resource's own policy names it by the end of its ARN alone.
func isName(pattern, arn string) bool {
	return !strings.ContainsAny(pattern, ":*?$") && pattern != "" && strings.HasSuffix(arn, ":"+pattern)
}
