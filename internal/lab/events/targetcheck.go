package events

import (
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
)

var (
	pathKeyForm   = form(`[A-Za-z0-9\_\-]+`)
	headerForm    = form("[!#$%&'*+-.^_`|~0-9a-zA-Z]+")
	headerValue   = form(`[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*`)
	queryKeyForm  = form(`[^\x00-\x1F\x7F]+`)
	queryTextForm = form(`[^\x00-\x09\x0B\x0C\x0E-\x1F\x7F]+`)
)

// checkShape checks what the API's model says of a target.
func (t *target) checkShape(c *checks, at string) {
	c.required(t.ID, at+"id", 64, nameForm)
	c.required(t.Arn, at+"arn", 1600, nil)
	c.text(t.RoleArn, at+"roleArn", 1600, nil)
	if t.Input != nil {
		c.text(*t.Input, at+"input", 8192, nil)
	}
	if t.InputPath != nil {
		c.text(*t.InputPath, at+"inputPath", 256, nil)
	}
	if tr := t.InputTransformer; tr != nil {
		c.required(tr.InputTemplate, at+"inputTransformer.inputTemplate", 8192, nil)
		c.count(len(tr.InputPathsMap), at+"inputTransformer.inputPathsMap", 0, 100)
		for _, key := range slices.Sorted(maps.Keys(tr.InputPathsMap)) {
			c.required(key, at+"inputTransformer.inputPathsMap", 256, pathKeyForm)
			c.text(tr.InputPathsMap[key], at+"inputTransformer.inputPathsMap."+key, 256, nil)
		}
	}
	if t.DeadLetterConfig != nil {
		c.text(t.DeadLetterConfig.Arn, at+"deadLetterConfig.arn", 1600, nil)
	}
	if p := t.RetryPolicy; p != nil {
		c.number(p.MaximumRetryAttempts, at+"retryPolicy.maximumRetryAttempts", 0, maxAttempts)
		c.number(p.MaximumEventAgeInSeconds, at+"retryPolicy.maximumEventAgeInSeconds", minAge, maxAge)
	}
	if t.SqsParameters != nil {
		c.text(t.SqsParameters.MessageGroupID, at+"sqsParameters.messageGroupId", 100, nil)
	}
	if p := t.HTTPParameters; p != nil {
		for _, value := range p.PathParameterValues {
			if strings.TrimSpace(value) == "" {
				c.add(value, at+"httpParameters.pathParameterValues", `Member must satisfy regular expression pattern: ^(?!\s*$).+`)
			}
		}
		checkPairs(c, at+"httpParameters.", p.HeaderParameters, p.QueryStringParameters)
	}
}

func checkPairs(c *checks, at string, headers, query map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(headers)) {
		c.required(key, at+"headerParameters", 512, headerForm)
		c.text(headers[key], at+"headerParameters."+clip(key), 512, headerValue)
	}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		c.required(key, at+"queryStringParameters", 512, queryKeyForm)
		c.text(query[key], at+"queryStringParameters."+clip(key), 512, queryTextForm)
	}
}

// prepare checks what makes EventBridge refuse a whole request, and reads the target's ARN and inputs.
func (t *target) prepare(here cloud.Place) error {
	var err error
	if t.arn, err = cloud.ParseARN(t.Arn); err != nil {
		return invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", clip(t.Arn))
	}
	given := 0
	for _, is := range []bool{t.Input != nil, t.InputPath != nil, t.InputTransformer != nil} {
		if is {
			given++
		}
	}
	needsRole := t.arn.Service == "firehose" || t.arn.Service == "kinesis" || t.arn.Service == "events" || t.arn.Account != here.Account
	switch {
	case given > 1:
		return invalid("Only one of Input, InputPath, or InputTransformer must be provided for target %s.", t.ID)
	case needsRole && t.RoleArn == "":
		return invalid("RoleArn is required for target %s.", t.Arn)
	}
	if t.RoleArn != "" {
		role, err := cloud.ParseARN(t.RoleArn)
		if err != nil || role.Service != "iam" || !strings.HasPrefix(role.Resource, "role/") {
			return invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", clip(t.RoleArn))
		}
	}
	fifo := t.arn.Service == "sqs" && strings.HasSuffix(t.arn.Resource, ".fifo")
	switch {
	case t.SqsParameters != nil && t.arn.Service != "sqs":
		return invalid("Parameter(s) SqsParameters is not valid for target %s.", t.ID)
	case t.SqsParameters != nil && !fifo:
		return invalid("Parameter(s) SqsParameters is only valid for FIFO queues, which target %s is not.", t.ID)
	}
	if t.DeadLetterConfig != nil && t.DeadLetterConfig.Arn != "" {
		queue, err := cloud.ParseARN(t.DeadLetterConfig.Arn)
		switch {
		case err != nil || queue.Service != "sqs":
			return invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", clip(t.DeadLetterConfig.Arn))
		case strings.HasSuffix(queue.Resource, ".fifo"):
			return invalid("DeadLetterConfig of target %s is not valid. Reason: FIFO queues are not supported as dead-letter queues.", t.ID)
		case queue.Region != here.Region:
			return invalid("DeadLetterConfig of target %s is not valid. Reason: the queue must be in region %s.", t.ID, here.Region)
		}
	}
	return t.body.read(t)
}

// targetActions are the permissions that targets take, by the service in their ARNs.
var targetActions = map[string]string{
	"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction", "firehose": "firehose:PutRecord",
}

// action is the permission that it takes to deliver; empty: the lab has no such targets.
func (t *target) action() string {
	if t.arn.Service == "events" {
		switch kind, _, _ := strings.Cut(t.arn.Resource, "/"); kind {
		case "event-bus":
			return actionPutEvents
		case "api-destination":
			return actionInvoke
		}
	}
	return targetActions[t.arn.Service]
}

// refuse tells why one target cannot be a rule's; an empty code: it can. Requires s.mu.
func (s *Service) refuse(here cloud.Place, b *bus, t *target) (code, reason string) {
	action := t.action()
	isBus := action == actionPutEvents
	switch {
	case action == "":
		return "ValidationException", "The lab has no targets like " + clip(t.Arn) + "."
	case t.arn.Partition != here.Partition:
		return "ValidationException", "Target " + t.ID + " is in another partition."
	case !isBus && t.arn.Region != here.Region:
		return "ValidationException", "Target " + t.ID + " must be in region " + here.Region + ": only event buses may be in another."
	case t.Arn == b.arn:
		return "ValidationException", "Target " + t.ID + " is the event bus of the rule itself."
	case isBus && (t.Input != nil || t.InputPath != nil || t.InputTransformer != nil):
		return "ValidationException", "Event buses take events as they are: target " + t.ID + " must have no input."
	case action == actionInvoke && s.destination(t.arn) == nil:
		return "ResourceNotFoundException", "API destination " + clip(t.Arn) + " does not exist."
	}
	return "", ""
}
