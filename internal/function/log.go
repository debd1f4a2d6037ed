package function

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"example.org/catchment/internal/handler"
)

// logTo logs what a person may have to act on: records that failed, messages that stay in the queue, what became of a
// run. The rest is in the metrics of AWS.
func logTo(log *slog.Logger) handler.Events {
	return handler.Events{
		Transformed: func(r handler.TransformResult) {
			if len(r.Failed) == 0 {
				return
			}
			var reasons []slog.Attr
			for _, code := range slices.Sorted(maps.Keys(r.Failed)) {
				reasons = append(reasons, slog.Int(code, r.Failed[code]))
			}
			log.LogAttrs(context.Background(), slog.LevelWarn, "records failed: Firehose keeps them under its error prefix",
				slog.Int("records", r.Records), slog.Int("ok", r.OK), slog.Int("dropped", r.Dropped), slog.GroupAttrs("failed", reasons...))
		},
		Queued: func(r handler.QueueResult) {
			if r.Failed > 0 {
				log.LogAttrs(context.Background(), slog.LevelError, "messages stay in the queue", slog.Int("messages", r.Messages),
					slog.Int("failed", r.Failed), slog.Any("error", r.Err))
			}
			if r.Rejected > 0 {
				log.LogAttrs(context.Background(), slog.LevelWarn, "records were rejected: they are under the error prefix",
					slog.Int("messages", r.Messages), slog.Int("rejected", r.Rejected))
			}
		},
		Assessed: func(r handler.AssessmentResult) {
			what := []slog.Attr{
				slog.String("run", r.Run), slog.String("state", r.State), slog.Int("listed", r.Listed), slog.Int("stored", r.Stored),
				slog.Int("rejected", r.Rejected), slog.Int("filtered", r.Filtered), slog.Int("objects", r.Objects),
			}
			if r.Note != "" {
				log.LogAttrs(context.Background(), slog.LevelWarn, "a run was left alone", append(what, slog.String("why", r.Note))...)
				return
			}
			log.LogAttrs(context.Background(), slog.LevelInfo, "the findings of a run are stored", what...)
		},
	}
}
