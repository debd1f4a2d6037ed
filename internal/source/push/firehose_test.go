package push

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const firehoseID = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f" // of testdata/firehose-http-request.json

func firehoseHeader(id string, more ...string) http.Header {
	return header(append([]string{
		"X-Amz-Firehose-Protocol-Version: 1.0",
		"X-Amz-Firehose-Request-Id: " + id,
		"X-Amz-Firehose-Source-Arn: arn:aws:firehose:us-east-1:111111111111:deliverystream/inspector",
		"Content-Type: application/json",
	}, more...)...)
}

func firehoseBody(id string, records ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"requestId":%q,"timestamp":1578090901599,"records":[`, id)
	for i, r := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"data":%q}`, base64.StdEncoding.EncodeToString([]byte(r)))
	}
	b.WriteString("]}")
	return b.Bytes()
}

func TestFirehoseRequestOfTheDocumentation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got seen
		s := newSource(t, Options{})
		w := post(t, s.Handler(got.deliver), PathFirehose, firehoseHeader(firehoseID), testdata(t, "firehose-http-request.json"))
		want := fmt.Sprintf(`{"requestId":%q,"timestamp":%d}`, firehoseID, time.Now().UnixMilli())
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("answer %d %s, want 200 %s", w.Code, w.Body, want)
		}
		if w.Header()["Content-Encoding"] != nil {
			t.Error("Content-Encoding must be absent")
		}
		if diff := cmp.Diff([]string{"hello", "hello world"}, got.broken); diff != "" {
			t.Errorf("broken (-want +got):\n%s", diff)
		}
	})
}

