package journal

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"example.org/catchment/internal/disk"
)

// In the benchmarks the journal is in its steady state: it has trimmed segments before and uses their files again.

// benchRecord is the size of a common Security Hub event.
const benchRecord = 4770

func benchPayloads(n int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([][]byte, n)
	for i := range b {
		b[i] = make([]byte, benchRecord)
		for k := range b[i] {
			b[i][k] = byte(rng.Uint32())
		}
	}
	return b
}

// BenchmarkAppend measures, in turn over the same disk and bytes, what a group costs: by hand with one write and one
// fdatasync into a growing file, into a file of zeros, and through the journal, by one caller with a group of payloads
// and by as many callers with one payload each. It reports records/s of each and the journal's ratio to both by hand.
func BenchmarkAppend(b *testing.B) {
	for _, group := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
			payloads := benchPayloads(group)
			ways := []struct {
				name string
				do   func(*testing.B, [][]byte) func()
			}{
				{"grow", rawGrow}, {"zeros", rawZeros}, {"call", journalCall}, {"callers", journalCallers},
			}
			spent := map[string]float64{}
			dos := make([]func(), len(ways))
			for i, way := range ways {
				dos[i] = way.do(b, payloads)
			}
			for range b.N { // in turn: the disk is not the same from one second to the next
				for i, do := range dos {
					start := b.Elapsed()
					do()
					spent[ways[i].name] += (b.Elapsed() - start).Seconds()
				}
			}
			for name, s := range spent {
				b.ReportMetric(float64(group*benchBlock*b.N)/s, name+"_rec/s")
			}
			for _, name := range []string{"call", "callers"} {
				b.ReportMetric(spent["grow"]/spent[name], name+"/grow")
				b.ReportMetric(spent["zeros"]/spent[name], name+"/zeros")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

const (
	benchSegment = 64 << 20
	benchBlock   = 16 // groups in a row, before it is another's turn
)

func rawFile(b *testing.B, payloads [][]byte, prepare func(disk.File)) func() {
	b.Helper()
	name := filepath.Join(b.TempDir(), "raw")
	f, err := disk.Real{}.Open(name, disk.Create)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	var one []byte
	for _, p := range payloads {
		one = append(one, p...)
	}
	prepare(f)
	off := int64(0)
	return func() {
		for range benchBlock {
			if off+int64(len(one)) > benchSegment {
				b.StopTimer()
				off = 0
				prepare(f)
				b.StartTimer()
			}
			if _, err := f.WriteAt(one, off); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
			off += int64(len(one))
		}
	}
}

func rawGrow(b *testing.B, payloads [][]byte) func() {
	b.Helper()
	return rawFile(b, payloads, func(f disk.File) {
		if err := f.Truncate(0); err != nil {
			b.Fatal(err)
		}
	})
}

func rawZeros(b *testing.B, payloads [][]byte) func() {
	b.Helper()
	full := false
	return rawFile(b, payloads, func(f disk.File) {
		if full {
			return // overwriting costs the same, whatever is there
		}
		full = true
		for off := int64(0); off < benchSegment; off += aheadBytes {
			if _, err := f.WriteAt(zeros[:], off); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	})
}

func benchJournal(b *testing.B) *Journal {
	b.Helper()
	j, _, err := Open(disk.Real{}, b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close() })
	steady := benchPayloads(200)
	for range 3 * benchSegment / (len(steady) * benchRecord) {
		if _, err := j.Append(b.Context(), steady); err != nil {
			b.Fatal(err)
		}
		trimNow(b, j)
	}
	return j
}

// trimNow keeps the disk from filling.
func trimNow(b *testing.B, j *Journal) {
	b.Helper()
	if j.Size() < 2*benchSegment {
		return
	}
	b.StopTimer() // by hand, too, making room is not measured
	defer b.StartTimer()
	_, active := j.Segments()
	if err := j.Trim(active); err != nil {
		b.Fatal(err)
	}
}

func journalCall(b *testing.B, payloads [][]byte) func() {
	b.Helper()
	j := benchJournal(b)
	return func() {
		for range benchBlock {
			if _, err := j.Append(b.Context(), payloads); err != nil {
				b.Fatal(err)
			}
		}
		trimNow(b, j)
	}
}

// journalCallers has each payload appended over and over by a caller of its own; none waits for another.
func journalCallers(b *testing.B, payloads [][]byte) func() {
	b.Helper()
	j := benchJournal(b)
	return func() {
		var callers sync.WaitGroup
		for i := range payloads {
			callers.Go(func() {
				for range benchBlock {
					if _, err := j.Append(b.Context(), payloads[i:i+1]); err != nil {
						b.Error(err)
					}
				}
			})
		}
		callers.Wait()
		trimNow(b, j)
	}
}

func BenchmarkReadAt(b *testing.B) {
	j := benchJournal(b)
	payloads := benchPayloads(256)
	var all []Position
	for range 100 {
		pos, err := j.Append(b.Context(), payloads)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, pos...)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	buf := make([]byte, readGuess)
	b.SetBytes(benchRecord)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.ReadAt(all[rng.IntN(len(all))], buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReplay also measures Open, which reads all of it as well.
func BenchmarkReplay(b *testing.B) {
	dir := b.TempDir()
	j, _, err := Open(disk.Real{}, dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	payloads := benchPayloads(256)
	for range 200 {
		if _, err := j.Append(b.Context(), payloads); err != nil {
			b.Fatal(err)
		}
	}
	size := j.Size()
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			j, _, err := Open(disk.Real{}, dir, Options{})
			if err != nil {
				b.Fatal(err)
			}
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("replay", func(b *testing.B) {
		j, _, err := Open(disk.Real{}, dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(size)
		for b.Loop() {
			if err := j.Replay(func(Position, []byte) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	})
}
