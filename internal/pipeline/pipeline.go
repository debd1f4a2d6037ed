// Package pipeline compiles the streams of a spec to Route, which tells what becomes of one document.
//
// Route is pure: the same document, arrival and streams give the same outcomes. It runs in the collector, in import,
// in the Lambda handlers and in the lab.
package pipeline

import (
	"fmt"
	"regexp"
	"time"

	"example.org/catchment/internal/finding"
	"example.org/catchment/internal/pattern"
	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/scan"
)

// A RecordKind is what a record is: the finding alone or the whole event.
type RecordKind uint8

// The kinds of records.
const (
	RecordFinding RecordKind = iota // each finding of an event by itself
	RecordEvent                     // the event, placed by its first finding that matches
)

// A TimestampKind is the instant that a prefix shows.
type TimestampKind uint8

// The instants that a prefix may show.
const (
	TimestampArrival TimestampKind = iota // when the record arrived, as Firehose does; an import has no arrival: the event's
	TimestampEvent                        // the event's time, else the finding's updated-at
)

// Defaults of a stream: the article's pattern and prefix, by the finding's account and region.
const (
	DefaultPattern = `{"source":["aws.securityhub"],"detail-type":["Security Hub Findings - Imported"],` +
		`"detail":{"findings":{"ProductFields":{"aws/securityhub/ProductName":["Inspector"]}}}}`
	DefaultPrefix = "AWSLogs/!{partitionKeyFromQuery:account}/Inspector/!{partitionKeyFromQuery:region}/" +
		"!{timestamp:yyyy/MM/dd/HH}/"
	DefaultErrorPrefix = "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/"
)

// ErrorType is what !{firehose:error-output-type} stands for: everything that is refused here failed in processing.
const ErrorType = "processing-failed"

// A Stream is a named pipeline of the spec.
type Stream struct {
	Name          string
	Version       int               // part of object names; at least 1
	Pattern       []byte            // an event pattern, as JSON
	Record        RecordKind        //
	PartitionKeys map[string]string // name to jq. .AwsAccountId and .Region mean the finding's, whatever its format
	Prefix        string
	ErrorPrefix   string
	TimeZone      string // IANA name; empty: UTC
	Timestamp     TimestampKind
}

// DefaultStream is the stream of a user who has written no spec.
func DefaultStream() Stream {
	return Stream{
		Name: "inspector", Version: 1, Pattern: []byte(DefaultPattern),
		PartitionKeys: map[string]string{"account": ".AwsAccountId", "region": ".Region"},
		Prefix:        DefaultPrefix, ErrorPrefix: DefaultErrorPrefix,
	}
}

// A Pipeline is compiled from streams. It does not change and may be used by many goroutines.
type Pipeline struct {
	streams   []stream
	patterns  *pattern.Set // by stream
	paths     *scan.Paths
	findings  *finding.Fields // below detail.findings
	detail    *finding.Fields // below detail: native Inspector v2 events
	barePaths *scan.Paths
	bare      *finding.Fields // a finding that came without an envelope
	pageLower int32
	pageUpper int32
}

type stream struct {
	Stream
	prefix *prefix.Expression
	failed *prefix.Expression // the error prefix
	keys   keys
}

// A StreamError says which stream, and what of it, is wrong.
type StreamError struct {
	Stream string
	Field  string // pattern, prefix, error_prefix, partition_keys.NAME …
	Err    error
}

func (e *StreamError) Error() string {
	return fmt.Sprintf("stream %s: %s: %v", e.Stream, e.Field, e.Err)
}
func (e *StreamError) Unwrap() error { return e.Err }

// Envelope paths are added first, so that their numbers are known.
const (
	pathID int32 = iota
	pathSource
	pathDetailType
	pathTime
	pathRegion
	pathDetail
	pathFindings
	envelopePaths
)

var envelope = [envelopePaths][]string{
	pathID: {"id"}, pathSource: {"source"}, pathDetailType: {"detail-type"}, pathTime: {"time"}, pathRegion: {"region"},
	pathDetail: {"detail"}, pathFindings: {"detail", "findings"},
}

var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

