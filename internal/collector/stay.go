package collector

import (
	"context"
	"errors"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/document"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/journal"
)

// A stay is the time of a record between the journal and the bucket, for whoever waits for its end. Records of an earlier
// run have none: they are in a journal that has outlived it.
type stay struct {
	digest duplicate.Digest
	done   chan struct{}
	lost   bool // the object lacks a record; read after done is closed
}

// ErrLost says that a record was damaged in the journal before it was stored: it is to be sent again.
var ErrLost = errors.New("damaged in the journal before it was stored")

// DeliverStored is a source.Deliver that returns nil only when the documents are in the bucket. It works while Run does.
func (c *Collector) DeliverStored(ctx context.Context, docs []document.Document) error {
	stays, err := c.deliver(ctx, docs, true)
	if err != nil {
		return err
	}
	for _, s := range stays {
		select {
		case <-s.done:
			if s.lost {
				return ErrLost
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// track notes that a record has come to the journal. It requires c.mu.
func (c *Collector) track(in *intake, digest duplicate.Digest, at journal.Position) {
	if c.stays == nil {
		c.stays, c.staying = make(map[batch.Position]*stay), make(map[duplicate.Digest]*stay)
	}
	s := &stay{digest: digest, done: make(chan struct{})}
	c.stays[positionOf(at)], c.staying[digest] = s, s
	if in.patient {
		in.stays = append(in.stays, s)
	}
}

// moved notes that a record lies elsewhere in the journal. It requires c.mu.
func (c *Collector) moved(from, to batch.Position) {
	if s := c.stays[from]; s != nil {
		delete(c.stays, from)
		c.stays[to] = s
	}
}

// left ends the stay of a record that is in the bucket. It requires c.mu.
func (c *Collector) left(at batch.Position, lost bool) {
	s := c.stays[at]
	if s == nil {
		return
	}
	delete(c.stays, at)
	if c.staying[s.digest] == s {
		delete(c.staying, s.digest)
	}
	s.lost = lost
	close(s.done)
}

// hurry makes everything pending due.
func (c *Collector) hurry() {
	c.mu.Lock()
	c.hurried = true
	c.mu.Unlock()
	c.nudge()
}
