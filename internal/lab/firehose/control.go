package firehose

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// streamQuota is how many streams an account may have in a region.
// https://docs.aws.amazon.com/firehose/latest/dev/limits.html
func (s *Service) streamQuota(region string) int {
	if s.settings.Streams > 0 {
		return s.settings.Streams
	}
	if slices.Contains([]string{"us-east-1", "us-east-2", "us-west-2", "eu-west-1", "ap-northeast-1"}, region) {
		return 5000
	}
	// The page lists regions with 2,000, 500 and 100. Which is which the lab goes by whether a region has to be enabled.
	if r, ok := cloud.FindRegion(region); ok && r.OptIn {
		return 500
	}
	return 2000
}

func (s *Service) create(_ context.Context, c *wire.Call, in *createInput) (*createOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	d, err := in.destination()
	if err != nil {
		return nil, err
	}
	now := s.cloud.Clock.Now()
	p, err := d.compile(1, c.Place, now)
	if err != nil {
		return nil, err
	}
	if err = s.permitRoles(c, p); err != nil {
		return nil, err
	}
	key, err := s.checkKey(c, in.DeliveryStreamEncryptionConfigurationInput)
	if err != nil {
		return nil, err
	}
	st := &stream{
		at: c.Place, name: in.DeliveryStreamName, arn: streamARN(c.Place, in.DeliveryStreamName), status: statusCreating,
		created: now, version: 1, destination: d, plan: p, tags: make(map[string]string), encryption: key,
		open: make(map[target]*batch), batches: make(map[*batch]struct{}), partitions: make(map[string]int),
		counts: counts{Failures: make(map[string]int)},
	}
	for _, t := range in.Tags {
		st.tags[t.Key] = text(t.Value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[c.Place][st.name] != nil {
		return nil, wire.Errorf(resourceInUse, "Firehose %s under accountId %s already exists", st.name, c.Account)
	}
	if n := s.streamQuota(c.Region); len(s.streams[c.Place]) >= n {
		return nil, wire.Errorf(limitExceeded, "You have already consumed your firehose quota of %d hoses. Firehose names: %v",
			n, slices.Sorted(maps.Keys(s.streams[c.Place]))[:min(n, maxNames)])
	}
	if err = s.roomForKey(key.keyARN, st); err != nil {
		return nil, err
	}
	if s.streams[c.Place] == nil {
		s.streams[c.Place] = make(map[string]*stream)
	}
	s.streams[c.Place][st.name] = st
	s.cloud.Clock.After(s.settings.Creation, func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if st.status == statusCreating {
			st.status = statusActive
			if st.encryption.status == "ENABLING" {
				st.encryption.status = "ENABLED"
			}
		}
	})
	return &createOutput{st.arn}, nil
}

// maxNames is how many streams an error lists.
const maxNames = 10

// check holds the request against the API's model, and names what the lab does not have.
func (in *createInput) check() error {
	var c constraints
	c.required("deliveryStreamName", in.DeliveryStreamName, streamName)
	c.oneOf("deliveryStreamType", in.DeliveryStreamType, streamTypes...)
	if in.DirectPutSourceConfiguration != nil {
		c.number("directPutSourceConfiguration.throughputHintInMBs", in.DirectPutSourceConfiguration.ThroughputHintInMBs, 1, 100)
	}
	if in.S3DestinationConfiguration != nil {
		c.s3("s3DestinationConfiguration", in.S3DestinationConfiguration, true)
	}
	if in.ExtendedS3DestinationConfiguration != nil {
		c.extended("extendedS3DestinationConfiguration", in.ExtendedS3DestinationConfiguration, true)
	}
	if in.HTTPEndpointDestinationConfiguration != nil {
		c.endpoint("httpEndpointDestinationConfiguration", in.HTTPEndpointDestinationConfiguration, true)
	}
	c.encryption("deliveryStreamEncryptionConfigurationInput", in.DeliveryStreamEncryptionConfigurationInput)
	if in.Tags != nil {
		c.count("tags", len(in.Tags), 1, maxTags)
	}
	c.tags(in.Tags)
	if err := c.err(); err != nil {
		return err
	}
	if err := in.elsewhere.check(); err != nil {
		return err
	}
	if in.DeliveryStreamType != "" && in.DeliveryStreamType != "DirectPut" {
		return wire.Errorf(invalidArgument, "The lab's Firehose does not have the DeliveryStreamType %s: it has DirectPut.", in.DeliveryStreamType)
	}
	return nil
}

// destination is the one that a request gives.
func (in *createInput) destination() (destination, error) {
	var d destination
	n := 0
	if in.S3DestinationConfiguration != nil {
		d.s3 = &extendedS3{s3Config: *in.S3DestinationConfiguration}
		n++
	}
	if in.ExtendedS3DestinationConfiguration != nil {
		d.s3 = in.ExtendedS3DestinationConfiguration
		n++
	}
	if in.HTTPEndpointDestinationConfiguration != nil {
		d.http = in.HTTPEndpointDestinationConfiguration
		n++
	}
	if n != 1 {
		return d, wire.Errorf(invalidArgument, "Exactly one destination configuration is supported for a Firehose")
	}
	return d, nil
}

// permitRoles checks, as AWS does at creation, that the caller may pass the plan's roles on, and that Firehose may act in them.
func (s *Service) permitRoles(c *wire.Call, p *plan) error {
	if s.cloud.Access == nil {
		return nil
	}
	roles := []string{p.main.role}
	if p.backup != nil {
		roles = append(roles, p.backup.role)
	}
	if p.transform != nil {
		roles = append(roles, p.transform.role)
	}
	slices.Sort(roles)
	for _, role := range slices.Compact(roles) {
		access := cloud.Access{Who: c.Who, Action: "iam:PassRole", Resource: role, Context: map[string]string{"iam:PassedToService": principal}}
		if err := s.cloud.Authorize(access); err != nil {
			return err
		}
		if _, err := s.assume(c.Place, streamARN(c.Place, "*"), role); err != nil {
			return wire.Errorf(invalidArgument, "Firehose is unable to assume role %s. Please check the role provided.", role)
		}
	}
	return nil
}

// assume is who Firehose is in a role, on behalf of a stream.
func (s *Service) assume(at cloud.Place, source, role string) (cloud.Identity, error) {
	who := cloud.Identity{Kind: cloud.Service, ARN: principal, Account: at.Account}
	if s.cloud.Access == nil {
		return who, nil
	}
	return s.cloud.Access.Assume(who, role, "firehose", map[string]string{
		"aws:SourceArn": source, "aws:SourceAccount": at.Account, "sts:ExternalId": at.Account,
	})
}

// checkKey reads what a stream is to be encrypted with.
func (s *Service) checkKey(c *wire.Call, in *encryptionInput) (encryption, error) {
	switch {
	case in == nil:
		return encryption{status: "DISABLED"}, nil
	case in.KeyType == "AWS_OWNED_CMK" && in.KeyARN != "":
		return encryption{}, wire.Errorf(invalidArgument, "KeyARN cannot be specified when KeyType is AWS_OWNED_CMK")
	case in.KeyType == "AWS_OWNED_CMK":
		return encryption{status: "ENABLING", keyType: in.KeyType}, nil
	case in.KeyARN == "":
		return encryption{}, wire.Errorf(invalidArgument, "KeyARN has to be specified when KeyType is CUSTOMER_MANAGED_CMK")
	}
	arn, err := cloud.ParseARN(in.KeyARN)
	if err != nil || arn.Region != c.Region {
		return encryption{}, wire.Errorf(invalidArgument, "Cross-region keys are not allowed for SSE. Please provide CMKs in the same region as firehose")
	}
	if err = s.cloud.PermitKey(c.Who, in.KeyARN, "kms:CreateGrant"); err != nil {
		code := "KMS.AccessDeniedException"
		if errors.Is(err, cloud.ErrNoResource) {
			code = "KMS.NotFoundException"
		}
		e := wire.Errorf(invalidKMSResource, "%v", err)
		e.Fields = map[string]any{"code": code}
		return encryption{}, e
	}
	return encryption{status: "ENABLING", keyType: in.KeyType, keyARN: in.KeyARN}, nil
}

func (s *Service) remove(_ context.Context, c *wire.Call, in *nameInput) (*nothing, error) {
	if err := checkName(in.DeliveryStreamName); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	switch st.status {
	case statusCreating:
		return nil, wire.Errorf(resourceInUse, "Firehose %s under account %s is in state %s and cannot be deleted.", st.name, c.Account, st.status)
	case statusDeleting:
		return nil, nil
	}
	st.status = statusDeleting
	s.cloud.Clock.After(s.settings.Creation, func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		// What it holds goes with it, as on AWS.
		for b := range st.batches {
			s.lose(b)
		}
		delete(s.streams[st.at], st.name)
		s.deleted.add(&st.counts)
	})
	return nil, nil
}

