package journal

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"example.org/catchment/internal/disk"
)

// FuzzSegment opens a journal whose only segment holds arbitrary bytes. What it then returns was appended at that very
// place, and written as frames again gives the bytes that are there.
func FuzzSegment(f *testing.F) {
	mem := new(disk.Mem)
	j, _, err := Open(mem, "j", testOptions())
	if err != nil {
		f.Fatal(err)
	}
	appended := map[Position]string{}
	for _, call := range [][]string{{"first"}, {"", "third"}, {string(bytes.Repeat([]byte{0}, 100))}, {"last"}} {
		var payloads [][]byte
		for _, p := range call {
			payloads = append(payloads, []byte(p))
		}
		pos, err := j.Append(f.Context(), payloads)
		if err != nil {
			f.Fatal(err)
		}
		for i, p := range pos {
			appended[p] = call[i]
		}
	}
	if err := j.Close(); err != nil {
		f.Fatal(err)
	}
	file, err := mem.Open(filepath.Join("j", segmentName(1)), disk.ReadOnly)
	if err != nil {
		f.Fatal(err)
	}
	image := make([]byte, j.active.end.Load())
	if err := readFull(file, image, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(image)
	f.Add(image[:150])
	f.Add(slices.Concat(image[:headSize], image[headSize+32:]))
	f.Add(slices.Concat(image[:96], make([]byte, 32), image[128:]))
	f.Add(append(slices.Clone(image), image[headSize:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		mem := mem.Crash(1)
		file, err := mem.Open(filepath.Join("j", segmentName(1)), disk.Create)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		j, rec := open(t, mem, Options{SegmentBytes: aheadUnit - 1})
		n := int64(0)
		for _, r := range replay(t, j) {
			n++
			if p, ok := appended[r.Position]; !ok || p != r.Payload {
				t.Errorf("%v: %q was never appended there", r.Position, r.Payload)
			}
			at := b[r.Position.Offset:]
			parsed, ok := parseFrame(at, int64(r.Position.Offset), testKeys(1))
			if !ok {
				t.Fatalf("%v: returned, but no frame", r.Position)
			}
			again := make([]byte, parsed.size())
			parsed.put(again, testKeys(1), []byte(r.Payload))
			if !bytes.HasPrefix(at, again[:frameHead+len(r.Payload)]) {
				t.Errorf("%v: read %q, encoded back to %x", r.Position, r.Payload, again)
			}
		}
		if n != rec.Records {
			t.Errorf("%d records returned, %d told", n, rec.Records)
		}
		told := len(rec.Lost)+len(rec.Torn) > 0
		if n < int64(len(appended)) && !told && !prefixOf(b, image) {
			t.Errorf("%d of %d records, and no loss told: %+v", n, len(appended), rec)
		}
	})
}

// prefixOf reports whether b is what a process leaves that was killed before it wrote all of image: whole calls, and
// perhaps zeros ahead. Nobody reads the padding.
func prefixOf(b, image []byte) bool {
	b = append(slices.Clone(b), make([]byte, alignment)...)
	for _, padding := range [][2]int{{93, 96}, {149, 152}, {276, 280}, {308, 312}} {
		if padding[1] <= len(b) {
			clear(b[padding[0]:padding[1]])
		}
	}
	for _, end := range []int{64, 96, 152, 280, 312, len(image)} {
		if end <= len(b) && bytes.Equal(b[:end], image[:end]) && len(bytes.Trim(b[end:], "\x00")) == 0 {
			return true
		}
	}
	return false
}

// FuzzAppend appends any payloads in calls of any sizes; a crash later they are all there.
func FuzzAppend(f *testing.F) {
	f.Add([]byte("one two three"), uint8(3), uint8(2))
	f.Add(make([]byte, 300), uint8(1), uint8(7))
	f.Fuzz(func(t *testing.T, b []byte, cut, perCall uint8) {
		b = b[:min(len(b), 2000)]
		mem := new(disk.Mem)
		j, _ := open(t, mem, Options{SegmentBytes: 500})
		var want []string
		var call [][]byte
		flush := func() {
			pos, err := j.Append(t.Context(), call)
			if err != nil || len(pos) != len(call) {
				t.Fatal(err)
			}
			call = nil
		}
		for len(b) > 0 {
			n := min(int(cut)*int(b[0])/16, len(b)-1)
			call, want = append(call, b[1:1+n]), append(want, string(b[1:1+n]))
			if b = b[1+n:]; len(call) > int(perCall%16) {
				flush()
			}
		}
		flush()
		j, rec := open(t, mem.Crash(0), Options{})
		var got []string
		for _, r := range replay(t, j) {
			got = append(got, r.Payload)
		}
		if !slices.Equal(got, want) || len(rec.Lost)+len(rec.Torn) != 0 {
			t.Errorf("got %q, want %q; %+v", got, want, rec)
		}
	})
}
