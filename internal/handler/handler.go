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
	"bytes"
	"context"
	"errors"
	"fmt"
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
	Streams  []Stream // by stream
	Stream   int      // whose records Firehose's are, where no stream is called like the delivery stream
	Newline  bool     // end each line of a transformed record in a newline: Firehose adds none by itself

	// Store takes objects; needed for SQS and assessment runs.
	Store store.Store
	// Assessments is Inspector Classic in a region; needed for assessment runs.
	Assessments func(region string) Assessments

	// Wait waits between attempts, or returns ctx's error; nil: real time.
	Wait func(ctx context.Context, d time.Duration) error
	Now  func() time.Time // nil: time.Now
}

// A Handler handles invocations, one at a time.
type Handler struct {
	o      Options
	router *pipeline.Router
	byName map[string]int // streams
}

// New makes a handler.
func New(o Options) *Handler {
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{o: o, router: o.Pipeline.NewRouter(), byName: make(map[string]int)}
	for i, s := range o.Pipeline.Streams() {
		h.byName[s.Name] = i
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
		return ctx.Err()
	}
}

// ErrUnknown says that an invocation is none of those that a Handler knows.
var ErrUnknown = errors.New("the event is neither Firehose's, nor SQS's, nor does it name an assessment run")

// shape is what tells one kind of invocation from another.
type shape struct {
	DeliveryStream string `json:"deliveryStreamArn"`
	Records        []struct {
		Lower string `json:"eventSource"` // SQS
		Upper string `json:"EventSource"` // SNS
	}
	LowerRecords []struct{} `json:"records"`
}

// Handle handles one invocation. What is wrong with a record is part of the answer; an error means that the invocation as
// a whole is to be repeated.
func (h *Handler) Handle(ctx context.Context, event []byte) ([]byte, error) {
	var s shape
	if err := json.Unmarshal(event, &s, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fmt.Errorf("read the invocation: %w", err)
	}
	switch {
	case s.DeliveryStream != "" && s.LowerRecords != nil:
		return h.transform(event)
	case len(s.Records) > 0 && s.Records[0].Lower == "aws:sqs":
		return h.queue(ctx, event)
	case runARN.Match(event):
		return h.assessments(ctx, event)
	}
	return nil, ErrUnknown
}

// answer encodes an answer without touching what stands in strings.
func answer(v any) ([]byte, error) {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return bytes.TrimSpace(b), nil
}
