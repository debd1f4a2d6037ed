// Package journal is a durable log of opaque payloads: an append returns once its bytes are on the disk.
//
// # Files
//
// A journal is a folder:
//
//	JOURNAL              64 bytes: the head below, segment 0: keeps the journal's id should a segment's head be damaged
//	LOCK                 who has the journal open
//	0000000001.segment   frames; the one of the highest number is the active one
//	0000000002.tmp       a segment being made; removed at the next open
//	0000000001.spare     a trimmed segment, to be used again for a later one
//
// # Segment
//
// All numbers are little endian. This is version 1 of the format; doc/format/journal.md tells the same with examples.
//
//	 0        8         12        16           32         36       40       44       60       64
//	+---------+---------+---------+------------+----------+--------+--------+--------+--------+
//	| magic   | version | segment | journal id | previous | oldest | was    | zeros  | crc    |
//	| 8 bytes | 4       | 4       | 16, random | end 4    | 4      | 4      | 16     | 4      |
//	+---------+---------+---------+------------+----------+--------+--------+--------+--------+
//
// crc is CRC-32C of the 60 bytes before it. previous end is where the frames of the segment before this one end (0:
// there is none), oldest the lowest segment that was not trimmed when this one was made, was the segment whose file this
// was before (0: a new file). Frames follow, each at a multiple of 8:
//
//	 0        4      5       6       8        12       16          20          24          24+length
//	+--------+------+-------+-------+--------+--------+-----------+-----------+-----------+---------+
//	| length | kind | flags | zeros | offset | back   | head crc  | body crc  | payload   | 0-7     |
//	| 4      | 1    | 1     | 2     | 4      | 4      | 4         | 4         | length    | zeros   |
//	+--------+------+-------+-------+--------+--------+-----------+-----------+-----------+---------+
//
// offset is where the frame itself starts in the segment, back how far before it its group starts. head crc is CRC-32C
// of the first 16 bytes, continued from a start value that is the CRC-32C of the first half of the journal id followed
// by the segment number; body crc is CRC-32C of the first 16 bytes and the payload, continued from the second half of
// the id in the same way. So a frame is valid in one place of one segment of one journal only: bytes left over from
// another file, a frame that was moved, and a payload that looks like a frame are none (who sends payloads knows
// neither half of the id: 64 bits). Zeros are never a frame: there is no kind 0.
//
//	kind 1  record   a payload of the owner
//	kind 2  trim     4 bytes: segments below this number were given up by the owner
//	kind 3  close    the journal was closed here
//	kind 4  seal     the next segment exists
//	kind 5  void     recovery gave up the length bytes that follow; they are not covered by body crc
//
//	flag 1  first frame of a call to Append
//	flag 2  last frame of it
//	flag 4  last frame of the group
//
// A file whose length is a multiple of 65536 has room behind its last frame: zeros, or, if it was another segment before,
// a blank of 32 zeros and then old bytes. A file of any other length ends with its last frame.
//
// # What is certain after a crash
//
// A group is what one write and one fsync carry. A group is written only after the group before it is on the disk, and
// a segment is made only after all before it is. So every valid frame proves that all bytes before the start of its
// group were on the disk once. Whatever is missing there is damage: it is reported in [Recovered.Lost], and every valid
// frame around it is kept, whether the rest of its call is there or not. In the last group nothing proves whether it was
// acknowledged: calls that are there from their first frame to their last are kept, others are given up whole and
// reported in [Recovered.Torn]. A journal that was closed ends in a close frame, so all of it is proven.
package journal
