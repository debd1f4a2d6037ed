package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"
)

func queueKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::SQS::Queue": {
			schema: properties(append([]string{"QueueName!", "FifoQueue!", "Tags"}, queueAttributes...)...),
			create: createQueue, update: updateQueue, remove: removeQueue, read: readQueue,
		},
		"AWS::SQS::QueuePolicy": {
			schema: properties("PolicyDocument*", "Queues*"),
			create: func(ctx context.Context, j *job) error {
				j.physical = j.name("", 80)
				return putQueuePolicies(ctx, j, document(j.props["PolicyDocument"]))
			},
			update: updateQueuePolicy,
			remove: func(ctx context.Context, j *job) error { return putQueuePolicies(ctx, j, "") },
			read: readPolicyOf("Queues", "sqs", "GetQueueAttributes", func(queue string) map[string]any {
				return map[string]any{"QueueUrl": queue, "AttributeNames": []string{"Policy"}}
			}),
		},
		"AWS::SNS::Topic": {
			schema: properties("TopicName!", "FifoTopic!", "DisplayName", "KmsMasterKeyId", "ContentBasedDeduplication", "SignatureVersion", "TracingConfig",
				"Subscription", "Tags"),
			create: createTopic, update: updateTopic, remove: removeTopic, read: readTopic,
		},
		"AWS::SNS::TopicPolicy": {
			schema: properties("PolicyDocument*", "Topics*"),
			create: func(ctx context.Context, j *job) error {
				j.physical = j.name("", 80)
				return putTopicPolicies(ctx, j)
			},
			update: func(ctx context.Context, j *job) error { return putTopicPolicies(ctx, j) },
			remove: func(context.Context, *job) error { return nil }, // AWS leaves the policy, too
			read:   readPolicyOf("Topics", "sns", "GetTopicAttributes", func(topic string) map[string]any { return map[string]any{"TopicArn": topic} }),
		},
		"AWS::SNS::Subscription": {
			schema: properties("TopicArn*!", "Protocol*!", "Endpoint!", "Region!", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy",
				"DeliveryPolicy"),
			create: createSubscription, update: updateSubscription,
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "sns", "Unsubscribe", map[string]any{"SubscriptionArn": j.physical})
			},
			read: func(ctx context.Context, j *job) (map[string]any, error) {
				out, err := j.call(ctx, "sns", "GetSubscriptionAttributes", map[string]any{"SubscriptionArn": j.physical})
				if err != nil {
					return nil, err
				}
				have := object(out["Attributes"])
				for _, name := range []string{"FilterPolicy", "RedrivePolicy", "DeliveryPolicy"} {
					if text := textOf(have[name]); text != "" {
						have[name] = parsed(text)
					}
				}
				return have, nil
			},
		},
	}
}

// readPolicyOf reads the policy of the first of the queues or topics that a property lists: all have the same.
func readPolicyOf(property, service, operation string, input func(string) map[string]any) func(context.Context, *job) (map[string]any, error) {
	return func(ctx context.Context, j *job) (map[string]any, error) {
		all := texted(j.props[property])
		if len(all) == 0 {
			return nil, nil
		}
		out, err := j.call(ctx, service, operation, input(all[0]))
		if err != nil {
			return nil, err
		}
		return map[string]any{"PolicyDocument": parsed(textOf(object(out["Attributes"])["Policy"]))}, nil
	}
}

// queueAttributes are the properties of a queue that are its attributes in SQS's API, under the same names.
var queueAttributes = []string{
	"ContentBasedDeduplication", "DeduplicationScope", "DelaySeconds", "FifoThroughputLimit", "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId",
	"MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy", "SqsManagedSseEnabled",
	"VisibilityTimeout",
}

// attributeText is a property as the text that an attribute is.
func attributeText(v any) string {
	if _, isObject := v.(map[string]any); isObject {
		return jsonText(v)
	}
	return textOf(v)
}

