package firehose

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
)

// The transformation contract. https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html

type functionRecord struct {
	RecordID                    string `json:"recordId"`
	ApproximateArrivalTimestamp int64  `json:"approximateArrivalTimestamp"` // ms
	Data                        []byte `json:"data"`
}

type functionRequest struct {
	InvocationID      string           `json:"invocationId"`
	DeliveryStreamARN string           `json:"deliveryStreamArn"`
	Region            string           `json:"region"`
	Records           []functionRecord `json:"records"`
}

type functionResult struct {
	RecordID string `json:"recordId"`
	Result   string `json:"result"`
	Data     []byte `json:"data"`
	Metadata struct {
		PartitionKeys map[string]string `json:"partitionKeys"`
	} `json:"metadata"`
}

type functionAnswer struct {
	Records []functionResult `json:"records"`
}

// Results of a record.
const (
	resultOk      = "Ok"
	resultDropped = "Dropped"
	resultFailed  = "ProcessingFailed"
)

// A failure is an error with the code that error records have.
type failure struct {
	code, message string
}

func (f *failure) Error() string { return f.code + ": " + f.message }

// id is what a function knows a record by: 56 digits, and 6 of the part.
func (r *record) id() string { return fmt.Sprintf("%056d%06d", r.sequence, r.part) }

// request is what the function is sent.
func (s *Service) request(b *batch) ([]byte, error) {
	request := functionRequest{InvocationID: s.cloud.UUID("invocation"), DeliveryStreamARN: b.stream.arn, Region: b.stream.at.Region}
	for i := range b.records {
		r := &b.records[i]
		request.Records = append(request.Records, functionRecord{r.id(), r.arrival.UnixMilli(), r.data})
	}
	return json.Marshal(request)
}

// invoke sends a batch through the function.
func (s *Service) invoke(ctx context.Context, b *batch) {
	body, err := s.request(b)
	if err != nil {
		s.invoked(b, nil, &failure{"Lambda.FunctionError", err.Error()}, false)
		return
	}
	limited, cancel := context.WithTimeout(ctx, s.settings.FunctionTimeout)
	defer cancel()
	answer, err := s.cloud.Deliver(limited, &cloud.Delivery{
		Source: b.stream.arn, From: principal, Account: b.stream.at.Account, Role: b.plan.transform.role, ExternalID: b.stream.at.Account,
		Action: "lambda:InvokeFunction", Target: b.plan.transform.arn, Body: body, Attributes: map[string]string{"invocation-type": "RequestResponse"},
	})
	if errors.Is(limited.Err(), context.DeadlineExceeded) && err != nil { // however the function's service has told it
		err = &cloud.DeliveryError{Code: cloud.CodeTimeout, Err: err, Retry: true}
	}
	if err != nil {
		s.invoked(b, nil, functionFailure(err), true)
		return
	}
	results, broken := readAnswer(answer, b.records)
	s.invoked(b, results, broken, false)
}

// functionFailure names why a function could not be called.
// https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-logs.html
func functionFailure(err error) *failure {
	var code string
	if d, ok := errors.AsType[*cloud.DeliveryError](err); ok {
		code = d.Code
	}
	denied, isDenied := errors.AsType[*cloud.DeniedError](err)
	switch {
	case isDenied && denied.Action == "sts:AssumeRole":
		return &failure{"Lambda.AssumeRoleAccessDenied", err.Error()}
	case code == cloud.CodeNoPermissions:
		return &failure{"Lambda.InvokeAccessDenied", err.Error()}
	case code == cloud.CodeNoResource:
		return &failure{"Lambda.ResourceNotFound", err.Error()}
	case code == cloud.CodeThrottling:
		return &failure{"Lambda.InvokeLimitExceeded", err.Error()}
	case code == cloud.CodeTimeout:
		return &failure{"Lambda.FunctionTimedOut", err.Error()}
	}
	return &failure{"Lambda.FunctionError", "The Lambda function was successfully invoked but it returned an error result. " + err.Error()}
}

// readAnswer holds a function's answer against the contract. Its results are in the order of the records.
func readAnswer(answer []byte, records []record) ([]functionResult, *failure) {
	if len(answer) > maxFunctionBody {
		return nil, &failure{"Lambda.FunctionError", fmt.Sprintf("The function's answer has %d bytes; the limit is %d.", len(answer), maxFunctionBody)}
	}
	var read functionAnswer
	if err := json.Unmarshal(answer, &read, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, &failure{"Lambda.JsonProcessingException", fmt.Sprintf(
			"There was an error parsing JSON processed by Lambda. Ensure that the returned records follow the status model. %v", err)}
	}
	at := make(map[string]int, len(records))
	for i := range records {
		at[records[i].id()] = i
	}
	results := make([]functionResult, len(records))
	for _, r := range read.Records {
		i, known := at[r.RecordID]
		switch {
		case !known:
			return nil, &failure{"Lambda.MissingRecordId", fmt.Sprintf("The function returned the record ID %.100q, which it did not receive.", r.RecordID)}
		case results[i].RecordID != "":
			return nil, &failure{
				"Lambda.DuplicatedRecordId",
				"Multiple records were returned with the same record ID. Ensure that the Lambda function returns unique record IDs for each record.",
			}
		case r.Result != resultOk && r.Result != resultDropped && r.Result != resultFailed:
			return nil, &failure{"Lambda.JsonProcessingException", fmt.Sprintf(
				"There was an error parsing returned records from the Lambda function: result %.100q is not one of Ok, Dropped, ProcessingFailed.", r.Result)}
		}
		results[i] = r
	}
	if len(read.Records) < len(records) {
		return nil, &failure{
			"Lambda.MissingRecordId", "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids.",
		}
	}
	return results, nil
}

// invoked takes up what a function said, or that the call failed.
func (s *Service) invoked(b *batch, results []functionResult, broken *failure, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := b.stream
	if b.done {
		return
	}
	if broken != nil && again && b.attempts <= b.plan.transform.retries {
		s.schedule(b, s.backOff(b.attempts))
		return
	}
	s.finish(b)
	if broken != nil {
		s.reject(st, b.plan, processingFailed, broken.code, broken.message, b.records, b.attempts)
		return
	}
	for i, result := range results {
		r := b.records[i]
		switch result.Result {
		case resultDropped:
			st.counts.DroppedRecords++
		case resultFailed:
			s.reject(st, b.plan, processingFailed, "Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record", []record{r}, b.attempts)
		default:
			r.data, r.keys = result.Data, result.Metadata.PartitionKeys
			s.route(st, b.plan, r, b.attempts)
		}
	}
}
