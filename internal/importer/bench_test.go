package importer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/scan"
	"example.org/catchment/internal/store/dir"
)

// BenchmarkImport sets a whole import beside its parts on the same bytes and the same goroutines: reading, scanning,
// routing, and compressing the lines that come of it, each by itself. Rates are in bytes of input for all of them.
// CATCHMENT_CORPUS names a file of events, one a line; without it 200 MB of them are made, of 1,000 accounts and regions.
func BenchmarkImport(b *testing.B) {
	name := corpus(b)
	info, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	p, err := pipeline.Compile([]pipeline.Stream{pipeline.DefaultStream()})
	if err != nil {
		b.Fatal(err)
	}
	parts := map[string]func(){
		"read":              func() { eachChunk(b, name, func([]byte) {}) },
		"scan":              func() { scanAll(b, name, scan.NewPaths()) },
		"route":             func() { routeAll(b, name, p) },
		"import to nothing": func() { importInto(b, name, p, Options{Store: new(discard)}) },
		"import to a folder": func() {
			s, err := dir.Open(filepath.Join(b.TempDir(), fmt.Sprint(rand.Uint64())))
			if err != nil {
				b.Fatal(err)
			}
			importInto(b, name, p, Options{Store: s, Group: groupOf(s)})
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		},
	}
	segments := segmentsOf(b, name, p)
	parts["gzip"] = func() { gzipAll(b, segments) }
	for _, part := range []string{"read", "scan", "route", "gzip", "import to nothing", "import to a folder"} {
		b.Run(part, func(b *testing.B) {
			b.SetBytes(info.Size())
			for b.Loop() {
				parts[part]()
			}
		})
	}
}

// corpus returns the name of a file of events.
func corpus(b *testing.B) string {
	b.Helper()
	if name := os.Getenv("CATCHMENT_CORPUS"); name != "" {
		return name
	}
	text, err := os.ReadFile("../../examples/asff-inspector-v2-ec2.json")
	if err != nil {
		b.Fatal(err)
	}
	finding := string(scan.AppendCompact(nil, bytes.TrimSpace(text)))
	name := filepath.Join(b.TempDir(), "events.ndjson")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for size := 0; size < 200<<20; {
		cell := int(1000 * r.Float64() * r.Float64()) // some have many, most have few
		id := fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())
		own := strings.NewReplacer("421f47a297307b649173d4ac3e44bc0c", id, "111111111111", fmt.Sprintf("%012d", cell),
			"CVE-2022-3643", fmt.Sprintf("CVE-20%02d-%d", r.IntN(26), r.IntN(50000)), "2023-03-01T08:06:17Z",
			fmt.Sprintf("2026-05-01T10:%02d:%02d.%03dZ", r.IntN(60), r.IntN(60), r.IntN(1000))).Replace(finding)
		n, err := fmt.Fprintf(f, `{"version":"0","id":"%s","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub",`+
			`"account":"999999999999","time":"2026-05-01T10:20:30Z","region":"us-east-1","resources":[],"detail":{"findings":[%s]}}`+"\n", id, own)
		if err != nil {
			b.Fatal(err)
		}
		size += n
	}
	return name
}

// eachChunk reads the file and calls fn with pieces of whole lines, on one goroutine a processor.
func eachChunk(b *testing.B, name string, fn func([]byte)) {
	b.Helper()
	eachChunkOf(b, name, func() func([]byte) { return fn })
}

func eachChunkOf(b *testing.B, name string, newFn func() func([]byte)) {
	b.Helper()
	chunks, ordered := make(chan *chunk, 4), make(chan *chunk, 8)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		fn := newFn()
		wg.Go(func() {
			for c := range chunks {
				fn(c.bytes)
				close(c.done)
			}
		})
	}
	wg.Go(func() {
		for c := range ordered {
			<-c.done
			if c.buffer != nil {
				chunkBuffers.Put(c.buffer)
			}
		}
	})
	if err := readChunks(context.Background(), chunkSize, []Input{fileInput(name)}, chunks, ordered); err != nil {
		b.Fatal(err)
	}
	close(chunks)
	close(ordered)
	wg.Wait()
}

func scanAll(b *testing.B, name string, paths *scan.Paths) {
	b.Helper()
	eachChunkOf(b, name, func() func([]byte) {
		var d scan.Document
		return func(bs []byte) {
			for len(bs) > 1 {
				n, err := d.Scan(bs, paths)
				if err != nil {
					b.Error(err)
					return
				}
				bs = bs[n+1:]
			}
		}
	})
}

func routeAll(b *testing.B, name string, p *pipeline.Pipeline) {
	b.Helper()
	eachChunkOf(b, name, func() func([]byte) {
		r := p.NewRouter()
		return func(bs []byte) {
			document.Split(bs, document.Options{Scan: r.Scan}, func(d document.Document) bool {
				r.Route(d, pipeline.Arrival{}, func(*pipeline.Outcome) {})
				return true
			})
		}
	})
}

// gzipAll compresses the lines that an import stores, in segments as long as an import's can be.
func gzipAll(b *testing.B, segments [][]byte) {
	b.Helper()
	todo := make(chan []byte, len(segments))
	for _, s := range segments {
		todo <- s
	}
	close(todo)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			c, err := encode.NewCompressor(encode.Gzip, 0)
			if err != nil {
				b.Error(err)
				return
			}
			var dst []byte
			for s := range todo {
				dst = c.Segment(dst[:0], s).Compressed[:0]
			}
		})
	}
	wg.Wait()
}

// segmentsOf returns the lines that an import stores, those of each partition together, in pieces of segmentSize.
func segmentsOf(b *testing.B, name string, p *pipeline.Pipeline) [][]byte {
	b.Helper()
	bs, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	open := map[string][]byte{}
	var segments [][]byte
	r := p.NewRouter()
	document.Split(bs, document.Options{Scan: r.Scan}, func(d document.Document) bool {
		r.Route(d, pipeline.Arrival{}, func(o *pipeline.Outcome) {
			if o.Kind != pipeline.Stored {
				return
			}
			open[o.Prefix] = encode.AppendLine(open[o.Prefix], o.Line)
			if len(open[o.Prefix]) >= segmentSize {
				segments = append(segments, open[o.Prefix])
				delete(open, o.Prefix)
			}
		})
		return true
	})
	for _, s := range open {
		segments = append(segments, s)
	}
	return segments
}

func importInto(b *testing.B, name string, p *pipeline.Pipeline, o Options) {
	b.Helper()
	o.Pipeline, o.Outputs = p, []Output{{Compression: encode.Gzip, MaxBytes: 64 << 20}}
	if _, err := Run(context.Background(), []Input{fileInput(name)}, o); err != nil {
		b.Fatal(err)
	}
}

type fileInput string

func (f fileInput) Name() string                                { return string(f) }
func (f fileInput) Open(context.Context) (io.ReadCloser, error) { return os.Open(string(f)) }
