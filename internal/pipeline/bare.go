package pipeline

import (
	"bytes"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/finding"
	"example.org/catchment/internal/scan"
)

// routeBare routes a document that is no event: a page is taken apart, a finding is put into the envelope that
// Security Hub would have sent it in.
func (r *Router) routeBare(raw []byte) {
	if _, err := r.bareDoc.Scan(raw, r.p.barePaths); err != nil {
		r.reject(0, codeOf(err), err.Error(), raw)
		return
	}
	if name, twice := r.bareDoc.Duplicate(); twice {
		r.reject(0, "duplicate-field", name+" is given twice: two readers could see two different findings", raw)
		return
	}
	if elements, page := r.pageElements(); page {
		offset := r.event.document.Offset
		for _, el := range elements {
			r.event = event{document: document.Document{Offset: offset + int64(el.start)}, findings: -1}
			if !el.object {
				r.reject(0, "finding-type", "an element of a page of findings is no object", raw[el.start:el.end])
				continue
			}
			r.wrap(raw[el.start:el.end])
		}
		return
	}
	r.wrap(raw)
}

// pageElements are the elements of a page that the document is. They are copied: routing one scans anew.
func (r *Router) pageElements() (elements []element, page bool) {
	for _, h := range r.bareDoc.Hits {
		if h.Path != r.p.pageLower && h.Path != r.p.pageUpper || h.Dotted {
			continue
		}
		if h.Pos == 0 {
			page = page || h.Kind == scan.Array
			continue
		}
		if _, parent, _ := r.bareDoc.Element(h.Pos); parent == 0 {
			elements = append(elements, element{start: h.Start, end: h.End, object: h.Kind == scan.Object})
		}
	}
	return elements, page
}

// wrap puts one bare finding into an envelope and routes it.
func (r *Router) wrap(raw []byte) {
	n, err := r.bareDoc.Scan(raw, r.p.barePaths)
	if err != nil {
		r.reject(0, codeOf(err), err.Error(), raw)
		return
	}
	r.p.bare.View(&r.view, &r.bareDoc, 0, int32(n), 0) //nolint:gosec // a document is no longer than document.Options.MaxDocument
	if r.view.Format == finding.Unknown {
		r.reject(0, "unrecognised", "neither an event, nor a finding, nor a page of findings", raw)
		return
	}
	wrapped := r.view.Wrap(raw)
	if _, err := r.doc.Scan(wrapped.Event, r.p.paths); err != nil {
		r.reject(0, codeOf(err), err.Error(), raw)
		return
	}
	if name, twice := r.doc.Duplicate(); twice {
		r.reject(0, "duplicate-field", name+" is given twice: two readers could see two different findings", raw)
		return
	}
	r.event.document.Bytes = raw
	r.readEnvelope()
	r.event.raw, r.event.plain = wrapped.Plain, raw
	r.event.newline = bytes.IndexByte(raw, '\n') >= 0
	r.routeEvent()
}
