package journal

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/catchment/internal/disk"
)

// edit changes the contents of a file of the journal.
func edit(t *testing.T, fsys disk.FS, name string, change func([]byte) []byte) {
	t.Helper()
	b := contents(t, fsys, name)
	f, err := fsys.Open(filepath.Join("j", name), disk.Create)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(change(slices.Clone(b)), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, fsys disk.FS, name string) []byte {
	t.Helper()
	entries, err := fsys.List("j")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(e disk.Entry) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("no file %s in %v", name, entries)
	}
	f, err := fsys.Open(filepath.Join("j", name), disk.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, entries[i].Size)
	if err := readFull(f, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// A log is a journal of known contents.
type log struct {
	mem     *disk.Mem
	records []record
	calls   []int // of each record
}

// makeLog appends a call of one payload, one of three, and so on.
func makeLog(t *testing.T, closed bool, segmentBytes int64, payloads int, payload func(int) string) log {
	t.Helper()
	l := log{mem: new(disk.Mem)}
	j, _ := open(t, l.mem, Options{SegmentBytes: segmentBytes})
	for i, call := 0, 0; i < payloads; call++ {
		var one []string
		for range 1 + call%2*2 {
			one = append(one, payload(i))
			i++
		}
		for k, p := range appendAll(t, j, one...) {
			l.records = append(l.records, record{p, one[k]})
			l.calls = append(l.calls, call)
		}
	}
	if closed {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l.mem = l.mem.Crash(1)
	return l
}

func short(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("p", i%9)) }

func (r record) span() (from, to int64) {
	return int64(r.Position.Offset), int64(r.Position.Offset) + frameHead + int64(len(r.Payload))
}

// wholeCall reports whether all records of the call of record i are intact, if the segment holds now what is given.
func (l log) wholeCall(i int, segment uint32, now []byte) bool {
	for k, r := range l.records {
		from, to := r.span()
		if l.calls[k] != l.calls[i] || r.Position.Segment != segment {
			continue
		}
		if to > int64(len(now)) {
			return false
		}
		b := make([]byte, frameSize(len(r.Payload)))
		copy(b, now[from:to])
		f, ok := parseFrame(b, from, testKeys(segment))
		if !ok || !f.whole(b, testKeys(segment)) {
			return false
		}
	}
	return true
}

func testKeys(segment uint32) keys { return id(testID).keys(segment) }

// check opens the damaged journal and asserts that it holds the records for which keep is true, in order, and no other.
// Afterwards it must work: an append is there at the next open, beside all others.
func (l log) check(t *testing.T, what string, keep func(int) bool) *Recovered {
	t.Helper()
	var want []record
	for i, r := range l.records {
		if keep(i) {
			want = append(want, r)
		}
	}
	o := Options{SegmentBytes: aheadUnit - 1} // too short for zeros ahead: quick
	j, rec := open(t, l.mem, o)
	compare := func() {
		t.Helper()
		if got := replay(t, j); !slices.Equal(got, want) {
			t.Fatalf("%s: got %v, want %v; %+v", what, got, want, rec)
		}
	}
	compare()
	if rec.Records != int64(len(want)) {
		t.Errorf("%s: recovered says %d records, want %d", what, rec.Records, len(want))
	}
	for i, r := range l.records {
		b, err := j.ReadAt(r.Position, nil)
		if err == nil && string(b) != r.Payload {
			t.Fatalf("%s: wrong record at %v: %q", what, r.Position, b)
		}
		if keep(i) && err != nil {
			t.Fatalf("%s: read %v: %v", what, r.Position, err)
		}
	}
	want = append(want, record{appendAll(t, j, "after")[0], "after"})
	compare()
	l.mem = l.mem.Crash(0)
	first := rec
	j, rec = open(t, l.mem, o)
	compare()
	if len(rec.Torn) != 0 {
		t.Errorf("%s: torn again: %v", what, rec.Torn)
	}
	if !slices.Equal(rec.Lost, first.Lost) {
		t.Errorf("%s: lost %v, and at the next open %v", what, first.Lost, rec.Lost)
	}
	return first
}

func TestTornTailAtEveryByte(t *testing.T) {
	for name, fill := range map[string]func([]byte) []byte{
		"file ends":      func([]byte) []byte { return nil },
		"zeros follow":   func(b []byte) []byte { clear(b); return b },
		"garbage follow": func(b []byte) []byte { return bytes.Repeat([]byte{0xa5}, len(b)) },
	} {
		t.Run(name, func(t *testing.T) {
			l := makeLog(t, false, 0, 8, short)
			image := contents(t, l.mem, segmentName(1))
			_, written := l.records[len(l.records)-1].span()
			for cut := int64(headSize); cut <= written; cut++ {
				l := l
				l.mem = l.mem.Kill()
				edit(t, l.mem, segmentName(1), func([]byte) []byte {
					end := (written + 7) / 8 * 8
					return append(slices.Clone(image[:cut]), fill(slices.Clone(image[cut:end]))...)
				})
				now := contents(t, l.mem, segmentName(1))
				kept := make([]bool, len(l.records))
				partial := false
				for i := range kept {
					kept[i] = l.wholeCall(i, 1, now)
					from, _ := l.records[i].span()
					partial = partial || (!kept[i] && from < cut)
				}
				rec := l.check(t, fmt.Sprint("cut at ", cut), func(i int) bool { return kept[i] })
				if len(rec.Lost) != 0 {
					t.Errorf("cut at %d: told as damage: %v", cut, rec.Lost)
				}
				if partial && len(rec.Torn) == 0 {
					t.Errorf("cut at %d: not told", cut)
				}
			}
		})
	}
}

func TestBitFlipAtEveryByte(t *testing.T) {
	for name, segmentBytes := range map[string]int64{"one segment": 0, "several segments": 300} {
		t.Run(name, func(t *testing.T) {
			l := makeLog(t, true, segmentBytes, 12, short)
			entries, err := l.mem.List("j")
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				for at := range e.Size {
					flipOne(t, l, e.Name, at)
				}
			}
		})
	}
}

func flipOne(t *testing.T, l log, name string, at int64) {
	t.Helper()
	what := fmt.Sprintf("%s, byte %d", name, at)
	l.mem = l.mem.Kill()
	edit(t, l.mem, name, func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })
	number, segment := fileNumber(name, segmentSuffix)
	hit := -1
	for i, r := range l.records {
		if from, to := r.span(); segment && r.Position.Segment == number && from <= at && at < to {
			hit = i
		}
	}
	rec := l.check(t, what, func(i int) bool { return i != hit })
	covered := func(gaps []Gap) bool {
		return slices.ContainsFunc(gaps, func(g Gap) bool { return g.Segment == number && g.From <= at && at < g.To })
	}
	switch {
	case hit >= 0:
		from, _ := l.records[hit].span()
		want := Gap{Segment: number, From: from, To: from + frameSize(len(l.records[hit].Payload)), Reason: "no valid frame"}
		if !slices.Equal(rec.Lost, []Gap{want}) || len(rec.Torn) != 0 {
			t.Errorf("%s: told %v and %v, want lost %v", what, rec.Lost, rec.Torn, want)
		}
	case segment && at < headSize && !covered(rec.Lost):
		t.Errorf("%s: damage of the head is not told: %+v", what, rec)
	case len(rec.Lost)+len(rec.Torn) > 1:
		t.Errorf("%s: told more than happened: %+v", what, rec)
	}
}

