package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func readAll(r io.Reader, o Options) (docs []Document, err error) {
	d := NewReader(r, o)
	for {
		doc, err := d.Next()
		if err != nil {
			return docs, err
		}
		doc.Bytes = bytes.Clone(doc.Bytes)
		docs = append(docs, doc)
	}
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstded(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(b, nil)
}

// TestReader reads streams of every style, damaged and not, in reads of every size: as Split in one go.
func TestReader(t *testing.T) {
	for name, style := range styles {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				r := rand.New(rand.NewPCG(seed, 7))
				text, _ := style.render(r, randomDocs(r))
				in := []byte(text)
				if seed%2 == 1 {
					in = damaged(r, in)
				}
				o := Options{MaxDocument: []int{0, 100}[r.IntN(2)]}
				want := show(splitAll(in, o))
				for how, reader := range map[string]io.Reader{
					"at once": bytes.NewReader(in), "byte by byte": iotest.OneByteReader(bytes.NewReader(in)), "halves": iotest.HalfReader(bytes.NewReader(in)),
					"data with EOF": iotest.DataErrReader(bytes.NewReader(in)), "gzip": bytes.NewReader(gzipped(in)), "zstd": bytes.NewReader(zstded(in)),
				} {
					docs, err := readAll(reader, o)
					if diff := cmp.Diff(want, show(docs)); diff != "" || !errors.Is(err, io.EOF) {
						t.Fatalf("seed %d, %s: %v\n%q (-split +read):\n%s", seed, how, err, in, diff)
					}
				}
			}
		})
	}
}

// TestLargeReader reads more than a buffer: documents lie across its borders.
func TestLargeReader(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	var in bytes.Buffer
	var want []string
	for in.Len() < 5<<20 {
		doc := fmt.Sprintf(`{"n":%d,"text":"%s"}`, len(want), strings.Repeat("x{}\\\"", r.IntN(30000)))
		want = append(want, fmt.Sprintf("%d %s", in.Len(), doc))
		in.WriteString(doc + []string{"\n", "", " \r\n"}[r.IntN(3)])
	}
	docs, err := readAll(&in, Options{})
	if !errors.Is(err, io.EOF) || !cmp.Equal(want, show(docs)) {
		t.Fatalf("%d documents of %d, %v", len(docs), len(want), err)
	}
}

func TestCompressed(t *testing.T) {
	a, b := []byte("{\"a\":1}\n{\"b"), []byte("\":2}\n{\"c\":3}")
	all := []string{`0 {"a":1}`, `8 {"b":2}`, `16 {"c":3}`}
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, tt := range map[string]struct {
		in    []byte
		want  []string
		fault string // in the error; empty: io.EOF
	}{
		"plain":                             {join(a, b), all, ""},
		"gzip":                              {gzipped(join(a, b)), all, ""},
		"gzip members, cut inside a record": {join(gzipped(a), gzipped(b)), all, ""},
		"an empty member between":           {join(gzipped(a), gzipped(nil), gzipped(b)), all, ""},
		"zstd":                              {zstded(join(a, b)), all, ""},
		"zstd frames":                       {join(zstded(a), zstded(b)), all, ""},
		"zstd with a skippable frame first": {join(skippable, zstded(a), skippable, zstded(b)), all, ""},
		"gzip in gzip":                      {gzipped(gzipped(join(a, b))), all, ""},
		"zstd in gzip in zstd":              {zstded(gzipped(zstded(join(a, b)))), all, ""},
		"members in members":                {join(gzipped(join(gzipped(a), gzipped(b)))), all, ""},
		"five times over":                   {gzipped(gzipped(gzipped(gzipped(gzipped(a))))), nil, "compressed more than 4 times over"},
		"nothing":                           {nil, nil, ""},
		"gzip of nothing":                   {gzipped(nil), nil, ""},
		"one byte":                          {[]byte{0x1f}, []string{"0 \x1f | at byte 0: expected a value, found byte 0x1f"}, ""},
		"a gzip header alone":               {gzipped(a)[:10], nil, "gzip: unexpected EOF"},
		"half a gzip header":                {gzipped(a)[:5], nil, "gzip: unexpected EOF"},
		"text behind the gzip":              {join(gzipped(join(a, b)), []byte("trailing bytes")), all, "gzip: "},
		"a wrong gzip checksum":             {flip(gzipped(join(a, b)), -8), all, "gzip: gzip: invalid checksum"},
		"a wrong zstd checksum":             {flip(zstded(join(a, b)), -1), nil, "zstd: "},
	} {
		t.Run(name, func(t *testing.T) {
			docs, err := readAll(bytes.NewReader(tt.in), Options{})
			if tt.fault == "" && !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("got error %v, want %q", err, tt.fault)
			}
			if tt.fault == "zstd: " && len(docs) == len(all) {
				return // it may be noticed before or behind the last byte
			}
			if diff := cmp.Diff(tt.want, show(docs)); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
		})
	}
}

