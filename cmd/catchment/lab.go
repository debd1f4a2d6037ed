package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/population"
)

type labOptions struct {
	listen     string
	accounts   int
	regions    []string
	partition  string
	seed       uint64
	start      string
	frozen     bool
	standalone bool
	noQuotas   bool
	lag        time.Duration
	life       bool
	readyFile  string
	calls      bool
	faults     string
}

func newLabCommand() *cobra.Command {
	var o labOptions
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "AWS on this machine: an organisation of accounts and regions to build in",
		Long: `lab serves AWS from this process: Security Hub, Inspector (Classic and v2), EventBridge, Firehose, Lambda, SNS, SQS, S3,
IAM, STS, KMS, Organizations and Account Management, for many accounts and regions at one address. The AWS CLI, the SDKs
and catchment work against it unchanged, with what it prints to export. The access key says which account you are.

What it holds is in memory and gone when it ends. The lab itself is asked at /_lab/: its clock can be moved, and things
can be made to go wrong. It runs the functions that it is given, so it listens at loopback only.

Exit status: 0 ended by a signal; 1 it could not go on; 2 a wrong flag.`,
		Example: `  catchment lab
  catchment lab --accounts 20 --regions us-east-1,eu-west-1 --listen 127.0.0.1:4599
  eval "$(curl -s 'http://127.0.0.1:4599/_lab/environment?format=shell')"
  aws securityhub enable-security-hub
  curl -s -H 'Content-Type: application/json' -d '{"advance":"5m"}' http://127.0.0.1:4599/_lab/clock`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runLab(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:4599", "address; port 0: any")
	f.IntVar(&o.accounts, "accounts", 3, "accounts, 1 to 1000")
	f.StringSliceVar(&o.regions, "regions", []string{"ap-northeast-1", "us-east-1"}, "regions that hosts and findings are in")
	f.StringVar(&o.partition, "partition", "", "aws, aws-cn, aws-us-gov or aws-eusc (default: that of the first region)")
	f.Uint64Var(&o.seed, "seed", 1, "of everything that is left to chance, access keys included")
	f.StringVar(&o.start, "start", "", "what the lab's clock shows at first, such as 2026-11-22T00:00:00Z (default: now)")
	f.BoolVar(&o.frozen, "frozen", false, "the clock moves only when it is asked to")
	f.BoolVar(&o.standalone, "standalone", false, "accounts are in no organisation: members have to be invited")
	f.BoolVar(&o.noQuotas, "no-quotas", false, "do not refuse calls beyond AWS's rates")
	f.DurationVar(&o.lag, "lag", 0, "until others see a change: AWS is eventually consistent")
	f.BoolVar(&o.life, "life", false, "hosts are found, patched and ended as time passes, and findings with them")
	f.StringVar(&o.faults, "faults", "", "what goes wrong from the start: a file with a list of faults in YAML or JSON, in the words of /_lab/faults")
	f.StringVar(&o.readyFile, "ready-file", "", "write where it listens, and the accounts, to this file as JSON when it does")
	f.BoolVar(&o.calls, "calls", false, "print each request")
	return cmd
}

// options checks the flags and makes the lab's options of them.
func (o *labOptions) options() (lab.Options, error) {
	out := lab.Options{
		Options:    cloud.Options{Seed: o.seed, Partition: o.partition, Quotas: !o.noQuotas, Lag: cloud.Lag{Findings: o.lag, Rules: o.lag, Policies: o.lag}},
		Population: population.Options{Accounts: o.accounts, Regions: o.regions}, Standalone: o.standalone, Life: o.life,
	}
	switch {
	case o.accounts < 1 || o.accounts > 1000:
		return out, usageError(fmt.Errorf("--accounts %d: expected 1 to 1000", o.accounts))
	case len(o.regions) == 0:
		return out, usageError(errors.New("--regions: expected at least one"))
	case o.lag < 0:
		return out, usageError(fmt.Errorf("--lag %v: expected a time that is not negative", o.lag))
	}
	for i, name := range o.regions {
		r, known := cloud.FindRegion(name)
		if !known {
			return out, usageError(fmt.Errorf("--regions: %q is no region that the lab knows", name))
		}
		if out.Partition == "" {
			out.Partition = r.Partition
		}
		if r.Partition != out.Partition {
			return out, usageError(fmt.Errorf("--regions: %s is in partition %s, not in %s: a lab is in one", name, r.Partition, out.Partition))
		}
		if slices.Contains(o.regions[:i], name) {
			return out, usageError(fmt.Errorf("--regions: %s is there twice", name))
		}
	}
	if o.start != "" {
		start, err := time.Parse(time.RFC3339, o.start)
		if err != nil {
			return out, usageError(fmt.Errorf("--start %q: expected a time such as 2026-11-22T00:00:00Z", o.start))
		}
		out.Start = start.UTC()
	}
	return out, loopbackOnly(o.listen)
}

func runLab(ctx context.Context, o labOptions, out, errOut io.Writer) error {
	options, err := o.options()
	if err != nil {
		return err
	}
	l, err := lab.New(options)
	if err != nil {
		return err
	}
	if o.faults != "" {
		if err := addFaults(l, o.faults); err != nil {
			return usageError(err)
		}
	}
	if o.calls {
		l.Cloud.Calls.Log = func(r cloud.CallRecord) {
			fmt.Fprintf(errOut, "%s %s %s %s:%s %d %s\n", r.Time.Format(time.RFC3339), r.Account, r.Region, r.Service, visible(r.Operation), r.Status, r.Error)
		}
	}
	var network net.ListenConfig
	listener, err := network.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return withHint(fmt.Errorf("listen for the lab: %w", err), "give --listen 127.0.0.1:PORT, or port 0 for any that is free")
	}
	l.Cloud.SetURL("http://" + listener.Addr().String())
	if err := o.tell(l, out); err != nil {
		return err
	}
	if o.readyFile != "" {
		if err := writeJSON(o.readyFile, labReady{l.Cloud.URL(), l.Administrator(), l.Regions(), l.Accounts()}); err != nil {
			return err
		}
	}
	return l.Serve(ctx, listener, !o.frozen)
}

