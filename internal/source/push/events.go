package push

import (
	"net/http"
	"strconv"
	"time"
)

// events takes JSON as EventBridge API destinations send it, one event a request, and whatever else document.Split
// takes apart: lines, arrays, pages, documents run together. Broken ones are handed over as broken: the answer is 200,
// and says how many they were.
func (x *exchange) events() {
	if !x.authorized() {
		return
	}
	buf, err := x.readBody(limits{
		max: x.s.o.MaxBody, tooLarge: http.StatusRequestEntityTooLarge, budgets: []*budget{x.s.held},
	})
	defer x.s.freeBuffer(buf)
	if err != nil {
		x.refuseFor(err)
		return
	}
	x.handOver(buf.b)
}

// handOver delivers the documents of content and answers.
func (x *exchange) handOver(content []byte) {
	if isBlank(content) {
		x.refuseFor(errEmptyBody)
		return
	}
	b := x.newBatch()
	defer x.release(b)
	err := b.split(x, content)
	if err == nil {
		err = b.end(x)
	}
	if err != nil {
		x.refuseFor(err)
		return
	}
	x.accept(b)
}

func (x *exchange) accept(b *batch) {
	var space [64]byte
	body := append(space[:0], `{"received":`...)
	body = strconv.AppendInt(body, int64(b.received), 10)
	body = append(body, `,"rejected":`...)
	body = strconv.AppendInt(body, int64(b.rejected), 10)
	x.answer(http.StatusOK, append(body, "}\n"...))
}

// isBlank tells whether there is nothing but white space.
func isBlank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

// appendMillis appends the time in milliseconds since 1970.
func appendMillis(dst []byte, now time.Time) []byte {
	return strconv.AppendInt(dst, now.UnixMilli(), 10)
}
