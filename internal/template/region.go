package template

import (
	"fmt"
	"slices"
	"strings"
)

// Region is the template for the administrator's account in one region: from the rule to the bucket, or to a queue.
func Region(o Options) ([]byte, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	parameters := object("AlarmTopicArn", parameter("Topic of SNS that alarms go to; empty: none.", `^(arn:[a-z-]+:sns:.+)?$`, ""))
	conditions := object("WithTopic", not(equals(ref("AlarmTopicArn"), "")))
	if o.Mode == ModeCollector {
		return assemble("catchment: findings to a queue, for catchment run", parameters, conditions, collectorResources(o), object(
			"QueueUrl", object("Description", "For catchment run --queue.", "Value", ref("Queue")),
			"QueueArn", object("Description", "For the collector's permissions.", "Value", attribute("Queue", "Arn")),
		))
	}
	parameters = append(parameters, object(
		"BucketName", parameter("The bucket of all findings.", `^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`),
		"KeyArn", parameter("Key that the bucket is encrypted with; empty: none of your own.", `^(arn:[a-z-]+:kms:.+)?$`, ""),
	)...)
	conditions = append(conditions, member{"WithKey", not(equals(ref("KeyArn"), ""))})
	if o.Newline == NewlineLambda {
		parameters = append(parameters, object(
			"CodeBucket", parameter("Bucket in this region that the function's zip lies in.", ""),
			"CodeKey", parameter("Key of the zip.", ""),
		)...)
	}
	resources, err := firehoseResources(o)
	if err != nil {
		return nil, err
	}
	return assemble("catchment: findings of this region to the bucket", parameters, conditions, resources, object(
		"DeadLetterQueueUrl", object("Description", "Events that could not be delivered.", "Value", ref("DeadLetters")),
		"FirehoseRoleArn", object("Description", "Role that writes to the bucket.", "Value", attribute("FirehoseRole", "Arn")),
	))
}

// deadLetters are the queue of what a rule could not deliver, and the policy that lets the rules in.
func deadLetters(rules []string) node {
	return object(
		"DeadLetters", object("Type", "AWS::SQS::Queue", "Properties", object(
			"MessageRetentionPeriod", 1_209_600, "SqsManagedSseEnabled", true, "Tags", tags(),
		)),
		"DeadLettersPolicy", queuePolicy("DeadLetters", rules),
	)
}

// queuePolicy lets rules send to a queue, and nobody else.
func queuePolicy(queue string, rules []string) node {
	var sources []any
	for _, r := range rules {
		sources = append(sources, attribute(r, "Arn"))
	}
	return object("Type", "AWS::SQS::QueuePolicy", "Properties", object(
		"Queues", list(ref(queue)),
		"PolicyDocument", policy(object("Sid", "Rules", "Effect", "Allow", "Principal", object("Service", "events.amazonaws.com"),
			"Action", "sqs:SendMessage", "Resource", attribute(queue, "Arn"), "Condition", object("ArnEquals", object("aws:SourceArn", sources)))),
	))
}

// collectorResources are a queue that the rules of all streams fill.
func collectorResources(o Options) node {
	var rules []string
	var resources node
	for i, s := range o.Streams {
		name := fmt.Sprintf("Rule%d", i+1)
		rules = append(rules, name)
		resources = append(resources, member{name, rule(s.Pattern, "catchment: findings of stream "+s.Name, object(
			"Id", "queue", "Arn", attribute("Queue", "Arn"), "DeadLetterConfig", object("Arn", attribute("DeadLetters", "Arn")),
		))})
	}
	resources = append(resources, object(
		"Queue", object("Type", "AWS::SQS::Queue", "Properties", object(
			"MessageRetentionPeriod", 1_209_600, "VisibilityTimeout", 60, "SqsManagedSseEnabled", true,
			"RedrivePolicy", object("deadLetterTargetArn", attribute("DeadLetters", "Arn"), "maxReceiveCount", 1000), "Tags", tags(),
		)),
		"QueuePolicy", queuePolicy("Queue", rules),
	)...)
	resources = append(resources, deadLetters(rules)...)
	resources = append(resources, queueAlarm(), member{"AlarmAge", alarm("Messages have waited for 15 minutes: no collector takes them.", "AWS/SQS",
		"ApproximateAgeOfOldestMessage", object("Name", "QueueName", "Value", attribute("Queue", "QueueName")), "Maximum", 900)})
	return append(resources, ruleAlarms(rules)...)
}

func rule(pattern []byte, description string, target node) node {
	return object("Type", "AWS::Events::Rule", "Properties", object(
		"Description", description, "EventPattern", fromJSON(pattern), "State", "ENABLED", "Targets", list(target),
	))
}

