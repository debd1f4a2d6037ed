package handler

import (
	"encoding/base64"
	"fmt"
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

// maxAnswer bounds the answer to Firehose: Lambda's 6 MB, less some room for what is around the records.
const maxAnswer = 6<<20 - 64<<10

type firehoseEvent struct {
	DeliveryStreamARN string           `json:"deliveryStreamArn"`
	Records           []firehoseRecord `json:"records"`
}

type firehoseRecord struct {
	RecordID string `json:"recordId"`
	Arrival  int64  `json:"approximateArrivalTimestamp"` // milliseconds
	Data     string `json:"data"`                        // base64
}

type firehoseAnswer struct {
	Records []transformed `json:"records"`
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

// transform answers Firehose. Each record is answered once, in the order in which they came.
func (h *Handler) transform(event []byte) ([]byte, error) {
	var in firehoseEvent
	if err := json.Unmarshal(event, &in, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fmt.Errorf("read Firehose's invocation: %w", err)
	}
	stream := h.o.Stream
	if i, ok := h.byName[in.DeliveryStreamARN[strings.LastIndexByte(in.DeliveryStreamARN, '/')+1:]]; ok {
		stream = i
	}
	names := h.o.Pipeline.KeyNames(stream)
	out := firehoseAnswer{Records: make([]transformed, 0, len(in.Records))}
	room := maxAnswer
	for _, r := range in.Records {
		room -= len(r.RecordID) + len(`{"recordId":"","result":"ProcessingFailed"},`)
	}
	for _, r := range in.Records {
		t := h.transformRecord(r, stream, names)
		size := len(t.Data)
		if t.Metadata != nil {
			size += len(`,"data":"","metadata":{"partitionKeys":{}}`)
			for k, v := range t.Metadata.PartitionKeys {
				size += len(`"":"",`) + len(k) + 6*len(v) // a value may have to be escaped
			}
		}
		if size > room { // Firehose keeps the record as it came, under its error prefix
			t = transformed{RecordID: r.RecordID, Result: resultFailed}
			size = 0
		}
		room -= size
		out.Records = append(out.Records, t)
	}
	return answer(out)
}

// transformRecord answers one record. One that belongs to several places cannot be answered: Firehose takes one set of
// partition keys for each, so it is ProcessingFailed, and kept.
func (h *Handler) transformRecord(r firehoseRecord, stream int, names []string) transformed {
	failed := transformed{RecordID: r.RecordID, Result: resultFailed}
	raw, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		return failed
	}
	var lines []byte
	var keys map[string]string
	broken, stored := false, 0
	document.Split(raw, document.Options{Scan: h.router.Scan}, func(doc document.Document) bool {
		h.router.Route(doc, pipeline.Arrival{Time: time.UnixMilli(r.Arrival).UTC()}, func(o *pipeline.Outcome) {
			switch {
			case o.Stream != stream || o.Kind == pipeline.Filtered:
				broken = broken || o.Kind == pipeline.Rejected && doc.Err != nil // which no stream could read
			case o.Kind == pipeline.Rejected:
				broken = true
			default:
				if stored > 0 && !sameKeys(keys, names, o.Values) {
					broken = true
					return
				}
				if stored > 0 {
					lines = append(lines, '\n')
				}
				stored++
				lines = append(lines, o.Line...)
				if keys == nil && len(names) > 0 {
					keys = make(map[string]string, len(names))
					for i, name := range names {
						keys[name] = string(o.Values[i])
					}
				}
			}
		})
		return !broken
	})
	switch {
	case broken, stored == 0 && len(raw) == 0:
		return failed
	case stored == 0:
		return transformed{RecordID: r.RecordID, Result: resultDropped}
	}
	if h.o.Newline {
		lines = append(lines, '\n')
	}
	t := transformed{RecordID: r.RecordID, Result: resultOK, Data: base64.StdEncoding.EncodeToString(lines)}
	if keys != nil {
		t.Metadata = &metadata{keys}
	}
	return t
}

func sameKeys(keys map[string]string, names []string, values [][]byte) bool {
	for i, name := range names {
		if keys[name] != string(values[i]) {
			return false
		}
	}
	return true
}
