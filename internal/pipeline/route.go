package pipeline

import (
	"bytes"
	"errors"
	"time"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/finding"
	"example.org/catchment/internal/pattern"
	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/scan"
)

// A Router routes documents. It is for one goroutine; it allocates next to nothing once it is warm.
type Router struct {
	p         *Pipeline
	doc       scan.Document
	bareDoc   scan.Document
	fresh     *byte            // the first byte of the document that Scan has just read into doc; nil: none
	matcher   *pattern.Matcher // its patterns are by stream
	selectors []selectors
	prefixes  []*prefix.Evaluator
	failed    []*prefix.Evaluator
	interned  map[string]string
	view      finding.View
	elements  []element
	values    [][]byte
	at        []byte // an evaluated prefix
	line      []byte
	key       []byte
	outcome   Outcome

	event   event
	focus   pattern.Window
	arrival Arrival
	emit    func(*Outcome)
}

// An event is what Route needs of the envelope of the document at hand.
type event struct {
	document document.Document
	raw      []byte // the record in record: event
	plain    []byte // for a bare finding in an envelope: the finding's own bytes; else nil
	id       []byte
	region   []byte
	when     time.Time
	timed    bool  // when was understood
	findings int32 // index of the hit of the findings array; -1: none
	native   bool  // the detail is the finding
	newline  bool  // the document holds a newline outside of strings
	idText   [64]byte
	regionTx [64]byte
}

// An element is one finding of an event.
type element struct {
	start, end, pos int32
	hit             int32 // its number in the document's hits
	object          bool
}

// maxInterned bounds the prefixes that a router keeps, so that a year of hours is not kept for ever.
const maxInterned = 1 << 16

// NewRouter returns a router for one goroutine.
func (p *Pipeline) NewRouter() *Router {
	r := &Router{p: p, matcher: p.patterns.NewMatcher(), interned: make(map[string]string)}
	for i := range p.streams {
		s := &p.streams[i]
		r.selectors = append(r.selectors, s.keys.selectors())
		r.prefixes = append(r.prefixes, s.prefix.NewEvaluator())
		r.failed = append(r.failed, s.failed.NewEvaluator())
	}
	return r
}

// Scan is for document.Options.Scan: the router then need not read again what the splitter has just read.
func (r *Router) Scan(b []byte) (int, error) {
	r.fresh = nil
	n, err := r.doc.Scan(b, r.p.paths)
	if err == nil && n > 0 {
		r.fresh = &b[0]
	}
	return n, err
}

// Route tells what becomes of a document: emit is called for each of its records and each stream.
func (r *Router) Route(doc document.Document, in Arrival, emit func(*Outcome)) {
	r.arrival, r.emit = in, emit
	r.event = event{document: doc, findings: -1}
	fresh := r.fresh
	r.fresh = nil
	switch {
	case doc.Err != nil:
		r.reject(0, codeOf(doc.Err), doc.Err.Error(), doc.Bytes)
		return
	case fresh == nil || len(doc.Bytes) == 0 || fresh != &doc.Bytes[0]:
		if _, err := r.doc.Scan(doc.Bytes, r.p.paths); err != nil {
			r.reject(0, codeOf(err), err.Error(), doc.Bytes)
			return
		}
	}
	r.routeScanned(doc.Bytes)
}

// routeScanned routes what r.doc has read: an event, or something that has to be put into an envelope first.
func (r *Router) routeScanned(raw []byte) {
	if name, twice := r.doc.Duplicate(); twice {
		r.reject(0, "duplicate-field", name+" is given twice: two readers could see two different findings", raw)
		return
	}
	if !r.readEnvelope() {
		r.routeBare(raw)
		return
	}
	r.event.raw = raw
	r.event.newline = bytes.IndexByte(raw, '\n') >= 0
	r.routeEvent()
}

// routeEvent routes the event in r.doc to every stream.
func (r *Router) routeEvent() {
	r.matcher.Load(&r.doc)
	r.focus = pattern.Window{}
	for i := range r.p.streams {
		if r.p.streams[i].Record == RecordEvent {
			r.routeWhole(i)
		} else {
			r.routeFindings(i)
		}
	}
}

// readEnvelope looks through the hits for the envelope and the findings; it tells whether the document is an event.
func (r *Router) readEnvelope() bool {
	e := &r.event
	r.elements = r.elements[:0]
	detail, kind, single := -1, false, false
	for i := range r.doc.Hits {
		h := &r.doc.Hits[i]
		if h.Path >= envelopePaths || h.Dotted {
			continue
		}
		if h.Path == pathFindings {
			switch {
			case h.Pos == 0:
				e.findings, single = int32(i), h.Kind == scan.Object
				if single {
					r.elements = append(r.elements, element{h.Start, h.End, 0, int32(i), true})
				}
			case e.findings >= 0 && !single:
				if _, parent, _ := r.doc.Element(h.Pos); parent == 0 {
					r.elements = append(r.elements, element{h.Start, h.End, h.Pos, int32(i), h.Kind == scan.Object})
				}
			}
			continue
		}
		if h.Pos != 0 {
			continue
		}
		switch h.Path {
		case pathDetail:
			if h.Kind == scan.Object {
				detail = i
			}
		case pathSource, pathDetailType:
			kind = kind || h.Kind == scan.String
		case pathID:
			e.id = r.content(h, e.idText[:0])
		case pathRegion:
			e.region = r.content(h, e.regionTx[:0])
		case pathTime:
			switch h.Kind { //nolint:exhaustive // no other kind is a time
			case scan.String:
				e.when, e.timed = finding.ParseTime(r.content(h, r.key[:0]))
			case scan.Number:
				e.when, e.timed = finding.ParseEpoch(r.doc.Raw(*h))
			}
		}
	}
	if detail < 0 || !kind {
		return false
	}
	if e.findings < 0 {
		h := &r.doc.Hits[detail]
		r.p.detail.View(&r.view, &r.doc, h.Start, h.End, 0)
		if r.view.Format == finding.InspectorV2 {
			e.native = true
			r.elements = append(r.elements, element{h.Start, h.End, 0, int32(detail), true})
		}
	}
	return true
}

