package importer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/store"
)

// A group of objects that are put together ends at either bound. It waits for no more than the next object, and at
// most one group is being gathered.
const (
	groupObjects = 128
	groupBytes   = 32 << 20 // of lines
)

// backShare is the part of MemoryBytes, one in so many, that segments of the temporary file may take when they come
// back to be put.
const backShare = 4

// gather makes groups of the closed partitions, in their order: of one, where the store cannot put several together.
func (out *output) gather() error {
	defer close(out.groups)
	var group []*partition
	var plain int64
	hand := func() error {
		if len(group) == 0 {
			return nil
		}
		select {
		case out.groups <- group:
			group, plain = nil, 0
			return nil
		case <-out.ctx.Done():
			return out.ctx.Err()
		}
	}
	for p := range out.puts {
		group, plain = append(group, p), plain+p.plain
		if out.o.Group == nil || len(group) >= groupObjects || plain >= groupBytes {
			if err := hand(); err != nil {
				return err
			}
		}
	}
	return hand()
}

func (out *output) putGroups() error {
	for group := range out.groups {
		if err := out.put(group); err != nil {
			return err
		}
	}
	return nil
}

// put puts a group of partitions' objects.
func (out *output) put(group []*partition) error {
	spilled, err := out.await(group)
	if err != nil {
		return err
	}
	if err := out.back.Acquire(out.ctx, spilled); err != nil {
		return err
	}
	defer out.back.Release(spilled)
	objects := make([]store.Keyed, len(group))
	for i, p := range group {
		segments := make([]encode.Segment, len(p.pieces))
		for k, piece := range p.pieces {
			if segments[k], err = out.spill.read(piece); err != nil {
				return err
			}
		}
		kind := out.o.Outputs[p.stream].Compression
		objects[i] = store.Keyed{Key: out.key(p, kind), Body: encode.Join(kind, segments)}
	}
	for i, err := range out.putObjects(objects) {
		if err := out.settle(group[i], objects[i], err); err != nil {
			return err
		}
	}
	return nil
}

// await waits until all segments of a group are compressed; it returns how many bytes of them are in the temporary
// file, at most as many as may come back into memory.
func (out *output) await(group []*partition) (spilled int64, err error) {
	for _, p := range group {
		select {
		case <-p.ready:
		case <-out.ctx.Done():
			return 0, out.ctx.Err()
		}
		for _, piece := range p.pieces {
			if piece.segment.Compressed == nil {
				spilled += int64(piece.length)
			}
		}
	}
	return min(spilled, int64(out.o.MemoryBytes/backShare)), nil
}

// putObjects puts objects, together where the store can. What did not work together is tried again by itself, as the
// store's policy for outages has it.
func (out *output) putObjects(objects []store.Keyed) []error {
	if out.o.Group == nil || len(objects) == 1 {
		errs := make([]error, len(objects))
		for i, o := range objects {
			errs[i] = out.o.Store.Put(out.ctx, o.Key, o.Body)
		}
		return errs
	}
	errs := out.o.Group.PutAll(out.ctx, objects)
	for i, o := range objects {
		var temporary *store.TemporaryError
		if errors.As(errs[i], &temporary) {
			errs[i] = out.o.Store.Put(out.ctx, o.Key, o.Body)
		}
	}
	return errs
}

// settle ends a partition whose object was put, or not.
func (out *output) settle(p *partition, object store.Keyed, err error) error {
	if errors.Is(err, store.ErrExists) && out.o.Existing != nil {
		err = out.compare(err, object.Key, object.Body)
	}
	if err != nil {
		return err // which names the object
	}
	size, err := store.Size(object.Body)
	if err != nil {
		return err
	}
	for _, piece := range p.pieces {
		out.spill.release(piece)
	}
	out.objects.Add(1)
	out.bytes.Add(size)
	out.stored.Add(p.stored)
	out.kept.Add(p.records - p.stored)
	return nil
}

// compare answers for a name that is taken: nil where it is taken by the same lines. Another version of the compressor,
// or another level, gives other bytes for them.
func (out *output) compare(taken error, key string, object io.ReadSeeker) error {
	there, err := out.o.Existing.Get(out.ctx, key)
	if err != nil {
		return fmt.Errorf("%w; compare its lines: %w", taken, err)
	}
	defer there.Close()
	old, err := digestOf(there)
	if err != nil {
		return fmt.Errorf("%w; compare its lines: %w", taken, err)
	}
	if _, err := object.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewind %s: %w", key, err)
	}
	ours, err := digestOf(object)
	if err != nil {
		return fmt.Errorf("read our own lines of %s: %w", key, err)
	}
	if old != ours {
		return fmt.Errorf("%w: its lines are others", taken)
	}
	return nil
}

// digestOf is a digest of an object's lines.
func digestOf(r io.Reader) ([sha256.Size]byte, error) {
	plain, err := document.Open(r)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	h := sha256.New()
	_, err = io.Copy(h, plain)
	return [sha256.Size]byte(h.Sum(nil)), err
}
