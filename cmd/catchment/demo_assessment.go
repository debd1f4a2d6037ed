package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"example.org/catchment/internal/function"
)

// Names of what way B is made of.
const (
	demoFunction = "inspector-run"
	demoTopic    = "inspector-runs"
)

// runLength is how long the demo's assessment run collects data, in lab time.
const runLength = 15 * time.Minute

// ownZip is this program as a function's code: it is its own bootstrap.
func ownZip() ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	f, err := os.Open(self) //nolint:gosec // it is this program
	if err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	defer f.Close()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	w, err := z.Create("bootstrap")
	if err == nil {
		_, err = io.Copy(w, f)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("zip this program: %w", err)
	}
	return b.Bytes(), nil
}

// An assessment is way B in one account and region: a run of Inspector Classic tells its ARN to SNS and to EventBridge,
// and a function reads the findings of that run.
type assessment struct {
	*demo

	account, region string
	function, topic string // ARNs
	run             string
}

func (a *assessment) config() aws.Config { return a.demo.config(a.account, a.region) }

// makeFunction makes the function with its role, and lets it into the bucket, which is another account's.
func (a *assessment) makeFunction(ctx context.Context) (string, error) {
	objects := a.arn("s3", "", "", a.bucket+"/*")
	err := a.makeRole(ctx, a.account, demoFunction, trust("lambda.amazonaws.com", `"Bool":{"aws:SecureTransport":"true"}`), strings.Join([]string{
		statement([]string{"inspector:DescribeAssessmentRuns", "inspector:ListFindings", "inspector:DescribeFindings"}, "*"),
		statement([]string{"s3:PutObject", "s3:GetObject"}, objects),
	}, ","))
	if err != nil {
		return "", err
	}
	role := a.arn("iam", "", a.account, "role/"+demoFunction)
	let := `{"Effect":"Allow","Principal":{"AWS":"` + role + `"},"Action":["s3:PutObject","s3:GetObject"],"Resource":"` + objects + `"}`
	_, err = s3.NewFromConfig(a.demo.config(a.administrator, a.regions[0])).PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{
		Bucket: aws.String(a.bucket), Policy: aws.String(policy(let)),
	})
	if err != nil {
		return "", err
	}
	code, err := ownZip()
	if err != nil {
		return "", err
	}
	out, err := lambda.NewFromConfig(a.config()).CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String(demoFunction), Role: aws.String(role), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &lambdatypes.FunctionCode{ZipFile: code}, Timeout: aws.Int32(300), MemorySize: aws.Int32(256),
		Environment: &lambdatypes.Environment{Variables: map[string]string{function.VariableBucket: "s3://" + a.bucket + "?region=" + a.regions[0]}},
	})
	if err != nil {
		return "", err
	}
	a.function = aws.ToString(out.FunctionArn)
	return fmt.Sprintf("%s, %.1f MB: this program itself", demoFunction, float64(len(code))/1e6), nil
}

