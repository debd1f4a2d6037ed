package prefix

import "strings"

// Doubts gives remarks on timestamps that are allowed and rarely meant, for whoever checks a spec.
func (e *Expression) Doubts() []string {
	var shown [128]bool
	for i := range e.tokens {
		if t := &e.tokens[i]; t.kind == tokenField {
			shown[t.field.letter] = true
		}
	}
	shows := func(letters string) bool {
		return strings.ContainsFunc(letters, func(r rune) bool { return shown[r] })
	}
	var out []string
	for _, doubt := range []struct {
		holds bool
		text  string
	}{
		{
			shows("Y") && !shows("w"),
			"Y is the year of the week: the last days of December may get the next year; y is the calendar year",
		},
		{shows("D") && shows("ML"), "D is the day of the year; d is the day of the month"},
		{shows("m") && !shows("HhKk"), "m is the minute; M is the month"},
		{shows("S") && !shows("s"), "S is a fraction of a second; s is the second"},
		{shows("hK") && !shows("a"), "h and K count to 12: morning and evening share a prefix; H counts to 24"},
		{shows("SAnN"), "a prefix that shows fractions of a second gives each record an object of its own"},
	} {
		if doubt.holds {
			out = append(out, doubt.text)
		}
	}
	return out
}
