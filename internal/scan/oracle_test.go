package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// seen is a hit in a form that an oracle can build as well: positions are written out as the chain of arrays and
// indices that they stand for.
type seen struct {
	Path          int
	Raw           string
	Kind          Kind
	Dotted        bool
	Escaped       bool
	Chain         string
	DuplicateName string
}

// oracle reads the first value of in with jsontext. Lone surrogates in escapes are accepted, as Scan does; all else that
// is no UTF-8 is not. depth is how deep the value nests.
func oracle(in []byte) (value []byte, consumed, depth int, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(in), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	v, err := d.ReadValue()
	if err != nil {
		return nil, 0, 0, err
	}
	if !utf8.Valid(v) {
		return nil, 0, 0, errors.New("invalid UTF-8")
	}
	v = bytes.Clone(v)
	t := jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		if _, err := t.ReadToken(); err != nil { // io.EOF: v is valid
			return v, int(d.InputOffset()), depth, nil //nolint:nilerr // see there
		}
		depth = max(depth, t.StackDepth())
	}
}

// A walker finds wanted paths with jsontext's tokens: the same result as Scan by other means.
type walker struct {
	in     []byte
	d      *jsontext.Decoder
	want   map[string]int // dotted path to number
	inner  map[string]bool
	out    []seen
	arrays int
	twice  string
}

func walk(value []byte, paths *Paths) ([]seen, string) {
	w := &walker{in: value, want: map[string]int{}, inner: map[string]bool{}}
	for i := range paths.Len() {
		name := paths.Name(i)
		w.want[name] = i
		for k := range name {
			if name[k] == '.' {
				w.inner[name[:k]] = true
			}
		}
		w.inner[name] = true
	}
	w.d = jsontext.NewDecoder(bytes.NewReader(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	w.value("", true, "", false)
	return w.out, w.twice
}

// value reads one value at a dotted path; on says whether the path is wanted or leads to one that is.
func (w *walker) value(path string, on bool, chain string, dotted bool) {
	number, wanted := w.want[path]
	if path == "" {
		number, wanted = -1, false
	}
	hit := -1
	if on && wanted {
		hit = len(w.out)
		w.out = append(w.out, seen{Path: number, Dotted: dotted, Chain: chain})
	}
	tok, err := w.d.ReadToken()
	if err != nil {
		panic(err)
	}
	end := int(w.d.InputOffset())
	var start int
	kind := map[jsontext.Kind]Kind{'n': Null, 't': True, 'f': False, '0': Number, '"': String, '{': Object, '[': Array}[tok.Kind()]
	switch tok.Kind() { //nolint:exhaustive // the others are no containers
	case '{':
		start = end - 1
		w.members(path, on, chain, dotted)
	case '[':
		start = end - 1
		w.arrays++
		id := w.arrays
		for i := 0; w.d.PeekKind() != ']'; i++ {
			w.value(path, on, fmt.Sprintf("%s/%d:%d", chain, id, i), dotted)
		}
		w.read()
	default:
		start = end - len(lastScalar(w.in[:end], tok.Kind()))
	}
	if hit >= 0 {
		raw := string(w.in[start:w.d.InputOffset()])
		w.out[hit].Raw, w.out[hit].Kind = raw, kind
		w.out[hit].Escaped = kind == String && strings.Contains(raw, `\`)
	}
}

func (w *walker) members(path string, on bool, chain string, dotted bool) {
	given := map[string]bool{}
	for w.d.PeekKind() != '}' {
		key := w.read().String()
		child := key
		if path != "" {
			child = path + "." + key
		}
		dot := strings.Contains(key, ".")
		if on && w.inner[child] && !dot {
			if given[key] && w.twice == "" {
				w.twice = child
			}
			given[key] = true
		}
		w.value(child, on && w.inner[child], chain, dotted || dot)
	}
	w.read()
}

func (w *walker) read() jsontext.Token {
	tok, err := w.d.ReadToken()
	if err != nil {
		panic(err)
	}
	return tok
}

// lastScalar is the scalar that b ends with: jsontext tells where a token ends, not where it starts.
func lastScalar(b []byte, kind jsontext.Kind) []byte {
	if kind != '"' {
		i := len(b)
		for i > 0 && strings.IndexByte("+-.0123456789eEtruefalsn", b[i-1]) >= 0 {
			i--
		}
		return b[i:]
	}
	for i := len(b) - 2; ; i-- {
		if b[i] != '"' {
			continue
		}
		slashes := 0
		for i-slashes > 0 && b[i-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return b[i:]
		}
	}
}

// asSeen writes the hits of a document as the oracle does.
func asSeen(d *Document) []seen {
	var out []seen
	for _, h := range d.Hits {
		s := seen{Path: int(h.Path), Raw: string(d.Raw(h)), Kind: h.Kind, Dotted: h.Dotted, Escaped: h.Escaped}
		for pos := h.Pos; pos != 0; {
			index, parent, _ := d.Element(pos)
			s.Chain = fmt.Sprintf("/%d:%d", d.positions[pos].array, index) + s.Chain
			pos = parent
		}
		out = append(out, s)
	}
	return out
}

// consistent is Consistent by its definition, on chains.
func consistent(a, b string) bool {
	index := map[string]string{}
	for _, step := range strings.Split(a, "/") {
		array, i, _ := strings.Cut(step, ":")
		index[array] = i
	}
	for _, step := range strings.Split(b, "/") {
		array, i, _ := strings.Cut(step, ":")
		if other, both := index[array]; both && other != i {
			return false
		}
	}
	return true
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
