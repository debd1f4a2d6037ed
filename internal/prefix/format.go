package prefix

import (
	"math"
	"strconv"
	"time"
)

// A calendar is an instant taken apart once for all fields.
type calendar struct {
	year              int64 // proleptic: 0 is 1 BC
	month, day        int
	hour, minute, sec int
	nano              int
	weekday           int // 0: Sunday
	dayOfYear         int // from 1
	offset            int // seconds east of UTC
}

func calendarAt(t time.Time) calendar {
	_, offset := t.Zone()
	year, month, day := t.Date()
	hour, minute, sec := t.Clock()
	return calendar{
		year: int64(year), month: int(month), day: day,
		hour: hour, minute: minute, sec: sec, nano: t.Nanosecond(),
		weekday: int(t.Weekday()), dayOfYear: t.YearDay(), offset: offset,
	}
}

// era is the year as G and y count it: 1 BC comes before AD 1.
func (c *calendar) era() (year int64, ad bool) {
	if c.year > 0 {
		return c.year, true
	}
	return 1 - c.year, false
}

func (c *calendar) yearLength() int {
	if c.year%4 == 0 && (c.year%100 != 0 || c.year%400 == 0) {
		return 366
	}
	return 365
}

// week gives the week-based year with its week number: weeks from Sunday, the first of which holds
// 1 January. The last days of December may belong to the next year; no day belongs to the last.
func (c *calendar) week() (year int64, week int) {
	if c.dayOfYear+6-c.weekday > c.yearLength() {
		return c.year + 1, 1
	}
	firstWeekday := ((c.weekday-(c.dayOfYear-1))%7 + 7) % 7
	return c.year, (c.dayOfYear-1+firstWeekday)/7 + 1
}

// weekOfMonth counts rows of a calendar sheet whose weeks start on Sunday.
func (c *calendar) weekOfMonth() int {
	firstWeekday := ((c.weekday-(c.day-1))%7 + 7) % 7
	return (c.day-1+firstWeekday)/7 + 1
}

// modifiedJulianDay counts days from 1858-11-17.
func (c *calendar) modifiedJulianDay() int64 {
	days := time.Date(int(c.year), time.Month(c.month), c.day, 0, 0, 0, 0, time.UTC).Unix() / 86400
	return days + 40587
}

func (c *calendar) nanoOfDay() int64 {
	return int64(c.hour*3600+c.minute*60+c.sec)*1e9 + int64(c.nano)
}

// twelve maps 0 to 12, as clocks do.
func twelve(n, clock int) int64 {
	if n == 0 {
		return int64(clock)
	}
	return int64(n)
}

func (f field) append(dst []byte, c *calendar) []byte {
	switch f.letter {
	case 'u':
		return appendYear(dst, c.year, f.width)
	case 'y':
		year, _ := c.era()
		return appendYear(dst, year, f.width)
	case 'Y':
		year, _ := c.week()
		return appendYear(dst, year, f.width)
	case 'w':
		_, week := c.week()
		return appendInt(dst, int64(week), f.width)
	case 'W':
		return appendInt(dst, int64(c.weekOfMonth()), 1)
	case 'D':
		return appendInt(dst, int64(c.dayOfYear), f.width)
	case 'd':
		return appendInt(dst, int64(c.day), f.width)
	case 'F':
		// The day within its block of seven, as Java up to 18 has it, against its own description
		// (the number of the block), which Java 19 and later follow.
		return appendInt(dst, int64((c.day-1)%7+1), 1)
	case 'g':
		return appendInt(dst, c.modifiedJulianDay(), f.width)
	case 'H':
		return appendInt(dst, int64(c.hour), f.width)
	case 'k':
		return appendInt(dst, twelve(c.hour, 24), f.width)
	case 'K':
		return appendInt(dst, int64(c.hour%12), f.width)
	case 'h':
		return appendInt(dst, twelve(c.hour%12, 12), f.width)
	case 'm':
		return appendInt(dst, int64(c.minute), f.width)
	case 's':
		return appendInt(dst, int64(c.sec), f.width)
	case 'S':
		return appendInt(dst, int64(c.nano)/int64(math.Pow10(9-f.width)), f.width)
	case 'A':
		return appendInt(dst, c.nanoOfDay()/1e6, f.width)
	case 'n':
		return appendInt(dst, int64(c.nano), f.width)
	case 'N':
		return appendInt(dst, c.nanoOfDay(), f.width)
	case 'X', 'x', 'Z', 'O':
		return f.appendOffset(dst, c.offset)
	default:
		return f.appendText(dst, c)
	}
}

