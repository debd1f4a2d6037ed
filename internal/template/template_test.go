package template_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/template"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// stream is the default stream of a spec.
func stream() template.Stream {
	return template.Stream{
		Name: "inspector", PartitionKeys: map[string]string{"account": ".AwsAccountId", "region": ".Region"},
		Pattern: []byte(`{"source":["aws.securityhub"],"detail-type":["Security Hub Findings - Imported"],` +
			`"detail":{"findings":{"ProductFields":{"aws/securityhub/ProductName":["Inspector"]}}}}`),
		Prefix:      "AWSLogs/!{partitionKeyFromQuery:account}/Inspector/!{partitionKeyFromQuery:region}/!{timestamp:yyyy/MM/dd/HH}/",
		ErrorPrefix: "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/", TimeZone: "UTC",
		Size: 64 << 20, Interval: 5 * time.Minute, Gzip: true,
	}
}

func options(change ...func(*template.Options)) template.Options {
	o := template.Options{Streams: []template.Stream{stream()}, Regions: []string{"ap-northeast-1", "us-east-1"}}
	for _, c := range change {
		c(&o)
	}
	return o
}

func TestTemplatesAreAsTheyWere(t *testing.T) {
	lambda := func(o *template.Options) { o.Newline = template.NewlineLambda }
	each := func(o *template.Options) {
		o.Partitioning, o.Accounts = template.StreamPerAccount, []string{"111111111111", "222222222222"}
	}
	for name, tt := range map[string]struct {
		write  func(template.Options) ([]byte, error)
		change []func(*template.Options)
	}{
		"bucket":                    {template.Bucket, nil},
		"member":                    {template.Member, nil},
		"region":                    {template.Region, nil},
		"region-lambda":             {template.Region, []func(*template.Options){lambda}},
		"region-per-account":        {template.Region, []func(*template.Options){each}},
		"region-per-account-lambda": {template.Region, []func(*template.Options){each, lambda}},
		"region-collector":          {template.Region, []func(*template.Options){func(o *template.Options) { o.Mode = template.ModeCollector }}},
		"region-events":             {template.Region, []func(*template.Options){func(o *template.Options) { o.Streams[0].Event = true }}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.write(options(tt.change...))
			if err != nil {
				t.Fatal(err)
			}
			again, err := tt.write(options(tt.change...))
			if err != nil || string(again) != string(got) {
				t.Errorf("the same options gave other bytes, or %v", err)
			}
			golden := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s differs (-update rewrites it):\n%s", golden, diff)
			}
			if strings.Contains(string(got), "arn:aws:") {
				t.Error("an ARN is typed")
			}
			var parsed map[string]any
			if err := yaml.Unmarshal(got, &parsed); err != nil {
				t.Errorf("no YAML: %v", err)
			}
			if len(got) > 51_200 {
				t.Errorf("%d bytes: CloudFormation takes 51,200 inline", len(got))
			}
		})
	}
}

func TestWhatCannotBeMadeIsToldAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*template.Options)
		want   []string
	}{
		"nothing": {func(o *template.Options) { o.Streams = nil }, []string{"streams: expected at least one"}},
		"all at once": {
			func(o *template.Options) {
				o.Partitioning, o.Newline, o.Mode = "some", "crlf", ""
				o.Streams[0].Size, o.Streams[0].Interval = 1<<30, time.Hour
			},
			[]string{`partitioning "some"`, `newline "crlf"`, "at most 128 MiB", "0 s to 15 min"},
		},
		"a stream of each account that nobody named": {
			func(o *template.Options) { o.Partitioning = template.StreamPerAccount }, []string{"the accounts have to be named"},
		},
		"a stream of each account with another key": {
			func(o *template.Options) {
				o.Partitioning, o.Accounts = template.StreamPerAccount, []string{"111111111111"}
				o.Streams[0].PartitionKeys = map[string]string{"severity": ".Severity.Label"}
			},
			[]string{"partition key severity", "use partitioning dynamic"},
		},
		"more accounts than a stack holds": {
			func(o *template.Options) {
				o.Partitioning, o.Accounts = template.StreamPerAccount, make([]string, 200)
				for i := range o.Accounts {
					o.Accounts[i] = strings.Repeat("1", 9) + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10))
				}
			},
			[]string{"CloudFormation takes 500"},
		},
		"a name that is none": {func(o *template.Options) { o.Streams[0].Name = "a b" }, []string{`stream "a b"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template.Region(options(tt.change))
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}
