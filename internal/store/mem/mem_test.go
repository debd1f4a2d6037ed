package mem_test

import (
	"testing"

	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/mem"
	"example.org/catchment/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return new(mem.Store) })
}
