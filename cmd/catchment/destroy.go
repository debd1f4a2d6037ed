package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/fleet"
)

type destroyOptions struct {
	fleetOptions

	yes     bool
	bucket  bool
	objects bool
}

func newDestroyCommand() *cobra.Command {
	var o destroyOptions
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Take away what deploy has made, and nothing else",
		Long: `destroy deletes, in every account and region of the spec, the stacks that deploy has made, and turns off what deploy has
turned on: Security Hub and Inspector where they were not on before, memberships that were not there before. What was
there before stays. What Firehose still buffers is lost.

The bucket stays with all findings in it, and deploy takes it over again. Only --delete-bucket deletes it, if it is empty,
and only with --delete-objects besides, if it is not.

It shows what it would delete and asks; --yes answers.

Exit status: 0 all is gone; 1 nothing could be done, or nobody said yes; 2 the command line or the spec is wrong; 3 some
of it is still there; 130 interrupted.`,
		Example: `  catchment destroy -c catchment.yaml
  catchment destroy --yes --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDestroy(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.register(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.yes, "yes", false, "do not ask")
	f.BoolVar(&o.bucket, "delete-bucket", false, "delete the bucket, too, if it is empty")
	f.BoolVar(&o.objects, "delete-objects", false, "with --delete-bucket: delete all findings in it before")
	return cmd
}

func runDestroy(ctx context.Context, o destroyOptions, in io.Reader, out, errOut io.Writer) error {
	if o.objects && !o.bucket {
		return usageError(withHint(errors.New("--delete-objects: the objects are deleted with the bucket only"), "give --delete-bucket, too"))
	}
	if o.spec == "-" && !o.yes {
		return usageError(errors.New("-c -: the spec and the answer cannot both be read from standard input: give --yes"))
	}
	show := newFleetShow(o.fleetOptions, out, errOut)
	quiet := true // while it only looks
	f, err := o.open(ctx, in, func(e fleet.Event) {
		if !quiet {
			show.event(e)
		}
	})
	if err != nil {
		return err
	}
	what := fleet.Removal{Bucket: o.bucket, Objects: o.objects}
	doomed, err := f.Doomed(ctx, what)
	if err != nil {
		return err
	}
	needed := doomed.Count(fleet.Needed)
	if needed > 0 && !o.yes {
		if err := printFleet(errOut, doomed); err != nil {
			return err
		}
		if err := confirm(in, errOut); err != nil {
			return err
		}
	}
	quiet = false
	show.begin("deleting", needed)
	done, err := f.Destroy(ctx, what)
	if shown := show.end(done); shown != nil {
		return fmt.Errorf("print what was done: %w", shown)
	}
	if err != nil {
		return err
	}
	return fleetStatus(done)
}

// confirm asks whether to go on.
func confirm(in io.Reader, out io.Writer) error {
	fmt.Fprint(out, "\nDelete this? Type yes: ")
	answer, err := bufio.NewReader(io.LimitReader(in, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return withHint(errors.New("nothing was deleted: nobody said yes"), "type yes, or give --yes")
	}
	return nil
}
