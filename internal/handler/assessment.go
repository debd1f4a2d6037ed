package handler

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/pipeline"
)

// Assessments is what is needed of Inspector Classic, in one region.
// https://docs.aws.amazon.com/inspector/v1/APIReference/API_Operations.html
type Assessments interface {
	// Run tells how far an assessment run is.
	Run(ctx context.Context, run string) (Run, error)
	// List gives a page of the ARNs of a run's findings, and the token of the next; "" is the first and the last.
	List(ctx context.Context, run, token string) (findings []string, next string, err error)
	// Describe gives findings, at most maxDescribe, as the JSON that the API sends, and those that it could not give by ARN.
	Describe(ctx context.Context, findings []string) (described [][]byte, failed map[string]FailedItem, err error)
}

// A Run is an assessment run's state.
type Run struct {
	State     string
	Completed time.Time
}

// A FailedItem is why a finding was not described.
type FailedItem struct {
	Code  string // ITEM_DOES_NOT_EXIST, LIMIT_EXCEEDED …
	Retry bool
}

// maxDescribe is how many findings DescribeFindings takes at once.
const maxDescribe = 10

// attempts is how often a finding that can be asked for again is.
const attempts = 5

// runARN finds the ARN of an assessment run wherever it stands: in a message of SNS, which is a text in JSON in a text in
// JSON, or in an event, whose form AWS has never documented.
var runARN = regexp.MustCompile(`arn:aws[a-z-]*:inspector:[a-z0-9-]{1,32}:\d{12}:target/0-[A-Za-z0-9]{1,32}/template/0-[A-Za-z0-9]{1,32}/run/0-[A-Za-z0-9]{1,32}`)

// maxRuns bounds the runs of one invocation: SNS brings one message, EventBridge one event.
const maxRuns = 16

// An AssessmentResult is what became of the findings of one run.
type AssessmentResult struct {
	Run      string `json:"run"`
	State    string `json:"state"` // other than COMPLETED and COMPLETED_WITH_ERRORS: nothing was done, a later notice will come
	Listed   int    `json:"listed"`
	Stored   int    `json:"stored"`
	Rejected int    `json:"rejected"`
	Filtered int    `json:"filtered"`
	Objects  int    `json:"objects"`
}

// assessments stores the findings of the runs that an invocation names.
func (h *Handler) assessments(ctx context.Context, event []byte) ([]byte, error) {
	if h.o.Assessments == nil || h.o.Store == nil {
		return nil, errors.New("the event names an assessment run, but there is no access to Inspector")
	}
	var runs []string
	for _, match := range runARN.FindAll(event, -1) {
		if run := string(match); !slices.Contains(runs, run) {
			runs = append(runs, run)
		}
	}
	if len(runs) > maxRuns {
		return nil, fmt.Errorf("the event names %d assessment runs, over %d", len(runs), maxRuns)
	}
	results := []AssessmentResult{}
	for _, run := range runs {
		result, err := h.assessment(ctx, run)
		if err != nil {
			return nil, fmt.Errorf("assessment run %s: %w", run, err)
		}
		results = append(results, result)
	}
	return answer(results)
}

// assessment stores the findings of one run. Its records arrive when the run was complete, so that doing it twice puts
// the same objects.
func (h *Handler) assessment(ctx context.Context, run string) (AssessmentResult, error) {
	api := h.o.Assessments(strings.Split(run, ":")[3])
	state, err := api.Run(ctx, run)
	if err != nil {
		return AssessmentResult{}, fmt.Errorf("describe it: %w", err)
	}
	result := AssessmentResult{Run: run, State: state.State}
	if state.State != "COMPLETED" && state.State != "COMPLETED_WITH_ERRORS" {
		return result, nil
	}
	arns, err := listAll(ctx, api, run)
	if err != nil {
		return result, err
	}
	result.Listed = len(arns)
	b := h.newBundle()
	source := 0
	route := func(doc document.Document) {
		h.router.Route(doc, pipeline.Arrival{Time: state.Completed.UTC()}, func(o *pipeline.Outcome) { b.add(source, o) })
		source++
	}
	put := func() error {
		for _, err := range b.put(ctx) {
			return err // one is as good as another: the invocation is repeated
		}
		return nil
	}
	for chunk := range slices.Chunk(arns, maxDescribe) {
		if err := h.describe(ctx, api, chunk, route); err != nil {
			return result, err
		}
		if b.size >= maxBundle {
			if err := put(); err != nil {
				return result, err
			}
		}
	}
	if err := put(); err != nil {
		return result, err
	}
	result.Stored, result.Rejected, result.Filtered, result.Objects = b.stored, b.rejected, b.filtered, b.objects
	return result, nil
}

// listAll gives the ARNs of all findings of a run, each once, in order.
func listAll(ctx context.Context, api Assessments, run string) ([]string, error) {
	var all []string
	for token, last := "", ""; ; last = token {
		page, next, err := api.List(ctx, run, token)
		if err != nil {
			return nil, fmt.Errorf("list its findings: %w", err)
		}
		all = append(all, page...)
		if token = next; token == "" {
			break
		}
		if token == last {
			return nil, errors.New("list its findings: the same page comes again and again")
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// describe reads findings, asks again for those that may be asked for again, and hands on each: as it came, or as refused.
func (h *Handler) describe(ctx context.Context, api Assessments, arns []string, route func(document.Document)) error {
	delay := time.Second
	for attempt := 1; len(arns) > 0; attempt++ {
		described, failed, err := api.Describe(ctx, arns)
		if err != nil {
			return fmt.Errorf("describe findings: %w", err)
		}
		for _, finding := range described {
			route(document.Document{Bytes: finding})
		}
		if len(described)+len(failed) < len(arns) {
			return fmt.Errorf("describe findings: asked for %d, got %d and %d failed", len(arns), len(described), len(failed))
		}
		var again []string
		for _, arn := range arns {
			item, wrong := failed[arn]
			switch {
			case !wrong:
			case item.Retry && attempt < attempts:
				again = append(again, arn)
			case item.Retry:
				return fmt.Errorf("describe finding %s: %s after %d attempts", arn, item.Code, attempt)
			default:
				route(document.Document{Bytes: []byte(arn), Err: &document.RefusedError{
					Code: "describe-failed", Reason: "Inspector could not describe this finding: " + item.Code,
				}})
			}
		}
		if arns = again; len(arns) > 0 {
			if err := h.o.Wait(ctx, delay); err != nil {
				return fmt.Errorf("describe findings: %w", err)
			}
			delay *= 2
		}
	}
	return nil
}
