// Package policy decides by IAM policies what somebody may do.
//
// It reads the JSON policy language, with its principals, wildcards, variables and conditions, and evaluates one policy
// for one request. What follows from several policies, an identity's and a resource's, is for who asks.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Kind is where a policy stands: it decides which elements it must and must not have.
type Kind uint8

// The kinds of policies.
const (
	Identity Kind = iota + 1 // of a role or session: Resource, no Principal
	Resource                 // of a queue, bucket, key …: Principal, and Resource
	Trust                    // of a role, who may assume it: Principal, no Resource
)

// A Policy is one that was parsed. It does not change.
type Policy struct {
	statements []statement
}

type statement struct {
	sid        string
	deny       bool
	actions    patterns
	resources  patterns
	principals *principals // nil: the policy says nothing of them
	conditions []condition
	variables  bool // ${…} is a variable: since version 2012-10-17
}

// patterns are the values of an element such as Action or NotAction. nil: it is not there.
type patterns struct {
	values []string
	not    bool
}

// The bounds of a policy. AWS's own are smaller for each service, and the services check them.
const (
	maxSize       = 128 << 10
	maxStatements = 1000
)

// The versions of the language.
const (
	versionOld = "2008-10-17"
	version    = "2012-10-17"
)

// An Error says what is wrong with a policy, in AWS's words where it has some.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func wrong(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// texts is a text or a list of texts.
type texts []string

// UnmarshalJSONFrom reads one or many.
func (t *texts) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '"' {
		var one string
		if err := json.UnmarshalDecode(d, &one); err != nil {
			return err
		}
		*t = texts{one}
		return nil
	}
	list := []string{}
	if err := json.UnmarshalDecode(d, &list); err != nil {
		return err
	}
	*t = list
	return nil
}

// scalars is a text, boolean or number, or a list of them, as texts.
type scalars []string

// UnmarshalJSONFrom reads one or many.
func (s *scalars) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '[' {
		one, err := scalar(d)
		*s = scalars{one}
		return err
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*s = scalars{}
	for d.PeekKind() != ']' {
		one, err := scalar(d)
		if err != nil {
			return err
		}
		*s = append(*s, one)
	}
	_, err := d.ReadToken()
	return err
}

func scalar(d *jsontext.Decoder) (string, error) {
	token, err := d.ReadToken()
	if err != nil {
		return "", err
	}
	if k := token.Kind(); k == '{' || k == '[' || k == 'n' {
		return "", wrong("a value of a condition is neither a text nor a boolean nor a number")
	}
	return token.String(), nil
}

// statements is a statement or a list of them.
type statements []rawStatement

// UnmarshalJSONFrom reads one or many.
func (s *statements) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '{' {
		*s = make(statements, 1)
		return json.UnmarshalDecode(d, &(*s)[0])
	}
	var list []rawStatement
	if err := json.UnmarshalDecode(d, &list); err != nil {
		return err
	}
	*s = list
	return nil
}

type rawPolicy struct {
	Version   string
	ID        string `json:"Id"`
	Statement statements
}

type rawStatement struct {
	Sid          string
	Effect       string
	Action       texts
	NotAction    texts
	Resource     texts
	NotResource  texts
	Principal    jsontext.Value
	NotPrincipal jsontext.Value
	Condition    map[string]map[string]scalars
}

// Validate tells what is wrong with the policy of a resource, such as a queue or a bucket. Its errors are *Errors.
func Validate(document []byte) error {
	_, err := Parse(Resource, document)
	return err
}

// Parse reads a policy and checks it. Its errors are *Errors.
func Parse(kind Kind, document []byte) (*Policy, error) {
	if len(document) > maxSize {
		return nil, wrong("the policy has %d bytes: at most %d are taken", len(document), maxSize)
	}
	var raw rawPolicy
	err := json.Unmarshal(document, &raw, json.RejectUnknownMembers(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, wrong("Syntax errors in policy: %v", err)
	}
	if raw.Version != "" && raw.Version != version && raw.Version != versionOld {
		return nil, wrong("The policy must contain a valid version string, not %q.", raw.Version)
	}
	if len(raw.Statement) == 0 || len(raw.Statement) > maxStatements {
		return nil, wrong("Syntax errors in policy: expected 1 to %d statements, got %d.", maxStatements, len(raw.Statement))
	}
	p := &Policy{}
	var sids []string
	for i := range raw.Statement {
		st, err := raw.Statement[i].check(kind)
		if err != nil {
			return nil, err
		}
		st.variables = raw.Version == version
		if st.sid != "" && slices.Contains(sids, st.sid) {
			return nil, wrong("Statement IDs (SID) in a single policy must be unique: %q is there twice.", st.sid)
		}
		sids = append(sids, st.sid)
		p.statements = append(p.statements, st)
	}
	return p, nil
}

func (r *rawStatement) check(kind Kind) (statement, error) {
	st := statement{sid: r.Sid, deny: r.Effect == "Deny"}
	if r.Effect != "Allow" && r.Effect != "Deny" {
		return st, wrong("Syntax errors in policy: Effect %q is neither Allow nor Deny.", r.Effect)
	}
	if kind == Identity && strings.ContainsFunc(r.Sid, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) {
		return st, wrong("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [A-Za-z0-9]*")
	}
	var err error
	if st.actions, err = either("Action", r.Action, r.NotAction); err != nil {
		return st, err
	}
	if st.actions.values == nil {
		return st, wrong("Policy statement must contain actions.")
	}
	for _, a := range st.actions.values {
		if vendor, name, ok := strings.Cut(a, ":"); a != "*" && (!ok || vendor == "" || name == "" || strings.ContainsAny(vendor, "*?")) {
			return st, wrong("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc., not %q", a)
		}
	}
	if st.resources, err = either("Resource", r.Resource, r.NotResource); err != nil {
		return st, err
	}
	if err := checkResources(kind, st.resources.values); err != nil {
		return st, err
	}
	if st.principals, err = r.readPrincipals(kind); err != nil {
		return st, err
	}
	st.conditions, err = readConditions(r.Condition)
	return st, err
}

func either(name string, is, isNot texts) (patterns, error) {
	if is != nil && isNot != nil {
		return patterns{}, wrong("Syntax errors in policy: a statement has both %s and Not%s.", name, name)
	}
	if isNot != nil {
		return patterns{isNot, true}, nil
	}
	return patterns{is, false}, nil
}

func checkResources(kind Kind, values []string) error {
	switch {
	case kind == Trust && values != nil:
		return wrong("Has prohibited field Resource")
	case kind == Trust:
		return nil
	case values == nil:
		return wrong("Policy statement must contain resources.")
	}
	for _, v := range values {
		if v == "*" || kind == Resource && !strings.HasPrefix(v, "arn:") {
			continue // queues may be named by their names alone
		}
		if !strings.HasPrefix(v, "arn:") && !strings.HasPrefix(v, "${") && !strings.HasPrefix(v, "*") {
			return wrong("Resource %s must be in ARN format or \"*\".", v)
		}
		if strings.HasPrefix(v, "arn:") && strings.Count(v, ":") < 5 && !strings.Contains(v, "*") {
			return wrong("The policy failed legacy parsing: resource %s has too few parts.", v)
		}
	}
	return nil
}
