package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/journal"
	"example.org/catchment/internal/store"
)

// A result is a seal whose object is in the bucket.
type result struct {
	*seal
	size int64
	lost []batch.Position // records that could not be read
}

// frameRoom is more than the journal needs beside a payload to read it in place.
const frameRoom = 1 << 10

// An encoder reads lines and encodes them, for one worker.
type encoder struct {
	c           *Collector
	compressors map[[2]int]*encode.Compressor // by kind and level
	buf         []byte
}

// put is a worker.
func (c *Collector) put(ctx context.Context, jobs <-chan *seal, done chan<- result) error {
	e := &encoder{c: c, compressors: make(map[[2]int]*encode.Compressor)}
	for {
		var s *seal
		select {
		case s = <-jobs:
		case <-ctx.Done():
			return ctx.Err()
		}
		if s == nil { // dispatch has ended: nothing is left
			return nil
		}
		r, err := e.store(ctx, s)
		switch {
		case errors.Is(err, errPatience):
			if c.stuck(s) {
				if err := c.move(ctx, s); err != nil {
					return err
				}
			}
			c.mu.Lock()
			c.queue = append(c.queue, s)
			c.mu.Unlock()
			c.nudge()
			continue
		case err != nil:
			return err
		}
		select {
		case done <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.nudge() // a worker is free: dispatch may have kept batches back
	}
}

// errPatience ends a put that has kept others waiting for too long. It goes to the back of the queue.
var errPatience = errors.New("others wait")

// store puts the object of s. The error is errPatience, ctx's, or one that the collector cannot go on after.
func (e *encoder) store(ctx context.Context, s *seal) (result, error) {
	c := e.c
	object, lost, err := e.encode(s)
	if err != nil {
		return result{}, err
	}
	r := result{seal: s, size: object.Size(), lost: lost}
	if len(lost) == len(s.positions) {
		return r, nil // there is nothing to put
	}
	for _, key := range []string{s.key, s.fallback} {
		limited, cancel := context.WithTimeoutCause(ctx, c.o.Patience, errPatience)
		started := c.o.Now()
		err = c.o.Store.Put(limited, key, object)
		if c.o.Events.Putting != nil {
			c.o.Events.Putting(key, c.o.Now().Sub(started), err)
		}
		over := limited.Err() != nil && ctx.Err() == nil
		cancel()
		var refused *store.KeyError
		switch {
		case err == nil:
			c.stored(r, key)
			return r, nil
		case errors.Is(err, store.ErrExists):
			if c.o.Events.Existed != nil {
				c.o.Events.Existed(key)
			}
			c.stored(r, key)
			return r, nil
		case ctx.Err() != nil:
			return r, ctx.Err()
		case errors.As(err, &refused):
			if c.o.Events.Diverted != nil && key == s.key {
				c.o.Events.Diverted(s.key, s.fallback, err)
			}
			continue
		case over:
			return r, errPatience
		}
		// A store without store.Retry around it: nothing is dropped for that.
		c.delayed("put", err)
		if !sleep(ctx, c.retry) {
			return r, ctx.Err()
		}
		return r, errPatience
	}
	return r, fmt.Errorf("put %s: %w", s.fallback, err)
}

func (c *Collector) stored(r result, key string) {
	if c.o.Events.Stored == nil {
		return
	}
	c.o.Events.Stored(ObjectStored{
		Stream: r.stream, Key: key, Records: len(r.positions) - len(r.lost), Bytes: r.bytes, Size: r.size,
		Waited: c.o.Now().Sub(time.UnixMilli(r.arrival)),
	})
}

// encode reads the records of s and makes its object. The bytes depend on s and on the records alone.
func (e *encoder) encode(s *seal) (*encode.Object, []batch.Position, error) {
	compressor, err := e.compressor(s)
	if err != nil {
		return nil, nil, err
	}
	b := encode.NewBuilder(compressor)
	var lost []batch.Position
	for _, at := range s.positions {
		payload, err := e.c.journal.ReadAt(journalPosition(at), e.buf)
		var damage *journal.CorruptionError
		if err != nil && !errors.As(err, &damage) && !errors.Is(err, journal.ErrTrimmed) {
			return nil, nil, fmt.Errorf("read a record of %s: %w", s.key, err)
		}
		var r recordText
		if err == nil {
			if n := len(payload) + frameRoom; n > len(e.buf) && n <= keepIntake {
				e.buf = make([]byte, 2*n)
			}
			r, err = parseRecord(payload)
		}
		if err != nil {
			lost = append(lost, at)
			if e.c.o.Events.Lost != nil {
				e.c.o.Events.Lost(Lost{Position: journalPosition(at).String(), Key: s.key, Err: err})
			}
			continue
		}
		b.Add(r.line)
	}
	return b.Object(), lost, nil
}

func (e *encoder) compressor(s *seal) (*encode.Compressor, error) {
	k := [2]int{int(s.kind), s.level}
	if c := e.compressors[k]; c != nil {
		return c, nil
	}
	c, err := encode.NewCompressor(s.kind, s.level)
	if err != nil {
		return nil, fmt.Errorf("seal at %v: %w", s.at, err)
	}
	e.compressors[k] = c
	return c, nil
}

// commit writes down what is stored, accounts for it, and deletes the segments that nothing is pending in.
func (c *Collector) commit(ctx context.Context, done <-chan result) error {
	var unwritten []*seal // the disk was full
	for r := range done {
		group := []result{r}
		for more := true; more && len(group) < sealGroup; {
			select {
			case r, ok := <-done:
				if more = ok; ok {
					group = append(group, r)
				}
			default:
				more = false
			}
		}
		for _, r := range group {
			unwritten = append(unwritten, r.seal)
		}
		// Not ctx: what is stored is written down even at the end of the grace.
		_, err := c.journal.AppendReserved(context.WithoutCancel(ctx), [][]byte{appendStored(nil, unwritten)})
		switch {
		case err == nil:
			unwritten = unwritten[:0]
		case disk.NoSpace(err):
			// Deleting segments makes room. Was it forgotten, the same object is put again.
			c.delayed("commit", err)
		default:
			return fmt.Errorf("note what is stored: %w", err)
		}
		if c.account(group) {
			if err := c.makeRoom(); err != nil {
				return err
			}
		}
		c.nudge()
	}
	return nil
}

// account takes stored batches off what is pending, and reports whether a segment has nothing pending any more.
func (c *Collector) account(group []result) (freed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range group {
		delete(c.sealing, r.seal)
		n, lost := int64(len(r.positions)), int64(len(r.lost))
		c.stats.Objects++
		if r.rejection {
			c.stats.Rejections.Pending -= n
			c.stats.Rejections.Stored += n - lost
			c.stats.Rejections.Lost += lost
		} else {
			c.stats.Pending.Records -= n
			c.stats.Stored += n - lost
			c.stats.Lost += lost
		}
		for _, at := range r.positions {
			freed = c.release(at) || freed
			_, lost := slices.BinarySearch(r.lost, at)
			c.left(at, lost)
		}
	}
	return freed
}

// makeRoom deletes what can be deleted. In a full journal that may be the active segment, once another has taken its
// place.
func (c *Collector) makeRoom() error {
	c.mu.Lock()
	full := c.stats.Full
	c.mu.Unlock()
	if full {
		if err := c.journal.Roll(); err != nil && !disk.NoSpace(err) {
			return fmt.Errorf("begin a new segment: %w", err)
		}
	}
	if err := c.trim(); err != nil {
		return err
	}
	if limit := c.o.Journal.MaxBytes; full && (limit == 0 || c.journal.Size() < limit/4*3) {
		c.mu.Lock()
		c.stats.Full = false
		c.mu.Unlock()
	}
	return nil
}

// trim deletes the segments before the first in which something is pending. What they tell of duplicates is brought
// to the window's files before.
func (c *Collector) trim() error {
	c.filing.Lock()
	defer c.filing.Unlock()
	oldest, first := c.journal.Segments()
	c.mu.Lock()
	for segment := range c.segments {
		first = min(first, segment)
	}
	for _, segment := range c.appends {
		first = min(first, segment)
	}
	if first <= oldest {
		c.mu.Unlock()
		return nil
	}
	snapshot := c.window.Snapshot()
	c.mu.Unlock()
	err := c.files.Write(snapshot)
	switch {
	case err == nil:
		c.mu.Lock()
		c.window.Written(snapshot)
		c.mu.Unlock()
	case disk.NoSpace(err):
		// There is room only after: a crash until the next trim may let a duplicate through, and nothing is lost.
		c.delayed("keep the window of duplicates", err)
	default:
		return fmt.Errorf("keep the window of duplicates: %w", err)
	}
	if err := c.journal.Trim(first); err != nil && !disk.NoSpace(err) {
		return fmt.Errorf("trim journal: %w", err)
	}
	return nil
}
