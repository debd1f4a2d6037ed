// Package scan reads one JSON value in place: it checks every byte of it and captures the spans of wanted paths.
//
// Nothing is decoded and nothing is allocated once a Document is warm. What is skipped is checked as strictly as what
// is captured (RFC 8259, UTF-8, nesting depth), so that a reader that comes later finds no surprise:
//
//   - one value, with white space around it;
//   - strings without raw control characters, with well-formed escapes, in valid UTF-8 (an escaped lone surrogate is
//     accepted: the grammar allows it, and AWS's own services have sent them);
//   - numbers and literals by the grammar;
//   - at most MaxDepth arrays and objects inside one another.
package scan

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how many arrays and objects may stand inside one another.
const MaxDepth = 512

// ErrIncomplete says that the bytes ended before the value did.
var ErrIncomplete = errors.New("the document ends inside a value")

// A SyntaxError says where a document stops being JSON.
type SyntaxError struct {
	Offset int // from the start of the bytes that were scanned
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Reason) }

// A Kind is the type of a JSON value.
type Kind uint8

// The kinds of JSON values.
const (
	Null Kind = iota + 1
	False
	True
	Number
	String
	Object
	Array
)

// A Hit is a value that stands at a wanted path.
type Hit struct {
	Path       int32 // the number that Paths.Add gave
	Start, End int32 // the span of the raw value in Document.Bytes; strings with their quotes
	Pos        int32 // array position, for Consistent and Element; 0 is below no array
	Kind       Kind
	Dotted     bool // reached through a key that holds a dot, where event patterns see several steps
	Escaped    bool // a string that holds a backslash
}

// A position is one element of one array; the positions of a document form a tree.
type position struct{ parent, array, index int32 }

// A Document is what a scan found. The zero Document is ready; reusing one saves its allocations. It is not safe for
// concurrent use.
type Document struct {
	Bytes []byte
	Hits  []Hit // in document order; a container comes before what is inside it

	paths     *Paths
	duplicate int32 // the node that some object names twice; 0: none
	positions []position
	arrays    int32
	key       []byte
	marks     []uint64
	stops     stops
}

// Scan reads the value at the start of b, white space before it allowed, and returns how many bytes it took. It
// returns a *SyntaxError, or ErrIncomplete when b ends inside the value. After an error the hits are those found so far.
// A top-level number that ends where b ends is taken as complete.
func (d *Document) Scan(b []byte, paths *Paths) (int, error) {
	d.Bytes, d.paths = b, paths
	d.Hits, d.positions, d.marks = d.Hits[:0], append(d.positions[:0], position{}), d.marks[:0]
	d.duplicate, d.arrays = 0, 0
	d.stops.reset()
	return d.value(skipSpace(b, 0), 0, 0, 0, false)
}

// Duplicate names, with dots, the wanted field that some object of the document gives twice. Two readers that pick
// different ones would see different documents.
func (d *Document) Duplicate() (string, bool) {
	if d.duplicate == 0 {
		return "", false
	}
	return d.paths.name(d.duplicate), true
}

// Raw returns the bytes of a hit's value.
func (d *Document) Raw(h Hit) []byte { return d.Bytes[h.Start:h.End] }

// Text returns the content of a string hit. It points into the document, or, where there is something to unescape,
// is appended to buf.
func (d *Document) Text(h Hit, buf []byte) []byte {
	raw := d.Bytes[h.Start+1 : h.End-1]
	if !h.Escaped {
		return raw
	}
	return AppendUnescaped(buf, raw)
}

// Consistent tells whether two array positions can belong together: they name no two different elements of one array.
// It is the rule by which two fields of an event pattern must be found in the same element.
func (d *Document) Consistent(a, b int32) bool {
	for x := a; x != 0; x = d.positions[x].parent {
		for y := b; y != 0; y = d.positions[y].parent {
			if d.positions[x].array == d.positions[y].array {
				if d.positions[x].index != d.positions[y].index {
					return false
				}
				break
			}
		}
	}
	return true
}

// Element returns the index of a position in its array, and the position of that array; ok is false for 0, which is
// below no array.
func (d *Document) Element(pos int32) (index int, parent int32, ok bool) {
	if pos == 0 {
		return 0, 0, false
	}
	p := d.positions[pos]
	return int(p.index), p.parent, true
}

