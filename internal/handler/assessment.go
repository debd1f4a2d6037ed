package handler

import (
	"bytes"
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
	// Run tells how far an assessment run is. Where Inspector cannot describe it, the error is an *ItemError.
	Run(ctx context.Context, run string) (Run, error)
	// List gives a page of the ARNs of a run's findings, and the token of the next; "" is the first and the last.
	List(ctx context.Context, run, token string) (findings []string, next string, err error)
	// Describe gives findings, at most maxDescribe, as the JSON that the API sends, and those that it could not give; by ARN.
	Describe(ctx context.Context, findings []string) (described map[string][]byte, failed map[string]*ItemError, err error)
}

// A Run is an assessment run's state.
type Run struct {
	State     string
	Completed time.Time // when it got into its state, if it never completed
}

// An ItemError is why a run or a finding was not described.
type ItemError struct {
	Code  string // ITEM_DOES_NOT_EXIST, LIMIT_EXCEEDED …
	Retry bool
}

func (e *ItemError) Error() string { return "Inspector cannot describe it: " + e.Code }

// The states of a run in which nothing more will be found. Findings are whole in the first two.
// https://docs.aws.amazon.com/inspector/v1/APIReference/API_AssessmentRun.html
const (
	stateCompleted           = "COMPLETED"
	stateCompletedWithErrors = "COMPLETED_WITH_ERRORS"
)

var endStates = []string{stateCompleted, stateCompletedWithErrors, "FAILED", "ERROR", "CANCELED"}

// maxDescribe is how many findings DescribeFindings takes at once.
const maxDescribe = 10

// How often an item that can be asked for again is, and how long the pauses get: a minute altogether.
const (
	attempts   = 10
	firstPause = 200 * time.Millisecond
	maxPause   = 16 * time.Second
)

// runARN finds the ARN of an assessment run wherever it stands: in a message of SNS, which is a text in JSON in a text in
// JSON, or in an event, whose form AWS has never documented. Some write a slash with backslashes there.
var runARN = regexp.MustCompile(`arn:aws[a-z-]{0,16}:inspector:[a-z0-9-]{1,32}:\d{12}:` +
	`target\\*/0-[A-Za-z0-9]{1,32}\\*/template\\*/0-[A-Za-z0-9]{1,32}\\*/run\\*/0-[A-Za-z0-9]{1,32}`)

// completed is the word of SNS's notice that a run is complete.
const completed = "ASSESSMENT_RUN_COMPLETED"

// maxRuns bounds the runs of one invocation: SNS brings one message, EventBridge one event. maxFindings bounds those of a
// run: an account has at most 500 instances in runs.
const (
	maxRuns     = 16
	maxFindings = 1 << 20
)

// An AssessmentResult is what became of the findings of one run.
type AssessmentResult struct {
	Run    string `json:"run"`
	State  string `json:"state"`
	Note   string `json:"note,omitempty"` // why nothing was done
	Listed int    `json:"listed"`
	Counts
}

