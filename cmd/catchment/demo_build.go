package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspector2types "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	hubtypes "github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/pipeline"
)

// A demo is a lab with the article's system built in it, by the same calls that one would make to AWS.
type demo struct {
	lab           *lab.Lab
	administrator string
	accounts      []string // all, the administrator first
	regions       []string
	partition     string
	bucket        string
}

// Names of what the demo makes.
const (
	demoStream       = "inspector"
	demoRule         = "inspector-findings"
	demoFirehoseRole = "inspector-firehose"
	demoEventsRole   = "inspector-events"
)

func newDemo(l *lab.Lab) *demo {
	d := &demo{lab: l, administrator: l.Administrator(), regions: l.Regions(), partition: l.Cloud.Partition}
	d.accounts = []string{d.administrator}
	for _, a := range l.Accounts() {
		if a.ID != d.administrator {
			d.accounts = append(d.accounts, a.ID)
		}
	}
	d.bucket = "aws-logs-inspector-" + d.administrator
	return d
}

// config is what the SDK needs to be an account in a region.
func (d *demo) config(account, region string) aws.Config {
	key := d.lab.Cloud.Accounts.Credential(account)
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(d.lab.Cloud.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretKey, key.Token),
	}
}

// arn builds an ARN for the lab's partition.
func (d *demo) arn(service, region, account, resource string) string {
	return cloud.Place{Partition: d.partition, Account: account, Region: region}.ARN(service, resource)
}

// cells calls do for each account in each region.
func (d *demo) cells(do func(account, region string) error) error {
	for _, region := range d.regions {
		for _, account := range d.accounts {
			if err := do(account, region); err != nil {
				return fmt.Errorf("account %s in %s: %w", account, region, err)
			}
		}
	}
	return nil
}

// makeBucket is the article's setting 1.
func (d *demo) makeBucket(ctx context.Context) (string, error) {
	client := s3.NewFromConfig(d.config(d.administrator, d.regions[0]))
	in := &s3.CreateBucketInput{Bucket: aws.String(d.bucket)}
	if region := d.regions[0]; region != "us-east-1" {
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
	}
	if _, err := client.CreateBucket(ctx, in); err != nil {
		return "", err
	}
	_, err := client.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
		Bucket: aws.String(d.bucket), PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{
			BlockPublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), RestrictPublicBuckets: aws.Bool(true),
		},
	})
	return "s3://" + d.bucket, err
}

// enable is the first half of the article's setting 2: Inspector and Security Hub are on, and know each other.
func (d *demo) enable(ctx context.Context) (string, error) {
	err := d.cells(func(account, region string) error {
		cfg := d.config(account, region)
		_, err := inspector2.NewFromConfig(cfg).Enable(ctx, &inspector2.EnableInput{
			ResourceTypes: []inspector2types.ResourceScanType{inspector2types.ResourceScanTypeEc2, inspector2types.ResourceScanTypeEcr, inspector2types.ResourceScanTypeLambda},
		})
		if err != nil {
			return err
		}
		hub := securityhub.NewFromConfig(cfg)
		if _, err := hub.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)}); err != nil {
			return err
		}
		_, err = hub.EnableImportFindingsForProduct(ctx, &securityhub.EnableImportFindingsForProductInput{
			ProductArn: aws.String(d.arn("securityhub", region, "", "product/aws/inspector")),
		})
		return err
	})
	return fmt.Sprintf("%d accounts × %d regions", len(d.accounts), len(d.regions)), err
}

// invite is the second half: in each region the administrator invites, the members accept, and all become Enabled.
func (d *demo) invite(ctx context.Context) (string, error) {
	enabled := 0
	for _, region := range d.regions {
		for members := range slices.Chunk(d.accounts[1:], maxMembers) {
			n, err := d.inviteSome(ctx, members, region)
			if err != nil {
				return "", err
			}
			enabled += n
		}
	}
	return fmt.Sprintf("%d memberships are Enabled", enabled), nil
}

// maxMembers is how many accounts Security Hub takes in one call.
const maxMembers = 50

// inviteSome invites accounts in a region, accepts for them, and gives how many are Enabled then: all, or an error.
func (d *demo) inviteSome(ctx context.Context, members []string, region string) (int, error) {
	admin := securityhub.NewFromConfig(d.config(d.administrator, region))
	var details []hubtypes.AccountDetails
	for _, m := range members {
		details = append(details, hubtypes.AccountDetails{AccountId: aws.String(m), Email: aws.String("security+" + m + "@example.com")})
	}
	if _, err := admin.CreateMembers(ctx, &securityhub.CreateMembersInput{AccountDetails: details}); err != nil {
		return 0, err
	}
	if _, err := admin.InviteMembers(ctx, &securityhub.InviteMembersInput{AccountIds: members}); err != nil {
		return 0, err
	}
	for _, m := range members {
		if err := d.accept(ctx, m, region); err != nil {
			return 0, fmt.Errorf("account %s in %s: %w", m, region, err)
		}
	}
	got, err := admin.GetMembers(ctx, &securityhub.GetMembersInput{AccountIds: members})
	if err != nil {
		return 0, err
	}
	for _, m := range got.Members {
		if aws.ToString(m.MemberStatus) != "Enabled" {
			return 0, fmt.Errorf("member %s in %s is %s, not Enabled", aws.ToString(m.AccountId), region, aws.ToString(m.MemberStatus))
		}
	}
	return len(got.Members), nil
}

func (d *demo) accept(ctx context.Context, member, region string) error {
	hub := securityhub.NewFromConfig(d.config(member, region))
	invitations, err := hub.ListInvitations(ctx, &securityhub.ListInvitationsInput{})
	if err != nil {
		return err
	}
	for _, i := range invitations.Invitations {
		if aws.ToString(i.AccountId) == d.administrator {
			_, err := hub.AcceptAdministratorInvitation(ctx, &securityhub.AcceptAdministratorInvitationInput{
				AdministratorId: i.AccountId, InvitationId: i.InvitationId,
			})
			return err
		}
	}
	return errors.New("there is no invitation of the administrator")
}

