package population

import (
	"cmp"
	"container/heap"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

// A happening is what a moment is about.
type happening uint8

const (
	launches happening = iota // an asset is there
	scanned                   // it is scanned the first time
	looked                    // a finding is looked at: it opens, is seen again, changes, closes, comes back
	ends                      // the asset is gone
	noises                    // another product reports
)

// A moment is the next thing that happens to something. It carries all that is known of a finding, so that a cell needs
// no more memory than its open findings do.
type moment struct {
	at         int64 // milliseconds from the begin
	slot       int32
	generation int32
	issue      int
	step       int32 // how many moments it had
	what       happening
	state      findingState
}

// A findingState is how a finding stands.
type findingState struct {
	open    bool
	fix     bool  // a fix has come out since it opened
	exploit bool  // an exploit is known
	worse   uint8 // how often its score was raised
	likely  uint8 // how often its EPSS was raised
}

// before orders moments; those of one time by what they are about, so that nothing is left to chance.
func (m *moment) before(o *moment) bool {
	return cmp.Or(
		cmp.Compare(m.at, o.at), cmp.Compare(m.what, o.what), cmp.Compare(m.slot, o.slot), cmp.Compare(m.generation, o.generation),
		cmp.Compare(m.issue, o.issue),
	) < 0
}

type moments []moment

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i].before(&m[j]) }
func (m moments) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *moments) Push(x any)        { *m = append(*m, x.(moment)) }
func (m *moments) Pop() any {
	last := len(*m) - 1
	x := (*m)[last]
	*m = (*m)[:last]
	return x
}

// A cell is what an account has in a region.
type cell struct {
	place   cloud.Place
	numbers numbers
	assets  []*asset // by slot; the present generation, which may have ended
	next    moments
}

// since is a time as a moment has it.
func (p *Population) since(t time.Time) int64 { return t.Sub(p.from).Milliseconds() }

// now is the lab's time as a moment has it.
func (p *Population) now() int64 { return p.since(p.cloud.Clock.Now()) }

// push adds a moment that is some time away, unless the span ends before.
func (p *Population) push(c *cell, m moment, away time.Duration) {
	m.at = p.now() + max(away.Milliseconds(), 1)
	if m.at <= p.since(p.until) {
		heap.Push(&c.next, m)
	}
}

// pop takes the next moment that is due.
func (p *Population) pop(c *cell) (moment, bool) {
	if len(c.next) == 0 || c.next[0].at > p.now() {
		return moment{}, false
	}
	return heap.Pop(&c.next).(moment), true
}