// A labReady is what --ready-file holds.
type labReady struct {
	URL           string             `json:"url"`
	Administrator string             `json:"administrator"`
	Regions       []string           `json:"regions"`
	Accounts      []lab.AccountState `json:"accounts"`
}

// maxShown is how many accounts are printed; /_lab/accounts has them all.
const maxShown = 20

// tell prints what to export, and the accounts.
func (o *labOptions) tell(l *lab.Lab, out io.Writer) error {
	environment, err := l.Environment("", "")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "# The lab listens at %s. These make you the administrator's account; the accounts are below.\n", l.Cloud.URL())
	for _, name := range sortedKeys(environment) {
		fmt.Fprintf(out, "export %s=%s\n", name, environment[name])
	}
	fmt.Fprintln(out, "\n# AWS CLI v2 before 2.13, v1 before 1.29, and \"aws sqs\" of every v1, pass AWS_ENDPOINT_URL over. They need besides:")
	fmt.Fprintln(out, "#   alias aws='aws --endpoint-url \"$AWS_ENDPOINT_URL\"'")
	fmt.Fprintln(out, "#\n# What to try:")
	for _, line := range []string{"aws sts get-caller-identity", "aws securityhub enable-security-hub", "aws s3 mb s3://findings", "curl -s " + l.Cloud.URL() + "/_lab/"} {
		fmt.Fprintln(out, "#   "+line)
	}
	fmt.Fprintln(out, "#")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "# ACCOUNT\tNAME\tROLE\tACCESS KEY\tSECRET KEY")
	accounts := l.Accounts()
	for _, a := range accounts[:min(len(accounts), maxShown)] {
		fmt.Fprintln(table, "# "+strings.Join([]string{a.ID, a.Name, a.Role, a.AccessKeyID, a.SecretAccessKey}, "\t"))
	}
	if more := len(accounts) - maxShown; more > 0 {
		fmt.Fprintln(table, "# and "+strconv.Itoa(more)+" more: "+l.Cloud.URL()+"/_lab/accounts")
	}
	return table.Flush()
}
