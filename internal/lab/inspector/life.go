package inspector

import (
	"context"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

// The states of a run.
const (
	stateCreated        = "CREATED"
	stateStartPending   = "START_DATA_COLLECTION_PENDING"
	stateStarting       = "START_DATA_COLLECTION_IN_PROGRESS"
	stateCollecting     = "COLLECTING_DATA"
	stateStopPending    = "STOP_DATA_COLLECTION_PENDING"
	stateCollected      = "DATA_COLLECTED"
	stateEvaluatePend   = "START_EVALUATING_RULES_PENDING"
	stateEvaluating     = "EVALUATING_RULES"
	stateFailed         = "FAILED"
	stateError          = "ERROR"
	stateCompleted      = "COMPLETED"
	stateCompletedWithE = "COMPLETED_WITH_ERRORS"
	stateCanceled       = "CANCELED"
)

var states = []string{
	stateCreated, stateStartPending, stateStarting, stateCollecting, stateStopPending, stateCollected, stateEvaluatePend, stateEvaluating,
	stateFailed, stateError, stateCompleted, stateCompletedWithE, stateCanceled,
}

func (r *run) ended() bool {
	switch r.state {
	case stateFailed, stateError, stateCompleted, stateCompletedWithE, stateCanceled:
		return true
	}
	return false
}

// collecting tells whether a run has not yet begun to end its collection.
func (r *run) collecting() bool {
	switch r.state {
	case stateCreated, stateStartPending, stateStarting, stateCollecting:
		return true
	}
	return false
}

// How long the short states last: taken from a run that AWS's reference shows. Collecting lasts as long as the template
// says, and evaluating longer the more there is.
const (
	createdTime       = 30 * time.Millisecond
	startPendTime     = 31 * time.Millisecond
	startingTime      = 65 * time.Millisecond
	stopPendTime      = 60 * time.Second
	collectedTime     = 252 * time.Millisecond
	evaluatePend      = 120 * time.Millisecond
	evaluatingTime    = 1301 * time.Millisecond
	perFinding        = 20 * time.Millisecond
	longestEvaluation = time.Minute
)

// next gives the state that follows by itself, and after how long.
func (r *run) next() (state string, after time.Duration) {
	switch r.state {
	case stateCreated:
		return stateStartPending, createdTime
	case stateStartPending:
		return stateStarting, startPendTime
	case stateStarting:
		return stateCollecting, startingTime
	case stateCollecting:
		return stateStopPending, time.Duration(r.duration) * time.Second
	case stateStopPending:
		return stateCollected, stopPendTime
	case stateCollected:
		return stateEvaluatePend, collectedTime
	case stateEvaluatePend:
		return stateEvaluating, evaluatePend
	}
	return "", 0
}

// begin starts a run's life. Requires s.mu.
func (s *Service) begin(r *run) { s.enter(r, stateCreated) }

// enter puts a run into a state, tells who wants to know, and plans what follows. Requires s.mu.
func (s *Service) enter(r *run, state string) {
	now := s.now()
	r.state, r.last = state, now
	r.changes = append(r.changes, stateChange{now, state})
	switch state {
	case stateCollecting:
		r.started = now
		s.later(r, time.Duration(r.duration)*time.Second/2, s.peek)
	case stateCollected:
		r.collected = true
	case stateEvaluating:
		s.later(r, 0, s.evaluate)
	}
	if r.ended() {
		r.done = now
	}
	s.tellState(r)
	if following, after := r.next(); following != "" {
		s.later(r, after, func(ctx context.Context, r *run) { s.proceed(ctx, r, following) })
	}
}

// later does something with a run after a time, unless it was stopped or deleted in the meantime.
func (s *Service) later(r *run, after time.Duration, do func(context.Context, *run)) {
	step := r.step
	s.cloud.Clock.After(after, func(ctx context.Context) {
		s.mu.Lock()
		void := r.step != step || s.at(r.place).runs[r.arn] != r
		s.mu.Unlock()
		if !void {
			do(ctx, r)
		}
	})
}

func (s *Service) proceed(_ context.Context, r *run, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter(r, state)
}

// peek reports, halfway through the collection, what can be seen from outside: Network Reachability needs no agent.
func (s *Service) peek(_ context.Context, r *run) {
	s.assess(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := func(f Finding) bool { return r.packageName(f.ServiceAttributes.RulesPackageARN) == NameReachability }
	s.report(r, len(r.pending), seen)
}

// assess asks the assessor, once for a run. It holds no lock meanwhile.
func (s *Service) assess(r *run) {
	s.mu.Lock()
	assessor, told, asked := s.assessor, r.told(), r.pending != nil
	s.mu.Unlock()
	if asked {
		return
	}
	found := assessor.Assess(r.place, told)
	pending := make([]Finding, 0, min(len(found), maxFindings))
	for _, f := range found {
		if r.packageName(f.ServiceAttributes.RulesPackageARN) != "" && len(pending) < maxFindings {
			f.bound()
			pending = append(pending, f)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.pending = pending
}

func (r *run) packageName(arn string) string {
	for _, p := range r.packages {
		if p.ARN == arn {
			return p.Name
		}
	}
	return ""
}

// evaluate reports one half of what is left at once, the rest when the run completes. What can go wrong is a fault of the
// lab on its way from inspector.amazonaws.com to the run, action EvaluateRules: down fails the run, drop ends it in ERROR,
// corrupt lets half of the findings be and ends it COMPLETED_WITH_ERRORS, delay makes it last.
func (s *Service) evaluate(_ context.Context, r *run) {
	s.assess(r)
	trouble := s.cloud.Faults.At(cloud.Occasion{
		Service: "inspector", Action: "EvaluateRules", From: principal, Target: r.arn, Place: r.place,
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	last := stateCompleted
	switch {
	case trouble.Down:
		last = stateFailed
	case trouble.Drop:
		last = stateError
	case trouble.Corrupt:
		last = stateCompletedWithE
		r.pending = r.pending[:len(r.pending)/2]
	}
	if last == stateFailed || last == stateError {
		r.pending = []Finding{}
	}
	lasts := evaluatingTime + trouble.Delay + min(time.Duration(len(r.pending))*perFinding, longestEvaluation)
	all := func(Finding) bool { return true }
	s.report(r, (len(r.pending)+1)/2, all)
	s.later(r, lasts, func(_ context.Context, r *run) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.report(r, len(r.pending), all)
		s.enter(r, last)
	})
}

// report makes findings of at most n of those that are pending and chosen. Requires s.mu.
func (s *Service) report(r *run, n int, chosen func(Finding) bool) {
	here := s.at(r.place)
	var left []Finding
	var made []*stored
	for i, f := range r.pending {
		if len(made) >= n {
			left = append(left, r.pending[i:]...)
			break
		}
		if !chosen(f) {
			left = append(left, f)
			continue
		}
		made = append(made, s.keep(here, r, f))
	}
	if r.pending = left; left == nil {
		r.pending = []Finding{} // was asked for, and all is told
	}
	s.tellFindings(here, r, made)
}

// keep makes a finding of a run. Requires s.mu.
func (s *Service) keep(here *place, r *run, f Finding) *stored {
	now := s.now()
	f.ARN, f.SchemaVersion, f.Service = r.arn+"/finding/"+s.id(), 1, "Inspector"
	f.ServiceAttributes.SchemaVersion, f.ServiceAttributes.AssessmentRunARN = 1, r.arn
	f.UserAttributes = append([]Attribute{}, r.attributes...)
	f.CreatedAt, f.UpdatedAt = now, now
	x := &stored{n: s.number(), Finding: f}
	x.hub = issue(r.place, x)
	if _, known := here.firstSeen[x.hub]; !known {
		here.firstSeen[x.hub] = now
	}
	here.findings[x.ARN] = x
	r.findings = append(r.findings, x.ARN)
	return x
}
