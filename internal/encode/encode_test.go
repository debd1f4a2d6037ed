package encode

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// findings returns n lines, each a real finding with its own identity, times and figures.
func findings(tb testing.TB, n int) [][]byte {
	tb.Helper()
	raw, err := os.ReadFile("testdata/finding.json")
	if err != nil {
		tb.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		tb.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	packages := strings.Fields("openssl curl glibc zlib1g libxml2 systemd bash python3.11 nodejs git perl vim sudo")
	lines := make([][]byte, n)
	for i := range lines {
		line := compact.String()
		for _, change := range [][2]string{
			{"111111111111", fmt.Sprintf("%012d", random.Uint64N(1000)*123456789)},
			{"CVE-", fmt.Sprintf("CVE-%d-%d-", 2015+random.IntN(12), random.IntN(60000))},
			{"2022-", fmt.Sprintf("20%02d-%02d-%02dT%02d:", 20+random.IntN(6), 1+random.IntN(12), 1+random.IntN(28), random.IntN(24))},
			{"arn:aws:insp", fmt.Sprintf("arn:aws:insp%x", random.Uint64())},
			{"i-0", fmt.Sprintf("i-%016x", random.Uint64())},
			{"vulnerability", packages[random.IntN(len(packages))] + " vulnerability"},
		} {
			line = strings.ReplaceAll(line, change[0], change[1])
		}
		lines[i] = []byte(line)
	}
	return lines
}

func compressor(tb testing.TB, kind Kind, level int) *Compressor {
	tb.Helper()
	c, err := NewCompressor(kind, level)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func read(tb testing.TB, r io.Reader) []byte {
	tb.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// decompress reads an object as its readers do.
func decompress(tb testing.TB, kind Kind, object []byte) []byte {
	tb.Helper()
	switch kind {
	case Gzip:
		r, err := gzip.NewReader(bytes.NewReader(object))
		if err != nil {
			tb.Fatal(err)
		}
		r.Multistream(false)
		plain := read(tb, r)
		if err := r.Reset(bytes.NewReader(nil)); err == nil {
			tb.Fatal("a reader of nothing found a header")
		}
		return plain
	case Zstd:
		r, err := zstd.NewReader(bytes.NewReader(object))
		if err != nil {
			tb.Fatal(err)
		}
		defer r.Close()
		return read(tb, r)
	case None:
	}
	return object
}

func TestObjectsReadBackAsTheirLines(t *testing.T) {
	for name, lines := range map[string][][]byte{
		"none":                         nil,
		"one empty line":               {{}},
		"one line":                     {[]byte(`{"a":1}`)},
		"findings over many segments":  findings(t, 1500),
		"one line longer than segment": {bytes.Repeat([]byte("x"), SegmentSize*2+1), []byte("y")},
	} {
		for _, kind := range []Kind{None, Gzip, Zstd} {
			t.Run(fmt.Sprintf("%s, %s", name, kind), func(t *testing.T) {
				b := NewBuilder(compressor(t, kind, 0))
				var want []byte
				for _, line := range lines {
					b.Add(line)
					want = append(append(want, line...), '\n')
				}
				o := b.Object()
				got := read(t, o)
				if o.Size() != int64(len(got)) || o.PlainSize() != int64(len(want)) {
					t.Errorf("sizes are %d and %d, want %d and %d", o.Size(), o.PlainSize(), len(got), len(want))
				}
				if !bytes.Equal(decompress(t, kind, got), want) {
					t.Error("other lines came back")
				}
			})
		}
	}
}

// gzip's member must be one: some readers stop after the first.
func TestGzipObjectsAreOneMember(t *testing.T) {
	b := NewBuilder(compressor(t, Gzip, 0))
	for _, line := range findings(t, 600) {
		b.Add(line)
	}
	object := bytes.NewReader(read(t, b.Object()))
	r, err := gzip.NewReader(object)
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false)
	read(t, r)
	if object.Len() != 0 {
		t.Errorf("%d bytes stand after the first member", object.Len())
	}
	if !r.ModTime.IsZero() || r.Name != "" || r.Comment != "" || r.Extra != nil {
		t.Errorf("the header says %+v, want nothing", r.Header)
	}
}

func TestOutsideProgramsAcceptObjects(t *testing.T) {
	for kind, program := range map[Kind]string{Gzip: "gzip", Zstd: "zstd"} {
		t.Run(program, func(t *testing.T) {
			path, err := exec.LookPath(program)
			if err != nil {
				t.Skipf("%s is not here", program)
			}
			b := NewBuilder(compressor(t, kind, 0))
			for _, line := range findings(t, 600) {
				b.Add(line)
			}
			file := filepath.Join(t.TempDir(), "object"+kind.Extension())
			if err := os.WriteFile(file, read(t, b.Object()), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), path, "-t", file).CombinedOutput(); err != nil {
				t.Errorf("%s -t: %v: %s", program, err, out)
			}
		})
	}
}

// A used compressor makes the same bytes as a new one: an object that is made again after a crash must be the same.
func TestBytesDoNotDependOnWhatWasCompressedBefore(t *testing.T) {
	lines := findings(t, 60)
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Kind{Gzip, Zstd}).Draw(t, "kind")
		level := rapid.IntRange(0, 9).Draw(t, "level")
		used, err := NewCompressor(kind, level)
		if err != nil {
			t.Fatal(err)
		}
		text := func(name string) []byte {
			var b []byte
			for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(lines)-1), 0, 40).Draw(t, name) {
				b = AppendLine(b, lines[i])
			}
			return b
		}
		for range rapid.IntRange(1, 5).Draw(t, "uses before") {
			used.Segment(nil, text("before"))
		}
		plain := text("lines")
		fresh, err := NewCompressor(kind, level)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(used.Segment(nil, plain).Compressed, fresh.Segment(nil, plain).Compressed) {
			t.Errorf("%s level %d: a used compressor made other bytes of %d", kind, level, len(plain))
		}
	})
}

