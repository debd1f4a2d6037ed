package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"example.org/catchment/internal/config"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/dir"
	"example.org/catchment/internal/store/s3"
)

// defaultSpecFile is read where no other is named, if it is there.
const defaultSpecFile = "catchment.yaml"

// An awsOptions holds the flags that every command which talks to AWS has.
type awsOptions struct {
	profile string
	region  string
}

// loadSpec reads the spec: the named file, else catchment.yaml if there is one, else the defaults.
func loadSpec(name string, stdin io.Reader) (*config.Spec, error) {
	named := name != ""
	if !named {
		name = defaultSpecFile
	}
	spec, err := config.ReadFile(name, stdin, config.Options{Lookup: os.LookupEnv, Checks: specChecks()})
	switch {
	case err == nil:
		return spec, nil
	case !named && errors.Is(err, fs.ErrNotExist):
		return config.Default(), nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, usageError(withHint(err, `"catchment init" writes a spec to start from`))
	}
	return nil, usageError(err)
}

// compilePipeline compiles the spec's streams.
func compilePipeline(spec *config.Spec) (*pipeline.Pipeline, error) {
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
		return nil, usageError(err)
	}
	return p, nil
}

// compressionOf reads a stream's compression, which the spec has checked.
func compressionOf(s config.Stream) (encode.Kind, error) { return encode.ParseKind(s.Compression) }

// A bucket is an open store with what else it can do.
type bucket struct {
	store.Store
	store.Getter
	store.Lister
	close func() error
	name  string // for people
}

// openBucket opens a location with the spec's settings for buckets.
func openBucket(ctx context.Context, url string, spec *config.Spec, o awsOptions) (*bucket, error) {
	at, err := config.ParseLocation(url)
	if err != nil {
		return nil, usageError(fmt.Errorf("bucket %q: %w", url, err))
	}
	if at.Folder != "" {
		s, err := dir.Open(at.Folder)
		if err != nil {
			return nil, err
		}
		return &bucket{Store: s, Getter: s, Lister: s, close: s.Close, name: at.Folder}, nil
	}
	if at.Region != "" {
		o.region = at.Region
	}
	var options []func(*awsconfig.LoadOptions) error
	if o.profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(o.profile))
	}
	if o.region != "" {
		options = append(options, awsconfig.WithRegion(o.region))
	}
	if at.Endpoint != "" {
		options = append(options, awsconfig.WithBaseEndpoint(at.Endpoint))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	set := s3.Options{Bucket: at.Bucket, Prefix: at.Prefix, KMSKeyID: spec.Bucket.Encryption.KMSKey}
	if at.PathStyle {
		set.PathStyle = s3.Always
	}
	if sse := spec.Bucket.Encryption.SSE; sse != config.SSENone {
		set.SSE = sse
	}
	if set.Checksum, err = checksumOf(spec.Bucket.Checksum); err != nil {
		return nil, usageError(err)
	}
	s := s3.Open(cfg, set)
	return &bucket{Store: s, Getter: s, Lister: s, close: func() error { return nil }, name: s.String()}, nil
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
