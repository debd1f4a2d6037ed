package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/population"
)

type demoOptions struct {
	accounts int
	regions  []string
	findings int
	seed     uint64
	listen   string
	keep     bool
	output   string
}

func newDemoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the whole way work on this machine, without an AWS account",
		Long: `demo starts the lab (see "catchment lab"), builds in it what the article describes, by the same calls that one would
make to AWS, and lets findings flow:

  way A  Inspector → Security Hub (members → administrator) → EventBridge rule → Firehose → S3
  way B  Inspector Classic run → SNS topic and EventBridge event → Lambda function → S3

Then it reads the bucket and proves it: every finding once, under its own account and region, one a line. The lab's
clock is moved, so that nobody waits for buffers. Nothing is left behind.

Exit status: 0 the bucket is right; 1 something did not work; 3 the proof failed; 130 interrupted.`,
		Example: `  catchment demo
  catchment demo --keep                       # leave it running, to look around with the AWS CLI
  catchment demo --accounts 20 --regions us-east-1,eu-west-1,ap-northeast-1
  catchment demo --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.accounts, "accounts", 4, "accounts, the administrator's among them")
	f.StringSliceVar(&o.regions, "regions", []string{"ap-northeast-1", "us-east-1"}, "regions")
	f.IntVar(&o.findings, "findings", 12, "findings to open in each account and region")
	f.Uint64Var(&o.seed, "seed", 1, "of everything that is left to chance")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "address of the lab; port 0: any")
	f.BoolVar(&o.keep, "keep", false, "leave the lab running until it is interrupted")
	f.StringVarP(&o.output, "output", "o", outputTable, "table, or json for the proof alone")
	return cmd
}

// Forms of a result.
const (
	outputTable = "table"
	outputJSON  = "json"
)

func (o *demoOptions) check() error {
	switch {
	case o.accounts < 2 || o.accounts > 1000:
		return usageError(fmt.Errorf("--accounts %d: expected 2 to 1000", o.accounts))
	case len(o.regions) == 0:
		return usageError(errors.New("--regions: expected at least one"))
	case o.findings < 1 || o.findings > 10_000:
		return usageError(fmt.Errorf("--findings %d: expected 1 to 10000", o.findings))
	case o.output != outputTable && o.output != outputJSON:
		return usageError(fmt.Errorf("--output %q: expected table or json", o.output))
	}
	for _, r := range o.regions {
		if known, ok := cloud.FindRegion(r); !ok || known.OptIn || known.Partition != cloud.PartitionAWS {
			return usageError(withHint(fmt.Errorf("--regions: %q is no region that every account has", r), "us-east-1 and ap-northeast-1 are"))
		}
	}
	return loopbackOnly(o.listen)
}

// loopbackOnly refuses to show the lab to others: whoever reaches it can run programs here.
func loopbackOnly(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return usageError(fmt.Errorf("--listen: %w", err))
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usageError(withHint(fmt.Errorf("--listen %s: the lab runs what it is given, so it listens at loopback only", listen), "give 127.0.0.1:PORT"))
	}
	return nil
}

func runDemo(ctx context.Context, o demoOptions, out, errOut io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	began := time.Now()
	var network net.ListenConfig
	listener, err := network.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen for the lab: %w", err)
	}
	l, err := lab.New(lab.Options{
		Options: cloud.Options{Seed: o.seed}, Standalone: true, Life: true,
		Population: population.Options{
			Accounts: o.accounts, Regions: o.regions, Record: true, Rates: population.Rates{Settle: time.Minute, Scan: 2 * time.Hour},
		},
	})
	if err != nil {
		_ = listener.Close() // nothing was served
		return err
	}
	l.Cloud.SetURL("http://" + listener.Addr().String())
	show := newShow(out, o.output == outputJSON)
	group, gctx := errgroup.WithContext(ctx)
	serving, stop := context.WithCancel(gctx)
	// The clock stands but where a step moves it: nothing happens between the last flush and the proof.
	group.Go(func() error { return l.Serve(serving, listener, false) })
	group.Go(func() error {
		defer stop()
		return o.play(gctx, l, show, began, errOut)
	})
	return group.Wait()
}

// A step is one thing that the demo does, with what it says when it is done.
type step struct {
	what string
	do   func(context.Context) (string, error)
}

// play builds, lets flow, proves and tells.
func (o *demoOptions) play(ctx context.Context, l *lab.Lab, show *show, began time.Time, errOut io.Writer) error {
	d := newDemo(l)
	b := &assessment{demo: d, account: d.accounts[1], region: d.regions[0]}
	show.title(fmt.Sprintf("An AWS organisation in this process: %d accounts × %d regions at %s", len(d.accounts), len(d.regions), l.Cloud.URL()))
	for _, part := range []struct {
		title string
		steps []step
	}{
		{"Way A: Inspector → Security Hub → EventBridge → Firehose → S3", []step{
			{"the bucket", d.makeBucket},
			{"Inspector and Security Hub are on, and integrated", d.enable},
			{"the administrator invites, the members accept", d.invite},
			{"roles with exactly what they do", d.makeRoles},
			{"Firehose: partitions by account and region, one a line", d.makeStreams},
			{"EventBridge rule with the article's pattern, and its target", d.makeRules},
			{"hosts and images are scanned, findings flow", func(ctx context.Context) (string, error) { return d.flow(ctx, o.findings) }},
		}},
		{"Way B: Inspector Classic run → SNS and EventBridge → Lambda → S3", []step{
			{"the function, with its role", b.makeFunction},
			{"who tells it of a run", b.subscribe},
			{"an assessment run is started in account " + b.account, b.start},
			{"it ends an hour later, in the lab's time", b.finish},
		}},
	} {
		show.section(part.title)
		for _, s := range part.steps {
			detail, err := s.do(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.what, err)
			}
			show.done(s.what, detail)
		}
	}
	if err := l.Flush(ctx); err != nil {
		return err
	}
	p, err := d.prove(ctx, b)
	if err != nil {
		return err
	}
	if err := show.proof(d, p); err != nil {
		return err
	}
	show.next(d, o.keep, time.Since(began))
	if o.keep && p.holds() {
		fmt.Fprintln(errOut, "catchment: the lab is running until you press ^C")
		l.Cloud.Clock.Run(ctx)
		return nil
	}
	if !p.holds() {
		return &statusError{exitIncomplete, errors.New("the proof failed: see above")}
	}
	return nil
}

// flow opens findings everywhere, lets some of them change, and passes the time that Firehose buffers.
func (d *demo) flow(ctx context.Context, each int) (string, error) {
	opened := 0
	err := d.cells(func(account, region string) error {
		n, err := d.lab.OpenFindings(ctx, account, region, each)
		opened += n
		return err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d findings", opened), d.lab.Cloud.Clock.Advance(ctx, 5*time.Minute)
}

// A show tells people what happens.
type show struct {
	out    io.Writer
	quiet  bool // nothing but the proof, as JSON
	colour bool
}

func newShow(out io.Writer, quiet bool) *show {
	file, isFile := out.(*os.File)
	return &show{out: out, quiet: quiet, colour: isFile && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == ""}
}

// Colours of a terminal (ECMA-48).
const (
	bold  = "1"
	green = "32"
	red   = "31"
	dim   = "2"
)

func (s *show) in(colour, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (s *show) say(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintf(s.out, format+"\n", args...)
	}
}

func (s *show) title(text string)   { s.say("%s", s.in(bold, text)) }
func (s *show) section(text string) { s.say("\n%s", s.in(bold, text)) }

func (s *show) done(what, detail string) {
	s.say("  %s %-58s %s", s.in(green, "✓"), what, s.in(dim, detail))
}

// next says what to try.
func (s *show) next(d *demo, keep bool, took time.Duration) {
	s.section(fmt.Sprintf("Done in %.1f s. Try next:", took.Seconds()))
	if !keep {
		s.say("  catchment demo --keep                  the same, and look around in it with the AWS CLI")
		s.say("  catchment lab                          an empty organisation to build in")
		s.say("  catchment import --to ./bucket FILE…   your own findings, from files")
		return
	}
	environment, err := d.lab.Environment("", "")
	if err != nil {
		return
	}
	for _, name := range sortedKeys(environment) {
		s.say("  export %s=%s", name, environment[name])
	}
	s.say("  aws s3 ls --recursive s3://%s", d.bucket)
	s.say("  aws securityhub get-findings --max-items 1")
	s.say("  aws firehose describe-delivery-stream --delivery-stream-name %s", demoStream)
	s.say("  %s", strings.TrimSpace("curl "+d.lab.Cloud.URL()+"/_lab/"))
}
