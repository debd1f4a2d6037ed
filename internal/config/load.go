package config

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Options are what Load knows of the world outside of the file.
type Options struct {
	// Lookup finds variables for ${NAME}, as os.LookupEnv does. Nil: there are none.
	Lookup func(name string) (string, bool)
	// Checks are called after all else, also when there are faults already, so that theirs are reported with those.
	// Fields that are wrong already hold their defaults, and what a check says about them is dropped.
	Checks []Check
}

// A Check looks at a spec for what this package does not know: whether patterns, prefixes and jq can be compiled.
// It calls report for each thing that is wrong.
type Check func(s *Spec, report func(Fault))

// A Fault is what a Check says. Load adds the place in the file.
type Fault struct {
	Path string // made with Field and Item; a path that the file does not have stands where its nearest parent does
	Want string
	Hint string
	Err  error
}

// Load reads the spec in data. The error is of type Errors and holds everything that is wrong; name is the file's
// name in it. With an error the Spec is nil.
func Load(name string, data []byte, o Options) (*Spec, error) {
	s, faults := load(name, data, o)
	if len(faults) > 0 {
		return nil, sorted(faults)
	}
	return s, nil
}

// ReadFile is Load of a file; a file that cannot be read is an error of its own. Name "-" is stdin.
func ReadFile(name string, stdin io.Reader, o Options) (*Spec, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the user's own choice
		if err != nil {
			return nil, fmt.Errorf("open spec: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read spec %s: %w", name, err)
	}
	return Load(name, data, o)
}

func load(name string, data []byte, o Options) (*Spec, []*FieldError) {
	root, r := parse(name, data, o.Lookup)
	s := Default()
	if root == nil {
		return s, r.faults
	}
	specNode(s).decode(r, root, "")
	c := &checker{reader: r, root: root}
	c.rules(s)
	for _, check := range o.Checks {
		check(s, c.report)
	}
	return s, r.faults
}

// parse reads YAML alone. The value is nil when there is none to go on with.
func parse(name string, data []byte, lookup func(string) (string, bool)) (*value, *reader) {
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	r := &reader{file: name, what: "a spec", hint: `"catchment init" writes one to start from`, lookup: lookup}
	r.reset()
	return r.read(data), r
}

// A checker reports what is wrong between fields.
type checker struct {
	*reader
	root *value
}

// report adds a fault at the place of its path, unless that place, something in it or around it is faulty already:
// one mistake is said once.
func (c *checker) report(f Fault) {
	for _, known := range c.faults {
		if known.Path != "" && (within(known.Path, f.Path) || within(f.Path, known.Path)) {
			return
		}
	}
	at, whole := find(c.root, f.Path)
	e := &FieldError{
		File: c.file, Line: max(at.line, 1), Column: max(at.column, 1),
		Path: f.Path, Want: f.Want, Hint: f.Hint, Err: f.Err,
	}
	if whole && at.kind != listKind && at.kind != objectKind {
		e.Value = at.printed()
	}
	c.faults = append(c.faults, e)
}

// within tells whether the path inner is outer, or a place in it.
func within(inner, outer string) bool {
	rest, ok := strings.CutPrefix(inner, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// find returns the value at path, or else, with false, the nearest one around it.
func find(v *value, path string) (*value, bool) {
	for path != "" {
		name, index, rest := cut(path)
		next := v.child(name, index)
		if next == nil {
			return v, false
		}
		v, path = next, rest
	}
	return v, true
}

func (v *value) child(name string, index int) *value {
	if index >= 0 && index < len(v.items) {
		return v.items[index]
	}
	for _, m := range v.members {
		if index < 0 && m.name == name {
			return m.value
		}
	}
	return nil
}

// cut splits the first step off a path: a name, or an index when that is not negative.
func cut(path string) (name string, index int, rest string) {
	if quoted, ok := strings.CutPrefix(path, "["); ok {
		if literal, err := strconv.QuotedPrefix(quoted); err == nil {
			name, _ = strconv.Unquote(literal) // QuotedPrefix has checked it
			return name, -1, strings.TrimPrefix(quoted[len(literal):], "]")
		}
		digits, rest, _ := strings.Cut(quoted, "]")
		if index, err := strconv.Atoi(digits); err == nil {
			return "", index, rest
		}
		return path, -1, ""
	}
	path = strings.TrimPrefix(path, ".")
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i], -1, path[i:]
	}
	return path, -1, ""
}