func (r *Router) content(h *scan.Hit, buf []byte) []byte {
	if h.Kind != scan.String {
		return nil
	}
	return r.doc.Text(*h, buf)
}

// routeFindings takes the event apart: each finding is matched and placed by itself.
func (r *Router) routeFindings(stream int) {
	if len(r.elements) == 0 {
		if !r.matches(stream, pattern.Window{}) {
			r.filtered(stream)
			return
		}
		r.reject(stream, "finding-missing", "the event matches the pattern but holds no finding", r.event.document.Bytes)
		return
	}
	for i := range r.elements {
		el := &r.elements[i]
		if !r.matches(stream, r.window(el)) {
			r.filtered(stream)
			continue
		}
		refused := r.event.document.Bytes
		if len(r.elements) > 1 {
			refused = r.doc.Bytes[el.start:el.end]
		}
		if !el.object {
			r.reject(stream, "finding-type", "an element of findings is no object", refused)
			continue
		}
		line := r.doc.Bytes[el.start:el.end]
		if r.event.plain != nil {
			line = r.event.plain
		}
		r.place(stream, el, line, refused)
	}
}

// routeWhole matches the event whole and places it by its first finding that matches.
func (r *Router) routeWhole(stream int) {
	if !r.matches(stream, pattern.Window{}) {
		r.filtered(stream)
		return
	}
	first := -1
	for i := range r.elements {
		if !r.elements[i].object {
			continue
		}
		if first < 0 {
			first = i
		}
		if len(r.elements) > 1 && r.matches(stream, r.window(&r.elements[i])) {
			first = i
			break
		}
	}
	if first < 0 {
		r.reject(stream, "finding-missing", "the event matches the pattern but holds no finding", r.event.document.Bytes)
		return
	}
	r.place(stream, &r.elements[first], r.event.raw, r.event.document.Bytes)
}

// matches tells whether a stream wants what is in a window of the event.
func (r *Router) matches(stream int, w pattern.Window) bool {
	if w != r.focus {
		r.matcher.Focus(w)
		r.focus = w
	}
	return r.matcher.Match(stream)
}

// window shows a pattern one finding of several.
func (r *Router) window(el *element) pattern.Window {
	if len(r.elements) == 1 {
		return pattern.Window{}
	}
	all := r.doc.Hits[r.event.findings]
	return pattern.Window{ArrayStart: all.Start, ArrayEnd: all.End, Start: el.start, End: el.end}
}

// place evaluates the prefix for a finding, and stores line there.
func (r *Router) place(stream int, el *element, line, refused []byte) {
	fields := r.p.findings
	if r.event.native {
		fields = r.p.detail
	}
	fields.View(&r.view, &r.doc, el.start, el.end, el.pos)
	when := r.instant(stream)
	values, code, err := r.keyValues(stream, el)
	if err == nil {
		r.at, err = r.prefixes[stream].AppendBytes(r.at[:0], when, values)
		if fault, ok := errors.AsType[*prefix.RecordError](err); ok {
			code = string(fault.Code)
		}
	}
	if err != nil {
		r.reject(stream, code, err.Error(), refused)
		return
	}
	if r.event.newline && bytes.IndexByte(line, '\n') >= 0 {
		r.line = scan.AppendCompact(r.line[:0], line)
		line = r.line
	}
	r.outcome = Outcome{Kind: Stored, Stream: stream, Prefix: r.intern(r.at), Line: line, Time: when, EventID: r.event.id, Finding: &r.view, Values: values}
	r.emit(&r.outcome)
}

// instant is the time that a record's prefix shows. A record whose own time is not understood lies at the epoch: it is
// not lost for that.
func (r *Router) instant(stream int) time.Time {
	if r.p.streams[stream].Timestamp == TimestampArrival && !r.arrival.Time.IsZero() {
		return r.arrival.Time
	}
	if r.event.timed {
		return r.event.when
	}
	if t, ok := r.view.UpdatedAt(); ok {
		return t
	}
	return time.Unix(0, 0).UTC()
}

func (r *Router) filtered(stream int) {
	r.outcome = Outcome{Kind: Filtered, Stream: stream, EventID: r.event.id}
	r.emit(&r.outcome)
}

func (r *Router) intern(b []byte) string {
	if s, ok := r.interned[string(b)]; ok {
		return s
	}
	if len(r.interned) >= maxInterned {
		clear(r.interned)
	}
	s := string(b)
	r.interned[s] = s
	return s
}
