// Package template writes the CloudFormation of managed mode.
//
// There are three templates. Bucket is for the account and region of the bucket, Region for the administrator's account in
// each region, Member for every account in each region:
//
//	           Member                          Region (administrator)                          Bucket
//	┌───────────────────────────┐   ┌─────────────────────────────────────────────┐   ┌──────────────────────┐
//	│ Security Hub is on, and   │──▶│ rule ──▶ Firehose (or a queue for catchment │──▶│ bucket, policy, key, │
//	│ takes Inspector's findings│   │ run), roles, dead letters, alarms           │   │ Glue table, Athena   │
//	└───────────────────────────┘   └─────────────────────────────────────────────┘   └──────────────────────┘
//
// The same options give the same bytes. No ARN is typed: the partition is the stack's own.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-reference.html
package template

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Ways to keep accounts apart.
const (
	Dynamic          = "dynamic"            // one delivery stream with dynamic partitioning
	StreamPerAccount = "stream-per-account" // one delivery stream for each account
)

// Ways to end each record in a newline.
const (
	NewlineNative = "native" // Firehose's own delimiter
	NewlineLambda = "lambda" // catchment-lambda
)

// Modes.
const (
	ModeFirehose  = "firehose"  // AWS moves the data
	ModeCollector = "collector" // a queue for catchment run
)

// A Stream is a stream of the spec, as far as a template needs it.
type Stream struct {
	Name          string
	Pattern       []byte            // JSON
	Event         bool              // lines are whole events, not findings
	PartitionKeys map[string]string // name to jq, on the finding (with Event: on the event)
	Prefix        string
	ErrorPrefix   string
	TimeZone      string // empty: UTC
	Size          int64  // buffering, bytes
	Interval      time.Duration
	Gzip          bool
}

// Options are what templates depend on.
type Options struct {
	Streams      []Stream
	Accounts     []string // the members; needed for StreamPerAccount
	Regions      []string // of the findings, for the Glue table
	Partitioning string   // empty: Dynamic
	Newline      string   // empty: NewlineNative
	Mode         string   // empty: ModeFirehose
}

// Bounds of CloudFormation and Firehose.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const (
	maxResources = 500
	maxTargets   = 5
	minDynamic   = 64 << 20 // bytes buffered, with dynamic partitioning
	maxBuffer    = 128 << 20
)

var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

// withDefaults checks the options and fills what was left out. All faults are reported at once.
func (o Options) withDefaults() (Options, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	choose := func(what string, value *string, words ...string) {
		if *value == "" {
			*value = words[0]
		}
		if !slices.Contains(words, *value) {
			fault("%s %q: expected one of %v", what, *value, words)
		}
	}
	choose("partitioning", &o.Partitioning, Dynamic, StreamPerAccount)
	choose("newline", &o.Newline, NewlineNative, NewlineLambda)
	choose("mode", &o.Mode, ModeFirehose, ModeCollector)
	if len(o.Streams) == 0 {
		fault("streams: expected at least one")
	}
	for _, s := range o.Streams {
		if !streamName.MatchString(s.Name) {
			fault("stream %q: expected a name of 1 to 64 letters, digits, or _ . -", s.Name)
		}
		if o.Mode == ModeFirehose && s.Size > maxBuffer {
			fault("stream %s: buffering.size: Firehose buffers at most 128 MiB", s.Name)
		}
		if o.Mode == ModeFirehose && (s.Interval > 15*time.Minute || s.Interval < 0) {
			fault("stream %s: buffering.interval %v: Firehose buffers 0 s to 15 min", s.Name, s.Interval)
		}
	}
	if o.Partitioning == StreamPerAccount && len(o.Accounts) == 0 && o.Mode == ModeFirehose {
		fault("partitioning stream-per-account: the accounts have to be named")
	}
	return o, errors.Join(faults...)
}

// tags that everything of ours has.
func tags() []any {
	return list(object("Key", "catchment", "Value", sub("${AWS::StackName}")))
}

// assemble puts a template together. The order of the parts is that of the guide.
func assemble(description string, parameters, conditions, resources, outputs node) ([]byte, error) {
	if len(resources) > maxResources {
		return nil, fmt.Errorf("the template has %d resources: CloudFormation takes %d; use fewer accounts a stack", len(resources), maxResources)
	}
	t := object("AWSTemplateFormatVersion", "2010-09-09", "Description", description)
	for _, part := range []struct {
		name string
		n    node
	}{{"Parameters", parameters}, {"Conditions", conditions}, {"Resources", resources}, {"Outputs", outputs}} {
		if len(part.n) > 0 {
			t = append(t, member{part.name, part.n})
		}
	}
	return render(t), nil
}
