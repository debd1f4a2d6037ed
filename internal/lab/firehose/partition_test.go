package firehose_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"example.org/catchment/internal/lab/firehose"
)

const query = `{accountId:.detail.findings[0].AwsAccountId,region:(.detail.findings[0].Region // .region)}`

// partition is the stream that the article wished for: a folder for each account and region.
func partition(s *types.ExtendedS3DestinationConfiguration) {
	s.Prefix = aws.String("AWSLogs/!{partitionKeyFromQuery:accountId}/Inspector/!{partitionKeyFromQuery:region}/!{timestamp:yyyy/MM/dd/HH}/")
	s.ErrorOutputPrefix = aws.String("errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/")
	s.BufferingHints = hints(64, 60)
	s.DynamicPartitioningConfiguration = &types.DynamicPartitioningConfiguration{Enabled: aws.Bool(true)}
	s.ProcessingConfiguration = processors(
		step("RecordDeAggregation", "SubRecordType", "JSON"),
		step("MetadataExtraction", "MetadataExtractionQuery", query, "JsonParsingEngine", "JQ-1.6"),
		step("AppendDelimiterToRecord", "Delimiter", `\n`),
	)
}

func event(account, region string) string {
	return fmt.Sprintf(`{"region":"us-east-1","detail":{"findings":[{"AwsAccountId":%s,"Region":%s}]}}`, account, region)
}

const root = "aws-logs-inspector-111111111111/"

func TestEachAccountAndRegionHasItsFolder(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(partition)
	a, b, old := event(`"111111111111"`, `"eu-west-1"`), event(`"222222222222"`, `"eu-west-1"`), event(`"222222222222"`, `null`)
	l.put(a+b+"\n"+old, a)
	if got := l.state().Partitions; got != 3 {
		t.Errorf("got %d partitions, want 3", got)
	}
	l.advance(60 * time.Second)
	for folder, want := range map[string]string{
		"111111111111/Inspector/eu-west-1": a + "\n" + a + "\n", "222222222222/Inspector/eu-west-1": b + "\n", "222222222222/Inspector/us-east-1": old + "\n",
	} {
		key, body := l.only(root + "AWSLogs/" + folder)
		if body != want || !regexp.MustCompile(`/2026/11/22/13/findings-1-2026-11-22-13-14-20-`+uuid+`$`).MatchString(key) {
			t.Errorf("%s holds %q", key, body)
		}
	}
	if got := l.state().Partitions; got != 0 {
		t.Errorf("%d partitions are left", got)
	}
}

func TestRecordsWithoutAPartitionGoToTheErrorPrefix(t *testing.T) {
	for name, test := range map[string]struct{ record, message string }{
		"no JSON":            {"plain text", "no JSON object"},
		"an array":           {"[1]", "partition key"},
		"a key is missing":   {event(`null`, `"eu-west-1"`), "partitionKeys values must not be null or empty"},
		"a key is empty":     {event(`""`, `"eu-west-1"`), "partitionKeys values must not be null or empty"},
		"a key is an object": {event(`{}`, `"eu-west-1"`), "object or an array"},
		"a key has a slash":  {event(`"../111111111111"`, `"eu-west-1"`), "slash"},
		"a field twice":      {`{"region":"a","region":"b","detail":{"findings":[{"AwsAccountId":"1"}]}}`, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, firehose.Settings{})
			l.createS3(partition)
			l.put(test.record)
			l.advance(60 * time.Second)
			key, body := l.only(root + "errors/processing-failed/2026/11/22/findings-1-")
			got := errorRecords(t, body)
			if len(got) != 1 || got[0].ErrorCode != "DynamicPartitioning.MetadataExtractionFailed" || string(got[0].RawData) != test.record ||
				got[0].AttemptsMade != 1 || got[0].LambdaARN != nil || got[0].ArrivalTimestamp != 1795353260000 {
				t.Fatalf("%s holds %+v", key, got)
			}
			if !strings.Contains(got[0].ErrorMessage, test.message) {
				t.Errorf("got message %q, want it to hold %q", got[0].ErrorMessage, test.message)
			}
			if n := l.state().Metrics.Failures["DynamicPartitioning.MetadataExtractionFailed"]; n != 1 {
				t.Errorf("counted %d", n)
			}
		})
	}
}

func TestWhatFollowsWholeObjectsIsARecordOfItsOwn(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(partition)
	good := event(`"1"`, `"r"`)
	l.put(good + `{"broken":` + good)
	l.advance(60 * time.Second)
	if _, body := l.only(root + "AWSLogs/1/"); body != good+"\n" {
		t.Errorf("got %q", body)
	}
	if _, body := l.only(root + "errors/"); string(errorRecords(t, body)[0].RawData) != `{"broken":`+good {
		t.Errorf("got %q", body)
	}
}

func TestRecordsBeyondTheActivePartitionsGoToTheErrorPrefix(t *testing.T) {
	l := newLab(t, firehose.Settings{ActivePartitions: 2})
	l.createS3(partition)
	l.put(event(`"1"`, `"r"`), event(`"2"`, `"r"`), event(`"3"`, `"r"`), event(`"1"`, `"r"`))
	l.advance(60 * time.Second)
	_, body := l.only(root + "errors/activePartitionExceeded/")
	if got := errorRecords(t, body); len(got) != 1 || string(got[0].RawData) != event(`"3"`, `"r"`) {
		t.Errorf("got %+v", got)
	}
	l.put(event(`"3"`, `"r"`))
	l.advance(60 * time.Second)
	l.only(root + "AWSLogs/3/")
}

func TestTheHourIsPartOfThePartition(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(partition)
	l.advance(45*time.Minute + 25*time.Second) // 13:59:45
	l.put(event(`"1"`, `"r"`))
	l.advance(30 * time.Second)
	l.put(event(`"1"`, `"r"`))
	if got := l.state().Partitions; got != 2 {
		t.Errorf("got %d partitions, want one for each hour", got)
	}
	l.advance(60 * time.Second)
	l.only(root + "AWSLogs/1/Inspector/r/2026/11/22/13/")
	l.only(root + "AWSLogs/1/Inspector/r/2026/11/22/14/")
}

func TestAPartitionThatCannotBeDeliveredGoesToTheErrorPrefix(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) {
		partition(s)
		s.DynamicPartitioningConfiguration.RetryOptions = &types.RetryOptions{DurationInSeconds: aws.Int32(10)}
	})
	l.s3.missing = "AWSLogs/"
	l.put(event(`"1"`, `"r"`))
	l.advance(69 * time.Second)
	if got := l.state(); got.Partitions > 1 {
		t.Errorf("got %+v", got)
	}
	l.advance(60 * time.Second)
	_, body := l.only(root + "errors/processing-failed/")
	got := errorRecords(t, body)
	if len(got) != 1 || got[0].ErrorCode != "DynamicPartitioning.DeliveryFailed" || string(got[0].RawData) != event(`"1"`, `"r"`) || got[0].AttemptsMade < 3 {
		t.Errorf("got %+v", got)
	}
	if n := l.state().Partitions; n != 0 {
		t.Errorf("%d partitions are left", n)
	}
}
