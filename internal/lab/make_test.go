package lab_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func policy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// allow is a statement of a resource's policy. more is put behind it, such as a condition.
func allow(principal, action, resource string, more ...string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Principal":{%s},"Action":%q,"Resource":%q%s}`, principal, action, resource, strings.Join(more, ""))
}

func service(name string) string { return `"Service":"` + name + `.amazonaws.com"` }

func whoever(arn string) string { return `"AWS":"` + arn + `"` }

func when(operator, key, value string) string {
	return fmt.Sprintf(`,"Condition":{%q:{%q:%q}}`, operator, key, value)
}

// may is a statement of a role's policy.
func may(action, resource string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%q}`, action, resource)
}

func trusts(principal string, more ...string) string {
	return policy(fmt.Sprintf(`{"Effect":"Allow","Principal":{%s},"Action":"sts:AssumeRole"%s}`, principal, strings.Join(more, "")))
}

func (w *world) sqs(account, region string) *sqs.Client {
	return sqs.NewFromConfig(w.config(account, region))
}

// queue makes a queue; policy may be empty.
func (w *world) queue(account, region, name, policy string, more ...string) (url, arn string) {
	w.Helper()
	in := &sqs.CreateQueueInput{QueueName: &name, Attributes: make(map[string]string)}
	if policy != "" {
		in.Attributes["Policy"] = policy
	}
	for i := 0; i < len(more); i += 2 {
		in.Attributes[more[i]] = more[i+1]
	}
	out, err := w.sqs(account, region).CreateQueue(w.Context(), in)
	must(w, err)
	return *out.QueueUrl, w.arn("sqs", region, account, name)
}

func (w *world) setQueue(account, region, url, attribute, value string) {
	w.Helper()
	_, err := w.sqs(account, region).SetQueueAttributes(w.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: &url, Attributes: map[string]string{attribute: value},
	})
	must(w, err)
}

// messages takes all messages out of a queue.
func (w *world) messages(account, region, url string) []sqstypes.Message {
	w.Helper()
	var all []sqstypes.Message
	client := w.sqs(account, region)
	for {
		out, err := client.ReceiveMessage(w.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"},
		})
		must(w, err)
		if len(out.Messages) == 0 {
			return all
		}
		all = append(all, out.Messages...)
		for _, m := range out.Messages {
			_, err := client.DeleteMessage(w.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
			must(w, err)
		}
	}
}

func (w *world) iam(account string) *iam.Client { return iam.NewFromConfig(w.config(account, region)) }

// role makes a role that a service, or somebody else, may act in.
func (w *world) role(account, name, trust string, statements ...string) (arn string) {
	w.Helper()
	_, err := w.iam(account).CreateRole(w.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	must(w, err)
	if len(statements) > 0 {
		w.permitRole(account, name, statements...)
	}
	return w.arn("iam", "", account, "role/"+name)
}

func (w *world) permitRole(account, name string, statements ...string) {
	w.Helper()
	_, err := w.iam(account).PutRolePolicy(w.Context(), &iam.PutRolePolicyInput{
		RoleName: &name, PolicyName: aws.String("p"), PolicyDocument: aws.String(policy(statements...)),
	})
	must(w, err)
}

func (w *world) distrust(account, name string) {
	w.Helper()
	_, err := w.iam(account).UpdateAssumeRolePolicy(w.Context(), &iam.UpdateAssumeRolePolicyInput{
		RoleName: &name, PolicyDocument: aws.String(trusts(service("ec2"))),
	})
	must(w, err)
}

func (w *world) disarm(account, name string) {
	w.Helper()
	_, err := w.iam(account).DeleteRolePolicy(w.Context(), &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: aws.String("p")})
	must(w, err)
}

// key makes a key that its account administers, and whom the statements name may use.
func (w *world) key(account, region string, statements ...string) (arn string) {
	w.Helper()
	out, err := kms.NewFromConfig(w.config(account, region)).CreateKey(w.Context(), &kms.CreateKeyInput{Policy: aws.String(w.keyPolicy(account, statements...))})
	must(w, err)
	return *out.KeyMetadata.Arn
}

func (w *world) keyPolicy(account string, statements ...string) string {
	administer := allow(whoever(w.arn("iam", "", account, "user/administrator")), "kms:*", "*")
	return policy(append([]string{administer}, statements...)...)
}

func (w *world) setKey(account, region, arn string, statements ...string) {
	w.Helper()
	_, err := kms.NewFromConfig(w.config(account, region)).PutKeyPolicy(w.Context(), &kms.PutKeyPolicyInput{
		KeyId: &arn, Policy: aws.String(w.keyPolicy(account, statements...)),
	})
	must(w, err)
}

func (w *world) events(account, region string) *eventbridge.Client {
	return eventbridge.NewFromConfig(w.config(account, region))
}

// rule makes a rule that sends all events of this test to targets; bus may be empty.
func (w *world) rule(account, region, bus, name, pattern string, targets ...eventtypes.Target) {
	w.Helper()
	in, put := &eventbridge.PutRuleInput{Name: &name, EventPattern: &pattern}, &eventbridge.PutTargetsInput{Rule: &name, Targets: targets}
	if bus != "" {
		in.EventBusName, put.EventBusName = &bus, &bus
	}
	_, err := w.events(account, region).PutRule(w.Context(), in)
	must(w, err)
	out, err := w.events(account, region).PutTargets(w.Context(), put)
	must(w, err)
	for _, f := range out.FailedEntries {
		w.Fatalf("target %s: %s", *f.TargetId, *f.ErrorMessage)
	}
}

// ours is the pattern of events that put makes.
const ours = `{"source":["example.app"]}`

// put puts an event of this test on the default bus, and lets happen what comes of it.
func (w *world) put(account, region, detail string) {
	w.Helper()
	out, err := w.events(account, region).PutEvents(w.Context(), &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{{
		Source: aws.String("example.app"), DetailType: aws.String("Example"), Detail: &detail,
	}}})
	must(w, err)
	if out.FailedEntryCount > 0 {
		w.Fatalf("PutEvents: %s", *out.Entries[0].ErrorMessage)
	}
	w.advance(0)
}

func (w *world) topic(account, region, name string, attributes map[string]string) (arn string) {
	w.Helper()
	out, err := sns.NewFromConfig(w.config(account, region)).CreateTopic(w.Context(), &sns.CreateTopicInput{Name: &name, Attributes: attributes})
	must(w, err)
	return *out.TopicArn
}

func (w *world) setTopic(account, region, arn, attribute, value string) {
	w.Helper()
	_, err := sns.NewFromConfig(w.config(account, region)).SetTopicAttributes(w.Context(), &sns.SetTopicAttributesInput{
		TopicArn: &arn, AttributeName: &attribute, AttributeValue: &value,
	})
	must(w, err)
}

func (w *world) subscribe(account, region, topic, protocol, endpoint string, attributes map[string]string) {
	w.Helper()
	_, err := sns.NewFromConfig(w.config(account, region)).Subscribe(w.Context(), &sns.SubscribeInput{
		TopicArn: &topic, Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes,
	})
	must(w, err)
}

func (w *world) publish(account, region, topic, message string) {
	w.Helper()
	_, err := sns.NewFromConfig(w.config(account, region)).Publish(w.Context(), &sns.PublishInput{TopicArn: &topic, Message: &message})
	must(w, err)
	w.advance(0)
}

func (w *world) lambda(account, region string) *lambda.Client {
	return lambda.NewFromConfig(w.config(account, region))
}

func (w *world) function(account, region, name, role string) (arn string) {
	w.Helper()
	out, err := w.lambda(account, region).CreateFunction(w.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, Role: &role, Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Timeout: aws.Int32(60),
		Code: &lambdatypes.FunctionCode{ZipFile: functionZip(w)},
	})
	must(w, err)
	return *out.FunctionArn
}

func (w *world) permitFunction(account, region, function, principal, source string) {
	w.Helper()
	_, err := w.lambda(account, region).AddPermission(w.Context(), &lambda.AddPermissionInput{
		FunctionName: &function, StatementId: aws.String("s"), Action: aws.String("lambda:InvokeFunction"), Principal: &principal, SourceArn: &source,
	})
	must(w, err)
}

func (w *world) forbidFunction(account, region, function string) {
	w.Helper()
	_, err := w.lambda(account, region).RemovePermission(w.Context(), &lambda.RemovePermissionInput{FunctionName: &function, StatementId: aws.String("s")})
	must(w, err)
}

func (w *world) s3(account, region string) *s3.Client {
	return s3.NewFromConfig(w.config(account, region), func(o *s3.Options) { o.UsePathStyle = true })
}

func (w *world) bucket(account, region, name string) (arn string) {
	w.Helper()
	in := &s3.CreateBucketInput{Bucket: &name}
	if region != "us-east-1" {
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
	}
	_, err := w.s3(account, region).CreateBucket(w.Context(), in)
	must(w, err)
	return w.arn("s3", "", "", name)
}

// objects are the keys in a bucket that start with a prefix, with what they hold.
func (w *world) objects(account, region, bucket, prefix string) map[string]string {
	w.Helper()
	out := make(map[string]string)
	for name, body := range w.S3.Objects(bucket, prefix) {
		out[name] = string(body)
	}
	return out
}

func (w *world) firehose(account, region string) *firehose.Client {
	return firehose.NewFromConfig(w.config(account, region))
}

// stream makes a delivery stream that buffers for a minute, and waits until it is ACTIVE.
func (w *world) stream(account, region, name, role, bucket string, changes ...func(*firehosetypes.ExtendedS3DestinationConfiguration)) (arn string) {
	w.Helper()
	in := &firehosetypes.ExtendedS3DestinationConfiguration{
		RoleARN: &role, BucketARN: &bucket, BufferingHints: &firehosetypes.BufferingHints{SizeInMBs: aws.Int32(64), IntervalInSeconds: aws.Int32(60)},
		Prefix: aws.String("data/"), ErrorOutputPrefix: aws.String("errors/!{firehose:error-output-type}/"),
	}
	for _, change := range changes {
		change(in)
	}
	out, err := w.firehose(account, region).CreateDeliveryStream(w.Context(), &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: &name, ExtendedS3DestinationConfiguration: in,
	})
	must(w, err)
	w.advance(5 * time.Second)
	return *out.DeliveryStreamARN
}

func (w *world) encryptBucket(account, bucket, key string) {
	w.Helper()
	_, err := w.s3(account, region).PutBucketEncryption(w.Context(), &s3.PutBucketEncryptionInput{
		Bucket: &bucket, ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{Rules: []s3types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &s3types.ServerSideEncryptionByDefault{SSEAlgorithm: s3types.ServerSideEncryptionAwsKms, KMSMasterKeyID: &key},
		}}},
	})
	must(w, err)
}

func record(text string) *firehosetypes.Record { return &firehosetypes.Record{Data: []byte(text)} }

// in is where a bucket is to be made.
func in(region string) *s3types.CreateBucketConfiguration {
	return &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
}