func TestZeroedTail(t *testing.T) {
	for name, reused := range map[string]bool{"new file": false, "reused file": true} {
		t.Run(name, func(t *testing.T) {
			l := makeLog(t, false, 0, 3, short)
			if reused {
				l = makeReused(t)
			}
			j, _ := open(t, l.mem, Options{})
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			_, active := j.Segments()
			name := segmentName(active)
			image := contents(t, l.mem, name)
			for from := headSize; from < len(image); from++ {
				l := l
				l.mem = l.mem.Kill()
				edit(t, l.mem, name, func(b []byte) []byte { clear(b[from:]); return b })
				if bytes.Equal(contents(t, l.mem, name), image) {
					continue // zeros before
				}
				now := contents(t, l.mem, name)
				whole := func(i int) bool { return l.wholeCall(i, active, now) }
				rec := l.check(t, fmt.Sprint("zeros from ", from), whole)
				if len(rec.Lost)+len(rec.Torn) == 0 {
					t.Errorf("zeros from %d: not told", from)
				}
			}
		})
	}
}

// makeReused gives an open journal, as a crash leaves it, whose active segment is in the file of a trimmed one.
func makeReused(t *testing.T) log {
	t.Helper()
	l := log{mem: new(disk.Mem)}
	j, _ := open(t, l.mem, Options{SegmentBytes: 4000})
	for i := range 30 {
		appendAll(t, j, fmt.Sprint("old ", i, strings.Repeat("o", 200)))
	}
	_, active := j.Segments()
	if err := j.Trim(active); err != nil {
		t.Fatal(err)
	}
	if err := j.Roll(); err != nil {
		t.Fatal(err)
	}
	if !j.active.reused {
		t.Fatal("no spare was used")
	}
	if err := j.Trim(active + 1); err != nil {
		t.Fatal(err)
	}
	for call := range 4 {
		var one []string
		for k := range call%2 + 1 {
			one = append(one, fmt.Sprint("new ", call, k, strings.Repeat("n", 50)))
		}
		for k, p := range appendAll(t, j, one...) {
			l.records, l.calls = append(l.records, record{p, one[k]}), append(l.calls, call)
		}
	}
	l.mem = l.mem.Crash(1)
	return l
}