func checkName(name string) error {
	var c constraints
	c.required("deliveryStreamName", name, streamName)
	return c.err()
}

// Bounds and defaults of lists.
const (
	maxList     = 10000
	defaultList = 10
)

func (s *Service) list(_ context.Context, c *wire.Call, in *listInput) (*listOutput, error) {
	var k constraints
	k.number("limit", in.Limit, 1, maxList)
	k.oneOf("deliveryStreamType", in.DeliveryStreamType, streamTypes...)
	if in.ExclusiveStartDeliveryStreamName != "" {
		k.text("exclusiveStartDeliveryStreamName", in.ExclusiveStartDeliveryStreamName, streamName)
	}
	if err := k.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	names := slices.Sorted(maps.Keys(s.streams[c.Place]))
	s.mu.Unlock()
	if in.DeliveryStreamType != "" && in.DeliveryStreamType != "DirectPut" {
		names = nil
	}
	start, found := slices.BinarySearch(names, in.ExclusiveStartDeliveryStreamName)
	if found {
		start++
	}
	limit := defaultList
	if in.Limit != nil {
		limit = *in.Limit
	}
	names = names[start:]
	n := min(limit, len(names))
	return &listOutput{names[:n], n < len(names)}, nil
}

func (s *Service) describe(_ context.Context, c *wire.Call, in *describeInput) (*describeOutput, error) {
	var k constraints
	k.required("deliveryStreamName", in.DeliveryStreamName, streamName)
	k.number("limit", in.Limit, 1, maxList)
	k.maybeText("exclusiveStartDestinationId", in.ExclusiveStartDestinationID, destinationID)
	if err := k.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	d := streamDescription{
		DeliveryStreamName: st.name, DeliveryStreamARN: st.arn, DeliveryStreamStatus: st.status, DeliveryStreamType: "DirectPut",
		VersionID: strconv.Itoa(st.version), CreateTimestamp: wire.Epoch{Time: st.created}, LastUpdateTimestamp: wire.Epoch{Time: st.updated},
		DeliveryStreamEncryptionConfiguration: encryptionDescription{
			Status: st.encryption.status, KeyType: st.encryption.keyType, KeyARN: st.encryption.keyARN,
		},
		Destinations: []destinationDescription{st.destination.describe()},
	}
	if text(in.ExclusiveStartDestinationID) == onlyDestination {
		d.Destinations = nil // there is none after it
	}
	return &describeOutput{d}, nil
}

// onlyDestination is the id of a stream's destination: a stream has one.
const onlyDestination = "destinationId-000000000001"

func (d *destination) describe() destinationDescription {
	out := destinationDescription{DestinationID: onlyDestination}
	if d.http != nil {
		h := *d.http
		h.EndpointConfiguration = &endpointConfig{URL: h.EndpointConfiguration.URL, Name: h.EndpointConfiguration.Name}
		h.S3DestinationDescription, h.S3Configuration = h.S3Configuration, nil
		out.HTTPEndpointDestinationDescription = &h
		return out
	}
	e := *d.s3
	e.S3BackupDescription, e.S3BackupConfiguration = e.S3BackupConfiguration, nil
	plain := e.s3Config
	out.ExtendedS3DestinationDescription, out.S3DestinationDescription = &e, &plain
	return out
}
