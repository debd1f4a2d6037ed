package sqs

import (
	"container/heap"
	"maps"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

// A queue is one queue with its messages. Everything in it is guarded by the Service's mu, but what never changes:
// place, name, arn and number.
type queue struct {
	place  cloud.Place
	name   string
	arn    string
	number uint64 // among the queues that were made: a queue that is made again is another

	settings         settings
	created, changed time.Time
	formerPolicy     string // until others see the present one
	policyChanged    time.Time
	tags             map[string]string
	purged           time.Time
	gone             bool // it was deleted

	next     uint64              // number of the next message
	messages map[uint64]*message // by number
	ready    order               // by number
	hidden   order               // delayed or in flight; by when they are visible
	aged     order               // all, by when they were sent
	inFlight int
	groups   map[string]int // FIFO: how many of a group are in flight
	recent   recent         // FIFO: what was sent in the last five minutes
	last     time.Time      // FIFO: when the last message is visible; those after it are not before

	wake   chan struct{} // closed when there may be more to receive, and made anew
	ringAt time.Time     // when a task will close it; zero: none will

	sent, received, removed, expired, redriven uint64
}

func newQueue(p cloud.Place, name string, number uint64, now time.Time) *queue {
	return &queue{
		place: p, name: name, arn: p.ARN(serviceName, name), number: number, created: now, changed: now,
		tags: make(map[string]string), messages: make(map[uint64]*message), groups: make(map[string]int),
		ready: order{slot: slotPlace, less: func(a, b *message) bool { return a.number < b.number }},
		hidden: order{slot: slotPlace, less: func(a, b *message) bool {
			return a.visible.Before(b.visible) || a.visible.Equal(b.visible) && a.number < b.number
		}},
		aged:   order{slot: slotAge, less: func(a, b *message) bool { return a.sent.Before(b.sent) || a.sent.Equal(b.sent) && a.number < b.number }},
		recent: recent{by: make(map[string]sentBefore)}, wake: make(chan struct{}),
	}
}

// A place of a message.
type messageState uint8

const (
	stateReady messageState = iota
	stateDelayed
	stateInFlight
)

// A message's slots in orders: it is in ready or in hidden, and in aged.
const (
	slotPlace = iota
	slotAge
	slots
)

// An order is a heap of messages that knows where each of them is.
type order struct {
	slot  int
	less  func(a, b *message) bool
	items []*message
}

func (o *order) Len() int           { return len(o.items) }
func (o *order) Less(i, j int) bool { return o.less(o.items[i], o.items[j]) }
func (o *order) Swap(i, j int) {
	o.items[i], o.items[j] = o.items[j], o.items[i]
	o.items[i].at[o.slot], o.items[j].at[o.slot] = i, j
}

func (o *order) Push(x any) {
	m := x.(*message)
	m.at[o.slot] = len(o.items)
	o.items = append(o.items, m)
}

func (o *order) Pop() any {
	last := len(o.items) - 1
	m := o.items[last]
	o.items[last] = nil
	o.items = o.items[:last]
	return m
}

// settle brings the queue to a time: messages become visible, and those that are too old are gone.
func (q *queue) settle(now time.Time) {
	for q.hidden.Len() > 0 && !q.hidden.items[0].visible.After(now) {
		m := heap.Pop(&q.hidden).(*message)
		q.land(m)
		m.state = stateReady
		heap.Push(&q.ready, m)
	}
	retention := time.Duration(q.settings.retention) * time.Second
	for q.aged.Len() > 0 && !q.aged.items[0].sent.Add(retention).After(now) {
		q.remove(q.aged.items[0])
		q.expired++
	}
}

// land counts a message that is no longer in flight.
func (q *queue) land(m *message) {
	if m.state != stateInFlight {
		return
	}
	q.inFlight--
	if m.group == "" {
		return
	}
	if q.groups[m.group]--; q.groups[m.group] == 0 {
		delete(q.groups, m.group)
	}
}

// remove takes a message out of the queue.
func (q *queue) remove(m *message) {
	if m.state == stateReady {
		heap.Remove(&q.ready, m.at[slotPlace])
	} else {
		heap.Remove(&q.hidden, m.at[slotPlace])
	}
	q.land(m)
	m.state = stateReady
	heap.Remove(&q.aged, m.at[slotAge])
	delete(q.messages, m.number)
}

// put takes a message in, visible at m.visible. It gets a number.
func (q *queue) put(m *message, now time.Time) {
	q.next++
	m.number = q.next
	if q.settings.fifo {
		if m.visible.Before(q.last) {
			m.visible = q.last
		}
		q.last = m.visible
	}
	q.messages[m.number] = m
	heap.Push(&q.aged, m)
	if m.visible.After(now) {
		m.state = stateDelayed
		heap.Push(&q.hidden, m)
		return
	}
	m.state = stateReady
	heap.Push(&q.ready, m)
	q.ring()
}

// take hands out up to n messages, which are hidden for a time. bury is asked to move those that were handed out often
// enough, and tells whether it did; again, whether a message is to be handed out once more.
func (q *queue) take(now time.Time, n int, hide time.Duration, bury, again func(*message) bool) []*message {
	q.settle(now)
	var out, locked, copies []*message
	mine := make(map[string]int)
	for q.ready.Len() > 0 && len(out) < n {
		m := heap.Pop(&q.ready).(*message)
		// A group that has messages in flight waits for them, so that its order is kept.
		if q.settings.fifo && q.groups[m.group] > mine[m.group] {
			locked = append(locked, m)
			continue
		}
		if q.settings.maxReceives > 0 && m.here >= q.settings.maxReceives {
			heap.Push(&q.ready, m)
			if bury(m) {
				continue
			}
			heap.Remove(&q.ready, m.at[slotPlace])
		}
		m.receives++
		m.here++
		if m.first.IsZero() {
			m.first = now
		}
		m.taken, m.visible, m.state = now, now.Add(hide), stateInFlight
		heap.Push(&q.hidden, m)
		q.inFlight++
		if m.group != "" {
			q.groups[m.group]++
			mine[m.group]++
		}
		q.received++
		out = append(out, m)
		if !q.settings.fifo && !m.ghost && again(m) {
			copied := *m
			copied.ghost, copied.visible = true, now
			copies = append(copies, &copied)
		}
	}
	for _, m := range locked {
		heap.Push(&q.ready, m)
	}
	for _, m := range copies {
		q.put(m, now)
	}
	return out
}

// change makes a message that is in flight visible at another time.
func (q *queue) change(m *message, visible time.Time) {
	m.visible = visible
	heap.Fix(&q.hidden, m.at[slotPlace])
	q.ring()
}

// ring wakes those that wait for messages.
func (q *queue) ring() {
	close(q.wake)
	q.wake = make(chan struct{})
}

// nextVisible is when the next hidden message is visible; zero: there is none.
func (q *queue) nextVisible() time.Time {
	if q.hidden.Len() == 0 {
		return time.Time{}
	}
	return q.hidden.items[0].visible
}

// purge takes all messages out.
func (q *queue) purge() {
	for _, m := range q.aged.items {
		m.state = stateReady
	}
	clear(q.messages)
	clear(q.groups)
	q.ready.items, q.hidden.items, q.aged.items, q.inFlight = nil, nil, nil, 0
}

// policyAt is the policy that holds at a time, where a change takes lag until it does; nil: none.
func (q *queue) policyAt(now time.Time, lag time.Duration) []byte {
	text := q.settings.policy
	if now.Before(q.policyChanged.Add(lag)) {
		text = q.formerPolicy
	}
	if text == "" {
		return nil
	}
	return []byte(text)
}

// set makes the queue have other settings.
func (q *queue) set(to settings, now time.Time) {
	if to.policy != q.settings.policy {
		q.formerPolicy, q.policyChanged = q.settings.policy, now
	}
	q.settings, q.changed = to, now
	q.ring()
}

// recent is what was sent to a FIFO queue a short while ago.
type recent struct {
	by    map[string]sentBefore
	queue []sentBefore // oldest first
}

// A sentBefore is a message that was sent.
type sentBefore struct {
	key, id, sequence string
	at                time.Time
}

// dedupInterval is how long SQS knows a deduplication id.
const dedupInterval = 5 * time.Minute

// find looks a key up.
func (r *recent) find(key string, now time.Time) (sentBefore, bool) {
	for len(r.queue) > 0 && now.Sub(r.queue[0].at) >= dedupInterval {
		delete(r.by, r.queue[0].key)
		r.queue = r.queue[1:]
	}
	before, ok := r.by[key]
	return before, ok
}

func (r *recent) add(s sentBefore) {
	r.by[s.key] = s
	r.queue = append(r.queue, s)
}

// sameTags tells whether tags are the queue's.
func (q *queue) sameTags(tags map[string]string) bool { return maps.Equal(q.tags, tags) }
