package cloudformation

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// s3 sends a request about a bucket to the lab's S3, and gives the answer's document.
func (j *job) s3(ctx context.Context, method, bucket, query string, header map[string]string, body string) (map[string]any, error) {
	text, err := j.request(ctx, method, bucket, query, header, body)
	return object(readXML(text)), err
}

// s3Text reads what of a bucket is no XML: its policy.
func (j *job) s3Text(ctx context.Context, bucket, query string) (string, error) {
	text, err := j.request(ctx, http.MethodGet, bucket, query, nil, "")
	return string(text), err
}

func (j *job) request(ctx context.Context, method, bucket, query string, header map[string]string, body string) ([]byte, error) {
	r := &http.Request{
		Method: method, URL: &url.URL{Path: "/" + bucket, RawQuery: query}, Header: http.Header{},
		Host: "s3." + j.place.Region + "." + cloud.DNSSuffix(j.place.Partition),
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := j.service.cloud.Requests.Request(ctx, j.who, j.place, "s3", r) //nolint:bodyclose // it is in memory
	if err != nil {
		if e, ok := errors.AsType[*wire.Error](err); ok {
			return nil, &handlerError{"s3", e}
		}
		return nil, fmt.Errorf("s3 %s %s: %w", method, bucket, err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("s3 %s %s: %w", method, bucket, err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		document := object(readXML(text))
		e := wire.StatusErrorf(answer.StatusCode, textOf(document["Code"]), "%s", textOf(document["Message"]))
		if e.Code == "" {
			e.Code = answer.Header.Get("X-Lab-Error")
		}
		return nil, &handlerError{"s3", e}
	}
	return text, nil
}

// writeXML writes a value as an element: objects are elements, lists repeat theirs.
func writeXML(name string, v any) string {
	switch v := v.(type) {
	case []any:
		var b strings.Builder
		for _, element := range v {
			b.WriteString(writeXML(name, element))
		}
		return b.String()
	case map[string]any:
		var b strings.Builder
		b.WriteString("<" + name + ">")
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(writeXML(key, v[key]))
		}
		b.WriteString("</" + name + ">")
		return b.String()
	}
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(textOf(v))) // a bytes.Buffer takes everything
	return "<" + name + ">" + b.String() + "</" + name + ">"
}

// readXML reads a document's root: an object of its children, where those of one name are a list, or a text. nil: none.
func readXML(text []byte) any {
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.Token()
		if err != nil {
			return nil
		}
		if _, ok := token.(xml.StartElement); ok {
			v, err := readElement(d, 0)
			if err != nil {
				return nil
			}
			return v
		}
	}
}

// maxXMLDepth is how deep the lab's own answers may go.
const maxXMLDepth = 32

func readElement(d *xml.Decoder, depth int) (any, error) {
	if depth > maxXMLDepth {
		return nil, fmt.Errorf("deeper than %d", maxXMLDepth)
	}
	children, text := map[string]any{}, ""
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.CharData:
			text += string(token)
		case xml.EndElement:
			if len(children) > 0 {
				return children, nil
			}
			return strings.TrimSpace(text), nil
		case xml.StartElement:
			child, err := readElement(d, depth+1)
			if err != nil {
				return nil, err
			}
			name := token.Name.Local
			switch before := children[name].(type) {
			case nil:
				children[name] = child
			case []any:
				children[name] = append(before, child)
			default:
				children[name] = []any{before, child}
			}
		}
	}
}

// listOf makes a list of what may be a list, one element or nothing.
func listOf(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}
