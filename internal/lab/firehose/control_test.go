package firehose_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/firehose"
	"example.org/catchment/internal/lab/labtest"
)

func (l *lab) describe() *types.DeliveryStreamDescription {
	l.t.Helper()
	out, err := l.client.DescribeDeliveryStream(l.t.Context(), &sdk.DescribeDeliveryStreamInput{DeliveryStreamName: aws.String("findings")})
	if err != nil {
		l.t.Fatal(err)
	}
	return out.DeliveryStreamDescription
}

func TestAStreamIsCreatedAndBecomesActive(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	in := &sdk.CreateDeliveryStreamInput{
		DeliveryStreamName:                 aws.String("findings"),
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(bucket)},
		Tags:                               []types.Tag{{Key: aws.String("team"), Value: aws.String("security")}},
	}
	out, err := l.client.CreateDeliveryStream(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:firehose:ap-northeast-1:111111111111:deliverystream/findings"
	if *out.DeliveryStreamARN != arn {
		t.Errorf("got %s", *out.DeliveryStreamARN)
	}
	if got := l.describe().DeliveryStreamStatus; got != types.DeliveryStreamStatusCreating {
		t.Errorf("got %s at first", got)
	}
	_, err = l.client.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: aws.String("findings"), Record: &types.Record{Data: []byte("x")}})
	wantError(t, err, "ServiceUnavailableException", "CREATING")
	_, err = l.client.DeleteDeliveryStream(t.Context(), &sdk.DeleteDeliveryStreamInput{DeliveryStreamName: aws.String("findings")})
	wantError(t, err, "ResourceInUseException", "CREATING")
	_, err = l.client.CreateDeliveryStream(t.Context(), in)
	wantError(t, err, "ResourceInUseException", "already exists")
	l.advance(5 * time.Second)
	got := l.describe()
	s3 := &types.S3DestinationDescription{
		RoleARN: aws.String(role), BucketARN: aws.String(bucket), BufferingHints: hints(5, 300), CompressionFormat: types.CompressionFormatUncompressed,
		EncryptionConfiguration: &types.EncryptionConfiguration{NoEncryptionConfig: types.NoEncryptionConfigNoEncryption}, CloudWatchLoggingOptions: &types.CloudWatchLoggingOptions{Enabled: aws.Bool(false)},
	}
	want := &types.DeliveryStreamDescription{
		DeliveryStreamName: aws.String("findings"), DeliveryStreamARN: aws.String(arn), DeliveryStreamStatus: types.DeliveryStreamStatusActive,
		DeliveryStreamType: types.DeliveryStreamTypeDirectPut, VersionId: aws.String("1"), CreateTimestamp: aws.Time(labtest.Start), HasMoreDestinations: aws.Bool(false),
		DeliveryStreamEncryptionConfiguration: &types.DeliveryStreamEncryptionConfiguration{Status: types.DeliveryStreamEncryptionStatusDisabled},
		Destinations: []types.DestinationDescription{{
			DestinationId: aws.String("destinationId-000000000001"), S3DestinationDescription: s3,
			ExtendedS3DestinationDescription: &types.ExtendedS3DestinationDescription{
				RoleARN: s3.RoleARN, BucketARN: s3.BucketARN, BufferingHints: s3.BufferingHints, CompressionFormat: s3.CompressionFormat,
				EncryptionConfiguration: s3.EncryptionConfiguration, CloudWatchLoggingOptions: s3.CloudWatchLoggingOptions, S3BackupMode: types.S3BackupModeDisabled,
			},
		}},
	}
	ignore := cmpopts.IgnoreUnexported(types.DeliveryStreamDescription{}, types.DestinationDescription{}, types.S3DestinationDescription{}, types.ExtendedS3DestinationDescription{},
		types.BufferingHints{}, types.EncryptionConfiguration{}, types.CloudWatchLoggingOptions{}, types.DeliveryStreamEncryptionConfiguration{})
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Error(diff)
	}
}

