package lab_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.org/catchment/internal/lab/cloud"
)

// letIntoBus makes a principal, and nobody else, put events on an account's default bus.
func (w *world) letIntoBus(account, bus, principal string) {
	w.Helper()
	document := policy(strings.Replace(allow(principal, "events:PutEvents", bus), `{"Effect"`, `{"Sid":"s","Effect"`, 1))
	_, err := w.events(account, region).PutPermission(w.Context(), &eventbridge.PutPermissionInput{Policy: &document})
	must(w, err)
}

// topicTo makes a topic with a subscription whose dead letters, and whose last error, tell what was refused.
func (w *world) topicTo(protocol, endpoint string, pieces ...piece) hop {
	w.Helper()
	topic := w.topic(w.admin, region, "news", nil)
	arn := w.arn("sqs", region, w.admin, "dead")
	url, _ := w.queue(w.admin, region, "dead", policy(allow(service("sns"), "sqs:SendMessage", arn)))
	w.subscribe(w.admin, region, topic, protocol, endpoint, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `"}`})
	dead := counter(func() int { return len(w.messages(w.admin, region, url)) })
	return hop{
		pieces: pieces, send: func() { w.publish(w.admin, region, topic, "news") }, shows: map[string]any{"": "NO_PERMISSIONS"},
		refused: func() string {
			if n := dead(); n > 0 {
				return fmt.Sprint(n, " dead letters: ", w.topicState("news").Subscriptions[0].LastError)
			}
			return w.topicState("news").Subscriptions[0].LastError
		},
	}
}

func topicToQueue(w *world) hop {
	arn := w.arn("sqs", region, w.admin, "work")
	url, _ := w.queue(w.admin, region, "work", policy(allow(service("sns"), "sqs:SendMessage", arn, when("ArnEquals", "aws:SourceArn", w.arn("sns", region, w.admin, "news")))))
	h := w.topicTo("sqs", arn,
		piece{"the queue's policy", func() { w.setQueue(w.admin, region, url, "Policy", "") }},
		piece{"this topic in the queue's policy", func() {
			w.setQueue(w.admin, region, url, "Policy", policy(allow(service("sns"), "sqs:SendMessage", arn, when("ArnEquals", "aws:SourceArn", w.arn("sns", region, w.admin, "others")))))
		}},
	)
	h.shows[""] = "1 dead letters: NO_PERMISSIONS"
	h.arrived = counter(func() int { return len(w.messages(w.admin, region, url)) })
	return h
}

func topicToEncryptedQueue(w *world) hop {
	arn := w.arn("sqs", region, w.admin, "work")
	use := []string{allow(service("sns"), "kms:GenerateDataKey", "*"), allow(service("sns"), "kms:Decrypt", "*")}
	key := w.key(w.admin, region, use...)
	url, _ := w.queue(w.admin, region, "work", policy(allow(service("sns"), "sqs:SendMessage", arn)), "KmsMasterKeyId", key)
	h := w.topicTo("sqs", arn,
		piece{"the key's policy", func() { w.setKey(w.admin, region, key) }},
		piece{"kms:Decrypt", func() { w.setKey(w.admin, region, key, use[0]) }},
	)
	h.shows[""] = "kms:"
	h.arrived = counter(func() int { return len(w.messages(w.admin, region, url)) })
	return h
}

func topicToFunction(w *world) hop {
	arn := w.worker()
	w.permitFunction(w.admin, region, "worker", "sns.amazonaws.com", w.arn("sns", region, w.admin, "news"))
	h := w.topicTo("lambda", arn, piece{"the function's policy", func() { w.forbidFunction(w.admin, region, "worker") }})
	h.arrived = func() int { return w.invocations(arn) }
	return h
}

type amount struct{ Objects, Records int }

// A streamState is a delivery stream as the lab shows it.
type streamState struct {
	Status                  string
	PendingRecords, Waiting int
	Metrics                 struct {
		IncomingRecords   int
		Delivered, Errors amount
		Failures          map[string]int
	}
}

// streamState is that of the only one.
func (w *world) streamState() streamState {
	w.Helper()
	var all struct{ Streams []streamState }
	w.ask(http.MethodGet, "state/firehose", "", http.StatusOK, &all)
	if len(all.Streams) != 1 {
		w.Fatalf("%d streams, want one", len(all.Streams))
	}
	return all.Streams[0]
}

