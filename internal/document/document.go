// Package document takes a stream of bytes apart into JSON documents.
//
// It reads findings as people really have them: one document a line, documents run together on one line (as Firehose
// wrote them for years), pretty-printed ones, arrays of them, and pages as the APIs answer ({"Findings":[…]}), plain
// or compressed. Elements of an array or a page are documents of their own.
//
// What is broken is given up in one piece and the next document is read. How far a broken document reaches is a
// matter of guessing well; the rules never let it swallow a good neighbour:
//
//   - it never reaches beyond its line, unless its first line shows that it is pretty-printed (the line ends in an open
//     brace, bracket, comma or colon and the next line does not start a document); then it reaches to the line that
//     closes it at the indentation that opened it, or to the next line at that indentation;
//   - within that, a document whose strings and brackets are balanced ends where they are, so documents after it on the
//     same line are read;
//   - lines of something that is no JSON at all are given up together, up to the next line that starts with { or [.
package document

import (
	"bytes"
	"errors"
	"fmt"

	"example.org/catchment/internal/scan"
)

// A Document is one JSON object of a stream, or what was given up as broken.
type Document struct {
	Bytes  []byte // the document, without the white space around it; valid until the next one is read
	Offset int64  // of Bytes[0] in the uncompressed input
	Err    error  // nil for a whole and valid JSON object; else why it is broken
}

// DefaultMaxDocument is how long a document may be, in bytes.
const DefaultMaxDocument = 16 << 20

// maxGarbage bounds how much of what is no JSON is given up in one piece, in bytes.
const maxGarbage = 64 << 10

// Options tell how to read documents. The zero Options are the defaults.
type Options struct {
	MaxDocument int // in bytes; 0: DefaultMaxDocument. A longer one is broken, its bytes given up in pieces of this size.

	// Scan reads the value at the start of b as scan.Document.Scan does. A caller that wants to capture fields in the
	// same pass hands in its own; nil only validates. It is called right before the document it read is handed over,
	// and at times for one that is then given up.
	Scan func(b []byte) (int, error)
}

func (o Options) withDefaults() Options {
	if o.MaxDocument <= 0 {
		o.MaxDocument = DefaultMaxDocument
	}
	if o.Scan == nil {
		d, paths := new(scan.Document), scan.NewPaths()
		o.Scan = func(b []byte) (int, error) { return d.Scan(b, paths) }
	}
	return o
}

var (
	ErrNotObject  = errors.New("expected a JSON object, found another kind of value")
	ErrNotJSON    = errors.New("expected a JSON object, found text that is no JSON")
	ErrOpenAtEnd  = errors.New("the input ends inside an array or a page; what should follow is missing")
	ErrTooLong    = errors.New("the document is longer than the limit")
	ErrTooLongRest  = errors.New("the rest of a document that is longer than the limit")
	ErrIncomplete = errors.New("the input ends inside the document")
)

// container is something whose elements are documents.
type container byte

const (
	inArray container = iota // [ … ]
	inPage                   // {"Findings": [ … ]: the array
	inRest                   // … , "NextToken": "…" }: the members behind it
)

// maxContainers is how deep arrays of arrays of documents may go; a deeper one is a broken document.
const maxContainers = 16

// A Splitter takes documents off the front of a buffer. It keeps what it knows of the stream between calls: which
// arrays and pages are open. It is not safe for concurrent use.
type Splitter struct {
	o      Options
	open   []container
	inLong bool // giving up the rest of a document that was too long
	ended  bool // the missing end has been reported
}

// NewSplitter returns a Splitter at the start of a stream.
func NewSplitter(o Options) *Splitter { return &Splitter{o: o.withDefaults()} }

// AtTop tells whether nothing is open: what follows may be split by another Splitter.
func (s *Splitter) AtTop() bool { return len(s.open) == 0 && !s.inLong }

// Continue makes s go on where other stands: in the same arrays and pages.
func (s *Splitter) Continue(other *Splitter) {
	s.open, s.inLong, s.ended = append(s.open[:0], other.open...), other.inLong, other.ended
}

// Reset makes s ready for another stream.
func (s *Splitter) Reset() { s.open, s.inLong, s.ended = s.open[:0], false, false }

// Next takes one document off the front of b. It returns how many bytes it used. Where found is false it needs to see
// more of the stream behind what it did not use, or, when last says that b is all there is, the stream has ended.
// The document's Offset counts from the start of b.
func (s *Splitter) Next(b []byte, last bool) (doc Document, used int, found bool) {
	i := 0
	for {
		if s.inLong {
			return s.long(b, i, last)
		}
		i = skipBlank(b, i)
		if i >= len(b) {
			return s.atEnd(i, last)
		}
		if len(b)-i < 3 && b[i] == 0xef && !last {
			return doc, i, false // perhaps a byte order mark
		}
		step := s.step(b, i, last)
		switch {
		case step.doc:
			return Document{Bytes: b[i:step.end], Offset: int64(i), Err: step.err}, step.end, true
		case step.more && len(b)-i >= s.o.MaxDocument:
			return s.tooLong(b, i)
		case step.more:
			return doc, i, false
		}
		i = step.end
	}
}

