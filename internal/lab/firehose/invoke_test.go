package firehose_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/firehose"
)

func withFunction(parameters ...string) func(*types.ExtendedS3DestinationConfiguration) {
	return func(s *types.ExtendedS3DestinationConfiguration) {
		s.ErrorOutputPrefix = aws.String("errors/!{firehose:error-output-type}/")
		s.ProcessingConfiguration = processors(step("Lambda", append([]string{"LambdaArn", lambda}, parameters...)...))
	}
}

// function answers with what a program does to each record.
func function(do func(i int, r events.KinesisFirehoseEventRecord) events.KinesisFirehoseResponseRecord) func(*cloud.Delivery) ([]byte, error) {
	return func(d *cloud.Delivery) ([]byte, error) {
		var in events.KinesisFirehoseEvent
		if err := json.Unmarshal(d.Body, &in); err != nil {
			return nil, err
		}
		var out events.KinesisFirehoseResponse
		for i, r := range in.Records {
			out.Records = append(out.Records, do(i, r))
		}
		return json.Marshal(out)
	}
}

// newline is the article's function.
func newline(_ int, r events.KinesisFirehoseEventRecord) events.KinesisFirehoseResponseRecord {
	return events.KinesisFirehoseResponseRecord{RecordID: r.RecordID, Result: "Ok", Data: append(r.Data, '\n')}
}

func TestAFunctionTransformsRecordsBeforeTheirBuffer(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(withFunction())
	l.lambda.answer = function(newline)
	l.put("a", "b")
	l.advance(59 * time.Second)
	if n := len(l.lambda.deliveries); n != 0 {
		t.Fatalf("called %d times before the function's buffer was due", n)
	}
	l.advance(time.Second)
	d := l.lambda.deliveries[0]
	if d.Action != "lambda:InvokeFunction" || d.Target != lambda || d.Role != role || d.From != "firehose.amazonaws.com" || d.ExternalID != "111111111111" {
		t.Errorf("called as %+v", d)
	}
	l.advance(300 * time.Second)
	if key, body := l.only(root + "2026/11/22/13/findings-1-2026-11-22-13-14-20-"); body != "a\nb\n" {
		t.Errorf("%s holds %q", key, body)
	}
}

func TestTheFunctionsRequestHasTheDocumentedShape(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(withFunction("RoleArn", "arn:aws:iam::111111111111:role/lambda"))
	l.lambda.answer = function(newline)
	l.put("a", "b")
	l.advance(time.Minute)
	if got := l.lambda.deliveries[0].Role; got != "arn:aws:iam::111111111111:role/lambda" {
		t.Errorf("called in %s, want the processor's role", got)
	}
	sample, err := os.ReadFile("testdata/firehose-lambda-transform-event.json")
	if err != nil {
		t.Fatal(err)
	}
	keys := func(b []byte) (top, record []string) {
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for k := range m {
			top = append(top, k)
		}
		for k, v := range m["records"].([]any)[0].(map[string]any) {
			record = append(record, fmt.Sprintf("%s %T", k, v))
		}
		slices.Sort(top)
		slices.Sort(record)
		return top, record
	}
	top, rec := keys(l.lambda.deliveries[0].Body)
	wantTop, wantRec := keys(sample)
	wantTop = slices.DeleteFunc(wantTop, func(s string) bool { return s == "sourceKinesisStreamArn" })
	wantRec = slices.DeleteFunc(wantRec, func(s string) bool { return strings.HasPrefix(s, "kinesisRecordMetadata") })
	if !slices.Equal(top, wantTop) || !slices.Equal(rec, wantRec) {
		t.Errorf("got %q, %q\nwant %q, %q", top, rec, wantTop, wantRec)
	}
	var in events.KinesisFirehoseEvent
	if err := json.Unmarshal(l.lambda.deliveries[0].Body, &in); err != nil {
		t.Fatal(err)
	}
	if in.DeliveryStreamArn != "arn:aws:firehose:ap-northeast-1:111111111111:deliverystream/findings" || in.Region != "ap-northeast-1" ||
		in.Records[0].ApproximateArrivalTimestamp.UnixMilli() != 1795353260000 || in.Records[0].RecordID == in.Records[1].RecordID {
		t.Errorf("got %+v", in)
	}
}

func TestTheFunctionsBufferIsCalledWhenItIsFull(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(withFunction("BufferSizeInMBs", "0.2", "BufferIntervalInSeconds", "900"))
	l.lambda.answer = function(newline)
	for range 5 {
		l.put(strings.Repeat("x", 50<<10))
	}
	l.advance(0)
	if n := len(l.lambda.deliveries); n != 1 {
		t.Errorf("called %d times for 250 KiB, want once", n)
	}
}

