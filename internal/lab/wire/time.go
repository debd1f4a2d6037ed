package wire

import (
	"strconv"
	"time"
)

// An Epoch is a time in the JSON protocols' default form: seconds since 1970 with a fraction of milliseconds.
type Epoch struct{ time.Time }

// MarshalJSON writes a number.
func (e Epoch) MarshalJSON() ([]byte, error) {
	if e.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(e.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads a number, or a text of RFC 3339 as the SDKs' examples show it.
func (e *Epoch) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		s, err := strconv.Unquote(string(b))
		if err != nil {
			return err
		}
		e.Time, err = time.Parse(time.RFC3339Nano, s)
		return err
	}
	if string(b) == "null" {
		return nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return err
	}
	e.Time = time.UnixMilli(int64(f * 1000)).UTC()
	return nil
}

// ISO is how Security Hub and the XML protocols write a time.
func ISO(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
