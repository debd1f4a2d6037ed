package batch

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func record(prefix string, position Position, size int, arrival time.Duration) Record {
	at := start.Add(arrival)
	return Record{Prefix: prefix, Position: position, Size: size, Arrival: at, Instant: at, Digest: Sum{uint64(position), 1}}
}

func TestWhatIsDue(t *testing.T) {
	for name, tt := range map[string]struct {
		limits Limits
		sizes  []int // a record a second
		now    time.Duration
		want   []int // records of each batch that is due
	}{
		"nothing yet":                          {Limits{Bytes: 100, Age: time.Minute}, []int{10, 10}, 59 * time.Second, nil},
		"age, exact":                           {Limits{Bytes: 100, Age: time.Minute}, []int{10, 10}, 60 * time.Second, []int{2}},
		"a late record does not prolong":       {Limits{Bytes: 100, Age: 3 * time.Second}, []int{1, 1, 1, 1}, 3 * time.Second, []int{4}},
		"bytes, one under":                     {Limits{Bytes: 21, Age: time.Minute}, []int{10, 10}, 0, nil},
		"bytes, exact":                         {Limits{Bytes: 20, Age: time.Minute}, []int{10, 10}, 0, []int{2}},
		"what follows a full batch is another": {Limits{Bytes: 20, Age: time.Minute}, []int{10, 10, 10, 15, 3}, 0, []int{2, 2}},
		"and comes of age by itself":           {Limits{Bytes: 20, Age: time.Minute}, []int{10, 10, 3}, 62 * time.Second, []int{2, 1}},
		"count":                                {Limits{Count: 2, Age: time.Minute}, []int{1, 1, 1}, 0, []int{2}},
		"no limit but age":                     {Limits{Age: time.Minute}, []int{1 << 40}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := New([]Limits{tt.limits})
			for i, size := range tt.sizes {
				b.Add(record("p/", Position(i), size, time.Duration(i)*time.Second))
			}
			var got []int
			for {
				batch, ok := b.Due(start.Add(tt.now))
				if !ok {
					break
				}
				got = append(got, len(batch.Positions))
			}
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Errorf("records of the batches due (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABatchTellsOfItsRecords(t *testing.T) {
	b := New([]Limits{{Age: time.Hour}, {Age: time.Minute}})
	late := record("p/", 7, 10, 5*time.Second)
	late.Stream = 1
	early := record("p/", 9, 20, 2*time.Second)
	early.Stream, early.Instant = 1, start.Add(-time.Hour)
	b.Add(record("p/", 8, 1, 0))
	b.Add(late)
	b.Add(early)
	if at, ok := b.Oldest(); !ok || !at.Equal(start) {
		t.Errorf("the oldest arrived at %v, %v", at, ok)
	}
	if at, ok := b.Next(); !ok || !at.Equal(start.Add(62*time.Second)) {
		t.Errorf("the next is due at %v, %v", at, ok)
	}
	if b.Records() != 3 || b.Bytes() != 31 || b.Partitions() != 2 {
		t.Errorf("pending: %d records, %d bytes, %d partitions", b.Records(), b.Bytes(), b.Partitions())
	}
	got, ok := b.Any()
	want := Batch{
		Stream: 1, Prefix: "p/", Positions: []Position{7, 9}, Bytes: 30,
		Arrival: start.Add(2 * time.Second), Instant: start.Add(-time.Hour), Sum: Sum{16, 2},
	}
	if diff := gocmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if b.Records() != 1 || b.Bytes() != 1 || b.Partitions() != 1 {
		t.Errorf("pending after it: %d records, %d bytes, %d partitions", b.Records(), b.Bytes(), b.Partitions())
	}
}

func TestRecordsAreTakenBack(t *testing.T) {
	b := New([]Limits{{Bytes: 30, Age: time.Minute}})
	b.Hold()
	for i := range 5 {
		b.Add(record("p/", Position(i), 10, time.Duration(i)*time.Second))
	}
	if _, ok := b.Full(); ok {
		t.Fatal("a batch was closed while held")
	}
	if n := b.Remove(0, "p/", []Position{1, 3, 77}, 30, Sum{4, 2}); n != 2 {
		t.Errorf("%d were taken back, want 2", n)
	}
	if n := b.Remove(0, "other/", []Position{1}, 10, Sum{}); n != 0 {
		t.Errorf("%d were taken back of a partition that is not there", n)
	}
	b.Release()
	got, ok := b.Full()
	if diff := gocmp.Diff([]Position{0, 2, 4}, got.Positions); !ok || diff != "" || got.Sum != (Sum{6, 3}) || got.Bytes != 30 {
		t.Errorf("left: %+v", got)
	}
	b.Add(record("q/", 8, 1, 0))
	if n := b.Remove(0, "q/", []Position{8}, 1, Sum{8, 1}); n != 1 || b.Records() != 0 || b.Bytes() != 0 || b.Partitions() != 0 {
		t.Errorf("taken back %d; left %d records, %d bytes, %d partitions", n, b.Records(), b.Bytes(), b.Partitions())
	}
}

// Against the plainest batcher that one can write.
func TestAgreesWithAPlainModel(t *testing.T) {
	type open struct {
		key     key
		records []Record
	}
	rapid.Check(t, func(t *rapid.T) {
		limits := []Limits{{Bytes: 50, Age: 10 * time.Second}, {Bytes: 500, Age: 25 * time.Second, Count: 4}}
		b := New(limits)
		var model []open // in the order in which they were opened
		var full []open
		now := start
		sum := func(o open) (bytes int64, oldest time.Time) {
			oldest = o.records[0].Arrival
			for _, r := range o.records {
				bytes += int64(r.Size)
				if r.Arrival.Before(oldest) {
					oldest = r.Arrival
				}
			}
			return bytes, oldest
		}
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
				var want [][]Position
				for _, o := range full {
					want = append(want, positions(o.records))
				}
				full = nil
				model = slices.DeleteFunc(model, func(o open) bool {
					_, oldest := sum(o)
					if now.Sub(oldest) < limits[o.key.stream].Age {
						return false
					}
					want = append(want, positions(o.records))
					return true
				})
				var got [][]Position
				for batch, ok := b.Due(now); ok; batch, ok = b.Due(now) {
					got = append(got, batch.Positions)
				}
				order := func(a, b []Position) int { return cmp.Compare(a[0], b[0]) }
				slices.SortFunc(want, order)
				slices.SortFunc(got, order)
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Fatalf("due (-want +got):\n%s", diff)
				}
			default:
				r := record(fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "prefix")), Position(i),
					rapid.IntRange(1, 30).Draw(t, "size"), 0)
				r.Stream = rapid.IntRange(0, 1).Draw(t, "stream")
				r.Arrival = now.Add(-time.Duration(rapid.IntRange(0, 2000).Draw(t, "late")) * time.Millisecond)
				b.Add(r)
				k := key{r.Prefix, int32(r.Stream)}
				at := slices.IndexFunc(model, func(o open) bool { return o.key == k })
				if at < 0 {
					at = len(model)
					model = append(model, open{key: k})
				}
				model[at].records = append(model[at].records, r)
				if bytes, _ := sum(model[at]); bytes >= limits[r.Stream].Bytes || len(model[at].records) == limits[r.Stream].Count {
					full = append(full, model[at])
					model = slices.Delete(model, at, at+1)
				}
			}
			records := 0
			for _, o := range append(full[:len(full):len(full)], model...) {
				records += len(o.records)
			}
			if b.Records() != records || b.Partitions() != len(model)+len(full) {
				t.Fatalf("pending: %d records in %d, want %d in %d", b.Records(), b.Partitions(), records, len(model)+len(full))
			}
		}
	})
}

