package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"example.org/catchment/internal/disk"
)

// A model knows what was asked of a journal and what it acknowledged.
type model struct {
	calls   [][]string
	acked   map[string]Position
	refused map[int]bool // calls that failed for lack of room: nothing of them may be seen
	trimmed uint32       // the highest argument of a Trim that was tried
}

func newModel() *model { return &model{acked: map[string]Position{}, refused: map[int]bool{}} }

const crashSegment = 700

// work runs a fixed course of appends, rolls, trims and reopenings and stops at the first error that ends the journal.
func (m *model) work(t *testing.T, fsys disk.FS) error {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	for range 2 {
		j, rec, err := Open(fsys, "j", Options{SegmentBytes: crashSegment, Random: strings.NewReader(string(testID))})
		if err != nil {
			return err
		}
		for _, gap := range rec.Lost {
			if !strings.Contains(gap.Reason, "read ") { // the disk did not read: that has to be told
				t.Errorf("told as damage: %v", gap)
			}
		}
		for step := range 14 {
			if err := m.append(t, j, 1+rng.IntN(3), rng.IntN(150)); err != nil {
				_ = j.Close()
				return err
			}
			oldest, active := j.Segments()
			if step%4 == 3 && active > oldest {
				m.trimmed = max(m.trimmed, active)
				if err := j.Trim(active); err != nil && errors.Is(err, ErrPoisoned) {
					_ = j.Close()
					return err
				}
			}
			if step == 9 {
				if err := j.Roll(); errors.Is(err, ErrPoisoned) {
					_ = j.Close()
					return err
				}
			}
		}
		if err := j.Close(); err != nil {
			return err
		}
	}
	return nil
}

// append gives an error only if the journal is done for.
func (m *model) append(t *testing.T, j *Journal, n, size int) error {
	t.Helper()
	call := len(m.calls)
	var payloads [][]byte
	var texts []string
	for i := range n {
		text := fmt.Sprintf("call %d payload %d %s", call, i, strings.Repeat("z", size))
		texts, payloads = append(texts, text), append(payloads, []byte(text))
	}
	m.calls = append(m.calls, texts)
	pos, err := j.Append(t.Context(), payloads)
	switch {
	case err == nil:
		for i, p := range pos {
			m.acked[texts[i]] = p
		}
		return nil
	case errors.Is(err, ErrPoisoned):
		return err
	}
	m.refused[call] = true
	return nil
}

// verify opens what is left of the journal, checks it against the model, appends, and gives the error of Open if any.
func (m *model) verify(t *testing.T, what string, fsys disk.FS) error {
	t.Helper()
	j, rec, err := Open(fsys, "j", Options{SegmentBytes: crashSegment})
	if err != nil {
		return err
	}
	defer j.Close()
	if len(rec.Lost) != 0 {
		t.Fatalf("%s: told as damage: %v", what, rec.Lost)
	}
	seen := map[string]Position{}
	if err := j.Replay(func(p Position, b []byte) error {
		if _, twice := seen[string(b)]; twice {
			t.Fatalf("%s: twice: %q", what, b)
		}
		seen[string(b)] = p
		return nil
	}); err != nil {
		if errors.Is(err, disk.ErrStopped) {
			return err
		}
		t.Fatalf("%s: replay: %v", what, err)
	}
	known := 0
	for call, texts := range m.calls {
		n := 0
		for _, text := range texts {
			p, there := seen[text]
			if there {
				n++
			}
			if at, ok := m.acked[text]; ok && (!there && at.Segment >= m.trimmed || there && p != at) {
				t.Fatalf("%s: acknowledged at %v, found %v at %v: %.30q; %+v", what, at, there, p, text, rec)
			}
		}
		if n != 0 && n != len(texts) {
			t.Fatalf("%s: %d of %d payloads of call %d", what, n, len(texts), call)
		}
		if n != 0 && m.refused[call] {
			t.Fatalf("%s: call %d was refused and is there", what, call)
		}
		known += n
	}
	if known != len(seen) {
		t.Fatalf("%s: %d records that nobody appended", what, len(seen)-known)
	}
	for text, p := range seen { // from now on they count
		m.acked[text] = p
	}
	return m.append(t, j, 2, 10)
}

