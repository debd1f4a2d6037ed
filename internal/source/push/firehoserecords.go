package push

import (
	"errors"
	"fmt"

	"example.org/catchment/internal/scan"
)

// Bounds of Firehose's request.
const (
	maxRecords    = 10_000
	maxRecordData = 1_365_336 // characters of base64: 1,024,000 bytes
)

// How much of the body one value may take before it is given up, in bytes. It also bounds what reading it costs.
const (
	recordWindow = maxRecordData + 4<<10
	otherWindow  = 64 << 10
)

// A recordSpan is a record's base64 in the body, without its quotes.
type recordSpan struct {
	start, end int32
	escaped    bool // it holds a backslash
}

// firehoseRecords is a request's body: {"requestId":"…","timestamp":1578090901599,"records":[{"data":"…"},…]}. The
// zero value is ready and may be used again.
type firehoseRecords struct {
	requestID []byte
	data      []recordSpan
	doc       scan.Document
}

var (
	noPaths   = scan.NewPaths()
	dataPaths = func() *scan.Paths {
		p := scan.NewPaths()
		p.Add("data")
		return p
	}()
)

var errRecordsShape = errors.New("records is not an array of objects with one string, data")

// parse reads b, which must be JSON with nothing behind it. Errors say what is wrong and never hold text of b.
func (f *firehoseRecords) parse(b []byte) error {
	f.requestID, f.data = f.requestID[:0], f.data[:0]
	err := f.object(b)
	if err != nil {
		f.doc = scan.Document{} // what it was not may have made it large
	}
	return err
}

func (f *firehoseRecords) object(b []byte) error {
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return errors.New("not an object")
	}
	var hasID, hasRecords bool
	for i = space(b, i+1); i < len(b) && b[i] != '}'; {
		key, end, err := f.name(b, i)
		if err != nil {
			return err
		}
		i = end
		switch string(key) {
		case "requestId":
			if hasID || i >= len(b) || b[i] != '"' {
				return errors.New("requestId is not one string")
			}
			hasID = true
			if end, err = f.value(b, i, otherWindow, "requestId"); err == nil {
				f.requestID = scan.AppendUnescaped(f.requestID, b[i+1:end-1])
			}
		case "records":
			if hasRecords {
				return errors.New("records is given twice")
			}
			hasRecords = true
			end, err = f.records(b, i)
		default:
			end, err = f.value(b, i, otherWindow, "a member beside requestId and records")
		}
		if err != nil {
			return err
		}
		if i, err = next(b, end, '}'); err != nil {
			return err
		}
	}
	switch {
	case i >= len(b) || space(b, i+1) < len(b):
		return errors.New("not one object")
	case !hasID:
		return errors.New("no requestId")
	case len(f.data) == 0:
		return errors.New("no records")
	}
	return nil
}

// name reads a member's name and colon.
func (f *firehoseRecords) name(b []byte, i int) (key []byte, end int, err error) {
	if b[i] != '"' {
		return nil, i, errors.New("not valid JSON")
	}
	if end, err = f.value(b, i, otherWindow, "a member's name"); err != nil {
		return nil, i, err
	}
	key = b[i+1 : end-1]
	for _, c := range key {
		if c == '\\' {
			key = scan.AppendUnescaped(nil, key)
			break
		}
	}
	if end = space(b, end); end >= len(b) || b[end] != ':' {
		return nil, i, errors.New("not valid JSON")
	}
	return key, space(b, end+1), nil
}

// value reads a value of at most window bytes that nobody wants.
func (f *firehoseRecords) value(b []byte, i, window int, what string) (end int, err error) {
	n, err := f.doc.Scan(b[i:min(len(b), i+window)], noPaths)
	if err != nil && errors.Is(err, scan.ErrIncomplete) && i+window < len(b) {
		return i, fmt.Errorf("%s is longer than %d bytes", what, window)
	}
	if err != nil {
		return i, errors.New("not valid JSON")
	}
	return i + n, nil
}

func (f *firehoseRecords) records(b []byte, i int) (end int, err error) {
	if i >= len(b) || b[i] != '[' {
		return i, errRecordsShape
	}
	for i = space(b, i+1); i < len(b) && b[i] != ']'; {
		if len(f.data) == maxRecords {
			return i, fmt.Errorf("more than %d records", maxRecords)
		}
		if b[i] != '{' {
			return i, errRecordsShape
		}
		n, err := f.doc.Scan(b[i:min(len(b), i+recordWindow)], dataPaths)
		if err != nil && errors.Is(err, scan.ErrIncomplete) && i+recordWindow < len(b) {
			return i, fmt.Errorf("a record has more than %d characters", maxRecordData)
		}
		if err != nil {
			return i, errors.New("not valid JSON")
		}
		if _, twice := f.doc.Duplicate(); twice || len(f.doc.Hits) != 1 {
			return i, errRecordsShape
		}
		h := f.doc.Hits[0]
		switch {
		case h.Kind != scan.String || h.Dotted || h.Pos != 0:
			return i, errRecordsShape
		case h.End-h.Start-2 > maxRecordData:
			return i, fmt.Errorf("a record has more than %d characters", maxRecordData)
		}
		at := int32(i) //nolint:gosec // a body has at most largestBody bytes
		f.data = append(f.data, recordSpan{at + h.Start + 1, at + h.End - 1, h.Escaped})
		if i, err = next(b, i+n, ']'); err != nil {
			return i, err
		}
	}
	if i >= len(b) {
		return i, errors.New("not valid JSON")
	}
	return i + 1, nil
}

// next goes over the comma to the next member or element, or to the bracket that closes them.
func next(b []byte, i int, closing byte) (int, error) {
	i = space(b, i)
	switch {
	case i < len(b) && b[i] == closing:
		return i, nil
	case i < len(b) && b[i] == ',':
		if i = space(b, i+1); i < len(b) && b[i] != closing {
			return i, nil
		}
	}
	return i, errors.New("not valid JSON")
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}
