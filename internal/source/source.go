// Package source says how events come in: what takes them from outside hands them over and acknowledges them after.
package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/catchment/internal/document"
)

// Deliver takes documents over. Once it has returned nil they are on disk, or counted as filtered or duplicate, and
// only then may the source acknowledge them to the sender. After any error nothing may be acknowledged: the sender is
// to send all of them again. What the first attempt had stored is recognised as duplicate then.
//
// Broken documents (Err is set) are delivered like all others: the receiver accounts for them and keeps their bytes.
//
// The documents, their bytes and the slice belong to the source, which reuses them once Deliver has returned. So
// Deliver keeps nothing of them, and does not return while something still reads them, not even when ctx is done.
//
// Deliver may be called by many goroutines at once. When ctx is done it returns soon, with ctx's error unless the
// documents are on disk. Under back-pressure it returns an error that is ErrBusy, most usefully a *Busy.
type Deliver func(ctx context.Context, docs []document.Document) error

// A Source takes events from outside.
type Source interface {
	// Run hands over what comes in until ctx is done; then it takes nothing new, ends what it has begun, and returns
	// nil. It returns an error when it cannot go on. Once it has returned, no Deliver is running and none will start.
	// Run is called once.
	Run(ctx context.Context, deliver Deliver) error
}

// A Patient source may want its documents to be in the bucket before it acknowledges them, so that nothing depends on
// this machine's disk. Then its Deliver returns nil only when they are, which takes as long as a stream buffers; when the
// source is to stop, what it waits for is stored at once.
type Patient interface {
	Source
	AfterStored() bool // asked once, before Run
}

// ErrBusy says that documents were not taken over because too many are waiting: the sender is to try again later.
var ErrBusy = errors.New("too much is waiting to be stored")

// Busy is an ErrBusy that knows how long.
type Busy struct { //nolint:errname // reads as what it is: source.Busy
	RetryAfter time.Duration // 0: the source chooses
	Err        error         // what is full; nil: not told
}

func (b *Busy) Error() string {
	if b.Err != nil {
		return fmt.Sprintf("%v: %v", ErrBusy, b.Err)
	}
	return ErrBusy.Error()
}

// Is makes every Busy an ErrBusy.
func (b *Busy) Is(target error) bool { return target == ErrBusy }

func (b *Busy) Unwrap() error { return b.Err }
