package main_test

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

// maxZip is how large the zip may be, in bytes.
const maxZip = 8_000_000

func TestTheZipIsWhatLambdaTakes(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds for two architectures")
	}
	spec := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(spec, []byte("bucket: {url: s3://b}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for arch, machine := range map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64} {
		t.Run(arch, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "f.zip")
			if err := pack(t.Context(), arch, out, "-spec", spec); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if len(content) > maxZip {
				t.Errorf("the zip has %d bytes, over %d", len(content), maxZip)
			}
			z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
			if err != nil {
				t.Fatal(err)
			}
			if len(z.File) != 2 || z.File[0].Name != "bootstrap" || z.File[0].Mode() != 0o755 || z.File[1].Name != "catchment.yaml" || z.File[1].Mode() != 0o644 {
				t.Fatalf("the zip holds %+v, want an executable bootstrap and catchment.yaml", z.File)
			}
			f, err := z.File[0].Open()
			if err != nil {
				t.Fatal(err)
			}
			binary, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			program, err := elf.NewFile(bytes.NewReader(binary))
			if err != nil {
				t.Fatal(err)
			}
			if libraries, err := program.ImportedLibraries(); program.Machine != machine || len(libraries) > 0 {
				t.Errorf("bootstrap is for %v and needs %v, %v; want %v and nothing", program.Machine, libraries, err, machine)
			}
			t.Logf("%s: %.1f MB, unzipped %.1f MB", arch, float64(len(content))/1e6, float64(len(binary))/1e6)
		})
	}
}

func TestPackingAgainMakesTheSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds twice")
	}
	var zips [2][]byte
	for i := range zips {
		out := filepath.Join(t.TempDir(), "f.zip")
		if err := pack(t.Context(), "arm64", out); err != nil {
			t.Fatal(err)
		}
		var err error
		if zips[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Error("the zips differ")
	}
}

func TestThePackerRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, args := range map[string][]string{
		"another architecture":       {"-arch", "386"},
		"an argument":                {"x"},
		"a flag":                     {"-x"},
		"a spec that is not there":   {"-spec", "/does/not/exist", "-o", filepath.Join(t.TempDir(), "x.zip"), "-arch", "amd64"},
		"a folder that is not there": {"-o", "/does/not/exist/x.zip", "-arch", "amd64"},
	} {
		b, err := exec.CommandContext(t.Context(), "go", append([]string{"run", "./pack"}, args...)...).CombinedOutput()
		if err == nil || !bytes.Contains(b, []byte("rror")) && !bytes.Contains(b, []byte("Usage")) {
			t.Errorf("%s: error %v, output %s", name, err, b)
		}
	}
}

