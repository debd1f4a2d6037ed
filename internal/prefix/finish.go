package prefix

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// Finish replaces each 0x00 byte of an evaluated prefix by 11 letters and digits. They follow
// from the seed and from the place's number alone, so the object of a sealed batch gets the same
// name however often it is put.
func Finish(evaluated string, seed [16]byte) string {
	if strings.IndexByte(evaluated, 0) < 0 {
		return evaluated
	}
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
	var out strings.Builder
	var block [16 + 8]byte
	copy(block[:], seed[:])
	for place := uint64(0); ; place++ {
		before, after, found := strings.Cut(evaluated, "\x00")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		binary.BigEndian.PutUint64(block[16:], place)
		sum := sha256.Sum256(block[:])
		n := binary.BigEndian.Uint64(sum[:8])
		for range randomLength {
			out.WriteByte(alphabet[n%uint64(len(alphabet))])
			n /= uint64(len(alphabet))
		}
		evaluated = after
	}
}
