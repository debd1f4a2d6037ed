// Package web shows from outside how a collector is doing.
//
//	/metrics   for Prometheus; doc/metrics.md names each
//	/healthz   200 as long as the process answers
//	/readyz    200 when documents are taken, else 503 with the reasons
//	/status    all of it as JSON, for "catchment status"
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A State is how the collector is doing at one moment. Its JSON is what /status answers.
type State struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Bucket  string    `json:"bucket"`
	Ready   bool      `json:"ready"`
	Reasons []string  `json:"reasons,omitempty"` // why it is not ready

	// received + recovered = stored + rejected + filtered + duplicate + lost + pending.records
	Received  int64            `json:"received"`
	Recovered int64            `json:"recovered"` // pending when the process started
	Stored    int64            `json:"stored"`
	Rejected  map[string]int64 `json:"rejected"` // by reason
	Filtered  int64            `json:"filtered"`
	Duplicate int64            `json:"duplicate"`
	Lost      int64            `json:"lost"`

	Pending      Pending      `json:"pending"`
	ErrorRecords ErrorRecords `json:"error_records"`
	Objects      int64        `json:"objects"`
	Journal      Journal      `json:"journal"`
	Remembered   int          `json:"remembered"` // records by which duplicates are recognised

	OutageSeconds float64 `json:"store_outage_seconds"` // 0: the bucket takes objects
	OutageError   string  `json:"store_outage_error,omitempty"`

	Queues []Queue `json:"queues,omitempty"` // that events are taken from
}

// Queue is how taking messages from a queue goes: received = deleted + returned + held.
type Queue struct {
	URL           string  `json:"url"`
	Ack           string  `json:"ack"`
	Received      int64   `json:"received"`
	Deleted       int64   `json:"deleted"`
	Returned      int64   `json:"returned"` // left in the queue, to come again
	Held          int64   `json:"held"`
	OutageSeconds float64 `json:"outage_seconds"` // 0: it does what it is asked
	OutageError   string  `json:"outage_error,omitempty"`
}

// Pending is what is accepted and not in the bucket yet, error records included but for Records.
type Pending struct {
	Records       int64   `json:"records"`
	Bytes         int64   `json:"bytes"`
	Partitions    int64   `json:"partitions"`
	OldestSeconds float64 `json:"oldest_seconds"` // 0: nothing is pending
}

// ErrorRecords are the records of what was rejected, under the error prefix.
type ErrorRecords struct {
	Pending int64 `json:"pending"`
	Stored  int64 `json:"stored"`
	Lost    int64 `json:"lost"`
}

// Journal is the durable log.
type Journal struct {
	Folder   string `json:"folder"`
	Bytes    int64  `json:"bytes"`
	MaxBytes int64  `json:"max_bytes"` // 0: no bound
}

// A Viewer tells the state. It may be asked at any time.
type Viewer interface {
	State() State
}

// Handler answers for what v tells and m counts.
func Handler(v Viewer, m *Metrics) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.all()...)
	registry.MustRegister(&stateCollector{v})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]bool{"healthy": true})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		s := v.State()
		status := http.StatusOK
		if !s.Ready {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, struct {
			Ready   bool     `json:"ready"`
			Reasons []string `json:"reasons,omitempty"`
		}{s.Ready, s.Reasons})
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, v.State()) })
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the reader has gone: nobody is left to tell
}

// Serve answers on l until ctx is done, and closes it.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 90 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.Shutdown(limit) != nil {
			_ = s.Close() // whoever still reads has had a second
		}
	})
	err := s.Serve(l)
	if !unhook() {
		<-stopped
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}
