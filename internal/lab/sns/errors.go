package sns

import (
	"fmt"
	"net/http"

	"example.org/catchment/internal/lab/wire"
)

// SNS's errors, by their codes.
const (
	authorizationError   = "AuthorizationError"
	batchIDsNotDistinct  = "BatchEntryIdsNotDistinct"
	batchTooLong         = "BatchRequestTooLong"
	emptyBatch           = "EmptyBatchRequest"
	filterLimitExceeded  = "FilterPolicyLimitExceeded"
	invalidBatchEntryID  = "InvalidBatchEntryId"
	invalidParameter     = "InvalidParameter"
	kmsAccessDenied      = "KMSAccessDenied"
	kmsDisabled          = "KMSDisabled"
	kmsInvalidState      = "KMSInvalidState"
	kmsNotFound          = "KMSNotFound"
	notFound             = "NotFound"
	parameterInvalid     = "ParameterValueInvalid"
	resourceNotFound     = "ResourceNotFound"
	tagLimitExceeded     = "TagLimitExceeded"
	throttled            = "Throttled"
	tooManyEntries       = "TooManyEntriesInBatchRequest"
	subscriptionsTooMany = "SubscriptionLimitExceeded"
)

// failure makes an error of a code.
func failure(code, format string, args ...any) *wire.Error {
	e := wire.Errorf(code, format, args...)
	switch code {
	case authorizationError, filterLimitExceeded, subscriptionsTooMany:
		e.Status = http.StatusForbidden
	case notFound, resourceNotFound:
		e.Status = http.StatusNotFound
	case throttled:
		e.Status = http.StatusTooManyRequests
	}
	return e
}

// invalid says what is wrong with a parameter.
func invalid(format string, args ...any) *wire.Error {
	return failure(invalidParameter, "%s", "Invalid parameter: "+fmt.Sprintf(format, args...))
}
