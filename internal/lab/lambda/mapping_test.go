package lambda_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	lablambda "example.org/catchment/internal/lab/lambda"
	labsqs "example.org/catchment/internal/lab/sqs"
)

const worklist = "arn:aws:sqs:" + labtest.Region + ":" + labtest.Administrator + ":worklist"

// queued is Lambda beside SQS with a queue.
func queued(t *testing.T) (*fixture, *sqs.Client, *string) {
	t.Helper()
	f := serve(t)
	f.server = labtest.Serve(t, f.cloud, f.service.Wire(), labsqs.New(f.cloud).Wire())
	f.cloud.SetURL(f.server.URL)
	config := f.server.Config(labtest.Administrator, labtest.Region)
	f.Client = lambda.NewFromConfig(config)
	client := sqs.NewFromConfig(config)
	out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("worklist")})
	if err != nil {
		t.Fatal(err)
	}
	return f, client, out.QueueUrl
}

// refusal is the code of an error; empty: there is none.
func refusal(err error) string {
	if err == nil {
		return ""
	}
	return codeOf(err)
}

func TestAMappingHandsBatchesToTheFunctionAndDeletesWhatItHandled(t *testing.T) {
	for name, test := range map[string]struct {
		answers []types.FunctionResponseType
		left    string // in the queue, of good, bad and fine
	}{
		"item by item": {[]types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures}, "bad"},
		"a batch at once, and nothing of failing": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, queues, url := queued(t)
			f.create(t, "worker")
			made, err := f.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
				FunctionName: aws.String("worker"), EventSourceArn: aws.String(worklist), FunctionResponseTypes: test.answers,
			})
			if err != nil || *made.BatchSize != 10 || *made.State != "Enabled" {
				t.Fatalf("got %+v, %v", made, err)
			}
			for _, body := range []string{"good", "bad", "fine"} {
				if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body}); err != nil {
					t.Fatal(err)
				}
			}
			labtest.Advance(t, f.cloud, 25*time.Second)
			off, err := f.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: made.UUID, Enabled: aws.Bool(false)})
			if err != nil || *off.State != "Disabled" {
				t.Fatalf("got %+v, %v", off, err)
			}
			labtest.Advance(t, f.cloud, time.Minute) // what was not deleted is seen again
			out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, m := range out.Messages {
				left = append(left, *m.Body)
			}
			if got := strings.Join(left, " "); got != test.left {
				t.Errorf("left are %q, want %q", got, test.left)
			}
			if n := f.service.Inspect().([]lablambda.FunctionState)[0].Invocations; n != 1 {
				t.Errorf("called %d times, want once for all", n)
			}
			if _, err := f.DeleteEventSourceMapping(t.Context(), &lambda.DeleteEventSourceMappingInput{UUID: made.UUID}); err != nil {
				t.Fatal(err)
			}
			_, err = f.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: made.UUID})
			if codeOf(err) != "ResourceNotFoundException" {
				t.Errorf("a mapping that was deleted: %v", err)
			}
		})
	}
}

func TestABatchThatTheFunctionFailsComesAgain(t *testing.T) {
	f, queues, url := queued(t)
	f.create(t, "worker", func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(1) })
	if _, err := f.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("worker"), EventSourceArn: aws.String(worklist),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDown, Service: "sqs", Action: "DeleteMessage", Times: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("good")}); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, f.cloud, 2*time.Minute)
	if n := f.service.Inspect().([]lablambda.FunctionState)[0].Invocations; n != 2 {
		t.Errorf("called %d times, want again when the message was seen again", n)
	}
}

// empty gives a function a program that is none: it is not called.
func empty(t *testing.T) func(*lambda.CreateFunctionInput) {
	t.Helper()
	code, err := zipOf(map[string][]byte{"bootstrap": nil})
	if err != nil {
		t.Fatal(err)
	}
	return func(in *lambda.CreateFunctionInput) { in.Code.ZipFile = code }
}

