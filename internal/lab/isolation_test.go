package lab_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
)

// TestTheSameNamesInAllAccountsAndRegionsNeverMix makes the same things everywhere, puts another event into each place,
// and looks for it there and nowhere else.
func TestTheSameNamesInAllAccountsAndRegionsNeverMix(t *testing.T) {
	w := newWorld(t)
	type place struct{ account, region, url, topic string }
	var places []*place
	for _, account := range w.accounts {
		trust := trusts(service("firehose"))
		role := w.role(account, "storing", trust, may("s3:PutObject", "*"))
		for _, r := range w.Regions() {
			p := &place{account: account, region: r}
			arn := w.arn("sqs", r, account, "work")
			p.url, _ = w.queue(account, r, "work", policy(allow(`"Service":["events.amazonaws.com","sns.amazonaws.com"]`, "sqs:SendMessage", arn)))
			p.topic = w.topic(account, r, "news", nil)
			w.subscribe(account, r, p.topic, "sqs", arn, map[string]string{"RawMessageDelivery": "true"})
			w.stream(account, r, "findings", role, w.bucket(account, r, "lake-"+account+"-"+r))
			w.rule(account, r, "", "r", ours, eventtypes.Target{Id: aws.String("1"), Arn: &arn, InputPath: aws.String("$.detail")})
			places = append(places, p)
		}
	}
	for i, p := range places {
		w.put(p.account, p.region, fmt.Sprintf(`{"n":%d}`, i))
		w.publish(p.account, p.region, p.topic, fmt.Sprintf(`topic %d`, i))
		_, err := w.firehose(p.account, p.region).PutRecord(t.Context(), &firehose.PutRecordInput{
			DeliveryStreamName: aws.String("findings"), Record: record(fmt.Sprint("record ", i)),
		})
		must(t, err)
	}
	w.advance(2 * time.Minute)
	for i, p := range places {
		var got []string
		for _, m := range w.messages(p.account, p.region, p.url) {
			got = append(got, *m.Body)
		}
		for _, body := range w.objects(p.account, p.region, "lake-"+p.account+"-"+p.region, "") {
			got = append(got, body)
		}
		slices.Sort(got)
		if diff := cmp.Diff([]string{fmt.Sprint("record ", i), fmt.Sprint("topic ", i), fmt.Sprintf(`{"n":%d}`, i)}, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", p.account, p.region, diff)
		}
	}
	for _, p := range places {
		for service, names := range w.listed(p.account, p.region) {
			if len(names) != 1 {
				t.Errorf("%s %s lists %q of %s, want its own one", p.account, p.region, names, service)
			}
		}
	}
}

// listed are the names that the lists of some services give an account in a region.
func (w *world) listed(account, region string) map[string][]string {
	w.Helper()
	out := make(map[string][]string)
	queues, err := w.sqs(account, region).ListQueues(w.Context(), &sqs.ListQueuesInput{})
	must(w, err)
	out["SQS"] = queues.QueueUrls
	topics, err := sns.NewFromConfig(w.config(account, region)).ListTopics(w.Context(), &sns.ListTopicsInput{})
	must(w, err)
	for _, t := range topics.Topics {
		out["SNS"] = append(out["SNS"], *t.TopicArn)
	}
	streams, err := w.firehose(account, region).ListDeliveryStreams(w.Context(), &firehose.ListDeliveryStreamsInput{})
	must(w, err)
	out["Firehose"] = streams.DeliveryStreamNames
	rules, err := w.events(account, region).ListRules(w.Context(), &eventbridge.ListRulesInput{})
	must(w, err)
	for _, r := range rules.Rules {
		out["EventBridge"] = append(out["EventBridge"], *r.Name)
	}
	roles, err := w.iam(account).ListRoles(w.Context(), &iam.ListRolesInput{})
	must(w, err)
	for _, r := range roles.Roles {
		if *r.RoleName != "OrganizationAccountAccessRole" {
			out["IAM"] = append(out["IAM"], *r.Arn)
		}
	}
	return out
}

