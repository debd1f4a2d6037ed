package firehose_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/firehose"
	"example.org/catchment/internal/lab/labtest"
)

const uuid = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`

// The article's stream: all JSON of an object stands on one line, under the administrator's account.
func TestRecordsRunTogetherOnOneLineUnderTheDatesFolders(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.Prefix = aws.String("AWSLogs/111111111111/Inspector/ap-northeast-1/")
	})
	l.put(`{"finding":1}`, `{"finding":2}`)
	l.advance(299 * time.Second)
	if got := l.s3.objects(); len(got) > 0 {
		t.Fatalf("delivered before the interval was over: %q", got)
	}
	l.advance(time.Second)
	key, body := l.only("")
	want := `^aws-logs-inspector-111111111111/AWSLogs/111111111111/Inspector/ap-northeast-1/2026/11/22/13/findings-1-2026-11-22-13-14-20-` + uuid + `$`
	if !regexp.MustCompile(want).MatchString(key) {
		t.Errorf("got key %s\nwant %s", key, want)
	}
	if body != `{"finding":1}{"finding":2}` {
		t.Errorf("got %s, want both on one line", body)
	}
	d := l.s3.deliveries[0]
	if d.From != "firehose.amazonaws.com" || d.Role != role || d.ExternalID != labtest.Administrator || d.Action != "s3:PutObject" {
		t.Errorf("delivered as %s in %s with %s for %s", d.From, d.Role, d.ExternalID, d.Action)
	}
	state := l.state()
	if state.PendingRecords != 0 || state.Metrics.IncomingRecords != 2 || state.Metrics.IncomingBytes != 26 || state.DataFreshness != 0 {
		t.Errorf("got %+v", state)
	}
	if got := state.Metrics.Delivered; got != (firehose.Amount{Objects: 1, Records: 2, Bytes: 26}) {
		t.Errorf("delivered %+v", got)
	}
}

func TestTheDelimiterPutsOneRecordOnALine(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.ProcessingConfiguration = processors(step("AppendDelimiterToRecord", "Delimiter", `\n`))
		s.CompressionFormat = types.CompressionFormatGzip
		s.CustomTimeZone = aws.String("Asia/Tokyo")
	})
	l.put("a", "b")
	if err := l.service.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	key, body := l.only("")
	if !regexp.MustCompile(`/2026/11/22/22/findings-1-2026-11-22-22-14-20-` + uuid + `\.gz$`).MatchString(key) {
		t.Errorf("got key %s, want Tokyo's time and .gz", key)
	}
	if got := gunzip(t, body); got != "a\nb\n" {
		t.Errorf("got %q", got)
	}
}

func TestAFileExtensionReplacesThatOfTheCompression(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.FileExtension = aws.String(".json.gz")
		s.CompressionFormat = types.CompressionFormatGzip
	})
	l.put("a")
	l.advance(300 * time.Second)
	if key, _ := l.only(""); !strings.HasSuffix(key, ".json.gz") || strings.HasSuffix(key, ".gz.json.gz") {
		t.Errorf("got key %s", key)
	}
}

func TestABufferIsDeliveredWhenItIsFull(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) { s.BufferingHints = hints(1, 900) })
	part := strings.Repeat("x", 512<<10)
	l.put(part)
	l.advance(0)
	if got := len(l.s3.deliveries); got != 0 {
		t.Fatalf("got %d objects of half a buffer", got)
	}
	l.put(part, "rest")
	l.advance(0)
	if _, body := l.only(""); len(body) != 1<<20 {
		t.Errorf("got an object of %d bytes, want 1 MiB", len(body))
	}
	if got := l.state().PendingRecords; got != 1 {
		t.Errorf("%d records wait, want the rest", got)
	}
}

func TestAnIntervalOfZeroDeliversAtOnce(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) { s.BufferingHints = hints(1, 0) })
	l.put("a")
	l.advance(0)
	l.only("")
}

func TestTheTimeInAKeyIsTheArrivalOfTheOldestRecord(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.Prefix = aws.String("y=!{timestamp:yyyy}/r=!{firehose:random-string}/!{firehose:random-string}/!{timestamp:HH'h'mm}/")
		s.ErrorOutputPrefix = aws.String("e/!{firehose:error-output-type}/")
	})
	l.put("a")
	l.advance(100 * time.Second)
	l.put("b")
	l.advance(200 * time.Second)
	key, _ := l.only("")
	m := regexp.MustCompile(`/y=2026/r=([0-9a-z]{11})/([0-9a-z]{11})/13h14/findings-1-2026-11-22-13-14-20-`).FindStringSubmatch(key)
	if m == nil || m[1] == m[2] {
		t.Errorf("got key %s", key)
	}
}

func TestAnObjectKeepsItsKeyWhileS3IsAway(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	l.put("a")
	failures := 0
	l.s3.answer = func(*cloud.Delivery) ([]byte, error) {
		if failures++; failures <= 3 {
			return nil, &cloud.DeliveryError{Code: cloud.CodeThrottling, Err: errors.New("slow down"), Retry: true}
		}
		return nil, nil
	}
	l.advance(300 * time.Second)
	if got := l.state(); got.Waiting != 1 || got.DataFreshness < 299 || got.Metrics.Failures["S3.SlowDown"] != 1 {
		t.Fatalf("got %+v, want one batch that waits for another try", got)
	}
	l.advance(20 * time.Second)
	if failures != 4 {
		t.Fatalf("got %d tries in 20 s, want 4: after about 1, 2 and 4 s", failures)
	}
	for _, d := range l.s3.deliveries {
		if d.Target != l.s3.deliveries[0].Target {
			t.Errorf("tried %s, then %s", l.s3.deliveries[0].Target, d.Target)
		}
	}
	l.only("")
}

func TestRecordsThatCannotBeDeliveredForADayAreLost(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	l.s3.missing = "aws-logs"
	l.put("a", "b")
	l.advance(23 * time.Hour)
	if got := l.state(); got.PendingRecords != 2 || got.Metrics.LostRecords != 0 {
		t.Fatalf("after 23 hours %+v", got)
	}
	l.advance(time.Hour)
	if got := l.state(); got.PendingRecords != 0 || got.Metrics.LostRecords != 2 || got.Metrics.Failures["S3.NoSuchBucket"] < 600 {
		t.Fatalf("after 24 hours %+v", got)
	}
}

func TestASourceBackupHoldsWhatCameIn(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.ProcessingConfiguration = processors(step("RecordDeAggregation", "SubRecordType", "JSON"), step("AppendDelimiterToRecord"))
		s.S3BackupMode = types.S3BackupModeEnabled
		s.S3BackupConfiguration = &types.S3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(backup), Prefix: aws.String("raw/")}
	})
	l.put("{\"a\":1} {\"a\":2}\n")
	l.advance(300 * time.Second)
	if key, body := l.only("backup/raw/2026/11/22/13/findings-1-"); body != "{\"a\":1} {\"a\":2}\n" {
		t.Errorf("%s holds %q", key, body)
	}
	if _, body := l.only("aws-logs-inspector-111111111111/2026/"); body != "{\"a\":1}\n{\"a\":2}\n" {
		t.Errorf("got %q", body)
	}
}

func TestDelimitedRecordsAreTakenApart(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.ProcessingConfiguration = processors(
			step("RecordDeAggregation", "SubRecordType", "DELIMITED", "Delimiter", "IyMjIw=="), step("AppendDelimiterToRecord", "Delimiter", "|"))
	})
	l.put("a####b####", "c")
	l.advance(300 * time.Second)
	if _, body := l.only(""); body != "a|b|c|" {
		t.Errorf("got %q", body)
	}
}

func TestARecordWithMoreThan500InItStaysWhole(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.ProcessingConfiguration = processors(step("RecordDeAggregation", "SubRecordType", "JSON"), step("AppendDelimiterToRecord", "Delimiter", "|"))
	})
	l.put(strings.Repeat("{}", 500), strings.Repeat("{}", 501))
	l.advance(300 * time.Second)
	if _, body := l.only(""); body != strings.Repeat("{}|", 500)+strings.Repeat("{}", 501)+"|" {
		t.Errorf("got %q", body)
	}
}

func TestAKMSKeyIsNamedToS3(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	const key = "arn:aws:kms:ap-northeast-1:111111111111:key/1234"
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		s.EncryptionConfiguration = &types.EncryptionConfiguration{KMSEncryptionConfig: &types.KMSEncryptionConfig{AWSKMSKeyARN: aws.String(key)}}
	})
	l.put("a")
	l.advance(300 * time.Second)
	want := map[string]string{"content-type": "application/octet-stream", "sse": "aws:kms", "sse-kms-key-id": key}
	if diff := cmp.Diff(want, l.s3.deliveries[0].Attributes); diff != "" {
		t.Error(diff)
	}
	l.s3.key = key
	l.cloud.Receivers.Register("kms", &receiver{missing: "1234"})
	l.put("b")
	l.advance(300 * time.Second)
	if got := l.state().Metrics.Failures["S3.KMS.NotFoundException"]; got != 1 {
		t.Errorf("got %d tries that failed for the key", got)
	}
}

func TestADeletedStreamTakesWhatItHoldsWithIt(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	l.put("a")
	if _, err := l.client.DeleteDeliveryStream(t.Context(), &sdk.DeleteDeliveryStreamInput{DeliveryStreamName: aws.String("findings")}); err != nil {
		t.Fatal(err)
	}
	l.advance(time.Hour)
	state := l.service.Inspect().(firehose.State)
	if len(state.Streams) != 0 || state.PendingBytes != 0 || state.Deleted.LostRecords != 1 || len(l.s3.deliveries) != 0 {
		t.Errorf("got %+v", state)
	}
}

func TestAHopOfEventBridgeIsOneRecord(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	d := &cloud.Delivery{
		From: "events.amazonaws.com", Account: labtest.Administrator, Action: "firehose:PutRecord",
		Target: "arn:aws:firehose:ap-northeast-1:111111111111:deliverystream/findings", Body: []byte(`{"id":1}`),
	}
	answer, err := l.cloud.Deliver(t.Context(), d)
	if err != nil || !strings.HasPrefix(string(answer), `{"RecordId":"`) {
		t.Fatalf("got %s, %v", answer, err)
	}
	d.Body = make([]byte, 1_024_001)
	for what, target := range map[string]string{"a record that is too long": d.Target, "a stream that is not there": d.Target + "x", "no stream": "arn:aws:firehose:r:a:x"} {
		d.Target = target
		if _, err := l.cloud.Deliver(context.Background(), d); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	l.advance(300 * time.Second)
	if _, body := l.only(""); body != `{"id":1}` {
		t.Errorf("got %q", body)
	}
}