// copy lets one course be followed by several ends.
func (m *model) copy() *model {
	c := newModel()
	c.calls = append(c.calls, m.calls...)
	for k, v := range m.acked {
		c.acked[k] = v
	}
	for k, v := range m.refused {
		c.refused[k] = v
	}
	c.trimmed = m.trimmed
	return c
}

// operations gives what kind each operation of the course is.
func operations(t *testing.T) []string {
	t.Helper()
	var kinds []string
	fsys := disk.NewFailing(new(disk.Mem), func(o disk.Operation) disk.Verdict {
		kinds = append(kinds, o.Kind)
		return disk.Verdict{}
	})
	if err := newModel().work(t, fsys); err != nil {
		t.Fatal(err)
	}
	return kinds
}

// Wherever the power fails, and whatever of the unsynced bytes reached the disk: the acknowledged is there, every call
// whole or not at all, nothing is told as damage, and the next crash does not change that.
func TestCrashAtEveryOperation(t *testing.T) {
	for i, kind := range operations(t) {
		n, lengths := i+1, []int{0}
		if kind == "write" {
			lengths = []int{0, 1, 25, 100, 400}
		}
		for _, torn := range lengths {
			mem := new(disk.Mem)
			fsys := disk.NewFailing(mem, disk.StopAt(n, torn))
			m := newModel()
			if err := m.work(t, fsys); err != nil && !errors.Is(err, disk.ErrStopped) {
				t.Fatal(err)
			}
			ends := []*disk.Mem{mem.Kill()}
			for seed := range uint64(6) {
				ends = append(ends, mem.Crash(seed))
			}
			for i, end := range ends {
				m := m.copy()
				what := fmt.Sprintf("operation %d, torn %d, end %d", n, torn, i)
				if err := m.verify(t, what, end); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if err := m.verify(t, what+", again", end.Crash(0)); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			if torn == 0 && n%7 == 0 {
				crashInRecovery(t, m, mem.Crash(uint64(n)))
			}
		}
	}
}

// crashInRecovery lets the power fail again at every operation of the recovery.
func crashInRecovery(t *testing.T, m *model, end *disk.Mem) {
	t.Helper()
	for n := 1; ; n++ {
		m := m.copy()
		mem := end.Crash(1)
		fsys := disk.NewFailing(mem, disk.StopAt(n, 12))
		what := fmt.Sprintf("operation %d of recovery", n)
		stopped := m.verify(t, what, fsys)
		for seed := range uint64(4) {
			m := m.copy()
			if err := m.verify(t, what, mem.Crash(seed)); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		if stopped == nil {
			return
		}
	}
}

// One operation fails and the process goes on, or ends when the journal says so.
func TestEveryOperationFailsOnce(t *testing.T) {
	for name, cause := range map[string]error{"no space": syscall.ENOSPC, "input/output error": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			for i := range operations(t) {
				n := i + 1
				mem := new(disk.Mem)
				fsys := disk.NewFailing(mem, disk.FailNth(n, cause))
				m := newModel()
				_ = m.work(t, fsys) // any error; only what it leaves counts
				for i, end := range []*disk.Mem{mem.Kill(), mem.Crash(0), mem.Crash(1), mem.Crash(5)} {
					m := m.copy()
					what := fmt.Sprintf("operation %d, end %d", n, i)
					if err := m.verify(t, what, end); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					if err := m.verify(t, what+", again", end.Crash(0)); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
				}
			}
		})
	}
}

