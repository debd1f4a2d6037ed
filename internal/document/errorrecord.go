package document

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// An ErrorRecord is what is written of a record that was given up, in the shape that Firehose writes, so that one reader
// serves both. Times are written in milliseconds. Data Firehose developer guide, "Data delivery failure handling":
// https://docs.aws.amazon.com/firehose/latest/dev/basic-deliver.html
type ErrorRecord struct {
	Attempts int
	Arrival  time.Time
	Code     string
	Message  string
	Ended    time.Time // the last attempt
	Raw      []byte    // the record, whole, as it came in

	LambdaARN string // of the function that took part; empty: none
	DataID    string // of a record that an HTTP endpoint did not take; empty: another destination
}

// Append adds the record as a JSON object on one line, without the newline.
func (r *ErrorRecord) Append(dst []byte) []byte {
	dst = append(dst, `{"attemptsMade":`...)
	dst = strconv.AppendInt(dst, int64(r.Attempts), 10)
	dst = append(dst, `,"arrivalTimestamp":`...)
	dst = strconv.AppendInt(dst, r.Arrival.UnixMilli(), 10)
	dst = appendText(append(dst, `,"errorCode":`...), r.Code)
	dst = appendText(append(dst, `,"errorMessage":`...), r.Message)
	dst = append(dst, `,"attemptEndingTimestamp":`...)
	dst = strconv.AppendInt(dst, r.Ended.UnixMilli(), 10)
	dst = append(dst, `,"rawData":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, r.Raw)
	dst = append(dst, '"')
	if r.LambdaARN != "" {
		dst = appendText(append(dst, `,"lambdaArn":`...), r.LambdaARN)
	}
	if r.DataID != "" {
		dst = appendText(append(dst, `,"subsequenceNumber":0,"dataId":`...), r.DataID)
	}
	return append(dst, '}')
}

func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // it fails for what is not UTF-8 only, and writes U+FFFD for it
	return dst
}