func TestFirehoseRecords(t *testing.T) {
	event := string(testdata(t, "event-inspector2-finding-ec2-package-2024.json"))
	attributes := `X-Amz-Firehose-Common-Attributes: "commonAttributes":{"deployment":"prod"}` // as the page shows it: no braces
	for name, tt := range map[string]struct {
		body   []byte
		header []string
		docs   []string
		broken []string
	}{
		"one event a record":            {body: firehoseBody("i", event, `{"a":1}`), docs: []string{strings.TrimSpace(event), `{"a":1}`}},
		"documents run together":        {body: firehoseBody("i", `{"a":"}{"}{"a":2}`, `{"a":3}`), docs: []string{`{"a":"}{"}`, `{"a":2}`, `{"a":3}`}},
		"lines":                         {body: firehoseBody("i", "{\"a\":1}\n{\"a\":2}\n"), docs: []string{`{"a":1}`, `{"a":2}`}},
		"an array in a record":          {body: firehoseBody("i", `[{"a":1},{"a":2}]`), docs: []string{`{"a":1}`, `{"a":2}`}},
		"an empty record":               {body: firehoseBody("i", "", `{"a":1}`, "\n"), docs: []string{`{"a":1}`}, broken: []string{"", "\n"}},
		"a document over two records":   {body: firehoseBody("i", `{"a":`, `1}`), broken: []string{`{"a":`, `1}`}},
		"gzip":                          {body: zip(t, firehoseBody("i", `{"a":1}`)), header: []string{"Content-Encoding: gzip"}, docs: []string{`{"a":1}`}},
		"common attributes":             {body: firehoseBody("i", `{"a":1}`), header: []string{attributes}, docs: []string{`{"a":1}`}},
		"no timestamp":                  {body: []byte(`{"records":[{"data":"e30="}],"requestId":"i"}`), docs: []string{"{}"}},
		"white space and other members": {body: []byte(" {\n\"v\" : [1,{}] ,\"requestId\" :\"i\", \"records\": [ { \"x\":null, \"data\" : \"e30=\" } ] } \n"), docs: []string{"{}"}},
		"escapes":                       {body: []byte(`{"request\u0049d":"\u0069","records":[{"d\u0061ta":"e3\u0030\u003d"}]}`), docs: []string{"{}"}},
		"base64 that is none":           {body: []byte(`{"requestId":"i","records":[{"data":"e30"},{"data":"e30="},{"data":"{}"}]}`), docs: []string{"{}"}, broken: []string{"e30", "{}"}},
		"other characters of base64":    {body: []byte(`{"requestId":"i","records":[{"data":"eyJhIjoiPz8_In0="},{"data":"eyJhIjoiPz8\/In0="}]}`), docs: []string{`{"a":"???"}`}, broken: []string{"eyJhIjoiPz8_In0="}},
		"10,000 records":                {body: firehoseBody("i", make([]string, 10_000)...), broken: make([]string, 10_000)},
	} {
		t.Run(name, func(t *testing.T) {
			var got seen
			s := newSource(t, Options{})
			w := post(t, s.Handler(got.deliver), PathFirehose, firehoseHeader("i", tt.header...), tt.body)
			if w.Code != http.StatusOK {
				t.Fatalf("answer %d %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(tt.docs, got.docs); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.broken, got.broken); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
			if used := s.held.used.Load(); used != 0 {
				t.Errorf("%d bytes are still counted as held", used)
			}
		})
	}
}

func TestFirehoseIsRefused(t *testing.T) {
	long := strings.Repeat("A", maxRecordData+4)
	drop := func(name string) http.Header {
		h := firehoseHeader("i")
		h.Del(name)
		return h
	}
	good := firehoseBody("i", "{}")
	for name, tt := range map[string]struct {
		header http.Header
		body   []byte
		says   string
	}{
		"no protocol version":              {drop("X-Amz-Firehose-Protocol-Version"), good, "X-Amz-Firehose-Protocol-Version: 1.0"},
		"a protocol version of the future": {firehoseHeader("i", "X-Amz-Firehose-Protocol-Version: 2.0"), good, "X-Amz-Firehose-Protocol-Version: 1.0"},
		"no request id":                    {drop("X-Amz-Firehose-Request-Id"), good, "X-Amz-Firehose-Request-Id"},
		"two request ids":                  {firehoseHeader("i", "X-Amz-Firehose-Request-Id: j"), good, "X-Amz-Firehose-Request-Id"},
		"a request id without end":         {firehoseHeader(strings.Repeat("i", 257)), good, "X-Amz-Firehose-Request-Id"},
		"another content type":             {firehoseHeader("i", "Content-Type: x"), good, ""},
		"no content type":                  {drop("Content-Type"), good, "Content-Type: application/json"},
		"another request id in the body":   {firehoseHeader("j"), good, "not the one of the header"},
		"no JSON":                          {firehoseHeader("i"), []byte("hello"), "not an object"},
		"half a body":                      {firehoseHeader("i"), good[:len(good)-1], "not valid JSON"},
		"two bodies":                       {firehoseHeader("i"), append(good, good...), "not one object"},
		"a comma too many":                 {firehoseHeader("i"), []byte(`{"requestId":"i","records":[{"data":"e30="},]}`), "not valid JSON"},
		"a comma too few":                  {firehoseHeader("i"), []byte(`{"requestId":"i" "records":[{"data":"e30="}]}`), "not valid JSON"},
		"a colon too few":                  {firehoseHeader("i"), []byte(`{"requestId" "i"}`), "not valid JSON"},
		"no records":                       {firehoseHeader("i"), []byte(`{"requestId":"i"}`), "no records"},
		"no record":                        {firehoseHeader("i"), []byte(`{"requestId":"i","records":[]}`), "no records"},
		"records that are no array":        {firehoseHeader("i"), []byte(`{"requestId":"i","records":{"data":"e30="}}`), "records is not an array"},
		"records twice":                    {firehoseHeader("i"), []byte(`{"requestId":"i","records":[{"data":"e30="}],"records":[]}`), "given twice"},
		"a request id twice":               {firehoseHeader("i"), []byte(`{"requestId":"i","requestId":"i","records":[{"data":"e30="}]}`), "requestId is not one string"},
		"data twice":                       {firehoseHeader("i"), []byte(`{"requestId":"i","records":[{"data":"e30=","data":"e30="}]}`), "records is not an array"},
		"a record without data":            {firehoseHeader("i"), []byte(`{"requestId":"i","records":[{}]}`), "records is not an array"},
		"data that is no string":           {firehoseHeader("i"), []byte(`{"requestId":"i","records":[{"data":null}]}`), "records is not an array"},
		"data in an array":                 {firehoseHeader("i"), []byte(`{"requestId":"i","records":[{"data":["e30="]}]}`), "records is not an array"},
		"a record in an array":             {firehoseHeader("i"), []byte(`{"requestId":"i","records":[[{"data":"e30="}]]}`), "records is not an array"},
		"10,001 records":                   {firehoseHeader("i"), firehoseBody("i", make([]string, 10_001)...), "more than 10000 records"},
		"a record over its limit":          {firehoseHeader("i"), []byte(`{"requestId":"i","records":[{"data":"` + long + `"}]}`), "more than 1365336 characters"},
		"a record far over its limit":      {firehoseHeader("i"), []byte(`{"requestId":"i","records":[{"data":"` + long + long + `"}]}`), "more than 1365336 characters"},
		"a member of no use and no end":    {firehoseHeader("i"), []byte(`{"x":[` + strings.Repeat("0,", 1<<16) + `0]}`), "longer than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "another content type" {
				tt.header.Set("Content-Type", "text/plain")
			}
			var got seen
			s := newSource(t, Options{})
			w := post(t, s.Handler(got.deliver), PathFirehose, tt.header, tt.body)
			checkFirehoseFailure(t, w.Code, w.Body.Bytes(), tt.header, tt.says)
			if w.Code != http.StatusBadRequest || got.calls != 0 {
				t.Errorf("status %d, %d deliveries, want 400 and none", w.Code, got.calls)
			}
		})
	}
}

