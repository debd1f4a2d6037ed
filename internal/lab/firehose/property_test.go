package firehose_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"pgregory.net/rapid"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/firehose"
)

// A sent record has its number, its account, and something that makes it a case of its own.
type sent struct {
	N       int    `json:"n"`
	Account string `json:"account"`
	Drop    bool   `json:"drop,omitempty"`
	Fail    bool   `json:"fail,omitempty"`
	Pad     string `json:"pad"`
}

// TestEveryRecordEndsInExactlyOnePlace sends records to streams with and without partitions and a function, while S3 and
// the function fail as they like. In the end each record is in one object, in its own partition, or in one error record,
// or was dropped by the function or counted as lost; and what was delivered is byte for byte what was sent.
func TestEveryRecordEndsInExactlyOnePlace(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{
			lab:         newLab(t, firehose.Settings{ActivePartitions: rapid.IntRange(1, 4).Draw(rt, "partitions")}),
			partitioned: rapid.Bool().Draw(rt, "partitioned"), function: rapid.Bool().Draw(rt, "function"),
			packed: rapid.Bool().Draw(rt, "gzip"), sent: make(map[int]string),
		}
		w.create(rt)
		w.lab.s3.answer = func(*cloud.Delivery) ([]byte, error) { return nil, w.trouble(rt, "s3") }
		w.lab.lambda.answer = func(d *cloud.Delivery) ([]byte, error) {
			if err := w.trouble(rt, "function"); err != nil {
				return nil, err
			}
			return function(w.transform)(d)
		}
		for range rapid.IntRange(1, 8).Draw(rt, "puts") {
			w.put(rt)
			w.lab.advance(time.Duration(rapid.IntRange(0, 100).Draw(rt, "seconds")) * time.Second)
			if rapid.IntRange(0, 9).Draw(rt, "flush") == 0 {
				if err := w.lab.service.Flush(t.Context()); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if rapid.IntRange(0, 3).Draw(rt, "comes back") > 0 {
			w.calm = true
		}
		w.lab.advance(48 * time.Hour)
		w.check(rt)
	})
}

type world struct {
	lab                           *lab
	partitioned, function, packed bool
	calm                          bool
	sent                          map[int]string // records by number
}

func (w *world) create(rt *rapid.T) {
	in := &types.ExtendedS3DestinationConfiguration{
		RoleARN: aws.String(role), BucketARN: aws.String(bucket), BufferingHints: hints(64, int32(rapid.IntRange(60, 120).Draw(rt, "interval"))),
		ErrorOutputPrefix: aws.String("errors/!{firehose:error-output-type}/"), Prefix: aws.String("data/"),
	}
	steps := []types.Processor{step("RecordDeAggregation", "SubRecordType", "JSON"), step("AppendDelimiterToRecord", "Delimiter", `\n`)}
	if w.partitioned {
		in.Prefix = aws.String("data/!{partitionKeyFromQuery:account}/!{timestamp:mm}/")
		in.DynamicPartitioningConfiguration = &types.DynamicPartitioningConfiguration{
			Enabled: aws.Bool(true), RetryOptions: &types.RetryOptions{DurationInSeconds: aws.Int32(int32(rapid.IntRange(0, 60).Draw(rt, "retry")))},
		}
		steps = append(steps, step("MetadataExtraction", "MetadataExtractionQuery", "{account:.account}", "JsonParsingEngine", "JQ-1.6"))
	}
	if w.function {
		steps = append(steps, step("Lambda", "LambdaArn", lambda, "NumberOfRetries", "1", "BufferSizeInMBs", "0.2",
			"BufferIntervalInSeconds", fmt.Sprint(rapid.IntRange(0, 90).Draw(rt, "wait"))))
	}
	if w.packed {
		in.CompressionFormat = types.CompressionFormatGzip
	}
	in.ProcessingConfiguration = processors(steps...)
	w.lab.create(&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: in})
}

// trouble fails one time in three, until the world is calm.
func (w *world) trouble(rt *rapid.T, where string) error {
	if w.calm || rapid.IntRange(0, 2).Draw(rt, where) > 0 {
		return nil
	}
	return &cloud.DeliveryError{Code: cloud.CodeInternal, Err: errors.New(where + " is down"), Retry: true}
}

func (w *world) transform(_ int, r events.KinesisFirehoseEventRecord) events.KinesisFirehoseResponseRecord {
	out := events.KinesisFirehoseResponseRecord{RecordID: r.RecordID, Result: "Ok", Data: r.Data}
	var s sent
	switch err := json.Unmarshal(r.Data, &s); {
	case err != nil || s.Fail:
		out.Result = "ProcessingFailed"
	case s.Drop:
		out.Result = "Dropped"
	}
	return out
}

func (w *world) put(rt *rapid.T) {
	var records []string
	for range rapid.IntRange(1, 5).Draw(rt, "records") {
		var whole strings.Builder
		for range rapid.IntRange(1, 3).Draw(rt, "parts") {
			b, _ := json.Marshal(sent{
				N: len(w.sent), Account: rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "", "a/b"}).Draw(rt, "account"),
				Drop: rapid.IntRange(0, 5).Draw(rt, "drop") == 0, Fail: rapid.IntRange(0, 5).Draw(rt, "fail") == 0,
				Pad: strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 10, 1000, 30_000}).Draw(rt, "pad")),
			})
			w.sent[len(w.sent)] = string(b)
			whole.Write(b)
			whole.WriteString(rapid.SampledFrom([]string{"", "\n", " "}).Draw(rt, "between"))
		}
		records = append(records, whole.String())
	}
	w.lab.put(records...)
}

func (w *world) check(rt *rapid.T) {
	found := make(map[int]int)
	take := func(line string) sent {
		var s sent
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			rt.Fatalf("%q: %v", line, err)
		}
		if w.sent[s.N] != line {
			rt.Fatalf("record %d came back as %q, was %q", s.N, line, w.sent[s.N])
		}
		found[s.N]++
		return s
	}
	objects := w.lab.s3.objects()
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		body := objects[key]
		if w.packed {
			body = gunzip(w.lab.t, body)
		}
		if strings.HasPrefix(key, root+"errors/") {
			for _, r := range errorRecords(w.lab.t, body) {
				take(string(r.RawData))
			}
			continue
		}
		for line := range strings.Lines(body) {
			s := take(strings.TrimSuffix(line, "\n"))
			if w.partitioned && !strings.HasPrefix(key, root+"data/"+s.Account+"/") {
				rt.Fatalf("account %q's record is at %s", s.Account, key)
			}
		}
	}
	state := w.lab.state()
	dropped := 0
	for n, record := range w.sent {
		switch {
		case found[n] > 1:
			rt.Fatalf("record %d is in %d places", n, found[n])
		case found[n] == 0:
			dropped++
			if !w.function && state.Metrics.LostRecords == 0 {
				rt.Fatalf("record %s is nowhere", record)
			}
		}
	}
	m := state.Metrics
	if dropped != m.DroppedRecords+m.LostRecords || m.Records != len(w.sent) || state.PendingRecords != 0 || state.Partitions != 0 || state.PendingBytes != 0 {
		rt.Fatalf("%d of %d records are nowhere; counted %+v", dropped, len(w.sent), state)
	}
	if m.Delivered.Records+m.Errors.Records != len(found) {
		rt.Fatalf("counted %d + %d records, found %d", m.Delivered.Records, m.Errors.Records, len(found))
	}
}
