package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A member is a field of a struct as the Query protocol names it.
//
// The structs of an operation serve the JSON protocols and Query alike. A field's name is that of its json tag or else of
// Go. Where Query has another one, or another form, a tag says so:
//
//	Entries []entry           `query:"SendMessageBatchRequestEntry,flat"`
//	Values  map[string]string `json:"Attributes" query:"Attribute,flat,key=Name,value=Value"`
//	Tags    map[string]string `query:",key=Name,value=Value"`
//	Items   []string          `query:",item=Item"`
//	Hidden  string            `query:"-"`
//
// A list is Name.member.N in a form and <Name><member>…</member></Name> in XML, where item= gives another word for
// "member"; flat makes it Name.N, and <Name>…</Name> once for each. A map is Name.entry.N.key with Name.entry.N.value, and
// <Name><entry><key>…</key><value>…</value></entry></Name>; flat leaves the entry out, and makes Name the element of each
// pair. omitempty and omitzero of the json tag count for XML too. An embedded struct's fields are the outer one's.
//
// Texts, booleans, integers, floats, time.Time and Epoch (ISO 8601), []byte (Base64), jsontext.Value (as its text),
// structs, lists, maps from texts, and pointers to all of them may be fields.
//
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
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
