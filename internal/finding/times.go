package finding

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// layouts are the ways in which AWS has written times in findings and events. A fraction of seconds may follow the
// seconds in each of them.
var layouts = [...]string{
	time.RFC3339,                // 2023-04-21T15:59:04Z, 2024-01-26T17:19:14.000-05:00
	"2006-01-02T15:04Z07:00",    // without seconds
	"2006-01-02T15:04:05",       // without a zone: UTC
	"2006-01-02 15:04:05Z07:00", // as some tools print it
	"2006-01-02 15:04:05",
	"2006-01-02T15:04:05-0700",
	"2006-01-02",
	"Mon Jan 2 15:04:05 MST 2006", // Inspector2 Finding events since 2024, with milliseconds
	"Jan 2, 2006, 3:04:05 PM",     // Inspector2 Finding events of 2021
	"Jan 2, 2006 3:04:05 PM",      // the same from an older Java
}

// ParseTime understands a time as text, in any of the forms that AWS writes, epoch seconds included; ok is false for
// others and for years before 1970 or after 9999. A leap second is the second after it.
func ParseTime(b []byte) (t time.Time, ok bool) {
	if t, ok = parseCommon(b); ok {
		return t, true
	}
	if len(b) < 8 || len(b) > 64 {
		return time.Time{}, false
	}
	// Newer Java runtimes put a narrow no-break space before AM and PM.
	text := strings.NewReplacer("\u202f", " ", "\u00a0", " ").Replace(string(b))
	if t, ok = parseLayouts(text); ok {
		return t, true
	}
	if i := strings.LastIndex(text, ":60"); i >= 0 && strings.IndexByte(text[:i], ':') >= 0 && !strings.HasPrefix(text[i+3:], ":") {
		if t, ok = parseLayouts(text[:i] + ":59" + text[i+3:]); ok {
			return inRange(t.Add(time.Second))
		}
		return time.Time{}, false
	}
	// Fewer than nine digits are no seconds of this century; 20260501 is a date of another form.
	if i := bytes.IndexByte(b, '.'); max(i, 0) > 8 || i < 0 && len(b) > 8 {
		return ParseEpoch(b)
	}
	return time.Time{}, false
}

func parseLayouts(text string) (t time.Time, ok bool) {
	for _, layout := range layouts {
		t, err := time.ParseInLocation(layout, text, time.UTC)
		if err != nil {
			continue
		}
		// An abbreviation that Go does not know would pass for UTC: CEST is two hours from it.
		if name, offset := t.Zone(); offset == 0 && name != "UTC" && name != "GMT" && name != "" {
			return time.Time{}, false
		}
		return inRange(t.UTC())
	}
	return time.Time{}, false
}

func inRange(t time.Time) (time.Time, bool) {
	if t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, false
	}
	return t, true
}

// parseCommon reads 2026-05-01T10:20:30Z and the same with a fraction, which nearly every event has.
func parseCommon(b []byte) (time.Time, bool) {
	if len(b) < 20 || len(b) > 30 || b[len(b)-1] != 'Z' || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return time.Time{}, false
	}
	year, month, day := digits(b[0:4]), digits(b[5:7]), digits(b[8:10])
	hour, minute, second := digits(b[11:13]), digits(b[14:16]), digits(b[17:19])
	nanos := 0
	if len(b) > 20 {
		if b[19] != '.' || len(b) < 22 {
			return time.Time{}, false
		}
		fraction := b[20 : len(b)-1]
		if nanos = digits(fraction); nanos < 0 {
			return time.Time{}, false
		}
		for range 9 - len(fraction) {
			nanos *= 10
		}
	}
	if year < 1970 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC), true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// digits reads a decimal number; something else gives a negative one.
func digits(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1 << 40
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// ParseEpoch understands a number as time: seconds since 1970 with a fraction (Inspector's APIs), or milliseconds
// (OCSF). A number above 10^11 is milliseconds: as seconds it would be after the year 5138.
func ParseEpoch(b []byte) (t time.Time, ok bool) {
	for _, c := range b {
		if strings.IndexByte("0123456789.eE+", c) < 0 && c != '-' { // ParseFloat takes more: NaN, 0x1p4
			return time.Time{}, false
		}
	}
	n, err := strconv.ParseFloat(string(b), 64)
	if err != nil || n < 0 {
		return time.Time{}, false
	}
	if n > 1e11 {
		n /= 1000
	}
	if n > 253402300799 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(n*1000 + 0.5)).UTC(), true
}
