package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// What drift of a stack or resource can be.
const (
	notChecked = "NOT_CHECKED"
	inSync     = "IN_SYNC"
	drifted    = "DRIFTED"
	modified   = "MODIFIED"
	gone       = "DELETED"
)

// A detection is one look for drift.
type detection struct {
	id, stack string
	status    string
	drift     string
	count     int
	at        time.Time
	reason    string
}

// maxDetections is how many looks for drift are remembered in a place: the newest.
const maxDetections = 1000

// A difference is a property that is not what the template says.
type difference struct {
	PropertyPath   string
	ExpectedValue  string
	ActualValue    string
	DifferenceType string // ADD, REMOVE, NOT_EQUAL
}

type detectInput struct {
	StackName          string
	LogicalResourceIDs []string `json:"LogicalResourceIds"`
	LogicalResourceID  string   `json:"LogicalResourceId"`
}

type detectOutput struct {
	ID string `json:"StackDriftDetectionId"`
}

// detectDrift looks as the caller: drift detection takes the caller's permission to read.
func (s *Service) detectDrift(_ context.Context, c *wire.Call, in *detectInput) (*detectOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	if st.busy || !st.deleted.IsZero() || st.status == reviewInProgress {
		return nil, validation("Drift detection cannot be performed on stack [%s] while it is in %s state", st.id, st.status)
	}
	d := &detection{id: s.cloud.UUID("drift"), stack: st.id, status: "DETECTION" + inProgress, at: s.cloud.Clock.Now(), drift: notChecked}
	cell := s.at(c.Place)
	if len(cell.drifts) >= maxDetections {
		clear(cell.drifts)
	}
	cell.drifts[d.id] = d
	who := c.Who
	s.cloud.Clock.After(step, func(ctx context.Context) { s.detect(ctx, st, who, in.LogicalResourceIDs, d) })
	return &detectOutput{d.id}, nil
}

func (s *Service) detect(ctx context.Context, st *stack, who cloud.Identity, only []string, d *detection) {
	w := &worker{Service: s, stack: st, plan: st.plan, who: who}
	for _, r := range st.sorted() {
		if len(only) == 0 || slices.Contains(only, r.logical) {
			w.look(ctx, r)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.drift = inSync
	for _, r := range st.resources {
		if r.drift == modified || r.drift == gone {
			d.drift = drifted
			d.count++
		}
	}
	d.status = "DETECTION" + complete
	st.drift, st.driftChecked = d.drift, s.cloud.Clock.Now()
}

// look holds a resource against what its template says.
func (w *worker) look(ctx context.Context, r *resource) {
	w.mu.Lock()
	now := *r
	w.mu.Unlock()
	k := kinds[now.kind]
	drift, actual, found := notChecked, map[string]any(nil), []difference(nil)
	if k != nil && k.read != nil && now.physical != "" && !strings.HasPrefix(now.status, wordDelete) {
		have, err := k.read(ctx, w.job(&now))
		switch {
		case isGone(err):
			drift = gone
		case err == nil:
			drift, actual, found = inSync, have, differences(now.properties, have)
			if len(found) > 0 {
				drift = modified
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r.drift, r.actual, r.differences, r.driftTime = drift, actual, found, w.cloud.Clock.Now()
}

// differences tells what of the properties that a template gives is another now, as far as that can be read.
func differences(expected, actual map[string]any) []difference {
	var out []difference
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		have, readable := actual[name]
		if readable {
			contrastValues("/"+name, expected[name], have, &out)
		}
	}
	return out
}

func contrastValues(path string, expected, actual any, out *[]difference) {
	want, isObject := expected.(map[string]any)
	have, alsoObject := actual.(map[string]any)
	if isObject && alsoObject {
		for _, key := range slices.Sorted(maps.Keys(want)) {
			contrastValues(path+"/"+key, want[key], have[key], out)
		}
		return
	}
	wantList, isList := expected.([]any)
	haveList, alsoList := actual.([]any)
	if isList && alsoList && len(wantList) == len(haveList) {
		for i := range wantList {
			contrastValues(path+"/"+strconv.Itoa(i), wantList[i], haveList[i], out)
		}
		return
	}
	if same(expected, actual) {
		return
	}
	kind := "NOT_EQUAL"
	if actual == nil {
		kind = "REMOVE"
	}
	*out = append(*out, difference{path, shownValue(expected), shownValue(actual), kind})
}

type detectionInput struct {
	ID string `json:"StackDriftDetectionId"`
}

type detectionOutput struct {
	StackID                   string `json:"StackId"`
	StackDriftDetectionID     string `json:"StackDriftDetectionId"`
	StackDriftStatus          string `json:",omitempty"`
	DetectionStatus           string
	DetectionStatusReason     string `json:",omitempty"`
	DriftedStackResourceCount int
	Timestamp                 wire.Epoch
}

func (s *Service) describeDetection(_ context.Context, c *wire.Call, in *detectionInput) (*detectionOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.at(c.Place).drifts[in.ID]
	if d == nil {
		return nil, validation("Drift detection [%s] does not exist", in.ID)
	}
	return &detectionOutput{d.stack, d.id, d.drift, d.status, d.reason, d.count, wire.Epoch{Time: d.at}}, nil
}

type shownDrift struct {
	StackID                  string `json:"StackId"`
	LogicalResourceID        string `json:"LogicalResourceId"`
	PhysicalResourceID       string `json:"PhysicalResourceId,omitempty"`
	ResourceType             string
	ExpectedProperties       string `json:",omitempty"`
	ActualProperties         string `json:",omitempty"`
	PropertyDifferences      []difference
	StackResourceDriftStatus string
	Timestamp                wire.Epoch
}

func (r *resource) showDrift(st *stack) shownDrift {
	return shownDrift{
		st.id, r.logical, r.physical, r.kind, jsonText(r.properties), jsonText(r.actual), r.differences, r.drift, wire.Epoch{Time: r.driftTime},
	}
}

type driftsInput struct {
	StackName                       string
	StackResourceDriftStatusFilters []string
	NextToken                       string
}

type driftsOutput struct {
	StackResourceDrifts []shownDrift
	NextToken           string `json:",omitempty"`
}

func (s *Service) describeDrifts(_ context.Context, c *wire.Call, in *driftsInput) (*driftsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(c.Place, in.StackName)
	if err != nil {
		return nil, err
	}
	var all []shownDrift
	for _, r := range st.sorted() {
		if !r.driftTime.IsZero() && (len(in.StackResourceDriftStatusFilters) == 0 || slices.Contains(in.StackResourceDriftStatusFilters, r.drift)) {
			all = append(all, r.showDrift(st))
		}
	}
	some, next, err := page(all, in.NextToken, pageSize)
	return &driftsOutput{some, next}, err
}

type resourceDriftOutput struct{ StackResourceDrift shownDrift }

// detectResourceDrift answers when it has looked.
func (s *Service) detectResourceDrift(ctx context.Context, c *wire.Call, in *detectInput) (*resourceDriftOutput, error) {
	s.mu.Lock()
	st, err := s.find(c.Place, in.StackName)
	var r *resource
	if err == nil {
		switch r = st.resources[in.LogicalResourceID]; {
		case r == nil:
			err = validation("Resource %s does not exist for stack %s", in.LogicalResourceID, st.name)
		case st.busy:
			err = validation("Drift detection cannot be performed on stack [%s] while it is in %s state", st.id, st.status)
		}
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	(&worker{Service: s, stack: st, plan: st.plan, who: c.Who}).look(ctx, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	return &resourceDriftOutput{r.showDrift(st)}, nil
}
