package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/config"
	"example.org/catchment/internal/template"
)

type templateOptions struct {
	spec string
	mode string
	to   string
}

// templates are the parts, in the order in which they are deployed.
var templates = []struct {
	name  string
	write func(template.Options) ([]byte, error)
}{
	{"bucket", template.Bucket},
	{"region", template.Region},
	{"member", template.Member},
}

func newTemplateCommand() *cobra.Command {
	var o templateOptions
	cmd := &cobra.Command{
		Use:   "template bucket|region|member|all",
		Short: "Write the CloudFormation that lets AWS move the findings",
		Long: `template prints the CloudFormation of the spec's pipeline, to read, to keep, or to deploy with "aws cloudformation deploy":

  bucket  the bucket with its policy and key, and its Glue table and Athena workgroup; once, in the bucket's account and region
  region  rule, Firehose, roles, dead letters and alarms; in Security Hub's administrator account, in each region
          (with --mode collector: rule, queue and their policies, for "catchment run --queue")
  member  Security Hub on, with Inspector's findings; in every account, in each region
  all     the three of them as files, with --to

The same spec gives the same bytes.

Exit status: 0 done; 1 a file could not be written; 2 the command line or the spec is wrong.`,
		Example: `  catchment template region >region.yaml
  catchment template all --to ./cloudformation -c catchment.yaml
  aws cloudformation deploy --stack-name catchment --template-file region.yaml --capabilities CAPABILITY_NAMED_IAM \
    --parameter-overrides BucketName=aws-logs-inspector-111111111111`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"bucket", "region", "member", "all"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTemplate(cmd.Context(), o, args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.spec, "config", "c", "", "the spec; without it catchment.yaml if there is one, else the defaults")
	f.StringVar(&o.mode, "mode", template.ModeFirehose, "firehose, or collector for a queue")
	f.StringVar(&o.to, "to", "", "folder to write the files to, for all")
	return cmd
}

func runTemplate(_ context.Context, o templateOptions, which string, in io.Reader, out io.Writer) error {
	spec, err := loadSpec(o.spec, in)
	if err != nil {
		return err
	}
	options := templateSettings(spec)
	options.Mode = o.mode
	if which == "all" && o.to == "" {
		return usageError(withHint(errors.New("all: where to?"), "give --to FOLDER, or name one of bucket, region and member"))
	}
	found := false
	for _, t := range templates {
		if which != "all" && which != t.name {
			continue
		}
		found = true
		text, err := t.write(options)
		if err != nil {
			return usageError(fmt.Errorf("template %s: %w", t.name, err))
		}
		if which != "all" {
			_, err := out.Write(text)
			return err
		}
		if err := os.MkdirAll(o.to, 0o755); err != nil { //nolint:gosec // templates are for everybody to read
			return err
		}
		name := filepath.Join(o.to, t.name+".yaml")
		if err := os.WriteFile(name, text, 0o644); err != nil { //nolint:gosec // see above
			return err
		}
		fmt.Fprintln(out, name)
	}
	if !found {
		return usageError(fmt.Errorf("template %q: expected bucket, region, member or all", which))
	}
	return nil
}

// templateSettings are what a spec says of templates.
func templateSettings(spec *config.Spec) template.Options {
	var out template.Options
	for _, s := range spec.Streams {
		out.Streams = append(out.Streams, template.Stream{
			Name: s.Name, Pattern: s.Pattern, Event: s.Record == config.RecordEvent, PartitionKeys: usedKeys(s), Prefix: s.Prefix,
			ErrorPrefix: s.ErrorPrefix, TimeZone: s.TimeZone, Size: s.Buffering.Size, Interval: s.Buffering.Interval,
			Gzip: s.Compression == config.CompressionGzip,
		})
	}
	if spec.Organization != nil {
		out.Accounts, out.Regions = spec.Organization.Accounts, spec.Organization.Regions
	}
	if spec.Managed != nil {
		out.Partitioning, out.Newline = spec.Managed.Partitioning, spec.Managed.Newline
	}
	return out
}

// usedKeys are the partition keys that the prefix uses: Firehose refuses any other.
func usedKeys(s config.Stream) map[string]string {
	out := make(map[string]string)
	for name, query := range s.PartitionKeys {
		if strings.Contains(s.Prefix, "!{partitionKeyFromQuery:"+name+"}") {
			out[name] = query
		}
	}
	return out
}
