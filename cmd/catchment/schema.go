package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/config"
)

type schemaOptions struct{}

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the spec, for editors",
		Long: `schema prints the JSON Schema of catchment.yaml. An editor with a YAML language server completes and checks the spec
by it, when the spec's first line names the file:

  # yaml-language-server: $schema=./catchment.schema.json

Exit status: 0 printed; 2 the command line is wrong.`,
		Example: "  catchment schema > catchment.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runSchema(cmd.Context(), schemaOptions{}, cmd.OutOrStdout())
		},
	}
}

func runSchema(_ context.Context, _ schemaOptions, out io.Writer) error {
	_, err := out.Write(config.Schema())
	return err
}