// assessments stores the findings of the runs that an invocation names. What is wrong with one does not stop the others.
func (h *Handler) assessments(ctx context.Context, event []byte) ([]byte, error) {
	switch {
	case h.o.Store == nil:
		return nil, fmt.Errorf("store the findings of an assessment run: %w", ErrNoBucket)
	case h.o.Assessments == nil:
		return nil, errors.New("store the findings of an assessment run: there is no access to Inspector")
	}
	var runs []string
	for _, match := range runARN.FindAll(event, -1) {
		if run := strings.ReplaceAll(string(match), `\`, ""); !slices.Contains(runs, run) {
			runs = append(runs, run)
		}
		if len(runs) > maxRuns {
			return nil, fmt.Errorf("the event names more than %d assessment runs", maxRuns)
		}
	}
	results := []AssessmentResult{}
	var wrong []error
	for _, run := range runs {
		result, err := h.assessment(ctx, run, bytes.Contains(event, []byte(completed)))
		if err != nil {
			wrong = append(wrong, fmt.Errorf("assessment run %s: %w", run, err))
			continue
		}
		if h.o.Events.Assessed != nil {
			h.o.Events.Assessed(result)
		}
		results = append(results, result)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return answer(results)
}

// assessment stores the findings of one run. Its records arrive when the run was complete, so that doing it twice puts
// the same objects. told says that the notice takes it for complete.
func (h *Handler) assessment(ctx context.Context, run string, told bool) (AssessmentResult, error) {
	api := h.o.Assessments(strings.Split(run, ":")[3])
	result := AssessmentResult{Run: run}
	state, err := h.state(ctx, api, run)
	if err != nil {
		return result, fmt.Errorf("describe it: %w", err)
	}
	if result.State = state.State; state.State != stateCompleted && state.State != stateCompletedWithErrors {
		if told && !slices.Contains(endStates, state.State) { // no other notice will come
			return result, fmt.Errorf("the notice says that it is complete, Inspector says %s", state.State)
		}
		result.Note = "the run is not complete: nothing was done"
		return result, nil
	}
	arns, err := listAll(ctx, api, run)
	if err != nil {
		return result, fmt.Errorf("list its findings: %w", err)
	}
	result.Listed = len(arns)
	router := h.all.routers.Get().(*pipeline.Router) //nolint:forcetypeassert // see newLane
	defer h.all.routers.Put(router)
	b := h.newBundle()
	for chunk := range slices.Chunk(arns, maxDescribe) {
		docs, err := h.describe(ctx, api, chunk)
		if err != nil {
			return result, fmt.Errorf("describe its findings: %w", err)
		}
		for _, doc := range docs {
			router.Route(doc, pipeline.Arrival{Time: state.Completed.UTC()}, func(o *pipeline.Outcome) { b.add(0, o) })
		}
		if b.size >= h.pending {
			if err := b.put(ctx)[0]; err != nil {
				return result, err
			}
		}
	}
	if err := b.put(ctx)[0]; err != nil {
		return result, err
	}
	result.Counts = b.counts
	return result, nil
}

// state tells how far a run is.
func (h *Handler) state(ctx context.Context, api Assessments, run string) (state Run, err error) {
	err = h.patiently(ctx, func() (again, err error) {
		state, err = api.Run(ctx, run)
		if item, ok := errors.AsType[*ItemError](err); ok && item.Retry {
			return err, nil
		}
		return nil, err
	})
	return state, err
}

// patiently does something until there is no reason to do it again, with growing pauses, and not for ever.
func (h *Handler) patiently(ctx context.Context, do func() (again, err error)) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		again, err := do()
		switch {
		case err != nil:
			return err
		case again == nil:
			return nil
		case attempt == attempts:
			return fmt.Errorf("after %d attempts: %w", attempt, again)
		}
		if err := h.o.Wait(ctx, pause); err != nil {
			return fmt.Errorf("%w: %w", again, err)
		}
		pause = min(2*pause, maxPause)
	}
}

// listAll gives the ARNs of all findings of a run, each once, in order.
func listAll(ctx context.Context, api Assessments, run string) ([]string, error) {
	var all []string
	given := make(map[string]bool)
	for token := ""; ; {
		page, next, err := api.List(ctx, run, token)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(all) > maxFindings {
			return nil, fmt.Errorf("there are more than %d", maxFindings)
		}
		if next == "" {
			slices.Sort(all)
			return slices.Compact(all), nil
		}
		if given[next] {
			return nil, errors.New("the same page comes again and again")
		}
		given[next], token = true, next
	}
}

// describe reads findings and asks again for those that may be asked for again. It gives a document for each, in order:
// as it came, or, of one that Inspector does not give, its ARN as broken.
func (h *Handler) describe(ctx context.Context, api Assessments, arns []string) ([]document.Document, error) {
	docs := make(map[string]document.Document, len(arns))
	missing := arns
	err := h.patiently(ctx, func() (again, err error) {
		described, failed, err := api.Describe(ctx, missing)
		if err != nil {
			return nil, err
		}
		var left []string
		for _, arn := range missing {
			finding, ok := described[arn]
			item := failed[arn]
			switch {
			case ok:
				docs[arn] = document.Document{Bytes: finding}
			case item == nil:
				left, again = append(left, arn), fmt.Errorf("finding %s: neither described nor failed", arn)
			case item.Retry:
				left, again = append(left, arn), fmt.Errorf("finding %s: %w", arn, item)
			default:
				docs[arn] = document.Document{Bytes: []byte(arn), Err: &document.RefusedError{Code: "describe-failed", Reason: item.Error()}}
			}
		}
		missing = left
		return again, nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]document.Document, 0, len(arns))
	for _, arn := range arns {
		out = append(out, docs[arn])
	}
	return out, nil
}
