package policy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// A Principal is who asks.
type Principal struct {
	ARN     string // of the user or the session; empty: nobody known
	Role    string // ARN of the session's role; empty: no session
	Account string // of the user or role
	Service string // name of an AWS service such as events.amazonaws.com; then all other fields are empty
}

// principals are those of a statement.
type principals struct {
	everyone bool
	aws      []string // account ids, and ARNs of roots, users, roles and sessions
	services []string
	not      bool
}

func (r *rawStatement) readPrincipals(kind Kind) (*principals, error) {
	value, not := r.Principal, r.NotPrincipal != nil
	if not {
		value = r.NotPrincipal
	}
	switch {
	case kind == Identity && value != nil:
		return nil, wrong("Policy document should not specify a principal.")
	case kind == Identity:
		return nil, nil
	case value == nil:
		return nil, wrong("Missing required field Principal")
	case not && r.Principal != nil:
		return nil, wrong("Syntax errors in policy: a statement has both Principal and NotPrincipal.")
	}
	p := &principals{not: not}
	if value.Kind() == '"' {
		var all string
		if err := json.Unmarshal(value, &all); err != nil || all != "*" {
			return nil, wrong("Invalid principal in policy: %q", all)
		}
		p.everyone = true
		return p, nil
	}
	var by struct {
		AWS, Service, Federated, CanonicalUser texts
	}
	if err := json.Unmarshal(value, &by, json.RejectUnknownMembers(true)); err != nil {
		return nil, wrong("Invalid principal in policy: %v", err)
	}
	if len(by.AWS)+len(by.Service)+len(by.Federated)+len(by.CanonicalUser) == 0 {
		return nil, wrong("Invalid principal in policy: it names nobody")
	}
	p.everyone = slices.Contains(by.AWS, "*")
	for _, name := range by.AWS {
		if name != "*" && !principalForm.MatchString(name) {
			return nil, wrong("Invalid principal in policy: \"AWS\":%q", name)
		}
	}
	for _, name := range by.Service {
		if !serviceForm.MatchString(name) {
			return nil, wrong("Invalid principal in policy: \"SERVICE\":%q", name)
		}
	}
	p.aws, p.services = by.AWS, by.Service
	return p, nil
}

// The forms of a principal: an account, an ARN, and the unique id that AWS puts in place of a role that was deleted.
var (
	principalForm = regexp.MustCompile(`^(\d{12}|arn:[a-z-]+:(iam|sts)::(\d{12}|cloudfront):[\w+=,.@/-]+|A[A-Z]{3}[A-Z0-9]{8,28})$`)
	serviceForm   = regexp.MustCompile(`^[a-z0-9.-]+\.(amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|internal)$`)
)

// A Grant is by which name a policy lets somebody in: the later, the nearer.
type Grant uint8

// The ways to be let in.
const (
	NoGrant       Grant = iota
	ToAccount           // the account is named, which then decides itself whom of its people it lets
	ToRole              // everyone, or the session's role is named
	ToPrincipal         // the user, session or service itself is named
	ToAnyIdentity       // an identity's policy: it names nobody
)

// match gives the nearest name by which the statement means somebody.
func (p *principals) match(who Principal) Grant {
	if p == nil {
		return ToAnyIdentity
	}
	g := p.names(who)
	switch {
	case !p.not:
		return g
	case g == NoGrant:
		return ToRole
	}
	return NoGrant
}

func (p *principals) names(who Principal) Grant {
	if who.Service != "" {
		if p.everyone || slices.Contains(p.services, who.Service) {
			return ToPrincipal
		}
		return NoGrant
	}
	best := NoGrant
	if p.everyone {
		best = ToRole
	}
	for _, name := range p.aws {
		switch {
		case who.ARN != "" && name == who.ARN:
			return ToPrincipal
		case who.Role != "" && name == who.Role:
			best = max(best, ToRole)
		case who.Account != "" && (name == who.Account || isRootOf(name, who.Account)):
			best = max(best, ToAccount)
		}
	}
	return best
}

func isRootOf(arn, account string) bool {
	return strings.HasPrefix(arn, "arn:") && strings.HasSuffix(arn, ":iam::"+account+":root")
}
