package cloud

import "fmt"

// An IdentityKind is what kind of principal an identity is.
type IdentityKind uint8

// The kinds of principals.
const (
	User    IdentityKind = iota // an account's administrator: what is not denied is allowed
	Session                     // of a role that was assumed
	Service                     // an AWS service, such as events.amazonaws.com
)

// An Identity is who asks for something.
type Identity struct {
	Kind    IdentityKind
	ARN     string // of the user or of the session; a service's principal name
	Account string // of the user or role; for a service: the account it acts for
	Role    string // ARN of the role of a session
	ID      string // unique id, as GetCallerIdentity shows it
	Policy  []byte // session policy of a session, JSON; nil: none

	SourceIdentity string // that was set when a role was first assumed; empty: none
}

// An Access is something that somebody wants to do.
type Access struct {
	Who      Identity
	Action   string            // such as sqs:SendMessage
	Resource string            // ARN
	Owner    string            // account of the resource; empty: Who's
	Policy   []byte            // the resource's policy, JSON; nil: it has none
	Context  map[string]string // condition keys beside those that follow from Who: aws:SourceArn, aws:SourceAccount, sts:ExternalId …
}

// An Authorizer decides who may do what. The lab's IAM is one.
type Authorizer interface {
	// Authorize returns nil or a *DeniedError.
	Authorize(Access) error
	// Assume gives the identity that a service, or somebody else, has in a role; a *DeniedError where the role is missing
	// or does not trust who asks. conditions holds condition keys.
	Assume(who Identity, role, session string, conditions map[string]string) (Identity, error)
}

// A DeniedError says that somebody may not do something.
type DeniedError struct {
	Who      string // ARN, or a service's name
	Action   string
	Resource string
	Reason   string // which policy is missing or denies, in AWS's words
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s%s", e.Who, e.Action, e.Resource, e.Reason)
}

// Authorize asks Access, if there is one.
func (c *Cloud) Authorize(a Access) error {
	if a.Owner == "" {
		a.Owner = a.Who.Account
	}
	if c.Access == nil {
		return nil
	}
	return c.Access.Authorize(a)
}
