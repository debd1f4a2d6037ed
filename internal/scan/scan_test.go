package scan

import (
	"bufio"
	"os"
	"testing"
)

func TestHits(t *testing.T) {
	p := NewPaths()
	label := p.Add("detail", "findings", "Severity", "Label")
	src := p.Add("source")
	var d Document
	in := `{"source":"x","detail":{"findings":[{"Severity":{"Label":"A\u0042"}},{"Severity":{"L\u0061bel":["B",1]}}]}} rest`
	n, err := d.Scan([]byte(in), p)
	if err != nil || in[n:] != " rest" {
		t.Fatal(n, err)
	}
	for _, h := range d.Hits {
		t.Log(h.Path == int32(label), h.Path == int32(src), string(d.Raw(h)), h.Kind, h.Pos, h.Escaped)
	}
	if len(d.Hits) != 5 {
		t.Fatal(len(d.Hits))
	}
}

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
		lines = append(lines, append([]byte(nil), s.Bytes()...))
		total += len(s.Bytes())
	}
	p := NewPaths()
	p.Add("id")
	p.Add("source")
	p.Add("detail-type")
	p.Add("time")
	p.Add("detail", "findings")
	p.Add("detail", "findings", "AwsAccountId")
	p.Add("detail", "findings", "Region")
	p.Add("detail", "findings", "Id")
	p.Add("detail", "findings", "UpdatedAt")
	p.Add("detail", "findings", "ProductFields", "aws/securityhub/ProductName")
	p.Add("detail", "findings", "Severity", "Label")
	p.Add("detail", "findings", "ProductArn")
	var d Document
	b.SetBytes(int64(total))
	b.ResetTimer()
	for b.Loop() {
		for _, l := range lines {
			if _, err := d.Scan(l, p); err != nil {
				b.Fatal(err)
			}
		}
	}
}
