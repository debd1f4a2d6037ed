package cloud

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// A CallRecord is what is remembered of a request to an API. It holds no body.
type CallRecord struct {
	Time      time.Time `json:"time"` // lab time
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	Service   string    `json:"service"`
	Operation string    `json:"operation"`
	Who       string    `json:"who"`
	Status    int       `json:"status"`
	Error     string    `json:"error,omitempty"` // its code
	Message   string    `json:"message,omitempty"`
}

// maxCalls is how many calls are remembered: the newest.
const maxCalls = 10_000

// Calls remembers the requests that came in.
type Calls struct {
	mu    sync.Mutex
	calls []CallRecord // guarded by mu, like all below
	first int          // of a ring, once it is full
	total int

	// Log is told of each call, where not nil. It is set before the first request.
	Log func(CallRecord)
}

// Bounds of what is remembered of a call, bytes: its texts may be a stranger's.
const (
	maxCallName    = 256
	maxCallMessage = 1024
)

// Add remembers a call.
func (c *Calls) Add(r CallRecord) {
	for _, name := range []*string{&r.Account, &r.Region, &r.Service, &r.Operation, &r.Who, &r.Error} {
		*name = strings.Clone((*name)[:min(len(*name), maxCallName)]) // not the request that it was a part of
	}
	r.Message = strings.Clone(r.Message[:min(len(r.Message), maxCallMessage)])
	c.mu.Lock()
	c.total++
	if len(c.calls) < maxCalls {
		c.calls = append(c.calls, r)
	} else {
		c.calls[c.first] = r
		c.first = (c.first + 1) % maxCalls
	}
	c.mu.Unlock()
	if c.Log != nil {
		c.Log(r)
	}
}

// List gives the newest calls, oldest first, and how many there were in all.
func (c *Calls) List() ([]CallRecord, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Concat(c.calls[c.first:], c.calls[:c.first]), c.total
}