// appendText prints the letters that have names in English.
func (f field) appendText(dst []byte, c *calendar) []byte {
	switch f.letter {
	case 'a':
		if c.hour < 12 {
			return append(dst, "AM"...)
		}
		return append(dst, "PM"...)
	case 'G':
		_, ad := c.era()
		long, short := "Before Christ", "BC"
		if ad {
			long, short = "Anno Domini", "AD"
		}
		switch f.width {
		case 4:
			return append(dst, long...)
		case 5:
			return append(dst, short[0])
		}
		return append(dst, short...)
	case 'M', 'L':
		if f.width <= 2 {
			return appendInt(dst, int64(c.month), f.width)
		}
		return appendName(dst, time.Month(c.month).String(), f.width)
	case 'Q', 'q':
		quarter := int64((c.month-1)/3 + 1)
		switch f.width {
		case 3:
			return appendInt(append(dst, 'Q'), quarter, 1)
		case 4:
			return append(append(dst, [...]string{"1st", "2nd", "3rd", "4th"}[quarter-1]...), " quarter"...)
		case 5:
			return appendInt(dst, quarter, 1)
		}
		return appendInt(dst, quarter, f.width)
	case 'e', 'c':
		if f.width <= 2 {
			return appendInt(dst, int64(c.weekday)+1, f.width)
		}
	}
	return appendName(dst, time.Weekday(c.weekday).String(), f.width) // E, and e and c as text
}

// appendName prints an English name: 3 letters, whole (4) or its first letter (5).
func appendName(dst []byte, name string, width int) []byte {
	switch width {
	case 4:
		return append(dst, name...)
	case 5:
		return append(dst, name[0])
	}
	return append(dst, name[:3]...)
}

// appendYear prints a year as Java does: two letters give two digits; from four letters on, a
// year that is wider than its letters gets a plus sign.
func appendYear(dst []byte, year int64, width int) []byte {
	if width == 2 {
		if year < 0 {
			year = -year
		}
		return appendInt(dst, year%100, 2)
	}
	if width >= 4 && year >= 0 && width < 19 && year >= pow10(width) {
		dst = append(dst, '+')
	}
	return appendInt(dst, year, width)
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// appendInt prints n with at least width digits.
func appendInt(dst []byte, n int64, width int) []byte {
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], n, 10)
	for range width - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

// appendOffset prints the zone's offset. Z prints as x or X or O do, by its count.
func (f field) appendOffset(dst []byte, offset int) []byte {
	letter, width := f.letter, f.width
	if letter == 'Z' {
		switch {
		case width <= 3:
			letter, width = 'x', 2
		case width == 4:
			letter = 'O'
		default:
			letter = 'X'
		}
	}
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	hours, minutes, seconds := offset/3600, offset/60%60, offset%60
	if letter == 'O' {
		dst = append(dst, "GMT"...)
		if offset == 0 {
			return dst
		}
		if width == 1 {
			dst = appendInt(append(dst, sign), int64(hours), 1)
			if minutes == 0 && seconds == 0 {
				return dst
			}
		} else {
			dst = appendInt(append(dst, sign), int64(hours), 2)
		}
		dst = appendInt(append(dst, ':'), int64(minutes), 2)
		if seconds > 0 {
			dst = appendInt(append(dst, ':'), int64(seconds), 2)
		}
		return dst
	}
	// Java looks at what it has printed, not at the offset: 30 seconds without a field for
	// seconds is zero.
	showMinutes := width > 1 || minutes > 0
	showSeconds := width >= 4 && seconds > 0
	if hours == 0 && (!showMinutes || minutes == 0) && !showSeconds {
		if letter == 'X' {
			return append(dst, 'Z')
		}
		sign = '+'
	}
	dst = appendInt(append(dst, sign), int64(hours), 2)
	colon := width == 3 || width == 5
	for i, part := range [...]int{minutes, seconds} {
		if i == 0 && !showMinutes || i == 1 && !showSeconds {
			break
		}
		if colon {
			dst = append(dst, ':')
		}
		dst = appendInt(dst, int64(part), 2)
	}
	return dst
}
