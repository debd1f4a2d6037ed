package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// maxLineShown is how much of the sample line is shown, in characters.
const maxLineShown = 300

// proof shows the bucket as a tree, what was compared, and one line.
func (s *show) proof(d *demo, p *proof) error {
	if s.quiet {
		b, err := json.Marshal(struct {
			*proof

			Bucket string `json:"bucket"`
			Holds  bool   `json:"holds"`
		}{p, d.bucket, p.holds()}, json.Deterministic(true), jsontext.WithIndent("  "), json.FormatNilSliceAsNull(false))
		if err != nil {
			return fmt.Errorf("encode the proof: %w", err)
		}
		fmt.Fprintf(s.out, "%s\n", b)
		return nil
	}
	s.section("The bucket")
	s.say("  s3://%s/", d.bucket)
	s.say("  └─ AWSLogs/")
	for i, f := range p.Folders {
		first := i == 0 || p.Folders[i-1].Account != f.Account
		last := i == len(p.Folders)-1 || p.Folders[i+1].Account != f.Account
		lastAccount := !slices.ContainsFunc(p.Folders[i+1:], func(o *folder) bool { return o.Account != f.Account })
		stem := "│ "
		if lastAccount {
			stem = "  "
		}
		if first {
			s.say("     %s %s/Inspector/", branch(lastAccount), f.Account)
		}
		s.say("     %s   %s %-16s %4d lines in %d objects, %s", stem, branch(last), f.Region+"/", f.Lines, f.Objects, humanBytes(f.Bytes))
	}
	s.section("The proof: the bucket against what the services say they have")
	s.say("  %5d findings expected, of Security Hub and of the assessment run", p.Expected)
	s.say("  %5d lines, one for each state of a finding", p.Versions)
	for _, c := range []struct {
		what  string
		wrong []string
	}{
		{"missing", p.Missing},
		{"there twice", p.Twice},
		{"under another account or region", p.Misplaced},
		{"of other products", p.Foreign},
		{"objects with a line that is not one document", p.Broken},
		{"objects elsewhere", p.Other},
	} {
		mark := s.in(green, "✓")
		if len(c.wrong) > 0 {
			mark = s.in(red, "✗")
		}
		s.say("  %5d %s %s", len(c.wrong), c.what, mark)
		for _, w := range c.wrong[:min(len(c.wrong), 5)] {
			s.say("          %s", visible(w))
		}
	}
	s.section("One line of " + p.SampleKey)
	sample := []rune(p.Sample)
	if len(sample) > maxLineShown {
		sample = append(sample[:maxLineShown], '…')
	}
	s.say("  %s", visible(string(sample)))
	return nil
}

func branch(last bool) string {
	if last {
		return "└─"
	}
	return "├─"
}
