package firehose_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/firehose"
)

// These tests hold single facts of AWS's documents that no other test of the package needs. doc/aws-behaviour.md lists all.

func TestOperationsOnStreamsThatAreNotThereOrNotReady(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	update := func(name string) error {
		_, err := l.client.UpdateDestination(t.Context(), &sdk.UpdateDestinationInput{
			DeliveryStreamName: &name, DestinationId: aws.String("destinationId-000000000001"), CurrentDeliveryStreamVersionId: aws.String("1"),
			ExtendedS3DestinationUpdate: &types.ExtendedS3DestinationUpdate{Prefix: aws.String("x/")},
		})
		return err
	}
	wantError(t, update("absent"), "ResourceNotFoundException", "absent")
	_, err := l.client.PutRecordBatch(t.Context(), &sdk.PutRecordBatchInput{DeliveryStreamName: aws.String("absent"), Records: []types.Record{{Data: []byte("x")}}})
	wantError(t, err, "ResourceNotFoundException", "absent")
	if _, err := l.client.CreateDeliveryStream(t.Context(), &sdk.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("findings"), ExtendedS3DestinationConfiguration: plainS3(),
	}); err != nil {
		t.Fatal(err)
	}
	wantError(t, update("findings"), "ResourceInUseException", "CREATING")
	l.advance(5 * time.Second)
	if err := update("findings"); err != nil {
		t.Error(err)
	}
}

func TestACustomersKeyHasToBeThereAndEncryptsFiveHundredStreams(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	keys := &receiver{missing: "1234"}
	l.cloud.Receivers.Register("kms", keys)
	create := func(name string) error {
		_, err := l.client.CreateDeliveryStream(t.Context(), &sdk.CreateDeliveryStreamInput{
			DeliveryStreamName: &name, ExtendedS3DestinationConfiguration: plainS3(),
			DeliveryStreamEncryptionConfigurationInput: &types.DeliveryStreamEncryptionConfigurationInput{
				KeyType: types.KeyTypeCustomerManagedCmk, KeyARN: aws.String("arn:aws:kms:ap-northeast-1:111111111111:key/1234"),
			},
		})
		return err
	}
	wantError(t, create("x"), "InvalidKMSResourceException", "1234")
	keys.missing = ""
	for i := range 500 {
		if err := create(fmt.Sprint("s", i)); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, create("s500"), "LimitExceededException", "500 Firehoses")
	l.advance(5 * time.Second)
	start := func(name string) error {
		_, err := l.client.StartDeliveryStreamEncryption(t.Context(), &sdk.StartDeliveryStreamEncryptionInput{
			DeliveryStreamName: &name, DeliveryStreamEncryptionConfigurationInput: &types.DeliveryStreamEncryptionConfigurationInput{
				KeyType: types.KeyTypeCustomerManagedCmk, KeyARN: aws.String("arn:aws:kms:ap-northeast-1:111111111111:key/1234"),
			},
		})
		return err
	}
	if err := start("s0"); err != nil {
		t.Errorf("a stream that has the key already: %v", err)
	}
	l.create(&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: plainS3()})
	wantError(t, start("findings"), "LimitExceededException", "500 Firehoses")
}

func TestDefaultsOfBuffers(t *testing.T) {
	for name, test := range map[string]struct {
		in   *sdk.CreateDeliveryStreamInput
		want [2]int32
	}{
		"of S3": {&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: plainS3()}, [2]int32{5, 300}},
		"of S3 with dynamic partitioning": {func() *sdk.CreateDeliveryStreamInput {
			s := plainS3()
			partition(s)
			s.BufferingHints = nil
			return &sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: s}
		}(), [2]int32{128, 300}},
		"of an HTTP endpoint": {func() *sdk.CreateDeliveryStreamInput {
			h := endpointConfig("https://collector.example.com/")
			h.BufferingHints = nil
			return &sdk.CreateDeliveryStreamInput{HttpEndpointDestinationConfiguration: h}
		}(), [2]int32{5, 300}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, firehose.Settings{})
			l.create(test.in)
			d := l.describe().Destinations[0]
			var got [2]int32
			if h := d.HttpEndpointDestinationDescription; h != nil {
				got = [2]int32{*h.BufferingHints.SizeInMBs, *h.BufferingHints.IntervalInSeconds}
			} else {
				h := d.ExtendedS3DestinationDescription.BufferingHints
				got = [2]int32{*h.SizeInMBs, *h.IntervalInSeconds}
			}
			if got != test.want {
				t.Errorf("got %v MiB and s, want %v", got, test.want)
			}
		})
	}
}

