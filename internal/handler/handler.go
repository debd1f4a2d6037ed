// Package handler does one invocation of AWS Lambda.
//
// What is invoked shows in the event, so that one function serves whatever is pointed at it:
//
//	from                                what becomes of it
//	----                                ------------------
//	Firehose, to transform records      each record comes back Ok with its lines and its partition keys, Dropped where the
//	                                    pattern does not match, ProcessingFailed where it is broken
//	SQS, with events as messages        objects in the bucket; messages whose objects could not be put are reported, the
//	                                    others are done
//	SNS or EventBridge, with the ARN    the findings of that run, read from Inspector Classic, become objects in the bucket,
//	of an assessment run                once the run is complete
//
// Everything goes through pipeline.Route, as everywhere. Nothing is kept between invocations: an object's key follows from
// its lines, so an invocation that is repeated puts the same objects, which adds nothing. A message of SQS that is given
// out again beside other messages is stored again: for each version once, use catchment run.
package handler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store"
)

// A Stream says how a stream's objects are made.
type Stream struct {
	Compression encode.Kind
	Level       int            // 0: the compression's default
	Location    *time.Location // of the time in object names; nil: UTC
}

// Options of a Handler. Zero fields mean what their comments say.
type Options struct {
	Pipeline *pipeline.Pipeline
	Streams  []Stream // by stream, as many as the pipeline has
	Stream   string   // whose records Firehose's are; empty: the only one, or the one that is called like the delivery stream
	Newline  bool     // end each transformed record in a newline: Firehose adds none by itself

	// Store takes objects; needed for SQS and assessment runs.
	Store store.Store
	// Assessments is Inspector Classic in a region; needed for assessment runs.
	Assessments func(region string) Assessments

	Events Events
	// Wait waits between attempts, or returns ctx's error; nil: real time.
	Wait func(ctx context.Context, d time.Duration) error
	Now  func() time.Time // nil: time.Now
}

// Events are called, where not nil, at the end of what an invocation did.
type Events struct {
	Transformed func(TransformResult)
	Queued      func(QueueResult)
	Assessed    func(AssessmentResult)
}

// A Handler handles invocations. It is safe for concurrent use.
type Handler struct {
	o           Options
	all         *lane
	alone       []func() (*lane, error) // by stream: the pipeline of that stream alone
	byName      map[string]int          // streams
	compressors []sync.Pool             // by stream
	most        int                     // bytes of an answer to Firehose
	pending     int                     // bytes of lines that wait to be put
}

// A lane is a pipeline with its routers: as many as there were invocations at once.
type lane struct {
	pipeline *pipeline.Pipeline
	routers  sync.Pool
}

func newLane(p *pipeline.Pipeline) *lane {
	return &lane{p, sync.Pool{New: func() any { return p.NewRouter() }}}
}

// New makes a handler.
func New(o Options) *Handler {
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	streams := o.Pipeline.Streams()
	h := &Handler{
		o: o, all: newLane(o.Pipeline), byName: make(map[string]int), compressors: make([]sync.Pool, len(streams)), most: maxAnswer, pending: maxPending,
	}
	for i, s := range streams {
		h.byName[s.Name] = i
		h.alone = append(h.alone, sync.OnceValues(func() (*lane, error) {
			if len(streams) == 1 {
				return h.all, nil
			}
			p, err := pipeline.Compile([]pipeline.Stream{s})
			if err != nil {
				return nil, fmt.Errorf("compile one stream of several: %w", err)
			}
			return newLane(p), nil
		}))
	}
	return h
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Errors of whole invocations.
var (
	// ErrUnknown says that an invocation is none of those that a Handler knows.
	ErrUnknown = errors.New("the event is neither Firehose's, nor SQS's, nor does it name an assessment run")
	// ErrFindings says that somebody pointed findings themselves at the function.
	ErrFindings = errors.New("the event holds findings: send it through Firehose or a queue")
	// ErrNoBucket says that an invocation needs a bucket, and that the function was given none.
	ErrNoBucket = errors.New("there is no bucket to put objects into")
)

// shape is what tells one kind of invocation from another.
type shape struct {
	DeliveryStream string `json:"deliveryStreamArn"`
	Records        []struct {
		Lower string                   `json:"eventSource"` // SQS
		SNS   struct{ Message string } `json:"Sns"`
	}
	LowerRecords []struct{} `json:"records"`
	envelope
}

// envelope is what an event of EventBridge has.
type envelope struct {
	Detail jsontext.Value `json:"detail"`
}

// lenient reads what others sent: a part that is wrong in a way that does not matter is not to stop the rest.
func lenient(b []byte, to any) error {
	return json.Unmarshal(b, to, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// Handle handles one invocation. What is wrong with a record is part of the answer; an error means that the invocation as
// a whole is to be repeated.
func (h *Handler) Handle(ctx context.Context, event []byte) ([]byte, error) {
	ctx, cancel := early(ctx)
	defer cancel()
	var s shape
	if jsontext.Value(event).Kind() == '{' { // a rule's input may be any value: a text, a list
		if err := lenient(event, &s); err != nil {
			return nil, fmt.Errorf("read the invocation: %w", err)
		}
	}
	switch {
	case s.DeliveryStream != "" && s.LowerRecords != nil:
		return h.transform(event)
	case len(s.Records) > 0 && s.Records[0].Lower == "aws:sqs":
		return h.queue(ctx, event)
	case holdsFindings(s):
		return nil, ErrFindings
	case runARN.Match(event):
		return h.assessments(ctx, event)
	}
	return nil, ErrUnknown
}

// holdsFindings tells whether an event, or a message of SNS with one, is of Security Hub. Findings of Inspector Classic
// name their run there too, which is not a reason to read the run once for each.
func holdsFindings(s shape) bool {
	details := []jsontext.Value{s.Detail}
	for _, r := range s.Records {
		var e envelope
		if lenient([]byte(r.SNS.Message), &e) == nil {
			details = append(details, e.Detail)
		}
	}
	for _, d := range details {
		var list struct {
			Findings jsontext.Value `json:"findings"`
		}
		if d.Kind() == '{' && lenient(d, &list) == nil && len(list.Findings) > 0 {
			return true
		}
	}
	return false
}

// early ends somewhat before the invocation does: Lambda kills who is late, and nobody is told what was done by then.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(time.Until(deadline)/10, 3*time.Second)))
}

// answer encodes an answer. What was no UTF-8 is told as U+FFFD.
func answer(v any) ([]byte, error) {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return b, nil
}
