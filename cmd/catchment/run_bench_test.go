package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.org/catchment/internal/collector"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/journal"
	"example.org/catchment/internal/source/push"
	"example.org/catchment/internal/store/mem"
	"example.org/catchment/internal/web"
)

// BenchmarkIntake compares durable intake over HTTP with what the disk can do: group commit of the same bytes by as many
// senders. An operation is one request.
func BenchmarkIntake(b *testing.B) {
	const senders = 64
	for _, events := range []int{1, 10, 100} {
		body := func(n int64, buf []byte) []byte {
			for i := range events {
				buf = fmt.Appendf(buf, `{"version":"0","id":"%d-%d","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub",`+
					`"account":"999999999999","time":"2026-01-02T03:04:05Z","region":"us-east-1","resources":[],"detail":{"findings":[`+
					`{"SchemaVersion":"2018-10-08","Id":"f-%d-%d","AwsAccountId":"%012d","Region":"eu-west-1","ProductFields":{"aws/securityhub/ProductName":`+
					`"Inspector"},"UpdatedAt":"2026-01-02T03:04:05Z","Description":"%s"}]}}`+"\n", n, i, n, i, n%1000, benchText)
			}
			return buf
		}
		b.Run(fmt.Sprintf("disk alone/%d events", events), func(b *testing.B) {
			j, _, err := journal.Open(disk.Real{}, b.TempDir(), journal.Options{})
			if err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			b.SetBytes(int64(len(body(0, nil))))
			b.SetParallelism(senders / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				var buf []byte
				for pb.Next() {
					buf = body(next.Add(1), buf[:0])
					if _, err := j.Append(context.Background(), [][]byte{buf}); err != nil {
						b.Error(err)
					}
				}
			})
			if err := j.Close(); err != nil {
				b.Error(err)
			}
		})
		b.Run(fmt.Sprintf("http/%d events", events), func(b *testing.B) {
			url, stop := benchCollector(b)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
			var next atomic.Int64
			b.SetBytes(int64(len(body(0, nil))))
			b.SetParallelism(senders / runtime.GOMAXPROCS(0))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				var buf []byte
				for pb.Next() {
					buf = body(next.Add(1), buf[:0])
					answer, err := client.Post(url, "application/json", bytes.NewReader(buf)) //nolint:noctx // a benchmark ends by itself
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
					if answer.StatusCode != http.StatusOK {
						b.Errorf("answered %s", answer.Status)
					}
				}
			})
			b.StopTimer()
			client.CloseIdleConnections()
			stop()
		})
	}
}

var benchText = strings.Repeat("Some text of a finding, as long as it is. ", 100)

// benchCollector runs a collector as catchment run does, but for its bucket, which takes nothing before the end.
func benchCollector(b *testing.B) (url string, stop func()) {
	b.Helper()
	spec := config.Default()
	spec.Journal.Path = b.TempDir()
	spec.Streams[0].Buffering.Interval, spec.Streams[0].Buffering.Size = time.Hour, 1<<40
	e := &engine{logger: slog.New(slog.DiscardHandler), spec: spec, metrics: web.NewMetrics()}
	o, err := e.settings()
	if err != nil {
		b.Fatal(err)
	}
	o.Store = new(mem.Store)
	if e.collector, err = collector.Open(o); err != nil {
		b.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	source, err := push.New(push.Options{Listener: l})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := source.Run(ctx, e.collector.Deliver); err != nil {
			b.Error(err)
		}
	})
	return "http://" + l.Addr().String() + push.PathEvents, func() {
		cancel()
		wg.Wait()
		if err := e.collector.Close(); err != nil {
			b.Error(err)
		}
	}
}
