package s3

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"example.org/catchment/internal/lab/wire"
)

// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList

func badRequest(code, format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusBadRequest, code, format, args...)
}

func notFound(code, format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusNotFound, code, format, args...)
}

func accessDenied(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusForbidden, "AccessDenied", format, args...)
}

func noSuchBucket(name string) *wire.Error {
	e := notFound("NoSuchBucket", "The specified bucket does not exist")
	e.Fields = map[string]any{"BucketName": name}
	return e
}

func noSuchKey(key string) *wire.Error {
	e := notFound("NoSuchKey", "The specified key does not exist.")
	e.Fields = map[string]any{"Key": key}
	return e
}

func noSuchVersion(key, id string) *wire.Error {
	e := notFound("NoSuchVersion", "The specified version does not exist.")
	e.Fields = map[string]any{"Key": key, "VersionId": id}
	return e
}

func noSuchUpload(id string) *wire.Error {
	e := notFound("NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	e.Fields = map[string]any{"UploadId": id}
	return e
}

func preconditionFailed(condition string) *wire.Error {
	e := wire.StatusErrorf(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	e.Fields = map[string]any{"Condition": condition}
	return e
}

func malformedXML() *wire.Error {
	return badRequest("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

func notImplemented(header string) *wire.Error {
	e := wire.StatusErrorf(http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented")
	e.Fields = map[string]any{"Header": header}
	return e
}

func invalidArgument(name, value, format string, args ...any) *wire.Error {
	e := badRequest("InvalidArgument", format, args...)
	e.Fields = map[string]any{"ArgumentName": name, "ArgumentValue": value}
	return e
}

func methodNotAllowed(method string) *wire.Error {
	e := wire.StatusErrorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	e.Fields = map[string]any{"Method": method}
	return e
}

// A page is an answer in XML.
type page struct{ b bytes.Buffer }

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

func newPage(root string) *page {
	p := &page{}
	p.b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<" + root + ` xmlns="` + namespace + `">`)
	return p
}

func (p *page) open(name string)  { p.b.WriteString("<" + name + ">") }
func (p *page) close(name string) { p.b.WriteString("</" + name + ">") }

func (p *page) text(name, value string) {
	p.open(name)
	escape(&p.b, value)
	p.close(name)
}

// some writes an element where it has a value.
func (p *page) some(name, value string) {
	if value != "" {
		p.text(name, value)
	}
}

func (p *page) number(name string, n int)       { p.text(name, strconv.Itoa(n)) }
func (p *page) truth(name string, b bool)       { p.text(name, strconv.FormatBool(b)) }
func (p *page) moment(name string, t time.Time) { p.text(name, wire.ISO(t)) }

func (p *page) owner(account string) {
	p.open("Owner")
	p.text("ID", canonicalID(account))
	p.close("Owner")
}

func (r *request) answer(p *page, root string)    { r.answerStatus(http.StatusOK, p, root) }
func (r *request) answerNothing(status int) error { r.w.WriteHeader(status); return nil }

func (r *request) answerStatus(status int, p *page, root string) {
	p.close(root)
	r.w.Header().Set("Content-Type", "application/xml")
	r.w.WriteHeader(status)
	_, _ = r.w.Write(p.b.Bytes()) // the client is gone
}

// escape writes text into XML as S3 does: control characters, which XML 1.0 cannot have, as references to them. Who wants
// to read such keys asks for encoding-type=url.
func escape(b *bytes.Buffer, s string) {
	for i, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff:
			b.WriteString("&#x" + strconv.FormatInt(int64(r), 16) + ";")
		case r == utf8.RuneError:
			b.WriteString("\uFFFD")
		default:
			b.WriteString(s[i : i+utf8.RuneLen(r)])
		}
	}
}
