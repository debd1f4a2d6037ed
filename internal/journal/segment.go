package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"example.org/catchment/internal/disk"
)

// Part of the format on disk: these must not change.
const (
	idName        = "JOURNAL"
	lockName      = "LOCK"
	segmentSuffix = ".segment"
	spareSuffix   = ".spare"
	tmpSuffix     = ".tmp"
)

func segmentName(number uint32) string { return fmt.Sprintf("%010d%s", number, segmentSuffix) }

// fileNumber gives the number in the name of a segment or spare.
func fileNumber(name, suffix string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 || segmentName(uint32(n)) != digits+segmentSuffix {
		return 0, false
	}
	return uint32(n), true
}

// maxSpares is how many files of trimmed segments wait to be used again.
const maxSpares = 2

// A spare is the file of a trimmed segment.
type spare struct {
	number uint32
	size   int64
}

func (s spare) name() string {
	return strings.TrimSuffix(segmentName(s.number), segmentSuffix) + spareSuffix
}

// create makes a segment that holds its head only. It has its name when it is whole on the disk, not before.
func (j *Journal) create(h head) (*segment, error) {
	name := segmentName(h.segment)
	s := &segment{number: h.segment, name: name, keys: h.id.keys(h.segment), filled: headSize}
	s.end.Store(headSize)
	var err error
	j.mu.Lock()
	if n := len(j.spares); n > 0 {
		old := j.spares[n-1]
		j.spares = j.spares[:n-1]
		j.mu.Unlock()
		h.was = old.number
		s.reused = true
		s.filled = (old.size/aheadUnit + 1) * aheadUnit
		s.file, err = j.reuse(old, name, h, s.filled)
	} else {
		j.mu.Unlock()
		s.file, err = j.createFile(name, h.bytes())
	}
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	return s, nil
}

// reuse makes a spare into a file of the given size that starts with h and a blank.
func (j *Journal) reuse(old spare, name string, h head, size int64) (disk.File, error) {
	from := filepath.Join(j.dir, old.name())
	f, err := j.fsys.Open(from, disk.ReadWrite)
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(size); err == nil {
		_, err = f.WriteAt(append(h.bytes(), zeros[:blankSize]...), 0)
	}
	return j.name(f, err, from, name)
}

// createFile writes a file whole or not at all: temporary name, fsync, rename, fsync of the folder.
func (j *Journal) createFile(name string, contents []byte) (disk.File, error) {
	tmp := filepath.Join(j.dir, strings.TrimSuffix(name, segmentSuffix)+tmpSuffix)
	f, err := j.fsys.Open(tmp, disk.Create)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteAt(contents, 0)
	return j.name(f, err, tmp, name)
}

// name makes f, which was written with the given error, durable under its name.
func (j *Journal) name(f disk.File, err error, from, name string) (disk.File, error) {
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fsys.Rename(from, filepath.Join(j.dir, name))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), j.fsys.Remove(from))
	}
	if err := j.fsys.SyncDir(j.dir); err != nil {
		// The name may or may not survive a crash. No second try: it would succeed without proving anything.
		_ = f.Close()
		return nil, j.poisoned(err)
	}
	return f, nil
}