func flip(b []byte, at int) []byte {
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0x55
	return b
}

// TestTruncated cuts compressed streams at every place: whole documents come first, then what is left of the last,
// then an error that names the fault; it is the same error from then on.
func TestTruncated(t *testing.T) {
	var in bytes.Buffer
	r := rand.New(rand.NewPCG(1, 9))
	for i := range 200 {
		fmt.Fprintf(&in, "{\"n\":%d,\"x\":\"%x\"}\n", i, r.Uint64())
	}
	want := show(splitAll(in.Bytes(), Options{}))
	for name, whole := range map[string][]byte{"gzip": gzipped(in.Bytes()), "zstd": zstded(in.Bytes())} {
		t.Run(name, func(t *testing.T) {
			for cut := 8; cut < len(whole); cut += 1 + cut/50 {
				d := NewReader(bytes.NewReader(whole[:cut]), Options{})
				n := 0
				for {
					doc, err := d.Next()
					if err != nil {
						if !strings.HasPrefix(err.Error(), name+": ") || !errors.Is(err, io.ErrUnexpectedEOF) {
							t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
						}
						if _, again := d.Next(); !errors.Is(again, err) {
							t.Fatalf("cut at %d: first %v, then %v", cut, err, again)
						}
						break
					}
					if got := show([]Document{doc})[0]; doc.Err == nil && got != want[n] {
						t.Fatalf("cut at %d: document %d is %s, want %s", cut, n, got, want[n])
					}
					n++
				}
				corrupt := flip(bytes.Clone(whole), cut)
				if docs, err := readAll(bytes.NewReader(corrupt), Options{}); err == nil || len(docs) > 2*len(want) {
					t.Fatalf("flipped at %d: %d documents, %v", cut, len(docs), err)
				}
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestReadErrors(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for name, tt := range map[string]struct {
		in   io.Reader
		docs int
		want error
	}{
		"at once":            {failing{broken}, 0, broken},
		"behind a document":  {io.MultiReader(strings.NewReader("{\"a\":1}\n{"), failing{broken}), 2, broken},
		"nothing, for ever":  {failing{nil}, 0, io.ErrNoProgress},
		"nothing, behind it": {io.MultiReader(strings.NewReader("{\"a\":1}\n"), failing{nil}), 1, io.ErrNoProgress},
	} {
		t.Run(name, func(t *testing.T) {
			docs, err := readAll(tt.in, Options{})
			if len(docs) != tt.docs || !errors.Is(err, tt.want) {
				t.Errorf("%d documents, %v, want %d, %v", len(docs), err, tt.docs, tt.want)
			}
		})
	}
}

// TestBomb reads much from little. What is held at once follows from the limit of a document, not from the stream.
func TestBomb(t *testing.T) {
	const plain = 256 << 20
	zeros := make([]byte, 1<<20)
	for name, open := range map[string]func(w io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser {
			z, _ := zstd.NewWriter(w, zstd.WithWindowSize(1<<20))
			return z
		},
	} {
		t.Run(name, func(t *testing.T) {
			var packed bytes.Buffer
			w := open(&packed)
			w.Write([]byte(`{"a":"`))
			for i := range zeros {
				zeros[i] = 'x'
			}
			for range plain / len(zeros) {
				w.Write(zeros)
			}
			w.Write([]byte("\"}\n{\"b\":1}\n"))
			w.Close()
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			d := NewReader(&packed, Options{MaxDocument: 1 << 20})
			n, good := 0, 0
			for {
				doc, err := d.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if n += len(doc.Bytes); doc.Err == nil {
					good++
				}
			}
			runtime.ReadMemStats(&now)
			if n != plain+8+7 || good != 1 {
				t.Errorf("%d bytes of %d, %d good documents", n, plain+15, good)
			}
			if grown := now.HeapSys - before.HeapSys; int64(grown) > 64<<20 {
				t.Errorf("the heap grew by %d MB", grown>>20)
			}
		})
	}
}

// TestMaxDocument reads documents around the limit.
func TestMaxDocument(t *testing.T) {
	const limit = 100
	doc := func(n int) string { return `{"a":"` + strings.Repeat("x", n-8) + `"}` }
	for name, tt := range map[string]struct {
		in   string
		want []string // length of each piece, and whether it is good
	}{
		"exactly":                  {doc(100) + doc(100), []string{"100 good", "100 good"}},
		"one over":                 {doc(101) + "\n" + doc(10), []string{"100 bad", "1 bad", "10 good"}},
		"many pieces, then others": {doc(350) + "\n" + doc(10), []string{"100 bad", "100 bad", "100 bad", "50 bad", "10 good"}},
		"run together":             {doc(10) + doc(350) + doc(10) + doc(11), []string{"10 good", "100 bad", "100 bad", "100 bad", "50 bad", "10 good", "11 good"}},
		"in an array":              {"[\n" + doc(10) + ",\n" + doc(150) + "\n,\n" + doc(10) + "]", []string{"10 good", "100 bad", "50 bad", "10 good"}},
		"pretty-printed, with objects inside": {
			"{\n  \"a\": [\n" + strings.Repeat("    {\n      \"b\": 1\n    },\n", 10) + "    {}\n  ]\n}\n{\n  \"c\": 1\n}\n",
			[]string{"94 bad", "97 bad", "78 bad", "12 good"},
		},
		"without indentation, with objects inside": {
			"{\n\"a\": [\n" + strings.Repeat("{\n\"b\": 1\n},\n", 20) + "{}\n]\n}\n{\n\"c\": 1\n}\n",
			[]string{"94 bad", "95 bad", "64 bad", "10 good"},
		},
		"a line of text": {strings.Repeat("text ", 50) + "\n" + doc(10), []string{"99 bad", "100 bad", "51 bad", "10 good"}},
		"brackets":       {strings.Repeat("[", 250) + "\n" + doc(10), []string{"100 bad", "100 bad", "34 bad", "10 good", "0 bad"}},
		"a long string":  {`"` + strings.Repeat("x", 150) + `"` + "\n" + doc(10), []string{"100 bad", "52 bad", "10 good"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range splitAll([]byte(tt.in), Options{MaxDocument: limit}) {
				got = append(got, fmt.Sprintf("%d %s", len(d.Bytes), map[bool]string{true: "good", false: "bad"}[d.Err == nil]))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("pieces (-want +got):\n%s\n%s", diff, strings.Join(show(splitAll([]byte(tt.in), Options{MaxDocument: limit})), "\n"))
			}
		})
	}
}

// TestLinear counts the bytes that scans go over in inputs made to be scanned again and again.
func TestLinear(t *testing.T) {
	const (
		size  = 4 << 20
		slack = 32 << 20 // what may be looked at in vain, once
		most  = 16       // times the input's length
	)
	repeat := func(s string) []byte { return []byte(strings.Repeat(s, size/len(s))) }
	for name, in := range map[string][]byte{
		"open brackets, run together":       repeat(`{"a":[`),
		"open brackets, a few a line":       repeat("{\"a\":[\n"),
		"open brackets and text, a line":    repeat(`{"x":"` + strings.Repeat("y", 1000) + "\",\"a\":[\n"),
		"open arrays":                       repeat("["),
		"open arrays, a line":               repeat("[{\"a\":1},\n"),
		"documents cut off, run together":   repeat(`{"a":{"b":1}`),
		"documents out of balance":          repeat(`{"a":{"b":"x}"}]}`),
		"a brace in each string":            repeat(`}{"x":"}{"`),
		"quotes and braces":                 repeat(`"}{"`),
		"a long pretty document, broken":    []byte("{\n" + strings.Repeat("  \"a\": [\n    {\n      \"b\": 1\n    }\n  ],\n", size/40) + "  x\n}\n"),
		"a long flat document, broken":      []byte("{\n" + strings.Repeat("\"a\": [\n{\n\"b\": 1\n}\n],\n", size/25) + "x\n}\n"),
		"text":                              repeat("some text\n"),
		"text in one line":                  repeat("some text } {"),
		"pages in pages":                    repeat(`{"Findings":[`),
		"a page's members, never ending":    append([]byte(`{"Findings":[],"a":`), repeat("[1,")...),
		"leading members, never ending":     append([]byte(`{"$metadata":`), repeat(`{"$metadata":`)...),
		"one long string":                   append([]byte(`{"a":"`), repeat("x")...),
		"arrays of one value, run together": repeat(`["a"`),
	} {
		t.Run(name, func(t *testing.T) {
			scanned := 0
			count := func(scan func([]byte) (int, error)) func([]byte) (int, error) {
				return func(b []byte) (int, error) {
					n, err := scan(b)
					scanned += n
					return n, err
				}
			}
			s := NewSplitter(Options{Scan: count(newCheck()), MaxDocument: 1 << 20})
			s.check = count(s.check)
			pieces := 0
			for at := 0; ; pieces++ {
				_, used, found := s.Next(in[at:], true)
				if at += used; !found {
					break
				}
			}
			if scanned > slack+most*len(in) {
				t.Errorf("%d bytes were scanned for %d, in %d pieces", scanned, len(in), pieces)
			}
		})
	}
}
