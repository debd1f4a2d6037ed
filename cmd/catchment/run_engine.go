package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"example.org/catchment/internal/assembly"
	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/collector"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/journal"
	"example.org/catchment/internal/source"
	"example.org/catchment/internal/source/push"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/web"
)

// Keys of the log. No value is ever a finding's text.
const (
	keyAck          = "ack"
	keyBatches      = "batches"
	keyBucket       = "bucket"
	keyBytes        = "bytes"
	keyDoing        = "doing"
	keyEndpoint     = "endpoint"
	keyEnded        = "ended"
	keyError        = "error"
	keyErrorRecords = "error_records"
	keyFile         = "file"
	keyGrace        = "grace"
	keyKey          = "key"
	keyMessages     = "messages"
	keyOutage       = "outage"
	keyPending      = "pending"
	keyPosition     = "position"
	keyQueue        = "queue"
	keyReason       = "reason"
	keyReceived     = "received"
	keyRecords      = "records"
	keyRetryIn      = "retry_in"
	keySize         = "size"
	keyStage        = "stage"
	keyStored       = "stored"
	keyStream       = "stream"
	keyTo           = "to"
	keyTopic        = "topic"
	keyURL          = "url"
	keyWaited       = "waited"
)

const (
	listeningFile = "listening.json" // in the journal's folder, for catchment status
	longOutage    = 5 * time.Minute  // after which senders had better go elsewhere
)

// An engine is the parts of catchment run, and what is told about them.
type engine struct {
	logger    *slog.Logger
	spec      *config.Spec
	aws       awsOptions
	metrics   *web.Metrics
	started   time.Time
	bucket    string
	collector *collector.Collector
	web       net.Listener
	queues    []*queueSource

	mu     sync.Mutex
	outage time.Time // guarded by mu; zero: none
	why    error     // guarded by mu
}

var _ web.Viewer = (*engine)(nil)

// settings turns the spec into the collector's options.
func (e *engine) settings() (collector.Options, error) {
	spec := e.spec
	p, err := compilePipeline(spec)
	if err != nil {
		return collector.Options{}, err
	}
	o := collector.Options{
		NewRouter: func() collector.Router { return p.NewRouter() },
		FS:        disk.Real{}, Dir: spec.Journal.Path,
		Journal:    journal.Options{SegmentBytes: spec.Journal.SegmentSize, MaxBytes: spec.Journal.MaxSize},
		Duplicates: duplicate.Options{Count: spec.Duplicates.Count, Age: spec.Duplicates.Age},
		Stays:      waitsForStored(spec),
		Events:     e.events(),
	}
	for _, s := range spec.Streams {
		kind, err := assembly.Compression(s)
		if err != nil {
			return o, usageError(err)
		}
		zone, err := assembly.Location(s)
		if err != nil {
			return o, inputError(err)
		}
		o.Streams = append(o.Streams, collector.Stream{
			Name: s.Name, Version: s.Version, Compression: kind, Level: s.Level, Location: zone,
			Limits: batch.Limits{Bytes: s.Buffering.Size, Age: s.Buffering.Interval},
		})
	}
	return o, nil
}

func (e *engine) events() collector.Events {
	l := e.logger
	return collector.Events{
		Recovered: func(r collector.Recovered) {
			l.Info("journal opened", keyPending, r.Records, keyErrorRecords, r.Rejections, keyBatches, r.Batches, keyBytes, r.Bytes)
		},
		Stored: func(o collector.ObjectStored) {
			l.Info("object stored", keyStream, o.Stream, keyKey, o.Key, keyRecords, o.Records, keyBytes, o.Bytes,
				keySize, o.Size, keyWaited, o.Waited)
		},
		Existed: func(key string) { l.Warn("object was there with other bytes", keyKey, key) },
		Diverted: func(key, to string, err error) {
			l.Error("key refused", keyKey, key, keyTo, to, keyError, err)
		},
		Lost: func(r collector.Lost) {
			l.Error("record lost", keyPosition, r.Position, keyKey, r.Key, keyError, r.Err)
		},
		Delayed: func(stage string, err error) { l.Error("delayed", keyStage, stage, keyError, err) },
		Damaged: func(err error) { l.Error("damage found", keyError, err) },
		Putting: func(_ string, took time.Duration, err error) { e.metrics.Put(took, err) },
	}
}

// retrying puts until the bucket takes it.
func (e *engine) retrying(s store.Store) store.Store {
	return store.Retry(s, store.RetryPolicy{KeepTrying: true, Events: store.Events{
		Delayed: func(err error, _ int, in time.Duration) {
			e.mu.Lock()
			if e.outage.IsZero() {
				e.outage = time.Now()
			}
			e.why = err
			e.mu.Unlock()
			e.logger.Error("bucket does not take objects", keyBucket, e.bucket, keyError, err, keyRetryIn, in)
		},
		Recovered: func(after time.Duration) {
			e.mu.Lock()
			e.outage, e.why = time.Time{}, nil
			e.mu.Unlock()
			e.logger.Info("bucket takes objects again", keyBucket, e.bucket, keyOutage, after)
		},
	}})
}

