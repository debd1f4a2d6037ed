package inspector2

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// invalid is a ValidationException about one member of the request.
func invalid(field, format string, args ...any) *wire.Error {
	message := fmt.Sprintf(format, args...)
	e := wire.Errorf("ValidationException", "%s: %s", field, message)
	e.Fields = map[string]any{
		"reason": "FIELD_VALIDATION_FAILED",
		"fields": []map[string]string{{"name": field, "message": message}},
	}
	return e
}

func denied(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusForbidden, "AccessDeniedException", format, args...)
}

func notFound(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusNotFound, "ResourceNotFoundException", format, args...)
}

func conflict(resource, kind, format string, args ...any) *wire.Error {
	e := wire.StatusErrorf(http.StatusConflict, "ConflictException", format, args...)
	e.Fields = map[string]any{"resourceId": resource, "resourceType": kind}
	return e
}

func overQuota(resource, format string, args ...any) *wire.Error {
	e := wire.StatusErrorf(http.StatusPaymentRequired, "ServiceQuotaExceededException", format, args...)
	e.Fields = map[string]any{"resourceId": resource}
	return e
}

// checkLength bounds a text; an optional one may be empty.
func checkLength(field, value string, least, most int) error {
	if n := len([]rune(value)); n < least || n > most {
		return invalid(field, "%d characters: expected %d to %d", n, least, most)
	}
	return nil
}

// limit is the size of a page: what was asked for, at most most.
func limit(asked *int, most int) (int, error) {
	if asked == nil {
		return most, nil
	}
	if *asked < 1 || *asked > most {
		return 0, invalid("maxResults", "%d: expected 1 to %d", *asked, most)
	}
	return *asked, nil
}

func oneOf(field, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return invalid(field, "%q: expected one of %s", value, strings.Join(allowed, ", "))
	}
	return nil
}

func checkAccount(field, id string) error {
	if !cloud.IsAccountID(id) {
		return invalid(field, "%q: expected 12 digits", id)
	}
	return nil
}

func checkAccounts(ids []string) error {
	if len(ids) > maxAsked {
		return invalid("accountIds", "%d accounts: expected at most %d", len(ids), maxAsked)
	}
	for _, id := range ids {
		if err := checkAccount("accountIds", id); err != nil {
			return err
		}
	}
	return nil
}
