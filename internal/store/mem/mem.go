// Package mem is a store in memory, for tests.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"example.org/catchment/internal/store"
)

// A Store keeps its objects in memory. The zero value is an empty bucket.
type Store struct {
	// Before, where not nil, is asked at the start of each Put with a good
	// key; an error of it is Put's own and nothing is written. It may block
	// until ctx ends. Set it before the first Put.
	Before func(ctx context.Context, key string) error
	// After is asked when the object is already there, before Put returns: an
	// error of it is an answer that got lost.
	After func(ctx context.Context, key string) error

	mu      sync.RWMutex
	objects map[string][]byte // guarded by mu; the values are never changed
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Getter = (*Store)(nil)
	_ store.Lister = (*Store)(nil)
)

// Put is [store.Store.Put].
func (s *Store) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := store.CheckKey(key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if s.Before != nil {
		if err := s.Before(ctx, key); err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
	}
	size, err := store.Size(body)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(body, b); err != nil {
		return fmt.Errorf("put %s: read body: %w", key, err)
	}
	if err := s.add(ctx, key, b); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	if s.After != nil {
		if err := s.After(ctx, key); err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
	}
	return nil
}

func (s *Store) add(ctx context.Context, key string, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if old, ok := s.objects[key]; ok {
		if !bytes.Equal(old, b) {
			return store.ErrExists
		}
		return nil
	}
	if s.objects == nil {
		s.objects = map[string][]byte{}
	}
	s.objects[key] = b
	return nil
}

// Get is [store.Getter.Get].
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.objects[key]
	if !ok {
		return nil, fmt.Errorf("get %s: %w", key, store.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// List is [store.Lister.List]. It shows the moment at which it began.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		s.mu.RLock()
		objects := maps.Clone(s.objects)
		s.mu.RUnlock()
		for _, key := range slices.Sorted(maps.Keys(objects)) {
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			if err := context.Cause(ctx); err != nil {
				yield(store.Object{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			if !yield(store.Object{Key: key, Size: int64(len(objects[key]))}, nil) {
				return
			}
		}
	}
}
