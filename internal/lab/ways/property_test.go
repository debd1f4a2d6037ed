package ways

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/population"
)

// number reads a variable of the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s %q: expected a number", name, text)
	}
	return n
}

// One organisation after the other, of chance, with chance's faults on the ways: all ways are equal to what Security Hub
// has taken, and to each other.
func TestAllWaysAreEqualWhateverHappens(t *testing.T) {
	first, n := number(t, "CATCHMENT_WAYS_SEED", 1), number(t, "CATCHMENT_WAYS", cases)
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			b := aBuilder(t, r, seed)
			ways := b.buildAll()
			for _, trouble := range someTroubles(r, seed) {
				t.Log("trouble: ", trouble.what)
				trouble.make(b.world, r)
			}
			b.live()
			ways = append(ways, b.imported(ways[0]), b.imported(ways[len(ways)-1]))
			b.expect(ways...)
		})
	}
}

// aBuilder has an organisation of chance, and buffers of chance.
func aBuilder(t *testing.T, r *rand.Rand, seed uint64) *builder {
	t.Helper()
	regions := []string{"ap-northeast-1", "us-east-1"}
	b := newBuilder(newWorld(t, scene{
		seed: seed, accounts: 2 + r.IntN(3), regions: regions[:1+r.IntN(2)], span: time.Duration(4+r.IntN(5)) * time.Hour,
		step: pick(r, 10*time.Minute, 30*time.Minute, time.Hour), hosts: population.Spread{Min: 1, Max: 1 + r.IntN(2)},
	}))
	b.interval, b.partitionInterval = pick[int32](r, 0, 60, 300, 900), pick[int32](r, 60, 300, 900)
	b.lambdaInterval = pick[int32](r, 0, 60, 300)
	return b
}

