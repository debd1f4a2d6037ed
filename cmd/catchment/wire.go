package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"example.org/catchment/internal/assembly"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/pipeline"
)

// defaultSpecFile is read where no other is named, if it is there.
const defaultSpecFile = "catchment.yaml"

// An awsOptions holds the flags that every command which talks to AWS has.
type awsOptions struct {
	profile string
	region  string
}

// loadSpec reads the spec: the named file, else catchment.yaml if there is one, else the defaults.
func loadSpec(name string, stdin io.Reader) (*config.Spec, error) {
	named := name != ""
	if !named {
		name = defaultSpecFile
	}
	spec, err := config.ReadFile(name, stdin, config.Options{Lookup: os.LookupEnv, Checks: specChecks()})
	switch {
	case err == nil:
		return spec, nil
	case !named && errors.Is(err, fs.ErrNotExist):
		return config.Default(), nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, usageError(withHint(err, `"catchment init" writes a spec to start from`))
	}
	return nil, usageError(err)
}

// compilePipeline compiles the spec's streams.
func compilePipeline(spec *config.Spec) (*pipeline.Pipeline, error) {
	p, err := assembly.Pipeline(spec)
	return p, inputError(err)
}

// openBucket opens a location with the spec's settings for buckets.
func openBucket(ctx context.Context, url string, spec *config.Spec, o awsOptions) (*assembly.Bucket, error) {
	b, err := assembly.OpenBucket(ctx, url, spec, assembly.Access{Profile: o.profile, Region: o.region})
	return b, inputError(err)
}

// inputError makes what a person wrote wrong an error of usage.
func inputError(err error) error {
	if input, ok := errors.AsType[*assembly.InputError](err); ok {
		return usageError(input)
	}
	return err
}
