package firehose

import (
	"maps"
	"time"
)

// An Amount is what was delivered.
type Amount struct {
	Objects int   `json:"objects"` // or requests
	Records int   `json:"records"`
	Bytes   int64 `json:"bytes"` // as they were written
}

func (a *Amount) add(records, size int) {
	a.Objects++
	a.Records += records
	a.Bytes += int64(size)
}

// counts are what a stream tells of itself: AWS's metrics, and what AWS does not tell.
// https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html
type counts struct {
	IncomingRecords  int
	IncomingBytes    int64
	ThrottledRecords int
	Records          int // after de-aggregation
	DroppedRecords   int // by the function
	LostRecords      int // not delivered in time, or deleted with their stream
	Delivered        [toErrors + 1]Amount
	Posted           Amount
	Failures         map[string]int // by code: records in error records, and tries that failed
}

func (c *counts) add(d *counts) {
	c.IncomingRecords += d.IncomingRecords
	c.IncomingBytes += d.IncomingBytes
	c.ThrottledRecords += d.ThrottledRecords
	c.Records += d.Records
	c.DroppedRecords += d.DroppedRecords
	c.LostRecords += d.LostRecords
	for i, a := range d.Delivered {
		c.Delivered[i].Objects += a.Objects
		c.Delivered[i].Records += a.Records
		c.Delivered[i].Bytes += a.Bytes
	}
	c.Posted.Objects += d.Posted.Objects
	c.Posted.Records += d.Posted.Records
	c.Posted.Bytes += d.Posted.Bytes
	for code, n := range d.Failures {
		c.Failures[code] += n
	}
}

// A Metrics is what Inspect tells of a stream, or of those that are gone.
type Metrics struct {
	IncomingRecords  int            `json:"incomingRecords"`
	IncomingBytes    int64          `json:"incomingBytes"`
	ThrottledRecords int            `json:"throttledRecords"`
	Records          int            `json:"records"`        // after de-aggregation
	DroppedRecords   int            `json:"droppedRecords"` // by the function
	LostRecords      int            `json:"lostRecords"`    // not delivered in time, or deleted with their stream
	Delivered        Amount         `json:"delivered"`      // to the bucket, or the endpoint
	Backup           Amount         `json:"backup"`         // of what came in
	Errors           Amount         `json:"errors"`         // to the error prefix
	Failures         map[string]int `json:"failures"`       // by code: records in error records, and tries that failed
}

func (c *counts) metrics() Metrics {
	m := Metrics{
		IncomingRecords: c.IncomingRecords, IncomingBytes: c.IncomingBytes, ThrottledRecords: c.ThrottledRecords, Records: c.Records,
		DroppedRecords: c.DroppedRecords, LostRecords: c.LostRecords, Delivered: c.Delivered[toData], Backup: c.Delivered[toBackup],
		Errors: c.Delivered[toErrors], Failures: maps.Clone(c.Failures),
	}
	if c.Posted.Objects > 0 {
		m.Delivered.Objects += c.Posted.Objects
		m.Delivered.Records += c.Posted.Records
		m.Delivered.Bytes += c.Posted.Bytes
	}
	return m
}

// A StreamState is what Inspect tells of a stream.
type StreamState struct {
	ARN            string  `json:"arn"`
	Status         string  `json:"status"`
	Version        int     `json:"version"`
	Destination    string  `json:"destination"` // bucket or URL
	PendingRecords int     `json:"pendingRecords"`
	PendingBytes   int64   `json:"pendingBytes"`
	Waiting        int     `json:"waiting"` // batches that wait for another try
	Partitions     int     `json:"partitions"`
	DataFreshness  float64 `json:"dataFreshness"` // age of the oldest record that is not delivered, seconds
	Metrics        Metrics `json:"metrics"`
}

// A State is what Inspect tells.
type State struct {
	Streams      []StreamState `json:"streams"` // by account, region and name; at most 1,000
	More         int           `json:"more"`    // streams beyond them
	PendingBytes int64         `json:"pendingBytes"`
	Deleted      Metrics       `json:"deleted"` // of streams that are gone
}

// maxInspected is how many streams Inspect tells of.
const maxInspected = 1000

// Inspect is the state, for people: a State.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all()
	out := State{Streams: []StreamState{}, PendingBytes: s.pending, Deleted: s.deleted.metrics()}
	out.More = max(len(all)-maxInspected, 0)
	now := s.cloud.Clock.Now()
	for _, st := range all[:len(all)-out.More] {
		out.Streams = append(out.Streams, st.state(now))
	}
	return out
}

func (st *stream) state(now time.Time) StreamState {
	out := StreamState{
		ARN: st.arn, Status: st.status, Version: st.version, Destination: st.plan.main.bucket, Partitions: len(st.partitions),
		Metrics: st.counts.metrics(),
	}
	if st.plan.endpoint != nil {
		out.Destination = st.plan.endpoint.url
	}
	for b := range st.batches {
		if b.stage != toBackup {
			out.PendingRecords += len(b.records)
		}
		for i := range b.records {
			out.PendingBytes += int64(len(b.records[i].data))
		}
		if b.waiting && b.attempts > 0 {
			out.Waiting++
		}
		out.DataFreshness = max(out.DataFreshness, now.Sub(b.oldest).Seconds())
	}
	return out
}
