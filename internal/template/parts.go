package template

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// query is the jq that finds a stream's partition keys. .AwsAccountId and .Region mean the finding's, also in an event.
func query(s Stream) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s.PartitionKeys)) {
		q := strings.TrimSpace(s.PartitionKeys[name])
		switch {
		case s.Event && q == ".AwsAccountId":
			q = ".detail.findings[0].AwsAccountId"
		case s.Event && q == ".Region":
			q = "(.detail.findings[0].Region // .region)"
		case q == ".Region":
			q = "(.Region // .Resources[0].Region)"
		}
		parts = append(parts, name+":"+q)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// narrowed is a pattern that asks for one account's findings besides.
func narrowed(pattern []byte, account string) ([]byte, error) {
	var p map[string]any
	if err := json.Unmarshal(pattern, &p); err != nil {
		return nil, fmt.Errorf("read the pattern: %w", err)
	}
	at := p
	for _, name := range []string{"detail", "findings"} {
		next, ok := at[name].(map[string]any)
		if !ok && at[name] != nil {
			return nil, fmt.Errorf("the pattern's %s is no object: it cannot be narrowed to an account; use partitioning dynamic", name)
		}
		if !ok {
			next = make(map[string]any)
			at[name] = next
		}
		at = next
	}
	if at["AwsAccountId"] != nil {
		return nil, fmt.Errorf("the pattern asks for AwsAccountId already; use partitioning dynamic")
	}
	at["AwsAccountId"] = []string{account}
	return json.Marshal(p, json.Deterministic(true))
}

// fromJSON makes a value of JSON, its members in their order. The text was checked when the spec was read.
func fromJSON(text []byte) any {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	v, err := decode(d)
	if err != nil {
		return string(text)
	}
	return v
}

func decode(d *jsontext.Decoder) (any, error) {
	switch d.PeekKind() { //nolint:exhaustive // all others are scalars
	case '{':
		return decodeObject(d)
	case '[':
		if _, err := d.ReadToken(); err != nil {
			return nil, err
		}
		out := []any{}
		for d.PeekKind() != ']' {
			v, err := decode(d)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err := d.ReadToken()
		return out, err
	}
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() { //nolint:exhaustive // what is left is a number
	case '"':
		return t.String(), nil
	case 't', 'f':
		return t.Bool(), nil
	case 'n':
		return raw("null"), nil
	}
	return raw(t.String()), nil
}

func decodeObject(d *jsontext.Decoder) (any, error) {
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	out := node{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		v, err := decode(d)
		if err != nil {
			return nil, err
		}
		out = append(out, member{key, v})
	}
	_, err := d.ReadToken()
	return out, err
}

// roles are those of EventBridge and Firehose, and, with a function, its own.
func roles(o Options, streams []string) node {
	var arns []any
	for _, s := range streams {
		arns = append(arns, attribute(s, "Arn"))
	}
	objects := sub("arn:${AWS::Partition}:s3:::${BucketName}/*")
	may := list(
		object("Effect", "Allow", "Action", list("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"), "Resource", objects),
		object("Effect", "Allow", "Action", list("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
			"Resource", sub("arn:${AWS::Partition}:s3:::${BucketName}")),
		object("Effect", "Allow", "Action", "logs:PutLogEvents", "Resource", sub("${LogGroup.Arn}")),
		choice("WithKey", object("Effect", "Allow", "Action", list("kms:GenerateDataKey", "kms:Decrypt"), "Resource", ref("KeyArn")), novalue()),
	)
	out := object(
		"LogGroup", object("Type", "AWS::Logs::LogGroup", "Properties", object("RetentionInDays", 30, "Tags", tags())),
		"LogStream", object("Type", "AWS::Logs::LogStream", "Properties", object("LogGroupName", ref("LogGroup"), "LogStreamName", "S3Delivery")),
	)
	if o.Newline == NewlineLambda {
		may = append(may, object("Effect", "Allow", "Action", list("lambda:InvokeFunction", "lambda:GetFunctionConfiguration"),
			"Resource", list(attribute("Function", "Arn"), sub("${Function.Arn}:*"))))
		out = append(out, functionResources()...)
	}
	return append(out, object(
		"EventsRole", role("catchment-events-${AWS::Region}", "events.amazonaws.com",
			object("StringEquals", object("aws:SourceAccount", ref("AWS::AccountId"))),
			list(object("Effect", "Allow", "Action", list("firehose:PutRecord", "firehose:PutRecordBatch"), "Resource", arns))),
		"FirehoseRole", role("catchment-firehose-${AWS::Region}", "firehose.amazonaws.com",
			object("StringEquals", object("sts:ExternalId", ref("AWS::AccountId"))), may),
	)...)
}

// role is a role for a service. Its name is fixed: the bucket's policy knows the writers by it.
func role(name, service string, condition node, statements []any) node {
	return object("Type", "AWS::IAM::Role", "Properties", object(
		"RoleName", sub(name),
		"AssumeRolePolicyDocument", policy(object("Effect", "Allow", "Principal", object("Service", service), "Action", "sts:AssumeRole", "Condition", condition)),
		"Policies", list(object("PolicyName", "catchment", "PolicyDocument", policy(statements...))),
		"Tags", tags(),
	))
}

func functionResources() node {
	trusted := policy(object("Effect", "Allow", "Principal", object("Service", "lambda.amazonaws.com"), "Action", "sts:AssumeRole"))
	return object(
		"FunctionRole", object("Type", "AWS::IAM::Role", "Properties", object(
			"RoleName", sub("catchment-transform-${AWS::Region}"), "AssumeRolePolicyDocument", trusted,
			"Policies", list(object("PolicyName", "catchment", "PolicyDocument", policy(object(
				"Effect", "Allow", "Action", list("logs:CreateLogStream", "logs:PutLogEvents"), "Resource", sub("${FunctionLogGroup.Arn}"),
			)))), "Tags", tags(),
		)),
		"FunctionLogGroup", object("Type", "AWS::Logs::LogGroup", "Properties", object("RetentionInDays", 30, "Tags", tags())),
		"Function", object("Type", "AWS::Lambda::Function", "Properties", object(
			"Description", "catchment: one finding a line, with its partition keys", "Runtime", "provided.al2023", "Handler", "bootstrap",
			"Architectures", list("arm64"), "Timeout", 60, "MemorySize", 256, "Role", attribute("FunctionRole", "Arn"),
			"Code", object("S3Bucket", ref("CodeBucket"), "S3Key", ref("CodeKey")),
			"LoggingConfig", object("LogGroup", ref("FunctionLogGroup")), "Tags", tags(),
		)),
	)
}

func alarm(description, namespace, metric string, dimension node, statistic string, threshold int) node {
	return object("Type", "AWS::CloudWatch::Alarm", "Properties", object(
		"AlarmDescription", description, "Namespace", namespace, "MetricName", metric, "Dimensions", list(dimension), "Statistic", statistic,
		"Period", 300, "EvaluationPeriods", 1, "Threshold", threshold, "ComparisonOperator", "GreaterThanThreshold", "TreatMissingData", "notBreaching",
		"AlarmActions", choice("WithTopic", list(ref("AlarmTopicArn")), novalue()),
	))
}

func queueAlarm() member {
	return member{"AlarmDeadLetters", alarm("Events could not be delivered and wait in the dead-letter queue.", "AWS/SQS", "ApproximateNumberOfMessagesVisible",
		object("Name", "QueueName", "Value", attribute("DeadLetters", "QueueName")), "Maximum", 0)}
}

func ruleAlarms(rules []string) node {
	var out node
	for _, r := range rules {
		out = append(out, member{"AlarmInvocations" + r, alarm("EventBridge could not deliver findings.", "AWS/Events", "FailedInvocations",
			object("Name", "RuleName", "Value", ref(r)), "Sum", 0)})
	}
	return out
}

// freshness is how old records may get before the alarm: twice what they are buffered, and some.
func freshness(s Stream) int { return max(int(2*s.Interval.Seconds()), 120) + 300 }

func streamAlarms(o Options, streams []string) node {
	var out node
	for _, name := range streams {
		oldest := 0
		for _, s := range o.Streams {
			oldest = max(oldest, freshness(s))
		}
		dimension := object("Name", "DeliveryStreamName", "Value", ref(name))
		out = append(out,
			member{"AlarmFreshness" + name, alarm("Findings do not get into the bucket in time.", "AWS/Firehose", "DeliveryToS3.DataFreshness", dimension, "Maximum", oldest)},
			member{"AlarmPartitions" + name, alarm("Partitions are over their limit: records lie under the error prefix.", "AWS/Firehose", "PartitionCountExceeded", dimension, "Maximum", 0)},
		)
	}
	return out
}
