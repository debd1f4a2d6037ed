// Package files finds what an import reads: files, the files below folders, standard input, objects of a bucket.
package files

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"example.org/catchment/internal/store"
)

// A Bucket lists and reads objects.
type Bucket interface {
	store.Lister
	store.Getter
}

// An Input is one file, one object, or standard input.
type Input struct {
	name string
	size int64 // in bytes; -1: not known
	open func(ctx context.Context) (io.ReadCloser, error)
}

// Name is the path or URL by which a person knows it.
func (i *Input) Name() string { return i.name }

// Size is its size in bytes when it was found; -1: not known.
func (i *Input) Size() int64 { return i.size }

// Open starts reading at the beginning. Standard input can be read once.
func (i *Input) Open(ctx context.Context) (io.ReadCloser, error) { return i.open(ctx) }

// Stdin is standard input, which is not closed. Closing what Open returns ends a Read that waits; the one goroutine that
// waits with it goes on until more comes in, or the process ends.
func Stdin(in io.Reader) *Input {
	return &Input{name: "-", size: -1, open: func(context.Context) (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() {
			_, err := io.CopyBuffer(w, onlyReader{in}, make([]byte, stdinBuffer))
			_ = w.CloseWithError(err) // it never fails
		}()
		return r, nil
	}}
}

// stdinBuffer is how much of standard input is read at a time, in bytes: what a pipe holds on Linux.
const stdinBuffer = 64 << 10

// onlyReader hides WriteTo, which would bring a buffer of its own.
type onlyReader struct{ io.Reader }

// Find returns the file at path, or the files below the folder there, ordered by name. Below a folder, names that start
// with a dot are left out, and so is the folder except, which may be empty: an import does not read what it writes.
// Symbolic links to files are read; links to folders, which may lead in circles, pipes and devices are left out, unless
// path itself is one. What cannot be looked at is an Input whose Open says why: the others are there.
func Find(path, except string) ([]*Input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("find input: %w", err)
	}
	if !info.IsDir() {
		return []*Input{file(path, info.Size(), info.Mode())}, nil
	}
	root := path
	if link, err := os.Lstat(path); err == nil && link.Mode()&fs.ModeSymlink != 0 {
		root += string(filepath.Separator) // the folder behind the link
	}
	var found []*Input
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			found = append(found, unreadable(name, err))
			return nil
		}
		if entry.IsDir() {
			if name != root && hidden(entry) || same(name, except) {
				return filepath.SkipDir
			}
			return nil
		}
		if hidden(entry) {
			return nil
		}
		info, err := os.Stat(name) // of what a symbolic link points to
		switch {
		case err != nil:
			found = append(found, unreadable(name, err))
		case info.Mode().IsRegular():
			found = append(found, file(name, info.Size(), info.Mode()))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look through folder: %w", err)
	}
	return found, nil
}

func hidden(entry fs.DirEntry) bool { return strings.HasPrefix(entry.Name(), ".") }

// unreadable is what was found but cannot be opened.
func unreadable(name string, err error) *Input {
	return &Input{name: name, open: func(context.Context) (io.ReadCloser, error) { return nil, err }}
}

// same tells whether two paths name one folder.
func same(a, b string) bool {
	if b == "" {
		return false
	}
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

func file(name string, size int64, mode fs.FileMode) *Input {
	if !mode.IsRegular() {
		size = -1 // a pipe
	}
	return &Input{name: name, size: size, open: func(context.Context) (io.ReadCloser, error) {
		return os.Open(name) //nolint:gosec // the user names it
	}}
}

// Objects returns the objects of a bucket whose keys start with prefix, ordered by key. url is how a person names the
// bucket. Keys that end in a slash and hold nothing, as consoles make for folders, are left out.
func Objects(ctx context.Context, bucket Bucket, url, prefix string) ([]*Input, error) {
	var found []*Input
	for object, err := range bucket.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", url, err)
		}
		if strings.HasSuffix(object.Key, "/") && object.Size == 0 {
			continue
		}
		key := object.Key
		found = append(found, &Input{
			name: url + key, size: object.Size,
			open: func(ctx context.Context) (io.ReadCloser, error) { return bucket.Get(ctx, key) },
		})
	}
	return found, nil
}
