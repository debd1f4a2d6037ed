package cloud

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A FaultKind is what goes wrong.
type FaultKind string

// The kinds of faults. A call is a request to an API; a hop is what one service hands to another.
const (
	FaultDrop      FaultKind = "drop"      // hop: is lost, and nobody is told
	FaultDuplicate FaultKind = "duplicate" // hop: arrives twice. With action ReceiveMessage: a queue hands a message out twice
	FaultDelay     FaultKind = "delay"     // hop: arrives later by Delay. A hop that is waited for takes too long, and fails
	FaultThrottle  FaultKind = "throttle"  // call: the service's throttling error. hop: is to be tried again
	FaultDeny      FaultKind = "deny"      // call and hop: no permission
	FaultCorrupt   FaultKind = "corrupt"   // hop: the second half of the body is missing
	FaultDown      FaultKind = "down"      // call: 503. hop: is to be tried again. With only a region, all of it
)

var faultKinds = []FaultKind{FaultDrop, FaultDuplicate, FaultDelay, FaultThrottle, FaultDeny, FaultCorrupt, FaultDown}

// A Fault is something that goes wrong, at the places and as often as it says. Empty fields match everything.
type Fault struct {
	ID      string        `json:"id,omitempty"` // given by the lab
	Kind    FaultKind     `json:"kind"`
	Service string        `json:"service,omitempty"` // of a call: its signing name. Of a hop: the target's, as in its ARN
	Action  string        `json:"action,omitempty"`  // the operation of a call or hop, such as PutRecordBatch
	From    string        `json:"from,omitempty"`    // of a hop: the principal of what delivers, such as events.amazonaws.com
	Target  string        `json:"target,omitempty"`  // of a hop: a part of the target's ARN
	Account string        `json:"account,omitempty"` // where the call is made, or the target is
	Region  string        `json:"region,omitempty"`
	Share   float64       `json:"share,omitempty"` // of the occasions, above 0 to 1; 0: all
	Times   int           `json:"times,omitempty"` // after that many it is over; 0: never
	Delay   time.Duration `json:"-"`
	Until   time.Time     `json:"until,omitzero"` // lab time; zero: until it is taken away

	seen, hit uint64
}

// A FaultError says what is wrong with one field of a Fault.
type FaultError struct {
	Field string // as JSON names it
	Value string // as people write it
	Want  string // what was expected
}

func (e *FaultError) Error() string { return e.Field + " " + e.Value + ": expected " + e.Want }

// Validate tells what is wrong with a fault: a *FaultError.
func (f *Fault) Validate() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return &FaultError{"kind", strconv.Quote(string(f.Kind)), "one of " + faultKindList()}
	case !(f.Share >= 0 && f.Share <= 1): // it may be no number at all
		return &FaultError{"share", fmt.Sprint(f.Share), "0 to 1"}
	case f.Times < 0:
		return &FaultError{"times", strconv.Itoa(f.Times), "0 or more"}
	case f.Delay < 0:
		return &FaultError{"delay", f.Delay.String(), "a time that is not negative"}
	case f.Kind == FaultDelay && f.Delay == 0:
		return &FaultError{"delay", "0", "a time: a fault of kind delay needs one"}
	}
	return nil
}

func faultKindList() string {
	var out []string
	for _, k := range faultKinds {
		out = append(out, string(k))
	}
	return strings.Join(out, ", ")
}

// Faults is what goes wrong at present.
type Faults struct {
	cloud *Cloud
	mu    sync.Mutex
	next  int               // guarded by mu, like faults
	all   map[string]*Fault // by ID
}

func newFaults(c *Cloud) *Faults { return &Faults{cloud: c, all: make(map[string]*Fault)} }

// Add makes a fault happen from now on, and gives its id.
func (f *Faults) Add(fault Fault) (string, error) {
	if err := fault.Validate(); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	fault.ID = fmt.Sprintf("fault-%d", f.next)
	f.all[fault.ID] = &fault
	return fault.ID, nil
}

// Remove ends a fault, and tells whether there was one of that id.
func (f *Faults) Remove(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.all[id]
	delete(f.all, id)
	return ok
}

// Clear ends all faults.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.all)
}

// List gives the faults by id.
func (f *Faults) List() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Fault
	for _, id := range slices.Sorted(maps.Keys(f.all)) {
		out = append(out, *f.all[id])
	}
	return out
}

// An Occasion is a call or a hop at which something may go wrong.
type Occasion struct {
	Service string
	Action  string
	From    string // of a hop; empty for a call
	Target  string // of a hop
	Place   Place
}

// A Trouble is what goes wrong at one occasion.
type Trouble struct {
	Drop, Duplicate, Throttle, Deny, Corrupt, Down bool
	Delay                                          time.Duration
}

// any tells whether there are faults at all.
func (f *Faults) any() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all) > 0
}

// Again tells whether what a service hands out on being asked is handed out once more: a message of a queue, where
// o.Action is ReceiveMessage. Only faults of kind duplicate that name the action count: it is no hop like others.
func (f *Faults) Again(o Occasion) bool {
	return f.at(o, func(fault *Fault) bool { return fault.Kind == FaultDuplicate && fault.Action == o.Action }).Duplicate
}

// At tells what goes wrong at an occasion. Asking counts: it is asked once for each.
func (f *Faults) At(o Occasion) Trouble {
	return f.at(o, func(*Fault) bool { return true })
}

func (f *Faults) at(o Occasion, counts func(*Fault) bool) Trouble {
	now := f.cloud.Clock.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	var t Trouble
	for _, id := range slices.Sorted(maps.Keys(f.all)) {
		fault := f.all[id]
		if !fault.Until.IsZero() && !now.Before(fault.Until) {
			delete(f.all, id)
			continue
		}
		if !counts(fault) || !fault.matches(o) || !f.happens(fault) {
			continue
		}
		switch fault.Kind {
		case FaultDrop:
			t.Drop = true
		case FaultDuplicate:
			t.Duplicate = true
		case FaultDelay:
			t.Delay += fault.Delay
		case FaultThrottle:
			t.Throttle = true
		case FaultDeny:
			t.Deny = true
		case FaultCorrupt:
			t.Corrupt = true
		case FaultDown:
			t.Down = true
		}
	}
	return t
}

func (f *Fault) matches(o Occasion) bool {
	hopOnly := f.Kind == FaultDrop || f.Kind == FaultDuplicate || f.Kind == FaultDelay || f.Kind == FaultCorrupt
	if o.From == "" && (hopOnly || f.From != "" || f.Target != "") {
		return false
	}
	for _, part := range [][2]string{
		{f.Service, o.Service}, {f.Action, o.Action}, {f.From, o.From}, {f.Account, o.Place.Account}, {f.Region, o.Place.Region},
	} {
		if part[0] != "" && part[0] != part[1] {
			return false
		}
	}
	return strings.Contains(o.Target, f.Target)
}

// happens draws, and counts. The n-th draw of a fault depends on the seed, the fault's id and n alone. Requires f.mu.
func (f *Faults) happens(fault *Fault) bool {
	fault.seen++
	if fault.Times > 0 && fault.hit >= uint64(fault.Times) {
		return false
	}
	if fault.Share > 0 && fault.Share < 1 {
		b := f.cloud.Chance("fault " + fault.ID)
		if float64(binary.BigEndian.Uint64(b[:])>>11)/(1<<53) >= fault.Share {
			return false
		}
	}
	fault.hit++
	return true
}
