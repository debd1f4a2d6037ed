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
	tmpSuffix     = ".tmp"
)

func segmentName(number uint32) string { return fmt.Sprintf("%010d%s", number, segmentSuffix) }

func segmentNumber(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 || segmentName(uint32(n)) != name {
		return 0, false
	}
	return uint32(n), true
}

// create makes a segment that holds its head only. It has its name when it is whole on the disk, not before.
func (j *Journal) create(h head) (*segment, error) {
	name := segmentName(h.segment)
	f, err := j.createFile(name, h.bytes())
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	s := &segment{number: h.segment, name: name, keys: h.id.keys(h.segment), file: f}
	s.end.Store(headSize)
	return s, nil
}

// createFile writes a file whole or not at all: temporary name, fsync, rename, fsync of the folder.
func (j *Journal) createFile(name string, contents []byte) (disk.File, error) {
	tmp := filepath.Join(j.dir, strings.TrimSuffix(name, segmentSuffix)+tmpSuffix)
	f, err := j.fsys.Open(tmp, disk.Create)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(contents, 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fsys.Rename(tmp, filepath.Join(j.dir, name))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), j.fsys.Remove(tmp))
	}
	if err := j.fsys.SyncDir(j.dir); err != nil {
		// The name may or may not survive a crash. No second try: it would succeed without proving anything.
		_ = f.Close()
		return nil, j.poisoned(err)
	}
	return f, nil
}