// Wherever segments are cut, and whoever makes them, the object holds the lines in order.
func TestAnySegmentsJoin(t *testing.T) {
	plain := bytes.Join(findings(t, 100), []byte("\n"))
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Kind{None, Gzip, Zstd}).Draw(t, "kind")
		cuts := rapid.SliceOfN(rapid.IntRange(0, 5000), 0, 20).Draw(t, "cuts")
		var segments []Segment
		var buffer, want []byte
		rest := plain
		for _, n := range cuts {
			c, err := NewCompressor(kind, rapid.IntRange(0, 9).Draw(t, "level"))
			if err != nil {
				t.Fatal(err)
			}
			s := c.Segment(buffer, rest[:n])
			buffer = append(buffer[:len(buffer):len(buffer)], s.Compressed...)
			segments = append(segments, s)
			want, rest = append(want, rest[:n]...), rest[n:]
		}
		object, err := io.ReadAll(Join(kind, segments))
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = bytes.NewReader(object)
		switch kind {
		case None:
		case Gzip:
			r, err = gzip.NewReader(r)
		case Zstd:
			r, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes came back of %d, %v", kind, len(got), len(want), err)
		}
	})
}

func TestCombinedCRCIsTheCRCOfBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOf(rapid.Byte()).Draw(t, "a"), rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		got := combineCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), int64(len(b)))
		if want := crc32.ChecksumIEEE(append(a[:len(a):len(a)], b...)); got != want {
			t.Errorf("combined %08x, want %08x", got, want)
		}
	})
	// Beyond what a test can hash: 6 GB in two halves must give the same as in six pieces.
	const gib = 1 << 30
	zero := crc32.ChecksumIEEE(make([]byte, 1<<20))
	piece := zero
	for size := int64(1 << 20); size < gib; size *= 2 {
		piece = combineCRC(piece, piece, size)
	}
	var sixes uint32
	for range 6 {
		sixes = combineCRC(sixes, piece, gib)
	}
	half := combineCRC(combineCRC(piece, piece, gib), piece, gib)
	if got := combineCRC(half, half, 3*gib); got != sixes {
		t.Errorf("two halves give %08x, six pieces %08x", got, sixes)
	}
}

func TestAnObjectIsReadFromAnywhere(t *testing.T) {
	c := compressor(t, None, 0)
	var segments []Segment
	for _, part := range []string{"", "abc", "d", "", "efghij", ""} {
		segments = append(segments, c.Segment(nil, []byte(part)))
	}
	if err := iotest.TestReader(Join(None, segments), []byte("abcdefghij")); err != nil {
		t.Error(err)
	}
	o := Join(None, segments)
	for offset, want := range map[int64]string{0: "abcdefghij", 3: "defghij", 4: "efghij", 10: "", 99: ""} {
		if _, err := o.Seek(offset, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if n, err := o.WriteTo(&b); err != nil || n != int64(len(want)) || b.String() != want {
			t.Errorf("from %d: wrote %q (%d), %v, want %q", offset, b.String(), n, err, want)
		}
	}
	if _, err := o.Seek(-1, io.SeekStart); err == nil {
		t.Error("a seek before the start was accepted")
	}
	if _, err := o.Seek(0, 7); err == nil {
		t.Error("an unknown whence was accepted")
	}
	// A writer that fails must not move on: the rest is written by the next call.
	_, _ = o.Seek(0, io.SeekStart)
	if n, err := o.WriteTo(iotest.TruncateWriter(failing{}, 4)); n != 0 || !errors.Is(err, errFailing) {
		t.Errorf("wrote %d, %v", n, err)
	}
	var b bytes.Buffer
	if _, err := o.WriteTo(&b); err != nil || b.String() != "abcdefghij" {
		t.Errorf("after an error: wrote %q, %v", b.String(), err)
	}
}

const goldenGzip, goldenZstd = 0xb09bb90f, 0x43d0d015

var errFailing = errors.New("no room")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFailing }

func TestKindsAndLevels(t *testing.T) {
	for name, want := range map[string]Kind{"gzip": Gzip, "zstd": Zstd, "none": None} {
		kind, err := ParseKind(name)
		if err != nil || kind != want || kind.String() != name {
			t.Errorf("%s: got %v, %v", name, kind, err)
		}
	}
	if _, err := ParseKind("snappy"); err == nil {
		t.Error("an unknown kind was accepted")
	}
	for _, level := range []int{-1, 10} {
		if _, err := NewCompressor(Gzip, level); err == nil {
			t.Errorf("level %d was accepted", level)
		}
	}
	if _, err := NewCompressor(Kind(9), 1); err == nil {
		t.Error("an unknown kind was accepted")
	}
}

// The bytes of an object are public: an upgrade of the compressor that changes them must be noticed.
func TestBytesAreThoseOfBefore(t *testing.T) {
	for kind, want := range map[Kind]uint32{Gzip: goldenGzip, Zstd: goldenZstd} {
		b := NewBuilder(compressor(t, kind, 0))
		for _, line := range findings(t, 600) {
			b.Add(line)
		}
		if got := crc32.ChecksumIEEE(read(t, b.Object())); got != want {
			t.Errorf("%s: the CRC of the object is %#08x, was %#08x: an object sealed before an upgrade has other bytes after it",
				kind, got, want)
		}
	}
}
