package prefix

import (
	"strings"
	"time"

	// Zones are part of where a record goes. With the table in the binary a spec means the
	// same in an image built from scratch and on Windows, which have none of their own.
	_ "time/tzdata"
)

// loadZone applies CustomTimeZone's own bounds (at most 50 characters of letters, "/" and "_")
// before the table is asked.
func loadZone(name string) (*time.Location, *SyntaxError) {
	bad := func(problem, hint string) *SyntaxError {
		return &SyntaxError{
			Code: CodeTimeZone, Column: 1, Problem: problem,
			Expected: "an IANA name such as Asia/Tokyo", Hint: hint,
		}
	}
	if name == "" {
		return time.UTC, nil
	}
	if len(name) > 50 {
		return nil, bad("time zone of more than 50 characters", "")
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '/' && r != '_' {
			return nil, bad("time zone "+quote(name)+" holds "+quote(string(r)),
				`Firehose takes letters, "/" and "_" only`)
		}
	}
	// These depend on the machine, or count leap seconds.
	switch first, _, _ := strings.Cut(name, "/"); first {
	case "Local", "localtime", "posix", "posixrules", "right":
		return nil, bad("time zone "+quote(name)+" is not an IANA name", "")
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, bad("unknown time zone "+quote(name), "names are case-sensitive: Europe/Berlin, UTC")
	}
	return loc, nil
}
