package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/org"
	"example.org/catchment/internal/template"
)

// keyPrefix starts the keys of what we lay into code buckets.
const keyPrefix = "catchment-"

// codeBucket is the bucket of a region's code: Lambda takes it from its own region only.
func (f *Fleet) codeBucket(c org.Cell) string {
	return f.Name + "-code-" + c.Account + "-" + c.Region
}

// code uploads the function's zip, called by what it holds, and sets the parameters that name it. Where there is no zip,
// the stack keeps the one that it has.
func (w *walk) code(ctx context.Context, c org.Cell, own map[string]string) Outcome {
	out := Outcome{}
	if w.FunctionZip == nil {
		st, err := w.session(c).find(ctx, w.stackName(PartRegion))
		switch {
		case err != nil:
			return out.failed(err)
		case st == nil || neverWas(st) || parameterOf(st, "CodeKey") == "":
			out.State, out.Reason = Failed, "newline: lambda needs the function's code: give --function-zip FILE"
			return out
		}
		out.State = Unchanged
		return out
	}
	sum := sha256.Sum256(w.FunctionZip)
	bucket, key := w.codeBucket(c), keyPrefix+"lambda-"+hex.EncodeToString(sum[:12])+".zip"
	own["CodeBucket"], own["CodeKey"] = bucket, key
	client := s3.NewFromConfig(w.config(c))
	_, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, ExpectedBucketOwner: &c.Account})
	if err == nil {
		out.State = Unchanged
		return out
	}
	out.Changes = []Change{{Action: ActionCreate, Type: "S3::Object", Resource: "s3://" + bucket + "/" + key}}
	if w.dry {
		out.State = Needed
		return out
	}
	if err := w.makeCodeBucket(ctx, client, bucket, c); err != nil {
		return out.failed(err)
	}
	_, err = client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: bytes.NewReader(w.FunctionZip), ContentType: aws.String("application/zip"), ExpectedBucketOwner: &c.Account,
	})
	if err != nil {
		return out.failed(err)
	}
	out.State = Done
	return out
}

// lay puts a long template into the region's bucket for code, and gives its address for CloudFormation.
func (f *Fleet) lay(ctx context.Context, c org.Cell, text []byte) (string, error) {
	client, bucket := s3.NewFromConfig(f.config(c)), f.codeBucket(c)
	if err := f.makeCodeBucket(ctx, client, bucket, c); err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	key := keyPrefix + "template-" + hex.EncodeToString(sum[:12]) + ".yaml"
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: bytes.NewReader(text), ContentType: aws.String("application/yaml"), ExpectedBucketOwner: &c.Account,
	}); err != nil {
		return "", fmt.Errorf("lay the template into %s: %w", bucket, err)
	}
	// The SDK knows where the bucket is, in every partition; CloudFormation reads it as the caller, so it needs no signature.
	signed, err := s3.NewPresignClient(client).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", fmt.Errorf("find the address of the template: %w", err)
	}
	address, _, _ := strings.Cut(signed.URL, "?")
	return address, nil
}

// makeCodeBucket makes the bucket where it is not there: for nobody but its account.
func (f *Fleet) makeCodeBucket(ctx context.Context, client *s3.Client, bucket string, c org.Cell) error {
	if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket, ExpectedBucketOwner: &c.Account}); err == nil {
		return nil
	}
	in := &s3.CreateBucketInput{Bucket: &bucket}
	if c.Region != "us-east-1" {
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(c.Region)}
	}
	if _, err := client.CreateBucket(ctx, in); err != nil {
		api, ok := errors.AsType[smithy.APIError](err)
		if !ok || api.ErrorCode() != "BucketAlreadyOwnedByYou" {
			return fmt.Errorf("make bucket %s: %w", bucket, err)
		}
	}
	yes := aws.Bool(true)
	if _, err := client.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
		Bucket: &bucket, PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{
			BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes,
		},
	}); err != nil {
		return fmt.Errorf("close bucket %s to the public: %w", bucket, err)
	}
	_, err := client.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{
		Bucket: &bucket, Tagging: &s3types.Tagging{TagSet: []s3types.Tag{{Key: aws.String(tagPart), Value: aws.String(string(PartCode))}}},
	})
	if err != nil {
		return fmt.Errorf("tag bucket %s: %w", bucket, err)
	}
	return nil
}

// aggregate makes the finding aggregator's stack. One that is there already is somebody's own: it has to link all regions.
func (w *walk) aggregate(ctx context.Context, c org.Cell) Outcome {
	name := w.stackName(PartAggregator)
	out := Outcome{Stack: name}
	var linked []string
	for _, r := range w.org.Regions {
		if r != c.Region {
			linked = append(linked, r)
		}
	}
	st, err := w.session(c).find(ctx, name)
	if err != nil {
		return out.failed(err)
	}
	if st == nil || neverWas(st) {
		there, missing, err := w.aggregatorThere(ctx, c, linked)
		switch {
		case err != nil && !isOff(err):
			return out.failed(err)
		case there && len(missing) > 0:
			out.State, out.Reason = Failed, "there is a finding aggregator that does not link "+strings.Join(missing, ", ")+": let it, or delete it"
			return out
		case there:
			out.Stack, out.State = "", Unchanged
			return out
		}
	}
	text, err := template.Aggregator(linked)
	if err != nil {
		return out.failed(err)
	}
	return w.apply(ctx, stack{cell: c, part: PartAggregator, template: text, parameters: w.parameters(PartAggregator, nil)}, w.dry)
}

// aggregatorThere looks for a finding aggregator, and which regions it does not link to the home region.
func (f *Fleet) aggregatorThere(ctx context.Context, c org.Cell, linked []string) (there bool, missing []string, err error) {
	client := securityhub.NewFromConfig(f.config(c))
	all, err := client.ListFindingAggregators(ctx, &securityhub.ListFindingAggregatorsInput{})
	if err != nil || len(all.FindingAggregators) == 0 {
		return false, nil, err
	}
	a, err := client.GetFindingAggregator(ctx, &securityhub.GetFindingAggregatorInput{FindingAggregatorArn: all.FindingAggregators[0].FindingAggregatorArn})
	if err != nil {
		return true, nil, err
	}
	home := aws.ToString(a.FindingAggregationRegion) == c.Region
	for _, r := range linked {
		links := home
		switch aws.ToString(a.RegionLinkingMode) {
		case "SPECIFIED_REGIONS":
			links = links && slices.Contains(a.Regions, r)
		case "ALL_REGIONS_EXCEPT_SPECIFIED":
			links = links && !slices.Contains(a.Regions, r)
		case "NO_REGIONS":
			links = false
		}
		if !links {
			missing = append(missing, r)
		}
	}
	return true, missing, nil
}
