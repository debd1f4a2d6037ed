// Package document takes a stream of bytes apart into JSON documents.
//
// It reads findings as people really have them: one document a line, documents run together on one line (as Firehose
// wrote them for years), pretty-printed ones, arrays of them, and pages as the APIs answer ({"Findings":[…]}), plain
// or compressed. Elements of an array or a page are documents of their own.
//
// What is broken is given up in one piece and the next document is read. Nothing disappears: every byte is part of a
// document, of something given up, or of the white space, commas, brackets and page members between documents. How far
// a broken document reaches is a matter of guessing well. The rules, in this order:
//
//   - It ends on its first line where its brackets and strings are balanced, if what follows there is a place where a
//     document may end.
//   - Where its first line shows that it is pretty-printed (the line ends in an open brace, bracket, comma or colon,
//     and the next line is indented deeper or goes on inside), it reaches to the line that closes it at the
//     indentation that opened it, or to the next line at that indentation that starts a document. Objects inside it
//     are never taken for documents.
//   - Else it never reaches beyond its line. On it, it ends before a brace that opens a whole and valid object where
//     no object can stand inside another: not behind a comma, a colon or a bracket. So documents that are run
//     together survive one among them that is cut off or out of balance.
//   - Text that is no JSON at all is given up by lines, up to the next line that starts a document.
//
// See TestNeighbours for what this holds of each style and kind of damage.
package document

import (
	"bytes"
	"errors"
	"fmt"

	"example.org/catchment/internal/scan"
)

// A RefusedError is why a document is broken in the words of the source that it came from.
type RefusedError struct {
	Code   string // from a bounded set: it may label a metric
	Reason string
}

func (e *RefusedError) Error() string { return e.Reason }

// A Document is one JSON object of a stream, or what was given up as broken.
type Document struct {
	Bytes  []byte // the document, without the white space around it; valid until the next one is read
	Offset int64  // of Bytes[0] in the uncompressed input
	Err    error  // nil for a whole and valid JSON object; else why it is broken
}

// DefaultMaxDocument is how long a document may be, in bytes.
const DefaultMaxDocument = 16 << 20

// Options tell how to read documents. The zero Options are the defaults.
type Options struct {
	// MaxDocument is in bytes; 0: DefaultMaxDocument. A longer document is broken, its bytes given up in pieces of at
	// most this size.
	MaxDocument int

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
		o.Scan = newCheck()
	}
	return o
}

// newCheck makes a function that validates and captures nothing.
func newCheck() func(b []byte) (int, error) {
	d, paths := new(scan.Document), scan.NewPaths()
	return func(b []byte) (int, error) { return d.Scan(b, paths) }
}

// Why a document is broken, where it is not a *scan.SyntaxError.
var (
	ErrNotObject   = errors.New("expected a JSON object, found another kind of value")
	ErrNotJSON     = errors.New("expected a JSON object, found text that is no JSON")
	ErrOpenAtEnd   = errors.New("the input ends inside an array or a page; what should follow is missing")
	ErrTooLong     = errors.New("the document is longer than the limit")
	ErrTooLongRest = errors.New("the rest of a document that is longer than the limit")
	ErrIncomplete  = errors.New("the input ends inside the document")
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
	o     Options
	check func([]byte) (int, error)
	state
}

// state is what a Splitter knows of the stream. What it decides follows from the stream alone, never from how the
// stream is cut into buffers.
type state struct {
	open    []container
	rest    rest
	indent  int  // white space that starts the line that b starts in, in bytes; behind a document: of the line it starts in
	written bool // something other than white space has been seen on that line
	wasted  int  // bytes looked at beyond what they were worth, see waste
	ended   bool // the missing end has been reported
}

// NewSplitter returns a Splitter at the start of a stream.
func NewSplitter(o Options) *Splitter { return &Splitter{o: o.withDefaults(), check: newCheck()} }

// AtTop tells whether nothing is open: what follows may be split by another Splitter.
func (s *Splitter) AtTop() bool {
	return len(s.open) == 0 && s.rest.mode == noRest && s.indent == 0 && s.wasted == 0
}

// Continue makes s go on where other stands: in the same arrays and pages.
func (s *Splitter) Continue(other *Splitter) {
	open := append(s.open[:0], other.open...)
	s.state = other.state
	s.open = open
}

// Reset makes s ready for another stream.
func (s *Splitter) Reset() { s.state = state{open: s.open[:0]} }

