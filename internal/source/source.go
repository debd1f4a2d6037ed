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

// Accept is a Deliver that tells besides when the documents are in the bucket. That they are on disk, or counted as
// filtered or duplicate, is what it returns nil for; the documents are the source's again then.
type Accept func(ctx context.Context, docs []document.Document) (Stay, error)

// A Stay is the time of documents between the disk and the bucket.
type Stay interface {
	// Wait returns nil once all of them are in the bucket, those that were duplicates of ones still pending included. An
	// error other than ctx's says that some never will be: the sender is to send all of them again. Wait may be called
	// again after ctx's error.
	Wait(ctx context.Context) error
	// Hurry has all that is pending stored now, whatever the streams buffer: the source is to stop, or can hold no more.
	Hurry()
}

// A Patient source may want its documents to be in the bucket before it acknowledges them, so that nothing depends on
// this machine's disk. Then it is run by RunStored in place of Run.
type Patient interface {
	Source
	AfterStored() bool // asked once, before it is run
	// RunStored is Run for a source that acknowledges no document before its Stay has ended well.
	RunStored(ctx context.Context, accept Accept) error
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
