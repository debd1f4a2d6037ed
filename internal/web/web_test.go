package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixed State

func (f fixed) State() State { return State(f) }

func get(tb testing.TB, h http.Handler, path string) (int, string) {
	tb.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(tb.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestMetricsTellTheState(t *testing.T) {
	m := NewMetrics()
	m.Put(20*time.Millisecond, nil)
	m.Put(time.Second, errors.New("away"))
	m.Request("events", 200)
	m.Request("", 404)
	m.Refused("busy")
	h := Handler(fixed{
		Received: 10, Recovered: 1, Stored: 2, Rejected: map[string]int64{"invalid-json": 3}, Filtered: 1, Duplicate: 1,
		Lost: 1, Pending: Pending{Records: 3, Bytes: 400, Partitions: 2, OldestSeconds: 1.5}, Ready: true,
		Journal: Journal{Bytes: 1000, MaxBytes: 5000},
		Queues: []Queue{
			{URL: "a", Received: 9, Deleted: 4, Returned: 2, Held: 3, OutageSeconds: 2.5}, {Received: 1, Deleted: 1, OutageSeconds: 1},
		},
	}, m)
	_, body := get(t, h, "/metrics")
	for _, want := range []string{
		"catchment_received_total 10", "catchment_recovered_total 1", "catchment_stored_total 2",
		`catchment_rejected_total{reason="invalid-json"} 3`, "catchment_filtered_total 1", "catchment_duplicate_total 1",
		"catchment_lost_total 1", "catchment_pending_records 3", "catchment_pending_bytes 400",
		"catchment_pending_partitions 2", "catchment_pending_oldest_seconds 1.5", "catchment_journal_bytes 1000",
		"catchment_journal_max_bytes 5000", `catchment_put_seconds_count{result="ok"} 1`,
		`catchment_put_seconds_count{result="error"} 1`, `catchment_http_requests_total{endpoint="events",status="200"} 1`,
		`catchment_http_requests_total{endpoint="none",status="404"} 1`, `catchment_http_refused_total{reason="busy"} 1`,
		"catchment_ready 1", "catchment_queue_messages_received_total 10", "catchment_queue_messages_deleted_total 5",
		"catchment_queue_messages_returned_total 2", "catchment_queue_messages_held 3", "catchment_queue_outage_seconds 2.5",
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("/metrics lacks %q", want)
		}
	}
}

// What is measured is documented, and nothing else.
func TestEveryMetricIsDocumented(t *testing.T) {
	m := NewMetrics()
	m.Request("events", 200)
	m.Refused("busy")
	_, body := get(t, Handler(fixed{Rejected: map[string]int64{"x": 1}}, m), "/metrics")
	page, err := os.ReadFile("../../doc/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	measured, documented := map[string]bool{}, map[string]bool{}
	for _, name := range regexp.MustCompile(`(?m)^# TYPE (catchment_\w+) `).FindAllStringSubmatch(body, -1) {
		measured[name[1]] = true
	}
	for _, name := range regexp.MustCompile("(?m)^\\| `(catchment_\\w+)").FindAllStringSubmatch(string(page), -1) {
		documented[name[1]] = true
	}
	if diff := cmp.Diff(measured, documented); diff != "" {
		t.Errorf("doc/metrics.md (-measured +documented):\n%s", diff)
	}
}

func TestReadyTellsWhyNot(t *testing.T) {
	for name, tt := range map[string]struct {
		state  fixed
		path   string
		status int
		body   string
	}{
		"ready":                 {fixed{Ready: true}, "/readyz", 200, `{"ready":true}`},
		"not ready":             {fixed{Reasons: []string{"the journal is full"}}, "/readyz", 503, `{"ready":false,"reasons":["the journal is full"]}`},
		"healthy all the same":  {fixed{}, "/healthz", 200, `{"healthy":true}`},
		"nothing else is there": {fixed{}, "/debug/pprof/", 404, "404 page not found"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := get(t, Handler(tt.state, NewMetrics()), tt.path)
			if status != tt.status || strings.TrimSpace(body) != tt.body {
				t.Errorf("answered %d %s, want %d %s", status, body, tt.status, tt.body)
			}
		})
	}
}

func TestStatusIsTheState(t *testing.T) {
	want := State{Version: "v", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Rejected: map[string]int64{"x": 1}, Received: 2}
	_, body := get(t, Handler(fixed(want), NewMetrics()), "/status")
	var got State
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, Handler(fixed{}, NewMetrics())) }()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := Serve(t.Context(), l, nil); err == nil {
		t.Error("serving on a closed listener is no error")
	}
}
