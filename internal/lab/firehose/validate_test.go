package firehose_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"example.org/catchment/internal/lab/firehose"
)

type (
	s3Change       = func(*types.ExtendedS3DestinationConfiguration)
	endpointChange = func(*types.HttpEndpointDestinationConfiguration)
)

// refuse fails for each stream that can be created, though something is wrong with it.
func refuse(t *testing.T, l *lab, in *sdk.CreateDeliveryStreamInput, code, message string) {
	t.Helper()
	if in.DeliveryStreamName == nil {
		in.DeliveryStreamName = aws.String("findings")
	}
	_, err := l.client.CreateDeliveryStream(t.Context(), in)
	if err == nil {
		t.Fatal("the stream was created")
	}
	wantError(t, err, code, message)
}

const (
	invalid = "InvalidArgumentException"
	model   = "ValidationException"
)

func TestWhatIsWrongWithAnS3DestinationIsSaid(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	prefixes := func(p, e string) s3Change {
		return func(s *types.ExtendedS3DestinationConfiguration) {
			s.Prefix = aws.String(p)
			if e != "" {
				s.ErrorOutputPrefix = aws.String(e)
			}
		}
	}
	compression := func(c types.CompressionFormat) s3Change {
		return func(s *types.ExtendedS3DestinationConfiguration) { s.CompressionFormat = c }
	}
	for name, test := range map[string]struct {
		change        s3Change
		code, message string
	}{
		"a role that is no ARN": {
			func(s *types.ExtendedS3DestinationConfiguration) { s.RoleARN = aws.String("firehose") }, model,
			`'extendedS3DestinationConfiguration.roleARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:.*:iam::`,
		},
		"a bucket that is no ARN": {func(s *types.ExtendedS3DestinationConfiguration) { s.BucketARN = aws.String("bucket") }, model, "bucketARN"},
		"a buffer of 0 MiB":       {func(s *types.ExtendedS3DestinationConfiguration) { s.BufferingHints = hints(0, 60) }, model, "value greater than or equal to 1"},
		"a buffer of 129 MiB":     {func(s *types.ExtendedS3DestinationConfiguration) { s.BufferingHints = hints(129, 60) }, model, "value less than or equal to 128"},
		"an interval of 901 s":    {func(s *types.ExtendedS3DestinationConfiguration) { s.BufferingHints = hints(1, 901) }, model, "value less than or equal to 900"},
		"an interval below 0":     {func(s *types.ExtendedS3DestinationConfiguration) { s.BufferingHints = hints(1, -1) }, model, "value greater than or equal to 0"},
		"only a size": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.BufferingHints = &types.BufferingHints{SizeInMBs: aws.Int32(1)}
		}, invalid, "you must also specify"},
		"only an interval": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.BufferingHints = &types.BufferingHints{IntervalInSeconds: aws.Int32(1)}
		}, invalid, "you must also specify"},
		"an unknown compression": {compression("gzip"), model, "enum value set: [UNCOMPRESSED, GZIP, ZIP, Snappy, HADOOP_SNAPPY]"},
		"ZIP":                    {compression(types.CompressionFormatZip), invalid, "does not have the CompressionFormat ZIP"},
		"Snappy":                 {compression(types.CompressionFormatSnappy), invalid, "does not have the CompressionFormat Snappy"},
		"HADOOP_SNAPPY":          {compression(types.CompressionFormatHadoopSnappy), invalid, "does not have the CompressionFormat HADOOP_SNAPPY"},
		"both encryptions": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.EncryptionConfiguration = &types.EncryptionConfiguration{
				NoEncryptionConfig:  types.NoEncryptionConfigNoEncryption,
				KMSEncryptionConfig: &types.KMSEncryptionConfig{AWSKMSKeyARN: aws.String("arn:aws:kms:r:111111111111:key/1")},
			}
		}, invalid, "Exactly one of NoEncryptionConfig or KMSEncryptionConfig must be specified"},
		"a key that is no ARN": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.EncryptionConfiguration = &types.EncryptionConfiguration{KMSEncryptionConfig: &types.KMSEncryptionConfig{AWSKMSKeyARN: aws.String("alias/x")}}
		}, model, "aWSKMSKeyARN"},
		"a prefix of 1,025 characters":          {prefixes(strings.Repeat("x", 1025), ""), model, "length less than or equal to 1024"},
		"a prefix that evaluates to 513":        {prefixes(strings.Repeat("abcdefg/", 64)+"x", ""), invalid, "Length of evaluated prefix cannot be greater than 512"},
		"an error prefix that evaluates to 513": {prefixes("x/", strings.Repeat("abcdefg/", 63)+"!{firehose:error-output-type}/"), invalid, "Length of evaluated ErrorOutputPrefix cannot be greater than 512"},
		"an expression that is not closed":      {prefixes("a!{b", "e/"), invalid, "Invalid expression usage"},
		"an unknown namespace":                  {prefixes("!{time:yyyy}/", "e/"), invalid, `unknown namespace "time"`},
		"an unknown value":                      {prefixes("!{firehose:random}/", "e/"), invalid, "Invalid keyword or conversion"},
		"a pattern that is none":                {prefixes("!{timestamp:C}/", "e/"), invalid, "Invalid conversion character used in the value of the expression in Prefix"},
		"an error type in the prefix":           {prefixes("!{firehose:error-output-type}/", "e/"), invalid, "Prefix must not contain any occurrence of !{firehose:error-output-type}"},
		"expressions without an error prefix":   {prefixes("!{timestamp:yyyy}/", ""), invalid, "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"},
		"an error prefix without its type":      {prefixes("x/", "!{timestamp:yyyy}/"), invalid, "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}"},
		"a partition key in the error prefix":   {prefixes("x/", "!{partitionKeyFromQuery:a}/!{firehose:error-output-type}/"), invalid, "Dynamic Partitioning Namespaces can't be part of an error prefix expression"},
		"a partition key without partitioning":  {prefixes("!{partitionKeyFromQuery:a}/", "e/"), invalid, "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled."},
		"a time zone with a plus":               {func(s *types.ExtendedS3DestinationConfiguration) { s.CustomTimeZone = aws.String("Etc/GMT+9") }, model, "customTimeZone"},
		"a time zone of 51 characters": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.CustomTimeZone = aws.String(strings.Repeat("x", 51))
		}, model, "less than or equal to 50"},
		"a time zone that is not there": {func(s *types.ExtendedS3DestinationConfiguration) { s.CustomTimeZone = aws.String("Asia/Tokio") }, invalid, "CustomTimeZone"},
		"an extension without its dot":  {func(s *types.ExtendedS3DestinationConfiguration) { s.FileExtension = aws.String("json") }, model, "fileExtension"},
		"an extension in capitals":      {func(s *types.ExtendedS3DestinationConfiguration) { s.FileExtension = aws.String(".JSON") }, model, "fileExtension"},
		"an extension of 129 characters": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.FileExtension = aws.String("." + strings.Repeat("x", 128))
		}, model, "less than or equal to 128"},
		"a backup mode that is none":  {func(s *types.ExtendedS3DestinationConfiguration) { s.S3BackupMode = "On" }, model, "enum value set: [Disabled, Enabled]"},
		"a backup without its bucket": {func(s *types.ExtendedS3DestinationConfiguration) { s.S3BackupMode = types.S3BackupModeEnabled }, invalid, "S3 backup destination configuration is required when enabling S3 backup."},
		"a backup that does not buffer": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.S3BackupMode = types.S3BackupModeEnabled
			s.S3BackupConfiguration = &types.S3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(backup), BufferingHints: hints(1, 59)}
		}, invalid, "at least 60 seconds for the S3 backup bucket"},
		"format conversion": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.DataFormatConversionConfiguration = &types.DataFormatConversionConfiguration{Enabled: aws.Bool(true)}
		}, invalid, "does not have data format conversion"},
		"a log group that is none": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.CloudWatchLoggingOptions = &types.CloudWatchLoggingOptions{Enabled: aws.Bool(true), LogGroupName: aws.String("a b")}
		}, model, "logGroupName"},
		"two things at once": {func(s *types.ExtendedS3DestinationConfiguration) {
			s.RoleARN, s.BucketARN = aws.String("x"), aws.String("y")
		}, model, "2 validation errors detected"},
	} {
		t.Run(name, func(t *testing.T) {
			s3 := &types.ExtendedS3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(bucket)}
			test.change(s3)
			refuse(t, l, &sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: s3}, test.code, test.message)
		})
	}
}