// checkFirehoseFailure wants a failure in Firehose's form, and never 413, with which Firehose drops the records.
func checkFirehoseFailure(t *testing.T, status int, body []byte, h http.Header, says string) {
	t.Helper()
	var answer struct {
		RequestID    *string `json:"requestId"`
		Timestamp    *int64  `json:"timestamp"`
		ErrorMessage string  `json:"errorMessage"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&answer); err != nil || answer.RequestID == nil || answer.Timestamp == nil {
		t.Fatalf("answer %s: %v", body, err)
	}
	if id := h.Get("X-Amz-Firehose-Request-Id"); validRequestID(id) && *answer.RequestID != id {
		t.Errorf("requestId %q, want %q", *answer.RequestID, id)
	}
	if status == http.StatusRequestEntityTooLarge || status == http.StatusOK {
		t.Errorf("status %d", status)
	}
	if answer.ErrorMessage == "" || !strings.Contains(answer.ErrorMessage, says) {
		t.Errorf("errorMessage %q, want %q", answer.ErrorMessage, says)
	}
}

func TestFirehoseNeverHears413(t *testing.T) {
	big := firehoseBody("i", strings.Repeat(" ", 1000)+"{}")
	for name, tt := range map[string]struct {
		o      Options
		header http.Header
		body   []byte
	}{
		"a body over the bound":  {Options{MaxBody: 1000}, firehoseHeader("i"), big},
		"a zip bomb":             {Options{MaxBody: 1000}, firehoseHeader("i", "Content-Encoding: gzip"), zip(t, big)},
		"no key":                 {Options{KeysFile: keysFile(t, testKey)}, firehoseHeader("i"), big},
		"a wrong key":            {Options{KeysFile: keysFile(t, testKey)}, firehoseHeader("i", "X-Amz-Firehose-Access-Key: x"), big},
		"an encoding of no one":  {Options{}, firehoseHeader("i", "Content-Encoding: br"), big},
		"nothing":                {Options{}, firehoseHeader("i"), nil},
		"an id that is no text":  {Options{}, firehoseHeader("i\"\x7f\\"), nil},
		"a request of a browser": {Options{}, firehoseHeader("i", "Origin: null"), big},
	} {
		t.Run(name, func(t *testing.T) {
			var got seen
			w := post(t, newSource(t, tt.o).Handler(got.deliver), PathFirehose, tt.header, tt.body)
			checkFirehoseFailure(t, w.Code, w.Body.Bytes(), tt.header, "")
			if got.calls != 0 {
				t.Error("something was delivered")
			}
		})
	}
}
