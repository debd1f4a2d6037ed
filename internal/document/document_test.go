package document

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestSmoke(t *testing.T) {
	for _, in := range []string{
		`{"a":1}{"b":"}{"}` + "\n" + `{"c":3}`,
		`[{"a":1},{"b":2}]`,
		`{"Findings":[{"a":1},{"b":2}],"NextToken":"x"}{"z":1}`,
		"{\n  \"a\": 1\n}\n{\n \"b\": bad,\n \"c\": {\n  \"d\": 1\n }\n}\n{\"e\":5}",
		"{\"a\":1}]}\n{\"trunc\":{\"x\":1}\n{\"b\":2}\n",
		"null\n42\n\"text\"\n[]\n{}\ntrue\n-\n",
		"hello\nworld\n {\"a\":1} trailing\n{\"b\":1}",
		`[{"a":1},{"b"`,
		`{"a":NaN}{"b":1}`,
	} {
		t.Logf("--- %q", in)
		Split([]byte(in), Options{}, func(d Document) bool {
			t.Logf("%d %q %v", d.Offset, d.Bytes, d.Err)
			return true
		})
	}
}

func TestHostile(t *testing.T) {
	dir := os.Getenv("HOSTILE")
	if dir == "" {
		t.Skip()
	}
	b, _ := os.ReadFile(filepath.Join(dir, "hostile.bin"))
	n := 0
	Split(b, Options{}, func(d Document) bool {
		if d.Err == nil {
			n++
			if !json.Valid(d.Bytes) {
				t.Error("invalid")
			}
		} else {
			x := d.Bytes
			if len(x) > 60 {
				x = x[:60]
			}
			t.Logf("%d len %d %q: %v", d.Offset, len(d.Bytes), x, d.Err)
		}
		return true
	})
	t.Log(n)
}