func TestWithoutASizeAFunctionGetsAMebibyte(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(withFunction())
	l.lambda.answer = function(newline)
	l.put(strings.Repeat("x", 1<<19), strings.Repeat("x", 1<<19-1))
	l.advance(0)
	if n := len(l.lambda.deliveries); n != 0 {
		t.Fatalf("called %d times for a byte too little", n)
	}
	l.put("x")
	l.advance(0)
	if n := len(l.lambda.deliveries); n != 1 {
		t.Errorf("called %d times for 1 MiB, want once", n)
	}
}

func TestAFunctionHasFiveMinutes(t *testing.T) {
	l := newLab(t, firehose.Settings{FunctionTimeout: time.Millisecond})
	l.createS3(withFunction("NumberOfRetries", "0"))
	l.cloud.Receivers.Register("lambda", never{})
	l.put("a")
	l.advance(time.Hour)
	_, body := l.only(root + "errors/processing-failed/")
	if got := errorRecords(t, body); len(got) != 1 || got[0].ErrorCode != "Lambda.FunctionTimedOut" || string(got[0].RawData) != "a" {
		t.Errorf("got %+v", got)
	}
}

// never is a function that does not answer.
type never struct{}

func (never) Resource(string) (cloud.Resource, error) { return cloud.Resource{}, nil }

func (never) Receive(ctx context.Context, _ *cloud.Delivery) ([]byte, error) {
	<-ctx.Done()
	return nil, errors.New("the function was given up")
}

func TestAFunctionMayBeNamedByItsVersionOrAlias(t *testing.T) {
	for _, suffix := range []string{":$LATEST", ":7", ":live"} {
		l := newLab(t, firehose.Settings{})
		l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
			s.ProcessingConfiguration = processors(step("Lambda", "LambdaArn", lambda+suffix))
		})
		l.lambda.answer = function(newline)
		l.put("a")
		l.advance(time.Minute)
		if got := l.lambda.deliveries[0].Target; got != lambda+suffix {
			t.Errorf("called %s, want the qualified ARN: permission is asked for that", got)
		}
	}
}

func TestANewlineOfTheFunctionAndOneOfTheDelimiterAreTwo(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.ProcessingConfiguration = processors(step("Lambda", "LambdaArn", lambda), step("AppendDelimiterToRecord", "Delimiter", `\n`))
	})
	l.lambda.answer = function(newline)
	l.put("a", "b")
	l.advance(time.Hour)
	if _, body := l.only(root + "2026/"); body != "a\n\nb\n\n" {
		t.Errorf("got %q", body)
	}
}

func TestAnErrorRecordHoldsWhatCameInNotWhatTheFunctionMadeOfIt(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		partition(s)
		s.ProcessingConfiguration.Processors = append(s.ProcessingConfiguration.Processors,
			step("Lambda", "LambdaArn", lambda, "BufferSizeInMBs", "1", "BufferIntervalInSeconds", "0"))
	})
	l.lambda.answer = function(func(_ int, r events.KinesisFirehoseEventRecord) events.KinesisFirehoseResponseRecord {
		return events.KinesisFirehoseResponseRecord{RecordID: r.RecordID, Result: "Ok", Data: []byte(`{"no":"account"}`)}
	})
	in := event(`"1"`, `"r"`)
	l.put(in)
	l.advance(time.Minute)
	_, body := l.only(root + "errors/processing-failed/")
	if got := errorRecords(t, body); len(got) != 1 || string(got[0].RawData) != in || got[0].LambdaARN != nil {
		t.Errorf("got %+v, want the record before the function", got)
	}
}

func TestThereAreFiveHundredActivePartitionsUnlessItIsSaid(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(partition)
	var records []string
	for i := range 500 {
		records = append(records, event(fmt.Sprintf(`"%012d"`, i), `"r"`))
	}
	l.put(records...)
	l.put(event(`"999999999999"`, `"r"`))
	if got := l.state(); got.Partitions != 500 || got.Metrics.Failures["DynamicPartitioning.ActivePartitionExceeded"] != 1 {
		t.Errorf("got %d partitions, %v", got.Partitions, got.Metrics.Failures)
	}
}

func TestEachPartitionHasItsOwnInterval(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(partition)
	l.put(event(`"1"`, `"r"`))
	l.advance(30 * time.Second)
	l.put(event(`"2"`, `"r"`))
	l.advance(30 * time.Second)
	l.only(root + "AWSLogs/1/")
	if got := l.state().Partitions; got != 1 {
		t.Errorf("%d partitions are left, want the second", got)
	}
	l.advance(30 * time.Second)
	l.only(root + "AWSLogs/2/")
}