// TestFirehoseTakesWhatItAnswers: the whole way of a record, with the keys of a finding's own account and region.
func TestFirehoseTakesWhatItAnswers(t *testing.T) {
	l := newLab(t)
	l.function(t, functionName, policy(t, "firehose"), nil)
	role := l.role(t, "delivery", "firehose.amazonaws.com", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::`+bucketName+
		`","arn:aws:s3:::`+bucketName+`/*"]},{"Effect":"Allow","Action":["lambda:InvokeFunction","lambda:GetFunctionConfiguration"],"Resource":["`+functionARN+`","`+functionARN+`:*"]}]}`)
	client := firehose.NewFromConfig(l.config())
	parameter := func(name firehosetypes.ProcessorParameterName, value string) firehosetypes.ProcessorParameter {
		return firehosetypes.ProcessorParameter{ParameterName: name, ParameterValue: &value}
	}
	_, err := client.CreateDeliveryStream(t.Context(), &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("inspector"), ExtendedS3DestinationConfiguration: &firehosetypes.ExtendedS3DestinationConfiguration{
			BucketARN: aws.String("arn:aws:s3:::" + bucketName), RoleARN: &role,
			Prefix:            aws.String("AWSLogs/!{partitionKeyFromLambda:account}/Inspector/!{partitionKeyFromLambda:region}/!{timestamp:yyyy/MM/dd/HH}/"),
			ErrorOutputPrefix: aws.String("errors/!{firehose:error-output-type}/"), CompressionFormat: firehosetypes.CompressionFormatGzip,
			BufferingHints:                   &firehosetypes.BufferingHints{SizeInMBs: aws.Int32(64), IntervalInSeconds: aws.Int32(60)},
			DynamicPartitioningConfiguration: &firehosetypes.DynamicPartitioningConfiguration{Enabled: aws.Bool(true)},
			ProcessingConfiguration: &firehosetypes.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []firehosetypes.Processor{{
				Type: firehosetypes.ProcessorTypeLambda, Parameters: []firehosetypes.ProcessorParameter{
					parameter(firehosetypes.ProcessorParameterNameLambdaArn, functionARN+":$LATEST"),
					parameter(firehosetypes.ProcessorParameterNameBufferSizeInMb, "1"), parameter(firehosetypes.ProcessorParameterNameBufferIntervalInSeconds, "60"),
				},
			}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, l.cloud, time.Minute)
	one, two := finding("222222222222", "eu-west-1", "1"), finding("333333333333", "us-east-1", "2")
	in := &firehose.PutRecordBatchInput{DeliveryStreamName: aws.String("inspector")}
	for _, data := range []string{imported(one), imported(two), imported(strings.ReplaceAll(one, `"Inspector"`, `"GuardDuty"`)), "broken", imported(one)} {
		in.Records = append(in.Records, firehosetypes.Record{Data: []byte(data)})
	}
	if out, err := client.PutRecordBatch(t.Context(), in); err != nil || *out.FailedPutCount > 0 {
		t.Fatal(out, err)
	}
	labtest.Advance(t, l.cloud, 10*time.Minute)
	for prefix, want := range map[string][]string{
		"AWSLogs/222222222222/Inspector/eu-west-1/2026/11/22/": {one, one},
		"AWSLogs/333333333333/Inspector/us-east-1/2026/11/22/": {two},
		"AWSLogs/": {one, one, two},
	} {
		if diff := cmp.Diff(want, l.lines(t, prefix)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", prefix, diff)
		}
	}
	var failed struct {
		RawData []byte `json:"rawData"`
	}
	if lines := l.lines(t, "errors/processing-failed/"); len(lines) != 1 || json.Unmarshal([]byte(lines[0]), &failed) != nil || string(failed.RawData) != "broken" {
		t.Errorf("error records %s, want one of the broken record; log:\n%s", lines, l.log())
	}
	if !strings.Contains(l.log(), `"failed":{"invalid-json":1}`) {
		t.Errorf("log:\n%s", l.log())
	}
}

// TestAQueueIsEmptiedIntoTheBucket: what cannot be put stays in the queue, and comes again.
func TestAQueueIsEmptiedIntoTheBucket(t *testing.T) {
	l := newLab(t)
	queues := sqs.NewFromConfig(l.config())
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(queueName), Attributes: map[string]string{"VisibilityTimeout": "120"}})
	if err != nil {
		t.Fatal(err)
	}
	functions := l.function(t, functionName, policy(t, "sqs"), map[string]string{"CATCHMENT_BUCKET": "s3://" + bucketName})
	if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDeny, Service: "s3", Action: "PutObject", Times: 1}); err != nil {
		t.Fatal(err)
	}
	one, two := finding("222222222222", "eu-west-1", "1"), finding("333333333333", "us-east-1", "2")
	for _, body := range []string{imported(one), imported(two), "broken"} {
		if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = functions.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String(functionName), EventSourceArn: aws.String("arn:aws:sqs:" + labtest.Region + ":" + labtest.Administrator + ":" + queueName),
		BatchSize: aws.Int32(100), MaximumBatchingWindowInSeconds: aws.Int32(10), FunctionResponseTypes: []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures},
	})
	if err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, l.cloud, time.Minute)
	if lines := l.lines(t, ""); len(lines) != 2 {
		t.Errorf("%d lines after an object was refused, want 2; log:\n%s", len(lines), l.log())
	}
	labtest.Advance(t, l.cloud, 5*time.Minute)
	if diff := cmp.Diff([]string{one, two}, l.lines(t, "AWSLogs/")); diff != "" || len(l.lines(t, "errors/processing-failed/2026/11/22/13/")) != 1 {
		t.Errorf("lines (-want +got):\n%s\nlog:\n%s", diff, l.log())
	}
	got, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: queue.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	if err != nil || got.Attributes["ApproximateNumberOfMessages"] != "0" || got.Attributes["ApproximateNumberOfMessagesNotVisible"] != "0" {
		t.Errorf("the queue has %v, %v; want no messages", got, err)
	}
	if !strings.Contains(l.log(), `"msg":"messages stay in the queue","messages":3,"failed":1`) {
		t.Errorf("log:\n%s", l.log())
	}
}

// finish makes a run of Inspector Classic whose notice goes to a topic, and lets it end.
func (l *lab) finish(t *testing.T, topic string) (run string) {
	t.Helper()
	client := inspector.NewFromConfig(l.config())
	packages, err := client.ListRulesPackages(t.Context(), &inspector.ListRulesPackagesInput{})
	if err != nil {
		t.Fatal(err)
	}
	target, err := client.CreateAssessmentTarget(t.Context(), &inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("all")})
	if err != nil {
		t.Fatal(err)
	}
	template, err := client.CreateAssessmentTemplate(t.Context(), &inspector.CreateAssessmentTemplateInput{
		AssessmentTargetArn: target.AssessmentTargetArn, AssessmentTemplateName: aws.String("all"), DurationInSeconds: aws.Int32(900), RulesPackageArns: packages.RulesPackageArns,
	})
	if err != nil {
		t.Fatal(err)
	}
	if topic != "" {
		_, err := client.SubscribeToEvent(t.Context(), &inspector.SubscribeToEventInput{
			ResourceArn: template.AssessmentTemplateArn, Event: inspectortypes.InspectorEventAssessmentRunCompleted, TopicArn: &topic,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	started, err := client.StartAssessmentRun(t.Context(), &inspector.StartAssessmentRunInput{AssessmentTemplateArn: template.AssessmentTemplateArn})
	if err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, l.cloud, 2*time.Hour)
	return *started.AssessmentRunArn
}

// TestARunThatEndsGetsIntoTheBucketByItself: Inspector tells SNS, SNS invokes the function.
func TestARunThatEndsGetsIntoTheBucketByItself(t *testing.T) {
	l := newLab(t)
	functions := l.function(t, functionName, policy(t, "run"), map[string]string{"CATCHMENT_BUCKET": "s3://" + bucketName})
	topics := sns.NewFromConfig(l.config())
	// Inspector publishes as an account of AWS: that of the rules packages in Tokyo.
	topic, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("runs"), Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::406045910587:root"},"Action":"sns:Publish","Resource":"*"}]}`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = functions.AddPermission(t.Context(), &lambda.AddPermissionInput{
		FunctionName: aws.String(functionName), StatementId: aws.String("sns"), Action: aws.String("lambda:InvokeFunction"),
		Principal: aws.String("sns.amazonaws.com"), SourceArn: topic.TopicArn,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("lambda"), Endpoint: aws.String(functionARN)}); err != nil {
		t.Fatal(err)
	}
	run := l.finish(t, *topic.TopicArn)
	described, err := inspector.NewFromConfig(l.config()).DescribeAssessmentRuns(t.Context(), &inspector.DescribeAssessmentRunsInput{AssessmentRunArns: []string{run}})
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, n := range described.AssessmentRuns[0].FindingCounts {
		want += int(n)
	}
	got := l.lines(t, "AWSLogs/"+labtest.Administrator+"/Inspector/"+labtest.Region+"/2026/11/22/13/")
	if want == 0 || len(got) != want || len(l.lines(t, "")) != want {
		t.Errorf("%d lines of %d findings, %d in all; log:\n%s", len(got), want, len(l.lines(t, "")), l.log())
	}
}

// TestEachPermissionOfThePoliciesIsNeeded, and no other is.
func TestEachPermissionOfThePoliciesIsNeeded(t *testing.T) {
	l := newLab(t)
	run := l.finish(t, "")
	variables := map[string]string{"CATCHMENT_BUCKET": "s3://" + bucketName}
	notice := `{"detail":{"assessmentRunArn":"` + run + `"}}`
	messages := `{"Records":[{"messageId":"a","eventSource":"aws:sqs","attributes":{"SentTimestamp":"1795353255000"},"body":` + quote(t, finding("222222222222", "eu-west-1", "1")) + `}]}`
	for i, action := range []string{"inspector:DescribeAssessmentRuns", "inspector:ListFindings", "inspector:DescribeFindings", "s3:PutObject"} {
		name := "lacks-" + string(rune('a'+i))
		functions := l.function(t, name, without(t, policy(t, "run"), action), variables)
		if answer, failed := invoke(t, functions, name, notice); !failed || !strings.Contains(answer, "AccessDenied") && !strings.Contains(answer, "Forbidden") {
			t.Errorf("without %s: %s, want that it is denied", action, answer)
		}
	}
	for _, trigger := range []struct{ name, event string }{{"run", notice}, {"sqs", messages}} {
		document := policy(t, trigger.name)
		functions := l.function(t, trigger.name, document, variables)
		if answer, failed := invoke(t, functions, trigger.name, trigger.event); failed {
			t.Fatalf("%s: %s", trigger.name, answer)
		}
		before := len(l.lines(t, ""))
		if answer, failed := invoke(t, functions, trigger.name, trigger.event); failed || len(l.lines(t, "")) != before {
			t.Errorf("%s, the second time: %d lines after %d; %s", trigger.name, len(l.lines(t, "")), before, answer)
		}
	}
	functions := l.function(t, "lacks-get", without(t, policy(t, "run"), "s3:GetObject"), variables)
	if answer, failed := invoke(t, functions, "lacks-get", notice); !failed || !strings.Contains(answer, "s3:GetObject") {
		t.Errorf("what is there cannot be recognised without s3:GetObject: %s", answer)
	}
	if answer, failed := invoke(t, l.function(t, "transforms", policy(t, "firehose"), nil), "transforms", transformation); failed || !strings.Contains(answer, `"result":"Ok"`) {
		t.Errorf("a transformation: %s", answer)
	}
}

func quote(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAFunctionThatCannotStartSaysWhy(t *testing.T) {
	l := newLab(t)
	functions := l.function(t, functionName, policy(t, "firehose"), map[string]string{"CATCHMENT_SPEC": "bukket: x\n"})
	if answer, failed := invoke(t, functions, functionName, transformation); !failed || !strings.Contains(l.log(), "CATCHMENT_SPEC:1:1: bukket") {
		t.Errorf("answer %s, log %s", answer, l.log())
	}
}
