// Package store keeps immutable objects under keys: the contract of a bucket, and the decorator that sits out its outages.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Store keeps immutable objects under keys. It is safe for concurrent use.
type Store interface {
	// Put writes the object whole or not at all. The same bytes again under
	// the same key: nil, as often as one likes. Other bytes under an existing
	// key: an error that is ErrExists, and the object stays as it was. Of
	// concurrent Puts to one key one wins and the others answer as if they
	// had come later. nil means durable, ErrExists and *KeyError are for ever,
	// and every other error leaves either nothing or the whole object behind,
	// so that the same Put may be repeated. When ctx ends before the object
	// is there, Put returns its error and leaves nothing.
	//
	// Put reads body from its start, wherever body stands, and may read it
	// more than once. It does not use body after it has returned.
	Put(ctx context.Context, key string, body io.ReadSeeker) error
}

// A Keyed is an object for PutAll.
type Keyed struct {
	Key  string
	Body io.ReadSeeker
}

// A Grouper puts many objects for less than the sum of their Puts.
type Grouper interface {
	// PutAll is Put for each of the objects; the errors are in their order. The
	// keys are distinct. A failure of the group is the error of each.
	PutAll(ctx context.Context, objects []Keyed) []error
}

// A Getter reads objects back.
type Getter interface {
	// Get opens the object; the caller closes it. A key without an object is
	// an error that is ErrNotFound. ctx holds for reading, too.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
}

// A Lister knows what is in the bucket.
type Lister interface {
	// List yields each object whose key starts with prefix, ordered by the
	// bytes of the keys. prefix need not end at a slash. A Put that returned
	// before List began is seen, one beside it may be. An error ends the
	// sequence and comes with an empty Object.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
}

// An Object is what a listing says about one object.
type Object struct {
	Key      string
	Size     int64     // bytes
	Modified time.Time // as the store says, for people; zero where it does not know
}

var (
	// ErrExists says that the key holds other bytes. Repeating does not help.
	ErrExists = errors.New("exists with other content")
	// ErrNotFound says that there is no object under the key.
	ErrNotFound = errors.New("no such object")
)

// A TemporaryError is worth another try soon: throttling, a network that is
// away, a full disk.
type TemporaryError struct{ Err error }

func (e *TemporaryError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *TemporaryError) Unwrap() error { return e.Err }

// A RefusedError says that the bucket as a whole does not take objects the way
// it is set up: missing, not permitted, its encryption key out of reach.
// Somebody must act, then the same Put works.
type RefusedError struct {
	Err  error
	Hint string // the next step for a person; part of Error's text
}

func (e *RefusedError) Error() string {
	if e.Hint == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + " (" + e.Hint + ")"
}

// Unwrap gives the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// A KeyError says that a key is refused before anything is written.
type KeyError struct {
	Key    string
	Reason string
}

func (e *KeyError) Error() string { return fmt.Sprintf("key %q: %s", shorten(e.Key), e.Reason) }

// MaxKey is the longest key in bytes: S3's limit, which holds for every store.
const MaxKey = 1024

// CheckKey says whether key may name an object: valid UTF-8 of at most MaxKey
// bytes, made of segments between slashes of which none is empty, "." or "..",
// and free of control characters and backslashes. Every Store asks it first,
// so that a key is good everywhere or nowhere. The error is a *KeyError.
func CheckKey(key string) error {
	switch {
	case key == "":
		return &KeyError{key, "empty"}
	case len(key) > MaxKey:
		return &KeyError{key, fmt.Sprintf("%d bytes, over %d", len(key), MaxKey)}
	case !utf8.ValidString(key):
		return &KeyError{key, "not UTF-8"}
	}
	start := 0
	for i, r := range key {
		switch {
		case r == '/':
			if reason := checkSegment(key[start:i]); reason != "" {
				return &KeyError{key, reason}
			}
			start = i + 1
		case r == '\\':
			return &KeyError{key, "holds a backslash"}
		case unicode.IsControl(r):
			return &KeyError{key, fmt.Sprintf("holds the control character %U", r)}
		}
	}
	if reason := checkSegment(key[start:]); reason != "" {
		return &KeyError{key, reason}
	}
	return nil
}

func checkSegment(s string) string {
	switch s {
	case "":
		return "has an empty segment"
	case ".", "..":
		return fmt.Sprintf("has the segment %q", s)
	}
	return ""
}

// shorten keeps a hostile key from filling a log line.
func shorten(key string) string {
	if len(key) <= 200 {
		return key
	}
	return key[:200] + "…"
}

// Size gives the number of bytes in body and leaves it at its start.
func Size(body io.Seeker) (int64, error) {
	n, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("size of body: %w", err)
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("rewind body: %w", err)
	}
	return n, nil
}