// someTroubles are, for four seeds of eight, a quarter of all troubles, so that these four have had each; else a few.
func someTroubles(r *rand.Rand, seed uint64) []trouble {
	var out []trouble
	if quarter := seed%8 - 1; quarter < 4 {
		for i := quarter; i < uint64(len(troubles)); i += 4 {
			out = append(out, troubles[i])
		}
		return out
	}
	for range r.IntN(5) {
		out = append(out, pick(r, troubles...))
	}
	return out
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// A trouble is something that no way loses anything by.
type trouble struct {
	what string
	make func(*world, *rand.Rand)
}

// Principals of hops.
const (
	fromInspector = "inspector2.amazonaws.com"
	fromHub       = "securityhub.amazonaws.com"
	fromEvents    = "events.amazonaws.com"
	fromFirehose  = "firehose.amazonaws.com"
)

// some makes a fault of a hop happen at a share of the occasions.
func some(kind cloud.FaultKind, from, service string) func(*world, *rand.Rand) {
	return func(w *world, r *rand.Rand) {
		f := cloud.Fault{Kind: kind, From: from, Service: service, Share: 0.05 + 0.3*r.Float64()}
		if kind == cloud.FaultDelay {
			f.Delay = time.Duration(1+r.IntN(45)) * time.Minute
		}
		w.fault(f)
	}
}

// down makes a hop fail for up to an hour, some time in the organisation's life.
func down(from, service string) func(*world, *rand.Rand) {
	return func(w *world, r *rand.Rand) {
		begin := w.lab.Cloud.Clock.Now().Add(time.Duration(r.Int64N(int64(w.span))))
		w.delayed[byArrival] = true
		f := cloud.Fault{Kind: cloud.FaultDown, From: from, Service: service, Until: begin.Add(time.Duration(1+r.IntN(60)) * time.Minute)}
		w.lab.Cloud.Clock.At(begin, func(context.Context) { w.fault(f) })
	}
}

var troubles = []trouble{
	{"Inspector's findings are late, all by the same", func(w *world, r *rand.Rand) {
		w.fault(cloud.Fault{Kind: cloud.FaultDelay, From: fromInspector, Service: "securityhub", Delay: time.Duration(1+r.IntN(40)) * time.Minute})
	}},
	{"Inspector's findings come twice", some(cloud.FaultDuplicate, fromInspector, "securityhub")},
	{"Security Hub refuses findings", some(cloud.FaultThrottle, fromInspector, "securityhub")},
	{"events come twice", some(cloud.FaultDuplicate, fromHub, "events")},
	{"events are late", some(cloud.FaultDelay, fromHub, "events")},
	{"the bus is throttled", some(cloud.FaultThrottle, fromHub, "events")},
	{"the bus is away", down(fromHub, "events")},

	{"Firehose is given events twice", some(cloud.FaultDuplicate, fromEvents, "firehose")},
	{"Firehose is given events late", some(cloud.FaultDelay, fromEvents, "firehose")},
	{"Firehose is throttled", some(cloud.FaultThrottle, fromEvents, "firehose")},
	{"Firehose is away", down(fromEvents, "firehose")},

	{"queues are given events twice", some(cloud.FaultDuplicate, fromEvents, "sqs")},
	{"queues are given events late", some(cloud.FaultDelay, fromEvents, "sqs")},
	{"queues are throttled", some(cloud.FaultThrottle, fromEvents, "sqs")},
	{"queues are away", down(fromEvents, "sqs")},
	{"queues hand messages out twice", func(w *world, r *rand.Rand) {
		w.doubled = true
		w.must(w.lab.SQS.SetDuplicates(0.05 + 0.2*r.Float64()))
	}},
	{"messages are not deleted by who should", func(w *world, r *rand.Rand) {
		w.doubled = true
		w.fault(cloud.Fault{Kind: cloud.FaultThrottle, Service: "sqs", Action: "DeleteMessage", Share: 0.05 + 0.2*r.Float64()})
		w.fault(cloud.Fault{Kind: cloud.FaultDown, Service: "sqs", Action: "DeleteMessageBatch", Times: 3})
	}},

	{"the API destination is called twice", some(cloud.FaultDuplicate, fromEvents, "events")},
	{"the API destination is called late", some(cloud.FaultDelay, fromEvents, "events")},
	{"the API destination is away", down(fromEvents, "events")},
	{"catchment cannot be reached, and its answers get lost", func(w *world, r *rand.Rand) {
		w.delayed[byArrival] = true
		for _, k := range w.workers {
			k.fail = flaky(rand.New(rand.NewPCG(r.Uint64(), 0)))
		}
	}},
	{"catchment is stopped and started again, with everything left to do", func(w *world, r *rand.Rand) {
		w.restarts = func() bool { return r.IntN(4) == 0 }
	}},

	{"the function is called twice", some(cloud.FaultDuplicate, fromFirehose, "lambda")},
	{"the function takes too long", some(cloud.FaultDelay, fromFirehose, "lambda")},
	{"the function is throttled", some(cloud.FaultThrottle, fromFirehose, "lambda")},
	{"the function is away", down(fromFirehose, "lambda")},

	{"the bucket is put to twice", some(cloud.FaultDuplicate, fromFirehose, "s3")},
	{"the bucket takes too long", some(cloud.FaultDelay, fromFirehose, "s3")},
	{"the bucket is throttled", some(cloud.FaultThrottle, fromFirehose, "s3")},
	{"the bucket is away", down(fromFirehose, "s3")},
}

// flaky makes a push source fail: one of ten requests does not reach it, and of one of ten the answer does not come back.
func flaky(r *rand.Rand) func(http.ResponseWriter) http.ResponseWriter {
	var mu sync.Mutex
	return func(rw http.ResponseWriter) http.ResponseWriter {
		mu.Lock()
		defer mu.Unlock()
		switch r.IntN(10) {
		case 0:
			rw.WriteHeader(http.StatusServiceUnavailable)
			return nil
		case 1:
			rw.WriteHeader(http.StatusInternalServerError)
			return httptest.NewRecorder() // what it says now is heard by nobody
		}
		return rw
	}
}
