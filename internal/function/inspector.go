package function

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/inspector"
	"github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/handler"
)

// assessments is handler.Assessments over the SDK.
type assessments struct{ client *inspector.Client }

var _ handler.Assessments = (*assessments)(nil)

// Run is handler.Assessments.
func (a *assessments) Run(ctx context.Context, run string) (handler.Run, error) {
	out, err := a.client.DescribeAssessmentRuns(ctx, &inspector.DescribeAssessmentRunsInput{AssessmentRunArns: []string{run}})
	if err != nil {
		return handler.Run{}, err
	}
	if len(out.AssessmentRuns) == 0 {
		return handler.Run{}, itemError(out.FailedItems[run])
	}
	r := out.AssessmentRuns[0]
	completed := time.Time{}
	for _, at := range []*time.Time{r.StateChangedAt, r.CompletedAt} {
		if at != nil {
			completed = *at
		}
	}
	return handler.Run{State: string(r.State), Completed: completed}, nil
}

// List is handler.Assessments.
func (a *assessments) List(ctx context.Context, run, token string) (findings []string, next string, err error) {
	most := int32(100)
	in := &inspector.ListFindingsInput{AssessmentRunArns: []string{run}, MaxResults: &most}
	if token != "" {
		in.NextToken = &token
	}
	out, err := a.client.ListFindings(ctx, in)
	if err != nil {
		return nil, "", err
	}
	if out.NextToken != nil {
		next = *out.NextToken
	}
	return out.FindingArns, next, nil
}

func itemError(failed types.FailedItemDetails) *handler.ItemError {
	return &handler.ItemError{Code: string(failed.FailureCode), Retry: failed.Retryable != nil && *failed.Retryable}
}

// Describe is handler.Assessments. The findings are cut out of the body as it came: the SDK's types would leave out what
// they do not know, and write times in another way.
func (a *assessments) Describe(ctx context.Context, findings []string) (described map[string][]byte, failed map[string]*handler.ItemError, err error) {
	var body []byte
	out, err := a.client.DescribeFindings(ctx, &inspector.DescribeFindingsInput{FindingArns: findings}, func(o *inspector.Options) {
		o.APIOptions = append(o.APIOptions, keepBody(&body))
	})
	if err != nil {
		return nil, nil, err
	}
	// What is wrong with one finding is the pipeline's to judge.
	lenient := json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var raw struct {
		Findings []jsontext.Value `json:"findings"`
	}
	if err := json.Unmarshal(body, &raw, lenient); err != nil {
		return nil, nil, fmt.Errorf("read the findings: %w", err)
	}
	described = make(map[string][]byte, len(raw.Findings))
	for _, f := range raw.Findings {
		var named struct {
			ARN string `json:"arn"`
		}
		if err := json.Unmarshal(f, &named, lenient); err != nil {
			return nil, nil, fmt.Errorf("read the ARN of a finding: %w", err)
		}
		described[named.ARN] = f
	}
	failed = make(map[string]*handler.ItemError, len(out.FailedItems))
	for arn, item := range out.FailedItems {
		failed[arn] = itemError(item)
	}
	return described, failed, nil
}

// maxBody bounds the body of an answer: ten findings of three texts of 20,000 characters are far smaller.
const maxBody = 64 << 20

// keepBody copies the body of an answer before the SDK decodes it. Of several attempts it keeps the last.
func keepBody(to *[]byte) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("KeepBody",
			func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
				out, metadata, err := next.HandleDeserialize(ctx, in)
				response, ok := out.RawResponse.(*smithyhttp.Response)
				if err != nil || !ok {
					return out, metadata, err
				}
				b, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
				_ = response.Body.Close() // it was read, or the error is told
				if err == nil && len(b) > maxBody {
					err = fmt.Errorf("it is longer than %d bytes", maxBody)
				}
				if err != nil {
					return out, metadata, fmt.Errorf("read the answer: %w", err)
				}
				*to = b
				response.Body = io.NopCloser(bytes.NewReader(b))
				return out, metadata, nil
			}), middleware.After)
	}
}
