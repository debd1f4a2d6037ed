package dir_test

import (
	"testing"

	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/dir"
	"example.org/catchment/internal/store/storetest"
)

func open(t *testing.T, name string) *dir.Store {
	t.Helper()
	s, err := dir.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, t.TempDir()+"/new/bucket")
	})
}
