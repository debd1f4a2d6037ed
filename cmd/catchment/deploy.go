package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

type deployOptions struct {
	fleetOptions
}

func newDeployCommand() *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Make everything as the spec says, in every account and region",
		Long: `deploy makes the bucket, turns Security Hub and Inspector on in every account and region of the spec, makes the accounts
members of the administrator, and builds the way from the rule to the bucket. It asks AWS what is there and changes what
differs: the same again changes nothing, what was changed by hand is mended, and what was interrupted goes on.

It runs as the organization's management account, or as an account that may assume the spec's role in all others. What
fails in one account or region does not stop the others. An interrupt lets what is under way come to its end.

With --output json each thing that happens is one line of JSON.

Exit status: 0 all is as the spec says; 1 nothing could be done; 2 the command line or the spec is wrong; 3 some accounts
or regions did not work; 130 interrupted.`,
		Example: `  catchment deploy -c catchment.yaml
  catchment deploy --bucket-account 222222222222 --parallel 16
  catchment deploy --function-zip bootstrap.zip --parameter bucket.ExpirationDays=400
  catchment deploy --output json | tee deploy.log`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDeploy(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.register(cmd)
	o.registerMaking(cmd)
	cmd.Flags().StringSliceVar(&o.allow, "allow", nil, "what may be replaced or deleted although it holds data: firehose, bucket")
	return cmd
}

func runDeploy(ctx context.Context, o deployOptions, in io.Reader, out, errOut io.Writer) error {
	show := newFleetShow(o.fleetOptions, out, errOut)
	f, err := o.open(ctx, in, show.event)
	if err != nil {
		return err
	}
	show.begin("deploying", f.Expected())
	done, err := f.Deploy(ctx)
	if shown := show.end(done); shown != nil {
		return fmt.Errorf("print what was done: %w", shown)
	}
	if err != nil {
		return err
	}
	return fleetStatus(done)
}
