package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"example.org/catchment/internal/collector"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/source"
	"example.org/catchment/internal/web"
)

type runOptions struct {
	spec      string
	to        string
	journal   string
	listen    string
	keysFile  string
	queue     string
	ack       string
	metrics   string
	grace     time.Duration
	interval  time.Duration
	readyFile string
	logFormat string
	logLevel  string
	aws       awsOptions
}

func newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [-c SPEC] [--to s3://BUCKET[/PREFIX] | --to FOLDER]",
		Short: "Take events over HTTP or from a queue and put their findings into the bucket",
		Long: `run takes events over HTTP (EventBridge API destinations, SNS, Firehose's HTTP endpoint, any sender of JSON) or from SQS
queues, and puts the findings that the spec's pattern matches into the bucket, exactly once. An answer of 200, or a
message deleted from a queue, means: on disk, in the journal (with --ack stored: in the bucket). Several workers may
share a queue.

On SIGTERM it takes nothing more, puts what is pending for as long as --grace, and leaves the rest in the journal for
the next start. A second signal ends it at once; nothing is lost by that, nor by a crash.

Exit status: 0 stopped by a signal, the journal intact; 1 it could not go on, or not begin; 2 the command line or the
spec is wrong.`,
		Example: `  catchment run --to ./bucket
  catchment run --to s3://aws-logs-inspector-111111111111 --journal /var/lib/catchment/journal --listen 127.0.0.1:8480
  catchment run --to s3://aws-logs-inspector-111111111111 --queue https://sqs.eu-west-1.amazonaws.com/111111111111/findings
  catchment run -c catchment.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runRun(cmd.Context(), o, cmd.InOrStdin(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.spec, "config", "c", "", "the spec; without it catchment.yaml if there is one, else the defaults")
	f.StringVar(&o.to, "to", "", "the bucket, instead of the spec's: s3://BUCKET[/PREFIX] or a folder")
	f.StringVar(&o.journal, "journal", "", "folder of the journal, instead of the spec's")
	f.StringVar(&o.listen, "listen", "", "HOST:PORT to take events at, instead of the spec's")
	f.StringVar(&o.keysFile, "keys-file", "", "file of API keys, instead of the spec's; needed beyond this machine")
	f.StringVar(&o.queue, "queue", "", "URL of an SQS queue to take events from, instead of the spec's sources (beside --listen, if given)")
	f.StringVar(&o.ack, "ack", "", "when messages are deleted, instead of the spec's: journal, or stored (in the bucket)")
	f.StringVar(&o.metrics, "metrics", "", "HOST:PORT of /metrics, /healthz, /readyz and /status, instead of the spec's; or none")
	f.DurationVar(&o.grace, "grace", 0, "how long to go on putting after SIGTERM, instead of the spec's")
	f.DurationVar(&o.interval, "interval", 0, "how old a record gets before its object is put, instead of the spec's")
	f.StringVar(&o.readyFile, "ready-file", "", "file to write the addresses to, as JSON, once events are taken")
	f.StringVar(&o.logFormat, "log-format", "", "text or json, instead of the spec's")
	f.StringVar(&o.logLevel, "log-level", "", "debug, info, warn or error, instead of the spec's")
	f.StringVar(&o.aws.profile, "profile", "", "profile of the AWS configuration")
	f.StringVar(&o.aws.region, "region", "", "region of the bucket, and of a queue whose URL names none")
	return cmd
}

// choose puts the flags over the spec.
func (o *runOptions) choose(spec *config.Spec) error {
	for flag, field := range map[*string]*string{
		&o.to: &spec.Bucket.URL, &o.journal: &spec.Journal.Path, &o.metrics: &spec.Metrics.Listen,
		&o.logFormat: &spec.Log.Format, &o.logLevel: &spec.Log.Level,
	} {
		if *flag != "" {
			*field = *flag
		}
	}
	switch {
	case o.grace < 0:
		return usageError(fmt.Errorf("--grace %v: expected a time that is not negative", o.grace))
	case o.grace > 0:
		spec.Drain.Grace = o.grace
	}
	if o.interval < 0 {
		return usageError(fmt.Errorf("--interval %v: expected a time that is not negative", o.interval))
	}
	for i := range spec.Streams {
		if o.interval > 0 {
			spec.Streams[i].Buffering.Interval = o.interval
		}
	}
	return o.chooseSources(spec)
}

// chooseSources puts the flags over the spec's sources.
func (o *runOptions) chooseSources(spec *config.Spec) error {
	if o.queue != "" {
		at, err := config.ParseQueueURL(o.queue)
		if err != nil {
			return usageError(fmt.Errorf("--queue: %w", err))
		}
		spec.Sources = []config.Source{{SQS: at}}
	}
	overHTTP := 0
	for _, s := range spec.Sources {
		if s.HTTP != nil {
			overHTTP++
		}
	}
	if o.ack != "" && o.ack != config.AckJournal && o.ack != config.AckStored {
		return usageError(fmt.Errorf("--ack %q: expected journal or stored", o.ack))
	}
	if o.ack != "" && overHTTP == len(spec.Sources) {
		return usageError(withHint(errors.New("--ack: there is no queue to take events from"), "give --queue URL"))
	}
	if (o.listen != "" || o.keysFile != "") && overHTTP == 0 {
		spec.Sources = append(spec.Sources, config.Default().Sources...)
		overHTTP = 1
	}
	for _, s := range spec.Sources {
		switch {
		case s.HTTP != nil && o.listen != "":
			s.HTTP.Listen = o.listen
		case s.SQS != nil && o.ack != "":
			s.SQS.Ack = o.ack
		}
		if s.HTTP != nil && o.keysFile != "" {
			s.HTTP.KeysFile = o.keysFile
		}
	}
	switch {
	case len(spec.Sources) == 0:
		return usageError(withHint(errors.New("no source: there is nothing to take events from"), "give --listen HOST:PORT or --queue URL"))
	case overHTTP > 1 && o.listen != "":
		return usageError(fmt.Errorf("--listen: the spec has %d HTTP sources", overHTTP))
	}
	return nil
}

func runRun(ctx context.Context, o runOptions, in io.Reader, errOut io.Writer) error {
	spec, err := loadSpec(o.spec, in)
	if err != nil {
		return err
	}
	if err := o.choose(spec); err != nil {
		return err
	}
	logger, err := newLogger(errOut, spec.Log)
	if err != nil {
		return usageError(err)
	}
	e := &engine{logger: logger, spec: spec, aws: o.aws, metrics: web.NewMetrics(), started: time.Now()}
	settings, err := e.settings()
	if err != nil {
		return err
	}
	to, err := openBucket(ctx, spec.Bucket.URL, spec, o.aws)
	if err != nil {
		return err
	}
	defer to.Close() //nolint:errcheck // every object was synced by its Put
	e.bucket = to.Name
	settings.Store = e.retrying(to)
	if e.collector, err = collector.Open(settings); err != nil {
		return explainLocked(err)
	}
	err = e.serve(ctx, o)
	return errors.Join(err, e.collector.Close())
}

// explainLocked adds the next step to the error of a journal that another process has.
func explainLocked(err error) error {
	if locked, ok := errors.AsType[*disk.LockedError](err); ok {
		return withHint(err, fmt.Sprintf("one journal is for one process: stop the other one, or give --journal another folder than %s",
			filepath.Dir(locked.Name)))
	}
	return err
}

// serve listens and runs until ctx is done.
func (e *engine) serve(ctx context.Context, o runOptions) error {
	sources, where, err := e.listen(ctx)
	if err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	// The metrics are there for as long as the drain takes.
	watch, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	if e.web != nil {
		group.Go(func() error { return web.Serve(watch, e.web, web.Handler(e, e.metrics)) })
	}
	group.Go(func() error {
		defer unwatch()
		return explainQueue(e.collector.Run(gctx, e.spec.Drain.Grace, sources...))
	})
	context.AfterFunc(ctx, func() { e.logger.Info("stopping", keyGrace, e.spec.Drain.Grace) })
	err = e.tell(o.readyFile, where)
	if err != nil {
		unwatch()
		group.Go(func() error { return err })
	}
	err = group.Wait()
	s := e.collector.Stats()
	e.logger.Info("stopped", keyReceived, s.Received, keyStored, s.Stored, keyPending, s.Pending.Records,
		keyErrorRecords, s.Rejections.Pending)
	return err
}

// A listening is what --ready-file and the journal's folder hold for programs.
type listening struct {
	PID     int      `json:"pid"`
	Events  []string `json:"events"`            // URLs that events are taken at
	Queues  []string `json:"queues,omitempty"`  // URLs of the queues that they are taken from
	Metrics string   `json:"metrics,omitempty"` // URL of /status, /metrics …
}

// tell says where the program listens.
func (e *engine) tell(readyFile string, where listening) error {
	for _, url := range where.Events {
		e.logger.Info("listening", keyURL, url)
	}
	for _, q := range e.queues {
		e.logger.Info("taking from a queue", keyQueue, q.url, keyAck, q.ack)
	}
	if where.Metrics != "" {
		e.logger.Info("listening for metrics", keyURL, where.Metrics)
	}
	files := []string{filepath.Join(e.spec.Journal.Path, listeningFile)}
	if readyFile != "" {
		files = append(files, readyFile)
	}
	for _, name := range files {
		if err := writeJSON(name, where); err != nil {
			return err
		}
	}
	return nil
}

var _ source.Deliver = (*collector.Collector)(nil).Deliver

// newLogger makes the log of the spec's format and level.
func newLogger(w io.Writer, l config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return nil, fmt.Errorf("log level %q: expected debug, info, warn or error", l.Level)
	}
	o := &slog.HandlerOptions{Level: level}
	switch l.Format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, fmt.Errorf("log format %q: expected text or json", l.Format)
}
