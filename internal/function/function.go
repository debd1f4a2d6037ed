// Package function starts the handler as a function of AWS Lambda.
//
// The function's spec is catchment.yaml beside its executable, else the text of the variable CATCHMENT_SPEC, else the
// defaults. CATCHMENT_BUCKET names the bucket in place of the spec's.
package function

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
)

// variableAPI is set where Lambda has started the process.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
const variableAPI = "AWS_LAMBDA_RUNTIME_API"

// maxAttempts is how often a call that is throttled is tried: an invocation has time.
const maxAttempts = 8

// Invoked tells whether Lambda has started this process.
func Invoked() bool { return os.Getenv(variableAPI) != "" }

// Start handles invocations until Lambda ends the process. It returns only with the error that kept it from starting.
func Start(ctx context.Context) error {
	h, err := New(ctx)
	if err != nil {
		return fmt.Errorf("set the function up: %w", err)
	}
	lambda.StartHandler(invoked{h})
	return errors.New("Lambda's Runtime API has ended") //nolint:staticcheck // a name
}

// invoked is a handler.Handler as Lambda's library knows it.
type invoked struct{ *handler.Handler }

// Invoke is lambda.Handler.
func (i invoked) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	return i.Handle(ctx, event)
}

var _ lambda.Handler = invoked{}

// New makes the handler from the process's environment.
func New(ctx context.Context) (*handler.Handler, error) {
	spec, err := readSpec()
	if err != nil {
		return nil, err
	}
	if to := os.Getenv(VariableBucket); to != "" {
		spec.Bucket.URL = to
	}
	p, err := assembly.Pipeline(spec)
	if err != nil {
		return nil, err
	}
	o := handler.Options{Pipeline: p, Newline: spec.Managed == nil || spec.Managed.Newline == "lambda"}
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
	if !strings.HasPrefix(spec.Bucket.URL, "s3://") { // a folder would be gone with the invocation
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
		return config.ReadFile("-", strings.NewReader(text), o)
	}
	spec, err := config.ReadFile(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), "catchment.yaml"), strings.NewReader(""), o)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	return spec, err
}
