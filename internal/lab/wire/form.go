package wire

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The bounds of a form. The largest of AWS's own, a full batch of SQS with ten attributes each, has about 300 values.
const (
	maxFormValues = 10_000
	maxFormDepth  = 16  // dots in a name
	maxFormName   = 512 // bytes
)

// A branch is a part of a form's names, between two dots.
type branch struct {
	value string
	set   bool
	under map[string]*branch
}

func malformed(format string, args ...any) error { return Errorf("MalformedInput", format, args...) }

// readForm makes a tree of a form's names. It takes room for what is there, whatever the numbers in the names are.
func readForm(form url.Values) (*branch, error) {
	if len(form) > maxFormValues {
		return nil, malformed("%d values: at most %d are taken", len(form), maxFormValues)
	}
	root := &branch{}
	for name, values := range form {
		if len(name) > maxFormName || strings.Count(name, ".") > maxFormDepth {
			return nil, malformed("a name is longer than %d bytes, or has more than %d parts", maxFormName, maxFormDepth)
		}
		at := root
		for part := range strings.SplitSeq(name, ".") {
			next := at.under[part]
			if next == nil {
				next = &branch{}
				if at.under == nil {
					at.under = make(map[string]*branch)
				}
				at.under[part] = next
			}
			at = next
		}
		if len(values) > 0 {
			at.value, at.set = values[0], true
		}
	}
	return root, nil
}

// A numbered branch is an element of a list, or a pair of a map.
type numbered struct {
	n  uint64
	at *branch
}

// elements are the numbered branches in the order of their numbers. Gaps close: 1 and 999999999 are two elements.
func (b *branch) elements(path string) ([]numbered, error) {
	if b == nil {
		return nil, nil
	}
	out := make([]numbered, 0, len(b.under))
	for name, at := range b.under {
		n, err := strconv.ParseUint(name, 10, 32)
		if err != nil || n == 0 || name[0] == '0' {
			return nil, malformed("%s.%.40s: expected a number from 1", path, name)
		}
		out = append(out, numbered{n, at})
	}
	slices.SortFunc(out, func(a, b numbered) int { return cmp.Compare(a.n, b.n) })
	return out, nil
}

// decodeForm reads the form of a request into a struct. Values that it does not know are passed over.
func decodeForm(c *Call, in any) error {
	root, err := readForm(c.HTTP.Form)
	if err != nil {
		return err
	}
	return shapes{}.readStruct(root, reflect.ValueOf(in).Elem(), "")
}

func (s shapes) readStruct(b *branch, v reflect.Value, path string) error {
	for _, m := range s.members(v.Type()) {
		at := b.under[m.name]
		if at == nil {
			continue
		}
		if err := s.read(at, v.FieldByIndex(m.index), m, path+m.name); err != nil {
			return err
		}
	}
	return nil
}

// read reads what is at a branch into v. Only m's forms of lists and maps are looked at.
func (s shapes) read(b *branch, v reflect.Value, m member, path string) error {
	t := v.Type()
	switch {
	case isScalar(t):
		if !b.set {
			return malformed("%s: expected a value, found more names under it", path)
		}
		return readScalar(b.value, v, path)
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		return s.read(b, v.Elem(), m, path)
	case t.Kind() == reflect.Slice:
		return s.readList(b, v, m, path)
	case t.Kind() == reflect.Map:
		return s.readMap(b, v, m, path)
	default:
		if b.set && b.value != "" {
			return malformed("%s: expected names under it, found a value", path)
		}
		return s.readStruct(b, v, path+".")
	}
}

// plain is how lists of lists and values of maps are written.
var plain = member{item: "member", key: "key", value: "value"}

func (s shapes) readList(b *branch, v reflect.Value, m member, path string) error {
	if !m.flat {
		b, path = b.under[m.item], path+"."+m.item
	}
	elements, err := b.elements(path)
	if err != nil {
		return err
	}
	list := reflect.MakeSlice(v.Type(), len(elements), len(elements))
	for i, e := range elements {
		if err := s.read(e.at, list.Index(i), plain, path+"."+strconv.FormatUint(e.n, 10)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func (s shapes) readMap(b *branch, v reflect.Value, m member, path string) error {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		return errType(t)
	}
	if !m.flat {
		b, path = b.under["entry"], path+".entry"
	}
	elements, err := b.elements(path)
	if err != nil {
		return err
	}
	out := reflect.MakeMapWithSize(t, len(elements))
	for _, e := range elements {
		at := path + "." + strconv.FormatUint(e.n, 10)
		key, value := e.at.under[m.key], e.at.under[m.value]
		if key == nil || value == nil {
			return malformed("%s: expected %s and %s", at, m.key, m.value)
		}
		one := reflect.New(t.Elem()).Elem()
		if err := s.read(value, one, plain, at+"."+m.value); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(key.value).Convert(t.Key()), one)
	}
	v.Set(out)
	return nil
}

// readScalar reads one value.
func readScalar(text string, v reflect.Value, path string) error {
	var err error
	expected := ""
	switch v.Type() {
	case typeEpoch, typeTime:
		var when time.Time
		if when, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return malformed("%s: expected a time such as 2006-01-02T15:04:05Z", path)
		}
		if v.Type() == typeEpoch {
			v.Set(reflect.ValueOf(Epoch{when.UTC()}))
		} else {
			v.Set(reflect.ValueOf(when.UTC()))
		}
		return nil
	case typeJSON:
		v.Set(reflect.ValueOf(jsontext.Value(text)))
		return nil
	case typeBytes:
		plain, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return malformed("%s: expected Base64", path)
		}
		v.SetBytes(plain)
		return nil
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
		expected = "true or false"
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
		expected = "an integer of " + strconv.Itoa(v.Type().Bits()) + " bits"
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		expected = "an integer that is not negative"
	case v.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		v.SetFloat(f)
		expected = "a number"
	default:
		return errType(v.Type())
	}
	if err != nil {
		return malformed("%s: expected %s", path, expected)
	}
	return nil
}
