package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/catchment/internal/assembly"
	"example.org/catchment/internal/config"
	"example.org/catchment/internal/source/sqs"
	"example.org/catchment/internal/web"
)

// A queueSource is a queue that events are taken from.
type queueSource struct {
	*sqs.Source
	url string
	ack string
}

// waitsForStored tells whether a source deletes messages only when their events are in the bucket.
func waitsForStored(spec *config.Spec) bool {
	for _, s := range spec.Sources {
		if s.SQS != nil && s.SQS.Ack == config.AckStored {
			return true
		}
	}
	return false
}

const queueHint = `the queue's URL, and its region, have to be right, and the role needs sqs:ReceiveMessage, sqs:DeleteMessage and ` +
	`sqs:ChangeMessageVisibility on it, and kms:Decrypt where it has a key of its own`

// openQueue makes the source of a queue. Its region is that of its URL, where that tells. A queue that is not there is an
// error; one that does not answer is waited for.
func (e *engine) openQueue(ctx context.Context, s *config.SQSSource) (*queueSource, error) {
	access := assembly.Access{Profile: e.aws.profile, Region: config.QueueRegion(s.QueueURL)}
	if access.Region == "" {
		access.Region = e.aws.region
	}
	cfg, err := access.Config(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, usageError(withHint(fmt.Errorf("queue %s: its region is not known", s.QueueURL), "give --region REGION, or set AWS_REGION"))
	}
	l := e.logger.With(keyQueue, s.QueueURL)
	q := &queueSource{url: s.QueueURL, ack: s.Ack, Source: sqs.New(sqs.Options{
		Queue: sqs.Open(cfg, s.QueueURL), Stored: s.Ack == config.AckStored, Grace: queueGrace(e.spec.Drain.Grace, s.Ack),
		Events: sqs.Events{
			Delayed: func(doing string, err error) { l.Error("queue does not answer", keyDoing, doing, keyError, err) },
			Recovered: func(doing string, after time.Duration) {
				l.Info("queue answers again", keyDoing, doing, keyOutage, after)
			},
			Returned: func(n int, err error) { l.Warn("messages left in the queue", keyMessages, n, keyError, err) },
		},
	})}
	switch err := q.Check(ctx); {
	case errors.Is(err, sqs.ErrNoQueue):
		return nil, explainQueue(err)
	case err != nil && ctx.Err() == nil:
		l.Error("queue does not answer", keyDoing, "check it", keyError, err)
	}
	e.queues = append(e.queues, q)
	return q, nil
}

// queueGrace is how much of the grace a source may use: to get into the journal takes no time, and all else is stored
// after; to get into the bucket takes what the bucket takes, which the collector waits for at the same time.
func queueGrace(grace time.Duration, ack string) time.Duration {
	if ack == config.AckStored {
		return max(grace/10*8, time.Millisecond) // and a tenth to give back the rest
	}
	return max(grace/2, time.Millisecond)
}

// explainQueue adds the next step to the error of a queue that cannot be worked with.
func explainQueue(err error) error {
	if errors.Is(err, sqs.ErrNoQueue) {
		return withHint(err, queueHint)
	}
	return err
}

// addQueues adds what the queues tell to the state. Where all events come from queues, and none of them answers, others
// are to know.
func (e *engine) addQueues(out *web.State, now time.Time) {
	long := 0
	for _, q := range e.queues {
		s := q.Stats()
		w := web.Queue{URL: q.url, Ack: q.ack, Received: s.Received, Deleted: s.Deleted, Returned: s.Returned, Held: s.Held}
		if !s.Outage.IsZero() {
			w.OutageSeconds, w.OutageError = now.Sub(s.Outage).Seconds(), s.Err.Error()
		}
		if w.OutageSeconds > longOutage.Seconds() {
			long++
		}
		out.Queues = append(out.Queues, w)
	}
	if long > 0 && long == len(e.spec.Sources) {
		out.Reasons = append(out.Reasons, "the queue has not answered for more than "+longOutage.String())
	}
}
