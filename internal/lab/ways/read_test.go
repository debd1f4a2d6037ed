package ways

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/population"
)

// A version is one state of a finding, as the truth and a line know it.
type version struct {
	account, region string
	id, updatedAt   string
	digest          [32]byte
}

func (v version) String() string { return v.account + " " + v.region + " " + v.id + " " + v.updatedAt }

// A seen is a line in a bucket.
type seen struct {
	key  string // of its object
	hour time.Time
	text string // the finding in it
}

// A holding is what a bucket holds.
type holding struct {
	lines    map[version][]seen
	errors   []errorRecord
	problems []problem // that need no truth to be seen
}

// A problem is what is wrong with a way.
type problem struct {
	way  string
	kind string
	what string
}

func (p problem) String() string { return p.way + ": " + p.kind + ": " + p.what }

// Kinds of problems.
const (
	missing   = "missing"   // Security Hub has taken it, and it is not there
	foreign   = "foreign"   // it is there, and Security Hub has not taken it of Inspector
	twice     = "twice"     // it is there more often than it came
	misplaced = "misplaced" // it is in another account's or region's folder
	misdated  = "misdated"  // it is in a folder of another hour
	broken    = "broken"    // it is no line of one JSON object
	refused   = "refused"   // it is under the error prefix
	different = "different" // it is not byte by byte what it is on another way
)

type errorRecord struct {
	ErrorCode    string `json:"errorCode"`
	ErrorMessage string `json:"errorMessage"`
	RawData      []byte `json:"rawData"`
}

// A line is what is read of one.
type line struct {
	ID        string `json:"Id"`
	Account   string `json:"AwsAccountId"`
	Region    string
	UpdatedAt string
	Detail    struct {
		Findings []jsontext.Value `json:"findings"` // of a whole event
	} `json:"detail"`
}

// lenient reads what hostile findings may hold.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// hold reads a way's bucket.
func (w *world) hold(v *way) *holding {
	h := &holding{lines: make(map[version][]seen)}
	for key, body := range w.lab.S3.Objects(v.name, "") {
		report := func(kind, format string, args ...any) {
			h.problems = append(h.problems, problem{v.name, kind, fmt.Sprintf(format, args...) + " in " + key})
		}
		plain, err := unzip(body)
		if err != nil {
			report(broken, "%v", err)
			continue
		}
		if !bytes.HasSuffix(plain, []byte("\n")) {
			report(broken, "the last line has no end")
		}
		for text := range bytes.Lines(plain) {
			text = bytes.TrimSuffix(text, []byte("\n"))
			if strings.HasPrefix(key, "errors/") {
				var e errorRecord
				if err := json.Unmarshal(text, &e); err != nil {
					report(broken, "error record: %v", err)
				}
				h.errors = append(h.errors, e)
				continue
			}
			h.take(key, text, report)
		}
	}
	return h
}

