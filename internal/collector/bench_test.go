package collector

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/document"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/journal"
	"example.org/catchment/internal/store/mem"
)

// resident returns the most memory that this process has had, as the system counts it, in bytes; 0 where it does not tell.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, text, _ := strings.Cut(string(b), "VmHWM:")
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64)
	return kib << 10
}

// A million records pending in a hundred thousand partitions, and a window of two million digests, full as it is in service.
func TestMemoryOfAMillionPending(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes ten seconds, and counts memory")
	}
	o := options(disk.Real{}, new(mem.Store))
	o.Dir = t.TempDir()
	o.Journal = journal.Options{}
	o.Streams[0].Limits = batch.Limits{Bytes: 64 << 20, Age: time.Hour}
	o.Duplicates = duplicate.Options{Count: 2_000_000, Age: 24 * time.Hour}
	measure := func(what string) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("%s: %d MB resident at most, %d MB in use, %d MB from the system", what, resident()>>20, m.HeapInuse>>20, m.Sys>>20)
		if r := resident(); r > 300<<20 {
			t.Errorf("%s: %d MB are resident, want at most 300", what, r>>20)
		}
	}
	c := mustOpen(t, o)
	for n := range 1_000_000 { // taken before, and stored since
		c.window.Add(c.hasher.Digest("words", nil, strconv.AppendInt(nil, int64(n), 10)), time.Now())
	}
	lines := make([]string, 0, 1000)
	for n := 0; n < 1_000_000; {
		lines = lines[:0]
		for range cap(lines) {
			lines = append(lines, fmt.Sprintf("AWSLogs/%012d/Inspector/ap-northeast-1/2026/01/02/03 %d %0100d", n%100_000, n, n))
			n++
		}
		mustDeliver(t, c, lines...)
	}
	measure("pending")
	if got := c.Stats(); got.Pending.Records != 1_000_000 || got.Pending.Partitions != 100_000 {
		t.Fatalf("%+v", got)
	}
	mustClose(t, c)
	started := time.Now()
	c = mustOpen(t, o)
	measure("recovered in " + time.Since(started).String())
	if got := c.Stats(); got.Pending.Records != 1_000_000 {
		t.Fatalf("%+v", got)
	}
	mustClose(t, c)
}

// BenchmarkDeliver compares Deliver with group commit of the same bytes alone, from many senders at once.
func BenchmarkDeliver(b *testing.B) {
	text := strings.Repeat("some text of a finding, as long as a finding is. ", 98)
	const group, senders = 10, 64
	for _, bare := range []bool{true, false} {
		name := "Deliver"
		if bare {
			name = "journal alone"
		}
		b.Run(name, func(b *testing.B) {
			o := options(disk.Real{}, new(mem.Store))
			o.Dir = b.TempDir()
			o.Journal = journal.Options{}
			o.Streams[0].Limits = batch.Limits{Bytes: 1 << 40, Age: time.Hour}
			o.Streams[0].Compression = encode.None
			o.Duplicates = duplicate.Options{Count: 2_000_000, Age: time.Hour}
			c := mustOpen(b, o)
			var next atomic.Int64
			b.SetParallelism(senders / runtime.GOMAXPROCS(0))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				d := make([]document.Document, group)
				payloads := make([][]byte, group)
				for pb.Next() {
					n := next.Add(1)
					for i := range d {
						d[i].Bytes = fmt.Appendf(d[i].Bytes[:0], "p%d %d-%d %s", n%1000, n, i, text)
						payloads[i] = d[i].Bytes
					}
					var err error
					if bare {
						_, err = c.journal.Append(context.Background(), payloads)
					} else {
						err = c.Deliver(context.Background(), d)
					}
					if err != nil {
						b.Error(err)
					}
				}
			})
			b.SetBytes(int64(group * len(text)))
			b.StopTimer()
			if err := c.journal.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// BenchmarkDrain stores what is pending: read from the journal, encoded, put into memory.
func BenchmarkDrain(b *testing.B) {
	text := bytes.Repeat([]byte("some text of a finding, as long as a finding is. "), 98)
	for _, partitions := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("%d partitions", partitions), func(b *testing.B) {
			const records = 20_000
			for b.Loop() {
				b.StopTimer()
				o := options(disk.Real{}, new(mem.Store))
				o.Dir = b.TempDir()
				o.Journal = journal.Options{}
				o.Streams[0].Limits = batch.Limits{Bytes: 64 << 20, Age: time.Hour}
				c := mustOpen(b, o)
				for n := 0; n < records; n += 100 {
					var d []document.Document
					for i := range 100 {
						d = append(d, document.Document{Bytes: fmt.Appendf(nil, "p%d %d %s", (n+i)%partitions, n+i, text)})
					}
					if err := c.Deliver(b.Context(), d); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				drain(b, c)
				b.StopTimer()
				mustClose(b, c)
				b.StartTimer()
			}
			b.SetBytes(int64(records * len(text)))
		})
	}
}
