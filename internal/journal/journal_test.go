package journal

import (
	"bytes"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"example.org/catchment/internal/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testID is the id of every journal in tests: it makes files the same each time.
var testID = []byte("0123456789abcdef")

func testOptions() Options { return Options{Random: bytes.NewReader(testID)} }

func open(t *testing.T, fsys disk.FS, o Options) (*Journal, *Recovered) {
	t.Helper()
	if o.Random == nil {
		o.Random = bytes.NewReader(testID)
	}
	j, rec, err := Open(fsys, "j", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, rec
}

func appendAll(t *testing.T, j *Journal, payloads ...string) []Position {
	t.Helper()
	var b [][]byte
	for _, p := range payloads {
		b = append(b, []byte(p))
	}
	pos, err := j.Append(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return pos
}

type record struct {
	Position Position
	Payload  string
}

func replay(t *testing.T, j *Journal) []record {
	t.Helper()
	var got []record
	if err := j.Replay(func(p Position, b []byte) error {
		got = append(got, record{p, string(b)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAppendThenReadInTheNextProcess(t *testing.T) {
	mem := new(disk.Mem)
	j, rec := open(t, mem, Options{SegmentBytes: 4096})
	if rec.Records != 0 || len(rec.Lost)+len(rec.Torn) != 0 {
		t.Fatalf("new journal: %+v", rec)
	}
	var want []record
	for i := range 100 {
		p := fmt.Sprintf("payload %d %s", i, bytes.Repeat([]byte{'x'}, i*7))
		pos := appendAll(t, j, p, "second "+p)
		want = append(want, record{pos[0], p}, record{pos[1], "second " + p})
	}
	check := func(j *Journal) {
		t.Helper()
		got := replay(t, j)
		if len(got) != len(want) {
			t.Fatalf("got %d records, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("record %d: got %v, want %v", i, got[i], want[i])
			}
			b, err := j.ReadAt(want[i].Position, nil)
			if err != nil || string(b) != want[i].Payload {
				t.Fatalf("ReadAt %v: %q, %v", want[i].Position, b, err)
			}
		}
	}
	check(j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, rec = open(t, mem, Options{SegmentBytes: 4096})
	if !rec.Closed || rec.Records != int64(len(want)) || len(rec.Lost)+len(rec.Torn) != 0 {
		t.Fatalf("%+v", rec)
	}
	check(j)
	want = append(want, record{appendAll(t, j, "more")[0], "more"})
	check(j)
	mem = mem.Crash(0)
	j, rec = open(t, mem, Options{SegmentBytes: 4096})
	if rec.Closed || rec.Records != int64(len(want)) || len(rec.Lost)+len(rec.Torn) != 0 {
		t.Fatalf("after a crash: %+v", rec)
	}
	check(j)
}
