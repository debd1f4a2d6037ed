package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A member is a field of a struct as the Query protocol names it: see the package's comment.
type member struct {
	name       string
	index      []int
	flat       bool
	item       string // the word for an element of a list
	key, value string // the words for a pair of a map
	omit       bool
}

// shapes remembers the members of the types that one request meets.
type shapes map[reflect.Type][]member

func (s shapes) members(t reflect.Type) []member {
	if m, ok := s[t]; ok {
		return m
	}
	m := readMembers(t, nil)
	s[t] = m
	return m
}

// maxEmbedded is how deep structs may be embedded: more is a mistake.
const maxEmbedded = 8

func readMembers(t reflect.Type, index []int) []member {
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		path := append(index[:len(index):len(index)], i)
		tag, tagged := f.Tag.Lookup("query")
		jsonTag := f.Tag.Get("json")
		if f.Anonymous && !tagged && f.Type.Kind() == reflect.Struct && len(path) < maxEmbedded {
			if name, _, _ := strings.Cut(jsonTag, ","); name == "" {
				out = append(out, readMembers(f.Type, path)...)
				continue
			}
		}
		if !f.IsExported() || tag == "-" || jsonTag == "-" && !tagged {
			continue
		}
		out = append(out, readMember(f.Name, jsonTag, tag, path))
	}
	return out
}

func readMember(name, jsonTag, tag string, index []int) member {
	m := member{name: name, index: index, item: "member", key: "key", value: "value"}
	jsonName, jsonOptions, _ := strings.Cut(jsonTag, ",")
	if jsonName = strings.Trim(jsonName, "'"); jsonName != "" && jsonName != "-" {
		m.name = jsonName
	}
	m.omit = strings.Contains(jsonOptions, "omitempty") || strings.Contains(jsonOptions, "omitzero")
	queryName, options, _ := strings.Cut(tag, ",")
	if queryName != "" {
		m.name = queryName
	}
	for o := range strings.SplitSeq(options, ",") {
		word, value, _ := strings.Cut(o, "=")
		switch word {
		case "flat":
			m.flat = true
		case "item":
			m.item = value
		case "key":
			m.key = value
		case "value":
			m.value = value
		}
	}
	return m
}

// Types that are more than their kind.
var (
	typeEpoch = reflect.TypeFor[Epoch]()
	typeTime  = reflect.TypeFor[time.Time]()
	typeJSON  = reflect.TypeFor[jsontext.Value]()
	typeBytes = reflect.TypeFor[[]byte]()
)

// isScalar tells whether a type is one value in a form: no list, map or struct.
func isScalar(t reflect.Type) bool {
	switch t {
	case typeEpoch, typeTime, typeJSON, typeBytes:
		return true
	}
	return !slices.Contains([]reflect.Kind{reflect.Struct, reflect.Slice, reflect.Map, reflect.Pointer}, t.Kind())
}

// errType says that the lab's author used a type that the Query protocol does not know.
func errType(t reflect.Type) error {
	return fmt.Errorf("%v is nothing that the Query protocol can carry", t)
}
