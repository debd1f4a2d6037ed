package collector

import (
	"maps"
	"time"
)

// Stats are an account of one moment. At every moment
//
//	Received + Recovered = Stored + the sum of Rejected + Filtered + Duplicate + Lost + Pending.Records
//
// The unit is the record: what a stream makes of a finding or an event, or a document that is broken. Records count
// from the moment they are on disk (or known to be filtered, or duplicate), those of one Deliver together; Recovered
// are those that were pending when the process started. A rejection counts when it is on disk; its error record is kept
// and delivered like a record, and counted apart.
type Stats struct {
	Received  int64
	Recovered int64
	Stored    int64
	Rejected  map[string]int64 // by reason
	Filtered  int64
	Duplicate int64
	Lost      int64 // damaged in the journal

	Pending    Pending
	Rejections Rejections

	Objects      int64 // put since the start
	JournalBytes int64
	JournalMax   int64 // 0: no bound
	Window       int   // digests remembered
	Full         bool  // the last Deliver was refused because the journal, or the disk, is full
}

// Pending is what is in the journal and not yet in the bucket. Bytes, Partitions and Oldest count error records too.
type Pending struct {
	Records    int64
	Bytes      int64 // of lines
	Partitions int64
	Oldest     time.Time // arrival; zero: nothing is pending
}

// Rejections are the error records.
type Rejections struct {
	Pending int64
	Stored  int64
	Lost    int64
}

// RejectedTotal returns the sum of Rejected.
func (s Stats) RejectedTotal() int64 {
	var n int64
	for _, c := range s.Rejected {
		n += c
	}
	return n
}

// Stats returns the account of this moment. It may be called at any time, also after Run has ended.
func (c *Collector) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Rejected = maps.Clone(c.stats.Rejected)
	s.Pending.Bytes = c.batcher.Bytes()
	s.Pending.Partitions = int64(c.batcher.Partitions())
	oldest, some := c.batcher.Oldest()
	for b := range c.sealing {
		s.Pending.Bytes += b.bytes
		s.Pending.Partitions++
		if at := time.UnixMilli(b.arrival).UTC(); !some || at.Before(oldest) {
			oldest, some = at, true
		}
	}
	if some {
		s.Pending.Oldest = oldest
	}
	s.JournalBytes = c.journal.Size()
	s.JournalMax = c.o.Journal.MaxBytes
	s.Window = c.window.Len()
	return s
}