// value reads a value that stands at node of the wanted paths; it returns the offset behind it.
func (d *Document) value(i int, node, pos int32, depth int, dotted bool) (int, error) {
	b := d.Bytes
	if i >= len(b) {
		return i, ErrIncomplete
	}
	n := &d.paths.nodes[node]
	hit := -1
	if n.path >= 0 {
		hit = len(d.Hits)
		d.Hits = append(d.Hits, Hit{Path: n.path, Start: int32(i), Pos: pos, Dotted: dotted}) //nolint:gosec // a document is far shorter
	}
	var end int
	var err error
	kind := Null
	switch b[i] {
	case '{':
		kind = Object
		if len(n.children) == 0 {
			end, err = d.stops.skip(b, i, depth)
		} else {
			end, err = d.object(i, node, pos, depth, dotted)
		}
	case '[':
		kind = Array
		end, err = d.array(i, node, pos, depth, dotted)
	case '"':
		var escaped bool
		kind = String
		if end, escaped, err = d.stops.skipString(b, i+1); hit >= 0 {
			d.Hits[hit].Escaped = escaped
		}
	case 't':
		kind = True
		end, err = skipScalar(b, i)
	case 'f':
		kind = False
		end, err = skipScalar(b, i)
	case 'n':
		end, err = skipScalar(b, i)
	default:
		kind = Number
		end, err = skipScalar(b, i)
	}
	if hit >= 0 {
		d.Hits[hit].Kind, d.Hits[hit].End = kind, int32(end) //nolint:gosec // a document is far shorter
	}
	return end, err
}

// object reads an object whose members are wanted.
func (d *Document) object(i int, node, pos int32, depth int, dotted bool) (int, error) {
	b := d.Bytes
	if depth >= MaxDepth {
		return i, tooDeep(i)
	}
	mark := len(d.marks)
	for range (len(d.paths.nodes[node].children) + 63) / 64 {
		d.marks = append(d.marks, 0)
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		d.marks = d.marks[:mark]
		return i + 1, nil
	}
	for {
		var key []byte
		var err error
		if key, i, err = d.memberName(i); err != nil {
			return i, err
		}
		child, dot := d.child(node, key, mark)
		if child != 0 {
			i, err = d.value(i, child, pos, depth+1, dotted || dot)
		} else {
			i, err = d.stops.skip(b, i, depth+1)
		}
		if err != nil {
			return i, err
		}
		if i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		if i >= len(b) {
			return i, ErrIncomplete
		}
		switch b[i] {
		case ',':
			if i++; i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
			}
		case '}':
			d.marks = d.marks[:mark]
			return i + 1, nil
		default:
			return i, notAfter(b, i, true)
		}
	}
}

// memberName reads a member's name and what follows it up to its value.
func (d *Document) memberName(i int) (key []byte, value int, err error) {
	end, value, escaped, err := d.stops.skipName(d.Bytes, i)
	if err != nil {
		return nil, value, err
	}
	key = d.Bytes[i+1 : end-1]
	if escaped {
		d.key = AppendUnescaped(d.key[:0], key)
		key = d.key
	}
	return key, value, nil
}

// child finds the wanted node for a member, 0 for none, and notes a member that the object names for the second time.
// A key with a dot in it walks several steps, as event patterns flatten keys; it is never a second naming.
func (d *Document) child(node int32, key []byte, mark int) (int32, bool) {
	at := d.paths.lookup(node, key)
	if at >= 0 {
		word, bit := &d.marks[mark+at/64], uint64(1)<<(at%64)
		child := d.paths.nodes[node].children[at].node
		if *word&bit != 0 && d.duplicate == 0 {
			d.duplicate = child
		}
		*word |= bit
		return child, false
	}
	if !d.paths.nodes[node].mayWalk(key) {
		return 0, false
	}
	return d.paths.walkDotted(node, key), true
}

// array reads an array at a wanted node. Arrays are transparent: each element stands at the same node.
func (d *Document) array(i int, node, pos int32, depth int, dotted bool) (int, error) {
	b := d.Bytes
	if depth >= MaxDepth {
		return i, tooDeep(i)
	}
	d.arrays++
	id := d.arrays
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for index := int32(0); ; index++ {
		d.positions = append(d.positions, position{parent: pos, array: id, index: index})
		var err error
		i, err = d.value(i, node, int32(len(d.positions)-1), depth+1, dotted) //nolint:gosec // a document is far shorter
		if err != nil {
			return i, err
		}
		if i = skipSpace(b, i); i >= len(b) {
			return i, ErrIncomplete
		}
		switch b[i] {
		case ',':
			i = skipSpace(b, i+1)
		case ']':
			return i + 1, nil
		default:
			return i, notAfter(b, i, false)
		}
	}
}

func tooDeep(i int) error {
	return &SyntaxError{i, fmt.Sprintf("more than %d arrays and objects inside one another", MaxDepth)}
}

func show(c byte) string {
	if c < 0x20 || c >= utf8.RuneSelf {
		return fmt.Sprintf("byte 0x%02x", c)
	}
	return fmt.Sprintf("%q", c)
}