func TestReusedFile(t *testing.T) {
	l := makeReused(t)
	rec := l.check(t, "as it is", func(int) bool { return true })
	if len(rec.Lost)+len(rec.Torn) != 0 {
		t.Errorf("told without a reason: %+v", rec)
	}
	l = makeReused(t)
	last := l.records[len(l.records)-1]
	from, _ := last.span()
	edit(t, l.mem, segmentName(last.Position.Segment), func(b []byte) []byte { b[from+30] ^= 1; return b })
	rec = l.check(t, "last frame torn", func(i int) bool { return l.calls[i] != l.calls[len(l.calls)-1] })
	if len(rec.Lost) != 0 || len(rec.Torn) != 1 || rec.Torn[0].To > from+1000 {
		t.Errorf("want one torn end that stops at the old frames: %+v", rec)
	}
}

func TestZeroedPage(t *testing.T) {
	l := makeLog(t, true, 0, 40, func(i int) string { return fmt.Sprint(i, strings.Repeat("q", 700)) })
	image := contents(t, l.mem, segmentName(1))
	for page := 0; page+pageSize < len(image); page += pageSize {
		l := l
		l.mem = l.mem.Kill()
		edit(t, l.mem, segmentName(1), func(b []byte) []byte { clear(b[page : page+pageSize]); return b })
		hit := func(i int) bool {
			from, to := l.records[i].span()
			return from < int64(page+pageSize) && to > int64(page)
		}
		rec := l.check(t, fmt.Sprint("page at ", page), func(i int) bool { return !hit(i) })
		lost := int64(0)
		for _, g := range rec.Lost {
			lost += g.To - g.From
		}
		want := int64(0)
		for i, r := range l.records {
			if hit(i) {
				want += frameSize(len(r.Payload))
			}
		}
		if page == 0 {
			want += headSize
		}
		if lost != want || len(rec.Torn) != 0 {
			t.Errorf("page at %d: told %d bytes, want %d: %+v", page, lost, want, rec)
		}
	}
}

func TestTruncatedOlderSegment(t *testing.T) {
	l := makeLog(t, false, 300, 20, short)
	image := contents(t, l.mem, segmentName(2))
	for cut := range len(image) {
		l := l
		l.mem = l.mem.Kill()
		edit(t, l.mem, segmentName(2), func(b []byte) []byte { return b[:cut] })
		damaged := cut < headSize
		rec := l.check(t, fmt.Sprint("cut at ", cut), func(i int) bool {
			_, to := l.records[i].span()
			gone := l.records[i].Position.Segment == 2 && to > int64(cut)
			damaged = damaged || gone
			return !gone
		})
		if told := len(rec.Lost) > 0; told != damaged || len(rec.Torn) != 0 {
			t.Errorf("cut at %d: told %+v, damaged %v", cut, rec, damaged)
		}
	}
}

func TestMissingSegment(t *testing.T) {
	l := makeLog(t, false, 300, 20, short)
	last := l.records[len(l.records)-1].Position.Segment
	if last < 4 {
		t.Fatalf("only %d segments", last)
	}
	for number := uint32(1); number <= last; number++ {
		l := l
		l.mem = l.mem.Kill()
		if err := l.mem.Remove(filepath.Join("j", segmentName(number))); err != nil {
			t.Fatal(err)
		}
		if err := l.mem.SyncDir("j"); err != nil {
			t.Fatal(err)
		}
		rec := l.check(t, fmt.Sprint("segment ", number), func(i int) bool { return l.records[i].Position.Segment != number })
		if len(rec.Lost) != 1 || rec.Lost[0].Segment != number || !strings.Contains(rec.Lost[0].Reason, "missing") {
			t.Errorf("segment %d: told %v", number, rec.Lost)
		}
	}
}