// Next takes one document off the front of b. It returns how many bytes it used. Where found is false it needs to see
// more of the stream behind what it did not use, or, when last says that b is all there is, the stream has ended.
// The document's Offset counts from the start of b.
func (s *Splitter) Next(b []byte, last bool) (doc Document, used int, found bool) {
	i := 0
	for {
		if s.rest.mode != lineRest {
			i = s.blank(b, i)
			if i >= len(b) {
				return s.atEnd(i, last)
			}
			if partOfMark(b, i) && !last {
				return doc, i, false
			}
		}
		step := s.step(b, i, last)
		switch {
		case step.doc:
			return Document{Bytes: b[i:step.end], Offset: int64(i), Err: step.err}, step.end, true
		case step.more:
			return doc, i, false
		case i == len(b):
			return s.atEnd(i, last)
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
	if s.rest.mode != noRest {
		return s.giveUpRest(b, i, last)
	}
	s.written = true
	if len(s.open) > 0 {
		top := s.open[len(s.open)-1]
		if top == inRest {
			return s.members(b, i, last)
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
	if len(s.open) < maxContainers && (b[i] == '[' || b[i] == '{') {
		end, kind, more := s.containerStart(b, i, last)
		switch {
		case more:
			return step{more: true}
		case end > 0:
			s.open = append(s.open, kind)
			return step{end: end}
		}
	}
	return s.value(b, i, last)
}

// value reads a document.
func (s *Splitter) value(b []byte, i int, last bool) step {
	window := b[i:]
	cut := len(window) > s.o.MaxDocument
	if cut {
		window = window[:s.o.MaxDocument+1]
	}
	whole := last && !cut // window ends where the stream does
	n, err := s.o.Scan(window)
	fault := len(window)
	var syntax *scan.SyntaxError
	switch {
	case err == nil && b[i] == '{' && n <= s.o.MaxDocument:
		s.wasted = max(0, s.wasted-worth*n)
		return step{end: i + n, doc: true}
	case err == nil && b[i] == '{', cut && (errors.Is(err, scan.ErrIncomplete) || err == nil && n == len(window)):
		return s.tooLong(b, i)
	case err == nil:
		clean, more := endsClean(window, n)
		if more && !last && !cut { // a number may go on, a line of text too
			return step{more: true}
		}
		if clean {
			return step{end: i + n, doc: true, err: ErrNotObject}
		}
		err = ErrNotJSON
	case errors.As(err, &syntax):
		fault = syntax.Offset
	case !whole:
		return step{more: true}
	default:
		err = ErrIncomplete
	}
	end, more := s.brokenEnd(b, i, fault, last)
	if more {
		return step{more: true}
	}
	return step{end: end, doc: true, err: err}
}

func (s *Splitter) atEnd(i int, last bool) (Document, int, bool) {
	if !last || len(s.open) == 0 || s.ended {
		return Document{}, i, false
	}
	s.ended = true
	return Document{Offset: int64(i), Err: ErrOpenAtEnd}, i, true
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

var byteOrderMark = []byte("\xef\xbb\xbf")

// blank goes over white space and byte order marks, and keeps account of the indentation.
func (s *Splitter) blank(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case '\n':
			s.indent, s.written = 0, false
		case ' ', '\t':
			if !s.written {
				s.indent++
			}
		case '\r':
		case 0xef:
			if !bytes.HasPrefix(b[i:], byteOrderMark) {
				return i
			}
			i += len(byteOrderMark) - 1
		default:
			return i
		}
		i++
	}
	return i
}

// partOfMark tells whether b ends inside what may become a byte order mark.
func partOfMark(b []byte, i int) bool { return len(b)-i < 3 && bytes.HasPrefix(byteOrderMark, b[i:]) }

// skipBlank goes over white space and byte order marks; what follows must be in b, else more is true.
func skipBlank(b []byte, i int) (at int, more bool) {
	for i < len(b) {
		switch b[i] {
		case ' ', '\t', '\n', '\r':
			i++
		case 0xef:
			if !bytes.HasPrefix(b[i:], byteOrderMark) {
				return i, partOfMark(b, i)
			}
			i += len(byteOrderMark)
		default:
			return i, false
		}
	}
	return i, true
}

// endsClean tells whether a scalar that ends at i ends as a line does, so that it was no word of a text.
func endsClean(b []byte, i int) (clean, more bool) {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	if i >= len(b) {
		return true, true
	}
	return bytes.IndexByte([]byte("\n,]{["), b[i]) >= 0, false
}

func errLongerThan(limit int) error { return fmt.Errorf("%w of %d bytes", ErrTooLong, limit) }
