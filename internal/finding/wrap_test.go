package finding

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/scan"
)

// TestWrapSamples wraps every bare finding of the samples: the goldens are the events that patterns see.
func TestWrapSamples(t *testing.T) {
	n := 0
	for _, file := range samples(t) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all, _, wrapped := findings(t, raw)
		if wrapped {
			continue
		}
		var got bytes.Buffer
		for _, f := range all {
			v := bare(t, string(f))
			if v.Format == Unknown {
				continue
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, f); err != nil {
				t.Fatal(err)
			}
			checkWrapped(t, compact.Bytes())
			got.Write(bare(t, compact.String()).Wrap(compact.Bytes()).Event)
			got.WriteByte('\n')
			n++
		}
		if got.Len() > 0 {
			checkGolden(t, filepath.Join("testdata/wrapped", strings.TrimSuffix(filepath.Base(file), ".json")+".ndjson"), got.Bytes())
		}
	}
	if n < 20 {
		t.Errorf("%d bare findings in the samples", n)
	}
}

// checkWrapped holds what must be true of every wrapped finding.
func checkWrapped(t *testing.T, raw []byte) {
	t.Helper()
	w := bare(t, string(raw)).Wrap(raw)
	again := bare(t, string(raw)).Wrap(bytes.Clone(raw))
	if !bytes.Equal(w.Event, again.Event) || !bytes.Equal(w.Plain, again.Plain) {
		t.Fatalf("%s: wrapped twice, it differs", raw)
	}
	paths := scan.NewPaths()
	whole := paths.Add("detail", "findings")
	fields := NewFields(paths, "detail", "findings")
	for name, event := range map[string][]byte{"event": w.Event, "plain": w.Plain} {
		// jsontext refuses lone surrogates, which findings may hold; Scan does not.
		if !jsontext.Value(event).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("%s: the %s is no JSON: %s", raw, name, event)
		}
		var doc scan.Document
		if n, err := doc.Scan(event, paths); err != nil || n != len(event) {
			t.Fatalf("%s: %d of %d bytes, %v", name, n, len(event), err)
		}
		if field, twice := doc.Duplicate(); twice && !hasDuplicate(raw) {
			t.Fatalf("%s: the %s has %s twice, the finding has not", raw, name, field)
		}
		for _, h := range doc.Hits {
			if int(h.Path) != whole || h.Kind != scan.Object {
				continue
			}
			if name == "plain" && !bytes.Equal(doc.Raw(h), raw) {
				t.Fatalf("%s: the finding is changed: %s", raw, doc.Raw(h))
			}
			if !bytes.Contains(event, raw[1:]) {
				t.Fatalf("%s: the finding's bytes are changed: %s", raw, event)
			}
			var v View
			fields.View(&v, &doc, h.Start, h.End, h.Pos)
			got, want := see(&v, ""), see(bare(t, string(raw)), "")
			if got.ID != want.ID || got.Account != want.Account || got.Region != want.Region || got.Version != want.Version || got.Format != want.Format {
				t.Fatalf("%s: wrapped it is seen as %+v, bare as %+v", raw, got, want)
			}
			break
		}
	}
}

func hasDuplicate(raw []byte) bool {
	paths := scan.NewPaths()
	NewFields(paths)
	var doc scan.Document
	_, _ = doc.Scan(raw, paths)
	_, twice := doc.Duplicate()
	return twice
}

var oddFindings = map[string]string{
	"nothing":                            `{}`,
	"an id with escapes and quotes":      `{"Id":"a\"b\\c\u0041\ud800","ProductArn":"arn:aws:x\n","AwsAccountId":"111122223333"}`,
	"huge":                               `{"Id":"` + strings.Repeat("x", 1<<20) + `","AwsAccountId":"111122223333"}`,
	"fields that are no strings":         `{"Id":1,"ProductArn":{"a":[]},"AwsAccountId":null,"UpdatedAt":[],"Region":true}`,
	"no id":                              `{"AwsAccountId":"111122223333","Region":"us-east-1"}`,
	"native, with a product name":        `{"findingArn":"arn:aws:inspector2:us-east-1:111122223333:finding/x","ProductName":"Other"}`,
	"native, with product fields":        `{"findingArn":"x","ProductFields":{"aws/securityhub/ProductName":"Other"},"CompanyName":null}`,
	"native, with empty product fields":  `{"findingArn":"x","ProductFields":{}}`,
	"native, with null product fields":   `{"findingArn":"x","ProductFields":null,"ProductName":null}`,
	"native, with product fields a list": `{"findingArn":"x","ProductFields":[{"aws/securityhub/ProductName":"a"}]}`,
	"native, with white space":           `{ "findingArn" : "x" }`,
	"native, escaped keys":               `{"findingArn":"x","Product\u0046ields":{},"Company\u004eame":"y"}`,
	"native, a field twice":              `{"findingArn":"x","findingArn":"y"}`,
	"Classic":                            `{"arn":"arn:aws:inspector:us-west-2:123456789012:target/x","updatedAt":1583825759.119}`,
	"OCSF with an ASFF id":               `{"class_uid":2002,"finding_info":{"uid":"u\"\\"},"Id":"other"}`,
	"times that no one understands":      `{"Id":"i","AwsAccountId":"111122223333","UpdatedAt":"\"},{\"x\":\""}`,
}

func TestWrapOdd(t *testing.T) {
	for name, raw := range oddFindings {
		t.Run(name, func(t *testing.T) { checkWrapped(t, []byte(raw)) })
	}
}

func TestWrapResources(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"ASFF":              {`{"Id":"i\"","ProductArn":"p","AwsAccountId":"1"}`, `"resources":["p/i\""]`},
		"without a product": {`{"Id":"i","AwsAccountId":"1"}`, `"resources":["i"]`},
		"nothing to name":   {`{"AwsAccountId":"1"}`, `"resources":[]`},
		"OCSF":              {`{"class_uid":2002,"finding_info":{"uid":"u"},"Id":"other"}`, `"resources":["u"]`},
		"Inspector v2":      {`{"findingArn":"x","Id":"other"}`, `"resources":["x"]`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(bare(t, tt.in).Wrap([]byte(tt.in)).Plain); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s in it", got, tt.want)
			}
		})
	}
}

// FuzzWrap: whatever object comes, its wrapping is valid, is the same each time, and says of the finding what the
// finding says.
func FuzzWrap(f *testing.F) {
	for _, raw := range oddFindings {
		if len(raw) < 1000 {
			f.Add([]byte(raw))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var doc scan.Document
		if n, err := doc.Scan(raw, scan.NewPaths()); err != nil || n != len(raw) || raw[0] != '{' {
			return
		}
		if v := bare(t, string(raw)); v.Format == Unknown {
			return // not wrapped
		}
		checkWrapped(t, raw)
	})
}
