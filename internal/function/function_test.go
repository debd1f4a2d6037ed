package function_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	"github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/function"
	"example.org/catchment/internal/handler"
	"example.org/catchment/internal/lab/cloud"
	labinspector "example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/labtest"
	labs3 "example.org/catchment/internal/lab/s3"
)

// A lab has a bucket in one region and Inspector Classic in another; the function runs in a third.
type lab struct {
	*inspector.Client
	cloud     *cloud.Cloud
	inspector *labinspector.Service
	s3        *labs3.Service
	topic     *topic
	bodies    *bodies
	log       *bytes.Buffer
}

const (
	bucketName   = "findings"
	bucketRegion = "eu-central-1"
	ownRegion    = "us-east-1"
)

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{cloud: labtest.NewCloud(t), topic: &topic{}, bodies: &bodies{}, log: &bytes.Buffer{}}
	l.cloud.Receivers.Register("sns", l.topic)
	l.inspector, l.s3 = labinspector.New(l.cloud), labs3.New(l.cloud)
	server := labtest.Serve(t, l.cloud, l.inspector.Wire(), l.s3.Wire())
	cfg := server.Config(labtest.Member, labtest.Region)
	l.bodies.client = cfg.HTTPClient
	cfg.HTTPClient = l.bodies
	l.Client = inspector.NewFromConfig(cfg)
	if err := l.s3.CreateBucket(cloud.Place{Partition: cloud.PartitionAWS, Account: labtest.Administrator, Region: bucketRegion}, bucketName); err != nil {
		t.Fatal(err)
	}
	as := l.cloud.Accounts.Credential(labtest.Member)
	setenv(t, map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": ownRegion, "AWS_ACCESS_KEY_ID": as.AccessKeyID, "AWS_SECRET_ACCESS_KEY": as.SecretKey,
		function.VariableBucket: "s3://" + bucketName + "/from/a/function?region=" + bucketRegion,
	})
	return l
}

// setenv sets the variables of a function, and leaves nothing of the machine's own.
func setenv(t *testing.T, variables map[string]string) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	all := map[string]string{
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
		"LAMBDA_TASK_ROOT": t.TempDir(), function.VariableSpec: "", function.VariableBucket: "", function.VariableStream: "",
	}
	for name, value := range variables {
		all[name] = value
	}
	for name, value := range all {
		t.Setenv(name, value)
	}
}

// A topic keeps the messages that Inspector sends it.
type topic struct {
	mu       sync.Mutex
	messages []string
}

func (r *topic) Resource(string) (cloud.Resource, error) {
	return cloud.Resource{Owner: labtest.Member}, nil
}

func (r *topic) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, string(d.Body))
	return nil, nil
}

// bodies keeps the bodies of answers.
type bodies struct {
	client aws.HTTPClient
	last   []byte
}

func (b *bodies) Do(r *http.Request) (*http.Response, error) {
	answer, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	b.last, err = io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(b.last))
	return answer, err
}

// stub finds as many things as it says.
type stub int

func (n stub) Assess(_ cloud.Place, run labinspector.Run) []labinspector.Finding {
	var out []labinspector.Finding
	for i := range int(n) {
		out = append(out, labinspector.Finding{
			ServiceAttributes: labinspector.ServiceAttributes{RulesPackageARN: run.RulesPackages[0].ARN}, AssetType: "ec2-instance", ID: fmt.Sprintf("CVE-2018-%04d", i),
			Title: fmt.Sprintf("finding %d with <, & and \"quotes\" \u2028 in it", i), Severity: "High", NumericSeverity: 6, Confidence: 10,
		})
	}
	return out
}

// finished is a run that found n things, with the event that SNS invokes a function with.
func (l *lab) finished(t *testing.T, n int) (run, event string) {
	t.Helper()
	l.inspector.SetAssessor(stub(n))
	packages, err := l.ListRulesPackages(t.Context(), &inspector.ListRulesPackagesInput{})
	if err != nil {
		t.Fatal(err)
	}
	target, err := l.CreateAssessmentTarget(t.Context(), &inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("all")})
	if err != nil {
		t.Fatal(err)
	}
	template, err := l.CreateAssessmentTemplate(t.Context(), &inspector.CreateAssessmentTemplateInput{
		AssessmentTargetArn: target.AssessmentTargetArn, AssessmentTemplateName: aws.String("all"), DurationInSeconds: aws.Int32(3600), RulesPackageArns: packages.RulesPackageArns,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.SubscribeToEvent(t.Context(), &inspector.SubscribeToEventInput{
		ResourceArn: template.AssessmentTemplateArn, Event: types.InspectorEventAssessmentRunCompleted,
		TopicArn: aws.String("arn:aws:sns:" + labtest.Region + ":" + labtest.Member + ":runs"),
	})
	if err != nil {
		t.Fatal(err)
	}
	started, err := l.StartAssessmentRun(t.Context(), &inspector.StartAssessmentRunInput{AssessmentTemplateArn: template.AssessmentTemplateArn})
	if err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, l.cloud, 2*time.Hour)
	if len(l.topic.messages) != 1 || !strings.Contains(l.topic.messages[0], *started.AssessmentRunArn) {
		t.Fatalf("messages %v, want one with %s", l.topic.messages, *started.AssessmentRunArn)
	}
	message, err := json.Marshal(l.topic.messages[0])
	if err != nil {
		t.Fatal(err)
	}
	return *started.AssessmentRunArn, `{"Records":[{"EventSource":"aws:sns","Sns":{"Type":"Notification","Message":` + string(message) + `}}]}`
}

