package firehose_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/firehose"
	"example.org/catchment/internal/lab/labtest"
)

const (
	role   = "arn:aws:iam::111111111111:role/firehose"
	bucket = "arn:aws:s3:::aws-logs-inspector-111111111111"
	backup = "arn:aws:s3:::backup"
	lambda = "arn:aws:lambda:ap-northeast-1:111111111111:function:newline"
)

// A receiver stands for another service: it takes what the lab delivers, or fails.
type receiver struct {
	mu         sync.Mutex
	deliveries []cloud.Delivery
	stored     []bool // which of them were answered well
	answer     func(*cloud.Delivery) ([]byte, error)
	missing    string // a part of the ARNs that do not exist
	key        string // that resources are encrypted with
}

func (r *receiver) Resource(arn string) (cloud.Resource, error) {
	if r.missing != "" && strings.Contains(arn, r.missing) {
		return cloud.Resource{}, fmt.Errorf("%s: %w", arn, cloud.ErrNoResource)
	}
	return cloud.Resource{Owner: labtest.Administrator, Key: r.key}, nil
}

func (r *receiver) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := *d
	kept.Body = slices.Clone(d.Body)
	var answer []byte
	var err error
	if r.answer != nil {
		answer, err = r.answer(d)
	}
	r.deliveries = append(r.deliveries, kept)
	r.stored = append(r.stored, err == nil)
	return answer, err
}

// objects are what is in S3 now, by key below the bucket; a second put of a key replaces the first.
func (r *receiver) objects() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]string)
	for i, d := range r.deliveries {
		if !r.stored[i] {
			continue
		}
		out[strings.TrimPrefix(d.Target, "arn:aws:s3:::")] = string(d.Body)
	}
	return out
}

// A lab is Firehose with S3 and Lambda to deliver to.
type lab struct {
	t       testing.TB
	cloud   *cloud.Cloud
	service *firehose.Service
	client  *sdk.Client
	s3      *receiver
	lambda  *receiver
}

func newLab(tb testing.TB, set firehose.Settings, options ...func(*cloud.Options)) *lab {
	tb.Helper()
	c := labtest.NewCloud(tb, options...)
	l := &lab{t: tb, cloud: c, service: firehose.NewWith(c, set), s3: &receiver{}, lambda: &receiver{}}
	c.Receivers.Register("s3", l.s3)
	c.Receivers.Register("lambda", l.lambda)
	l.client = sdk.NewFromConfig(labtest.Serve(tb, c, l.service.Wire()).Config(labtest.Administrator, labtest.Region))
	return l
}

func (l *lab) advance(d time.Duration) {
	l.t.Helper()
	labtest.Advance(l.t, l.cloud, d)
}

// create makes the stream and waits until it is ACTIVE.
func (l *lab) create(in *sdk.CreateDeliveryStreamInput) {
	l.t.Helper()
	if in.DeliveryStreamName == nil {
		in.DeliveryStreamName = aws.String("findings")
	}
	if _, err := l.client.CreateDeliveryStream(context.Background(), in); err != nil {
		l.t.Fatal(err)
	}
	l.advance(5 * time.Second)
}

func (l *lab) createS3(change func(*types.ExtendedS3DestinationConfiguration)) {
	l.t.Helper()
	s3 := &types.ExtendedS3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(bucket)}
	change(s3)
	l.create(&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: s3})
}

func (l *lab) put(records ...string) {
	l.t.Helper()
	in := &sdk.PutRecordBatchInput{DeliveryStreamName: aws.String("findings")}
	for _, r := range records {
		in.Records = append(in.Records, types.Record{Data: []byte(r)})
	}
	out, err := l.client.PutRecordBatch(context.Background(), in)
	if err != nil {
		l.t.Fatal(err)
	}
	if *out.FailedPutCount != 0 {
		l.t.Fatalf("%d records were not taken", *out.FailedPutCount)
	}
}

func (l *lab) state() firehose.StreamState {
	l.t.Helper()
	state := l.service.Inspect().(firehose.State)
	if len(state.Streams) != 1 {
		l.t.Fatalf("got %d streams, want one", len(state.Streams))
	}
	return state.Streams[0]
}

// only gives the one object whose key starts with a prefix.
func (l *lab) only(prefix string) (key, body string) {
	l.t.Helper()
	var keys []string
	objects := l.s3.objects()
	for k := range objects {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	if len(keys) != 1 {
		l.t.Fatalf("objects under %q: got %q of %q, want one", prefix, keys, objects)
	}
	return keys[0], objects[keys[0]]
}

type errorRecord struct {
	AttemptsMade      int     `json:"attemptsMade"`
	ArrivalTimestamp  int64   `json:"arrivalTimestamp"`
	ErrorCode         string  `json:"errorCode"`
	ErrorMessage      string  `json:"errorMessage"`
	AttemptEndingTime int64   `json:"attemptEndingTimestamp"`
	RawData           []byte  `json:"rawData"`
	LambdaARN         *string `json:"lambdaArn"`
	SubsequenceNumber *int    `json:"subsequenceNumber"`
	DataID            *string `json:"dataId"`
}

func errorRecords(tb testing.TB, body string) []errorRecord {
	tb.Helper()
	var out []errorRecord
	for line := range strings.Lines(body) {
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		var r errorRecord
		if err := d.Decode(&r); err != nil {
			tb.Fatalf("error record %s: %v", line, err)
		}
		out = append(out, r)
	}
	return out
}

func gunzip(tb testing.TB, s string) string {
	tb.Helper()
	r, err := gzip.NewReader(bytes.NewReader([]byte(s)))
	if err != nil {
		tb.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// wantError fails unless an error has this code, and its message holds a text.
func wantError(tb testing.TB, err error, code, message string) {
	tb.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		tb.Fatalf("got %v, want %s", err, code)
	}
	if api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), message) {
		tb.Errorf("got %s: %s\nwant %s: …%s…", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
}

func processors(all ...types.Processor) *types.ProcessingConfiguration {
	return &types.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: all}
}

func step(kind types.ProcessorType, parameters ...string) types.Processor {
	out := types.Processor{Type: kind}
	for pair := range slices.Chunk(parameters, 2) {
		out.Parameters = append(out.Parameters, types.ProcessorParameter{
			ParameterName: types.ProcessorParameterName(pair[0]), ParameterValue: aws.String(pair[1]),
		})
	}
	return out
}

func hints(size, interval int32) *types.BufferingHints {
	return &types.BufferingHints{SizeInMBs: aws.Int32(size), IntervalInSeconds: aws.Int32(interval)}
}