func TestTheInspectedStateIsJSON(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	l.put("a")
	l.advance(time.Second)
	b, err := json.Marshal(l.service.Inspect())
	if err != nil || !strings.Contains(string(b), `"pendingRecords":1,"pendingBytes":1,"waiting":0,"partitions":0,"dataFreshness":1,`) {
		t.Errorf("got %s, %v", b, err)
	}
}

func plainS3() *types.ExtendedS3DestinationConfiguration {
	return &types.ExtendedS3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(bucket)}
}

func TestTheOldFormOfAnS3DestinationStillWorks(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	in := &sdk.CreateDeliveryStreamInput{}
	in.S3DestinationConfiguration = &types.S3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(bucket)} //nolint:staticcheck // what old templates give
	l.create(in)
	up := &sdk.UpdateDestinationInput{
		DeliveryStreamName: aws.String("findings"), DestinationId: aws.String("destinationId-000000000001"), CurrentDeliveryStreamVersionId: aws.String("1"),
	}
	up.S3DestinationUpdate = &types.S3DestinationUpdate{Prefix: aws.String("old/")} //nolint:staticcheck // what old templates give
	if _, err := l.client.UpdateDestination(t.Context(), up); err != nil {
		t.Fatal(err)
	}
	l.put("a")
	l.advance(300 * time.Second)
	l.only(root + "old/2026/")
}

func TestADeletedStreamIsGone(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.create(&sdk.CreateDeliveryStreamInput{ExtendedS3DestinationConfiguration: plainS3()})
	for range 2 {
		if _, err := l.client.DeleteDeliveryStream(t.Context(), &sdk.DeleteDeliveryStreamInput{DeliveryStreamName: aws.String("findings")}); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.describe().DeliveryStreamStatus; got != types.DeliveryStreamStatusDeleting {
		t.Errorf("got %s", got)
	}
	l.advance(5 * time.Second)
	_, err := l.client.DescribeDeliveryStream(t.Context(), &sdk.DescribeDeliveryStreamInput{DeliveryStreamName: aws.String("findings")})
	wantError(t, err, "ResourceNotFoundException", "Firehose findings under account 111111111111 not found.")
	_, err = l.client.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: aws.String("findings"), Record: &types.Record{Data: []byte("x")}})
	wantError(t, err, "ResourceNotFoundException", "not found")
	_, err = l.client.DeleteDeliveryStream(t.Context(), &sdk.DeleteDeliveryStreamInput{DeliveryStreamName: aws.String("findings")})
	wantError(t, err, "ResourceNotFoundException", "not found")
}

