package s3

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/wire"
)

// A condition of a put: the zero value is none.
type condition struct {
	absent bool   // If-None-Match: *
	match  string // If-Match: an ETag without quotes, or *
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (r *request) condition() (condition, error) {
	none, match := r.header("If-None-Match"), r.header("If-Match")
	if none != "" && none != "*" {
		return condition{}, notImplemented("If-None-Match")
	}
	if none != "" && match != "" {
		return condition{}, notImplemented("If-Match and If-None-Match")
	}
	return condition{none != "", unquote(match)}, nil
}

func unquote(etag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(etag), "W/"), `"`)
}

// holds tells whether a put may happen over what is there, which may be nil.
func (c condition) holds(key string, now *version) error {
	switch {
	case c.absent && now != nil:
		return preconditionFailed("If-None-Match")
	case c.match != "" && now == nil:
		return noSuchKey(key)
	case c.match != "" && c.match != "*" && c.match != now.etag:
		return preconditionFailed("If-Match")
	}
	return nil
}

// checkRead is what RFC 9110, section 13.2.2, says of the If- headers of a GET, HEAD or copy; prefix stands before their
// names. unchanged is set where a GET is answered with 304.
func (r *request) checkRead(v *version, prefix string) (unchanged bool, err error) {
	h := func(name string) string { return r.header(prefix + name) }
	if match := h("If-Match"); match != "" {
		if !anyTag(match, v.etag) {
			return false, preconditionFailed(prefix + "If-Match")
		}
	} else if since, ok := httpTime(h("If-Unmodified-Since")); ok && v.modified.After(since) {
		return false, preconditionFailed(prefix + "If-Unmodified-Since")
	}
	if none := h("If-None-Match"); none != "" {
		return anyTag(none, v.etag), nil
	}
	if since, ok := httpTime(h("If-Modified-Since")); ok && !v.modified.After(since) {
		return true, nil
	}
	return false, nil
}

func anyTag(list, etag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = unquote(t); t == "*" || t == etag {
			return true
		}
	}
	return false
}

func httpTime(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	t, err := http.ParseTime(s)
	return t, err == nil
}

// byteRange reads a Range of one stretch. ok is false where there is none that S3 heeds: then all is sent.
func byteRange(header string, size int) (start, end int, ok bool, err error) {
	spec, isBytes := strings.CutPrefix(header, "bytes=")
	first, last, isRange := strings.Cut(strings.TrimSpace(spec), "-")
	if !isBytes || !isRange || strings.Contains(spec, ",") {
		return 0, 0, false, nil
	}
	unsatisfiable := wire.StatusErrorf(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")
	unsatisfiable.Fields = map[string]any{"ActualObjectSize": strconv.Itoa(size), "RangeRequested": header}
	unsatisfiable.Header = map[string]string{"Content-Range": "bytes */" + strconv.Itoa(size)}
	from, hasFirst := digits(first)
	to, hasLast := digits(last)
	switch {
	case !hasFirst && first != "", !hasLast && last != "", !hasFirst && !hasLast, hasFirst && hasLast && to < from:
		return 0, 0, false, nil // no range at all
	case !hasFirst && (to == 0 || size == 0), hasFirst && from >= size:
		return 0, 0, false, unsatisfiable
	case !hasFirst:
		return size - min(to, size), size, true, nil
	case !hasLast:
		return from, size, true, nil
	}
	return from, min(to, size-1) + 1, true, nil
}

// digits reads a number that is not negative; a very large one is the largest.
func digits(s string) (int, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return math.MaxInt, true
	}
	return n, true
}
