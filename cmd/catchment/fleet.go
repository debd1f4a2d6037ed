package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/spf13/cobra"

	"example.org/catchment/internal/assembly"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/fleet"
	"example.org/catchment/internal/org"
)

// fleetOptions are the flags of the commands that work on all accounts and regions.
type fleetOptions struct {
	spec       string
	name       string
	bucket     string
	account    string
	externalID string
	zip        string
	parameters []string
	inspector  []string
	allow      []string
	parallel   int
	output     string
	aws        awsOptions
}

func (o *fleetOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.spec, "config", "c", "", "the spec; without it catchment.yaml")
	f.StringVar(&o.name, "name", "catchment", "what the stacks are called")
	f.StringVar(&o.bucket, "bucket", "", "name of the bucket, instead of the spec's (default: aws-logs-inspector-ADMINISTRATOR)")
	f.StringVar(&o.account, "bucket-account", "", "account of the bucket (default: the administrator)")
	f.StringVar(&o.externalID, "external-id", "", "external id that the spec's role asks for")
	f.IntVar(&o.parallel, "parallel", 8, "cells that are worked on at the same time, 1 to 64")
	f.StringVarP(&o.output, "output", "o", outputTable, "table or json")
	f.StringVar(&o.aws.profile, "profile", "", "profile of the AWS configuration: the management account, or the administrator")
}

// registerMaking adds the flags of plan and deploy.
func (o *fleetOptions) registerMaking(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.zip, "function-zip", "", "the function's code, for newline: lambda (default: what is there)")
	f.StringArrayVar(&o.parameters, "parameter", nil, "PART.NAME=VALUE: a parameter of a stack, such as bucket.ExpirationDays=400")
	f.StringSliceVar(&o.inspector, "inspector", []string{"EC2", "ECR", "LAMBDA"}, "what Inspector scans where it is not on")
}

var fleetName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (o *fleetOptions) check() error {
	switch {
	case o.output != outputTable && o.output != outputJSON:
		return usageError(fmt.Errorf("--output %q: expected table or json", o.output))
	case !fleetName.MatchString(o.name):
		return usageError(fmt.Errorf("--name %q: expected a letter, then up to 31 small letters, digits and hyphens", o.name))
	case o.account != "" && !accountID.MatchString(o.account):
		return usageError(fmt.Errorf("--bucket-account %q: expected 12 digits", o.account))
	case o.parallel < 1 || o.parallel > 64:
		return usageError(fmt.Errorf("--parallel %d: expected 1 to 64", o.parallel))
	}
	for _, a := range o.allow {
		if a != allowFirehose && a != allowBucket {
			return usageError(fmt.Errorf("--allow %q: expected firehose or bucket", a))
		}
	}
	return nil
}

var accountID = regexp.MustCompile(`^\d{12}$`)

// What --allow takes.
const (
	allowFirehose = "firehose"
	allowBucket   = "bucket"
)

// bucketName is the bucket that the flags or the spec name, or the article's.
func (o *fleetOptions) bucketName(spec *config.Spec) (string, error) {
	if o.bucket != "" {
		return o.bucket, nil
	}
	at, err := config.ParseLocation(spec.Bucket.URL)
	switch {
	case err != nil:
		return "", usageError(fmt.Errorf("bucket.url: %w", err))
	case at.Folder != "":
		return "aws-logs-inspector-" + spec.Organization.Administrator, nil
	case at.Prefix != "":
		return "", usageError(withHint(fmt.Errorf("bucket.url: managed mode writes to a whole bucket, not below %s", at.Prefix), "put the prefix into the streams' prefix"))
	case at.Region != "" && at.Region != spec.Organization.Regions[0]:
		return "", usageError(withHint(fmt.Errorf("bucket.url: the bucket is made in the first region, %s, not in %s", spec.Organization.Regions[0], at.Region),
			"put the bucket's region first in organization.regions"))
	}
	return at.Bucket, nil
}

// stackParameters reads --parameter.
func (o *fleetOptions) stackParameters() (map[fleet.Part]map[string]string, error) {
	out := make(map[fleet.Part]map[string]string)
	for _, p := range o.parameters {
		name, value, ok := strings.Cut(p, "=")
		part, key, dotted := strings.Cut(name, ".")
		if !ok || !dotted || key == "" || !slices.Contains([]fleet.Part{fleet.PartBucket, fleet.PartMember, fleet.PartRegion}, fleet.Part(part)) {
			return nil, usageError(fmt.Errorf("--parameter %q: expected bucket.NAME=VALUE, member.NAME=VALUE or region.NAME=VALUE", p))
		}
		if out[fleet.Part(part)] == nil {
			out[fleet.Part(part)] = make(map[string]string)
		}
		out[fleet.Part(part)][key] = value
	}
	return out, nil
}

// open reads the spec and finds the accounts. report is told of what happens.
func (o *fleetOptions) open(ctx context.Context, in io.Reader, report func(fleet.Event)) (*fleet.Fleet, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	spec, err := loadSpec(o.spec, in)
	if err != nil {
		return nil, err
	}
	if spec.Organization == nil {
		return nil, usageError(withHint(errors.New("the spec has no section organization: which accounts and regions?"),
			`add "organization: {administrator: …, regions: […]}" to the spec; doc/deploy.md has an example`))
	}
	if spec.Bucket.Encryption.KMSKey != "" {
		return nil, usageError(withHint(errors.New("bucket.encryption.kms_key: managed mode makes the key itself"), "leave kms_key out"))
	}
	options := fleet.Options{
		Name: o.name, Template: templateSettings(spec), BucketAccount: o.account, Inspector: o.inspector, Parallel: o.parallel,
		AllowStream: slices.Contains(o.allow, allowFirehose), AllowBucket: slices.Contains(o.allow, allowBucket), Report: report,
	}
	if spec.Managed != nil {
		options.Topology = spec.Managed.Topology
	}
	if spec.Bucket.Encryption.SSE == config.SSEKMS {
		options.Encryption = config.SSEKMS
	}
	if options.BucketName, err = o.bucketName(spec); err != nil {
		return nil, err
	}
	if options.Parameters, err = o.stackParameters(); err != nil {
		return nil, err
	}
	if o.zip != "" {
		if options.FunctionZip, err = os.ReadFile(o.zip); err != nil {
			return nil, usageError(fmt.Errorf("--function-zip: %w", err))
		}
	}
	found, err := o.organization(ctx, spec.Organization)
	if err != nil {
		return nil, err
	}
	f, err := fleet.New(found, options)
	return f, usageOf(err)
}

// organization finds the accounts of a spec, as the caller of the standard chain.
func (o *fleetOptions) organization(ctx context.Context, spec *config.Organization) (*org.Org, error) {
	cfg, err := assembly.Access{Profile: o.aws.profile, Region: o.aws.region}.Config(ctx)
	if err != nil {
		return nil, err
	}
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(r *retry.StandardOptions) { r.MaxAttempts = 10 }) // CloudFormation throttles
	}
	found, err := org.Open(ctx, cfg, org.Options{
		Administrator: spec.Administrator, Accounts: spec.Accounts, Regions: spec.Regions, Role: spec.Role, ExternalID: o.externalID,
	})
	return found, withHint(err, "run it with the credentials of the organization's management account, or of one that may assume the spec's role")
}

func usageOf(err error) error {
	if err == nil {
		return nil
	}
	return usageError(err)
}