func TestWhatAFunctionDropsOrFailsIsNotDelivered(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(withFunction())
	l.lambda.answer = function(func(i int, r events.KinesisFirehoseEventRecord) events.KinesisFirehoseResponseRecord {
		return events.KinesisFirehoseResponseRecord{RecordID: r.RecordID, Result: []string{"Ok", "Dropped", "ProcessingFailed"}[i], Data: []byte("new")}
	})
	l.put("a", "b", "c")
	l.advance(time.Hour)
	if _, body := l.only(root + "2026/"); body != "new" {
		t.Errorf("got %q", body)
	}
	_, body := l.only(root + "errors/processing-failed/")
	got := errorRecords(t, body)
	if len(got) != 1 || string(got[0].RawData) != "c" || got[0].ErrorCode != "Lambda.ProcessingFailedStatus" || got[0].AttemptsMade != 1 ||
		got[0].LambdaARN == nil || *got[0].LambdaARN != lambda || got[0].ArrivalTimestamp != 1795353260000 || got[0].AttemptEndingTime != 1795353320000 {
		t.Errorf("got %+v", got)
	}
	if m := l.state().Metrics; m.DroppedRecords != 1 || m.Delivered.Records != 1 || m.Errors.Records != 1 {
		t.Errorf("counted %+v", m)
	}
}

func TestAnAnswerAgainstTheContractFailsItsRecords(t *testing.T) {
	shape, err := os.ReadFile("testdata/firehose-lambda-transform-response-shape.json")
	if err != nil {
		t.Fatal(err)
	}
	first := ""
	edit := func(change func(*events.KinesisFirehoseResponse)) func(*cloud.Delivery) ([]byte, error) {
		return func(d *cloud.Delivery) ([]byte, error) {
			b, _ := function(newline)(d)
			var out events.KinesisFirehoseResponse
			if err := json.Unmarshal(b, &out); err != nil {
				return nil, err
			}
			first = out.Records[0].RecordID
			change(&out)
			return json.Marshal(out)
		}
	}
	for name, test := range map[string]struct {
		answer   func(*cloud.Delivery) ([]byte, error)
		code     string
		attempts int
	}{
		"a record is missing": {edit(func(r *events.KinesisFirehoseResponse) { r.Records = r.Records[1:] }), "Lambda.MissingRecordId", 1},
		"no records":          {func(*cloud.Delivery) ([]byte, error) { return []byte(`{}`), nil }, "Lambda.MissingRecordId", 1},
		"a record of nobody": {edit(func(r *events.KinesisFirehoseResponse) {
			r.Records = append(r.Records, events.KinesisFirehoseResponseRecord{RecordID: "x", Result: "Ok"})
		}), "Lambda.MissingRecordId", 1},
		"a record twice":      {edit(func(r *events.KinesisFirehoseResponse) { r.Records[1].RecordID = first }), "Lambda.DuplicatedRecordId", 1},
		"a result of its own": {edit(func(r *events.KinesisFirehoseResponse) { r.Records[0].Result = "TRANSFORMED_STATE_OK" }), "Lambda.JsonProcessingException", 1},
		"the SDK's test data": {func(*cloud.Delivery) ([]byte, error) { return shape, nil }, "Lambda.MissingRecordId", 1},
		"no JSON":             {func(*cloud.Delivery) ([]byte, error) { return []byte(`ok`), nil }, "Lambda.JsonProcessingException", 1},
		"nothing":             {func(*cloud.Delivery) ([]byte, error) { return nil, nil }, "Lambda.JsonProcessingException", 1},
		"data that is no text": {func(*cloud.Delivery) ([]byte, error) {
			return []byte(`{"records":[{"recordId":"1","result":"Ok","data":"%"}]}`), nil
		}, "Lambda.JsonProcessingException", 1},
		"a partition key that is no text": {func(*cloud.Delivery) ([]byte, error) {
			return []byte(`{"records":[{"recordId":"1","result":"Ok","data":"","metadata":{"partitionKeys":{"a":1}}}]}`), nil
		}, "Lambda.JsonProcessingException", 1},
		"an answer of more than 6 MB": {func(*cloud.Delivery) ([]byte, error) { return make([]byte, 6<<20+1), nil }, "Lambda.FunctionError", 1},
		"a function that fails":       {failing(&cloud.DeliveryError{Code: "FUNCTION_ERROR", Err: errors.New("Unhandled"), Retry: true}), "Lambda.FunctionError", 4},
		"too many calls":              {failing(&cloud.DeliveryError{Code: cloud.CodeThrottling, Err: errors.New("rate"), Retry: true}), "Lambda.InvokeLimitExceeded", 4},
		"no answer in time":           {failing(&cloud.DeliveryError{Code: cloud.CodeTimeout, Err: errors.New("late"), Retry: true}), "Lambda.FunctionTimedOut", 4},
		"no permission":               {failing(&cloud.DeliveryError{Code: cloud.CodeNoPermissions, Err: errors.New("denied")}), "Lambda.InvokeAccessDenied", 4},
		"a role that is not trusting": {failing(&cloud.DeliveryError{Code: cloud.CodeNoPermissions, Err: &cloud.DeniedError{Action: "sts:AssumeRole"}}), "Lambda.AssumeRoleAccessDenied", 4},
		"no function":                 {failing(cloud.ErrNoResource), "Lambda.ResourceNotFound", 4},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, firehose.Settings{})
			l.createS3(withFunction())
			l.lambda.answer = test.answer
			l.put("a", "b")
			l.advance(time.Hour)
			_, body := l.only("")
			got := errorRecords(t, body)
			if len(got) != 2 || string(got[0].RawData) != "a" || string(got[1].RawData) != "b" {
				t.Fatalf("got %+v, want error records of both", got)
			}
			for _, r := range got {
				if r.ErrorCode != test.code || r.AttemptsMade != test.attempts || r.ErrorMessage == "" {
					t.Errorf("got %+v\nwant %s after %d attempts", r, test.code, test.attempts)
				}
			}
		})
	}
}

