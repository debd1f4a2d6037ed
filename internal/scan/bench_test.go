package scan

import (
	"bufio"
	"bytes"
	"os"
	"testing"
)

// BenchmarkScanFile reads the lines of SCAN_FILE, which the corpus generator writes.
func BenchmarkScanFile(b *testing.B) {
	name := os.Getenv("SCAN_FILE")
	if name == "" {
		b.Skip("SCAN_FILE is unset")
	}
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var lines [][]byte
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 1<<20), 16<<20)
	total := 0
	for s.Scan() && len(lines) < 20000 {
		lines = append(lines, bytes.Clone(s.Bytes()))
		total += len(s.Bytes())
	}
	p := NewPaths()
	for _, path := range [][]string{
		{"id"},
		{"source"},
		{"detail-type"},
		{"time"},
		{"detail", "findings"},
		{"detail", "findings", "AwsAccountId"},
		{"detail", "findings", "Region"},
		{"detail", "findings", "Id"},
		{"detail", "findings", "UpdatedAt"},
		{"detail", "findings", "ProductFields", "aws/securityhub/ProductName"},
		{"detail", "findings", "Severity", "Label"},
		{"detail", "findings", "ProductArn"},
	} {
		p.Add(path...)
	}
	var d Document
	b.SetBytes(int64(total))
	for b.Loop() {
		for _, l := range lines {
			if _, err := d.Scan(l, p); err != nil {
				b.Fatal(err)
			}
		}
	}
}
