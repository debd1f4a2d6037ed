package firehose

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Bounds of a put. https://docs.aws.amazon.com/firehose/latest/dev/limits.html
const (
	maxRecord       = 1_024_000 // bytes, before base64
	maxBatchRecords = 500
	maxBatchBytes   = 4 << 20
)

// throughput are what is left of a stream's quotas at a moment.
type throughput struct {
	at                       time.Time
	records, requests, bytes float64
}

// limits are the quotas of a second, which are also what may come at once after a pause.
func limits(region string) throughput {
	if slices.Contains([]string{"us-east-1", "us-west-2", "eu-west-1"}, region) {
		return throughput{records: 500_000, requests: 2000, bytes: 5 << 20}
	}
	return throughput{records: 100_000, requests: 1000, bytes: 1 << 20}
}

func (t *throughput) refill(region string, now time.Time) {
	full := limits(region)
	full.at = now
	if !t.at.IsZero() {
		passed := max(now.Sub(t.at).Seconds(), 0)
		full.records = min(full.records, t.records+passed*full.records)
		full.requests = min(full.requests, t.requests+passed*full.requests)
		full.bytes = min(full.bytes, t.bytes+passed*full.bytes)
	}
	*t = full
}

func (t *throughput) take(n int) bool {
	if t.records < 1 || t.bytes < float64(n) {
		return false
	}
	t.records--
	t.bytes -= float64(n)
	return true
}

// slowDown is what AWS says beyond a quota.
func slowDown() *wire.Error {
	return wire.StatusErrorf(http.StatusServiceUnavailable, serviceUnavailable, "Slow down.")
}

func (s *Service) put(_ context.Context, c *wire.Call, in *putInput) (*putOutput, error) {
	var k constraints
	k.required("deliveryStreamName", in.DeliveryStreamName, streamName)
	k.present("record", in.Record != nil)
	if in.Record != nil {
		k.data("record.data", in.Record.Data)
	}
	if err := k.err(); err != nil {
		return nil, err
	}
	out, err := s.take(c.Place, in.DeliveryStreamName, []recordInput{*in.Record})
	switch {
	case err != nil:
		return nil, err
	case out.FailedPutCount > 0:
		return nil, slowDown()
	}
	return &putOutput{out.RequestResponses[0].RecordID, out.Encrypted}, nil
}

func (c *constraints) data(at string, data []byte) {
	c.present(at, data != nil)
	if len(data) > maxRecord {
		c.fail("", at, "have length less than or equal to %d", maxRecord)
	}
}

func (s *Service) putBatch(_ context.Context, c *wire.Call, in *putBatchInput) (*putBatchOutput, error) {
	var k constraints
	k.required("deliveryStreamName", in.DeliveryStreamName, streamName)
	k.count("records", len(in.Records), 1, maxBatchRecords)
	total := 0
	for i := range in.Records {
		k.data("records."+strconv.Itoa(i+1)+".member.data", in.Records[i].Data)
		total += len(in.Records[i].Data)
	}
	if err := k.err(); err != nil {
		return nil, err
	}
	if total > maxBatchBytes {
		return nil, wire.Errorf(invalidArgument, "Records size exceeds 4 MB limit")
	}
	return s.take(c.Place, in.DeliveryStreamName, in.Records)
}

// take takes records in: as many as the quotas let through.
func (s *Service) take(at cloud.Place, name string, records []recordInput) (*putBatchOutput, error) {
	if err := s.keyExists(at, name); err != nil {
		return nil, err
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(at, name)
	if err != nil {
		return nil, err
	}
	if st.status == statusCreating {
		return nil, wire.StatusErrorf(http.StatusServiceUnavailable, serviceUnavailable, "Firehose %s under account %s is in state %s.", name, at.Account, st.status)
	}
	if s.cloud.Quotas {
		st.throughput.refill(at.Region, now)
		if st.throughput.requests < 1 {
			st.counts.ThrottledRecords += len(records)
			return nil, slowDown()
		}
		st.throughput.requests--
	}
	id := s.cloud.Hex("firehose record", 64)
	out := &putBatchOutput{Encrypted: st.encryption.keyType != "" && st.encryption.status == "ENABLED", RequestResponses: make([]putEntry, len(records))}
	for i, r := range records {
		if s.pending >= s.settings.PendingBytes || s.cloud.Quotas && !st.throughput.take(len(r.Data)) {
			st.counts.ThrottledRecords++
			out.FailedPutCount++
			out.RequestResponses[i] = putEntry{ErrorCode: serviceUnavailable, ErrorMessage: "Slow down."}
			continue
		}
		s.accept(st, r.Data, now)
		out.RequestResponses[i] = putEntry{RecordID: id + fmt.Sprintf("%04x", i)}
	}
	return out, nil
}

// keyExists checks the key of a stream that is encrypted with a customer's.
func (s *Service) keyExists(at cloud.Place, name string) error {
	s.mu.Lock()
	var key string
	if st := s.streams[at][name]; st != nil {
		key = st.encryption.keyARN
	}
	s.mu.Unlock()
	if key == "" {
		return nil
	}
	who := cloud.Identity{Kind: cloud.Service, ARN: principal, Account: at.Account}
	if err := s.cloud.PermitKey(who, key, "kms:Decrypt"); errors.Is(err, cloud.ErrNoResource) {
		e := wire.Errorf(invalidKMSResource, "%v", err)
		e.Fields = map[string]any{"code": "KMS.NotFoundException"}
		return e
	}
	return nil
}

// Resource is cloud.Receiver: what a hop has to know about a stream.
func (s *Service) Resource(arn string) (cloud.Resource, error) {
	at, name, err := parseStream(arn)
	if err != nil {
		return cloud.Resource{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[at][name] == nil {
		return cloud.Resource{}, fmt.Errorf("delivery stream %s: %w", arn, cloud.ErrNoResource)
	}
	return cloud.Resource{Owner: at.Account}, nil
}

func parseStream(arn string) (cloud.Place, string, error) {
	a, err := cloud.ParseARN(arn)
	name, is := "", false
	if err == nil {
		name, is = strings.CutPrefix(a.Resource, "deliverystream/")
	}
	if !is {
		return cloud.Place{}, "", fmt.Errorf("%s is not the ARN of a delivery stream: it %w", arn, cloud.ErrNoResource)
	}
	return a.Place(), name, nil
}

// Receive is cloud.Receiver: it takes the body as one record, as PutRecord does.
func (s *Service) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	at, name, err := parseStream(d.Target)
	if err != nil {
		return nil, err
	}
	if len(d.Body) > maxRecord {
		return nil, fmt.Errorf("record of %d bytes: a delivery stream takes at most %d", len(d.Body), maxRecord)
	}
	out, err := s.take(at, name, []recordInput{{Data: slices.Clone(d.Body)}})
	if e, ok := errors.AsType[*wire.Error](err); ok {
		switch e.Code {
		case serviceUnavailable:
			return nil, &cloud.DeliveryError{Code: cloud.CodeThrottling, Err: err, Retry: true}
		case resourceNotFound:
			return nil, fmt.Errorf("%w: %w", cloud.ErrNoResource, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("put a record to %s: %w", d.Target, err)
	}
	if out.FailedPutCount > 0 {
		return nil, &cloud.DeliveryError{Code: cloud.CodeThrottling, Err: slowDown(), Retry: true}
	}
	answer, err := json.Marshal(putOutput{out.RequestResponses[0].RecordID, out.Encrypted})
	if err != nil {
		return nil, fmt.Errorf("answer of %s: %w", d.Target, err)
	}
	return answer, nil
}
