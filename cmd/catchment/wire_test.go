package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/config"
	"example.org/catchment/internal/pipeline"
)

// The spec's defaults and the pipeline's are written twice, because neither may know the other.
func TestTheDefaultSpecIsTheDefaultStream(t *testing.T) {
	p, err := compilePipeline(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	want := pipeline.DefaultStream()
	want.TimeZone = "UTC"
	if diff := cmp.Diff([]pipeline.Stream{want}, p.Streams()); diff != "" {
		t.Error(diff)
	}
}
