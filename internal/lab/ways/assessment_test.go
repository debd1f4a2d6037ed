package ways

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/function"
	"example.org/catchment/internal/importer"
	"example.org/catchment/internal/lab/population"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/source/files"
	"example.org/catchment/internal/store/s3"
)

// Who tells a function of a run, which is also the name of the function and of its bucket.
const (
	byTopic = "told-by-topic"
	byRule  = "told-by-rule"
	byBoth  = "told-by-both"
)

// assess makes functions that store the findings of assessment runs, and who tells them, in the administrator's account
// and a region; it starts a run and waits until it is over. It gives the run's ARN.
func (b *builder) assess(region string) string {
	b.t.Helper()
	ctx, cfg := b.t.Context(), b.config(region)
	client, topics, rules := inspector.NewFromConfig(cfg), sns.NewFromConfig(cfg), eventbridge.NewFromConfig(cfg)
	packages, err := client.ListRulesPackages(ctx, &inspector.ListRulesPackagesInput{})
	b.must(err)
	publisher, err := arn.Parse(packages.RulesPackageArns[0])
	b.must(err)
	topic, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("runs")})
	b.must(err)
	_, err = topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{
		TopicArn: topic.TopicArn, AttributeName: aws.String("Policy"), AttributeValue: aws.String(policy(
			`{"Effect":"Allow","Principal":{"AWS":"` + b.arn("iam", "", publisher.AccountID, "root") + `"},"Action":"sns:Publish","Resource":"` + *topic.TopicArn + `"}`)),
	})
	b.must(err)
	rule, err := rules.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("runs"), EventPattern: aws.String(`{"source":["aws.inspector"]}`)})
	b.must(err)
	role := b.role("assessments", "lambda.amazonaws.com", allow("*",
		"inspector:DescribeAssessmentRuns", "inspector:ListFindings", "inspector:DescribeFindings", "s3:PutObject", "s3:GetObject"))
	for _, name := range []string{byTopic, byRule, byBoth} {
		b.bucket(name)
		to := b.assessor(region, name, role, map[string]string{"sns.amazonaws.com": *topic.TopicArn, "events.amazonaws.com": *rule.RuleArn})
		if name != byRule {
			_, err := topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("lambda"), Endpoint: aws.String(to)})
			b.must(err)
		}
		if name != byTopic {
			out, err := rules.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("runs"), Targets: []eventtypes.Target{{Id: aws.String(name), Arn: aws.String(to)}}})
			b.must(err)
			if out.FailedEntryCount > 0 {
				b.t.Fatal(aws.ToString(out.FailedEntries[0].ErrorMessage))
			}
		}
	}
	target, err := client.CreateAssessmentTarget(ctx, &inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("all")})
	b.must(err)
	template, err := client.CreateAssessmentTemplate(ctx, &inspector.CreateAssessmentTemplateInput{
		AssessmentTargetArn: target.AssessmentTargetArn, AssessmentTemplateName: aws.String("all"), DurationInSeconds: aws.Int32(900),
		RulesPackageArns: packages.RulesPackageArns,
	})
	b.must(err)
	for _, event := range []inspectortypes.InspectorEvent{inspectortypes.InspectorEventAssessmentRunCompleted, inspectortypes.InspectorEventAssessmentRunStateChanged} {
		_, err = client.SubscribeToEvent(ctx, &inspector.SubscribeToEventInput{ResourceArn: template.AssessmentTemplateArn, Event: event, TopicArn: topic.TopicArn})
		b.must(err)
	}
	run, err := client.StartAssessmentRun(ctx, &inspector.StartAssessmentRunInput{AssessmentTemplateArn: template.AssessmentTemplateArn})
	b.must(err)
	b.must(b.lab.Cloud.Clock.Advance(ctx, 2*time.Hour))
	return aws.ToString(run.AssessmentRunArn)
}

// assessor makes one of the functions, and gives its ARN. sources are who may tell it.
func (b *builder) assessor(region, name, role string, sources map[string]string) string {
	b.t.Helper()
	functions := lambda.NewFromConfig(b.config(region))
	out, err := functions.CreateFunction(b.t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String(name), Role: aws.String(role), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &lambdatypes.FunctionCode{ZipFile: b.code}, Timeout: aws.Int32(60),
		Environment: &lambdatypes.Environment{Variables: map[string]string{function.VariableBucket: "s3://" + name + "?region=" + b.regions[0]}},
	})
	b.must(err)
	for principal, source := range sources {
		_, err := functions.AddPermission(b.t.Context(), &lambda.AddPermissionInput{
			FunctionName: aws.String(name), StatementId: aws.String(strings.ReplaceAll(principal, ".", "-")), Action: aws.String("lambda:InvokeFunction"),
			Principal: aws.String(principal), SourceArn: aws.String(source),
		})
		b.must(err)
	}
	return aws.ToString(out.FunctionArn)
}

// A tap keeps the answers that pass through a client.
type tap struct {
	client aws.HTTPClient
	bodies [][]byte
}

