package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/fleet"
)

type planOptions struct {
	fleetOptions

	findings float64
}

func newPlanCommand() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Tell what deploy would do in each account and region, and what it would cost",
		Long: `plan looks at every account and region of the spec and tells what "catchment deploy" would create, change, replace and
delete there. It changes nothing: for stacks that are there it makes change sets, and deletes them again.

What would be lost is said in capital letters, and deploy does it only with --allow.

Exit status: 0 the plan is whole; 1 nothing could be looked at; 2 the command line or the spec is wrong; 3 some accounts
or regions could not be looked at; 130 interrupted.`,
		Example: `  catchment plan -c catchment.yaml
  catchment plan --findings-per-day 50000
  catchment plan --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPlan(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	o.register(cmd)
	o.registerMaking(cmd)
	cmd.Flags().Float64Var(&o.findings, "findings-per-day", 0, "estimate objects and cost for so many findings a day in all")
	return cmd
}

// planDocument is what --output json prints.
type planDocument struct {
	*fleet.Result

	Summary  fleetSummary    `json:"summary"`
	Estimate *fleet.Estimate `json:"estimate,omitempty"`
}

func runPlan(ctx context.Context, o planOptions, in io.Reader, out io.Writer) error {
	if o.findings < 0 || o.findings > 1e12 {
		return usageError(fmt.Errorf("--findings-per-day %g: expected 0 to 1e12", o.findings))
	}
	f, err := o.open(ctx, in, nil)
	if err != nil {
		return err
	}
	planned, err := f.Plan(ctx)
	if err != nil {
		return err
	}
	var estimate *fleet.Estimate
	if o.findings > 0 {
		e := f.Estimate(o.findings)
		estimate = &e
	}
	if o.output == outputJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(planDocument{planned, summaryOf(planned), estimate})
	} else if err = printFleet(out, planned); err == nil && estimate != nil {
		err = printEstimate(out, *estimate)
	}
	if err != nil {
		return fmt.Errorf("print the plan: %w", err)
	}
	return fleetStatus(planned)
}

func printEstimate(out io.Writer, e fleet.Estimate) error {
	fmt.Fprintf(out, "\nEstimate: %.0f objects a day, about $%.2f a month\n", e.ObjectsPerDay, e.DollarsAMonth)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, c := range e.Costs {
		fmt.Fprintf(w, "\t$%.2f\t  %s\n", c.Dollars, c.What)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "It assumes:")
	for _, a := range e.Assumptions {
		fmt.Fprintln(out, "  - "+a)
	}
	return nil
}