func TestAPartitionThatCannotBeDeliveredStaysActive(t *testing.T) {
	l := newLab(t, firehose.Settings{ActivePartitions: 1})
	l.createS3(partition)
	l.s3.missing = "AWSLogs/"
	l.put(event(`"1"`, `"r"`))
	l.advance(2 * time.Minute)
	l.put(event(`"2"`, `"r"`))
	if got := l.state(); got.Partitions != 1 || got.Waiting != 1 || got.Metrics.Failures["DynamicPartitioning.ActivePartitionExceeded"] != 1 {
		t.Errorf("got %+v, want the first to be tried still, and no room for the second", got)
	}
}

func TestAFileExtensionHoldsForTheBackupAndForErrorsToo(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.FileExtension = aws.String(".ndjson")
		s.ProcessingConfiguration = processors(step("Lambda", "LambdaArn", lambda, "NumberOfRetries", "0"))
		s.S3BackupMode = types.S3BackupModeEnabled
		s.S3BackupConfiguration = &types.S3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(backup)}
	})
	l.lambda.answer = failing(errors.New("crash"))
	l.put("a")
	l.advance(time.Hour)
	for key := range l.s3.objects() {
		if !strings.HasSuffix(key, ".ndjson") {
			t.Errorf("got key %s", key)
		}
	}
	if n := len(l.s3.objects()); n != 2 {
		t.Errorf("got %d objects, want the backup and the error record", n)
	}
}

func TestARandomStringMayStandInTheErrorPrefix(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.ErrorOutputPrefix = aws.String("errors/!{firehose:error-output-type}/!{firehose:random-string}/")
		s.ProcessingConfiguration = processors(step("Lambda", "LambdaArn", lambda, "NumberOfRetries", "0"))
	})
	l.lambda.answer = failing(errors.New("crash"))
	l.put("a")
	l.advance(time.Hour)
	key, _ := l.only(root + "errors/processing-failed/")
	if parts := strings.Split(key, "/"); len(parts) != 5 || len(parts[3]) != 11 {
		t.Errorf("got key %s, want 11 characters below the type, and no date", key)
	}
}

func TestTheLongestRecordFitsTheEndpointsSchema(t *testing.T) {
	l, e := newEndpoint(t, firehose.Settings{}, nil)
	e.answer = func(w http.ResponseWriter, r *http.Request) { well(w, r) }
	in := &sdk.PutRecordInput{DeliveryStreamName: aws.String("findings"), Record: &types.Record{Data: make([]byte, 1_024_000)}}
	if _, err := l.client.PutRecord(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	l.advance(time.Minute)
	if got := len(e.read(t, 0).Records[0].Data); got != 1_024_000 || base64.StdEncoding.EncodedLen(got) != 1_365_336 {
		t.Errorf("got %d bytes, %d in base64", got, base64.StdEncoding.EncodedLen(got))
	}
}

func TestABatchThatComesTwiceToS3IsOneObject(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDuplicate, Service: "s3"}); err != nil {
		t.Fatal(err)
	}
	l.put("a")
	l.advance(300 * time.Second)
	if n := len(l.s3.deliveries); n != 2 || len(l.s3.objects()) != 1 {
		t.Errorf("got %d deliveries and %d objects", n, len(l.s3.objects()))
	}
}

func TestAHopThatArrivesTwiceIsTwoRecords(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDuplicate, Service: "firehose"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.cloud.Deliver(t.Context(), &cloud.Delivery{
		From: "events.amazonaws.com", Account: "111111111111", Action: "firehose:PutRecord",
		Target: "arn:aws:firehose:ap-northeast-1:111111111111:deliverystream/findings", Body: []byte("a"),
	}); err != nil {
		t.Fatal(err)
	}
	l.advance(300 * time.Second)
	if _, body := l.only(root); body != "aa" {
		t.Errorf("got %q: delivery is at least once", body)
	}
}

func TestTheSampleOfAnAnswerIsTaken(t *testing.T) {
	sample, err := os.ReadFile("testdata/firehose-http-response-success.json")
	if err != nil {
		t.Fatal(err)
	}
	l, e := newEndpoint(t, firehose.Settings{}, nil)
	e.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, strings.Replace(string(sample), "ed4acda5-034f-9f42-bba1-f29aea6d7d8f", r.Header.Get("X-Amz-Firehose-Request-Id"), 1))
	}
	l.put("a")
	l.advance(time.Minute)
	if got := l.state(); got.PendingRecords != 0 || got.Metrics.Delivered.Records != 1 || len(got.Metrics.Failures) != 0 {
		t.Errorf("got %+v", got)
	}
}