func TestMappingsThatAreRefused(t *testing.T) {
	f, _, _ := queued(t)
	f.create(t, "worker", empty(t))
	create := func(change func(*lambda.CreateEventSourceMappingInput)) error {
		in := &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("worker"), EventSourceArn: aws.String(worklist)}
		change(in)
		_, err := f.CreateEventSourceMapping(t.Context(), in)
		return err
	}
	for name, test := range map[string]struct {
		change func(*lambda.CreateEventSourceMappingInput)
		want   string
	}{
		"a batch of 10,001":              {func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = aws.Int32(10_001) }, "InvalidParameterValueException"},
		"a batch of 11 without a window": {func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = aws.Int32(11) }, "InvalidParameterValueException"},
		"a window of 301 s":              {func(in *lambda.CreateEventSourceMappingInput) { in.MaximumBatchingWindowInSeconds = aws.Int32(301) }, "InvalidParameterValueException"},
		"an answer of another kind": {func(in *lambda.CreateEventSourceMappingInput) {
			in.FunctionResponseTypes = []types.FunctionResponseType{"All"}
		}, "InvalidParameterValueException"},
		"a stream of Kinesis": {func(in *lambda.CreateEventSourceMappingInput) {
			in.EventSourceArn = aws.String(strings.Replace(worklist, "sqs", "kinesis", 1))
		}, "InvalidParameterValueException"},
		"a queue that is not there":       {func(in *lambda.CreateEventSourceMappingInput) { in.EventSourceArn = aws.String(worklist + "x") }, "InvalidParameterValueException"},
		"a function that is not there":    {func(in *lambda.CreateEventSourceMappingInput) { in.FunctionName = aws.String("none") }, "ResourceNotFoundException"},
		"nothing is wrong with the first": {func(*lambda.CreateEventSourceMappingInput) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if err := create(test.change); refusal(err) != test.want {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if err := create(func(*lambda.CreateEventSourceMappingInput) {}); codeOf(err) != "ResourceConflictException" {
		t.Errorf("a second of the same: %v", err)
	}
	out, err := f.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{EventSourceArn: aws.String(worklist)})
	if err != nil || len(out.EventSourceMappings) != 1 {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestPayloadsHaveLimits(t *testing.T) {
	f := serve(t)
	f.create(t, "worker", empty(t))
	for name, test := range map[string]struct {
		size int
		kind types.InvocationType
		want string
	}{
		"more than 6 MiB":                       {6<<20 + 1, types.InvocationTypeRequestResponse, "RequestTooLargeException"},
		"1 MiB that nobody waits for":           {1 << 20, types.InvocationTypeEvent, ""},
		"more than 1 MiB that nobody waits for": {1<<20 + 1, types.InvocationTypeEvent, "RequestTooLargeException"},
	} {
		t.Run(name, func(t *testing.T) {
			payload := slices.Concat([]byte(`{"x":"`), slices.Repeat([]byte("x"), test.size-8), []byte(`"}`))
			_, err := f.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("worker"), InvocationType: test.kind, Payload: payload})
			if refusal(err) != test.want {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	_, err := f.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("large"), Role: aws.String(role), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &types.FunctionCode{ZipFile: []byte("x")}, MemorySize: aws.Int32(10_241),
	})
	if codeOf(err) != "ValidationException" || !strings.Contains(err.Error(), strconv.Itoa(10_240)) {
		t.Errorf("10,241 MB of memory: %v", err)
	}
}

// unpassed lets no role be passed on to Lambda.
type unpassed struct{}

func (unpassed) Authorize(a cloud.Access) error {
	if a.Action == "iam:PassRole" && a.Context["iam:PassedToService"] == "lambda.amazonaws.com" {
		return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource}
	}
	return nil
}

func (unpassed) Assume(who cloud.Identity, _, _ string, _ map[string]string) (cloud.Identity, error) {
	return who, nil
}

func TestTheRoleOfAFunctionHasToBePassed(t *testing.T) {
	f := serve(t)
	f.cloud.Access = unpassed{}
	code, err := zipOf(map[string][]byte{"bootstrap": nil})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("worker"), Role: aws.String(role), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Code: &types.FunctionCode{ZipFile: code},
	})
	if codeOf(err) != "AccessDeniedException" || !strings.Contains(err.Error(), "iam:PassRole on resource: "+role) {
		t.Errorf("got %v", err)
	}
}
