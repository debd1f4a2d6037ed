package importer

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/pipeline"
)

// findings are generated as they are read: a record for one partition after another, round and round.
type findings struct {
	records, partitions int
}

func (f findings) Name() string                                { return "generated" }
func (f findings) Open(context.Context) (io.ReadCloser, error) { return &generated{f: f}, nil }

type generated struct {
	f    findings
	next int
	rest []byte
}

const filler = `"Description":"A buffer overflow was found in the function that reads what is not to be read, in all versions before the one that follows."`

func (g *generated) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if g.next == g.f.records {
			return 0, io.EOF
		}
		g.rest = fmt.Appendf(g.rest[:0], `{"Id":"f-%d","AwsAccountId":"%012d","Region":"eu-west-1","UpdatedAt":"2026-05-01T10:00:00Z","ProductFields":{"aws/securityhub/ProductName":"Inspector"},%s}`+"\n",
			g.next, g.next%g.f.partitions, strings.Repeat(filler+",", 2)+filler)
		g.next++
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

func (g *generated) Close() error { return nil }

type discard struct{ objects atomic.Int64 }

func (d *discard) Put(_ context.Context, _ string, body io.ReadSeeker) error {
	d.objects.Add(1)
	_, err := io.Copy(io.Discard, body)
	return err
}

// TestMemoryIsBounded imports more than memory is for: CATCHMENT_MEMORY=RECORDS,PARTITIONS changes how much.
func TestMemoryIsBounded(t *testing.T) {
	in := findings{60_000, 20_000}
	if text := os.Getenv("CATCHMENT_MEMORY"); text != "" {
		records, partitions, _ := strings.Cut(text, ",")
		var err1, err2 error
		in.records, err1 = strconv.Atoi(records)
		in.partitions, err2 = strconv.Atoi(partitions)
		if err1 != nil || err2 != nil {
			t.Fatalf("CATCHMENT_MEMORY=%s: expected RECORDS,PARTITIONS", text)
		}
	}
	p := compile(t, pipeline.DefaultStream())
	var peak, sys uint64
	s := new(discard)
	chunks := 0
	c, err := Run(t.Context(), []Input{in}, Options{
		Pipeline: p, Store: s, TempDir: t.TempDir(), PendingBytes: 16 << 20, MemoryBytes: 8 << 20, Window: 100_000, Puts: 4,
		Outputs: []Output{{Compression: encode.Gzip, MaxBytes: 64 << 20}},
		Progress: func(Counts) {
			if chunks++; chunks%8 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak, sys = max(peak, m.HeapInuse), max(sys, m.Sys)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Stored != int64(in.records) || s.objects.Load() != int64(in.partitions) {
		t.Errorf("%+v", c)
	}
	t.Logf("%d records in %d partitions: heap %d MiB, from the system %d MiB, %d segments in the temporary file", in.records, in.partitions, peak>>20, sys>>20, c.Segments)
	// Buffers and segments are bounded; a partition and each of its segments cost some hundred bytes beside.
	if limit := uint64(150<<20 + 500*(in.partitions+in.records)); peak > limit {
		t.Errorf("the heap took %d MiB, over %d", peak>>20, limit>>20)
	}
}

// BenchmarkPartitions imports the same number of bytes into more and more partitions.
func BenchmarkPartitions(b *testing.B) {
	p, err := pipeline.Compile([]pipeline.Stream{pipeline.DefaultStream()})
	if err != nil {
		b.Fatal(err)
	}
	for _, partitions := range []int{1, 100, 10_000, 100_000} {
		b.Run(strconv.Itoa(partitions), func(b *testing.B) {
			in := findings{200_000, partitions}
			for b.Loop() {
				counts, err := Run(b.Context(), []Input{in}, Options{
					Pipeline: p, Store: new(discard), Outputs: []Output{{Compression: encode.Gzip, MaxBytes: 64 << 20}},
				})
				if err != nil || counts.Stored != int64(in.records) {
					b.Fatal(counts, err)
				}
				b.SetBytes(counts.InputBytes)
			}
		})
	}
}
