package sqs

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
)

// Resource tells about a queue, for what delivers to it.
func (s *Service) Resource(arn string) (cloud.Resource, error) {
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.byARN(arn)
	if q == nil {
		return cloud.Resource{}, fmt.Errorf("queue %s: %w", arn, cloud.ErrNoResource)
	}
	r := cloud.Resource{Owner: q.place.Account, Policy: q.policyAt(now, s.cloud.Lag.Policies)}
	if q.settings.kmsKey != "" {
		r.Key = keyARN(q.place, q.settings.kmsKey)
	}
	return r, nil
}

// Receive puts a delivery's body into a queue as a message. Its attributes become message attributes of type String, but
// for MessageGroupId and MessageDeduplicationId, which are the message's own. An attribute of another type has the type
// in its name, which is no part of a name of SQS's: "size:Number", and "image:Binary" with its value in Base64.
// It answers with what SendMessage answers, as JSON.
func (s *Service) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	s.mu.Lock()
	q := s.byARN(d.Target)
	s.mu.Unlock()
	if q == nil {
		return nil, fmt.Errorf("queue %s: %w", d.Target, cloud.ErrNoResource)
	}
	in := &sending{MessageBody: string(d.Body)}
	for name, value := range d.Attributes {
		switch name {
		case nameGroup:
			in.GroupID = value
			continue
		case nameDedup:
			in.DeduplicationID = value
			continue
		}
		a := attribute{DataType: kindString}
		name, kind, typed := strings.Cut(name, ":")
		if typed {
			a.DataType = kind
		}
		if a.kind() == kindBinary {
			b, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				return nil, fmt.Errorf("send to %s: attribute %q is no Base64: %w", d.Target, name, err)
			}
			a.BinaryValue = b
		} else {
			a.StringValue = value
		}
		if in.Attributes == nil {
			in.Attributes = make(map[string]attribute)
		}
		in.Attributes[name] = a
	}
	out, bad := s.send(q, in, d.From)
	if bad != nil && bad.Code == queueDoesNotExist {
		return nil, fmt.Errorf("queue %s: %w", d.Target, cloud.ErrNoResource)
	}
	if bad != nil {
		return nil, fmt.Errorf("send to %s: %w", d.Target, bad)
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return nil, errors.Join(errors.New("encode the answer"), err)
	}
	return answer, nil
}
