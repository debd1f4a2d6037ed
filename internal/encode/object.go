package encode

import (
	"encoding/binary"
	"errors"
	"io"
)

// An Object is the bytes of a whole object: an io.ReadSeeker over its segments, which are not copied and must not
// change while it is in use.
type Object struct {
	parts  [][]byte
	size   int64
	plain  int64
	offset int64
	// part and within are where offset is in parts.
	part, within int
}

// Join makes an object of segments that Compressors of this kind made.
func Join(kind Kind, segments []Segment) *Object {
	o := &Object{parts: make([][]byte, 0, len(segments)+2)}
	if kind == Gzip {
		// Neither a time nor a name, and an unknown system (255): the same bytes wherever they are made.
		o.add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255})
	}
	var crc uint32
	for _, s := range segments {
		o.add(s.Compressed)
		o.plain += s.Size
		if kind == Gzip {
			crc = combineCRC(crc, s.CRC, s.Size)
		}
	}
	if kind == Gzip {
		trailer := []byte{3, 0}
		trailer = binary.LittleEndian.AppendUint32(trailer, crc)
		trailer = binary.LittleEndian.AppendUint32(trailer, uint32(o.plain)) //nolint:gosec // ISIZE is modulo 2^32
		o.add(trailer)
	}
	return o
}

func (o *Object) add(b []byte) {
	if len(b) > 0 {
		o.parts = append(o.parts, b)
		o.size += int64(len(b))
	}
}

// Size returns the length of the object in bytes.
func (o *Object) Size() int64 { return o.size }

// PlainSize returns the length of its lines in bytes.
func (o *Object) PlainSize() int64 { return o.plain }

// Read reads from where the last Read or Seek ended.
func (o *Object) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	for n < len(p) && o.part < len(o.parts) {
		c := copy(p[n:], o.parts[o.part][o.within:])
		n += c
		o.within += c
		if o.within == len(o.parts[o.part]) {
			o.part, o.within = o.part+1, 0
		}
	}
	o.offset += int64(n)
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Seek moves to an offset; one after the end is allowed, and reads nothing.
func (o *Object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += o.offset
	case io.SeekEnd:
		offset += o.size
	default:
		return 0, errors.New("seek in an object: unknown whence")
	}
	if offset < 0 {
		return 0, errors.New("seek in an object: before its start")
	}
	o.offset, o.part = offset, 0
	for o.part < len(o.parts) && offset >= int64(len(o.parts[o.part])) {
		offset -= int64(len(o.parts[o.part]))
		o.part++
	}
	o.within = int(offset)
	if o.part == len(o.parts) {
		o.within = 0
	}
	return o.offset, nil
}

// WriteTo writes what Read would still read, without a copy in between.
func (o *Object) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for o.part < len(o.parts) {
		n, err := w.Write(o.parts[o.part][o.within:])
		total += int64(n)
		o.offset += int64(n)
		o.within += n
		if err != nil {
			return total, err
		}
		o.part, o.within = o.part+1, 0
	}
	return total, nil
}
