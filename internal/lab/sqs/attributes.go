package sqs

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/policy"
	"example.org/catchment/internal/lab/wire"
)

// settings are what can be set of a queue.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
type settings struct {
	delay, maxSize, retention, wait, visibility int // seconds, and bytes

	policy                string
	redrive, redriveAllow string // as they were given
	deadLetter            string // ARN, from redrive
	maxReceives           int    // from redrive; 0: there is none
	permission            redriveAllowPolicy

	kmsKey     string
	kmsReuse   int // seconds
	managedSSE bool

	fifo         bool
	contentDedup bool
	dedupScope   string
	fifoLimit    string
}

// Limits of SQS, in bytes and seconds.
const (
	maxMessage    = 1 << 20
	maxDelay      = 900
	maxVisibility = 43200
	maxWait       = 20
	maxInFlight   = 120_000
	maxPolicy     = 8192
	maxRedrive    = 1000
	maxSources    = 10
)

func newSettings(fifo bool) settings {
	return settings{
		maxSize: maxMessage, retention: 345600, visibility: 30, kmsReuse: 300, managedSSE: true,
		fifo: fifo, dedupScope: "queue", fifoLimit: "perQueue",
	}
}

// Names of attributes that are used elsewhere.
const (
	nameAll           = "All"
	nameFIFO          = "FifoQueue"
	namePolicy        = "Policy"
	nameRedrive       = "RedrivePolicy"
	nameRedriveAllow  = "RedriveAllowPolicy"
	nameKMSKey        = "KmsMasterKeyId"
	nameManagedSSE    = "SqsManagedSseEnabled"
	nameVisibility    = "VisibilityTimeout"
	nameWait          = "ReceiveMessageWaitTimeSeconds"
	nameRetention     = "MessageRetentionPeriod"
	nameMaxSize       = "MaximumMessageSize"
	nameDelay         = "DelaySeconds"
	nameContentDedup  = "ContentBasedDeduplication"
	nameDedupScope    = "DeduplicationScope"
	nameFIFOLimit     = "FifoThroughputLimit"
	nameKMSReuse      = "KmsDataKeyReusePeriodSeconds"
	nameARN           = "QueueArn"
	nameCreated       = "CreatedTimestamp"
	nameChanged       = "LastModifiedTimestamp"
	nameVisible       = "ApproximateNumberOfMessages"
	nameInFlight      = "ApproximateNumberOfMessagesNotVisible"
	nameDelayed       = "ApproximateNumberOfMessagesDelayed"
	scopeMessageGroup = "messageGroup"
	limitPerGroup     = "perMessageGroupId"
)

// set gives an attribute a value; empty takes away those that can be.
func (t *settings) set(name, value string) *wire.Error {
	number := func(to *int, least, most int) *wire.Error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most {
			return badAttribute(name)
		}
		*to = n
		return nil
	}
	switch name {
	case nameDelay:
		return number(&t.delay, 0, maxDelay)
	case nameMaxSize:
		return number(&t.maxSize, 1024, maxMessage)
	case nameRetention:
		return number(&t.retention, 60, 1209600)
	case nameWait:
		return number(&t.wait, 0, maxWait)
	case nameVisibility:
		return number(&t.visibility, 0, maxVisibility)
	case nameKMSReuse:
		return number(&t.kmsReuse, 60, 86400)
	case namePolicy:
		return t.setPolicy(value)
	case nameRedrive:
		return t.setRedrive(value)
	case nameRedriveAllow:
		return t.setRedriveAllow(value)
	case nameKMSKey:
		t.kmsKey = value
		t.managedSSE = t.managedSSE && value == ""
		return nil
	case nameManagedSSE:
		return setBool(name, value, &t.managedSSE)
	case nameContentDedup, nameDedupScope, nameFIFOLimit:
		return t.setFIFO(name, value)
	}
	return unknownAttribute(name)
}

func setBool(name, value string, to *bool) *wire.Error {
	if value != "true" && value != "false" {
		return badAttribute(name)
	}
	*to = value == "true"
	return nil
}

func (t *settings) setFIFO(name, value string) *wire.Error {
	if !t.fifo {
		return failure(invalidAttributeName, "You can specify the %s only when FifoQueue is set to true.", name)
	}
	switch {
	case name == nameContentDedup:
		return setBool(name, value, &t.contentDedup)
	case name == nameDedupScope && (value == "queue" || value == scopeMessageGroup):
		t.dedupScope = value
	case name == nameFIFOLimit && (value == "perQueue" || value == limitPerGroup):
		t.fifoLimit = value
	default:
		return badAttribute(name)
	}
	return nil
}

func (t *settings) setPolicy(value string) *wire.Error {
	if value != "" && (len(value) > maxPolicy || policy.Validate([]byte(value)) != nil) {
		return badAttribute(namePolicy)
	}
	t.policy = value
	return nil
}

// A count in a policy is a number or a text that is one.
type count int

func (n *count) UnmarshalJSON(b []byte) error {
	i, err := strconv.Atoi(strings.Trim(string(b), `"`))
	*n = count(i)
	return err
}

