//go:build !linux

package importer

import (
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/dir"
)

func groupOf(*dir.Store) store.Grouper { return nil }
