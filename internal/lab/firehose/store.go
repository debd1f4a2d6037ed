package firehose

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	names "example.org/catchment/internal/batch"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/prefix"
)

// retention is how long records of a Direct PUT are tried to be delivered, from their arrival.
const retention = 24 * time.Hour

// name gives a batch its object's key: <prefix><stream>-<version>-<time>-<uuid><extension>.
// https://docs.aws.amazon.com/firehose/latest/dev/basic-deliver.html#s3-object-name
func (s *Service) name(b *batch) error {
	to := b.sink()
	var id names.ID
	if _, err := hex.Decode(id[:], []byte(strings.ReplaceAll(s.cloud.UUID("firehose object"), "-", ""))); err != nil {
		return fmt.Errorf("object's id: %w", err)
	}
	evaluated := b.prefix
	if b.stage != toData || b.plan.keys == nil {
		e := to.prefix
		if b.stage == toErrors {
			e = to.failed[b.kind]
		}
		text, err := e.Append(nil, b.oldest, nil)
		if err != nil {
			return fmt.Errorf("prefix of %s: %w", b.stream.arn, err)
		}
		evaluated = string(text)
	}
	b.key = prefix.Finish(evaluated, id) + names.Name(b.stream.name, b.plan.version, b.oldest.In(to.zone), id, to.extension)
	return nil
}

// content makes a batch's object: the records one behind the other.
func (s *Service) content(b *batch) error {
	var plain bytes.Buffer
	plain.Grow(b.size)
	delimiter := b.delimiter()
	for i := range b.records {
		plain.Write(b.records[i].data)
		plain.Write(delimiter)
	}
	b.body = plain.Bytes()
	if !b.sink().gzip {
		return nil
	}
	packed, err := s.gzip(b.body)
	b.body = packed
	return err
}

// gzip is for tasks, which are one at a time.
func (s *Service) gzip(plain []byte) ([]byte, error) {
	out, err := io.ReadAll(encode.Join(encode.Gzip, []encode.Segment{s.compressor.Segment(nil, plain)}))
	if err != nil {
		return nil, fmt.Errorf("compress an object: %w", err)
	}
	return out, nil
}

// store puts a batch to S3.
func (s *Service) store(ctx context.Context, b *batch) {
	if b.key == "" {
		err := s.name(b)
		if err == nil {
			err = s.content(b)
		}
		if err != nil {
			s.stored(b, &failure{"InternalError", err.Error()})
			return
		}
	}
	to := b.sink()
	attributes := map[string]string{"content-type": "application/octet-stream"}
	if to.key != "" {
		attributes["sse"], attributes["sse-kms-key-id"] = "aws:kms", to.key // the lab's S3 asks whether the role may use it
	}
	_, err := s.cloud.Deliver(ctx, &cloud.Delivery{
		Source: b.stream.arn, From: principal, Account: b.stream.at.Account, Role: to.role, ExternalID: b.stream.at.Account,
		Action: "s3:PutObject", Target: to.bucket + "/" + b.key, Body: b.body, Attributes: attributes,
	})
	if err != nil {
		s.stored(b, storeFailure(err))
		return
	}
	s.stored(b, nil)
}

// storeFailure names why an object could not be put.
// https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-logs.html
func storeFailure(err error) *failure {
	var code string
	if d, ok := errors.AsType[*cloud.DeliveryError](err); ok {
		code = d.Code
	}
	denied, isDenied := errors.AsType[*cloud.DeniedError](err)
	switch {
	case isDenied && strings.HasPrefix(denied.Action, "kms:"):
		return &failure{"S3.KMS.AccessDeniedException", err.Error()}
	case code == cloud.CodeNoPermissions && errors.Is(err, cloud.ErrNoResource):
		return &failure{"S3.KMS.NotFoundException", err.Error()} // all else that does not exist has a code of its own
	case code == cloud.CodeNoPermissions:
		return &failure{"S3.AccessDenied", err.Error()}
	case code == cloud.CodeNoResource:
		return &failure{"S3.NoSuchBucket", err.Error()}
	case code == cloud.CodeThrottling:
		return &failure{"S3.SlowDown", err.Error()}
	}
	return &failure{"InternalError", err.Error()}
}

// stored takes up that a batch was put, or that it was not.
func (s *Service) stored(b *batch, broken *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := b.stream
	if b.done {
		return
	}
	now := s.cloud.Clock.Now()
	if broken == nil {
		s.finish(b)
		st.counts.Delivered[b.stage].add(len(b.records), len(b.body))
		return
	}
	st.counts.Failures[broken.code]++
	wait := s.backOff(b.attempts)
	switch {
	case b.stage == toData && b.plan.keys != nil && now.Add(wait).Sub(b.first) > b.plan.retry:
		s.finish(b)
		s.reject(st, b.plan, processingFailed, "DynamicPartitioning.DeliveryFailed", broken.Error(), b.records, b.attempts)
	case now.Add(wait).Sub(b.oldest) > retention:
		s.lose(b)
	default:
		s.schedule(b, wait)
	}
}
