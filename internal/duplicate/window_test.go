package duplicate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/catchment/internal/disk"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func digest(n int) (d Digest) {
	binary.LittleEndian.PutUint64(d[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(d[8:], uint64(n))
	return d
}

func TestADigestTellsRecordsApart(t *testing.T) {
	h := Hasher{seed: 7}
	d := h.Digest("stream", []byte("id"), []byte("record"))
	if d != h.Digest("stream", []byte("id"), []byte("record")) {
		t.Error("the same record has two digests")
	}
	for name, other := range map[string]Digest{
		"another stream":                 h.Digest("other", []byte("id"), []byte("record")),
		"another id":                     h.Digest("stream", []byte("id2"), []byte("record")),
		"the same id with other content": h.Digest("stream", []byte("id"), []byte("record2")),
		"another seed":                   Hasher{seed: 8}.Digest("stream", []byte("id"), []byte("record")),
	} {
		if d == other {
			t.Errorf("%s has the same digest", name)
		}
	}
}

func TestWindowHasTwoEnds(t *testing.T) {
	w := NewWindow(Options{Count: 3, Age: time.Hour})
	for i := range 4 {
		w.Add(digest(i), start.Add(time.Duration(i)*time.Minute))
	}
	for i, want := range []bool{false, true, true, true} {
		if got := w.Seen(digest(i), start.Add(3*time.Minute)); got != want {
			t.Errorf("digest %d of 4 in a window of 3: seen is %v", i, got)
		}
	}
	if w.Seen(digest(1), start.Add(61*time.Minute)) || !w.Seen(digest(2), start.Add(61*time.Minute)) {
		t.Error("an hour is not what the window holds")
	}
	w.Add(digest(2), start.Add(50*time.Minute)) // it is new again, and so it stays longer
	w.Add(digest(5), start.Add(70*time.Minute))
	if !w.Seen(digest(2), start.Add(105*time.Minute)) {
		t.Error("a digest that came again was forgotten with its first time")
	}
	none := NewWindow(Options{})
	none.Add(digest(1), start)
	if none.Seen(digest(1), start) {
		t.Error("a window of nothing remembers")
	}
}

// Against a map, with few digests so that they collide in the index and come again.
func TestAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Count: rapid.IntRange(1, 20).Draw(t, "count"), Age: time.Duration(rapid.IntRange(1, 50).Draw(t, "age")) * time.Second}
		w := NewWindow(o)
		type entry struct {
			d  Digest
			at time.Time
		}
		var model []entry
		now := start
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "seconds")) * time.Second)
			// Homes at the end of a table of few slots, so that probing wraps.
			d := Digest{byte(rapid.IntRange(0, 3).Draw(t, "home") - 2), 0xff, 0xff, 0xff, byte(rapid.IntRange(0, 9).Draw(t, "d"))}
			want := false
			for _, e := range model[max(0, len(model)-o.Count):] {
				if e.d == d {
					want = now.Sub(e.at) < o.Age
				}
			}
			if got := w.Seen(d, now); got != want {
				t.Fatalf("seen is %v, want %v", got, want)
			}
			if rapid.Bool().Draw(t, "add") {
				w.Add(d, now)
				model = append(model, entry{d, now})
			}
		}
	})
}

// What is forgotten can be taken again, and takes nothing else with it.
func TestForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Count: rapid.IntRange(1, 2000).Draw(t, "count")}
		w := NewWindow(o)
		held := map[Digest]bool{}
		var order []Digest // one for each place; a zero one is empty
		for range rapid.IntRange(0, 1500).Draw(t, "steps") {
			d := digest(rapid.IntRange(1, 1200).Draw(t, "d"))
			if got := w.Seen(d, start); got != held[d] {
				t.Fatalf("seen is %v, want %v", got, held[d])
			}
			if held[d] {
				w.Forget(d)
				delete(held, d)
				for i := range order {
					if order[i] == d {
						order[i] = Digest{}
					}
				}
				continue
			}
			if w.Forget(d); len(order) == o.Count {
				delete(held, order[0])
				order = order[1:]
			}
			w.Add(d, start)
			order, held[d] = append(order, d), true
		}
		if w.Len() != len(order) {
			t.Fatalf("%d are held, want %d", w.Len(), len(order))
		}
	})
	none := NewWindow(Options{})
	none.Forget(digest(1))
}

func open(tb testing.TB, fsys disk.FS, o Options) (*Files, *Window, Hasher, []error) {
	tb.Helper()
	f, w, h, damage, err := Open(fsys, "w", o, bytes.NewReader([]byte("12345678")))
	if err != nil {
		tb.Fatal(err)
	}
	return f, w, h, damage
}

func folder(tb testing.TB) *disk.Mem {
	tb.Helper()
	fsys := new(disk.Mem)
	if err := fsys.MakeDir("w"); err != nil {
		tb.Fatal(err)
	}
	return fsys
}

func checkpoint(tb testing.TB, f *Files, w *Window) {
	tb.Helper()
	s := w.Snapshot()
	if err := f.Write(s); err != nil {
		tb.Fatal(err)
	}
	w.Written(s)
}

