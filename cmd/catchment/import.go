package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/assembly"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/importer"
	"example.org/catchment/internal/source/files"
	"example.org/catchment/internal/store"
)

type importOptions struct {
	spec        string
	to          string
	record      string
	compression string
	output      string
	quiet       bool
	aws         awsOptions
	paths       []string
}

func newImportCommand() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import [--to s3://BUCKET[/PREFIX] | --to FOLDER] PATH | - | s3://BUCKET/PREFIX …",
		Short: "Put the findings of files, pipes and buckets into the bucket",
		Long: `import reads events and findings wherever they lie and puts those that the spec's pattern matches into the
bucket, under the finding's account and region, one a line.

It reads EventBridge events, pages as the APIs answer, and bare findings: one a line, run together, pretty-printed, in
arrays; plain, gzip or zstd by content. What is broken is kept under the error prefix with the reason, and the next
document is read. Below a folder, names that start with a dot, links to folders, and the bucket itself are left out.

Importing the same again adds nothing: the objects' names follow from what they hold. A killed import is run again.

Exit status: 0 all is in the bucket; 1 the import did not end; 2 the command line or the spec is wrong; 3 all is in the
bucket, but some documents were rejected or some input could not be read to its end; 130 interrupted.`,
		Example: `  catchment import --to ./bucket findings.json events/
  aws securityhub get-findings | catchment import --to ./bucket -
  catchment import --to s3://aws-logs-inspector-111111111111 s3://old-bucket/firehose/2026/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.paths = args
			return runImport(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.spec, "config", "c", "", "the spec; without it catchment.yaml if there is one, else the defaults")
	f.StringVar(&o.to, "to", "", "the bucket, instead of the spec's: s3://BUCKET[/PREFIX] or a folder")
	f.StringVar(&o.record, "record", "", "what a line is, instead of the spec's: finding or event")
	f.StringVar(&o.compression, "compression", "", "of objects, instead of the spec's: gzip, zstd or none")
	f.StringVarP(&o.output, "output", "o", "table", "how to print the account at the end: table or json")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress bar")
	f.StringVar(&o.aws.profile, "profile", "", "profile of the AWS configuration")
	f.StringVar(&o.aws.region, "region", "", "region of the bucket")
	return cmd
}

// choose checks the flags that stand in for the spec.
func (o *importOptions) choose(spec *config.Spec) error {
	if o.output != "table" && o.output != "json" {
		return usageError(fmt.Errorf("--output %q: expected table or json", o.output))
	}
	if o.record != "" && o.record != config.RecordFinding && o.record != config.RecordEvent {
		return usageError(fmt.Errorf("--record %q: expected finding or event", o.record))
	}
	switch o.compression {
	case "", config.CompressionGzip, config.CompressionZstd, config.CompressionNone:
	default:
		return usageError(fmt.Errorf("--compression %q: expected gzip, zstd or none", o.compression))
	}
	if o.to == "" {
		o.to = spec.Bucket.URL
	}
	for i := range spec.Streams {
		s := &spec.Streams[i]
		if o.record != "" {
			s.Record = o.record
		}
		if o.compression != "" && o.compression != s.Compression {
			s.Compression, s.Level = o.compression, 0
		}
	}
	return nil
}

func runImport(ctx context.Context, o importOptions, in io.Reader, out, errOut io.Writer) error {
	spec, err := loadSpec(o.spec, in)
	if err != nil {
		return err
	}
	if err := o.choose(spec); err != nil {
		return err
	}
	settings, err := importSettings(spec)
	if err != nil {
		return err
	}
	inputs, total, err := findInputs(ctx, o, spec, in)
	if err != nil {
		return err
	}
	to, err := openBucket(ctx, o.to, spec, o.aws)
	if err != nil {
		return err
	}
	defer to.Close() //nolint:errcheck // every object was synced by its Put
	show := newProgress(errOut, o.quiet, total)
	settings.Store = store.Retry(to, store.RetryPolicy{GiveUp: 10 * time.Minute, Events: store.Events{
		Delayed: func(err error, _ int, in time.Duration) {
			show.say("catchment: the bucket does not take objects, trying again in %v: %v", in.Round(100*time.Millisecond), err)
		},
		Recovered: func(after time.Duration) {
			show.say("catchment: the bucket takes objects again, after %v", after.Round(time.Second))
		},
	}})
	settings.Existing = to
	settings.Group, _ = to.Store.(store.Grouper)
	settings.Progress = show.update
	// Nearly all memory is lines and compressed segments that live until their object is put: collecting is cheap, and
	// leaving as much garbage as there is data would double the peak.
	defer debug.SetGCPercent(debug.SetGCPercent(30))
	counts, err := importer.Run(ctx, inputs, settings)
	show.done()
	return reportImport(counts, err, o.output, to.Name, out, errOut)
}

// importSettings turns the spec into the importer's options.
func importSettings(spec *config.Spec) (importer.Options, error) {
	var o importer.Options
	var err error
	if o.Pipeline, err = compilePipeline(spec); err != nil {
		return o, err
	}
	zones := make([]*time.Location, len(spec.Streams))
	for i, s := range spec.Streams {
		kind, err := assembly.Compression(s)
		if err != nil {
			return o, usageError(err)
		}
		o.Outputs = append(o.Outputs, importer.Output{Compression: kind, Level: s.Level, MaxBytes: s.Buffering.Size})
		if zones[i], err = time.LoadLocation(s.TimeZone); err != nil {
			return o, usageError(fmt.Errorf("time zone: %w", err))
		}
	}
	o.Location = func(stream int) *time.Location { return zones[stream] }
	if o.Window = spec.Duplicates.Count; o.Window == 0 {
		o.Window = -1 // the spec wants none
	}
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // it never fails
	o.Seed = binary.LittleEndian.Uint64(seed[:])
	return o, nil
}

// findInputs finds what the arguments name, in their order; total is the sum of the sizes, -1 where one is not known.
func findInputs(ctx context.Context, o importOptions, spec *config.Spec, in io.Reader) (found []importer.Input, total int64, err error) {
	to, err := config.ParseLocation(o.to)
	if err != nil {
		return nil, 0, usageError(fmt.Errorf("bucket %q: %w", o.to, err))
	}
	for _, path := range o.paths {
		var some []*files.Input
		switch {
		case path == "-":
			some = []*files.Input{files.Stdin(in)}
		case strings.HasPrefix(path, "s3://"):
			at, err := config.ParseLocation(path)
			if err != nil {
				return nil, 0, usageError(fmt.Errorf("input %q: %w", path, err))
			}
			key := at.Prefix
			if base, _, _ := strings.Cut(path, "?"); !strings.HasSuffix(base, "/") {
				key = strings.TrimSuffix(key, "/") // an object's name, or the start of some
			}
			at.Prefix = ""
			from, err := openBucket(ctx, at.String(), spec, o.aws)
			if err != nil {
				return nil, 0, err
			}
			url := "s3://" + at.Bucket + "/"
			if some, err = files.Objects(ctx, from, url, key); err != nil {
				return nil, 0, err
			}
			if to.Bucket == at.Bucket && to.Endpoint == at.Endpoint && strings.HasPrefix(to.Prefix, key) {
				// As below a folder: an import does not read what it writes.
				some = slices.DeleteFunc(some, func(i *files.Input) bool { return strings.HasPrefix(i.Name(), url+to.Prefix) })
			}
		default:
			if some, err = files.Find(path, to.Folder); err != nil {
				return nil, 0, err
			}
		}
		if len(some) == 0 {
			return nil, 0, fmt.Errorf("input %s: nothing there", path)
		}
		for _, input := range some {
			if total >= 0 && input.Size() >= 0 {
				total += input.Size()
			} else {
				total = -1
			}
			found = append(found, input)
		}
	}
	return found, total, nil
}

// reportImport prints the account and decides the exit status.
func reportImport(c importer.Counts, err error, output, bucket string, out, errOut io.Writer) error {
	var unreadable *importer.UnreadableError
	ended := err == nil || errors.As(err, &unreadable)
	if ended && c.Received != c.Stored+c.Kept+c.Filtered+c.Duplicate {
		return fmt.Errorf("the account does not balance: received %d, stored %d, rejected %d, filtered %d, duplicate %d: please report this",
			c.Received, c.Stored, c.Kept, c.Filtered, c.Duplicate)
	}
	if printErr := printCounts(c, output, bucket, ended, out); printErr != nil {
		return printErr
	}
	switch {
	case !ended:
		return withHint(err, "run the same import again: it adds what is missing and nothing twice")
	case err != nil:
		fmt.Fprintf(errOut, "catchment: error: %v\n", err)
		return &statusError{Status: exitIncomplete}
	case c.RejectedTotal() > 0:
		return &statusError{Status: exitIncomplete}
	}
	return nil
}