func (t *settings) setRedrive(value string) *wire.Error {
	if value == "" {
		t.redrive, t.deadLetter, t.maxReceives = "", "", 0
		return nil
	}
	var redrive struct {
		Target string `json:"deadLetterTargetArn"`
		Max    *count `json:"maxReceiveCount"`
	}
	switch err := json.Unmarshal([]byte(value), &redrive); {
	case err != nil:
		return badValue(value, nameRedrive, "Redrive policy is not a valid JSON map.")
	case redrive.Target == "":
		return badValue(value, nameRedrive, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
	case redrive.Max == nil:
		return badValue(value, nameRedrive, "Redrive policy does not contain mandatory attribute: maxReceiveCount.")
	case *redrive.Max < 1 || *redrive.Max > maxRedrive:
		return badValue(value, nameRedrive, "Invalid value for maxReceiveCount: "+strconv.Itoa(int(*redrive.Max))+", valid values are from 1 to 1000 both inclusive.")
	}
	t.redrive, t.deadLetter, t.maxReceives = value, redrive.Target, int(*redrive.Max)
	return nil
}

// A redriveAllowPolicy says which queues may have this one for their dead letters.
type redriveAllowPolicy struct {
	Permission string   `json:"redrivePermission"`
	Sources    []string `json:"sourceQueueArns"`
}

func (t *settings) setRedriveAllow(value string) *wire.Error {
	var allow redriveAllowPolicy
	if value != "" {
		err := json.Unmarshal([]byte(value), &allow)
		byQueue := allow.Permission == "byQueue"
		known := byQueue || allow.Permission == "allowAll" || allow.Permission == "denyAll"
		if err != nil || !known || byQueue != (len(allow.Sources) > 0) || len(allow.Sources) > maxSources {
			return badValue(value, nameRedriveAllow, "Amazon SQS can't create the redrive allow policy, as it's in an unsupported format.")
		}
	}
	t.redriveAllow, t.permission = value, allow
	return nil
}

func (p redriveAllowPolicy) allows(source string) bool {
	switch p.Permission {
	case "denyAll":
		return false
	case "byQueue":
		return slices.Contains(p.Sources, source)
	}
	return true
}

// change gives settings that differ from t by attributes. Requires mu.
func (s *Service) change(p cloud.Place, name string, t settings, attributes map[string]string) (settings, *wire.Error) {
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		if err := t.set(key, attributes[key]); err != nil {
			return t, err
		}
	}
	if attributes[nameKMSKey] != "" && attributes[nameManagedSSE] == "true" {
		return t, failure(invalidAttributeValue, "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.")
	}
	if t.managedSSE && attributes[nameManagedSSE] == "true" {
		t.kmsKey = ""
	}
	if t.fifoLimit == limitPerGroup && t.dedupScope != scopeMessageGroup {
		return t, badAttribute(nameFIFOLimit)
	}
	if attributes[nameRedrive] == "" {
		return t, nil
	}
	// Only a dead-letter queue that is given has to be there: it may have been deleted since.
	target := s.byARN(t.deadLetter)
	arn, err := cloud.ParseARN(t.deadLetter)
	switch {
	case err != nil || arn.Service != serviceName:
		return t, badValue(t.redrive, nameRedrive, "Invalid value for deadLetterTargetArn.")
	case arn.Place() != p:
		return t, badValue(t.redrive, nameRedrive, "Dead letter target owner should be same as the source, in the same region.")
	case target == nil:
		return t, badValue(t.redrive, nameRedrive, "Dead letter target does not exist.")
	case target.settings.fifo != t.fifo:
		return t, badValue(t.redrive, nameRedrive, "Dead-letter queue must be same type of queue as the source.")
	case !target.settings.permission.allows(p.ARN(serviceName, name)):
		return t, badValue(t.redrive, nameRedrive, "Dead-letter queue does not allow this queue as a source.")
	}
	return t, nil
}

// shown are all attributes of a queue with their values. Requires mu.
func (q *queue) shown(now time.Time) map[string]string {
	q.settle(now)
	out := q.settings.shown()
	out[nameARN] = q.arn
	out[nameCreated] = strconv.FormatInt(q.created.Unix(), 10)
	out[nameChanged] = strconv.FormatInt(q.changed.Unix(), 10)
	out[nameVisible] = strconv.Itoa(q.ready.Len())
	out[nameInFlight] = strconv.Itoa(q.inFlight)
	out[nameDelayed] = strconv.Itoa(q.hidden.Len() - q.inFlight)
	return out
}

// shown are the attributes that are set, or that every queue has.
func (t *settings) shown() map[string]string {
	out := map[string]string{
		nameDelay: strconv.Itoa(t.delay), nameMaxSize: strconv.Itoa(t.maxSize), nameRetention: strconv.Itoa(t.retention),
		nameWait: strconv.Itoa(t.wait), nameVisibility: strconv.Itoa(t.visibility), nameManagedSSE: strconv.FormatBool(t.managedSSE),
	}
	for name, value := range map[string]string{
		namePolicy: t.policy, nameRedrive: t.redrive, nameRedriveAllow: t.redriveAllow, nameKMSKey: t.kmsKey,
	} {
		if value != "" {
			out[name] = value
		}
	}
	if t.kmsKey != "" {
		out[nameKMSReuse] = strconv.Itoa(t.kmsReuse)
	}
	if t.fifo {
		out[nameFIFO] = "true"
		out[nameContentDedup] = strconv.FormatBool(t.contentDedup)
		out[nameDedupScope] = t.dedupScope
		out[nameFIFOLimit] = t.fifoLimit
	}
	return out
}

// known are the names of all attributes.
func known(name string) bool {
	switch name {
	case nameAll, nameFIFO, namePolicy, nameRedrive, nameRedriveAllow, nameKMSKey, nameManagedSSE, nameVisibility, nameWait, nameRetention,
		nameMaxSize, nameDelay, nameContentDedup, nameDedupScope, nameFIFOLimit, nameKMSReuse, nameARN, nameCreated, nameChanged,
		nameVisible, nameInFlight, nameDelayed:
		return true
	}
	return false
}
