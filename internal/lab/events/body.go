package events

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/scan"
)

// An event is what a bus received.
type event struct {
	body []byte // the envelope
	// hopped says that it came from a bus, or from another account or region, and is not sent to a further bus.
	hopped bool
	at     time.Time // when it came
}

// A bodyForm makes what a target gets of an event. The zero bodyForm is the event as it came, byte by byte.
type bodyForm struct {
	constant []byte    // not nil: this
	path     *jsonPath // not nil: what it finds
	template []piece   // not nil: its pieces one after the other
}

// A piece is text of a template, or a variable.
type piece struct {
	text   string
	name   string    // of a variable; empty: text counts
	path   *jsonPath // nil: name is one of the predefined ones
	quoted bool      // it stands inside of a string
}

// The variables that each template has.
const (
	varRuleARN   = "aws.events.rule-arn"
	varRuleName  = "aws.events.rule-name"
	varIngestion = "aws.events.event.ingestion-time"
	varEvent     = "aws.events.event"      // without its detail
	varEventJSON = "aws.events.event.json" // all of it
)

var predefined = []string{varRuleARN, varRuleName, varIngestion, varEvent, varEventJSON}

// read compiles what a target says of its body.
func (f *bodyForm) read(t *target) error {
	switch {
	case t.Input != nil:
		if !isJSON(*t.Input) {
			return invalid("JSON syntax error in input for target %s", t.ID)
		}
		f.constant = []byte(*t.Input)
	case t.InputPath != nil:
		p, err := parsePath(*t.InputPath)
		if err != nil {
			return invalid("Invalid InputPath for target %s : %v.", t.ID, err)
		}
		f.path = &p
	case t.InputTransformer != nil:
		return f.readTemplate(t.ID, t.InputTransformer)
	}
	return nil
}

var placeholder = regexp.MustCompile(`<([A-Za-z0-9_.\-]+)>`)

func (f *bodyForm) readTemplate(id string, in *inputTransformer) error {
	paths := make(map[string]*jsonPath)
	for _, key := range slices.Sorted(maps.Keys(in.InputPathsMap)) {
		if strings.HasPrefix(key, "AWS") {
			return invalid("InputPathsMap of target %s is not valid. Reason: keys cannot start with AWS.", id)
		}
		p, err := parsePath(in.InputPathsMap[key])
		if err != nil {
			return invalid("Invalid InputPath for target %s : %v.", id, err)
		}
		paths[key] = &p
	}
	var trial strings.Builder // the template with something in the place of each variable
	quoted, rest := false, in.InputTemplate
	f.template = []piece{}
	for rest != "" {
		m := placeholder.FindStringSubmatchIndex(rest)
		text := rest
		if m != nil {
			text = rest[:m[0]]
		}
		quoted = endsQuoted(text, quoted)
		trial.WriteString(text)
		f.template = append(f.template, piece{text: text})
		if m == nil {
			break
		}
		name := rest[m[2]:m[3]]
		rest = rest[m[1]:]
		p, known := paths[name]
		if !known && !slices.Contains(predefined, name) {
			return invalid("InputTemplate for target %s contains invalid placeholder %s.", id, name)
		}
		if !quoted {
			trial.WriteString("null")
		}
		f.template = append(f.template, piece{name: name, path: p, quoted: quoted})
	}
	if !isJSON(trial.String()) {
		return invalid("Invalid InputTemplate for target %s : it must be valid JSON once its variables are filled in.", id)
	}
	return nil
}

// endsQuoted tells whether text, which starts inside of a string or not, ends inside of one.
func endsQuoted(text string, quoted bool) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		}
	}
	return quoted
}

// isJSON tells whether text is one or more JSON values: a template of several lines may have a string in each.
func isJSON(text string) bool {
	var doc scan.Document
	nowhere := scan.NewPaths()
	rest := []byte(strings.TrimSpace(text))
	for first := true; len(rest) > 0 || first; first = false {
		n, err := doc.Scan(rest, nowhere)
		if err != nil {
			return false
		}
		rest = []byte(strings.TrimSpace(string(rest[n:])))
	}
	return true
}

// body is what the target gets of an event that a rule matched. An InputPath that finds nothing gives null.
func (f *bodyForm) body(l *liveRule, e *event) []byte {
	switch {
	case f.constant != nil:
		return f.constant
	case f.path != nil:
		if found := f.path.find(e.body); found != nil {
			return found
		}
		return []byte("null")
	case f.template == nil:
		return e.body
	}
	var out []byte
	for i := range f.template {
		p := &f.template[i]
		if p.name == "" {
			out = append(out, p.text...)
			continue
		}
		out = p.fill(out, l, e)
	}
	return out
}

// fill appends a variable's value: as JSON, or inside of a string as text. What is missing is the empty string.
func (p *piece) fill(dst []byte, l *liveRule, e *event) []byte {
	value := p.value(l, e)
	if !p.quoted {
		if value == nil {
			return append(dst, `""`...)
		}
		return append(dst, value...)
	}
	if len(value) > 0 && value[0] != '"' {
		value = quote(string(value))
	}
	if len(value) < 2 {
		return dst
	}
	return append(dst, value[1:len(value)-1]...)
}

func (p *piece) value(l *liveRule, e *event) []byte {
	if p.path != nil {
		return p.path.find(e.body)
	}
	switch p.name {
	case varRuleARN:
		return quote(l.arn)
	case varRuleName:
		return quote(l.name)
	case varIngestion:
		return quote(e.at.UTC().Format(time.RFC3339))
	case varEvent:
		return withoutDetail(e.body)
	default:
		return scan.AppendCompact(nil, e.body)
	}
}

// quote renders a JSON string.
func quote(s string) []byte {
	b, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "�"))
	if err != nil {
		return []byte(`""`)
	}
	return b
}

func withoutDetail(body []byte) []byte {
	out := []byte{'{'}
	members(body, func(key string, _ int, value []byte) bool {
		if key == "detail" {
			return true
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(out, quote(key)...), ':')
		out = scan.AppendCompact(out, value)
		return true
	})
	return append(out, '}')
}