func TestStreamsAreListedByName(t *testing.T) {
	l := newLab(t, firehose.Settings{Streams: 12})
	make12 := func(name string) error {
		_, err := l.client.CreateDeliveryStream(t.Context(), &sdk.CreateDeliveryStreamInput{
			DeliveryStreamName: aws.String(name), ExtendedS3DestinationConfiguration: plainS3(),
		})
		return err
	}
	var want []string
	for i := range 12 {
		want = append(want, fmt.Sprintf("stream-%02d", 11-i))
		if err := make12(want[i]); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, make12("more"), "LimitExceededException", "quota of 12")
	slices.Sort(want)
	var got []string
	var sizes []int
	for after := aws.String(""); ; {
		in := &sdk.ListDeliveryStreamsInput{}
		if *after != "" {
			in.ExclusiveStartDeliveryStreamName = after
		}
		out, err := l.client.ListDeliveryStreams(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		got, sizes = append(got, out.DeliveryStreamNames...), append(sizes, len(out.DeliveryStreamNames))
		if !*out.HasMoreDeliveryStreams {
			break
		}
		after = aws.String(got[len(got)-1])
	}
	if !slices.Equal(got, want) || !slices.Equal(sizes, []int{10, 2}) {
		t.Errorf("got %q in pages of %v", got, sizes)
	}
	out, err := l.client.ListDeliveryStreams(t.Context(), &sdk.ListDeliveryStreamsInput{Limit: aws.Int32(3), DeliveryStreamType: types.DeliveryStreamTypeDirectPut})
	if err != nil || len(out.DeliveryStreamNames) != 3 || !*out.HasMoreDeliveryStreams {
		t.Errorf("got %+v, %v", out, err)
	}
	out, err = l.client.ListDeliveryStreams(t.Context(), &sdk.ListDeliveryStreamsInput{DeliveryStreamType: types.DeliveryStreamTypeKinesisStreamAsSource})
	if err != nil || len(out.DeliveryStreamNames) != 0 {
		t.Errorf("got %+v, %v", out, err)
	}
	_, err = l.client.ListDeliveryStreams(t.Context(), &sdk.ListDeliveryStreamsInput{Limit: aws.Int32(10001)})
	wantError(t, err, "ValidationException", "'limit'")
}

func TestAnUpdateChangesWhatItNamesAndRaisesTheVersion(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(s *types.ExtendedS3DestinationConfiguration) { s.Prefix = aws.String("old/") })
	l.put("a")
	update := func(version string, u *types.ExtendedS3DestinationUpdate) error {
		_, err := l.client.UpdateDestination(t.Context(), &sdk.UpdateDestinationInput{
			DeliveryStreamName: aws.String("findings"), DestinationId: aws.String("destinationId-000000000001"), CurrentDeliveryStreamVersionId: aws.String(version), ExtendedS3DestinationUpdate: u,
		})
		return err
	}
	if err := update("1", &types.ExtendedS3DestinationUpdate{BufferingHints: hints(1, 60), CompressionFormat: types.CompressionFormatGzip}); err != nil {
		t.Fatal(err)
	}
	wantError(t, update("1", &types.ExtendedS3DestinationUpdate{Prefix: aws.String("x/")}), "ConcurrentModificationException", "version id")
	if err := update("2", &types.ExtendedS3DestinationUpdate{Prefix: aws.String("new/")}); err != nil {
		t.Fatal(err)
	}
	got := l.describe()
	s3 := got.Destinations[0].ExtendedS3DestinationDescription
	if *got.VersionId != "3" || *s3.Prefix != "new/" || *s3.BufferingHints.SizeInMBs != 1 || s3.CompressionFormat != types.CompressionFormatGzip || *s3.BucketARN != bucket || got.LastUpdateTimestamp == nil {
		t.Errorf("got %+v", s3)
	}
	l.put("b")
	l.advance(300 * time.Second)
	if _, body := l.only(root + "old/2026/11/22/13/findings-1-"); body != "a" {
		t.Errorf("got %q", body)
	}
	if _, body := l.only(root + "new/2026/11/22/13/findings-3-"); gunzip(t, body) != "b" {
		t.Errorf("got %q", body)
	}
	wantError(t, update("3", &types.ExtendedS3DestinationUpdate{Prefix: aws.String("!{x:y}")}), "InvalidArgumentException", "Prefix")
	wantError(t, update("3", &types.ExtendedS3DestinationUpdate{DynamicPartitioningConfiguration: &types.DynamicPartitioningConfiguration{Enabled: aws.Bool(true)}}), "InvalidArgumentException", "Dynamic Partitioning can be enabled only when")
	wantError(t, update("three", nil), "ValidationException", "currentDeliveryStreamVersionId")
	wantError(t, update("3", nil), "InvalidArgumentException", "Exactly one")
	_, err := l.client.UpdateDestination(t.Context(), &sdk.UpdateDestinationInput{
		DeliveryStreamName: aws.String("findings"), DestinationId: aws.String("destinationId-2"), CurrentDeliveryStreamVersionId: aws.String("3"), ExtendedS3DestinationUpdate: &types.ExtendedS3DestinationUpdate{},
	})
	wantError(t, err, "InvalidArgumentException", "destinationId-2")
}

