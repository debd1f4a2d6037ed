// Package encode turns lines into the bytes of an object, the same bytes every time.
//
// An object is newline-delimited: every line, the last one too, ends in '\n'. It is compressed in segments, each by
// itself, so that segments can be made in parallel or as their lines arrive; Join puts them together without touching
// them again:
//
//	gzip  one member, as everything that reads gzip expects:
//
//	      +--------------+-----------+-----------+-- .. --+-------+-----------+------------+
//	      | header (10B) | segment 1 | segment 2 |        | 03 00 | crc (4B)  | isize (4B) |
//	      +--------------+-----------+-----------+-- .. --+-------+-----------+------------+
//
//	      A segment is raw deflate that ends in a sync marker (an empty stored block), so it ends on a byte boundary,
//	      and it refers to nothing before itself. 03 00 is an empty last block. crc (CRC-32 of all lines, combined from
//	      the segments' own) and isize (their length modulo 2^32) are little endian. The header has no time and no name.
//	zstd  one frame, with its checksum, a segment; a run of frames is a valid zstd file.
//	none  the lines.
//
// The bytes depend on the lines, on where segments are cut, on the kind, on the level and on the version of the
// compressor, and on nothing else: not on what the Compressor was used for before.
package encode

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// A Kind is a compression.
type Kind uint8

// The compressions.
const (
	None Kind = iota
	Gzip
	Zstd
)

// kinds names the compressions as the spec and as object names do.
var kinds = [...]struct{ name, extension string }{
	None: {"none", ".json"},
	Gzip: {"gzip", ".json.gz"},
	Zstd: {"zstd", ".json.zst"},
}

// ParseKind returns the kind that a spec calls name.
func ParseKind(name string) (Kind, error) {
	for kind, k := range kinds {
		if k.name == name {
			return Kind(kind), nil
		}
	}
	return None, fmt.Errorf("compression %q: unknown", name)
}

func (k Kind) String() string { return kinds[k].name }

// Extension returns how the names of objects of this kind end.
func (k Kind) Extension() string { return kinds[k].extension }

const (
	// DefaultGzipLevel is the fastest. Compressing is most of what moving a finding costs, and a higher level costs more
	// time than it saves bytes (BenchmarkLevels; the figures are in doc/performance.md).
	DefaultGzipLevel = 1
	// DefaultZstdLevel is as fast as gzip's default and a fifth smaller.
	DefaultZstdLevel = 1
	maxLevel         = 9

	// zstdWindow bounds the memory of an encoder: 2 MB with it, 18 MB without.
	zstdWindow = 256 << 10
)

// A Segment is a piece of an object, compressed by itself.
type Segment struct {
	Compressed []byte
	CRC        uint32 // CRC-32 (IEEE) of the plain bytes
	Size       int64  // of the plain bytes
}

// A Compressor makes segments. It keeps about 1 MB (gzip) or 2 MB (zstd) of encoder state between calls. It is not
// safe for concurrent use.
type Compressor struct {
	kind  Kind
	gzip  *flate.Writer
	zstd  *zstd.Encoder
	plain appender
	whole []byte // zstd wants its segments in one piece
}

// NewCompressor returns a Compressor of a level between 1 (fast) and 9 (small); 0 stands for the kind's default.
func NewCompressor(kind Kind, level int) (*Compressor, error) {
	if level < 0 || level > maxLevel {
		return nil, fmt.Errorf("compression level %d: must be 0 to %d", level, maxLevel)
	}
	c := &Compressor{kind: kind}
	var err error
	switch kind {
	case None:
	case Gzip:
		if level == 0 {
			level = DefaultGzipLevel
		}
		c.gzip, err = flate.NewWriter(&c.plain, level)
	case Zstd:
		if level == 0 {
			level = DefaultZstdLevel
		}
		c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
			zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdWindow))
	default:
		return nil, fmt.Errorf("compression %d: unknown", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("compression %s, level %d: %w", kind, level, err)
	}
	return c, nil
}

// Kind returns what the compressor makes.
func (c *Compressor) Kind() Kind { return c.kind }

// Segment compresses plain, which is whole lines in as many pieces as one likes, behind dst, whose bytes it keeps:
// Compressed is what was appended. How plain is cut into pieces makes no difference to it.
func (c *Compressor) Segment(dst []byte, plain ...[]byte) Segment {
	start := len(dst)
	s := Segment{}
	for _, piece := range plain {
		s.Size += int64(len(piece))
	}
	switch c.kind {
	case None:
		for _, piece := range plain {
			dst = append(dst, piece...)
		}
	case Gzip:
		c.plain.b = dst
		c.gzip.Reset(&c.plain)
		// Neither can fail: an appender takes everything.
		for _, piece := range plain {
			_, _ = c.gzip.Write(piece)
			s.CRC = crc32.Update(s.CRC, crc32.IEEETable, piece)
		}
		_ = c.gzip.Flush()
		dst, c.plain.b = c.plain.b, nil
	case Zstd:
		if len(plain) == 1 {
			dst = c.zstd.EncodeAll(plain[0], dst)
			break
		}
		c.whole = c.whole[:0]
		for _, piece := range plain {
			c.whole = append(c.whole, piece...)
		}
		dst = c.zstd.EncodeAll(c.whole, dst)
	}
	s.Compressed = dst[start:]
	return s
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// AppendLine appends line as an object holds it.
func AppendLine(dst, line []byte) []byte {
	return append(append(dst, line...), '\n')
}

var (
	_ io.ReadSeeker = (*Object)(nil)
	_ io.WriterTo   = (*Object)(nil)
)
