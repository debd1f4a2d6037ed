// Package assembly makes the parts that a spec names.
//
// It is what the commands share: here the spec's words become the options of the rooms that do the work.
package assembly

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"example.org/catchment/internal/config"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/dir"
	"example.org/catchment/internal/store/s3"
)

// An InputError says that what a person wrote is wrong: the spec, or a bucket's location.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// Pipeline compiles the spec's streams. Its errors are *InputErrors.
func Pipeline(spec *config.Spec) (*pipeline.Pipeline, error) {
	var streams []pipeline.Stream
	for _, s := range spec.Streams {
		stream := pipeline.Stream{
			Name: s.Name, Version: s.Version, Pattern: s.Pattern, PartitionKeys: s.PartitionKeys,
			Prefix: s.Prefix, ErrorPrefix: s.ErrorPrefix, TimeZone: s.TimeZone,
		}
		if s.Record == config.RecordEvent {
			stream.Record = pipeline.RecordEvent
		}
		if s.Timestamp == config.TimestampEvent {
			stream.Timestamp = pipeline.TimestampEvent
		}
		streams = append(streams, stream)
	}
	p, err := pipeline.Compile(streams)
	if err != nil {
		return nil, &InputError{err}
	}
	return p, nil
}

// Compression reads a stream's compression, which the spec has checked.
func Compression(s config.Stream) (encode.Kind, error) { return encode.ParseKind(s.Compression) }

// Location is the time zone of a stream. Its error is an *InputError.
func Location(s config.Stream) (*time.Location, error) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, &InputError{fmt.Errorf("time zone: %w", err)}
	}
	return zone, nil
}

// Access is what a person may say of how to reach AWS, beside the environment and the shared configuration.
type Access struct {
	Profile  string
	Region   string
	Endpoint string // empty: the environment's, else AWS's own
}

// Config is the SDK's configuration, by the standard chain.
func (a Access) Config(ctx context.Context) (aws.Config, error) {
	var options []func(*awsconfig.LoadOptions) error
	if a.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(a.Profile))
	}
	if a.Region != "" {
		options = append(options, awsconfig.WithRegion(a.Region))
	}
	if a.Endpoint != "" {
		options = append(options, awsconfig.WithBaseEndpoint(a.Endpoint))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, fmt.Errorf("load the AWS configuration: %w", err)
	}
	return cfg, nil
}

// A Bucket is an open store with what else it can do.
type Bucket struct {
	store.Store
	store.Getter
	store.Lister

	Close func() error
	Name  string // for people
}

// OpenBucket opens a location with the spec's settings for buckets. An error of what was written is an *InputError.
func OpenBucket(ctx context.Context, url string, spec *config.Spec, a Access) (*Bucket, error) {
	at, err := config.ParseLocation(url)
	if err != nil {
		return nil, &InputError{fmt.Errorf("bucket %q: %w", url, err)}
	}
	if at.Folder != "" {
		s, err := dir.Open(at.Folder)
		if err != nil {
			return nil, err
		}
		return &Bucket{Store: s, Getter: s, Lister: s, Close: s.Close, Name: at.Folder}, nil
	}
	if at.Region != "" {
		a.Region = at.Region
	}
	if at.Endpoint != "" {
		a.Endpoint = at.Endpoint
	}
	cfg, err := a.Config(ctx)
	if err != nil {
		return nil, err
	}
	set := s3.Options{Bucket: at.Bucket, Prefix: at.Prefix, KMSKeyID: spec.Bucket.Encryption.KMSKey}
	if at.PathStyle {
		set.PathStyle = s3.Always
	}
	if sse := spec.Bucket.Encryption.SSE; sse != config.SSENone {
		set.SSE = sse
	}
	if set.Checksum, err = checksumOf(spec.Bucket.Checksum); err != nil {
		return nil, &InputError{err}
	}
	s := s3.Open(cfg, set)
	return &Bucket{Store: s, Getter: s, Lister: s, Close: func() error { return nil }, Name: s.String()}, nil
}

// checksumOf translates the spec's word. crc32 is what the store uses by itself, and replaces where a server wants MD5.
func checksumOf(name string) (s3.Checksum, error) {
	switch name {
	case "crc32", config.ChecksumNone:
		return s3.ChecksumAuto, nil
	case "crc32c":
		return s3.CRC32C, nil
	case "crc64nvme":
		return s3.CRC64NVME, nil
	case "sha256":
		return s3.SHA256, nil
	}
	return "", fmt.Errorf("checksum %q: expected crc32, crc32c, crc64nvme, sha256 or none", name)
}
