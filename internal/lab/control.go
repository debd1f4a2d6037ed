package lab

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
)

// controlPath is where the lab itself is asked, beside what it imitates.
const controlPath = "/_lab/"

// maxControl bounds the body of a question to the lab itself.
const maxControl = 1 << 20

const controlText = `The lab's own questions, beside those of AWS:

  GET    /_lab/clock                    the lab's time, and what waits
  POST   /_lab/clock {"advance":"5m"}   moves it; answers when all that was to happen has happened
  GET    /_lab/faults                   what goes wrong at present
  POST   /_lab/faults {"kind":"drop"…}  makes something go wrong: drop duplicate delay throttle deny corrupt down
  DELETE /_lab/faults[/ID]              ends it
  GET    /_lab/calls?errors=1           the newest requests, each with who asked for what
  GET    /_lab/state[/SERVICE]          what the services hold
  GET    /_lab/accounts                 the accounts with their access keys
  GET    /_lab/operations               what each service answers
  GET    /_lab/environment?account=…    what to export; &format=shell for eval
  POST   /_lab/flush                    delivers what Firehose buffers
  POST   /_lab/findings {"account":…,"region":…,"count":5}   opens findings of Inspector there
`

// control answers what is asked of the lab itself.
func (l *Lab) control() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := admissible(r); err != nil {
				writeControl(w, http.StatusForbidden, map[string]string{"error": err.Error()})
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxControl)
			out, err := do(r)
			if err != nil {
				writeControl(w, statusOf(err), map[string]string{"error": err.Error()})
				return
			}
			writeControl(w, http.StatusOK, out)
		})
	}
	handle("GET /_lab/clock", func(*http.Request) (any, error) { return l.clock(), nil })
	handle("POST /_lab/clock", l.moveClock)
	handle("GET /_lab/faults", func(*http.Request) (any, error) { return l.Faults(), nil })
	handle("POST /_lab/faults", l.askFault)
	handle("DELETE /_lab/faults", func(*http.Request) (any, error) {
		l.Cloud.Faults.Clear()
		return l.Faults(), nil
	})
	handle("DELETE /_lab/faults/{id}", func(r *http.Request) (any, error) {
		if !l.Cloud.Faults.Remove(r.PathValue("id")) {
			return nil, fmt.Errorf("fault %q: %w", r.PathValue("id"), errMissing)
		}
		return l.Faults(), nil
	})
	handle("GET /_lab/calls", l.listCalls)
	handle("GET /_lab/state", func(*http.Request) (any, error) { return l.state(), nil })
	handle("GET /_lab/state/{service}", func(r *http.Request) (any, error) {
		inspect := l.inspectors[r.PathValue("service")]
		if inspect == nil {
			return nil, fmt.Errorf("service %q: %w", r.PathValue("service"), errMissing)
		}
		return inspect(), nil
	})
	handle("GET /_lab/operations", func(*http.Request) (any, error) { return l.Operations(), nil })
	handle("GET /_lab/accounts", func(*http.Request) (any, error) { return l.Accounts(), nil })
	mux.HandleFunc("GET /_lab/environment", l.serveEnvironment)
	handle("POST /_lab/flush", func(r *http.Request) (any, error) {
		if err := l.Flush(r.Context()); err != nil {
			return nil, err
		}
		return l.clock(), nil
	})
	handle("POST /_lab/findings", l.openFindings)
	mux.HandleFunc("GET /_lab/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, controlText) // the client is gone
	})
	return mux
}

// serveEnvironment answers what to export: as JSON, or with format=shell as lines for eval.
func (l *Lab) serveEnvironment(w http.ResponseWriter, r *http.Request) {
	if err := admissible(r); err != nil {
		writeControl(w, http.StatusForbidden, map[string]string{"error": err.Error()})
		return
	}
	q := r.URL.Query()
	environment, err := l.Environment(q.Get("account"), q.Get("region"))
	switch {
	case err != nil:
		writeControl(w, statusOf(err), map[string]string{"error": err.Error()})
	case q.Get("format") == "shell":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, name := range slices.Sorted(maps.Keys(environment)) {
			fmt.Fprintf(w, "export %s='%s'\n", name, environment[name])
		}
	default:
		writeControl(w, http.StatusOK, environment)
	}
}

var errMissing = errors.New("there is none")

func statusOf(err error) int {
	if errors.Is(err, errMissing) {
		return http.StatusNotFound
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// admissible keeps web pages in the user's browser from asking: the lab has no passwords of its own. A page's own name may
// resolve to this machine, so the request has to name an address or localhost; and only a page that was asked first may
// send JSON elsewhere.
func admissible(r *http.Request) error {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host != "localhost" && net.ParseIP(strings.Trim(host, "[]")) == nil {
		return fmt.Errorf("host %q: the lab itself is asked at an address, or at localhost", host)
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method == http.MethodPost && kind != "application/json" {
		return errors.New("content type: expected application/json")
	}
	return nil
}

func writeControl(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client is gone
}

// read decodes the body of a question, strictly: a name that is not known is a mistake.
func read(r *http.Request, v any) error {
	if err := json.UnmarshalRead(r.Body, v, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	return nil
}

// A ClockState is the lab's time.
type ClockState struct {
	Now     time.Time `json:"now"`
	Pending int       `json:"pending"`       // tasks that wait
	Next    time.Time `json:"next,omitzero"` // when the first of them is due
}

func (l *Lab) clock() ClockState {
	n, next := l.Cloud.Clock.Pending()
	return ClockState{l.Cloud.Clock.Now(), n, next}
}

// maxAdvance bounds one move of the clock.
const maxAdvance = 366 * 24 * time.Hour

func (l *Lab) moveClock(r *http.Request) (any, error) {
	var in struct {
		Advance string `json:"advance"`
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	d, err := time.ParseDuration(in.Advance)
	if err != nil || d < 0 || d > maxAdvance {
		return nil, fmt.Errorf("advance %q: expected a time such as 90s, 5m or 24h, up to %v", in.Advance, maxAdvance)
	}
	if err := l.Cloud.Clock.Advance(r.Context(), d); err != nil {
		return nil, fmt.Errorf("advance the clock: %w", err)
	}
	return l.clock(), nil
}

func (l *Lab) listCalls(r *http.Request) (any, error) {
	q := r.URL.Query()
	calls, total := l.Cloud.Calls.List()
	calls = slices.DeleteFunc(calls, func(c cloud.CallRecord) bool {
		return q.Get("errors") != "" && c.Error == "" || q.Get("service") != "" && q.Get("service") != c.Service ||
			q.Get("account") != "" && q.Get("account") != c.Account
	})
	return struct {
		Total int                `json:"total"`
		Calls []cloud.CallRecord `json:"calls"`
	}{total, calls}, nil
}

func (l *Lab) state() map[string]any {
	out := make(map[string]any, len(l.inspectors))
	for name, inspect := range l.inspectors {
		out[name] = inspect()
	}
	return out
}

func (l *Lab) openFindings(r *http.Request) (any, error) {
	var in struct {
		Account string `json:"account"`
		Region  string `json:"region"`
		Count   int    `json:"count"`
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if in.Count < 1 || in.Count > 100_000 {
		return nil, fmt.Errorf("count %d: expected 1 to 100000", in.Count)
	}
	if !l.Cloud.Accounts.Enabled(in.Account, in.Region) {
		return nil, fmt.Errorf("account %q in region %q: %w", in.Account, in.Region, errMissing)
	}
	opened, err := l.OpenFindings(r.Context(), in.Account, in.Region, in.Count)
	if err != nil {
		return nil, err
	}
	return map[string]int{"opened": opened}, nil
}
