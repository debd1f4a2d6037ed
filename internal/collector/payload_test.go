package collector

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/journal"
)

func goldenPayloads() map[string][]byte {
	r := record{
		arrival: 1767323045006, instant: 1767323045000, digest: duplicate.Digest{1, 2, 3, 15: 16}, stream: "inspector",
		version: 300, prefix: "AWSLogs/1/", line: []byte(`{"Id":"x"}`),
	}
	rejection, moved := r, r
	rejection.rejection, moved.moved = true, true
	s := seal{
		at: journal.Position{Segment: 7, Offset: 640}, key: "AWSLogs/1/k.json.gz", fallback: "errors/refused-key/k.json.gz",
		stream: "inspector", version: 300, prefix: "AWSLogs/1/", rejection: true, kind: encode.Gzip, level: 6,
		arrival: 1767323045006, bytes: 1 << 33, sum: batch.Sum{1, 2}, positions: []batch.Position{5<<32 | 64, 5<<32 | 4096, 7<<32 | 8},
		replaces: journal.Position{Segment: 6, Offset: 72},
	}
	return map[string][]byte{
		"record":       append(r.appendHead(nil), r.line...),
		"error record": append(rejection.appendHead(nil), r.line...),
		"moved record": append(moved.appendHead(nil), r.line...),
		"sealed":       s.payload(),
		"stored":       appendStored(nil, []*seal{&s, {at: journal.Position{Segment: 1, Offset: 2}}}),
	}
}

// What version 1 has written must be read for ever: testdata/payloads.txt does not change.
func TestPayloadsAreThoseOfBefore(t *testing.T) {
	b, err := os.ReadFile("testdata/payloads.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		want[name] = text
	}
	got := map[string]string{}
	for name, payload := range goldenPayloads() {
		got[name] = hex.EncodeToString(payload)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever is read as a payload is written as the same bytes, and nothing is read into more memory than it has bytes for.
func FuzzPayloads(f *testing.F) {
	for _, payload := range goldenPayloads() {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if r, err := parseRecord(payload); err == nil {
			r.stream, r.prefix = string(r.streamText), string(r.prefixText)
			again, err := parseRecord(append(r.appendHead(nil), r.line...))
			if err != nil || again.version != r.version || string(again.prefixText) != r.prefix || !bytes.Equal(again.line, r.line) ||
				again.digest != r.digest || again.arrival != r.arrival || again.rejection != r.rejection {
				t.Errorf("%x is read as %+v, written and read again as %+v, %v", payload, r, again, err)
			}
		}
		if s, err := parseSeal(payload); err == nil {
			again, err := parseSeal(s.payload())
			if err != nil {
				t.Fatalf("%x: written again: %v", payload, err)
			}
			if diff := cmp.Diff(s, again, cmp.AllowUnexported(seal{})); diff != "" {
				t.Errorf("%x: written and read again (-want +got):\n%s", payload, diff)
			}
		}
		var seals []*seal
		if err := parseStored(payload, func(p journal.Position) { seals = append(seals, &seal{at: p}) }); err == nil {
			if again := appendStored(nil, seals); !bytes.Equal(again, payload) {
				t.Errorf("%x is written as %x", payload, again)
			}
		}
	})
}