func TestWhatIsWrongWithProcessorsAndPartitionsIsSaid(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	with := func(p ...types.Processor) s3Change {
		return func(s *types.ExtendedS3DestinationConfiguration) { s.ProcessingConfiguration = processors(p...) }
	}
	partitioned := func(change s3Change) s3Change {
		return func(s *types.ExtendedS3DestinationConfiguration) {
			partition(s)
			change(s)
		}
	}
	extraction := func(q string) types.Processor {
		return step("MetadataExtraction", "MetadataExtractionQuery", q, "JsonParsingEngine", "JQ-1.6")
	}
	var many strings.Builder
	for i := range 51 {
		many.WriteString("k" + strconv.Itoa(i) + ":.a,")
	}
	nop := step("AppendDelimiterToRecord")
	for name, test := range map[string]struct {
		change        s3Change
		code, message string
	}{
		"no processors":                     {with(), invalid, "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled."},
		"six processors":                    {with(nop, nop, nop, nop, nop, nop), invalid, "A maximum of 5"},
		"two of a kind":                     {with(nop, nop), invalid, "Cannot have more than 1 AppendDelimiterToRecord processor."},
		"an unknown processor":              {with(step("Lambdas")), model, "enum value set"},
		"an unknown parameter":              {with(step("Lambda", "Arn", lambda)), model, "enum value set"},
		"a parameter that is empty":         {with(step("Lambda", "LambdaArn", "")), model, "greater than or equal to 1"},
		"a parameter that is blank":         {with(step("Lambda", "LambdaArn", "  ")), model, `^(?!\s*$).+`},
		"a parameter of 5,121 characters":   {with(step("Lambda", "LambdaArn", strings.Repeat("x", 5121))), model, "less than or equal to 5120"},
		"decompression":                     {with(step("Decompression", "CompressionFormat", "GZIP")), invalid, "does not have the processor Decompression"},
		"log processing":                    {with(step("CloudWatchLogProcessing", "DataMessageExtraction", "true")), invalid, "does not have the processor CloudWatchLogProcessing"},
		"a function without its ARN":        {with(step("Lambda")), invalid, "LambdaArn is required when Lambda processor is used."},
		"a function that is no ARN":         {with(step("Lambda", "LambdaArn", "newline")), invalid, "is not the ARN of a function"},
		"a processor's role that is no ARN": {with(step("Lambda", "LambdaArn", lambda, "RoleArn", "x")), invalid, "is not the ARN of a role"},
		"301 retries":                       {with(step("Lambda", "LambdaArn", lambda, "NumberOfRetries", "301")), invalid, "Number of retries for lambda must be between 0 and 300."},
		"a function's buffer of 4 MB":       {with(step("Lambda", "LambdaArn", lambda, "BufferSizeInMBs", "4", "BufferIntervalInSeconds", "60")), invalid, "BufferSizeInMBs for lambda processor must be between 0.2 and 3."},
		"a function's buffer of 0.1 MB":     {with(step("Lambda", "LambdaArn", lambda, "BufferSizeInMBs", "0.1", "BufferIntervalInSeconds", "60")), invalid, "between 0.2 and 3."},
		"a function's buffer that is NaN":   {with(step("Lambda", "LambdaArn", lambda, "BufferSizeInMBs", "NaN", "BufferIntervalInSeconds", "60")), invalid, "between 0.2 and 3."},
		"a function's interval of 901 s":    {with(step("Lambda", "LambdaArn", lambda, "BufferSizeInMBs", "1", "BufferIntervalInSeconds", "901")), invalid, "BufferIntervalInSeconds for lambda processor must be between 0 and 900."},
		"one hint of two":                   {with(step("Lambda", "LambdaArn", lambda, "BufferSizeInMBs", "1")), invalid, "Both BufferSizeInMBs and BufferIntervalInSeconds are required to configure buffering for lambda processor."},
		"an unknown de-aggregation":         {with(step("RecordDeAggregation", "SubRecordType", "XML")), invalid, "SubRecordType has to be one of JSON, DELIMITED"},
		"DELIMITED without a delimiter":     {with(step("RecordDeAggregation", "SubRecordType", "DELIMITED")), invalid, "Delimiter should be present for DELIMITED"},
		"a delimiter that is no base64":     {with(step("RecordDeAggregation", "SubRecordType", "DELIMITED", "Delimiter", "#")), invalid, "base64"},
		"a query without partitioning":      {with(extraction("{a:.a}")), invalid, "MetadataExtractionProcessor can only be present when Dynamic Partitioning is enabled."},
		"a buffer below 64 MiB": {
			partitioned(func(s *types.ExtendedS3DestinationConfiguration) { s.BufferingHints = hints(63, 60) }), invalid,
			"BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.",
		},
		"an interval below 60 s": {
			partitioned(func(s *types.ExtendedS3DestinationConfiguration) { s.BufferingHints = hints(64, 59) }), invalid,
			"BufferingHints.IntervalInSeconds must be at least 60 seconds when Dynamic Partitioning is enabled.",
		},
		"no keys at all": {partitioned(func(s *types.ExtendedS3DestinationConfiguration) { s.ProcessingConfiguration = nil }), invalid, "MetadataExtraction or a Lambda processor is required"},
		"no keys in the prefix": {
			partitioned(func(s *types.ExtendedS3DestinationConfiguration) { s.Prefix = aws.String("x/") }), invalid,
			"S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled",
		},
		"no error prefix": {partitioned(func(s *types.ExtendedS3DestinationConfiguration) { s.ErrorOutputPrefix = nil }), invalid, "ErrorOutputPrefix cannot be null or empty"},
		"a key that the prefix does not use": {
			partitioned(func(s *types.ExtendedS3DestinationConfiguration) {
				s.Prefix = aws.String("!{partitionKeyFromQuery:region}/")
			}), invalid,
			"MetaDataExtraction JQ Query can't contain keys that are not present in the S3 Prefix expression",
		},
		"a key that the query does not give": {partitioned(func(s *types.ExtendedS3DestinationConfiguration) {
			s.Prefix = aws.String("!{partitionKeyFromQuery:region}/!{partitionKeyFromQuery:accountId}/!{partitionKeyFromQuery:x}/")
		}), invalid, "not defined"},
		"a key of a function that is not there": {partitioned(func(s *types.ExtendedS3DestinationConfiguration) {
			s.Prefix = aws.String(*s.Prefix + "!{partitionKeyFromLambda:x}/")
		}), invalid, "Lambda processor should be present"},
		"another engine":            {partitioned(with(step("MetadataExtraction", "MetadataExtractionQuery", query, "JsonParsingEngine", "JQ-1.7"))), invalid, "MetaDataExtraction JSON Parsing Engine has to be one of JQ-1.6"},
		"no query":                  {partitioned(with(step("MetadataExtraction", "JsonParsingEngine", "JQ-1.6"))), invalid, "Query is required"},
		"a query that is no jq":     {partitioned(with(extraction("{a:"))), invalid, "MetaDataExtraction JQ Query is not valid"},
		"a query that is no object": {partitioned(with(extraction(".a"))), invalid, "MetaDataExtraction JQ Query is not valid"},
		// 51 of them do not fit into a prefix of 1,024 characters: it says so first.
		"51 keys": {partitioned(with(extraction("{" + strings.TrimSuffix(many.String(), ",") + "}"))), invalid, "at most 50 partition keys; there are 51"},
		"retries of 7,201 s": {partitioned(func(s *types.ExtendedS3DestinationConfiguration) {
			s.DynamicPartitioningConfiguration.RetryOptions = &types.RetryOptions{DurationInSeconds: aws.Int32(7201)}
		}), model, "less than or equal to 7200"},
	} {
		t.Run(name, func(t *testing.T) {
			s3 := &types.ExtendedS3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(bucket)}
			test.change(s3)
			refuse(t, l, &sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: s3}, test.code, test.message)
		})
	}
}

