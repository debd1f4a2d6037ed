package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/assembly"
	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/prefix"
)

// sampleEvent is what check routes when no event is given: a finding of Inspector v2 in account 222222222222, relayed
// by the administrator 111111111111.
//
//go:embed sample.json
var sampleEvent []byte

type checkOptions struct {
	spec   string
	event  string
	output string
	at     string
}

func newCheckCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [-c FILE] [EVENT]",
		Short: "Validate the spec and show where an event goes",
		Long: `check reads the spec and reports everything that is wrong with it, each with its line. If nothing is, it shows what
becomes of a sample event, or of the events in the file EVENT ("-": standard input): for each stream whether its
pattern matches, and the key of the object that the record would lie in.

The time in a key is the event's own, as in "catchment import"; --at gives a time of arrival, as in "catchment run".
The last part of an object's name follows from all records of the object and so is only an example here.

Exit status: 0 the spec is good; 1 the event was not read; 2 the spec or the command line is wrong; 3 the spec is good,
but the event was rejected.`,
		Example: `  catchment check
  catchment check -c other.yaml event.json
  catchment check --output json --at 2026-12-31T23:59:59Z`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.event = args[0]
			}
			return runCheck(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.spec, "config", "c", "", "the spec; without it catchment.yaml if there is one, else the defaults")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	f.StringVar(&o.at, "at", "", "time of arrival, as in 2026-12-31T23:59:59Z")
	return cmd
}

// A checkReport is what check found.
type checkReport struct {
	Valid   bool          `json:"valid"`
	Errors  []checkFault  `json:"errors,omitempty"`
	Notes   []string      `json:"notes,omitempty"`
	Records []checkRecord `json:"records,omitempty"`
}

type checkFault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

// A checkRecord is what becomes of one record in one stream.
type checkRecord struct {
	Stream  string `json:"stream"`
	Outcome string `json:"outcome"` // stored, rejected or filtered
	Code    string `json:"code,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Finding string `json:"finding,omitempty"`
	Prefix  string `json:"prefix,omitempty"`
	Object  string `json:"object,omitempty"`
}

func runCheck(_ context.Context, o checkOptions, in io.Reader, out io.Writer) error {
	arrival := pipeline.Arrival{Origin: o.event}
	if o.output != "table" && o.output != "json" {
		return usageError(fmt.Errorf("--output %q: expected table or json", o.output))
	}
	if o.spec == "-" && o.event == "-" {
		return usageError(errors.New("the spec and the event cannot both be standard input"))
	}
	if o.at != "" {
		at, err := time.Parse(time.RFC3339, o.at)
		if err != nil {
			return usageError(fmt.Errorf("--at %q: expected a time such as 2026-12-31T23:59:59Z", o.at))
		}
		arrival.Time = at
	}
	spec, err := loadSpec(o.spec, in)
	if err != nil {
		if faults, ok := errors.AsType[config.Errors](err); ok && o.output == "json" {
			if err := printJSON(out, reportFaults(faults)); err != nil {
				return err
			}
			return &statusError{Status: exitUsage}
		}
		return err
	}
	report := checkReport{Valid: true, Notes: laterVersions(spec)}
	data, err := readEvent(o.event, in)
	if err != nil {
		return err
	}
	if report.Records, err = routeSample(spec, data, arrival); err != nil {
		return err
	}
	if o.output == "json" {
		err = printJSON(out, report)
	} else {
		err = printCheck(out, report)
	}
	if err == nil && slices.ContainsFunc(report.Records, func(r checkRecord) bool { return r.Outcome == "rejected" }) {
		return &statusError{Status: exitIncomplete}
	}
	return err
}

func reportFaults(faults config.Errors) checkReport {
	var report checkReport
	for _, f := range faults {
		report.Errors = append(report.Errors, checkFault{
			File: f.File, Line: f.Line, Column: f.Column, Path: f.Path,
			Message: strings.TrimPrefix(f.Error(), fmt.Sprintf("%s:%d:%d: ", f.File, f.Line, f.Column)),
		})
	}
	return report
}

// laterVersions names the parts of a valid spec that this version does not serve.
func laterVersions(spec *config.Spec) []string {
	var notes []string
	if spec.Organization != nil {
		notes = append(notes, "organization is for a later version: this one does not use it")
	}
	if spec.Managed != nil {
		notes = append(notes, "managed is for a later version: this one does not use it")
	}
	return notes
}

const maxSample = 64 << 20 // bytes

func readEvent(name string, stdin io.Reader) ([]byte, error) {
	in := stdin
	switch name {
	case "":
		return sampleEvent, nil
	case "-":
	default:
		f, err := os.Open(name) //nolint:gosec // the user's own choice
		if err != nil {
			return nil, fmt.Errorf("open event: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxSample+1))
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	if len(data) > maxSample {
		return nil, fmt.Errorf("event %s: larger than %d bytes", name, maxSample)
	}
	return data, nil
}

// routeSample tells what becomes of each record in data.
func routeSample(spec *config.Spec, data []byte, arrival pipeline.Arrival) ([]checkRecord, error) {
	p, err := compilePipeline(spec)
	if err != nil {
		return nil, err
	}
	var records []checkRecord
	router := p.NewRouter()
	documents := document.NewReader(bytes.NewReader(data), document.Options{})
	for {
		doc, err := documents.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read event: %w", err)
		}
		router.Route(doc, arrival, func(o *pipeline.Outcome) {
			records = append(records, describe(spec, o))
		})
	}
	if len(records) == 0 {
		return nil, errors.New("no event: the input holds no document")
	}
	return records, nil
}

func describe(spec *config.Spec, o *pipeline.Outcome) checkRecord {
	s := spec.Streams[o.Stream]
	r := checkRecord{Stream: s.Name, Code: o.Code}
	if o.Finding != nil {
		r.Finding = string(o.Finding.ID())
	}
	switch o.Kind {
	case pipeline.Stored:
		r.Outcome = "stored"
	case pipeline.Rejected:
		r.Outcome = "rejected"
		var record struct {
			Message string `json:"errorMessage"`
		}
		if json.Unmarshal(o.Line, &record) == nil {
			r.Reason = record.Message
		}
	case pipeline.Filtered:
		r.Outcome = "filtered"
		r.Reason = "the pattern does not match"
		return r
	}
	id := batch.NewID([]byte("check"), o.Line)
	at := o.Time.UTC()
	if zone, err := time.LoadLocation(s.TimeZone); err == nil { // which the spec's check has loaded before
		at = at.In(zone)
	}
	extension := ""
	if kind, err := assembly.Compression(s); err == nil { // a word that the spec's check knows
		extension = kind.Extension()
	}
	r.Prefix = prefix.Finish(o.Prefix, id)
	r.Object = batch.Name(s.Name, s.Version, at, id, extension)
	return r
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printCheck(out io.Writer, report checkReport) error {
	fmt.Fprintln(out, "the spec is good")
	for _, note := range report.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STREAM\tOUTCOME\tKEY")
	for _, r := range report.Records {
		key := r.Prefix + r.Object
		if r.Outcome != "stored" {
			key = strings.TrimPrefix(key+"  "+visible(r.Reason), "  ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Stream, r.Outcome, key)
	}
	return w.Flush()
}

// visible makes a text that may quote an event safe for a terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // what turns the text around too
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