func unzip(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// take reads a line, and holds it against the key of its object.
func (h *holding) take(key string, text []byte, report func(kind, format string, args ...any)) {
	part := strings.Split(key, "/")
	if len(part) != 9 || part[0] != "AWSLogs" || part[2] != "Inspector" {
		report(misplaced, "a line")
		return
	}
	hour, err := time.Parse("2006/01/02/15", strings.Join(part[4:8], "/"))
	if err != nil {
		report(misdated, "a line")
		return
	}
	var l line
	finding := text
	err = json.Unmarshal(text, &l, lenient)
	if err == nil && len(l.Detail.Findings) == 1 {
		finding = l.Detail.Findings[0]
		err = json.Unmarshal(finding, &l, lenient)
	}
	digest, wrong := population.Digest(finding)
	if err = cmp.Or(err, wrong); err != nil {
		report(broken, "%v: %.60q", err, text)
		return
	}
	if len(text) == 0 || text[0] != '{' || text[len(text)-1] != '}' {
		report(broken, "something stands around the object: %.60q", text)
	}
	if l.Account != part[1] || l.Region != part[3] {
		report(misplaced, "%s of %s %s", l.ID, l.Account, l.Region)
	}
	v := version{l.Account, l.Region, l.ID, l.UpdatedAt, digest}
	h.lines[v] = append(h.lines[v], seen{key, hour, string(finding)})
}

// truth is what Security Hub has taken of Inspector, with its times.
func (w *world) truth() map[version]time.Time {
	w.t.Helper()
	out := make(map[version]time.Time)
	ids := make(map[string]bool)
	noise, closed := 0, 0
	for p := range w.lab.Population.Expected() {
		switch {
		case !p.Taken:
			continue
		case p.Product != "Inspector":
			noise++
			continue
		case p.RecordState == "ARCHIVED":
			closed++
		}
		at, err := time.Parse(time.RFC3339, p.UpdatedAt)
		w.must(err)
		ids[p.ID] = true
		out[version{p.Place.Account, p.Place.Region, p.ID, p.UpdatedAt, p.Digest}] = at
	}
	if noise == 0 || closed == 0 || len(ids) == 0 || len(out) <= len(ids) {
		w.t.Fatalf("%v: %d versions of %d findings, %d closed, %d of other products: this test would prove nothing", w, len(out), len(ids), closed, noise)
	}
	w.told.Do(func() {
		w.t.Logf("%v: %d versions of %d findings, %d closed, %d of other products", w, len(out), len(ids), closed, noise)
	})
	return out
}

// check holds a way's bucket against the truth.
func (w *world) check(v *way, h *holding, truth map[version]time.Time) []problem {
	out := slices.Clone(h.problems)
	add := func(kind, what string) { out = append(out, problem{v.name, kind, what}) }
	for ver, at := range truth {
		lines := h.lines[ver]
		if len(lines) == 0 {
			add(missing, ver.String())
		}
		if len(lines) > 1 && (!v.repeat || !w.doubled) {
			add(twice, fmt.Sprintf("%s, %d times: %s, %s", ver, len(lines), lines[0].key, lines[1].key))
		}
		for _, l := range lines {
			from, to := at.Add(-v.early).Truncate(time.Hour), at.Add(v.late)
			if w.delayed[v.by] {
				to = w.lab.Cloud.Clock.Now()
				if v.early > 0 { // an object may hold records that waited long
					from = labtest.Start.Truncate(time.Hour)
				}
			}
			if l.hour.Before(from) || l.hour.After(to) {
				add(misdated, ver.String()+" in "+l.key)
			}
		}
	}
	for ver, lines := range h.lines {
		if _, ok := truth[ver]; !ok {
			add(foreign, ver.String()+" in "+lines[0].key)
		}
	}
	for _, e := range h.errors {
		add(refused, fmt.Sprintf("%s: %s: %.60q", e.ErrorCode, e.ErrorMessage, e.RawData))
	}
	slices.SortFunc(out, func(a, b problem) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.what, b.what)) })
	return out
}

// alike tells where two ways differ in their lines or folders. What one of them lacks is left to check.
func alike(v *way, h, other *holding) []problem {
	var out []problem
	for ver, lines := range h.lines {
		theirs := other.lines[ver]
		if len(theirs) == 0 {
			continue
		}
		for _, l := range lines {
			if l.text != theirs[0].text {
				out = append(out, problem{v.name, different, fmt.Sprintf("%s:\n  %s\n  %s", ver, l.text, theirs[0].text)})
			}
		}
	}
	slices.SortFunc(out, func(a, b problem) int { return cmp.Compare(a.what, b.what) })
	return out
}

// expect holds ways against the truth and against the first of them, and tells of at most a few problems of each.
func (w *world) expect(ways ...*way) {
	w.t.Helper()
	truth := w.truth()
	first := w.hold(ways[0])
	for _, v := range ways {
		h := w.hold(v)
		w.tell(w.check(v, h, truth))
		w.tell(alike(v, h, first))
	}
}

// tell fails the test with the problems, at most a few of each kind.
func (w *world) tell(problems []problem) {
	w.t.Helper()
	if len(problems) == 0 {
		return
	}
	var text strings.Builder
	count := make(map[string]int)
	for _, p := range problems {
		if count[p.kind]++; count[p.kind] <= 2 {
			fmt.Fprintf(&text, "\n  %s: %s", p.kind, p.what)
		}
	}
	w.t.Errorf("%s: %v%s", problems[0].way, count, text.String())
}
