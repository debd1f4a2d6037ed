package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"example.org/catchment/internal/disk"
)

// Trim gives up all segments below before, but never the active one; see Roll. Up to two of their files stay to be used
// again: overwriting them is faster than making new ones, and has room on a disk that got full. It first writes down that they are given
// up: so a segment that is missing later was lost, and a crash in between only leaves the rest to the next Open. On a
// full disk that comes second. A Trim that fails may be called again.
func (j *Journal) Trim(before uint32) error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return fmt.Errorf("trim: %w", ErrClosed)
	}
	before = min(before, j.segments[len(j.segments)-1].number)
	if j.segments[0].number >= before {
		j.mu.Unlock()
		return nil
	}
	noted := j.run(context.Background(), j.note(before))
	if noted != nil && !disk.NoSpace(noted) {
		return fmt.Errorf("trim: %w", noted)
	}
	if err := j.remove(before); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	if noted == nil {
		return nil
	}
	j.mu.Lock()
	if err := j.run(context.Background(), j.note(before)); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	return nil
}

// note makes the call that writes down that the segments below before are given up.
func (j *Journal) note(before uint32) *call {
	payload := le.AppendUint32(nil, before)
	return &call{
		kind: kindTrim, payloads: [][]byte{payload}, bytes: frameSize(len(payload)), wake: make(chan struct{}, 1),
	}
}

// remove deletes the segments below before, the oldest first.
func (j *Journal) remove(before uint32) error {
	j.mu.Lock()
	n := 0
	for n < len(j.segments)-1 && j.segments[n].number < before {
		j.size -= j.segments[n].end.Load()
		n++
	}
	given := j.segments[:n]
	j.segments = slices.Clone(j.segments[n:])
	free := maxSpares - len(j.spares)
	j.opened = slices.DeleteFunc(j.opened, func(s *segment) bool { return s.number < before })
	j.mu.Unlock()
	var errs []error
	var spares []spare
	for _, s := range given {
		old := spare{number: s.number, size: s.end.Load()}
		name := filepath.Join(j.dir, s.name)
		errs = append(errs, s.close())
		if free > 0 && old.size >= j.o.SegmentBytes/2 && old.size <= 2*j.o.SegmentBytes {
			free--
			spares = append(spares, old)
			errs = append(errs, j.fsys.Rename(name, filepath.Join(j.dir, old.name())))
			continue
		}
		errs = append(errs, j.fsys.Remove(name))
	}
	errs = append(errs, j.fsys.SyncDir(j.dir))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spares = append(j.spares, spares...)
	return nil
}
