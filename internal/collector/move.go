package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/journal"
)

// A batch that the store does not take, while it takes others, would keep all segments from its first on: a journal
// with one such key would fill up although next to nothing is pending. So once the journal is half full, the records of
// such a batch are written again at its end, with a sealed payload that replaces the first: the key stays, the lines
// stay, and so do the bytes of the object. Records that were written again count only for that payload, so that a crash
// in between changes nothing.

const moveGroup = 1 << 20 // bytes of records that are written again at a time

// stuck reports whether s keeps the journal from being emptied while others are stored. s belongs to the caller.
func (c *Collector) stuck(s *seal) bool {
	limit := c.o.Journal.MaxBytes
	if limit <= 0 || c.journal.Size() < limit/2 {
		return false
	}
	_, active := c.journal.Segments()
	c.mu.Lock()
	defer c.mu.Unlock()
	others := c.stats.Objects > s.objects
	s.objects = c.stats.Objects
	return others && segmentOf(s.positions[0]) < active
}

// move writes the records of s again. s belongs to the caller. When the disk is full, or a record cannot be read, s
// stays where it is.
func (c *Collector) move(ctx context.Context, s *seal) error {
	token := new(claim)
	_, active := c.journal.Segments()
	c.mu.Lock()
	c.appends[token] = active // what is written again is not trimmed before it is accounted for
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.appends, token)
		c.mu.Unlock()
	}()
	moved, err := c.copyRecords(ctx, s)
	var damage *journal.CorruptionError
	if errors.As(err, &damage) || disk.NoSpace(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("move the records of %s: %w", s.key, err)
	}
	next := *s
	next.positions, next.replaces = moved, s.at
	at, err := c.journal.AppendReserved(ctx, [][]byte{next.payload()})
	if err != nil {
		if disk.NoSpace(err) {
			return nil
		}
		return fmt.Errorf("move %s: %w", s.key, err)
	}
	c.mu.Lock()
	for _, p := range moved {
		c.segments[segmentOf(p)]++
	}
	for i, p := range s.positions {
		c.release(p)
		c.moved(p, moved[i])
	}
	s.positions, s.replaces, s.at = moved, s.at, at[0]
	c.mu.Unlock()
	return c.trim()
}

// copyRecords appends the records of s and returns where they are, in the same order.
func (c *Collector) copyRecords(ctx context.Context, s *seal) ([]batch.Position, error) {
	var moved []batch.Position
	var group [][]byte
	size := 0
	for i, p := range s.positions {
		payload, err := c.journal.ReadAt(journalPosition(p), nil)
		if err != nil {
			return nil, err
		}
		payload = slices.Clone(payload)
		payload[0] = payloadMoved
		group, size = append(group, payload), size+len(payload)
		if size < moveGroup && i < len(s.positions)-1 {
			continue
		}
		positions, err := c.journal.AppendReserved(ctx, group)
		if err != nil {
			return nil, err
		}
		for _, at := range positions {
			moved = append(moved, positionOf(at))
		}
		group, size = group[:0], 0
	}
	return moved, nil
}

// release takes a record that is stored, or was moved, off its segment, and reports whether it was the last one there.
// It requires c.mu.
func (c *Collector) release(at batch.Position) bool {
	segment := segmentOf(at)
	if c.segments[segment]--; c.segments[segment] > 0 {
		return false
	}
	delete(c.segments, segment)
	return true
}
