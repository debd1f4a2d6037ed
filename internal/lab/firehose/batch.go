package firehose

import (
	"context"
	"encoding/base64"
	"time"
)

// A stage is what a batch waits for.
type stage uint8

const (
	toFunction stage = iota // the Lambda function
	toData                  // the bucket, or, with an endpoint, the endpoint
	toBackup                // the bucket for records as they came in
	toErrors                // the bucket's error prefix
)

// A target tells the open batches of a stream apart.
type target struct {
	stage  stage
	prefix string // evaluated, with dynamic partitioning; else empty
	kind   string // of errors
}

// A record on its way. Its slices are not changed.
type record struct {
	sequence uint64
	part     int               // of what was taken apart
	arrival  time.Time         // approximate, as AWS calls it
	raw      []byte            // as it came in; after de-aggregation
	data     []byte            // as it will be written, without the delimiter
	keys     map[string]string // from the function
}

// A batch is records that are delivered together. It is open until it is full or has waited long enough; then it is
// tried until it is done.
type batch struct {
	target
	stream  *stream
	plan    *plan // in force when it was opened
	records []record
	size    int       // of what the buffer is measured by, bytes
	coded   int       // of the records in base64 in JSON, bytes
	oldest  time.Time // arrival

	attempts int
	first    time.Time // attempt
	turn     uint64    // counts schedules: only the last one holds
	waiting  bool      // for its turn
	done     bool
	key      string // of the object, or the request's id
	body     []byte // of the object
}

// sink is where in S3 a batch goes.
func (b *batch) sink() *sink {
	if b.stage == toBackup {
		return b.plan.backup
	}
	return b.plan.main
}

// limits are those of the batch's buffer.
func (b *batch) limits() (size int, interval time.Duration) {
	switch {
	case b.stage == toFunction:
		return b.plan.transform.size, b.plan.transform.interval
	case b.stage == toData && b.plan.endpoint != nil:
		return b.plan.endpoint.size, b.plan.endpoint.interval
	}
	return b.sink().size, b.sink().interval
}

// delimiter stands behind each record in an object.
func (b *batch) delimiter() []byte {
	switch b.stage {
	case toData:
		return b.plan.delimiter
	case toErrors:
		return []byte("\n")
	case toFunction, toBackup:
	}
	return nil
}

// Bounds of requests.
const (
	maxFunctionBody    = 6 << 20  // Lambda's, of a request and of an answer that is waited for
	maxEndpointBody    = 64 << 20 // before compression
	maxEndpointRecords = 10_000
	envelope           = 2048 // more than what stands around the records
	aroundRecord       = 192  // more than what stands around one
)

// full tells whether a record of a size has no room any more.
func (b *batch) full(coded int) bool {
	switch {
	case len(b.records) == 0:
		return false
	case b.stage == toFunction:
		return envelope+b.coded+coded > maxFunctionBody
	case b.stage == toData && b.plan.endpoint != nil:
		return len(b.records) >= maxEndpointRecords || envelope+b.coded+coded > maxEndpointBody
	}
	return false
}

// add puts a record into the batch that takes those of its target, which it opens where there is none. It closes the
// batch when it is full. Requires that mu is held.
func (s *Service) add(st *stream, p *plan, t target, r record) {
	b := st.open[t]
	coded := aroundRecord + base64.StdEncoding.EncodedLen(len(r.data))
	if b != nil && (b.plan != p || b.full(coded)) {
		s.close(b)
		b = nil
	}
	if b == nil {
		b = &batch{target: t, stream: st, plan: p, oldest: r.arrival}
		st.open[t] = b
		st.batches[b] = struct{}{}
		if t.stage == toData && p.keys != nil {
			st.partitions[t.prefix]++
		}
		_, interval := b.limits()
		s.cloud.Clock.After(interval, func(context.Context) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if st.open[t] == b {
				s.close(b)
			}
		})
	}
	b.records = append(b.records, r)
	b.size += len(r.data) + len(b.delimiter())
	b.coded += coded
	if r.arrival.Before(b.oldest) {
		b.oldest = r.arrival
	}
	s.pending += int64(len(r.data))
	if size, _ := b.limits(); b.size >= size {
		s.close(b)
	}
}

// close ends an open batch and has it delivered. Requires that mu is held.
func (s *Service) close(b *batch) {
	delete(b.stream.open, b.target)
	s.schedule(b, 0)
}

// schedule has a batch tried after a time. What was scheduled for it before does not happen. Requires that mu is held.
func (s *Service) schedule(b *batch, after time.Duration) {
	b.turn++
	b.waiting = true
	turn := b.turn
	s.cloud.Clock.After(after, func(ctx context.Context) { s.try(ctx, b, turn) })
}

// try tries to deliver a batch once.
func (s *Service) try(ctx context.Context, b *batch, turn uint64) {
	s.mu.Lock()
	if b.done || b.turn != turn {
		s.mu.Unlock()
		return
	}
	b.waiting = false
	b.attempts++
	if b.attempts == 1 {
		b.first = s.cloud.Clock.Now()
	}
	s.mu.Unlock()
	switch {
	case b.stage == toFunction:
		s.invoke(ctx, b)
	case b.stage == toData && b.plan.endpoint != nil:
		s.post(ctx, b)
	default:
		s.store(ctx, b)
	}
}

// finish takes a batch away that is delivered, or whose records have gone elsewhere. It tells whether it was still there:
// a stream may have been deleted meanwhile. Requires that mu is held.
func (s *Service) finish(b *batch) bool {
	if b.done {
		return false
	}
	b.done = true
	st := b.stream
	delete(st.batches, b)
	if st.open[b.target] == b {
		delete(st.open, b.target)
	}
	if b.stage == toData && b.plan.keys != nil {
		if st.partitions[b.prefix]--; st.partitions[b.prefix] == 0 {
			delete(st.partitions, b.prefix)
		}
	}
	for i := range b.records {
		s.pending -= int64(len(b.records[i].data))
	}
	return true
}

// lose gives a batch up. Requires that mu is held.
func (s *Service) lose(b *batch) {
	if s.finish(b) && b.stage != toBackup {
		b.stream.counts.LostRecords += len(b.records)
	}
}

// backOff is how long to wait after a number of attempts: 1 s, doubled each time up to 120 s, 15 % more or less.
// https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html
func (s *Service) backOff(attempts int) time.Duration {
	const most = 120 * time.Second
	wait := most
	if attempts < 8 {
		wait = min(most, time.Second<<(attempts-1))
	}
	share := float64(s.cloud.Chance("firehose retry")[0])/255*0.3 + 0.85
	return time.Duration(float64(wait) * share)
}

// Flush delivers what waits, now: buffers before they are full, and what waits for another try. What fails again waits
// again. It must not be called from a task.
func (s *Service) Flush(ctx context.Context) error {
	// Records go through the function, then to their buffer, then, if they fail there, to the error prefix.
	const stages = 3
	seen := make(map[*batch]bool) // each is tried once
	for range stages {
		s.mu.Lock()
		for _, st := range s.all() {
			for _, b := range st.ordered() {
				switch {
				case seen[b]:
				case st.open[b.target] == b:
					s.close(b)
				case b.waiting:
					s.schedule(b, 0)
				}
				seen[b] = true
			}
		}
		s.mu.Unlock()
		if err := s.cloud.Clock.Settle(ctx); err != nil {
			return err
		}
	}
	return nil
}
