package collector

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/journal"
)

// recover rebuilds from the journal what an earlier run had in memory: the pending records, the sealed batches, the
// window of duplicates.
func (c *Collector) recover(recovered *journal.Recovered) error {
	for _, gap := range recovered.Lost {
		c.damaged(fmt.Errorf("journal: %v", gap))
	}
	if err := c.openWindow(); err != nil {
		return err
	}
	c.batcher = batch.New(nil)
	c.growLimits()
	c.batcher.Hold() // the sealed payloads that follow take records back
	r := replay{c: c, seals: make(map[journal.Position]*seal), texts: make(map[string]string)}
	if c.o.Stays {
		r.digests = make(map[batch.Position]duplicate.Digest)
	}
	if err := c.journal.Replay(r.payload); err != nil {
		return fmt.Errorf("replay journal: %w", err)
	}
	c.batcher.Release()

	oldest, _ := c.journal.Segments()
	c.queue = slices.SortedFunc(maps.Values(r.seals), func(a, b *seal) int {
		return cmp.Compare(positionOf(a.at), positionOf(b.at))
	})
	c.queue = slices.DeleteFunc(c.queue, func(s *seal) bool {
		// A segment is trimmed when all of its records are stored, each with the whole of its batch.
		return len(s.positions) > 0 && segmentOf(s.positions[0]) < oldest
	})
	told := Recovered{Batches: len(c.queue), Bytes: c.journal.Size()}
	clear(c.segments)
	c.stats.Rejections.Pending, c.stats.Pending.Records = 0, 0
	for _, s := range c.queue {
		c.sealing[s] = struct{}{}
		if s.rejection {
			c.stats.Rejections.Pending += int64(len(s.positions))
		} else {
			c.stats.Pending.Records += int64(len(s.positions))
		}
		for _, at := range s.positions {
			c.segments[segmentOf(at)]++
			r.track(at)
		}
	}
	c.batcher.Each(func(stream int, at batch.Position) {
		if stream%2 == 1 {
			c.stats.Rejections.Pending++
		} else {
			c.stats.Pending.Records++
		}
		c.segments[segmentOf(at)]++
		r.track(at)
	})
	c.stats.Recovered = c.stats.Pending.Records
	told.Records, told.Rejections = c.stats.Pending.Records, c.stats.Rejections.Pending
	if c.o.Events.Recovered != nil {
		c.o.Events.Recovered(told)
	}
	return nil
}

// growLimits tells the batcher of the streams: two of its own each, for records and for error records.
func (c *Collector) growLimits() {
	for i := range c.o.Streams {
		l := c.o.Streams[i].Limits
		if l.Count <= 0 || l.Count > maxCount {
			l.Count = maxCount
		}
		c.batcher.Limit(2*i, l)
		c.batcher.Limit(2*i+1, l)
	}
}

type replay struct {
	c     *Collector
	seals map[journal.Position]*seal
	texts map[string]string // one copy of each prefix

	digests map[batch.Position]duplicate.Digest // of all records that can be read; nil without Options.Stays
}

// track makes it known that a record is pending. One that is damaged is found to be lost later, whoever waits or not.
func (r *replay) track(at batch.Position) {
	if digest, known := r.digests[at]; known {
		r.c.track(nil, digest, at)
	}
}

func (r *replay) payload(at journal.Position, payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	var err error
	switch payload[0] {
	case payloadRecord, payloadRejection:
		err = r.record(at, payload)
	case payloadMoved: // counts with its seal
		if r.digests != nil {
			var p recordText
			if p, err = parseRecord(payload); err == nil {
				r.digests[positionOf(at)] = p.digest
			}
		}
	case payloadSealed:
		err = r.sealed(at, payload)
	case payloadStored:
		err = parseStored(payload, func(seal journal.Position) { delete(r.seals, seal) })
	default:
		err = fmt.Errorf("kind %#x is unknown: was it written by a later version?", payload[0])
	}
	if err != nil {
		return fmt.Errorf("payload at %v: %w", at, err)
	}
	return nil
}

func (r *replay) record(at journal.Position, payload []byte) error {
	p, err := parseRecord(payload)
	if err != nil {
		return err
	}
	c := r.c
	if r.digests != nil {
		r.digests[positionOf(at)] = p.digest
	}
	arrival := time.UnixMilli(p.arrival).UTC()
	if !c.window.Seen(p.digest, arrival) {
		c.window.Add(p.digest, arrival)
	}
	prefix, known := r.texts[string(p.prefixText)]
	if !known {
		prefix = string(p.prefixText)
		r.texts[prefix] = prefix
	}
	c.pend(p.rejection, at, batch.Record{
		Stream: c.streamNamed(string(p.streamText), p.version), Prefix: prefix, Size: len(p.line) + 1,
		Arrival: arrival, Instant: time.UnixMilli(p.instant).UTC(), Digest: sumOf(p.digest),
	})
	return nil
}

// streamNamed returns the index of a stream. One that the spec no longer has gets defaults: its records are delivered.
func (c *Collector) streamNamed(name string, version int) int {
	k := streamKey{name, version}
	i, ok := c.streams[k]
	if !ok {
		s := unknown
		s.Name, s.Version = name, version
		i = len(c.o.Streams)
		c.o.Streams = append(c.o.Streams, s)
		c.streams[k] = i
		c.growLimits()
	}
	return i
}

func (r *replay) sealed(at journal.Position, payload []byte) error {
	s, err := parseSeal(payload)
	if err != nil {
		return err
	}
	s.at = at
	if s.replaces != (journal.Position{}) {
		delete(r.seals, s.replaces)
	} else {
		stream := 2 * r.c.streamNamed(s.stream, s.version)
		if s.rejection {
			stream++
		}
		r.c.batcher.Remove(stream, s.prefix, s.positions, s.bytes, s.sum)
	}
	r.seals[at] = s
	return nil
}
