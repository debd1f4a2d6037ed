//go:build unix

package dir

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"example.org/catchment/internal/store"
)

var errNotFolder = errors.New("not a folder")

// classify sorts what the system says into the kinds that callers know. It
// takes the whole error and keeps its text.
func classify(err error) error {
	var number syscall.Errno
	switch {
	case errors.Is(err, store.ErrExists):
		return err
	case errors.Is(err, errNotFolder):
		return &exists{err}
	case escapes(err):
		return &store.RefusedError{Err: err, Hint: "a symbolic link in the bucket leads out of it"}
	case !errors.As(err, &number):
		return err
	}
	switch number { //nolint:exhaustive // the others are of unknown kind
	case syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN,
		syscall.EINTR, syscall.EBUSY, syscall.ETIMEDOUT, syscall.ESTALE:
		return &store.TemporaryError{Err: err}
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		return &store.RefusedError{Err: err, Hint: "the folder must be writable"}
	case syscall.ENOENT:
		return &store.RefusedError{Err: err, Hint: "the bucket's folder is gone"}
	case syscall.ELOOP:
		return &store.RefusedError{Err: err, Hint: "symbolic links in the bucket lead in a circle"}
	case syscall.ENAMETOOLONG:
		return &store.RefusedError{Err: err, Hint: "the bucket's filesystem takes shorter names only"}
	case syscall.EISDIR, syscall.ENOTDIR, syscall.EEXIST:
		return &exists{err}
	}
	return err
}

// exists is an ErrExists that tells what stands in the way: a file where a
// folder is needed, or a folder at the key.
type exists struct{ error }

func (e *exists) Is(target error) bool { return target == store.ErrExists }
func (e *exists) Unwrap() error        { return e.error }

// escapes knows os.Root's refusal, for which there is no name.
func escapes(err error) bool {
	var path *fs.PathError
	if errors.As(err, &path) {
		return strings.Contains(path.Err.Error(), "path escapes")
	}
	return strings.Contains(err.Error(), "path escapes from parent")
}

// noLinks says that the filesystem has no hard links.
func noLinks(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EOPNOTSUPP) ||
		errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EMLINK)
}

// ignoreUnsupported forgives filesystems on which a folder has no sync (CIFS,
// some of FUSE): what they do about names is theirs.
func ignoreUnsupported(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
