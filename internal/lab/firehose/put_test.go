package firehose_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/firehose"
	"example.org/catchment/internal/lab/labtest"
)

func (l *lab) tryBatch(sizes ...int) (*sdk.PutRecordBatchOutput, error) {
	in := &sdk.PutRecordBatchInput{DeliveryStreamName: aws.String("findings")}
	for _, n := range sizes {
		in.Records = append(in.Records, types.Record{Data: make([]byte, n)})
	}
	return l.client.PutRecordBatch(l.t.Context(), in)
}

func repeat(n, size int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = size
	}
	return out
}

func TestPutsHaveLimits(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	for name, test := range map[string]struct {
		sizes         []int
		code, message string // empty: it is taken
	}{
		"a record of 1,000 KiB":    {[]int{1_024_000}, "", ""},
		"a record of a byte more":  {[]int{1, 1_024_001}, model, "'records.2.member.data' failed to satisfy constraint: Member must have length less than or equal to 1024000"},
		"a record without content": {[]int{0}, "", ""},
		"500 records":              {repeat(500, 1), "", ""},
		"501 records":              {repeat(501, 1), model, "'records' failed to satisfy constraint: Member must have length less than or equal to 500"},
		"no records":               {[]int{}, model, "'records' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		"4 MiB":                    {repeat(8, 512<<10), "", ""},
		"more than 4 MiB":          {append(repeat(8, 512<<10), 1), invalid, "Records size exceeds 4 MB limit"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &sdk.PutRecordBatchInput{DeliveryStreamName: aws.String("findings"), Records: []types.Record{}}
			for _, n := range test.sizes {
				in.Records = append(in.Records, types.Record{Data: make([]byte, n)})
			}
			out, err := l.client.PutRecordBatch(t.Context(), in)
			if test.code != "" {
				wantError(t, err, test.code, test.message)
				return
			}
			if err != nil || *out.FailedPutCount != 0 || len(out.RequestResponses) != len(test.sizes) {
				t.Fatalf("got %+v, %v", out, err)
			}
			ids := make(map[string]bool)
			for _, r := range out.RequestResponses {
				ids[*r.RecordId] = true
			}
			if len(ids) != len(test.sizes) {
				t.Errorf("got %d different ids of %d records", len(ids), len(test.sizes))
			}
		})
	}
	_, err := l.client.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: aws.String("findings"), Record: &types.Record{Data: make([]byte, 1_024_001)}})
	wantError(t, err, model, "'record.data' failed to satisfy constraint: Member must have length less than or equal to 1024000")
	_, err = l.client.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: aws.String("a b"), Record: &types.Record{Data: []byte("x")}})
	wantError(t, err, model, "deliveryStreamName")
}

func TestRecordsBeyondTheQuotasFailOneByOne(t *testing.T) {
	l := newLab(t, firehose.Settings{}, func(o *cloud.Options) { o.Quotas = true })
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	out, err := l.tryBatch(600<<10, 600<<10, 424<<10)
	if err != nil {
		t.Fatal(err)
	}
	if *out.FailedPutCount != 1 || out.RequestResponses[0].RecordId == nil || *out.RequestResponses[1].ErrorCode != "ServiceUnavailableException" ||
		*out.RequestResponses[1].ErrorMessage != "Slow down." || out.RequestResponses[1].RecordId != nil || out.RequestResponses[2].RecordId == nil {
		t.Errorf("got %+v, want the second of three beyond 1 MiB/s", out.RequestResponses)
	}
	_, err = l.client.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: aws.String("findings"), Record: &types.Record{Data: []byte("x")}})
	wantError(t, err, "ServiceUnavailableException", "Slow down.")
	l.advance(time.Second)
	if out, err = l.tryBatch(1_024_000); err != nil || *out.FailedPutCount != 0 {
		t.Errorf("a second later: %+v, %v", out, err)
	}
	if got := l.state().Metrics; got.ThrottledRecords != 2 || got.IncomingRecords != 3 {
		t.Errorf("counted %+v", got)
	}
}

func TestRequestsBeyondTheQuotaFailAsAWhole(t *testing.T) {
	l := newLab(t, firehose.Settings{}, func(o *cloud.Options) { o.Quotas = true })
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	d := &cloud.Delivery{
		Action: "firehose:PutRecord", Target: "arn:aws:firehose:ap-northeast-1:111111111111:deliverystream/findings", Account: labtest.Administrator, Body: []byte("x"),
	}
	for range 1000 {
		if _, err := l.cloud.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	_, err := l.cloud.Deliver(t.Context(), d)
	if e, ok := errors.AsType[*cloud.DeliveryError](err); !ok || !e.Retry {
		t.Errorf("got %v, want an error that another try may help", err)
	}
	_, err = l.tryBatch(1)
	wantError(t, err, "ServiceUnavailableException", "Slow down.")
}

func TestTheControlPlaneTakesFiveCallsASecond(t *testing.T) {
	l := newLab(t, firehose.Settings{}, func(o *cloud.Options) { o.Quotas = true })
	for range 5 {
		if _, err := l.client.ListDeliveryStreams(t.Context(), &sdk.ListDeliveryStreamsInput{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := l.client.ListDeliveryStreams(t.Context(), &sdk.ListDeliveryStreamsInput{})
	wantError(t, err, "ThrottlingException", "")
}
