package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pattern"
)

// A matchCase is one test: a line of a --cases file.
type matchCase struct {
	Rule  json.RawMessage `json:"rule"`
	Event json.RawMessage `json:"event"`
	Want  json.RawMessage `json:"want"`
}

// A caseResult is a case that did not go as wanted.
type caseResult struct {
	Line         int                     `json:"line"`
	Want         string                  `json:"want,omitempty"`
	Got          string                  `json:"got"` // match, no match, invalid, or bad: the line is no case
	Error        string                  `json:"error,omitempty"`
	Alternatives [][]pattern.FieldResult `json:"alternatives,omitempty"`
}

// caseCounts sum up: cases = agree + differ + bad.
type caseCounts struct {
	Cases  int `json:"cases"`
	Agree  int `json:"agree"`
	Differ int `json:"differ"`
	Bad    int `json:"bad"`
}

// What a case may answer.
const (
	answerMatch   = "match"
	answerNoMatch = "no match"
	answerInvalid = "invalid"
	answerBad     = "bad"
)

func runCases(ctx context.Context, o matchOptions, in io.Reader, out io.Writer) error {
	file, name, err := open(o.cases, in)
	if err != nil {
		return usageError(err)
	}
	defer file.Close()
	plain, err := document.Open(file)
	if err != nil {
		return usageError(fmt.Errorf("read %s: %w", name, err))
	}
	lines := bufio.NewScanner(plain)
	lines.Buffer(nil, 2*document.DefaultMaxDocument)
	var counts caseCounts
	for n := 1; lines.Scan(); n++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\xef\xbb\xbf")))
		if len(line) == 0 {
			continue
		}
		counts.Cases++
		r := runCase(line)
		r.Line = n
		switch r.Got {
		case answerBad:
			counts.Bad++
		case r.Want:
			counts.Agree++
			continue
		default:
			counts.Differ++
		}
		if err := printCase(out, o.output, r); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return usageError(fmt.Errorf("read %s after %d cases: %w", name, counts.Cases, err))
	}
	return sumUp(out, o, name, counts)
}

func sumUp(out io.Writer, o matchOptions, name string, counts caseCounts) error {
	var err error
	if o.output == "json" {
		err = printLine(out, counts)
	} else {
		_, err = fmt.Fprintf(out, "%d cases: %d agree, %d differ, %d bad\n", counts.Cases, counts.Agree, counts.Differ, counts.Bad)
	}
	switch {
	case err != nil:
		return err
	case counts.Cases == 0:
		return usageError(fmt.Errorf("%s: no case in it", name))
	case counts.Bad > 0:
		return &statusError{Status: exitUsage, Err: fmt.Errorf("%s: %d lines are no cases", name, counts.Bad)}
	case counts.Differ > 0:
		return &statusError{Status: exitFailure}
	}
	return nil
}

// runCase runs the case of one line.
func runCase(line []byte) caseResult {
	var c matchCase
	if err := json.Unmarshal(line, &c); err != nil {
		return caseResult{Got: answerBad, Error: err.Error()}
	}
	if c.Rule == nil || c.Event == nil || c.Want == nil {
		return caseResult{Got: answerBad, Error: "expected rule, event and want"}
	}
	r := caseResult{Got: answerInvalid}
	switch string(c.Want) {
	case "true":
		r.Want = answerMatch
	case "false":
		r.Want = answerNoMatch
	case `"invalid"`:
		r.Want = answerInvalid
	default:
		return caseResult{Got: answerBad, Error: `want: expected true, false or "invalid"`}
	}
	p, err := pattern.Compile(c.Rule)
	if err != nil {
		// The place is counted in the rule alone, so only its path means something here.
		r.Error = err.Error()
		if e, ok := errors.AsType[*pattern.SyntaxError](err); ok {
			r.Error = "at " + e.Path + " of the rule: " + e.Reason
		}
		return r
	}
	a := newEventMatcher(p).answer(c.Event, matchAnswer{})
	switch {
	case a.Error != "":
		return caseResult{Got: answerBad, Error: "event: " + a.Error}
	case a.Match:
		r.Got = answerMatch
	default:
		r.Got, r.Alternatives = answerNoMatch, a.Alternatives
	}
	return r
}

func printCase(out io.Writer, output string, r caseResult) error {
	if output == "json" {
		return printLine(out, r)
	}
	if r.Got == answerBad {
		_, err := fmt.Fprintf(out, "line %d: no case: %s\n", r.Line, r.Error)
		return err
	}
	place := fmt.Sprintf("line %d: want %s, got ", r.Line, r.Want)
	a := matchAnswer{Match: r.Got == answerMatch, Error: r.Error, Alternatives: r.Alternatives}
	return printAnswer(out, place, a)
}
