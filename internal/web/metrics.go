package web

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics count what is an event and not a state.
type Metrics struct {
	puts     *prometheus.HistogramVec
	requests *prometheus.CounterVec
	refused  *prometheus.CounterVec
}

// NewMetrics returns metrics that have counted nothing.
func NewMetrics() *Metrics {
	m := &Metrics{
		puts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catchment_put_seconds", Help: "Time that putting an object took, retries included, by result: ok or error.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_http_requests_total", Help: "Requests of senders, by endpoint and HTTP status.",
		}, []string{"endpoint", "status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catchment_http_refused_total", Help: "Requests of senders that were refused, by reason.",
		}, []string{"reason"}),
	}
	for _, result := range []string{"ok", "error"} {
		m.puts.WithLabelValues(result)
	}
	return m
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.puts, m.requests, m.refused, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
}

// Put counts an object that was put, or whose put has ended with err.
func (m *Metrics) Put(took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.puts.WithLabelValues(result).Observe(took.Seconds())
}

// Request counts an answered request; endpoint is of a bounded set.
func (m *Metrics) Request(endpoint string, status int) {
	if endpoint == "" {
		endpoint = "none"
	}
	m.requests.WithLabelValues(endpoint, strconv.Itoa(status)).Inc()
}

// Refused counts a request that was refused; reason is of a bounded set.
func (m *Metrics) Refused(reason string) { m.refused.WithLabelValues(reason).Inc() }

// stateCollector makes metrics of one State a scrape, so that their sums agree.
type stateCollector struct{ v Viewer }

type stateMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*State) float64
}

func stateMetricOf(name, help string, kind prometheus.ValueType, value func(*State) float64) stateMetric {
	return stateMetric{prometheus.NewDesc("catchment_"+name, help, nil, nil), kind, value}
}

var rejectedDesc = prometheus.NewDesc("catchment_rejected_total", "Records that were rejected, by reason.", []string{"reason"}, nil)

// The account: received + recovered = stored + rejected + filtered + duplicate + lost + pending_records.
var stateMetrics = []stateMetric{
	stateMetricOf("received_total", "Records that were taken over.", prometheus.CounterValue,
		func(s *State) float64 { return float64(s.Received) }),
	stateMetricOf("recovered_total", "Records that were pending when the process started.", prometheus.CounterValue,
		func(s *State) float64 { return float64(s.Recovered) }),
	stateMetricOf("stored_total", "Records that are in the bucket.", prometheus.CounterValue,
		func(s *State) float64 { return float64(s.Stored) }),
	stateMetricOf("filtered_total", "Records that no pattern matches.", prometheus.CounterValue,
		func(s *State) float64 { return float64(s.Filtered) }),
	stateMetricOf("duplicate_total", "Records that had been taken before.", prometheus.CounterValue,
		func(s *State) float64 { return float64(s.Duplicate) }),
	stateMetricOf("lost_total", "Records that were damaged in the journal.", prometheus.CounterValue,
		func(s *State) float64 { return float64(s.Lost) }),
	stateMetricOf("pending_records", "Records that are on disk and not in the bucket yet.", prometheus.GaugeValue,
		func(s *State) float64 { return float64(s.Pending.Records) }),
	stateMetricOf("pending_bytes", "Size of the lines that are pending, error records included.", prometheus.GaugeValue,
		func(s *State) float64 { return float64(s.Pending.Bytes) }),
	stateMetricOf("pending_partitions", "Objects to be, error records included.", prometheus.GaugeValue,
		func(s *State) float64 { return float64(s.Pending.Partitions) }),
	stateMetricOf("pending_oldest_seconds", "Age of the oldest pending record; 0 when nothing is pending.", prometheus.GaugeValue,
		func(s *State) float64 { return s.Pending.OldestSeconds }),
	stateMetricOf("error_records_pending", "Error records that are not in the bucket yet.", prometheus.GaugeValue,
		func(s *State) float64 { return float64(s.ErrorRecords.Pending) }),
	stateMetricOf("error_records_stored_total", "Error records that are in the bucket.", prometheus.CounterValue,
		func(s *State) float64 { return float64(s.ErrorRecords.Stored) }),
	stateMetricOf("objects_total", "Objects that were put.", prometheus.CounterValue,
		func(s *State) float64 { return float64(s.Objects) }),
	stateMetricOf("journal_bytes", "Size of the journal.", prometheus.GaugeValue,
		func(s *State) float64 { return float64(s.Journal.Bytes) }),
	stateMetricOf("journal_max_bytes", "Bound of the journal, where senders are told to wait; 0: none.", prometheus.GaugeValue,
		func(s *State) float64 { return float64(s.Journal.MaxBytes) }),
	stateMetricOf("duplicate_window_records", "Records by which duplicates are recognised.", prometheus.GaugeValue,
		func(s *State) float64 { return float64(s.Remembered) }),
	stateMetricOf("store_outage_seconds", "How long the bucket has not taken objects; 0 when it does.", prometheus.GaugeValue,
		func(s *State) float64 { return s.OutageSeconds }),
	stateMetricOf("queue_messages_received_total", "Messages that were received from queues.", prometheus.CounterValue,
		overQueues(func(q *Queue) float64 { return float64(q.Received) })),
	stateMetricOf("queue_messages_deleted_total", "Messages that were deleted from queues.", prometheus.CounterValue,
		overQueues(func(q *Queue) float64 { return float64(q.Deleted) })),
	stateMetricOf("queue_messages_returned_total", "Messages that were left in queues, to come again.", prometheus.CounterValue,
		overQueues(func(q *Queue) float64 { return float64(q.Returned) })),
	stateMetricOf("queue_messages_held", "Messages that were received and neither deleted nor returned yet.", prometheus.GaugeValue,
		overQueues(func(q *Queue) float64 { return float64(q.Held) })),
	stateMetricOf("queue_outage_seconds", "How long the queue that is longest away has been; 0 when all answer.", prometheus.GaugeValue,
		func(s *State) (longest float64) {
			for i := range s.Queues {
				longest = max(longest, s.Queues[i].OutageSeconds)
			}
			return longest
		}),
	stateMetricOf("ready", "1 when documents are taken, else 0.", prometheus.GaugeValue,
		func(s *State) float64 {
			if s.Ready {
				return 1
			}
			return 0
		}),
}

// overQueues sums a value.
func overQueues(value func(*Queue) float64) func(*State) float64 {
	return func(s *State) (sum float64) {
		for i := range s.Queues {
			sum += value(&s.Queues[i])
		}
		return sum
	}
}

func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- rejectedDesc
	for _, m := range stateMetrics {
		ch <- m.desc
	}
}

func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.v.State()
	for reason, n := range s.Rejected {
		ch <- prometheus.MustNewConstMetric(rejectedDesc, prometheus.CounterValue, float64(n), reason)
	}
	for _, m := range stateMetrics {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&s))
	}
}