func TestDynamicPartitioningStaysOnAndItsRetriesMayChange(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(partition)
	update := func(version string, d *types.DynamicPartitioningConfiguration) error {
		_, err := l.client.UpdateDestination(t.Context(), &sdk.UpdateDestinationInput{
			DeliveryStreamName: aws.String("findings"), DestinationId: aws.String("destinationId-000000000001"), CurrentDeliveryStreamVersionId: aws.String(version),
			ExtendedS3DestinationUpdate: &types.ExtendedS3DestinationUpdate{DynamicPartitioningConfiguration: d},
		})
		return err
	}
	wantError(t, update("1", &types.DynamicPartitioningConfiguration{Enabled: aws.Bool(false)}), "InvalidArgumentException", "cannot be disabled")
	if err := update("1", &types.DynamicPartitioningConfiguration{Enabled: aws.Bool(true), RetryOptions: &types.RetryOptions{DurationInSeconds: aws.Int32(7200)}}); err != nil {
		t.Error(err)
	}
	if got := l.describe().Destinations[0].ExtendedS3DestinationDescription.DynamicPartitioningConfiguration; *got.RetryOptions.DurationInSeconds != 7200 || !*got.Enabled {
		t.Errorf("got %+v", got)
	}
}

func TestAnUpdateMayChangeTheDestinationsType(t *testing.T) {
	l, e := newEndpoint(t, firehose.Settings{}, nil)
	d := l.describe().Destinations[0].HttpEndpointDestinationDescription
	if *d.EndpointConfiguration.Name != "collector" || *d.S3DestinationDescription.BucketARN != backup || *d.RetryOptions.DurationInSeconds != 300 || d.S3BackupMode != types.HttpEndpointS3BackupModeFailedDataOnly {
		t.Errorf("got %+v", d)
	}
	update := func(in *sdk.UpdateDestinationInput) {
		t.Helper()
		in.DeliveryStreamName, in.DestinationId = aws.String("findings"), aws.String("destinationId-000000000001")
		in.CurrentDeliveryStreamVersionId = l.describe().VersionId
		if _, err := l.client.UpdateDestination(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	update(&sdk.UpdateDestinationInput{HttpEndpointDestinationUpdate: &types.HttpEndpointDestinationUpdate{
		S3BackupMode: types.HttpEndpointS3BackupModeAllData, S3Update: &types.S3DestinationUpdate{Prefix: aws.String("raw/")},
	}})
	l.put("a")
	url := *d.EndpointConfiguration.Url
	update(&sdk.UpdateDestinationInput{ExtendedS3DestinationUpdate: &types.ExtendedS3DestinationUpdate{RoleARN: aws.String(role), BucketARN: aws.String(bucket)}})
	l.put("b")
	update(&sdk.UpdateDestinationInput{HttpEndpointDestinationUpdate: &types.HttpEndpointDestinationUpdate{
		EndpointConfiguration: &types.HttpEndpointConfiguration{Url: aws.String(url)}, S3Update: &types.S3DestinationUpdate{RoleARN: aws.String(role), BucketARN: aws.String(backup)},
	}})
	l.put("c")
	l.advance(time.Hour)
	if _, body := l.only("backup/raw/"); body != "a" {
		t.Errorf("got %q", body)
	}
	if _, body := l.only(root); body != "b" {
		t.Errorf("got %q", body)
	}
	if len(e.bodies) != 2 || string(e.read(t, 0).Records[0].Data) != "a" || string(e.read(t, 1).Records[0].Data) != "c" {
		t.Errorf("got %q", e.bodies)
	}
}

func TestTags(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	name := aws.String("findings")
	set := func(from, n int) error {
		in := &sdk.TagDeliveryStreamInput{DeliveryStreamName: name}
		for i := range n {
			in.Tags = append(in.Tags, types.Tag{Key: aws.String(fmt.Sprintf("key-%02d", from+i)), Value: aws.String("v")})
		}
		_, err := l.client.TagDeliveryStream(t.Context(), in)
		return err
	}
	for _, from := range []int{0, 25} {
		if err := set(from, 25); err != nil {
			t.Fatal(err)
		}
	}
	if err := set(0, 50); err != nil {
		t.Errorf("tags that are there could not be set again: %v", err)
	}
	wantError(t, set(50, 1), "LimitExceededException", "50 tags")
	wantError(t, set(0, 51), "ValidationException", "less than or equal to 50")
	_, err := l.client.TagDeliveryStream(t.Context(), &sdk.TagDeliveryStreamInput{DeliveryStreamName: name, Tags: []types.Tag{{Key: aws.String("aws:x")}}})
	wantError(t, err, "ValidationException", "tags.1.member.key")
	if _, err := l.client.UntagDeliveryStream(t.Context(), &sdk.UntagDeliveryStreamInput{DeliveryStreamName: name, TagKeys: []string{"key-00", "absent"}}); err != nil {
		t.Fatal(err)
	}
	out, err := l.client.ListTagsForDeliveryStream(t.Context(), &sdk.ListTagsForDeliveryStreamInput{DeliveryStreamName: name, ExclusiveStartTagKey: aws.String("key-10"), Limit: aws.Int32(2)})
	if err != nil || len(out.Tags) != 2 || *out.Tags[0].Key != "key-11" || *out.Tags[1].Value != "v" || !*out.HasMoreTags {
		t.Errorf("got %+v, %v", out, err)
	}
	out, err = l.client.ListTagsForDeliveryStream(t.Context(), &sdk.ListTagsForDeliveryStreamInput{DeliveryStreamName: name})
	if err != nil || len(out.Tags) != 49 || *out.HasMoreTags {
		t.Errorf("got %+v, %v", out, err)
	}
	absent := aws.String("absent")
	_, err = l.client.TagDeliveryStream(t.Context(), &sdk.TagDeliveryStreamInput{DeliveryStreamName: absent, Tags: []types.Tag{{Key: aws.String("x")}}})
	wantError(t, err, "ResourceNotFoundException", "absent")
	_, err = l.client.UntagDeliveryStream(t.Context(), &sdk.UntagDeliveryStreamInput{DeliveryStreamName: absent, TagKeys: []string{"x"}})
	wantError(t, err, "ResourceNotFoundException", "absent")
	_, err = l.client.ListTagsForDeliveryStream(t.Context(), &sdk.ListTagsForDeliveryStreamInput{DeliveryStreamName: absent})
	wantError(t, err, "ResourceNotFoundException", "absent")
}

func TestEncryptionIsStartedAndStopped(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	l.createS3(func(*types.ExtendedS3DestinationConfiguration) {})
	name := aws.String("findings")
	encrypted := func() bool {
		t.Helper()
		out, err := l.client.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: name, Record: &types.Record{Data: []byte("x")}})
		if err != nil {
			t.Fatal(err)
		}
		return *out.Encrypted
	}
	start := func(in *types.DeliveryStreamEncryptionConfigurationInput) error {
		_, err := l.client.StartDeliveryStreamEncryption(t.Context(), &sdk.StartDeliveryStreamEncryptionInput{DeliveryStreamName: name, DeliveryStreamEncryptionConfigurationInput: in})
		return err
	}
	if err := start(nil); err != nil {
		t.Fatal(err)
	}
	if encrypted() || l.describe().DeliveryStreamEncryptionConfiguration.Status != types.DeliveryStreamEncryptionStatusEnabling {
		t.Error("encryption holds at once")
	}
	wantError(t, start(nil), "ResourceInUseException", "ENABLING")
	l.advance(5 * time.Second)
	if got := l.describe().DeliveryStreamEncryptionConfiguration; !encrypted() || got.Status != types.DeliveryStreamEncryptionStatusEnabled || got.KeyType != types.KeyTypeAwsOwnedCmk {
		t.Errorf("got %+v", got)
	}
	stop := func() error {
		_, err := l.client.StopDeliveryStreamEncryption(t.Context(), &sdk.StopDeliveryStreamEncryptionInput{DeliveryStreamName: name})
		l.advance(5 * time.Second)
		return err
	}
	if err := stop(); err != nil || encrypted() {
		t.Errorf("it is encrypted after stop: %v", err)
	}
	const key = "arn:aws:kms:ap-northeast-1:111111111111:key/1234"
	for want, in := range map[string]*types.DeliveryStreamEncryptionConfigurationInput{
		"KeyARN has to be specified": {KeyType: types.KeyTypeCustomerManagedCmk},
		"KeyARN cannot be specified": {KeyType: types.KeyTypeAwsOwnedCmk, KeyARN: aws.String(key)},
		"Cross-region keys are not":  {KeyType: types.KeyTypeCustomerManagedCmk, KeyARN: aws.String(strings.Replace(key, "northeast-1", "northeast-2", 1))},
	} {
		wantError(t, start(in), "InvalidArgumentException", want)
	}
	customer := &types.DeliveryStreamEncryptionConfigurationInput{KeyType: types.KeyTypeCustomerManagedCmk, KeyARN: aws.String(key)}
	keys := &receiver{}
	l.cloud.Receivers.Register("kms", keys)
	keys.missing = "1234"
	wantError(t, start(customer), "InvalidKMSResourceException", "1234")
	keys.missing = ""
	if err := start(customer); err != nil {
		t.Fatal(err)
	}
	l.advance(5 * time.Second)
	if !encrypted() {
		t.Error("not encrypted with a customer's key")
	}
	keys.missing = "1234"
	_, err := l.client.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: name, Record: &types.Record{Data: []byte("x")}})
	wantError(t, err, "InvalidKMSResourceException", "1234")
	for range 22 { // after start, stop and start
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, stop(), "LimitExceededException", "25 times")
	l.advance(24 * time.Hour)
	if err := stop(); err != nil {
		t.Error(err)
	}
	absent := aws.String("absent")
	_, err = l.client.StopDeliveryStreamEncryption(t.Context(), &sdk.StopDeliveryStreamEncryptionInput{DeliveryStreamName: absent})
	wantError(t, err, "ResourceNotFoundException", "absent")
}

