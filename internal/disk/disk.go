// Package disk is the file system that the journal uses: real, in memory with crashes, or failing on purpose.
package disk

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

// A Mode says what a file is opened for.
type Mode uint8

// The modes of FS.Open.
const (
	ReadOnly  Mode = iota // an existing file, for reading
	ReadWrite             // an existing file, for reading and writing
	Create                // a new file for reading and writing; an existing one is emptied
)

// An Entry is one file of a folder.
type Entry struct {
	Name string // without the folder
	Size int64  // bytes
}

// An FS is what the journal needs of a file system. Names are paths with the separator of the system.
// A missing file gives an error that is fs.ErrNotExist. All methods may be called concurrently.
type FS interface {
	Open(name string, mode Mode) (File, error)
	// Rename replaces newname, if it exists, in one step.
	Rename(oldname, newname string) error
	Remove(name string) error
	// List gives the files of a folder by name, without its folders.
	List(dir string) ([]Entry, error)
	// SyncDir makes the names in dir durable: files created, renamed and removed before.
	SyncDir(dir string) error
}

// A File is read and written at offsets. ReadAt may run beside WriteAt and Sync.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Sync makes bytes and length durable. After an error nothing is known about what was written since the last
	// Sync that succeeded, and a later nil does not change that: the system may have dropped the bytes.
	Sync() error
	Truncate(size int64) error
	Close() error
}

// A Maker is an FS that can make folders.
type Maker interface {
	// MakeDir makes dir and its missing parents, durably. An existing folder is not an error.
	MakeDir(dir string) error
}

// A Locker is an FS on which one process can keep others out.
type Locker interface {
	// Lock takes the lock file name, without waiting, until the result is closed or the process ends, however it
	// ends. A lock that somebody holds gives a *LockedError.
	Lock(name string) (io.Closer, error)
}

// A LockedError says who holds a lock.
type LockedError struct {
	Name   string // of the lock file
	Holder string // as the holder wrote it: process, host, since when; empty when unreadable
}

func (e *LockedError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "another process"
	}
	return fmt.Sprintf("%s is held by %s", e.Name, holder)
}

// NoSpace reports whether err says that the disk, or the quota on it, is full.
func NoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
