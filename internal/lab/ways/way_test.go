package ways

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"example.org/catchment/internal/function"
	"example.org/catchment/internal/pipeline"
)

// A way leads from the administrator's buses to a bucket.
type way struct {
	name   string // of the bucket too
	repeat bool   // it may bring twice what came twice
	by     basis
	early  time.Duration
	late   time.Duration // a finding's folder is that of an hour from so long before its basis to so long after
}

// A basis is what a folder's hour is by.
type basis uint8

const (
	byArrival basis = iota
	byEvent         // the time of the event
	byFinding       // the time of the version of the finding
)

// The names of the ways.
const (
	partitionsDelimiter = "partitions-delimiter"
	partitionsLambda    = "partitions-lambda"
	accountsDelimiter   = "accounts-delimiter"
	accountsLambda      = "accounts-lambda"
	queueCollector      = "queue-collector"
	pushCollector       = "push-collector"
	endpointCollector   = "endpoint-collector"
	queueLambda         = "queue-lambda"
	wholeEvents         = "whole-events" // leads to the importer
)

const functionName = "transform"

// A builder builds ways by the calls that one would make to AWS. The numbers are those of buffers, in seconds.
type builder struct {
	*world

	eventsRole, firehoseRole string
	function                 bool // is there
	interval                 int32
	partitionInterval        int32
	lambdaInterval           int32
}

func newBuilder(w *world) *builder {
	b := &builder{world: w, interval: 300, partitionInterval: 60, lambdaInterval: 60}
	b.eventsRole = w.role("events", "events.amazonaws.com", allow("*", "firehose:PutRecord", "firehose:PutRecordBatch", "events:InvokeApiDestination"))
	b.firehoseRole = w.role("firehose", "firehose.amazonaws.com",
		allow("*", "s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:PutObject", "lambda:InvokeFunction"))
	return b
}

// bucket makes a way's bucket.
func (b *builder) bucket(name string) {
	b.t.Helper()
	b.must(b.lab.S3.CreateBucket(b.lab.Cloud.Accounts.Place(b.administrator, b.regions[0]), name))
}

// oneFinding is how a rule hands the finding over without the envelope around it.
const oneFinding = "$.detail.findings[0]"

// rule makes a rule of the administrator's bus with a target.
func (b *builder) rule(region, name, pattern string, target eventtypes.Target) {
	b.t.Helper()
	client := eventbridge.NewFromConfig(b.config(region))
	_, err := client.PutRule(b.t.Context(), &eventbridge.PutRuleInput{Name: aws.String(name), EventPattern: aws.String(pattern)})
	b.must(err)
	target.Id = aws.String("target")
	out, err := client.PutTargets(b.t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String(name), Targets: []eventtypes.Target{target}})
	b.must(err)
	if out.FailedEntryCount > 0 {
		b.t.Fatal(aws.ToString(out.FailedEntries[0].ErrorMessage))
	}
}

func parameter(name firehosetypes.ProcessorParameterName, value string) firehosetypes.ProcessorParameter {
	return firehosetypes.ProcessorParameter{ParameterName: name, ParameterValue: aws.String(value)}
}

// query finds the partition keys in a finding, which is at a path.
func query(at string) firehosetypes.Processor {
	return firehosetypes.Processor{Type: firehosetypes.ProcessorTypeMetadataExtraction, Parameters: []firehosetypes.ProcessorParameter{
		parameter(firehosetypes.ProcessorParameterNameMetadataExtractionQuery, "{account:"+at+".AwsAccountId,region:"+at+".Region}"),
		parameter(firehosetypes.ProcessorParameterNameJsonParsingEngine, "JQ-1.6"),
	}}
}

func delimiter() firehosetypes.Processor {
	return firehosetypes.Processor{Type: firehosetypes.ProcessorTypeAppendDelimiterToRecord, Parameters: []firehosetypes.ProcessorParameter{
		parameter(firehosetypes.ProcessorParameterNameDelimiter, `\n`),
	}}
}

// transformation is the step through the function. Its many retries sit out what the tests' faults do to it.
func (b *builder) transformation(region string) firehosetypes.Processor {
	b.t.Helper()
	b.makeFunction()
	return firehosetypes.Processor{Type: firehosetypes.ProcessorTypeLambda, Parameters: []firehosetypes.ProcessorParameter{
		parameter(firehosetypes.ProcessorParameterNameLambdaArn, b.arn("lambda", region, b.administrator, "function:"+functionName)),
		parameter(firehosetypes.ProcessorParameterNameLambdaNumberOfRetries, "60"),
		parameter(firehosetypes.ProcessorParameterNameBufferSizeInMb, "0.2"),
		parameter(firehosetypes.ProcessorParameterNameBufferIntervalInSeconds, seconds(b.lambdaInterval)),
	}}
}

