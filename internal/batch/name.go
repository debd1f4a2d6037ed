package batch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
)

// An ID is a UUID of version 8: it follows from content, so that the same batch is named the same whenever it is named.
type ID [16]byte

// NewID returns the ID of content, which is told apart by where one part ends too.
func NewID(content ...[]byte) ID {
	h := sha256.New()
	for _, part := range content {
		_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part)))) // a hash takes everything
		_, _ = h.Write(part)
	}
	id := ID(h.Sum(nil)[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id
}

func (id ID) String() string {
	s := make([]byte, 0, 36)
	for i, n := range []int{4, 2, 2, 2, 6} {
		if i > 0 {
			s = append(s, '-')
		}
		s = hex.AppendEncode(s, id[:n])
		copy(id[:], id[n:])
	}
	return string(s)
}

// Name returns an object's name in Firehose's shape, <stream>-<version>-<yyyy-MM-dd-HH-mm-ss>-<uuid><extension>. at is
// the instant of the oldest record, in the stream's time zone.
func Name(stream string, version int, at time.Time, id ID, extension string) string {
	return stream + "-" + strconv.Itoa(version) + "-" + at.Format("2006-01-02-15-04-05") + "-" + id.String() + extension
}
