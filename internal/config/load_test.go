package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// minimal is the shortest spec.
const minimal = "bucket: {url: ./b}\n"

// withStream returns a spec with one stream, whose other fields are lines of four spaces.
func withStream(lines string) string {
	return minimal + "streams:\n  - name: s\n    pattern: {source: [x]}\n    prefix: p/\n" + lines
}

var environment = map[string]string{
	"BUCKET": "s3://from-environment", "COUNT": "7", "YAML": "{a: b}\n- c", "EMPTY": "", "ACCOUNT": "012345678901",
}

func lookup(name string) (string, bool) {
	text, ok := environment[name]
	return text, ok
}

func TestTemplateIsTheDefaults(t *testing.T) {
	got, err := Load("template.yaml", Template(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Errorf("template differs from the defaults (-default +template):\n%s", diff)
	}
}

// TestTemplateShowsEverything keeps the template whole: with what is commented out, it holds every field of the table.
func TestTemplateShowsEverything(t *testing.T) {
	whole := regexp.MustCompile(`(?m)^( *)# ((?:- )?[a-z_]+: .*|organization:|managed:|  [a-z]+: .*)$`).ReplaceAllString(string(Template()), "$1$2")
	for from, to := range map[string]string{"sse: none #": "sse: aws:kms #", "url: bucket": "url: s3://bucket"} {
		whole = strings.Replace(whole, from, to, 1)
	}
	root, r := parse("whole", []byte(whole), nil)
	if len(r.faults) > 0 {
		t.Fatal(Errors(r.faults))
	}
	if _, err := Load("whole", []byte(whole), Options{}); err != nil {
		t.Fatal(err)
	}
	var missing func(n node, v *value, path string)
	missing = func(n node, v *value, path string) {
		switch n := n.(type) {
		case object:
			for _, f := range n.fields {
				m := v.child(f.name, -1)
				if m == nil && !n.one { // one of several is there
					t.Errorf("%s is not in the template", Field(path, f.name))
				} else if m != nil {
					missing(f.node(), m, Field(path, f.name))
				}
			}
		case list:
			for i, item := range v.items {
				missing(n.item(), item, Item(path, i))
			}
		}
	}
	missing(specNode(Default()), root, "")
}

// The sketch in the design.
const sketch = `
bucket: {url: "s3://aws-logs-inspector-111111111111?region=ap-northeast-1"}   # or file:///var/lib/catchment/bucket

streams:
  - name: inspector
    pattern:                       # EventBridge's own pattern language; this one is the default
      source: [aws.securityhub]
      detail-type: ["Security Hub Findings - Imported"]
      detail: {findings: {ProductFields: {"aws/securityhub/ProductName": [Inspector]}}}
    record: finding                # or event
    partition_keys: {account: .AwsAccountId, region: .Region}     # jq, as Firehose has it
    prefix: "AWSLogs/!{partitionKeyFromQuery:account}/Inspector/!{partitionKeyFromQuery:region}/!{timestamp:yyyy/MM/dd/HH}/"
    error_prefix: "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/"
    buffering: {size: 64MiB, interval: 5m}
    compression: gzip

sources:
  - http: {listen: "127.0.0.1:8480", keys_file: /etc/catchment/keys}
  - sqs: {queue_url: "https://sqs.ap-northeast-1.amazonaws.com/111111111111/catchment"}

organization:
  administrator: "111111111111"    # Security Hub administrator
  accounts: all                    # from Organizations, or a list
  regions: [ap-northeast-1, us-east-1]
  role: OrganizationAccountAccessRole

managed:
  partitioning: dynamic            # or stream-per-account (the accounts' own Firehose each)
  newline: native                  # or lambda
  topology: per-region             # or aggregated (finding aggregator: one home region)
`

func TestSketchOfTheDesign(t *testing.T) {
	got, err := Load("catchment.yaml", []byte(sketch), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Bucket.URL = "s3://aws-logs-inspector-111111111111?region=ap-northeast-1"
	want.Sources[0].HTTP.KeysFile = "/etc/catchment/keys"
	want.Sources = append(want.Sources, Source{SQS: &SQSSource{
		QueueURL: "https://sqs.ap-northeast-1.amazonaws.com/111111111111/catchment", Ack: AckJournal,
	}})
	want.Organization = &Organization{
		Administrator: "111111111111", Regions: []string{"ap-northeast-1", "us-east-1"}, Role: "OrganizationAccountAccessRole",
	}
	want.Managed = &Managed{Partitioning: "dynamic", Newline: "native", Topology: "per-region"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatASpecMeans(t *testing.T) {
	for name, tt := range map[string]struct {
		spec string
		get  func(*Spec) any
		want any
	}{
		"the shortest spec has the default stream": {
			minimal, func(s *Spec) any { return s.Streams }, Default().Streams,
		},
		"an empty list of sources stays empty": {
			minimal + "sources: []\n", func(s *Spec) any { return len(s.Sources) }, 0,
		},
		"a variable is the whole value": {
			`bucket: {url: "${BUCKET}"}`, func(s *Spec) any { return s.Bucket.URL }, "s3://from-environment",
		},
		"a variable without quotes, in block style": {
			"bucket:\n  url: ${BUCKET}\n", func(s *Spec) any { return s.Bucket.URL }, "s3://from-environment",
		},
		"a variable is never read as YAML": {
			withStream("") + "    error_prefix: ${YAML}x\n", nil, nil,
		},
		"a variable may be a number where one is expected": {
			minimal + "duplicates: {count: \"${COUNT}\"}\n", func(s *Spec) any { return s.Duplicates.Count }, 7,
		},
		"a variable in a pattern stays a text, also when it is digits": {
			minimal + "streams: [{name: s, pattern: {account: [\"${ACCOUNT}\"]}, prefix: p/}]\n",
			func(s *Spec) any { return string(s.Streams[0].Pattern) }, `{"account":["012345678901"]}`,
		},
		"a pattern keeps numbers as written, order and nesting": {
			minimal + "streams: [{name: s, prefix: p/, pattern: {b: [{numeric: [\">\", 5.0e3, \"<=\", 10]}], a: [null, true, \"no\", \"<&>\"]}}]\n",
			func(s *Spec) any { return string(s.Streams[0].Pattern) },
			`{"b":[{"numeric":[">",5.0e3,"<=",10]}],"a":[null,true,"no","<&>"]}`,
		},
		"what looks like a variable of another language is data in a pattern": {
			minimal + "streams: [{name: s, prefix: p/, pattern: {a: [{wildcard: \"*${jndi:*\"}]}}]\n",
			func(s *Spec) any { return string(s.Streams[0].Pattern) }, `{"a":[{"wildcard":"*${jndi:*"}]}`,
		},
		"a pattern that is pasted as JSON": {
			minimal + "streams:\n  - name: s\n    prefix: p/\n    pattern: {\"source\": [\"aws.inspector2\"],\n      \"detail-type\": [\"Inspector2 Finding\"]}\n",
			func(s *Spec) any { return string(s.Streams[0].Pattern) },
			`{"source":["aws.inspector2"],"detail-type":["Inspector2 Finding"]}`,
		},
		"without partition keys, those of the defaults that the prefix uses": {
			minimal + "streams: [{name: s, pattern: {source: [x]}, prefix: \"!{partitionKeyFromQuery:region}/\"}]\n",
			func(s *Spec) any { return s.Streams[0].PartitionKeys },
			map[string]string{"region": ".Region"},
		},
		"a prefix without keys needs none": {
			withStream(""), func(s *Spec) any { return len(s.Streams[0].PartitionKeys) }, 0,
		},
		"partition keys as Firehose has them": {
			minimal + `streams:
  - name: s
    pattern: {source: [x]}
    prefix: "!{partitionKeyFromQuery:accountId}/!{partitionKeyFromQuery:region}/"
    partition_keys: '{accountId:.detail.findings[0].AwsAccountId,region:(.detail.findings[0].Region // .region)}'
`,
			func(s *Spec) any { return s.Streams[0].PartitionKeys },
			map[string]string{"accountId": ".detail.findings[0].AwsAccountId", "region": "(.detail.findings[0].Region // .region)"},
		},
		"durations have several units": {
			withStream("    buffering: {interval: 1h30m}\n"),
			func(s *Spec) any { return s.Streams[0].Buffering.Interval }, 90 * time.Minute,
		},
		"sizes count in powers of 1024": {
			withStream("    buffering: {size: 3KiB}\n"), func(s *Spec) any { return s.Streams[0].Buffering.Size }, int64(3072),
		},
		"the largest size does not overflow": {
			minimal + "journal: {max_size: 99TiB}\n", func(s *Spec) any { return s.Journal.MaxSize }, int64(99 << 40),
		},
		"a whole number may be written with an exponent": {
			minimal + "duplicates: {count: 2e6}\n", func(s *Spec) any { return s.Duplicates.Count }, 2_000_000,
		},
		"an anchor and its alias": {
			minimal + "streams:\n  - {name: a, pattern: &p {source: [x]}, prefix: a/}\n  - {name: b, pattern: *p, prefix: b/}\n",
			func(s *Spec) any { return string(s.Streams[1].Pattern) }, `{"source":["x"]}`,
		},
		"CRLF and a byte order mark": {
			"\uFEFFbucket:\r\n  url: ./b\r\n", func(s *Spec) any { return s.Bucket.URL }, "./b",
		},
		"a document start": {
			"---\n" + minimal + "...\n", func(s *Spec) any { return s.Bucket.URL }, "./b",
		},
		"a message is deleted when its events are in the journal": {
			minimal + "sources: [{sqs: {queue_url: \"https://sqs.eu-west-1.amazonaws.com/111111111111/q.fifo\"}}]\n",
			func(s *Spec) any { return *s.Sources[0].SQS },
			SQSSource{QueueURL: "https://sqs.eu-west-1.amazonaws.com/111111111111/q.fifo", Ack: AckJournal},
		},
		"or in the bucket": {
			minimal + "sources: [{sqs: {queue_url: \"http://127.0.0.1:4599/111111111111/q\", ack: stored}}]\n",
			func(s *Spec) any { return *s.Sources[0].SQS },
			SQSSource{QueueURL: "http://127.0.0.1:4599/111111111111/q", Ack: AckStored},
		},
		"some accounts": {
			minimal + "organization: {administrator: \"111111111111\", accounts: [\"012345678901\"], regions: [us-gov-west-1]}\n",
			func(s *Spec) any { return s.Organization.Accounts },
			[]string{"012345678901"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Load("catchment.yaml", []byte(tt.spec), Options{Lookup: lookup})
			if tt.get == nil {
				if err == nil {
					t.Error("loaded, want an error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.get(s)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestChecksSeeTheSpecAndAreReportedInOrder(t *testing.T) {
	spec := withStream("    buffering: {size: 1}\n    time_zone: [UTC]\n")
	cause := errors.New("no such thing")
	_, err := Load("f", []byte(spec), Options{Checks: []Check{func(s *Spec, report func(Fault)) {
		if got := s.Streams[0].Prefix; got != "p/" {
			t.Errorf("prefix is %q", got)
		}
		report(Fault{Path: "streams[0].buffering.size", Want: "dropped: faulty already"})
		report(Fault{Path: "streams[0].buffering", Want: "dropped: something in it is faulty"})
		report(Fault{Path: "streams[0].time_zone[0]", Want: "dropped: what is around it is faulty"})
		report(Fault{Path: "streams[0].pattern.source[0].prefix", Want: "something", Err: cause})
		report(Fault{Path: "streams[0].prefix", Err: cause, Hint: "think"})
	}}})
	want := []string{
		`f:4:24: streams[0].pattern.source[0].prefix: no such thing; want something`,
		`f:5:13: streams[0].prefix: "p/": no such thing (think)`,
		`f:6:23: streams[0].buffering.size: 1: want a size above zero in B, KiB, MiB, GiB, such as 64MiB (give a unit)`,
		`f:7:16: streams[0].time_zone: a list: want a name of the IANA time zone database, such as Asia/Tokyo`,
	}
	if diff := cmp.Diff(want, strings.Split(fmt.Sprint(err), "\n")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is not in the chain")
	}
	if fault, ok := errors.AsType[*FieldError](err); !ok || fault.Line != 4 {
		t.Errorf("first fault: %+v", fault)
	}
}

func TestReadFile(t *testing.T) {
	name := t.TempDir() + "/catchment.yaml"
	if err := os.WriteFile(name, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(name, nil, Options{}); err != nil {
		t.Error(err)
	}
	if _, err := ReadFile("-", strings.NewReader(minimal), Options{}); err != nil {
		t.Error(err)
	}
	if _, err := ReadFile(name+"x", nil, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}
