package document_test

import (
	"testing"
	"time"

	"example.org/catchment/internal/document"
)

func TestErrorRecordsAreOneLineInFirehosesShape(t *testing.T) {
	arrival := time.UnixMilli(1594265943615)
	for name, test := range map[string]struct {
		record document.ErrorRecord
		want   string
	}{
		"of the project's own": {
			document.ErrorRecord{Attempts: 1, Arrival: arrival, Code: "key-null", Message: "a \"b\"\n\xff", Ended: arrival, Raw: []byte("{}")},
			`{"attemptsMade":1,"arrivalTimestamp":1594265943615,"errorCode":"key-null","errorMessage":"a \"b\"\n` + "\uFFFD" + `",` +
				`"attemptEndingTimestamp":1594265943615,"rawData":"e30="}`,
		},
		"of a function": {
			document.ErrorRecord{Attempts: 4, Arrival: arrival, Code: "Lambda.FunctionError", Ended: arrival.Add(time.Second), LambdaARN: "arn:x"},
			`{"attemptsMade":4,"arrivalTimestamp":1594265943615,"errorCode":"Lambda.FunctionError","errorMessage":"",` +
				`"attemptEndingTimestamp":1594265944615,"rawData":"","lambdaArn":"arn:x"}`,
		},
		"of an HTTP endpoint": {
			document.ErrorRecord{Attempts: 5, Arrival: arrival, Code: "HttpEndpoint.DestinationException", Ended: arrival, DataID: "49.0"},
			`{"attemptsMade":5,"arrivalTimestamp":1594265943615,"errorCode":"HttpEndpoint.DestinationException","errorMessage":"",` +
				`"attemptEndingTimestamp":1594265943615,"rawData":"","subsequenceNumber":0,"dataId":"49.0"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(test.record.Append(nil)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
