package fleet_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"example.org/catchment/internal/fleet"
	"example.org/catchment/internal/lab/labtest"
)

// resource is the physical id of a resource of the pipeline in a region.
func (w *world) resource(t *testing.T, region, logical string) string {
	t.Helper()
	out, err := cloudformation.NewFromConfig(w.server.Config(w.Administrator(), region)).DescribeStackResource(t.Context(),
		&cloudformation.DescribeStackResourceInput{StackName: aws.String("catchment-region"), LogicalResourceId: &logical})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.StackResourceDetail.PhysicalResourceId)
}

// TestDeployMendsWhatWasChangedByHand breaks one thing at a time; a plan names it, and a deploy mends it.
func TestDeployMendsWhatWasChangedByHand(t *testing.T) {
	const region = "us-east-1"
	w := newWorld(t, 2, false, region)
	f := w.fleet(t)
	if bad := failures(w.deploy(t, f)); bad != "" {
		t.Fatal(bad)
	}
	admin := w.server.Config(w.Administrator(), region)
	member := w.management() // the other account
	events := eventbridge.NewFromConfig(admin)
	rule := w.resource(t, region, "Rule1")
	for name, tt := range map[string]struct {
		harm func() error
		part fleet.Part
		want string // in the change
	}{
		"the rule is disabled": {func() error {
			_, err := events.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: &rule})
			return err
		}, fleet.PartRegion, "change Rule1"},
		"the pattern is edited": {func() error {
			_, err := events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &rule, EventPattern: aws.String(`{"source":["aws.ec2"]}`)})
			return err
		}, fleet.PartRegion, "change Rule1"},
		"the target is gone": {func() error {
			_, err := events.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: &rule, Ids: []string{"firehose"}})
			return err
		}, fleet.PartRegion, "change Rule1"},
		"the Firehose is deleted": {func() error {
			_, err := firehose.NewFromConfig(admin).DeleteDeliveryStream(t.Context(), &firehose.DeleteDeliveryStreamInput{
				DeliveryStreamName: aws.String(w.resource(t, region, "Stream1")),
			})
			return err
		}, fleet.PartRegion, "create Stream1"},
		"the bucket's policy is cut": {func() error {
			_, err := s3.NewFromConfig(admin).DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: aws.String(bucketName)})
			return err
		}, fleet.PartBucket, "create BucketPolicy"},
		"the member is disassociated": {func() error {
			_, err := securityhub.NewFromConfig(admin).DisassociateMembers(t.Context(), &securityhub.DisassociateMembersInput{AccountIds: []string{member}})
			return err
		}, fleet.PartMembership, "create " + member},
		"the integration is off": {func() error {
			_, err := securityhub.NewFromConfig(w.server.Config(member, region)).DisableImportFindingsForProduct(t.Context(),
				&securityhub.DisableImportFindingsForProductInput{ProductSubscriptionArn: aws.String("arn:aws:securityhub:us-east-1:" + member + ":product-subscription/aws/inspector")})
			return err
		}, fleet.PartMember, "create Integration"},
		"Inspector is off": {func() error {
			_, err := inspector2.NewFromConfig(w.server.Config(member, region)).Disable(t.Context(), &inspector2.DisableInput{})
			return err
		}, fleet.PartInspector, "create EC2, ECR, LAMBDA"},
		"Security Hub is off": {func() error {
			if _, err := securityhub.NewFromConfig(admin).DisassociateMembers(t.Context(), &securityhub.DisassociateMembersInput{AccountIds: []string{member}}); err != nil {
				return err
			}
			_, err := securityhub.NewFromConfig(w.server.Config(member, region)).DisableSecurityHub(t.Context(), &securityhub.DisableSecurityHubInput{})
			return err
		}, fleet.PartMember, "create Hub"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tt.harm(); err != nil {
				t.Fatal(err)
			}
			labtest.Advance(t, w.Cloud, 60e9)
			planned, err := f.Plan(t.Context())
			if err != nil || !named(planned, fleet.Needed, tt.part, tt.want) {
				t.Errorf("plan: %v, %+v", err, needed(planned))
			}
			first := w.deploy(t, f)
			if bad := failures(first); bad != "" || !named(first, fleet.Done, tt.part, tt.want) {
				t.Errorf("%s%+v", bad, needed(first))
			}
			second := w.deploy(t, f)
			if second.Count(fleet.Unchanged) != len(second.Outcomes) {
				t.Errorf("a second one still finds: %+v", needed(second))
			}
		})
	}
	w.flow(t, 2)
}

// named tells whether a change of a part is among the outcomes.
func named(r *fleet.Result, s fleet.State, p fleet.Part, want string) bool {
	for _, o := range r.Outcomes {
		for _, c := range o.Changes {
			if o.State == s && o.Part == p && strings.HasPrefix(c.Action+" "+c.Resource, want) {
				return true
			}
		}
	}
	return false
}

// needed are the outcomes with changes.
func needed(r *fleet.Result) []fleet.Outcome {
	var out []fleet.Outcome
	for _, o := range r.Outcomes {
		if o.State != fleet.Unchanged {
			out = append(out, o)
		}
	}
	return out
}