// findings are those of a run, as DescribeFindings sends them.
func (l *lab) findings(t *testing.T, run string) (all []string) {
	t.Helper()
	pages := inspector.NewListFindingsPaginator(l, &inspector.ListFindingsInput{AssessmentRunArns: []string{run}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.DescribeFindings(t.Context(), &inspector.DescribeFindingsInput{FindingArns: page.FindingArns}); err != nil {
			t.Fatal(err)
		}
		var body struct {
			Findings []json.RawMessage `json:"findings"`
		}
		if err := json.Unmarshal(l.bodies.last, &body); err != nil {
			t.Fatal(err)
		}
		for _, f := range body.Findings {
			all = append(all, string(f))
		}
	}
	slices.Sort(all)
	return all
}

// stored is the lines of all objects, sorted, with their keys.
func (l *lab) stored(t *testing.T) (keys, lines []string) {
	t.Helper()
	for key, body := range l.s3.Objects(bucketName, "") {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		keys = append(keys, key)
		lines = append(lines, strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")...)
	}
	slices.Sort(lines)
	return keys, lines
}

// handle makes the function and invokes it once, as a new process of Lambda would be.
func (l *lab) handle(t *testing.T, event string) (string, error) {
	t.Helper()
	h, err := function.New(t.Context(), slog.New(slog.NewJSONHandler(l.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.Handle(t.Context(), []byte(event))
	return string(b), err
}

// TestTheFindingsOfARunGetIntoTheBucket is way B from its start to its end: more than a page of findings, from another
// region, into a bucket of a third.
func TestTheFindingsOfARunGetIntoTheBucket(t *testing.T) {
	l := newLab(t)
	run, event := l.finished(t, 213)
	want := l.findings(t, run)
	if len(want) != 213 {
		t.Fatalf("%d findings, want 213", len(want))
	}
	answer, err := l.handle(t, event)
	if err != nil {
		t.Fatal(err)
	}
	if wanted := `[{"run":"` + run + `","state":"COMPLETED","listed":213,"stored":213,"rejected":0,"filtered":0,"duplicate":0,"objects":1}]`; answer != wanted {
		t.Errorf("answer %s, want %s", answer, wanted)
	}
	keys, lines := l.stored(t)
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines are not the findings' own bytes (-want +got):\n%s", diff)
	}
	const prefix = "from/a/function/AWSLogs/" + labtest.Member + "/Inspector/" + labtest.Region + "/2026/11/22/14/inspector-1-2026-11-22-14-"
	if len(keys) != 1 || !strings.HasPrefix(keys[0], prefix) {
		t.Errorf("keys %v, want one %s…", keys, prefix)
	}
	if s := l.log.String(); !strings.Contains(s, `"msg":"the findings of a run are stored"`) || !strings.Contains(s, `"stored":213`) {
		t.Errorf("log %s", s)
	}
	if again, err := l.handle(t, event); err != nil || again != answer {
		t.Errorf("the same notice again: %s, error %v", again, err)
	}
	if twice, _ := l.stored(t); !slices.Equal(keys, twice) {
		t.Errorf("the same notice again adds %v", twice)
	}
}

func TestWhatFailsForAWhileIsAskedForAgain(t *testing.T) {
	l := newLab(t)
	run, event := l.finished(t, 25)
	want := l.findings(t, run)
	if err := l.inspector.SetFlakyItems(0.3); err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"DescribeFindings", "ListFindings", "DescribeAssessmentRuns"} {
		if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultThrottle, Service: "inspector", Action: action, Times: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if answer, err := l.handle(t, event); err != nil {
		t.Fatalf("answer %s, error %v", answer, err)
	}
	if _, lines := l.stored(t); !slices.Equal(want, lines) {
		t.Errorf("%d lines of %d findings, or others", len(lines), len(want))
	}
}

func TestARunOfAnotherAccountIsAnError(t *testing.T) {
	l := newLab(t)
	run, event := l.finished(t, 1)
	foreign := strings.ReplaceAll(event, labtest.Member, labtest.Administrator)
	if answer, err := l.handle(t, foreign); err == nil || !strings.Contains(err.Error(), "Inspector cannot describe it: ") {
		t.Errorf("answer %s, error %v", answer, err)
	}
	if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDeny, Service: "inspector", Action: "ListFindings"}); err != nil {
		t.Fatal(err)
	}
	if answer, err := l.handle(t, event); err == nil || !strings.Contains(err.Error(), "assessment run "+run+": list its findings: ") {
		t.Errorf("a list that is not permitted: %s, error %v", answer, err)
	}
}

func TestARunThatGoesOnIsLeftAlone(t *testing.T) {
	l := newLab(t)
	run, _ := l.finished(t, 1)
	template := aws.String(run[:strings.Index(run, "/run/")])
	started, err := l.StartAssessmentRun(t.Context(), &inspector.StartAssessmentRunInput{AssessmentTemplateArn: template})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := l.handle(t, `{"detail":{"assessmentRunArn":"`+*started.AssessmentRunArn+`"}}`)
	if err != nil || !strings.Contains(answer, "nothing was done") || !strings.Contains(l.log.String(), `"msg":"a run was left alone"`) {
		t.Errorf("answer %s, error %v, log %s", answer, err, l.log)
	}
	if keys, _ := l.stored(t); len(keys) > 0 {
		t.Errorf("objects %v", keys)
	}
}

const good = `{"Id":"f","ProductArn":"arn:aws:securityhub:us-east-1::product/aws/inspector","AwsAccountId":"444455556666","Region":"us-east-1",` +
	`"ProductFields":{"aws/securityhub/ProductName":"Inspector"}}`

func message(id, body string) string {
	quoted, _ := json.Marshal(body)
	return `{"messageId":"` + id + `","eventSource":"aws:sqs","attributes":{"SentTimestamp":"1795353255000"},"body":` + string(quoted) + `}`
}

// TestMessagesOfAQueueGetIntoTheBucket, but for those whose object S3 refuses.
func TestMessagesOfAQueueGetIntoTheBucket(t *testing.T) {
	l := newLab(t)
	event := `{"Records":[` + message("a", good) + `,` + message("b", "hello") + `]}`
	if answer, err := l.handle(t, event); err != nil || answer != `{"batchItemFailures":[]}` {
		t.Fatalf("answer %s, error %v", answer, err)
	}
	keys, lines := l.stored(t)
	if len(keys) != 2 || !slices.Contains(lines, good) || !strings.HasPrefix(keys[0], "from/a/function/AWSLogs/444455556666/Inspector/us-east-1/2026/11/22/") ||
		!strings.HasPrefix(keys[1], "from/a/function/errors/processing-failed/2026/11/22/") {
		t.Errorf("keys %v, lines %v", keys, lines)
	}
	if !strings.Contains(l.log.String(), `"rejected":1`) {
		t.Errorf("log %s", l.log)
	}
	if _, err := l.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDeny, Service: "s3", Action: "PutObject", Times: 1}); err != nil {
		t.Fatal(err)
	}
	event = `{"Records":[` + message("c", strings.Replace(good, `"f"`, `"g"`, 1)) + `,` + message("d", `{"source":"aws.ec2","detail-type":"x","detail":{}}`) + `]}`
	if answer, err := l.handle(t, event); err != nil || answer != `{"batchItemFailures":[{"itemIdentifier":"c"}]}` {
		t.Errorf("answer %s, error %v", answer, err)
	}
	if !strings.Contains(l.log.String(), `"msg":"messages stay in the queue","messages":2,"failed":1,"error":"put AWSLogs/`) {
		t.Errorf("log %s", l.log)
	}
}

