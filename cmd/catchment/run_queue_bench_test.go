package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"example.org/catchment/internal/collector"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/document"
	"example.org/catchment/internal/lab/labtest"
	labsqs "example.org/catchment/internal/lab/sqs"
	"example.org/catchment/internal/source"
	queues "example.org/catchment/internal/source/sqs"
	"example.org/catchment/internal/store/mem"
	"example.org/catchment/internal/web"
)

// BenchmarkQueue compares taking messages from a queue of the lab, which is in the same process and on the same cores,
// with Deliver of the same events alone by as many batches of ten at once, and with the queue alone. An operation is one
// message, of one event.
func BenchmarkQueue(b *testing.B) {
	event := func(n int64, buf []byte) []byte {
		return fmt.Appendf(buf, `{"version":"0","id":"%d","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub",`+
			`"account":"999999999999","time":"2026-01-02T03:04:05Z","region":"us-east-1","resources":[],"detail":{"findings":[`+
			`{"SchemaVersion":"2018-10-08","Id":"f-%d","AwsAccountId":"%012d","Region":"eu-west-1","ProductFields":{"aws/securityhub/ProductName":`+
			`"Inspector"},"UpdatedAt":"2026-01-02T03:04:05Z","Description":"%s"}]}}`, n, n, n%1000, benchText)
	}
	size := int64(len(event(0, nil)))
	const inFlight = 32
	b.Run("deliver alone", func(b *testing.B) {
		c := openBench(b)
		b.SetBytes(size)
		var next atomic.Int64
		var wg sync.WaitGroup
		b.ResetTimer()
		for range inFlight {
			wg.Go(func() {
				docs := make([]document.Document, 10)
				for {
					first := next.Add(10) - 10
					n := min(10, int64(b.N)-first)
					if n <= 0 {
						return
					}
					for i := range n {
						docs[i] = document.Document{Bytes: event(first+i, docs[i].Bytes[:0])}
					}
					if err := c.Deliver(context.Background(), docs[:n]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		closeBench(b, c)
	})
	for name, deliver := range map[string]bool{"queue alone": false, "from the queue": true} {
		b.Run(name, func(b *testing.B) {
			cfg, url := fillQueue(b, b.N, event)
			c := openBench(b)
			to := source.Deliver(func(context.Context, []document.Document) error { return nil })
			if deliver {
				to = c.Deliver
			}
			q := &countedQueue{Queue: queues.Open(cfg, url), done: make(chan struct{})}
			q.left.Store(int64(b.N))
			s := queues.New(queues.Options{Queue: q, InFlight: inFlight})
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			b.SetBytes(size)
			b.ResetTimer()
			go func() { ended <- s.Run(ctx, to) }()
			<-q.done
			b.StopTimer()
			stop()
			if err := <-ended; err != nil {
				b.Error(err)
			}
			closeBench(b, c)
		})
	}
}

// A countedQueue tells when so many messages were deleted.
type countedQueue struct {
	queues.Queue
	left atomic.Int64
	done chan struct{}
}

func (q *countedQueue) Delete(ctx context.Context, messages []queues.Message) []error {
	answers := q.Queue.Delete(ctx, messages)
	if q.left.Add(-int64(len(messages))) == 0 {
		close(q.done)
	}
	return answers
}

// openBench opens a collector as catchment run does, whose bucket takes nothing before the end.
func openBench(b *testing.B) *collector.Collector {
	b.Helper()
	spec := config.Default()
	spec.Journal.Path = b.TempDir()
	e := &engine{logger: slog.New(slog.DiscardHandler), spec: spec, metrics: web.NewMetrics()}
	o, err := e.settings()
	if err != nil {
		b.Fatal(err)
	}
	o.Store = new(mem.Store)
	c, err := collector.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func closeBench(b *testing.B, c *collector.Collector) {
	b.Helper()
	if err := c.Close(); err != nil {
		b.Error(err)
	}
}

func fillQueue(b *testing.B, n int, body func(n int64, buf []byte) []byte) (aws.Config, string) {
	b.Helper()
	c := labtest.NewCloud(b)
	cfg := labtest.Serve(b, c, labsqs.New(c).Wire()).Config(labtest.Administrator, labtest.Region)
	client := sqs.NewFromConfig(cfg)
	made, err := client.CreateQueue(b.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		b.Fatal(err)
	}
	for at := 0; at < n; at += 10 {
		var entries []types.SendMessageBatchRequestEntry
		for i := at; i < min(n, at+10); i++ {
			entries = append(entries, types.SendMessageBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(body(int64(i), nil))),
			})
		}
		if _, err := client.SendMessageBatch(b.Context(), &sqs.SendMessageBatchInput{QueueUrl: made.QueueUrl, Entries: entries}); err != nil {
			b.Fatal(err)
		}
	}
	return cfg, *made.QueueUrl
}