// firehoseResources are the rules, streams and roles.
func firehoseResources(o Options) (node, error) {
	var rules, streams []string
	var made node
	for i, s := range o.Streams {
		name := fmt.Sprintf("%d", i+1)
		if o.Partitioning == Dynamic {
			prefix := s.Prefix
			if o.Newline == NewlineLambda {
				prefix = strings.ReplaceAll(prefix, "!{partitionKeyFromQuery:", "!{partitionKeyFromLambda:")
			}
			made = append(made, way(o, s, name, s.Pattern, literal(prefix), true)...)
			rules, streams = append(rules, "Rule"+name), append(streams, "Stream"+name)
			continue
		}
		for _, account := range o.Accounts {
			one := name + "A" + account
			prefix, err := ofAccount(s, account)
			if err != nil {
				return nil, err
			}
			pattern, err := narrowed(s.Pattern, account)
			if err != nil {
				return nil, fmt.Errorf("stream %s: %w", s.Name, err)
			}
			made = append(made, way(o, s, one, pattern, prefix, false)...)
			rules, streams = append(rules, "Rule"+one), append(streams, "Stream"+one)
		}
	}
	made = append(made, deadLetters(rules)...)
	made = append(made, roles(o, streams)...)
	made = append(made, queueAlarm())
	made = append(made, ruleAlarms(rules)...)
	return append(made, streamAlarms(o, streams)...), nil
}

// ofAccount is a prefix in which the account and the region are not looked up but known.
func ofAccount(s Stream, account string) (any, error) {
	prefix := escape(s.Prefix)
	for name, query := range s.PartitionKeys {
		value := ""
		switch strings.TrimSpace(query) {
		case ".AwsAccountId":
			value = account
		case ".Region":
			value = "${AWS::Region}"
		default:
			return nil, fmt.Errorf("stream %s: partition key %s: a stream of each account knows .AwsAccountId and .Region only; use partitioning dynamic", s.Name, name)
		}
		prefix = strings.ReplaceAll(prefix, "!{partitionKeyFromQuery:"+name+"}", value)
	}
	return sub(prefix), nil
}

// escape keeps a text from being taken for a variable of !Sub.
func escape(s string) string { return strings.ReplaceAll(s, "${", "${!") }

// literal is a text as it stands.
func literal(s string) any { return s }

// way is one rule and the delivery stream that it fills.
func way(o Options, s Stream, name string, pattern []byte, prefix any, dynamic bool) node {
	target := object("Id", "firehose", "Arn", attribute("Stream"+name, "Arn"), "RoleArn", attribute("EventsRole", "Arn"))
	if !s.Event && o.Newline == NewlineNative {
		target = append(target, member{"InputPath", "$.detail.findings[0]"})
	}
	target = append(target, member{"DeadLetterConfig", object("Arn", attribute("DeadLetters", "Arn"))})
	return node{
		{"Rule" + name, rule(pattern, "catchment: findings of stream "+s.Name, target)},
		{"Stream" + name, deliveryStream(o, s, prefix, dynamic)},
	}
}

func deliveryStream(o Options, s Stream, prefix any, dynamic bool) node {
	size, seconds := int(s.Size>>20), int(s.Interval.Seconds())
	if dynamic {
		size, seconds = max(size, minDynamic>>20), max(seconds, 60)
	}
	destination := object(
		"BucketARN", sub("arn:${AWS::Partition}:s3:::${BucketName}"), "RoleARN", attribute("FirehoseRole", "Arn"),
		"Prefix", prefix, "ErrorOutputPrefix", s.ErrorPrefix,
		"BufferingHints", object("SizeInMBs", min(max(size, 1), maxBuffer>>20), "IntervalInSeconds", seconds),
	)
	if s.TimeZone != "" && s.TimeZone != "UTC" {
		destination = append(destination, member{"CustomTimeZone", s.TimeZone})
	}
	compression, extension := "UNCOMPRESSED", ".json"
	if s.Gzip {
		compression, extension = "GZIP", ".json.gz"
	}
	destination = append(destination, object(
		"CompressionFormat", compression, "FileExtension", extension,
		"EncryptionConfiguration", choice("WithKey", object("KMSEncryptionConfig", object("AWSKMSKeyARN", ref("KeyArn"))), novalue()),
		"CloudWatchLoggingOptions", object("Enabled", true, "LogGroupName", ref("LogGroup"), "LogStreamName", "S3Delivery"),
	)...)
	if dynamic {
		destination = append(destination, member{"DynamicPartitioningConfiguration", object("Enabled", true, "RetryOptions", object("DurationInSeconds", 300))})
	}
	destination = append(destination, member{"ProcessingConfiguration", object("Enabled", true, "Processors", processors(o, s, dynamic))})
	return object("Type", "AWS::KinesisFirehose::DeliveryStream", "Properties", object(
		"DeliveryStreamType", "DirectPut", "ExtendedS3DestinationConfiguration", destination, "Tags", tags(),
	))
}

func processors(o Options, s Stream, dynamic bool) []any {
	processor := func(kind string, parameters ...any) node {
		var list []any
		for pair := range slices.Chunk(parameters, 2) {
			list = append(list, object("ParameterName", pair[0], "ParameterValue", pair[1]))
		}
		return object("Type", kind, "Parameters", list)
	}
	if o.Newline == NewlineLambda {
		return list(processor("Lambda", "LambdaArn", attribute("Function", "Arn"), "RoleArn", attribute("FirehoseRole", "Arn"),
			"NumberOfRetries", "3", "BufferSizeInMBs", "1", "BufferIntervalInSeconds", "60"))
	}
	var out []any
	if dynamic && len(s.PartitionKeys) > 0 {
		out = append(out, processor("MetadataExtraction", "MetadataExtractionQuery", query(s), "JsonParsingEngine", "JQ-1.6"))
	}
	return append(out, processor("AppendDelimiterToRecord", "Delimiter", `\n`))
}
