package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses, the same for every command; each command's help lists those it uses.
const (
	exitDone        = 0   // all is well; match: the event matches
	exitFailure     = 1   // the work was not done; match: no match
	exitUsage       = 2   // the command line, the spec or a pattern is wrong
	exitIncomplete  = 3   // done, but look at the report: documents were rejected, or something differs
	exitInterrupted = 130 // stopped by a signal
)

// A statusError ends the program with a status of its own. A nil Err has been reported already.
type statusError struct {
	Status int
	Err    error
}

func (e *statusError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return e.Err.Error()
}

func (e *statusError) Unwrap() error { return e.Err }

// A hintError is an error whose next step is known.
type hintError struct {
	Err  error
	Hint string
}

func (e *hintError) Error() string { return e.Err.Error() }
func (e *hintError) Unwrap() error { return e.Err }

// withHint adds the next step to an error; nil stays nil.
func withHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hintError{err, hint}
}

// usageError is an error of whoever typed the command.
func usageError(err error) error { return &statusError{exitUsage, err} }

// run is the program: it returns the exit status. Results go to out, everything else to errOut.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	return reportError(ctx, err, errOut)
}

// reportError writes an error for people and picks the exit status.
func reportError(ctx context.Context, err error, errOut io.Writer) int {
	status := exitFailure
	var s *statusError
	switch {
	case errors.As(err, &s):
		status = s.Status
		if s.Err == nil {
			return status
		}
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(errOut, "catchment: interrupted")
		return exitInterrupted
	case isCobraUsage(err):
		status = exitUsage
		err = withHint(err, `run "catchment --help" for the commands and their flags`)
	}
	fmt.Fprintf(errOut, "catchment: error: %v\n", err)
	var h *hintError
	if errors.As(err, &h) {
		fmt.Fprintf(errOut, "catchment: hint: %s\n", h.Hint)
	}
	return status
}

// isCobraUsage recognises what cobra itself says of the command line: it has no error types for it.
func isCobraUsage(err error) bool {
	for _, start := range []string{"unknown command", "unknown flag", "unknown shorthand", "flag needs an argument", "accepts ", "requires at least", "requires at most", "invalid argument", "required flag", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "catchment",
		Short: "Every finding of every AWS account and region in one bucket",
		Long: `catchment brings the findings of Amazon Inspector and AWS Security Hub into one bucket:
under the right account and region, one a line, each version once.`,
		Example: `  catchment import --to ./bucket findings.json
  catchment run --to s3://aws-logs-inspector-111111111111 --listen 127.0.0.1:8480
  catchment match pattern.json event.json`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("catchment {{.Version}}\n")
	root.AddCommand(commands()...)
	return root
}

// version is the module's version where the binary was built from one, else the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (info.Main.Version == "" || info.Main.Version == "(devel)") {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	if info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
