package collector

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/source"
)

const sealGroup = 256 // batches that share an fsync

// errGrace is the cause that ends the work on what could not be stored in time.
var errGrace = errors.New("the grace is over")

// Run takes what the sources bring and stores it, until ctx is done: then the sources stop, and everything pending is
// stored, all within grace. What is left then stays in the journal, and is no error. Run returns early when a source
// ends with an error, or when the journal cannot go on. It is called once.
func (c *Collector) Run(ctx context.Context, grace time.Duration, sources ...source.Source) error {
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	drain, dctx := errgroup.WithContext(work)
	jobs, done := make(chan *seal), make(chan result, c.o.Puts)
	drain.Go(func() error { defer close(jobs); return c.dispatch(dctx, jobs) })
	workers, wctx := errgroup.WithContext(dctx)
	for range c.o.Puts {
		workers.Go(func() error { return c.put(wctx, jobs, done) })
	}
	drain.Go(func() error { defer close(done); return workers.Wait() })
	drain.Go(func() error { return c.commit(dctx, done) })

	accept, refuse := context.WithCancel(ctx)
	defer refuse()
	defer context.AfterFunc(dctx, refuse)() // a collector that cannot go on takes nothing more
	end := sync.OnceFunc(func() {
		t := time.AfterFunc(grace, func() { stop(errGrace) })
		context.AfterFunc(work, func() { t.Stop() })
	})
	defer context.AfterFunc(ctx, end)()
	intake, ictx := errgroup.WithContext(accept)
	for _, s := range sources {
		intake.Go(func() error {
			if p, ok := s.(source.Patient); ok && p.AfterStored() {
				return p.RunStored(ictx, c.acceptUntil(dctx))
			}
			return s.Run(ictx, c.Deliver)
		})
	}
	if len(sources) == 0 {
		<-ictx.Done()
	}
	err := intake.Wait()
	// Sources have stopped: nothing can arrive behind the back of the drain, and no sender is refused for nothing.
	c.mu.Lock()
	c.draining = true
	c.mu.Unlock()
	c.nudge()
	end() // a source may have ended by itself
	failure := drain.Wait()
	if errors.Is(failure, context.Canceled) && errors.Is(context.Cause(work), errGrace) {
		failure = nil
	}
	return errors.Join(failure, err)
}

// dispatch seals what is due and hands it to the workers.
func (c *Collector) dispatch(ctx context.Context, jobs chan<- *seal) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var unsealed []*seal // taken from the batcher; the disk was full
	for {
		if len(unsealed) == 0 {
			unsealed = c.takeDue()
		}
		wait := time.Duration(-1)
		if len(unsealed) > 0 {
			switch err := c.seal(ctx, unsealed); {
			case err == nil:
				unsealed = nil
				continue
			case disk.NoSpace(err):
				c.delayed("seal", err)
				wait = c.retry
			default:
				return err
			}
		}
		c.mu.Lock()
		next, pending := c.batcher.Next()
		c.wake = next
		if !pending {
			c.wake = time.Time{}
		}
		var head *seal
		if len(c.queue) > 0 {
			head = c.queue[0]
		}
		hungry, full := len(c.queue) < c.o.Puts && len(unsealed) == 0, c.stats.Full
		hurried := !c.hurried.IsZero()
		idle := len(c.sealing) == 0 && c.batcher.Records() == 0
		finished := c.draining && idle
		c.mu.Unlock()
		if finished {
			return nil
		}
		if (full || hurried) && pending && hungry {
			continue
		}
		if full && idle { // what fills the journal has been stored before: no commit will come to delete it
			if err := c.makeRoom(); err != nil {
				return err
			}
		}
		if wait < 0 && pending && hungry { // else a worker that takes from the queue comes first
			wait = max(0, next.Sub(c.o.Now()))
		}
		if wait >= 0 {
			timer.Reset(wait)
		}
		var out chan<- *seal
		if head != nil {
			out = jobs
		}
		select {
		case out <- head:
			c.mu.Lock()
			c.queue = c.queue[1:]
			c.mu.Unlock()
		case <-c.kick:
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		timer.Stop()
	}
}

// takeDue takes batches that are to be sealed: all that are full, at most sealGroup at a time; others that are due only
// as workers want them. While the store is away those go on growing instead, and come as fewer objects. When the journal
// is full all are due, the oldest first, so that senders need not wait for their age.
func (c *Collector) takeDue() []*seal {
	now := c.o.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var seals []*seal
	hungry := len(c.queue) < c.o.Puts
	records := 0
	for len(seals) < sealGroup && records < maxCount { // of several bytes each in the sealed payload
		b, ok := c.batcher.Full()
		if !ok && hungry {
			if b, ok = c.batcher.Due(now); !ok && (c.draining || c.stats.Full) {
				b, ok = c.batcher.Any()
			}
			if !ok {
				b, ok = c.hurriedBatch()
			}
		}
		if !ok {
			break
		}
		s := c.name(b)
		c.sealing[s] = struct{}{}
		seals, records = append(seals, s), records+len(s.positions)
	}
	return seals
}

// name gives a batch its key.
func (c *Collector) name(b batch.Batch) *seal {
	slices.SortFunc(b.Positions, cmp.Compare[batch.Position])
	from := c.stream(b.Stream / 2)
	s := &seal{
		stream: from.Name, version: from.Version, prefix: b.Prefix, rejection: b.Stream%2 == 1,
		kind: from.Compression, level: from.Level, arrival: b.Arrival.UnixMilli(), bytes: b.Bytes, sum: b.Sum,
		positions: b.Positions,
	}
	secret := c.hasher.Digest("object key", nil, nil)
	var numbers []byte
	for _, n := range []uint64{uint64(b.Positions[0]), uint64(len(b.Positions)), b.Sum[0], b.Sum[1]} {
		numbers = binary.LittleEndian.AppendUint64(numbers, n)
	}
	id := batch.NewID(secret[:], []byte(s.stream), []byte(b.Prefix), numbers)
	at := b.Instant
	if from.Location != nil {
		at = at.In(from.Location)
	}
	name := batch.Name(s.stream, s.version, at, id, s.kind.Extension())
	s.key = prefix.Finish(b.Prefix, id) + name
	s.fallback = "errors/refused-key/" + name
	return s
}

// seal makes the keys of batches durable, and queues them.
func (c *Collector) seal(ctx context.Context, seals []*seal) error {
	payloads := make([][]byte, len(seals))
	for i, s := range seals {
		payloads[i] = s.payload()
	}
	positions, err := c.journal.AppendReserved(ctx, payloads)
	if err != nil {
		return fmt.Errorf("seal %d batches: %w", len(seals), err)
	}
	for i, s := range seals {
		s.at = positions[i]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, seals...)
	return nil
}