func TestWhatIsWrongWithAnEndpointIsSaid(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	url := func(u string) endpointChange {
		return func(h *types.HttpEndpointDestinationConfiguration) { h.EndpointConfiguration.Url = aws.String(u) }
	}
	attributes := func(a ...string) endpointChange {
		return func(h *types.HttpEndpointDestinationConfiguration) {
			h.RequestConfiguration = &types.HttpEndpointRequestConfiguration{}
			for _, name := range a {
				h.RequestConfiguration.CommonAttributes = append(h.RequestConfiguration.CommonAttributes, types.HttpEndpointCommonAttribute{AttributeName: aws.String(name), AttributeValue: aws.String("")})
			}
		}
	}
	for name, test := range map[string]struct {
		change        endpointChange
		code, message string
	}{
		"http to the world":         {url("http://collector.example.com/"), invalid, "http is for loopback addresses only"},
		"another port":              {url("https://collector.example.com:8443/"), invalid, "the port has to be 443"},
		"no URL":                    {url("collector"), model, "https://.*"},
		"a URL of 1,001 characters": {url("https://collector.example.com/" + strings.Repeat("x", 971)), model, "less than or equal to 1000"},
		"a buffer of 65 MiB":        {func(h *types.HttpEndpointDestinationConfiguration) { h.BufferingHints.SizeInMBs = aws.Int32(65) }, model, "value less than or equal to 64"},
		"an interval of 901 s": {func(h *types.HttpEndpointDestinationConfiguration) {
			h.BufferingHints.IntervalInSeconds = aws.Int32(901)
		}, model, "value less than or equal to 900"},
		"one hint of two": {func(h *types.HttpEndpointDestinationConfiguration) { h.BufferingHints.SizeInMBs = nil }, invalid, "you must also specify"},
		"retries of 7,201 s": {func(h *types.HttpEndpointDestinationConfiguration) {
			h.RetryOptions = &types.HttpEndpointRetryOptions{DurationInSeconds: aws.Int32(7201)}
		}, model, "less than or equal to 7200"},
		"a key of 4,097 characters": {func(h *types.HttpEndpointDestinationConfiguration) {
			h.EndpointConfiguration.AccessKey = aws.String(strings.Repeat("x", 4097))
		}, model, "less than or equal to 4096"},
		"51 attributes":                  {attributes(strings.Split(strings.Repeat("x ", 50)+"x", " ")...), model, "less than or equal to 50"},
		"an attribute twice":             {attributes("a", "a"), invalid, "Http Endpoint Common Attributes have duplicate name 'a'"},
		"an attribute of 257 characters": {attributes(strings.Repeat("x", 257)), model, "less than or equal to 256"},
		"an unknown encoding": {func(h *types.HttpEndpointDestinationConfiguration) {
			h.RequestConfiguration = &types.HttpEndpointRequestConfiguration{ContentEncoding: "br"}
		}, model, "enum value set: [NONE, GZIP]"},
		"an unknown backup mode": {func(h *types.HttpEndpointDestinationConfiguration) { h.S3BackupMode = "Enabled" }, model, "enum value set: [FailedDataOnly, AllData]"},
		"dynamic partitioning": {func(h *types.HttpEndpointDestinationConfiguration) {
			h.S3Configuration.Prefix = aws.String("!{partitionKeyFromQuery:a}/")
		}, invalid, "Dynamic Partitioning Namespaces can only"},
		"Secrets Manager": {func(h *types.HttpEndpointDestinationConfiguration) {
			h.SecretsManagerConfiguration = &types.SecretsManagerConfiguration{Enabled: aws.Bool(true)}
		}, invalid, "does not have Secrets Manager"},
	} {
		t.Run(name, func(t *testing.T) {
			h := endpointConfig("https://collector.example.com/")
			test.change(h)
			refuse(t, l, &sdk.CreateDeliveryStreamInput{HttpEndpointDestinationConfiguration: h}, test.code, test.message)
		})
	}
}