// stream makes a delivery stream, and gives the target that leads to it.
func (b *builder) stream(region, name, bucket, prefix string, partitioned bool, steps ...firehosetypes.Processor) eventtypes.Target {
	b.t.Helper()
	interval := b.interval
	if partitioned {
		interval = b.partitionInterval
	}
	d := &firehosetypes.ExtendedS3DestinationConfiguration{
		BucketARN: aws.String(b.arn("s3", "", "", bucket)), RoleARN: aws.String(b.firehoseRole),
		Prefix: aws.String(prefix), ErrorOutputPrefix: aws.String(pipeline.DefaultErrorPrefix),
		BufferingHints: &firehosetypes.BufferingHints{SizeInMBs: aws.Int32(64), IntervalInSeconds: aws.Int32(interval)}, CompressionFormat: firehosetypes.CompressionFormatGzip,
		ProcessingConfiguration: &firehosetypes.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: steps},
	}
	if partitioned {
		d.DynamicPartitioningConfiguration = &firehosetypes.DynamicPartitioningConfiguration{
			Enabled: aws.Bool(true), RetryOptions: &firehosetypes.RetryOptions{DurationInSeconds: aws.Int32(7200)},
		}
	}
	_, err := firehose.NewFromConfig(b.config(region)).CreateDeliveryStream(b.t.Context(), &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String(name), DeliveryStreamType: firehosetypes.DeliveryStreamTypeDirectPut, ExtendedS3DestinationConfiguration: d,
	})
	b.must(err)
	return eventtypes.Target{Arn: aws.String(b.arn("firehose", region, b.administrator, "deliverystream/"+name)), RoleArn: aws.String(b.eventsRole)}
}

// makeFunction makes the function in each region, once: it is the same for all ways.
func (b *builder) makeFunction() {
	b.t.Helper()
	if b.function {
		return
	}
	b.function = true
	b.bucket(queueLambda)
	role := b.role("function", "lambda.amazonaws.com", allow("*", "s3:PutObject", "s3:GetObject", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"))
	for _, region := range b.regions {
		_, err := lambda.NewFromConfig(b.config(region)).CreateFunction(b.t.Context(), &lambda.CreateFunctionInput{
			FunctionName: aws.String(functionName), Role: aws.String(role), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
			Code: &lambdatypes.FunctionCode{ZipFile: b.code}, Timeout: aws.Int32(30), MemorySize: aws.Int32(256),
			Environment: &lambdatypes.Environment{Variables: map[string]string{function.VariableBucket: "s3://" + queueLambda + "?region=" + b.regions[0]}},
		})
		b.must(err)
	}
}

// build builds a way in each region.
func (b *builder) build(name string) *way {
	b.t.Helper()
	v := &way{name: name, repeat: true}
	switch name {
	case partitionsDelimiter:
		b.partitioned(v, oneFinding, query(""))
	case partitionsLambda:
		b.partitionedByLambda(v)
	case accountsDelimiter:
		b.byAccount(v, false)
	case accountsLambda:
		b.byAccount(v, true)
	case wholeEvents:
		b.partitioned(v, "", query(".detail.findings[0]"))
	case queueCollector:
		b.queueToCollector(v)
	case pushCollector:
		b.pushToCollector(v)
	case endpointCollector:
		b.endpointToCollector(v)
	case queueLambda:
		b.queueToLambda(v)
	default:
		b.t.Fatalf("no way is called %q", name)
	}
	return v
}

// partitioned is dynamic partitioning by a query, with Firehose's own delimiter.
func (b *builder) partitioned(v *way, path string, keys firehosetypes.Processor) {
	b.t.Helper()
	b.bucket(v.name)
	for _, region := range b.regions {
		target := b.stream(region, v.name, v.name, pipeline.DefaultPrefix, true, keys, delimiter())
		if path != "" {
			target.InputPath = aws.String(path)
		}
		b.rule(region, v.name, pipeline.DefaultPattern, target)
	}
}

// partitionedByLambda has the function find the keys, take the finding out of the event and end it in a newline.
func (b *builder) partitionedByLambda(v *way) {
	b.t.Helper()
	b.bucket(v.name)
	prefix := strings.ReplaceAll(pipeline.DefaultPrefix, "partitionKeyFromQuery", "partitionKeyFromLambda")
	for _, region := range b.regions {
		b.rule(region, v.name, pipeline.DefaultPattern, b.stream(region, v.name, v.name, prefix, true, b.transformation(region)))
	}
}

// byAccount is the article's own answer: a stream for each account, with its own prefix.
func (b *builder) byAccount(v *way, byLambda bool) {
	b.t.Helper()
	b.bucket(v.name)
	v.early = time.Duration(b.interval) * time.Second // the folder is that of the oldest record in the object
	if byLambda {
		v.early += time.Duration(b.lambdaInterval) * time.Second
	}
	for _, region := range b.regions {
		for _, account := range b.accounts {
			name, prefix := v.name+"-"+account, "AWSLogs/"+account+"/Inspector/"+region+"/"
			var target eventtypes.Target
			if byLambda {
				target = b.stream(region, name, v.name, prefix, false, b.transformation(region))
			} else {
				target = b.stream(region, name, v.name, prefix, false, delimiter())
				target.InputPath = aws.String(oneFinding)
			}
			b.rule(region, name, strings.Replace(pipeline.DefaultPattern, `{"findings":{`, `{"findings":{"AwsAccountId":["`+account+`"],`, 1), target)
		}
	}
}

// active waits until all streams are.
func (b *builder) active() {
	b.t.Helper()
	b.must(b.lab.Cloud.Clock.Advance(b.t.Context(), time.Minute))
}
