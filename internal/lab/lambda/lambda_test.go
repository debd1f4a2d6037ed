package lambda_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	run "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	lablambda "example.org/catchment/internal/lab/lambda"
	"example.org/catchment/internal/lab/wire"
)

// TestMain is also the function that the tests run: this very binary, started by the lab.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		run.Start(function)
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

type request struct {
	Do      string
	Size    int
	Records []events.SQSMessage
}

func function(ctx context.Context, in request) (any, error) {
	switch in.Do {
	case "echo":
		return map[string]string{
			"name": os.Getenv("AWS_LAMBDA_FUNCTION_NAME"), "region": os.Getenv("AWS_REGION"), "word": os.Getenv("WORD"),
			"home": os.Getenv("HOME"), "leak": os.Getenv("LAB_LEAK"), "pid": fmt.Sprint(os.Getpid()), "endpoint": os.Getenv("AWS_ENDPOINT_URL"),
		}, nil
	case "fail":
		return nil, errors.New("the function does not like this")
	case "exit":
		os.Exit(7)
	case "sleep":
		<-ctx.Done()
		select {}
	case "large":
		return strings.Repeat("x", in.Size), nil
	case "print":
		fmt.Println("a line of the log")
		return nil, nil
	}
	var out events.SQSEventResponse
	for _, r := range in.Records {
		if strings.Contains(r.Body, "bad") {
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
		}
	}
	return out, nil
}

var packed = sync.OnceValues(func() ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		return nil, err
	}
	return zipOf(map[string][]byte{"bootstrap": binary})
})

func zipOf(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		w, err := z.Create(name)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}

type fixture struct {
	*lambda.Client
	cloud   *cloud.Cloud
	service *lablambda.Service
	server  *labtest.Server
}

func serve(t *testing.T, more ...*wire.Service) *fixture {
	t.Helper()
	t.Setenv("LAB_LEAK", "a secret of the lab's own environment")
	c := labtest.NewCloud(t)
	s := lablambda.New(c)
	server := labtest.Serve(t, c, append(more, s.Wire())...)
	c.SetURL(server.URL)
	t.Cleanup(s.Close)
	return &fixture{lambda.NewFromConfig(server.Config(labtest.Administrator, labtest.Region)), c, s, server}
}

const role = "arn:aws:iam::" + labtest.Administrator + ":role/worker"

func (f *fixture) create(t *testing.T, name string, change ...func(*lambda.CreateFunctionInput)) string {
	t.Helper()
	code, err := packed()
	if err != nil {
		t.Fatal(err)
	}
	in := &lambda.CreateFunctionInput{
		FunctionName: aws.String(name), Role: aws.String(role), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &types.FunctionCode{ZipFile: code}, Timeout: aws.Int32(30), Environment: &types.Environment{Variables: map[string]string{"WORD": "hello"}},
	}
	for _, c := range change {
		c(in)
	}
	out, err := f.CreateFunction(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.FunctionArn
}

func (f *fixture) call(t *testing.T, name, payload string) (answer, failure string) {
	t.Helper()
	out, err := f.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String(name), Payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	return string(out.Payload), aws.ToString(out.FunctionError)
}

func TestARealBinaryIsInvoked(t *testing.T) {
	f := serve(t)
	arn := f.create(t, "echo")
	first, failure := f.call(t, arn, `{"Do":"echo"}`)
	if failure != "" {
		t.Fatalf("the function failed: %s: %s", failure, first)
	}
	for _, want := range []string{`"name":"echo"`, `"region":"` + labtest.Region + `"`, `"word":"hello"`, `"leak":""`, `"endpoint":"` + f.server.URL + `"`} {
		if !strings.Contains(first, want) {
			t.Errorf("answer %s: want %s in it", first, want)
		}
	}
	if second, _ := f.call(t, "echo", `{"Do":"echo"}`); second != first {
		t.Errorf("a second invocation was answered by another process: %s, then %s", first, second)
	}
	st := f.service.Inspect().([]lablambda.FunctionState)
	if len(st) != 1 || st[0].Invocations != 2 || st[0].Errors != 0 || st[0].InitMillis <= 0 || st[0].Environments != 1 {
		t.Errorf("state %+v, want 2 invocations without error in one environment", st)
	}
}

func TestWhatAFunctionDoesWrongIsToldToWhoAsked(t *testing.T) {
	f := serve(t)
	f.create(t, "wrong")
	f.create(t, "short", func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(1) })
	for name, tt := range map[string]struct{ function, payload, want string }{
		"an error of the function":   {"wrong", `{"Do":"fail"}`, "the function does not like this"},
		"a process that exits":       {"wrong", `{"Do":"exit"}`, "Runtime.ExitError"},
		"a process that takes long":  {"short", `{"Do":"sleep"}`, "timed out after 1.00 seconds"},
		"an answer that is too long": {"wrong", `{"Do":"large","Size":6291457}`, "Function.ResponseSizeTooLarge"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, failure := f.call(t, tt.function, tt.payload)
			if failure != "Unhandled" || !strings.Contains(answer, tt.want) {
				t.Errorf("got %q, %.200s; want Unhandled with %s", failure, answer, tt.want)
			}
			if answer, failure := f.call(t, "wrong", `{"Do":"echo"}`); failure != "" {
				t.Errorf("the next invocation failed too: %s", answer)
			}
		})
	}
}