// An iam denies what it is told to.
type iam struct{ trusted, passed bool }

func (i *iam) Authorize(a cloud.Access) error {
	if a.Action == "iam:PassRole" && !i.passed {
		return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource + a.Context["iam:PassedToService"]}
	}
	return nil
}

func (i *iam) Assume(who cloud.Identity, role, _ string, conditions map[string]string) (cloud.Identity, error) {
	if !i.trusted || conditions["sts:ExternalId"] != who.Account {
		return cloud.Identity{}, &cloud.DeniedError{Who: who.ARN, Action: "sts:AssumeRole", Resource: role}
	}
	return cloud.Identity{Kind: cloud.Session, Account: who.Account, Role: role}, nil
}

func TestTheRoleHasToBePassedAndToTrustFirehose(t *testing.T) {
	l := newLab(t, firehose.Settings{})
	access := &iam{}
	l.cloud.Access = access
	create := func() error {
		_, err := l.client.CreateDeliveryStream(t.Context(), &sdk.CreateDeliveryStreamInput{
			DeliveryStreamName: aws.String("findings"), ExtendedS3DestinationConfiguration: plainS3(),
		})
		return err
	}
	wantError(t, create(), "AccessDeniedException", "iam:PassRole on resource: "+role+"firehose.amazonaws.com")
	access.passed = true
	wantError(t, create(), "InvalidArgumentException", "Firehose is unable to assume role "+role+". Please check the role provided.")
	access.trusted = true
	if err := create(); err != nil {
		t.Fatal(err)
	}
	l.advance(5 * time.Second)
	l.put("a")
	access.trusted = false
	l.advance(300 * time.Second)
	if got := l.state(); got.Waiting != 1 || got.Metrics.Failures["S3.AccessDenied"] != 1 {
		t.Errorf("got %+v", got)
	}
	access.trusted = true
	l.advance(time.Minute)
	l.only(root)
}

func TestStreamsOfAccountsAndRegionsAreApart(t *testing.T) {
	c := labtest.NewCloud(t)
	server := labtest.Serve(t, c, firehose.New(c).Wire())
	for _, at := range []struct{ account, region string }{
		{labtest.Administrator, "us-east-1"}, {labtest.Administrator, "eu-west-1"}, {labtest.Member, "us-east-1"},
	} {
		client := sdk.NewFromConfig(server.Config(at.account, at.region))
		out, err := client.CreateDeliveryStream(t.Context(), &sdk.CreateDeliveryStreamInput{
			DeliveryStreamName: aws.String("findings"), ExtendedS3DestinationConfiguration: plainS3(),
		})
		if err != nil || *out.DeliveryStreamARN != "arn:aws:firehose:"+at.region+":"+at.account+":deliverystream/findings" {
			t.Errorf("got %v, %v", out, err)
		}
	}
}