func TestWhatIsAnotherAccountsIsOutOfReach(t *testing.T) {
	w := newWorld(t)
	url, queue := w.queue(w.member, region, "work", "")
	topic, key := w.topic(w.member, region, "news", nil), w.key(w.member, region)
	w.bucket(w.member, region, "lake")
	function := w.function(w.member, region, "worker", w.role(w.member, "worker", trusts(service("lambda"))))
	w.enable(w.admin, region)
	w.enable(w.member, region)
	w.open(w.member, region, 1)
	ctx := t.Context()
	for name, ask := range map[string]func() error{
		"a queue": func() error {
			_, err := w.sqs(w.admin, region).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})
			return err
		},
		"a queue by its name": func() error {
			_, err := w.sqs(w.admin, region).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("work"), QueueOwnerAWSAccountId: &w.member})
			return err
		},
		"a topic": func() error {
			_, err := sns.NewFromConfig(w.config(w.admin, region)).Publish(ctx, &sns.PublishInput{TopicArn: &topic, Message: aws.String("x")})
			return err
		},
		"a key": func() error {
			_, err := kms.NewFromConfig(w.config(w.admin, region)).Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
			return err
		},
		"a function": func() error {
			_, err := w.lambda(w.admin, region).Invoke(ctx, &lambda.InvokeInput{FunctionName: &function})
			return err
		},
		"a bucket": func() error {
			_, err := w.s3(w.admin, region).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("lake")})
			return err
		},
		"a bucket's policy": func() error {
			_, err := w.s3(w.admin, region).GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String("lake")})
			return err
		},
		"the name of a bucket": func() error {
			_, err := w.s3(w.admin, region).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("lake"), CreateBucketConfiguration: in(region)})
			return err
		},
		"a role": func() error {
			_, err := sts.NewFromConfig(w.config(w.admin, region)).AssumeRole(ctx, &sts.AssumeRoleInput{
				RoleArn: aws.String(w.arn("iam", "", w.member, "role/worker")), RoleSessionName: aws.String("test"),
			})
			return err
		},
		"a bus": func() error {
			out, err := w.events(w.admin, region).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{{
				Source: aws.String("a"), DetailType: aws.String("b"), Detail: aws.String(`{}`), EventBusName: aws.String(w.arn("events", region, w.member, "event-bus/default")),
			}}})
			if err == nil && out.FailedEntryCount == 0 {
				return nil
			}
			return err
		},
		"a function of the account's own to poll its queue": func() error {
			f := w.function(w.admin, region, "worker", w.role(w.admin, "polling", trusts(service("lambda")), may("sqs:*", "*")))
			_, err := w.lambda(w.admin, region).CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{FunctionName: &f, EventSourceArn: &queue})
			return err
		},
	} {
		if code := codeOf(t, ask()); !strings.Contains(code, "Denied") && code != "BucketAlreadyExists" && code != "AuthorizationError" &&
			code != "InvalidParameterValueException" && code != "AWS.SimpleQueueService.NonExistentQueue" {
			t.Errorf("%s of another account: answered %q", name, code)
		}
	}
	if got := len(w.findings(w.admin, region)); got != 0 {
		t.Errorf("an account that is no administrator sees %d findings of another", got)
	}
	out, err := w.inspector2(w.admin, region).ListFindings(ctx, &inspector2.ListFindingsInput{})
	if err != nil || len(out.Findings) != 0 {
		t.Errorf("Inspector lists %v of another account, error %v", out, err)
	}
}

// TestARegionThatAnAccountHasNotEnabledKnowsItNot asks in an opt-in region, in one of another partition and in one that
// does not exist.
func TestARegionThatAnAccountHasNotEnabledKnowsItNot(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.Population.Regions = []string{region, "af-south-1"}; o.Population.Accounts = 8 })
	without := ""
	for _, a := range w.Accounts() {
		if !slices.Contains(a.Regions, "af-south-1") {
			without = a.ID
		}
	}
	if without == "" {
		t.Fatal("all accounts have enabled the opt-in region: this test would prove nothing")
	}
	ask := func(account, region string) (codes []string) {
		ctx := t.Context()
		_, err := w.hub(account, region).DescribeHub(ctx, &securityhub.DescribeHubInput{})
		codes = append(codes, codeOf(t, err))
		_, err = w.firehose(account, region).ListDeliveryStreams(ctx, &firehose.ListDeliveryStreamsInput{})
		codes = append(codes, codeOf(t, err))
		_, err = sts.NewFromConfig(w.config(account, region)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		codes = append(codes, codeOf(t, err))
		_, err = w.s3(account, region).ListBuckets(ctx, &s3.ListBucketsInput{})
		codes = append(codes, codeOf(t, err))
		_, err = iam.NewFromConfig(w.config(account, region)).ListRoles(ctx, &iam.ListRolesInput{})
		return append(codes, codeOf(t, err))
	}
	unknown := []string{"UnrecognizedClientException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", ""}
	for name, tt := range map[string]struct {
		account, region string
		want            []string
	}{
		"a region of everybody":              {without, region, []string{"InvalidAccessException", "", "", "", ""}},
		"an opt-in region that is enabled":   {w.admin, "af-south-1", []string{"InvalidAccessException", "", "", "", ""}},
		"an opt-in region that is not":       {without, "af-south-1", unknown},
		"a region of another partition":      {w.admin, "cn-north-1", unknown},
		"a region that is none":              {w.admin, "eu-nowhere-1", unknown},
		"an account of nobody":               {"999999999999", region, []string{"UnrecognizedClientException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidClientTokenId"}},
		"a global service in another's home": {w.admin, second, []string{"InvalidAccessException", "", "", "", ""}},
	} {
		if diff := cmp.Diff(tt.want, ask(tt.account, tt.region)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestOtherPartitionsAreLabsOfTheirOwn looks for ARNs of the wrong partition in all that a lab of China says.
func TestOtherPartitionsAreLabsOfTheirOwn(t *testing.T) {
	for partition, regions := range map[string][]string{
		"aws-cn": {"cn-north-1", "cn-northwest-1"}, "aws-us-gov": {"us-gov-west-1"}, "aws-eusc": {"eusc-de-east-1"},
	} {
		w := newWorld(t, func(o *lab.Options) {
			o.Options = cloud.Options{Seed: 1, Start: o.Start, Partition: partition}
			o.Population.Regions = regions
		})
		r := regions[0]
		w.enable(w.admin, r)
		w.open(w.admin, r, 3)
		w.topic(w.admin, r, "news", nil)
		out, err := sts.NewFromConfig(w.config(w.admin, r)).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		must(t, err)
		if !strings.HasPrefix(*out.Arn, "arn:"+partition+":") {
			t.Errorf("%s: who asks is %s", partition, *out.Arn)
		}
		for _, f := range w.findings(w.admin, r) {
			if !strings.HasPrefix(*f.ProductArn, "arn:"+partition+":") || !strings.HasPrefix(*f.Id, "arn:"+partition+":") {
				t.Errorf("%s: a finding %s of %s", partition, *f.Id, *f.ProductArn)
			}
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/_lab/state", http.NoBody)
		must(t, err)
		if _, state := w.send(request); strings.Contains(string(state), "arn:aws:") {
			t.Errorf("%s: its state has an ARN of partition aws", partition)
		}
	}
}