func TestSettings(t *testing.T) {
	const titles = `
bucket: {url: somewhere}
streams:
  - name: titles
    pattern: {source: [{exists: true}]}
    prefix: "t/!{timestamp:yyyy}/"
  - name: inspector
    pattern: {source: ["aws.securityhub"]}
    prefix: "${PLACE}"
    partition_keys: {account: .AwsAccountId}
`
	const place = "p/!{partitionKeyFromQuery:account}/!{timestamp:yyyy}/"
	managed := func(newline string) string {
		return "bucket: {url: somewhere}\norganization: {administrator: '111122223333', regions: [us-east-1]}\nmanaged: {newline: " + newline + "}\n"
	}
	stream := func(text string) string { return "bucket: {url: somewhere}\nstreams: [{name: a, " + text + "}]\n" }
	data := base64.StdEncoding.EncodeToString([]byte(good))
	firehose := `{"deliveryStreamArn":"arn:aws:firehose:us-east-1:111122223333:deliverystream/d","records":[{"recordId":"r","data":"` + data + `"}]}`
	ok := func(data, keys string) string {
		if keys != "" {
			keys = `,"metadata":{"partitionKeys":{` + keys + `}}`
		}
		return `{"records":[{"recordId":"r","result":"Ok","data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"` + keys + `}]}`
	}
	for name, tt := range map[string]struct {
		variables map[string]string
		file      string // catchment.yaml
		event     string
		want      string
		err       string
	}{
		"nothing set: the defaults transform": {event: firehose, want: ok(good+"\n", `"account":"444455556666","region":"us-east-1"`)},
		"nothing set: there is no bucket":     {event: `{"Records":[` + message("a", good) + `]}`, err: handler.ErrNoBucket.Error()},
		"the file beside the program": {
			file: titles, variables: map[string]string{"PLACE": place, function.VariableStream: "inspector"}, event: firehose,
			want: ok(good+"\n", `"account":"444455556666"`),
		},
		"the variable, not the file": {
			variables: map[string]string{function.VariableSpec: managed("native")}, file: titles, event: firehose,
			want: ok(good, `"account":"444455556666","region":"us-east-1"`),
		},
		"the spec says who ends lines": {
			variables: map[string]string{function.VariableSpec: managed("lambda")}, event: firehose,
			want: ok(good+"\n", `"account":"444455556666","region":"us-east-1"`),
		},
		"several streams, and no word which": {file: titles, variables: map[string]string{"PLACE": place}, event: firehose, err: `"d"`},
		"a stream that is not there":         {variables: map[string]string{function.VariableStream: "x"}, err: `CATCHMENT_STREAM "x"`},
		"a bucket that is a folder":          {variables: map[string]string{function.VariableBucket: "/tmp/x"}, err: `CATCHMENT_BUCKET "/tmp/x": expected s3://BUCKET`},
		"a bucket that is none":              {variables: map[string]string{function.VariableBucket: "s3://A"}, err: `s3://A`},
		"a spec that is wrong":               {variables: map[string]string{function.VariableSpec: "bukket: x\n"}, err: "CATCHMENT_SPEC:1:1: bukket"},
		"a pattern that is wrong":            {variables: map[string]string{function.VariableSpec: stream("pattern: {source: [{x: 1}]}, prefix: a/")}, err: "stream a: pattern"},
		"a zone that is none":                {variables: map[string]string{function.VariableSpec: stream("pattern: {source: [a]}, prefix: a/, time_zone: Mars")}, err: "Mars"},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, tt.variables)
			if tt.file != "" {
				if err := os.WriteFile(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), "catchment.yaml"), []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			h, err := function.New(t.Context(), slog.New(slog.DiscardHandler))
			var got []byte
			if err == nil {
				got, err = h.Handle(t.Context(), []byte(tt.event))
			}
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %s, error %v; want %q", got, err, tt.err)
				}
				return
			}
			if string(got) != tt.want || err != nil {
				t.Errorf("got  %s, error %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestRecordsThatFailAreLogged(t *testing.T) {
	setenv(t, nil)
	var log bytes.Buffer
	h, err := function.New(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	record := func(data string) string {
		return `{"recordId":"r","data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"}`
	}
	for _, event := range []string{record(good), record(good) + "," + record("x\"\n") + "," + record("{")} {
		if _, err := h.Handle(t.Context(), []byte(`{"deliveryStreamArn":"d","records":[`+event+`]}`)); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 1 || !strings.Contains(lines[0], `"records":3,"ok":1,"dropped":0,"failed":{"incomplete":1,"invalid-json":1}}`) {
		t.Errorf("log %v, want one line with the reasons", lines)
	}
}

func TestInvokedIsWhereLambdaStartsIt(t *testing.T) {
	t.Setenv("AWS_LAMBDA_RUNTIME_API", "")
	if function.Invoked() {
		t.Error("it takes a shell for Lambda")
	}
	t.Setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
	if !function.Invoked() {
		t.Error("it does not see Lambda")
	}
}

func TestStartTellsWhatKeepsItFromStarting(t *testing.T) {
	setenv(t, map[string]string{function.VariableSpec: "bukket: x\n"})
	if err := function.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "set the function up: ") {
		t.Errorf("error %v", err)
	}
}