func createQueue(ctx context.Context, j *job) error {
	name := j.name("QueueName", 80)
	attributes := map[string]any{}
	for _, a := range queueAttributes {
		if v, there := j.props[a]; there {
			attributes[a] = attributeText(v)
		}
	}
	if fifo, _ := j.props["FifoQueue"].(bool); fifo {
		attributes["FifoQueue"] = "true"
		if j.text("QueueName") == "" {
			name = j.name("QueueName", 75) + ".fifo"
		}
	}
	existing, err := j.call(ctx, "sqs", "GetQueueUrl", map[string]any{"QueueName": name})
	if err == nil && textOf(existing["QueueUrl"]) != "" {
		return alreadyExists("sqs", name)
	}
	in := map[string]any{"QueueName": name, "Attributes": attributes}
	if tags := j.tagMap(); len(tags) > 0 {
		in["tags"] = tags
	}
	if _, err = j.call(ctx, "sqs", "CreateQueue", in); err != nil {
		return err
	}
	// The host of a queue's address is the lab's: whoever asks from inside has no other.
	j.physical = j.service.cloud.URL() + "/" + j.place.Account + "/" + name
	j.attrs = map[string]any{"Arn": j.place.ARN("sqs", name), "QueueName": name, "QueueUrl": j.physical}
	return nil
}

func updateQueue(ctx context.Context, j *job) error {
	attributes := map[string]any{}
	for _, a := range queueAttributes {
		if j.changed(a) {
			attributes[a] = attributeText(j.props[a])
			if attributes[a] == "" {
				attributes[a] = queueDefaults[a]
			}
		}
	}
	if len(attributes) > 0 {
		if err := j.do(ctx, "sqs", "SetQueueAttributes", map[string]any{"QueueUrl": j.physical, "Attributes": attributes}); err != nil {
			return err
		}
	}
	if tags := j.tagMap(); len(tags) > 0 {
		return j.do(ctx, "sqs", "TagQueue", map[string]any{"QueueUrl": j.physical, "Tags": tags})
	}
	return nil
}

// queueDefaults are what attributes are when a template no longer gives them.
var queueDefaults = map[string]string{
	"DelaySeconds": "0", "MaximumMessageSize": "262144", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0",
	"VisibilityTimeout": "30", "KmsDataKeyReusePeriodSeconds": "300", "SqsManagedSseEnabled": "true", "ContentBasedDeduplication": "false",
}

func removeQueue(ctx context.Context, j *job) error {
	return j.do(ctx, "sqs", "DeleteQueue", map[string]any{"QueueUrl": j.physical})
}

func readQueue(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "sqs", "GetQueueAttributes", map[string]any{"QueueUrl": j.physical, "AttributeNames": []string{"All"}})
	if err != nil {
		return nil, err
	}
	have := make(map[string]any)
	for _, a := range queueAttributes {
		v := object(out["Attributes"])[a]
		if text := textOf(v); strings.HasPrefix(text, "{") {
			v = parsed(text)
		}
		have[a] = v
	}
	return have, nil
}

func putQueuePolicies(ctx context.Context, j *job, policy string) error {
	for _, queue := range texted(j.props["Queues"]) {
		in := map[string]any{"QueueUrl": queue, "Attributes": map[string]any{"Policy": policy}}
		if err := j.do(ctx, "sqs", "SetQueueAttributes", in); err != nil && (policy != "" || !isGone(err)) {
			return err
		}
	}
	return nil
}

func updateQueuePolicy(ctx context.Context, j *job) error {
	for _, queue := range texted(j.before["Queues"]) {
		if slices.Contains(texted(j.props["Queues"]), queue) {
			continue
		}
		in := map[string]any{"QueueUrl": queue, "Attributes": map[string]any{"Policy": ""}}
		if err := j.do(ctx, "sqs", "SetQueueAttributes", in); err != nil && !isGone(err) {
			return err
		}
	}
	return putQueuePolicies(ctx, j, document(j.props["PolicyDocument"]))
}

var topicAttributes = []string{"DisplayName", "KmsMasterKeyId", "ContentBasedDeduplication", "SignatureVersion", "TracingConfig"}

