// Package storetest is the contract of package store as tests, which every store passes.
package storetest

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"example.org/catchment/internal/store"
)

// Run tests a store against each sentence of its contract. open gives an empty
// bucket and registers its own clean-up. Get and List are tested where the
// store has them; without Get the content of objects is tested through Put
// alone, which tells equal bytes from others.
func Run(t *testing.T, open func(*testing.T) store.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, store.Store){
		"an object is read back as it was put":                  readBack,
		"the same bytes again are no error":                     sameAgain,
		"other bytes are refused and change nothing":            otherBytes,
		"other bytes of the same length are refused":            sameLength,
		"an object of other bytes as a prefix is refused":       prefixBytes,
		"of concurrent puts to one key one wins, whole":         oneWins,
		"concurrent puts of the same bytes all succeed":         allSame,
		"concurrent puts to many keys all arrive":               manyKeys,
		"body is read from its start, wherever it stands":       fromStart,
		"a body that does not close is not closed":              notClosed,
		"a body that breaks leaves nothing":                     brokenBody,
		"a ctx that has ended leaves nothing":                   endedContext,
		"a ctx that ends while the body is read leaves nothing": endingContext,
		"odd but legal keys work":                               oddKeys,
		"keys that are none are refused":                        badKeys,
		"an empty object is an object":                          emptyObject,
		"a large object arrives whole":                          largeObject,
		"no object: ErrNotFound":                                notFound,
		"a listing is ordered by the bytes of the keys":         listOrder,
		"a listing is bounded by its prefix":                    listPrefix,
		"a listing may be left early":                           listEarly,
		"a listing is longer than a page":                       listLong,
		"a listing with an ended ctx yields its error":          listEnded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func put(t *testing.T, s store.Store, key, body string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(body)); err != nil {
		t.Fatalf("put: %v", err)
	}
}

// holds checks that key holds want.
func holds(t *testing.T, s store.Store, key, want string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(want)); err != nil {
		t.Errorf("the same bytes under %.100q again: got %v, want nil", key, err)
	}
	g, ok := s.(store.Getter)
	if !ok {
		return
	}
	if got := get(t, g, key); got != want {
		t.Errorf("%.100q holds %d bytes (%.40q), want %d (%.40q)", key, len(got), got, len(want), want)
	}
}

func get(t *testing.T, g store.Getter, key string) string {
	t.Helper()
	r, err := g.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("get %q: read: %v", key, err)
	}
	return string(b)
}

// missing checks that there is nothing under key, and then that nothing left
// behind hinders the next put.
func missing(t *testing.T, s store.Store, key string) {
	t.Helper()
	if g, ok := s.(store.Getter); ok {
		r, err := g.Get(t.Context(), key)
		if err == nil {
			err = r.Close()
		}
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get %q: got %v, want ErrNotFound", key, err)
		}
	}
	if l, ok := s.(store.Lister); ok {
		if got := list(t, l, ""); slices.Contains(got, key) {
			t.Errorf("%q is listed", key)
		}
	}
	holds(t, s, key, "something else than was tried before")
}

func list(t *testing.T, l store.Lister, prefix string) []string {
	t.Helper()
	keys := []string{}
	for o, err := range l.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// payload gives n bytes that do not compress.
func payload(n int, seed byte) string {
	b := make([]byte, n)
	chacha := rand.NewChaCha8([32]byte{seed})
	_, _ = chacha.Read(b) // never fails
	return string(b)
}