func TestRestartsKeepTheWindow(t *testing.T) {
	const count, step = 2*perFile + 1000, 30_011
	o := Options{Count: count, Age: 100 * time.Hour}
	fsys := folder(t)
	f, w, hasher, _ := open(t, fsys, o)
	at := func(i int) time.Time { return start.Add(time.Duration(i/1000) * time.Second) }
	next := 0
	for round := range 12 {
		for range step {
			w.Add(digest(next), at(next))
			next++
		}
		checkpoint(t, f, w)
		if round%3 != 0 {
			continue
		}
		var h Hasher
		var damage []error
		f, w, h, damage = open(t, fsys, o)
		if h != hasher || damage != nil {
			t.Fatalf("round %d: seed %v was %v; damage %v", round, h, hasher, damage)
		}
		for i := range next {
			if got, want := w.Seen(digest(i), at(next)), i >= next-count; got != want {
				t.Fatalf("round %d: seen of %d is %v of %d", round, i, got, next)
			}
		}
	}
	entries, err := fsys.List("w")
	if err != nil || len(entries) > 6 {
		t.Errorf("%d files are there for three files of digests and the seed: %v", len(entries), err)
	}
}

// What was written before the last checkpoint is there, wherever a crash hits.
func TestCrashesKeepWhatWasWritten(t *testing.T) {
	o := Options{Count: 1000, Age: time.Hour}
	for n := 1; ; n++ {
		mem := folder(t)
		fsys := disk.NewFailing(mem, disk.StopAt(n, n%7))
		written, stopped := 0, true
		if f, w, _, _, err := Open(fsys, "w", o, bytes.NewReader([]byte("12345678"))); err == nil {
			stopped = false
			for i := range 20 {
				w.Add(digest(i), start)
				s := w.Snapshot()
				if err := f.Write(s); err != nil {
					stopped = true
					break
				}
				w.Written(s)
				written = i + 1
			}
		}
		_, w, _, damage := open(t, mem.Crash(uint64(n)), o)
		if damage != nil {
			t.Errorf("stopped at %d: %v", n, damage)
		}
		for i := range written {
			if !w.Seen(digest(i), start) {
				t.Errorf("stopped at %d: digest %d of %d is forgotten", n, i, written)
			}
		}
		if !stopped {
			return
		}
	}
}

func TestDamageIsReportedAndLeftOut(t *testing.T) {
	o := Options{Count: 1000, Age: time.Hour}
	fsys := folder(t)
	f, w, _, _ := open(t, fsys, o)
	w.Add(digest(1), start)
	checkpoint(t, f, w)
	file, err := fsys.Open("w/"+seenFile(0), disk.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	size := headSize + entrySize + 4
	for i := range size {
		var b [1]byte
		if _, err := file.ReadAt(b[:], int64(i)); err != nil {
			t.Fatal(err)
		}
		flip := func() {
			b[0] ^= 0x10
			if _, err := file.WriteAt(b[:], int64(i)); err != nil {
				t.Fatal(err)
			}
		}
		flip()
		_, w, _, damage := open(t, fsys, o)
		var bad *DamagedError
		if len(damage) != 1 || !errors.As(damage[0], &bad) || w.Seen(digest(1), start) {
			t.Errorf("byte %d: damage %v", i, damage)
		}
		// The window works on, and its files with it.
		flip()
	}
	if err := file.Truncate(int64(size - 1)); err != nil {
		t.Fatal(err)
	}
	f, w, _, damage := open(t, fsys, o)
	if len(damage) != 1 {
		t.Errorf("a short file: damage %v", damage)
	}
	w.Add(digest(2), start)
	checkpoint(t, f, w)
	if _, w, _, _ := open(t, fsys, o); !w.Seen(digest(2), start) {
		t.Error("behind a damaged file nothing is kept")
	}
}

func TestDamageInTheMiddleCostsOneFile(t *testing.T) {
	o := Options{Count: 4 * perFile, Age: time.Hour}
	fsys := folder(t)
	f, w, _, _ := open(t, fsys, o)
	for i := range 3 * perFile {
		w.Add(digest(i), start)
	}
	checkpoint(t, f, w)
	file, err := fsys.Open("w/"+seenFile(perFile), disk.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("xx"), 5000); err != nil {
		t.Fatal(err)
	}
	for round := range 2 { // the second time from files that were written anew
		var damage []error
		f, w, _, damage = open(t, fsys, o)
		if len(damage) != 1-round {
			t.Fatalf("round %d: damage %v", round, damage)
		}
		for i := range 3 * perFile {
			if got, want := w.Seen(digest(i), start), i/perFile != 1; got != want {
				t.Fatalf("round %d: seen of %d is %v", round, i, got)
			}
		}
		checkpoint(t, f, w)
	}
}

func TestADamagedSeedIsMadeAnew(t *testing.T) {
	fsys := folder(t)
	open(t, fsys, Options{Count: 10})
	file, err := fsys.Open("w/"+seedName, disk.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("x"), 13); err != nil {
		t.Fatal(err)
	}
	if _, _, _, damage := open(t, fsys, Options{Count: 10}); len(damage) != 1 {
		t.Errorf("damage %v", damage)
	}
	if _, _, _, damage := open(t, fsys, Options{Count: 10}); damage != nil {
		t.Errorf("damage %v after it was made anew", damage)
	}
}

func TestMemoryOfTwoMillion(t *testing.T) {
	const count = 2_000_000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	w := NewWindow(Options{Count: count, Age: 24 * time.Hour})
	for i := range count + count/10 {
		w.Add(digest(i), start)
	}
	used := heap() - before
	t.Logf("%.1f bytes a digest", float64(used)/count)
	if used > 30*count {
		t.Errorf("%d MB are in use", used>>20)
	}
	runtime.KeepAlive(w)
}

func BenchmarkSeenAndAdd(b *testing.B) {
	w := NewWindow(Options{Count: 2_000_000, Age: 24 * time.Hour})
	for i := range 2_000_000 {
		w.Add(digest(i), start)
	}
	i := 2_000_000
	for b.Loop() {
		i++
		if !w.Seen(digest(i), start) {
			w.Add(digest(i), start)
		}
	}
}
