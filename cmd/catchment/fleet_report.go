package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"example.org/catchment/internal/fleet"
	"example.org/catchment/internal/org"
)

// fleetStatus is how a command over all cells ends.
func fleetStatus(r *fleet.Result) error {
	failed := r.Failed()
	switch good := r.Count(fleet.Done, fleet.Unchanged, fleet.Needed); {
	case failed == 0 && r.Count(fleet.Skipped) == 0:
		return nil
	case good == 0:
		return &statusError{exitFailure, errors.New("nothing could be done: see above")}
	}
	return &statusError{exitIncomplete, fmt.Errorf("%d of %d did not work: see above; the same command goes on where this one stopped",
		failed+r.Count(fleet.Skipped), len(r.Outcomes)+len(r.Apart))}
}

// summary counts how cells ended.
type fleetSummary struct {
	Done      int `json:"done"`
	Needed    int `json:"needed"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	Refused   int `json:"refused"`
	Skipped   int `json:"skipped"`
	Unreached int `json:"unreached"`
}

func summaryOf(r *fleet.Result) fleetSummary {
	return fleetSummary{
		r.Count(fleet.Done), r.Count(fleet.Needed), r.Count(fleet.Unchanged), r.Count(fleet.Failed), r.Count(fleet.Refused), r.Count(fleet.Skipped), len(r.Apart),
	}
}

// printFleet prints what is, or is to be, done in each cell; what is unchanged is only counted.
func printFleet(out io.Writer, r *fleet.Result) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	head := false
	row := func(cell org.Cell, part, state, detail string) {
		if !head {
			head = true
			fmt.Fprintln(w, "ACCOUNT\tREGION\tPART\tSTATE\tDETAIL")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", cell.Account, cell.Region, part, state, visible(detail))
	}
	for _, o := range r.Outcomes {
		if o.State != fleet.Unchanged {
			row(o.Cell, string(o.Part), string(o.State), detailOf(o))
		}
	}
	for _, a := range r.Apart {
		row(a.Cell, "-", string(a.State), a.Reason)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s := summaryOf(r)
	if head {
		fmt.Fprintln(out)
	}
	var parts []string
	for _, one := range []struct {
		n    int
		name string
	}{
		{s.Done, "done"},
		{s.Needed, "to do"},
		{s.Unchanged, "unchanged"},
		{s.Refused, "refused"},
		{s.Failed, "failed"},
		{s.Skipped, "skipped"},
		{s.Unreached, "not reached"},
	} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.name))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing"}
	}
	_, err := fmt.Fprintln(out, strings.Join(parts, ", "))
	return err
}

// maxNamed is how many changes of a cell are named.
const maxNamed = 3

// detailOf says in one line what is done, or why not. What is dangerous comes first, and is never left out.
func detailOf(o fleet.Outcome) string {
	var parts []string
	if o.Resource != "" {
		parts = append(parts, o.Resource)
	}
	if o.Reason != "" {
		parts = append(parts, o.Reason)
	}
	if len(parts) > 0 {
		return strings.Join(parts, ": ")
	}
	count := make(map[string]int)
	named := make(map[string][]string)
	var order []string
	for _, c := range o.Changes {
		if c.Danger != "" {
			parts = append(parts, c.Resource+" "+c.Danger)
		}
		if count[c.Action]++; count[c.Action] == 1 {
			order = append(order, c.Action)
		}
		name := c.Resource
		if len(c.Properties) > 0 {
			name += " (" + strings.Join(c.Properties, ", ") + ")"
		}
		named[c.Action] = append(named[c.Action], name)
	}
	for _, action := range order {
		if n := count[action]; n > maxNamed {
			parts = append(parts, fmt.Sprintf("%s %d resources", action, n))
			continue
		}
		parts = append(parts, action+" "+strings.Join(named[action], ", "))
	}
	return strings.Join(parts, "; ")
}

// A fleetLine is a line of the log for machines.
type fleetLine struct {
	Time string `json:"time"`

	Event   string         `json:"event"` // started, or how it ended
	Account string         `json:"account,omitempty"`
	Region  string         `json:"region,omitempty"`
	Part    fleet.Part     `json:"part,omitempty"`
	Outcome *fleet.Outcome `json:"outcome,omitempty"`
	Summary *fleetSummary  `json:"summary,omitempty"`
	Apart   []org.Reach    `json:"unreached,omitempty"`
}

// A fleetShow shows how far the work is: a bar for eyes, or a line of JSON for each event.
type fleetShow struct {
	out    io.Writer
	errOut io.Writer
	lines  bool
	bars   *mpb.Progress
	bar    *mpb.Bar
}

func newFleetShow(o fleetOptions, out, errOut io.Writer) *fleetShow {
	return &fleetShow{out: out, errOut: errOut, lines: o.output == outputJSON}
}

// begin starts the bar, on a terminal.
func (s *fleetShow) begin(what string, total int) {
	file, ok := s.errOut.(*os.File)
	if s.lines || !ok || !term.IsTerminal(int(file.Fd())) {
		return
	}
	s.bars = mpb.New(mpb.WithOutput(file), mpb.WithWidth(40), mpb.WithRefreshRate(120*time.Millisecond))
	s.bar = s.bars.AddBar(int64(total), mpb.PrependDecorators(decor.Name(what+" "), decor.CountersNoUnit("%d / %d")),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
}

func (s *fleetShow) event(e fleet.Event) {
	if s.lines {
		s.line(fleetLine{Event: e.What, Account: e.Cell.Account, Region: e.Cell.Region, Part: e.Part, Outcome: e.Done})
		return
	}
	if e.Done == nil {
		return
	}
	if bad := e.Done.State; bad == fleet.Failed || bad == fleet.Refused {
		to := s.errOut
		if s.bars != nil {
			to = s.bars
		}
		fmt.Fprintf(to, "catchment: %s in %s: %s: %s: %s\n", e.Cell.Account, e.Cell.Region, e.Part, bad, visible(detailOf(*e.Done)))
	}
	if s.bar != nil {
		s.bar.Increment()
	}
}

func (s *fleetShow) line(l fleetLine) {
	l.Time = time.Now().UTC().Format(time.RFC3339Nano)
	_ = json.NewEncoder(s.out).Encode(l) // who reads it no longer does not stop the work
}

// end takes the bar away and prints what came of it.
func (s *fleetShow) end(r *fleet.Result) error {
	if s.bar != nil {
		s.bar.SetTotal(-1, true)
		s.bars.Wait()
	}
	if s.lines {
		sum := summaryOf(r)
		s.line(fleetLine{Event: "ended", Summary: &sum, Apart: r.Apart})
		return nil
	}
	return printFleet(s.out, r)
}
