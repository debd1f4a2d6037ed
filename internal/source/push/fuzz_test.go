package push

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
)

// documents is what document.Split says that b holds.
func documents(b []byte) (docs, broken int) {
	document.Split(b, document.Options{}, func(doc document.Document) bool {
		docs++
		if doc.Err != nil {
			broken++
		}
		return true
	})
	return docs, broken
}

// check sends a body three times: to a receiver that stores, to one that fails, and to one that is busy. It returns how many
// documents the first was given, -1 where it was not called or the answer was not 200.
func check(t *testing.T, s *Source, path string, h http.Header, body []byte) (docs, broken int) {
	t.Helper()
	send := func(deliver source.Deliver) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
		r.Header = h.Clone()
		w := httptest.NewRecorder()
		s.Handler(deliver).ServeHTTP(w, r)
		if s.held.used.Load() != 0 || s.public.used.Load() != 0 {
			t.Fatal("bytes are still counted as held")
		}
		return w
	}
	w := send(func(_ context.Context, given []document.Document) error {
		for _, doc := range given {
			docs++
			if doc.Err != nil {
				broken++
			} else if !json.Valid(doc.Bytes) {
				t.Errorf("delivered as whole: %q", doc.Bytes)
			}
		}
		return nil
	})
	for _, err := range []error{errors.New("disk"), source.ErrBusy} {
		calls := 0
		failed := send(func(context.Context, []document.Document) error { calls++; return err })
		if calls > 0 && (failed.Code < 500 || failed.Header().Get("Retry-After") == "") {
			t.Errorf("answer %d, Retry-After %q, though Deliver failed", failed.Code, failed.Header().Get("Retry-After"))
		}
		if calls != min(docs, 1) {
			t.Errorf("%d calls of a Deliver that fails, %d documents were given to one that does not", calls, docs)
		}
	}
	if w.Code != http.StatusOK {
		if docs > 0 {
			t.Errorf("answer %d to %d documents that are on disk", w.Code, docs)
		}
		return -1, -1
	}
	return docs, broken
}

func FuzzEvents(f *testing.F) {
	f.Add(testdata(f, "event-securityhub-imported.json"), "")
	f.Add([]byte(`{"a":1}{"b":2}[{},{]`), "")
	f.Add([]byte("{\"Findings\":[{},{}],\"x\":1}\n{}"), "identity")
	f.Add(zip(f, []byte(`{"a":1}`)), "gzip")
	f.Add(zip(f, []byte(`{"a":1}`))[:12], "gzip")
	s := newSource(f, Options{MaxBody: 1 << 20})
	f.Fuzz(func(t *testing.T, body []byte, encoding string) {
		h := http.Header{"Content-Encoding": {encoding}}
		docs, broken := check(t, s, PathEvents, h, body)
		switch {
		case encoding == "" && !bytes.HasPrefix(body, gzipMagic):
			want, wantBroken := documents(body)
			if isBlank(body) {
				want, wantBroken = -1, -1
			}
			if docs != want || broken != wantBroken {
				t.Errorf("%d documents, %d broken, want %d and %d", docs, broken, want, wantBroken)
			}
			// The same, compressed.
			if again, _ := check(t, s, PathEvents, http.Header{"Content-Encoding": {"gzip"}}, zip(t, body)); again != docs {
				t.Errorf("%d documents when compressed, %d when not", again, docs)
			}
		case encoding == "br" && docs >= 0:
			t.Error("an unknown encoding was taken")
		}
	})
}

func FuzzFirehose(f *testing.F) {
	f.Add(testdata(f, "firehose-http-request.json"), "{}")
	f.Add([]byte(`{"requestId":"`+firehoseID+`","records":[{"data":"e30="},{"data":"e"}]}`), "{}{}")
	f.Add([]byte(`{"records":[{"data":""}],"requestId":"`+firehoseID+`","x":[[{}]]}`), "\n")
	s := newSource(f, Options{MaxBody: 1 << 20})
	f.Fuzz(func(t *testing.T, body []byte, record string) {
		docs, broken := check(t, s, PathFirehose, firehoseHeader(firehoseID), body)
		// What encoding/json makes of it. It is more lenient, so nothing is asked of what was refused.
		var oracle struct {
			RequestID string `json:"requestId"`
			Records   []struct {
				Data string `json:"data"`
			} `json:"records"`
		}
		if docs >= 0 {
			if err := json.Unmarshal(body, &oracle); err != nil {
				t.Fatalf("taken, and is no such JSON: %v", err)
			}
			want, wantBroken := 0, 0
			for _, r := range oracle.Records {
				content, err := base64.StdEncoding.DecodeString(r.Data)
				n, b := documents(content)
				if err != nil || isBlank(content) {
					n, b = 1, 1
				}
				want, wantBroken = want+n, wantBroken+b
			}
			if oracle.RequestID != firehoseID || docs != want || broken != wantBroken {
				t.Errorf("%d documents, %d broken, want %d and %d", docs, broken, want, wantBroken)
			}
		}
		// Any record that Firehose may send is taken.
		want, wantBroken := documents([]byte(record))
		if isBlank([]byte(record)) {
			want, wantBroken = 1, 1
		}
		docs, broken = check(t, s, PathFirehose, firehoseHeader(firehoseID), firehoseBody(firehoseID, record, record))
		if docs != 2*want || broken != 2*wantBroken {
			t.Errorf("record %q: %d documents, %d broken, want %d and %d", record, docs, broken, 2*want, 2*wantBroken)
		}
	})
}

func FuzzSNS(f *testing.F) {
	f.Add(testdata(f, "sns-notification-v1.json"), "{}")
	f.Add([]byte(`{"Type":"Notification"}`), `{"a":"\u00e9"}{`)
	fake := newFakeSNS(f)
	fake.serve("https://"+testHost+certPath, asPEM(signerCert(f, fake.root, nil)))
	var m message
	if err := json.Unmarshal(testdata(f, "sns-notification-v1.json"), &m); err != nil {
		f.Fatal(err)
	}
	s := newSource(f, Options{Topics: []string{testTopic, m.TopicARN}, SNS: fake.options()})
	f.Fuzz(func(t *testing.T, body []byte, text string) {
		// Nothing that SNS has not signed is let in.
		if docs, _ := check(t, s, PathSNS, http.Header{}, body); docs >= 0 {
			t.Errorf("let in: %q", body)
		}
		// Whatever SNS has signed is.
		text = strings.ToValidUTF8(text, "?") // what SNS sends is JSON, which has no other text
		want, wantBroken := documents([]byte(text))
		if isBlank([]byte(text)) {
			want, wantBroken = -1, -1
		}
		docs, broken := check(t, s, PathSNS, http.Header{}, sign(t, notification(text), signingKey()))
		if docs != want || broken != wantBroken {
			t.Errorf("message %q: %d documents, %d broken, want %d and %d", text, docs, broken, want, wantBroken)
		}
	})
}
