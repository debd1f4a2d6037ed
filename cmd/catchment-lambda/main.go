// Command catchment-lambda is what AWS Lambda runs for catchment, as an executable named bootstrap.
//
// What is to be done shows in what invokes it: see internal/handler. Its spec is catchment.yaml beside it in the zip, else
// the text of the variable CATCHMENT_SPEC, else the defaults. CATCHMENT_BUCKET names the bucket in place of the spec's.
package main

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
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/inspector"

	"example.org/catchment/internal/assembly"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/handler"
	"example.org/catchment/internal/store"
)

// Variables that a function may have.
const (
	variableSpec   = "CATCHMENT_SPEC"
	variableBucket = "CATCHMENT_BUCKET"
)

// maxAttempts is how often a call that is throttled is tried: an invocation has time.
const maxAttempts = 8

func main() {
	h, err := assemble(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "catchment-lambda: error: %v\n", err)
		os.Exit(1)
	}
	lambda.StartHandler(h)
}

// An invoked is a lambda.Handler whose parts are made when they are needed first: a transformation needs no bucket.
type invoked struct{ *handler.Handler }

// Invoke is lambda.Handler.
func (i invoked) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	return i.Handle(ctx, event)
}

var _ lambda.Handler = invoked{}

func assemble(ctx context.Context) (invoked, error) {
	spec, err := readSpec()
	if err != nil {
		return invoked{}, err
	}
	if to := os.Getenv(variableBucket); to != "" {
		spec.Bucket.URL = to
	}
	p, err := assembly.Pipeline(spec)
	if err != nil {
		return invoked{}, err
	}
	o := handler.Options{Pipeline: p, Newline: spec.Managed == nil || spec.Managed.Newline == "lambda"}
	for _, s := range spec.Streams {
		kind, err := assembly.Compression(s)
		if err != nil {
			return invoked{}, err
		}
		zone, err := assembly.Location(s)
		if err != nil {
			return invoked{}, err
		}
		o.Streams = append(o.Streams, handler.Stream{Compression: kind, Level: s.Level, Location: zone})
	}
	if !strings.HasPrefix(spec.Bucket.URL, "s3://") { // a folder is gone with the invocation
		return invoked{handler.New(o)}, nil
	}
	bucket, err := assembly.OpenBucket(ctx, spec.Bucket.URL, spec, assembly.Access{})
	if err != nil {
		return invoked{}, err
	}
	o.Store = store.Retry(bucket, store.RetryPolicy{})
	cfg, err := assembly.Access{}.Config(ctx)
	if err != nil {
		return invoked{}, err
	}
	o.Assessments = func(region string) handler.Assessments {
		return &assessments{inspector.NewFromConfig(cfg, func(io *inspector.Options) {
			io.Region = region
			io.Retryer = retry.NewStandard(func(so *retry.StandardOptions) {
				so.MaxAttempts, so.MaxBackoff = maxAttempts, 20*time.Second
			})
		})}
	}
	return invoked{handler.New(o)}, nil
}

// readSpec finds the function's spec.
func readSpec() (*config.Spec, error) {
	o := config.Options{Lookup: os.LookupEnv}
	if text := os.Getenv(variableSpec); text != "" {
		return config.ReadFile("-", strings.NewReader(text), o)
	}
	spec, err := config.ReadFile(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), "catchment.yaml"), strings.NewReader(""), o)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	return spec, err
}
