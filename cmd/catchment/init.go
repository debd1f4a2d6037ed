package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/config"
)

type initOptions struct {
	output string
	force  bool
}

func newInitCommand() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init [--output FILE] [--force]",
		Short: "Write a spec with comments to start from",
		Long: `init writes a spec: every field with its default and what it is for. It does not overwrite a file that is there.

Exit status: 0 written; 1 not written; 2 the command line is wrong.`,
		Example: `  catchment init
  catchment init --output - | less`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runInit(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", defaultSpecFile, `the file; "-" is standard output`)
	f.BoolVarP(&o.force, "force", "f", false, "overwrite the file")
	return cmd
}

func runInit(_ context.Context, o initOptions, out io.Writer) (err error) {
	if o.output == "-" {
		_, err = out.Write(config.Template())
		return err
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if o.force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(o.output, mode, 0o644) //nolint:gosec // the spec holds no secret, and others may check it
	switch {
	case errors.Is(err, fs.ErrExist):
		return withHint(fmt.Errorf("%s is there already", o.output), "--force overwrites it")
	case err != nil:
		return fmt.Errorf("write spec: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(config.Template()); err != nil {
		return fmt.Errorf("write spec: %w", err)
	}
	fmt.Fprintf(out, "wrote %s\n", o.output)
	return nil
}