func failing(err error) func(*cloud.Delivery) ([]byte, error) {
	return func(*cloud.Delivery) ([]byte, error) { return nil, err }
}

func TestAFunctionIsCalledAgainAsOftenAsTheStreamSays(t *testing.T) {
	for name, test := range map[string]struct {
		parameters []string
		want       int
	}{
		"3 times more": {nil, 4}, "not again": {[]string{"NumberOfRetries", "0"}, 1}, "once more": {[]string{"NumberOfRetries", "1"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, firehose.Settings{})
			l.createS3(withFunction(test.parameters...))
			l.lambda.answer = failing(errors.New("crash"))
			l.put("a")
			l.advance(time.Hour)
			if n := len(l.lambda.deliveries); n != test.want {
				t.Errorf("called %d times, want %d", n, test.want)
			}
		})
	}
}

func TestAFunctionGivesPartitionKeys(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		partition(s)
		s.Prefix = aws.String("!{partitionKeyFromLambda:kind}/!{partitionKeyFromQuery:accountId}/!{partitionKeyFromQuery:region}/!{timestamp:yyyy}/")
		s.ProcessingConfiguration.Processors = append(s.ProcessingConfiguration.Processors,
			step("Lambda", "LambdaArn", lambda, "BufferSizeInMBs", "1", "BufferIntervalInSeconds", "0"))
	})
	l.lambda.answer = function(func(i int, r events.KinesisFirehoseEventRecord) events.KinesisFirehoseResponseRecord {
		out := events.KinesisFirehoseResponseRecord{RecordID: r.RecordID, Result: "Ok", Data: r.Data}
		if i == 0 {
			out.Metadata.PartitionKeys = map[string]string{"kind": "cve"}
		}
		return out
	})
	one := event(`"1"`, `"r"`)
	l.put(one, one)
	l.advance(time.Minute)
	if _, body := l.only(root + "cve/1/r/2026/"); body != one+"\n" {
		t.Errorf("got %q", body)
	}
	_, body := l.only(root + "errors/processing-failed/")
	if got := errorRecords(t, body); len(got) != 1 || got[0].ErrorCode != "DynamicPartitioning.MetadataExtractionFailed" {
		t.Errorf("got %+v, want the record that has no key", got)
	}
}

func TestFlushDeliversWhatWaitsInAllBuffersNow(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(withFunction())
	l.lambda.answer = function(func(i int, r events.KinesisFirehoseEventRecord) events.KinesisFirehoseResponseRecord {
		return events.KinesisFirehoseResponseRecord{RecordID: r.RecordID, Result: []string{"Ok", "ProcessingFailed"}[i], Data: r.Data}
	})
	l.s3.missing = "aws-logs"
	l.put("a", "b")
	if err := l.service.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := l.state(); got.Waiting != 2 || got.PendingRecords != 2 {
		t.Fatalf("got %+v, want both to wait for another try", got)
	}
	if got := l.state().Metrics.Failures["S3.NoSuchBucket"]; got != 2 {
		t.Errorf("tried %d times, want each once", got)
	}
	l.s3.missing = ""
	if err := l.service.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.only(root + "2026/")
	l.only(root + "errors/")
	if got := l.state(); got.PendingRecords != 0 {
		t.Errorf("got %+v", got)
	}
}
