package organizations

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/wire"
)

// fault makes an exception. Its text is a member named Message, unlike most services', and some have a reason.
func fault(code, reason, format string, args ...any) *wire.Error {
	e := wire.Errorf(code, format, args...)
	e.Fields = map[string]any{"Message": e.Message}
	if reason != "" {
		e.Fields["Reason"] = reason
	}
	return e
}

func invalid(reason, format string, args ...any) *wire.Error {
	return fault("InvalidInputException", reason, format, args...)
}

func constraint(reason, format string, args ...any) *wire.Error {
	return fault("ConstraintViolationException", reason, format, args...)
}

func errNotInUse() *wire.Error {
	return fault("AWSOrganizationsNotInUseException", "", "Your account is not a member of an organization.")
}

func errDenied() *wire.Error {
	return fault("AccessDeniedException", "", "You don't have permissions to access this resource.")
}

func errNoAccount() *wire.Error {
	return fault("AccountNotFoundException", "", "You specified an account that doesn't exist.")
}

func notFound(code, what string) *wire.Error {
	return fault(code, "", "You specified a %s that doesn't exist.", what)
}

// A right is how much of the organization somebody may see and change.
type right uint8

const (
	anyMember  right = iota // accounts of the organization
	mayRead                 // the management account and delegated administrators
	management              // the management account
)

// enter gives the organization to who may enter. Requires s.mu.
func (s *Service) enter(c *wire.Call, need right) (*organization, error) {
	if s.org == nil || s.org.members[c.Account] == nil {
		return nil, errNotInUse()
	}
	switch {
	case need == anyMember, c.Account == s.org.management:
		return s.org, nil
	case need == mayRead && len(s.org.delegated[c.Account]) > 0:
		return s.org, nil
	}
	return nil, errDenied()
}

// allFeatures says no where the organization is only for billing.
func (o *organization) allFeatures() error {
	if o.features != featuresAll {
		return constraint("ORGANIZATION_NOT_IN_ALL_FEATURES_MODE", "The organization does not have all features enabled.")
	}
	return nil
}

// The forms of ids.
var (
	accountForm = regexp.MustCompile(`^\d{12}$`)
	parentForm  = regexp.MustCompile(`^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$`)
	unitForm    = regexp.MustCompile(`^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$`)
	childForm   = regexp.MustCompile(`^(\d{12}|ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$`)
	targetForm  = regexp.MustCompile(`^(r-[0-9a-z]{4,32}|\d{12}|ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}|p-[0-9a-zA-Z_]{8,128}|rp-[0-9a-zA-Z_]{4,128}|rt-[0-9a-zA-Z_]{8,32})$`)
	requestForm = regexp.MustCompile(`^car-[a-z0-9]{8,32}$`)
	serviceForm = regexp.MustCompile(`^[\w+=,.@-]*$`)
	roleForm    = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	emailForm   = regexp.MustCompile(`^[^\s@]+@[^\s@]+\.[^\s@]+$`)
	nameForm    = regexp.MustCompile(`^[\x20-\x7E]+$`)
	tagForm     = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// form checks a required text.
func form(what, s string, want *regexp.Regexp) error {
	if s == "" {
		return invalid("INPUT_REQUIRED", "You must provide a value for %s.", what)
	}
	if !want.MatchString(s) {
		return invalid("INVALID_PATTERN", "You provided a value for %s that does not match the required pattern %s.", what, want)
	}
	return nil
}

// length checks the length of a required text, in characters.
func length(what, s string, least, most int) error {
	n := len([]rune(s))
	switch {
	case n == 0:
		return invalid("INPUT_REQUIRED", "You must provide a value for %s.", what)
	case n < least:
		return invalid("MIN_LENGTH_EXCEEDED", "%s has %d characters: expected at least %d.", what, n, least)
	case n > most:
		return invalid("MAX_LENGTH_EXCEEDED", "%s has %d characters: expected at most %d.", what, n, most)
	}
	return nil
}

// A paging is what lists are asked with.
type paging struct {
	NextToken  string
	MaxResults *int
}

// maxPage is the most of a page, and what it has without MaxResults.
const maxPage = 20

// page cuts a page out of a list that is sorted by its keys. The token names the last thing that was given. Requires s.mu.
func page[T any](s *Service, c *wire.Call, in paging, all []T, key func(T) string) (out []T, next string, err error) {
	limit := maxPage
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit > maxPage {
		return nil, "", invalid("MAX_VALUE_EXCEEDED", "MaxResults %d: expected at most %d.", limit, maxPage)
	}
	if limit < 1 {
		return nil, "", invalid("MIN_VALUE_EXCEEDED", "MaxResults %d: expected at least 1.", limit)
	}
	after := ""
	if in.NextToken != "" {
		var ok bool
		if after, ok = readToken(c.Operation, in.NextToken); !ok {
			return nil, "", invalid("INVALID_NEXT_TOKEN", "You provided an invalid NextToken.")
		}
		i, found := slices.BinarySearchFunc(all, after, func(x T, k string) int { return strings.Compare(key(x), k) })
		if found {
			i++
		}
		all = all[i:]
	}
	if len(all) > 0 && s.empty > 0 {
		if b := s.cloud.Chance("organizations empty page"); float64(b[0])/256 < s.empty {
			return nil, makeToken(c.Operation, after), nil
		}
	}
	if len(all) <= limit {
		return all, "", nil
	}
	return all[:limit], makeToken(c.Operation, key(all[limit-1])), nil
}

func makeToken(operation, key string) string {
	sum := sha256.Sum256([]byte(operation + "\x00" + key))
	return base64.RawURLEncoding.EncodeToString([]byte(key)) + "." + hex.EncodeToString(sum[:8])
}

func readToken(operation, token string) (string, bool) {
	encoded, _, _ := strings.Cut(token, ".")
	key, err := base64.RawURLEncoding.DecodeString(encoded)
	return string(key), err == nil && makeToken(operation, string(key)) == token
}