// makeRoles makes the two roles of the way, each with exactly what it does.
func (d *demo) makeRoles(ctx context.Context) (string, error) {
	objects := d.arn("s3", "", "", d.bucket)
	streams := d.arn("firehose", "*", d.administrator, "deliverystream/"+demoStream)
	err := d.makeRole(ctx, d.administrator, demoFirehoseRole, trust("firehose.amazonaws.com", `"StringEquals":{"sts:ExternalId":"`+d.administrator+`"}`),
		statement([]string{
			"s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:PutObject",
		}, objects, objects+"/*"))
	if err != nil {
		return "", err
	}
	err = d.makeRole(ctx, d.administrator, demoEventsRole, trust("events.amazonaws.com", `"StringEquals":{"aws:SourceAccount":"`+d.administrator+`"}`),
		statement([]string{"firehose:PutRecord", "firehose:PutRecordBatch"}, streams))
	return demoFirehoseRole + ", " + demoEventsRole, err
}

func (d *demo) makeRole(ctx context.Context, account, name, trustPolicy, statements string) error {
	client := iam.NewFromConfig(d.config(account, d.regions[0]))
	if _, err := client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String(name), AssumeRolePolicyDocument: aws.String(trustPolicy)}); err != nil {
		return err
	}
	_, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
		RoleName: aws.String(name), PolicyName: aws.String(name), PolicyDocument: aws.String(policy(statements)),
	})
	return err
}

func policy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func trust(service, condition string) string {
	return policy(`{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole","Condition":{` + condition + `}}`)
}

func statement(actions []string, resources ...string) string {
	return `{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":["` + strings.Join(resources, `","`) + `"]}`
}

// makeStreams is the article's setting 3, with what solves its two left-over problems: dynamic partitioning by the
// finding's account and region, and a delimiter after each record.
func (d *demo) makeStreams(ctx context.Context) (string, error) {
	parameter := func(name firehosetypes.ProcessorParameterName, value string) firehosetypes.ProcessorParameter {
		return firehosetypes.ProcessorParameter{ParameterName: name, ParameterValue: aws.String(value)}
	}
	for _, region := range d.regions {
		_, err := firehose.NewFromConfig(d.config(d.administrator, region)).CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{
			DeliveryStreamName: aws.String(demoStream), DeliveryStreamType: firehosetypes.DeliveryStreamTypeDirectPut,
			ExtendedS3DestinationConfiguration: &firehosetypes.ExtendedS3DestinationConfiguration{
				BucketARN: aws.String(d.arn("s3", "", "", d.bucket)), RoleARN: aws.String(d.arn("iam", "", d.administrator, "role/"+demoFirehoseRole)),
				Prefix: aws.String(pipeline.DefaultPrefix), ErrorOutputPrefix: aws.String(pipeline.DefaultErrorPrefix),
				BufferingHints:    &firehosetypes.BufferingHints{SizeInMBs: aws.Int32(64), IntervalInSeconds: aws.Int32(60)},
				CompressionFormat: firehosetypes.CompressionFormatGzip, FileExtension: aws.String(".json.gz"),
				DynamicPartitioningConfiguration: &firehosetypes.DynamicPartitioningConfiguration{Enabled: aws.Bool(true)},
				ProcessingConfiguration: &firehosetypes.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []firehosetypes.Processor{
					{Type: firehosetypes.ProcessorTypeMetadataExtraction, Parameters: []firehosetypes.ProcessorParameter{
						parameter(firehosetypes.ProcessorParameterNameMetadataExtractionQuery, "{account:.AwsAccountId,region:.Region}"),
						parameter(firehosetypes.ProcessorParameterNameJsonParsingEngine, "JQ-1.6"),
					}},
					{Type: firehosetypes.ProcessorTypeAppendDelimiterToRecord, Parameters: []firehosetypes.ProcessorParameter{
						parameter(firehosetypes.ProcessorParameterNameDelimiter, `\n`),
					}},
				}},
			},
		})
		if err != nil {
			return "", fmt.Errorf("in %s: %w", region, err)
		}
	}
	if err := d.lab.Cloud.Clock.Advance(ctx, time.Minute); err != nil { // until they are active
		return "", err
	}
	return fmt.Sprintf("%s in %s", demoStream, strings.Join(d.regions, ", ")), nil
}

// makeRules is the article's setting 4, with its pattern. The rule hands the finding over without the envelope around it.
func (d *demo) makeRules(ctx context.Context) (string, error) {
	for _, region := range d.regions {
		client := eventbridge.NewFromConfig(d.config(d.administrator, region))
		_, err := client.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String(demoRule), EventPattern: aws.String(pipeline.DefaultPattern)})
		if err != nil {
			return "", fmt.Errorf("in %s: %w", region, err)
		}
		out, err := client.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String(demoRule), Targets: []eventtypes.Target{{
			Id: aws.String("firehose"), Arn: aws.String(d.arn("firehose", region, d.administrator, "deliverystream/"+demoStream)),
			RoleArn:   aws.String(d.arn("iam", "", d.administrator, "role/"+demoEventsRole)),
			InputPath: aws.String("$.detail.findings[0]"),
		}}})
		if err == nil && out.FailedEntryCount > 0 {
			err = errors.New(aws.ToString(out.FailedEntries[0].ErrorMessage))
		}
		if err != nil {
			return "", fmt.Errorf("in %s: %w", region, err)
		}
	}
	return demoRule + " → " + demoStream, nil
}