// streamTo puts records to a stream whose failures tell what was refused. arrived counts the records in the bucket.
func (w *world) streamTo(pieces ...piece) hop {
	w.Helper()
	return hop{
		pieces: pieces, shows: map[string]any{"": "S3.AccessDenied"},
		send: func() {
			_, err := w.firehose(w.admin, region).PutRecord(w.Context(), &firehose.PutRecordInput{
				DeliveryStreamName: aws.String("findings"), Record: &firehosetypes.Record{Data: []byte("x\n")},
			})
			must(w, err)
			w.advance(10 * time.Minute)
		},
		arrived: func() int { return w.streamState().Metrics.Delivered.Records },
		refused: func() string { return strings.Join(slices.Sorted(maps.Keys(w.streamState().Metrics.Failures)), " ") },
	}
}

func streamToBucket(w *world) hop {
	bucket := w.bucket(w.admin, region, "lake")
	role := w.role(w.admin, "storing", trusts(service("firehose"), when("StringEquals", "sts:ExternalId", w.admin)), may("s3:PutObject", bucket+"/*"))
	w.stream(w.admin, region, "findings", role, bucket)
	deny := strings.Replace(allow(`"AWS":"*"`, "s3:PutObject", bucket+"/*"), "Allow", "Deny", 1)
	return w.streamTo(
		piece{"the role's policy", func() { w.disarm(w.admin, "storing") }},
		piece{"this bucket in the role's policy", func() { w.permitRole(w.admin, "storing", may("s3:PutObject", bucket+"2/*")) }},
		piece{"the role's trust", func() { w.distrust(w.admin, "storing") }},
		piece{"peace: the bucket's policy denies", func() { w.setBucketPolicy(w.admin, "lake", policy(deny)) }},
	)
}

func (w *world) setBucketPolicy(account, bucket, document string) {
	w.Helper()
	_, err := w.s3(account, region).PutBucketPolicy(w.Context(), &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &document})
	must(w, err)
}

func (w *world) dropBucketPolicy(account, bucket string) {
	w.Helper()
	_, err := w.s3(account, region).DeleteBucketPolicy(w.Context(), &s3.DeleteBucketPolicyInput{Bucket: &bucket})
	must(w, err)
}