func TestTheLogComesWithTheAnswer(t *testing.T) {
	f := serve(t)
	f.create(t, "print")
	out, err := f.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("print"), Payload: []byte(`{"Do":"print"}`), LogType: types.LogTypeTail})
	if err != nil || len(aws.ToString(out.LogResult)) == 0 || aws.ToString(out.ExecutedVersion) != "$LATEST" {
		t.Errorf("got log %q, version %q, error %v", aws.ToString(out.LogResult), aws.ToString(out.ExecutedVersion), err)
	}
}

func TestABinaryThatCannotRunIsAnErrorOfTheFunction(t *testing.T) {
	f := serve(t)
	code, err := zipOf(map[string][]byte{"bootstrap": []byte("this is no program")})
	if err != nil {
		t.Fatal(err)
	}
	f.create(t, "broken", func(in *lambda.CreateFunctionInput) { in.Code.ZipFile = code })
	if answer, failure := f.call(t, "broken", `{}`); failure != "Unhandled" || !strings.Contains(answer, "Runtime.InvalidEntrypoint") {
		t.Errorf("got %q %s, want Runtime.InvalidEntrypoint", failure, answer)
	}
}

func TestNewCodeRunsInANewProcess(t *testing.T) {
	f := serve(t)
	f.create(t, "changing")
	before, _ := f.call(t, "changing", `{"Do":"echo"}`)
	_, err := f.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("changing"), Environment: &types.Environment{Variables: map[string]string{"WORD": "goodbye"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	after, _ := f.call(t, "changing", `{"Do":"echo"}`)
	if !strings.Contains(before, "hello") || !strings.Contains(after, "goodbye") {
		t.Errorf("before %s, after %s", before, after)
	}
	code, _ := packed()
	if _, err := f.UpdateFunctionCode(t.Context(), &lambda.UpdateFunctionCodeInput{
		FunctionName: aws.String("changing"), ZipFile: code, RevisionId: aws.String("an old one"),
	}); codeOf(err) != "PreconditionFailedException" {
		t.Errorf("an update of an old revision: %v, want PreconditionFailedException", err)
	}
}

func TestWhatAFunctionHasStartedEndsWithIt(t *testing.T) {
	f := serve(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	code, err := zipOf(map[string][]byte{"bootstrap": []byte("#!/bin/sh\n'" + self + "'\nexit 1\n")}) // as scripts with curl do
	if err != nil {
		t.Fatal(err)
	}
	f.create(t, "script", func(in *lambda.CreateFunctionInput) { in.Code.ZipFile = code })
	before, _ := f.call(t, "script", `{"Do":"echo"}`)
	_, err = f.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("script"), Environment: &types.Environment{Variables: map[string]string{"WORD": "goodbye"}},
	}) // ends the process
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := f.call(t, "script", `{"Do":"echo"}`); !strings.Contains(before, "hello") || !strings.Contains(after, "goodbye") {
		t.Errorf("before %s, after %s", before, after)
	}
}

func codeOf(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestCreateFunctionRefusesWhatAWSRefuses(t *testing.T) {
	f := serve(t)
	f.create(t, "there")
	escaping, err := zipOf(map[string][]byte{"bootstrap": nil, "../../etc/passwd": nil})
	if err != nil {
		t.Fatal(err)
	}
	empty, err := zipOf(map[string][]byte{"main": nil})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*lambda.CreateFunctionInput)
		want   string
	}{
		"a name that is taken":         {func(in *lambda.CreateFunctionInput) { in.FunctionName = aws.String("there") }, "ResourceConflictException"},
		"a name with a space":          {func(in *lambda.CreateFunctionInput) { in.FunctionName = aws.String("not this") }, "ValidationException"},
		"a role that is no ARN":        {func(in *lambda.CreateFunctionInput) { in.Role = aws.String("worker") }, "ValidationException"},
		"a runtime of another kind":    {func(in *lambda.CreateFunctionInput) { in.Runtime = types.RuntimePython313 }, "InvalidParameterValueException"},
		"a timeout over 15 minutes":    {func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(901) }, "ValidationException"},
		"little memory":                {func(in *lambda.CreateFunctionInput) { in.MemorySize = aws.Int32(127) }, "ValidationException"},
		"a zip that is none":           {func(in *lambda.CreateFunctionInput) { in.Code.ZipFile = []byte("zip") }, "InvalidParameterValueException"},
		"a zip without bootstrap":      {func(in *lambda.CreateFunctionInput) { in.Code.ZipFile = empty }, "InvalidParameterValueException"},
		"a zip that leads out":         {func(in *lambda.CreateFunctionInput) { in.Code.ZipFile = escaping }, "InvalidParameterValueException"},
		"a variable that Lambda sets":  {func(in *lambda.CreateFunctionInput) { in.Environment.Variables["AWS_REGION"] = "x" }, "InvalidParameterValueException"},
		"variables of more than 4 KiB": {func(in *lambda.CreateFunctionInput) { in.Environment.Variables["LONG"] = strings.Repeat("x", 4096) }, "InvalidParameterValueException"},
	} {
		t.Run(name, func(t *testing.T) {
			small, err := zipOf(map[string][]byte{"bootstrap": nil})
			if err != nil {
				t.Fatal(err)
			}
			in := &lambda.CreateFunctionInput{
				FunctionName: aws.String("new"), Role: aws.String(role), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
				Code: &types.FunctionCode{ZipFile: small}, Environment: &types.Environment{Variables: map[string]string{}},
			}
			tt.change(in)
			if _, err := f.CreateFunction(t.Context(), in); codeOf(err) != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestFunctionsAreListedDescribedAndDeleted(t *testing.T) {
	f := serve(t)
	f.create(t, "a")
	f.create(t, "b")
	page, err := f.ListFunctions(t.Context(), &lambda.ListFunctionsInput{MaxItems: aws.Int32(1)})
	if err != nil || len(page.Functions) != 1 || *page.Functions[0].FunctionName != "a" || page.NextMarker == nil {
		t.Fatalf("first page %+v, %v", page, err)
	}
	page, err = f.ListFunctions(t.Context(), &lambda.ListFunctionsInput{MaxItems: aws.Int32(1), Marker: page.NextMarker})
	if err != nil || len(page.Functions) != 1 || *page.Functions[0].FunctionName != "b" || page.NextMarker != nil {
		t.Fatalf("second page %+v, %v", page, err)
	}
	got, err := f.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("b")})
	if err != nil || got.Configuration.State != types.StateActive || *got.Configuration.Timeout != 30 || got.Configuration.Environment.Variables["WORD"] != "hello" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := f.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("b")}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("b")}); codeOf(err) != "ResourceNotFoundException" {
		t.Errorf("after the deletion: %v, want ResourceNotFoundException", err)
	}
	other := lambda.NewFromConfig(f.server.Config(labtest.Member, labtest.Region))
	if page, err := other.ListFunctions(t.Context(), &lambda.ListFunctionsInput{}); err != nil || len(page.Functions) != 0 {
		t.Errorf("another account sees %d functions, %v", len(page.Functions), err)
	}
}

