package scan

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Paths is a set of wanted paths. Build it once with Add; after that it may be used by many goroutines.
type Paths struct {
	nodes []node // nodes[0] is the document itself
	names []string
}

type node struct {
	path     int32 // number of the path that ends here, -1 for none
	parent   int32
	key      string
	children []child
	byLength [][]int32        // indices of children by the length of their key; maxShort stands for all longer
	byKey    map[string]int32 // the same by key, where one length has many
	lengths  []int            // of the children's keys, each once
}

type child struct {
	key  string
	node int32
}

const (
	maxShort = 63 // bytes of a key
	// fewAlike is how many keys of one length are looked through one by one; beyond it a map is faster.
	fewAlike = 8
)

// NewPaths returns an empty set.
func NewPaths() *Paths { return &Paths{nodes: []node{{path: -1}}} }

// Add wants the value below these keys, from the outside in, and returns the path's number. The same path gives the
// same number; no key at all is the document itself. A key with a dot in it is several steps.
func (p *Paths) Add(keys ...string) int {
	at := int32(0)
	for _, key := range keys {
		for step := range strings.SplitSeq(key, ".") {
			at = p.addChild(at, step)
		}
	}
	n := &p.nodes[at]
	if n.path < 0 {
		n.path = int32(len(p.names)) //nolint:gosec // far fewer paths fit into memory
		p.names = append(p.names, p.name(at))
	}
	return int(n.path)
}

// Len returns how many paths are wanted; their numbers are below it.
func (p *Paths) Len() int { return len(p.names) }

// Name returns a path with dots.
func (p *Paths) Name(path int) string { return p.names[path] }

func (p *Paths) name(at int32) string {
	var keys []string
	for ; at != 0; at = p.nodes[at].parent {
		keys = append([]string{p.nodes[at].key}, keys...)
	}
	return strings.Join(keys, ".")
}

func (p *Paths) addChild(at int32, key string) int32 {
	if k := p.lookup(at, []byte(key)); k >= 0 {
		return p.nodes[at].children[k].node
	}
	made := int32(len(p.nodes)) //nolint:gosec // far fewer paths fit into memory
	p.nodes = append(p.nodes, node{path: -1, parent: at, key: key})
	n := &p.nodes[at]
	index := int32(len(n.children)) //nolint:gosec // far fewer paths fit into memory
	n.children = append(n.children, child{key, made})
	if n.byLength == nil {
		n.byLength = make([][]int32, maxShort+1)
	}
	if !slices.Contains(n.lengths, len(key)) {
		n.lengths = append(n.lengths, len(key))
	}
	alike := append(n.byLength[min(len(key), maxShort)], index)
	n.byLength[min(len(key), maxShort)] = alike
	if len(alike) > fewAlike && n.byKey == nil {
		n.byKey = make(map[string]int32)
		for i, c := range n.children {
			n.byKey[c.key] = int32(i)
		}
	}
	if n.byKey != nil {
		n.byKey[key] = index
	}
	return made
}

// lookup returns the index of a child, -1 for none.
func (p *Paths) lookup(at int32, key []byte) int {
	n := &p.nodes[at]
	if n.byLength == nil {
		return -1
	}
	alike := n.byLength[min(len(key), maxShort)]
	if len(alike) > fewAlike {
		if i, ok := n.byKey[string(key)]; ok {
			return int(i)
		}
		return -1
	}
	for _, i := range alike {
		if n.children[i].key == string(key) {
			return int(i)
		}
	}
	return -1
}

func (p *Paths) walkDotted(at int32, key []byte) int32 {
	for {
		step, rest, more := bytes.Cut(key, []byte{'.'})
		k := p.lookup(at, step)
		if k < 0 {
			return 0
		}
		at = p.nodes[at].children[k].node
		if !more {
			return at
		}
		key = rest
	}
}

// mayWalk tells whether a key that is no child's may walk several steps: it has a dot where some child's key would end.
func (n *node) mayWalk(key []byte) bool {
	for _, l := range n.lengths {
		if l < len(key) && key[l] == '.' {
			return true
		}
	}
	return false
}

// AppendUnescaped appends the content of a string, given without its quotes and known to be well formed. An escaped
// half of a surrogate pair becomes U+FFFD.
func AppendUnescaped(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		switch c := raw[i+1]; c {
		case 'u':
			r := hexRune(raw[i+2:])
			raw = raw[i+6:]
			if utf16.IsSurrogate(r) {
				low := utf8.RuneError
				if len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
					low = utf16.DecodeRune(r, hexRune(raw[2:]))
				}
				if r = low; r != utf8.RuneError {
					raw = raw[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		default:
			dst = append(dst, c)
		}
		raw = raw[i+2:]
	}
}

func hexRune(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		r = r<<4 | rune(hexDigit(c)) //nolint:gosec // a hexadecimal digit
	}
	return r
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// AppendCompact appends a valid JSON value without the white space between its tokens; strings and numbers stay as
// they are written.
func AppendCompact(dst, raw []byte) []byte {
	var s stops
	for i := 0; i < len(raw); {
		switch c := raw[i]; c {
		case ' ', '\n', '\t', '\r':
			i++
		case '"':
			end, _, err := s.skipString(raw, i+1)
			if err != nil {
				return append(dst, raw[i:]...) // not valid: nothing more to go by
			}
			dst = append(dst, raw[i:end]...)
			i = end
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}