func TestPutsAreThrottledWhenTooMuchWaits(t *testing.T) {
	l := newLab(t, firehose.Settings{PendingBytes: 10})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	l.put("0123456789")
	_, err := l.client.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: aws.String("findings"), Record: &types.Record{Data: []byte("x")}})
	wantError(t, err, "ServiceUnavailableException", "Slow down.")
	l.advance(300 * time.Second)
	l.put("0123456789")
}

func BenchmarkPutRecordBatch(b *testing.B) {
	for name, partitioned := range map[string]bool{"one buffer": false, "partitioned by two keys": true} {
		b.Run(name, func(b *testing.B) {
			l := newLab(b, firehose.Settings{})
			l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
				if partitioned {
					partition(s)
				}
			})
			in := &sdk.PutRecordBatchInput{DeliveryStreamName: aws.String("findings")}
			for i := range 500 {
				in.Records = append(in.Records, types.Record{Data: []byte(fmt.Sprintf(
					`{"detail":{"findings":[{"AwsAccountId":"%012d","Region":"eu-west-1","Description":"%s"}]}}`, i%100, strings.Repeat("x", 3000)))})
			}
			b.ResetTimer()
			for range b.N {
				if _, err := l.client.PutRecordBatch(b.Context(), in); err != nil {
					b.Fatal(err)
				}
				l.s3.mu.Lock()
				l.s3.deliveries, l.s3.stored = nil, nil
				l.s3.mu.Unlock()
				l.advance(10 * time.Second)
			}
			b.ReportMetric(float64(500*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkEvents(b *testing.B) {
	for name, partitioned := range map[string]bool{"one buffer": false, "partitioned by two keys": true} {
		b.Run(name, func(b *testing.B) {
			l := newLab(b, firehose.Settings{})
			l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
				if partitioned {
					partition(s)
				}
			})
			d := &cloud.Delivery{
				Action: "firehose:PutRecord", Account: labtest.Administrator, Target: "arn:aws:firehose:ap-northeast-1:111111111111:deliverystream/findings",
				Body: []byte(fmt.Sprintf(`{"detail":{"findings":[{"AwsAccountId":"111111111111","Region":"eu-west-1","Description":"%s"}]}}`, strings.Repeat("x", 3000))),
			}
			b.SetBytes(int64(len(d.Body)))
			for i := range b.N {
				if _, err := l.cloud.Deliver(b.Context(), d); err != nil {
					b.Fatal(err)
				}
				if i%10_000 == 0 {
					l.advance(time.Minute)
					l.s3.deliveries, l.s3.stored = nil, nil
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
