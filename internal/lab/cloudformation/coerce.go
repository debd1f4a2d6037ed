package cloudformation

import (
	"slices"
	"strconv"

	"example.org/catchment/internal/lab/cloudformation/template"
)

// Templates may write numbers and booleans as texts, and texts as numbers; the services' APIs tell them apart. These are
// the names, in the properties that the lab takes, whose values are numbers and booleans.
var (
	numbers = []string{
		"BatchSize", "BytesScannedCutoffPerQuery", "DatapointsToAlarm", "Days", "DelaySeconds", "DurationInSeconds", "EvaluationPeriods",
		"ExpirationInDays", "IntervalInSeconds", "KmsDataKeyReusePeriodSeconds", "MaximumBatchingWindowInSeconds", "MaximumEventAgeInSeconds",
		"MaximumMessageSize", "MaximumRetryAttempts", "MaxSessionDuration", "MemorySize", "MessageRetentionPeriod", "NoncurrentDays",
		"PendingWindowInDays", "Period", "ReceiveMessageWaitTimeSeconds", "ReservedConcurrentExecutions", "RetentionInDays", "SizeInMBs",
		"Threshold", "Timeout", "VisibilityTimeout", "Years", "FailureToleranceCount", "FailureTolerancePercentage", "MaxConcurrentCount",
		"MaxConcurrentPercentage", "NoncurrentVersionExpirationInDays", "TransitionInDays", "DaysAfterInitiation",
	}
	booleans = []string{
		"ActionsEnabled", "AutoEnable", "AutoEnableControls", "BlockPublicAcls", "BlockPublicPolicy", "BucketKeyEnabled",
		"ContentBasedDeduplication", "EnableDefaultStandards", "EnableKeyRotation", "Enabled", "EnforceWorkGroupConfiguration",
		"ExpiredObjectDeleteMarker", "FifoQueue", "FifoTopic", "IgnorePublicAcls", "MultiRegion", "ObjectLockEnabled",
		"PublishCloudWatchMetricsEnabled", "RawMessageDelivery", "RequesterPaysEnabled", "RestrictPublicBuckets", "RetainStacksOnAccountRemoval",
		"SqsManagedSseEnabled", "Active", "RecursiveDeleteOption",
	}
	// verbatim are objects whose members are free: a policy, a pattern.
	verbatim = []string{"AssumeRolePolicyDocument", "EventPattern", "FilterPolicy", "KeyPolicy", "PolicyDocument", "RedrivePolicy", "RedriveAllowPolicy", "Statement"}
	// texts are objects, or members, whose values are texts.
	texts = []string{"Variables", "TableProperties", "ParameterValue", "AttributeValue", "InputPathsMap", "Value", "BucketKeyName"}
)

// coerce gives values the types that their names say.
func coerce(name string, v any) any {
	switch {
	case slices.Contains(verbatim, name):
		return v
	case slices.Contains(texts, name):
		return asTexts(v)
	}
	switch v := v.(type) {
	case string:
		if slices.Contains(numbers, name) {
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				return f
			}
		}
		if slices.Contains(booleans, name) && (v == "true" || v == "false") {
			return v == "true"
		}
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = coerce(name, element)
		}
		return out
	case map[string]any:
		if name == "Parameters" {
			return asTexts(v) // Glue's and SerDes'
		}
		out := make(map[string]any, len(v))
		for key, member := range v {
			out[key] = coerce(key, member)
		}
		return out
	}
	return v
}

func asTexts(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			out[key] = asTexts(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = asTexts(element)
		}
		return out
	case bool, float64:
		return textOf(v)
	}
	return v
}

// coerceAll coerces the properties of a resource.
func coerceAll(props map[string]any) map[string]any {
	out := make(map[string]any, len(props))
	for name, v := range props {
		out[name] = coerce(name, v)
	}
	return out
}

// same tells whether two values mean the same to CloudFormation.
func same(a, b any) bool { return template.Equal(a, b) }
