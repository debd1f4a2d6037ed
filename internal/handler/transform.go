package handler

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pipeline"
)

// The contract of a transformation.
// https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-status-model.html
const (
	resultOK      = "Ok"
	resultDropped = "Dropped"
	resultFailed  = "ProcessingFailed"
)

// maxAnswer bounds the answer to Firehose in bytes. Lambda takes 6 MB, which its own refusals reckon as 6 MiB and a bit.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const maxAnswer = 6_000_000

type firehoseEvent struct {
	DeliveryStreamARN string           `json:"deliveryStreamArn"`
	Records           []firehoseRecord `json:"records"`
}

type firehoseRecord struct {
	RecordID string `json:"recordId"`
	Arrival  int64  `json:"approximateArrivalTimestamp"` // milliseconds
	Data     string `json:"data"`                        // base64
}

type transformed struct {
	RecordID string    `json:"recordId"`
	Result   string    `json:"result"`
	Data     string    `json:"data,omitempty"`
	Metadata *metadata `json:"metadata,omitempty"`
}

type metadata struct {
	PartitionKeys map[string]string `json:"partitionKeys"`
}

// A TransformResult is what became of the records of one invocation by Firehose. OK, Dropped and those of Failed are all.
type TransformResult struct {
	Records, OK, Dropped int
	// Failed is how many records failed by reason: an errorCode of an error record, or one of the words below.
	Failed map[string]int
}

// Why a record fails that the pipeline has nothing to say about.
const (
	failedBase64 = "invalid-base64"
	failedEmpty  = "empty"          // there is no document in it
	failedPlaces = "several-places" // its findings have different partition keys
	failedSize   = "answer-too-large"
)

// transform answers Firehose. Each record is answered once, in the order in which they came.
func (h *Handler) transform(event []byte) ([]byte, error) {
	var in firehoseEvent
	if err := json.Unmarshal(event, &in, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fmt.Errorf("read Firehose's invocation: %w", err)
	}
	stream, err := h.streamOf(in.DeliveryStreamARN)
	if err != nil {
		return nil, err
	}
	l, err := h.alone[stream]()
	if err != nil {
		return nil, err
	}
	router := l.routers.Get().(*pipeline.Router) //nolint:forcetypeassert // see newLane
	defer l.routers.Put(router)
	names := l.pipeline.KeyNames(0)
	// At worst every record fails: there is room for that, and what is left goes to those that do not.
	room := h.most - len(`{"records":[]}`)
	refusals := make([][]byte, len(in.Records))
	for i, r := range in.Records {
		if refusals[i], err = answer(transformed{RecordID: r.RecordID, Result: resultFailed}); err != nil {
			return nil, err
		}
		room -= len(refusals[i]) + len(",")
	}
	if room < 0 {
		return nil, fmt.Errorf("the answer to %d records would be larger than %d bytes", len(in.Records), h.most)
	}
	result := TransformResult{Records: len(in.Records), Failed: make(map[string]int)}
	out := []byte(`{"records":[`)
	for i, r := range in.Records {
		if i > 0 {
			out = append(out, ',')
		}
		t, failed := h.transformRecord(router, r, names)
		b := refusals[i]
		if failed == "" {
			if b, err = answer(t); err != nil {
				return nil, err
			}
			if room -= len(b) - len(refusals[i]); room < 0 { // Firehose keeps the record as it came, under its error prefix
				room += len(b) - len(refusals[i])
				b, failed = refusals[i], failedSize
			}
		}
		switch {
		case failed != "":
			result.Failed[failed]++
		case t.Result == resultDropped:
			result.Dropped++
		default:
			result.OK++
		}
		out = append(out, b...)
	}
	if h.o.Events.Transformed != nil {
		h.o.Events.Transformed(result)
	}
	return append(out, "]}"...), nil
}

// streamOf is the stream whose records a delivery stream has. Not knowing is an error: with another stream's pattern the
// records would be dropped.
func (h *Handler) streamOf(deliveryStream string) (int, error) {
	if len(h.alone) == 1 {
		return 0, nil
	}
	name := deliveryStream[strings.LastIndexByte(deliveryStream, '/')+1:]
	for _, s := range []string{h.o.Stream, name} {
		if i, ok := h.byName[s]; ok {
			return i, nil
		}
	}
	return 0, fmt.Errorf("the spec has %d streams, and none is called like the delivery stream %q: say which one it is", len(h.alone), name)
}

// transformRecord answers one record, or says why it failed. One that belongs to several places cannot be answered:
// Firehose takes one set of partition keys for each.
func (h *Handler) transformRecord(router *pipeline.Router, r firehoseRecord, names []string) (t transformed, failed string) {
	raw, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		return t, failedBase64
	}
	var lines []byte
	var keys []string // values, by names
	outcomes, stored := 0, 0
	take := func(o *pipeline.Outcome) {
		outcomes++
		switch {
		case failed != "" || o.Kind == pipeline.Filtered:
			return
		case o.Kind == pipeline.Rejected:
			failed = o.Code
			return
		case stored > 0:
			if !slices.EqualFunc(keys, o.Values, func(a string, b []byte) bool { return a == string(b) }) {
				failed = failedPlaces
				return
			}
			lines = append(lines, '\n')
		default:
			for _, v := range o.Values {
				keys = append(keys, string(v))
			}
		}
		stored++
		lines = append(lines, o.Line...)
	}
	document.Split(raw, document.Options{Scan: router.Scan}, func(doc document.Document) bool {
		router.Route(doc, pipeline.Arrival{Time: time.UnixMilli(r.Arrival).UTC()}, take)
		return failed == ""
	})
	switch {
	case failed != "":
		return t, failed
	case outcomes == 0:
		return t, failedEmpty
	case stored == 0:
		return transformed{RecordID: r.RecordID, Result: resultDropped}, ""
	}
	if h.o.Newline {
		lines = append(lines, '\n')
	}
	t = transformed{RecordID: r.RecordID, Result: resultOK, Data: base64.StdEncoding.EncodeToString(lines)}
	if len(names) > 0 {
		t.Metadata = &metadata{make(map[string]string, len(names))}
		for i, name := range names {
			t.Metadata.PartitionKeys[name] = keys[i]
		}
	}
	return t, ""
}