// A step is what stands at a place: a document, punctuation to go over, or too little to tell.
type step struct {
	end  int
	doc  bool
	err  error
	more bool
}

func (s *Splitter) step(b []byte, i int, last bool) step {
	top := inArray
	if len(s.open) > 0 {
		top = s.open[len(s.open)-1]
		if top == inRest {
			return s.rest(b, i, last)
		}
		switch b[i] {
		case ',':
			return step{end: i + 1}
		case ']':
			if top == inPage {
				s.open[len(s.open)-1] = inRest
			} else {
				s.open = s.open[:len(s.open)-1]
			}
			return step{end: i + 1}
		}
	}
	switch b[i] {
	case '[':
		if len(s.open) < maxContainers {
			s.open = append(s.open, inArray)
			return step{end: i + 1}
		}
	case '{':
		if end, more := pageStart(b, i); end > 0 && len(s.open) < maxContainers {
			s.open = append(s.open, inPage)
			return step{end: end}
		} else if more && !last {
			return step{more: true}
		}
	}
	return s.value(b, i, last)
}

// value reads a document.
func (s *Splitter) value(b []byte, i int, last bool) step {
	n, err := s.o.Scan(b[i:])
	switch {
	case err == nil && b[i] == '{':
		if n > s.o.MaxDocument {
			return step{end: i + n, doc: true, err: fmt.Errorf("%w of %d bytes", ErrTooLong, s.o.MaxDocument)}
		}
		return step{end: i + n, doc: true}
	case err == nil && i+n == len(b) && !last:
		return step{more: true} // a number may go on
	case err == nil && endsClean(b, i+n):
		return step{end: i + n, doc: true, err: ErrNotObject}
	case err == nil:
		err = ErrNotJSON
	case errors.Is(err, scan.ErrIncomplete):
		if !last {
			return step{more: true}
		}
		err = ErrIncomplete
	}
	end, more := brokenEnd(b, i, last)
	if more {
		return step{more: true}
	}
	return step{end: end, doc: true, err: err}
}

// rest goes over the members behind a page's array. Another array of findings there is a page again.
func (s *Splitter) rest(b []byte, i int, last bool) step {
	switch b[i] {
	case ',':
		return step{end: i + 1}
	case '}':
		s.open = s.open[:len(s.open)-1]
		return step{end: i + 1}
	case '"':
		if end, more := pageKey(b, i); end > 0 {
			s.open[len(s.open)-1] = inPage
			return step{end: end}
		} else if more && !last {
			return step{more: true}
		}
		if end, err := s.member(b, i); err == nil {
			return step{end: end}
		} else if errors.Is(err, scan.ErrIncomplete) && !last {
			return step{more: true}
		}
	}
	s.open = s.open[:len(s.open)-1] // no page after all: go on as if it had ended
	return step{end: i}
}

// member reads "key": value and returns the offset behind it.
func (s *Splitter) member(b []byte, i int) (int, error) {
	n, err := s.o.Scan(b[i:])
	if err != nil {
		return 0, err
	}
	if i = skipBlank(b, i+n); i >= len(b) {
		return 0, scan.ErrIncomplete
	}
	if b[i] != ':' {
		return 0, ErrNotJSON
	}
	i = skipBlank(b, i+1)
	n, err = s.o.Scan(b[i:])
	if err == nil && i+n == len(b) {
		err = scan.ErrIncomplete
	}
	return i + n, err
}

func (s *Splitter) atEnd(i int, last bool) (Document, int, bool) {
	if !last || len(s.open) == 0 || s.ended {
		return Document{}, i, false
	}
	s.ended = true
	return Document{Offset: int64(i), Err: ErrOpenAtEnd}, i, true
}

// tooLong gives up the first piece of a document that does not end within the limit.
func (s *Splitter) tooLong(b []byte, i int) (Document, int, bool) {
	s.inLong = true
	end := i + s.o.MaxDocument
	if nl := bytes.IndexByte(b[i:end], '\n'); nl >= 0 && !looksPretty(b[i:i+nl]) {
		end, s.inLong = i+nl, false
	}
	return Document{Bytes: b[i:end], Offset: int64(i), Err: fmt.Errorf("%w of %d bytes", ErrTooLong, s.o.MaxDocument)}, end, true
}

// long gives up the rest of a document that was too long, to the end of its line, in pieces.
func (s *Splitter) long(b []byte, i int, last bool) (Document, int, bool) {
	end := len(b)
	if nl := bytes.IndexByte(b[i:], '\n'); nl >= 0 {
		end, s.inLong = i+nl, false
	} else if !last && len(b)-i < s.o.MaxDocument {
		return Document{}, i, false
	} else if last {
		s.inLong = false
	}
	if end == i {
		return s.Next(b[i:], last)
	}
	return Document{Bytes: b[i:end], Offset: int64(i), Err: ErrTooLongRest}, end, true
}

// Split yields the documents of b, which is all there is of a stream.
func Split(b []byte, o Options, yield func(Document) bool) {
	s := NewSplitter(o)
	for at := 0; ; {
		doc, used, found := s.Next(b[at:], true)
		if !found {
			return
		}
		doc.Offset += int64(at)
		if !yield(doc) {
			return
		}
		at += used
	}
}
