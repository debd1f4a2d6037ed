package encode

import (
	"fmt"
	"os"
	"testing"
)

// Each benchmark reports MB/s of lines, and the ratio.

func report(b *testing.B, lines, compressed int64) {
	b.Helper()
	b.SetBytes(lines)
	b.ReportMetric(float64(lines)/float64(compressed), "ratio")
}

// plainOf returns n made-up findings, or part of the file that ENCODE_CORPUS names.
func plainOf(b *testing.B, n int) []byte {
	b.Helper()
	var plain []byte
	if corpus := os.Getenv("ENCODE_CORPUS"); corpus != "" {
		var err error
		if plain, err = os.ReadFile(corpus); err != nil {
			b.Fatal(err)
		}
		return plain[:min(len(plain), n<<13)]
	}
	for _, line := range findings(b, n) {
		plain = AppendLine(plain, line)
	}
	return plain
}

func BenchmarkLevels(b *testing.B) {
	plain := plainOf(b, 2000)
	for _, kind := range []Kind{Gzip, Zstd} {
		for level := 1; level <= 6; level++ {
			b.Run(fmt.Sprintf("%s-%d", kind, level), func(b *testing.B) {
				c := compressor(b, kind, level)
				var s Segment
				for b.Loop() {
					s = c.Segment(s.Compressed[:0], plain)
				}
				report(b, int64(len(plain)), int64(len(s.Compressed)))
			})
		}
	}
}

func BenchmarkSegments(b *testing.B) {
	plain := plainOf(b, 2000)
	for _, kind := range []Kind{Gzip, Zstd} {
		for _, size := range []int{16 << 10, 64 << 10, 256 << 10, 1 << 20, len(plain)} {
			b.Run(fmt.Sprintf("%s/%dKiB", kind, size>>10), func(b *testing.B) {
				c := compressor(b, kind, 0)
				var total int64
				var buffer []byte
				for b.Loop() {
					total = 0
					for rest := plain; len(rest) > 0; {
						n := min(size, len(rest))
						s := c.Segment(buffer[:0], rest[:n])
						buffer, rest = s.Compressed, rest[n:]
						total += int64(len(s.Compressed))
					}
				}
				report(b, int64(len(plain)), total)
			})
		}
	}
}

func BenchmarkCombineCRC(b *testing.B) {
	for b.Loop() {
		combineCRC(0x12345678, 0x9abcdef0, 1<<20)
	}
}
