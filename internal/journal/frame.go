package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Part of the format on disk: these must not change.
const (
	headSize  = 64 // of a segment
	frameHead = 24
	alignment = 8
	blankSize = 32 // zeros behind the last group in a file that was used before

	version = 1
	magic   = "catchjnl"
)

// Part of the format on disk: these must not change.
const (
	kindRecord = 1
	kindTrim   = 2
	kindClose  = 3
	kindSeal   = 4
	kindVoid   = 5

	flagFirst    = 1
	flagLast     = 2
	flagGroupEnd = 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// An id tells the frames of one journal from those of every other. It is random and never leaves the disk.
type id [16]byte

// keys are the start values of the two checksums of a frame in one segment.
type keys struct{ head, body uint32 }

func (i id) keys(segment uint32) keys {
	var n [4]byte
	le.PutUint32(n[:], segment)
	return keys{
		head: crc32.Update(crc32.Update(0, castagnoli, i[:8]), castagnoli, n[:]),
		body: crc32.Update(crc32.Update(0, castagnoli, i[8:]), castagnoli, n[:]),
	}
}

// A head is the start of a segment.
type head struct {
	segment     uint32
	id          id
	previousEnd uint32
	oldest      uint32
	was         uint32 // the segment whose file this was before; 0: none
}

func (h head) bytes() []byte { return h.bytesOf(version) }

func (h head) bytesOf(version uint32) []byte {
	b := make([]byte, headSize)
	copy(b, magic)
	le.PutUint32(b[8:], version)
	le.PutUint32(b[12:], h.segment)
	copy(b[16:], h.id[:])
	le.PutUint32(b[32:], h.previousEnd)
	le.PutUint32(b[36:], h.oldest)
	le.PutUint32(b[40:], h.was)
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// ErrVersion says that a journal was written by a later version of this program. It is left as it is.
var ErrVersion = errors.New("unknown version of the journal format")

var errHead = errors.New("head of the segment is damaged")

// parseHead gives errHead for a head that is damaged, ErrVersion for a whole one of another version.
func parseHead(b []byte) (head, error) {
	if len(b) < headSize || string(b[:8]) != magic || crc32.Checksum(b[:60], castagnoli) != le.Uint32(b[60:]) {
		return head{}, errHead
	}
	if v := le.Uint32(b[8:]); v != version {
		return head{}, fmt.Errorf("%w: %d, not %d", ErrVersion, v, version)
	}
	h := head{segment: le.Uint32(b[12:]), previousEnd: le.Uint32(b[32:]), oldest: le.Uint32(b[36:]), was: le.Uint32(b[40:])}
	copy(h.id[:], b[16:])
	return h, nil
}

// A frame is the fixed part of one.
type frame struct {
	length      uint32
	kind, flags uint8
	offset      uint32
	back        uint32
	body        uint32 // checksum
}

// frameSize gives the bytes that a payload of n bytes takes in a segment.
func frameSize(n int) int64 {
	return (int64(n) + frameHead + alignment - 1) / alignment * alignment
}

func (f frame) size() int64  { return frameSize(int(f.length)) }
func (f frame) end() int64   { return int64(f.offset) + f.size() }
func (f frame) group() int64 { return int64(f.offset) - int64(f.back) }

// put writes the whole frame to b, which is at least as long and may hold anything.
func (f frame) put(b []byte, k keys, payload []byte) {
	f.putHead(b, k)
	n := copy(b[frameHead:], payload)
	le.PutUint32(b[20:], crc32.Update(le.Uint32(b[20:]), castagnoli, b[frameHead:frameHead+n]))
	clear(b[frameHead+n : frameSize(n)])
}

// putHead writes the fixed part of the frame to b, for a payload that is empty or not covered.
func (f frame) putHead(b []byte, k keys) {
	le.PutUint32(b, f.length)
	b[4], b[5], b[6], b[7] = f.kind, f.flags, 0, 0
	le.PutUint32(b[8:], f.offset)
	le.PutUint32(b[12:], f.back)
	le.PutUint32(b[16:], crc32.Update(k.head, castagnoli, b[:16]))
	le.PutUint32(b[20:], bodySum(k, b, nil))
}

func bodySum(k keys, head, payload []byte) uint32 {
	return crc32.Update(crc32.Update(k.body, castagnoli, head[:16]), castagnoli, payload)
}

// parseFrame reads the fixed part of the frame at offset; it says no to anything that was not written for this place.
func parseFrame(b []byte, offset int64, k keys) (frame, bool) {
	if len(b) < frameHead || int64(le.Uint32(b[8:])) != offset || // the cheap test first: resynchronising asks often
		crc32.Update(k.head, castagnoli, b[:16]) != le.Uint32(b[16:]) {
		return frame{}, false
	}
	f := frame{
		length: le.Uint32(b), kind: b[4], flags: b[5],
		offset: le.Uint32(b[8:]), back: le.Uint32(b[12:]), body: le.Uint32(b[20:]),
	}
	if f.kind == 0 || f.kind > kindVoid || f.group() < headSize {
		return frame{}, false
	}
	return f, true
}

// whole reports whether b, which holds the frame from its start, carries the payload that was written.
func (f frame) whole(b []byte, k keys) bool {
	if f.kind == kindVoid {
		return bodySum(k, b, nil) == f.body
	}
	if len(b) < frameHead+int(f.length) {
		return false
	}
	return bodySum(k, b, b[frameHead:frameHead+int(f.length)]) == f.body
}
