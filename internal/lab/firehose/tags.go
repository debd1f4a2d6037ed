package firehose

import (
	"context"
	"maps"
	"slices"
	"time"

	"example.org/catchment/internal/lab/wire"
)

func (s *Service) tag(_ context.Context, c *wire.Call, in *tagInput) (*nothing, error) {
	var k constraints
	k.required("deliveryStreamName", in.DeliveryStreamName, streamName)
	k.count("tags", len(in.Tags), 1, maxTags)
	k.tags(in.Tags)
	if err := k.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(st.tags)
	for _, t := range in.Tags {
		next[t.Key] = text(t.Value)
	}
	if len(next) > maxTags {
		return nil, wire.Errorf(limitExceeded, "Firehose %s under account %s can have at most %d tags.", st.name, c.Account, maxTags)
	}
	st.tags = next
	return nil, nil
}

func (s *Service) untag(_ context.Context, c *wire.Call, in *untagInput) (*nothing, error) {
	var k constraints
	k.required("deliveryStreamName", in.DeliveryStreamName, streamName)
	k.count("tagKeys", len(in.TagKeys), 1, maxTags)
	if err := k.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(st.tags, key)
	}
	return nil, nil
}

func (s *Service) listTags(_ context.Context, c *wire.Call, in *listTagsInput) (*listTagsOutput, error) {
	var k constraints
	k.required("deliveryStreamName", in.DeliveryStreamName, streamName)
	k.number("limit", in.Limit, 1, maxTags)
	if err := k.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	limit := maxTags
	if in.Limit != nil {
		limit = *in.Limit
	}
	out := &listTagsOutput{}
	for _, key := range slices.Sorted(maps.Keys(st.tags)) {
		if in.ExclusiveStartTagKey != "" && key <= in.ExclusiveStartTagKey {
			continue
		}
		if len(out.Tags) == limit {
			out.HasMoreTags = true
			break
		}
		out.Tags = append(out.Tags, tag{key, new(st.tags[key])})
	}
	return out, nil
}

// maxEncryptionChanges is how often encryption may be started and stopped, together, in a day.
const maxEncryptionChanges = 25

func (s *Service) startEncryption(_ context.Context, c *wire.Call, in *startEncryptionInput) (*nothing, error) {
	var k constraints
	k.required("deliveryStreamName", in.DeliveryStreamName, streamName)
	k.encryption("deliveryStreamEncryptionConfigurationInput", in.DeliveryStreamEncryptionConfigurationInput)
	if err := k.err(); err != nil {
		return nil, err
	}
	wanted := in.DeliveryStreamEncryptionConfigurationInput
	if wanted == nil {
		wanted = &encryptionInput{KeyType: "AWS_OWNED_CMK"}
	}
	key, err := s.checkKey(c, wanted)
	if err != nil {
		return nil, err
	}
	return nil, s.changeEncryption(c, in.DeliveryStreamName, key, "ENABLED")
}

func (s *Service) stopEncryption(_ context.Context, c *wire.Call, in *nameInput) (*nothing, error) {
	if err := checkName(in.DeliveryStreamName); err != nil {
		return nil, err
	}
	return nil, s.changeEncryption(c, in.DeliveryStreamName, encryption{status: "DISABLING"}, "DISABLED")
}

// changeEncryption starts a change that is complete a little later.
func (s *Service) changeEncryption(c *wire.Call, name string, to encryption, done string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, name)
	if err != nil {
		return err
	}
	if st.status != statusActive || st.encryption.status == "ENABLING" || st.encryption.status == "DISABLING" {
		return wire.Errorf(resourceInUse, "Firehose %s under account %s is in state %s, its encryption %s.", name, c.Account, st.status, st.encryption.status)
	}
	now := s.cloud.Clock.Now()
	changes := slices.DeleteFunc(st.encryption.changes, func(t time.Time) bool { return now.Sub(t) >= 24*time.Hour })
	if len(changes) >= maxEncryptionChanges {
		return wire.Errorf(limitExceeded, "Encryption of a Firehose can be started and stopped %d times in 24 hours.", maxEncryptionChanges)
	}
	if err := s.roomForKey(to.keyARN, st); err != nil {
		return err
	}
	to.changes = append(changes, now)
	st.encryption = to
	s.cloud.Clock.After(s.settings.Creation, func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		st.encryption.status = done
	})
	return nil
}

// maxKeyStreams is how many streams one key of a customer may encrypt.
const maxKeyStreams = 500

// roomForKey asks whether one more stream, which is not counted where it is there already, may be encrypted with a
// customer's key; empty: with none. Requires that mu is held.
func (s *Service) roomForKey(key string, more *stream) error {
	if key == "" {
		return nil
	}
	n := 0
	for _, st := range s.all() {
		if st != more && st.encryption.keyARN == key {
			n++
		}
	}
	if n >= maxKeyStreams {
		return wire.Errorf(limitExceeded, "Key %s already encrypts %d Firehoses, and cannot encrypt another.", key, n)
	}
	return nil
}
