package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep an answer may go: more is a ring.
const maxDepth = 32

// encodeXML writes what an operation gave. Its result element is there also where nothing is in it: some SDKs look for it.
func encodeXML(service *Service, c *Call, out any) ([]byte, error) {
	w := xmlWriter{shapes: shapes{}}
	fmt.Fprintf(&w.b, "<%sResponse", c.Operation)
	if service.Namespace != "" {
		fmt.Fprintf(&w.b, " xmlns=%q", service.Namespace)
	}
	w.b.WriteString(">")
	v := reflect.Indirect(reflect.ValueOf(out))
	if !v.IsValid() {
		v = reflect.ValueOf(struct{}{})
	}
	if v.Kind() != reflect.Struct {
		return nil, errType(v.Type())
	}
	if err := w.element(c.Operation+"Result", v, plain, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Operation, err)
	}
	fmt.Fprintf(&w.b, "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>", c.RequestID, c.Operation)
	return w.b.Bytes(), nil
}

type xmlWriter struct {
	shapes shapes
	b      bytes.Buffer
}

// element writes a value as an element; a nil pointer and a zero time are none.
func (w *xmlWriter) element(name string, v reflect.Value, m member, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s is deeper than %d", name, maxDepth)
	}
	t := v.Type()
	switch {
	case isScalar(t):
		text, there, err := scalarText(v)
		if err != nil || !there {
			return err
		}
		w.b.WriteString("<" + name + ">")
		escapeXML(&w.b, text)
		w.b.WriteString("</" + name + ">")
		return nil
	case t.Kind() == reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return w.element(name, v.Elem(), m, depth+1)
	case m.flat && t.Kind() == reflect.Slice:
		return w.list(name, v, depth)
	case m.flat && t.Kind() == reflect.Map:
		return w.pairs(name, v, m, depth)
	}
	w.b.WriteString("<" + name + ">")
	var err error
	switch {
	case t.Kind() == reflect.Slice:
		err = w.list(m.item, v, depth)
	case t.Kind() == reflect.Map:
		err = w.pairs("entry", v, m, depth)
	default:
		err = w.fields(v, depth)
	}
	w.b.WriteString("</" + name + ">")
	return err
}

func (w *xmlWriter) fields(v reflect.Value, depth int) error {
	for _, m := range w.shapes.members(v.Type()) {
		f := v.FieldByIndex(m.index)
		if m.omit && (f.IsZero() || (f.Kind() == reflect.Slice || f.Kind() == reflect.Map) && f.Len() == 0) {
			continue
		}
		if err := w.element(m.name, f, m, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *xmlWriter) list(name string, v reflect.Value, depth int) error {
	for i := range v.Len() {
		if err := w.element(name, v.Index(i), plain, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *xmlWriter) pairs(name string, v reflect.Value, m member, depth int) error {
	if v.Type().Key().Kind() != reflect.String {
		return errType(v.Type())
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		w.b.WriteString("<" + name + "><" + m.key + ">")
		escapeXML(&w.b, key.String())
		w.b.WriteString("</" + m.key + ">")
		if err := w.element(m.value, v.MapIndex(key), plain, depth+1); err != nil {
			return err
		}
		w.b.WriteString("</" + name + ">")
	}
	return nil
}

// scalarText is a value as text; there is false for a time that is not set.
func scalarText(v reflect.Value) (text string, there bool, err error) {
	switch x := v.Interface().(type) {
	case Epoch:
		return ISO(x.Time), !x.IsZero(), nil
	case time.Time:
		return ISO(x), !x.IsZero(), nil
	case jsontext.Value:
		return string(x), true, nil
	case []byte:
		return base64.StdEncoding.EncodeToString(x), true, nil
	}
	switch {
	case v.Kind() == reflect.String:
		return v.String(), true, nil
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool()), true, nil
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), true, nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), true, nil
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'f', -1, 64), true, nil
	}
	return "", false, errType(v.Type())
}

// errorXML is an error in the Query protocol.
func errorXML(service *Service, c *Call, e *Error) []byte {
	code := e.Code
	switch {
	case e.QueryCode != "":
		code = e.QueryCode
	case code == "AccessDeniedException":
		code = "AccessDenied"
	}
	fault := "Sender"
	if e.Status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	var b bytes.Buffer
	b.WriteString("<ErrorResponse")
	if service != nil && service.Namespace != "" {
		fmt.Fprintf(&b, " xmlns=%q", service.Namespace)
	}
	b.WriteString("><Error><Type>" + fault + "</Type><Code>")
	escapeXML(&b, code)
	b.WriteString("</Code><Message>")
	escapeXML(&b, e.Message)
	b.WriteString("</Message></Error><RequestId>" + c.RequestID + "</RequestId></ErrorResponse>")
	return b.Bytes()
}

// s3ErrorXML is an error of S3. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func s3ErrorXML(c *Call, e *Error) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + "<Error><Code>")
	code := e.Code
	if code == "AccessDeniedException" {
		code = "AccessDenied"
	}
	escapeXML(&b, code)
	b.WriteString("</Code><Message>")
	escapeXML(&b, e.Message)
	b.WriteString("</Message><Resource>")
	escapeXML(&b, c.HTTP.URL.Path)
	b.WriteString("</Resource><RequestId>" + c.RequestID + "</RequestId>")
	s3Fields(&b, e)
	b.WriteString("</Error>")
	return b.Bytes()
}

func escapeXML(b *bytes.Buffer, s string) {
	_ = xml.EscapeText(b, []byte(s)) // a bytes.Buffer takes everything
}