func TestWhatIsWrongWithAStreamIsSaid(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	s3 := plainS3()
	for name, test := range map[string]struct {
		in            *sdk.CreateDeliveryStreamInput
		code, message string
	}{
		"a name of 65 characters": {
			&sdk.CreateDeliveryStreamInput{DeliveryStreamName: aws.String(strings.Repeat("x", 65)), ExtendedS3DestinationConfiguration: s3}, model,
			"1 validation error detected: Value '" + strings.Repeat("x", 65) + "' at 'deliveryStreamName' failed to satisfy constraint: Member must have length less than or equal to 64",
		},
		"a name with a space": {&sdk.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("a b"), ExtendedS3DestinationConfiguration: s3}, model, "pattern: [a-zA-Z0-9_.-]+"},
		"no destination":      {&sdk.CreateDeliveryStreamInput{}, invalid, "Exactly one destination configuration is supported for a Firehose"},
		"two destinations":    {&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: s3, HttpEndpointDestinationConfiguration: endpointConfig("https://a/")}, invalid, "Exactly one destination"},
		"another type":        {&sdk.CreateDeliveryStreamInput{DeliveryStreamType: types.DeliveryStreamTypeMSKAsSource, ExtendedS3DestinationConfiguration: s3}, invalid, "does not have the DeliveryStreamType MSKAsSource"},
		"an unknown type":     {&sdk.CreateDeliveryStreamInput{DeliveryStreamType: "Direct", ExtendedS3DestinationConfiguration: s3}, model, "enum value set"},
		"Splunk": {&sdk.CreateDeliveryStreamInput{SplunkDestinationConfiguration: &types.SplunkDestinationConfiguration{
			HECEndpoint: aws.String("x"), HECEndpointType: types.HECEndpointTypeRaw, S3Configuration: &types.S3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(bucket)},
		}}, invalid, "does not have the destination Splunk"},
		"a Kinesis stream": {&sdk.CreateDeliveryStreamInput{KinesisStreamSourceConfiguration: &types.KinesisStreamSourceConfiguration{
			KinesisStreamARN: aws.String("x"), RoleARN: aws.String(role),
		}, ExtendedS3DestinationConfiguration: s3}, invalid, "does not have the source Kinesis stream"},
		"51 tags":                 {&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: s3, Tags: slicesOf(51)}, model, "less than or equal to 50"},
		"a tag of AWS's":          {&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: s3, Tags: []types.Tag{{Key: aws.String("aws:x")}}}, model, "(?!aws:)"},
		"a hint of 101 MB/s":      {&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: s3, DirectPutSourceConfiguration: &types.DirectPutSourceConfiguration{ThroughputHintInMBs: aws.Int32(101)}}, model, "less than or equal to 100"},
		"an unknown kind of keys": {&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: s3, DeliveryStreamEncryptionConfigurationInput: &types.DeliveryStreamEncryptionConfigurationInput{KeyType: "x"}}, model, "enum value set"},
	} {
		t.Run(name, func(t *testing.T) { refuse(t, l, test.in, test.code, test.message) })
	}
}

