package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/web"
)

type statusOptions struct {
	spec    string
	url     string
	journal string
	output  string
}

func newStatusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status [--url URL | --journal FOLDER]",
		Short: "Tell how a running collector is doing",
		Long: `status asks a running collector what it has received, stored, rejected and still has to store. It finds the collector
by --url, else by its journal's folder, in which "catchment run" notes where it listens.

Exit status: 0 it takes events; 1 nobody answers; 2 the command line or the spec is wrong; 3 it runs but is not ready.`,
		Example: `  catchment status
  catchment status --url http://127.0.0.1:8481 --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runStatus(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.spec, "config", "c", "", "the spec; without it catchment.yaml if there is one, else the defaults")
	f.StringVar(&o.url, "url", "", "where the collector's metrics are")
	f.StringVar(&o.journal, "journal", "", "folder of the collector's journal, instead of the spec's")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	cmd.MarkFlagsMutuallyExclusive("url", "journal")
	return cmd
}

func runStatus(ctx context.Context, o statusOptions, in io.Reader, out io.Writer) error {
	if o.output != "table" && o.output != "json" {
		return usageError(fmt.Errorf("--output %q: expected table or json", o.output))
	}
	if o.url == "" && o.journal == "" {
		spec, err := loadSpec(o.spec, in)
		if err != nil {
			return err
		}
		o.journal = spec.Journal.Path
	}
	if o.url == "" {
		var err error
		if o.url, err = findCollector(o.journal); err != nil {
			return err
		}
	}
	state, err := fetchState(ctx, o.url)
	if err != nil {
		return withHint(err, `"catchment run" starts a collector; its metrics listen where the spec's metrics.listen says`)
	}
	if err := printState(out, state, o.output); err != nil {
		return fmt.Errorf("print the status: %w", err)
	}
	if !state.Ready {
		return &statusError{Status: exitIncomplete}
	}
	return nil
}

// findCollector reads where the journal's collector listens.
func findCollector(journal string) (string, error) {
	name := filepath.Join(journal, listeningFile)
	b, err := os.ReadFile(name) //nolint:gosec // the folder is named by who runs the command
	if errors.Is(err, fs.ErrNotExist) {
		return "", withHint(fmt.Errorf("journal %s: no collector has used it", journal), "give --journal FOLDER or --url URL")
	}
	var where listening
	if err == nil {
		err = json.Unmarshal(b, &where)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	if where.Metrics == "" {
		return "", fmt.Errorf("the collector of %s was started with --metrics none", journal)
	}
	return where.Metrics, nil
}

const maxStatus = 16 << 20 // bytes of an answer

func fetchState(ctx context.Context, url string) (*web.State, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	url = strings.TrimSuffix(url, "/") + "/status"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, usageError(fmt.Errorf("--url: %w", err))
	}
	answer, err := new(http.Client).Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the collector: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the collector: %s answers %s", url, answer.Status)
	}
	state := new(web.State)
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxStatus)).Decode(state); err != nil {
		return nil, fmt.Errorf("ask the collector: %s is no status: %w", url, err)
	}
	return state, nil
}

func printState(out io.Writer, s *web.State, format string) error {
	if format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	row := func(name string, format string, values ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{name}, values...)...)
	}
	ready := "yes"
	if !s.Ready {
		ready = "no: " + strings.Join(s.Reasons, "; ")
	}
	row("takes events", "%s", ready)
	row("running for", "%s", time.Since(s.Started).Round(time.Second))
	row("bucket", "%s", s.Bucket)
	if s.OutageSeconds > 0 {
		row("  away for", "%s: %s", seconds(s.OutageSeconds), s.OutageError)
	}
	for _, q := range s.Queues {
		row("queue", "%s, ack: %s", q.URL, q.Ack)
		if q.OutageSeconds > 0 {
			row("  away for", "%s: %s", seconds(q.OutageSeconds), q.OutageError)
		}
		row("  messages", "%d received, %d deleted, %d returned, %d held", q.Received, q.Deleted, q.Returned, q.Held)
	}
	row("received", "%d", s.Received)
	row("recovered", "%d", s.Recovered)
	row("stored", "%d in %d objects", s.Stored, s.Objects)
	rejected := int64(0)
	for _, n := range s.Rejected {
		rejected += n
	}
	row("rejected", "%d", rejected)
	for _, reason := range slices.Sorted(maps.Keys(s.Rejected)) {
		row("  "+reason, "%d", s.Rejected[reason])
	}
	row("filtered", "%d", s.Filtered)
	row("duplicate", "%d", s.Duplicate)
	if s.Lost > 0 {
		row("lost", "%d", s.Lost)
	}
	row("pending", "%d, with %d error records, %s in %d partitions, the oldest for %s", s.Pending.Records, s.ErrorRecords.Pending,
		sizeOf(s.Pending.Bytes), s.Pending.Partitions, seconds(s.Pending.OldestSeconds))
	bound := "no bound"
	if s.Journal.MaxBytes > 0 {
		bound = sizeOf(s.Journal.MaxBytes)
	}
	row("journal", "%s of %s in %s", sizeOf(s.Journal.Bytes), bound, s.Journal.Folder)
	row("remembered", "%d records", s.Remembered)
	return w.Flush()
}

// sizeOf tells bytes for people.
func sizeOf(bytes int64) string {
	const kib = 1 << 10
	if bytes < kib {
		return fmt.Sprintf("%d B", bytes)
	}
	size, unit := float64(bytes), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if size /= kib; size < kib {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}
