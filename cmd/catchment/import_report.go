package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"example.org/catchment/internal/importer"
)

// importReport is what --output json prints.
type importReport struct {
	Received  int64            `json:"received"`
	Stored    int64            `json:"stored"`
	Rejected  int64            `json:"rejected"`
	Reasons   map[string]int64 `json:"rejected_by_reason"`
	Filtered  int64            `json:"filtered"`
	Duplicate int64            `json:"duplicate"`
	Complete  bool             `json:"complete"`
	Objects   int64            `json:"objects"`
	Bytes     int64            `json:"object_bytes"`
	Bucket    string           `json:"bucket"`
}

// printCounts prints the account: the four rows below the first add up to it when the import has ended.
func printCounts(c importer.Counts, output, bucket string, ended bool, out io.Writer) error {
	if output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(importReport{
			Received: c.Received, Stored: c.Stored, Rejected: c.RejectedTotal(), Reasons: c.Rejected, Filtered: c.Filtered,
			Duplicate: c.Duplicate, Complete: ended, Objects: c.Objects, Bytes: c.Bytes, Bucket: bucket,
		})
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "received\t%d\n", c.Received)
	fmt.Fprintf(w, "  stored\t%d\n", c.Stored)
	fmt.Fprintf(w, "  rejected\t%d%s\n", c.RejectedTotal(), reasons(c.Rejected))
	fmt.Fprintf(w, "  filtered\t%d\n", c.Filtered)
	fmt.Fprintf(w, "  duplicate\t%d\n", c.Duplicate)
	if !ended {
		fmt.Fprintf(w, "  not stored\t%d\tthe import did not end\n", c.Received-c.Stored-c.Kept-c.Filtered-c.Duplicate)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	objects := "objects"
	if c.Objects == 1 {
		objects = "object"
	}
	_, err := fmt.Fprintf(out, "%d %s, %s, in %s\n", c.Objects, objects, humanBytes(c.Bytes), bucket)
	return err
}

func reasons(rejected map[string]int64) string {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(rejected)) {
		parts = append(parts, fmt.Sprintf("%s %d", code, rejected[code]))
	}
	if len(parts) == 0 {
		return ""
	}
	return "\tkept under the error prefix: " + strings.Join(parts, ", ")
}

func humanBytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, "KMGTP"
	for value >= unit && len(names) > 1 {
		value, names = value/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, names[0])
}

// A progress shows how far an import is, where a person looks on.
type progress struct {
	out  io.Writer
	bars *mpb.Progress
	bar  *mpb.Bar
}

// newProgress shows a bar on a terminal and nothing elsewhere; total is in bytes, -1 where it is not known.
func newProgress(out io.Writer, quiet bool, total int64) *progress {
	p := &progress{out: out}
	file, ok := out.(*os.File)
	if quiet || !ok || !term.IsTerminal(int(file.Fd())) {
		return p
	}
	p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(40), mpb.WithRefreshRate(120*time.Millisecond))
	p.bar = p.bars.AddBar(max(total, 0),
		mpb.PrependDecorators(decor.Name("reading "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.AverageSpeed(decor.SizeB1024(0), "% .1f")),
	)
	return p
}

func (p *progress) update(c importer.Counts) {
	if p.bar == nil {
		return
	}
	p.bar.SetCurrent(c.InputBytes)
}

// say writes a line for people, above the bar.
func (p *progress) say(format string, args ...any) {
	text := fmt.Sprintf(format+"\n", args...)
	if p.bars != nil {
		_, _ = io.WriteString(p.bars, text)
		return
	}
	_, _ = io.WriteString(p.out, text)
}

func (p *progress) done() {
	if p.bar == nil {
		return
	}
	p.bar.SetTotal(-1, true)
	p.bars.Wait()
}