func TestFilesInEachOthersPlace(t *testing.T) {
	l := makeLog(t, true, 300, 20, short)
	two := contents(t, l.mem, segmentName(2))
	edit(t, l.mem, segmentName(3), func([]byte) []byte { return two })
	rec := l.check(t, "segment 2 over 3", func(i int) bool { return l.records[i].Position.Segment != 3 })
	if len(rec.Lost) == 0 || rec.Lost[0].Segment != 3 {
		t.Errorf("told %v", rec.Lost)
	}
}

// A payload holds what passes for frames elsewhere: of this journal, of another place, of another key. Its own frame is
// damaged, so that recovery walks through it.
func TestPayloadThatLooksLikeFrames(t *testing.T) {
	mem := new(disk.Mem)
	j, _ := open(t, mem, Options{})
	first := appendAll(t, j, "honest")[0]
	genuine := contents(t, mem, segmentName(1))[first.Offset : int64(first.Offset)+frameSize(6)]
	var hostile []byte
	start := int64(first.Offset) + frameSize(6) + frameHead
	for len(hostile) < 4000 {
		hostile = append(hostile, genuine...) // moved
		own := make([]byte, frameSize(6))
		at := start + int64(len(hostile))
		frame{length: 6, kind: kindRecord, flags: 7, offset: uint32(at)}.put(own, id{}.keys(1), []byte("forged"))
		hostile = append(hostile, own...) // right place, wrong key
	}
	bad := appendAll(t, j, string(hostile))[0]
	last := appendAll(t, j, "honest too")[0]
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	l := log{mem: mem, records: []record{{first, "honest"}, {bad, string(hostile)}, {last, "honest too"}}, calls: []int{0, 1, 2}}
	for _, at := range []uint32{0, 5, 9, 17, 21, frameHead} {
		l := l
		l.mem = mem.Kill()
		edit(t, l.mem, segmentName(1), func(b []byte) []byte { b[bad.Offset+at] ^= 4; return b })
		rec := l.check(t, fmt.Sprint("flip at ", at), func(i int) bool { return i != 1 })
		if len(rec.Lost) != 1 || rec.Lost[0].To != int64(last.Offset) {
			t.Errorf("flip at %d: told %v", at, rec.Lost)
		}
	}
}

// One group of several calls is torn anywhere: calls that are whole are kept, also behind the tear; of the others nothing
// is seen, now or after the next open.
func TestTornGroupOfSeveralCalls(t *testing.T) {
	l := log{mem: new(disk.Mem)}
	j, _ := open(t, l.mem, Options{SegmentBytes: aheadUnit - 1})
	first := appendAll(t, j, "the group before")[0]
	l.records, l.calls = []record{{first, "the group before"}}, []int{-1}
	var group []*call
	for i, n := range []int{1, 2, 1, 3, 2} {
		c := &call{kind: kindRecord, positions: make([]Position, n)}
		for k := range n {
			p := fmt.Sprint("call ", i, " payload ", k)
			c.payloads = append(c.payloads, []byte(p))
			c.bytes += frameSize(len(p))
		}
		group = append(group, c)
	}
	if err := j.write(group); err != nil {
		t.Fatal(err)
	}
	for i, c := range group {
		for k, p := range c.positions {
			l.records, l.calls = append(l.records, record{p, string(c.payloads[k])}), append(l.calls, i)
		}
	}
	image := contents(t, l.mem, segmentName(1))
	for one := 1; one < len(l.records); one++ {
		for other := one; other < len(l.records); other++ {
			damaged := l
			damaged.mem = l.mem.Kill()
			edit(t, damaged.mem, segmentName(1), func(b []byte) []byte {
				for _, i := range []int{one, other} {
					from, to := l.records[i].span()
					clear(b[from:to])
				}
				return b
			})
			now := contents(t, damaged.mem, segmentName(1))
			if len(now) != len(image) {
				t.Fatal("the file changed its length")
			}
			rec := damaged.check(t, fmt.Sprint("frames ", one, " and ", other), func(i int) bool {
				return damaged.wholeCall(i, 1, now)
			})
			if len(rec.Lost) != 0 || len(rec.Torn) == 0 {
				t.Errorf("frames %d and %d: told %+v", one, other, rec)
			}
		}
	}
}