// subscribe makes the topic and the rule that tell the function of a run.
func (a *assessment) subscribe(ctx context.Context) (string, error) {
	packages, err := inspector.NewFromConfig(a.config()).ListRulesPackages(ctx, &inspector.ListRulesPackagesInput{})
	if err != nil {
		return "", err
	}
	if len(packages.RulesPackageArns) == 0 {
		return "", fmt.Errorf("Inspector Classic has no rules packages in %s", a.region) //nolint:staticcheck // a name
	}
	publisher, err := arn.Parse(packages.RulesPackageArns[0])
	if err != nil {
		return "", err
	}
	topics := sns.NewFromConfig(a.config())
	topic, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String(demoTopic)})
	if err != nil {
		return "", err
	}
	a.topic = aws.ToString(topic.TopicArn)
	root := a.arn("iam", "", publisher.AccountID, "root")
	_, err = topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{
		TopicArn: topic.TopicArn, AttributeName: aws.String("Policy"),
		AttributeValue: aws.String(policy(`{"Effect":"Allow","Principal":{"AWS":"` + root + `"},"Action":"sns:Publish","Resource":"` + a.topic + `"}`)),
	})
	if err != nil {
		return "", err
	}
	rules := eventbridge.NewFromConfig(a.config())
	rule, err := rules.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String(demoTopic), EventPattern: aws.String(`{"source":["aws.inspector"]}`)})
	if err != nil {
		return "", err
	}
	functions := lambda.NewFromConfig(a.config())
	for principal, source := range map[string]string{"sns.amazonaws.com": a.topic, "events.amazonaws.com": aws.ToString(rule.RuleArn)} {
		_, err := functions.AddPermission(ctx, &lambda.AddPermissionInput{
			FunctionName: aws.String(demoFunction), StatementId: aws.String(strings.ReplaceAll(principal, ".", "-")),
			Action: aws.String("lambda:InvokeFunction"), Principal: aws.String(principal), SourceArn: aws.String(source),
		})
		if err != nil {
			return "", err
		}
	}
	if _, err := topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("lambda"), Endpoint: aws.String(a.function)}); err != nil {
		return "", err
	}
	out, err := rules.PutTargets(ctx, &eventbridge.PutTargetsInput{
		Rule: aws.String(demoTopic), Targets: []eventtypes.Target{{Id: aws.String("function"), Arn: aws.String(a.function)}},
	})
	if err == nil && out.FailedEntryCount > 0 {
		err = errors.New(aws.ToString(out.FailedEntries[0].ErrorMessage))
	}
	return "topic " + demoTopic + " and rule " + demoTopic + " → " + demoFunction, err
}

// start makes an assessment template, subscribes the topic to it, and starts a run.
func (a *assessment) start(ctx context.Context) (string, error) {
	client := inspector.NewFromConfig(a.config())
	packages, err := client.ListRulesPackages(ctx, &inspector.ListRulesPackagesInput{})
	if err != nil {
		return "", err
	}
	// Without a resource group the target is all instances of the account in the region.
	target, err := client.CreateAssessmentTarget(ctx, &inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("demo")})
	if err != nil {
		return "", err
	}
	template, err := client.CreateAssessmentTemplate(ctx, &inspector.CreateAssessmentTemplateInput{
		AssessmentTargetArn: target.AssessmentTargetArn, AssessmentTemplateName: aws.String("demo"),
		DurationInSeconds: aws.Int32(int32(runLength / time.Second)), RulesPackageArns: packages.RulesPackageArns,
	})
	if err != nil {
		return "", err
	}
	_, err = client.SubscribeToEvent(ctx, &inspector.SubscribeToEventInput{
		ResourceArn: template.AssessmentTemplateArn, Event: inspectortypes.InspectorEventAssessmentRunCompleted, TopicArn: aws.String(a.topic),
	})
	if err != nil {
		return "", err
	}
	run, err := client.StartAssessmentRun(ctx, &inspector.StartAssessmentRunInput{AssessmentTemplateArn: template.AssessmentTemplateArn})
	if err != nil {
		return "", err
	}
	a.run = aws.ToString(run.AssessmentRunArn)
	return a.run[strings.LastIndex(a.run, ":")+1:], nil
}

// finish lets the lab's time pass until the run is complete and its findings are stored.
func (a *assessment) finish(ctx context.Context) (string, error) {
	if err := a.lab.Cloud.Clock.Advance(ctx, 4*runLength); err != nil {
		return "", err
	}
	runs, err := inspector.NewFromConfig(a.config()).DescribeAssessmentRuns(ctx, &inspector.DescribeAssessmentRunsInput{AssessmentRunArns: []string{a.run}})
	if err != nil {
		return "", err
	}
	if len(runs.AssessmentRuns) != 1 || runs.AssessmentRuns[0].State != inspectortypes.AssessmentRunStateCompleted {
		return "", errors.New("the run is not complete after an hour")
	}
	found := int32(0)
	for _, n := range runs.AssessmentRuns[0].FindingCounts {
		found += n
	}
	return fmt.Sprintf("COMPLETED with %d findings", found), nil
}

// listed gives the ARNs of the run's findings, as "aws inspector list-findings --assessment-run-arns" does.
func (a *assessment) listed(ctx context.Context) ([]string, error) {
	var all []string
	pages := inspector.NewListFindingsPaginator(inspector.NewFromConfig(a.config()), &inspector.ListFindingsInput{AssessmentRunArns: []string{a.run}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.FindingArns...)
	}
	return all, nil
}
