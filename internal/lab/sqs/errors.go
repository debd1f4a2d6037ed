package sqs

import (
	"fmt"
	"net/http"

	"example.org/catchment/internal/lab/wire"
)

// SQS's errors by the names of their shapes, which the JSON protocol tells. The last five are in no model, but are what
// SQS answers.
const (
	batchIDsNotDistinct   = "BatchEntryIdsNotDistinct"
	batchTooLong          = "BatchRequestTooLong"
	emptyBatch            = "EmptyBatchRequest"
	invalidAddress        = "InvalidAddress"
	invalidAttributeName  = "InvalidAttributeName"
	invalidAttributeValue = "InvalidAttributeValue"
	invalidBatchEntryID   = "InvalidBatchEntryId"
	invalidContents       = "InvalidMessageContents"
	kmsAccessDenied       = "KmsAccessDenied"
	kmsDisabled           = "KmsDisabled"
	kmsInvalidState       = "KmsInvalidState"
	kmsNotFound           = "KmsNotFound"
	messageNotInflight    = "MessageNotInflight"
	overLimit             = "OverLimit"
	purgeInProgress       = "PurgeQueueInProgress"
	queueDeletedRecently  = "QueueDeletedRecently"
	queueDoesNotExist     = "QueueDoesNotExist"
	queueNameExists       = "QueueNameExists"
	receiptHandleInvalid  = "ReceiptHandleIsInvalid"
	requestThrottled      = "RequestThrottled"
	resourceNotFound      = "ResourceNotFoundException"
	tooManyEntries        = "TooManyEntriesInBatchRequest"
	unsupportedOperation  = "UnsupportedOperation"

	accessDenied          = "AccessDeniedException"
	invalidParameterValue = "InvalidParameterValueException"
	missingParameter      = "MissingParameterException"
)

// queryCode is an error's code in the Query protocol.
func queryCode(shape string) string {
	switch shape {
	case batchIDsNotDistinct, batchTooLong, emptyBatch, invalidBatchEntryID, messageNotInflight, purgeInProgress, queueDeletedRecently,
		tooManyEntries, unsupportedOperation:
		return "AWS.SimpleQueueService." + shape
	case queueDoesNotExist:
		return "AWS.SimpleQueueService.NonExistentQueue"
	case queueNameExists:
		return "QueueAlreadyExists"
	case kmsAccessDenied:
		return "KMS.AccessDeniedException"
	case kmsDisabled:
		return "KMS.DisabledException"
	case kmsInvalidState:
		return "KMS.InvalidStateException"
	case kmsNotFound:
		return "KMS.NotFoundException"
	case accessDenied:
		return "AccessDenied"
	case invalidParameterValue:
		return "InvalidParameterValue"
	case missingParameter:
		return "MissingParameter"
	}
	return shape
}

// failure makes an error of a shape.
func failure(shape, format string, args ...any) *wire.Error {
	e := &wire.Error{Code: shape, QueryCode: queryCode(shape), Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
	switch shape {
	case overLimit, purgeInProgress, accessDenied, requestThrottled:
		e.Status = http.StatusForbidden
	}
	return e
}

func noQueue() *wire.Error { return failure(queueDoesNotExist, "The specified queue does not exist.") }

func missing(parameter string) *wire.Error {
	return failure(missingParameter, "The request must contain the parameter %s.", parameter)
}

func denied(err error) *wire.Error { return failure(accessDenied, "%v", err) }

// badValue says what is wrong with a parameter's value.
func badValue(value any, parameter, reason string) *wire.Error {
	text := fmt.Sprint(value)
	return failure(invalidParameterValue, "Value %s for parameter %s is invalid. Reason: %s", text[:min(len(text), 200)], parameter, reason)
}

func badAttribute(name string) *wire.Error {
	return failure(invalidAttributeValue, "Invalid value for the parameter %s.", name)
}

func unknownAttribute(name string) *wire.Error {
	return failure(invalidAttributeName, "Unknown Attribute %s.", name[:min(len(name), 200)])
}