func streamToForeignBucket(w *world) hop {
	bucket := w.bucket(w.member, region, "lake")
	role := w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", bucket+"/*"))
	w.setBucketPolicy(w.member, "lake", policy(allow(whoever(role), "s3:PutObject", bucket+"/*")))
	w.stream(w.admin, region, "findings", role, bucket)
	return w.streamTo(
		piece{"the role's policy", func() { w.disarm(w.admin, "storing") }},
		piece{"the bucket's policy", func() { w.dropBucketPolicy(w.member, "lake") }},
	)
}

func streamWithKey(w *world) hop {
	bucket := w.bucket(w.admin, region, "lake")
	role := w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", bucket+"/*"), may("kms:GenerateDataKey", "*"))
	account := whoever(w.arn("iam", "", w.admin, "root"))
	key := w.key(w.admin, region, allow(account, "kms:GenerateDataKey", "*"))
	w.stream(w.admin, region, "findings", role, bucket, func(s *firehosetypes.ExtendedS3DestinationConfiguration) {
		s.EncryptionConfiguration = &firehosetypes.EncryptionConfiguration{KMSEncryptionConfig: &firehosetypes.KMSEncryptionConfig{AWSKMSKeyARN: &key}}
	})
	h := w.streamTo(
		piece{"the key in the role's policy", func() { w.permitRole(w.admin, "storing", may("s3:PutObject", bucket+"/*")) }},
		piece{"the account in the key's policy", func() { w.setKey(w.admin, region, key) }},
	)
	h.shows[""] = "S3.KMS.AccessDeniedException"
	return h
}

func streamToEncryptedForeignBucket(w *world) hop {
	bucket := w.bucket(w.member, region, "lake")
	role := w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", bucket+"/*"), may("kms:GenerateDataKey", "*"))
	key := w.key(w.member, region, allow(whoever(role), "kms:GenerateDataKey", "*"))
	w.setBucketPolicy(w.member, "lake", policy(allow(whoever(role), "s3:PutObject", bucket+"/*")))
	w.encryptBucket(w.member, "lake", key)
	w.stream(w.admin, region, "findings", role, bucket)
	h := w.streamTo(
		piece{"the bucket's policy", func() { w.dropBucketPolicy(w.member, "lake") }},
		piece{"the key's policy", func() { w.setKey(w.member, region, key) }},
		piece{"the key in the role's policy", func() { w.permitRole(w.admin, "storing", may("s3:PutObject", bucket+"/*")) }},
	)
	h.shows["the key's policy"], h.shows["the key in the role's policy"] = "S3.KMS.AccessDeniedException", "S3.KMS.AccessDeniedException"
	return h
}

func streamToFunction(w *world) hop {
	bucket, arn := w.bucket(w.admin, region, "lake"), w.worker()
	role := w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", bucket+"/*"))
	calling := w.role(w.admin, "calling", trusts(service("firehose")), may("lambda:InvokeFunction", arn))
	parameter := func(name, value string) firehosetypes.ProcessorParameter {
		return firehosetypes.ProcessorParameter{ParameterName: firehosetypes.ProcessorParameterName(name), ParameterValue: &value}
	}
	w.stream(w.admin, region, "findings", role, bucket, func(s *firehosetypes.ExtendedS3DestinationConfiguration) {
		s.ProcessingConfiguration = &firehosetypes.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []firehosetypes.Processor{{
			Type: firehosetypes.ProcessorTypeLambda, Parameters: []firehosetypes.ProcessorParameter{
				parameter("LambdaArn", arn), parameter("RoleArn", calling), parameter("BufferSizeInMBs", "1"), parameter("BufferIntervalInSeconds", "60"),
			},
		}}}
	})
	h := w.streamTo(
		piece{"the role's policy", func() { w.disarm(w.admin, "calling") }},
		piece{"the role's trust", func() { w.distrust(w.admin, "calling") }},
	)
	h.shows[""], h.shows["the role's trust"] = "Lambda.InvokeAccessDenied", "Lambda.AssumeRoleAccessDenied"
	refused := h.refused
	h.refused = func() string { // it is in the bucket too, under the error prefix
		for _, body := range w.objects(w.admin, region, "lake", "errors/processing-failed/") {
			if !strings.Contains(body, refused()) {
				w.Errorf("failures %q, but the error record is %s", refused(), body)
			}
			return refused()
		}
		if why := refused(); why != "" {
			return "no error record for " + why
		}
		return ""
	}
	return h
}

func classicToTopic(w *world) hop {
	c, ctx := inspector.NewFromConfig(w.config(w.admin, region)), w.Context()
	packages, err := c.ListRulesPackages(ctx, &inspector.ListRulesPackagesInput{})
	must(w, err)
	target, err := c.CreateAssessmentTarget(ctx, &inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("all")})
	must(w, err)
	template, err := c.CreateAssessmentTemplate(ctx, &inspector.CreateAssessmentTemplateInput{
		AssessmentTargetArn: target.AssessmentTargetArn, AssessmentTemplateName: aws.String("all"), DurationInSeconds: aws.Int32(3600),
		RulesPackageArns: packages.RulesPackageArns[:1],
	})
	must(w, err)
	arn := w.arn("sns", region, w.admin, "runs")
	publisher := w.arn("iam", "", "357557129151", "root") // Inspector's account in eu-west-1
	w.topic(w.admin, region, "runs", map[string]string{"Policy": policy(allow(whoever(publisher), "sns:Publish", arn))})
	_, err = c.SubscribeToEvent(ctx, &inspector.SubscribeToEventInput{
		ResourceArn: template.AssessmentTemplateArn, Event: inspectortypes.InspectorEventAssessmentRunCompleted, TopicArn: &arn,
	})
	must(w, err)
	last := ""
	return hop{
		pieces: []piece{{"Inspector's account in the topic's policy", func() {
			w.setTopic(w.admin, region, arn, "Policy", policy(allow(service("inspector"), "sns:Publish", arn)))
		}}},
		send: func() {
			run, err := c.StartAssessmentRun(ctx, &inspector.StartAssessmentRunInput{AssessmentTemplateArn: template.AssessmentTemplateArn})
			must(w, err)
			w.advance(2 * time.Hour)
			out, err := c.DescribeAssessmentRuns(ctx, &inspector.DescribeAssessmentRunsInput{AssessmentRunArns: []string{*run.AssessmentRunArn}})
			must(w, err)
			for _, n := range out.AssessmentRuns[0].Notifications {
				if last = ""; *n.Error {
					last = string(n.SnsPublishStatusCode)
				}
			}
		},
		arrived: func() int { return w.topicState("runs").Published }, refused: func() string { return last },
		shows: map[string]any{"": "ACCESS_DENIED"},
	}
}

// queueTo makes a function poll a queue whose messages tell whether it could.
func (w *world) queueTo(url, arn, role string, pieces ...piece) hop {
	w.Helper()
	function := w.function(w.admin, region, "worker", role)
	mapping, err := w.lambda(w.admin, region).CreateEventSourceMapping(w.Context(), &lambda.CreateEventSourceMappingInput{
		FunctionName: &function, EventSourceArn: &arn,
	})
	must(w, err)
	return hop{
		pieces: pieces, shows: map[string]any{"": "PROBLEM: AccessDenied"},
		send: func() {
			_, err := w.sqs(w.admin, region).SendMessage(w.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})
			must(w, err)
			w.advance(time.Minute)
		},
		arrived: func() int { return w.invocations(function) },
		refused: func() string {
			out, err := w.lambda(w.admin, region).GetEventSourceMapping(w.Context(), &lambda.GetEventSourceMappingInput{UUID: mapping.UUID})
			must(w, err)
			if result := aws.ToString(out.LastProcessingResult); strings.HasPrefix(result, "PROBLEM") {
				return result
			}
			return ""
		},
	}
}

func queueToFunction(w *world) hop {
	url, arn := w.queue(w.admin, region, "work", "")
	all := []string{may("sqs:ReceiveMessage", arn), may("sqs:DeleteMessage", arn), may("sqs:GetQueueAttributes", arn)}
	role := w.role(w.admin, "worker", trusts(service("lambda")), all...)
	return w.queueTo(url, arn, role,
		piece{"the role's policy", func() { w.disarm(w.admin, "worker") }},
		piece{"sqs:ReceiveMessage", func() { w.permitRole(w.admin, "worker", all[1:]...) }},
	)
}

func encryptedQueueToFunction(w *world) hop {
	key := w.key(w.admin, region, allow(whoever(w.arn("iam", "", w.admin, "root")), "kms:*", "*"))
	url, arn := w.queue(w.admin, region, "work", "", "KmsMasterKeyId", key)
	all := []string{may("sqs:*", arn), may("kms:Decrypt", key)}
	role := w.role(w.admin, "worker", trusts(service("lambda")), all...)
	h := w.queueTo(url, arn, role, piece{"the key in the role's policy", func() { w.permitRole(w.admin, "worker", all[0]) }})
	h.shows[""] = "kms:Decrypt"
	return h
}

// assume acts in a role, as somebody; the error's code tells what was refused.
func (w *world) assume(as cloud.Credential, role string, pieces ...piece) hop {
	w.Helper()
	n, last := 0, ""
	return hop{
		pieces: pieces, arrived: func() int { return n }, refused: func() string { return last }, shows: map[string]any{"": "AccessDenied"},
		send: func() {
			_, err := sts.NewFromConfig(w.aws.As(as, region)).AssumeRole(w.Context(), &sts.AssumeRoleInput{
				RoleArn: &role, RoleSessionName: aws.String("test"), ExternalId: aws.String("secret"),
			})
			if err == nil {
				n++
			}
			last = codeOf(w, err)
		},
	}
}

// session gives somebody's credentials in a role.
func (w *world) session(account, role string) cloud.Credential {
	w.Helper()
	out, err := sts.NewFromConfig(w.config(account, region)).AssumeRole(w.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("test")})
	must(w, err)
	c := out.Credentials
	return cloud.Credential{AccessKeyID: *c.AccessKeyId, SecretKey: *c.SecretAccessKey, Token: *c.SessionToken}
}

func assumeOwn(w *world) hop {
	role := w.role(w.admin, "target", trusts(whoever(w.arn("iam", "", w.admin, "root"))))
	person := w.role(w.admin, "person", trusts(whoever(w.admin)), may("sts:AssumeRole", role))
	return w.assume(w.session(w.admin, person), role,
		piece{"the role's trust", func() { w.distrust(w.admin, "target") }},
		piece{"who asks may", func() { w.disarm(w.admin, "person") }},
	)
}

func assumeForeign(w *world) hop {
	person := w.role(w.admin, "person", trusts(whoever(w.admin)))
	role := w.role(w.member, "target", trusts(whoever(person), when("StringEquals", "sts:ExternalId", "secret")))
	w.permitRole(w.admin, "person", may("sts:AssumeRole", role))
	return w.assume(w.session(w.admin, person), role,
		piece{"the role's trust", func() { w.distrust(w.member, "target") }},
		piece{"who asks may", func() { w.disarm(w.admin, "person") }},
	)
}

func roleInForeignBucket(w *world) hop {
	bucket := w.bucket(w.member, region, "lake")
	role := w.role(w.admin, "person", trusts(whoever(w.admin)), may("s3:PutObject", bucket+"/*"))
	w.setBucketPolicy(w.member, "lake", policy(allow(whoever(role), "s3:PutObject", bucket+"/*")))
	client := s3.NewFromConfig(w.aws.As(w.session(w.admin, role), region), func(o *s3.Options) { o.UsePathStyle = true })
	last, n := "", 0
	return hop{
		pieces: []piece{
			{"the bucket's policy", func() { w.dropBucketPolicy(w.member, "lake") }},
			{"the role's policy", func() { w.disarm(w.admin, "person") }},
		},
		send: func() {
			n++
			_, err := client.PutObject(w.Context(), &s3.PutObjectInput{
				Bucket: aws.String("lake"), Key: aws.String(fmt.Sprint(n)), Body: strings.NewReader("x"),
			})
			last = codeOf(w, err)
		},
		arrived: func() int { return len(w.objects(w.member, region, "lake", "")) }, refused: func() string { return last },
		shows: map[string]any{"": "AccessDenied"},
	}
}

func codeInForeignBucket(w *world) hop {
	bucket := w.bucket(w.member, region, "code")
	_, err := w.s3(w.member, region).PutObject(w.Context(), &s3.PutObjectInput{
		Bucket: aws.String("code"), Key: aws.String("f.zip"), Body: strings.NewReader(string(functionZip(w))),
	})
	must(w, err)
	role := w.role(w.admin, "worker", trusts(service("lambda")))
	w.setBucketPolicy(w.member, "code", policy(allow(whoever(w.admin), "s3:GetObject", bucket+"/*")))
	last, n, made := "", 0, 0
	return hop{
		pieces: []piece{{"the bucket's policy", func() { w.dropBucketPolicy(w.member, "code") }}},
		send: func() {
			n++
			_, err := w.lambda(w.admin, region).CreateFunction(w.Context(), &lambda.CreateFunctionInput{
				FunctionName: aws.String(fmt.Sprint("f", n)), Role: &role, Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
				Code: &lambdatypes.FunctionCode{S3Bucket: aws.String("code"), S3Key: aws.String("f.zip")},
			})
			if err == nil {
				made++
				last = ""
			} else {
				last = err.Error()
			}
		},
		arrived: func() int { return made }, refused: func() string { return last }, shows: map[string]any{"": "s3:GetObject"},
	}
}

func callFunction(w *world) hop {
	arn := w.worker()
	role := w.role(w.admin, "person", trusts(whoever(w.admin)), may("lambda:InvokeFunction", arn))
	client, last := lambda.NewFromConfig(w.aws.As(w.session(w.admin, role), region)), ""
	return hop{
		pieces: []piece{{"the role's policy", func() { w.disarm(w.admin, "person") }}},
		send: func() {
			_, err := client.Invoke(w.Context(), &lambda.InvokeInput{FunctionName: &arn})
			last = codeOf(w, err)
		},
		arrived: func() int { return w.invocations(arn) }, refused: func() string { return last }, shows: map[string]any{"": "AccessDenied"},
	}
}
