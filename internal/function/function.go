// Package function starts the handler as a function of AWS Lambda.
//
// The function's spec is the text of the variable CATCHMENT_SPEC, else catchment.yaml beside its executable, else the
// defaults. CATCHMENT_BUCKET names the bucket in place of the spec's, CATCHMENT_STREAM the stream that Firehose's records
// are of.
package function

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/inspector"

	"example.org/catchment/internal/assembly"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/handler"
	"example.org/catchment/internal/store"
)

// Variables that a function may have.
const (
	VariableSpec   = "CATCHMENT_SPEC"
	VariableBucket = "CATCHMENT_BUCKET"
	VariableStream = "CATCHMENT_STREAM"
)

// What Lambda sets: where its Runtime API is, and the folder of the function's code.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
const (
	variableAPI  = "AWS_LAMBDA_RUNTIME_API"
	variableTask = "LAMBDA_TASK_ROOT"
)

// maxAttempts is how often a call that is throttled is tried: an invocation has time.
const maxAttempts = 8

// Invoked tells whether Lambda has started this process.
func Invoked() bool { return os.Getenv(variableAPI) != "" }

// Start handles invocations until Lambda ends the process. It returns only with the error that kept it from starting.
func Start(ctx context.Context) error {
	h, err := New(ctx, slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err != nil {
		return fmt.Errorf("set the function up: %w", err)
	}
	lambda.Start(invoked{h})
	return errors.New("Lambda's Runtime API has ended") //nolint:staticcheck // a name
}

// invoked is a handler.Handler as Lambda's library knows it.
type invoked struct{ *handler.Handler }

// Invoke is lambda.Handler.
func (i invoked) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	return i.Handle(ctx, event)
}

var _ lambda.Handler = invoked{}

// New makes the handler from the process's environment. Of what goes wrong with records it logs a line to log.
func New(ctx context.Context, log *slog.Logger) (*handler.Handler, error) {
	spec, err := readSpec()
	if err != nil {
		return nil, err
	}
	if to := os.Getenv(VariableBucket); to != "" {
		if spec.Bucket.URL = to; !isS3(to) { // a folder would be gone with the invocation
			return nil, fmt.Errorf("%s %q: expected s3://BUCKET", VariableBucket, to)
		}
	}
	p, err := assembly.Pipeline(spec)
	if err != nil {
		return nil, err
	}
	o := handler.Options{
		Pipeline: p, Stream: os.Getenv(VariableStream), Newline: spec.Managed == nil || spec.Managed.Newline == "lambda", Events: logTo(log),
	}
	if o.Stream != "" && !slices.ContainsFunc(spec.Streams, func(s config.Stream) bool { return s.Name == o.Stream }) {
		return nil, fmt.Errorf("%s %q: the spec has no such stream", VariableStream, o.Stream)
	}
	for _, s := range spec.Streams {
		kind, err := assembly.Compression(s)
		if err != nil {
			return nil, err
		}
		zone, err := assembly.Location(s)
		if err != nil {
			return nil, err
		}
		o.Streams = append(o.Streams, handler.Stream{Compression: kind, Level: s.Level, Location: zone})
	}
	if !isS3(spec.Bucket.URL) { // a transformation needs none
		return handler.New(o), nil
	}
	bucket, err := assembly.OpenBucket(ctx, spec.Bucket.URL, spec, assembly.Access{})
	if err != nil {
		return nil, err
	}
	o.Store = store.Retry(bucket, store.RetryPolicy{})
	cfg, err := assembly.Access{}.Config(ctx)
	if err != nil {
		return nil, err
	}
	o.Assessments = func(region string) handler.Assessments {
		return Assessments(cfg, region)
	}
	return handler.New(o), nil
}

func isS3(url string) bool { return strings.HasPrefix(url, "s3://") }

// Assessments is Inspector Classic in a region, over the SDK. Calls that are throttled are tried again.
func Assessments(cfg aws.Config, region string) handler.Assessments {
	return &assessments{inspector.NewFromConfig(cfg, func(o *inspector.Options) {
		o.Region = region
		o.Retryer = retry.NewStandard(func(so *retry.StandardOptions) {
			so.MaxAttempts, so.MaxBackoff = maxAttempts, 20*time.Second
		})
	})}
}

// readSpec finds the function's spec.
func readSpec() (*config.Spec, error) {
	o := config.Options{Lookup: os.LookupEnv}
	if text := os.Getenv(VariableSpec); text != "" {
		return config.Load(VariableSpec, []byte(text), o)
	}
	spec, err := config.ReadFile(filepath.Join(os.Getenv(variableTask), "catchment.yaml"), strings.NewReader(""), o)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	return spec, err
}