func slicesOf(n int) []types.Tag {
	out := make([]types.Tag, n)
	for i := range out {
		out[i].Key = aws.String(strings.Repeat("x", i+1))
	}
	return out
}

func TestExpressionsThatAreMeantAreTaken(t *testing.T) {
	for name, change := range map[string]s3Change{
		"a fixed error prefix": func(s *types.ExtendedS3DestinationConfiguration) {
			s.Prefix, s.ErrorOutputPrefix = aws.String("!{timestamp:yyyy}/"), aws.String("errors/")
		},
		"the console's error prefix": func(s *types.ExtendedS3DestinationConfiguration) {
			s.ErrorOutputPrefix = aws.String("!{firehose:error-output-type}/")
		},
		"an empty time zone and extension": func(s *types.ExtendedS3DestinationConfiguration) {
			s.CustomTimeZone, s.FileExtension, s.Prefix = aws.String(""), aws.String(""), aws.String("")
		},
		"partitioning without hints": func(s *types.ExtendedS3DestinationConfiguration) {
			partition(s)
			s.BufferingHints = nil
		},
		"processing that is off": func(s *types.ExtendedS3DestinationConfiguration) {
			s.ProcessingConfiguration = &types.ProcessingConfiguration{Enabled: aws.Bool(false)}
		},
	} {
		t.Run(name, func(t *testing.T) { newLab(t, firehose.Settings{}).createS3(change) })
	}
}