// Compile reads the streams. Its errors are *StreamErrors, the first of each stream.
func Compile(streams []Stream) (*Pipeline, error) {
	p := &Pipeline{paths: scan.NewPaths(), barePaths: scan.NewPaths()}
	for want, path := range envelope {
		if p.paths.Add(path...) != want {
			panic("pipeline: the envelope's paths are not the first")
		}
	}
	p.findings = finding.NewFields(p.paths, "detail", "findings")
	p.detail = finding.NewFields(p.paths, "detail")
	p.bare = finding.NewFields(p.barePaths)
	p.pageLower, p.pageUpper = int32(p.barePaths.Add("findings")), int32(p.barePaths.Add("Findings")) //nolint:gosec // few paths
	if len(streams) == 0 {
		return nil, fmt.Errorf("no stream: there is nothing to route to")
	}
	var patterns []*pattern.Pattern
	for _, s := range streams {
		compiled, matches, err := p.compile(s)
		if err != nil {
			return nil, err
		}
		p.streams = append(p.streams, compiled)
		patterns = append(patterns, matches)
	}
	p.patterns = pattern.NewSet(p.paths, patterns...)
	return p, nil
}

func (p *Pipeline) compile(s Stream) (stream, *pattern.Pattern, error) {
	fault := func(field string, err error) (stream, *pattern.Pattern, error) {
		return stream{}, nil, &StreamError{Stream: s.Name, Field: field, Err: err}
	}
	if !streamName.MatchString(s.Name) {
		return fault("name", fmt.Errorf("%q: expected 1 to 64 letters, digits and _ . -", s.Name))
	}
	if s.Version < 1 {
		return fault("version", fmt.Errorf("%d: expected 1 or more", s.Version))
	}
	matches, err := pattern.Compile(s.Pattern)
	if err != nil {
		return fault("pattern", err)
	}
	out := stream{Stream: s}
	if out.prefix, err = prefix.Compile(s.Prefix, prefix.Options{TimeZone: s.TimeZone, Keys: keyNames(s)}); err != nil {
		return fault("prefix", err)
	}
	if out.keys, err = compileKeys(p.paths, s, out.prefix.Keys()); err != nil {
		return fault("partition_keys", err)
	}
	if out.failed, err = prefix.Compile(s.ErrorPrefix, prefix.Options{Error: true, TimeZone: s.TimeZone}); err != nil {
		return fault("error_prefix", err)
	}
	if out.failed, err = out.failed.Failed(ErrorType); err != nil {
		return fault("error_prefix", err)
	}
	return out, matches, nil
}

// Streams returns the streams in the order of Outcome.Stream.
func (p *Pipeline) Streams() []Stream {
	out := make([]Stream, len(p.streams))
	for i := range p.streams {
		out[i] = p.streams[i].Stream
	}
	return out
}

// KeyNames are the names of a stream's partition keys, in the order of Outcome.Values.
func (p *Pipeline) KeyNames(stream int) []string { return p.streams[stream].prefix.Keys() }

// An Arrival is how a document came.
type Arrival struct {
	Time   time.Time // zero: it did not arrive, it was imported
	Origin string    // a file's or a source's name, for error messages
}

// An OutcomeKind is what becomes of a record.
type OutcomeKind uint8

// What becomes of a record.
const (
	Stored   OutcomeKind = iota + 1 // it goes into the bucket, under Prefix
	Rejected                        // an error record goes into the bucket, under Prefix
	Filtered                        // the pattern does not match
)

// An Outcome is what becomes of one record: of one finding or event, or of a document that is none. What it points to
// is valid until the emit function returns, but for Prefix, which is kept.
type Outcome struct {
	Kind    OutcomeKind
	Stream  int
	Prefix  string        // evaluated; a random string stands as one 0x00 byte (prefix.Finish)
	Line    []byte        // without a newline; for Rejected the error record in Firehose's shape
	Time    time.Time     // the instant at which Prefix was evaluated
	Code    string        // for Rejected: the reason, from a bounded set
	EventID []byte        // the event's id; may be empty
	Finding *finding.View // of Stored; nil where there is none
	Values  [][]byte      // of Stored: of the partition keys, in the order of KeyNames
}
