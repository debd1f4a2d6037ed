package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pattern"
	"example.org/catchment/internal/scan"
)

type matchOptions struct {
	cases   string // a file of cases, instead of pattern and event
	output  string
	quiet   bool
	pattern string // a file, - or the pattern itself
	event   string // a file or -
}

// maxPattern is how long a pattern may be, in bytes. EventBridge itself takes 4,096 characters.
const maxPattern = 1 << 20

func newMatchCommand() *cobra.Command {
	var o matchOptions
	cmd := &cobra.Command{
		Use:   "match PATTERN EVENT | match --cases FILE",
		Short: "Tell whether an event matches a pattern, and why not",
		Long: `match answers as EventBridge would: it reads an event pattern and an event, and says whether the event matches. If it
does not, it says for each field what was wanted and what the event has.

PATTERN is a file, - for standard input, or the pattern itself when it starts with {. EVENT is a file or -; it may hold
several events (NDJSON, arrays, gzip, zstd), each of which gets its answer.

With --cases, FILE holds one test a line: {"rule": PATTERN, "event": EVENT, "want": true|false|"invalid"}. What differs is
printed with its line number, and the counts at the end.

Exit status: 0 an event matches (--cases: all as wanted); 1 none does (some differ); 2 the pattern, an event, a case or the
command line is invalid.`,
		Example: `  catchment match pattern.json event.json
  catchment match '{"detail": {"findings": {"Severity": {"Label": ["CRITICAL"]}}}}' events.ndjson
  catchment match --cases patterns_test.ndjson`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.arguments(args); err != nil {
				return err
			}
			return runMatch(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.cases, "cases", "", "run the tests of this file, or - for standard input")
	f.StringVarP(&o.output, "output", "o", "text", "how to print: text or json, one object a line")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print nothing but errors")
	return cmd
}

// arguments checks the command line and takes its arguments.
func (o *matchOptions) arguments(args []string) error {
	switch {
	case o.output != "text" && o.output != "json":
		return usageError(fmt.Errorf("--output %q: expected text or json", o.output))
	case o.cases != "" && len(args) > 0:
		return usageError(errors.New("--cases and a pattern or event exclude each other"))
	case o.cases != "":
		return nil
	case len(args) < 2:
		return usageError(withHint(fmt.Errorf("expected a pattern and an event, found %d of them", len(args)),
			`run "catchment match --help" for examples`))
	case args[0] == "-" && args[1] == "-":
		return usageError(errors.New("the pattern and the event cannot both be standard input"))
	}
	o.pattern, o.event = args[0], args[1]
	return nil
}

func runMatch(ctx context.Context, o matchOptions, in io.Reader, out io.Writer) error {
	if o.quiet {
		out = io.Discard
	}
	if o.cases != "" {
		return runCases(ctx, o, in, out)
	}
	name, text, err := readPattern(o.pattern, in)
	if err != nil {
		return usageError(err)
	}
	p, err := pattern.Compile(text)
	if err != nil {
		return usageError(fmt.Errorf("%s: %w", name, err))
	}
	return matchEvents(ctx, o, p, in, out)
}

func readPattern(from string, in io.Reader) (name string, text []byte, err error) {
	if strings.HasPrefix(strings.TrimSpace(from), "{") {
		return "pattern", []byte(from), nil
	}
	r, name, err := open(from, in)
	if err != nil {
		return name, nil, err
	}
	defer r.Close()
	text, err = io.ReadAll(io.LimitReader(r, maxPattern+1))
	if err != nil {
		return name, nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxPattern {
		return name, nil, fmt.Errorf("%s: longer than %d bytes", name, maxPattern)
	}
	return name, bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil
}

// open opens a file, or standard input for -, and returns its name for messages.
func open(from string, in io.Reader) (io.ReadCloser, string, error) {
	if from == "-" {
		return io.NopCloser(in), "standard input", nil
	}
	f, err := os.Open(from) //nolint:gosec // opening the file that was named is what the command is for
	if err != nil {
		return nil, from, err
	}
	return f, from, nil
}

// A matchAnswer is the answer for one event.
type matchAnswer struct {
	Document int    `json:"document"` // from 1
	Offset   int64  `json:"offset"`   // in the uncompressed input
	Match    bool   `json:"match"`
	Error    string `json:"error,omitempty"`
	// Alternatives are the ways in which the pattern can match, several with $or, and what became of their fields.
	Alternatives [][]pattern.FieldResult `json:"alternatives,omitempty"`
}

// matchEvents answers for each event of a file.
func matchEvents(ctx context.Context, o matchOptions, p *pattern.Pattern, in io.Reader, out io.Writer) error {
	r, name, err := open(o.event, in)
	if err != nil {
		return usageError(err)
	}
	defer r.Close()
	e := newEventMatcher(p)
	events := document.NewReader(r, document.Options{})
	var answers, matches int
	var invalid error
	report := func(a matchAnswer) error {
		if a.Error != "" {
			invalid = errors.Join(invalid, fmt.Errorf("%s: event at byte %d: %s", name, a.Offset, a.Error))
		}
		if o.output == "json" {
			return printLine(out, a)
		}
		return printAnswer(out, fmt.Sprintf("event %d, at byte %d: ", a.Document, a.Offset), a)
	}
	var held *matchAnswer // the first answer: alone it is printed without its place
	for ctx.Err() == nil {
		doc, err := events.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return usageError(fmt.Errorf("read %s: %w", name, err))
		}
		answers++
		a := matchAnswer{Document: answers, Offset: doc.Offset}
		if doc.Err != nil {
			a.Error = doc.Err.Error()
		} else {
			a = e.answer(doc.Bytes, a)
		}
		if a.Match {
			matches++
		}
		if answers == 1 && o.output == "text" {
			held = &a
			continue
		}
		if held != nil {
			if err := report(*held); err != nil {
				return err
			}
			held = nil
		}
		if err := report(a); err != nil {
			return err
		}
	}
	if held != nil {
		if held.Error != "" {
			return usageError(fmt.Errorf("%s: %s", name, held.Error))
		}
		if err := printAnswer(out, "", *held); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case answers == 0:
		return usageError(fmt.Errorf("%s: no event in it", name))
	case invalid != nil:
		return usageError(invalid)
	case matches == 0:
		return &statusError{Status: exitFailure}
	}
	return nil
}

// An eventMatcher matches one pattern on events.
type eventMatcher struct {
	paths   *scan.Paths
	matcher *pattern.Matcher
	doc     scan.Document
}

func newEventMatcher(p *pattern.Pattern) *eventMatcher {
	paths := scan.NewPaths()
	return &eventMatcher{paths: paths, matcher: pattern.NewSet(paths, p).NewMatcher()}
}

// answer fills in the answer for an event, which must be one JSON object.
func (e *eventMatcher) answer(event []byte, a matchAnswer) matchAnswer {
	if _, err := e.doc.Scan(event, e.paths); err != nil {
		a.Error = err.Error()
		return a
	}
	if trimmed := bytes.TrimLeft(event, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		a.Error = "an event is a JSON object"
		return a
	}
	if field, twice := e.doc.Duplicate(); twice {
		a.Error = fmt.Sprintf("the event gives %q twice, and readers differ in which one counts", field)
		return a
	}
	e.matcher.Load(&e.doc)
	a.Match = e.matcher.Match(0)
	if !a.Match {
		a.Alternatives = e.matcher.Explain(0)
	}
	return a
}
