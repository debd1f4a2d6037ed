package sqs

import (
	"context"
	"slices"
	"time"

	"example.org/catchment/internal/lab/wire"
)

// A move is a task that moves messages out of a dead-letter queue, guarded by the Service's mu.
type move struct {
	handle      string
	source      string // ARN, like destination
	destination string // empty: where each message came from
	rate        int    // messages a second; 0: all at once
	status      string
	moved       int64
	toMove      int64
	started     time.Time
	reason      string
}

// States of a move.
const (
	moveRunning   = "RUNNING"
	moveCompleted = "COMPLETED"
	moveCancelled = "CANCELLED"
	moveFailed    = "FAILED"
)

// Limits of moves.
const (
	maxMoveRate = 500
	maxMoves    = 10 // of a queue that are listed
	keptMoves   = 1000
)

type startMoveInput struct {
	SourceARN      string `json:"SourceArn"`
	DestinationARN string `json:"DestinationArn"`
	Rate           *int   `json:"MaxNumberOfMessagesPerSecond"`
}

type moveHandle struct {
	TaskHandle string
}

// movable finds the source of a move, by its ARN.
func (s *Service) movable(c *wire.Call, arn, action string) (*queue, error) {
	if arn == "" {
		return nil, missing("SourceArn")
	}
	s.mu.Lock()
	q := s.byARN(arn)
	s.mu.Unlock()
	if q == nil || q.place != c.Place {
		return nil, failure(resourceNotFound, "The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	return q, s.authorize(c, q, action)
}

func (s *Service) startMessageMoveTask(_ context.Context, c *wire.Call, in *startMoveInput) (*moveHandle, error) {
	q, err := s.movable(c, in.SourceARN, "StartMessageMoveTask")
	if err != nil {
		return nil, err
	}
	m := &move{source: q.arn, destination: in.DestinationARN, status: moveRunning}
	if in.Rate != nil {
		if m.rate = *in.Rate; m.rate < 1 || m.rate > maxMoveRate {
			return nil, badValue(m.rate, "MaxNumberOfMessagesPerSecond", "Must be between 1 and 500, if provided.")
		}
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	q.settle(now)
	isTarget := false
	for _, other := range s.queues {
		isTarget = isTarget || other.settings.deadLetter == q.arn
	}
	switch to := s.byARN(in.DestinationARN); {
	case !isTarget:
		return nil, failure(invalidParameterValue, "Source queue must be configured as a Dead Letter Queue.")
	case in.DestinationARN != "" && (to == nil || to.place != c.Place):
		return nil, failure(resourceNotFound, "The resource that you specified for the DestinationArn parameter doesn't exist.")
	case to != nil && (to == q || to.settings.fifo != q.settings.fifo):
		return nil, badValue(in.DestinationARN, "DestinationArn", "Must be another queue of the same type.")
	case slices.ContainsFunc(s.moves, func(m *move) bool { return m.source == q.arn && m.status == moveRunning }):
		return nil, failure(unsupportedOperation, "There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
	}
	m.handle, m.started, m.toMove = s.cloud.UUID("sqs move"), now, int64(q.ready.Len())
	s.moves = append(s.moves, m)
	if len(s.moves) > keptMoves {
		s.moves = slices.Delete(s.moves, 0, 1)
	}
	s.cloud.Clock.Go(func(context.Context) { s.step(m) })
	return &moveHandle{m.handle}, nil
}

// step moves a second's worth of messages.
func (s *Service) step(m *move) {
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.status != moveRunning {
		return
	}
	q := s.byARN(m.source)
	if q == nil {
		m.status, m.reason = moveFailed, "AWS.SimpleQueueService.NonExistentQueue"
		return
	}
	q.settle(now)
	n := m.rate
	if n == 0 {
		n = q.ready.Len()
	}
	for range n {
		if q.ready.Len() == 0 || m.moved >= m.toMove {
			break
		}
		one := q.ready.items[0]
		destination := m.destination
		if destination == "" {
			destination = one.source
		}
		to := s.byARN(destination)
		if to == nil {
			m.status, m.reason = moveFailed, "CouldNotDetermineMessageSource"
			return
		}
		s.moveMessage(q, to, one, now)
		one.source = ""
		m.moved++
	}
	if q.ready.Len() == 0 || m.moved >= m.toMove {
		m.status = moveCompleted
		return
	}
	s.cloud.Clock.At(now.Add(time.Second), func(context.Context) { s.step(m) })
}

type cancelMoveOutput struct {
	Moved int64 `json:"ApproximateNumberOfMessagesMoved"`
}

func (s *Service) cancelMessageMoveTask(_ context.Context, c *wire.Call, in *moveHandle) (*cancelMoveOutput, error) {
	if in.TaskHandle == "" {
		return nil, missing("TaskHandle")
	}
	none := failure(resourceNotFound, "Task does not exist.")
	s.mu.Lock()
	i := slices.IndexFunc(s.moves, func(m *move) bool { return m.handle == in.TaskHandle })
	if i < 0 {
		s.mu.Unlock()
		return nil, none
	}
	m := s.moves[i]
	s.mu.Unlock()
	if _, err := s.movable(c, m.source, "CancelMessageMoveTask"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.status != moveRunning {
		return nil, failure(unsupportedOperation, "Only active tasks can be cancelled.")
	}
	m.status = moveCancelled
	return &cancelMoveOutput{m.moved}, nil
}

type listMovesInput struct {
	SourceARN  string `json:"SourceArn"`
	MaxResults *int
}

type moveEntry struct {
	TaskHandle     string `json:",omitempty"`
	Status         string
	SourceARN      string `json:"SourceArn"`
	DestinationARN string `json:"DestinationArn,omitempty"`
	Rate           int    `json:"MaxNumberOfMessagesPerSecond,omitzero"`
	Moved          int64  `json:"ApproximateNumberOfMessagesMoved"`
	ToMove         int64  `json:"ApproximateNumberOfMessagesToMove"`
	FailureReason  string `json:",omitempty"`
	Started        int64  `json:"StartedTimestamp"` // milliseconds
}

type listMovesOutput struct {
	Results []moveEntry `query:"ListMessageMoveTasksResultEntry,flat"`
}

func (s *Service) listMessageMoveTasks(_ context.Context, c *wire.Call, in *listMovesInput) (*listMovesOutput, error) {
	q, err := s.movable(c, in.SourceARN, "ListMessageMoveTasks")
	if err != nil {
		return nil, err
	}
	limit := 1
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit < 1 || limit > maxMoves {
		return nil, badValue(limit, "MaxResults", "Must be between 1 and 10, if provided.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &listMovesOutput{}
	for _, m := range slices.Backward(s.moves) {
		if m.source != q.arn || len(out.Results) == limit {
			continue
		}
		e := moveEntry{
			Status: m.status, SourceARN: m.source, DestinationARN: m.destination, Rate: m.rate, Moved: m.moved, ToMove: m.toMove,
			FailureReason: m.reason, Started: m.started.UnixMilli(),
		}
		if m.status == moveRunning {
			e.TaskHandle = m.handle
		}
		out.Results = append(out.Results, e)
	}
	return out, nil
}
