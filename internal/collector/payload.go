package collector

import (
	"encoding/binary"
	"errors"
	"math"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/journal"
)

// Part of the format on disk: these must not change. The high half of the first byte of a payload is the version.
const (
	payloadRecord    = 0x11
	payloadRejection = 0x12
	payloadSealed    = 0x13
	payloadStored    = 0x14
	payloadMoved     = 0x15

	maxText = 1 << 16 // of a stream's name, a prefix or a key, in bytes
)

var errPayload = errors.New("payload does not hold what its kind says")

// A record is one line that goes into the bucket.
type record struct {
	rejection bool // the line is an error record
	moved     bool // counts only for the sealed batch that lists it
	arrival   int64
	instant   int64 // Unix milliseconds, both
	digest    duplicate.Digest
	stream    string
	version   int
	prefix    string
	line      []byte
}

// appendHead appends all of a record but its line, which follows.
func (r *record) appendHead(b []byte) []byte {
	kind := byte(payloadRecord)
	switch {
	case r.moved:
		kind = payloadMoved
	case r.rejection:
		kind = payloadRejection
	}
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.arrival)) //nolint:gosec // two's complement, as it is read
	b = binary.LittleEndian.AppendUint64(b, uint64(r.instant)) //nolint:gosec // likewise
	b = append(b, r.digest[:]...)
	b = appendText(b, r.stream)
	b = binary.AppendUvarint(b, uint64(max(0, r.version)))
	return appendText(b, r.prefix)
}

// A recordText is a record whose texts are still bytes of the payload.
type recordText struct {
	record
	streamText, prefixText []byte
}

func parseRecord(b []byte) (recordText, error) {
	p := parser{b: b}
	var r recordText
	switch p.byte() {
	case payloadRecord:
	case payloadRejection:
		r.rejection = true
	case payloadMoved:
		r.moved = true
	default:
		return r, errPayload
	}
	r.arrival, r.instant = int64(p.uint64()), int64(p.uint64()) //nolint:gosec // two's complement, as it was written
	copy(r.digest[:], p.bytes(len(r.digest)))
	r.streamText = p.text()
	r.version = p.int()
	r.prefixText = p.text()
	r.line = p.b
	return r, p.err
}

// A seal is a batch that has its key: its object is to be put, and put again, until a stored payload names it.
type seal struct {
	at        journal.Position // of the sealed payload
	key       string
	fallback  string // the key to use where the store refuses the first for ever
	stream    string
	version   int
	prefix    string
	rejection bool
	kind      encode.Kind
	level     int
	arrival   int64 // of the oldest record, Unix milliseconds
	bytes     int64 // of lines
	sum       batch.Sum
	positions []batch.Position // ascending
	replaces  journal.Position // an earlier payload of the same seal; zero: none
	objects   int64            // Stats.Objects when a worker last looked; not on disk
}

func (s *seal) payload() []byte {
	b := []byte{payloadSealed}
	for _, text := range []string{s.key, s.fallback, s.stream} {
		b = appendText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(max(0, s.version)))
	b = appendText(b, s.prefix)
	flags := byte(0)
	if s.rejection {
		flags = 1
	}
	b = append(b, flags, byte(s.kind), byte(s.level))                                                                    //nolint:gosec // a level is at most 9
	for _, n := range []uint64{uint64(s.arrival), uint64(s.bytes), s.sum[0], s.sum[1], uint64(positionOf(s.replaces))} { //nolint:gosec // two's complement
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(s.positions)))
	last := batch.Position(0)
	for _, p := range s.positions {
		b = binary.AppendUvarint(b, uint64(p-last))
		last = p
	}
	return b
}

func parseSeal(b []byte) (*seal, error) {
	p := parser{b: b}
	if p.byte() != payloadSealed {
		return nil, errPayload
	}
	s := &seal{key: string(p.text()), fallback: string(p.text()), stream: string(p.text())}
	s.version = p.int()
	s.prefix = string(p.text())
	s.rejection = p.byte()&1 != 0
	s.kind = encode.Kind(p.byte())
	s.level = int(p.byte())
	s.arrival, s.bytes = int64(p.uint64()), int64(p.uint64()) //nolint:gosec // two's complement, as it was written
	s.sum = batch.Sum{p.uint64(), p.uint64()}
	s.replaces = journalPosition(batch.Position(p.uint64()))
	n := p.int()
	if p.err != nil || n > len(p.b) { // a position takes at least a byte
		return nil, errPayload
	}
	s.positions = make([]batch.Position, n)
	last := batch.Position(0)
	for i := range s.positions {
		last += batch.Position(p.uvarint())
		s.positions[i] = last
	}
	if p.err != nil || len(p.b) > 0 {
		return nil, errPayload
	}
	return s, nil
}

func appendStored(b []byte, seals []*seal) []byte {
	b = append(b, payloadStored)
	for _, s := range seals {
		b = binary.LittleEndian.AppendUint64(b, uint64(positionOf(s.at)))
	}
	return b
}

// parseStored calls fn with the position of each sealed payload that is stored.
func parseStored(b []byte, fn func(journal.Position)) error {
	p := parser{b: b}
	if p.byte() != payloadStored || len(p.b)%8 != 0 {
		return errPayload
	}
	for len(p.b) > 0 {
		fn(journalPosition(batch.Position(p.uint64())))
	}
	return nil
}

func positionOf(p journal.Position) batch.Position {
	return batch.Position(p.Segment)<<32 | batch.Position(p.Offset)
}

func journalPosition(p batch.Position) journal.Position {
	return journal.Position{Segment: segmentOf(p), Offset: uint32(p & math.MaxUint32)}
}

func segmentOf(p batch.Position) uint32 { return uint32(p >> 32) }

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// A parser takes fields off the front of b. After an error all of them are zero.
type parser struct {
	b   []byte
	err error
}

func (p *parser) bytes(n int) []byte {
	if n > len(p.b) {
		p.b, p.err = nil, errPayload
		return nil
	}
	field := p.b[:n]
	p.b = p.b[n:]
	return field
}

func (p *parser) byte() byte {
	if field := p.bytes(1); field != nil {
		return field[0]
	}
	return 0
}

func (p *parser) uint64() uint64 {
	if field := p.bytes(8); field != nil {
		return binary.LittleEndian.Uint64(field)
	}
	return 0
}

func (p *parser) uvarint() uint64 {
	n, size := binary.Uvarint(p.b)
	if size <= 0 {
		p.b, p.err = nil, errPayload
		return 0
	}
	p.b = p.b[size:]
	return n
}

func (p *parser) int() int {
	n := p.uvarint()
	if n > math.MaxInt32 {
		p.b, p.err = nil, errPayload
		return 0
	}
	return int(n)
}

func (p *parser) text() []byte {
	n := p.int()
	if n > maxText {
		p.b, p.err = nil, errPayload
		return nil
	}
	return p.bytes(n)
}