func TestDiskFull(t *testing.T) {
	for room := 0; room < 6000; room += 37 {
		mem := new(disk.Mem)
		pass := func(disk.Operation) disk.Verdict { return disk.Verdict{} }
		fsys := disk.NewFailing(mem, pass)
		j, _ := open(t, fsys, Options{SegmentBytes: crashSegment})
		m := newModel()
		fsys.Judge(disk.FullAfter(room))
		for i := range 30 {
			if err := m.append(t, j, 1+i%3, 40); err != nil {
				t.Fatalf("room for %d bytes: %v", room, err)
			}
		}
		if len(m.refused) == 0 {
			t.Fatalf("room for %d bytes: never full", room)
		}
		crashed := mem.Crash(0)
		if err := m.copy().verify(t, fmt.Sprintf("room for %d bytes, crash when full", room), crashed); err != nil {
			t.Fatal(err)
		}
		fsys.Judge(pass)
		refused := len(m.refused)
		for range 3 {
			if err := m.append(t, j, 2, 60); err != nil {
				t.Fatal(err)
			}
		}
		if len(m.refused) != refused {
			t.Fatalf("room for %d bytes: refused although there is room again", room)
		}
		if err := m.verify(t, fmt.Sprintf("room for %d bytes, crash later", room), mem.Crash(0)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFailedSyncEndsTheJournalUntilItIsOpenedAgain(t *testing.T) {
	mem := new(disk.Mem)
	fsys := disk.NewFailing(mem, func(disk.Operation) disk.Verdict { return disk.Verdict{} })
	j, _ := open(t, fsys, Options{})
	m := newModel()
	if err := m.append(t, j, 2, 10); err != nil {
		t.Fatal(err)
	}
	once := true
	fsys.Judge(func(o disk.Operation) disk.Verdict {
		if o.Kind == "sync" && once {
			once = false
			return disk.Verdict{Err: syscall.EIO}
		}
		return disk.Verdict{}
	})
	for range 3 { // the disk works again after the first; nobody may believe it
		err := m.append(t, j, 2, 10)
		if !errors.Is(err, ErrPoisoned) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("append after a failed fsync: %v", err)
		}
	}
	if _, err := j.ReadAt(m.acked[m.calls[0][0]], nil); err != nil {
		t.Errorf("reading must go on: %v", err)
	}
	if err := j.Trim(1); err != nil {
		t.Errorf("nothing to trim: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	// The call whose fsync failed can still be read, but is not on the disk. Once a new process has shown it to its
	// owner, it must be.
	killed := mem.Kill()
	if err := m.verify(t, "after kill", killed); err != nil {
		t.Fatal(err)
	}
	if _, there := m.acked[m.calls[1][0]]; !there {
		t.Fatal("the test is void: the call was not found again")
	}
	if err := m.verify(t, "after kill and crash", killed.Crash(0)); err != nil {
		t.Fatal(err)
	}
}

func TestUnreadableSectors(t *testing.T) {
	l := makeLog(t, false, 300, 20, short)
	bad := l.records[len(l.records)-1].Position.Segment
	for number := uint32(1); number <= bad; number++ {
		fsys := disk.NewFailing(l.mem.Kill(), func(o disk.Operation) disk.Verdict {
			if o.Kind == "read" && strings.HasSuffix(o.Name, segmentName(number)) {
				return disk.Verdict{Err: syscall.EIO}
			}
			return disk.Verdict{}
		})
		j, rec := open(t, fsys, Options{})
		if len(rec.Lost) == 0 || rec.Lost[0].Segment != number {
			t.Errorf("segment %d: told %+v", number, rec)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		fsys.Judge(func(disk.Operation) disk.Verdict { return disk.Verdict{} })
		j, rec = open(t, fsys, Options{}) // the disk reads again
		if got := replay(t, j); len(got) != len(l.records) {
			t.Errorf("segment %d, read again: %d records of %d; %+v", number, len(got), len(l.records), rec)
		}
	}
}
