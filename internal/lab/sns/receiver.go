package sns

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
)

// Resource tells about a topic, for what delivers to it.
func (s *Service) Resource(arn string) (cloud.Resource, error) {
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[arn]
	if t == nil {
		return cloud.Resource{}, fmt.Errorf("topic %s: %w", arn, cloud.ErrNoResource)
	}
	r := cloud.Resource{Owner: t.place.Account, Policy: t.policyAt(now, s.cloud.Lag.Policies)}
	if key := t.attributes[nameKMSKey]; key != "" {
		r.Key = keyARN(t.place, key)
	}
	return r, nil
}

// Receive publishes a delivery's body as a message. The attributes Subject, MessageStructure, MessageGroupId and
// MessageDeduplicationId are the message's own; others become message attributes of type String, or of the type that
// follows after a colon in the name: "size:Number", and "image:Binary" with its value in Base64.
// It answers with what Publish answers, as JSON.
func (s *Service) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	s.mu.Lock()
	t := s.topics[d.Target]
	s.mu.Unlock()
	if t == nil {
		return nil, fmt.Errorf("topic %s: %w", d.Target, cloud.ErrNoResource)
	}
	p := &publication{Message: string(d.Body), Attributes: make(map[string]attribute)}
	for name, value := range d.Attributes {
		switch name {
		case "Subject":
			p.Subject = &value
			continue
		case "MessageStructure":
			p.Structure = value
			continue
		case "MessageGroupId":
			p.GroupID = value
			continue
		case "MessageDeduplicationId":
			p.DeduplicationID = value
			continue
		}
		a := attribute{DataType: kindString, StringValue: value}
		name, kind, typed := strings.Cut(name, ":")
		if typed {
			a.DataType = kind
		}
		if a.kind() == kindBinary {
			b, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				return nil, fmt.Errorf("publish to %s: attribute %q is no Base64: %w", d.Target, name, err)
			}
			a.StringValue, a.BinaryValue = "", b
		}
		p.Attributes[name] = a
	}
	bad := p.check()
	var out *published
	if bad == nil {
		out, bad = s.put(t, p)
	}
	switch {
	case bad != nil && bad.Code == notFound:
		return nil, fmt.Errorf("topic %s: %w", d.Target, cloud.ErrNoResource)
	case bad != nil:
		return nil, fmt.Errorf("publish to %s: %w", d.Target, bad)
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("answer of %s: %w", d.Target, err)
	}
	return answer, nil
}
