package finding

import (
	"bytes"
	"strconv"
	"strings"

	"example.org/catchment/internal/scan"
)

// A PlaceError says why a finding's account or region cannot name a place in the bucket.
type PlaceError struct {
	Field  string // account or region
	Value  string // what the finding has, clipped; empty: nothing
	Reason string // missing or invalid
}

func (e *PlaceError) Error() string {
	if e.Reason == "missing" {
		return "the finding has no " + e.Field
	}
	want := "twelve digits"
	if e.Field == "region" {
		want = "a region such as us-east-1"
	}
	return "the finding's " + e.Field + " is " + strconv.QuoteToASCII(e.Value) + ", expected " + want
}

// Account is the account that the finding is about, twelve digits: never the administrator account that relayed it.
// The error is a *PlaceError.
func (v *View) Account() ([]byte, error) {
	var account []byte
	var given bool
	switch v.Format {
	case OCSF:
		account, given = v.written(slotCloudAccount)
	case InspectorV2:
		if account, given = v.written(slotLowerAccount); !given {
			account = []byte(arnPart(v.text(slotFindingArn), arnAccount))
		}
	case InspectorClassic:
		account = []byte(arnPart(v.text(slotArn), arnAccount))
	case ASFF, Unknown:
		account, given = v.written(slotAccount)
	}
	if len(account) == 0 && !given {
		return nil, &PlaceError{Field: "account", Reason: "missing"}
	}

	if !isAccount(account) {
		return nil, &PlaceError{Field: "account", Value: clip(account), Reason: "invalid"}
	}
	return account, nil
}

// Region is the region of the finding. Where the finding does not name it (those of 2020 do not), it is its first
// resource's, then its ARN's, then the event's. A region that is there but is none is an error, a *PlaceError: no
// fall-back may hide it.
func (v *View) Region(event []byte) ([]byte, error) {
	var candidates [4][]byte
	own := slotRegion
	if v.Format == OCSF {
		own = slotCloudRegion
	}
	if (v.Format == ASFF || v.Format == OCSF) && v.has(own) {
		if h := v.doc.Hits[v.hits[own]-1]; h.Kind != scan.String {
			return nil, &PlaceError{Field: "region", Value: clip(v.doc.Raw(h)), Reason: "invalid"}
		}
	}
	switch v.Format {
	case OCSF:
		candidates = [4][]byte{
			v.text(slotCloudRegion), nil, []byte(arnPart(v.text(slotMetaProductUID), arnRegion)), event,
		}
	case InspectorV2: // a resource's region may be another cloud's
		candidates = [4][]byte{[]byte(arnPart(v.text(slotFindingArn), arnRegion)), event}
	case InspectorClassic:
		candidates = [4][]byte{[]byte(arnPart(v.text(slotArn), arnRegion)), event}
	case ASFF, Unknown:
		region := v.text(slotRegion)
		if len(region) > 0 && string(region) != "N/A" { // nearly always; the fall-backs cost something
			candidates = [4][]byte{region}
			break
		}
		candidates = [4][]byte{nil, nil, []byte(arnPart(v.text(slotProductArn), arnRegion)), event}
	}
	if (v.Format == ASFF || v.Format == OCSF) && (len(candidates[0]) == 0 || string(candidates[0]) == "N/A") {
		var err error
		if candidates[1], err = v.resourceRegion(); err != nil {
			return nil, err
		}
	}
	for i, region := range candidates {
		switch {
		case len(region) == 0 || string(region) == "N/A":
		case isRegion(region):
			return region, nil
		case i == 0:
			return nil, &PlaceError{Field: "region", Value: clip(region), Reason: "invalid"}
		}
	}
	return nil, &PlaceError{Field: "region", Reason: "missing"}
}

// resourceRegion is the region of the finding's first resource that names one. It reads the finding again.
func (v *View) resourceRegion() ([]byte, error) {
	if _, err := v.again.Scan(v.raw, v.fields.resources); err != nil {
		return nil, nil //nolint:nilerr // it was read before: there is no error
	}
	if name, twice := v.again.Duplicate(); twice {
		return nil, &PlaceError{Field: "region", Value: name + " given twice", Reason: "invalid"}
	}
	for _, h := range v.again.Hits {
		if h.Kind == scan.String && !h.Dotted {
			return v.again.Text(h, nil), nil
		}
	}
	return nil, nil
}

// written is a field's content, or, of what is no string, its JSON in brackets: never twelve digits.
func (v *View) written(s slot) (content []byte, given bool) {
	if !v.has(s) {
		return nil, false
	}
	if h := v.doc.Hits[v.hits[s]-1]; h.Kind != scan.String {
		return append(append([]byte{'('}, v.doc.Raw(h)...), ')'), true
	}
	return v.text(s), true
}

func isAccount(b []byte) bool {
	if len(b) != 12 {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isRegion accepts the form of a region's name in every partition: lower-case words joined by hyphens, a number last.
func isRegion(b []byte) bool {
	if len(b) > 32 {
		return false
	}
	last := bytes.LastIndexByte(b, '-')
	if last < 0 || last == len(b)-1 || len(b)-last > 3 {
		return false
	}
	for _, c := range b[last+1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	words, start := 0, 0
	for i := 0; i <= last; i++ {
		if b[i] == '-' {
			if i-start < 2 && words == 0 || i == start {
				return false
			}
			words, start = words+1, i+1
		} else if b[i] < 'a' || b[i] > 'z' {
			return false
		}
	}
	return words >= 2
}

// The parts of an ARN (AWS General Reference): arn:partition:service:region:account:resource.
const (
	arnService = 2
	arnRegion  = 3
	arnAccount = 4
)

// arnPart returns a part of an ARN, empty where b is none.
func arnPart(b []byte, part int) string {
	if !bytes.HasPrefix(b, []byte("arn:")) {
		return ""
	}
	parts := strings.SplitN(string(b), ":", 7)
	if len(parts) < 6 {
		return ""
	}
	return parts[part]
}

func clip(b []byte) string {
	const most = 64
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}