// listen opens all listeners before anything starts.
func (e *engine) listen(ctx context.Context) (sources []source.Source, where listening, err error) {
	where = listening{PID: os.Getpid(), Events: []string{}}
	var open []net.Listener
	defer func() {
		if err != nil {
			for _, l := range open {
				_ = l.Close() // nothing was served
			}
		}
	}()
	var network net.ListenConfig
	for _, s := range e.spec.Sources {
		if s.SQS != nil {
			from, err := e.openQueue(ctx, s.SQS)
			if err != nil {
				return nil, where, err
			}
			sources = append(sources, from)
			where.Queues = append(where.Queues, s.SQS.QueueURL)
			continue
		}
		h := s.HTTP
		l, err := network.Listen(ctx, "tcp", h.Listen)
		if err != nil {
			return nil, where, fmt.Errorf("listen for events: %w", err)
		}
		open = append(open, l)
		o := push.Options{
			Listener: l, KeysFile: h.KeysFile, MaxBody: h.MaxBody, Topics: h.Topics, RetryAfter: h.RetryAfter,
			SNS:      push.SNS{Endpoint: h.SNSEndpoint},
			Timeouts: push.Timeouts{Shutdown: min(10*time.Second, e.spec.Drain.Grace/2)}, Events: e.pushEvents(),
		}
		scheme := "http"
		if h.TLS != nil {
			o.CertFile, o.KeyFile, scheme = h.TLS.Cert, h.TLS.Key, "https"
		}
		p, err := push.New(o)
		if errors.Is(err, push.ErrNoKeys) {
			err = withHint(err, "give --keys-file FILE, or listen at 127.0.0.1")
		}
		if err != nil {
			return nil, where, usageError(err)
		}
		sources = append(sources, p)
		where.Events = append(where.Events, scheme+"://"+l.Addr().String()+push.PathEvents)
	}
	if at := e.spec.Metrics.Listen; at != config.ListenNone && at != "" {
		if e.web, err = network.Listen(ctx, "tcp", at); err != nil {
			return nil, where, withHint(fmt.Errorf("listen for metrics: %w", err), "give --metrics HOST:PORT, or none")
		}
		open = append(open, e.web)
		where.Metrics = "http://" + e.web.Addr().String()
	}
	return sources, where, nil
}

func (e *engine) pushEvents() push.Events {
	l := e.logger
	return push.Events{
		Request: func(r push.Request) { e.metrics.Request(r.Endpoint, r.Status) },
		Refused: func(r push.Refused) {
			e.metrics.Refused(r.Reason)
			l.Debug("request refused", keyEndpoint, r.Endpoint, keyReason, r.Reason, keyError, r.Err)
		},
		Subscription: func(s push.Subscription) { l.Info("subscription", keyTopic, s.Topic, keyEnded, s.Ended) },
		Reloaded: func(r push.Reloaded) {
			if r.Err != nil {
				l.Error("file not reloaded", keyFile, r.File, keyError, r.Err)
				return
			}
			l.Info("file reloaded", keyFile, r.File)
		},
		Server: func(line string) { l.Debug("http server", keyError, line) },
	}
}

// State is what web shows.
func (e *engine) State() web.State {
	now := time.Now()
	s := e.collector.Stats()
	e.mu.Lock()
	outage, why := e.outage, e.why
	e.mu.Unlock()
	out := web.State{
		Version: version(), Started: e.started, Bucket: e.bucket,
		Received: s.Received, Recovered: s.Recovered, Stored: s.Stored, Rejected: s.Rejected, Filtered: s.Filtered,
		Duplicate: s.Duplicate, Lost: s.Lost, Objects: s.Objects, Remembered: s.Window,
		Pending:      web.Pending{Records: s.Pending.Records, Bytes: s.Pending.Bytes, Partitions: s.Pending.Partitions},
		ErrorRecords: web.ErrorRecords{Pending: s.Rejections.Pending, Stored: s.Rejections.Stored, Lost: s.Rejections.Lost},
		Journal:      web.Journal{Folder: e.spec.Journal.Path, Bytes: s.JournalBytes, MaxBytes: s.JournalMax},
	}
	if !s.Pending.Oldest.IsZero() {
		out.Pending.OldestSeconds = max(0, now.Sub(s.Pending.Oldest).Seconds())
	}
	if !outage.IsZero() {
		out.OutageSeconds, out.OutageError = now.Sub(outage).Seconds(), why.Error()
	}
	if s.Full {
		out.Reasons = append(out.Reasons, "the journal, or its disk, is full")
	}
	if out.OutageSeconds > longOutage.Seconds() {
		out.Reasons = append(out.Reasons, "the bucket has not taken objects for "+now.Sub(outage).Round(time.Second).String())
	}
	e.addQueues(&out, now)
	out.Ready = len(out.Reasons) == 0
	return out
}

// writeJSON replaces a file in one step.
func writeJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp")
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
