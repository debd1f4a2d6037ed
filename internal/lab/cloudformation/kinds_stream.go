package cloudformation

import (
	"context"
	"maps"
)

const destinationS3, destinationHTTP = "ExtendedS3DestinationConfiguration", "HttpEndpointDestinationConfiguration"

func streamKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::KinesisFirehose::DeliveryStream": {
			schema: properties("DeliveryStreamName!", "DeliveryStreamType!", "DeliveryStreamEncryptionConfigurationInput", destinationS3, destinationHTTP,
				"S3DestinationConfiguration", "Tags"),
			create: createStream, update: updateStream, remove: removeStream, read: readStream, stable: streamIs("ACTIVE"), gone: streamIs(""),
			replace: func(before, after map[string]any) bool { return partitioned(before) != partitioned(after) },
		},
	}
}

// partitioned tells whether a stream has dynamic partitioning: it cannot be switched.
func partitioned(props map[string]any) bool {
	on, _ := object(object(props[destinationS3])["DynamicPartitioningConfiguration"])["Enabled"].(bool)
	return on
}

func createStream(ctx context.Context, j *job) error {
	name := j.name("DeliveryStreamName", 64)
	in := j.pick("DeliveryStreamType", "DeliveryStreamEncryptionConfigurationInput", destinationS3, destinationHTTP, "S3DestinationConfiguration")
	in["DeliveryStreamName"] = name
	if tags := j.allTags(); len(tags) > 0 {
		in["Tags"] = tags
	}
	out, err := j.call(ctx, "firehose", "CreateDeliveryStream", in)
	if err != nil {
		return err
	}
	j.physical = name
	j.attrs = map[string]any{"Arn": out["DeliveryStreamARN"]}
	return nil
}

func describeStream(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "firehose", "DescribeDeliveryStream", map[string]any{"DeliveryStreamName": j.physical})
	return object(out["DeliveryStreamDescription"]), err
}

// streamIs tells whether a stream has a status; the empty one is that it is not there.
func streamIs(status string) func(context.Context, *job) (bool, error) {
	return func(ctx context.Context, j *job) (bool, error) {
		d, err := describeStream(ctx, j)
		if status == "" && isGone(err) {
			return true, nil
		}
		return err == nil && textOf(d["DeliveryStreamStatus"]) == status, err
	}
}

// whole are the members of a destination that are reset when a template no longer has them.
var whole = map[string]any{
	"Prefix": "", "ErrorOutputPrefix": "", "CompressionFormat": "UNCOMPRESSED", "FileExtension": "", "CustomTimeZone": "UTC",
	"ProcessingConfiguration": map[string]any{"Enabled": false}, "S3BackupMode": "Disabled", "CloudWatchLoggingOptions": map[string]any{"Enabled": false},
	"EncryptionConfiguration": map[string]any{"NoEncryptionConfig": "NoEncryption"},
}

func updateStream(ctx context.Context, j *job) error {
	if j.changed(destinationS3, destinationHTTP, "S3DestinationConfiguration") {
		d, err := describeStream(ctx, j)
		if err != nil {
			return err
		}
		in := map[string]any{"DeliveryStreamName": j.physical, "CurrentDeliveryStreamVersionId": d["VersionId"], "DestinationId": "destinationId-000000000001"}
		for _, v := range listOf(d["Destinations"]) {
			in["DestinationId"] = object(v)["DestinationId"]
		}
		for property, member := range map[string]string{
			destinationS3: "ExtendedS3DestinationUpdate", destinationHTTP: "HttpEndpointDestinationUpdate", "S3DestinationConfiguration": "S3DestinationUpdate",
		} {
			if j.props[property] == nil {
				continue
			}
			to := maps.Clone(object(j.props[property]))
			for name, reset := range whole {
				if _, was := object(j.before[property])[name]; was && to[name] == nil {
					to[name] = reset
				}
			}
			for from, as := range map[string]string{"S3BackupConfiguration": "S3BackupUpdate", "S3Configuration": "S3Update"} {
				if v, there := to[from]; there {
					to[as] = v
					delete(to, from)
				}
			}
			in[member] = to
		}
		if err := j.do(ctx, "firehose", "UpdateDestination", in); err != nil {
			return err
		}
	}
	return updateStreamKey(ctx, j)
}

func updateStreamKey(ctx context.Context, j *job) error {
	const property = "DeliveryStreamEncryptionConfigurationInput"
	if !j.changed(property) {
		return nil
	}
	in := map[string]any{"DeliveryStreamName": j.physical}
	if j.props[property] == nil {
		return j.do(ctx, "firehose", "StopDeliveryStreamEncryption", in)
	}
	in[property] = j.props[property]
	return j.do(ctx, "firehose", "StartDeliveryStreamEncryption", in)
}

func removeStream(ctx context.Context, j *job) error {
	return j.do(ctx, "firehose", "DeleteDeliveryStream", map[string]any{"DeliveryStreamName": j.physical})
}

func readStream(ctx context.Context, j *job) (map[string]any, error) {
	d, err := describeStream(ctx, j)
	if err != nil {
		return nil, err
	}
	have := make(map[string]any)
	for _, v := range listOf(d["Destinations"]) {
		if s3 := object(object(v)["ExtendedS3DestinationDescription"]); s3 != nil {
			s3 = maps.Clone(s3)
			s3["S3BackupConfiguration"] = s3["S3BackupDescription"]
			have[destinationS3] = s3
		}
		if h := object(object(v)["HttpEndpointDestinationDescription"]); h != nil {
			h = maps.Clone(h)
			h["S3Configuration"] = h["S3DestinationDescription"]
			endpoint := maps.Clone(object(h["EndpointConfiguration"]))
			if key := object(object(j.props[destinationHTTP])["EndpointConfiguration"])["AccessKey"]; key != nil && endpoint != nil {
				endpoint["AccessKey"] = key // it is never shown
			}
			h["EndpointConfiguration"] = endpoint
			have[destinationHTTP] = h
		}
	}
	return have, nil
}