// Do is aws.HTTPClient.
func (c *tap) Do(r *http.Request) (*http.Response, error) {
	response, err := c.client.Do(r)
	if err != nil {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	c.bodies = append(c.bodies, body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, err
}

// described asks as the article does by hand: list-findings, and describe-findings of them. It gives the findings by ARN as
// the API wrote them, and its answers.
func (b *builder) described(region, run string) (findings map[string]string, answers [][]byte) {
	b.t.Helper()
	cfg := b.config(region)
	var arns []string
	pages := inspector.NewListFindingsPaginator(inspector.NewFromConfig(cfg), &inspector.ListFindingsInput{AssessmentRunArns: []string{run}, MaxResults: aws.Int32(7)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(b.t.Context())
		b.must(err)
		arns = append(arns, page.FindingArns...)
	}
	t := &tap{client: cfg.HTTPClient}
	cfg.HTTPClient = t
	client := inspector.NewFromConfig(cfg)
	findings = make(map[string]string)
	for some := range slices.Chunk(arns, 10) {
		out, err := client.DescribeFindings(b.t.Context(), &inspector.DescribeFindingsInput{FindingArns: some})
		b.must(err)
		var raw struct {
			Findings []jsontext.Value `json:"findings"`
		}
		b.must(json.Unmarshal(t.bodies[len(t.bodies)-1], &raw, lenient))
		if len(out.Findings) != len(some) || len(raw.Findings) != len(some) {
			b.t.Fatalf("%d findings of %d are described", len(out.Findings), len(some))
		}
		for i, f := range out.Findings {
			findings[aws.ToString(f.Arn)] = string(raw.Findings[i])
		}
	}
	return findings, t.bodies
}

// classic reads the lines of a bucket by the ARNs of their findings, and tells whether they are in their folders.
func (b *builder) classic(bucket string) map[string]string {
	b.t.Helper()
	lines := make(map[string]string)
	for key, body := range b.lab.S3.Objects(bucket, "") {
		plain, err := unzip(body)
		b.must(err)
		for text := range bytes.Lines(plain) {
			var f struct {
				ARN string `json:"arn"`
			}
			if err := json.Unmarshal(text, &f, lenient); err != nil || !bytes.HasSuffix(text, []byte("}\n")) {
				b.t.Errorf("%s: broken line %q", key, text)
				continue
			}
			at, err := arn.Parse(f.ARN)
			b.must(err)
			if !strings.HasPrefix(key, "AWSLogs/"+at.AccountID+"/Inspector/"+at.Region+"/20") {
				b.t.Errorf("%s is in %s", f.ARN, key)
			}
			if lines[f.ARN] != "" {
				b.t.Errorf("%s: %s is there twice", bucket, f.ARN)
			}
			lines[f.ARN] = strings.TrimSuffix(string(text), "\n")
		}
	}
	return lines
}

func TestAFunctionBringsTheFindingsOfARunWhoeverTellsItOfTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scene{seed: 10, accounts: 2, regions: []string{"ap-northeast-1"}, span: 24 * time.Hour, step: time.Hour, hosts: population.Spread{Min: 3, Max: 3}})
	b := newBuilder(w)
	w.pass(2 * time.Hour)
	region := w.regions[0]
	run := b.assess(region)
	want, answers := b.described(region, run)
	if len(want) < 11 { // more than one call describes
		t.Fatalf("the run has found %d findings: this test would prove nothing", len(want))
	}

	first := maps.Collect(w.lab.S3.Objects(byTopic, ""))
	for _, name := range []string{byRule, byBoth} {
		if got := maps.Collect(w.lab.S3.Objects(name, "")); !maps.EqualFunc(got, first, bytes.Equal) {
			t.Errorf("%s has the objects %v, and %s has %v", name, slices.Sorted(maps.Keys(got)), byTopic, slices.Sorted(maps.Keys(first)))
		}
	}
	if got := b.classic(byTopic); !maps.Equal(got, want) {
		t.Errorf("the function stored %d findings, or others, than the %d that list-findings and describe-findings give", len(got), len(want))
	}
	if got := b.importAnswers(answers); !maps.Equal(got, want) {
		t.Errorf("an import of the answers of describe-findings stored %d findings, or others, of %d", len(got), len(want))
	}
}

// importAnswers imports answers of the API as they are saved to files, one behind the other, and gives what is in the bucket.
func (b *builder) importAnswers(answers [][]byte) map[string]string {
	b.t.Helper()
	const bucket = "import-answers"
	b.bucket(bucket)
	compiled, err := pipeline.Compile([]pipeline.Stream{pipeline.DefaultStream()})
	b.must(err)
	to := s3.Open(b.config(b.regions[0]), s3.Options{Bucket: bucket})
	counts, err := importer.Run(b.t.Context(), []importer.Input{files.Stdin(bytes.NewReader(bytes.Join(answers, []byte("\n"))))}, importer.Options{
		Pipeline: compiled, Outputs: []importer.Output{{Compression: encode.Gzip, MaxBytes: 1 << 20}}, Store: to, Existing: to, TempDir: b.t.TempDir(),
	})
	b.must(err)
	if counts.RejectedTotal()+counts.Filtered > 0 {
		b.t.Errorf("the import of the answers of describe-findings leaves something out: %+v", counts)
	}
	return b.classic(bucket)
}