func TestPermissionsMakeThePolicyOfAFunction(t *testing.T) {
	f := serve(t)
	arn := f.create(t, "asked")
	if _, err := f.GetPolicy(t.Context(), &lambda.GetPolicyInput{FunctionName: aws.String("asked")}); codeOf(err) != "ResourceNotFoundException" {
		t.Errorf("without permissions: %v, want ResourceNotFoundException", err)
	}
	add := &lambda.AddPermissionInput{
		FunctionName: aws.String("asked"), StatementId: aws.String("rule"), Action: aws.String("lambda:InvokeFunction"),
		Principal: aws.String("events.amazonaws.com"), SourceArn: aws.String("arn:aws:events:ap-northeast-1:111111111111:rule/x"),
	}
	if _, err := f.AddPermission(t.Context(), add); err != nil {
		t.Fatal(err)
	}
	if _, err := f.AddPermission(t.Context(), add); codeOf(err) != "ResourceConflictException" {
		t.Errorf("the same statement again: %v, want ResourceConflictException", err)
	}
	r, err := f.service.Resource(arn)
	if err != nil || r.Owner != labtest.Administrator || !strings.Contains(string(r.Policy), `"Service":"events.amazonaws.com"`) ||
		!strings.Contains(string(r.Policy), `"ArnLike":{"AWS:SourceArn"`) {
		t.Errorf("resource %s, %v", r.Policy, err)
	}
	if _, err := f.RemovePermission(t.Context(), &lambda.RemovePermissionInput{FunctionName: aws.String("asked"), StatementId: aws.String("rule")}); err != nil {
		t.Fatal(err)
	}
	if r, _ := f.service.Resource(arn); r.Policy != nil {
		t.Errorf("policy %s after its last statement was removed", r.Policy)
	}
}