func positions(records []Record) (p []Position) {
	for _, r := range records {
		p = append(p, r.Position)
	}
	return p
}

func TestNames(t *testing.T) {
	id := NewID([]byte("a"), []byte("bc"))
	if id == NewID([]byte("ab"), []byte("c")) {
		t.Error("where a part ends makes no difference")
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id.String()) {
		t.Errorf("%s is not a UUID of version 8", id)
	}
	got := Name("inspector", 3, start, id, ".json.gz")
	// Part of the bucket's public interface: must not change.
	if want := "inspector-3-2026-01-02-03-04-05-9a8acca1-b6c6-80be-bd3f-bc756aed625d.json.gz"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A million records in a hundred thousand partitions.
func fill(b *Batcher, records, partitions int) {
	prefixes := make([]string, partitions)
	for i := range prefixes {
		prefixes[i] = fmt.Sprintf("AWSLogs/%012d/Inspector/ap-northeast-1/2026/01/02/03/", i)
	}
	order := rand.New(rand.NewPCG(1, 2))
	for i := range records {
		p := order.IntN(partitions)
		if i < partitions {
			p = i
		}
		b.Add(record(prefixes[p], Position(i), 5000, time.Duration(i)*time.Microsecond))
	}
}

func TestMemoryOfAMillionRecords(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	b := New([]Limits{{Bytes: 64 << 20, Age: 5 * time.Minute}})
	fill(b, 1_000_000, 100_000)
	used := int64(heap()) - int64(before)
	t.Logf("%d bytes a record", used/1_000_000)
	if used > 60<<20 {
		t.Errorf("%d MB are in use, want at most 60", used>>20)
	}
	for b.Partitions() > 0 {
		b.Any()
	}
}

// Time must be flat in the number of partitions, but for the memory that they are spread over.
func BenchmarkAdd(b *testing.B) {
	for _, partitions := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprintf("%d partitions", partitions), func(b *testing.B) {
			prefixes := make([]string, partitions)
			for i := range prefixes {
				prefixes[i] = fmt.Sprintf("AWSLogs/%012d/Inspector/ap-northeast-1/2026/01/02/03/", i)
			}
			batcher := New([]Limits{{Bytes: 100_000, Age: 5 * time.Minute}})
			order := rand.New(rand.NewPCG(1, 2))
			i := 0
			for i < 3*partitions { // so that making the partitions is not measured
				i++
				batcher.Add(record(prefixes[order.IntN(partitions)], Position(i), 5000, time.Duration(i)*time.Microsecond))
			}
			for b.Loop() {
				i++
				batcher.Add(record(prefixes[order.IntN(partitions)], Position(i), 5000, time.Duration(i)*time.Microsecond))
				batcher.Due(start.Add(time.Duration(i) * time.Microsecond))
			}
		})
	}
}
