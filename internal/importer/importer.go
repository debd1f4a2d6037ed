// Package importer carries the documents of durable inputs into a store, exactly once however often it is repeated.
//
// An input can be read again, so there is no journal: a killed import is run again. That adds nothing, because
// everything about an object follows from the documents and their order alone: which records it holds, how they are
// cut into segments, its bytes and its key. No clock, no order of goroutines and no chance takes part.
//
//	inputs ──▶ chunks ──▶ route (a goroutine a processor) ──▶ sequence ──▶ compress ──▶ put
//	                      each chunk as if a document          in order: duplicates,
//	                      began at its start                   partitions, counts
//
// Chunks are routed side by side on the guess that no document reaches over the cut between them. The sequence checks
// the guess, and where it was wrong routes the chunk again behind what was left of the one before.
//
// Memory is bounded: the lines of open partitions are compressed, the longest first, when there are more than a set
// number of bytes of them, and compressed ones beyond another bound go to a temporary file.
package importer

import (
	"context"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/store"
)

// An Input is something that can be read as often as one likes.
type Input interface {
	// Name is for people: a path or a URL.
	Name() string
	// Open starts reading at the beginning.
	Open(ctx context.Context) (io.ReadCloser, error)
}

// Output says how a stream's objects are made.
type Output struct {
	Compression encode.Kind
	Level       int   // 0: the compression's default
	MaxBytes    int64 // of an object's lines, before compression; a record more closes it
}

// Options are how to import.
type Options struct {
	Pipeline     *pipeline.Pipeline
	Outputs      []Output // by stream
	Store        store.Store
	Group        store.Grouper                   // puts several objects together into Store; nil: each is put by itself
	Existing     store.Getter                    // reads objects back whose name is taken; nil: a taken name is an error
	MaxDocument  int                             // bytes; 0: document.DefaultMaxDocument
	Window       int                             // how many records duplicates are recognised among; 0: DefaultWindow, less: none
	Seed         uint64                          // of the hash by which duplicates are recognised; unpredictable, so that nobody can make two findings look the same
	Workers      int                             // goroutines that route and as many that compress; 0: one a processor
	Puts         int                             // objects that are put at the same time; 0: 16
	PendingBytes int                             // of lines that wait uncompressed; 0: 96 MiB
	MemoryBytes  int                             // of compressed segments that wait in memory; 0: 32 MiB. More go to a temporary file
	Partitions   int                             // that are open at the same time; 0: 131,072. The longest untouched are put when there are more
	TempDir      string                          // for the temporary file; empty: the system's
	Progress     func(Counts)                    // called now and then, from one goroutine; may be nil
	Location     func(stream int) *time.Location // of object names; nil: UTC

	// Neither makes a difference to any object; zero is the default.
	chunk int // bytes that are routed at a time
	burst int // records that are made of them at a time
}

// DefaultWindow is how many records duplicates are recognised among.
const DefaultWindow = 2_000_000

// Counts are what has become of the records so far. Received is the sum of Filtered, Duplicate, the Rejected and
// Accepted; when the import has ended without an error, what was accepted is Stored.
type Counts struct {
	InputBytes int64 // read, as they lie in the input
	Received   int64
	Accepted   int64 // new and on the way into the bucket
	Stored     int64 // in the bucket
	Kept       int64 // rejected ones that are in the bucket, under the error prefix
	Filtered   int64
	Duplicate  int64
	Rejected   map[string]int64 // by reason
	Objects    int64            // put
	Bytes      int64            // of these objects
	Segments   int64            // that went to the temporary file
}

// RejectedTotal is the number of rejected records, whatever the reason.
func (c Counts) RejectedTotal() int64 {
	var n int64
	for _, v := range c.Rejected {
		n += v
	}
	return n
}

// An UnreadableError says that an input ended before its end: what was read of it is in the bucket.
type UnreadableError struct {
	Input string
	Err   error
}

func (e *UnreadableError) Error() string {
	return "read " + shown(e.Input) + ": " + shown(e.Err.Error())
}
func (e *UnreadableError) Unwrap() error { return e.Err }

// shown is a name as it can be printed: anything can be in the name of a file or an object.
func shown(name string) string {
	if utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return name
	}
	return strconv.QuoteToASCII(name)
}

func (o Options) withDefaults() Options {
	set := func(v *int, value int) {
		if *v <= 0 {
			*v = value
		}
	}
	set(&o.MaxDocument, document.DefaultMaxDocument)
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	set(&o.Workers, runtime.GOMAXPROCS(0))
	set(&o.Puts, 16)
	set(&o.PendingBytes, 96<<20)
	set(&o.MemoryBytes, 32<<20)
	set(&o.Partitions, 1<<17)
	set(&o.chunk, chunkSize)
	set(&o.burst, burst)
	if o.Progress == nil {
		o.Progress = func(Counts) {}
	}
	if o.Location == nil {
		o.Location = func(int) *time.Location { return time.UTC }
	}
	return o
}

// Run imports the inputs in their order. The errors of inputs that could not be read to their end are
// *UnreadableErrors, joined; the other inputs are imported. Any other error, or the end of ctx, ends the import: what
// is in the bucket then is right, and running it again adds the rest.
func Run(ctx context.Context, inputs []Input, options Options) (Counts, error) {
	o := options.withDefaults()
	group, ctx := errgroup.WithContext(ctx)
	out, err := newOutput(ctx, group, o)
	if err != nil {
		return Counts{}, err
	}
	defer out.spill.close()
	defer out.blocks.close()                    // all goroutines have ended then
	chunks := make(chan *chunk, o.Workers)      // to whichever worker is free
	ordered := make(chan *chunk, 2*o.Workers+2) // to the sequence; its length bounds what is in flight
	group.Go(func() error {
		defer close(ordered)
		defer close(chunks)
		return readChunks(ctx, o.chunk, inputs, chunks, ordered)
	})
	for range o.Workers {
		group.Go(func() error {
			return routeChunks(ctx, o, chunks)
		})
	}
	s := newSequence(o, out)
	group.Go(func() error {
		defer out.finish()
		return s.run(ctx, ordered)
	})
	if err := group.Wait(); err != nil {
		return s.total(), err
	}
	return s.total(), s.unreadable()
}
