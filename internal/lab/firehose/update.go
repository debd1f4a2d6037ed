package firehose

import (
	"context"
	"strconv"

	"example.org/catchment/internal/lab/wire"
)

func (in *updateInput) check() error {
	var c constraints
	c.required("deliveryStreamName", in.DeliveryStreamName, streamName)
	c.required("currentDeliveryStreamVersionId", in.CurrentDeliveryStreamVersionID, versionID)
	c.required("destinationId", in.DestinationID, destinationID)
	if in.S3DestinationUpdate != nil {
		c.s3("s3DestinationUpdate", in.S3DestinationUpdate, false)
	}
	if in.ExtendedS3DestinationUpdate != nil {
		c.extended("extendedS3DestinationUpdate", in.ExtendedS3DestinationUpdate, false)
	}
	if in.HTTPEndpointDestinationUpdate != nil {
		c.endpoint("httpEndpointDestinationUpdate", in.HTTPEndpointDestinationUpdate, false)
	}
	if err := c.err(); err != nil {
		return err
	}
	return in.elsewhere.check()
}

// update changes where a stream delivers to. Records that wait go where they were to go.
func (s *Service) update(_ context.Context, c *wire.Call, in *updateInput) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	st, err := s.find(c.Place, in.DeliveryStreamName)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	version, current := st.version, st.destination
	status := st.status
	s.mu.Unlock()
	now := s.cloud.Clock.Now()
	switch {
	case status != statusActive:
		return nil, wire.Errorf(resourceInUse, "Firehose %s under account %s is not in ACTIVE state: %s", in.DeliveryStreamName, c.Account, status)
	case strconv.Itoa(version) != in.CurrentDeliveryStreamVersionID:
		return nil, wire.Errorf(concurrentModification, "Cannot update firehose: %s since the current version id: %d and specified version id: %s do not match",
			in.DeliveryStreamName, version, in.CurrentDeliveryStreamVersionID)
	case in.DestinationID != onlyDestination:
		return nil, wire.Errorf(invalidArgument, "Destination Id %s not found", in.DestinationID)
	}
	next, err := current.merge(in)
	if err != nil {
		return nil, err
	}
	p, err := next.compile(version+1, c.Place, now)
	if err != nil {
		return nil, err
	}
	if err = s.permitRoles(c, p); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.version != version {
		return nil, wire.Errorf(concurrentModification, "Cannot update firehose: %s was changed meanwhile", st.name)
	}
	st.version, st.updated, st.destination, st.plan = version+1, now, next, p
	return nil, nil
}

// merge is the destination after an update. One of another type stands for itself; else what is not said stays.
func (d *destination) merge(in *updateInput) (destination, error) {
	n := 0
	for _, given := range []bool{in.S3DestinationUpdate != nil, in.ExtendedS3DestinationUpdate != nil, in.HTTPEndpointDestinationUpdate != nil} {
		if given {
			n++
		}
	}
	if n != 1 {
		return destination{}, wire.Errorf(invalidArgument, "Exactly one destination configuration is supported for a Firehose")
	}
	if h := in.HTTPEndpointDestinationUpdate; h != nil {
		return d.mergeHTTP(h)
	}
	e := in.ExtendedS3DestinationUpdate
	if e == nil {
		e = &extendedS3{s3Config: *in.S3DestinationUpdate}
	}
	if d.s3 == nil {
		if e.RoleARN == "" || e.BucketARN == "" {
			return destination{}, wire.Errorf(invalidArgument, "RoleARN and BucketARN are required when the destination type changes.")
		}
		if e.partitioned() {
			return destination{}, errSwitched
		}
		e.S3BackupConfiguration, e.S3BackupUpdate = e.S3BackupUpdate, nil
		return destination{s3: e}, nil
	}
	if e.DynamicPartitioningConfiguration != nil && e.partitioned() != d.s3.partitioned() {
		return destination{}, errSwitched
	}
	next := *d.s3
	next.s3Config = next.merge(&e.s3Config)
	set(&next.ProcessingConfiguration, e.ProcessingConfiguration)
	if e.S3BackupMode != "" {
		next.S3BackupMode = e.S3BackupMode
	}
	if e.S3BackupUpdate != nil {
		var before s3Config
		if next.S3BackupConfiguration != nil {
			before = *next.S3BackupConfiguration
		}
		merged := before.merge(e.S3BackupUpdate)
		if merged.RoleARN == "" || merged.BucketARN == "" {
			return destination{}, wire.Errorf(invalidArgument, "S3 backup destination configuration is required when enabling S3 backup.")
		}
		next.S3BackupConfiguration = &merged
	}
	set(&next.DataFormatConversionConfiguration, e.DataFormatConversionConfiguration)
	set(&next.DynamicPartitioningConfiguration, e.DynamicPartitioningConfiguration)
	set(&next.FileExtension, e.FileExtension)
	set(&next.CustomTimeZone, e.CustomTimeZone)
	return destination{s3: &next}, nil
}

var errSwitched = wire.Errorf(invalidArgument, "Dynamic Partitioning can be enabled only when a Firehose is created, and cannot be disabled.")

func (e *extendedS3) partitioned() bool {
	return e.DynamicPartitioningConfiguration != nil && on(e.DynamicPartitioningConfiguration.Enabled)
}

func (d *destination) mergeHTTP(h *httpConfig) (destination, error) {
	if d.http == nil {
		if d.s3.partitioned() {
			return destination{}, errSwitched
		}
		h.S3Configuration, h.S3Update = h.S3Update, nil
		if h.S3Configuration != nil && (h.S3Configuration.RoleARN == "" || h.S3Configuration.BucketARN == "") {
			return destination{}, wire.Errorf(invalidArgument, "RoleARN and BucketARN are required when the destination type changes.")
		}
		return destination{http: h}, nil
	}
	next := *d.http
	set(&next.EndpointConfiguration, h.EndpointConfiguration)
	set(&next.BufferingHints, h.BufferingHints)
	set(&next.CloudWatchLoggingOptions, h.CloudWatchLoggingOptions)
	set(&next.RequestConfiguration, h.RequestConfiguration)
	set(&next.ProcessingConfiguration, h.ProcessingConfiguration)
	set(&next.RetryOptions, h.RetryOptions)
	set(&next.SecretsManagerConfiguration, h.SecretsManagerConfiguration)
	if h.RoleARN != "" {
		next.RoleARN = h.RoleARN
	}
	if h.S3BackupMode != "" {
		next.S3BackupMode = h.S3BackupMode
	}
	if h.S3Update != nil {
		merged := next.S3Configuration.merge(h.S3Update)
		next.S3Configuration = &merged
	}
	return destination{http: &next}, nil
}

func (s *s3Config) merge(u *s3Config) s3Config {
	next := *s
	if u.RoleARN != "" {
		next.RoleARN = u.RoleARN
	}
	if u.BucketARN != "" {
		next.BucketARN = u.BucketARN
	}
	if u.CompressionFormat != "" {
		next.CompressionFormat = u.CompressionFormat
	}
	set(&next.Prefix, u.Prefix)
	set(&next.ErrorOutputPrefix, u.ErrorOutputPrefix)
	set(&next.BufferingHints, u.BufferingHints)
	set(&next.EncryptionConfiguration, u.EncryptionConfiguration)
	set(&next.CloudWatchLoggingOptions, u.CloudWatchLoggingOptions)
	return next
}

// set takes what was given.
func set[T any](to **T, given *T) {
	if given != nil {
		*to = given
	}
}