// letters stands in for the service SQS where a dead-letter queue is.
type letters struct {
	mu     sync.Mutex
	bodies []string
}

func (l *letters) Resource(string) (cloud.Resource, error) {
	return cloud.Resource{Owner: labtest.Administrator}, nil
}

func (l *letters) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bodies = append(l.bodies, string(d.Body))
	return nil, nil
}

func TestAnEventThatFailsIsTriedThreeTimesAndThenADeadLetter(t *testing.T) {
	f := serve(t)
	dead := &letters{}
	f.cloud.Receivers.Register("sqs", dead)
	f.create(t, "failing", func(in *lambda.CreateFunctionInput) {
		in.DeadLetterConfig = &types.DeadLetterConfig{TargetArn: aws.String("arn:aws:sqs:ap-northeast-1:111111111111:dead")}
	})
	out, err := f.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("failing"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"Do":"fail"}`)})
	if err != nil || out.StatusCode != http.StatusAccepted {
		t.Fatalf("got %+v, %v; want status 202", out, err)
	}
	tried := func() int { return f.service.Inspect().([]lablambda.FunctionState)[0].Invocations }
	labtest.Settle(t, f.cloud)
	if tried() != 1 {
		t.Errorf("tried %d times at once, want 1", tried())
	}
	labtest.Advance(t, f.cloud, time.Minute)
	if tried() != 2 || len(dead.bodies) != 0 {
		t.Errorf("tried %d times after a minute with %d dead letters, want 2 with none", tried(), len(dead.bodies))
	}
	labtest.Advance(t, f.cloud, 2*time.Minute)
	if tried() != 3 || len(dead.bodies) != 1 || dead.bodies[0] != `{"Do":"fail"}` {
		t.Errorf("tried %d times, dead letters %q; want 3 times and the event", tried(), dead.bodies)
	}
}

func TestAHopIntoAFunctionGivesItsAnswer(t *testing.T) {
	f := serve(t)
	arn := f.create(t, "hop")
	d := &cloud.Delivery{From: "firehose.amazonaws.com", Action: "lambda:InvokeFunction", Target: arn, Body: []byte(`{"Do":"echo"}`)}
	answer, err := f.cloud.Deliver(t.Context(), d)
	if err != nil || !strings.Contains(string(answer), "hello") {
		t.Errorf("got %s, %v", answer, err)
	}
	d.Body = []byte(`{"Do":"fail"}`)
	if _, err := f.cloud.Deliver(t.Context(), d); err == nil || !strings.Contains(err.Error(), "does not like") {
		t.Errorf("got %v, want the function's error", err)
	}
	d.Target += "x"
	_, err = f.cloud.Deliver(t.Context(), d)
	if e, ok := errors.AsType[*cloud.DeliveryError](err); !ok || e.Code != cloud.CodeNoResource {
		t.Errorf("a function that is not there: %v, want %s", err, cloud.CodeNoResource)
	}
}