func createTopic(ctx context.Context, j *job) error {
	name := j.name("TopicName", 256)
	attributes := map[string]any{}
	for _, a := range topicAttributes {
		if v, there := j.props[a]; there {
			attributes[a] = attributeText(v)
		}
	}
	if fifo, _ := j.props["FifoTopic"].(bool); fifo {
		attributes["FifoTopic"] = "true"
		if j.text("TopicName") == "" {
			name += ".fifo"
		}
	}
	arn := j.place.ARN("sns", name)
	if err := j.do(ctx, "sns", "GetTopicAttributes", map[string]any{"TopicArn": arn}); err == nil {
		return alreadyExists("sns", name)
	}
	in := map[string]any{"Name": name, "Attributes": attributes}
	if tags := j.allTags(); len(tags) > 0 {
		in["Tags"] = tags
	}
	out, err := j.call(ctx, "sns", "CreateTopic", in)
	if err != nil {
		return err
	}
	j.physical = textOf(out["TopicArn"])
	j.attrs = map[string]any{"TopicArn": j.physical, "TopicName": name}
	return subscribeAll(ctx, j, nil)
}

func subscribeAll(ctx context.Context, j *job, before []any) error {
	for _, v := range j.list("Subscription") {
		if slices.ContainsFunc(before, func(b any) bool { return same(b, v) }) {
			continue
		}
		in := maps.Clone(object(v))
		in["TopicArn"] = j.physical
		if err := j.do(ctx, "sns", "Subscribe", in); err != nil {
			return err
		}
	}
	return nil
}

func updateTopic(ctx context.Context, j *job) error {
	for _, a := range topicAttributes {
		if !j.changed(a) {
			continue
		}
		in := map[string]any{"TopicArn": j.physical, "AttributeName": a, "AttributeValue": attributeText(j.props[a])}
		if err := j.do(ctx, "sns", "SetTopicAttributes", in); err != nil {
			return err
		}
	}
	return subscribeAll(ctx, j, listOf(j.before["Subscription"]))
}

func removeTopic(ctx context.Context, j *job) error {
	return j.do(ctx, "sns", "DeleteTopic", map[string]any{"TopicArn": j.physical})
}

func readTopic(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "sns", "GetTopicAttributes", map[string]any{"TopicArn": j.physical})
	if err != nil {
		return nil, err
	}
	have := make(map[string]any)
	for _, a := range topicAttributes {
		have[a] = object(out["Attributes"])[a]
	}
	return have, nil
}

func putTopicPolicies(ctx context.Context, j *job) error {
	for _, topic := range texted(j.props["Topics"]) {
		in := map[string]any{"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": document(j.props["PolicyDocument"])}
		if err := j.do(ctx, "sns", "SetTopicAttributes", in); err != nil {
			return err
		}
	}
	return nil
}

var subscriptionAttributes = []string{"FilterPolicyScope", "FilterPolicy", "RawMessageDelivery", "RedrivePolicy", "DeliveryPolicy"}

func createSubscription(ctx context.Context, j *job) error {
	in := j.pick("TopicArn", "Protocol", "Endpoint")
	attributes := map[string]any{}
	for _, a := range subscriptionAttributes {
		if v, there := j.props[a]; there {
			attributes[a] = attributeText(v)
		}
	}
	in["Attributes"], in["ReturnSubscriptionArn"] = attributes, true
	out, err := j.call(ctx, "sns", "Subscribe", in)
	if err != nil {
		return err
	}
	j.physical = textOf(out["SubscriptionArn"])
	j.attrs = map[string]any{"Arn": j.physical}
	return nil
}

func updateSubscription(ctx context.Context, j *job) error {
	for _, a := range subscriptionAttributes {
		if !j.changed(a) {
			continue
		}
		in := map[string]any{"SubscriptionArn": j.physical, "AttributeName": a, "AttributeValue": attributeText(j.props[a])}
		if err := j.do(ctx, "sns", "SetSubscriptionAttributes", in); err != nil {
			return err
		}
	}
	return nil
}
